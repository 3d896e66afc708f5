"""Vendors, products and locations: what kinds of hardware there are, and where it lies. For staff who see everyone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.activity.unit import record, unit_of_work
from core.catalog.queries import get_product as get_catalogue_product
from core.catalog.queries import list_tax_categories
from core.database import execute, value
from core.documents.files import store_file
from core.documents.pictures import MEDIA_TYPE, small_picture
from core.errors import Conflict, Invalid, NotFound, Stale
from core.ids import sort_key
from core.texts import _
from core.web.reach import check_sees_everyone
from plugins.inventory import words
from plugins.inventory.events import (
    InventoryLocationAdded,
    InventoryLocationChanged,
    InventoryProductAdded,
    InventoryProductChanged,
    InventoryVendorAdded,
    InventoryVendorChanged,
)
from plugins.inventory.identifiers import one_line
from plugins.inventory.queries import get_location, get_product, get_vendor
from plugins.inventory.schemas import ProductFields
from plugins.inventory.status import RENTED_AS

if TYPE_CHECKING:
    from core.scope import Scope
    from plugins.inventory.schemas import LocationFields, ProductRow, VendorFields


# -- vendors and locations --------------------------------------------------------------------------------------------


async def add_vendor(scope: Scope, data: VendorFields) -> int:
    """Gives its id. A name exists once, whatever its case."""
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        name = await _free_name("inventory_vendor", data.name)
        vendor_id = int(
            await value(
                "INSERT INTO inventory_vendor (name, name_key, contact) VALUES (:name, :key, :contact) RETURNING id",
                name=name,
                key=sort_key(name),
                contact=data.contact,
            )
        )
        record(scope, InventoryVendorAdded(inventory_vendor_id=vendor_id), changes={"name": (None, name)})
        return vendor_id


async def change_vendor(scope: Scope, vendor_id: int, data: VendorFields, *, version: int) -> int:
    """Gives the new version. Raises Stale where somebody saved it first."""
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        now = await get_vendor(vendor_id)
        changes = _differences({"name": (now.name, one_line(data.name)), "contact": (now.contact, data.contact)})
        if now.version != version:
            raise Stale(fields=changes, version=now.version)
        name = await _free_name("inventory_vendor", data.name, vendor_id)
        if not changes:
            return version
        await execute(
            "UPDATE inventory_vendor SET name = :name, name_key = :key, contact = :contact, version = version + 1"
            " WHERE id = :id AND version = :version",
            name=name,
            key=sort_key(name),
            contact=data.contact,
            id=vendor_id,
            version=version,
        )
        record(scope, InventoryVendorChanged(inventory_vendor_id=vendor_id), changes=changes)
        return version + 1


async def remove_vendor(scope: Scope, vendor_id: int) -> None:
    """Only while no product is its."""
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        found = await get_vendor(vendor_id)
        if found.products:
            raise Conflict(
                _(
                    "%(name)s has %(products)s: give them another vendor first.",
                    name=found.name,
                    products=words.products(found.products),
                )
            )
        await execute("DELETE FROM inventory_vendor WHERE id = :id", id=vendor_id)
        record(scope, InventoryVendorChanged(inventory_vendor_id=vendor_id), changes={"name": (found.name, None)})


async def add_location(scope: Scope, data: LocationFields) -> int:
    """Gives its id. A name exists once, whatever its case."""
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        name = await _free_name("inventory_location", data.name)
        location_id = int(
            await value(
                "INSERT INTO inventory_location (name, name_key, note) VALUES (:name, :key, :note) RETURNING id",
                name=name,
                key=sort_key(name),
                note=data.note,
            )
        )
        record(scope, InventoryLocationAdded(inventory_location_id=location_id), changes={"name": (None, name)})
        return location_id


async def change_location(scope: Scope, location_id: int, data: LocationFields, *, version: int) -> int:
    """Gives the new version. Raises Stale where somebody saved it first."""
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        now = await get_location(location_id)
        changes = _differences({"name": (now.name, one_line(data.name)), "note": (now.note, data.note)})
        if now.version != version:
            raise Stale(fields=changes, version=now.version)
        name = await _free_name("inventory_location", data.name, location_id)
        if not changes:
            return version
        await execute(
            "UPDATE inventory_location SET name = :name, name_key = :key, note = :note, version = version + 1"
            " WHERE id = :id AND version = :version",
            name=name,
            key=sort_key(name),
            note=data.note,
            id=location_id,
            version=version,
        )
        record(scope, InventoryLocationChanged(inventory_location_id=location_id), changes=changes)
        return version + 1


async def remove_location(scope: Scope, location_id: int) -> None:
    """Only while nothing lies there."""
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        found = await get_location(location_id)
        if found.items:
            raise Conflict(
                _(
                    "There is hardware at %(name)s, %(items)s: move it first.",
                    name=found.name,
                    items=words.items(found.items),
                )
            )
        await execute("UPDATE inventory_import SET location_id = NULL WHERE location_id = :id", id=location_id)
        await execute("DELETE FROM inventory_location WHERE id = :id", id=location_id)
        record(scope, InventoryLocationChanged(inventory_location_id=location_id), changes={"name": (found.name, None)})


async def _free_name(table: str, typed: str, own_id: int = 0) -> str:
    name = one_line(typed)
    if not name:
        raise Invalid(_("Fill this in."), field="name")
    if await value(f"SELECT 1 FROM {table} WHERE name_key = :key AND id <> :id", key=sort_key(name), id=own_id):
        raise Invalid(_("This name is there already."), field="name")
    return name


async def vendor_named(scope: Scope, typed: str) -> int | None:
    """The vendor of that name, made where there is none; None for no name."""
    name = one_line(typed)
    if not name:
        return None
    found = await value("SELECT id FROM inventory_vendor WHERE name_key = :key", key=sort_key(name))
    if found is not None:
        return int(found)
    vendor_id = int(
        await value(
            "INSERT INTO inventory_vendor (name, name_key) VALUES (:name, :key) RETURNING id",
            name=name,
            key=sort_key(name),
        )
    )
    record(scope, InventoryVendorAdded(inventory_vendor_id=vendor_id), changes={"name": (None, name)})
    return vendor_id


async def location_named(scope: Scope, typed: str) -> int | None:
    """The location of that name, made where there is none; None for no name."""
    name = one_line(typed)
    if not name:
        return None
    found = await value("SELECT id FROM inventory_location WHERE name_key = :key", key=sort_key(name))
    if found is not None:
        return int(found)
    location_id = int(
        await value(
            "INSERT INTO inventory_location (name, name_key) VALUES (:name, :key) RETURNING id",
            name=name,
            key=sort_key(name),
        )
    )
    record(scope, InventoryLocationAdded(inventory_location_id=location_id), changes={"name": (None, name)})
    return location_id


# -- products ---------------------------------------------------------------------------------------------------------


async def add_product(scope: Scope, data: ProductFields) -> int:
    """Gives its id. A model exists once a vendor."""
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        await _check_product(data)
        vendor_id = await vendor_named(scope, data.vendor)
        return await _insert_product(scope, vendor_id, data)


async def product_named(scope: Scope, vendor: str, name: str) -> int:
    """The product of that vendor and model, made where there is none."""
    vendor_id = await vendor_named(scope, vendor)
    found = await value(
        "SELECT id FROM inventory_product WHERE coalesce(vendor_id, 0) = :vendor_id AND name_key = :key",
        vendor_id=vendor_id or 0,
        key=sort_key(name),
    )
    if found is not None:
        return int(found)
    return await _insert_product(scope, vendor_id, ProductFields(name=name))


async def _insert_product(scope: Scope, vendor_id: int | None, data: ProductFields) -> int:
    name = await _free_model(vendor_id, data.name)
    product_id = int(
        await value(
            "INSERT INTO inventory_product (vendor_id, name, name_key, category, cost_minor, sell_minor, tax_category,"
            " tax_inclusive, rent_product_id, warranty_months, note) VALUES (:vendor_id, :name, :key, :category,"
            " :cost_minor, :sell_minor, :tax_category, :tax_inclusive, :rent_product_id, :warranty_months, :note)"
            " RETURNING id",
            **{**_columns(data), "vendor_id": vendor_id, "name": name, "key": sort_key(name)},
        )
    )
    record(scope, InventoryProductAdded(inventory_product_id=product_id), changes={"name": (None, name)})
    return product_id


async def change_product(scope: Scope, product_id: int, data: ProductFields, *, version: int) -> int:
    """Gives the new version. Raises Stale where somebody saved it first."""
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        now = await get_product(product_id)
        if now.version != version:
            raise Stale(fields=_against(now, data))
        await _check_product(data)
        vendor_id = await vendor_named(scope, data.vendor)
        name = await _free_model(vendor_id, data.name, product_id)
        changes = _against(now, data)
        if not changes:
            return version
        await execute(
            "UPDATE inventory_product SET vendor_id = :vendor_id, name = :name, name_key = :key, category = :category,"
            " cost_minor = :cost_minor, sell_minor = :sell_minor, tax_category = :tax_category,"
            " tax_inclusive = :tax_inclusive, rent_product_id = :rent_product_id, warranty_months = :warranty_months,"
            " note = :note, version = version + 1 WHERE id = :id",
            **{**_columns(data), "vendor_id": vendor_id, "name": name, "key": sort_key(name), "id": product_id},
        )
        if changes.pop("rent_product_id", None) is not None:
            changes["rent_product"] = (now.rent_product, (await get_product(product_id)).rent_product)
        record(scope, InventoryProductChanged(inventory_product_id=product_id), changes=changes)
        return version + 1


async def set_photo(scope: Scope, product_id: int, data: bytes) -> None:
    """The product's picture, made small; one that it had goes."""
    check_sees_everyone(scope)
    await get_product(product_id)
    picture = await small_picture(data, field="photo")
    async with unit_of_work(scope):
        before = await get_product(product_id)
        file = await store_file(scope, picture, name=f"product-{product_id}.jpg", media_type=MEDIA_TYPE)
        await _put_photo(scope, before, file.id)


async def remove_photo(scope: Scope, product_id: int) -> None:
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        before = await get_product(product_id)
        if before.photo_file_id is not None:
            await _put_photo(scope, before, None)


async def _put_photo(scope: Scope, before: ProductRow, file_id: int | None) -> None:
    await execute("UPDATE inventory_product SET photo_file_id = :file_id WHERE id = :id", file_id=file_id, id=before.id)
    if before.photo_file_id is not None:
        await execute("DELETE FROM stored_file WHERE id = :id", id=before.photo_file_id)
    record(
        scope,
        InventoryProductChanged(inventory_product_id=before.id),
        changes={"photo": (before.photo_file_id is not None, file_id is not None)},
    )


async def remove_product(scope: Scope, product_id: int) -> None:
    """Only while there is no item of it."""
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        found = await get_product(product_id)
        if found.items:
            raise Conflict(
                _(
                    "There is hardware of %(full_name)s: %(items)s.",
                    full_name=found.full_name,
                    items=words.items(found.items),
                )
            )
        await execute("DELETE FROM inventory_product WHERE id = :id", id=product_id)
        if found.photo_file_id is not None:
            await execute("DELETE FROM stored_file WHERE id = :id", id=found.photo_file_id)
        record(
            scope, InventoryProductChanged(inventory_product_id=product_id), changes={"name": (found.full_name, None)}
        )


def _columns(data: ProductFields) -> dict[str, object]:
    given = {name: getattr(data, name) for name in data.__struct_fields__}
    return {name: given[name] for name in ProductFields.__struct_fields__ if name not in {"name", "vendor"}}


def _against(now: ProductRow, data: ProductFields) -> dict[str, tuple[object, object]]:
    return _differences({name: (getattr(now, name), getattr(data, name)) for name in ProductFields.__struct_fields__})


def _differences(pairs: dict[str, tuple[object, object]]) -> dict[str, tuple[object, object]]:
    return {name: (old, new) for name, (old, new) in pairs.items() if old != new}


async def _check_product(data: ProductFields) -> None:
    if data.tax_category not in {one.code for one in await list_tax_categories()}:
        raise Invalid(_("Choose a tax category of the list."), field="tax_category")
    if data.rent_product_id is None:
        return
    try:
        rented_as = await get_catalogue_product(data.rent_product_id)
    except NotFound:
        raise Invalid(_("This product is not in the catalogue."), field="rent_product_id") from None
    if rented_as.kind not in RENTED_AS:
        raise Invalid(_("%(name)s is no service or module: choose one.", name=rented_as.name), field="rent_product_id")


async def _free_model(vendor_id: int | None, typed: str, own_id: int = 0) -> str:
    name = one_line(typed)
    if not name:
        raise Invalid(_("Fill this in."), field="name")
    if await value(
        "SELECT 1 FROM inventory_product WHERE coalesce(vendor_id, 0) = :vendor_id AND name_key = :key AND id <> :id",
        vendor_id=vendor_id or 0,
        key=sort_key(name),
        id=own_id,
    ):
        raise Invalid(_("This vendor's product of this name is there already."), field="name")
    return name
