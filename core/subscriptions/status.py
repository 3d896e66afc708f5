"""States of a subscription and of a charge."""

from enum import StrEnum
from typing import Final


class SubscriptionState(StrEnum):
    """Cancelling is no state but an end date ahead."""

    PENDING = "pending"
    TRIAL = "trial"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    PAUSED = "paused"
    ENDED = "ended"
    WITHDRAWN = "withdrawn"


LIVE: Final[frozenset[SubscriptionState]] = frozenset(
    {
        SubscriptionState.PENDING,
        SubscriptionState.TRIAL,
        SubscriptionState.ACTIVE,
        SubscriptionState.SUSPENDED,
        SubscriptionState.PAUSED,
    }
)
"""What a customer has now: counted in the list, and at most one of a group that allows one."""

STARTED: Final[frozenset[SubscriptionState]] = LIVE - {SubscriptionState.PENDING}
"""Those that can be cancelled at a date ahead."""

TRANSITIONS: Final[dict[SubscriptionState, frozenset[SubscriptionState]]] = {
    SubscriptionState.PENDING: frozenset(
        {SubscriptionState.ACTIVE, SubscriptionState.ENDED, SubscriptionState.WITHDRAWN}
    ),
    SubscriptionState.TRIAL: frozenset(
        {
            SubscriptionState.ACTIVE,
            SubscriptionState.PENDING,
            SubscriptionState.ENDED,
            SubscriptionState.WITHDRAWN,
        }
    ),
    SubscriptionState.ACTIVE: frozenset(
        {
            SubscriptionState.SUSPENDED,
            SubscriptionState.PAUSED,
            SubscriptionState.ENDED,
            SubscriptionState.WITHDRAWN,
        }
    ),
    SubscriptionState.SUSPENDED: frozenset(
        {SubscriptionState.ACTIVE, SubscriptionState.ENDED, SubscriptionState.WITHDRAWN}
    ),
    SubscriptionState.PAUSED: frozenset(
        {SubscriptionState.ACTIVE, SubscriptionState.ENDED, SubscriptionState.WITHDRAWN}
    ),
    SubscriptionState.ENDED: frozenset(),
    SubscriptionState.WITHDRAWN: frozenset(),
}
"""domain.md, Subscription. Withdrawn is reached from any state but ended."""


class StateReason(StrEnum):
    """Why a subscription is in its state."""

    HAND = "hand"
    STATUS = "status"
    BALANCE = "balance"
    DUNNING = "dunning"
    SCHEDULE = "schedule"
    SETTLED = "settled"
    LAPSED = "lapsed"
    VOIDED = "voided"
    PLAN = "plan"
    IMPORT = "import"


class ChargeKind(StrEnum):
    RECURRING = "recurring"
    SETUP = "setup"
    USAGE = "usage"
    ONE_OFF = "one_off"
    FEE = "fee"
    HOLD = "hold"
    TERMINATION = "termination"


class ChargeState(StrEnum):
    """Open ones wait for an invoice; waived ones still cover their days; reversed ones are rated anew."""

    OPEN = "open"
    INVOICED = "invoiced"
    REVERSED = "reversed"
    WAIVED = "waived"


CHARGE_TRANSITIONS: Final[dict[ChargeState, frozenset[ChargeState]]] = {
    ChargeState.OPEN: frozenset({ChargeState.INVOICED, ChargeState.WAIVED}),
    ChargeState.INVOICED: frozenset({ChargeState.OPEN, ChargeState.REVERSED, ChargeState.WAIVED}),
    ChargeState.REVERSED: frozenset(),
    ChargeState.WAIVED: frozenset(),
}
"""An invoiced charge is open again when the draft that held it is deleted to be billed with the next run."""
