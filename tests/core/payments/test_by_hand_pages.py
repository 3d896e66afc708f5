"""Payments by hand on pages and over JSON: batches, splitting, suspense, transfers, tax of bad debts."""

from __future__ import annotations

import re
from html import unescape

import httpx
import pytest

from core.billing import actions as billing
from core.billing.queries import get_document
from core.billing.schemas import NewDraft, NewLine
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import value, values
from core.jobs.worker import Work, Worker
from core.ledger.actions import set_fx_rate
from core.ledger.queries import get_balance
from core.ledger.schemas import NewFxRate
from core.payments.batch import BOOK, pasted_rows
from core.payments.queries import list_payments
from core.testing import TestTenant
from tests.core.jobs.registry import Tenants

pytestmark = pytest.mark.anyio

PART = {"hx-request-type": "partial"}


async def a_customer(tenant: TestTenant, name: str = "Tarrow Pike") -> int:
    return await create_customer(tenant.scope(), NewCustomer(full_name=name, country="IE"))


async def work(tenant: TestTenant) -> None:
    """Batches that are due are booked."""
    kinds = {BOOK.name: BOOK}
    worker = Worker(Tenants.of(tenant.scope()), lambda _: Work(kinds), clock=tenant.clock)
    await worker.until_idle(tenant.tenant.uuid)


async def an_invoice(tenant: TestTenant, customer_id: int, price: int = 100) -> int:
    """Issued, with 23 % tax on its price."""
    scope = tenant.scope()
    line = NewLine(description="Visit", unit_price_e6=price * 10**6)
    made = await billing.create_draft(scope, NewDraft(payer_id=customer_id, lines=[line]))
    await billing.issue(scope, made)
    return made


async def sent(page: httpx.AsyncClient, path: str, seen: httpx.Response, **typed: str) -> httpx.Response:
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', seen.text))
    return await page.post(
        path, data={**{name: unescape(text) for name, text in hidden.items()}, **typed}, headers=PART
    )


def rows_of(page: str) -> dict[str, str]:
    found = re.findall(r'name="(row-\d+-\w+)"[^>]*?value="([^"]*)"', page)
    return {name: unescape(text) for name, text in found}


# -- a batch ----------------------------------------------------------------------------------------------------------


def test_B4_nothing_that_is_pasted_gets_lost() -> None:
    tabs = pasted_rows("2026-11-20\tFIB-7\t100.00\tRent\tMay\nsubtotal\n\n2026-11-21", 3)
    commas = pasted_rows('2026-11-20,7,12,50,Rent, May\n2026-11-20,7,12,50\n2026-11-20,7,12.50,RF50\n,7,"1,50",x', 0)

    assert [(each.at, each.received_on, each.who, each.amount, each.reference) for each in tabs] == [
        (3, "2026-11-20", "FIB-7", "100.00", "Rent May"),
        (4, "subtotal", "", "", ""),
        (5, "2026-11-21", "", "", ""),
    ]
    assert [(each.amount, each.reference) for each in commas] == [
        ("12,50", "Rent, May"),
        ("12,50", ""),
        ("12.50", "RF50"),
        ("1,50", "x"),
    ]
    assert not any(each.is_empty for each in (*tabs, *commas))


def test_B4_two_digits_behind_an_amount_are_its_cents_only_where_it_has_none() -> None:
    rows = pasted_rows('2026-11-20,7,12.50,50\n2026-11-20,7,"1,50",12\n2026-11-20,7,1.000,50', 0)

    assert [(each.amount, each.reference) for each in rows] == [("12.50", "50"), ("1,50", "12"), ("1.000,50", "")]


def test_B4_a_quotation_mark_that_is_never_closed_swallows_no_line() -> None:
    rows = pasted_rows('2026-11-20;7;5;"Rent\n2026-11-21;8;6;May', 0)

    assert [(each.who, each.amount, each.reference) for each in rows] == [("7", "5", '"Rent'), ("8", "6", "May")]


async def test_B4_a_cell_that_is_longer_than_any_is_shown_and_books_nothing(tenant: TestTenant) -> None:
    page = await tenant.browser()

    looked = await page.post("/payments/batch", data={"pasted": "2026-11-20;7;5;" + "x" * 200_000, "mode": "all"})

    assert looked.status_code == 422


async def test_B4_a_line_that_says_nothing_of_money_is_shown_and_books_nothing(tenant: TestTenant) -> None:
    customer_id = await create_customer(tenant.scope(), NewCustomer(full_name="Tarrow Pike", country="IE"))
    page = await tenant.browser()

    looked = await page.post("/payments/batch", data={"pasted": f";{customer_id};5;x\nsubtotal", "mode": "all"})

    assert looked.status_code == 422
    assert 'value="subtotal"' in looked.text
    assert "1 row is wrong or not matched" in looked.text


async def test_B4_a_pasted_batch_is_matched_mended_where_it_is_wrong_and_booked_by_a_job(tenant: TestTenant) -> None:
    first, second = await a_customer(tenant), await a_customer(tenant, "Bea Berg")
    invoice = await an_invoice(tenant, first)
    other = await an_invoice(tenant, second, 10)
    number = (await get_document(tenant.scope(), other)).number
    page = await tenant.browser()
    today = tenant.scope().today().isoformat()
    pasted = f"{today};2026-000001;123,00;Miete\n{today};;12.30;Re {number} danke\n31.02.2026;Nobody;x;Fee"

    looked = await page.post("/payments/batch", data={"pasted": pasted, "mode": "all"})
    typed = rows_of(looked.text)

    assert looked.status_code == 422
    assert "Nobody was found by this" in looked.text
    assert "Type a date as year, month, day" in looked.text
    assert "Book nothing" in looked.text
    assert {each for each in typed.values() if each} >= {"Nobody", "x", "31.02.2026", "123,00"}
    assert await value("SELECT count(*) FROM payment") == 0

    mended = {**typed, "row-2-received_on": today, "row-2-who": str(second), "row-2-amount": "5"}
    good = await page.post("/payments/batch", data={**mended, "mode": "all"})
    seen = re.search(r'name="looked" value="(\w+)"', good.text)
    assert seen is not None
    assert "3 rows are good: €140.30." in good.text
    booked = await page.post("/payments/batch", data={**mended, "mode": "all", "looked": seen[1]})
    path = booked.headers["location"]
    await work(tenant)
    report = await page.get(path)

    assert "3 payments are booked" in report.text
    assert (await get_document(tenant.scope(), invoice)).open_minor == 0
    assert (await get_document(tenant.scope(), other)).open_minor == 0
    assert (await get_balance(tenant.scope(), second)).credit_minor == 500
    assert len(await list_payments(tenant.scope())) == 3


async def test_B4_a_batch_that_is_pasted_again_says_what_seems_to_be_booked_and_is_booked_all_the_same(
    tenant: TestTenant,
) -> None:
    first, second = await a_customer(tenant), await a_customer(tenant, "Bea Berg")
    page = await tenant.browser()
    pasted = "\n".join(
        f"2026-11-20;{one};12,00;Re {text}" for one, text in ((first, 1), (first, 2), (second, 3), (second, 3))
    )

    async def look() -> tuple[httpx.Response, dict[str, str]]:
        seen = await page.post("/payments/batch", data={"pasted": pasted, "mode": "all"})
        (looked,) = re.findall(r'name="looked" value="(\w+)"', seen.text)
        return seen, {**rows_of(seen.text), "mode": "all", "looked": looked}

    new, typed = await look()
    assert (await page.post("/payments/batch", data=typed)).status_code == 303
    await work(tenant)
    pressed_again = await page.post("/payments/batch", data=typed)
    old, typed = await look()
    assert (await page.post("/payments/batch", data=typed)).status_code == 303
    await work(tenant)

    assert "1 row seems to be booked already, or to stand here twice" in new.text
    assert (new.text.count("Stands here twice?"), new.text.count("Booked already?")) == (1, 0)
    assert pressed_again.status_code == 200
    for seen in (pressed_again, old):
        assert "4 rows seem to be booked already" in seen.text
        assert seen.text.count("Booked already?") == 4
    assert await value("SELECT count(*) FROM payment") == 8


async def test_B4_a_batch_goes_on_in_sight_of_who_may_see_jobs_and_asks_for_no_others(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    clerk = await tenant.browser(staff_id=await tenant.staff_with({"payments.register", "payments.view"}))
    row = {"row-0-who": str(customer_id), "row-0-amount": "5"}
    looked = re.search(r'name="looked" value="(\w+)"', (await clerk.post("/payments/batch", data=row)).text)
    assert looked is not None
    at = (await clerk.post("/payments/batch", data={**row, "looked": looked[1]})).headers["location"]

    own, whole = (await clerk.get(at)).text, (await (await tenant.browser()).get(at)).text

    assert ["/events" in one for one in (own, whole)] == [False, True]
    assert f"{at}/state" in own


async def test_B4_what_changed_since_it_was_looked_at_is_looked_at_again(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    page = await tenant.browser()
    rows = {"row-0-who": str(customer_id), "row-0-amount": "5"}
    good = await page.post("/payments/batch", data=rows)
    seen = re.search(r'name="looked" value="(\w+)"', good.text)
    assert seen is not None

    again = await page.post("/payments/batch", data={**rows, "row-0-amount": "50", "looked": seen[1]})
    empty = await page.post("/payments/batch", data={})

    assert "1 row is good: €50.00." in again.text
    assert empty.status_code == 422
    assert await value("SELECT count(*) FROM job WHERE kind = 'book_payments'") == 0


async def test_B4_over_json_bad_rows_are_left_out_or_wait_and_a_job_run_twice_books_once(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    api = await tenant.api()
    rows = [{"who": str(customer_id), "amount_minor": 700}, {"who": "Nobody", "amount_minor": 300}]

    whole = await api.post("/api/v1/payments/batches", json={"rows": rows})
    skipping = await api.post("/api/v1/payments/batches", json={"rows": rows, "mode": "skip_bad"})
    waiting = await api.post("/api/v1/payments/batches", json={"rows": rows[1:], "mode": "suspense"})
    await work(tenant)
    done = (await api.get(f"/api/v1/payments/batches/{skipping.json()['job_id']}")).json()
    held = (await api.get(f"/api/v1/payments/batches/{waiting.json()['job_id']}")).json()

    assert whole.status_code == 422
    assert whole.json()["errors"][0]["field"] == "rows.1.who"
    assert (done["state"], done["report"]["booked"], done["report"]["refused"][0]["row"]) == ("done", 1, 2)
    assert (held["report"]["booked"], held["report"]["waiting"]) == (1, 1)
    assert await values("SELECT amount_minor FROM payment ORDER BY id") == [700, 300]
    assert await values("SELECT provider_event_id IS NOT NULL FROM payment") == [True, True]


# -- the drawer -------------------------------------------------------------------------------------------------------


async def test_B4_a_payment_is_split_in_its_drawer_and_says_what_is_wrong_beside_the_invoice(
    tenant: TestTenant,
) -> None:
    customer_id = await a_customer(tenant)
    first, second = await an_invoice(tenant, customer_id), await an_invoice(tenant, customer_id)
    page, base = await tenant.browser(), f"/customers/{customer_id}/payments"
    typed = {"amount": "100", f"share_{second}": "80"}

    wrong = await page.get(f"{base}/new", params={**typed, f"share_{second}": "124"}, headers=PART)
    plan = await page.get(f"{base}/new", params=typed, headers=PART)
    done = await sent(page, base, plan, **typed)

    assert wrong.status_code == 422
    assert "More is allocated than was received" in wrong.text
    assert done.headers.get("hx-redirect"), done.text
    opens = [(await get_document(tenant.scope(), each)).open_minor for each in (first, second)]
    assert opens == [10300, 4300]


async def test_B4_the_banks_fee_and_what_arrived_in_another_currency_are_booked(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    await an_invoice(tenant, customer_id)
    today = tenant.scope().today()
    await set_fx_rate(tenant.scope(), NewFxRate(from_currency="USD", valid_on=today, rate_e10=9 * 10**9))
    page, base = await tenant.browser(), f"/customers/{customer_id}/payments"
    typed = {"amount": "123", "fee": "2", "bank_currency": "USD", "bank_amount": "140"}

    lacking = await page.get(f"{base}/new", params={**typed, "bank_amount": ""}, headers=PART)
    plan = await page.get(f"{base}/new", params=typed, headers=PART)
    done = await sent(page, base, plan, **typed)

    assert lacking.status_code == 422
    assert done.headers.get("hx-redirect"), done.text
    (payment,) = await list_payments(tenant.scope())
    assert (payment.amount_minor, payment.bank_amount_minor, payment.bank_currency, payment.fee_minor) == (
        12300,
        14000,
        "USD",
        200,
    )
    assert (await get_balance(tenant.scope(), customer_id)).balance_minor == 0


# -- nobody known, somebody else --------------------------------------------------------------------------------------


async def test_B4_money_of_nobody_known_is_held_and_assigned_on_its_page(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    invoice = await an_invoice(tenant, customer_id)
    page = await tenant.browser()
    typed = {"amount": "200", "reference": "illegible"}

    plan = await page.get("/payments/unidentified/new", params=typed, headers=PART)
    held = await sent(page, "/payments/unidentified", plan, **typed)
    (payment,) = await list_payments(tenant.scope())
    path = f"/payments/{payment.id}"
    shown, listed = await page.get(path), await page.get("/payments")
    nobody = await page.get(f"{path}/assignment", params={"customer_id": "999"}, headers=PART)
    asked = {"number": "2026-000001"}
    assignment = await page.get(f"{path}/assignment", params=asked, headers=PART)
    done = await sent(page, f"{path}/assignment", assignment, **asked)

    assert held.headers.get("hx-redirect") == "/payments", held.text
    assert "held in suspense" in shown.text
    assert ("In suspense" in listed.text, "Allocated" in listed.text) == (True, False)
    assert nobody.status_code == 422
    assert "Assign €200.00 to Tarrow Pike" in assignment.text
    assert done.headers.get("hx-redirect"), done.text
    assert (await get_document(tenant.scope(), invoice)).open_minor == 0
    assert (await get_balance(tenant.scope(), customer_id)).credit_minor == 7700
    assert (await page.get(f"{path}/assignment", params=asked, headers=PART)).status_code == 409


async def test_B4_credit_is_transferred_on_the_page_and_over_json(tenant: TestTenant) -> None:
    first, second = await a_customer(tenant), await a_customer(tenant, "Bea Berg")
    await billing.grant_credit(tenant.scope(), first, 5000, "Outage")
    page, api, path = await tenant.browser(), await tenant.api(), f"/customers/{first}/credit/transfer"
    typed = {"to_customer_id": str(second), "amount": "20"}

    tab = await page.get(f"/customers/{first}/transactions", params={"show": "credit"})
    plan = await page.get(path, params=typed, headers=PART)
    silent = await sent(page, path, plan, **typed)
    done = await sent(page, path, plan, **typed, reason="Same flat")
    over_json = await api.post(
        f"/api/v1/customers/{first}/credit/transfers", json={"to_customer_id": second, "reason": "Rest"}
    )

    assert path in tab.text
    assert "Transfer €20.00 to Bea Berg" in plan.text
    assert silent.status_code == 422
    assert done.headers.get("hx-redirect"), done.text
    assert over_json.json() == {"amount_minor": 3000}
    assert [(await get_balance(tenant.scope(), each)).credit_minor for each in (first, second)] == [0, 5000]


async def test_B6_tax_of_a_bad_debt_is_relieved_on_the_invoices_page_and_money_still_taken(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    invoice = await an_invoice(tenant, customer_id)
    await billing.write_off(tenant.scope(), invoice, "Bankrupt")
    page, path = await tenant.browser(), f"/invoices/{invoice}/tax-relief"

    shown = await page.get(f"/invoices/{invoice}")
    plan = await page.get(path, headers=PART)
    silent = await sent(page, path, plan)
    done = await sent(page, path, plan, reason="Court order")
    again = await page.get(path, headers=PART)
    asked = {"amount": "123", "document_id": str(invoice)}
    base = f"/customers/{customer_id}/payments"
    paying = await page.get(f"{base}/new", params=asked, headers=PART)
    paid = await sent(page, base, paying, **asked)

    assert path in shown.text
    assert "Relieve €23.00 of tax" in plan.text
    assert (silent.status_code, again.status_code) == (422, 409)
    assert done.headers.get("hx-redirect"), done.text
    assert paid.headers.get("hx-redirect"), paid.text
    assert (await get_document(tenant.scope(), invoice)).settlement == "paid"


async def test_B6_tax_of_a_bad_debt_is_relieved_where_a_part_was_given_up_too(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    invoice = await an_invoice(tenant, customer_id)
    page, path = await tenant.browser(), f"/invoices/{invoice}/tax-relief"

    before = await page.get(f"/invoices/{invoice}")
    await billing.write_off(tenant.scope(), invoice, "Settled out of court", 2460)
    shown = await page.get(f"/invoices/{invoice}")
    plan = await page.get(path, headers=PART)
    done = await sent(page, path, plan, reason="Ruling")

    assert path not in before.text
    assert path in shown.text
    assert "Relieve €4.60 of tax" in plan.text
    assert done.headers.get("hx-redirect"), done.text
    assert (await get_document(tenant.scope(), invoice)).open_minor == 9840
