"""`./run` as a new user types it: in a clean clone, cut off, in an odd folder, and without what it needs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
TOOLS: Final = ("awk", "cat", "cut", "dirname", "env", "grep", "mktemp", "rm", "sed", "sh", "sha256sum", "tail")

COMMAND: Final = ("tenant", "--help")


def _clone(folder: Path) -> Path:
    """What a clone would hold: the files that git knows, as they are now."""
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def _run(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["./run", *words], cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=600
    )


def _bare_machine(folder: Path, *, user: int, python: str = "", sudo: bool = True) -> str:
    """A PATH with the few tools that every Debian has, and an apt-get that must not be called."""
    folder.mkdir()
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (folder / tool).symlink_to(found)
    scripts = {"id": f"echo {user}", "apt-get": "echo apt-get was called >&2; exit 100"}
    if python:
        scripts["python3"] = python
    if sudo:
        scripts["sudo"] = "echo sudo was called >&2; exit 1"
    for name, body in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    return str(folder)


def test_without_python_a_plain_user_is_told_the_exact_line(tmp_path: Path) -> None:
    path = _bare_machine(tmp_path / "bin", user=1000)

    done = _run(_clone(tmp_path / "clone"), PATH=path)

    assert done.returncode == 1
    line = "sudo apt-get update && sudo apt-get install --no-install-recommends python3 python3-venv"
    assert line in done.stderr
    assert "was called" not in done.stderr


def test_without_sudo_the_line_does_without_it(tmp_path: Path) -> None:
    path = _bare_machine(tmp_path / "bin", user=1000, sudo=False)

    done = _run(_clone(tmp_path / "clone"), PATH=path)

    line = "su - -c 'apt-get update && apt-get install --no-install-recommends python3 python3-venv"
    assert line in done.stderr
    assert "sudo" not in done.stderr


def test_a_python_that_is_too_old_counts_as_none(tmp_path: Path) -> None:
    path = _bare_machine(tmp_path / "bin", user=1000, python="exit 1")

    done = _run(_clone(tmp_path / "clone"), PATH=path)

    assert "python3 python3-venv" in done.stderr


def test_the_tests_name_what_only_they_need(tmp_path: Path) -> None:
    path = _bare_machine(tmp_path / "bin", user=1000)

    done = _run(_clone(tmp_path / "clone"), "test", PATH=path)

    assert done.returncode == 1
    assert done.stderr.rstrip().endswith("chromium")


def test_when_debian_refuses_root_sees_why(tmp_path: Path) -> None:
    path = _bare_machine(tmp_path / "bin", user=0)

    done = _run(_clone(tmp_path / "clone"), PATH=path)

    assert done.returncode == 1
    assert "apt-get was called" in done.stderr
    assert "could not install them" in done.stderr


def test_help_sets_nothing_up(tmp_path: Path) -> None:
    clone = _clone(tmp_path / "clone")

    done = _run(clone, "--help")

    assert done.returncode == 0
    assert "./run test" in done.stdout
    assert not (clone / ".venv").exists()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_cut_off_anywhere_the_next_start_mends_it_and_the_one_after_costs_nothing(tmp_path: Path) -> None:
    clone = _clone(tmp_path / "a folder with spaces, ümlaut")

    for seconds in (0.3, 1.5, 3, 4, 6, 8, 11, 14):
        started = subprocess.Popen(
            ["./run", "--version"],
            cwd=clone,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            started.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
    mended = _run(clone, "setup")

    assert (mended.returncode, mended.stdout) == (0, ""), mended.stderr
    assert (clone / "core/web/static/manifest.json").exists()
    assert not (clone / "var").exists()

    (clone / "core/web/static/vendor/htmx/htmx.min.js").unlink()
    shutil.rmtree(next((clone / ".venv").glob("lib/python3*/site-packages/msgspec-*.dist-info")))
    lacking = _run(clone, *COMMAND)
    assert lacking.returncode == 0, lacking.stderr
    assert (clone / "core/web/static/vendor/htmx/htmx.min.js").exists()
    assert list((clone / ".venv").glob("lib/python3*/site-packages/msgspec-*.dist-info"))

    # What stands in for the program does nothing, so what is left is the set-up's own time.
    (clone / ".venv/bin/tenantry").write_text("#!/bin/sh\n")
    start = time.perf_counter()
    again = _run(clone, *COMMAND)
    assert time.perf_counter() - start < 1
    assert again.stderr == ""

    moved = clone.rename(tmp_path / "moved")
    after_moving = _run(moved, *COMMAND)
    assert after_moving.returncode == 0, after_moving.stderr
    assert "Making .venv" in after_moving.stderr
