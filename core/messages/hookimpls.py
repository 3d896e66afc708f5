"""What messages put on the page of a customer, their tab and writing one; and what can be done to many of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from core.hooks import Action, BulkAction, Erasure, Tab, hookimpl
from core.messages import bulk, erasing, settling
from core.messages.queries import mail_is_set_up
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope


@hookimpl
async def customer_tabs(scope: Scope, customer_id: int) -> Sequence[Tab]:
    """The messages of the customer."""
    if not scope.may("messages.view"):
        return ()
    return [Tab(key="messages", label=_("Messages"), href=f"/customers/{customer_id}/messages")]


@hookimpl
async def customer_actions(scope: Scope, customer_id: int) -> Sequence[Action]:
    """Writing a message, or where mail is set up first."""
    if not scope.may("messages.send"):
        return ()
    refused = "" if await mail_is_set_up() else _("No mail server is set up: see Settings, Mail")
    href = f"/customers/{customer_id}/messages/new"
    return [Action(label=_("Write e-mail…"), href=href, icon="mail", group="message", refused=refused)]


@hookimpl
async def plan_customer_erasure(customer_ids: Sequence[int]) -> Erasure:
    """The words of their messages; that they were sent stays known."""
    return await erasing.plan_erasure(customer_ids)


@hookimpl
async def bulk_actions(listing: str) -> Sequence[BulkAction[Any]]:
    """Writing to many customers; sending many messages again, settling and cancelling them."""
    return {"customers": bulk.ACTIONS, "messages": settling.ACTIONS}.get(listing, ())
