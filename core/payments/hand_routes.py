"""Payments by hand: a batch of them, receipts of nobody known, credit to another customer, tax of bad debts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final

from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.billing import queries as documents
from core.billing.actions.relief import relieve_tax
from core.customers import queries as customers
from core.errors import Invalid, NotFound
from core.ids import Id
from core.jobs.queries import get_job
from core.jobs.status import JobState
from core.ledger import queries as ledger
from core.money import format_amount, format_money
from core.payments import queries
from core.payments.batch import (
    BatchRow,
    CheckedRow,
    Mode,
    NewBatch,
    TypedRow,
    batch_of,
    check_rows,
    compared,
    lock_batches,
    pasted_rows,
    start_batch,
)
from core.payments.pages import chosen_currency, currency_fields, order_warnings, order_words, said_of
from core.payments.suspense import (
    Assignment,
    NewReceipt,
    assign,
    count_alike,
    lock_receipts,
    receive_unidentified,
)
from core.payments.transfers import NewTransfer, transfer_credit
from core.texts import N_, _, ngettext
from core.web.amounts import Fields, typed_amount
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, asked, do_plan, show_plan
from core.web.forms import from_form
from core.web.jobs_pages import running_job
from core.web.once import once
from core.web.parts import Choice, Field, spoken
from core.web.reach import check_sees_everyone
from core.web.routing import get, post
from core.web.view import HTML, View, errors_by_field

if TYPE_CHECKING:
    from core.billing.schemas import DocumentDetail
    from core.customers.schemas import CustomerDetail
    from core.payments.schemas import PaymentDetail
    from core.scope import Scope
    from core.web.view import PageView

Seen = Annotated[str, Meta(max_length=20_000)]
Short = Annotated[str, Meta(max_length=40)]


# -- a batch ----------------------------------------------------------------------------------------------------------

MODES: Final = (
    Choice("all", N_("Book nothing")),
    Choice("skip_bad", N_("Leave them out")),
    Choice("suspense", N_("Hold those of nobody known in suspense, leave out the rest")),
)
BLANK: Final = 5
_CELL: Final = re.compile(r"row-(\d{1,4})-(received_on|who|amount|reference)")


class _Batch(Struct, frozen=True, kw_only=True):
    method: Annotated[str, Meta(max_length=60)] = "transfer"
    mode: Mode = "all"


@get("/payments/batch", permission="payments.register")
async def show_batch(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    return await _batch_page(view, [])


@post("/payments/batch", permission="payments.register")
async def send_batch(view: View) -> Response[str]:
    """Look at the rows; book them once they were looked at and nothing has changed since."""
    check_sees_everyone(view.scope)
    await view.read()
    form = from_form(_Batch, {name: view.typed[name] for name in ("method", "mode") if name in view.typed})
    rows = _typed_rows(view.typed)
    after = max((each.at for each in rows), default=-1) + 1
    rows += pasted_rows(view.typed.get("pasted", [""])[-1][:1_000_000], after)
    try:
        checked = await check_rows(view.scope, rows)
    except Invalid as error:
        return await _batch_page(view, [], errors=errors_by_field(error), status=422)
    if not checked:
        return await _batch_page(view, [], errors={"": _("Type or paste at least one row.")}, status=422)
    wrong = form.mode == "all" and not all(each.is_good for each in checked)
    looked = view.typed.get("looked", [""])[-1]
    if not looked or wrong:
        return await _batch_page(view, checked, status=422 if wrong else 200)
    if not any(_is_booked(each, form.mode) for each in checked):
        return await _batch_page(view, checked, errors={"": _("No row is left to be booked.")}, status=422)

    async def start() -> str:
        return f"/payments/batch/{await _start(view.scope, checked, form, looked)}"

    try:
        return view.go(await once(view, start))
    except _Changed as error:
        return await _batch_page(view, error.checked)


class _Changed(Exception):
    """The rows are not as they were looked at, or meanwhile something of them is booked."""

    def __init__(self, checked: list[CheckedRow]) -> None:
        super().__init__("the rows have changed")
        self.checked = checked


async def _start(scope: Scope, checked: Sequence[CheckedRow], form: _Batch, looked: str) -> int:
    """One batch at a time: what is equal and was sent at the same moment is seen as being booked."""
    await lock_batches()
    now = await compared(checked)
    if looked != _seen(now):
        raise _Changed(now)
    rows = [
        BatchRow(
            received_on=each.received_on,
            who=each.typed.who,
            amount_minor=each.amount_minor,
            reference=each.typed.reference,
        )
        for each in now
        if _is_booked(each, form.mode)
    ]
    return await start_batch(scope, NewBatch(rows=rows, method=form.method, mode=form.mode))


def _is_booked(each: CheckedRow, mode: Mode) -> bool:
    return each.is_good or (mode == "suspense" and each.waits)


@get("/payments/batch/{job_id:int}", permission="payments.register")
async def show_batch_job(view: View, job_id: FromPath[int]) -> Response[str]:
    booked = await batch_of(view.scope, job_id)
    job = await get_job(view.scope, job_id)
    over = job.state not in {JobState.WAITING, JobState.RUNNING}
    return view.page(
        "payments/batch_job.html",
        job=running_job(job, streams=view.scope.may("jobs.view")),
        booked=booked,
        told=ngettext("%(num)s payment is booked", "%(num)s payments are booked", booked.booked) if booked else "",
        waiting=ngettext("%(num)s waits in suspense", "%(num)s wait in suspense", booked.waiting)
        if booked and booked.waiting
        else "",
        failed=(job.error or _("It was stopped.")) if over and booked is None else "",
    )


@get("/payments/batch/{job_id:int}/state", permission="payments.register")
async def batch_state(view: View, job_id: FromPath[int]) -> Response[str]:
    """Asked every second while it is booked: answers with the page once it is over."""
    await batch_of(view.scope, job_id)
    job = await get_job(view.scope, job_id)
    if job.state not in {JobState.WAITING, JobState.RUNNING}:
        return view.go(f"/payments/batch/{job_id}")
    return Response("", status_code=200, media_type=HTML)


def _typed_rows(typed: Mapping[str, Sequence[str]]) -> list[TypedRow]:
    by_row: dict[int, dict[str, str]] = {}
    for name, texts in typed.items():
        found = _CELL.fullmatch(name)
        if found and texts:
            by_row.setdefault(int(found[1]), {})[found[2]] = texts[-1].strip()[:200]
    return [TypedRow(at=at, **by_row[at]) for at in sorted(by_row)]


def _seen(checked: Sequence[CheckedRow]) -> str:
    """What a person looked at: rows and whose they are. Short enough to go along in the form."""
    said = "\n".join(
        f"{each.received_on}|{each.amount_minor}|{each.currency}|{each.matched}|{each.typed.reference}|{each.booked_id}"
        f"|{each.in_batch}"
        for each in checked
    )
    return hashlib.sha256(said.encode()).hexdigest()[:32]


async def _batch_page(
    view: PageView, checked: Sequence[CheckedRow], *, errors: Mapping[str, str] | None = None, status: int = 200
) -> Response[str]:
    scope = view.scope
    after = max((each.typed.at for each in checked), default=-1) + 1
    blanks = [] if checked else [TypedRow(at=at) for at in range(after, after + BLANK)]
    good = [each for each in checked if each.is_good]
    totals: dict[str, int] = {}
    for each in good:
        totals[each.currency] = totals.get(each.currency, 0) + each.amount_minor
    return view.page(
        "payments/batch.html",
        status=status,
        checked=checked,
        rows=[each.typed for each in checked] + blanks,
        by_row={each.typed.at: each for each in checked},
        good=len(good),
        bad=len(checked) - len(good),
        twice=sum(each.seems_booked for each in checked),
        totals=", ".join(format_money(minor, currency, scope.locale) for currency, minor in sorted(totals.items())),
        looked=_seen(checked) if checked else "",
        values=view.shown(method="transfer", mode="all", pasted="") | {"pasted": ""},
        methods=[Choice(each.code, each.name) for each in await queries.list_methods()],
        modes=spoken(MODES),
        errors=errors or {},
        today=scope.today().isoformat(),
    )


# -- a receipt of nobody known ----------------------------------------------------------------------------------------


class _Receipt(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    amount: Short = ""
    received_on: date | None = None
    method: Annotated[str, Meta(max_length=60)] = "transfer"
    reference: Annotated[str, Meta(max_length=200)] = ""
    note: Annotated[str, Meta(max_length=1000)] = ""
    seen: Seen = ""


@get("/payments/unidentified/new", permission="payments.register")
async def show_unidentified(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    typed = asked(view)
    return await show_plan(
        view, await _receipt_place(view.scope), typed, lambda: _receipt(view.scope, from_form(_Receipt, typed))
    )


@post("/payments/unidentified", permission="payments.register")
async def register_unidentified(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    await view.read()
    return await do_plan(
        view,
        await _receipt_place(view.scope),
        lambda: _receipt(view.scope, from_form(_Receipt, view.typed)),
        to="/payments",
        said=_("Held in suspense until its customer is found."),
    )


async def _receipt_place(scope: Scope) -> Place:
    methods = await queries.list_methods()
    return Place(
        title=_("Receipt of nobody known"),
        asked="/payments/unidentified/new",
        sent="/payments/unidentified",
        back="/payments",
        plan_only_with="amount",
        options=[
            Field(
                name="amount",
                label=_("Amount, %(currency)s", currency=scope.tenant.currency),
                kind="money",
                required=True,
            ),
            Field(name="received_on", label=_("Received on"), kind="date", value=scope.today().isoformat()),
            Field(
                name="method",
                label=_("Method"),
                kind="select",
                value=methods[0].code if methods else "",
                choices=[Choice(method.code, method.name) for method in methods],
            ),
            Field(name="reference", label=_("Reference"), max_length=200, help=_("As on the bank statement")),
            Field(name="note", label=_("Note"), max_length=1000),
        ],
    )


async def _receipt(scope: Scope, form: _Receipt) -> ChangePlan:
    currency = scope.tenant.currency
    with Fields() as read:
        amount = read("amount", typed_amount, form.amount, currency, scope.locale, least=1, default=0)
    await lock_receipts()
    payment_id = await receive_unidentified(
        scope,
        NewReceipt(
            amount_minor=amount,
            method=form.method,
            received_on=form.received_on,
            reference=form.reference,
            note=form.note,
        ),
    )
    alike = await count_alike(scope, payment_id)
    written = format_money(amount, currency, scope.locale)
    return ChangePlan(
        title=_("Hold %(amount)s in suspense", amount=written),
        button=_("Hold %(amount)s", amount=written),
        keep=_("Cancel"),
        parts=[
            PlanPart(
                title=_("Money"),
                lines=[
                    PlanLine(text=_("Suspense, nobody's credit yet"), value=format_amount(amount, currency)),
                    *(
                        [PlanLine(text=_("Held already with this day, amount and reference"), value=str(alike))]
                        if alike
                        else []
                    ),
                ],
            )
        ],
    )


class _Assigning(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    customer_id: Id | None = None
    number: Annotated[str, Meta(max_length=60)] = ""
    seen: Seen = ""


@get("/payments/{payment_id:int}/assignment", permission="payments.register")
async def show_assignment(view: View, payment_id: FromPath[int]) -> Response[str]:
    payment = await queries.get_payment(view.scope, payment_id)
    typed = asked(view)
    return await show_plan(
        view, _assign_place(payment), typed, lambda: _assign(view.scope, payment, from_form(_Assigning, typed))
    )


@post("/payments/{payment_id:int}/assignment", permission="payments.register")
async def assign_payment(view: View, payment_id: FromPath[int]) -> Response[str]:
    payment = await queries.get_payment(view.scope, payment_id)
    await view.read()
    return await do_plan(
        view,
        _assign_place(payment),
        lambda: _assign(view.scope, payment, from_form(_Assigning, view.typed)),
        to=f"/payments/{payment_id}",
        said=_("Assigned."),
    )


def _assign_place(payment: PaymentDetail) -> Place:
    path = f"/payments/{payment.id}/assignment"
    return Place(
        title=_("Assign to a customer"),
        asked=path,
        sent=path,
        options=[
            Field(name="customer_id", label=_("Customer's id"), kind="number"),
            Field(name="number", label=_("or an invoice's number"), max_length=60, help=_("It is paid first")),
        ],
    )


async def _assign(scope: Scope, payment: PaymentDetail, form: _Assigning) -> ChangePlan:
    document_id = None
    customer_id = form.customer_id
    if form.number:
        document_id = await documents.find_document_by_number(scope, form.number)
        if document_id is None:
            raise Invalid(_("There is no such issued invoice."), field="number")
        document = await documents.get_document(scope, document_id)
        if customer_id is not None and document.payer_id != customer_id:
            raise Invalid(_("This invoice is another customer's."), field="number")
        customer_id = document.payer_id
    if customer_id is None:
        raise Invalid(_("Type the customer's id, or the number of an invoice."), field="customer_id")
    try:
        customer = await customers.get_customer(scope, customer_id)
    except NotFound:
        raise Invalid(_("There is no such customer."), field="customer_id") from None
    before = await ledger.get_balance(scope, customer_id, payment.currency)
    latest = await documents.latest_document(scope)
    await assign(scope, payment.id, Assignment(payer_id=customer_id, document_id=document_id))
    done = await queries.get_payment(scope, payment.id)
    named_id = done.names_document_id
    meant = await documents.get_document(scope, named_id) if named_id is not None else None
    after = await ledger.get_balance(scope, customer_id, payment.currency)
    written = format_money(payment.amount_minor, payment.currency, scope.locale)
    return ChangePlan(
        title=_("Assign %(amount)s to %(name)s", amount=written, name=customer.full_name),
        button=_("Assign %(amount)s", amount=written),
        parts=[
            PlanPart(
                title=_("Pays"),
                note=order_words(meant),
                lines=[
                    PlanLine(text=said_of(each, latest), value=format_amount(each.amount_minor, payment.currency))
                    for each in done.paid
                ],
                total=PlanLine(text=_("Stays as credit"), value=format_amount(done.free_minor, payment.currency)),
            ),
            PlanPart(title=_("Money"), lines=[_balance(before.balance_minor, after.balance_minor, payment.currency)]),
        ],
        warnings=order_warnings(meant, done.paid, payment.currency),
    )


def _balance(before: int, after: int, currency: str) -> PlanLine:
    return PlanLine(
        text=_("Balance, %(currency)s", currency=currency),
        before=format_amount(before, currency) if before != after else "",
        value=format_amount(after, currency),
        tone="owes" if after < 0 else "plus" if after > 0 else "",
    )


# -- credit to another customer ---------------------------------------------------------------------------------------


class _Transferring(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    currency: Annotated[str, Meta(max_length=3)] = ""
    amount: Short = ""
    to_customer_id: Id | None = None
    reason: Annotated[str, Meta(max_length=500)] = ""
    seen: Seen = ""


@get("/customers/{customer_id:int}/credit/transfer", permission="payments.refund")
async def show_transfer(view: View, customer_id: FromPath[int]) -> Response[str]:
    customer = await customers.get_customer(view.scope, customer_id)
    typed = asked(view)
    return await show_plan(
        view,
        await _transfer_place(view.scope, customer, typed.get("currency", [""])[-1]),
        typed,
        lambda: _transfer(view.scope, customer, from_form(_Transferring, typed)),
    )


@post("/customers/{customer_id:int}/credit/transfer", permission="payments.refund")
async def transfer(view: View, customer_id: FromPath[int]) -> Response[str]:
    customer = await customers.get_customer(view.scope, customer_id)
    await view.read()
    return await do_plan(
        view,
        await _transfer_place(view.scope, customer, view.typed.get("currency", [""])[-1]),
        lambda: _transfer(view.scope, customer, from_form(_Transferring, view.typed), must=True),
        to=f"/customers/{customer_id}/transactions?show=credit",
        said=_("Credit transferred."),
    )


async def _transfer_place(scope: Scope, customer: CustomerDetail, currency: str) -> Place:
    path = f"/customers/{customer.id}/credit/transfer"
    offered = await queries.currencies_with_credit(scope, customer.id)
    shown = chosen_currency(currency if any(each.currency == currency for each in offered) else "", offered)
    return Place(
        title=_("Transfer credit"),
        asked=path,
        sent=path,
        plan_only_with="to_customer_id",
        options=[
            *currency_fields(shown, offered),
            Field(
                name="to_customer_id",
                label=_("To the customer with the id"),
                kind="number",
                required=True,
            ),
            Field(
                name="amount",
                label=_("Amount, %(currency)s", currency=shown.currency),
                kind="money",
                help=_("Empty: all free credit, %(amount)s", amount=format_amount(shown.credit_minor, shown.currency)),
            ),
            Field(name="reason", label=_("Reason"), required=True, max_length=500, wide=True),
        ],
    )


async def _transfer(scope: Scope, customer: CustomerDetail, form: _Transferring, *, must: bool = False) -> ChangePlan:
    mine = chosen_currency(form.currency, await queries.currencies_with_credit(scope, customer.id))
    currency = mine.currency
    with Fields() as read:
        amount = read("amount", typed_amount, form.amount, currency, scope.locale, least=1, default=0)
        if must and not form.reason:
            read.wrong("reason", _("Say why it is transferred."))
        if form.to_customer_id is None:
            read.wrong("to_customer_id", _("Type the id of a customer."))
    assert form.to_customer_id is not None
    try:
        other = await customers.get_customer(scope, form.to_customer_id)
    except NotFound:
        raise Invalid(_("There is no such customer."), field="to_customer_id") from None
    theirs = await ledger.get_balance(scope, other.id, currency)
    try:
        moved = await transfer_credit(
            scope,
            customer.id,
            NewTransfer(
                to_customer_id=other.id, currency=currency, amount_minor=amount or None, reason=form.reason or "–"
            ),
        )
    except Invalid as error:
        fault = error.errors[0]
        raise Invalid(fault.message, field="amount" if fault.field == "amount_minor" else fault.field) from None
    after = await ledger.get_balance(scope, other.id, currency)
    written = format_money(moved, currency, scope.locale)
    return ChangePlan(
        title=_("Transfer %(amount)s to %(name)s", amount=written, name=other.full_name),
        button=_("Transfer %(amount)s", amount=written),
        danger=True,
        parts=[
            PlanPart(
                title=customer.full_name,
                lines=[
                    _balance(
                        mine.balance_minor,
                        (await ledger.get_balance(scope, customer.id, currency)).balance_minor,
                        currency,
                    )
                ],
            ),
            PlanPart(
                title=other.full_name,
                lines=[
                    PlanLine(
                        text=_("Pays open invoices"),
                        value=format_amount(theirs.receivable_minor - after.receivable_minor, after.currency),
                    ),
                    _balance(theirs.balance_minor, after.balance_minor, after.currency),
                ],
            ),
        ],
    )


# -- tax of a bad debt ------------------------------------------------------------------------------------------------


class _Relieving(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    reason: Annotated[str, Meta(max_length=500)] = ""
    granted_on: date | None = None
    seen: Seen = ""


@get("/invoices/{invoice_id:int}/tax-relief", permission="documents.credit")
async def show_relief(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await documents.get_document(view.scope, invoice_id)
    typed = asked(view)
    return await show_plan(
        view,
        _relief_place(view.scope, document),
        typed,
        lambda: _relieve(view.scope, document, from_form(_Relieving, typed)),
    )


@post("/invoices/{invoice_id:int}/tax-relief", permission="documents.credit")
async def relieve(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await documents.get_document(view.scope, invoice_id)
    await view.read()
    return await do_plan(
        view,
        _relief_place(view.scope, document),
        lambda: _relieve(view.scope, document, from_form(_Relieving, view.typed), must=True),
        to=f"/invoices/{invoice_id}",
        said=_("Tax relieved."),
    )


def _relief_place(scope: Scope, document: DocumentDetail) -> Place:
    path = f"/invoices/{document.id}/tax-relief"
    return Place(
        title=_("Tax of the bad debt"),
        asked=path,
        sent=path,
        options=[
            Field(
                name="reason",
                label=_("Grounds"),
                required=True,
                max_length=500,
                help=_("Why the law gives it back; kept with the booking"),
            ),
            Field(name="granted_on", label=_("Granted on"), kind="date", value=scope.today().isoformat()),
        ],
    )


async def _relieve(scope: Scope, document: DocumentDetail, form: _Relieving, *, must: bool = False) -> ChangePlan:
    if must and not form.reason:
        raise Invalid(_("Say on what grounds the tax is relieved."), field="reason")
    minor = await relieve_tax(scope, document.id, form.reason or "–", form.granted_on)
    written = format_money(minor, document.currency, scope.locale)
    return ChangePlan(
        title=_("Relieve %(amount)s of tax", amount=written),
        button=_("Relieve %(amount)s", amount=written),
        danger=True,
        parts=[
            PlanPart(
                title=_("Money"),
                lines=[
                    PlanLine(text=_("Tax payable, less"), value=written),
                    PlanLine(text=_("Bad debts, less"), value=written),
                ],
            )
        ],
        warnings=[_("Money that still comes for it makes its share of the tax due again.")],
    )


HANDLERS: Final[Sequence[Any]] = (
    show_batch,
    send_batch,
    show_batch_job,
    batch_state,
    show_unidentified,
    register_unidentified,
    show_assignment,
    assign_payment,
    show_transfer,
    transfer,
    show_relief,
    relieve,
)
