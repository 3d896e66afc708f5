"""The list of messages, as it is declared for its page, its exports and the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from markupsafe import Markup

from core.customers.picking import END, customer_choice, of_customer_named
from core.database import dialect
from core.ids import sort_key
from core.lists.columns import Condition, ListChoice, ListColumn
from core.lists.drawing import NOTHING, link, pill
from core.lists.listing import Choices, Listing
from core.lists.row_ends import RowEnds
from core.messages.kinds import KINDS, kinds_for
from core.messages.queries import LISTED, state_by
from core.messages.schemas import ListedMessage
from core.messages.status import FOR_A_PERSON, UNDER_WAY, MessageState
from core.messages.tables import Message
from core.texts import N_, _, ngettext
from core.web.parts import Pill

if TYPE_CHECKING:
    from core.lists.drawing import Given
    from core.messages.schemas import MessageRow
    from core.scope import Scope

PILLS: Final = {
    MessageState.WAITING: Pill(N_("Waits for a mail server"), "warn"),
    MessageState.QUEUED: Pill(N_("Queued"), "new"),
    MessageState.HELD: Pill(N_("Held"), "warn"),
    MessageState.SENDING: Pill(N_("Sending"), "new"),
    MessageState.SENT: Pill(N_("Sent"), "live"),
    MessageState.FAILED: Pill(N_("Failed"), "blocked"),
    MessageState.UNKNOWN: Pill(N_("Sent or not?"), "warn"),
    MessageState.CANCELLED: Pill(N_("Cancelled"), "ended"),
}
PERSON: Final = "person"
"""What a person has to settle, as the list's address says it."""
UNSENT: Final = "unsent"
JOB: Final = "LEFT JOIN job list_job ON list_job.id = message.job_id"
CUSTOMER: Final = "LEFT JOIN customer list_customer ON list_customer.id = message.customer_id"
STATE: Final = state_by("list_job")
NEVER: Final = "'1970-01-01 00:00:00.000000+00:00'"
"""Where a message stands in an order that has not been sent: as an instant is kept."""


def pill_of(state: MessageState) -> Pill:
    return Pill(_(PILLS[state].label), PILLS[state].kind)


def subject_of(message: ListedMessage | MessageRow) -> str:
    """The subject, or what it is while it has none."""
    if message.subject:
        return message.subject
    kind = KINDS.get(message.kind)
    return _(kind.label) if kind else message.kind


def _in_states(*states: MessageState) -> str:
    """Of those that are not sent: only these are looked through, which are few."""
    if states == (MessageState.SENT,):
        return "message.sent_at IS NOT NULL"
    named = ", ".join(f"'{state}'" for state in states)
    return f"message.sent_at IS NULL AND {STATE} IN ({named})"


async def message_choices(scope: Scope, address: Mapping[str, str]) -> Choices:
    """What columns of choices can be filtered by, with the customer that this address asks for."""
    kinds = sorted(kinds_for(scope.plugins), key=lambda kind: sort_key(_(kind.label)))
    return {
        "state": [
            ListChoice(PERSON, _("For you to settle"), sql=_in_states(*FOR_A_PERSON), tone="bad"),
            ListChoice(UNSENT, _("On their way"), sql=_in_states(*UNDER_WAY)),
            *(
                ListChoice(state.value, _(one.label), state.value, sql=_in_states(state))
                for state, one in PILLS.items()
            ),
        ],
        "kind": [ListChoice(kind.key, _(kind.label), kind.key) for kind in kinds],
        **await customer_choice(scope, address, "customer_id"),
    }


def message_search(typed: str) -> Condition | None:
    """By the beginning of the first address, or of the customer's name."""
    key = sort_key(typed)
    if not key:
        return None
    named = of_customer_named("message.customer_id", key)
    bytewise = ' COLLATE "C"' if dialect() == "postgresql" else ""
    first = f"lower(substr(message.recipients, 1, 260)){bytewise}"
    begin = msgspec.json.encode([typed.lower()]).decode().removesuffix('"]')
    return Condition(
        f"({first} >= :address AND {first} < :address_end) OR {named.sql}",
        {"address": begin, "address_end": begin + END, **named.values},
    )


def _to(row: ListedMessage, given: Given) -> Markup:
    if not given.value:
        return Markup('<span class="t-2">{}</span>').format(_("Erased"))
    return Markup('<span title="{0}">{0}</span>').format(given.value)


def _customer(row: ListedMessage, given: Given) -> Markup:
    if row.customer_id is None:
        return NOTHING
    return link(f"/customers/{row.customer_id}", row.customer_name or str(row.customer_id))


def _queued(row: ListedMessage, given: Given) -> Markup:
    """On a phone with whom it is for."""
    to = Markup('<span class="only-phone"> · {}</span>').format(", ".join(row.to)) if row.to else ""
    return Markup("{}{}").format(given.instant(row.created_at), to)


def _sent(row: ListedMessage, given: Given) -> Markup:
    """When, or when it is tried again and why it was not yet."""
    if row.sent_at is not None:
        return given.instant(row.sent_at)
    if not row.is_tried_again or row.due_at is None:
        return NOTHING
    again = Markup(_("again %(at)s", at="{}")).format(given.instant(row.due_at))
    return Markup('<span class="t-2" title="{}">{}</span>').format(row.error or "", again)


def _state(row: ListedMessage, given: Given) -> Markup:
    shown = pill_of(row.state)
    return pill(shown.label, shown.kind)


async def ends_of(scope: Scope, rows: Sequence[ListedMessage]) -> RowEnds:
    """The menu of what may be done with it."""
    return RowEnds(
        {"": ()},
        kind_of=lambda row: "",
        name_of=subject_of,
        menu="/messages/{id}/row-menu",
        page="/messages/{id}",
    )


MESSAGES: Final = Listing(
    key="messages",
    href="/messages",
    permission="messages.view",
    title=N_("Messages"),
    noun="message",
    counted=lambda many: ngettext("%(num)s message", "%(num)s messages", many),
    placeholder=N_("Customer's name, or e-mail"),
    none=(
        N_("No messages here"),
        N_("Invoices, reminders and what you write to customers are listed here, with what became of them."),
    ),
    no_match=N_("No message matches"),
    table=Message,
    into=ListedMessage,
    select=LISTED,
    sort="-id",
    search=message_search,
    choices=message_choices,
    link=lambda row: f"/messages/{row.id}",
    name_of=subject_of,
    ends=ends_of,
    first_views={
        N_("For you to settle"): {"state": PERSON},
        N_("On their way"): {"state": UNSENT},
        N_("Sent"): {"state": MessageState.SENT.value},
    },
    columns=(
        ListColumn(
            key="subject",
            label=N_("Subject"),
            expr="message.subject",
            value=subject_of,
            cls="t-clip wide",
        ),
        ListColumn(
            key="to",
            label=N_("To"),
            expr="message.recipients",
            sorts=False,
            value=lambda row: ", ".join(row.to),
            cell=_to,
            cls="t-clip",
        ),
        ListColumn(
            key="customer",
            label=N_("Customer"),
            expr="coalesce(list_customer.name_key, '')",
            keyed=True,
            join=CUSTOMER,
            value=lambda row: row.customer_name or "",
            cell=_customer,
            cls="t-clip",
        ),
        ListColumn(
            key="queued",
            label=N_("Queued"),
            expr="message.created_at",
            kind="datetime",
            field="created_at",
            role="c-meta",
            cell=_queued,
        ),
        ListColumn(
            key="sent",
            label=N_("Sent"),
            expr="message.sent_at",
            by=f"coalesce(message.sent_at, {NEVER})",
            kind="datetime",
            field="sent_at",
            cell=_sent,
        ),
        ListColumn(
            key="state",
            label=N_("State"),
            expr=STATE,
            join=JOB,
            kind="choice",
            role="c-status",
            value=lambda row: _(PILLS[row.state].label),
            cell=_state,
        ),
        ListColumn(key="kind", label=N_("Kind"), expr="message.kind", kind="choice", shown=False),
        ListColumn(
            key="attempts",
            label=N_("Attempts"),
            expr="coalesce(list_job.attempts, 0)",
            join=JOB,
            kind="number",
            shown=False,
        ),
        ListColumn(
            key="error",
            label=N_("Why not yet"),
            expr="coalesce(list_job.error, '')",
            join=JOB,
            sorts=False,
            shown=False,
            value=lambda row: row.error or "",
            cls="t-clip wide",
        ),
        ListColumn(key="id", label=N_("Id"), expr="message.id", kind="number", shown=False),
        ListColumn(
            key="customer_id",
            label=N_("Customer"),
            expr="message.customer_id",
            kind="choice",
            sorts=False,
            drawn=False,
        ),
    ),
)
