"""What the reports show: each as a sheet."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlencode

from msgspec import Meta, Struct

from core.ledger.accounts import Code, account_name
from core.ledger.queries import closed_until
from core.money import Money, format_amount
from core.payments.pages import WHAT
from core.periods import Cycle, nth
from core.reports.sheets import Column, Line, Sheet
from core.reports.taxes import PARTS, TaxFilter
from core.texts import N_, _, locale_now, ngettext, pgettext
from core.web.amounts import percent_text
from core.web.parts import TabItem
from core.web.templating import month_written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from litestar import Response

    from core.billing.recognition import ScheduledRevenue
    from core.ledger.schemas import TrialBalanceRow
    from core.reports.journal import JournalPosting
    from core.reports.receivables import Aged, Booked, OpenItem
    from core.reports.revenue import Earned
    from core.reports.taxes import TaxedDocument, TaxReport, TaxSum
    from core.scope import Scope
    from core.web.view import PageView

TABS: Final = (
    ("/ledger", N_("Trial balance")),
    ("/ledger/journal", N_("Journal")),
    ("/ledger/receivables", N_("Receivables")),
    ("/ledger/revenue", N_("Revenue")),
    ("/ledger/deferred", N_("Deferred revenue")),
    ("/ledger/tax", N_("Tax")),
    ("/ledger/accounts", N_("Accounts")),
    ("/ledger/closing", N_("Export and closing")),
)
KINDS: Final = {
    **WHAT,
    "recognition": N_("Revenue recognised"),
    "withdrawal": N_("Withdrawn"),
}
ACCOUNT_KINDS: Final = {
    "asset": N_("Asset"),
    "liability": N_("Liability"),
    "income": N_("Income"),
    "expense": N_("Expense"),
    "either": N_("Income or expense"),
    "technical": N_("Technical"),
}
CODES: Final = {
    "S": N_("Standard"),
    "AE": N_("Reverse charge"),
    "E": N_("Exempt"),
    "O": N_("Outside the scope"),
    "Z": N_("Zero rate"),
}


class Period(Struct, frozen=True, kw_only=True):
    """Days of a report, both included."""

    since: date | None = None
    until: date | None = None


class Day(Struct, frozen=True, kw_only=True):
    on: date | None = None


class TaxedForm(Period, frozen=True, kw_only=True):
    """A line of the tax report, as its address says it; "-": a country or VAT id that is not told."""

    part: Annotated[str, Meta(max_length=20)] = ""
    country: Annotated[str, Meta(pattern="^([A-Z]{2}|-)?$")] = ""
    code: Annotated[str, Meta(pattern="^[A-Z]{0,2}$")] = ""
    rate: Annotated[str, Meta(max_length=7, pattern="^[0-9]*$")] = ""
    customer: Annotated[str, Meta(max_length=19, pattern="^[0-9]*$")] = ""
    vat_id: Annotated[str, Meta(max_length=40)] = ""

    @property
    def wanted(self) -> TaxFilter:
        return TaxFilter(
            part=self.part or None,
            country=_said(self.country),
            code=self.code or None,
            rate_ppm=int(self.rate) if self.rate else None,
            customer_id=int(self.customer) if self.customer else None,
            vat_id=_said(self.vat_id),
        )


def _said(text: str) -> str | None:
    return None if not text else "" if text == "-" else text


class JournalForm(Struct, frozen=True, kw_only=True):
    since: date | None = None
    until: date | None = None
    account: Annotated[str, Meta(max_length=20)] = ""
    customer: Annotated[str, Meta(max_length=19, pattern="^[0-9]*$")] = ""
    kind: Annotated[str, Meta(max_length=40)] = ""


def tabs(path: str) -> list[TabItem]:
    return [TabItem(label=_(label), href=href, current=href == path) for href, label in TABS]


def kind_words(kind: str) -> str:
    return _(KINDS.get(kind, kind.replace("_", " ").capitalize()))


def this_year(scope: Scope) -> tuple[date, date]:
    """From its first day until today."""
    return scope.today().replace(month=1, day=1), scope.today()


def last_month(scope: Scope) -> tuple[date, date]:
    """The month before this one: what a report to the authorities is mostly about."""
    first = nth(scope.today().replace(day=1), Cycle("month"), -1)
    return first, scope.today().replace(day=1) - timedelta(days=1)


def _trial_sums(found: Sequence[TrialBalanceRow], base: str) -> list[Line]:
    """Debit and credit of each currency, which are the same; last what it all comes to in the tenant's own."""
    by_currency: dict[str, list[TrialBalanceRow]] = {}
    for each in found:
        by_currency.setdefault(each.currency, []).append(each)
    whole = Money(sum(each.base_minor for each in found), base)
    lines = []
    for currency, some in sorted(by_currency.items()):
        opening, change = sum(each.opening_minor for each in some), sum(each.balance_minor for each in some)
        sums = (
            opening,
            sum(each.debit_minor for each in some),
            sum(each.credit_minor for each in some),
            change,
            opening + change,
        )
        alone = whole if len(by_currency) == 1 and currency == base else None
        label = _("Sum, %(currency)s", currency=currency)
        lines.append(Line((label, None, currency, *[Money(one, currency) for one in sums], alone)))
    if found and lines[-1].cells[-1] is None:
        lines.append(Line((_("Sum in %(currency)s", currency=base), *[None] * 7, whole)))
    return lines


def trial_sheet(found: Sequence[TrialBalanceRow], base: str, asked: str) -> Sheet:
    columns = [
        Column("code", _("Account"), role="meta"),
        Column("name", _("Name"), role="name"),
        Column("currency", _("Currency"), role="status"),
        Column("opening", _("Before"), "money"),
        Column("debit", _("Debit"), "money"),
        Column("credit", pgettext("ledger", "Credit"), "money"),
        Column("change", _("Change"), "money"),
        Column("closing", _("Balance"), "money", role="amount"),
        Column("base", _("Change in %(currency)s", currency=base), "money"),
    ]
    return Sheet(
        key="trial-balance",
        title=_("Trial balance"),
        columns=columns,
        lines=[
            Line(
                (
                    each.code,
                    account_name(each.code, each.name),
                    each.currency,
                    Money(each.opening_minor, each.currency),
                    Money(each.debit_minor, each.currency),
                    Money(each.credit_minor, each.currency),
                    Money(each.balance_minor, each.currency),
                    Money(each.opening_minor + each.balance_minor, each.currency),
                    Money(each.base_minor, base),
                ),
                {"code": f"/ledger/journal?account={each.code}{asked}"},
            )
            for each in found
        ],
        totals=_trial_sums(found, base),
        empty=_("Nothing was booked in these days"),
        cards=True,
    )


JOURNAL: Final = (
    ("transaction", N_("Transaction"), "number", ""),
    ("booked_on", N_("Booked"), "date", "meta"),
    ("what", N_("What"), "text", "name"),
    ("reference", N_("Document"), "text", ""),
    ("account", N_("Account"), "text", "status"),
    ("export_number", N_("Export number"), "text", "csv"),
    ("customer_id", N_("Customer no."), "number", "csv"),
    ("customer", N_("Customer"), "text", ""),
    ("product", N_("Product"), "text", ""),
    ("currency", N_("Currency"), "text", ""),
    ("debit", N_("Debit"), "money", ""),
    ("credit", N_("Credit"), "money", "amount"),
    ("base", N_("In the tenant's currency"), "money", "csv"),
)


def journal_columns() -> list[Column]:
    return [
        Column(
            key,
            pgettext("ledger", "Credit") if key == "credit" else _(label),
            kind,  # type: ignore[arg-type]  # one of its literals
            role="" if role == "csv" else role,
            only_csv=role == "csv",
        )
        for key, label, kind, role in JOURNAL
    ]


def journal_line(each: JournalPosting, base: str, *, begins: bool = True) -> Line:
    amount = Money(abs(each.amount_minor), each.currency)
    links = {}
    if each.document_id is not None:
        links["reference"] = f"/invoices/{each.document_id}"
    elif each.source_kind == "payment":
        links["what"] = f"/payments/{each.source_id}"
    if each.customer_id is not None:
        links["customer"] = f"/customers/{each.customer_id}"
    links["account"] = f"/ledger/journal?account={each.code}"
    return Line(
        (
            each.transaction_id,
            each.booked_on,
            kind_words(each.kind),
            each.reference,
            f"{each.code} {account_name(each.code, each.account)}",
            each.export_number,
            each.customer_id,
            each.customer,
            each.product,
            each.currency,
            amount if each.amount_minor > 0 else None,
            amount if each.amount_minor < 0 else None,
            Money(each.base_minor, base),
        ),
        links,
        begins,
    )


def journal_sheet(found: Sequence[JournalPosting], base: str) -> Sheet:
    lines, last = [], 0
    for each in found:
        lines.append(journal_line(each, base, begins=each.transaction_id != last))
        last = each.transaction_id
    return Sheet(
        key="journal",
        title=_("Journal"),
        columns=journal_columns(),
        lines=lines,
        empty=_("Nothing is booked like this"),
    )


def aged_sheets(
    day: date, all_of_it: Sequence[Aged], by_customer: Sequence[Aged], books: Sequence[Booked]
) -> list[Sheet]:
    in_books = {each.currency: each.amount_minor for each in books}
    ages = [
        Column("current", _("Not due"), "money"),
        Column("to_30", _("1 to 30 days"), "money"),
        Column("to_60", _("31 to 60"), "money"),
        Column("to_90", _("61 to 90"), "money"),
        Column("over_90", _("Over 90"), "money"),
        Column("total", pgettext("invoice", "Open"), "money", role="amount"),
    ]

    def money(each: Aged) -> tuple[Money, ...]:
        return tuple(
            Money(minor, each.currency)
            for minor in (
                each.current_minor,
                each.to_30_minor,
                each.to_60_minor,
                each.to_90_minor,
                each.over_90_minor,
                each.total_minor,
            )
        )

    missing = [currency for currency in in_books if currency not in {each.currency for each in all_of_it}]
    return [
        Sheet(
            key="aged-receivables",
            title=_("By age"),
            columns=[
                Column("currency", _("Currency"), role="name"),
                Column("documents", _("Invoices"), "number"),
                *ages,
                Column("books", _("In the books, 1100"), "money"),
                Column("difference", _("Difference"), "money"),
            ],
            lines=[
                Line(
                    (
                        each.currency,
                        each.documents,
                        *money(each),
                        Money(in_books.get(each.currency, 0), each.currency),
                        Money(each.total_minor - in_books.get(each.currency, 0), each.currency),
                    )
                )
                for each in all_of_it
            ]
            + [
                Line(
                    (
                        currency,
                        0,
                        *[Money(0, currency)] * 6,
                        Money(in_books[currency], currency),
                        Money(-in_books[currency], currency),
                    )
                )
                for currency in missing
            ],
            empty=_("Nothing was open on this day"),
        ),
        Sheet(
            key="receivables-by-customer",
            title=_("By customer"),
            cards=True,
            columns=[
                Column("customer_id", _("Customer no."), "number", only_csv=True),
                Column("customer", _("Customer"), role="name"),
                Column("currency", _("Currency"), role="status"),
                Column("documents", _("Invoices"), "number"),
                *ages,
            ],
            lines=[
                Line(
                    (each.customer_id, each.customer, each.currency, each.documents, *money(each)),
                    {"customer": f"/customers/{each.customer_id}/transactions"},
                )
                for each in by_customer
            ],
            empty=_("Nobody owed anything on this day"),
        ),
    ]


ITEMS: Final = (
    ("number", N_("Number"), "text", "name"),
    ("customer_id", N_("Customer no."), "number", "csv"),
    ("customer", N_("Customer"), "text", "meta"),
    ("issued_on", N_("Issued"), "date", ""),
    ("due_on", N_("Due"), "date", "status"),
    ("days_overdue", N_("Days overdue"), "number", ""),
    ("currency", N_("Currency"), "text", ""),
    ("total", N_("Total"), "money", ""),
    ("open", N_("Open"), "money", "amount"),
)


def item_columns() -> list[Column]:
    return [
        Column(
            key,
            pgettext("invoice", "Open") if key == "open" else _(label),
            kind,  # type: ignore[arg-type]  # one of its literals
            role="" if role == "csv" else role,
            only_csv=role == "csv",
        )
        for key, label, kind, role in ITEMS
    ]


def item_line(each: OpenItem) -> Line:
    return Line(
        (
            each.number,
            each.customer_id,
            each.customer,
            each.issued_on,
            each.due_on,
            max(each.days_overdue, 0),
            each.currency,
            Money(each.total_minor, each.currency),
            Money(each.open_minor, each.currency),
        ),
        {"number": f"/invoices/{each.id}", "customer": f"/customers/{each.customer_id}"},
    )


def items_sheet(found: Sequence[OpenItem]) -> Sheet:
    return Sheet(
        key="open-items",
        title=_("Open items"),
        cards=True,
        columns=item_columns(),
        lines=[item_line(each) for each in found],
        empty=_("Nothing was open on this day"),
    )


def revenue_sheet(found: Sequence[Earned], months: Sequence[date], base: str) -> Sheet:
    """A line a product of revenue and an account of other income, a column a month."""
    sums: dict[tuple[str, str], dict[date, int]] = {}
    for each in found:
        code = each.code
        what = each.product or (_("Without a product") if code == Code.REVENUE else "")
        name = account_name(code, each.account)
        sums.setdefault((code, f"{name}: {what}" if what else name), {})[each.month] = each.amount_minor + sums.get(
            (code, f"{name}: {what}" if what else name), {}
        ).get(each.month, 0)

    def line(cells: tuple[str, ...], by_month: dict[date, int]) -> Line:
        return Line(
            (
                *cells,
                *(Money(by_month.get(month, 0), base) for month in months),
                Money(sum(by_month.values()), base),
            )
        )

    total: dict[date, int] = {}
    for each in found:
        total[each.month] = total.get(each.month, 0) + each.amount_minor
    return Sheet(
        key="revenue",
        title=_("Revenue, %(currency)s", currency=base),
        columns=[
            Column("account", _("Account"), role="meta"),
            Column("product", _("Product"), role="name"),
            *(
                Column(month.isoformat()[:7], month.isoformat()[:7], "money", head=month_written(month, locale_now()))
                for month in months
            ),
            Column("total", _("Sum"), "money", role="amount"),
        ],
        lines=[line((code, name), by_month) for (code, name), by_month in sums.items()],
        totals=[line((_("Sum"), ""), total)] if found else [],
        empty=_("Nothing was earned in these months"),
    )


def deferred_sheet(found: Sequence[ScheduledRevenue], base: str) -> Sheet:
    left: dict[str, int] = {}
    for each in found:
        left[each.currency] = left.get(each.currency, 0) + each.amount_minor
    lines = []
    for each in sorted(found, key=lambda each: (each.month or date.max, each.currency)):
        left[each.currency] -= each.amount_minor
        lines.append(
            Line(
                (
                    each.month or _("When it is paid and begins"),
                    each.currency,
                    Money(each.amount_minor, each.currency),
                    Money(left[each.currency], each.currency),
                    Money(each.base_minor, base),
                )
            )
        )
    whole = Money(sum(each.base_minor for each in found), base)
    one_currency = {each.currency for each in found} <= {base}
    return Sheet(
        key="deferred-revenue",
        title=_("Becomes revenue"),
        columns=[
            Column("month", _("Month"), "month", role="name"),
            Column("currency", _("Currency"), role="meta"),
            Column("amount", _("Becomes revenue"), "money", role="amount"),
            Column("left", _("Deferred after it"), "money"),
            Column("base", _("In %(currency)s", currency=base), "money"),
        ],
        lines=lines,
        totals=[Line((_("Sum, %(currency)s", currency=base), "", whole if one_currency else None, None, whole))]
        if found
        else [],
        empty=_("Nothing is deferred"),
    )


async def closing_page(view: PageView, typed: Mapping[str, str], errors: dict[str, str]) -> Response[str]:
    """Until when the books are closed, and the files for the accountant."""
    first, last = last_month(view.scope)
    return view.page(
        "reports/closing.html",
        status=422 if errors else 200,
        tabs=tabs("/ledger/closing"),
        closed=await closed_until(),
        may_close=view.scope.may("ledger.close"),
        may_edit=view.scope.may("ledger.edit"),
        since=typed.get("since") or first.isoformat(),
        until=typed.get("until") or last.isoformat(),
        errors=errors,
    )


def tax_sheets(found: TaxReport, since: date, until: date) -> list[Sheet]:
    base = found.currency
    days = {"since": since.isoformat(), "until": until.isoformat()}
    in_journal = {"part": f"/ledger/journal?{urlencode({**days, 'account': Code.TAX_PAYABLE})}"}
    totals = [Line((_("Sum"), "", "", None, None, Money(found.net_minor, base), Money(found.tax_minor, base)))]
    totals.append(
        Line((_("Booked on 2200"), "", "", None, None, None, Money(found.booked_minor, base)), in_journal)
        if not found.other_minor
        else Line(
            (
                _("Booked on 2200, %(other)s of it not by documents", other=format_amount(found.other_minor, base)),
                "",
                "",
                None,
                None,
                None,
                Money(found.booked_minor, base),
            ),
            in_journal,
        )
    )
    return [
        Sheet(
            key="tax",
            title=_("By country and rate, %(currency)s", currency=base),
            cards=True,
            columns=[
                Column("part", _("Part"), role="name"),
                Column("country", _("Country"), role="meta"),
                Column("category", _("Category")),
                Column("rate", _("Rate"), "rate", role="status"),
                Column("documents", _("Documents"), "number"),
                Column("net", _("Net"), "money"),
                Column("tax", _("Tax"), "money", role="amount"),
            ],
            lines=[
                Line(
                    (
                        _(PARTS[each.part]),
                        each.country,
                        _(CODES.get(each.code, each.code)),
                        each.rate_ppm,
                        each.documents,
                        Money(each.net_minor, base),
                        Money(each.tax_minor, base),
                    ),
                    {
                        "part": f"/ledger/journal?{urlencode({**days, 'account': Code.FORFEITED_CREDIT})}"
                        if each.part == "forfeited"
                        else _documents_of(
                            days, part=each.part, country=each.country or "-", code=each.code, rate=each.rate_ppm
                        )
                    },
                )
                for each in found.lines
            ],
            totals=totals if found.lines or found.booked_minor else [],
            empty=_("Nothing was issued in these days"),
        ),
        Sheet(
            key="reverse-charge",
            title=_("Reverse charge by VAT id, %(currency)s", currency=base),
            cards=True,
            columns=[
                Column("vat_id", _("VAT id"), role="name"),
                Column("country", _("Country"), role="status"),
                Column("customer_id", _("Customer no."), "number", only_csv=True),
                Column("customer", _("Customer"), role="meta"),
                Column("documents", _("Documents"), "number"),
                Column("net", _("Net"), "money", role="amount"),
            ],
            lines=[
                Line(
                    (
                        each.vat_id,
                        each.country,
                        each.customer_id,
                        each.name,
                        each.documents,
                        Money(each.net_minor, base),
                    ),
                    {
                        "vat_id": _documents_of(
                            days,
                            part="reverse_charge",
                            country=each.country or "-",
                            customer=each.customer_id,
                            vat_id=each.vat_id or "-",
                        ),
                        "customer": f"/customers/{each.customer_id}",
                    },
                )
                for each in found.reverse_charged
            ],
            empty=_("No reverse charge in these days"),
        ),
    ]


def _documents_of(days: dict[str, str], **line: object) -> str:
    return f"/ledger/tax/documents?{urlencode({**days, **line})}"


def taxed_columns() -> list[Column]:
    return [
        Column("number", _("Number"), role="name"),
        Column("kind", _("What"), role="status"),
        Column("issued", _("Issued"), "date"),
        Column("customer_id", _("Customer no."), "number", only_csv=True),
        Column("customer", _("Customer"), role="meta"),
        Column("vat_id", _("VAT id")),
        Column("net", _("Net"), "money"),
        Column("tax", _("Tax"), "money", role="amount"),
    ]


def taxed_line(each: TaxedDocument, base: str) -> Line:
    return Line(
        (
            each.number,
            _("Credit note") if each.kind == "credit_note" else _("Invoice"),
            each.issued_on,
            each.customer_id,
            each.name,
            each.vat_id,
            Money(each.net_minor, base),
            Money(each.tax_minor, base),
        ),
        {"number": f"/invoices/{each.id}", "customer": f"/customers/{each.customer_id}"},
    )


def taxed_sheet(found: Sequence[TaxedDocument], total: TaxSum, base: str) -> Sheet:
    """The documents of a line of the tax report. The sum is that of all of them, on however many pages."""
    summed = Line(
        (_("Sum"), "", None, None, "", "", Money(total.net_minor, base), Money(total.tax_minor, base)),
    )
    return Sheet(
        key="taxed",
        title=ngettext("%(num)s document", "%(num)s documents", total.documents),
        cards=True,
        columns=taxed_columns(),
        lines=[taxed_line(each, base) for each in found],
        totals=[summed] if found else [],
        empty=_("Nothing was issued in these days"),
    )


def taxed_words(form: TaxedForm) -> str:
    """Which line of the tax report it is, in words."""
    said = [
        _(PARTS[form.part]) if form.part in PARTS else "",
        form.country.strip("-"),
        form.vat_id.strip("-"),
        percent_text(int(form.rate)) if form.rate else "",
    ]
    return " · ".join(each for each in said if each)
