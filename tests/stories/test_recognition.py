"""Deferred revenue becomes revenue month by month, by days; what is credited or given up is never earned twice."""

from __future__ import annotations

from datetime import date
from random import Random
from typing import Any

import pytest
from msgspec import Struct

from core.activity.unit import unit_of_work
from core.billing.actions import withdraw_subscription
from core.billing.recognition import close_until, first_unearned_day, recognise, schedule_of_revenue, unearned
from core.billing.verify import verify
from core.database import execute, rows, value, value_as
from core.errors import Conflict, Invalid
from core.ledger.books import check_open
from core.ledger.days import add_up_days
from core.ledger.posting import post
from core.ledger.queries import closed_until, trial_balance
from core.periods import Cycle, nth
from core.texts import speaking
from tests.stories.story import Story


async def _of_month(story: Story, month: str) -> str:
    """What became revenue in a month by recognition."""
    minor = await value(
        "SELECT coalesce(sum(p.amount_minor), 0) FROM posting p JOIN ledger_transaction t ON t.id = p.transaction_id"
        " JOIN account a ON a.id = p.account_id JOIN recognition r ON r.id = t.source_id"
        " WHERE t.kind = 'recognition' AND a.code = '2300' AND r.month = :month",
        month=date.fromisoformat(f"{month}-01"),
    )
    return f"{int(minor) / 100:.2f}"


class _Left(Struct, frozen=True):
    currency: str
    to_on: date | None
    minor: int
    base_minor: int


async def _by_each_month() -> list[tuple[date | None, str, int, int]]:
    """The schedule from what is not earned of each line at the beginning of every month."""

    async def left(day: date) -> dict[tuple[bool, str], tuple[int, int]]:
        sums: dict[tuple[bool, str], tuple[int, int]] = {}
        for each in await rows(_Left, f"SELECT * FROM {unearned(':day::date')} ORDER BY currency", day=day):
            key = each.to_on is None, each.currency
            minor, base = sums.get(key, (0, 0))
            sums[key] = minor + each.minor, base + each.base_minor
        return sums

    day = await first_unearned_day()
    if day == date.min:
        day = (await value_as(date, "SELECT min(issued_on) FROM document WHERE state = 'issued'") or day).replace(day=1)
    now = await left(day)
    found: list[tuple[date | None, str, int, int]] = [
        (None, currency, *sums) for (waits, currency), sums in now.items() if waits and any(sums)
    ]
    for month in (nth(day, Cycle("month"), at) for at in range(60)):
        after = await left(nth(month, Cycle("month"), 1))
        for key, (minor, base) in now.items():
            still, base_still = after.get(key, (0, 0))
            if not key[0] and (minor != still or base != base_still):
                found.append((month, key[1], minor - still, base - base_still))
        now = after
    return found


async def _schedule() -> list[tuple[date | None, str, int, int]]:
    return [(each.month, each.currency, each.amount_minor, each.base_minor) for each in await schedule_of_revenue()]


async def _a_year(story: Story, starting: str = "2027-01-01") -> int:
    """A year of 1,200.00 ahead, no tax."""
    await story.begins(starting)
    await story.taxes(0)
    await story.sells("line", 120_000, per="year")
    subscription_id = await story.subscribes("line")
    await story.bill()
    return subscription_id


async def test_B5_a_year_is_earned_by_the_days_of_its_months_and_the_last_takes_the_rest(story: Story) -> None:
    await _a_year(story)

    story.on("2027-02-01")
    (january,) = await recognise(story.scope)
    again = await recognise(story.scope)
    story.on("2027-12-31")
    await recognise(story.scope)
    before_the_end = await story.books("2300", "4000")
    await story.bills(run_daily=False)
    await execute("DELETE FROM subscription_schedule")
    story.on("2028-01-05")
    await recognise(story.scope)

    assert [(each.amount_minor, each.base_minor) for each in january.sums] == [(10_192, 10_192)]
    assert january.month == date(2027, 1, 1)
    assert again == []
    assert before_the_end == ["-101.92", "-1098.08"]
    assert await _of_month(story, "2027-02") == "92.05"
    assert await story.books("2300", "4000") == ["0.00", "-1200.00"]


async def test_B5_recognition_is_booked_on_the_last_day_of_its_month_however_late_it_runs(story: Story) -> None:
    await _a_year(story)

    story.on("2027-04-20")
    await recognise(story.scope)

    found = await trial_balance(since=date(2027, 3, 1), until=date(2027, 3, 31))
    assert {each.code: each.balance_minor for each in found}["4000"] == -10_192
    assert [each.month for each in await schedule_of_revenue()][:2] == [date(2027, 4, 1), date(2027, 5, 1)]
    assert sum(each.amount_minor for each in await schedule_of_revenue()) == 120_000 - 29_589
    await story.nothing_more_is_due()


async def test_B5_what_is_credited_of_a_recognised_year_comes_from_revenue_the_rest_from_deferred(
    story: Story,
) -> None:
    await _a_year(story)
    story.on("2027-07-10")
    await recognise(story.scope)
    earned, deferred = await story.books("4000", "2300")

    await story.voids((await story.last_document()).id)
    at_once = await story.books("2300", "4000")
    story.on("2027-08-01")
    later = await recognise(story.scope)

    assert (earned, deferred) == ("-595.07", "-604.93")
    assert at_once == ["0.00", "0.00"]
    assert later == []
    await story.nothing_more_is_due()


async def test_B5_days_credited_within_a_month_are_not_earned_at_its_end(story: Story) -> None:
    await story.begins("2027-05-04")
    await story.taxes(20_0000)
    await story.sells("line", 10_000)
    await story.subscribes("line")
    await story.bill()
    story.on("2027-05-19")
    note = await story.credits((await story.last_document()).id, 5_161)

    story.on("2027-06-01")
    await recognise(story.scope)
    story.on("2027-07-01")
    await recognise(story.scope)

    assert note.total_minor == 6_193
    assert await _of_month(story, "2027-05") != "0.00"
    assert await story.books("2300") == ["0.00"]


async def test_B5_withdrawn_after_months_were_recognised_only_the_rest_becomes_revenue(story: Story) -> None:
    subscription_id = await _a_year(story)
    story.on("2027-04-15")
    await recognise(story.scope)

    await withdraw_subscription(story.scope, subscription_id)
    at_once = await story.books("2300", "4000")
    assert await _schedule() == await _by_each_month() != []
    story.on("2027-06-02")
    later = await recognise(story.scope)

    assert at_once == ["0.00", "-1200.00"]
    assert later == []
    await story.nothing_more_is_due()


async def test_B5_what_waits_for_its_payment_is_earned_from_the_day_it_begins(story: Story) -> None:
    await story.begins("2027-01-20")
    await story.taxes(0)
    await story.sells("line", 3_100, activation="invoice_first")
    _subscription, invoice_id = await story.asks_for("line")
    story.on("2027-02-02")
    waiting = await recognise(story.scope)
    unknown = await schedule_of_revenue()
    assert await _by_each_month() == await _schedule()
    await story.pays(3_100, invoice_id)
    assert await _by_each_month() == await _schedule() != unknown
    await execute("DELETE FROM subscription_schedule")

    story.on("2027-03-02")
    (february,) = await recognise(story.scope)
    story.on("2027-04-02")
    await recognise(story.scope)

    assert waiting == []
    assert [(each.month, each.amount_minor) for each in unknown] == [(None, 3_100)]
    assert [each.amount_minor for each in february.sums] == [2_989]  # 27 of 28 days, 2 February to 2 March
    assert await story.books("2300", "4000") == ["0.00", "-31.00"]


async def test_B5_a_recognition_that_is_broken_off_leaves_nothing_and_is_done_by_the_next(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _a_year(story)
    await story.sells("extra", 3_650, per="year", kind="module")
    await story.subscribes("extra")
    await story.bill()
    story.on("2027-02-03")
    calls = []

    async def breaks(*args: Any, **named: Any) -> int:
        calls.append(named)
        if len(calls) == 2:
            raise RuntimeError("the light went out")
        return await post(*args, **named)

    monkeypatch.setattr("core.billing.recognition.post", breaks)
    with pytest.raises(RuntimeError):
        await recognise(story.scope)
    nothing = await value("SELECT count(*) FROM recognition")
    monkeypatch.undo()
    (done,) = await recognise(story.scope)

    assert nothing == 0
    assert [each.amount_minor for each in done.sums] == [10_192, 310]
    await story.nothing_more_is_due()


async def test_B5_books_are_closed_with_all_that_is_earned_and_nothing_is_booked_in_them_any_more(
    story: Story,
) -> None:
    await _a_year(story)
    story.on("2027-03-10")

    done = await close_until(story.scope, date(2027, 2, 28))
    with pytest.raises(Invalid, match="Today is still being booked"):
        await close_until(story.scope, date(2027, 3, 10))
    for language, words in (("en", "closed until 28 Feb 2027"), ("de", r"bis 28\. Feb\. 2027")):
        with speaking(language), pytest.raises(Conflict, match=words):
            await check_open(date(2027, 2, 28))
    with pytest.raises(Exception, match="books of this day are closed"):
        async with unit_of_work(story.scope):
            await post([], kind="test", source_kind="test", source_id=1, booked_on=date(2027, 2, 28))
    await story.pays(5_000)
    story.on("2027-04-02")
    (march,) = await recognise(story.scope)

    assert [each.month for each in done] == [date(2027, 1, 1), date(2027, 2, 1)]
    assert await closed_until() == date(2027, 2, 28)
    assert march.month == date(2027, 3, 1)
    await close_until(story.scope, None)
    assert await closed_until() is None
    await story.nothing_more_is_due()


async def test_B5_another_currency_is_earned_at_the_rate_of_its_invoice(story: Story) -> None:
    await story.begins("2027-01-01", currency="USD")
    await story.taxes(0)
    await story.rate("USD", "0.9", "2020-01-01")
    await story.sells("line", 36_500, per="year", currency="USD")
    await story.subscribes("line")
    await story.bill()

    story.on("2027-02-01")
    (january,) = await recognise(story.scope)

    assert [(each.currency, each.amount_minor, each.base_minor) for each in january.sums] == [("USD", 3_100, 2_790)]
    assert await _schedule() == await _by_each_month() != []
    await story.nothing_more_is_due()


async def test_B5_sums_of_days_are_added_up_once_and_reports_are_the_same_before_and_after(story: Story) -> None:
    await _a_year(story)
    story.on("2027-02-02")
    await recognise(story.scope)
    before = await trial_balance(since=date(2027, 1, 15))

    await add_up_days(story.scope)  # PostgreSQL looks once before it adds
    story.on("2027-02-03")
    await add_up_days(story.scope)
    added = await value("SELECT count(*) FROM ledger_day")
    await add_up_days(story.scope)
    story.on("2027-02-04")
    await add_up_days(story.scope)

    assert added > 0
    assert await value("SELECT count(*) FROM ledger_day") == added
    assert await trial_balance(since=date(2027, 1, 15)) == before
    await story.nothing_more_is_due()


async def test_B5_the_check_of_the_books_finds_a_sum_of_a_day_that_is_wrong(story: Story) -> None:
    await _a_year(story)
    story.on("2027-02-02")
    await recognise(story.scope)
    await add_up_days(story.scope)
    story.on("2027-02-03")
    await add_up_days(story.scope)

    async with unit_of_work(story.scope):
        await execute(
            "UPDATE ledger_day SET debit_minor = debit_minor + 1, base_minor = base_minor + 1 WHERE account_id ="
            " (SELECT id FROM account WHERE code = '1100')"
        )
    found = await verify(story.scope)

    assert {each.rule for each in found} == {"The sums of a day are those of its postings."}


@pytest.mark.parametrize("seed", range(3))
async def test_B5_whatever_is_billed_credited_and_recognised_in_the_end_all_of_it_is_earned(
    story: Story, seed: int
) -> None:
    """Subscriptions of any length begun on any day, credited in parts or voided: 2300 is never overdrawn, ends at 0."""
    dice = Random(seed)
    await story.begins("2027-01-01")
    await story.taxes(190_000)
    for count, amount in ((1, 1_999), (3, 10_001), (6, 33_333), (12, 99_990), (30, 270_001)):
        await story.sells(f"m{count}", amount, count=count, kind="module")
    for month in range(1, 8):
        story.on(date(2027, month, dice.randint(2, 28)))
        await recognise(story.scope)
        for _ in range(2):
            await story.subscribes(f"m{dice.choice((1, 3, 6, 12, 30))}")
        await story.bill()
        document = await story.last_document()
        if dice.random() < 0.5:
            left = document.lines[0].net_minor
            await story.credits(document.id, max(1, left * dice.randint(10, 90) // 100))
        elif dice.random() < 0.4:
            await story.voids(document.id)
        (deferred,) = await story.books("2300")
        assert float(deferred) <= 0
        assert await _schedule() == await _by_each_month()
    await execute("DELETE FROM subscription_schedule")
    story.on("2030-03-05")
    await recognise(story.scope)

    assert await story.books("2300") == ["0.00"]
    earned = await story.books("4000")
    net = await value(
        "SELECT sum(CASE WHEN kind = 'credit_note' THEN -net_minor ELSE net_minor END) FROM document"
        " WHERE state = 'issued'"
    )
    assert earned == [f"-{int(net) / 100:.2f}"]
