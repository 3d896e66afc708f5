"""The figures of the business as charts with their tables, and the customers behind each step; the same over JSON."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Final
from urllib.parse import urlencode

from litestar import Response
from litestar.params import QueryParameter
from msgspec import Meta, Struct

from core.errors import Invalid
from core.money import Money
from core.reports import mrr
from core.reports.figures import KIND_LABELS, PlanMix, charts_of, last_months, plan_mix
from core.reports.mrr import Movement, MrrMonth
from core.reports.sheets import Column, Line, Sheet, classes, drawn
from core.texts import _
from core.web.forms import from_form
from core.web.jsonapi import Call, Page, api_get, decode_cursor, encode_cursor
from core.web.routing import get
from core.web.view import View

LONGEST: Final = 36
OF_A_PAGE: Final = 100


@get("/figures", permission="subscriptions.view")
async def show_figures(view: View) -> Response[str]:
    """As a page, or as the part of the start page that comes behind it."""
    months = LONGEST if view.query.get("months") == str(LONGEST) else 12
    strip, charts = await charts_of(view.scope, months)
    if view.is_htmx:  # the start page has a card of the first figure
        return view.page("reports/_figures.html", strip=strip[1:], charts=charts, months=months)
    return view.page("reports/figures.html", strip=strip, charts=charts, months=months)


class _Asked(Struct, frozen=True, kw_only=True):
    month: Annotated[str, Meta(pattern="^2[0-9]{3}-(0[1-9]|1[0-2])$")]
    kind: Annotated[str, Meta(pattern="^(new|reactivation|expansion|contraction|churn)?$")] = ""
    before: Annotated[str, Meta(max_length=18, pattern="^[0-9]*$")] = ""


@get("/figures/movements", permission="subscriptions.view")
async def show_movements(view: View) -> Response[str]:
    """Who is behind a step of a month."""
    scope = view.scope
    try:
        asked = from_form(_Asked, {name: [text] for name, text in view.query.items()})
    except Invalid:
        asked = _Asked(month=scope.today().isoformat()[:7])
    month = date.fromisoformat(f"{asked.month}-01")
    found = await mrr.list_movements(
        scope, month, kind=asked.kind, before=int(asked.before) if asked.before else None, limit=OF_A_PAGE + 1
    )
    sheet = Sheet(
        key="movements",
        title=_(KIND_LABELS[asked.kind]) if asked.kind else _("All movements"),
        columns=[
            Column("customer", _("Customer"), role="name"),
            Column("on", _("Noticed"), "date", role="meta"),
            Column("kind", _("What"), role="status"),
            Column("currency", _("Currency")),
            Column("amount", _("A month"), "money", role="amount"),
            Column("after", _("Since then"), "money"),
        ],
        lines=[
            Line(
                (
                    each.customer,
                    each.moved_on,
                    _(KIND_LABELS[each.kind]),
                    each.currency,
                    Money(each.amount_minor, each.currency),
                    Money(each.after_minor, each.currency),
                ),
                {"customer": f"/customers/{each.customer_id}/plans"},
            )
            for each in found[:OF_A_PAGE]
        ],
        empty=_("Nothing moved in this month"),
    )
    here = {"month": asked.month, **({"kind": asked.kind} if asked.kind else {})}
    more = found[OF_A_PAGE - 1].id if len(found) > OF_A_PAGE else None
    return view.page(
        "reports/movements.html",
        month=asked.month,
        sheet=sheet,
        columns=[(column.label, classes(column)) for column in sheet.columns],
        lines=drawn(sheet, sheet.lines, scope.locale),
        kinds=[("", _("All")), *((kind, _(label)) for kind, label in KIND_LABELS.items())],
        asked=asked.kind,
        latest=f"/figures/movements?{urlencode(here)}" if asked.before else "",
        older=f"/figures/movements?{urlencode({**here, 'before': more})}" if more else "",
    )


# -- over JSON --------------------------------------------------------------------------------------------------------

Months = Annotated[int, QueryParameter(ge=1, le=LONGEST, description="How many months, this one the last")]
Currency = Annotated[str, QueryParameter(max_length=3, description="Without it: the tenant's")]


@api_get("/figures/mrr", permission="subscriptions.view", summary="Monthly recurring revenue and its movements")
async def list_mrr(call: Call, months: Months = 12, currency: Currency = "") -> list[MrrMonth]:
    scope = call.scope
    return await mrr.mrr_by_month(scope, last_months(scope.today(), months), currency.upper() or scope.tenant.currency)


@api_get("/figures/movements", permission="subscriptions.view", summary="Who is behind the movements of a month")
async def list_movements(
    call: Call,
    month: Annotated[date, QueryParameter(description="Any day of the month")],
    kind: Annotated[str, QueryParameter(max_length=20, description="new, reactivation, expansion, …")] = "",
    limit: Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")] = 50,
    cursor: Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")] = "",
) -> Page[Movement]:
    before = decode_cursor(cursor, tuple[int])[0] if cursor else None
    found = await mrr.list_movements(call.scope, month.replace(day=1), kind=kind, before=before, limit=limit + 1)
    more = encode_cursor(found[limit - 1].id) if len(found) > limit else None
    return Page(items=found[:limit], next=more)


@api_get("/figures/plans", permission="subscriptions.view", summary="Live subscriptions by product")
async def list_plan_mix(call: Call, currency: Currency = "") -> list[PlanMix]:
    return await plan_mix(call.scope, currency.upper() or call.scope.tenant.currency)


HANDLERS: Final = (show_figures, show_movements, list_mrr, list_movements, list_plan_mix)
