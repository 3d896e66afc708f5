"""Online payments of which nobody knows whether they came: listed for a person, who settles them or gives them up.

Also those that were given up, of which the gateway has not said in all the days since that no money came.

Both end what is asked and charged for them. What the gateway says afterwards still counts, and once: money that it
tells of for one that was given up is booked then, and one that was settled by hand is not booked again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta, Struct

from core.activity.unit import record, unit_of_work
from core.database import execute, row, rows, within
from core.errors import Conflict, Invalid
from core.hooks import GatewayNews
from core.payments.events import OnlinePaymentFailed
from core.payments.online import ASKS_ONCE_GIVEN_UP, BY_HAND, ONLINE, Online, fail, get_online, settle
from core.payments.schemas import AmountMinor
from core.payments.status import PaymentState
from core.payments.tables import Payment
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope

LONG: Final = timedelta(days=1)
"""By then a gateway that works has answered."""


class SettlingByHand(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What came in truth, all that was ordered by default, and what the gateway kept of it; how a person knows."""

    amount_minor: AmountMinor | None = None
    fee_minor: Annotated[int, Meta(ge=0, le=10**12)] = 0
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class GivingUp(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Why no money is waited for any more."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class Unclear(Struct, frozen=True, kw_only=True):
    """A payment of which nobody knows. `for_long`: its gateway should have answered by now. `given_up`: its invoices
    can be paid again, and its gateway is not asked by itself any more."""

    payment_id: int
    payer_id: int
    payer: str
    currency: str
    amount_minor: int
    gateway: str
    reference: str
    reason: str
    asked: int
    created_at: datetime
    given_up: bool
    for_long: bool = False


async def list_unclear(scope: Scope, *, after: int = 0, limit: int = 200) -> list[Unclear]:
    """All that are unknown, and those that were given up and asked about in vain; in the order of their ids, which is
    the oldest first, from behind one on."""
    found = await rows(
        Unclear,
        "SELECT payment.id AS payment_id, payment.payer_id, c.full_name AS payer, payment.currency,"
        " payment.amount_minor, o.gateway, payment.reference, o.reason, o.asked + o.asked_after AS asked,"
        " payment.created_at, payment.state = 'failed' AS given_up FROM payment"
        " JOIN online_payment o ON o.payment_id = payment.id JOIN customer c ON c.id = payment.payer_id"
        " WHERE payment.id IN (SELECT id FROM payment WHERE state = 'unknown' UNION ALL SELECT payment_id"
        " FROM online_payment WHERE given_up_at IS NOT NULL AND asked_after >= :asks)"
        " AND payment.state IN ('unknown', 'failed') AND payment.id > :after AND :within"
        " ORDER BY payment.id LIMIT :limit",
        asks=len(ASKS_ONCE_GIVEN_UP),
        after=after,
        limit=limit,
        within=within(Payment, scope.actor.reach),
    )
    return [msgspec.structs.replace(each, for_long=each.created_at <= scope.now() - LONG) for each in found]


async def settle_by_hand(scope: Scope, payment_id: int, data: SettlingByHand) -> None:
    """A person knows that the money came: it is booked as the gateway's word would be. Its later word books nothing."""
    async with unit_of_work(scope):
        found = await _locked(scope, payment_id)
        amount = found.amount_minor if data.amount_minor is None else data.amount_minor
        if data.fee_minor >= amount:
            raise Invalid(_("The fee must be less than the payment."), field="fee_minor")
        event_id = f"{BY_HAND}{payment_id}"
        await execute(
            "INSERT INTO gateway_event (gateway, event_id, payment_id, kind, state, received_at)"
            " VALUES (:gateway, :event_id, :id, 'payment', 'received', :now)",
            gateway=found.gateway,
            event_id=event_id,
            id=payment_id,
            now=scope.now(),
        )
        await execute("UPDATE payment SET note = :note WHERE id = :id", id=payment_id, note=data.reason.strip())
        news = GatewayNews(
            event_id=event_id,
            state="received",
            amount_minor=amount,
            fee_minor=data.fee_minor,
            currency=found.currency,
            key=found.key,
        )
        await settle(scope, found, news)


async def give_up(scope: Scope, payment_id: int, data: GivingUp) -> None:
    """No money is waited for any more: its invoices can be paid again. If it comes all the same, it counts: the gateway
    is asked some more times. Given up a second time it is asked no more, and leaves the list."""
    async with unit_of_work(scope):
        found, reason = await _locked(scope, payment_id), data.reason.strip()
        if found.state is PaymentState.UNKNOWN:
            await fail(scope, found, reason, given_up=True)
            return
        await execute(
            "UPDATE online_payment SET given_up_at = NULL, reason = :reason WHERE payment_id = :id",
            id=payment_id,
            reason=reason,
        )
        record(
            scope,
            OnlinePaymentFailed(
                payment_id=payment_id,
                customer_id=found.payer_id,
                amount_minor=found.amount_minor,
                currency=found.currency,
            ),
            changes={"reason": (found.reason, reason)},
        )


async def _locked(scope: Scope, payment_id: int) -> Online:
    await get_online(scope, payment_id)
    found = await row(Online, f"{ONLINE} WHERE payment.id = :id FOR UPDATE OF payment", id=payment_id)
    assert found is not None
    if found.state is not PaymentState.UNKNOWN and not found.is_for_a_person:
        raise Conflict(_("Only a payment of which nobody knows is settled by hand or given up."))
    return found
