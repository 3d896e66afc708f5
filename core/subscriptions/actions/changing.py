"""What a change of a subscription comes to by its product's policy, and changes on a day ahead."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, cast

import msgspec
from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.catalog.queries import get_change_policy, get_price, get_product
from core.catalog.schemas import Direction
from core.database import execute, row, value
from core.errors import Conflict, Invalid
from core.ledger.fx import convert, price_rate
from core.subscriptions.actions.agreed import (
    Term,
    terms_from,
)
from core.subscriptions.actions.shared import Locked, covered_until, get_buyer, lock, may_order, refuse_part
from core.subscriptions.actions.starting import timing_of
from core.subscriptions.changes import AgreedChange
from core.subscriptions.events import ChangeDropped, ChangePlanned
from core.subscriptions.pricing import priced
from core.subscriptions.schedule import cycle_end
from core.subscriptions.status import StateReason, SubscriptionState
from core.texts import _, in_sentence

if TYPE_CHECKING:
    from core.catalog.schemas import PriceRow, ProductDetail
    from core.scope import Scope
    from core.subscriptions.changes import ChangeOrder, Kind
    from core.subscriptions.schemas import Buyer

FURTHEST_AHEAD: Final = timedelta(days=1096)


# -- what is agreed ---------------------------------------------------------------------------------------------------


class Resolved(Struct, frozen=True):
    """A change with the day on which it happens; None: now."""

    change: AgreedChange
    on: date | None
    invoice_first: bool


async def resolve(scope: Scope, found: Locked, order: ChangeOrder) -> Resolved:
    """What the order comes to by the product's policy, or why it cannot be. `found`: locked."""
    await refuse_part(found.id)
    buyer = await get_buyer(scope, found.customer_id)
    may_order(buyer)
    old, term = await get_product(found.product_id), await _term_now(scope, found)
    product, price = await _wanted(scope, buyer, old, order)
    _check_state(found, product, paid_ahead=timing_of(buyer, product) == "prepaid")
    other_price = price is not None and price.id != term.price_id
    amount = order.amount_minor
    if amount is None:
        amount = price.amount_minor if price is not None else term.amount_minor
    cycle = (price.cycle_unit, price.cycle_count) if price is not None else (term.cycle_unit, term.cycle_count)
    quantity = order.quantity_e6 or term.quantity_e6
    replaces = other_price or amount != term.amount_minor or order.discounts is not None
    if not replaces and quantity == term.quantity_e6:
        raise Invalid(_("This is what it has already. Choose something else."), field="price_id")
    kind = _kind(old, product, term, cycle, amount, quantity)
    policy = await get_change_policy(old.id)
    direction = cast("Direction", getattr(policy, kind))
    fee, minimum = await _in_currency(scope, buyer, direction)
    change = AgreedChange(
        kind=kind,
        product_id=product.id,
        price_id=price.id if price is not None else term.price_id,
        amount_minor=amount,
        currency=term.currency,
        price_rate_e10=price.rate_e10 if price is not None else term.price_rate_e10,
        cycle_unit=cycle[0],
        cycle_count=cycle[1],
        tax_inclusive=price.tax_inclusive if price is not None else term.tax_inclusive,
        setup_minor=price.setup_minor
        if price is not None and product.id != old.id and (await get_change_policy(product.id)).setup
        else 0,
        fee_minor=fee,
        minimum_minor=minimum,
        unused=direction.unused if order.unused == "policy" else order.unused,
        anchor=policy.cycle_anchor,
        quantity_e6=order.quantity_e6,
        discounts=order.discounts,
        replaces_terms=replaces,
    )
    when = direction.when if order.when == "policy" else order.when
    waits = (
        product.activation == "invoice_first"
        and found.state is not SubscriptionState.TRIAL
        and found.timing != "prepaid"
    )
    return Resolved(change, await _day_of(scope, found, order.on, when), waits)


async def _term_now(scope: Scope, found: Locked) -> Term:
    """As it stands today, or as it begins."""
    return (await terms_from(found.id, scope.today()))[0]


async def _wanted(
    scope: Scope, buyer: Buyer, old: ProductDetail, order: ChangeOrder
) -> tuple[ProductDetail, PriceRow | None]:
    if order.price_id is None:
        return old, None
    price = await get_price(order.price_id)
    product = old if price.product_id == old.id else await get_product(price.product_id)
    if product.id != old.id and (product.group_id is None or product.group_id != old.group_id):
        raise Invalid(_("It can be changed to a product of the same group."), field="price_id")
    today = scope.today()
    if (product.available_from and product.available_from > today) or (
        product.available_to and product.available_to <= today
    ):
        raise Conflict(_("%(name)s is not sold today.", name=product.name))
    price = await priced(scope, buyer.id, buyer.currency, price, product.prices)
    if price.cycle_unit == "once" or price.valid_from > today or (price.valid_to and price.valid_to <= today):
        raise Invalid(_("This price is not offered today. Choose another one."), field="price_id")
    return product, price


def _check_state(found: Locked, product: ProductDetail, *, paid_ahead: bool) -> None:
    if (found.timing == "prepaid") != paid_ahead:
        raise Conflict(
            _(
                "One is paid from the balance and the other is billed on account: end what the customer has, and start"
                " %(name)s.",
                name=product.name,
            )
        )
    if found.state is SubscriptionState.TRIAL:
        if found.ends_on is not None and found.at_trial_end != "end":
            raise Conflict(_("It is cancelled. Undo that first."))
        return
    rests = found.period_start is not None and found.due_on is None
    by_hand = found.state is SubscriptionState.SUSPENDED and found.state_reason == StateReason.HAND
    if (found.state is not SubscriptionState.ACTIVE and not by_hand) or rests:
        raise Conflict(
            _(
                "A subscription that is %(state)s and not billed cannot be changed.",
                state=in_sentence(_(found.state.capitalize())),
            )
        )


def _kind(
    old: ProductDetail, new: ProductDetail, term: Term, cycle: tuple[str, int], amount: int, quantity: int
) -> Kind:
    """By rank in the group; between equals by price, by quantity. Another cycle of the same product is its own kind."""
    if old.id == new.id and cycle != (term.cycle_unit, term.cycle_count):
        return "cycle"
    before, after = (old.rank, term.amount_minor, term.quantity_e6), (new.rank, amount, quantity)
    return "upgrade" if after >= before else "downgrade"


async def _in_currency(scope: Scope, buyer: Buyer, direction: Direction) -> tuple[int, int]:
    """Fee and minimum as the customer pays them."""
    base = scope.tenant.currency
    if buyer.currency == base or not (direction.fee_minor or direction.minimum_minor):
        return direction.fee_minor, direction.minimum_minor
    rate = await price_rate(base, buyer.id, base, buyer.currency, scope.today())
    if rate is None:
        raise Conflict(_("There is no exchange rate for this currency. Enter it under Settings, Currencies."))
    return (
        convert(direction.fee_minor, base, buyer.currency, rate),
        convert(direction.minimum_minor, base, buyer.currency, rate),
    )


async def _day_of(scope: Scope, found: Locked, on: date | None, when: str) -> date | None:
    """None is now: also all that is changed in a trial, unless a day was named."""
    today = scope.today()
    if on is not None and on != today:
        if on < today or on > today + FURTHEST_AHEAD:
            raise Invalid(_("Choose today or a day within three years."), field="on")
        day = on
    elif on is not None or when == "now" or found.state is SubscriptionState.TRIAL:
        return None
    else:
        day = await period_end(scope, found)
    if found.ends_on is not None and found.ends_on <= day:
        raise Conflict(_("It ends on %(ends_on)s already.", ends_on=found.ends_on))
    return day


async def period_end(scope: Scope, found: Locked) -> date:
    """The end of the period that runs: where the charged days end, or the cycle where they are charged afterwards."""
    today = scope.today()
    covered = await covered_until(found.id)
    if covered is not None and covered > today:
        return covered
    if found.period_end is not None and found.period_end > today:
        return found.period_end
    return cycle_end(found.rhythm(None), today)


# -- on a day ahead ---------------------------------------------------------------------------------------------------


async def plan_change(scope: Scope, found: Locked, change: AgreedChange, on: date) -> int:
    """Keep a change for a day; it takes the place of one that was planned. Gives its id."""
    await _refuse_waiting(found.id)
    await _refuse_paused(found.id, on, on)
    await execute(
        "UPDATE subscription_change SET state = 'dropped' WHERE subscription_id = :id AND state = 'planned'",
        id=found.id,
    )
    change_id = await _keep(found.id, change, on, "planned")
    record(
        scope,
        ChangePlanned(
            subscription_id=found.id, customer_id=found.customer_id, product_id=change.product_id, happens_on=on
        ),
        changes={"amount_minor": (None, change.amount_minor)},
    )
    return change_id


async def _refuse_waiting(subscription_id: int) -> None:
    if await value(
        "SELECT 1 FROM subscription_change WHERE subscription_id = :id AND state = 'waiting'", id=subscription_id
    ):
        raise Conflict(_("A change of it waits for its invoice. Undo that first."))


async def _refuse_paused(subscription_id: int, first: date, last: date) -> None:
    """It would charge paused days; a pause over a change that is planned is refused likewise (`plan_pause`)."""
    if await value(
        "SELECT 1 FROM subscription_pause WHERE subscription_id = :id AND state IN ('planned', 'running')"
        " AND from_on <= :last AND to_on >= :first LIMIT 1",
        id=subscription_id,
        first=first,
        last=last,
    ):
        raise Conflict(_("A pause of it is planned for these days. Undo that first, or choose another day."))


async def wait_for_payment(scope: Scope, found: Locked, change: AgreedChange, document_id: int, until_on: date) -> int:
    """Keep a change that is made once its invoice is settled, in the place of what was planned."""
    await _refuse_paused(found.id, scope.today(), until_on)
    await execute(
        "UPDATE subscription_change SET state = 'dropped' WHERE subscription_id = :id AND state = 'planned'",
        id=found.id,
    )
    change_id = await _keep(found.id, change, scope.today(), "waiting", document_id, until_on)
    record(
        scope,
        ChangePlanned(
            subscription_id=found.id,
            customer_id=found.customer_id,
            product_id=change.product_id,
            happens_on=None,
        ),
        changes={"amount_minor": (None, change.amount_minor)},
    )
    return change_id


async def _keep(
    subscription_id: int,
    change: AgreedChange,
    on: date,
    state: str,
    document_id: int | None = None,
    until_on: date | None = None,
) -> int:
    plan = msgspec.json.encode(change).decode()
    return int(
        await value(
            "INSERT INTO subscription_change (subscription_id, kind, happens_on, state, plan, plan_hash, document_id,"
            " until_on) VALUES (:id, :kind, :on, :state, :plan, :hash, :document_id, :until_on) RETURNING id",
            id=subscription_id,
            kind=change.kind,
            on=on,
            state=state,
            plan=plan,
            hash=hashlib.sha256(plan.encode()).hexdigest(),
            document_id=document_id,
            until_on=until_on,
        )
    )


async def drop_change(scope: Scope, subscription_id: int) -> int | None:
    """What was planned is not made. Gives the invoice that it waited for, which billing voids."""
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        ahead = await row(
            _Ahead,
            "UPDATE subscription_change SET state = 'dropped' WHERE subscription_id = :id"
            " AND state IN ('planned', 'waiting') RETURNING id, document_id",
            id=subscription_id,
        )
        if ahead is None:
            raise Conflict(_("Nothing is planned for it."))
        record(scope, ChangeDropped(subscription_id=subscription_id, customer_id=found.customer_id))
        return ahead.document_id


class _Ahead(Struct, frozen=True):
    id: int
    document_id: int | None
