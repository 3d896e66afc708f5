"""The books over JSON: the figures of the pages. Amounts are in minor units of their currency."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final

from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from core.billing.recognition import Recognised, ScheduledRevenue, close_until, recognise, schedule_of_revenue
from core.errors import Invalid
from core.ids import LARGEST_ID
from core.ledger import queries as ledger
from core.ledger.books import change_account
from core.ledger.schemas import AccountChange, AccountRow
from core.reports import journal, pages, receivables, revenue, taxes
from core.reports.journal import JournalFilter, JournalPosting
from core.reports.receivables import Aged, OpenItem
from core.reports.revenue import Earned
from core.reports.taxes import TaxedDocument, TaxFilter, TaxReport
from core.texts import _
from core.web.jsonapi import Call, Page, api_get, api_post, api_put, decode_cursor, encode_cursor
from core.web.reach import check_sees_everyone

Since = Annotated[date | None, QueryParameter(description="The first day")]
Until = Annotated[date | None, QueryParameter(description="The last day, included")]
On = Annotated[date | None, QueryParameter(description="At the end of this day; without it: today")]
Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]


class AgedReceivables(Struct, frozen=True):
    """What is open by age and currency, and what stands on 1100: the same sums."""

    on: date
    by_currency: list[Aged]
    in_books: list[receivables.Booked]


class BooksState(Struct, frozen=True):
    """The last day of closed books; null while all are open."""

    closed_until: date | None


class BooksClosing(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Close the books up to a day before today, or null to open them."""

    closed_until: date | None


@api_get("/ledger/accounts", permission="ledger.view", summary="The chart of accounts")
async def list_accounts(call: Call) -> list[AccountRow]:
    check_sees_everyone(call.scope)
    return await ledger.list_accounts()


@api_put("/ledger/accounts/{code:str}", permission="ledger.edit", summary="Name an account and say how it is exported")
async def put_account(call: Call, code: FromPath[str], data: JSONBody[AccountChange]) -> AccountRow:
    check_sees_everyone(call.scope)
    await change_account(call.scope, code, data)
    return await ledger.get_account(code)


@api_get(
    "/ledger/journal",
    permission="ledger.view",
    summary="What was booked, the newest first",
    description="Whole transactions, of which a posting is as asked for; `limit` counts transactions.",
)
async def list_journal(
    call: Call,
    since: Since = None,
    until: Until = None,
    account: Annotated[str, QueryParameter(max_length=20, description="Code of an account")] = "",
    customer_id: Annotated[int | None, QueryParameter(description="Only those of one customer")] = None,
    kind: Annotated[str, QueryParameter(max_length=40, description="Kind of transaction, such as invoice")] = "",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page[JournalPosting]:
    check_sees_everyone(call.scope)
    wanted = JournalFilter(since=since, until=until, account=account, customer_id=customer_id, kind=kind)
    before = decode_cursor(cursor, tuple[date, int]) if cursor else None
    found, more = await journal.list_journal(wanted, before=before, limit=limit)
    return Page(items=found, next=encode_cursor(*more) if more else None)


@api_get("/ledger/receivables", permission="ledger.view", summary="What was owed on a day, by age")
async def show_receivables(call: Call, on: On = None) -> AgedReceivables:
    check_sees_everyone(call.scope)
    day = on or call.scope.today()
    return AgedReceivables(
        day, await receivables.aged_by_currency(call.scope, day), await receivables.receivable_in_books(day)
    )


@api_get("/ledger/open-items", permission="ledger.view", summary="Each document open on a day, the oldest due first")
async def list_open_items(call: Call, on: On = None, limit: Limit = 50, cursor: Cursor = "") -> Page[OpenItem]:
    check_sees_everyone(call.scope)
    found = await receivables.open_items(
        call.scope,
        on or call.scope.today(),
        after=decode_cursor(cursor, tuple[date, int]) if cursor else None,
        limit=limit + 1,
    )
    last = found[limit - 1] if len(found) > limit else None
    return Page(items=found[:limit], next=encode_cursor(last.due_on, last.id) if last else None)


@api_get("/ledger/revenue", permission="ledger.view", summary="Income by account, product and month")
async def list_revenue(call: Call, since: Since = None, until: Until = None) -> list[Earned]:
    check_sees_everyone(call.scope)
    first, last = pages.this_year(call.scope)
    return await revenue.revenue_by_month(revenue.months_between(*_in_order(since or first, until or last)))


@api_get("/ledger/deferred-revenue", permission="ledger.view", summary="Deferred revenue by the month that earns it")
async def list_deferred(call: Call) -> list[ScheduledRevenue]:
    check_sees_everyone(call.scope)
    return await schedule_of_revenue()


@api_post(
    "/ledger/recognition",
    permission="ledger.close",
    summary="Recognise the revenue of every month that is over",
    status_code=200,
)
async def recognise_revenue(call: Call) -> list[Recognised]:
    """Gives the months that it did; none where all were done."""
    check_sees_everyone(call.scope)
    return await recognise(call.scope)


@api_get("/ledger/tax", permission="ledger.view", summary="Tax report of documents issued in a period")
async def show_tax(call: Call, since: Since = None, until: Until = None) -> TaxReport:
    check_sees_everyone(call.scope)
    first, last = pages.last_month(call.scope)
    return await taxes.tax_report(call.scope.tenant.currency, *_in_order(since or first, until or last))


@api_get(
    "/ledger/tax/documents",
    permission="ledger.view",
    summary="The documents that a line of the tax report is made of",
    description="The earliest first; each filter is a field of the line. Amounts are in the tenant's currency.",
)
async def list_taxed(
    call: Call,
    since: Since = None,
    until: Until = None,
    part: Annotated[str | None, QueryParameter(max_length=20, description="Such as home or oss")] = None,
    country: Annotated[str | None, QueryParameter(max_length=2, description="Empty: none is told")] = None,
    code: Annotated[str | None, QueryParameter(max_length=2, description="Category, as EN 16931 names it")] = None,
    rate_ppm: Annotated[int | None, QueryParameter(ge=0, le=10**6, description="20 % is 200000")] = None,
    customer_id: Annotated[
        int | None, QueryParameter(ge=1, le=LARGEST_ID, description="Only those of one payer")
    ] = None,
    vat_id: Annotated[str | None, QueryParameter(max_length=40, description="Empty: none is told")] = None,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page[TaxedDocument]:
    check_sees_everyone(call.scope)
    first, last = pages.last_month(call.scope)
    wanted = TaxFilter(part=part, country=country, code=code, rate_ppm=rate_ppm, customer_id=customer_id, vat_id=vat_id)
    found = await taxes.list_taxed(
        wanted,
        *_in_order(since or first, until or last),
        after=decode_cursor(cursor, tuple[date, int]) if cursor else None,
        limit=limit + 1,
    )
    end = found[limit - 1] if len(found) > limit else None
    return Page(items=found[:limit], next=encode_cursor(end.issued_on, end.id) if end else None)


def _in_order(since: date, until: date) -> tuple[date, date]:
    if until < since:
        raise Invalid(_("The last day is before the first."), field="until")
    return since, until


@api_get("/ledger/closing", permission="ledger.view", summary="Until when the books are closed")
async def show_closing(call: Call) -> BooksState:
    check_sees_everyone(call.scope)
    return BooksState(await ledger.closed_until())


@api_put("/ledger/closing", permission="ledger.close", summary="Close the books up to a day, or open them")
async def put_closing(call: Call, data: JSONBody[BooksClosing]) -> BooksState:
    check_sees_everyone(call.scope)
    await close_until(call.scope, data.closed_until)
    return BooksState(await ledger.closed_until())


HANDLERS: Final = (
    list_accounts,
    put_account,
    list_journal,
    show_receivables,
    list_open_items,
    list_revenue,
    list_deferred,
    recognise_revenue,
    show_tax,
    list_taxed,
    show_closing,
    put_closing,
)
