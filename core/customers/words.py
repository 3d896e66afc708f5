"""The words that customers are found by, brought into step with the customers: where rows came in past the triggers."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from core.database import dialect, run_sql
from core.database.migrations import MigrationApp, load

MIGRATION: Final = "2026-11-23T00:39:00"
"""The one that says which words a customer has."""
PIECES: Final = "2026-11-23T00:31:00"
"""The one that says of which columns there are pieces."""


async def rewrite_words() -> None:
    """Only what is missing, superfluous or different is written. The triggers of `customer_search` must be on."""
    migrations = load(MigrationApp("customers", Path(__file__).parent / "migrations"))
    made = migrations[MIGRATION]
    words = made.SQLITE_ALL if dialect() == "sqlite" else made.POSTGRESQL_WORDS
    for statement in (
        "DELETE FROM customer_search WHERE customer_id NOT IN (SELECT id FROM customer)",
        f"UPDATE customer_search SET text = now.text FROM (SELECT c.id, {words} AS text FROM customer c) now"
        " WHERE customer_search.customer_id = now.id AND customer_search.text <> now.text",
        f"INSERT INTO customer_search (customer_id, text) SELECT c.id, {words} FROM customer c"
        " WHERE NOT EXISTS (SELECT 1 FROM customer_search s WHERE s.customer_id = c.id)",
    ):
        await run_sql(statement)
    await run_sql(sqlite=migrations[PIECES].SQLITE_ALL)
