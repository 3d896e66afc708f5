"""A list's page: its values for the templates, put together from what is asked for and what its reader keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from msgspec import Struct

from core.errors import Invalid
from core.lists.bulk_bar import bar_of
from core.lists.columns import SIZE, SIZES
from core.lists.counting import capped
from core.lists.drawing import Drawing, body_of, currencies, drawing_of, head_of, lines_of
from core.lists.filters import DAYS, RANGES, names_of
from core.lists.totals import page_totals
from core.lists.views import ALL, SHARE, Kept, SavedView, kept_of, may_change
from core.lists.ways import COUNTED
from core.texts import _, number
from core.web.links import address as query_address
from core.web.parts import Chip, FilterChoice, Head, MenuEntry, Pager, TabItem

if TYPE_CHECKING:
    from litestar import Response

    from core.lists.asked import Asked
    from core.lists.columns import ListChoice, ListColumn
    from core.lists.listing import Choices, Found, Listing
    from core.scope import Scope
    from core.web.view import PageView

_TYPED: Final = RANGES | {"text"}
"""Kinds of columns whose filter is typed."""
EXPORT: Final = "lists.export"
"""The permission to take lists away as files."""


class FilterField(Struct, frozen=True, kw_only=True):
    """What a column can be filtered by, as a form: the values that are set stand in it."""

    name: str
    label: str
    kind: str
    """choice, text, number, amount or date"""
    is_set: bool
    kept: tuple[tuple[str, str], ...]
    """The rest of the address, sent with it."""
    off: str = ""
    """The address without it."""
    choices: tuple[tuple[str, str, bool], ...] = ()
    """Value, label, whether it is ticked."""
    every: bool | None = None
    """Whether all of the choices are meant; None where a row has one."""
    has: str = ""
    start: str = ""
    end: str = ""
    exact: str = ""
    empty: str = ""
    can_be_empty: bool = False


class ColumnItem(Struct, frozen=True):
    """A column in the panel of columns."""

    key: str
    label: str
    shown: bool


class PickedColumns(Struct, frozen=True):
    """What is shown, in its order, and whether that is the list's own way."""

    columns: tuple[ListColumn, ...]
    usual: bool


class Shown(Struct, frozen=True):
    """A list as an address asks for it and its reader keeps it: what the page, the export and the totals agree on."""

    listing: Any
    kept: Kept
    view: SavedView | None
    asked: Any
    choices: Any
    picked: PickedColumns
    lost: tuple[str, ...]
    """Filters of a saved view that no longer fit."""
    is_gone: bool = False
    """Whether the address names a view that is not there (any more) for its reader."""
    unsorted: str = ""
    """Why the rows stand in the list's own order instead of the one that is asked for."""


def address_of(view: PageView) -> dict[str, str]:
    """The address's parameters; what is ticked several times in a form stands with commas between."""
    found: dict[str, list[str]] = {}
    for name, text in view.request.query_params.multi_items():
        if isinstance(text, str) and text:
            found.setdefault(name, []).append(text)
    several = {name for name in found if "." not in name or name.endswith(".all")} - {"q", "sort", "view", "after"}
    return {name: ",".join(texts) if name in several else texts[-1] for name, texts in found.items()}


async def shown_of(listing: Listing[Any], scope: Scope, address: Mapping[str, str]) -> Shown:
    """Taken apart, with the saved view that it names or that its reader opens the list with."""
    listing = await listing.whole(scope)
    kept = await kept_of(scope, listing.key)
    given = {name: text for name, text in address.items() if text}
    name = given.pop("view", "")
    saved = kept.view(name)
    is_bare = not listing.parameters() & given.keys()
    if saved is None and not name and is_bare and kept.default_id is not None:
        saved = kept.view(str(kept.default_id))
    if saved is not None:
        given = {**(saved.query if is_bare else {}), **given, "view": str(saved.id)}
    elif kept.default_id is not None:
        given["view"] = ALL
    choices = await listing.choices_for(scope, given)
    asked, lost = _asked(listing, scope, given, choices, saved if is_bare else None)
    unsorted = ""
    try:
        await listing.check_order(scope, asked)
    except Invalid as fault:
        unsorted = fault.errors[0].message
        asked = listing.asked(scope, {**asked.kept, "sort": listing.sort}, choices)
    is_gone = saved is None and name not in ("", ALL)
    return Shown(listing, kept, saved, asked, choices, pick(listing, kept, saved, asked), lost, is_gone, unsorted)


def _asked(
    listing: Listing[Any], scope: Scope, address: dict[str, str], choices: Choices, saved: SavedView | None
) -> tuple[Asked, tuple[str, ...]]:
    """A saved filter that no longer fits is left out and said, so that the view still opens."""
    lost: list[str] = []
    while True:
        try:
            return listing.asked(scope, address, choices), tuple(lost)
        except Invalid as fault:
            name = fault.errors[0].field if fault.errors else ""
            if saved is None or name not in saved.query or name not in address:
                raise
            del address[name]
            lost.append(next((_(one.label) for one in listing.columns if name in names_of(one)), name))


def pick(listing: Listing[Any], kept: Kept, saved: SavedView | None, asked: Asked) -> PickedColumns:
    """The columns that are shown: as the address says, else the view, else as one keeps them, else the list's own.
    The first is always there."""
    text = asked.kept.get("columns", "") or (saved.columns if saved is not None else kept.columns)
    drawn = {one.key: one for one in listing.columns if one.drawn}
    usual = tuple(one for one in drawn.values() if one.shown)
    keys = [one for one in dict.fromkeys(text.split(",")) if one in drawn]
    if not keys:
        return PickedColumns(usual, True)
    first = next(iter(drawn))
    return PickedColumns(tuple(drawn[one] for one in (first, *(one for one in keys if one != first))), False)


async def page_of(
    listing: Listing[Any], view: PageView, template: str, *, buttons: Sequence[MenuEntry] = (), **values: Any
) -> Response[str]:
    """The whole page, or the part of it that an address changes."""
    scope = view.scope
    shown = await shown_of(listing, scope, address_of(view))
    listing, asked, columns = shown.listing, shown.asked, shown.picked.columns
    found = await listing.found(
        scope,
        asked,
        after=view.query.get("after", ""),
        before=view.query.get("before", ""),
        limit=shown.kept.size,
    )
    asked = found.asked
    reader_zone = view.visit.looks.time_zone
    drawing = await drawing_of(scope, columns, [one.id for one in found.rows], shown.choices, reader_zone)
    used = currencies(listing, columns, found.rows, drawing)
    one_currency = used <= {scope.tenant.currency}
    currency = scope.tenant.currency if one_currency else ""
    numbered = _sorted_by(asked, columns) > 1
    made = {
        **_values(listing, found, asked, home=_home(shown), size=shown.kept.size),
        "list": listing,
        "heads": tuple(
            [_head(listing, column, asked, head_of(column, drawing, currency), numbered=numbered) for column in columns]
        ),
        "body": body_of,
        "lines": lines_of(listing, columns, found.rows, drawing, one_currency=one_currency),
        "totals": page_totals(listing, columns, found.rows, drawing),
        "filter_fields": _fields(listing, shown.choices, asked),
        "columns": tuple(_column_items(listing, columns, drawing)),
        "usual_columns": shown.picked.usual,
        "state_query": urlencode(asked.kept),
        "views": _tabs(shown),
        "view": shown.view,
        "view_menu": _view_menu(shown, scope) if listing.key else [],
        "changed": _is_changed(shown),
        "lost": shown.lost,
        "view_is_gone": shown.is_gone,
        "unsorted": shown.unsorted,
        "may_export": bool(listing.key) and scope.may(EXPORT),
        "buttons": list(buttons),
        "bulk": await bar_of(
            scope, listing, address=urlencode(asked.kept), count=found.count, shown=len(found.rows), most=COUNTED
        ),
        "ends": await listing.ends(scope, found.rows) if listing.ends is not None else None,
    }
    return view.page("lists/_part.html" if view.is_htmx else template, **{**made, **values})


async def values_of(listing: Listing[Any], view: PageView, choices: Choices) -> dict[str, Any]:
    """For a template of the list's own: rows instead of lines, links instead of forms."""
    asked = listing.asked(view.scope, view.query, choices)
    found = await listing.found(
        view.scope, asked, after=view.query.get("after", ""), before=view.query.get("before", ""), limit=SIZE
    )
    asked = found.asked
    columns = [one for one in listing.columns if one.shown]
    numbered = _sorted_by(asked, columns) > 1
    heads = [_head(listing, column, asked, _(column.label), numbered=numbered) for column in columns]
    filters = [
        FilterChoice(
            label=_(column.label),
            choices=[
                TabItem(
                    label=_(choice.label),
                    href=listing.address(asked.kept, **{column.key: choice.key}),
                    current=asked.kept.get(column.key) == choice.key,
                )
                for choice in choices[column.key]
            ],
        )
        for column in listing.columns
        if choices.get(column.key)
    ]
    made = _values(listing, found, asked, home=listing.href)
    return {**made, "heads": heads, "filters": filters}


def _values(listing: Listing[Any], found: Found[Any], asked: Asked, *, home: str, size: int = 0) -> dict[str, Any]:
    """`size`: rows of a page, where its reader may choose them."""
    kept = asked.kept
    set_ones = {one.name for one in asked.filters}
    unfiltered = {name: text for name, text in kept.items() if name not in set_ones}
    return {
        "rows": found.rows,
        "q": asked.q,
        "chips": [
            Chip(
                field=one.field,
                relation=one.relation,
                value=one.value,
                off=listing.address(kept, **{one.name: ""}),
                name=one.column,
            )
            for one in asked.filters
        ],
        "pager": _pager(
            found,
            lambda **place: listing.address(kept, **place),
            lists=f"/lists/{listing.key}" if listing.key and size else "",
            state=urlencode(kept),
            size=size,
            by_id=asked.sorts[0].column.key == "id",
            note=_("More than %(counted)s match: the newest first", counted=number(COUNTED)) if asked.is_wide else "",
        ),
        "filtered": bool(asked.q or asked.filters),
        "kept": {name: text for name, text in kept.items() if name != "q"},
        "none_text": _none_text(asked),
        "without": None,
        "clear_filters": listing.address(unfiltered),
        "clear_all": home,
    }


async def embedded(
    listing: Listing[Any], view: PageView, address: Mapping[str, str], path: str, kept: Mapping[str, str]
) -> tuple[list[Any], Pager]:
    """Rows of a list on another page."""
    found = await listing.found(
        view.scope,
        listing.asked(view.scope, address, await listing.choices_for(view.scope, address)),
        after=view.query.get("after", ""),
        before=view.query.get("before", ""),
    )
    return found.rows, _pager(found, lambda **place: query_address(path, {**kept, **place}))


def said_of(rows: int, total: str) -> str:
    """25 of 1,000+"""
    return _("%(done)s of %(total)s", done=number(rows), total=total)


def _pager(
    found: Found[Any],
    at: Callable[..., str],
    *,
    lists: str = "",
    state: str = "",
    size: int = 0,
    by_id: bool = False,
    note: str = "",
) -> Pager:
    """With `lists`, the address of what every list has, all can be counted and the rows of a page be chosen."""
    ids = [one.id for one in found.rows]
    more = "&" if state else ""
    return Pager(
        said=said_of(len(ids), capped(found.count)),
        note=note,
        count=f"{lists}/count?{state}{more}shown={len(ids)}" if lists and found.count > COUNTED else "",
        size=size if lists else 0,
        sizes=SIZES,
        resize=f"{lists}/rows" if lists else "",
        state=state,
        range=_("Ids %(first)s to %(last)s", first=ids[0], last=ids[-1]) if ids and by_id else "",
        first=at() if found.before else "",
        previous=at(before=found.before) if found.before else "",
        next=at(after=found.after) if found.after else "",
    )


def _home(shown: Shown) -> str:
    """The list with nothing left out."""
    listing: Listing[Any] = shown.listing
    return listing.address({"view": ALL} if shown.kept.default_id is not None else {})


# -- heads ------------------------------------------------------------------------------------------------------------


def _sorted_by(asked: Asked, columns: Sequence[ListColumn]) -> int:
    """How many of these columns the list is sorted by: a number beside the only one that is seen would say nothing."""
    return len({one.column.key for one in asked.sorts} & {one.key for one in columns})


def _head(listing: Listing[Any], column: ListColumn, asked: Asked, label: str, *, numbered: bool) -> Head:
    """A press sorts by this column alone, or turns it round; with Shift it is sorted by after the others."""
    place = next((at for at, one in enumerate(asked.sorts) if one.column.key == column.key), None)
    role = listing.heads.get(column.key) or column.role or ("c-name" if column is listing.columns[0] else "")
    if not column.can_sort:
        return Head(label=label, number=column.is_number, cls=role)
    sorts = [one.text for one in asked.sorts]
    if place is None:
        sort, alone, then = "", column.key, ",".join([*sorts[:2], column.key])
    else:
        sorted_by = asked.sorts[place]
        sort = "descending" if sorted_by.descending else "ascending"
        turned = column.key if sorted_by.descending else f"-{column.key}"
        then = ",".join([*sorts[:place], turned, *sorts[place + 1 :]])
        alone = turned if len(sorts) == 1 else column.key
    return Head(
        label=label,
        href=listing.address(asked.kept, sort=alone),
        sort=sort,
        number=column.is_number,
        cls=role,
        then=listing.address(asked.kept, sort=then) if listing.key else "",
        place=place + 1 if place is not None and numbered else 0,
    )


def _column_items(listing: Listing[Any], columns: Sequence[ListColumn], drawing: Drawing) -> list[ColumnItem]:
    """All that may be shown: what is, in its order, then the others. The first column stands above them."""
    first, *rest = columns
    chosen = {one.key for one in columns}
    others = [one for one in listing.columns if one.drawn and one.key not in chosen and one.key != first.key]
    return [ColumnItem(one.key, head_of(one, drawing), one.key in chosen) for one in (first, *rest, *others)]


# -- filters ----------------------------------------------------------------------------------------------------------


def _fields(listing: Listing[Any], choices: Choices, asked: Asked) -> tuple[FilterField, ...]:
    """What the list can be filtered by. Each form sends the rest of the address, which is all of it for most."""
    kept = asked.kept
    everything = tuple(kept.items()), listing.address(kept)
    found = []
    for column in listing.columns:
        of = choices.get(column.key, ())
        if not column.expr or (column.kind not in _TYPED and not of):
            continue
        names = names_of(column)
        if is_set := not kept.keys().isdisjoint(names):
            others = {name: text for name, text in kept.items() if name not in names}
            found.append(_field(column, of, kept, is_set, tuple(others.items()), listing.address(others)))
        else:
            found.append(_field(column, of, kept, is_set, *everything))
    return tuple(found)


def _field(
    column: ListColumn,
    choices: Sequence[ListChoice],
    kept: Mapping[str, str],
    is_set: bool,
    rest: tuple[tuple[str, str], ...],
    off: str,
) -> FilterField:
    key = column.key
    if choices:
        every = bool(kept.get(f"{key}.all"))
        chosen = set(kept.get(f"{key}.all" if every else key, "").split(","))
        return FilterField(
            name=key,
            label=_(column.label),
            kind="choice",
            is_set=is_set,
            kept=rest,
            off=off,
            choices=tuple((one.key, _(one.label), one.key in chosen) for one in choices),
            every=every if column.among else None,
            empty=kept.get(f"{key}.empty", ""),
            can_be_empty=bool(column.among),
        )
    return FilterField(
        name=key,
        label=_(column.label),
        kind="date" if column.kind in DAYS else column.kind,
        is_set=is_set,
        kept=rest,
        off=off,
        has=kept.get(f"{key}.has", ""),
        start=kept.get(f"{key}.from", ""),
        end=kept.get(f"{key}.to", ""),
        exact=kept.get(key, ""),
        empty=kept.get(f"{key}.empty", ""),
        can_be_empty=column.kind == "text" or not column.sorts or bool(column.by),
    )


def _none_text(asked: Asked) -> str:
    filtered = f" {_('and')} ".join(f"{one.field} {one.relation} {one.value}" for one in asked.filters)
    if asked.q and filtered:
        return _("Nothing is found for “%(q)s” where %(filters)s.", q=asked.q, filters=filtered)
    if filtered:
        return _("Nothing is found where %(filters)s.", filters=filtered)
    return _("Nothing is found for “%(q)s”.", q=asked.q) if asked.q else _("Nothing is found.")


# -- views ------------------------------------------------------------------------------------------------------------


def _tabs(shown: Shown) -> list[TabItem]:
    """The whole list, the shared views, one's own."""
    listing: Listing[Any] = shown.listing
    if not listing.key:
        return []
    return [
        TabItem(
            label=_("All"),
            href=_home(shown),
            current=shown.view is None,
            later=f"count-{ALL}" if shown.kept.views else "",
        ),
        *(
            TabItem(
                label=one.name,
                href=listing.address({"view": str(one.id)}),
                current=shown.view is not None and one.id == shown.view.id,
                later=f"count-{one.id}",
            )
            for one in shown.kept.views
        ),
    ]


def _is_changed(shown: Shown) -> bool:
    """Whether what is shown is otherwise than it was saved."""
    asked: Asked = shown.asked
    now = {name: text for name, text in asked.kept.items() if name not in {"view", "columns", "sort"}}
    if shown.view is None:
        return bool(now or "columns" in asked.kept or asked.order != shown.listing.sort)
    saved = dict(shown.view.query)
    order = saved.pop("sort", shown.listing.sort)
    columns = asked.kept.get("columns", "")
    return bool(now != saved or order != asked.order or (columns and columns != shown.view.columns) or shown.lost)


def _view_menu(shown: Shown, scope: Scope) -> list[list[MenuEntry]]:
    """What can be done with the view that is open, and with what is shown."""
    at, saved, asked = f"/lists/{shown.listing.key}/views", shown.view, shown.asked
    query = urlencode({**asked.kept, "columns": ",".join(one.key for one in shown.picked.columns)})
    if shown.picked.usual:
        query = urlencode(asked.kept)
    drawer = {"hx-target": "#plan", "hx-swap": "innerHTML"}
    new = MenuEntry(
        label=_("Save as new view…"),
        icon="plus",
        attrs={"hx-get": f"{at}/new?{query}" if query else f"{at}/new", **drawer},
    )
    if saved is None:
        opens = shown.kept.default_id is not None
        back = MenuEntry(label=_("Open the list with all"), icon="home", attrs={"hx-delete": f"{at}/default"})
        return [[new], *([[back]] if opens else [])]
    one, mine = f"{at}/{saved.id}", may_change(scope, saved)
    reason = "" if mine else _("It is shared. Save it as a view of your own")
    changed = _is_changed(shown)
    is_default = shown.kept.default_id == saved.id
    save = MenuEntry(
        label=_("Save to “%(name)s”", name=saved.name),
        icon="check",
        refused=reason,
        attrs={"hx-put": f"{one}?{query}", "hx-swap": "none"},
    )
    discard = MenuEntry(
        label=_("Discard changes"), icon="arrow-back-up", href=shown.listing.address({"view": str(saved.id)})
    )
    edit = MenuEntry(
        label=_("Rename or share…") if scope.may(SHARE) else _("Rename…"),
        icon="pencil",
        refused=reason,
        attrs={"hx-get": f"{one}/edit", **drawer},
    )
    begin = MenuEntry(
        label=_("Open the list with all") if is_default else _("Open the list with this view"),
        icon="home",
        attrs={"hx-delete": f"{at}/default"} if is_default else {"hx-put": f"{one}/default"},
    )
    sure = _("Delete the view “%(name)s”? Its rows stay as they are.", name=saved.name)
    if saved.shared:
        sure = _(
            "Delete the view “%(name)s”? It is shared, and gone for everybody then. Its rows stay as they are.",
            name=saved.name,
        )
    delete = MenuEntry(
        label=_("Delete view…"),
        icon="trash",
        danger=True,
        refused=reason,
        attrs={
            "hx-delete": one,
            "hx-confirm": sure,
            "data-do": _("Delete view"),
            "data-keep": _("Keep the view"),
        },
    )
    return [[*([save] if changed else []), new, *([discard] if changed else [])], [edit, begin], [delete]]
