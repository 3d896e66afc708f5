"""A new price for those who have a product: from the first period that begins on or after a day (P20).

Terms with the price that they were agreed at change; what was agreed for one customer alone stays. A period belongs to
the terms of its first day, so terms from the day on are all there is to write.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from core.activity.unit import record_set, unit_of_work
from core.catalog.queries import get_price, get_product
from core.database import execute, rows, value, values
from core.errors import Invalid
from core.jobs.actions import enqueue
from core.money import Money
from core.subscriptions.actions.agreed import agree, cut, discounts_of, rated, terms_from
from core.subscriptions.events import PriceApplied
from core.subscriptions.price_mail import tell_price
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from core.catalog.schemas import PriceRow
    from core.scope import Scope

JOB: Final = "subscriptions.apply_price"
CHUNK: Final = 1000


class ToApply(Struct, frozen=True):
    """Which price, from which day on, and whether the customers are told."""

    price_id: int
    from_on: date
    tell: bool


class Repriced(Struct, frozen=True):
    """How many subscriptions, and what a full cycle of them all costs before and then, without tax."""

    count: int
    customers: int
    before_minor: int
    after_minor: int
    currency: str
    agreed: int
    """Subscriptions of this product and cycle at a price of their own, or in another currency: they stay."""


_OF_PRICE: Final = """
FROM subscription u
JOIN subscription_term t ON t.subscription_id = u.id AND t.in_force
    AND (t.valid_to IS NULL OR t.valid_to > :from_on)
    AND t.valid_from = (SELECT coalesce(max(CASE WHEN o.valid_from <= :from_on THEN o.valid_from END),
        min(o.valid_from)) FROM subscription_term o WHERE o.subscription_id = u.id AND o.in_force)
LEFT JOIN price p ON p.id = t.price_id
WHERE u.product_id = :product_id AND u.customer_bundle_id IS NULL
    AND u.state IN ('pending', 'trial', 'active', 'suspended', 'paused')
    AND (u.ends_on IS NULL OR u.ends_on > :from_on)
    AND t.product_id = :product_id AND t.cycle_unit = :cycle_unit AND t.cycle_count = :cycle_count
    AND NOT (t.price_id = :price_id AND t.amount_minor = :amount)
"""
_AS_LISTED: Final = (
    "(t.currency = :currency AND t.price_rate_e10 IS NULL AND t.tax_inclusive = :inclusive"
    " AND p.price_list_id = :list_id AND t.amount_minor = p.amount_minor)"
)
"""At the price of the list, as it was when it was agreed."""


def _given(price: PriceRow, from_on: date) -> dict[str, Any]:
    return {
        "product_id": price.product_id,
        "cycle_unit": price.cycle_unit,
        "cycle_count": price.cycle_count,
        "price_id": price.id,
        "amount": price.amount_minor,
        "currency": price.currency,
        "inclusive": price.tax_inclusive,
        "list_id": price.price_list_id,
        "from_on": from_on,
    }


class _Sum(Struct, frozen=True):
    count: int
    customers: int
    before_minor: int
    agreed: int


async def _checked(scope: Scope, price_id: int, from_on: date) -> PriceRow:
    price = await get_price(price_id)
    if price.cycle_unit == "once":
        raise Invalid(_("What is sold once has nobody who has it."), field="price_id")
    if from_on < scope.today():
        raise Invalid(_("Choose today or a later day."), field="from_on")
    if from_on < price.valid_from or (price.valid_to is not None and from_on >= price.valid_to):
        raise Invalid(_("The price is not in force on this day."), field="from_on")
    return price


async def preview_price(scope: Scope, price_id: int, from_on: date) -> Repriced:
    """Who has the product at the price of its list, and what that comes to before and then."""
    price = await _checked(scope, price_id, from_on)
    (found,) = await rows(
        _Sum,
        f"SELECT coalesce(CAST(sum(CASE WHEN {_AS_LISTED} THEN 1 ELSE 0 END) AS bigint), 0) AS count,"
        f" count(DISTINCT CASE WHEN {_AS_LISTED} THEN u.customer_id END) AS customers,"
        f" coalesce(CAST(sum(CASE WHEN {_AS_LISTED} THEN t.cycle_minor ELSE 0 END) AS bigint), 0) AS before_minor,"
        f" coalesce(CAST(sum(CASE WHEN {_AS_LISTED} THEN 0 ELSE 1 END) AS bigint), 0) AS agreed {_OF_PRICE}",
        **_given(price, from_on),
    )
    after = int(
        await value(
            f"SELECT coalesce(CAST(sum(:amount::bigint * (t.quantity_e6 / 1000000)) AS bigint), 0) {_OF_PRICE}"
            f" AND {_AS_LISTED} AND {_PLAIN}",
            **_given(price, from_on),
        )
    )
    for each in await _others(price, from_on, 0, None):
        after += (await _new_terms(each, price, from_on))[0].cycle_minor
    return Repriced(found.count, found.customers, found.before_minor, after, price.currency, found.agreed)


_PLAIN: Final = (
    "(t.quantity_e6 % 1000000 = 0 AND t.quantity_e6 <= 1000000000 AND t.valid_to IS NULL AND t.valid_from <= :from_on"
    " AND t.cycle_minor = t.gross_minor AND NOT EXISTS (SELECT 1 FROM subscription_discount d"
    " WHERE d.subscription_id = u.id))"
)
"""Whole quantities without discounts, and nothing agreed for later: changed by a few statements, all at once."""


async def _others(price: PriceRow, from_on: date, after: int, last: int | None) -> list[int]:
    """Those with discounts, parts of a quantity or terms to come: one by one."""
    found = await values(
        f"SELECT u.id {_OF_PRICE} AND {_AS_LISTED} AND NOT {_PLAIN} AND u.id > :after"
        " AND (:endless OR u.id <= :last) ORDER BY u.id",
        after=after,
        endless=last is None,
        last=last or 0,
        **_given(price, from_on),
    )
    return [int(each) for each in found]


async def _new_terms(subscription_id: int, price: PriceRow, from_on: date) -> list[Any]:
    terms = await terms_from(subscription_id, from_on)
    discounts = await discounts_of(subscription_id)
    start = max(from_on, terms[0].valid_from)
    later = [each for each in cut(terms, [start]) if each.valid_from >= start]
    return [
        rated(msgspec.structs.replace(each, price_id=price.id, amount_minor=price.amount_minor), discounts)
        if (each.product_id, each.cycle_unit, each.cycle_count)
        == (price.product_id, price.cycle_unit, price.cycle_count)
        else each
        for each in later
    ]


async def apply_price(scope: Scope, price_id: int, from_on: date, *, tell: bool) -> int:
    """Leave it for the worker; gives the job's id: the one that does it already, where there is one."""
    async with unit_of_work(scope):
        await _checked(scope, price_id, from_on)
        amount = await value("SELECT amount_minor FROM price WHERE id = :id", id=price_id)
        key = f"price:{price_id}:{amount}:{from_on}"
        time = await value("SELECT count(*) FROM job WHERE dedupe_key LIKE :key AND state = 'done'", key=f"{key}:%")
        return await enqueue(scope, JOB, ToApply(price_id, from_on, tell), dedupe_key=f"{key}:{time}")


class _Touched(Struct, frozen=True):
    id: int
    customer_id: int
    before_minor: int
    name: str
    notify: bool


async def apply_to_all(
    scope: Scope, asked: ToApply, progress: Callable[[int, int, str], Awaitable[None]] | None = None
) -> int:
    """In chunks, each a unit of its own; repeating it finds what is left. Gives how many were changed."""
    price = await get_price(asked.price_id)
    product = await get_product(price.product_id)
    given = _given(price, asked.from_on)
    total = int(await value(f"SELECT count(*) {_OF_PRICE} AND {_AS_LISTED}", **given))
    done = 0
    while True:
        async with unit_of_work(scope):
            touched = await rows(
                _Touched,
                "SELECT u.id, u.customer_id, t.cycle_minor AS before_minor,"
                " CASE WHEN u.label <> '' THEN u.label ELSE :product_name END AS name,"
                " (SELECT s.notify FROM customer c JOIN status s ON s.id = c.status_id WHERE c.id = u.customer_id)"
                f" AS notify {_OF_PRICE} AND {_AS_LISTED} ORDER BY u.id LIMIT :chunk FOR UPDATE OF u",
                chunk=CHUNK,
                product_name=product.name,
                **given,
            )
            if not touched:
                return done
            await _apply(scope, price, asked.from_on, [each.id for each in touched])
            if asked.tell:
                await _tell(scope, price, asked.from_on, touched)
        done += len(touched)
        if progress is not None:
            await progress(done, max(total, done), "")


async def _apply(scope: Scope, price: PriceRow, from_on: date, ids: list[int]) -> None:
    given = _given(price, from_on)
    for each in await _others(price, from_on, ids[0] - 1, ids[-1]):
        terms = await _new_terms(each, price, from_on)
        await agree(each, terms[0].valid_from, terms)
    plain = [
        int(each)
        for each in await values(
            f"SELECT t.id {_OF_PRICE} AND {_AS_LISTED} AND {_PLAIN} AND u.id IN :ids", ids=ids, **given
        )
    ]
    if plain:
        await execute(
            "INSERT INTO subscription_term (subscription_id, valid_from, revision, in_force, product_id, price_id,"
            " amount_minor, currency, quantity_e6, cycle_unit, cycle_count, tax_category, tax_inclusive, proration,"
            " final_proration, gross_minor, cycle_minor)"
            " SELECT t.subscription_id, :from_on::date, (SELECT coalesce(max(o.revision) + 1, 0)"
            "  FROM subscription_term o WHERE o.subscription_id = t.subscription_id AND o.valid_from = :from_on),"
            " FALSE, t.product_id, :price_id::bigint, :amount::bigint, t.currency, t.quantity_e6, t.cycle_unit,"
            " t.cycle_count, t.tax_category, t.tax_inclusive, t.proration, t.final_proration,"
            " :amount::bigint * (t.quantity_e6 / 1000000), :amount::bigint * (t.quantity_e6 / 1000000)"
            " FROM subscription_term t WHERE t.id IN :terms",
            terms=plain,
            **{name: given[name] for name in ("from_on", "price_id", "amount")},
        )
        await execute(
            "UPDATE subscription_term SET in_force = valid_from < :from_on,"
            " valid_to = CASE WHEN valid_from < :from_on THEN :from_on::date END WHERE id IN :terms",
            terms=plain,
            from_on=from_on,
        )
        await execute(
            "UPDATE subscription_term SET in_force = TRUE WHERE valid_from = :from_on AND NOT in_force"
            " AND price_id = :price_id AND amount_minor = :amount AND subscription_id IN"
            " (SELECT subscription_id FROM subscription_term WHERE id IN :terms)"
            " AND revision = (SELECT max(o.revision) FROM subscription_term o"
            "  WHERE o.subscription_id = subscription_term.subscription_id AND o.valid_from = :from_on)",
            terms=plain,
            **{name: given[name] for name in ("from_on", "price_id", "amount")},
        )
    await execute("UPDATE subscription SET version = version + 1 WHERE id IN :ids", ids=ids)
    record_set(
        scope,
        PriceApplied,
        "SELECT id AS subject_id, customer_id, '{\"subscription_id\":' || CAST(id AS text) || ',\"customer_id\":'"
        " || CAST(customer_id AS text) || :facts::text AS facts FROM subscription WHERE id IN :ids",
        ids=ids,
        facts=f',"amount_minor":{price.amount_minor},"from_on":"{from_on}"}}',
    )


async def _tell(scope: Scope, price: PriceRow, from_on: date, touched: list[_Touched]) -> None:
    """Who is written to at all is, once for each subscription."""
    for each in touched:
        if not each.notify:
            continue
        after = await value(
            "SELECT cycle_minor FROM subscription_term WHERE subscription_id = :id AND in_force"
            " AND (valid_to IS NULL OR valid_to > :day) ORDER BY valid_from LIMIT 1",
            id=each.id,
            day=from_on,
        )
        await tell_price(
            scope,
            each.customer_id,
            product=each.name,
            before=Money(each.before_minor, price.currency),
            after=Money(int(after), price.currency),
            from_on=from_on,
            about=f"price:{price.id}:{price.amount_minor}:{from_on}:{each.id}",
        )
