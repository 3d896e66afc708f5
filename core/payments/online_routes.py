"""Payments through gateways: where gateways tell of them, asking by hand, and paying back the way that money came."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.billing import queries as documents
from core.ledger import queries as ledger
from core.money import format_amount, format_money
from core.payments import queries
from core.payments.online import ask_about, get_online, take_notification
from core.payments.paying_back import PayingBackOnline, pay_back
from core.payments.status import PaymentState
from core.texts import _
from core.web.amounts import Fields, typed_amount
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, show_plan
from core.web.forms import from_form
from core.web.parts import Field
from core.web.routing import PUBLIC, get, post
from core.web.view import View

if TYPE_CHECKING:
    from core.payments.schemas import PaymentDetail
    from core.scope import Scope

MOST: Final = 200_000
"""Bytes of a notification."""


@post("/api/v1/gateways/{gateway:str}/notifications", permission=PUBLIC, request_max_body_size=MOST)
async def hear(view: View, gateway: FromPath[str]) -> Response[bytes]:
    """Anybody may call, only a right signature is heard. Answers 200 for what was known already, too: so it is not told
    a third time."""
    body = await view.request.body()
    await take_notification(view.scope, gateway, dict(view.request.headers), body)
    return Response(b"{}", media_type="application/json")


@post("/payments/{payment_id:int}/asking", permission="payments.register")
async def ask(view: View, payment_id: FromPath[int]) -> Response[str]:
    """Ask the gateway now; it is asked by itself later, too."""
    await get_online(view.scope, payment_id)
    state = await ask_about(view.scope, payment_id, again=False)
    still_asked = (await get_online(view.scope, payment_id)).is_asked_after
    waits = state in (PaymentState.PENDING, PaymentState.UNKNOWN) or still_asked
    return view.go(
        f"/payments/{payment_id}", _("The gateway does not know more yet.") if waits else _("The gateway has answered.")
    )


class PayingBack(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """As it is typed."""

    amount: Annotated[str, Meta(max_length=40)] = ""
    reason: Annotated[str, Meta(max_length=500)] = ""
    seen: Annotated[str, Meta(max_length=20_000)] = ""


@get("/payments/{payment_id:int}/payback", permission="payments.refund")
async def show_payback(view: View, payment_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    await get_online(scope, payment_id)
    payment = await queries.get_payment(scope, payment_id)
    typed = asked(view)
    return await show_plan(
        view,
        _place(payment),
        typed,
        lambda: _pay_back(scope, payment, from_form(PayingBack, typed), sure=False),
    )


@post("/payments/{payment_id:int}/payback", permission="payments.refund")
async def give_back(view: View, payment_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    await get_online(scope, payment_id)
    payment = await queries.get_payment(scope, payment_id)
    await view.read()
    return await do_plan(
        view,
        _place(payment),
        lambda: _pay_back(scope, payment, from_form(PayingBack, view.typed), sure=True),
        to=f"/payments/{payment_id}",
        said=_("The gateway is told to pay it back."),
    )


def _place(payment: PaymentDetail) -> Place:
    path = f"/payments/{payment.id}/payback"
    left = format_amount(payment.amount_minor - payment.reversed_minor, payment.currency)
    return Place(
        title=_("Pay back through the gateway"),
        asked=path,
        sent=path,
        options=[
            Field(
                name="amount",
                label=_("Amount, %(currency)s", currency=payment.currency),
                kind="money",
                help=_("Empty: all that is left of %(left)s", left=left),
            ),
            Field(name="reason", label=_("Reason"), max_length=500, wide=True, required=True),
        ],
    )


async def _pay_back(scope: Scope, payment: PaymentDetail, form: PayingBack, *, sure: bool) -> ChangePlan:
    """The deed itself; a plan of it needs no reason yet."""
    assert payment.payer_id is not None
    with Fields() as read:
        amount = read("amount", typed_amount, form.amount, payment.currency, scope.locale, least=1, default=0)
        if sure and not form.reason.strip():
            read.wrong("reason", _("Say why it is paid back."))
    before = await ledger.get_balance(scope, payment.payer_id, payment.currency)
    opened = await documents.open_amounts(scope, payment.payer_id)
    given = await pay_back(
        scope,
        payment.id,
        PayingBackOnline(amount_minor=amount or None, reason=form.reason.strip() or "–", reopen=True),
    )
    after = await ledger.get_balance(scope, payment.payer_id, payment.currency)
    lines = [
        PlanLine(
            text=_("Open of %(number)s", number=each.number),
            before=format_amount(opened.get(each.id, 0), each.currency),
            value=format_amount(each.open_minor, each.currency),
            tone="owes",
        )
        for each in await documents.list_opened(scope, payment.payer_id, opened)
    ]
    back = format_money(given.amount_minor, payment.currency, scope.locale)
    return ChangePlan(
        title=_("Pay back %(amount)s", amount=back),
        button=_("Pay back %(amount)s", amount=back),
        danger=True,
        parts=[
            *([PlanPart(title=_("Documents"), note=_("open again"), lines=lines)] if lines else []),
            PlanPart(
                title=_("Money"),
                lines=[
                    PlanLine(
                        text=_("Balance, %(currency)s", currency=payment.currency),
                        before=format_amount(before.balance_minor, before.currency),
                        value=format_amount(after.balance_minor, after.currency),
                        tone="owes" if after.balance_minor < 0 else "",
                    )
                ],
            ),
        ],
        warnings=[_("If the gateway does not pay it back, it is the customer’s credit again.")],
    )


HANDLERS: Final = (hear, ask, show_payback, give_back)
