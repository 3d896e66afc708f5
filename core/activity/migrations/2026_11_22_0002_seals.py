"""Seals of the log: each over the one before and the rows since, so that what was sealed cannot be changed unnoticed."""

from core.database import dialect
from core.database.migrations import run_sql

ID = "2026-11-22T00:02:00"
VERSION = "1"
DESCRIPTION = "seals of the activity"

TABLES = """
CREATE TABLE activity_seal (
    last POSITION,
    first bigint NOT NULL UNIQUE,
    digest text NOT NULL,
    marks text NOT NULL,
    sealed_at timestamptz NOT NULL,
    CHECK (first <= last)
);
"""

SQLITE_TRIGGERS = """
CREATE TRIGGER activity_seal_stays_update BEFORE UPDATE ON activity_seal
BEGIN SELECT RAISE(ABORT, 'a seal is never changed'); END;
CREATE TRIGGER activity_seal_stays_delete BEFORE DELETE ON activity_seal
BEGIN SELECT RAISE(ABORT, 'a seal is never changed'); END;
CREATE TRIGGER activity_seal_stays_insert BEFORE INSERT ON activity_seal
WHEN EXISTS (SELECT 1 FROM activity_seal WHERE last >= NEW.first)
BEGIN SELECT RAISE(ABORT, 'a seal is never changed'); END;
"""

POSTGRESQL_TRIGGERS = """
CREATE TRIGGER activity_seal_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON activity_seal
FOR EACH STATEMENT EXECUTE FUNCTION activity_stays();
"""


async def forwards() -> None:
    position = "INTEGER PRIMARY KEY" if dialect() == "sqlite" else "bigint PRIMARY KEY"
    await run_sql(TABLES.replace("POSITION", position))
    await run_sql(sqlite=SQLITE_TRIGGERS, postgresql=POSTGRESQL_TRIGGERS)
