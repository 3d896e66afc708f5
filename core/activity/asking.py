"""What is only tried, and what a plugin is asked inside a unit of work, leaves no trace and keeps nobody waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from core.activity.unit import open_unit, savepoint, unit_of_work

if TYPE_CHECKING:
    from core.scope import Scope


class _Asked(Exception):
    """The answer is there: take back what was done for it."""


_rehearsed: Final[ContextVar[bool]] = ContextVar("rehearsed", default=False)


def is_rehearsed() -> bool:
    """Whether all that is done now is taken back. What others wait for until the commit is left alone then, such as the
    next number of a document: who issues one meanwhile waits for nobody, and nobody for them."""
    return _rehearsed.get()


@asynccontextmanager
async def rehearsal(scope: Scope) -> AsyncIterator[None]:
    """A unit of work of what is only tried: it is taken back; what is raised goes on. Inside another unit, such as the
    one of an Idempotency-Key, that goes on as if nothing had been tried."""
    try:
        with _rehearsing():
            async with unit_of_work(scope) if open_unit() is None else savepoint():
                yield
                raise _Asked
    except _Asked:
        return


@asynccontextmanager
async def nothing_kept() -> AsyncIterator[None]:
    """What is written or recorded inside is taken back; what is raised goes on. The guard of `validate_*` hooks."""
    try:
        with _rehearsing():
            async with savepoint():
                yield
                raise _Asked
    except _Asked:
        return


@contextmanager
def _rehearsing() -> Iterator[None]:
    token = _rehearsed.set(True)
    try:
        yield
    finally:
        _rehearsed.reset(token)
