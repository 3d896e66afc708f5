"""Links that a message carries: those that plugins have for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core import hookspecs
from core.hooks import MessageLink
from core.texts import speaking

if TYPE_CHECKING:
    from core.scope import Scope


async def links_for(
    scope: Scope, kind: str, customer_id: int, *, document_id: int | None = None, language: str = ""
) -> list[MessageLink]:
    """In the order of the plugins and in the language of the message; what a plugin cannot tell is left out."""
    with speaking(language or scope.tenant.language):
        answers = await scope.hooks.ask(
            hookspecs.message_links, scope=scope, kind=kind, customer_id=customer_id, document_id=document_id
        )
    return [link for answer in answers for link in answer.value or ()]
