"""Accounts and Read only see the books, Accounts names their accounts: where these roles are as they came."""

from core.database.migrations import run_sql

ID = "2026-11-23T00:00:13"
VERSION = "6"
DESCRIPTION = "shipped roles that see the books"

GIVEN = """
UPDATE role SET permissions = '["activity.view","billing.run","billing.view","catalog.view","customers.create","customers.edit","customers.view","documents.edit","documents.issue","documents.view","ledger.edit","ledger.view","messages.view","payments.register","payments.view","subscriptions.change","subscriptions.view"]'
WHERE builtin AND permissions = '["activity.view","billing.run","billing.view","catalog.view","customers.create","customers.edit","customers.view","documents.edit","documents.issue","documents.view","messages.view","payments.register","payments.view","subscriptions.change","subscriptions.view"]';
UPDATE role SET permissions = '["activity.view","billing.view","catalog.view","customers.view","documents.view","ledger.view","messages.view","payments.view","subscriptions.view"]'
WHERE builtin AND permissions = '["activity.view","billing.view","catalog.view","customers.view","documents.view","messages.view","payments.view","subscriptions.view"]';
"""


async def forwards() -> None:
    await run_sql(GIVEN)
