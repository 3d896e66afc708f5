"""Why a message was written and why it is in its state: the kind's rule, who or what caused it, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.activity.queries import timeline
from core.customers.timeline import in_words
from core.customers.whys import Why
from core.hooks import Fact
from core.messages.kinds import KINDS
from core.messages.status import MessageState
from core.texts import N_, _

if TYPE_CHECKING:
    from core.messages.schemas import MessageFull
    from core.scope import Scope

STATES: Final = {
    MessageState.WAITING: N_("No mail server is set up: it goes out when one is."),
    MessageState.QUEUED: N_("It is to be sent, or tried again."),
    MessageState.SENDING: N_("It is being handed to the mail server."),
    MessageState.SENT: N_("The mail server has taken it."),
    MessageState.FAILED: N_("The mail server refused it, or could not be reached often enough."),
    MessageState.UNKNOWN: N_("It was cut off while it was sent: it may have gone out."),
    MessageState.HELD: N_("This tenant is a copy, so nothing goes out by itself."),
    MessageState.CANCELLED: N_("Somebody cancelled it."),
}


async def why_message(scope: Scope, message: MessageFull) -> Why:
    kind = KINDS.get(message.kind)
    facts = [Fact(label=_("State"), value=_(STATES.get(message.state, str(message.state))))]
    if kind is not None and kind.about:
        facts.insert(0, Fact(label=_("Rule"), value=_(kind.about)))
    if message.answer:
        facts.append(Fact(label=_("Mail server"), value=message.answer))
    title = _(kind.label) if kind is not None else message.kind
    if not scope.may("activity.view"):
        return Why(title, facts)
    entries = await timeline(scope, subject=("message", message.id), limit=50)
    first = await in_words(scope, entries[-1:])
    return Why(title, facts, first[0] if first else None)
