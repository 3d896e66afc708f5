"""Who has a job: claims with a lease and a fencing token, what is lost, how an attempt ends. For the worker alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core.database import execute, row, rows, transaction, value
from core.jobs.kinds import Claim, JobKind
from core.jobs.status import JobState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

PAUSES: Final = (5, 30, 120, 600, 3600)
"""Seconds before the second, third … attempt; the last one for all that follow."""
AT_ONCE: Final = 50
"""Jobs looked up at a time; those enqueued meanwhile come after them."""
_FIRST: Final = (
    "SELECT due_at FROM job WHERE state = 'waiting' AND crowd = {crowd} AND kind IN :kinds ORDER BY due_at, id LIMIT 1"
)
LOST: Final = "The worker went away in the middle of it."


class Due(Struct, frozen=True):
    """A job that could be claimed."""

    id: int
    kind: str


class _Soonest(Struct, frozen=True):
    at: datetime | None


async def due_jobs(kinds: Collection[str], now: datetime, limit: int = AT_ONCE) -> list[Due]:
    """The next jobs that are due, some at a time: where very many wait, finding one costs as much as finding some.
    Those of a crowd come when no other is due.
    """
    found: list[Due] = []
    for crowd in ("false", "true"):
        if not found:
            found = await rows(
                Due,
                f"SELECT id, kind FROM job WHERE state = 'waiting' AND crowd = {crowd} AND due_at <= :now"
                " AND kind IN :kinds ORDER BY due_at, id LIMIT :limit",
                now=now,
                kinds=list(kinds),
                limit=limit,
            )
    return found


async def claim(kind: JobKind[Any], job_id: int, now: datetime) -> Claim | None:
    """Make a due job this worker's own; None if another has it by now. One statement, committed by itself."""
    return await row(
        Claim,
        "UPDATE job SET state = 'running', attempts = attempts + 1, fence = fence + 1, lease_until = :until,"
        " policy = :policy, started_at = :now, finished_at = NULL, error = NULL"
        " WHERE id = :id AND state = 'waiting' AND due_at <= :now"
        " RETURNING id, kind, policy, payload, actor, attempts, fence, customer_id, crowd",
        id=job_id,
        now=now,
        until=now + timedelta(seconds=kind.lease),
        policy=kind.policy,
    )


async def prolong(claim: Claim, until: datetime) -> bool:
    """Keep the lease. False: it is another's by now."""
    return await _change(claim, "lease_until = :until", until=until)


async def finish(claim: Claim, now: datetime, result: str | None) -> bool:
    """It is done. False: it was another's by now, whose word counts."""
    return await _end(claim, JobState.DONE, now, result=result)


async def give_up(claim: Claim, now: datetime, error: str, *, state: JobState = JobState.FAILED) -> bool:
    """It failed for good, was cancelled, or nobody knows (`state`)."""
    return await _end(claim, state, now, error=error)


async def put_off(claim: Claim, due_at: datetime, error: str) -> bool:
    """The attempt failed; the next one is due later."""
    return await _change(
        claim, "state = 'waiting', lease_until = NULL, due_at = :due, error = :error", due=due_at, error=error
    )


async def give_back(claim: Claim) -> bool:
    """The worker stops before the job has done anything: the attempt does not count."""
    return await _change(claim, "state = 'waiting', lease_until = NULL, attempts = attempts - 1")


async def recover(kinds: Mapping[str, JobKind[Any]], now: datetime) -> int:
    """Jobs whose worker went away: repeatable ones and those not yet begun run again, the others are for a person."""
    gone = "state IN ('running', 'sending') AND lease_until < :now"
    if not await value(f"SELECT id FROM job WHERE {gone} LIMIT 1", now=now):
        return 0
    async with transaction():
        unknown = await execute(
            f"UPDATE job SET state = 'unknown', lease_until = NULL, finished_at = :now, error = :error"
            f" WHERE {gone} AND state = 'sending' AND policy = 'once'",
            now=now,
            error=LOST,
        )
        failed = 0
        for kind in kinds.values():
            failed += await execute(
                f"UPDATE job SET state = 'failed', lease_until = NULL, finished_at = :now, error = :error"
                f" WHERE {gone} AND kind = :kind AND attempts >= :attempts",
                now=now,
                error=LOST,
                kind=kind.name,
                attempts=kind.attempts,
            )
        again = await execute(
            f"UPDATE job SET state = 'waiting', lease_until = NULL, error = :error WHERE {gone}", now=now, error=LOST
        )
    return unknown + failed + again


def pause_after(attempts: int) -> timedelta:
    """How long until the next attempt, after this many."""
    return timedelta(seconds=PAUSES[min(attempts, len(PAUSES)) - 1])


async def next_due(kinds: Collection[str]) -> datetime | None:
    """The instant at which there will be something to do: a job due, or a lease that ends."""
    soonest = await row(
        _Soonest,
        "SELECT min(at) AS at FROM ("
        f"SELECT ({_FIRST.format(crowd='false')}) AS at UNION ALL SELECT ({_FIRST.format(crowd='true')})"
        " UNION ALL SELECT min(lease_until) FROM job WHERE state IN ('running', 'sending')) AS soonest",
        kinds=list(kinds),
    )
    return soonest.at if soonest else None


async def _end(
    claim: Claim, state: JobState, now: datetime, *, result: str | None = None, error: str | None = None
) -> bool:
    return await _change(
        claim,
        "state = :state, lease_until = NULL, finished_at = :now, result = :result, error = :error",
        state=state,
        now=now,
        result=result,
        error=error,
    )


async def _change(claim: Claim, change: str, **values: object) -> bool:
    sql = f"UPDATE job SET {change} WHERE id = :id AND fence = :fence AND state IN ('running', 'sending')"
    async with transaction():
        return await execute(sql, id=claim.id, fence=claim.fence, **values) == 1
