"""Whoever deletes a customer is asked about by what refers to it: by these indexes, not by reading all charges and all
schedules for each. A run writes an entry in each of the first two for a charge.
"""

from core.database.migrations import run_sql

ID = "2026-11-23T00:41:00"
VERSION = "1"
DESCRIPTION = "charges and schedules by their customer"

INDEXES = """
CREATE INDEX charge_customer ON charge (customer_id);
CREATE INDEX charge_payer ON charge (payer_id);
CREATE INDEX subscription_schedule_payer ON subscription_schedule (payer_id);
"""


async def forwards() -> None:
    await run_sql(INDEXES)
