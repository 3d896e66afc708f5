"""Pages of documents: the list, issued ones with what settled them, their way by e-mail, credit notes, write-offs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from litestar import Response
from litestar.params import FromPath

from core.activity.queries import timeline
from core.billing import actions, pages, queries
from core.billing.actions.allocation import change_waits
from core.billing.actions.late_fees import list_late_fees
from core.billing.actions.notes import list_left
from core.billing.actions.proformas import why_no_draft
from core.billing.draft_routes import draft_page
from core.billing.dunning_pages import dunning_of
from core.billing.listing import DOCUMENTS
from core.billing.mailing import document_file, send_document
from core.billing.plan_parts import balance_part, document_place, documents_part, late_fees_part
from core.billing.schemas import CreditLine, NewCreditNote
from core.billing.sheets import document_of, tax_name_of
from core.billing.status import Charges
from core.catalog.tax_names import named_tax
from core.clock import date_in
from core.customers import queries as customers
from core.customers.status import Documents
from core.customers.timeline import in_words
from core.documents.files import get_file, read_file
from core.documents.sheet import document_page
from core.documents.words import words_for
from core.errors import Conflict, FieldError, Invalid
from core.hooks import Permission
from core.ledger import queries as ledger
from core.messages.queries import mail_is_set_up
from core.money import format_amount, format_money
from core.payments import actions as payments
from core.payments import queries as payment_queries
from core.payments.actions import PayingBack
from core.texts import N_, _, pgettext
from core.web.amounts import Fields, typed_amount
from core.web.assets import load_manifest
from core.web.changes import ChangePlan, Place, PlanLine, asked, do_plan, show_plan
from core.web.forms import from_form
from core.web.parts import Choice, Field, MenuEntry, spoken
from core.web.routing import get, post
from core.web.templating import written
from core.web.view import HTML, View

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.billing.actions.late_fees import LateFee
    from core.billing.schemas import DocumentDetail
    from core.payments.schemas import NamingRow
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


# -- one document -----------------------------------------------------------------------------------------------------


@get("/invoices/{invoice_id:int}", permission="documents.view")
async def show(view: View, invoice_id: FromPath[int]) -> Response[str]:
    scope, locale = view.scope, view.scope.locale
    document = await queries.get_document(scope, invoice_id)
    if document.state == "draft" and scope.may("documents.edit"):
        return await draft_page(view, await customers.get_customer(scope, document.payer_id), document)
    kind = "credit_note" if document.kind == "credit_note" else "invoice"
    entries = await timeline(scope, subject=(kind, invoice_id), limit=20) if scope.may("activity.view") else []
    pdf = await pages.find_pdf(invoice_id)
    corrects = await queries.get_document(scope, document.corrects_id) if document.corrects_id is not None else None
    notes = [await queries.get_document(scope, each) for each in document.credit_note_ids]
    is_proforma = document.kind == "proforma"
    naming: list[NamingRow] = []
    if is_proforma and scope.may("payments.view"):
        naming = await payment_queries.list_naming(scope, invoice_id, document.payer_id)
    received = pages.received_for(document, naming) if naming else None
    sent = ""
    if document.sent_at is not None:
        sent = written(date_in(document.sent_at, scope.tenant.time_zone), locale)
    return view.page(
        "billing/invoice.html",
        document=document,
        title=pages.title_of(document),
        kind=_(pages.KINDS[document.kind]),
        pill=pages.pill_of(document, scope.today()),
        facts=pages.facts_of(document, scope.today(), locale, sent, received),
        lines=pages.line_items(document, locale),
        taxes=pages.tax_items(document),
        settled=pages.settled_items(document),
        settled_minor=document.total_minor - document.open_minor,
        named=pages.named_items(naming),
        received=received,
        tax_name=tax_name_of(document, locale)
        if document.state == "issued"
        else words_for(locale, await named_tax(scope.tenant.country)).vat,
        buyer=pages.buyer_of(document, locale),
        pdf=pdf,
        file=await get_file(scope, int(pdf.path)) if pdf is not None and pdf.path else None,
        corrects=corrects,
        notes=notes,
        actions_menu=await _menu(scope, document),
        may_pay=(
            document.open_minor > 0
            or document.settlement == "written_off"
            or (is_proforma and document.settlement == "open" and not (received and received.enough))
        )
        and scope.may("payments.register"),
        may_take_back=scope.may("documents.credit"),
        dunning=await dunning_of(scope, document),
        may_pause=document.open_minor > 0 and scope.may("documents.edit"),
        happenings=await in_words(scope, entries),
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
    given_up = sum(each.amount_minor for each in document.settled_by if each.kind == "bad_debt")
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
                if given_up > 0
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
    """The PDF, the same bytes ever after: made now, where its job has not come to it."""
    await _issued(view.scope, invoice_id)
    file = await document_file(view.scope, invoice_id)
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
    return document_place(
        document.id,
        pgettext("to void", "Void"),
        "void",
        [
            Field(name="reason", label=_("Reason"), required=True, max_length=500, help=_("Stands on the credit note")),
            Field(
                name="charges", label=_("Its charges are"), kind="select", value="waive", choices=spoken(pages.CHARGES)
            ),
            *_late_fee_fields(await list_late_fees(document.id)),
            *await _refund_fields(scope, document),
        ],
    )


def _late_fee_fields(fees: Sequence[LateFee]) -> list[Field]:
    """What becomes of its late fees that were invoiced: where there are any."""
    if not any(fee.is_issued for fee in fees):
        return []
    return [
        Field(
            name="late_fees",
            label=_("Its late fees that were invoiced are"),
            kind="select",
            value="credit",
            choices=[Choice("credit", _("Credited, too")), Choice("keep", _("Left as they are"))],
        )
    ]


async def _void(scope: Scope, invoice_id: int, form: pages.Voiding, *, must: bool = False) -> ChangePlan:
    if must and not form.reason:
        raise Invalid(_("Say why: it stands on the credit note."), field="reason")
    return await _credited(
        scope,
        invoice_id,
        NewCreditNote(
            document_id=invoice_id,
            reason=form.reason or "–",
            charges=Charges(form.charges).value,
            late_fees=form.late_fees,
        ),
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
    fees = await list_late_fees(invoice_id)
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
            documents_part([note], scope.locale),
            *(late_fees_part(fees, await list_late_fees(invoice_id)) if after.settlement == "credited" else []),
            balance_part(balance, await ledger.get_balance(scope, before.payer_id, before.currency), money),
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
    return document_place(document.id, _("Credit note"), "credit-note", fields)


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
    return document_place(
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
            balance_part(
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


HANDLERS = (
    list_invoices,
    show,
    show_sheet,
    show_pdf,
    make_pdf,
    show_sending,
    send,
    show_void,
    void,
    show_credit_note,
    create_credit_note,
    show_write_off,
    write_off,
)
