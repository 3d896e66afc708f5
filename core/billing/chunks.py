"""The chunks of a run: each one unit of work, made again, made smaller, or its payer set aside."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec

from core.activity.unit import record, unit_of_work
from core.billing.due import LAST_ID, Work, currencies, due_dates, next_payers, pace, stage
from core.billing.events import BillingRunFinished
from core.billing.numbering import NoNumbers
from core.billing.parking import RESOLVE, park, park_not_renewed, write_parked
from core.billing.plan import Plan, unit_e6, work_out
from core.billing.rating import is_about_data, rate_plugins
from core.billing.run_reports import ParkedPayer
from core.billing.runs import RUN, Run
from core.billing.staging import prepare
from core.billing.status import RunState
from core.billing.writing import Changed, Written, write
from core.database import execute, row, value
from core.errors import TryAgain, Unavailable
from core.texts import _

if TYPE_CHECKING:
    from core.hooks import ChargeSource


async def next_chunk(work: Work) -> Run:
    """One chunk, again if somebody was in between; smaller, if it fails, until the payer that it is about is parked."""
    for __ in range(4):
        began = perf_counter()
        snapshot_id = work.plan.snapshot_id
        try:
            done, payers = await _bill_chunk(work)
        except (TryAgain, Changed):
            work.plan.snapshot_id = snapshot_id  # one that was made for this chunk is gone with it
            work.failures += 1
            await asyncio.sleep(0.01 * work.failures)
            continue
        except (Unavailable, NoNumbers):
            raise
        except Exception as error:
            if not is_about_data(error):
                raise
            work.plan.snapshot_id = snapshot_id
            if work.scope.today() != work.plan.issued_on:
                continue  # midnight came between, and with it perhaps closed books: that is not about a payer
            work.last_error = f"{type(error).__name__}: {error}"[:500]
            if work.pace.size == 1:
                return await _park_next(work)
            work.pace.careful()
            continue
        seconds = perf_counter() - began
        work.failures = 0
        work.chunks += 1
        work.longest = max(work.longest, seconds)
        work.pace.took(seconds, payers)
        return done
    raise Unavailable(
        _("Others are changing the same subscriptions now. The run goes on where it is when it is started again.")
    )


async def _bill_chunk(work: Work) -> tuple[Run, int]:
    """The next payers, in one unit of work. Gives the run's row as it is then, and how many payers there were."""
    scope, plan = work.scope, work.plan
    async with unit_of_work(scope):
        run = await row(Run, f"{RUN} WHERE id = :id FOR UPDATE", id=plan.run_id)
        assert run is not None
        if run.state != RunState.OPEN:
            await park_not_renewed(work)
            return run, 0
        if (today := scope.today()) != plan.issued_on:
            # Past midnight: the month before may be recognised already.
            plan.issued_on = today
            plan.rates.clear()
        payers = await next_payers(work, run.after_payer_id)
        if not payers:
            return await _close(work, run), 0
        last = payers[-1]
        await prepare()
        await stage(work, run.after_payer_id, last)
        counts = await work_out(plan)
        parked = await park(work, run.after_payer_id, last)
        written = await write(plan, counts)
        totals = msgspec.json.decode(run.totals, type=dict[str, int])
        for currency, minor in written.totals.items():
            totals[currency] = totals.get(currency, 0) + minor
        changed = await row(
            Run,
            "UPDATE billing_run SET after_payer_id = :last, payers_done = payers_done + :payers,"
            " invoices = invoices + :invoices, charges = charges + :charges, parked = parked + :parked,"
            " totals = :totals"
            " WHERE id = :id RETURNING id, state, question, issued_on, after_payer_id, payers_done, payers_total,"
            " invoices, charges, totals",
            id=run.id,
            last=last,
            payers=len(payers),
            invoices=written.invoices,
            charges=written.charges,
            parked=parked,
            totals=msgspec.json.encode(totals).decode(),
        )
        assert changed is not None
        if scope.today() != plan.issued_on:
            raise TryAgain  # it would be booked on the day before, which may be closed by now
        return changed, len(payers)


async def _park_next(work: Work) -> Run:
    """The one payer that the database refuses: set aside with what it said, and the run goes on behind it."""
    async with unit_of_work(work.scope):
        run = await row(Run, f"{RUN} WHERE id = :id FOR UPDATE", id=work.plan.run_id)
        assert run is not None
        if run.state != RunState.OPEN:
            await park_not_renewed(work)
            return run
        payers = await next_payers(work, run.after_payer_id)
        if not payers:
            return run
        await write_parked(work.plan, ParkedPayer(payers[0], "failed", work.last_error))
        changed = await row(
            Run,
            "UPDATE billing_run SET after_payer_id = :payer, payers_done = payers_done + 1, parked = parked + 1"
            " WHERE id = :id RETURNING id, state, question, issued_on, after_payer_id, payers_done, payers_total,"
            " invoices, charges, totals",
            id=run.id,
            payer=payers[0],
        )
    assert changed is not None
    return changed


async def _close(work: Work, run: Run) -> Run:
    """Every payer was looked at; behind the last one nobody has anything due."""
    if work.resolves:
        await execute(RESOLVE, now=work.scope.now(), as_of=work.plan.as_of_on, after=run.after_payer_id, last=LAST_ID)
    await park_not_renewed(work)
    closed = await row(
        Run,
        "UPDATE billing_run SET state = 'done', finished_at = :now, payers_total = payers_done WHERE id = :id"
        " RETURNING id, state, question, issued_on, after_payer_id, payers_done, payers_total, invoices, charges,"
        " totals",
        id=run.id,
        now=work.scope.now(),
    )
    assert closed is not None
    parked = int(await value("SELECT parked FROM billing_run WHERE id = :id", id=run.id))
    record(
        work.scope,
        BillingRunFinished(
            billing_run_id=run.id,
            as_of_on=work.plan.as_of_on.isoformat(),
            invoices=closed.invoices,
            parked=parked,
        ),
    )
    return closed


async def bill_payer(plan: Plan, sources: Sequence[ChargeSource], payer_id: int) -> Written:
    """What a run would bill this one payer, in the unit of work that is open. If it cannot be billed it is parked."""
    await rate_plugins(plan, sources, payer_id)
    work = Work(
        plan,
        pace(),
        await due_dates(plan.as_of_on),
        sources,
        unit_e6(await currencies(), "t.currency"),
        resolves=plan.run_id is not None,
    )
    await prepare()
    await stage(work, payer_id - 1, payer_id)
    counts = await work_out(plan)
    if plan.run_id is not None:
        await park(work, payer_id - 1, payer_id)
    return await write(plan, counts, singly=True)
