"""Payers that cannot be billed: noted with what was said of them, and no more once nothing is wrong."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from core.activity.unit import unit_of_work
from core.billing.due import LAST_ID, Work
from core.billing.plan import Plan
from core.billing.run_reports import ParkedPayer
from core.database import execute, rows, value

if TYPE_CHECKING:
    from core.scope import Scope


RESOLVE: Final = (
    "UPDATE billing_parked SET resolved_at = :now WHERE resolved_at IS NULL AND payer_id > :after AND payer_id <= :last"
    " AND run_id IN (SELECT id FROM billing_run WHERE as_of_on <= :as_of)"
)
"""Payers that a run of the same date or a later one looked at: whoever is not parked again has nothing wrong."""


async def nothing_wrong(scope: Scope, as_of: date) -> None:
    """Nothing is due for anybody: what parked payers by this date is gone."""
    if await value("SELECT 1 FROM billing_parked WHERE resolved_at IS NULL LIMIT 1"):
        async with unit_of_work(scope):
            await execute(RESOLVE, now=scope.now(), as_of=as_of, after=0, last=LAST_ID)


async def park(work: Work, after: int, last: int) -> int:
    """Note the payers that cannot be billed, and of which nothing is to be said any more."""
    if work.resolves:
        await execute(
            "UPDATE billing_parked SET resolved_at = :now WHERE resolved_at IS NULL"
            " AND payer_id IN (SELECT payer_id FROM stage_document)",
            now=work.scope.now(),
        )
        await execute(
            f"{RESOLVE} AND payer_id NOT IN (SELECT payer_id FROM stage_parked)",
            now=work.scope.now(),
            as_of=work.plan.as_of_on,
            after=after,
            last=last,
        )
    found = await rows(
        ParkedPayer,
        "SELECT payer_id, reason, '' AS detail, amount_minor, currency FROM stage_parked ORDER BY payer_id",
    )
    for each in found:
        await write_parked(work.plan, each)
    return len(found)


async def write_parked(plan: Plan, parked: ParkedPayer) -> None:
    await execute(
        "INSERT INTO billing_parked (payer_id, run_id, reason, detail, amount_minor, currency, parked_at)"
        " VALUES (:payer_id, :run_id, :reason, :detail, :amount, :currency, :now)"
        " ON CONFLICT (payer_id) WHERE resolved_at IS NULL DO UPDATE SET run_id = excluded.run_id,"
        " reason = excluded.reason, detail = excluded.detail, amount_minor = excluded.amount_minor,"
        " currency = excluded.currency, tried_at = excluded.parked_at",
        payer_id=parked.payer_id,
        run_id=plan.run_id,
        reason=parked.reason,
        detail=parked.detail,
        amount=parked.amount_minor,
        currency=parked.currency,
        now=plan.scope.now(),
    )


async def park_failed(plan: Plan, payer_id: int, detail: str) -> None:
    """Set aside a payer with what the database, or a rule, said of it."""
    await write_parked(plan, ParkedPayer(payer_id, "failed", detail[:500]))


async def park_not_renewed(work: Work) -> None:
    for each in work.not_renewed:
        await write_parked(work.plan, each)
