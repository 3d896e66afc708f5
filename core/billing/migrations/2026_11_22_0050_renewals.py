"""What became of prepaid renewals, by run; and what was not billed of parked accounts."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:50:00"
VERSION = "1"
DESCRIPTION = "prepaid renewals"

TABLES = """
CREATE TABLE prepaid_renewal (
    id {id},
    subscription_id bigint NOT NULL REFERENCES subscription (id) ON DELETE CASCADE,
    customer_id bigint NOT NULL REFERENCES customer (id),
    payer_id bigint NOT NULL REFERENCES customer (id),
    period_start date NOT NULL,
    currency text NOT NULL,
    total_minor bigint NOT NULL,
    missing_minor bigint NOT NULL DEFAULT 0,
    short_on date,
    renewed_on date,
    document_id bigint REFERENCES document (id),
    first_short_run_id bigint REFERENCES billing_run (id),
    last_short_run_id bigint REFERENCES billing_run (id),
    renewed_run_id bigint REFERENCES billing_run (id),
    awaits_run boolean NOT NULL DEFAULT FALSE,
    CHECK (short_on IS NOT NULL OR renewed_on IS NOT NULL)
);
CREATE UNIQUE INDEX prepaid_renewal_open ON prepaid_renewal (subscription_id, period_start) WHERE renewed_on IS NULL;
CREATE INDEX prepaid_renewal_customer ON prepaid_renewal (customer_id);
CREATE INDEX prepaid_renewal_payer ON prepaid_renewal (payer_id);
CREATE INDEX prepaid_renewal_of_subscription ON prepaid_renewal (subscription_id);
CREATE INDEX prepaid_renewal_document ON prepaid_renewal (document_id) WHERE document_id IS NOT NULL;
CREATE INDEX prepaid_renewal_renewed ON prepaid_renewal (renewed_run_id) WHERE renewed_run_id IS NOT NULL;
CREATE INDEX prepaid_renewal_short ON prepaid_renewal (last_short_run_id, first_short_run_id)
    WHERE last_short_run_id IS NOT NULL;
CREATE INDEX prepaid_renewal_awaits ON prepaid_renewal (id) WHERE awaits_run;
ALTER TABLE billing_run ADD COLUMN renewed bigint NOT NULL DEFAULT 0;
ALTER TABLE billing_run ADD COLUMN not_covered bigint NOT NULL DEFAULT 0;
ALTER TABLE billing_parked ADD COLUMN amount_minor bigint;
ALTER TABLE billing_parked ADD COLUMN currency text;
ALTER TABLE billing_parked ADD COLUMN tried_at timestamptz;
"""


async def forwards() -> None:
    await run_sql(TABLES)
