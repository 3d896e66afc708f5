"""What is open is added up by an index alone, which a run writes at its end: what it adds is due on the same days."""

from core.database.migrations import run_sql

ID = "2026-11-23T00:40:00"
VERSION = "1"
DESCRIPTION = "what is open by the day on which it is due"


async def forwards() -> None:
    await run_sql(
        "DROP INDEX document_state_due;"
        "CREATE INDEX document_state_due ON document_state (due_on, document_id, currency, open_minor)"
        " WHERE open_minor > 0"
    )
