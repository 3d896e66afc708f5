"""What machines ask of the server itself, and what it says of each request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest
import structlog

from core.config import Metrics
from core.database import execute
from core.errors import Unavailable
from tenants import watching
from tenants.status import TenantStatus
from tests.hosts import made, visitor

if TYPE_CHECKING:
    from tenants.deployment import Deployment

SERVER = "127.0.0.1"


async def test_a_process_that_answers_is_alive_and_ready(deployment: Deployment) -> None:
    async with visitor(deployment, SERVER) as machine:
        alive, ready = await machine.get("/health"), await machine.get("/ready")

    assert (alive.status_code, alive.text) == (200, "ok\n")
    assert ready.status_code == 200
    assert ready.json()["ready"] is True
    assert ready.json()["checks"]["registry"] == {"ok": True}
    assert ("database main" in ready.json()["checks"]) == (deployment.config.placement.default == "main")


async def test_a_full_disk_and_a_silent_database_make_it_not_ready(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LEAST_FREE", 2**62)
    await deployment.placement.close()
    for server in deployment.placement.servers.values():
        server.app_dsn = "postgresql://nobody@127.0.0.1:1/none"

    async with visitor(deployment, SERVER) as machine:
        answer = await machine.get("/ready")

    assert answer.status_code == 503
    checks = answer.json()["checks"]
    assert checks["disk"]["ok"] is False
    assert "free" in checks["disk"]["detail"]
    assert all(not check["ok"] for name, check in checks.items() if name.startswith("database"))


async def test_the_servers_own_pages_are_not_at_a_tenants_name(deployment: Deployment) -> None:
    tenant = await made(deployment, "acme")

    async with visitor(deployment, tenant.record.host) as anybody:
        found = [(await anybody.get(path)).status_code for path in ("/ready", "/metrics")]

    assert found == [404, 404]


async def test_nobody_reaches_the_servers_own_pages_through_a_proxy(deployment: Deployment) -> None:
    async with visitor(deployment, SERVER) as anybody:
        anybody.headers["x-forwarded-for"] = "203.0.113.7"
        found = [(await anybody.get(path)).status_code for path in watching.PATHS]

    assert found == [404, 404, 404]


async def test_figures_say_what_was_found_of_the_tenants_and_of_the_process(deployment: Deployment) -> None:
    for slug in ("acme", "beta", "gamma"):
        await made(deployment, slug)
    async with deployment.registry.writing():
        await execute(
            "UPDATE tenant_facts SET state = 'warn', waiting = 3, looked_at = :now", now=deployment.clock.now()
        )
        await execute(
            "UPDATE tenant_facts SET state = 'ok', waiting = 0, looked_at = NULL"
            " WHERE tenant_id = (SELECT id FROM tenant WHERE slug = 'beta')"
        )

    async with visitor(deployment, SERVER) as scraper:
        figures = (await scraper.get("/metrics")).text

    assert 'tenantry_tenants_found{state="warn"} 2.0' in figures
    assert 'tenantry_tenants_found{state="ok"} 0.0' in figures
    assert "tenantry_waiting_for_a_person 6.0" in figures
    assert "tenantry_disk_free_bytes" in figures
    assert "process_resident_memory_bytes" in figures


@pytest.mark.parametrize("status", [TenantStatus.SUSPENDED, TenantStatus.FAILED, TenantStatus.ARCHIVED])
async def test_what_is_answered_in_a_tenants_place_has_an_id_that_stands_in_the_log(
    deployment: Deployment, status: TenantStatus
) -> None:
    tenant = await made(deployment, "acme")
    await deployment.registry.set_status(tenant.record.uuid, status)
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as said:
        async with visitor(deployment, tenant.record.host) as page:
            answer, called = await page.get("/customers"), await page.get("/api//v1/customers")
            page.headers["host"] = "nobody.example"
            unknown = await page.get("/login")

    lines = [(line["request_id"], line.get("tenant"), line["status"]) for line in said if line["event"] == "request"]
    assert lines == [
        (answer.headers["x-request-id"], "acme", 503),
        (called.headers["x-request-id"], "acme", 503),
        (unknown.headers["x-request-id"], None, 404),
    ]
    assert called.headers["content-type"] == "application/problem+json"
    assert called.json().keys() == {"title", "status", "detail", "code"}


async def test_where_the_registry_does_not_answer_visitors_are_told_to_come_again(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(host: str) -> None:
        raise Unavailable("The database file cannot be read or written at the moment.", retry_after=60)

    monkeypatch.setattr(deployment.registry, "find_by_host", silent)
    async with visitor(deployment, "acme.localhost") as page:
        answer = await page.get("/login")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert "database file" not in answer.text


async def test_requests_are_counted_by_route_and_never_by_address(deployment: Deployment) -> None:
    tenant = await made(deployment, "acme")
    async with visitor(deployment, tenant.record.host) as page:
        for path in ("/login", "/customers/17", "/customers/18", "/no/such/page"):
            await page.get(path)
        page.headers["host"] = "nobody.example"
        await page.get("/login")
        page.headers["host"] = SERVER
        figures = (await page.get("/metrics")).text

    assert 'tenantry_requests_total{method="GET",route="/login",status="200"} 1.0' in figures
    assert 'tenantry_requests_total{method="GET",route="/customers/{customer_id}",status="303"} 2.0' in figures
    assert 'tenantry_requests_total{method="GET",route="none",status="404"} 2.0' in figures
    assert 'tenantry_tenants{status="active"} 1.0' in figures
    assert "/customers/17" not in figures
    assert "acme" not in figures


async def test_figures_ask_for_the_token_that_is_set(deployment: Deployment) -> None:
    deployment.config = msgspec.structs.replace(deployment.config, metrics=Metrics(token="seven words"))

    async with visitor(deployment, SERVER) as scraper:
        refused = await scraper.get("/metrics")
        answered = await scraper.get("/metrics", headers={"authorization": "Bearer seven words"})

    assert (refused.status_code, answered.status_code) == (401, 200)
    assert "seven" not in repr(deployment.config)


async def test_a_line_of_a_request_names_tenant_actor_and_the_id_that_the_visitor_saw(deployment: Deployment) -> None:
    tenant = await made(deployment, "acme")
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as said:
        async with visitor(deployment, tenant.record.host) as page:
            answer = await page.get("/login?next=/customers")

    line = next(each for each in said if each["event"] == "request")
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["tenant"], line["method"], line["path"], line["status"]) == ("acme", "GET", "/login", 200)
    assert structlog.contextvars.get_contextvars() == {}


async def test_a_link_that_opens_something_by_itself_stands_in_no_log(deployment: Deployment) -> None:
    tenant = await made(deployment, "acme")
    token = tenant.link.rpartition("/")[2]
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as said:
        async with visitor(deployment, tenant.record.host) as page:
            shown = await page.get(f"/welcome/{token}")
            await page.get("/email/abc123")

    assert shown.status_code == 200
    assert [line["path"] for line in said if line["event"] == "request"] == ["/welcome/…", "/email/…"]
    assert token not in repr(said)


def test_logs_are_one_json_object_a_line_whoever_speaks() -> None:
    script = (
        "import logging, structlog\n"
        "from core.config import Log\n"
        "from tenants.logs import set_up_logs\n"
        "set_up_logs(Log())\n"
        "structlog.contextvars.bind_contextvars(tenant='acme')\n"
        "structlog.stdlib.get_logger('ours').info('done', count=3)\n"
        "logging.getLogger('theirs').warning('slow %s', 'query', extra={'ms': 7})\n"
        "logging.getLogger('httpx').info('not this')\n"
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    logging.getLogger('theirs').exception('broke')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env={**os.environ, "NO_COLOR": "1"}
    )

    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    assert [(line["logger"], line["level"], line["event"]) for line in lines] == [
        ("ours", "info", "done"),
        ("theirs", "warning", "slow query"),
        ("theirs", "error", "broke"),
    ]
    assert {line["tenant"] for line in lines} == {"acme"}
    assert (lines[0]["count"], lines[1]["ms"]) == (3, 7)
    assert "ZeroDivisionError" in lines[2]["exception"]


def test_a_second_set_up_reaches_loggers_that_have_spoken() -> None:
    script = (
        "import structlog\n"
        "from core.config import Log\n"
        "from tenants.logs import set_up_logs\n"
        "log = structlog.stdlib.get_logger('ours')\n"
        "set_up_logs(Log())\n"
        "log.info('first')\n"
        "set_up_logs(Log(level='warning'))\n"
        "with structlog.testing.capture_logs() as heard:\n"
        "    log.info('second')\n"
        "assert [line['event'] for line in heard] == ['second'], heard\n"
        "log.info('third')\n"
        "log.warning('fourth')\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
    assert [json.loads(line)["event"] for line in ran.stderr.splitlines()] == ["first", "fourth"]


def test_what_a_command_says_of_its_work_is_not_among_what_it_prints() -> None:
    script = (
        "import click, structlog\n"
        "from tenants import cli\n"
        "@cli.main.command('speak')\n"
        "def speak():\n"
        "    structlog.stdlib.get_logger('ours').warning('look here')\n"
        "    structlog.stdlib.get_logger('ours').info('not this')\n"
        "    click.echo('[]')\n"
        "cli.main(['speak'])\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert ran.stdout == "[]\n"
    assert [json.loads(line)["event"] for line in ran.stderr.splitlines()] == ["look here"]
