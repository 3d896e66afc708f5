"""Why a customer pays no tax: said on its documents."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:23:00"
VERSION = "1"
DESCRIPTION = "reasons of tax exemptions"


async def forwards() -> None:
    await run_sql("ALTER TABLE customer ADD COLUMN tax_reason text NOT NULL DEFAULT ''")
