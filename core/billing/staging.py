"""The tables in which documents are worked out before they are written: temporary, of one connection.

A run, a preview and a single invoice by hand fill the same tables by the same statements; only what fills `stage_line`
differs. On PostgreSQL they are emptied by the commit, on SQLite at the beginning of the next use.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from core.database import dialect, execute, execute_all, run_sql, value

TABLES: Final = """
CREATE TEMP TABLE IF NOT EXISTS stage_period (
    rhythm text NOT NULL,
    part integer NOT NULL,
    start_on date NOT NULL,
    end_on date NOT NULL,
    days integer NOT NULL,
    of_days integer NOT NULL,
    PRIMARY KEY (rhythm, part)
) KEEP;
CREATE TEMP TABLE IF NOT EXISTS stage_next (
    rhythm text NOT NULL PRIMARY KEY,
    parts integer NOT NULL,
    cycle_no integer,
    start_on date,
    end_on date,
    due_on date
) KEEP;
CREATE TEMP TABLE IF NOT EXISTS stage_due (
    subscription_id bigint PRIMARY KEY,
    customer_id bigint NOT NULL,
    payer_id bigint NOT NULL,
    product_id bigint NOT NULL,
    label text NOT NULL,
    period_start date NOT NULL,
    rhythm text NOT NULL,
    cycle text NOT NULL,
    bills boolean NOT NULL
) FORGET;
CREATE TEMP TABLE IF NOT EXISTS stage_line (
    id LINE_ID,
    is_new boolean NOT NULL,
    subscription_id bigint,
    term_id bigint,
    customer_id bigint NOT NULL,
    payer_id bigint NOT NULL,
    product_id bigint,
    kind text NOT NULL,
    component text NOT NULL,
    description text NOT NULL,
    period_start date,
    period_end date,
    days integer NOT NULL,
    of_days integer NOT NULL,
    quantity_e6 bigint NOT NULL,
    unit_price_e6 bigint NOT NULL,
    discount_minor bigint NOT NULL,
    amount_minor bigint,
    currency text NOT NULL,
    tax_category text NOT NULL,
    tax_inclusive boolean NOT NULL,
    tax_until date,
    source_key text,
    place integer NOT NULL,
    split_id bigint NOT NULL,
    activates boolean NOT NULL,
    over_days integer NOT NULL,
    all_days integer NOT NULL,
    tax_rate_id bigint,
    tax_code text,
    rate_ppm bigint,
    net_minor bigint,
    tax_minor bigint,
    deferred_minor bigint,
    base_net_minor bigint,
    base_tax_minor bigint,
    base_deferred_minor bigint,
    corrects_line_id bigint,
    problem text
) FORGET;
CREATE INDEX IF NOT EXISTS stage_line_of ON stage_line (payer_id, currency, split_id);
CREATE TEMP TABLE IF NOT EXISTS stage_parked (
    payer_id bigint PRIMARY KEY,
    reason text NOT NULL,
    amount_minor bigint,
    currency text
) FORGET;
CREATE TEMP TABLE IF NOT EXISTS stage_tax (
    payer_id bigint NOT NULL,
    currency text NOT NULL,
    split_id bigint NOT NULL,
    tax_code text NOT NULL,
    rate_ppm bigint NOT NULL,
    tax_inclusive boolean NOT NULL,
    net_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    rest_minor bigint NOT NULL,
    tax_until date
) FORGET;
CREATE TEMP TABLE IF NOT EXISTS stage_document (
    id DOCUMENT_ID,
    transaction_id bigint,
    kind text NOT NULL,
    payer_id bigint NOT NULL,
    currency text NOT NULL,
    split_id bigint NOT NULL,
    net_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    rounding_minor bigint NOT NULL DEFAULT 0,
    total_minor bigint NOT NULL,
    base_minor bigint NOT NULL,
    base_rounding_minor bigint NOT NULL DEFAULT 0,
    rate_e10 bigint NOT NULL,
    due_on date NOT NULL,
    tax_on date,
    language text NOT NULL,
    corrects_id bigint,
    UNIQUE (payer_id, currency, split_id)
) FORGET;
CREATE TEMP TABLE IF NOT EXISTS stage_allocation (
    id ALLOCATION_ID,
    transaction_id bigint,
    credit_entry_id bigint NOT NULL,
    document_id bigint NOT NULL,
    payer_id bigint NOT NULL,
    currency text NOT NULL,
    amount_minor bigint NOT NULL
) FORGET;
"""

# What SQLite gives by itself, PostgreSQL's sequences give; ids of a preview are never kept.
_SQLITE: Final = {
    "LINE_ID": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "DOCUMENT_ID": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "ALLOCATION_ID": "INTEGER PRIMARY KEY AUTOINCREMENT",
    " KEEP": "",
    " FORGET": "",
}
_POSTGRESQL: Final = {
    "LINE_ID": "bigint",
    "DOCUMENT_ID": "bigint",
    "ALLOCATION_ID": "bigint",
    " KEEP": " ON COMMIT PRESERVE ROWS",
    " FORGET": " ON COMMIT DELETE ROWS",
}
# A chunk is small beside the tables it is joined with, also where these were empty when a plan was made and kept: so
# joins go in the order in which they are written, along the indexes.
BY_INDEX: Final = "; ".join(
    f"SET LOCAL {setting}"
    for setting in (
        "join_collapse_limit = 1",
        "enable_seqscan = off",
        "enable_hashjoin = off",
        "enable_mergejoin = off",
    )
)
_EMPTIED: Final = ("stage_due", "stage_line", "stage_parked", "stage_tax", "stage_document", "stage_allocation")
# A table that SQLite has no figures of counts as a million rows: it would go over the tenant's own tables first, from
# one end to the other for each chunk.
_FEW_ROWS: Final = (
    "ANALYZE temp; INSERT INTO temp.sqlite_stat1 (tbl, idx, stat) VALUES "
    + ", ".join(f"('{table}', NULL, '100')" for table in (*_EMPTIED, "stage_next", "stage_period"))
    + "; ANALYZE temp.sqlite_schema"
)
_REAL: Final = {"stage_line": "charge", "stage_document": "document", "stage_allocation": "allocation"}


def tables() -> str:
    """The DDL for the bound database."""
    text = TABLES
    for word, meaning in (_SQLITE if dialect() == "sqlite" else _POSTGRESQL).items():
        text = text.replace(word, meaning)
    return f"{text}; {_FEW_ROWS}" if dialect() == "sqlite" else text


async def prepare(*, preview: bool = False) -> None:
    """Empty tables, in the transaction that is open; of a preview, `reading(tables())` has made them."""
    if dialect() == "sqlite":
        if not await value("SELECT count(*) FROM sqlite_temp_schema WHERE name = 'stage_document'"):
            await run_sql(tables())
        statements = [f"DELETE FROM {table}" for table in (*_EMPTIED, "temp.sqlite_sequence")]
        # The one write lock is held, or a picture of the database: so ids go on from the last ones given.
        statements.append(
            "INSERT INTO temp.sqlite_sequence (name, seq) SELECT CASE name WHEN 'charge' THEN 'stage_line'"
            " WHEN 'document' THEN 'stage_document' ELSE 'stage_allocation' END, seq FROM main.sqlite_sequence"
            " WHERE name IN ('charge', 'document', 'allocation')"
        )
        await execute_all([(statement, {}) for statement in statements])
    elif not preview:
        await run_sql(BY_INDEX)
        if not await value("SELECT to_regclass('pg_temp.stage_document') IS NOT NULL"):
            await run_sql(tables())
        elif await value("SELECT 1 FROM stage_document UNION ALL SELECT 1 FROM stage_line LIMIT 1"):
            # A second use in one transaction.
            await execute_all([(f"DELETE FROM {table}", {}) for table in _EMPTIED])


def next_id(table: str, *, preview: bool = False) -> str:
    """The expression for the id of a row of a staging table, which will be the id of the real row."""
    if dialect() == "sqlite":
        return "NULL"
    if preview:
        # Behind the open charges that stand among the lines with ids of their own.
        last = f"(SELECT coalesce(max(id), 0) FROM {_REAL[table]})"
        return f"{last} + (SELECT count(*) FROM {table}) + row_number() OVER ()"
    return f"nextval('{_REAL[table]}_id_seq')"


def days_between(first: str, last: str) -> str:
    """Whole days from one date to another, as SQL."""
    if dialect() == "sqlite":
        return f"CAST(julianday({last}) - julianday({first}) AS integer)"
    return f"({last} - {first})"


def days_after(day: str, days: str) -> str:
    """The date some days after another, as SQL."""
    if dialect() == "sqlite":
        return f"date({day}, '+' || ({days}) || ' days')"
    return f"({day} + ({days}))"


def day_before(day: str) -> str:
    return f"date({day}, '-1 day')" if dialect() == "sqlite" else f"({day} - 1)"


def json_object(**parts: str) -> str:
    """A JSON object of SQL expressions, as SQL."""
    listed = ", ".join(f"'{name}', {expression}" for name, expression in parts.items())
    return f"json_object({listed})" if dialect() == "sqlite" else f"CAST(json_build_object({listed}) AS text)"


def smaller(one: str, other: str) -> str:
    return f"min({one}, {other})" if dialect() == "sqlite" else f"least({one}, {other})"


def larger(one: str, other: str) -> str:
    return f"max({one}, {other})" if dialect() == "sqlite" else f"greatest({one}, {other})"


async def staged_all(*statements: tuple[str, dict[str, Any]]) -> list[int]:
    """Several of them, one after the other. Rows touched by each."""
    return await execute_all([(in_order(sql), values) for sql, values in statements])


async def staged(sql: str, **values: Any) -> int:
    """A statement over staging tables: see `in_order`. Rows touched."""
    return await execute(in_order(sql), **values)


def in_order(sql: str) -> str:
    """`THEN JOIN` joins in the order in which it is written.

    SQLite knows nothing of the size of a temporary table, takes it for a large one and would begin with the customers;
    its CROSS JOIN keeps the order. PostgreSQL looks at the size, and finds the order by itself.
    """
    return _in_order(sql, dialect() == "sqlite")


@lru_cache(maxsize=512)
def _in_order(sql: str, fixed: bool) -> str:
    return sql.replace("THEN JOIN", "CROSS JOIN" if fixed else "JOIN")
