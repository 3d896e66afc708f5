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
