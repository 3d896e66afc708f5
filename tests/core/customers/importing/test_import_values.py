"""What a cell of a customer file means."""

import unicodedata
from datetime import date

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.customers.importing import values


@pytest.mark.parametrize(
    ("cell", "addresses"),
    [
        ("a@example.com", ["a@example.com"]),
        ("a@example.com, b@example.com;c@example.com", ["a@example.com", "b@example.com", "c@example.com"]),
        ("a@example.com b@example.com\nc@example.com", ["a@example.com", "b@example.com", "c@example.com"]),
        ("Ada <a@example.com>, Bo <b@example.com>", ["a@example.com", "b@example.com"]),
        ("mailto:a@example.com", ["a@example.com"]),
        (" , ;", []),
    ],
)
def test_a_cell_may_hold_several_addresses(cell: str, addresses: list[str]) -> None:
    assert values.split_emails(cell) == addresses


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Ada.Byron+isp@Example.COM", "Ada.Byron+isp@example.com"),
        ("info@baeckerei.example", "info@baeckerei.example"),
        ("ä@exämple.de", "ä@exämple.de"),
    ],
)
def test_the_domain_of_an_address_is_stored_in_lower_case(typed: str, stored: str) -> None:
    assert values.email(typed) == stored


@pytest.mark.parametrize(
    "wrong",
    [
        "kim@example",
        "a..b@x.de",
        ".a@x.de",
        "a@",
        "@x.de",
        "a",
        "a@b@c.de",
        "a@-x.de",
        "a@x..de",
        "a@[1.2.3.4]",
    ],
)
def test_what_is_no_address_names_itself(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"@-sign|no e-mail address|two periods"):
        values.email(wrong)


@pytest.mark.parametrize(
    ("cell", "numbers"),
    [
        ("+63 900 555 0101/0900 555 0102", ["+63 900 555 0101", "0900 555 0102"]),
        ("0351/5550101", ["0351/5550101"]),
        ("0351 555; 0172 5550102, 030 555", ["0351 555", "0172 5550102", "030 555"]),
        ("0351 5550101 oder 0172 5550102", ["0351 5550101", "0172 5550102"]),
    ],
)
def test_a_slash_parts_numbers_only_where_both_sides_are_numbers(cell: str, numbers: list[str]) -> None:
    assert values.split_phones(cell) == numbers


@pytest.mark.parametrize(
    ("typed", "country", "e164"),
    [
        ("0351/5550101", "DE", "+493515550101"),
        ("021 555 0102", "ZA", "+27215550102"),
        ("+33.475550101", None, "+33475550101"),
        ("0033 4 75 55 01 01", "DE", "+33475550101"),
        ("+41 44 555 01 01 x58", None, "+41445550101"),
        ("(701) 555-0101", "US", "+17015550101"),
    ],
)
def test_a_number_is_read_as_its_country_dials_it(typed: str, country: str | None, e164: str) -> None:
    assert values.phone(typed, country) == (values.Phone(typed, e164), "")


REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


numbers = given(
    st.sampled_from(REGIONS),
    st.sampled_from(["", "0", "00", "1", "8", "+", "+49", "+39 0", "+1", "+44 (0)", "+7 8", "+54 9", "+52 1", "06"]),
    st.from_regex(r"[0-9 ()./-]{3,16}[0-9]", fullmatch=True),
)


@pytest.mark.slow
@settings(max_examples=500, deadline=None)
@numbers
def test_numbers_read_quickly_are_what_the_library_makes_of_them(region: str, start: str, rest: str) -> None:
    agrees_with_the_library(start + rest, region)


@pytest.mark.long
@settings(max_examples=10_000, deadline=None)
@numbers
def test_many_numbers_read_quickly_are_what_the_library_makes_of_them(region: str, start: str, rest: str) -> None:
    agrees_with_the_library(start + rest, region)


def test_what_leads_out_of_the_country_is_no_number_in_it() -> None:
    assert values.phone("0151 067 480 605", "IL")[0].e164 == ""
    assert values.phone("00 0 31 0000", "DE")[0].e164 == ""


@pytest.mark.parametrize("region", REGIONS)
def test_every_countrys_own_numbers_are_read_as_the_library_reads_them(region: str) -> None:
    for kind in (phonenumbers.PhoneNumberType.FIXED_LINE, phonenumbers.PhoneNumberType.MOBILE):
        example = phonenumbers.example_number_for_type(region, kind)
        if example is not None:
            for form in (
                phonenumbers.PhoneNumberFormat.NATIONAL,
                phonenumbers.PhoneNumberFormat.INTERNATIONAL,
                phonenumbers.PhoneNumberFormat.E164,
            ):
                agrees_with_the_library(phonenumbers.format_number(example, form), region)


def agrees_with_the_library(number: str, region: str) -> None:
    phone, _ = values.phone(number, region)
    typed = "+" + number[2:] if number.startswith("00") else number
    try:
        parsed = phonenumbers.parse(typed, region)
    except phonenumbers.NumberParseException:
        assert phone.e164 == ""
        return
    expected = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    assert phone.e164 in {"", expected}
    if values._quick_e164(typed, region):
        assert phone.e164 == expected
        assert phonenumbers.is_possible_number(parsed)


@pytest.mark.parametrize(
    ("typed", "country", "sure", "warned"),
    [
        ("call after six", "DE", True, "does not look like"),
        ("0123", None, True, ""),
        ("12", "DE", True, "not as long"),
        ("081255502", "US", True, "too short or too long for a number in United States"),
        ("081255502", "US", False, ""),
        ("+1 2", None, False, "not as long"),
        ("+999 1234567", None, False, "no phone number"),
    ],
)
def test_a_number_that_cannot_be_one_is_kept_as_typed(typed: str, country: str | None, sure: bool, warned: str) -> None:
    phone, warning = values.phone(typed, country, sure=sure)

    assert phone == values.Phone(typed, "")
    assert warned in warning
    assert bool(warned) == bool(warning)


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("de", "DE"), ("DEU", "DE"), ("Deutschland", "DE"), ("germany", "DE"), ("Brasil", "BR"), ("Philippines", "PH"),
        ("USA", "US"), ("United States", "US"), ("U.S.A.", "US"), ("UK", "GB"), ("England", "GB"), ("Österreich", "AT"),
        ("Schweiz", "CH"), ("Côte d’Ivoire", "CI"), ("México", "MX"), ("Czech Republic", "CZ"), ("Türkiye", "TR"),
    ],
)  # fmt: skip
def test_countries_come_by_code_and_by_name(typed: str, code: str) -> None:
    assert values.country(typed) == code


def test_what_is_no_country_is_refused() -> None:
    with pytest.raises(ValueError, match="“Mordor” is no country"):
        values.country("Mordor")
    with pytest.raises(ValueError, match="two letters"):
        values.country_code("USA")


@pytest.mark.parametrize(
    ("typed", "country", "day"),
    [
        ("2024-02-29", None, date(2024, 2, 29)),
        ("2024-05-01T23:30:00+08:00", None, date(2024, 5, 1)),
        ("2024-05-01 23:30:00", None, date(2024, 5, 1)),
        ("29.02.2024", None, date(2024, 2, 29)),
        ("1.2.24", None, date(2024, 2, 1)),
        ("1.2.85", None, date(1985, 2, 1)),
        ("03/04/2024", "GB", date(2024, 4, 3)),
        ("03/04/2024", "US", date(2024, 3, 4)),
        ("31/12/2023", "US", date(2023, 12, 31)),
        ("12/31/2023 11:05 PM", "GB", date(2023, 12, 31)),
        ("20-10-2022", "US", date(2022, 10, 20)),
        ("20240229", None, date(2024, 2, 29)),
    ],
)
def test_dates_are_read_in_the_usual_spellings(typed: str, country: str | None, day: date) -> None:
    assert values.a_date(typed, "any", country) == day


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("31.02.2024", "There is no 31 February 2024"),
        ("2023-02-29", "There is no 29 February 2023"),
        ("2024-13-01", "There is no month 13"),
        ("1.1.1024", "The year 1024 cannot be meant"),
        ("yesterday", "no date"),
        ("٢٠٢٤-٠١-٠١", "no date|There is no|2024"),
    ],
)
def test_days_that_never_were_are_refused(typed: str, told: str) -> None:
    if typed.isascii():
        with pytest.raises(ValueError, match=told):
            values.a_date(typed, "any", None)
    else:
        assert values.a_date(typed, "any", None) == date(2024, 1, 1)


def test_a_layout_that_writes_iso_dates_takes_no_others() -> None:
    with pytest.raises(ValueError, match="2024-12-31"):
        values.a_date("31/12/2023", "iso", None)


@pytest.mark.parametrize(
    ("typed", "zero"),
    [
        ("0000-00-00", True),
        ("0000-00-00 00:00:00", True),
        ("00.00.0000", True),
        ("0", True),
        ("", False),
        ("2000-01-01", False),
    ],
)
def test_zero_dates_are_known(typed: str, zero: bool) -> None:
    assert values.is_zero_date(typed) is zero


@pytest.mark.parametrize(
    ("typed", "currency", "amount"),
    [
        ("34,95", "EUR", (3495, "EUR")),
        ("1.249,00", "EUR", (124900, "EUR")),
        ("$-142.85", "EUR", (-14285, "USD")),
        ("$-142.85", "CAD", (-14285, "CAD")),
        ("CHF 1'310.81", "EUR", (131081, "CHF")),
        ("₱1,499.00", "EUR", (149900, "PHP")),
        ("-25000.00", "IDR", (-2500000, "IDR")),
        ("1000", "JPY", (1000, "JPY")),
    ],
)
def test_amounts_come_with_the_currency_they_name(typed: str, currency: str, amount: tuple[int, str]) -> None:
    assert values.amount(typed, currency, "any", "de") == amount


@pytest.mark.parametrize(("typed", "minor"), [("200.00", 20000), ("1,499.00", 149900), ("1,499", 149900), (".5", 50)])
def test_a_layout_with_a_decimal_point_takes_commas_between_thousands(typed: str, minor: int) -> None:
    assert values.amount(typed, "EUR", "point", "de") == (minor, "EUR")


@pytest.mark.parametrize("typed", ["100,00", "1.249,00", "1,49", "12,34.5"])
def test_a_layout_with_a_decimal_point_takes_no_decimal_comma(typed: str) -> None:
    with pytest.raises(ValueError, match="as this layout writes them"):
        values.amount(typed, "EUR", "point", "de")


@pytest.mark.parametrize("typed", ["free", "12 apples", "1.2.3", "34.955", "XYZ 5"])
def test_what_is_no_amount_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="“"):
        values.amount(typed, "EUR", "any", "en")


def test_coordinates_are_degrees() -> None:
    assert values.coordinate("51,0504", 90) == 51.0504
    for wrong in ("91", "-90.1", "nan", "inf", "north"):
        with pytest.raises(ValueError, match="degrees"):
            values.coordinate(wrong, 90)


def test_vat_ids_of_the_union_are_checked_and_others_kept() -> None:
    assert values.vat_id("de 136 695 976") == "DE136695976"
    assert values.vat_id("gr 094 014 201") == values.vat_id("EL094014201") == "EL094014201"
    assert values.vat_id("ZA 4123456789") == "ZA 4123456789"
    for wrong in ("IE123", "DE136695977"):
        with pytest.raises(ValueError, match="no VAT id"):
            values.vat_id(wrong)


@given(st.text(max_size=60))
def test_text_of_one_line_has_one_line_and_loses_no_letter(text: str) -> None:
    line = values.one_line(text)

    assert line == line.strip()
    assert not any(unicodedata.category(c) in {"Cc", "Zl", "Zp"} for c in line)
    letters = [c for c in unicodedata.normalize("NFC", text) if c.isalnum()]
    assert [c for c in line if c.isalnum()] == letters


def test_lines_of_a_street_are_joined() -> None:
    assert values.one_line("1 Long Street\r\n  Floor 3,\nRoom  4") == "1 Long Street, Floor 3, Room 4"
