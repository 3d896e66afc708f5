"""Kinds and states of documents, and what is asked when one is taken back."""

from enum import StrEnum
from typing import Final


class DocumentKind(StrEnum):
    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    PROFORMA = "proforma"
    OPENING = "opening"


class DocumentState(StrEnum):
    """Nothing else is stored on the document: what became of it is seen from what is open."""

    DRAFT = "draft"
    ISSUED = "issued"


TRANSITIONS: Final[dict[DocumentState, frozenset[DocumentState]]] = {
    DocumentState.DRAFT: frozenset({DocumentState.ISSUED}),
    DocumentState.ISSUED: frozenset(),
}


class Settlement(StrEnum):
    """What a person sees of an invoice: derived, never stored."""

    DRAFT = "draft"
    OPEN = "open"
    PARTLY_PAID = "partly_paid"
    PAID = "paid"
    CREDITED = "credited"
    WRITTEN_OFF = "written_off"
    OVERDUE = "overdue"


class Ending(StrEnum):
    """How an invoice was settled: what became of a promise to pay it, and of a dispute."""

    PAID = "paid"
    CREDITED = "credited"
    WRITTEN_OFF = "written_off"


class Charges(StrEnum):
    """What becomes of the charges of a draft that is deleted, or an invoice that is voided."""

    WAIVE = "waive"
    BILL_AGAIN = "bill_again"


class RunState(StrEnum):
    """Waiting: it asks something first. Superseded: a later run took over what was left."""

    WAITING = "waiting"
    OPEN = "open"
    DONE = "done"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
