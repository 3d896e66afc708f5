"""Deleting customers: who may go, what goes with them, who is anonymised instead, and many: all or none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

import pytest

import core.testing
from core import hookspecs
from core.activity.asking import nothing_kept
from core.activity.unit import unit_of_work
from core.app import HOOK_MODULES
from core.billing import actions as billing
from core.billing.schemas import NewDraft, NewLine
from core.catalog.actions import create_product
from core.catalog.schemas import NewProduct
from core.customers import actions
from core.customers.actions.anonymise import NotErasable
from core.customers.actions.deletion import delete_customer
from core.customers.routes import CUSTOMER_LIST
from core.customers.schemas import ContactFields, HierarchyFields, NewCustomer
from core.database import execute, execute_many, value, values
from core.errors import NotFound
from core.hooks import Erasure, HookSets
from core.jobs import claims
from core.jobs.attempts import attempt
from core.lists import bulk
from core.lists.bulk_queries import counts_of, get_run
from core.lists.bulk_status import RowState
from core.lists.jobs import JOBS
from core.messages.actions import write_message
from core.payments import actions as payments
from core.payments.schemas import NewPayment
from core.scope import Scope
from core.subscriptions.actions import activate_free
from core.subscriptions.schemas import NewFreeSubscription
from core.testing import TestTenant
from tests.core.hooks.modules import module

NAME = "Zebulon Quartermaine"
PARTIAL = {"hx-request": "true", "hx-request-type": "partial"}
KINDS = {kind.name: kind for kind in JOBS}


async def person(tenant: TestTenant, status: str = "inactive", name: str = NAME) -> int:
    scope = tenant.scope()
    customer_id = await actions.create_customer(
        scope, NewCustomer(full_name=name, emails=["zeb.quarter@posteo.example"], phones=["+353 86 123 4567"])
    )
    await force(tenant, [customer_id], status)
    return customer_id


async def force(tenant: TestTenant, ids: Sequence[int], status: str) -> None:
    async with unit_of_work(tenant.scope()):
        await execute(
            "UPDATE customer SET status_id = (SELECT id FROM status WHERE key = :key) WHERE id IN :ids",
            key=status,
            ids=list(ids),
        )


async def work(tenant: TestTenant) -> None:
    scope = tenant.scope()
    for one in await claims.due_jobs(list(KINDS), scope.now()):
        claim = await claims.claim(KINDS[one.kind], one.id, scope.now())
        assert claim is not None
        await attempt(scope, KINDS[one.kind], claim)


async def test_C16_an_inactive_customer_goes_with_all_that_is_its(tenant: TestTenant) -> None:
    scope = tenant.scope()
    stays = await person(tenant, "active", "Ada Adler")
    customer_id = await person(tenant)
    await actions.add_contact(scope, customer_id, ContactFields(first_name="Zelda", surname="Quartermaine"))
    await actions.add_note(scope, customer_id, "Quartermaine rang")
    await actions.add_tag(scope, customer_id, "harbour")
    await write_message(scope, customer_id, subject="Hello", text="Dear Quartermaine", to=["zeb@posteo.example"])

    done = await delete_customer(scope, customer_id, name=f" {NAME}")

    assert (done.gone, done.kept) == ((customer_id,), ())
    assert await values("SELECT id FROM customer") == [stays]
    for table in ("contact", "note", "customer_tag", "customer_address", "customer_search"):
        left = await values(f"SELECT customer_id FROM {table} WHERE customer_id <> :stays", stays=stays)
        assert left == [], table
    told = await values("SELECT new FROM activity_value JOIN activity ON activity.position = activity_value.position"
                        " WHERE customer_id = :id", id=customer_id)  # fmt: skip
    assert set(told) == {None}
    assert await value("SELECT body || fields FROM message") == "{}"
    assert await value("SELECT count(*) FROM activity WHERE kind = 'customer_deleted'") == 1
    again = await actions.create_customer(scope, NewCustomer(full_name="Next One"))
    assert again > customer_id, "ids are not given twice"
    page = await tenant.browser()
    assert (await page.get(f"/customers/{customer_id}")).status_code == 404
    assert "Quartermaine" not in (await page.get("/customers", params={"q": "quarter"})).text


@pytest.mark.parametrize("status", ["new", "active", "blocked", "closed", "cancelled", "terminated"])
async def test_C16_only_in_a_status_that_allows_it(tenant: TestTenant, status: str) -> None:
    customer_id = await person(tenant, status)

    with pytest.raises(NotErasable, match="Only a customer that is inactive can go"):
        await delete_customer(tenant.scope(), customer_id)

    assert await value("SELECT count(*) FROM customer") == 1


async def test_C16_not_while_something_is_open_owed_or_live(tenant: TestTenant) -> None:
    scope = tenant.scope()
    owes, credited, served = await person(tenant), await person(tenant), await person(tenant)
    draft = await billing.create_draft(scope, NewDraft(payer_id=owes, lines=[line()]))
    await billing.issue(scope, draft)
    await payments.receive(scope, NewPayment(payer_id=credited, amount_minor=500))
    product_id = await create_product(scope, NewProduct(code="fibre", name="Fibre", kind="plan", prices=[]))
    await force(tenant, [served], "active")
    await activate_free(scope, NewFreeSubscription(customer_id=served, product_id=product_id))
    await force(tenant, [served], "inactive")

    for customer_id, reason in ((owes, "It owes"), (credited, "has a credit"), (served, "live subscription")):
        with pytest.raises(NotErasable, match=reason):
            await delete_customer(scope, customer_id)


def line() -> NewLine:
    return NewLine(description="Work", unit_price_e6=10_000_000)


async def test_C16_who_has_issued_documents_is_anonymised_instead_and_the_page_says_so(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await person(tenant)
    invoice_id = await billing.create_draft(scope, NewDraft(payer_id=customer_id, lines=[line()]))
    await billing.issue(scope, invoice_id)
    await billing.void(scope, invoice_id, "wrong")
    page = await tenant.browser()

    shown = await page.get(f"/customers/{customer_id}/deletion", headers=PARTIAL)
    seen = re.search(r'name="seen" value="([^"]*)"', shown.text)
    assert seen is not None
    await page.post(f"/customers/{customer_id}/deletion", data={"name": NAME, "seen": seen[1]}, headers=PARTIAL)

    assert "Anonymised instead" in shown.text
    assert "Anonymise for ever" in shown.text
    assert await value("SELECT full_name FROM customer") == f"Anonymised customer {customer_id}"
    assert await value("SELECT count(*) FROM document WHERE state = 'issued'") >= 1


async def test_C16_the_drawer_asks_for_the_name_and_does_what_it_showed(tenant: TestTenant) -> None:
    customer_id = await person(tenant)
    active = await person(tenant, "active", "Ada Adler")
    page = await tenant.browser()

    shown = await page.get(f"/customers/{customer_id}/deletion", headers=PARTIAL)
    seen = re.search(r'name="seen" value="([^"]*)"', shown.text)
    assert seen is not None
    wrong = await page.post(
        f"/customers/{customer_id}/deletion", data={"name": "Zeb", "seen": seen[1]}, headers=PARTIAL
    )
    stale = await page.post(f"/customers/{customer_id}/deletion", data={"name": NAME, "seen": "x"}, headers=PARTIAL)
    menu = (await page.get(f"/customers/{active}")).text
    refused = await page.get(f"/customers/{active}/deletion", headers=PARTIAL)
    done = await page.post(f"/customers/{customer_id}/deletion", data={"name": NAME, "seen": seen[1]}, headers=PARTIAL)

    assert "Delete for ever" in shown.text
    assert wrong.status_code == 422
    assert stale.status_code == 409
    assert "Not while it is Active" in menu
    assert "Only a customer that is inactive can go" in refused.text
    assert done.headers["hx-redirect"] == "/customers"
    assert await values("SELECT id FROM customer") == [active]


async def test_C16_over_json_the_plan_then_the_deed(tenant: TestTenant) -> None:
    customer_id = await person(tenant)
    api = await tenant.api()

    plan = await api.get(f"/api/v1/customers/{customer_id}/deletion")
    wrong = await api.delete(f"/api/v1/customers/{customer_id}", params={"name": "Zeb"})
    done = await api.delete(f"/api/v1/customers/{customer_id}", params={"name": NAME})

    assert plan.json()["outcome"] == "deleted"
    assert wrong.status_code == 422
    assert done.status_code == 200, done.text
    assert done.json()["outcome"] == "deleted"
    assert (await api.get(f"/api/v1/customers/{customer_id}")).status_code == 404


async def test_C16_customers_under_it_stand_alone_then(tenant: TestTenant) -> None:
    scope = tenant.scope()
    parent, child = await person(tenant), await person(tenant, "active", "Ada Adler")
    await actions.change_hierarchy(scope, child, HierarchyFields(parent_id=parent), version=1)

    done = await delete_customer(scope, parent)

    assert [one.text for one in done.effects if one.kind == "warning"] == ["1 customer under it has no parent then"]
    assert await value("SELECT parent_id FROM customer WHERE id = :id", id=child) is None


async def test_C16_a_plugin_says_who_must_stay(tenant: TestTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    customer_id = await person(tenant)

    async def plan_customer_erasure(scope: Scope, customer_ids: Sequence[int]) -> Erasure:
        return Erasure(refused=dict.fromkeys(customer_ids, "Its boat is still in the harbour."))

    probe = module("probe", plan_customer_erasure=plan_customer_erasure)
    sets = HookSets(hookspecs, (*HOOK_MODULES, ("probe", probe)), [], guard=nothing_kept)
    monkeypatch.setattr(core.testing, "hook_sets", lambda: sets)

    with pytest.raises(NotErasable, match="still in the harbour"):
        await delete_customer(tenant.scope(), customer_id)


async def test_C16_who_is_not_there_cannot_be_deleted(tenant: TestTenant) -> None:
    with pytest.raises(NotFound):
        await delete_customer(tenant.scope(), 77)


# ------------------------------------------------------------------ many


async def crowd(tenant: TestTenant, many: int) -> list[int]:
    """So many inactive customers, quickly."""
    scope = tenant.scope()
    first = await person(tenant)
    async with unit_of_work(scope):
        columns = [one for one in await column_names() if one not in {"id", "full_name", "name_key"}]
        listed = ", ".join(columns)
        await execute_many(
            f"INSERT INTO customer (full_name, name_key, {listed}) SELECT :name, :key, {listed} FROM customer"
            f" WHERE id = {first}",
            ({"name": f"Zeb {at}", "key": f"zeb {at}"} for at in range(many - 1)),
        )
    return [int(one) for one in await values("SELECT id FROM customer ORDER BY id")]


async def column_names() -> list[str]:
    from core.customers.tables import Customer

    return [column._meta.name for column in Customer._meta.columns]


async def deleting(tenant: TestTenant, ids: Sequence[int]) -> int:
    """A run that was worked out with these customers."""
    scope = tenant.scope()
    action = await bulk.get_action(scope, "customers", "customers.delete")
    run_id = await bulk.choose_rows(scope, CUSTOMER_LIST, action, address={} if not ids else None, ids=ids)
    await bulk.start_plan(scope, CUSTOMER_LIST, run_id, {})
    await work(tenant)
    return run_id


async def test_L5_a_bulk_delete_with_one_active_customer_deletes_nothing(tenant: TestTenant) -> None:
    ids = await crowd(tenant, 8)
    await force(tenant, ids[3:4], "active")
    page = await tenant.browser()

    begun = await page.post("/customers/bulk", data={"action": "customers.delete", "all": "yes", "address": ""})
    at = begun.headers["location"]
    plan = await page.get(at)

    assert "It is done to all or to none: 1 refuses it." in plan.text
    assert "Only a customer that is inactive can go" in plan.text
    assert f"{at}/execution" not in plan.text
    run = await get_run(tenant.scope(), "customers", int(at.rpartition("/")[2]))
    forced = await page.post(f"{at}/execution", data={"seen": run.fingerprint, "count": "7"})
    assert forced.status_code == 409
    await work(tenant)
    assert await value("SELECT count(*) FROM customer") == 8


async def test_L5_a_bulk_delete_does_nothing_where_one_became_active_in_between(tenant: TestTenant) -> None:
    ids = await crowd(tenant, 8)
    run_id = await deleting(tenant, ids)
    scope = tenant.scope()
    run = await get_run(scope, "customers", run_id)
    await bulk.start_doing(scope, CUSTOMER_LIST, run_id, seen=run.fingerprint)
    await force(tenant, ids[-1:], "active")

    await work(tenant)

    assert await value("SELECT count(*) FROM customer") == 8
    counts = await counts_of(run_id)
    assert (counts[RowState.REFUSED], counts[RowState.READY], counts[RowState.DONE]) == (1, 7, 0)


async def test_L5_a_bulk_delete_takes_all_where_all_may_go_and_the_number_was_typed(tenant: TestTenant) -> None:
    await crowd(tenant, 8)
    stays = await person(tenant, "active", "Ada Adler")
    page = await tenant.browser()
    begun = await page.post(
        "/customers/bulk", data={"action": "customers.delete", "all": "yes", "address": "status=inactive&q=zeb"}
    )
    at = begun.headers["location"]
    plan = await page.get(at)
    seen = re.search(r'name="seen" value="(\w+)"', plan.text)
    assert seen is not None

    untyped = await page.post(f"{at}/execution", data={"seen": seen[1], "count": "7"})
    tenant.clock.move(timedelta(minutes=16))
    unproved = await page.post(f"{at}/execution", data={"seen": seen[1], "count": "8"})
    await execute("UPDATE session SET proved_at = :now", now=tenant.clock.now())
    typed = await page.post(f"{at}/execution", data={"seen": seen[1], "count": "8"})
    await work(tenant)
    report = await page.get(at)

    assert untyped.status_code == 422
    assert "Type the number as it stands above: 8." in untyped.text
    assert unproved.status_code == 403
    assert 'name="count" value="8"' in unproved.text, "what was typed is sent along"
    assert typed.status_code == 303
    assert await values("SELECT id FROM customer") == [stays]
    assert "Done." in report.text
    assert "No longer there" in report.text
    assert await value("SELECT address FROM bulk_run") == "{}", "what was searched for is forgotten"


@pytest.mark.long
async def test_L5_a_bulk_delete_of_10_000_with_one_active_customer_deletes_nothing(tenant: TestTenant) -> None:
    ids = await crowd(tenant, 10_000)
    run_id = await deleting(tenant, ())
    scope = tenant.scope()
    run = await get_run(scope, "customers", run_id)
    assert (await counts_of(run_id))[RowState.READY] == 10_000
    await bulk.start_doing(scope, CUSTOMER_LIST, run_id, seen=run.fingerprint)
    await force(tenant, ids[-1:], "active")

    await work(tenant)

    assert await value("SELECT count(*) FROM customer") == 10_000
    assert (await counts_of(run_id))[RowState.REFUSED] == 1
    await force(tenant, ids[-1:], "inactive")
    further = await deleting(tenant, ())
    run = await get_run(scope, "customers", further)
    await bulk.start_doing(scope, CUSTOMER_LIST, further, seen=run.fingerprint)
    await work(tenant)
    assert await value("SELECT count(*) FROM customer") == 0
