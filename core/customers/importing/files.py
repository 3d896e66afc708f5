"""Uploaded files: kept among the tenant's own until they have been taken over, under a name that nobody typed."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from core.errors import Conflict
from core.ids import new_token
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.customers.importing.queries import ImportBatchRow
    from core.scope import Scope

FOLDER: Final = "imports"
PIECE: Final = 1 << 20


def folder_of(scope: Scope) -> Path:
    """Where this tenant's uploads lie."""
    folder = scope.tenant.folder or Path(tempfile.gettempdir()) / f"tenantry-{scope.tenant.uuid}"
    return folder / FOLDER


async def keep_file(scope: Scope, content: AsyncIterator[bytes]) -> Path:
    """Store an upload; gives where. Written in pieces, in a thread."""
    folder = folder_of(scope)
    path = folder / new_token(16)
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    file = await asyncio.to_thread(path.open, "wb")
    try:
        async for piece in content:
            await asyncio.to_thread(file.write, piece)
    finally:
        await asyncio.to_thread(file.close)
    return path


def file_of(scope: Scope, batch: ImportBatchRow) -> Path:
    """The file of an import. Conflict where it has been taken over and forgotten."""
    path = folder_of(scope) / Path(batch.file_path).name
    if not batch.file_path or not path.is_file():
        raise Conflict(_("The file of this import is no longer kept. Choose it again."))
    return path


def is_kept(scope: Scope, batch: ImportBatchRow) -> bool:
    """Whether the file of an import is still stored."""
    return bool(batch.file_path) and (folder_of(scope) / Path(batch.file_path).name).is_file()


async def forget_file(scope: Scope, batch: ImportBatchRow) -> None:
    """The customers are here: the file, with all that was not imported, is deleted."""
    if batch.file_path:
        await forget_named(scope, batch.file_path)


async def forget_named(scope: Scope, name: str) -> None:
    """Delete an upload by the name it is stored under."""
    await asyncio.to_thread((folder_of(scope) / Path(name).name).unlink, missing_ok=True)


async def count_lines(path: Path) -> int:
    """About how many records there are; 0 for a workbook, which would have to be unpacked for it."""
    return await asyncio.to_thread(_count_lines, path)


def _count_lines(path: Path) -> int:
    with path.open("rb") as file:
        start = file.read(PIECE)
        if start.startswith(b"PK"):
            return 0
        count = start.count(b"\n")
        while piece := file.read(PIECE):
            count += piece.count(b"\n")
    return count
