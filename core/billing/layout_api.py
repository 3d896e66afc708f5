"""How documents look, over JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from litestar import Response
from litestar.datastructures import UploadFile
from litestar.params import JSONBody, MultipartBody, QueryParameter
from msgspec import Meta

from core.billing.layout import DocumentLayout, LayoutFields, load_layout, remove_logo, save_layout, set_logo
from core.billing.layout_routes import pdf_answer, sample_pdf
from core.documents.model import DocumentKind
from core.web.jsonapi import Call, api_delete, api_get, api_put
from core.web.reach import check_sees_everyone


class LayoutChange(LayoutFields, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The look whole, against the version that was read."""

    version: Annotated[int, Meta(ge=0)]


@dataclass
class LogoFile:
    """A PNG, JPEG or SVG file of at most 2 MB."""

    logo: UploadFile


@api_get("/document-layout", permission="settings.view", summary="How documents look")
async def get_layout(call: Call) -> DocumentLayout:
    check_sees_everyone(call.scope)
    return await load_layout()


@api_put("/document-layout", permission="settings.edit", summary="Change how documents to come look")
async def change_layout(call: Call, data: JSONBody[LayoutChange]) -> DocumentLayout:
    check_sees_everyone(call.scope)
    fields = LayoutFields(**{name: getattr(data, name) for name in LayoutFields.__struct_fields__})
    return await save_layout(call.scope, fields, version=data.version)


@api_put("/document-layout/logo", permission="settings.edit", summary="Set the logo of documents to come")
async def put_logo(call: Call, data: MultipartBody[LogoFile]) -> DocumentLayout:
    check_sees_everyone(call.scope)
    return await set_logo(call.scope, await data.logo.read())


@api_delete("/document-layout/logo", permission="settings.edit", summary="Remove the logo of documents to come")
async def delete_logo(call: Call) -> DocumentLayout:
    check_sees_everyone(call.scope)
    return await remove_logo(call.scope)


@api_get(
    "/document-layout/preview",
    permission="settings.view",
    summary="A document of invented lines in this look, as PDF",
    media_type="application/pdf",
)
async def get_preview(
    call: Call,
    language: Annotated[Literal["en", "de"], QueryParameter(description="Of its words")] = "en",
    kind: Annotated[
        Literal["invoice", "credit_note", "proforma"], QueryParameter(description="Of document")
    ] = "invoice",
) -> Response[bytes]:
    check_sees_everyone(call.scope)
    return pdf_answer(await sample_pdf(call.scope, language, DocumentKind(kind)))


HANDLERS = (get_layout, change_layout, put_logo, delete_logo, get_preview)
