"""The keys that secrets are sealed with: `tenantry keys …`."""

from __future__ import annotations

import sys

import rich_click as click
from rich.console import Console
from rich.progress import Progress

from core.config import Keys
from tenants.commands.base import deployed, json_option, quiet, running, show
from tenants.resealing import reseal_all


@click.group()
def keys() -> None:
    """The keys that secrets in tenants' databases are sealed with."""


@keys.command("rotate")
@click.option("--again", is_flag=True, help="No new key: do what an interruption, or a tenant that failed, has left.")
@json_option
@running
async def keys_rotate(again: bool, as_json: bool) -> None:
    """Make a new key that seals from now on, and seal every tenant's secrets with it. Old keys stay in the file, for
    backups."""
    async with deployed() as deployment:
        file = deployment.config.data / "keys"
        if not again:
            deployment.keys.take_over(Keys.add_to_file(file))
        with Progress(console=Console(stderr=True), disable=quiet(as_json), transient=True) as bar:
            task = bar.add_task("Sealing", total=None)
            results = await reseal_all(deployment, lambda done, total: bar.update(task, completed=done, total=total))
    columns = ("slug", "settings", "passwords", "apps", "messages", "error")
    show(results, columns, as_json=as_json, empty="No tenants yet.")
    if not as_json:
        newest, *old = deployment.keys.ids
        kept = f"; kept for backups: {', '.join(old)}" if old else ""
        click.echo(f"{file}: {newest} seals from now on{kept}. Put a copy of it where the other one is.")
    if any(result.error for result in results):
        sys.exit(1)
