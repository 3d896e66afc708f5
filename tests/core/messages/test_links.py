"""Links of plugins in messages: each plugin's, in the language of the message, and none that cannot be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from core import hookspecs
from core.hooks import Hooks, MessageLink, hookimpl
from core.messages.links import links_for
from core.testing import TestTenant
from core.texts import locale_now

if TYPE_CHECKING:
    from core.scope import Scope


@hookimpl
async def message_links(scope: Scope, kind: str, customer_id: int, document_id: int | None) -> Sequence[MessageLink]:
    return (MessageLink(label=f"{kind} {locale_now()}", href=f"https://shop.example/{customer_id}/{document_id}"),)


def plugin(name: str, hook: object) -> tuple[str, ModuleType]:
    module = ModuleType(name)
    module.message_links = hook  # type: ignore[attr-defined]  # as a plugin's module has it
    return name, module


async def test_a_message_carries_the_links_of_any_plugin_in_its_own_language(tenant: TestTenant) -> None:
    @hookimpl
    async def broken(scope: Scope, kind: str, customer_id: int, document_id: int | None) -> Sequence[MessageLink]:
        raise RuntimeError("out of order")

    broken.__name__ = "message_links"
    hooks = Hooks(hookspecs, [plugin("a", broken), plugin("b", message_links)])
    scope = replace(tenant.scope(), hooks=hooks)

    (link,) = await links_for(scope, "invoice", 7, document_id=9, language="de")

    assert (link.label, link.href) == ("invoice de", "https://shop.example/7/9")


def test_a_link_in_a_message_has_a_whole_address() -> None:
    with pytest.raises(ValueError, match="no whole address"):
        MessageLink(label="Pay", href="/portal/pay")
