"""Tags: put on customers and taken off, renamed, merged and removed for all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.activity.unit import record, unit_of_work
from core.customers.events import TagAdded, TagChanged, TagCreated, TagDeleted, TagMerged, TagRemoved
from core.customers.queries import get_tag, lock_person
from core.customers.tables import Customer, CustomerTag, Tag
from core.database import dialect, execute, scoped, value
from core.errors import Invalid
from core.ids import sort_key
from core.texts import _
from core.web.reach import check_sees_everyone

if TYPE_CHECKING:
    from core.customers.schemas import TagFields
    from core.scope import Scope

COLOURS = 6
"""Colours of the palette that tags may have."""


async def add_tag(scope: Scope, customer_id: int, name: str) -> bool:
    """Put a tag on a customer; a name that no tag has yet makes one. Gives whether the customer had it not yet."""
    label = _one_line(name)
    async with unit_of_work(scope):
        await lock_person(scope, customer_id)
        tag_id = await value("SELECT id FROM tag WHERE name_key = :key", key=sort_key(label))
        if tag_id is None:
            tag_id = await _insert(scope, label, None)
        if await value(
            "SELECT id FROM customer_tag WHERE customer_id = :customer_id AND tag_id = :tag_id",
            customer_id=customer_id,
            tag_id=tag_id,
        ):
            return False
        await CustomerTag(customer_id=customer_id, tag_id=tag_id).save()
        await write_tags_keys("= :customer_id", customer_id=customer_id)
        record(scope, TagAdded(customer_id=customer_id, tag=label))
        return True


async def remove_tag(scope: Scope, customer_id: int, tag_id: int) -> None:
    async with unit_of_work(scope):
        await scoped(Customer, scope).get(customer_id)
        tag = await scoped(Tag, scope).get(tag_id)
        removed = await execute(
            "DELETE FROM customer_tag WHERE customer_id = :id AND tag_id = :tag_id", id=customer_id, tag_id=tag_id
        )
        if not removed:
            return
        await write_tags_keys("= :customer_id", customer_id=customer_id)
        record(scope, TagRemoved(customer_id=customer_id, tag=tag.name))


async def create_tag(scope: Scope, data: TagFields) -> int:
    """A tag that nobody has yet; gives its id. A name exists once, whatever its case."""
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        return await _insert(scope, await _free_name(data.name), data.colour)


async def _insert(scope: Scope, name: str, colour: int | None) -> int:
    if colour is None:  # one after the other
        colour = int(await value("SELECT count(*) FROM tag")) % COLOURS + 1
    tag_id = int(
        await value(
            "INSERT INTO tag (name, name_key, colour) VALUES (:name, :key, :colour) RETURNING id",
            name=name,
            key=sort_key(name),
            colour=colour,
        )
    )
    record(scope, TagCreated(tag_id=tag_id, tag=name))
    return tag_id


async def change_tag(scope: Scope, tag_id: int, data: TagFields) -> None:
    """Another name or colour, for all customers that have it."""
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        now = await get_tag(tag_id)
        name = await _free_name(data.name, tag_id)
        colour = data.colour or now.colour
        if (name, colour) == (now.name, now.colour):
            return
        await execute(
            "UPDATE tag SET name = :name, name_key = :key, colour = :colour WHERE id = :id",
            name=name,
            key=sort_key(name),
            colour=colour,
            id=tag_id,
        )
        if sort_key(name) != sort_key(now.name):
            await write_tags_keys("IN (SELECT customer_id FROM customer_tag WHERE tag_id = :tag_id)", tag_id=tag_id)
        changes = {"name": (now.name, name), "colour": (now.colour, colour)}
        record(
            scope,
            TagChanged(tag_id=tag_id, tag=name),
            changes={field: pair for field, pair in changes.items() if pair[0] != pair[1]},
        )


async def merge_tag(scope: Scope, tag_id: int, into_id: int) -> int:
    """Customers that have the one get the other, which stays; gives how many had the one."""
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        old = await get_tag(tag_id)
        if tag_id == into_id or not await value("SELECT 1 FROM tag WHERE id = :id", id=into_id):
            raise Invalid(_("Choose another tag."), field="into")
        into = await get_tag(into_id)
        await execute(
            "INSERT INTO customer_tag (customer_id, tag_id) SELECT customer_id, :into_id::bigint FROM customer_tag"
            " WHERE tag_id = :tag_id ON CONFLICT (customer_id, tag_id) DO NOTHING",
            into_id=into_id,
            tag_id=tag_id,
        )
        had = await _delete(tag_id)
        record(scope, TagMerged(tag_id=tag_id, into_id=into_id, tag=old.name, into=into.name, customers=had))
        return had


async def delete_tag(scope: Scope, tag_id: int) -> int:
    """Take it off all customers and forget it; gives how many had it."""
    check_sees_everyone(scope)
    async with unit_of_work(scope):
        old = await get_tag(tag_id)
        had = await _delete(tag_id)
        record(scope, TagDeleted(tag_id=tag_id, tag=old.name, customers=had))
        return had


async def _delete(tag_id: int) -> int:
    """The tag without its customers. Their keys are written before: afterwards nobody knows who had it."""
    await write_tags_keys(
        "IN (SELECT customer_id FROM customer_tag WHERE tag_id = :tag_id)", without="tag.id <> :tag_id", tag_id=tag_id
    )
    had = await execute("DELETE FROM customer_tag WHERE tag_id = :tag_id", tag_id=tag_id)
    await execute("DELETE FROM tag WHERE id = :tag_id", tag_id=tag_id)
    return had


async def write_tags_keys(customers: str, *, without: str = "TRUE", **values: object) -> None:
    """What the list of customers is sorted by: the keys of each one's tags, in their order, in one statement.

    `customers` says whose, behind "customer.id"; `without` leaves tags out.
    """
    await execute(
        "UPDATE customer SET tags_key = coalesce((SELECT group_concat(keys.name_key, ' ') FROM ("
        "SELECT tag.name_key FROM customer_tag JOIN tag ON tag.id = customer_tag.tag_id"
        f" WHERE customer_tag.customer_id = customer.id AND {without} ORDER BY tag.name_key) keys), '')"
        f" WHERE customer.id {customers}"
        if dialect() == "sqlite"
        else "UPDATE customer SET tags_key = coalesce((SELECT string_agg(tag.name_key, ' ' ORDER BY tag.name_key)"
        " FROM customer_tag JOIN tag ON tag.id = customer_tag.tag_id"
        f" WHERE customer_tag.customer_id = customer.id AND {without}), '') WHERE customer.id {customers}",
        **values,
    )


def _one_line(typed: str) -> str:
    name = " ".join(typed.split())
    if not name:
        raise Invalid(_("Fill this in."), field="name")
    return name


async def _free_name(typed: str, own_id: int = 0) -> str:
    name = _one_line(typed)
    if await value("SELECT 1 FROM tag WHERE name_key = :key AND id <> :id", key=sort_key(name), id=own_id):
        raise Invalid(_("A tag has this name already. Merge the two instead."), field="name")
    return name
