"""Answers of the API that are kept for their Idempotency-Keys, where they name a person who is to be forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from core.activity.unit import unit_of_work
from core.database import execute, stream
from core.ids import says_one_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from core.scope import Scope


class _Kept(Struct, frozen=True):
    id: int
    answer: str


async def erase_answers(scope: Scope, texts: Collection[str]) -> int:
    """Forget the kept answers that say one of these texts: the same request again is done anew. Gives how many."""
    names = says_one_of(texts)
    async with unit_of_work(scope):
        naming = [
            kept.id
            async for kept in stream(_Kept, "SELECT id, answer FROM idempotency", size=200)
            if names(kept.answer)
        ]
        if naming:
            await execute("DELETE FROM idempotency WHERE id IN :ids", ids=naming)
    return len(naming)
