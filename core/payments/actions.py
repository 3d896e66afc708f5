"""Receiving money, taking it back, paying it out. Money becomes credit first, and credit settles invoices (billing)."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from core.activity.unit import record, unit_of_work
from core.billing.actions import allocate_by_hand, allocate_credit, create_credit_note, free_up, open_credit, unallocate
from core.billing.actions.allocation import in_base, lock_balance, lock_credit, recover_loss, use_credit
from core.billing.queries import invoice_of_proforma
from core.billing.tables import Document
from core.customers.tables import Customer
from core.database import Duplicate, execute, execute_many, row, rows, value, values, within
from core.documents.formats import write_day
from core.errors import Conflict, Invalid, NotFound
from core.ledger.accounts import Code
from core.ledger.fx import convert, official_rate, part_of_base
from core.ledger.posting import Entry, credit, debit, post
from core.money import check_currency, format_amount
from core.payments.events import PaymentReceived, PaymentReversed, UnidentifiedSentBack
from core.payments.queries import PAID
from core.payments.refunds import Method, book_refund
from core.payments.schemas import AmountMinor, Reference
from core.payments.status import TRANSITIONS, PaymentState
from core.payments.tables import Payment
from core.subscriptions.actions import add_charge
from core.subscriptions.actions.shared import payers_language
from core.subscriptions.schemas import NewCharge
from core.texts import _, in_sentence, pgettext, speaking

if TYPE_CHECKING:
    from core.billing.schemas import NewCreditNote
    from core.payments.schemas import NewPayment, NewRefund, Reversal
    from core.scope import Scope


class PayingBack(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How much of what a credit note frees is paid back, and how; all of it when the amount is left out."""

    amount_minor: AmountMinor | None = None
    method: Annotated[str, Meta(max_length=60)] = "transfer"
    reference: Reference = ""


async def receive(scope: Scope, data: NewPayment) -> int:
    """Money came in: it is the customer's credit, settles what it names, then what is due longest; the rest stays.

    What waited for a settled invoice is live in the same unit of work. Gives the payment's id; for an event of a
    provider that is known already, the one it made then.
    """
    async with unit_of_work(scope):
        known = await known_event(data.provider, data.event_id)
        if known is not None:
            return known
        own_currency = await require_customer(scope, data.payer_id, "payer_id")
        currency = check_currency(data.currency or own_currency)
        received_on = data.received_on or scope.today()
        if received_on > scope.today():
            raise Invalid(_("Money cannot be received in the future."), field="received_on")
        method = await find_method(data.method)
        meant = await named(scope, data.document_id, data.payer_id, currency)
        bank_currency = data.bank_currency or currency
        bank_amount = data.bank_amount_minor or data.amount_minor
        if bank_currency == currency and bank_amount != data.amount_minor:
            raise Invalid(_("In one currency, what arrived is what is accepted."), field="bank_amount_minor")
        if data.fee_minor >= bank_amount:
            raise Invalid(_("The fee must be less than the payment."), field="fee_minor")
        await lock_balance(data.payer_id, currency)
        try:
            payment_id = int(
                await value(
                    "INSERT INTO payment (payer_id, method_id, state, currency, amount_minor, bank_currency,"
                    " bank_amount_minor, fee_minor, received_on, reference, note, names_document_id, provider,"
                    " provider_event_id, created_at) VALUES (:payer_id, :method_id, 'received', :currency, :amount,"
                    " :bank_currency, :bank_amount, :fee, :received_on, :reference, :note, :document_id, :provider,"
                    " :event_id, :now) RETURNING id",
                    payer_id=data.payer_id,
                    method_id=method.id,
                    currency=currency,
                    amount=data.amount_minor,
                    bank_currency=bank_currency,
                    bank_amount=bank_amount,
                    fee=data.fee_minor,
                    received_on=received_on,
                    reference=data.reference,
                    note="\n".join(each for each in (data.note, meant.why) if each),
                    document_id=meant.document_id,
                    provider=data.provider,
                    event_id=data.event_id,
                    now=scope.now(),
                )
            )
        except Duplicate as error:
            raise Conflict(_("This event of the provider was just entered by somebody else.")) from error
        base = await in_base(scope, bank_amount, bank_currency, received_on)
        await post(
            await _receipt(scope, data, method, currency, bank_currency, bank_amount, base, received_on),
            kind="payment",
            source_kind="payment",
            source_id=payment_id,
            booked_on=scope.today(),
        )
        entry_id = await open_credit(
            scope,
            data.payer_id,
            currency=currency,
            source_kind="payment",
            source_id=payment_id,
            amount_minor=data.amount_minor,
            base_minor=base,
        )
        record(
            scope,
            PaymentReceived(
                payment_id=payment_id, customer_id=data.payer_id, amount_minor=data.amount_minor, currency=currency
            ),
        )
        if meant.invoice_id is not None:
            await recover_loss(scope, meant.invoice_id, data.amount_minor)
        await _split(scope, entry_id, data)
        await allocate_credit(scope, data.payer_id, currency, named=[meant.invoice_id] if meant.invoice_id else [])
        return payment_id


async def _split(scope: Scope, entry_id: int, data: NewPayment) -> None:
    """To each invoice what was typed beside it; the rest goes by the rule."""
    if sum(each.amount_minor for each in data.split) > data.amount_minor:
        raise Invalid(_("More is allocated than was received."), field="split")
    for at, each in enumerate(data.split):
        try:
            await allocate_by_hand(scope, entry_id, each.document_id, each.amount_minor)
        except Invalid as error:
            raise Invalid(error.errors[0].message, field=f"split.{at}.amount_minor") from None


async def _receipt(
    scope: Scope,
    data: NewPayment,
    method: Method,
    currency: str,
    bank_currency: str,
    bank_amount: int,
    base: int,
    received_on: date,
) -> list[Entry]:
    """Rows 7 and 8 of the table of postings; in another currency than the customer's, over FX clearing."""
    fee_base = await in_base(scope, data.fee_minor, bank_currency, received_on) if data.fee_minor else 0
    entries = [
        debit(method.account_code, bank_amount - data.fee_minor, bank_currency, base - fee_base),
        debit(Code.PAYMENT_FEES, data.fee_minor, bank_currency, fee_base),
        credit(Code.CUSTOMER_CREDIT, data.amount_minor, currency, base, customer_id=data.payer_id),
    ]
    if bank_currency != currency:
        entries += [
            credit(Code.FX_CLEARING, bank_amount, bank_currency, base),
            debit(Code.FX_CLEARING, data.amount_minor, currency, base),
        ]
    return entries


async def known_event(provider: str | None, event_id: str | None) -> int | None:
    if (provider is None) != (event_id is None):
        raise Invalid(_("An event of a provider needs both its provider and its id."), field="event_id")
    if provider is None:
        return None
    found = await value(
        "SELECT id FROM payment WHERE provider = :provider AND provider_event_id = :event_id",
        provider=provider,
        event_id=event_id,
    )
    return int(found) if found is not None else None


async def require_customer(scope: Scope, customer_id: int, field: str) -> str:
    found = await value(
        "SELECT currency FROM customer WHERE id = :id AND :within",
        id=customer_id,
        within=within(Customer, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"customer {customer_id} ({field})")
    return str(found)


async def find_method(code: str) -> Method:
    found = await row(Method, "SELECT id, account_code FROM payment_method WHERE code = :code AND active", code=code)
    if found is None:
        raise Invalid(_("Choose a method of payment of the list."), field="method")
    return found


class _Document(Struct, frozen=True):
    payer_id: int
    currency: str
    kind: str
    number: str


class Named(Struct, frozen=True):
    """What money names: `invoice_id` is settled first. A proforma that has no invoice is named all the same, and
    `why` says what becomes of the money."""

    document_id: int | None = None
    invoice_id: int | None = None
    why: str = ""


async def named(scope: Scope, document_id: int | None, payer_id: int, currency: str) -> Named:
    """The invoice that money names, or the one of the proforma that it names; Invalid where it is not this payer's, in
    this currency."""
    if document_id is None:
        return Named()
    found = await row(
        _Document,
        "SELECT payer_id, currency, kind, number FROM document WHERE id = :id AND state = 'issued'"
        " AND kind IN ('invoice', 'opening', 'proforma') AND :within",
        id=document_id,
        within=within(Document, scope.actor.reach),
    )
    if found is None:
        raise Invalid(_("There is no such issued invoice."), field="document_id")
    if (found.payer_id, found.currency) != (payer_id, currency):
        raise Invalid(_("This invoice is another customer's, or in another currency."), field="document_id")
    if found.kind != "proforma":
        return Named(document_id, document_id)
    if invoice_id := await invoice_of_proforma(document_id):
        return Named(invoice_id, invoice_id)
    why = _(
        "It names the proforma %(number)s, of which no invoice was issued: what was open was paid first, the oldest"
        " due, and what is left is credit.",
        number=found.number,
    )
    return Named(document_id, why=why)


class _Payment(Struct, frozen=True):
    id: int
    payer_id: int | None
    state: PaymentState
    currency: str
    amount_minor: int
    reversed_minor: int
    bank_currency: str
    bank_amount_minor: int
    received_on: date
    account_code: str


async def reverse(scope: Scope, payment_id: int, data: Reversal) -> int | None:
    """A chargeback or returned debit (row 15): un-allocated newest first, then taken of the credit; the fee is ours, or
    charged on. Gives the id of the charge, if there is one."""
    async with unit_of_work(scope):
        found = await row(
            _Payment,
            "SELECT payment.id, payment.payer_id, payment.state, payment.currency, payment.amount_minor,"
            " payment.reversed_minor, payment.bank_currency, payment.bank_amount_minor, payment.received_on,"
            " m.account_code"
            " FROM payment JOIN payment_method m ON m.id = payment.method_id"
            " WHERE payment.id = :id AND :within FOR UPDATE OF payment",
            id=payment_id,
            within=within(Payment, scope.actor.reach),
        )
        if found is None:
            raise NotFound(f"payment {payment_id}")
        left = found.amount_minor - found.reversed_minor
        amount = left if data.amount_minor is None else data.amount_minor
        to = PaymentState.REVERSED if amount == left else PaymentState.PART_REVERSED
        if to not in TRANSITIONS[found.state]:
            raise Conflict(
                _("A payment that is %(state)s cannot be taken back.", state=in_sentence(_(found.state.capitalize())))
            )
        if amount > left:
            most = format_amount(left, found.currency)
            raise Invalid(_("At most %(most)s of this payment is left.", most=most), field="amount_minor")
        if found.bank_currency != found.currency and amount != found.amount_minor:
            raise Invalid(_("A payment in another currency is taken back as a whole."), field="amount_minor")
        if found.payer_id is None:
            await _send_back(scope, found, amount, data)
            return None
        await lock_balance(found.payer_id, found.currency)
        entry_id = int(
            await value("SELECT id FROM credit_entry WHERE source_kind = 'payment' AND source_id = :id", id=payment_id)
        )
        entry = await lock_credit(scope, entry_id)
        if entry.left_minor < amount:
            await free_up(scope, credit_entry_id=entry_id, amount_minor=amount - entry.left_minor)
            entry = await lock_credit(scope, entry_id)
        if entry.left_minor < amount:
            raise Conflict(
                _(
                    "%(gone)s of this payment was refunded or transferred: at most %(most)s can be taken back. What the"
                    " bank took beyond that is a loss: grant it as credit and refund it.",
                    gone=format_amount(left - entry.left_minor, found.currency),
                    most=format_amount(entry.left_minor, found.currency),
                )
            )
        base = part_of_base(entry.base_left_minor, entry.left_minor, amount)
        use_id = await use_credit(scope, entry_id, "reversal", payment_id, amount, base)
        entries = [debit(Code.CUSTOMER_CREDIT, amount, found.currency, base, customer_id=found.payer_id)]
        if found.bank_currency == found.currency:
            entries.append(credit(found.account_code, amount, found.currency, base))
        else:
            entries += [
                credit(found.account_code, found.bank_amount_minor, found.bank_currency, base),
                debit(Code.FX_CLEARING, found.bank_amount_minor, found.bank_currency, base),
                credit(Code.FX_CLEARING, amount, found.currency, base),
            ]
        await post(entries, kind="reversal", source_kind="credit_use", source_id=use_id, booked_on=scope.today())
        if data.fee_minor:
            await _book_fee(scope, found, data.fee_minor, "credit_use", use_id)
        charge_id = None
        if data.fee_minor and data.charge_fee:
            charge_id = await _charge_fee_on(scope, found, found.payer_id, data.fee_minor, use_id)
        await execute(
            "UPDATE payment SET state = :state, reversed_minor = reversed_minor + :amount, version = version + 1"
            " WHERE id = :id",
            id=payment_id,
            state=to,
            amount=amount,
        )
        record(
            scope,
            PaymentReversed(
                payment_id=payment_id, customer_id=found.payer_id, amount_minor=amount, currency=found.currency
            ),
            changes={"reason": (None, data.reason)},
        )
        # What stood free from elsewhere may settle what is open again.
        await allocate_credit(scope, found.payer_id, found.currency)
        return charge_id


async def _book_fee(scope: Scope, of: _Payment, fee_minor: int, source_kind: str, source_id: int) -> None:
    base = await in_base(scope, fee_minor, of.bank_currency)
    await post(
        [
            debit(Code.PAYMENT_FEES, fee_minor, of.bank_currency, base),
            credit(of.account_code, fee_minor, of.bank_currency, base),
        ],
        kind="reversal_fee",
        source_kind=source_kind,
        source_id=source_id,
        booked_on=scope.today(),
    )


async def _charge_fee_on(scope: Scope, of: _Payment, payer_id: int, fee_minor: int, use_id: int) -> int:
    """A fee outside VAT on the payer's next invoice, in its language and, by the official rate, its currency."""
    currency = await require_customer(scope, payer_id, "payer_id")
    rate = await official_rate(scope.tenant.currency, of.bank_currency, currency, scope.today())
    if rate is None:
        raise Invalid(
            _(
                "There is no rate from %(currency)s to %(base)s. Enter it under Settings, Currencies.",
                currency=of.bank_currency,
                base=currency,
            ),
            field="charge_fee",
        )
    language = await payers_language(scope, payer_id)
    with speaking(language):
        day = write_day(of.received_on, language)
        description = _("Fee of the bank for your payment of %(day)s that was returned", day=day)
    return await add_charge(
        scope,
        NewCharge(
            customer_id=payer_id,
            description=description,
            amount_minor=convert(fee_minor, of.bank_currency, currency, rate),
            kind="fee",
            source_key=f"reversal:{use_id}",
        ),
    )


async def suspended_base(payment_id: int) -> int:
    """What of a receipt stands in suspense, in the tenant's currency."""
    return int(
        await value(
            "SELECT coalesce(-CAST(sum(p.base_minor) AS bigint), 0) FROM posting p"
            " JOIN account a ON a.id = p.account_id JOIN ledger_transaction t ON t.id = p.transaction_id"
            " WHERE a.code = :code AND t.source_kind = 'payment' AND t.source_id = :id",
            code=str(Code.SUSPENSE),
            id=payment_id,
        )
    )


async def _send_back(scope: Scope, found: _Payment, amount: int, data: Reversal) -> None:
    """A receipt that nobody was found for goes back as a whole: out of suspense. What the bank takes for it is ours."""
    if amount != found.amount_minor:
        raise Invalid(_("A payment that waits for its customer is taken back as a whole."), field="amount_minor")
    if data.charge_fee:
        raise Invalid(_("There is nobody to charge it to."), field="charge_fee")
    base = await suspended_base(found.id)
    await post(
        [debit(Code.SUSPENSE, amount, found.currency, base), credit(found.account_code, amount, found.currency, base)],
        kind="reversal",
        source_kind="payment",
        source_id=found.id,
        booked_on=scope.today(),
    )
    if data.fee_minor:
        await _book_fee(scope, found, data.fee_minor, "payment", found.id)
    await execute(
        "UPDATE payment SET state = 'reversed', reversed_minor = amount_minor, version = version + 1 WHERE id = :id",
        id=found.id,
    )
    record(
        scope,
        UnidentifiedSentBack(payment_id=found.id, amount_minor=amount, currency=found.currency),
        changes={"reason": (None, data.reason)},
    )


async def refund(scope: Scope, data: NewRefund) -> list[int]:
    """Pay free credit back, the oldest first (row 14); gives the refunds' ids.

    Where that does not suffice it is refused, or, if asked for (`reopen`), payments are un-allocated first, the newest
    first: their invoices are open again by what is paid back.
    """
    async with unit_of_work(scope):
        currency = check_currency(data.currency or await require_customer(scope, data.customer_id, "customer_id"))
        await require_customer(scope, data.customer_id, "customer_id")
        method = await find_method(data.method)
        await lock_balance(data.customer_id, currency)
        reopened = await _free_what_is_missing(scope, data, currency)
        entry_ids = await values(
            "SELECT id FROM credit_entry WHERE customer_id = :id AND currency = :currency AND left_minor > 0"
            " ORDER BY id"
            " FOR UPDATE",
            id=data.customer_id,
            currency=currency,
        )
        free = [await lock_credit(scope, int(each)) for each in entry_ids]
        made: list[int] = []
        wanted = data.amount_minor
        for entry in free:
            if not wanted:
                break
            amount = min(wanted, entry.left_minor)
            made.append(await book_refund(scope, entry, amount, method, data.reason, reference=data.reference))
            wanted -= amount
        if reopened:
            # A payment is taken off an invoice whole: what is not paid back settles it again.
            await allocate_credit(scope, data.customer_id, currency, named=reopened)
        return made


class _Free(Struct, frozen=True):
    id: int
    left_minor: int


async def credit_and_refund(scope: Scope, data: NewCreditNote, back: PayingBack) -> int:
    """A credit note of which a part is paid back at once, the rest stays credit; gives the credit note's id.

    It settles what is open of its invoice first: at most what becomes free by it can be paid back. Of a paid invoice
    that is voided, that is its payment.
    """
    async with unit_of_work(scope):
        payer = await row(
            _Payer,
            "SELECT payer_id AS id, currency FROM document WHERE id = :id AND :within",
            id=data.document_id,
            within=within(Document, scope.actor.reach),
        )
        if payer is None:
            raise NotFound(f"document {data.document_id}")
        method = await find_method(back.method)
        await lock_balance(payer.id, payer.currency)
        before = {each.id: each.left_minor for each in await _free(payer)}
        note_id = await create_credit_note(scope, data)
        freed = [
            (each.id, each.left_minor - before.get(each.id, 0))
            for each in await _free(payer)
            if each.left_minor > before.get(each.id, 0)
        ]
        wanted = sum(minor for _id, minor in freed) if back.amount_minor is None else back.amount_minor
        if wanted > sum(minor for _id, minor in freed):
            most = format_amount(sum(minor for _id, minor in freed), payer.currency)
            raise Invalid(
                _("At most %(most)s becomes free by this credit note and can be paid back.", most=most),
                field="refund_minor",
            )
        for entry_id, minor in freed:
            amount = min(wanted, minor)
            if amount:
                entry = await lock_credit(scope, entry_id)
                await book_refund(scope, entry, amount, method, data.reason, reference=back.reference)
                wanted -= amount
        return note_id


class _Payer(Struct, frozen=True):
    id: int
    currency: str


async def _free(payer: _Payer) -> list[_Free]:
    return await rows(
        _Free,
        "SELECT id, left_minor FROM credit_entry WHERE customer_id = :id AND currency = :currency AND left_minor > 0"
        " ORDER BY id",
        id=payer.id,
        currency=payer.currency,
    )


class _Paid(Struct, frozen=True):
    id: int
    document_id: int
    amount_minor: int


async def _free_what_is_missing(scope: Scope, data: NewRefund, currency: str) -> list[int]:
    """Where free credit does not suffice and it is asked for, payments are un-allocated, the newest first, until it
    does; gives the invoices that are open again."""
    free_minor = int(
        await value(
            "SELECT coalesce(CAST(sum(left_minor) AS bigint), 0) FROM credit_entry"
            " WHERE customer_id = :id AND currency = :currency AND left_minor > 0",
            id=data.customer_id,
            currency=currency,
        )
    )
    missing = data.amount_minor - free_minor
    if missing <= 0:
        return []
    paid = await rows(
        _Paid,
        f"SELECT a.id, a.document_id, a.amount_minor {PAID} ORDER BY a.id DESC",
        customer_id=data.customer_id,
        currency=currency,
    )
    paid_minor = sum(each.amount_minor for each in paid)
    if not data.reopen:
        most = format_amount(free_minor, currency)
        told = _("Only free credit can be paid back: %(amount)s %(currency)s at most.", amount=most, currency=currency)
        raise Conflict(told + " " + _("Have paid invoices opened again to pay back more.") if paid else told)
    if missing > paid_minor:
        most = format_amount(free_minor + paid_minor, currency)
        raise Conflict(
            _(
                "Free credit and payments on invoices can be paid back: %(most)s %(currency)s at most.",
                most=most,
                currency=currency,
            )
        )
    reopened: list[int] = []
    for each in paid:
        if missing <= 0:
            break
        await unallocate(scope, each.id)
        reopened.append(each.document_id)
        missing -= each.amount_minor
    return reopened


async def name_shipped() -> None:
    """Methods of payment as they come with the product are called so in the language that is spoken: for a tenant that
    is made."""
    said = {
        "transfer": pgettext("payment method", "Bank transfer"),
        "cash": pgettext("payment method", "Cash"),
        "card": pgettext("payment method", "Card terminal"),
    }
    await execute_many(
        "UPDATE payment_method SET name = :said WHERE code = :code",
        [{"code": code, "said": text} for code, text in said.items()],
    )
