"""The accountant's pages: each figure is that of the books, on the page, in the file and over JSON."""

from __future__ import annotations

import ast
import csv
import io
import re
from datetime import date, timedelta
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

import core.reports
from core.app import JOBS, SCHEDULES
from core.billing import actions as billing
from core.billing.recognition import ScheduledRevenue
from core.billing.schemas import CreditLine, NewCreditNote, NewDraft, NewLine
from core.catalog.actions import set_tax_rate
from core.catalog.schemas import NewTaxRate
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import execute, value
from core.ledger.actions import set_fx_rate
from core.ledger.schemas import NewFxRate, TrialBalanceRow
from core.money import Money, format_amount
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.reports.pages import KINDS, deferred_sheet, kind_words, trial_sheet
from core.reports.sheets import text_of
from core.reports.taxes import tax_report
from core.testing import TestTenant
from core.texts import speaking

PAGES = ("", "/journal", "/receivables", "/revenue", "/deferred", "/tax", "/accounts", "/closing")


async def a_customer(tenant: TestTenant, name: str = "Tarrow Pike", **fields: Any) -> int:
    return await create_customer(tenant.scope(), NewCustomer(full_name=name, **{"country": "IE", **fields}))


async def an_invoice(tenant: TestTenant, customer_id: int, net: int = 100) -> int:
    """Issued; 123.00 with its tax in Ireland."""
    line = NewLine(description="Visit", unit_price_e6=net * 10**6)
    made = await billing.create_draft(tenant.scope(), NewDraft(payer_id=customer_id, lines=[line]))
    await billing.issue(tenant.scope(), made)
    return made


async def books(tenant: TestTenant) -> dict[str, int]:
    """Two customers, an invoice each, one part credited, one part paid."""
    first, second = await a_customer(tenant), await a_customer(tenant, "=cmd|' /C calc'!A0")
    invoice = await an_invoice(tenant, first)
    other = await an_invoice(tenant, second, 50)
    line_id = await value("SELECT id FROM document_line WHERE document_id = :id", id=invoice)
    note = await billing.create_credit_note(
        tenant.scope(),
        NewCreditNote(document_id=invoice, reason="x", lines=[CreditLine(line_id=line_id, amount_minor=1000)]),
    )
    payment = await receive(tenant.scope(), NewPayment(payer_id=second, amount_minor=2000))
    return {"first": first, "second": second, "invoice": invoice, "other": other, "note": note, "payment": payment}


def sheet_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


async def test_B5_every_page_of_the_books_shows_empty_books_and_full_ones(tenant: TestTenant) -> None:
    page = await tenant.browser()

    empty = [await page.get(f"/ledger{path}") for path in PAGES]
    made = await books(tenant)
    full = [await page.get(f"/ledger{path}") for path in PAGES]

    assert [each.status_code for each in (*empty, *full)] == [200] * len(PAGES) * 2
    assert "Nothing was booked in these days" in empty[0].text
    assert f'href="/invoices/{made["invoice"]}"' in full[1].text
    assert "152.20" in full[2].text  # 123.00 − 12.30 credited, 61.50 − 20.00 paid
    assert "Tarrow Pike" in full[2].text


async def test_B5_the_journal_is_filtered_by_account_kind_customer_and_day_and_leads_to_its_documents(
    tenant: TestTenant,
) -> None:
    made = await books(tenant)
    page, api = await tenant.browser(), await tenant.api()
    tomorrow = (tenant.scope().today() + timedelta(days=1)).isoformat()

    of_bank = await page.get("/ledger/journal", params={"account": "1200"})
    of_second = await page.get("/ledger/journal", params={"customer": str(made["second"]), "kind": "invoice"})
    later = await page.get("/ledger/journal", params={"since": tomorrow})
    bad = await page.get("/ledger/journal", params={"since": "soon", "customer": "x"})
    first = (await api.get("/api/v1/ledger/journal", params={"limit": 2})).json()
    second = (await api.get("/api/v1/ledger/journal", params={"limit": 500, "cursor": first["next"]})).json()

    assert f'href="/payments/{made["payment"]}"' in of_bank.text
    assert "Before, EUR" in of_bank.text
    assert f'href="/invoices/{made["other"]}"' in of_second.text
    assert f'href="/invoices/{made["invoice"]}"' not in of_second.text
    assert "Nothing is booked like this" in later.text
    assert bad.status_code == 422
    assert {each["transaction_id"] for each in first["items"]}.isdisjoint(
        {each["transaction_id"] for each in second["items"]}
    )
    assert len(first["items"]) + len(second["items"]) == await value("SELECT count(*) FROM posting")
    assert second["next"] is None
    assert sum(each["base_minor"] for each in (*first["items"], *second["items"])) == 0


async def test_B5_the_journals_file_holds_every_posting_and_no_formula(tenant: TestTenant) -> None:
    await books(tenant)
    page = await tenant.browser()

    rows = sheet_of(await page.get("/ledger/journal", params={"format": "csv"}))

    assert len(rows) == await value("SELECT count(*) FROM posting")
    debit, credit = (sum(round(float(row[name] or 0) * 100) for row in rows) for name in ("Debit", "Credit"))
    assert debit == credit > 0
    assert {row["Customer"][:2] for row in rows if "calc" in row["Customer"]} == {"'="}


async def test_B5_the_journals_file_holds_what_its_page_was_asked_for(tenant: TestTenant) -> None:
    made = await books(tenant)
    page = await tenant.browser()

    async def file(**asked: str) -> list[dict[str, str]]:
        return sheet_of(await page.get("/ledger/journal", params={"format": "csv", **asked}))

    of_bank, of_second = await file(account="1200"), await file(customer=str(made["second"]), kind="invoice")

    assert {row["What"] for row in of_bank} == {"Payment"}
    assert {row["Account"][:4] for row in of_bank} > {"1200"}, "whole transactions, as on the page"
    assert {row["Customer no."] for row in of_second} - {""} == {str(made["second"])}
    assert {row["What"] for row in of_second} == {"Invoice"}
    assert 0 < len(of_second) < len(await file())


@pytest.mark.parametrize("asked", [{"customer": "9999999999999999999"}, {"account": "12\0"}, {"kind": "invoice\0"}])
async def test_B5_a_file_of_the_journal_that_cannot_be_asked_for_is_refused_as_its_page_is(
    tenant: TestTenant, asked: dict[str, str]
) -> None:
    page = await tenant.browser()

    shown = await page.get("/ledger/journal", params=asked)
    file = await page.get("/ledger/journal", params={"format": "csv", **asked})

    assert (shown.status_code, file.status_code) == (422, 422)
    assert file.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("path", ["", "/journal"])
async def test_B5_a_file_opens_in_a_spreadsheet_of_the_readers_language(tenant: TestTenant, path: str) -> None:
    await books(tenant)
    page = await tenant.browser()

    english, german = [
        (await page.get(f"/ledger{path}", params={"format": "csv"}, headers={"accept-language": language})).content
        for language in ("en", "de")
    ]

    in_english = list(csv.DictReader(io.StringIO(english.decode("utf-8-sig"))))
    in_german = list(csv.DictReader(io.StringIO(german.decode("utf-8-sig")), delimiter=";"))
    assert [each["Soll"] for each in in_german] == [each["Debit"].replace(".", ",") for each in in_english]
    assert any("," in each["Soll"] for each in in_german)
    assert not any("." in each["Haben"] for each in in_german)
    if path:
        assert {each["Was"] for each in in_german} > {"Rechnung"}


async def test_B5_a_rate_in_a_file_is_a_number_to_a_spreadsheet(tenant: TestTenant) -> None:
    await books(tenant)
    today = tenant.scope().today().isoformat()
    page = await tenant.browser()

    (row,) = sheet_of(await page.get("/ledger/tax", params={"format": "csv", "since": today, "until": today}))

    assert row["Rate"] == "23%"


async def test_B5_receivables_of_any_day_are_what_stood_in_the_books(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    first = await an_invoice(tenant, customer_id)
    day_one = tenant.scope().today()
    tenant.clock.move(timedelta(days=40))
    await an_invoice(tenant, customer_id, 50)
    await receive(tenant.scope(), NewPayment(payer_id=customer_id, amount_minor=12_300, document_id=first))
    day_two = tenant.scope().today()
    tenant.clock.move(timedelta(days=10))
    api, page = await tenant.api(), await tenant.browser()

    before, then, now = [
        (await api.get("/api/v1/ledger/receivables", params={"on": day.isoformat()})).json()
        for day in (day_one - timedelta(days=1), day_two - timedelta(days=1), tenant.scope().today())
    ]
    items = (await api.get("/api/v1/ledger/open-items", params={"on": day_two.isoformat()})).json()
    file = sheet_of(
        await page.get(
            "/ledger/receivables", params={"on": day_one.isoformat(), "format": "csv", "sheet": "open-items"}
        )
    )
    ages = sheet_of(await page.get("/ledger/receivables", params={"on": day_one.isoformat(), "format": "csv"}))

    assert (before["by_currency"], before["in_books"]) == ([], [])
    assert then["by_currency"][0]["total_minor"] == then["in_books"][0]["amount_minor"] == 12_300
    assert then["by_currency"][0]["to_30_minor"] == 12_300
    assert now["by_currency"][0]["total_minor"] == now["in_books"][0]["amount_minor"] == 6_150
    assert now["by_currency"][0]["current_minor"] == 6_150
    assert [each["open_minor"] for each in items["items"]] == [6_150]
    assert [(row["Open"], row["Days overdue"]) for row in file] == [("123.00", "0")]
    assert [(row["Open"], row["Difference"]) for row in ages] == [("123.00", "0.00")]


async def test_B6_the_tax_report_comes_to_what_was_booked_on_2200(tenant: TestTenant) -> None:
    scope = tenant.scope()
    await set_fx_rate(scope, NewFxRate(from_currency="USD", valid_on=scope.today(), rate_e10=9_000_000_000))
    await books(tenant)
    await an_invoice(tenant, await a_customer(tenant, "Overseas", country="US", currency="USD"), 200)
    exempt = await a_customer(tenant, "Exempt")
    await execute("UPDATE customer SET tax_profile = 'exempt' WHERE id = :id", id=exempt)
    await an_invoice(tenant, exempt, 30)
    business = await a_customer(tenant, "Werk GmbH", kind="company", country="DE")
    await execute("UPDATE customer SET vat_id = 'DE136695976' WHERE id = :id", id=business)
    await execute(
        "INSERT INTO vat_check (vat_id, checked_at, valid, consultation) VALUES ('DE136695976', :now, TRUE, 'x')",
        now=scope.now(),
    )
    await an_invoice(tenant, business, 70)
    await execute("UPDATE seller SET oss = TRUE")
    await set_tax_rate(scope, NewTaxRate(country="FR", category="standard", valid_from=scope.today(), rate_ppm=200_000))
    await an_invoice(tenant, await a_customer(tenant, "Chez Nous", country="FR"), 10)
    api, page = await tenant.api(), await tenant.browser()
    month = {"since": scope.today().replace(day=1).isoformat(), "until": scope.today().isoformat()}

    report = (await api.get("/api/v1/ledger/tax", params=month)).json()
    shown = await page.get("/ledger/tax", params=month)
    file = sheet_of(await page.get("/ledger/tax", params={**month, "format": "csv"}))
    charged = sheet_of(await page.get("/ledger/tax", params={**month, "format": "csv", "sheet": "reverse-charge"}))
    backwards = await api.get("/api/v1/ledger/tax", params={"since": month["until"], "until": "2020-01-01"})

    by_part = {each["part"]: (each["country"], each["net_minor"], each["tax_minor"]) for each in report["lines"]}
    assert by_part == {
        "home": ("IE", 14_000, 3_220),
        "oss": ("FR", 1_000, 200),
        "reverse_charge": ("DE", 7_000, 0),
        "exempt": ("IE", 3_000, 0),
        "outside": ("US", 18_000, 0),
    }
    assert report["tax_minor"] == report["booked_minor"] == 3_420
    assert [(row["VAT id"], row["Net"]) for row in charged] == [("DE136695976", "70.00")]
    assert {row["Part"]: row["Tax"] for row in file}["At home"] == "32.20"
    assert "Booked on 2200" in shown.text
    assert backwards.status_code == 422


async def test_B6_each_line_of_the_tax_report_leads_to_the_documents_that_come_to_it(tenant: TestTenant) -> None:
    scope = tenant.scope()
    await books(tenant)
    await an_invoice(tenant, await a_customer(tenant, "Nowhere", country=None))
    for name, profile in (("Exempt", "exempt"), ("Abroad", "reverse_charge"), ("Abroad too", "reverse_charge")):
        customer = await a_customer(tenant, name, country="DE")
        await execute("UPDATE customer SET tax_profile = :profile WHERE id = :id", profile=profile, id=customer)
        await an_invoice(tenant, customer, 70)
    await execute("UPDATE seller SET oss = TRUE")
    await set_tax_rate(scope, NewTaxRate(country="FR", category="standard", valid_from=scope.today(), rate_ppm=200_000))
    for __ in range(3):
        await an_invoice(tenant, await a_customer(tenant, "Chez Nous", country="FR"), 10)
    api, page = await tenant.api(), await tenant.browser()
    day = {"since": scope.today().isoformat(), "until": scope.today().isoformat()}
    report = (await api.get("/api/v1/ledger/tax", params=day)).json()
    shown = await page.get("/ledger/tax", params=day)
    links = [unescape(each) for each in re.findall(r'href="(/ledger/tax/documents[^"]*)"', shown.text)]

    pages = [await page.get(each) for each in links]
    files = [sheet_of(await page.get(f"{each}&format=csv")) for each in links]
    lists = [
        await _all_of(api, {**day, **{name: each[name] for name in ("part", "country", "code", "rate_ppm")}})
        for each in report["lines"]
    ]

    assert [each.status_code for each in pages] == [200] * len(links)
    wanted = [(each["documents"], each["net_minor"], each["tax_minor"]) for each in report["lines"]]
    wanted_by_vat_id = [(each["documents"], each["net_minor"], 0) for each in report["reverse_charged"]]
    assert (len(wanted), len(wanted_by_vat_id)) == (4, 2)
    assert [_sums(each) for each in files] == wanted + wanted_by_vat_id
    assert [
        (len(each), sum(one["net_minor"] for one in each), sum(one["tax_minor"] for one in each)) for each in lists
    ] == wanted
    for (documents, net, tax), shows in zip(wanted + wanted_by_vat_id, pages, strict=True):
        assert re.search(rf"\b{documents} documents?\b", shows.text)
        assert {format_amount(net, "EUR"), format_amount(tax, "EUR")} <= set(re.findall(r">([^<>]+)</td>", shows.text))
    assert 'href="/invoices/' in pages[0].text
    assert "/ledger/journal?since=" in shown.text
    assert "account=2200" in shown.text


async def _all_of(api: httpx.AsyncClient, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Every document, two a page."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = await api.get("/api/v1/ledger/tax/documents", params={**asked, "limit": 2, "cursor": cursor})
        assert answer.status_code == 200, answer.text
        found += answer.json()["items"]
        cursor = answer.json()["next"]
        if not cursor:
            return found


def _sums(file: list[dict[str, str]]) -> tuple[int, int, int]:
    net, tax = (sum(round(Decimal(row[name]) * 100) for row in file) for name in ("Net", "Tax"))
    return len(file), net, tax


async def test_B6_documents_of_the_tax_report_are_refused_where_their_line_is_no_line(tenant: TestTenant) -> None:
    page, api = await tenant.browser(), await tenant.api()

    bad = await page.get("/ledger/tax/documents", params={"country": "nowhere", "rate": "x", "customer": "9" * 19})
    none = await page.get("/ledger/tax/documents", params={"part": "nothing", "after": "x"})
    huge = [await page.get(f"/ledger/{each}", params={"customer": "9" * 19}) for each in ("tax/documents", "journal")]
    backwards = await api.get("/api/v1/ledger/tax/documents", params={"since": "2026-02-01", "until": "2026-01-01"})
    other = await api.get("/api/v1/ledger/tax/documents", params={"cursor": "x"})

    assert (bad.status_code, none.status_code, backwards.status_code, other.status_code) == (422, 200, 422, 422)
    assert "Nothing was issued in these days" in none.text
    assert [each.status_code for each in huge] == [422, 422]


async def test_B6_the_tax_report_has_what_is_charged_at_home_first_and_counts_each_document_once(
    tenant: TestTenant,
) -> None:
    scope = tenant.scope()
    today = scope.today()
    empty = await tax_report("EUR", today, today)
    await billing.default_seller(scope)
    await execute("UPDATE seller SET oss = TRUE")
    for country, category, rate in (("FR", "standard", 200_000), ("IE", "reduced", 135_000)):
        await set_tax_rate(scope, NewTaxRate(country=country, category=category, valid_from=today, rate_ppm=rate))
    for name, country, profile in (
        ("Abroad", "FR", ""), ("Home", "IE", ""), ("Charged", "IE", "reverse_charge"), ("Exempt", "IE", "exempt"),
    ):  # fmt: skip
        customer = await a_customer(tenant, name, country=country)
        if profile:
            await execute("UPDATE customer SET tax_profile = :profile WHERE id = :id", profile=profile, id=customer)
        for _ in range(2):
            lines = [
                NewLine(description=what, unit_price_e6=10 * 10**6, tax_category=category)
                for what, category in (("Visit", "standard"), ("Cable", "standard"), ("Book", "reduced"))
                if country == "IE" or category == "standard"
            ]
            made = await billing.create_draft(scope, NewDraft(payer_id=customer, lines=lines))
            await billing.issue(scope, made)

    report = await tax_report("EUR", today, today)

    assert (empty.lines, empty.booked_minor, empty.other_minor) == ([], 0, 0)
    assert [(each.part, each.rate_ppm, each.documents, each.net_minor) for each in report.lines] == [
        ("home", 230_000, 2, 4_000),
        ("home", 135_000, 2, 2_000),
        ("oss", 200_000, 2, 4_000),
        ("reverse_charge", 0, 2, 6_000),
        ("exempt", 0, 2, 6_000),
    ]
    assert [(each.documents, each.net_minor) for each in report.reverse_charged] == [(2, 6_000)]
    assert report.other_minor == 0


async def test_B6_what_was_charged_stays_in_the_tax_report_when_its_buyer_is_erased(tenant: TestTenant) -> None:
    scope = tenant.scope()
    business = await a_customer(tenant, "Werk GmbH", kind="company", country="DE")
    await execute("UPDATE customer SET tax_profile = 'reverse_charge' WHERE id = :id", id=business)
    await an_invoice(tenant, business, 70)
    await an_invoice(tenant, await a_customer(tenant), 10)
    await execute("UPDATE document_party SET snapshot = ''")

    report = await tax_report("EUR", scope.today(), scope.today())

    assert [(each.part, each.country, each.net_minor, each.tax_minor) for each in report.lines] == [
        ("home", "IE", 1_000, 230),
        ("reverse_charge", "", 7_000, 0),
    ]
    assert [(each.customer_id, each.name, each.vat_id, each.net_minor) for each in report.reverse_charged] == [
        (business, "", "", 7_000)
    ]


async def test_B5_months_of_revenue_are_in_words_on_the_page_and_in_order_in_the_file(tenant: TestTenant) -> None:
    await books(tenant)
    page, today = await tenant.browser(), tenant.scope().today()
    asked = {"since": "2026-02-01", "until": today.isoformat()}

    shown = await page.get("/ledger/revenue", params=asked)
    german = await page.get("/ledger/revenue", params=asked, headers={"accept-language": "de"})
    (row,) = sheet_of(await page.get("/ledger/revenue", params={**asked, "format": "csv"}))

    assert "Mar\N{NO-BREAK SPACE}2026</th>" in shown.text
    assert "März\N{NO-BREAK SPACE}2026</th>" in german.text
    assert "2026-03" not in shown.text
    assert "2026-03" in row


async def test_B5_a_trial_balance_fits_a_phone_with_the_balance_and_its_sum(tenant: TestTenant) -> None:
    await books(tenant)
    page = await tenant.browser()

    shown = (await page.get("/ledger")).text
    foot = shown[shown.index("<tfoot>") : shown.index("</tfoot>")]

    assert 'class="t-table t-report cards nocheck"' in shown
    assert re.search(r'<th scope="row" class="c-name">Sum, EUR</th>', foot)
    assert len(re.findall(r'<td class="t-num c-amount">[^<]+</td>', foot)) == 1
    assert "cards" not in (await page.get("/ledger/revenue")).text.split("<thead>")[0].rsplit("<table", 1)[1]


async def test_B5_revenue_by_product_and_month_is_what_stands_on_4000(tenant: TestTenant) -> None:
    await books(tenant)
    api, page = await tenant.api(), await tenant.browser()

    found = (await api.get("/api/v1/ledger/revenue")).json()
    (row,) = sheet_of(await page.get("/ledger/revenue", params={"format": "csv"}))

    assert sum(each["amount_minor"] for each in found) == 14_000
    assert row["Sum"] == "140.00"


async def test_B5_accounts_are_called_as_one_likes_and_exported_under_other_numbers(tenant: TestTenant) -> None:
    page, api = await tenant.browser(), await tenant.api()

    done = await page.post("/ledger/accounts/4000", data={"name": "Sales", "export_number": "8400"})
    wrong = await page.post("/ledger/accounts/4000", data={"name": "", "export_number": "84a"})
    missing = await page.get("/ledger/accounts/4711")
    again = await api.put("/api/v1/ledger/accounts/1200", json={"name": "Bank", "export_number": "1800"})
    renamed = await api.put("/api/v1/ledger/accounts/1200", json={"name": "Our bank"})
    accounts = {each["code"]: each for each in (await api.get("/api/v1/ledger/accounts")).json()}

    assert done.status_code == 303
    assert (renamed.json()["name"], renamed.json()["export_number"]) == ("Our bank", "1800")
    assert (wrong.status_code, missing.status_code, again.status_code) == (422, 404, 200)
    assert (accounts["4000"]["name"], accounts["4000"]["export_number"]) == ("Sales", "8400")
    assert accounts["1200"]["export_number"] == "1800"
    assert "84a" in wrong.text


async def test_B5_closing_shows_first_what_it_will_do(tenant: TestTenant) -> None:
    await books(tenant)
    page, api = await tenant.browser(), await tenant.api()
    yesterday = tenant.scope().today() - timedelta(days=1)
    part = {"hx-request-type": "partial"}

    plan = await page.get("/ledger/closing/new", params={"until": yesterday.isoformat()}, headers=part)
    still_open = (await api.get("/api/v1/ledger/closing")).json()
    today = await api.put("/api/v1/ledger/closing", json={"closed_until": tenant.scope().today().isoformat()})
    closed = await api.put("/api/v1/ledger/closing", json={"closed_until": yesterday.isoformat()})
    shown = await page.get("/ledger/closing")

    assert "Nothing is booked on this day or before it any more" in plan.text
    assert still_open == {"closed_until": None}
    assert today.status_code == 422
    assert closed.json() == {"closed_until": yesterday.isoformat()}
    assert "Nothing is booked on this day" in shown.text
    assert (await api.put("/api/v1/ledger/closing", json={"closed_until": None})).json() == still_open


async def test_B5_revenue_is_recognised_over_json_and_a_second_time_there_is_nothing(tenant: TestTenant) -> None:
    api = await tenant.api()

    done = await api.post("/api/v1/ledger/recognition")
    deferred = await api.get("/api/v1/ledger/deferred-revenue")

    assert (done.status_code, done.json()) == (200, [])
    assert deferred.json() == []


async def test_B5_the_drawer_has_no_deed_where_nothing_is_left_to_recognise(tenant: TestTenant) -> None:
    page = await tenant.browser()

    drawer = await page.get("/ledger/recognition", headers={"hx-request": "true", "hx-request-type": "partial"})

    assert "Nothing is left to recognise" in drawer.text
    assert 'type="submit"' not in drawer.text


def test_B5_months_of_reports_are_in_words_on_the_page_and_figures_in_a_file() -> None:
    due = ScheduledRevenue(month=date(2026, 11, 1), currency="EUR", amount_minor=100, base_minor=100)
    sheet = deferred_sheet([due], "EUR")
    (column, cell) = sheet.columns[0], sheet.lines[0].cells[0]

    assert text_of(column, cell, "en").replace("\xa0", " ") == "Nov 2026"
    assert text_of(column, cell, "de").replace("\xa0", " ") == "Nov. 2026"


def test_B5_revenue_sums_and_figures_are_worked_out_every_night() -> None:
    nightly = {each.name for each in SCHEDULES}

    assert {"recognise_revenue", "add_up_ledger", "step_mrr"} <= nightly
    assert {"recognise_revenue", "add_up_ledger", "step_mrr"} <= {kind.name for kind in JOBS}


def test_B5_the_trial_balance_adds_up_debit_and_credit_of_each_currency() -> None:
    def of(code: str, currency: str, debit: int, credit: int, base: int) -> TrialBalanceRow:
        return TrialBalanceRow(code, code, "asset", currency, 0, debit, credit, debit - credit, base)

    one = trial_sheet([of("1100", "EUR", 500, 200, 300), of("4000", "EUR", 0, 300, -300)], "EUR", "").totals
    two = trial_sheet([of("1100", "EUR", 500, 500, 0), of("1100", "USD", 70, 70, 0)], "EUR", "").totals

    assert [line.cells[4:6] for line in one] == [(Money(500, "EUR"), Money(500, "EUR"))]
    assert one[0].cells[-1] == Money(0, "EUR")
    assert [line.cells[2] for line in two] == ["EUR", "USD", None]
    assert two[-1].cells[-1] == Money(0, "EUR")
    assert trial_sheet([], "EUR", "").totals == []


def test_B5_every_kind_of_transaction_has_words_in_german() -> None:
    """What is booked by name anywhere in the code."""
    booked: set[str] = set()
    for path in (Path(core.reports.__file__).parents[1]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "post":
                booked |= {
                    word.value.value
                    for word in node.keywords
                    if word.arg == "kind" and isinstance(word.value, ast.Constant) and isinstance(word.value.value, str)
                }

    assert {"tax_relief", "refund_failed", "payout", "payment"} <= booked
    assert booked <= set(KINDS)
    with speaking("de"):
        assert {kind for kind in booked if kind_words(kind) == KINDS[kind]} == set()


async def test_B5_sums_stand_below_their_columns_and_long_names_leave_the_amounts_seen(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant, "Gesellschaft für Breitbandversorgung im nördlichen Land")
    await an_invoice(tenant, customer_id)
    page = await tenant.browser()

    balance = (await page.get("/ledger")).text
    owed = (await page.get("/ledger/receivables")).text

    sums = balance.partition("<tfoot>")[2]
    assert sums.count('<td class="t-num') == len(re.findall(r"<td[^>]*>−?[\d.,]+</td>", sums)) > 3
    assert re.search(r'<td class="c-name t-long"><a [^>]*>Gesellschaft', owed)


async def test_B5_an_account_in_several_currencies_has_a_statement_in_each(tenant: TestTenant) -> None:
    await set_fx_rate(
        tenant.scope(), NewFxRate(from_currency="USD", valid_on=tenant.scope().today(), rate_e10=9 * 10**9)
    )
    for currency in ("EUR", "USD"):
        await an_invoice(tenant, await a_customer(tenant, currency=currency))
    page = await tenant.browser()

    shown = (await page.get("/ledger/journal", params={"account": "1100"})).text

    strips = re.findall(r'<dl class="t-strip">(.*?)</dl>', shown)
    assert [re.findall(r"Balance, (\w+)", strip) for strip in strips] == [["EUR"], ["USD"]]
    assert all("123.00" in strip for strip in strips)
