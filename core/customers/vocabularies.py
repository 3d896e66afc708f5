"""Words for statuses that trades are used to. Taking one renames what came with the product and adds what it lacks;
nothing goes away, and no effect of a status changes."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from core.customers.status import StatusKey, StatusKind
from core.texts import N_


class OwnStatus(Struct, frozen=True, kw_only=True):
    """A status that a vocabulary adds."""

    key: str
    label: str
    kind: StatusKind
    colour: str
    effects: frozenset[str]


class Vocabulary(Struct, frozen=True, kw_only=True):
    title: str
    about: str
    labels: dict[str, str]
    adds: tuple[OwnStatus, ...] = ()


SHIPPED_LABELS: Final[dict[str, str]] = {
    StatusKey.NEW: N_("New"),
    StatusKey.ACTIVE: N_("Active"),
    StatusKey.BLOCKED: N_("Blocked"),
    StatusKey.INACTIVE: N_("Inactive"),
    StatusKey.CLOSED: N_("Closed"),
    StatusKey.CANCELLED: N_("Cancelled"),
    StatusKey.TERMINATED: N_("Terminated"),
}
"""What the product itself calls its statuses."""

VOCABULARIES: Final[dict[str, Vocabulary]] = {
    "isp": Vocabulary(
        title=N_("Internet provider"),
        about=N_("New, Active, Blocked, Inactive"),
        labels=dict(SHIPPED_LABELS),
        adds=(
            OwnStatus(
                key="holiday",
                label=N_("On holiday"),
                kind=StatusKind.LIVE,
                colour="warn",
                effects=frozenset({"bill", "log_in", "notify", "dun"}),
            ),
        ),
    ),
    "telecom": Vocabulary(
        title=N_("Telecom operator"),
        about=N_("Ordered, Activated, Barred, Disabled, Porting out"),
        labels={
            StatusKey.NEW: N_("Ordered"),
            StatusKey.ACTIVE: N_("Activated"),
            StatusKey.BLOCKED: N_("Barred"),
            StatusKey.INACTIVE: N_("Disabled"),
            StatusKey.CLOSED: N_("Closed"),
            StatusKey.CANCELLED: N_("Cancelled"),
            StatusKey.TERMINATED: N_("Terminated"),
        },
        adds=(
            OwnStatus(
                key="porting_out",
                label=N_("Porting out"),
                kind=StatusKind.LIVE,
                colour="warn",
                effects=frozenset({"bill", "serve", "log_in", "notify", "dun"}),
            ),
        ),
    ),
    "saas": Vocabulary(
        title=N_("Software as a service"),
        about=N_("Signed up, Active, Suspended, Dormant, Past due"),
        labels={
            StatusKey.NEW: N_("Signed up"),
            StatusKey.ACTIVE: N_("Active"),
            StatusKey.BLOCKED: N_("Suspended"),
            StatusKey.INACTIVE: N_("Dormant"),
            StatusKey.CLOSED: N_("Closed"),
            StatusKey.CANCELLED: N_("Cancelled"),
            StatusKey.TERMINATED: N_("Terminated"),
        },
        adds=(
            OwnStatus(
                key="past_due",
                label=N_("Past due"),
                kind=StatusKind.LIVE,
                colour="warn",
                effects=frozenset({"bill", "serve", "log_in", "notify", "dun"}),
            ),
        ),
    ),
}
