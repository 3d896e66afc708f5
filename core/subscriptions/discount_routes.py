"""Pages of discounts: added to what runs, or to everything a customer has, and removed; each shows the price after."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.customers import queries as customers
from core.database import value
from core.errors import NotFound
from core.money import format_money
from core.subscriptions import plans, queries
from core.subscriptions.actions.discounting import (
    add_discount,
    add_discount_to_all,
    list_discounts,
    remove_discount,
)
from core.subscriptions.plans import Told
from core.subscriptions.schemas import NewDiscount
from core.texts import _
from core.web.amounts import Fields, decimal_text, typed_amount, typed_decimal
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, drawer, show_plan
from core.web.forms import checked, from_form
from core.web.parts import Choice, Field
from core.web.routing import get, post
from core.web.templating import written
from core.web.view import View

if TYPE_CHECKING:
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope
    from core.subscriptions.actions.discounting import DiscountRow
    from core.subscriptions.schemas import SubscriptionRow


class DiscountForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A discount as it is typed: so much, per cent or in the currency."""

    much: Annotated[str, Meta(max_length=40)] = ""
    unit: Annotated[str, Meta(pattern="^(percent|amount)$")] = "percent"
    until_on: date | None = None
    cycles: Annotated[int, Meta(ge=1, le=120)] | None = None
    label: Annotated[str, Meta(max_length=200)] = ""
    seen: Annotated[str, Meta(max_length=20_000)] = ""


class DiscountItem(Struct, frozen=True, kw_only=True):
    """A discount on the page of its subscription."""

    id: int
    text: str
    until: str
    over: bool


def discount_items(found: Sequence[DiscountRow], currency: str, today: date, locale: str) -> list[DiscountItem]:
    return [
        DiscountItem(
            id=each.id,
            text=_words(each, currency, locale),
            until=_("until %(day)s", day=written(each.until_on, locale)) if each.until_on is not None else "",
            over=each.until_on is not None and each.until_on <= today,
        )
        for each in found
    ]


def _words(each: DiscountRow | NewDiscount, currency: str, locale: str) -> str:
    much = (
        f"{decimal_text(each.percent_e6, 6)} %"
        if each.percent_e6 is not None
        else format_money(each.amount_minor or 0, currency, locale)
    )
    return f"{each.label}: {much}" if each.label else much


def _fields(currency: str) -> list[Field]:
    return [
        Field(name="much", label=_("Discount"), kind="money", required=True),
        Field(
            name="unit",
            label=_("In"),
            kind="select",
            value="percent",
            choices=(Choice("percent", _("per cent")), Choice("amount", _("%(currency)s a cycle", currency=currency))),
        ),
        Field(name="until_on", label=_("Until"), kind="date", help=_("First day without it; empty: for good")),
        Field(name="cycles", label=_("Or for so many cycles"), kind="number"),
        Field(name="label", label=_("Called"), max_length=200),
    ]


def _discount(scope: Scope, form: DiscountForm, currency: str) -> NewDiscount:
    with Fields() as read:
        percent = amount = None
        if not form.much:
            read.wrong("much", _("Fill this in."))
        elif form.unit == "percent":
            percent = read("much", typed_decimal, form.much, 6, default=None)
        else:
            amount = read("much", typed_amount, form.much, currency, scope.locale, least=1, default=None)
        if percent is not None and not 0 < percent <= 100 * 10**6:
            read.wrong("much", _("More than 0 and at most 100 per cent."))
        if form.cycles is not None and form.until_on is not None:
            read.wrong("cycles", _("Say until when, or for how many cycles: not both."))
    return checked(
        NewDiscount,
        {
            "percent_e6": percent,
            "amount_minor": amount,
            "until_on": form.until_on,
            "cycles": form.cycles,
            "label": form.label,
        },
    )


# -- of one subscription ----------------------------------------------------------------------------------------------


@get("/subscriptions/{subscription_id:int}/discounts/new", permission="subscriptions.change")
async def show_new(view: View, subscription_id: FromPath[int]) -> Response[str]:
    scope, typed = view.scope, asked(view)
    mine = await queries.get_subscription(scope, subscription_id)

    async def deed() -> ChangePlan:
        return await _add(scope, mine, from_form(DiscountForm, typed))

    if not typed.get("much", [""])[-1]:
        return drawer(view, _place(mine), typed)
    return await show_plan(view, _place(mine), typed, deed)


@post("/subscriptions/{subscription_id:int}/discounts", permission="subscriptions.change")
async def add(view: View, subscription_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    mine = await queries.get_subscription(scope, subscription_id)
    await view.read()

    async def deed() -> ChangePlan:
        return await _add(scope, mine, from_form(DiscountForm, view.typed))

    return await do_plan(
        view, _place(mine), deed, to=f"/subscriptions/{subscription_id}", said=_("The discount is given.")
    )


def _place(mine: SubscriptionRow) -> Place:
    path = f"/subscriptions/{mine.id}/discounts"
    return Place(
        title=_("Discount on %(name)s", name=mine.label or mine.product),
        asked=f"{path}/new",
        sent=path,
        options=_fields(mine.currency),
        back=f"/subscriptions/{mine.id}",
    )


async def _add(scope: Scope, mine: SubscriptionRow, form: DiscountForm) -> ChangePlan:
    data = _discount(scope, form, mine.currency)

    async def act() -> Told:
        from_on = await add_discount(scope, mine.id, data)
        line = await _price_line(scope, mine, from_on)
        return Told(button=_("Give %(discount)s", discount=_words(data, mine.currency, scope.locale)), lines=[line])

    return await plans.carried_out(scope, mine.id, _place(mine).title, act)


async def _price_line(scope: Scope, mine: SubscriptionRow, from_on: date) -> PlanLine:
    """What a full cycle costs from a day on, in the unit of work that is open."""
    after = await value(
        "SELECT cycle_minor FROM subscription_term WHERE subscription_id = :id AND in_force AND valid_from <= :day"
        " AND (valid_to IS NULL OR valid_to > :day)",
        id=mine.id,
        day=from_on,
    )
    return PlanLine(
        text=_("Price from %(day)s on", day=written(from_on, scope.locale)),
        before=format_money(mine.cycle_minor, mine.currency, scope.locale),
        value=format_money(int(after), mine.currency, scope.locale),
    )


@get("/subscriptions/{subscription_id:int}/discounts/{discount_id:int}/removal", permission="subscriptions.change")
async def show_removal(view: View, subscription_id: FromPath[int], discount_id: FromPath[int]) -> Response[str]:
    mine = await queries.get_subscription(view.scope, subscription_id)
    discount = await _found(subscription_id, discount_id)
    return await show_plan(view, _removal_place(mine, discount), {}, lambda: _remove(view.scope, mine, discount))


@post("/subscriptions/{subscription_id:int}/discounts/{discount_id:int}/removal", permission="subscriptions.change")
async def remove(view: View, subscription_id: FromPath[int], discount_id: FromPath[int]) -> Response[str]:
    await view.read()
    mine = await queries.get_subscription(view.scope, subscription_id)
    discount = await _found(subscription_id, discount_id)
    return await do_plan(
        view,
        _removal_place(mine, discount),
        lambda: _remove(view.scope, mine, discount),
        to=f"/subscriptions/{subscription_id}",
        said=_("The discount is removed."),
    )


async def _found(subscription_id: int, discount_id: int) -> DiscountRow:
    found = next((each for each in await list_discounts(subscription_id) if each.id == discount_id), None)
    if found is None:
        raise NotFound(f"discount {discount_id} of subscription {subscription_id}")
    return found


def _removal_place(mine: SubscriptionRow, discount: DiscountRow) -> Place:
    path = f"/subscriptions/{mine.id}/discounts/{discount.id}/removal"
    return Place(title=_("Remove the discount"), asked=path, sent=path, back=f"/subscriptions/{mine.id}")


async def _remove(scope: Scope, mine: SubscriptionRow, discount: DiscountRow) -> ChangePlan:
    async def act() -> Told:
        from_on = await remove_discount(scope, mine.id, discount.id)
        words = _words(discount, mine.currency, scope.locale)
        gone = PlanLine(text=_("Discount"), before=words, value=_("nothing"))
        line = await _price_line(scope, mine, from_on)
        return Told(button=_("Remove the discount"), lines=[gone, line], danger=True)

    return await plans.carried_out(scope, mine.id, _("Remove the discount"), act)


# -- of everything that a customer has --------------------------------------------------------------------------------


@get("/customers/{customer_id:int}/discounts/new", permission="subscriptions.change")
async def show_new_for_all(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope, typed = view.scope, asked(view)
    customer = await customers.get_customer(scope, customer_id)

    async def deed() -> ChangePlan:
        return await _add_to_all(scope, customer, from_form(DiscountForm, typed))

    if not typed.get("much", [""])[-1]:
        return drawer(view, _place_of_all(customer), typed)
    return await show_plan(view, _place_of_all(customer), typed, deed)


@post("/customers/{customer_id:int}/discounts", permission="subscriptions.change")
async def add_to_all(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer = await customers.get_customer(scope, customer_id)
    await view.read()

    async def deed() -> ChangePlan:
        return await _add_to_all(scope, customer, from_form(DiscountForm, view.typed))

    to = f"/customers/{customer_id}/subscriptions?show=all"
    return await do_plan(view, _place_of_all(customer), deed, to=to, said=_("The discount is given."))


def _place_of_all(customer: CustomerDetail) -> Place:
    path = f"/customers/{customer.id}/discounts"
    return Place(title=_("Discount on everything"), asked=f"{path}/new", sent=path, options=_fields(customer.currency))


async def _add_to_all(scope: Scope, customer: CustomerDetail, form: DiscountForm) -> ChangePlan:
    data = _discount(scope, form, customer.currency)
    before = {each.id: each for each in await queries.list_subscriptions(scope, customer_id=customer.id)}
    given = await add_discount_to_all(scope, customer.id, data)
    lines = []
    for each in given:
        mine = before[each]
        line = await _price_line(scope, mine, mine.next_from or scope.today())
        lines.append(PlanLine(text=mine.label or mine.product, detail=line.text, before=line.before, value=line.value))
    return ChangePlan(
        title=_("Discount on everything"),
        button=_("Give %(discount)s", discount=_words(data, customer.currency, scope.locale)),
        parts=[PlanPart(title=_("Price of a full cycle, with the next period"), lines=lines)],
    )


HANDLERS = (show_new, add, show_removal, remove, show_new_for_all, add_to_all)
