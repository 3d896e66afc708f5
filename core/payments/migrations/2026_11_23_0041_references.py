"""Whoever deletes a draft is asked about by payments that name it: by this index, not by reading them all."""

from core.database.migrations import run_sql

ID = "2026-11-23T00:41:00"
VERSION = "1"
DESCRIPTION = "payments by the document that they name"


async def forwards() -> None:
    await run_sql("CREATE INDEX payment_names ON payment (names_document_id) WHERE names_document_id IS NOT NULL")
