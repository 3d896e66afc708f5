"""`verify`: the invariants of a tenant's books, each as one question that must find nothing (security.md 30).

The same text on both databases, but for what only one of them can be asked. A violation stops that tenant's billing and
says so. What reads every row of every table, every file, or works out the last run again is asked by the command alone
(`thorough`).
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.activity.sealing import first_fault
from core.billing.previews import charged_again
from core.billing.recognition import first_unearned_day, uneven
from core.database import dialect, rows, value
from core.documents.files import damaged_files

if TYPE_CHECKING:
    from core.scope import Scope


class Violation(Struct, frozen=True):
    """An invariant that does not hold: its key (V1 to V9), what it says, how often it is broken, and where first."""

    key: str
    rule: str
    count: int
    example: str


class _Found(Struct, frozen=True):
    count: int
    example: str | None


# Each gives the rows that break the rule, as (what): the first is shown, all are counted.
RULES: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "V1",
        "Charges and unbilled spans of a subscription tile its days: no gap, no overlap.",
        """
        SELECT 'subscription ' || CAST(subscription_id AS text) || ' at ' || CAST(from_on AS text) AS what FROM (
            SELECT subscription_id, from_on,
                   lag(to_on) OVER (PARTITION BY subscription_id ORDER BY from_on, to_on) AS before_to
            FROM (
                SELECT subscription_id, period_start AS from_on, coalesce(replaced_from, period_end) AS to_on
                FROM charge
                WHERE kind = 'recurring' AND component = '' AND state <> 'reversed' AND period_start IS NOT NULL
                    AND subscription_id IS NOT NULL AND (replaced_from IS NULL OR replaced_from > period_start)
                UNION ALL SELECT subscription_id, from_on, to_on FROM unbilled_span) spans
        ) ordered WHERE before_to IS NOT NULL AND before_to <> from_on
        """,
    ),
    (
        "V1",
        "What is charged next begins where the charged and unbilled days of a subscription end.",
        """
        SELECT 'subscription ' || CAST(s.subscription_id AS text) AS what
        FROM subscription_schedule s
        JOIN (
            SELECT subscription_id, max(to_on) AS to_on FROM (
                SELECT subscription_id, coalesce(replaced_from, period_end) AS to_on FROM charge
                WHERE kind = 'recurring' AND state <> 'reversed' AND period_end IS NOT NULL
                    AND (replaced_from IS NULL OR replaced_from > period_start)
                UNION ALL SELECT subscription_id, to_on FROM unbilled_span) spans
            GROUP BY subscription_id
        ) covered ON covered.subscription_id = s.subscription_id
        WHERE covered.to_on <> s.period_start
        """,
    ),
    (
        "V1",
        "No day of a charge is credited twice, nor charged again twice.",
        """
        SELECT 'charge ' || CAST(charge_id AS text) || ' at ' || CAST(from_on AS text) AS what FROM (
            SELECT charge_id, from_on, lag(to_on) OVER (PARTITION BY charge_id, part ORDER BY from_on, to_on)
                AS before_to
            FROM (
                SELECT charge_id, 0 AS part, from_on, to_on FROM credited_span
                UNION ALL SELECT s.charge_id, s.id, k.period_start, k.period_end FROM credited_span s
                JOIN charge k ON k.subscription_id = s.subscription_id AND k.state <> 'reversed'
                    AND k.component IN ('again:' || CAST(s.id AS text), 'resumed:' || CAST(s.id AS text))) spans
        ) ordered WHERE before_to > from_on
        """,
    ),
    (
        "V2",
        "Numbers of a series and year run from 1 without a gap, and the counter stands behind the last.",
        """
        SELECT 'series ' || CAST(c.series_id AS text) || ' year ' || CAST(c.year AS text) AS what
        FROM number_counter c
        JOIN number_series s ON s.id = c.series_id
        LEFT JOIN (
            SELECT d.series_id, CASE WHEN s.reset = 'yearly' THEN d.year ELSE 0 END AS year, count(*) AS given,
                   min(d.seq) AS first, max(d.seq) AS last
            FROM document d JOIN number_series s ON s.id = d.series_id
            WHERE d.state = 'issued' GROUP BY d.series_id, CASE WHEN s.reset = 'yearly' THEN d.year ELSE 0 END
        ) n ON n.series_id = c.series_id AND n.year = c.year
        WHERE s.kind <> 'proforma'
          AND (coalesce(n.first, 1) <> 1 OR coalesce(n.last, 0) <> coalesce(n.given, 0)
              OR c.next <> coalesce(n.last, 0) + 1)
        """,
    ),
    (
        "V2",
        "Every issued document has a counter, and dates of a series do not run backwards.",
        """
        SELECT 'document ' || CAST(id AS text) AS what FROM (
            SELECT d.id, d.issued_on, s.last_issued_on,
                   lag(d.issued_on) OVER (PARTITION BY d.series_id ORDER BY d.year, d.seq) AS before_on,
                   EXISTS (SELECT 1 FROM number_counter c WHERE c.series_id = d.series_id
                   AND c.year IN (0, d.year)) AS counted
            FROM document d JOIN number_series s ON s.id = d.series_id WHERE d.state = 'issued'
        ) ordered WHERE issued_on < before_on OR issued_on > last_issued_on OR NOT counted
        """,
    ),
    (
        "V3",
        "The postings of a transaction sum to zero in each currency.",
        """
        SELECT 'transaction ' || CAST(transaction_id AS text) || ' ' || currency AS what FROM posting
        GROUP BY transaction_id, currency HAVING sum(amount_minor) <> 0
        """,
    ),
    (
        "V3",
        "The postings of a transaction sum to zero in the base currency, and stand in one book.",
        """
        SELECT 'transaction ' || CAST(p.transaction_id AS text) AS what
        FROM posting p JOIN account a ON a.id = p.account_id JOIN ledger_transaction t ON t.id = p.transaction_id
        GROUP BY p.transaction_id
        HAVING sum(p.base_minor) <> 0 OR sum(CASE WHEN a.book_id <> t.book_id THEN 1 ELSE 0 END) > 0
        """,
    ),
    (
        "V4",
        "Balances are the sums of their postings.",
        """
        SELECT 'customer ' || CAST(customer_id AS text) || ' ' || currency AS what FROM (
            SELECT customer_id, currency, receivable_minor AS receivable, -credit_minor AS credit,
                -deposit_minor AS deposit
            FROM customer_balance
            UNION ALL
            SELECT p.customer_id, p.currency, CASE a.code WHEN '1100' THEN -p.amount_minor ELSE 0 END,
                   CASE a.code WHEN '2000' THEN -p.amount_minor ELSE 0 END,
                   CASE a.code WHEN '2100' THEN -p.amount_minor ELSE 0 END
            FROM posting p JOIN account a ON a.id = p.account_id WHERE p.customer_id IS NOT NULL
        ) both_sides
        GROUP BY customer_id, currency HAVING sum(receivable) <> 0 OR sum(credit) <> 0 OR sum(deposit) <> 0
        """,
    ),
    (
        "V4",
        "The sums of a day are those of its postings.",
        """
        SELECT 'account ' || CAST(account_id AS text) || ' at ' || CAST(booked_on AS text) AS what FROM (
            SELECT account_id, booked_on, currency, product_id, tax_rate_id, debit_minor, credit_minor, base_minor
            FROM ledger_day
            UNION ALL
            SELECT account_id, booked_on, currency, coalesce(product_id, 0), coalesce(tax_rate_id, 0),
                   CASE WHEN amount_minor > 0 THEN -amount_minor ELSE 0 END,
                   CASE WHEN amount_minor < 0 THEN amount_minor ELSE 0 END, -base_minor
            FROM posting WHERE transaction_id <= (SELECT folded_id FROM ledger_mark)
        ) both_sides
        GROUP BY account_id, booked_on, currency, product_id, tax_rate_id
        HAVING sum(debit_minor) <> 0 OR sum(credit_minor) <> 0 OR sum(base_minor) <> 0
        """,
    ),
    (
        "V4",
        "The receivable of a customer is what is open on its documents, its credit what is left of its credits.",
        """
        SELECT 'customer ' || CAST(customer_id AS text) || ' ' || currency AS what FROM (
            SELECT customer_id, currency, receivable_minor AS receivable, credit_minor AS credit FROM customer_balance
            UNION ALL SELECT payer_id, currency, -open_minor, 0 FROM document_state
            UNION ALL SELECT customer_id, currency, 0, -left_minor FROM credit_entry
        ) both_sides
        GROUP BY customer_id, currency HAVING sum(receivable) <> 0 OR sum(credit) <> 0
        """,
    ),
    (
        "V4",
        "What is open on a document is its total less allocations and write-offs.",
        """
        SELECT 'document ' || CAST(d.id AS text) AS what
        FROM document d
        JOIN document_state s ON s.document_id = d.id
        LEFT JOIN (SELECT document_id, sum(amount_minor) AS amount FROM allocation GROUP BY document_id) a
            ON a.document_id = d.id
        LEFT JOIN (SELECT document_id, sum(amount_minor) AS amount FROM write_off GROUP BY document_id) w
            ON w.document_id = d.id
        WHERE s.open_minor <> CASE WHEN d.kind = 'credit_note' THEN 0
            ELSE d.total_minor - coalesce(a.amount, 0) - coalesce(w.amount, 0) END OR s.open_minor < 0
        """,
    ),
    (
        "V4",
        "What is left of a credit is its amount less allocations and other uses.",
        """
        SELECT 'credit ' || CAST(e.id AS text) AS what
        FROM credit_entry e
        LEFT JOIN (SELECT credit_entry_id, sum(amount_minor) AS amount, sum(base_credit_minor) AS base
                   FROM allocation GROUP BY credit_entry_id) a ON a.credit_entry_id = e.id
        LEFT JOIN (SELECT credit_entry_id, sum(amount_minor) AS amount, sum(base_minor) AS base
                   FROM credit_use GROUP BY credit_entry_id) u ON u.credit_entry_id = e.id
        WHERE e.left_minor <> e.amount_minor - coalesce(a.amount, 0) - coalesce(u.amount, 0) OR e.left_minor < 0
           OR e.base_left_minor <> e.base_minor - coalesce(a.base, 0) - coalesce(u.base, 0)
        """,
    ),
    (
        "V4",
        "A payment is booked once it is received, and not before; a refund that failed is booked back.",
        """
        SELECT 'payment ' || CAST(p.id AS text) AS what
        FROM payment p
        LEFT JOIN (SELECT source_id, count(*) AS n FROM ledger_transaction
            WHERE source_kind = 'payment' AND kind = 'payment' GROUP BY source_id) t ON t.source_id = p.id
        WHERE p.payer_id IS NOT NULL AND p.state IN ('pending', 'unknown', 'failed') AND coalesce(t.n, 0) > 0
           OR p.provider IS NOT NULL AND p.state NOT IN ('pending', 'unknown', 'failed') AND coalesce(t.n, 0) <> 1
        UNION ALL SELECT 'refund ' || CAST(r.id AS text)
        FROM refund r
        LEFT JOIN (SELECT source_id, count(*) AS n FROM ledger_transaction
            WHERE source_kind = 'refund' AND kind = 'refund_failed' GROUP BY source_id) t ON t.source_id = r.id
        WHERE coalesce(t.n, 0) <> CASE WHEN r.state = 'failed' THEN 1 ELSE 0 END
        """,
    ),
    (
        "V4",
        "What stands in suspense is what was received from nobody known and not assigned or sent back.",
        """
        SELECT 'payment ' || CAST(p.id AS text) AS what
        FROM payment p
        LEFT JOIN (
            SELECT t.source_id, sum(-x.amount_minor) AS amount FROM ledger_transaction t
            JOIN posting x ON x.transaction_id = t.id JOIN account a ON a.id = x.account_id AND a.code = '2500'
            WHERE t.source_kind = 'payment' GROUP BY t.source_id
        ) s ON s.source_id = p.id
        WHERE coalesce(s.amount, 0) <> CASE WHEN p.payer_id IS NULL AND p.state IN ('received', 'part_reversed')
            THEN p.amount_minor - p.reversed_minor ELSE 0 END
        """,
    ),
    (
        "V4",
        "Tax is relieved of bad debts alone, and at most the tax of the document.",
        """
        SELECT 'document ' || CAST(r.document_id AS text) AS what
        FROM (SELECT document_id, sum(amount_minor) AS amount FROM tax_relief GROUP BY document_id) r
        JOIN document d ON d.id = r.document_id
        LEFT JOIN (SELECT document_id, sum(amount_minor) AS amount FROM write_off WHERE kind = 'bad_debt'
            GROUP BY document_id) w ON w.document_id = r.document_id
        WHERE r.amount < 0 OR r.amount > d.tax_minor OR r.amount > coalesce(w.amount, 0)
        """,
    ),
    (
        "V4",
        "The deposits of a customer are what is left of them, less what became of each.",
        """
        SELECT 'customer ' || CAST(customer_id AS text) || ' ' || currency AS what FROM (
            SELECT customer_id, currency, deposit_minor AS deposit, 0 AS held FROM customer_balance
            UNION ALL SELECT customer_id, currency, -left_minor, left_minor - amount_minor FROM deposit
            UNION ALL SELECT d.customer_id, d.currency, 0, u.amount_minor
            FROM deposit_use u JOIN deposit d ON d.id = u.deposit_id
        ) both_sides
        GROUP BY customer_id, currency HAVING sum(deposit) <> 0 OR sum(held) <> 0
        """,
    ),
    (
        "V4",
        "The number of live subscriptions of a customer is the number of its live subscriptions.",
        """
        SELECT 'customer ' || CAST(c.id AS text) AS what
        FROM customer c
        LEFT JOIN (SELECT customer_id, count(*) AS live FROM subscription
                   WHERE state IN ('pending', 'trial', 'active', 'suspended', 'paused') GROUP BY customer_id) s
            ON s.customer_id = c.id
        WHERE c.live_subscriptions <> coalesce(s.live, 0)
        """,
    ),
    (
        "V4",
        "What a customer is sorted by beside its parent is the parent's name.",
        """
        SELECT 'customer ' || CAST(c.id AS text) AS what
        FROM customer c LEFT JOIN customer p ON p.id = c.parent_id
        WHERE c.parent_key <> coalesce(p.name_key, '')
        """,
    ),
    (
        "V4",
        "What a customer pays a month is the sum of its steps.",
        """
        SELECT 'customer ' || CAST(customer_id AS text) || ' ' || currency AS what FROM (
            SELECT customer_id, currency, mrr_minor AS minor FROM customer_mrr
            UNION ALL SELECT customer_id, currency, -amount_minor FROM mrr_movement) both_sides
        GROUP BY customer_id, currency HAVING sum(minor) <> 0
        """,
    ),
    (
        "V5",
        "Lines and taxes of an issued document sum to it.",
        """
        SELECT 'document ' || CAST(d.id AS text) AS what
        FROM document d
        LEFT JOIN (SELECT document_id, sum(net_minor) AS net, sum(tax_minor) AS tax FROM document_line
            GROUP BY document_id) l
            ON l.document_id = d.id
        LEFT JOIN (SELECT document_id, sum(net_minor) AS net, sum(tax_minor) AS tax FROM document_tax
            GROUP BY document_id) t
            ON t.document_id = d.id
        WHERE d.state = 'issued' AND d.kind IN ('invoice', 'credit_note')
          AND (l.net IS NULL OR l.net <> d.net_minor OR l.tax <> d.tax_minor OR t.net IS NULL OR t.net <> d.net_minor
               OR t.tax <> d.tax_minor)
        """,
    ),
    (
        "V5",
        "Lines of a rate sum to its tax.",
        """
        SELECT 'document ' || CAST(t.document_id AS text) AS what
        FROM document_tax t
        LEFT JOIN (SELECT document_id, tax_code, rate_ppm, sum(net_minor) AS net, sum(tax_minor) AS tax
                   FROM document_line GROUP BY document_id, tax_code, rate_ppm) l
            ON l.document_id = t.document_id AND l.tax_code = t.category AND l.rate_ppm = t.rate_ppm
        WHERE l.net IS NULL OR l.net <> t.net_minor OR l.tax <> t.tax_minor
        """,
    ),
    (
        "V5",
        "Each issued invoice and credit note has one ledger transaction, of its total, a buyer and a state.",
        """
        SELECT 'document ' || CAST(d.id AS text) AS what
        FROM document d
        LEFT JOIN ledger_transaction t ON t.source_kind = 'document' AND t.source_id = d.id
        LEFT JOIN posting p ON p.transaction_id = t.id AND p.line = 0
        LEFT JOIN document_state s ON s.document_id = d.id
        LEFT JOIN document_party b ON b.document_id = d.id AND b.role = 'buyer'
        WHERE d.state = 'issued' AND d.kind IN ('invoice', 'credit_note')
          AND (t.id IS NULL OR s.document_id IS NULL OR b.document_id IS NULL
               OR coalesce(p.amount_minor, 0) <> CASE WHEN d.kind = 'credit_note' THEN -d.total_minor
                   ELSE d.total_minor END)
        """,
    ),
    (
        "V5",
        "What a document is rounded by is what was booked as its rounding.",
        """
        SELECT 'document ' || CAST(d.id AS text) AS what
        FROM document d
        JOIN ledger_transaction t ON t.source_kind = 'document' AND t.source_id = d.id
        LEFT JOIN (SELECT p.transaction_id, sum(p.amount_minor) AS amount FROM posting p
                   JOIN account a ON a.id = p.account_id AND a.code = '7100' GROUP BY p.transaction_id) r
            ON r.transaction_id = t.id
        WHERE d.kind IN ('invoice', 'credit_note')
          AND coalesce(r.amount, 0) <> CASE WHEN d.kind = 'credit_note' THEN d.rounding_minor
              ELSE -d.rounding_minor END
        """,
    ),
    (
        "V5",
        "An invoiced charge stands on one line of its amount, of a document that is the payer's.",
        """
        SELECT 'charge ' || CAST(k.id AS text) AS what
        FROM charge k
        LEFT JOIN document_line l ON l.charge_id = k.id
        LEFT JOIN document d ON d.id = l.document_id
        WHERE k.state = 'invoiced'
          AND (l.id IS NULL OR l.amount_minor <> k.amount_minor OR d.payer_id <> k.payer_id OR d.currency <> k.currency)
        """,
    ),
    (
        "V5",
        "A credit note credits no more than its invoice charged.",
        """
        SELECT 'line ' || CAST(l.id AS text) AS what
        FROM document_line l
        JOIN (SELECT corrects_line_id, sum(net_minor) AS net, sum(tax_minor) AS tax, sum(deferred_minor) AS deferred
              FROM document_line WHERE corrects_line_id IS NOT NULL GROUP BY corrects_line_id) c
                  ON c.corrects_line_id = l.id
        WHERE (l.net_minor >= 0 AND (c.net > l.net_minor OR c.tax > l.tax_minor))
        """,
    ),
    (
        "V5",
        "Each issued invoice and credit note has its PDF, or a job that makes it.",
        """
        SELECT 'document ' || CAST(d.id AS text) AS what
        FROM document d
        WHERE d.state = 'issued' AND d.kind IN ('invoice', 'credit_note')
          AND NOT EXISTS (SELECT 1 FROM document_file f WHERE f.document_id = d.id AND f.format = 'pdf')
          AND NOT EXISTS (SELECT 1 FROM job j WHERE j.dedupe_key = 'document:' || CAST(d.id AS text))
        """,
    ),
    (
        "V5",
        "The PDF of a document is a stored file of the same bytes.",
        """
        SELECT 'document ' || CAST(f.document_id AS text) AS what
        FROM document_file f
        WHERE f.path <> ''
          AND NOT EXISTS (SELECT 1 FROM stored_file s WHERE s.sha256 = f.sha256 AND CAST(s.id AS text) = f.path)
        """,
    ),
    (
        "V4",
        "The shares of a bundle that a customer has come to its price.",
        """
        SELECT 'bundle ' || CAST(b.id AS text) AS what FROM customer_bundle b
        JOIN subscription u ON u.customer_bundle_id = b.id
        JOIN subscription_term t ON t.subscription_id = u.id AND t.in_force AND t.valid_to IS NULL
        LEFT JOIN subscription_discount d ON d.subscription_id = u.id AND d.of_bundle
        GROUP BY b.id, b.amount_minor, b.quantity_e6
        HAVING sum(t.gross_minor - coalesce(d.amount_minor, 0)) <> b.amount_minor * (b.quantity_e6 / 1000000)
        """,
    ),
    (
        "V6",
        "No message was sent by two jobs.",
        """
        SELECT 'job ' || CAST(min(id) AS text) AS what FROM job
        WHERE kind = 'send_message' AND state IN ('done', 'sending', 'unknown')
        GROUP BY payload HAVING count(*) > 1
        """,
    ),
    (
        "V8",
        "Nothing that was billed by a finished run is still due: its schedules were stepped on.",
        """
        SELECT 'subscription ' || CAST(s.subscription_id AS text) AS what
        FROM subscription_schedule s
        JOIN charge k ON k.subscription_id = s.subscription_id AND k.kind = 'recurring' AND k.state <> 'reversed'
            AND k.period_start = s.period_start AND (k.replaced_from IS NULL OR k.replaced_from > k.period_start)
        """,
    ),
)

_SQLITE: Final = (
    (
        "V3",
        "Amounts are integers.",
        """
        SELECT 'posting of transaction ' || CAST(transaction_id AS text) AS what FROM posting
        WHERE typeof(amount_minor) <> 'integer' OR typeof(base_minor) <> 'integer'
        UNION ALL SELECT 'line ' || CAST(id AS text) FROM document_line
        WHERE typeof(net_minor) <> 'integer' OR typeof(tax_minor) <> 'integer' OR typeof(deferred_minor) <> 'integer'
        UNION ALL SELECT 'charge ' || CAST(id AS text) FROM charge WHERE typeof(amount_minor) <> 'integer'
        """,
    ),
    (
        "V7",
        "Every row refers to one that is there.",
        "SELECT \"table\" || ' row ' || coalesce(CAST(rowid AS text), '?') AS what FROM pragma_foreign_key_check",
    ),
    (
        "V7",
        "The file is not damaged.",
        "SELECT integrity_check AS what FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    ),
)


# What keeps rows as they must be on PostgreSQL can be switched off there by the owner, and then lets anything through.
_POSTGRESQL: Final = (
    (
        "V7",
        "Every trigger is switched on, and every constraint holds for all rows.",
        """
        SELECT 'trigger ' || t.tgname || ' of ' || c.relname AS what
        FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE c.relnamespace = CAST(current_schema() AS regnamespace) AND t.tgenabled <> 'O'
        UNION ALL SELECT 'constraint ' || conname FROM pg_constraint
        WHERE connamespace = CAST(current_schema() AS regnamespace) AND NOT convalidated
        """,
    ),
)
_DEFERRED: Final = "Deferred revenue is what is not earned yet of lines, at the end of the last month recognised."
_OWN: Final = "The database is the tenant's own."
_REFERENCES: Final = "Every row refers to one that is there."
_FILES: Final = "Every stored file is there, and its bytes are as they were stored."
_LOG: Final = "The activity is as it was written and sealed."
_AGAIN: Final = "The last run, made again, would charge no day a second time."


async def verify(scope: Scope, *, thorough: bool = False) -> list[Violation]:
    """Every invariant of the books that does not hold; an empty list is what is hoped for.

    `thorough`: also what reads everything (see above): references on PostgreSQL, files, the last run again.
    """
    found: list[Violation] = []
    for key, rule, sql in (*RULES, *(_SQLITE if dialect() == "sqlite" else _POSTGRESQL)):
        found += await _ask(key, rule, sql)
    if (earned_until := await first_unearned_day()) != date.min:
        found += await _ask("V4", _DEFERRED, uneven(earned_until))
    owner = await value("SELECT uuid FROM tenant_meta WHERE one = 1")
    if owner != str(scope.tenant.uuid):
        found.append(Violation("V7", _OWN, 1, f"tenant {owner}"))
    if thorough:
        found += await _thoroughly(scope)
    return found


async def _ask(key: str, rule: str, sql: str) -> list[Violation]:
    (result,) = await rows(_Found, f"SELECT count(*) AS count, min(what) AS example FROM ({sql}) broken")
    return [Violation(key, rule, result.count, result.example or "")] if result.count else []


async def _thoroughly(scope: Scope) -> list[Violation]:
    found: list[Violation] = []
    if dialect() == "postgresql":
        for each in await rows(_Reference, REFERENCES):
            found += await _ask("V7", _REFERENCES, each.orphans)
    if scope.tenant.folder is not None and (damaged := await damaged_files(scope)):
        found.append(Violation("V7", _FILES, len(damaged), f"file {damaged[0].id}"))
    if (fault := await first_fault()) is not None:
        found.append(Violation("V9", _LOG, 1, fault.what))
    if again := await charged_again(scope):
        found.append(Violation("V8", _AGAIN, len(again), f"subscription {again[0]}"))
    return found


class _Reference(Struct, frozen=True):
    """A foreign key of one column."""

    child: str
    column: str
    parent: str
    key: str

    @property
    def orphans(self) -> str:
        return (
            f"SELECT '{self.child}.{self.column} ' || CAST(c.{self.column} AS text) AS what FROM {self.child} c"
            f" WHERE c.{self.column} IS NOT NULL"
            f" AND NOT EXISTS (SELECT 1 FROM {self.parent} p WHERE p.{self.key} = c.{self.column})"
        )


REFERENCES: Final = """
SELECT quote_ident(child.relname) AS child, quote_ident(a.attname) AS "column", quote_ident(parent.relname) AS parent,
       quote_ident(k.attname) AS key
FROM pg_constraint f
JOIN pg_class child ON child.oid = f.conrelid
JOIN pg_class parent ON parent.oid = f.confrelid
JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
JOIN pg_attribute k ON k.attrelid = f.confrelid AND k.attnum = f.confkey[1]
WHERE f.contype = 'f' AND cardinality(f.conkey) = 1 AND f.connamespace = CAST(current_schema() AS regnamespace)
ORDER BY child.relname, a.attname
"""


async def count_documents() -> int:
    """How many documents were looked at: for the command's answer."""
    return int(await value("SELECT count(*) FROM document WHERE state = 'issued'"))
