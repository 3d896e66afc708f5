"""Invoices by hand: drafts, issuing them, the invoice that comes before the subscription, and what is open at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.billing.actions.allocation import waiting_for
from core.billing.actions.setup import default_seller, get_seller, snapshot_of
from core.billing.events import DraftDeleted, InvoiceDrafted, InvoiceIssued, InvoiceSettled
from core.billing.numbering import take_numbers
from core.billing.part_periods import reckoned
from core.billing.plan import Plan, draft_lines, open_charges, split_of, stage_source, work_out
from core.billing.settings import BillingSettings
from core.billing.staging import days_after, prepare, staged, staged_all
from core.billing.status import Charges
from core.billing.tables import Document
from core.billing.writing import (
    LINES,
    QUEUED,
    TAXES,
    document_statements,
    number_transactions,
    parked_reason,
    tell_listeners,
    use_credit,
    write,
)
from core.catalog.queries import get_product
from core.customers.tables import Customer
from core.database import execute, execute_many, row, rows, value, within
from core.errors import Conflict, Invalid, NotFound, Stale
from core.money import MOST_MINOR, format_amount
from core.settings.queries import load_settings
from core.subscriptions.actions import activate, ask_for_invoice, request
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.billing.schemas import DraftFields, NewDraft, NewLine
    from core.scope import Scope
    from core.subscriptions.schemas import NewSubscription

_FIRST: Final = "(k.kind = 'recurring' AND k.period_start IS NULL)"


async def plan_for(scope: Scope, seller_id: int | None = None) -> Plan:
    """A plan for documents that are issued today."""
    seller = await default_seller(scope) if seller_id is None else await get_seller(seller_id)
    today = scope.today()
    return Plan(scope, seller, await load_settings(BillingSettings), today, today)


class InvoicedFirst(Struct, frozen=True):
    """A subscription and the invoice that it waits for (or that settled it at once: by credit, or of nothing)."""

    subscription_id: int
    document_id: int


async def invoice_first(scope: Scope, data: NewSubscription) -> InvoicedFirst:
    """ "Make invoice for this cycle": a pending subscription and its issued invoice, in one unit of work.

    It becomes active in the transaction that settles the invoice (domain.md, Invoice first).
    """
    async with unit_of_work(scope):
        asked = await request(scope, data)
        return InvoicedFirst(asked.subscription_id, await invoice_these(scope, asked.charge_ids))


async def invoice_trial(scope: Scope, subscription_id: int, price_id: int | None = None) -> InvoicedFirst:
    """The invoice of a trial that is to be paid for: settled during the trial, the rest of it is kept."""
    async with unit_of_work(scope):
        asked = await ask_for_invoice(scope, subscription_id, price_id)
        return InvoicedFirst(subscription_id, await invoice_these(scope, asked.charge_ids))


async def invoice_open_charges(scope: Scope, payer_id: int) -> list[int]:
    """Issue now what is open for this payer; gives the invoices' ids, none where nothing is open."""
    async with unit_of_work(scope):
        if not await value(
            "SELECT 1 FROM customer WHERE id = :id AND :within",
            id=payer_id,
            within=within(Customer, scope.actor.reach),
        ):
            raise NotFound(f"customer {payer_id}")
        plan = await plan_for(scope)
        await prepare()
        open_lines = await stage_source(
            plan, open_charges("k.payer_id = :payer", split_of(plan, "k.subscription_id"), _FIRST), payer=payer_id
        )
        return await _issue_staged(plan) if open_lines else []


async def invoice_charges_of(scope: Scope, customer_id: int) -> list[int]:
    """Issue now what is open of this customer, to whoever pays for it; nothing of the payer's others."""
    async with unit_of_work(scope):
        plan = await plan_for(scope)
        await prepare()
        open_lines = await stage_source(
            plan,
            open_charges("k.customer_id = :customer", split_of(plan, "k.subscription_id"), _FIRST),
            customer=customer_id,
        )
        return await _issue_staged(plan) if open_lines else []


async def invoice_these(scope: Scope, charge_ids: Sequence[int]) -> int:
    """One invoice of open charges of one payer, issued."""
    plan = await plan_for(scope)
    await prepare()
    await stage_source(plan, open_charges("k.id IN :ids", "0", _FIRST), ids=list(charge_ids))
    (document_id,) = await _issue_staged(plan)
    return document_id


async def _issue_staged(plan: Plan) -> list[int]:
    counts = await work_out(plan, keep_empty=True)
    await refuse_parked()
    return (await write(plan, counts, singly=True)).document_ids


async def refuse_parked() -> None:
    """What a run would park, an invoice by hand is refused for."""
    reason = await value("SELECT reason FROM stage_parked LIMIT 1")
    if reason is not None:
        raise Conflict(parked_reason(str(reason)))


class _Payer(Struct, frozen=True):
    id: int
    currency: str
    language: str


class _Draft(Struct, frozen=True):
    id: int
    state: str
    kind: str
    payer_id: int
    seller_id: int
    currency: str
    terms_days: int | None
    version: int


async def create_draft(scope: Scope, data: NewDraft) -> int:
    """An invoice by hand that can still be changed: no number, no effect. Gives its id."""
    async with unit_of_work(scope):
        payer = await row(
            _Payer,
            "SELECT id, currency, language FROM customer WHERE id = :id AND :within",
            id=data.payer_id,
            within=within(Customer, scope.actor.reach),
        )
        if payer is None:
            raise NotFound(f"customer {data.payer_id}")
        charge_ids: Sequence[int] = data.charge_ids
        if data.open_charges:
            charge_ids = [each.id for each in await _open_charges(payer)]
        return await _draft(scope, payer, data, charge_ids)


async def draft_of(
    scope: Scope, payer_id: int, currency: str, data: DraftFields, *, replaces_id: int | None = None
) -> int:
    """A draft in a currency that need not be the payer's own; `replaces_id` is the invoice that it takes the place of,
    whose seller is its own. The caller has found the payer in reach."""
    async with unit_of_work(scope):
        language = str(await value("SELECT language FROM customer WHERE id = :id", id=payer_id))
        return await _draft(scope, _Payer(payer_id, currency, language), data, data.charge_ids, replaces_id)


async def _draft(
    scope: Scope, payer: _Payer, data: DraftFields, charge_ids: Sequence[int], replaces_id: int | None = None
) -> int:
    seller_id = await value("SELECT seller_id FROM document WHERE id = :id", id=replaces_id) if replaces_id else None
    plan = await plan_for(scope, seller_id)
    document_id = int(
        await value(
            "INSERT INTO document (kind, state, payer_id, seller_id, book_id, currency, terms_days, corrects_id,"
            " language, reference, note, created_at) VALUES ('invoice', 'draft', :payer_id, :seller_id, :book_id,"
            " :currency, :terms_days, :replaces_id, :language, :reference, :note, :now) RETURNING id",
            payer_id=payer.id,
            seller_id=plan.seller.id,
            book_id=plan.seller.book_id,
            currency=payer.currency,
            terms_days=data.terms_days,
            replaces_id=replaces_id,
            language=payer.language or scope.tenant.language,
            reference=data.reference,
            note=data.note,
            now=scope.now(),
        )
    )
    await take_charges(scope, document_id, payer.id, payer.currency, charge_ids)
    await _write_lines(document_id, payer.currency, data.lines, scope)
    await work_out_draft(plan, document_id)
    record(scope, InvoiceDrafted(invoice_id=document_id, customer_id=payer.id))
    return document_id


async def change_draft(scope: Scope, document_id: int, data: DraftFields, *, version: int) -> int:
    """Save a draft whole: its free lines and the charges that it takes up. Gives the new version."""
    async with unit_of_work(scope):
        draft = await lock_draft(scope, document_id)
        if draft.version != version:
            raise Stale
        payer = _Payer(draft.payer_id, draft.currency, "")
        held = await rows(
            _Id,
            "SELECT charge_id AS id FROM document_line WHERE document_id = :id AND charge_id IS NOT NULL",
            id=document_id,
        )
        wanted = set(data.charge_ids)
        await execute("DELETE FROM document_line WHERE document_id = :id", id=document_id)
        left = [each.id for each in held if each.id not in wanted]
        await _let_go(left, Charges.BILL_AGAIN, scope)
        await _resolve_payers(left)
        await _let_go([each.id for each in held if each.id in wanted], Charges.BILL_AGAIN, scope)
        await take_charges(scope, document_id, payer.id, payer.currency, data.charge_ids)
        await _write_lines(document_id, draft.currency, data.lines, scope)
        await execute(
            "UPDATE document SET terms_days = :terms_days, reference = :reference, note = :note, version = version + 1"
            " WHERE id = :id",
            id=document_id,
            terms_days=data.terms_days,
            reference=data.reference,
            note=data.note,
        )
        await work_out_draft(await plan_for(scope, draft.seller_id), document_id)
        record(
            scope,
            InvoiceDrafted(invoice_id=document_id, customer_id=draft.payer_id),
            changes={"lines": (None, len(data.lines))},
        )
        return draft.version + 1


async def delete_draft(scope: Scope, document_id: int, charges: Charges = Charges.BILL_AGAIN) -> None:
    """The draft goes. Charges that it took up are billed again with the next run, or waived, as chosen."""
    async with unit_of_work(scope):
        draft = await lock_draft(scope, document_id)
        held = await rows(
            _Id,
            "SELECT charge_id AS id FROM document_line WHERE document_id = :id AND charge_id IS NOT NULL",
            id=document_id,
        )
        await execute("DELETE FROM document_line WHERE document_id = :id", id=document_id)
        await execute("DELETE FROM document_tax WHERE document_id = :id", id=document_id)
        await execute("DELETE FROM document WHERE id = :id", id=document_id)
        await _let_go([each.id for each in held], charges, scope)
        await _resolve_payers([each.id for each in held])
        record(
            scope,
            DraftDeleted(invoice_id=document_id, customer_id=draft.payer_id),
            changes={"charges": (None, charges)},
        )


async def issue(scope: Scope, document_id: int) -> None:
    """The draft gets its number and never changes again: taxes of today, parties as they are, postings, credit applied.

    Everything is worked out anew with the rates of the day; the number is taken last.
    """
    async with unit_of_work(scope):
        draft = await lock_draft(scope, document_id)
        if not await value("SELECT 1 FROM document_line WHERE document_id = :id LIMIT 1", id=document_id):
            raise Conflict(_("A draft without a line cannot be issued. Add one first."))
        plan = await plan_for(scope, draft.seller_id)
        await work_out_draft(plan, document_id)
        total = int(await value("SELECT total_minor FROM stage_document"))
        if total < 0:
            raise Conflict(_("Its total is below 0: make a credit note of the invoice that it corrects."))
        await staged_all((number_transactions("stage_document"), {}), *document_statements(plan, taxes=False))
        if plan.settings.use_credit:
            await use_credit(plan)
        settled = await value(
            "SELECT 1 FROM document_state WHERE document_id = :id AND settled_on IS NOT NULL", id=document_id
        )
        if settled:
            for subscription_id in await waiting_for(document_id):
                await activate(scope, subscription_id, plan.issued_on)
        await tell_listeners(scope, QUEUED)
        snapshot_id = await snapshot_of(plan.seller)
        numbers = await take_numbers("invoice", plan.seller.id, plan.issued_on, 1)
        await execute(
            "UPDATE document SET state = 'issued', series_id = :series_id, year = :year, seq = :seq, number = :number,"
            " seller_snapshot_id = :snapshot_id, issued_on = :issued_on, due_on = d.due_on, tax_on = d.tax_on,"
            " fx_rate_e10 = CASE WHEN d.currency = :base THEN NULL ELSE d.rate_e10 END,"
            " tax_fx_rate_e10 = CASE WHEN d.currency = :base THEN NULL ELSE d.rate_e10 END,"
            " tax_currency_minor = CASE WHEN d.currency = :base THEN NULL ELSE"
            " (SELECT CAST(sum(base_tax_minor) AS bigint) FROM stage_line) END,"
            " issued_at = :now, version = document.version + 1 FROM stage_document d WHERE document.id = d.id",
            series_id=numbers.series_id,
            year=numbers.year,
            seq=numbers.first,
            number=numbers.pattern.number(numbers.first),
            snapshot_id=snapshot_id,
            issued_on=plan.issued_on,
            base=plan.base,
            now=scope.now(),
        )
        record(
            scope,
            InvoiceIssued(
                invoice_id=document_id, customer_id=draft.payer_id, total_minor=total, currency=draft.currency
            ),
        )
        if settled:
            record(scope, InvoiceSettled(invoice_id=document_id, customer_id=draft.payer_id))


class _Id(Struct, frozen=True):
    id: int


async def lock_draft(scope: Scope, document_id: int) -> _Draft:
    found = await row(
        _Draft,
        "SELECT id, state, kind, payer_id, seller_id, currency, terms_days, version FROM document"
        " WHERE id = :id AND :within FOR UPDATE",
        id=document_id,
        within=within(Document, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"document {document_id}")
    if found.state != "draft":
        raise Conflict(_("It was issued and cannot be changed. Make a credit note, or credit it and issue it anew."))
    return found


async def _open_charges(payer: _Payer) -> list[_Id]:
    return await rows(
        _Id,
        "SELECT id FROM charge WHERE payer_id = :payer AND currency = :currency AND state = 'open' ORDER BY id"
        " FOR UPDATE",
        payer=payer.id,
        currency=payer.currency,
    )


async def take_charges(scope: Scope, document_id: int, payer_id: int, currency: str, charge_ids: Sequence[int]) -> None:
    """Open charges of this payer become lines of the draft, behind those that it has."""
    if not charge_ids:
        return
    ids = sorted(set(charge_ids))
    taken = await execute(
        "UPDATE charge SET state = 'invoiced', closed_on = :today"
        " WHERE id IN :ids AND payer_id = :payer AND currency = :currency AND state = 'open'",
        ids=ids,
        payer=payer_id,
        currency=currency,
        today=scope.today(),
    )
    if taken != len(ids):
        raise Invalid(_("Choose open charges of this customer only."), field="charge_ids")
    await execute(
        "INSERT INTO document_line (document_id, position, charge_id, beneficiary_id, product_id, kind, description,"
        " quantity_e6, unit_price_e6, days, of_days, discount_minor, amount_minor, net_minor, tax_category,"
        " tax_inclusive, period_from,"
        " period_to) SELECT :document_id::bigint, :after::bigint + row_number() OVER (ORDER BY id), id, customer_id,"
        " product_id, kind,"
        " description, quantity_e6, unit_price_e6, days, of_days, discount_minor, amount_minor, amount_minor,"
        " tax_category, tax_inclusive, period_start, period_end FROM charge WHERE id IN :ids",
        document_id=document_id,
        after=await _last_position(document_id),
        ids=ids,
    )


async def _last_position(document_id: int) -> int:
    found = await value("SELECT coalesce(max(position), 0) FROM document_line WHERE document_id = :id", id=document_id)
    return int(found)


async def _let_go(charge_ids: Sequence[int], what: Charges, scope: Scope) -> None:
    if not charge_ids:
        return
    again = what == Charges.BILL_AGAIN
    await execute(
        "UPDATE charge SET state = :state, closed_on = :closed_on WHERE id IN :ids AND state = 'invoiced'",
        ids=list(charge_ids),
        state="open" if again else "waived",
        closed_on=None if again else scope.today(),
    )


async def _resolve_payers(charge_ids: Sequence[int]) -> None:
    """Who pays may have changed while they stood on a draft."""
    if charge_ids:
        await execute(
            "UPDATE charge SET payer_id = (SELECT coalesce(c.payer_id, c.id) FROM customer c"
            " WHERE c.id = charge.customer_id) WHERE id IN :ids AND state = 'open'",
            ids=list(charge_ids),
        )


async def _write_lines(document_id: int, currency: str, lines: Sequence[NewLine], scope: Scope) -> None:
    if not lines:
        return
    after = await _last_position(document_id)
    found: list[dict[str, Any]] = []
    for at, line in enumerate(lines):
        category = line.tax_category
        if line.product_id is not None:
            own = await _tax_of(line.product_id, at)
            category = category or own
        if not await value("SELECT 1 FROM tax_category WHERE code = :code", code=category or "standard"):
            raise Invalid(_("Choose a tax category of the list."), field=f"lines.{at}.tax_category")
        if (line.period_from is None) != (line.period_to is None) or (
            line.period_from and line.period_to and line.period_to <= line.period_from
        ):
            raise Invalid(
                _("A period has a first day and a later day on which it is over."), field=f"lines.{at}.period_to"
            )
        check_discount(line, currency, at)
        amount = amount_of(line, currency)
        if abs(amount) > MOST_MINOR:
            raise Invalid(_("This is more than a line can be."), field=f"lines.{at}.unit_price_e6")
        found.append(
            {
                "document_id": document_id,
                "position": after + at + 1,
                "product_id": line.product_id,
                "description": line.description,
                "quantity_e6": line.quantity_e6,
                "unit_price_e6": line.unit_price_e6,
                "discount_minor": line.discount_minor,
                "amount_minor": amount,
                "tax_category": category or "standard",
                "tax_inclusive": line.tax_inclusive,
                "period_from": line.period_from,
                "period_to": line.period_to,
            }
        )
    await execute_many(
        "INSERT INTO document_line (document_id, position, product_id, kind, description, quantity_e6, unit_price_e6,"
        " discount_minor, amount_minor, net_minor, tax_category, tax_inclusive, period_from, period_to)"
        " VALUES (:document_id, :position, :product_id, 'one_off', :description, :quantity_e6, :unit_price_e6,"
        " :discount_minor, :amount_minor, :amount_minor, :tax_category, :tax_inclusive, :period_from, :period_to)",
        found,
    )


async def _tax_of(product_id: int, at: int) -> str:
    try:
        return (await get_product(product_id)).tax_category
    except NotFound:
        raise Invalid(_("There is no such product."), field=f"lines.{at}.product_id") from None


def check_discount(line: NewLine, currency: str, at: int, days: int = 1, of_days: int = 1) -> None:
    """A document says each discount: no more may stand there than came off. Raises Invalid."""
    most = max(reckoned(line.quantity_e6, line.unit_price_e6, currency, days, of_days), 0)
    if line.discount_minor > most:
        raise Invalid(
            _("The discount is more than the line comes to: at most %(most)s.", most=format_amount(most, currency)),
            field=f"lines.{at}.discount_minor",
        )


def amount_of(line: NewLine, currency: str, days: int = 1, of_days: int = 1) -> int:
    """Quantity × unit price × days of a full period, rounded half up to a minor unit, less the discount, which never
    turns it round."""
    gross = reckoned(line.quantity_e6, line.unit_price_e6, currency, days, of_days)
    return max(gross - line.discount_minor, min(gross, 0))


async def work_out_draft(plan: Plan, document_id: int) -> None:
    """Taxes and totals of a draft as they would be today, written back to it."""
    await prepare()
    lines = await stage_source(plan, draft_lines(), document_id=document_id)
    await execute("DELETE FROM document_tax WHERE document_id = :id", id=document_id)
    if not lines:
        await execute(
            "UPDATE document SET net_minor = 0, tax_minor = 0, rounding_minor = 0, total_minor = 0 WHERE id = :id",
            id=document_id,
        )
        return
    await execute("UPDATE stage_line SET split_id = 0")
    await work_out(plan, keep_empty=True)
    await refuse_parked()
    await execute(
        "UPDATE stage_document SET id = :id, due_on = CASE WHEN draft.terms_days IS NULL THEN stage_document.due_on"
        f" ELSE {days_after(':issued_on::date', 'draft.terms_days')} END FROM document draft WHERE draft.id = :id",
        id=document_id,
        issued_on=plan.issued_on,
    )
    await execute("DELETE FROM document_line WHERE document_id = :id", id=document_id)
    await staged(LINES, base=plan.base)
    await staged(TAXES)
    await execute(
        "UPDATE document SET net_minor = d.net_minor, tax_minor = d.tax_minor, rounding_minor = d.rounding_minor,"
        " total_minor = d.total_minor, tax_on = d.tax_on FROM stage_document d WHERE document.id = :id",
        id=document_id,
    )
