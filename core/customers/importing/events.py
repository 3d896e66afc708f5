"""What happened to imports. Each customer that was made has its own `CustomerCreated` beside these."""

from core.activity.events import Event


class CustomersImported(Event, subject="import_batch"):
    batch_id: int
    customers: int


class CustomersImportUndone(Event, subject="import_batch"):
    batch_id: int
    customers: int
