"""What the pages of payments show: the customer's tab Transactions, a payment with what it settled, lists."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from core.database import row, within
from core.errors import FieldError, Invalid
from core.ids import Id
from core.ledger.accounts import account_name
from core.money import format_amount, format_money
from core.payments.schemas import PaymentRow, Share
from core.payments.tables import Payment
from core.texts import N_, _, in_sentence, ngettext, number
from core.web.forms import from_form
from core.web.parts import Choice, Field, Figure, MenuEntry, Pill
from core.web.templating import written

if TYPE_CHECKING:
    from core.billing.queries import CreditUse
    from core.billing.schemas import CreditRow, DocumentRow
    from core.ledger.schemas import Balance, PostingRow
    from core.payments.schemas import MethodRow, PaidRow, PaymentDetail
    from core.scope import Scope

PILLS: Final[dict[str, Pill]] = {
    "pending": Pill(N_("Pending"), "warn"),
    "unknown": Pill(N_("Unknown"), "warn"),
    "received": Pill(N_("Received"), "live"),
    "part_reversed": Pill(N_("Partly reversed"), "warn"),
    "reversed": Pill(N_("Reversed"), "blocked"),
    "failed": Pill(N_("Failed"), "blocked"),
}


def said_of(paid: PaidRow, latest: int) -> str:
    """What a plan calls a document that is paid: one behind the `latest` is made by it, and has no number before."""
    return _("New invoice") if paid.document_id > latest else paid.number or ""


class PaymentItem(Struct, frozen=True, kw_only=True):
    """A payment in a list."""

    id: int
    received_on: date
    payer_id: int | None
    payer: str
    method: str
    reference: str
    pill: Pill
    amount: str
    free: str
    """What of it is free credit; empty where nothing is."""
    currency: str


def pill_of(payment: PaymentRow) -> Pill:
    """What became of it; of one that was received, what of it is free, or that nobody is known for it yet."""
    if payment.state == "received" and payment.payer_id is None:
        return Pill(_("In suspense"), "warn")
    if payment.state == "received":
        if not payment.free_minor:
            return Pill(_("Allocated"), "live")
        return Pill(_("Free") if payment.free_minor == payment.amount_minor else _("Partly free"), "new")
    return Pill(_(PILLS[payment.state].label), PILLS[payment.state].kind)


def item_of(payment: PaymentRow) -> PaymentItem:
    return PaymentItem(
        id=payment.id,
        received_on=payment.received_on,
        payer_id=payment.payer_id,
        payer=payment.payer or "",
        method=payment.method_name,
        reference=payment.reference,
        pill=pill_of(payment),
        amount=format_amount(payment.amount_minor, payment.currency),
        free=format_amount(payment.free_minor, payment.currency) if payment.free_minor else "",
        currency=payment.currency,
    )


class Paid(Struct, frozen=True):
    """What a customer paid since a day."""

    payments: int
    amount_minor: int


async def paid_since(scope: Scope, customer_id: int, currency: str, since: date) -> Paid:
    found = await row(
        Paid,
        "SELECT count(*) AS payments, CAST(coalesce(sum(amount_minor - reversed_minor), 0) AS bigint) AS amount_minor"
        " FROM payment WHERE payer_id = :id AND currency = :currency AND received_on >= :since"
        " AND state IN ('received', 'part_reversed') AND :within",
        id=customer_id,
        currency=currency,
        since=since,
        within=within(Payment, scope.actor.reach),
    )
    assert found is not None
    return found


def figures_elsewhere(balances: Sequence[Balance], locale: str) -> list[Figure]:
    """What is open or free in other currencies than the customer's, one each."""
    return [
        Figure(
            label=_("Balance, %(currency)s", currency=each.currency),
            value=format_money(abs(each.balance_minor), each.currency, locale),
            detail=_("owed") if each.balance_minor < 0 else _("credit"),
            tone="owes" if each.balance_minor < 0 else "plus",
        )
        for each in balances
        if each.balance_minor
    ]


def figures_of(paid: Paid, last: PaymentRow | None, currency: str, locale: str) -> list[Figure]:
    """Behind open, overdue and credit."""
    return [
        Figure(
            label=_("Paid this year"),
            value=format_money(paid.amount_minor, currency, locale),
            detail=ngettext("%(count)s payment", "%(count)s payments", paid.payments, count=number(paid.payments)),
        ),
        Figure(
            label=_("Last payment"),
            value=format_money(last.amount_minor, last.currency, locale) if last is not None else "–",
            detail=f"{written(last.received_on, locale)}, {in_sentence(last.method_name)}"
            if last is not None
            else _("none yet"),
        ),
    ]


class PostingItem(Struct, frozen=True, kw_only=True):
    """A posting on a customer's account."""

    on: date
    what: str
    account: str
    debit: str
    credit: str
    currency: str
    href: str


WHAT: Final = {
    "invoice": N_("Invoice"),
    "credit_note": N_("Credit note"),
    "payment": N_("Payment"),
    "allocation": N_("Allocation"),
    "unallocation": N_("Allocation taken back"),
    "refund": N_("Refund"),
    "reversal": N_("Payment reversed"),
    "goodwill": N_("Goodwill"),
    "forfeit": N_("Credit forfeited"),
    "deposit": N_("Deposit"),
    "deposit_applied": N_("Deposit applied"),
    "deposit_paid_back": N_("Deposit paid back"),
    "opening": N_("Opening balance"),
    "assignment": N_("Receipt assigned"),
    "transfer": N_("Credit transferred"),
    "bad_debt": N_("Written off"),
    "small_difference": N_("Small difference"),
    "goodwill_reversal": N_("Goodwill taken back"),
    "opening_reversed": N_("Opening balance taken back"),
    "reversal_fee": N_("Fee for a payment that was reversed"),
    "refund_failed": N_("Refund failed"),
    "payout": N_("Payout of a gateway"),
    "tax_relief": N_("Tax relief for a bad debt"),
}
"""What was booked, by the kind of its transaction."""


def posting_item(posting: PostingRow) -> PostingItem:
    paths = {"document": "/invoices/{}", "payment": "/payments/{}"}
    source = "document" if posting.source_kind in ("document", "invoice", "credit_note") else posting.source_kind
    return PostingItem(
        on=posting.booked_on,
        what=_(WHAT.get(posting.kind, posting.kind.replace("_", " ").capitalize())),
        account=f"{posting.code} {account_name(posting.code, posting.account)}",
        debit=format_amount(posting.amount_minor, posting.currency) if posting.amount_minor > 0 else "",
        credit=format_amount(-posting.amount_minor, posting.currency) if posting.amount_minor < 0 else "",
        currency=posting.currency,
        href=paths[source].format(posting.source_id) if source in paths else "",
    )


# -- registering a payment --------------------------------------------------------------------------------------------


class PaymentForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A payment as it is typed."""

    amount: Annotated[str, Meta(max_length=40)] = ""
    received_on: date | None = None
    method: Annotated[str, Meta(max_length=60)] = "transfer"
    reference: Annotated[str, Meta(max_length=200)] = ""
    note: Annotated[str, Meta(max_length=1000)] = ""
    document_id: Id | None = None
    fee: Annotated[str, Meta(max_length=40)] = ""
    bank_currency: Annotated[str, Meta(pattern="^([A-Z]{3})?$")] = ""
    bank_amount: Annotated[str, Meta(max_length=40)] = ""
    seen: Annotated[str, Meta(max_length=20_000)] = ""


MOST_SHARES: Final = 12
"""Open invoices that a payment can be split over in its drawer; over JSON there may be more."""


def share_field(document_id: int) -> str:
    return f"share_{document_id}"


def typed_payment(typed: Mapping[str, Sequence[str]]) -> tuple[PaymentForm, dict[int, str]]:
    """A payment, and what was typed beside each invoice."""
    shares = {
        int(name[6:]): texts[-1].strip()[:40]
        for name, texts in typed.items()
        if re.fullmatch(r"share_\d{1,18}", name) and texts and texts[-1].strip()
    }
    return from_form(
        PaymentForm, {name: texts for name, texts in typed.items() if not name.startswith("share_")}
    ), shares


def at_shares(error: Invalid, split: Sequence[Share]) -> Invalid:
    """Errors of a payment at the fields of its drawer."""
    names = {"bank_amount_minor": "bank_amount", "fee_minor": "fee", "split": "amount"}
    names |= {f"split.{at}.amount_minor": share_field(each.document_id) for at, each in enumerate(split)}
    return Invalid(error.message, errors=[FieldError(names.get(e.field, e.field), e.message) for e in error.errors])


def buttons_of_list() -> tuple[MenuEntry, ...]:
    """What begins something on the list of payments."""
    drawer = {"hx-get": "/payments/unidentified/new", "hx-target": "#plan", "hx-swap": "innerHTML"}
    return (
        MenuEntry(label=_("From nobody known…"), icon="help-circle", attrs=drawer),
        MenuEntry(label=_("Unclear online"), icon="alert-triangle", href="/payments/unclear"),
        MenuEntry(label=_("Batch…"), icon="table", href="/payments/batch"),
    )


def payment_fields(
    methods: Sequence[MethodRow],
    documents: Sequence[DocumentRow],
    amount: str,
    currency: str,
    today: date,
    currencies: Sequence[str] = (),
) -> list[Field]:
    """The drawer's fields. The invoice that is named is paid first, then the oldest due."""
    return [
        Field(
            name="amount", label=_("Amount, %(currency)s", currency=currency), kind="money", value=amount, required=True
        ),
        Field(name="received_on", label=_("Received on"), kind="date", value=today.isoformat()),
        Field(
            name="method",
            label=_("Method"),
            kind="select",
            value=methods[0].code if methods else "",
            choices=[Choice(method.code, method.name) for method in methods],
        ),
        Field(name="reference", label=_("Reference"), max_length=200, help=_("As on the bank statement")),
        Field(
            name="document_id",
            label=_("Pays first"),
            kind="select",
            choices=[
                Choice("", _("The oldest due")),
                *(_to_pay(document, currency) for document in documents if document.currency == currency),
            ],
        ),
        Field(name="note", label=_("Note"), max_length=1000),
        Field(name="fee", label=_("Fee kept back by the bank"), kind="money"),
        *(
            [
                Field(
                    name="bank_currency",
                    label=_("Arrived in another currency"),
                    kind="select",
                    choices=[Choice("", _("No")), *(Choice(each, each) for each in currencies)],
                ),
                Field(name="bank_amount", label=_("What arrived"), kind="money", help=_("In the bank's currency")),
            ]
            if currencies
            else []
        ),
        *(
            [
                Field(
                    name=share_field(each.id),
                    label=_("Of it for %(number)s", number=each.number),
                    kind="money",
                    help=_("Open %(amount)s", amount=format_amount(each.open_minor, currency)),
                )
                for each in [each for each in documents if each.currency == currency and each.kind != "proforma"][
                    :MOST_SHARES
                ]
            ]
            if len(documents) > 1
            else []
        ),
    ]


def chosen_currency(typed: str, offered: Sequence[Balance]) -> Balance:
    """The balance that is meant: as it was typed, else the first one in which credit is free."""
    if typed:
        found = next((each for each in offered if each.currency == typed), None)
        if found is None:
            raise Invalid(_("Choose a currency of the list."), field="currency")
        return found
    return next((each for each in offered if each.credit_minor), offered[0])


def currency_fields(chosen: Balance, offered: Sequence[Balance]) -> list[Field]:
    """Asked only where there is a choice."""
    if len(offered) < 2:
        return []
    choices = [Choice(each.currency, each.currency) for each in offered]
    return [Field(name="currency", label=_("Currency"), kind="select", value=chosen.currency, choices=choices)]


class Refunding(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    currency: Annotated[str, Meta(max_length=3)] = ""
    amount: Annotated[str, Meta(max_length=40)] = ""
    method: Annotated[str, Meta(max_length=60)] = "transfer"
    reason: Annotated[str, Meta(max_length=500)] = ""
    reference: Annotated[str, Meta(max_length=200)] = ""
    reopen: bool = False
    seen: Annotated[str, Meta(max_length=20_000)] = ""


def refund_fields(methods: Sequence[MethodRow], free_minor: int, paid_minor: int, currency: str) -> list[Field]:
    return [
        Field(
            name="amount",
            label=_("Amount, %(currency)s", currency=currency),
            kind="money",
            help=_("Empty: all free credit, %(amount)s", amount=format_amount(free_minor, currency)),
        ),
        Field(
            name="method",
            label=_("Paid back by"),
            kind="select",
            value=methods[0].code if methods else "",
            choices=[Choice(method.code, method.name) for method in methods],
        ),
        Field(name="reason", label=_("Reason"), required=True, max_length=500),
        Field(name="reference", label=_("Reference"), max_length=200),
        *(
            [
                Field(
                    name="reopen",
                    label=_("Open paid invoices again"),
                    kind="check",
                    help=_(
                        "Where free credit does not suffice: %(amount)s stands on them",
                        amount=format_amount(paid_minor, currency),
                    ),
                )
            ]
            if paid_minor
            else []
        ),
    ]


class Reversing(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    amount: Annotated[str, Meta(max_length=40)] = ""
    fee: Annotated[str, Meta(max_length=40)] = ""
    charge_fee: bool = False
    reason: Annotated[str, Meta(max_length=500)] = ""
    seen: Annotated[str, Meta(max_length=20_000)] = ""


def reversal_fields(payment: PaymentDetail) -> list[Field]:
    """What nobody is known for goes back as a whole, and has nobody to charge the fee to."""
    left = format_amount(payment.amount_minor - payment.reversed_minor, payment.currency)
    known = payment.payer_id is not None
    amount = Field(
        name="amount",
        label=_("Amount, %(currency)s", currency=payment.currency),
        kind="money",
        help=_("Empty: all of it, %(left)s", left=left),
    )
    fee = Field(
        name="fee", label=_("Fee of the bank, %(bank_currency)s", bank_currency=payment.bank_currency), kind="money"
    )
    charged = Field(
        name="charge_fee", label=_("Charge the fee on"), kind="check", help=_("On the next invoice, outside VAT")
    )
    reason = Field(
        name="reason", label=_("Reason"), max_length=500, wide=True, help=_("Chargeback, returned debit, mistake")
    )
    return [amount, fee, charged, reason] if known else [fee, reason]


class Allocating(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    document_id: Id | None = None
    amount: Annotated[str, Meta(max_length=40)] = ""
    seen: Annotated[str, Meta(max_length=20_000)] = ""


def _to_pay(document: DocumentRow, currency: str) -> Choice:
    if document.kind == "proforma":
        return Choice(str(document.id), _("Proforma %(number)s", number=document.number))
    amount = format_amount(document.open_minor, currency)
    return Choice(str(document.id), _("%(number)s, open %(amount)s", number=document.number, amount=amount))


def order_words(document: DocumentRow | None) -> str:
    """In which order money settles what is open; `document` is the one that it names, a proforma only while that has no
    invoice."""
    if document is not None and document.kind == "proforma":
        return _("the oldest due: the proforma has no invoice yet")
    return _("the one named, then the oldest due")


def order_warnings(document: DocumentRow | None, paid: Sequence[PaidRow], currency: str) -> list[str]:
    """That money which names a proforma is used for something else."""
    used = sum(each.amount_minor for each in paid)
    if document is None or document.kind != "proforma" or not used:
        return []
    return [
        _(
            "%(amount)s of it pays other invoices: the proforma %(number)s has none yet. Issue its invoice first to"
            " have that one paid.",
            amount=format_amount(used, currency),
            number=document.number,
        )
    ]


def allocation_fields(documents: Sequence[DocumentRow], currency: str) -> list[Field]:
    return [
        Field(
            name="document_id",
            label=_("Invoice"),
            kind="select",
            choices=[
                Choice("", _("Choose…")),
                *(_to_pay(each, currency) for each in documents if each.currency == currency),
            ],
        ),
        Field(
            name="amount",
            label=_("Amount, %(currency)s", currency=currency),
            kind="money",
            help=_("Empty: as much as fits"),
        ),
    ]


class Granting(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """`meant_for`: nothing, or "invoice:12", "subscription:3"."""

    currency: Annotated[str, Meta(max_length=3)] = ""
    amount: Annotated[str, Meta(max_length=40)] = ""
    reason: Annotated[str, Meta(max_length=500)] = ""
    meant_for: Annotated[str, Meta(pattern="^$|^(invoice|subscription):[0-9]{1,18}$", max_length=40)] = ""
    seen: Annotated[str, Meta(max_length=20_000)] = ""


def grant_fields(currency: str, purposes: Sequence[Choice]) -> list[Field]:
    """`purposes`: the open invoices and live subscriptions that it can be meant for."""
    meant_for = Field(
        name="meant_for",
        label=_("Meant for"),
        kind="select",
        choices=(Choice("", _("Whatever is due first")), *purposes),
        help=_("What is left then pays the oldest due, and new invoices"),
    )
    return [
        Field(name="amount", label=_("Amount, %(currency)s", currency=currency), kind="money", required=True),
        Field(
            name="reason",
            label=_("Reason"),
            required=True,
            max_length=500,
            help=_("Goodwill, no tax moves; a price reduction is a credit note"),
        ),
        *([meant_for] if purposes else []),
    ]


CREDIT_KINDS: Final = {
    "payment": N_("Payment"),
    "credit_note": N_("Credit note"),
    "goodwill": N_("Goodwill"),
    "deposit": N_("Deposit"),
    "transfer": N_("Transfer"),
    "opening": N_("Taken over"),
}


USE_KINDS: Final = {
    "refund": N_("Refunded"),
    "refund_failed": N_("Refund failed"),
    "forfeit": N_("Forfeited"),
    "transfer": N_("Transferred"),
    "reversal": N_("Taken back"),
}


class UseItem(Struct, frozen=True, kw_only=True):
    """What became of some of a credit: it paid a document, or was refunded, forfeited, taken back."""

    text: str
    href: str
    amount: str
    on: date


class CreditItem(Struct, frozen=True, kw_only=True):
    """Credit that is free, or was."""

    id: int
    kind: str
    reason: str
    on: date
    amount: str
    left: str
    currency: str
    href: str
    uses: tuple[UseItem, ...] = ()
    may_reverse: bool = False


def use_item(use: CreditUse, currency: str) -> UseItem:
    if use.kind == "allocation":
        text = (
            _("Paid %(number)s", number=use.number)
            if use.amount_minor > 0
            else _("Not on %(number)s any more", number=use.number)
        )
    else:
        text = _(USE_KINDS.get(use.kind, use.kind))
    return UseItem(
        text=text,
        href=f"/invoices/{use.document_id}" if use.document_id is not None else "",
        amount=format_amount(abs(use.amount_minor), currency),
        on=use.on,
    )


def credit_item(credit: CreditRow, uses: Sequence[CreditUse] = (), *, may_credit: bool = False) -> CreditItem:
    paths = {"payment": "/payments/{}", "credit_note": "/invoices/{}"}
    return CreditItem(
        id=credit.id,
        kind=_(CREDIT_KINDS.get(credit.source_kind, credit.source_kind)),
        reason=credit.reason,
        on=credit.created_on,
        amount=format_amount(credit.amount_minor, credit.currency),
        left=format_amount(credit.left_minor, credit.currency),
        currency=credit.currency,
        href=paths[credit.source_kind].format(credit.source_id) if credit.source_kind in paths else "",
        uses=tuple(use_item(each, credit.currency) for each in uses),
        may_reverse=may_credit
        and credit.source_kind == "goodwill"
        and (credit.left_minor > 0 or sum(each.amount_minor for each in uses if each.kind == "allocation") > 0),
    )
