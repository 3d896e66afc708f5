"""What a start loads, and what becomes of it."""

import gc
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tenants.loading import loading

NOT_AT_ONCE = ("black", "markdown_it", "webauthn", "weasyprint")
"""Each takes a twentieth of a start and is needed by few pages or by none."""


def test_a_start_does_not_load_what_few_pages_need() -> None:
    code = f"import json, sys, tenants.cli; print(json.dumps([name for name in {NOT_AT_ONCE} if name in sys.modules]))"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)

    assert json.loads(told.stdout) == []


def test_what_is_loaded_is_not_looked_through_again() -> None:
    assert gc.isenabled()
    try:
        before = gc.get_freeze_count()
        with loading():
            assert not gc.isenabled()
            kept = [{"a": [number]} for number in range(1000)]
        assert gc.get_freeze_count() - before >= len(kept)
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_the_collector_is_back_also_where_loading_failed() -> None:
    try:
        with loading():
            raise ImportError
    except ImportError:
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def _begin(data: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tenants.cli", *command],
        env={name: text for name, text in os.environ.items() if not name.startswith(("TENANTRY", "COLUMNS"))}
        | {"TENANTRY_DATA": str(data), **environment},
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_a_port_that_is_taken_stops_the_start_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = _begin(tmp_path, "serve", TENANTRY_PORT=port)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f"tenantry: port {port} of 127.0.0.1 is taken, perhaps by another tenantry serve:"
        " choose another by TENANTRY_PORT or server.port\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["keys"]


@pytest.mark.parametrize("host", ["nowhere.invalid", "192.0.2.1"])
def test_a_host_that_this_machine_has_not_stops_the_start_with_its_name(tmp_path: Path, host: str) -> None:
    ended = _begin(tmp_path, "serve", "--host", host)

    assert ended.returncode == 1
    assert ended.stderr.startswith(f"tenantry: server.host: {host} ")


def test_a_table_for_another_program_is_cut_off_nowhere(tmp_path: Path) -> None:
    host = f"{'a-long-name.' * 9}example.net"
    _begin(tmp_path, "tenant", "create", "alpha", "--email", "a@example.net", "--host", host)

    narrow = _begin(tmp_path, "tenant", "list", COLUMNS="60").stdout
    wide = _begin(tmp_path, "tenant", "list").stdout

    assert f"http://{host}:8000" in wide
    assert "…" not in narrow


def test_a_package_that_is_gone_is_named_with_the_way_out() -> None:
    code = "import sys; sys.modules['tenants.cli'] = None; from tenants.loading import main; main()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert ended.returncode == 1
    assert ended.stderr.endswith("tenants.cli is missing: start ./run, which puts it back.\n")


@pytest.mark.parametrize("name", ["customers", "login", "inventory"])
def test_a_new_plugin_has_a_name_of_its_own(tmp_path: Path, name: str) -> None:
    ended = _begin(tmp_path, "plugin", "new", name, "--folder", str(tmp_path))

    assert ended.returncode == 1
    assert ended.stderr.startswith(f"tenantry: NAME: “{name}” is a part of the product, or an installed plugin.")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    ended = _begin(tmp_path, "plugin", "new", "loans", "--folder", "/proc/nowhere")

    assert (ended.returncode, ended.stderr.splitlines()[1:]) == (1, [])
    assert ended.stderr.startswith("tenantry: /proc/nowhere")
