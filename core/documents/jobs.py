"""Files that nothing names any more are taken away at night."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.documents.files import sweep_files
from core.jobs.kinds import Job, JobKind
from core.jobs.schedules import DailyAt, Schedule, Scheduled
from core.texts import N_

if TYPE_CHECKING:
    from core.scope import Scope


class Swept(Struct, frozen=True):
    """How many files went."""

    files: int


async def sweep(scope: Scope, job: Job[Scheduled]) -> Swept:
    return Swept(await sweep_files(scope))


SWEEP: Final = JobKind("sweep_files", Scheduled, sweep, label=N_("Take away files that nothing names"))

JOBS: Final = (SWEEP,)
SCHEDULES: Final = (Schedule("sweep_files", SWEEP, DailyAt(4, 10)),)
