"""The DATEV batch: the format to the letter, and in it the sums of the journal."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from core.billing import actions as billing
from core.billing.schemas import NewDraft, NewLine
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import execute, value
from core.errors import Invalid
from core.ledger.queries import trial_balance
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.reports import datev
from core.reports.datev import COLUMNS, DatevSettings, header, year_of
from core.settings.actions import save_settings
from core.testing import TestTenant

TODAY = date(2026, 11, 2)
NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)


async def _books(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name='Zoë "Zo" Müller €', country="IE"))
    made = await billing.create_draft(
        scope, NewDraft(payer_id=customer_id, lines=[NewLine(description="Visit", unit_price_e6=100_000_000)])
    )
    await billing.issue(scope, made)
    await receive(scope, NewPayment(payer_id=customer_id, amount_minor=20_000, reference="R/1 ü"))


async def _settings(tenant: TestTenant, **more: Any) -> None:
    await save_settings(tenant.scope(), DatevSettings(consultant=29098, client=55003, **more))
    await execute("UPDATE account SET export_number = '9' || code")


async def test_B5_the_batch_has_the_form_that_datev_publishes(tenant: TestTenant) -> None:
    await _books(tenant)
    await _settings(tenant, bu_key="40", locked=True)
    page, today = await tenant.browser(), tenant.scope().today()
    days = {"since": today.replace(day=1).isoformat(), "until": today.isoformat()}

    answer = await page.get("/ledger/datev", params=days)
    lines = answer.content.decode("cp1252").split("\r\n")
    rows = list(csv.reader(io.StringIO("\n".join(lines[2:])), delimiter=";"))
    others = [await page.get("/ledger/tax?format=csv&sheet=tax"), await page.get("/lists/invoices/export?format=csv")]

    assert answer.headers["content-type"] == "text/csv; charset=windows-1252"
    assert [each.headers["content-type"] for each in others if each.status_code == 200] == [
        "text/csv; charset=utf-8"
    ] * 2
    assert answer.headers["content-disposition"].startswith('attachment; filename="EXTF_Buchungsstapel_')
    assert lines[0].startswith('"EXTF";700;21;"Buchungsstapel";13;')
    assert f";29098;55003;{today.year}0101;4;{today:%Y%m}01;{today:%Y%m%d};" in lines[0]
    assert lines[0].count(";") == 30
    assert lines[1].split(";") == COLUMNS
    assert len(COLUMNS) == 125
    assert lines[-1] == ""
    assert {len(row) for row in rows} == {125}
    assert {row[1] for row in rows} == {"S"}
    assert {row[9] for row in rows} == {f"{today:%d%m}"}
    assert {row[113] for row in rows} == {"1"}
    assert 'Zoë "Zo" Müller €' in " ".join(row[13] for row in rows)
    assert [row[8] for row in rows if row[7] == "94000"] == ["0040"]
    assert "R/1" in {row[10] for row in rows}


async def test_B5_the_batch_keeps_the_sums_of_every_account(tenant: TestTenant) -> None:
    await _books(tenant)
    await _settings(tenant)
    api, today = await tenant.api(), tenant.scope().today()

    answer = await api.get("/api/v1/ledger/datev", params={"since": today.isoformat(), "until": today.isoformat()})
    rows = list(csv.reader(io.StringIO(answer.content.decode("cp1252")), delimiter=";"))[2:]

    sums: Counter[str] = Counter()
    for row in rows:
        minor = round(float(row[0].replace(",", ".")) * 100)
        sums[row[6]] += minor
        sums[row[7]] -= minor
    assert dict(sums) == {f"9{each.code}": each.balance_minor for each in await trial_balance()}


async def test_B5_what_stays_on_one_account_there_is_no_line_and_the_sums_stay(tenant: TestTenant) -> None:
    await _books(tenant)
    await _settings(tenant)
    await execute("UPDATE account SET export_number = '10000' WHERE code IN ('1100', '2000')")
    api, today = await tenant.api(), tenant.scope().today()

    answer = await api.get("/api/v1/ledger/datev", params={"since": today.isoformat(), "until": today.isoformat()})
    rows = list(csv.reader(io.StringIO(answer.content.decode("cp1252")), delimiter=";"))[2:]

    assert [(row[0], row[6], row[7]) for row in rows] == [
        ("100,00", "10000", "94000"),
        ("23,00", "10000", "92200"),
        ("200,00", "91200", "10000"),
    ], "the allocation of 123.00 is none"


async def test_B5_letters_that_the_file_has_not_lose_their_accent_or_stroke(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Łukasz Dvořák Mu\u0308ller 田"))
    await receive(scope, NewPayment(payer_id=customer_id, amount_minor=100))
    await _settings(tenant)
    api, today = await tenant.api(), scope.today()

    answer = await api.get("/api/v1/ledger/datev", params={"since": today.isoformat(), "until": today.isoformat()})

    assert '"Payment Lukasz Dvorák Müller ?"' in answer.content.decode("cp1252")


async def test_B5_revenue_is_the_counter_account_whether_charged_or_credited(tenant: TestTenant) -> None:
    await _books(tenant)
    await _settings(tenant, bu_key="40")
    invoice = await value("SELECT min(id) FROM document")
    await billing.void(tenant.scope(), invoice, "A mistake")
    api, today = await tenant.api(), tenant.scope().today()

    answer = await api.get("/api/v1/ledger/datev", params={"since": today.isoformat(), "until": today.isoformat()})
    rows = list(csv.reader(io.StringIO(answer.content.decode("cp1252")), delimiter=";"))[2:]

    assert [(row[0], row[1], row[6], row[8]) for row in rows if row[7] == "94000"] == [
        ("100,00", "S", "91100", "0040"),
        ("100,00", "H", "92000", "0040"),
    ]
    assert not [row for row in rows if row[6] == "94000"]


async def test_B5_what_datev_would_refuse_is_said_before(tenant: TestTenant) -> None:
    await _books(tenant)
    page, today = await tenant.browser(), tenant.scope().today()
    now = {"since": today.isoformat(), "until": today.isoformat()}

    before = (today - timedelta(days=1)).isoformat()
    unknown = await page.get("/ledger/datev", params=now)
    await save_settings(tenant.scope(), DatevSettings(consultant=29098, client=55003))
    unnumbered = await page.get("/ledger/datev", params=now)
    empty = await page.get("/ledger/datev", params={"since": before, "until": before})
    years = await page.get("/ledger/datev", params={**now, "since": "2020-01-01"})
    backwards = await page.get("/ledger/datev", params={"since": now["until"], "until": "2020-01-01"})
    nonsense = await page.get("/ledger/datev", params={"since": "soon"})
    form = await page.get("/settings/datev")

    assert "Enter the consultant and client number" in unknown.text
    assert "have no export number: 1100, 1200, 2000, 2200, 4000" in unnumbered.text
    assert empty.status_code == 422
    assert "Nothing was booked in these days" in empty.text
    assert "one fiscal year" in years.text
    assert "The last day is before the first" in backwards.text
    assert {each.status_code for each in (unknown, unnumbered, years, backwards, nonsense)} == {422}
    assert "29098" in form.text


async def test_B5_account_numbers_are_as_long_as_datev_takes_them(tenant: TestTenant) -> None:
    await _books(tenant)
    await _settings(tenant)
    today = tenant.scope().today()
    page, now = await tenant.browser(), {"since": today.isoformat(), "until": today.isoformat()}

    await execute("UPDATE account SET export_number = '140000' WHERE code = '1100'")
    long = await page.get("/ledger/datev", params=now)
    await execute("UPDATE account SET export_number = '0000' WHERE code = '1100'")
    nothing = await page.get("/ledger/datev", params=now)
    await execute("UPDATE account SET export_number = '10000' WHERE code = '1100'")
    debtor = await page.get("/ledger/datev", params=now)

    assert "are too long: 1100. General accounts have 4 digits, personal accounts one more" in long.text
    assert "have no export number: 1100." in nothing.text
    assert [each.status_code for each in (long, nothing, debtor)] == [422, 422, 200]


async def test_B5_a_batch_holds_no_more_lines_than_datev_takes(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _books(tenant)
    await _settings(tenant)
    api, today = await tenant.api(), tenant.scope().today()
    now = {"since": today.isoformat(), "until": today.isoformat()}
    lines = (await api.get("/api/v1/ledger/datev", params=now)).text.count("\r\n") - 2

    monkeypatch.setattr(datev, "_MOST_LINES", lines)
    whole = await api.get("/api/v1/ledger/datev", params=now)
    monkeypatch.setattr(datev, "_MOST_LINES", lines - 1)
    more = await api.get("/api/v1/ledger/datev", params=now)

    assert (whole.status_code, more.status_code) == (200, 422)
    assert "choose fewer days" in more.text


@pytest.mark.parametrize(("currency", "amount"), [("EUR", "1257,29"), ("JPY", "125729,00")])
def test_B5_amounts_have_two_decimals_in_each_currency(currency: str, amount: str) -> None:
    row = datev.Row(125_729, "S", "10000", "8400", revenue=True, on=date(2026, 11, 2), reference="INV 7", text="Fibre")

    assert datev._line(DatevSettings(), row, currency).startswith(
        f'{amount};"S";"{currency}";;;"";10000;8400;"";0211;"INV7"'
    )


async def test_B5_books_of_three_decimals_are_refused() -> None:
    with pytest.raises(Invalid, match="two decimals"):
        await datev.check(DatevSettings(consultant=1001, client=1), TODAY, TODAY, currency="KWD")


def test_B5_the_name_of_a_batch_holds_what_datev_takes() -> None:
    line = header(DatevSettings(), TODAY, TODAY, currency="EUR", name='Glas & Faser "Süd" GmbH/Co.', now=NOW)

    assert ';"Glas  Faser Süd GmbH/Co.";' in line


def test_B5_a_fiscal_year_begins_in_its_month() -> None:
    settings = DatevSettings(consultant=1001, client=1, year_begins=7)

    assert year_of(settings, date(2027, 6, 30)) == date(2026, 7, 1)
    assert year_of(settings, date(2027, 7, 1)) == date(2027, 7, 1)


def test_B5_the_first_line_is_the_one_of_the_published_example() -> None:
    settings = DatevSettings(consultant=29098, client=55003)

    assert header(
        settings,
        date(2024, 1, 1),
        date(2024, 8, 31),
        currency="EUR",
        name="Buchungsstapel",
        now=datetime(2024, 1, 30, 14, 4, 40, 439_000, UTC),
    ) == (
        '"EXTF";700;21;"Buchungsstapel";13;20240130140440439;;"RE";"";"";29098;55003;20240101;4;20240101;20240831;'
        '"Buchungsstapel";"";1;0;0;"EUR";;"";;;"03";;;"";""'
    )
