"""Work that comes in crowds, such as the documents of a billing run, lets what somebody asked for go first."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:03:00"
VERSION = "1"
DESCRIPTION = "jobs of crowds"

CROWDS = """
ALTER TABLE job ADD COLUMN crowd boolean NOT NULL DEFAULT false;
UPDATE job SET crowd = true WHERE state = 'waiting' AND kind = 'deliver_document';
DROP INDEX job_due;
CREATE INDEX job_due ON job (crowd, due_at, id) WHERE state = 'waiting';
"""


async def forwards() -> None:
    await run_sql(CROWDS)
