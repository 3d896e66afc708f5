"""Which layout a file has, and where its columns go."""

from pathlib import Path

import pytest

from core.customers.importing.profiles import FIELDS, GENERIC, MANY, PROFILES, Mapping, Profile, lay_out, recognise
from core.errors import Invalid
from core.lists.reading import header_key

DATA = Path(__file__).parents[3] / "data" / "imports"


def fields(headers: list[str], **mapping: object) -> dict[str, str | None]:
    layout = lay_out(headers, Mapping(**mapping))  # type: ignore[arg-type]  # of several types
    return {column.name: column.field for column in layout.columns}


@pytest.mark.parametrize(
    ("file", "layout"),
    [
        ("splynx_customers.csv", "splynx_customers"),
        ("splynx_services.csv", "splynx_services"),
        ("uisp_clients.csv", "uisp_clients"),
        ("whmcs_clients.csv", "whmcs_clients"),
        ("fossbilling_clients.csv", "fossbilling_clients"),
        ("phpnuxbill_customers.csv", "phpnuxbill_customers"),
        ("phpnuxbill_quotes_not_doubled.csv", "phpnuxbill_customers"),
        ("daloradius_userbillinfo.csv", "daloradius_userbillinfo"),
        ("sonar_accounts.csv", "sonar_accounts"),
        ("only_header.csv", "generic"),
    ],
)
def test_a_layout_is_recognised_by_its_header(file: str, layout: str) -> None:
    header = (DATA / file).read_text().splitlines()[0].replace('"', "")

    assert recognise(header.split(";" if ";" in header else ",")).key == layout


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.key)
def test_every_layout_names_fields_that_exist_and_names_each_column_once(profile: Profile) -> None:
    assert set(profile.columns.values()) <= set(FIELDS)
    keys = [header_key(name) for name in profile.columns]
    assert [key for key in keys if keys.count(key) > 1 and profile is not GENERIC] == []
    by_key = {}
    for name, field in profile.columns.items():
        assert by_key.setdefault(header_key(name), field) == field
    assert {header_key(name) for name in profile.recognised_by} <= {*keys, *map(header_key, profile.left_out)}
    assert not MANY - set(FIELDS)


@pytest.mark.parametrize("profile", [p for p in PROFILES if p.recognised_by], ids=lambda profile: profile.key)
def test_every_layout_recognises_itself_whatever_the_spelling(profile: Profile) -> None:
    header = [name.upper().replace(" ", "_") for name in (*profile.columns, *profile.left_out)]

    assert recognise(header) is profile


def test_german_and_english_headers_are_known() -> None:
    found = fields(["Kundennr.", "Firma", "Nachname", "Vorname", "Straße", "PLZ", "Ort", "E-Mail", "Telefon", "Beginn"])

    assert list(found.values()) == [
        "external_ref", "company", "last_name", "first_name", "street", "zip", "city", "email", "phone", "joined_on",
    ]  # fmt: skip
    assert fields(["Customer name", "E-mail address", "Mobile phone", "Post code"]) == {
        "Customer name": "full_name",
        "E-mail address": "email",
        "Mobile phone": "phone",
        "Post code": "zip",
    }


def test_a_repeated_header_goes_to_a_field_of_many() -> None:
    assert fields(["Name", "Phone", "Phone (2)"]) == {"Name": "full_name", "Phone": "phone", "Phone (2)": "phone"}


def test_two_columns_do_not_go_to_a_field_of_one() -> None:
    layout = lay_out(["Name", "City", "Town"], Mapping())

    assert [column.field for column in layout.columns] == ["full_name", "city", None]
    assert "Another column" in layout.columns[2].why_not


def test_a_mapping_by_hand_goes_before_what_is_known() -> None:
    found = fields(["Who", "Name", "Town"], columns={"who": "full_name", "Name": None})

    assert found == {"Who": "full_name", "Name": None, "Town": "city"}


@pytest.mark.parametrize(
    "secret",
    [
        "password", "Passwort", "pppoe_password", "password_hash", "salt", "api_token", "Secret", "creditcardnumber",
        "card number", "creditcardverification", "CVV", "CVC", "PIN", "cardlastfour", "securityqans",
        "two_factor_secret", "Kreditkartennummer",
    ],
)  # fmt: skip
def test_cards_and_secrets_are_never_imported(secret: str) -> None:
    layout = lay_out(["Name", secret], Mapping())

    assert layout.columns[1].field is None
    assert "never imported" in layout.columns[1].why_not
    with pytest.raises(Invalid, match="never imported"):
        lay_out(["Name", secret], Mapping(columns={secret: "note"}))


@pytest.mark.parametrize("innocent", ["Secretary", "Shipping", "Opinion", "Passage", "Compass"])
def test_words_that_merely_contain_a_secret_may_be_mapped(innocent: str) -> None:
    assert fields(["Name", innocent], columns={innocent: "note"})[innocent] == "note"


def test_a_mapping_that_names_what_is_not_there_is_refused() -> None:
    with pytest.raises(Invalid, match="no column “Nme”"):
        lay_out(["Name"], Mapping(columns={"Nme": "full_name"}))
    with pytest.raises(Invalid, match="no field “nme”"):
        lay_out(["Name"], Mapping(columns={"Name": "nme"}))
    with pytest.raises(Invalid, match="no format “excel”"):
        lay_out(["Name"], Mapping(format="excel"))


def test_a_file_that_names_no_customer_is_refused_with_its_columns() -> None:
    with pytest.raises(Invalid, match=r"No column says the name of the customer\. The file has: foo, bar") as refused:
        lay_out(["foo", "bar"], Mapping())

    assert refused.value.errors[0].field == "columns"
