"""Tags (C8) and locations (C20) of customers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from core.activity.unit import unit_of_work
from core.customers import actions, queries
from core.customers.listing import CUSTOMERS, choices_for
from core.customers.schemas import HierarchyFields, LocationFields, MainData, NewCustomer, TagFields
from core.database import Partitions, execute, value, values
from core.errors import Conflict, Forbidden, Invalid
from core.scope import ALL_PERMISSIONS, Actor
from core.staff import queries as staff_queries

if TYPE_CHECKING:
    from core.scope import Scope
    from core.testing import TestTenant


def seen_of(text: str) -> str:
    found = re.search(r'name="seen" value="([^"]*)"', text)
    assert found is not None, text
    return found[1]


async def tagged(scope: Scope, name: str, *tags: str) -> int:
    customer_id = await actions.create_customer(scope, NewCustomer(full_name=name))
    for tag in tags:
        await actions.add_tag(scope, customer_id, tag)
    return customer_id


async def tag_of(name: str) -> int:
    return int(await value("SELECT id FROM tag WHERE name = :name", name=name))


async def keys() -> list[str]:
    return await values("SELECT tags_key FROM customer ORDER BY id")


async def listed(scope: Scope, **address: str) -> list[str]:
    named = {name.replace("_", "."): text for name, text in address.items()}
    found = await CUSTOMERS.read(scope, named, choices=await choices_for(scope, named))
    return [one.full_name for one in found.rows]


async def test_C8_a_renamed_tag_is_renamed_and_sorted_so_for_everybody_who_has_it(scope: Scope) -> None:
    await tagged(scope, "Ann", "Harbour", "vip")
    await tagged(scope, "Ben", "vip")
    await tagged(scope, "Cid")

    await actions.change_tag(scope, await tag_of("vip"), TagFields("Ärger", colour=4))

    assert await keys() == ["arger harbour", "arger", ""]
    assert [(tag.name, tag.colour, tag.customers) for tag in await queries.list_tag_uses()] == [
        ("Ärger", 4, 2),
        ("Harbour", 1, 1),
    ]
    with pytest.raises(Invalid, match="Merge the two") as refused:
        await actions.change_tag(scope, await tag_of("Harbour"), TagFields("ARGER"))
    assert refused.value.errors[0].field == "name"


async def test_C8_merged_tags_are_one_and_nobody_has_it_twice(scope: Scope) -> None:
    await tagged(scope, "Ann", "harbor", "harbour")
    await tagged(scope, "Ben", "harbor", "vip")
    await tagged(scope, "Cid", "harbour")

    moved = await actions.merge_tag(scope, await tag_of("harbor"), await tag_of("harbour"))

    assert moved == 2
    assert await keys() == ["harbour", "harbour vip", "harbour"]
    assert [(tag.name, tag.customers) for tag in await queries.list_tag_uses()] == [("harbour", 3), ("vip", 1)]
    with pytest.raises(Invalid, match="another tag"):
        await actions.merge_tag(scope, await tag_of("vip"), await tag_of("vip"))


async def test_C8_a_removed_tag_is_taken_off_everybody(scope: Scope) -> None:
    await tagged(scope, "Ann", "harbour", "vip")
    await tagged(scope, "Ben", "vip")

    assert await actions.delete_tag(scope, await tag_of("vip")) == 2

    assert await keys() == ["harbour", ""]
    assert await value("SELECT count(*) FROM customer_tag") == 1


async def test_C8_the_list_is_filtered_by_any_or_all_of_several_tags(scope: Scope) -> None:
    await tagged(scope, "Ann", "harbour", "vip")
    await tagged(scope, "Ben", "vip")
    await tagged(scope, "Cid", "harbour")
    await tagged(scope, "Dee")
    both = f"{await tag_of('harbour')},{await tag_of('vip')}"

    assert await listed(scope, tags=str(await tag_of("vip"))) == ["Ann", "Ben"]
    assert await listed(scope, tags=both) == ["Ann", "Ben", "Cid"]
    assert await listed(scope, tags_all=both) == ["Ann"]
    assert await listed(scope, tags_empty="yes") == ["Dee"]
    assert await listed(scope, tags_empty="no", sort="-tags") == ["Ben", "Ann", "Cid"]
    with pytest.raises(Invalid):
        await listed(scope, tags="999")


async def test_C8_the_list_says_how_several_tags_are_meant_and_how_to_change_it(tenant: TestTenant) -> None:
    scope = tenant.scope()
    await tagged(scope, "Ann", "harbour", "vip")
    one, other = await tag_of("harbour"), await tag_of("vip")
    page = await tenant.browser()

    anybody = await page.get(f"/customers?tags={one},{other}")
    everybody = await page.get(f"/customers?tags.all={one},{other}")

    assert "harbour or vip" in anybody.text
    assert f'name="tags" value="{one}" checked' in anybody.text
    assert 'data-every="tags" >A row must have all of them' in anybody.text
    assert "harbour and vip" in everybody.text
    assert f'name="tags.all" value="{one}" checked' in everybody.text
    assert 'data-every="tags" checked>A row must have all of them' in everybody.text
    assert '<span class="t-tag g1">harbour</span>' in everybody.text


async def test_C8_tags_are_suggested_by_the_beginning_of_a_word_but_not_those_that_it_has(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await tagged(scope, "Ann", "harbour")
    await tagged(scope, "Ben", "Old harbour", "harvest", "sharp", "100%")
    page = await tenant.browser()
    at = f"/customers/{customer_id}/tags/suggestions"

    found = re.findall(r'data-value="([^"]*)"', (await page.get(f"{at}?name=HAR")).text)
    none = re.findall(r'data-value="([^"]*)"', (await page.get(f"{at}?name=%25")).text)

    assert found == ["harvest", "Old harbour"]
    assert none == []


async def test_C8_merging_and_removing_show_first_what_they_do(tenant: TestTenant) -> None:
    scope = tenant.scope()
    await tagged(scope, "Ann", "harbor", "harbour")
    await tagged(scope, "Ben", "harbor")
    old, new = await tag_of("harbor"), await tag_of("harbour")
    page = await tenant.browser()

    merging = await page.get(f"/settings/tags/{old}/merge?into={new}")
    assert "Merge harbor into harbour" in merging.text
    assert "Had both" in merging.text
    assert await value("SELECT count(*) FROM tag") == 2
    merged = await page.post(f"/settings/tags/{old}/merge", data={"into": str(new), "seen": seen_of(merging.text)})
    removing = await page.get(f"/settings/tags/{new}/removal")
    await actions.add_tag(scope, await tagged(scope, "Cid"), "harbour")
    stale = await page.post(f"/settings/tags/{new}/removal", data={"seen": seen_of(removing.text)})
    removed = await page.post(f"/settings/tags/{new}/removal", data={"seen": seen_of(stale.text)})

    assert (merged.status_code, stale.status_code, removed.status_code) == (303, 409, 303)
    assert "3 customers" in stale.text
    assert await value("SELECT count(*) FROM tag") == 0


async def test_C8_who_sees_only_some_customers_changes_no_tags_for_all(scope: Scope) -> None:
    await tagged(scope, "Ann", "vip")
    reseller = replace(scope, actor=replace(scope.actor, reach=Partitions((7,))))

    for deed in (
        actions.change_tag(reseller, await tag_of("vip"), TagFields("x")),
        actions.delete_tag(reseller, await tag_of("vip")),
        actions.add_location(reseller, LocationFields("x")),
    ):
        with pytest.raises(Forbidden):
            await deed


async def test_C8_tags_over_json(tenant: TestTenant) -> None:
    customer_id = await tagged(tenant.scope(), "Ann")
    api = await tenant.api()

    made = (await api.post("/api/v1/tags", json={"name": "vip", "colour": 5})).json()
    on = await api.post(f"/api/v1/customers/{customer_id}/tags", json={"name": "VIP"})
    page = (await api.get(f"/api/v1/customers?tags={made['id']}")).json()
    renamed = (await api.put(f"/api/v1/tags/{made['id']}", json={"name": "Very important"})).json()
    off = await api.delete(f"/api/v1/customers/{customer_id}/tags/{made['id']}")
    gone = await api.delete(f"/api/v1/tags/{made['id']}")

    assert made["colour"] == 5
    assert [tag["name"] for tag in on.json()] == ["vip"]
    assert [one["id"] for one in page["items"]] == [customer_id]
    assert renamed == {"id": made["id"], "name": "Very important", "colour": 5, "customers": 1}
    assert off.json() == []
    assert gone.json() == {"id": made["id"], "customers": 0}


async def placed(scope: Scope, name: str, location_id: int) -> int:
    customer_id = await actions.create_customer(scope, NewCustomer(full_name=name))
    await actions.change_customer(
        scope, customer_id, MainData(full_name=name, location_id=location_id, joined_on=scope.today()), version=1
    )
    return customer_id


async def test_C20_a_location_is_renamed_merged_and_removed_when_nobody_is_there(scope: Scope) -> None:
    row, quay = [await actions.add_location(scope, LocationFields(name)) for name in ("Harbour Row", "Quayside")]
    ann = await placed(scope, "Ann", row)

    with pytest.raises(Invalid, match="Merge the two"):
        await actions.rename_location(scope, quay, LocationFields("harbour  ROW"))
    with pytest.raises(Conflict, match="1 customer is at Harbour Row"):
        await actions.remove_location(scope, row)
    await actions.rename_location(scope, row, LocationFields("Harbour"))
    assert await actions.merge_location(scope, row, quay) == 1

    now = await queries.get_customer(scope, ann)
    assert (now.location, now.version) == ("Quayside", 3)
    assert [(one.name, one.customers) for one in await queries.list_location_uses(scope)] == [("Quayside", 1)]


async def test_C20_a_location_in_use_leads_to_its_customers_instead_of_being_removed(tenant: TestTenant) -> None:
    scope = tenant.scope()
    row = await actions.add_location(scope, LocationFields("Harbour Row"))
    await placed(scope, "Ann", row)
    await tagged(scope, "Ben")
    page = await tenant.browser()

    shown = await page.get(f"/settings/locations/{row}")
    refused = await page.delete(f"/settings/locations/{row}")
    customers = await page.get(f"/customers?location={row}")

    assert "1 customer is there" in shown.text
    assert f"/customers?location={row}" in shown.text
    assert "hx-delete" not in shown.text
    assert refused.status_code == 409
    assert "Ann" in customers.text
    assert "Ben" not in customers.text
    assert await listed(scope, location_empty="yes") == ["Ben"]


async def test_C20_locations_over_json(tenant: TestTenant) -> None:
    api = await tenant.api()

    one, other = [(await api.post("/api/v1/locations", json={"name": name})).json() for name in ("Row", "Quay")]
    twice = await api.post("/api/v1/locations", json={"name": "row"})
    merged = await api.post(f"/api/v1/locations/{one['id']}/merge", json={"into": other["id"]})

    assert twice.status_code == 422
    assert merged.json() == {"id": other["id"], "name": "Quay", "customers": 0}
    assert (await api.delete(f"/api/v1/locations/{other['id']}")).status_code == 200
    assert (await api.get("/api/v1/locations")).json() == []


async def test_C20_who_sees_some_customers_only_gets_the_locations_with_those_over_json(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = tenant.scope()
    place = await actions.add_location(scope, LocationFields(name="Quay"))
    for partition in (7, 7, 8, None):
        async with unit_of_work(scope):
            await execute(
                "UPDATE customer SET partition_id = :partition, location_id = :place WHERE id = :id",
                partition=partition,
                place=place,
                id=await tagged(scope, "Ann"),
            )

    async def reseller(text: str, now: object) -> Actor:
        return Actor("token", 1, "Reseller", Partitions((7,)), ALL_PERMISSIONS)

    assert (await (await tenant.api()).get("/api/v1/locations")).json()[0]["customers"] == 4
    monkeypatch.setattr(staff_queries, "find_token_actor", reseller)
    some = await tenant.api()

    assert (await some.get("/api/v1/locations")).json() == [{"id": place, "name": "Quay", "customers": 2}]
    assert (await some.post("/api/v1/locations", json={"name": "Row"})).status_code == 403


async def test_C2_the_list_shows_the_children_of_a_customer(scope: Scope) -> None:
    office, branch = await tagged(scope, "Head office"), await tagged(scope, "Branch")
    await actions.change_hierarchy(scope, branch, HierarchyFields(parent_id=office), version=1)

    assert await listed(scope, parent=str(office)) == ["Branch"]
    assert await listed(scope, parent_empty="yes") == ["Head office"]
    with pytest.raises(Invalid):
        await listed(scope, parent="x")
