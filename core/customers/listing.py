"""The list of customers, as it is declared for its page and for the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from core.customers import queries
from core.customers.columns import ShownColumn, shown_columns
from core.customers.hierarchy import find_standing
from core.customers.schemas import CustomerItem
from core.customers.search import customer_search
from core.customers.tables import Customer
from core.errors import Invalid
from core.lists.columns import ListChoice, ListColumn
from core.lists.listing import Choices, Listing
from core.money import format_amount
from core.texts import N_, _
from core.web.parts import Head
from core.web.templating import grouped, written

if TYPE_CHECKING:
    from core.scope import Scope
    from core.web.view import View

CUSTOMERS: Final = Listing(
    href="/customers",
    table=Customer,
    into=CustomerItem,
    select=queries.ITEMS,
    noun="customer",
    sort="name",
    search=customer_search,
    columns=(
        ListColumn(key="name", label=N_("Name"), expr="customer.name_key", keyed=True),
        ListColumn(key="id", label=N_("Id"), expr="customer.id", kind="number"),
        ListColumn(key="phone", label=N_("Phone"), expr="customer.phone_e164"),
        ListColumn(key="email", label=N_("E-mail"), expr="customer.email_key", keyed=True),
        ListColumn(key="city", label=N_("City"), expr="customer.city_key", keyed=True),
        ListColumn(key="joined", label=N_("Joined"), expr="customer.joined_on", kind="date"),
        ListColumn(key="services", label=N_("Services"), expr="customer.live_subscriptions", kind="number"),
        ListColumn(
            key="tags",
            label=N_("Tags"),
            expr="customer.tags_key",
            kind="choice",
            tie="customer.id",
            among="SELECT customer_id FROM customer_tag WHERE tag_id",
        ),
        ListColumn(key="status", label=N_("Status"), expr="customer.status_id", kind="choice"),
        ListColumn(
            key="location", label=N_("Location"), expr="customer.location_id", kind="choice", sorts=False, shown=False
        ),
        ListColumn(
            key="parent", label=N_("Parent"), expr="customer.parent_id", kind="choice", sorts=False, shown=False
        ),
    ),
)
SHOWN_TAGS: Final = 1
"""Tags of a row; how many there are besides stands behind them."""


async def list_choices() -> Choices:
    """What columns of choices can be filtered by."""
    choices: dict[str, list[ListChoice]] = {"tags": []}
    for one in await queries.list_filter_values():
        choices.setdefault(one.column, []).append(ListChoice(one.key, one.label, one.id))
    return choices


async def choices_for(scope: Scope, address: Mapping[str, str]) -> Choices:
    """The same, with the parent that this address asks for: of parents there are too many to choose from."""
    choices = await list_choices()
    asked = address.get("parent", "")
    if not asked:
        return choices
    if not asked.isdecimal() or len(asked) > 18:
        raise Invalid(_("Give the id of a customer."), field="parent")
    parent = await find_standing(scope, int(asked))
    return {**choices, "parent": [ListChoice(asked, asked if parent is None else parent.full_name, int(asked))]}


async def page_values(view: View, *columns: ListColumn) -> dict[str, Any]:
    """The values of customers/_list.html for the address that was asked for; `columns` are those of upper features."""
    choices = await choices_for(view.scope, view.query)
    shown = await CUSTOMERS.having(*columns).show(view, choices=choices)
    found: list[CustomerItem] = shown["rows"]
    tags: dict[int, list[tuple[str, int]]] = {}
    for tag in await queries.list_tags_of([one.id for one in found] if choices["tags"] else ()):
        tags.setdefault(tag.customer_id, []).append((tag.name, tag.colour))
    more = [*_own_columns(found), *await shown_columns(view.scope, [one.id for one in found])]
    shown["heads"] += [Head(label=column.label, number=column.is_number) for column in more]
    return {**shown, "more": more, "tags": tags, "views": [], "may_import": view.scope.may("customers.create")}


def _own_columns(found: Sequence[CustomerItem]) -> list[ShownColumn]:
    """Where they are and who stands above them: columns of pages on which some customer has one."""
    columns = (
        (_("Location"), {one.id: one.location for one in found if one.location}),
        (_("Parent"), {one.id: one.parent or str(one.parent_id) for one in found if one.parent_id is not None}),
    )
    return [ShownColumn(label, False, cells) for label, cells in columns if cells]


class Line(NamedTuple):
    """A row of the page, ready to be read; the template takes it apart by place."""

    id: str
    name: str
    city: str
    phone: str
    email: str
    joined: str
    services: str
    tags: list[tuple[str, int]]
    """The first, with its colour."""
    others: str
    """How many there are besides, and their names."""
    further: str
    status: str
    kind: str
    tone: str
    """Of the balance; empty where there is none to show."""
    balance: str
    cells: list[tuple[bool, str]]
    """Of what features and plugins add: whether it is a number, and the text."""


class Balance(Protocol):
    """As much of a balance as the list shows."""

    @property
    def currency(self) -> str: ...

    @property
    def balance_minor(self) -> int: ...


def lines_of(
    rows: Sequence[CustomerItem],
    balances: Mapping[int, Balance],
    more: Sequence[ShownColumn],
    tags: Mapping[int, list[tuple[str, int]]],
    locale: str,
) -> list[Line]:
    """The rows of a page."""
    lines = []
    for one in rows:
        balance = balances.get(one.id)
        minor = 0 if balance is None else balance.balance_minor
        own_tags = tags.get(one.id, [])
        lines.append(
            Line(
                id=str(one.id),
                name=one.full_name,
                city=one.city,
                phone=one.phone,
                email=one.email,
                joined=written(one.joined_on, locale),
                services=grouped(one.live_subscriptions, locale) if one.live_subscriptions else "",
                tags=own_tags[:SHOWN_TAGS],
                others=f"+{len(own_tags) - SHOWN_TAGS}" if len(own_tags) > SHOWN_TAGS else "",
                further=", ".join(name for name, _colour in own_tags[SHOWN_TAGS:]),
                status=one.status_label,
                kind=one.status_colour,
                tone="" if balance is None else "t-owes" if minor < 0 else "t-plus" if minor > 0 else "t-2",
                balance="" if balance is None else format_amount(minor, balance.currency),
                cells=[(column.is_number, column.cells.get(one.id, "")) for column in more],
            )
        )
    return lines
