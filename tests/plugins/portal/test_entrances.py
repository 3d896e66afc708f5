"""Whom a log-in stands for is looked up, not looked for."""

from __future__ import annotations

import pytest
from msgspec import Struct

from core.customers import actions
from core.customers.schemas import NewCustomer
from core.database import dialect, rows, watched
from core.testing import TestTenant
from plugins.portal.queries import find_entrances

pytestmark = pytest.mark.plugins("portal")


class PlanStep(Struct, frozen=True):
    detail: str


async def test_a_login_and_an_address_lead_to_their_customers_by_an_index_each(tenant: TestTenant) -> None:
    made = await actions.create_customer(
        tenant.scope(), NewCustomer(full_name="Ann Other", login="Ann", emails=["ann@example.com"])
    )

    with watched() as seen:
        found = [await find_entrances(typed) for typed in ("ANN", "ann@example.com", "nobody")]

    assert [[one.customer_id for one in each] for each in found] == [[made], [made], []]
    if dialect() == "sqlite":
        plan = await rows(PlanStep, f"EXPLAIN QUERY PLAN {seen[0]}".replace("?", "1"))
        told = "\n".join(one.detail for one in plan)
        assert "INDEX customer_login (login_key=?)" in told
        assert "INDEX customer_by_email (email_key=?)" in told
