"""Invoices issued anew, free credit notes and proformas over JSON."""

from __future__ import annotations

from litestar.params import FromPath, JSONBody
from msgspec import Struct

from core.billing import actions, queries
from core.billing.actions.free_notes import Creditable, list_creditable_rates
from core.billing.schemas import DocumentDetail, NewFreeCreditNote, Reissue
from core.customers import queries as customers
from core.web.jsonapi import Call, api_get, api_post


class Replaced(Struct, frozen=True):
    """The credit note over the old invoice, and the new invoice."""

    credit_note: DocumentDetail
    invoice: DocumentDetail


@api_post(
    "/invoices/{invoice_id:int}/reissue",
    permission="documents.credit",
    summary="Credit an invoice in full and issue it anew",
    description="With the same lines when `lines` is left out. Its payments settle the new one. The price of a charge"
    " is that of a full period: of a part of one its days are charged. Needs the permission to issue, too.",
)
async def reissue(call: Call, invoice_id: FromPath[int], data: JSONBody[Reissue]) -> Replaced:
    call.scope.require("documents.issue")
    done = await actions.reissue(call.scope, invoice_id, data)
    return Replaced(
        credit_note=await queries.get_document(call.scope, done.credit_note_id),
        invoice=await queries.get_document(call.scope, done.invoice_id),
    )


@api_get(
    "/customers/{customer_id:int}/creditable",
    permission="documents.view",
    summary="By tax rate what can be credited without an invoice",
)
async def list_creditable(call: Call, customer_id: FromPath[int]) -> list[Creditable]:
    customer = await customers.get_customer(call.scope, customer_id)
    return await list_creditable_rates(customer_id, customer.currency)


@api_post(
    "/customers/{customer_id:int}/credit-notes",
    permission="documents.credit_freely",
    summary="A credit note that corrects no invoice",
)
async def create_free_credit_note(
    call: Call, customer_id: FromPath[int], data: JSONBody[NewFreeCreditNote]
) -> DocumentDetail:
    note_id = await actions.create_free_credit_note(call.scope, customer_id, data)
    return await queries.get_document(call.scope, note_id)


@api_post(
    "/invoices/{invoice_id:int}/proforma",
    permission="documents.issue",
    summary="A proforma of what a draft is now",
    description="It has a number of its own and no effect on the books; the draft stays.",
)
async def issue_proforma(call: Call, invoice_id: FromPath[int]) -> DocumentDetail:
    return await queries.get_document(call.scope, await actions.issue_proforma(call.scope, invoice_id))


@api_post(
    "/invoices/{invoice_id:int}/invoice",
    permission="documents.edit",
    summary="The draft that becomes the invoice of a proforma",
    status_code=200,
)
async def invoice_of_proforma(call: Call, invoice_id: FromPath[int]) -> DocumentDetail:
    return await queries.get_document(call.scope, await actions.draft_of_proforma(call.scope, invoice_id))


HANDLERS = (reissue, list_creditable, create_free_credit_note, issue_proforma, invoice_of_proforma)
