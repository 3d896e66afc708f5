"""The key of a customer's parent stands beside its own, so that the list is sorted by parents' names by an index alone. It
is kept by triggers: another parent, or another name of the parent's, changes it in the same statement.
"""

from core.database.migrations import run_sql

ID = "2026-11-23T00:37:00"
VERSION = "1"
DESCRIPTION = "names of customers' parents"

TABLE = """
ALTER TABLE customer ADD COLUMN parent_key {key} NOT NULL DEFAULT '';
UPDATE customer SET parent_key = (SELECT p.name_key FROM customer p WHERE p.id = customer.parent_id)
WHERE parent_id IS NOT NULL;
CREATE INDEX customer_by_parent ON customer (parent_key, id);
"""
# A parent that is not there yet, as while rows are moved, has its key moved with the child.
SQLITE = """
CREATE TRIGGER customer_parent_key_insert AFTER INSERT ON customer WHEN NEW.parent_id IS NOT NULL
BEGIN
    UPDATE customer SET parent_key = coalesce((SELECT name_key FROM customer WHERE id = NEW.parent_id), parent_key)
    WHERE id = NEW.id;
END;
CREATE TRIGGER customer_parent_key_update AFTER UPDATE OF parent_id ON customer WHEN OLD.parent_id IS NOT NEW.parent_id
BEGIN
    UPDATE customer SET parent_key = coalesce((SELECT name_key FROM customer WHERE id = NEW.parent_id), '')
    WHERE id = NEW.id;
END;
CREATE TRIGGER customer_parent_key_name AFTER UPDATE OF name_key ON customer WHEN OLD.name_key <> NEW.name_key
BEGIN UPDATE customer SET parent_key = NEW.name_key WHERE parent_id = NEW.id; END;
"""
POSTGRESQL = """
CREATE FUNCTION customer_parent_key() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    NEW.parent_key := coalesce((SELECT name_key FROM customer WHERE id = NEW.parent_id),
        CASE WHEN TG_OP = 'INSERT' THEN NEW.parent_key ELSE '' END);
    RETURN NEW;
END $body$;
CREATE TRIGGER customer_parent_key_insert BEFORE INSERT ON customer
    FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION customer_parent_key();
CREATE TRIGGER customer_parent_key_update BEFORE UPDATE OF parent_id ON customer
    FOR EACH ROW WHEN (OLD.parent_id IS DISTINCT FROM NEW.parent_id) EXECUTE FUNCTION customer_parent_key();
CREATE FUNCTION customer_parent_key_name() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    UPDATE customer SET parent_key = NEW.name_key WHERE parent_id = NEW.id;
    RETURN NULL;
END $body$;
CREATE TRIGGER customer_parent_key_name AFTER UPDATE OF name_key ON customer
    FOR EACH ROW WHEN (OLD.name_key IS DISTINCT FROM NEW.name_key) EXECUTE FUNCTION customer_parent_key_name();
"""


async def forwards() -> None:
    await run_sql(TABLE)
    await run_sql(sqlite=SQLITE, postgresql=POSTGRESQL)
