"""The log, its head, the values that changed, the places of the readers; nothing in the log can be rewritten."""

from core.database import dialect
from core.database.migrations import run_sql

ID = "2026-11-22T00:01:00"
VERSION = "1"
DESCRIPTION = "activity"

TABLES = """
CREATE TABLE activity_head (
    one POSITION CHECK (one = 1),
    last bigint NOT NULL
);
INSERT INTO activity_head (one, last) VALUES (1, 0);
CREATE TABLE activity (
    position POSITION,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    subject_kind text NOT NULL,
    subject_id bigint,
    customer_id bigint,
    actor text NOT NULL,
    on_behalf_of text,
    caused_by bigint,
    depth integer NOT NULL DEFAULT 0,
    facts text NOT NULL,
    digest text
);
CREATE INDEX activity_customer ON activity (customer_id, position) WHERE customer_id IS NOT NULL;
CREATE INDEX activity_subject ON activity (subject_kind, subject_id, position);
CREATE TABLE activity_value (
    position bigint NOT NULL REFERENCES activity (position),
    field text NOT NULL,
    old text,
    new text,
    salt text,
    digest text NOT NULL,
    PRIMARY KEY (position, field)
);
CREATE TABLE delivery (
    reader text NOT NULL PRIMARY KEY,
    position bigint NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    retry_at timestamptz,
    in_a_row integer NOT NULL DEFAULT 0,
    paused_at timestamptz,
    error text,
    held boolean NOT NULL DEFAULT FALSE
);
CREATE TABLE delivery_parked (
    reader text NOT NULL,
    position bigint NOT NULL,
    error text NOT NULL,
    failures integer NOT NULL,
    parked_at timestamptz NOT NULL,
    PRIMARY KEY (reader, position)
);
"""

SQLITE_TRIGGERS = """
CREATE TRIGGER activity_stays_update BEFORE UPDATE ON activity
BEGIN SELECT RAISE(ABORT, 'the log is never changed'); END;
CREATE TRIGGER activity_stays_delete BEFORE DELETE ON activity
BEGIN SELECT RAISE(ABORT, 'the log is never changed'); END;
CREATE TRIGGER activity_stays_insert BEFORE INSERT ON activity
WHEN EXISTS (SELECT 1 FROM activity WHERE position = NEW.position)
BEGIN SELECT RAISE(ABORT, 'the log is never changed'); END;
CREATE TRIGGER activity_value_stays_update BEFORE UPDATE ON activity_value
WHEN NEW.old IS NOT NULL OR NEW.new IS NOT NULL OR NEW.salt IS NOT NULL
    OR NEW.position <> OLD.position OR NEW.field <> OLD.field OR NEW.digest <> OLD.digest
BEGIN SELECT RAISE(ABORT, 'values in the log can only be emptied'); END;
CREATE TRIGGER activity_value_stays_delete BEFORE DELETE ON activity_value
BEGIN SELECT RAISE(ABORT, 'values in the log can only be emptied'); END;
CREATE TRIGGER activity_value_stays_insert BEFORE INSERT ON activity_value
WHEN EXISTS (SELECT 1 FROM activity_value WHERE position = NEW.position AND field = NEW.field)
BEGIN SELECT RAISE(ABORT, 'values in the log can only be emptied'); END;
"""

POSTGRESQL_TRIGGERS = """
CREATE FUNCTION activity_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'the log is never changed'; END $$;
CREATE TRIGGER activity_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON activity
FOR EACH STATEMENT EXECUTE FUNCTION activity_stays();
CREATE FUNCTION activity_value_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'values in the log can only be emptied'; END $$;
CREATE TRIGGER activity_value_stays BEFORE DELETE OR TRUNCATE ON activity_value
FOR EACH STATEMENT EXECUTE FUNCTION activity_value_stays();
CREATE TRIGGER activity_value_emptied BEFORE UPDATE ON activity_value FOR EACH ROW
WHEN (NEW.old IS NOT NULL OR NEW.new IS NOT NULL OR NEW.salt IS NOT NULL
    OR NEW.position <> OLD.position OR NEW.field <> OLD.field OR NEW.digest <> OLD.digest)
EXECUTE FUNCTION activity_value_stays();
"""


async def forwards() -> None:
    position = "INTEGER PRIMARY KEY" if dialect() == "sqlite" else "bigint PRIMARY KEY"
    await run_sql(TABLES.replace("POSITION", position))
    await run_sql(sqlite=SQLITE_TRIGGERS, postgresql=POSTGRESQL_TRIGGERS)
