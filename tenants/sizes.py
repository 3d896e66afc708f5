"""How large a tenant is, of which version its database, and when something last happened there."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from core.database import SqliteDatabase, bind, value, value_as
from tenants.backups import FILES, has_database

if TYPE_CHECKING:
    from tenants.deployment import Deployment
    from tenants.registry import TenantRecord


class Size(Struct, frozen=True):
    """Nothing is known of the database of one that is archived, or that cannot be opened."""

    database_bytes: int | None = None
    files_bytes: int = 0
    schema_version: str | None = None
    last_activity_at: datetime | None = None


async def size_of(deployment: Deployment, record: TenantRecord) -> Size:
    """Asks the tenant's database and its folder."""
    files = await asyncio.to_thread(_bytes_in, deployment.placement.folder(record.uuid) / FILES, "??/*")
    if not has_database(record):
        return Size(files_bytes=files)
    try:
        database = deployment.placement.find(record)
        with bind(database):
            version = await value("SELECT schema_version FROM tenant_meta WHERE one = 1")
            last = await value_as(datetime, "SELECT at FROM activity ORDER BY position DESC LIMIT 1")
            if isinstance(database, SqliteDatabase):
                found = await asyncio.to_thread(_bytes_in, database.path.parent, f"{database.path.name}*")
            else:
                found = await value(_BYTES)
    except Exception:
        return Size(files_bytes=files)
    return Size(found, files, version, last)


_BYTES = """
SELECT CAST(coalesce(sum(pg_total_relation_size(oid)), 0) AS bigint) FROM pg_class
WHERE relnamespace = CAST(current_schema() AS regnamespace) AND relkind IN ('r', 'm')
"""


def _bytes_in(folder: Path, pattern: str) -> int:
    found = 0
    for path in folder.glob(pattern):
        try:
            found += path.stat().st_size
        except FileNotFoundError:
            continue
    return found
