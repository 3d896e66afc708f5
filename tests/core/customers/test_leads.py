"""A customer becomes a lead (C15): only a new one, without anything written for it, and where a plugin takes leads."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import pytest

import core.testing
from core import hookspecs
from core.activity.asking import nothing_kept
from core.activity.unit import unit_of_work
from core.app import HOOK_MODULES
from core.customers import actions, queries
from core.customers.schemas import NewCustomer
from core.database import execute
from core.errors import Conflict
from core.hooks import Effect, HookSets
from core.scope import Scope
from core.testing import TestTenant
from tests.core.hooks.modules import module

PART = {"hx-request": "true", "hx-request-type": "partial"}


async def plan_customer_to_lead(scope: Scope, customer_id: int) -> Sequence[Effect]:
    """The plugin keeps a card for each lead; here a note stands for it."""

    async def apply(scope: Scope) -> None:
        await actions.add_note(scope, customer_id, "Lead card made")

    return [Effect(text="A card among the leads", kind="service", apply=apply)]


@pytest.fixture
async def sales(tenant: TestTenant, monkeypatch: pytest.MonkeyPatch) -> TestTenant:
    """A tenant with a plugin that takes leads, and the status that it brings."""
    probe: ModuleType = module("probe", plan_customer_to_lead=plan_customer_to_lead)
    sets = HookSets(hookspecs, (*HOOK_MODULES, ("probe", probe)), [], guard=nothing_kept)
    monkeypatch.setattr(core.testing, "hook_sets", lambda: sets)
    async with unit_of_work(tenant.scope()):
        await execute(
            "INSERT INTO status (key, label, kind, colour, position, bill, serve, log_in, notify, dun, may_order,"
            " may_delete) VALUES ('lead', 'Lead', 'lead', 'lead', 99, FALSE, FALSE, FALSE, TRUE, FALSE, FALSE, TRUE)"
        )
        for before, after in (("new", "lead"), ("lead", "new"), ("active", "lead")):
            await execute(
                "INSERT INTO status_transition (from_id, to_id) SELECT f.id, t.id FROM status f, status t"
                " WHERE f.key = :before AND t.key = :after",
                before=before,
                after=after,
            )
    return tenant


async def somebody(tenant: TestTenant) -> int:
    return await actions.create_customer(tenant.scope(), NewCustomer(full_name="Ann Other", country="IE"))


async def status_of(tenant: TestTenant, customer_id: int) -> str:
    return (await queries.get_customer(tenant.scope(), customer_id)).status


async def test_C15_a_new_customer_becomes_a_lead_as_the_drawer_said(sales: TestTenant) -> None:
    customer_id = await somebody(sales)
    page = await sales.browser()
    at = f"/customers/{customer_id}/lead"

    drawer = await page.get(at, headers=PART)
    assert "A card among the leads" in drawer.text
    assert await status_of(sales, customer_id) == "new"
    seen = re.search(r'name="seen" value="([^"]*)"', drawer.text)
    assert seen is not None
    done = await page.post(at, data={"seen": seen[1]}, headers=PART)

    assert done.status_code == 200, done.text
    assert await status_of(sales, customer_id) == "lead"
    assert [note.text for note in await queries.list_notes(sales.scope(), customer_id)] == ["Lead card made"]


async def test_C15_where_no_plugin_takes_leads_the_action_is_greyed_with_the_reason(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant)

    shown = await (await tenant.browser()).get(f"/customers/{customer_id}")

    entry = shown.text.split("Convert to lead…")[0].rsplit("<button", 1)[1] + shown.text.split("Convert to lead…")[1]
    assert 'aria-disabled="true"' in entry
    assert "No plugin that takes leads is switched on" in shown.text
    with pytest.raises(Conflict, match="No plugin that takes leads"):
        await actions.change_status(tenant.scope(), customer_id, "lead")


async def test_C15_only_a_new_customer_can_whatever_the_table_of_changes_allows(sales: TestTenant) -> None:
    customer_id = await somebody(sales)
    await actions.change_status(sales.scope(), customer_id, "active")

    shown = await (await sales.browser()).get(f"/customers/{customer_id}")

    assert "Only a new customer can become a lead, this one is Active" in shown.text
    with pytest.raises(Conflict, match="Only a new customer"):
        await actions.change_status(sales.scope(), customer_id, "lead")


async def a_posting(tenant: TestTenant, customer_id: int) -> dict[str, Any]:
    return {"path": f"/api/v1/customers/{customer_id}/credit", "json": {"amount_minor": 500, "reason": "Outage"}}


async def a_charge(tenant: TestTenant, customer_id: int) -> dict[str, Any]:
    body = {"customer_id": customer_id, "description": "Visit", "amount_minor": 7800}
    return {"path": "/api/v1/charges", "json": body}


async def a_draft(tenant: TestTenant, customer_id: int) -> dict[str, Any]:
    lines = [{"description": "Cable", "unit_price_e6": 5_000_000}]
    return {"path": "/api/v1/invoices", "json": {"payer_id": customer_id, "lines": lines}}


@pytest.mark.parametrize(
    ("what", "why"),
    [(a_posting, "postings or documents"), (a_charge, "subscription or a charge"), (a_draft, "postings or documents")],
)
async def test_C15_whoever_anything_was_written_for_stays_a_customer(
    sales: TestTenant, what: Callable[[TestTenant, int], Any], why: str
) -> None:
    customer_id = await somebody(sales)
    wanted = await what(sales, customer_id)
    written = await (await sales.api()).post(wanted["path"], json=wanted["json"])
    assert written.status_code == 201, written.text

    refused = await (await sales.browser()).get(f"/customers/{customer_id}/lead", headers=PART)

    assert refused.status_code == 409
    assert why in refused.text
    assert await status_of(sales, customer_id) == "new"


async def test_C15_over_json_the_status_lead_is_taken_with_the_same_guards(sales: TestTenant) -> None:
    customer_id, other = await somebody(sales), await somebody(sales)
    api = await sales.api()
    await api.post(f"/api/v1/customers/{other}/credit", json={"amount_minor": 500, "reason": "Outage"})

    done = await api.post(f"/api/v1/customers/{customer_id}/status", json={"status": "lead"})
    refused = await api.post(f"/api/v1/customers/{other}/status", json={"status": "lead"})

    assert done.json()["status"] == "lead", done.text
    assert refused.status_code == 409
    assert "so it cannot become a lead" in refused.json()["detail"]
