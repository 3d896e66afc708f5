"""Items as such: they come in, are described, and are taken out again where they were a mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.activity.unit import record, unit_of_work
from core.database import execute, value
from core.errors import Conflict, FieldError, Invalid, NotFound, Stale
from core.texts import _
from core.web.reach import check_sees_everyone
from plugins.inventory.actions.stock import location_named, product_named
from plugins.inventory.events import InventoryItemAdded, InventoryItemChanged
from plugins.inventory.identifiers import check_mac, one_line, serial_key
from plugins.inventory.queries import get_item, get_product
from plugins.inventory.schemas import ItemFields
from plugins.inventory.status import ItemStatus

if TYPE_CHECKING:
    from core.scope import Scope
    from plugins.inventory.schemas import ItemRow, NewItem


async def add_item(scope: Scope, data: NewItem, *, import_id: int | None = None) -> int:
    """A device in stock; gives its id. A serial number, MAC address or barcode exists once."""
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        known = await _known_by(data.serial, data.mac, data.barcode)
        item_id = int(
            await value(
                "INSERT INTO inventory_item (product_id, serial, serial_key, mac, barcode, barcode_key, status,"
                " condition, location_id, cost_minor, bought_on, note, import_id, changed_at) VALUES (:product_id,"
                " :serial, :serial_key, :mac, :barcode, :barcode_key, :status, :condition, :location_id, :cost_minor,"
                " :bought_on, :note, :import_id, :now) RETURNING id",
                product_id=await product_named(scope, data.vendor, one_line(data.product)),
                **known,
                status=ItemStatus.IN_STOCK.value,
                condition=data.condition,
                location_id=await location_named(scope, data.location),
                cost_minor=data.cost_minor,
                bought_on=data.bought_on,
                note=data.note,
                import_id=import_id,
                now=scope.now(),
            )
        )
        record(scope, InventoryItemAdded(inventory_item_id=item_id), changes={"serial": (None, known["serial"])})
        return item_id


async def change_item(scope: Scope, item_id: int, data: ItemFields, *, version: int) -> int:
    """Gives the new version. Raises Stale where somebody saved it first."""
    async with unit_of_work(scope):
        now = await get_item(scope, item_id)
        changes = _against(now, data)
        if data.product_id not in (None, now.product_id):
            changes["product_id"] = (now.product_id, data.product_id)
        if now.version != version:
            raise Stale(fields=changes)
        if not changes:
            return version
        if "product_id" in changes:
            changes["product"] = (now.name, await _product_name(data.product_id))
            del changes["product_id"]
        await execute(
            "UPDATE inventory_item SET product_id = :product_id, serial = :serial, serial_key = :serial_key,"
            " mac = :mac, barcode = :barcode, barcode_key = :barcode_key, condition = :condition,"
            " cost_minor = :cost_minor, bought_on = :bought_on, note = :note, changed_at = :now,"
            " version = version + 1 WHERE id = :id",
            **await _known_by(data.serial, data.mac, data.barcode, item_id),
            product_id=data.product_id or now.product_id,
            condition=data.condition,
            cost_minor=data.cost_minor,
            bought_on=data.bought_on,
            note=data.note,
            now=scope.now(),
            id=item_id,
        )
        record(
            scope, InventoryItemChanged(inventory_item_id=item_id, customer_id=now.customer_id), changes=dict(changes)
        )
        return version + 1


async def _product_name(product_id: int | None) -> str:
    try:
        return (await get_product(product_id or 0)).full_name
    except NotFound:
        raise Invalid(_("Choose a product of the list."), field="product_id") from None


async def remove_item(scope: Scope, item_id: int) -> None:
    """Only what was typed in by mistake: an item that is in stock and was never anywhere else."""
    async with unit_of_work(scope):
        found = await get_item(scope, item_id)
        check_sees_everyone(scope)
        been_out = await value(
            "SELECT 1 FROM activity WHERE subject_kind = 'inventory_item' AND subject_id = :id"
            " AND customer_id IS NOT NULL LIMIT 1",
            id=item_id,
        )
        if found.status != ItemStatus.IN_STOCK or been_out:
            raise Conflict(_("This item has been out of stock: write it off, so that its history stays."))
        await execute("DELETE FROM inventory_item WHERE id = :id", id=item_id)
        record(scope, InventoryItemChanged(inventory_item_id=item_id), changes={"serial": (found.serial, None)})


def _against(now: ItemRow, data: ItemFields) -> dict[str, tuple[object, object]]:
    new = {name: getattr(data, name) for name in ItemFields.__struct_fields__ if name != "product_id"}
    new["serial"], new["barcode"] = one_line(data.serial), one_line(data.barcode)
    new["mac"] = check_mac(data.mac)
    return {name: (getattr(now, name), value) for name, value in new.items() if getattr(now, name) != value}


async def _known_by(serial: str, mac: str, barcode: str, own_id: int = 0) -> dict[str, str | None]:
    """The columns an item is found by. Raises Invalid with every one that is wrong or another item's."""
    errors: list[FieldError] = []
    key, code = serial_key(serial), serial_key(barcode)
    if not key:
        errors.append(FieldError("serial", _("Fill this in.")))
    elif await _taken("serial_key", key, own_id):
        errors.append(FieldError("serial", _("An item with this serial number is there already.")))
    address: str | None = None
    try:
        address = check_mac(mac)
    except Invalid as error:
        errors.extend(error.errors)
    if address and await _taken("mac", address, own_id):
        errors.append(FieldError("mac", _("An item with this MAC address is there already.")))
    if code and await _taken("barcode_key", code, own_id):
        errors.append(FieldError("barcode", _("An item with this barcode is there already.")))
    if errors:
        raise Invalid(errors=errors)
    return {
        "serial": one_line(serial),
        "serial_key": key,
        "mac": address,
        "barcode": one_line(barcode),
        "barcode_key": code or None,
    }


async def _taken(column: str, key: str, own_id: int) -> bool:
    return bool(await value(f"SELECT 1 FROM inventory_item WHERE {column} = :key AND id <> :id", key=key, id=own_id))
