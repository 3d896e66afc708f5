"""Why a message was written and why it is in its state: the kind's rule, who or what caused it, and when."""

from __future__ import annotations

from typing import Final

from litestar import Response
from litestar.params import FromPath

from core.activity.queries import Entry, timeline
from core.customers.timeline import in_words
from core.hooks import Fact
from core.messages import queries
from core.messages.kinds import KINDS
from core.messages.status import MessageState
from core.texts import N_, _
from core.web.routing import get
from core.web.view import View

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


@get("/messages/{message_id:int}/why", permission="messages.view")
async def why_message(view: View, message_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    message = await queries.get_message(scope, message_id)
    if not view.is_htmx:
        return view.go(f"/messages/{message_id}")
    kind = KINDS.get(message.kind)
    facts = [Fact(label=_("State"), value=_(STATES.get(message.state, str(message.state))))]
    if kind is not None and kind.about:
        facts.insert(0, Fact(label=_("Rule"), value=_(kind.about)))
    if message.answer:
        facts.append(Fact(label=_("Mail server"), value=message.answer))
    entries: list[Entry] = []
    if scope.may("activity.view"):
        entries = await timeline(scope, subject=("message", message_id), limit=50)
    for one in await in_words(scope, entries[-1:]):
        facts += [
            Fact(label=_("Event"), value=one.text),
            Fact(label=_("At"), value=view.part("customers/_since.html", at=one.at).strip()),
            Fact(label=_("By"), value=one.by),
        ]
    return view.page("_partials/why.html", title=_(kind.label) if kind is not None else message.kind, reasons=facts)


HANDLERS: Final = (why_message,)
