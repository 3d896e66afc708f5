"""What a start loads, and what becomes of it."""

import gc
import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
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


@contextmanager
def _serving(data: Path, **environment: str) -> Iterator[httpx.Client]:
    """A server of its own on these data, asked at its machine's own name."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "tenants.cli", "serve", "--no-worker"],
        env={name: text for name, text in os.environ.items() if not name.startswith("TENANTRY")}
        | {"TENANTRY_DATA": str(data), "TENANTRY_PORT": port, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and process.poll() is None:
                try:
                    client.get("/health")
                    break
                except httpx.ConnectError:
                    time.sleep(0.1)
            yield client
    finally:
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.slow
def test_the_first_tenant_that_cannot_be_opened_stops_no_other(tmp_path: Path) -> None:
    for slug in ("demo", "alpha"):
        assert _begin(tmp_path, "tenant", "create", slug, "--email", "a@example.net").returncode == 0
    listed = json.loads(_begin(tmp_path, "tenant", "list", "--json").stdout)
    demo = next(tenant["uuid"] for tenant in listed if tenant["slug"] == "demo")
    with sqlite3.connect(tmp_path / "tenants" / demo / "tenant.sqlite") as database:
        database.execute(
            "INSERT INTO migration VALUES ('staff', '2099-01-01T00:00:00', '1', 'a later one', '2099-01-01')"
        )
    database.close()

    with _serving(tmp_path) as client:
        answers = {
            slug: client.get("/login", headers={"Host": f"{slug}.localhost:{client.base_url.port}"}).status_code
            for slug in ("demo", "alpha")
        }

    assert answers == {"demo": 503, "alpha": 200}


@pytest.mark.slow
@pytest.mark.parametrize(("proxies", "second"), [("127.0.0.0/8", 401), ("192.0.2.1", 429)])
def test_who_asks_is_believed_of_the_proxies_that_are_named(tmp_path: Path, proxies: str, second: int) -> None:
    _begin(tmp_path, "tenant", "create", "alpha", "--email", "a@example.net")
    settings = {"SERVER__SECURE": "true", "SERVER__PROXIES": proxies, "LIMITS__API_ADDRESS": "1"}

    with _serving(tmp_path, **{f"TENANTRY__{name}": text for name, text in settings.items()}) as client:
        answers = [
            client.get(
                "/api/v1/customers", headers={"Host": "alpha.localhost", "X-Forwarded-For": f"198.51.100.{last}"}
            ).status_code
            for last in (1, 2)
        ]

    assert answers == [401, second]


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
