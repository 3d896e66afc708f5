"""Pages of days: the drawer of a subscription's period, and that of a customer's billing day."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Response
from litestar.params import FromPath

from core.activity.unit import unit_of_work
from core.billing.actions.periods import change_billing_day, edit_period
from core.billing.queries import get_document
from core.customers import queries as customers
from core.errors import Conflict
from core.money import format_money
from core.subscriptions import change_pages, plans, queries
from core.subscriptions.actions.periods import running_period
from core.subscriptions.actions.shared import lock
from core.subscriptions.change_pages import BillingDayForm, PeriodForm
from core.subscriptions.changes import PeriodEdit
from core.subscriptions.pages import next_words, period_words
from core.subscriptions.plans import Told
from core.texts import _, ordinal
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, drawer, rehearse, show_plan
from core.web.forms import from_form
from core.web.parts import Field
from core.web.routing import get, post
from core.web.view import View

if TYPE_CHECKING:
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope
    from core.subscriptions.actions.periods import Running
    from core.subscriptions.schemas import SubscriptionRow


@get("/subscriptions/{subscription_id:int}/period/plan", permission="subscriptions.change")
async def show_period(view: View, subscription_id: FromPath[int]) -> Response[str]:
    scope, typed = view.scope, asked(view)
    mine = await queries.get_subscription(scope, subscription_id)
    try:
        period = await _period(scope, subscription_id)
    except Conflict as error:
        return drawer(view, _place(mine, None), typed, refused=error.message)
    if not typed:
        return drawer(view, _place(mine, period), typed)

    async def deed() -> ChangePlan:
        return await _edit(scope, mine, from_form(PeriodForm, typed))

    return await show_plan(view, _place(mine, period), typed, deed)


@post("/subscriptions/{subscription_id:int}/period", permission="subscriptions.change")
async def save_period(view: View, subscription_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    mine = await queries.get_subscription(scope, subscription_id)
    await view.read()

    async def deed() -> ChangePlan:
        return await _edit(scope, mine, from_form(PeriodForm, view.typed))

    return await do_plan(
        view,
        _place(mine, await _period(scope, subscription_id)),
        deed,
        to=f"/subscriptions/{subscription_id}",
        said=_("The period of %(name)s is changed.", name=mine.label or mine.product),
    )


async def _period(scope: Scope, subscription_id: int) -> Running:
    async def look() -> Running:
        return await running_period(scope, await lock(scope, subscription_id))

    return await rehearse(scope, look)


def _place(mine: SubscriptionRow, period: Running | None) -> Place:
    path = f"/subscriptions/{mine.id}/period"
    return Place(
        title=_("Edit the period of %(name)s", name=mine.label or mine.product),
        asked=f"{path}/plan",
        sent=path,
        options=[] if period is None else change_pages.period_fields(period.start, period.end, charged=period.charged),
        back=f"/subscriptions/{mine.id}",
    )


async def _edit(scope: Scope, mine: SubscriptionRow, form: PeriodForm) -> ChangePlan:
    async def act() -> Told:
        before = await running_period(scope, await lock(scope, mine.id))
        edit = PeriodEdit(
            start_on=form.start_on, end_on=form.end_on, added=form.added, cut=form.cut, reason=form.reason
        )
        notes = [await get_document(scope, each) for each in await edit_period(scope, mine.id, edit)]
        line = PlanLine(
            text=period_words(form.start_on or before.start, form.end_on or before.end, scope.locale),
            detail=_("instead of %(period)s", period=period_words(before.start, before.end, scope.locale)),
        )
        if not notes:
            return Told(button=_("Edit the period"), lines=[line])
        credited = format_money(sum(each.total_minor for each in notes), notes[0].currency, scope.locale)
        return Told(button=_("Edit the period, credit %(amount)s", amount=credited), lines=[line])

    title = _("Edit the period of %(name)s", name=mine.label or mine.product)
    return await plans.carried_out(scope, mine.id, title, act)


# -- billing day ------------------------------------------------------------------------------------------------------


@get("/customers/{customer_id:int}/billing-day/plan", permission="subscriptions.change")
async def show_billing_day(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope, typed = view.scope, asked(view)
    customer = await customers.get_customer(scope, customer_id)

    async def deed() -> ChangePlan:
        return await _move(scope, customer, from_form(BillingDayForm, typed))

    return await show_plan(view, _day_place(customer), typed, deed)


@post("/customers/{customer_id:int}/billing-day", permission="subscriptions.change")
async def save_billing_day(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer = await customers.get_customer(scope, customer_id)
    await view.read()

    async def deed() -> ChangePlan:
        return await _move(scope, customer, from_form(BillingDayForm, view.typed))

    return await do_plan(
        view,
        _day_place(customer),
        deed,
        to=f"/customers/{customer_id}/subscriptions",
        said=_("The billing day is changed."),
    )


def _day_place(customer: CustomerDetail) -> Place:
    path = f"/customers/{customer.id}/billing-day"
    return Place(
        title=_("Billing day of %(name)s", name=customer.full_name),
        asked=f"{path}/plan",
        sent=path,
        options=[
            Field(
                name="billing_day",
                label=_("Billing day"),
                kind="number",
                value=str(customer.billing_day or ""),
                help=_("1 to 31; a short month bills on its last day. What is charged already stays as it is."),
            )
        ],
        back=f"/customers/{customer.id}/subscriptions",
        plan_only_with="billing_day",
    )


async def _move(scope: Scope, customer: CustomerDetail, form: BillingDayForm) -> ChangePlan:
    """A short period where the charged days of each end, then full ones from the new day on."""
    async with unit_of_work(scope):
        before = {each.id: each for each in await queries.list_subscriptions(scope, customer_id=customer.id)}
        moved = await change_billing_day(scope, customer.id, form.billing_day)
        after = {each.id: each for each in await queries.list_subscriptions(scope, customer_id=customer.id)}
    was = _("Day of joining") if customer.billing_day is None else ordinal(customer.billing_day)
    lines = [
        PlanLine(
            text=after[each].label or after[each].product,
            before=next_words(before[each], scope.today(), scope.locale),
            value=period_words(first, end, scope.locale),
            detail=_("The next period, charged by day where it is a part"),
        )
        for each in moved
        if (first := after[each].next_from) is not None and (end := after[each].next_to) is not None
    ]
    return ChangePlan(
        title=_day_place(customer).title,
        button=_("Change the billing day"),
        parts=[
            PlanPart(
                title=_("Customer"),
                lines=[PlanLine(text=_("Billing day"), before=was, value=ordinal(form.billing_day))],
            ),
            *([PlanPart(title=_("Service"), lines=lines)] if lines else []),
        ],
    )


HANDLERS = (show_period, save_period, show_billing_day, save_billing_day)
