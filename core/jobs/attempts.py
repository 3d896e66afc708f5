"""One attempt at a job: run it with its claim kept, and write down how it ended."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from msgspec import Struct

from core.activity.unit import guarded
from core.database import spawn
from core.errors import DomainError, TooMany, TryAgain, Unavailable
from core.jobs import claims
from core.jobs.kinds import Claim, ClaimLost, EffectNotDone, Job, JobCancelled, JobKind, crowding
from core.jobs.status import JobState
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope

_log = structlog.stdlib.get_logger(__name__)


async def attempt(scope: Scope, kind: JobKind[Any], claim: Claim) -> None:
    """Run a claimed job as the actor of this scope. What it raises becomes its state; only a cancellation goes on."""
    try:
        payload = msgspec.json.decode(claim.payload, type=kind.payload_type)
    except msgspec.ValidationError as error:
        await claims.give_up(claim, scope.now(), _("The payload does not fit: %(error)s", error=error))
        return
    job: Job[Any] = Job(scope, claim, payload)
    lease = _Lease(scope, kind, claim)
    try:
        async with lease:
            with guarded(job.check_claim), crowding(claim.crowd):
                async with asyncio.timeout(kind.limit):
                    result = await _run(scope, kind, job)
        await claims.finish(claim, scope.now(), None if result is None else msgspec.json.encode(result).decode())
    except asyncio.CancelledError:
        if not lease.lost:
            await asyncio.shield(_broken_off(scope, claim, job))
            raise
        _log.warning("job was claimed by another worker")
    except ClaimLost:
        _log.warning("job was claimed by another worker")
    except JobCancelled:
        await claims.give_up(claim, scope.now(), _("Cancelled."), state=JobState.CANCELLED)
    except Exception as error:
        fault = None if isinstance(error, DomainError | EffectNotDone) else error
        _log.warning("job failed", attempt=claim.attempts, reason=_reason(error), exc_info=fault)
        await _failed(scope, kind, claim, job, error)


class _Lease:
    """Prolongs the claim while the job runs, and breaks the job off when another worker has it."""

    def __init__(self, scope: Scope, kind: JobKind[Any], claim: Claim) -> None:
        self._scope, self._kind, self._claim = scope, kind, claim
        self.lost = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._keeping = spawn(self._keep(task))

    async def __aexit__(self, *_: object) -> None:
        self._keeping.cancel()
        await asyncio.wait({self._keeping})

    async def _keep(self, task: asyncio.Task[Any]) -> None:
        while True:
            await asyncio.sleep(self._kind.lease / 3)
            try:
                until = self._scope.now() + timedelta(seconds=self._kind.lease)
                self.lost = not await claims.prolong(self._claim, until)
            except (Unavailable, TryAgain) as error:
                _log.warning("the lease of a job could not be prolonged", error=str(error))
            if self.lost:
                task.cancel()
                return


async def _run(scope: Scope, kind: JobKind[Any], job: Job[Any]) -> Struct | None:
    """The work itself, once more if the database could not serialise it and nothing has gone out."""
    try:
        result: Struct | None = await kind.run(scope, job)
    except TryAgain:
        if job.effect_begun:
            raise
        result = await kind.run(scope, job)
    return result


async def _failed(scope: Scope, kind: JobKind[Any], claim: Claim, job: Job[Any], error: Exception) -> None:
    now, reason = scope.now(), _reason(error)
    if _nobody_knows(claim, job):
        await claims.give_up(claim, now, reason, state=JobState.UNKNOWN)
    elif claim.attempts >= kind.attempts or _is_final(error):
        await claims.give_up(claim, now, reason)
    else:
        pause = max(claims.pause_after(claim.attempts), timedelta(seconds=getattr(error, "retry_after", 0)))
        await claims.put_off(claim, now + pause, reason)


async def _broken_off(scope: Scope, claim: Claim, job: Job[Any]) -> None:
    """The worker stops: the job goes back to its place, unless its effect has begun."""
    if _nobody_knows(claim, job):
        await claims.give_up(claim, scope.now(), claims.LOST, state=JobState.UNKNOWN)
    else:
        await claims.give_back(claim)


def _nobody_knows(claim: Claim, job: Job[Any]) -> bool:
    return claim.policy == "once" and job.effect_begun


def _is_final(error: Exception) -> bool:
    """Refused by the domain: trying again would change nothing."""
    return isinstance(error, DomainError) and not isinstance(error, Unavailable | TooMany)


def _reason(error: Exception) -> str:
    if isinstance(error, DomainError):
        return error.message
    text = str(error).strip().partition("\n")[0]
    if isinstance(error, TimeoutError) and not text:
        return _("It took longer than it may.")
    return f"{type(error).__name__}: {text}"[:500] if text else type(error).__name__
