"""Who stands above and below a customer, and who pays for whom (domain.md, Payer)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from core.customers.tables import Customer
from core.database import dialect, execute, row, rows, within

if TYPE_CHECKING:
    from core.scope import Scope

CHILDREN = 100
"""Children that the page shows; the list has them all."""


class Relative(Struct, frozen=True):
    """A customer above or below another."""

    id: int
    full_name: str
    status: str
    status_label: str
    status_kind: str
    parent_id: int | None
    payer_id: int | None


class Standing(Struct, frozen=True):
    """As much of a customer as decides who may pay for it."""

    id: int
    full_name: str
    currency: str
    partition_id: int | None
    parent_id: int | None
    payer_id: int | None


_RELATIVE = (
    "SELECT customer.id, customer.full_name, status.key AS status, status.label AS status_label,"
    " status.kind AS status_kind, customer.parent_id, customer.payer_id"
    " FROM customer JOIN status ON status.id = customer.status_id"
)
_ABOVE = (
    "WITH RECURSIVE above (id, parent_id, place) AS (SELECT id, parent_id, 0 FROM customer WHERE id = :id"
    " UNION ALL SELECT p.id, p.parent_id, above.place + 1 FROM above JOIN customer p ON p.id = above.parent_id"
    " WHERE above.place < 1000)"
)
_BELOW = (
    "WITH RECURSIVE below (id) AS (SELECT id FROM customer WHERE id = :id"
    " UNION SELECT c.id FROM below JOIN customer c ON c.parent_id = below.id)"
)


async def lock_hierarchy() -> None:
    """One change of parents at a time, till the end of the transaction: two at once could close a circle."""
    if dialect() == "postgresql":
        await execute("SELECT pg_catalog.pg_advisory_xact_lock(hashtext('hierarchy ' || current_schema()))")


async def find_standing(scope: Scope, customer_id: int) -> Standing | None:
    """None for a customer that does not exist or is out of reach."""
    return await row(
        Standing,
        "SELECT id, full_name, currency, partition_id, parent_id, payer_id FROM customer WHERE id = :id AND :within",
        id=customer_id,
        within=within(Customer, scope.actor.reach),
    )


async def line_up(customer_id: int) -> list[Standing]:
    """The customer and all above it, the nearest first, in reach or not."""
    return await rows(
        Standing,
        f"{_ABOVE} SELECT c.id, c.full_name, c.currency, c.partition_id, c.parent_id, c.payer_id FROM above"
        " JOIN customer c ON c.id = above.id ORDER BY above.place",
        id=customer_id,
    )


async def list_above(scope: Scope, customer_id: int) -> list[Relative]:
    """Those above a customer that are in reach, the topmost first."""
    return await rows(
        Relative,
        f"{_ABOVE} {_RELATIVE} JOIN above ON above.id = customer.id WHERE above.place > 0 AND :within"
        " ORDER BY above.place DESC",
        id=customer_id,
        within=within(Customer, scope.actor.reach),
    )


async def list_children(scope: Scope, customer_id: int, *, limit: int = CHILDREN + 1) -> list[Relative]:
    """Those right below a customer, by name."""
    return await rows(
        Relative,
        f"{_RELATIVE} WHERE customer.parent_id = :id AND :within ORDER BY customer.name_key, customer.id LIMIT :limit",
        id=customer_id,
        limit=limit,
        within=within(Customer, scope.actor.reach),
    )


async def list_paid_from_above(scope: Scope, customer_id: int, payer_ids: list[int]) -> list[Relative]:
    """Those below a customer that one of these pays for; only such ones as are in reach, three at most."""
    return await rows(
        Relative,
        f"{_BELOW} {_RELATIVE} WHERE customer.id IN (SELECT id FROM below) AND customer.id <> :id"
        " AND customer.payer_id IN :payers AND :within ORDER BY customer.id LIMIT 3",
        id=customer_id,
        payers=payer_ids,
        within=within(Customer, scope.actor.reach),
    )


async def count_paid_from_above(customer_id: int, payer_ids: list[int]) -> int:
    """How many below a customer one of these pays for, in reach or not."""
    found = await row(
        _Count,
        f"{_BELOW} SELECT count(*) AS count FROM customer WHERE id IN (SELECT id FROM below) AND id <> :id"
        " AND payer_id IN :payers",
        id=customer_id,
        payers=payer_ids,
    )
    return found.count if found is not None else 0


class _Count(Struct, frozen=True):
    count: int
