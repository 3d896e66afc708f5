"""Many items at once: moved and written off, on the same component as customers."""

from __future__ import annotations

import io
import re
from zipfile import ZipFile

import pytest

from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import value, values
from core.jobs import claims
from core.jobs.attempts import attempt
from core.lists.jobs import CARRY_OUT, WORK_OUT
from core.testing import TestTenant
from plugins.inventory import actions, labels
from plugins.inventory.schemas import LocationFields, NewItem, ProductFields
from tests.core.lists.test_bulk import seen_on

pytestmark = pytest.mark.plugins("inventory")


async def work(tenant: TestTenant) -> None:
    scope = tenant.scope()
    for one in await claims.due_jobs([CARRY_OUT.name], scope.now()):
        claim = await claims.claim(CARRY_OUT, one.id, scope.now())
        assert claim is not None
        await attempt(scope, CARRY_OUT, claim)


async def test_many_items_are_moved_and_who_has_one_keeps_it(tenant: TestTenant) -> None:
    scope = tenant.scope()
    ids = [
        await actions.add_item(scope, NewItem(product="R6", serial=serial, location="Store room"))
        for serial in ("A1", "A2", "A3")
    ]
    van = await actions.add_location(scope, LocationFields(name="Van"))
    await actions.assign_item(scope, ids[2], await create_customer(scope, NewCustomer(full_name="Ada Adler")))
    page = await tenant.browser()
    listed = await page.get("/inventory/items")
    begun = await page.post("/inventory/items/bulk", data={"action": "inventory.move", "all": "yes", "address": ""})
    at = begun.headers["location"]

    await page.post(f"{at}/plan", data={"location_id": str(van)})
    plan = (await page.get(at)).text
    seen = re.search(r'name="seen" value="(\w+)"', plan)
    assert seen is not None
    await page.post(f"{at}/execution", data={"seen": seen[1]})
    await work(tenant)

    assert 'value="inventory.move"' in listed.text
    assert "Store room → Van" in plan
    assert "Move: 2 items" in plan
    assert "is at no location" in plan
    assert await values("SELECT location_id FROM inventory_item ORDER BY id") == [van, van, None]


async def test_many_items_are_written_off_over_json(tenant: TestTenant) -> None:
    scope = tenant.scope()
    ids = [await actions.add_item(scope, NewItem(product="R6", serial=serial)) for serial in ("A1", "A2")]
    api = await tenant.api()

    ordered = await api.post(
        "/api/v1/inventory/items/bulk",
        json={"action": "inventory.write_off", "ids": ids, "values": {"reason": "flood"}, "at_once": True},
    )
    for one in await claims.due_jobs([WORK_OUT.name], scope.now()):
        claim = await claims.claim(WORK_OUT, one.id, scope.now())
        assert claim is not None
        await attempt(scope, WORK_OUT, claim)

    assert ordered.status_code == 201, ordered.text
    assert await values("SELECT DISTINCT status FROM inventory_item") == ["written_off"]
    assert await value("SELECT count(*) FROM activity_value WHERE field = 'reason' AND new = 'flood'") == 2


async def test_L5_labels_of_the_items_that_are_ticked_are_printed_on_a_sheet_that_was_begun(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    pages: list[str] = []

    async def printed(html: str, **_: object) -> bytes:
        pages.append(html)
        return b"%PDF"

    monkeypatch.setattr(labels, "render_pdf", printed)
    scope, page = tenant.scope(), await tenant.browser()
    await actions.add_product(scope, ProductFields(name="R6"))
    first, _other, last = [await actions.add_item(scope, NewItem(product="R6", serial=f"AB{at}")) for at in range(3)]

    chosen = await page.post(
        "/inventory/items/bulk", data={"action": "inventory.labels", "id": [str(first), str(last)]}
    )
    at = chosen.headers["location"]
    refused = await page.post(f"{at}/plan", data={"kind": "a4", "used": "24"})
    await page.post(f"{at}/plan", data={"kind": "a4", "used": "2"})
    await page.post(f"{at}/execution", data={"seen": seen_on((await page.get(at)).text)})
    await work(tenant)
    report, one = (await page.get(at)).text, await page.get(f"{at}/file")
    monkeypatch.setattr(labels, "MOST", 1)
    several = await page.get(f"{at}/file")

    assert refused.status_code == 422
    assert "Download labels" in report
    assert (one.content, one.headers["content-type"]) == (b"%PDF", "application/pdf")
    assert pages[0].count("<div class=label></div>") == 2
    assert [serial in pages[0] for serial in ("AB0", "AB1", "AB2")] == [True, False, True]
    with ZipFile(io.BytesIO(several.content)) as packed:
        assert packed.namelist() == ["labels-1.pdf", "labels-2.pdf"]
    assert pages[2].count("<div class=label></div>") == 0
