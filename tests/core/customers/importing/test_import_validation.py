"""From a file to customers, errors by record and column, and a report."""

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from pathlib import Path

import msgspec
import pytest
import xlsxwriter

from core.customers.importing.profiles import Mapping
from core.customers.importing.records import Context, ImportedCustomer, ImportedService, Row
from core.customers.importing.report import Report, examine, report_on
from core.customers.importing.validating import Slice, unpack_rows, validate_packed

DATA = Path(__file__).parents[3] / "data" / "imports"
CONTEXT = Context(country="DE", currency="EUR", locale="de", today=date(2026, 11, 22))
Report_ = Callable[..., Report]


@pytest.fixture
def report(tmp_path: Path) -> Report_:
    """The report on a file with this text."""

    def on(text: str, context: Context = CONTEXT, **mapping: object) -> Report:
        path = tmp_path / "customers.csv"
        path.write_bytes(text.encode())
        return report_on(path, Mapping(**mapping), context)  # type: ignore[arg-type]  # of several types

    return on


def on_file(name: str, context: Context = CONTEXT) -> Report:
    return report_on(DATA / name, Mapping(), context)


def errors(report: Report) -> list[tuple[int, str]]:
    return [(found.record, found.field) for found in report.errors]


def warnings(report: Report) -> list[tuple[int, str]]:
    return [(found.record, found.field) for found in report.warnings]


def customers(report: Report) -> list[ImportedCustomer]:
    return [row.customer for row in report.preview if row.customer is not None]


def services(report: Report) -> list[ImportedService]:
    return [service for row in report.preview for service in row.services]


def values(report: Report, kind: str) -> list[list[str]]:
    return [[a.value for a in customer.addresses if a.kind == kind] for customer in customers(report)]


# Files of other systems


@pytest.mark.parametrize("country", ["DE", "US", "ZA", ""])
@pytest.mark.parametrize(
    ("file", "layout", "encoding", "records", "ok", "wrong"),
    [
        ("splynx_customers.csv", "splynx_customers", "utf-8", 6, 2, {3, 4, 5, 6}),
        ("splynx_services.csv", "splynx_services", "utf-8", 4, 2, {3, 4}),
        ("uisp_clients.csv", "uisp_clients", "utf-8", 7, 3, {5, 6, 7}),
        ("whmcs_clients.csv", "whmcs_clients", "utf-8", 3, 2, {3}),
        ("fossbilling_clients.csv", "fossbilling_clients", "utf-8", 2, 2, set()),
        ("phpnuxbill_customers.csv", "phpnuxbill_customers", "utf-8", 2, 2, set()),
        ("phpnuxbill_quotes_not_doubled.csv", "phpnuxbill_customers", "utf-8", 3, 2, set()),
        ("daloradius_userbillinfo.csv", "daloradius_userbillinfo", "utf-8", 1, 1, set()),
        ("invoiceninja_clients.csv", "invoiceninja_clients", "utf-8", 3, 2, {3}),
        ("sonar_accounts.csv", "sonar_accounts", "utf-8", 2, 1, {2}),
        ("german_windows_1252.csv", "generic", "windows-1252", 3, 2, {3}),
        ("german_utf8_with_bom.csv", "generic", "utf-8 with BOM", 2, 2, set()),
        ("german_utf16.csv", "generic", "utf-16", 2, 2, set()),
        ("mixed_line_ends.csv", "generic", "utf-8", 7, 3, {5, 6, 7}),
        ("formulas_and_markup.csv", "generic", "utf-8", 5, 4, {5}),
        ("only_header.csv", "generic", "utf-8", 0, 0, set()),
    ],
)
def test_files_of_other_systems_come_out_as_they_should(
    file: str, layout: str, encoding: str, records: int, ok: int, wrong: set[int], country: str
) -> None:
    report = on_file(file, msgspec.structs.replace(CONTEXT, country=country))

    assert (report.format, report.encoding, report.records, report.ok) == (layout, encoding, records, ok)
    assert {found.record for found in report.errors} == wrong


def test_splynx_wants_its_words_to_the_letter_and_its_numbers_as_numbers() -> None:
    report = on_file("splynx_customers.csv")

    assert sorted(errors(report)) == [
        (3, "Email"), (4, "Category"), (4, "Date add"), (4, "Location"), (4, "Partner"), (5, "Full name"), (6, "Login"),
    ]  # fmt: skip
    first, second = customers(report)
    assert (first.full_name, first.kind, first.zip, first.joined_on) == (
        "Ilse Grünwald-Ørum", "person", "0083", date(2024, 2, 29),
    )  # fmt: skip
    assert (second.full_name, second.kind) == ('Harbour "Fresh" Fish (Pty) Ltd', "company")
    assert second.street == "9 Quay Road, Shed 4"
    assert values(report, "email")[0] == ["ilse@example.com", "invoices@example.com"]


def test_services_of_splynx_refer_to_customers_by_login() -> None:
    report = on_file("splynx_services.csv")

    assert errors(report) == [(3, "start date"), (3, "price"), (4, "login")]
    first, second = services(report)
    assert (first.customer_login, first.plan, first.price_minor, first.starts_on, first.ends_on) == (
        "ilse.g", "Fibre_200", 15000, date(2022, 11, 1), date(2022, 11, 20),
    )  # fmt: skip
    assert (second.plan, second.price_minor, second.ipv4) == ("7", None, "198.51.100.21")


def test_further_records_of_a_uisp_client_are_its_services() -> None:
    report = on_file("uisp_clients.csv")

    assert errors(report) == [(5, "First name, Last name, Company name"), (6, ""), (7, "Service")]
    assert "record 5, which is refused" in report.errors[1].message
    assert [customer.external_ref for customer in customers(report)] == ["uisp:2001", "uisp:2002", "uisp:2004"]
    silver, night = services(report)
    assert (silver.plan, silver.price_minor, silver.currency, silver.invoiced_from) == (
        "03. SILVER 999", 99900, "EUR", date(2024, 6, 1),
    )  # fmt: skip
    assert (night.price_minor, night.currency, night.months, night.in_arrears, night.ends_on) == (
        249900, "PHP", 3, True, date(2025, 8, 14),
    )  # fmt: skip
    assert values(report, "phone")[0] == ["+63 900 555 0121", "0900 555 0122"]
    first = customers(report)[0]
    assert (first.country, first.lat, first.lon, first.location) == ("PH", 10.6407, 122.9689, "Hill mast")
    assert first.note == "dog in the yard\nring twice"
    assert first.joined_on == date(2024, 5, 1)
    assert customers(report)[1].kind == "company"


def test_a_plan_that_is_known_here_needs_no_price() -> None:
    context = msgspec.structs.replace(CONTEXT, plans={"no such plan": "Fibre 50", "03. silver 999": "Silver"})

    report = on_file("uisp_clients.csv", context)

    assert errors(report) == [(5, "First name, Last name, Company name"), (6, "")]
    assert [service.product for service in services(report)] == ["Silver", "", "Fibre 50"]


def test_in_whmcs_the_e_mail_is_the_login_whatever_its_case() -> None:
    report = on_file("whmcs_clients.csv")

    assert errors(report) == [(3, "email")]
    assert warnings(report) == [(2, "datecreated")]
    first, second = customers(report)
    assert (first.full_name, first.company, first.phone_e164, first.city) == (
        "Éloïse N'Guyen",
        "",
        "+33475550131",
        "Évian",
    )
    assert (second.full_name, second.company, second.kind, second.status) == (
        "Jonas Žemaitis", "UAB Šaltinis", "company", "inactive",
    )  # fmt: skip
    assert (second.opening_minor, second.tax_profile, second.street) == (-725, "exempt", "Pilies g. 3, III a.")
    assert second.joined_on == CONTEXT.today


def test_fossbilling_keeps_the_calling_code_in_a_column_of_its_own() -> None:
    report = on_file("fossbilling_clients.csv")

    assert [customer.phone_e164 for customer in customers(report)] == ["+48600555041", "+35315550142"]
    assert [customer.status for customer in customers(report)] == ["active", "blocked"]
    assert [customer.currency for customer in customers(report)] == ["PLN", "EUR"]


def test_phpnuxbill_never_checked_its_addresses() -> None:
    report = on_file("phpnuxbill_customers.csv")

    assert warnings(report) == [(2, "email")]
    assert [customer.full_name for customer in customers(report)] == ['Agus "Mas" Wibowo', "Dewi; M.Pd"]
    assert [customer.opening_minor for customer in customers(report)] == [-1500000, 0]


def test_phpnuxbill_repeats_the_customer_for_each_plan() -> None:
    report = on_file("phpnuxbill_quotes_not_doubled.csv")

    assert (report.ok, report.services, report.errors) == (2, 3, [])
    assert [row.continues for row in report.preview] == [False, True, False]
    assert customers(report)[0].full_name == 'Agus "Mas" Wibowo'


def test_cards_of_daloradius_are_left_behind() -> None:
    report = on_file("daloradius_userbillinfo.csv")

    told = msgspec.json.encode(report).decode()
    assert "4111111111111111" not in told
    assert [c.field for c in report.columns if c.column.startswith("creditcard")] == [None, None]
    assert customers(report)[0].city == "Santos, SP"
    assert customers(report)[0].country == "BR"


def test_invoice_ninja_has_a_title_two_phones_and_balances_that_are_debts() -> None:
    report = on_file("invoiceninja_clients.csv")

    assert (report.header_line, errors(report)) == (4, [(3, "Name")])
    first, second = customers(report)
    assert (first.opening_minor, first.currency) == (9910, "USD")
    assert (second.opening_minor, second.currency) == (-121005, "CHF")
    assert values(report, "phone") == [["1-537-555-0161"], ["+41 44 555 01 60", "+41 44 555 01 61 x58"]]
    assert second.contact is not None
    assert (second.contact.first_name, second.contact.surname, second.contact.email) == (
        "Urs",
        "Bünter",
        "urs@example.org",
    )


def test_sonar_names_what_its_numbers_may_be() -> None:
    report = on_file("sonar_accounts.csv")

    assert sorted(errors(report)) == [
        (2, "Account Status ID"),
        (2, "Physical Country"),
        (2, "Primary Contact Email Address"),
        (2, "Primary Contact Email Message Categories"),
    ]
    assert warnings(report) == [(1, "Sub Accounts")]
    assert "602 is not imported" in report.warnings[0].message
    customer = customers(report)[0]
    assert (customer.city, customer.country, customer.status) == ("Bismarck, ND", "US", "active")
    assert customer.child_refs == ("sonar:602",)
    assert (customer.phone_e164, values(report, "phone")[0]) == ("+17015550161", ["7015550161 x12"])


@pytest.mark.parametrize("file", ["german_windows_1252.csv", "german_utf8_with_bom.csv", "german_utf16.csv"])
def test_german_files_come_with_their_umlauts_prices_and_dates(file: str) -> None:
    report = on_file(file)

    first, second = customers(report)
    assert (first.external_ref, first.full_name, first.company, first.zip, first.city) == (
        "K-0101", "Änne Süß", "Gärtnerei Süß & Töchter", "01097", "Dresden",
    )  # fmt: skip
    assert values(report, "email")[0] == ["info@gaertnerei.example", "rechnung@gaertnerei.example"]
    assert second.street == 'Zum "Alten Hof" 3'
    assert [(s.plan, s.price_minor, s.starts_on) for s in services(report)] == [
        ("Glasfaser 250", 3495, date(2024, 2, 1)),
        ("Glasfaser 1000", 124900, date(2024, 2, 29)),
    ]


def test_the_day_that_never_was_is_named_with_its_column() -> None:
    report = on_file("german_windows_1252.csv")

    assert [(f.record, f.field, f.message, f.value) for f in report.errors] == [
        (3, "Beginn", "There is no 31 February 2024.", "31.02.2024")
    ]


def test_faulty_records_are_named_by_whom_they_are_about() -> None:
    report = on_file("mixed_line_ends.csv")

    assert [(found.name, found.field) for found in report.errors] == [("Dot", ""), ("Eli", ""), ("Fox", "")]
    assert report.ignored_blank == 2


def test_formulas_and_markup_are_text() -> None:
    report = on_file("formulas_and_markup.csv")

    assert [customer.full_name for customer in customers(report)] == [
        '=HYPERLINK("https://evil.example","press")', "@SUM(2)", "<img src=x onerror=alert(2)>", "\u202eecila",
    ]  # fmt: skip
    assert [customer.note for customer in customers(report)] == [
        "+2",
        "-3+4",
        "'; DELETE FROM customer;--",
        "zero\u200bwidth",
    ]
    assert (report.errors[0].field, report.errors[0].message) == (
        "name",
        "It has 300 characters; at most 200 are possible.",
    )


# Rules


def test_without_login_and_number_the_e_mail_tells_customers_apart(report: Report_) -> None:
    found = report("name,email\nAda,a@example.com\nBo,A@EXAMPLE.com\nCy,\nDee,\n")

    assert errors(found) == [(2, "email")]
    assert found.ok == 3


def test_with_a_login_a_shared_e_mail_is_worth_a_look_only(report: Report_) -> None:
    found = report("login,name,email\na,Ada,x@example.com\nb,Bo,X@example.com\nA,Al,y@example.com\n")

    assert errors(found) == [(3, "login")]
    assert warnings(found) == [(2, "email")]


def test_a_number_occurs_once(report: Report_) -> None:
    found = report("customer no,name\n7,Ada\n7,Bo\n")

    assert errors(found) == [(2, "customer no")]


def test_every_error_of_a_record_is_told_at_once(report: Report_) -> None:
    found = report(
        "name,email,country,joined,vat id,balance,billing day,status,latitude,longitude\n"
        ",nobody,Mordor,2024-02-30,DE1,much,32,asleep,91,x\n"
    )

    assert {field for _, field in errors(found)} == {
        "name", "email", "country", "joined", "vat id", "balance", "billing day", "status", "latitude", "longitude",
    }  # fmt: skip
    assert found.ok == 0


@pytest.mark.parametrize("placeholder", ["-", "n/a", "0", "none", "keine"])
def test_placeholders_are_left_out_with_a_warning(report: Report_, placeholder: str) -> None:
    found = report(f"name,email,phone\nAda,{placeholder},{placeholder}\n")

    assert (found.ok, warnings(found)) == (1, [(1, "email"), (1, "phone")])
    assert customers(found)[0].addresses == ()


def test_a_text_that_is_no_address_refuses_the_record(report: Report_) -> None:
    assert errors(report("name,email\nAda,ask her\n")) == [(1, "email"), (1, "email")]


def test_emails_of_several_columns_are_kept_once_each_in_order(report: Report_) -> None:
    found = report('name,email,e-mails\nAda,b@example.com,"a@example.com, B@example.com"\n')

    assert values(found, "email") == [["b@example.com", "a@example.com"]]
    assert customers(found)[0].email_key == "b@example.com"


def test_the_country_of_the_record_reads_its_numbers(report: Report_) -> None:
    found = report("name,phone,country\nAda,021 555 0102,ZA\nBo,0351/5550101,\n")

    assert [customer.phone_e164 for customer in customers(found)] == ["+27215550102", "+493515550101"]
    assert [customer.country for customer in customers(found)] == ["ZA", "DE"]


@pytest.mark.parametrize(
    ("field", "limit"), [("name", 200), ("company", 200), ("login", 100), ("street", 300), ("zip", 20), ("city", 100)]
)
def test_what_is_too_long_is_refused_with_the_limit_named(report: Report_, field: str, limit: int) -> None:
    header = ["name", "company", "login", "street", "zip", "city"]
    text = [("x" * (limit + 1) if column == field else "x") for column in header]

    found = report(f"{','.join(header)}\n{','.join(text)}\n")

    assert errors(found) == [(1, field)]
    assert f"at most {limit:,}" in found.errors[0].message


def test_the_number_of_addresses_is_bounded(report: Report_) -> None:
    many = ",".join(f"a{n}@example.com" for n in range(21))

    assert errors(report(f'name,email\nAda,"{many}"\n')) == [(1, "email")]


def test_a_record_may_name_its_currency_and_a_balance_must_fit_it(report: Report_) -> None:
    found = report("name,currency,balance\nAda,usd,5\nBo,,CHF 7.50\nCy,USD,CHF 1\nDi,dollars,1\n")

    assert [(c.currency, c.opening_minor) for c in customers(found)] == [("USD", 500), ("CHF", 750)]
    assert errors(found) == [(3, "balance"), (4, "currency")]
    assert any("1 opening balances in CHF: 7.50" in note for note in found.notes)


def test_notes_tell_which_columns_are_not_imported_and_why(report: Report_) -> None:
    found = report("name,shoe size,password\nAda,38,hunter2\n")

    assert found.notes == [
        "Column “shoe size” is not imported. There is no field of this name.",
        "Column “password” is not imported. Cards, passwords and other secrets are never imported.",
    ]
    assert "hunter2" not in msgspec.json.encode(found).decode()


def test_a_mapping_sends_columns_where_a_person_says(report: Report_) -> None:
    found = report(
        "who,memo 2,when\nAda,called twice,03/04/2024\n",
        columns={"who": "full_name", "memo 2": "note", "when": "joined_on"},
        country="GB",
    )

    assert [(c.full_name, c.note, c.joined_on) for c in customers(found)] == [("Ada", "called twice", date(2024, 4, 3))]


def test_parents_are_looked_for_in_the_whole_file(report: Report_) -> None:
    found = report("id,name,parent\n1,Ada,2\n2,Bo,\n3,Cy,9\n")

    assert warnings(found) == [(3, "parent")]


def test_a_workbook_is_validated_like_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "kunden.xlsx"
    book = xlsxwriter.Workbook(str(path))
    sheet = book.add_worksheet("Kunden")
    for number, row in enumerate(
        [
            ["Kundennr.", "Name", "PLZ", "Saldo", "Kunde seit"],
            [4011, "Ada", 1067, -12.5, "29.02.2024"],
            ["", "", "", "", ""],
        ]
    ):
        sheet.write_row(number, 0, row)
    book.close()

    found = report_on(path, Mapping(), CONTEXT)

    assert (found.type, found.encoding, found.delimiter, found.sheet, found.ok) == ("xlsx", None, None, "Kunden", 1)
    assert [(c.external_ref, c.zip, c.opening_minor) for c in customers(found)] == [("4011", "1067", -1250)]


def test_a_report_reads_as_the_command_prints_it() -> None:
    told = json.loads(msgspec.json.encode(on_file("whmcs_clients.csv")))

    assert list(told)[:8] == ["file", "format", "encoding", "delimiter", "records", "ok", "errors", "warnings"]
    assert told["errors"][0]["record"] == 3
    assert list(told["errors"][0])[:3] == ["record", "field", "message"]


def test_validation_runs_in_other_processes_and_says_the_same() -> None:
    examination = examine(DATA / "uisp_clients.csv", Mapping())
    here = report_on(DATA / "uisp_clients.csv", Mapping(), CONTEXT)

    pieces = list(examination.table.slices(2))
    examination.sample([record for piece in pieces for record in piece])
    with ProcessPoolExecutor(max_workers=2) as pool:
        packed = [msgspec.msgpack.encode(Slice(examination.layout, CONTEXT, piece)) for piece in pieces]
        rows: list[Row] = []
        for answer in pool.map(validate_packed, packed):
            judged = examination.gather(unpack_rows(answer))
            examination.count(judged)
            rows.extend(judged)
    there = examination.finish()

    assert len(packed) == 4
    assert there == here
    assert [row.record for row in rows] == [1, 2, 3, 4, 5, 6, 7]


def test_a_name_that_nobody_can_see_is_missing(report: Report_) -> None:
    found = report("Full name,Email\n\u200b,one@example.org\nAda,two@example.org\n")

    assert errors(found) == [(1, "Full name")]
    assert found.errors[0].message == "The name is missing."
