"""What documents say, in the words and figures of their language."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import msgspec
import pytest

from core.documents.formats import Formats
from core.documents.model import (
    EPC_LARGEST_MINOR,
    BankAccount,
    DocumentKind,
    TaxInCurrency,
    TaxLine,
    spaced_iban,
    transfer_code,
    view_of,
)
from core.documents.words import ENGLISH, LANGUAGES, words_for
from tests.core.documents.sheets import IBAN, document, line

MINUS = "\N{MINUS SIGN}"


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_an_invoice_says_number_date_and_what_is_due() -> None:
    view = view_of(document())

    facts = {fact.label: plain(fact.value) for fact in view.facts}
    assert facts == {
        "Invoice": "2026-047411",
        "Date": "1 Dec 2026",
        "Customer": "10859",
        "Your VAT id": "IE6388047V",
        "Pay by": "31 Dec 2026",
        "Amount": "€55.35",
    }
    assert [(row.label, row.value) for row in view.totals] == [
        ("Net", "45.00"),
        ("VAT", "10.35"),
        ("To pay, EUR", "55.35"),
    ]
    assert view.title == "Invoice 2026-047411"
    assert view.watermark == ""


def test_a_german_invoice_writes_figures_and_dates_as_germans_do() -> None:
    view = view_of(document(language="de-AT", lines=(line(amount_minor=125_729),)))

    assert view.lines[0].amount == "1.257,29"
    assert view.lines[0].period == "01.11.2026–30.11.2026"
    assert {fact.label: plain(fact.value) for fact in view.facts}["Zahlbar bis"] == "31.12.2026"
    assert view.title == "Rechnung 2026-047411"


def test_an_unknown_language_reads_english() -> None:
    assert view_of(document(language="xx")).words is ENGLISH
    assert view_of(document(language="")).words is ENGLISH


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_every_word(language: str) -> None:
    words = msgspec.to_builtins(words_for(language))

    assert all(text.strip() for text in words.values())
    for name, text in msgspec.to_builtins(ENGLISH).items():
        assert text.count("{") == words[name].count("{"), name


def test_a_draft_has_no_number_and_says_so() -> None:
    view = view_of(document(number=None))

    assert (view.title, view.watermark) == ("Draft invoice", "Draft")
    assert view_of(document(number=None, language="de")).title == "Entwurf: Rechnung"
    assert view.pay is not None
    assert view.pay.code == ""


def test_a_credit_note_names_its_invoice_and_asks_for_nothing() -> None:
    view = view_of(document(kind=DocumentKind.CREDIT_NOTE, number="CN-7", for_number="2026-047411", due_on=None))

    assert view.title == "Credit note CN-7"
    assert view.pay is None
    assert ("For invoice", "2026-047411") in [(fact.label, fact.value) for fact in view.facts]
    assert view.totals[-1].label == "Credited, EUR"


def test_a_proforma_says_that_it_is_no_tax_invoice() -> None:
    view = view_of(document(kind=DocumentKind.PROFORMA))

    assert view.title == "Proforma invoice 2026-047411"
    assert "This is not a tax invoice; that follows with the payment." in view.notes


def test_what_is_settled_already_is_taken_off() -> None:
    view = view_of(document(settled_minor=5000))

    assert [(row.label, row.value) for row in view.totals][2:] == [
        ("Total, EUR", "55.35"),
        ("Already settled", f"{MINUS}50.00"),
        ("To pay, EUR", "5.35"),
    ]
    assert view.pay is not None
    assert "€5.35" in view.pay.heading


def test_a_settled_invoice_asks_for_nothing() -> None:
    view = view_of(document(settled_minor=5535))

    assert view.pay is not None
    assert (view.pay.heading, view.pay.code, view.pay.rows) == ("Settled, nothing is due.", "", ())
    assert "Pay by" not in [fact.label for fact in view.facts]


def test_a_collected_invoice_has_no_code_to_pay_it_twice() -> None:
    view = view_of(document(pay_text="We collect it by direct debit on 29 Dec 2026."))

    assert view.pay is not None
    assert (view.pay.text, view.pay.code) == ("We collect it by direct debit on 29 Dec 2026.", "")


def test_the_law_s_sentences_and_the_tax_in_the_tax_currency_are_notes() -> None:
    taxes = (TaxLine(tax_ppm=0, net_minor=4500, tax_minor=0, note="Reverse charge: the recipient owes the tax."),)
    stated = TaxInCurrency(currency="GBP", tax_minor=912, rate=Decimal("0.8815"))

    view = view_of(document(taxes=taxes, tax_in_currency=stated))

    assert view.notes[0] == "Reverse charge: the recipient owes the tax."
    assert view.notes[1] == "VAT in GBP: £9.12, at 1 EUR = 0.8815 GBP."


def test_a_line_shows_its_discount_its_part_and_prices_finer_than_a_cent() -> None:
    lines = (
        line(discount_ppm=100_000),
        line(discount_minor=500),
        line(unit_price=Decimal("0.0125"), quantity=Decimal("1284.5"), tax_ppm=None),
        line(amount_minor=-2317, tax_ppm=135_000, period=None, period_text="one month from activation"),
    )

    views = view_of(document(lines=lines)).lines

    assert plain(views[0].less) == "less 10 %"
    assert views[1].less == f"{MINUS}5.00"
    assert (views[2].price, views[2].quantity, views[2].tax) == ("0.0125", "1,284.5", "–")
    assert (views[3].amount, plain(views[3].tax)) == (f"{MINUS}23.17", "13.5 %")
    assert views[3].detail.endswith("one month from activation")


def test_lines_of_one_child_stand_under_its_name_once() -> None:
    lines = (line(group="Quayside workshop"), line(group="Quayside workshop"), line(group="Harbour"), line())

    groups = [view.group for view in view_of(document(lines=lines)).lines]

    assert groups == ["Quayside workshop", "", "Harbour", ""]


def test_long_amounts_get_wider_columns() -> None:
    assert not view_of(document(lines=(line(amount_minor=9_999_999),))).wide
    assert view_of(document(lines=(line(amount_minor=123_456_789),))).wide


@pytest.mark.parametrize(
    ("start", "end", "english", "german"),
    [
        (date(2026, 11, 1), date(2026, 12, 1), "1–30 Nov 2026", "01.11.2026–30.11.2026"),
        (date(2026, 11, 12), date(2026, 12, 12), "12 Nov – 11 Dec 2026", "12.11.2026–11.12.2026"),
        (date(2026, 12, 12), date(2027, 1, 12), "12 Dec 2026 – 11 Jan 2027", "12.12.2026–11.01.2027"),
        (date(2026, 11, 3), date(2026, 11, 4), "3 Nov 2026", "03.11.2026"),
    ],
)
def test_a_period_names_its_first_and_last_day(start: date, end: date, english: str, german: str) -> None:
    assert plain(Formats("en", "EUR").period(start, end)) == english
    assert plain(Formats("de", "EUR").period(start, end)) == german


@pytest.mark.parametrize(
    ("currency", "minor", "amount", "money"),
    [("JPY", -12_345, f"{MINUS}12,345", f"{MINUS}¥12,345"), ("KWD", 1_234_567, "1,234.567", "KWD 1,234.567")],
)
def test_a_currency_has_its_own_decimals(currency: str, minor: int, amount: str, money: str) -> None:
    formats = Formats("en", currency)

    assert (formats.amount(minor), plain(formats.money(minor))) == (amount, money)


def test_the_code_for_a_transfer_holds_what_the_standard_asks() -> None:
    from segno.helpers import _make_epc_qr_data  # type: ignore[attr-defined]  # what the code will say

    said = _make_epc_qr_data("Marlbeck Net Ltd", IBAN, Decimal("55.35"), "2026-047411", None, None, None, None)

    assert said.decode().split("\n") == [
        "BCD",
        "002",
        "2",
        "SCT",
        "",
        "Marlbeck Net Ltd",
        IBAN,
        "EUR55.35",
        "",
        "",
        "2026-047411",
    ]
    assert transfer_code(BankAccount(holder="Marlbeck Net Ltd", iban=IBAN), "EUR", 5535, "2026-047411").startswith(
        "<svg"
    )


@pytest.mark.parametrize(
    ("currency", "minor", "reference"),
    [("USD", 100, "1"), ("EUR", 0, "1"), ("EUR", -1, "1"), ("EUR", EPC_LARGEST_MINOR + 1, "1"), ("EUR", 100, "")],
)
def test_there_is_no_code_where_the_standard_has_none(currency: str, minor: int, reference: str) -> None:
    assert transfer_code(BankAccount(holder="X", iban=IBAN), currency, minor, reference) == ""


def test_the_largest_amount_and_the_longest_names_still_make_a_code() -> None:
    account = BankAccount(holder="Ü" * 90, iban=spaced_iban(IBAN), bic="AIBKIE2D")

    assert transfer_code(account, "EUR", EPC_LARGEST_MINOR, "R" * 200).startswith("<svg")


def test_an_iban_is_printed_in_groups_of_four() -> None:
    assert spaced_iban(IBAN) == "IE29 AIBK 9311 5212 3456 78"
