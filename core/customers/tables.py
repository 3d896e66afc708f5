"""Rows of a tenant's customers. Keys, indexes and checks stand in the migrations."""

from piccolo.columns import BigInt, Boolean, Date, DoublePrecision, ForeignKey, Integer, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.table import Table

from core.database import OWN, SHARED, via


class Status(Table):
    """A status that customers can have: key, label, kind, and its effects as switches (domain.md)."""

    belongs = SHARED

    key = Text(unique=True)
    label = Text()
    kind = Text()
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

    from_id = ForeignKey(Status)
    to_id = ForeignKey(Status)


class Location(Table):
    """A site of the operator."""

    belongs = SHARED

    name = Text()
    name_key = Text(unique=True)


class Customer(Table):
    """A person or company that the operator serves. Its balance stands in `customer_balance`, a table of the ledger:
    the row for the main currency is made by the ledger's trigger on insert, so that it exists from creation on."""

    belongs = OWN

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
    parent_id = ForeignKey("self", null=True, index=True)
    payer_id = ForeignKey("self", null=True, index=True)
    status_id = ForeignKey(Status, index=True)
    status_reason = Text()
    billing_type = Text()
    billing_day = Integer(null=True)
    currency = Text()
    language = Text()
    time_zone = Text()
    vat_id = Text()
    tax_profile = Text()
    terms_days = Integer(null=True)
    grace_days = Integer(null=True)
    minimum_balance_minor = BigInt()
    never_block = Boolean()
    send_by = Text()
    live_subscriptions = Integer()
    tags_key = Text()
    joined_on = Date()
    external_ref = Text()
    anonymised_at = Timestamptz(null=True)
    created_at = Timestamptz()
    version = BigInt()


class CustomerAddress(Table):
    """One e-mail, billing e-mail or phone of a customer; `position` 0 is the first and the one that the list shows."""

    belongs = via("customer_id")

    customer_id = ForeignKey(Customer, on_delete=OnDelete.cascade, index=True)
    kind = Text()
    position = Integer()
    value = Text()
    value_key = Text()


class Contact(Table):
    """A person of the customer; a user may log in to the portal."""

    belongs = via("customer_id")

    customer_id = ForeignKey(Customer, on_delete=OnDelete.cascade, index=True)
    is_user = Boolean()
    salutation = Text()
    first_name = Text()
    surname = Text()
    email = Text()
    email_key = Text()
    phone = Text()
    role = Text()
    gets_documents = Boolean()


class Tag(Table):
    """A label that staff put on customers; colour 1 to 6."""

    belongs = SHARED

    name = Text()
    name_key = Text(unique=True)
    colour = Integer()


class CustomerTag(Table):
    """A tag on a customer."""

    belongs = via("customer_id")

    customer_id = ForeignKey(Customer, on_delete=OnDelete.cascade, index=True)
    tag_id = ForeignKey(Tag, on_delete=OnDelete.cascade)


class Note(Table):
    """What staff wrote down about a customer; Markdown is not rendered, it is text."""

    belongs = via("customer_id")

    customer_id = ForeignKey(Customer, on_delete=OnDelete.cascade, index=True)
    text = Text()
    pinned = Boolean()
    author = Text()
    created_at = Timestamptz()
    updated_at = Timestamptz(null=True)
