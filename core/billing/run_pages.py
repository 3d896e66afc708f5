"""What the pages of billing runs show: runs in a list, a run against the one before, who is parked and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta, Struct

from core.billing.status import RunState
from core.billing.writing import parked_reason
from core.money import format_amount, format_money
from core.periods import Cycle, nth
from core.texts import N_, _, figures, ngettext, number
from core.web.parts import Pill, RunningJob

if TYPE_CHECKING:
    from core.billing.queries import RunSums
    from core.billing.run_reports import PayerDifference, ProductTotal, RunReport
    from core.billing.schemas import ParkedRow, RunRow

PILLS: Final[dict[str, Pill]] = {
    "waiting": Pill(N_("Asks first"), "warn"),
    "open": Pill(N_("Issuing"), "new"),
    "done": Pill(N_("Done"), "live"),
    "superseded": Pill(N_("Taken over"), "ended"),
    "cancelled": Pill(N_("Cancelled"), "ended"),
}
UNUSUAL: Final = 30
"""Per cent by which a figure may differ before it is flagged."""
SHOWN_PARKED: Final = 200

MEND: Final[dict[str, tuple[str, str]]] = {
    "no_tax_rate": (N_("Enter tax rates"), "/settings/tax"),
    "no_fx_rate": (N_("Enter exchange rates"), "/settings/currencies"),
}
"""By reason: what is done about it in one place for all; the others are mended at the customer."""
MEND_AT_CUSTOMER: Final[dict[str, str]] = {
    "no_tax_rate": "",
    "negative_total": "transactions",
    "too_many_periods": "subscriptions",
    "cycle_changes": "subscriptions",
    "amount_too_large": "subscriptions",
}
"""By reason: the customer's tab on which it is mended."""


class RunDate(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The last day that is billed."""

    date: date


class RunStart(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A preview that a person has looked at. `seen`: what it said; `question`: what it asked, answered by this."""

    date: date
    seen: Annotated[str, Meta(max_length=2000)] = ""
    question: Annotated[str, Meta(max_length=500)] = ""
    looked: bool = False


class Against(Struct, frozen=True):
    """A run against the one that it is measured by: each currency's total, in percent. `unusual`: one is over the
    bound."""

    changes: tuple[str, ...]
    unusual: bool

    def __iter__(self) -> Iterator[str]:
        return iter(self.changes)


def pill_of(run: RunRow) -> Pill:
    return Pill(_(PILLS[run.state].label), PILLS[run.state].kind)


def totals_in_words(run: RunRow) -> list[str]:
    """43.05 EUR, a text for each currency."""
    return [f"{format_amount(minor, currency)} {currency}" for currency, minor in sorted(totals_of(run).items())]


def against(run: RunRow, others: Iterable[RunRow]) -> Against | None:
    """`others`: runs among which the one that it is measured by is looked for."""
    last = measured_by(run, others)
    if last is None:
        return None
    totals, before = totals_of(run), totals_of(last)
    compared = [
        _compared(currency, totals.get(currency, 0), before.get(currency, 0), currency)
        for currency in sorted({*totals, *before})
    ]
    return Against(
        tuple(f"{each.percent}\N{NO-BREAK SPACE}%" if each.percent else each.change for each in compared),
        any(each.unusual for each in compared),
    )


def measured_by(run: RunRow, others: Iterable[RunRow]) -> RunRow | None:
    """The run of the day a month before, else the last before it that billed anything: as `compared_run` has it."""
    if run.state != RunState.DONE or not run.invoices:
        return None
    done = [each for each in others if each.state == RunState.DONE and each.invoices and each.as_of_on < run.as_of_on]
    a_month_before = nth(run.as_of_on, Cycle("month"), -1)
    return max(done, key=lambda each: (each.as_of_on == a_month_before, each.as_of_on, each.id), default=None)


def totals_of(run: RunRow) -> dict[str, int]:
    return msgspec.json.decode(run.totals, type=dict[str, int]) if run.totals else {}


class Compared(Struct, frozen=True, kw_only=True):
    """A figure of this run beside the one before, as it reads."""

    label: str
    this: str
    last: str = ""
    change: str = ""
    percent: str = ""
    unusual: bool = False
    strong: bool = False
    href: str = ""
    """Where those stand that it counts."""


def _compared(
    label: str, this: int, last: int | None, currency: str = "", *, strong: bool = False, parked: bool = False
) -> Compared:
    def words(figure: int) -> str:
        return format_amount(figure, currency) if currency else number(figure).replace("-", "−")

    if last is None:
        return Compared(label=label, this=words(this), strong=strong)
    change = this - last
    return Compared(
        label=label,
        this=words(this),
        last=words(last),
        change=f"+{words(change)}" if change > 0 else words(change),
        percent=percent_words(change, last) if not parked else "",
        unusual=change > 0 if parked else abs(change) * 100 > UNUSUAL * abs(last),
        strong=strong,
    )


def percent_words(change: int, last: int) -> str:
    """+1.0, −36.0; nothing where there was nothing before."""
    if not last:
        return ""
    tenths = round(change * 1000 / abs(last))
    sign = "+" if tenths > 0 else "−" if tenths < 0 else ""
    return figures(f"{sign}{abs(tenths) // 10:,}.{abs(tenths) % 10}")


def comparison_of(report: RunReport, last: RunRow | None, sums: Sequence[RunSums]) -> list[Compared]:
    """The figures of a preview, against those of the run it is measured by where there is one."""
    before = {each.currency: each for each in sums}
    figures = [
        _compared(_("Invoices"), report.invoices, last.invoices if last else None),
        _compared(_("Lines"), report.charges, last.charges if last else None),
    ]
    if len(before) <= 1:
        paid_before = sum(each.payers for each in sums) if last else None
        figures.insert(0, _compared(_("Accounts billed"), report.payers, paid_before))
    for currency in sorted({*report.totals, *before}):
        was = before.get(currency)
        net, tax, rounded, total = (
            sums_.get(currency, 0) for sums_ in (report.net, report.tax, report.rounding, report.totals)
        )
        figures += [
            _compared(
                _("Net, %(currency)s", currency=currency),
                net,
                (was.net_minor if was else 0) if last else None,
                currency,
            ),
            _compared(
                _("Tax, %(currency)s", currency=currency),
                tax,
                (was.tax_minor if was else 0) if last else None,
                currency,
            ),
        ]
        if rounded or (was and was.rounding_minor):
            figures.append(
                _compared(
                    _("Rounding, %(currency)s", currency=currency),
                    rounded,
                    (was.rounding_minor if was else 0) if last else None,
                    currency,
                )
            )
        figures += [
            _compared(
                _("Total, %(currency)s", currency=currency),
                total,
                (was.total_minor if was else 0) if last else None,
                currency,
                strong=True,
            ),
        ]
    if len(report.totals) == 1 and report.invoices:
        ((currency, total),) = report.totals.items()
        was = before.get(currency)
        mean = was.total_minor // was.invoices if was and was.invoices else None
        figures.append(
            _compared(_("Mean invoice, %(currency)s", currency=currency), total // report.invoices, mean, currency)
        )
    figures.append(_compared(_("Parked"), len(report.parked), last.parked if last else None, parked=True))
    return figures


class DifferenceItem(Struct, frozen=True, kw_only=True):
    payer_id: int
    payer: str
    currency: str
    last: str
    this: str
    change: str


def difference_of(found: PayerDifference) -> DifferenceItem:
    change = found.minor - found.before_minor
    return DifferenceItem(
        payer_id=found.payer_id,
        payer=found.payer,
        currency=found.currency,
        last=format_amount(found.before_minor, found.currency),
        this=format_amount(found.minor, found.currency),
        change=("+" if change > 0 else "") + format_amount(change, found.currency),
    )


class ProductItem(Struct, frozen=True, kw_only=True):
    product: str
    currency: str
    lines: int
    net: str


def product_items(found: Sequence[ProductTotal]) -> list[ProductItem]:
    return [
        ProductItem(
            product=each.product or _("By hand"),
            currency=each.currency,
            lines=each.lines,
            net=format_amount(each.net_minor, each.currency),
        )
        for each in found
    ]


class ParkedItem(Struct, frozen=True, kw_only=True):
    """A customer that could not be billed, why, and where that is mended."""

    payer_id: int
    payer: str
    why: str
    href: str


def parked_item(payer_id: int, payer: str, reason: str, detail: str = "") -> ParkedItem:
    tab = MEND_AT_CUSTOMER.get(reason, "")
    why = parked_reason(reason)
    return ParkedItem(
        payer_id=payer_id,
        payer=payer,
        why=f"{why} {detail}" if detail and detail != why else why,
        href=f"/customers/{payer_id}/{tab}".rstrip("/"),
    )


class ParkedReason(Struct, frozen=True, kw_only=True):
    """How many are parked for one reason. `fix` and `href`: the way to mend them all, where there is one."""

    why: str
    count: int
    fix: str
    href: str


def parked_reasons(reasons: Sequence[str]) -> list[ParkedReason]:
    """By reason, the most frequent first."""
    counts = {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}
    return [
        ParkedReason(
            why=parked_reason(reason),
            count=count,
            fix=_(MEND[reason][0]) if reason in MEND else "",
            href=MEND.get(reason, ("", ""))[1],
        )
        for reason, count in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    ]


def parked_items(found: Sequence[ParkedRow]) -> list[ParkedItem]:
    return [parked_item(each.payer_id, each.payer, each.reason, each.detail) for each in found]


def seen_of(report: RunReport) -> str:
    """What a preview said, to tell whether another one of the same date says the same."""
    return msgspec.json.encode([report.invoices, sorted(report.totals.items()), len(report.parked)]).decode()


def issue_words(report: RunReport) -> str:
    """Issue 4,301 invoices."""
    return ngettext(
        "Issue %(count)s invoice", "Issue %(count)s invoices", report.invoices, count=number(report.invoices)
    )


def question_words(report: RunReport, locale: str) -> str:
    """Issue 4,301 invoices for €236,392.80?"""
    sums = f" {_('and')} ".join(
        format_money(minor, currency, locale).replace(" ", "\N{NO-BREAK SPACE}")
        for currency, minor in sorted(report.totals.items())
    )
    return ngettext(
        "Issue %(count)s invoice for %(sums)s?",
        "Issue %(count)s invoices for %(sums)s?",
        report.invoices,
        count=number(report.invoices),
        sums=sums,
    )


def looked_words(report: RunReport) -> str:
    """I have looked at the 14 parked accounts and the 12 differences"""
    parked, differing = len(report.parked), report.differing
    accounts = ngettext("the 1 parked account", "the %(count)s parked accounts", parked, count=number(parked))
    differences = ngettext("the 1 difference", "the %(count)s differences", differing, count=number(differing))
    if parked and differing:
        return _("I have looked at %(accounts)s and %(differences)s", accounts=accounts, differences=differences)
    what = accounts if parked else differences if differing else _("the figures")
    return _("I have looked at %(what)s", what=what)


def progress_of(run: RunRow, *, at_work: bool) -> RunningJob:
    """A run as the card of a job: how many payers it has come past."""
    percent = min(100, run.payers_done * 100 // run.payers_total) if run.payers_total else None
    return RunningJob(
        id=run.id,
        label=_(
            "Issuing, %(done)s of %(total)s accounts",
            done=number(run.payers_done),
            total=number(max(run.payers_total, run.payers_done)),
        ),
        href=f"/billing/runs/{run.id}",
        state="running" if at_work else "parked",
        percent=percent,
        detail=ngettext(
            "%(count)s invoice issued", "%(count)s invoices issued", run.invoices, count=number(run.invoices)
        ),
        events=f"/billing/runs/{run.id}/events",
    )


def renewals_of(run: RunRow, last: RunRow | None) -> list[Compared]:
    """What balances paid for and what they did not, each leading to the customers; nothing where nothing is prepaid."""
    found = []
    for label, key, this, before in (
        (_("Prepaid, renewed"), "renewed", run.renewed, last.renewed if last else None),
        (_("Prepaid, not covered"), "not_covered", run.not_covered, last.not_covered if last else None),
    ):
        if this or before:
            each = _compared(label, this, before, parked=key == "not_covered")
            href = f"/billing/renewals?run={run.id}&outcome={key}" if this else ""
            found.append(msgspec.structs.replace(each, href=href))
    return found


def figures_of(
    run: RunRow,
    sums: Sequence[RunSums],
    undelivered: int,
    last: RunRow | None = None,
    last_sums: Sequence[RunSums] = (),
) -> list[Compared]:
    """What a run billed, by currency, beside the run that it is measured by; and what is still to be sent."""
    found = [
        _compared(_("Invoices"), run.invoices, last.invoices if last else None),
        _compared(_("Lines"), run.charges, last.charges if last else None),
    ]
    now, before = {each.currency: each for each in sums}, {each.currency: each for each in last_sums}
    for currency in sorted({*now, *before}):
        this, was = now.get(currency), before.get(currency)
        for label, name in (
            (_("Net, %(currency)s", currency=currency), "net_minor"),
            (_("Tax, %(currency)s", currency=currency), "tax_minor"),
            (_("Rounding, %(currency)s", currency=currency), "rounding_minor"),
            (_("Total, %(currency)s", currency=currency), "total_minor"),
        ):
            if name == "rounding_minor" and not any(each and each.rounding_minor for each in (this, was)):
                continue
            found.append(
                _compared(
                    label,
                    getattr(this, name) if this else 0,
                    (getattr(was, name) if was else 0) if last else None,
                    currency,
                    strong=name == "total_minor",
                )
            )
    parked = _compared(_("Parked"), run.parked, last.parked if last else None, parked=True)
    found.append(msgspec.structs.replace(parked, unusual=run.parked > 0))
    found += renewals_of(run, last)
    if undelivered:
        found.append(Compared(label=_("Still to send"), this=number(undelivered)))
    return found
