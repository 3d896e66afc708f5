"""What a gateway pays out to the operator's bank."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.activity.unit import record
from core.billing.actions.allocation import in_base
from core.database import value
from core.hooks import GatewayNews
from core.ledger.accounts import Code
from core.ledger.posting import credit, debit, post
from core.payments.events import GatewayPaidOut

if TYPE_CHECKING:
    from core.scope import Scope


async def book_payout(scope: Scope, gateway: str, news: GatewayNews) -> None:
    """The second half of row 8: what was in transit is at the bank."""
    paid_on = news.on or scope.today()
    payout_id = int(
        await value(
            "INSERT INTO gateway_payout (gateway, event_id, currency, amount_minor, paid_on)"
            " VALUES (:gateway, :event_id, :currency, :amount, :on) RETURNING id",
            gateway=gateway,
            event_id=news.event_id,
            currency=news.currency,
            amount=news.amount_minor,
            on=paid_on,
        )
    )
    base = await in_base(scope, news.amount_minor, news.currency, scope.today())
    await post(
        [
            debit(Code.BANK, news.amount_minor, news.currency, base),
            credit(Code.IN_TRANSIT, news.amount_minor, news.currency, base),
        ],
        kind="payout",
        source_kind="gateway_payout",
        source_id=payout_id,
        booked_on=scope.today(),
    )
    record(
        scope,
        GatewayPaidOut(gateway_payout_id=payout_id, amount_minor=news.amount_minor, currency=news.currency),
    )
