"""What is being worked on, what waits, and what needs a person."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from core.database import row, rows, value, within
from core.errors import NotFound
from core.jobs.status import JobState
from core.jobs.tables import Job

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    def is_over(self) -> bool:
        return self.finished_at is not None


_COLUMNS = (
    "id, kind, policy, state, due_at, attempts, progress_done, progress_total, progress_text, cancel_asked, created_at,"
    " customer_id, result, error, started_at, finished_at"
)


async def get_job(scope: Scope, job_id: int) -> JobRow:
    """One job, or NotFound, also where it is out of reach."""
    found = await row(
        JobRow,
        f"SELECT {_COLUMNS} FROM job WHERE id = :id AND :reach",
        id=job_id,
        reach=within(Job, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"job {job_id}")
    return found


async def list_jobs(
    scope: Scope,
    *,
    states: Sequence[JobState] = tuple(JobState),
    kind: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[JobRow]:
    """The latest first; `before` is the id that the last page ended with."""
    return await rows(
        JobRow,
        f"SELECT {_COLUMNS} FROM job WHERE state IN :states AND (kind = :kind OR :all) AND id < :before AND :reach"
        " ORDER BY id DESC LIMIT :limit",
        states=list(states),
        kind=kind or "",
        all=kind is None,
        before=before if before is not None else 2**62,
        limit=limit,
        reach=within(Job, scope.actor.reach),
    )


async def list_for_a_person(scope: Scope, *, before: int | None = None, limit: int = 50) -> list[JobRow]:
    """Those that failed, are held, or ended nobody knows how; the latest first."""
    return await rows(
        JobRow,
        f"SELECT {_COLUMNS} FROM job WHERE state IN ('failed', 'unknown', 'held') AND id < :before AND :reach"
        " ORDER BY id DESC LIMIT :limit",
        before=before if before is not None else 2**62,
        limit=limit,
        reach=within(Job, scope.actor.reach),
    )


async def jobs_running(scope: Scope) -> int:
    """How many are being worked on right now: shown in the shell of each page."""
    return int(
        await value(
            "SELECT count(*) FROM job WHERE state IN ('running', 'sending') AND :reach",
            reach=within(Job, scope.actor.reach),
        )
    )


async def jobs_for_a_person(scope: Scope) -> int:
    """How many failed, are held, or ended nobody knows how."""
    return int(
        await value(
            "SELECT count(*) FROM job WHERE state IN ('failed', 'unknown', 'held') AND :reach",
            reach=within(Job, scope.actor.reach),
        )
    )
