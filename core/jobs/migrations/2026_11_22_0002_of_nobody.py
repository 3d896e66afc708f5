"""Work on many customers that has said something: what anonymising looks through for a name."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:02:00"
VERSION = "1"
DESCRIPTION = "jobs of no customer"

INDEX = """
CREATE INDEX job_of_no_customer ON job (id) WHERE customer_id IS NULL AND (result IS NOT NULL OR error IS NOT NULL);
"""


async def forwards() -> None:
    await run_sql(INDEX)
