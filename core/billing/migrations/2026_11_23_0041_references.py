"""Whoever deletes a customer is asked about by what refers to it: by these indexes, not by reading all documents for
each.
"""

from core.database.migrations import run_sql

ID = "2026-11-23T00:41:00"
VERSION = "1"
DESCRIPTION = "lines and states of documents by their customer"

INDEXES = """
CREATE INDEX document_line_beneficiary ON document_line (beneficiary_id) WHERE beneficiary_id IS NOT NULL;
CREATE INDEX document_state_of_payer ON document_state (payer_id);
CREATE INDEX billing_parked_payer ON billing_parked (payer_id);
"""


async def forwards() -> None:
    await run_sql(INDEXES)
