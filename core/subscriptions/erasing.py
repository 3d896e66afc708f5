"""What subscriptions hold of customers who are to be forgotten, and the charges that must be invoiced before."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.activity.unit import unit_of_work
from core.database import execute, row, rows
from core.hooks import Effect, Erasure
from core.texts import _, ngettext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope


OF_THEM: Final = (
    "(subscription_id IN (SELECT id FROM subscription WHERE customer_id IN :ids)"
    " OR (subscription_id IS NULL AND customer_id IN :ids))"
)


class _Open(Struct, frozen=True):
    customer_id: int
    charges: int


class _Held(Struct, frozen=True):
    subscriptions: int
    charges: int


async def plan_erasure(customer_ids: Sequence[int]) -> Erasure:
    """Live subscriptions are counted with the customer; here it is what has not been invoiced."""
    waiting = await rows(
        _Open,
        "SELECT customer_id, CAST(sum(n) AS bigint) AS charges FROM ("
        f"SELECT customer_id, count(*) AS n FROM charge WHERE state = 'open' AND {OF_THEM} GROUP BY customer_id"
        " UNION ALL SELECT payer_id, count(*) FROM charge WHERE state = 'open' AND payer_id IN :ids"
        " AND payer_id <> customer_id GROUP BY payer_id) AS waiting GROUP BY customer_id",
        ids=customer_ids,
    )
    refused = {
        one.customer_id: ngettext(
            "A charge waits for its invoice. Invoice or waive it first.",
            "%(num)s charges wait for their invoice. Invoice or waive them first.",
            one.charges,
        )
        for one in waiting
    }
    held = await row(
        _Held,
        "SELECT (SELECT count(*) FROM subscription WHERE customer_id IN :ids) AS subscriptions,"
        f" (SELECT count(*) FROM charge WHERE {OF_THEM}) AS charges",
        ids=customer_ids,
    )
    if held is None or not (held.subscriptions or held.charges):
        return Erasure(refused=refused)
    told = _("Labels of subscriptions and the words of charges")
    return Erasure(refused=refused, effects=(Effect(kind="data", text=told, apply=partial(_erase, customer_ids)),))


async def _erase(customer_ids: Sequence[int], scope: Scope) -> None:
    """A charge is called as its product is, or nothing: what was typed for it may name anybody."""
    async with unit_of_work(scope):
        await execute(
            "UPDATE subscription SET label = '', external_ref = '' WHERE customer_id IN :ids"
            " AND (label <> '' OR external_ref <> '')",
            ids=customer_ids,
        )
        await execute(
            "UPDATE customer_bundle SET label = '' WHERE customer_id IN :ids AND label <> ''", ids=customer_ids
        )
        await execute(
            "UPDATE subscription_discount SET label = '' WHERE label <> ''"
            " AND subscription_id IN (SELECT id FROM subscription WHERE customer_id IN :ids)",
            ids=customer_ids,
        )
        await execute(
            "UPDATE subscription_change SET plan = '{}' WHERE plan <> '{}'"
            " AND subscription_id IN (SELECT id FROM subscription WHERE customer_id IN :ids)",
            ids=customer_ids,
        )
        await execute(
            "UPDATE charge SET description = coalesce("
            "(SELECT name FROM product WHERE product.id = charge.product_id), '')"
            f" WHERE {OF_THEM}",
            ids=customer_ids,
        )
