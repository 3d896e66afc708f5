"""The units for systemd and the image for containers name what the product has, as their guide does."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from configparser import ConfigParser
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

import click
import pytest

from core.config import Server, load_config
from tenants.cli import main

ROOT: Final = Path(__file__).resolve().parents[2]
GUIDE: Final = (ROOT / "docs/hosting.md").read_text(encoding="utf-8")
UNITS: Final = {name: ROOT / f"deploy/tenantry-{name}.service" for name in ("web", "worker")}
SCRIPT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
CHECKOUT: Final = "/opt/tenantry"
DATA: Final = "/var/lib/tenantry"
FILE: Final = "/etc/tenantry/tenantry.toml"


def understood(words: list[str]) -> None:
    """Fails where the product has no such command, option or argument."""
    assert words[0] in SCRIPT
    command: click.Command = main
    context = click.Context(main)
    rest = words[1:]
    while isinstance(command, click.Group):
        found = command.get_command(context, rest[0])
        assert found is not None, words
        command, rest = found, rest[1:]
    command.make_context(words[0], list(rest))


def unit(name: str) -> ConfigParser:
    parsed = ConfigParser(interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser's manual says it
    parsed.read(UNITS[name])
    return parsed


def instructions() -> dict[str, list[str]]:
    """What the Containerfile says, by instruction."""
    lines = [line for line in (ROOT / "deploy/Containerfile").read_text().splitlines() if not line.startswith("#")]
    said: dict[str, list[str]] = {}
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if line.strip():
            word, rest = line.split(maxsplit=1)
            said.setdefault(word, []).append(re.sub(r" {2,}", " ", rest))
    return said


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_starts_what_there_is_with_settings_that_are_known(name: str, tmp_path: Path) -> None:
    service = unit(name)["Service"]
    program, *words = shlex.split(service["ExecStart"])
    environment = dict(one.split("=", 1) for one in shlex.split(service["Environment"]))

    assert program == f"{CHECKOUT}/.venv/bin/tenantry"
    understood(["tenantry", *words])
    assert service["WorkingDirectory"] == CHECKOUT
    assert environment == {"TENANTRY_CONFIG": FILE, "TENANTRY_DATA": DATA}
    assert f"/var/lib/{service['StateDirectory']}" == DATA
    (tmp_path / "tenantry.toml").write_text('[server]\ndomain = "example.net"')
    here = {name: path.replace(DATA, str(tmp_path / "data")) for name, path in environment.items()}
    config = load_config(
        environment={name: path.replace("/etc/tenantry", str(tmp_path)) for name, path in here.items()}
    )
    assert (config.server.domain, config.data) == ("example.net", tmp_path / "data")


def test_both_units_are_guarded_alike() -> None:
    web, worker = (unit(name) for name in UNITS)
    own = {"Description", "ExecStart", "TimeoutStopSec"}

    for section in web.sections():
        assert {line for line in web[section].items() if line[0] not in own} == {
            line for line in worker[section].items() if line[0] not in own
        }
    assert web.sections() == worker.sections()


def test_the_guide_installs_the_units_as_they_are() -> None:
    service = unit("web")["Service"]

    for named in (CHECKOUT, DATA, FILE, f"useradd --system --home-dir {DATA} {service['User']}", "deploy/*.service"):
        assert named in GUIDE
    assert "systemctl enable --now tenantry-web tenantry-worker" in GUIDE


def test_the_commands_of_the_guide_are_there() -> None:
    blocks = re.findall(r"^    .+$", GUIDE, re.MULTILINE)
    named = re.findall(r"(?<![\w/-])tenantry ((?:tenant|plugin) [a-z]+|serve|worker|doctor|demo)", GUIDE)

    assert len(named) > 20
    for words in sorted(set(named)):
        command: Any = main
        for word in words.split():
            command = command.get_command(click.Context(command), word)
            assert command is not None, words
    verbs = re.findall(r"^    ([a-z|-]+)\)", (ROOT / "run").read_text(), re.MULTILINE)
    for verb in re.findall(r"\./run ([a-z]+)", "\n".join(blocks)):
        assert verb in verbs


def test_the_image_is_made_of_what_there_is() -> None:
    said = instructions()
    made = " ".join(said["RUN"])

    assert said["FROM"] == ["docker.io/library/debian:12-slim"]
    assert said["COPY"] == [". ."]
    assert said["WORKDIR"] == [CHECKOUT]
    assert said["VOLUME"] == [DATA]
    assert "&& ./run setup " in made
    assert re.search(r"^ {4}setup\)", (ROOT / "run").read_text(), re.MULTILINE)
    assert "postgresql-client" in made  # a backup of a schema needs pg_dump
    (user,) = said["USER"]
    assert f"useradd --system --home-dir {DATA} --no-create-home {user} " in made
    assert said["EXPOSE"] == [str(Server().port)]
    understood([*json.loads(said["ENTRYPOINT"][0]), *json.loads(said["CMD"][0])])


def test_the_image_brings_settings_that_are_known(tmp_path: Path) -> None:
    (settings,) = instructions()["ENV"]
    environment = dict(one.split("=", 1) for one in settings.split())

    assert environment["PATH"].startswith(f"{CHECKOUT}/.venv/bin:")
    assert environment["TENANTRY_DATA"] == DATA
    config = load_config(environment=environment | {"TENANTRY_DATA": str(tmp_path)})
    assert config.server.host == "0.0.0.0"


@pytest.mark.parametrize("ready", [True, False])
def test_the_health_check_of_the_image_tells_ready_from_not(ready: bool) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response((200 if ready else 503) if self.path == "/ready" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        _, command = instructions()["HEALTHCHECK"][0].split(" CMD ", 1)
        python, *words = json.loads(command)
        assert python == "python"
        assert words[-1].count(f":{Server().port}") == 2
        asked = [word.replace(f":{Server().port}", f":{server.server_port}") for word in words]
        ended = subprocess.run([sys.executable, *asked], stderr=subprocess.DEVNULL, timeout=60)
    finally:
        server.shutdown()
        server.server_close()
    assert (ended.returncode == 0) is ready


def test_the_image_takes_along_neither_data_nor_what_this_machine_made() -> None:
    left_out = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line]
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()

    def leaves_out(path: str) -> bool:
        parts = path.split("/")
        above = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
        return any(
            fnmatch(name, line) or (line.startswith("**/") and fnmatch(name.rpartition("/")[2], line[3:]))
            for name in above
            for line in left_out
        )

    assert [file for file in files if leaves_out(file)] == []
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines() if line and line[0] != "#"]
    generated = {"docs/hooks.md", "docs/proofs.md"}
    for name in {*ignored, "tenantry.toml", ".git", "var/keys", "core/web/__pycache__"} - generated:
        assert leaves_out(name.replace("*", "x")), name
