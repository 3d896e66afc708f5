"""A process that makes something of an import's records and is killed in a chunk of them, or soon behind it:
`python -m tests.faults.import_process`. It counts by itself: who kills from outside may come when all is over.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import threading
from dataclasses import replace
from uuid import UUID

from core import hookspecs
from core.activity.asking import nothing_kept
from core.activity.unit import again
from core.app import HOOK_MODULES
from core.clock import FixedClock
from core.customers.importing import steps
from core.database import bind
from core.hooks import Hooks
from core.scope import Scope
from tests.books import START, scope_of
from tests.faults.log_process import _open

CHUNK = 6


def of_features(scope: Scope) -> Scope:
    """The features have their say, as in a tenant without plugins."""
    return replace(scope, hooks=Hooks(hookspecs, HOOK_MODULES, guard=nothing_kept))


async def _main(address: str, uuid: UUID, batch: int, step: str, chunk: int) -> None:
    database = _open(address)
    database.owner = uuid
    begun = 0

    def count(text: str) -> None:
        nonlocal begun
        if text.startswith("INSERT INTO import_taken"):
            begun += 1
            if begun == chunk:
                threading.Timer(random.random() * 0.03, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()

    database.watchers.append(count)
    scope = of_features(scope_of(database, FixedClock(START)))
    with bind(database):
        await again(lambda: steps.take_step(scope, batch, step))


if __name__ == "__main__":
    steps.SMALLEST = steps.LARGEST = CHUNK
    asyncio.run(_main(sys.argv[1], UUID(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5])))
