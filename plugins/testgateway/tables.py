"""Rows of the test gateway: its own book, as that of a company somewhere else."""

from piccolo.columns import BigInt, Boolean, ForeignKey, Serial, Text, Timestamptz
from piccolo.table import Table

from core.database import STAFF_ONLY


class TestgatewayPayment(Table):
    """A payment that was ordered; `token` opens its page."""

    belongs = STAFF_ONLY

    id: Serial
    token = Text(unique=True)
    order_key = Text(unique=True)
    amount_minor = BigInt()
    currency = Text()
    text = Text()
    back = Text()
    state = Text()
    fee_minor = BigInt()
    paid_out = Boolean()
    created_at = Timestamptz()


class TestgatewayRefund(Table):
    """Money that was given back; `paid_out`: it was taken off a payout."""

    belongs = STAFF_ONLY

    id: Serial
    order_key = Text(unique=True)
    payment_id = ForeignKey(TestgatewayPayment)
    amount_minor = BigInt()
    paid_out = Boolean()
