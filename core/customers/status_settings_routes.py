"""Settings, Statuses: what each status does, in the tenant's words and order, and which may follow which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Response
from litestar.params import FromPath
from msgspec import Struct
from msgspec.structs import replace

from core.customers import statuses
from core.customers.actions import status_table
from core.customers.actions.status_table import MODELS, NewStatus, StatusEdit
from core.customers.status import COLOURS, ENDING, NEEDED, SWITCHES, StatusKey, StatusKind, needed_for
from core.customers.vocabularies import VOCABULARIES
from core.errors import Conflict, Invalid
from core.money import format_money
from core.texts import N_, _, ngettext, number
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, Typed, asked, do_plan, show_plan
from core.web.parts import Choice, Field
from core.web.routing import get, post
from core.web.view import HTML, View, errors_by_field

if TYPE_CHECKING:
    from core.customers.statuses import StatusFull
    from core.hooks import Effect
    from core.scope import Scope
    from core.web.view import PageView

PATH: Final = "/settings/statuses"
KINDS: Final[dict[str, str]] = {
    StatusKind.LEAD: N_("Lead"),
    StatusKind.NEW: N_("New"),
    StatusKind.LIVE: N_("Live"),
    StatusKind.BLOCKED: N_("Blocked"),
    StatusKind.ENDED: N_("Ended"),
}


class StatusLine(Struct, frozen=True, kw_only=True):
    """A row of the table: the status, and why it cannot be removed, empty where it can."""

    status: Any
    kind: str
    refused: str


class WayLine(Struct, frozen=True, kw_only=True):
    """From one status to some, under a condition and with a consequence."""

    label: str
    colour: str
    to: list[str]
    only_if: str
    then: str


@get(PATH, permission="settings.view")
async def show_statuses(view: View) -> Response[str]:
    found = await statuses.list_full(view.scope)
    known = {one.key: one for one in found}
    return view.page(
        "customers/statuses.html",
        lines=[
            StatusLine(status=one, kind=_(KINDS[one.kind]), refused=await status_table.refusal_of_removal(one))
            for one in found
        ],
        switches=[(name, _(label), _(meaning)) for name, (label, meaning) in SWITCHES.items()],
        ways=_ways(known, await statuses.list_ways()),
        rules=[
            (f"{_(known[one].label)} → {_(known[other].label)}", _(reason))
            for (one, other), reason in NEEDED.items()
            if one in known and other in known
        ],
        planned=await statuses.count_planned(view.scope),
        may_change=view.scope.may("settings.edit"),
    )


def _ways(known: dict[str, StatusFull], ways: list[statuses.Way]) -> list[WayLine]:
    """Ways with the same condition and consequence in one line."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for way in ways:
        said = (way.from_key, *_condition(known[way.from_key], known[way.to_key]))
        found.setdefault(said, []).append(_(known[way.to_key].label))
    return [
        WayLine(label=_(known[one].label), colour=known[one].colour, to=to, only_if=only_if, then=then)
        for (one, only_if, then), to in found.items()
    ]


def _condition(before: StatusFull, after: StatusFull) -> tuple[str, str]:
    """When it is allowed and what follows, in words."""
    if after.key == StatusKey.CLOSED:
        return _("never had a subscription"), "–"
    only_if = _("by a rule: not “never block”") if after.kind == StatusKind.BLOCKED else _("always")
    if before.kind == StatusKind.NEW:
        return only_if, "–"
    if after.key in ENDING:
        return only_if, _("subscriptions end, final invoice")
    if after.kind == StatusKind.ENDED:
        return only_if, _("subscriptions are suspended")
    if before.serve and not after.serve:
        return only_if, _("services are denied")
    if after.serve and not before.serve:
        return only_if, _("services go on")
    return only_if, "–"


# -- what statuses do -------------------------------------------------------------------------------------------------


def _place(title: str, asked_at: str, sent: str, options: tuple[Field, ...] = (), only_with: str = "") -> Place:
    return Place(title=title, asked=asked_at, sent=sent, options=options, plan_only_with=only_with, back=PATH)


@get(f"{PATH}/plan", permission="settings.edit")
async def show_change(view: View) -> Response[str]:
    typed = asked(view)
    place = _place(_("Statuses"), f"{PATH}/plan", f"{PATH}/change")
    return await show_plan(view, place, typed, lambda: _change(view.scope, typed))


@post(f"{PATH}/change", permission="settings.edit")
async def change(view: View) -> Response[str]:
    await view.read()
    place = _place(_("Statuses"), f"{PATH}/plan", f"{PATH}/change")
    return await do_plan(view, place, lambda: _change(view.scope, view.typed), to=PATH, said=_("Statuses saved."))


def _edits(typed: Typed) -> dict[str, StatusEdit]:
    """The rows of the table as they were sent: a switch that is left out is off."""
    keys = [name.removeprefix("label.") for name in typed if name.startswith("label.")]
    edits: dict[str, StatusEdit] = {}
    for key in keys:
        switches = {name: typed.get(f"{name}.{key}", [""])[-1] == "yes" for name in SWITCHES}
        edits[key] = replace(StatusEdit(label=typed[f"label.{key}"][-1][:40]), **switches)
    return edits


async def _change(scope: Scope, typed: Typed) -> ChangePlan:
    try:
        changes = await status_table.change_statuses(scope, _edits(typed))
    except Invalid as error:
        raise Conflict(
            " ".join(f"{fault.field.partition('.')[2] or fault.field}: {fault.message}" for fault in error.errors)
        ) from error
    if not changes:
        raise Conflict(_("Nothing is changed."))
    parts = [_part(scope, one) for one in changes]
    if len(changes) == 1:
        title = _("“%(status)s” is changed", status=_(changes[0].before.label))
    else:
        title = ngettext("%(num)s status is changed", "%(num)s statuses are changed", len(changes))
    customers = sum(one.after.customers for one in changes if one.before.switches != one.after.switches)
    button = (
        ngettext("Save, for %(num)s customer", "Save, for %(num)s customers", customers) if customers else _("Save")
    )
    return ChangePlan(title=title, button=button, parts=parts, danger=any(_stops(one) for one in changes))


def _stops(change: status_table.StatusChange) -> bool:
    """Whether customers who have it lose service or are billed no more."""
    before, after = change.before, change.after
    return bool(after.customers) and ((before.serve and not after.serve) or (before.bill and not after.bill))


def _part(scope: Scope, change: status_table.StatusChange) -> PlanPart:
    before, after = change.before, change.after
    yes, no = _("Yes"), _("No")
    lines: list[PlanLine] = []
    if before.label != after.label:
        lines.append(PlanLine(text=_("Label"), before=before.label, value=after.label))
    if before.colour != after.colour:
        lines.append(PlanLine(text=_("Colour"), before=_(COLOURS[before.colour]), value=_(COLOURS[after.colour])))
    switched = False
    for name, (_label, meaning) in SWITCHES.items():
        if before.switches[name] != after.switches[name]:
            switched = True
            lines.append(
                PlanLine(
                    text=_(meaning),
                    before=yes if before.switches[name] else no,
                    value=yes if after.switches[name] else no,
                )
            )
    if switched:
        lines.append(PlanLine(text=_("Customers who have it"), value=number(after.customers)))
        lines += [_effect_line(scope, each) for each in change.effects]
        if not change.effects:
            lines.append(PlanLine(text=_("Documents, services, days charged"), value=_("none touched")))
    return PlanPart(title=after.label, lines=lines)


def _effect_line(scope: Scope, effect: Effect) -> PlanLine:
    amount = ""
    if effect.amount_minor is not None and effect.currency is not None:
        amount = format_money(effect.amount_minor, effect.currency, scope.locale)
    return PlanLine(text=effect.text, value=amount, rests_on=effect.inputs)


@post(f"{PATH}/order", permission="settings.edit")
async def put_in_order(view: View) -> Response[str]:
    await view.read()
    keys = view.typed.get("keys", [""])[-1].split(",")
    await status_table.order_statuses(view.scope, keys)
    return Response("", media_type=HTML)


# -- one status -------------------------------------------------------------------------------------------------------


@get(f"{PATH}/new", permission="settings.edit")
async def show_new(view: View) -> Response[str]:
    return _new_drawer(view, {})


@post(PATH, permission="settings.edit")
async def add(view: View) -> Response[str]:
    try:
        await status_table.add_status(view.scope, await view.form(NewStatus))
    except Invalid as error:
        return _new_drawer(view, errors_by_field(error), status=422)
    return view.go(PATH, _("Status added."))


def _new_drawer(view: PageView, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    fields = [
        Field(name="label", label=_("Label"), required=True, max_length=40, help=_("As it reads on pages")),
        Field(
            name="key",
            label=_("Key"),
            required=True,
            max_length=40,
            help=_("As the API names it, for good: on_holiday"),
        ),
        Field(
            name="kind",
            label=_("Kind"),
            kind="select",
            help=_("What it means to rules"),
            choices=tuple(Choice(kind, _(KINDS[kind])) for kind in MODELS),
        ),
        Field(
            name="colour",
            label=_("Colour"),
            kind="select",
            choices=(Choice("", _("As its kind")), *(Choice(key, _(label)) for key, label in COLOURS.items())),
        ),
        *(
            Field(name=name, label=_(label), kind="check", help=_(meaning))
            for name, (label, meaning) in SWITCHES.items()
        ),
    ]
    return view.drawer(
        "customers/status_new.html",
        status=status,
        page_title=_("Add status"),
        back=PATH,
        fields=fields,
        values=view.shown(kind=StatusKind.LIVE.value),
        errors=errors,
    )


@get(f"{PATH}/{{key:str}}/colour", permission="settings.edit")
async def show_colour(view: View, key: FromPath[str]) -> Response[str]:
    found = await statuses.get_status(view.scope, key)
    return view.drawer(
        "customers/status_colour.html",
        page_title=_("Colour of %(status)s", status=found.label),
        back=PATH,
        status_=found,
        colours=[(each, _(label)) for each, label in COLOURS.items()],
    )


@post(f"{PATH}/{{key:str}}/colour", permission="settings.edit")
async def recolour(view: View, key: FromPath[str]) -> Response[str]:
    await view.read()
    await status_table.change_statuses(view.scope, {key: StatusEdit(colour=view.typed.get("colour", [""])[-1])})
    return view.go(PATH, _("Colour saved."))


@get(f"{PATH}/{{key:str}}/removal", permission="settings.edit")
async def show_removal(view: View, key: FromPath[str]) -> Response[str]:
    place = await _removal_place(view, key)
    return await show_plan(view, place, {}, lambda: _remove(view.scope, key))


@post(f"{PATH}/{{key:str}}/removal", permission="settings.edit")
async def remove(view: View, key: FromPath[str]) -> Response[str]:
    place = await _removal_place(view, key)
    await view.read()
    return await do_plan(view, place, lambda: _remove(view.scope, key), to=PATH, said=_("Status removed."))


async def _removal_place(view: PageView, key: str) -> Place:
    found = await statuses.get_status(view.scope, key)
    at = f"{PATH}/{key}/removal"
    return _place(_("Remove “%(status)s”", status=found.label), at, at)


async def _remove(scope: Scope, key: str) -> ChangePlan:
    ways = [way for way in await statuses.list_ways() if key in (way.from_key, way.to_key)]
    found = await status_table.remove_status(scope, key)
    return ChangePlan(
        title=_("Remove “%(status)s”", status=found.label),
        button=_("Remove “%(status)s”", status=found.label),
        parts=[
            PlanPart(
                title=_("What goes"),
                lines=[
                    PlanLine(text=_("Customers who have it"), value="0"),
                    PlanLine(text=_("Allowed changes from and to it"), value=str(len(ways))),
                ],
            )
        ],
        danger=True,
    )


# -- what may follow what ---------------------------------------------------------------------------------------------


@get(f"{PATH}/transitions", permission="settings.view")
async def show_ways(view: View) -> Response[str]:
    return await _ways_page(view)


@post(f"{PATH}/transitions", permission="settings.edit")
async def save_ways(view: View) -> Response[str]:
    await view.read()
    pairs = [tuple(each.split(">", 1)) for each in view.typed.get("way", []) if ">" in each]
    wanted = [(one, other) for one, other in pairs]
    try:
        await status_table.set_ways(view.scope, wanted)
    except (Conflict, Invalid) as error:
        return await _ways_page(view, error.message, status=error.status, typed=set(wanted))
    return view.go(PATH, _("Allowed changes saved."))


async def _ways_page(
    view: PageView, error: str = "", *, status: int = 200, typed: set[tuple[str, str]] | None = None
) -> Response[str]:
    found = await statuses.list_full(view.scope)
    allowed = typed if typed is not None else {(way.from_key, way.to_key) for way in await statuses.list_ways()}
    return view.page(
        "customers/transitions.html",
        status=status,
        statuses=found,
        rows=[
            (
                one,
                [
                    (other, (one.key, other.key) in allowed, _(needed_for(one.key, one.kind, other.key)))
                    for other in found
                ],
            )
            for one in found
        ],
        errors={"": error} if error else {},
        may_change=view.scope.may("settings.edit"),
    )


# -- words of a trade -------------------------------------------------------------------------------------------------


@get(f"{PATH}/vocabulary", permission="settings.edit")
async def show_vocabulary(view: View) -> Response[str]:
    typed = asked(view)
    return await show_plan(view, _vocabulary_place(), typed, lambda: _take(view.scope, typed))


@post(f"{PATH}/vocabulary", permission="settings.edit")
async def take_vocabulary(view: View) -> Response[str]:
    await view.read()
    return await do_plan(
        view, _vocabulary_place(), lambda: _take(view.scope, view.typed), to=PATH, said=_("Words taken.")
    )


def _vocabulary_place() -> Place:
    choices = tuple(Choice(name, f"{_(each.title)}: {_(each.about)}") for name, each in VOCABULARIES.items())
    return _place(
        _("Words of a trade"),
        f"{PATH}/vocabulary",
        f"{PATH}/vocabulary",
        options=(
            Field(
                name="vocabulary",
                label=_("Words"),
                kind="select",
                choices=(Choice("", _("Choose…")), *choices),
                help=_("Renames what came with the product and adds what it lacks. Nothing goes away."),
                wide=True,
            ),
        ),
        only_with="vocabulary",
    )


async def _take(scope: Scope, typed: Typed) -> ChangePlan:
    done = await status_table.take_vocabulary(scope, typed.get("vocabulary", [""])[-1])
    if not done:
        raise Conflict(_("The statuses have these words already."))
    return ChangePlan(
        title=_("Words of a trade"),
        button=_("Take these words"),
        parts=[
            PlanPart(
                title=_("Statuses"),
                note=_("What they do stays as it is"),
                lines=[
                    PlanLine(text=key, before=before, value=after if before else _("%(label)s, added", label=after))
                    for key, before, after in done
                ],
            )
        ],
    )


HANDLERS: Final = (
    show_statuses,
    show_change,
    change,
    put_in_order,
    show_new,
    add,
    show_colour,
    recolour,
    show_removal,
    remove,
    show_ways,
    save_ways,
    show_vocabulary,
    take_vocabulary,
)
