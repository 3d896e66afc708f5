"""Parked accounts once more: each is billed as its run would have billed it, or parked anew with its reason."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from core import hookspecs
from core.activity.unit import savepoint, unit_of_work
from core.billing.actions.prepaid import renew_of
from core.billing.actions.setup import default_seller
from core.billing.chunks import bill_payer
from core.billing.parking import park_failed
from core.billing.plan import Plan
from core.billing.queries import get_parked
from core.billing.rating import is_about_data
from core.billing.renewals import put_to_run
from core.billing.settings import BillingSettings
from core.billing.starting import check_reach
from core.billing.status import RunState
from core.billing.writing import Changed, Written
from core.database import execute, row, value
from core.errors import Conflict, TryAgain, Unavailable
from core.settings.queries import load_settings
from core.texts import _

if TYPE_CHECKING:
    from core.billing.schemas import ParkedRow
    from core.scope import Scope


class Retried(Struct, frozen=True):
    """What became of an account that was tried again. `after` is its row then: resolved, or parked with its reason,
    also where a part of it was billed."""

    written: Written
    renewed: int
    not_covered: int
    after: ParkedRow


class _Run(Struct, frozen=True):
    id: int
    as_of_on: date
    state: str
    totals: str


async def retry_parked(scope: Scope, parked_id: int) -> Retried:
    """Bill a parked account as the run that parked it would, today. Conflict where it is parked no more."""
    check_reach(scope)
    async with unit_of_work(scope):
        before = await get_parked(scope, parked_id)
        run = await row(
            _Run, "SELECT id, as_of_on, state, totals FROM billing_run WHERE id = :id FOR UPDATE", id=before.run_id
        )
        assert run is not None
        if run.state in (RunState.OPEN, RunState.WAITING):
            raise Conflict(_("The run that parked it is not over. Let it come to its end first."))
        if (await get_parked(scope, parked_id)).resolved_at is not None:
            raise Conflict(_("It is parked no more."))
        plan = Plan(
            scope,
            await default_seller(scope),
            await load_settings(BillingSettings),
            run.as_of_on,
            scope.today(),
            run_id=run.id,
        )
        renewals = await renew_of(scope, before.payer_id, min(run.as_of_on, scope.today()), in_run=True)
        await put_to_run(scope, run.id, before.payer_id)
        written, failed = await _bill(plan, before.payer_id)
        if failed or renewals.failed:
            await _stays_parked(before)
            await park_failed(plan, before.payer_id, failed or renewals.failed[0].detail)
        await _add_to_run(run, written)
        return Retried(written, renewals.renewed, renewals.not_covered, await _row_after(scope, before))


async def _stays_parked(before: ParkedRow) -> None:
    """Its invoices took it from the list; what else is against it keeps it there, since the same day."""
    await execute(
        "UPDATE billing_parked SET resolved_at = NULL WHERE id = :id AND NOT EXISTS (SELECT 1 FROM billing_parked other"
        " WHERE other.payer_id = :payer_id AND other.resolved_at IS NULL)",
        id=before.id,
        payer_id=before.payer_id,
    )


async def _row_after(scope: Scope, before: ParkedRow) -> ParkedRow:
    """The row that the account is parked under now, else its own, resolved."""
    parked = await value(
        "SELECT id FROM billing_parked WHERE payer_id = :payer_id AND resolved_at IS NULL", payer_id=before.payer_id
    )
    return await get_parked(scope, before.id if parked is None else int(parked))


async def _bill(plan: Plan, payer_id: int) -> tuple[Written, str]:
    """What was billed, or what a rule or the database has against it."""
    answers = plan.scope.hooks.collect(hookspecs.collect_charges, scope=plan.scope, as_of=plan.as_of_on)
    sources = [source for found in answers.values() for source in found]
    try:
        async with savepoint():
            return await bill_payer(plan, sources, payer_id), ""
    except (TryAgain, Unavailable):
        raise
    except Changed as error:
        raise TryAgain from error
    except Exception as error:
        if not is_about_data(error):
            raise
        return Written(), f"{type(error).__name__}: {error}"


async def _add_to_run(run: _Run, written: Written) -> None:
    """Its invoices are the run's."""
    if not written.charges:
        return
    totals = msgspec.json.decode(run.totals, type=dict[str, int])
    for currency, minor in written.totals.items():
        totals[currency] = totals.get(currency, 0) + minor
    await execute(
        "UPDATE billing_run SET invoices = invoices + :invoices, charges = charges + :charges, totals = :totals"
        " WHERE id = :id",
        id=run.id,
        invoices=written.invoices,
        charges=written.charges,
        totals=msgspec.json.encode(totals).decode(),
    )
