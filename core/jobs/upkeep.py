"""What keeps a tenant's database quick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.database import analyze, dialect
from core.jobs.kinds import Job, JobKind
from core.jobs.schedules import DailyAt, Schedule, Scheduled
from core.texts import N_

if TYPE_CHECKING:
    from core.scope import Scope


async def keep_statistics(scope: Scope, job: Job[Scheduled]) -> None:
    """SQLite plans by what it was told last; PostgreSQL looks after that by itself."""
    if dialect() == "sqlite":
        await analyze()


STATISTICS: Final = JobKind("keep_statistics", Scheduled, keep_statistics, label=N_("Statistics of the database"))

JOBS: Final = (STATISTICS,)
SCHEDULES: Final = (Schedule("keep_statistics", STATISTICS, DailyAt(1, 30)),)
