"""What billing puts on pages below it: balance and open invoices in a customer's head, actions, cards, the search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from core.billing import bulk, erasing
from core.billing.contracts import plan_end
from core.billing.openings import step_of_openings
from core.billing.queries import HAS_MONEY, has_money
from core.billing.tables import Document, DocumentState
from core.billing.upcoming import NextInvoice, at_a_glance, next_invoices
from core.customers.leads import LEAD
from core.customers.status import ENDING
from core.database import row, rows, within
from core.errors import Conflict
from core.hooks import (
    Action,
    BulkAction,
    Card,
    CurrencyLock,
    Effect,
    Erasure,
    Fact,
    FirstStep,
    ImportStep,
    SearchHit,
    hookimpl,
)
from core.ledger.queries import get_balance
from core.money import format_money, half_up
from core.subscriptions.tables import Subscription
from core.subscriptions.worth import A_MONTH, sold
from core.texts import _, ngettext, number, pgettext
from core.web.templating import written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from core.scope import Scope


class _Open(Struct, frozen=True):
    documents: int
    open_minor: int
    overdue: int
    overdue_minor: int


async def _open_in(scope: Scope, currency: str) -> _Open:
    """What is open in one currency: several would have to be sorted, which takes longer than to read them all."""
    found = await row(
        _Open,
        "SELECT count(*) AS documents, CAST(coalesce(sum(open_minor), 0) AS bigint) AS open_minor,"
        " count(CASE WHEN due_on < :today THEN 1 END) AS overdue,"
        " CAST(coalesce(sum(CASE WHEN due_on < :today THEN open_minor END), 0) AS bigint) AS overdue_minor"
        " FROM document_state WHERE open_minor > 0 AND currency = :currency AND :within",
        today=scope.today(),
        currency=currency,
        within=within(DocumentState, scope.actor.reach),
    )
    assert found is not None, "sums are one row"
    return found


@hookimpl
async def bulk_actions(listing: str) -> Sequence[BulkAction[Any]]:
    """Issuing, sending, taking away and deleting many; billing parked accounts once more."""
    return bulk.ACTIONS if listing == "invoices" else bulk.PARKED_ACTIONS if listing == "parked" else ()


@hookimpl
async def customer_facts(scope: Scope, customer_id: int) -> Sequence[Fact]:
    if not scope.may("documents.view"):
        return ()
    balance = await get_balance(scope, customer_id)
    minor = balance.balance_minor
    words = format_money(abs(minor), balance.currency, scope.locale)
    facts = [
        Fact(
            label=_("Balance"),
            value=_("Owes %(amount)s", amount=words)
            if minor < 0
            else _("Credit %(amount)s", amount=words)
            if minor > 0
            else _("Settled"),
            tone="owes" if minor < 0 else "plus" if minor > 0 else "",
            why=f"/customers/{customer_id}/balance/why",
        )
    ]
    glance = await at_a_glance(scope, customer_id)
    if found := [each for each in glance if each.what == "open"]:
        count = sum(each.documents for each in found)
        late = [format_money(each.overdue_minor, each.currency, scope.locale) for each in found if each.overdue]
        text = ngettext("%(num)s invoice", "%(num)s invoices", count)
        amounts = f" {_('and')} ".join(late)
        facts.append(
            Fact(
                label=pgettext("invoice", "Open"),
                value=_("%(invoices)s, %(amounts)s overdue", invoices=text, amounts=amounts) if late else text,
                tone="owes" if late else "",
            )
        )
    if coming := next_invoices(glance, scope.today()):
        sums = f" {_('and')} ".join(_coming(each, scope.locale) for each in coming)
        day = written(coming[0].on, scope.locale)
        facts.append(Fact(label=_("Next invoice"), value=_("%(day)s, %(sums)s", day=day, sums=sums)))
    return facts


def _coming(invoice: NextInvoice, locale: str) -> str:
    amount = format_money(invoice.amount_minor, invoice.currency, locale)
    return amount if invoice.with_tax else _("%(amount)s net", amount=amount)


@hookimpl
async def validate_customer_status_change(customer_id: int, status_key: str) -> None:
    """A lead is nobody whom anything was ever written for."""
    if status_key == LEAD and await has_money(customer_id):
        raise Conflict(_("It has postings or documents, so it cannot become a lead."))


@hookimpl
def collect_currency_locks() -> Sequence[CurrencyLock]:
    return (CurrencyLock(HAS_MONEY, _("It has postings or documents in its currency.")),)


@hookimpl
async def plan_customer_status_change(scope: Scope, customer_id: int, status_key: str, on: date) -> Sequence[Effect]:
    """The papers of a contract that is over; subscriptions have told before what ends."""
    return await plan_end(scope, customer_id, on) if status_key in ENDING else ()


@hookimpl
async def plan_customer_erasure(scope: Scope, customer_ids: Sequence[int]) -> Erasure:
    return await erasing.plan_erasure(scope, customer_ids)


@hookimpl
async def customer_actions(scope: Scope, customer_id: int) -> Sequence[Action]:
    base = f"/customers/{customer_id}"
    invoice = Action(label=_("Invoice…"), href=f"{base}/invoices/new", icon="file-invoice", group="create")
    note = Action(label=_("Credit note…"), href=f"{base}/credit-notes/new", icon="receipt-refund", group="create")
    rates = Action(label=_("Exchange rates…"), href=f"{base}/fx-rates", icon="coins")
    return (
        *((invoice,) if scope.may("documents.edit") else ()),
        *((note,) if scope.may("documents.credit_freely") else ()),
        *((rates,) if scope.may("currencies.edit") else ()),
    )


class _Recurring(Struct, frozen=True):
    """What one cycle of the live subscriptions brings, by its length."""

    cycle_unit: str
    cycle_count: int
    minor: int


@hookimpl
async def dashboard_cards(scope: Scope) -> Sequence[Card]:
    if not scope.may("documents.view"):
        return ()
    cards = []
    main = await _open_in(scope, scope.tenant.currency)
    cards.append(
        Card(
            key="open",
            label=pgettext("invoice", "Open"),
            value=format_money(main.open_minor, scope.tenant.currency, scope.locale),
            detail=ngettext("%(count)s invoice", "%(count)s invoices", main.documents, count=number(main.documents))
            if main.documents
            else _("nothing is due"),
            href="/invoices?status=open",
        )
    )
    cards.append(
        Card(
            key="overdue",
            label=_("Overdue"),
            value=format_money(main.overdue_minor, scope.tenant.currency, scope.locale),
            detail=ngettext("%(count)s invoice", "%(count)s invoices", main.overdue, count=number(main.overdue))
            if main.overdue
            else _("nothing"),
            href="/invoices?status=overdue",
            tone="bad" if main.overdue else "",
        )
    )
    if scope.may("subscriptions.view"):
        cards.append(await _mrr(scope))
    return cards


async def _mrr(scope: Scope) -> Card:
    """Monthly recurring revenue: the cycles of live subscriptions at their agreed prices, by the month."""
    reach = scope.actor.reach
    found = await rows(
        _Recurring,
        "SELECT t.cycle_unit, t.cycle_count, CAST(sum(t.many * t.cycle_minor) AS bigint) AS minor"
        f" FROM {sold(reach)} t GROUP BY t.cycle_unit, t.cycle_count",
        today=scope.today(),
        currency=scope.tenant.currency,
        within=within(Subscription, reach),
    )
    monthly = sum(
        half_up(each.minor * n, d * each.cycle_count) for each in found for n, d in [A_MONTH[each.cycle_unit]]
    )
    return Card(
        key="mrr",
        label=_("Recurring a month"),
        value=format_money(monthly, scope.tenant.currency, scope.locale),
        detail=_("of active subscriptions, as priced"),
        href="/subscriptions?status=active",
    )


@hookimpl
async def first_steps(scope: Scope) -> Sequence[FirstStep]:
    if not scope.may("billing.run"):
        return ()
    issued = await row(_Any, "SELECT EXISTS (SELECT 1 FROM document WHERE state = 'issued') AS there")
    return (
        FirstStep(
            done=issued is not None and bool(issued.there),
            title=_("First invoice"),
            text=_("Subscribe a customer to a plan, then bill what is due."),
            label=_("New billing run"),
            href="/billing/runs/new",
        ),
    )


class _Any(Struct, frozen=True):
    there: bool


class _Found(Struct, frozen=True):
    id: int
    kind: str
    number: str
    payer: str


@hookimpl
async def search_results(scope: Scope, text: str, limit: int) -> Sequence[SearchHit]:
    """Documents by the beginning of their number, in capitals or as it is typed."""
    if not scope.may("documents.view"):
        return ()
    found = await _numbered(scope, text, limit)
    if not found and text.upper() != text and any(one.isdecimal() for one in text):  # inv-2026: a name has no digits
        found = await _numbered(scope, text.upper(), limit)
    return [
        SearchHit(
            kind=_("Credit notes") if each.kind == "credit_note" else _("Invoices"),
            label=each.number,
            href=f"/invoices/{each.id}",
            detail=each.payer,
        )
        for each in found
    ]


async def _numbered(scope: Scope, text: str, limit: int) -> list[_Found]:
    return await rows(
        _Found,
        "SELECT document.id, document.kind, document.number, customer.full_name AS payer FROM document"
        " JOIN customer ON customer.id = document.payer_id WHERE document.state = 'issued'"
        " AND document.number >= :text AND document.number < :end AND :within ORDER BY document.number LIMIT :limit",
        text=text,
        end=text + "\U0010ffff",
        limit=limit,
        within=within(Document, scope.actor.reach),
    )


@hookimpl
async def plan_import() -> Sequence[ImportStep]:
    return (step_of_openings(),)
