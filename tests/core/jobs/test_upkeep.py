"""What keeps a tenant's database quick."""

from __future__ import annotations

import pytest
from msgspec import Struct

from core.app import SCHEDULES
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import analyze, dialect, execute, reading, rows, value
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


class _Step(Struct, frozen=True):
    detail: str


async def test_connections_that_were_open_before_plan_by_what_is_told(tenant: TestTenant) -> None:
    if dialect() != "sqlite":
        pytest.skip("PostgreSQL looks after that by itself")
    await execute("CREATE TABLE grown (few integer, many integer)")
    await execute("CREATE INDEX grown_few ON grown (few)")
    await execute("CREATE INDEX grown_many ON grown (many)")
    plan = "EXPLAIN QUERY PLAN SELECT few + many FROM grown WHERE few = 1 AND many = 1"
    await execute("INSERT INTO grown VALUES (1, 1)")
    await analyze()
    count = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)"
    indexes = []
    for values in ("1, i", "i, 1"):
        await execute("DELETE FROM grown")
        await execute(f"INSERT INTO grown {count} SELECT {values} FROM n")
        await analyze()
        async with reading():
            indexes.append(" ".join([step.detail for step in await rows(_Step, plan)]))

    assert ["grown_many" in indexes[0], "grown_few" in indexes[1]] == [True, True], indexes
