"""What customers have: subscriptions, their terms and schedule, and the charges that come of them."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "subscriptions"

LIVE = "('pending', 'trial', 'active', 'suspended', 'paused')"

TABLES = f"""
CREATE TABLE subscription (
    id {{id_never_reused}},
    customer_id bigint NOT NULL REFERENCES customer (id),
    product_id bigint NOT NULL REFERENCES product (id),
    exclusive_group_id bigint REFERENCES product_group (id),
    parent_id bigint REFERENCES subscription (id),
    label text NOT NULL DEFAULT '',
    state text NOT NULL
        CHECK (state IN ('pending', 'trial', 'active', 'suspended', 'paused', 'ended', 'withdrawn')),
    state_reason text NOT NULL DEFAULT 'hand',
    timing text NOT NULL CHECK (timing IN ('advance', 'arrears', 'prepaid')),
    anchor_on date,
    started_on date,
    trial_ends_on date,
    at_trial_end text CHECK (at_trial_end IN ('end', 'convert', 'invoice_first')),
    ends_on date,
    end_reason text NOT NULL DEFAULT '',
    ended_on date,
    min_term_ends_on date,
    pending_until date,
    external_ref text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    version bigint NOT NULL DEFAULT 1
);
CREATE UNIQUE INDEX subscription_one_live ON subscription (customer_id, exclusive_group_id)
    WHERE exclusive_group_id IS NOT NULL AND state IN {LIVE};
CREATE UNIQUE INDEX subscription_external_ref ON subscription (external_ref) WHERE external_ref <> '';
CREATE INDEX subscription_customer ON subscription (customer_id, state);
CREATE INDEX subscription_product ON subscription (product_id, state, customer_id);
CREATE INDEX subscription_state ON subscription (state, id);
CREATE INDEX subscription_ends ON subscription (ends_on) WHERE ends_on IS NOT NULL AND ended_on IS NULL;
CREATE INDEX subscription_trial_ends ON subscription (trial_ends_on) WHERE trial_ends_on IS NOT NULL AND state = 'trial';
CREATE INDEX subscription_pending_until ON subscription (pending_until) WHERE pending_until IS NOT NULL AND state = 'pending';
CREATE INDEX subscription_parent ON subscription (parent_id) WHERE parent_id IS NOT NULL;
CREATE TABLE subscription_term (
    id {{id}},
    subscription_id bigint NOT NULL REFERENCES subscription (id),
    valid_from date NOT NULL,
    valid_to date CHECK (valid_to >= valid_from),
    revision integer NOT NULL DEFAULT 0,
    in_force boolean NOT NULL DEFAULT TRUE,
    product_id bigint NOT NULL REFERENCES product (id),
    price_id bigint REFERENCES price (id),
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN 0 AND 1000000000000),
    currency text NOT NULL CHECK (length(currency) = 3),
    quantity_e6 bigint NOT NULL CHECK (quantity_e6 > 0),
    cycle_unit text NOT NULL CHECK (cycle_unit IN ('day', 'week', 'month', 'year')),
    cycle_count integer NOT NULL CHECK (cycle_count BETWEEN 1 AND 1096),
    tax_category {{key}} NOT NULL REFERENCES tax_category (code),
    tax_inclusive boolean NOT NULL,
    proration text NOT NULL DEFAULT 'by_day' CHECK (proration IN ('by_day', 'full', 'none', 'merged')),
    final_proration text NOT NULL DEFAULT 'by_day' CHECK (final_proration IN ('by_day', 'full', 'none')),
    gross_minor bigint NOT NULL CHECK (gross_minor BETWEEN 0 AND 1000000000000),
    cycle_minor bigint NOT NULL CHECK (cycle_minor BETWEEN 0 AND gross_minor),
    UNIQUE (subscription_id, valid_from, revision)
);
CREATE UNIQUE INDEX subscription_term_in_force ON subscription_term (subscription_id, valid_from) WHERE in_force;
CREATE TABLE subscription_discount (
    id {{id}},
    subscription_id bigint NOT NULL REFERENCES subscription (id),
    position integer NOT NULL,
    label text NOT NULL DEFAULT '',
    percent_e6 bigint CHECK (percent_e6 BETWEEN 1 AND 100000000),
    amount_minor bigint CHECK (amount_minor BETWEEN 1 AND 1000000000000),
    until_on date,
    UNIQUE (subscription_id, position),
    CHECK ((percent_e6 IS NULL) <> (amount_minor IS NULL))
);
CREATE TABLE subscription_schedule (
    subscription_id SCHEDULE_KEY REFERENCES subscription (id),
    payer_id bigint NOT NULL REFERENCES customer (id),
    cycle_no integer NOT NULL,
    period_start date NOT NULL,
    period_end date NOT NULL CHECK (period_end > period_start),
    due_on date
);
CREATE INDEX subscription_schedule_due ON subscription_schedule (due_on, payer_id, subscription_id) WHERE due_on IS NOT NULL;
CREATE INDEX subscription_schedule_resting ON subscription_schedule (subscription_id) WHERE due_on IS NULL;
CREATE TABLE subscription_change (
    id {{id}},
    subscription_id bigint NOT NULL REFERENCES subscription (id),
    kind text NOT NULL,
    happens_on date NOT NULL,
    state text NOT NULL DEFAULT 'planned' CHECK (state IN ('planned', 'done', 'dropped')),
    plan text NOT NULL,
    plan_hash text NOT NULL
);
CREATE UNIQUE INDEX subscription_change_planned ON subscription_change (subscription_id) WHERE state = 'planned';
CREATE INDEX subscription_change_on ON subscription_change (happens_on) WHERE state = 'planned';
CREATE TABLE unbilled_span (
    id {{id}},
    subscription_id bigint NOT NULL REFERENCES subscription (id),
    from_on date NOT NULL,
    to_on date NOT NULL CHECK (to_on > from_on),
    reason text NOT NULL CHECK (reason IN ('pause', 'status', 'gift', 'not_renewed', 'trial', 'waived')),
    UNIQUE (subscription_id, from_on)
);
CREATE TABLE charge (
    id {{id_never_reused}},
    subscription_id bigint REFERENCES subscription (id),
    term_id bigint REFERENCES subscription_term (id),
    customer_id bigint NOT NULL REFERENCES customer (id),
    payer_id bigint NOT NULL REFERENCES customer (id),
    product_id bigint REFERENCES product (id),
    kind text NOT NULL CHECK (kind IN ('recurring', 'setup', 'usage', 'one_off', 'fee', 'hold', 'termination')),
    component text NOT NULL DEFAULT '',
    description text NOT NULL,
    period_start date,
    period_end date CHECK (period_end > period_start),
    days integer NOT NULL DEFAULT 1,
    of_days integer NOT NULL DEFAULT 1 CHECK (of_days > 0),
    quantity_e6 bigint NOT NULL,
    unit_price_e6 bigint NOT NULL,
    discount_minor bigint NOT NULL DEFAULT 0,
    amount_minor bigint NOT NULL CHECK (amount_minor BETWEEN -1000000000000 AND 1000000000000),
    currency text NOT NULL CHECK (length(currency) = 3),
    tax_category {{key}} NOT NULL REFERENCES tax_category (code),
    tax_inclusive boolean NOT NULL,
    revision integer NOT NULL DEFAULT 0,
    state text NOT NULL CHECK (state IN ('open', 'invoiced', 'reversed', 'waived')),
    closed_on date,
    source_key {{key}},
    run_id bigint,
    CHECK ((period_start IS NULL) = (period_end IS NULL)),
    CHECK ((state = 'open') = (closed_on IS NULL))
);
CREATE UNIQUE INDEX charge_once ON charge (subscription_id, period_start, kind, component, term_id, revision);
CREATE UNIQUE INDEX charge_source ON charge (source_key) WHERE source_key IS NOT NULL;
CREATE INDEX charge_open ON charge (payer_id, currency) WHERE state = 'open';
CREATE INDEX charge_run ON charge (run_id) WHERE run_id IS NOT NULL;
"""

SQLITE_TRIGGERS = f"""
CREATE TRIGGER subscription_counts_insert AFTER INSERT ON subscription WHEN NEW.state IN {LIVE}
BEGIN UPDATE customer SET live_subscriptions = live_subscriptions + 1 WHERE id = NEW.customer_id; END;
CREATE TRIGGER subscription_counts_update AFTER UPDATE OF state, customer_id ON subscription
WHEN (OLD.state IN {LIVE}) <> (NEW.state IN {LIVE}) OR OLD.customer_id <> NEW.customer_id
BEGIN
    UPDATE customer SET live_subscriptions = live_subscriptions - 1 WHERE id = OLD.customer_id AND OLD.state IN {LIVE};
    UPDATE customer SET live_subscriptions = live_subscriptions + 1 WHERE id = NEW.customer_id AND NEW.state IN {LIVE};
END;
CREATE TRIGGER subscription_counts_delete AFTER DELETE ON subscription WHEN OLD.state IN {LIVE}
BEGIN UPDATE customer SET live_subscriptions = live_subscriptions - 1 WHERE id = OLD.customer_id; END;

CREATE TRIGGER charge_stays_update BEFORE UPDATE ON charge
WHEN OLD.state <> 'open' AND (
    OLD.amount_minor <> NEW.amount_minor OR OLD.currency <> NEW.currency OR OLD.payer_id <> NEW.payer_id
    OR OLD.customer_id <> NEW.customer_id OR OLD.subscription_id IS NOT NEW.subscription_id OR OLD.term_id IS NOT NEW.term_id
    OR (OLD.period_start IS NOT NULL AND (OLD.period_start IS NOT NEW.period_start OR OLD.period_end IS NOT NEW.period_end)))
BEGIN SELECT RAISE(ABORT, 'a charge that was invoiced, reversed or waived keeps its amount and its days'); END;
CREATE TRIGGER charge_stays_delete BEFORE DELETE ON charge WHEN OLD.state <> 'open'
BEGIN SELECT RAISE(ABORT, 'a charge that was invoiced, reversed or waived stays'); END;
CREATE TRIGGER charge_stays_insert BEFORE INSERT ON charge
WHEN EXISTS (SELECT 1 FROM charge WHERE id = NEW.id AND state <> 'open')
BEGIN SELECT RAISE(ABORT, 'a charge that was invoiced, reversed or waived stays'); END;
"""

POSTGRESQL_TRIGGERS = f"""
CREATE FUNCTION subscription_counts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moved text := CASE TG_OP
        WHEN 'INSERT' THEN $source$SELECT customer_id, 1 AS n FROM after_it WHERE state IN {LIVE}$source$
        WHEN 'DELETE' THEN $source$SELECT customer_id, -1 AS n FROM before_it WHERE state IN {LIVE}$source$
        ELSE $source$SELECT customer_id, 1 AS n FROM after_it WHERE state IN {LIVE}
            UNION ALL SELECT customer_id, -1 FROM before_it WHERE state IN {LIVE}$source$ END;
BEGIN
    -- Planned anew each time: a plan made when there were few customers would be kept.
    EXECUTE 'UPDATE customer SET live_subscriptions = live_subscriptions + moved.n FROM (SELECT customer_id,'
        || ' CAST(sum(n) AS integer) AS n FROM (' || moved || ') each_one GROUP BY customer_id HAVING sum(n) <> 0'
        || ' ORDER BY customer_id) moved WHERE customer.id = moved.customer_id';
    RETURN NULL;
END $$;
CREATE TRIGGER subscription_counts_insert AFTER INSERT ON subscription REFERENCING NEW TABLE AS after_it
    FOR EACH STATEMENT EXECUTE FUNCTION subscription_counts();
CREATE TRIGGER subscription_counts_update AFTER UPDATE ON subscription
    REFERENCING OLD TABLE AS before_it NEW TABLE AS after_it
    FOR EACH STATEMENT EXECUTE FUNCTION subscription_counts();
CREATE TRIGGER subscription_counts_delete AFTER DELETE ON subscription REFERENCING OLD TABLE AS before_it
    FOR EACH STATEMENT EXECUTE FUNCTION subscription_counts();

CREATE FUNCTION charge_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a charge that was invoiced, reversed or waived keeps its amount and its days';
END $$;
CREATE TRIGGER charge_stays_update BEFORE UPDATE ON charge FOR EACH ROW
WHEN (OLD.state <> 'open' AND (
    OLD.amount_minor <> NEW.amount_minor OR OLD.currency <> NEW.currency OR OLD.payer_id <> NEW.payer_id
    OR OLD.customer_id <> NEW.customer_id OR OLD.subscription_id IS DISTINCT FROM NEW.subscription_id
    OR OLD.term_id IS DISTINCT FROM NEW.term_id
    OR (OLD.period_start IS NOT NULL AND (
        OLD.period_start IS DISTINCT FROM NEW.period_start OR OLD.period_end IS DISTINCT FROM NEW.period_end))))
EXECUTE FUNCTION charge_stays();
CREATE TRIGGER charge_stays_delete BEFORE DELETE ON charge FOR EACH ROW WHEN (OLD.state <> 'open')
    EXECUTE FUNCTION charge_stays();
CREATE TRIGGER charge_stays_truncate BEFORE TRUNCATE ON charge FOR EACH STATEMENT EXECUTE FUNCTION charge_stays();
"""


async def forwards() -> None:
    await run_sql(
        sqlite=TABLES.replace("SCHEDULE_KEY", "INTEGER PRIMARY KEY"),
        postgresql=TABLES.replace("SCHEDULE_KEY", "bigint PRIMARY KEY"),
    )
    await run_sql(sqlite=SQLITE_TRIGGERS, postgresql=POSTGRESQL_TRIGGERS)
