"""The page of online payments of which nobody knows, and the drawers that settle one by hand or give it up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.ledger import queries as ledger
from core.money import format_amount, format_money
from core.payments import queries
from core.payments.gateways import list_gateways
from core.payments.online import get_online
from core.payments.status import PaymentState
from core.payments.unclear import GivingUp, SettlingByHand, give_up, list_unclear, settle_by_hand
from core.texts import _
from core.web.amounts import Fields, typed_amount
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, show_plan
from core.web.forms import from_form
from core.web.further import SIZE, place_in, read_on
from core.web.parts import Field
from core.web.routing import get, post
from core.web.view import View

if TYPE_CHECKING:
    from core.payments.schemas import PaymentDetail
    from core.scope import Scope


@get("/payments/unclear", permission="payments.view")
async def show_unclear(view: View) -> Response[str]:
    found = await list_unclear(view.scope, after=place_in(view, "after"), limit=SIZE + 1)
    items, pages = read_on(view, "after", found, [each.payment_id for each in found], "/payments/unclear")
    return view.page(
        "payments/unclear.html",
        items=items,
        pages=pages,
        gateways={gateway.key: _(gateway.label) for gateway in await list_gateways(view.scope)},
        may_act=view.scope.may("payments.register"),
    )


class Settling(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """As it is typed."""

    amount: Annotated[str, Meta(max_length=40)] = ""
    fee: Annotated[str, Meta(max_length=40)] = ""
    reason: Annotated[str, Meta(max_length=500)] = ""
    seen: Annotated[str, Meta(max_length=20_000)] = ""


@get("/payments/{payment_id:int}/settlement", permission="payments.register")
async def show_settlement(view: View, payment_id: FromPath[int]) -> Response[str]:
    payment, typed = await _online(view, payment_id), asked(view)
    return await show_plan(
        view,
        _settlement_place(payment),
        typed,
        lambda: _settle(view.scope, payment, from_form(Settling, typed), sure=False),
    )


@post("/payments/{payment_id:int}/settlement", permission="payments.register")
async def settle(view: View, payment_id: FromPath[int]) -> Response[str]:
    payment = await _online(view, payment_id)
    await view.read()
    return await do_plan(
        view,
        _settlement_place(payment),
        lambda: _settle(view.scope, payment, from_form(Settling, view.typed), sure=True),
        to=f"/payments/{payment_id}",
        said=_("Settled by hand."),
    )


async def _online(view: View, payment_id: int) -> PaymentDetail:
    await get_online(view.scope, payment_id)
    return await queries.get_payment(view.scope, payment_id)


def _settlement_place(payment: PaymentDetail) -> Place:
    path = f"/payments/{payment.id}/settlement"
    ordered = format_amount(payment.amount_minor, payment.currency)
    return Place(
        title=_("Settle by hand"),
        asked=path,
        sent=path,
        options=[
            Field(
                name="amount",
                label=_("Amount, %(currency)s", currency=payment.currency),
                kind="money",
                help=_("Empty: %(ordered)s, as it was ordered", ordered=ordered),
            ),
            Field(
                name="fee", label=_("Fee that the gateway keeps, %(currency)s", currency=payment.currency), kind="money"
            ),
            Field(name="reason", label=_("How you know that it came"), max_length=500, wide=True, required=True),
        ],
    )


async def _settle(scope: Scope, payment: PaymentDetail, form: Settling, *, sure: bool) -> ChangePlan:
    """The deed itself; a plan of it needs no reason yet."""
    assert payment.payer_id is not None
    with Fields() as read:
        amount = read("amount", typed_amount, form.amount, payment.currency, scope.locale, least=1, default=0)
        fee = read("fee", typed_amount, form.fee, payment.currency, scope.locale, least=0, default=0)
        if fee >= (amount or payment.amount_minor):
            read.wrong("fee", _("The fee must be less than the payment."))
        if sure and not form.reason.strip():
            read.wrong("reason", _("Say how you know that it came."))
    before = await ledger.get_balance(scope, payment.payer_id, payment.currency)
    reason = form.reason.strip() or "–"
    await settle_by_hand(scope, payment.id, SettlingByHand(amount_minor=amount or None, fee_minor=fee, reason=reason))
    after = await ledger.get_balance(scope, payment.payer_id, payment.currency)
    came = format_money(amount or payment.amount_minor, payment.currency, scope.locale)
    return ChangePlan(
        title=_("Book %(amount)s as received", amount=came),
        button=_("Book %(amount)s as received", amount=came),
        parts=[
            PlanPart(
                title=_("Money"),
                lines=[
                    PlanLine(
                        text=_("Open on invoices"),
                        before=format_amount(before.receivable_minor, before.currency),
                        value=format_amount(after.receivable_minor, after.currency),
                        tone="owes",
                    ),
                    PlanLine(
                        text=_("Balance, %(currency)s", currency=payment.currency),
                        before=format_amount(before.balance_minor, before.currency),
                        value=format_amount(after.balance_minor, after.currency),
                        tone="owes" if after.balance_minor < 0 else "",
                    ),
                ],
            )
        ],
        warnings=[_("If the gateway tells of this money later, it is not booked again.")],
    )


class GivenUp(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """As it is typed."""

    reason: Annotated[str, Meta(max_length=500)] = ""
    seen: Annotated[str, Meta(max_length=20_000)] = ""


@get("/payments/{payment_id:int}/giving-up", permission="payments.register")
async def show_giving_up(view: View, payment_id: FromPath[int]) -> Response[str]:
    payment, typed = await _online(view, payment_id), asked(view)
    return await show_plan(
        view, _up_place(payment), typed, lambda: _give_up(view.scope, payment, from_form(GivenUp, typed), sure=False)
    )


@post("/payments/{payment_id:int}/giving-up", permission="payments.register")
async def give_it_up(view: View, payment_id: FromPath[int]) -> Response[str]:
    payment = await _online(view, payment_id)
    await view.read()
    return await do_plan(
        view,
        _up_place(payment),
        lambda: _give_up(view.scope, payment, from_form(GivenUp, view.typed), sure=True),
        to=f"/payments/{payment_id}",
        said=_("Given up: its invoices can be paid again."),
    )


def _up_place(payment: PaymentDetail) -> Place:
    path = f"/payments/{payment.id}/giving-up"
    return Place(
        title=_("Give up"),
        asked=path,
        sent=path,
        options=[Field(name="reason", label=_("Reason"), max_length=500, wide=True, required=True)],
    )


async def _give_up(scope: Scope, payment: PaymentDetail, form: GivenUp, *, sure: bool) -> ChangePlan:
    with Fields() as read:
        if sure and not form.reason.strip():
            read.wrong("reason", _("Say why it is given up."))
    await give_up(scope, payment.id, GivingUp(reason=form.reason.strip() or "–"))
    amount = format_money(payment.amount_minor, payment.currency, scope.locale)
    asked_on = payment.state == PaymentState.UNKNOWN
    told = (
        _("Nothing is booked; the gateway is asked some more times in the next two weeks")
        if asked_on
        else _("Nothing is booked, and the gateway is not asked any more")
    )
    return ChangePlan(
        title=_("Give up the payment of %(amount)s", amount=amount),
        button=_("Give up %(amount)s", amount=amount),
        danger=True,
        parts=[
            PlanPart(
                title=_("Money"),
                lines=[PlanLine(text=told, value="")],
            )
        ],
        warnings=[
            _("Its invoices can be paid again. If the gateway tells of this money later, it is booked then, once.")
        ],
    )


HANDLERS: Final = (show_unclear, show_settlement, settle, show_giving_up, give_it_up)
