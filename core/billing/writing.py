"""Writing what was planned: charges, schedules, lines, taxes, parties, postings, credit, at last numbered documents.

Everything that can be is written before the number series is locked (security.md 7): lines refer to documents that come
after them, which the database checks at the commit. A document is written once, issued, so nothing is rewritten.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core.activity.unit import record, record_set
from core.billing.events import InvoiceIssued, InvoiceSettled
from core.billing.numbering import take_numbers
from core.billing.plan import VAT_CHECK_COUNTS
from core.billing.staging import in_order, json_object, larger, next_id, smaller, staged, staged_all
from core.database import dialect, row, rows, value, values
from core.jobs.kinds import crowding, of_crowd
from core.ledger.accounts import Code
from core.subscriptions.actions import activate
from core.subscriptions.events import TrialEnded
from core.texts import N_, _

if TYPE_CHECKING:
    from core.billing.actions.allocation import Open
    from core.billing.plan import Counts, Plan
    from core.scope import Scope

Issued = Callable[["Scope", str, Mapping[str, Any]], Awaitable[None]]
_heard: Final[list[Issued]] = []


def queue_documents(callback: Issued) -> Callable[[], None]:
    """Hear of documents that are being issued, in the same unit of work: how rendering and sending them is queued.

    Called once a chunk with a SELECT of (document_id, payer_id, kind) and its values, over rows that stand only until
    the commit: for `enqueue_set`. Gives the function that ends it.
    """
    _heard.append(callback)
    return lambda: _heard.remove(callback)


REASONS: Final = {
    "no_tax_rate": N_("There is no tax rate for one of the lines. Enter it under Taxes."),
    "no_fx_rate": N_("There is no exchange rate for this currency. Enter it under Settings, Currencies."),
    "negative_total": N_("The total is below 0: credit the invoice that is concerned instead."),
    "too_many_periods": N_("More than 15 periods of one subscription are due. Look at its dates."),
    "cycle_changes": N_("The cycle of a subscription changes in the middle of what is due. Look at its terms."),
    "amount_too_large": N_("An amount is too large to be billed."),
    "failed": N_("It could not be billed; the detail says why."),
}


def parked_reason(key: str) -> str:
    """Why a payer could not be billed, as a sentence."""
    return _(REASONS.get(key, REASONS["failed"]))


class Changed(Exception):
    """Somebody else changed what was planned while it was: plan again."""


_OF_DOCUMENT: Final = "d.payer_id = l.payer_id AND d.currency = l.currency AND d.split_id = l.split_id"

CHARGES: Final = f"""
INSERT INTO charge (id, subscription_id, term_id, customer_id, payer_id, product_id, kind, component, description,
    period_start, period_end, days, of_days, quantity_e6, unit_price_e6, discount_minor, amount_minor, currency,
    tax_category, tax_inclusive, state, closed_on, source_key, run_id)
SELECT l.id, l.subscription_id, l.term_id, l.customer_id, l.payer_id, l.product_id, l.kind, l.component, l.description,
       l.period_start, l.period_end, l.days, l.of_days, l.quantity_e6, l.unit_price_e6, l.discount_minor,
       l.amount_minor,
       l.currency, l.tax_category, l.tax_inclusive, CASE WHEN d.id IS NULL THEN 'waived' ELSE 'invoiced' END,
       :issued_on::date, l.source_key, :run_id::bigint
FROM stage_line l
LEFT JOIN stage_document d ON {_OF_DOCUMENT}
WHERE l.is_new
"""
TAKE_CHARGES: Final = f"""
UPDATE charge SET state = taken.state, closed_on = :issued_on
FROM (
    SELECT l.id, l.payer_id, CASE WHEN d.id IS NULL THEN 'waived' ELSE 'invoiced' END AS state
    FROM stage_line l LEFT JOIN stage_document d ON {_OF_DOCUMENT}
    WHERE NOT l.is_new AND l.id > 0
) taken
WHERE charge.id = taken.id AND charge.state = 'open' AND charge.payer_id = taken.payer_id
"""
ADVANCE: Final = """
UPDATE subscription_schedule
SET cycle_no = n.cycle_no, period_start = n.start_on, period_end = n.end_on, due_on = n.due_on
FROM stage_due d
THEN JOIN stage_next n ON n.rhythm = d.rhythm
WHERE subscription_schedule.subscription_id = d.subscription_id AND subscription_schedule.period_start = d.period_start
  AND d.bills AND n.start_on IS NOT NULL
"""
FINISH: Final = """
DELETE FROM subscription_schedule WHERE subscription_id IN (
    SELECT d.subscription_id FROM stage_due d JOIN stage_next n ON n.rhythm = d.rhythm
    WHERE d.bills AND n.start_on IS NULL)
"""
REST: Final = """
UPDATE subscription_schedule SET due_on = NULL
WHERE subscription_id IN (SELECT subscription_id FROM stage_due WHERE NOT bills)
"""
WAIT: Final = """
UPDATE subscription SET state = 'pending', state_reason = 'schedule', version = version + 1,
    pending_until = waiting.until_on
FROM (
    SELECT l.subscription_id, {until} AS until_on
    FROM stage_line l THEN JOIN product p ON p.id = l.product_id
    WHERE l.is_new AND l.activates
) waiting
WHERE subscription.id = waiting.subscription_id AND subscription.state = 'trial'
"""
LINES: Final = f"""
INSERT INTO document_line (document_id, position, charge_id, beneficiary_id, product_id, kind, description, quantity_e6,
    unit_price_e6, days, of_days, discount_minor, amount_minor, net_minor, tax_category, tax_inclusive, tax_rate_id,
    tax_code, rate_ppm, tax_minor, deferred_minor, base_net_minor, base_tax_minor, base_deferred_minor, period_from,
    period_to, corrects_line_id)
SELECT d.id, row_number() OVER (PARTITION BY d.id ORDER BY l.place, l.customer_id, coalesce(l.subscription_id, 0),
           coalesce(l.period_start, '0001-01-01'::date), l.kind, l.id),
       CASE WHEN l.id > 0 AND d.kind <> 'credit_note' THEN l.id END, l.customer_id, l.product_id, l.kind, l.description,
       l.quantity_e6, l.unit_price_e6, l.days, l.of_days, l.discount_minor, l.amount_minor, l.net_minor,
       l.tax_category, l.tax_inclusive, l.tax_rate_id, l.tax_code, l.rate_ppm, l.tax_minor, l.deferred_minor,
       CASE WHEN d.currency = :base THEN l.net_minor ELSE l.base_net_minor END,
       CASE WHEN d.currency = :base THEN l.tax_minor ELSE l.base_tax_minor END,
       CASE WHEN d.currency = :base THEN l.deferred_minor ELSE l.base_deferred_minor END,
       l.period_start, l.period_end, l.corrects_line_id
FROM stage_line l
THEN JOIN stage_document d ON {_OF_DOCUMENT}
"""
TAXES: Final = """
INSERT INTO document_tax (document_id, category, rate_ppm, net_minor, tax_minor, exemption_code)
SELECT d.id, l.tax_code, l.rate_ppm, CAST(sum(l.net_minor) AS bigint), CAST(sum(l.tax_minor) AS bigint),
       CASE l.tax_code WHEN 'AE' THEN 'VATEX-EU-AE' WHEN 'O' THEN 'VATEX-EU-O' ELSE '' END
FROM stage_tax l
THEN JOIN stage_document d ON d.payer_id = l.payer_id AND d.currency = l.currency AND d.split_id = l.split_id
GROUP BY d.id, l.tax_code, l.rate_ppm
"""
PROOFS: Final = f"""
INSERT INTO document_vat_check (document_id, vat_check_id)
SELECT DISTINCT d.id, v.id
FROM stage_tax t
THEN JOIN stage_document d ON d.payer_id = t.payer_id AND d.currency = t.currency AND d.split_id = t.split_id
THEN JOIN customer c ON c.id = d.payer_id AND c.tax_profile = 'standard'
THEN JOIN vat_check v ON v.id = (SELECT v.id FROM vat_check v
    WHERE v.vat_id = c.vat_id AND v.valid AND {VAT_CHECK_COUNTS} ORDER BY v.checked_at DESC, v.id DESC LIMIT 1)
WHERE t.tax_code = 'AE' AND d.kind = 'invoice'
"""
"""The checks that took the tax off, whatever was answered since: where staff have chosen so there is none."""
STATES: Final = """
INSERT INTO document_state (document_id, payer_id, due_on, currency, open_minor, base_open_minor, settled_on)
SELECT id, payer_id, due_on, currency, CASE WHEN kind = 'credit_note' THEN 0 ELSE total_minor END,
       CASE WHEN kind = 'credit_note' THEN 0 ELSE base_minor END,
       CASE WHEN kind = 'credit_note' OR total_minor = 0 THEN :issued_on::date END
FROM stage_document
"""
LEDGER: Final = """
INSERT INTO ledger_transaction (id, book_id, kind, source_kind, source_id, booked_on, run_id)
SELECT transaction_id, :book_id::bigint, kind, 'document', id, :issued_on::date, :run_id::bigint FROM stage_document
"""
SETTLED: Final = """
SELECT d.id AS subject_id, d.payer_id AS customer_id,
       '{"invoice_id":' || CAST(d.id AS text) || ',"customer_id":' || CAST(d.payer_id AS text) || '}' AS facts
FROM stage_document d THEN JOIN document_state s ON s.document_id = d.id
WHERE d.kind = 'invoice' AND s.settled_on IS NOT NULL
"""
ISSUED: Final = """
SELECT id AS subject_id, payer_id AS customer_id,
       '{"invoice_id":' || CAST(id AS text) || ',"customer_id":' || CAST(payer_id AS text) || ',"total_minor":'
       || CAST(total_minor AS text) || ',"currency":"' || currency || '"}' AS facts
FROM stage_document WHERE kind = 'invoice'
"""
WAITING: Final = """
SELECT l.subscription_id AS subject_id, l.customer_id,
       '{"subscription_id":' || CAST(l.subscription_id AS text) || ',"customer_id":' || CAST(l.customer_id AS text)
       || ',"state":"pending"}' AS facts
FROM stage_line l WHERE l.is_new AND l.activates
"""
QUEUED: Final = "SELECT id AS document_id, payer_id, kind FROM stage_document"

# Lines of one transaction: its receivable (or credit) 0, of a product by its id, taxes behind them by their rates.
_TAX_LINES: Final = 2_000_000_000


def buyer_as_json(row: str) -> dict[str, str]:
    """What a document keeps of its buyer: SQL of a customer's row, by name."""
    kept = {"customer_id": "id", "name": "full_name"}
    names = ("customer_id", "kind", "name", "company", "street", "zip", "city", "country", "vat_id", "tax_reason")
    return {name: f"{row}.{kept.get(name, name)}" for name in names}


def parties() -> str:
    """The buyer as it is now, for as long as the tenant must keep it."""
    return f"""
INSERT INTO document_party (document_id, role, snapshot, retain_until)
SELECT d.id, 'buyer', {json_object(**buyer_as_json("c"))}, :retain_until::date
FROM stage_document d THEN JOIN customer c ON c.id = d.payer_id
"""


def postings(*, rounded: bool = False) -> str:
    """Rows 1 to 5, 11 and 23 of the table of postings: the whole to the customer, its parts to revenue and tax.

    `rounded`: some may be rounded to what can be paid in cash."""
    sign = "CASE WHEN d.kind = 'credit_note' THEN -1 ELSE 1 END"
    base = "CASE WHEN d.currency = :base THEN l.{amount} ELSE l.base_{amount} END"
    net, tax, deferred = (base.format(amount=f"{part}_minor") for part in ("net", "tax", "deferred"))

    def part(line: str, account: str, amount: str, in_base: str, by: str, product: str, rate: str, where: str) -> str:
        return f"""
SELECT d.transaction_id, CAST({line} AS integer), a.id, NULL::bigint, {product}, {rate}, :issued_on::date, d.currency,
       CAST(-({sign}) * sum({amount}) AS bigint), CAST(-({sign}) * sum({in_base}) AS bigint)
FROM stage_line l
THEN JOIN stage_document d ON {_OF_DOCUMENT}
THEN JOIN account a ON a.book_id = :book_id AND a.code = {account}
WHERE {where}
GROUP BY d.transaction_id, d.kind, d.currency, a.id, {by}
HAVING sum({amount}) <> 0 OR sum({in_base}) <> 0"""

    is_fee = "CASE WHEN l.kind = 'fee' THEN 1 ELSE 0 END"
    earned = part(
        f"coalesce(l.product_id, 0) * 4 + 2 + {is_fee}",
        f"CASE WHEN l.kind = 'fee' THEN '{Code.LATE_FEES}' ELSE '{Code.REVENUE}' END",
        "l.net_minor - l.deferred_minor",
        f"({net}) - ({deferred})",
        f"l.product_id, {is_fee}",
        "l.product_id",
        "NULL::bigint",
        "l.net_minor <> l.deferred_minor",
    )
    later = part(
        "coalesce(l.product_id, 0) * 4 + 1",
        f"'{Code.DEFERRED_REVENUE}'",
        "l.deferred_minor",
        deferred,
        "l.product_id",
        "l.product_id",
        "NULL::bigint",
        "l.deferred_minor <> 0",
    )
    taxes = part(
        f"{_TAX_LINES} + coalesce(l.tax_rate_id, 0)",
        f"'{Code.TAX_PAYABLE}'",
        "l.tax_minor",
        tax,
        "l.tax_rate_id",
        "NULL::bigint",
        "l.tax_rate_id",
        "l.tax_minor <> 0",
    )
    rounding = f"""
SELECT d.transaction_id, {_TAX_LINES - 1}, a.id, NULL::bigint, NULL::bigint, NULL::bigint, :issued_on::date, d.currency,
       -({sign}) * d.rounding_minor, -({sign}) * d.base_rounding_minor
FROM stage_document d
THEN JOIN account a ON a.book_id = :book_id AND a.code = '{Code.ROUNDING}'
WHERE d.rounding_minor <> 0 OR d.base_rounding_minor <> 0"""
    return f"""
INSERT INTO posting (transaction_id, line, account_id, customer_id, product_id, tax_rate_id, booked_on, currency,
    amount_minor, base_minor)
SELECT d.transaction_id, 0, a.id, d.payer_id, NULL::bigint, NULL::bigint, :issued_on::date, d.currency,
       ({sign}) * d.total_minor, ({sign}) * d.base_minor
FROM stage_document d
THEN JOIN account a ON a.book_id = :book_id
    AND a.code = CASE WHEN d.kind = 'credit_note' THEN '{Code.CUSTOMER_CREDIT}' ELSE '{Code.RECEIVABLE}' END
WHERE d.total_minor <> 0 OR d.base_minor <> 0
UNION ALL {earned}
UNION ALL {later}
UNION ALL {taxes}
{f"UNION ALL {rounding}" if rounded else ""}
"""


def number_text() -> str:
    """The number as it is written, from the count `q.seq`: zeros before it up to the least width."""
    seq = "CAST(q.seq AS text)"
    if dialect() == "sqlite":
        padded = f"substr('000000000', 1, max(0, :width - length({seq}))) || {seq}"
    else:
        padded = f"lpad({seq}, greatest(:width::integer, length({seq})), '0')"
    return f":before::text || {padded} || :behind::text"


def documents() -> str:
    """The documents, issued, with their numbers in the order of payers."""
    return f"""
INSERT INTO document (id, kind, state, series_id, year, seq, number, payer_id, seller_id, seller_snapshot_id, book_id,
    issued_on, due_on, tax_on, currency, net_minor, tax_minor, rounding_minor, total_minor, fx_rate_e10,
    tax_fx_rate_e10, tax_currency_minor, corrects_id, language, note, run_id, group_key, created_at, issued_at)
SELECT q.id, q.kind, 'issued', :series_id::bigint, :year::integer, q.seq, {number_text()}, q.payer_id,
    :seller_id::bigint,
       :snapshot_id::bigint, :book_id::bigint, :issued_on::date, q.due_on, coalesce(q.tax_on, :issued_on::date),
       q.currency, q.net_minor, q.tax_minor, q.rounding_minor, q.total_minor,
       CASE WHEN q.currency = :base THEN NULL ELSE q.rate_e10 END,
       CASE WHEN q.currency = :base THEN NULL ELSE q.rate_e10 END,
       CASE WHEN q.currency = :base THEN NULL ELSE (
           SELECT CAST(sum(base_tax_minor) AS bigint) FROM stage_line l
           WHERE l.payer_id = q.payer_id AND l.currency = q.currency AND l.split_id = q.split_id) END,
       q.corrects_id, q.language, :note::text, :run_id::bigint,
       CASE WHEN :run_id::bigint IS NOT NULL
            THEN CAST(q.payer_id AS text) || ':' || CAST(:seller_id::bigint AS text) || ':'
           || q.currency || ':' || CAST(q.split_id AS text) END,
       :now, :now
FROM (
    SELECT d.*, :first::bigint - 1 + row_number() OVER (ORDER BY payer_id, currency, split_id) AS seq
    FROM stage_document d
) q
"""


def allocations() -> str:
    """Free credit of the payers, the oldest first, to the documents just staged, in their order.

    Both are laid out along a line of money for each payer and currency; where a credit and a document overlap, it
    settles.
    """
    return f"""
INSERT INTO stage_allocation (id, credit_entry_id, document_id, payer_id, currency, amount_minor)
SELECT {next_id("stage_allocation")}, e.id, d.id, d.payer_id, d.currency,
       {smaller("d.upto", "e.upto")} - {larger("d.upto - d.total_minor", "e.upto - e.left_minor")}
FROM (
    SELECT id, payer_id, currency, total_minor,
           CAST(sum(total_minor) OVER (PARTITION BY payer_id, currency ORDER BY due_on, id) AS bigint) AS upto
    FROM stage_document WHERE total_minor > 0 AND kind = 'invoice' AND currency = :base
) d
THEN JOIN (
    SELECT c.id, c.customer_id, c.currency, c.left_minor,
           CAST(sum(c.left_minor) OVER (PARTITION BY c.customer_id, c.currency ORDER BY c.id) AS bigint) AS upto
    FROM credit_entry c
    WHERE c.left_minor > 0 AND c.customer_id IN (SELECT payer_id FROM stage_document)
) e ON e.customer_id = d.payer_id AND e.currency = d.currency
   AND e.upto - e.left_minor < d.upto AND d.upto - d.total_minor < e.upto
"""


ALLOCATE: Final = """
INSERT INTO allocation (id, credit_entry_id, document_id, amount_minor, base_credit_minor, base_document_minor,
    allocated_on)
SELECT id, credit_entry_id, document_id, amount_minor, amount_minor, amount_minor, :issued_on::date
    FROM stage_allocation
"""


ALLOCATION_POSTINGS: Final = f"""
INSERT INTO posting (transaction_id, line, account_id, customer_id, booked_on, currency, amount_minor, base_minor)
SELECT s.transaction_id, side.line, a.id, s.payer_id, :issued_on::date, s.currency, side.sign * s.amount_minor,
       side.sign * s.amount_minor
FROM stage_allocation s
CROSS JOIN (SELECT 1 AS line, '{Code.CUSTOMER_CREDIT}' AS code, 1 AS sign
            UNION ALL SELECT 2, '{Code.RECEIVABLE}', -1) side
THEN JOIN account a ON a.book_id = :book_id AND a.code = side.code
"""
"""Row 9 of the table of postings, a transaction for each allocation."""

ALLOCATION_LEDGER: Final = """
INSERT INTO ledger_transaction (id, book_id, kind, source_kind, source_id, booked_on, run_id)
SELECT transaction_id, :book_id::bigint, 'allocation', 'allocation', id, :issued_on::date, :run_id::bigint
FROM stage_allocation
"""


class Written(Struct, frozen=True):
    """What was written: its totals by currency, and the ids of documents where there are few."""

    invoices: int = 0
    charges: int = 0
    totals: dict[str, int] = {}
    document_ids: list[int] = []


class _Total(Struct, frozen=True):
    currency: str
    count: int
    total_minor: int
    has_credit: bool


TOTALS: Final = """
SELECT currency, count(*) AS count, CAST(sum(total_minor) AS bigint) AS total_minor,
       EXISTS (SELECT 1 FROM stage_document d JOIN customer_balance b ON b.customer_id = d.payer_id
               AND b.currency = d.currency AND b.credit_minor > 0) AS has_credit
FROM stage_document GROUP BY currency ORDER BY currency
"""


class _Document(Struct, frozen=True):
    id: int
    payer_id: int
    total_minor: int
    currency: str
    settled: bool


async def write(plan: Plan, counts: Counts, *, singly: bool = False) -> Written:
    """Write the plan; its documents are issued. The unit of work that is open commits it.

    `singly`: what happened is told document by document, for the few of an invoice by hand (several may be issued in
    one unit of work, and the staging tables hold the last only), and these are rendered and sent before all of a run.
    `Changed` where a row is no longer what it was planned with.
    """
    if not await execute_charges(plan, counts):
        return Written(charges=counts.lines)
    if counts.activating:
        await _wait_for_invoice(plan, singly=singly)
    await staged_all(
        (number_transactions("stage_document"), {}),
        (LINES, {"base": plan.base}),
        *document_statements(plan),
    )
    settled = bool(counts.activating and await value("SELECT 1 FROM stage_document WHERE total_minor = 0 LIMIT 1"))
    totals = await rows(_Total, TOTALS)
    nearly: list[Open] = []
    if plan.settings.use_credit and any(each.has_credit for each in totals) and await use_credit(plan):
        settled = True
        nearly = await _nearly_settled(plan)
    if settled and counts.activating and not nearly:
        await _activate_settled(plan)
    with crowding(of_crowd.get() or not singly):
        await tell_listeners(plan.scope, QUEUED)
    count = sum(each.count for each in totals)
    await number_documents(plan, count)
    if nearly:
        await _give_up_small(plan, nearly)
        if counts.activating:
            await _activate_settled(plan)
    document_ids = await _tell_singly(plan.scope) if singly else _tell(plan.scope, settled)
    return Written(
        invoices=count,
        charges=counts.lines,
        totals={each.currency: each.total_minor for each in totals},
        document_ids=document_ids,
    )


async def execute_charges(plan: Plan, counts: Counts) -> bool:
    """Charges, and the schedules stepped on. Gives whether there is a document. `Changed`: fewer rows than planned."""
    steps: list[tuple[str, dict[str, Any]]] = []
    wanted: list[int] = []
    for sql, filled, rows_wanted in (
        (CHARGES, {"issued_on": plan.issued_on, "run_id": plan.run_id}, counts.new),
        (TAKE_CHARGES, {"issued_on": plan.issued_on}, counts.taken),
        (ADVANCE, {}, counts.due),
        (REST, {}, counts.resting),
    ):
        if rows_wanted:
            steps.append((sql, filled))
            wanted.append(rows_wanted)
    touched = await staged_all(*steps) if steps else []
    for (sql, filled), expected, count in zip(steps, wanted, touched, strict=True):
        if sql is ADVANCE and count < expected:
            count += await staged(FINISH, **filled)
        if count != expected:
            raise Changed
    return bool(await value("SELECT 1 FROM stage_document LIMIT 1"))


def _tell(scope: Scope, settled: bool) -> list[int]:
    record_set(scope, InvoiceIssued, ISSUED)
    if settled:
        record_set(scope, InvoiceSettled, in_order(SETTLED))
    return []


async def _tell_singly(scope: Scope) -> list[int]:
    found = await rows(
        _Document,
        "SELECT d.id, d.payer_id, d.total_minor, d.currency, s.settled_on IS NOT NULL AS settled FROM stage_document d"
        " JOIN document_state s ON s.document_id = d.id WHERE d.kind = 'invoice' ORDER BY d.id",
    )
    for each in found:
        record(
            scope,
            InvoiceIssued(
                invoice_id=each.id,
                customer_id=each.payer_id,
                total_minor=each.total_minor,
                currency=each.currency,
            ),
        )
        if each.settled:
            record(scope, InvoiceSettled(invoice_id=each.id, customer_id=each.payer_id))
    return [each.id for each in found]


class _Waiting(Struct, frozen=True):
    subject_id: int
    customer_id: int


async def _wait_for_invoice(plan: Plan, *, singly: bool) -> None:
    """Trials at their end that are invoiced first wait from now on."""
    until = "date(:issued_on, '+' || p.pending_days || ' days')"
    if dialect() != "sqlite":
        until = "(:issued_on::date + p.pending_days)"
    wanted = int(await value("SELECT count(*) FROM stage_line WHERE is_new AND activates"))
    if wanted:
        if await staged(WAIT.format(until=until), issued_on=plan.issued_on) != wanted:
            raise Changed
        if not singly:
            record_set(plan.scope, TrialEnded, WAITING)
            return
        for each in await rows(_Waiting, WAITING):
            record(
                plan.scope,
                TrialEnded(subscription_id=each.subject_id, customer_id=each.customer_id, state="pending"),
            )


def number_transactions(table: str) -> str:
    """Each staged row gets the id of its ledger transaction: behind the last one, or the sequence's next."""
    if dialect() == "sqlite":
        return (
            f"UPDATE {table} SET transaction_id = id + (SELECT coalesce(max(id), 0) FROM ledger_transaction) + 1"
            f" - (SELECT min(id) FROM {table})"
        )
    return f"UPDATE {table} SET transaction_id = nextval('ledger_transaction_id_seq')"


async def tell_listeners(scope: Scope, select: str) -> None:
    for callback in tuple(_heard):
        await callback(scope, select, {})


def document_statements(
    plan: Plan, *, taxes: bool = True, rounded: bool | None = None
) -> list[tuple[str, dict[str, Any]]]:
    """Taxes, parties, proofs, states and postings of the staged documents; not yet the documents themselves."""
    issued_on, book_id = plan.issued_on, plan.seller.book_id
    return [
        *([(TAXES, {})] if taxes else []),
        (parties(), {"retain_until": retain_until(issued_on, plan.settings.retain_years)}),
        (PROOFS, {}),
        (STATES, {"issued_on": issued_on}),
        (
            postings(rounded=bool(plan.settings.cash_steps) if rounded is None else rounded),
            {"issued_on": issued_on, "base": plan.base, "book_id": book_id},
        ),
        (LEDGER, {"issued_on": issued_on, "run_id": plan.run_id, "book_id": book_id}),
    ]


def retain_until(issued_on: date, years: int) -> date:
    """The end of the year of issue and the tenant's years behind it (domain.md, Deleting)."""
    return date(issued_on.year + years, 12, 31)


async def number_documents(plan: Plan, count: int, kind: str = "invoice", *, note: str = "") -> None:
    """Last of all: lock the series, write the documents with their numbers."""
    if plan.snapshot_id is None:
        from core.billing.actions.setup import snapshot_of

        plan.snapshot_id = await snapshot_of(plan.seller)
    numbers = await take_numbers(kind, plan.seller.id, plan.issued_on, count)
    await staged(
        documents(),
        issued_on=plan.issued_on,
        run_id=plan.run_id,
        book_id=plan.seller.book_id,
        base=plan.base,
        series_id=numbers.series_id,
        year=numbers.year,
        first=numbers.first,
        before=numbers.pattern.before,
        width=numbers.pattern.width,
        behind=numbers.pattern.behind,
        seller_id=plan.seller.id,
        snapshot_id=plan.snapshot_id,
        note=note,
        now=plan.scope.now(),
    )


class _Needed(Struct, frozen=True):
    base: bool
    abroad: bool


async def use_credit(plan: Plan) -> bool:
    """Free credit pays what was just staged; gives whether anything was."""
    found = await row(
        _Needed,
        "SELECT coalesce(max(CASE WHEN d.currency = :base THEN 1 ELSE 0 END), 0) = 1 AS base,"
        " coalesce(max(CASE WHEN d.currency <> :base THEN 1 ELSE 0 END), 0) = 1 AS abroad"
        " FROM stage_document d JOIN credit_entry e ON e.customer_id = d.payer_id AND e.currency = d.currency"
        " WHERE e.left_minor > 0 AND d.total_minor > 0 AND d.kind = 'invoice'",
        base=plan.base,
    )
    assert found is not None
    if found.base:
        book_id, issued_on = plan.seller.book_id, plan.issued_on
        await staged_all(
            (allocations(), {"base": plan.base}),
            (number_transactions("stage_allocation"), {}),
            (ALLOCATE, {"issued_on": issued_on}),
            (ALLOCATION_POSTINGS, {"issued_on": issued_on, "book_id": book_id}),
            (ALLOCATION_LEDGER, {"issued_on": issued_on, "book_id": book_id, "run_id": plan.run_id}),
        )
    if found.abroad:
        from core.billing.actions.allocation import Open, allocate_to_new

        for document in await rows(
            Open,
            "SELECT DISTINCT s.document_id, s.payer_id, s.currency, s.open_minor, s.base_open_minor, s.due_on,"
            " s.disputed, :book_id::bigint AS book_id"
            " FROM stage_document d JOIN document_state s ON s.document_id = d.id"
            " JOIN credit_entry e ON e.customer_id = d.payer_id AND e.currency = d.currency"
            " WHERE e.left_minor > 0 AND d.currency <> :base AND d.total_minor > 0 ORDER BY s.due_on, s.document_id",
            base=plan.base,
            book_id=plan.seller.book_id,
        ):
            await allocate_to_new(plan.scope, document)
    return found.base or found.abroad


async def _nearly_settled(plan: Plan) -> list[Open]:
    """Documents on which credit left so little open that it counts as settled."""
    if not plan.settings.small_difference_minor:
        return []
    from core.billing.actions.allocation import Open

    return await rows(
        Open,
        "SELECT s.document_id, s.payer_id, s.currency, s.open_minor, s.base_open_minor, s.due_on, s.disputed,"
        " :book_id::bigint AS book_id FROM stage_document d JOIN document_state s ON s.document_id = d.id"
        " WHERE s.open_minor BETWEEN 1 AND :small AND s.open_minor < d.total_minor ORDER BY s.document_id",
        book_id=plan.seller.book_id,
        small=plan.settings.small_difference_minor,
    )


async def _give_up_small(plan: Plan, nearly: Sequence[Open]) -> None:
    """After the documents are written: a loss names one that is there."""
    from core.billing.actions.allocation import give_up_small

    for document in nearly:
        await give_up_small(plan.scope, document, document.open_minor, document.base_open_minor)


async def _activate_settled(plan: Plan) -> None:
    """Subscriptions whose invoice is settled as it is issued, by credit or because it is of nothing."""
    for subscription_id in await values(
        "SELECT DISTINCT l.subscription_id FROM stage_line l"
        " JOIN stage_document d ON d.payer_id = l.payer_id AND d.currency = l.currency AND d.split_id = l.split_id"
        " JOIN document_state s ON s.document_id = d.id"
        " WHERE l.activates AND s.settled_on IS NOT NULL ORDER BY l.subscription_id"
    ):
        await activate(plan.scope, int(subscription_id), plan.issued_on)
