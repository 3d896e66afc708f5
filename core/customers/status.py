"""The kinds and effects of a customer's status, and the statuses that every tenant has."""

from enum import StrEnum
from typing import Final


class StatusKind(StrEnum):
    """What a status means to the rules, whatever the tenant calls it."""

    LEAD = "lead"
    NEW = "new"
    LIVE = "live"
    BLOCKED = "blocked"
    ENDED = "ended"


class StatusKey(StrEnum):
    """The keys that rules need. A tenant renames and recolours them, but cannot remove them."""

    NEW = "new"
    ACTIVE = "active"
    BLOCKED = "blocked"
    INACTIVE = "inactive"
    CLOSED = "closed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"


TRANSITIONS: Final[dict[StatusKey, frozenset[StatusKey]]] = {
    StatusKey.NEW: frozenset({StatusKey.ACTIVE, StatusKey.INACTIVE, StatusKey.CLOSED, StatusKey.CANCELLED}),
    StatusKey.ACTIVE: frozenset(
        {StatusKey.BLOCKED, StatusKey.INACTIVE, StatusKey.CLOSED, StatusKey.CANCELLED, StatusKey.TERMINATED}
    ),
    StatusKey.BLOCKED: frozenset({StatusKey.ACTIVE, StatusKey.INACTIVE, StatusKey.CANCELLED, StatusKey.TERMINATED}),
    StatusKey.INACTIVE: frozenset({StatusKey.ACTIVE}),
    StatusKey.CLOSED: frozenset({StatusKey.INACTIVE, StatusKey.ACTIVE}),
    StatusKey.CANCELLED: frozenset({StatusKey.INACTIVE, StatusKey.ACTIVE}),
    StatusKey.TERMINATED: frozenset({StatusKey.INACTIVE, StatusKey.ACTIVE}),
}
