"""Log-ins that last: rows of the tenant's own database, found by a hash of the cookie's value."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.activity.unit import unit_of_work
from core.database import execute, row, rows
from core.ids import hash_token, new_token
from core.web.tables import Session

if TYPE_CHECKING:
    from core.scope import Scope

LASTS: Final = timedelta(days=14)
IDLE_ENDS: Final = timedelta(hours=12)


class SessionRow(Struct, frozen=True):
    """`proved_at` is when the person last showed that it is the one: at the log-in, or when asked again."""

    id: int
    actor_kind: str
    actor_id: int
    created_at: datetime
    last_used_at: datetime
    address: str
    agent: str
    proved_at: datetime

    @property
    def device(self) -> str:
        """What it runs on, in words; "" where the browser does not say."""
        return device_of(self.agent)


ROW: Final = (
    "SELECT id, actor_kind, actor_id, created_at, last_used_at, address, agent,"
    " coalesce(proved_at, created_at) AS proved_at FROM session"
)

_BROWSERS: Final = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
_SYSTEMS: Final = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("Linux", "Linux"),
)


def device_of(agent: str) -> str:
    """“Firefox, Windows” of what a browser says of itself; what is not known is left as it is."""
    browser = next((name for mark, name in _BROWSERS if mark in agent), "")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    return ", ".join(filter(None, (browser, system))) or agent


def cookie_name(*, secure: bool, door: str = "") -> str:
    """The prefix makes the browser refuse a cookie that another host set; it needs https, so localhost goes without.
    Each door has one of its own: nobody is known by it anywhere else."""
    name = f"{door}-session" if door else "session"
    return f"__Host-{name}" if secure else name


def token_in(cookies: str, *, secure: bool, door: str = "") -> str:
    """The session's token in a Cookie header, whatever others have put beside it; empty when there is none."""
    wanted, found = cookie_name(secure=secure, door=door), ""
    for cookie in cookies.split(";"):
        name, _, text = cookie.strip().partition("=")
        if name == wanted:
            found = text
    return found


async def begin_session(
    scope: Scope, actor_kind: str, actor_id: int, *, address: str, agent: str, lasts: timedelta = LASTS
) -> str:
    """A new session with a new id; gives the cookie's value, which is kept nowhere."""
    token = new_token()
    async with unit_of_work(scope):
        await execute("DELETE FROM session WHERE expires_at < :now", now=scope.now())
        await Session(
            token_hash=hash_token(token),
            actor_kind=actor_kind,
            actor_id=actor_id,
            created_at=scope.now(),
            last_used_at=scope.now(),
            expires_at=scope.now() + lasts,
            address=address[:100],
            agent=agent[:200],
            proved_at=scope.now(),
        ).save()
    return token


LIVE: Final = "session.token_hash = :token_hash AND session.expires_at > :now AND session.last_used_at > :idle"
"""SQL of the one live session of a cookie's value, with what `live` gives."""


def live(token: str, now: datetime) -> dict[str, object]:
    return {"token_hash": hash_token(token), "now": now, "idle": now - IDLE_ENDS}


async def find_session(token: str, now: datetime) -> SessionRow | None:
    """The live session of this cookie value."""
    return await row(SessionRow, f"{ROW} WHERE {LIVE}", **live(token, now))


async def list_sessions(actor_kind: str, actor_id: int, now: datetime) -> list[SessionRow]:
    """The live sessions of an actor, the one that was used last first."""
    return await rows(
        SessionRow,
        f"{ROW} WHERE actor_kind = :kind AND actor_id = :id AND expires_at > :now AND last_used_at > :idle"
        " ORDER BY last_used_at DESC",
        kind=actor_kind,
        id=actor_id,
        now=now,
        idle=now - IDLE_ENDS,
    )


async def note_use(scope: Scope, session_id: int, now: datetime) -> None:
    """The one write that a GET may cause, after the answer, at most every five minutes."""
    async with unit_of_work(scope):
        await execute("UPDATE session SET last_used_at = :now WHERE id = :id", now=now, id=session_id)


async def note_proof(scope: Scope, session_id: int) -> None:
    """The person has just shown again that it is the one."""
    async with unit_of_work(scope):
        await execute("UPDATE session SET proved_at = :now WHERE id = :id", now=scope.now(), id=session_id)


async def end_session(scope: Scope, session_id: int) -> None:
    async with unit_of_work(scope):
        await execute("DELETE FROM session WHERE id = :id", id=session_id)


async def end_sessions(scope: Scope, actor_kind: str, actor_id: int, *, but: int = 0) -> int:
    """Log an actor out everywhere (but there): its password, its role or its right to log in has changed. Gives how
    many sessions ended."""
    async with unit_of_work(scope):
        return await execute(
            "DELETE FROM session WHERE actor_kind = :kind AND actor_id = :id AND id <> :but",
            kind=actor_kind,
            id=actor_id,
            but=but,
        )
