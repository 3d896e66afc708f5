"""Documents with their lines, taxes and parties; number series; open credit and what it settles; billing runs.

Issued documents are immutable by trigger. A billing run writes lines and taxes first and the document last, with its number, so
their references are checked at the commit; a document that is issued takes no further line.
"""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "billing"

TABLES = """
CREATE TABLE seller (
    id {id},
    code {key} NOT NULL UNIQUE CHECK (code <> ''),
    name text NOT NULL CHECK (name <> ''),
    street text NOT NULL DEFAULT '',
    zip text NOT NULL DEFAULT '',
    city text NOT NULL DEFAULT '',
    country text NOT NULL DEFAULT '',
    vat_id text NOT NULL DEFAULT '',
    tax_number text NOT NULL DEFAULT '',
    registration text NOT NULL DEFAULT '',
    email text NOT NULL DEFAULT '',
    phone text NOT NULL DEFAULT '',
    website text NOT NULL DEFAULT '',
    bank_name text NOT NULL DEFAULT '',
    iban text NOT NULL DEFAULT '',
    bic text NOT NULL DEFAULT '',
    footer text NOT NULL DEFAULT '',
    oss boolean NOT NULL DEFAULT FALSE,
    book_id bigint NOT NULL REFERENCES book (id),
    is_default boolean NOT NULL DEFAULT FALSE,
    version bigint NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX seller_default ON seller (is_default) WHERE is_default;
CREATE TABLE seller_snapshot (
    id {id},
    seller_id bigint NOT NULL REFERENCES seller (id),
    digest text NOT NULL,
    snapshot text NOT NULL,
    UNIQUE (seller_id, digest)
);
CREATE TABLE number_series (
    id {id},
    kind text NOT NULL CHECK (kind IN ('invoice', 'credit_note', 'proforma')),
    seller_id bigint NOT NULL REFERENCES seller (id),
    book_id bigint NOT NULL REFERENCES book (id),
    pattern text NOT NULL,
    reset text NOT NULL CHECK (reset IN ('yearly', 'never')),
    last_issued_on date,
    UNIQUE (kind, seller_id)
);
CREATE TABLE number_counter (
    id {id},
    series_id bigint NOT NULL REFERENCES number_series (id),
    year integer NOT NULL,
    next bigint NOT NULL DEFAULT 1 CHECK (next > 0),
    UNIQUE (series_id, year)
);
CREATE TABLE billing_run (
    id {id_never_reused},
    as_of_on date NOT NULL,
    issued_on date NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'open', 'done', 'superseded', 'cancelled')),
    question text NOT NULL DEFAULT '',
    payers_total bigint NOT NULL DEFAULT 0,
    payers_done bigint NOT NULL DEFAULT 0,
    after_payer_id bigint NOT NULL DEFAULT 0,
    invoices bigint NOT NULL DEFAULT 0,
    charges bigint NOT NULL DEFAULT 0,
    parked bigint NOT NULL DEFAULT 0,
    totals text NOT NULL DEFAULT '{}',
    expected text NOT NULL DEFAULT '{}',
    actor text NOT NULL,
    started_at timestamptz NOT NULL,
    finished_at timestamptz
);
CREATE UNIQUE INDEX billing_run_open ON billing_run (as_of_on) WHERE state IN ('waiting', 'open');
CREATE INDEX billing_run_as_of ON billing_run (as_of_on, id);
CREATE TABLE billing_parked (
    id {id},
    payer_id bigint NOT NULL REFERENCES customer (id),
    run_id bigint NOT NULL REFERENCES billing_run (id),
    reason text NOT NULL,
    detail text NOT NULL DEFAULT '',
    parked_at timestamptz NOT NULL,
    resolved_at timestamptz
);
CREATE UNIQUE INDEX billing_parked_open ON billing_parked (payer_id) WHERE resolved_at IS NULL;
CREATE INDEX billing_parked_run ON billing_parked (run_id);
CREATE TABLE document (
    id {id_never_reused},
    kind text NOT NULL CHECK (kind IN ('invoice', 'credit_note', 'proforma', 'opening')),
    state text NOT NULL CHECK (state IN ('draft', 'issued')),
    series_id bigint REFERENCES number_series (id),
    year integer,
    seq bigint,
    number {key},
    payer_id bigint NOT NULL REFERENCES customer (id),
    seller_id bigint NOT NULL REFERENCES seller (id),
    seller_snapshot_id bigint REFERENCES seller_snapshot (id),
    book_id bigint NOT NULL REFERENCES book (id),
    issued_on date,
    due_on date,
    tax_on date,
    terms_days integer CHECK (terms_days BETWEEN 0 AND 365),
    currency text NOT NULL CHECK (length(currency) = 3),
    net_minor bigint NOT NULL DEFAULT 0,
    tax_minor bigint NOT NULL DEFAULT 0,
    rounding_minor bigint NOT NULL DEFAULT 0,
    total_minor bigint NOT NULL DEFAULT 0,
    fx_rate_e10 bigint CHECK (fx_rate_e10 > 0),
    tax_fx_rate_e10 bigint CHECK (tax_fx_rate_e10 > 0),
    tax_currency_minor bigint,
    corrects_id bigint REFERENCES document (id),
    language text NOT NULL DEFAULT '',
    template_version integer NOT NULL DEFAULT 1,
    reference text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    run_id bigint REFERENCES billing_run (id),
    group_key text,
    version bigint NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL,
    issued_at timestamptz,
    CHECK (total_minor = net_minor + tax_minor + rounding_minor),
    CHECK (state = 'draft' OR (issued_on IS NOT NULL AND number IS NOT NULL AND issued_at IS NOT NULL)),
    CHECK (state = 'draft' OR kind IN ('proforma', 'opening') OR (series_id IS NOT NULL AND year IS NOT NULL AND seq IS NOT NULL))
);
CREATE UNIQUE INDEX document_seq ON document (series_id, year, seq) WHERE state = 'issued';
CREATE UNIQUE INDEX document_number ON document (number, series_id) WHERE state = 'issued';
CREATE UNIQUE INDEX document_group ON document (run_id, group_key) WHERE run_id IS NOT NULL;
CREATE INDEX document_payer ON document (payer_id, issued_on, id);
CREATE INDEX document_issued ON document (issued_on, id);
CREATE INDEX document_due ON document (due_on, id);
CREATE INDEX document_total ON document (total_minor, id);
CREATE INDEX document_corrects ON document (corrects_id) WHERE corrects_id IS NOT NULL;
CREATE TABLE document_line (
    id {id},
    document_id bigint NOT NULL REFERENCES document (id) DEFERRABLE INITIALLY DEFERRED,
    position integer NOT NULL CHECK (position > 0),
    charge_id bigint REFERENCES charge (id),
    beneficiary_id bigint REFERENCES customer (id),
    product_id bigint REFERENCES product (id),
    kind text NOT NULL DEFAULT 'one_off',
    description text NOT NULL,
    quantity_e6 bigint NOT NULL,
    unit_price_e6 bigint NOT NULL,
    discount_minor bigint NOT NULL DEFAULT 0,
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN -1000000000000 AND 1000000000000),
    net_minor bigint NOT NULL,
    tax_category {key} NOT NULL,
    tax_inclusive boolean NOT NULL,
    tax_rate_id bigint REFERENCES tax_rate (id),
    tax_code text NOT NULL DEFAULT '',
    rate_ppm bigint NOT NULL DEFAULT 0,
    tax_minor bigint NOT NULL DEFAULT 0,
    deferred_minor bigint NOT NULL DEFAULT 0,
    base_net_minor bigint NOT NULL DEFAULT 0,
    base_tax_minor bigint NOT NULL DEFAULT 0,
    base_deferred_minor bigint NOT NULL DEFAULT 0,
    period_from date,
    period_to date,
    corrects_line_id bigint REFERENCES document_line (id),
    UNIQUE (document_id, position)
);
CREATE UNIQUE INDEX document_line_charge ON document_line (charge_id) WHERE charge_id IS NOT NULL;
CREATE INDEX document_line_corrects ON document_line (corrects_line_id) WHERE corrects_line_id IS NOT NULL;
CREATE INDEX document_line_deferred ON document_line (period_to) WHERE deferred_minor <> 0;
CREATE TABLE document_tax (
    document_id bigint NOT NULL REFERENCES document (id) DEFERRABLE INITIALLY DEFERRED,
    category text NOT NULL,
    rate_ppm bigint NOT NULL,
    net_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    exemption_code text NOT NULL DEFAULT '',
    PRIMARY KEY (document_id, category, rate_ppm)
)CLUSTERED;
CREATE TABLE document_party (
    document_id bigint NOT NULL REFERENCES document (id) DEFERRABLE INITIALLY DEFERRED,
    role text NOT NULL CHECK (role IN ('buyer', 'recipient', 'payee')),
    snapshot text NOT NULL,
    retain_until date NOT NULL,
    PRIMARY KEY (document_id, role)
)CLUSTERED;
CREATE INDEX document_party_retain ON document_party (retain_until);
CREATE TABLE document_file (
    id {id},
    document_id bigint NOT NULL REFERENCES document (id),
    format text NOT NULL,
    sha256 text NOT NULL,
    path text NOT NULL,
    created_at timestamptz NOT NULL,
    UNIQUE (document_id, format)
);
CREATE TABLE document_state (
    document_id DOCUMENT_KEY REFERENCES document (id) DEFERRABLE INITIALLY DEFERRED,
    payer_id bigint NOT NULL REFERENCES customer (id),
    due_on date NOT NULL,
    currency text NOT NULL,
    open_minor bigint NOT NULL CHECK (open_minor >= 0),
    base_open_minor bigint NOT NULL,
    settled_on date,
    disputed boolean NOT NULL DEFAULT FALSE,
    promise_on date,
    last_step integer NOT NULL DEFAULT 0,
    sent_at timestamptz,
    CHECK ((open_minor = 0) = (settled_on IS NOT NULL))
);
CREATE INDEX document_state_payer ON document_state (payer_id, due_on, document_id) WHERE open_minor > 0;
CREATE INDEX document_state_due ON document_state (due_on, document_id) WHERE open_minor > 0;
CREATE TABLE credit_entry (
    id {id_never_reused},
    customer_id bigint NOT NULL REFERENCES customer (id),
    currency text NOT NULL,
    source_kind text NOT NULL CHECK (source_kind IN ('payment', 'credit_note', 'goodwill', 'deposit', 'transfer', 'opening')),
    source_id bigint NOT NULL,
    subscription_id bigint REFERENCES subscription (id),
    reason text NOT NULL DEFAULT '',
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    base_minor bigint NOT NULL,
    left_minor bigint NOT NULL CHECK (left_minor BETWEEN 0 AND amount_minor),
    base_left_minor bigint NOT NULL,
    created_on date NOT NULL,
    UNIQUE (source_kind, source_id)
);
CREATE INDEX credit_entry_free ON credit_entry (customer_id, currency, id) WHERE left_minor > 0;
CREATE INDEX credit_entry_subscription ON credit_entry (subscription_id) WHERE left_minor > 0 AND subscription_id IS NOT NULL;
CREATE TABLE allocation (
    id {id_never_reused},
    credit_entry_id bigint NOT NULL REFERENCES credit_entry (id),
    document_id bigint NOT NULL REFERENCES document (id) DEFERRABLE INITIALLY DEFERRED,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    base_credit_minor bigint NOT NULL,
    base_document_minor bigint NOT NULL,
    allocated_on date NOT NULL,
    undoes_id bigint UNIQUE REFERENCES allocation (id),
    CHECK ((amount_minor < 0) = (undoes_id IS NOT NULL))
);
CREATE INDEX allocation_document ON allocation (document_id);
CREATE INDEX allocation_credit ON allocation (credit_entry_id);
CREATE TABLE credit_use (
    id {id_never_reused},
    credit_entry_id bigint NOT NULL REFERENCES credit_entry (id),
    kind text NOT NULL CHECK (kind IN ('refund', 'refund_failed', 'forfeit', 'transfer', 'reversal')),
    source_id bigint NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    base_minor bigint NOT NULL,
    used_on date NOT NULL
);
CREATE INDEX credit_use_credit ON credit_use (credit_entry_id);
CREATE TABLE write_off (
    id {id_never_reused},
    document_id bigint NOT NULL REFERENCES document (id),
    kind text NOT NULL CHECK (kind IN ('bad_debt', 'small_difference')),
    amount_minor bigint NOT NULL CHECK (amount_minor <> 0),
    base_minor bigint NOT NULL,
    reason text NOT NULL DEFAULT '',
    written_on date NOT NULL
);
CREATE INDEX write_off_document ON write_off (document_id);
CREATE TABLE vat_check (
    id {id},
    vat_id text NOT NULL,
    checked_at timestamptz NOT NULL,
    valid boolean NOT NULL,
    consultation text NOT NULL DEFAULT '',
    UNIQUE (vat_id, checked_at)
);
"""

SQLITE_TRIGGERS = """
CREATE TRIGGER document_stays_update BEFORE UPDATE ON document WHEN OLD.state = 'issued'
BEGIN SELECT RAISE(ABORT, 'an issued document does not change'); END;
CREATE TRIGGER document_stays_delete BEFORE DELETE ON document WHEN OLD.state = 'issued'
BEGIN SELECT RAISE(ABORT, 'an issued document stays'); END;
CREATE TRIGGER document_stays_insert BEFORE INSERT ON document
WHEN EXISTS (SELECT 1 FROM document WHERE id = NEW.id AND state = 'issued')
  OR EXISTS (SELECT 1 FROM document WHERE series_id = NEW.series_id AND year = NEW.year AND seq = NEW.seq AND state = 'issued')
BEGIN SELECT RAISE(ABORT, 'an issued document does not change'); END;

CREATE TRIGGER document_line_stays_insert BEFORE INSERT ON document_line
WHEN EXISTS (SELECT 1 FROM document WHERE id = NEW.document_id AND state = 'issued')
  OR EXISTS (SELECT 1 FROM document_line l JOIN document d ON d.id = l.document_id WHERE l.id = NEW.id AND d.state = 'issued')
BEGIN SELECT RAISE(ABORT, 'a line of an issued document does not change'); END;
CREATE TRIGGER document_line_stays_update BEFORE UPDATE ON document_line
WHEN EXISTS (SELECT 1 FROM document WHERE id IN (OLD.document_id, NEW.document_id) AND state = 'issued')
BEGIN SELECT RAISE(ABORT, 'a line of an issued document does not change'); END;
CREATE TRIGGER document_line_stays_delete BEFORE DELETE ON document_line
WHEN EXISTS (SELECT 1 FROM document WHERE id = OLD.document_id AND state = 'issued')
BEGIN SELECT RAISE(ABORT, 'a line of an issued document does not change'); END;

CREATE TRIGGER document_tax_stays_insert BEFORE INSERT ON document_tax
WHEN EXISTS (SELECT 1 FROM document WHERE id = NEW.document_id AND state = 'issued')
BEGIN SELECT RAISE(ABORT, 'the tax of an issued document does not change'); END;
CREATE TRIGGER document_tax_stays_update BEFORE UPDATE ON document_tax
WHEN EXISTS (SELECT 1 FROM document WHERE id IN (OLD.document_id, NEW.document_id) AND state = 'issued')
BEGIN SELECT RAISE(ABORT, 'the tax of an issued document does not change'); END;
CREATE TRIGGER document_tax_stays_delete BEFORE DELETE ON document_tax
WHEN EXISTS (SELECT 1 FROM document WHERE id = OLD.document_id AND state = 'issued')
BEGIN SELECT RAISE(ABORT, 'the tax of an issued document does not change'); END;

CREATE TRIGGER document_party_stays_insert BEFORE INSERT ON document_party
WHEN EXISTS (SELECT 1 FROM document WHERE id = NEW.document_id AND state = 'issued')
BEGIN SELECT RAISE(ABORT, 'a party of an issued document can only be erased'); END;
CREATE TRIGGER document_party_stays_update BEFORE UPDATE ON document_party
WHEN NEW.snapshot <> '' AND EXISTS (SELECT 1 FROM document WHERE id IN (OLD.document_id, NEW.document_id) AND state = 'issued')
BEGIN SELECT RAISE(ABORT, 'a party of an issued document can only be erased'); END;
CREATE TRIGGER document_party_stays_delete BEFORE DELETE ON document_party
WHEN EXISTS (SELECT 1 FROM document WHERE id = OLD.document_id AND state = 'issued')
BEGIN SELECT RAISE(ABORT, 'a party of an issued document can only be erased'); END;

CREATE TRIGGER number_counter_forward BEFORE UPDATE ON number_counter
WHEN NEW.next < OLD.next OR NEW.series_id <> OLD.series_id OR NEW.year <> OLD.year
BEGIN SELECT RAISE(ABORT, 'numbers go forward only'); END;
CREATE TRIGGER number_counter_stays BEFORE DELETE ON number_counter
BEGIN SELECT RAISE(ABORT, 'numbers go forward only'); END;
CREATE TRIGGER seller_snapshot_stays BEFORE UPDATE ON seller_snapshot
BEGIN SELECT RAISE(ABORT, 'a snapshot does not change'); END;

CREATE TRIGGER allocation_stays_update BEFORE UPDATE ON allocation
BEGIN SELECT RAISE(ABORT, 'allocations are append-only'); END;
CREATE TRIGGER allocation_stays_delete BEFORE DELETE ON allocation
BEGIN SELECT RAISE(ABORT, 'allocations are append-only'); END;
CREATE TRIGGER allocation_stays_insert BEFORE INSERT ON allocation
WHEN EXISTS (SELECT 1 FROM allocation WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'allocations are append-only'); END;
CREATE TRIGGER allocation_moves AFTER INSERT ON allocation
BEGIN
    UPDATE credit_entry SET left_minor = left_minor - NEW.amount_minor, base_left_minor = base_left_minor - NEW.base_credit_minor
    WHERE id = NEW.credit_entry_id;
    UPDATE document_state SET open_minor = open_minor - NEW.amount_minor, base_open_minor = base_open_minor - NEW.base_document_minor,
        settled_on = CASE WHEN open_minor = NEW.amount_minor THEN NEW.allocated_on END
    WHERE document_id = NEW.document_id;
END;
CREATE TRIGGER credit_use_stays_update BEFORE UPDATE ON credit_use
BEGIN SELECT RAISE(ABORT, 'uses of credit are append-only'); END;
CREATE TRIGGER credit_use_stays_delete BEFORE DELETE ON credit_use
BEGIN SELECT RAISE(ABORT, 'uses of credit are append-only'); END;
CREATE TRIGGER credit_use_moves AFTER INSERT ON credit_use
BEGIN
    UPDATE credit_entry SET left_minor = left_minor - NEW.amount_minor, base_left_minor = base_left_minor - NEW.base_minor
    WHERE id = NEW.credit_entry_id;
END;
CREATE TRIGGER write_off_stays_update BEFORE UPDATE ON write_off
BEGIN SELECT RAISE(ABORT, 'write-offs are append-only'); END;
CREATE TRIGGER write_off_stays_delete BEFORE DELETE ON write_off
BEGIN SELECT RAISE(ABORT, 'write-offs are append-only'); END;
CREATE TRIGGER write_off_moves AFTER INSERT ON write_off
BEGIN
    UPDATE document_state SET open_minor = open_minor - NEW.amount_minor, base_open_minor = base_open_minor - NEW.base_minor,
        settled_on = CASE WHEN open_minor = NEW.amount_minor THEN NEW.written_on END
    WHERE document_id = NEW.document_id;
END;
CREATE TRIGGER credit_entry_stays_update BEFORE UPDATE OF customer_id, currency, source_kind, source_id, amount_minor, base_minor
ON credit_entry
BEGIN SELECT RAISE(ABORT, 'a credit keeps its amount'); END;
CREATE TRIGGER credit_entry_stays_delete BEFORE DELETE ON credit_entry
BEGIN SELECT RAISE(ABORT, 'a credit stays'); END;
"""

# Guards of UPDATE and DELETE are row triggers with a condition: a run does neither. What a run does, INSERT, is checked once a
# statement, row by row along the index: by sub-selects that cannot be turned into joins, and by EXECUTE, planned anew each time.
POSTGRESQL_TRIGGERS = """
CREATE FUNCTION document_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an issued document does not change';
END $$;
CREATE TRIGGER document_stays_update BEFORE UPDATE ON document
    FOR EACH ROW WHEN (OLD.state = 'issued') EXECUTE FUNCTION document_stays();
CREATE TRIGGER document_stays_delete BEFORE DELETE ON document
    FOR EACH ROW WHEN (OLD.state = 'issued') EXECUTE FUNCTION document_stays();
CREATE TRIGGER document_stays_truncate BEFORE TRUNCATE ON document FOR EACH STATEMENT EXECUTE FUNCTION document_stays();

CREATE FUNCTION document_part_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM (SELECT DISTINCT document_id FROM added) a
        WHERE (SELECT d.state FROM document d WHERE d.id = a.document_id) = 'issued'
    ) THEN
        RAISE EXCEPTION 'an issued document takes no new %', TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;
CREATE FUNCTION document_part_stays() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE ids bigint[] := ARRAY[OLD.document_id];
BEGIN
    IF TG_OP = 'UPDATE' THEN ids := ids || NEW.document_id; END IF;
    IF 'issued' IN (SELECT state FROM document WHERE id = ANY (ids)) THEN
        RAISE EXCEPTION '% of an issued document does not change', TG_TABLE_NAME;
    END IF;
    RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
END $$;
CREATE TRIGGER document_line_added AFTER INSERT ON document_line REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION document_part_added();
CREATE TRIGGER document_line_stays BEFORE UPDATE OR DELETE ON document_line FOR EACH ROW EXECUTE FUNCTION document_part_stays();
CREATE TRIGGER document_line_truncate BEFORE TRUNCATE ON document_line FOR EACH STATEMENT EXECUTE FUNCTION document_stays();
CREATE TRIGGER document_tax_added AFTER INSERT ON document_tax REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION document_part_added();
CREATE TRIGGER document_tax_stays BEFORE UPDATE OR DELETE ON document_tax FOR EACH ROW EXECUTE FUNCTION document_part_stays();
CREATE TRIGGER document_tax_truncate BEFORE TRUNCATE ON document_tax FOR EACH STATEMENT EXECUTE FUNCTION document_stays();
CREATE TRIGGER document_party_added AFTER INSERT ON document_party REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION document_part_added();
CREATE TRIGGER document_party_stays_update BEFORE UPDATE ON document_party
    FOR EACH ROW WHEN (NEW.snapshot <> '') EXECUTE FUNCTION document_part_stays();
CREATE TRIGGER document_party_stays_delete BEFORE DELETE ON document_party FOR EACH ROW EXECUTE FUNCTION document_part_stays();
CREATE TRIGGER document_party_truncate BEFORE TRUNCATE ON document_party FOR EACH STATEMENT EXECUTE FUNCTION document_stays();

CREATE FUNCTION numbers_go_forward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'numbers go forward only'; END $$;
CREATE TRIGGER number_counter_forward BEFORE UPDATE ON number_counter FOR EACH ROW
    WHEN (NEW.next < OLD.next OR NEW.series_id <> OLD.series_id OR NEW.year <> OLD.year) EXECUTE FUNCTION numbers_go_forward();
CREATE TRIGGER number_counter_stays BEFORE DELETE OR TRUNCATE ON number_counter
    FOR EACH STATEMENT EXECUTE FUNCTION numbers_go_forward();

CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$;
CREATE TRIGGER seller_snapshot_stays BEFORE UPDATE ON seller_snapshot FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER allocation_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON allocation FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER credit_use_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON credit_use FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER write_off_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON write_off FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER credit_entry_stays BEFORE UPDATE OF customer_id, currency, source_kind, source_id, amount_minor, base_minor
    ON credit_entry FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER credit_entry_stays_delete BEFORE DELETE OR TRUNCATE ON credit_entry FOR EACH STATEMENT EXECUTE FUNCTION append_only();

CREATE FUNCTION allocation_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE $move$
        UPDATE credit_entry SET left_minor = left_minor - moved.amount, base_left_minor = base_left_minor - moved.base
        FROM (
            SELECT credit_entry_id, CAST(sum(amount_minor) AS bigint) AS amount, CAST(sum(base_credit_minor) AS bigint) AS base
            FROM added GROUP BY credit_entry_id ORDER BY credit_entry_id
        ) moved
        WHERE credit_entry.id = moved.credit_entry_id
    $move$;
    EXECUTE $move$
        UPDATE document_state SET open_minor = open_minor - moved.amount, base_open_minor = base_open_minor - moved.base,
            settled_on = CASE WHEN open_minor = moved.amount THEN moved.allocated_on END
        FROM (
            SELECT document_id, CAST(sum(amount_minor) AS bigint) AS amount, CAST(sum(base_document_minor) AS bigint) AS base,
                max(allocated_on) AS allocated_on
            FROM added GROUP BY document_id ORDER BY document_id
        ) moved
        WHERE document_state.document_id = moved.document_id
    $move$;
    RETURN NULL;
END $$;
CREATE TRIGGER allocation_moves AFTER INSERT ON allocation REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION allocation_moves();
CREATE FUNCTION credit_use_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE credit_entry SET left_minor = left_minor - NEW.amount_minor, base_left_minor = base_left_minor - NEW.base_minor
    WHERE id = NEW.credit_entry_id;
    RETURN NULL;
END $$;
CREATE TRIGGER credit_use_moves AFTER INSERT ON credit_use FOR EACH ROW EXECUTE FUNCTION credit_use_moves();
CREATE FUNCTION write_off_moves() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE document_state SET open_minor = open_minor - NEW.amount_minor, base_open_minor = base_open_minor - NEW.base_minor,
        settled_on = CASE WHEN open_minor = NEW.amount_minor THEN NEW.written_on END
    WHERE document_id = NEW.document_id;
    RETURN NULL;
END $$;
CREATE TRIGGER write_off_moves AFTER INSERT ON write_off FOR EACH ROW EXECUTE FUNCTION write_off_moves();
"""


async def forwards() -> None:
    await run_sql(
        sqlite=TABLES.replace("CLUSTERED", " WITHOUT ROWID").replace("DOCUMENT_KEY", "INTEGER PRIMARY KEY"),
        postgresql=TABLES.replace("CLUSTERED", "").replace("DOCUMENT_KEY", "bigint PRIMARY KEY"),
    )
    await run_sql(sqlite=SQLITE_TRIGGERS, postgresql=POSTGRESQL_TRIGGERS)
