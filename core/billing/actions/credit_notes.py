"""Credit notes: an issued invoice is never changed, it is corrected by a document of its own series.

Per tax rate: net at most what is left of the lines, tax as on the invoice and at most the tax left; the note that
brings the net left to 0 takes all tax left (domain.md, Credit note). It settles the open part of its invoice first.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from core.activity.unit import unit_of_work
from core.billing.actions.allocation import (
    allocate_one,
    credit_came,
    free_up,
    settle_open,
    take_write_offs_back,
    waiting_for,
)
from core.billing.actions.free_notes import refuse_less_than_given_back, refuse_more_than_charged, with_tax_left
from core.billing.actions.late_fees import goes_on_as, waive_late_fees
from core.billing.actions.notes import (
    Corrected,
    Left,
    Part,
    Why,
    credited_by,
    in_words,
    issue_note,
    list_left,
    lock_invoice,
    put_tax,
    settle_corrected,
)
from core.billing.lifting import close_pauses
from core.billing.schemas import CreditLine, NewCreditNote
from core.billing.status import Charges, Ending
from core.database import execute, value, values
from core.errors import Conflict, Invalid
from core.money import format_amount, half_up
from core.subscriptions.actions import lapse, when_plan_is_over
from core.subscriptions.status import SubscriptionState
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from core.billing.actions.free_notes import AtRate, Rate
    from core.scope import Scope


async def create_credit_note(scope: Scope, data: NewCreditNote, why: Why = "") -> int:
    """Credit some lines of an issued invoice, or all that is left of it; gives the credit note's id.

    It is issued at once. Its credit settles what is open of its invoice; the rest is free credit of the customer. With
    all that is left go the late fees of the invoice: those not invoiced yet are waived, the others credited, too, where
    that is asked for. `why`: its reason, where nobody typed one.
    """
    async with unit_of_work(scope):
        invoice = await lock_invoice(scope, data.document_id)
        reason = in_words(why, invoice.language) or data.reason
        left = await list_left(invoice.id)
        take_charges = partial(_take_charges_back, scope, invoice.id, Charges(data.charges))
        parts = None if data.lines is None else _chosen(left, data.lines, invoice.currency)
        whole = [Part(line, line.net_minor) for line in left]
        await refuse_more_than_charged(invoice, whole if parts is None else parts)
        if parts is None or (
            all(part.net_minor == line.net_minor for part, line in _beside(parts, left)) and _covers(parts, left)
        ):
            note_id = await credit_in_full(scope, invoice, left, reason, take_charges)
            await _take_late_fees_back(scope, invoice.id, why or data.reason, credits=data.late_fees == "credit")
            await credit_came(scope, invoice.payer_id, invoice.currency)
            return note_id
        put_tax(parts, left)
        parts = await with_tax_left(scope, invoice, parts)
        note_id = await issue_note(scope, invoice, parts, reason)
        await settle_corrected(scope, invoice, parts, note_id)
        return note_id


async def void(scope: Scope, document_id: int, reason: Why, charges: Charges = Charges.WAIVE) -> int:
    """Take an invoice back: a credit note for all that is left of it (default 7); gives the credit note's id.

    Payments on it are un-allocated and become the customer's credit; the credit note takes their place. Its charges are
    waived and still cover their days, or billed again, as chosen. Pending subscriptions that waited for it are over.
    """
    typed = reason if isinstance(reason, str) else ""
    data = NewCreditNote(document_id=document_id, reason=typed, charges=charges.value)
    return await create_credit_note(scope, data, reason)


async def void_of(scope: Scope, document_id: int, subscription_ids: Sequence[int], reason: Why) -> None:
    """Take back what is left of what an invoice charges for some subscriptions: where there is nothing else on it, the
    invoice."""
    await _void_lines(scope, document_id, lambda line: line.subscription_id in subscription_ids, reason)


async def _take_late_fees_back(scope: Scope, document_id: int, reason: Why, *, credits: bool) -> None:
    issued = await waive_late_fees(scope, document_id)
    charge_ids = [fee.charge_id for fee in issued]
    for invoice_id in dict.fromkeys(fee.document_id for fee in issued if credits and fee.document_id is not None):
        await _void_lines(scope, invoice_id, lambda line: line.charge_id in charge_ids, reason)


async def _void_lines(scope: Scope, document_id: int, is_one: Callable[[Left], bool], reason: Why) -> None:
    """What is left of some lines, with their charges; the invoice, where there is nothing else on it."""
    async with unit_of_work(scope):
        invoice = await lock_invoice(scope, document_id)
        left = await list_left(invoice.id)
        parts = [Part(line, line.net_minor) for line in left if is_one(line)]
        if not any(part.line.net_minor or part.line.tax_minor for part in parts):
            return
        if len(parts) == len(left):
            await void(scope, document_id, reason)
            return
        await refuse_more_than_charged(invoice, parts)
        put_tax(parts, left)
        parts = [part for part in await with_tax_left(scope, invoice, parts) if part.net_minor or part.tax_minor]
        note_id = await issue_note(scope, invoice, parts, in_words(reason, invoice.language))
        charges = [part.line.charge_id for part in parts if part.line.charge_id is not None]
        await _waive(scope, "id IN :ids", ids=charges)
        await _take_its_place(scope, invoice, parts, note_id)
        await credit_came(scope, invoice.payer_id, invoice.currency)


async def credit_in_full(
    scope: Scope,
    invoice: Corrected,
    left: Sequence[Left],
    reason: str,
    take_charges: Callable[[], Awaitable[None]] | None,
    *,
    anew: Mapping[Rate, AtRate] | None = None,
) -> int:
    """Rows 12 and 13 of the table of postings. `take_charges` says what becomes of its charges, before the credit takes
    the place of what was paid: nothing may be activated by it. What was paid is free then: the caller gives it its new
    place and says `credit_came`. `anew`: what is charged again at once, by rate; its charges were taken already."""
    whole = [Part(line, line.net_minor, line.tax_minor) for line in left]
    if anew is not None:
        await refuse_less_than_given_back(invoice, whole, anew)
    given = await with_tax_left(scope, invoice, whole, anew)
    parts = [part for part in given if part.net_minor or part.tax_minor]
    if not parts:
        raise Conflict(_("Nothing is left of this invoice: it was credited in full."))
    note_id = await issue_note(scope, invoice, parts, reason)
    await close_pauses(scope, invoice.id, Ending.CREDITED)
    await _take_its_place(scope, invoice, parts, note_id, take_charges)
    return note_id


async def _take_its_place(
    scope: Scope,
    invoice: Corrected,
    parts: Sequence[Part],
    note_id: int,
    take_charges: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """The credit settles what is open of its invoice, and takes the place of what was paid on it beyond that."""
    total = await credited_by(note_id, parts)
    still_open = int(await value("SELECT open_minor FROM document_state WHERE document_id = :id", id=invoice.id))
    if still_open < total:
        still_open += await take_write_offs_back(scope, invoice.id, total - still_open)
    if still_open < total:
        await free_up(scope, document_id=invoice.id, amount_minor=total - still_open)
    entries = await values(
        "SELECT id FROM credit_entry WHERE source_kind = 'credit_note' AND source_id = :id", id=note_id
    )
    if take_charges is not None:
        await take_charges()
    if entries:
        await settle_open(scope, invoice.payer_id, invoice.currency, [invoice.id], [int(each) for each in entries])
    # More may be open than it credits: a payment is un-allocated whole, an earlier note had credited a part.
    await allocate_one(scope, invoice.id)


async def not_paid(scope: Scope, subscription_id: int) -> None:
    """A pending subscription ends with its invoice; a trial goes on to its last day and ends then."""
    state = await value("SELECT state FROM subscription WHERE id = :id", id=subscription_id)
    if state == SubscriptionState.PENDING:
        await lapse(scope, subscription_id, "voided")
    elif state == SubscriptionState.TRIAL:
        await execute(
            "UPDATE subscription SET ends_on = trial_ends_on, at_trial_end = 'end', version = version + 1"
            " WHERE id = :id",
            id=subscription_id,
        )


async def lapse_unpaid(scope: Scope, subscription_id: int) -> None:
    """Not settled in time, or the plan that it needs is over: its invoice is voided, part payments become credit, and
    it is over. Unless it was settled, or another worker did this, since it was looked up."""
    async with unit_of_work(scope):
        if await value("SELECT state FROM subscription WHERE id = :id FOR UPDATE", id=subscription_id) != "pending":
            return
        document_id = await value(
            "SELECT d.id FROM charge k JOIN document_line l ON l.charge_id = k.id"
            " JOIN document d ON d.id = l.document_id AND d.state = 'issued'"
            " WHERE k.subscription_id = :id AND k.kind = 'recurring' AND k.period_start IS NULL"
            " AND k.state = 'invoiced'"
            " ORDER BY d.id LIMIT 1",
            id=subscription_id,
        )
        if document_id is not None:
            await void(scope, int(document_id), lambda: _("Not settled in time"))
        if await value("SELECT state FROM subscription WHERE id = :id", id=subscription_id) == "pending":
            await lapse(scope, subscription_id)


when_plan_is_over(lapse_unpaid)


async def _take_charges_back(scope: Scope, document_id: int, charges: Charges) -> None:
    await execute(
        "UPDATE subscription_change SET state = 'dropped' WHERE document_id = :id AND state = 'waiting'",
        id=document_id,
    )
    for subscription_id in await waiting_for(document_id):
        await not_paid(scope, subscription_id)
    of_invoice = "id IN (SELECT charge_id FROM document_line WHERE document_id = :id AND charge_id IS NOT NULL)"
    if charges is Charges.WAIVE:
        await _waive(scope, of_invoice, id=document_id)
        return
    if await value(f"SELECT 1 FROM credited_span WHERE charge_{of_invoice} LIMIT 1", id=document_id):
        raise Conflict(_("Days of it were credited for an end already: void it without billing it again."))
    fees = await values(f"SELECT charge_id FROM dunning_event WHERE charge_{of_invoice} ORDER BY 1", id=document_id)
    await execute(_anew(f"k.{of_invoice} AND k.id NOT IN :fees"), id=document_id, fees=fees)
    for fee_id in fees:
        await goes_on_as(int(fee_id), int(await value(f"{_anew('k.id = :id')} RETURNING id", id=fee_id)))
    await execute(
        "UPDATE charge SET state = CASE WHEN kind = 'recurring' AND period_start IS NULL THEN 'waived'"
        " ELSE 'reversed' END,"
        f" closed_on = :today WHERE {of_invoice} AND state = 'invoiced'",
        id=document_id,
        today=scope.today(),
    )


async def _waive(scope: Scope, which: str, **named: object) -> None:
    """Charges of an invoice are given up; what of their days was credited before, for an end, counts no more."""
    await execute(f"DELETE FROM credited_span WHERE charge_{which}", **named)
    await execute(
        f"UPDATE charge SET state = 'waived', closed_on = :today WHERE {which} AND state = 'invoiced'",
        today=scope.today(),
        **named,
    )


def _anew(which: str) -> str:
    """The next revision of charges that were invoiced, open again; what has no days yet is asked for anew instead."""
    return (
        "INSERT INTO charge (subscription_id, term_id, customer_id, payer_id, product_id, kind, component, description,"
        " period_start, period_end, days, of_days, quantity_e6, unit_price_e6, discount_minor, amount_minor, currency,"
        " tax_category, tax_inclusive, revision, state, replaced_from)"
        " SELECT k.subscription_id, k.term_id, k.customer_id, coalesce(c.payer_id, c.id), k.product_id, k.kind,"
        " k.component, k.description, k.period_start, k.period_end, k.days, k.of_days, k.quantity_e6, k.unit_price_e6,"
        " k.discount_minor, k.amount_minor, k.currency, k.tax_category, k.tax_inclusive, k.revision + 1, 'open',"
        " k.replaced_from"
        f" FROM charge k JOIN customer c ON c.id = k.customer_id WHERE {which} AND k.state = 'invoiced'"
        " AND NOT (k.kind = 'recurring' AND k.period_start IS NULL)"
    )


def _chosen(left: Sequence[Left], wanted: Sequence[CreditLine], currency: str) -> list[Part]:
    """The parts asked for, checked against what is left. An amount of a line with tax in it is parted net and tax."""
    by_id = {line.id: line for line in left}
    parts: list[Part] = []
    for at, each in enumerate(wanted):
        line = by_id.get(each.line_id)
        if line is None or any(part.line.id == each.line_id for part in parts):
            raise Invalid(_("Name each line of this invoice once."), field=f"lines.{at}.line_id")
        whole = line.net_minor + line.tax_minor if line.tax_inclusive else line.net_minor
        if each.amount_minor > whole:
            most = format_amount(max(whole, 0), currency)
            raise Invalid(_("At most %(most)s is left of this line.", most=most), field=f"lines.{at}.amount_minor")
        net = each.amount_minor
        if line.tax_inclusive:
            net = line.net_minor if each.amount_minor == whole else _net_of(each.amount_minor, line)
        parts.append(Part(line, min(net, line.net_minor)))
    return parts


def _net_of(gross: int, line: Left) -> int:
    return half_up(gross * 10**6, 10**6 + line.rate_ppm)


def _beside(parts: Sequence[Part], left: Sequence[Left]) -> list[tuple[Part, Left]]:
    by_id = {line.id: line for line in left}
    return [(part, by_id[part.line.id]) for part in parts]


def _covers(parts: Sequence[Part], left: Sequence[Left]) -> bool:
    """Whether nothing is left of any line that is not among the parts."""
    named = {part.line.id for part in parts}
    return all(line.id in named or not (line.net_minor or line.tax_minor) for line in left)
