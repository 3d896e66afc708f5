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
from core.web.amounts import decimal_text
from core.web.parts import Choice, Field, Pill
from core.web.templating import written

if TYPE_CHECKING:
    from core.catalog.schemas import PriceRow, ProductRow, TaxCategoryRow
    from core.subscriptions.schemas import BoxAction, ChargeRow, PlanBox, SubscriptionRow

PILLS: Final[dict[str, Pill]] = {
    "pending": Pill("Waits for payment", "warn"),
    "trial": Pill("Trial", "new"),
    "active": Pill("Active", "live"),
    "suspended": Pill("Suspended", "blocked"),
    "paused": Pill("Paused", "warn"),
    "ended": Pill("Ended", "ended"),
    "withdrawn": Pill("Withdrawn", "ended"),
}
CANCELLING: Final = Pill("Cancelling", "warn")
STATES: Final = tuple(Choice(key, pill.label) for key, pill in PILLS.items())
REASONS: Final = {
    "hand": "by hand",
    "status": "by the customer's status",
    "balance": "for want of balance",
    "dunning": "by dunning",
    "schedule": "as planned",
    "settled": "its invoice was settled",
    "lapsed": "not paid in time",
    "voided": "its invoice was voided",
    "import": "taken over",
}
KINDS: Final = (("plan", "Plans"), ("module", "Modules"), ("service", "Services"))

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
    seen: Annotated[str, Meta(max_length=4000)] = ""


TITLES: Final[dict[str, str]] = {
    "activate_free": "Activate {name} free",
    "start_trial": "Activate the test time of {name}",
    "invoice": "Make invoice for {name}",
    "subscribe": "Subscribe to {name}",
    "cancel_at_expiry": "Cancel {name} at its expiry",
    "undo_cancellation": "Keep {name}",
    "terminate": "Terminate {name}",
    "suspend": "Suspend {name}",
    "resume": "Resume {name}",
    "withdraw": "Withdraw {name}",
}


SAID: Final[dict[str, str]] = {
    "activate_free": "{name} is active, free.",
    "start_trial": "The test time of {name} has begun.",
    "invoice": "The invoice of {name} is made.",
    "subscribe": "{name} is active.",
    "cancel_at_expiry": "{name} is cancelled at its expiry.",
    "undo_cancellation": "{name} goes on.",
    "terminate": "{name} is terminated.",
    "suspend": "{name} is suspended.",
    "resume": "{name} is resumed.",
    "withdraw": "{name} is withdrawn.",
}


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
    state: str
    waits_for: Waiting | None = None
    """Its invoice, named before the state."""
    link: str = ""
    link_text: str = ""
    more: str = ""
    pay_at: str = ""
    """Address of the payment's drawer, where its invoice is open."""
    pay_amount: str = ""
    buttons: Sequence[BoxButton]
    refused: str = ""
    """Why none of the buttons can be pressed, said once."""


class BoxGroup(Struct, frozen=True, kw_only=True):
    key: str
    title: str
    note: str
    boxes: Sequence[Box]


def pill_of(state: str, ends_on: date | None) -> Pill:
    """A state; one that ends on a day ahead is cancelling."""
    return CANCELLING if ends_on is not None and state in ("active", "suspended", "paused") else PILLS[state]


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
) -> Box:
    """`mine_rank` and `mine_name`: of the plan that the customer has in this group, where it allows one."""
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
        waits_for=waiting,
        pay_at=f"/customers/{waiting.payer_id}/payments/new?document_id={waiting.document_id}" if waiting else "",
        pay_amount=format_money(waiting.open_minor, waiting.currency, locale) if waiting else "",
        link=link,
        link_text=f"Subscription {subscription.id}" if subscription is not None else "",
        more=f", since {written(subscription.started_on, locale)}" if subscription and subscription.started_on else "",
        buttons=[
            _button(
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
    )


def _order(action: BoxAction) -> int:
    """Ways to start that are alike stand beside each other; what cannot be undone comes last."""
    return {"subscribe": 1, "invoice": 2, "terminate": 3, "withdraw": 4}.get(action.key, 0)


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
            return "Free", f"agreed, {cycle}"
        return format_money(subscription.cycle_minor, subscription.currency, locale), cycle
    if not prices:
        return "–", "no price in this currency"
    first, *others = prices
    rest = [price_words(each.amount_minor, each.currency, each.cycle_unit, each.cycle_count, locale) for each in others]
    return (
        format_money(first.amount_minor, first.currency, locale),
        " · ".join([cycle_words(first.cycle_unit, first.cycle_count), *rest]),
    )


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
            return "Not subscribed."
        return f"Not subscribed. {'Above' if rank > mine_rank else 'Below'} {mine_name}."
    if mine.state == "pending":
        if waiting is None:
            return "Waits for its invoice to be paid. Active from that day."
        missing = format_money(waiting.open_minor, waiting.currency, locale)
        total = format_money(waiting.total_minor, waiting.currency, locale)
        of = f"{missing} of {total}" if waiting.open_minor != waiting.total_minor else total
        return f"{of} is open. Active from the day it is paid in full."
    return f"{next_words(mine, today, locale)}."


def next_words(mine: SubscriptionRow, today: date, locale: str) -> str:
    """Until when it is charged, and what comes then."""
    if mine.state == "trial" and mine.trial_ends_on is not None:
        days = (mine.trial_ends_on - today).days
        left = f"{days} days left" if days != 1 else "1 day left"
        after = {
            "end": "then it ends",
            "convert": "then it is paid for",
            "invoice_first": "then an invoice is made and it waits for its payment",
        }
        then = "then it ends" if mine.ends_on is not None else after.get(mine.at_trial_end or "end", "then it ends")
        return f"Test time until {written(mine.trial_ends_on - timedelta(days=1), locale)}, {left}; {then}"
    if mine.state in ("ended", "withdrawn"):
        until = f" on {written(mine.ended_on, locale)}" if mine.ended_on is not None else ""
        return f"{PILLS[mine.state].label}{until}, {REASONS.get(mine.state_reason, mine.state_reason)}"
    if mine.ends_on is not None:
        return f"Ends after {written(mine.ends_on - timedelta(days=1), locale)}"
    if mine.state == "suspended" and mine.due_on is None:
        return f"Suspended, {REASONS.get(mine.state_reason, mine.state_reason)}. Not billed meanwhile"
    if mine.next_from is None or mine.next_to is None:
        return "Free, without an end"
    if mine.timing == "arrears":
        return f"{period_words(mine.next_from, mine.next_to, locale)}, billed afterwards"
    if mine.next_from <= today:
        return f"{period_words(mine.next_from, mine.next_to, locale)}, billed with the next run"
    return f"Charged to {written(mine.next_from - timedelta(days=1), locale)}, then renews"


def period_words(first: date, end: date, locale: str) -> str:
    """A half-open period by the days that are meant: 1 Nov to 30 Nov 2026."""
    last = end - timedelta(days=1)
    return f"{written(first, locale, year=first.year != last.year)} to {written(last, locale)}"


LABELS: Final[dict[str, str]] = {
    "activate_free": "Activate now (free)",
    "cancel_at_expiry": "Cancel at expiry date",
    "undo_cancellation": "Keep it, undo the cancellation",
    "terminate": "Terminate today",
    "suspend": "Suspend",
    "resume": "Resume",
}


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
    label, value = LABELS.get(action.key, ""), ""
    if action.key == "start_trial":
        label = f"Activate the test time ({action.days} days)"
    elif action.key == "invoice":
        label, value = f"Make invoice for {cycle} cycle", amount
    elif action.key == "subscribe":
        label, value = f"Subscribe on account, {cycle}", amount
    elif action.key == "undo_cancellation" and action.on is not None:
        value = written(action.on - timedelta(days=1), locale, year=False)
    elif action.key == "withdraw":
        label = "Withdraw, voids the invoice" if waiting is not None else "Withdraw, forfeits"
        if waiting is None:
            label, value = ("Withdraw, forfeits", forfeits) if forfeits else ("Withdraw, forfeits nothing", "")
    return BoxButton(
        label=label,
        value=value,
        at=plan_address(customer_id, asked),
        danger=action.key == "withdraw",
        refused="refused" if said_once else action.refused,
    )


def plan_address(customer_id: int, asked: Mapping[str, object]) -> str:
    return f"/customers/{customer_id}/subscriptions/plan?{urlencode(asked)}"


def tax_note(prices: Sequence[PriceRow]) -> str:
    """Whether the prices on the page include VAT."""
    included = {price.tax_inclusive for price in prices}
    if included == {True}:
        return "Prices include VAT."
    return "Prices are without VAT." if included == {False} else "Some prices include VAT, some do not."


def options_of(do: str, state: str, *, currency: str, today: date) -> list[Field]:
    """Fields of a drawer that change its plan. `state`: of the subscription it is about, where there is one."""
    if state == "pending" or (do == "invoice" and state):
        return []
    if do == "activate_free":
        return [
            Field(name="until_on", label="Free until", kind="date", help="First day that is not free; empty: for good"),
            Field(
                name="then",
                label="After that",
                kind="select",
                value="end",
                choices=(Choice("end", "It ends"), Choice("invoice_first", "It waits for its first invoice")),
            ),
        ]
    if do == "start_trial":
        return [Field(name="days", label="Days", kind="number", help="Empty: as the product says")]
    if do in ("subscribe", "invoice"):
        return [
            Field(name="quantity", label="Quantity", kind="money", value="1"),
            Field(name="amount", label=f"Price agreed, {currency}", kind="money", help="Empty: as in the catalogue"),
            Field(
                name="label", label="Called", max_length=200, help="On its box and its invoices; empty: as the product"
            ),
            *(
                [Field(name="starts_on", label="Starts on", kind="date", value=today.isoformat())]
                if do == "subscribe"
                else []
            ),
        ]
    if do == "terminate":
        return [
            Field(
                name="on",
                label="First day without service",
                kind="date",
                value=today.isoformat(),
                help="This day is not billed any more",
            ),
            Field(
                name="credit_unused",
                label="Credit the unused days",
                kind="check",
                help="Of what was charged ahead; else it stays charged",
            ),
        ]
    if do == "withdraw":
        return [
            Field(
                name="void_invoices",
                label="Void its open invoices too",
                kind="check",
                help="Else what was invoiced stays due",
            )
        ]
    return []


def quantity_text(quantity_e6: int) -> str:
    return decimal_text(quantity_e6, 6)


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
        next="Waits for its invoice" if row.state == "pending" else next_words(row, today, locale),
    )


CHARGE_PILLS: Final = {
    "open": Pill("Next invoice", "new"),
    "invoiced": Pill("Invoiced", "live"),
    "reversed": Pill("Reversed", "ended"),
    "waived": Pill("Waived", "ended"),
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
    "recurring": "Recurring",
    "setup": "Set-up",
    "usage": "Usage",
    "one_off": "One-off",
    "fee": "Fee",
    "hold": "Hold fee",
    "termination": "Early termination",
}


def charge_item(row: ChargeRow, locale: str) -> ChargeItem:
    period = ""
    if row.period_start is not None and row.period_end is not None:
        period = period_words(row.period_start, row.period_end, locale)
    elif row.kind == "recurring" and row.state in ("open", "invoiced"):
        period = "from activation"
    return ChargeItem(
        id=row.id,
        text=row.description,
        kind=CHARGE_KINDS.get(row.kind, row.kind),
        period=period,
        quantity=quantity_text(row.quantity_e6),
        amount=format_amount(row.amount_minor, row.currency),
        currency=row.currency,
        pill=CHARGE_PILLS[row.state],
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
            label="Item",
            kind="select",
            choices=(Choice("", "None, described below"), *(Choice(str(each.id), each.name) for each in products)),
        ),
        Field(
            name="description",
            label="Description",
            max_length=500,
            help="As it stands on the invoice; empty: the item's name",
        ),
        Field(name="quantity", label="Quantity", kind="money", value="1"),
        Field(name="amount", label=f"Price of one, {currency}", kind="money", help="Empty: the item's price"),
        Field(
            name="tax_category",
            label="Tax",
            kind="select",
            choices=(Choice("", "As the item, else standard"), *(Choice(each.code, each.name) for each in categories)),
        ),
        Field(name="tax_inclusive", label="The price includes VAT", kind="check"),
    ]
