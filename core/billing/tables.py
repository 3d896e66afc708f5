"""Rows of documents, number series, open credit and billing runs.

Keys, indexes, checks and triggers stand in the migrations.
"""

from typing import Any

from piccolo.columns import BigInt, Boolean, Date, ForeignKey, Integer, Text, Timestamptz
from piccolo.table import Table

from core.catalog.tables import Product, TaxRate
from core.customers.tables import Customer
from core.database import SHARED, STAFF_ONLY, via
from core.ledger.tables import Book
from core.subscriptions.tables import Charge, Subscription


class Seller(Table):
    """Who sells: legal name, address, tax status.

    The tenant itself; a reseller that sells in its own name is another one.

    `oss`: registered for the One Stop Shop, so consumers in other EU countries are charged their country's rate.
    """

    belongs = SHARED

    code = Text(unique=True)
    name = Text()
    street = Text()
    zip = Text()
    city = Text()
    country = Text()
    vat_id = Text()
    tax_number = Text()
    registration = Text()
    email = Text()
    phone = Text()
    website = Text()
    bank_name = Text()
    iban = Text()
    bic = Text()
    footer = Text()
    oss = Boolean()
    book_id = ForeignKey(Book)
    is_default = Boolean()
    version = BigInt()


class SellerSnapshot(Table):
    """The seller as it was when documents were issued: one row for as long as nothing changes. Never changed."""

    belongs = SHARED

    seller_id = ForeignKey(Seller)
    digest = Text()
    snapshot = Text()


class NumberSeries(Table):
    """How documents of a kind and seller are numbered: `{YYYY}-{seq:06}`. Its row is locked while numbers are given."""

    belongs = STAFF_ONLY

    kind = Text()
    seller_id = ForeignKey(Seller)
    book_id = ForeignKey(Book)
    pattern = Text()
    reset = Text()
    last_issued_on = Date(null=True)


class NumberCounter(Table):
    """The next number of a series in a year; year 0 where it never starts anew."""

    belongs = STAFF_ONLY

    series_id = ForeignKey(NumberSeries)
    year = Integer()
    next = BigInt()


class BillingRun(Table):
    """A run for a date: how far it is (payers in order of their ids), what it made, what it asks before it goes on.

    `totals` and `expected` are JSON, minor units by currency. `parked` counts payers that could not be billed;
    `renewed` and `not_covered` the prepaid subscriptions that balances paid for, or did not.
    """

    belongs = STAFF_ONLY

    as_of_on = Date()
    issued_on = Date()
    state = Text()
    question = Text()
    payers_total = BigInt()
    payers_done = BigInt()
    after_payer_id = BigInt()
    invoices = BigInt()
    charges = BigInt()
    parked = BigInt()
    renewed = BigInt()
    not_covered = BigInt()
    totals = Text()
    expected = Text()
    actor = Text()
    started_at = Timestamptz()
    finished_at = Timestamptz(null=True)


class BillingRunJob(Table):
    """The run that a job is at: a job that is repeated behind its end begins no other one."""

    belongs = STAFF_ONLY

    job_id = BigInt(unique=True)
    run_id = ForeignKey(BillingRun)


class BillingParked(Table):
    """A payer that a run could not bill, and why. The next run tries again; what it then bills resolves it.

    `amount_minor`: what was not billed, before tax, where that is known and of one currency. `tried_at`: the last time
    that it was tried again, and could not be billed either.
    """

    belongs = via("payer_id")

    payer_id = ForeignKey(Customer, index=True)
    run_id = ForeignKey(BillingRun)
    reason = Text()
    detail = Text()
    amount_minor = BigInt(null=True)
    currency = Text(null=True)
    parked_at = Timestamptz()
    tried_at = Timestamptz(null=True)
    resolved_at = Timestamptz(null=True)


class Document(Table):
    """An invoice, credit note or proforma; `opening` is one taken over from another system, under its own number.

    A draft has no number and no effect. Issued it never changes; what is open stands in `document_state`.
    Rates: one unit of its currency is fx_rate_e10 ÷ 10¹⁰ of the tenant's.
    """

    belongs = via("payer_id")

    kind = Text()
    state = Text()
    series_id = ForeignKey(NumberSeries, null=True)
    year = Integer(null=True)
    seq = BigInt(null=True)
    number = Text(null=True)
    payer_id = ForeignKey(Customer, index=True)
    seller_id = ForeignKey(Seller)
    seller_snapshot_id = ForeignKey(SellerSnapshot, null=True)
    book_id = ForeignKey(Book)
    issued_on = Date(null=True)
    due_on = Date(null=True)
    tax_on = Date(null=True)
    terms_days = Integer(null=True)
    currency = Text()
    net_minor = BigInt()
    tax_minor = BigInt()
    rounding_minor = BigInt()
    total_minor = BigInt()
    fx_rate_e10 = BigInt(null=True)
    tax_fx_rate_e10 = BigInt(null=True)
    tax_currency_minor = BigInt(null=True)
    corrects_id: ForeignKey[Any] = ForeignKey("self", null=True)
    language = Text()
    template_version = Integer()
    reference = Text()
    note = Text()
    run_id = ForeignKey(BillingRun, null=True)
    group_key = Text(null=True)
    version = BigInt()
    created_at = Timestamptz()
    issued_at = Timestamptz(null=True)


class DocumentLine(Table):
    """A line: quantity × unit price × `days` ÷ `of_days` − discount is `amount_minor`, net or with tax as
    `tax_inclusive` says. The days are 1 ÷ 1 but for a part of a period.

    On issue it gets its rate, its share of the tax, and how much of its net is deferred revenue (days not yet over).
    Its unit price is in whole units × 10⁶. Lines of a credit note name the line they correct.
    """

    belongs = via("document_id")

    document_id = ForeignKey(Document, index=True)
    position = Integer()
    charge_id = ForeignKey(Charge, null=True)
    beneficiary_id = ForeignKey(Customer, null=True)
    product_id = ForeignKey(Product, null=True)
    kind = Text()
    description = Text()
    quantity_e6 = BigInt()
    unit_price_e6 = BigInt()
    days = Integer(default=1)
    of_days = Integer(default=1)
    discount_minor = BigInt()
    amount_minor = BigInt()
    net_minor = BigInt()
    tax_category = Text()
    tax_inclusive = Boolean()
    tax_rate_id = ForeignKey(TaxRate, null=True)
    tax_code = Text()
    rate_ppm = BigInt()
    tax_minor = BigInt()
    deferred_minor = BigInt()
    base_net_minor = BigInt()
    base_tax_minor = BigInt()
    base_deferred_minor = BigInt()
    period_from = Date(null=True)
    period_to = Date(null=True)
    corrects_line_id: ForeignKey[Any] = ForeignKey("self", null=True)


class DocumentTax(Table):
    """Net and tax of a document by category of EN 16931 and rate; `exemption_code` says why nothing is charged."""

    belongs = via("document_id")

    document_id = ForeignKey(Document, index=True)
    category = Text()
    rate_ppm = BigInt()
    net_minor = BigInt()
    tax_minor = BigInt()
    exemption_code = Text()


class DocumentParty(Table):
    """The buyer as it was when the document was issued, JSON. Emptied once `retain_until` is over."""

    belongs = via("document_id")

    document_id = ForeignKey(Document, index=True)
    role = Text()
    snapshot = Text()
    retain_until = Date()


class DocumentFile(Table):
    """A rendering of an issued document, stored once with its hash."""

    belongs = via("document_id")

    document_id = ForeignKey(Document, index=True)
    format = Text()
    sha256 = Text()
    path = Text()
    created_at = Timestamptz()


class DocumentState(Table):
    """What changes about an issued document: what is open, disputed, promised, reminded of, sent.

    `open_minor` is its total less allocations and write-offs, moved by the statement that writes one.
    """

    belongs = via("payer_id")

    document_id = ForeignKey(Document, primary_key=True, index=True)
    payer_id = ForeignKey(Customer, index=True)
    due_on = Date()
    currency = Text()
    open_minor = BigInt()
    base_open_minor = BigInt()
    settled_on = Date(null=True)
    disputed = Boolean()
    promise_on = Date(null=True)
    last_step = Integer()
    sent_at = Timestamptz(null=True)


class PrepaidRenewal(Table):
    """A renewal of what is prepaid: since when the balance does not cover it, and when and by which invoice it did.

    `total_minor` is what it costs with tax, `missing_minor` what was missing at the last try. Runs from
    `first_short_run_id` to `last_short_run_id` found it not covered; one that money brought on was renewed by no run.
    `awaits_run`: tried for a run that has no row yet.
    """

    belongs = via("customer_id")

    subscription_id = ForeignKey(Subscription, index=True)
    customer_id = ForeignKey(Customer, index=True)
    payer_id = ForeignKey(Customer, index=True)
    period_start = Date()
    currency = Text()
    total_minor = BigInt()
    missing_minor = BigInt()
    short_on = Date(null=True)
    renewed_on = Date(null=True)
    document_id = ForeignKey(Document, null=True)
    first_short_run_id = ForeignKey(BillingRun, null=True)
    last_short_run_id = ForeignKey(BillingRun, null=True)
    renewed_run_id = ForeignKey(BillingRun, null=True)
    awaits_run = Boolean()


class CreditEntry(Table):
    """Credit of a customer from one source (payment, credit note, goodwill, …) and what is left of it.

    `subscription_id` says which subscription it came from, where it did: that part is forfeited on withdrawal.
    """

    belongs = via("customer_id")

    customer_id = ForeignKey(Customer, index=True)
    currency = Text()
    source_kind = Text()
    source_id = BigInt()
    subscription_id = ForeignKey(Subscription, null=True)
    reason = Text()
    amount_minor = BigInt()
    base_minor = BigInt()
    left_minor = BigInt()
    base_left_minor = BigInt()
    created_on = Date()


class Allocation(Table):
    """Credit that settles a document; a negative row undoes an earlier one. Never changed."""

    belongs = via("document_id")

    credit_entry_id = ForeignKey(CreditEntry, index=True)
    document_id = ForeignKey(Document, index=True)
    amount_minor = BigInt()
    base_credit_minor = BigInt()
    base_document_minor = BigInt()
    allocated_on = Date()
    undoes_id: ForeignKey[Any] = ForeignKey("self", null=True)


class OpeningBalance(Table):
    """A record of an import and the credit or document that it was booked as: positive is the customer's credit.

    Its key is the record's id, which is never given twice: a record is booked once for ever.
    """

    belongs = via("customer_id")

    row_id = BigInt(primary_key=True)
    batch_id = BigInt()
    record = BigInt()
    customer_id = ForeignKey(Customer, index=True)
    currency = Text()
    amount_minor = BigInt()
    base_minor = BigInt()
    rate_e10 = BigInt(null=True)
    number = Text()
    booked_on = Date()
    due_on = Date()
    document_id = ForeignKey(Document, null=True)
    credit_entry_id = ForeignKey(CreditEntry, null=True)
    transaction_id = BigInt()
    reversed_on = Date(null=True)


class CreditUse(Table):
    """Credit that went elsewhere than to a document: refunded, forfeited, transferred, reversed. Never changed."""

    belongs = via("credit_entry_id")

    credit_entry_id = ForeignKey(CreditEntry, index=True)
    kind = Text()
    source_id = BigInt()
    amount_minor = BigInt()
    base_minor = BigInt()
    used_on = Date()


class WriteOff(Table):
    """An open amount that is given up: a bad debt, or a small difference, which counts as settled."""

    belongs = via("document_id")

    document_id = ForeignKey(Document, index=True)
    kind = Text()
    amount_minor = BigInt()
    base_minor = BigInt()
    reason = Text()
    written_on = Date()


class TaxRelief(Table):
    """Tax of a bad debt that was given back, by rate; a negative row: it is due again."""

    belongs = via("document_id")

    document_id = ForeignKey(Document, index=True)
    tax_rate_id = ForeignKey(TaxRate, null=True)
    amount_minor = BigInt()
    base_minor = BigInt()
    reason = Text()
    granted_on = Date()


class VatCheck(Table):
    """An answer of VIES about a VAT id. The latest decides: a valid one counts for 90 days.

    `customer_id`: for whom it was asked, which is erased with it; not whom it counts for, which is who has the id.
    `source`: the plugin that asked, empty where staff noted it. The trader is who has the id, as the service says.
    """

    belongs = STAFF_ONLY

    vat_id = Text()
    checked_at = Timestamptz()
    valid = Boolean()
    consultation = Text()
    customer_id = BigInt(null=True)
    source = Text()
    trader_name = Text()
    trader_address = Text()


class DocumentVatCheck(Table):
    """By which check of its buyer's VAT id an invoice has no tax. It goes with the buyer, once the time is over."""

    belongs = via("document_id")

    document_id = ForeignKey(Document, primary_key=True, index=True)
    vat_check_id = ForeignKey(VatCheck, index=True)


class DunningStep(Table):
    """A step of dunning: so many days after the due date, which message, what it costs, what becomes of the customer.

    `fee_minor` is in the tenant's currency. One that is taken out of force stays for the invoices that had it.
    """

    belongs = STAFF_ONLY

    days = Integer()
    message = Text()
    effect = Text()
    fee_minor = BigInt()
    in_force = Boolean()


class DunningEvent(Table):
    """A step that an invoice had: its key lets it have it once for ever.

    `counted_on` is the day from which the next steps are counted: the step's own, or the day on which it was made up
    for. `days` and `message` are as the step had them then, and as it was written; `effect` is the status that was set,
    `refused` why none was.
    """

    belongs = via("document_id")

    document_id = ForeignKey(Document, index=True)
    step_id = ForeignKey(DunningStep)
    payer_id = ForeignKey(Customer, index=True)
    done_on = Date()
    counted_on = Date()
    days = Integer()
    effect = Text()
    refused = Text()
    message = Text()
    message_id = BigInt(null=True)
    charge_id = ForeignKey(Charge, null=True)
    fee_minor = BigInt()
    currency = Text()


class Promise(Table):
    """A promise to pay an invoice by a day; until then dunning leaves it alone. One open at a time."""

    belongs = via("document_id")

    document_id = ForeignKey(Document, index=True)
    until_on = Date()
    note = Text()
    state = Text()
    made_by = Text()
    made_on = Date()
    closed_on = Date(null=True)


class Dispute(Table):
    """The customer says that an invoice is wrong; until it is closed dunning leaves it alone. One open at a time."""

    belongs = via("document_id")

    document_id = ForeignKey(Document, index=True)
    reason = Text()
    state = Text()
    answer = Text()
    made_by = Text()
    made_on = Date()
    closed_on = Date(null=True)
