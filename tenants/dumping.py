"""A tenant's PostgreSQL schema out to a file and back, by PostgreSQL's own programs and the owner's role."""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from core.database.postgresql import PATIENCE, check_schema, drop_schema
from core.errors import Unavailable
from core.texts import _
from tenants.archives import PIECE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

ASIDE: Final = "aside_"


async def dump_schema(owner_dsn: str, schema: str, snapshot: str, target: Path) -> None:
    """The schema as a transaction that is open sees it. Its rights serve whoever puts it back by hand: a restore gives
    those of its place."""
    address, environment = _connection(owner_dsn)
    process = await asyncio.create_subprocess_exec(
        program("pg_dump"),
        "--format=custom",
        "--no-owner",
        f"--schema={check_schema(schema)}",
        f"--snapshot={snapshot}",
        f"--dbname={address}",
        stdin=DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env=environment,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said = asyncio.ensure_future(process.stderr.read())
    try:
        with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            while data := await process.stdout.read(PIECE):
                file.write(data)
        _check("pg_dump", await process.wait(), await said)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        said.cancel()


async def restore_schema(owner_dsn: str, dump: Path, schema: str, new: str) -> None:
    """The dump of `schema` as the schema `new`, whatever had that name before; all of it or nothing.

    A dump names its schema throughout. If there is one of that name in the database, it steps aside inside the
    transaction, which nobody else sees, and has its name again when that ends; restores of the same schema take
    turns. One that goes on in the server after its process was killed is ended first.
    """
    check_schema(schema)
    aside = check_schema(f"{ASIDE}{check_schema(new)}"[:63])
    script, before, after = (dump.with_name(name) for name in ("restore.sql", "before.sql", "after.sql"))
    await _run(
        ["pg_restore", "--no-owner", "--no-privileges", "--exit-on-error", f"--file={script}", str(dump)],
        dict(os.environ),
    )
    before.write_text(f"SELECT pg_advisory_xact_lock(hashtext('restore {schema}'));\n{_renamed(schema, aside)}")
    after.write_text(("" if schema == new else _renamed(schema, new)) + _renamed(aside, schema))
    address, environment = _connection(owner_dsn)
    environment["PGAPPNAME"] = new
    await _end_left(owner_dsn, new)
    await drop_schema(owner_dsn, new)
    try:
        await _run(
            [
                *("psql", "--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1"),
                *(f"--file={file}" for file in (before, script, after)),
                f"--dbname={address}",
            ],
            environment,
        )
    finally:
        for file in (before, script, after):
            file.unlink(missing_ok=True)


async def _end_left(owner_dsn: str, name: str) -> None:
    """The program of a restore that was killed lives on: its connection bears the name of what it makes."""
    connection = await asyncpg.connect(owner_dsn, timeout=PATIENCE)
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            " WHERE application_name = $1 AND datname = current_database() AND usename = current_user",
            name,
        )
    finally:
        await connection.close()


def _renamed(schema: str, new: str) -> str:
    return (
        f"DO $$ BEGIN IF EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = '{schema}')"
        f' THEN ALTER SCHEMA "{schema}" RENAME TO "{new}"; END IF; END $$;\n'
    )


def program(name: str) -> str:
    """Its place on this machine, or Unavailable: what has to be installed."""
    found = shutil.which(name)
    if found is None:
        raise Unavailable(
            _(
                "%(name)s is missing on this machine. Install PostgreSQL's client programs, of the "
                "server's version or newer (Debian: apt-get install postgresql-client).",
                name=name,
            )
        )
    return found


async def _run(command: Sequence[str], environment: dict[str, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        program(command[0]), *command[1:], stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE, env=environment
    )
    try:
        _, said = await process.communicate()
        _check(command[0], process.returncode, said)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _check(name: str, code: int | None, said: bytes) -> None:
    if code == 0:
        return
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    reason = next(
        (line for line in lines if "error" in line.lower()), lines[0] if lines else _("ended with %(code)s", code=code)
    )
    full = "No space left" in reason or "File too large" in reason
    raise Unavailable(
        _("The disk is full: %(reason)s. Nothing was changed.", reason=reason)
        if full
        else _("%(name)s failed: %(reason)s. Nothing was changed.", name=name, reason=reason)
    )


def _connection(dsn: str) -> tuple[str, dict[str, str]]:
    """The address without its password, which goes by the environment: everybody can read a command line."""
    parts = urlsplit(dsn)
    environment = dict(os.environ)
    if parts.password is not None:
        environment["PGPASSWORD"] = unquote(parts.password)
        netloc = f"{parts.username or ''}@{parts.netloc.rpartition('@')[2]}"
        parts = parts._replace(netloc=netloc)
    return urlunsplit(parts), environment
