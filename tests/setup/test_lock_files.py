"""What is installed is named once, exactly, and with no host."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
LOCKS: Final = ("requirements.lock", "requirements-dev.lock", "requirements-node.lock")


def _pins(lock: str) -> dict[str, str]:
    """Package → version. A package that is locked twice has a marker at each, which only its name is wanted of."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", (ROOT / lock).read_text(), re.MULTILINE))


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=! ;]", requirement)[0].lower().replace("_", "-")


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_has_a_hash_for_every_package_and_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text()

    blocks = re.split(r"\n(?=[a-z0-9])", text)
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert re.findall(r"https?://|file:|--index-url|--find-links", text) == []


def test_what_serves_is_the_same_in_both_lock_files() -> None:
    serving, testing = _pins("requirements.lock"), _pins("requirements-dev.lock")

    assert {name: version for name, version in serving.items() if testing.get(name) != version} == {}


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    serving = {_name(one) for one in project["project"]["dependencies"] + project["dependency-groups"]["build"]}
    testing = {_name(one) for one in project["dependency-groups"]["dev"]}

    assert serving - _pins("requirements.lock").keys() == set()
    assert testing - _pins("requirements-dev.lock").keys() == set()


def test_npm_packages_are_named_exactly_with_a_hash_and_no_host() -> None:
    package = json.loads((ROOT / "package.json").read_text())
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]

    for name, version in (package["dependencies"] | package["devDependencies"]).items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", version)
        assert locked[f"node_modules/{name}"]["version"] == version
    assert [
        name for name, entry in locked.items() if name and not entry.get("integrity", "").startswith("sha512-")
    ] == []
    assert [name for name, entry in locked.items() if "resolved" in entry] == []
