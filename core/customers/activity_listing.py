"""The list of all that happened, as it is declared for its page, its exports and the API."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from markupsafe import Markup
from msgspec import Struct

from core.activity.events import EVENTS
from core.activity.queries import kinds_that_happened, list_entries
from core.activity.tables import Activity
from core.customers.picking import customer_choice, of_customer_named
from core.customers.timeline import in_words, kind_in_words
from core.database import Everything, dialect
from core.ids import sort_key
from core.lists.columns import Condition, ListChoice, ListColumn, Loaded
from core.lists.drawing import NOTHING, link
from core.lists.listing import Choices, Listing
from core.staff.queries import actor_names
from core.texts import N_, _, ngettext

if TYPE_CHECKING:
    from core.lists.drawing import Given
    from core.scope import Scope
    from core.web.parts import Change, Happening

SEE_ALL: Final = "activity.all"
"""The permission to see what happened in the whole tenant, also to staff and settings."""
LOG: Final = (
    "SELECT activity.position AS id, activity.at, activity.customer_id, list_customer.full_name AS customer_name"
    " FROM activity LEFT JOIN customer list_customer ON list_customer.id = activity.customer_id"
)
OTHERS: Final = {
    "customers": (N_("Customers in the portal"), "customer"),
    "tokens": (N_("API tokens"), "token"),
    "plugins": (N_("Plugins"), "plugin"),
    "schedules": (N_("Schedules"), "schedule"),
    "commands": (N_("Command line"), "command"),
    "nobody": (N_("Not logged in"), "anonymous"),
}
"""Actors that are asked for together, with the kind that their keys begin with."""


class LogRow(Struct, frozen=True):
    """A row of the list; what it says is had for a whole page at once. `id` is the position."""

    id: int
    at: datetime
    customer_id: int | None = None
    customer_name: str | None = None


async def log_choices(scope: Scope, address: Mapping[str, str]) -> Choices:
    """What it can be filtered by: kinds that happened, and what this address asks for. Who sees some customers alone
    is not told who else works here."""
    asked = {kind for kind in address.get("kind", "").split(",") if kind in EVENTS}
    kinds = [(kind_in_words(kind, defaultdict(lambda: "…")), kind) for kind in {*await kinds_that_happened(), *asked}]
    bytewise = ' COLLATE "C"' if dialect() == "postgresql" else ""
    staff = await actor_names(None if isinstance(scope.actor.reach, Everything) else [scope.actor.key])
    one_actor = [
        ListChoice(
            key.replace(":", "-"),
            name,
            sql=f"activity.actor{bytewise} = :list_{key.replace(':', '_')}",
            values={f"list_{key.replace(':', '_')}": key},
        )
        for key, name in staff
    ]
    kind_of_actor = [
        ListChoice(
            key,
            _(label),
            sql=f"activity.actor{bytewise} >= :list_{key} AND activity.actor{bytewise} < :list_{key}_over",
            values={f"list_{key}": f"{begin}:", f"list_{key}_over": f"{begin};"},
        )
        for key, (label, begin) in OTHERS.items()
    ]
    return {
        "actor": [*one_actor, *kind_of_actor],
        "kind": [ListChoice(kind, label, kind) for label, kind in sorted(kinds, key=lambda one: sort_key(one[0]))],
        **await customer_choice(scope, address, "customer_id"),
    }


def log_search(typed: str) -> Condition | None:
    """By the beginning of the customer's name."""
    key = sort_key(typed)
    return of_customer_named("activity.customer_id", key) if key else None


async def _load_words(scope: Scope, positions: Sequence[int], keys: Sequence[str]) -> Loaded:
    """What the lines say, put in words as on the page of a customer."""
    told = await in_words(scope, await list_entries(scope, positions), leading=True)
    return Loaded(
        {
            "who": {one.position: one.by for one in told},
            "what": {one.position: _Said(one) for one in told},
            "changes": {one.position: [_Told(each) for each in one.changes] for one in told},
        }
    )


class _Said(str):
    """What happened, and the page of what it happened to."""

    href: str

    def __new__(cls, happening: Happening) -> _Said:
        said = super().__new__(cls, happening.text)
        said.href = happening.href
        return said


def _what(row: LogRow, given: Given) -> Markup:
    said = given.value
    return link(said.href, said, title=said) if said.href else Markup("{}").format(said)


class _Told:
    """A change, as an export writes it."""

    def __init__(self, change: Change) -> None:
        self.change = change

    def __str__(self) -> str:
        before = f"{self.change.old} → " if self.change.old else ""
        return f"{self.change.label}: {before}{self.change.new or _('None')}"


def _changes(row: LogRow, given: Given) -> Markup:
    """How many, and unfolded each before and after."""
    if not given.value:
        return NOTHING
    each = Markup("").join(
        Markup('<div class="t-change">{} {}<ins>{}</ins></div>').format(
            one.change.label,
            Markup("<del>{}</del> → ").format(one.change.old) if one.change.old else "",
            one.change.new or _("None"),
        )
        for one in given.value
    )
    many = ngettext("%(num)s value", "%(num)s values", len(given.value))
    return Markup('<details class="t-values"><summary>{}</summary>{}</details>').format(many, each)


def _customer(row: LogRow, given: Given) -> Markup:
    if row.customer_id is None:
        return NOTHING
    if row.customer_name is None:
        return Markup('<span class="t-2">{}</span>').format(row.customer_id)
    return link(f"/customers/{row.customer_id}/activity", row.customer_name, title=row.customer_name)


ACTIVITY: Final = Listing(
    key="activity",
    href="/settings/activity",
    permission=SEE_ALL,
    title=N_("Activity"),
    noun="event",
    placeholder=N_("Customer's name"),
    none=(N_("Nothing has happened yet."), N_("Every change stands here, with who made it.")),
    table=Activity,
    tells_apart="position",
    into=LogRow,
    select=LOG,
    sort="-id",
    search=log_search,
    choices=log_choices,
    columns=(
        ListColumn(
            key="at",
            label=N_("Time"),
            expr="activity.at",
            kind="datetime",
            indexed=True,
            beside=("id", "at"),
            role="c-amount",
            cls="t-nowrap t-date",
        ),
        ListColumn(key="who", label=N_("Who"), load=_load_words, role="c-meta", cls="t-clip wide"),
        ListColumn(
            key="what", label=N_("What happened"), load=_load_words, cell=_what, role="c-name", cls="t-clip wide"
        ),
        ListColumn(
            key="customer",
            label=N_("Customer"),
            value=lambda row: row.customer_name or "",
            cell=_customer,
            role="c-status",
            cls="t-clip wide",
        ),
        ListColumn(key="changes", label=N_("Old and new values"), load=_load_words, cell=_changes, cls="c-values"),
        ListColumn(
            key="id", label=N_("Position"), expr="activity.position", kind="number", beside=("id",), shown=False
        ),
        ListColumn(
            key="actor",
            label=N_("Who"),
            expr="activity.actor",
            kind="choice",
            sorts=False,
            beside=("id",),
            drawn=False,
        ),
        ListColumn(
            key="kind",
            label=N_("What happened"),
            expr="activity.kind",
            kind="choice",
            sorts=False,
            beside=("id",),
            drawn=False,
        ),
        ListColumn(
            key="customer_id",
            label=N_("Customer"),
            expr="activity.customer_id",
            kind="choice",
            sorts=False,
            beside=("id",),
            drawn=False,
        ),
    ),
)
