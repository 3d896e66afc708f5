"""Subscriptions and charges over JSON. Amounts are in minor units of their currency."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from core.activity.unit import unit_of_work
from core.billing import actions as billing
from core.billing.actions import prepaid
from core.customers import queries as customers
from core.subscriptions import actions, bundle_api, queries
from core.subscriptions.actions.shared import refuse_part
from core.subscriptions.listing import SUBSCRIPTIONS
from core.subscriptions.schemas import (
    ChargeRow,
    NewCharge,
    NewFreeSubscription,
    NewSubscription,
    NewTrial,
    PlanBox,
    SubscriptionRow,
)
from core.subscriptions.status import SubscriptionState
from core.texts import _
from core.web.changes import rehearse
from core.web.jsonapi import Call, Page, api_delete, api_get, api_post, decode_cursor, encode_cursor

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]


class InvoicedFirst(Struct, frozen=True):
    """A subscription and the invoice that it waits for."""

    subscription: SubscriptionRow
    invoice_id: int


class Termination(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The first day without service; today when left out. `credit_unused`: a credit note for days charged ahead.

    `waive_fee`: an end before the contract allows it is not charged for.
    """

    on: date | None = None
    credit_unused: bool = False
    waive_fee: bool = False


class WithdrawalOf(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`waive_fee`: an end before the contract allows it is not charged for."""

    void_invoices: bool = False
    waive_fee: bool = False


class Withdrawn(Struct, frozen=True):
    """What was given up with it, and the fee for leaving early: the next invoice has it."""

    subscription: SubscriptionRow
    currency: str
    unused_minor: int
    forfeited_minor: int
    fee_minor: int
    forfeited_tax_minor: int = 0
    """Tax in what is forfeited."""


class TrialInvoice(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The price that a trial goes on at; the one it was started with when left out."""

    price_id: Annotated[int, Meta(ge=1)] | None = None


@api_get(
    "/subscriptions",
    permission="subscriptions.view",
    summary="List subscriptions in the order of their ids",
    description="Also searched (`q`), sorted (`sort=customer`) and filtered as the page: `status=active,trial`,"
    " `kind=plan`, `started.from`, `ends.to`; `view=5` as a saved view has it.",
)
async def list_subscriptions(
    call: Call,
    customer_id: Annotated[int | None, QueryParameter(description="Only those of one customer")] = None,
    in_state: Annotated[SubscriptionState | None, QueryParameter(name="state", description="Only these")] = None,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page[SubscriptionRow]:
    asked = {} if "sort" in call.request.query_params or "view" in call.request.query_params else {"sort": "id"}
    return await SUBSCRIPTIONS.api(call, cursor=cursor, limit=limit, **asked)


@api_post("/subscriptions", permission="subscriptions.change", summary="Subscribe, live at once, invoiced on terms")
async def subscribe(call: Call, data: JSONBody[NewSubscription]) -> SubscriptionRow:
    return await queries.get_subscription(call.scope, await prepaid.start(call.scope, data))


@api_post("/subscriptions/free", permission="subscriptions.change", summary="Activate free")
async def activate_free(call: Call, data: JSONBody[NewFreeSubscription]) -> SubscriptionRow:
    return await queries.get_subscription(call.scope, await actions.activate_free(call.scope, data))


@api_post("/subscriptions/trial", permission="subscriptions.change", summary="Start a test time")
async def start_trial(call: Call, data: JSONBody[NewTrial]) -> SubscriptionRow:
    return await queries.get_subscription(call.scope, await actions.start_trial(call.scope, data))


@api_post(
    "/subscriptions/invoiced-first",
    permission="subscriptions.change",
    summary="Make an invoice; the subscription is live once it is settled",
)
async def invoice_first(call: Call, data: JSONBody[NewSubscription]) -> InvoicedFirst:
    made = await billing.invoice_first(call.scope, data)
    return InvoicedFirst(await queries.get_subscription(call.scope, made.subscription_id), made.document_id)


@api_get("/subscriptions/{subscription_id:int}", permission="subscriptions.view", summary="One subscription")
async def get_subscription(call: Call, subscription_id: FromPath[int]) -> SubscriptionRow:
    return await queries.get_subscription(call.scope, subscription_id)


@api_get(
    "/subscriptions/{subscription_id:int}/charges",
    permission="subscriptions.view",
    summary="Its charges, the newest first",
)
async def list_charges(
    call: Call, subscription_id: FromPath[int], limit: Limit = 50, cursor: Cursor = ""
) -> Page[ChargeRow]:
    await queries.get_subscription(call.scope, subscription_id)
    before = decode_cursor(cursor, tuple[int])[0] if cursor else 0
    found = await queries.list_charges(call.scope, subscription_id=subscription_id, before=before, limit=limit + 1)
    return _page(found, limit)


def _page(found: list[ChargeRow], limit: int) -> Page[ChargeRow]:
    return Page(found[:limit], encode_cursor(found[limit - 1].id) if len(found) > limit else None)


@api_post(
    "/subscriptions/{subscription_id:int}/invoice",
    permission="subscriptions.change",
    summary="Make the invoice of a test time",
)
async def invoice_trial(call: Call, subscription_id: FromPath[int], data: JSONBody[TrialInvoice]) -> InvoicedFirst:
    made = await billing.invoice_trial(call.scope, subscription_id, data.price_id)
    return InvoicedFirst(await queries.get_subscription(call.scope, subscription_id), made.document_id)


@api_post(
    "/subscriptions/{subscription_id:int}/cancellation",
    permission="subscriptions.change",
    summary="Cancel at expiry",
    status_code=200,
)
async def cancel(call: Call, subscription_id: FromPath[int]) -> SubscriptionRow:
    await billing.cancel_subscription(call.scope, subscription_id)
    return await queries.get_subscription(call.scope, subscription_id)


@api_delete(
    "/subscriptions/{subscription_id:int}/cancellation",
    permission="subscriptions.change",
    summary="Undo the cancellation",
)
async def undo_cancellation(call: Call, subscription_id: FromPath[int]) -> SubscriptionRow:
    await actions.undo_cancellation(call.scope, subscription_id)
    return await queries.get_subscription(call.scope, subscription_id)


@api_post(
    "/subscriptions/{subscription_id:int}/suspension",
    permission="subscriptions.change",
    summary="Suspend",
    status_code=200,
)
async def suspend(call: Call, subscription_id: FromPath[int]) -> SubscriptionRow:
    await actions.suspend(call.scope, subscription_id)
    return await queries.get_subscription(call.scope, subscription_id)


@api_delete("/subscriptions/{subscription_id:int}/suspension", permission="subscriptions.change", summary="Resume")
async def resume(call: Call, subscription_id: FromPath[int]) -> SubscriptionRow:
    await refuse_part(subscription_id)
    await prepaid.resume(call.scope, subscription_id)
    return await queries.get_subscription(call.scope, subscription_id)


@api_post(
    "/subscriptions/{subscription_id:int}/termination",
    permission="subscriptions.change",
    summary="Terminate on a day",
    status_code=200,
)
async def terminate(call: Call, subscription_id: FromPath[int], data: JSONBody[Termination]) -> SubscriptionRow:
    on = data.on or call.scope.today()
    async with unit_of_work(call.scope):
        await refuse_part(subscription_id)
        if not data.waive_fee:
            await actions.charge_termination(call.scope, subscription_id, on)
        await actions.terminate(call.scope, subscription_id, on)
        if data.credit_unused:
            await billing.credit_ended(call.scope, subscription_id, on, lambda: _("Ended on %(day)s", day=on))
    return await queries.get_subscription(call.scope, subscription_id)


@api_post(
    "/subscriptions/{subscription_id:int}/withdrawal",
    permission="subscriptions.change",
    summary="Withdraw: service ends now, nothing is reimbursed",
    status_code=200,
)
async def withdraw(call: Call, subscription_id: FromPath[int], data: JSONBody[WithdrawalOf]) -> Withdrawn:
    return await _withdraw(call, subscription_id, data)


@api_post(
    "/subscriptions/{subscription_id:int}/withdrawal/preview",
    permission="subscriptions.change",
    summary="What a withdrawal would give up, and its fee. Nothing is written",
    status_code=200,
)
async def preview_withdrawal(call: Call, subscription_id: FromPath[int], data: JSONBody[WithdrawalOf]) -> Withdrawn:
    return await rehearse(call.scope, lambda: _withdraw(call, subscription_id, data))


async def _withdraw(call: Call, subscription_id: int, data: WithdrawalOf) -> Withdrawn:
    given_up = await billing.withdraw_subscription(
        call.scope, subscription_id, void_invoices=data.void_invoices, waive_fee=data.waive_fee
    )
    return Withdrawn(
        await queries.get_subscription(call.scope, subscription_id),
        given_up.currency,
        given_up.unused_minor,
        given_up.forfeited_minor,
        given_up.fee_minor,
        given_up.forfeited_tax_minor,
    )


@api_get(
    "/customers/{customer_id:int}/plans",
    permission="subscriptions.view",
    summary="Products as boxes: what the customer has of each, and what can be done",
)
async def list_boxes(
    call: Call,
    customer_id: FromPath[int],
    kind: Annotated[
        Literal["plan", "module", "service"], QueryParameter(description="plan, module or service")
    ] = "plan",
) -> list[PlanBox]:
    return await queries.list_boxes(call.scope, customer_id, [kind])


@api_get(
    "/customers/{customer_id:int}/charges",
    permission="subscriptions.view",
    summary="Charges of a customer, the newest first",
)
async def list_customer_charges(
    call: Call, customer_id: FromPath[int], limit: Limit = 50, cursor: Cursor = ""
) -> Page[ChargeRow]:
    await customers.get_customer(call.scope, customer_id)
    before = decode_cursor(cursor, tuple[int])[0] if cursor else 0
    return _page(await queries.list_charges(call.scope, customer_id=customer_id, before=before, limit=limit + 1), limit)


@api_post("/charges", permission="subscriptions.change", summary="Add something to be paid once")
async def add_charge(call: Call, data: JSONBody[NewCharge]) -> ChargeRow:
    charge_id = await actions.add_charge(call.scope, data)
    charge = await queries.find_charge(call.scope, charge_id)
    assert charge is not None
    return charge


class Waived(Struct, frozen=True):
    id: int


@api_post("/charges/{charge_id:int}/waiver", permission="subscriptions.change", summary="Give up an open charge")
async def waive_charge(call: Call, charge_id: FromPath[int]) -> Waived:
    await actions.waive_charge(call.scope, charge_id)
    return Waived(charge_id)


HANDLERS = (
    list_subscriptions,
    subscribe,
    activate_free,
    start_trial,
    invoice_first,
    get_subscription,
    list_charges,
    invoice_trial,
    cancel,
    undo_cancellation,
    suspend,
    resume,
    terminate,
    withdraw,
    preview_withdrawal,
    list_boxes,
    list_customer_charges,
    add_charge,
    waive_charge,
    *bundle_api.HANDLERS,
)
