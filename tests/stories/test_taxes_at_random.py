"""Invoices of any lines at all: their tax beside the same sums in fractions, and what they book."""

from __future__ import annotations

import random
from collections import defaultdict
from fractions import Fraction
from typing import TYPE_CHECKING, Final, Literal

import pytest
from msgspec import Struct

from core.billing.verify import verify
from core.catalog.actions import create_tax_category
from core.catalog.schemas import NewTaxCategory
from core.database import execute_many, rows, value, values
from tests.books import a_customer

if TYPE_CHECKING:
    from tests.stories.story import Story

RATES: Final = {"r0": 0, "r25": 25_000, "r55": 55_000, "r81": 81_000, "r190": 190_000, "r255": 255_000}
"""Parts of a million by category."""
CASES: Final = [pytest.param(150, id="150"), pytest.param(10_000, marks=pytest.mark.long, id="10000")]
Rounding = Literal["total", "line"]
Inclusive = Literal["gross", "net"]


def half_away(exact: Fraction) -> int:
    """The nearest whole; a half goes away from zero."""
    whole = int(abs(exact) + Fraction(1, 2))
    return whole if exact >= 0 else -whole


def tax_of(amount: int, ppm: int, *, inclusive: bool) -> int:
    if inclusive:
        return amount - half_away(Fraction(amount * 10**6, 10**6 + ppm))
    return half_away(Fraction(amount * ppm, 10**6))


def exact_tax(amount: int, ppm: int, *, inclusive: bool) -> Fraction:
    return Fraction(amount * ppm, 10**6 + ppm if inclusive else 10**6)


class _Line(Struct, frozen=True):
    document_id: int
    rate_ppm: int
    tax_inclusive: bool
    amount_minor: int
    net_minor: int
    tax_minor: int


class _Document(Struct, frozen=True):
    id: int
    net_minor: int
    tax_minor: int
    total_minor: int
    owed_minor: int


async def are_charged(story: Story, documents: int) -> None:
    """So many customers, one to seven lines each, of any rates, with tax and without; some lines are below zero."""
    rng = random.Random(documents)
    first = await a_customer(story.scope, "Customer 0")
    await execute_many(
        "INSERT INTO customer (kind, full_name, name_key, email_key, currency, status_id, joined_on, created_at)"
        " SELECT kind, :name, :key, '', currency, status_id, joined_on, created_at FROM customer WHERE id = :first",
        [{"name": f"Customer {n}", "key": f"customer {n}", "first": first} for n in range(1, documents)],
    )
    customers = [int(each) for each in await values("SELECT id FROM customer ORDER BY id")][-documents:]
    charges = []
    for customer_id in customers:
        amounts = [rng.choice((-1, 1, 1, 1)) * rng.choice((0, 1, 7, 99, 333, rng.randint(1, 10**6))) for _ in range(7)]
        amounts = amounts[: rng.randint(1, 7)]
        below = -sum(min(amount, 0) for amount in amounts)
        if sum(max(amount, 0) for amount in amounts) <= 2 * below:  # what comes to nothing or less is not billed
            amounts.append(10 + 2 * below)
        few = rng.sample(sorted(RATES), rng.randint(1, 3))
        charges += [
            {"customer": customer_id, "amount": amount, "category": rng.choice(few), "inclusive": rng.random() < 0.4}
            for amount in amounts
        ]
    await execute_many(
        "INSERT INTO charge (customer_id, payer_id, kind, description, quantity_e6, unit_price_e6, amount_minor,"
        " currency, tax_category, tax_inclusive, state) VALUES (:customer, :customer, 'one_off', 'Work', 1000000, 0,"
        " :amount, 'EUR', :category, :inclusive, 'open')",
        charges,
    )


def check_net_first(lines: list[_Line], rounding: Rounding) -> int:
    """Of one document whose prices with tax in them were rounded to their nets first. Gives its tax."""
    groups: dict[int, list[_Line]] = defaultdict(list)
    for line in lines:
        groups[line.rate_ppm].append(line)
        exact = Fraction(line.amount_minor * 10**6, 10**6 + line.rate_ppm if line.tax_inclusive else 10**6)
        assert line.net_minor == half_away(exact), line
        assert abs(line.tax_minor - exact_tax(line.net_minor, line.rate_ppm, inclusive=False)) < 1, line
    tax = 0
    for ppm, some in groups.items():
        of_lines = [tax_of(line.net_minor, ppm, inclusive=False) for line in some]
        if rounding == "line":
            assert [line.tax_minor for line in some] == of_lines
        of_rate = tax_of(sum(line.net_minor for line in some), ppm, inclusive=False)
        tax += sum(of_lines) if rounding == "line" else of_rate
    assert sum(line.tax_minor for line in lines) == tax
    return tax


def check_lines(lines: list[_Line], rounding: Rounding) -> int:
    """Of one document. Gives its tax."""
    groups: dict[tuple[int, bool], list[_Line]] = defaultdict(list)
    for line in lines:
        groups[line.rate_ppm, line.tax_inclusive].append(line)
        exact = exact_tax(line.amount_minor, line.rate_ppm, inclusive=line.tax_inclusive)
        assert abs(line.tax_minor - exact) < 1, line
        assert line.net_minor == line.amount_minor - (line.tax_minor if line.tax_inclusive else 0), line
    tax = 0
    for (ppm, inclusive), some in groups.items():
        if rounding == "line":
            for line in some:
                assert line.tax_minor == tax_of(line.amount_minor, ppm, inclusive=inclusive), line
            tax += sum(line.tax_minor for line in some)
            continue
        of_rate = tax_of(sum(line.amount_minor for line in some), ppm, inclusive=inclusive)
        assert sum(line.tax_minor for line in some) == of_rate, some
        tax += of_rate
    return tax


@pytest.mark.parametrize("documents", CASES)
@pytest.mark.parametrize("rounding", ["total", "line"])
@pytest.mark.parametrize("inclusive", ["gross", "net"])
async def test_B6_of_any_lines_the_tax_of_each_rate_is_rounded_as_told_and_all_is_booked_to_the_cent(
    story: Story, inclusive: Inclusive, rounding: Rounding, documents: int
) -> None:
    story.on("2027-05-01")
    for code, ppm in RATES.items():
        await create_tax_category(story.scope, NewTaxCategory(code=code, name=code))
        await story.taxes(ppm, code)
    await story.bills(tax_rounding=rounding, inclusive_prices=inclusive)
    await are_charged(story, documents)

    await story.bill(confirmed=True)

    by_document: dict[int, list[_Line]] = defaultdict(list)
    for line in await rows(
        _Line, "SELECT document_id, rate_ppm, tax_inclusive, amount_minor, net_minor, tax_minor FROM document_line"
    ):
        by_document[line.document_id].append(line)
    found = await rows(
        _Document,
        "SELECT d.id, d.net_minor, d.tax_minor, d.total_minor, b.amount_minor AS owed_minor FROM document d"
        " JOIN ledger_transaction t ON t.source_kind = 'document' AND t.source_id = d.id"
        " JOIN posting b ON b.transaction_id = t.id JOIN account a ON a.id = b.account_id AND a.code = '1100'",
    )
    assert len(found) == len(by_document) == documents
    for document in found:
        lines = by_document[document.id]
        checked = check_lines if inclusive == "gross" else check_net_first
        assert document.tax_minor == checked(lines, rounding)
        assert document.net_minor == sum(line.net_minor for line in lines)
        assert document.total_minor == document.net_minor + document.tax_minor == document.owed_minor
    assert await sums_that_are_not_zero() == 0
    assert await verify(story.scope) == []


async def sums_that_are_not_zero() -> int:
    """Transactions, by currency and in the base currency."""
    return int(
        await value(
            "SELECT count(*) FROM (SELECT transaction_id FROM posting GROUP BY transaction_id, currency"
            " HAVING sum(amount_minor) <> 0 OR sum(base_minor) <> 0) p"
        )
    )


def test_what_is_compared_with_rounds_halves_away_from_zero() -> None:
    assert [half_away(Fraction(n, 2)) for n in (-3, -1, 0, 1, 3)] == [-2, -1, 0, 1, 2]
    assert (tax_of(99, 190_000, inclusive=False), tax_of(99, 190_000, inclusive=True)) == (19, 16)
