"""States of what is done to many rows, and of each row in it."""

from enum import StrEnum
from typing import Final

from core.texts import N_


class RunState(StrEnum):
    CHOSEN = "chosen"
    """What is to be done must still be said."""
    PLANNING = "planning"
    PLANNED = "planned"
    """It is known what would be done; nothing has been."""
    DOING = "doing"
    DONE = "done"


class RowState(StrEnum):
    CHOSEN = "chosen"
    READY = "ready"
    """It would be done, and as the digest says."""
    NOTHING = "nothing"
    """There is nothing to do: it is so already."""
    REFUSED = "refused"
    CHANGED = "changed"
    """It came out otherwise than it was shown, so it was left alone."""
    DONE = "done"


ROW_WORDS: Final[dict[str, str]] = {
    RowState.CHOSEN: N_("Not looked at"),
    RowState.READY: N_("Not done yet"),
    RowState.NOTHING: N_("Nothing to do"),
    RowState.REFUSED: N_("Refused"),
    RowState.CHANGED: N_("Left alone, changed"),
    RowState.DONE: N_("Done"),
}
ROW_LOOKS: Final[dict[str, str]] = {
    RowState.CHOSEN: "new",
    RowState.READY: "new",
    RowState.NOTHING: "ended",
    RowState.REFUSED: "blocked",
    RowState.CHANGED: "warn",
    RowState.DONE: "live",
}
