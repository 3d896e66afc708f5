"""Pages of pauses that customers plan by themselves: each shows what it will do, then does just that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from litestar import Response
from litestar.params import FromPath

from core.errors import Conflict, Invalid, NotFound
from core.settings.queries import load_settings
from core.subscriptions.queries import get_subscription
from core.texts import N_, _
from core.web.changes import PlanChanged, carry_out, rehearse
from core.web.forms import from_form
from core.web.routing import SIGNED_IN, get, post
from core.web.view import View, errors_by_field
from plugins.portal import pausing
from plugins.portal.schemas import OwnPause, Seen
from plugins.portal.settings import PortalSettings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from core.scope import Scope
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


@dataclass(frozen=True, slots=True)
class _Way:
    """How a pause is over before its day."""

    key: str
    deed: Callable[[Scope, int], Awaitable[ChangePlan]]
    title: Callable[[SubscriptionRow], str]
    done: str


_UNDO: Final = _Way("undo", pausing.take_back, pausing.title_of_take_back, N_("The pause of %(name)s is taken back."))
_END: Final = _Way("end", pausing.end_own_pause, pausing.title_of_end, N_("%(name)s is served again."))


@get("/portal/services/{subscription_id:int}/pause/undo", permission=SIGNED_IN)
async def show_take_back(view: View, subscription_id: FromPath[int]) -> Response[str]:
    return await _shown(view, subscription_id, _UNDO)


@post("/portal/services/{subscription_id:int}/pause/undo", permission=SIGNED_IN)
async def carry_out_take_back(view: View, subscription_id: FromPath[int]) -> Response[str]:
    return await _carried_out(view, subscription_id, _UNDO)


@get("/portal/services/{subscription_id:int}/pause/end", permission=SIGNED_IN)
async def show_end(view: View, subscription_id: FromPath[int]) -> Response[str]:
    return await _shown(view, subscription_id, _END)


@post("/portal/services/{subscription_id:int}/pause/end", permission=SIGNED_IN)
async def carry_out_end(view: View, subscription_id: FromPath[int]) -> Response[str]:
    return await _carried_out(view, subscription_id, _END)


async def _shown(view: PageView, subscription_id: int, way: _Way) -> Response[str]:
    scope = view.scope
    mine = await get_subscription(scope, subscription_id)
    try:
        plan = await rehearse(scope, lambda: way.deed(scope, mine.id))
    except Conflict as error:
        return _over(view, mine, way, refused=error.message, status=409)
    return _over(view, mine, way, plan=plan)


async def _carried_out(view: PageView, subscription_id: int, way: _Way) -> Response[str]:
    scope = view.scope
    mine = await get_subscription(scope, subscription_id)
    seen = (await view.form(Seen)).seen
    try:
        await carry_out(scope, lambda: way.deed(scope, mine.id), seen)
    except PlanChanged as error:
        return _over(view, mine, way, plan=error.plan, refused=error.message, status=409)
    except Conflict as error:
        return _over(view, mine, way, refused=error.message, status=409)
    return view.go(SERVICES, _(way.done, name=mine.label or mine.product))


def _over(
    view: PageView,
    mine: SubscriptionRow,
    way: _Way,
    *,
    plan: ChangePlan | None = None,
    refused: str = "",
    status: int = 200,
) -> Response[str]:
    return view.page(
        "portal/pause_over.html",
        status=status,
        service=mine,
        deed=way.key,
        title=way.title(mine),
        plan=plan,
        refused=refused,
    )


HANDLERS: Final = (show_pause, carry_out_pause, show_take_back, carry_out_take_back, show_end, carry_out_end)
