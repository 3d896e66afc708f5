"""What reports work out in the background, so that the start page need not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.jobs.kinds import Job, JobKind
from core.jobs.schedules import DailyAt, Schedule, Scheduled
from core.reports.mrr import step_mrr
from core.texts import N_

if TYPE_CHECKING:
    from core.scope import Scope


class Stepped(Struct, frozen=True):
    """How many customers pay more or less a month than before."""

    steps: int


async def step(scope: Scope, job: Job[Scheduled]) -> Stepped:
    return Stepped(await step_mrr(scope))


STEP: Final = JobKind("step_mrr", Scheduled, step, limit=None, label=N_("Monthly recurring revenue of the day"))

JOBS: Final = (STEP,)
SCHEDULES: Final = (Schedule("step_mrr", STEP, DailyAt(1, 15)),)
