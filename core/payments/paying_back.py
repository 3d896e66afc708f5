"""Money that goes back the way it came, through its gateway: the credit is taken at once, and comes back where the
gateway does not pay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta, Struct

from core.activity.unit import record, unit_of_work
from core.billing.actions import allocate_credit, free_up
from core.billing.actions.allocation import lock_balance, lock_credit, use_credit
from core.database import execute, row, value, within
from core.errors import Conflict, Invalid, NotFound
from core.hooks import GatewayNews
from core.jobs.actions import enqueue
from core.ledger.accounts import Code
from core.ledger.posting import credit, debit, post
from core.money import format_amount
from core.payments.events import RefundFailed
from core.payments.gateways import find_gateway
from core.payments.refunds import Method, book_refund
from core.payments.status import PaymentState
from core.payments.tables import Payment
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope

PAY_BACK: Final = "pay_back_online"
"""Name of the job kind, declared in `jobs`."""


class PayingBackOnline(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How much of a payment goes back, the way it came; all that is left of it by default. `reopen`: it is taken off
    the invoices that it paid."""

    amount_minor: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    reopen: bool = False


class PayBackOnline(Struct, frozen=True):
    """Which refund a gateway is told to make."""

    refund_id: int


class _Paid(Struct, frozen=True):
    id: int
    payer_id: int
    state: PaymentState
    currency: str
    amount_minor: int
    reversed_minor: int
    method_id: int
    gateway: str
    documents: str
    returned_minor: int


class PaidBack(Struct, frozen=True):
    """A refund that a gateway is told to make."""

    refund_id: int
    amount_minor: int


async def pay_back(scope: Scope, payment_id: int, data: PayingBackOnline) -> PaidBack:
    """Give money back the way that it came (row 14).

    The credit is taken at once, so that it pays nothing else, and comes back where the gateway does not pay.
    """
    scope.refuse_on_test_clock()
    async with unit_of_work(scope):
        found = await row(
            _Paid,
            "SELECT payment.id, payment.payer_id, payment.state, payment.currency, payment.amount_minor,"
            " payment.reversed_minor, payment.method_id, o.gateway, o.documents,"
            " (SELECT coalesce(CAST(sum(r.amount_minor) AS bigint), 0) FROM refund r"
            " JOIN credit_entry e ON e.id = r.credit_entry_id WHERE e.source_kind = 'payment'"
            " AND e.source_id = payment.id AND r.provider IS NOT NULL AND r.state <> 'failed') AS returned_minor"
            " FROM payment JOIN online_payment o ON o.payment_id = payment.id"
            " WHERE payment.id = :id AND :within FOR UPDATE OF payment",
            id=payment_id,
            within=within(Payment, scope.actor.reach),
        )
        if found is None:
            raise NotFound(f"online payment {payment_id}")
        acting, gateway = await find_gateway(scope, found.gateway)
        if gateway.pay_back is None:
            raise Conflict(_("%(gateway)s pays nothing back by itself.", gateway=_(gateway.label)))
        if found.state not in (PaymentState.RECEIVED, PaymentState.PART_REVERSED):
            raise Conflict(_("Only what was received can be paid back."))
        most = found.amount_minor - found.reversed_minor - found.returned_minor
        amount = data.amount_minor if data.amount_minor is not None else most
        if not 0 < amount <= most:
            told = format_amount(most, found.currency)
            raise Invalid(_("At most %(most)s of this payment is left.", most=told), field="amount_minor")
        await lock_balance(found.payer_id, found.currency)
        entry_id = int(
            await value("SELECT id FROM credit_entry WHERE source_kind = 'payment' AND source_id = :id", id=payment_id)
        )
        entry = await lock_credit(scope, entry_id)
        reopened = entry.left_minor < amount and data.reopen
        if reopened:
            await free_up(scope, credit_entry_id=entry_id, amount_minor=amount - entry.left_minor)
            entry = await lock_credit(scope, entry_id)
        if entry.left_minor < amount:
            told = format_amount(entry.left_minor, found.currency)
            raise Conflict(
                _(
                    "%(amount)s of it is free, the rest paid invoices. Have them opened again to pay it back.",
                    amount=told,
                )
            )
        method = Method(found.method_id, Code.IN_TRANSIT)
        refund_id = await book_refund(scope, entry, amount, method, data.reason, gateway=found.gateway)
        if reopened:
            # A payment is taken off an invoice whole: what is not paid back settles it again.
            named = msgspec.json.decode(found.documents, type=list[int])
            await allocate_credit(scope, found.payer_id, found.currency, named=named)
        await enqueue(acting, PAY_BACK, PayBackOnline(refund_id), dedupe_key=f"pay-back:{refund_id}")
        return PaidBack(refund_id, amount)


class Refund(Struct, frozen=True):
    """A refund, as its gateway knows it."""

    id: int
    state: str
    customer_id: int
    credit_entry_id: int
    currency: str
    amount_minor: int
    provider: str
    provider_key: str
    reference: str


REFUND: Final = (
    "SELECT refund.id, refund.state, refund.customer_id, refund.credit_entry_id, refund.currency, refund.amount_minor,"
    " refund.provider, refund.provider_key, o.reference FROM refund"
    " JOIN credit_entry e ON e.id = refund.credit_entry_id JOIN online_payment o ON o.payment_id = e.source_id"
)


async def settle_refund(scope: Scope, gateway: str, news: GatewayNews) -> None:
    """What the gateway says of a refund; one that failed gives the credit back."""
    found = await row(
        Refund,
        f"{REFUND} WHERE refund.provider = :gateway AND refund.provider_key = :key FOR UPDATE OF refund",
        gateway=gateway,
        key=news.key,
    )
    if found is None:
        raise NotFound(f"refund of {gateway}")
    if news.state == "pending" or found.state not in ("pending", "unknown"):
        return
    state = "done" if news.state == "received" else "failed"
    await execute("UPDATE refund SET state = :state WHERE id = :id", state=state, id=found.id)
    if state == "done":
        return
    await lock_balance(found.customer_id, found.currency)
    base = int(
        await value(
            "SELECT base_minor FROM credit_use WHERE credit_entry_id = :entry AND kind = 'refund' AND source_id = :id",
            entry=found.credit_entry_id,
            id=found.id,
        )
    )
    await use_credit(scope, found.credit_entry_id, "refund_failed", found.id, -found.amount_minor, -base)
    await post(
        [
            debit(Code.IN_TRANSIT, found.amount_minor, found.currency, base),
            credit(Code.CUSTOMER_CREDIT, found.amount_minor, found.currency, base, customer_id=found.customer_id),
        ],
        kind="refund_failed",
        source_kind="refund",
        source_id=found.id,
        booked_on=scope.today(),
    )
    record(
        scope,
        RefundFailed(
            refund_id=found.id,
            customer_id=found.customer_id,
            amount_minor=found.amount_minor,
            currency=found.currency,
        ),
        changes={"reason": (None, news.reason)} if news.reason else None,
    )
    await allocate_credit(scope, found.customer_id, found.currency)
