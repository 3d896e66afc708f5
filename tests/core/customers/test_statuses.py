"""A customer's status over pages and JSON: the plan first, then exactly that; why it is so; set for a day to come."""

from __future__ import annotations

import pytest

from core.activity.unit import unit_of_work
from core.customers import actions
from core.customers.schemas import NewCustomer
from core.customers.status import TRANSITIONS, StatusKey
from core.database import execute, value
from core.errors import Conflict
from core.testing import TestTenant

pytestmark = pytest.mark.anyio

PAIRS = [(one, other) for one in StatusKey for other in StatusKey if one != other]


async def somebody(tenant: TestTenant, status: str = "new") -> int:
    customer_id = await actions.create_customer(tenant.scope(), NewCustomer(full_name="Ada Adler"))
    await force(tenant, customer_id, status)
    return customer_id


async def force(tenant: TestTenant, customer_id: int, status: str) -> None:
    async with unit_of_work(tenant.scope()):
        await execute(
            "UPDATE customer SET status_id = (SELECT id FROM status WHERE key = :key) WHERE id = :id",
            key=status,
            id=customer_id,
        )


async def status_of(customer_id: int) -> str:
    return str(
        await value(
            "SELECT status.key FROM customer JOIN status ON status.id = customer.status_id WHERE customer.id = :id",
            id=customer_id,
        )
    )


async def test_U4_each_pair_of_statuses_is_allowed_by_the_table_or_refused(tenant: TestTenant) -> None:
    for one, other in PAIRS:
        customer_id = await somebody(tenant, one)
        if other in TRANSITIONS[one]:
            await actions.change_status(tenant.scope(), customer_id, other)
            assert await status_of(customer_id) == other
        else:
            with pytest.raises(Conflict, match="cannot become"):
                await actions.change_status(tenant.scope(), customer_id, other)
            assert await status_of(customer_id) == one
