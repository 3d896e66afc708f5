"""Which run a job is at: one that is repeated finds it."""

from core.database.migrations import run_sql

ID = "2026-11-22T01:00:00"
VERSION = "1"
DESCRIPTION = "runs of jobs"

TABLES = """
CREATE TABLE billing_run_job (
    id {id},
    job_id bigint NOT NULL UNIQUE,
    run_id bigint NOT NULL REFERENCES billing_run (id)
);
CREATE INDEX billing_run_job_run ON billing_run_job (run_id);
"""


async def forwards() -> None:
    await run_sql(TABLES)
