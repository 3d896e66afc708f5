"""A customer's status: the drawer that changes it or sets it for a day, why it is so, and all that is planned."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.customers import actions, queries, statuses
from core.customers.plans import plan_status_date
from core.customers.status import PlannedState
from core.customers.status_pages import change_plan, status_fields, why_facts
from core.errors import Conflict, Invalid
from core.staff.queries import names_of
from core.texts import _
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, Typed, asked, do_plan, show_plan
from core.web.forms import from_form
from core.web.links import address
from core.web.routing import get, post
from core.web.templating import written
from core.web.view import View

if TYPE_CHECKING:
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope
    from core.web.view import PageView


PAGE: Final = 100
"""Planned changes of a page."""


class _Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    """What the drawer sends."""

    status: Annotated[str, Meta(max_length=60)]
    on: date | None = None
    reason: Annotated[str, Meta(max_length=500)] = ""
    seen: str = ""


@get("/customers/{customer_id:int}/status", permission="customers.edit")
async def show_status(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope, typed = view.scope, asked(view)
    customer = await queries.get_customer(scope, customer_id)

    async def deed() -> ChangePlan:
        return await _deed(scope, customer, typed)

    return await show_plan(view, await _place(scope, customer), typed, deed)


@post("/customers/{customer_id:int}/status", permission="customers.edit")
async def change_status(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer = await queries.get_customer(scope, customer_id)
    await view.read()

    async def deed() -> ChangePlan:
        return await _deed(scope, customer, view.typed)

    later = view.typed.get("on", [""])[-1] > scope.today().isoformat()
    said = _("The change of status is planned.") if later else _("Status changed.")
    return await do_plan(view, await _place(scope, customer), deed, to=f"/customers/{customer_id}", said=said)


async def _place(scope: Scope, customer: CustomerDetail) -> Place:
    path = f"/customers/{customer.id}/status"
    choices = await queries.list_next_statuses(customer.status)
    return Place(
        title=_("Change the status of %(name)s", name=customer.full_name),
        asked=path,
        sent=path,
        options=status_fields(choices, scope.today()),
        plan_only_with="status",
    )


async def _deed(scope: Scope, customer: CustomerDetail, typed: Typed) -> ChangePlan:
    """Change it, or set it for a day, in the unit of work that is open; and say what that does."""
    wanted = from_form(_Wanted, typed)
    before = await statuses.get_status(scope, customer.status)
    if wanted.on is None or wanted.on == scope.today():
        plan = await actions.change_status(scope, customer.id, wanted.status, note=wanted.reason)
    else:
        plan = await actions.plan_status(scope, customer.id, wanted.status, wanted.on, note=wanted.reason)
    if plan is None:
        raise Conflict(_("It is %(status)s already.", status=_(before.label)))
    return change_plan(scope, plan, before, await statuses.get_status(scope, plan.to.key))


# -- why --------------------------------------------------------------------------------------------------------------


@get("/customers/{customer_id:int}/status/why", permission="customers.view")
async def show_why(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    why = await statuses.why_status(scope, customer_id)
    if not view.is_htmx:
        return view.go(f"/customers/{customer_id}")
    names = await names_of({key for key in (why.by, why.on_behalf_of) if key})
    since = view.part("customers/_since.html", at=why.since) if why.since is not None else ""
    return view.page(
        "_partials/why.html",
        title=_(why.label),
        reasons=why_facts(why, names.get(why.by, ""), names.get(why.on_behalf_of, ""), since.strip()),
    )


# -- what is planned --------------------------------------------------------------------------------------------------


@get("/customers/planned-statuses", permission="customers.view")
async def list_planned(view: View) -> Response[str]:
    scope = view.scope
    state = PlannedState.REFUSED if view.query.get("state") == "refused" else PlannedState.PLANNED
    after = view.query.get("after", "")
    found, following = await statuses.list_planned(scope, state=state, cursor=after, limit=PAGE)
    of = {"state": "refused"} if state is PlannedState.REFUSED else {}
    return view.page(
        "customers/planned.html",
        planned=found,
        names=await names_of({each.planned_by for each in found}),
        refused=await statuses.count_refused(scope),
        shows_refused=state is PlannedState.REFUSED,
        first=address("/customers/planned-statuses", of) if after else "",
        following=address("/customers/planned-statuses", {**of, "after": following}) if following else "",
        may_edit=scope.may("customers.edit"),
    )


@get("/customers/{customer_id:int}/planned-statuses/{planned_id:int}/cancellation", permission="customers.edit")
async def show_cancellation(view: View, customer_id: FromPath[int], planned_id: FromPath[int]) -> Response[str]:
    place = await _place_of_planned(view.scope, customer_id, planned_id)
    return await show_plan(view, place, {}, lambda: _cancel(view, planned_id))


@post("/customers/{customer_id:int}/planned-statuses/{planned_id:int}/cancellation", permission="customers.edit")
async def cancel(view: View, customer_id: FromPath[int], planned_id: FromPath[int]) -> Response[str]:
    place = await _place_of_planned(view.scope, customer_id, planned_id)
    await view.read()
    return await do_plan(
        view,
        place,
        lambda: _cancel(view, planned_id),
        to=f"/customers/{customer_id}",
        said=_("The planned change is cancelled."),
    )


async def _place_of_planned(scope: Scope, customer_id: int, planned_id: int) -> Place:
    planned = await statuses.get_planned(scope, planned_id)
    if planned.customer_id != customer_id:
        raise Invalid(_("This change is of another customer."))
    path = f"/customers/{customer_id}/planned-statuses/{planned_id}/cancellation"
    return Place(title=_("Cancel the planned change"), asked=path, sent=path)


async def _cancel(view: PageView, planned_id: int) -> ChangePlan:
    scope = view.scope
    planned = await statuses.get_planned(scope, planned_id)
    effects = await plan_status_date(scope, planned.customer_id, planned.status, None)
    await actions.cancel_planned_status(scope, planned_id)
    lines = [PlanLine(text=each.text, rests_on=each.inputs) for each in effects]
    day = written(planned.happens_on, scope.locale)
    return ChangePlan(
        title=_("Cancel the planned change"),
        button=_("Cancel the change"),
        parts=[
            PlanPart(
                title=_("When"),
                lines=[
                    PlanLine(
                        text=_("Stays %(status)s", status=_(planned.from_label)),
                        before=_("%(status)s from %(day)s", status=planned.label, day=day),
                        value=_("No change"),
                    )
                ],
            ),
            *([PlanPart(title=_("Service"), lines=lines)] if lines else []),
        ],
        keep=_("Leave it planned"),
    )


@post("/customers/{customer_id:int}/planned-statuses/{planned_id:int}/noted", permission="customers.edit")
async def note_refusal(view: View, customer_id: FromPath[int], planned_id: FromPath[int]) -> Response[str]:
    """Put away a change that was refused on its day."""
    await _place_of_planned(view.scope, customer_id, planned_id)
    await actions.cancel_planned_status(view.scope, planned_id)
    return view.go(f"/customers/{customer_id}")


HANDLERS: Final = (
    show_status,
    change_status,
    show_why,
    list_planned,
    show_cancellation,
    cancel,
    note_refusal,
)
