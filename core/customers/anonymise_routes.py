"""Anonymising a customer: the drawer that shows what goes and what stays, and asks for the name to be typed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from litestar import Response
from litestar.params import FromPath

from core.customers import queries
from core.customers.actions.anonymise import anonymise_customer
from core.customers.for_ever import do_named, place_of, plan_of
from core.hooks import Permission
from core.texts import N_, _
from core.web.changes import ChangePlan, Place, asked, show_plan
from core.web.routing import get, post
from core.web.view import View

if TYPE_CHECKING:
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope

PERMISSIONS: Final = (Permission("customers.anonymise", N_("Anonymise customers for ever")),)


@get("/customers/{customer_id:int}/anonymisation", permission="customers.anonymise", fresh=True)
async def show_anonymising(view: View, customer_id: FromPath[int]) -> Response[str]:
    customer = await queries.get_customer(view.scope, customer_id)
    return await show_plan(view, _place(customer), asked(view), partial(_deed, view.scope, customer))


@post("/customers/{customer_id:int}/anonymisation", permission="customers.anonymise", fresh=True)
async def anonymise(view: View, customer_id: FromPath[int]) -> Response[str]:
    customer = await queries.get_customer(view.scope, customer_id)
    return await do_named(
        view,
        _place(customer),
        customer.full_name if customer.anonymised_at is None else None,
        partial(_deed, view.scope, customer),
        to=f"/customers/{customer_id}",
        said=_("The customer is anonymised."),
    )


def _title(customer: CustomerDetail) -> str:
    return _("Anonymise %(name)s", name=customer.full_name)


def _place(customer: CustomerDetail) -> Place:
    return place_of(customer, _title(customer), f"/customers/{customer.id}/anonymisation")


async def _deed(scope: Scope, customer: CustomerDetail) -> ChangePlan:
    """Anonymise it, in the unit of work that is open, and say what that does."""
    plan = await anonymise_customer(scope, customer.id)
    warnings = (
        _("This cannot be undone: nobody can bring back who this customer was."),
        _("Backups that were made before still hold it, until they are removed."),
    )
    return plan_of(_title(customer), _("Anonymise for ever"), plan.effects, warnings)


HANDLERS: Final = (show_anonymising, anonymise)
