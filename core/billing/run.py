"""The billing run: what is due by a date becomes invoices, set-based, by chunks of payers (architecture.md §5).

A chunk is one unit of work: worked out in staging tables (`plan`), written (`writing`), the numbers last. The run's row
says up to which payer it has come, and is locked while a chunk is made: so any number of workers may run one date at
once, and whatever kills one, the database forgets the open chunk and the next worker does it. Repeating a run adds
nothing: a subscription is due until its schedule is stepped on, in the same commit as the invoice that it is for.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from core import hookspecs
from core.activity.unit import again, record, unit_of_work
from core.billing.actions.changing import changes_due
from core.billing.actions.credit_notes import void
from core.billing.actions.pausing import pauses_due
from core.billing.actions.prepaid import Renewals, renew_due, tell_coming
from core.billing.actions.setup import default_seller
from core.billing.events import BillingRunFinished, BillingRunStarted
from core.billing.numbering import NoNumbers
from core.billing.plan import (
    Plan,
    from_plugin,
    open_charges,
    recurring,
    split_of,
    stage_due,
    stage_sources,
    trials_over,
    unit_e6,
    work_out,
)
from core.billing.renewals import anything_new, put_to_run
from core.billing.settings import BillingSettings
from core.billing.staging import prepare, tables
from core.billing.status import RunState
from core.billing.writing import Changed, Written, parked_reason, write
from core.database import ConstraintFailed, dialect, execute, reading, row, rows, value, value_as, values
from core.errors import Conflict, DomainError, Invalid, TryAgain, Unavailable
from core.money import MOST_MINOR, format_amount
from core.periods import Cycle, nth
from core.settings.queries import load_settings
from core.subscriptions.actions import convert_due, end_due, lapse, wake
from core.texts import _

if TYPE_CHECKING:
    from core.hooks import ChargeSource
    from core.scope import Scope

Progress = Callable[[int, int, str], Any]

FURTHEST_AHEAD: Final = Cycle("month", 36)
EARLIEST: Final = date(2000, 1, 1)
LONGEST_GAP: Final = timedelta(days=35)
"""Days since the last run that are made up for without asking."""
LAST_ID: Final = 2**63 - 1
PREVIEWED: Final = 1000
"""Payers of a chunk of a preview: it keeps nobody from writing."""
MOST_DATES: Final = 60
"""Due dates that are looked up one by one; after a longer gap all payers are ordered at once."""


@dataclass(slots=True)
class Pace:
    """How many payers a chunk takes: grows and shrinks with how long chunks take.

    On SQLite a chunk keeps all other writers out, so it lasts 40 ms and 20 ms follow for them. On PostgreSQL only the
    series and the log are locked, at its end.
    """

    size: int
    target: float
    pause: float
    least: int = 20
    most: int = 4000
    fixed: int | None = None
    """The size that was asked for: smaller only while a payer that cannot be billed is looked for."""

    def took(self, seconds: float, payers: int) -> None:
        if self.fixed is not None:
            self.size = min(self.fixed, self.size * 2)
            return
        if payers < self.size // 2 or seconds <= 0:
            return
        wanted = self.size * self.target / seconds
        self.size = int(max(self.least, min(self.most, self.size * 1.5, max(self.size * 0.5, wanted))))

    def careful(self) -> None:
        """A chunk failed: smaller ones find the payer that it is about."""
        self.size = max(1, min(self.size, self.most) // 8)


def pace(chunk_size: int | None = None, pause: float | None = None) -> Pace:
    if dialect() == "sqlite":
        found = Pace(size=100, target=0.035, pause=0.02)
    else:
        found = Pace(size=300, target=0.2, pause=0.0, least=150)
    if chunk_size is not None:
        found.size = found.fixed = chunk_size
    if pause is not None:
        found.pause = pause
    return found


class ParkedPayer(Struct, frozen=True):
    """`amount_minor`: what is not billed, before tax, where that is known."""

    payer_id: int
    reason: str
    detail: str
    amount_minor: int | None = None
    currency: str | None = None


class PayerDifference(Struct, frozen=True):
    """What a payer would be billed and what the run before billed, where it is more than 30 % off."""

    payer_id: int
    payer: str
    currency: str
    before_minor: int
    minor: int


class ProductTotal(Struct, frozen=True):
    """What a preview bills of a product; no product is what was charged by hand."""

    product: str
    currency: str
    lines: int
    net_minor: int


class RunReport(Struct, kw_only=True):
    """What a run did, or what a preview says it would do. Totals are minor units by currency.

    `question`: it waits for a person who says yes (`confirmed`). `renewed`, `not_covered`: prepaid subscriptions that
    balances paid for, or did not. Of a preview alone: `payers`, `net`, `tax`,
    `products`, and how many payers are more than 30 % off the run `compared_with`, with the largest `differences`.
    """

    run_id: int | None
    as_of_on: date
    issued_on: date
    preview: bool
    state: str
    question: str = ""
    invoices: int = 0
    charges: int = 0
    totals: dict[str, int] = {}
    parked: list[ParkedPayer] = []
    renewed: int = 0
    not_covered: int = 0
    payers: int = 0
    net: dict[str, int] = {}
    tax: dict[str, int] = {}
    products: list[ProductTotal] = []
    compared_with: int | None = None
    differing: int = 0
    differences: list[PayerDifference] = []
    chunks: int = 0
    seconds: float = 0.0
    longest_chunk: float = 0.0


class _Run(Struct, frozen=True):
    id: int
    state: str
    question: str
    issued_on: date
    after_payer_id: int
    payers_done: int
    payers_total: int
    invoices: int
    charges: int
    totals: str


_RUN: Final = (
    "SELECT id, state, question, issued_on, after_payer_id, payers_done, payers_total, invoices, charges, totals"
    " FROM billing_run"
)


@dataclass(slots=True)
class _Work:
    """What one worker keeps in mind over the chunks of a run."""

    plan: Plan
    pace: Pace
    due_dates: list[date]
    sources: Sequence[ChargeSource]
    unit_e6: str
    resolves: bool = False
    failures: int = 0
    chunks: int = 0
    longest: float = 0.0
    last_error: str = ""
    parked: list[ParkedPayer] = field(default_factory=list)
    not_renewed: list[ParkedPayer] = field(default_factory=list)
    """Payers whose prepaid subscriptions could not be renewed: noted when the run is over."""

    @property
    def scope(self) -> Scope:
        return self.plan.scope


def check_date(scope: Scope, as_of: date) -> None:
    """Raises Invalid for a date that is mistyped rather than meant."""
    if as_of > nth(scope.today(), FURTHEST_AHEAD, 1):
        raise Invalid(_("Billing goes at most 36 months ahead."), field="date")
    if as_of < EARLIEST:
        raise Invalid(_("Billing goes back to the year 2000."), field="date")


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
        report = await _preview(plan, sources, pace(chunk_size, pause), progress)
        report.seconds = perf_counter() - started
        return report
    if job_id is not None and (over := await _over_for(job_id, plan)) is not None:
        return over
    await turn_day(scope, min(as_of, today))
    renewals = await renew_due(scope, min(as_of, today))
    await tell_coming(scope, min(as_of, today))
    await _rate_plugins(plan, sources)
    run = await _open_run(plan, confirmed=confirmed)
    if run is not None and job_id is not None:
        await _give_to_job(scope, job_id, run.id)
    await put_to_run(scope, run.id if run is not None else None)
    if run is None:
        await _nothing_wrong(scope, as_of)
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
    work = _Work(
        plan,
        pace(chunk_size, pause),
        await _due_dates(as_of),
        sources,
        unit_e6(await _currencies(), "t.currency"),
        resolves=bool(await value("SELECT 1 FROM billing_parked WHERE resolved_at IS NULL LIMIT 1")),
        not_renewed=[ParkedPayer(each.payer_id, "failed", each.detail) for each in renewals.failed],
    )
    while True:
        done = await _next_chunk(work)
        if progress is not None:
            told = progress(
                done.payers_done, max(done.payers_total, done.payers_done), _("%(count)s invoices", count=done.invoices)
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


async def turn_day(scope: Scope, day: date, most: int = 500) -> None:
    """What a day brings before it is billed: ends, changes, trials that convert, what was not paid or is billed again.

    Each step by itself and once a date: repeating it finds nothing (architecture.md §5, order of a tenant's day).
    """
    while await again(partial(end_due, scope, day, most)):  # noqa: ASYNC110 - others get their turn between two
        await asyncio.sleep(0)
    await pauses_due(scope, day)
    await changes_due(scope, day)
    while await again(partial(convert_due, scope, day, most)):  # noqa: ASYNC110 - others get their turn between two
        await asyncio.sleep(0)
    for subscription_id in await values(
        "SELECT id FROM subscription WHERE state = 'pending' AND pending_until < :day ORDER BY pending_until, id",
        day=day,
    ):
        try:
            await again(partial(_lapse, scope, int(subscription_id)))
        except DomainError:
            continue  # its invoice cannot be voided now: it stays as it is, and is tried again with the next run
    for subscription_id in await values(
        "SELECT s.subscription_id FROM subscription_schedule s JOIN subscription u ON u.id = s.subscription_id"
        " JOIN customer c ON c.id = u.customer_id JOIN status ON status.id = c.status_id"
        " WHERE s.due_on IS NULL AND (u.state = 'active' OR u.state = 'suspended' AND u.state_reason = 'hand')"
        " AND u.timing <> 'prepaid' AND status.bill"
    ):
        await again(partial(wake, scope, int(subscription_id)))


async def _lapse(scope: Scope, subscription_id: int) -> None:
    """Not settled in time: its invoice is voided, part payments become credit, and it is over.

    Unless it was settled, or another worker did this, since it was looked up.
    """
    async with unit_of_work(scope):
        if await value("SELECT state FROM subscription WHERE id = :id FOR UPDATE", id=subscription_id) != "pending":
            return
        document_id = await value(
            "SELECT d.id FROM charge k JOIN document_line l ON l.charge_id = k.id"
            " JOIN document d ON d.id = l.document_id AND d.state = 'issued'"
            " WHERE k.subscription_id = :id AND k.kind = 'recurring' AND k.period_start IS NULL"
            " AND k.state = 'invoiced'"
            " ORDER BY d.id LIMIT 1",
            id=subscription_id,
        )
        if document_id is not None:
            await void(scope, int(document_id), "Not settled in time")
        if await value("SELECT state FROM subscription WHERE id = :id", id=subscription_id) == "pending":
            await lapse(scope, subscription_id)


async def bill_payer(plan: Plan, sources: Sequence[ChargeSource], payer_id: int) -> Written:
    """What a run would bill this one payer, in the unit of work that is open. If it cannot be billed it is parked."""
    await _rate_plugins(plan, sources, payer_id)
    work = _Work(
        plan,
        pace(),
        await _due_dates(plan.as_of_on),
        sources,
        unit_e6(await _currencies(), "t.currency"),
        resolves=plan.run_id is not None,
    )
    await prepare()
    await _stage(work, payer_id - 1, payer_id)
    counts = await work_out(plan)
    if plan.run_id is not None:
        await _park(work, payer_id - 1, payer_id)
    return await write(plan, counts, singly=True)


async def park_failed(plan: Plan, payer_id: int, detail: str) -> None:
    """Set aside a payer with what the database, or a rule, said of it."""
    await _write_parked(plan, ParkedPayer(payer_id, "failed", detail[:500]))


async def _rate_plugins(plan: Plan, sources: Sequence[ChargeSource], payer_id: int | None = None) -> None:
    """What plugins want charged becomes open charges, once a key, in pieces of subscriptions; or those of a payer."""
    for source in sources:
        given = {**source.values, "as_of_on": plan.as_of_on}
        if payer_id is not None:
            statement = RATE_PLUGIN.format(select=source.select, exponents=unit_e6(await _currencies(), "t.currency"))
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
                    RATE_PLUGIN.format(select=source.select, exponents=unit_e6(await _currencies(), "t.currency")),
                    after=after,
                    upto=after + step,
                    **given,
                )
            after += step
            await asyncio.sleep(0.02 if dialect() == "sqlite" else 0)


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
            THEN q.amount_minor * {exponents} * 1000000 / q.quantity_e6 ELSE 0 END,
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


async def _open_run(plan: Plan, *, confirmed: bool) -> _Run | None:
    """The open run of this date, or a new one; None where nothing is due. An older open one is taken over by this."""
    scope, as_of = plan.scope, plan.as_of_on
    found = await row(_Run, f"{_RUN} WHERE as_of_on = :day AND state IN ('waiting', 'open')", day=as_of)
    if found is None:
        payers = await count_payers(plan.as_of_on, plan.issued_on)
        if not payers and not await anything_new():
            return None
        question = "" if confirmed else await _question(plan)
        async with unit_of_work(scope):
            run_id = await value(
                "INSERT INTO billing_run (as_of_on, issued_on, state, question, payers_total, expected, actor,"
                " started_at) VALUES (:as_of, :issued_on, :state, :question, :payers, '{}', :actor, :now)"
                " ON CONFLICT (as_of_on) WHERE state IN ('waiting', 'open') DO NOTHING RETURNING id",
                as_of=as_of,
                issued_on=plan.issued_on,
                state=RunState.WAITING if question else RunState.OPEN,
                question=question,
                payers=payers,
                actor=scope.actor.key,
                now=scope.now(),
            )
            if run_id is not None:
                await execute(
                    "UPDATE billing_run SET state = 'superseded', finished_at = :now"
                    " WHERE state IN ('waiting', 'open') AND as_of_on < :as_of",
                    now=scope.now(),
                    as_of=as_of,
                )
                record(scope, BillingRunStarted(billing_run_id=int(run_id), as_of_on=as_of.isoformat()))
        found = await row(_Run, f"{_RUN} WHERE as_of_on = :day AND state IN ('waiting', 'open')", day=as_of)
    if found is not None and found.state == RunState.WAITING and confirmed:
        async with unit_of_work(scope):
            await execute(
                "UPDATE billing_run SET state = 'open', question = '' WHERE id = :id AND state = 'waiting'", id=found.id
            )
        found = await row(_Run, f"{_RUN} WHERE id = :id", id=found.id)
    return found


async def _give_to_job(scope: Scope, job_id: int, run_id: int) -> None:
    """So a job that is repeated once its run is over finds it, and opens no other for who is parked.

    One that is killed before this finds the run that it opened by its date.
    """
    async with unit_of_work(scope):
        await execute(
            "INSERT INTO billing_run_job (job_id, run_id) VALUES (:job_id, :run_id) ON CONFLICT (job_id) DO NOTHING",
            job_id=job_id,
            run_id=run_id,
        )


async def _over_for(job_id: int, plan: Plan) -> RunReport | None:
    """What the run of a job did, where it is over."""
    mine = "id = (SELECT run_id FROM billing_run_job WHERE job_id = :job_id) AND state NOT IN ('waiting', 'open')"
    run = await row(_Run, f"{_RUN} WHERE {mine}", job_id=job_id)
    renewals = await row(Renewals, f"SELECT renewed, not_covered FROM billing_run WHERE {mine}", job_id=job_id)
    if run is None or renewals is None:
        return None
    return _with_renewals(await _report(_Work(plan, pace(), [], (), ""), run, 0.0), renewals)


async def cancel_run(scope: Scope, run_id: int) -> None:
    """It ends between two chunks; what it made stands, what it did not is still due."""
    async with unit_of_work(scope):
        if not await execute(
            "UPDATE billing_run SET state = 'cancelled', finished_at = :now WHERE id = :id"
            " AND state IN ('waiting', 'open')",
            id=run_id,
            now=scope.now(),
        ):
            raise Conflict(_("This run is over already."))


async def count_payers(as_of: date, today: date) -> int:
    """How many payers a run of a date looks at."""
    return int(
        await value(
            "SELECT count(*) FROM (SELECT payer_id FROM subscription_schedule WHERE due_on <= :as_of"
            " UNION SELECT payer_id FROM charge WHERE state = 'open' AND (due_on IS NULL OR due_on <= :as_of)"
            " UNION SELECT coalesce(c.payer_id, c.id) FROM subscription u JOIN customer c ON c.id = u.customer_id"
            "  WHERE u.state = 'trial' AND u.at_trial_end = 'invoice_first' AND u.trial_ends_on <= :until"
            "  AND u.ends_on IS NULL AND NOT EXISTS (SELECT 1 FROM charge k WHERE k.subscription_id = u.id"
            "   AND k.kind = 'recurring' AND k.state IN ('open', 'invoiced'))) p",
            as_of=as_of,
            until=min(as_of, today),
        )
    )


class _Total(Struct, frozen=True):
    currency: str
    minor: int


async def _question(plan: Plan) -> str:
    """Why a person should look first; empty where nothing is out of the ordinary."""
    last = await value_as(date, "SELECT max(as_of_on) FROM billing_run WHERE state = 'done'")
    if last is None:
        return ""
    if plan.as_of_on - last > LONGEST_GAP:
        days = (plan.as_of_on - last).days
        return _("The last run was for %(day)s: %(days)s days would be made up for at once.", day=last, days=days)
    before = await value(
        "SELECT totals FROM billing_run WHERE state = 'done' AND as_of_on = :day ORDER BY id DESC LIMIT 1",
        day=nth(plan.as_of_on, Cycle("month"), -1),
    )
    if before is None:
        return ""
    totals = msgspec.json.decode(before, type=dict[str, int])
    expected = await rows(
        _Total,
        "SELECT t.currency, CAST(sum(t.cycle_minor) AS bigint) AS minor FROM subscription_schedule s"
        " JOIN subscription_term t ON t.subscription_id = s.subscription_id AND t.in_force"
        " AND t.valid_from <= s.period_start AND (t.valid_to IS NULL OR t.valid_to > s.period_start)"
        " WHERE s.due_on <= :as_of GROUP BY t.currency",
        as_of=plan.as_of_on,
    )
    for each in expected:
        was = totals.get(each.currency, 0)
        if each.minor > max(2 * was, plan.settings.confirm_above_minor) and each.minor <= MOST_MINOR * 10**3:
            return _(
                "About %(amount)s %(currency)s would be billed, more than twice the %(before)s of a month before.",
                amount=format_amount(each.minor, each.currency),
                currency=each.currency,
                before=format_amount(was, each.currency),
            )
    return ""


async def _due_dates(as_of: date) -> list[date]:
    """The dates on which something is due by now: usually one. A step along the index for each."""
    found: list[date] = []
    after = date.min
    while len(found) <= MOST_DATES:
        following = await value_as(
            date, "SELECT min(due_on) FROM subscription_schedule WHERE due_on > :after", after=after
        )
        if following is None or following > as_of:
            return found
        found.append(following)
        after = following
    return await values(
        "SELECT DISTINCT due_on FROM subscription_schedule WHERE due_on <= :as_of ORDER BY due_on", as_of=as_of
    )


async def _currencies() -> list[str]:
    return [str(each) for each in await values("SELECT DISTINCT currency FROM price")]


async def _next_chunk(work: _Work) -> _Run:
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


def is_about_data(error: Exception) -> bool:
    """What a row can cause: a rule of the domain or of the database, a number out of range.

    Else it is a fault of ours.
    """
    return (
        isinstance(error, DomainError | ConstraintFailed | ArithmeticError | sqlite3.Error)
        or getattr(error, "sqlstate", None) is not None
    )


async def _bill_chunk(work: _Work) -> tuple[_Run, int]:
    """The next payers, in one unit of work. Gives the run's row as it is then, and how many payers there were."""
    scope, plan = work.scope, work.plan
    async with unit_of_work(scope):
        run = await row(_Run, f"{_RUN} WHERE id = :id FOR UPDATE", id=plan.run_id)
        assert run is not None
        if run.state != RunState.OPEN:
            await _park_not_renewed(work)
            return run, 0
        if (today := scope.today()) != plan.issued_on:
            # Past midnight: the month before may be recognised already.
            plan.issued_on = today
            plan.rates.clear()
        payers = await _next_payers(work, run.after_payer_id)
        if not payers:
            return await _close(work, run), 0
        last = payers[-1]
        await prepare()
        await _stage(work, run.after_payer_id, last)
        counts = await work_out(plan)
        parked = await _park(work, run.after_payer_id, last)
        written = await write(plan, counts)
        totals = msgspec.json.decode(run.totals, type=dict[str, int])
        for currency, minor in written.totals.items():
            totals[currency] = totals.get(currency, 0) + minor
        changed = await row(
            _Run,
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


async def _next_payers(work: _Work, after: int) -> list[int]:
    """The next payers that anything is due for, in the order of their ids."""
    plan, most = work.plan, work.pace.size
    sources = [
        "SELECT payer_id FROM (SELECT DISTINCT payer_id FROM charge WHERE state = 'open' AND payer_id > :after"
        " AND (due_on IS NULL OR due_on <= :as_of) ORDER BY payer_id LIMIT :most) o",
        "SELECT payer_id FROM (SELECT DISTINCT coalesce(c.payer_id, c.id) AS payer_id FROM subscription u"
        " JOIN customer c ON c.id = u.customer_id WHERE u.state = 'trial' AND u.at_trial_end = 'invoice_first'"
        " AND u.trial_ends_on <= :until AND u.ends_on IS NULL AND coalesce(c.payer_id, c.id) > :after"
        " AND NOT EXISTS (SELECT 1 FROM charge k WHERE k.subscription_id = u.id AND k.kind = 'recurring'"
        "  AND k.state IN ('open', 'invoiced')) ORDER BY 1 LIMIT :most) t",
    ]
    given: dict[str, Any] = {
        "after": after,
        "most": most,
        "until": min(plan.as_of_on, plan.issued_on),
        "as_of": plan.as_of_on,
    }
    if len(work.due_dates) > MOST_DATES:
        sources.append(
            "SELECT payer_id FROM (SELECT DISTINCT payer_id FROM subscription_schedule"
            " WHERE due_on <= :as_of AND payer_id > :after ORDER BY payer_id LIMIT :most) s"
        )
    for at, due_on in enumerate(work.due_dates[: MOST_DATES if len(work.due_dates) <= MOST_DATES else 0]):
        sources.append(
            f"SELECT payer_id FROM (SELECT DISTINCT payer_id FROM subscription_schedule WHERE due_on = :due_{at}"
            f" AND payer_id > :after ORDER BY payer_id LIMIT :most) d{at}"
        )
        given[f"due_{at}"] = due_on
    found = await values(f"SELECT payer_id FROM ({' UNION '.join(sources)}) p ORDER BY payer_id LIMIT :most", **given)
    return [int(each) for each in found]


async def _stage(work: _Work, after: int, last: int) -> None:
    """Lines of everything that these payers are to be billed for."""
    plan = work.plan
    span = {"after": after, "last": last}
    waiting = "k.payer_id > :after AND k.payer_id <= :last AND (k.due_on IS NULL OR k.due_on <= :as_of)"
    sources: list[tuple[str, dict[str, Any]]] = [
        (open_charges(waiting, split_of(plan, "k.subscription_id")), {**span, "as_of": plan.as_of_on}),
        (
            trials_over(split_of(plan, "u.id"), work.unit_e6),
            {**span, "trials_until": min(plan.as_of_on, plan.issued_on)},
        ),
    ]
    if plan.preview:
        sources += [
            (
                from_plugin(source, split_of(plan, "q.subscription_id")),
                {**source.values, **span, "as_of_on": plan.as_of_on},
            )
            for source in work.sources
        ]
    if work.due_dates and await stage_due(plan, work.due_dates, after, last):
        sources.insert(0, (recurring(split_of(plan, "d.subscription_id"), work.unit_e6), {}))
    await stage_sources(plan, *sources)


async def _nothing_wrong(scope: Scope, as_of: date) -> None:
    """Nothing is due for anybody: what parked payers by this date is gone."""
    if await value("SELECT 1 FROM billing_parked WHERE resolved_at IS NULL LIMIT 1"):
        async with unit_of_work(scope):
            await execute(RESOLVE, now=scope.now(), as_of=as_of, after=0, last=LAST_ID)


RESOLVE: Final = (
    "UPDATE billing_parked SET resolved_at = :now WHERE resolved_at IS NULL AND payer_id > :after AND payer_id <= :last"
    " AND run_id IN (SELECT id FROM billing_run WHERE as_of_on <= :as_of)"
)
"""Payers that a run of the same date or a later one looked at: whoever is not parked again has nothing wrong."""


async def _park(work: _Work, after: int, last: int) -> int:
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
        await _write_parked(work.plan, each)
    return len(found)


async def _write_parked(plan: Plan, parked: ParkedPayer) -> None:
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


async def _park_not_renewed(work: _Work) -> None:
    for each in work.not_renewed:
        await _write_parked(work.plan, each)


async def _park_next(work: _Work) -> _Run:
    """The one payer that the database refuses: set aside with what it said, and the run goes on behind it."""
    async with unit_of_work(work.scope):
        run = await row(_Run, f"{_RUN} WHERE id = :id FOR UPDATE", id=work.plan.run_id)
        assert run is not None
        if run.state != RunState.OPEN:
            await _park_not_renewed(work)
            return run
        payers = await _next_payers(work, run.after_payer_id)
        if not payers:
            return run
        await _write_parked(work.plan, ParkedPayer(payers[0], "failed", work.last_error))
        changed = await row(
            _Run,
            "UPDATE billing_run SET after_payer_id = :payer, payers_done = payers_done + 1, parked = parked + 1"
            " WHERE id = :id RETURNING id, state, question, issued_on, after_payer_id, payers_done, payers_total,"
            " invoices, charges, totals",
            id=run.id,
            payer=payers[0],
        )
    assert changed is not None
    return changed


async def _close(work: _Work, run: _Run) -> _Run:
    """Every payer was looked at; behind the last one nobody has anything due."""
    if work.resolves:
        await execute(RESOLVE, now=work.scope.now(), as_of=work.plan.as_of_on, after=run.after_payer_id, last=LAST_ID)
    await _park_not_renewed(work)
    closed = await row(
        _Run,
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


async def _report(work: _Work, run: _Run, seconds: float) -> RunReport:
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


async def charged_again(scope: Scope) -> list[int]:
    """Subscriptions of which the last run, made again, would charge days that are charged already: hopefully none.

    Worked out as a preview is; what has come due or was asked for since is no matter (security.md 30, V8).
    """
    as_of = await value_as(date, "SELECT max(as_of_on) FROM billing_run WHERE state = 'done'")
    if as_of is None:
        return []
    seller, settings = await default_seller(scope), await load_settings(BillingSettings)
    plan = Plan(scope, seller, settings, as_of, scope.today(), preview=True)
    work = _Work(plan, pace(), await _due_dates(as_of), (), unit_e6(await _currencies(), "t.currency"))
    found: list[int] = []
    after = 0
    while after < LAST_ID:
        async with reading(tables()):
            payers = await _next_payers(work, after)
            last = payers[-1] if len(payers) == work.pace.size else LAST_ID
            await prepare(preview=True)
            await _stage(work, after, last)
            found += await values(
                "SELECT DISTINCT l.subscription_id FROM stage_line l JOIN charge k"
                " ON k.subscription_id = l.subscription_id AND k.kind = 'recurring' AND k.state <> 'reversed'"
                " AND k.period_start < l.period_end AND coalesce(k.replaced_from, k.period_end) > l.period_start"
                " WHERE l.is_new AND l.kind = 'recurring' ORDER BY l.subscription_id"
            )
        after = last
    return found


MOST_DIFFERENCES: Final = 50
"""Of a preview, the largest ones."""


class _Planned(Struct, frozen=True):
    currency: str
    invoices: int
    net_minor: int
    tax_minor: int
    total_minor: int


async def compared_run(as_of: date) -> int | None:
    """The run that one of this date is measured by: the one a month before, else the last that billed anything."""
    found = await value(
        "SELECT id FROM billing_run WHERE state = 'done' AND invoices > 0 AND as_of_on = :before"
        " ORDER BY id DESC LIMIT 1",
        before=nth(as_of, Cycle("month"), -1),
    )
    if found is None:
        found = await value(
            "SELECT id FROM billing_run WHERE state = 'done' AND invoices > 0 AND as_of_on < :as_of"
            " ORDER BY as_of_on DESC, id DESC LIMIT 1",
            as_of=as_of,
        )
    return None if found is None else int(found)


async def _preview(
    plan: Plan, sources: Sequence[ChargeSource], speed: Pace, progress: Progress | None = None
) -> RunReport:
    """The planning of a run, chunk by chunk, each in a picture of the database that nothing can be written in."""
    report = RunReport(
        run_id=None,
        as_of_on=plan.as_of_on,
        issued_on=plan.issued_on,
        preview=True,
        state=RunState.DONE,
        question=await _question(plan),
        compared_with=await compared_run(plan.as_of_on),
    )
    work = _Work(plan, speed, await _due_dates(plan.as_of_on), sources, unit_e6(await _currencies(), "t.currency"))
    products: dict[tuple[str, str], ProductTotal] = {}
    if speed.fixed is None:
        speed.size = PREVIEWED
    after, done = 0, 0
    total = await count_payers(plan.as_of_on, plan.issued_on) if progress is not None else 0
    while after < LAST_ID:
        async with reading(tables()):
            payers = await _next_payers(work, after)
            last = payers[-1] if len(payers) == work.pace.size else LAST_ID
            await prepare(preview=True)
            await _stage(work, after, last)
            counts = await work_out(plan)
            report.charges += counts.lines
            await _add_documents(report, products, after, last)
            report.parked += [
                msgspec.structs.replace(each, detail=parked_reason(each.reason))
                for each in await rows(
                    ParkedPayer,
                    "SELECT payer_id, reason, '' AS detail, amount_minor, currency FROM stage_parked ORDER BY payer_id",
                )
            ]
        report.chunks += 1
        after, done = last, done + len(payers)
        if progress is not None:
            told = progress(done, max(total, done), _("%(count)s invoices", count=report.invoices))
            if told is not None:
                await told
    report.products = sorted(products.values(), key=lambda each: (each.currency, -each.net_minor, each.product))
    return report


async def _add_documents(
    report: RunReport, products: dict[tuple[str, str], ProductTotal], after: int, last: int
) -> None:
    """The planned documents of a chunk: their totals, their products, and who is far from the run before."""
    for each in await rows(
        _Planned,
        "SELECT currency, count(*) AS invoices, CAST(sum(net_minor) AS bigint) AS net_minor,"
        " CAST(sum(tax_minor) AS bigint) AS tax_minor, CAST(sum(total_minor) AS bigint) AS total_minor"
        " FROM stage_document GROUP BY currency",
    ):
        report.invoices += each.invoices
        for sums, minor in (
            (report.net, each.net_minor),
            (report.tax, each.tax_minor),
            (report.totals, each.total_minor),
        ):
            sums[each.currency] = sums.get(each.currency, 0) + minor
    report.payers += int(await value("SELECT count(DISTINCT payer_id) FROM stage_document"))
    for line in await rows(
        ProductTotal,
        "SELECT coalesce(p.name, '') AS product, l.currency, count(*) AS lines,"
        " CAST(sum(l.net_minor) AS bigint) AS net_minor FROM stage_line l"
        " JOIN stage_document d ON d.payer_id = l.payer_id AND d.currency = l.currency AND d.split_id = l.split_id"
        " LEFT JOIN product p ON p.id = l.product_id GROUP BY coalesce(p.name, ''), l.currency",
    ):
        known = products.get((line.product, line.currency), ProductTotal(line.product, line.currency, 0, 0))
        products[line.product, line.currency] = ProductTotal(
            line.product, line.currency, known.lines + line.lines, known.net_minor + line.net_minor
        )
    if report.compared_with is None:
        return
    found = await rows(
        PayerDifference,
        "SELECT d.payer_id, c.full_name AS payer, d.currency, coalesce(b.minor, 0) AS before_minor, d.minor"
        " FROM (SELECT payer_id, currency, CAST(sum(total_minor) AS bigint) AS minor FROM stage_document"
        "  GROUP BY payer_id, currency) d JOIN customer c ON c.id = d.payer_id"
        " LEFT JOIN (SELECT payer_id, currency, CAST(sum(total_minor) AS bigint) AS minor FROM document"
        "  WHERE run_id = :run_id AND payer_id > :after AND payer_id <= :last GROUP BY payer_id, currency) b"
        "  ON b.payer_id = d.payer_id AND b.currency = d.currency"
        " WHERE 10 * abs(d.minor - coalesce(b.minor, 0)) > 3 * abs(coalesce(b.minor, 0))",
        run_id=report.compared_with,
        after=after,
        last=last,
    )
    report.differing += len(found)
    report.differences = sorted(
        [*report.differences, *found], key=lambda each: (-abs(each.minor - each.before_minor), each.payer_id)
    )[:MOST_DIFFERENCES]


class PreviewLine(Struct, frozen=True):
    currency: str
    description: str
    customer_id: int
    period_from: date | None
    period_to: date | None
    net_minor: int
    tax_minor: int
    rate_ppm: int
    tax_inclusive: bool


class PreviewDocument(Struct, frozen=True):
    """An invoice as it would be (P14)."""

    currency: str
    net_minor: int
    tax_minor: int
    total_minor: int
    due_on: date
    lines: list[PreviewLine]


class _Document(Struct, frozen=True):
    currency: str
    split_id: int
    net_minor: int
    tax_minor: int
    total_minor: int
    due_on: date


async def preview_payer(scope: Scope, payer_id: int, as_of: date) -> list[PreviewDocument]:
    """The next invoices of one payer by a date, worked out as the run would and written nowhere."""
    check_date(scope, as_of)
    plan = Plan(
        scope, await default_seller(scope), await load_settings(BillingSettings), as_of, scope.today(), preview=True
    )
    work = _Work(plan, pace(), await _due_dates(as_of), (), unit_e6(await _currencies(), "t.currency"))
    found: list[PreviewDocument] = []
    async with reading(tables()):
        await prepare(preview=True)
        await _stage(work, payer_id - 1, payer_id)
        await work_out(plan)
        for each in await rows(
            _Document,
            "SELECT currency, split_id, net_minor, tax_minor, total_minor, due_on FROM stage_document"
            " ORDER BY currency, split_id",
        ):
            lines = await rows(
                PreviewLine,
                "SELECT currency, description, customer_id, period_start AS period_from, period_end AS period_to,"
                " net_minor, tax_minor, rate_ppm, tax_inclusive FROM stage_line"
                " WHERE currency = :currency AND split_id = :split"
                " ORDER BY place, customer_id, coalesce(subscription_id, 0),"
                " coalesce(period_start, '0001-01-01'::date), kind, id",
                currency=each.currency,
                split=each.split_id,
            )
            found.append(
                PreviewDocument(each.currency, each.net_minor, each.tax_minor, each.total_minor, each.due_on, lines)
            )
    return found
