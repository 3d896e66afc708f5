"""A process that makes something of an import's records until it is killed: `python -m tests.faults.import_process`."""

from __future__ import annotations

import asyncio
import sys
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


async def _main(address: str, uuid: UUID, batch: int, step: str) -> None:
    database = _open(address)
    database.owner = uuid
    scope = of_features(scope_of(database, FixedClock(START)))
    with bind(database):
        await again(lambda: steps.take_step(scope, batch, step))


if __name__ == "__main__":
    steps.SMALLEST = steps.LARGEST = CHUNK
    asyncio.run(_main(sys.argv[1], UUID(sys.argv[2]), int(sys.argv[3]), sys.argv[4]))
