"""The statement of account over JSON and as a PDF."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final

from litestar import Response
from litestar.params import FromPath, QueryParameter
from msgspec import Struct

from core.billing.layout import layout_assets
from core.documents.statement import statement_pdf
from core.payments.statement_routes import pdf_answer, usual_period
from core.payments.statements import statement_of
from core.web.jsonapi import Call, api_get

if TYPE_CHECKING:
    from core.documents.statement import StatementPart

Since = Annotated[date | None, QueryParameter(description="The first day; without it: of this year")]
Until = Annotated[date | None, QueryParameter(description="The last day, included; without it: today")]


class StatementEntryAnswer(Struct, frozen=True):
    """`amount_minor`: positive is a charge, negative is money or credit. `balance_minor`: what is to be paid then."""

    on: date
    text: str
    detail: str
    amount_minor: int
    balance_minor: int


class StatementPartAnswer(Struct, frozen=True):
    """The account in one currency: positive is owed by the customer, negative is its credit."""

    currency: str
    opening_minor: int
    entries: list[StatementEntryAnswer]
    closing_minor: int


class StatementAnswer(Struct, frozen=True):
    """What moved the customer's balance in the period, in the customer's language."""

    customer_id: int
    since: date
    until: date
    parts: list[StatementPartAnswer]


@api_get("/customers/{customer_id:int}/statement", permission="documents.view", summary="Statement of account")
async def get_statement(
    call: Call, customer_id: FromPath[int], since: Since = None, until: Until = None
) -> StatementAnswer:
    found = await statement_of(call.scope, customer_id, *_period(call, since, until))
    return StatementAnswer(customer_id, found.since, found.until, [_part(each) for each in found.parts])


def _period(call: Call, since: date | None, until: date | None) -> tuple[date, date]:
    first, last = usual_period(call.scope)
    return since or first, until or last


def _part(part: StatementPart) -> StatementPartAnswer:
    running, entries = part.opening_minor, []
    for each in part.entries:
        running += each.amount_minor
        entries.append(StatementEntryAnswer(each.on, each.text, each.detail, each.amount_minor, running))
    return StatementPartAnswer(part.currency, part.opening_minor, entries, running)


@api_get(
    "/customers/{customer_id:int}/statement/pdf",
    permission="documents.view",
    summary="Statement of account as PDF",
    media_type="application/pdf",
)
async def get_statement_pdf(
    call: Call, customer_id: FromPath[int], since: Since = None, until: Until = None
) -> Response[bytes]:
    statement = await statement_of(call.scope, customer_id, *_period(call, since, until))
    return pdf_answer(await statement_pdf(statement, assets=await layout_assets(call.scope)), customer_id, statement)


HANDLERS: Final = (get_statement, get_statement_pdf)
