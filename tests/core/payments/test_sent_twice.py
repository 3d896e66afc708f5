"""Forms that book money, sent twice at once: a double click, one sent anew, the same in two tabs."""

from __future__ import annotations

import asyncio
import re
from html import unescape
from typing import Any

import httpx

from core.billing import actions as billing
from core.billing.schemas import NewDraft, NewLine
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import value
from core.jobs.worker import Work, Worker
from core.payments.batch import BOOK
from core.testing import TestTenant
from tests.core.jobs.registry import Tenants

PART = {"hx-request-type": "partial"}
COUNTED = ("ledger_transaction", "document", "payment", "charge", "job")


async def a_customer(tenant: TestTenant) -> int:
    return await create_customer(tenant.scope(), NewCustomer(full_name="Tarrow Pike", country="IE"))


async def a_draft(tenant: TestTenant, customer_id: int) -> int:
    line = NewLine(description="Visit", unit_price_e6=300 * 10**6)
    return await billing.create_draft(tenant.scope(), NewDraft(payer_id=customer_id, lines=[line]))


async def counted() -> dict[str, int]:
    return {table: int(await value(f"SELECT count(*) FROM {table}")) for table in COUNTED}


def hidden(page: httpx.Response) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text)
    return {name: unescape(text) for name, text in found}


async def books_once(page: httpx.AsyncClient, asked: str, sent: str, **typed: str) -> None:
    """Sent twice at once and then again it does once, and leads to the same place."""
    form = {**typed, **hidden(await page.get(asked, params=typed, headers=PART))}
    before = await counted()
    both = await asyncio.gather(*(page.post(sent, data=form, headers=PART) for _ in range(2)))
    once = await counted()
    later = await page.post(sent, data=form, headers=PART)

    assert [each.status_code for each in (*both, later)] == [200, 200, 200], (sent, both[0].text, both[1].text)
    assert len({each.headers["hx-redirect"] for each in (*both, later)}) == 1, sent
    assert max(once[table] - before[table] for table in ("ledger_transaction", "document", "charge")) > 0, sent
    assert all(once[table] - before[table] <= 1 for table in ("document", "payment", "charge")), sent
    assert once["ledger_transaction"] - before["ledger_transaction"] <= 2, sent  # booked, and what it settles
    assert await counted() == once, sent


async def test_B4_a_form_that_books_is_done_once_however_often_it_is_sent(tenant: TestTenant) -> None:
    one = await a_customer(tenant)
    await billing.issue(tenant.scope(), await a_draft(tenant, one))
    draft = await a_draft(tenant, one)
    page = await tenant.browser()
    at = f"/customers/{one}"

    await books_once(page, "/payments/unidentified/new", "/payments/unidentified", amount="50", reference="RF1")
    await books_once(page, f"{at}/payments/new", f"{at}/payments", amount="50", method="transfer")
    await books_once(page, f"{at}/credit-notes/new", f"{at}/credit-notes", amount="5", reason="x")
    await books_once(page, f"{at}/credit/new", f"{at}/credit", amount="5", reason="x")
    await books_once(page, f"{at}/deposits/new", f"{at}/deposits", amount="5", reason="x")
    typed = {"line-0-description": "Cable", "line-0-price": "7", "line-0-quantity": "1"}
    await books_once(page, f"{at}/invoices/new", f"{at}/invoices", **typed)
    await books_once(page, f"{at}/charges/new", f"{at}/charges", description="Cable", amount="7", quantity="1")
    await books_once(page, f"/invoices/{draft}/proforma", f"/invoices/{draft}/proforma")
    await books_once(page, f"/invoices/{draft}/issue", f"/invoices/{draft}/issue")


async def test_B4_the_same_drawer_in_two_tabs_books_once_and_says_in_the_other_that_something_came_between(
    tenant: TestTenant,
) -> None:
    one = await a_customer(tenant)
    await billing.issue(tenant.scope(), await a_draft(tenant, one))
    draft = await a_draft(tenant, one)
    page = await tenant.browser()

    async def in_two_tabs(asked: str, sent: str, **typed: str) -> None:
        tabs = [{**typed, **hidden(await page.get(asked, params=typed, headers=PART))} for _ in range(2)]
        before = await counted()
        answers = await asyncio.gather(*(page.post(sent, data=tab, headers=PART) for tab in tabs))
        after = await counted()

        assert sorted(each.status_code for each in answers) == [200, 409], sent
        assert after["payment"] - before["payment"] + after["document"] - before["document"] == 1, sent
        refused = next(each for each in answers if each.status_code == 409)
        assert "Something came between." in refused.text
        again = await page.post(sent, data={**typed, **hidden(refused)}, headers=PART)
        assert again.status_code == 200, sent

    at = f"/customers/{one}/credit-notes"
    await in_two_tabs("/payments/unidentified/new", "/payments/unidentified", amount="50", reference="RF1")
    await in_two_tabs(f"{at}/new", at, amount="5", reason="x")
    await in_two_tabs(f"/invoices/{draft}/proforma", f"/invoices/{draft}/proforma")


# -- a batch ----------------------------------------------------------------------------------------------------------


async def looked_at(page: httpx.AsyncClient, rows: dict[str, str]) -> dict[str, str]:
    shown = await page.post("/payments/batch", data=rows)
    looked = re.search(r'name="looked" value="(\w+)"', shown.text)
    assert looked is not None, shown.text
    return {**rows, **hidden(shown), "looked": looked[1]}


async def work(tenant: TestTenant) -> None:
    worker = Worker(Tenants.of(tenant.scope()), lambda _: Work({BOOK.name: BOOK}), clock=tenant.clock)
    await worker.until_idle(tenant.tenant.uuid)


async def test_B4_a_batch_that_is_sent_twice_before_it_is_booked_is_booked_once(tenant: TestTenant) -> None:
    one = await a_customer(tenant)
    page = await tenant.browser()
    form = await looked_at(page, {"row-0-who": str(one), "row-0-amount": "12", "row-1-amount": "5", "mode": "suspense"})

    both = await asyncio.gather(*(page.post("/payments/batch", data=form) for _ in range(2)))
    await work(tenant)
    later = await page.post("/payments/batch", data=form)
    await work(tenant)

    assert [each.status_code for each in (*both, later)] == [303, 303, 303]
    assert len({each.headers["location"] for each in (*both, later)}) == 1
    assert await value("SELECT count(*) FROM payment") == 2
    assert await value("SELECT count(*) FROM job") == 1
    edited = await page.post("/payments/batch", data={**form, "row-0-amount": "13"})
    assert edited.status_code == 200  # looked at again, not answered as before


async def test_B4_the_same_batch_in_two_tabs_is_booked_once_and_the_other_says_that_it_is_being_booked(
    tenant: TestTenant,
) -> None:
    one = await a_customer(tenant)
    page = await tenant.browser()
    tabs = [await looked_at(page, {"row-0-who": str(one), "row-0-amount": "12", "mode": "all"}) for _ in range(2)]

    answers = await asyncio.gather(*(page.post("/payments/batch", data=tab) for tab in tabs))

    assert sorted(each.status_code for each in answers) == [200, 303]
    other = next(each for each in answers if each.status_code == 200)
    assert "Being booked" in other.text
    assert "1 row seems to be booked already, or to stand here twice" in other.text
    await work(tenant)
    assert await value("SELECT count(*) FROM payment") == 1


# -- over JSON --------------------------------------------------------------------------------------------------------


async def test_B4_two_requests_with_one_idempotency_key_at_once_are_done_once_and_answered_alike(
    tenant: TestTenant,
) -> None:
    one = await a_customer(tenant)
    await billing.issue(tenant.scope(), await a_draft(tenant, one))
    api = await tenant.api()
    bodies: dict[str, dict[str, Any]] = {
        "/api/v1/payments": {"payer_id": one, "amount_minor": 100},
        "/api/v1/payments/batches": {"rows": [{"who": str(one), "amount_minor": 5}]},
        "/api/v1/payments/unidentified": {"amount_minor": 100},
        "/api/v1/charges": {"customer_id": one, "amount_minor": 10, "description": "x"},
        "/api/v1/invoices": {"payer_id": one, "lines": [{"description": "x", "unit_price_e6": 10**6}]},
        f"/api/v1/customers/{one}/credit": {"amount_minor": 10, "reason": "x"},
        "/api/v1/deposits": {"customer_id": one, "amount_minor": 10, "reason": "x"},
    }

    for path, body in bodies.items():
        key = {"idempotency-key": "order-4711"}
        before = await counted()
        both = await asyncio.gather(*(api.post(path, json=body, headers=key) for _ in range(2)))
        after = await counted()

        assert [each.is_success for each in both] == [True, True], (path, both[0].text, both[1].text)
        assert both[0].json() == both[1].json(), path
        assert sorted("idempotent-replay" in each.headers for each in both) == [False, True], path
        assert all(after[table] - before[table] <= 1 for table in COUNTED if table != "ledger_transaction"), path
