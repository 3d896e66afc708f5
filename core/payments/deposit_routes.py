"""A customer's deposits: received, applied to its credit, paid back; each act shows first what it will do."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Annotated

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.customers import queries as customers
from core.errors import NotFound
from core.ledger import queries as ledger
from core.money import format_amount, format_money
from core.payments import deposits, queries
from core.payments.deposits import Application, NewDeposit, Repayment
from core.texts import _
from core.web.amounts import Fields, typed_amount
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, show_plan
from core.web.forms import from_form
from core.web.parts import Choice, Field
from core.web.routing import get, post
from core.web.view import View

if TYPE_CHECKING:
    from core.customers.schemas import CustomerDetail
    from core.ledger.schemas import Balance
    from core.payments.deposits import DepositDetail
    from core.scope import Scope


class _Receiving(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    amount: Annotated[str, Meta(max_length=40)] = ""
    received_on: date | None = None
    method: Annotated[str, Meta(max_length=60)] = "transfer"
    reason: Annotated[str, Meta(max_length=500)] = ""
    reference: Annotated[str, Meta(max_length=200)] = ""
    seen: Annotated[str, Meta(max_length=20_000)] = ""


class _Using(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    amount: Annotated[str, Meta(max_length=40)] = ""
    method: Annotated[str, Meta(max_length=60)] = "transfer"
    reason: Annotated[str, Meta(max_length=500)] = ""
    reference: Annotated[str, Meta(max_length=200)] = ""
    seen: Annotated[str, Meta(max_length=20_000)] = ""


@get("/customers/{customer_id:int}/deposits/new", permission="payments.register")
async def show_new(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope, typed = view.scope, asked(view)
    customer = await customers.get_customer(scope, customer_id)
    return await show_plan(
        view,
        await _receiving_place(scope, customer),
        typed,
        lambda: _receive(scope, customer, from_form(_Receiving, typed)),
    )


@post("/customers/{customer_id:int}/deposits", permission="payments.register")
async def receive(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer = await customers.get_customer(scope, customer_id)
    await view.read()
    return await do_plan(
        view,
        await _receiving_place(scope, customer),
        lambda: _receive(scope, customer, from_form(_Receiving, view.typed)),
        to=f"/customers/{customer_id}/transactions?show=credit",
        said=_("Deposit received."),
    )


@get("/customers/{customer_id:int}/deposits/{deposit_id:int}/application", permission="payments.register")
async def show_application(view: View, customer_id: FromPath[int], deposit_id: FromPath[int]) -> Response[str]:
    scope, typed = view.scope, asked(view)
    deposit = await _found(scope, customer_id, deposit_id)
    return await show_plan(
        view, _application_place(deposit), typed, partial(_apply, scope, deposit, from_form(_Using, typed))
    )


@post("/customers/{customer_id:int}/deposits/{deposit_id:int}/application", permission="payments.register")
async def apply(view: View, customer_id: FromPath[int], deposit_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    deposit = await _found(scope, customer_id, deposit_id)
    await view.read()
    return await do_plan(
        view,
        _application_place(deposit),
        partial(_apply, scope, deposit, from_form(_Using, view.typed)),
        to=f"/customers/{customer_id}/transactions?show=credit",
        said=_("Deposit applied."),
    )


@get("/customers/{customer_id:int}/deposits/{deposit_id:int}/repayment", permission="payments.refund")
async def show_repayment(view: View, customer_id: FromPath[int], deposit_id: FromPath[int]) -> Response[str]:
    scope, typed = view.scope, asked(view)
    deposit = await _found(scope, customer_id, deposit_id)
    place = await _repayment_place(deposit)
    return await show_plan(view, place, typed, partial(_pay_back, scope, deposit, from_form(_Using, typed)))


@post("/customers/{customer_id:int}/deposits/{deposit_id:int}/repayment", permission="payments.refund")
async def pay_back(view: View, customer_id: FromPath[int], deposit_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    deposit = await _found(scope, customer_id, deposit_id)
    await view.read()
    return await do_plan(
        view,
        await _repayment_place(deposit),
        partial(_pay_back, scope, deposit, from_form(_Using, view.typed)),
        to=f"/customers/{customer_id}/transactions?show=credit",
        said=_("Deposit paid back."),
    )


async def _found(scope: Scope, customer_id: int, deposit_id: int) -> DepositDetail:
    found = await deposits.get_deposit(scope, deposit_id)
    if found.customer_id != customer_id:
        raise NotFound(f"deposit {deposit_id} of customer {customer_id}")
    return found


# -- places and deeds -------------------------------------------------------------------------------------------------


async def _methods(label: str) -> Field:
    methods = await queries.list_methods()
    return Field(
        name="method",
        label=label,
        kind="select",
        value=methods[0].code if methods else "",
        choices=[Choice(method.code, method.name) for method in methods],
    )


async def _receiving_place(scope: Scope, customer: CustomerDetail) -> Place:
    path = f"/customers/{customer.id}/deposits"
    options = (
        Field(name="amount", label=_("Amount, %(currency)s", currency=customer.currency), kind="money", required=True),
        Field(name="received_on", label=_("Received on"), kind="date", value=scope.today().isoformat()),
        await _methods(_("Method")),
        Field(name="reference", label=_("Reference"), max_length=200),
        Field(name="reason", label=_("Held for"), max_length=500, wide=True),
    )
    return Place(title=_("Receive a deposit"), asked=f"{path}/new", sent=path, options=options)


async def _receive(scope: Scope, customer: CustomerDetail, form: _Receiving) -> ChangePlan:
    with Fields() as read:
        amount = read("amount", typed_amount, form.amount, customer.currency, scope.locale, least=1, default=0)
        if not form.amount:
            read.wrong("amount", _("Fill this in."))
    before = await ledger.get_balance(scope, customer.id)
    await deposits.receive_deposit(
        scope,
        NewDeposit(
            customer_id=customer.id,
            amount_minor=amount,
            method=form.method,
            received_on=form.received_on,
            reason=form.reason,
            reference=form.reference,
        ),
    )
    after = await ledger.get_balance(scope, customer.id)
    told = format_money(amount, customer.currency, scope.locale)
    return ChangePlan(
        title=_("Receive a deposit"),
        button=_("Receive %(amount)s", amount=told),
        parts=[_money(before, after)],
        warnings=[_("It is held beside the balance, and pays nothing until it is applied.")],
    )


def _application_place(deposit: DepositDetail) -> Place:
    path = f"/customers/{deposit.customer_id}/deposits/{deposit.id}/application"
    options = (_part_of(deposit), Field(name="reason", label=_("Reason"), max_length=500))
    return Place(title=_("Apply the deposit"), asked=path, sent=path, options=options)


async def _apply(scope: Scope, deposit: DepositDetail, form: _Using) -> ChangePlan:
    amount = _typed(scope, deposit, form)
    before = await ledger.get_balance(scope, deposit.customer_id, deposit.currency)
    await deposits.apply_deposit(scope, deposit.id, Application(amount_minor=amount, reason=form.reason))
    after = await ledger.get_balance(scope, deposit.customer_id, deposit.currency)
    told = format_money(amount or deposit.left_minor, deposit.currency, scope.locale)
    return ChangePlan(
        title=_("Apply the deposit"), button=_("Apply %(amount)s", amount=told), parts=[_money(before, after)]
    )


async def _repayment_place(deposit: DepositDetail) -> Place:
    path = f"/customers/{deposit.customer_id}/deposits/{deposit.id}/repayment"
    options = (
        _part_of(deposit),
        await _methods(_("Paid back by")),
        Field(name="reason", label=_("Reason"), max_length=500),
        Field(name="reference", label=_("Reference"), max_length=200),
    )
    return Place(title=_("Pay the deposit back"), asked=path, sent=path, options=options)


async def _pay_back(scope: Scope, deposit: DepositDetail, form: _Using) -> ChangePlan:
    amount = _typed(scope, deposit, form)
    before = await ledger.get_balance(scope, deposit.customer_id, deposit.currency)
    await deposits.pay_deposit_back(
        scope,
        deposit.id,
        Repayment(amount_minor=amount, method=form.method, reason=form.reason, reference=form.reference),
    )
    after = await ledger.get_balance(scope, deposit.customer_id, deposit.currency)
    told = format_money(amount or deposit.left_minor, deposit.currency, scope.locale)
    return ChangePlan(
        title=_("Pay the deposit back"),
        button=_("Pay back %(amount)s", amount=told),
        danger=True,
        parts=[_money(before, after)],
        warnings=[_("The money itself is paid back by you; this books it.")],
    )


def _part_of(deposit: DepositDetail) -> Field:
    held = format_amount(deposit.left_minor, deposit.currency)
    return Field(
        name="amount",
        label=_("Amount, %(currency)s", currency=deposit.currency),
        kind="money",
        help=_("Empty: all that is held, %(amount)s", amount=held),
    )


def _typed(scope: Scope, deposit: DepositDetail, form: _Using) -> int | None:
    with Fields() as read:
        amount = read("amount", typed_amount, form.amount, deposit.currency, scope.locale, least=1, default=None)
        if amount is not None and amount > deposit.left_minor:
            most = format_amount(deposit.left_minor, deposit.currency)
            read.wrong("amount", _("At most %(most)s of this deposit is held.", most=most))
    return amount


def _money(before: Balance, after: Balance) -> PlanPart:
    """Deposits held, what of the credit is free, and the balance, before and after."""

    def line(text: str, was: int, now: int, *, owes: bool = False) -> PlanLine:
        tone = "owes" if owes and now < 0 else "plus" if owes and now > 0 else ""
        return PlanLine(
            text=text,
            before=format_amount(was, after.currency) if was != now else "",
            value=format_amount(now, after.currency),
            tone=tone,
        )

    lines = [line(_("Deposits held"), before.deposit_minor, after.deposit_minor)]
    if before.receivable_minor != after.receivable_minor:
        lines.append(line(_("Open on invoices"), before.receivable_minor, after.receivable_minor))
    if before.credit_minor != after.credit_minor:
        lines.append(line(_("Free credit"), before.credit_minor, after.credit_minor))
    balance = _("Balance, %(currency)s", currency=after.currency)
    lines.append(line(balance, before.balance_minor, after.balance_minor, owes=True))
    return PlanPart(title=_("Money"), lines=lines)


HANDLERS = (show_new, receive, show_application, apply, show_repayment, pay_back)
