"""Saved views: a list's filters, search, order and columns under a name, one's own or shared. And columns of one's own.

A view is also a segment: `segment` gives the condition for the rows that its filters leave, for whatever wants to know
who is meant (deeds on many rows, messages, dunning).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import parse_qsl, urlencode

from msgspec import Meta, Struct

from core.activity.unit import record, unit_of_work
from core.database import Everything, execute, row, rows, value, within
from core.errors import Forbidden, Invalid, NotFound, Stale
from core.ids import sort_key
from core.lists.columns import SIZE, SIZES
from core.lists.tables import ListView
from core.lists.view_events import ListViewDeleted, ListViewSaved
from core.texts import _

if TYPE_CHECKING:
    from core.lists.columns import Condition
    from core.lists.listing import Listing
    from core.scope import Scope

SHARE: Final = "lists.share"
"""The permission to share views, and to change shared ones."""
MOST: Final = 100
"""Views of a list that one actor keeps."""
LONGEST: Final = 4000
ALL: Final = "all"
"""The list as it is, in the place of a view's id."""


class ViewFields(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A view as it is typed."""

    name: Annotated[str, Meta(min_length=1, max_length=60)]
    shared: bool = False


class SavedView(Struct, frozen=True):
    """A saved view. `address` holds its filters, search and order as they stand in the list's address; `columns` the
    keys of its columns, none for the list's own."""

    id: int
    listing: str
    name: str
    shared: bool
    owner: str
    address: str
    columns: str
    version: int

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.address))

    @property
    def keys(self) -> list[str]:
        return [one for one in self.columns.split(",") if one]


class Kept(Struct, frozen=True):
    """What an actor kept of a list: its own columns, the view that it opens with, the views that it may pick."""

    columns: str = ""
    default_id: int | None = None
    views: tuple[SavedView, ...] = ()
    size: int = SIZE
    """Rows of a page."""

    def view(self, key: str) -> SavedView | None:
        return next((one for one in self.views if str(one.id) == key), None)


class _KeptRow(Struct, frozen=True):
    kind: str
    id: int
    name: str
    shared: bool
    owner: str
    address: str
    columns: str
    version: int
    size: int


_FIELDS: Final = "id, listing, name, shared, owner, address, columns, version"
_SEEN: Final = "listing = :listing AND (owner = :owner OR (shared AND :within))"


def _seen(scope: Scope, listing: str) -> dict[str, Any]:
    return {"listing": listing, "owner": scope.actor.key, "within": within(ListView, scope.actor.reach)}


async def kept_of(scope: Scope, listing: str) -> Kept:
    """All of it, in one statement: it is asked for by each page of a list."""
    if not listing:
        return Kept()
    found = await rows(
        _KeptRow,
        f"SELECT 'view' AS kind, id, name, shared, owner, address, columns, version, 0 AS size FROM list_view"
        f" WHERE {_SEEN} UNION ALL"
        " SELECT 'layout', coalesce(view_id, 0), '', FALSE, owner, '', columns, 0, coalesce(size, 0) FROM list_layout"
        " WHERE listing = :listing AND owner = :owner",
        **_seen(scope, listing),
    )
    layout = next((one for one in found if one.kind == "layout"), None)
    views = [
        SavedView(one.id, listing, one.name, one.shared, one.owner, one.address, one.columns, one.version)
        for one in found
        if one.kind == "view"
    ]
    views.sort(key=lambda one: (one.owner == scope.actor.key, sort_key(one.name)))
    if layout is None:
        return Kept(views=tuple(views))
    return Kept(layout.columns, layout.id or None, tuple(views), layout.size or SIZE)


async def list_views(scope: Scope, listing: str) -> list[SavedView]:
    """One's own and the shared ones."""
    return await rows(
        SavedView, f"SELECT {_FIELDS} FROM list_view WHERE {_SEEN} ORDER BY name_key, id", **_seen(scope, listing)
    )


async def get_view(scope: Scope, listing: str, view_id: int, *, lock: bool = False) -> SavedView:
    """One's own or a shared one. Raises NotFound."""
    found = await row(
        SavedView,
        f"SELECT {_FIELDS} FROM list_view WHERE id = :id AND {_SEEN}{' FOR UPDATE' if lock else ''}",
        id=view_id,
        **_seen(scope, listing),
    )
    if found is None:
        raise NotFound(f"view {view_id} of {listing}")
    return found


def may_change(scope: Scope, view: SavedView) -> bool:
    """One's own; a shared one whoever may share."""
    return scope.may(SHARE) if view.shared else view.owner == scope.actor.key


async def create_view(scope: Scope, listing: Listing[Any], fields: ViewFields, address: Mapping[str, str]) -> int:
    """Gives its id. `address` is the list's as it is shown, `columns` in it what is shown."""
    if fields.shared:
        _check_may_share(scope)
    text, columns = await _checked(scope, listing, address)
    async with unit_of_work(scope):
        name = await _free_name(scope, listing.key, fields)
        many = await value(
            "SELECT count(*) FROM list_view WHERE listing = :listing AND owner = :owner",
            listing=listing.key,
            owner=scope.actor.key,
        )
        if int(many) >= MOST:
            raise Invalid(_("You have %(most)s views of this list. Delete one first.", most=MOST), field="name")
        view_id = int(
            await value(
                "INSERT INTO list_view (listing, owner, name, name_key, shared, address, columns, version, changed_at)"
                " VALUES (:listing, :owner, :name, :name_key, :shared, :address, :columns, 1, :now) RETURNING id",
                listing=listing.key,
                owner=scope.actor.key,
                name=name,
                name_key=sort_key(name),
                shared=fields.shared,
                address=text,
                columns=columns,
                now=scope.now(),
            )
        )
        record(
            scope,
            ListViewSaved(list_view_id=view_id, listing=listing.key, shared=fields.shared),
            changes={"name": (None, name), "address": (None, text)},
        )
        return view_id


async def create_first_views(scope: Scope, listing: Listing[Any]) -> None:
    """The views that a new tenant's staff find, in the language that is spoken."""
    async with unit_of_work(scope):
        for name, address in listing.first_views.items():
            await create_view(scope, listing, ViewFields(name=_(name), shared=True), address)


async def change_view(
    scope: Scope,
    listing: Listing[Any],
    view_id: int,
    *,
    fields: ViewFields | None = None,
    address: Mapping[str, str] | None = None,
    version: int | None = None,
) -> None:
    """Rename or share it, keep another state of the list under its name, or both."""
    checked = None if address is None else await _checked(scope, listing, address)
    async with unit_of_work(scope):
        now = await _changeable(scope, listing.key, view_id)
        if version is not None and version != now.version:
            raise Stale(_("This view was changed meanwhile. Load the page again."))
        name, shared = now.name, now.shared
        if fields is not None:
            if fields.shared != now.shared:
                _check_may_share(scope)
            name, shared = await _free_name(scope, listing.key, fields, now), fields.shared
        text, columns = (now.address, now.columns) if checked is None else checked
        await execute(
            "UPDATE list_view SET name = :name, name_key = :name_key, shared = :shared, address = :address,"
            " columns = :columns, version = version + 1, changed_at = :now WHERE id = :id",
            id=view_id,
            name=name,
            name_key=sort_key(name),
            shared=shared,
            address=text,
            columns=columns,
            now=scope.now(),
        )
        old, new = (now.name, now.address), (name, text)
        record(
            scope,
            ListViewSaved(list_view_id=view_id, listing=listing.key, shared=shared),
            changes={
                field: (was, will)
                for field, was, will in zip(("name", "address"), old, new, strict=True)
                if was != will
            },
        )


async def delete_view(scope: Scope, listing: str, view_id: int) -> None:
    """Whoever opened the list with it sees the whole list then."""
    async with unit_of_work(scope):
        now = await _changeable(scope, listing, view_id)
        await execute("DELETE FROM list_view WHERE id = :id", id=view_id)
        record(
            scope,
            ListViewDeleted(list_view_id=view_id, listing=listing),
            changes={"name": (now.name, None), "address": (now.address, None)},
        )


async def open_with(scope: Scope, listing: str, view_id: int | None) -> None:
    """The view that the list opens with for this actor; None: the whole list."""
    async with unit_of_work(scope):
        if view_id is not None:
            await get_view(scope, listing, view_id)
        await _keep(scope, listing, "view_id", view_id)


async def keep_columns(scope: Scope, listing: Listing[Any], keys: Iterable[str]) -> None:
    """The columns of this actor, in their order; none: the list's own."""
    async with unit_of_work(scope):
        await _keep(scope, listing.key, "columns", ",".join(keys))


async def keep_size(scope: Scope, listing: str, size: int) -> None:
    """How many rows a page of the list has for this actor."""
    if size not in SIZES:
        raise Invalid(_("A page has %(sizes)s rows.", sizes=", ".join(str(one) for one in SIZES)), field="rows")
    async with unit_of_work(scope):
        await _keep(scope, listing, "size", size)


async def _keep(scope: Scope, listing: str, field: str, given: object) -> None:
    await execute(
        f"INSERT INTO list_layout (listing, owner, {field}) VALUES (:listing, :owner, :given)"
        f" ON CONFLICT (listing, owner) DO UPDATE SET {field} = excluded.{field}",
        listing=listing,
        owner=scope.actor.key,
        given=given,
    )


async def segment(scope: Scope, listing: Listing[Any], view_id: int) -> Condition:
    """The rows that a view's filters and search leave, in the actor's reach: a SELECT of their ids, with its values.

    Raises Invalid where a filter no longer fits (its tag is gone): nobody is meant by mistake.
    """
    view = await get_view(scope, listing.key, view_id)
    return await condition(scope, listing, view.query)


async def condition(scope: Scope, listing: Listing[Any], address: Mapping[str, str]) -> Condition:
    """The same for an address of the list."""
    return (await meant_by(scope, listing, address))[0]


async def meant_by(
    scope: Scope, listing: Listing[Any], address: Mapping[str, str]
) -> tuple[Condition, Mapping[str, str]]:
    """The same, and the filters of the address that it went by."""
    whole = await listing.whole(scope)
    asked = whole.asked(scope, address, await whole.choices_for(scope, address))
    kept = {name: text for name, text in asked.kept.items() if name not in {"sort", "columns", "view"}}
    return whole.matching(scope, asked), kept


async def expanded(scope: Scope, listing: Listing[Any], address: Mapping[str, str]) -> dict[str, str]:
    """An address of the API: the filters, order and columns of the view that it names stand in it, what else it says
    over them."""
    given = dict(address)
    name = given.pop("view", "")
    if not name or name == ALL:
        return given
    if not name.isdecimal() or len(name) > 18:
        raise Invalid(_("Give the id of a view."), field="view")
    saved = await get_view(scope, listing.key, int(name))
    return {**saved.query, "columns": saved.columns, **given}


async def _checked(scope: Scope, listing: Listing[Any], address: Mapping[str, str]) -> tuple[str, str]:
    """What is kept of an address, once it is sure that the list understands it."""
    whole = await listing.whole(scope)
    asked = whole.asked(scope, address, await whole.choices_for(scope, address))
    asked.check_all_known()
    kept = {name: text for name, text in asked.kept.items() if name not in {"view", "columns"}}
    text = urlencode({**kept, "sort": asked.order})
    if len(text) > LONGEST:
        raise Invalid(_("These filters are too long to be kept."), field="name")
    known = {column.key for column in whole.columns if column.drawn}
    columns = [one for one in asked.kept.get("columns", "").split(",") if one]
    for one in columns:
        if one not in known:
            raise Invalid(_("This list has no column “%(key)s”.", key=one), field="columns")
    return text, ",".join(dict.fromkeys(columns))


async def _changeable(scope: Scope, listing: str, view_id: int) -> SavedView:
    found = await get_view(scope, listing, view_id, lock=True)
    if not may_change(scope, found):
        raise Forbidden(_("This view is shared. Save your changes as a view of your own."))
    return found


def _check_may_share(scope: Scope) -> None:
    if not scope.may(SHARE) or not isinstance(scope.actor.reach, Everything):
        raise Forbidden(_("You need the permission “%(permission)s” for this.", permission=SHARE))


async def _free_name(scope: Scope, listing: str, fields: ViewFields, now: SavedView | None = None) -> str:
    name = " ".join(fields.name.split())
    if not sort_key(name):
        raise Invalid(_("Fill this in."), field="name")
    taken = await value(
        "SELECT 1 FROM list_view WHERE listing = :listing AND name_key = :key AND id <> :id"
        " AND (owner = :owner OR (shared AND :shared))",
        listing=listing,
        key=sort_key(name),
        id=0 if now is None else now.id,
        owner=scope.actor.key if now is None else now.owner,
        shared=fields.shared,
    )
    if taken or sort_key(name) == sort_key(_("All")):
        raise Invalid(_("A view of this list has this name already."), field="name")
    return name
