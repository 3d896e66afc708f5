"""The statement of account on the screen, to print, and as a PDF to save."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from litestar import Response
from litestar.params import FromPath
from msgspec import Struct

from core.billing.layout import layout_assets
from core.customers.head import head_values
from core.documents.statement import statement_page, statement_pdf
from core.errors import Invalid
from core.money import format_amount
from core.payments.statements import statement_of
from core.texts import _
from core.web.assets import load_manifest
from core.web.parts import Field
from core.web.routing import get
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.documents.statement import Statement, StatementPart
    from core.scope import Scope
    from core.web.view import PageView

HTML: Final = "text/html"


class PartItem(Struct, frozen=True, kw_only=True):
    """The account in one currency, summed up; positive is to be paid."""

    currency: str
    opening: str
    entries: int
    charged: str
    credited: str
    closing: str


def _part_item(part: StatementPart) -> PartItem:
    charged = sum(each.amount_minor for each in part.entries if each.amount_minor > 0)
    credited = -sum(each.amount_minor for each in part.entries if each.amount_minor < 0)
    return PartItem(
        currency=part.currency,
        opening=format_amount(part.opening_minor, part.currency),
        entries=len(part.entries),
        charged=format_amount(charged, part.currency),
        credited=format_amount(credited, part.currency),
        closing=format_amount(part.closing_minor, part.currency),
    )


@get("/customers/{customer_id:int}/statement", permission="documents.view")
async def show_statement(view: View, customer_id: FromPath[int]) -> Response[str]:
    """The period, and the statement as it is printed."""
    head = await head_values(view, customer_id, _("Transactions"))
    since, until = usual_period(view.scope)
    errors: dict[str, str] = {}
    parts: list[PartItem] = []
    try:
        since, until = _period(view)
        parts = [_part_item(each) for each in (await statement_of(view.scope, customer_id, since, until)).parts]
    except Invalid as error:
        errors = errors_by_field(error)
    fields = [
        Field(name="since", label=_("From"), kind="date", required=True),
        Field(name="until", label=_("Until"), kind="date", required=True),
    ]
    typed = {"since": view.query.get("since", since.isoformat()), "until": view.query.get("until", until.isoformat())}
    asked = f"since={since.isoformat()}&until={until.isoformat()}"
    return view.page(
        "payments/statement.html",
        status=422 if errors else 200,
        **head,
        fields=fields,
        values=typed,
        errors=errors,
        parts=parts,
        sheet="" if errors else f"/customers/{customer_id}/statement/sheet?{asked}",
        pdf="" if errors else f"/customers/{customer_id}/statement/pdf?{asked}",
    )


@get("/customers/{customer_id:int}/statement/sheet", permission="documents.view")
async def show_sheet(view: View, customer_id: FromPath[int]) -> Response[str]:
    """The statement as it is printed, on the screen."""
    statement = await _asked(view, customer_id)
    return Response(statement_page(statement, css=load_manifest()("document.css")), media_type=HTML)


@get("/customers/{customer_id:int}/statement/pdf", permission="documents.view")
async def show_pdf(view: View, customer_id: FromPath[int]) -> Response[bytes]:
    statement = await _asked(view, customer_id)
    return pdf_answer(await statement_pdf(statement, assets=await layout_assets(view.scope)), customer_id, statement)


def pdf_answer(pdf: bytes, customer_id: int, statement: Statement) -> Response[bytes]:
    name = f"statement-{customer_id}-{statement.since}-{statement.until}.pdf"
    return Response(
        pdf,
        media_type="application/pdf",
        headers={"Content-Disposition": f'inline; filename="{name}"', "X-Content-Type-Options": "nosniff"},
    )


async def _asked(view: PageView, customer_id: int) -> Statement:
    since, until = _period(view)
    return await statement_of(view.scope, customer_id, since, until)


def _period(view: PageView) -> tuple[date, date]:
    usual = dict(zip(("since", "until"), usual_period(view.scope), strict=True))
    found = {}
    for name, day in usual.items():
        try:
            found[name] = date.fromisoformat(view.query[name]) if view.query.get(name) else day
        except ValueError:
            raise Invalid(_("This is no day. Write it like 2026-01-31."), field=name) from None
    return found["since"], found["until"]


def usual_period(scope: Scope) -> tuple[date, date]:
    """This year until today."""
    today = scope.today()
    return today.replace(month=1, day=1), today


HANDLERS: Final = (show_statement, show_sheet, show_pdf)
