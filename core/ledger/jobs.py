"""What the books do in the background: days are added up, so that reports are quick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.jobs.kinds import Job, JobKind
from core.jobs.schedules import DailyAt, Schedule, Scheduled
from core.ledger.days import add_up_days
from core.texts import N_

if TYPE_CHECKING:
    from core.scope import Scope


class AddedUp(Struct, frozen=True):
    """How many transactions were added to the sums of their days."""

    transactions: int


async def add_up(scope: Scope, job: Job[Scheduled]) -> AddedUp:
    return AddedUp(await add_up_days(scope))


ADD_UP: Final = JobKind("add_up_ledger", Scheduled, add_up, limit=None, label=N_("Sums of the books by day"))

JOBS: Final = (ADD_UP,)
SCHEDULES: Final = (Schedule("add_up_ledger", ADD_UP, DailyAt(1)),)
