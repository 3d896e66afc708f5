"""What is no longer overdue takes back what dunning did for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.activity.unit import record, savepoint
from core.billing.events import DunningLiftRefused
from core.billing.status import Ending
from core.customers.actions import lift_status
from core.customers.status import StatusReason
from core.database import execute, value, values
from core.errors import Conflict, Invalid

if TYPE_CHECKING:
    from core.scope import Scope

_FREED: Final = """
SELECT c.id FROM customer c JOIN status st ON st.id = c.status_id
WHERE c.id IN (
    SELECT id FROM customer WHERE id = :payer
    UNION
    SELECT l.beneficiary_id FROM dunning_event e JOIN document_line l ON l.document_id = e.document_id
    WHERE e.payer_id = :payer AND e.effect <> '')
  AND c.status_reason = 'dunning' AND st.key IN ('blocked', 'inactive')
  AND NOT EXISTS (
    SELECT 1 FROM document_state s WHERE s.payer_id = c.id AND s.open_minor > 0 AND s.due_on < :today
      AND NOT s.disputed AND (s.promise_on IS NULL OR s.promise_on < :today))
  AND NOT EXISTS (
    SELECT 1 FROM dunning_event e JOIN document_state s ON s.document_id = e.document_id
    JOIN document_line l ON l.document_id = e.document_id
    WHERE e.payer_id IN (:payer, c.payer_id) AND e.payer_id <> c.id AND e.effect <> '' AND l.beneficiary_id = c.id
      AND s.open_minor > 0 AND s.due_on < :today
      AND NOT s.disputed AND (s.promise_on IS NULL OR s.promise_on < :today))
ORDER BY c.id
"""
"""The payer, and those blocked with it, who owe nothing overdue that is neither promised nor disputed."""


_CREDITED: Final = (
    "SELECT n.id FROM allocation a JOIN credit_entry e ON e.id = a.credit_entry_id"
    " LEFT JOIN document n ON e.source_kind = 'credit_note' AND n.id = e.source_id AND n.corrects_id = a.document_id"
    " WHERE a.document_id = :id AND a.amount_minor > 0 ORDER BY a.id DESC LIMIT 1"
)
"""The credit note that settled an invoice of its own; none where money or other credit did."""


async def close_pauses(scope: Scope, document_id: int, ending: Ending | None = None) -> None:
    """In the unit that settles an invoice: its promise is kept where it was paid, and there is nothing left to dispute.

    `ending`: how it was settled, where that is more than what came last to it."""
    paused = await value(
        "SELECT 1 FROM document_state WHERE document_id = :id AND (disputed OR promise_on IS NOT NULL)", id=document_id
    )
    if paused is None:
        return
    if ending is None:
        ending = Ending.PAID if await value(_CREDITED, id=document_id) is None else Ending.CREDITED
    for table, paid in (("promise", "kept"), ("dispute", "settled")):
        await execute(
            f"UPDATE {table} SET state = :state, closed_on = :today WHERE document_id = :id AND state = 'open'",
            state=paid if ending is Ending.PAID else ending.value,
            today=scope.today(),
            id=document_id,
        )
    await execute(
        "UPDATE document_state SET disputed = FALSE, promise_on = NULL WHERE document_id = :id", id=document_id
    )


async def lift(scope: Scope, payer_id: int) -> None:
    """Whom dunning has blocked or ended is active again where nothing overdue is left; what a person has set stays.

    In the unit that settles an invoice. A plugin's refusal stops no payment: it stands in the activity, for a person.
    """
    for customer_id in await values(_FREED, payer=payer_id, today=scope.today()):
        try:
            async with savepoint():
                await lift_status(scope, int(customer_id), reason=StatusReason.DUNNING)
        except (Conflict, Invalid) as error:
            event = DunningLiftRefused(customer_id=int(customer_id))
            record(scope, event, changes={"reason": (None, error.message)})
