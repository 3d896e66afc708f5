"""Of an issued document what may name a person can be emptied, as its buyer could before: its reference, its note and
the words of its lines. So can the reason of a loss. Nothing else of them can change.

A file whose time is over leaves its row, with an empty path: its hash is kept.
"""

from core.database.migrations import run_sql

ID = "2026-11-22T00:03:00"
VERSION = "1"
DESCRIPTION = "erasing what retention has kept"

DOCUMENT = (
    "id, kind, state, series_id, year, seq, number, payer_id, seller_id, seller_snapshot_id, book_id, issued_on, due_on,"
    " tax_on, terms_days, currency, net_minor, tax_minor, rounding_minor, total_minor, fx_rate_e10, tax_fx_rate_e10,"
    " tax_currency_minor, corrects_id, language, template_version, run_id, group_key, version, created_at, issued_at"
)
LINE = (
    "id, document_id, position, charge_id, beneficiary_id, product_id, kind, quantity_e6, unit_price_e6, discount_minor,"
    " amount_minor, net_minor, tax_category, tax_inclusive, tax_rate_id, tax_code, rate_ppm, tax_minor, deferred_minor,"
    " base_net_minor, base_tax_minor, base_deferred_minor, period_from, period_to, corrects_line_id"
)
LOSS = "id, document_id, kind, amount_minor, base_minor, written_on"

SQLITE = f"""
DROP TRIGGER document_stays_update;
CREATE TRIGGER document_stays_update BEFORE UPDATE OF {DOCUMENT} ON document WHEN OLD.state = 'issued'
BEGIN SELECT RAISE(ABORT, 'an issued document does not change'); END;
CREATE TRIGGER document_words_stay BEFORE UPDATE OF reference, note ON document
WHEN OLD.state = 'issued' AND (NEW.reference NOT IN ('', OLD.reference) OR NEW.note NOT IN ('', OLD.note))
BEGIN SELECT RAISE(ABORT, 'the words of an issued document can only be erased'); END;
DROP TRIGGER document_line_stays_update;
CREATE TRIGGER document_line_stays_update BEFORE UPDATE OF {LINE} ON document_line
WHEN EXISTS (SELECT 1 FROM document WHERE id IN (OLD.document_id, NEW.document_id) AND state = 'issued')
BEGIN SELECT RAISE(ABORT, 'a line of an issued document does not change'); END;
CREATE TRIGGER document_line_words_stay BEFORE UPDATE OF description ON document_line
WHEN NEW.description <> '' AND EXISTS (SELECT 1 FROM document WHERE id = OLD.document_id AND state = 'issued')
BEGIN SELECT RAISE(ABORT, 'the words of an issued document can only be erased'); END;
DROP TRIGGER write_off_stays_update;
CREATE TRIGGER write_off_stays_update BEFORE UPDATE OF {LOSS} ON write_off
BEGIN SELECT RAISE(ABORT, 'write-offs are append-only'); END;
CREATE TRIGGER write_off_reason_stays BEFORE UPDATE OF reason ON write_off WHEN NEW.reason <> ''
BEGIN SELECT RAISE(ABORT, 'the reason of a write-off can only be erased'); END;
"""

POSTGRESQL = f"""
DROP TRIGGER document_stays_update ON document;
CREATE TRIGGER document_stays_update BEFORE UPDATE OF {DOCUMENT} ON document
    FOR EACH ROW WHEN (OLD.state = 'issued') EXECUTE FUNCTION document_stays();
CREATE TRIGGER document_words_stay BEFORE UPDATE OF reference, note ON document FOR EACH ROW
    WHEN (OLD.state = 'issued' AND (NEW.reference NOT IN ('', OLD.reference) OR NEW.note NOT IN ('', OLD.note)))
    EXECUTE FUNCTION document_stays();
DROP TRIGGER document_line_stays ON document_line;
CREATE TRIGGER document_line_stays_delete BEFORE DELETE ON document_line
    FOR EACH ROW EXECUTE FUNCTION document_part_stays();
CREATE TRIGGER document_line_stays BEFORE UPDATE OF {LINE} ON document_line
    FOR EACH ROW EXECUTE FUNCTION document_part_stays();
CREATE TRIGGER document_line_words_stay BEFORE UPDATE OF description ON document_line
    FOR EACH ROW WHEN (NEW.description <> '') EXECUTE FUNCTION document_part_stays();
DROP TRIGGER write_off_stays ON write_off;
CREATE TRIGGER write_off_stays_delete BEFORE DELETE OR TRUNCATE ON write_off
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER write_off_stays BEFORE UPDATE OF {LOSS} ON write_off FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER write_off_reason_stays BEFORE UPDATE OF reason ON write_off
    FOR EACH ROW WHEN (NEW.reason <> '') EXECUTE FUNCTION append_only();
"""


async def forwards() -> None:
    await run_sql(sqlite=SQLITE, postgresql=POSTGRESQL)
