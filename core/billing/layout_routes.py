"""Settings, Documents: how documents look, with the sheet beside it as it will be; and the pictures sheets show."""

from __future__ import annotations

import re
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlencode

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.billing.actions import default_seller
from core.billing.layout import (
    COLOUR,
    DocumentLayout,
    LayoutFields,
    LayoutTexts,
    check_colour,
    load_layout,
    look_of,
    read_logo,
    remove_logo,
    save_layout,
    set_logo,
)
from core.catalog.queries import list_tax_rates
from core.catalog.rates import proposed
from core.catalog.tax_names import named_tax
from core.database import value
from core.documents.files import get_shared_file, read_file
from core.documents.model import COLUMNS, BankAccount, Buyer, Document, DocumentKind, Line, Seller, TaxLine
from core.documents.sheet import document_page, document_pdf
from core.documents.words import legal_line
from core.errors import Invalid, NotFound, Stale
from core.texts import LANGUAGES, N_, _
from core.web.assets import load_manifest
from core.web.csp import content_security_policy, security_headers
from core.web.forms import from_form
from core.web.parts import Choice, Field, spoken
from core.web.reach import check_sees_everyone
from core.web.routing import get, post
from core.web.view import HTML, View, errors_by_field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.scope import Scope
    from core.web.view import PageView

COLUMN_NAMES: Final = {"quantity": N_("Quantity"), "price": N_("Price"), "vat": N_("Tax")}
LANGUAGE_NAMES: Final = {"en": "English", "de": "Deutsch"}
KINDS: Final = (
    Choice("invoice", N_("Invoice")),
    Choice("credit_note", N_("Credit note")),
    Choice("proforma", N_("Proforma")),
)
TEXT: Final = re.compile(r"(intro|payment|closing|legal)_([a-z]{2})")


class _Form(Struct, frozen=True, kw_only=True):
    colour: Annotated[str, Meta(max_length=7)] = ""
    quantity: bool = False
    price: bool = False
    vat: bool = False
    show_name: bool = False
    code: bool = False
    version: int = 0


@get("/settings/documents", permission="settings.view")
async def show_layout(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    return await _page(view, {})


@post("/settings/documents", permission="settings.edit")
async def save(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    await view.read()
    try:
        form = from_form(_Form, {name: view.typed[name] for name in _Form.__struct_fields__ if name in view.typed})
        await save_layout(view.scope, _fields(form, view.typed), version=form.version)
    except Stale:
        told = _("Somebody else saved this meanwhile. Load the page again; nothing was saved.")
        return await _page(view, {"": told}, status=409)
    except Invalid as error:
        return await _page(view, errors_by_field(error), status=422)
    return view.go("/settings/documents", _("Saved. Documents that were issued keep their look."))


@post("/settings/documents/logo", permission="settings.edit")
async def save_logo(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    await view.read()
    file = view.files.get("logo")
    try:
        if file is None or not file.filename:
            raise Invalid(_("Choose a file."), field="logo")
        await set_logo(view.scope, await file.read())
    except Invalid as error:
        return await _page(view, errors_by_field(error), status=422)
    return view.go("/settings/documents", _("Logo saved. Documents that were issued keep theirs."))


@post("/settings/documents/logo/removal", permission="settings.edit")
async def take_logo_away(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    await remove_logo(view.scope)
    return view.go("/settings/documents", _("Logo removed. Documents that were issued keep theirs."))


@get("/settings/documents/preview", permission="settings.view")
async def show_preview(view: View) -> Response[str]:
    """The frame of the sheet, for what is typed, and what of it is not right yet."""
    check_sees_everyone(view.scope)
    _layout, wrong = _as_typed(view, await load_layout())
    address = f"/settings/documents/sheet?{urlencode(view.query)}"
    return view.page("billing/_layout_preview.html", sheet=address, wrong=wrong)


@get("/settings/documents/sheet", permission="settings.view")
async def show_sheet(view: View) -> Response[str]:
    """A document of invented lines in the look that is typed, or saved where it is not right yet."""
    check_sees_everyone(view.scope)
    language, kind = _asked(view)
    layout, _wrong = _as_typed(view, await load_layout())
    document = await sample(view.scope, layout, language, kind)
    headers = security_headers(secure=view.secure, frames=True)
    return Response(document_page(document, css=load_manifest()("document.css")), media_type=HTML, headers=headers)


@get("/settings/documents/pdf", permission="settings.view")
async def show_pdf(view: View) -> Response[bytes]:
    """The look that is saved, as a PDF."""
    check_sees_everyone(view.scope)
    language, kind = _asked(view)
    return pdf_answer(await sample_pdf(view.scope, language, kind))


@get("/documents/colours/{colour_sheet:str}", permission="documents.view")
async def show_colour(view: View, colour_sheet: FromPath[str]) -> Response[str]:
    """The style sheet that a sheet's colour stands in: addresses may be cached for ever."""
    colour = f"#{colour_sheet.removesuffix('.css')}"
    if not COLOUR.fullmatch(colour):
        raise NotFound(f"colour {colour_sheet}")
    return Response(
        f":root {{ --brand: {colour}; }}\n",
        media_type="text/css",
        headers={"Cache-Control": "private, max-age=31536000, immutable"},
    )


@get("/documents/logos/{logo_name:str}", permission="documents.view")
async def show_logo(view: View, logo_name: FromPath[str]) -> Response[bytes]:
    """A logo that documents have or had."""
    found = re.fullmatch(r"logo-([0-9a-f]{12})\.(png|jpg|svg)", logo_name)
    file_id = found and await value(
        "SELECT min(id) FROM stored_file WHERE sha256 >= :first AND sha256 < :end AND customer_id IS NULL"
        " AND name = :name",
        first=found[1],
        end=found[1] + "g",
        name=f"logo.{found[2]}",
    )
    if not file_id:
        raise NotFound(f"logo {logo_name}")
    file = await get_shared_file(int(file_id))
    return Response(
        await read_file(view.scope, file),
        media_type=file.media_type,
        headers={
            "Cache-Control": "private, max-age=31536000, immutable",
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
        },
    )


def pdf_answer(pdf: bytes) -> Response[bytes]:
    return Response(
        pdf,
        media_type="application/pdf",
        headers={"Content-Disposition": 'inline; filename="preview.pdf"', "X-Content-Type-Options": "nosniff"},
    )


async def sample_pdf(scope: Scope, language: str, kind: DocumentKind) -> bytes:
    layout = await load_layout()
    logo = await read_logo(scope, layout)
    assets = {layout.logo_name: logo.data} if logo is not None else {}
    return await document_pdf(await sample(scope, layout, language, kind), assets=assets)


async def sample(scope: Scope, layout: DocumentLayout, language: str, kind: DocumentKind) -> Document:
    """A document of the tenant's own, of lines that were never sold."""
    seller = await default_seller(scope)
    today = scope.today()
    ppm = await _home_rate(seller.country or scope.tenant.country, today)
    first = date(today.year, today.month, 1)
    later = (first + timedelta(days=32)).replace(day=1)
    german = language == "de"
    texts = (
        ("Anschluss 300", "Router, Kauf", "Einrichtung vor Ort")
        if german
        else (
            "Fibre 300",
            "Router, bought",
            "Set-up on site",
        )
    )
    lines = tuple(
        Line(
            text=text,
            period=(first, later) if at == 0 else None,
            unit_price=Decimal(minor).scaleb(-2),
            tax_ppm=ppm,
            amount_minor=minor,
        )
        for at, (text, minor) in enumerate(zip(texts, (4500, 8900, 6000), strict=True))
    )
    named = await named_tax(seller.country)
    tax = (19400 * ppm + 500_000) // 1_000_000
    return Document(
        kind=kind,
        language=language,
        currency=scope.tenant.currency,
        number=f"{today.year}-000042",
        issued_on=today,
        due_on=today + timedelta(days=14),
        for_number=f"{today.year}-000041" if kind is DocumentKind.CREDIT_NOTE else "",
        seller=Seller(
            name=seller.name,
            legal_name=seller.name,
            address=tuple(text for text in (seller.street, f"{seller.zip} {seller.city}".strip()) if text),
            legal_line=legal_line(
                language,
                registration=seller.registration,
                tax_number=seller.tax_number,
                vat_id=seller.vat_id,
                tax=named,
            ),
            contact=" · ".join(text for text in (seller.phone, seller.email, seller.website) if text),
            logo=layout.logo_name,
        ),
        buyer=Buyer(
            name="Erika Mustermann" if german else "Tarrow & Pike Architects Ltd",
            address=("Hauptstraße 1", "1010 Wien") if german else ("4 Harbour Row", "V95 K2R7 Marlbeck"),
            customer_number="10859",
        ),
        lines=lines,
        taxes=(TaxLine(tax_ppm=ppm, net_minor=19400, tax_minor=tax),),
        net_minor=19400,
        tax_minor=tax,
        total_minor=19400 + tax,
        account=BankAccount(holder=seller.name, iban=seller.iban, bic=seller.bic) if seller.iban else None,
        notes=(seller.footer,) if seller.footer else (),
        look=look_of(layout, language),
        tax=named,
    )


async def _home_rate(country: str, today: date) -> int:
    """The standard rate that lines are charged at home; before billing has begun, the one that is proposed then."""
    rates = [each for each in await list_tax_rates(country) if each.category == "standard" and each.valid_from <= today]
    return rates[0].rate_ppm if rates else proposed(country)["standard"]


def _asked(view: PageView) -> tuple[str, DocumentKind]:
    language, kind = view.query.get("language", "en"), view.query.get("kind", "invoice")
    return (
        language if language in LANGUAGES else "en",
        DocumentKind(kind) if kind in set(DocumentKind) else DocumentKind.INVOICE,
    )


def _as_typed(view: View, saved: DocumentLayout) -> tuple[DocumentLayout, str]:
    """The look that the address says, without a colour that is not right yet, and as it is saved where more is wrong;
    with what is."""
    if "version" not in view.query:
        return saved, ""
    typed = {name: [text] for name, text in view.query.items()}
    try:
        form = from_form(_Form, {name: typed[name] for name in _Form.__struct_fields__ if name in typed})
        fields = _fields(form, typed)
    except Invalid as error:
        return saved, error.message
    wrong = ""
    try:
        check_colour(fields.colour)
    except Invalid as error:
        wrong = error.message
    return DocumentLayout(
        colour="" if wrong else fields.colour,
        columns=fields.columns,
        show_name=fields.show_name,
        code=fields.code,
        texts=fields.texts,
        logo_file_id=saved.logo_file_id,
        logo_name=saved.logo_name,
    ), wrong


def _fields(form: _Form, typed: Mapping[str, Sequence[str]]) -> LayoutFields:
    texts: dict[str, dict[str, str]] = {}
    for name, said in typed.items():
        found = TEXT.fullmatch(name)
        if found and found[2] in LANGUAGES and said:
            text = said[-1].replace("\r\n", "\n").strip()
            if len(text) > 600:
                raise Invalid(_("Use at most 600 characters."), field=name)
            texts.setdefault(found[2], {})[found[1]] = text
    return LayoutFields(
        colour=form.colour.strip().lower(),
        columns=[name for name in COLUMNS if getattr(form, name)],
        show_name=form.show_name,
        code=form.code,
        texts={language: LayoutTexts(**said) for language, said in texts.items()},
    )


def _groups(language: str) -> list[Field]:
    """The texts of one language."""
    name = LANGUAGE_NAMES.get(language, language)
    labels = {
        "intro": (_("Above the lines"), ""),
        "payment": (_("How to pay"), _("Under the bank account")),
        "closing": (_("Under the totals"), ""),
        "legal": (_("Legal lines in the foot"), _("Beside register and VAT id")),
    }
    return [
        Field(
            name=f"{key}_{language}",
            label=_("%(label)s, %(language)s", label=label, language=name),
            kind="textarea",
            max_length=600,
            help=help,
        )
        for key, (label, help) in labels.items()
    ]


async def _page(view: PageView, errors: Mapping[str, str], *, status: int = 200) -> Response[str]:
    layout = await load_layout()
    values: dict[str, object] = {
        "colour": layout.colour,
        "version": str(layout.version),
        "show_name": "yes" if layout.show_name else "",
        "code": "yes" if layout.code else "",
        **{name: "yes" if name in layout.columns else "" for name in COLUMNS},
    }
    for language in LANGUAGES:
        texts = layout.texts.get(language, LayoutTexts())
        values |= {f"{name}_{language}": getattr(texts, name) for name in LayoutTexts.__struct_fields__}
    if view.typed:
        ticks = ("show_name", "code", *COLUMNS)
        values = {**values, **dict.fromkeys(ticks, "")} | view.shown()
    look = [
        Field(name="colour", label=_("Colour"), max_length=7, help=_("Like #0b6b60; empty: black alone")),
        *(
            Field(name=key, label=_("Column: %(name)s", name=_(label)), kind="check")
            for key, label in COLUMN_NAMES.items()
        ),
        Field(name="show_name", label=_("Name beside the logo"), kind="check"),
        Field(
            name="code",
            label=_("Code for bank transfers"),
            kind="check",
            help=_("On invoices in euro, where the seller has an IBAN and something is open"),
        ),
    ]
    answer = view.page(
        "billing/layout.html",
        status=status,
        layout=layout,
        fields=look,
        texts=[(language, LANGUAGE_NAMES.get(language, language), _groups(language)) for language in LANGUAGES],
        values=values,
        errors=errors,
        languages=[Choice(language, LANGUAGE_NAMES.get(language, language)) for language in LANGUAGES],
        kinds=spoken(KINDS),
        language=view.scope.locale[:2] if view.scope.locale[:2] in LANGUAGES else "en",
        may_change=view.scope.may("settings.edit"),
    )
    answer.headers["Content-Security-Policy"] = f"{content_security_policy()}; frame-src 'self'"
    return answer


HANDLERS = (
    show_layout,
    save,
    save_logo,
    take_logo_away,
    show_preview,
    show_sheet,
    show_pdf,
    show_colour,
    show_logo,
)
