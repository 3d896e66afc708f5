"""Drawers of bundles: each act on the whole first shows what it will do."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.billing import queries as documents
from core.billing.actions import bundling as billing
from core.catalog.bundles import get_bundle
from core.customers import queries as customers
from core.errors import Invalid, NotFound
from core.ids import Id
from core.ledger import queries as ledger
from core.money import format_amount, format_money
from core.subscriptions import contract_pages, pages, plans, queries
from core.subscriptions.actions.bundling import dissolve, start_bundle
from core.subscriptions.bundles import NewCustomerBundle, charged_next, cycle_from, get_customer_bundle
from core.subscriptions.schemas import NewPause
from core.texts import _
from core.web.amounts import Fields, typed_amount, typed_decimal
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, Typed, asked, do_plan, show_plan
from core.web.forms import checked, from_form
from core.web.parts import Field
from core.web.routing import get, post
from core.web.templating import written
from core.web.view import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.billing.schemas import DocumentDetail
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope
    from core.subscriptions.bundles import CustomerBundleRow
    from core.subscriptions.schemas import SubscriptionRow

Do = Literal[
    "subscribe",
    "invoice",
    "quantity",
    "cancel_at_expiry",
    "undo_cancellation",
    "suspend",
    "resume",
    "pause",
    "undo_pause",
    "end_pause",
    "dissolve",
    "terminate",
    "withdraw",
]


class Act(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is asked for in a drawer of a bundle."""

    do: Do
    bundle_id: Id | None = None
    price_id: Id | None = None
    customer_bundle_id: Id | None = None
    starts_on: date | None = None
    quantity: Annotated[str, Meta(max_length=20)] = ""
    amount: Annotated[str, Meta(max_length=40)] = ""
    label: Annotated[str, Meta(max_length=100)] = ""
    on: date | None = None
    from_on: date | None = None
    to_on: date | None = None
    hold: Annotated[str, Meta(max_length=40)] = ""
    reason: Annotated[str, Meta(max_length=500)] = ""
    credit_unused: bool = False
    void_invoices: bool = False
    waive_fee: bool = False
    seen: Annotated[str, Meta(max_length=20_000)] = ""


class Done(Struct, frozen=True):
    customer_bundle_id: int
    button: str
    warnings: list[str] = []


@get("/customers/{customer_id:int}/bundles/plan", permission="subscriptions.change")
async def show_act(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope, typed = view.scope, asked(view)
    customer = await customers.get_customer(scope, customer_id)
    place = await _place(scope, customer, typed)
    return await show_plan(view, place, typed, lambda: _deed(scope, customer, from_form(Act, typed), place.title))


@post("/customers/{customer_id:int}/bundles/change", permission="subscriptions.change")
async def carry_out_act(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer = await customers.get_customer(scope, customer_id)
    await view.read()
    place = await _place(scope, customer, view.typed)
    which = _which(view.typed)
    said = _(pages.BUNDLE_SAID[which.do]).format(name=await _name(scope, customer, which))
    return await do_plan(
        view,
        place,
        lambda: _deed(scope, customer, from_form(Act, view.typed), place.title),
        to=f"/customers/{customer_id}/subscriptions",
        said=said,
    )


def _which(typed: Typed) -> Act:
    """What a drawer is about, whatever else is wrong in it."""
    kept = ("do", "bundle_id", "price_id", "customer_bundle_id")
    return from_form(Act, {name: texts for name, texts in typed.items() if name in kept})


async def _mine(scope: Scope, customer: CustomerDetail, act: Act) -> CustomerBundleRow | None:
    if act.customer_bundle_id is None:
        return None
    found = await get_customer_bundle(scope, act.customer_bundle_id)
    if found.customer_id != customer.id:
        raise NotFound(f"bundle {act.customer_bundle_id} of customer {customer.id}")
    return found


async def _name(scope: Scope, customer: CustomerDetail, act: Act) -> str:
    mine = await _mine(scope, customer, act)
    if mine is not None:
        return mine.name
    if act.bundle_id is None:
        raise Invalid(_("Choose a product."), field="bundle_id")
    return (await get_bundle(act.bundle_id)).name


async def _place(scope: Scope, customer: CustomerDetail, typed: Typed) -> Place:
    act = _which(typed)
    mine = await _mine(scope, customer, act)
    path = f"/customers/{customer.id}/bundles"
    return Place(
        title=_(pages.BUNDLE_TITLES[act.do]).format(name=await _name(scope, customer, act)),
        asked=f"{path}/plan",
        sent=f"{path}/change",
        options=_options(scope, customer, act.do, mine),
        options_title=_("Quantity, price agreed, name") if act.do in ("subscribe", "invoice") else "",
        back=f"/customers/{customer.id}/subscriptions",
        plan_only_with={"quantity": "quantity", "pause": "to_on"}.get(act.do, ""),
    )


def _options(scope: Scope, customer: CustomerDetail, do: str, mine: CustomerBundleRow | None) -> Sequence[Field]:
    today = scope.today()
    if do == "quantity" and mine is not None:
        return [
            Field(
                name="quantity",
                label=_("Quantity"),
                kind="number",
                value=pages.quantity_text(mine.quantity_e6),
                required=True,
                help=_("More from today on, by day; less from the next period on"),
            )
        ]
    if do == "pause":
        return [
            Field(name="from_on", label=_("First day of the pause"), kind="date", value=today.isoformat()),
            Field(name="to_on", label=_("Goes on, on"), kind="date", required=True),
            Field(
                name="hold",
                label=_("Hold fee, %(currency)s", currency=customer.currency),
                kind="money",
                help=_("Once for the whole pause; empty: none"),
            ),
            Field(name="reason", label=_("Reason"), max_length=500),
        ]
    fields = pages.options_of(do, mine.state if mine is not None else "", currency=customer.currency, today=today)
    if mine is not None and mine.is_live and do in ("terminate", "withdraw"):
        fields += contract_pages.fee_option(_whole(mine), today, scope.locale)
    return fields


def _whole(mine: CustomerBundleRow) -> SubscriptionRow:
    """The leading part with what all of them cost: its cycle, its contract, the fee for leaving early."""
    live = [part for part in mine.parts if part.state not in ("ended", "withdrawn")] or mine.parts
    return msgspec.structs.replace(
        live[0],
        label=mine.name,
        cycle_minor=sum(part.cycle_minor for part in live),
        termination_minor=sum(part.termination_minor for part in live),
    )


async def _deed(scope: Scope, customer: CustomerDetail, act: Act, title: str) -> ChangePlan:
    """Do it, in the unit of work that is open, and say what came of it."""
    before = await _mine(scope, customer, act)
    payer_id = customer.payer_id or customer.id
    balance = await ledger.get_balance(scope, payer_id)
    latest = max((each.id for each in await documents.list_documents(scope, payer_id=payer_id, limit=1)), default=0)
    charged = max((each.id for each in await plans.set_ups_after(scope, customer.id)), default=0)
    done = await _do_it(scope, customer, act, before)
    after = await get_customer_bundle(scope, done.customer_bundle_id)
    made = [
        await documents.get_document(scope, each.id)
        for each in reversed(await documents.list_documents(scope, payer_id=payer_id, limit=50))
        if each.id > latest
    ]
    now = await ledger.get_balance(scope, payer_id)
    service, money = await _parts(scope, before, after)
    return ChangePlan(
        title=title,
        button=_button(act, done, made, scope.locale),
        parts=[
            *([plans.documents_part(made, scope.locale)] if made else []),
            service,
            plans.money_part(balance, now, money, scope, await plans.set_ups_after(scope, customer.id, charged)),
        ],
        warnings=[*done.warnings, *await plans.overdue_warnings(scope, payer_id)],
        danger=act.do in ("terminate", "withdraw"),
    )


async def _parts(
    scope: Scope, before: CustomerBundleRow | None, after: CustomerBundleRow
) -> tuple[PlanPart, SubscriptionRow]:
    """What the customer has then, part by part; and all of it as one, for its next charge."""
    parts = after.parts
    if not parts and before is not None:  # dissolved: what was in it, as it is then
        parts = [await queries.get_subscription(scope, part.id) for part in before.parts]
    whole = _whole(msgspec.structs.replace(after, parts=parts))
    part = plans.service_part(_whole(before) if before is not None else None, whole, scope)
    then = [each.cycle_minor if each.next_from is None else await cycle_from(each.id, each.next_from) for each in parts]
    shares = [
        PlanLine(
            text=pages.counted(each.product, each.quantity_e6),
            before=format_amount(each.cycle_minor, each.currency) if each.cycle_minor != minor else "",
            value=format_amount(minor, each.currency),
            rests_on=f"{each.amount_minor} {each.quantity_e6} {each.state}",
        )
        for each, minor in zip(parts, then, strict=True)
    ]
    whole = msgspec.structs.replace(whole, cycle_minor=sum([await charged_next(each) for each in parts]))
    return msgspec.structs.replace(part, lines=[*part.lines, *shares]), whole


def _button(act: Act, done: Done, made: Sequence[DocumentDetail], locale: str) -> str:
    invoices = [each for each in made if each.kind == "invoice"]
    if act.do == "invoice" and invoices:
        amount = format_money(invoices[0].total_minor, invoices[0].currency, locale)
        return _("Make invoice of %(amount)s", amount=amount)
    return done.button


async def _do_it(scope: Scope, customer: CustomerDetail, act: Act, mine: CustomerBundleRow | None) -> Done:
    if act.do in ("subscribe", "invoice"):
        return await _start(scope, customer, act)
    if mine is None:
        raise Invalid(_("Choose a subscription."), field="customer_bundle_id")
    match act.do:
        case "quantity":
            return await _quantity(scope, act, mine)
        case "cancel_at_expiry":
            ends_on = await billing.cancel_bundle(scope, mine.id)
            last = ends_on - timedelta(days=1)
            button = _("Cancel after %(day)s", day=written(last, scope.locale, year=False))
            return Done(mine.id, button, contract_pages.ending_words(_whole(mine), scope.today(), scope.locale))
        case "undo_cancellation":
            await billing.keep_bundle(scope, mine.id)
            return Done(mine.id, _("Keep it"))
        case "suspend":
            await billing.suspend_bundle(scope, mine.id)
            return Done(mine.id, _("Suspend"), [_("It is still billed: the terms stay as they are.")])
        case "resume":
            await billing.resume_bundle(scope, mine.id)
            return Done(mine.id, _("Resume"))
        case "pause":
            return await _pause(scope, act, mine)
        case "undo_pause":
            await billing.drop_bundle_pause(scope, mine.id)
            return Done(mine.id, _("Undo the pause"))
        case "end_pause":
            await billing.end_bundle_pause(scope, mine.id)
            return Done(mine.id, _("Go on today"))
        case "dissolve":
            return await _dissolve(scope, mine)
        case "terminate":
            return await _terminate(scope, act, mine)
        case _:
            return await _withdraw(scope, act, mine)


async def _start(scope: Scope, customer: CustomerDetail, act: Act) -> Done:
    with Fields() as read:
        quantity = read("quantity", typed_decimal, act.quantity, 6, default=1_000_000)
        amount = None
        if act.amount:
            amount = read("amount", typed_amount, act.amount, customer.currency, scope.locale, default=None)
    data = checked(
        NewCustomerBundle,
        {
            "customer_id": customer.id,
            "bundle_id": act.bundle_id,
            "price_id": act.price_id,
            "starts_on": act.starts_on,
            "quantity_e6": quantity,
            "amount_minor": amount,
            "label": act.label,
        },
    )
    if act.do == "subscribe":
        return Done(await start_bundle(scope, data), _("Subscribe"))
    made = await billing.invoice_bundle_first(scope, data)
    return Done(made.customer_bundle_id, _("Make invoice"))


async def _quantity(scope: Scope, act: Act, mine: CustomerBundleRow) -> Done:
    with Fields() as read:
        quantity = read("quantity", typed_decimal, act.quantity, 6, default=0)
        if quantity < 1_000_000 or quantity % 1_000_000 or quantity > 10**10:
            read.wrong("quantity", _("A whole number, at least 1 and at most 10,000."))
    await billing.change_bundle_quantity(scope, mine.id, quantity)
    after = await get_customer_bundle(scope, mine.id)
    if after.lead.quantity_e6 > mine.lead.quantity_e6:  # from today on; else from the next period
        return Done(mine.id, _("Change the quantity"))
    total = format_money(mine.amount_minor * (quantity // 1_000_000), mine.currency, scope.locale)
    return Done(
        mine.id,
        _("Change the quantity"),
        [_("The next period that is not charged yet costs %(amount)s.", amount=total)],
    )


async def _pause(scope: Scope, act: Act, mine: CustomerBundleRow) -> Done:
    with Fields() as read:
        hold = read("hold", typed_amount, act.hold, mine.currency, scope.locale, default=0)
        if act.to_on is None:
            read.wrong("to_on", _("Fill this in."))
    data = checked(
        NewPause, {"from_on": act.from_on, "to_on": act.to_on, "hold_minor": hold or 0, "reason": act.reason}
    )
    await billing.pause_bundle(scope, mine.id, data)
    first = data.from_on or scope.today()
    warnings = [
        _("Not served and not billed: %(days)s.", days=pages.period_words(first, data.to_on, scope.locale)),
        *([_("Hold fee, on the next invoice: %(fee)s.", fee=_fee(data.hold_minor, mine, scope))] if hold else []),
    ]
    later = _("Pause from %(day)s", day=written(first, scope.locale, year=False))
    return Done(mine.id, _("Pause now") if first <= scope.today() else later, warnings)


def _fee(minor: int, mine: CustomerBundleRow, scope: Scope) -> str:
    return format_money(minor, mine.currency, scope.locale)


async def _dissolve(scope: Scope, mine: CustomerBundleRow) -> Done:
    from_on = await dissolve(scope, mine.id)
    parts = [await queries.get_subscription(scope, part.id) for part in mine.parts]
    later = [await cycle_from(part.id, from_on) for part in parts]
    return Done(
        mine.id,
        _("Dissolve the bundle"),
        [
            _(
                "From %(day)s on each goes on by itself at its own price: %(prices)s, together %(total)s instead of"
                " %(before)s. Their contracts stay as they were agreed.",
                day=written(from_on, scope.locale),
                prices=", ".join(
                    f"{part.product} {format_amount(minor, part.currency)}"
                    for part, minor in zip(parts, later, strict=True)
                ),
                total=format_money(sum(later), mine.currency, scope.locale),
                before=format_money(mine.cycle_minor, mine.currency, scope.locale),
            )
        ],
    )


async def _terminate(scope: Scope, act: Act, mine: CustomerBundleRow) -> Done:
    on = act.on or scope.today()
    warnings = contract_pages.ending_words(_whole(mine), scope.today(), scope.locale)
    fee = await billing.terminate_bundle(scope, mine.id, on, credit=act.credit_unused, waive_fee=act.waive_fee)
    if fee:
        warnings.append(contract_pages.fee_words(fee, mine.currency, scope.locale))
    later = _("Terminate on %(day)s", day=written(on, scope.locale, year=False))
    return Done(mine.id, _("Terminate today") if on <= scope.today() else later, warnings)


async def _withdraw(scope: Scope, act: Act, mine: CustomerBundleRow) -> Done:
    locale = scope.locale
    given_up = await billing.withdraw_bundle(scope, mine.id, void_invoices=act.void_invoices, waive_fee=act.waive_fee)
    lost = given_up.unused_minor + given_up.forfeited_minor
    warnings = [contract_pages.fee_words(given_up.fee_minor, mine.currency, locale)] if given_up.fee_minor else []
    if lost:
        warnings.append(
            _(
                "Forfeited: %(days)s of unused days, %(credit)s of its credit. Nothing is reimbursed. Money paid"
                " beyond it stays the customer's.",
                days=format_money(given_up.unused_minor, given_up.currency, locale),
                credit=format_money(given_up.forfeited_minor, given_up.currency, locale),
            )
        )
    if given_up.forfeited_tax_minor:
        warnings.append(
            _(
                "%(tax)s of the forfeited credit is tax that you owe.",
                tax=format_money(given_up.forfeited_tax_minor, given_up.currency, locale),
            )
        )
    amount = format_money(lost, given_up.currency, locale)
    return Done(mine.id, _("Withdraw, forfeit %(amount)s", amount=amount) if lost else _("Withdraw"), warnings)


HANDLERS = (show_act, carry_out_act)
