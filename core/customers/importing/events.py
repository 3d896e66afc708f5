"""What happened to imports. Each customer that was made has its own `CustomerCreated` beside these."""

from core.activity.events import Event


class CustomersImported(Event, subject="import_batch"):
    batch_id: int
    customers: int


class CustomersImportUndone(Event, subject="import_batch"):
    batch_id: int
    customers: int


class ImportStepTaken(Event, subject="import_batch"):
    """Something was made of an import's records: balances were booked, subscriptions made."""

    batch_id: int
    step: str
    records: int
