"""The list of customers, as it is declared for its page and for the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from core.customers import queries
from core.customers.columns import ShownColumn, shown_columns
from core.customers.schemas import CustomerItem
from core.customers.search import customer_search
from core.customers.tables import Customer
from core.lists.columns import ListChoice, ListColumn
from core.lists.listing import Choices, Listing
from core.money import format_amount
from core.web.parts import Head
from core.web.templating import grouped, written

if TYPE_CHECKING:
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
        ListColumn(key="name", label="Name", expr="customer.name_key", keyed=True),
        ListColumn(key="id", label="Id", expr="customer.id", kind="number"),
        ListColumn(key="phone", label="Phone", expr="customer.phone_e164"),
        ListColumn(key="email", label="E-mail", expr="customer.email_key", keyed=True),
        ListColumn(key="city", label="City", expr="customer.city_key", keyed=True),
        ListColumn(key="joined", label="Joined", expr="customer.joined_on", kind="date"),
        ListColumn(key="services", label="Services", expr="customer.live_subscriptions", kind="number"),
        ListColumn(key="status", label="Status", expr="customer.status_id", kind="choice"),
    ),
)


async def list_choices() -> Choices:
    """What columns of choices can be filtered by."""
    return {"status": [ListChoice(one.key, one.label, one.id) for one in await queries.list_statuses()]}


async def page_values(view: View, *columns: ListColumn) -> dict[str, Any]:
    """The values of customers/_list.html for the address that was asked for; `columns` are those of upper features."""
    shown = await CUSTOMERS.having(*columns).show(view, choices=await list_choices())
    more = await shown_columns(view.scope, [one.id for one in shown["rows"]])
    shown["heads"] += [Head(label=column.label, number=column.is_number) for column in more]
    return {**shown, "more": more, "views": [], "may_import": view.scope.may("customers.create")}


class Line(NamedTuple):
    """A row of the page, ready to be read; the template takes it apart by place."""

    id: str
    name: str
    city: str
    phone: str
    email: str
    joined: str
    services: str
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
    rows: Sequence[CustomerItem], balances: Mapping[int, Balance], more: Sequence[ShownColumn], locale: str
) -> list[Line]:
    """The rows of a page."""
    lines = []
    for one in rows:
        balance = balances.get(one.id)
        minor = 0 if balance is None else balance.balance_minor
        lines.append(
            Line(
                id=str(one.id),
                name=one.full_name,
                city=one.city,
                phone=one.phone,
                email=one.email,
                joined=written(one.joined_on, locale),
                services=grouped(one.live_subscriptions, locale) if one.live_subscriptions else "",
                status=one.status_label,
                kind=one.status_kind,
                tone="" if balance is None else "t-owes" if minor < 0 else "t-plus" if minor > 0 else "t-2",
                balance="" if balance is None else format_amount(minor, balance.currency),
                cells=[(column.is_number, column.cells.get(one.id, "")) for column in more],
            )
        )
    return lines
