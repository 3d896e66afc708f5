"""A process that upgrades all tenants and kills itself before or after a step: `STEP TIMES`; without them it ends."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import sys
from typing import Any

from core.config import load_config
from core.database import migrations
from tenants import upgrading
from tenants.deployment import Deployment
from tenants.registry import Registry

STEPS = {
    "before a backup": (upgrading, "_back_up", False),
    "backed up": (upgrading, "_back_up", True),
    "in the middle of a migration": (migrations, "run_sql", True),
    "before a migration is recorded": (migrations, "_now", False),
    "before the commit": (migrations, "_run_pending", True),
    "upgraded": (upgrading, "migrate", True),
    "before one is marked as failed": (Registry, "set_status", False),
    "one is marked as failed": (Registry, "set_status", True),
}


def die_at(step: str, times: int) -> None:
    place, name, after = STEPS[step]
    real = getattr(place, name)
    calls = itertools.count(1)

    def kill() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    async def call(*arguments: Any, **named: Any) -> Any:
        mine = next(calls) == times
        if mine and not after:
            kill()
        answer = await real(*arguments, **named)
        if mine:
            kill()
        return answer

    def call_at_once(*arguments: Any) -> Any:
        if next(calls) == times:
            kill()
        return real(*arguments)

    setattr(place, name, call if asyncio.iscoroutinefunction(real) else call_at_once)


async def main() -> None:
    deployment = Deployment(load_config())
    await deployment.start()
    results = await upgrading.upgrade_all(deployment)
    await deployment.stop()
    print(json.dumps({result.slug: [len(result.ran), result.error] for result in results}))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        die_at(sys.argv[1], int(sys.argv[2]))
    asyncio.run(main())
