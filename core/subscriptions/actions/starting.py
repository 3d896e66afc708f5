"""Starting a subscription: on account, free, on trial, or asked for and invoiced first."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

from core import hookspecs
from core.activity.unit import record, unit_of_work
from core.catalog.queries import get_price, get_product
from core.database import Duplicate, execute, execute_many, value
from core.errors import Conflict, Invalid
from core.money import exponent
from core.periods import nth
from core.subscriptions.actions.copying import (
    Bundled,
    agree_price,
    anchor_of,
    contract_of,
    cycle_of,
    discount_of,
    held_for,
    hold_from,
    intro_of,
    leading_product,
    min_term_of,
    parent_of,
    write_discounts,
)
from core.subscriptions.actions.shared import (
    Locked,
    check_move,
    get_buyer,
    lock,
    make_active,
    may_order,
    payers_language,
    write_schedule,
)
from core.subscriptions.events import SubscriptionActivated, SubscriptionRequested, TrialEnded
from core.subscriptions.pricing import priced
from core.subscriptions.schedule import Rhythm, next_period
from core.subscriptions.schemas import ONE_E6
from core.subscriptions.status import StateReason, SubscriptionState
from core.subscriptions.terms import Discount, rate_cycle, unit_price_e6
from core.texts import _, in_sentence, speaking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.catalog.schemas import PriceRow, ProductDetail
    from core.scope import Scope
    from core.subscriptions.schemas import Buyer, NewFreeSubscription, NewSubscription, NewTrial

FURTHEST_BACK = timedelta(days=366)
"""How far back a subscription may be entered: what is older is taken over with its history."""


async def subscribe(scope: Scope, data: NewSubscription) -> int:
    """Live at once, invoiced on terms by the billing run; gives its id.

    The first charged day is the day it starts, today or up to a year back; where the customer has a billing day, a
    first part period runs up to it (domain.md, Anchor). A prepaid one waits, suspended, for the balance that pays its
    first period: billing tries at once (`core.billing.actions.prepaid`), and again with each receipt.
    """
    async with unit_of_work(scope):
        buyer, product, price = await _ordered(scope, data.customer_id, data.product_id, data.price_id)
        return await start_at(scope, buyer, product, price, data)


async def start_at(
    scope: Scope,
    buyer: Buyer,
    product: ProductDetail,
    price: PriceRow,
    data: NewSubscription,
    bundled: Bundled | None = None,
) -> int:
    """`subscribe` at terms that were looked up; gives its id. As part of a bundle with what that decides."""
    async with unit_of_work(scope):
        if product.activation == "invoice_first":
            raise Conflict(
                _(
                    "%(name)s is invoiced first: make its invoice, and it is live once that is settled.",
                    name=product.name,
                )
            )
        starts_on = data.starts_on or scope.today()
        _check_start(scope, starts_on)
        prepaid = timing_of(buyer, product) == "prepaid"
        if prepaid and starts_on != scope.today():
            raise Invalid(_("What is prepaid starts today: it is paid from the balance."), field="starts_on")
        await _may_start(scope, buyer, product, starts_on)
        cycle = cycle_of(price)
        parent = await parent_of(buyer, product)
        anchor_on = data.anchor_on or anchor_of(starts_on, cycle, buyer, parent, prepaid=prepaid)
        contract = product if bundled is None else bundled.lead
        subscription_id = await _insert(
            buyer,
            product,
            scope,
            state=SubscriptionState.SUSPENDED if prepaid else SubscriptionState.ACTIVE,
            state_reason=StateReason.BALANCE if prepaid else StateReason.HAND,
            anchor_on=anchor_on,
            started_on=starts_on,
            min_term_ends_on=min_term_of(contract, starts_on),
            parent_id=parent.id if parent is not None else None,
            label=data.label,
            external_ref=data.external_ref,
            **contract_of(contract, price),
            **(bundled.columns if bundled is not None else {}),
        )
        discounts = held_for([*intro_of(price, data), *data.discounts], cycle, anchor_on, starts_on)
        await write_discounts(subscription_id, discounts)
        await _write_terms(
            subscription_id,
            product,
            price,
            valid_from=starts_on,
            amount_minor=price.amount_minor if data.amount_minor is None else data.amount_minor,
            quantity_e6=data.quantity_e6,
            discounts=[discount_of(each) for each in discounts],
        )
        rhythm = _rhythm(buyer, product, price, anchor_on)
        await write_schedule(subscription_id, buyer.payer_id, next_period(rhythm, starts_on), waits=prepaid)
        if price.setup_minor:
            await _charge_setup(scope, buyer, product, price, subscription_id)
        if not prepaid:
            await make_active(scope, buyer.id)
            tell_activated(scope, subscription_id, buyer.id, product.id, SubscriptionState.ACTIVE)
        return subscription_id


def timing_of(buyer: Buyer, product: ProductDetail) -> str:
    """When it is charged: a prepaid customer pays everything ahead from its balance (domain.md, Billing type)."""
    return "prepaid" if buyer.billing_type == "prepaid" else product.timing


async def activate_free(scope: Scope, data: NewFreeSubscription) -> int:
    """Live at once at a price of 0; gives its id. Never a silent invoice: what becomes payable is invoiced first.

    Free time with an end is kept like a trial: its last day decides, its days are recorded as a gift.
    """
    async with unit_of_work(scope):
        buyer = await get_buyer(scope, data.customer_id)
        may_order(buyer)
        product = await get_product(data.product_id)
        _sold_by_cycle(product)
        today = scope.today()
        if data.until_on is not None and data.until_on <= today:
            raise Invalid(_("The free time must end on a day to come."), field="until_on")
        payable = data.until_on is not None and data.then == "invoice_first"
        if payable and data.price_id is None:
            raise Invalid(_("Choose the price that is due when the free time is over."), field="price_id")
        price = await _price_of(scope, product, buyer, data.price_id)
        await _may_start(scope, buyer, product, today)
        parent = await parent_of(buyer, product)
        subscription_id = await _insert(
            buyer,
            product,
            scope,
            state=SubscriptionState.TRIAL if payable else SubscriptionState.ACTIVE,
            anchor_on=None if payable else today,
            started_on=today,
            trial_ends_on=data.until_on if payable else None,
            at_trial_end="invoice_first" if payable else None,
            ends_on=None if payable else data.until_on,
            parent_id=parent.id if parent is not None else None,
            label=data.label,
            notice_days=product.notice_days,
        )
        await _write_terms(
            subscription_id,
            product,
            price,
            valid_from=today,
            amount_minor=price.amount_minor if payable and price else 0,
        )
        if data.until_on is not None:
            await _unbilled(subscription_id, today, data.until_on, "gift")
        await make_active(scope, buyer.id)
        state = SubscriptionState.TRIAL if payable else SubscriptionState.ACTIVE
        tell_activated(scope, subscription_id, buyer.id, product.id, state)
        return subscription_id


async def start_trial(scope: Scope, data: NewTrial) -> int:
    """The product's test time; gives the subscription's id. Once a customer and group, unless staff allow it `again`.

    First charged day = start + trial days (domain.md, Trial). What converts has its first period planned already; what
    ends, ends on that day.
    """
    async with unit_of_work(scope):
        buyer, product, price = await _ordered(scope, data.customer_id, data.product_id, data.price_id)
        if not product.trial_days and data.days is None:
            raise Conflict(_("%(name)s has no test time.", name=product.name))
        if not data.again and await had_trial(buyer.id, product):
            raise Conflict(_("This customer has had its test time for this already."))
        today = scope.today()
        await _may_start(scope, buyer, product, today)
        first_charged = today + timedelta(days=data.days or product.trial_days)
        ends = product.at_trial_end == "end"
        prepaid = timing_of(buyer, product) == "prepaid"
        parent, cycle = await parent_of(buyer, product), cycle_of(price)
        anchor_on = anchor_of(first_charged, cycle, buyer, parent, prepaid=prepaid)
        subscription_id = await _insert(
            buyer,
            product,
            scope,
            state=SubscriptionState.TRIAL,
            anchor_on=anchor_on,
            started_on=today,
            trial_ends_on=first_charged,
            at_trial_end=product.at_trial_end,
            ends_on=first_charged if ends else None,
            min_term_ends_on=min_term_of(product, first_charged),
            parent_id=parent.id if parent is not None else None,
            label=data.label,
            **contract_of(product, price),
        )
        discounts = held_for(intro_of(price), cycle, anchor_on, first_charged)
        await write_discounts(subscription_id, discounts)
        await _write_terms(
            subscription_id,
            product,
            price,
            valid_from=today,
            amount_minor=price.amount_minor,
            discounts=[discount_of(each) for each in discounts],
        )
        await _unbilled(subscription_id, today, first_charged, "trial")
        if product.at_trial_end == "convert":
            rhythm = _rhythm(buyer, product, price, anchor_on)
            await write_schedule(subscription_id, buyer.payer_id, next_period(rhythm, first_charged))
        await make_active(scope, buyer.id)
        tell_activated(scope, subscription_id, buyer.id, product.id, SubscriptionState.TRIAL)
        return subscription_id


async def had_trial(customer_id: int, product: ProductDetail) -> bool:
    """Whether the customer had a trial of this product, or of another one of its group."""
    return bool(
        await value(
            "SELECT 1 FROM unbilled_span JOIN subscription ON subscription.id = unbilled_span.subscription_id"
            " JOIN product ON product.id = subscription.product_id"
            " WHERE subscription.customer_id = :customer_id AND unbilled_span.reason = 'trial'"
            " AND (product.id = :product_id OR product.group_id = :group_id) LIMIT 1",
            customer_id=customer_id,
            product_id=product.id,
            group_id=product.group_id if product.one_live else None,
        )
    )


class Requested(Struct, frozen=True):
    """A subscription that waits for an invoice, and the charges which that invoice takes up."""

    subscription_id: int
    payer_id: int
    charge_ids: list[int]
    pending_days: int


async def request(scope: Scope, data: NewSubscription) -> Requested:
    """A pending subscription with its open charges. Billing makes the invoice in the same unit of work.

    The charge of the first cycle gets its days when the subscription is activated: they run from that day on.
    """
    async with unit_of_work(scope):
        buyer, product, price = await _ordered(scope, data.customer_id, data.product_id, data.price_id)
        return await request_at(scope, buyer, product, price, data)


async def request_at(
    scope: Scope,
    buyer: Buyer,
    product: ProductDetail,
    price: PriceRow,
    data: NewSubscription,
    bundled: Bundled | None = None,
) -> Requested:
    """`request` at terms that were looked up. As part of a bundle with what that decides."""
    async with unit_of_work(scope):
        today = scope.today()
        beside = bundled.beside if bundled is not None else frozenset[int]()
        await _may_start(scope, buyer, product, data.starts_on or today, beside=beside)
        parent, first = await parent_of(buyer, product), data.starts_on or today
        contract = product if bundled is None else bundled.lead
        parent_id = parent.id if parent is not None else bundled.parent_id if bundled is not None else None
        subscription_id = await _insert(
            buyer,
            product,
            scope,
            state=SubscriptionState.PENDING,
            started_on=data.starts_on if data.starts_on and data.starts_on > today else None,
            pending_until=today + timedelta(days=contract.pending_days),
            parent_id=parent_id,
            label=data.label,
            external_ref=data.external_ref,
            **contract_of(contract, price),
            **(bundled.columns if bundled is not None else {}),
        )
        discounts = held_for([*intro_of(price, data), *data.discounts], cycle_of(price), first, first)
        await write_discounts(subscription_id, discounts)
        await _write_terms(
            subscription_id,
            product,
            price,
            valid_from=data.starts_on or today,
            amount_minor=price.amount_minor if data.amount_minor is None else data.amount_minor,
            quantity_e6=data.quantity_e6,
            discounts=[discount_of(each) for each in discounts],
        )
        charges = [await _charge_first_cycle(scope, buyer, subscription_id)]
        if price.setup_minor:
            charges.append(await _charge_setup(scope, buyer, product, price, subscription_id))
        record(
            scope,
            SubscriptionRequested(subscription_id=subscription_id, customer_id=buyer.id, product_id=product.id),
            changes={"state": (None, SubscriptionState.PENDING)},
        )
        return Requested(subscription_id, buyer.payer_id, charges, product.pending_days)


async def ask_for_invoice(scope: Scope, subscription_id: int, price_id: int | None = None) -> Requested:
    """The charge of the first cycle of a trial that is to be paid for: during the trial, or at its end.

    During the trial it stays one; settled, its first period starts on the first charged day. At its end it is pending.
    """
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        if found.state is not SubscriptionState.TRIAL:
            raise Conflict(
                _(
                    "Only a trial can be invoiced ahead: this subscription is %(state)s.",
                    state=in_sentence(_(found.state.capitalize())),
                )
            )
        if await _has_first_charge(subscription_id):
            raise Conflict(_("Its first invoice exists already."))
        buyer = await get_buyer(scope, found.customer_id)
        product = await get_product(found.product_id)
        if price_id is not None:
            price = await get_price(price_id)
            _belongs(product, price)
            price = await priced(scope, buyer.id, buyer.currency, price, product.prices)
            await agree_price(found, price)
        await execute(
            "UPDATE subscription SET ends_on = NULL, end_reason = '', anchor_on = :first,"
            " at_trial_end = 'invoice_first',"
            " version = version + 1 WHERE id = :id",
            id=subscription_id,
            first=found.trial_ends_on,
        )
        await write_schedule(subscription_id, buyer.payer_id, None)
        charge_id = await _charge_first_cycle(scope, buyer, subscription_id)
        assert found.trial_ends_on is not None
        if found.trial_ends_on <= scope.today():
            await wait_for_invoice(scope, found, product.pending_days)
        return Requested(subscription_id, buyer.payer_id, [charge_id], product.pending_days)


async def wait_for_invoice(scope: Scope, found: Locked, pending_days: int) -> None:
    """The test time is over and its invoice is not settled: not served until it is."""
    check_move(found.state, SubscriptionState.PENDING)
    await execute(
        "UPDATE subscription SET state = 'pending', state_reason = 'schedule', pending_until = :until,"
        " version = version + 1 WHERE id = :id",
        id=found.id,
        until=scope.today() + timedelta(days=pending_days),
    )
    record(
        scope,
        TrialEnded(subscription_id=found.id, customer_id=found.customer_id, state="pending"),
        changes={"state": (found.state, "pending")},
    )


async def activate(scope: Scope, subscription_id: int, on: date) -> None:
    """The invoice that it waited for is settled: live from this day, or from the later one that was agreed.

    Its first cycle runs from then on, and that day is its anchor. A trial keeps the rest of it: its cycle starts on the
    first charged day, on which the billing run makes it active. Nothing happens to what is live already.
    """
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        if found.state not in {SubscriptionState.PENDING, SubscriptionState.TRIAL}:
            return
        in_trial = found.state is SubscriptionState.TRIAL
        starts_on = found.trial_ends_on if in_trial else max(on, found.started_on or on)
        assert starts_on is not None
        if not in_trial and found.trial_ends_on is not None and starts_on > found.trial_ends_on:
            # Days after the trial, or the gift, that were not served: recorded, so that every day is told.
            gift = await value(
                "SELECT 1 FROM unbilled_span WHERE subscription_id = :id AND reason = 'gift' LIMIT 1", id=found.id
            )
            await _unbilled(found.id, found.trial_ends_on, starts_on, "gift" if gift else "trial")
        rhythm = Rhythm(
            starts_on, found.cycle_unit, found.cycle_count, found.timing, found.proration, found.final_proration
        )
        first_end = nth(starts_on, rhythm.cycle, 1)
        await execute(
            "UPDATE charge SET period_start = :start, period_end = :end"
            " WHERE subscription_id = :id AND kind = 'recurring' AND period_start IS NULL AND state = 'invoiced'",
            id=subscription_id,
            start=starts_on,
            end=first_end,
        )
        await execute(
            "UPDATE subscription SET state = :state, state_reason = :reason, anchor_on = :starts_on,"
            " started_on = :started_on, at_trial_end = :at_trial_end, pending_until = NULL,"
            " min_term_ends_on = :min_term, version = version + 1 WHERE id = :id",
            id=subscription_id,
            state=SubscriptionState.TRIAL if in_trial else SubscriptionState.ACTIVE,
            reason=found.state_reason if in_trial else StateReason.SETTLED,
            starts_on=starts_on,
            started_on=found.started_on if found.trial_ends_on else starts_on,
            at_trial_end="convert" if in_trial else found.at_trial_end,
            min_term=min_term_of(await get_product(await leading_product(found)), starts_on),
        )
        await hold_from(subscription_id, rhythm.cycle, starts_on)
        payer_id = await value("SELECT coalesce(payer_id, id) FROM customer WHERE id = :id", id=found.customer_id)
        await write_schedule(subscription_id, int(payer_id), next_period(rhythm, first_end))
        if not in_trial:
            await make_active(scope, found.customer_id)
            tell_activated(scope, subscription_id, found.customer_id, found.product_id, SubscriptionState.ACTIVE)


async def _ordered(
    scope: Scope, customer_id: int, product_id: int, price_id: int
) -> tuple[Buyer, ProductDetail, PriceRow]:
    buyer = await get_buyer(scope, customer_id)
    may_order(buyer)
    product = await get_product(product_id)
    _sold_by_cycle(product)
    price = await get_price(price_id)
    _belongs(product, price)
    today = scope.today()
    price = await priced(scope, buyer.id, buyer.currency, price, product.prices)
    if price.valid_from > today or (price.valid_to is not None and price.valid_to <= today):
        raise Invalid(_("This price is not offered today. Choose another one."), field="price_id")
    return buyer, product, price


def _sold_by_cycle(product: ProductDetail) -> None:
    if product.kind == "one_off":
        raise Invalid(_("%(name)s is sold once: add it as a charge.", name=product.name), field="product_id")


def _belongs(product: ProductDetail, price: PriceRow) -> None:
    if price.product_id != product.id:
        raise Invalid(_("This price is another product's."), field="price_id")


async def _price_of(scope: Scope, product: ProductDetail, buyer: Buyer, price_id: int | None) -> PriceRow | None:
    """The price asked for; else, for what costs nothing, the one whose cycle it is shown by."""
    if price_id is not None:
        price = await get_price(price_id)
        _belongs(product, price)
        return await priced(scope, buyer.id, buyer.currency, price, product.prices)
    today = scope.today()
    return next(
        (
            price
            for price in product.prices
            if price.currency == buyer.currency and price.valid_from <= today and price.valid_to is None
        ),
        None,
    )


def _check_start(scope: Scope, starts_on: date) -> None:
    today = scope.today()
    if starts_on > today:
        raise Invalid(_("It starts when it is entered: choose today or an earlier day."), field="starts_on")
    if starts_on < today - FURTHEST_BACK:
        raise Invalid(_("It can be entered at most a year back."), field="starts_on")


async def _may_start(
    scope: Scope, buyer: Buyer, product: ProductDetail, starts_on: date, *, beside: frozenset[int] = frozenset()
) -> None:
    """`beside`: groups of which something starts with it."""
    today = scope.today()
    if (product.available_from and product.available_from > today) or (
        product.available_to and product.available_to <= today
    ):
        raise Conflict(_("%(name)s is not sold today.", name=product.name))
    if product.one_live:
        other = await value(
            "SELECT product.name FROM subscription JOIN product ON product.id = subscription.product_id"
            " WHERE subscription.customer_id = :customer_id AND subscription.exclusive_group_id = :group_id"
            " AND subscription.state IN ('pending', 'trial', 'active', 'suspended', 'paused')",
            customer_id=buyer.id,
            group_id=product.group_id,
        )
        if other is not None:
            raise Conflict(
                _(
                    "The customer has %(other)s already: one of %(group_name)s at a time.",
                    other=other,
                    group_name=product.group_name,
                )
            )
    needs = product.requires_group_id if product.requires_group_id not in beside else None
    if needs is not None and not await value(
        "SELECT 1 FROM subscription JOIN product ON product.id = subscription.product_id"
        " WHERE subscription.customer_id = :customer_id AND product.group_id = :group_id"
        " AND subscription.state IN ('trial', 'active', 'suspended', 'paused') LIMIT 1",
        customer_id=buyer.id,
        group_id=needs,
    ):
        raise Conflict(_("%(name)s needs another product first, which the customer does not have.", name=product.name))
    await scope.hooks.validate(
        hookspecs.validate_subscription_start,
        scope=scope,
        customer_id=buyer.id,
        product_id=product.id,
        starts_on=starts_on,
    )


async def _insert(
    buyer: Buyer, product: ProductDetail, scope: Scope, *, state: SubscriptionState, **columns: Any
) -> int:
    fields: dict[str, Any] = {
        "customer_id": buyer.id,
        "product_id": product.id,
        "exclusive_group_id": product.group_id if product.one_live else None,
        "state": state,
        "state_reason": StateReason.HAND,
        "timing": timing_of(buyer, product),
        "created_at": scope.now(),
        **columns,
    }
    try:
        return int(
            await value(
                f"INSERT INTO subscription ({', '.join(fields)}) VALUES ({', '.join(':' + name for name in fields)})"
                " RETURNING id",
                **fields,
            )
        )
    except Duplicate as error:
        if "external_ref" in error.columns:
            raise Invalid(_("Another subscription has this reference already."), field="external_ref") from error
        raise Conflict(_("The customer has one of %(group_name)s already.", group_name=product.group_name)) from error


async def _write_terms(
    subscription_id: int,
    product: ProductDetail,
    price: PriceRow | None,
    *,
    valid_from: date,
    amount_minor: int,
    quantity_e6: int = ONE_E6,
    discounts: Sequence[Discount] = (),
) -> None:
    """Terms in force from a day on; a discount that ends makes others follow from its end on, rated now."""
    ends = sorted({each.until_on for each in discounts if each.until_on is not None and each.until_on > valid_from})
    starts = [valid_from, *ends]
    await execute_many(
        "INSERT INTO subscription_term (subscription_id, valid_from, valid_to, product_id, price_id, amount_minor,"
        " currency, quantity_e6, cycle_unit, cycle_count, tax_category, tax_inclusive, proration, final_proration,"
        " gross_minor, cycle_minor, price_rate_e10)"
        " VALUES (:subscription_id, :valid_from, :valid_to, :product_id, :price_id,"
        " :amount_minor, :currency, :quantity_e6, :cycle_unit, :cycle_count, :tax_category, :tax_inclusive, :proration,"
        " :final_proration, :gross_minor, :cycle_minor, :price_rate)",
        [
            {
                "subscription_id": subscription_id,
                "valid_from": start,
                "valid_to": end,
                "product_id": product.id,
                "price_id": (price.id or None) if price else None,
                "amount_minor": amount_minor,
                "currency": price.currency if price else await _currency_of(subscription_id),
                "quantity_e6": quantity_e6,
                "cycle_unit": price.cycle_unit if price else "month",
                "cycle_count": price.cycle_count if price else 1,
                "tax_category": product.tax_category,
                "tax_inclusive": price.tax_inclusive if price else False,
                "proration": product.proration,
                "final_proration": product.final_proration,
                "gross_minor": rated.gross_minor,
                "cycle_minor": rated.cycle_minor,
                "price_rate": price.rate_e10 if price else None,
            }
            for start, end in zip(starts, [*ends, None], strict=True)
            for rated in [rate_cycle(amount_minor, quantity_e6, discounts, start)]
        ],
    )


async def _currency_of(subscription_id: int) -> str:
    return str(
        await value(
            "SELECT customer.currency FROM subscription JOIN customer ON customer.id = subscription.customer_id"
            " WHERE subscription.id = :id",
            id=subscription_id,
        )
    )


async def _charge_first_cycle(scope: Scope, buyer: Buyer, subscription_id: int) -> int:
    """A full cycle at the agreed terms, without its days."""
    return int(
        await value(
            "INSERT INTO charge (subscription_id, term_id, customer_id, payer_id, product_id, kind, description,"
            " quantity_e6, unit_price_e6, discount_minor, amount_minor, currency, tax_category, tax_inclusive, state)"
            " SELECT s.id, t.id, s.customer_id, :payer_id, s.product_id, 'recurring',"
            " CASE WHEN s.label <> '' THEN s.label ELSE p.name END, t.quantity_e6,"
            " t.amount_minor * :per_minor, t.gross_minor - t.cycle_minor, t.cycle_minor, t.currency, t.tax_category,"
            " t.tax_inclusive, 'open'"
            " FROM subscription s JOIN product p ON p.id = s.product_id"
            " JOIN subscription_term t ON t.subscription_id = s.id AND t.in_force"
            " WHERE s.id = :id ORDER BY t.valid_from LIMIT 1 RETURNING id",
            id=subscription_id,
            payer_id=buyer.payer_id,
            per_minor=10 ** (6 - exponent(buyer.currency)),
        )
    )


async def _has_first_charge(subscription_id: int) -> bool:
    return bool(
        await value(
            "SELECT 1 FROM charge WHERE subscription_id = :id AND kind = 'recurring' AND state IN ('open', 'invoiced')"
            " LIMIT 1",
            id=subscription_id,
        )
    )


async def _charge_setup(
    scope: Scope, buyer: Buyer, product: ProductDetail, price: PriceRow, subscription_id: int
) -> int:
    with speaking(await payers_language(scope, buyer.payer_id)):
        description = _("%(name)s: set-up", name=product.name)
    return int(
        await value(
            "INSERT INTO charge (subscription_id, customer_id, payer_id, product_id, kind, description, quantity_e6,"
            " unit_price_e6, amount_minor, currency, tax_category, tax_inclusive, state, source_key)"
            " VALUES (:subscription_id, :customer_id, :payer_id, :product_id, 'setup', :description, :one, :unit_price,"
            " :amount, :currency, :tax_category, :tax_inclusive, 'open', :source_key) RETURNING id",
            subscription_id=subscription_id,
            customer_id=buyer.id,
            payer_id=buyer.payer_id,
            product_id=product.id,
            description=description,
            one=ONE_E6,
            unit_price=unit_price_e6(price.setup_minor, price.currency),
            amount=price.setup_minor,
            currency=price.currency,
            tax_category=product.tax_category,
            tax_inclusive=price.tax_inclusive,
            source_key=f"setup:{subscription_id}",
        )
    )


async def _unbilled(
    subscription_id: int, from_on: date, to_on: date, reason: Literal["trial", "gift", "status", "pause", "waived"]
) -> None:
    await execute(
        "INSERT INTO unbilled_span (subscription_id, from_on, to_on, reason) VALUES (:id, :from_on, :to_on, :reason)",
        id=subscription_id,
        from_on=from_on,
        to_on=to_on,
        reason=reason,
    )


def _rhythm(buyer: Buyer, product: ProductDetail, price: PriceRow, anchor_on: date) -> Rhythm:
    timing = timing_of(buyer, product)
    return Rhythm(anchor_on, price.cycle_unit, price.cycle_count, timing, product.proration, product.final_proration)


def tell_activated(
    scope: Scope, subscription_id: int, customer_id: int, product_id: int, state: SubscriptionState
) -> None:
    record(
        scope,
        SubscriptionActivated(
            subscription_id=subscription_id, customer_id=customer_id, product_id=product_id, state=state
        ),
        changes={"state": (None, state)},
    )
