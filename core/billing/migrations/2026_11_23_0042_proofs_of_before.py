"""Invoices of before proofs were noted get theirs: the check of their buyer's VAT id that stood when they were issued."""

from core.database.migrations import run_sql

ID = "2026-11-23T00:42:00"
VERSION = "1"
DESCRIPTION = "checks of VAT ids that earlier invoices rest on"

SQL = """
INSERT INTO document_vat_check (document_id, vat_check_id)
SELECT d.id, v.id
FROM document d
JOIN document_party b ON b.document_id = d.id AND b.role = 'buyer' AND b.snapshot <> ''
JOIN customer c ON c.id = d.payer_id
JOIN vat_check v ON v.id = (
    SELECT v.id FROM vat_check v
    WHERE v.vat_id = VAT_ID AND v.vat_id <> '' AND v.checked_at <= d.issued_at
      AND (v.source <> '' OR v.customer_id IS NULL OR EXISTS (SELECT 1 FROM customer k
        WHERE k.id = v.customer_id AND coalesce(k.partition_id, 0) = coalesce(c.partition_id, 0)))
    ORDER BY v.checked_at DESC, v.id DESC LIMIT 1)
WHERE d.id IN (SELECT document_id FROM document_tax WHERE category = 'AE') AND d.kind = 'invoice' AND d.state = 'issued'
  AND v.valid AND SINCE
  AND d.id NOT IN (SELECT document_id FROM document_vat_check)
"""


async def forwards() -> None:
    await run_sql(
        sqlite=SQL.replace("VAT_ID", "json_extract(b.snapshot, '$.vat_id')").replace(
            "SINCE", "date(v.checked_at) >= date(d.issued_at, '-90 days')"
        ),
        postgresql=SQL.replace("VAT_ID", "CAST(b.snapshot AS json) ->> 'vat_id'").replace(
            "SINCE", "v.checked_at >= d.issued_at - interval '91 days'"
        )
        + "; SET CONSTRAINTS ALL IMMEDIATE; SET CONSTRAINTS ALL DEFERRED",
    )
