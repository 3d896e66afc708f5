"""Numbers of documents: what a pattern may be, how it is written, and which number comes next."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from core.activity.unit import unit_of_work
from core.billing.actions import default_seller
from core.billing.actions.setup import change_series
from core.billing.numbering import NoNumbers, Numbers, check_pattern, pattern_for, take_numbers
from core.database import value, value_as
from core.errors import Invalid
from tests.books import day

if TYPE_CHECKING:
    from core.scope import Scope


@pytest.mark.parametrize(
    ("pattern", "reset"),
    [
        ("{seq}", "never"),
        ("{seq:01}", "never"),
        ("R{YY}-{seq:09}", "yearly"),
        ("{YYYY}/{YY}/{seq:06}", "yearly"),
        ("{seq:05}-{YYYY}", "yearly"),
        (f"{'x' * 30}{{seq}}", "never"),
        ("A B{seq}", "never"),
    ],
)
def test_B10_a_pattern_that_counts_once_and_knows_its_year_is_taken(pattern: str, reset: str) -> None:
    assert check_pattern(pattern, reset) == pattern


@pytest.mark.parametrize(
    ("pattern", "reset", "told"),
    [
        ("{number}", "never", "Use {YYYY}"),
        ("{seq:10}", "never", "Use {YYYY}"),
        ("{seq:00}", "never", "Use {YYYY}"),
        ("{seq", "never", "Use {YYYY}"),
        ("{seq}}", "never", "Use {YYYY}"),
        ("2027-1", "never", "once"),
        ("{YYYY}", "yearly", "once"),
        ("{seq}{seq:06}", "never", "once"),
        (f"{'x' * 31}{{seq}}", "never", "at most 30"),
        ("A\t{seq}", "never", "at most 30"),
        ("A\x1f{seq}", "never", "at most 30"),
        ("{seq:06}", "yearly", "begin anew each year"),
    ],
)
def test_B10_a_pattern_under_which_two_documents_could_be_called_alike_is_refused(
    pattern: str, reset: str, told: str
) -> None:
    with pytest.raises(Invalid, match=told) as refused:
        check_pattern(pattern, reset)

    assert refused.value.errors[0].field == "pattern"


@pytest.mark.parametrize(
    ("pattern", "year", "seq", "number"),
    [
        ("{seq}", 2027, 7, "7"),
        ("{YYYY}-{seq:06}", 2027, 7, "2027-000007"),
        ("{YYYY}-{seq:03}", 2027, 1234, "2027-1234"),
        ("R{YY}/{seq:04}a", 2027, 12, "R27/0012a"),
        ("{YY}{YYYY}{seq:02}", 2105, 3, "05210503"),
        ("{YYYY}.{seq:01}", 987, 3, "0987.3"),
    ],
)
def test_B10_a_number_is_written_as_its_pattern_says(pattern: str, year: int, seq: int, number: str) -> None:
    assert pattern_for(pattern, year).number(seq) == number


async def take(scope: Scope, on: str, count: int = 1, kind: str = "invoice") -> Numbers:
    async with unit_of_work(scope):
        seller = await default_seller(scope)
        return await take_numbers(kind, seller.id, day(on), count)


async def test_B10_numbers_follow_each_other_however_many_are_taken_and_begin_anew_with_the_year(scope: Scope) -> None:
    taken = [
        await take(scope, on, count)
        for on, count in (("2027-05-01", 1), ("2027-05-01", 3), ("2027-12-31", 1), ("2028-01-01", 2), ("2028-01-01", 1))
    ]
    note = await take(scope, "2027-05-01", kind="credit_note")

    assert [(each.year, each.first) for each in taken] == [(2027, 1), (2027, 2), (2027, 5), (2028, 1), (2028, 3)]
    assert taken[0].pattern.number(taken[0].first) == "2027-000001"
    assert (note.first, note.pattern.before) == (1, "CN-2027-")
    assert note.series_id != taken[0].series_id


async def test_B10_numbers_that_never_begin_anew_go_on_over_the_years(scope: Scope) -> None:
    await default_seller(scope)
    await change_series(scope, "invoice", pattern="R{YY}-{seq:03}", reset="never")

    last, first = await take(scope, "2027-12-31", 2), await take(scope, "2028-01-01")

    assert [each.pattern.number(each.first) for each in (last, first)] == ["R27-001", "R28-003"]


async def test_B10_no_number_is_taken_for_a_day_before_the_last_one_and_the_same_day_is_none(scope: Scope) -> None:
    await take(scope, "2027-05-02")
    await take(scope, "2027-05-02")

    with pytest.raises(NoNumbers, match=r"2 May 2027.*1 May 2027"):
        await take(scope, "2027-05-01")

    last = await value_as(date, "SELECT last_issued_on FROM number_series WHERE kind = 'invoice'")
    assert last == day("2027-05-02")
    assert (await take(scope, "2027-05-03")).first == 3
    assert await value_as(date, "SELECT last_issued_on FROM number_series WHERE kind = 'invoice'") == day("2027-05-03")
    assert await value_as(date, "SELECT last_issued_on FROM number_series WHERE kind = 'credit_note'") is None


async def test_B10_a_number_is_given_back_when_what_it_was_taken_for_fails(scope: Scope) -> None:
    await take(scope, "2027-05-01")

    async def fails() -> None:
        async with unit_of_work(scope):
            await take(scope, "2027-05-02", 4)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fails()
    assert (await take(scope, "2027-05-01")).first == 2


async def test_a_kind_of_document_without_a_series_has_no_numbers(scope: Scope) -> None:
    seller = await default_seller(scope)
    async with unit_of_work(scope):
        with pytest.raises(NoNumbers, match="no number series"):
            await take_numbers("car", seller.id, day("2027-05-01"), 1)
        with pytest.raises(NoNumbers, match="no number series"):
            await take_numbers("invoice", seller.id + 1, day("2027-05-01"), 1)

    assert await value("SELECT count(*) FROM number_counter") == 0
