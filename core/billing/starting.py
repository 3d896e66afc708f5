"""Starting a run by hand: the job that makes it, one at a time for a date."""

from __future__ import annotations

from datetime import date
from itertools import count
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from core.activity.unit import unit_of_work
from core.billing.due import check_date
from core.billing.jobs import BILL, BILL_DAILY, PREVIEW, ToBill, ToPreview
from core.billing.run_reports import RunReport
from core.database import Everything, row, value
from core.errors import Forbidden, NotFound
from core.jobs.actions import enqueue
from core.jobs.status import JobState
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope

AT_WORK: Final = frozenset({JobState.WAITING, JobState.RUNNING, JobState.HELD})


class _Known(Struct, frozen=True):
    id: int
    state: JobState


class BillingJob(Struct, frozen=True):
    """A job of a run or of a preview, and the date that it is for."""

    id: int
    as_of: date
    is_preview: bool
    report: RunReport | None


def check_reach(scope: Scope) -> None:
    """A run bills all customers, so only who sees all of them may look at one and start one."""
    if not isinstance(scope.actor.reach, Everything):
        raise Forbidden(_("Billing runs are for staff who see all customers."))


async def start_run(scope: Scope, as_of: date, *, confirmed: bool = False) -> int:
    """Leave a run of a date for the worker. Gives the job's id: the one that is at it already, where there is one."""
    check_reach(scope)
    check_date(scope, as_of)
    answer = "confirmed" if confirmed else "asked"
    return await _start(scope, f"billing-run:{as_of}:{answer}", as_of, confirmed=confirmed)


async def start_preview(scope: Scope, as_of: date) -> int:
    """Leave the preview of a date for the worker. Gives the job's id."""
    check_reach(scope)
    check_date(scope, as_of)
    return await _start(scope, f"billing-preview:{as_of}", as_of)


async def _start(scope: Scope, about: str, as_of: date, *, confirmed: bool | None = None) -> int:
    async with unit_of_work(scope):
        for time in count(1):
            key = f"{about}:{time}"
            known = await row(_Known, "SELECT id, state FROM job WHERE dedupe_key = :key", key=key)
            if known is not None and known.state in AT_WORK:
                return known.id
            if known is None:
                if confirmed is None:
                    return await enqueue(scope, PREVIEW, ToPreview(as_of), dedupe_key=key)
                return await enqueue(scope, BILL, ToBill(as_of, confirmed), dedupe_key=key)
    raise AssertionError("count() does not end")


async def is_at_work(as_of: date) -> bool:
    """Whether a job that makes runs of this date is running or waits for a worker."""
    found = await value(
        "SELECT 1 FROM job WHERE state IN ('running', 'sending') AND kind IN :kinds"
        " AND (payload LIKE :as_of OR payload LIKE :on)"
        " UNION ALL SELECT 1 FROM job WHERE state = 'waiting' AND crowd = FALSE AND kind IN :kinds"
        " AND (payload LIKE :as_of OR payload LIKE :on) LIMIT 1",
        kinds=[BILL.name, BILL_DAILY.name],
        as_of=f'%"as_of":"{as_of}"%',
        on=f'%"on":"{as_of}"%',
    )
    return found is not None


async def get_billing_job(scope: Scope, job_id: int) -> BillingJob:
    """What a job of billing was asked for, and its report once it is done. NotFound for a job of another kind."""
    check_reach(scope)
    found = await row(
        _Asked, "SELECT id, kind, payload, result FROM job WHERE id = :id AND kind IN :kinds", id=job_id, kinds=_KINDS
    )
    if found is None:
        raise NotFound(f"billing job {job_id}")
    asked = msgspec.json.decode(found.payload, type=ToPreview)
    report = msgspec.json.decode(found.result, type=RunReport) if found.result else None
    return BillingJob(found.id, asked.as_of, found.kind == PREVIEW.name, report)


class _Asked(Struct, frozen=True):
    id: int
    kind: str
    payload: str
    result: str | None


_KINDS: Final = [BILL.name, PREVIEW.name]
