"""Where an item goes: to a customer, back, from place to place, out of use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.activity.unit import record, unit_of_work
from core.billing.actions import invoice_open_charges
from core.catalog.queries import get_product as get_catalogue_product
from core.customers.queries import get_customer
from core.database import execute, value
from core.errors import Conflict, Invalid, NotFound
from core.subscriptions import actions as subscriptions
from core.subscriptions.actions.shared import payers_language
from core.subscriptions.queries import get_subscription
from core.subscriptions.schemas import NewCharge, NewSubscription
from core.subscriptions.status import STARTED
from core.texts import _, in_sentence, speaking
from plugins.inventory.events import (
    InventoryItemAssigned,
    InventoryItemInUse,
    InventoryItemKept,
    InventoryItemMoved,
    InventoryItemRented,
    InventoryItemRestocked,
    InventoryItemReturned,
    InventoryItemSold,
    InventoryItemWrittenOff,
    InventoryReturnAsked,
)
from plugins.inventory.queries import get_item, get_location, get_product, lent_to, rented_as
from plugins.inventory.schemas import Move, Return, WriteOff
from plugins.inventory.status import (
    AT_PLACE,
    FROM,
    LABELS,
    RENTED_AS,
    TRANSITIONS,
    WITH_CUSTOMER,
    Condition,
    Deed,
    ItemStatus,
    pill_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.customers.schemas import CustomerDetail
    from core.scope import Scope
    from plugins.inventory.schemas import ItemRow, ProductRow, Rental, Sale


async def assign_item(scope: Scope, item_id: int, customer_id: int) -> None:
    """Lend an item to a customer."""
    async with unit_of_work(scope):
        item = await get_item(scope, item_id)
        await get_customer(scope, customer_id)
        _check(item, ItemStatus.ASSIGNED, Deed.ASSIGN)
        await _put(scope, item, ItemStatus.ASSIGNED, customer_id=customer_id)
        record(
            scope,
            InventoryItemAssigned(inventory_item_id=item_id, customer_id=customer_id, serial=item.serial),
            changes=_status(item, ItemStatus.ASSIGNED),
        )


async def sell_item(scope: Scope, item_id: int, data: Sale) -> int:
    """Sell it to a customer, to the one who has it where there is one; gives the charge's id.

    The charge waits for the next invoice, or everything that is open for whoever pays is invoiced now.
    """
    scope.require("subscriptions.change")
    if data.invoice == "now":
        scope.require("documents.issue")
    async with unit_of_work(scope):
        item = await get_item(scope, item_id)
        customer = await _buyer(scope, item, data.customer_id)
        product = await get_product(item.product_id)
        _check(item, ItemStatus.SOLD, Deed.SELL)
        await _end_rent(scope, item, "today")
        with speaking(await payers_language(scope, customer.payer_id or customer.id)):
            description = _("%(name)s, serial number %(serial)s", name=item.name, serial=item.serial)
        charge_id = await subscriptions.add_charge(
            scope,
            NewCharge(
                customer_id=customer.id,
                description=description,
                amount_minor=_price(scope, customer, product, data.amount_minor),
                tax_category=data.tax_category or product.tax_category,
                tax_inclusive=product.tax_inclusive if data.tax_inclusive is None else data.tax_inclusive,
                source_key=f"inventory:sale:{item_id}:{item.version}",
            ),
        )
        await _put(scope, item, ItemStatus.SOLD, customer_id=customer.id, charge_id=charge_id)
        record(
            scope,
            InventoryItemSold(
                inventory_item_id=item_id, customer_id=customer.id, serial=item.serial, charge_id=charge_id
            ),
            changes=_status(item, ItemStatus.SOLD),
        )
        if data.invoice == "now":
            await invoice_open_charges(scope, customer.payer_id or customer.id)
        return charge_id


def _price(scope: Scope, customer: CustomerDetail, product: ProductRow, given: int | None) -> int:
    """What was typed, else the product's price where the customer pays in the same currency."""
    if given is not None:
        return given
    if customer.currency != scope.tenant.currency:
        raise Invalid(
            _(
                "%(full_name)s pays in %(currency)s: type the price.",
                full_name=customer.full_name,
                currency=customer.currency,
            ),
            field="amount_minor",
        )
    if product.sell_minor is None:
        raise Invalid(_("%(full_name)s has no price: type one.", full_name=product.full_name), field="amount_minor")
    return product.sell_minor


async def rent_item(scope: Scope, item_id: int, data: Rental) -> int:
    """Rent it to a customer as a subscription of the catalogue; gives the subscription's id."""
    scope.require("subscriptions.change")
    async with unit_of_work(scope):
        item = await get_item(scope, item_id)
        customer = await _buyer(scope, item, data.customer_id)
        _check(item, ItemStatus.RENTED, Deed.RENT)
        product_id, price_id = await _rented_as(scope, item, customer, data.price_id)
        subscription_id = await subscriptions.subscribe(
            scope,
            NewSubscription(
                customer_id=customer.id,
                product_id=product_id,
                price_id=price_id,
                starts_on=data.starts_on,
                amount_minor=data.amount_minor,
                label=f"{item.name} {item.serial}"[:200],
            ),
        )
        await _put(scope, item, ItemStatus.RENTED, customer_id=customer.id, subscription_id=subscription_id)
        record(
            scope,
            InventoryItemRented(
                inventory_item_id=item_id, customer_id=customer.id, serial=item.serial, subscription_id=subscription_id
            ),
            changes=_status(item, ItemStatus.RENTED),
        )
        return subscription_id


async def _rented_as(scope: Scope, item: ItemRow, customer: CustomerDetail, price_id: int | None) -> tuple[int, int]:
    """Product and price of the catalogue: those chosen, else the first that the product is rented as."""
    if price_id is not None:
        found = await value("SELECT product_id FROM price WHERE id = :id", id=price_id)
        if found is None:
            raise Invalid(_("Choose a price of the list."), field="price_id")
        if (await get_catalogue_product(int(found))).kind not in RENTED_AS:
            raise Invalid(_("Hardware is rented as a service or module: choose one of their prices."), field="price_id")
        return int(found), price_id
    product = await get_product(item.product_id)
    if product.rent_product_id is None:
        raise Invalid(
            _("Choose what %(full_name)s is rented as, or say so on the product's page.", full_name=product.full_name),
            field="price_id",
        )
    today = scope.today()
    for price in sorted((await get_catalogue_product(product.rent_product_id)).prices, key=lambda one: one.id):
        in_force = price.valid_from <= today and (price.valid_to is None or price.valid_to > today)
        if price.currency == customer.currency and in_force and price.cycle_unit != "once":
            return product.rent_product_id, price.id
    raise Invalid(
        _(
            "%(rent_product)s has no price in %(currency)s.",
            rent_product=product.rent_product,
            currency=customer.currency,
        ),
        field="price_id",
    )


async def _buyer(scope: Scope, item: ItemRow, customer_id: int | None) -> CustomerDetail:
    if item.customer_id is not None:
        if customer_id not in (None, item.customer_id):
            raise Conflict(
                _("Customer %(customer_id)s has this item. Take it back first.", customer_id=item.customer_id)
            )
        return await get_customer(scope, item.customer_id)
    if customer_id is None:
        raise Invalid(_("Choose a customer."), field="customer_id")
    return await get_customer(scope, customer_id)


async def ask_back(scope: Scope, customer_id: int) -> int:
    """All that a customer who has ended still has is to be returned; gives how many items."""
    async with unit_of_work(scope):
        return await _ask_for(scope, await lent_to(customer_id))


async def ask_back_rented(scope: Scope, subscription_ids: Sequence[int]) -> int:
    """What was rented as subscriptions that are over is to be returned; gives how many items."""
    async with unit_of_work(scope):
        return await _ask_for(scope, await rented_as(subscription_ids))


async def _ask_for(scope: Scope, items: Sequence[ItemRow]) -> int:
    for item in items:
        if item.customer_id is None:
            continue
        await _put(
            scope,
            item,
            ItemStatus.TO_RETURN,
            customer_id=item.customer_id,
            subscription_id=item.subscription_id,
        )
        record(
            scope,
            InventoryReturnAsked(inventory_item_id=item.id, customer_id=item.customer_id, serial=item.serial),
            changes=_status(item, ItemStatus.TO_RETURN),
        )
    return len(items)


async def keep_item(scope: Scope, item_id: int) -> None:
    """It was asked back, and stays with the customer after all: rented as it was where that goes on, else lent."""
    async with unit_of_work(scope):
        item = await get_item(scope, item_id)
        if item.status != ItemStatus.TO_RETURN or item.customer_id is None:
            raise Conflict(_("This item was not asked back."))
        rented = item.subscription_id is not None and await _is_live(scope, item.subscription_id)
        to = ItemStatus.RENTED if rented else ItemStatus.ASSIGNED
        await _put(
            scope,
            item,
            to,
            customer_id=item.customer_id,
            subscription_id=item.subscription_id if rented else None,
        )
        record(
            scope,
            InventoryItemKept(inventory_item_id=item_id, customer_id=item.customer_id, serial=item.serial),
            changes=_status(item, to),
        )


class Returned:
    """What a return did beside the item: rent that ends, a sale that is undone."""

    def __init__(self) -> None:
        self.rent_ended = False
        self.waived = False
        self.invoiced = False


async def return_item(scope: Scope, item_id: int, data: Return | None = None) -> Returned:
    """It is back from a customer. Rent ends; the charge of a sale that is not invoiced yet is given up."""
    data = data or Return()
    async with unit_of_work(scope):
        item = await get_item(scope, item_id)
        if item.customer_id is None:
            raise Conflict(_("Nobody has this item: there is nothing to return."))
        to = ItemStatus.IN_STOCK if data.checked else ItemStatus.RETURNED
        _check(item, to, Deed.RETURN)
        told = Returned()
        if item.status == ItemStatus.SOLD and item.charge_id is not None:
            scope.require("subscriptions.change")
            told.waived = await value("SELECT state FROM charge WHERE id = :id", id=item.charge_id) == "open"
            told.invoiced = not told.waived
            if told.waived:
                await subscriptions.waive_charge(scope, item.charge_id)
        told.rent_ended = await _end_rent(scope, item, data.rent)
        location_id = await _location(data.location_id)
        used = Condition.USED if item.condition == Condition.NEW else Condition(item.condition)
        await _put(scope, item, to, location_id=location_id, condition=Condition(data.condition or used))
        record(
            scope,
            InventoryItemReturned(inventory_item_id=item_id, customer_id=item.customer_id, serial=item.serial),
            changes=_status(item, to),
        )
        return told


async def _end_rent(scope: Scope, item: ItemRow, when: str) -> bool:
    """End the subscription that an item is rented as, where it is live. Gives whether it ends."""
    if when == "leave" or item.subscription_id is None or not await _is_live(scope, item.subscription_id):
        return False
    scope.require("subscriptions.change")
    if when == "expiry":
        await subscriptions.cancel_at_expiry(scope, item.subscription_id)
    else:
        await subscriptions.terminate(scope, item.subscription_id)
    return True


async def _is_live(scope: Scope, subscription_id: int) -> bool:
    try:
        return (await get_subscription(scope, subscription_id)).state in STARTED
    except NotFound:
        return False


async def move_item(scope: Scope, item_id: int, data: Move) -> None:
    """From one location to another."""
    async with unit_of_work(scope):
        item = await get_item(scope, item_id)
        status = ItemStatus(item.status)
        if status not in AT_PLACE:
            raise Conflict(_("An item that is %(state)s is at no location.", state=in_sentence(pill_of(status)[0])))
        location_id = await _location(data.location_id)
        if location_id == item.location_id:
            raise Conflict(
                _("It is at %(location)s already.", location=item.location)
                if item.location
                else _("It is at no location already.")
            )
        await _write(scope, item, status, customer_id=None, location_id=location_id)
        to = (await get_location(location_id)).name if location_id is not None else None
        record(scope, InventoryItemMoved(inventory_item_id=item_id), changes={"location": (item.location, to)})


async def use_item(scope: Scope, item_id: int, data: Move | None = None) -> None:
    """For the operator's own people or network."""
    async with unit_of_work(scope):
        item = await get_item(scope, item_id)
        location_id = await _location(data.location_id) if data is not None else item.location_id
        await _put(scope, item, ItemStatus.INTERNAL_USE, location_id=location_id)
        record(scope, InventoryItemInUse(inventory_item_id=item_id), changes=_status(item, ItemStatus.INTERNAL_USE))


async def restock_item(scope: Scope, item_id: int, data: Move | None = None) -> None:
    """It can be given out: it was looked at, is no longer in use, or was found again."""
    async with unit_of_work(scope):
        item = await get_item(scope, item_id)
        if item.customer_id is not None:
            raise Conflict(_("A customer has this item: return it."))
        location_id = await _location(data.location_id) if data is not None else item.location_id
        await _put(scope, item, ItemStatus.IN_STOCK, location_id=location_id)
        record(scope, InventoryItemRestocked(inventory_item_id=item_id), changes=_status(item, ItemStatus.IN_STOCK))


async def write_off_item(scope: Scope, item_id: int, data: WriteOff | None = None) -> None:
    """Lost or broken: it is counted no more. Rent ends today."""
    async with unit_of_work(scope):
        item = await get_item(scope, item_id)
        _check(item, ItemStatus.WRITTEN_OFF, Deed.WRITE_OFF)
        await _end_rent(scope, item, "today")
        await _put(scope, item, ItemStatus.WRITTEN_OFF)
        changes = _status(item, ItemStatus.WRITTEN_OFF)
        if data is not None and data.reason:
            changes["reason"] = (None, data.reason)
        record(
            scope,
            InventoryItemWrittenOff(inventory_item_id=item_id, customer_id=item.customer_id),
            changes=changes,
        )


def _status(item: ItemRow, to: ItemStatus) -> dict[str, tuple[object, object]]:
    return {"status": (LABELS[ItemStatus(item.status)][0], LABELS[to][0])}


def _check(item: ItemRow, to: ItemStatus, deed: Deed | None = None) -> None:
    """Raises Conflict where that way is not in the table of transitions, or the deed is not one of this state."""
    before = ItemStatus(item.status)
    if to not in TRANSITIONS[before] or (deed is not None and before not in FROM[deed]):
        raise Conflict(
            _(
                "An item that is %(state)s cannot become %(to)s.",
                state=in_sentence(pill_of(before)[0]),
                to=in_sentence(pill_of(to)[0]),
            )
        )


async def _location(location_id: int | None) -> int | None:
    if location_id is None:
        return None
    try:
        return (await get_location(location_id)).id
    except NotFound:
        raise Invalid(_("Choose a location of the list."), field="location_id") from None


async def _put(
    scope: Scope,
    item: ItemRow,
    to: ItemStatus,
    *,
    customer_id: int | None = None,
    location_id: int | None = None,
    charge_id: int | None = None,
    subscription_id: int | None = None,
    condition: Condition | None = None,
) -> None:
    """Into another state, by the table of transitions. What is not given is left behind with the old state."""
    _check(item, to)
    if (customer_id is not None) != (to in WITH_CUSTOMER):
        raise ValueError(f"an item that is {to} and a customer of {customer_id} do not go together")
    await _write(
        scope,
        item,
        to,
        customer_id=customer_id,
        location_id=location_id,
        charge_id=charge_id,
        subscription_id=subscription_id,
        condition=condition,
    )


async def _write(
    scope: Scope,
    item: ItemRow,
    status: ItemStatus,
    *,
    customer_id: int | None,
    location_id: int | None,
    charge_id: int | None = None,
    subscription_id: int | None = None,
    condition: Condition | None = None,
) -> None:
    """Raises Conflict where somebody was quicker."""
    touched = await execute(
        "UPDATE inventory_item SET status = :status, customer_id = :customer_id, location_id = :location_id,"
        " charge_id = :charge_id, subscription_id = :subscription_id, condition = :condition, changed_at = :now,"
        " version = version + 1 WHERE id = :id AND version = :version",
        status=status.value,
        customer_id=customer_id,
        location_id=location_id,
        charge_id=charge_id,
        subscription_id=subscription_id,
        condition=(condition or Condition(item.condition)).value,
        now=scope.now(),
        id=item.id,
        version=item.version,
    )
    if not touched:
        raise Conflict(_("Somebody else has just moved this item. Look at it again."))
