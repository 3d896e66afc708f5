"""A process that moves a tenant and kills itself before or after a step: `SLUG PLACEMENT STEP [TIMES]`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from core.config import load_config
from tenants import moving, pausing
from tenants.deployment import Deployment
from tenants.registry import Registry

STEPS = {
    "before the copy is made": (moving, "_made", False),
    "the copy is made": (moving, "_made", True),
    "rules are off": (moving, "take_rules_off", True),
    "in the middle of the copy": (moving, "copy_table", True),
    "copied": (moving, "analyze", True),
    "before it is closed": (pausing, "close_for_writes", False),
    "closed": (pausing, "close_for_writes", True),
    "in the middle of comparing": (moving, "level_table", True),
    "compared": (moving, "put_references_on", False),
    "rules are on": (moving, "put_references_on", True),
    "counters are set": (moving, "set_counters", True),
    "the copy is closed": (moving, "close_for_writes", True),
    "before the switch": (Registry, "move", False),
    "switched": (Registry, "move", True),
    "before it is opened": (pausing, "open_for_writes", False),
    "opened": (pausing, "open_for_writes", True),
}


def die_at(step: str, times: int) -> None:
    place, name, after = STEPS[step]
    real = getattr(place, name)
    calls = 0

    async def call(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == times and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = await real(*arguments, **named)
        if calls == times:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(place, name, call)


async def main(slug: str, placement: str, step: str, times: int) -> None:
    die_at(step, times)
    moving.SETTLING = pausing.VISITED = 0.0  # type: ignore[misc]  # nobody else serves it here
    deployment = Deployment(load_config())
    await deployment.start()
    await moving.move_tenant(deployment, await deployment.registry.get_by_slug(slug), placement)
    await deployment.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 1))
