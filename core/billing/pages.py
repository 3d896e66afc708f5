"""What the pages of documents show: states in words, lines as they are read and typed, what can be done."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from babel import Locale
from msgspec import Meta, Struct

from core.billing.schemas import ONE_E6, NewLine
from core.billing.sheets import price_of
from core.catalog.pages import cycle_words
from core.database import row
from core.errors import FieldError, Invalid
from core.ids import LARGEST_ID, sort_key
from core.money import exponent, format_amount, format_money
from core.subscriptions.pages import period_words
from core.texts import N_, _, figures, ngettext, pgettext
from core.web.amounts import Fields, amount_text, decimal_text, percent_text, typed_amount, typed_decimal
from core.web.forms import checked
from core.web.parts import Choice, Field, Figure, Head, Pill
from core.web.templating import written

if TYPE_CHECKING:
    from core.billing.actions.notes import Left
    from core.billing.schemas import DocumentDetail, DocumentRow, LineRow
    from core.catalog.schemas import PriceRow, ProductRow, TaxCategoryRow
    from core.payments.schemas import MethodRow, NamingRow
    from core.subscriptions.schemas import ChargeRow

PILLS: Final[dict[str, Pill]] = {
    "draft": Pill(N_("Draft"), "lead"),
    "open": Pill(N_("Issued"), "new"),
    "partly_paid": Pill(N_("Partly paid"), "warn"),
    "paid": Pill(N_("Paid"), "live"),
    "credited": Pill(N_("Void"), "ended"),
    "written_off": Pill(N_("Written off"), "ended"),
    "overdue": Pill(N_("Overdue"), "blocked"),
    "invoiced": Pill(N_("Invoice issued"), "ended"),
    "superseded": Pill(N_("Superseded"), "ended"),
    "expired": Pill(N_("Expired"), "ended"),
}
KINDS: Final = {
    "invoice": N_("Invoice"),
    "credit_note": N_("Credit note"),
    "proforma": N_("Proforma"),
    "opening": N_("Taken over"),
}
SETTLED_BY: Final = {
    "payment": N_("Payment"),
    "credit_note": N_("Credit note"),
    "goodwill": N_("Goodwill"),
    "deposit": N_("Deposit"),
    "transfer": N_("Transfer"),
    "opening": N_("Credit taken over"),
    "bad_debt": N_("Written off"),
    "small_difference": N_("Small difference"),
}
MOST_LINES: Final = 500
BLANK: Final = 3
"""Rows to fill in under the lines of a draft."""


def pill_of(document: DocumentRow, today: date) -> Pill:
    """The state of a document as a person sees it."""
    if document.kind == "credit_note" and document.state == "issued":
        return Pill(_("Issued"), "live")
    if document.settlement == "overdue" and document.due_on is not None:
        days = (today - document.due_on).days
        return Pill(ngettext("Overdue %(num)s day", "Overdue %(num)s days", days), "blocked")
    pill = PILLS[document.settlement]
    return Pill(_(pill.label), pill.kind)


def title_of(document: DocumentRow) -> str:
    """Invoice 2026-000042, Draft of an invoice."""
    if document.number:
        return f"{_(KINDS[document.kind])} {document.number}"
    drafts = {
        "invoice": _("Draft of an invoice"),
        "credit_note": _("Draft of a credit note"),
        "proforma": _("Draft of a proforma"),
    }
    return drafts[document.kind]


class DocumentItem(Struct, frozen=True, kw_only=True):
    """A document in a list. A credit note has its amount below 0."""

    id: int
    number: str
    kind: str
    payer_id: int
    payer: str
    issued_on: date | None
    due_on: date | None
    pill: Pill
    amount: str
    open: str
    """Empty where nothing is open."""
    currency: str
    is_open: bool
    is_issued: bool


def item_of(document: DocumentRow, today: date) -> DocumentItem:
    minor = -document.total_minor if document.kind == "credit_note" else document.total_minor
    return DocumentItem(
        id=document.id,
        number=document.number or _("Draft"),
        kind=_(KINDS[document.kind]),
        payer_id=document.payer_id,
        payer=document.payer,
        issued_on=document.issued_on,
        due_on=document.due_on if document.kind != "credit_note" else None,
        pill=pill_of(document, today),
        amount=format_amount(minor, document.currency),
        open=format_amount(document.open_minor, document.currency) if document.open_minor else "",
        currency=document.currency,
        is_open=document.open_minor > 0,
        is_issued=document.state == "issued",
    )


def heads_of_customer(currency: str) -> list[Head]:
    """Heads of the table of one customer's documents; the currency stands in them where it is the same everywhere."""
    return [
        Head(label=_("Number"), cls="c-name"),
        Head(label=_("Kind")),
        Head(label=_("Issued")),
        Head(label=_("Due"), cls="c-meta"),
        Head(label=_("Status"), cls="c-status"),
        Head(label=_("Amount, %(currency)s", currency=currency) if currency else _("Amount"), number=True),
        Head(
            label=_("Open, %(currency)s", currency=currency) if currency else pgettext("invoice", "Open"),
            number=True,
            cls="c-amount",
        ),
    ]


class Totals(Struct, frozen=True, kw_only=True):
    """Sums of the documents of a page, where they are in one currency."""

    count: int
    amount: str
    open: str


def totals_of(documents: Sequence[DocumentRow]) -> Totals | None:
    currencies = {document.currency for document in documents}
    if len(currencies) != 1:
        return None
    (currency,) = currencies
    issued = [document for document in documents if document.state == "issued"]
    total = sum(-each.total_minor if each.kind == "credit_note" else each.total_minor for each in issued)
    return Totals(
        count=len(issued),
        amount=format_amount(total, currency),
        open=format_amount(sum(each.open_minor for each in issued), currency),
    )


# -- an issued document -----------------------------------------------------------------------------------------------


class LineItem(Struct, frozen=True, kw_only=True):
    """A line of a document as it is read."""

    position: int
    text: str
    detail: str
    quantity: str
    price: str
    less: str
    tax: str
    amount: str


class TaxItem(Struct, frozen=True, kw_only=True):
    rate: str
    net: str
    tax: str
    note: str


class SettledItem(Struct, frozen=True, kw_only=True):
    """What settled some of a document."""

    text: str
    href: str
    on: date
    amount: str
    undone: bool
    allocation_id: int
    """0 where it cannot be taken back."""


def line_items(document: DocumentDetail, locale: str) -> list[LineItem]:
    return [_line_item(line, document, locale) for line in document.lines]


def _line_item(line: LineRow, document: DocumentDetail, locale: str) -> LineItem:
    details = [
        line.beneficiary or "" if line.beneficiary_id not in (None, document.payer_id) else "",
        period_words(line.period_from, line.period_to, locale)
        if line.period_from is not None and line.period_to is not None
        else _("one period from activation")
        if line.kind == "recurring"
        else "",
        days_words(line.days, line.of_days),
        _("tax included") if line.tax_inclusive and line.rate_ppm else "",
    ]
    return LineItem(
        position=line.position,
        text=line.description,
        detail=" · ".join(text for text in details if text),
        quantity=figures(decimal_text(line.quantity_e6, 6)),
        price=""
        if (price := price_of(line, document)) is None
        else _price_text(int(price * ONE_E6), document.currency),
        less=_("less %(amount)s", amount=format_amount(line.discount_minor, document.currency))
        if line.discount_minor
        else "",
        tax="–" if line.tax_code == "O" or not line.tax_code else percent_text(line.rate_ppm),
        amount=format_amount(line.amount_minor, document.currency),
    )


def days_words(days: int, of_days: int) -> str:
    """By what the price of a full period is multiplied; nothing for a full one."""
    if days == of_days:
        return ""
    if not days:
        return _("part of a period, not charged")
    if days < of_days:
        return _("%(days)s of %(full)s days", days=days, full=of_days)
    return _("%(days)s days, price for %(full)s", days=days, full=of_days)


def _price_text(unit_price_e6: int, currency: str) -> str:
    """A unit price with the decimals of its currency at least."""
    text = decimal_text(abs(unit_price_e6), 6)
    whole, __, rest = text.partition(".")
    rest = rest.ljust(exponent(currency), "0")
    return figures(f"{'−' if unit_price_e6 < 0 else ''}{int(whole):,}{'.' if rest else ''}{rest}")


def tax_items(document: DocumentDetail) -> list[TaxItem]:
    notes = {"AE": _("reverse charge"), "E": _("exempt"), "O": _("not taxed")}
    return [
        TaxItem(
            rate="–" if tax.category == "O" else percent_text(tax.rate_ppm),
            net=format_amount(tax.net_minor, document.currency),
            tax=format_amount(tax.tax_minor, document.currency),
            note=notes.get(tax.category, ""),
        )
        for tax in document.taxes
    ]


def settled_items(document: DocumentDetail) -> list[SettledItem]:
    paths = {"payment": "/payments/{}", "credit_note": "/invoices/{}"}
    return [
        SettledItem(
            text=_(SETTLED_BY.get(each.kind, each.kind)),
            href=paths[each.kind].format(each.source_id) if each.kind in paths else "",
            on=each.on,
            amount=format_amount(each.amount_minor, document.currency),
            undone=each.undone,
            allocation_id=each.id if not each.undone and each.kind not in ("bad_debt", "small_difference") else 0,
        )
        for each in document.settled_by
    ]


class NamedItem(Struct, frozen=True, kw_only=True):
    """Money that came for a proforma, and what became of it."""

    payment_id: int
    text: str
    on: date
    amount: str
    fates: list[tuple[str, str]]
    """Sentences, each with the address of what it names; "" for none."""


def named_items(found: Sequence[NamingRow]) -> list[NamedItem]:
    """Of each payment one item, in its order."""
    items = []
    for __, each in groupby(found, key=lambda row: row.id):
        settled = list(each)
        payment = settled[0]
        fates = [
            (
                _("%(amount)s settled %(number)s", amount=_amount(row.settled_minor, row), number=row.number),
                f"/invoices/{row.document_id}",
            )
            for row in settled
            if row.settled_minor
        ]
        if payment.free_minor:
            fates.append((_("%(amount)s is free credit", amount=_amount(payment.free_minor, payment)), ""))
        if payment.reversed_minor:
            fates.append((_("%(amount)s was reversed", amount=_amount(payment.reversed_minor, payment)), ""))
        items.append(
            NamedItem(
                payment_id=payment.id,
                text=payment.method_name,
                on=payment.received_on,
                amount=_amount(payment.amount_minor, payment),
                fates=fates,
            )
        )
    return items


def _amount(minor: int, row: NamingRow) -> str:
    return format_amount(minor, row.currency)


class Received(Struct, frozen=True, kw_only=True):
    """What came for a proforma and was not reversed, what of it is free, and whether that is all that it asks for."""

    minor: int
    free_minor: int
    enough: bool


def received_for(document: DocumentDetail, found: Sequence[NamingRow]) -> Received:
    payments = {each.id: each for each in found}.values()
    free = sum(each.free_minor for each in payments)
    return Received(
        minor=sum(each.amount_minor - each.reversed_minor for each in payments),
        free_minor=free,
        enough=free >= document.total_minor,
    )


class Party(Struct, frozen=True, kw_only=True):
    """The buyer as it was on issue."""

    name: str
    address: str
    vat_id: str


def buyer_of(document: DocumentDetail, locale: str) -> Party | None:
    """None for a draft, and once the time to keep it is over."""
    if not document.buyer:
        return None
    said = msgspec.json.decode(document.buyer, type=dict[str, Any])
    country = str(said.get("country") or "")
    names = Locale.parse(locale.replace("-", "_")).territories
    parts = [
        said.get("street") or "",
        f"{said.get('zip') or ''} {said.get('city') or ''}".strip(),
        str(names.get(country, country)),
    ]
    return Party(
        name=str(said.get("company") or said.get("name") or ""),
        address=", ".join(part for part in parts if part),
        vat_id=str(said.get("vat_id") or ""),
    )


def facts_of(
    document: DocumentDetail, today: date, locale: str, sent: str, received: Received | None = None
) -> list[dict[str, str]]:
    """The line of facts under the head; with what was `received` for a proforma."""
    money = format_money(document.total_minor, document.currency, locale)
    if document.state == "draft":
        return [
            {"label": _("Customer"), "value": document.payer},
            {"label": _("Total now"), "value": money},
            {
                "label": _("Due"),
                "value": ngettext("%(num)s day after issue", "%(num)s days after issue", document.terms_days)
                if document.terms_days is not None
                else _("on the customer's terms"),
            },
        ]
    facts = []
    if document.kind in ("invoice", "opening"):
        open_now = format_money(document.open_minor, document.currency, locale)
        facts.append(
            {
                "label": pgettext("invoice", "Open"),
                "value": _("%(open)s of %(total)s", open=open_now, total=money),
                "tone": "owes" if document.settlement == "overdue" else "",
            }
        )
    else:
        facts.append({"label": _("Total"), "value": money})
    if received is not None:
        facts.append({"label": _("Received"), "value": format_money(received.minor, document.currency, locale)})
    if document.issued_on is not None:
        facts.append({"label": _("Issued"), "value": written(document.issued_on, locale)})
    if document.due_on is not None and document.kind != "credit_note":
        facts.append({"label": _("Due"), "value": _due(document, document.due_on, today, locale)})
    facts.append({"label": _("E-mail"), "value": sent or pgettext("e-mail", "None")})
    spans = [(line.period_from, line.period_to) for line in document.lines if line.period_from and line.period_to]
    if spans:
        first, end = min(start for start, __ in spans), max(stop for __, stop in spans)
        facts.append({"label": _("Period"), "value": period_words(first, end, locale)})
    return facts


def _due(document: DocumentDetail, on: date, today: date, locale: str) -> str:
    day, days = written(on, locale), (on - today).days
    if not document.open_minor or days < 0:
        return day
    if days == 0:
        return _("%(day)s, today", day=day)
    return ngettext("%(day)s, in %(num)s day", "%(day)s, in %(num)s days", days, day=day)


class StoredPdf(Struct, frozen=True):
    """The stored rendering of a document."""

    sha256: str
    path: str
    created_at: datetime


async def find_pdf(document_id: int) -> StoredPdf | None:
    """The document's PDF as it was stored; none while it is not made yet. For documents that were found in reach."""
    return await row(
        StoredPdf,
        "SELECT sha256, path, created_at FROM document_file WHERE document_id = :id AND format = 'pdf'",
        id=document_id,
    )


# -- a draft ----------------------------------------------------------------------------------------------------------

Typed = Annotated[str, Meta(max_length=40)]


class DraftForm(Struct, frozen=True, kw_only=True):
    """What stands beside the lines of a draft."""

    terms_days: Annotated[int, Meta(ge=0, le=365)] | None = None
    reference: Annotated[str, Meta(max_length=200)] = ""
    note: Annotated[str, Meta(max_length=2000)] = ""
    version: int = 0


class TypedLine(Struct, frozen=True, kw_only=True):
    """A free line in the fields of a draft."""

    at: int
    product: str = ""
    """The id of the product that it was filled in from; empty for a line of one's own."""
    description: str = ""
    quantity: str = ""
    price: str = ""
    discount: str = ""
    tax_category: str = ""
    tax_inclusive: str = ""
    period_from: str = ""
    period_to: str = ""
    amount: str = ""
    days: str = ""
    """Where it charges a part of a period: how many days of how many."""

    @property
    def more(self) -> bool:
        """Whether something is set that mostly is not."""
        return bool(self.tax_inclusive or self.period_from or self.tax_category not in ("", "standard"))

    @property
    def is_empty(self) -> bool:
        return not (self.description or self.price)


MOST_SUGGESTED: Final = 8
_LINE: Final = re.compile(
    r"line-(\d{1,3})-(product|description|quantity|price|discount|tax_category|tax_inclusive|period_from|period_to)"
)
NAMES: Final = {
    "product_id": "description",
    "description": "description",
    "quantity_e6": "quantity",
    "unit_price_e6": "price",
    "discount_minor": "discount",
    "tax_category": "tax_category",
    "period_to": "period_to",
    "period_from": "period_from",
}
"""Fields of a line by the names that they have in a form."""


def typed_lines(typed: Mapping[str, Sequence[str]]) -> list[TypedLine]:
    """The free lines of a form, in their order."""
    by_line: dict[int, dict[str, str]] = {}
    for name, texts in typed.items():
        found = _LINE.fullmatch(name)
        if found and texts:
            by_line.setdefault(int(found[1]), {})[found[2]] = texts[-1].strip()[:500]
    return [TypedLine(at=at, **by_line[at]) for at in sorted(by_line)]


def free_lines(document: DocumentDetail) -> list[TypedLine]:
    """The free lines of a draft as they are typed."""
    return typed_of([line for line in document.lines if line.charge_id is None], document.currency)


def typed_of(lines: Sequence[LineRow], currency: str) -> list[TypedLine]:
    """Lines of a document as they are typed."""
    return [
        TypedLine(
            at=at,
            product=str(line.product_id or ""),
            description=line.description,
            quantity=decimal_text(line.quantity_e6, 6),
            price=_typed_price(line.unit_price_e6, currency),
            discount=decimal_text_of(line.discount_minor, currency),
            tax_category=line.tax_category,
            tax_inclusive="yes" if line.tax_inclusive else "",
            period_from=line.period_from.isoformat() if line.period_from else "",
            period_to=(line.period_to - timedelta(days=1)).isoformat() if line.period_to else "",
            amount=format_amount(line.amount_minor, currency),
        )
        for at, line in enumerate(lines)
    ]


def _typed_price(unit_price_e6: int, currency: str) -> str:
    """12.50; with more places only where it has them: 0.0125."""
    minor, finer = divmod(unit_price_e6, 10 ** (6 - exponent(currency)))
    return amount_text(minor, currency) if not finer else figures(decimal_text(unit_price_e6, 6))


def decimal_text_of(minor: int, currency: str) -> str:
    return amount_text(minor, currency) if minor else ""


LINE_LABELS: Final = {
    "description": N_("description"),
    "quantity": N_("quantity"),
    "price": N_("price of one"),
    "discount": N_("discount"),
    "tax_category": N_("tax"),
    "period_from": N_("first day"),
    "period_to": N_("last day"),
}


def labels_of(errors: Mapping[str, str]) -> dict[str, str]:
    """How the fields of a draft are called where their errors are listed."""
    labels = {"terms_days": _("Days to pay"), "reference": _("Reference"), "note": _("Note")}
    for name in errors:
        found = _LINE.fullmatch(name)
        if found:
            label = _(LINE_LABELS.get(found[2], found[2]))
            labels[name] = _("Line %(line)s, %(label)s", line=int(found[1]) + 1, label=label)
    return labels


def with_blanks(lines: Sequence[TypedLine], count: int = BLANK) -> list[TypedLine]:
    """The lines that are filled in, and some to fill in."""
    filled = [line for line in lines if not line.is_empty]
    after = max((line.at for line in filled), default=-1) + 1
    return [*filled, *(TypedLine(at=at, quantity="1") for at in range(after, after + count))]


def new_lines(lines: Sequence[TypedLine], currency: str, locale: str) -> list[NewLine]:
    """The lines that were filled in. Raises Invalid with `line-2-price` for each field that is wrong."""
    filled = [line for line in lines if not line.is_empty]
    if len(filled) > MOST_LINES:
        raise Invalid(_("An invoice has at most %(most_lines)s lines.", most_lines=MOST_LINES), field="")
    found: list[NewLine] = []
    errors: list[FieldError] = []
    for line in filled:
        try:
            found.append(_new_line(line, currency, locale))
        except Invalid as error:
            errors.extend(
                FieldError(f"line-{line.at}-{NAMES.get(fault.field, fault.field)}", fault.message)
                for fault in error.errors
            )
    if errors:
        raise Invalid(errors=errors)
    return found


def _new_line(line: TypedLine, currency: str, locale: str) -> NewLine:
    with Fields() as read:
        quantity = read("quantity", typed_decimal, line.quantity, 6, default=1_000_000)
        price = read("price", _unit_price, line.price, default=0)
        discount = read("discount", typed_amount, line.discount, currency, locale, default=0)
        first = read("period_from", _day, line.period_from, default=None)
        last = read("period_to", _day, line.period_to, default=None)
        if not line.description:
            read.wrong("description", _("Fill this in."))
        if not line.price:
            read.wrong("price", _("Fill this in."))
    return checked(
        NewLine,
        {
            "product_id": _product(line.product),
            "description": line.description,
            "quantity_e6": quantity,
            "unit_price_e6": price,
            "discount_minor": discount,
            "tax_category": line.tax_category or None,
            "tax_inclusive": bool(line.tax_inclusive),
            "period_from": first,
            "period_to": last + timedelta(days=1) if last is not None else None,
        },
    )


def _product(text: str) -> int | None:
    return int(text) if text.isdecimal() and 0 < int(text) <= LARGEST_ID else None


def _unit_price(text: str) -> int:
    return typed_decimal(text, 6, most=10**16)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid(_("Type a date as year, month, day: 2026-11-30.")) from None


def at_their_lines(error: Invalid, lines: Sequence[TypedLine]) -> Invalid:
    """Errors of the domain about the n-th line, at the fields of the form."""
    filled = [line for line in lines if not line.is_empty]
    renamed = []
    for fault in error.errors:
        found = re.fullmatch(r"lines\.(\d+)\.(\w+)", fault.field)
        if found and int(found[1]) < len(filled):
            name = f"line-{filled[int(found[1])].at}-{NAMES.get(found[2], found[2])}"
            renamed.append(FieldError(name, fault.message))
        else:
            renamed.append(fault)
    return Invalid(error.message, errors=renamed) if renamed else error


class ChargeChoice(Struct, frozen=True, kw_only=True):
    """A charge that a draft takes up, or may take up."""

    id: int
    text: str
    period: str
    amount: str
    taken: bool


def charge_choices(
    document: DocumentDetail | None, open_charges: Sequence[ChargeRow], currency: str, locale: str, chosen: set[int]
) -> list[ChargeChoice]:
    """The charges on the draft first, then the open ones."""
    held = [] if document is None else [line for line in document.lines if line.charge_id is not None]
    return [
        *(
            ChargeChoice(
                id=line.charge_id or 0,
                text=line.description,
                period=period_words(line.period_from, line.period_to, locale)
                if line.period_from is not None and line.period_to is not None
                else "",
                amount=format_amount(line.amount_minor, currency),
                taken=(line.charge_id or 0) in chosen,
            )
            for line in held
        ),
        *(
            ChargeChoice(
                id=charge.id,
                text=charge.description,
                period=period_words(charge.period_start, charge.period_end, locale)
                if charge.period_start is not None and charge.period_end is not None
                else "",
                amount=format_amount(charge.amount_minor, currency),
                taken=charge.id in chosen,
            )
            for charge in open_charges
            if charge.currency == currency
        ),
    ]


def charge_ids(typed: Mapping[str, Sequence[str]]) -> list[int]:
    """The charges that were ticked."""
    return [int(text) for text in typed.get("charge_ids", ()) if text.isdecimal() and len(text) < 19]


def tax_choices(categories: Sequence[TaxCategoryRow]) -> list[Choice]:
    return [Choice(category.code, category.name) for category in categories]


def product_choices(products: Sequence[ProductRow]) -> list[Choice]:
    return [Choice(str(product.id), product.name) for product in products]


class ProductOption(Struct, frozen=True, kw_only=True):
    """A product at one of its prices, to fill in a line of a draft; `fill`: its fields by their names."""

    value: str
    label: str
    detail: str
    fill: dict[str, str]


def product_options(
    at: int, products: Sequence[ProductRow], prices: Sequence[PriceRow], typed: str, locale: str
) -> list[ProductOption]:
    """Those whose name or code holds what was typed, each with its prices, for the line `at`."""
    key = sort_key(typed)
    by_product: dict[int, list[PriceRow]] = {}
    for price in prices:
        by_product.setdefault(price.product_id, []).append(price)
    return [
        ProductOption(
            value=product.name,
            label=product.name,
            detail=f"{format_money(price.amount_minor, price.currency, locale)} "
            f"{cycle_words(price.cycle_unit, price.cycle_count)}",
            fill={
                f"line-{at}-product": str(product.id),
                f"line-{at}-price": amount_text(price.amount_minor, price.currency),
                f"line-{at}-tax_category": product.tax_category,
                f"line-{at}-tax_inclusive": "yes" if price.tax_inclusive else "",
            },
        )
        for product in products
        if key in sort_key(f"{product.name} {product.code}")
        for price in by_product.get(product.id, ())
    ][:MOST_SUGGESTED]


# -- drawers ----------------------------------------------------------------------------------------------------------

CHARGES: Final = (
    Choice("waive", N_("Waived: their days stay covered")),
    Choice("bill_again", N_("Billed again with the next run")),
)


class Deletion(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    charges: Literal["waive", "bill_again"] = "bill_again"
    seen: Annotated[str, Meta(max_length=20_000)] = ""


class Voiding(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    reason: Annotated[str, Meta(max_length=500)] = ""
    charges: Literal["waive", "bill_again"] = "waive"
    late_fees: Literal["keep", "credit"] = "credit"
    refund: Typed = ""
    refund_method: Annotated[str, Meta(max_length=60)] = "transfer"
    seen: Annotated[str, Meta(max_length=20_000)] = ""


class WritingOff(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    reason: Annotated[str, Meta(max_length=500)] = ""
    amount: Typed = ""
    seen: Annotated[str, Meta(max_length=20_000)] = ""


def figures_of_customer(
    documents: Sequence[DocumentRow], credit_minor: int, currency: str, today: date, locale: str
) -> list[Figure]:
    """Open, overdue, credit: the first figures of the tab Transactions. `documents`: those that are open."""
    overdue = [each for each in documents if each.settlement == "overdue"]
    oldest = max(((today - each.due_on).days for each in overdue if each.due_on is not None), default=0)

    def money(minor: int) -> str:
        return format_money(minor, currency, locale)

    return [
        Figure(
            label=pgettext("invoice", "Open"),
            value=money(sum(each.open_minor for each in documents)),
            detail=ngettext("%(num)s invoice", "%(num)s invoices", len(documents))
            if documents
            else _("nothing is due"),
        ),
        Figure(
            label=_("Overdue"),
            value=money(sum(each.open_minor for each in overdue)),
            detail=ngettext("%(num)s day", "%(num)s days", oldest) if overdue else _("nothing"),
            tone="owes" if overdue else "",
        ),
        Figure(
            label=_("Credit"),
            value=money(credit_minor),
            detail=_("pays the next invoice") if credit_minor else _("nothing unallocated"),
            tone="plus" if credit_minor else "",
        ),
    ]


def field_of_line(line_id: int) -> str:
    return f"line_{line_id}"


def credit_fields(left: Sequence[Left], currency: str) -> list[Field]:
    """One amount a line of the invoice, all that is left of it beforehand."""
    return [
        Field(
            name="reason",
            label=_("Reason"),
            required=True,
            max_length=500,
            wide=True,
            help=_("Stands on the credit note"),
        ),
        *(
            Field(
                name=field_of_line(line.id),
                label=f"{line.position}. {line.description}",
                kind="money",
                value=decimal_text_of(left_of(line), currency),
                help=_("Left %(amount)s, tax included", amount=format_amount(left_of(line), currency))
                if line.tax_inclusive
                else _("Left %(amount)s, net", amount=format_amount(left_of(line), currency)),
            )
            for line in left
            if left_of(line)
        ),
    ]


def paying_back_fields(methods: Sequence[MethodRow], currency: str) -> list[Field]:
    """How much of what becomes free is paid back at once; the rest stays credit."""
    return [
        Field(
            name="refund",
            label=_("Pay back, %(currency)s", currency=currency),
            kind="money",
            help=_("What becomes free and is not paid back stays credit"),
        ),
        Field(
            name="refund_method",
            label=_("Paid back by"),
            kind="select",
            value=methods[0].code if methods else "",
            choices=[Choice(method.code, method.name) for method in methods],
        ),
    ]


def left_of(line: Left) -> int:
    """What can be credited of a line: net, or with tax where the line is so."""
    return line.net_minor + line.tax_minor if line.tax_inclusive else line.net_minor
