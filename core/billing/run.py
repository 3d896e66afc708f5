"""The billing run: what is due by a date becomes invoices, set-based, by chunks of payers (architecture.md §5).

A chunk is one unit of work: worked out in staging tables (`plan`), written (`writing`), the numbers last. The run's row
says up to which payer it has come, and is locked while a chunk is made: so any number of workers may run one date at
once, and whatever kills one, the database forgets the open chunk and the next worker does it. Repeating a run adds
nothing: a subscription is due until its schedule is stepped on, in the same commit as the invoice that it is for.
"""

from __future__ import annotations

import asyncio
from datetime import date
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec

from core import hookspecs
from core.billing.actions.prepaid import Renewals, renew_due, tell_coming
from core.billing.actions.setup import default_seller
from core.billing.chunks import next_chunk
from core.billing.due import Work, check_date, currencies, due_dates, pace
from core.billing.numbering import NoNumbers
from core.billing.parking import nothing_wrong
from core.billing.plan import Plan, unit_e6
from core.billing.previews import preview_run
from core.billing.rating import rate_plugins
from core.billing.renewals import put_to_run
from core.billing.run_reports import ParkedPayer, Progress, RunReport
from core.billing.runs import RUN, Run, give_to_job, open_run
from core.billing.settings import BillingSettings
from core.billing.status import RunState
from core.billing.turning import turn_day
from core.billing.writing import parked_reason
from core.database import current, row, rows, value, value_as
from core.settings.queries import load_settings
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope


async def run_billing(
    scope: Scope,
    as_of: date,
    *,
    preview: bool = False,
    confirmed: bool = False,
    chunk_size: int | None = None,
    pause: float | None = None,
    progress: Progress | None = None,
    job_id: int | None = None,
) -> RunReport:
    """Bill everything that is due by a date. Safe to repeat, to kill, and to run by many workers at once.

    A job that is repeated (`job_id`) goes on with the run that it was at, and is done where that one is over.

    Bounds (security.md 10): at most 36 months ahead, 15 charges a subscription; after a gap of more than 35 days, and
    for more than twice the run a month before, it asks first. A document's date is the tenant's day of issue, whatever
    the date, and whatever the day on which the run began.
    """
    started = perf_counter()
    today = scope.today()
    check_date(scope, as_of)
    seller = await default_seller(scope)
    await _refuse_time_going_back(seller.id, today)
    settings = await load_settings(BillingSettings)
    plan = Plan(scope, seller, settings, as_of, today, preview=preview)
    answers = scope.hooks.collect(hookspecs.collect_charges, scope=scope, as_of=as_of)
    sources = [source for found in answers.values() for source in found]
    if preview:
        report = await preview_run(plan, sources, pace(chunk_size, pause), progress)
        report.seconds = perf_counter() - started
        return report
    if job_id is not None and (over := await _over_for(job_id, plan)) is not None:
        return over
    await turn_day(scope, min(as_of, today))
    renewals = await renew_due(scope, min(as_of, today))
    await tell_coming(scope, min(as_of, today))
    await rate_plugins(plan, sources)
    run = await open_run(plan, confirmed=confirmed)
    if run is not None and job_id is not None:
        await give_to_job(scope, job_id, run.id)
    await put_to_run(scope, run.id if run is not None else None)
    if run is None:
        await nothing_wrong(scope, as_of)
        none = RunReport(run_id=None, as_of_on=as_of, issued_on=today, preview=False, state=RunState.DONE)
        return _with_renewals(none, renewals)
    if run.state == RunState.WAITING:
        asks = RunReport(
            run_id=run.id,
            as_of_on=as_of,
            issued_on=run.issued_on,
            preview=False,
            state=run.state,
            question=run.question,
        )
        return _with_renewals(asks, renewals)
    plan.run_id = run.id
    work = Work(
        plan,
        pace(chunk_size, pause),
        await due_dates(as_of),
        sources,
        unit_e6(await currencies(), "t.currency"),
        resolves=bool(await value("SELECT 1 FROM billing_parked WHERE resolved_at IS NULL LIMIT 1")),
        not_renewed=[ParkedPayer(each.payer_id, "failed", each.detail) for each in renewals.failed],
    )
    async with current().writing_much(seldom=True):
        while True:
            done = await next_chunk(work)
            if progress is not None:
                told = progress(
                    done.payers_done,
                    max(done.payers_total, done.payers_done),
                    _("%(count)s invoices", count=done.invoices),
                )
                if told is not None:
                    await told
            if done.state != RunState.OPEN:
                break
            await asyncio.sleep(work.pace.pause)
    return _with_renewals(await _report(work, done, perf_counter() - started), renewals)


def _with_renewals(report: RunReport, renewals: Renewals) -> RunReport:
    """What was renewed from balances, and what these did not cover: in units of work of their own."""
    report.renewed, report.not_covered = renewals.renewed, renewals.not_covered
    known = {each.payer_id for each in report.parked}
    report.parked += [
        ParkedPayer(each.payer_id, "failed", each.detail) for each in renewals.failed if each.payer_id not in known
    ]
    return report


async def _refuse_time_going_back(seller_id: int, today: date) -> None:
    last = await value_as(
        date, "SELECT max(last_issued_on) FROM number_series WHERE kind = 'invoice' AND seller_id = :id", id=seller_id
    )
    if last is not None and last > today:
        raise NoNumbers(
            _(
                "The last invoice is of %(last)s, but it is %(today)s: billing stops. Look at the "
                "clock of the machine.",
                last=last,
                today=today,
            )
        )


async def _over_for(job_id: int, plan: Plan) -> RunReport | None:
    """What the run of a job did, where it is over."""
    mine = "id = (SELECT run_id FROM billing_run_job WHERE job_id = :job_id) AND state NOT IN ('waiting', 'open')"
    run = await row(Run, f"{RUN} WHERE {mine}", job_id=job_id)
    renewals = await row(Renewals, f"SELECT renewed, not_covered FROM billing_run WHERE {mine}", job_id=job_id)
    if run is None or renewals is None:
        return None
    return _with_renewals(await _report(Work(plan, pace(), [], (), ""), run, 0.0), renewals)


async def _report(work: Work, run: Run, seconds: float) -> RunReport:
    parked = await rows(
        ParkedPayer,
        "SELECT payer_id, reason, detail, amount_minor, currency FROM billing_parked"
        " WHERE run_id = :id AND resolved_at IS NULL"
        " ORDER BY payer_id LIMIT 1000",
        id=run.id,
    )
    return RunReport(
        run_id=run.id,
        as_of_on=work.plan.as_of_on,
        issued_on=run.issued_on,
        preview=False,
        state=run.state,
        invoices=run.invoices,
        charges=run.charges,
        totals=msgspec.json.decode(run.totals, type=dict[str, int]),
        parked=[msgspec.structs.replace(each, detail=each.detail or parked_reason(each.reason)) for each in parked],
        chunks=work.chunks,
        seconds=seconds,
        longest_chunk=work.longest,
    )
