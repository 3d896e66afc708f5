"""Days that the system before has charged: a subscription that is taken over was served, but is charged from later on."""

from core.database.migrations import rebuild_table

ID = "2026-11-22T00:10:00"
VERSION = "1"
DESCRIPTION = "days before a subscription was taken over"

REASONS = "('pause', 'status', 'gift', 'not_renewed', 'trial', 'waived', 'import')"


async def forwards() -> None:
    await rebuild_table(
        "unbilled_span",
        f"""CREATE TABLE unbilled_span (
    id INTEGER PRIMARY KEY,
    subscription_id bigint NOT NULL REFERENCES subscription (id),
    from_on date NOT NULL,
    to_on date NOT NULL CHECK (to_on > from_on),
    reason text NOT NULL CHECK (reason IN {REASONS}),
    UNIQUE (subscription_id, from_on)
)""",
        postgresql="ALTER TABLE unbilled_span DROP CONSTRAINT unbilled_span_reason_check;"
        f" ALTER TABLE unbilled_span ADD CONSTRAINT unbilled_span_reason_check CHECK (reason IN {REASONS})",
    )
