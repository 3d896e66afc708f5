"""The registry of an older deployment keeps what it knows."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from core.database import SqliteDatabase, bind, execute, migrate, values
from core.database.migrations import MigrationApp
from core.ids import new_uuid
from core.testing import START
from tenants.registry import MIGRATIONS, Registry
from tenants.status import TenantStatus

if TYPE_CHECKING:
    from pathlib import Path


async def test_a_registry_made_before_restores_were_counted_keeps_its_tenants(tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.mkdir()
    shutil.copy(MIGRATIONS.folder / "2026_11_22_0001_registry.py", older)
    database, uuid, now = SqliteDatabase(tmp_path / "control.sqlite", create=True, files=None), new_uuid(), START
    with bind(database):
        await migrate([MigrationApp(MIGRATIONS.name, older)])
        await execute(
            "INSERT INTO tenant (uuid, slug, name, status, placement, created_at)"
            " VALUES (:uuid, 'alpha', 'Alpha', 'suspended', 'sqlite', :now)",
            uuid=uuid,
            now=now,
        )
        await execute("INSERT INTO tenant_host (host, tenant_id, main) VALUES ('alpha.example', 1, TRUE)")
        await execute(
            "INSERT INTO tenant_plugin (tenant_id, plugin, position, enabled_at) VALUES (1, 'maps', 0, :now)", now=now
        )

    registry = Registry(database)
    await registry.start()

    found = await registry.get_by_slug("alpha")
    assert (found.uuid, found.status, found.host) == (uuid, TenantStatus.SUSPENDED, "alpha.example")
    assert (found.plugins, found.generation, found.archive) == (("maps",), 0, "")
    await registry.set_archived(uuid, "/somewhere.tar")
    await registry.remove(uuid)
    with bind(database):
        assert await values("SELECT host FROM tenant_host") == await values("SELECT plugin FROM tenant_plugin") == []
    await registry.close()
