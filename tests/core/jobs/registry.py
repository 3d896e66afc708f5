"""A registry of the tenants of a test, for the worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from core.database import Database, bind, current
from core.jobs.worker import NotServed
from core.scope import Actor, Scope


@dataclass
class Tenants:
    """Tenants by their identity, and the hints that were noted of them."""

    open_ones: dict[UUID, tuple[Database, Scope]] = field(default_factory=dict)
    hints: dict[UUID, datetime] = field(default_factory=dict)
    suspended: set[UUID] = field(default_factory=set)
    opened: list[UUID] = field(default_factory=list)

    @classmethod
    def of(cls, *scopes: Scope) -> Tenants:
        """These tenants, whose database is bound."""
        return cls({scope.tenant.uuid: (current(), scope) for scope in scopes})

    async def due(self, now: datetime) -> Sequence[UUID]:
        found = [tenant for tenant, at in self.hints.items() if at <= now]
        for tenant in found:
            del self.hints[tenant]
        return found

    async def every(self) -> Sequence[UUID]:
        return list(self.open_ones)

    @asynccontextmanager
    async def open(self, tenant: UUID) -> AsyncIterator[Callable[[Actor], Scope]]:
        if tenant in self.suspended:
            raise NotServed
        self.opened.append(tenant)
        database, scope = self.open_ones[tenant]
        with bind(database):
            yield scope.as_actor

    async def note_due(self, tenant: UUID, at: datetime) -> None:
        self.hints[tenant] = min(at, self.hints.get(tenant, at))
