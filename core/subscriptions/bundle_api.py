"""Bundles of customers over JSON: subscribed, changed and ended as a whole, dissolved."""

from __future__ import annotations

from datetime import date

from litestar.params import FromPath, JSONBody
from msgspec import Struct

from core.billing.actions import bundling as billing
from core.customers import queries as customers
from core.subscriptions.actions.bundling import dissolve, start_bundle
from core.subscriptions.bundles import (
    CustomerBundleRow,
    NewCustomerBundle,
    WholeE6,
    get_customer_bundle,
    list_customer_bundles,
)
from core.subscriptions.schemas import NewPause
from core.web.jsonapi import Call, api_delete, api_get, api_post

AT = "/customer-bundles"
ONE = f"{AT}/{{customer_bundle_id:int}}"
CHANGE = "subscriptions.change"


class BundleInvoiced(Struct, frozen=True):
    """A bundle and the invoice that it waits for."""

    bundle: CustomerBundleRow
    invoice_id: int


class BundleQuantity(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """More holds from today on, less from the next period on that is not charged yet."""

    quantity_e6: WholeE6


class BundleTermination(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The first day without service; today when left out. `credit_unused`: credit notes for days charged ahead."""

    on: date | None = None
    credit_unused: bool = False
    waive_fee: bool = False


class BundleWithdrawal(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    void_invoices: bool = False
    waive_fee: bool = False


@api_get(
    "/customers/{customer_id:int}/bundles",
    permission="subscriptions.view",
    summary="Bundles that a customer has or had, with their parts",
)
async def list_of(call: Call, customer_id: FromPath[int]) -> list[CustomerBundleRow]:
    await customers.get_customer(call.scope, customer_id)
    return await list_customer_bundles(call.scope, customer_id)


@api_get(ONE, permission="subscriptions.view", summary="One bundle of a customer")
async def get_one(call: Call, customer_bundle_id: FromPath[int]) -> CustomerBundleRow:
    return await get_customer_bundle(call.scope, customer_bundle_id)


@api_post(AT, permission=CHANGE, summary="Subscribe to a bundle: all its parts are live at once")
async def subscribe(call: Call, data: JSONBody[NewCustomerBundle]) -> CustomerBundleRow:
    return await get_customer_bundle(call.scope, await start_bundle(call.scope, data))


@api_post(
    f"{AT}/invoiced-first",
    permission=CHANGE,
    summary="Make one invoice for a bundle; all its parts are live once it is settled",
)
async def invoice_first(call: Call, data: JSONBody[NewCustomerBundle]) -> BundleInvoiced:
    made = await billing.invoice_bundle_first(call.scope, data)
    return BundleInvoiced(await get_customer_bundle(call.scope, made.customer_bundle_id), made.document_id)


@api_post(f"{ONE}/quantity", permission=CHANGE, summary="Change the quantity of a bundle", status_code=200)
async def change_quantity(
    call: Call, customer_bundle_id: FromPath[int], data: JSONBody[BundleQuantity]
) -> CustomerBundleRow:
    await billing.change_bundle_quantity(call.scope, customer_bundle_id, data.quantity_e6)
    return await get_customer_bundle(call.scope, customer_bundle_id)


@api_post(f"{ONE}/cancellation", permission=CHANGE, summary="Cancel a bundle at its expiry", status_code=200)
async def cancel(call: Call, customer_bundle_id: FromPath[int]) -> CustomerBundleRow:
    await billing.cancel_bundle(call.scope, customer_bundle_id)
    return await get_customer_bundle(call.scope, customer_bundle_id)


@api_delete(f"{ONE}/cancellation", permission=CHANGE, summary="Undo the cancellation of a bundle")
async def undo_cancellation(call: Call, customer_bundle_id: FromPath[int]) -> CustomerBundleRow:
    await billing.keep_bundle(call.scope, customer_bundle_id)
    return await get_customer_bundle(call.scope, customer_bundle_id)


@api_post(f"{ONE}/suspension", permission=CHANGE, summary="Suspend a bundle", status_code=200)
async def suspend(call: Call, customer_bundle_id: FromPath[int]) -> CustomerBundleRow:
    await billing.suspend_bundle(call.scope, customer_bundle_id)
    return await get_customer_bundle(call.scope, customer_bundle_id)


@api_delete(f"{ONE}/suspension", permission=CHANGE, summary="Resume a bundle")
async def resume(call: Call, customer_bundle_id: FromPath[int]) -> CustomerBundleRow:
    await billing.resume_bundle(call.scope, customer_bundle_id)
    return await get_customer_bundle(call.scope, customer_bundle_id)


@api_post(f"{ONE}/pause", permission=CHANGE, summary="Pause a bundle from a day up to another", status_code=200)
async def pause(call: Call, customer_bundle_id: FromPath[int], data: JSONBody[NewPause]) -> CustomerBundleRow:
    await billing.pause_bundle(call.scope, customer_bundle_id, data)
    return await get_customer_bundle(call.scope, customer_bundle_id)


@api_delete(f"{ONE}/pause", permission=CHANGE, summary="Undo a pause of a bundle that has not begun")
async def undo_pause(call: Call, customer_bundle_id: FromPath[int]) -> CustomerBundleRow:
    await billing.drop_bundle_pause(call.scope, customer_bundle_id)
    return await get_customer_bundle(call.scope, customer_bundle_id)


@api_post(f"{ONE}/pause/end", permission=CHANGE, summary="End the pause of a bundle today", status_code=200)
async def end_pause(call: Call, customer_bundle_id: FromPath[int]) -> CustomerBundleRow:
    await billing.end_bundle_pause(call.scope, customer_bundle_id)
    return await get_customer_bundle(call.scope, customer_bundle_id)


@api_post(
    f"{ONE}/dissolution",
    permission=CHANGE,
    summary="Dissolve a bundle: its parts go on at their own prices from the next period on",
    status_code=200,
)
async def dissolve_one(call: Call, customer_bundle_id: FromPath[int]) -> CustomerBundleRow:
    await dissolve(call.scope, customer_bundle_id)
    return await get_customer_bundle(call.scope, customer_bundle_id)


@api_post(f"{ONE}/termination", permission=CHANGE, summary="Terminate a bundle on a day", status_code=200)
async def terminate(
    call: Call, customer_bundle_id: FromPath[int], data: JSONBody[BundleTermination]
) -> CustomerBundleRow:
    await billing.terminate_bundle(
        call.scope,
        customer_bundle_id,
        data.on or call.scope.today(),
        credit=data.credit_unused,
        waive_fee=data.waive_fee,
    )
    return await get_customer_bundle(call.scope, customer_bundle_id)


@api_post(
    f"{ONE}/withdrawal",
    permission=CHANGE,
    summary="Withdraw a bundle: service ends now, nothing is reimbursed",
    status_code=200,
)
async def withdraw(
    call: Call, customer_bundle_id: FromPath[int], data: JSONBody[BundleWithdrawal]
) -> CustomerBundleRow:
    await billing.withdraw_bundle(
        call.scope, customer_bundle_id, void_invoices=data.void_invoices, waive_fee=data.waive_fee
    )
    return await get_customer_bundle(call.scope, customer_bundle_id)


HANDLERS = (
    list_of,
    get_one,
    subscribe,
    invoice_first,
    change_quantity,
    cancel,
    undo_cancellation,
    suspend,
    resume,
    pause,
    undo_pause,
    end_pause,
    dissolve_one,
    terminate,
    withdraw,
)
