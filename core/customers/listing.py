"""The list of customers, as it is declared for its page and for the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from core.customers import queries
from core.customers.columns import shown_columns
from core.customers.schemas import CustomerItem
from core.customers.search import customer_search
from core.customers.tables import Customer
from core.lists.columns import ListChoice, ListColumn
from core.lists.listing import Choices, Listing
from core.web.parts import Head

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
