"""Chunks of long work: how long they last, and what lies between two of them."""

from __future__ import annotations

from typing import Final

from core.database import ASKED_AGAIN, dialect

CHUNK_SECONDS: Final = {"sqlite": 0.04, "postgresql": 0.1}
PAUSE: Final = {"sqlite": ASKED_AGAIN + 0.002, "postgresql": 0.002}
"""Between two chunks. On SQLite one writes at a time. Who waits in this process has its turn in any case; another
process asks again every `ASKED_AGAIN` seconds, so that is the least in which it finds nobody writing.
"""
GROWTH: Final = 1.5
"""A chunk is at most so many times as large as the one before: one that was quick by chance says little."""


class Pace:
    """How many rows fit into a chunk of the wanted length; learns from each."""

    def __init__(self, smallest: int, largest: int) -> None:
        self._smallest, self._largest = smallest, largest
        self.size = smallest * 4

    def learn(self, seconds: float) -> None:
        fitting = int(self.size * CHUNK_SECONDS[dialect()] / max(seconds, 0.001))
        self.size = max(self._smallest, min(self._largest, fitting, int(self.size * GROWTH)))
