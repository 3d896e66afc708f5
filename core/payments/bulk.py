"""What can be done to many payments at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from core.billing.actions.allocation import allocate_credit
from core.database import values
from core.errors import Conflict
from core.hooks import BulkAction, Effect, NothingToAsk
from core.lists.taking import taking
from core.payments import queries
from core.payments.listing import PAYMENTS
from core.texts import N_, _

if TYPE_CHECKING:
    from core.scope import Scope


async def _allocate(scope: Scope, form: NothingToAsk, payment_id: int) -> Sequence[Effect]:
    """What is free of it settles what its payer owes, the longest due first."""
    payment = await queries.get_payment(scope, payment_id)
    if payment.payer_id is None:
        raise Conflict(_("Nobody is found that it is of. Assign it first."))
    if not payment.free_minor:
        return ()
    entries = [
        int(one)
        for one in await values(
            "SELECT id FROM credit_entry WHERE source_kind = 'payment' AND source_id = :id", id=payment_id
        )
    ]
    settled = await allocate_credit(scope, payment.payer_id, payment.currency, entries=entries)
    after = await queries.get_payment(scope, payment_id)
    if not (used := payment.free_minor - after.free_minor):
        return ()
    effects = [
        Effect(
            kind="money",
            text=_("Free credit pays open invoices"),
            amount_minor=used,
            currency=payment.currency,
            inputs=",".join(str(one) for one in settled),
        )
    ]
    if settled:
        effects.append(Effect(kind="document", text=_("Invoices are settled"), inputs=str(len(settled))))
    return effects


ACTIONS: Final[tuple[BulkAction[Any], ...]] = (
    BulkAction(
        key="payments.allocate",
        label=N_("Allocate free credit"),
        verb=N_("Allocate"),
        title=N_("Allocate free credit"),
        icon="coins",
        permission="payments.register",
        form=NothingToAsk,
        do=_allocate,
        place=10,
    ),
    taking(PAYMENTS),
)
