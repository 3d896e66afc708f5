"""Pages of documents: the list, drafts, issued ones with what settled them, credit notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Response
from litestar.params import FromPath

from core.activity.queries import timeline
from core.billing import actions, pages, queries, setting_pages
from core.billing.actions.allocation import change_waits
from core.billing.actions.notes import list_left
from core.billing.actions.proformas import why_no_draft
from core.billing.dunning_pages import dunning_of
from core.billing.listing import DOCUMENTS
from core.billing.mailing import document_file, send_document
from core.billing.schemas import CreditLine, DraftFields, NewCreditNote, NewDraft
from core.billing.sheets import document_of
from core.billing.status import Charges
from core.catalog import queries as catalog
from core.clock import date_in
from core.customers import queries as customers
from core.customers.status import Documents
from core.customers.timeline import in_words
from core.documents.files import get_file, read_file
from core.documents.sheet import document_page
from core.errors import Conflict, FieldError, Invalid, NotFound, Stale
from core.hooks import Permission
from core.ledger import queries as ledger
from core.messages.queries import mail_is_set_up
from core.money import format_amount, format_money
from core.payments import actions as payments
from core.payments import queries as payment_queries
from core.payments.actions import PayingBack
from core.subscriptions import queries as subscriptions
from core.texts import N_, _, in_sentence, pgettext
from core.web.amounts import Fields, typed_amount
from core.web.assets import load_manifest
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, show_plan
from core.web.forms import from_form
from core.web.parts import Field, MenuEntry, spoken
from core.web.reach import check_sees_everyone
from core.web.routing import get, post
from core.web.templating import written
from core.web.view import HTML, View, errors_by_field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.billing.schemas import DocumentDetail
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope
    from core.web.view import PageView

PERMISSIONS: Final = (
    Permission("documents.view", N_("See invoices and credit notes")),
    Permission("documents.edit", N_("Make and change drafts of invoices")),
    Permission("documents.issue", N_("Issue invoices")),
    Permission("documents.credit", N_("Make credit notes, void and write off invoices, grant credit")),
    Permission("documents.credit_freely", N_("Make credit notes that correct no invoice")),
    Permission("billing.view", N_("See billing runs")),
    Permission("billing.run", N_("Start and cancel billing runs")),
)


@get("/invoices", permission="documents.view")
async def list_invoices(view: View) -> Response[str]:
    return await DOCUMENTS.page(view)


# -- drafts -----------------------------------------------------------------------------------------------------------


@get("/customers/{customer_id:int}/invoices/new", permission="documents.edit")
async def show_new(view: View, customer_id: FromPath[int]) -> Response[str]:
    customer = await customers.get_customer(view.scope, customer_id)
    open_charges = await _open_charges(view.scope, customer)
    return await _draft_page(view, customer, None, chosen={charge.id for charge in open_charges})


@post("/customers/{customer_id:int}/invoices", permission="documents.edit")
async def create(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer = await customers.get_customer(scope, customer_id)
    await view.read()
    try:
        fields = _draft_fields(view, customer.currency)
        data = NewDraft(payer_id=customer_id, **{name: getattr(fields, name) for name in fields.__struct_fields__})
        invoice_id = await actions.create_draft(scope, data)
    except (Invalid, Conflict) as error:
        return await _refused_draft(view, customer, None, error)
    return view.go(f"/invoices/{invoice_id}", _("Draft saved."))


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
    at = view.query.get("at", "")
    return view.page(
        "billing/_line.html",
        line=pages.TypedLine(at=min(int(at), 998) if at.isdecimal() and len(at) < 4 else 0, quantity="1"),
        taxes=pages.tax_choices(await catalog.list_tax_categories()),
        errors={},
    )


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
    return await _draft_page(
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
    found = await subscriptions.list_charges(scope, customer_id=customer.id, state="open")
    return [charge for charge in reversed(found) if charge.kind != "recurring" or charge.period_start is not None]


async def _draft_page(
    view: PageView,
    customer: CustomerDetail,
    document: DocumentDetail | None,
    *,
    chosen: set[int] | None = None,
    lines: Sequence[pages.TypedLine] | None = None,
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response[str]:
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
        currency_of=currency,
        values=view.shown(
            terms_days="" if document is None or document.terms_days is None else str(document.terms_days),
            reference=document.reference if document is not None else "",
            note=document.note if document is not None else "",
            version=str(document.version) if document is not None else "0",
        ),
        errors=errors or {},
        labels=pages.labels_of(errors or {}),
        happenings=await in_words(entries, scope.locale),
        may_issue=scope.may("documents.issue"),
    )


# -- one document -----------------------------------------------------------------------------------------------------


@get("/invoices/{invoice_id:int}", permission="documents.view")
async def show(view: View, invoice_id: FromPath[int]) -> Response[str]:
    scope, locale = view.scope, view.scope.locale
    document = await queries.get_document(scope, invoice_id)
    if document.state == "draft" and scope.may("documents.edit"):
        return await _draft_page(view, await customers.get_customer(scope, document.payer_id), document)
    kind = "credit_note" if document.kind == "credit_note" else "invoice"
    entries = await timeline(scope, subject=(kind, invoice_id), limit=20) if scope.may("activity.view") else []
    pdf = await pages.find_pdf(invoice_id)
    corrects = await queries.get_document(scope, document.corrects_id) if document.corrects_id is not None else None
    notes = [await queries.get_document(scope, each) for each in document.credit_note_ids]
    sent = ""
    if document.sent_at is not None:
        sent = written(date_in(document.sent_at, scope.tenant.time_zone), locale)
    return view.page(
        "billing/invoice.html",
        document=document,
        title=pages.title_of(document),
        kind=_(pages.KINDS[document.kind]),
        pill=pages.pill_of(document, scope.today()),
        facts=pages.facts_of(document, scope.today(), locale, sent),
        lines=pages.line_items(document, locale),
        taxes=pages.tax_items(document),
        settled=pages.settled_items(document),
        settled_minor=document.total_minor - document.open_minor,
        buyer=pages.buyer_of(document, locale),
        pdf=pdf,
        file=await get_file(scope, int(pdf.path)) if pdf is not None else None,
        corrects=corrects,
        notes=notes,
        actions_menu=await _menu(scope, document),
        may_pay=(document.open_minor > 0 or document.settlement == "written_off") and scope.may("payments.register"),
        may_take_back=scope.may("documents.credit"),
        dunning=await dunning_of(scope, document),
        may_pause=document.open_minor > 0 and scope.may("documents.edit"),
        happenings=await in_words(entries, scope.locale),
    )


async def _menu(scope: Scope, document: DocumentDetail) -> list[list[MenuEntry]]:
    """What may be done with an issued document, the dangerous last; what is not possible says why."""
    path = f"/invoices/{document.id}"
    if document.kind == "proforma" and scope.may("documents.edit"):
        none = await why_no_draft(document.id)
        return [[MenuEntry(label=_("Turn into an invoice"), icon="file-invoice", href=f"{path}/invoice", refused=none)]]
    if document.state == "draft" or document.kind != "invoice" or not scope.may("documents.credit"):
        return []
    credited = _("Nothing is left of it") if document.settlement == "credited" else ""
    settled = "" if document.open_minor else _("Nothing is open on it")
    fixed = _("Part of it was credited") if document.credit_note_ids else ""
    if await change_waits(document.id):
        fixed = _("A change waits for this invoice. Undo that, and ask for it again.")
    return [
        [
            MenuEntry(label=_("Edit: credit and issue anew…"), icon="pencil", href=f"{path}/edit", refused=fixed),
            _drawer_entry(_("Credit note…"), "receipt-refund", f"{path}/credit-note", refused=credited),
        ],
        [
            _drawer_entry(_("Write off…"), "eraser", f"{path}/write-off", danger=True, refused=settled),
            *(
                [_drawer_entry(_("Tax of the bad debt…"), "receipt-refund", f"{path}/tax-relief")]
                if document.settlement == "written_off"
                else []
            ),
            _drawer_entry(_("Void by credit note in full…"), "ban", f"{path}/void", danger=True, refused=credited),
        ],
    ]


def _drawer_entry(label: str, icon: str, at: str, *, danger: bool = False, refused: str = "") -> MenuEntry:
    return MenuEntry(
        label=label,
        icon=icon,
        danger=danger,
        refused=refused,
        attrs={"hx-get": at, "hx-target": "#plan", "hx-swap": "innerHTML"},
    )


@get("/invoices/{invoice_id:int}/sheet", permission="documents.view")
async def show_sheet(view: View, invoice_id: FromPath[int]) -> Response[str]:
    """The document as it is printed, on the screen."""
    await _issued(view.scope, invoice_id)
    document = await document_of(view.scope, invoice_id)
    return Response(document_page(document, css=load_manifest()("document.css")), media_type=HTML)


@get("/invoices/{invoice_id:int}/pdf", permission="documents.view")
async def show_pdf(view: View, invoice_id: FromPath[int]) -> Response[bytes]:
    """The stored PDF, byte for byte."""
    document = await _issued(view.scope, invoice_id)
    pdf = await pages.find_pdf(document.id)
    if pdf is None:
        raise NotFound(f"pdf of document {invoice_id}")
    file = await get_file(view.scope, int(pdf.path))
    return Response(
        await read_file(view.scope, file),
        media_type="application/pdf",
        headers={"Content-Disposition": f'inline; filename="{file.name}"', "X-Content-Type-Options": "nosniff"},
    )


@post("/invoices/{invoice_id:int}/pdf", permission="documents.view")
async def make_pdf(view: View, invoice_id: FromPath[int]) -> Response[str]:
    """Make it now, where its job has not come to it."""
    await _issued(view.scope, invoice_id)
    await document_file(view.scope, invoice_id)
    return view.go(f"/invoices/{invoice_id}/pdf")


async def _issued(scope: Scope, invoice_id: int) -> DocumentDetail:
    document = await queries.get_document(scope, invoice_id)
    if document.state != "issued":
        raise Conflict(_("A draft has no document yet. Issue it first."))
    return document


@get("/invoices/{invoice_id:int}/sending", permission="documents.view")
async def show_sending(view: View, invoice_id: FromPath[int]) -> Response[str]:
    return await _sending_drawer(view, invoice_id)


@post("/invoices/{invoice_id:int}/sending", permission="documents.issue")
async def send(view: View, invoice_id: FromPath[int]) -> Response[str]:
    await _issued(view.scope, invoice_id)
    message_id = await send_document(view.scope, invoice_id, again=True)
    if message_id is None:
        return await _sending_drawer(view, invoice_id, status=409)
    return view.go(f"/invoices/{invoice_id}", _("The e-mail is on its way."))


async def _sending_drawer(view: PageView, invoice_id: int, *, status: int = 200) -> Response[str]:
    document = await _issued(view.scope, invoice_id)
    customer = await customers.get_customer(view.scope, document.payer_id)
    return view.drawer(
        "billing/sending.html",
        status=status,
        page_title=_("Send a document"),
        document=document,
        title=pages.title_of(document),
        customer=customer,
        to=(await customers.document_recipients(view.scope, customer, Documents.INVOICES)).all,
        mail_is_set_up=await mail_is_set_up(),
    )


# -- plans of change --------------------------------------------------------------------------------------------------


@get("/invoices/{invoice_id:int}/issue", permission="documents.issue")
async def show_issue(view: View, invoice_id: FromPath[int]) -> Response[str]:
    await queries.get_document(view.scope, invoice_id)
    return await show_plan(
        view, _place(invoice_id, _("Issue"), "issue"), asked(view), lambda: _issue(view.scope, invoice_id)
    )


@post("/invoices/{invoice_id:int}/issue", permission="documents.issue")
async def issue(view: View, invoice_id: FromPath[int]) -> Response[str]:
    await queries.get_document(view.scope, invoice_id)
    await view.read()
    return await do_plan(
        view,
        _place(invoice_id, _("Issue"), "issue"),
        lambda: _issue(view.scope, invoice_id),
        to=f"/invoices/{invoice_id}",
        said=_("Issued."),
    )


async def _issue(scope: Scope, invoice_id: int) -> ChangePlan:
    before = await queries.get_document(scope, invoice_id)
    balance = await ledger.get_balance(scope, before.payer_id, before.currency)
    await actions.issue(scope, invoice_id)
    after = await queries.get_document(scope, invoice_id)
    total = format_money(after.total_minor, after.currency, scope.locale)
    customer = await customers.get_customer(scope, after.payer_id)
    to = (await customers.document_recipients(scope, customer, Documents.INVOICES)).all
    by_mail = to and customer.send_by == "email"
    return ChangePlan(
        title=_("Issue the invoice of %(amount)s?", amount=total),
        button=_("Issue invoice of %(amount)s", amount=total),
        parts=[
            _documents([after], scope.locale),
            _balances(balance, await ledger.get_balance(scope, after.payer_id, after.currency), _settled_lines(after)),
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
        warnings=[_("An issued invoice cannot be changed any more, only corrected by a credit note.")],
    )


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
    return _place(invoice_id, _("Delete the draft"), "deletion", [charges])


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


@get("/invoices/{invoice_id:int}/void", permission="documents.credit")
async def show_void(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await queries.get_document(view.scope, invoice_id)
    typed = asked(view)
    return await show_plan(
        view,
        await _void_place(view.scope, document),
        typed,
        lambda: _void(view.scope, invoice_id, from_form(pages.Voiding, typed)),
    )


@post("/invoices/{invoice_id:int}/void", permission="documents.credit")
async def void(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await queries.get_document(view.scope, invoice_id)
    await view.read()
    return await do_plan(
        view,
        await _void_place(view.scope, document),
        lambda: _void(view.scope, invoice_id, from_form(pages.Voiding, view.typed), must=True),
        to=f"/invoices/{invoice_id}",
        said=_("Voided by a credit note in full."),
    )


async def _void_place(scope: Scope, document: DocumentDetail) -> Place:
    return _place(
        document.id,
        pgettext("to void", "Void"),
        "void",
        [
            Field(name="reason", label=_("Reason"), required=True, max_length=500, help=_("Stands on the credit note")),
            Field(
                name="charges", label=_("Its charges are"), kind="select", value="waive", choices=spoken(pages.CHARGES)
            ),
            *await _refund_fields(scope, document),
        ],
    )


async def _void(scope: Scope, invoice_id: int, form: pages.Voiding, *, must: bool = False) -> ChangePlan:
    if must and not form.reason:
        raise Invalid(_("Say why: it stands on the credit note."), field="reason")
    return await _credited(
        scope,
        invoice_id,
        NewCreditNote(document_id=invoice_id, reason=form.reason or "–", charges=Charges(form.charges).value),
        form.refund,
        form.refund_method,
        voids=True,
    )


async def _credited(
    scope: Scope, invoice_id: int, data: NewCreditNote, refund: str, method: str, *, voids: bool = False
) -> ChangePlan:
    """The plan of a credit note, whatever it credits, and of what of it is paid back."""
    before = await queries.get_document(scope, invoice_id)
    balance = await ledger.get_balance(scope, before.payer_id, before.currency)
    with Fields() as read:
        back = read("refund", typed_amount, refund, before.currency, scope.locale, default=0)
    note = await queries.get_document(scope, await _credit_note(scope, data, back, method))
    after = await queries.get_document(scope, invoice_id)
    total = format_money(note.total_minor, note.currency, scope.locale)
    money = [
        PlanLine(
            text=_("Open of %(number)s", number=before.number),
            before=format_amount(before.open_minor, before.currency),
            value=format_amount(after.open_minor, after.currency),
        ),
        *([PlanLine(text=_("Paid back by you"), value=format_amount(back, before.currency))] if back else []),
    ]
    return ChangePlan(
        title=_("Void %(number)s", number=before.number)
        if voids
        else _("Credit note for %(number)s", number=before.number),
        button=_("Void %(number)s", number=before.number)
        if voids
        else pgettext("to credit", "Credit %(amount)s", amount=total),
        danger=voids,
        keep=_("Keep the invoice") if voids else _("Leave as it is"),
        parts=[
            _documents([note], scope.locale),
            _balances(balance, await ledger.get_balance(scope, before.payer_id, before.currency), money),
        ],
    )


async def _credit_note(scope: Scope, data: NewCreditNote, back: int, method: str) -> int:
    """Of what becomes free, so much is paid back at once."""
    if not back:
        return await actions.create_credit_note(scope, data)
    scope.require("payments.refund")
    try:
        return await payments.credit_and_refund(scope, data, PayingBack(amount_minor=back, method=method))
    except Invalid as error:
        names = {"refund_minor": "refund", "method": "refund_method"}
        raise Invalid(
            error.message, errors=[FieldError(names.get(each.field, each.field), each.message) for each in error.errors]
        ) from None


async def _refund_fields(scope: Scope, document: DocumentDetail) -> list[Field]:
    """What of a credit note is paid back: where that is the actor's to do."""
    if not scope.may("payments.refund") or document.open_minor == document.total_minor:
        return []
    return pages.paying_back_fields(await payment_queries.list_methods(), document.currency)


@get("/invoices/{invoice_id:int}/credit-note", permission="documents.credit")
async def show_credit_note(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await _issued(view.scope, invoice_id)
    typed = asked(view)
    place = await _credit_place(view.scope, document)
    return await show_plan(view, place, typed, lambda: _credit(view.scope, document, typed))


@post("/invoices/{invoice_id:int}/credit-note", permission="documents.credit")
async def create_credit_note(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await _issued(view.scope, invoice_id)
    await view.read()
    return await do_plan(
        view,
        await _credit_place(view.scope, document),
        lambda: _credit(view.scope, document, view.typed, must=True),
        to=f"/invoices/{invoice_id}",
        said=_("Credit note issued."),
    )


async def _credit_place(scope: Scope, document: DocumentDetail) -> Place:
    fields = pages.credit_fields(await list_left(document.id), document.currency)
    fields += await _refund_fields(scope, document)
    return _place(document.id, _("Credit note"), "credit-note", fields)


async def _credit(
    scope: Scope, document: DocumentDetail, typed: Mapping[str, Sequence[str]], *, must: bool = False
) -> ChangePlan:
    reason = typed.get("reason", [""])[-1].strip()
    if must and not reason:
        raise Invalid(_("Say why: it stands on the credit note."), field="reason")
    left = [line for line in await list_left(document.id) if pages.left_of(line)]
    wanted: dict[int, int] = {}
    with Fields() as read:
        for line in left:
            name = pages.field_of_line(line.id)
            if name not in typed:
                wanted[line.id] = pages.left_of(line)
                continue
            amount = read(name, typed_amount, typed[name][-1].strip(), document.currency, scope.locale, default=0)
            if amount:
                wanted[line.id] = amount
    in_full = {line.id: pages.left_of(line) for line in left} == wanted
    data = NewCreditNote(
        document_id=document.id,
        reason=(reason or "–")[:500],
        lines=None if in_full else [CreditLine(line_id=each, amount_minor=amount) for each, amount in wanted.items()],
    )
    try:
        return await _credited(
            scope,
            document.id,
            data,
            typed.get("refund", [""])[-1][:40],
            typed.get("refund_method", ["transfer"])[-1][:60],
        )
    except Invalid as error:
        names = [pages.field_of_line(each) for each in wanted]
        raise _at_lines(error, names) from None


def _at_lines(error: Invalid, names: list[str]) -> Invalid:
    """Errors about the n-th line, at the fields of the drawer."""
    for fault in error.errors:
        parts = fault.field.split(".")
        if parts[0] == "lines" and len(parts) == 3 and parts[1].isdecimal() and int(parts[1]) < len(names):
            return Invalid(fault.message, field=names[int(parts[1])])
    return error


@get("/invoices/{invoice_id:int}/write-off", permission="documents.credit")
async def show_write_off(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await _issued(view.scope, invoice_id)
    typed = asked(view)
    return await show_plan(
        view,
        _write_off_place(document),
        typed,
        lambda: _write_off(view.scope, document, from_form(pages.WritingOff, typed)),
    )


@post("/invoices/{invoice_id:int}/write-off", permission="documents.credit")
async def write_off(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await _issued(view.scope, invoice_id)
    await view.read()
    return await do_plan(
        view,
        _write_off_place(document),
        lambda: _write_off(view.scope, document, from_form(pages.WritingOff, view.typed), must=True),
        to=f"/invoices/{invoice_id}",
        said=_("Written off."),
    )


def _write_off_place(document: DocumentDetail) -> Place:
    left = format_amount(document.open_minor, document.currency)
    return _place(
        document.id,
        _("Write off"),
        "write-off",
        [
            Field(name="reason", label=_("Reason"), required=True, max_length=500),
            Field(
                name="amount",
                label=_("Amount, %(currency)s", currency=document.currency),
                kind="money",
                help=_("Empty: all that is open, %(left)s", left=left),
            ),
        ],
    )


async def _write_off(
    scope: Scope, document: DocumentDetail, form: pages.WritingOff, *, must: bool = False
) -> ChangePlan:
    if must and not form.reason:
        raise Invalid(_("Say why it is given up."), field="reason")
    with Fields() as read:
        amount = read("amount", typed_amount, form.amount, document.currency, scope.locale, least=1, default=0)
    balance = await ledger.get_balance(scope, document.payer_id, document.currency)
    try:
        await actions.write_off(scope, document.id, form.reason or "–", amount or None)
    except Invalid as error:
        raise Invalid(error.errors[0].message if error.errors else error.message, field="amount") from None
    after = await queries.get_document(scope, document.id)
    given_up = format_money(document.open_minor - after.open_minor, document.currency, scope.locale)
    return ChangePlan(
        title=_("Write off %(amount)s of %(number)s", amount=given_up, number=document.number),
        button=_("Write off %(amount)s", amount=given_up),
        danger=True,
        parts=[
            _balances(
                balance,
                await ledger.get_balance(scope, document.payer_id, document.currency),
                [
                    PlanLine(
                        text=_("Open of %(number)s", number=document.number),
                        before=format_amount(document.open_minor, document.currency),
                        value=format_amount(after.open_minor, after.currency),
                    ),
                    PlanLine(text=_("Bad debts"), value=given_up),
                ],
            )
        ],
        warnings=[_("The invoice stays as it is; what waited for its payment is not activated.")],
    )


def _place(invoice_id: int, title: str, what: str, options: Sequence[Field] = ()) -> Place:
    path = f"/invoices/{invoice_id}/{what}"
    return Place(title=title, asked=path, sent=path, options=options)


def _documents(made: Sequence[DocumentDetail], locale: str) -> PlanPart:
    """Documents of a plan, line by line, with their total."""
    document = made[0]
    sign = -1 if document.kind == "credit_note" else 1
    total = format_money(sign * document.total_minor, document.currency, locale)
    note = _("1 %(kind)s", kind=in_sentence(_(pages.KINDS[document.kind])))
    if document.due_on is not None and sign > 0:
        note = _("%(documents)s, due %(day)s", documents=note, day=written(document.due_on, locale))
    return PlanPart(
        title=_("Documents"),
        note=note,
        lines=[
            PlanLine(
                text=item.text,
                detail=item.detail,
                value=format_amount(sign * line.amount_minor, document.currency),
            )
            for item, line in zip(pages.line_items(document, locale), document.lines, strict=True)
        ],
        total=PlanLine(
            text=_("Total, with %(amount)s VAT", amount=format_money(document.tax_minor, document.currency, locale)),
            value=total,
        ),
    )


def _settled_lines(document: DocumentDetail) -> list[PlanLine]:
    """Credit that is used by an invoice as it is issued, and what stays open."""
    if document.total_minor == document.open_minor:
        return []
    used = document.total_minor - document.open_minor
    return [
        PlanLine(text=_("Paid from credit"), value=format_amount(used, document.currency)),
        PlanLine(text=_("Stays open"), value=format_amount(document.open_minor, document.currency)),
    ]


def _balances(before: Any, after: Any, lines: Sequence[PlanLine]) -> PlanPart:
    return PlanPart(
        title=_("Money"),
        lines=[
            *lines,
            PlanLine(
                text=_("Balance, %(currency)s", currency=after.currency),
                before=format_amount(before.balance_minor, before.currency) if before != after else "",
                value=format_amount(after.balance_minor, after.currency),
                tone="owes" if after.balance_minor < 0 else "plus" if after.balance_minor > 0 else "",
            ),
        ],
    )


# -- settings ---------------------------------------------------------------------------------------------------------


@get("/settings/seller", permission="settings.view")
async def show_seller(view: View) -> Response[str]:
    return await _seller_page(view, {})


@post("/settings/seller", permission="settings.edit")
async def save_seller(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    seller = await actions.default_seller(view.scope)
    try:
        form = await view.form(setting_pages.SellerForm)
        await actions.change_seller(view.scope, seller.id, setting_pages.fields_from(form), version=form.version)
    except Invalid as error:
        return await _seller_page(view, errors_by_field(error), status=422)
    except Stale:
        errors = {"": _("Somebody else saved the seller meanwhile. Load the page again; nothing was saved.")}
        return await _seller_page(view, errors, status=409)
    return view.go("/settings/seller", _("Saved. Documents that were issued keep what they say."))


@post("/settings/seller/opening", permission="settings.edit")
async def open_books(view: View) -> Response[str]:
    """Make the seller and its number series from the company's data, before the first document does."""
    check_sees_everyone(view.scope)
    await actions.default_seller(view.scope)
    return view.go("/settings/seller", _("Made from the company's data."))


async def _seller_page(view: PageView, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    seller = await setting_pages.find_seller()
    return view.page(
        "billing/seller.html",
        status=status,
        seller=seller,
        groups=setting_pages.seller_groups(view.scope.locale),
        values=view.shown(**setting_pages.seller_values(seller)) if seller is not None else {},
        errors=errors,
        may_change=view.scope.may("settings.edit"),
    )


@get("/settings/numbering", permission="settings.view")
async def show_numbering(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    return await _numbering_page(view)


@post("/settings/numbering/{series_kind:str}", permission="settings.edit")
async def save_numbering(view: View, series_kind: FromPath[str]) -> Response[str]:
    check_sees_everyone(view.scope)
    if series_kind not in setting_pages.SERIES:
        raise NotFound(f"number series {series_kind}")
    try:
        form = await view.form(setting_pages.SeriesForm)
        await actions.change_series(view.scope, series_kind, pattern=form.pattern, reset=form.reset)
    except Invalid as error:
        return await _numbering_page(view, series_kind, errors_by_field(error), status=422)
    except Conflict as error:
        return await _numbering_page(view, series_kind, {"reset": error.message}, status=409)
    return view.go("/settings/numbering", _("Saved. Numbers that were given stay."))


async def _numbering_page(
    view: PageView, kind: str = "", errors: dict[str, str] | None = None, *, status: int = 200
) -> Response[str]:
    series = await setting_pages.list_series(view.scope.today())
    return view.page(
        "billing/numbering.html",
        status=status,
        series=setting_pages.with_typed(series, kind, view.typed),
        resets=spoken(setting_pages.RESETS),
        wrong=kind,
        errors=errors or {},
        may_change=view.scope.may("settings.edit"),
    )


HANDLERS = (
    list_invoices,
    show_new,
    create,
    save,
    show_line,
    show,
    show_sheet,
    show_pdf,
    make_pdf,
    show_sending,
    send,
    show_issue,
    issue,
    show_deletion,
    delete_draft,
    show_void,
    void,
    show_credit_note,
    create_credit_note,
    show_write_off,
    write_off,
    show_seller,
    save_seller,
    open_books,
    show_numbering,
    save_numbering,
)
