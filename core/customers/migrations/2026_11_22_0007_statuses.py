"""A status has a colour of its own, and a change of status can be set for a later day."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:07:00"
VERSION = "1"
DESCRIPTION = "statuses of the tenant, planned changes"

TABLES = """
ALTER TABLE status ADD COLUMN colour text NOT NULL DEFAULT '';
UPDATE status SET colour = kind;
CREATE TABLE planned_status (
    id {id},
    customer_id bigint NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    status_id bigint NOT NULL REFERENCES status (id),
    happens_on date NOT NULL,
    state text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'done', 'cancelled', 'refused')),
    note text NOT NULL DEFAULT '',
    refusal text NOT NULL DEFAULT '',
    planned_by text NOT NULL,
    created_at timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE UNIQUE INDEX planned_status_open ON planned_status (customer_id) WHERE state = 'planned';
CREATE INDEX planned_status_customer ON planned_status (customer_id, id);
CREATE INDEX planned_status_due ON planned_status (happens_on, id) WHERE state = 'planned';
CREATE INDEX planned_status_status ON planned_status (status_id);
"""


async def forwards() -> None:
    await run_sql(TABLES)
