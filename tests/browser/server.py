"""A server for tests in a browser: started as `./run serve` does, with its own data and port.

The name of its host leads to this machine, in a browser as in `httpx` by the header.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

ROOT: Final = Path(__file__).resolve().parents[2]
PASSWORD: Final = "four words that do not belong together"
STARTS_WITHIN: Final = 60.0


@dataclass(frozen=True)
class Served:
    """A running server with its tenant `demo`, the cookies of its first administrator, and where it writes its log."""

    base: str
    state: Path
    environment: dict[str, str]
    process: subprocess.Popen[bytes]
    log: Path

    def create_tenant(self, slug: str, *options: str) -> str:
        """Another tenant, made by the command; gives the one-time link of its administrator."""
        made = subprocess.run(
            [
                sys.executable,
                "-m",
                "tenants.cli",
                "tenant",
                "create",
                slug,
                "--email",
                f"admin@{slug}.example",
                "--json",
                *options,
            ],
            cwd=ROOT,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return str(json.loads(made.stdout)["link"])


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Served]:
    """Starts it with these settings of the environment, takes the one-time link that it prints, sets the password; ends
    the process at the end."""
    port = _free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TENANTRY_")},
        "TENANTRY_DATA": str(folder / "data"),
        "TENANTRY_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
        **settings,
    }
    with (folder / "errors.log").open("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tenants.cli", "serve"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
        )
        try:
            link = _link_of(process, errors.name)
            base = link.split("/welcome/")[0]
            state = folder / "state.json"
            _answers(process, errors.name, port)
            state.write_text(json.dumps(_log_in(link, base, port)), encoding="utf-8")
            yield Served(base, state, environment, process, folder / "errors.log")
        finally:
            process.terminate()
            try:
                process.wait(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _link_of(process: subprocess.Popen[bytes], errors: str) -> str:
    assert process.stdout is not None
    said, until = "", time.monotonic() + STARTS_WITHIN
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < until and process.poll() is None:
            if selector.select(timeout=0.5):
                said += os.read(process.stdout.fileno(), 65536).decode()
                if found := re.search(r"\bhttp://\S+/welcome/\S+", said):
                    return found[0]
    raise RuntimeError(f"The server did not start: {said}{Path(errors).read_text(encoding='utf-8')}")


def _answers(process: subprocess.Popen[bytes], errors: str, port: int) -> None:
    until = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"The server does not answer: {Path(errors).read_text(encoding='utf-8')}")


def _log_in(link: str, base: str, port: int) -> dict[str, object]:
    """The password is set; gives the session's cookie as Playwright keeps it."""
    host = base.removeprefix("http://")
    path = link.removeprefix(base)
    headers = {"Host": host, "Origin": base, "Sec-Fetch-Site": "same-origin"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=30) as client:
        answer = client.post(path, data={"password": PASSWORD, "repeated": PASSWORD})
        assert answer.status_code == 303, answer.text
        cookie = answer.cookies.jar
    return {
        "cookies": [
            {
                "name": one.name,
                "value": one.value,
                "domain": host.split(":")[0],
                "path": "/",
                "httpOnly": True,
                "secure": False,
                "sameSite": "Lax",
                "expires": -1,
            }
            for one in cookie
        ],
        "origins": [],
    }
