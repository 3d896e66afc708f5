"""Settings of documents: who sells, and how documents are numbered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Response
from litestar.params import FromPath

from core.billing import actions, setting_pages
from core.errors import Conflict, Invalid, NotFound, Stale
from core.texts import _
from core.web.parts import spoken
from core.web.reach import check_sees_everyone
from core.web.routing import get, post
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.web.view import PageView


@get("/settings/seller", permission="settings.view")
async def show_seller(view: View) -> Response[str]:
    return await _seller_page(view, {})


@post("/settings/seller", permission="settings.edit")
async def save_seller(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    seller = await actions.default_seller(view.scope)
    try:
        form = await view.form(setting_pages.SellerForm)
        await actions.change_seller(view.scope, seller.id, setting_pages.fields_from(form), version=form.version)
    except Invalid as error:
        return await _seller_page(view, errors_by_field(error), status=422)
    except Stale:
        errors = {"": _("Somebody else saved the seller meanwhile. Load the page again; nothing was saved.")}
        return await _seller_page(view, errors, status=409)
    return view.go("/settings/seller", _("Saved. Documents that were issued keep what they say."))


@post("/settings/seller/opening", permission="settings.edit")
async def open_books(view: View) -> Response[str]:
    """Make the seller and its number series from the company's data, before the first document does."""
    check_sees_everyone(view.scope)
    await actions.default_seller(view.scope)
    return view.go("/settings/seller", _("Made from the company's data."))


async def _seller_page(view: PageView, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    seller = await setting_pages.find_seller()
    return view.page(
        "billing/seller.html",
        status=status,
        seller=seller,
        groups=setting_pages.seller_groups(view.scope.locale, seller.country if seller is not None else ""),
        values=view.shown(**setting_pages.seller_values(seller)) if seller is not None else {},
        errors=errors,
        may_change=view.scope.may("settings.edit"),
    )


@get("/settings/numbering", permission="settings.view")
async def show_numbering(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    return await _numbering_page(view)


@post("/settings/numbering/{series_kind:str}", permission="settings.edit")
async def save_numbering(view: View, series_kind: FromPath[str]) -> Response[str]:
    check_sees_everyone(view.scope)
    if series_kind not in setting_pages.SERIES:
        raise NotFound(f"number series {series_kind}")
    try:
        form = await view.form(setting_pages.SeriesForm)
        await actions.change_series(view.scope, series_kind, pattern=form.pattern, reset=form.reset)
    except Invalid as error:
        return await _numbering_page(view, series_kind, errors_by_field(error), status=422)
    except Conflict as error:
        return await _numbering_page(view, series_kind, {"reset": error.message}, status=409)
    return view.go("/settings/numbering", _("Saved. Numbers that were given stay."))


async def _numbering_page(
    view: PageView, kind: str = "", errors: dict[str, str] | None = None, *, status: int = 200
) -> Response[str]:
    series = await setting_pages.list_series(view.scope.today())
    return view.page(
        "billing/numbering.html",
        status=status,
        series=setting_pages.with_typed(series, kind, view.typed),
        resets=spoken(setting_pages.RESETS),
        wrong=kind,
        errors=errors or {},
        may_change=view.scope.may("settings.edit"),
    )


HANDLERS = (show_seller, save_seller, open_books, show_numbering, save_numbering)
