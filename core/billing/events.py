"""What happened to documents and what is owed."""

from core.activity.events import Event
from core.texts import N_


class InvoiceDrafted(Event, subject="invoice"):
    invoice_id: int
    customer_id: int


class DraftDeleted(Event, subject="invoice"):
    invoice_id: int
    customer_id: int


class InvoiceIssued(Event, subject="invoice"):
    """It has its number and cannot change any more. The customer is the one who pays."""

    invoice_id: int
    customer_id: int
    total_minor: int
    currency: str


class InvoiceSettled(Event, subject="invoice"):
    """Nothing is open on it any more: paid, credited, or of a total of zero."""

    invoice_id: int
    customer_id: int


class InvoiceReopened(Event, subject="invoice"):
    """Something is open on it again: a payment was taken back or used for another one."""

    invoice_id: int
    customer_id: int
    open_minor: int


class CreditAllocated(Event, subject="invoice"):
    """A person, or what was typed beside a payment, put some of a credit on an invoice."""

    invoice_id: int
    customer_id: int
    amount_minor: int
    currency: str


class DocumentLayoutChanged(Event, subject="document_layout"):
    """How documents to come look; what was issued keeps its look."""

    version: int


class ProformaIssued(Event, subject="invoice"):
    """It asks for money and has no effect on the books."""

    invoice_id: int
    customer_id: int
    total_minor: int
    currency: str


class InvoiceReissued(Event, subject="invoice"):
    """It takes the place of another one, which was credited in full."""

    invoice_id: int
    customer_id: int
    replaces_id: int


class CreditNoteIssued(Event, subject="credit_note"):
    """`invoice_id` is none for a free one, which corrects no invoice."""

    credit_note_id: int
    customer_id: int
    invoice_id: int | None
    total_minor: int
    currency: str


class InvoiceWrittenOff(Event, subject="invoice"):
    invoice_id: int
    customer_id: int
    amount_minor: int


class TaxRelieved(Event, subject="invoice"):
    """Tax in what was written off is given back."""

    invoice_id: int
    customer_id: int
    amount_minor: int


class CreditGranted(Event, subject="credit"):
    """Goodwill: credit without a document."""

    credit_id: int
    customer_id: int
    amount_minor: int
    currency: str


class CreditTakenBack(Event, subject="credit"):
    credit_id: int
    customer_id: int
    amount_minor: int
    currency: str


class OpeningBalanceBooked(Event, subject="customer"):
    """What the customer had or owed in the system before: positive is credit."""

    customer_id: int
    amount_minor: int
    currency: str


class OpeningBalanceReversed(Event, subject="customer"):
    customer_id: int
    amount_minor: int
    currency: str


class CreditForfeited(Event, subject="subscription"):
    subscription_id: int
    customer_id: int
    amount_minor: int


class BillingRunStarted(Event, subject="billing_run"):
    billing_run_id: int
    as_of_on: str


class BillingRunFinished(Event, subject="billing_run"):
    """Every payer was looked at; its invoices were told one by one before."""

    billing_run_id: int
    as_of_on: str
    invoices: int
    parked: int


class SellerChanged(Event, subject="seller"):
    seller_id: int


class NumberSeriesChanged(Event, subject="number_series"):
    number_series_id: int


class DunningStepDone(Event, subject="invoice"):
    """An overdue invoice had a step of dunning. `effect` is the status that was set; empty where none was."""

    invoice_id: int
    customer_id: int
    days: int
    effect: str


class DunningStepsChanged(Event, subject="dunning_step"):
    dunning_step_id: int


class DunningLiftRefused(Event, subject="customer"):
    """What was overdue is paid, but the customer could not be taken back; a person must look."""

    customer_id: int


class PaymentPromised(Event, subject="invoice"):
    invoice_id: int
    customer_id: int
    until_on: str


class PromiseWithdrawn(Event, subject="invoice"):
    invoice_id: int
    customer_id: int


class PromiseBroken(Event, subject="invoice"):
    """The promised day is over, and something is open."""

    invoice_id: int
    customer_id: int


class InvoiceDisputed(Event, subject="invoice"):
    invoice_id: int
    customer_id: int


class DisputeClosed(Event, subject="invoice"):
    invoice_id: int
    customer_id: int


class VatIdFoundValid(Event, subject="customer", text=N_("VAT id found valid")):
    customer_id: int


class VatIdFoundInvalid(Event, subject="customer", text=N_("VAT id found not valid")):
    customer_id: int
