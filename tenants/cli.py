"""The command `tenantry`: what the host's people do by hand. Listings take --json; errors go to stderr, exit code 1."""

from __future__ import annotations

import asyncio
import errno
import gc
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import msgspec
import rich_click as click
import uvicorn
import uvloop

from core.config import Config, ConfigError, Log, load_config
from core.database import value
from core.errors import DomainError
from core.scope import command_actor
from core.staff.actions import make_link
from core.web.feeds import end_feeds
from tenants.asgi import make_asgi
from tenants.commands.base import EXPECTED, deployed, fail, json_option, running, show
from tenants.commands.inside import billing, demo, import_group, token, verify_books
from tenants.commands.keys import keys
from tenants.commands.plugins import plugin
from tenants.commands.tenants import tenant
from tenants.deployment import Deployment
from tenants.doctor import examine, without_registry
from tenants.generated import generated_pages
from tenants.logs import set_up_logs
from tenants.provisioning import NewTenant, create_tenant
from tenants.registry import RegistryClosed
from tenants.status import TenantStatus
from tenants.upgrading import upgrade_all
from tenants.working import make_worker, work

DEMO: Final = "demo"


@click.group()
@click.version_option(package_name="tenantry", message="%(prog)s %(version)s")
def main() -> None:
    """Customers, subscriptions and billing for many operators in one deployment."""
    set_up_logs(Log(level="warning"))  # what a command prints is for whoever asked; the rest goes to stderr


for group in (tenant, plugin, import_group, billing, verify_books, demo, token, keys):
    main.add_command(group)


@main.command()
@running
async def worker() -> None:
    """Do the tenants' work (deliveries, jobs, schedules) in a process of its own. Ends on Ctrl-C or SIGTERM."""
    set_up_logs(load_config().log)
    async with deployed(works=True) as deployment:
        working = make_worker(deployment)
        gc.freeze()
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(work(deployment, working))
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, lambda: asyncio.ensure_future(working.stop()))
        await task


@main.command()
@json_option
@running
async def doctor(as_json: bool) -> None:
    """Look at everything that keeps the deployment from serving well, and name the way out. Exit code 1: something
    does."""
    try:
        async with deployed(unchecked=True) as deployment:
            found = [finding async for finding in examine(deployment)]
    except RegistryClosed as error:
        found = without_registry(load_config(), error)
    show(found, ("state", "what", "detail", "way_out"), as_json=as_json, empty="")
    if any(finding.state == "fail" for finding in found):
        sys.exit(1)


@main.command("docs")
@click.option("--check", is_flag=True, help="Write nothing; fail when a page is not what would be written.")
def write_docs(check: bool) -> None:
    """Write the generated pages of docs/."""
    stale = []
    for path, text in generated_pages().items():
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path.name)
        if not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    if check and stale:
        fail(f"{', '.join(stale)}: write them with ./run docs")
    click.echo(f"written: {', '.join(stale)}" if stale else "docs are current")


@main.command()
@click.option("--host", default="", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on.")
@click.option("--no-worker", is_flag=True, help="Leave the work to `tenantry worker`.")
def serve(host: str, port: int, no_worker: bool) -> None:
    """Serve all tenants. The first start makes the tenant `demo` and prints its log-in."""
    try:
        config = load_config()
        chosen = {"host": host or config.server.host, "port": port or config.server.port}
        config = msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, **chosen))
        with _bound(config.server.host, config.server.port) as bound:
            uvloop.run(_serve(config, bound, worker=not no_worker))
    except EXPECTED as error:
        fail(error.message if isinstance(error, DomainError) else str(error))


def _bound(host: str, port: int) -> socket.socket:
    """The address, ours before anything is begun: where it cannot be had, no tenant is made and none upgraded.

    Nobody is let in yet: whoever comes before all is ready is refused, not kept waiting.
    """
    try:
        known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = min(known, key=lambda one: one[0])  # IPv4 first: “localhost” is both
    except OSError as error:
        raise ConfigError(f"server.host: {host} is no address of this machine: {error.strerror}") from error
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise ConfigError(_why_not_bound(host, port, error)) from error
    return bound


def _why_not_bound(host: str, port: int, error: OSError) -> str:
    another = "choose another by TENANTRY_PORT or server.port"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is taken, perhaps by another tenantry serve: {another}"
    if error.errno == errno.EACCES:
        return f"port {port} is kept for root: {another}, from 1024 on"
    return f"server.host: {host} cannot be listened at: {error.strerror}"


async def _serve(config: Config, bound: socket.socket, *, worker: bool) -> None:
    set_up_logs(config.log)
    deployment = Deployment(config)
    app = make_asgi(deployment, worker=worker)
    await deployment.start()
    try:
        await _greet(deployment)
        server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=config.server.secure,
                forwarded_allow_ips=[proxy.strip() for proxy in config.server.proxies.split(",")],
                timeout_graceful_shutdown=10,
            )
        )
        try:
            bound.listen(server.config.backlog)
        except OSError as error:  # two that started at once were both bound, and only one may listen
            raise ConfigError(_why_not_bound(config.server.host, config.server.port, error)) from error
        await server.serve(sockets=[bound])
    finally:
        await deployment.stop()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM ends the serving, and only it: uvicorn would have the process killed before all is closed."""
        before = signal.signal(signal.SIGTERM, lambda number, frame: None)
        try:
            with super().capture_signals():
                yield
        finally:
            signal.signal(signal.SIGTERM, before)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the feeds of open pages first: they would be waited for."""
        end_feeds()
        await super().shutdown(sockets)


async def _greet(deployment: Deployment) -> None:
    """Where the tenants answer; at the first start the tenant `demo` is made.

    While nobody has set a password there, each start prints a link to do so.
    """
    tenants = await deployment.registry.list_tenants()
    address = deployment.config.server.address_of
    if not tenants:
        made = await create_tenant(
            deployment, NewTenant(slug=DEMO, name="Demo", email="admin@demo.example", person="Demo Admin")
        )
        click.echo(f"A first tenant is ready: {address(made.record.host)}")
        click.echo(f"Log-in: admin@demo.example. Set a password here, once: {made.link}")
        return
    results = await upgrade_all(deployment)
    for result in results:
        if result.ran:
            click.echo(f"{result.slug}: upgraded ({len(result.ran)} migrations)")
        if result.error:
            click.echo(f"{result.slug}: not upgraded, answers 503: {result.error}", err=True)
    for record in tenants[:5]:
        click.echo(f"{record.name}: {address(record.host)}")
    if len(tenants) > 5:
        click.echo(f"and {len(tenants) - 5} more: tenantry tenant list")
    served = {result.slug for result in results if not result.error}
    demo = next((record for record in tenants if record.slug == DEMO and record.status == TenantStatus.ACTIVE), None)
    if demo is not None and demo.slug in served:
        async with deployment.scope(demo, command_actor("serve")) as scope:
            if await value("SELECT count(*) FROM staff WHERE password_hash <> ''"):
                return
            staff_id = await value("SELECT min(id) FROM staff WHERE active")
            link = await make_link(scope, staff_id)
            click.echo(
                f"Log-in: admin@demo.example. Set a password here, once: {scope.tenant.address}/welcome/{link.token}"
            )


if __name__ == "__main__":
    main()
