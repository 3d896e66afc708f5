"""Tags put on customers and taken off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.activity.unit import record, unit_of_work
from core.customers.events import TagAdded, TagRemoved
from core.customers.tables import Customer, CustomerTag, Tag
from core.database import execute, scoped, value, values
from core.ids import sort_key

if TYPE_CHECKING:
    from core.scope import Scope


async def add_tag(scope: Scope, customer_id: int, name: str) -> None:
    """Put a tag on a customer; a name that no tag has yet makes one."""
    label = " ".join(name.split())
    async with unit_of_work(scope):
        await scoped(Customer, scope).get(customer_id)
        tag_id = await value("SELECT id FROM tag WHERE name_key = :key", key=sort_key(label))
        if tag_id is None:
            count = await value("SELECT count(*) FROM tag")
            tag = Tag(name=label, name_key=sort_key(label), colour=int(count) % 6 + 1)
            await tag.save()
            tag_id = tag.id
        if await value(
            "SELECT id FROM customer_tag WHERE customer_id = :customer_id AND tag_id = :tag_id",
            customer_id=customer_id,
            tag_id=tag_id,
        ):
            return
        await CustomerTag(customer_id=customer_id, tag_id=tag_id).save()
        await _write_tags_key(customer_id)
        record(scope, TagAdded(customer_id=customer_id, tag=label))


async def remove_tag(scope: Scope, customer_id: int, tag_id: int) -> None:
    async with unit_of_work(scope):
        await scoped(Customer, scope).get(customer_id)
        tag = await scoped(Tag, scope).get(tag_id)
        removed = await execute(
            "DELETE FROM customer_tag WHERE customer_id = :id AND tag_id = :tag_id", id=customer_id, tag_id=tag_id
        )
        if not removed:
            return
        await _write_tags_key(customer_id)
        record(scope, TagRemoved(customer_id=customer_id, tag=tag.name))


async def _write_tags_key(customer_id: int) -> None:
    names = await values(
        "SELECT tag.name_key FROM customer_tag JOIN tag ON tag.id = customer_tag.tag_id"
        " WHERE customer_tag.customer_id = :id ORDER BY tag.name_key",
        id=customer_id,
    )
    await execute("UPDATE customer SET tags_key = :key WHERE id = :id", key=" ".join(names), id=customer_id)
