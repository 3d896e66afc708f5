"""A process that sends the messages of a tenant until it is killed: `python -m tests.faults.mail_process`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import UUID

from core.clock import SystemClock
from core.database import Database, bind
from core.jobs.kinds import Policy
from core.jobs.worker import Work, Worker
from core.messages.jobs import SEND_MESSAGE
from core.scope import Actor, Scope
from tests import messages
from tests.core.log import scope_of
from tests.faults.log_process import _open

KINDS: Final = (messages.NOTICE,)
"""What is sent: a kind is known where its module is imported."""
QUICK: Final = replace(SEND_MESSAGE, lease=2.0)
"""As the product's, but lost sooner: a test does not wait for two minutes."""


class OneTenant:
    """A registry of one tenant."""

    def __init__(self, database: Database, scope: Scope) -> None:
        self._database, self._scope = database, scope

    async def due(self, now: datetime) -> list[UUID]:
        return [self._scope.tenant.uuid]

    async def every(self) -> list[UUID]:
        return [self._scope.tenant.uuid]

    @asynccontextmanager
    async def open(self, tenant: UUID) -> AsyncIterator[Callable[[Actor], Scope]]:
        with bind(self._database):
            yield self._scope.as_actor

    async def note_due(self, tenant: UUID, at: datetime) -> None:
        pass


def mailing_worker(database: Database, scope: Scope, policy: Policy = "once") -> Worker:
    kind = replace(QUICK, policy=policy)
    return Worker(OneTenant(database, scope), lambda _: Work({kind.name: kind}), sweep_every=0.2)


async def _main(address: str, uuid: UUID, folder: Path, policy: Policy) -> None:
    database = _open(address)
    database.owner = uuid
    scope = scope_of(uuid, SystemClock())
    tenant = replace(scope.tenant, folder=folder, internal_hosts=frozenset({"127.0.0.1"}))
    await mailing_worker(database, replace(scope, tenant=tenant), policy).run()


if __name__ == "__main__":
    address, uuid, folder, policy = sys.argv[1:]
    asyncio.run(_main(address, UUID(uuid), Path(folder), "once" if policy == "once" else "repeatable"))
