"""Pages of payments: the customer's tab Transactions, registering a payment, one payment, all of them; the books."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from litestar import Response
from litestar.params import FromPath

from core.activity.queries import timeline
from core.billing import actions as billing
from core.billing import pages as documents_pages
from core.billing import queries as documents
from core.billing.listing import DOCUMENTS
from core.customers import queries as customers
from core.customers.head import head_values
from core.customers.timeline import in_words
from core.database import Everything
from core.errors import Conflict, Invalid
from core.hooks import Permission
from core.ledger import queries as ledger
from core.money import format_amount, format_money
from core.payments import actions, pages, queries
from core.payments.deposit_pages import deposit_item
from core.payments.deposits import list_deposits
from core.payments.listing import PAYMENTS
from core.payments.online import find_online
from core.payments.schemas import NewPayment, NewRefund, Reversal, Share
from core.subscriptions import queries as subscriptions
from core.texts import N_, _
from core.web.amounts import Fields, amount_text, typed_amount
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, Typed, asked, do_plan, show_plan
from core.web.forms import from_form
from core.web.further import SIZE, place_in, read_on
from core.web.parts import Choice, Field, Figure
from core.web.routing import get, post
from core.web.view import View

if TYPE_CHECKING:
    from core.billing.schemas import DocumentRow
    from core.customers.schemas import CustomerDetail
    from core.ledger.schemas import Balance
    from core.payments.schemas import PaymentDetail
    from core.scope import Scope
    from core.web.view import PageView

PERMISSIONS: Final = (
    Permission("payments.view", N_("See payments and what they settled")),
    Permission("payments.register", N_("Register payments and allocate them")),
    Permission("payments.refund", N_("Refund credit, reverse payments")),
    Permission("ledger.view", N_("See the books")),
)
SHOWN: Final = {
    "documents": N_("Documents"),
    "payments": N_("Payments"),
    "credit": N_("Credit"),
    "ledger": N_("Ledger"),
}


# -- the customer's tab -----------------------------------------------------------------------------------------------


@get("/customers/{customer_id:int}/transactions", permission="documents.view")
async def show_tab(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    head = await head_values(view, customer_id, _("Transactions"))
    customer: CustomerDetail = head["customer"]
    may = {"documents": True, "payments": "payments.view", "credit": "payments.view", "ledger": "ledger.view"}
    shown = {key: _(label) for key, label in SHOWN.items() if may[key] is True or scope.may(str(may[key]))}
    asked = view.query.get("show", "documents")
    asked = asked if asked in shown else "documents"
    return view.page(
        f"payments/{asked}.html",
        **head,
        figures=await _figures(scope, customer),
        shown=shown,
        asked=asked,
        may_invoice=scope.may("documents.edit"),
        may_credit=scope.may("documents.credit"),
        may_pay=scope.may("payments.register"),
        open_pay=view.query.get("open") == "pay",
        **await _TABS[asked](view, customer),
    )


async def _figures(scope: Scope, customer: CustomerDetail) -> list[Any]:
    open_documents = await documents.list_documents(scope, payer_id=customer.id, only_open=True, limit=500)
    balance, *elsewhere = await ledger.list_balances(scope, customer.id)
    figures = documents_pages.figures_of_customer(
        [each for each in open_documents if each.currency == customer.currency],
        balance.credit_minor,
        customer.currency,
        scope.today(),
        scope.locale,
    )
    figures += pages.figures_elsewhere(elsewhere, scope.locale)
    if scope.may("payments.view"):
        if balance.deposit_minor:
            held = format_money(balance.deposit_minor, customer.currency, scope.locale)
            figures.append(Figure(label=_("Deposits held"), value=held, detail=_("beside the balance")))
        paid = await pages.paid_since(scope, customer.id, customer.currency, date(scope.today().year, 1, 1))
        last = await queries.list_payments(scope, payer_id=customer.id, limit=1)
        figures += pages.figures_of(paid, last[0] if last else None, customer.currency, scope.locale)
    return figures


async def _documents(view: PageView, customer: CustomerDetail) -> dict[str, Any]:
    path = f"/customers/{customer.id}/transactions"
    found, pager = await DOCUMENTS.embedded(view, {"payer_id": str(customer.id)}, path)
    one_currency = all(each.currency == customer.currency for each in found)
    return {
        "items": [documents_pages.item_of(each, view.scope.today()) for each in found],
        "totals": documents_pages.totals_of(found),
        "heads": documents_pages.heads_of_customer(customer.currency if one_currency else ""),
        "one_currency": one_currency,
        "pager": pager,
    }


async def _payments(view: PageView, customer: CustomerDetail) -> dict[str, Any]:
    path = f"/customers/{customer.id}/transactions"
    found, pager = await PAYMENTS.embedded(view, {"payer_id": str(customer.id)}, path, show="payments")
    return {"items": [pages.item_of(each) for each in found], "pager": pager}


async def _credit(view: PageView, customer: CustomerDetail) -> dict[str, Any]:
    base = f"/customers/{customer.id}/transactions?show=credit"
    found = await documents.list_credits(view.scope, customer.id, before=place_in(view, "before"), limit=SIZE + 1)
    found, pages_of_credit = read_on(view, "before", found, [each.id for each in found], base)
    uses: dict[int, list[documents.CreditUse]] = {}
    for use in await documents.list_credit_uses(view.scope, [each.id for each in found]):
        uses.setdefault(use.credit_id, []).append(use)
    may_credit = view.scope.may("documents.credit")
    held = await list_deposits(view.scope, customer.id, before=place_in(view, "deposits"), limit=SIZE + 1)
    held, pages_of_deposits = read_on(view, "deposits", held, [each.id for each in held], base)
    balances = await ledger.list_balances(view.scope, customer.id)
    any_free = any(each.credit_minor for each in balances)
    return {
        "deposits": [deposit_item(each) for each in held],
        "pages_of_credit": pages_of_credit,
        "pages_of_deposits": pages_of_deposits,
        "credits": [pages.credit_item(each, uses.get(each.id, ()), may_credit=may_credit) for each in found],
        "one_currency": all(each.currency == customer.currency for each in found),
        "free": any_free or bool(await queries.paid_on_invoices(view.scope, customer.id, customer.currency)),
        "any_free": any_free,
        "may_refund": view.scope.may("payments.refund"),
    }


async def _ledger(view: PageView, customer: CustomerDetail) -> dict[str, Any]:
    found = await ledger.list_postings(view.scope, customer_id=customer.id)
    return {
        "postings": [pages.posting_item(each) for each in found],
        "balances": await ledger.list_balances(view.scope, customer.id),
    }


_TABS: Final[dict[str, Callable[[PageView, CustomerDetail], Awaitable[dict[str, Any]]]]] = {
    "documents": _documents,
    "payments": _payments,
    "credit": _credit,
    "ledger": _ledger,
}


# -- registering a payment --------------------------------------------------------------------------------------------


@get("/customers/{customer_id:int}/payments/new", permission="payments.register")
async def show_new(view: View, customer_id: FromPath[int]) -> Response[str]:
    """The drawer, with what the payment would settle."""
    scope = view.scope
    customer = await customers.get_customer(scope, customer_id)
    typed = asked(view)
    fields = await _payment_fields(scope, customer, typed)
    if "amount" not in typed:
        typed = {**typed, "amount": [next(field.value for field in fields if field.name == "amount")]}
    return await show_plan(
        view,
        _payment_place(customer_id, fields),
        typed,
        lambda: _receive(scope, customer, *pages.typed_payment(typed)),
    )


@post("/customers/{customer_id:int}/payments", permission="payments.register")
async def register(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer = await customers.get_customer(scope, customer_id)
    await view.read()
    return await do_plan(
        view,
        _payment_place(customer_id, await _payment_fields(scope, customer, view.typed)),
        lambda: _receive(scope, customer, *pages.typed_payment(view.typed)),
        to=f"/customers/{customer_id}/transactions",
        said=_("Payment registered."),
    )


async def _payment_fields(scope: Scope, customer: CustomerDetail, typed: Mapping[str, Sequence[str]]) -> list[Field]:
    found = await documents.list_documents(scope, payer_id=customer.id, only_open=True, limit=200)
    found = sorted(
        (each for each in found if each.currency == customer.currency),
        key=lambda each: (each.due_on or date.max, each.number or ""),
    )
    named = typed.get("document_id", [""])[-1]
    due = next((each.open_minor for each in found if str(each.id) == named), sum(each.open_minor for each in found))
    amount = amount_text(due, customer.currency) if due else ""
    if named.isdecimal() and len(named) < 19 and all(str(each.id) != named for each in found):
        lost = await documents.get_document(scope, int(named))
        is_open_proforma = lost.kind == "proforma" and lost.settlement == "open"
        if lost.payer_id == customer.id and (lost.settlement == "written_off" or is_open_proforma):
            found.append(lost)
        if is_open_proforma and lost in found and lost.currency == customer.currency:
            came = await queries.list_naming(scope, lost.id, customer.id)
            left = lost.total_minor - sum({each.id: each.free_minor for each in came}.values())
            amount = amount_text(left, customer.currency) if left > 0 else ""
    known = {each.from_currency for each in await ledger.list_fx_rates()} | {scope.tenant.currency}
    others = sorted(known - {customer.currency})
    return pages.payment_fields(await queries.list_methods(), found, amount, customer.currency, scope.today(), others)


async def _receive(
    scope: Scope, customer: CustomerDetail, form: pages.PaymentForm, shares: Mapping[int, str]
) -> ChangePlan:
    bank_currency = form.bank_currency or customer.currency
    split: list[Share] = []
    with Fields() as read:
        amount = read("amount", typed_amount, form.amount, customer.currency, scope.locale, least=1, default=0)
        fee = read("fee", typed_amount, form.fee, bank_currency, scope.locale, default=0)
        arrived = read("bank_amount", typed_amount, form.bank_amount, bank_currency, scope.locale, default=0)
        if form.bank_currency and not form.bank_amount:
            read.wrong("bank_amount", _("Type what arrived at the bank."))
        for document_id, text in shares.items():
            name = pages.share_field(document_id)
            if minor := read(name, typed_amount, text, customer.currency, scope.locale, default=0):
                split.append(Share(document_id=document_id, amount_minor=minor))
        if not form.amount:
            read.wrong("amount", _("Fill this in."))
    latest = await documents.latest_document(scope)
    before = await documents.list_documents(scope, payer_id=customer.id, only_open=True, limit=200)
    waiting = await subscriptions.list_subscriptions(scope, states=("pending",), customer_id=customer.id)
    balance = await ledger.get_balance(scope, customer.id)
    data = NewPayment(
        payer_id=customer.id,
        amount_minor=amount,
        method=form.method,
        received_on=form.received_on,
        reference=form.reference,
        note=form.note,
        document_id=form.document_id,
        split=split,
        fee_minor=fee,
        bank_currency=form.bank_currency or None,
        bank_amount_minor=arrived or None,
    )
    try:
        payment_id = await actions.receive(scope, data)
    except Invalid as error:
        raise pages.at_shares(error, split) from None
    payment = await queries.get_payment(scope, payment_id)
    meant = await _named_by(scope, payment)
    after = await ledger.get_balance(scope, customer.id)
    still = {
        each.id: each.open_minor
        for each in await documents.list_documents(scope, payer_id=customer.id, only_open=True, limit=200)
    }
    live = [each for each in waiting if (await subscriptions.get_subscription(scope, each.id)).state == "active"]
    written = format_money(amount, customer.currency, scope.locale)
    return ChangePlan(
        title=_("Register payment"),
        button=_("Register %(amount)s", amount=written),
        keep=_("Cancel"),
        parts=[
            _pays(before, payment, still, latest, pages.order_words(meant)),
            *(
                [
                    PlanPart(
                        title=_("Service"),
                        lines=[
                            PlanLine(text=each.label or each.product, before=_("Waits for payment"), value=_("Active"))
                            for each in live
                        ],
                    )
                ]
                if live
                else []
            ),
            PlanPart(title=_("Money"), lines=[_balance_line(balance, after)]),
        ],
        warnings=pages.order_warnings(meant, payment.paid, customer.currency),
    )


async def _named_by(scope: Scope, payment: PaymentDetail) -> DocumentRow | None:
    if payment.names_document_id is None:
        return None
    return await documents.get_document(scope, payment.names_document_id)


def _pays(
    before: Sequence[DocumentRow], payment: PaymentDetail, still: Mapping[int, int], latest: int, order: str
) -> PlanPart:
    """What the payment settles, and what of it stays credit. Documents behind the `latest` one are made by it."""
    by_id = {each.id: each for each in before}
    return PlanPart(
        title=_("Pays"),
        note=order,
        lines=[
            PlanLine(
                text=pages.said_of(paid, latest),
                detail=_left_of(by_id.get(paid.document_id), still.get(paid.document_id, 0)),
                value=format_amount(paid.amount_minor, payment.currency),
            )
            for paid in payment.paid
        ],
        total=PlanLine(text=_("Stays as credit"), value=format_amount(payment.free_minor, payment.currency)),
    )


def _left_of(document: DocumentRow | None, left: int) -> str:
    if document is None:
        return ""
    opened = format_amount(document.open_minor, document.currency)
    if not left:
        return _("open %(amount)s, paid in full", amount=opened)
    return _("open %(amount)s, then %(left)s", amount=opened, left=format_amount(left, document.currency))


def _balance_line(before: Balance, after: Balance) -> PlanLine:
    return PlanLine(
        text=_("Balance, %(currency)s", currency=after.currency),
        before=format_amount(before.balance_minor, before.currency) if before != after else "",
        value=format_amount(after.balance_minor, after.currency),
        tone="owes" if after.balance_minor < 0 else "plus" if after.balance_minor > 0 else "",
    )


# -- credit -----------------------------------------------------------------------------------------------------------


@get("/customers/{customer_id:int}/refund", permission="payments.refund")
async def show_refund(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer = await customers.get_customer(scope, customer_id)
    typed = asked(view)
    return await show_plan(
        view,
        _refund_place(customer_id, await _refund_fields(scope, customer, typed)),
        typed,
        lambda: _refund(scope, customer, from_form(pages.Refunding, typed)),
    )


@post("/customers/{customer_id:int}/refund", permission="payments.refund")
async def refund(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer = await customers.get_customer(scope, customer_id)
    await view.read()
    return await do_plan(
        view,
        _refund_place(customer_id, await _refund_fields(scope, customer, view.typed)),
        lambda: _refund(scope, customer, from_form(pages.Refunding, view.typed), must=True),
        to=f"/customers/{customer_id}/transactions?show=credit",
        said=_("Refunded."),
    )


async def _refund_fields(scope: Scope, customer: CustomerDetail, typed: Typed) -> list[Field]:
    offered = await queries.currencies_paid(scope, customer.id)
    balance = _shown_currency(typed, offered)
    paid = await queries.paid_on_invoices(scope, customer.id, balance.currency)
    fields = pages.refund_fields(await queries.list_methods(), balance.credit_minor, paid, balance.currency)
    return [*pages.currency_fields(balance, offered), *fields]


def _shown_currency(typed: Typed, offered: Sequence[Balance]) -> Balance:
    """What a drawer asks in: one that is not offered is refused by the deed, beside its field."""
    currency = typed.get("currency", [""])[-1]
    return pages.chosen_currency(currency if any(each.currency == currency for each in offered) else "", offered)


async def _refund(scope: Scope, customer: CustomerDetail, form: pages.Refunding, *, must: bool = False) -> ChangePlan:
    if must and not form.reason:
        raise Invalid(_("Say why it is paid back."), field="reason")
    before = pages.chosen_currency(form.currency, await queries.currencies_paid(scope, customer.id))
    with Fields() as read:
        amount = read("amount", typed_amount, form.amount, before.currency, scope.locale, least=1, default=0)
    amount = amount or before.credit_minor
    if not amount:
        raise Conflict(_("There is no free credit to pay back: type how much of what was paid is."))
    await actions.refund(
        scope,
        NewRefund(
            customer_id=customer.id,
            currency=before.currency,
            amount_minor=amount,
            method=form.method,
            reason=form.reason or "–",
            reference=form.reference,
            reopen=form.reopen,
        ),
    )
    after = await ledger.get_balance(scope, customer.id, before.currency)
    back = format_money(amount, before.currency, scope.locale)
    return ChangePlan(
        title=_("Refund %(amount)s", amount=back),
        button=_("Refund %(amount)s", amount=back),
        danger=True,
        parts=[
            PlanPart(
                title=_("Money"),
                lines=[
                    PlanLine(
                        text=_("Free credit"),
                        before=format_amount(before.credit_minor, before.currency),
                        value=format_amount(after.credit_minor, after.currency),
                    ),
                    *(
                        [
                            PlanLine(
                                text=_("Open on invoices"),
                                before=format_amount(before.receivable_minor, before.currency),
                                value=format_amount(after.receivable_minor, after.currency),
                                tone="owes",
                            )
                        ]
                        if after.receivable_minor != before.receivable_minor
                        else []
                    ),
                    _balance_line(before, after),
                ],
            )
        ],
        warnings=[_("The money itself is paid back by you; this books it.")],
    )


@get("/customers/{customer_id:int}/credit/new", permission="documents.credit")
async def show_grant(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer = await customers.get_customer(scope, customer_id)
    typed = asked(view)
    return await show_plan(
        view,
        await _grant_place(scope, customer, typed),
        typed,
        lambda: _grant(scope, customer, from_form(pages.Granting, typed)),
    )


@post("/customers/{customer_id:int}/credit", permission="documents.credit")
async def grant(view: View, customer_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    customer = await customers.get_customer(scope, customer_id)
    await view.read()
    return await do_plan(
        view,
        await _grant_place(scope, customer, view.typed),
        lambda: _grant(scope, customer, from_form(pages.Granting, view.typed), must=True),
        to=f"/customers/{customer_id}/transactions?show=credit",
        said=_("Credit granted."),
    )


async def _grant(scope: Scope, customer: CustomerDetail, form: pages.Granting, *, must: bool = False) -> ChangePlan:
    offered = await queries.currencies_owed(scope, customer.id)
    before = pages.chosen_currency(form.currency or customer.currency, offered)
    with Fields() as read:
        amount = read("amount", typed_amount, form.amount, before.currency, scope.locale, least=1, default=0)
        if not form.amount:
            read.wrong("amount", _("Fill this in."))
        if must and not form.reason:
            read.wrong("reason", _("Say what the credit is for."))
    purpose, _colon, number = form.meant_for.partition(":")
    await billing.grant_credit(
        scope,
        customer.id,
        amount,
        form.reason or "–",
        document_id=int(number) if purpose == "invoice" else None,
        subscription_id=int(number) if purpose == "subscription" else None,
        currency=before.currency,
    )
    after = await ledger.get_balance(scope, customer.id, before.currency)
    granted = format_money(amount, before.currency, scope.locale)
    return ChangePlan(
        title=_("Grant credit of %(amount)s", amount=granted),
        button=_("Grant %(amount)s", amount=granted),
        parts=[
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
                    _balance_line(before, after),
                ],
            )
        ],
        warnings=[_("Goodwill is no credit note: no tax moves.")],
    )


# -- one payment ------------------------------------------------------------------------------------------------------


@get("/payments", permission="payments.view")
async def list_payments(view: View) -> Response[str]:
    buttons = pages.buttons_of_list() if view.scope.may("payments.register") else ()
    return await PAYMENTS.page(view, buttons=buttons if isinstance(view.scope.actor.reach, Everything) else ())


@get("/payments/{payment_id:int}", permission="payments.view")
async def show(view: View, payment_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    payment = await queries.get_payment(scope, payment_id)
    item = pages.item_of(payment)
    entries = await timeline(scope, subject=("payment", payment_id), limit=20) if scope.may("activity.view") else []
    left = payment.amount_minor - payment.reversed_minor
    online = await find_online(scope, payment_id) if payment.provider else None
    unclear = payment.state == "unknown" or (online is not None and online.for_a_person)
    return view.page(
        "payments/payment.html",
        payment=payment,
        item=item,
        amount=format_money(payment.amount_minor, payment.currency, scope.locale),
        paid=[
            {
                "id": each.allocation_id,
                "number": each.number or _("Draft"),
                "href": f"/invoices/{each.document_id}",
                "on": each.allocated_on,
                "amount": format_amount(each.amount_minor, payment.currency),
                "undone": each.undone,
            }
            for each in payment.paid
        ],
        happenings=await in_words(scope, entries),
        online=online,
        may_ask=scope.may("payments.register") and (payment.state == "pending" or unclear),
        may_settle=scope.may("payments.register") and unclear,
        may_pay_back=scope.may("payments.refund") and left > 0 and payment.state in ("received", "part_reversed"),
        may_assign=scope.may("payments.register") and payment.payer_id is None and payment.state == "received",
        may_allocate=scope.may("payments.register") and payment.free_minor > 0,
        may_take_back=scope.may("payments.register"),
        may_reverse=scope.may("payments.refund") and left > 0 and payment.state in ("received", "part_reversed"),
    )


@get("/payments/{payment_id:int}/allocation", permission="payments.register")
async def show_allocation(view: View, payment_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    payment = await queries.get_payment(scope, payment_id)
    typed = asked(view)
    return await show_plan(
        view,
        _allocation_place(payment_id, await _allocation_fields(scope, payment)),
        typed,
        lambda: _allocate(scope, payment, from_form(pages.Allocating, typed)),
    )


@post("/payments/{payment_id:int}/allocation", permission="payments.register")
async def allocate(view: View, payment_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    payment = await queries.get_payment(scope, payment_id)
    await view.read()
    return await do_plan(
        view,
        _allocation_place(payment_id, await _allocation_fields(scope, payment)),
        lambda: _allocate(scope, payment, from_form(pages.Allocating, view.typed)),
        to=f"/payments/{payment_id}",
        said=_("Allocated."),
    )


async def _allocation_fields(scope: Scope, payment: PaymentDetail) -> list[Field]:
    found = (
        await documents.list_documents(scope, payer_id=payment.payer_id, only_open=True, limit=200)
        if payment.payer_id is not None
        else []
    )
    return pages.allocation_fields(found, payment.currency)


async def _allocate(scope: Scope, payment: PaymentDetail, form: pages.Allocating) -> ChangePlan:
    if form.document_id is None or payment.payer_id is None:
        raise Invalid(_("Choose an invoice."), field="document_id")
    document = await documents.get_document(scope, form.document_id)
    most = min(payment.free_minor, document.open_minor)
    with Fields() as read:
        amount = read("amount", typed_amount, form.amount, payment.currency, scope.locale, least=1, default=most)
    entry = await documents.find_credit_of(scope, "payment", payment.id)
    if entry is None or not entry.left_minor:
        raise Conflict(_("Nothing of this payment is free."))
    try:
        await billing.allocate_by_hand(scope, entry.id, document.id, amount)
    except Invalid as error:
        raise Invalid(error.errors[0].message if error.errors else error.message, field="amount") from None
    after = await documents.get_document(scope, document.id)
    allocated = format_money(amount, payment.currency, scope.locale)
    return ChangePlan(
        title=_("Allocate %(amount)s", amount=allocated),
        button=_("Allocate %(amount)s", amount=allocated),
        parts=[
            PlanPart(
                title=_("Money"),
                lines=[
                    PlanLine(
                        text=_("Open of %(number)s", number=document.number),
                        before=format_amount(document.open_minor, document.currency),
                        value=format_amount(after.open_minor, after.currency),
                    ),
                    PlanLine(
                        text=_("Free of this payment"),
                        before=format_amount(payment.free_minor, payment.currency),
                        value=format_amount(payment.free_minor - amount, payment.currency),
                    ),
                ],
            )
        ],
    )


@post("/allocations/{allocation_id:int}/undoing", permission="payments.register")
async def take_back(view: View, allocation_id: FromPath[int]) -> Response[str]:
    await view.read()
    await billing.unallocate(view.scope, allocation_id)
    back = view.typed.get("back", [""])[-1]
    return view.go(
        back if back.startswith("/") and not back.startswith("//") else "/payments", _("Allocation taken back.")
    )


@get("/payments/{payment_id:int}/reversal", permission="payments.refund")
async def show_reversal(view: View, payment_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    payment = await queries.get_payment(scope, payment_id)
    typed = asked(view)
    return await show_plan(
        view,
        _reversal_place(payment),
        typed,
        lambda: _reverse(scope, payment, from_form(pages.Reversing, typed)),
    )


@post("/payments/{payment_id:int}/reversal", permission="payments.refund")
async def reverse(view: View, payment_id: FromPath[int]) -> Response[str]:
    scope = view.scope
    payment = await queries.get_payment(scope, payment_id)
    await view.read()
    return await do_plan(
        view,
        _reversal_place(payment),
        lambda: _reverse(scope, payment, from_form(pages.Reversing, view.typed)),
        to=f"/payments/{payment_id}",
        said=_("Payment reversed."),
    )


async def _reverse(scope: Scope, payment: PaymentDetail, form: pages.Reversing) -> ChangePlan:
    if payment.payer_id is None:
        return await _send_back(scope, payment, form)
    with Fields() as read:
        amount = read("amount", typed_amount, form.amount, payment.currency, scope.locale, least=1, default=0)
        fee = read("fee", typed_amount, form.fee, payment.bank_currency, scope.locale, default=0)
    before = await ledger.get_balance(scope, payment.payer_id, payment.currency)
    opened = await documents.open_amounts(scope, payment.payer_id)
    try:
        charge_id = await actions.reverse(
            scope,
            payment.id,
            Reversal(amount_minor=amount or None, fee_minor=fee, charge_fee=form.charge_fee, reason=form.reason),
        )
    except Invalid as error:
        fault = error.errors[0]
        raise Invalid(fault.message, field="amount" if fault.field == "amount_minor" else fault.field) from None
    after = await ledger.get_balance(scope, payment.payer_id, payment.currency)
    lines = [
        PlanLine(
            text=_("Open of %(number)s", number=each.number),
            before=format_amount(opened.get(each.id, 0), each.currency),
            value=format_amount(each.open_minor, each.currency),
            tone="owes",
        )
        for each in await documents.list_opened(scope, payment.payer_id, opened)
    ]
    charge = await subscriptions.find_charge(scope, charge_id) if charge_id is not None else None
    charged = (
        [PlanLine(text=charge.description, value=format_money(charge.amount_minor, charge.currency, scope.locale))]
        if charge is not None
        else []
    )
    ours = [] if charged or not fee else [PlanLine(text=_("Fee of the bank, ours"), value=_fee_of(payment, fee, scope))]
    taken = amount or payment.amount_minor - payment.reversed_minor
    back = format_money(taken, payment.currency, scope.locale)
    return ChangePlan(
        title=_("Reverse %(amount)s", amount=back),
        button=_("Reverse %(amount)s", amount=back),
        danger=True,
        parts=[
            *([PlanPart(title=_("Documents"), note=_("open again"), lines=lines)] if lines else []),
            PlanPart(title=_("Money"), lines=[_balance_line(before, after), *ours]),
            *([PlanPart(title=_("On the next invoice"), lines=charged)] if charged else []),
        ],
        warnings=[_("What was activated by this payment stays active; dunning decides.")],
    )


def _fee_of(payment: PaymentDetail, fee_minor: int, scope: Scope) -> str:
    return format_money(fee_minor, payment.bank_currency, scope.locale)


async def _send_back(scope: Scope, payment: PaymentDetail, form: pages.Reversing) -> ChangePlan:
    """A receipt of nobody known leaves suspense again."""
    with Fields() as read:
        fee = read("fee", typed_amount, form.fee, payment.bank_currency, scope.locale, default=0)
    await actions.reverse(scope, payment.id, Reversal(fee_minor=fee, reason=form.reason))
    ours = [PlanLine(text=_("Fee of the bank, ours"), value=_fee_of(payment, fee, scope))] if fee else []
    back = format_money(payment.amount_minor, payment.currency, scope.locale)
    return ChangePlan(
        title=_("Reverse %(amount)s", amount=back),
        button=_("Reverse %(amount)s", amount=back),
        danger=True,
        parts=[PlanPart(title=_("Money"), lines=[PlanLine(text=_("Out of suspense"), value=back), *ours])],
    )


# -- drawers ----------------------------------------------------------------------------------------------------------


def _payment_place(customer_id: int, options: Sequence[Field]) -> Place:
    path = f"/customers/{customer_id}/payments"
    return Place(title=_("Register payment"), asked=f"{path}/new", sent=path, options=options, plan_only_with="amount")


def _refund_place(customer_id: int, options: Sequence[Field]) -> Place:
    path = f"/customers/{customer_id}/refund"
    return Place(title=_("Refund credit"), asked=path, sent=path, options=options)


async def _grant_place(scope: Scope, customer: CustomerDetail, typed: Typed) -> Place:
    path = f"/customers/{customer.id}/credit"
    offered = await queries.currencies_owed(scope, customer.id)
    shown = _shown_currency({"currency": [customer.currency], **typed}, offered)
    purposes = await queries.list_purposes(scope, customer.id, shown.currency)
    choices = [Choice(each.value, _purpose(each, shown.currency, scope.locale)) for each in purposes]
    return Place(
        title=_("Grant credit"),
        asked=f"{path}/new",
        sent=path,
        options=[*pages.currency_fields(shown, offered), *pages.grant_fields(shown.currency, choices)],
        plan_only_with="amount",
    )


def _purpose(each: queries.Purpose, currency: str, locale: str) -> str:
    if each.open_minor is None:
        return each.name
    return _("%(number)s, %(amount)s open", number=each.name, amount=format_money(each.open_minor, currency, locale))


def _allocation_place(payment_id: int, options: Sequence[Field]) -> Place:
    path = f"/payments/{payment_id}/allocation"
    return Place(title=_("Allocate"), asked=path, sent=path, options=options, plan_only_with="document_id")


def _reversal_place(payment: PaymentDetail) -> Place:
    path = f"/payments/{payment.id}/reversal"
    return Place(title=_("Reverse payment"), asked=path, sent=path, options=pages.reversal_fields(payment))


HANDLERS = (
    show_tab,
    show_new,
    register,
    show_refund,
    refund,
    show_grant,
    grant,
    list_payments,
    show,
    show_allocation,
    allocate,
    take_back,
    show_reversal,
    reverse,
)
