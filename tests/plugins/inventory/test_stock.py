"""Vendors, products, locations and items: what there is and what it is known by."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pytest

from core.activity.queries import timeline
from core.database import Partitions
from core.errors import Conflict, Forbidden, Invalid, Stale
from core.scope import ALL_PERMISSIONS, Actor
from core.testing import TestTenant
from plugins.inventory import actions, listing, queries
from plugins.inventory.identifiers import check_mac, mac_text
from plugins.inventory.schemas import ItemFields, LocationFields, NewItem, ProductFields, VendorFields

pytestmark = pytest.mark.plugins("inventory")


@pytest.mark.parametrize("typed", ["00:1a:2b:3c:4d:5e", "00-1A-2B-3C-4D-5E", "001a.2b3c.4d5e", " 001A2B3C4D5E "])
def test_a_mac_address_is_the_same_however_it_is_written(typed: str) -> None:
    assert mac_text(check_mac(typed)) == "00:1A:2B:3C:4D:5E"


@pytest.mark.parametrize(
    "typed", ["00:1a:2b:3c:4d", "00:1a:2b:3c:4d:5g", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01", "0"]
)
def test_what_is_no_address_of_a_device_is_refused(typed: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_mac(typed)

    assert refused.value.errors[0].field == "mac"


async def test_serial_mac_and_barcode_exist_once_and_all_that_is_wrong_is_said_at_once(tenant: TestTenant) -> None:
    scope = tenant.scope()
    await actions.add_item(scope, NewItem(product="R6", serial="ab 1", mac="00:1a:2b:3c:4d:5e", barcode="T-100"))

    with pytest.raises(Invalid) as refused:
        await actions.add_item(scope, NewItem(product="R6", serial="AB1", mac="001A2B3C4D5E", barcode="t-100"))

    assert [one.field for one in refused.value.errors] == ["serial", "mac", "barcode"]


async def test_product_vendor_and_location_are_made_once_with_the_items_that_name_them(tenant: TestTenant) -> None:
    scope = tenant.scope()
    for serial in ("A1", "A2"):
        await actions.add_item(scope, NewItem(vendor="Kestra", product="R6", serial=serial, location="Store room"))
    await actions.add_item(scope, NewItem(vendor="kestra", product="r6", serial="A3", location="STORE ROOM"))

    products = await queries.list_product_names()
    places = await queries.list_locations()

    assert [(one.full_name, one.in_stock, one.items) for one in products] == [("Kestra R6", 3, 3)]
    assert [(one.name, one.items) for one in places] == [("Store room", 3)]


async def test_an_item_changed_by_two_people_tells_the_second_what_the_first_saved(tenant: TestTenant) -> None:
    scope = tenant.scope()
    item_id = await actions.add_item(scope, NewItem(product="R6", serial="A1"))

    await actions.change_item(scope, item_id, ItemFields(serial="A1", barcode="T-1"), version=1)
    with pytest.raises(Stale) as refused:
        await actions.change_item(scope, item_id, ItemFields(serial="A1", barcode="T-2"), version=1)

    assert refused.value.fields == {"barcode": ("T-1", "T-2")}


async def test_what_was_saved_without_a_change_leaves_no_trace(tenant: TestTenant) -> None:
    scope = tenant.scope()
    item_id = await actions.add_item(scope, NewItem(product="R6", serial="A1", mac="00:1a:2b:3c:4d:5e"))

    version = await actions.change_item(scope, item_id, ItemFields(serial="A1", mac="001a2b3c4d5e"), version=1)

    assert version == 1
    assert len(await timeline(scope, subject=("inventory_item", item_id))) == 1


async def test_what_is_used_cannot_be_removed(tenant: TestTenant) -> None:
    scope = tenant.scope()
    await actions.add_item(scope, NewItem(vendor="Kestra", product="R6", serial="A1", location="Van"))
    product = (await queries.list_product_names())[0]

    with pytest.raises(Conflict, match="of Kestra R6: 1 item"):
        await actions.remove_product(scope, product.id)
    with pytest.raises(Conflict, match="Kestra has 1 product:"):
        await actions.remove_vendor(scope, product.vendor_id or 0)
    with pytest.raises(Conflict, match="at Van, 1 item: move it"):
        await actions.remove_location(scope, (await queries.list_locations())[0].id)


async def test_an_item_typed_in_by_mistake_is_removed_with_nothing_left_but_the_activity(tenant: TestTenant) -> None:
    scope = tenant.scope()
    item_id = await actions.add_item(scope, NewItem(product="R6", serial="A1", location="Van"))

    await actions.remove_item(scope, item_id)
    await actions.remove_location(scope, (await queries.list_locations())[0].id)
    await actions.remove_product(scope, (await queries.list_product_names())[0].id)

    assert await queries.list_product_names() == []
    assert [one.kind for one in await timeline(scope, subject=("inventory_item", item_id))] == [
        "inventory_item_changed",
        "inventory_item_added",
    ]


async def test_a_name_of_a_vendor_or_location_exists_once(tenant: TestTenant) -> None:
    scope = tenant.scope()
    await actions.add_vendor(scope, VendorFields("Kestra"))
    location_id = await actions.add_location(scope, LocationFields("Van"))
    await actions.add_location(scope, LocationFields("Store room"))

    with pytest.raises(Invalid, match="there already"):
        await actions.add_vendor(scope, VendorFields("KESTRA"))
    with pytest.raises(Invalid, match="there already"):
        await actions.change_location(scope, location_id, LocationFields("store room"), version=1)


async def test_resellers_people_add_nothing_to_the_stock(tenant: TestTenant) -> None:
    scope = replace(tenant.scope(), actor=Actor("staff", 1, "x", Partitions((1,)), ALL_PERMISSIONS))

    with pytest.raises(Forbidden):
        await actions.add_item(scope, NewItem(product="R6", serial="A1"))
    with pytest.raises(Forbidden):
        await actions.add_product(scope, ProductFields(name="R6"))
    with pytest.raises(Forbidden):
        await actions.add_location(scope, LocationFields("Van"))


async def test_the_list_is_searched_filtered_and_sorted(tenant: TestTenant) -> None:
    scope = tenant.scope()
    for number, place in enumerate(("Van", "Store", "Van", ""), 1):
        await actions.add_item(
            scope,
            NewItem(
                vendor="Kestra" if number < 4 else "Other",
                product=f"R{number}",
                serial=f"S{number}",
                mac=f"00:1a:2b:00:00:0{number}",
                barcode=f"T-{number}",
                location=place,
                condition="used" if number == 2 else "new",
                cost_minor=100 * number if number != 3 else None,
                bought_on=date(2026, number, 1) if number != 4 else None,
                note="Dented lid" if number == 1 else "",
            ),
        )
    choices = await listing.item_choices(scope, {})
    van = next(one.key for one in choices["location"] if one.label == "Van")

    async def serials(**asked: str) -> list[str]:
        return [one.serial for one in (await listing.ITEM_LIST.read(scope, asked, choices=choices)).rows]

    assert await serials() == ["S4", "S3", "S2", "S1"]
    assert await serials(sort="product") == ["S1", "S2", "S3", "S4"]
    assert await serials(sort="serial", location=van) == ["S1", "S3"]
    assert await serials(location="0") == ["S4"]
    assert await serials(condition="used") == ["S2"]
    assert await serials(q="kestra", sort="id") == ["S1", "S2", "S3"]
    assert await serials(q="t-3") == ["S3"]
    assert await serials(q="00:1A:2B:00:00:04") == ["S4"]
    assert await serials(status="sold") == []
    assert [(await serials(sort="location"))[0], (await serials(sort="-location"))[0]] == ["S4", "S3"]
    assert await serials(sort="barcode") == ["S1", "S2", "S3", "S4"]
    assert await serials(sort="-cost") == ["S4", "S2", "S1", "S3"]
    assert await serials(sort="bought") == ["S4", "S1", "S2", "S3"]
    assert await serials(**{"cost.from": "2.00"}) == ["S4", "S2"]
    assert await serials(**{"bought.to": "2026-02-01"}) == ["S2", "S1"]
    assert await serials(**{"barcode.has": "t-2"}) == ["S2"]
    assert await serials(**{"note.has": "dented"}) == ["S1"]


async def test_a_scanned_code_opens_the_item(tenant: TestTenant) -> None:
    scope = tenant.scope()
    item_id = await actions.add_item(
        scope, NewItem(product="R6", serial="KF 21", mac="00:1a:2b:3c:4d:5e", barcode="4006381333931")
    )
    page = await tenant.browser()

    for code in ("kf21", "KF 21", "001A2B3C4D5E", "4006381333931", f"ITEM-{item_id}"):
        answer = await page.get("/inventory/scan", params={"code": code})
        assert answer.headers["location"] == f"/inventory/items/{item_id}", code
    unknown = await page.get("/inventory/scan", params={"code": "nothing & such"})

    assert unknown.headers["location"] == "/inventory/items?q=nothing+%26+such"


async def test_pages_of_stock_are_filled_in_and_say_what_is_wrong(tenant: TestTenant) -> None:
    page = await tenant.browser()

    wrong = await page.post("/inventory/items", data={"product": "R6", "serial": "A1", "mac": "zz", "cost": "x"})
    made = await page.post(
        "/inventory/items",
        data={"vendor": "Kestra", "product": "R6", "serial": "A1", "mac": "00:1a:2b:3c:4d:5e", "cost": "12.50"},
    )

    assert wrong.status_code == 422
    assert "Cost price" in wrong.text
    assert made.status_code == 303
    shown = await page.get(made.headers["location"])
    assert all(
        text in shown.text for text in ("Kestra R6", "00:1A:2B:3C:4D:5E", "12.50", "Hardware added to the stock")
    )
    for path in ("items", "products", "locations", "vendors", "items/new", "products/new", "products/1", "vendors/1"):
        answer = await page.get(f"/inventory/{path}")
        assert answer.status_code == 200, path


async def test_a_section_of_an_item_is_saved_against_the_version_that_was_read(tenant: TestTenant) -> None:
    item_id = await actions.add_item(tenant.scope(), NewItem(product="R6", serial="A1"))
    page = await tenant.browser()
    at = f"/inventory/items/{item_id}/section"
    version = re.search(r'name="version" value="(\d+)"', (await page.get(f"{at}/edit")).text)
    assert version is not None

    saved = await page.put(at, data={"version": version[1], "serial": "A2", "condition": "used", "cost": "3"})
    again = await page.put(at, data={"version": version[1], "serial": "A3", "condition": "used", "cost": "3"})

    assert "A2" in saved.text
    assert again.status_code == 409
    assert (await queries.item_after(item_id)).serial == "A2"


async def test_products_vendors_and_locations_over_the_api(tenant: TestTenant) -> None:
    api = await tenant.api(["inventory.view", "inventory.edit"])

    product = (
        await api.post(
            "/api/v1/inventory/products",
            json={"name": "R6", "vendor": "Kestra", "sell_minor": 4900, "warranty_months": 24, "category": "Router"},
        )
    ).json()
    changed = await api.put(
        f"/api/v1/inventory/products/{product['id']}",
        json={"name": "R6", "vendor": "Kestra", "sell_minor": 5900, "warranty_months": 24, "version": 1},
    )
    stale = await api.put(f"/api/v1/inventory/products/{product['id']}", json={"name": "R7", "version": 1})
    place = (await api.post("/api/v1/inventory/locations", json={"name": "Van"})).json()
    gone = await api.delete(f"/api/v1/inventory/locations/{place['id']}")

    assert (changed.json()["sell_minor"], changed.json()["version"]) == (5900, 2)
    assert stale.status_code == 409
    assert [one["name"] for one in (await api.get("/api/v1/inventory/vendors")).json()] == ["Kestra"]
    assert (gone.status_code, (await api.get("/api/v1/inventory/locations")).json()) == (200, [])
    assert (await api.get("/api/v1/inventory/products?q=kes")).json()["items"][0]["name"] == "R6"
