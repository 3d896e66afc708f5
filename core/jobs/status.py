"""States of a job."""

from enum import StrEnum
from typing import Final

from core.texts import N_


class JobState(StrEnum):
    WAITING = "waiting"
    """Due at `due_at`, or again after an attempt that failed."""
    HELD = "held"
    """Came with a restored or cloned copy: a person lets it go."""
    RUNNING = "running"
    SENDING = "sending"
    """Of policy once: the effect has begun, and nobody can tell from here whether it came about."""
    DONE = "done"
    FAILED = "failed"
    """Gave up; a person may let it run again."""
    UNKNOWN = "unknown"
    """Lost while sending: a person finds out whether it happened."""
    CANCELLED = "cancelled"


FOR_A_PERSON: Final = (JobState.FAILED, JobState.UNKNOWN, JobState.HELD)
"""What goes no further by itself: a person starts it again, or not."""
CANCELLABLE: Final = (*FOR_A_PERSON, JobState.WAITING, JobState.RUNNING)


TRANSITIONS: Final[dict[JobState, frozenset[JobState]]] = {
    JobState.WAITING: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.HELD}),
    JobState.HELD: frozenset({JobState.WAITING, JobState.CANCELLED}),
    JobState.RUNNING: frozenset(
        {JobState.WAITING, JobState.SENDING, JobState.DONE, JobState.FAILED, JobState.CANCELLED}
    ),
    JobState.SENDING: frozenset({JobState.RUNNING, JobState.DONE, JobState.UNKNOWN}),
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset({JobState.WAITING, JobState.CANCELLED}),
    JobState.UNKNOWN: frozenset({JobState.WAITING, JobState.DONE, JobState.CANCELLED}),
    JobState.CANCELLED: frozenset(),
}

WORDS: Final = (
    N_("Waiting"),
    N_("Held"),
    N_("Running"),
    N_("Sending"),
    N_("Done"),
    N_("Failed"),
    N_("Unknown"),
    N_("Cancelled"),
)
"""The states as pages show them."""
