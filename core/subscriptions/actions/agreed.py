"""The terms in force: which hold from a day on, and how others take their place. What was charged keeps its own."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from core.database import execute, execute_many, rows
from core.subscriptions.terms import Discount, rate_cycle

if TYPE_CHECKING:
    from collections.abc import Sequence

_FIELDS: Final = (
    "product_id, price_id, price_rate_e10, amount_minor, currency, quantity_e6, cycle_unit, cycle_count, tax_category,"
    " tax_inclusive, proration, final_proration, gross_minor, cycle_minor"
)


class Term(Struct, frozen=True):
    """Terms from a day on, until another or for good."""

    id: int
    valid_from: date
    valid_to: date | None
    product_id: int
    price_id: int | None
    price_rate_e10: int | None
    amount_minor: int
    currency: str
    quantity_e6: int
    cycle_unit: str
    cycle_count: int
    tax_category: str
    tax_inclusive: bool
    proration: str
    final_proration: str
    gross_minor: int
    cycle_minor: int


async def terms_from(subscription_id: int, day: date) -> list[Term]:
    """What is in force on a day and later; what begins later alone, where nothing was agreed for the day."""
    return await rows(
        Term,
        f"SELECT id, valid_from, valid_to, {_FIELDS} FROM subscription_term WHERE subscription_id = :id AND in_force"
        " AND (valid_to IS NULL OR valid_to > :day) ORDER BY valid_from",
        id=subscription_id,
        day=day,
    )


async def discounts_of(subscription_id: int) -> list[Discount]:
    """In their order, those that are over too."""
    return await rows(
        Discount,
        "SELECT percent_e6, amount_minor, until_on FROM subscription_discount WHERE subscription_id = :id"
        " ORDER BY position",
        id=subscription_id,
    )


def cut(terms: Sequence[Term], days: Sequence[date]) -> list[Term]:
    """The same terms, with a new one beginning on each of these days that lies behind the first."""
    found: list[Term] = []
    for term in terms:
        starts = [
            term.valid_from,
            *(day for day in sorted(set(days)) if term.valid_from < day and (not term.valid_to or day < term.valid_to)),
        ]
        found += [
            msgspec.structs.replace(term, valid_from=start, valid_to=end)
            for start, end in zip(starts, [*starts[1:], term.valid_to], strict=True)
        ]
    return found


def rated(term: Term, discounts: Sequence[Discount]) -> Term:
    """With what a full cycle of it costs."""
    cycle = rate_cycle(term.amount_minor, term.quantity_e6, discounts, term.valid_from)
    return msgspec.structs.replace(term, gross_minor=cycle.gross_minor, cycle_minor=cycle.cycle_minor)


def by_discounts(term: Term, discounts: Sequence[Discount]) -> list[Term]:
    """Terms for good as those that they are in turn: a discount that ends makes others follow from its end on."""
    ends = [each.until_on for each in discounts if each.until_on is not None]
    return [rated(each, discounts) for each in cut([term], ends)]


async def agree(subscription_id: int, day: date, wanted: Sequence[Term]) -> None:
    """These terms hold from a day on, in the place of all that was to hold then."""
    await execute(
        "UPDATE subscription_term SET in_force = FALSE WHERE subscription_id = :id AND in_force AND valid_from >= :day",
        id=subscription_id,
        day=day,
    )
    await execute(
        "UPDATE subscription_term SET valid_to = :day WHERE subscription_id = :id AND in_force AND valid_from < :day"
        " AND (valid_to IS NULL OR valid_to > :day)",
        id=subscription_id,
        day=day,
    )
    names = ("valid_from", "valid_to", *_FIELDS.split(", "))
    found: list[dict[str, Any]] = [
        {**{name: getattr(term, name) for name in names}, "subscription_id": subscription_id} for term in wanted
    ]
    await execute_many(
        f"INSERT INTO subscription_term (subscription_id, {', '.join(names)}, revision)"
        f" SELECT :subscription_id::bigint, {', '.join(f':{name}::{_TYPES.get(name, _BIGINT)}' for name in names)},"
        " (SELECT coalesce(max(o.revision) + 1, 0) FROM subscription_term o"
        " WHERE o.subscription_id = :subscription_id AND o.valid_from = :valid_from)",
        found,
    )


_BIGINT: Final = "bigint"
_TYPES: Final = {
    "valid_from": "date",
    "valid_to": "date",
    "currency": "text",
    "cycle_unit": "text",
    "cycle_count": "integer",
    "tax_category": "text",
    "tax_inclusive": "boolean",
    "proration": "text",
    "final_proration": "text",
}
