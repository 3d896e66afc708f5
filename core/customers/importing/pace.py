"""Chunks of an import: how long they last, and what lies between two of them."""

from __future__ import annotations

from typing import Final

from core.database import dialect, run_sql

CHUNK_SECONDS: Final = {"sqlite": 0.06, "postgresql": 0.1}
PAUSE: Final = {"sqlite": 0.012, "postgresql": 0.002}
"""Between two chunks. On SQLite one writes at a time. Who waits in this process has its turn in any case; another
process asks again every 10 ms, so that is the least in which it finds nobody writing.
"""


class Pace:
    """How many records fit into a chunk of the wanted length; learns from each."""

    def __init__(self, smallest: int, largest: int) -> None:
        self._smallest, self._largest = smallest, largest
        self.size = smallest * 4

    def learn(self, seconds: float) -> None:
        fitting = int(self.size * CHUNK_SECONDS[dialect()] / max(seconds, 0.001))
        self.size = max(self._smallest, min(self._largest, fitting, self.size * 2))


async def go_by_index() -> None:
    """A chunk is small beside the tables it is joined with. PostgreSQL may know nothing of a new batch, and keeps plans
    that it made when the tables were small: so it is told to join in the order that is written, along the indexes.
    """
    if dialect() == "postgresql":
        await run_sql(
            postgresql="SET LOCAL join_collapse_limit = 1; SET LOCAL enable_seqscan = off;"
            " SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
        )
