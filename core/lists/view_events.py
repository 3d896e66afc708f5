"""What happened to saved views, and what was taken out of lists."""

from core.activity.events import Event
from core.texts import N_


class ListViewSaved(Event, subject="list_view", text=N_("View of {listing} saved")):
    list_view_id: int
    listing: str
    shared: bool


class ListViewDeleted(Event, subject="list_view", text=N_("View of {listing} deleted")):
    list_view_id: int
    listing: str


class ListExported(Event, subject="list", text=N_("List of {listing} exported as {format}")):
    listing: str
    format: str
