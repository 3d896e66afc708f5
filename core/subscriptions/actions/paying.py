"""Who is invoiced: what is not on an invoice yet goes with a customer's payer (domain.md, Payer)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from core.activity.unit import unit_of_work
from core.database import execute, row, rows, values
from core.subscriptions.queries import OF_CUSTOMER

if TYPE_CHECKING:
    from core.scope import Scope


class OpenCharges(Struct, frozen=True):
    """What waits for an invoice, in one currency, without tax."""

    currency: str
    charges: int
    amount_minor: int
    last_id: int


class Charged(Struct, frozen=True):
    """How many subscriptions are charged again and again."""

    count: int
    last_id: int


async def open_charges_of(customer_id: int) -> list[OpenCharges]:
    return await rows(
        OpenCharges,
        "SELECT currency, count(*) AS charges, CAST(sum(amount_minor) AS bigint) AS amount_minor, max(id) AS last_id"
        f" FROM charge WHERE state = 'open' AND id IN ({OF_CUSTOMER}) GROUP BY currency ORDER BY currency",
        customer_id=customer_id,
    )


async def charged_of(customer_id: int) -> Charged:
    found = await row(
        Charged,
        "SELECT count(*) AS count, coalesce(max(s.subscription_id), 0) AS last_id FROM subscription_schedule s"
        " JOIN subscription u ON u.id = s.subscription_id WHERE u.customer_id = :id",
        id=customer_id,
    )
    assert found is not None
    return found


async def move_to_payer(scope: Scope, *, customer_id: int, payer_id: int) -> None:
    """Open charges and the periods to come go to another payer; what is on an invoice or a draft stays where it is."""
    async with unit_of_work(scope):
        # Whoever activates or resumes one of them now has read the old payer: after them.
        await values("SELECT id FROM subscription WHERE customer_id = :id ORDER BY id FOR UPDATE", id=customer_id)
        await execute(
            "UPDATE subscription_schedule SET payer_id = :payer_id"
            " WHERE subscription_id IN (SELECT id FROM subscription WHERE customer_id = :id)",
            payer_id=payer_id,
            id=customer_id,
        )
        await execute(
            f"UPDATE charge SET payer_id = :payer_id WHERE state = 'open' AND id IN ({OF_CUSTOMER})",
            payer_id=payer_id,
            customer_id=customer_id,
        )
