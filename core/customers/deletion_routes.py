"""Deleting a customer: the drawer that shows what goes, or that it is anonymised instead, and asks for the name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from litestar import Response
from litestar.params import FromPath

from core.customers import queries
from core.customers.actions.deletion import delete_customer, kept_words
from core.hooks import Permission
from core.texts import N_, _
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, drawer, rehearse, show_plan
from core.web.parts import Field
from core.web.routing import get, post
from core.web.view import View

if TYPE_CHECKING:
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope

PERMISSIONS: Final = (Permission("customers.delete", N_("Delete customers for ever")),)
PARTS: Final = (
    ("data", N_("Erased")),
    ("service", N_("Service")),
    ("money", N_("Money")),
    ("message", N_("Messages")),
    ("document", N_("Kept")),
)


@get("/customers/{customer_id:int}/deletion", permission="customers.delete", fresh=True)
async def show_deletion(view: View, customer_id: FromPath[int]) -> Response[str]:
    customer = await queries.get_customer(view.scope, customer_id)
    return await show_plan(view, _place(customer), asked(view), partial(_deed, view.scope, customer))


@post("/customers/{customer_id:int}/deletion", permission="customers.delete", fresh=True)
async def delete(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer = await queries.get_customer(scope, customer_id)
    await view.read()
    deed = partial(_deed, scope, customer)
    if _typed(view.typed.get("name", [""])[-1]) != _typed(customer.full_name):
        wrong = _("Type the name as it stands here: %(name)s.", name=customer.full_name)
        plan = await rehearse(scope, deed)
        return drawer(view, _place(customer), view.typed, plan=plan, errors={"name": wrong})
    return await do_plan(view, _place(customer), deed, to="/customers", said=_("It is gone."))


def _typed(text: str) -> str:
    return " ".join(text.split())


def _place(customer: CustomerDetail) -> Place:
    path = f"/customers/{customer.id}/deletion"
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
        title=_("Delete %(name)s", name=customer.full_name),
        asked=path,
        sent=path,
        options=(name,),
        back=f"/customers/{customer.id}",
    )


async def _deed(scope: Scope, customer: CustomerDetail) -> ChangePlan:
    """Delete it, in the unit of work that is open, and say what that does."""
    done = await delete_customer(scope, customer.id)
    parts = [
        PlanPart(
            title=_(title),
            lines=[PlanLine(text=each.text, rests_on=each.inputs) for each in done.effects if each.kind == kind],
        )
        for kind, title in PARTS
    ]
    return ChangePlan(
        title=_("Delete %(name)s", name=customer.full_name),
        button=_("Anonymise for ever") if done.kept else _("Delete for ever"),
        parts=[part for part in parts if part.lines],
        warnings=[
            *([kept_words()] if done.kept else []),
            _("This cannot be undone. Backups that were made before still hold it, until they are removed."),
            *(each.text for each in done.effects if each.kind == "warning"),
        ],
        danger=True,
    )


HANDLERS: Final = (show_deletion, delete)
