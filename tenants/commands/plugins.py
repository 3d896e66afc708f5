"""Plugins that are installed, and switched on for tenants: `tenantry plugin …`."""

from __future__ import annotations

import sys
from collections.abc import Collection
from pathlib import Path

import msgspec
import rich_click as click

from core import hookspecs
from core.app import RESERVED, create_app
from core.database import declaration_faults
from core.errors import Invalid
from core.hooks import HOOK_VERSION, find_plugins
from core.hooks.conformance import type_faults
from core.scope import command_actor
from tenants.commands.base import deployed, json_option, running, show, tenant_option
from tenants.new_plugin import write_plugin
from tenants.plugins import disable_plugin, enable_plugin


@click.group()
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
    if name in RESERVED or name in find_plugins(hookspecs, taken=RESERVED):
        raise Invalid(f"“{name}” is a part of the product, or an installed plugin. Choose another name.", field="NAME")
    click.echo(f"written: {write_plugin(name, folder)}")


@plugin.command("check")
@click.argument("name")
@running
async def plugin_check(name: str) -> None:
    """Say what does not fit about an installed plugin; exit code 1 if anything."""
    found = find_plugins(hookspecs, taken=RESERVED)
    _refuse_unknown(name, found)
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
        _refuse_unknown(name, deployment.plugins)
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
        if name not in record.plugins:  # one that is gone from here may still be on
            _refuse_unknown(name, deployment.plugins)
        await disable_plugin(deployment, record, name, command_actor("plugin disable"))
    click.echo(f"{name} is off for {slug}.")


def _refuse_unknown(name: str, installed: Collection[str]) -> None:
    if name not in installed:
        raise Invalid(f"There is no plugin “{name}”. Installed: {', '.join(installed) or 'none'}.", field="NAME")
