"""The documents of a run are found in the order of their ids, in which a run writes them; credits by their customer also
where nothing is left of them.
"""

from core.database.migrations import run_sql

ID = "2026-11-23T00:20:00"
VERSION = "1"
DESCRIPTION = "documents of a run, credits of a customer"


async def forwards() -> None:
    await run_sql("CREATE INDEX document_run ON document (run_id, id) WHERE run_id IS NOT NULL")
    await run_sql("CREATE INDEX credit_entry_customer ON credit_entry (customer_id, id)")
