"""How long chunks of long work become, and what is left between two of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.database import ASKED_AGAIN, bind
from core.jobs.pace import CHUNK_SECONDS, GROWTH, PAUSE, Pace
from tests.databases import KINDS, fresh


@pytest.mark.parametrize("kind", KINDS)
async def test_a_chunk_becomes_as_large_as_fits_step_by_step_and_small_at_once(kind: str, tmp_path: Path) -> None:
    async with fresh(kind, tmp_path) as database:
        with bind(database):
            pace = Pace(50, 2_000)
            begun = pace.size

            pace.learn(CHUNK_SECONDS[kind] / 100)
            assert pace.size == int(begun * GROWTH)

            pace.learn(CHUNK_SECONDS[kind])
            assert pace.size == int(begun * GROWTH)

            pace.learn(CHUNK_SECONDS[kind] * 2)
            assert pace.size == int(begun * GROWTH) // 2

            pace.learn(60)
            assert pace.size == 50

            for _ in range(100):
                pace.learn(0)
            assert pace.size == 2_000


def test_another_process_that_asks_again_finds_the_pause_between_two_chunks() -> None:
    assert PAUSE["sqlite"] > ASKED_AGAIN
