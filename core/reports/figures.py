"""The figures of the business: each chart is a table, which is read by the browser and by people alike."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.database import Everything, rows, within
from core.ledger.accounts import Code
from core.money import exponent, format_amount, format_money
from core.periods import Cycle, nth
from core.reports import mrr, receivables, revenue
from core.subscriptions.tables import Subscription
from core.subscriptions.worth import sold
from core.texts import N_, _, figures, locale_now, number, pgettext
from core.web.parts import Figure
from core.web.templating import month_written, written

if TYPE_CHECKING:
    from core.reports.mrr import MrrMonth
    from core.scope import Scope

MONTH: Final = Cycle("month")
KIND_LABELS: Final = {
    "new": N_("New"),
    "reactivation": N_("Back again"),
    "expansion": N_("More"),
    "contraction": N_("Less"),
    "churn": N_("Lost"),
}
PLANS: Final = 12
"""Products that are shown; the rest is one line."""


class Value(Struct, frozen=True):
    """A figure as it reads, as it is drawn, and where it leads."""

    text: str
    drawn: float
    href: str = ""


class Bar(Struct, frozen=True):
    label: str
    values: tuple[Value, ...]


class Chart(Struct, frozen=True, kw_only=True):
    """A chart and its table. `kind`: stacked or bars; `drawn` is how many of the columns are drawn."""

    key: str
    title: str
    sub: str
    kind: str
    heads: tuple[str, ...]
    bars: list[Bar]
    drawn: int


class PlanMix(Struct, frozen=True):
    """Live subscriptions of a product, and what they bring a month in the tenant's currency."""

    product_id: int
    product: str
    subscriptions: int
    mrr_minor: int


async def plan_mix(scope: Scope, currency: str) -> list[PlanMix]:
    """What a cycle brings a month is worked out once for all that are sold at the same terms."""
    reach = scope.actor.reach
    return await rows(
        PlanMix,
        "SELECT p.id AS product_id, p.name AS product, CAST(sum(t.many) AS bigint) AS subscriptions,"
        f" CAST(sum(t.many * {mrr.monthly_sql()}) AS bigint) AS mrr_minor FROM {sold(reach)} t"
        " JOIN product p ON p.id = t.product_id GROUP BY p.id, p.name ORDER BY mrr_minor DESC, p.id",
        today=scope.today(),
        currency=currency,
        within=within(Subscription, reach),
    )


def last_months(today: date, count: int) -> list[date]:
    first = nth(today.replace(day=1), MONTH, 1 - count)
    return [nth(first, MONTH, at) for at in range(count)]


def sees_books(scope: Scope) -> bool:
    return scope.may("ledger.view") and isinstance(scope.actor.reach, Everything)


async def charts_of(scope: Scope, months: int = 12) -> tuple[list[Figure], list[Chart]]:
    """What this actor may see of it."""
    currency, days = scope.tenant.currency, last_months(scope.today(), months)
    found = await mrr.mrr_by_month(scope, days, currency)
    until = await mrr.stepped_until()
    figures_, charts = _headline(scope, found, until), [_movements(found, currency)]
    if sees_books(scope):
        earned = await revenue.revenue_by_month([*last_months(days[0] - timedelta(days=1), 12), *days])
        by_month: dict[date, list[int]] = {}
        for each in earned:
            parts = by_month.setdefault(each.month, [0, 0])
            parts[0 if each.code == Code.REVENUE else 1] += each.amount_minor
        charts.append(_revenue(days, by_month, currency))
        figures_.append(_of_this_month(scope, days[-1], by_month, currency))
    if scope.may("documents.view"):
        charts.append(await _ageing(scope, currency))
    charts.append(_won_and_lost(found))
    charts.append(_mix(await plan_mix(scope, currency), currency))
    return figures_, charts


def _headline(scope: Scope, found: list[MrrMonth], until: date | None) -> list[Figure]:
    last = found[-1]
    change = last.closing_minor - last.opening_minor
    currency, moved = last.currency, _moved(last.month)
    return [
        Figure(
            label=_("Recurring a month"),
            value=format_money(last.closing_minor, currency, scope.locale),
            detail=_(
                "%(change)s this month, as of %(day)s",
                change=_signed(change, currency),
                day=written(until, scope.locale) if until else "–",
            ),
            href="/subscriptions?status=active",
        ),
        Figure(
            label=_("Paying customers"),
            value=number(last.customers_before + last.won - last.lost),
            detail=_("%(won)s won, %(lost)s lost this month", won=number(last.won), lost=number(last.lost)),
            href=moved,
        ),
        Figure(
            label=_("Churn this month"),
            value=_rate(last.lost, last.customers_before),
            detail=_("of customers"),
            href=f"{moved}&kind=churn",
        ),
    ]


def _of_this_month(scope: Scope, month: date, by_month: dict[date, list[int]], currency: str) -> Figure:
    now, before = sum(by_month.get(month, [])), sum(by_month.get(nth(month, MONTH, -12), []))
    return Figure(
        label=_("Revenue this month"),
        value=format_money(now, currency, scope.locale),
        detail=_("%(before)s a year before", before=format_amount(before, currency)),
        href=_booked(month),
    )


def _moved(month: date) -> str:
    """Who is behind the steps of a month."""
    return f"/figures/movements?month={month.isoformat()[:7]}"


def _booked(month: date) -> str:
    """The revenue of a month, as it was booked."""
    until = nth(month, MONTH, 1) - timedelta(days=1)
    return f"/ledger/revenue?since={month.isoformat()}&until={until.isoformat()}"


def _signed(minor: int, currency: str) -> str:
    return f"{'+' if minor > 0 else ''}{format_amount(minor, currency)}"


def _rate(part: int, whole: int) -> str:
    return f"{figures(f'{part * 100 / whole:.2f}')}\N{NO-BREAK SPACE}%" if whole else "–"


def _money(minor: int, currency: str, href: str = "") -> Value:
    return Value(format_amount(minor, currency), minor / 10 ** exponent(currency), href)


def _movements(found: list[MrrMonth], currency: str) -> Chart:
    bars = []
    for each in found:
        steps = tuple(
            _money(minor, currency, f"{_moved(each.month)}&kind={kind}" if minor else "")
            for kind in KIND_LABELS
            for minor in [getattr(each, f"{kind}_minor")]
        )
        bars.append(
            Bar(
                month_written(each.month, locale_now()),
                (
                    *steps,
                    _money(each.closing_minor - each.opening_minor, currency),
                    _money(each.closing_minor, currency),
                ),
            )
        )
    return Chart(
        key="mrr",
        title=_("Recurring revenue and its movements"),
        sub=_("%(currency)s a month", currency=currency),
        kind="stacked",
        heads=(_("Month"), *(_(label) for label in KIND_LABELS.values()), _("Net"), _("At its end")),
        bars=bars,
        drawn=len(KIND_LABELS),
    )


def _revenue(days: list[date], by_month: dict[date, list[int]], currency: str) -> Chart:
    bars = []
    for day in days:
        sales, other = by_month.get(day, [0, 0])
        href = _booked(day)
        before = sum(by_month.get(nth(day, MONTH, -12), []))
        bars.append(
            Bar(
                month_written(day, locale_now()),
                (_money(sales, currency, href), _money(other, currency, href), _money(before, currency)),
            )
        )
    return Chart(
        key="revenue",
        title=_("Revenue"),
        sub=_("%(currency)s, net, as booked", currency=currency),
        kind="bars",
        heads=(_("Month"), _("Sales"), _("Other income"), _("A year before")),
        bars=bars,
        drawn=3,
    )


async def _ageing(scope: Scope, currency: str) -> Chart:
    today = scope.today()
    mine = next(iter(await receivables.aged_by_currency(scope, today, currency)), None)
    labels = (
        ("current", _("Not due"), "/invoices?status=open"),
        ("to_30", _("1 to 30 days"), _overdue(today, 1, 30)),
        ("to_60", _("31 to 60"), _overdue(today, 31, 60)),
        ("to_90", _("61 to 90"), _overdue(today, 61, 90)),
        ("over_90", _("Over 90"), _overdue(today, 91)),
    )
    return Chart(
        key="ageing",
        title=_("Open amounts by age"),
        sub=_("%(currency)s, %(count)s invoices", currency=currency, count=number(mine.documents if mine else 0)),
        kind="bars",
        heads=(_("Age"), pgettext("invoice", "Open")),
        bars=[
            Bar(label, (_money(getattr(mine, f"{key}_minor") if mine else 0, currency, href),))
            for key, label, href in labels
        ],
        drawn=1,
    )


def _overdue(today: date, least: int, most: int = 0) -> str:
    """The invoices that were due so many days ago."""
    since = f"&due.from={(today - timedelta(days=most)).isoformat()}" if most else ""
    return f"/invoices?status=overdue{since}&due.to={(today - timedelta(days=least)).isoformat()}"


def _won_and_lost(found: list[MrrMonth]) -> Chart:
    bars = []
    for each in found:
        here = _moved(each.month)
        bars.append(
            Bar(
                month_written(each.month, locale_now()),
                (
                    Value(number(each.won), each.won, f"{here}&kind=new" if each.won else ""),
                    Value(
                        number(-each.lost).replace("-", "\N{MINUS SIGN}"),
                        -each.lost,
                        f"{here}&kind=churn" if each.lost else "",
                    ),
                    Value(_rate(each.lost, each.customers_before), 0),
                ),
            )
        )
    return Chart(
        key="customers",
        title=_("Customers won and lost"),
        sub=_("who began and stopped to pay"),
        kind="stacked",
        heads=(_("Month"), _("Won"), _("Lost"), _("Churn")),
        bars=bars,
        drawn=2,
    )


def _mix(found: list[PlanMix], currency: str) -> Chart:
    shown, rest = found[:PLANS], found[PLANS:]
    bars = [
        Bar(
            each.product,
            (
                _money(each.mrr_minor, currency, f"/subscriptions?product={each.product_id}&status=active"),
                Value(number(each.subscriptions), each.subscriptions),
            ),
        )
        for each in shown
    ]
    if rest:
        count = sum(each.subscriptions for each in rest)
        bars.append(Bar(_("Others"), (_money(sum(e.mrr_minor for e in rest), currency), Value(number(count), count))))
    return Chart(
        key="mix",
        title=_("Plan mix"),
        sub=_("%(currency)s a month, live subscriptions", currency=currency),
        kind="bars",
        heads=(_("Product"), _("A month"), _("Subscriptions")),
        bars=bars,
        drawn=1,
    )
