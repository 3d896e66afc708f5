"""What plugin authors test with, and we too: a tenant of its own, a clock moved by hand, clients of any role.

    async with open_tenant(tmp_path, plugins=["inventory"]) as tenant:
        page = await tenant.browser()
        answer = await page.get("/inventory/items")

A call of the API takes a token: `await tenant.api()` is a client that carries one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import httpx
import msgspec
from argon2 import PasswordHasher

from core import hookspecs
from core.activity.asking import nothing_kept
from core.activity.unit import unit_of_work
from core.app import HOOK_MODULES, MIGRATIONS, RESERVED, create_app, migrations_of, permissions_of, surrounded
from core.clock import FixedClock
from core.config import LOOPBACK, Keys
from core.database import Database, Everything, SqliteDatabase, bind, claim, execute, migrate, value
from core.hooks import HookSets, Plugin, find_plugins, usable
from core.ids import hash_token, new_token, new_uuid
from core.scope import ALL_PERMISSIONS, Actor, Scope, Tenant
from core.settings.actions import save_settings
from core.settings.company import CompanySettings
from core.staff import passwords
from core.staff.actions import invite_staff
from core.staff.schemas import Invite
from core.web.csrf import HEADER, csrf_token
from core.web.sessions import begin_session, cookie_name
from core.web.visit import Bound, bind_in

if TYPE_CHECKING:
    from litestar import Litestar
    from litestar.types import Receive, Send
    from litestar.types import Scope as ASGIScope

START: Final = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
HOST: Final = "test.localhost"


@lru_cache(maxsize=1)
def installed() -> dict[str, Plugin]:
    """The plugins that are installed here."""
    return find_plugins(hookspecs, taken=RESERVED)


@lru_cache(maxsize=1)
def application() -> Litestar:
    """The application with every installed plugin; the same for all tests of a process."""
    return create_app(installed())


@lru_cache(maxsize=1)
def hook_sets() -> HookSets:
    plugins = [(name, plugin.module) for name, plugin in usable(installed()).items()]
    return HookSets(hookspecs, HOOK_MODULES, plugins, guard=nothing_kept)


def cheap_passwords() -> None:
    """Hash passwords with the least work: for tests, that set many."""
    passwords.PASSWORDS.use(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@dataclass(slots=True)
class TestTenant:
    """A tenant with its own database, bound for as long as it is open."""

    __test__ = False

    database: Database
    tenant: Tenant
    clock: FixedClock
    keys: Keys
    plugins: frozenset[str]
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    def scope(self, *permissions: str, actor: Actor | None = None) -> Scope:
        """As staff with these permissions, with all of them when none is named; or as another actor."""
        someone = actor or Actor("staff", 1, "Test Staff", Everything(), frozenset(permissions) or ALL_PERMISSIONS)
        return self.bound.scope(someone)

    @property
    def bound(self) -> Bound:
        return Bound(
            tenant=self.tenant,
            hooks=hook_sets().of(self.plugins),
            plugins=self.plugins,
            clock=self.clock,
            keys=self.keys,
        )

    async def staff(self, role: str = "Administrator", email: str = "") -> int:
        """A staff user with a role of that name; gives its id."""
        role_id = await value("SELECT id FROM role WHERE label = :role", role=role)
        made = await invite_staff(
            self.scope(),
            Invite(name=f"{role} Person", email=email or f"{new_token(6).lower()}@staff.example", role_id=role_id),
        )
        return made.staff_id

    async def staff_with(self, permissions: Collection[str]) -> int:
        """A staff user that may do just this."""
        label = f"Role {new_token(6)}"
        async with unit_of_work(self.scope()):
            await execute(
                "INSERT INTO role (label, permissions, builtin) VALUES (:label, :permissions, FALSE)",
                label=label,
                permissions=msgspec.json.encode(sorted(permissions)).decode(),
            )
        return await self.staff(label)

    async def browser(self, role: str = "Administrator", *, staff_id: int | None = None) -> httpx.AsyncClient:
        """A client with a session, as a browser has it: cookie, Origin, CSRF token. Redirects are not followed."""
        someone = staff_id if staff_id is not None else await self.staff(role)
        token = await begin_session(self.scope(), "staff", someone, address="127.0.0.1", agent="test")
        return self._with_session(token)

    async def behind(self, door: str, kind: str, actor_id: int) -> httpx.AsyncClient:
        """A client that was let in by a plugin's door: `behind("portal", "customer", 7)`."""
        token = await begin_session(self.scope(), kind, actor_id, address="127.0.0.1", agent="test")
        return self._with_session(token, door)

    def _with_session(self, token: str, door: str = "") -> httpx.AsyncClient:
        return self._client(
            cookies={cookie_name(secure=False, door=door): token},
            headers={
                HEADER: csrf_token(token, self.tenant.uuid),
                "origin": f"http://{HOST}",
                "sec-fetch-site": "same-origin",
            },
        )

    async def api(self, permissions: Iterable[str] = ("*",)) -> httpx.AsyncClient:
        """A client with a bearer token."""
        token = f"tnt_{new_token()}"
        async with unit_of_work(self.scope()):
            await execute(
                "INSERT INTO api_token (name, token_hash, permissions, created_by, created_at)"
                " VALUES ('test', :hash, :permissions, 'test', :now)",
                hash=hash_token(token),
                permissions=msgspec.json.encode(sorted(permissions)).decode(),
                now=self.clock.now(),
            )
        return self._client(headers={"authorization": f"Bearer {token}"})

    def anonymous(self) -> httpx.AsyncClient:
        """A client that nobody knows, as a browser."""
        return self._client(headers={"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"})

    def _client(self, **options: Any) -> httpx.AsyncClient:
        application()  # raised here, what is wrong with it is read in the test, not answered as a 500
        transport = httpx.ASGITransport(app=self._asgi, raise_app_exceptions=False)  # type: ignore[arg-type]  # httpx types the application loosely
        client = httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}", **options)
        self.clients.append(client)
        return client

    async def _asgi(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        with bind(self.database):
            bind_in(scope, self.bound)
            await surrounded(application())(scope, receive, send)


@asynccontextmanager
async def tenant_on(
    database: Database,
    *,
    plugins: Iterable[str] = (),
    company: CompanySettings | None = None,
    now: datetime = START,
    folder: Path | None = None,
) -> AsyncIterator[TestTenant]:
    """A tenant on a migrated database that nobody has claimed, bound. Plugins' tables must be there already.

    Its files lie in `folder`; it may connect to servers on this machine.
    """
    uuid: UUID = new_uuid()
    settings = company or CompanySettings(name="Test Net", country="IE", currency="EUR", time_zone="Europe/Dublin")
    keys = Keys.generated()
    tenant = Tenant(
        uuid=uuid,
        slug="test",
        name=settings.name,
        address=f"http://{HOST}",
        time_zone=settings.time_zone,
        currency=settings.currency,
        country=settings.country,
        language=settings.language,
        folder=folder,
        internal_hosts=LOOPBACK,
    )
    made = TestTenant(database, tenant, FixedClock(now), keys, frozenset(plugins))
    with bind(database):
        await claim(uuid)
        await save_settings(made.scope(), settings)
        try:
            yield made
        finally:
            for client in made.clients:
                await client.aclose()


@asynccontextmanager
async def open_tenant(
    folder: Path, *, plugins: Iterable[str] = (), company: CompanySettings | None = None, now: datetime = START
) -> AsyncIterator[TestTenant]:
    """A tenant in a SQLite file of this folder, with these plugins switched on."""
    names = frozenset(plugins)
    database = SqliteDatabase(folder / "tenant.sqlite", create=True)
    try:
        with bind(database):
            await migrate(migrations_of(installed(), names))
        async with tenant_on(database, plugins=names, company=company, now=now, folder=folder) as made:
            yield made
    finally:
        await database.close()


def all_permissions() -> frozenset[str]:
    """Every permission that a role can be given here."""
    return frozenset(permission.key for permission in permissions_of(installed()))


__all__ = [
    "MIGRATIONS",
    "START",
    "TestTenant",
    "all_permissions",
    "cheap_passwords",
    "installed",
    "open_tenant",
    "tenant_on",
]
