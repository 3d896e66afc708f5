"""What all commands share: how they reach tenants, how they fail, and what they print."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import msgspec
import rich_click as click
from rich.console import Console
from rich.table import Table

from core.config import ConfigError, load_config
from core.database import UnsafeServer, WrongDatabase
from core.errors import DomainError, FieldError, Invalid
from core.hooks import PluginError
from core.scope import command_actor
from core.web.assets import MissingAsset
from core.web.routing import RouteFault
from tenants.deployment import Deployment
from tenants.registry import RegistryClosed
from tenants.waking import Waking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.scope import Scope


P = ParamSpec("P")
R = TypeVar("R")

OPTIONS: Final = {"time_zone": "--zone", "placement": "--database"}
AT_MOST: Final = 10_000
"""Columns of a table that goes into a file or to another program: nothing is cut off there."""
EXPECTED: Final = (
    ConfigError,
    DomainError,
    MissingAsset,
    PluginError,
    RegistryClosed,
    RouteFault,
    UnsafeServer,
    WrongDatabase,
)


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
            fail(" ".join(map(_told, error.errors)) or error.message)
        except DomainError as error:
            fail(error.message)
        except EXPECTED as error:
            fail(str(error))
        except OSError as error:
            if error.filename is None:
                raise  # no file of whoever asks
            fail(f"{error.filename}: {error.strerror}")
        except KeyboardInterrupt:
            fail("interrupted")

    return run


def _told(fault: FieldError) -> str:
    """With the option by which it was typed, where that is called otherwise than the field."""
    named = OPTIONS.get(fault.field, fault.field)
    return f"{named}: {fault.message}" if named else fault.message


@asynccontextmanager
async def deployed(*, works: bool = False, unchecked: bool = False) -> AsyncIterator[Deployment]:
    """The deployment that the configuration names. `works`: a worker runs in this process, and others need no word of
    what is left for one. `unchecked`: also where a database does not answer."""
    deployment = Deployment(load_config())
    await deployment.start(unchecked=unchecked)
    waking = None if works else Waking(deployment.registry, deployment.clock)
    try:
        yield deployment
    finally:
        if waking is not None:
            await waking.stop()
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
        table.add_column(column.replace("_", " "), overflow="fold")  # an address can be copied also where it is long
    for item in items:
        table.add_row(*(_cell(getattr(item, column)) for column in columns))
    out = Console()
    if not out.is_terminal and "COLUMNS" not in os.environ:
        out.width = AT_MOST
    out.print(table, markup=False)


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
