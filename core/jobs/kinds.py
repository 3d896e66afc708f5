"""What kinds of work there are, and what a piece of work may do while it runs."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, TypeVar

from msgspec import Struct

from core.activity.unit import refuse_inside_unit
from core.database import in_transaction, row, transaction, value
from core.jobs.status import JobState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from core.scope import Scope

P = TypeVar("P", bound=Struct)
Policy = Literal["repeatable", "once"]

PROGRESS_EVERY: Final = 0.5
"""Seconds between two writes of progress: a page looks no oftener."""


of_crowd: Final[ContextVar[bool]] = ContextVar("of_crowd", default=False)
"""Whether what is enqueued here belongs to a crowd."""


@contextmanager
def crowding(on: bool = True) -> Iterator[None]:
    """Work left inside is one of many: what somebody asks for alone goes first."""
    before = of_crowd.set(on)
    try:
        yield
    finally:
        of_crowd.reset(before)


class EffectNotDone(Exception):
    """Raised inside `job.effect()`: it surely did not happen (refused, no connection), so it may be tried again."""


class JobCancelled(Exception):
    """A person asked for the end of this job, and the job has come to a place where it can end."""


class ClaimLost(Exception):
    """Another worker has this job now: whatever this one did not commit must not be."""


@dataclass(frozen=True, slots=True)
class JobKind(Generic[P]):
    """A kind of work. Declaring one makes its name known to `enqueue`.

    `repeatable`: an attempt that is lost runs again. `once`: what it does outside stands in `async with job.effect():`,
    is marked before it begins, and an attempt lost there is left for a person, never repeated.
    """

    name: str
    payload_type: type[P]
    run: Callable[[Scope, Job[P]], Awaitable[Struct | None]]
    policy: Policy = "repeatable"
    attempts: int = 5
    lease: float = 60.0
    """Seconds after which a worker that no longer says anything has lost it; prolonged while the job runs."""
    limit: float | None = 600.0
    """Seconds an attempt may take at most; None for work that moves in chunks and shows its progress."""
    label: str = ""

    def __post_init__(self) -> None:
        other = KINDS.get(self.name)
        if other is not None and _origin(other) != _origin(self):
            raise TypeError(f"there are two kinds of jobs named “{self.name}”")
        KINDS[self.name] = self


KINDS: Final[dict[str, JobKind[Any]]] = {}
"""Every declared kind by its name."""


def _origin(kind: JobKind[Any]) -> tuple[str, str]:
    return kind.run.__module__, kind.run.__qualname__


class Claim(Struct, frozen=True):
    """A job that a worker has made its own, until the lease ends."""

    id: int
    kind: str
    policy: Policy
    payload: str
    actor: str
    attempts: int
    fence: int
    customer_id: int | None = None
    crowd: bool = False


class _Told(Struct, frozen=True):
    cancel_asked: bool


class Job(Generic[P]):
    """The piece of work that is running: its payload, and what it can say of itself."""

    def __init__(self, scope: Scope, claim: Claim, payload: P) -> None:
        self.id, self.attempt, self.payload = claim.id, claim.attempts, payload
        self.customer_id = claim.customer_id
        self.effect_begun = False
        self._scope, self._claim, self._said = scope, claim, float("-inf")

    async def progress(self, done: int, total: int, text: str = "") -> None:
        """Show how far it is. Call it between chunks: it raises JobCancelled when a person has asked for the end."""
        last = done >= total
        if not last and monotonic() - self._said < PROGRESS_EVERY:
            return
        self._said = monotonic()
        await self._tell(
            "progress_done = :done, progress_total = :total, progress_text = :text", done=done, total=total, text=text
        )

    async def check_claim(self) -> None:
        """Inside a unit of work: keep the claim until the commit, or raise ClaimLost. Every unit in a job begins so."""
        mine = await value(
            "SELECT id FROM job WHERE id = :id AND fence = :fence AND state IN ('running', 'sending') FOR UPDATE",
            id=self.id,
            fence=self._claim.fence,
        )
        if mine is None:
            raise ClaimLost(f"job {self.id} is no longer this worker's")

    @asynccontextmanager
    async def effect(self) -> AsyncIterator[None]:
        """Around what cannot be taken back (a mail, a call). For policy once, marked and committed before it begins."""
        refuse_inside_unit(f"the effect of job {self.id}")
        if self._claim.policy == "once":
            await self._tell("state = :state", state=JobState.SENDING)
        self.effect_begun = True
        try:
            yield
        except EffectNotDone:
            if self._claim.policy == "once":
                await self._tell("state = :state", state=JobState.RUNNING)
            self.effect_begun = False
            raise

    async def _tell(self, change: str, **values: object) -> None:
        sql = (
            f"UPDATE job SET {change} WHERE id = :id AND fence = :fence AND state IN ('running', 'sending')"
            " RETURNING cancel_asked"
        )
        if in_transaction():
            told = await row(_Told, sql, id=self.id, fence=self._claim.fence, **values)
        else:
            async with transaction():
                told = await row(_Told, sql, id=self.id, fence=self._claim.fence, **values)
        if told is None:
            raise ClaimLost(f"job {self.id} is no longer this worker's")
        if told.cancel_asked and not self.effect_begun:
            raise JobCancelled(f"job {self.id} was cancelled")
