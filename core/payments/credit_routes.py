"""A customer's credit: goodwill that is taken back, and what a page shows of credits and of what became of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.billing import actions as billing
from core.billing import queries as documents
from core.customers import queries as customers
from core.errors import NotFound
from core.ledger import queries as ledger
from core.money import format_amount, format_money
from core.payments.pages import credit_item
from core.texts import _
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, show_plan
from core.web.forms import from_form
from core.web.parts import Field
from core.web.routing import get, post
from core.web.view import View

if TYPE_CHECKING:
    from core.billing.schemas import CreditRow
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope


class _TakingBack(Struct, forbid_unknown_fields=True, frozen=True):
    reason: Annotated[str, Meta(max_length=500)] = ""
    seen: Annotated[str, Meta(max_length=20_000)] = ""


@get("/customers/{customer_id:int}/credit", permission="payments.view")
async def show_card(view: View, customer_id: FromPath[int]) -> Response[str]:
    """What stands in the card of a customer's page: what is free, the latest credits, granting one."""
    scope = view.scope
    customer = await customers.get_customer(scope, customer_id)
    if not view.is_htmx:
        return view.go(f"/customers/{customer_id}/transactions?show=credit")
    found = await documents.list_credits(scope, customer_id, limit=3)
    free = [each for each in await ledger.list_balances(scope, customer_id) if each.credit_minor]
    return view.page(
        "payments/_credit_panel.html",
        customer_id=customer_id,
        credits=[credit_item(each) for each in found],
        one_currency=all(each.currency == customer.currency for each in found),
        free=[format_money(each.credit_minor, each.currency, scope.locale) for each in free],
        may_credit=scope.may("documents.credit"),
    )


@get("/customers/{customer_id:int}/credit/{credit_id:int}/reversal", permission="documents.credit")
async def show_reversal(view: View, customer_id: FromPath[int], credit_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer, credit = await _found(scope, customer_id, credit_id)
    typed = asked(view)
    reason = from_form(_TakingBack, typed).reason
    return await show_plan(view, _place(credit), typed, partial(_take_back, scope, customer, credit, reason or "–"))


@post("/customers/{customer_id:int}/credit/{credit_id:int}/reversal", permission="documents.credit")
async def reverse(view: View, customer_id: FromPath[int], credit_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer, credit = await _found(scope, customer_id, credit_id)
    await view.read()
    reason = from_form(_TakingBack, view.typed).reason
    return await do_plan(
        view,
        _place(credit),
        partial(_take_back, scope, customer, credit, reason),
        to=f"/customers/{customer_id}/transactions?show=credit",
        said=_("Credit taken back."),
    )


async def _found(scope: Scope, customer_id: int, credit_id: int) -> tuple[CustomerDetail, CreditRow]:
    customer = await customers.get_customer(scope, customer_id)
    credit = await documents.find_credit(scope, credit_id)
    if credit is None or credit.customer_id != customer_id:
        raise NotFound(f"credit {credit_id}")
    return customer, credit


def _place(credit: CreditRow) -> Place:
    path = f"/customers/{credit.customer_id}/credit/{credit.id}/reversal"
    why = Field(
        name="reason",
        label=_("Reason"),
        required=True,
        wide=True,
        max_length=500,
        help=_("Kept in the activity"),
    )
    return Place(title=_("Take credit back"), asked=path, sent=path, options=(why,))


async def _take_back(scope: Scope, customer: CustomerDetail, credit: CreditRow, reason: str) -> ChangePlan:
    """Take it back, in the unit of work that is open, and say what that does."""
    currency = credit.currency
    before = await ledger.get_balance(scope, customer.id, currency)
    amount = await billing.reverse_grant(scope, credit.id, reason)
    after = await ledger.get_balance(scope, customer.id, currency)
    taken = format_money(amount, currency, scope.locale)
    lines = [
        PlanLine(
            text=_("Free credit"),
            before=format_amount(before.credit_minor, currency),
            value=format_amount(after.credit_minor, currency),
        ),
        PlanLine(
            text=_("Balance"),
            before=format_amount(before.balance_minor, currency),
            value=format_amount(after.balance_minor, currency),
        ),
    ]
    if after.receivable_minor != before.receivable_minor:
        opened = PlanLine(
            text=_("Invoices that are open again"),
            value=format_amount(after.receivable_minor - before.receivable_minor, currency),
            tone="owes",
        )
        lines.insert(0, opened)
    return ChangePlan(
        title=_("Take back %(amount)s", amount=taken),
        button=_("Take back %(amount)s", amount=taken),
        parts=[PlanPart(title=_("Money"), lines=lines)],
        danger=True,
    )


HANDLERS: Final = (show_card, show_reversal, reverse)
