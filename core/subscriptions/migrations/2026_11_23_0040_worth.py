"""What live subscriptions bring is counted by an index of terms alone, in groups of those that are alike."""

from core.database.migrations import run_sql

ID = "2026-11-23T00:40:00"
VERSION = "1"
DESCRIPTION = "terms in force by what they bring"


async def forwards() -> None:
    await run_sql(
        "CREATE INDEX subscription_term_worth ON subscription_term"
        " (currency, product_id, cycle_unit, cycle_count, cycle_minor, valid_from, valid_to) WHERE in_force"
    )
