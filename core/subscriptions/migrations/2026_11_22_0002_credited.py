"""Days that were charged and are credited, so that none is credited twice and each can be charged again."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:02:00"
VERSION = "1"
DESCRIPTION = "credited days"

TABLES = """
CREATE TABLE credited_span (
    id {id_never_reused},
    subscription_id bigint NOT NULL REFERENCES subscription (id),
    charge_id bigint NOT NULL REFERENCES charge (id),
    from_on date NOT NULL,
    to_on date NOT NULL CHECK (to_on > from_on),
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    UNIQUE (charge_id, from_on)
);
CREATE INDEX credited_span_subscription ON credited_span (subscription_id);
"""


async def forwards() -> None:
    await run_sql(TABLES)
