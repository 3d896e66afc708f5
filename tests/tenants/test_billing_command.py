"""`tenantry billing run`: what it prints, and when it asks first."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from core.clock import SystemClock, today
from tenants.cli import main
from tests.hosts import environment_of

if TYPE_CHECKING:
    from tenants.deployment import Deployment


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_a_preview_is_shown_and_an_unusual_run_asks_first(deployment: Deployment) -> None:
    environment = {**environment_of(deployment), "COLUMNS": "200"}

    async def run(*command: str, code: int = 0) -> str:
        ended = await asyncio.to_thread(CliRunner().invoke, main, command, env=environment)
        assert ended.exit_code == code, ended.output
        return ended.output

    await run("tenant", "create", "alpha", "--email", "a@example.net")
    await run("demo", "--tenant", "alpha", "--customers", "5")
    day = (today(SystemClock(), "UTC") + timedelta(days=60)).isoformat()

    previewed = await run("billing", "run", "--tenant", "alpha", "--date", day, "--preview")
    told = json.loads(await run("billing", "run", "--tenant", "alpha", "--date", day, "--preview", "--json"))
    refused = await run("billing", "run", "--tenant", "alpha", "--date", day, code=1)
    billed = await run("billing", "run", "--tenant", "alpha", "--date", day, "--yes")
    again = await run("billing", "run", "--tenant", "alpha", "--date", day)

    assert told["invoices"] > 0
    assert f"{told['invoices']:,} invoices would be made by {day}" in previewed
    assert "days would be made up for at once. The run will ask for --yes." in previewed
    assert "Nothing was billed: look at it with --preview, then repeat it with --yes." in refused
    assert f"{told['invoices']:,} invoices were made" in billed
    assert "0 invoices were made" in again
