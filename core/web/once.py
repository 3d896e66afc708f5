"""What is sent twice is done once: answers are kept beside what was done, by the same commit."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from core.activity.unit import again, unit_of_work
from core.database import execute, row
from core.ids import new_token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from core.scope import Scope
    from core.web.view import PageView

FIELD: Final = "_once"
KEPT_FOR: Final = timedelta(days=7)
"""Answers to what may be sent again."""


class Kept(Struct, frozen=True):
    """An answer that was given before. `body_hash` says to what."""

    body_hash: str
    status: int
    answer: str


_KEPT: Final = (
    "SELECT body_hash, status, answer FROM idempotency WHERE actor = :actor AND route = :route AND key = :key"
)


async def find_answer(scope: Scope, route: str, key: str, body_hash: str) -> Kept | None:
    """The answer that was given to this key before; none where it is new, and then the key is taken by this unit of
    work, which must end with `keep_answer`. The same at the same time waits until the first is committed."""
    await execute("DELETE FROM idempotency WHERE created_at < :before", before=scope.now() - KEPT_FOR)
    taken = await execute(
        "INSERT INTO idempotency (actor, route, key, body_hash, status, answer, created_at)"
        " VALUES (:actor, :route, :key, :body_hash, 0, '', :now) ON CONFLICT (actor, route, key) DO NOTHING",
        actor=scope.actor.key,
        route=route,
        key=key,
        body_hash=body_hash,
        now=scope.now(),
    )
    if taken:
        return None
    return await row(Kept, _KEPT, actor=scope.actor.key, route=route, key=key)


async def keep_answer(scope: Scope, route: str, key: str, answer: str, *, status: int) -> None:
    await execute(
        "UPDATE idempotency SET status = :status, answer = :answer"
        " WHERE actor = :actor AND route = :route AND key = :key",
        status=status,
        answer=answer,
        actor=scope.actor.key,
        route=route,
        key=key,
    )


def form_key() -> str:
    """What a form carries along, so that sending it twice does it once: `{{ m.once() }}`."""
    return new_token(16)


async def find_done(view: PageView) -> str | None:
    """The path that this form gave when it was sent before, for what is looked at again before the deed, and is another
    by then. None where it is new. The form was read before."""
    if not view.form_key:
        return None
    said = _said(view)
    found = await row(Kept, f"{_KEPT} AND status > 0", actor=view.scope.actor.key, route=_route(view), key=said)
    return found.answer if found is not None else None


async def once(view: PageView, deed: Callable[[], Awaitable[str]]) -> str:
    """Do what the form asks for, in one unit of work, and give the path that the deed gives.

    The same form with the same in it again (a double click, one that is sent anew) gives the same path and does
    nothing. The form was read before.
    """
    scope, route, said = view.scope, _route(view), _said(view)

    async def run() -> str:
        async with unit_of_work(scope):
            if not view.form_key:
                return await deed()
            kept = await find_answer(scope, route, said, said)
            if kept is not None:
                return kept.answer
            path = await deed()
            await keep_answer(scope, route, said, path, status=303)
            return path

    return await again(run)


def _route(view: PageView) -> str:
    return f"{view.request.method} {view.request.scope['path']}"


def _said(view: PageView) -> str:
    return hashlib.sha256(msgspec.json.encode((view.form_key, sorted(view.typed.items())))).hexdigest()
