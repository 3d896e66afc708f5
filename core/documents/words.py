"""The words printed on documents, in each language they are made in."""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Struct


class Words(Struct, frozen=True, kw_only=True):
    """What stands on a document beside its values. `{}` takes an amount, a date or a currency."""

    invoice: str
    credit_note: str
    proforma: str
    draft_of: str
    """Heading of a document without a number: “Draft invoice”."""
    draft: str
    date: str
    tax_date: str
    customer: str
    your_vat_id: str
    your_order: str
    for_invoice: str
    replaces: str
    pay_by: str
    amount: str
    lines: str
    number_sign: str
    description: str
    quantity: str
    price: str
    vat: str
    """What the tax is called; `vat_long` in a sentence."""
    vat_long: str
    net: str
    tax: str
    gross: str
    total: str
    rounding: str
    settled: str
    to_pay: str
    to_credit: str
    less: str
    with_tax: str
    days_of: str
    days_at_price_of: str
    no_days: str
    vat_in: str
    by_line: str
    net_first: str
    tax_on_start: str
    tax_on_issue: str
    pay_heading: str
    pay_heading_by: str
    pay_online: str
    scan_or_transfer: str
    transfer: str
    holder: str
    iban: str
    bic: str
    reference: str
    nothing_due: str
    no_tax_invoice: str
    carried: str
    brought: str
    page: str
    of: str
    vat_id: str
    tax_number: str


ENGLISH: Final = Words(
    invoice="Invoice",
    credit_note="Credit note",
    proforma="Proforma invoice",
    draft_of="Draft {}",
    draft="Draft",
    date="Date",
    tax_date="Tax date",
    customer="Customer",
    your_vat_id="Your VAT id",
    your_order="Your order",
    for_invoice="For invoice",
    replaces="Replaces",
    pay_by="Pay by",
    amount="Amount",
    lines="Lines",
    number_sign="#",
    description="Description",
    quantity="Quantity",
    price="Price",
    vat="VAT",
    vat_long="VAT",
    net="Net",
    tax="Tax",
    gross="Gross",
    total="Total",
    rounding="Rounding",
    settled="Already settled",
    to_pay="To pay",
    to_credit="Credited",
    less="less {}",
    with_tax="incl. {}",
    days_of="{} of {} days",
    days_at_price_of="{} days, price for {}",
    no_days="part of a period, not charged",
    vat_in="{tax} in {currency}: {amount}, at 1 {of} = {rate} {currency}.",
    by_line="{} is rounded line by line.",
    net_first="Of prices with {} in them the net is rounded first.",
    tax_on_start="{} of each line is that of the first day of its period.",
    tax_on_issue="{} of each line is that of the day of issue.",
    pay_heading="Pay {amount}",
    pay_heading_by="Pay {amount} by {day}",
    pay_online="Or pay online:",
    scan_or_transfer="Scan the code with your banking app, or transfer to:",
    transfer="Transfer to:",
    holder="Name",
    iban="IBAN",
    bic="BIC",
    reference="Reference",
    nothing_due="Settled, nothing is due.",
    no_tax_invoice="This is not a tax invoice; that follows with the payment.",
    carried="Carried forward",
    brought="Brought forward",
    page="Page",
    of="of",
    vat_id="VAT id",
    tax_number="Tax number",
)

GERMAN: Final = Words(
    invoice="Rechnung",
    credit_note="Rechnungskorrektur",
    proforma="Proforma-Rechnung",
    draft_of="Entwurf: {}",
    draft="Entwurf",
    date="Datum",
    tax_date="Steuerdatum",
    customer="Kundennummer",
    your_vat_id="Ihre USt-IdNr.",
    your_order="Ihre Bestellung",
    for_invoice="Zu Rechnung",
    replaces="Ersetzt",
    pay_by="Zahlbar bis",
    amount="Betrag",
    lines="Positionen",
    number_sign="Nr.",
    description="Bezeichnung",
    quantity="Menge",
    price="Preis",
    vat="USt",
    vat_long="Umsatzsteuer",
    net="Netto",
    tax="Steuer",
    gross="Brutto",
    total="Summe",
    rounding="Rundung",
    settled="Bereits beglichen",
    to_pay="Zu zahlen",
    to_credit="Korrekturbetrag",
    less="abzgl. {}",
    with_tax="inkl. {}",
    days_of="{} von {} Tagen",
    days_at_price_of="{} Tage, Preis für {}",
    no_days="Teil eines Zeitraums, nicht berechnet",
    vat_in="{tax} in {currency}: {amount}, Kurs 1 {of} = {rate} {currency}.",
    by_line="Die {} ist je Position gerundet.",
    net_first="Bei Preisen mit {} ist zuerst der Nettobetrag gerundet.",
    tax_on_start="Für die {} jeder Position gilt der erste Tag ihres Zeitraums.",
    tax_on_issue="Für die {} jeder Position gilt der Tag der Ausstellung.",
    pay_heading="{amount} zu zahlen",
    pay_heading_by="{amount} zu zahlen bis {day}",
    pay_online="Oder online zahlen:",
    scan_or_transfer="Code mit der Banking-App lesen oder überweisen an:",
    transfer="Überweisen an:",
    holder="Name",
    iban="IBAN",
    bic="BIC",
    reference="Verwendungszweck",
    nothing_due="Beglichen, es ist nichts offen.",
    no_tax_invoice="Dies ist keine Rechnung im Sinne des Umsatzsteuerrechts; sie folgt mit der Zahlung.",
    carried="Übertrag",
    brought="Übertrag",
    page="Seite",
    of="von",
    vat_id="USt-IdNr.",
    tax_number="Steuernummer",
)


class Supplied(Struct, frozen=True, kw_only=True):
    """When it was supplied, in a language whose law wants it said also where that is the day of the invoice."""

    periods: str
    """Each line has its period."""
    some: str
    none: str


SUPPLIED: Final = {
    "de": Supplied(
        periods="Unter jeder Position steht ihr Leistungszeitraum.",
        some="Unter den Positionen steht ihr Leistungszeitraum, sonst ist das Leistungsdatum das Rechnungsdatum.",
        none="Das Leistungsdatum ist das Rechnungsdatum.",
    )
}

LANGUAGES: Final = {"en": ENGLISH, "de": GERMAN}


class NamedTax(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What the tax of a seller is called: by language, where that is not what the words say already.

    `is_vat`: what it is not, has no VAT ids but tax ids.
    """

    names: dict[str, str] = {}
    is_vat: bool = True


VAT: Final = NamedTax()
_GST: Final = NamedTax(names={"en": "GST", "de": "GST"}, is_vat=False)
_MWST: Final = NamedTax(names={"de": "MWST"})
_NONE: Final = NamedTax(names={"en": "Tax", "de": "Steuer"}, is_vat=False)
_BY_COUNTRY: Final[dict[str, NamedTax]] = {
    **dict.fromkeys(("AU", "IN", "JE", "MV", "NZ", "PG", "SG"), _GST),
    **dict.fromkeys(("CH", "LI"), _MWST),
    **dict.fromkeys(("BM", "GG", "HK", "KW", "KY", "MO", "QA", "VG"), _NONE),
    "CA": NamedTax(names={"en": "GST/HST", "de": "GST/HST"}, is_vat=False),
    "JP": NamedTax(names={"en": "Consumption tax", "de": "Verbrauchsteuer"}, is_vat=False),
    "MY": NamedTax(names={"en": "SST", "de": "SST"}, is_vat=False),
    "US": NamedTax(names={"en": "Sales tax", "de": "Sales Tax"}, is_vat=False),
}
"""Where it is not simply VAT, as of 2026; _NONE where there is no tax on sales, but may be one some day."""
_TAX_IDS: Final = {"en": ("Tax id", "Your tax id"), "de": ("Steuer-ID", "Ihre Steuer-ID")}
_NO_TAX_INVOICE: Final = {"de": "Dies ist keine Rechnung im Sinne des Steuerrechts; sie folgt mit der Zahlung."}


def tax_of(country: str) -> NamedTax:
    """What the tax of a country is called, as it is proposed."""
    return _BY_COUNTRY.get(country, VAT)


_VAT_ID: Final = re.compile(r"[A-Z]{2} ?[0-9A-Z+*. ]+")


def words_for(language: str, tax: NamedTax = VAT) -> Words:
    """The words of a language, “de-AT” as “de”; English where there are none. The tax is called as `tax` says."""
    main = _main(language) if _main(language) in LANGUAGES else "en"
    words = LANGUAGES[main]
    if tax == VAT:
        return words
    if name := tax.names.get(main):
        said = _NO_TAX_INVOICE.get(main, words.no_tax_invoice)
        words = msgspec.structs.replace(words, vat=name, vat_long=name, no_tax_invoice=said)
    if not tax.is_vat:
        own, your = _TAX_IDS[main]
        words = msgspec.structs.replace(words, vat_id=own, your_vat_id=your)
    return words


def supplied_for(language: str) -> Supplied | None:
    return SUPPLIED.get(_main(language))


def _main(language: str) -> str:
    return language.replace("_", "-").split("-")[0].lower()


def legal_line(language: str, *, registration: str, tax_number: str, vat_id: str, tax: NamedTax = VAT) -> str:
    """What the law wants in the foot. Numbers are named, unless who typed them did so already."""
    words = words_for(language, tax)
    bare = _VAT_ID.fullmatch(vat_id) if tax.is_vat else vat_id[:1].isdigit()
    named = (
        f"{words.tax_number} {tax_number}" if tax_number[:1].isdigit() else tax_number,
        f"{words.vat_id} {vat_id}" if bare else vat_id,
    )
    return " · ".join(filter(None, (registration, *named)))
