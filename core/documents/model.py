"""What a document says: typed values in (`Document`), plain text out (`DocumentView`).

One template shows that, as a page and as a PDF.
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Final

from msgspec import Struct
from segno import helpers

from core.documents.formats import Formats
from core.documents.words import VAT, NamedTax, Words, supplied_for, words_for

EPC_LARGEST_MINOR: Final = 99_999_999_999
"""999,999,999.99: what the code for a bank transfer can carry."""
WINDOW_LINES: Final = 7
WINDOW_LETTERS: Final = 44
"""Lines of an address, and letters of a line, that the window of an envelope shows in the usual size."""
SHORT_NAME: Final = 7
"""Letters of the tax's name that its column of the lines holds: “GST/HST”."""
LONG_AMOUNT: Final = 10
"""Characters of an amount that the usual columns hold: “100,000.00”."""


class DocumentKind(StrEnum):
    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    PROFORMA = "proforma"


COLUMNS: Final = ("quantity", "price", "vat")
"""Columns of the lines that can be left out."""


class Look(Struct, frozen=True, kw_only=True):
    """How a document looks, and what it says beside its figures, in its language."""

    colour: str = ""
    """#0b6b60; empty: plain."""
    columns: tuple[str, ...] = COLUMNS
    show_name: bool = True
    """The seller's name beside the logo."""
    code: bool = True
    """A code for bank transfers, where there can be one."""
    intro: str = ""
    payment: str = ""
    closing: str = ""
    legal: str = ""


class Seller(Struct, frozen=True, kw_only=True):
    """Who the document is from, as it was on its day."""

    name: str
    """The name customers know, beside the logo."""
    legal_name: str
    address: tuple[str, ...]
    """Street; ZIP and city."""
    legal_line: str = ""
    """Register, VAT id: in the foot of each page, after the legal name."""
    contact: str = ""
    """A sentence: “Questions? 065 555 0100 or accounts@marlbeck.example.”"""
    logo: str = ""
    """Name of an asset given to the renderer, or an address on the page. Empty: no picture."""


class Buyer(Struct, frozen=True, kw_only=True):
    """Who it is for, as it was on its day."""

    name: str
    address: tuple[str, ...]
    """The lines under the name, ready for an envelope."""
    customer_number: str = ""
    vat_id: str = ""
    order: str = ""
    """The buyer's own order number."""

    @property
    def is_long(self) -> bool:
        """Its address needs smaller letters to be seen through the window of an envelope."""
        lines = (self.name, *self.address)
        return sum(max(1, -(-len(text) // WINDOW_LETTERS)) for text in lines) > WINDOW_LINES


class BankAccount(Struct, frozen=True, kw_only=True):
    holder: str
    iban: str
    bic: str = ""


class Line(Struct, frozen=True, kw_only=True):
    """One line. `amount_minor` is net, or gross when prices include tax."""

    text: str
    detail: str = ""
    period: tuple[date, date] | None = None
    """Half-open."""
    days: tuple[int, int] = (1, 1)
    """How many days of how many days of a full period it charges; (1, 1): all, or it is nothing by days."""
    period_text: str = ""
    """In place of a period that has no dates yet: “one month from activation”."""
    quantity: Decimal = Decimal(1)
    unit: str = ""
    unit_price: Decimal | None
    """Major units, may be finer than a minor unit. None: there is no price that the quantity makes the amount of."""
    discount_ppm: int = 0
    discount_minor: int = 0
    """A discount that is no percentage."""
    tax_ppm: int | None = None
    """None: outside the scope of tax."""
    amount_minor: int
    price_includes_tax: bool = False
    """Its price and discount are with tax, though the amounts of the document are without."""
    group: str = ""
    """Heading over lines that belong together: the child a payer pays for."""


class TaxLine(Struct, frozen=True, kw_only=True):
    """The sum of one rate."""

    tax_ppm: int | None
    net_minor: int
    tax_minor: int
    note: str = ""
    """What the law wants said: “Reverse charge: the recipient owes the tax.”"""


class TaxInCurrency(Struct, frozen=True, kw_only=True):
    """The tax stated in the tenant's tax currency as well, at the official rate of the tax date."""

    currency: str
    tax_minor: int
    rate: Decimal


class Document(Struct, frozen=True, kw_only=True):
    """One invoice, credit note or proforma. A draft has no number."""

    kind: DocumentKind
    language: str
    currency: str
    seller: Seller
    buyer: Buyer
    lines: tuple[Line, ...]
    taxes: tuple[TaxLine, ...]
    net_minor: int
    tax_minor: int
    total_minor: int
    number: str | None = None
    issued_on: date | None = None
    tax_date: date | None = None
    """Only where it differs from the date of issue."""
    due_on: date | None = None
    for_number: str = ""
    """The invoice that a credit note corrects, or that this one takes the place of."""
    prices_include_tax: bool = False
    rounding_minor: int = 0
    """Cash rounding, part of the total and outside tax."""
    settled_minor: int = 0
    """Paid or credited before the document was made."""
    tax_in_currency: TaxInCurrency | None = None
    account: BankAccount | None = None
    pay_text: str = ""
    """In place of “transfer to”: “We collect it by direct debit on 29 Dec 2026.” No code is printed then."""
    pay_link: str = ""
    """Where it can be paid online."""
    notes: tuple[str, ...] = ()
    look: Look = Look()
    tax: NamedTax = VAT
    """What its tax is called."""

    @property
    def open_minor(self) -> int:
        return self.total_minor - self.settled_minor


class Fact(Struct, frozen=True):
    label: str
    value: str
    strong: bool = False


class LineView(Struct, frozen=True, kw_only=True):
    number: str
    text: str
    detail: str
    period: str
    days: str
    """“17 of 30 days”, where it charges so many of a full period."""
    quantity: str
    unit: str
    price: str
    less: str
    with_tax: str
    """“incl. VAT”, where the price is so and the amount is not."""
    tax: str
    amount: str
    carried: str
    """The sum of the lines up to this one: where a page ends behind it, and the next begins."""
    group: str
    """Only on the first line of its group."""


class TaxView(Struct, frozen=True):
    label: str
    net: str
    tax: str
    gross: str


class PayView(Struct, frozen=True, kw_only=True):
    heading: str
    text: str
    rows: tuple[Fact, ...]
    code: str
    """SVG of the code for a bank transfer, made here: safe to print as it is. Empty: none."""
    link: str = ""


class DocumentView(Struct, frozen=True, kw_only=True):
    """Everything the template shows: text that is ready to print."""

    kind: DocumentKind
    language: str
    words: Words
    title: str
    watermark: str
    seller: Seller
    sender_line: str
    buyer: Buyer
    facts: tuple[Fact, ...]
    lines: tuple[LineView, ...]
    wide: bool
    """Some amounts are too long for the usual columns."""
    amount_head: str
    tax_head: str
    """What the tax is called, where the narrow column has room for it."""
    taxes: tuple[TaxView, ...]
    totals: tuple[Fact, ...]
    pay: PayView | None
    notes: tuple[str, ...]
    look: Look
    span: int
    """How many columns the lines have."""
    foot: str
    created: str
    """The day, ISO: it becomes the PDF's date, so that the same document is always the same file."""


def view_of(document: Document) -> DocumentView:
    """The text of a document in its language. Pure: the same document always gives the same view."""
    words = words_for(document.language, document.tax)
    formats = Formats(document.language, document.currency)
    seller = document.seller
    lines = _lines(document, words, formats)
    return DocumentView(
        kind=document.kind,
        language=document.language,
        words=words,
        title=_title(document, words),
        watermark="" if document.number else words.draft,
        seller=seller,
        sender_line=", ".join((seller.legal_name, *seller.address)),
        buyer=document.buyer,
        facts=_facts(document, words, formats),
        lines=lines,
        wide=any(len(text) > LONG_AMOUNT for line in lines for text in (line.price, line.amount)),
        amount_head=f"{words.gross if document.prices_include_tax else words.net}, {document.currency}",
        tax_head=words.vat if len(words.vat) <= SHORT_NAME else words.tax,
        taxes=tuple(_tax(tax, formats) for tax in document.taxes),
        totals=_totals(document, words, formats),
        pay=_pay(document, words, formats),
        notes=_notes(document, words, formats),
        look=document.look,
        span=3 + sum(name in document.look.columns for name in COLUMNS),
        foot=" · ".join(filter(None, (seller.legal_name, seller.legal_line, *document.look.legal.splitlines()))),
        created=document.issued_on.isoformat() if document.issued_on else "",
    )


def _title(document: Document, words: Words) -> str:
    kind = {
        DocumentKind.INVOICE: words.invoice,
        DocumentKind.CREDIT_NOTE: words.credit_note,
        DocumentKind.PROFORMA: words.proforma,
    }[document.kind]
    if document.number:
        return f"{kind} {document.number}"
    inside = kind[0].lower() + kind[1:] if words.draft_of.startswith("Draft ") else kind
    return words.draft_of.format(inside)


def _facts(document: Document, words: Words, formats: Formats) -> tuple[Fact, ...]:
    kinds = {
        DocumentKind.INVOICE: words.invoice,
        DocumentKind.CREDIT_NOTE: words.credit_note,
        DocumentKind.PROFORMA: words.proforma,
    }
    buyer = document.buyer
    facts = [
        Fact(kinds[document.kind], document.number or words.draft),
        Fact(words.for_invoice if document.kind is DocumentKind.CREDIT_NOTE else words.replaces, document.for_number),
        Fact(words.date, formats.day(document.issued_on) if document.issued_on else ""),
        Fact(words.tax_date, formats.day(document.tax_date) if document.tax_date else ""),
        Fact(words.customer, buyer.customer_number),
        Fact(words.your_vat_id, buyer.vat_id),
        Fact(words.your_order, buyer.order),
    ]
    if document.kind is not DocumentKind.CREDIT_NOTE and document.due_on and document.open_minor > 0:
        facts.append(Fact(words.pay_by, formats.day(document.due_on), strong=True))
    shown = document.total_minor if document.kind is DocumentKind.CREDIT_NOTE else document.open_minor
    facts.append(Fact(words.amount, formats.money(shown), strong=True))
    return tuple(fact for fact in facts if fact.value)


def _lines(document: Document, words: Words, formats: Formats) -> tuple[LineView, ...]:
    views: list[LineView] = []
    group = ""
    carried = 0
    for number, line in enumerate(document.lines, 1):
        if line.discount_minor:
            less = formats.amount(-line.discount_minor)
        else:
            less = words.less.format(formats.percent(line.discount_ppm)) if line.discount_ppm else ""
        carried += line.amount_minor
        views.append(
            LineView(
                number=str(number),
                text=line.text,
                detail=" · ".join(filter(None, (line.detail, line.period_text))),
                period=formats.period(*line.period) if line.period else "",
                days=_days(line.days, words, formats),
                quantity=formats.number(line.quantity),
                unit=line.unit,
                price="" if line.unit_price is None else formats.price(line.unit_price),
                less=less,
                with_tax=words.with_tax.format(words.vat) if line.price_includes_tax else "",
                tax="–" if line.tax_ppm is None else formats.percent(line.tax_ppm),
                amount=formats.amount(line.amount_minor),
                carried=formats.amount(carried),
                group=line.group if line.group != group else "",
            )
        )
        group = line.group
    return tuple(views)


def _days(days: tuple[int, int], words: Words, formats: Formats) -> str:
    """By what the price of a full period is multiplied."""
    charged, full = days
    if charged == full:
        return ""
    if charged == 0:
        return words.no_days
    said = words.days_of if charged < full else words.days_at_price_of
    return said.format(formats.number(Decimal(charged)), formats.number(Decimal(full)))


def _tax(tax: TaxLine, formats: Formats) -> TaxView:
    return TaxView(
        label="–" if tax.tax_ppm is None else formats.percent(tax.tax_ppm),
        net=formats.amount(tax.net_minor),
        tax=formats.amount(tax.tax_minor),
        gross=formats.amount(tax.net_minor + tax.tax_minor),
    )


def _totals(document: Document, words: Words, formats: Formats) -> tuple[Fact, ...]:
    rows = [Fact(words.net, formats.amount(document.net_minor)), Fact(words.vat, formats.amount(document.tax_minor))]
    if document.rounding_minor:
        rows.append(Fact(words.rounding, formats.amount(document.rounding_minor)))
    if document.kind is DocumentKind.CREDIT_NOTE:
        rows.append(Fact(f"{words.to_credit}, {document.currency}", formats.amount(document.total_minor), strong=True))
        return tuple(rows)
    if document.settled_minor:
        rows.append(Fact(f"{words.total}, {document.currency}", formats.amount(document.total_minor)))
        rows.append(Fact(words.settled, formats.amount(-document.settled_minor)))
    rows.append(Fact(f"{words.to_pay}, {document.currency}", formats.amount(document.open_minor), strong=True))
    return tuple(rows)


def _pay(document: Document, words: Words, formats: Formats) -> PayView | None:
    if document.kind is DocumentKind.CREDIT_NOTE:
        return None
    if document.open_minor <= 0:
        return PayView(heading=words.nothing_due, text="", rows=(), code="")
    amount = formats.money(document.open_minor)
    if document.due_on:
        heading = words.pay_heading_by.format(amount=amount, day=formats.day(document.due_on))
    else:
        heading = words.pay_heading.format(amount=amount)
    if document.pay_text:
        return PayView(heading=heading, text=document.pay_text, rows=(), code="")
    if document.account is None:
        return (
            PayView(heading=heading, text="", rows=(), code="", link=document.pay_link) if document.pay_link else None
        )
    account = document.account
    reference = document.number or ""
    code = transfer_code(account, document.currency, document.open_minor, reference) if document.look.code else ""
    rows = (
        Fact(words.holder, account.holder),
        Fact(words.iban, spaced_iban(account.iban)),
        Fact(words.bic, account.bic),
        Fact(words.reference, reference),
    )
    return PayView(
        heading=heading,
        text=words.scan_or_transfer if code else words.transfer,
        rows=tuple(row for row in rows if row.value),
        code=code,
        link=document.pay_link,
    )


def _supplied(document: Document) -> str:
    """When it was supplied, where that has to be said."""
    said = supplied_for(document.language)
    dated = [line.period is not None or bool(line.period_text) for line in document.lines]
    if said is None or not dated:
        return ""
    return said.periods if all(dated) else said.some if any(dated) else said.none


def _notes(document: Document, words: Words, formats: Formats) -> tuple[str, ...]:
    notes = [tax.note for tax in document.taxes]
    if document.tax_in_currency:
        stated = document.tax_in_currency
        notes.append(
            words.vat_in.format(
                tax=words.vat_long,
                currency=stated.currency,
                amount=Formats(document.language, stated.currency).money(stated.tax_minor),
                of=document.currency,
                rate=formats.number(stated.rate),
            )
        )
    if document.kind is DocumentKind.PROFORMA:
        notes.append(words.no_tax_invoice)
    if document.kind is DocumentKind.INVOICE and document.tax_date is None:
        notes.append(_supplied(document))
    closing = document.look.closing.splitlines()
    return tuple(note for note in dict.fromkeys((*notes, *document.notes, *closing, document.seller.contact)) if note)


def spaced_iban(iban: str) -> str:
    """In groups of four, as it is printed."""
    return " ".join(re.findall(".{1,4}", "".join(iban.split())))


def transfer_code(account: BankAccount, currency: str, open_minor: int, reference: str) -> str:
    """SVG of the EPC QR code (version 002, SCT, error level M) that fills in a transfer; empty where there is none.

    Source: EPC069-12. Only euros, 0.01 to 999,999,999.99, with a text to recognise the payment by.
    """
    if currency != "EUR" or not reference or not 0 < open_minor <= EPC_LARGEST_MINOR:
        return ""
    code = helpers.make_epc_qr(
        name=account.holder[:70],
        iban="".join(account.iban.split()),
        amount=Decimal(open_minor).scaleb(-2),
        text=reference[:140],
        bic="".join(account.bic.split()) or None,
    )
    return code.svg_inline(border=0, omitsize=True)
