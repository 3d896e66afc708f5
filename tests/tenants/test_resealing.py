"""A new key for the secrets in tenants' databases, while processes run that know only the old one."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from click.testing import CliRunner

from core.config import Keys
from core.database import execute, value, values
from core.messages.actions import queue
from core.messages.settings import MailSettings
from core.scope import command_actor
from core.settings.actions import save_settings
from core.settings.queries import load_settings
from core.staff.schemas import LinkMail
from tenants.cli import main
from tests.hosts import environment_of, made

if TYPE_CHECKING:
    from tenants.deployment import Deployment

ME = command_actor("test")


async def rotate(deployment: Deployment, *more: str, code: int = 0) -> list[dict[str, Any]]:
    command = ("keys", "rotate", "--json", *more)
    ended = await asyncio.to_thread(CliRunner().invoke, main, command, env=environment_of(deployment))
    assert ended.exit_code == code, ended.output
    return json.loads(ended.stdout)


async def test_every_secret_is_sealed_with_the_new_key_and_who_runs_takes_it(deployment: Deployment) -> None:
    record = (await made(deployment, "alpha")).record
    old = deployment.keys.ids[0]
    async with deployment.scope(record, ME) as scope:
        await save_settings(scope, MailSettings(password="s3cret"))
        mail = LinkMail(name="Ann", company="Alpha", link="https://x.example/t", minutes=60)
        await queue(scope, "staff_invitation", to=["a@alpha.example"], fields=mail)
        await execute("UPDATE staff SET totp_sealed = :sealed", sealed=scope.keys.seal("ABCDEF"))

    done, again = await rotate(deployment), await rotate(deployment, "--again")

    assert done == [{"slug": "alpha", "settings": 1, "passwords": 0, "apps": 1, "messages": 1, "error": ""}]
    assert again == [{"slug": "alpha", "settings": 0, "passwords": 0, "apps": 0, "messages": 0, "error": ""}]
    assert deployment.keys.ids == (old,)  # as a server has it that ran meanwhile
    async with deployment.scope(record, ME) as scope:
        assert (await load_settings(MailSettings, scope.keys)).password == "s3cret"
        assert scope.keys.open(await value("SELECT totp_sealed FROM staff")) == "ABCDEF"
        kept = await values("SELECT fields FROM message") + await values("SELECT value FROM setting")
    assert len(deployment.keys.ids) == 2
    newest = Keys({deployment.keys.ids[0]: dict(_lines(deployment))[deployment.keys.ids[0]]})
    assert not [text for text in kept if f'"{old}:' in text]
    sealed = [msgspec.json.decode(text)["sealed"] for text in kept if text.startswith('{"sealed"')]
    assert ["https://x.example/t" in newest.open(one) for one in sealed] == [True]


def _lines(deployment: Deployment) -> list[tuple[str, str]]:
    lines = (deployment.config.data / "keys").read_text().splitlines()
    return [(line.split()[0], line.split()[1]) for line in lines if not line.startswith("#")]


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_one_that_cannot_be_opened_is_named_and_stops_no_other(deployment: Deployment) -> None:
    await made(deployment, "alpha")
    damaged = (await made(deployment, "beta")).record
    await deployment.leave(damaged.uuid)
    deployment.placement.file(damaged.uuid).write_bytes(b"no database" * 1000)
    await made(deployment, "gamma")

    done = await rotate(deployment, code=1)

    assert [(one["slug"], bool(one["error"])) for one in done] == [("alpha", False), ("beta", True), ("gamma", False)]
