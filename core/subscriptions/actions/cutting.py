"""Days that are given up while their charge stands on a draft: who keeps drafts lets go of it first, and takes up again
what is left of it."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from datetime import date

    from core.scope import Scope

    LetGo = Callable[[Scope, int, date | None], AbstractAsyncContextManager[None]]

_heard: Final[list[LetGo]] = []


def when_days_are_cut(let_go: LetGo) -> None:
    """Hear of a subscription whose days from one on are given up (None: all that is not invoiced), in the same unit of
    work. What is let go of before is open while they are cut; what is still open afterwards may be taken up again."""
    _heard.append(let_go)


@asynccontextmanager
async def off_drafts(scope: Scope, subscription_id: int, from_on: date | None) -> AsyncIterator[None]:
    """Nothing of these days stands on a draft meanwhile."""
    async with AsyncExitStack() as stack:
        for let_go in _heard:
            await stack.enter_async_context(let_go(scope, subscription_id, from_on))
        yield
