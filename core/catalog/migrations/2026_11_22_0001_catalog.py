"""What the operator sells, at which price, and how it is taxed."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "catalog"

TABLES = """
CREATE TABLE tax_category (
    id {id},
    code {key} NOT NULL UNIQUE CHECK (code <> ''),
    name text NOT NULL,
    einvoice_code text NOT NULL DEFAULT 'S' CHECK (einvoice_code IN ('S', 'Z', 'E', 'O')),
    position integer NOT NULL DEFAULT 0
);
CREATE TABLE tax_rate (
    id {id},
    country {key} NOT NULL,
    category {key} NOT NULL REFERENCES tax_category (code),
    valid_from date NOT NULL,
    rate_ppm bigint NOT NULL CHECK (rate_ppm BETWEEN 0 AND 1000000 AND rate_ppm % 10 = 0),
    UNIQUE (country, category, valid_from)
);
CREATE TABLE product_group (
    id {id},
    code {key} NOT NULL UNIQUE CHECK (code <> ''),
    name text NOT NULL,
    one_live boolean NOT NULL,
    position integer NOT NULL DEFAULT 0
);
CREATE TABLE product (
    id {id_never_reused},
    code {key} NOT NULL UNIQUE CHECK (code <> ''),
    name text NOT NULL CHECK (name <> ''),
    name_key {key} NOT NULL,
    description text NOT NULL DEFAULT '',
    group_id bigint REFERENCES product_group (id),
    kind text NOT NULL CHECK (kind IN ('plan', 'module', 'service', 'one_off')),
    rank integer NOT NULL DEFAULT 0,
    timing text NOT NULL DEFAULT 'advance' CHECK (timing IN ('advance', 'arrears', 'prepaid')),
    activation text NOT NULL DEFAULT 'on_account' CHECK (activation IN ('on_account', 'invoice_first')),
    trial_days integer NOT NULL DEFAULT 0 CHECK (trial_days BETWEEN 0 AND 1096),
    at_trial_end text NOT NULL DEFAULT 'end' CHECK (at_trial_end IN ('end', 'convert', 'invoice_first')),
    proration text NOT NULL DEFAULT 'by_day' CHECK (proration IN ('by_day', 'full', 'none', 'merged')),
    final_proration text NOT NULL DEFAULT 'by_day' CHECK (final_proration IN ('by_day', 'full', 'none')),
    pending_days integer NOT NULL DEFAULT 30 CHECK (pending_days BETWEEN 1 AND 365),
    tax_category {key} NOT NULL REFERENCES tax_category (code),
    requires_group_id bigint REFERENCES product_group (id),
    min_term_unit text CHECK (min_term_unit IN ('day', 'week', 'month', 'year')),
    min_term_count integer CHECK (min_term_count > 0),
    notice_days integer NOT NULL DEFAULT 0 CHECK (notice_days BETWEEN 0 AND 366),
    change_policy text NOT NULL DEFAULT '{}',
    available_from date,
    available_to date,
    position integer NOT NULL DEFAULT 0,
    version bigint NOT NULL DEFAULT 1,
    CHECK ((min_term_unit IS NULL) = (min_term_count IS NULL))
);
CREATE INDEX product_group_rank ON product (group_id, rank, id);
CREATE INDEX product_kind_name ON product (kind, name_key, id);
CREATE TABLE price_list (
    id {id},
    code {key} NOT NULL UNIQUE CHECK (code <> ''),
    name text NOT NULL,
    is_default boolean NOT NULL DEFAULT FALSE
);
CREATE UNIQUE INDEX price_list_default ON price_list (is_default) WHERE is_default;
CREATE TABLE price (
    id {id},
    product_id bigint NOT NULL REFERENCES product (id),
    price_list_id bigint NOT NULL REFERENCES price_list (id),
    currency text NOT NULL CHECK (length(currency) = 3),
    cycle_unit text NOT NULL CHECK (cycle_unit IN ('once', 'day', 'week', 'month', 'year')),
    cycle_count integer NOT NULL CHECK (cycle_count BETWEEN 1 AND 1096),
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 0 AND 1000000000000),
    setup_minor bigint NOT NULL DEFAULT 0 CHECK (setup_minor BETWEEN 0 AND 1000000000000),
    termination_minor bigint NOT NULL DEFAULT 0 CHECK (termination_minor BETWEEN 0 AND 1000000000000),
    tax_inclusive boolean NOT NULL DEFAULT FALSE,
    valid_from date NOT NULL,
    valid_to date CHECK (valid_to > valid_from),
    UNIQUE (product_id, price_list_id, currency, cycle_unit, cycle_count, valid_from)
);
INSERT INTO tax_category (code, name, einvoice_code, position) VALUES
    ('standard', 'Standard rate', 'S', 1),
    ('reduced', 'Reduced rate', 'S', 2),
    ('zero', 'Zero rate', 'Z', 3),
    ('outside', 'Outside VAT', 'O', 4);
INSERT INTO product_group (code, name, one_live, position) VALUES
    ('plans', 'Plans', TRUE, 1),
    ('modules', 'Modules', FALSE, 2),
    ('services', 'Services', FALSE, 3);
INSERT INTO price_list (code, name, is_default) VALUES ('retail', 'Retail', TRUE);
"""


async def forwards() -> None:
    await run_sql(TABLES)
