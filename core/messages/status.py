"""States of a message. They follow from whether it has been sent and from the job that sends it: none is stored."""

from enum import StrEnum
from typing import Final


class MessageState(StrEnum):
    WAITING = "waiting"
    """No mail server is set up: it goes out when one is."""
    QUEUED = "queued"
    """Goes out at once, or again after a failed attempt."""
    HELD = "held"
    """Came with a restored or cloned copy: a person lets it go."""
    SENDING = "sending"
    SENT = "sent"
    """A mail server has taken it, or a person has said so."""
    FAILED = "failed"
    """Refused for good, or given up."""
    UNKNOWN = "unknown"
    """The connection or the process went away while it was handed over: a person finds out whether it arrived."""
    CANCELLED = "cancelled"


FOR_A_PERSON: Final = (MessageState.UNKNOWN, MessageState.FAILED, MessageState.HELD)
"""What goes no further by itself: a person sends it again, or not."""
UNDER_WAY: Final = (MessageState.WAITING, MessageState.QUEUED, MessageState.SENDING)
CANCELLABLE: Final = (*FOR_A_PERSON, MessageState.WAITING, MessageState.QUEUED)
