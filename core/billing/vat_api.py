"""Checks of a customer's VAT id over JSON."""

from __future__ import annotations

from litestar.params import FromPath, JSONBody

from core.billing import vat_asking, vat_checks
from core.billing.vat_checks import NewVatCheck, VatStanding
from core.customers.queries import get_customer
from core.web.jsonapi import Call, api_get, api_post


@api_get(
    "/customers/{customer_id:int}/vat-checks",
    permission="customers.view",
    summary="Checks of a customer's VAT id",
    description="What VIES said of it, and whether the customer's invoices carry no tax because of it now: `reason`"
    " says why or why not. The latest answer decides; a valid one counts for 90 days.",
)
async def list_checks(call: Call, customer_id: FromPath[int]) -> VatStanding:
    return await vat_checks.standing_of(call.scope, await get_customer(call.scope, customer_id))


@api_post(
    "/customers/{customer_id:int}/vat-checks",
    permission="customers.edit",
    summary="Note a check of a customer's VAT id",
    description="An answer that you got, such as on the page of VIES. Without `checked_on` it is of today; with"
    " `vat_id` it is refused where the customer has another one by now.",
)
async def note_check(call: Call, customer_id: FromPath[int], data: JSONBody[NewVatCheck]) -> VatStanding:
    await vat_checks.note_check(call.scope, customer_id, data)
    return await vat_checks.standing_of(call.scope, await get_customer(call.scope, customer_id))


@api_post(
    "/customers/{customer_id:int}/vat-checks/now",
    permission="customers.edit",
    summary="Ask about a customer's VAT id now",
    description="Asks the service that a plugin brings and keeps its answer. 409 where no plugin brings one; 503 where"
    " it does not answer: nothing is kept then, and the last answer goes on to count.",
    status_code=200,
    kept=False,
)
async def check_now(call: Call, customer_id: FromPath[int]) -> VatStanding:
    await vat_asking.check_now(call.scope, customer_id)
    return await vat_checks.standing_of(call.scope, await get_customer(call.scope, customer_id))


HANDLERS = (list_checks, note_check, check_now)
