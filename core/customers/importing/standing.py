"""Customers of an import that become active, many at once: by a rule, so nobody is asked and no plan is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from core.activity.unit import record_set, unit_of_work
from core.customers.events import CustomerStatusChanged
from core.customers.status import StatusKey, StatusKind
from core.database import execute, rows, value

if TYPE_CHECKING:
    from core.scope import Scope


class _New(Struct, frozen=True):
    id: int
    key: str


async def make_new_ones_active(scope: Scope, customer_ids: Sequence[int]) -> None:
    """Whoever of these is New becomes Active, because something was activated for it (domain.md, Subscription)."""
    async with unit_of_work(scope):
        new = await rows(
            _New,
            "SELECT c.id, s.key FROM customer c JOIN status s ON s.id = c.status_id"
            " WHERE c.id IN :ids AND s.kind = :kind ORDER BY c.id FOR NO KEY UPDATE OF c",
            ids=sorted(set(customer_ids)),
            kind=StatusKind.NEW,
        )
        if not new:
            return
        active = int(await value("SELECT id FROM status WHERE key = :key", key=StatusKey.ACTIVE))
        await execute(
            "UPDATE customer SET status_id = :active, status_reason = 'import', version = version + 1 WHERE id IN :ids",
            active=active,
            ids=[each.id for each in new],
        )
        for key in sorted({each.key for each in new}):
            record_set(
                scope,
                CustomerStatusChanged,
                "SELECT id AS subject_id, id AS customer_id, '{\"customer_id\":' || CAST(id AS text)"
                " || :facts::text AS facts FROM customer WHERE id IN :ids",
                facts=f',"from_key":"{key}","to_key":"{StatusKey.ACTIVE}","reason":"import"}}',
                ids=[each.id for each in new if each.key == key],
            )
