"""Tax of a bad debt that the law gives back (row 20), and that is due again where the loss is not one (row 21)."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.billing.events import TaxRelieved
from core.billing.tables import Document
from core.database import row, rows, value, within
from core.errors import Conflict, Invalid, NotFound
from core.ledger.accounts import Code
from core.ledger.fx import part_of_base
from core.ledger.posting import credit, debit, post
from core.money import half_up
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope


class _Taxed(Struct, frozen=True):
    """What a document charged at a rate and did not credit, and what of its tax was relieved."""

    tax_rate_id: int | None
    gross_minor: int
    tax_minor: int
    base_tax_minor: int
    relieved_minor: int
    base_relieved_minor: int


class _Lost(Struct, frozen=True):
    id: int
    payer_id: int
    currency: str
    book_id: int
    lost_minor: int = 0


_TAXED = """
SELECT t.*, coalesce(r.minor, 0) AS relieved_minor, coalesce(r.base_minor, 0) AS base_relieved_minor FROM (
    SELECT l.tax_rate_id, CAST(sum(CASE WHEN d.kind = 'credit_note' THEN -(l.net_minor + l.tax_minor)
               ELSE l.net_minor + l.tax_minor END) AS bigint) AS gross_minor,
           CAST(sum(CASE WHEN d.kind = 'credit_note' THEN -l.tax_minor ELSE l.tax_minor END) AS bigint) AS tax_minor,
           CAST(sum(CASE WHEN d.kind = 'credit_note' THEN -1 ELSE 1 END
               * CASE WHEN d.fx_rate_e10 IS NULL THEN l.tax_minor ELSE l.base_tax_minor END) AS bigint)
               AS base_tax_minor
    FROM document d JOIN document_line l ON l.document_id = d.id
    WHERE d.state = 'issued' AND (d.id = :id OR (d.corrects_id = :id AND d.kind = 'credit_note'))
    GROUP BY l.tax_rate_id
) t
LEFT JOIN (
    SELECT coalesce(tax_rate_id, 0) AS rate, CAST(sum(amount_minor) AS bigint) AS minor,
           CAST(sum(base_minor) AS bigint) AS base_minor
    FROM tax_relief WHERE document_id = :id GROUP BY coalesce(tax_rate_id, 0)
) r ON r.rate = coalesce(t.tax_rate_id, 0)
ORDER BY coalesce(t.tax_rate_id, 0)
"""


async def relievable(document_id: int, lost_minor: int) -> list[tuple[int | None, int, int]]:
    """By rate the tax in what was lost and not relieved yet, in the document's currency and in the tenant's."""
    taxed = await rows(_Taxed, _TAXED, id=document_id)
    gross = sum(each.gross_minor for each in taxed)
    found: list[tuple[int | None, int, int]] = []
    for each in taxed:
        part = half_up(each.tax_minor * min(lost_minor, gross), gross) if gross > 0 else 0
        minor = part - each.relieved_minor
        if minor > 0:
            base = part_of_base(
                each.base_tax_minor - each.base_relieved_minor, each.tax_minor - each.relieved_minor, minor
            )
            found.append((each.tax_rate_id, minor, base))
    return found


async def relieve_tax(scope: Scope, document_id: int, reason: str, granted_on: date | None = None) -> int:
    """Take back the tax in what was written off, once the law grants it; gives how much. By hand, with day and reason.

    The loss is less by it: 2200 against 5000.
    """
    if not reason.strip():
        raise Invalid(_("Say on what grounds the tax is relieved."), field="reason")
    today = scope.today()
    if granted_on is not None and granted_on > today:
        raise Invalid(_("Choose a day that is not ahead."), field="granted_on")
    async with unit_of_work(scope):
        found = await _lost(scope, document_id)
        parts = await relievable(document_id, found.lost_minor)
        if not parts:
            raise Conflict(_("There is no tax in what was written off of it, or it was relieved already."))
        for tax_rate_id, minor, base in parts:
            await _move(found, tax_rate_id, minor, base, reason.strip(), granted_on or today, today)
        total = sum(minor for _rate, minor, _base in parts)
        record(
            scope,
            TaxRelieved(invoice_id=document_id, customer_id=found.payer_id, amount_minor=total),
            changes={"reason": (None, reason.strip())},
        )
        return total


async def take_relief_back(scope: Scope, document_id: int, taken_minor: int, lost_minor: int) -> None:
    """So much of a loss is none any more: its share of the relieved tax is due again (row 21)."""
    relieved = [each for each in await rows(_Taxed, _TAXED, id=document_id) if each.relieved_minor]
    if not relieved:
        return
    found = await row(_Lost, "SELECT id, payer_id, currency, book_id FROM document WHERE id = :id", id=document_id)
    assert found is not None
    today = scope.today()
    for each in relieved:
        minor = part_of_base(each.relieved_minor, lost_minor, min(taken_minor, lost_minor))
        if minor:
            base = part_of_base(each.base_relieved_minor, each.relieved_minor, minor)
            await _move(found, each.tax_rate_id, -minor, -base, "The loss was taken back", today, today)


async def _lost(scope: Scope, document_id: int) -> _Lost:
    """Locked before it is read: money that comes at the same time makes the loss less."""
    await value("SELECT 1 FROM document_state WHERE document_id = :id FOR UPDATE", id=document_id)
    found = await row(
        _Lost,
        "SELECT document.id, document.payer_id, document.currency, document.book_id,"
        " coalesce((SELECT CAST(sum(w.amount_minor) AS bigint) FROM write_off w WHERE w.document_id = document.id"
        " AND w.kind = 'bad_debt'), 0) AS lost_minor FROM document WHERE id = :id AND state = 'issued' AND :within",
        id=document_id,
        within=within(Document, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"document {document_id}")
    if found.lost_minor <= 0:
        raise Conflict(_("Nothing of it was written off as a bad debt."))
    return found


async def _move(
    of: _Lost, tax_rate_id: int | None, minor: int, base: int, reason: str, granted_on: date, today: date
) -> None:
    relief_id = int(
        await value(
            "INSERT INTO tax_relief (document_id, tax_rate_id, amount_minor, base_minor, reason, granted_on)"
            " VALUES (:document, :rate, :amount, :base, :reason, :granted_on) RETURNING id",
            document=of.id,
            rate=tax_rate_id,
            amount=minor,
            base=base,
            reason=reason,
            granted_on=granted_on,
        )
    )
    await post(
        [
            debit(Code.TAX_PAYABLE, minor, of.currency, base, tax_rate_id=tax_rate_id),
            credit(Code.BAD_DEBTS, minor, of.currency, base),
        ],
        kind="tax_relief",
        source_kind="tax_relief",
        source_id=relief_id,
        booked_on=today,
        book_id=of.book_id,
    )
