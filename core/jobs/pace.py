"""Chunks of long work: how long they last, and what lies between two of them."""

from __future__ import annotations

from typing import Final

from core.database import dialect

CHUNK_SECONDS: Final = {"sqlite": 0.06, "postgresql": 0.1}
PAUSE: Final = {"sqlite": 0.012, "postgresql": 0.002}
"""Between two chunks. On SQLite one writes at a time. Who waits in this process has its turn in any case; another
process asks again every 10 ms, so that is the least in which it finds nobody writing.
"""


class Pace:
    """How many rows fit into a chunk of the wanted length; learns from each."""

    def __init__(self, smallest: int, largest: int) -> None:
        self._smallest, self._largest = smallest, largest
        self.size = smallest * 4

    def learn(self, seconds: float) -> None:
        fitting = int(self.size * CHUNK_SECONDS[dialect()] / max(seconds, 0.001))
        self.size = max(self._smallest, min(self._largest, fitting, self.size * 2))
