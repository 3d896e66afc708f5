"""What keeps a tenant's database quick."""

from __future__ import annotations

import pytest

from core.app import SCHEDULES
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import dialect, value
from core.jobs.kinds import Claim, Job
from core.jobs.schedules import Scheduled
from core.jobs.upkeep import STATISTICS
from core.testing import TestTenant


async def test_each_night_sqlite_is_told_how_the_tables_have_grown(tenant: TestTenant) -> None:
    if dialect() != "sqlite":
        pytest.skip("PostgreSQL looks after that by itself")
    scope = tenant.scope()
    for number in range(3):
        await create_customer(scope, NewCustomer(full_name=f"Ann {number}", country="IE"))

    claim = Claim(1, STATISTICS.name, "repeatable", "{}", "system", 1, 1)
    await STATISTICS.run(scope, Job(scope, claim, Scheduled(scope.today())))

    rows_of_customers = await value("SELECT stat FROM sqlite_stat1 WHERE tbl = 'customer' LIMIT 1")
    assert rows_of_customers.split()[0] == "3"
    assert "keep_statistics" in {one.name for one in SCHEDULES}
