"""On SQLite a chunk of a billing run reads along indexes and brings its log in seldom: what it costs grows little."""

from __future__ import annotations

import re
from pathlib import Path

from core.billing.run import run_billing
from core.billing.staging import prepare
from core.clock import FixedClock
from core.database import SqliteDatabase, bind, transaction, watched
from core.database.sqlite import CHECKPOINT, SELDOM
from tests.billing_world import make_world, morning, run_day
from tests.books import APPS
from tests.databases import fresh

GROWING = {
    "activity", "allocation", "charge", "credit_entry", "customer", "customer_address", "customer_balance", "document",
    "document_line", "document_party", "document_state", "document_tax", "job", "ledger_transaction", "posting",
    "subscription", "subscription_schedule", "subscription_term",
}  # fmt: skip
LARGE = "UPDATE sqlite_stat1 SET stat = '1000000' || substr(stat, instr(stat || ' ', ' '))"
TABLE = re.compile(r"\b(?:FROM|JOIN|UPDATE) (\w+)(?: (?:AS )?(\w+))?")
SCAN = re.compile(r"(?:SCAN (\w+)|BLOOM FILTER ON (\w+) )")


def gone_over(text: str, plan: list[tuple[object, ...]], growing: set[str] = GROWING) -> list[str]:
    """The growing tables that a statement reads from one end to the other."""
    named = {alias or table: table for table, alias in TABLE.findall(text)} | {table: table for table in growing}
    steps = [SCAN.match(str(step)) for *_, step in plan]
    return [named[name] for found in steps if found and (name := found[1] or found[2]) in named]


async def test_a_chunk_goes_over_no_table_that_grows(tmp_path: Path) -> None:
    day = run_day(0)
    async with fresh("sqlite", tmp_path, APPS) as database:
        assert isinstance(database, SqliteDatabase)
        scope = await make_world(database, FixedClock(morning(day)), 60)
        with bind(database):
            async with transaction() as inside:
                await inside.script(f"ANALYZE; {LARGE}")
            await database.close()  # figures are read when a file is opened
            with watched() as said:
                report = await run_billing(scope, day, confirmed=True, pause=0.0, chunk_size=20)
            assert report.chunks >= 3
            texts = {text for told in said for text in told.split("; ")}
            of_chunks = sorted(
                text for text in texts if "stage_" in text and not text.startswith(("CREATE", "ANALYZE"))
            )
            assert len(of_chunks) > 30
            found = {}
            async with transaction() as inside:
                await prepare()
                for text in of_chunks:
                    _, plan = await inside.fetch(f"EXPLAIN QUERY PLAN {text}", [None] * text.count("?"))
                    if tables := [table for table in gone_over(text, plan) if table in GROWING]:
                        found[text] = tables

    assert found == {}


async def test_a_run_s_own_commits_bring_the_log_into_the_file_but_seldom(tmp_path: Path) -> None:
    day = run_day(0)
    async with fresh("sqlite", tmp_path, APPS) as database:
        assert isinstance(database, SqliteDatabase)
        scope = await make_world(database, FixedClock(morning(day)), 10)
        found = []

        async def look(*_: object) -> None:
            async with database.writer() as writer:
                found.append(writer.execute("PRAGMA wal_autocheckpoint").fetchone()[0])

        with bind(database):
            await look()
            report = await run_billing(scope, day, confirmed=True, pause=0.0, chunk_size=5, progress=look)
            await look()

    assert report.chunks > 1
    assert found == [CHECKPOINT, *[SELDOM] * (len(found) - 2), CHECKPOINT]
    assert len(found) >= report.chunks
