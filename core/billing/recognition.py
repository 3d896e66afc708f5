"""Deferred revenue becomes revenue month by month (row 6 of the table of postings).

What is not earned yet of a line is its deferred net by the days that are left of it. So what 2300 must hold at the end
of a month is the sum over lines, and what it holds too much becomes revenue: rounding never piles up, the last month
takes the rest, and whatever was credited, activated or given up meanwhile is in it. A month is one unit of work.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct, defstruct
from msgspec.structs import asdict

from core.activity.unit import record, unit_of_work
from core.billing.staging import days_between, larger
from core.database import dialect, rows, value, value_as
from core.ledger.accounts import MAIN_BOOK, Code
from core.ledger.books import check_open, close_books
from core.ledger.events import RevenueRecognised
from core.ledger.posting import credit, debit, post
from core.ledger.queries import booked
from core.money import half_up_sql
from core.periods import Cycle, nth

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope

MONTH: Final = Cycle("month")


class Due(Struct, frozen=True):
    """What becomes revenue of a product in a month; product 0 is what was sold without one."""

    product_id: int
    currency: str
    amount_minor: int
    base_minor: int


class Recognised(Struct, frozen=True):
    """A month that is done."""

    month: date
    sums: list[Due]


_OF_SOME: Final = """
LEFT JOIN charge k ON k.id = coalesce(l.charge_id, r.charge_id)
LEFT JOIN ledger_transaction w ON w.source_kind = 'subscription' AND w.source_id = k.subscription_id
    AND w.kind = 'withdrawal' AND w.revision = 0
"""
"""What a line was charged for, and when it was given up."""
_OF_ALL: Final = """
LEFT JOIN charge k
    ON k.id = CASE WHEN l.period_from IS NULL OR l.period_to IS NULL THEN coalesce(l.charge_id, r.charge_id) END
LEFT JOIN (
    SELECT gone.id AS charge_id, w.booked_on FROM ledger_transaction w
    JOIN charge gone ON gone.subscription_id = w.source_id
    WHERE w.source_kind = 'subscription' AND w.kind = 'withdrawal' AND w.revision = 0
) w ON w.charge_id = coalesce(l.charge_id, r.charge_id)
"""
"""The same of all lines: few are without days or given up, so charges of the others are not looked up."""
_ONCE: Final = f"LIMIT {2**62}"
"""Behind a limit a value is worked out once for each line, and not put in wherever it is used."""
_ALIVE: Final = """l.id IN (
    SELECT id FROM document_line WHERE deferred_minor <> 0 AND (period_to > {day} OR period_to IS NULL)
)"""
"""By their ids, as they lie in the table."""


def _deferred(day: str, lines: str) -> str:
    """Lines that were deferred, with days behind `day` or none yet, as SQL: amounts, product, and their days."""
    issued_month = (
        "date(d.issued_on, 'start of month')"
        if dialect() == "sqlite"
        else "CAST(date_trunc('month', d.issued_on) AS date)"
    )
    begun = (
        f"CASE WHEN d.kind = 'credit_note' THEN {larger(issued_month, 'coalesce(rd.issued_on, d.issued_on)')}"
        " ELSE d.issued_on END"
    )
    from_on = larger("coalesce(l.period_from, k.period_start)", begun)
    every = lines == "TRUE"
    return f"""
        SELECT coalesce(l.corrects_line_id, l.id) AS root_id, coalesce(l.product_id, 0) AS product_id,
               d.currency, d.book_id, d.issued_on, l.deferred_minor, l.base_deferred_minor,
               CASE WHEN d.kind = 'credit_note' THEN -1 ELSE 1 END AS sign,
               {from_on} AS from_on, coalesce(l.period_to, k.period_end) AS to_on,
               CASE WHEN w.booked_on < coalesce(l.period_to, k.period_end) THEN w.booked_on END AS given_up_on
        FROM document_line l
        JOIN document d ON d.id = l.document_id AND d.state = 'issued'
        LEFT JOIN document_line r ON r.id = l.corrects_line_id
        LEFT JOIN document rd ON rd.id = r.document_id
        {_OF_ALL if every else _OF_SOME}
        WHERE l.deferred_minor <> 0 AND (l.period_to > {day} OR l.period_to IS NULL)
            AND {_ALIVE.format(day=day) if every else lines}
    """


def unearned(day: str, where: str = "TRUE", *, lines: str = "TRUE") -> str:
    """What is not earned before a day of each line that was deferred, as SQL to select from; credit notes below 0.

    Days count from the day of issue; those of a credit note from the month in which it was issued, since what came
    before is earned. A line that waits for its activation has no days yet. `where` is a condition on `x`, `lines` one
    on the ids of lines: "l.id IN (…)".
    """

    def left(amount: str) -> str:
        part = half_up_sql(f"x.{amount}", "x.days_left", "x.days")
        return (
            f"CASE WHEN x.days IS NULL THEN x.{amount} WHEN x.days <= 0 OR x.gone THEN 0"
            f" WHEN x.days_left IS NULL THEN x.{amount} ELSE {part} END"
        )

    return f"""(
    SELECT x.root_id, x.product_id, x.currency, x.book_id, x.issued_on, x.to_on, x.sign * x.minor AS minor,
           x.sign * CASE WHEN x.base_deferred_minor = x.deferred_minor THEN x.minor
               ELSE {left("base_deferred_minor")} END AS base_minor
    FROM (
        SELECT x.*, {left("deferred_minor")} AS minor FROM (
            SELECT x.*, {days_between("x.from_on", "x.to_on")} AS days,
                   CASE WHEN x.from_on < {day} THEN {days_between(day, "x.to_on")} END AS days_left,
                   coalesce(x.given_up_on < {day}, FALSE) AS gone
            FROM ({_deferred(day, lines)}) x
            WHERE (x.to_on > {day} OR x.to_on IS NULL) AND {where} {_ONCE}
        ) x {_ONCE}
    ) x
) unearned"""


def uneven(day: date, book_id: int = MAIN_BOOK) -> str:
    """Products whose deferred revenue before a day is not what was not earned by then, as SQL: for `verify`."""
    on = f"'{day.isoformat()}'::date"
    account = f"(SELECT id FROM account WHERE book_id = {book_id} AND code = '{Code.DEFERRED_REVENUE}')"
    return f"""
        SELECT 'product ' || CAST(product_id AS text) || ' ' || currency AS what FROM (
            SELECT product_id, currency, credit_minor - debit_minor AS minor, -base_minor AS base_minor
            FROM {booked(f"account_id = {account} AND booked_on < {on}")}
            UNION ALL SELECT product_id, currency, -minor, -base_minor
            FROM {unearned(on, f"x.issued_on < {on} AND x.book_id = {book_id}")}) both_sides
        GROUP BY product_id, currency HAVING sum(minor) <> 0 OR sum(base_minor) <> 0
        """


async def first_unearned_day(book_id: int = MAIN_BOOK) -> date:
    """Revenue is recognised up to this day, the first of a month."""
    last = await value_as(date, "SELECT max(month) FROM recognition WHERE book_id = :book", book=book_id)
    return nth(last, MONTH, 1) if last is not None else date.min


async def months_due(today: date, book_id: int = MAIN_BOOK) -> list[date]:
    """Months that are over and not recognised yet, as their first days."""
    month = await first_unearned_day(book_id)
    if month == date.min:
        first = await value_as(
            date,
            "SELECT min(p.booked_on) FROM posting p JOIN account a ON a.id = p.account_id"
            " WHERE a.book_id = :book AND a.code = :code",
            book=book_id,
            code=str(Code.DEFERRED_REVENUE),
        )
        if first is None:
            return []
        month = first.replace(day=1)
    found = []
    while (after := nth(month, MONTH, 1)) <= today:
        found.append(month)
        month = after
    return found


async def due_of(month: date, book_id: int = MAIN_BOOK) -> list[Due]:
    """What 2300 holds too much at the end of a month, by product and currency."""
    account = int(
        await value(
            "SELECT id FROM account WHERE book_id = :book AND code = :code",
            book=book_id,
            code=str(Code.DEFERRED_REVENUE),
        )
    )
    return await rows(
        Due,
        "SELECT product_id, currency, CAST(sum(minor) AS bigint) AS amount_minor,"
        " CAST(sum(base_minor) AS bigint) AS base_minor FROM ("
        " SELECT product_id, currency, credit_minor - debit_minor AS minor, -base_minor AS base_minor"
        f" FROM {booked('account_id = :account AND booked_on < :day')}"
        " UNION ALL SELECT product_id, currency, -minor, -base_minor"
        f" FROM {unearned(':day::date', 'x.issued_on < :day AND x.book_id = :book')}"
        ") both_sides GROUP BY product_id, currency HAVING sum(minor) <> 0 OR sum(base_minor) <> 0"
        " ORDER BY product_id, currency",
        account=account,
        day=nth(month, MONTH, 1),
        book=book_id,
    )


async def recognise(scope: Scope) -> list[Recognised]:
    """Every month that is over and not done yet, the earliest first. A second time it does nothing."""
    done = []
    for month in await months_due(scope.today()):
        sums = await due_of(month)
        if sums and await _book(scope, month, sums):
            done.append(Recognised(month, sums))
    return done


async def _book(scope: Scope, month: date, sums: Sequence[Due], book_id: int = MAIN_BOOK) -> bool:
    """Whether it was this call that did it."""
    async with unit_of_work(scope):
        last_day = nth(month, MONTH, 1) - timedelta(days=1)
        await check_open(last_day)
        for product_id in dict.fromkeys(each.product_id for each in sums):
            recognition_id = await value(
                "INSERT INTO recognition (book_id, product_id, month) VALUES (:book, :product, :month)"
                " ON CONFLICT DO NOTHING RETURNING id",
                book=book_id,
                product=product_id,
                month=month,
            )
            if recognition_id is None:
                return False
            named = product_id or None
            await post(
                [
                    entry
                    for each in sums
                    if each.product_id == product_id
                    for entry in (
                        debit(
                            Code.DEFERRED_REVENUE, each.amount_minor, each.currency, each.base_minor, product_id=named
                        ),
                        credit(Code.REVENUE, each.amount_minor, each.currency, each.base_minor, product_id=named),
                    )
                ],
                kind="recognition",
                source_kind="recognition",
                source_id=int(recognition_id),
                booked_on=last_day,
                book_id=book_id,
            )
        record(scope, RevenueRecognised(month=month.isoformat()[:7], sums=len(sums)))
        return True


async def earn_unused(scope: Scope, subscription_id: int) -> None:
    """Deferred revenue of days that will not be served becomes revenue today (row 18)."""
    of_subscription = (
        "SELECT dl.id FROM charge k JOIN document_line dl ON dl.charge_id = k.id WHERE k.subscription_id = :id"
    )
    corrected = f"SELECT id FROM document_line WHERE corrects_line_id IN ({of_subscription})"
    lines = f"l.id IN ({of_subscription} UNION ALL {corrected})"
    kept = await rows(
        Due,
        "SELECT product_id, currency, CAST(sum(minor) AS bigint) AS amount_minor,"
        " CAST(sum(base_minor) AS bigint) AS base_minor"
        f" FROM {unearned(':earned_until::date', 'x.to_on > :today', lines=lines)}"
        " GROUP BY product_id, currency HAVING sum(minor) <> 0 ORDER BY product_id, currency",
        id=subscription_id,
        today=scope.today(),
        earned_until=await first_unearned_day(),
    )
    for revision, each in enumerate(kept):
        named = each.product_id or None
        await post(
            [
                debit(Code.DEFERRED_REVENUE, each.amount_minor, each.currency, each.base_minor, product_id=named),
                credit(Code.REVENUE, each.amount_minor, each.currency, each.base_minor, product_id=named),
            ],
            kind="withdrawal",
            source_kind="subscription",
            source_id=subscription_id,
            revision=revision,
            booked_on=scope.today(),
        )


async def close_until(scope: Scope, until: date | None) -> list[Recognised]:
    """Close the books up to a day; what is earned by then is recognised before. An earlier day opens them again."""
    async with unit_of_work(scope):
        done = await recognise(scope) if until is not None else []
        await close_books(scope, until)
        return done


class ScheduledRevenue(Struct, frozen=True):
    """What becomes revenue in a month to come (its first day), by currency; no month: it waits for its activation."""

    month: date | None
    currency: str
    amount_minor: int
    base_minor: int


MONTHS_AT_ONCE: Final = 12
_ZERO: Final = date(2000, 1, 1)
_LEFT: Final = defstruct(
    "_LEFT",
    [("currency", str), ("last", int), ("waiting", int), ("waiting_apart", int)]
    + [(name, int) for at in range(MONTHS_AT_ONCE + 1) for name in (f"left_{at}", f"apart_{at}")],
)
"""What is left at the beginning of each month; `apart` is by how much it is another number in the tenant's currency."""


class _Left(Struct, frozen=True):
    """Amounts in their currency and the tenant's. `last`: the day before which all of it is earned, as a number."""

    currency: str
    last: int
    waiting: tuple[int, int]
    at: list[tuple[int, int]]

    @classmethod
    def of(cls, found: Struct) -> _Left:
        kept = asdict(found)
        return cls(
            kept["currency"],
            kept["last"],
            (kept["waiting"], kept["waiting"] + kept["waiting_apart"]),
            [(kept[f"left_{at}"], kept[f"left_{at}"] + kept[f"apart_{at}"]) for at in range(MONTHS_AT_ONCE + 1)],
        )


async def schedule_of_revenue(book_id: int = MAIN_BOOK) -> list[ScheduledRevenue]:
    """What stands on 2300, by the month in which it is earned."""
    start = await first_unearned_day(book_id)
    start = await _first_month() if start == date.min else start
    waiting, found, goes_on = list[ScheduledRevenue](), list[ScheduledRevenue](), True
    while goes_on:
        days = [nth(start, MONTH, at) for at in range(MONTHS_AT_ONCE + 1)]
        left = [_Left.of(each) for each in await rows(_LEFT, _left_at(days), first=start, book=book_id)]
        waiting = [ScheduledRevenue(None, each.currency, *each.waiting) for each in left if any(each.waiting)]
        for at, month in enumerate(days[:-1]):
            for each in left:
                (minor, base), (still, base_still) = each.at[at : at + 2]
                if minor != still or base != base_still:
                    found.append(ScheduledRevenue(month, each.currency, minor - still, base - base_still))
        start = days[-1]
        goes_on = any(each.last > _number(start) for each in left)
    return [*waiting, *found]


async def _first_month() -> date:
    found = await value_as(date, "SELECT min(issued_on) FROM document WHERE state = 'issued'")
    return (found or date(2000, 1, 1)).replace(day=1)


def _number(day: date) -> int:
    return (day - _ZERO).days


def _left_at(days: Sequence[date]) -> str:
    """What is not earned before each of these days, all from one look at the lines, as SQL. `:first` is the first.

    Days are numbers there, worked out once for each line. Most lines are in the tenant's currency, and the same in
    both.
    """

    def left(amount: str, day: int) -> str:
        part = half_up_sql(f"x.{amount}", f"(x.to_day - {day})", "(x.to_day - x.from_day)")
        return (
            f"CASE WHEN x.to_day <= {day} OR x.to_day <= x.from_day OR x.given_up_day < {day} THEN 0"
            f" WHEN x.from_day >= {day} THEN x.{amount} ELSE {part} END"
        )

    def total(amount: str, which: str, name: str) -> str:
        return f"CAST(sum(CASE WHEN {which} THEN {amount} ELSE 0 END) AS bigint) AS {name}"

    sums = [
        total("x.minor", "x.to_day IS NULL", "waiting"),
        total("x.base_minor - x.minor", "x.to_day IS NULL", "waiting_apart"),
    ]
    for at, day in enumerate(map(_number, days)):
        apart = f"({left('base_minor', day)}) - ({left('minor', day)})"
        sums += [
            total(left("minor", day), f"x.to_day > {day}", f"left_{at}"),
            total(apart, f"x.to_day > {day} AND x.base_minor <> x.minor", f"apart_{at}"),
        ]
    zero = f"'{_ZERO.isoformat()}'::date"
    numbers = ", ".join(f"{days_between(zero, f'x.{name}_on')} AS {name}_day" for name in ("from", "to", "given_up"))
    return (
        f"SELECT x.currency, coalesce(max(x.to_day), {_number(days[0])}) AS last, {', '.join(sums)} FROM ("
        " SELECT x.currency, x.sign * x.deferred_minor AS minor, x.sign * x.base_deferred_minor AS base_minor,"
        f" {numbers} FROM ({_deferred(':first::date', 'TRUE')}) x WHERE x.book_id = :book {_ONCE}"
        ") x GROUP BY x.currency ORDER BY x.currency"
    )
