"""By which key a question about a VAT id was asked once: it named the id, which goes with the customer."""

from core.database.migrations import run_sql

ID = "2026-11-23T00:43:00"
VERSION = "1"
DESCRIPTION = "keys of questions about VAT ids without the ids"


async def forwards() -> None:
    await run_sql(
        "UPDATE job SET dedupe_key = 'vat_check:' || CAST(customer_id AS text) || ':asked:' || CAST(id AS text)"
        " WHERE kind = 'check_vat_id' AND dedupe_key LIKE 'vat_check:%'"
    )
