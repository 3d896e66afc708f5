"""One request's visit: which tenant it reached, who makes it, and how the two were found out."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import structlog
from litestar.utils import normalize_path

from core.errors import Unauthenticated, Unavailable
from core.scope import ANONYMOUS, Actor, Scope
from core.texts import SOURCE, accepted, fitting, speaking
from core.web import sessions
from core.web.throttle import Allowance, Limiter

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from litestar.connection import ASGIConnection
    from litestar.types import ASGIApp, Message, Receive, Send
    from litestar.types import Scope as ASGIScope

    from core.clock import Clock
    from core.config import Keys
    from core.hooks import Hooks
    from core.scope import Host, Tenant
    from core.web.doors import Door

STATE_KEY: Final = "tenantry"
BOUND_KEY: Final = "tenantry.bound"
API_PREFIX: Final = "/api/"
STATIC_PREFIX: Final = "/static/"
_READ: Final = frozenset({b"cookie", b"authorization", b"accept-language"})
USE_NOTED_EVERY: Final = timedelta(minutes=5)
_tokens_noted: Final[dict[tuple[UUID, int], datetime]] = {}
"""When the use of a tenant's API token was last written down by this process."""


class Looks(Protocol):
    """How a signed-in person wants the pages."""

    @property
    def theme(self) -> str: ...

    @property
    def narrow(self) -> bool: ...

    @property
    def language(self) -> str: ...

    @property
    def time_zone(self) -> str: ...


@dataclass(frozen=True, slots=True)
class PlainLooks:
    theme: str = "auto"
    narrow: bool = False
    language: str = ""
    time_zone: str = ""


Proves = Callable[[Scope, str], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Person:
    """An actor that a session belongs to, and how it wants the pages."""

    actor: Actor
    looks: Looks = PlainLooks()
    email: str = ""
    only: str = ""
    """The one place that it may go to for now: what it has to do first is done there."""
    proves: Proves | None = None
    """Whether what was typed shows that it is the one (its password, a code)."""


LoadPerson = Callable[[int], Awaitable[Person | None]]
FindPerson = Callable[[str, "datetime"], Awaitable[tuple[sessions.SessionRow, Person] | None]]
"""Whose live session a cookie's value is."""
FindToken = Callable[..., Awaitable[Actor | None]]
NoteToken = Callable[[Scope, int], Awaitable[None]]


class Switches(Protocol):
    """Switching plugins on and off for the bound tenant; the host does it."""

    async def enable(self, scope: Scope, plugin: str) -> None: ...

    async def disable(self, scope: Scope, plugin: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Bound:
    """The tenant that the host name led to; put into the ASGI scope by whoever binds its database."""

    tenant: Tenant
    hooks: Hooks
    plugins: frozenset[str]
    clock: Clock
    keys: Keys
    host: Host | None = None
    secure: bool = False
    switches: Switches | None = None

    def scope(self, actor: Actor, locale: str = "") -> Scope:
        return Scope(
            tenant=self.tenant,
            actor=actor,
            hooks=self.hooks,
            clock=self.clock,
            keys=self.keys,
            plugins=self.plugins,
            locale=locale or self.tenant.language,
            host=self.host,
        )


@dataclass(slots=True)
class Visit:
    """What the middleware found out; handlers reach it through `View` or `Call`."""

    bound: Bound
    scope: Scope
    request_id: str
    limiter: Limiter
    session: sessions.SessionRow | None = None
    session_token: str = ""
    looks: Looks = field(default_factory=PlainLooks)
    email: str = ""
    only: str = ""
    proves: Proves | None = None
    refused: Unauthenticated | None = None
    """Why the token that was shown is not taken, where that can be said."""
    allowance: Allowance | None = None
    """What the program that asks has left, where requests are counted."""
    door: Door | None = None
    """The way in that leads to what was asked for, where it is not the staff's."""
    door_name: str = ""
    around: Mapping[str, Any] = field(default_factory=dict)
    """What pages behind a door show beside their own values."""

    @property
    def signed_in(self) -> bool:
        return self.scope.actor.kind != "anonymous"


def is_http(scope: ASGIScope) -> bool:
    return str(scope["type"]) == "http"


def bind_in(scope: ASGIScope, bound: Bound) -> None:
    """Put the tenant where the rest of the request finds it; only who binds its database does."""
    cast("dict[str, Any]", scope)[BOUND_KEY] = bound


def bound_in(scope: ASGIScope) -> Bound:
    return cast("Bound", cast("dict[str, Any]", scope)[BOUND_KEY])


def _address_of(scope: ASGIScope) -> str:
    client = cast("dict[str, Any]", scope).get("client")
    return str(client[0]) if client else ""


def visit_of(connection: ASGIConnection[Any, Any, Any, Any]) -> Visit:
    visit: Visit = connection.scope["state"][STATE_KEY]
    return visit


class Identify:
    """Middleware: the session cookie (pages) or the bearer token (API) gives the actor. A cookie is never looked at
    under /api/, a token never elsewhere, and behind a plugin's door nothing but its own cookie, so that none can stand
    in for another."""

    def __init__(
        self,
        app: ASGIApp,
        find_staff: FindPerson,
        find_token: FindToken,
        note_token: NoteToken,
        limiter: Limiter,
        doors: Mapping[str, Door] | None = None,
    ) -> None:
        self._doors = dict(doors or {})
        self._limiter = limiter
        self._note_token = note_token
        self._app = app
        self._find_staff = find_staff
        self._find_token = find_token

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        if not is_http(scope):
            await self._app(scope, receive, send)
            return
        bound = bound_in(scope)
        headers = {name: value for name, value in scope["headers"] if name in _READ}
        path = scope["path"] = normalize_path(scope["path"])  # as the router reads it: `//api` is `/api` here too
        asked = accepted(headers.get(b"accept-language", b"").decode("latin-1"))
        locale = (asked or SOURCE) if path.startswith(API_PREFIX) else fitting(asked, bound.tenant.language)
        visit = Visit(bound, bound.scope(ANONYMOUS, locale), request_id=secrets.token_hex(8), limiter=self._limiter)
        name = path[1:].partition("/")[0]
        door = self._doors.get(name)
        if door is not None and door.leads_to(path):
            visit.door_name, visit.door = name, door
        scope.setdefault("state", {})[STATE_KEY] = visit
        structlog.contextvars.bind_contextvars(request_id=visit.request_id)
        if path.startswith(API_PREFIX):
            visit.allowance = self._limiter.count_address(_address_of(scope))
            if visit.allowance is None or not visit.allowance.refused:
                await self._by_token(visit, headers.get(b"authorization", b"").decode("latin-1"))
        elif not path.startswith(STATIC_PREFIX):
            await self._by_cookie(visit, headers.get(b"cookie", b"").decode("latin-1"))

        async def with_request_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                told = visit.allowance.headers if visit.allowance is not None else ()
                message["headers"] = [*message["headers"], (b"x-request-id", visit.request_id.encode()), *told]
            await send(message)

        if visit.signed_in:
            structlog.contextvars.bind_contextvars(actor=visit.scope.actor.kind, actor_id=visit.scope.actor.id)
        with speaking(visit.scope.locale):
            await self._app(scope, receive, with_request_id)
        await self._note_use(visit)

    async def _by_token(self, visit: Visit, authorization: str) -> None:
        kind, _, token = authorization.partition(" ")
        if kind.lower() == "bearer" and token:
            try:
                with speaking(visit.scope.locale):
                    actor = await self._find_token(token.strip(), visit.scope.now())
            except Unauthenticated as error:
                visit.refused = error
                return
            if actor is not None:
                visit.scope = visit.scope.as_actor(actor)
                visit.allowance = self._limiter.count_token(visit.bound.tenant.uuid, actor.id) or visit.allowance

    async def _by_cookie(self, visit: Visit, cookies: str) -> None:
        door = visit.door
        if door is not None and visit.door_name not in visit.scope.plugins:
            return
        token = sessions.token_in(cookies, secure=visit.bound.secure, door=visit.door_name if door is not None else "")
        if not token:
            return
        now = visit.scope.now()
        found = await (self._find_staff(token, now) if door is None else _behind(door, token, now))
        if found is None:
            return
        session, person = found
        visit.session, visit.session_token = session, token
        visit.looks, visit.email, visit.only, visit.proves = person.looks, person.email, person.only, person.proves
        chosen = person.looks.language
        locale = fitting(chosen, visit.bound.tenant.language) if chosen else visit.scope.locale
        visit.scope = visit.bound.scope(person.actor, locale)
        if door is not None:
            with speaking(locale):
                visit.around = await door.around(visit.scope, session)

    async def _note_use(self, visit: Visit) -> None:
        now, actor = visit.scope.now(), visit.scope.actor
        if actor.kind == "token" and actor.id is not None:
            key = visit.bound.tenant.uuid, actor.id
            if key not in _tokens_noted or _tokens_noted[key] < now - USE_NOTED_EVERY:
                _tokens_noted[key] = now
                with suppress(Unavailable):
                    await self._note_token(visit.scope, actor.id)
        if visit.session is not None and visit.session.last_used_at < now - USE_NOTED_EVERY:
            with suppress(Unavailable):  # the answer has been given: the next request notes it
                await sessions.note_use(visit.scope, visit.session.id, now)


async def _behind(door: Door, token: str, now: datetime) -> tuple[sessions.SessionRow, Person] | None:
    """Whom the cookie of a door belongs to."""
    session = await sessions.find_session(token, now)
    if session is None or session.actor_kind not in door.people:
        return None
    person = await door.people[session.actor_kind](session.actor_id)
    return None if person is None else (session, person)
