"""A chunk of what is made of an import reads along indexes on SQLite, so its cost does not grow with the tenant."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

from core import hookspecs
from core.activity.asking import nothing_kept
from core.app import HOOK_MODULES
from core.billing.actions.setup import default_seller
from core.catalog.actions import create_product
from core.catalog.schemas import NewPrice, NewProduct
from core.clock import FixedClock
from core.customers.importing import steps
from core.customers.importing.actions import stage_import, take_over, undo_import
from core.database import SqliteDatabase, bind, claim, transaction, watched
from core.hooks import Hooks
from core.ids import new_uuid
from core.scope import Scope
from tests.books import APPS, START, scope_of
from tests.core.billing.test_plans_of_chunks import GROWING, LARGE, gone_over
from tests.databases import fresh

HERE = GROWING | {"import_customer", "import_row", "import_taken", "note", "opening_balance", "unbilled_span"}


async def brought(scope: Scope, folder: Path, name: str, *, plans: bool) -> int:
    file = folder / f"{name}.csv"
    lines = "".join(f"{name}{n},Name {n},{n - 30}.50,{'Fibre 50' if plans else ''},2024-05-10\n" for n in range(60))
    file.write_text(f"login,name,balance,plan,start\n{lines}", "utf-8")
    staged = await stage_import(scope, file, plans={"Fibre 50": "fibre-50"})
    assert staged.batch is not None
    await take_over(scope, staged.batch)
    return staged.batch


async def test_a_chunk_of_a_step_goes_over_no_table_that_grows(tmp_path: Path) -> None:
    async with fresh("sqlite", tmp_path, APPS) as database:
        assert isinstance(database, SqliteDatabase)
        database.owner = new_uuid()
        with bind(database):
            await claim(database.owner)
            hooks = Hooks(hookspecs, HOOK_MODULES, guard=nothing_kept)
            scope = replace(scope_of(database, FixedClock(START)), hooks=hooks)
            await default_seller(scope)
            price = NewPrice(cycle_unit="month", amount_minor=9000, valid_from=date(2000, 1, 1))
            await create_product(scope, NewProduct(code="fibre-50", name="Fibre 50", kind="plan", prices=[price]))
            first = await brought(scope, tmp_path, "a", plans=True)
            second = await brought(scope, tmp_path, "b", plans=False)
            for batch, key in ((first, "openings"), (first, "subscriptions"), (second, "openings")):
                await steps.begin_step(scope, batch, key)
            async with transaction() as inside:
                await inside.script(f"ANALYZE; {LARGE}")
            await database.close()  # figures are read when a file is opened
            with watched() as said:
                assert (await steps.take_step(scope, first, "openings")).taken == 60
                assert (await steps.take_step(scope, first, "subscriptions")).taken == 60
                await steps.take_step(scope, second, "openings")
                assert await undo_import(scope, second) == 60
            texts = sorted({text for text in said if text.startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"))})
            assert len(texts) > 60
            found = {}
            async with transaction() as inside:
                for text in texts:
                    _, plan = await inside.fetch(f"EXPLAIN QUERY PLAN {text}", [None] * text.count("?"))
                    if tables := [table for table in gone_over(text, plan, HERE) if table in HERE]:
                        found[text] = tables

    # Who refers to a new row is looked for only where something refers to a row that is missing yet: not here.
    assert {text: tables for text, tables in found.items() if not text.startswith("INSERT INTO subscription (")} == {}
