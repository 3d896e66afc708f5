"""Kinds and choices of the catalogue."""

from enum import StrEnum


class ProductKind(StrEnum):
    PLAN = "plan"
    MODULE = "module"
    SERVICE = "service"
    ONE_OFF = "one_off"


class Activation(StrEnum):
    """On account: live at once, invoiced on terms. Invoice first: live once its first invoice is settled."""

    ON_ACCOUNT = "on_account"
    INVOICE_FIRST = "invoice_first"


class AtTrialEnd(StrEnum):
    """What becomes of a trial on its last day."""

    END = "end"
    CONVERT = "convert"
    INVOICE_FIRST = "invoice_first"
