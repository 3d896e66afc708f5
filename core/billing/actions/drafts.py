"""Drafts whose charges lose days: an end that falls into them cuts them as it cuts what waits for its invoice."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import date
from typing import TYPE_CHECKING

from msgspec import Struct

from core.activity.unit import record
from core.billing.actions.invoices import plan_for, take_charges, work_out_draft
from core.billing.events import InvoiceDrafted
from core.database import execute, row, rows, value, values
from core.subscriptions.actions.cutting import when_days_are_cut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from core.scope import Scope


class _Held(Struct, frozen=True):
    """A charge on a draft."""

    charge_id: int
    component: str
    period_start: date | None
    document_id: int
    payer_id: int
    currency: str


@asynccontextmanager
async def let_go(scope: Scope, subscription_id: int, from_on: date | None) -> AsyncIterator[None]:
    """Charges over days from one on leave their drafts; what is left of them afterwards stands there again."""
    held = await rows(
        _Held,
        "SELECT k.id AS charge_id, k.component, k.period_start, d.id AS document_id, d.payer_id, d.currency"
        " FROM charge k JOIN document_line l ON l.charge_id = k.id"
        " JOIN document d ON d.id = l.document_id AND d.state = 'draft' AND d.kind = 'invoice'"
        " WHERE k.subscription_id = :id AND k.state = 'invoiced' AND (:all OR (k.kind = 'recurring'"
        " AND coalesce(k.replaced_from, k.period_end) > :from_on)) ORDER BY d.id, l.position FOR UPDATE OF d",
        id=subscription_id,
        all=from_on is None,
        from_on=from_on or scope.today(),
    )
    if not held:
        yield
        return
    last = int(await value("SELECT max(id) FROM charge"))
    ids = [each.charge_id for each in held]
    await execute("DELETE FROM document_line WHERE charge_id IN :ids", ids=ids)
    await execute("UPDATE charge SET state = 'open', closed_on = NULL WHERE id IN :ids", ids=ids)
    yield
    for document_id in dict.fromkeys(each.document_id for each in held):
        await _take_up(scope, subscription_id, [each for each in held if each.document_id == document_id], last)


async def _take_up(scope: Scope, subscription_id: int, held: Sequence[_Held], last: int) -> None:
    """What is still open of these, as it was or made anew for the days before, stands on their draft again."""
    draft = held[0]
    async with reworked(scope, draft.document_id):
        left = [
            int(charge_id)
            for each in held
            for charge_id in await values(
                "SELECT id FROM charge WHERE subscription_id = :subscription AND state = 'open' AND (id = :id"
                " OR (id > :last AND kind = 'recurring' AND component = :component AND period_start = :start))"
                " ORDER BY id",
                subscription=subscription_id,
                id=each.charge_id,
                last=last,
                component=each.component,
                start=each.period_start,
            )
        ]
        await take_charges(scope, draft.document_id, draft.payer_id, draft.currency, left)


class _Draft(Struct, frozen=True):
    payer_id: int
    seller_id: int
    total_minor: int


@asynccontextmanager
async def reworked(scope: Scope, draft_id: int) -> AsyncIterator[None]:
    """A draft whose lines change is worked out anew, and says so."""
    draft = await row(
        _Draft, "SELECT payer_id, seller_id, total_minor FROM document WHERE id = :id FOR UPDATE", id=draft_id
    )
    assert draft is not None
    yield
    await work_out_draft(await plan_for(scope, draft.seller_id), draft_id)
    await execute("UPDATE document SET version = version + 1 WHERE id = :id", id=draft_id)
    total = int(await value("SELECT total_minor FROM document WHERE id = :id", id=draft_id))
    record(
        scope,
        InvoiceDrafted(invoice_id=draft_id, customer_id=draft.payer_id),
        changes={"total_minor": (draft.total_minor, total)},
    )


when_days_are_cut(let_go)
