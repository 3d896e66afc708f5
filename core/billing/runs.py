"""The rows of runs: opened, asked about, given to their jobs, cancelled."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.billing.events import BillingRunStarted
from core.billing.plan import Plan
from core.billing.renewals import anything_new
from core.billing.status import RunState
from core.database import execute, row, rows, value, value_as
from core.errors import Conflict
from core.money import MOST_MINOR, format_amount
from core.periods import Cycle, nth
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope


LONGEST_GAP: Final = timedelta(days=35)
"""Days since the last run that are made up for without asking."""


class Run(Struct, frozen=True):
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


RUN: Final = (
    "SELECT id, state, question, issued_on, after_payer_id, payers_done, payers_total, invoices, charges, totals"
    " FROM billing_run"
)


async def open_run(plan: Plan, *, confirmed: bool) -> Run | None:
    """The open run of this date, or a new one; None where nothing is due. An older open one is taken over by this."""
    scope, as_of = plan.scope, plan.as_of_on
    found = await row(Run, f"{RUN} WHERE as_of_on = :day AND state IN ('waiting', 'open')", day=as_of)
    if found is None:
        payers = await count_payers(plan.as_of_on, plan.issued_on)
        if not payers and not await anything_new():
            return None
        question = "" if confirmed else await question_of(plan)
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
        found = await row(Run, f"{RUN} WHERE as_of_on = :day AND state IN ('waiting', 'open')", day=as_of)
    if found is not None and found.state == RunState.WAITING and confirmed:
        async with unit_of_work(scope):
            await execute(
                "UPDATE billing_run SET state = 'open', question = '' WHERE id = :id AND state = 'waiting'", id=found.id
            )
        found = await row(Run, f"{RUN} WHERE id = :id", id=found.id)
    return found


async def give_to_job(scope: Scope, job_id: int, run_id: int) -> None:
    """So a job that is repeated once its run is over finds it, and opens no other for who is parked.

    One that is killed before this finds the run that it opened by its date.
    """
    async with unit_of_work(scope):
        await execute(
            "INSERT INTO billing_run_job (job_id, run_id) VALUES (:job_id, :run_id) ON CONFLICT (job_id) DO NOTHING",
            job_id=job_id,
            run_id=run_id,
        )


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


async def question_of(plan: Plan) -> str:
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
