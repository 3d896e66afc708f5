"""A piece of work, as pages show it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.database import row, within
from core.errors import NotFound
from core.jobs.status import CANCELLABLE, FOR_A_PERSON, JobState
from core.jobs.tables import Job

if TYPE_CHECKING:
    from core.scope import Scope


class JobRow(Struct, frozen=True):
    """A job as pages show it."""

    id: int
    kind: str
    policy: str
    state: JobState
    due_at: datetime
    attempts: int
    progress_done: int
    progress_total: int
    progress_text: str
    cancel_asked: bool
    created_at: datetime
    customer_id: int | None = None
    result: str | None = None
    error: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def percent(self) -> int:
        """How far it is, 0 to 100."""
        return min(100, self.progress_done * 100 // self.progress_total) if self.progress_total else 0

    @property
    def is_ending(self) -> bool:
        """Whether it runs and somebody asked for its end."""
        return self.cancel_asked and self.state == JobState.RUNNING

    @property
    def may_be_cancelled(self) -> bool:
        return self.state in CANCELLABLE and not self.is_ending

    @property
    def may_be_repeated(self) -> bool:
        return self.state in FOR_A_PERSON


COLUMNS: Final = ", ".join(f"job.{name}" for name in JobRow.__struct_fields__)


async def get_job(scope: Scope, job_id: int) -> JobRow:
    """One job, or NotFound, also where it is out of reach."""
    found = await row(
        JobRow,
        f"SELECT {COLUMNS} FROM job WHERE id = :id AND :reach",
        id=job_id,
        reach=within(Job, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"job {job_id}")
    return found
