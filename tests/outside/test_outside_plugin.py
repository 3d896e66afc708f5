"""A plugin of somebody else: a package of its own, installed by pip beside the product's wheel, in its own venv."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

import pytest

from tenants.new_plugin import write_plugin

ROOT: Final = Path(__file__).resolve().parents[2]
BUILD: Final = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"


def build(source: Path, target: Path) -> Path:
    """The wheel of a package."""
    made = subprocess.run(
        [sys.executable, "-c", BUILD, str(target)], cwd=source, check=True, capture_output=True, text=True
    )
    return target / made.stdout.split()[-1]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(the venv's Python, the plugin's source): product and plugin as wheels, what they need from this environment."""
    folder = tmp_path_factory.mktemp("outside")
    plugin = write_plugin("remarks", folder)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    site = next((folder / "venv" / "lib").glob("python*")) / "site-packages"
    (site / "needs.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    wheels = [str(build(ROOT, folder)), str(build(plugin, folder))]
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--force-reinstall", *wheels]
    subprocess.run(install, check=True, capture_output=True)
    return python, plugin


def run(python: Path, data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TENANTRY_DATA": str(data), "PYTHONPATH": ""}
    return subprocess.run(
        [str(python), "-m", "tenants.cli", *words],
        cwd=data,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_it_is_found_by_its_entry_point_fits_and_is_switched_on_for_a_tenant(
    outside: tuple[Path, Path], tmp_path: Path
) -> None:
    python, _ = outside

    listed = run(python, tmp_path, "plugin", "list", "--json")
    checked = run(python, tmp_path, "plugin", "check", "remarks")
    made = run(python, tmp_path, "tenant", "create", "alpha", "--email", "a@alpha.example")
    switched = run(python, tmp_path, "plugin", "enable", "remarks", "--tenant", "alpha")
    tenants = run(python, tmp_path, "tenant", "list", "--json")

    found = {line["name"]: line for line in json.loads(listed.stdout)}
    assert set(found) == {"inventory", "portal", "remarks", "testgateway", "vies"}, listed.stderr
    assert found["remarks"]["distribution"] == "tenantry-remarks 0.1.0"
    assert (checked.returncode, checked.stderr) == (0, "")
    assert (made.returncode, switched.returncode) == (0, 0), made.stderr + switched.stderr
    assert json.loads(tenants.stdout)[0]["plugins"] == ["remarks"]


@pytest.mark.slow
def test_its_own_tests_pass_beside_the_wheel(outside: tuple[Path, Path]) -> None:
    python, plugin = outside

    done = subprocess.run(
        [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", str(plugin / "tests")],
        cwd=plugin,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-2000:]
    assert "3 passed" in done.stdout
