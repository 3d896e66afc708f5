"""The list of all subscriptions, as it is declared for its page, its exports and the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from core.catalog.pages import KINDS_MANY, cycle_words
from core.customers.picking import customer_choice, of_customer_named
from core.ids import sort_key
from core.lists.columns import Condition, ListChoice, ListColumn
from core.lists.drawing import link, pill
from core.lists.listing import Choices, Listing
from core.subscriptions import pages
from core.subscriptions.queries import SUBSCRIPTION
from core.subscriptions.schemas import SubscriptionRow
from core.subscriptions.tables import Subscription
from core.texts import N_, _

if TYPE_CHECKING:
    from core.lists.drawing import Given
    from core.scope import Scope

CUSTOMER: Final = "JOIN customer list_customer ON list_customer.id = subscription.customer_id"
PRODUCT: Final = "JOIN product list_product ON list_product.id = subscription.product_id"
LATEST: Final = "'9999-12-31'"


async def subscription_choices(scope: Scope, address: Mapping[str, str]) -> Choices:
    """What columns of choices can be filtered by, with the customer that this address asks for."""
    states = [ListChoice(one.value, _(one.label), one.value) for one in pages.STATES]
    choices = {
        "status": states,
        "state": states,
        "kind": [ListChoice(key, _(label), key) for key, label in KINDS_MANY.items() if key != "one_off"],
    }
    return choices | await customer_choice(scope, address, "customer_id")


def subscription_search(typed: str) -> Condition | None:
    """By the beginning of the customer's name, or the id."""
    key = sort_key(typed)
    if not key:
        return None
    named = of_customer_named("subscription.customer_id", key)
    if typed.isdecimal() and len(typed) <= 18:
        return Condition(f"{named.sql} OR subscription.id = :number", {**named.values, "number": int(typed)})
    return named


def _status(row: SubscriptionRow, given: Given) -> Markup:
    shown = pages.pill_of(row.state, row.ends_on)
    return pill(shown.label, shown.kind)


def _next(row: SubscriptionRow, given: Given) -> str:
    if row.state == "pending":
        return _("Waits for its invoice")
    return pages.next_words(row, given.scope.today(), given.scope.locale)


SUBSCRIPTIONS: Final = Listing(
    key="subscriptions",
    href="/subscriptions",
    permission="subscriptions.view",
    title=N_("Subscriptions"),
    noun="subscription",
    placeholder=N_("Customer's name, or id"),
    none=(
        N_("No subscriptions yet"),
        N_("Customers get plans, modules and services on the tab Subscriptions of their pages."),
    ),
    no_match=N_("No subscription matches"),
    table=Subscription,
    into=SubscriptionRow,
    select=SUBSCRIPTION,
    given=lambda scope: {"today": scope.today()},
    sort="-id",
    search=subscription_search,
    choices=subscription_choices,
    link=lambda row: f"/subscriptions/{row.id}",
    name_of=lambda row: row.label or row.product,
    currency=lambda row: row.currency,
    columns=(
        ListColumn(
            key="product",
            label=N_("Subscription"),
            expr="list_product.name_key",
            keyed=True,
            join=PRODUCT,
            value=lambda row: row.label or row.product,
            cls="t-clip wide",
        ),
        ListColumn(key="id", label=N_("Id"), expr="subscription.id", kind="number"),
        ListColumn(
            key="customer",
            label=N_("Customer"),
            expr="list_customer.name_key",
            keyed=True,
            join=CUSTOMER,
            role="c-meta",
            cls="t-clip wide",
            cell=lambda row, given: link(f"/customers/{row.customer_id}/subscriptions", row.customer),
        ),
        ListColumn(
            key="status",
            label=N_("Status"),
            expr="subscription.state",
            indexed=True,
            kind="choice",
            role="c-status",
            value=lambda row: pages.pill_of(row.state, row.ends_on).label,
            cell=_status,
        ),
        ListColumn(key="price", label=N_("Price agreed"), kind="amount", field="cycle_minor", role="c-amount"),
        ListColumn(key="cycle", label=N_("Per"), value=lambda row: cycle_words(row.cycle_unit, row.cycle_count)),
        ListColumn(
            key="started",
            label=N_("Started"),
            expr="subscription.started_on",
            by=f"coalesce(subscription.started_on, {LATEST})",
            kind="date",
            field="started_on",
        ),
        ListColumn(key="next", label=N_("Next"), field="due_on", cls="t-clip wide", cell=_next),
        ListColumn(
            key="ends",
            label=N_("Ends"),
            expr="subscription.ends_on",
            by=f"coalesce(subscription.ends_on, {LATEST})",
            kind="date",
            field="ends_on",
            shown=False,
        ),
        ListColumn(key="kind", label=N_("Kind"), expr="list_product.kind", join=PRODUCT, kind="choice", shown=False),
        ListColumn(
            key="code", label=N_("Code"), expr="list_product.code", join=PRODUCT, field="product_code", shown=False
        ),
        ListColumn(key="currency", label=N_("Currency"), shown=False),
        ListColumn(key="state", label=N_("Status"), expr="subscription.state", kind="choice", sorts=False, drawn=False),
        ListColumn(
            key="customer_id",
            label=N_("Customer"),
            expr="subscription.customer_id",
            kind="choice",
            sorts=False,
            drawn=False,
        ),
    ),
)
