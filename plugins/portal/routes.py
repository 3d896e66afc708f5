"""Pages of the portal: what a customer has, owes and was sent, and its own data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from litestar import Response
from litestar.params import FromPath

from core.billing.mailing import document_file
from core.billing.pages import find_pdf
from core.billing.queries import get_document, list_documents
from core.billing.sheets import tax_name_of
from core.customers.queries import get_contact, get_customer
from core.documents.files import get_file, read_file
from core.errors import DomainError, Invalid, NotFound, Stale
from core.messages.kinds import KINDS
from core.messages.queries import get_message, list_message_files, list_messages
from core.messages.status import MessageState
from core.payments.queries import list_payments
from core.subscriptions.pages import period_words
from core.subscriptions.queries import list_subscriptions
from core.texts import _
from core.web import doors
from core.web.routing import SIGNED_IN, get, post
from core.web.view import View, errors_by_field
from plugins.portal import actions, pausing, queries, words
from plugins.portal.entering import HOME, LOG_IN, entrance_of
from plugins.portal.paying import may_pay
from plugins.portal.schemas import OwnAddress, OwnName, OwnPassword

if TYPE_CHECKING:
    from core.billing.schemas import DocumentDetail
    from core.scope import Scope
    from core.web.view import PageView

PAGE: Final = 30
ME: Final = "/portal/me"


@get(HOME, permission=SIGNED_IN)
async def show_home(view: View) -> Response[str]:
    """One amount, one button, then the rest."""
    scope = view.scope
    customer = await get_customer(scope, queries.customer_of(scope))
    return view.page(
        "portal/home.html",
        customer=customer,
        account=await queries.get_account(scope),
        cards=await doors.portal_cards(view, customer.id),
        may_pay=await may_pay(scope),
        words=words,
    )


@get("/portal/services", permission=SIGNED_IN)
async def show_services(view: View) -> Response[str]:
    found = await list_subscriptions(view.scope, customer_id=queries.customer_of(view.scope))
    live = [each for each in found if each.state in queries.LIVE]
    return view.page(
        "portal/services.html",
        live=live,
        over=[each for each in found[::-1] if each not in live][:PAGE],
        may_pause=await pausing.may_pause(view.scope),
        pausing=pausing,
        words=words,
    )


@get("/portal/invoices", permission=SIGNED_IN)
async def show_invoices(view: View) -> Response[str]:
    """The newest first."""
    found = await list_documents(
        view.scope,
        payer_id=queries.customer_of(view.scope),
        state="issued",
        before=_before(view),
        limit=PAGE + 1,
    )
    return view.page(
        "portal/invoices.html",
        documents=found[:PAGE],
        further=found[PAGE - 1].id if len(found) > PAGE else None,
        debts=await queries.list_debts(view.scope),
        may_pay=await may_pay(view.scope),
        words=words,
    )


@get("/portal/invoices/{invoice_id:int}", permission=SIGNED_IN)
async def show_invoice(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await _own(view.scope, invoice_id)
    return view.page(
        "portal/invoice.html",
        document=document,
        periods={
            line.id: period_words(line.period_from, line.period_to, view.scope.locale)
            if line.period_from is not None and line.period_to is not None
            else ""
            for line in document.lines
        },
        ready=await find_pdf(invoice_id) is not None,
        may_pay=document.open_minor > 0 and await may_pay(view.scope),
        tax_name=tax_name_of(document, view.scope.locale),
        words=words,
    )


@get("/portal/invoices/{invoice_id:int}/pdf", permission=SIGNED_IN)
async def show_pdf(view: View, invoice_id: FromPath[int]) -> Response[bytes]:
    """The stored PDF, byte for byte."""
    await _own(view.scope, invoice_id)
    pdf = await find_pdf(invoice_id)
    if pdf is None or not pdf.path:
        raise NotFound(f"pdf of document {invoice_id}")
    file = await get_file(view.scope, int(pdf.path))
    return Response(
        await read_file(view.scope, file),
        media_type="application/pdf",
        headers={"Content-Disposition": f'attachment; filename="{file.name}"', "X-Content-Type-Options": "nosniff"},
    )


@post("/portal/invoices/{invoice_id:int}/pdf", permission=SIGNED_IN)
async def make_pdf(view: View, invoice_id: FromPath[int]) -> Response[str]:
    """Make it now, where its job has not come to it."""
    await _own(view.scope, invoice_id)
    await document_file(view.scope, invoice_id)
    return view.go(f"/portal/invoices/{invoice_id}/pdf")


async def _own(scope: Scope, invoice_id: int) -> DocumentDetail:
    """A document of the customer; drafts are the operator's."""
    document = await get_document(scope, invoice_id)
    if document.state != "issued":
        raise NotFound(f"document {invoice_id}")
    return document


@get("/portal/payments", permission=SIGNED_IN)
async def show_payments(view: View) -> Response[str]:
    found = await list_payments(
        view.scope, payer_id=queries.customer_of(view.scope), before=_before(view), limit=PAGE + 1
    )
    return view.page(
        "portal/payments.html",
        payments=found[:PAGE],
        further=found[PAGE - 1].id if len(found) > PAGE else None,
        words=words,
    )


@get("/portal/messages", permission=SIGNED_IN)
async def show_messages(view: View) -> Response[str]:
    """What was sent to the customer; mail that opens something by itself is kept nowhere."""
    found = await list_messages(
        view.scope,
        states=[MessageState.SENT],
        customer_id=queries.customer_of(view.scope),
        before=_before(view),
        limit=PAGE + 1,
    )
    return view.page(
        "portal/messages.html",
        messages=[each for each in found[:PAGE] if not _is_sealed(each.kind)],
        further=found[PAGE - 1].id if len(found) > PAGE else None,
    )


@get("/portal/messages/{message_id:int}", permission=SIGNED_IN)
async def show_message(view: View, message_id: FromPath[int]) -> Response[str]:
    message = await get_message(view.scope, message_id)
    if message.state != MessageState.SENT or _is_sealed(message.kind):
        raise NotFound(f"message {message_id}")
    return view.page("portal/message.html", message=message, files=await list_message_files(view.scope, message_id))


@get("/portal/messages/{message_id:int}/files/{file_id:int}", permission=SIGNED_IN)
async def show_file(view: View, message_id: FromPath[int], file_id: FromPath[int]) -> Response[bytes]:
    """A file that was sent with a message."""
    message = await get_message(view.scope, message_id)
    found = [each for each in await list_message_files(view.scope, message_id) if each.id == file_id]
    if message.state != MessageState.SENT or not found:
        raise NotFound(f"file {file_id} of message {message_id}")
    return Response(
        await read_file(view.scope, found[0]),
        media_type=found[0].media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{found[0].name}"',
            "X-Content-Type-Options": "nosniff",
        },
    )


def _is_sealed(kind: str) -> bool:
    return kind in KINDS and KINDS[kind].sealed


@get(ME, permission=SIGNED_IN)
async def show_me(view: View) -> Response[str]:
    return await _me(view)


@post("/portal/me/address", permission=SIGNED_IN)
async def save_address(view: View) -> Response[str]:
    try:
        await actions.change_address(view.scope, await view.form(OwnAddress))
    except Stale:
        return await _me(view, at="address", errors={"": _("Somebody saved these data meanwhile.")}, status=409)
    except DomainError as error:
        if error.status == 404:
            raise
        return await _me(view, at="address", errors=_said(error), status=error.status)
    return view.go(ME, _("Saved."))


@post("/portal/me/name", permission=SIGNED_IN)
async def save_name(view: View) -> Response[str]:
    entrance = await entrance_of(view)
    if entrance is None or entrance.contact_id is None:
        raise NotFound("There is no user to keep this with.")
    try:
        moved = await actions.change_user(view.scope, entrance.contact_id, await view.form(OwnName))
    except Stale:
        return await _me(view, at="name", errors={"": _("Somebody saved these data meanwhile.")}, status=409)
    except DomainError as error:
        if error.status == 404:
            raise
        return await _me(view, at="name", errors=_said(error), status=error.status)
    return view.go(ME, _("Look into your mail: confirm the new address there.") if moved else _("Saved."))


@post("/portal/me/password", permission=SIGNED_IN)
async def save_password(view: View) -> Response[str]:
    """Another password; whoever set it logs in anew, everywhere."""
    entrance = await entrance_of(view)
    try:
        actions.require_own(view.scope)
        if entrance is None:
            raise NotFound("There is nobody to keep this with.")
        await actions.change_password(view.scope, entrance, await view.form(OwnPassword))
    except DomainError as error:
        if error.status == 404:
            raise
        view.typed.clear()
        return await _me(view, at="password", errors=_said(error), status=error.status)
    return view.go(LOG_IN, _("Your password is changed. Log in with it."))


async def _me(
    view: PageView, *, at: str = "", errors: dict[str, str] | None = None, status: int = 200
) -> Response[str]:
    scope = view.scope
    customer = await get_customer(scope, queries.customer_of(scope))
    entrance = await entrance_of(view)
    user = (
        await get_contact(scope, customer.id, entrance.contact_id)
        if entrance is not None and entrance.contact_id is not None
        else None
    )
    stale = status == 409
    address = {
        "phones": ", ".join(customer.phones),
        "street": customer.street,
        "zip": customer.zip,
        "city": customer.city,
        "version": str(customer.version),
    }
    name = {}
    if user is not None:
        name = {"first_name": user.first_name, "surname": user.surname, "email": user.email}
        name["version"] = str(user.version)
    return view.page(
        "portal/me.html",
        status=status,
        customer=customer,
        user=user,
        login=entrance.login if entrance is not None else "",
        address=view.shown(**address) if at == "address" and not stale else address,
        name=view.shown(**name) if at == "name" and not stale else name,
        at=at,
        errors=errors or {},
        may_change=actions.CHANGE in scope.actor.permissions,
        may_secrets=actions.SECRETS in scope.actor.permissions,
    )


def _said(error: DomainError) -> dict[str, str]:
    return errors_by_field(error) if isinstance(error, Invalid) else {"": error.message}


def _before(view: PageView) -> int | None:
    """Where the page before ended, as an id."""
    typed = view.query.get("before", "")
    return int(typed) if typed.isdecimal() and len(typed) < 19 else None


HANDLERS: Final = (
    show_home,
    show_services,
    show_invoices,
    show_invoice,
    show_pdf,
    make_pdf,
    show_payments,
    show_messages,
    show_message,
    show_file,
    show_me,
    save_address,
    save_name,
    save_password,
)
