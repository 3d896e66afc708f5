"""Proformas: issued of a draft, and turned into the invoice that it becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar import Response
from litestar.params import FromPath

from core.billing import actions, pages, queries
from core.money import format_amount, format_money
from core.texts import _
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, show_plan
from core.web.routing import get, post
from core.web.view import View

if TYPE_CHECKING:
    from core.scope import Scope


@get("/invoices/{invoice_id:int}/proforma", permission="documents.issue")
async def show_proforma(view: View, invoice_id: FromPath[int]) -> Response[str]:
    await queries.get_document(view.scope, invoice_id)
    return await show_plan(view, _place(invoice_id), asked(view), lambda: _issue(view.scope, invoice_id))


@post("/invoices/{invoice_id:int}/proforma", permission="documents.issue")
async def issue_proforma(view: View, invoice_id: FromPath[int]) -> Response[str]:
    await queries.get_document(view.scope, invoice_id)
    await view.read()
    return await do_plan(
        view,
        _place(invoice_id),
        lambda: _issue(view.scope, invoice_id),
        to=f"/invoices/{invoice_id}",
        said=_("Proforma issued. The draft stays."),
    )


@get("/invoices/{invoice_id:int}/invoice", permission="documents.edit")
async def show_invoice(view: View, invoice_id: FromPath[int]) -> Response[str]:
    """What turning it into an invoice begins."""
    document = await queries.get_document(view.scope, invoice_id)
    return view.page("billing/proforma.html", document=document, title=pages.title_of(document))


@post("/invoices/{invoice_id:int}/invoice", permission="documents.edit")
async def turn(view: View, invoice_id: FromPath[int]) -> Response[str]:
    draft_id = await actions.draft_of_proforma(view.scope, invoice_id)
    return view.go(f"/invoices/{draft_id}", _("Here is its draft: issue it to make the invoice."))


def _place(invoice_id: int) -> Place:
    path = f"/invoices/{invoice_id}/proforma"
    return Place(title=_("Proforma"), asked=path, sent=path)


async def _issue(scope: Scope, draft_id: int) -> ChangePlan:
    made = await queries.get_document(scope, await actions.issue_proforma(scope, draft_id))
    total = format_money(made.total_minor, made.currency, scope.locale)
    return ChangePlan(
        title=_("Issue a proforma of %(amount)s?", amount=total),
        button=_("Issue proforma of %(amount)s", amount=total),
        parts=[
            PlanPart(
                title=_("Documents"),
                lines=[
                    PlanLine(text=item.text, detail=item.detail, value=item.amount)
                    for item in pages.line_items(made, scope.locale)
                ],
                total=PlanLine(
                    text=_("Total, with %(amount)s tax", amount=format_amount(made.tax_minor, made.currency)),
                    value=total,
                    rests_on=str(made.corrects_id or ""),
                ),
            )
        ],
        warnings=[
            _("It has no effect on the books. Of the draft the invoice is issued when you say so."),
            _("Its PDF is made in the background. It goes out when you send it, on its page."),
        ],
    )


HANDLERS = (show_proforma, issue_proforma, show_invoice, turn)
