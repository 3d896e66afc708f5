"""Why amounts and states are so: the rule, what it was reckoned from, the event behind it and its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.activity.queries import timeline
from core.billing.tables import DocumentState
from core.billing.vat_checks import proof_of
from core.clock import date_in
from core.customers.timeline import in_words
from core.customers.whys import Why
from core.database import rows, value, within
from core.hooks import Fact
from core.ledger.queries import get_balance
from core.money import format_money
from core.texts import N_, _, ngettext
from core.web.templating import written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.billing.schemas import DocumentDetail
    from core.scope import Scope

STATES: Final = {
    "draft": N_("It has no number yet and is in no balance."),
    "open": N_("Nothing was paid on it, and its day is not over."),
    "partly_paid": N_("Something was paid on it, and something is open."),
    "paid": N_("Its total is covered by money or credit: nothing is open."),
    "credited": N_("Credit notes took back what was left of it."),
    "written_off": N_("What was open was given up."),
    "overdue": N_("Something is open, and the day by which it was due is over."),
    "invoiced": N_("The invoice that takes its place was issued."),
    "superseded": N_("A later proforma took its place, or its draft was changed since."),
    "expired": N_("Its draft was deleted, and let go of its charges."),
}
MONEY_EVENTS: Final = (
    "invoice_issued",
    "invoice_settled",
    "invoice_reopened",
    "invoice_written_off",
    "credit_note_issued",
    "credit_granted",
    "credit_taken_back",
    "credit_forfeited",
    "credit_refunded",
    "refund_failed",
    "credit_transferred",
    "deposit_applied",
    "payment_assigned",
    "payment_received",
    "payment_reversed",
    "opening_balance_booked",
    "opening_balance_reversed",
)
"""What moves a balance."""


class _Open(Struct, frozen=True):
    documents: int
    minor: int


async def why_balance(scope: Scope, customer_id: int) -> Why:
    """Free credit less what is open; and what stands beside it. Of a customer in reach."""
    balance = await get_balance(scope, customer_id)
    given = {"id": customer_id, "currency": balance.currency}
    (opened,) = await rows(
        _Open,
        "SELECT count(*) AS documents, CAST(coalesce(sum(open_minor), 0) AS bigint) AS minor FROM document_state"
        " WHERE payer_id = :id AND currency = :currency AND open_minor > 0 AND :within",
        within=within(DocumentState, scope.actor.reach),
        **given,
    )
    drafts = int(await value("SELECT count(*) FROM document WHERE payer_id = :id AND state = 'draft'", id=customer_id))
    free = balance.balance_minor + opened.minor

    def money(minor: int) -> str:
        return format_money(minor, balance.currency, scope.locale)

    count = ngettext("%(num)s invoice", "%(num)s invoices", opened.documents)
    facts = [
        Fact(label=_("Rule"), value=_("Free credit less what is open on invoices")),
        Fact(label=_("Free credit"), value=money(free)),
        Fact(label=_("Open"), value=_("%(amount)s on %(invoices)s", amount=money(opened.minor), invoices=count)),
    ]
    if drafts:
        told = ngettext("%(num)s draft", "%(num)s drafts", drafts)
        facts.append(Fact(label=_("Not in it"), value=told))
    title = _balance_words(scope, balance.balance_minor, balance.currency)
    return await _with_last(scope, title, facts, customer_id)


def _balance_words(scope: Scope, minor: int, currency: str) -> str:
    return _("balance %(amount)s", amount=format_money(minor, currency, scope.locale))


async def why_document(scope: Scope, document: DocumentDetail) -> Why:
    """What is open of it, and so what state it is in."""

    def money(minor: int) -> str:
        return format_money(minor, document.currency, scope.locale)

    facts = [Fact(label=_("Rule"), value=_(STATES.get(document.settlement, STATES["open"])))]
    if document.state == "issued":
        facts += [
            Fact(label=_("Total"), value=money(document.total_minor)),
            Fact(label=_("Covered"), value=money(document.total_minor - document.open_minor)),
            Fact(label=_("Open"), value=money(document.open_minor)),
        ]
        facts += await _reverse_charge(scope, document)
    subject = ("invoice" if document.kind != "credit_note" else "credit_note", document.id)
    return await _with_last(scope, document.number or _("draft"), facts, document.payer_id, subject)


async def _reverse_charge(scope: Scope, document: DocumentDetail) -> list[Fact]:
    """The check of the buyer's VAT id that it has no tax by: what an auditor asks for."""
    if document.kind != "invoice" or "AE" not in {tax.category for tax in document.taxes}:
        return []
    proof = await proof_of(document.id)
    if proof is None:
        return [Fact(label=_("Reverse charge"), value=_("Chosen by staff, under Tax"))]
    on = written(date_in(proof.checked_at, scope.tenant.time_zone), scope.locale)
    told = _("%(vat_id)s was found valid on %(day)s", vat_id=proof.vat_id, day=on)
    return [Fact(label=_("Reverse charge"), value=", ".join(filter(None, (told, proof.consultation))))]


async def _with_last(
    scope: Scope, title: str, facts: Sequence[Fact], customer_id: int, subject: tuple[str, int] | None = None
) -> Why:
    if not scope.may("activity.view"):
        return Why(title, facts)
    found = await timeline(scope, subject=subject, limit=1) if subject is not None else []
    found = found or await timeline(scope, customer_id=customer_id, kinds=MONEY_EVENTS, limit=1)
    last = await in_words(scope, found)
    return Why(title, facts, last[0] if last else None)
