"""Late fees of an invoice: charged because it was not paid, they go with one that is credited in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from core.billing.actions.drafts import reworked
from core.database import execute, rows
from core.ids import Id
from core.subscriptions.actions import waive_charge

if TYPE_CHECKING:
    from core.scope import Scope


class LateFee(Struct, frozen=True):
    """A fee that is in force, and the document on which it stands: none while it is not invoiced."""

    charge_id: Id
    amount_minor: int
    """What is taken back of it: with its tax where it stands on a document, less what was credited."""
    currency: str
    document_id: int | None
    document_state: str | None
    number: str | None

    @property
    def is_issued(self) -> bool:
        return self.document_state == "issued"


async def list_late_fees(document_id: int) -> list[LateFee]:
    """What was charged because an invoice was overdue, and was neither waived nor credited."""
    return await rows(
        LateFee,
        "SELECT k.id AS charge_id, k.currency, d.id AS document_id, d.state AS document_state, d.number,"
        " CAST(coalesce(l.net_minor + l.tax_minor - (SELECT coalesce(sum(c.net_minor + c.tax_minor), 0)"
        " FROM document_line c WHERE c.corrects_line_id = l.id), k.amount_minor) AS bigint) AS amount_minor"
        " FROM dunning_event e JOIN charge k ON k.id = e.charge_id LEFT JOIN document_line l ON l.charge_id = k.id"
        " LEFT JOIN document d ON d.id = l.document_id"
        " WHERE e.document_id = :id AND k.state IN ('open', 'invoiced') AND (l.id IS NULL OR l.net_minor >"
        " (SELECT coalesce(sum(c.net_minor), 0) FROM document_line c WHERE c.corrects_line_id = l.id)) ORDER BY k.id",
        id=document_id,
    )


async def waive_late_fees(scope: Scope, document_id: int) -> list[LateFee]:
    """Those that are not invoiced yet are given up, also on drafts; gives those that stand on issued invoices."""
    fees = await list_late_fees(document_id)
    for fee in fees:
        if fee.document_id is not None and not fee.is_issued:
            async with reworked(scope, fee.document_id):
                await execute("DELETE FROM document_line WHERE charge_id = :id", id=fee.charge_id)
                await execute("UPDATE charge SET state = 'open', closed_on = NULL WHERE id = :id", id=fee.charge_id)
        if not fee.is_issued:
            await waive_charge(scope, fee.charge_id)
    return [fee for fee in fees if fee.is_issued]


async def goes_on_as(charge_id: int, anew_id: int) -> None:
    """A charge is rated anew: the fee of a step is its next revision."""
    await execute("UPDATE dunning_event SET charge_id = :anew WHERE charge_id = :id", anew=anew_id, id=charge_id)
