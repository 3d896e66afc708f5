"""Reads of subscriptions. All of them through the actor's reach."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.catalog.queries import list_change_policies, list_products
from core.catalog.schemas import ProductRow
from core.customers.tables import Customer
from core.database import all_of, row, rows, value, values, within
from core.errors import NotFound
from core.subscriptions.offers import change_actions, changes_ahead, may_change
from core.subscriptions.pricing import prices_for
from core.subscriptions.schemas import BoxAction, Buyer, ChargeRow, PlanBox, SubscriptionRow
from core.subscriptions.status import SubscriptionState
from core.subscriptions.tables import Charge, Subscription
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from core.catalog.schemas import PriceRow
    from core.scope import Scope
    from core.subscriptions.schemas import PlannedChange

SUBSCRIPTION: Final = """
SELECT subscription.id, subscription.customer_id, customer.full_name AS customer,
       coalesce(customer.payer_id, customer.id) AS payer_id, subscription.product_id,
       product.code AS product_code, product.name AS product, product.kind, subscription.label, subscription.state,
       subscription.state_reason, subscription.timing, t.currency, t.amount_minor, t.quantity_e6, t.cycle_minor,
       t.cycle_unit, t.cycle_count, subscription.anchor_on, subscription.started_on, subscription.trial_ends_on,
       subscription.at_trial_end, subscription.ends_on, subscription.ended_on, subscription.pending_until,
       subscription.min_term_ends_on, subscription.notice_days, subscription.renew_unit, subscription.renew_count,
       subscription.termination_minor, pause.from_on AS pause_from, pause.to_on AS pause_to,
       coalesce(pause.by_customer, FALSE) AS pause_by_customer,
       s.period_start AS next_from, s.period_end AS next_to, s.due_on, subscription.customer_bundle_id AS bundle_id,
       subscription.version
FROM subscription
JOIN customer ON customer.id = subscription.customer_id
JOIN product ON product.id = subscription.product_id
JOIN subscription_term t ON t.subscription_id = subscription.id AND t.in_force
 AND t.valid_from = (
    SELECT coalesce(max(CASE WHEN o.valid_from <= :today THEN o.valid_from END), min(o.valid_from))
    FROM subscription_term o WHERE o.subscription_id = subscription.id AND o.in_force)
LEFT JOIN subscription_schedule s ON s.subscription_id = subscription.id
LEFT JOIN subscription_pause pause ON pause.subscription_id = subscription.id AND pause.state IN ('planned', 'running')
"""


async def get_subscription(scope: Scope, subscription_id: int) -> SubscriptionRow:
    found = await row(
        SubscriptionRow,
        f"{SUBSCRIPTION} WHERE subscription.id = :id AND :within",
        id=subscription_id,
        today=scope.today(),
        within=within(Subscription, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"subscription {subscription_id}")
    return found


async def list_subscriptions(
    scope: Scope,
    *,
    customer_id: int | None = None,
    states: tuple[str, ...] = (),
    after: int = 0,
    limit: int = 200,
) -> list[SubscriptionRow]:
    """In the order of their ids, from behind one on."""
    asked = all_of(
        customer_id is not None and "subscription.customer_id = :customer_id",
        bool(states) and "subscription.state IN :states",
    )
    return await rows(
        SubscriptionRow,
        f"{SUBSCRIPTION} WHERE {asked} AND subscription.id > :after AND :within ORDER BY subscription.id LIMIT :limit",
        customer_id=customer_id,
        states=list(states),
        after=after,
        limit=limit,
        today=scope.today(),
        within=within(Subscription, scope.actor.reach),
    )


OF_CUSTOMER: Final = """
    SELECT id FROM charge WHERE customer_id = :customer_id AND subscription_id IS NULL
    UNION ALL
    SELECT charge.id FROM subscription JOIN charge ON charge.subscription_id = subscription.id
    WHERE subscription.customer_id = :customer_id AND charge.customer_id = :customer_id
"""
"""Charges of a customer: those of subscriptions are found by these, whose index a run keeps anyway."""


_CHARGE: Final = (
    "SELECT id, subscription_id, kind, description, period_start, period_end, quantity_e6, unit_price_e6,"
    " discount_minor, amount_minor, currency, state, revision FROM charge"
)


async def list_charges(
    scope: Scope,
    *,
    customer_id: int | None = None,
    subscription_id: int | None = None,
    state: str = "",
    before: int = 0,
    limit: int = 200,
) -> list[ChargeRow]:
    """Charges of a customer or subscription, the newest first, from before an id on."""
    asked = all_of(
        customer_id is not None and f"id IN ({OF_CUSTOMER})",
        subscription_id is not None and "subscription_id = :subscription_id",
        bool(state) and "state = :state",
        bool(before) and "id < :before",
    )
    return await rows(
        ChargeRow,
        f"{_CHARGE} WHERE {asked} AND :within ORDER BY id DESC LIMIT :limit",
        customer_id=customer_id,
        subscription_id=subscription_id,
        state=state,
        before=before,
        limit=limit,
        within=within(Charge, scope.actor.reach),
    )


async def find_charge(scope: Scope, charge_id: int) -> ChargeRow | None:
    return await row(
        ChargeRow, f"{_CHARGE} WHERE id = :id AND :within", id=charge_id, within=within(Charge, scope.actor.reach)
    )


async def list_boxes(scope: Scope, customer_id: int, kinds: Sequence[str] = ("plan",)) -> list[PlanBox]:
    """The products of these kinds as boxes: what the customer has of each, and what its state allows, with prices.

    An action that is not possible now stands there with the reason. What is sold no longer is shown as long as it is
    live.
    """
    today = scope.today()
    buyer = await row(
        Buyer,
        "SELECT customer.id, coalesce(customer.payer_id, customer.id) AS payer_id, customer.currency,"
        " customer.billing_day, customer.billing_type, status.key AS status_key, status.kind AS status_kind,"
        " status.label AS status_label,"
        " status.may_order FROM customer JOIN status ON status.id = customer.status_id"
        " WHERE customer.id = :id AND :within",
        id=customer_id,
        within=within(Customer, scope.actor.reach),
    )
    if buyer is None:
        raise NotFound(f"customer {customer_id}")
    live = await list_subscriptions(
        scope, customer_id=customer_id, states=("pending", "trial", "active", "suspended", "paused")
    )
    every = await list_products()
    products = [
        product
        for product in every
        if product.kind in kinds and (_sold(product, today) or any(each.product_id == product.id for each in live))
    ]
    group_of = {product.id: product.group_id for product in every}
    prices: dict[int, list[PriceRow]] = {}
    for price in await prices_for(scope, customer_id, buyer.currency, [product.id for product in products]):
        prices.setdefault(price.product_id, []).append(price)
    tried = await _groups_tried(customer_id)
    ahead = await changes_ahead([each.id for each in live])
    changes = await _changes(products, prices, live, today)
    boxes: list[PlanBox] = []
    for product in products:
        here = [each for each in live if each.product_id == product.id]
        mine = next((each for each in here if each.bundle_id is None), None)
        if mine is None and here and (product.one_live or not _sold(product, today)):
            continue  # it stands in the box of its bundle
        boxes.append(
            PlanBox(
                product_id=product.id,
                code=product.code,
                name=product.name,
                description=product.description,
                kind=product.kind,
                group_id=product.group_id,
                group=product.group_name,
                rank=product.rank,
                subscription=mine,
                planned=ahead.get(mine.id) if mine is not None else None,
                actions=[*changes.get(product.id, []), *_actions_of(mine, today, ahead)]
                if mine is not None
                else changes.get(product.id)
                or _offers(
                    product,
                    prices.get(product.id, []),
                    _refusal(buyer, product, live, group_of, today),
                    tried,
                    prepaid=buyer.billing_type == "prepaid" or product.timing == "prepaid",
                ),
            )
        )
    return boxes


async def _changes(
    products: Sequence[ProductRow], prices: dict[int, list[PriceRow]], live: Sequence[SubscriptionRow], today: date
) -> dict[int, list[BoxAction]]:
    """What each live one can be changed to: by the product whose box offers it. Of a group that allows many, to other
    cycles alone here: its page has the rest."""
    found: dict[int, list[BoxAction]] = {}
    by_id = {product.id: product for product in products}
    changing = [mine for mine in live if mine.product_id in by_id and may_change(mine)]
    policies = await list_change_policies({mine.product_id for mine in changing})
    for mine in changing:
        own = by_id[mine.product_id]
        others = [each for each in products if own.one_live and each.group_id == own.group_id and each.id != own.id]
        for product_id, some in change_actions(mine, own, policies[own.id], others, prices, today).items():
            found.setdefault(product_id, []).extend(some)
    return found


def _sold(product: ProductRow, today: date) -> bool:
    return (product.available_from is None or product.available_from <= today) and (
        product.available_to is None or product.available_to > today
    )


def _refusal(
    buyer: Buyer, product: ProductRow, live: list[SubscriptionRow], group_of: Mapping[int, int | None], today: date
) -> str:
    """Why the customer cannot have this product now; empty where it can."""
    if not buyer.may_order:
        return _("A customer that is %(status)s cannot order.", status=_(buyer.status_label))
    if not _sold(product, today):
        return _("It is not sold today.")
    if product.one_live:
        other = next((each for each in live if group_of.get(each.product_id) == product.group_id), None)
        if other is not None:
            return _(
                "The customer has %(product)s: one of %(group)s at a time.",
                product=other.product,
                group=product.group_name,
            )
    needs = product.requires_group_id
    if needs is not None and not any(
        group_of.get(each.product_id) == needs and each.state != SubscriptionState.PENDING for each in live
    ):
        return _("%(name)s needs another product first, which the customer does not have.", name=product.name)
    return ""


def _offers(
    product: ProductRow, prices: list[PriceRow], refused: str, tried: set[int], *, prepaid: bool
) -> list[BoxAction]:
    """What can be started: free, on trial, on account, by an invoice for each cycle."""
    cycles = [price for price in prices if price.cycle_unit != "once"]
    actions = [BoxAction(key="activate_free", refused=refused)]
    if product.trial_days:
        had = (product.group_id if product.one_live else -product.id) in tried
        actions.append(
            BoxAction(
                key="start_trial",
                days=product.trial_days,
                price_id=cycles[0].id if cycles else None,
                refused=refused
                or (_("The test time was used already.") if had else "")
                or ("" if cycles else _("There is no price in the customer's currency.")),
            )
        )
    for price in cycles:
        actions.append(
            BoxAction(
                key="invoice" if product.activation == "invoice_first" else "subscribe",
                price_id=price.id,
                amount_minor=price.amount_minor,
                prepaid=prepaid and product.activation != "invoice_first",
                currency=price.currency,
                cycle_unit=price.cycle_unit,
                cycle_count=price.cycle_count,
                refused=refused,
            )
        )
        if product.activation != "invoice_first":
            actions.append(
                BoxAction(
                    key="invoice",
                    price_id=price.id,
                    amount_minor=price.amount_minor + price.setup_minor,
                    currency=price.currency,
                    cycle_unit=price.cycle_unit,
                    cycle_count=price.cycle_count,
                    refused=refused,
                )
            )
    return actions


def _actions_of(mine: SubscriptionRow, today: date, ahead: Mapping[int, PlannedChange]) -> list[BoxAction]:
    """What the state of a live subscription allows."""
    state = SubscriptionState(mine.state)
    actions: list[BoxAction] = []
    if state is SubscriptionState.PENDING:
        actions.append(BoxAction(key="withdraw"))
        return actions
    if state is SubscriptionState.TRIAL:
        actions.append(
            BoxAction(
                key="invoice",
                amount_minor=mine.cycle_minor,
                currency=mine.currency,
                cycle_unit=mine.cycle_unit,
                cycle_count=mine.cycle_count,
                on=mine.trial_ends_on,
            )
        )
    if mine.id in ahead:
        actions.append(BoxAction(key="undo_change", subscription_id=mine.id, on=ahead[mine.id].happens_on))
    if may_change(mine):
        actions.append(BoxAction(key="change", subscription_id=mine.id))
        charged = mine.due_on is not None and mine.timing != "prepaid"
        if state is not SubscriptionState.TRIAL and mine.ends_on is None and charged:
            actions.append(BoxAction(key="edit_period", subscription_id=mine.id))
    if mine.ends_on is None:
        actions.append(BoxAction(key="cancel_at_expiry", on=mine.next_from or today + timedelta(days=1)))
    elif not (state is SubscriptionState.TRIAL and mine.at_trial_end == "end"):
        actions.append(BoxAction(key="undo_cancellation", on=mine.ends_on))
    if state is SubscriptionState.ACTIVE:
        actions.append(BoxAction(key="suspend"))
        actions.append(BoxAction(key="pause" if mine.pause_from is None else "undo_pause", on=mine.pause_from))
    if state is SubscriptionState.PAUSED:
        actions.append(BoxAction(key="end_pause", on=mine.pause_to))
    if state is SubscriptionState.SUSPENDED:
        actions.append(BoxAction(key="resume"))
    actions.append(BoxAction(key="terminate", on=today))
    actions.append(BoxAction(key="withdraw"))
    return actions


class Touched(Struct, frozen=True):
    """A subscription that a change of its customer's status touches. `suspended`: by the status before."""

    id: int
    label: str
    suspended: bool
    version: int


_TOUCHED: Final = (
    "SELECT u.id, u.version, CASE WHEN u.label <> '' THEN u.label ELSE p.name END AS label, u.state = 'suspended'"
    " AND u.state_reason = 'status' AS suspended FROM subscription u JOIN product p ON p.id = u.product_id"
    " LEFT JOIN subscription_schedule s ON s.subscription_id = u.id WHERE u.customer_id = :id"
)


async def is_charged(customer_id: int) -> bool:
    """Whether anything of a customer is to be charged."""
    return bool(
        await value(
            "SELECT 1 FROM subscription_schedule s JOIN subscription u ON u.id = s.subscription_id"
            " WHERE u.customer_id = :id AND s.due_on IS NOT NULL LIMIT 1",
            id=customer_id,
        )
    )


async def active_ones(customer_id: int) -> list[Touched]:
    return await rows(Touched, f"{_TOUCHED} AND u.state = 'active' ORDER BY u.id", id=customer_id)


async def started_ones(customer_id: int) -> list[Touched]:
    """What ends with the customer's contract."""
    return await rows(
        Touched, f"{_TOUCHED} AND u.state IN ('trial', 'active', 'suspended', 'paused') ORDER BY u.id", id=customer_id
    )


async def pending_ones(customer_id: int) -> list[Touched]:
    """What waits for its invoice."""
    return await rows(Touched, f"{_TOUCHED} AND u.state = 'pending' ORDER BY u.id", id=customer_id)


async def endless_ones(customer_id: int, day: date) -> list[Touched]:
    """What has no end yet and will have started by a day."""
    return await rows(
        Touched,
        f"{_TOUCHED} AND u.state IN ('trial', 'active', 'suspended', 'paused') AND u.ends_on IS NULL"
        " AND (u.started_on IS NULL OR u.started_on <= :day) ORDER BY u.id",
        id=customer_id,
        day=day,
    )


async def ones_ending_by_status(customer_id: int) -> list[Touched]:
    """What has an end ahead because of a status that was planned."""
    return await rows(
        Touched,
        f"{_TOUCHED} AND u.state IN ('trial', 'active', 'suspended', 'paused') AND u.ends_on IS NOT NULL"
        " AND u.end_reason = 'status' ORDER BY u.id",
        id=customer_id,
    )


class OfStatus(Struct, frozen=True):
    """Live services of the customers who have a status."""

    served: int
    charged: int
    """Those that something is to be charged of."""


async def count_of_status(status_id: int) -> OfStatus:
    found = await row(
        OfStatus,
        "SELECT count(*) AS served, CAST(coalesce(sum(CASE WHEN s.due_on IS NOT NULL THEN 1 ELSE 0 END), 0) AS bigint)"
        " AS charged FROM subscription u JOIN customer c ON c.id = u.customer_id"
        " LEFT JOIN subscription_schedule s ON s.subscription_id = u.id"
        " WHERE c.status_id = :id AND u.state IN ('trial', 'active')",
        id=status_id,
    )
    assert found is not None
    return found


OWED_OF_STATUS: Final = (
    "SELECT u.id, u.customer_id FROM subscription u JOIN customer c ON c.id = u.customer_id"
    " JOIN subscription_schedule s ON s.subscription_id = u.id WHERE c.status_id = :status_id"
    " AND u.timing <> 'prepaid' AND s.due_on IS NOT NULL AND s.period_start < :day"
)
"""Subscriptions with days before one that are to be charged, of the customers who have a status."""

RESTING_OF_STATUS: Final = (
    "SELECT u.id, u.customer_id FROM subscription u JOIN customer c ON c.id = u.customer_id"
    " JOIN subscription_schedule s ON s.subscription_id = u.id WHERE c.status_id = :status_id"
    " AND u.timing <> 'prepaid' AND s.due_on IS NULL"
    " AND (u.state = 'active' OR u.state = 'suspended' AND u.state_reason = 'hand')"
)
"""Subscriptions that are not charged because of their customers' status alone."""


HAS_ANY: Final = (
    "EXISTS (SELECT 1 FROM subscription WHERE customer_id = :customer_id)"
    " OR EXISTS (SELECT 1 FROM charge WHERE customer_id = :customer_id AND subscription_id IS NULL)"
)
"""A customer has or had a subscription or a charge, whatever became of it."""


async def has_any(customer_id: int) -> bool:
    return bool(await value(f"SELECT CASE WHEN {HAS_ANY} THEN 1 ELSE 0 END", customer_id=customer_id))


async def had_one(customer_id: int) -> bool:
    """Whether a subscription of it was ever live, or waits to be."""
    return bool(
        await value(
            "SELECT 1 FROM subscription WHERE customer_id = :id AND (started_on IS NOT NULL OR state = 'pending')"
            " LIMIT 1",
            id=customer_id,
        )
    )


async def resting_ones(customer_id: int) -> list[Touched]:
    """What a status suspended, and what was not charged because of one though it was not suspended by it."""
    return await rows(
        Touched,
        f"{_TOUCHED} AND (u.state = 'suspended' AND u.state_reason = 'status' OR u.timing <> 'prepaid'"
        " AND u.state IN ('active', 'suspended') AND s.subscription_id IS NOT NULL AND s.due_on IS NULL) ORDER BY u.id",
        id=customer_id,
    )


async def _groups_tried(customer_id: int) -> set[int]:
    """Groups of which the customer had a trial; a product without a group, or of a group that allows many, as −id."""
    return {
        int(each)
        for each in await values(
            "SELECT DISTINCT CASE WHEN g.one_live THEN g.id ELSE -product.id END"
            " FROM unbilled_span JOIN subscription ON subscription.id = unbilled_span.subscription_id"
            " JOIN product ON product.id = subscription.product_id LEFT JOIN product_group g ON g.id = product.group_id"
            " WHERE subscription.customer_id = :id AND unbilled_span.reason = 'trial'",
            id=customer_id,
        )
    }
