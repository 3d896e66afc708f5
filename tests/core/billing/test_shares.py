"""The statements that work out tax and documents, over a few staged lines: what differs in one thing is kept apart."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from fractions import Fraction
from math import floor
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core.activity.unit import unit_of_work
from core.billing.plan import BY_LINE, PARK_NEGATIVE, SHARES, TAXES, convert_documents, documents
from core.billing.staging import next_id, prepare, staged, staged_all
from core.database import execute, rows, value, values
from tests.books import a_customer, day

if TYPE_CHECKING:
    from core.scope import Scope

GROUP: Final[dict[str, Any]] = {
    "payer_id": 1,
    "currency": "EUR",
    "split_id": 0,
    "tax_code": "S",
    "rate_ppm": 190_000,
    "tax_inclusive": False,
}
OTHERS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"payer_id": 2},
    {"currency": "USD"},
    {"split_id": 7},
    {"tax_code": "X"},
    {"rate_ppm": 200_000},
    {"tax_inclusive": True},
)
"""A group of lines, and one that differs from it in each of what a total is worked out by."""
LINE: Final[dict[str, Any]] = {
    **GROUP,
    "is_new": False,
    "customer_id": 1,
    "subscription_id": None,
    "kind": "recurring",
    "component": "",
    "description": "Fibre",
    "period_start": None,
    "days": 1,
    "of_days": 1,
    "quantity_e6": 10**6,
    "unit_price_e6": 0,
    "discount_minor": 0,
    "tax_category": "standard",
    "place": 0,
    "activates": False,
    "over_days": 0,
    "all_days": 1,
    "net_minor": 0,
    "tax_minor": 0,
    "deferred_minor": 0,
}


class Shared(Struct, frozen=True):
    id: int
    amount_minor: int
    net_minor: int
    tax_minor: int
    deferred_minor: int


class Total(Struct, frozen=True):
    net_minor: int
    tax_minor: int
    rest_minor: int


class Made(Struct, frozen=True):
    payer_id: int
    currency: str
    split_id: int
    net_minor: int
    tax_minor: int
    total_minor: int
    due_on: date
    language: str


class Worth(Struct, frozen=True):
    id: int
    base_net_minor: int
    base_tax_minor: int
    base_deferred_minor: int


def half_up(exact: Fraction) -> int:
    whole = floor(abs(exact) + Fraction(1, 2))
    return whole if exact >= 0 else -whole


def tax_of(amount: int, of: dict[str, Any]) -> Fraction:
    rate = Fraction(of["rate_ppm"], 10**6)
    return amount - amount / (1 + rate) if of["tax_inclusive"] else amount * rate


def by_largest_remainder(total: int, exact: list[Fraction]) -> list[int]:
    parts = [floor(each) for each in exact]
    order = sorted(range(len(exact)), key=lambda at: (parts[at] - exact[at], at))
    for at in order[: total - sum(parts)]:
        parts[at] += 1
    return parts


@asynccontextmanager
async def stage(scope: Scope) -> AsyncIterator[None]:
    """Empty staging tables; PostgreSQL empties them again with the commit."""
    async with unit_of_work(scope):
        await prepare()
        yield


async def put(**line: Any) -> None:
    """A line, with the tax and the net it has by itself."""
    made = {**LINE, **line}
    tax = half_up(tax_of(made["amount_minor"], made))
    made |= {"tax_minor": tax, "net_minor": made["amount_minor"] - (tax if made["tax_inclusive"] else 0)} | line
    await execute(
        f"INSERT INTO stage_line ({', '.join(made)}) VALUES ({', '.join(':' + name for name in made)})", **made
    )


async def put_total(**group: Any) -> None:
    made = {**GROUP, "rest_minor": 0, **group}
    await execute(
        f"INSERT INTO stage_tax ({', '.join(made)}) VALUES ({', '.join(':' + name for name in made)})", **made
    )


async def shared() -> list[Shared]:
    return await rows(
        Shared, "SELECT id, amount_minor, net_minor, tax_minor, deferred_minor FROM stage_line ORDER BY id"
    )


async def test_B6_tax_of_each_group_is_rounded_on_its_total_and_shared_by_the_largest_remainders(scope: Scope) -> None:
    amounts = (
        (100, 26, 20, 8),
        (215, -13, 240, 9),
        (77, 45, -100, 82),
        (102, 174, 7, -3),
        (29, 63, 80, 187),
        (3, 3, 3),
        (-13, 66, 149, 119),
    )
    expected: dict[int, tuple[int, int]] = {}
    rests = set()
    async with stage(scope):
        for number, (other, some) in enumerate(zip(OTHERS, amounts, strict=True)):
            group = {**GROUP, **other}
            exact = [tax_of(amount, group) for amount in some]
            total = half_up(sum(exact, Fraction()))
            rests.add(total - sum(map(half_up, exact)))
            for at, tax in enumerate(by_largest_remainder(total, exact)):
                line_id = 100 * (at + 1) + number
                expected[line_id] = (some[at] - tax if group["tax_inclusive"] else some[at], tax)
                await put(id=line_id, amount_minor=some[at], **other)

        await staged_all((TAXES, {}), (SHARES, {}))
        found = {each.id: (each.net_minor, each.tax_minor) for each in await shared()}

    assert rests == {-1, 1}
    assert found == expected


async def test_B6_tax_of_a_million_is_shared_to_the_cent_as_well(scope: Scope) -> None:
    amount = 99_999_999
    expected: list[int] = []
    for gross in (False, True):
        exact = [tax_of(amount, {**GROUP, "tax_inclusive": gross})] * 3
        expected += by_largest_remainder(half_up(sum(exact, Fraction())), exact)
    async with stage(scope):
        for number in range(6):
            await put(id=number + 1, amount_minor=amount, tax_inclusive=number >= 3)

        await staged_all((TAXES, {}), (SHARES, {}))
        found = [each.tax_minor for each in await shared()]
        rests = await values("SELECT rest_minor FROM stage_tax ORDER BY tax_inclusive")

    assert rests == [-1, 1]
    assert found == expected


async def test_B6_totals_of_a_rate_are_net_tax_and_what_its_lines_differ_by(scope: Scope) -> None:
    async with stage(scope):
        for number, amount in enumerate((99, 99, 99)):
            await put(id=number + 1, amount_minor=amount)
            await put(id=number + 11, amount_minor=amount, tax_inclusive=True)

        await staged(TAXES)
        once = await rows(Total, "SELECT net_minor, tax_minor, rest_minor FROM stage_tax ORDER BY tax_inclusive")
        await execute("DELETE FROM stage_tax")
        await staged(BY_LINE)
        by_line = await rows(Total, "SELECT net_minor, tax_minor, rest_minor FROM stage_tax ORDER BY tax_inclusive")

    assert once == [Total(297, 56, -1), Total(250, 47, -1)]
    assert by_line == [Total(297, 57, 0), Total(249, 48, 0)]


async def test_B6_of_equal_remainders_the_line_that_stands_first_gets_the_unit(scope: Scope) -> None:
    """By place, beneficiary, subscription, period, kind, and the order in which they were written."""
    pairs: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
        ({"place": 1}, {"place": 2}),
        ({"customer_id": 1}, {"customer_id": 2}),
        ({"subscription_id": None}, {"subscription_id": 1}),
        ({"subscription_id": 3}, {"subscription_id": 4}),
        ({"period_start": None}, {"period_start": day("2027-05-01")}),
        ({"period_start": day("2027-05-01")}, {"period_start": day("2027-06-01")}),
        ({"kind": "once"}, {"kind": "recurring"}),
        # What stands further to the left decides.
        ({"place": 1, "customer_id": 2}, {"place": 2, "customer_id": 1}),
        ({"customer_id": 1, "subscription_id": 2}, {"customer_id": 2, "subscription_id": 1}),
        ({}, {}),
    )
    async with stage(scope):
        for number, (first, second) in enumerate(pairs):
            ids = (2 * number + 1, 2 * number + 2) if first == second else (2 * number + 2, 2 * number + 1)
            for line_id, line in zip(ids, (first, second), strict=True):
                # 0.475 each: 0.95 in all.
                await put(id=line_id, amount_minor=250, rate_ppm=1_900, split_id=number, **line)

        await staged_all((TAXES, {}), (SHARES, {}))
        found = {each.id: each.tax_minor for each in await shared()}

    winners = [2 * number + (1 if first == second else 2) for number, (first, second) in enumerate(pairs)]
    assert [line_id for line_id, tax in sorted(found.items()) if tax == 1] == winners
    assert sum(found.values()) == len(pairs)


async def test_B6_what_a_line_has_not_earned_yet_follows_its_share_of_the_tax(scope: Scope) -> None:
    async with stage(scope):
        for number in range(3):
            await put(id=number + 1, amount_minor=99, tax_inclusive=True, over_days=10, all_days=40, deferred_minor=1)
        for number in range(3):
            await put(id=number + 11, amount_minor=99, over_days=30 * number, all_days=31 + 29 * number)

        await staged_all((TAXES, {}), (SHARES, {}))
        found = [(each.net_minor, each.deferred_minor) for each in await shared()]

    assert found == [(83, 62), (83, 62), (84, 63), (99, 99), (99, 49), (99, 32)]


async def test_B2_a_payer_waits_whose_total_of_a_document_is_below_zero(scope: Scope) -> None:
    async with stage(scope):
        await put_total(payer_id=1, net_minor=100, tax_minor=-101)
        await put_total(payer_id=2, net_minor=100, tax_minor=-100)
        # Two rates of one document count together, two documents do not.
        await put_total(payer_id=3, net_minor=-100, tax_minor=-20)
        await put_total(payer_id=3, net_minor=100, tax_minor=20, rate_ppm=1)
        for payer, name, other in ((5, "split_id", 1), (7, "currency", "USD")):
            await put_total(payer_id=payer, net_minor=-100, tax_minor=-20)
            await put_total(**{"payer_id": payer, "net_minor": 200, "tax_minor": 40, name: other})
        await put_total(payer_id=8, net_minor=-100, tax_minor=-20)
        await put_total(payer_id=8, net_minor=100, tax_minor=19, rate_ppm=1)
        await put_total(payer_id=9, net_minor=-10, tax_minor=-2)
        await put_total(payer_id=9, net_minor=-10, tax_minor=-2, split_id=1)

        await staged(PARK_NEGATIVE)
        found = await values("SELECT payer_id FROM stage_parked ORDER BY payer_id")

    assert found == [1, 5, 7, 8, 9]


async def _documents(scope: Scope, *, keep_empty: bool = False) -> list[Made]:
    await staged(
        documents(next_id("stage_document")),
        issued_on=day("2027-05-01"),
        terms_days=14,
        language="en",
        keep_empty=keep_empty,
    )
    return await rows(
        Made,
        "SELECT payer_id, currency, split_id, net_minor, tax_minor, total_minor, due_on, language FROM stage_document"
        " ORDER BY payer_id, currency, split_id",
    )


async def test_B2_each_payer_currency_and_part_is_a_document_with_its_days_and_language(scope: Scope) -> None:
    one = await a_customer(scope)
    other = await a_customer(scope, "Bea Berg", terms_days=0, language="de")
    async with stage(scope):
        await put_total(payer_id=one, net_minor=100, tax_minor=20)
        await put_total(payer_id=one, net_minor=50, tax_minor=5, rate_ppm=100_000)
        await put_total(payer_id=one, net_minor=1, tax_minor=0, currency="USD")
        await put_total(payer_id=one, net_minor=0, tax_minor=2, split_id=3)
        await put_total(payer_id=other, net_minor=7, tax_minor=7)
        made = await _documents(scope)
        at_par = await values("SELECT rate_e10 FROM stage_document WHERE base_minor = total_minor")

    later, today = day("2027-05-15"), day("2027-05-01")
    assert made == [
        Made(one, "EUR", 0, 150, 25, 175, later, "en"),
        Made(one, "EUR", 3, 0, 2, 2, later, "en"),
        Made(one, "USD", 0, 1, 0, 1, later, "en"),
        Made(other, "EUR", 0, 7, 7, 14, today, "de"),
    ]
    assert at_par == [10**10] * len(made)


async def test_B2_a_document_of_nothing_is_made_where_a_line_of_its_own_activates_or_by_hand(scope: Scope) -> None:
    found: dict[str, list[int]] = {}
    payer, other = await a_customer(scope), await a_customer(scope, "Bea Berg")
    lines: dict[str, dict[str, Any]] = {
        "its own": {},
        "of another payer": {"payer_id": other},
        "in another currency": {"currency": "USD"},
        "of another part": {"split_id": 1},
        "that activates nothing": {"activates": False},
    }
    for name, line in lines.items():
        async with stage(scope):
            await put_total(payer_id=payer, net_minor=-2, tax_minor=2)
            await put(**{"id": 1, "amount_minor": 0, "payer_id": payer, "activates": True, **line})
            found[name] = [len(await _documents(scope))]
            await execute("DELETE FROM stage_document")
            found[name].append(len(await _documents(scope, keep_empty=True)))

    assert found == {name: [1 if name == "its own" else 0, 1] for name in found}


async def test_B7_each_document_is_converted_once_and_its_lines_come_to_it(scope: Scope) -> None:
    rate = 9_137_000_000
    lines = {
        # payer, part, and net, tax, not earned yet of each line
        (1, 0): [(1001, 190, 1001), (999, 190, 333), (1, 0, 0)],
        (1, 5): [(505, 96, 0)],
        (2, 0): [(0, 0, 0), (-333, -63, -100), (1000, 190, 500)],
        # What comes to nothing is worth something in its parts.
        (3, 0): [(-1200, 0, -600), (1000, 200, 1000)],
    }
    by_document: dict[tuple[int, int], list[int]] = defaultdict(list)
    async with stage(scope):
        number = 0
        for payer, split in lines:
            for net, tax, deferred in lines[payer, split]:
                number += 1
                by_document[payer, split].append(number)
                part = {"net_minor": net, "tax_minor": tax, "deferred_minor": deferred, "amount_minor": net}
                await put(id=number, payer_id=payer, split_id=split, currency="USD", **part)
        await put(id=90, payer_id=1, split_id=0, currency="GBP", amount_minor=100, net_minor=100, tax_minor=19)
        for document_id, (payer, split, currency) in enumerate(
            [*((payer, split, "USD") for payer, split in lines), (1, 0, "GBP")], 1
        ):
            await execute(
                "INSERT INTO stage_document (id, kind, payer_id, currency, split_id, net_minor, tax_minor, total_minor,"
                " base_minor, rate_e10, due_on, language) VALUES (:id, 'invoice', :payer, :currency, :split, 0, 0, 0,"
                " 77, 0, :day, 'en')",
                id=document_id, payer=payer, currency=currency, split=split, day=day("2027-05-01"),
            )  # fmt: skip

        await convert_documents("EUR", "USD", rate)
        found = {
            each.id: each
            for each in await rows(
                Worth,
                "SELECT id, base_net_minor, base_tax_minor, base_deferred_minor FROM stage_line WHERE currency = 'USD'",
            )
        }
        totals = await values("SELECT base_minor FROM stage_document ORDER BY id")
        rates = await values("SELECT rate_e10 FROM stage_document ORDER BY id")
        left = await value("SELECT count(*) FROM stage_line WHERE currency = 'GBP' AND base_net_minor IS NULL")

    worth = Fraction(rate, 10**10)
    for at, (key, some) in enumerate(lines.items()):
        exact = [Fraction(part) * worth for net, tax, _ in some for part in (net, tax)]
        assert totals[at] == half_up(sum(exact, Fraction()))
        parts = [part for each in by_document[key] for part in (found[each].base_net_minor, found[each].base_tax_minor)]
        assert parts == by_largest_remainder(totals[at], exact)
        for (net, _tax, deferred), line_id in zip(some, by_document[key], strict=True):
            base = found[line_id]
            earned = Fraction(base.base_net_minor * deferred, net) if net else Fraction()
            assert abs(base.base_deferred_minor - earned) < 1
            assert net or base.base_deferred_minor == 0
            assert net != deferred or base.base_deferred_minor == base.base_net_minor
    assert totals[-1] == 77
    assert rates == [rate] * len(lines) + [0]
    assert left == 1
