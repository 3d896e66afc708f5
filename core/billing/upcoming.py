"""What a customer will be billed next: when, and how much, worked out as the run would and written nowhere (P14)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from core import hookspecs
from core.activity.asking import rehearsal
from core.activity.unit import again, savepoint
from core.billing import queries as documents
from core.billing.actions.allocation import grant_credit
from core.billing.actions.changing import make_planned
from core.billing.actions.pausing import begin
from core.billing.actions.prepaid import renew_of
from core.billing.actions.setup import default_seller
from core.billing.chunks import bill_payer
from core.billing.due import FURTHEST_AHEAD, check_date
from core.billing.plan import Plan
from core.billing.previews import PreviewLine
from core.billing.rating import is_about_data
from core.billing.settings import BillingSettings
from core.billing.tables import DocumentState
from core.billing.writing import Changed
from core.clock import FixedClock
from core.database import rows, value, value_as, values, within
from core.errors import Conflict, DomainError, TryAgain
from core.money import half_up
from core.periods import Cycle, FirstPart, LastPart, Timing, due_periods, nth
from core.settings.queries import load_settings
from core.subscriptions.actions.pausing import end_pause
from core.subscriptions.tables import SubscriptionSchedule
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from core.billing.schemas import DocumentDetail
    from core.scope import Scope

SHOWN: Final = 3
"""Days ahead with an invoice."""
MOST_DAYS: Final = 24
"""Days that are gone through for them: not each brings one."""
MOST: Final = 200
"""Subscriptions of a payer that are looked at; with more only the nearest dates are certain."""


class Glance(Struct, frozen=True):
    """A line of what stands at the head of a customer: open invoices of a currency, what is due next, open charges."""

    what: Literal["open", "due", "charge"]
    currency: str
    documents: int = 0
    amount_minor: int = 0
    overdue: int = 0
    overdue_minor: int = 0
    tax_inclusive: bool | None = None
    due_on: date | None = None
    period_start: date | None = None
    anchor_on: date | None = None
    ends_on: date | None = None
    timing: Timing = "advance"
    cycle_unit: Literal["day", "week", "month", "year"] = "month"
    cycle_count: int = 1
    first: FirstPart = "by_day"
    last: LastPart = "by_day"

    @property
    def cycle(self) -> Cycle:
        return Cycle(self.cycle_unit, self.cycle_count)


_OPEN: Final = """
SELECT 'open' AS what, currency, count(*) AS documents, CAST(sum(open_minor) AS bigint) AS amount_minor,
       CAST(sum(CASE WHEN due_on < :today THEN 1 ELSE 0 END) AS bigint) AS overdue,
       CAST(sum(CASE WHEN due_on < :today THEN open_minor ELSE 0 END) AS bigint) AS overdue_minor,
       NULL::boolean AS tax_inclusive, NULL::date AS due_on, NULL::date AS period_start, NULL::date AS anchor_on,
       NULL::date AS ends_on, 'advance' AS timing, 'month' AS cycle_unit, 1 AS cycle_count, 'by_day' AS first,
       'by_day' AS last
FROM document_state WHERE open_minor > 0 AND payer_id = :payer AND :within GROUP BY currency
"""
_CHARGES: Final = """
SELECT 'charge', currency, count(*), CAST(sum(amount_minor) AS bigint), 0, 0, NULL::boolean, NULL::date, NULL::date,
       NULL::date, NULL::date, 'advance', 'month', 1, 'by_day', 'by_day'
FROM charge WHERE payer_id = :payer AND state = 'open' GROUP BY currency
"""
_DUE: Final = """
SELECT 'due', t.currency, 1, t.cycle_minor, 0, 0, t.tax_inclusive, s.due_on, s.period_start, u.anchor_on, u.ends_on,
       CASE u.timing WHEN 'arrears' THEN 'arrears' ELSE 'advance' END, t.cycle_unit, t.cycle_count, t.proration,
       t.final_proration
FROM (SELECT subscription_id, due_on, period_start FROM subscription_schedule
      WHERE payer_id = :payer AND due_on IS NOT NULL AND :mine ORDER BY due_on, subscription_id LIMIT :most) s
JOIN subscription u ON u.id = s.subscription_id
JOIN subscription_term t ON t.subscription_id = s.subscription_id AND t.in_force AND t.valid_from <= s.period_start
    AND (t.valid_to IS NULL OR t.valid_to > s.period_start)
"""


async def at_a_glance(scope: Scope, payer_id: int) -> list[Glance]:
    """Open amounts and what is billed next, by one question: a customer's head is asked for all the time."""
    return await rows(
        Glance,
        f"{_OPEN} UNION ALL {_CHARGES} UNION ALL {_DUE} ORDER BY 4 DESC",
        today=scope.today(),
        payer=payer_id,
        most=MOST,
        within=within(DocumentState, scope.actor.reach),
        mine=within(SubscriptionSchedule, scope.actor.reach),
    )


class NextInvoice(Struct, frozen=True):
    """The day of the next run that bills this payer, and what of: before tax, or with it where the prices hold it."""

    on: date
    currency: str
    amount_minor: int
    with_tax: bool


def next_invoices(found: Sequence[Glance], today: date) -> list[NextInvoice]:
    """Of the nearest day, one a currency. Charges that are open already go with it; without a period: today."""
    due = [each for each in found if each.what == "due" and each.due_on is not None]
    charges = {each.currency: each.amount_minor for each in found if each.what == "charge"}
    days = [each.due_on for each in due if each.due_on is not None]
    if not days and not charges:
        return []
    on = min(days) if days else today
    sums, taxed = dict(charges), dict.fromkeys(charges, False)
    for each in due:
        if each.due_on == on and each.anchor_on is not None and each.period_start is not None:
            period = next(
                due_periods(
                    each.anchor_on,
                    each.cycle,
                    each.period_start,
                    each.ends_on,
                    date.max,
                    timing=each.timing,
                    first=each.first,
                    last=each.last,
                ),
                None,
            )
            if period is not None:
                part = half_up(each.amount_minor * period.days, period.of_days)
                sums[each.currency] = sums.get(each.currency, 0) + part
                taxed[each.currency] = taxed.get(each.currency, True) and bool(each.tax_inclusive)
    return [NextInvoice(max(on, today), currency, minor, taxed[currency]) for currency, minor in sums.items() if minor]


class Upcoming(Struct, frozen=True):
    """An invoice of a day to come, or a credit note that a planned change or pause makes then. Sums in its currency.

    `prepaid`: a renewal that the balance pays; `missing_minor`: by how much it will be short, if nothing comes in.
    """

    on: date
    currency: str
    net_minor: int
    tax_minor: int
    total_minor: int
    lines: list[PreviewLine]
    prepaid: bool = False
    missing_minor: int = 0
    kind: Literal["invoice", "credit_note"] = "invoice"
    rounding_minor: int = 0


async def upcoming_invoices(scope: Scope, payer_id: int, on: date | None = None) -> list[Upcoming]:
    """What the run would bill this payer on a day, or on its next dates: done day by day, then taken back.

    Also what is prepaid is renewed, as far as the balance goes, changes and pauses that are planned are made on their
    days, and plugins are asked for what they charge, as far as it is metered by now. Raises Conflict where the run
    would not bill it.
    """
    if on is not None:
        check_date(scope, on)
    elif await _next_day(scope, payer_id, None) is None:
        return []
    return await again(partial(_rehearsed, scope, payer_id, on))


_OF_PAYER: Final = (
    "u.customer_id IN (SELECT id FROM customer WHERE id = :payer_id AND payer_id IS NULL"
    " UNION SELECT id FROM customer WHERE payer_id = :payer_id)"
)
_AT_ONCE: Final = (
    "SELECT 1 FROM charge WHERE payer_id = :payer_id AND state = 'open' AND due_on IS NULL UNION ALL"
    " SELECT 1 FROM subscription_schedule s JOIN subscription u ON u.id = s.subscription_id"
    " WHERE s.payer_id = :payer_id AND u.timing = 'prepaid' AND u.state = 'suspended' AND u.state_reason = 'balance'"
    " LIMIT 1"
)
"""What waits for no day: charges for the next run, and what is prepaid and waits for balance."""
_NEXT: Final = f"""
SELECT min(day) FROM (
    SELECT min(due_on) AS day FROM subscription_schedule WHERE payer_id = :payer_id AND due_on > :after
    UNION ALL SELECT min(due_on) FROM charge WHERE payer_id = :payer_id AND state = 'open' AND due_on > :after
    UNION ALL SELECT min(p.happens_on) FROM subscription_change p JOIN subscription u ON u.id = p.subscription_id
    WHERE p.state = 'planned' AND p.happens_on > :after AND {_OF_PAYER}
    UNION ALL SELECT min(p.from_on) FROM subscription_pause p JOIN subscription u ON u.id = p.subscription_id
    WHERE p.state = 'planned' AND p.from_on > :after AND {_OF_PAYER}
    UNION ALL SELECT min(p.to_on) FROM subscription_pause p JOIN subscription u ON u.id = p.subscription_id
    WHERE p.state = 'running' AND p.to_on > :after AND {_OF_PAYER}) d
"""


async def _next_day(scope: Scope, payer_id: int, after: date | None) -> date | None:
    """The next day on which something falls due or is planned, behind one; what is overdue is billed today."""
    today = scope.today()
    if after is None and await value(_AT_ONCE, payer_id=payer_id):
        return today
    found = await value_as(date, _NEXT, payer_id=payer_id, after=after or date.min)
    if found is None or found > nth(today, FURTHEST_AHEAD, 1):
        return None
    return max(found, today)


async def _rehearsed(scope: Scope, payer_id: int, on: date | None) -> list[Upcoming]:
    """On PostgreSQL nobody waits for it but who changes this payer at the same time. On SQLite, where one writes at a
    time, it takes its turn: what the run writes and reads back lies in dozens of tables with their keys and triggers,
    of which a connection that cannot write would need its own copy."""
    found: list[Upcoming] = []
    try:
        async with rehearsal(scope):
            day = on or await _next_day(scope, payer_id, None)
            for __ in range(MOST_DAYS):
                if day is None:
                    break
                found += await _of_day(scope, payer_id, day)
                if on is not None or len({each.on for each in found}) >= SHOWN:
                    break
                day = await _next_day(scope, payer_id, day)
    except Changed as error:
        raise TryAgain from error
    except DomainError:
        raise
    except Exception as error:
        if not is_about_data(error):
            raise
        raise Conflict(_("It cannot be worked out: %(error)s", error=str(error)[:200])) from error
    return found


async def _of_day(scope: Scope, payer_id: int, day: date) -> list[Upcoming]:
    """What the run of a day does to this payer, in the unit of work that is open; what is missing is lent, and told."""
    at = max(day, scope.today())
    noon = datetime.combine(at, time(12), ZoneInfo(scope.tenant.time_zone)).astimezone(UTC)
    then = replace(scope, clock=FixedClock(noon)) if at > scope.today() else scope
    latest = int(await value("SELECT coalesce(max(id), 0) FROM document WHERE payer_id = :id", id=payer_id))
    await _turn(then, payer_id, min(day, at))
    await renew_of(then, payer_id, min(day, at))
    missing = await _lend(then, payer_id)
    plan = Plan(then, await default_seller(then), await load_settings(BillingSettings), day, at)
    answers = then.hooks.collect(hookspecs.collect_charges, scope=then, as_of=day)
    await bill_payer(plan, [source for each in answers.values() for source in each], payer_id)
    renewed = {
        each.document_id: missing.get(each.id, 0)
        for each in await rows(
            _Renewed,
            "SELECT id, document_id FROM prepaid_renewal WHERE payer_id = :id AND document_id > :latest",
            id=payer_id,
            latest=latest,
        )
    }
    made = [each for each in await documents.list_documents(then, payer_id=payer_id, limit=MOST) if each.id > latest]
    return [
        _document(at, await documents.get_document(then, each.id), renewed.get(each.id))
        for each in sorted(made, key=lambda one: one.id)
        if each.kind in ("invoice", "credit_note")
    ]


async def _turn(scope: Scope, payer_id: int, day: date) -> None:
    """Pauses and changes that were planned up to a day, as the run makes them; what cannot be made then is left."""
    for pause_id in await values(
        "SELECT p.id FROM subscription_pause p JOIN subscription u ON u.id = p.subscription_id"
        f" WHERE p.state = 'planned' AND p.from_on <= :day AND {_OF_PAYER} ORDER BY p.from_on, p.id",
        day=day,
        payer_id=payer_id,
    ):
        await _if_possible(begin(scope, int(pause_id)))
    for subscription_id in await values(
        "SELECT u.id FROM subscription_pause p JOIN subscription u ON u.id = p.subscription_id"
        f" WHERE p.state = 'running' AND p.to_on <= :day AND {_OF_PAYER} ORDER BY p.to_on, u.id",
        day=day,
        payer_id=payer_id,
    ):
        await _if_possible(end_pause(scope, int(subscription_id), day))
    for change_id in await values(
        "SELECT p.id FROM subscription_change p JOIN subscription u ON u.id = p.subscription_id"
        f" WHERE p.state = 'planned' AND p.happens_on <= :day AND {_OF_PAYER} ORDER BY p.happens_on, p.id",
        day=day,
        payer_id=payer_id,
    ):
        await _if_possible(make_planned(scope, int(change_id)))


async def _if_possible(deed: Coroutine[Any, Any, None]) -> None:
    try:
        async with savepoint():
            await deed
    except DomainError:
        return


class _Renewed(Struct, frozen=True):
    id: int
    document_id: int


class _Short(Struct, frozen=True):
    id: int
    missing_minor: int


async def _lend(scope: Scope, payer_id: int) -> dict[int, int]:
    """What the balance does not cover is worked out as if it did; gives what is missing, by the renewal's row.

    One after the other: what one takes of the balance is missing for the next.
    """
    missing: dict[int, int] = {}
    while True:
        short = await rows(
            _Short,
            "SELECT r.id, r.missing_minor FROM prepaid_renewal r JOIN subscription u ON u.id = r.subscription_id"
            " JOIN subscription_schedule s ON s.subscription_id = u.id AND s.period_start = r.period_start"
            " WHERE r.payer_id = :id AND r.renewed_on IS NULL AND r.missing_minor > 0 AND u.state = 'suspended'"
            " AND u.state_reason = 'balance' ORDER BY r.id",
            id=payer_id,
        )
        following = next((each for each in short if each.id not in missing), None)
        if following is None:
            return missing
        missing[following.id] = following.missing_minor
        await grant_credit(scope, payer_id, following.missing_minor, "Lent while it is worked out")


def _document(on: date, document: DocumentDetail, missing: int | None) -> Upcoming:
    """As it would be issued."""
    return Upcoming(
        on,
        document.currency,
        document.net_minor,
        document.tax_minor,
        document.total_minor,
        [
            PreviewLine(
                document.currency,
                line.description,
                line.beneficiary_id or document.payer_id,
                line.period_from,
                line.period_to,
                line.net_minor,
                line.tax_minor,
                line.rate_ppm,
                line.tax_inclusive,
                (line.beneficiary or "") if line.beneficiary_id not in (None, document.payer_id) else "",
            )
            for line in document.lines
        ],
        prepaid=missing is not None,
        missing_minor=missing or 0,
        kind="credit_note" if document.kind == "credit_note" else "invoice",
        rounding_minor=document.rounding_minor,
    )
