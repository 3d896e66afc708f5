"""States of money in and out."""

from enum import StrEnum
from typing import Final


class PaymentState(StrEnum):
    """Pending counts for nothing yet; unknown is resolved by asking, never by charging again. What had failed is looked
    at anew where the gateway says that the money came all the same."""

    PENDING = "pending"
    UNKNOWN = "unknown"
    RECEIVED = "received"
    PART_REVERSED = "part_reversed"
    REVERSED = "reversed"
    FAILED = "failed"


TRANSITIONS: Final[dict[PaymentState, frozenset[PaymentState]]] = {
    PaymentState.PENDING: frozenset({PaymentState.RECEIVED, PaymentState.FAILED, PaymentState.UNKNOWN}),
    PaymentState.UNKNOWN: frozenset({PaymentState.RECEIVED, PaymentState.FAILED}),
    PaymentState.RECEIVED: frozenset({PaymentState.PART_REVERSED, PaymentState.REVERSED}),
    PaymentState.PART_REVERSED: frozenset({PaymentState.PART_REVERSED, PaymentState.REVERSED}),
    PaymentState.REVERSED: frozenset(),
    PaymentState.FAILED: frozenset({PaymentState.UNKNOWN}),
}
