"""Pages of the books: trial balance, journal, receivables, revenue, deferred revenue, tax, accounts, closing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar
from urllib.parse import urlencode

from litestar import Response
from litestar.params import FromPath
from litestar.response import Stream
from msgspec import Meta, Struct
from msgspec.structs import replace

from core.billing.recognition import close_until, months_due, recognise, schedule_of_revenue
from core.database import bind, current
from core.errors import Invalid, NotFound
from core.hooks import Permission
from core.ledger import queries as ledger
from core.ledger.accounts import account_name
from core.ledger.books import change_account
from core.ledger.schemas import AccountChange
from core.money import format_amount
from core.reports import journal, pages, receivables, revenue, sheets, taxes
from core.reports.sheets import Column, Line, Sheet
from core.texts import N_, _
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, show_plan
from core.web.forms import checked, from_form
from core.web.parts import Choice, Field
from core.web.reach import check_sees_everyone
from core.web.routing import get, post
from core.web.templating import month_written, written
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.billing.recognition import Recognised
    from core.scope import Scope
    from core.web.view import PageView

PERMISSIONS: Final = (
    Permission("ledger.edit", N_("Name accounts and say how they are exported")),
    Permission("ledger.close", N_("Close the books and recognise revenue")),
)
OF_A_PAGE: Final = 50
ITEMS_OF_A_PAGE: Final = 100

F = TypeVar("F", bound=Struct)


def _asked_for(view: PageView, into: type[F]) -> tuple[F, dict[str, str]]:
    """The address's parameters as a form; what is wrong in it stands by its field, and nothing of it is used."""
    names = set(into.__struct_fields__)
    try:
        given = {name: [text] for name, text in view.query.items() if name in names and text}
        return from_form(into, given), {}
    except Invalid as error:
        return into(), errors_by_field(error)


def _page(
    view: PageView,
    path: str,
    title: str,
    sub: str,
    found: Sequence[Sheet],
    *,
    fields: Sequence[Field] = (),
    errors: dict[str, str] | None = None,
    **more: Any,
) -> Response[str]:
    kept = {name: text for name, text in view.query.items() if name not in ("format", "sheet", "before", "after")}
    template = more.pop("template", "reports/sheets.html")
    tab = more.pop("tab", path)
    more = {"strips": [], "latest": "", "older": "", **more}
    return view.page(
        template,
        status=422 if errors else 200,
        tabs=pages.tabs(tab),
        path_of_report=path,
        title=title,
        sub=sub,
        sheets=[
            {
                "sheet": sheet,
                "columns": [(column.head or column.label, sheets.classes(column)) for column in sheet.shown],
                "lines": list(zip(sheets.drawn(sheet, sheet.lines, view.scope.locale), sheet.lines, strict=True)),
                "totals": sheets.drawn(sheet, sheet.totals, view.scope.locale),
                "csv": f"{path}?{urlencode({**kept, 'format': 'csv', 'sheet': sheet.key})}",
            }
            for sheet in found
        ],
        fields=fields,
        values={field.name: view.query.get(field.name, field.value) for field in fields},
        errors=errors or {},
        **more,
    )


def _wants_csv(view: PageView, found: Sequence[Sheet], errors: dict[str, str]) -> Stream | None:
    if view.query.get("format") != "csv" or errors:
        return None
    wanted = view.query.get("sheet", found[0].key)
    sheet = next((each for each in found if each.key == wanted), None)
    if sheet is None:
        raise NotFound(f"sheet {wanted}")
    return sheets.csv_of(view.scope, sheet)


def _period_fields(since: date | None, until: date | None) -> list[Field]:
    return [
        Field(name="since", label=_("From"), kind="date", value=since.isoformat() if since else ""),
        Field(name="until", label=_("To, included"), kind="date", value=until.isoformat() if until else ""),
    ]


# -- trial balance ----------------------------------------------------------------------------------------------------


@get("/ledger", permission="ledger.view")
async def show_trial_balance(view: View) -> Response[str] | Stream:
    check_sees_everyone(view.scope)
    period, errors = _asked_for(view, pages.Period)
    found = await ledger.trial_balance(since=period.since, until=period.until)
    days = {name: day.isoformat() for name, day in (("since", period.since), ("until", period.until)) if day}
    sheet = pages.trial_sheet(found, view.scope.tenant.currency, f"&{urlencode(days)}" if days else "")
    if file := _wants_csv(view, [sheet], errors):
        return file
    return _page(
        view,
        "/ledger",
        _("Trial balance"),
        _("Every account with what was booked on it. Debit is positive; all balances together are 0."),
        [sheet],
        fields=_period_fields(None, None),
        errors=errors,
    )


# -- journal ----------------------------------------------------------------------------------------------------------


@get("/ledger/journal", permission="ledger.view")
async def show_journal(view: View) -> Response[str] | Stream:
    """What was booked, the newest first; the file holds all that is asked for of a period, the earliest first."""
    scope = view.scope
    check_sees_everyone(scope)
    form, errors = _asked_for(view, pages.JournalForm)
    wanted = journal.JournalFilter(
        since=form.since,
        until=form.until,
        account=form.account,
        customer_id=int(form.customer) if form.customer else None,
        kind=form.kind,
    )
    if view.query.get("format") == "csv" and not errors:
        days = {"since": form.since or pages.this_year(scope)[0], "until": form.until or scope.today()}
        await journal.list_journal(wanted, limit=1)  # what cannot be asked for is refused before the file begins
        lines = _journal_lines(replace(wanted, **days), scope.tenant.currency)
        return sheets.csv_of_stream(scope, "journal", pages.journal_columns(), lines)
    accounts = await ledger.list_accounts()
    found, more = await journal.list_journal(wanted, before=_place(view.query.get("before", "")), limit=OF_A_PAGE)
    kept = {name: text for name, text in view.query.items() if name not in ("before", "format", "sheet") and text}
    account = next((each for each in accounts if each.code == form.account), None)
    return _page(
        view,
        "/ledger/journal",
        _("Journal"),
        f"{account.code} {account_name(account.code, account.name)}"
        if account
        else _("Everything that was ever booked, with what it was booked for."),
        [pages.journal_sheet(found, scope.tenant.currency)],
        fields=[
            *_period_fields(form.since, form.until),
            Field(
                name="account",
                label=_("Account"),
                kind="select",
                choices=[
                    Choice("", _("Any")),
                    *(Choice(each.code, f"{each.code} {account_name(each.code, each.name)}") for each in accounts),
                ],
            ),
            Field(
                name="kind",
                label=_("What"),
                kind="select",
                choices=[
                    Choice("", _("Any")),
                    *sorted((Choice(each, pages.kind_words(each)) for each in pages.KINDS), key=lambda one: one.label),
                ],
            ),
            Field(name="customer", label=_("Customer no."), max_length=19),
        ],
        errors=errors,
        strips=await _account_figures(form, account.code, scope.tenant.currency) if account else [],
        latest=f"/ledger/journal?{urlencode(kept)}" if "before" in view.query else "",
        older=f"/ledger/journal?{urlencode({**kept, 'before': f'{more[0].isoformat()}.{more[1]}'})}" if more else "",
    )


async def _account_figures(form: pages.JournalForm, code: str, base: str) -> list[list[dict[str, str]]]:
    """What stood on the account before the period, moved in it and stands after it: its statement, in each currency."""
    found = [each for each in await ledger.trial_balance(since=form.since, until=form.until) if each.code == code]
    return [
        [
            {
                "label": _("Before, %(currency)s", currency=each.currency),
                "value": format_amount(each.opening_minor, each.currency),
            },
            {"label": _("Debit"), "value": format_amount(each.debit_minor, each.currency)},
            {"label": _("Credit side"), "value": format_amount(each.credit_minor, each.currency)},
            {
                "label": _("Balance, %(currency)s", currency=each.currency),
                "value": format_amount(each.opening_minor + each.balance_minor, each.currency),
            },
        ]
        for each in sorted(found, key=lambda each: (each.currency != base, each.currency))
    ]


async def _journal_lines(wanted: journal.JournalFilter, base: str) -> AsyncIterator[Line]:
    async for posting in journal.stream_journal(wanted):
        yield pages.journal_line(posting, base)


def _place(text: str) -> tuple[date, int] | None:
    """2026-11-22.123: where a page begins; nothing for what is none."""
    day, _dot, number = text.partition(".")
    try:
        return date.fromisoformat(day), int(number)
    except ValueError:
        return None


# -- receivables ------------------------------------------------------------------------------------------------------


@get("/ledger/receivables", permission="ledger.view")
async def show_receivables(view: View) -> Response[str] | Stream:
    """What is owed, as of any day: by age, by customer, and each document."""
    scope = view.scope
    check_sees_everyone(scope)
    form, errors = _asked_for(view, pages.Day)
    day = form.on or scope.today()
    if view.query.get("format") == "csv" and view.query.get("sheet") == "open-items" and not errors:
        return sheets.csv_of_stream(scope, "open-items", pages.item_columns(), _item_lines(scope, day))
    of_file = view.query.get("format") == "csv"
    found = pages.aged_sheets(
        day,
        await receivables.aged_by_currency(scope, day),
        await receivables.aged_by_customer(scope, day, limit=10**6 if of_file else ITEMS_OF_A_PAGE),
        await receivables.receivable_in_books(day),
    )
    if file := _wants_csv(view, found, errors):
        return file
    items = await receivables.open_items(
        scope, day, after=_place(view.query.get("after", "")), limit=ITEMS_OF_A_PAGE + 1
    )
    more = items[ITEMS_OF_A_PAGE - 1] if len(items) > ITEMS_OF_A_PAGE else None
    here = f"/ledger/receivables?on={day.isoformat()}"
    return _page(
        view,
        "/ledger/receivables",
        _("Receivables"),
        _("What customers owed at the end of a day, by days since it was due."),
        [*found, pages.items_sheet(items[:ITEMS_OF_A_PAGE])],
        fields=[Field(name="on", label=_("On"), kind="date", value=day.isoformat())],
        errors=errors,
        latest=here if "after" in view.query else "",
        older=f"{here}&after={more.due_on.isoformat()}.{more.id}" if more else "",
    )


async def _item_lines(scope: Scope, day: date) -> AsyncIterator[Line]:
    database, after = current(), None
    while True:
        with bind(database):
            found = await receivables.open_items(scope, day, after=after, limit=2000)
        for each in found:
            yield pages.item_line(each)
        if len(found) < 2000:
            return
        after = found[-1].due_on, found[-1].id


# -- revenue ----------------------------------------------------------------------------------------------------------


@get("/ledger/revenue", permission="ledger.view")
async def show_revenue(view: View) -> Response[str] | Stream:
    scope = view.scope
    check_sees_everyone(scope)
    period, errors = _asked_for(view, pages.Period)
    since, until = period.since or pages.this_year(scope)[0], period.until or scope.today()
    if until < since and not errors:
        errors, until = {"until": _("The last day is before the first.")}, since
    months = revenue.months_between(since, until)
    found = await revenue.revenue_by_month(months)
    sheet = pages.revenue_sheet(found, months, scope.tenant.currency)
    if file := _wants_csv(view, [sheet], errors):
        return file
    return _page(
        view,
        "/ledger/revenue",
        _("Revenue"),
        _("What was earned by product and month, as it stands in the books. Whole months, at most 36."),
        [sheet],
        fields=_period_fields(since, until),
        errors=errors,
    )


# -- deferred revenue -------------------------------------------------------------------------------------------------


@get("/ledger/deferred", permission="ledger.view")
async def show_deferred(view: View) -> Response[str] | Stream:
    scope = view.scope
    check_sees_everyone(scope)
    sheet = pages.deferred_sheet(await schedule_of_revenue(), scope.tenant.currency)
    if file := _wants_csv(view, [sheet], {}):
        return file
    due = await months_due(scope.today())
    return _page(
        view,
        "/ledger/deferred",
        _("Deferred revenue"),
        _("What was invoiced for days to come, and the month in which it is earned."),
        [sheet],
        template="reports/deferred.html",
        due=len(due),
        may_recognise=scope.may("ledger.close") and bool(due),
    )


@get("/ledger/recognition", permission="ledger.close")
async def show_recognition(view: View) -> Response[str]:
    """The drawer: what becomes revenue."""
    check_sees_everyone(view.scope)
    return await show_plan(view, _recognition_place(), asked(view), lambda: _recognise(view.scope))


@post("/ledger/recognition", permission="ledger.close")
async def do_recognition(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    await view.read()
    return await do_plan(
        view,
        _recognition_place(),
        lambda: _recognise(view.scope),
        to="/ledger/deferred",
        said=_("Revenue recognised."),
    )


def _recognition_place() -> Place:
    return Place(title=_("Recognise revenue"), asked="/ledger/recognition", sent="/ledger/recognition", options=[])


async def _recognise(scope: Scope) -> ChangePlan:
    done = await recognise(scope)
    return ChangePlan(
        title=_("Recognise revenue"),
        button=_("Recognise revenue") if done else "",
        parts=[_earned(scope, done)],
    )


def _earned(scope: Scope, done: Sequence[Recognised]) -> PlanPart:
    base = scope.tenant.currency
    return PlanPart(
        title=_("Becomes revenue"),
        note=_("from 2300 to 4000, in %(currency)s", currency=base),
        lines=[
            PlanLine(
                text=month_written(each.month, scope.locale),
                value=format_amount(sum(due.base_minor for due in each.sums), base),
            )
            for each in done
        ]
        or [PlanLine(text=_("Nothing is left to recognise"), value=format_amount(0, base))],
    )


# -- tax --------------------------------------------------------------------------------------------------------------


@get("/ledger/tax", permission="ledger.view")
async def show_tax(view: View) -> Response[str] | Stream:
    scope = view.scope
    check_sees_everyone(scope)
    period, errors = _asked_for(view, pages.Period)
    first, last = pages.last_month(scope)
    since, until = period.since or first, period.until or (scope.today() if period.since else last)
    if until < since and not errors:
        errors, until = {"until": _("The last day is before the first.")}, since
    report = await taxes.tax_report(scope.tenant.currency, since, until)
    found = pages.tax_sheets(report, since, until)
    if file := _wants_csv(view, found, errors):
        return file
    return _page(
        view,
        "/ledger/tax",
        _("Tax report"),
        _(
            "Documents issued in these days, in %(currency)s at the official rates that stand on them.",
            currency=scope.tenant.currency,
        ),
        found,
        fields=_period_fields(since, until),
        errors=errors,
    )


@get("/ledger/tax/documents", permission="ledger.view")
async def list_taxed(view: View) -> Response[str] | Stream:
    """The documents that a line of the tax report is made of; their sum is the line."""
    scope = view.scope
    check_sees_everyone(scope)
    form, errors = _asked_for(view, pages.TaxedForm)
    first, last = pages.last_month(scope)
    since, until = form.since or first, form.until or last
    base = scope.tenant.currency
    if view.query.get("format") == "csv" and not errors:
        return sheets.csv_of_stream(
            scope, "taxed", pages.taxed_columns(), _taxed_lines(form.wanted, since, until, base)
        )
    found = await taxes.list_taxed(
        form.wanted, since, until, after=_place(view.query.get("after", "")), limit=ITEMS_OF_A_PAGE + 1
    )
    more = found[ITEMS_OF_A_PAGE - 1] if len(found) > ITEMS_OF_A_PAGE else None
    kept = {name: text for name, text in view.query.items() if name not in ("after", "format", "sheet") and text}
    here = f"/ledger/tax/documents?{urlencode(kept)}"
    total = await taxes.sum_taxed(form.wanted, since, until)
    return _page(
        view,
        "/ledger/tax/documents",
        _("Documents of the tax report"),
        f"{pages.taxed_words(form)} · {written(since, scope.locale)} – {written(until, scope.locale)}".lstrip(" ·"),
        [pages.taxed_sheet(found[:ITEMS_OF_A_PAGE], total, base)],
        errors=errors,
        tab="/ledger/tax",
        latest=here if "after" in view.query else "",
        older=f"{here}&after={more.issued_on.isoformat()}.{more.id}" if more else "",
    )


async def _taxed_lines(wanted: taxes.TaxFilter, since: date, until: date, base: str) -> AsyncIterator[Line]:
    database, after = current(), None
    while True:
        with bind(database):
            found = await taxes.list_taxed(wanted, since, until, after=after, limit=2000)
        for each in found:
            yield pages.taxed_line(each, base)
        if len(found) < 2000:
            return
        after = found[-1].issued_on, found[-1].id


# -- accounts ---------------------------------------------------------------------------------------------------------


@get("/ledger/accounts", permission="ledger.view")
async def list_accounts(view: View) -> Response[str] | Stream:
    check_sees_everyone(view.scope)
    may_edit = view.scope.may("ledger.edit")
    sheet = Sheet(
        key="accounts",
        title=_("Chart of accounts"),
        columns=[
            Column("code", _("Account"), role="meta"),
            Column("name", _("Name"), role="name"),
            Column("kind", _("Kind"), role="status"),
            Column("export_number", _("Export number"), role="amount"),
        ],
        lines=[
            Line(
                (
                    each.code,
                    account_name(each.code, each.name),
                    _(pages.ACCOUNT_KINDS.get(each.kind, each.kind)),
                    each.export_number,
                ),
                {
                    "code": f"/ledger/journal?account={each.code}",
                    **({"name": f"/ledger/accounts/{each.code}"} if may_edit else {}),
                },
            )
            for each in await ledger.list_accounts()
        ],
    )
    if file := _wants_csv(view, [sheet], {}):
        return file
    return _page(
        view,
        "/ledger/accounts",
        _("Chart of accounts"),
        _("The export number is what the accountant's own books call an account."),
        [sheet],
    )


@get("/ledger/accounts/{code:str}", permission="ledger.edit")
async def show_account(view: View, code: FromPath[str]) -> Response[str]:
    return await _account_page(view, code, {})


@post("/ledger/accounts/{code:str}", permission="ledger.edit")
async def save_account(view: View, code: FromPath[str]) -> Response[str]:
    check_sees_everyone(view.scope)
    try:
        await view.read()
        data = checked(AccountChange, {name: texts[-1].strip() for name, texts in view.typed.items()})
        await change_account(view.scope, code, data)
    except Invalid as error:
        return await _account_page(view, code, errors_by_field(error))
    return view.go("/ledger/accounts", _("Account saved."))


async def _account_page(view: PageView, code: str, errors: dict[str, str]) -> Response[str]:
    check_sees_everyone(view.scope)
    found = await ledger.get_account(code)
    return view.page(
        "reports/account.html",
        status=422 if errors else 200,
        tabs=pages.tabs("/ledger/accounts"),
        account=found,
        title=f"{found.code} {account_name(found.code, found.name)}",
        values=view.shown(name=account_name(found.code, found.name), export_number=found.export_number),
        errors=errors,
    )


# -- closing ----------------------------------------------------------------------------------------------------------


class Closing(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    until: date | None = None
    seen: Annotated[str, Meta(max_length=20_000)] = ""


@get("/ledger/closing", permission="ledger.view")
async def show_closing(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    return await pages.closing_page(view, view.query, {})


@get("/ledger/closing/new", permission="ledger.close")
async def ask_closing(view: View) -> Response[str]:
    scope = view.scope
    check_sees_everyone(scope)
    place, typed = await _closing_place(scope), asked(view)
    typed = typed if "until" in typed else {**typed, "until": [place.options[0].value]}
    return await show_plan(view, place, typed, lambda: _close(scope, from_form(Closing, typed)))


@post("/ledger/closing", permission="ledger.close")
async def do_closing(view: View) -> Response[str]:
    scope = view.scope
    check_sees_everyone(scope)
    await view.read()
    return await do_plan(
        view,
        await _closing_place(scope),
        lambda: _close(scope, from_form(Closing, view.typed)),
        to="/ledger/closing",
        said=_("Saved."),
    )


async def _closing_place(scope: Scope) -> Place:
    _first, last = pages.last_month(scope)
    field = Field(
        name="until",
        label=_("Closed until, included"),
        kind="date",
        value=last.isoformat(),
        help=_("Empty opens the books again"),
    )
    return Place(title=_("Close the books"), asked="/ledger/closing/new", sent="/ledger/closing", options=[field])


async def _close(scope: Scope, form: Closing) -> ChangePlan:
    before = await ledger.closed_until()
    done = await close_until(scope, form.until)
    moved = PlanLine(
        text=_("Closed until"),
        before=written(before, scope.locale) if before else _("open"),
        value=written(form.until, scope.locale) if form.until else _("open"),
    )
    return ChangePlan(
        title=_("Close the books") if form.until else _("Open the books"),
        button=_("Close the books") if form.until else _("Open the books"),
        parts=[PlanPart(title=_("Books"), lines=[moved]), *([_earned(scope, done)] if done else [])],
        warnings=[_("Nothing is booked on this day or before it any more.")] if form.until else [],
    )


HANDLERS: Final = (
    show_trial_balance,
    show_journal,
    show_receivables,
    show_revenue,
    show_deferred,
    show_recognition,
    do_recognition,
    show_tax,
    list_taxed,
    list_accounts,
    show_account,
    save_account,
    show_closing,
    ask_closing,
    do_closing,
)
