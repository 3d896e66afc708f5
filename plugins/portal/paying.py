"""Paying open invoices: which, how, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from litestar import Response
from litestar.params import FromPath

from core.errors import DomainError, Forbidden, Invalid
from core.payments.gateways import list_gateways
from core.payments.online import (
    MOST_DOCUMENTS,
    PayOnline,
    StillUnclear,
    ask_about,
    begin_payment,
    get_online,
)
from core.payments.status import PaymentState
from core.texts import _
from core.web.routing import SIGNED_IN, get, post
from core.web.view import View, errors_by_field
from plugins.portal import actions, queries, words
from plugins.portal.schemas import ToPay

if TYPE_CHECKING:
    from core.billing.schemas import DocumentRow
    from core.payments.online import Online
    from core.scope import Scope
    from core.web.view import PageView

PAY: Final = "/portal/pay"
BACK: Final = "/portal/paid/{payment_id}"


async def may_pay(scope: Scope) -> bool:
    """Whether something can be paid here by whoever looks: the buttons lead nowhere otherwise."""
    return actions.PAY in scope.actor.permissions and bool(await list_gateways(scope))


@get(PAY, permission=SIGNED_IN)
async def show_choice(view: View) -> Response[str]:
    """What is to be paid, all of it or what was ticked before, and how."""
    query = view.request.query_params
    wanted = {int(one) for one in query.getall("invoice", []) if one.isdecimal() and len(one) < 19}
    return await _choice(view, wanted, view.query.get("currency", ""), some="some" in query)


@post(PAY, permission=SIGNED_IN)
async def begin(view: View) -> Response[str]:
    """Order the money, and send the payer on to where it pays; to the payment's own page where it may have paid."""
    wanted: set[int] = set()
    try:
        require_pay(view.scope)
        data = await view.form(ToPay)
        wanted = set(data.invoice)
        if not wanted:
            raise Invalid(_("Choose what to pay."), field="invoice")
        begun = await begin_payment(
            view.scope,
            PayOnline(
                payer_id=queries.customer_of(view.scope),
                document_ids=sorted(wanted)[:MOST_DOCUMENTS],
                gateway=data.gateway,
            ),
            back=BACK,
        )
    except DomainError as error:
        if error.status in (403, 404):
            raise
        said = errors_by_field(error) if isinstance(error, Invalid) else {"": error.message}
        unclear = error.payment_id if isinstance(error, StillUnclear) else None
        return await _choice(view, wanted, "", some=True, errors=said, status=error.status, unclear=unclear)
    if begun.state == PaymentState.UNKNOWN:
        return view.go(BACK.format(payment_id=begun.payment_id))
    if begun.href.startswith("/"):
        return view.go(begun.href)
    return view.page("portal/leave.html", href=begun.href)


def require_pay(scope: Scope) -> None:
    if actions.PAY not in scope.actor.permissions:
        raise Forbidden(_("Your role may not pay for customers."))


async def _choice(
    view: PageView,
    wanted: set[int],
    currency: str,
    *,
    some: bool = False,
    errors: dict[str, str] | None = None,
    status: int = 200,
    unclear: int | None = None,
) -> Response[str]:
    """Without a choice, or of what is not open, all that is open in that currency is ticked; in the first where it says
    none.
    """
    debts = await queries.list_debts(view.scope)
    known = {each.id: debt for debt in debts for each in debt.documents}
    debt = next((known[each] for each in sorted(wanted) if each in known), None)
    if debt is None:
        debt = next((each for each in debts if not currency or each.currency == currency), None)
    gone = bool(wanted) and not errors and not any(each in known for each in wanted)
    some = some and not gone
    wanted = set() if gone else wanted
    documents: list[DocumentRow] = debt.documents[:MOST_DOCUMENTS] if debt is not None else []
    chosen = [each for each in documents if each.id in wanted or not (wanted or some)]
    return view.page(
        "portal/pay.html",
        status=status,
        documents=documents,
        gone=gone,
        chosen={each.id for each in chosen},
        sum_minor=sum(each.open_minor for each in chosen),
        currency=debt.currency if debt is not None else "",
        gateways=await list_gateways(view.scope, debt.currency) if debt is not None else [],
        may_pay=actions.PAY in view.scope.actor.permissions,
        errors=errors or {},
        unclear=unclear,
        words=words,
    )


@get("/portal/paid/{payment_id:int}", permission=SIGNED_IN)
async def show_result(view: View, payment_id: FromPath[int]) -> Response[str]:
    """Where the payer comes back to. Looking asks nobody: the page does, once it is there."""
    return await _result(view, await get_online(view.scope, payment_id), "portal/paid.html")


@post("/portal/paid/{payment_id:int}/look", permission=SIGNED_IN)
async def look(view: View, payment_id: FromPath[int]) -> Response[str]:
    """Ask the gateway now what came of it."""
    await ask_about(view.scope, payment_id, again=False)
    online = await get_online(view.scope, payment_id)
    if not view.is_htmx:
        return view.go(f"/portal/paid/{payment_id}")
    return await _result(view, online, "portal/_result.html", asked=True)


async def _result(view: PageView, online: Online, template: str, *, asked: bool = False) -> Response[str]:
    return view.page(
        template,
        online=online,
        waits=online.state in (PaymentState.PENDING, PaymentState.UNKNOWN),
        failed=online.state == PaymentState.FAILED,
        unknown=online.state == PaymentState.UNKNOWN,
        asked=asked,
    )


HANDLERS: Final = (show_choice, begin, show_result, look)
