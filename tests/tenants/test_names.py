"""Another distribution with the product's top-level names is refused before anything of it can run."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.config import load_config
from core.errors import Conflict
from tenants.deployment import Deployment
from tenants.names import check_names


def installed(folder: Path, name: str, *files: str) -> None:
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files), encoding="utf-8")


@pytest.mark.parametrize("file", ["core/__init__.py", "plugins/thing.py", "tenants.py"])
def test_another_distribution_with_our_names_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    installed(tmp_path, "namesake", "namesake/__init__.py", file)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(Conflict, match=r"namesake brings (core|plugins|tenants) too"):
        check_names()


def test_names_that_only_look_alike_and_our_own_are_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, "alike", "corelib/__init__.py", "alike/core/__init__.py", "plugins_of_mine.py")
    installed(tmp_path, "tenantry", "core/__init__.py", "plugins/__init__.py", "tenants/__init__.py")
    monkeypatch.syspath_prepend(tmp_path)

    check_names()


async def test_a_deployment_does_not_start_beside_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, "namesake", "core/__init__.py")
    monkeypatch.syspath_prepend(tmp_path)
    deployment = Deployment(load_config(environment={"TENANTRY_DATA": str(tmp_path / "data")}))

    with pytest.raises(Conflict, match="Uninstall it"):
        await deployment.start()
