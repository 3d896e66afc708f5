"""`tenantry demo`: invented customers that joined over years, and what it says while it fills."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from core.database import value, values
from core.scope import command_actor
from tenants.cli import main
from tests.hosts import environment_of

if TYPE_CHECKING:
    from click.testing import Result

    from tenants.deployment import Deployment

HALF_A_YEAR_AND_SOME = 8


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_its_customers_joined_over_years_and_are_billed_for_half_a_year(deployment: Deployment) -> None:
    async def run(*command: str) -> Result:
        ended = await asyncio.to_thread(CliRunner().invoke, main, command, env=environment_of(deployment))
        assert ended.exit_code == 0, ended.output
        return ended

    await run("tenant", "create", "alpha", "--email", "a@example.net")
    made = await run("demo", "--tenant", "alpha", "--customers", "30")

    record = await deployment.registry.get_by_slug("alpha")
    async with deployment.scope(record, command_actor("test")) as scope:
        joined = [date.fromisoformat(str(one)) for one in await values("SELECT joined_on FROM customer")]
        late = await values(
            "SELECT customer.id FROM customer JOIN subscription ON subscription.customer_id = customer.id"
            " WHERE subscription.started_on < customer.joined_on"
        )
        first = date.fromisoformat(str(await value("SELECT min(issued_on) FROM document")))
        today = scope.today()
    assert len({one.year for one in joined}) >= 4
    assert max(joined) <= today
    assert late == []
    assert (today.year * 12 + today.month) - (first.year * 12 + first.month) < HALF_A_YEAR_AND_SOME
    said = made.stderr.splitlines()
    assert "Customers: 30 of 30" in said
    assert any(line.startswith("Invoices: ") for line in said)
    assert made.stdout.startswith("30 customers, ")
