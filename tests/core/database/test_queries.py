"""Queries written as SQL: values in, rows out, the same on both databases."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from traceback import format_exception
from typing import Any, Literal
from uuid import UUID

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from piccolo.querystring import QueryString

from core.database import (
    ConstraintFailed,
    Database,
    Duplicate,
    PostgresDatabase,
    Refused,
    analyze,
    bind,
    execute,
    execute_all,
    execute_many,
    insert_columns,
    row,
    rows,
    spawn,
    stream,
    transaction,
    value,
    value_as,
    values,
    values_as,
    watched,
)
from core.database.statements import compile_statement, traits
from core.errors import Invalid
from tests.databases import KINDS, define, fresh

THINGS = """
CREATE TABLE thing (
    id {id},
    name text NOT NULL CHECK (name <> 'forbidden'),
    on_day date,
    at timestamptz,
    is_on boolean NOT NULL DEFAULT FALSE,
    amount_minor bigint NOT NULL DEFAULT 0,
    share double precision,
    digest {bytes},
    UNIQUE (name, on_day)
);
"""
NOON = datetime(2027, 1, 31, 12, 0, tzinfo=UTC)


class State(StrEnum):
    DRAFT = "draft"
    ISSUED = "issued"


class Thing(Struct, frozen=True):
    id: int
    name: str
    on_day: date | None = None
    at: datetime | None = None
    is_on: bool = False


@pytest.fixture
async def things(database: Database) -> Database:
    await define(THINGS)
    return database


async def add(name: str, **columns: Any) -> int:
    names = ", ".join(["name", *columns])
    marks = ", ".join([":name", *(f":{column}" for column in columns)])
    found = await value(f"INSERT INTO thing ({names}) VALUES ({marks}) RETURNING id", name=name, **columns)
    assert isinstance(found, int)
    return found


async def test_rows_become_structs_by_the_names_of_their_columns(things: Database) -> None:
    await add("one", on_day=date(2027, 1, 31), at=NOON, is_on=True)

    found = await rows(Thing, "SELECT is_on, at, on_day, name, id FROM thing")

    assert found == [Thing(1, "one", date(2027, 1, 31), NOON, True)]


async def test_columns_that_the_struct_lacks_are_left_out_and_defaults_fill_what_the_statement_lacks(
    things: Database,
) -> None:
    await add("one", amount_minor=7)

    assert await row(Thing, "SELECT amount_minor, name, 'x' AS other, id FROM thing") == Thing(1, "one")


async def test_a_struct_by_keywords_only_is_filled_too(things: Database) -> None:
    class Named(Struct, kw_only=True):
        name: str
        id: int

    await add("one")

    assert await rows(Named, "SELECT id, name FROM thing") == [Named(name="one", id=1)]


async def test_a_field_that_the_statement_does_not_give_is_named(things: Database) -> None:
    await add("one")

    with pytest.raises(TypeError, match="Thing has name, but the statement gives id"):
        await rows(Thing, "SELECT id FROM thing")


async def test_a_value_of_another_type_is_refused_with_the_name_of_the_struct(things: Database) -> None:
    class Wrong(Struct):
        name: int

    await add("one")

    with pytest.raises(TypeError, match="Wrong from"):
        await rows(Wrong, "SELECT name FROM thing")


async def test_no_row_is_an_empty_list_or_none(things: Database) -> None:
    assert await rows(Thing, "SELECT id, name FROM thing") == []
    assert await row(Thing, "SELECT id, name FROM thing") is None
    assert await value("SELECT id FROM thing") is None
    assert await values("SELECT id FROM thing") == []


async def test_text_of_a_state_becomes_its_enum(things: Database) -> None:
    class WithState(Struct):
        state: State
        kind: Literal["person", "company"]

    found = await rows(WithState, "SELECT 'issued' AS state, 'person' AS kind")

    assert found[0].state is State.ISSUED


async def test_what_is_computed_has_the_struct_s_types(things: Database) -> None:
    class Computed(Struct):
        is_one: bool
        maybe: bool | None
        last_on: date
        last_at: datetime
        total: int

    await add("one", on_day=date(2027, 1, 31), at=NOON, amount_minor=2)

    found = await row(
        Computed,
        "SELECT max(name) = 'one' AS is_one, CAST(NULL AS boolean) AS maybe, max(on_day) AS last_on,"
        " max(at) AS last_at, sum(amount_minor)::bigint AS total FROM thing",
    )

    assert found == Computed(True, None, date(2027, 1, 31), NOON, 2)


async def test_single_values_come_as_declared_or_as_asked_for(things: Database) -> None:
    await add("one", on_day=date(2027, 1, 31), at=NOON, is_on=True, amount_minor=7)

    assert await value("SELECT on_day FROM thing") == date(2027, 1, 31)
    assert await value("SELECT at FROM thing") == NOON
    assert await value("SELECT is_on FROM thing") is True
    assert await value_as(date, "SELECT max(on_day) FROM thing") == date(2027, 1, 31)
    assert await value_as(datetime, "SELECT max(at) FROM thing") == NOON
    assert await value_as(bool, "SELECT amount_minor = 7 FROM thing") is True
    assert await values_as(date, "SELECT max(on_day) FROM thing WHERE FALSE") == [None]


async def test_execute_says_how_many_rows_it_touched(things: Database) -> None:
    for name in ("one", "two", "three"):
        await add(name)

    assert await execute("UPDATE thing SET amount_minor = 1 WHERE name <> 'two'") == 2
    assert await execute("DELETE FROM thing WHERE name = 'none'") == 0


async def test_a_colon_in_text_names_comments_and_casts_is_no_value(things: Database) -> None:
    found = await value(
        """
        SELECT ':no' || ' it''s :no' || :yes::text /* :no */ -- :no
        || CAST(1 AS text) AS ":no"
        """,
        yes="|",
    )

    assert found == ":no it's :no|1"


async def test_a_value_may_be_used_twice(things: Database) -> None:
    assert await value("SELECT :a::text || :b::text || :a::text", a="x", b="y") == "xyx"


async def test_a_value_that_is_missing_is_named(things: Database) -> None:
    with pytest.raises(TypeError, match=":nmae"):
        await rows(Thing, "SELECT id, name FROM thing WHERE name = :nmae", name="one")


async def test_in_takes_a_list_of_any_length(things: Database) -> None:
    ids = [await add(name) for name in ("one", "two", "three")]
    names = "SELECT name FROM thing WHERE {} ORDER BY id"

    assert await values(names.format("id IN :ids"), ids=ids[:2]) == ["one", "two"]
    assert await values(names.format("id NOT IN :ids"), ids=ids[:2]) == ["three"]
    assert await values(names.format("id IN :ids"), ids=[]) == []
    assert await values(names.format("id NOT IN :ids"), ids=[]) == ["one", "two", "three"]
    assert await values(names.format("name IN :names"), names=("one", "it's")) == ["one"]
    assert await values(names.format("id IN :ids"), ids=range_list(50_000)) == ["one", "two", "three"]


def range_list(length: int) -> list[int]:
    return list(range(1, length + 1))


async def test_sql_among_the_values_is_put_in_with_its_own_values(things: Database) -> None:
    for number, name in enumerate(("one", "two", "three")):
        await add(name, amount_minor=number)

    found = await values(
        "SELECT name FROM thing WHERE name <> :first AND (:condition) AND name <> :last AND name <> :first",
        first="none",
        condition=QueryString("amount_minor = {} OR {}", 1, QueryString("name = {}", "three")),
        last="three",
    )

    assert found == ["two"]


async def test_rows_can_be_locked_where_the_database_locks_rows(things: Database) -> None:
    await add("one")

    async with transaction():
        assert await values("SELECT name FROM thing WHERE id = 1 FOR UPDATE SKIP LOCKED") == ["one"]
        assert await values("SELECT t.name FROM thing t WHERE t.id = 1 FOR NO KEY UPDATE OF t") == ["one"]


async def test_a_statement_outside_of_a_transaction_may_write_and_return(things: Database) -> None:
    found = await values(
        "INSERT INTO thing (name) SELECT 'a' WHERE TRUE ON CONFLICT (name, on_day) DO NOTHING RETURNING id"
    )

    assert found == [1]
    assert await value("WITH one AS (SELECT 'update' AS word) SELECT word FROM one") == "update"
    assert await values("UPDATE thing SET name = 'b' RETURNING name") == ["b"]


async def test_the_database_s_refusals_have_names_of_ours(things: Database) -> None:
    await define(
        sqlite="CREATE TRIGGER thing_stays BEFORE DELETE ON thing BEGIN SELECT RAISE(ABORT, 'Things stay.'); END",
        postgresql="CREATE FUNCTION thing_stays() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'Things stay.'; END $$;"
        "CREATE TRIGGER thing_stays BEFORE DELETE ON thing FOR EACH ROW EXECUTE FUNCTION thing_stays();",
    )
    await add("one", on_day=date(2027, 1, 1))

    with pytest.raises(Duplicate) as duplicate:
        await add("one", on_day=date(2027, 1, 1))
    with pytest.raises(ConstraintFailed):
        await add("forbidden")
    with pytest.raises(ConstraintFailed):
        await execute("UPDATE thing SET name = NULL")
    with pytest.raises(Refused, match=r"^Things stay\.$"):
        await execute("DELETE FROM thing")

    assert (duplicate.value.table, duplicate.value.columns) == ("thing", ("name", "on_day"))


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ("a\0b", Invalid),
        ("\ud800", Invalid),
        (2**63, Invalid),
        (-(2**63) - 1, Invalid),
        (math.nan, Invalid),
        (math.inf, Invalid),
        (Decimal("0.1"), TypeError),
        (datetime(2027, 1, 1), TypeError),  # noqa: DTZ001  # without a zone, which is the point
        (timedelta(1), TypeError),
        ([b"a"], TypeError),
    ],
)
async def test_what_cannot_be_kept_alike_on_both_databases_is_refused_on_both(
    database: Database, bad: object, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await value("SELECT :bad", bad=bad)


@pytest.mark.parametrize("kind", KINDS)
async def test_every_value_comes_back_as_it_went_in(kind: str, tmp_path: Path) -> None:
    class Kept(Struct, frozen=True):
        name: str
        on_day: date | None
        at: datetime | None
        is_on: bool
        amount_minor: int
        share: float | None
        digest: bytes | None

    zones = st.sampled_from([UTC, timezone(timedelta(hours=13, minutes=45)), timezone(timedelta(hours=-11))])
    text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
    instants = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=zones)  # noqa: DTZ001  # hypothesis wants bounds without zones
    kept = st.builds(
        Kept,
        name=text.filter(lambda name: name != "forbidden"),
        on_day=st.none() | st.dates(),
        at=st.none() | instants,
        is_on=st.booleans(),
        amount_minor=st.integers(-(2**63), 2**63 - 1),
        share=st.none() | st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False),
        digest=st.none() | st.binary(),
    )
    insert = (
        "INSERT INTO thing (name, on_day, at, is_on, amount_minor, share, digest) "
        "VALUES (:name, :on_day, :at, :is_on, :amount_minor, :share, :digest) RETURNING *"
    )

    async def round_trips(given_rows: list[Kept]) -> None:
        async with fresh(kind, tmp_path) as made:
            with bind(made):
                await define(THINGS)
                for each in given_rows:
                    named = {name: getattr(each, name) for name in each.__struct_fields__}
                    assert await rows(Kept, insert, **named) == [each]
                    await execute("DELETE FROM thing WHERE name = :name", name=each.name)

    collected: list[Kept] = []

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(kept)
    def collect(each: Kept) -> None:
        collected.append(each)

    collect()
    await round_trips(collected)


async def test_instants_have_one_order_in_text_and_in_time(things: Database) -> None:
    instants = [
        datetime(2027, 1, 1, tzinfo=UTC),
        datetime(2027, 1, 1, microsecond=1, tzinfo=UTC),
        datetime(2027, 1, 1, 2, tzinfo=timezone(timedelta(hours=3))),
        datetime(999, 1, 1, tzinfo=UTC),
        datetime(2027, 1, 1, microsecond=100_000, tzinfo=UTC),
        datetime(2026, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ]
    for number, at in enumerate(instants):
        await add(str(number), at=at)

    assert await values("SELECT at FROM thing ORDER BY at") == sorted(instants)
    for at in instants:
        earlier = await value("SELECT count(*) FROM thing WHERE at < :at", at=at)
        assert earlier == sum(other < at for other in instants)
        assert await value("SELECT count(*) FROM thing WHERE at = :at", at=at) == 1


async def test_a_product_that_is_too_large_is_an_error_and_never_a_float(things: Database) -> None:
    class Total(Struct):
        total: int

    await add("one", amount_minor=5 * 10**13)

    with pytest.raises((TypeError, Invalid)):
        await rows(Total, "SELECT amount_minor * 1000000 AS total FROM thing")


async def test_many_rows_go_in_with_one_statement(things: Database) -> None:
    given_rows = ({"name": f"n{number}", "amount_minor": number} for number in range(2500))

    count = await execute_many("INSERT INTO thing (name, amount_minor) VALUES (:name, :amount_minor)", given_rows)

    assert count == 2500
    assert await value("SELECT sum(amount_minor)::bigint FROM thing") == 2500 * 2499 // 2


async def test_what_is_refused_names_no_row_to_a_log(things: Database) -> None:
    await execute("INSERT INTO thing (name, on_day) VALUES ('zoe@example.net', :day)", day=date(2027, 1, 1))
    refused = (
        ("UPDATE thing SET amount_minor = NULL", ConstraintFailed),
        ("INSERT INTO thing (name, digest) SELECT 'forbidden', NULL FROM thing", ConstraintFailed),
        ("INSERT INTO thing (name, on_day) SELECT name, on_day FROM thing", Duplicate),
    )

    for statement, kind in refused:
        with pytest.raises(kind) as caught:
            await execute(statement)
        with pytest.raises(kind) as inside:
            await in_a_transaction([(statement, {})])
        for one in (caught, inside):
            assert "zoe@example.net" not in "".join(format_exception(one.value))


async def test_of_many_rows_all_go_in_or_none(things: Database) -> None:
    names = [*(f"n{number}" for number in range(1500)), "forbidden"]

    with pytest.raises(ConstraintFailed):
        await execute_many("INSERT INTO thing (name) VALUES (:name)", [{"name": name} for name in names])

    assert await value("SELECT count(*) FROM thing") == 0


async def test_rows_are_given_column_by_column(things: Database) -> None:
    columns: dict[str, list[Any]] = {
        "name": ["Zoë", "b", "c"],
        "on_day": [date(2027, 1, 31), None, date(2027, 2, 1)],
        "is_on": [True, False, True],
        "amount_minor": [1, 2**40, -3],
    }
    with watched() as told:
        async with transaction():
            count = await insert_columns(
                "thing", columns, {"on_day": "date", "is_on": "boolean", "amount_minor": "bigint"}
            )

    assert count == 3
    assert len([text for text in told if "INSERT" in text]) == 1
    assert await values("SELECT name FROM thing ORDER BY id") == columns["name"]
    assert await values("SELECT on_day FROM thing ORDER BY id") == columns["on_day"]
    assert await values("SELECT is_on FROM thing ORDER BY id") == columns["is_on"]
    assert await values("SELECT amount_minor FROM thing ORDER BY id") == columns["amount_minor"]


@pytest.mark.parametrize("text", ["a\0b", "\ud83d"])
async def test_a_text_that_cannot_be_stored_is_refused_among_those_of_its_column(things: Database, text: str) -> None:
    with pytest.raises(Invalid):
        async with transaction():
            await insert_columns("thing", {"name": ["fine", text, "\ude00"]}, {})

    assert await value("SELECT count(*) FROM thing") == 0


async def test_several_statements_go_one_after_the_other_and_say_what_each_touched(things: Database) -> None:
    statements: list[tuple[str, dict[str, Any]]] = [
        ("INSERT INTO thing (name) VALUES (:name)", {"name": "a"}),
        ("INSERT INTO thing (name) SELECT name || '!' FROM thing", {}),
        ("UPDATE thing SET amount_minor = :n", {"n": 1}),
        ("DELETE FROM thing WHERE name = 'none'", {}),
    ]

    async with transaction():
        assert await execute_all(statements) == [1, 1, 2, 0]
    with pytest.raises(ConstraintFailed):
        await in_a_transaction([*statements[2:], ("INSERT INTO thing (name) VALUES ('forbidden')", {})])

    assert await values("SELECT name FROM thing ORDER BY id") == ["a", "a!"]


async def in_a_transaction(statements: list[tuple[str, dict[str, Any]]]) -> None:
    async with transaction():
        await execute_all(statements)


async def test_a_stream_reads_in_pieces_and_lets_others_write_meanwhile(things: Database) -> None:
    await execute_many("INSERT INTO thing (name) VALUES (:name)", [{"name": f"n{number}"} for number in range(25)])
    found: list[str] = []

    with watched() as statements:
        async for each in stream(Thing, "SELECT id, name FROM thing WHERE name <> :not", size=10, **{"not": "n3"}):
            if each.id == 12:
                await spawn(execute("DELETE FROM thing WHERE id = 25"))
            found.append(each.name)

    assert found == [f"n{number}" for number in range(24) if number != 3]
    assert len([text for text in statements if "SELECT" in text]) == 3


async def test_a_stream_may_go_by_another_key(things: Database) -> None:
    await execute_many("INSERT INTO thing (name) VALUES (:name)", [{"name": name} for name in "cab"])

    found = [each.name async for each in stream(Thing, "SELECT id, name FROM thing", key="name", size=2)]

    assert found == ["a", "b", "c"]


async def test_long_queries_do_not_hold_up_writers(things: Database) -> None:
    slow = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT max(i) FROM n"
    reading = [spawn(value(slow)) for _ in range(2)]
    await anyio.sleep(0.01)

    with anyio.fail_after(2):
        await add("one")

    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("SELECT 1", True),
        ("  -- INSERT\n(SELECT 1)", True),
        ("/* DELETE */ VALUES (1)", True),
        ("WITH a AS (SELECT 'insert') SELECT * FROM a WHERE deleted_at IS NULL", True),
        ("WITH a AS (SELECT 1) INSERT INTO b SELECT * FROM a", False),
        ("INSERT INTO a VALUES (1) RETURNING id", False),
        ("PRAGMA foreign_keys", False),
        ("CREATE TABLE a (b)", False),
    ],
)
def test_whether_a_statement_can_write_is_told_by_its_words(sql: str, reads: bool) -> None:
    assert traits(sql).reads is reads


def test_the_same_text_is_made_for_each_database() -> None:
    sql = "SELECT a::bigint FROM t WHERE a = :a AND b IN :b AND c = :a AND d = ':x' FOR UPDATE"

    assert compile_statement(sql, {"a": 1, "b": [2]}, "postgresql") == (
        "SELECT a::bigint FROM t WHERE a = $1 AND b = ANY($2) AND c = $1 AND d = ':x' FOR UPDATE",
        [1, [2]],
    )
    assert compile_statement(sql, {"a": 1, "b": [2]}, "sqlite") == (
        "SELECT a FROM t WHERE a = ? AND b IN (SELECT value FROM json_each(?)) AND c = ? AND d = ':x' ",
        [1, "[2]", 1],
    )


async def test_the_planner_is_told_how_tables_have_grown(things: Database) -> None:
    await execute_many("INSERT INTO thing (name) VALUES (:name)", [{"name": f"n{number}"} for number in range(500)])

    await analyze()

    if isinstance(things, PostgresDatabase):
        known = await value("SELECT reltuples::bigint FROM pg_class WHERE oid = 'thing'::regclass")
    else:
        known = int((await value("SELECT stat FROM sqlite_stat1 WHERE tbl = 'thing'")).split()[0])
    assert known == 500


async def test_uuids_are_kept_as_text_or_by_their_type(database: Database) -> None:
    uuid = UUID("12345678-1234-5678-1234-567812345678")
    await define("CREATE TABLE owner (id uuid)")
    await execute("INSERT INTO owner (id) VALUES (:id)", id=uuid)

    assert await value("SELECT id FROM owner WHERE id = :id", id=uuid) == uuid
