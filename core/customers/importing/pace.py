"""What chunks of an import tell the database beside `core.jobs.pace`."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from core.database import dialect, run_sql, spawn, value
from core.errors import TryAgain, Unavailable
from core.jobs.pace import CHUNK_SECONDS, PAUSE, Pace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["CHUNK_SECONDS", "PAUSE", "Pace", "go_by_index", "words_sorted_in"]

SORTED_IN_EVERY: Final = 0.2
"""Seconds between two times."""

log = logging.getLogger(__name__)


async def go_by_index() -> None:
    """A chunk is small beside the tables it is joined with. PostgreSQL may know nothing of a new batch, and keeps plans
    that it made when the tables were small: so it is told to join in the order that is written, along the indexes.
    """
    if dialect() == "postgresql":
        await run_sql(
            postgresql="SET LOCAL join_collapse_limit = 1; SET LOCAL enable_seqscan = off;"
            " SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
        )


@asynccontextmanager
async def words_sorted_in() -> AsyncIterator[None]:
    """Inside, a connection of its own sorts new words into the index of the search, all by the end of it. Left alone,
    PostgreSQL does that every some thousand customers in the chunk that comes to it, and whoever writes waits as long.
    """
    if dialect() == "sqlite":
        yield
        return
    over = asyncio.Event()
    work = spawn(_sort_in(over), name="words sorted in")
    try:
        yield
    finally:
        over.set()
        await work


async def _sort_in(over: asyncio.Event) -> None:
    while True:
        last = over.is_set()
        try:
            for index in ("customer_search_words", "customer_search_sample", "customer_pieces"):
                await value("SELECT customer_search_sort_in(CAST(CAST(:index AS text) AS regclass))", index=index)
        except (TryAgain, Unavailable) as error:  # it is done later then: by a chunk, or by the server's own cleaning
            log.warning("words were not sorted in: %s", error)
            return
        if last:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(SORTED_IN_EVERY):
                await over.wait()
