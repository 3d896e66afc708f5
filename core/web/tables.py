"""Rows of sessions and of answers kept for idempotency keys."""

from piccolo.columns import BigInt, Integer, Serial, Text, Timestamptz
from piccolo.table import Table

from core.database import STAFF_ONLY


class Session(Table):
    """A log-in that lasts. The cookie's value is never stored, only its hash; `actor_kind` and `actor_id` say whose."""

    belongs = STAFF_ONLY

    id: Serial
    token_hash = Text(unique=True)
    actor_kind = Text()
    actor_id = BigInt()
    created_at = Timestamptz()
    last_used_at = Timestamptz()
    expires_at = Timestamptz()
    address = Text()
    agent = Text()
    proved_at = Timestamptz(null=True)


class Idempotency(Table):
    """The answer to a request with an Idempotency-Key, so that repeating it gives the same and does nothing."""

    belongs = STAFF_ONLY

    id: Serial
    actor = Text()
    route = Text()
    key = Text()
    body_hash = Text()
    status = Integer()
    answer = Text()
    created_at = Timestamptz()
