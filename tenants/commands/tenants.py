"""Making, listing and keeping tenants: `tenantry tenant …`."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import rich_click as click
from rich.console import Console
from rich.progress import Progress

from core.customers.vocabularies import VOCABULARIES
from core.errors import Invalid, Unavailable
from core.ids import sort_key
from core.money import format_money
from core.scope import command_actor
from core.staff.actions import make_link
from core.staff.queries import find_by_address
from core.staff.second_factors import reset_second_factor
from core.web.forms import checked
from tenants.backups import REGISTRY, BackedUp, back_up, back_up_all, back_up_registry
from tenants.clocks import Ahead, run_forward, try_time
from tenants.commands.base import deployed, json_option, quiet, running, show
from tenants.deployment import Deployment
from tenants.ending import archive_tenant, delete_tenant, may_become, rename_tenant
from tenants.forms import NewTenantForm, new_tenant_of
from tenants.moving import move_tenant
from tenants.pausing import refuse_paused
from tenants.provisioning import create_tenant, host_name
from tenants.queries import backups_of, describe, list_backups
from tenants.restoring import Restored, restore
from tenants.sizes import Size, size_of
from tenants.status import TenantStatus
from tenants.upgrading import upgrade_all, upgrade_tenant

if TYPE_CHECKING:
    from tenants.registry import TenantRecord


class HostLine(msgspec.Struct, frozen=True):
    host: str
    address: str
    main: bool


@click.group()
def tenant() -> None:
    """Make, list and keep tenants."""


class TenantLine(msgspec.Struct, frozen=True):
    slug: str
    uuid: str
    """The name of its folder."""
    name: str
    status: str
    reason: str
    """Why it is not served."""
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
    hosts: tuple[str, ...]
    """The main one first."""
    clock_at: datetime | None
    """What its test clock shows."""


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
    typed = NewTenantForm(
        slug=slug,
        name=name.strip() or slug,
        email=email,
        person=person,
        country=country.upper(),
        currency=currency.upper(),
        time_zone=zone,
        language=language,
        vocabulary=vocabulary or "",  # type: ignore[arg-type]  # click has chosen
        placement=placement,
    )
    new = msgspec.structs.replace(new_tenant_of(typed), hosts=hosts, is_provider=is_provider)
    checked(NewTenantForm, msgspec.structs.asdict(typed))  # no longer than the console takes it
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
            _line(
                deployment,
                record,
                await size_of(deployment, record),
                tuple(await deployment.registry.hosts(record.uuid)),
            )
            for record in await deployment.registry.list_tenants()
        ]
    show(lines, ("slug", "name", "status", "address", "placement", "plugins"), as_json=as_json, empty="No tenants yet.")


def _line(deployment: Deployment, record: TenantRecord, size: Size, hosts: tuple[str, ...]) -> TenantLine:
    return TenantLine(
        slug=record.slug,
        uuid=str(record.uuid),
        name=record.name,
        status=record.status,
        reason=record.reason,
        address=deployment.config.server.address_of(record.host),
        placement=record.placement,
        plugins=record.plugins,
        created_at=record.created_at.isoformat(timespec="seconds"),
        database_bytes=size.database_bytes,
        files_bytes=size.files_bytes,
        schema_version=size.schema_version,
        last_activity_at=size.last_activity_at,
        archive=record.archive,
        hosts=hosts,
        clock_at=record.clock_at,
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
        refuse_paused(record)
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
        refuse_paused(record)
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
            with Progress(console=Console(stderr=True), disable=quiet(as_json), transient=True) as bar:
                task = bar.add_task("Upgrading", total=None)
                results = await upgrade_all(
                    deployment,
                    lambda done, total, one: bar.update(task, completed=done, total=total),
                    dump=dump is True,
                )
    show(results, ("slug", "ran", "error", "backup"), as_json=as_json, empty="No tenants yet.")
    if any(result.error for result in results):
        sys.exit(1)


class BackupLine(msgspec.Struct, frozen=True):
    file: str
    slug: str
    made_at: str
    size: int
    """In bytes."""
    uuid: str | None
    version: str
    placement: str
    error: str
    """Why it cannot be read."""


@tenant.command("backups")
@click.argument("slug", required=False)
@json_option
@running
async def tenant_backups(slug: str | None, as_json: bool) -> None:
    """Backups in the deployment's folder, the newest first: all, or of one tenant, also of one that was deleted."""
    async with deployed() as deployment:
        record = await deployment.registry.find_by_slug(slug) if slug else None
        if record is not None:
            found = await backups_of(deployment, record.uuid, record.slug)
        else:
            found = await describe(deployment, await list_backups(deployment, (slug,) if slug else None))
        if slug and record is None and not found:
            await deployment.registry.get_by_slug(slug)
    lines = [
        BackupLine(
            file=one.backup.file,
            slug=one.backup.slug,
            made_at=one.backup.made_at.isoformat(timespec="seconds"),
            size=one.backup.size,
            uuid=None if one.uuid is None else str(one.uuid),
            version=one.version,
            placement=one.placement,
            error=one.error,
        )
        for one in found
    ]
    show(lines, ("file", "slug", "made_at", "size", "placement", "error"), as_json=as_json, empty="No backups yet.")


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
                try:
                    results.append(await back_up_registry(deployment, folder))
                except Unavailable as error:
                    results.append(BackedUp(REGISTRY, error=error.message))
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
@click.option("--no-backup", is_flag=True, help="Where it is too damaged for one: nothing of it is left.")
@running
async def tenant_delete(slug: str, repeated: str, folder: Path | None, no_backup: bool) -> None:
    """Take a tenant away, all of it but a last backup. Its short name is free afterwards."""
    if repeated != slug:
        raise Invalid(f"To delete {slug}, repeat its short name: --yes {slug}. Nothing was changed.", field="--yes")
    async with deployed() as deployment:
        record = await deployment.registry.get_by_slug(slug)
        try:
            file = await delete_tenant(deployment, record, folder, back_up=not no_backup)
        except Unavailable as error:
            if no_backup:
                raise
            raise Unavailable(f"{error.message} To delete it without one: --no-backup") from error
    click.echo(f"{slug} is deleted. " + (f"Its last backup is kept: {file}" if file else "Nothing of it is left."))


@tenant.command("rename")
@click.argument("slug")
@click.argument("new", required=False)
@click.option("--name", default="", help="As the host calls it; what customers read is a setting of the tenant's own.")
@running
async def tenant_rename(slug: str, new: str | None, name: str) -> None:
    """Give a tenant another short name, and with it another address; the old address goes on to lead there."""
    if len(name) > 200:
        raise Invalid("Use at most 200 characters.", field="--name")
    async with deployed() as deployment:
        record = await deployment.registry.get_by_slug(slug)
        await rename_tenant(deployment, record, slug=new or "", name=" ".join(name.split()))
        record = await deployment.registry.get_by_slug(new or slug)
        address = deployment.config.server.address_of(record.host)
    click.echo(f"{record.slug} ({record.name}) answers at {address}")


@tenant.command("hosts")
@click.argument("slug")
@click.option("--add", multiple=True, metavar="HOST", help="Leads to it from now on, such as isp.example.net.")
@click.option("--remove", multiple=True, metavar="HOST", help="Leads to it no longer, and is free.")
@click.option("--main", default="", metavar="HOST", help="In its links from now on; added where it is not there yet.")
@json_option
@running
async def tenant_hosts(slug: str, add: tuple[str, ...], remove: tuple[str, ...], main: str, as_json: bool) -> None:
    """The host names that lead to a tenant, the main one first; with options, other ones."""
    wanted = tuple(map(host_name, (*add, *([main] if main else ()))))
    gone = tuple(map(host_name, remove))
    async with deployed() as deployment:
        record = await deployment.registry.get_by_slug(slug)
        known = await deployment.registry.hosts(record.uuid)
        for host in gone:
            if host not in known:
                raise Invalid(f"{host} does not lead to {slug}. There are: {', '.join(known)}.", field="--remove")
        if wanted or gone:
            await deployment.registry.change_hosts(
                record.uuid, add=wanted, remove=gone, main=wanted[-1] if main else ""
            )
        lines = [
            HostLine(host, deployment.config.server.address_of(host), main=number == 0)
            for number, host in enumerate(await deployment.registry.hosts(record.uuid))
        ]
    show(lines, ("host", "address", "main"), as_json=as_json, empty="No host name leads to it.")


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
