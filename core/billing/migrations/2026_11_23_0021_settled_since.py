"""What was settled since a day is found by it: what was owed then is what is open now and that. Days of new ones come
one after another, so a run writes them side by side.
"""

from core.database.migrations import run_sql

ID = "2026-11-23T00:21:00"
VERSION = "1"
DESCRIPTION = "allocations by day"


async def forwards() -> None:
    await run_sql("CREATE INDEX allocation_day ON allocation (allocated_on)")
