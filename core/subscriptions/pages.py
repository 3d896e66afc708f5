"""What the pages of subscriptions show: boxes with what can be done, states in words, plans of change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal
from urllib.parse import urlencode

import msgspec
from msgspec import Meta, Struct

from core.catalog.pages import cycle_adjective, cycle_words
from core.ids import Id
from core.money import format_amount, format_money
from core.texts import N_, _, figures, ngettext, pgettext
from core.web.amounts import decimal_text
from core.web.parts import Choice, Field, Pill
from core.web.templating import written

if TYPE_CHECKING:
    from core.catalog.schemas import PriceRow, ProductRow, TaxCategoryRow
    from core.subscriptions.schemas import BoxAction, ChargeRow, PlanBox, SubscriptionRow

PILLS: Final[dict[str, Pill]] = {
    "pending": Pill(N_("Waits for payment"), "warn"),
    "trial": Pill(N_("Trial"), "new"),
    "active": Pill(N_("Active"), "live"),
    "suspended": Pill(N_("Suspended"), "blocked"),
    "paused": Pill(N_("Paused"), "warn"),
    "ended": Pill(N_("Ended"), "ended"),
    "withdrawn": Pill(N_("Withdrawn"), "ended"),
}
CANCELLING: Final = Pill(N_("Cancelling"), "warn")
STATES: Final = tuple(Choice(key, pill.label) for key, pill in PILLS.items())
REASONS: Final = {
    "hand": N_("by hand"),
    "status": N_("by the customer's status"),
    "balance": N_("for want of balance"),
    "dunning": N_("by dunning"),
    "schedule": N_("as planned"),
    "settled": N_("its invoice was settled"),
    "lapsed": N_("not paid in time"),
    "voided": N_("its invoice was voided"),
    "cancelled": N_("cancelled"),
    "terminated": N_("terminated"),
    "withdrawn": N_("nothing is reimbursed"),
    "plan": N_("with the plan that it needs"),
    "import": N_("taken over"),
}
KINDS: Final = (("plan", N_("Plans")), ("module", N_("Modules")), ("service", N_("Services")))

Do = Literal[
    "activate_free",
    "start_trial",
    "invoice",
    "subscribe",
    "cancel_at_expiry",
    "undo_cancellation",
    "terminate",
    "suspend",
    "resume",
    "withdraw",
]


class Change(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What is asked for in a drawer. `seen` is what its plan said, when it is to be carried out."""

    do: Do
    product_id: Id | None = None
    price_id: Id | None = None
    subscription_id: Id | None = None
    starts_on: date | None = None
    until_on: date | None = None
    then: Literal["end", "invoice_first"] = "end"
    days: Annotated[int, Meta(ge=1, le=1096)] | None = None
    quantity: Annotated[str, Meta(max_length=20)] = ""
    amount: Annotated[str, Meta(max_length=40)] = ""
    label: Annotated[str, Meta(max_length=200)] = ""
    on: date | None = None
    credit_unused: bool = False
    void_invoices: bool = False
    waive_fee: bool = False
    seen: Annotated[str, Meta(max_length=4000)] = ""


TITLES: Final[dict[str, str]] = {
    "activate_free": N_("Activate {name} free"),
    "start_trial": N_("Activate the test time of {name}"),
    "invoice": N_("Make invoice for {name}"),
    "subscribe": N_("Subscribe to {name}"),
    "cancel_at_expiry": N_("Cancel {name} at its expiry"),
    "undo_cancellation": N_("Keep {name}"),
    "terminate": N_("Terminate {name}"),
    "suspend": N_("Suspend {name}"),
    "resume": N_("Resume {name}"),
    "withdraw": N_("Withdraw {name}"),
}


SAID: Final[dict[str, str]] = {
    "activate_free": N_("{name} is active, free."),
    "start_trial": N_("The test time of {name} has begun."),
    "invoice": N_("The invoice of {name} is made."),
    "subscribe": N_("{name} is active."),
    "cancel_at_expiry": N_("{name} is cancelled at its expiry."),
    "undo_cancellation": N_("{name} goes on."),
    "terminate": N_("{name} is terminated."),
    "suspend": N_("{name} is suspended."),
    "resume": N_("{name} is resumed."),
    "withdraw": N_("{name} is withdrawn."),
}


BUNDLE_TITLES: Final[dict[str, str]] = {
    "subscribe": TITLES["subscribe"],
    "invoice": TITLES["invoice"],
    "quantity": N_("Quantity of {name}"),
    "cancel_at_expiry": TITLES["cancel_at_expiry"],
    "undo_cancellation": TITLES["undo_cancellation"],
    "suspend": TITLES["suspend"],
    "resume": TITLES["resume"],
    "pause": N_("Pause {name}"),
    "undo_pause": N_("Undo the pause of {name}"),
    "end_pause": N_("End the pause of {name}"),
    "dissolve": N_("Dissolve {name}"),
    "terminate": TITLES["terminate"],
    "withdraw": TITLES["withdraw"],
}
BUNDLE_SAID: Final[dict[str, str]] = {
    **{key: SAID[key] for key in BUNDLE_TITLES if key in SAID},
    "quantity": N_("The quantity of {name} is changed."),
    "pause": N_("The pause of {name} is set."),
    "undo_pause": N_("The pause of {name} is undone."),
    "end_pause": N_("{name} is served again."),
    "dissolve": N_("{name} is dissolved: what was in it goes on by itself."),
}


class BoxPart(Struct, frozen=True, kw_only=True):
    """A product inside the box of a bundle, and its share."""

    name: str
    value: str = ""
    href: str = ""


class BoxButton(Struct, frozen=True, kw_only=True):
    """A line of a box: pressing it asks for the plan at `at`."""

    label: str
    at: str
    value: str = ""
    danger: bool = False
    refused: str = ""


class Waiting(Struct, frozen=True, kw_only=True):
    """The invoice that a pending subscription waits for."""

    document_id: int
    payer_id: int
    number: str
    total_minor: int
    open_minor: int
    currency: str


class Box(Struct, frozen=True, kw_only=True):
    """A product as it is shown to a customer: its price, what the customer has of it, what can be done."""

    id: str
    name: str
    kind: str = ""
    """Kind of the pill where there is a subscription: colours the box."""
    pill: str = ""
    price: str
    price_more: str
    about: str
    parts: Sequence[BoxPart] = ()
    """Of a bundle: what is in it."""
    state: str
    waits_for: Waiting | None = None
    """Its invoice, named before the state."""
    ahead: str = ""
    """The change that is planned for it, in words."""
    link: str = ""
    link_text: str = ""
    more: str = ""
    pay_at: str = ""
    """Address of the payment's drawer, where its invoice is open."""
    pay_amount: str = ""
    buttons: Sequence[BoxButton]
    refused: str = ""
    """Why none of the buttons can be pressed, said once."""
    prepaid: bool = False
    """What the customer has of it is paid ahead from the balance."""


class BoxGroup(Struct, frozen=True, kw_only=True):
    key: str
    title: str
    note: str
    boxes: Sequence[Box]


def pill_of(state: str, ends_on: date | None) -> Pill:
    """A state; one that ends on a day ahead is cancelling."""
    pill = CANCELLING if ends_on is not None and state in ("active", "suspended", "paused") else PILLS[state]
    return Pill(_(pill.label), pill.kind)


def reason_of(state_reason: str) -> str:
    """Why it is in its state."""
    return _(REASONS.get(state_reason, state_reason))


def price_words(amount_minor: int, currency: str, unit: str, count: int, locale: str) -> str:
    """€45.00 a month."""
    return f"{format_money(amount_minor, currency, locale)} {cycle_words(unit, count)}"


def box_of(
    box: PlanBox,
    customer_id: int,
    prices: Sequence[PriceRow],
    *,
    mine_rank: int | None,
    mine_name: str,
    waiting: Waiting | None,
    forfeits: str,
    today: date,
    locale: str,
    may_change: bool,
    changes: Mapping[int, BoxButton] | None = None,
    ahead: str = "",
) -> Box:
    """`mine_rank` and `mine_name`: of the plan that the customer has in this group, where it allows one.

    `changes`: the buttons of changes, by the places of their actions; `ahead`: the change that is planned.
    """
    subscription = box.subscription
    pill = pill_of(subscription.state, subscription.ends_on) if subscription is not None else None
    actions = sorted(box.actions, key=_order) if may_change else []
    reasons = {action.refused for action in actions}
    (refused,) = reasons if len(reasons) == 1 else ("",)
    price, price_more = _prices(subscription, prices, locale)
    link = f"/subscriptions/{subscription.id}" if subscription is not None else ""
    return Box(
        id=f"box-{box.product_id}",
        name=(subscription.label if subscription is not None else "") or box.name,
        kind=pill.kind if pill is not None else "",
        pill=pill.label if pill is not None else "",
        price=price,
        price_more=price_more,
        about=box.description,
        state=_state(subscription, box.rank, mine_rank, mine_name, waiting, today, locale),
        ahead=ahead,
        waits_for=waiting,
        pay_at=f"/customers/{waiting.payer_id}/payments/new?document_id={waiting.document_id}" if waiting else "",
        pay_amount=format_money(waiting.open_minor, waiting.currency, locale) if waiting else "",
        link=link,
        link_text=_("Subscription %(id)s", id=subscription.id) if subscription is not None else "",
        more=_(", since %(day)s", day=written(subscription.started_on, locale))
        if subscription and subscription.started_on
        else "",
        buttons=[
            (changes or {})[id(action)]
            if id(action) in (changes or {})
            else _button(
                _with_setup(action, prices),
                customer_id,
                box.product_id,
                subscription,
                forfeits,
                waiting,
                bool(refused),
                locale,
            )
            for action in actions
        ],
        refused=refused,
        prepaid=subscription is not None and subscription.timing == "prepaid",
    )


def _order(action: BoxAction) -> int:
    """Ways to start that are alike stand beside each other; what cannot be undone comes last."""
    return {"change": 1, "subscribe": 1, "edit_period": 2, "invoice": 2, "terminate": 3, "withdraw": 4}.get(
        action.key, 0
    )


def _with_setup(action: BoxAction, prices: Sequence[PriceRow]) -> BoxAction:
    """The first invoice has the set-up on it."""
    price = next((each for each in prices if each.id == action.price_id), None)
    if action.key != "invoice" or price is None:
        return action
    return msgspec.structs.replace(action, amount_minor=price.amount_minor + price.setup_minor)


def _prices(subscription: SubscriptionRow | None, prices: Sequence[PriceRow], locale: str) -> tuple[str, str]:
    """The price first, in large, and the rest beside it."""
    if subscription is not None:
        cycle = cycle_words(subscription.cycle_unit, subscription.cycle_count)
        if subscription.cycle_minor == 0:
            return pgettext("price", "Free"), _("agreed, %(cycle)s", cycle=cycle)
        return format_money(subscription.cycle_minor, subscription.currency, locale), cycle
    if not prices:
        return "–", _("no price in this currency")
    first, *others = prices
    rest = [price_words(each.amount_minor, each.currency, each.cycle_unit, each.cycle_count, locale) for each in others]
    cycles = [cycle_words(first.cycle_unit, first.cycle_count), *rest]
    said = " · ".join(words + _set_up(price, locale) for words, price in zip(cycles, prices, strict=True))
    return format_money(first.amount_minor, first.currency, locale), said


def _set_up(price: PriceRow, locale: str) -> str:
    if not price.setup_minor:
        return ""
    return " " + _("+ %(amount)s set-up", amount=format_money(price.setup_minor, price.currency, locale))


def _state(
    mine: SubscriptionRow | None,
    rank: int,
    mine_rank: int | None,
    mine_name: str,
    waiting: Waiting | None,
    today: date,
    locale: str,
) -> str:
    if mine is None:
        if mine_rank is None or mine_rank == rank:
            return _("Not subscribed.")
        if rank > mine_rank:
            return _("Not subscribed. Above %(name)s.", name=mine_name)
        return _("Not subscribed. Below %(name)s.", name=mine_name)
    if mine.state == "pending":
        if waiting is None:
            return _("Waits for its invoice to be paid. Active from that day.")
        missing = format_money(waiting.open_minor, waiting.currency, locale)
        total = format_money(waiting.total_minor, waiting.currency, locale)
        if waiting.open_minor != waiting.total_minor:
            return _(
                "%(missing)s of %(total)s is open. Active from the day it is paid in full.",
                missing=missing,
                total=total,
            )
        return _("%(total)s is open. Active from the day it is paid in full.", total=total)
    return f"{next_words(mine, today, locale)}."


def next_words(mine: SubscriptionRow, today: date, locale: str) -> str:
    """Until when it is charged, and what comes then; and its pause."""
    if mine.state == "paused" and mine.pause_to is not None:
        last = written(mine.pause_to - timedelta(days=1), locale)
        return _("Paused to %(day)s, then it goes on by itself", day=last)
    words = _next_words(mine, today, locale)
    if mine.pause_from is None or mine.pause_to is None:
        return words
    return _("%(words)s; paused from %(days)s", words=words, days=period_words(mine.pause_from, mine.pause_to, locale))


def _next_words(mine: SubscriptionRow, today: date, locale: str) -> str:
    if mine.state == "trial" and mine.trial_ends_on is not None:
        days = (mine.trial_ends_on - today).days
        left = ngettext("1 day left", "%(num)s days left", days)
        after = {
            "end": _("then it ends"),
            "convert": _("then it is paid for"),
            "invoice_first": _("then an invoice is made and it waits for its payment"),
        }
        then = after["end"] if mine.ends_on is not None else after.get(mine.at_trial_end or "end", after["end"])
        last = written(mine.trial_ends_on - timedelta(days=1), locale)
        return _("Test time until %(day)s, %(left)s; %(then)s", day=last, left=left, then=then)
    reason = reason_of(mine.state_reason)
    if mine.state in ("ended", "withdrawn"):
        label = _(PILLS[mine.state].label)
        if mine.ended_on is None:
            return f"{label}, {reason}"
        return _("%(label)s on %(day)s, %(reason)s", label=label, day=written(mine.ended_on, locale), reason=reason)
    if mine.ends_on is not None:
        return _("Ends after %(day)s", day=written(mine.ends_on - timedelta(days=1), locale))
    if mine.state == "suspended" and mine.due_on is None:
        return _("Suspended, %(reason)s. Not billed meanwhile", reason=reason)
    if mine.next_from is None or mine.next_to is None:
        return _("Free, without an end")
    if mine.timing == "prepaid" and mine.next_from > today:
        day = written(mine.next_from - timedelta(days=1), locale)
        return _("Paid to %(day)s, then renewed from the balance", day=day)
    if mine.timing == "arrears":
        return _("%(period)s, billed afterwards", period=period_words(mine.next_from, mine.next_to, locale))
    if mine.next_from <= today:
        return _("%(period)s, billed with the next run", period=period_words(mine.next_from, mine.next_to, locale))
    return _("Charged to %(day)s, then renews", day=written(mine.next_from - timedelta(days=1), locale))


def period_words(first: date, end: date, locale: str) -> str:
    """A half-open period by the days that are meant: 1 Nov to 30 Nov 2026."""
    last = end - timedelta(days=1)
    begin = written(first, locale, year=first.year != last.year)
    return _("%(first)s to %(last)s", first=begin, last=written(last, locale))


LABELS: Final[dict[str, str]] = {
    "activate_free": N_("Activate now (free)"),
    "cancel_at_expiry": N_("Cancel at expiry date"),
    "undo_cancellation": N_("Keep it, undo the cancellation"),
    "terminate": N_("Terminate today"),
    "suspend": N_("Suspend"),
    "resume": N_("Resume"),
    "pause": N_("Pause…"),
    "undo_pause": N_("Undo the pause"),
    "end_pause": N_("End the pause"),
}
PAUSING: Final = {"pause": "pause/plan", "undo_pause": "pause/undo/plan", "end_pause": "pause/end/plan"}


def _button(
    action: BoxAction,
    customer_id: int,
    product_id: int,
    mine: SubscriptionRow | None,
    forfeits: str,
    waiting: Waiting | None,
    said_once: bool,
    locale: str,
) -> BoxButton:
    asked: dict[str, object] = {"do": action.key}
    if mine is not None:
        asked["subscription_id"] = mine.id
    else:
        asked["product_id"] = product_id
    if action.price_id is not None:
        asked["price_id"] = action.price_id
    cycle = cycle_adjective(action.cycle_unit, action.cycle_count or 1) if action.cycle_unit else ""
    amount = (
        format_money(action.amount_minor, action.currency, locale)
        if action.amount_minor is not None and action.currency
        else ""
    )
    label, value = _(LABELS[action.key]) if action.key in LABELS else "", ""
    if action.key == "start_trial":
        label = _("Activate the test time (%(days)s days)", days=action.days)
    elif action.key == "invoice":
        label, value = _("Make invoice for %(cycle)s cycle", cycle=cycle), amount
    elif action.key == "subscribe":
        label = _("Subscribe on account, %(cycle)s", cycle=cycle)
        if action.prepaid:
            label = _("Pay from the balance, %(cycle)s", cycle=cycle)
        value = amount
    elif action.key == "undo_cancellation" and action.on is not None:
        value = written(action.on - timedelta(days=1), locale, year=False)
    elif action.key in PAUSING and action.on is not None:
        value = written(action.on, locale, year=False)
    elif action.key == "withdraw":
        if waiting is not None:
            label = _("Withdraw, voids the invoice")
        elif forfeits:
            label, value = _("Withdraw, forfeits"), forfeits
        else:
            label = _("Withdraw, forfeits nothing")
    return BoxButton(
        label=label,
        value=value,
        at=f"/subscriptions/{mine.id}/{PAUSING[action.key]}"
        if mine is not None and action.key in PAUSING
        else plan_address(customer_id, asked),
        danger=action.key == "withdraw",
        refused=_("refused") if said_once else action.refused,
    )


def plan_address(customer_id: int, asked: Mapping[str, object]) -> str:
    return f"/customers/{customer_id}/subscriptions/plan?{urlencode(asked)}"


def tax_note(prices: Sequence[PriceRow]) -> str:
    """Whether the prices on the page include tax."""
    included = {price.tax_inclusive for price in prices}
    if included == {True}:
        return _("Prices include tax.")
    return _("Prices are without tax.") if included == {False} else _("Some prices include tax, some do not.")


def options_of(do: str, state: str, *, currency: str, today: date) -> list[Field]:
    """Fields of a drawer that change its plan. `state`: of the subscription it is about, where there is one."""
    if state == "pending" or (do == "invoice" and state):
        return []
    if do == "activate_free":
        return [
            Field(
                name="until_on",
                label=_("Free until"),
                kind="date",
                help=_("First day that is not free; empty: for good"),
            ),
            Field(
                name="then",
                label=_("After that"),
                kind="select",
                value="end",
                choices=(Choice("end", _("It ends")), Choice("invoice_first", _("It waits for its first invoice"))),
            ),
        ]
    if do == "start_trial":
        return [Field(name="days", label=_("Days"), kind="number", help=_("Empty: as the product says"))]
    if do in ("subscribe", "invoice"):
        return [
            Field(name="quantity", label=_("Quantity"), kind="money", value="1"),
            Field(
                name="amount",
                label=_("Price agreed, %(currency)s", currency=currency),
                kind="money",
                help=_("Empty: as in the catalogue"),
            ),
            Field(
                name="label",
                label=_("Called"),
                max_length=200,
                help=_("On its box and its invoices; empty: as the product"),
            ),
            *(
                [Field(name="starts_on", label=_("Starts on"), kind="date", value=today.isoformat())]
                if do == "subscribe"
                else []
            ),
        ]
    if do == "terminate":
        return [
            Field(
                name="on",
                label=_("First day without service"),
                kind="date",
                value=today.isoformat(),
                help=_("This day is not billed any more"),
            ),
            Field(
                name="credit_unused",
                label=_("Credit the unused days"),
                kind="check",
                help=_("Of what was charged ahead; else it stays charged"),
            ),
        ]
    if do == "withdraw":
        return [
            Field(
                name="void_invoices",
                label=_("Void its invoices that are open or hold days to come"),
                kind="check",
                help=_(
                    "What was paid on them becomes credit; of others on them nothing is taken back."
                    " Else what was invoiced stays due"
                ),
            )
        ]
    return []


def quantity_text(quantity_e6: int) -> str:
    return figures(decimal_text(quantity_e6, 6))


def counted(name: str, quantity_e6: int) -> str:
    """A product, and how many where that is not one."""
    return name if quantity_e6 == 10**6 else f"{quantity_text(quantity_e6)} × {name}"


class SubscriptionItem(Struct, frozen=True, kw_only=True):
    """A subscription in a list."""

    id: int
    customer_id: int
    customer: str
    name: str
    product: str
    pill: Pill
    amount: str
    currency: str
    cycle: str
    started_on: date | None
    next: str


def item_of(row: SubscriptionRow, today: date, locale: str) -> SubscriptionItem:
    return SubscriptionItem(
        id=row.id,
        customer_id=row.customer_id,
        customer=row.customer,
        name=row.label or row.product,
        product=row.product,
        pill=pill_of(row.state, row.ends_on),
        amount=format_amount(row.cycle_minor, row.currency),
        currency=row.currency,
        cycle=cycle_words(row.cycle_unit, row.cycle_count),
        started_on=row.started_on,
        next=_("Waits for its invoice") if row.state == "pending" else next_words(row, today, locale),
    )


CHARGE_PILLS: Final = {
    "open": Pill(N_("Next invoice"), "new"),
    "invoiced": Pill(N_("Invoiced"), "live"),
    "reversed": Pill(N_("Reversed"), "ended"),
    "waived": Pill(N_("Waived"), "ended"),
}


class ChargeItem(Struct, frozen=True, kw_only=True):
    """A charge of a subscription or customer."""

    id: int
    text: str
    kind: str
    period: str
    quantity: str
    amount: str
    currency: str
    pill: Pill
    may_waive: bool


CHARGE_KINDS: Final = {
    "recurring": N_("Recurring"),
    "setup": N_("Set-up"),
    "usage": N_("Usage"),
    "one_off": N_("One-off"),
    "fee": N_("Fee"),
    "hold": N_("Hold fee"),
    "termination": N_("Early termination"),
}


def charge_item(row: ChargeRow, locale: str) -> ChargeItem:
    period = ""
    if row.period_start is not None and row.period_end is not None:
        period = period_words(row.period_start, row.period_end, locale)
    elif row.kind == "recurring" and row.state in ("open", "invoiced"):
        period = _("from activation")
    return ChargeItem(
        id=row.id,
        text=row.description,
        kind=_(CHARGE_KINDS.get(row.kind, row.kind)),
        period=period,
        quantity=quantity_text(row.quantity_e6),
        amount=format_amount(row.amount_minor, row.currency),
        currency=row.currency,
        pill=Pill(_(CHARGE_PILLS[row.state].label), CHARGE_PILLS[row.state].kind),
        may_waive=row.state == "open",
    )


class ChargeForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A charge as it is typed: a one-off item at its price, or anything at an amount."""

    product_id: Id | None = None
    description: Annotated[str, Meta(max_length=500)] = ""
    quantity: Annotated[str, Meta(max_length=20)] = ""
    amount: Annotated[str, Meta(max_length=40)] = ""
    tax_category: Annotated[str, Meta(max_length=60)] = ""
    tax_inclusive: bool = False


def charge_fields(products: Sequence[ProductRow], categories: Sequence[TaxCategoryRow], currency: str) -> list[Field]:
    return [
        Field(
            name="product_id",
            label=_("Item"),
            kind="select",
            choices=(Choice("", _("None, described below")), *(Choice(str(each.id), each.name) for each in products)),
        ),
        Field(
            name="description",
            label=_("Description"),
            max_length=500,
            help=_("As it stands on the invoice; empty: the item's name"),
        ),
        Field(name="quantity", label=_("Quantity"), kind="money", value="1"),
        Field(
            name="amount",
            label=_("Price of one, %(currency)s", currency=currency),
            kind="money",
            help=_("Empty: the item's price"),
        ),
        Field(
            name="tax_category",
            label=_("Tax"),
            kind="select",
            choices=(
                Choice("", _("As the item, else standard")),
                *(Choice(each.code, each.name) for each in categories),
            ),
        ),
        Field(name="tax_inclusive", label=_("The price includes tax"), kind="check"),
    ]
