"""Editing an issued invoice: it is credited in full and issued anew; and credit notes that correct no invoice."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.billing import actions, pages, queries
from core.billing.actions.free_notes import Creditable, list_creditable_rates
from core.billing.actions.reissuing import list_reissuable
from core.billing.part_periods import as_counted, share_of
from core.billing.schemas import FreeCreditLine, NewFreeCreditNote, Reissue, ReissuedLine
from core.catalog import queries as catalog
from core.customers import queries as customers
from core.errors import Conflict, FieldError, Invalid
from core.ledger import queries as ledger
from core.money import format_amount, format_money
from core.texts import _, pgettext
from core.web.amounts import Fields, percent_text, typed_amount
from core.web.changes import ChangePlan, Drawer, Place, PlanLine, PlanPart, asked, do_plan, rehearse, show_plan
from core.web.forms import from_form
from core.web.parts import Choice, Field
from core.web.routing import get, post
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.billing.schemas import DocumentDetail
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope
    from core.web.view import PageView

Typed = Mapping[str, Sequence[str]]


class _About(Struct, frozen=True, kw_only=True):
    """What stands beside the lines."""

    reason: Annotated[str, Meta(max_length=500)] = ""
    terms_days: Annotated[int, Meta(ge=0, le=365)] | None = None
    reference: Annotated[str, Meta(max_length=200)] = ""
    note: Annotated[str, Meta(max_length=2000)] = ""


# -- an issued invoice, anew ------------------------------------------------------------------------------------------


@get("/invoices/{invoice_id:int}/edit", permission="documents.credit")
async def show_edit(view: View, invoice_id: FromPath[int]) -> Response[str]:
    """The lines of an issued invoice to be changed."""
    document = await _issued(view.scope, invoice_id)
    return await _edit_page(view, document)


@post("/invoices/{invoice_id:int}/edit", permission="documents.credit")
async def plan_edit(view: View, invoice_id: FromPath[int]) -> Response[str]:
    """What issuing it anew would do, over the page as it was filled in."""
    document = await _issued(view.scope, invoice_id)
    await view.read()
    try:
        plan = await rehearse(view.scope, partial(_reissue, view, document, must=True))
    except Invalid as error:
        at_lines = pages.at_their_lines(error, pages.typed_lines(view.typed))
        return await _edit_page(view, document, errors=errors_by_field(at_lines), status=422)
    except Conflict as error:
        return await _edit_page(view, document, errors={"": error.message}, status=409)
    return await _edit_page(view, document, plan=plan)


@post("/invoices/{invoice_id:int}/reissue", permission="documents.issue")
async def reissue(view: View, invoice_id: FromPath[int]) -> Response[str]:
    document = await _issued(view.scope, invoice_id)
    view.scope.require("documents.credit")
    await view.read()
    made: list[int] = []

    async def deed() -> ChangePlan:
        return await _reissue(view, document, made=made)

    answer = await do_plan(
        view,
        _edit_place(invoice_id),
        deed,
        to=f"/invoices/{invoice_id}",
        said=_("Credited and issued anew."),
    )
    if answer.headers.get("HX-Redirect") and made:
        return view.go(f"/invoices/{made[-1]}", _("Credited and issued anew."))
    return answer


async def _issued(scope: Scope, invoice_id: int) -> DocumentDetail:
    document = await queries.get_document(scope, invoice_id)
    if document.state != "issued" or document.kind != "invoice":
        raise Conflict(_("Only an issued invoice is credited and issued anew."))
    return document


async def _edit_page(
    view: PageView,
    document: DocumentDetail,
    *,
    errors: Mapping[str, str] | None = None,
    plan: ChangePlan | None = None,
    status: int = 200,
) -> Response[str]:
    scope = view.scope
    old = await list_reissuable(document.id)
    if view.typed:
        lines, of = pages.typed_lines(view.typed), _of_lines(view.typed)
    else:
        lines = pages.typed_of(document.lines, document.currency)
        of = {line.at: each.id for line, each in zip(lines, old, strict=True)}
    parts = {
        each.id: pages.days_words(*as_counted(share_of(each, document.currency), each.period_from, each.period_to))
        for each in old
    }
    lines = [msgspec.structs.replace(line, days=parts.get(of.get(line.at, 0), "")) for line in lines]
    place = _edit_place(document.id)
    hidden = [(name, texts[-1]) for name, texts in view.typed.items() if texts and texts[-1] and name != "seen"]
    return view.page(
        "billing/reissue.html",
        status=status,
        document=document,
        title=_("Edit %(number)s", number=document.number),
        lines=pages.with_blanks(lines, 1),
        of=of,
        charged={at for at, line_id in of.items() if any(e.id == line_id and e.charge_id is not None for e in old)},
        taxes=pages.tax_choices(await catalog.list_tax_categories()),
        currency_of=document.currency,
        values=view.shown(
            reason="",
            terms_days="" if document.terms_days is None else str(document.terms_days),
            reference=document.reference,
            note=document.note,
        ),
        errors=errors or {},
        labels=pages.labels_of(errors or {}) | {"reason": _("Reason")},
        drawer=Drawer(place=place, hidden=hidden, plan=plan) if plan is not None else None,
        may_issue=scope.may("documents.issue"),
    )


def _edit_place(invoice_id: int) -> Place:
    path = f"/invoices/{invoice_id}"
    return Place(title=_("Credit and issue anew"), asked=f"{path}/edit", sent=f"{path}/reissue", back=f"{path}/edit")


def _of_lines(typed: Typed) -> dict[int, int]:
    """Which line of the invoice each row was."""
    found: dict[int, int] = {}
    for name, texts in typed.items():
        at = re.fullmatch(r"of-(\d{1,3})", name)
        if at and texts and texts[-1].isdecimal() and len(texts[-1]) < 19:
            found[int(at[1])] = int(texts[-1])
    return found


def _typed_reissue(view: PageView, currency: str, *, must: bool) -> Reissue:
    lines, of = pages.typed_lines(view.typed), _of_lines(view.typed)
    beside = {name: texts for name, texts in view.typed.items() if name in _About.__struct_fields__}
    errors: list[FieldError] = []
    about, made = _About(), []
    try:
        about = from_form(_About, beside)
        if must and not about.reason:
            errors.append(FieldError("reason", _("Say why: it stands on the credit note.")))
    except Invalid as error:
        errors.extend(error.errors)
    try:
        filled = [line for line in lines if not line.is_empty]
        made = [
            ReissuedLine(line_id=of.get(line.at), **msgspec.structs.asdict(each))
            for line, each in zip(filled, pages.new_lines(lines, currency, view.scope.locale), strict=True)
        ]
    except Invalid as error:
        errors.extend(error.errors or [FieldError("", error.message)])
    if errors:
        raise Invalid(errors=errors)
    return Reissue(
        reason=about.reason or "–",
        lines=made,
        terms_days=about.terms_days,
        reference=about.reference,
        note=about.note,
    )


async def _reissue(
    view: PageView, before: DocumentDetail, *, must: bool = False, made: list[int] | None = None
) -> ChangePlan:
    scope = view.scope
    data = _typed_reissue(view, before.currency, must=must)
    balance = await ledger.get_balance(scope, before.payer_id, before.currency)
    done = await actions.reissue(scope, before.id, data)
    if made is not None:
        made.append(done.invoice_id)
    note = await queries.get_document(scope, done.credit_note_id)
    new = await queries.get_document(scope, done.invoice_id)
    after = await ledger.get_balance(scope, before.payer_id, before.currency)
    total = format_money(new.total_minor, new.currency, scope.locale)
    lines = [
        PlanLine(
            text=_("Credit note for %(number)s", number=before.number),
            detail=data.reason,
            value=format_amount(-note.total_minor, note.currency),
        ),
        *(
            PlanLine(text=item.text, detail=item.detail, value=item.amount)
            for item in pages.line_items(new, scope.locale)
        ),
    ]
    return ChangePlan(
        title=_("Credit %(number)s and issue it anew", number=before.number),
        button=_("Credit and issue %(amount)s", amount=total),
        danger=True,
        keep=_("Go on editing"),
        parts=[
            PlanPart(
                title=_("Documents"),
                note=_("a credit note and a new invoice"),
                lines=lines,
                total=PlanLine(
                    text=_("New invoice, with %(amount)s tax", amount=format_amount(new.tax_minor, new.currency)),
                    before=format_amount(before.total_minor, before.currency),
                    value=total,
                ),
            ),
            PlanPart(
                title=_("Money"),
                lines=[
                    PlanLine(
                        text=_("Settled by what was paid"),
                        value=format_amount(new.total_minor - new.open_minor, new.currency),
                    ),
                    PlanLine(
                        text=_("Open"),
                        before=format_amount(before.open_minor, before.currency),
                        value=format_amount(new.open_minor, new.currency),
                    ),
                    PlanLine(
                        text=_("Balance, %(currency)s", currency=after.currency),
                        before=format_amount(balance.balance_minor, balance.currency) if balance != after else "",
                        value=format_amount(after.balance_minor, after.currency),
                        tone="owes" if after.balance_minor < 0 else "plus" if after.balance_minor > 0 else "",
                    ),
                ],
            ),
        ],
        warnings=[_("Neither document can be changed any more; the buyer is as the customer is today.")],
    )


# -- a free credit note -----------------------------------------------------------------------------------------------


class _FreeNote(Struct, frozen=True, kw_only=True):
    rate: Annotated[str, Meta(max_length=30)] = ""
    amount: Annotated[str, Meta(max_length=40)] = ""
    description: Annotated[str, Meta(max_length=500)] = ""
    reason: Annotated[str, Meta(max_length=500)] = ""
    seen: Annotated[str, Meta(max_length=20_000)] = ""


@get("/customers/{customer_id:int}/credit-notes/new", permission="documents.credit_freely")
async def show_free_note(view: View, customer_id: FromPath[int]) -> Response[str]:
    customer = await customers.get_customer(view.scope, customer_id)
    typed = asked(view)
    rates = await list_creditable_rates(customer_id, customer.currency)
    return await show_plan(
        view,
        _free_place(customer, rates),
        typed,
        lambda: _free_note(view.scope, customer, rates, from_form(_FreeNote, typed)),
    )


@post("/customers/{customer_id:int}/credit-notes", permission="documents.credit_freely")
async def create_free_note(view: View, customer_id: FromPath[int]) -> Response[str]:
    customer = await customers.get_customer(view.scope, customer_id)
    await view.read()
    rates = await list_creditable_rates(customer_id, customer.currency)
    return await do_plan(
        view,
        _free_place(customer, rates),
        lambda: _free_note(view.scope, customer, rates, from_form(_FreeNote, view.typed), must=True),
        to=f"/customers/{customer_id}/transactions",
        said=_("Credit note issued."),
    )


def _key(rate: Creditable) -> str:
    return f"{rate.tax_code}:{rate.rate_ppm}"


def _free_place(customer: CustomerDetail, rates: Sequence[Creditable]) -> Place:
    path = f"/customers/{customer.id}/credit-notes"
    choices = [
        Choice(
            _key(each),
            _(
                "%(rate)s, at most %(amount)s net",
                rate=percent_text(each.rate_ppm) if each.tax_code == "S" else each.tax_code,
                amount=format_amount(each.net_minor, customer.currency),
            ),
        )
        for each in rates
    ]
    return Place(
        title=_("Free credit note"),
        asked=f"{path}/new",
        sent=path,
        plan_only_with="amount",
        options=[
            Field(
                name="amount",
                label=_("Net, %(currency)s", currency=customer.currency),
                kind="money",
                required=True,
                help="" if rates else _("Nothing was charged that is not credited"),
            ),
            Field(
                name="rate",
                label=_("At the rate"),
                kind="select",
                value=choices[0].value if rates else "",
                choices=choices,
            ),
            Field(name="description", label=_("Description"), max_length=500, help=_("Empty: as the reason")),
            Field(name="reason", label=_("Reason"), required=True, max_length=500, help=_("Stands on the credit note")),
        ],
    )


async def _free_note(
    scope: Scope, customer: CustomerDetail, rates: Sequence[Creditable], form: _FreeNote, *, must: bool = False
) -> ChangePlan:
    rate = next((each for each in rates if _key(each) == form.rate), rates[0] if rates and not form.rate else None)
    with Fields() as read:
        amount = read("amount", typed_amount, form.amount, customer.currency, scope.locale, least=1, default=0)
        if rate is None:
            read.wrong("rate", _("Choose a rate at which this customer was charged."))
        if must and not form.reason:
            read.wrong("reason", _("Say why: it stands on the credit note."))
    assert rate is not None
    before = await ledger.get_balance(scope, customer.id)
    line = FreeCreditLine(
        description=form.description or form.reason or "–",
        tax_code=rate.tax_code,
        rate_ppm=rate.rate_ppm,
        net_minor=amount,
    )
    try:
        note_id = await actions.create_free_credit_note(
            scope, customer.id, NewFreeCreditNote(reason=form.reason or "–", lines=[line])
        )
    except Invalid as error:
        raise Invalid(error.errors[0].message if error.errors else error.message, field="amount") from None
    note = await queries.get_document(scope, note_id)
    after = await ledger.get_balance(scope, customer.id)
    total = format_money(note.total_minor, note.currency, scope.locale)
    return ChangePlan(
        title=_("Free credit note of %(amount)s", amount=total),
        button=pgettext("to credit", "Credit %(amount)s", amount=total),
        parts=[
            PlanPart(
                title=_("Documents"),
                lines=[
                    PlanLine(
                        text=form.description or _("One line, called as the reason"),
                        value=format_amount(-note.net_minor, note.currency),
                    )
                ],
                total=PlanLine(
                    text=_("Total, with %(amount)s tax", amount=format_amount(note.tax_minor, note.currency)),
                    value=format_amount(-note.total_minor, note.currency),
                ),
            ),
            PlanPart(
                title=_("Money"),
                lines=[
                    PlanLine(
                        text=_("Pays open invoices"),
                        value=format_amount(before.receivable_minor - after.receivable_minor, after.currency),
                    ),
                    PlanLine(
                        text=_("Free credit"),
                        before=format_amount(before.credit_minor, before.currency),
                        value=format_amount(after.credit_minor, after.currency),
                    ),
                    PlanLine(
                        text=_("Balance, %(currency)s", currency=after.currency),
                        before=format_amount(before.balance_minor, before.currency),
                        value=format_amount(after.balance_minor, after.currency),
                        tone="owes" if after.balance_minor < 0 else "plus" if after.balance_minor > 0 else "",
                    ),
                ],
            ),
        ],
        warnings=[_("It corrects no invoice. Where one is concerned, credit that one.")],
    )


HANDLERS: Final[Sequence[Any]] = (
    show_edit,
    plan_edit,
    reissue,
    show_free_note,
    create_free_note,
)
