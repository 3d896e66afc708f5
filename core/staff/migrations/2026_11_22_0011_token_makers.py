"""Whose API token it is, also where a token of that person made it: it works while the person may log in."""

from core.database.migrations import run_sql

ID = "2026-11-22T00:01:11"
VERSION = "4"
DESCRIPTION = "makers of API tokens"

COLUMNS = """
ALTER TABLE api_token ADD COLUMN staff_id bigint REFERENCES staff (id);
CREATE INDEX api_token_staff ON api_token (staff_id)
"""
FILL = """
WITH RECURSIVE made (id, staff_id) AS (
    SELECT api_token.id, staff.id FROM api_token JOIN staff ON api_token.created_by = 'staff:' || staff.id
    UNION ALL
    SELECT api_token.id, made.staff_id FROM api_token JOIN made ON api_token.created_by = 'token:' || made.id
)
UPDATE api_token SET staff_id = (SELECT made.staff_id FROM made WHERE made.id = api_token.id);
UPDATE api_token SET expires_at = created_at WHERE staff_id IS NULL AND created_by LIKE 'staff:%'
"""
"""Those of people who are gone are over."""


async def forwards() -> None:
    await run_sql(COLUMNS)
    await run_sql(FILL)
