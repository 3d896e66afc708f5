"""The few threads that all SQLite connections of the process share.

A statement waits in one queue and is answered through the event loop of whoever asked. A connection is used by one
statement at a time: who is cancelled while its statement runs still waits until the thread has let go of the
connection.
"""

from __future__ import annotations

import asyncio
import ctypes
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

COUNT: Final = 4
M_ARENA_MAX: Final = -8  # of malloc.h
POKE_AGAIN: Final = 0.02  # seconds


class _Job:
    __slots__ = ("arguments", "error", "finished", "function", "given_up", "loop", "result", "waiter")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, function: Callable[..., Any], arguments: tuple[Any, ...]
    ) -> None:
        self.loop = loop
        self.function = function
        self.arguments = arguments
        self.waiter: asyncio.Future[None] = loop.create_future()
        self.given_up = False
        self.finished = False
        self.result: Any = None
        self.error: BaseException | None = None

    def finish(self) -> None:
        """In the event loop, once the thread is done with it."""
        self.finished = True
        if not self.waiter.done():
            self.waiter.set_result(None)


class Threads:
    """Started with the first statement; daemons, since nothing of theirs outlives a commit."""

    def __init__(self, count: int = COUNT) -> None:
        self.count = count
        self._queue: SimpleQueue[_Job] = SimpleQueue()
        self._started = False
        self._lock = threading.Lock()

    def _start(self) -> None:
        with self._lock:
            if not self._started:
                _share_one_heap()
                for number in range(self.count):
                    threading.Thread(target=_serve, args=(self._queue,), name=f"sqlite-{number}", daemon=True).start()
                self._started = True

    async def call(
        self, function: Callable[[*Ts], T], *arguments: *Ts, interrupt: Callable[[], None] | None = None
    ) -> T:
        """What the function returns or raises. When the task is cancelled, the call is interrupted if that is
        allowed, and awaited in any case.
        """
        job = await self._done(function, arguments, interrupt)
        if isinstance(job, asyncio.CancelledError):
            raise job
        if job.error is not None:
            raise job.error
        result: T = job.result
        return result

    async def call_to_the_end(
        self, function: Callable[[*Ts], T], *arguments: *Ts
    ) -> tuple[T, asyncio.CancelledError | None]:
        """As `call`, but the outcome counts also when the task was cancelled meanwhile: the caller raises that
        afterwards.
        """
        job = _Job(asyncio.get_running_loop(), function, arguments)
        self._put(job)
        cancelled = await _wait(job)
        if job.error is not None:
            raise job.error
        return job.result, cancelled

    async def _done(
        self, function: Callable[..., Any], arguments: tuple[Any, ...], interrupt: Callable[[], None] | None
    ) -> _Job | asyncio.CancelledError:
        job = _Job(asyncio.get_running_loop(), function, arguments)
        self._put(job)
        try:
            await job.waiter
        except asyncio.CancelledError as cancelled:
            job.given_up = True
            await _wait(job, interrupt)
            return cancelled
        return job

    def _put(self, job: _Job) -> None:
        if not self._started:
            self._start()
        self._queue.put(job)


def _share_one_heap() -> None:
    """glibc gives each thread a heap of its own, which keeps what SQLite has freed: (measured) 64 open files cost 62
    MiB with four of them, 50 with one. Elsewhere nothing happens.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)


def give_back() -> None:
    """Hands the memory that was freed back to the system: glibc keeps what lies between the pieces in use, (measured)
    15 MiB after a few hundred files were opened and closed in turn. Elsewhere nothing happens.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


async def _wait(job: _Job, interrupt: Callable[[], None] | None = None) -> asyncio.CancelledError | None:
    """Until the thread is done, however often the task is cancelled meanwhile."""
    cancelled: asyncio.CancelledError | None = None

    def poke() -> None:
        # Again and again: an interrupt that comes a moment before the statement has no effect on it.
        if interrupt is not None and not job.finished:
            interrupt()
            job.loop.call_later(POKE_AGAIN, poke)

    if job.given_up:
        poke()
    while not job.finished:
        if job.waiter.done():
            job.waiter = job.loop.create_future()
        try:
            await job.waiter
        except asyncio.CancelledError as error:
            cancelled = error
    return cancelled


def _serve(queue: SimpleQueue[_Job]) -> None:
    while True:
        job = queue.get()
        if not job.given_up:
            try:
                job.result = job.function(*job.arguments)
            except BaseException as error:
                job.error = error
        try:
            job.loop.call_soon_threadsafe(job.finish)
        except RuntimeError:
            pass  # the event loop was closed: nobody waits any more
        del job


THREADS: Final = Threads()
