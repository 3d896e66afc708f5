"""Changes of subscriptions: planned ones, those that wait for their invoice, and days that new terms took over."""

from core.database.migrations import rebuild_table, run_sql

ID = "2026-11-22T00:13:00"
VERSION = "1"
DESCRIPTION = "changes of subscriptions"

STATES = "('planned', 'waiting', 'done', 'dropped')"

COLUMNS = """
ALTER TABLE charge ADD COLUMN replaced_from date;
ALTER TABLE charge ADD COLUMN due_on date;
"""

INDEXES = """
DROP INDEX subscription_change_planned;
CREATE UNIQUE INDEX subscription_change_ahead ON subscription_change (subscription_id)
    WHERE state IN ('planned', 'waiting');
CREATE INDEX subscription_change_document ON subscription_change (document_id) WHERE document_id IS NOT NULL;
CREATE INDEX subscription_change_waiting ON subscription_change (until_on) WHERE state = 'waiting';
"""


async def forwards() -> None:
    await run_sql(COLUMNS)
    await rebuild_table(
        "subscription_change",
        f"""CREATE TABLE subscription_change (
    id INTEGER PRIMARY KEY,
    subscription_id bigint NOT NULL REFERENCES subscription (id),
    kind text NOT NULL,
    happens_on date NOT NULL,
    state text NOT NULL DEFAULT 'planned' CHECK (state IN {STATES}),
    plan text NOT NULL,
    plan_hash text NOT NULL,
    document_id bigint,
    until_on date,
    CHECK ((state <> 'waiting') OR (document_id IS NOT NULL AND until_on IS NOT NULL))
)""",
        postgresql="ALTER TABLE subscription_change ADD COLUMN document_id bigint;"
        " ALTER TABLE subscription_change ADD COLUMN until_on date;"
        " ALTER TABLE subscription_change DROP CONSTRAINT subscription_change_state_check;"
        f" ALTER TABLE subscription_change ADD CONSTRAINT subscription_change_state_check CHECK (state IN {STATES});"
        " ALTER TABLE subscription_change ADD CONSTRAINT subscription_change_waiting_check"
        " CHECK ((state <> 'waiting') OR (document_id IS NOT NULL AND until_on IS NOT NULL))",
    )
    await run_sql(INDEXES)
