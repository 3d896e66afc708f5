"""What was done to many rows of lists."""

from core.activity.events import Event
from core.texts import N_


class BulkStarted(Event, subject="bulk_run", text=N_("{action} begun for {rows} rows of {listing}")):
    run_id: int
    listing: str
    action: str
    rows: int


class BulkDone(Event, subject="bulk_run", text=N_("{action} done to {done} rows of {listing}, {refused} left out")):
    run_id: int
    listing: str
    action: str
    done: int
    refused: int
