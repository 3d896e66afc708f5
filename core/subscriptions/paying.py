"""What a change of payer does to what is not on an invoice yet (domain.md, Payer)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from core.hooks import Effect
from core.subscriptions.actions.paying import charged_of, move_to_payer, open_charges_of
from core.texts import _, ngettext

if TYPE_CHECKING:
    from collections.abc import Sequence


async def plan_payer_change(customer_id: int, payer_id: int) -> Sequence[Effect]:
    """Open charges and the periods to come go with the payer; what is invoiced stays where it is."""
    effects = [
        Effect(
            text=ngettext(
                "%(num)s open charge goes on the new payer's invoice",
                "%(num)s open charges go on the new payer's invoice",
                each.charges,
            ),
            kind="money",
            amount_minor=each.amount_minor,
            currency=each.currency,
            inputs=str(each.last_id),
        )
        for each in await open_charges_of(customer_id)
    ]
    charged = await charged_of(customer_id)
    if charged.count:
        effects.append(
            Effect(
                text=ngettext(
                    "%(num)s subscription is on the new payer's invoices from the next one on",
                    "%(num)s subscriptions are on the new payer's invoices from the next one on",
                    charged.count,
                ),
                kind="service",
                inputs=str(charged.last_id),
            )
        )
    move = partial(move_to_payer, customer_id=customer_id, payer_id=payer_id)
    return [
        *effects,
        Effect(text=_("What is invoiced already stays with who it was made out to"), kind="document", apply=move),
    ]
