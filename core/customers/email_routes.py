"""New e-mails of users: mailed again, given up, and confirmed by whoever reads mail at the new address."""

from __future__ import annotations

from typing import Final

from litestar import Response
from litestar.params import FromPath

from core.customers import actions, queries
from core.customers.contact_pages import section_of
from core.errors import Conflict, NotFound
from core.web.routing import PUBLIC, delete, get, post
from core.web.view import PageView, View


@post("/customers/{customer_id:int}/contacts/{contact_id:int}/email-change", permission="customers.edit")
async def mail_again(view: View, customer_id: FromPath[int], contact_id: FromPath[int]) -> Response[str]:
    await actions.mail_again(view.scope, customer_id, contact_id)
    return await _section(view, customer_id, contact_id)


@delete("/customers/{customer_id:int}/contacts/{contact_id:int}/email-change", permission="customers.edit")
async def cancel(view: View, customer_id: FromPath[int], contact_id: FromPath[int]) -> Response[str]:
    await actions.cancel_email_change(view.scope, customer_id, contact_id)
    return await _section(view, customer_id, contact_id)


async def _section(view: PageView, customer_id: int, contact_id: int) -> Response[str]:
    person = await queries.get_contact(view.scope, customer_id, contact_id)
    return view.page("_partials/section.html", section=section_of(customer_id, person, editable=True))


@get("/email/{token:str}", permission=PUBLIC)
async def show_link(view: View, token: FromPath[str]) -> Response[str]:
    """Looking at it does not use it up: mail scanners look too."""
    pending = await queries.find_email_link(token, view.scope.now())
    if pending is None:
        return _over(view)
    return view.page("customers/email_confirm.html", pending=pending, done=False)


@post("/email/{token:str}", permission=PUBLIC)
async def confirm(view: View, token: FromPath[str]) -> Response[str]:
    try:
        pending = await actions.confirm_email(view.scope, token)
    except NotFound:
        return _over(view)
    except Conflict as error:
        return view.page("customers/email_confirm.html", status=409, pending=None, done=False, refused=error.message)
    return view.page("customers/email_confirm.html", pending=pending, done=True)


def _over(view: PageView) -> Response[str]:
    """Customers come here, who have no business at the log-in of the staff."""
    return view.page("customers/email_confirm.html", status=404, pending=None, done=False)


HANDLERS: Final = (
    mail_again,
    cancel,
    show_link,
    confirm,
)
