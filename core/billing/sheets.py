"""An issued document as it is printed: from its own rows, which never change, to the page and the PDF."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec
from babel import Locale

from core.billing.layout import assets_of, look_of, of_snapshot
from core.billing.part_periods import is_made
from core.billing.queries import get_document
from core.billing.schemas import ONE_E6, DocumentDetail, LineRow
from core.documents.model import BankAccount, Buyer, Document, DocumentKind, Line, Seller, TaxInCurrency, TaxLine
from core.documents.words import VAT, NamedTax, Words, legal_line, words_for
from core.money import as_decimal

if TYPE_CHECKING:
    from core.scope import Scope

OUTSIDE: Final = frozenset({"O"})
"""Codes of lines that no tax is stated for."""

EXEMPT: Final = "E"

NOTES: Final = {
    "AE": ("Reverse charge: the recipient owes the tax.", "Steuerschuldnerschaft des Leistungsempfängers."),
    "E": ("Exempt from tax.", "Steuerfrei."),
    "O": ("Not subject to tax.", "Nicht steuerbar."),
}
"""What the law wants said about lines without tax: in English, in German."""


async def document_of(scope: Scope, document_id: int) -> Document:
    """Everything that the document says. Raises NotFound, also when it is out of reach."""
    found = await get_document(scope, document_id)
    language = found.language or scope.tenant.language
    corrected = await get_document(scope, found.corrects_id) if found.corrects_id is not None else None
    german = language.startswith("de")
    why = str(_snapshot(found.buyer).get("tax_reason", ""))
    tax = tax_of_snapshot(_snapshot(found.seller))
    gross = bool(found.lines) and all(line.tax_inclusive for line in found.lines) and not _net_first(found)
    return Document(
        kind=DocumentKind(found.kind) if found.kind in set(DocumentKind) else DocumentKind.INVOICE,
        language=language,
        currency=found.currency,
        seller=_seller(found, language),
        buyer=_buyer(found, language),
        lines=tuple(_line(line, found, gross=gross) for line in found.lines),
        taxes=tuple(
            TaxLine(
                tax_ppm=None if tax.category in OUTSIDE else tax.rate_ppm,
                net_minor=tax.net_minor,
                tax_minor=tax.tax_minor,
                note=_note(tax.category, why, german=german),
            )
            for tax in sorted(found.taxes, key=lambda tax: -tax.rate_ppm)
        ),
        net_minor=found.net_minor,
        tax_minor=found.tax_minor,
        total_minor=found.total_minor,
        rounding_minor=found.rounding_minor,
        number=found.number,
        issued_on=found.issued_on,
        due_on=found.due_on,
        tax_date=_tax_date(found),
        for_number=(corrected.number or "") if corrected is not None else "",
        prices_include_tax=gross,
        tax_in_currency=_tax_in_currency(scope, found),
        settled_minor=_settled_at_issue(found),
        account=_account(found),
        look=look_of(of_snapshot(_snapshot(found.seller)), language),
        notes=_notes(found, words_for(language, tax)),
        tax=tax,
    )


def tax_of_snapshot(said: dict[str, Any]) -> NamedTax:
    """What the tax was called when the document was issued."""
    return msgspec.convert(said["tax"], NamedTax) if "tax" in said else VAT


def tax_name_of(document: DocumentDetail, language: str) -> str:
    """What the tax of an issued document is called, in the language of who reads of it."""
    return words_for(language, tax_of_snapshot(_snapshot(document.seller))).vat


def _notes(found: DocumentDetail, words: Words) -> tuple[str, ...]:
    """What was typed for it and for all documents, and how tax was rounded where that is not on the total."""
    said = _snapshot(found.seller)
    rounded = words.by_line.format(words.vat_long) if said.get("tax_rounding") == "line" else ""
    day = {"start": words.tax_on_start, "issue": words.tax_on_issue}.get(said.get("tax_date", ""), "")
    dated = day.format(words.vat_long) if found.kind != DocumentKind.CREDIT_NOTE else ""
    parted = words.net_first.format(words.vat_long) if _net_first(found) else ""
    return tuple(text for text in (found.note, rounded, parted, dated, said.get("footer", "")) if text)


async def assets_of_document(scope: Scope, document_id: int) -> dict[str, bytes]:
    """The pictures that its PDF shows: the logo that it was issued with."""
    found = await get_document(scope, document_id)
    return await assets_of(scope, of_snapshot(_snapshot(found.seller)))


def _net_first(found: DocumentDetail) -> bool:
    """Whether prices with tax in them do not add up to it: their nets were rounded first. A credit note says it of its
    invoice, whose lines it has."""
    inclusive = [line for line in found.lines if line.tax_inclusive]
    if found.kind == DocumentKind.CREDIT_NOTE:
        return any(line.amount_minor != line.net_minor + line.tax_minor for line in inclusive)
    return bool(inclusive) and "inclusive_prices" in _snapshot(found.seller)


def _tax_date(found: DocumentDetail) -> date | None:
    """Where it is another day than that of issue: of tax that is stated in the tenant's currency the day of its rate,
    and where the tenant chose the day. By default lines tell it by their periods."""
    if found.kind == DocumentKind.CREDIT_NOTE or found.tax_on is None or found.issued_on is None:
        return None
    chosen = "tax_date" in _snapshot(found.seller)
    stated = bool(found.tax_currency_minor) and found.tax_on < found.issued_on
    return found.tax_on if found.tax_on != found.issued_on and (chosen or stated) else None


def _settled_at_issue(found: DocumentDetail) -> int:
    """Credit that was applied on the day of issue: it stands on the document. What comes later does not change it."""
    return sum(
        each.amount_minor
        for each in found.settled_by
        if each.on == found.issued_on and not each.undone and each.kind != "bad_debt"
    )


def _snapshot(text: str) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any]) if text else {}


def _seller(found: DocumentDetail, language: str) -> Seller:
    said = _snapshot(found.seller)
    name = said.get("name", "")
    numbers = {name: said.get(name, "") for name in ("registration", "tax_number", "vat_id")}
    contact = " · ".join(
        text for text in (said.get("phone", ""), said.get("email", ""), said.get("website", "")) if text
    )
    return Seller(
        name=name,
        legal_name=name,
        address=tuple(
            text for text in (said.get("street", ""), f"{said.get('zip', '')} {said.get('city', '')}".strip()) if text
        ),
        legal_line=legal_line(language, tax=tax_of_snapshot(said), **numbers),
        contact=contact,
        logo=of_snapshot(said).logo_name,
    )


def _note(code: str, why: str, *, german: bool) -> str:
    """What the law wants said where no tax is charged; why the buyer is exempt beside it."""
    said = NOTES[code][german] if code in NOTES else ""
    return f"{said} {why}" if code == EXEMPT and why else said


def _buyer(found: DocumentDetail, language: str) -> Buyer:
    said = _snapshot(found.buyer)
    company, name = said.get("company", ""), said.get("name", "") or found.payer
    country = said.get("country", "")
    abroad = country and country != _snapshot(found.seller).get("country", "")
    lines = [
        name if company and company != name else "",
        said.get("street", ""),
        f"{said.get('zip', '')} {said.get('city', '')}".strip(),
        str(Locale.parse(language[:2]).territories.get(country, country)) if abroad else "",
    ]
    return Buyer(
        name=company or name,
        address=tuple(text for text in lines if text),
        customer_number=str(found.payer_id),
        vat_id=said.get("vat_id", ""),
        order=found.reference,
    )


def _tax_in_currency(scope: Scope, found: DocumentDetail) -> TaxInCurrency | None:
    """The tax in the tenant's currency as well, where there is any on a document in another one."""
    if not found.tax_currency_minor or not found.tax_fx_rate_e10:
        return None
    return TaxInCurrency(
        currency=scope.tenant.currency,
        tax_minor=found.tax_currency_minor,
        rate=Decimal(found.tax_fx_rate_e10).scaleb(-10),
    )


def _line(line: LineRow, found: DocumentDetail, *, gross: bool) -> Line:
    """`gross`: the amounts of all lines are with tax. Beside lines that are without, one that is so stands net, too:
    the lines come to the net of the document, and its price says that it includes tax.
    """
    return Line(
        text=line.description,
        period=(line.period_from, line.period_to) if line.period_from and line.period_to else None,
        days=(line.days, line.of_days),
        quantity=Decimal(line.quantity_e6) / 1_000_000,
        unit_price=price_of(line, found),
        discount_minor=line.discount_minor,
        tax_ppm=None if line.tax_code in OUTSIDE else line.rate_ppm,
        amount_minor=line.amount_minor if gross else line.net_minor,
        price_includes_tax=line.tax_inclusive and not gross and line.rate_ppm > 0,
        group=line.beneficiary or "" if line.beneficiary_id not in (None, found.payer_id) else "",
    )


def price_of(line: LineRow, found: DocumentDetail) -> Decimal | None:
    """What one of it costs. Credit lines say what is given back, be it a part of a line: that is the price of one."""
    price = Decimal(line.unit_price_e6) / ONE_E6
    part = found.kind == DocumentKind.CREDIT_NOTE and not is_made(line, found.currency)
    if (line.unit_price_e6 and not part) or not line.amount_minor:
        return price
    return as_decimal(line.amount_minor, found.currency) if line.quantity_e6 == ONE_E6 else None


def _account(found: DocumentDetail) -> BankAccount | None:
    said = _snapshot(found.seller)
    if not said.get("iban") or found.kind == DocumentKind.CREDIT_NOTE:
        return None
    return BankAccount(holder=said.get("name", ""), iban=said["iban"], bic=said.get("bic", ""))
