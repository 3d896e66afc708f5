"""Rows of reports that are worked out once a day. Keys, indexes and checks stand in the migrations."""

from piccolo.columns import BigInt, Date, ForeignKey, Integer, Text
from piccolo.table import Table

from core.customers.tables import Customer
from core.database import STAFF_ONLY, via


class CustomerMrr(Table):
    """What a customer pays a month in a currency by the terms in force; 0 once it had something and lost it."""

    belongs = via("customer_id")

    customer_id = ForeignKey(Customer, index=True)
    currency = Text()
    mrr_minor = BigInt()


class MrrMovement(Table):
    """A step of a customer's monthly revenue: new, more, less, lost, back again."""

    belongs = via("customer_id")

    moved_on = Date()
    customer_id = ForeignKey(Customer, index=True)
    currency = Text()
    kind = Text()
    amount_minor = BigInt()
    after_minor = BigInt()


class MrrMark(Table):
    """The day up to which steps are written."""

    belongs = STAFF_ONLY

    one = Integer(primary_key=True)
    as_of_on = Date(null=True)
