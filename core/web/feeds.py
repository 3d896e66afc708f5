"""Feeds: messages of the server to an open page, as they come. They end with what they tell, and when the server
leaves: a page that is open keeps no server from stopping, and finds the next one by itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, TypeVar

from litestar.response import ServerSentEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from litestar.response.sse import ServerSentEventMessage

T = TypeVar("T")
_leaving: Final = asyncio.Event()


def end_feeds() -> None:
    """The server leaves: open feeds end now, and those that begin from now on at once."""
    _leaving.set()


def feed(messages: AsyncIterator[ServerSentEventMessage | str]) -> ServerSentEvent:
    """The answer that tells these messages."""
    return ServerSentEvent(until(_leaving, messages))


async def until(over: asyncio.Event, messages: AsyncIterator[T]) -> AsyncIterator[T]:
    """What comes of them until `over` is set, or whoever reads goes away; what they wait for is given up then."""
    ended = asyncio.ensure_future(over.wait())
    try:
        while not over.is_set():
            following = asyncio.ensure_future(anext(messages, None))
            try:
                await asyncio.wait((following, ended), return_when=asyncio.FIRST_COMPLETED)
            finally:
                following.cancel()  # says nothing to one that is done; else it ends what it waits in
            if not following.done() or (message := following.result()) is None:
                return
            yield message
    finally:
        ended.cancel()
