"""Locations of the operator: made, renamed, merged, and removed while nobody is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.activity.unit import record, unit_of_work
from core.customers.events import LocationAdded, LocationChanged, LocationMerged, LocationRemoved
from core.customers.queries import get_location
from core.database import execute, value
from core.errors import Conflict, Invalid
from core.ids import sort_key
from core.texts import _, ngettext
from core.web.reach import check_sees_everyone

if TYPE_CHECKING:
    from core.customers.schemas import LocationFields
    from core.scope import Scope


async def add_location(scope: Scope, data: LocationFields) -> int:
    """Gives its id. A name exists once, whatever its case."""
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        name = await _free_name(data.name)
        location_id = int(
            await value(
                "INSERT INTO location (name, name_key) VALUES (:name, :key) RETURNING id", name=name, key=sort_key(name)
            )
        )
        record(scope, LocationAdded(location_id=location_id), changes={"name": (None, name)})
        return location_id


async def rename_location(scope: Scope, location_id: int, data: LocationFields) -> None:
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        now = await get_location(location_id)
        name = await _free_name(data.name, location_id)
        if name == now.name:
            return
        await execute(
            "UPDATE location SET name = :name, name_key = :key WHERE id = :id",
            name=name,
            key=sort_key(name),
            id=location_id,
        )
        record(scope, LocationChanged(location_id=location_id), changes={"name": (now.name, name)})


async def merge_location(scope: Scope, location_id: int, into_id: int) -> int:
    """Its customers move to another one, which stays; gives how many moved."""
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        old = await get_location(location_id)
        if location_id == into_id or not await value("SELECT 1 FROM location WHERE id = :id", id=into_id):
            raise Invalid(_("Choose another location."), field="into")
        moved = await execute(
            "UPDATE customer SET location_id = :into_id, version = version + 1 WHERE location_id = :id",
            into_id=into_id,
            id=location_id,
        )
        await execute("DELETE FROM location WHERE id = :id", id=location_id)
        record(
            scope,
            LocationMerged(location_id=location_id, into_id=into_id, customers=moved),
            changes={"name": (old.name, None)},
        )
        return moved


async def remove_location(scope: Scope, location_id: int) -> None:
    """Only while no customer is there."""
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        old = await get_location(location_id)
        if old.customers:
            raise Conflict(
                ngettext(
                    "%(num)s customer is at %(name)s. Give it another location first, or merge the two.",
                    "%(num)s customers are at %(name)s. Give them another location first, or merge the two.",
                    old.customers,
                    name=old.name,
                )
            )
        await execute("DELETE FROM location WHERE id = :id", id=location_id)
        record(scope, LocationRemoved(location_id=location_id), changes={"name": (old.name, None)})


async def _free_name(typed: str, own_id: int = 0) -> str:
    name = " ".join(typed.split())
    if not sort_key(name):
        raise Invalid(_("Fill this in."), field="name")
    if await value("SELECT 1 FROM location WHERE name_key = :key AND id <> :id", key=sort_key(name), id=own_id):
        raise Invalid(_("A location has this name already. Merge the two instead."), field="name")
    return name
