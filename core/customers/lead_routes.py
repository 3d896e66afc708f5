"""Converting a customer to a lead: what follows is shown, then done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from litestar import Response
from litestar.params import FromPath

from core.customers import actions, queries, statuses
from core.customers.leads import LEAD
from core.customers.status_pages import change_plan
from core.errors import Conflict
from core.texts import _
from core.web.changes import ChangePlan, Place, do_plan, show_plan
from core.web.routing import get, post
from core.web.view import View

if TYPE_CHECKING:
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope


@get("/customers/{customer_id:int}/lead", permission="customers.edit")
async def show_conversion(view: View, customer_id: FromPath[int]) -> Response[str]:
    customer = await queries.get_customer(view.scope, customer_id)
    return await show_plan(view, _place(customer), {}, lambda: _convert(view.scope, customer))


@post("/customers/{customer_id:int}/lead", permission="customers.edit")
async def convert(view: View, customer_id: FromPath[int]) -> Response[str]:
    customer = await queries.get_customer(view.scope, customer_id)
    await view.read()
    return await do_plan(
        view,
        _place(customer),
        lambda: _convert(view.scope, customer),
        to=f"/customers/{customer_id}",
        said=_("The customer is a lead now."),
    )


def _place(customer: CustomerDetail) -> Place:
    path = f"/customers/{customer.id}/lead"
    return Place(title=_("Convert %(name)s to a lead", name=customer.full_name), asked=path, sent=path)


async def _convert(scope: Scope, customer: CustomerDetail) -> ChangePlan:
    before = await statuses.get_status(scope, customer.status)
    plan = await actions.change_status(scope, customer.id, LEAD, note=_("Converted to a lead"))
    if plan is None:
        raise Conflict(_("It is %(status)s already.", status=_(before.label)))
    shown = change_plan(scope, plan, before, await statuses.get_status(scope, plan.to.key))
    return msgspec.structs.replace(
        shown, title=_("Convert %(name)s to a lead", name=customer.full_name), button=_("Convert to lead")
    )


HANDLERS: Final = (
    show_conversion,
    convert,
)
