"""The books: accounts, transactions, postings, and the balances that the posting statement keeps beside them.

A transaction is closed by its row in `ledger_transaction`, which is written after its postings. So the database itself proves at
that moment, on both databases, that they sum to zero in each currency and in the base currency and belong to one book; and
a closed transaction takes no further posting. The stored balances are moved by a trigger on `posting`: no posting can
be written without them.
"""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "ledger"

TABLES = """
CREATE TABLE book (
    id {id},
    reseller_id bigint UNIQUE,
    name text NOT NULL
);
CREATE TABLE account (
    id {id},
    book_id bigint NOT NULL REFERENCES book (id),
    code {key} NOT NULL,
    kind text NOT NULL CHECK (kind IN ('asset', 'liability', 'income', 'expense', 'either', 'technical')),
    name text NOT NULL,
    UNIQUE (book_id, code)
);
CREATE TABLE ledger_transaction (
    id {id},
    book_id bigint NOT NULL REFERENCES book (id),
    kind text NOT NULL,
    source_kind text NOT NULL,
    source_id bigint NOT NULL,
    revision integer NOT NULL DEFAULT 0,
    booked_on date NOT NULL,
    run_id bigint,
    UNIQUE (source_kind, source_id, kind, revision)
);
CREATE INDEX ledger_transaction_booked ON ledger_transaction (booked_on, id);
CREATE TABLE posting (
    transaction_id bigint NOT NULL REFERENCES ledger_transaction (id) DEFERRABLE INITIALLY DEFERRED,
    line integer NOT NULL,
    account_id bigint NOT NULL REFERENCES account (id),
    customer_id bigint REFERENCES customer (id),
    product_id bigint,
    tax_rate_id bigint,
    booked_on date NOT NULL,
    currency text NOT NULL,
    amount_minor bigint NOT NULL,
    base_minor bigint NOT NULL,
    PRIMARY KEY (transaction_id, line),
    CHECK (amount_minor <> 0 OR base_minor <> 0)
)CLUSTERED;
CREATE INDEX posting_customer ON posting (customer_id, booked_on, transaction_id) WHERE customer_id IS NOT NULL;
CREATE INDEX posting_account ON posting (account_id, booked_on);
CREATE TABLE customer_balance (
    customer_id bigint NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    currency text NOT NULL,
    is_main boolean NOT NULL,
    partition_id bigint,
    receivable_minor bigint NOT NULL DEFAULT 0 CHECK (receivable_minor >= 0),
    credit_minor bigint NOT NULL DEFAULT 0 CHECK (credit_minor >= 0),
    deposit_minor bigint NOT NULL DEFAULT 0 CHECK (deposit_minor >= 0),
    balance_minor bigint NOT NULL GENERATED ALWAYS AS (credit_minor - receivable_minor) STORED,
    PRIMARY KEY (customer_id, currency)
)CLUSTERED;
CREATE UNIQUE INDEX customer_balance_main ON customer_balance (customer_id) WHERE is_main;
CREATE INDEX customer_balance_amount ON customer_balance (balance_minor, customer_id) WHERE is_main;
CREATE INDEX customer_balance_partition ON customer_balance (partition_id, balance_minor, customer_id) WHERE is_main;
CREATE TABLE recognition (
    id {id},
    book_id bigint NOT NULL REFERENCES book (id),
    product_id bigint NOT NULL,
    month date NOT NULL,
    UNIQUE (book_id, product_id, month)
);
CREATE TABLE fx_rate (
    id {id},
    from_currency text NOT NULL CHECK (length(from_currency) = 3),
    to_currency text NOT NULL CHECK (length(to_currency) = 3),
    valid_on date NOT NULL,
    rate_e10 bigint NOT NULL CHECK (rate_e10 > 0),
    UNIQUE (from_currency, to_currency, valid_on)
);
CREATE TABLE customer_fx_rate (
    id {id},
    customer_id bigint NOT NULL REFERENCES customer (id) ON DELETE CASCADE,
    from_currency text NOT NULL CHECK (length(from_currency) = 3),
    to_currency text NOT NULL CHECK (length(to_currency) = 3),
    valid_from date NOT NULL,
    rate_e10 bigint NOT NULL CHECK (rate_e10 > 0),
    UNIQUE (customer_id, from_currency, to_currency, valid_from)
);
INSERT INTO book (reseller_id, name) VALUES (NULL, 'Main');
INSERT INTO account (book_id, code, kind, name)
SELECT book.id, a.code, a.kind, a.name FROM book CROSS JOIN (
    SELECT '1100' AS code, 'asset' AS kind, 'Receivable' AS name
    UNION ALL SELECT '1200', 'asset', 'Bank or cash'
    UNION ALL SELECT '1210', 'asset', 'Payments in transit'
    UNION ALL SELECT '1250', 'asset', 'Input tax'
    UNION ALL SELECT '2000', 'liability', 'Customer credit'
    UNION ALL SELECT '2100', 'liability', 'Deposits'
    UNION ALL SELECT '2200', 'liability', 'Tax payable'
    UNION ALL SELECT '2300', 'liability', 'Deferred revenue'
    UNION ALL SELECT '2400', 'liability', 'Commission payable'
    UNION ALL SELECT '2500', 'liability', 'Suspense'
    UNION ALL SELECT '2600', 'liability', 'Owed to the tenant'
    UNION ALL SELECT '4000', 'income', 'Revenue'
    UNION ALL SELECT '4100', 'income', 'Late fees'
    UNION ALL SELECT '4200', 'income', 'Forfeited credit'
    UNION ALL SELECT '4900', 'expense', 'Goodwill'
    UNION ALL SELECT '5000', 'expense', 'Bad debts'
    UNION ALL SELECT '5100', 'expense', 'Commission'
    UNION ALL SELECT '5200', 'expense', 'Payment fees'
    UNION ALL SELECT '5300', 'expense', 'Wholesale cost'
    UNION ALL SELECT '7000', 'either', 'FX differences'
    UNION ALL SELECT '7100', 'either', 'Rounding'
    UNION ALL SELECT '9000', 'technical', 'FX clearing'
    UNION ALL SELECT '9100', 'technical', 'Opening balances') a;
INSERT INTO customer_balance (customer_id, currency, is_main, partition_id)
SELECT id, currency, TRUE, partition_id FROM customer;
"""

SQLITE_TRIGGERS = """
CREATE TRIGGER posting_stays_update BEFORE UPDATE ON posting
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER posting_stays_delete BEFORE DELETE ON posting
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER posting_stays_closed BEFORE INSERT ON posting
WHEN EXISTS (SELECT 1 FROM ledger_transaction WHERE id = NEW.transaction_id)
BEGIN SELECT RAISE(ABORT, 'a closed transaction takes no further posting'); END;
CREATE TRIGGER posting_moves_balance AFTER INSERT ON posting WHEN NEW.customer_id IS NOT NULL
BEGIN
    INSERT INTO customer_balance (customer_id, currency, is_main, partition_id, receivable_minor, credit_minor, deposit_minor)
    SELECT NEW.customer_id, NEW.currency, FALSE, (SELECT partition_id FROM customer WHERE id = NEW.customer_id), 0, 0, 0
    WHERE NOT EXISTS (SELECT 1 FROM customer_balance WHERE customer_id = NEW.customer_id AND currency = NEW.currency);
    UPDATE customer_balance SET
        receivable_minor = receivable_minor + CASE account.code WHEN '1100' THEN NEW.amount_minor ELSE 0 END,
        credit_minor = credit_minor - CASE account.code WHEN '2000' THEN NEW.amount_minor ELSE 0 END,
        deposit_minor = deposit_minor - CASE account.code WHEN '2100' THEN NEW.amount_minor ELSE 0 END
    FROM account
    WHERE account.id = NEW.account_id AND customer_id = NEW.customer_id AND currency = NEW.currency;
END;

CREATE TRIGGER ledger_transaction_stays_update BEFORE UPDATE ON ledger_transaction
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_transaction_stays_delete BEFORE DELETE ON ledger_transaction
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_transaction_stays_insert BEFORE INSERT ON ledger_transaction
WHEN EXISTS (SELECT 1 FROM ledger_transaction WHERE id = NEW.id)
  OR EXISTS (SELECT 1 FROM ledger_transaction WHERE source_kind = NEW.source_kind AND source_id = NEW.source_id
             AND kind = NEW.kind AND revision = NEW.revision)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END;
CREATE TRIGGER ledger_transaction_closes AFTER INSERT ON ledger_transaction
WHEN (SELECT coalesce(sum(base_minor), 0) FROM posting WHERE transaction_id = NEW.id) <> 0
  OR EXISTS (SELECT 1 FROM posting WHERE transaction_id = NEW.id GROUP BY currency HAVING sum(amount_minor) <> 0)
  OR EXISTS (SELECT 1 FROM posting JOIN account ON account.id = posting.account_id
             WHERE transaction_id = NEW.id AND account.book_id <> NEW.book_id)
BEGIN SELECT RAISE(ABORT, 'postings of a transaction sum to zero, in one book'); END;

CREATE TRIGGER customer_opens_balance AFTER INSERT ON customer
BEGIN
    INSERT INTO customer_balance (customer_id, currency, is_main, partition_id) VALUES (NEW.id, NEW.currency, TRUE, NEW.partition_id);
END;
CREATE TRIGGER customer_moves_main_balance AFTER UPDATE OF currency ON customer WHEN OLD.currency <> NEW.currency
BEGIN
    UPDATE customer_balance SET is_main = FALSE WHERE customer_id = NEW.id AND is_main;
    INSERT INTO customer_balance (customer_id, currency, is_main, partition_id)
    SELECT NEW.id, NEW.currency, FALSE, NEW.partition_id
    WHERE NOT EXISTS (SELECT 1 FROM customer_balance WHERE customer_id = NEW.id AND currency = NEW.currency);
    UPDATE customer_balance SET is_main = TRUE WHERE customer_id = NEW.id AND currency = NEW.currency;
END;
CREATE TRIGGER customer_moves_partition AFTER UPDATE OF partition_id ON customer WHEN OLD.partition_id IS NOT NEW.partition_id
BEGIN
    UPDATE customer_balance SET partition_id = NEW.partition_id WHERE customer_id = NEW.id;
END;
"""

# What is added is looked up row by row along the index, by sub-selects that cannot be turned into joins; balances are moved by
# EXECUTE, planned anew each time: a plan made when the tables were small would be kept.
POSTGRESQL_TRIGGERS = """
CREATE FUNCTION ledger_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$;
CREATE TRIGGER posting_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON posting
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_stays();
CREATE TRIGGER ledger_transaction_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_transaction
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_stays();

CREATE FUNCTION posting_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM (SELECT DISTINCT transaction_id FROM added) a
        WHERE (SELECT count(*) FROM ledger_transaction t WHERE t.id = a.transaction_id) > 0
    ) THEN
        RAISE EXCEPTION 'a closed transaction takes no further posting';
    END IF;
    IF EXISTS (
        SELECT 1 FROM (SELECT DISTINCT customer_id, currency FROM added WHERE customer_id IS NOT NULL) a
        WHERE (SELECT count(*) FROM customer_balance b WHERE b.customer_id = a.customer_id AND b.currency = a.currency) = 0
    ) THEN
        INSERT INTO customer_balance (customer_id, currency, is_main, partition_id)
        SELECT DISTINCT added.customer_id, added.currency, FALSE, customer.partition_id
        FROM added JOIN customer ON customer.id = added.customer_id
        ON CONFLICT DO NOTHING;
    END IF;
    EXECUTE $move$
        UPDATE customer_balance SET
            receivable_minor = customer_balance.receivable_minor + moved.receivable,
            credit_minor = customer_balance.credit_minor + moved.credit,
            deposit_minor = customer_balance.deposit_minor + moved.deposit
        FROM (
            SELECT added.customer_id, added.currency,
                CAST(sum(CASE account.code WHEN '1100' THEN amount_minor ELSE 0 END) AS bigint) AS receivable,
                CAST(-sum(CASE account.code WHEN '2000' THEN amount_minor ELSE 0 END) AS bigint) AS credit,
                CAST(-sum(CASE account.code WHEN '2100' THEN amount_minor ELSE 0 END) AS bigint) AS deposit
            FROM added JOIN account ON account.id = added.account_id
            WHERE added.customer_id IS NOT NULL
            GROUP BY added.customer_id, added.currency
            ORDER BY added.customer_id, added.currency
        ) moved
        WHERE customer_balance.customer_id = moved.customer_id AND customer_balance.currency = moved.currency
    $move$;
    RETURN NULL;
END $$;
CREATE TRIGGER posting_added AFTER INSERT ON posting REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION posting_added();

CREATE FUNCTION ledger_transaction_closes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM added CROSS JOIN LATERAL (
            SELECT sum(base) AS base, bool_or(amount <> 0) AS uneven, sum(foreign_lines) AS foreign_lines FROM (
                SELECT sum(amount_minor) AS amount, sum(base_minor) AS base,
                       sum(CASE WHEN (SELECT book_id FROM account WHERE account.id = posting.account_id) <> added.book_id
                           THEN 1 ELSE 0 END) AS foreign_lines
                FROM posting WHERE posting.transaction_id = added.id GROUP BY currency
            ) by_currency
        ) sums
        WHERE sums.base <> 0 OR sums.uneven OR sums.foreign_lines > 0
    ) THEN
        RAISE EXCEPTION 'postings of a transaction sum to zero, in one book';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_transaction_closes AFTER INSERT ON ledger_transaction REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_transaction_closes();

CREATE FUNCTION customer_opens_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO customer_balance (customer_id, currency, is_main, partition_id) SELECT id, currency, TRUE, partition_id FROM added;
    RETURN NULL;
END $$;
CREATE TRIGGER customer_opens_balance AFTER INSERT ON customer REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION customer_opens_balance();

CREATE FUNCTION customer_moves_main_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE customer_balance SET is_main = FALSE WHERE customer_id = NEW.id AND is_main;
    INSERT INTO customer_balance (customer_id, currency, is_main, partition_id)
    VALUES (NEW.id, NEW.currency, FALSE, NEW.partition_id) ON CONFLICT DO NOTHING;
    UPDATE customer_balance SET is_main = TRUE WHERE customer_id = NEW.id AND currency = NEW.currency;
    RETURN NULL;
END $$;
CREATE TRIGGER customer_moves_main_balance AFTER UPDATE OF currency ON customer
    FOR EACH ROW WHEN (OLD.currency <> NEW.currency) EXECUTE FUNCTION customer_moves_main_balance();

CREATE FUNCTION customer_moves_partition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE customer_balance SET partition_id = NEW.partition_id WHERE customer_id = NEW.id;
    RETURN NULL;
END $$;
CREATE TRIGGER customer_moves_partition AFTER UPDATE OF partition_id ON customer
    FOR EACH ROW WHEN (OLD.partition_id IS DISTINCT FROM NEW.partition_id) EXECUTE FUNCTION customer_moves_partition();
"""


async def forwards() -> None:
    await run_sql(
        sqlite=TABLES.replace("CLUSTERED", " WITHOUT ROWID"),
        postgresql=TABLES.replace("CLUSTERED", ""),
    )
    await run_sql(sqlite=SQLITE_TRIGGERS, postgresql=POSTGRESQL_TRIGGERS)
