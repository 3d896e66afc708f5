"""Parked accounts and prepaid renewals: their lists, and one account tried again; the same over JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from litestar import Response
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from core.billing import queries, run_pages
from core.billing.retrying import Retried, retry_parked
from core.billing.run_listings import PARKED_ACCOUNTS, PREPAID_RENEWALS
from core.billing.schemas import ParkedRow, RenewalRow
from core.billing.starting import check_reach
from core.errors import Conflict
from core.money import format_money
from core.texts import _, ngettext
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, show_plan
from core.web.jsonapi import Call, Page, api_get, api_post
from core.web.routing import get, post
from core.web.view import View

if TYPE_CHECKING:
    from core.scope import Scope

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
BESIDE_RUNS: Final = "billing/beside_runs.html"
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]


@get("/billing/parked", permission="billing.view")
async def list_parked(view: View) -> Response[str]:
    return await PARKED_ACCOUNTS.page(view, BESIDE_RUNS)


@get("/billing/renewals", permission="billing.view")
async def list_renewals(view: View) -> Response[str]:
    return await PREPAID_RENEWALS.page(view, BESIDE_RUNS)


def _place(parked_id: int) -> Place:
    path = f"/billing/parked/{parked_id}/retry"
    return Place(title=_("Try again"), asked=path, sent=path, back="/billing/parked?state=parked")


@get("/billing/parked/{parked_id:int}/retry", permission="billing.run")
async def show_retry(view: View, parked_id: FromPath[int]) -> Response[str]:
    check_reach(view.scope)
    await queries.get_parked(view.scope, parked_id)
    return await show_plan(view, _place(parked_id), asked(view), lambda: plan_retry(view.scope, parked_id))


@post("/billing/parked/{parked_id:int}/retry", permission="billing.run")
async def retry(view: View, parked_id: FromPath[int]) -> Response[str]:
    check_reach(view.scope)
    before = await queries.get_parked(view.scope, parked_id)
    await view.read()
    return await do_plan(
        view,
        _place(parked_id),
        lambda: plan_retry(view.scope, parked_id),
        to="/billing/parked?state=parked",
        said=_("%(payer)s was tried again.", payer=before.payer),
    )


async def plan_retry(scope: Scope, parked_id: int) -> ChangePlan:
    """Billed, or what is against it: then it stays parked, and where nothing of it is billed there is nothing to do."""
    done = await retry_parked(scope, parked_id)
    if done.after.resolved_at is None and not (done.written.invoices or done.renewed):
        raise Conflict(_("It cannot be billed yet: %(why)s", why=_why(done)))
    return ChangePlan(
        title=_("Bill %(payer)s?", payer=done.after.payer),
        button=_("Bill now"),
        parts=[PlanPart(title=_("Documents"), lines=_lines(done, scope.locale))],
    )


def _why(done: Retried) -> str:
    return run_pages.parked_item(0, "", done.after.reason, done.after.detail).why


def _lines(done: Retried, locale: str) -> list[PlanLine]:
    lines = [
        PlanLine(text=_("Invoiced"), value=format_money(minor, currency, locale))
        for currency, minor in sorted(done.written.totals.items())
    ]
    if done.renewed:
        lines.append(
            PlanLine(text=ngettext("1 prepaid renewal", "%(num)s prepaid renewals", done.renewed), value=_("paid"))
        )
    if done.after.resolved_at is None:
        lines.append(PlanLine(text=_("It stays parked"), detail=_why(done)))
    return lines or [PlanLine(text=_("Nothing is due any more. It is taken from the list."))]


# -- over JSON --------------------------------------------------------------------------------------------------------


class RetryAnswer(Struct, frozen=True):
    """What became of it. `parked`: its row now, resolved or parked anew. `totals`: minor units by currency."""

    invoices: int
    invoice_ids: list[int]
    totals: dict[str, int]
    renewed: int
    not_covered: int
    parked: ParkedRow


@api_get(
    "/billing/parked",
    permission="billing.view",
    summary="Accounts that could not be billed",
    description="Also searched (`q`), sorted and filtered as the page: `reason=no_tax_rate`, `run=7`.",
)
async def list_parked_accounts(
    call: Call,
    in_state: Annotated[
        Literal["parked", "resolved"], QueryParameter(name="state", description="Those parked now, or those of before")
    ] = "parked",
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page[ParkedRow]:
    return await PARKED_ACCOUNTS.api(call, cursor=cursor, limit=limit, state=in_state)


@api_post(
    "/billing/parked/{parked_id:int}/retry",
    permission="billing.run",
    summary="Bill a parked account as its run would, or park it anew",
    description="Where a part of it is billed and the rest cannot be, it stays parked: `parked.resolved_at` says."
    " Many are tried again by a job: `/api/v1/billing/parked/bulk`, the action `billing.retry`.",
    status_code=200,
)
async def retry_account(call: Call, parked_id: FromPath[int]) -> RetryAnswer:
    done = await retry_parked(call.scope, parked_id)
    return RetryAnswer(
        done.written.invoices,
        done.written.document_ids,
        done.written.totals,
        done.renewed,
        done.not_covered,
        done.after,
    )


@api_get(
    "/billing/renewals",
    permission="billing.view",
    summary="Prepaid renewals: paid from the balance, or not covered",
    description="`run=7` are those that a run tried; also searched, sorted and filtered as the page.",
)
async def list_prepaid_renewals(
    call: Call,
    run: Annotated[int | None, QueryParameter(description="Only those that this run tried")] = None,
    outcome: Annotated[Literal["renewed", "not_covered"] | None, QueryParameter(description="Only these")] = None,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page[RenewalRow]:
    return await PREPAID_RENEWALS.api(call, cursor=cursor, limit=limit)


HANDLERS: Final[tuple[Any, ...]] = (
    list_parked,
    list_renewals,
    show_retry,
    retry,
    list_parked_accounts,
    retry_account,
    list_prepaid_renewals,
)
