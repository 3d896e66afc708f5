"""A run worked out and written nowhere: of everybody, of one payer, or of what was billed already."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from core.billing.actions.setup import default_seller
from core.billing.due import LAST_ID, Pace, Work, check_date, currencies, due_dates, next_payers, pace, stage
from core.billing.plan import Plan, unit_e6, work_out
from core.billing.rating import check_charges
from core.billing.run_reports import ParkedPayer, PayerDifference, ProductTotal, Progress, RunReport
from core.billing.runs import count_payers, question_of
from core.billing.settings import BillingSettings
from core.billing.staging import prepare, tables
from core.billing.status import RunState
from core.billing.writing import parked_reason
from core.database import reading, rows, value, value_as, values
from core.periods import Cycle, nth
from core.settings.queries import load_settings
from core.texts import _

if TYPE_CHECKING:
    from core.hooks import ChargeSource
    from core.scope import Scope


PREVIEWED: Final = 1000
"""Payers of a chunk of a preview: it keeps nobody from writing."""
MOST_DIFFERENCES: Final = 50
"""Of a preview, the largest ones."""


async def charged_again(scope: Scope) -> list[int]:
    """Subscriptions of which the last run, made again, would charge days that are charged already: hopefully none.

    Worked out as a preview is; what has come due or was asked for since is no matter (security.md 30, V8).
    """
    as_of = await value_as(date, "SELECT max(as_of_on) FROM billing_run WHERE state = 'done'")
    if as_of is None:
        return []
    seller, settings = await default_seller(scope), await load_settings(BillingSettings)
    plan = Plan(scope, seller, settings, as_of, scope.today(), preview=True)
    work = Work(plan, pace(), await due_dates(as_of), (), unit_e6(await currencies(), "t.currency"))
    found: list[int] = []
    after = 0
    while after < LAST_ID:
        async with reading(tables()):
            payers = await next_payers(work, after)
            last = payers[-1] if len(payers) == work.pace.size else LAST_ID
            await prepare(preview=True)
            await stage(work, after, last)
            found += await values(
                "SELECT DISTINCT l.subscription_id FROM stage_line l JOIN charge k"
                " ON k.subscription_id = l.subscription_id AND k.kind = 'recurring' AND k.state <> 'reversed'"
                " AND k.period_start < l.period_end AND coalesce(k.replaced_from, k.period_end) > l.period_start"
                " WHERE l.is_new AND l.kind = 'recurring' ORDER BY l.subscription_id"
            )
        after = last
    return found


class _Planned(Struct, frozen=True):
    currency: str
    invoices: int
    net_minor: int
    tax_minor: int
    rounding_minor: int
    total_minor: int


async def compared_run(as_of: date) -> int | None:
    """The run that one of this date is measured by: the one a month before, else the last that billed anything."""
    found = await value(
        "SELECT id FROM billing_run WHERE state = 'done' AND invoices > 0 AND as_of_on = :before"
        " ORDER BY id DESC LIMIT 1",
        before=nth(as_of, Cycle("month"), -1),
    )
    if found is None:
        found = await value(
            "SELECT id FROM billing_run WHERE state = 'done' AND invoices > 0 AND as_of_on < :as_of"
            " ORDER BY as_of_on DESC, id DESC LIMIT 1",
            as_of=as_of,
        )
    return None if found is None else int(found)


async def preview_run(
    plan: Plan, sources: Sequence[ChargeSource], speed: Pace, progress: Progress | None = None
) -> RunReport:
    """The planning of a run, chunk by chunk, each in a picture of the database that nothing can be written in.

    Raises Conflict where a plugin gives a charge that cannot be one: it would stop the run, too.
    """
    await check_charges(sources, plan.as_of_on)
    report = RunReport(
        run_id=None,
        as_of_on=plan.as_of_on,
        issued_on=plan.issued_on,
        preview=True,
        state=RunState.DONE,
        question=await question_of(plan),
        compared_with=await compared_run(plan.as_of_on),
    )
    work = Work(plan, speed, await due_dates(plan.as_of_on), sources, unit_e6(await currencies(), "t.currency"))
    products: dict[tuple[str, str], ProductTotal] = {}
    if speed.fixed is None:
        speed.size = PREVIEWED
    after, done = 0, 0
    total = await count_payers(plan.as_of_on, plan.issued_on) if progress is not None else 0
    while after < LAST_ID:
        async with reading(tables()):
            payers = await next_payers(work, after)
            last = payers[-1] if len(payers) == work.pace.size else LAST_ID
            await prepare(preview=True)
            await stage(work, after, last)
            counts = await work_out(plan)
            report.charges += counts.lines
            await _add_documents(report, products, after, last)
            report.parked += [
                msgspec.structs.replace(each, detail=parked_reason(each.reason))
                for each in await rows(
                    ParkedPayer,
                    "SELECT payer_id, reason, '' AS detail, amount_minor, currency FROM stage_parked ORDER BY payer_id",
                )
            ]
        report.chunks += 1
        after, done = last, done + len(payers)
        if progress is not None:
            told = progress(done, max(total, done), _("%(count)s invoices", count=report.invoices))
            if told is not None:
                await told
    report.products = sorted(products.values(), key=lambda each: (each.currency, -each.net_minor, each.product))
    return report


async def _add_documents(
    report: RunReport, products: dict[tuple[str, str], ProductTotal], after: int, last: int
) -> None:
    """The planned documents of a chunk: their totals, their products, and who is far from the run before."""
    for each in await rows(
        _Planned,
        "SELECT currency, count(*) AS invoices, CAST(sum(net_minor) AS bigint) AS net_minor,"
        " CAST(sum(tax_minor) AS bigint) AS tax_minor, CAST(sum(rounding_minor) AS bigint) AS rounding_minor,"
        " CAST(sum(total_minor) AS bigint) AS total_minor FROM stage_document GROUP BY currency",
    ):
        report.invoices += each.invoices
        for sums, minor in (
            (report.net, each.net_minor),
            (report.tax, each.tax_minor),
            (report.rounding, each.rounding_minor),
            (report.totals, each.total_minor),
        ):
            sums[each.currency] = sums.get(each.currency, 0) + minor
    report.payers += int(await value("SELECT count(DISTINCT payer_id) FROM stage_document"))
    for line in await rows(
        ProductTotal,
        "SELECT coalesce(p.name, '') AS product, l.currency, count(*) AS lines,"
        " CAST(sum(l.net_minor) AS bigint) AS net_minor FROM stage_line l"
        " JOIN stage_document d ON d.payer_id = l.payer_id AND d.currency = l.currency AND d.split_id = l.split_id"
        " LEFT JOIN product p ON p.id = l.product_id GROUP BY coalesce(p.name, ''), l.currency",
    ):
        known = products.get((line.product, line.currency), ProductTotal(line.product, line.currency, 0, 0))
        products[line.product, line.currency] = ProductTotal(
            line.product, line.currency, known.lines + line.lines, known.net_minor + line.net_minor
        )
    if report.compared_with is None:
        return
    found = await rows(
        PayerDifference,
        "SELECT d.payer_id, c.full_name AS payer, d.currency, coalesce(b.minor, 0) AS before_minor, d.minor"
        " FROM (SELECT payer_id, currency, CAST(sum(total_minor) AS bigint) AS minor FROM stage_document"
        "  GROUP BY payer_id, currency) d JOIN customer c ON c.id = d.payer_id"
        " LEFT JOIN (SELECT payer_id, currency, CAST(sum(total_minor) AS bigint) AS minor FROM document"
        "  WHERE run_id = :run_id AND payer_id > :after AND payer_id <= :last GROUP BY payer_id, currency) b"
        "  ON b.payer_id = d.payer_id AND b.currency = d.currency"
        " WHERE 10 * abs(d.minor - coalesce(b.minor, 0)) > 3 * abs(coalesce(b.minor, 0))",
        run_id=report.compared_with,
        after=after,
        last=last,
    )
    report.differing += len(found)
    report.differences = sorted(
        [*report.differences, *found], key=lambda each: (-abs(each.minor - each.before_minor), each.payer_id)
    )[:MOST_DIFFERENCES]


class PreviewLine(Struct, frozen=True):
    currency: str
    description: str
    customer_id: int
    period_from: date | None
    period_to: date | None
    net_minor: int
    tax_minor: int
    rate_ppm: int
    tax_inclusive: bool
    beneficiary: str = ""
    """Whose it is, where that is not who pays."""


class PreviewDocument(Struct, frozen=True):
    """An invoice as it would be (P14)."""

    currency: str
    net_minor: int
    tax_minor: int
    rounding_minor: int
    total_minor: int
    due_on: date
    lines: list[PreviewLine]


class _Document(Struct, frozen=True):
    currency: str
    split_id: int
    net_minor: int
    tax_minor: int
    rounding_minor: int
    total_minor: int
    due_on: date


async def preview_payer(scope: Scope, payer_id: int, as_of: date) -> list[PreviewDocument]:
    """The next invoices of one payer by a date, worked out as the run would and written nowhere."""
    check_date(scope, as_of)
    plan = Plan(
        scope, await default_seller(scope), await load_settings(BillingSettings), as_of, scope.today(), preview=True
    )
    work = Work(plan, pace(), await due_dates(as_of), (), unit_e6(await currencies(), "t.currency"))
    found: list[PreviewDocument] = []
    async with reading(tables()):
        await prepare(preview=True)
        await stage(work, payer_id - 1, payer_id)
        await work_out(plan)
        for each in await rows(
            _Document,
            "SELECT currency, split_id, net_minor, tax_minor, rounding_minor, total_minor, due_on"
            " FROM stage_document ORDER BY currency, split_id",
        ):
            lines = await rows(
                PreviewLine,
                "SELECT currency, description, customer_id, period_start AS period_from, period_end AS period_to,"
                " net_minor, tax_minor, rate_ppm, tax_inclusive FROM stage_line"
                " WHERE currency = :currency AND split_id = :split"
                " ORDER BY place, customer_id, coalesce(subscription_id, 0),"
                " coalesce(period_start, '0001-01-01'::date), kind, id",
                currency=each.currency,
                split=each.split_id,
            )
            found.append(
                PreviewDocument(
                    each.currency,
                    each.net_minor,
                    each.tax_minor,
                    each.rounding_minor,
                    each.total_minor,
                    each.due_on,
                    lines,
                )
            )
    return found
