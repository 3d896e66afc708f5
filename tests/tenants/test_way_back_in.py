"""The way back in for somebody who has lost password and device."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from click.testing import CliRunner

from core.database import bind, execute, transaction, value, values
from tenants.cli import main
from tests.hosts import environment_of, made

if TYPE_CHECKING:
    from tenants.deployment import Deployment


async def test_F1_the_command_line_gives_a_link_and_takes_the_second_factor_of_a_lost_device_away(
    deployment: Deployment,
) -> None:
    record = (await made(deployment, "acme")).record
    database = deployment.placement.find(record)
    with bind(database):
        async with transaction():
            await execute("UPDATE staff SET totp_sealed = 'sealed'")
            await execute("INSERT INTO recovery_code (staff_id, code_hash) SELECT id, 'hash' FROM staff")
    command = ["tenant", "link", "acme", "--email", "Admin@acme.example"]

    plain = await asyncio.to_thread(CliRunner().invoke, main, command, env=environment_of(deployment))
    with bind(database):
        kept = await value("SELECT count(*) FROM recovery_code")
    lost = [*command, "--second-factor"]
    ended = await asyncio.to_thread(CliRunner().invoke, main, lost, env=environment_of(deployment))

    assert re.search(r"/welcome/[\w-]+$", plain.output.strip())
    assert re.search(r"/welcome/[\w-]+$", ended.output.strip())
    assert kept == 1
    with bind(database):
        assert await value("SELECT count(*) FROM recovery_code") == 0
        assert await value("SELECT count(*) FROM staff WHERE totp_sealed <> ''") == 0
        assert "command:tenant link" in await values("SELECT actor FROM activity WHERE kind = 'second_factor_reset'")
