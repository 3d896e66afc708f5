"""Deleting a customer: the drawer that shows what goes, or that it is anonymised instead, and asks for the name."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from litestar import Response
from litestar.params import FromPath

from core.customers import queries
from core.customers.actions.deletion import delete_customer, kept_words
from core.customers.for_ever import do_named, place_of, plan_of
from core.hooks import Permission
from core.texts import N_, _
from core.web.changes import ChangePlan, Place, asked, show_plan
from core.web.routing import get, post
from core.web.view import View

if TYPE_CHECKING:
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope

PERMISSIONS: Final = (Permission("customers.delete", N_("Delete customers for ever")),)


@get("/customers/{customer_id:int}/deletion", permission="customers.delete", fresh=True)
async def show_deletion(view: View, customer_id: FromPath[int]) -> Response[str]:
    customer = await queries.get_customer(view.scope, customer_id)
    return await show_plan(view, _place(customer), asked(view), partial(_deed, view.scope, customer))


@post("/customers/{customer_id:int}/deletion", permission="customers.delete", fresh=True)
async def delete(view: View, customer_id: FromPath[int]) -> Response[str]:
    customer = await queries.get_customer(view.scope, customer_id)
    deed = partial(_deed, view.scope, customer)
    return await do_named(view, _place(customer), customer.full_name, deed, to="/customers", said=_("It is gone."))


def _title(customer: CustomerDetail) -> str:
    return _("Delete %(name)s", name=customer.full_name)


def _place(customer: CustomerDetail) -> Place:
    return place_of(customer, _title(customer), f"/customers/{customer.id}/deletion")


async def _deed(scope: Scope, customer: CustomerDetail) -> ChangePlan:
    """Delete it, in the unit of work that is open, and say what that does."""
    done = await delete_customer(scope, customer.id)
    warnings = (
        *([kept_words()] if done.kept else []),
        _("This cannot be undone. Backups that were made before still hold it, until they are removed."),
    )
    button = _("Anonymise for ever") if done.kept else _("Delete for ever")
    return plan_of(_title(customer), button, done.effects, warnings)


HANDLERS: Final = (show_deletion, delete)
