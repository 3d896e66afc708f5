"""Who acts, for which tenant, with which plugins: the first argument of every action and query."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol
from uuid import UUID

from core.clock import today
from core.database import Everything, Partitions, Reach
from core.errors import Conflict, Forbidden
from core.texts import _

if TYPE_CHECKING:
    from datetime import date, datetime

    from core.clock import Clock
    from core.config import Keys
    from core.hooks import Hooks

ActorKind = Literal["staff", "customer", "token", "plugin", "schedule", "command", "anonymous"]


@dataclass(frozen=True, slots=True)
class Tenant:
    """One operator: its identity and what decides its dates, money and language. Read from its own database."""

    uuid: UUID
    slug: str
    name: str
    address: str
    """Base URL of its pages, without a slash at the end. Links in mail are made from it alone."""
    time_zone: str
    currency: str
    country: str
    language: str
    is_provider: bool = False
    folder: Path | None = None
    """Where its documents and other files lie, wherever its rows do. None: it keeps none (a bare test)."""
    internal_hosts: frozenset[str] = frozenset()
    """Hosts that are not public and that it may connect to all the same: the provider's configuration says so."""
    test_clock: bool = False
    """A copy on which time is tried out: it stands still between two steps, and nothing ever leaves it."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does it. `reach` decides which rows exist for it, `permissions` what it may do with them."""

    kind: ActorKind
    id: int | None
    name: str
    reach: Reach
    permissions: frozenset[str]
    on_behalf_of: str | None = None

    @property
    def key(self) -> str:
        """As it stands in the activity: "staff:7", "plugin:inventory", "schedule:billing"."""
        return f"{self.kind}:{self.id if self.id is not None else self.name}"


ALL_PERMISSIONS = frozenset({"*"})
ANONYMOUS = Actor("anonymous", None, "anonymous", reach=Partitions(()), permissions=frozenset())


def command_actor(name: str) -> Actor:
    """The person at the command line of the machine: may do everything."""
    return Actor("command", None, name, Everything(), ALL_PERMISSIONS)


def schedule_actor(name: str) -> Actor:
    """Work that the clock starts."""
    return Actor("schedule", None, name, Everything(), ALL_PERMISSIONS)


def plugin_actor(name: str, on_behalf_of: str | None = None) -> Actor:
    """A plugin reacting to a fact, on behalf of whoever caused it."""
    return Actor("plugin", None, name, Everything(), ALL_PERMISSIONS, on_behalf_of)


@dataclass(frozen=True, slots=True)
class MadeTenant:
    """A tenant that was just made; `link` sets its administrator's password, once."""

    uuid: UUID
    address: str
    link: str


class Host(Protocol):
    """What the provider's own tenant may ask of the host: given to it alone, implemented by `tenants`."""

    async def create_tenant(self, slug: str, name: str, *, email: str, person: str = "Administrator") -> MadeTenant: ...

    async def suspend_tenant(self, uuid: UUID, reason: str) -> None: ...

    async def resume_tenant(self, uuid: UUID) -> None: ...

    async def enable_plugin(self, uuid: UUID, plugin: str) -> None: ...

    async def disable_plugin(self, uuid: UUID, plugin: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Scope:
    """The tenant that is bound, the actor, the hooks of its enabled plugins and the clock. Cheap: one a request."""

    tenant: Tenant
    actor: Actor
    hooks: Hooks
    clock: Clock
    keys: Keys
    plugins: frozenset[str] = frozenset()
    locale: str = "en"
    host: Host | None = None

    def now(self) -> datetime:
        """The instant, UTC."""
        return self.clock.now()

    def today(self) -> date:
        """The date in the tenant's zone: the one that decides every `*_on`."""
        return today(self.clock, self.tenant.time_zone)

    def may(self, permission: str) -> bool:
        return permission in self.actor.permissions or "*" in self.actor.permissions

    def require(self, permission: str) -> None:
        """Raises Forbidden (403) unless the actor has the permission."""
        if not self.may(permission):
            raise Forbidden(_("You need the permission “%(permission)s” for this.", permission=permission))

    def refuse_on_test_clock(self) -> None:
        """Raises Conflict where time is only tried out: for whatever would reach the world outside."""
        if self.tenant.test_clock:
            raise Conflict(_("This is a copy on which time is tried out: nothing leaves it."))

    def as_actor(self, actor: Actor) -> Scope:
        return replace(self, actor=actor)
