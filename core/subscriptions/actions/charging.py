"""Charges by hand: something to be paid once, that the next invoice takes up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.activity.unit import record, unit_of_work
from core.catalog.queries import get_product
from core.database import execute, row, value, within
from core.errors import Conflict, Invalid, NotFound
from core.money import MOST_MINOR, exponent, half_up, half_up_sql
from core.subscriptions.actions.shared import get_buyer, lock
from core.subscriptions.events import ChargeAdded
from core.subscriptions.schemas import ChargeRow
from core.subscriptions.tables import Charge
from core.subscriptions.terms import E6, unit_price_e6
from core.texts import _, in_sentence

if TYPE_CHECKING:
    from datetime import date

    from core.periods import Period
    from core.scope import Scope
    from core.subscriptions.schemas import NewCharge


async def add_charge(scope: Scope, data: NewCharge) -> int:
    """Something to be paid once, at a price of one unit; gives the charge's id.

    A `source_key` is charged once, ever.
    """
    async with unit_of_work(scope):
        buyer = await get_buyer(scope, data.customer_id)
        category = data.tax_category
        if data.product_id is not None:
            category = category or (await get_product(data.product_id)).tax_category
        category = category or ("outside" if data.kind == "fee" else "standard")
        if not await value("SELECT 1 FROM tax_category WHERE code = :code", code=category):
            raise Invalid(_("Choose a tax category of the list."), field="tax_category")
        if data.subscription_id is not None and (await lock(scope, data.subscription_id)).customer_id != buyer.id:
            raise Invalid(_("This subscription is another customer's."), field="subscription_id")
        amount = half_up(data.amount_minor * data.quantity_e6, E6)
        if abs(amount) > MOST_MINOR:
            raise Invalid(_("This is more than can be charged at once."), field="quantity_e6")
        if data.source_key is not None:
            known = await value("SELECT id FROM charge WHERE source_key = :key", key=data.source_key)
            if known is not None:
                return int(known)
        charge_id = int(
            await value(
                "INSERT INTO charge (subscription_id, customer_id, payer_id, product_id, kind, description,"
                " quantity_e6, unit_price_e6, amount_minor, currency, tax_category, tax_inclusive, state, source_key)"
                " VALUES (:subscription_id, :customer_id, :payer_id, :product_id, :kind, :description, :quantity,"
                " :unit_price, :amount, :currency, :category, :inclusive, 'open', :source_key) RETURNING id",
                subscription_id=data.subscription_id,
                customer_id=buyer.id,
                payer_id=buyer.payer_id,
                product_id=data.product_id,
                kind=data.kind,
                description=data.description,
                quantity=data.quantity_e6,
                unit_price=unit_price_e6(data.amount_minor, buyer.currency),
                amount=amount,
                currency=buyer.currency,
                category=category,
                inclusive=data.tax_inclusive,
                source_key=data.source_key,
            )
        )
        record(scope, ChargeAdded(charge_id=charge_id, customer_id=buyer.id), changes={"amount_minor": (None, amount)})
        return charge_id


async def waive_charge(scope: Scope, charge_id: int) -> None:
    """An open charge is given up; its days count as told."""
    async with unit_of_work(scope):
        found = await row(
            ChargeRow,
            "SELECT id, subscription_id, kind, description, period_start, period_end, quantity_e6, unit_price_e6,"
            " discount_minor, amount_minor, currency, state, revision FROM charge WHERE id = :id AND :within"
            " FOR UPDATE",
            id=charge_id,
            within=within(Charge, scope.actor.reach),
        )
        if found is None:
            raise NotFound(f"charge {charge_id}")
        if found.state != "open":
            raise Conflict(
                _(
                    "This charge is %(state)s: only an open one can be waived.",
                    state=in_sentence(_(found.state.capitalize())),
                )
            )
        await execute(
            "UPDATE charge SET state = 'waived', closed_on = :today WHERE id = :id", id=charge_id, today=scope.today()
        )
        customer_id = int(await value("SELECT customer_id FROM charge WHERE id = :id", id=charge_id))
        record(
            scope,
            ChargeAdded(charge_id=charge_id, customer_id=customer_id),
            changes={"state": ("open", "waived")},
        )


async def charge_period(
    subscription_id: int, payer_id: int, currency: str, period: Period, *, due_on: date | None = None
) -> int:
    """An open charge of a period at the terms in force on its first day; gives its id. A run takes it up from `due_on`
    on."""
    share = (":days::bigint", ":of_days::bigint")
    return int(
        await value(
            "INSERT INTO charge (subscription_id, term_id, customer_id, payer_id, product_id, kind, description,"
            " period_start, period_end, days, of_days, quantity_e6, unit_price_e6, discount_minor, amount_minor,"
            " currency, tax_category, tax_inclusive, state, due_on)"
            " SELECT u.id, t.id, u.customer_id, :payer_id::bigint, t.product_id, 'recurring',"
            " CASE WHEN u.label <> '' THEN u.label ELSE p.name END, :start::date, :end::date, :days::bigint,"
            " :of_days::bigint, t.quantity_e6,"
            f" t.amount_minor * :per_minor::bigint, {half_up_sql('t.gross_minor', *share)}"
            f" - {half_up_sql('t.cycle_minor', *share)}, {half_up_sql('t.cycle_minor', *share)}, t.currency,"
            " t.tax_category, t.tax_inclusive, 'open', :due_on::date FROM subscription u"
            " JOIN subscription_term t ON t.subscription_id = u.id AND t.in_force AND t.valid_from <= :start::date"
            " AND (t.valid_to IS NULL OR t.valid_to > :start::date) JOIN product p ON p.id = t.product_id"
            " WHERE u.id = :id RETURNING id",
            id=subscription_id,
            payer_id=payer_id,
            start=period.start,
            end=period.end,
            days=period.days,
            of_days=period.of_days,
            per_minor=10 ** (6 - exponent(currency)),
            due_on=due_on,
        )
    )
