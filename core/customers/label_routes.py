"""Settings of what customers are labelled with: tags and locations. And the tags that a field suggests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Response
from litestar.params import FromPath

from core.customers import actions, queries
from core.customers.schemas import TAG_LENGTH, LocationFields, MergeInto, TagFields
from core.errors import Invalid
from core.texts import N_, _, ngettext, number
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, show_plan
from core.web.forms import from_form
from core.web.parts import Choice, Field
from core.web.reach import check_sees_everyone
from core.web.routing import delete, get, post
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from core.customers.schemas import LocationUse, TagUse
    from core.scope import Scope
    from core.web.view import PageView

COLOURS = (N_("Blue"), N_("Teal"), N_("Amber"), N_("Red"), N_("Violet"), N_("Grey"))
"""By name, in the order of their numbers."""


# -- tags -------------------------------------------------------------------------------------------------------------


@get("/settings/tags", permission="settings.view")
async def list_tags(view: View) -> Response[str]:
    return await _tags(view)


@post("/settings/tags", permission="settings.edit")
async def create_tag(view: View) -> Response[str]:
    try:
        await actions.create_tag(view.scope, await view.form(TagFields))
    except Invalid as error:
        return await _tags(view, errors_by_field(error), status=422)
    return view.go("/settings/tags", _("Tag created."))


async def _tags(view: PageView, errors: dict[str, str] | None = None, *, status: int = 200) -> Response[str]:
    check_sees_everyone(view.scope)
    return view.page(
        "customers/tags.html",
        status=status,
        tags=await queries.list_tag_uses(),
        fields=_tag_fields(None),
        values=view.shown(),
        errors=errors or {},
    )


def _tag_fields(tag: TagUse | None) -> list[Field]:
    colours = [Choice(str(number), _(name)) for number, name in enumerate(COLOURS, 1)]
    return [
        Field(
            name="name",
            label=_("Name"),
            value=tag.name if tag is not None else "",
            required=True,
            max_length=TAG_LENGTH,
            autocomplete="off",
        ),
        Field(
            name="colour",
            label=_("Colour"),
            kind="select",
            value=str(tag.colour) if tag is not None else "",
            choices=colours if tag is not None else [Choice("", _("The next one")), *colours],
        ),
    ]


@get("/settings/tags/{tag_id:int}", permission="settings.edit")
async def edit_tag(view: View, tag_id: FromPath[int]) -> Response[str]:
    return await _tag(view, tag_id, {})


@post("/settings/tags/{tag_id:int}", permission="settings.edit")
async def save_tag(view: View, tag_id: FromPath[int]) -> Response[str]:
    try:
        await actions.change_tag(view.scope, tag_id, await view.form(TagFields))
    except Invalid as error:
        return await _tag(view, tag_id, errors_by_field(error), status=422)
    return view.go("/settings/tags", _("Tag saved."))


async def _tag(view: PageView, tag_id: int, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    check_sees_everyone(view.scope)
    tag = await queries.get_tag(tag_id)
    return view.page(
        "customers/tag.html",
        status=status,
        tag=tag,
        others=len(await queries.list_tags()) > 1,
        fields=_tag_fields(tag),
        values=view.shown(),
        errors=errors,
    )


@get("/settings/tags/{tag_id:int}/merge", permission="settings.edit")
async def plan_merge_of_tag(view: View, tag_id: FromPath[int]) -> Response[str]:
    tag, typed = await _known_tag(view.scope, tag_id), asked(view)
    return await show_plan(view, await _merge_place(tag), typed, _merge(view.scope, tag, typed))


@post("/settings/tags/{tag_id:int}/merge", permission="settings.edit")
async def merge_tag(view: View, tag_id: FromPath[int]) -> Response[str]:
    tag = await _known_tag(view.scope, tag_id)
    await view.read()
    place, deed = await _merge_place(tag), _merge(view.scope, tag, view.typed)
    if not view.typed.get("seen", [""])[-1]:
        return await show_plan(view, place, view.typed, deed)
    return await do_plan(view, place, deed, to="/settings/tags", said=_("Tags merged."))


@get("/settings/tags/{tag_id:int}/removal", permission="settings.edit")
async def plan_removal_of_tag(view: View, tag_id: FromPath[int]) -> Response[str]:
    tag = await _known_tag(view.scope, tag_id)
    return await show_plan(view, _removal_place(tag), {}, _removal(view.scope, tag))


@post("/settings/tags/{tag_id:int}/removal", permission="settings.edit")
async def remove_tag_for_all(view: View, tag_id: FromPath[int]) -> Response[str]:
    tag = await _known_tag(view.scope, tag_id)
    await view.read()
    return await do_plan(
        view, _removal_place(tag), _removal(view.scope, tag), to="/settings/tags", said=_("Tag removed.")
    )


async def _known_tag(scope: Scope, tag_id: int) -> TagUse:
    check_sees_everyone(scope)
    return await queries.get_tag(tag_id)


async def _merge_place(tag: TagUse) -> Place:
    others = [Choice(str(one.id), one.name) for one in await queries.list_tags() if one.id != tag.id]
    return Place(
        title=_("Merge tag %(name)s", name=tag.name),
        asked=f"/settings/tags/{tag.id}/merge",
        sent=f"/settings/tags/{tag.id}/merge",
        options=[_into(others, _("The tag that stays"))],
        plan_only_with="into",
    )


def _into(others: Sequence[Choice], label: str) -> Field:
    return Field(
        name="into", label=label, kind="select", choices=[Choice("", _("Choose…")), *others], required=True, wide=True
    )


def _merge(scope: Scope, tag: TagUse, typed: Mapping[str, Sequence[str]]) -> Callable[[], Awaitable[ChangePlan]]:
    async def deed() -> ChangePlan:
        into_id = from_form(MergeInto, {"into": typed.get("into", [])}).into
        into = next((one for one in await queries.list_tag_uses() if one.id == into_id), None)
        had = await actions.merge_tag(scope, tag.id, into_id)
        now = await queries.get_tag(into_id)
        before = into.customers if into is not None else 0
        both = before + had - now.customers
        return ChangePlan(
            title=_("Merge %(old)s into %(new)s", old=tag.name, new=now.name),
            button=_("Merge into %(new)s", new=now.name),
            danger=True,
            parts=[
                PlanPart(
                    title=_("Customers"),
                    lines=[
                        PlanLine(text=now.name, before=number(before), value=number(now.customers)),
                        PlanLine(text=tag.name, before=number(had), value="0", detail=_("The tag is removed")),
                        *([PlanLine(text=_("Had both"), value=number(both))] if both else []),
                    ],
                )
            ],
        )

    return deed


def _removal_place(tag: TagUse) -> Place:
    at = f"/settings/tags/{tag.id}/removal"
    return Place(title=_("Remove tag %(name)s", name=tag.name), asked=at, sent=at)


def _removal(scope: Scope, tag: TagUse) -> Callable[[], Awaitable[ChangePlan]]:
    async def deed() -> ChangePlan:
        had = await actions.delete_tag(scope, tag.id)
        return ChangePlan(
            title=_("Remove tag %(name)s", name=tag.name),
            button=_("Remove tag %(name)s", name=tag.name),
            keep=_("Keep the tag"),
            danger=True,
            parts=[
                PlanPart(
                    title=_("Customers"),
                    lines=[
                        PlanLine(
                            text=_("It is taken off"), value=ngettext("%(num)s customer", "%(num)s customers", had)
                        )
                    ],
                )
            ],
        )

    return deed


@get("/customers/{customer_id:int}/tags/suggestions", permission="customers.edit")
async def suggest_tags(view: View, customer_id: FromPath[int]) -> Response[str]:
    """The tags that are meant by what is typed, without those that the customer has."""
    await queries.get_customer(view.scope, customer_id)
    typed = view.query.get("name", "").strip()[:TAG_LENGTH]
    found = await queries.suggest_tags(typed, customer_id)
    options = [{"value": one.name, "label": one.name, "tag": one.colour} for one in found]
    return view.page("_partials/suggestions.html", options=options, typed=typed)


# -- locations --------------------------------------------------------------------------------------------------------


@get("/settings/locations", permission="settings.view")
async def list_locations(view: View) -> Response[str]:
    return await _locations(view)


@post("/settings/locations", permission="settings.edit")
async def add_location(view: View) -> Response[str]:
    try:
        await actions.add_location(view.scope, await view.form(LocationFields))
    except Invalid as error:
        return await _locations(view, errors_by_field(error), status=422)
    return view.go("/settings/locations", _("Location added."))


async def _locations(view: PageView, errors: dict[str, str] | None = None, *, status: int = 200) -> Response[str]:
    check_sees_everyone(view.scope)
    return view.page(
        "customers/locations.html",
        status=status,
        locations=await queries.list_location_uses(view.scope),
        fields=_location_fields(None),
        values=view.shown(),
        errors=errors or {},
    )


def _location_fields(location: LocationUse | None) -> list[Field]:
    value = location.name if location is not None else ""
    return [
        Field(name="name", label=_("Name"), value=value, required=True, max_length=100, autocomplete="off", wide=True)
    ]


@get("/settings/locations/{location_id:int}", permission="settings.edit")
async def edit_location(view: View, location_id: FromPath[int]) -> Response[str]:
    return await _location(view, location_id, {})


@post("/settings/locations/{location_id:int}", permission="settings.edit")
async def rename_location(view: View, location_id: FromPath[int]) -> Response[str]:
    try:
        await actions.rename_location(view.scope, location_id, await view.form(LocationFields))
    except Invalid as error:
        return await _location(view, location_id, errors_by_field(error), status=422)
    return view.go("/settings/locations", _("Location saved."))


async def _location(view: PageView, location_id: int, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    check_sees_everyone(view.scope)
    found = await queries.get_location(location_id)
    return view.page(
        "customers/location.html",
        status=status,
        location=found,
        others=len(await queries.list_locations()) > 1,
        fields=_location_fields(found),
        values=view.shown(),
        errors=errors,
    )


@delete("/settings/locations/{location_id:int}", permission="settings.edit")
async def remove_location(view: View, location_id: FromPath[int]) -> Response[str]:
    await actions.remove_location(view.scope, location_id)
    return view.go("/settings/locations", _("Location removed."))


@get("/settings/locations/{location_id:int}/merge", permission="settings.edit")
async def plan_merge_of_location(view: View, location_id: FromPath[int]) -> Response[str]:
    location, typed = await _known_location(view.scope, location_id), asked(view)
    return await show_plan(view, await _join_place(location), typed, _join(view.scope, location, typed))


@post("/settings/locations/{location_id:int}/merge", permission="settings.edit")
async def merge_location(view: View, location_id: FromPath[int]) -> Response[str]:
    location = await _known_location(view.scope, location_id)
    await view.read()
    place, deed = await _join_place(location), _join(view.scope, location, view.typed)
    if not view.typed.get("seen", [""])[-1]:
        return await show_plan(view, place, view.typed, deed)
    return await do_plan(view, place, deed, to="/settings/locations", said=_("Locations merged."))


async def _known_location(scope: Scope, location_id: int) -> LocationUse:
    check_sees_everyone(scope)
    return await queries.get_location(location_id)


async def _join_place(location: LocationUse) -> Place:
    others = [Choice(str(one.id), one.name) for one in await queries.list_locations() if one.id != location.id]
    return Place(
        title=_("Merge location %(name)s", name=location.name),
        asked=f"/settings/locations/{location.id}/merge",
        sent=f"/settings/locations/{location.id}/merge",
        options=[_into(others, _("The location that stays"))],
        plan_only_with="into",
    )


def _join(
    scope: Scope, location: LocationUse, typed: Mapping[str, Sequence[str]]
) -> Callable[[], Awaitable[ChangePlan]]:
    async def deed() -> ChangePlan:
        into_id = from_form(MergeInto, {"into": typed.get("into", [])}).into
        moved = await actions.merge_location(scope, location.id, into_id)
        now = await queries.get_location(into_id)
        return ChangePlan(
            title=_("Merge %(old)s into %(new)s", old=location.name, new=now.name),
            button=_("Merge into %(new)s", new=now.name),
            danger=True,
            parts=[
                PlanPart(
                    title=_("Customers"),
                    lines=[
                        PlanLine(text=now.name, before=number(now.customers - moved), value=number(now.customers)),
                        PlanLine(
                            text=location.name, before=number(moved), value="0", detail=_("The location is removed")
                        ),
                    ],
                )
            ],
        )

    return deed


HANDLERS = (
    list_tags,
    create_tag,
    edit_tag,
    save_tag,
    plan_merge_of_tag,
    merge_tag,
    plan_removal_of_tag,
    remove_tag_for_all,
    suggest_tags,
    list_locations,
    add_location,
    edit_location,
    rename_location,
    remove_location,
    plan_merge_of_location,
    merge_location,
)
