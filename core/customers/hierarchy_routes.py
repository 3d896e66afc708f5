"""The tab Details of a customer: who stands above and below it, and who pays. Customers that are meant while typing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.customers import actions, queries
from core.customers.head import head_values
from core.customers.hierarchy import CHILDREN, find_standing, list_above, list_children
from core.customers.plans import plan_payer_change
from core.customers.schemas import HierarchyFields
from core.errors import FieldError, Invalid
from core.money import format_money
from core.texts import _
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, drawer, show_plan
from core.web.forms import from_form
from core.web.parts import Choice, Field
from core.web.routing import get, post
from core.web.view import View

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from core.customers.hierarchy import Relative, Standing
    from core.customers.schemas import CustomerDetail
    from core.hooks import Effect
    from core.scope import Scope

MOST_SUGGESTED = 8


class HierarchyForm(Struct, forbid_unknown_fields=True, frozen=True):
    """What the drawer sends: the parent by id or name, the payer by id; nothing is itself."""

    parent: Annotated[str, Meta(max_length=200)] = ""
    payer: Annotated[str, Meta(max_length=20)] = ""


@get("/customers/suggestions", permission="customers.view")
async def suggest_customers(view: View) -> Response[str]:
    """Whom the words in the one field that is typed into may mean."""
    typed = next((text for text in view.query.values() if text.strip()), "").strip()[:200]
    found = await queries.search_customers(view.scope, typed, limit=MOST_SUGGESTED) if typed else []
    options = [
        {"value": f"{one.id} {one.full_name}", "label": one.full_name, "detail": f"{one.id}, {_(one.status_label)}"}
        for one in found
    ]
    return view.page("_partials/suggestions.html", options=options, typed=typed)


@get("/customers/{customer_id:int}/details", permission="customers.view")
async def show_details(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    head = await head_values(view, customer_id, _("Details"))
    customer: CustomerDetail = head["customer"]
    children = await list_children(scope, customer_id)
    above = await list_above(scope, customer_id)
    return view.page(
        "customers/details.html",
        **head,
        above=above,
        payer=next((one for one in above if one.id == customer.payer_id), None),
        children=children[:CHILDREN],
        more=len(children) > CHILDREN,
    )


@get("/customers/{customer_id:int}/hierarchy", permission="customers.edit")
async def plan_hierarchy(view: View, customer_id: FromPath[int]) -> Response[str]:
    """The drawer. Before anything is chosen it shows who stands there now."""
    scope = view.scope
    now = await queries.get_customer(scope, customer_id)
    typed = asked(view) or await _now_typed(scope, now)
    place = await _place(scope, now, typed)
    if typed == await _now_typed(scope, now):
        return drawer(view, place, typed)  # nothing to plan
    return await show_plan(view, place, typed, _deed(scope, now, typed))


@post("/customers/{customer_id:int}/hierarchy", permission="customers.edit")
async def change_hierarchy(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    now = await queries.get_customer(scope, customer_id)
    await view.read()
    place, deed = await _place(scope, now, view.typed), _deed(scope, now, view.typed)
    if not view.typed.get("seen", [""])[-1]:
        return await show_plan(view, place, view.typed, deed)  # Enter in a field, before there was a plan to confirm
    return await do_plan(view, place, deed, to=f"/customers/{customer_id}/details", said=_("Hierarchy saved."))


async def _now_typed(scope: Scope, now: CustomerDetail) -> dict[str, list[str]]:
    parent = await find_standing(scope, now.parent_id) if now.parent_id is not None else None
    name = "" if now.parent_id is None else str(now.parent_id) if parent is None else f"{parent.id} {parent.full_name}"
    return {"parent": [name], "payer": [str(now.payer_id or "")]}


async def _place(scope: Scope, now: CustomerDetail, typed: Mapping[str, Sequence[str]]) -> Place:
    """The fields; the payers that may be chosen are those above the parent that is typed so far."""
    text = typed.get("parent", [""])[-1]
    try:
        parent_id = await _parent_id(scope, now, text)
        above = [one for one in await _line_up(scope, parent_id) if one.id != now.id] if parent_id is not None else []
    except Invalid:
        above = []
    payers = [Choice("", _("Itself")), *(Choice(str(one.id), f"{one.full_name} ({one.id})") for one in above)]
    chosen = typed.get("payer", [""])[-1]
    if chosen and chosen not in {one.value for one in payers}:
        payers.append(Choice(chosen, _("Customer %(id)s", id=chosen)))
    base = f"/customers/{now.id}/hierarchy"
    return Place(
        title=_("Hierarchy of %(name)s", name=now.full_name),
        asked=base,
        sent=base,
        options=[
            Field(
                name="parent",
                label=_("Parent"),
                kind="customer",
                help=_("Name or id; none: it stands by itself"),
                wide=True,
                max_length=200,
            ),
            Field(
                name="payer",
                label=_("Payer"),
                kind="select",
                choices=payers,
                help=_("Who gets its invoices"),
                wide=True,
            ),
        ],
    )


async def _line_up(scope: Scope, customer_id: int) -> list[Standing | Relative]:
    """A customer and those above it, the nearest first, as far as they are in reach."""
    own = await find_standing(scope, customer_id)
    return [*([own] if own is not None else []), *reversed(await list_above(scope, customer_id))]


async def _parent_id(scope: Scope, now: CustomerDetail, text: str) -> int | None:
    """Who is meant: an id, also with the name behind it, or a name."""
    if not text.strip():
        return None
    number, name = [*text.strip().split(maxsplit=1), ""][:2]
    if number == str(now.parent_id):
        return now.parent_id  # it may be out of reach
    if name and number.isdecimal() and len(number) < 19:
        found = await find_standing(scope, int(number))
        if found is not None and found.full_name == name:
            return found.id
    return (await queries.find_customer(scope, text, field="parent")).id


def _deed(
    scope: Scope, before: CustomerDetail, typed: Mapping[str, Sequence[str]]
) -> Callable[[], Awaitable[ChangePlan]]:
    async def deed() -> ChangePlan:
        form = from_form(HierarchyForm, {name: texts for name, texts in typed.items() if name in ("parent", "payer")})
        now = await queries.get_customer(scope, before.id)
        parent_id = await _parent_id(scope, now, form.parent)
        payer_id = int(form.payer) if form.payer.isdecimal() and len(form.payer) < 19 else None
        payer_id = None if payer_id == now.id else payer_id
        effects = (
            await plan_payer_change(scope, now.id, payer_id or now.id) if (payer_id or None) != now.payer_id else []
        )
        names = await _names(scope, now, {now.parent_id, parent_id, now.payer_id, payer_id})
        try:
            await actions.change_hierarchy(
                scope, now.id, HierarchyFields(parent_id=parent_id, payer_id=payer_id), version=now.version
            )
        except Invalid as error:
            raise Invalid(errors=[_renamed(one) for one in error.errors]) from None
        same = (parent_id, payer_id) == (now.parent_id, now.payer_id)
        return ChangePlan(
            title=_("Hierarchy of %(name)s", name=now.full_name),
            button=_("Leave the hierarchy as it is") if same else _("Change the hierarchy"),
            parts=[
                PlanPart(
                    title=_("Hierarchy"),
                    lines=[
                        _line(_("Parent"), names, now.parent_id, parent_id, _("None")),
                        _line(_("Payer"), names, now.payer_id, payer_id, _("Itself")),
                    ],
                ),
                *_effect_parts(scope, effects),
            ],
            warnings=await _warnings(scope, now, payer_id) if payer_id != now.payer_id else [],
        )

    return deed


def _renamed(error: FieldError) -> FieldError:
    return FieldError(error.field.removesuffix("_id"), error.message)


async def _names(scope: Scope, now: CustomerDetail, ids: set[int | None]) -> dict[int | None, str]:
    found = [await find_standing(scope, one) for one in ids if one is not None]
    return {one.id: f"{one.full_name} ({one.id})" for one in found if one is not None}


def _line(text: str, names: Mapping[int | None, str], old: int | None, new: int | None, none: str) -> PlanLine:
    def said(one: int | None) -> str:
        return none if one is None else names.get(one, str(one))

    return PlanLine(text=text, value=said(new), before=said(old) if old != new else "")


def _effect_parts(scope: Scope, effects: Sequence[Effect]) -> list[PlanPart]:
    lines = [
        PlanLine(
            text=one.text,
            value=format_money(one.amount_minor, one.currency, scope.locale)
            if one.amount_minor is not None and one.currency is not None
            else "",
        )
        for one in effects
    ]
    return [PlanPart(title=_("What follows"), lines=lines, note=_("amounts without tax"))] if lines else []


async def _warnings(scope: Scope, now: CustomerDetail, payer_id: int | None) -> list[str]:
    if payer_id is None:
        return [_("From the next one on, its invoices have its own terms, tax and number again.")]
    payer = await queries.get_customer(scope, payer_id)
    told = [
        _(
            "Terms, tax, reminders and the debt are those of %(name)s. Credit of its own does not pay there.",
            name=payer.full_name,
        )
    ]
    if payer.payer_id is not None:
        told.append(
            _(
                "%(name)s is itself paid for by another one, but the invoices of this customer stay with it.",
                name=payer.full_name,
            )
        )
    return told


HANDLERS = (suggest_customers, show_details, plan_hierarchy, change_hierarchy)
