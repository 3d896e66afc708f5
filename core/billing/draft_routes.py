"""Pages of drafts: typed in, changed, issued, deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from litestar import Response
from litestar.params import FromPath

from core.activity.queries import timeline
from core.billing import actions, pages, queries
from core.billing.plan_parts import balance_part, document_place, documents_part, settled_lines
from core.billing.schemas import DraftFields, NewDraft
from core.billing.status import Charges
from core.billing.vat_checks import standing_of, told
from core.catalog import queries as catalog
from core.catalog.tax_names import named_tax
from core.customers import queries as customers
from core.customers.status import Documents
from core.customers.timeline import in_words
from core.documents.words import words_for
from core.errors import Conflict, Invalid, Stale
from core.ledger import queries as ledger
from core.money import format_money
from core.subscriptions import queries as subscriptions
from core.subscriptions.pricing import prices_for
from core.texts import _
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, show_plan
from core.web.forms import from_form
from core.web.once import once
from core.web.parts import Field, spoken
from core.web.routing import get, post
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.billing.schemas import DocumentDetail
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope
    from core.web.view import PageView


@get("/customers/{customer_id:int}/invoices/new", permission="documents.edit")
async def show_new(view: View, customer_id: FromPath[int]) -> Response[str]:
    customer = await customers.get_customer(view.scope, customer_id)
    open_charges = await _open_charges(view.scope, customer)
    return await draft_page(view, customer, None, chosen={charge.id for charge in open_charges})


@post("/customers/{customer_id:int}/invoices", permission="documents.edit")
async def create(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer = await customers.get_customer(scope, customer_id)
    await view.read()
    try:
        fields = _draft_fields(view, customer.currency)
        data = NewDraft(payer_id=customer_id, **{name: getattr(fields, name) for name in fields.__struct_fields__})

        async def make() -> str:
            return f"/invoices/{await actions.create_draft(scope, data)}"

        path = await once(view, make)
    except (Invalid, Conflict) as error:
        return await _refused_draft(view, customer, None, error)
    return view.go(path, _("Draft saved."))


@post("/invoices/{invoice_id:int}", permission="documents.edit")
async def save(view: View, invoice_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    document = await queries.get_document(scope, invoice_id)
    customer = await customers.get_customer(scope, document.payer_id)
    await view.read()
    try:
        fields = _draft_fields(view, document.currency)
        await actions.change_draft(scope, invoice_id, fields, version=_version(view))
    except (Invalid, Conflict) as error:
        return await _refused_draft(view, customer, document, error)
    return view.go(f"/invoices/{invoice_id}", _("Draft saved."))


@get("/invoices/lines/new", permission="documents.edit")
async def show_line(view: View) -> Response[str]:
    """One more row to fill in, behind the last."""
    return view.page(
        "billing/_line.html",
        line=pages.TypedLine(at=_row_number(view), quantity="1"),
        products=_products_at(view.query.get("customer", ""), view.query.get("currency", "")),
        taxes=pages.tax_choices(await catalog.list_tax_categories()),
        errors={},
    )


@get("/customers/{customer_id:int}/invoices/products", permission="documents.edit")
async def suggest_products(view: View, customer_id: FromPath[int]) -> Response[str]:
    """The products that the words in a line may mean, at what they cost this customer today."""
    scope, at = view.scope, _row_number(view)
    customer = await customers.get_customer(scope, customer_id)
    typed = view.query.get(f"line-{at}-description", "").strip()
    options: list[pages.ProductOption] = []
    if typed:
        products = await catalog.list_products(on=scope.today())
        currency = view.query.get("currency") or customer.currency
        prices = await prices_for(scope, customer_id, currency, [product.id for product in products])
        options = pages.product_options(at, products, prices, typed, scope.locale)
    return view.page("_partials/suggestions.html", options=options, typed=typed)


def _row_number(view: PageView) -> int:
    at = view.query.get("at", "")
    return min(int(at), 998) if at.isdecimal() and len(at) < 4 else 0


def _products_at(customer_id: str, currency: str) -> str:
    """Where lines of this customer's drafts ask for products; nowhere without a customer."""
    return f"/customers/{customer_id}/invoices/products?currency={currency}" if customer_id else ""


def _draft_fields(view: PageView, currency: str) -> DraftFields:
    lines = pages.typed_lines(view.typed)
    beside = {
        name: texts for name, texts in view.typed.items() if name in ("terms_days", "reference", "note", "version")
    }
    form = from_form(pages.DraftForm, beside)
    return DraftFields(
        lines=pages.new_lines(lines, currency, view.scope.locale),
        charge_ids=pages.charge_ids(view.typed),
        terms_days=form.terms_days,
        reference=form.reference,
        note=form.note,
    )


def _version(view: PageView) -> int:
    text = view.typed.get("version", ["0"])[-1]
    if not text.isdecimal() or len(text) > 18:
        raise Invalid(_("Load the page again."), field="version")
    return int(text)


async def _refused_draft(
    view: PageView, customer: CustomerDetail, document: DocumentDetail | None, error: Invalid | Conflict
) -> Response[str]:
    if isinstance(error, Stale):
        errors = {"": _("Somebody else saved this draft meanwhile. Load the page again to see it; nothing was saved.")}
    elif isinstance(error, Invalid):
        errors = errors_by_field(pages.at_their_lines(error, pages.typed_lines(view.typed)))
    else:
        errors = {"": error.message}
    return await draft_page(
        view,
        customer,
        document,
        chosen=set(pages.charge_ids(view.typed)),
        lines=pages.typed_lines(view.typed),
        errors=errors,
        status=error.status,
    )


async def _open_charges(scope: Scope, customer: CustomerDetail) -> list[Any]:
    """What waits for the customer's next invoice, first periods of unpaid orders left out: those have theirs."""
    found = await subscriptions.list_charges(scope, customer_id=customer.id, state="open", limit=2000)
    return [charge for charge in reversed(found) if charge.kind != "recurring" or charge.period_start is not None]


async def draft_page(
    view: PageView,
    customer: CustomerDetail,
    document: DocumentDetail | None,
    *,
    chosen: set[int] | None = None,
    lines: Sequence[pages.TypedLine] | None = None,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response[str]:
    """A draft, or a new one, to be filled in."""
    scope, locale = view.scope, view.scope.locale
    currency = document.currency if document is not None else customer.currency
    held = {line.charge_id for line in document.lines} if document is not None else set()
    shown = lines if lines is not None else pages.free_lines(document) if document is not None else []
    entries = (
        await timeline(scope, subject=("invoice", document.id), limit=20)
        if document is not None and scope.may("activity.view")
        else []
    )
    return view.page(
        "billing/draft.html",
        status=status,
        customer=customer,
        document=document,
        title=pages.title_of(document) if document is not None else _("New invoice"),
        action=f"/invoices/{document.id}" if document is not None else f"/customers/{customer.id}/invoices",
        lines=pages.with_blanks(shown),
        charges=pages.charge_choices(
            document,
            await _open_charges(scope, customer),
            currency,
            locale,
            {each for each in held if each} if chosen is None else chosen,
        ),
        taxes=pages.tax_choices(await catalog.list_tax_categories()),
        tax_items=pages.tax_items(document) if document is not None else [],
        tax_name=words_for(locale, await named_tax(scope.tenant.country)).vat,
        currency_of=currency,
        products=_products_at(str(customer.id), currency),
        values=view.shown(
            terms_days="" if document is None or document.terms_days is None else str(document.terms_days),
            reference=document.reference if document is not None else "",
            note=document.note if document is not None else "",
            version=str(document.version) if document is not None else "0",
        ),
        errors=errors or {},
        labels=pages.labels_of(errors or {}),
        happenings=await in_words(scope, entries),
        may_issue=scope.may("documents.issue"),
    )


@get("/invoices/{invoice_id:int}/issue", permission="documents.issue")
async def show_issue(view: View, invoice_id: FromPath[int]) -> Response[str]:
    await queries.get_document(view.scope, invoice_id)
    return await show_plan(
        view, document_place(invoice_id, _("Issue"), "issue"), asked(view), lambda: _issue(view.scope, invoice_id)
    )


@post("/invoices/{invoice_id:int}/issue", permission="documents.issue")
async def issue(view: View, invoice_id: FromPath[int]) -> Response[str]:
    await queries.get_document(view.scope, invoice_id)
    await view.read()
    return await do_plan(
        view,
        document_place(invoice_id, _("Issue"), "issue"),
        lambda: _issue(view.scope, invoice_id),
        to=f"/invoices/{invoice_id}",
        said=_("Issued."),
    )


async def _issue(scope: Scope, invoice_id: int) -> ChangePlan:
    before = await queries.get_document(scope, invoice_id)
    balance = await ledger.get_balance(scope, before.payer_id, before.currency)
    await actions.issue(scope, invoice_id)
    after = await queries.get_document(scope, invoice_id)
    money = balance_part(balance, await ledger.get_balance(scope, after.payer_id, after.currency), settled_lines(after))
    total = format_money(after.total_minor, after.currency, scope.locale)
    customer = await customers.get_customer(scope, after.payer_id)
    to = (await customers.document_recipients(scope, customer, Documents.INVOICES)).all
    by_mail = to and customer.send_by == "email"
    return ChangePlan(
        title=_("Issue the invoice of %(amount)s?", amount=total),
        button=_("Issue invoice of %(amount)s", amount=total),
        parts=[
            documents_part([after], scope.locale),
            money,
            PlanPart(
                title=_("Messages"),
                lines=[
                    PlanLine(
                        text=_("E-mail with the PDF") if by_mail else _("No e-mail"),
                        detail=", ".join(to)
                        if by_mail
                        else _("The customer has no address, or gets documents by post"),
                    )
                ],
            ),
        ],
        warnings=[
            _("An issued invoice cannot be changed any more, only corrected by a credit note."),
            *await _charged_abroad(scope, customer, after),
        ],
    )


async def _charged_abroad(scope: Scope, customer: CustomerDetail, document: DocumentDetail) -> list[str]:
    """That a company of another member of the EU is charged tax, where a check of its VAT id may take that off."""
    if not document.tax_minor or not customer.vat_id or customer.kind != "company":
        return []
    standing = await standing_of(scope, customer, seller_id=document.seller_id)
    if standing.reason not in ("not_checked", "not_valid", "too_old"):
        return []
    return [
        _(
            "Tax is charged to the company with the VAT id %(vat_id)s. %(reason)s Owes it the tax itself? Check the id"
            " (VIES), note the answer beside it under Billing settings of the customer, and come back.",
            vat_id=customer.vat_id,
            reason=told(standing.reason, customer.vat_id),
        )
    ]


@get("/invoices/{invoice_id:int}/deletion", permission="documents.edit")
async def show_deletion(view: View, invoice_id: FromPath[int]) -> Response[str]:
    await queries.get_document(view.scope, invoice_id)
    typed = asked(view)
    return await show_plan(
        view,
        _deletion_place(invoice_id),
        typed,
        lambda: _delete(view.scope, invoice_id, from_form(pages.Deletion, typed)),
    )


@post("/invoices/{invoice_id:int}/deletion", permission="documents.edit")
async def delete_draft(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await queries.get_document(view.scope, invoice_id)
    await view.read()
    return await do_plan(
        view,
        _deletion_place(invoice_id),
        lambda: _delete(view.scope, invoice_id, from_form(pages.Deletion, view.typed)),
        to=f"/customers/{document.payer_id}/transactions",
        said=_("Draft deleted."),
    )


def _deletion_place(invoice_id: int) -> Place:
    charges = Field(
        name="charges", label=_("Its charges are"), kind="select", value="bill_again", choices=spoken(pages.CHARGES)
    )
    return document_place(invoice_id, _("Delete the draft"), "deletion", [charges])


async def _delete(scope: Scope, invoice_id: int, form: pages.Deletion) -> ChangePlan:
    before = await queries.get_document(scope, invoice_id)
    held = [line for line in before.lines if line.charge_id is not None]
    await actions.delete_draft(scope, invoice_id, Charges(form.charges))
    value = _("billed again with the next run") if form.charges == "bill_again" else _("waived")
    return ChangePlan(
        title=_("Delete the draft?"),
        button=_("Delete draft"),
        danger=True,
        keep=_("Keep the draft"),
        parts=[
            PlanPart(
                title=_("Lines"),
                lines=[
                    *(
                        PlanLine(text=line.description, value=_("gone"))
                        for line in before.lines
                        if line.charge_id is None
                    ),
                    *(PlanLine(text=line.description, detail=_("a charge"), value=value) for line in held),
                ]
                or [PlanLine(text=_("It has no lines"), value=_("gone"))],
            )
        ],
    )


HANDLERS = (
    show_new,
    create,
    save,
    show_line,
    suggest_products,
    show_issue,
    issue,
    show_deletion,
    delete_draft,
)
