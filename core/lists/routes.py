"""What every list has beside its own page: columns of one's own, saved views, sums of all that match, exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import msgspec
from litestar import Response
from litestar.params import FromPath
from litestar.response import Stream

from core.errors import Invalid, NotFound
from core.hooks import Permission
from core.lists import views
from core.lists.counting import counts_of
from core.lists.exporting import TYPES, export_of
from core.lists.registry import get_list
from core.lists.showing import EXPORT, Shown, address_of, said_of, shown_of
from core.lists.totals import all_totals
from core.lists.views import SHARE, ViewFields
from core.texts import N_, _, number
from core.web.forms import from_form
from core.web.parts import Field
from core.web.routing import SIGNED_IN, delete, get, post, put
from core.web.view import HTML, View, errors_by_field

if TYPE_CHECKING:
    from core.lists.listing import Listing
    from core.web.view import PageView

PERMISSIONS: Final = (
    Permission(EXPORT, N_("Take lists away as files")),
    Permission(SHARE, N_("Share saved views of lists, and change shared ones")),
)


def _list(view: PageView, key: str) -> Listing[Any]:
    return get_list(view.request.app, view.scope, key)


def _show(path: str) -> Response[str]:
    """The list at another address, without loading the page anew: what is open on it stays open."""
    told = {"path": path, "target": "#list", "swap": "outerMorph", "push": "true"}
    return Response("", status_code=200, headers={"HX-Location": msgspec.json.encode(told).decode()}, media_type=HTML)


@post("/lists/{list_key:str}/columns", permission=SIGNED_IN)
async def choose_columns(view: View, list_key: FromPath[str]) -> Response[str]:
    """Kept as one's own; while a view is open they are a change of it, and stand in the address until it is saved."""
    listing = await _list(view, list_key).whole(view.scope)
    await view.read()
    drawn = {one.key for one in listing.columns if one.drawn}
    keys = [one for one in dict.fromkeys(view.typed.get("column", [])) if one in drawn]
    if view.typed.get("reset", [""])[-1]:
        keys = []
    state = _state(view, listing)
    first = listing.columns[0].key
    chosen = ",".join([first, *(one for one in keys if one != first)]) if keys else ""
    if state.get("view", views.ALL) != views.ALL:
        path = listing.address(state, columns=chosen)
    else:
        await views.keep_columns(view.scope, listing, chosen.split(",") if chosen else ())
        path = listing.address(state, columns="")
    return _show(path) if view.is_htmx else view.go(path)


@post("/lists/{list_key:str}/rows", permission=SIGNED_IN)
async def choose_rows(view: View, list_key: FromPath[str]) -> Response[str]:
    """How many rows a page has, for whoever asks; shown from its first one."""
    listing = await _list(view, list_key).whole(view.scope)
    await view.read()
    text = view.typed.get("rows", [""])[-1]
    await views.keep_size(view.scope, listing.key, int(text) if text.isdecimal() and len(text) < 4 else 0)
    path = listing.address(_state(view, listing))
    return _show(path) if view.is_htmx else view.go(path)


@get("/lists/{list_key:str}/count", permission=SIGNED_IN)
async def count_all(view: View, list_key: FromPath[str]) -> Response[str]:
    """All that match, however many, beside the rows that are shown."""
    shown = await _shown(view, list_key)
    text = view.query.get("shown", "")
    rows = int(text) if text.isdecimal() and len(text) < 4 else shown.kept.size
    count = await shown.listing.count(view.scope, shown.asked)
    return Response(f"<span data-said>{said_of(rows, number(count))}</span>", status_code=200, media_type=HTML)


@get("/lists/{list_key:str}/counts", permission=SIGNED_IN)
async def count_views(view: View, list_key: FromPath[str]) -> Response[str]:
    """How many rows each saved view leaves; asked for once the page stands."""
    return view.page("lists/_counts.html", counts=await counts_of(view.scope, _list(view, list_key)))


@get("/lists/{list_key:str}/totals", permission=SIGNED_IN)
async def show_totals(view: View, list_key: FromPath[str]) -> Response[str]:
    shown = await _shown(view, list_key)
    totals = await all_totals(shown.listing, shown.picked.columns, shown.asked, view.scope)
    if totals is None:
        raise NotFound(f"totals of {list_key}")
    return view.page(
        "lists/_totals.html",
        list=shown.listing,
        totals=totals,
        span=totals.before + (shown.listing.counted is not None),
        ends=shown.listing.ends,
        all_rows=True,
    )


@get("/lists/{list_key:str}/export", permission=EXPORT)
async def export(view: View, list_key: FromPath[str]) -> Stream:
    shown = await _shown(view, list_key)
    asked = view.query.get("format", "csv")
    if asked not in TYPES:
        raise Invalid(_("Choose CSV or XLSX."), field="format")
    return await export_of(view.scope, shown, "csv" if asked == "csv" else "xlsx")


async def _shown(view: PageView, list_key: str) -> Shown:
    listing = _list(view, list_key)
    return await shown_of(listing, view.scope, listing.known(address_of(view)))


# -- saved views ------------------------------------------------------------------------------------------------------


@get("/lists/{list_key:str}/views/new", permission=SIGNED_IN)
async def show_new_view(view: View, list_key: FromPath[str]) -> Response[str]:
    return _drawer(view, _list(view, list_key), None)


@post("/lists/{list_key:str}/views", permission=SIGNED_IN)
async def create_view(view: View, list_key: FromPath[str]) -> Response[str]:
    listing = _list(view, list_key)
    try:
        await view.read()
        opens, fields = _typed(view)
        view_id = await views.create_view(view.scope, listing, fields, _state(view, listing))
    except Invalid as error:
        return _drawer(view, listing, None, errors_by_field(error), status=422)
    if opens:
        await views.open_with(view.scope, listing.key, view_id)
    return view.go(listing.address({"view": str(view_id)}), _("View saved."))


@get("/lists/{list_key:str}/views/{view_id:int}/edit", permission=SIGNED_IN)
async def show_edit_view(view: View, list_key: FromPath[str], view_id: FromPath[int]) -> Response[str]:
    listing = _list(view, list_key)
    return _drawer(view, listing, await views.get_view(view.scope, listing.key, view_id))


@post("/lists/{list_key:str}/views/{view_id:int}", permission=SIGNED_IN)
async def rename_view(view: View, list_key: FromPath[str], view_id: FromPath[int]) -> Response[str]:
    listing = _list(view, list_key)
    saved = await views.get_view(view.scope, listing.key, view_id)
    try:
        await view.read()
        _opens, fields = _typed(view)
        await views.change_view(view.scope, listing, view_id, fields=fields)
    except Invalid as error:
        return _drawer(view, listing, saved, errors_by_field(error), status=422)
    return view.go(listing.address({"view": str(view_id)}), _("View saved."))


@put("/lists/{list_key:str}/views/{view_id:int}", permission=SIGNED_IN)
async def save_view(view: View, list_key: FromPath[str], view_id: FromPath[int]) -> Response[str]:
    """What is shown becomes what the view shows."""
    listing = _list(view, list_key)
    await views.change_view(view.scope, listing, view_id, address=listing.known(address_of(view)))
    return view.go(listing.address({"view": str(view_id)}), _("View saved."))


@delete("/lists/{list_key:str}/views/{view_id:int}", permission=SIGNED_IN)
async def delete_view(view: View, list_key: FromPath[str], view_id: FromPath[int]) -> Response[str]:
    listing = _list(view, list_key)
    await views.delete_view(view.scope, listing.key, view_id)
    return view.go(listing.href, _("View deleted."))


@put("/lists/{list_key:str}/views/{view_id:int}/default", permission=SIGNED_IN)
async def open_with_view(view: View, list_key: FromPath[str], view_id: FromPath[int]) -> Response[str]:
    listing = _list(view, list_key)
    await views.open_with(view.scope, listing.key, view_id)
    return view.go(listing.address({"view": str(view_id)}), _("The list opens with this view from now on."))


@delete("/lists/{list_key:str}/views/default", permission=SIGNED_IN)
async def open_with_all(view: View, list_key: FromPath[str]) -> Response[str]:
    listing = _list(view, list_key)
    await views.open_with(view.scope, listing.key, None)
    return view.go(listing.href, _("The list opens with all rows from now on."))


def _typed(view: PageView) -> tuple[bool, ViewFields]:
    """What was typed of a view, and whether the list shall open with it."""
    typed = {name: texts for name, texts in view.typed.items() if name in ("name", "shared")}
    return view.typed.get("opens", [""])[-1] == "yes", from_form(ViewFields, typed)


def _state(view: PageView, listing: Listing[Any]) -> dict[str, str]:
    """What of the list was shown where the form was asked for; what else stood in that address is left out."""
    return listing.known(dict(parse_qsl(view.typed.get("state", [""])[-1])))


def _drawer(
    view: PageView,
    listing: Listing[Any],
    saved: views.SavedView | None,
    errors: dict[str, str] | None = None,
    *,
    status: int = 200,
) -> Response[str]:
    fields = [
        Field(
            name="name",
            label=_("Name"),
            value="" if saved is None else saved.name,
            required=True,
            max_length=60,
            autocomplete="off",
        )
    ]
    if view.scope.may(SHARE):
        fields.append(
            Field(
                name="shared",
                label=_("Shared with all staff"),
                kind="check",
                value="yes" if saved is not None and saved.shared else "",
            )
        )
    if saved is None:
        fields.append(Field(name="opens", label=_("I open the list with it"), kind="check"))
    return view.drawer(
        "lists/view.html",
        page_title=_("Saved view"),
        back=listing.href,
        status=status,
        list=listing,
        saved=saved,
        state=view.typed.get("state", [view.request.url.query])[-1],
        fields=fields,
        values=view.shown(),
        errors=errors or {},
    )


HANDLERS = (
    choose_columns,
    choose_rows,
    count_all,
    count_views,
    show_totals,
    export,
    show_new_view,
    create_view,
    show_edit_view,
    rename_view,
    save_view,
    delete_view,
    open_with_view,
    open_with_all,
)
