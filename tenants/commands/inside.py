"""What is done inside a tenant: imports, billing runs, the proof of the books, invented customers, API tokens."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec
import rich_click as click
from rich.console import Console
from rich.progress import Progress, TaskID

from core.activity.sealing import last_seal
from core.activity.unit import again
from core.app import permissions_of
from core.billing.run import run_billing
from core.billing.run_reports import RunReport
from core.billing.verify import verify
from core.customers.cli import counted, import_customers_command, import_step_command
from core.customers.importing.actions import Mode
from core.money import format_money
from core.scope import command_actor
from core.staff.actions import create_token
from core.staff.schemas import NewToken
from core.web.forms import checked
from tenants.commands.base import at_tenant, deployed, json_option, quiet, running, show, tenant_option
from tenants.console import CONSOLE
from tenants.demo import SHOWN, Told, fill
from tenants.plugins import enable_plugin

LINE_EVERY: Final = 5.0
"""Seconds between two lines about the same kind of thing."""


@click.group("import")
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


@click.group()
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
        with Progress(console=Console(stderr=True), disable=quiet(as_json), transient=True) as bar:
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
    made = "would be made" if report.preview else "was made" if report.invoices == 1 else "were made"
    click.echo(f"{counted(report.invoices, 'invoice')} {made} by {report.as_of_on}: {totals}. {report.seconds:.1f} s.")
    for parked in report.parked[:50]:
        click.echo(f"parked: customer {parked.payer_id}: {parked.reason} {parked.detail}")
    if report.question:
        click.echo(f"{report.question} The run will ask for --yes.")


@click.command("verify")
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


@click.command()
@tenant_option
@click.option("--customers", default=1000, type=click.IntRange(1, 1_000_000), help="How many to invent.")
@click.option("--seed", default=1, help="The same seed makes the same customers.")
@json_option
@running
async def demo(slug: str, customers: int, seed: int, as_json: bool) -> None:
    """Fill an empty tenant: invented customers on real streets, subscriptions, half a year of invoices."""
    async with at_tenant(slug, "demo") as scope:
        with _telling(silent=as_json) as told:
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


@contextmanager
def _telling(*, silent: bool) -> Iterator[Told]:
    """How far each kind of thing has come, on stderr: bars on a terminal, else a line now and then."""
    console = Console(stderr=True)
    if not silent and not console.is_terminal:
        yield _in_lines()
        return
    with Progress(console=console, disable=silent, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def told(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what.capitalize(), total=None)
            bar.update(tasks[what], completed=done, total=total or None)

        yield told


def _in_lines() -> Told:
    last: dict[str, float] = {}

    def told(what: str, done: int, total: int) -> None:
        if monotonic() - last.get(what, float("-inf")) < LINE_EVERY:
            return
        last[what] = monotonic()
        of = f" of {total:,}" if total else ""
        click.echo(f"{what.capitalize()}: {done:,}{of}", err=True)

    return told


@click.group()
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
            wanted = checked(NewToken, {"name": name, "permissions": list(permissions) or ["*"], "days": days})
            made = await again(lambda: create_token(scope, wanted, known))
    click.echo(msgspec.json.encode(made).decode() if as_json else made.token)
