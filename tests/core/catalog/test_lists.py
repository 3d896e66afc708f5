"""The lists of products and bundles: in the catalogue's order, filtered, searched, taken away, over JSON."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.catalog import actions, queries
from core.catalog.bundles import NewBundle, NewBundlePrice, NewMember, create_bundle
from core.catalog.listing import BUNDLES, PRODUCTS
from core.catalog.schemas import NewGroup, NewPrice, NewProduct
from core.database import Partitions
from core.errors import Invalid
from core.scope import ALL_PERMISSIONS, Actor, Scope
from core.testing import TestTenant

RESELLER = Actor("staff", 9, "Reseller", Partitions((2,)), ALL_PERMISSIONS)


async def product(tenant: TestTenant, name: str, kind: str = "plan", amount: int = 1000, **fields: object) -> int:
    unit = "once" if kind == "one_off" else "month"
    new = NewProduct(
        code=name.lower(),
        name=name,
        kind=kind,  # type: ignore[arg-type]  # one of its kinds
        prices=[NewPrice(cycle_unit=unit, amount_minor=amount)],  # type: ignore[arg-type]  # one of its units
        **fields,  # type: ignore[arg-type]  # as above
    )
    return await actions.create_product(tenant.scope(), new)


async def catalogue(tenant: TestTenant) -> dict[str, int]:
    """Six products in a group each of their kind, one in a group of its own, with places, ranks and days."""
    today = tenant.scope().today()
    await actions.create_group(tenant.scope(), NewGroup(code="tv", name="Television", one_live=False, position=9))
    tv = next(one.id for one in await queries.list_groups() if one.code == "tv")
    return {
        "Router": await product(tenant, "Router", "one_off", 9900),
        "Mail": await product(tenant, "Mail", "service", 100, position=1),
        "Kanäle": await product(tenant, "Kanäle", "module", 500, group_id=tv, trial_days=14),
        "Swift": await product(tenant, "Swift", position=2, rank=5, available_from=today + timedelta(days=3)),
        "Slow": await product(tenant, "Slow", position=2, rank=-5, tax_category="reduced"),
        "Early": await product(tenant, "Early", position=1, available_to=today),
    }


async def names(scope: Scope, **address: str) -> list[str]:
    given = {name.replace("__", "."): text for name, text in address.items()}
    found = await PRODUCTS.read(scope, given, choices=await PRODUCTS.choices_for(scope, given))
    return [one.name for one in found.rows]


async def test_L2_products_stand_in_the_order_of_the_catalogue_or_in_another_one(tenant: TestTenant) -> None:
    await catalogue(tenant)
    scope = tenant.scope()

    assert await names(scope) == ["Early", "Slow", "Swift", "Kanäle", "Mail", "Router"]
    assert await names(scope, sort="-place") == ["Router", "Mail", "Kanäle", "Swift", "Slow", "Early"]
    assert await names(scope, sort="name") == ["Early", "Kanäle", "Mail", "Router", "Slow", "Swift"]
    assert await names(scope, sort="-trial,name", q="s") == ["Slow", "Swift"]
    assert await names(scope, sort="group,-name") == ["Swift", "Slow", "Early", "Mail", "Kanäle", "Router"]
    assert await names(scope, sort="-sold_from,code", kind="plan") == ["Swift", "Early", "Slow"]
    assert (await names(scope, sort="sold_to"))[0] == "Early"


async def test_L2_the_order_of_the_catalogue_goes_on_from_its_cursor_both_ways(tenant: TestTenant) -> None:
    await catalogue(tenant)
    scope, read, after = tenant.scope(), [], ""
    while True:
        found = await PRODUCTS.read(scope, {}, after=after, limit=1)
        read.append(found.rows[0].name)
        if not (after := found.after):
            break

    back = await PRODUCTS.read(scope, {}, before=found.before, limit=2)

    assert read == ["Early", "Slow", "Swift", "Kanäle", "Mail", "Router"]
    assert [one.name for one in back.rows] == ["Kanäle", "Mail"]
    assert found.count == 6


async def test_L2_products_are_filtered_by_kind_group_tax_and_whether_they_are_sold(tenant: TestTenant) -> None:
    await catalogue(tenant)
    scope = tenant.scope()
    groups = {one.code: str(one.id) for one in await queries.list_groups()}
    tomorrow = (scope.today() + timedelta(days=1)).isoformat()

    assert await names(scope, kind="module,one_off") == ["Kanäle", "Router"]
    assert await names(scope, group=groups["tv"]) == ["Kanäle"]
    assert await names(scope, group=f"{groups['tv']},{groups['services']}") == ["Kanäle", "Mail"]
    assert await names(scope, group="0") == ["Router"]
    assert await names(scope, tax="reduced") == ["Slow"]
    assert await names(scope, state="to_come") == ["Swift"]
    assert await names(scope, state="ended") == ["Early"]
    assert await names(scope, kind="plan", state="sold,ended") == ["Early", "Slow"]
    assert await names(scope, kind="plan", on=(scope.today() - timedelta(days=1)).isoformat()) == ["Early", "Slow"]
    assert await names(scope, kind="plan", on=(scope.today() + timedelta(days=3)).isoformat()) == ["Slow", "Swift"]
    assert await names(scope, sold_to__empty="no") == ["Early"]
    assert await names(scope, sold_from__from=tomorrow) == ["Swift"]
    assert await names(scope, trial__from="1") == ["Kanäle"]


async def test_L2_a_filter_that_cannot_be_is_refused_and_lets_nothing_through(tenant: TestTenant) -> None:
    scope = tenant.scope()

    with pytest.raises(Invalid, match="Give a day"):
        await names(scope, on="soon")
    with pytest.raises(Invalid, match="Kind is one of"):
        await names(scope, kind="car")
    with pytest.raises(Invalid, match="can be sorted by"):
        await names(scope, sort="prices")


async def test_L4_products_are_found_by_any_part_of_the_name_or_the_code(tenant: TestTenant) -> None:
    found = await catalogue(tenant)
    await actions.create_product(tenant.scope(), NewProduct(code="fx-10_0", name="Fibre 100%", kind="plan"))
    scope = tenant.scope()

    assert await names(scope, q="NALE") == ["Kanäle"]
    assert await names(scope, q="x-10_") == ["Fibre 100%"]
    assert await names(scope, q="100%") == ["Fibre 100%"]
    assert await names(scope, q="%") == ["Fibre 100%"]
    assert await names(scope, q="_") == ["Fibre 100%"]
    assert await names(scope, q="nothing") == []
    assert len(found) == 6


async def test_L3_products_are_a_page_with_prices_views_and_columns_of_ones_own(tenant: TestTenant) -> None:
    await catalogue(tenant)
    page = await tenant.browser()

    shown = (await page.get("/products")).text
    few = (await page.get("/products?kind=service")).text
    none = (await page.get("/products?q=nothing")).text
    saved = await page.post("/lists/products/views", data={"name": "Shelf", "state": "state=ended&sort=name"})
    opened = (await page.get(saved.headers["location"])).text
    await page.post("/lists/products/columns", data={"column": ["place", "code"], "state": ""})
    narrow = (await page.get("/products")).text

    assert "Prices, EUR" in shown
    assert "99.00 once" in shown
    assert "14 days" in shown
    assert 'href="/products/bundles"' in shown
    assert 'href="/products/groups"' in shown
    assert shown.index(">Early<") < shown.index(">Slow<") < shown.index(">Router<")
    assert "1.00 a month" in few
    assert ">Router<" not in few
    assert "No product matches" in none
    assert ">Early<" in opened
    assert ">Slow<" not in opened
    assert "Place in lists" in narrow
    assert "99.00 once" not in narrow


async def test_L3_who_has_no_products_is_told_what_they_are_and_only_editors_may_begin(tenant: TestTenant) -> None:
    editor = await tenant.browser()
    reader = await tenant.browser(staff_id=await tenant.staff_with({"catalog.view"}))

    begun, read = (await editor.get("/products")).text, (await reader.get("/products")).text
    bundles = (await editor.get("/products/bundles")).text

    assert "No products yet" in begun
    assert 'href="/products/new"' in begun
    assert "No products yet" in read
    assert 'href="/products/new"' not in read
    assert "No bundles yet" in bundles
    assert 'href="/products/bundles/new"' in bundles


async def test_L8_products_are_taken_away_as_they_are_shown(tenant: TestTenant) -> None:
    await catalogue(tenant)
    page = await tenant.browser()

    text = (await page.get("/lists/products/export?format=csv&kind=plan,service&columns=name,prices,state,tax")).text

    assert text.lstrip("\ufeff").splitlines() == [
        "Name,Prices,State,Tax,Currency",
        "Early,10.00 a month,Not sold,Standard rate,EUR",
        "Slow,10.00 a month,Sold,Reduced rate,EUR",
        "Swift,10.00 a month,To come,Standard rate,EUR",
        "Mail,1.00 a month,Sold,Standard rate,EUR",
    ]


async def test_L2_a_reseller_sees_the_catalogue_too_and_who_may_not_sees_none_of_it(tenant: TestTenant) -> None:
    await catalogue(tenant)
    page = await tenant.browser(staff_id=await tenant.staff_with({"customers.view", "lists.export"}))
    api = await tenant.api(["customers.view", "lists.export"])

    assert len(await names(tenant.scope(actor=RESELLER))) == 6
    for path in ("/products", "/products/bundles", "/lists/products/export", "/lists/bundles/export"):
        assert (await page.get(path)).status_code == 403
    for path in ("/api/v1/products", "/api/v1/bundles", "/api/v1/lists/products/export"):
        assert (await api.get(path)).status_code == 403


async def test_L2_products_over_json_are_filtered_and_go_on_from_their_cursor(tenant: TestTenant) -> None:
    await catalogue(tenant)
    api = await tenant.api(["catalog.view"])
    day = (tenant.scope().today() + timedelta(days=3)).isoformat()

    first = (await api.get("/api/v1/products?limit=4")).json()
    rest = (await api.get(f"/api/v1/products?limit=4&cursor={first['next']}")).json()
    sold = (await api.get(f"/api/v1/products?kind=plan&on={day}")).json()
    found = (await api.get("/api/v1/products?q=SL&sort=-name")).json()
    wrong = [
        await api.get(f"/api/v1/products?{asked}") for asked in ("on=soon", "kind=car", "state=gone", "sort=prices")
    ]

    assert [one["name"] for one in (*first["items"], *rest["items"])] == [
        "Early", "Slow", "Swift", "Kanäle", "Mail", "Router",
    ]  # fmt: skip
    assert rest["next"] is None
    assert [(one["name"], one["state"]) for one in sold["items"]] == [("Slow", "sold"), ("Swift", "to_come")]
    assert [one["name"] for one in found["items"]] == ["Slow"]
    assert [one.status_code for one in wrong] == [422] * 4


# -- bundles ----------------------------------------------------------------------------------------------------------


async def offers(tenant: TestTenant) -> None:
    """Three bundles: Office before Home and Zoo, which is sold no longer."""
    found = await catalogue(tenant)
    today = tenant.scope().today()
    for name, place, products, until in (
        ("Zoo", 0, ("Slow", "Mail"), today),
        ("Home", 0, ("Slow", "Kanäle"), None),
        ("Office", 0, ("Slow", "Mail"), None),
        ("Best", 5, ("Slow", "Mail", "Kanäle"), None),
    ):
        members = [NewMember(product_id=found[one]) for one in products]
        members[1] = NewMember(product_id=found[products[1]], quantity_e6=3_000_000)
        price = NewBundlePrice(cycle_unit="month", amount_minor=2500 + place)
        new = NewBundle(
            code=name.lower(), name=name, members=members, prices=[price], position=place, available_to=until
        )
        await create_bundle(tenant.scope(), new)


async def bundle_names(scope: Scope, **address: str) -> list[str]:
    found = await BUNDLES.read(scope, address, choices=await BUNDLES.choices_for(scope, address))
    return [one.name for one in found.rows]


async def test_L2_bundles_stand_by_their_place_and_are_filtered_and_found_by_their_products(tenant: TestTenant) -> None:
    await offers(tenant)
    scope = tenant.scope()

    assert await bundle_names(scope) == ["Home", "Office", "Zoo", "Best"]
    assert await bundle_names(scope, sort="-name") == ["Zoo", "Office", "Home", "Best"]
    assert await bundle_names(scope, state="sold") == ["Home", "Office", "Best"]
    assert await bundle_names(scope, state="ended") == ["Zoo"]
    assert await bundle_names(scope, q="KANALE") == ["Home", "Best"]
    assert await bundle_names(scope, q="off") == ["Office"]
    assert await bundle_names(scope, q="%") == []
    assert await bundle_names(tenant.scope(actor=RESELLER), state="sold,ended") == ["Home", "Office", "Zoo", "Best"]


async def test_L8_bundles_are_a_page_an_export_and_go_on_over_json(tenant: TestTenant) -> None:
    await offers(tenant)
    page, api = await tenant.browser(), await tenant.api(["catalog.view"])

    shown = (await page.get("/products/bundles")).text
    text = (
        await page.get(
            "/lists/bundles/export?format=csv&state=sold,ended&place.to=0&columns=name,products,prices,state"
        )
    ).text
    first = (await api.get("/api/v1/bundles?limit=3&sort=name")).json()
    rest = (await api.get(f"/api/v1/bundles?limit=3&sort=name&cursor={first['next']}")).json()

    assert "Slow, 3 × Mail" in shown
    assert "25.05 a month" in shown
    assert text.lstrip("\ufeff").splitlines() == [
        "Name,Products,Prices,State,Currency",
        'Home,"Slow, 3 × Kanäle",25.00 a month,Sold,EUR',
        'Office,"Slow, 3 × Mail",25.00 a month,Sold,EUR',
        'Zoo,"Slow, 3 × Mail",25.00 a month,Not sold,EUR',
    ]
    assert [one["name"] for one in (*first["items"], *rest["items"])] == ["Best", "Home", "Office", "Zoo"]
    assert [one["product"] for one in first["items"][0]["members"]] == ["Slow", "Mail", "Kanäle"]
    assert first["items"][0]["prices"][0]["amount_minor"] == 2505
    assert rest["next"] is None


async def test_L2_a_bundle_whose_day_comes_is_not_sold_yet(tenant: TestTenant) -> None:
    found = await catalogue(tenant)
    members = [NewMember(product_id=found["Slow"]), NewMember(product_id=found["Mail"])]
    begins = tenant.scope().today() + timedelta(days=2)
    await create_bundle(tenant.scope(), NewBundle(code="soon", name="Soon", members=members, available_from=begins))

    before = await bundle_names(tenant.scope(), state="sold"), await bundle_names(tenant.scope(), state="ended")
    tenant.clock.move(timedelta(days=2))
    after = await bundle_names(tenant.scope(), state="sold"), await bundle_names(tenant.scope(), state="ended")

    assert (before, after) == (([], ["Soon"]), (["Soon"], []))
