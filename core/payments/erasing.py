"""Money of customers who are to be forgotten: none may be on its way or held; then what was written beside it goes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from core.activity.unit import unit_of_work
from core.database import execute, rows, value
from core.hooks import Effect, Erasure
from core.money import format_money
from core.texts import _, ngettext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope


class _Held(Struct, frozen=True):
    customer_id: int
    what: str
    currency: str
    minor: int


async def plan_erasure(scope: Scope, customer_ids: Sequence[int]) -> Erasure:
    """Amounts, days and methods stay in the books; references, notes and reasons go."""
    refused: dict[int, str] = {}
    for one in await rows(
        _Held,
        "SELECT customer_id, 'deposit' AS what, currency, CAST(sum(left_minor) AS bigint) AS minor FROM deposit"
        " WHERE left_minor > 0 AND customer_id IN :ids GROUP BY customer_id, currency"
        " UNION ALL SELECT payer_id, 'payment', '', count(*) FROM payment WHERE state IN ('pending', 'unknown')"
        " AND payer_id IN :ids GROUP BY payer_id"
        " UNION ALL SELECT customer_id, 'refund', '', count(*) FROM refund WHERE state IN ('pending', 'unknown')"
        " AND customer_id IN :ids GROUP BY customer_id ORDER BY 1, 2, 3",
        ids=customer_ids,
    ):
        if one.what == "deposit":
            amount = format_money(one.minor, one.currency, scope.locale)
            told = _("A deposit of %(amount)s is held for it. Apply it or pay it back first.", amount=amount)
        else:
            told = _("Money is on its way from or to it. Wait until that is settled.")
        refused.setdefault(one.customer_id, told)
    count = int(
        await value(
            "SELECT (SELECT count(*) FROM payment WHERE payer_id IN :ids)"
            " + (SELECT count(*) FROM deposit WHERE customer_id IN :ids)",
            ids=customer_ids,
        )
    )
    if not count:
        return Erasure(refused=refused)
    told = ngettext("Reference and note of %(num)s payment", "References and notes of %(num)s payments", count)
    return Erasure(refused=refused, effects=(Effect(kind="data", text=told, apply=partial(_erase, customer_ids)),))


async def _erase(customer_ids: Sequence[int], scope: Scope) -> None:
    async with unit_of_work(scope):
        await execute(
            "UPDATE payment SET reference = '', note = '' WHERE payer_id IN :ids AND (reference <> '' OR note <> '')",
            ids=customer_ids,
        )
        await execute("UPDATE refund SET reason = '', reference = '' WHERE customer_id IN :ids", ids=customer_ids)
        await execute("UPDATE deposit SET reason = '', reference = '' WHERE customer_id IN :ids", ids=customer_ids)
        await execute(
            "UPDATE deposit_use SET reason = '', reference = '' WHERE deposit_id IN ("
            "SELECT id FROM deposit WHERE customer_id IN :ids)",
            ids=customer_ids,
        )
