"""The index of parents holds only customers who have one: from an index of all, most of whom have none, SQLite's statistics
took it that a parent has hundreds of thousands of children, and every customer was read for those of one.
"""

from core.database.migrations import run_sql

ID = "2026-11-23T00:30:00"
VERSION = "1"
DESCRIPTION = "children"


async def forwards() -> None:
    await run_sql("DROP INDEX customer_parent")
    await run_sql("CREATE INDEX customer_parent ON customer (parent_id) WHERE parent_id IS NOT NULL")
