"""Trying out time: a copy lives through days by the real jobs, nothing of it goes out, the tenant stays as it is."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from msgspec import Struct

from core.database import execute, rows, value, values
from core.errors import Conflict, Invalid
from core.jobs.actions import let_held_go
from core.messages.jobs import try_connection
from core.messages.settings import MailSettings
from core.periods import Cycle, cycle_index, nth
from core.scope import command_actor
from core.settings.actions import save_settings
from core.settings.queries import load_settings
from tenants.backups import back_up
from tenants.cli import main
from tenants.clocks import run_forward, try_time
from tenants.demo import fill
from tenants.restoring import restore
from tenants.working import make_worker
from tests.hosts import environment_of, made, visitor

if TYPE_CHECKING:
    from datetime import datetime

    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord

ME = command_actor("test")
MONTH = Cycle("month", 1)
INVOICES = "SELECT count(*) FROM document WHERE kind = 'invoice' AND state = 'issued'"


async def furnished(deployment: Deployment) -> TenantRecord:
    """A tenant with customers who have plans, billed up to today."""
    record = (await made(deployment, "alpha")).record
    async with deployment.scope(record, ME) as scope:
        await fill(scope, 4)
    return record


async def told_by(deployment: Deployment, record: TenantRecord, sql: str) -> int:
    async with deployment.scope(record, ME):
        found: int = await value(sql)
        return found


class Due(Struct, frozen=True):
    payer_id: int
    anchor_on: date
    due_on: date


async def due_by_month(deployment: Deployment, record: TenantRecord, until: date) -> dict[str, int]:
    """How many invoices the tenant's monthly plans bring by a day: one for all that a payer has due on a day."""
    async with deployment.scope(record, ME):
        found = await rows(
            Due,
            "SELECT payer_id, anchor_on, due_on FROM subscription_schedule"
            " JOIN subscription ON subscription.id = subscription_schedule.subscription_id WHERE due_on IS NOT NULL",
        )
    days = {
        (one.payer_id, day)
        for one in found
        for n in range(cycle_index(one.anchor_on, MONTH, one.due_on), 1000)
        if one.due_on <= (day := nth(one.anchor_on, MONTH, n)) <= until
    }
    return dict(Counter(f"{day:%Y-%m}" for _, day in days))


@pytest.mark.slow
async def test_H6_a_copy_lives_through_months_and_shows_what_billing_will_do(deployment: Deployment) -> None:
    record = await furnished(deployment)
    before = await told_by(deployment, record, INVOICES)
    today = deployment.clock.now().date()

    tried = await try_time(deployment, record, "alpha-try")
    copy = await deployment.registry.get_by_slug("alpha-try")
    days: list[tuple[int, int]] = []
    ahead = await run_forward(
        deployment, copy, today + timedelta(days=35), told=lambda done, total, day: days.append((done, total))
    )

    assert tried.slug == "alpha-try"
    assert copy.clock_at == deployment.clock.now()
    assert days[0] == (0, 35)
    assert days[-1] == (35, 35)
    assert [done for done, _ in days] == sorted(done for done, _ in days)
    issued = {one.month: one.count for one in ahead.documents if one.kind == "invoice"}
    assert sum(issued.values()) > 1
    assert issued == await due_by_month(deployment, record, today + timedelta(days=35))
    assert ahead.violations == ()
    assert ahead.undrawn >= sum(issued.values())
    assert {one.kind: one.count for one in ahead.happened}["invoice_issued"] == sum(issued.values())
    assert await told_by(deployment, copy, "SELECT count(*) FROM message WHERE sent_at IS NOT NULL") == 0
    assert await told_by(deployment, record, INVOICES) == before, "the tenant itself knows nothing of it"
    assert (await deployment.registry.get_by_slug("alpha")).clock_at is None


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_H6_what_is_broken_off_goes_on_from_where_it_stood(deployment: Deployment) -> None:
    record = await furnished(deployment)
    await try_time(deployment, record, "alpha-try")
    until = deployment.clock.now().date() + timedelta(days=12)

    def tired(done: int, total: int, day: str) -> None:
        if done == 5:
            raise KeyError(day)

    with pytest.raises(KeyError):
        await run_forward(deployment, await deployment.registry.get_by_slug("alpha-try"), until, told=tired)
    halfway = await deployment.registry.get_by_slug("alpha-try")
    ahead = await run_forward(deployment, halfway, until)

    assert halfway.clock_at is not None
    assert deployment.clock.now() < halfway.clock_at < ahead.until
    async with deployment.scope(await deployment.registry.get_by_slug("alpha-try"), ME) as scope:
        assert scope.today() == until
        twice = await values(
            "SELECT subscription_id FROM charge WHERE kind = 'recurring' AND state = 'invoiced'"
            " GROUP BY subscription_id, period_start HAVING count(*) > 1"
        )
    assert twice == []
    assert ahead.violations == ()


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_H6_nothing_leaves_a_copy_whatever_is_asked_of_it(deployment: Deployment) -> None:
    record = await furnished(deployment)
    async with deployment.scope(record, ME) as scope:
        mail = MailSettings(host="127.0.0.1", port=1, sender_address="a@alpha.example", sender_name="Alpha")
        await save_settings(scope, mail)
    await try_time(deployment, record, "alpha-try")
    copy = await deployment.registry.get_by_slug("alpha-try")
    async with deployment.scope(copy, ME) as scope:
        await execute("DELETE FROM job WHERE kind = 'deliver_document'")  # they would be drawn, and that takes long
        await let_held_go(scope)
        with pytest.raises(Conflict, match="nothing leaves it"):
            await try_connection(scope, await load_settings(MailSettings, scope.keys), "x@example.net")
        await execute(
            "INSERT INTO job (kind, state, due_at, payload, policy, attempts, fence, created_at, actor)"
            " VALUES ('send_message', 'waiting', :now, '{\"message_id\": 1}', 'once', 0, 0, :now, 'command:test')",
            now=scope.now(),
        )

    await make_worker(deployment).until_idle(copy.uuid)
    await run_forward(deployment, copy, deployment.clock.now().date() + timedelta(days=3))

    waiting = await told_by(deployment, copy, "SELECT count(*) FROM job WHERE kind = 'send_message' AND attempts = 0")
    assert waiting >= 1
    assert await told_by(deployment, copy, "SELECT count(*) FROM job WHERE policy = 'once' AND attempts > 0") == 0


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_H6_a_copy_of_a_copy_and_its_backup_stay_copies(deployment: Deployment) -> None:
    record = await furnished(deployment)
    await try_time(deployment, record, "alpha-try")
    copy = await deployment.registry.get_by_slug("alpha-try")
    kept = await back_up(deployment, copy)

    await restore(deployment, Path(kept.file), copy="alpha-again")

    again = await deployment.registry.get_by_slug("alpha-again")
    assert again.clock_at == copy.clock_at


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_H6_a_tenant_in_real_time_and_a_day_that_has_been_are_refused(deployment: Deployment) -> None:
    record = await furnished(deployment)
    now: datetime = deployment.clock.now()
    await try_time(deployment, record, "alpha-try")
    copy = await deployment.registry.get_by_slug("alpha-try")

    with pytest.raises(Conflict, match="lives in real time"):
        await run_forward(deployment, record, now.date())
    with pytest.raises(Invalid, match="forward only"):
        await run_forward(deployment, copy, now.date() - timedelta(days=1))
    with pytest.raises(Invalid, match="ten years"):
        await run_forward(deployment, copy, now.date() + timedelta(days=4000))
    with pytest.raises(Conflict, match="There is a tenant"):
        await try_time(deployment, record, "alpha-try")


@pytest.mark.slow
@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_H6_by_command_and_the_pages_say_that_it_is_no_real_time(deployment: Deployment) -> None:
    environment = {**environment_of(deployment), "COLUMNS": "200"}

    async def run(*command: str, code: int = 0) -> str:
        ended = await asyncio.to_thread(CliRunner().invoke, main, command, env=environment)
        assert ended.exit_code == code, ended.output
        return ended.output

    await run("tenant", "create", "alpha", "--email", "a@example.net")
    await run("demo", "--tenant", "alpha", "--customers", "4")
    said = await run("tenant", "clock", "alpha", "--copy", "alpha-try")
    until = (date.today() + timedelta(days=32)).isoformat()  # noqa: DTZ011  # the command lives in real time
    told = json.loads(await run("tenant", "clock", "alpha-try", "--to", until, "--json"))
    again = await run("tenant", "clock", "alpha-try", "--to", until)
    refused = await run("tenant", "clock", "alpha", "--to", until, code=1)
    await run("tenant", "clock", "alpha", code=1)

    assert "Its clock stands still." in said
    assert sum(one["count"] for one in told["documents"]) > 0
    assert "Messages written, none sent" in again
    assert "lives in real time" in refused
    deployment.registry.forget()
    async with visitor(deployment, "alpha-try.localhost") as page:
        assert (await page.get("/login")).status_code == 200
