"""A backup as one file: a tar of the database, the stored files and, last, the manifest that says what all of it is.

The file is written under a temporary name, brought to the disk and then renamed: under its own name it is whole. What
is read from one is believed only after its size and its hash were found to be those of the manifest.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import IO, Final, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from core.database.errors import NO_ROOM
from core.database.statements import Dialect
from core.errors import Invalid, Unavailable
from core.texts import _

T = TypeVar("T")

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
DATABASES: Final[Mapping[Dialect, str]] = {"sqlite": "database.sqlite", "postgresql": "database.pgdump"}
PIECE: Final = 1 << 20
LARGEST_MANIFEST: Final = 256 << 20
_NAME: Final = re.compile(r"database\.(?:sqlite|pgdump)|files/([0-9a-f]{2})/\1[0-9a-f]{62}")

Told = Callable[[int, int], None]
"""Hears how many bytes of how many are done."""


class Member(Struct, frozen=True):
    """A file in the archive."""

    name: str
    size: int
    sha256: str


class Manifest(Struct, frozen=True, kw_only=True):
    """What a backup is of."""

    format: int
    version: str
    """Of the product that made it."""
    made_at: datetime
    uuid: UUID
    slug: str
    name: str
    hosts: tuple[str, ...]
    created_at: datetime
    placement: str
    dialect: Dialect
    schema: str
    """PostgreSQL: the name that the schema has in the dump."""
    schema_version: str
    migrations: Mapping[str, tuple[str, ...]]
    plugins: tuple[str, ...]
    counts: Mapping[str, int]
    """Rows of each table."""
    keys: tuple[str, ...]
    """Ids of the keys that its secrets may be sealed with; the keys themselves are in no backup."""
    clock_at: datetime | None = None
    """What its test clock showed, if it had one."""
    missing: tuple[str, ...] = ()
    """Stored files that were gone from the disk already."""
    members: tuple[Member, ...] = ()

    @property
    def size(self) -> int:
        return sum(member.size for member in self.members)


class Stopped(Exception):
    """Whoever waited for the thread does so no longer."""


async def in_thread(work: Callable[[Event], T]) -> T:
    """The work on a thread; who is cancelled stops it and waits until it has let go of its files."""
    stop = Event()
    task = asyncio.ensure_future(asyncio.to_thread(work, stop))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([task])
        task.exception()
        raise


@contextmanager
def room_on(folder: Path) -> Iterator[None]:
    """A full disk is said in one line."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_ROOM:
            message = _("There is no room left in %(folder)s. Nothing was changed.", folder=folder)
        else:
            message = _("%(file)s: %(why)s. Nothing was changed.", file=error.filename or folder, why=error.strerror)
        raise Unavailable(message, retry_after=60) from error


def write_archive(
    part: Path,
    target: Path,
    manifest: Manifest,
    sources: Sequence[tuple[str, Path]],
    stop: Event,
    told: Told,
) -> Manifest:
    """The archive of these files (name in it, place on the disk); gives the manifest with its members."""
    total, done, members = sum(path.stat().st_size for _, path in sources), 0, []
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, path in sources:
                with path.open("rb") as source:
                    hashed = _Hashed(source, stop)
                    size = os.fstat(source.fileno()).st_size
                    tar.addfile(_info(name, size, manifest), hashed)  # type: ignore[arg-type]  # asks for no more than read()
                members.append(Member(name, size, hashed.sha256.hexdigest()))
                done += size
                told(done, total)
            manifest = msgspec.structs.replace(manifest, members=tuple(members))
            text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
            file_of_it = _Hashed(_Bytes(text), stop)
            tar.addfile(_info(MANIFEST, len(text), manifest), file_of_it)  # type: ignore[arg-type]  # as above
        file.flush()
        os.fsync(file.fileno())
    part.replace(target)
    sync_folder(target.parent)
    return manifest


def _info(name: str, size: int, manifest: Manifest) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, int(manifest.made_at.timestamp())
    return info


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._left = data

    def read(self, size: int) -> bytes:
        given, self._left = self._left[:size], self._left[size:]
        return given


class _Hashed:
    """What is read through it is hashed; it stops when it is told to."""

    def __init__(self, source: IO[bytes] | _Bytes, stop: Event) -> None:
        self._source = source
        self._stop = stop
        self.sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        if self._stop.is_set():
            raise Stopped
        data = self._source.read(size)
        self.sha256.update(data)
        return data


def sync_folder(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _refused(file: Path, why: str) -> Invalid:
    return Invalid(
        _("%(name)s cannot be restored: %(why)s. Nothing was changed.", name=file.name, why=why), field="FILE"
    )


def read_manifest(file: Path) -> Manifest:
    """What a backup says of itself, or Invalid: it is none, it is cut off, or holds other files than it says."""
    try:
        with tarfile.open(file, "r:") as tar:
            found = tar.getmembers()
            if not found or found[-1].name != MANIFEST or found[-1].size > LARGEST_MANIFEST:
                raise _refused(file, _("it is cut off, or no backup of a tenant: its manifest is not at its end"))
            text = tar.extractfile(found[-1])
            manifest = msgspec.json.decode(text.read() if text else b"", type=Manifest)
    except OSError as error:
        raise _refused(file, str(error.strerror or error)) from error
    except (tarfile.TarError, EOFError) as error:
        raise _refused(file, _("it is cut off, or no backup of a tenant (%(error)s)", error=error)) from error
    except msgspec.DecodeError as error:
        raise _refused(file, _("its manifest cannot be read (%(error)s)", error=error)) from error
    if manifest.format != FORMAT:
        raise _refused(
            file, _("it has format %(format)s, this version reads %(ours)s", format=manifest.format, ours=FORMAT)
        )
    listed = {member.name: member.size for member in manifest.members}
    there = {member.name: member.size for member in found[:-1] if member.isreg()}
    if len(listed) != len(manifest.members) or len(there) != len(found) - 1 or listed != there:
        raise _refused(file, _("it holds other files than its manifest says"))
    if DATABASES[manifest.dialect] not in listed or not all(map(_NAME.fullmatch, listed)):
        raise _refused(file, _("it holds files that no backup has"))
    return manifest


def extract(file: Path, manifest: Manifest, into: Path, stop: Event, told: Told) -> None:
    """All its files, each found to be what the manifest says; Invalid at the first that is not."""
    done = 0
    try:
        with tarfile.open(file, "r:") as tar:
            for member in manifest.members:
                source = tar.extractfile(member.name)
                if source is None:
                    raise _refused(file, _("%(name)s is missing", name=member.name))
                path = into / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                hashed = _Hashed(source, stop)
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with room_on(into), os.fdopen(handle, "wb") as target:
                    while data := hashed.read(PIECE):
                        target.write(data)
                    target.flush()
                    os.fsync(target.fileno())
                if hashed.sha256.hexdigest() != member.sha256:
                    raise _refused(file, _("%(name)s in it is not what was put there", name=member.name))
                done += member.size
                told(done, manifest.size)
    except (tarfile.TarError, EOFError, KeyError) as error:
        raise _refused(file, _("it is cut off (%(error)s)", error=error)) from error
