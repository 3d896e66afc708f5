"""A customer's next invoices, before anything is written; the same over JSON."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final

from litestar import Response
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from core.billing.upcoming import Upcoming, upcoming_invoices
from core.customers.head import head_values
from core.customers.queries import get_customer
from core.errors import DomainError, Invalid
from core.money import format_amount, format_money
from core.subscriptions.pages import period_words
from core.texts import _
from core.web.forms import from_form
from core.web.jsonapi import Call, api_get
from core.web.parts import Field
from core.web.routing import get
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.scope import Scope


class _Asked(Struct, frozen=True, kw_only=True):
    on: date | None = None


@get("/customers/{customer_id:int}/invoices/upcoming", permission="documents.view")
async def show_upcoming(view: View, customer_id: FromPath[int]) -> Response[str]:
    """The next three dates; with a day in the address what a run on it would make."""
    head = await head_values(view, customer_id, _("Transactions"))
    errors: dict[str, str] = {}
    found: list[Upcoming] = []
    refused = ""
    try:
        asked = from_form(_Asked, {"on": [view.query["on"]]} if view.query.get("on") else {})
        found = await upcoming_invoices(view.scope, customer_id, asked.on)
    except Invalid as error:
        errors = {"on": next(iter(errors_by_field(error).values()))}
    except DomainError as error:
        refused = error.message
    return view.page(
        "billing/upcoming.html",
        status=422 if errors else 200,
        **head,
        fields=[Field(name="on", label=_("As a run on this day"), kind="date", help=_("Empty: the next dates"))],
        values={"on": view.query.get("on", "")},
        errors=errors,
        refused=refused,
        invoices=[_item(view.scope, each) for each in found],
    )


def _item(scope: Scope, each: Upcoming) -> dict[str, Any]:
    sign = -1 if each.kind == "credit_note" else 1
    return {
        "on": each.on,
        "kind": each.kind,
        "currency": each.currency,
        "net": format_amount(sign * each.net_minor, each.currency),
        "tax": format_amount(sign * each.tax_minor, each.currency),
        "rounding": format_amount(sign * each.rounding_minor, each.currency) if each.rounding_minor else "",
        "total": format_amount(sign * each.total_minor, each.currency),
        "prepaid": each.prepaid,
        "missing": format_money(each.missing_minor, each.currency, scope.locale) if each.missing_minor else "",
        "lines": [
            {
                "description": line.description,
                "beneficiary": line.beneficiary,
                "period": period_words(line.period_from, line.period_to, scope.locale)
                if line.period_from and line.period_to
                else "",
                "net": format_amount(sign * line.net_minor, line.currency),
                "tax": format_amount(sign * line.tax_minor, line.currency),
            }
            for line in each.lines
        ],
    }


@api_get(
    "/customers/{customer_id:int}/upcoming-invoices",
    permission="documents.view",
    summary="What a customer will be billed next",
    description="On its next three dates, or as a run on a day would bill it. Nothing is written. Prepaid renewals are"
    " in it, with what the balance lacks for them, changes and pauses that are planned, also the credit notes that they"
    " make (`kind`; their sums are positive, as of any credit note), and what plugins have metered by now; not what"
    " will be metered later.",
)
async def list_upcoming(
    call: Call,
    customer_id: FromPath[int],
    on: Annotated[date | None, QueryParameter(description="As a run on this day")] = None,
) -> list[Upcoming]:
    await get_customer(call.scope, customer_id)
    return await upcoming_invoices(call.scope, customer_id, on)


HANDLERS: Final = (show_upcoming, list_upcoming)
