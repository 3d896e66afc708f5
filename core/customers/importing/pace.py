"""What a chunk of an import tells the database beside `core.jobs.pace`."""

from __future__ import annotations

from core.database import dialect, run_sql
from core.jobs.pace import CHUNK_SECONDS, PAUSE, Pace

__all__ = ["CHUNK_SECONDS", "PAUSE", "Pace", "go_by_index"]


async def go_by_index() -> None:
    """A chunk is small beside the tables it is joined with. PostgreSQL may know nothing of a new batch, and keeps plans
    that it made when the tables were small: so it is told to join in the order that is written, along the indexes.
    """
    if dialect() == "postgresql":
        await run_sql(
            postgresql="SET LOCAL join_collapse_limit = 1; SET LOCAL enable_seqscan = off;"
            " SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
        )
