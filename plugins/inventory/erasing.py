"""Hardware of customers who are to be forgotten: back first; then notes on what they bought go."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from core.activity.unit import unit_of_work
from core.database import execute, rows, value
from core.hooks import Effect, Erasure
from core.texts import ngettext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope


class _There(Struct, frozen=True):
    customer_id: int
    items: int


async def plan_erasure(customer_ids: Sequence[int]) -> Erasure:
    """What is lent or rented must come back; what was sold stays with its number alone."""
    there = await rows(
        _There,
        "SELECT customer_id, count(*) AS items FROM inventory_item WHERE status <> 'sold' AND customer_id IN :ids"
        " GROUP BY customer_id",
        ids=customer_ids,
    )
    refused = {
        one.customer_id: ngettext(
            "An item is still with this customer. Take it back or write it off first.",
            "%(num)s items are still with this customer. Take them back or write them off first.",
            one.items,
        )
        for one in there
    }
    sold = int(
        await value("SELECT count(*) FROM inventory_item WHERE note <> '' AND customer_id IN :ids", ids=customer_ids)
    )
    if not sold:
        return Erasure(refused=refused)
    told = ngettext("Note on %(num)s item that was sold", "Notes on %(num)s items that were sold", sold)
    return Erasure(refused=refused, effects=(Effect(kind="data", text=told, apply=partial(_erase, customer_ids)),))


async def _erase(customer_ids: Sequence[int], scope: Scope) -> None:
    async with unit_of_work(scope):
        await execute("UPDATE inventory_item SET note = '' WHERE note <> '' AND customer_id IN :ids", ids=customer_ids)
