"""Invoices, credit notes and credit over JSON. Amounts are in minor units of their currency."""

from __future__ import annotations

from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from litestar import Response
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct

from core.billing import actions, queries
from core.billing.actions.notes import Left, list_left
from core.billing.listing import DOCUMENTS
from core.billing.mailing import document_file, send_document
from core.billing.pages import received_for
from core.billing.schemas import (
    CreditLine,
    CreditRow,
    DocumentDetail,
    DocumentRow,
    DraftFields,
    NewCreditNote,
    NewDraft,
)
from core.billing.status import Charges
from core.customers import queries as customers
from core.documents.files import read_file
from core.errors import Conflict, NotFound
from core.ids import Id
from core.payments import actions as payments
from core.payments import queries as payment_queries
from core.payments.actions import PayingBack
from core.texts import _
from core.web.jsonapi import Call, Page, api_delete, api_get, api_patch, api_post, decode_cursor, encode_cursor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.payments.schemas import NamingRow

Limit = Annotated[int, QueryParameter(ge=1, le=500, description="Rows of a page")]
Cursor = Annotated[str, QueryParameter(max_length=1000, description="`next` of the page before")]
Reason = Annotated[str, Meta(min_length=1, max_length=500)]
AmountMinor = Annotated[int, Meta(ge=1, le=10**12)]


class DraftChange(DraftFields, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A draft whole, against the version that was read."""

    version: Annotated[int, Meta(ge=1)]


class Credited(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Some lines of an invoice, or all that is left of it when `lines` is left out.

    `refund`: what becomes free and is paid back at once, which needs the permission to refund.
    """

    reason: Reason
    lines: Annotated[list[CreditLine], Meta(max_length=500)] | None = None
    charges: Literal["waive", "bill_again"] = "waive"
    refund: PayingBack | None = None


class Voided(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`refund`: what becomes free and is paid back at once, which needs the permission to refund.

    `late_fees`: what becomes of its late fees that were invoiced already; the others are waived.
    """

    reason: Reason
    charges: Literal["waive", "bill_again"] = "waive"
    late_fees: Literal["keep", "credit"] = "keep"
    refund: PayingBack | None = None


class WrittenOff(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """All that is open when the amount is left out."""

    reason: Reason
    amount_minor: AmountMinor | None = None


class Granted(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """In the customer's currency by default. `invoice_id` or `subscription_id`: what it is meant for, it pays first."""

    amount_minor: AmountMinor
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    reason: Reason
    invoice_id: Id | None = None
    subscription_id: Id | None = None


class TakenBack(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    reason: Reason


class NewAllocation(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    credit_entry_id: Id
    invoice_id: Id
    amount_minor: AmountMinor


class Settled(Struct, frozen=True):
    document_id: int
    number: str | None
    amount_minor: int


class NamingPayment(Struct, frozen=True, kw_only=True):
    """Money that came for a proforma, and what became of it."""

    id: int
    method_name: str
    received_on: date
    currency: str
    amount_minor: int
    reversed_minor: int
    free_minor: int
    settled: list[Settled]


class ReceivedFor(Struct, frozen=True, kw_only=True):
    """What came for a proforma and was not reversed, what of it is free, and whether that is all that it asks for."""

    amount_minor: int
    free_minor: int
    enough: bool
    payments: list[NamingPayment]


class OneDocument(DocumentDetail, frozen=True, kw_only=True):
    """A document with all that stands on it; `received` of a proforma, for whoever may see payments."""

    received: ReceivedFor | None = None


class Sent(Struct, frozen=True):
    """The message that carries it; null where the customer has no address."""

    message_id: int | None


class Deleted(Struct, frozen=True):
    id: int


@api_get(
    "/invoices",
    permission="documents.view",
    summary="List invoices and credit notes, the newest first",
    description="Also searched (`q`), sorted (`sort=-due,number`) and filtered as the page: `status=overdue`,"
    " `issued.from`, `due.to`, `total.from`, `customer.has`; `view=5` as a saved view has it.",
)
async def list_invoices(
    call: Call,
    payer_id: Annotated[int | None, QueryParameter(description="Only those of one payer")] = None,
    kind: Annotated[
        Literal["invoice", "credit_note", "proforma", "opening"] | None, QueryParameter(description="Only of this kind")
    ] = None,
    in_state: Annotated[
        Literal["draft", "issued"] | None, QueryParameter(name="state", description="Only in this state")
    ] = None,
    only_open: Annotated[bool, QueryParameter(description="Only what is not settled")] = False,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page[DocumentRow]:
    asked = {"status": "open"} if only_open else {}
    return await DOCUMENTS.api(call, cursor=cursor, limit=limit, **asked)


@api_post("/invoices", permission="documents.edit", summary="Create a draft of an invoice")
async def create_draft(call: Call, data: JSONBody[NewDraft]) -> DocumentDetail:
    return await queries.get_document(call.scope, await actions.create_draft(call.scope, data))


@api_get("/invoices/{invoice_id:int}", permission="documents.view", summary="One document with its lines and taxes")
async def get_invoice(call: Call, invoice_id: FromPath[int]) -> OneDocument:
    scope = call.scope
    document = await queries.get_document(scope, invoice_id)
    naming: list[NamingRow] = []
    if document.kind == "proforma" and scope.may("payments.view"):
        naming = await payment_queries.list_naming(scope, invoice_id, document.payer_id)
    return OneDocument(**msgspec.structs.asdict(document), received=_received(document, naming) if naming else None)


def _received(document: DocumentDetail, naming: Sequence[NamingRow]) -> ReceivedFor:
    received = received_for(document, naming)
    payments = []
    for __, each in groupby(naming, key=lambda row: row.id):
        found = list(each)
        known = {name: getattr(found[0], name) for name in NamingPayment.__struct_fields__ if name != "settled"}
        settled = [Settled(row.document_id, row.number, row.settled_minor) for row in found if row.document_id]
        payments.append(NamingPayment(**known, settled=[one for one in settled if one.amount_minor]))
    return ReceivedFor(
        amount_minor=received.minor, free_minor=received.free_minor, enough=received.enough, payments=payments
    )


@api_patch("/invoices/{invoice_id:int}", permission="documents.edit", summary="Save a draft whole")
async def change_draft(call: Call, invoice_id: FromPath[int], data: JSONBody[DraftChange]) -> DocumentDetail:
    fields = DraftFields(**{name: getattr(data, name) for name in DraftFields.__struct_fields__})
    await actions.change_draft(call.scope, invoice_id, fields, version=data.version)
    return await queries.get_document(call.scope, invoice_id)


@api_delete("/invoices/{invoice_id:int}", permission="documents.edit", summary="Delete a draft")
async def delete_draft(
    call: Call,
    invoice_id: FromPath[int],
    charges: Annotated[
        Literal["waive", "bill_again"], QueryParameter(description="What becomes of the charges on it")
    ] = "bill_again",
) -> Deleted:
    await actions.delete_draft(call.scope, invoice_id, Charges(charges))
    return Deleted(invoice_id)


@api_post("/invoices/{invoice_id:int}/issue", permission="documents.issue", summary="Issue a draft", status_code=200)
async def issue(call: Call, invoice_id: FromPath[int]) -> DocumentDetail:
    await actions.issue(call.scope, invoice_id)
    return await queries.get_document(call.scope, invoice_id)


@api_get(
    "/invoices/{invoice_id:int}/creditable", permission="documents.view", summary="Its lines, with what is left of each"
)
async def list_creditable(call: Call, invoice_id: FromPath[int]) -> list[Left]:
    await queries.get_document(call.scope, invoice_id)
    return await list_left(invoice_id)


@api_post("/invoices/{invoice_id:int}/credit-notes", permission="documents.credit", summary="Credit an invoice")
async def create_credit_note(call: Call, invoice_id: FromPath[int], data: JSONBody[Credited]) -> DocumentDetail:
    note = NewCreditNote(document_id=invoice_id, reason=data.reason, lines=data.lines, charges=data.charges)
    return await queries.get_document(call.scope, await _credit(call, note, data.refund))


async def _credit(call: Call, note: NewCreditNote, refund: PayingBack | None) -> int:
    if refund is None:
        return await actions.create_credit_note(call.scope, note)
    call.scope.require("payments.refund")
    return await payments.credit_and_refund(call.scope, note, refund)


@api_post(
    "/invoices/{invoice_id:int}/void",
    permission="documents.credit",
    summary="Void by a credit note for all that is left",
)
async def void(call: Call, invoice_id: FromPath[int], data: JSONBody[Voided]) -> DocumentDetail:
    note = NewCreditNote(document_id=invoice_id, reason=data.reason, charges=data.charges, late_fees=data.late_fees)
    return await queries.get_document(call.scope, await _credit(call, note, data.refund))


@api_post(
    "/invoices/{invoice_id:int}/write-off",
    permission="documents.credit",
    summary="Give up what is open",
    status_code=200,
)
async def write_off(call: Call, invoice_id: FromPath[int], data: JSONBody[WrittenOff]) -> DocumentDetail:
    await actions.write_off(call.scope, invoice_id, data.reason, data.amount_minor)
    return await queries.get_document(call.scope, invoice_id)


@api_get(
    "/invoices/{invoice_id:int}/pdf",
    permission="documents.view",
    summary="The PDF of an issued document, the same bytes ever after",
    media_type="application/pdf",
)
async def get_pdf(call: Call, invoice_id: FromPath[int]) -> Response[bytes]:
    await queries.get_document(call.scope, invoice_id)
    file = await document_file(call.scope, invoice_id)
    return Response(
        await read_file(call.scope, file),
        media_type="application/pdf",
        headers={"Content-Disposition": f'attachment; filename="{file.name}"', "X-Content-Type-Options": "nosniff"},
    )


@api_post(
    "/invoices/{invoice_id:int}/sending", permission="documents.issue", summary="Send by e-mail, again", status_code=200
)
async def send(call: Call, invoice_id: FromPath[int]) -> Sent:
    document = await queries.get_document(call.scope, invoice_id)
    if document.state != "issued":
        raise Conflict(_("A draft has no document yet. Issue it first."))
    await document_file(call.scope, invoice_id)
    return Sent(await send_document(call.scope, invoice_id, again=True))


@api_post(
    "/customers/{customer_id:int}/invoices", permission="documents.issue", summary="Issue what is open for a payer"
)
async def invoice_open_charges(call: Call, customer_id: FromPath[int]) -> list[DocumentDetail]:
    made = await actions.invoice_open_charges(call.scope, customer_id)
    return [await queries.get_document(call.scope, each) for each in made]


@api_get("/customers/{customer_id:int}/credit", permission="payments.view", summary="Credit of a customer")
async def list_credit(
    call: Call,
    customer_id: FromPath[int],
    only_free: Annotated[bool, QueryParameter(description="Only what is left")] = False,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page[CreditRow]:
    await customers.get_customer(call.scope, customer_id)
    before = decode_cursor(cursor, tuple[int])[0] if cursor else 0
    found = await queries.list_credits(call.scope, customer_id, only_free=only_free, before=before, limit=limit + 1)
    return Page(found[:limit], encode_cursor(found[limit - 1].id) if len(found) > limit else None)


@api_post("/customers/{customer_id:int}/credit", permission="documents.credit", summary="Grant credit: goodwill")
async def grant_credit(call: Call, customer_id: FromPath[int], data: JSONBody[Granted]) -> CreditRow:
    made = await actions.grant_credit(
        call.scope,
        customer_id,
        data.amount_minor,
        data.reason,
        document_id=data.invoice_id,
        subscription_id=data.subscription_id,
        currency=data.currency,
    )
    granted = await queries.find_credit(call.scope, made)
    assert granted is not None
    return granted


@api_get(
    "/customers/{customer_id:int}/credit/{credit_id:int}/uses",
    permission="payments.view",
    summary="What became of a credit",
)
async def list_uses(call: Call, customer_id: FromPath[int], credit_id: FromPath[int]) -> list[queries.CreditUse]:
    await customers.get_customer(call.scope, customer_id)
    await _credit_of(call, customer_id, credit_id)
    return await queries.list_credit_uses(call.scope, [credit_id])


@api_post(
    "/customers/{customer_id:int}/credit/{credit_id:int}/reversal",
    permission="documents.credit",
    summary="Take goodwill back",
    description="Invoices that it paid are open again. No tax moves.",
)
async def reverse_credit(
    call: Call, customer_id: FromPath[int], credit_id: FromPath[int], data: JSONBody[TakenBack]
) -> CreditRow:
    await customers.get_customer(call.scope, customer_id)
    await _credit_of(call, customer_id, credit_id)
    await actions.reverse_grant(call.scope, credit_id, data.reason)
    return await _credit_of(call, customer_id, credit_id)


async def _credit_of(call: Call, customer_id: int, credit_id: int) -> CreditRow:
    found = await queries.find_credit(call.scope, credit_id)
    if found is None or found.customer_id != customer_id:
        raise NotFound(f"credit {credit_id}")
    return found


@api_post("/allocations", permission="payments.register", summary="Settle an invoice with some of a credit")
async def allocate(call: Call, data: JSONBody[NewAllocation]) -> DocumentDetail:
    await actions.allocate_by_hand(call.scope, data.credit_entry_id, data.invoice_id, data.amount_minor)
    return await queries.get_document(call.scope, data.invoice_id)


@api_delete("/allocations/{allocation_id:int}", permission="payments.register", summary="Take an allocation back")
async def unallocate(call: Call, allocation_id: FromPath[int]) -> Deleted:
    await actions.unallocate(call.scope, allocation_id)
    return Deleted(allocation_id)


HANDLERS = (
    list_invoices,
    create_draft,
    get_invoice,
    change_draft,
    delete_draft,
    issue,
    list_creditable,
    create_credit_note,
    void,
    write_off,
    get_pdf,
    send,
    invoice_open_charges,
    list_credit,
    grant_credit,
    list_uses,
    reverse_credit,
    allocate,
    unallocate,
)
