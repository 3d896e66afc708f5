"""Pages of changes: the drawer that shows what an upgrade, a downgrade or another quantity will do, and does it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Response
from litestar.params import FromPath

from core.billing import queries as documents
from core.billing.actions.changing import change_subscription, undo_change
from core.catalog import queries as catalog
from core.money import format_money
from core.subscriptions import change_pages, plans, queries
from core.subscriptions.change_pages import ChangeForm
from core.subscriptions.changes import ChangeOrder
from core.subscriptions.offers import changes_ahead
from core.subscriptions.plans import Told
from core.subscriptions.pricing import prices_for
from core.texts import _
from core.web.amounts import Fields, typed_amount, typed_decimal
from core.web.changes import ChangePlan, Place, PlanLine, Typed, asked, do_plan, drawer, show_plan
from core.web.forms import checked, from_form
from core.web.routing import get, post
from core.web.templating import written
from core.web.view import View

if TYPE_CHECKING:
    from core.billing.actions.changing import Changed
    from core.scope import Scope
    from core.subscriptions.schemas import SubscriptionRow


@get("/subscriptions/{subscription_id:int}/change/plan", permission="subscriptions.change")
async def show_change(view: View, subscription_id: FromPath[int]) -> Response[str]:
    scope, typed = view.scope, asked(view)
    mine = await queries.get_subscription(scope, subscription_id)

    async def deed() -> ChangePlan:
        return await _change(scope, mine, from_form(ChangeForm, typed))

    place = await _place(scope, mine, typed)
    if not any(typed.get(name, [""])[-1] for name in ("price_id", "quantity", "amount")):
        return drawer(view, place, typed)
    return await show_plan(view, place, typed, deed)


@post("/subscriptions/{subscription_id:int}/change", permission="subscriptions.change")
async def carry_out_change(view: View, subscription_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    mine = await queries.get_subscription(scope, subscription_id)
    await view.read()

    async def deed() -> ChangePlan:
        return await _change(scope, mine, from_form(ChangeForm, view.typed))

    return await do_plan(
        view,
        await _place(scope, mine, view.typed),
        deed,
        to=f"/subscriptions/{subscription_id}",
        said=_("%(name)s is changed, as it was shown.", name=mine.label or mine.product),
    )


async def _place(scope: Scope, mine: SubscriptionRow, typed: Typed) -> Place:
    own = await catalog.get_product(mine.product_id)
    products = [
        each
        for each in await catalog.list_products(on=scope.today())
        if each.id == own.id or (own.group_id is not None and each.group_id == own.group_id)
    ]
    prices = [
        each
        for each in await prices_for(scope, mine.customer_id, mine.currency, [each.id for each in products])
        if each.cycle_unit != "once"
    ]
    chosen = typed.get("price_id", [""])[-1]
    path = f"/subscriptions/{mine.id}/change"
    return Place(
        title=_("Change %(name)s", name=mine.label or mine.product),
        asked=f"{path}/plan",
        sent=path,
        options=change_pages.fields_of(mine, products, prices, scope.locale, int(chosen) if chosen.isdigit() else None),
        back=f"/subscriptions/{mine.id}",
    )


async def _change(scope: Scope, mine: SubscriptionRow, form: ChangeForm) -> ChangePlan:
    order = _order(scope, mine, form)

    async def act() -> Told:
        changed = await change_subscription(scope, mine.id, order)
        ahead = (await changes_ahead([mine.id])).get(mine.id)
        if ahead is None:
            return Told(button=await _button(scope, changed))
        lines = [PlanLine(text=_("Planned"), detail=change_pages.ahead_words(ahead, scope.locale))]
        if changed.waits_until is not None:
            credited = format_money(changed.credit_minor, mine.currency, scope.locale)
            waits = _(
                "The old terms run on until it is paid. Then %(amount)s of the unused part, without tax, is credited.",
                amount=credited,
            )
            return Told(button=await _button(scope, changed), lines=lines, warnings=[waits])
        nothing = _("Nothing is charged or credited until then. It can be undone.")
        day = written(ahead.happens_on, scope.locale, year=False)
        return Told(button=_("Change on %(day)s", day=day), lines=lines, warnings=[nothing])

    return await plans.carried_out(scope, mine.id, _("Change %(name)s", name=mine.label or mine.product), act)


async def _button(scope: Scope, changed: Changed) -> str:
    """Change and invoice €4.00: what is to be paid for it, less what is credited; neither where that is nothing."""
    made = [await documents.get_document(scope, each) for each in changed.document_ids]
    total = sum(-each.total_minor if each.kind == "credit_note" else each.total_minor for each in made)
    if not total:
        return _("Change now")
    amount = format_money(abs(total), made[0].currency, scope.locale)
    if changed.waits_until is not None:
        return _("Make the invoice of %(amount)s", amount=amount)
    return (
        _("Change and invoice %(amount)s", amount=amount)
        if total > 0
        else _("Change and credit %(amount)s", amount=amount)
    )


def _order(scope: Scope, mine: SubscriptionRow, form: ChangeForm) -> ChangeOrder:
    with Fields() as read:
        quantity = read("quantity", typed_decimal, form.quantity, 6, default=None)
        amount = read("amount", typed_amount, form.amount, mine.currency, scope.locale, default=None)
        if form.when == "on" and form.on is None:
            read.wrong("on", _("Fill this in."))
    return checked(
        ChangeOrder,
        {
            "price_id": form.price_id,
            "quantity_e6": quantity,
            "amount_minor": amount,
            "when": "policy" if form.when == "on" else form.when,
            "on": form.on if form.when == "on" else None,
            "unused": form.unused,
        },
    )


@get("/subscriptions/{subscription_id:int}/change/undo/plan", permission="subscriptions.change")
async def show_undo(view: View, subscription_id: FromPath[int]) -> Response[str]:
    mine = await queries.get_subscription(view.scope, subscription_id)
    return await show_plan(view, _undo_place(mine), {}, lambda: _undo(view.scope, mine))


@post("/subscriptions/{subscription_id:int}/change/undo", permission="subscriptions.change")
async def carry_out_undo(view: View, subscription_id: FromPath[int]) -> Response[str]:
    await view.read()
    mine = await queries.get_subscription(view.scope, subscription_id)
    said = _("%(name)s stays as it is.", name=mine.label or mine.product)
    return await do_plan(
        view,
        _undo_place(mine),
        lambda: _undo(view.scope, mine),
        to=f"/subscriptions/{subscription_id}",
        said=said,
    )


def _undo_place(mine: SubscriptionRow) -> Place:
    path = f"/subscriptions/{mine.id}/change/undo"
    return Place(
        title=_("Undo the change of %(name)s", name=mine.label or mine.product),
        asked=f"{path}/plan",
        sent=path,
        back=f"/subscriptions/{mine.id}",
    )


async def _undo(scope: Scope, mine: SubscriptionRow) -> ChangePlan:
    ahead = (await changes_ahead([mine.id])).get(mine.id)

    async def act() -> Told:
        await undo_change(scope, mine.id)
        was = change_pages.ahead_words(ahead, scope.locale) if ahead is not None else ""
        return Told(button=_("Undo the change"), lines=[PlanLine(text=_("Nothing is planned any more"), detail=was)])

    return await plans.carried_out(scope, mine.id, _undo_place(mine).title, act)


HANDLERS = (show_change, carry_out_change, show_undo, carry_out_undo)
