"""All that happened in the tenant, over JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from core.activity.queries import Entry, list_entries, timeline
from core.customers.activity_listing import ACTIVITY, SEE_ALL
from core.customers.queries import get_customer
from core.customers.timeline import in_words
from core.errors import Invalid
from core.texts import _
from core.web.jsonapi import Call, Page, api_get

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]


class ChangeItem(Struct, frozen=True):
    """A field before and after. Both are null once they were erased, which `erased` says."""

    field: str
    old: str | None
    new: str | None
    erased: bool


class ActivityItem(Struct, frozen=True):
    """Something that happened. `actor` did it ("staff:7", "schedule:billing"), `on_behalf_of` for whom; `text` and `by`
    are the same in words. `caused_by` is the position of what it followed from."""

    position: int
    at: datetime
    kind: str
    text: str
    actor: str
    on_behalf_of: str | None
    by: str
    customer_id: int | None
    subject_kind: str
    subject_id: int | None
    caused_by: int | None
    facts: dict[str, Any]
    changes: list[ChangeItem]


@api_get(
    "/activity",
    permission=SEE_ALL,
    summary="List all that happened, the latest first",
    description="Also searched by the customer's name (`q`), sorted and filtered as the page: `at.from=2026-11-01`,"
    " `kind=customer_created`, `actor=staff-7` or `actor=schedules`; `view=5` as a saved view has it.",
)
async def list_activity(
    call: Call,
    customer_id: Annotated[int | None, QueryParameter(description="Only what happened to one customer")] = None,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page[ActivityItem]:
    found = await ACTIVITY.api(call, cursor=cursor, limit=limit)
    entries = await list_entries(call.scope, [one.id for one in found.items])
    told = await in_words(call.scope, entries)
    return Page(
        items=[_item(entry, words.text, words.by) for entry, words in zip(entries, told, strict=True)],
        next=found.next,
    )


@api_get(
    "/customers/{customer_id:int}/activity",
    permission="activity.view",
    summary="What happened to a customer, the latest first",
    description="As the tab of its page, for who may see that and not what happened in the whole tenant.",
)
async def list_of_customer(
    call: Call, customer_id: FromPath[int], limit: Limit = 50, cursor: Cursor = ""
) -> Page[ActivityItem]:
    scope = call.scope
    await get_customer(scope, customer_id)
    if cursor and (not cursor.isdecimal() or len(cursor) > 18):
        raise Invalid(_("This cursor is of another order of this list. Begin again without it."), field="cursor")
    before = int(cursor) if cursor else None
    found = await timeline(scope, customer_id=customer_id, before=before, limit=limit + 1)
    entries = found[:limit]
    told = await in_words(scope, entries)
    return Page(
        items=[_item(entry, words.text, words.by) for entry, words in zip(entries, told, strict=True)],
        next=str(entries[-1].position) if len(found) > limit else None,
    )


def _item(entry: Entry, text: str, by: str) -> ActivityItem:
    return ActivityItem(
        position=entry.position,
        at=entry.at,
        kind=entry.kind,
        text=text,
        actor=entry.actor,
        on_behalf_of=entry.on_behalf_of,
        by=by,
        customer_id=entry.customer_id,
        subject_kind=entry.subject_kind,
        subject_id=entry.subject_id,
        caused_by=entry.caused_by,
        facts=entry.facts,
        changes=[ChangeItem(one.field, one.old, one.new, one.emptied) for one in entry.changes],
    )


HANDLERS: Final = (list_activity, list_of_customer)
