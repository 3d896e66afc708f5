"""Trying out time: a copy of a tenant whose clock stands still, and is run forward through the real jobs.

Nothing leaves such a copy: jobs that do something outside once (mail, payments, calls) are never claimed there.
"""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.billing.jobs import DELIVER, VERIFY_DAILY
from core.billing.verify import Violation, verify
from core.clock import FixedClock, date_in, instant_of
from core.database import rows
from core.errors import Conflict, Invalid
from core.ids import check_slug
from core.jobs.schedules import DailyAt
from core.jobs.worker import Work, Worker
from core.scope import command_actor
from core.texts import _
from tenants.backups import back_up_in, locked, nobody, worked_on
from tenants.restoring import restore
from tenants.status import TenantStatus
from tenants.working import HostOfWork

if TYPE_CHECKING:
    from collections.abc import Callable

    from core.scope import Scope
    from tenants.archives import Told
    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord
    from tenants.restoring import Restored

MOST: Final = timedelta(days=366 * 10)
"""How far a clock is run at most, beyond the day that it is."""
DAY_ENDS: Final = time(23, 59)
LEFT_OUT: Final = frozenset({DELIVER.name, VERIFY_DAILY.name})
"""Kinds that are not waited for: documents are drawn by the worker afterwards, the books are proven at the end."""

_NEXT_STARTS: Final = "SELECT name AS kind, next_at AS due_at FROM schedule_due WHERE next_at > :now"
_NEXT_JOBS: Final = (
    "SELECT kind, min(due_at) AS due_at FROM job WHERE state = 'waiting' AND due_at > :now GROUP BY kind"
)
_ISSUED: Final = """
SELECT issued_on, kind, currency, count(*) AS count, CAST(sum(total_minor) AS bigint) AS total_minor FROM document
WHERE state = 'issued' AND issued_at > :since GROUP BY issued_on, kind, currency ORDER BY issued_on, kind, currency
"""
_WRITTEN: Final = "SELECT kind, count(*) AS count FROM message WHERE created_at > :since GROUP BY kind ORDER BY kind"
_HAPPENED: Final = (
    "SELECT kind, count(*) AS count FROM (SELECT kind || '' AS kind FROM activity WHERE at > :since) AS happened"
    " GROUP BY kind ORDER BY kind"
)
_UNDRAWN: Final = "SELECT kind, count(*) AS count FROM job WHERE state = 'waiting' AND kind = :kind GROUP BY kind"


class Issued(Struct, frozen=True):
    """Documents of a month, as they would have been issued."""

    month: str
    kind: str
    currency: str
    count: int
    total_minor: int


class Count(Struct, frozen=True):
    kind: str
    count: int


class Ahead(Struct, frozen=True):
    """What would happen by then, from the day on which the clock stood."""

    slug: str
    since: datetime
    until: datetime
    documents: tuple[Issued, ...] = ()
    messages: tuple[Count, ...] = ()
    """Written, and not sent."""
    undrawn: int = 0
    """Documents whose PDF and e-mail the worker still makes; these too are not sent."""
    happened: tuple[Count, ...] = ()
    """Lines of the activity by kind."""
    violations: tuple[Violation, ...] = ()
    """Of the books, proven at the end; none is what is hoped for."""


class _Due(Struct, frozen=True):
    kind: str
    due_at: datetime


class _Issue(Struct, frozen=True):
    issued_on: date
    kind: str
    currency: str
    count: int
    total_minor: int


class _Host(HostOfWork):
    """The same work, but what is not worth its time."""

    def work(self, scope: Scope) -> Work:
        work = super().work(scope)
        return Work(
            kinds={name: kind for name, kind in work.kinds.items() if name not in LEFT_OUT},
            schedules=work.schedules,
            readers=work.readers,
        )


async def try_time(deployment: Deployment, record: TenantRecord, slug: str, *, told: Told = nobody) -> Restored:
    """A copy of the tenant as it is now, under this short name, whose clock stands still from its first moment on."""
    if await deployment.registry.find_by_slug(check_slug(slug)):
        raise Conflict(_("There is a tenant “%(slug)s” already. Choose another short name.", slug=slug))
    with worked_on(deployment, record) as staging:
        (staging / "copy").mkdir()
        made = await back_up_in(deployment, record, staging, staging / "copy")
        return await restore(deployment, staging / "copy" / made.file.rpartition("/")[2], copy=slug, test_clock=True,
                             placement=record.placement, told=told)  # fmt: skip


async def run_forward(
    deployment: Deployment,
    record: TenantRecord,
    until: date,
    *,
    told: Callable[[int, int, str], None] = lambda done, total, what: None,
) -> Ahead:
    """Let a test clock go on to the end of this day, from one thing that is due to the next, by the jobs that do it.

    `told` hears (days gone, days in all, the day). Broken off it stands where it was, and goes on when it is asked
    again. Raises Conflict for a tenant that lives in real time, Invalid for a day that has been or is too far.
    """
    if record.clock_at is None:
        raise Conflict(_("%(slug)s lives in real time: make a copy of it to try out time.", slug=record.slug))
    if record.status != TenantStatus.ACTIVE:
        raise Conflict(_("%(slug)s is not served: resume it first.", slug=record.slug))
    since = record.clock_at
    with locked(deployment, record.uuid, record.slug):
        async with deployment.scope(record, command_actor("test clock")) as scope:
            zone = scope.tenant.time_zone
            work = _Host(deployment).work(scope)
        target = instant_of(until, DAY_ENDS, zone)
        if target < since:
            raise Invalid(
                _("It is %(now)s there already: time goes forward only.", now=f"{date_in(since, zone)}"), field="until"
            )
        if target > deployment.clock.now() + MOST:
            raise Invalid(_("At most ten years from today."), field="until")
        daily = {one.name for one in work.schedules if isinstance(one.when, DailyAt)} - LEFT_OUT
        days = max(1, (until - date_in(since, zone)).days)
        host = _Host(deployment)
        worker = Worker(registry=host, work=host.work, clock=FixedClock(since))
        try:
            while True:
                day = date_in(_shown(record), zone)
                told(min(days, days - (until - day).days), days, day.isoformat())
                await worker.until_idle(record.uuid)
                if _shown(record) >= target:
                    break
                async with deployment.scope(record, command_actor("test clock")):
                    at = await _next_due(_shown(record), daily, frozenset(work.kinds) - LEFT_OUT)
                record = await deployment.registry.set_clock(record, min(at or target, target))
        finally:
            await worker.stop(0)
    async with deployment.scope(record, command_actor("test clock")) as scope:
        return await _report(scope, record, since)


def _shown(record: TenantRecord) -> datetime:
    assert record.clock_at is not None
    return record.clock_at


async def _next_due(now: datetime, daily: set[str], kinds: frozenset[str]) -> datetime | None:
    starts = [one.due_at for one in await rows(_Due, _NEXT_STARTS, now=now) if one.kind in daily]
    jobs = [one.due_at for one in await rows(_Due, _NEXT_JOBS, now=now) if one.kind in kinds]
    return min([*starts, *jobs], default=None)


async def _report(scope: Scope, record: TenantRecord, since: datetime) -> Ahead:
    documents: Counter[tuple[str, str, str]] = Counter()
    totals: Counter[tuple[str, str, str]] = Counter()
    for one in await rows(_Issue, _ISSUED, since=since):
        key = (f"{one.issued_on:%Y-%m}", one.kind, one.currency)
        documents[key] += one.count
        totals[key] += one.total_minor
    return Ahead(
        slug=record.slug,
        since=since,
        until=_shown(record),
        documents=tuple(Issued(*key, count, totals[key]) for key, count in sorted(documents.items())),
        messages=tuple(await rows(Count, _WRITTEN, since=since)),
        undrawn=sum(one.count for one in await rows(Count, _UNDRAWN, kind=DELIVER.name)),
        happened=tuple(await rows(Count, _HAPPENED, since=since)),
        violations=tuple(await verify(scope)),
    )
