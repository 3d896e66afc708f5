"""The one list, seen through the list of customers."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import date, timedelta
from itertools import count

import pytest
from msgspec import Struct

from core.activity.unit import unit_of_work
from core.customers import routes, search
from core.customers.actions import change_customer, change_hierarchy, create_customer, rename_location
from core.customers.listing import CUSTOMERS, list_choices
from core.customers.queries import get_customer
from core.customers.schemas import HierarchyFields, LocationFields, MainData, NewCustomer
from core.database import (
    Everything,
    Partitions,
    SqliteDatabase,
    execute,
    execute_many,
    rows,
    transaction,
    value,
    values,
    watched,
)
from core.errors import Invalid
from core.ids import sort_key
from core.ledger.queries import MAIN_BALANCE
from core.lists import filters, ways
from core.scope import ALL_PERMISSIONS, Actor
from core.testing import TestTenant
from core.web.jsonapi import encode_cursor
from tests.databases import define

FULL = CUSTOMERS.having(MAIN_BALANCE)


async def fill(tenant: TestTenant, many: int = 25) -> None:
    """Customers 1 to `many`: names with equals, some without a city, every third in partition 2; at three locations,
    a fourth has nobody, and below the first two."""
    async with unit_of_work(tenant.scope()):
        await execute("INSERT INTO location (name, name_key) VALUES ('Q', 'q'), ('C', 'c'), ('M', 'm'), ('A', 'a')")
        await execute_many(
            "INSERT INTO customer (full_name, name_key, city, city_key, phone_e164, live_subscriptions, partition_id,"
            " status_id, currency, joined_on, created_at, location_id, parent_id) VALUES (:name, :key, :city,"
            " :city_key, '', :live, :partition, :status, 'EUR', :joined, :now, :location, :parent)",
            [
                {
                    "name": f"Ann{number // 3:03} Ürge",
                    "key": f"ann{number // 3:03} urge",
                    "city": "" if number % 4 == 0 else "Köln",
                    "city_key": "" if number % 4 == 0 else "koln",
                    "live": number % 5,
                    "partition": 2 if number % 3 == 0 else 1,
                    "status": 1 + number % 2,
                    "joined": date(2020, 1, 1) + timedelta(days=number // 2),
                    "now": tenant.clock.now(),
                    "location": number * 7 % 5 % 4 or None,
                    "parent": 1 + number % 2 if number > 2 and number % 5 == 2 else None,
                }
                for number in range(1, many + 1)
            ],
        )
        await execute_many(
            "UPDATE customer_balance SET receivable_minor = :owed WHERE customer_id = :id",
            [{"id": number, "owed": number * 7 % 11 * 100} for number in range(1, many + 1)],
        )


async def ids(tenant: TestTenant, **address: str) -> list[int]:
    named = {name.replace("__", "."): text for name, text in address.items()}
    found = await FULL.read(tenant.scope(), named, choices=await list_choices())
    return [one.id for one in found.rows]


@pytest.fixture(params=["few", "among", "many", "near"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """All ways in: ids first, then looked up or walked to; and walking alone, which turns to the other end after some
    rows."""
    if request.param != "near":
        monkeypatch.setattr(ways, "NEARBY", 2)
        monkeypatch.setattr(ways, "DENSE", 1 if request.param == "among" else 3)
    if request.param == "among":
        monkeypatch.setattr(ways, "LOOKED_UP", 2)
        monkeypatch.setattr(ways, "FAR", 12)
    if request.param == "many":
        monkeypatch.setattr(ways, "FEW", 2)
        monkeypatch.setattr(ways, "FAR", 6)
        monkeypatch.setattr(search, "PROBED", 6)
        monkeypatch.setattr(filters, "COLLECTED", 2)
    return str(request.param)


@pytest.mark.parametrize("address", [{}, {"q": "ann"}, {"status": "active"}])
async def test_every_sort_shows_each_row_once_forwards_and_backwards(
    tenant: TestTenant, way: str, address: dict[str, str]
) -> None:
    await fill(tenant)
    scope, choices = tenant.scope(), await list_choices()

    for column in [one for one in FULL.columns if one.sorts]:
        for order in (column.key, f"-{column.key}"):
            asked = {**address, "sort": order}
            pages, after = [], ""
            while True:
                page = await FULL.read(scope, asked, choices=choices, after=after, limit=4)
                pages.append(page)
                after = page.after
                if not after:
                    break
            seen = [one.id for page in pages for one in page.rows]
            whole = [one.id for one in (await FULL.read(scope, asked, choices=choices)).rows]
            assert seen == whole, order
            assert len(set(seen)) == len(seen) == (13 if "status" in address else 25), order
            back = await FULL.read(scope, asked, choices=choices, before=pages[-1].before, limit=4)
            assert back.rows == pages[-2].rows, order


async def test_every_way_gives_the_rows_that_one_plain_statement_gives_in_its_order(
    tenant: TestTenant, way: str
) -> None:
    await fill(tenant)
    scope, choices = tenant.scope(), await list_choices()
    asked = {
        "TRUE": {"q": "ann"},
        "name_key LIKE 'ann000%' OR name_key LIKE 'ann001%'": {"q": "ann00", "id.to": "5"},
        "city_key <> ''": {"city.empty": "no"},
        "status_id = 2 AND city_key <> ''": {"status": "active", "city.empty": "no"},
        "name_key LIKE '%nn00%' AND customer.id BETWEEN 9 AND 14": {"name.has": "NN00", "id.from": "9", "id.to": "14"},
        "city_key = 'koln' AND name_key LIKE '%urge%'": {"city.has": "köL", "name.has": "Ürge"},
        "name_key LIKE 'ann%' AND city_key = 'koln'": {"q": "ann", "city.has": "oln"},
        "customer.currency LIKE '%EU%'": {"currency.has": "EU"},
        "status_id = 2 AND joined_on BETWEEN '2020-01-03' AND '2020-01-09'": {
            "status": "active",
            "joined.from": "2020-01-03",
            "joined.to": "2020-01-09",
        },
        "status_id IN (1, 2) AND live_subscriptions = 2": {"status": "active,new", "services": "2"},
    }

    for column in [one for one in FULL.columns if one.sorts]:
        for sign, direction in (("", "ASC"), ("-", "DESC")):
            for where, address in asked.items():
                plain = await values(
                    f"SELECT customer.id FROM customer {column.join} WHERE {where}"
                    f" ORDER BY {column.order} {direction}, customer.id {direction}"
                )
                seen: list[int] = []
                after = ""
                while not seen or after:
                    page = await FULL.read(
                        scope, {**address, "sort": sign + column.key}, choices=choices, after=after, limit=3
                    )
                    seen += [one.id for one in page.rows]
                    after = page.after
                assert seen == plain, (sign + column.key, address)


@pytest.mark.parametrize(("far", "looked_up"), [(40, False), (3, True)])
async def test_among_many_that_are_found_the_index_of_the_order_tells_who_comes_first(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch, far: int, looked_up: bool
) -> None:
    if isinstance(tenant.database, SqliteDatabase):
        pytest.skip("SQLite looks all of them up at once")
    monkeypatch.setattr(ways, "LOOKED_UP", 10)
    monkeypatch.setattr(ways, "FAR", far)
    made: list[tuple[str, dict[str, object]]] = []

    async def told(into: type[Struct], sql: str, **given: object) -> list[Struct]:
        made.append((sql, given))
        return await rows(into, sql, **given)

    monkeypatch.setattr(ways, "rows", told)
    await fill(tenant)

    found = await FULL.read(tenant.scope(), {"q": "ann", "sort": "-balance"}, limit=5)
    ((sql, given),) = [one for one in made if "AS MATERIALIZED" in one[0]]
    plan = await values(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {sql}", **given)

    assert [one.id for one in found.rows] == [22, 11, 19, 8, 16]
    assert any("customer_balance" in step and "never executed" in step for step in plan) is not looked_up


async def test_L2_customers_stand_in_the_order_of_their_locations_names_whatever_these_become(
    tenant: TestTenant,
) -> None:
    await fill(tenant)
    scope = tenant.scope()

    async def places(sort: str) -> list[str]:
        found = await FULL.read(scope, {"sort": sort, "columns": "name,location"})
        return list(dict.fromkeys(one.location or "" for one in found.rows))

    assert (await places("location"), await places("-location")) == (["", "C", "M", "Q"], ["Q", "M", "C", ""])
    await rename_location(scope, 1, LocationFields(name="Äb"))
    assert await places("location") == ["", "Äb", "C", "M"]
    narrowed = await FULL.read(scope, {"sort": "-location", "status": "new"}, choices=await list_choices())
    assert [one.location for one in narrowed.rows] == sorted(
        [one.location for one in narrowed.rows], key=lambda name: sort_key(name or ""), reverse=True
    )


async def test_L2_customers_stand_in_the_order_of_their_parents_names_whoever_these_become(tenant: TestTenant) -> None:
    scope = tenant.scope()
    names = ("Zoe", "Ida", "Ann", "Bob", "Cid")
    zoe, ida, ann, bob, cid = [await create_customer(scope, NewCustomer(full_name=name)) for name in names]

    async def put(customer_id: int, parent_id: int | None) -> None:
        now = await get_customer(scope, customer_id)
        await change_hierarchy(scope, customer_id, HierarchyFields(parent_id=parent_id), version=now.version)

    await put(ann, zoe)
    await put(bob, ida)
    assert await ids(tenant, sort="parent") == [zoe, ida, cid, bob, ann]
    assert await ids(tenant, sort="-parent") == [ann, bob, cid, ida, zoe]

    await put(cid, ann)
    await change_customer(
        scope, ann, MainData(full_name="Nia", currency="EUR"), version=(await get_customer(scope, ann)).version
    )
    assert await ids(tenant, sort="parent") == [zoe, ida, bob, cid, ann]

    await put(ann, None)
    await put(bob, zoe)
    assert await ids(tenant, sort="parent") == [zoe, ida, ann, cid, bob]
    assert await values("SELECT parent_key FROM customer ORDER BY id") == ["", "", "", "zoe", "nia"]


async def test_sorted_one_way_is_the_other_way_turned_round(tenant: TestTenant) -> None:
    await fill(tenant)

    assert (await ids(tenant, sort="balance"))[::-1] == await ids(tenant, sort="-balance")
    assert (await ids(tenant, sort="joined"))[:2] == [1, 2]
    assert (await ids(tenant, sort="-joined"))[:2] == [25, 24]


async def test_filters_leave_what_they_say_and_work_together(tenant: TestTenant, way: str) -> None:
    await fill(tenant)

    assert await ids(tenant, name__has="ÜRG", joined__from="2020-01-12") == [22, 23, 24, 25]
    assert await ids(tenant, joined__from="2020-01-11", joined__to="2020-01-11") == [20, 21]
    assert await ids(tenant, city__empty="yes") == [4, 8, 12, 16, 20, 24]
    assert await ids(tenant, city__empty="no", id__to="5") == [1, 2, 3, 5]
    assert await ids(tenant, services__from="4") == [4, 9, 14, 19, 24]
    assert await ids(tenant, status="active", id__to="6") == [1, 3, 5]
    assert len(await ids(tenant, status="active,new")) == 25
    assert await ids(tenant, balance__from="-0.99", id__to="22") == [11, 22]
    assert await ids(tenant, q="ann001", status="new") == [4]
    assert await ids(tenant, name__has="100%") == []


@pytest.mark.parametrize(
    "address",
    [
        {"sort": "shoe"},
        {"joined.from": "soon"},
        {"services.to": "x"},
        {"status": "none"},
        {"balance.to": "NaN"},
        {"city": "Graz"},
        {"status.from": "2"},
        {"city.empty": "perhaps"},
        {"joined.has": "2020"},
    ],
)
async def test_what_cannot_be_asked_is_refused_by_name(tenant: TestTenant, address: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        await FULL.read(tenant.scope(), address, choices=await list_choices())

    assert refused.value.errors[0].field == next(iter(address))


async def test_a_cursor_of_another_order_is_refused(tenant: TestTenant) -> None:
    await fill(tenant)
    first = await FULL.read(tenant.scope(), {"sort": "name"}, limit=5)

    for order in ("-name", "city", "id"):
        with pytest.raises(Invalid):
            await FULL.read(tenant.scope(), {"sort": order}, after=first.after)


async def test_a_reseller_sees_and_counts_its_own_alone(tenant: TestTenant, way: str) -> None:
    await fill(tenant)
    scope = tenant.scope(actor=Actor("staff", 1, "Reseller", Partitions((2,)), ALL_PERMISSIONS))

    for address in ({}, {"sort": "balance"}, {"q": "ann"}, {"city.empty": "no"}):
        found = await FULL.read(scope, address, choices=await list_choices())
        assert found.rows
        assert {one.id % 3 for one in found.rows} == {0}, address


class PlanStep(Struct, frozen=True):
    detail: str


@pytest.mark.parametrize("address", [{"sort": "-balance"}, {"sort": "-balance", "city.empty": "no"}])
async def test_a_reseller_s_rows_are_walked_by_the_index_of_another_table_not_sorted(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch, address: dict[str, str]
) -> None:
    if not isinstance(tenant.database, SqliteDatabase):
        pytest.skip("what SQLite's planner takes a reach for")
    monkeypatch.setattr(ways, "FEW", 2)
    await fill(tenant, 60)
    scope = tenant.scope(actor=Actor("staff", 1, "Reseller", Partitions((2,)), ALL_PERMISSIONS))

    with watched() as seen:
        found = await FULL.read(scope, address, limit=5)
    walked = next(text for text in seen if "AS walked" in text)
    plan = [step.detail for step in await rows(PlanStep, f"EXPLAIN QUERY PLAN {walked}".replace("?", "2"))]

    assert len(found.rows) == 5
    assert any("USING" in detail and "main_balance" in detail for detail in plan), plan
    assert not [detail for detail in plan if "TEMP B-TREE" in detail], plan


@pytest.mark.parametrize(
    ("text", "index"),
    [
        (
            "SELECT id FROM customer WHERE partition_id IN (2) ORDER BY name_key, id LIMIT 5",
            "customer_by_partition_name",
        ),
        ("SELECT id FROM customer WHERE partition_id IN (2) AND status_id = 3", "customer_by_partition_status"),
        (
            "SELECT customer_id FROM customer_balance WHERE is_main AND partition_id IN (2)",
            "customer_balance_partition",
        ),
    ],
)
async def test_a_reach_is_read_from_indexes_that_customers_without_a_partition_are_not_in(
    tenant: TestTenant, text: str, index: str
) -> None:
    await fill(tenant, 60)
    if isinstance(tenant.database, SqliteDatabase):
        plan = [step.detail for step in await rows(PlanStep, f"EXPLAIN QUERY PLAN {text}")]
        assert any("_partition" in detail for detail in plan), plan
        kept = await value("SELECT sql FROM sqlite_schema WHERE name = :index", index=index)
    else:  # of so few rows PostgreSQL's planner takes any index that begins with what is asked or with the order
        kept = await value("SELECT pg_get_indexdef(CAST(:index AS regclass))", index=index)

    assert "partition_id IS NOT NULL" in str(kept)


@pytest.mark.parametrize(
    "address",
    [
        {"status": "active"},
        {"joined.from": "2020-01-03", "joined.to": "2020-01-20"},
        {"joined.from": "2020-01-03", "joined.to": "2020-01-20", "status": "active"},
    ],
)
async def test_what_filters_of_one_index_leave_is_in_the_order_of_names_without_a_row_being_read_for_it(
    tenant: TestTenant, address: dict[str, str]
) -> None:
    await fill(tenant, 60)
    await define("ANALYZE")

    with watched() as seen:
        found = await FULL.read(tenant.scope(), address, choices=await list_choices(), limit=5)
    text = next(text for text in seen if "WITH " in text)

    names = await FULL.read(tenant.scope(), {**address, "sort": "id"}, choices=await list_choices())
    expected = sorted(names.rows, key=lambda one: (one.full_name, one.id))
    assert [one.id for one in found.rows] == [one.id for one in expected][:5]
    assert text.count("FROM customer") == 1, "by the index of the filter, and never again by id"
    if isinstance(tenant.database, SqliteDatabase):
        plan = [step.detail for step in await rows(PlanStep, f"EXPLAIN QUERY PLAN {text}".replace("?", "2"))]
        assert any("COVERING INDEX customer_by_" in detail for detail in plan), plan


async def test_a_page_that_is_full_near_the_beginning_is_counted_in_the_same_statement_and_no_further_row_looked_at(
    tenant: TestTenant,
) -> None:
    await fill(tenant, 60)
    address = {"city.empty": "no", "status": "active"}
    made: list[tuple[str, dict[str, object]]] = []

    async def told(into: type[Struct], sql: str, **given: object) -> list[Struct]:
        made.append((sql, given))
        return await rows(into, sql, **given)

    with pytest.MonkeyPatch.context() as patched, watched() as seen:
        patched.setattr(ways, "rows", told)
        found = await FULL.read(tenant.scope(), address, choices=await list_choices(), limit=5)
    there = await values("SELECT id FROM customer WHERE city_key <> '' AND status_id = 2 ORDER BY name_key, id")

    assert ([one.id for one in found.rows], found.count) == (there[:5], len(there))
    assert len([text for text in seen if "FROM customer" in text]) == 2, "which they are and how many, and their rows"
    if not isinstance(tenant.database, SqliteDatabase):
        ((sql, given),) = made
        plan = "\n".join(await values(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {sql}", **given))
        assert "Limit (actual rows=60 " not in plan, plan


EVERYBODY = Actor("staff", 1, "Staff", Everything(), ALL_PERMISSIONS)
RESELLER = Actor("staff", 1, "Reseller", Partitions((2,)), ALL_PERMISSIONS)


@pytest.mark.parametrize("actor", [EVERYBODY, RESELLER], ids=["everybody", "reseller"])
@pytest.mark.parametrize(("probed", "many", "first"), [(1, 50_000, 20_000), (1500, 0, 20_000), (1500, 0, 4)])
async def test_a_search_that_finds_more_than_are_counted_stands_newest_first_until_an_order_is_asked_for(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch, actor: Actor, probed: int, many: int, first: int
) -> None:
    monkeypatch.setattr(ways, "COUNTED", 5)
    monkeypatch.setattr(ways, "MANY", many)
    monkeypatch.setattr(ways, "FIRST", first)
    monkeypatch.setattr(search, "PROBED", probed)
    await fill(tenant)
    scope = tenant.scope(actor=actor)
    there = [number for number in range(1, 26) if actor is EVERYBODY or number % 3 == 0]

    for address in ({"q": "ann"}, {"q": "urge ann0"}, {"q": "ann", "joined.from": "2020-01-01"}):
        pages = [await FULL.read(scope, address, limit=3)]
        while after := pages[-1].after:
            pages.append(await FULL.read(scope, address, after=after, limit=3))
        assert [one.id for page in pages for one in page.rows] == there[::-1], address
        assert [(page.count, page.asked.order, page.asked.is_wide) for page in pages] == [(6, "-id", True)] * len(pages)
        back = await FULL.read(scope, address, before=pages[-1].before, limit=3)
        assert back.rows == pages[-2].rows
        for order, ids_there in (("name", there), ("-name", there[::-1]), ("id", there)):
            ordered = await FULL.read(scope, {**address, "sort": order})
            assert ([one.id for one in ordered.rows], ordered.asked.order) == (ids_there, order)

    until = (date(2020, 1, 1) + timedelta(days=there[4] // 2)).isoformat()
    few = await FULL.read(scope, {"q": "ann", "joined.to": until}, limit=2)
    then = await FULL.read(scope, {"q": "ann"}, after=few.after)
    assert [one.id for one in few.rows] == there[:2]
    assert not few.asked.is_wide
    assert [one.id for one in then.rows] == there[2:], "the order stays on the way through the pages"


@pytest.mark.parametrize(("many", "collected"), [(0, False), (50_000, True)])
async def test_of_a_search_that_finds_very_many_and_a_filter_the_newest_are_looked_at_before_any_is_collected(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch, many: int, collected: bool
) -> None:
    if isinstance(tenant.database, SqliteDatabase):
        pytest.skip("SQLite's index of words gives what it finds one by one")
    monkeypatch.setattr(ways, "COUNTED", 5)
    monkeypatch.setattr(ways, "MANY", many)
    await fill(tenant)

    with watched() as seen:
        found = await FULL.read(tenant.scope(), {"q": "ann", "status": "active"}, choices=await list_choices(), limit=3)

    assert [one.id for one in found.rows] == [25, 23, 21]
    assert (found.count, found.asked.is_wide) == (6, True)
    assert any("WITH few" in text for text in seen) is collected


async def test_main_balances_stand_in_the_index_of_their_customers(tenant: TestTenant) -> None:
    if isinstance(tenant.database, SqliteDatabase):
        pytest.skip("SQLite's rows of balances are an index themselves")
    kept = await value("SELECT pg_get_indexdef(CAST('customer_balance_main' AS regclass))")

    assert kept.startswith("CREATE UNIQUE INDEX")
    assert kept.endswith("(customer_id) INCLUDE (balance_minor) WHERE is_main")


async def test_the_newest_stand_first_in_whichever_way_postgresql_joins_what_is_filtered_by(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(tenant.database, SqliteDatabase):
        pytest.skip("joins in one way")
    monkeypatch.setattr(ways, "COUNTED", 5)
    await fill(tenant, 40)
    address = {"q": "ann", "balance.to": "0"}

    async with transaction():
        for way in ("enable_nestloop", "enable_hashjoin"):
            await execute(f"SET LOCAL {way} = off")
        found = await FULL.read(tenant.scope(), address, limit=9)

    assert found.asked.is_wide
    assert [one.id for one in found.rows] == list(range(40, 31, -1))


async def test_the_page_says_why_the_newest_stand_first(tenant: TestTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "COUNTED", 5)
    await fill(tenant)
    staff = await tenant.browser()
    note = "match: the newest first"

    wide, ordered, few = [
        (await staff.get(f"/customers?{query}")).text for query in ("q=ann", "q=ann&sort=name", "q=ann001")
    ]

    assert (note in wide, note in ordered, note in few) == (True, False, False)
    assert wide.index("customer-25") < wide.index("customer-24") < wide.index("customer-1")


@pytest.mark.parametrize("order", ["phone", "-phone", "tags", "services"])
@pytest.mark.parametrize("way", ["after", "before"])
async def test_a_page_amid_a_value_that_many_share_costs_what_the_first_page_costs(
    tenant: TestTenant, order: str, way: str
) -> None:
    if not isinstance(tenant.database, SqliteDatabase):
        pytest.skip("counts the steps that SQLite's machine makes")
    await fill(tenant, 900)
    at: str | int = 0 if order == "services" else ""
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE customer SET live_subscriptions = 0")

    with watched() as seen:
        first = await FULL.read(tenant.scope(), {"sort": order}, limit=5)
        place = encode_cursor(order, at, 450)
        after, before = (place, "") if way == "after" else ("", place)
        amid = await FULL.read(tenant.scope(), {"sort": order}, limit=5, after=after, before=before)
    first_page, page = [text for text in seen if "AS many" in text]

    follow = [one.id for one in amid.rows]
    assert len(first.rows) == len(follow) == 5
    assert all(one < 450 for one in follow) == ((way == "before") != (order[0] == "-"))
    amid_steps = _steps(tenant.database, page, at, 450, at, 5)
    assert amid_steps < 2.5 * _steps(tenant.database, first_page, 5)


async def test_that_too_many_are_found_to_be_sorted_costs_little_more_than_counting_them(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not isinstance(tenant.database, SqliteDatabase):
        pytest.skip("counts the steps that SQLite's machine makes")
    monkeypatch.setattr(ways, "FEW", 500)
    await fill(tenant, 900)

    with watched() as seen:
        await FULL.read(tenant.scope(), {"city.empty": "no"}, limit=5)
    together = next(text for text in seen if "WITH few" in text).replace("?", "5")
    alone = "SELECT count(*) FROM (SELECT id FROM customer WHERE city_key <> '' LIMIT 501)"

    assert _steps(tenant.database, together) < 1.75 * _steps(tenant.database, alone)


def _steps(database: SqliteDatabase, sql: str, *values: object) -> int:
    """How many steps of its machine a statement takes."""
    connection = sqlite3.connect(f"file:{database.path}?mode=ro", uri=True)
    made = count()
    connection.set_progress_handler(lambda: next(made) < 0, 1)
    connection.execute(sql, values).fetchall()
    connection.close()
    return next(made)


async def test_the_page_says_how_many_and_keeps_what_is_set(tenant: TestTenant) -> None:
    await fill(tenant, 60)
    page = await tenant.browser()

    shown = await page.get("/customers?q=ann&status=active&sort=-balance")

    assert shown.status_code == 200, shown.text
    assert "30 of 30" in shown.text
    assert "q=ann&amp;sort=-balance" in shown.text.replace("sort=-balance&amp;q=ann", "q=ann&amp;sort=-balance")
    assert "-€10.00" in shown.text.replace("\u2212", "-").replace("-10.00", "-€10.00")
    whole = await page.get("/customers")
    assert "50 of 60" in whole.text
    assert (await page.get("/customers?joined.from=soon")).status_code == 422


async def test_an_empty_list_is_read_in_one_statement_and_beyond_its_end_it_still_says_how_many(
    tenant: TestTenant,
) -> None:
    with watched() as seen:
        empty = await CUSTOMERS.read(tenant.scope(), {})
    await fill(tenant, 3)
    end = (await CUSTOMERS.read(tenant.scope(), {}, limit=2)).after
    async with unit_of_work(tenant.scope()):
        await execute("DELETE FROM customer WHERE id = 3")
    beyond = await CUSTOMERS.read(tenant.scope(), {}, after=end)

    assert (empty.rows, empty.count, empty.before, empty.after) == ([], 0, "", "")
    assert len(seen) == 1, seen
    assert (beyond.rows, beyond.count) == ([], 2)


async def test_the_order_of_several_columns_is_numbered_where_several_of_them_are_seen(tenant: TestTenant) -> None:
    await fill(tenant, 3)
    page = await tenant.browser()

    both = (await page.get("/customers?sort=status,-name")).text
    one = (await page.get("/customers?sort=status,-name&columns=name,city")).text

    assert (both.count("<small>1</small>"), both.count("<small>2</small>")) == (1, 1)
    assert 'aria-sort="descending"' in one
    assert not [number for number in ("1", "2") if f"<small>{number}</small>" in one]


async def test_a_list_that_is_not_searched_has_no_place_for_it(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(tenant, 3)
    page = await tenant.browser()
    assert 'class="t-search"' in (await page.get("/customers")).text.split('id="list"')[1]
    monkeypatch.setattr(routes, "CUSTOMER_LIST", replace(routes.CUSTOMER_LIST, search=None))

    shown = (await page.get("/customers")).text.split('id="list"')[1]

    assert 'class="t-search"' not in shown
    assert 'id="customer-3"' in shown


async def test_the_api_sorts_filters_searches_and_goes_on_from_its_cursor(tenant: TestTenant) -> None:
    await fill(tenant)
    api = await tenant.api()

    first = (await api.get("/api/v1/customers?sort=-joined&status=active&q=urg&joined.to=2020-01-10&limit=3")).json()
    then = (
        await api.get(
            "/api/v1/customers",
            params={
                "sort": "-joined",
                "status": "active",
                "q": "urg",
                "joined.to": "2020-01-10",
                "limit": "3",
                "cursor": first["next"],
            },
        )
    ).json()

    assert [one["id"] for one in first["items"]] == [19, 17, 15]
    assert [one["id"] for one in then["items"]] == [13, 11, 9]
    assert (await api.get("/api/v1/customers?sort=shoe")).status_code == 422


async def test_the_page_names_the_ids_it_shows_where_they_are_the_order(tenant: TestTenant) -> None:
    await fill(tenant, 3)
    page = await tenant.browser()

    assert "Ids 3 to 1" in (await page.get("/customers?sort=-id")).text
    assert "Ids" not in (await page.get("/customers?sort=name")).text
