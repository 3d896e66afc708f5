"""The whole log is looked through by day, by kind and by who it was: an index for each, with the position."""

from core.database.migrations import run_sql

ID = "2026-11-23T00:03:00"
VERSION = "1"
DESCRIPTION = "activity by day, kind and actor"

INDEXES = """
CREATE INDEX activity_at ON activity (at, position);
CREATE INDEX activity_kind ON activity (kind, position);
CREATE INDEX activity_actor ON activity (actor{bytewise}, position);
"""


async def forwards() -> None:
    await run_sql(
        sqlite=INDEXES.replace("{bytewise}", ""),
        postgresql=INDEXES.replace("{bytewise}", ' COLLATE "C"'),
    )
