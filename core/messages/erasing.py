"""What messages hold of customers who are to be forgotten: who wrote to them stays known, the words go."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from core.database import row
from core.hooks import Effect, Erasure
from core.messages.actions import erase_messages
from core.texts import ngettext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope


class _Held(Struct, frozen=True):
    messages: int


async def plan_erasure(customer_ids: Sequence[int]) -> Erasure:
    held = await row(_Held, "SELECT count(*) AS messages FROM message WHERE customer_id IN :ids", ids=customer_ids)
    if held is None or not held.messages:
        return Erasure()
    told = ngettext(
        "Words and recipients of %(num)s message", "Words and recipients of %(num)s messages", held.messages
    )
    return Erasure(effects=(Effect(kind="data", text=told, apply=partial(_erase, customer_ids)),))


async def _erase(customer_ids: Sequence[int], scope: Scope) -> None:
    for customer_id in customer_ids:
        await erase_messages(scope, customer_id)
