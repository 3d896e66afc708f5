"""Payments by hand over JSON: batches, receipts of nobody known, transfers of credit, tax of bad debts."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from core.billing import queries as documents
from core.billing.actions.relief import relieve_tax
from core.jobs.queries import get_job
from core.payments import queries
from core.payments.batch import Booked, NewBatch, batch_of, start_batch
from core.payments.schemas import PaymentDetail
from core.payments.suspense import Assignment, NewReceipt, assign, receive_unidentified
from core.payments.transfers import NewTransfer, transfer_credit
from core.web.jsonapi import Call, api_get, api_post
from core.web.reach import check_sees_everyone


class BatchWork(Struct, frozen=True):
    """A batch that a job books, and what it came to once it is over."""

    job_id: int
    state: str
    error: str | None = None
    report: Booked | None = None


class Transferred(Struct, frozen=True):
    amount_minor: int


class Relief(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The grounds on which the law gives the tax back, and the day."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    granted_on: date | None = None


class Relieved(Struct, frozen=True):
    amount_minor: int


@api_post(
    "/payments/batches",
    permission="payments.register",
    summary="Book many payments by one job",
    description="`mode`: `all` books nothing where a row is wrong, `skip_bad` leaves it out, `suspense` holds what"
    " nobody is found for. `who` is an invoice's number, or a customer's id or log-in name.",
    status_code=202,
)
async def start(call: Call, data: JSONBody[NewBatch]) -> BatchWork:
    check_sees_everyone(call.scope)
    return await _work(call, await start_batch(call.scope, data))


@api_get("/payments/batches/{job_id:int}", permission="payments.register", summary="How far a batch is")
async def get_batch(call: Call, job_id: FromPath[int]) -> BatchWork:
    return await _work(call, job_id)


async def _work(call: Call, job_id: int) -> BatchWork:
    report = await batch_of(call.scope, job_id)
    job = await get_job(call.scope, job_id)
    return BatchWork(job_id, str(job.state), job.error, report)


@api_post("/payments/unidentified", permission="payments.register", summary="Register money of nobody known")
async def register_unidentified(call: Call, data: JSONBody[NewReceipt]) -> PaymentDetail:
    check_sees_everyone(call.scope)
    return await queries.get_payment(call.scope, await receive_unidentified(call.scope, data))


@api_post(
    "/payments/{payment_id:int}/assignment",
    permission="payments.register",
    summary="Assign money of nobody known to its customer",
    status_code=200,
)
async def assign_payment(call: Call, payment_id: FromPath[int], data: JSONBody[Assignment]) -> PaymentDetail:
    await assign(call.scope, payment_id, data)
    return await queries.get_payment(call.scope, payment_id)


@api_post(
    "/customers/{customer_id:int}/credit/transfers",
    permission="payments.refund",
    summary="Transfer free credit to another customer",
)
async def transfer(call: Call, customer_id: FromPath[int], data: JSONBody[NewTransfer]) -> Transferred:
    return Transferred(await transfer_credit(call.scope, customer_id, data))


@api_post(
    "/invoices/{invoice_id:int}/tax-relief",
    permission="documents.credit",
    summary="Take back the tax of what was written off",
    status_code=200,
)
async def relieve(call: Call, invoice_id: FromPath[int], data: JSONBody[Relief]) -> Relieved:
    await documents.get_document(call.scope, invoice_id)
    return Relieved(await relieve_tax(call.scope, invoice_id, data.reason, data.granted_on))


HANDLERS = (start, get_batch, register_unidentified, assign_payment, transfer, relieve)
