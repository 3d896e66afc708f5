"""Files of a tenant: stored once, by the hash of what is in them, and given back only if they still have that hash.

`files/9b/9b41…c07e` in the tenant's folder; a row of `stored_file` says whose it is, what it is called and what it is.
The bytes are on the disk before the row is committed, so a row never lacks its file; a file without a row is rubbish
that `sweep_files` takes away.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import tempfile
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.activity.unit import unit_of_work
from core.database import execute, row, rows, value, values, within
from core.documents.tables import StoredFile
from core.errors import Invalid, NotFound
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope, Tenant

LARGEST: Final = 25 << 20
"""Bytes: mail servers take no more."""
HOUR: Final = 3600.0


class FileDamaged(Exception):
    """The file on the disk is gone, or is not the one that was stored."""


class FileRow(Struct, frozen=True):
    """What is known of a file."""

    id: int
    sha256: str
    size: int
    media_type: str
    name: str
    created_at: datetime
    customer_id: int | None = None


async def store_file(
    scope: Scope, data: bytes, *, name: str, media_type: str, customer_id: int | None = None
) -> FileRow:
    """Keep these bytes for good. Written to the disk first: call it before the unit of work whose rows name the file,
    or accept that the unit waits for the disk."""
    if len(data) > LARGEST:
        raise Invalid(_("A file has at most %(largest)s MB.", largest=LARGEST >> 20), field="file")
    sha256 = await asyncio.to_thread(_write, _folder(scope.tenant), data)
    async with unit_of_work(scope):
        file_id = await value(
            "INSERT INTO stored_file (sha256, size, media_type, name, customer_id, created_at)"
            " VALUES (:sha256, :size, :media_type, :name, :customer_id, :now) RETURNING id",
            sha256=sha256,
            size=len(data),
            media_type=media_type,
            name=_safe_name(name),
            customer_id=customer_id,
            now=scope.now(),
        )
    return FileRow(file_id, sha256, len(data), media_type, _safe_name(name), scope.now(), customer_id)


async def get_file(scope: Scope, file_id: int) -> FileRow:
    """What is known of a file in reach, or NotFound."""
    found = await row(
        FileRow,
        "SELECT id, sha256, size, media_type, name, created_at, customer_id FROM stored_file WHERE id = :id AND :reach",
        id=file_id,
        reach=within(StoredFile, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"file {file_id}")
    return found


async def get_shared_file(file_id: int) -> FileRow:
    """What is known of a file that belongs to no customer; who may see it, whoever names it decides."""
    found = await row(
        FileRow,
        "SELECT id, sha256, size, media_type, name, created_at, customer_id FROM stored_file"
        " WHERE id = :id AND customer_id IS NULL",
        id=file_id,
    )
    if found is None:
        raise NotFound(f"file {file_id}")
    return found


async def list_files(scope: Scope, ids: Sequence[int]) -> list[FileRow]:
    """Those of these files that are in reach, in the order of their ids."""
    if not ids:
        return []
    return await rows(
        FileRow,
        "SELECT id, sha256, size, media_type, name, created_at, customer_id FROM stored_file"
        " WHERE id IN :ids AND :reach ORDER BY id",
        ids=list(ids),
        reach=within(StoredFile, scope.actor.reach),
    )


async def read_file(scope: Scope, file: FileRow) -> bytes:
    """The bytes, as they were stored. FileDamaged if they are not there or not the same."""
    return await asyncio.to_thread(_read, _folder(scope.tenant), file.sha256)


async def remove_file(scope: Scope, file_id: int) -> None:
    """Forget the row; the bytes go with the next sweep, once no other row names them."""
    await get_file(scope, file_id)
    async with unit_of_work(scope):
        await execute("DELETE FROM stored_file WHERE id = :id", id=file_id)


async def sweep_files(scope: Scope, *, older_than: float = HOUR) -> int:
    """Take away the files that no row names, an hour after they were written at the soonest. Gives how many."""
    folder = _folder(scope.tenant)
    found = await asyncio.to_thread(_written_before, folder, time.time() - older_than)
    gone = 0
    for start in range(0, len(found), 500):
        some = found[start : start + 500]
        named = set(await values("SELECT DISTINCT sha256 FROM stored_file WHERE sha256 IN :some", some=some))
        for sha256 in some:
            if sha256 not in named:
                _path(folder, sha256).unlink(missing_ok=True)
                gone += 1
    return gone


async def damaged_files(scope: Scope) -> list[FileRow]:
    """The rows whose file is gone or another: for `verify`."""
    bad: list[FileRow] = []
    last = 0
    while True:
        some = await rows(
            FileRow,
            "SELECT id, sha256, size, media_type, name, created_at, customer_id FROM stored_file WHERE id > :last"
            " ORDER BY id LIMIT 500",
            last=last,
        )
        if not some:
            return bad
        for file in some:
            try:
                await read_file(scope, file)
            except FileDamaged:
                bad.append(file)
        last = some[-1].id


def _folder(tenant: Tenant) -> Path:
    if tenant.folder is None:
        raise RuntimeError("this tenant has no folder for files: Tenant(folder=…)")
    return tenant.folder / "files"


def _path(folder: Path, sha256: str) -> Path:
    return folder / sha256[:2] / sha256


def _write(folder: Path, data: bytes) -> str:
    """To the disk under the name of its hash, whole or not at all; what is there already is left alone."""
    sha256 = hashlib.sha256(data).hexdigest()
    path = _path(folder, sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256:
        os.utime(path)  # a sweep that has begun must not take it for rubbish
        return sha256
    handle, half = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(half).replace(path)
    except BaseException:
        Path(half).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return sha256


def _read(folder: Path, sha256: str) -> bytes:
    try:
        data = _path(folder, sha256).read_bytes()
    except OSError as error:
        raise FileDamaged(f"the file {sha256} cannot be read: {error.strerror}") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise FileDamaged(f"the file {sha256} is not the one that was stored")
    return data


def _written_before(folder: Path, instant: float) -> list[str]:
    return sorted(
        path.name
        for path in folder.glob("??/*")
        if path.is_file() and path.stat().st_mtime < instant and len(path.name) == 64
    )


def _safe_name(name: str) -> str:
    """A name that any disk and any header takes."""
    kept = "".join(one if one.isprintable() and one not in '/\\:*?"<>|' else "-" for one in name).strip(". ")
    return kept[:150] or "file"
