"""Work on many rows of a list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core.jobs.kinds import Job, JobKind, crowding
from core.jobs.schedules import DailyAt, Schedule, Scheduled
from core.lists import bulk
from core.lists.bulk import OfRun
from core.lists.bulk_queries import counts_of
from core.lists.bulk_status import RowState, RunState
from core.texts import N_, speaking

if TYPE_CHECKING:
    from core.scope import Scope


class BulkResult(Struct, frozen=True):
    """What came of it, by rows."""

    done: int
    refused: int
    left_alone: int


async def work_out(scope: Scope, job: Job[OfRun]) -> BulkResult:
    """See what a deed would do; do it at once where that was asked for."""
    of = job.payload
    with speaking(of.language or scope.locale):
        run = await bulk.work_out(scope, of.listing, of.run_id, progress=job.progress)
        if run.at_once and run.state is RunState.PLANNED:
            await bulk.begin_at_once(scope, run)
        if run.at_once:
            await bulk.carry_out(scope, of.listing, of.run_id, progress=job.progress)
    return await _result(of.run_id)


async def carry_out(scope: Scope, job: Job[OfRun]) -> BulkResult:
    """Do what was shown."""
    of = job.payload
    with speaking(of.language or scope.locale), crowding():
        await bulk.carry_out(scope, of.listing, of.run_id, progress=job.progress)
    return await _result(of.run_id)


async def _result(run_id: int) -> BulkResult:
    counts = await counts_of(run_id)
    return BulkResult(counts[RowState.DONE], counts[RowState.REFUSED], counts[RowState.CHANGED])


async def forget(scope: Scope, job: Job[Scheduled]) -> None:
    """Reports of which nobody asks any more."""
    await bulk.forget_old_runs(scope)


WORK_OUT: Final = JobKind(
    bulk.WORK_OUT, OfRun, work_out, limit=None, label=N_("Working out what would be done to selected rows")
)
CARRY_OUT: Final = JobKind(bulk.CARRY_OUT, OfRun, carry_out, limit=None, label=N_("A deed on selected rows"))
FORGET: Final = JobKind("lists.forget_bulk_runs", Scheduled, forget, limit=None, label=N_("Forgetting old reports"))

JOBS: Final[tuple[JobKind[Any], ...]] = (WORK_OUT, CARRY_OUT, FORGET)
SCHEDULES: Final = (Schedule("forget_bulk_runs", FORGET, DailyAt(4, 45)),)
