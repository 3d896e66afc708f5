"""Inside a unit of work a plugin may be asked anything, and leaves no trace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.activity.unit import savepoint


class _Asked(Exception):
    """The answer is there: take back what was done for it."""


@asynccontextmanager
async def nothing_kept() -> AsyncIterator[None]:
    """What is written or recorded inside is taken back; what is raised goes on. The guard of `validate_*` hooks."""
    try:
        async with savepoint():
            yield
            raise _Asked
    except _Asked:
        return
