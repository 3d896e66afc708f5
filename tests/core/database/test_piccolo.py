"""Piccolo's own queries, through the engine of the bound tenant."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from piccolo.columns import BigInt, Boolean, Date, ForeignKey, Text, Timestamptz
from piccolo.query.functions import Count, Max, Sum
from piccolo.table import Table, create_db_tables

from core.database import DB, Database, NoTenantBound, PostgresDatabase, bind, in_transaction, transaction, watched
from tests.databases import define

Two = tuple[Database, Database]
NOON = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)


class Plan(Table):
    name = Text(unique=True)
    price_minor = BigInt()


class Person(Table):
    name = Text()
    active = Boolean(default=True)
    joined_on = Date()
    seen_at = Timestamptz(default=NOON)


class Booking(Table):
    person_id = ForeignKey(Person, index=True)
    plan_id = ForeignKey(Plan, index=True)
    state = Text(default="on")


TABLES = """
CREATE TABLE plan (id {id}, name text NOT NULL UNIQUE, price_minor bigint NOT NULL);
CREATE TABLE person (
    id {id}, name text NOT NULL, active boolean NOT NULL, joined_on date NOT NULL, seen_at timestamptz NOT NULL
);
CREATE TABLE booking (
    id {id}, person_id bigint NOT NULL REFERENCES person (id), plan_id bigint NOT NULL REFERENCES plan (id),
    state text NOT NULL
);
"""


@pytest.fixture
async def people(database: Database) -> Database:
    await define(TABLES)
    plan = Plan(name="fibre", price_minor=100)
    await plan.save()
    await Person.insert(*(Person(name=f"p{number}", joined_on=date(2027, 1, 31)) for number in range(10)))
    for person in await Person.objects():
        await Booking(person_id=person.id, plan_id=plan.id).save()
    return database


def test_a_query_made_without_a_tenant_is_refused() -> None:
    with pytest.raises(NoTenantBound):
        _ = Person.select().freeze()


async def test_each_tenant_sees_its_own_rows(two_databases: Two) -> None:
    for number, each in enumerate(two_databases):
        with bind(each):
            await define(TABLES)
            await Person.insert(*(Person(name="x") for _ in range(number + 3)))

    for number, each in enumerate(two_databases):
        with bind(each):
            assert await Person.count() == number + 3


async def test_select_knows_the_types_of_its_columns(people: Database) -> None:
    found = await Person.select(Person.name, Person.active, Person.joined_on, Person.seen_at).first()

    assert found == {"name": "p0", "active": True, "joined_on": date(2027, 1, 31), "seen_at": NOON}


async def test_select_joins_filters_groups_and_sums(people: Database) -> None:
    joined = await Booking.select(Booking.person_id.name, Booking.plan_id.price_minor).where(
        Booking.person_id.name == "p4"
    )
    grouped = await Booking.select(Booking.state, Count()).group_by(Booking.state)
    total = await Plan.select(Sum(Plan.price_minor), Max(Plan.name)).first()

    assert joined == [{"person_id.name": "p4", "plan_id.price_minor": 100}]
    assert grouped == [{"state": "on", "count": 10}]
    assert total == {"sum": 100, "max": "fibre"}


async def test_objects_are_loaded_changed_saved_and_removed(people: Database) -> None:
    person = await Person.objects().get(Person.name == "p3")
    assert person is not None
    person.active = False
    person.seen_at = datetime(2027, 2, 1, tzinfo=UTC)
    await person.save([Person.active, Person.seen_at])

    again = await Person.objects().get(Person.id == person.id)

    assert again is not None
    assert (again.active, again.seen_at) == (False, datetime(2027, 2, 1, tzinfo=UTC))
    await Booking.delete().where(Booking.person_id == person.id)
    await again.remove()
    assert not await Person.exists().where(Person.name == "p3")


async def test_related_objects_come_with_their_row_or_when_asked_for(people: Database) -> None:
    prefetched = await Booking.objects(Booking.person_id, Booking.plan_id).order_by(Booking.id).first()
    lazy = await Booking.objects().order_by(Booking.id).first()

    assert prefetched is not None
    assert lazy is not None
    assert (prefetched.person_id.name, prefetched.plan_id.name) == ("p0", "fibre")
    assert (await lazy.get_related(Booking.person_id)).name == "p0"


async def test_update_insert_and_delete_give_back_rows(people: Database) -> None:
    inserted = await Person.insert(Person(name="new"))
    updated = (
        await Person.update({Person.active: False}).where(Person.name.like("p%")).returning(Person.id, Person.active)
    )
    deleted = await Person.delete().where(Person.name == "new").returning(Person.name)

    assert inserted == [{"id": 11}]
    assert len(updated) == 10
    assert not any(row["active"] for row in updated)
    assert deleted == [{"name": "new"}]


async def test_an_insert_that_meets_its_like_updates_it(people: Database) -> None:
    await Plan.insert(Plan(name="fibre", price_minor=5)).on_conflict(
        target=Plan.name, action="DO UPDATE", values=[Plan.price_minor]
    )

    assert await Plan.select(Plan.price_minor).output(as_list=True) == [5]


async def test_get_or_create_finds_or_makes(people: Database) -> None:
    found = await Person.objects().get_or_create(Person.name == "p1")
    made = await Person.objects().get_or_create(Person.name == "p99")

    assert not found._was_created
    assert made._was_created


async def test_raw_sql_of_piccolo_goes_to_the_tenant_too(people: Database) -> None:
    found = await Person.raw(
        "WITH named AS (SELECT name FROM person WHERE name <> {}) SELECT count(*) FROM named", "p1"
    )

    assert [list(row.values()) for row in found] == [[9]]


async def test_piccolo_s_transactions_are_ours(people: Database) -> None:
    async with DB.transaction():
        assert DB.transaction_exists()
        assert in_transaction()
        await Person.insert(Person(name="inside"))
    with pytest.raises(KeyError):
        await insert_and_fail()
    atomic = DB.atomic()
    atomic.add(
        Plan.insert(Plan(name="two", price_minor=2)), Plan.update({Plan.price_minor: 3}).where(Plan.name == "two")
    )
    await atomic.run()

    assert await Person.exists().where(Person.name == "inside")
    assert not await Person.exists().where(Person.name == "outside")
    assert await Plan.select(Plan.price_minor).where(Plan.name == "two").output(as_list=True) == [3]


async def insert_and_fail() -> None:
    async with DB.transaction():
        await Person.insert(Person(name="outside"))
        raise KeyError


async def test_rows_in_batches_are_all_there_and_see_the_open_transaction(people: Database) -> None:
    async with transaction():
        await Person.insert(Person(name="late"))
        found = await names_in_batches(4)

    assert len(found) == 11
    assert found[-1] == "late"
    assert await names_in_batches(3) == found


async def names_in_batches(size: int) -> list[str]:
    found: list[str] = []
    async with (
        await Person.select(Person.name).where(Person.id > 0).order_by(Person.id).batch(batch_size=size) as batch
    ):
        async for rows in batch:
            assert len(rows) <= size
            found += [row["name"] for row in rows]
    return found


async def test_an_exception_leaves_a_batch_and_frees_its_connection(people: Database) -> None:
    for _ in range(15):
        with pytest.raises(ZeroDivisionError):
            await fail_in_a_batch()

    assert await Person.count() == 10


async def fail_in_a_batch() -> None:
    async with await Person.select().batch(batch_size=2) as batch:
        async for _ in batch:
            raise ZeroDivisionError


async def test_a_query_is_one_statement(people: Database) -> None:
    with watched() as statements:
        await Booking.select(Booking.person_id.name).where(Booking.state == "on").limit(2)

    assert len(statements) == 1


async def test_piccolo_can_make_the_tables_of_a_plugin(database: Database) -> None:
    owner = database.owned() if isinstance(database, PostgresDatabase) else database
    with bind(owner):
        await create_db_tables(Plan, Person, Booking)

    await Plan.insert(Plan(name="a", price_minor=1))
    assert await Plan.count() == 1
