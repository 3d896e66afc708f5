"""The list of customers, as it is declared for its page, its exports and the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from core.customers import queries
from core.customers.addresses import grouped
from core.customers.columns import further_columns
from core.customers.picking import customer_choice
from core.customers.schemas import CustomerItem
from core.customers.search import customer_search
from core.customers.sections import BILLING_TYPES
from core.customers.tables import Customer
from core.lists.columns import ListChoice, ListColumn, Loaded
from core.lists.drawing import NOTHING, Given, link, pill
from core.lists.listing import Choices, Listing
from core.texts import N_, _, ngettext
from core.web.templating import marked, shown

if TYPE_CHECKING:
    from core.customers.queries import RowTag
    from core.scope import Scope

SHOWN_TAGS: Final = 1
"""Tags of a row; how many there are besides stands behind them."""


async def list_choices() -> Choices:
    """What columns of choices can be filtered by."""
    choices: dict[str, list[ListChoice]] = {
        "tags": [],
        "billing_type": [ListChoice(one.value, one.label, one.value) for one in BILLING_TYPES],
    }
    for one in await queries.list_filter_values():
        choices.setdefault(one.column, []).append(ListChoice(one.key, one.label, one.id))
    return choices


async def choices_for(scope: Scope, address: Mapping[str, str]) -> Choices:
    """The same, with the parent that this address asks for."""
    return {**await list_choices(), **await customer_choice(scope, address, "parent")}


async def _load_tags(scope: Scope, customer_ids: Sequence[int], keys: Sequence[str]) -> Loaded:
    found: dict[int, list[RowTag]] = {}
    for tag in await queries.list_tags_of(customer_ids):
        found.setdefault(tag.customer_id, []).append(tag)
    return Loaded({"tags": found})


def _phone(row: CustomerItem, given: Given) -> Markup:
    """On a phone the id and the city stand in its place."""
    city = f" · {shown(row.city)}" if row.city else ""
    if not row.phone:
        return marked(f'<span class="only-phone">{row.id}{city}</span><span class="only-wide">{NOTHING}</span>')
    return marked(
        f'<span class="only-phone">{row.id}{city}</span>'
        f'<span class="only-wide" data-number="{shown(row.phone)}">{shown(grouped(row.phone))}</span>'
    )


def _tags(row: CustomerItem, given: Given) -> Markup:
    tags: Sequence[RowTag] = given.value or ()
    if not tags:
        return NOTHING
    told = "".join(f'<span class="t-tag g{one.colour}">{shown(one.name)}</span>' for one in tags[:SHOWN_TAGS])
    if len(tags) > SHOWN_TAGS:
        others = ", ".join(one.name for one in tags[SHOWN_TAGS:])
        told += f' <span class="t-2" title="{shown(others)}">+{len(tags) - SHOWN_TAGS}</span>'
    return marked(told)


PIECES: Final = "customer_pieces"
"""In which SQLite finds texts that stand anywhere in a column."""

CUSTOMERS: Final = Listing(
    key="customers",
    href="/customers",
    permission="customers.view",
    title=N_("Customers"),
    noun="customer",
    counted=lambda many: ngettext("%(num)s customer", "%(num)s customers", many),
    placeholder=N_("Name, e-mail, phone or id"),
    none=(
        N_("No customers yet"),
        N_(
            "Type the first one in, or take over the ones you have from a CSV or XLSX file,"
            " also as another system wrote it."
        ),
    ),
    no_match=N_("No customer matches"),
    table=Customer,
    into=CustomerItem,
    select=queries.ITEMS,
    sort="name",
    search=customer_search,
    choices=choices_for,
    further=further_columns,
    link=lambda row: f"/customers/{row.id}",
    name_of=lambda row: row.full_name,
    currency=lambda row: row.currency,
    total_currency="customer.currency",
    by_id=("customer_beside_id", frozenset({"name"})),
    columns=(
        ListColumn(
            key="name",
            label=N_("Name"),
            expr="customer.name_key",
            indexed=True,
            in_reach=True,
            keyed=True,
            pieces=PIECES,
            pieces_further=True,
            field="full_name",
            cls="t-clip wide",
        ),
        ListColumn(
            key="id",
            label=N_("Id"),
            expr="customer.id",
            kind="number",
            cell=lambda row, given: link(f"/customers/{row.id}", str(row.id)),
        ),
        ListColumn(
            key="phone",
            label=N_("Phone"),
            expr="customer.phone_e164",
            indexed=True,
            pieces=PIECES,
            role="c-meta",
            cls="t-nowrap",
            cell=_phone,
        ),
        ListColumn(key="email", label=N_("E-mail"), expr="customer.email_key", indexed=True, keyed=True, pieces=PIECES),
        ListColumn(key="city", label=N_("City"), expr="customer.city_key", indexed=True, keyed=True, pieces=PIECES),
        ListColumn(
            key="joined",
            label=N_("Joined"),
            expr="customer.joined_on",
            indexed=True,
            beside=("name", "status"),
            kind="date",
            field="joined_on",
        ),
        ListColumn(
            key="services",
            label=N_("Services"),
            expr="customer.live_subscriptions",
            indexed=True,
            kind="number",
            field="live_subscriptions",
            cell=lambda row, given: (
                link(f"/customers/{row.id}/subscriptions", str(given.value)) if given.value else NOTHING
            ),
        ),
        ListColumn(
            key="tags",
            label=N_("Tags"),
            expr="customer.tags_key",
            indexed=True,
            kind="choice",
            tie="customer.id",
            among="SELECT customer_id FROM customer_tag WHERE tag_id",
            load=_load_tags,
            cell=_tags,
        ),
        ListColumn(
            key="status",
            label=N_("Status"),
            expr="customer.status_id",
            indexed=True,
            beside=("name",),
            kind="choice",
            value=lambda row: _(row.status_label),
            role="c-status",
            cell=lambda row, given: pill(_(row.status_label), row.status_colour),
        ),
        ListColumn(
            key="login",
            label=N_("Login"),
            expr="customer.login_key",
            keyed=True,
            pieces=PIECES,
            filled="customer_login",
            shown=False,
        ),
        ListColumn(
            key="company",
            label=N_("Company"),
            expr="customer.company",
            by="lower(customer.company)",
            pieces=PIECES,
            shown=False,
        ),
        ListColumn(
            key="billing_type",
            label=N_("Billing type"),
            expr="customer.billing_type",
            kind="choice",
            indexed=True,
            shown=False,
        ),
        ListColumn(
            key="street",
            label=N_("Street"),
            expr="customer.street",
            by="lower(customer.street)",
            pieces=PIECES,
            shown=False,
        ),
        ListColumn(key="zip", label=N_("ZIP"), expr="customer.zip", pieces=PIECES, shown=False),
        ListColumn(key="country", label=N_("Country"), expr="customer.country", alike=True, indexed=True, shown=False),
        ListColumn(
            key="currency", label=N_("Currency"), expr="customer.currency", alike=True, indexed=True, shown=False
        ),
        ListColumn(
            key="reference",
            label=N_("Reference"),
            expr="customer.external_ref",
            pieces=PIECES,
            filled="customer_external_ref",
            field="external_ref",
            shown=False,
        ),
        ListColumn(
            key="location",
            label=N_("Location"),
            expr="customer.location_id",
            by="coalesce((SELECT location.name_key FROM location WHERE location.id = customer.location_id), '')",
            groups="SELECT location.name_key AS at, location.id FROM location",
            kind="choice",
            shown=False,
        ),
        ListColumn(
            key="parent",
            label=N_("Parent"),
            expr="customer.parent_id",
            by="customer.parent_key",
            indexed=True,
            kind="choice",
            shown=False,
            value=lambda row: row.parent or (str(row.parent_id) if row.parent_id is not None else ""),
        ),
    ),
)
