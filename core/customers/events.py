"""What happened to customers."""

from core.activity.events import Event


class CustomerCreated(Event, subject="customer"):
    customer_id: int


class CustomerChanged(Event, subject="customer"):
    customer_id: int


class CustomerPayerChanged(Event, subject="customer", text="Customer {to_payer_id} pays from now on"):
    customer_id: int
    from_payer_id: int
    to_payer_id: int


class CustomerStatusChanged(Event, subject="customer"):
    customer_id: int
    from_key: str
    to_key: str
    reason: str


class NoteAdded(Event, subject="note"):
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
