"""Inventory: hardware in stock and at customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta, Struct

from core.hooks import (
    Action,
    BulkAction,
    Card,
    CellValue,
    Column,
    Effect,
    Erasure,
    Manifest,
    MenuItem,
    Panel,
    Permission,
    SearchHit,
    Tab,
    hookimpl,
)
from core.settings.queries import load_settings
from core.texts import N_, _, number
from plugins.inventory import actions, api, bulk, erasing, queries, routes, words
from plugins.inventory.importing import TAKE_IMPORT
from plugins.inventory.listing import ITEM_LIST, PRODUCT_LIST
from plugins.inventory.status import ENDED, LABELS, ItemStatus, pill_of
from plugins.inventory.tables import (
    InventoryImport,
    InventoryItem,
    InventoryLocation,
    InventoryProduct,
    InventoryVendor,
)

if TYPE_CHECKING:
    from core.customers.events import CustomerStatusChanged
    from core.scope import Scope
    from core.subscriptions.events import SubscriptionEnded


class InventorySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How the operator works with hardware."""

    ask_back: Annotated[
        bool,
        Meta(
            title=N_("Ask for hardware back"),
            description=N_(
                "When a customer is cancelled or terminated, or the subscription that an item is rented as is over"
            ),
        ),
    ] = True


MANIFEST = Manifest(
    name="inventory",
    label=N_("Inventory"),
    version="1.0",
    hook_version="1.0",
    description=N_("Hardware in stock and at customers: serial numbers, selling, renting, returns, labels, valuation."),
    order=20,
    routes=(*routes.HANDLERS, *api.HANDLERS),
    permissions=(
        Permission("inventory.view", N_("See items")),
        Permission("inventory.edit", N_("Add, assign, move, return and write off items")),
    ),
    lists=(ITEM_LIST, PRODUCT_LIST),
    tables=(InventoryVendor, InventoryProduct, InventoryLocation, InventoryImport, InventoryItem),
    migrations=Path(__file__).parent / "migrations",
    settings=InventorySettings,
    jobs=(TAKE_IMPORT,),
    events=("customer_status_changed", "subscription_ended"),
    deeds=(
        MenuItem(
            area="network", label=N_("Add item"), href="/inventory/items/new", icon="plus", permission="inventory.edit"
        ),
        MenuItem(
            area="network", label=N_("Scan items"), href="/inventory/scan", icon="search", permission="inventory.view"
        ),
    ),
    menu=(
        MenuItem(
            area="network", label=N_("Inventory"), href="/inventory", permission="inventory.view", icon="packages"
        ),
    ),
    icons=("packages", "barcode", "photo-plus", "camera", "camera-rotate", "bulb"),
    uses=("camera",),
)


SIDE: Final = 10
"""Items that stand beside the customer's data; the tab has all."""


@hookimpl
async def customer_tabs(scope: Scope, customer_id: int) -> Sequence[Tab]:
    if not scope.may("inventory.view"):
        return ()
    count = (await queries.count_by_customer(scope, [customer_id])).get(customer_id, 0)
    return (Tab(key="hardware", label=_("Hardware"), href=f"/inventory/customers/{customer_id}", count=count or None),)


@hookimpl
async def customer_panels(scope: Scope, customer_id: int) -> Sequence[Panel]:
    """Only where there is an item (X)."""
    if not scope.may("inventory.view"):
        return ()
    items = await queries.list_of_customer(scope, customer_id, limit=SIDE + 1)
    if not items:
        return ()
    labels = {key.value: pill_of(key) for key in LABELS}
    return (
        Panel(
            key="hardware",
            title=_("Hardware"),
            template="inventory/_panel.html",
            values={
                "items": items[:SIDE],
                "labels": labels,
                "all_href": f"/inventory/customers/{customer_id}" if len(items) > SIDE else "",
            },
        ),
    )


@hookimpl
async def customer_actions(scope: Scope, customer_id: int) -> Sequence[Action]:
    if not scope.may("inventory.edit"):
        return ()
    return (Action(label=_("Hardware…"), href=f"/inventory/customers/{customer_id}", icon="packages", group="create"),)


@hookimpl
async def customer_columns(scope: Scope) -> Sequence[Column]:
    return (Column(key="inventory.items", label=_("Hardware"), kind="number"),)


@hookimpl
async def customer_column_values(
    scope: Scope, customer_ids: Sequence[int], keys: Sequence[str]
) -> Mapping[str, Mapping[int, CellValue]]:
    if "inventory.items" not in keys:
        return {}
    return {"inventory.items": dict(await queries.count_by_customer(scope, customer_ids))}


@hookimpl
async def bulk_actions(listing: str) -> Sequence[BulkAction[Any]]:
    return bulk.ACTIONS if listing == "inventory.items" else ()


@hookimpl
async def search_results(scope: Scope, text: str, limit: int) -> Sequence[SearchHit]:
    if not scope.may("inventory.view"):
        return ()
    return [
        SearchHit(
            kind=_("Items"),
            label=f"{item.name} {item.serial}",
            href=f"/inventory/items/{item.id}",
            detail=item.customer or "",
        )
        for item in await queries.search_items(scope, text, limit)
    ]


@hookimpl
async def dashboard_cards(scope: Scope) -> Sequence[Card]:
    if not scope.may("inventory.view"):
        return ()
    waiting = await queries.count_waiting(scope)
    if not waiting:
        return ()
    href = f"/inventory/items?status={ItemStatus.TO_RETURN}"
    return (Card(key="to_return", label=_("Hardware to be returned"), value=number(waiting), href=href, tone="warn"),)


@hookimpl
async def plan_customer_status_change(scope: Scope, customer_id: int, status_key: str) -> Sequence[Effect]:
    """Who ends is asked for what it still has, in the same unit of work."""
    if status_key not in ENDED or not (await load_settings(InventorySettings)).ask_back:
        return ()
    items = await queries.lent_to(customer_id)
    if not items:
        return ()
    names = ", ".join(f"{item.name} {item.serial}" for item in items[:3]) + (", …" if len(items) > 3 else "")
    return (
        Effect(
            text=_("%(count)s to return: %(names)s", count=words.items(len(items)), names=names),
            kind="service",
            inputs=",".join(str(item.id) for item in items),
            apply=partial(_ask_back, customer_id=customer_id),
        ),
    )


@hookimpl
async def plan_customer_erasure(customer_ids: Sequence[int]) -> Erasure:
    return await erasing.plan_erasure(customer_ids)


async def _ask_back(scope: Scope, customer_id: int) -> None:
    await actions.ask_back(scope, customer_id)


@hookimpl
async def customer_status_changed(scope: Scope, events: Sequence[CustomerStatusChanged]) -> None:
    """The same for whose status was changed for many at once, where no plan is made."""
    settings = await load_settings(InventorySettings)
    if not settings.ask_back:
        return
    for event in events:
        if event.to_key in ENDED:
            await actions.ask_back(scope, event.customer_id)


@hookimpl
async def subscription_ended(scope: Scope, events: Sequence[SubscriptionEnded]) -> None:
    """What was rented as a subscription that is over, however it came to its end, is asked back."""
    if (await load_settings(InventorySettings)).ask_back:
        await actions.ask_back_rented(scope, [event.subscription_id for event in events])
