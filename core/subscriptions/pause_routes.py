"""Pages of pauses: planned, undone before they begin, ended early; each drawer shows what it will do."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.billing.actions.pausing import pause
from core.money import format_money
from core.subscriptions import plans, queries
from core.subscriptions.actions.pausing import drop_pause, end_pause
from core.subscriptions.actions.shared import refuse_part
from core.subscriptions.pages import period_words
from core.subscriptions.plans import Told
from core.subscriptions.schemas import NewPause
from core.texts import _
from core.web.amounts import Fields, typed_amount
from core.web.changes import ChangePlan, Place, PlanLine, asked, do_plan, drawer, show_plan
from core.web.forms import checked, from_form
from core.web.parts import Field
from core.web.routing import get, post
from core.web.templating import written
from core.web.view import View

if TYPE_CHECKING:
    from core.scope import Scope
    from core.subscriptions.schemas import SubscriptionRow


class PauseForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A pause as it is typed."""

    from_on: date | None = None
    to_on: date | None = None
    hold: Annotated[str, Meta(max_length=40)] = ""
    reason: Annotated[str, Meta(max_length=500)] = ""
    seen: Annotated[str, Meta(max_length=20_000)] = ""


@get("/subscriptions/{subscription_id:int}/pause/plan", permission="subscriptions.change")
async def show_pause(view: View, subscription_id: FromPath[int]) -> Response[str]:
    scope, typed = view.scope, asked(view)
    mine = await queries.get_subscription(scope, subscription_id)
    place = _place(mine, scope.today())

    async def deed() -> ChangePlan:
        return await _pause(scope, mine, from_form(PauseForm, typed))

    if not typed.get("to_on", [""])[-1]:
        return drawer(view, place, typed)
    return await show_plan(view, place, typed, deed)


@post("/subscriptions/{subscription_id:int}/pause", permission="subscriptions.change")
async def carry_out_pause(view: View, subscription_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    mine = await queries.get_subscription(scope, subscription_id)
    await view.read()

    async def deed() -> ChangePlan:
        return await _pause(scope, mine, from_form(PauseForm, view.typed))

    return await do_plan(
        view,
        _place(mine, scope.today()),
        deed,
        to=f"/subscriptions/{subscription_id}",
        said=_("The pause of %(name)s is set.", name=_name(mine)),
    )


def _name(mine: SubscriptionRow) -> str:
    return mine.label or mine.product


def _place(mine: SubscriptionRow, today: date) -> Place:
    path = f"/subscriptions/{mine.id}/pause"
    return Place(
        title=_("Pause %(name)s", name=_name(mine)),
        asked=f"{path}/plan",
        sent=path,
        options=(
            Field(name="from_on", label=_("First day of the pause"), kind="date", value=today.isoformat()),
            Field(name="to_on", label=_("Goes on, on"), kind="date", required=True),
            Field(
                name="hold",
                label=_("Hold fee, %(currency)s", currency=mine.currency),
                kind="money",
                help=_("Once for the whole pause; empty: none"),
            ),
            Field(name="reason", label=_("Reason"), max_length=500),
        ),
        back=f"/subscriptions/{mine.id}",
    )


async def _pause(scope: Scope, mine: SubscriptionRow, form: PauseForm) -> ChangePlan:
    with Fields() as read:
        hold = read("hold", typed_amount, form.hold, mine.currency, scope.locale, default=0)
        if form.to_on is None:
            read.wrong("to_on", _("Fill this in."))
    data = checked(
        NewPause, {"from_on": form.from_on, "to_on": form.to_on, "hold_minor": hold or 0, "reason": form.reason}
    )
    first = data.from_on or scope.today()

    async def act() -> Told:
        await pause(scope, mine.id, data)
        days = (data.to_on - first).days
        lines = [
            PlanLine(
                text=_("Not served and not billed"),
                detail=period_words(first, data.to_on, scope.locale),
                value=_("%(days)s days", days=days),
            )
        ]
        if data.hold_minor:
            fee = format_money(data.hold_minor, mine.currency, scope.locale)
            lines.append(PlanLine(text=_("Hold fee, on the next invoice"), value=fee))
        if first <= scope.today():
            return Told(button=_("Pause now"), lines=lines)
        nothing = _("Nothing is charged or credited until it begins: then days that are charged ahead are credited.")
        return Told(
            button=_("Pause from %(day)s", day=written(first, scope.locale, year=False)),
            lines=lines,
            warnings=[nothing],
        )

    return await plans.carried_out(scope, mine.id, _("Pause %(name)s", name=_name(mine)), act)


@get("/subscriptions/{subscription_id:int}/pause/undo/plan", permission="subscriptions.change")
async def show_undo(view: View, subscription_id: FromPath[int]) -> Response[str]:
    mine = await queries.get_subscription(view.scope, subscription_id)
    return await show_plan(view, _undo_place(mine), {}, lambda: _undo(view.scope, mine))


@post("/subscriptions/{subscription_id:int}/pause/undo", permission="subscriptions.change")
async def carry_out_undo(view: View, subscription_id: FromPath[int]) -> Response[str]:
    await view.read()
    mine = await queries.get_subscription(view.scope, subscription_id)
    return await do_plan(
        view,
        _undo_place(mine),
        lambda: _undo(view.scope, mine),
        to=f"/subscriptions/{subscription_id}",
        said=_("The pause of %(name)s is undone.", name=_name(mine)),
    )


def _undo_place(mine: SubscriptionRow) -> Place:
    path = f"/subscriptions/{mine.id}/pause/undo"
    title = _("Undo the pause of %(name)s", name=_name(mine))
    return Place(title=title, asked=f"{path}/plan", sent=path, back=f"/subscriptions/{mine.id}")


async def _undo(scope: Scope, mine: SubscriptionRow) -> ChangePlan:
    async def act() -> Told:
        await refuse_part(mine.id)
        await drop_pause(scope, mine.id)
        was = period_words(mine.pause_from, mine.pause_to, scope.locale) if mine.pause_from and mine.pause_to else ""
        return Told(button=_("Undo the pause"), lines=[PlanLine(text=_("Pause"), before=was, value=_("nothing"))])

    return await plans.carried_out(scope, mine.id, _undo_place(mine).title, act)


@get("/subscriptions/{subscription_id:int}/pause/end/plan", permission="subscriptions.change")
async def show_end(view: View, subscription_id: FromPath[int]) -> Response[str]:
    mine = await queries.get_subscription(view.scope, subscription_id)
    return await show_plan(view, _end_place(mine), {}, lambda: _end(view.scope, mine))


@post("/subscriptions/{subscription_id:int}/pause/end", permission="subscriptions.change")
async def carry_out_end(view: View, subscription_id: FromPath[int]) -> Response[str]:
    await view.read()
    mine = await queries.get_subscription(view.scope, subscription_id)
    return await do_plan(
        view,
        _end_place(mine),
        lambda: _end(view.scope, mine),
        to=f"/subscriptions/{subscription_id}",
        said=_("%(name)s is served again.", name=_name(mine)),
    )


def _end_place(mine: SubscriptionRow) -> Place:
    path = f"/subscriptions/{mine.id}/pause/end"
    title = _("End the pause of %(name)s", name=_name(mine))
    return Place(title=title, asked=f"{path}/plan", sent=path, back=f"/subscriptions/{mine.id}")


async def _end(scope: Scope, mine: SubscriptionRow) -> ChangePlan:
    async def act() -> Told:
        await refuse_part(mine.id)
        await end_pause(scope, mine.id)
        today = scope.today()
        if mine.pause_to is None or mine.pause_to <= today:
            return Told(button=_("Go on today"))
        again = PlanLine(
            text=_("Charged again with the next invoice"),
            detail=_("as far as it was credited"),
            value=period_words(today, mine.pause_to, scope.locale),
        )
        return Told(button=_("Go on today"), lines=[again])

    return await plans.carried_out(scope, mine.id, _end_place(mine).title, act)


HANDLERS = (show_pause, carry_out_pause, show_undo, carry_out_undo, show_end, carry_out_end)
