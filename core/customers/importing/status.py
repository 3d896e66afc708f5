"""How far an import has come."""

from enum import StrEnum
from typing import Final


class BatchState(StrEnum):
    """Of a file of customers."""

    NEW = "new"
    """Its columns are being matched, or it is being read."""
    CHECKED = "checked"
    TAKING = "taking"
    DONE = "done"
    UNDOING = "undoing"
    UNDONE = "undone"


TRANSITIONS: Final[dict[BatchState, frozenset[BatchState]]] = {
    BatchState.NEW: frozenset({BatchState.NEW, BatchState.CHECKED}),
    BatchState.CHECKED: frozenset({BatchState.NEW, BatchState.TAKING}),
    BatchState.TAKING: frozenset({BatchState.DONE, BatchState.UNDOING}),
    BatchState.DONE: frozenset({BatchState.UNDOING}),
    BatchState.UNDOING: frozenset({BatchState.UNDONE, BatchState.CHECKED}),
    BatchState.UNDONE: frozenset(),
}


class StepState(StrEnum):
    """Of what is made of an import's records: balances, subscriptions."""

    OPEN = "open"
    """Nothing was made yet; choices may be kept."""
    TAKING = "taking"
    DONE = "done"
    """Of the records that were refused it may be started again."""
    UNDOING = "undoing"
    UNDONE = "undone"


STEP_TRANSITIONS: Final[dict[StepState, frozenset[StepState]]] = {
    StepState.OPEN: frozenset({StepState.TAKING}),
    StepState.TAKING: frozenset({StepState.DONE, StepState.UNDOING}),
    StepState.DONE: frozenset({StepState.TAKING, StepState.UNDOING}),
    StepState.UNDOING: frozenset({StepState.UNDONE}),
    StepState.UNDONE: frozenset(),
}
