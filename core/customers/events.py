"""What happened to customers."""

from datetime import date

from core.activity.events import Event
from core.texts import N_


class CustomerCreated(Event, subject="customer"):
    customer_id: int


class CustomerChanged(Event, subject="customer"):
    customer_id: int


class CustomerDeleted(Event, subject="customer", text=N_("Customer deleted")):
    customer_id: int


class CustomerPasswordSet(Event, subject="customer", text=N_("Password set")):
    customer_id: int


class CustomerPasswordRemoved(Event, subject="customer", text=N_("Password removed")):
    customer_id: int


class CustomerPasswordShown(Event, subject="customer", text=N_("Password shown")):
    customer_id: int


class PasswordCopiesRemoved(Event, subject="setting", text=N_("Copies of {count} passwords removed")):
    count: int


class CustomerPayerChanged(Event, subject="customer", text=N_("Customer {to_payer_id} pays from now on")):
    customer_id: int
    from_payer_id: int
    to_payer_id: int


class CustomerStatusChanged(Event, subject="customer"):
    customer_id: int
    from_key: str
    to_key: str
    reason: str


class CustomerAnonymised(Event, subject="customer"):
    customer_id: int


class CustomerStatusPlanned(Event, subject="customer", text=N_("Change of status planned")):
    planned_id: int
    customer_id: int
    to_key: str
    on: date


class CustomerStatusPlanCancelled(Event, subject="customer", text=N_("Planned change of status cancelled")):
    planned_id: int
    customer_id: int
    to_key: str
    on: date


class CustomerStatusRefused(Event, subject="customer", text=N_("Planned change of status refused")):
    planned_id: int
    customer_id: int
    to_key: str
    on: date


class StatusAdded(Event, subject="status", text=N_("Status {key} added")):
    status_id: int
    key: str


class StatusChanged(Event, subject="status", text=N_("Status {key} changed")):
    status_id: int
    key: str


class StatusRemoved(Event, subject="status", text=N_("Status {key} removed")):
    status_id: int
    key: str


class StatusesOrdered(Event, subject="status", text=N_("Statuses put in order")):
    pass


class StatusTransitionsChanged(Event, subject="status", text=N_("Allowed changes of status changed")):
    pass


class NoteAdded(Event, subject="note"):
    note_id: int
    customer_id: int


class NoteChanged(Event, subject="note"):
    note_id: int
    customer_id: int


class NotePinned(Event, subject="note"):
    note_id: int
    customer_id: int


class NoteUnpinned(Event, subject="note"):
    note_id: int
    customer_id: int


class NoteDeleted(Event, subject="note"):
    note_id: int
    customer_id: int


class TagAdded(Event, subject="customer"):
    customer_id: int
    tag: str


class TagRemoved(Event, subject="customer"):
    customer_id: int
    tag: str


class UserAdded(Event, subject="contact"):
    contact_id: int
    customer_id: int


class UserChanged(Event, subject="contact"):
    contact_id: int
    customer_id: int


class UserEmailAsked(Event, subject="contact", text=N_("New e-mail of a user waits to be confirmed")):
    contact_id: int
    customer_id: int


class UserEmailConfirmed(Event, subject="contact", text=N_("New e-mail of a user confirmed")):
    contact_id: int
    customer_id: int


class UserEmailCancelled(Event, subject="contact", text=N_("New e-mail of a user given up")):
    contact_id: int
    customer_id: int


class UserRemoved(Event, subject="contact"):
    contact_id: int
    customer_id: int


class ContactAdded(Event, subject="contact"):
    contact_id: int
    customer_id: int


class ContactChanged(Event, subject="contact"):
    contact_id: int
    customer_id: int


class ContactRemoved(Event, subject="contact"):
    contact_id: int
    customer_id: int


class TagCreated(Event, subject="tag", text=N_("Tag {tag} created")):
    tag_id: int
    tag: str


class TagChanged(Event, subject="tag", text=N_("Tag {tag} changed")):
    tag_id: int
    tag: str


class TagMerged(Event, subject="tag", text=N_("Tag {tag} became {into} for {customers} customers")):
    tag_id: int
    into_id: int
    tag: str
    into: str
    customers: int


class TagDeleted(Event, subject="tag", text=N_("Tag {tag} removed from {customers} customers")):
    tag_id: int
    tag: str
    customers: int


class LocationAdded(Event, subject="location"):
    location_id: int


class LocationChanged(Event, subject="location"):
    location_id: int


class LocationMerged(Event, subject="location", text=N_("Location merged, {customers} customers moved")):
    location_id: int
    into_id: int
    customers: int


class LocationRemoved(Event, subject="location"):
    location_id: int
