"""Pages of subscriptions: the customer's tab with its boxes, plans of change, the list of all, one with its charges."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

from litestar import Response
from litestar.params import FromPath
from msgspec import Struct

from core.activity.queries import timeline
from core.billing import actions as billing
from core.billing import queries as documents
from core.billing.actions import changing, prepaid
from core.catalog import queries as catalog
from core.catalog.pages import cycle_words
from core.customers import queries as customers
from core.customers.head import head_values
from core.customers.timeline import in_words
from core.errors import Invalid, NotFound
from core.hooks import Permission
from core.ledger import queries as ledger
from core.money import format_money
from core.subscriptions import (
    actions,
    bundle_pages,
    bundle_routes,
    change_pages,
    contract_pages,
    pages,
    plans,
    prepaid_pages,
    queries,
)
from core.subscriptions.actions.discounting import list_discounts
from core.subscriptions.actions.shared import refuse_part
from core.subscriptions.discount_routes import discount_items
from core.subscriptions.listing import SUBSCRIPTIONS
from core.subscriptions.pages import Change
from core.subscriptions.pricing import prices_for
from core.subscriptions.schemas import NewCharge, NewFreeSubscription, NewSubscription, NewTrial
from core.texts import N_, _
from core.web.amounts import Fields, typed_amount, typed_decimal
from core.web.changes import ChangePlan, Place, Typed, asked, do_plan, show_plan
from core.web.forms import checked, from_form
from core.web.further import SIZE, Further, place_in, read_on
from core.web.once import once
from core.web.parts import Figure
from core.web.routing import get, post
from core.web.templating import written
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.billing.schemas import DocumentDetail
    from core.catalog.schemas import PriceRow
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope
    from core.subscriptions.schemas import PlanBox, SubscriptionRow
    from core.web.view import PageView

PERMISSIONS: Final = (
    Permission("subscriptions.view", N_("See subscriptions")),
    Permission("subscriptions.change", N_("Start, change and end subscriptions")),
)


# -- the customer's tab -----------------------------------------------------------------------------------------------


@get("/customers/{customer_id:int}/subscriptions", permission="subscriptions.view")
async def show_tab(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    head = await head_values(view, customer_id, _("Subscriptions"))
    if view.query.get("show") == "all":
        found = await queries.list_subscriptions(scope, customer_id=customer_id)
        base = f"/customers/{customer_id}/subscriptions?show=all"
        charges, further = await _charges(view, base, customer_id=customer_id, state="open")
        return view.page(
            "subscriptions/all.html",
            **head,
            items=[pages.item_of(each, scope.today(), scope.locale) for each in found],
            charges=charges,
            pages_of_charges=further,
            may_change=scope.may("subscriptions.change"),
        )
    customer: CustomerDetail = head["customer"]
    groups, prices = await _groups(view, customer)
    return view.page(
        "subscriptions/boxes.html",
        **head,
        groups=[*await bundle_pages.group_of(scope, customer), *groups],
        note=pages.tax_note(prices) if prices else "",
        prepaid=await _prepaid_note(scope, customer, groups),
    )


async def _charges(view: PageView, base: str, **which: Any) -> tuple[list[pages.ChargeItem], Further]:
    found = await queries.list_charges(view.scope, **which, before=place_in(view, "before"), limit=SIZE + 1)
    shown, further = read_on(view, "before", found, [each.id for each in found], base)
    return [pages.charge_item(each, view.scope.locale) for each in shown], further


async def _prepaid_note(
    scope: Scope, customer: CustomerDetail, groups: list[pages.BoxGroup]
) -> prepaid_pages.PrepaidNote | None:
    """Asked for only where something is prepaid."""
    if customer.billing_type != "prepaid" and not any(box.prepaid for group in groups for box in group.boxes):
        return None
    return prepaid_pages.note_of(await prepaid.outlook(scope, customer.payer_id or customer.id), scope.locale)


async def _groups(view: PageView, customer: CustomerDetail) -> tuple[list[pages.BoxGroup], list[PriceRow]]:
    scope, today = view.scope, view.scope.today()
    boxes = await queries.list_boxes(scope, customer.id, [kind for kind, __ in pages.KINDS])
    by_kind = {kind: [box for box in boxes if box.kind == kind] for kind, __ in pages.KINDS}
    offered = [box.product_id for box in boxes]
    prices = await prices_for(scope, customer.id, customer.currency, offered) if boxes else []
    waiting = await _waiting(scope, customer, boxes)
    forfeits = await _forfeits(scope, boxes)
    dues = await _dues(scope, boxes)
    groups = [
        pages.BoxGroup(
            key=kind,
            title=_(title),
            note=_("one live plan at a time") if kind == "plan" else _("several may be active"),
            boxes=[
                pages.box_of(
                    box,
                    customer.id,
                    [price for price in prices if price.product_id == box.product_id and price.cycle_unit != "once"],
                    **_live_in_group(box, by_kind[kind]),
                    waiting=waiting.get(box.subscription.id) if box.subscription is not None else None,
                    forfeits=forfeits.get(box.product_id, ""),
                    today=today,
                    locale=scope.locale,
                    may_change=scope.may("subscriptions.change"),
                    changes=_change_buttons(box, dues, scope.locale),
                    ahead=change_pages.ahead_words(box.planned, scope.locale) if box.planned is not None else "",
                )
                for box in by_kind[kind]
            ],
        )
        for kind, title in pages.KINDS
        if by_kind[kind]
    ]
    return groups, prices


async def _dues(scope: Scope, boxes: list[PlanBox]) -> dict[int, int]:
    """What changes that are made at once cost, without tax, by price: the new part less the unused one."""
    found: dict[int, int] = {}
    for mine in [box.subscription for box in boxes if box.subscription is not None]:
        wanted = [
            action
            for box in boxes
            for action in box.actions
            if action.subscription_id == mine.id and action.key in ("upgrade", "downgrade", "cycle") and not action.on
        ]
        if wanted and mine.timing == "advance" and mine.state != "trial":
            found |= await changing.dues(scope, mine, wanted)
    return found


def _change_buttons(box: PlanBox, dues: dict[int, int], locale: str) -> dict[int, pages.BoxButton]:
    changes = [action for action in box.actions if action.key in change_pages.KEYS]
    cycles = len({(each.cycle_unit, each.cycle_count) for each in changes if each.price_id is not None})
    return {id(action): change_pages.button_of(action, dues, locale, cycles=cycles) for action in changes}


def _live_in_group(box: PlanBox, boxes: list[PlanBox]) -> dict[str, Any]:
    """Rank and name of the plan that the customer has, for those beside it."""
    mine = next((each for each in boxes if each.subscription is not None and each.group_id == box.group_id), None)
    if box.kind != "plan" or mine is None:
        return {"mine_rank": None, "mine_name": ""}
    return {"mine_rank": mine.rank, "mine_name": mine.name}


async def _waiting(scope: Scope, customer: CustomerDetail, boxes: list[PlanBox]) -> dict[int, pages.Waiting]:
    """The open invoices that pending subscriptions wait for, by subscription."""
    pending = {
        box.subscription.id for box in boxes if box.subscription is not None and box.subscription.state == "pending"
    }
    if not pending:
        return {}
    charges = {
        charge.id: charge.subscription_id
        for charge in await queries.list_charges(scope, customer_id=customer.id, state="invoiced")
        if charge.subscription_id in pending
    }
    found: dict[int, pages.Waiting] = {}
    for document in await documents.list_documents(scope, payer_id=customer.payer_id or customer.id, only_open=True):
        for line in await documents.list_lines(document.id):
            subscription_id = charges.get(line.charge_id or 0)
            if subscription_id is not None:
                found.setdefault(
                    subscription_id,
                    pages.Waiting(
                        document_id=document.id,
                        payer_id=document.payer_id,
                        number=document.number or "",
                        total_minor=document.total_minor,
                        open_minor=document.open_minor,
                        currency=document.currency,
                    ),
                )
    return found


async def _forfeits(scope: Scope, boxes: list[PlanBox]) -> dict[int, str]:
    """What withdrawing would give up: unused days and credit, by product; nothing where it is nothing."""
    live = {
        box.subscription.id: box.product_id
        for box in boxes
        if box.subscription is not None and box.subscription.state != "pending"
    }
    given_up = await billing.preview_withdrawals(scope, list(live))
    return {
        live[subscription_id]: format_money(lost, one.currency, scope.locale)
        for subscription_id, one in given_up.items()
        if (lost := one.unused_minor + one.forfeited_minor)
    }


# -- plans of change --------------------------------------------------------------------------------------------------


@get("/customers/{customer_id:int}/subscriptions/plan", permission="subscriptions.change")
async def show_change(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope, typed = view.scope, asked(view)
    customer = await customers.get_customer(scope, customer_id)
    place = await _place(scope, customer, typed)

    async def deed() -> ChangePlan:
        return await _deed(scope, customer, from_form(Change, typed))

    return await show_plan(view, place, typed, deed)


@post("/customers/{customer_id:int}/subscriptions/change", permission="subscriptions.change")
async def carry_out_change(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer = await customers.get_customer(scope, customer_id)
    await view.read()
    place = await _place(scope, customer, view.typed)
    which = _which(view.typed)
    said = _(pages.SAID[which.do]).format(name=await _name(scope, which))

    async def deed() -> ChangePlan:
        return await _deed(scope, customer, from_form(Change, view.typed))

    return await do_plan(view, place, deed, to=f"/customers/{customer_id}/subscriptions", said=said)


def _which(typed: Typed) -> Change:
    """What a drawer is about, whatever else is wrong in it. Raises Invalid where that is not said."""
    kept = ("do", "product_id", "price_id", "subscription_id")
    return from_form(Change, {name: texts for name, texts in typed.items() if name in kept})


async def _place(scope: Scope, customer: CustomerDetail, typed: Typed) -> Place:
    which = _which(typed)
    mine = await _of_customer(scope, customer.id, which.subscription_id)
    path = f"/customers/{customer.id}/subscriptions"
    return Place(
        title=_(pages.TITLES[which.do]).format(name=await _name(scope, which)),
        asked=f"{path}/plan",
        sent=f"{path}/change",
        options=[
            *pages.options_of(
                which.do, mine.state if mine is not None else "", currency=customer.currency, today=scope.today()
            ),
            *(
                contract_pages.fee_option(mine, scope.today(), scope.locale)
                if mine is not None and which.do in ("terminate", "withdraw")
                else []
            ),
        ],
        options_title=_("Quantity, price agreed, name") if which.do in ("subscribe", "invoice") else "",
    )


async def _name(scope: Scope, change: Change) -> str:
    if change.subscription_id is not None:
        found = await queries.get_subscription(scope, change.subscription_id)
        return found.label or found.product
    if change.product_id is not None:
        return change.label or (await catalog.get_product(change.product_id)).name
    return "a product"


class _Done(Struct, frozen=True):
    """What a deed touched, and what it wants said."""

    subscription_id: int
    button: str = ""
    warnings: list[str] = []


async def _deed(scope: Scope, customer: CustomerDetail, change: Change) -> ChangePlan:
    """Do it, in the unit of work that is open, and say what came of it."""
    payer_id = customer.payer_id or customer.id
    before = await _of_customer(scope, customer.id, change.subscription_id)
    balance = await ledger.get_balance(scope, payer_id)
    latest = max((each.id for each in await documents.list_documents(scope, payer_id=payer_id, limit=1)), default=0)
    title = _(pages.TITLES[change.do]).format(name=await _name(scope, change))
    drafts = await _drafts_of(change)
    charged = max((each.id for each in await plans.set_ups_after(scope, customer.id)), default=0)
    done = await _do_it(scope, customer.id, change)
    after = await queries.get_subscription(scope, done.subscription_id)
    made = [
        await documents.get_document(scope, each.id)
        for each in await documents.list_documents(scope, payer_id=payer_id, limit=20)
        if each.id > latest
    ]
    now = await ledger.get_balance(scope, payer_id)
    cut = plans.drafts_part(drafts, await _drafts_of(change, drafts), scope.locale) if drafts else None
    return ChangePlan(
        title=title,
        button=_button(change, done, made, scope.locale),
        parts=[
            *([plans.documents_part(made, scope.locale)] if made else []),
            *([cut] if cut is not None else []),
            plans.service_part(before, after, scope),
            plans.money_part(
                balance,
                now,
                await plans.at_its_next_charge(after),
                scope,
                await plans.set_ups_after(scope, customer.id, charged),
            ),
        ],
        warnings=[*done.warnings, *await plans.overdue_warnings(scope, payer_id)],
        danger=change.do in ("terminate", "withdraw"),
    )


async def _drafts_of(change: Change, kept: Sequence[documents.DraftTotal] = ()) -> list[documents.DraftTotal]:
    """Only an end takes days off a draft."""
    if change.subscription_id is None or change.do not in ("cancel_at_expiry", "terminate", "withdraw"):
        return []
    return await documents.list_drafts_of(change.subscription_id, kept=[each.id for each in kept])


async def _of_customer(scope: Scope, customer_id: int, subscription_id: int | None) -> SubscriptionRow | None:
    if subscription_id is None:
        return None
    found = await queries.get_subscription(scope, subscription_id)
    if found.customer_id != customer_id:
        raise NotFound(f"subscription {subscription_id} of customer {customer_id}")
    return found


async def _do_it(scope: Scope, customer_id: int, change: Change) -> _Done:
    """The action of the domain that stands behind each button."""
    if change.do in ("activate_free", "start_trial", "subscribe") or change.subscription_id is None:
        return await _start(scope, customer_id, change)
    mine = change.subscription_id
    if change.do == "invoice":
        await billing.invoice_trial(scope, mine, change.price_id)
        return _Done(mine, _("Make invoice"))
    if change.do == "cancel_at_expiry":
        ends_on = await billing.cancel_subscription(scope, mine)
        found = await queries.get_subscription(scope, mine)
        return _Done(
            mine,
            button=_("Cancel after %(day)s", day=written(ends_on - timedelta(days=1), scope.locale, year=False)),
            warnings=contract_pages.ending_words(found, scope.today(), scope.locale),
        )
    if change.do == "undo_cancellation":
        await actions.undo_cancellation(scope, mine)
        return _Done(mine, button=_("Keep it"))
    if change.do == "suspend":
        await actions.suspend(scope, mine)
        return _Done(mine, button=_("Suspend"), warnings=[_("It is still billed: the terms stay as they are.")])
    if change.do == "resume":
        await refuse_part(mine)
        await prepaid.resume(scope, mine)
        return _Done(mine, button=_("Resume"))
    if change.do == "terminate":
        return await _terminate(scope, mine, change)
    return await _withdraw(scope, mine, change)


async def _start(scope: Scope, customer_id: int, change: Change) -> _Done:
    if change.product_id is None:
        raise Invalid(_("Choose a product."), field="product_id")
    if change.do == "activate_free":
        made = await actions.activate_free(
            scope,
            NewFreeSubscription(
                customer_id=customer_id,
                product_id=change.product_id,
                until_on=change.until_on,
                then=change.then,
                price_id=change.price_id,
                label=change.label,
            ),
        )
        return _Done(made, button=_("Activate free"))
    if change.price_id is None:
        raise Invalid(_("Choose a price."), field="price_id")
    if change.do == "start_trial":
        made = await actions.start_trial(
            scope,
            NewTrial(
                customer_id=customer_id,
                product_id=change.product_id,
                price_id=change.price_id,
                days=change.days,
                label=change.label,
            ),
        )
        return _Done(made, button=_("Activate the test time"))
    data = await _new_subscription(scope, customer_id, change, change.product_id, change.price_id)
    if change.do == "subscribe":
        return _Done(await prepaid.start(scope, data), button=_("Subscribe"))
    if change.do == "invoice":
        first = await billing.invoice_first(scope, data)
        return _Done(first.subscription_id, _("Make invoice"))
    raise Invalid(_("Choose a subscription."), field="subscription_id")


async def _new_subscription(
    scope: Scope, customer_id: int, change: Change, product_id: int, price_id: int
) -> NewSubscription:
    currency = (await customers.get_customer(scope, customer_id)).currency
    with Fields() as read:
        quantity = read("quantity", typed_decimal, change.quantity, 6, default=1_000_000)
        amount = read("amount", _amount_or_none, change.amount, currency, scope.locale, default=None)
    return checked(
        NewSubscription,
        {
            "customer_id": customer_id,
            "product_id": product_id,
            "price_id": price_id,
            "starts_on": change.starts_on,
            "quantity_e6": quantity,
            "amount_minor": amount,
            "label": change.label,
        },
    )


def _amount_or_none(text: str, currency: str, locale: str, *, least: int | None = 0) -> int | None:
    return typed_amount(text, currency, locale, least=least)


async def _terminate(scope: Scope, subscription_id: int, change: Change) -> _Done:
    on = change.on or scope.today()
    await refuse_part(subscription_id)
    before = await queries.get_subscription(scope, subscription_id)
    warnings = contract_pages.ending_words(before, scope.today(), scope.locale)
    fee = 0 if change.waive_fee else await actions.charge_termination(scope, subscription_id, on)
    if fee:
        warnings.append(contract_pages.fee_words(fee, before.currency, scope.locale))
    await actions.terminate(scope, subscription_id, on)
    if change.credit_unused:
        name = before.label or before.product
        await billing.credit_ended(
            scope, subscription_id, on, lambda: _("%(name)s ended on %(day)s", name=name, day=on)
        )
    later = _("Terminate on %(day)s", day=written(on, scope.locale, year=False))
    button = _("Terminate today") if on <= scope.today() else later
    return _Done(subscription_id, button, warnings)


async def _withdraw(scope: Scope, subscription_id: int, change: Change) -> _Done:
    before = await queries.get_subscription(scope, subscription_id)
    given_up = await billing.withdraw_subscription(
        scope, subscription_id, void_invoices=change.void_invoices, waive_fee=change.waive_fee
    )
    lost = given_up.unused_minor + given_up.forfeited_minor
    bound = contract_pages.fee_option(before, scope.today(), scope.locale)
    warnings = contract_pages.ending_words(before, scope.today(), scope.locale) if bound else []
    if lost:
        warnings.append(
            _(
                "Forfeited: %(days)s of unused days, %(credit)s of its credit. Nothing is reimbursed. Money paid"
                " beyond it stays the customer's.",
                days=format_money(given_up.unused_minor, given_up.currency, scope.locale),
                credit=format_money(given_up.forfeited_minor, given_up.currency, scope.locale),
            )
        )
    if given_up.forfeited_tax_minor:
        warnings.append(
            _(
                "%(tax)s of the forfeited credit is tax that you owe.",
                tax=format_money(given_up.forfeited_tax_minor, given_up.currency, scope.locale),
            )
        )
    if given_up.fee_minor:
        warnings.append(contract_pages.fee_words(given_up.fee_minor, given_up.currency, scope.locale))
    amount = format_money(lost, given_up.currency, scope.locale)
    button = _("Withdraw, forfeit %(amount)s", amount=amount) if lost else _("Withdraw")
    return _Done(subscription_id, button=button, warnings=warnings)


def _button(change: Change, done: _Done, made: list[DocumentDetail], locale: str) -> str:
    invoices = [each for each in made if each.kind == "invoice"]
    if change.do == "invoice" and invoices:
        return _(
            "Make invoice of %(amount)s",
            amount=format_money(invoices[0].total_minor, invoices[0].currency, locale),
        )
    return done.button


# -- all subscriptions ------------------------------------------------------------------------------------------------


@get("/subscriptions", permission="subscriptions.view")
async def list_subscriptions(view: View) -> Response[str]:
    return await SUBSCRIPTIONS.page(view)


@get("/subscriptions/{subscription_id:int}", permission="subscriptions.view")
async def show(view: View, subscription_id: FromPath[int]) -> Response[str]:
    scope, locale = view.scope, view.scope.locale
    mine = await queries.get_subscription(scope, subscription_id)
    charges, further = await _charges(view, f"/subscriptions/{mine.id}", subscription_id=mine.id)
    box = next(
        (
            each
            for each in await queries.list_boxes(scope, mine.customer_id, [mine.kind])
            if each.subscription is not None and each.subscription.id == mine.id
        ),
        None,
    )
    buttons: list[pages.BoxButton] = []
    if box is not None and scope.may("subscriptions.change"):
        forfeits = await _forfeits(scope, [box])
        buttons = list(
            pages.box_of(
                box,
                mine.customer_id,
                [],
                mine_rank=None,
                mine_name="",
                waiting=None,
                forfeits=forfeits.get(box.product_id, ""),
                today=scope.today(),
                locale=locale,
                may_change=True,
                changes=_change_buttons(box, await _dues(scope, [box]), locale),
            ).buttons
        )
    entries = (
        await timeline(scope, subject=("subscription", subscription_id), limit=30) if scope.may("activity.view") else []
    )
    return view.page(
        "subscriptions/subscription.html",
        mine=mine,
        contract=contract_pages.contract_words(mine, scope.today(), locale),
        discounts=discount_items(await list_discounts(mine.id), mine.currency, scope.today(), locale),
        may_discount=scope.may("subscriptions.change") and mine.next_from is not None,
        prepaid=prepaid_pages.note_of(await prepaid.outlook(scope, mine.payer_id), locale)
        if mine.timing == "prepaid" and mine.state in ("active", "suspended")
        else None,
        pill=pages.pill_of(mine.state, mine.ends_on),
        next=pages.next_words(mine, scope.today(), locale) if mine.state != "pending" else _("Waits for its invoice"),
        figures=_figures(mine, locale),
        ahead=change_pages.ahead_words(box.planned, locale) if box is not None and box.planned is not None else "",
        buttons=buttons,
        charges=charges,
        pages_of_charges=further,
        quantity=pages.quantity_text(mine.quantity_e6),
        timing={"advance": _("in advance"), "arrears": _("in arrears"), "prepaid": _("prepaid")}[mine.timing],
        reason=pages.reason_of(mine.state_reason),
        happenings=await in_words(scope, entries),
        may_change=scope.may("subscriptions.change"),
    )


def _figures(mine: SubscriptionRow, locale: str) -> list[Figure]:
    def on(day: date | None) -> str:
        return written(day, locale) if day is not None else "–"

    return [
        Figure(
            label=_("Price agreed"),
            value=format_money(mine.cycle_minor, mine.currency, locale),
            detail=cycle_words(mine.cycle_unit, mine.cycle_count),
        ),
        Figure(label=_("Started"), value=on(mine.started_on)),
        Figure(
            label=_("Next period"),
            value=on(mine.next_from),
            detail=_("billed on %(day)s", day=on(mine.due_on)) if mine.due_on is not None else "",
        ),
        Figure(label=_("Ends"), value=on(mine.ended_on or mine.ends_on), detail=_("first day without service")),
    ]


# -- charges by hand --------------------------------------------------------------------------------------------------


@get("/customers/{customer_id:int}/charges/new", permission="subscriptions.change")
async def show_new_charge(view: View, customer_id: FromPath[int]) -> Response[str]:
    return await _charge_drawer(view, await customers.get_customer(view.scope, customer_id), {})


@post("/customers/{customer_id:int}/charges", permission="subscriptions.change")
async def create_charge(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer = await customers.get_customer(scope, customer_id)
    try:
        form = await view.form(pages.ChargeForm)

        async def add() -> str:
            await actions.add_charge(scope, await _new_charge(scope, customer, form))
            return f"/customers/{customer_id}/subscriptions?show=all"

        path = await once(view, add)
    except Invalid as error:
        return await _charge_drawer(view, customer, errors_by_field(error), status=422)
    return view.go(path, _("Charge added. The next invoice takes it up."))


async def _new_charge(scope: Scope, customer: CustomerDetail, form: pages.ChargeForm) -> NewCharge:
    product = await catalog.get_product(form.product_id) if form.product_id is not None else None
    once = (
        next(
            (price for price in product.prices if price.currency == customer.currency and price.valid_to is None), None
        )
        if product is not None
        else None
    )
    with Fields() as read:
        quantity = read("quantity", typed_decimal, form.quantity, 6, default=1_000_000)
        amount = read(
            "amount",
            _amount_or_none,
            form.amount,
            customer.currency,
            scope.locale,
            least=None,
            default=once.amount_minor if once is not None else None,
        )
        if amount is None and form.amount == "":
            read.wrong("amount", _("Fill this in."))
        if not form.description and product is None:
            read.wrong("description", _("Fill this in."))
    return checked(
        NewCharge,
        {
            "customer_id": customer.id,
            "description": form.description or (product.name if product is not None else ""),
            "amount_minor": amount,
            "quantity_e6": quantity,
            "product_id": form.product_id,
            "tax_category": form.tax_category or None,
            "tax_inclusive": once.tax_inclusive if once is not None and form.amount == "" else form.tax_inclusive,
        },
    )


async def _charge_drawer(
    view: PageView, customer: CustomerDetail, errors: dict[str, str], *, status: int = 200
) -> Response[str]:
    products = await catalog.list_products(kinds=["one_off"], on=view.scope.today())
    return view.drawer(
        "subscriptions/charge.html",
        status=status,
        page_title=_("Add a charge"),
        customer=customer,
        fields=pages.charge_fields(products, await catalog.list_tax_categories(), customer.currency),
        values=view.shown(),
        errors=errors,
    )


@post("/charges/{charge_id:int}/waiver", permission="subscriptions.change")
async def waive(view: View, charge_id: FromPath[int]) -> Response[str]:
    await view.read()
    await actions.waive_charge(view.scope, charge_id)
    back = view.typed.get("back", ["/subscriptions"])[-1]
    return view.go(
        back if back.startswith("/") and not back.startswith("//") else "/subscriptions", _("Charge waived.")
    )


HANDLERS = (
    show_tab,
    show_change,
    carry_out_change,
    list_subscriptions,
    show,
    show_new_charge,
    create_charge,
    waive,
    *bundle_routes.HANDLERS,
)
