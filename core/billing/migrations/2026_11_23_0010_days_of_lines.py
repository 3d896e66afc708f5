"""A line says how many days of a full period it charges, also one of a draft that waits to be issued. Those that were
issued before say what they said.

Of an issued line these never change either: the triggers that keep it name its columns.
"""

from core.database.migrations import run_sql

ID = "2026-11-23T00:10:00"
VERSION = "1"
DESCRIPTION = "days of a line"

COLUMNS = """
ALTER TABLE document_line ADD COLUMN days integer NOT NULL DEFAULT 1;
ALTER TABLE document_line ADD COLUMN of_days integer NOT NULL DEFAULT 1;
"""
DRAFTS = """
UPDATE document_line
SET days = (SELECT c.days FROM charge c WHERE c.id = document_line.charge_id),
    of_days = (SELECT c.of_days FROM charge c WHERE c.id = document_line.charge_id)
WHERE document_id IN (SELECT d.id FROM document d WHERE d.state = 'draft')
  AND EXISTS (SELECT 1 FROM charge c WHERE c.id = document_line.charge_id AND c.days <> c.of_days
              AND c.period_start = document_line.period_from AND c.period_end = document_line.period_to
              AND c.quantity_e6 = document_line.quantity_e6 AND c.amount_minor = document_line.amount_minor)
"""
LINE = (
    "id, document_id, position, charge_id, beneficiary_id, product_id, kind, quantity_e6, unit_price_e6, days, of_days,"
    " discount_minor, amount_minor, net_minor, tax_category, tax_inclusive, tax_rate_id, tax_code, rate_ppm, tax_minor,"
    " deferred_minor, base_net_minor, base_tax_minor, base_deferred_minor, period_from, period_to, corrects_line_id"
)
SQLITE = f"""
DROP TRIGGER document_line_stays_update;
CREATE TRIGGER document_line_stays_update BEFORE UPDATE OF {LINE} ON document_line
WHEN EXISTS (SELECT 1 FROM document WHERE id IN (OLD.document_id, NEW.document_id) AND state = 'issued')
BEGIN SELECT RAISE(ABORT, 'a line of an issued document does not change'); END;
"""
POSTGRESQL = f"""
DROP TRIGGER document_line_stays ON document_line;
CREATE TRIGGER document_line_stays BEFORE UPDATE OF {LINE} ON document_line
    FOR EACH ROW EXECUTE FUNCTION document_part_stays();
"""


async def forwards() -> None:
    await run_sql(COLUMNS)
    await run_sql(sqlite=SQLITE, postgresql=POSTGRESQL)
    await run_sql(DRAFTS)
