"""The kinds and effects of a customer's status, and the statuses that every tenant has."""

from enum import StrEnum
from typing import Final

from core.texts import N_


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


class StatusReason(StrEnum):
    """Why a customer has its status. What a rule has set, a rule may take back; what a person has set stays."""

    HAND = "hand"
    DUNNING = "dunning"
    BALANCE = "balance"
    SCHEDULE = "schedule"
    IMPORT = "import"


BY_RULE: Final[frozenset[StatusReason]] = frozenset({StatusReason.DUNNING, StatusReason.BALANCE})

ENDING: Final[frozenset[str]] = frozenset({StatusKey.CANCELLED, StatusKey.TERMINATED})
"""With these the contract is over: subscriptions end and are settled. Other ended statuses only suspend them."""

SWITCHES: Final[dict[str, tuple[str, str]]] = {
    "bill": (N_("Bill"), N_("Recurring days are charged")),
    "serve": (N_("Serve"), N_("Services run")),
    "log_in": (N_("Log in"), N_("May use the portal")),
    "notify": (N_("Notify"), N_("Gets messages")),
    "dun": (N_("Dun"), N_("Gets reminders")),
    "may_order": (N_("Order"), N_("May take new subscriptions")),
    "may_delete": (N_("Delete"), N_("May be deleted")),
}
"""What a status does, by the names of its columns: label, and what it means."""

COLOURS: Final[dict[str, str]] = {
    "live": N_("Green"),
    "new": N_("Blue"),
    "lead": N_("Violet"),
    "warn": N_("Amber"),
    "blocked": N_("Red"),
    "ended": N_("Grey"),
}
"""Looks of a status, each with a shape of its own: a kind's own name, or amber."""

NEEDED: Final[dict[tuple[str, str], str]] = {
    (StatusKey.NEW, StatusKey.ACTIVE): N_("The first activated subscription makes a customer active"),
    (StatusKey.ACTIVE, StatusKey.BLOCKED): N_("Dunning blocks, and so does a balance that does not cover a renewal"),
    (StatusKey.BLOCKED, StatusKey.ACTIVE): N_("Money that comes in lifts a block"),
    (StatusKey.ACTIVE, StatusKey.INACTIVE): N_("Dunning ends service when its steps are over"),
    (StatusKey.BLOCKED, StatusKey.INACTIVE): N_("Dunning ends service when its steps are over"),
    (StatusKey.INACTIVE, StatusKey.ACTIVE): N_("Money that comes in takes up service again"),
    (StatusKey.ACTIVE, StatusKey.TERMINATED): N_("Dunning may terminate the contract"),
    (StatusKey.BLOCKED, StatusKey.TERMINATED): N_("Dunning may terminate the contract"),
}
"""Changes that rules make by themselves, and which. They cannot be taken out of the table."""


def needed_for(from_key: str, from_kind: str, to_key: str) -> str:
    """The rule that needs this change to be allowed; empty where none does."""
    if from_kind == StatusKind.NEW and to_key == StatusKey.ACTIVE:
        return NEEDED[StatusKey.NEW, StatusKey.ACTIVE]
    return NEEDED.get((from_key, to_key), "")


class PlannedState(StrEnum):
    """Of a change of status that was set for a later day."""

    PLANNED = "planned"
    DONE = "done"
    CANCELLED = "cancelled"
    REFUSED = "refused"


class Documents(StrEnum):
    """Kinds of documents that contacts of a customer may get."""

    INVOICES = "invoices"
    REMINDERS = "reminders"
    STATEMENTS = "statements"
