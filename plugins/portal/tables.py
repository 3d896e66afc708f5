"""Rows of the portal: who may open it beside the customer itself, and who did in its place."""

from piccolo.columns import BigInt, ForeignKey, Serial, Text, Timestamptz
from piccolo.columns.base import OnDelete
from piccolo.table import Table

from core.customers.tables import Contact, Customer
from core.database import via
from core.staff.tables import Staff


class PortalUser(Table):
    """The password of a user of a customer."""

    belongs = via("customer_id")

    contact_id = BigInt(primary_key=True)
    customer_id = ForeignKey(Customer, on_delete=OnDelete.cascade, index=True)
    password_hash = Text()
    password_set_at = Timestamptz()


class PortalLink(Table):
    """A link to a new password, mailed and used once; of it only the hash is kept. No contact: the customer's own."""

    belongs = via("customer_id")

    id: Serial
    customer_id = ForeignKey(Customer, on_delete=OnDelete.cascade, index=True)
    contact_id = ForeignKey(Contact, on_delete=OnDelete.cascade, null=True, index=True)
    token_hash = Text(unique=True)
    created_at = Timestamptz()
    expires_at = Timestamptz()


class PortalVisit(Table):
    """A staff user who is, or was, in the portal in a customer's place.

    `session_id` is the log-in that it was begun in; its row may be gone.
    """

    belongs = via("customer_id")

    id: Serial
    customer_id = ForeignKey(Customer, on_delete=OnDelete.cascade, index=True)
    staff_id = ForeignKey(Staff)
    begun_at = Timestamptz()
    ends_at = Timestamptz()
    ended_at = Timestamptz(null=True)
    session_id = BigInt(null=True)
