"""What persons did to readers of the log."""

from core.activity.events import Event


class ReaderResumed(Event, subject="reader"):
    reader: str


class ParkedEventRetried(Event, subject="reader"):
    reader: str
    position: int


class ParkedEventSkipped(Event, subject="reader"):
    reader: str
    position: int
