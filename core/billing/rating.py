"""What plugins want charged becomes open charges."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.activity.unit import unit_of_work
from core.billing.due import currencies
from core.billing.plan import Plan, unit_e6
from core.database import BrokenReference, ConstraintFailed, dialect, execute, row, values
from core.errors import Conflict, DomainError
from core.texts import _

if TYPE_CHECKING:
    from datetime import date

    from core.hooks import ChargeSource


async def rate_plugins(plan: Plan, sources: Sequence[ChargeSource], payer_id: int | None = None) -> None:
    """What plugins want charged becomes open charges, once a key, in pieces of subscriptions; or those of a payer.
    Raises Conflict where a row of theirs is no charge."""
    try:
        await _rate(plan, sources, payer_id)
    except Exception as error:
        if not is_about_data(error) or (isinstance(error, DomainError) and not isinstance(error, BrokenReference)):
            raise
        if payer_id is None:
            await check_charges(sources, plan.as_of_on)
        raise _no_charge(_first_line(error)) from error


def is_about_data(error: Exception) -> bool:
    """What a row can cause: a rule of the domain or of the database, a number out of range.

    Else it is a fault of ours.
    """
    return (
        isinstance(error, DomainError | ConstraintFailed | ArithmeticError | sqlite3.Error)
        or getattr(error, "sqlstate", None) is not None
    )


async def check_charges(sources: Sequence[ChargeSource], as_of: date) -> None:
    """Raises Conflict that names the first row of a plugin which is no charge, and what of it is wrong."""
    for source in sources:
        try:
            found = await row(_Wrong, WRONG.format(select=source.select), **{**source.values, "as_of_on": as_of})
        except Exception as error:
            if not is_about_data(error) or isinstance(error, DomainError):
                raise
            raise _no_charge(_first_line(error)) from error
        if found is not None:
            raise _no_charge(f"{found.key}, {found.what}")


def _no_charge(said: str) -> Conflict:
    return Conflict(_("A plugin gives a charge that cannot be one: %(error)s.", error=said[:200].rstrip(".")))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


async def _rate(plan: Plan, sources: Sequence[ChargeSource], payer_id: int | None) -> None:
    for source in sources:
        given = {**source.values, "as_of_on": plan.as_of_on}
        if payer_id is not None:
            statement = RATE_PLUGIN.format(select=source.select, exponents=unit_e6(await currencies(), "t.currency"))
            async with unit_of_work(plan.scope):
                for subscription_id in await values(
                    "SELECT u.id FROM subscription u JOIN customer c ON c.id = u.customer_id"
                    " WHERE c.id = :payer_id OR c.payer_id = :payer_id ORDER BY u.id",
                    payer_id=payer_id,
                ):
                    await execute(statement, after=int(subscription_id) - 1, upto=int(subscription_id), **given)
            continue
        found = await row(
            _Span,
            "SELECT min(subscription_id) AS first, max(subscription_id) AS last, count(*) AS count"
            f" FROM ({source.select}) q",
            **given,
        )
        if found is None or not found.count or found.first is None or found.last is None:
            continue
        step = max(1, (found.last - found.first + 1) * 1000 // found.count)
        after = found.first - 1
        while after < found.last:
            async with unit_of_work(plan.scope):
                await execute(
                    RATE_PLUGIN.format(select=source.select, exponents=unit_e6(await currencies(), "t.currency")),
                    after=after,
                    upto=after + step,
                    **given,
                )
            after += step
            await asyncio.sleep(0.02 if dialect() == "sqlite" else 0)


class _Wrong(Struct, frozen=True):
    key: str
    what: str


WRONG: Final = """
SELECT w.source_key AS key, w.what FROM (
SELECT q.source_key,
       CASE WHEN q.kind IS NULL OR q.kind NOT IN ('setup', 'usage', 'one_off', 'fee', 'hold', 'termination')
                THEN 'kind'
            WHEN q.component IS NULL THEN 'component'
            WHEN q.description IS NULL THEN 'description'
            WHEN q.quantity_e6 IS NULL THEN 'quantity_e6'
            WHEN q.amount_minor IS NULL OR NOT q.amount_minor BETWEEN -1000000000000 AND 1000000000000
                THEN 'amount_minor'
            WHEN NOT EXISTS (SELECT 1 FROM tax_category c WHERE c.code = q.tax_category) THEN 'tax_category'
            WHEN (q.period_start IS NULL) <> (q.period_end IS NULL) OR q.period_end <= q.period_start
                THEN 'period_start, period_end'
       END AS what
FROM ({select}) q WHERE q.source_key IS NOT NULL AND q.kind <> 'recurring') w
WHERE w.what IS NOT NULL AND NOT EXISTS (SELECT 1 FROM charge k WHERE k.source_key = w.source_key) LIMIT 1
"""
"""The first row that is no charge; what was charged already is not looked at again."""


class _Span(Struct, frozen=True):
    first: int | None
    last: int | None
    count: int


RATE_PLUGIN: Final = """
INSERT INTO charge (subscription_id, customer_id, payer_id, product_id, kind, component, description, period_start,
    period_end, quantity_e6, unit_price_e6, amount_minor, currency, tax_category, tax_inclusive, state, source_key)
SELECT q.subscription_id, u.customer_id, coalesce(c.payer_id, c.id), u.product_id, q.kind, q.component, q.description,
       q.period_start, q.period_end, q.quantity_e6,
       CASE WHEN q.quantity_e6 > 0 AND abs(q.amount_minor) <= 900000000
            THEN q.amount_minor::bigint * {exponents} * 1000000 / q.quantity_e6 ELSE 0 END,
       q.amount_minor, t.currency, q.tax_category, FALSE, 'open', q.source_key
FROM ({select}) q
JOIN subscription u ON u.id = q.subscription_id
JOIN customer c ON c.id = u.customer_id
JOIN subscription_term t ON t.subscription_id = u.id AND t.in_force
    AND t.valid_from = (SELECT max(o.valid_from) FROM subscription_term o WHERE o.subscription_id = u.id AND o.in_force)
WHERE q.subscription_id > :after AND q.subscription_id <= :upto AND q.kind <> 'recurring' AND q.source_key IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM charge k WHERE k.source_key = q.source_key)
ON CONFLICT (source_key) WHERE source_key IS NOT NULL DO NOTHING
"""
