"""Lists over JSON: their saved views, which are segments too, and their exports."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream
from msgspec import Meta, Struct

from core.database import value
from core.errors import Invalid
from core.lists import views
from core.lists.exporting import export_of
from core.lists.registry import get_list, lists_for
from core.lists.showing import EXPORT, shown_of
from core.lists.views import ALL, SavedView, ViewFields, expanded
from core.texts import _
from core.web.jsonapi import Call, api_delete, api_get, api_patch, api_post
from core.web.routing import SIGNED_IN

Name = Annotated[str, Meta(min_length=1, max_length=60)]
Key = Annotated[str, Meta(max_length=60)]


class ListItem(Struct, frozen=True):
    """A list that the token may see."""

    key: str
    title: str
    columns: list[str]


class ViewItem(Struct, frozen=True):
    """A saved view. `filters` are the parameters of the list's address: filters, `q` and `sort`."""

    id: int
    name: str
    shared: bool
    is_own: bool
    filters: dict[str, str]
    columns: list[str]
    version: int


class NewView(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Without `columns` the list's own are shown."""

    name: Name
    shared: bool = False
    filters: dict[Key, str] = {}
    columns: list[Key] = []


class ViewChange(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Only what is given is changed; against `version` where it is given."""

    name: Name | None = None
    shared: bool | None = None
    filters: dict[Key, str] | None = None
    columns: list[Key] | None = None
    version: int | None = None


class Matching(Struct, frozen=True):
    """How many rows a view leaves, within the token's reach."""

    count: int


class DeletedView(Struct, frozen=True):
    id: int


def _item(call: Call, saved: SavedView) -> ViewItem:
    own = saved.owner == call.scope.actor.key
    return ViewItem(saved.id, saved.name, saved.shared, own, saved.query, saved.keys, saved.version)


def _list(call: Call, key: str) -> Any:
    return get_list(call.request.app, call.scope, key)


@api_get("/lists", permission=SIGNED_IN, summary="Lists that the token may see")
async def list_lists(call: Call) -> list[ListItem]:
    found = []
    for one in lists_for(call.request.app, call.scope):
        whole = await one.whole(call.scope)
        found.append(ListItem(one.key, _(one.title), [column.key for column in whole.columns if column.drawn]))
    return found


@api_get("/lists/{list_key:str}/views", permission=SIGNED_IN, summary="Saved views of a list: shared ones and its own")
async def list_views(call: Call, list_key: FromPath[str]) -> list[ViewItem]:
    return [_item(call, one) for one in await views.list_views(call.scope, _list(call, list_key).key)]


@api_post(
    "/lists/{list_key:str}/views",
    permission=SIGNED_IN,
    summary="Save a view",
    description="Its filters are a segment: whatever takes `view` means the rows that they leave then.",
)
async def create_view(call: Call, list_key: FromPath[str], data: JSONBody[NewView]) -> ViewItem:
    listing = _list(call, list_key)
    address = {**data.filters, "columns": ",".join(data.columns)}
    fields = ViewFields(name=data.name, shared=data.shared)
    view_id = await views.create_view(call.scope, listing, fields, address)
    return _item(call, await views.get_view(call.scope, listing.key, view_id))


@api_get("/lists/{list_key:str}/views/{view_id:int}", permission=SIGNED_IN, summary="One saved view")
async def get_view(call: Call, list_key: FromPath[str], view_id: FromPath[int]) -> ViewItem:
    return _item(call, await views.get_view(call.scope, _list(call, list_key).key, view_id))


@api_get(
    "/lists/{list_key:str}/views/{view_id:int}/matching",
    permission=SIGNED_IN,
    summary="How many rows a view leaves now",
)
async def count_matching(call: Call, list_key: FromPath[str], view_id: FromPath[int]) -> Matching:
    meant = await views.segment(call.scope, _list(call, list_key), view_id)
    return Matching(int(await value(f"SELECT count(*) FROM ({meant.sql}) AS meant", **meant.values)))


@api_patch("/lists/{list_key:str}/views/{view_id:int}", permission=SIGNED_IN, summary="Change a saved view")
async def change_view(
    call: Call, list_key: FromPath[str], view_id: FromPath[int], data: JSONBody[ViewChange]
) -> ViewItem:
    listing = _list(call, list_key)
    now = await views.get_view(call.scope, listing.key, view_id)
    fields = None
    if data.name is not None or data.shared is not None:
        fields = ViewFields(
            name=now.name if data.name is None else data.name, shared=now.shared if data.shared is None else data.shared
        )
    address = None
    if data.filters is not None or data.columns is not None:
        filters = now.query if data.filters is None else data.filters
        columns = now.keys if data.columns is None else data.columns
        address = {**filters, "columns": ",".join(columns)}
    await views.change_view(call.scope, listing, view_id, fields=fields, address=address, version=data.version)
    return _item(call, await views.get_view(call.scope, listing.key, view_id))


@api_delete("/lists/{list_key:str}/views/{view_id:int}", permission=SIGNED_IN, summary="Delete a saved view")
async def delete_view(call: Call, list_key: FromPath[str], view_id: FromPath[int]) -> DeletedView:
    await views.delete_view(call.scope, _list(call, list_key).key, view_id)
    return DeletedView(view_id)


@api_get(
    "/lists/{list_key:str}/export",
    permission=EXPORT,
    summary="A list as a file",
    description="Takes the list's own parameters too: filters, `q`, `sort`, `view`, and `columns` with commas between."
    " Streamed; cells that a spreadsheet would run are made harmless. Who exported what stands in the activity.",
)
async def export(
    call: Call,
    list_key: FromPath[str],
    file_format: Annotated[Literal["csv", "xlsx"], QueryParameter(name="format", description="What file")] = "csv",
) -> Stream:
    listing = _list(call, list_key)
    given = {name: text for name, text in dict(call.request.query_params).items() if name != "format"}
    shown = await shown_of(listing, call.scope, {"view": ALL, **await expanded(call.scope, listing, given)})
    if shown.unsorted:
        raise Invalid(shown.unsorted, field="sort")
    return await export_of(call.scope, shown, file_format)


HANDLERS = (
    list_lists,
    list_views,
    create_view,
    get_view,
    count_matching,
    change_view,
    delete_view,
    export,
)
