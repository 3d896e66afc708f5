"""What can be done to many messages at once: sent again, settled as sent, cancelled, taken away as a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from core.hooks import BulkAction, Effect, NothingToAsk
from core.lists.taking import taking
from core.messages import actions
from core.messages.listing import MESSAGES
from core.messages.queries import get_message
from core.messages.status import MessageState
from core.texts import N_, _

if TYPE_CHECKING:
    from core.scope import Scope


async def _send_again(scope: Scope, form: NothingToAsk, message_id: int) -> Sequence[Effect]:
    message = await get_message(scope, message_id)
    await actions.send_again(scope, message_id)
    match message.state:
        case MessageState.UNKNOWN:
            text = _("Goes out again; the recipients may have it already")
        case MessageState.HELD:
            text = _("Goes out from this copy; the tenant that this is a copy of may have sent it already")
        case _state:
            text = _("Goes out again")
    return (Effect(kind="message", text=text, inputs=", ".join(message.recipients)),)


async def _mark_as_sent(scope: Scope, form: NothingToAsk, message_id: int) -> Sequence[Effect]:
    await actions.mark_as_sent(scope, message_id)
    return (Effect(kind="change", text=_("Counts as sent")),)


async def _cancel(scope: Scope, form: NothingToAsk, message_id: int) -> Sequence[Effect]:
    message = await get_message(scope, message_id)
    if message.state == MessageState.CANCELLED:
        return ()
    await actions.cancel_message(scope, message_id)
    return (Effect(kind="message", text=_("Is not sent"), inputs=", ".join(message.recipients)),)


ACTIONS: Final[tuple[BulkAction[Any], ...]] = (
    BulkAction(
        key="messages.send_again",
        label=N_("Send again"),
        verb=N_("Send again"),
        title=N_("Send messages again"),
        icon="send",
        permission="messages.send",
        form=NothingToAsk,
        do=_send_again,
        place=10,
    ),
    BulkAction(
        key="messages.mark_as_sent",
        label=N_("Mark as sent"),
        verb=N_("Mark as sent"),
        title=N_("Mark messages as sent"),
        icon="check",
        permission="messages.send",
        form=NothingToAsk,
        do=_mark_as_sent,
        place=20,
    ),
    BulkAction(
        key="messages.cancel",
        label=N_("Cancel"),
        verb=N_("Cancel messages"),
        title=N_("Cancel messages"),
        icon="ban",
        permission="messages.send",
        form=NothingToAsk,
        do=_cancel,
        danger=True,
        place=70,
    ),
    taking(MESSAGES),
)
