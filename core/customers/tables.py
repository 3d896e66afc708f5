"""Rows of a tenant's customers. Keys, indexes and checks stand in the migrations."""

from typing import Any

from piccolo.columns import BigInt, Boolean, Date, DoublePrecision, ForeignKey, Integer, Serial, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.table import Table

from core.database import OWN, SHARED, STAFF_ONLY, via


class Status(Table):
    """A status that customers can have: key, label, kind, and its effects as switches (domain.md)."""

    belongs = SHARED

    id: Serial
    key = Text(unique=True)
    label = Text()
    kind = Text()
    colour = Text()
    position = Integer()
    bill = Boolean()
    serve = Boolean()
    log_in = Boolean()
    notify = Boolean()
    dun = Boolean()
    may_order = Boolean()
    may_delete = Boolean()


class StatusTransition(Table):
    """From which status a customer may go to which."""

    belongs = SHARED

    id: Serial
    from_id = ForeignKey(Status)
    to_id = ForeignKey(Status)


class Location(Table):
    """A site of the operator."""

    belongs = SHARED

    id: Serial
    name = Text()
    name_key = Text(unique=True)


class Customer(Table):
    """A person or company that the operator serves. Its balance stands in `customer_balance`, a table of the ledger:
    the row for the main currency is made by the ledger's trigger on insert, so that it exists from creation on."""

    belongs = OWN

    id: Serial
    kind = Text()
    full_name = Text()
    name_key = Text()
    company = Text()
    login = Text()
    login_key = Text()
    email_key = Text()
    phone_e164 = Text()
    street = Text()
    zip = Text()
    city = Text()
    city_key = Text()
    country = Text()
    lat = DoublePrecision(null=True)
    lon = DoublePrecision(null=True)
    location_id = ForeignKey(Location, null=True, index=True)
    partition_id = BigInt(null=True, index=True)
    parent_id: ForeignKey[Any] = ForeignKey("self", null=True, index=True)
    parent_key = Text()
    payer_id: ForeignKey[Any] = ForeignKey("self", null=True, index=True)
    status_id = ForeignKey(Status, index=True)
    status_reason = Text()
    billing_type = Text()
    billing_day = Integer(null=True)
    currency = Text()
    language = Text()
    time_zone = Text()
    vat_id = Text()
    tax_profile = Text()
    tax_reason = Text()
    terms_days = Integer(null=True)
    grace_days = Integer(null=True)
    minimum_balance_minor = BigInt()
    never_block = Boolean()
    send_by = Text()
    live_subscriptions = Integer()
    tags_key = Text()
    joined_on = Date()
    external_ref = Text()
    password_hash = Text()
    password_copy = Text()
    password_set_at = Timestamptz(null=True)
    anonymised_at = Timestamptz(null=True)
    created_at = Timestamptz()
    version = BigInt()


class PlannedStatus(Table):
    """A change of a customer's status that was set for a later day; one open at a time."""

    belongs = via("customer_id")

    id: Serial
    customer_id = ForeignKey(Customer, on_delete=OnDelete.cascade, index=True)
    status_id = ForeignKey(Status)
    happens_on = Date()
    state = Text()
    note = Text()
    refusal = Text()
    planned_by = Text()
    created_at = Timestamptz()
    finished_at = Timestamptz(null=True)


class CustomerAddress(Table):
    """One e-mail, billing e-mail or phone of a customer; `position` 0 is the first and the one that the list shows."""

    belongs = via("customer_id")

    id: Serial
    customer_id = ForeignKey(Customer, on_delete=OnDelete.cascade, index=True)
    kind = Text()
    position = Integer()
    value = Text()
    value_key = Text()


class CustomerSearch(Table):
    """The words that a customer is found by, written by triggers alone (see the migration of the search)."""

    belongs = via("customer_id")

    customer_id = ForeignKey(Customer, on_delete=OnDelete.cascade, primary_key=True, index=True)
    text = Text()


class Contact(Table):
    """A person of the customer; a user may log in to the portal, the others may get documents."""

    belongs = via("customer_id")

    id: Serial
    customer_id = ForeignKey(Customer, on_delete=OnDelete.cascade, index=True)
    is_user = Boolean()
    salutation = Text()
    first_name = Text()
    surname = Text()
    email = Text()
    email_key = Text()
    phone = Text()
    role = Text()
    note = Text()
    gets_invoices = Boolean()
    gets_reminders = Boolean()
    gets_statements = Boolean()
    version = BigInt()


class EmailChange(Table):
    """A new e-mail of a user that waits to be confirmed at the new address. Of its link only the hash is kept."""

    belongs = via("customer_id")

    id: Serial
    customer_id = ForeignKey(Customer, on_delete=OnDelete.cascade, index=True)
    contact_id = ForeignKey(Contact, on_delete=OnDelete.cascade, unique=True)
    email = Text()
    email_key = Text()
    token_hash = Text()
    asked_by = Text()
    asked_at = Timestamptz()
    expires_at = Timestamptz(null=True)


class Tag(Table):
    """A label that staff put on customers; colour 1 to 6."""

    belongs = SHARED

    id: Serial
    name = Text()
    name_key = Text(unique=True)
    colour = Integer()


class CustomerTag(Table):
    """A tag on a customer."""

    belongs = via("customer_id")

    id: Serial
    customer_id = ForeignKey(Customer, on_delete=OnDelete.cascade, index=True)
    tag_id = ForeignKey(Tag, on_delete=OnDelete.cascade)


class Note(Table):
    """What staff wrote down about a customer; Markdown is not rendered, it is text. `actor` is who may change it."""

    belongs = via("customer_id")

    id: Serial
    customer_id = ForeignKey(Customer, on_delete=OnDelete.cascade, index=True)
    text = Text()
    pinned = Boolean()
    author = Text()
    actor = Text()
    created_at = Timestamptz()
    updated_at = Timestamptz(null=True)
    version = BigInt()


class ImportBatch(Table):
    """A file of customers that somebody brought, and how far it has come."""

    belongs = STAFF_ONLY

    id: Serial
    state = Text()
    file_name = Text()
    file_path = Text()
    file_sha256 = Text()
    mapping = Text()
    checked_as = Text()
    report = Text()
    mode = Text()
    taken_to = BigInt()
    made = BigInt()
    kept = BigInt()
    job_id = BigInt(null=True)
    made_by = Text()
    created_at = Timestamptz()
    finished_at = Timestamptz(null=True)


class ImportRow(Table):
    """A record of a file, read and judged: the customer it would make, under the names of a customer's columns."""

    belongs = STAFF_ONLY

    id: Serial
    batch_id = ForeignKey(ImportBatch, on_delete=OnDelete.cascade)
    record = BigInt()
    line = BigInt()
    name = Text()
    good = Boolean()
    is_customer = Boolean()
    kind = Text()
    full_name = Text()
    name_key = Text()
    company = Text()
    login = Text()
    login_key = Text()
    external_ref = Text()
    email_key = Text()
    phone_e164 = Text()
    street = Text()
    zip = Text()
    city = Text()
    city_key = Text()
    country = Text()
    lat = DoublePrecision(null=True)
    lon = DoublePrecision(null=True)
    location = Text()
    location_key = Text()
    status_key = Text()
    currency = Text()
    language = Text()
    vat_id = Text()
    tax_profile = Text()
    billing_day = Integer(null=True)
    billing_type = Text()
    time_zone = Text()
    tax_reason = Text()
    terms_days = Integer(null=True)
    grace_days = Integer(null=True)
    minimum_balance_minor = BigInt()
    never_block = Boolean()
    send_by = Text()
    joined_on = Date(null=True)
    opening_minor = BigInt()
    note = Text()
    contact_first_name = Text()
    contact_surname = Text()
    contact_role = Text()
    contact_email = Text()
    parent_ref = Text()
    addresses = Text()
    tags = Text()
    children = Text()
    services = Text()
    errors = Text()
    warnings = Text()
    cells = Text()
    continues = Boolean()
    opening_number = Text()
    more = Text()


class ImportCustomer(Table):
    """Which customer a record became. Its key lets a record become a customer once; it outlives the record."""

    belongs = via("customer_id")

    row_id = BigInt(primary_key=True)
    batch_id = ForeignKey(ImportBatch, on_delete=OnDelete.cascade, index=True)
    customer_id = ForeignKey(Customer, on_delete=OnDelete.cascade, index=True)


class ImportStep(Table):
    """What is made of an import's records once their customers are here (balances, subscriptions): how far it has come.

    `turn` counts how often it was started: records that were refused come again with the next.
    """

    belongs = STAFF_ONLY

    id: Serial
    batch_id = ForeignKey(ImportBatch, on_delete=OnDelete.cascade)
    key = Text()
    state = Text()
    choices = Text()
    turn = BigInt()
    taken_to = BigInt()
    total = BigInt()
    taken = BigInt()
    refused = BigInt()
    made_by = Text()
    started_at = Timestamptz(null=True)
    finished_at = Timestamptz(null=True)


class ImportTaken(Table):
    """A record that a step has made something of, or has refused and why. Its key lets it be taken once for ever."""

    belongs = STAFF_ONLY

    step = Text()
    row_id = BigInt(primary_key=True)
    batch_id = ForeignKey(ImportBatch, on_delete=OnDelete.cascade)
    record = BigInt()
    turn = BigInt()
    refused = Text()
