"""Online payments of which nobody knows whether they came: listed for a person, who settles them or gives them up.

Both end what is asked and charged for them. What the gateway says afterwards still counts, and once: money that it
tells of for one that was given up is booked then, and one that was settled by hand is not booked again.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta, Struct

from core.activity.unit import unit_of_work
from core.database import execute, row, rows, within
from core.errors import Conflict, Invalid
from core.hooks import GatewayNews
from core.payments.online import BY_HAND, ONLINE, Online, fail, get_online, settle
from core.payments.schemas import AmountMinor
from core.payments.status import PaymentState
from core.payments.tables import Payment
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope

LONG: Final = timedelta(days=1)
"""By then a gateway that works has answered."""
MOST: Final = 200


class SettlingByHand(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What came in truth, all that was ordered by default, and what the gateway kept of it; how a person knows."""

    amount_minor: AmountMinor | None = None
    fee_minor: Annotated[int, Meta(ge=0, le=10**12)] = 0
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class GivingUp(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Why no money is waited for any more."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class Unclear(Struct, frozen=True, kw_only=True):
    """A payment of which nobody knows. `for_long`: its gateway should have answered by now."""

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
    for_long: bool = False


async def list_unclear(scope: Scope) -> list[Unclear]:
    """All that are unknown, the oldest first."""
    found = await rows(
        Unclear,
        "SELECT payment.id AS payment_id, payment.payer_id, c.full_name AS payer, payment.currency,"
        " payment.amount_minor, o.gateway, payment.reference, o.reason, o.asked, payment.created_at FROM payment"
        " JOIN online_payment o ON o.payment_id = payment.id JOIN customer c ON c.id = payment.payer_id"
        " WHERE payment.state = 'unknown' AND :within ORDER BY payment.created_at, payment.id LIMIT :most",
        most=MOST,
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
    """No money is waited for any more: its invoices can be paid again. If it comes all the same, it counts."""
    async with unit_of_work(scope):
        await fail(scope, await _locked(scope, payment_id), data.reason.strip())


async def _locked(scope: Scope, payment_id: int) -> Online:
    await get_online(scope, payment_id)
    found = await row(Online, f"{ONLINE} WHERE payment.id = :id FOR UPDATE OF payment", id=payment_id)
    assert found is not None
    if found.state is not PaymentState.UNKNOWN:
        raise Conflict(_("Only a payment of which nobody knows is settled by hand or given up."))
    return found
