"""The command `tenantry`: what the host's people do by hand. Listings take --json; errors go to stderr, exit code 1."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import msgspec
import rich_click as click
import uvicorn
import uvloop
from rich.console import Console
from rich.progress import Progress, TaskID
from rich.table import Table

from core import hookspecs
from core.activity.sealing import last_seal
from core.activity.unit import again
from core.app import RESERVED, create_app, permissions_of
from core.billing.run import run_billing
from core.billing.run_reports import RunReport
from core.billing.verify import verify
from core.config import Config, ConfigError, Log, load_config
from core.customers.cli import import_customers_command, import_step_command
from core.customers.importing.actions import Mode
from core.customers.vocabularies import VOCABULARIES
from core.database import UnsafeServer, WrongDatabase, declaration_faults, value
from core.errors import DomainError, Invalid
from core.hooks import HOOK_VERSION, PluginError, find_plugins
from core.hooks.conformance import type_faults
from core.ids import sort_key
from core.money import format_money
from core.scope import command_actor
from core.staff.actions import create_token, make_link
from core.staff.queries import find_by_address
from core.staff.schemas import NewToken
from core.staff.second_factors import reset_second_factor
from core.web.assets import MissingAsset
from core.web.routing import RouteFault
from tenants.asgi import make_asgi
from tenants.backups import BackedUp, back_up, back_up_all
from tenants.clocks import Ahead, run_forward, try_time
from tenants.console import CONSOLE
from tenants.demo import SHOWN, fill
from tenants.deployment import Deployment
from tenants.doctor import examine
from tenants.ending import archive_tenant, delete_tenant, may_become, rename_tenant
from tenants.generated import generated_pages
from tenants.logs import set_up_logs
from tenants.moving import move_tenant
from tenants.new_plugin import write_plugin
from tenants.plugins import disable_plugin, enable_plugin
from tenants.provisioning import NewTenant, create_tenant
from tenants.restoring import Restored, restore
from tenants.sizes import Size, size_of
from tenants.status import TenantStatus
from tenants.upgrading import upgrade_all, upgrade_tenant
from tenants.working import make_worker, work

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.scope import Scope
    from tenants.registry import TenantRecord

P = ParamSpec("P")
R = TypeVar("R")

OUT: Final = Console()
EXPECTED: Final = (ConfigError, DomainError, MissingAsset, PluginError, RouteFault, UnsafeServer, WrongDatabase)
DEMO: Final = "demo"


def fail(message: str) -> None:
    """One line on stderr, exit code 1."""
    click.echo(f"tenantry: {message}", err=True)
    sys.exit(1)


def running(command: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """A command that awaits; what is expected to go wrong becomes a line, not a trace."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            asyncio.run(command(*args, **kwargs))
        except Invalid as error:
            fail(
                "; ".join(f"{fault.field}: {fault.message}" if fault.field else fault.message for fault in error.errors)
                or error.message
            )
        except DomainError as error:
            fail(error.message)
        except EXPECTED as error:
            fail(str(error))
        except KeyboardInterrupt:
            fail("interrupted")

    return run


@asynccontextmanager
async def deployed() -> AsyncIterator[Deployment]:
    """The deployment that the configuration names."""
    deployment = Deployment(load_config())
    await deployment.start()
    try:
        yield deployment
    finally:
        await deployment.stop()


@asynccontextmanager
async def at_tenant(slug: str, command: str) -> AsyncIterator[Scope]:
    """The tenant of this short name, bound, with the command line as actor."""
    async with deployed() as deployment:
        record = await deployment.registry.get_by_slug(slug)
        async with deployment.scope(record, command_actor(command)) as scope:
            yield scope


def show(items: Sequence[msgspec.Struct], columns: Sequence[str], *, as_json: bool, empty: str) -> None:
    """A listing: JSON for programs, a table for people."""
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(items), indent=2).decode())
        return
    if not items:
        click.echo(empty)
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column.replace("_", " "))
    for item in items:
        table.add_row(*(_cell(getattr(item, column)) for column in columns))
    OUT.print(table)


def _cell(item: object) -> str:
    if item is None:
        return ""
    if isinstance(item, tuple | list):
        return ", ".join(map(str, item))
    return str(item)


def quiet(as_json: bool) -> bool:
    """No bar where nobody watches: a log or a program has one line, or the JSON."""
    return as_json or not sys.stderr.isatty()


json_option = click.option("--json", "as_json", is_flag=True, help="For programs.")
tenant_option = click.option("--tenant", "slug", required=True, help="Short name of the tenant.")


@click.group()
def main() -> None:
    """Customers, subscriptions and billing for many operators in one deployment."""
    set_up_logs(Log(level="warning"))  # what a command prints is for whoever asked; the rest goes to stderr


@main.group()
def tenant() -> None:
    """Make, list and keep tenants."""


class TenantLine(msgspec.Struct, frozen=True):
    slug: str
    name: str
    status: str
    address: str
    placement: str
    plugins: tuple[str, ...]
    created_at: str
    database_bytes: int | None
    files_bytes: int
    schema_version: str | None
    last_activity_at: datetime | None
    archive: str
    """Of an archived one: the file that brings it back."""


@tenant.command("create")
@click.argument("slug")
@click.option("--name", default="", help="As customers know it; the short name when left out.")
@click.option("--email", required=True, help="Of its first administrator.")
@click.option("--person", default="Administrator", help="Name of its first administrator.")
@click.option("--country", default="IE", help="Code of two letters.")
@click.option("--currency", default="EUR", help="Code of three letters.")
@click.option("--zone", default="Europe/Dublin", help="Time zone that decides its dates.")
@click.option("--language", default="en")
@click.option(
    "--vocabulary", type=click.Choice([*VOCABULARIES]), default=None, help="Words of its trade for customers' statuses."
)
@click.option("--database", "placement", default="", help="sqlite, or the name of a database of the configuration.")
@click.option("--host", "hosts", multiple=True, help="Host name; SLUG.DOMAIN when left out. The first is the main one.")
@click.option("--provider", "is_provider", is_flag=True, help="Your own tenant, with the console of all; one only.")
@json_option
@running
async def tenant_create(
    slug: str,
    name: str,
    email: str,
    person: str,
    country: str,
    currency: str,
    zone: str,
    language: str,
    vocabulary: str | None,
    placement: str,
    hosts: tuple[str, ...],
    is_provider: bool,
    as_json: bool,
) -> None:
    """Make a tenant and print the link by which its administrator sets a password."""
    new = NewTenant(
        slug=slug,
        name=name or slug,
        email=email,
        person=person,
        country=country.upper(),
        currency=currency.upper(),
        time_zone=zone,
        language=language,
        vocabulary=vocabulary or "",
        placement=placement,
        hosts=hosts,
        is_provider=is_provider,
    )
    async with deployed() as deployment:
        made = await create_tenant(deployment, new)
        address = deployment.config.server.address_of(made.record.host)
    if as_json:
        answer = {"slug": slug, "uuid": str(made.record.uuid), "address": address, "link": made.link}
        click.echo(msgspec.json.encode(answer).decode())
        return
    click.echo(f"{made.record.name} answers at {address}")
    click.echo(f"{email} sets a password here, once, within seven days: {made.link}")


@tenant.command("list")
@json_option
@running
async def tenant_list(as_json: bool) -> None:
    """All tenants of this deployment."""
    async with deployed() as deployment:
        lines = [
            _line(deployment, record, await size_of(deployment, record))
            for record in await deployment.registry.list_tenants()
        ]
    show(lines, ("slug", "name", "status", "address", "placement", "plugins"), as_json=as_json, empty="No tenants yet.")


def _line(deployment: Deployment, record: TenantRecord, size: Size) -> TenantLine:
    return TenantLine(
        slug=record.slug,
        name=record.name,
        status=record.status,
        address=deployment.config.server.address_of(record.host),
        placement=record.placement,
        plugins=record.plugins,
        created_at=record.created_at.isoformat(timespec="seconds"),
        database_bytes=size.database_bytes,
        files_bytes=size.files_bytes,
        schema_version=size.schema_version,
        last_activity_at=size.last_activity_at,
        archive=record.archive,
    )


@tenant.command("suspend")
@click.argument("slug")
@click.option("--reason", default="", help="Kept for the provider; visitors do not see it.")
@running
async def tenant_suspend(slug: str, reason: str) -> None:
    """Answer every request of the tenant with a page that says so, and do none of its work."""
    async with deployed() as deployment:
        record = await deployment.registry.get_by_slug(slug)
        may_become(record, TenantStatus.SUSPENDED)
        await deployment.registry.set_status(record.uuid, TenantStatus.SUSPENDED, reason)
    click.echo(f"{slug} is suspended.")


@tenant.command("resume")
@click.argument("slug")
@running
async def tenant_resume(slug: str) -> None:
    """Serve a suspended tenant again."""
    async with deployed() as deployment:
        record = await deployment.registry.get_by_slug(slug)
        may_become(record, TenantStatus.ACTIVE)
        await deployment.registry.set_status(record.uuid, TenantStatus.ACTIVE)
    click.echo(f"{slug} is served again.")


@tenant.command("upgrade")
@click.argument("slug", required=False)
@click.option("--all", "everyone", is_flag=True, help="Every tenant; one that fails stops no other.")
@click.option(
    "--dump/--no-dump", default=None, help="Of a PostgreSQL tenant: of one alone it is made, with --all only if asked."
)
@json_option
@running
async def tenant_upgrade(slug: str | None, everyone: bool, dump: bool | None, as_json: bool) -> None:
    """Bring a tenant's database, or all, to the version of this code. A backup is made first; repeat it at any time."""
    if bool(slug) == everyone:
        raise Invalid("Name one tenant, or give --all.", field="SLUG")
    async with deployed() as deployment:
        if slug:
            record = await deployment.registry.get_by_slug(slug)
            results = [await upgrade_tenant(deployment, record, dump=dump is not False)]
        else:
            with Progress(console=Console(stderr=True), disable=as_json, transient=True) as bar:
                task = bar.add_task("Upgrading", total=None)
                results = await upgrade_all(
                    deployment,
                    lambda done, total, one: bar.update(task, completed=done, total=total),
                    dump=dump is True,
                )
    show(results, ("slug", "ran", "error", "backup"), as_json=as_json, empty="No tenants yet.")
    if any(result.error for result in results):
        sys.exit(1)


@tenant.command("backup")
@click.argument("slug", required=False)
@click.option("--all", "everyone", is_flag=True, help="Every tenant; one that fails stops no other.")
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path, resolve_path=True),
    help="Folder; backups/ beside the data else.",
)
@json_option
@running
async def tenant_backup(slug: str | None, everyone: bool, folder: Path | None, as_json: bool) -> None:
    """Put a tenant, or each, into one file, while it is being used: its database, its files, what they are."""
    if bool(slug) == everyone:
        raise Invalid("Name one tenant, or give --all.", field="SLUG")
    async with deployed() as deployment:
        with Progress(console=Console(stderr=True), disable=quiet(as_json), transient=True) as bar:
            task = bar.add_task("Backing up", total=None)

            def told(done: int, total: int, _: BackedUp | None = None) -> None:
                bar.update(task, completed=done, total=total)

            if slug:
                results = [await back_up(deployment, await deployment.registry.get_by_slug(slug), folder, told=told)]
            else:
                results = await back_up_all(deployment, folder, told)
    show(results, ("slug", "file", "size", "seconds", "missing", "error"), as_json=as_json, empty="No tenants yet.")
    if any(result.error for result in results):
        sys.exit(1)


@tenant.command("restore")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as", "copy", default="", metavar="SLUG", help="A copy under this short name, a tenant of its own.")
@click.option("--replace", is_flag=True, help="Take a tenant that is there back to it; what it is now is backed up.")
@click.option("--no-backup", is_flag=True, help="With --replace, where what is there is too damaged for a backup.")
@click.option("--database", "placement", default="", help="Where to; where it was when left out.")
@json_option
@running
async def tenant_restore(file: Path, copy: str, replace: bool, no_backup: bool, placement: str, as_json: bool) -> None:
    """Bring a tenant back as a backup has it. Mail that was waiting then is held until somebody lets it go."""
    async with deployed() as deployment:
        with Progress(console=Console(stderr=True), disable=quiet(as_json), transient=True) as bar:
            task = bar.add_task("Restoring", total=None)
            done = await restore(
                deployment,
                file,
                copy=copy,
                replace=replace,
                back_up=not no_backup,
                placement=placement,
                told=lambda done, total: bar.update(task, completed=done, total=total),
            )
    if as_json:
        click.echo(msgspec.json.encode(done).decode())
        return
    click.echo(f"{done.slug} answers at {done.address} as it was; {done.held} jobs that would send something are held.")
    if done.ran:
        click.echo(f"It was brought up to date by {len(done.ran)} migrations.")
    if done.backup:
        click.echo(f"What was there before: {done.backup}")
    if done.missing_keys:
        click.echo(f"Secrets sealed with the keys {', '.join(done.missing_keys)} cannot be read here.", err=True)


@tenant.command("clock")
@click.argument("slug")
@click.option("--copy", default="", metavar="SLUG", help="Make a copy under this short name, whose clock stands still.")
@click.option("--to", "until", type=click.DateTime(["%Y-%m-%d"]), help="Run the copy's clock to the end of this day.")
@json_option
@running
async def tenant_clock(slug: str, copy: str, until: datetime | None, as_json: bool) -> None:
    """Try out time: make a copy of a tenant, then run its clock forward through the real jobs. Nothing is sent."""
    if bool(copy) == (until is not None):
        raise Invalid("Give --copy SLUG to make a copy, or --to DATE to run one forward.", field="SLUG")
    async with deployed() as deployment:
        found = await deployment.registry.get_by_slug(slug)
        with Progress(console=Console(stderr=True), disable=quiet(as_json), transient=True) as bar:
            task = bar.add_task("Copying" if copy else "Running forward", total=None)

            def told(done: int, total: int, day: str = "") -> None:
                bar.update(task, completed=done, total=total, description=day or None)

            if until is None:
                done: Restored | Ahead = await try_time(deployment, found, copy, told=told)
            else:
                done = await run_forward(deployment, found, until.date(), told=told)
    if as_json:
        click.echo(msgspec.json.encode(done).decode())
    elif isinstance(done, Ahead):
        _tell_ahead(done)
    else:
        click.echo(f"{done.slug} answers at {done.address}. Its clock stands still.")
        click.echo(f"Run it forward: tenantry tenant clock {done.slug} --to DATE")
    if isinstance(done, Ahead) and done.violations:
        sys.exit(1)


def _tell_ahead(ahead: Ahead) -> None:
    click.echo(f"{ahead.slug} lived from {ahead.since:%Y-%m-%d %H:%M} to {ahead.until:%Y-%m-%d %H:%M} UTC.")
    for one in ahead.documents:
        total = format_money(one.total_minor, one.currency, "en")
        click.echo(f"{one.month}: {one.kind.replace('_', ' ')} × {one.count:,}, {total}")
    written = ", ".join(f"{one.kind.replace('_', ' ')} × {one.count:,}" for one in ahead.messages)
    click.echo(f"Messages written, none sent: {written or 'none'}. Documents still to be drawn: {ahead.undrawn:,}.")
    for wrong in ahead.violations:
        click.echo(f"{wrong.key}: {wrong.rule} {wrong.count:,}, such as {wrong.example}", err=True)


@tenant.command("move")
@click.argument("slug")
@click.option("--to", "placement", required=True, help="sqlite, or the name of a database of the configuration.")
@json_option
@running
async def tenant_move(slug: str, placement: str, as_json: bool) -> None:
    """Move a tenant into another database, while it is used: for some seconds it takes no changes. Repeat it at any
    time; the old database is kept aside for some days."""
    async with deployed() as deployment:
        with Progress(console=Console(stderr=True), disable=quiet(as_json), transient=True) as bar:
            task = bar.add_task("Moving", total=None)
            done = await move_tenant(
                deployment,
                await deployment.registry.get_by_slug(slug),
                placement,
                told=lambda what, done, total: bar.update(
                    task, description=what.capitalize(), completed=done, total=total
                ),
            )
    if as_json:
        click.echo(msgspec.json.encode(done).decode())
        return
    click.echo(
        f"{slug} is in {done.went_to}: {done.rows:,} rows of {done.tables} tables, each found to be the same."
        f" It took {done.seconds:.1f} s, for {done.paused:.1f} s of them it took no changes."
    )
    click.echo(f"The old database is kept until {done.keep_until:%Y-%m-%d}: {done.kept}")


@tenant.command("archive")
@click.argument("slug")
@click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path, resolve_path=True), help="Folder of its backup."
)
@running
async def tenant_archive(slug: str, folder: Path | None) -> None:
    """Put a tenant away: it is backed up, its database and files go, its pages say so. Restoring brings it back."""
    async with deployed() as deployment:
        done = await archive_tenant(deployment, await deployment.registry.get_by_slug(slug), folder)
    click.echo(f"{slug} is archived. It comes back with: tenantry tenant restore {done.file}")


@tenant.command("delete")
@click.argument("slug")
@click.option(
    "--yes", "repeated", required=True, metavar="SLUG", help="Its short name once more: there is no question."
)
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path, resolve_path=True),
    help="Folder of its last backup.",
)
@running
async def tenant_delete(slug: str, repeated: str, folder: Path | None) -> None:
    """Take a tenant away, all of it but a last backup. Its short name is free afterwards."""
    if repeated != slug:
        raise Invalid(f"To delete {slug}, repeat its short name: --yes {slug}. Nothing was changed.", field="--yes")
    async with deployed() as deployment:
        file = await delete_tenant(deployment, await deployment.registry.get_by_slug(slug), folder)
    click.echo(f"{slug} is deleted. Its last backup is kept: {file}")


@tenant.command("rename")
@click.argument("slug")
@click.argument("new", required=False)
@click.option("--name", default="", help="As the host calls it; what customers read is a setting of the tenant's own.")
@running
async def tenant_rename(slug: str, new: str | None, name: str) -> None:
    """Give a tenant another short name, and with it another address; the old address goes on to lead there."""
    async with deployed() as deployment:
        await rename_tenant(deployment, await deployment.registry.get_by_slug(slug), slug=new or "", name=name)
        record = await deployment.registry.get_by_slug(new or slug)
        address = deployment.config.server.address_of(record.host)
    click.echo(f"{record.slug} ({record.name}) answers at {address}")


@tenant.command("link")
@click.argument("slug")
@click.option("--email", required=True, help="Of the staff user.")
@click.option("--second-factor", is_flag=True, help="Take app and passkeys away too: the device is lost.")
@running
async def tenant_link(slug: str, email: str, second_factor: bool) -> None:
    """The way back in for a staff user who cannot log in: a new one-time link to a password."""
    async with deployed() as deployment:
        record = await deployment.registry.get_by_slug(slug)
        async with deployment.scope(record, command_actor("tenant link")) as scope:
            staff_id = await find_by_address(scope, sort_key(email))
            if staff_id is None:
                raise Invalid("No staff user of this tenant has this address.", field="--email")
            if second_factor:
                await reset_second_factor(scope, staff_id)
            made = await make_link(scope, staff_id)
            click.echo(f"{scope.tenant.address}/welcome/{made.token}")


@main.group()
def plugin() -> None:
    """Plugins: list what is installed, switch on and off, check one, begin a new one."""


class PluginLine(msgspec.Struct, frozen=True):
    name: str
    label: str
    version: str
    distribution: str
    error: str
    enabled: tuple[str, ...]
    """Tenants that have it on."""


@plugin.command("list")
@json_option
@running
async def plugin_list(as_json: bool) -> None:
    """What is installed, and which tenants have it on."""
    async with deployed() as deployment:
        tenants = await deployment.registry.list_tenants()
        lines = [
            PluginLine(
                name=name,
                label=one.manifest.label if one.loaded else "",
                version=one.manifest.version if one.loaded else "",
                distribution=one.distribution,
                error=one.error,
                enabled=tuple(record.slug for record in tenants if name in record.plugins),
            )
            for name, one in deployment.plugins.items()
        ]
    show(
        lines,
        ("name", "label", "version", "distribution", "enabled", "error"),
        as_json=as_json,
        empty="No plugins are installed.",
    )


@plugin.command("new")
@click.argument("name")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="Where to write it.")
@running
async def plugin_new(name: str, folder: Path) -> None:
    """Write a new plugin that runs, with a test that passes."""
    click.echo(f"written: {write_plugin(name, folder)}")


@plugin.command("check")
@click.argument("name")
@running
async def plugin_check(name: str) -> None:
    """Say what does not fit about an installed plugin; exit code 1 if anything."""
    found = find_plugins(hookspecs, taken=RESERVED)
    if name not in found:
        raise Invalid(f"There is no plugin “{name}”. Installed: {', '.join(found) or 'none'}.", field="NAME")
    one = found[name]
    faults = [one.error] if one.error else list(type_faults(hookspecs, one.module))
    if not one.error:
        faults += declaration_faults(one.manifest.tables)
        create_app({name: one})
    for fault in faults:
        click.echo(fault, err=True)
    if faults:
        sys.exit(1)
    click.echo(f"{one.manifest.label} {one.manifest.version} fits hooks {HOOK_VERSION}.")


@plugin.command("enable")
@click.argument("name")
@tenant_option
@running
async def plugin_enable(name: str, slug: str) -> None:
    """Switch a plugin on for a tenant; its tables are made."""
    async with deployed() as deployment:
        record = await deployment.registry.get_by_slug(slug)
        if name not in deployment.plugins:
            known = ", ".join(deployment.plugins) or "none"
            raise Invalid(f"There is no plugin “{name}”. Installed: {known}.", field="NAME")
        await enable_plugin(deployment, record, name, command_actor("plugin enable"))
    click.echo(f"{name} is on for {slug}.")


@plugin.command("disable")
@click.argument("name")
@tenant_option
@running
async def plugin_disable(name: str, slug: str) -> None:
    """Switch a plugin off for a tenant; its data are kept."""
    async with deployed() as deployment:
        record = await deployment.registry.get_by_slug(slug)
        await disable_plugin(deployment, record, name, command_actor("plugin disable"))
    click.echo(f"{name} is off for {slug}.")


@main.command()
@running
async def worker() -> None:
    """Do the tenants' work (deliveries, jobs, schedules) in a process of its own. Ends on Ctrl-C or SIGTERM."""
    set_up_logs(load_config().log)
    async with deployed() as deployment:
        working = make_worker(deployment)
        gc.freeze()
        loop = asyncio.get_running_loop()
        task = asyncio.create_task(work(deployment, working))
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, lambda: asyncio.ensure_future(working.stop()))
        await task


@main.group("import")
def import_group() -> None:
    """Take over data from files."""


@import_group.command("customers")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@tenant_option
@click.option(
    "--mapping", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="JSON: which column is what."
)
@click.option("--dry-run", is_flag=True, help="Check everything, write nothing.")
@click.option("--mode", type=click.Choice(("skip-bad", "all")), default="skip-bad", help="all: every record or none.")
@json_option
@running
async def import_customers(
    file: Path, slug: str, mapping: Path | None, dry_run: bool, mode: Mode, as_json: bool
) -> None:
    """Import customers from a CSV or XLSX file, also as another system wrote it."""
    async with at_tenant(slug, "import customers") as scope:
        report = await import_customers_command(
            scope, file, mapping=mapping, dry_run=dry_run, mode=mode, as_json=as_json
        )
    if mode == "all" and report.errors and not dry_run:
        sys.exit(1)


@import_group.command("book")
@click.argument("batch", type=int)
@click.argument("step")
@tenant_option
@click.option(
    "--choose", "choices", multiple=True, metavar="NAME=VALUE", help="due_on=2026-12-31; plan:Fibre 50=fibre-50"
)
@click.option("--preview", is_flag=True, help="Say what it would do, write nothing.")
@json_option
@running
async def import_book(batch: int, step: str, slug: str, choices: tuple[str, ...], preview: bool, as_json: bool) -> None:
    """Make something of an import's records: STEP is openings (balances) or subscriptions; of plugins, their own.

    BATCH is the number that the import said. Safe to interrupt and to repeat: each record is booked once.
    """
    async with at_tenant(slug, "import book") as scope:
        await import_step_command(scope, batch, step, choices, preview=preview, as_json=as_json)


@main.group()
def billing() -> None:
    """Charges become invoices."""


@billing.command("run")
@tenant_option
@click.option(
    "--date", "as_of", type=click.DateTime(["%Y-%m-%d"]), help="Bill what is due by this day; today when left out."
)
@click.option("--preview", is_flag=True, help="Say what it would do, write nothing.")
@click.option("--yes", "confirmed", is_flag=True, help="Answer the question that an unusual run asks.")
@json_option
@running
async def billing_run(slug: str, as_of: datetime | None, preview: bool, confirmed: bool, as_json: bool) -> None:
    """Bill everything that is due. Safe to repeat, to interrupt, and to run twice at once."""
    async with at_tenant(slug, "billing run") as scope:
        day = as_of.date() if as_of is not None else scope.today()
        with Progress(console=Console(stderr=True), disable=as_json, transient=True) as bar:
            task = bar.add_task("Billing", total=None)

            async def progress(done: int, total: int, text: str) -> None:
                bar.update(task, completed=done, total=total, description=text)

            report = await again(
                lambda: run_billing(scope, day, preview=preview, confirmed=confirmed, progress=progress)
            )
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
    else:
        _tell_run(report)
    if report.question and not preview:
        sys.exit(1)


def _tell_run(report: RunReport) -> None:
    if report.question and not report.preview:
        way_out = "Nothing was billed: look at it with --preview, then repeat it with --yes."
        click.echo(f"{report.question} {way_out}", err=True)
        return
    totals = ", ".join(format_money(minor, currency, "en") for currency, minor in report.totals.items()) or "nothing"
    would = "would be made" if report.preview else "were made"
    click.echo(f"{report.invoices:,} invoices {would} by {report.as_of_on}: {totals}. {report.seconds:.1f} s.")
    for parked in report.parked[:50]:
        click.echo(f"parked: customer {parked.payer_id}: {parked.reason} {parked.detail}")
    if report.question:
        click.echo(f"{report.question} The run will ask for --yes.")


@main.command("verify")
@tenant_option
@json_option
@running
async def verify_books(slug: str, as_json: bool) -> None:
    """Prove the books: charges tile, numbers are gapless, postings sum to zero, balances are sums. Else exit code 1."""
    async with at_tenant(slug, "verify") as scope:
        found = await verify(scope, thorough=True)
        sealed = await last_seal()
    show(found, ("key", "rule", "count", "example"), as_json=as_json, empty="Nothing is wrong.")
    if not as_json and sealed.last:
        click.echo(f"The activity is sealed up to position {sealed.last:,}: {sealed.digest}")
    if found:
        sys.exit(1)


@main.command()
@tenant_option
@click.option("--customers", default=1000, type=click.IntRange(1, 1_000_000), help="How many to invent.")
@click.option("--seed", default=1, help="The same seed makes the same customers.")
@json_option
@running
async def demo(slug: str, customers: int, seed: int, as_json: bool) -> None:
    """Fill an empty tenant: invented customers on real streets, subscriptions, half a year of invoices."""
    async with at_tenant(slug, "demo") as scope:
        with Progress(console=Console(stderr=True), disable=as_json, transient=True) as bar:
            tasks: dict[str, TaskID] = {}

            def told(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = bar.add_task(what.capitalize(), total=None)
                bar.update(tasks[what], completed=done, total=total or None)

            made = await fill(scope, customers, seed=seed, told=told)
    async with deployed() as deployment:
        record = await deployment.registry.get_by_slug(slug)
        for name in SHOWN:
            if name in deployment.plugins:
                await enable_plugin(deployment, record, name, command_actor("demo"))
    if as_json:
        click.echo(msgspec.json.encode(made).decode())
        return
    click.echo(
        f"{made.customers:,} customers, {made.subscriptions:,} subscriptions, {made.invoices:,} invoices,"
        f" {made.payments:,} payments."
    )


@main.command()
@json_option
@running
async def doctor(as_json: bool) -> None:
    """Look at everything that keeps the deployment from serving well, and name the way out. Exit code 1: something
    does."""
    async with deployed() as deployment:
        found = [finding async for finding in examine(deployment)]
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


@main.group()
def token() -> None:
    """Tokens for the JSON API."""


@token.command("create")
@tenant_option
@click.option("--name", required=True, help="What it is for.")
@click.option(
    "--permission", "permissions", multiple=True, help="May be given several times; everything when left out."
)
@click.option("--days", default=365, type=click.IntRange(1, 3650), help="How long it is valid.")
@json_option
@running
async def token_create(slug: str, name: str, permissions: tuple[str, ...], days: int, as_json: bool) -> None:
    """Make a token and print it, this once."""
    async with deployed() as deployment:
        record = await deployment.registry.get_by_slug(slug)
        brought = {**deployment.plugins, **({CONSOLE.name: CONSOLE} if record.is_provider else {})}
        known = {permission.key for permission in permissions_of(brought)}
        async with deployment.scope(record, command_actor("token create")) as scope:
            made = await again(
                lambda: create_token(
                    scope, NewToken(name=name, permissions=list(permissions) or ["*"], days=days), known
                )
            )
    click.echo(msgspec.json.encode(made).decode() if as_json else made.token)


@main.command()
@click.option("--host", default="", help="Address to listen on.")
@click.option("--port", default=0, help="Port to listen on.")
@click.option("--no-worker", is_flag=True, help="Leave the work to `tenantry worker`.")
def serve(host: str, port: int, no_worker: bool) -> None:
    """Serve all tenants. The first start makes the tenant `demo` and prints its log-in."""
    try:
        uvloop.run(_serve(load_config(), host, port, worker=not no_worker))
    except EXPECTED as error:
        fail(error.message if isinstance(error, DomainError) else str(error))


async def _serve(config: Config, host: str, port: int, *, worker: bool) -> None:
    set_up_logs(config.log)
    deployment = Deployment(config)
    app = make_asgi(deployment, worker=worker)
    await deployment.start()
    try:
        await _greet(deployment)
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                host=host or config.server.host,
                port=port or config.server.port,
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=config.server.secure,
                timeout_graceful_shutdown=10,
            )
        )
        await server.serve()
    finally:
        await deployment.stop()


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
    for result in await upgrade_all(deployment):
        if result.ran:
            click.echo(f"{result.slug}: upgraded ({len(result.ran)} migrations)")
        if result.error:
            click.echo(f"{result.slug}: not upgraded, answers 503: {result.error}", err=True)
    for record in tenants[:5]:
        click.echo(f"{record.name}: {address(record.host)}")
    if len(tenants) > 5:
        click.echo(f"and {len(tenants) - 5} more: tenantry tenant list")
    demo = next((record for record in tenants if record.slug == DEMO and record.status == TenantStatus.ACTIVE), None)
    if demo is not None:
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
