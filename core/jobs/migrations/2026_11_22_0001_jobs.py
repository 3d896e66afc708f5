"""Jobs and schedules. A job's customer has no constraint: what was sent stays known when the customer is gone.

No index begins with the state or the kind alone: the planner would take it to find the next job, and sort all that wait.
"""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "jobs"

TABLES = """
CREATE TABLE job (
    id {id_never_reused},
    kind text NOT NULL,
    policy text NOT NULL CHECK (policy IN ('repeatable', 'once')),
    state text NOT NULL CHECK (state IN
        ('waiting', 'held', 'running', 'sending', 'done', 'failed', 'unknown', 'cancelled')),
    due_at timestamptz NOT NULL,
    dedupe_key text UNIQUE,
    payload text NOT NULL,
    actor text NOT NULL,
    customer_id bigint,
    attempts integer NOT NULL DEFAULT 0,
    fence bigint NOT NULL DEFAULT 0,
    lease_until timestamptz,
    cancel_asked boolean NOT NULL DEFAULT FALSE,
    progress_done bigint NOT NULL DEFAULT 0,
    progress_total bigint NOT NULL DEFAULT 0,
    progress_text text NOT NULL DEFAULT '',
    result text,
    error text,
    created_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz
);
CREATE INDEX job_due ON job (due_at, id) WHERE state = 'waiting';
CREATE INDEX job_at_work ON job (lease_until) WHERE state IN ('running', 'sending');
CREATE INDEX job_for_a_person ON job (id) WHERE state IN ('failed', 'unknown', 'held');
CREATE INDEX job_customer ON job (customer_id, id) WHERE customer_id IS NOT NULL;
CREATE TABLE schedule_due (
    name text NOT NULL PRIMARY KEY,
    next_at timestamptz NOT NULL,
    last_at timestamptz
);
"""


async def forwards() -> None:
    await run_sql(TABLES)
