"""The database proves whose it is: a row with the tenant's uuid, written once, checked whenever it is opened."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from core.database.binding import current, transaction
from core.database.errors import NO_ROOM, DiskFull, WrongDatabase
from core.database.migrations import MigrationApp, _has_table, pending
from core.database.sql import execute, value


async def claim(uuid: UUID) -> None:
    """Makes the bound, migrated database this tenant's. Once: a claimed one is never given away."""
    async with transaction():
        await execute("UPDATE tenant_meta SET uuid = :uuid WHERE one = 1 AND uuid IS NULL", uuid=str(uuid))
    await prove_owner(uuid)


async def prove_owner(uuid: UUID, apps: Sequence[MigrationApp] | None = None) -> None:
    """The bound database is this tenant's, or WrongDatabase says what it is. With `apps`, it must also be of this
    version.
    """
    if not await _has_table("tenant_meta"):
        raise WrongDatabase(f"{current()!r} was opened for tenant {uuid}, but it is no database of Tenantry.")
    found = await value("SELECT uuid FROM tenant_meta WHERE one = 1")
    if found is None:
        raise WrongDatabase(f"{current()!r} was opened for tenant {uuid}, but it belongs to nobody yet.")
    if found != str(uuid):
        raise WrongDatabase(f"{current()!r} was opened for tenant {uuid}, but it belongs to tenant {found}.")
    if apps is not None and (missing := await pending(apps)):
        raise WrongDatabase(f"{current()!r} needs an upgrade: {', '.join(missing)}.")
    current().owner = uuid


def copy_template(template: Path, target: Path) -> None:
    """A fresh tenant's file: a copy of a migrated one that nobody has claimed. Never over a file that is there."""
    if Path(f"{template}-wal").exists() and Path(f"{template}-wal").stat().st_size:
        raise WrongDatabase(f"{template.name} is in use: its latest changes are not in the file yet.")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        shutil.copyfile(template, part)
        part.chmod(0o600)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        os.link(part, target)  # unlike a rename it fails when the target exists
    except OSError as error:
        if error.errno in NO_ROOM:
            raise DiskFull from error
        raise
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
