"""Pages of pauses that customers plan by themselves: each shows what it will do, then does just that."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from litestar import Response
from litestar.params import FromPath

from core.errors import Conflict, Invalid, NotFound
from core.settings.queries import load_settings
from core.subscriptions.queries import get_subscription
from core.texts import _
from core.web.changes import PlanChanged, carry_out, rehearse
from core.web.forms import from_form
from core.web.routing import SIGNED_IN, get, post
from core.web.view import View, errors_by_field
from plugins.portal import pausing
from plugins.portal.schemas import OwnPause, Seen
from plugins.portal.settings import PortalSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.subscriptions.schemas import SubscriptionRow
    from core.web.changes import ChangePlan
    from core.web.view import PageView

SERVICES: Final = "/portal/services"


@get("/portal/services/{subscription_id:int}/pause", permission=SIGNED_IN)
async def show_pause(view: View, subscription_id: FromPath[int]) -> Response[str]:
    """The days to choose; once they are chosen, what a pause of them does."""
    scope = view.scope
    mine = await get_subscription(scope, subscription_id)
    typed: dict[str, list[str]] = {name: [view.query[name]] for name in ("from_on", "to_on") if name in view.query}
    if "to_on" not in typed:
        return await _choice(view, mine, typed)
    try:
        plan = await rehearse(scope, lambda: pausing.plan_own_pause(scope, mine.id, from_form(OwnPause, typed)))
    except Invalid as error:
        return await _choice(view, mine, typed, errors=errors_by_field(error), status=422)
    except Conflict as error:
        return await _choice(view, mine, typed, errors={"": error.message}, status=409)
    return await _choice(view, mine, typed, plan=plan)


@post("/portal/services/{subscription_id:int}/pause", permission=SIGNED_IN)
async def carry_out_pause(view: View, subscription_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    mine = await get_subscription(scope, subscription_id)
    await view.read()
    typed = view.typed
    try:
        data = from_form(OwnPause, typed)
        await carry_out(scope, lambda: pausing.plan_own_pause(scope, mine.id, data), data.seen)
    except PlanChanged as error:
        return await _choice(view, mine, typed, plan=error.plan, errors={"": error.message}, status=409)
    except Invalid as error:
        return await _choice(view, mine, typed, errors=errors_by_field(error), status=422)
    except Conflict as error:
        return await _choice(view, mine, typed, errors={"": error.message}, status=409)
    return view.go(SERVICES, _("The pause of %(name)s is set.", name=mine.label or mine.product))


async def _choice(
    view: PageView,
    mine: SubscriptionRow,
    typed: Mapping[str, Sequence[str]],
    *,
    plan: ChangePlan | None = None,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response[str]:
    pausing.require_pause(view.scope)
    settings = await load_settings(PortalSettings)
    if not settings.pause:
        raise NotFound("Pauses are not left to customers.")
    today = view.scope.today()
    end = today + timedelta(days=settings.pause_least_days)
    chosen = {"from_on": today.isoformat(), "to_on": end.isoformat()}
    chosen |= {name: texts[-1] for name, texts in typed.items() if name in chosen and texts}
    return view.page(
        "portal/pause.html",
        status=status,
        service=mine,
        title=pausing.title_of(mine),
        chosen=chosen,
        plan=plan,
        errors=errors or {},
        settings=settings,
        most_days=pausing.longest(settings),
        left=await pausing.days_left(settings, mine.id, today, today),
    )


@get("/portal/services/{subscription_id:int}/pause/undo", permission=SIGNED_IN)
async def show_take_back(view: View, subscription_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    mine = await get_subscription(scope, subscription_id)
    try:
        plan = await rehearse(scope, lambda: pausing.take_back(scope, mine.id))
    except Conflict as error:
        return _taking_back(view, mine, refused=error.message, status=409)
    return _taking_back(view, mine, plan=plan)


@post("/portal/services/{subscription_id:int}/pause/undo", permission=SIGNED_IN)
async def carry_out_take_back(view: View, subscription_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    mine = await get_subscription(scope, subscription_id)
    seen = (await view.form(Seen)).seen
    try:
        await carry_out(scope, lambda: pausing.take_back(scope, mine.id), seen)
    except PlanChanged as error:
        return _taking_back(view, mine, plan=error.plan, refused=error.message, status=409)
    except Conflict as error:
        return _taking_back(view, mine, refused=error.message, status=409)
    return view.go(SERVICES, _("The pause of %(name)s is taken back.", name=mine.label or mine.product))


def _taking_back(
    view: PageView, mine: SubscriptionRow, *, plan: ChangePlan | None = None, refused: str = "", status: int = 200
) -> Response[str]:
    return view.page(
        "portal/pause_over.html",
        status=status,
        service=mine,
        deed="undo",
        title=pausing.title_of_take_back(mine),
        plan=plan,
        refused=refused,
    )


@get("/portal/services/{subscription_id:int}/pause/end", permission=SIGNED_IN)
async def show_end(view: View, subscription_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    mine = await get_subscription(scope, subscription_id)
    try:
        plan = await rehearse(scope, lambda: pausing.end_own_pause(scope, mine.id))
    except Conflict as error:
        return _ending(view, mine, refused=error.message, status=409)
    return _ending(view, mine, plan=plan)


@post("/portal/services/{subscription_id:int}/pause/end", permission=SIGNED_IN)
async def carry_out_end(view: View, subscription_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    mine = await get_subscription(scope, subscription_id)
    seen = (await view.form(Seen)).seen
    try:
        await carry_out(scope, lambda: pausing.end_own_pause(scope, mine.id), seen)
    except PlanChanged as error:
        return _ending(view, mine, plan=error.plan, refused=error.message, status=409)
    except Conflict as error:
        return _ending(view, mine, refused=error.message, status=409)
    return view.go(SERVICES, _("%(name)s is served again.", name=mine.label or mine.product))


def _ending(
    view: PageView, mine: SubscriptionRow, *, plan: ChangePlan | None = None, refused: str = "", status: int = 200
) -> Response[str]:
    return view.page(
        "portal/pause_over.html",
        status=status,
        service=mine,
        deed="end",
        title=pausing.title_of_end(mine),
        plan=plan,
        refused=refused,
    )


HANDLERS: Final = (show_pause, carry_out_pause, show_take_back, carry_out_take_back, show_end, carry_out_end)
