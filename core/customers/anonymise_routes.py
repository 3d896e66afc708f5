"""Anonymising a customer: the drawer that shows what goes and what stays, and asks for the name to be typed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from litestar import Response
from litestar.params import FromPath

from core.customers import queries
from core.customers.actions.anonymise import anonymise_customer
from core.hooks import Permission
from core.texts import N_, _
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, drawer, rehearse, show_plan
from core.web.parts import Field
from core.web.routing import get, post
from core.web.view import View

if TYPE_CHECKING:
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope

PERMISSIONS: Final = (Permission("customers.anonymise", N_("Anonymise customers for ever")),)
PARTS: Final = (
    ("data", N_("Erased")),
    ("service", N_("Service")),
    ("money", N_("Money")),
    ("message", N_("Messages")),
    ("document", N_("Kept")),
)


@get("/customers/{customer_id:int}/anonymisation", permission="customers.anonymise", fresh=True)
async def show_anonymising(view: View, customer_id: FromPath[int]) -> Response[str]:
    customer = await queries.get_customer(view.scope, customer_id)
    return await show_plan(view, _place(customer), asked(view), partial(_deed, view.scope, customer))


@post("/customers/{customer_id:int}/anonymisation", permission="customers.anonymise", fresh=True)
async def anonymise(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer = await queries.get_customer(scope, customer_id)
    await view.read()
    deed = partial(_deed, scope, customer)
    if customer.anonymised_at is None and _typed(view.typed.get("name", [""])[-1]) != _typed(customer.full_name):
        wrong = _("Type the name as it stands here: %(name)s.", name=customer.full_name)
        return drawer(view, _place(customer), view.typed, plan=await rehearse(scope, deed), errors={"name": wrong})
    return await do_plan(
        view, _place(customer), deed, to=f"/customers/{customer_id}", said=_("The customer is anonymised.")
    )


def _typed(text: str) -> str:
    return " ".join(text.split())


def _place(customer: CustomerDetail) -> Place:
    path = f"/customers/{customer.id}/anonymisation"
    name = Field(
        name="name",
        label=_("Type the customer's name"),
        required=True,
        wide=True,
        max_length=200,
        help=customer.full_name,
        autocomplete="off",
    )
    return Place(
        title=_("Anonymise %(name)s", name=customer.full_name),
        asked=path,
        sent=path,
        options=(name,),
        back=f"/customers/{customer.id}",
    )


async def _deed(scope: Scope, customer: CustomerDetail) -> ChangePlan:
    """Anonymise it, in the unit of work that is open, and say what that does."""
    plan = await anonymise_customer(scope, customer.id)
    parts = [
        PlanPart(
            title=_(title),
            lines=[PlanLine(text=each.text, rests_on=each.inputs) for each in plan.effects if each.kind == kind],
        )
        for kind, title in PARTS
    ]
    return ChangePlan(
        title=_("Anonymise %(name)s", name=customer.full_name),
        button=_("Anonymise for ever"),
        parts=[part for part in parts if part.lines],
        warnings=[
            _("This cannot be undone: nobody can bring back who this customer was."),
            _("Backups that were made before still hold it, until they are removed."),
            *(each.text for each in plan.effects if each.kind == "warning"),
        ],
        danger=True,
    )


HANDLERS: Final = (show_anonymising, anonymise)
