"""The PostgreSQL server of a test run: made in an empty folder, reached by a socket in it, gone with the run.

Every worker of a run asks `start_cluster()`; the first one starts the server, the others get its address. A process of
its own watches who still uses it and stops it after the last one, also when that one was killed. No port of the machine
is opened. `TENANTRY_TEST_POSTGRES` names a server that is to be used instead.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ENVIRONMENT: Final = "TENANTRY_TEST_POSTGRES"
OWNER: Final = "tenantry"
PORT: Final = 5432  # part of the socket's name
START_SECONDS: Final = 60

OPTIONS: Final = {
    "listen_addresses": "",
    "max_connections": "200",
    "max_locks_per_transaction": "256",
    "shared_buffers": "128MB",
    "jit": "off",
    "timezone": "UTC",
}
CARELESS: Final = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


class NoPostgres(Exception):
    """The server's binaries are missing, or it did not start."""


def start_cluster(run: str = "", *, durable: bool = False) -> str:
    """Address (DSN) of this run's server, whose owner may do everything.

    `run` tells apart what goes on at the same time: the test run by default. `durable` is for measuring: every commit
    reaches the disk, which tests do without.
    """
    given = os.environ.get(ENVIRONMENT)
    if given:
        return given
    folder = _folder(run)
    with _locked(folder):
        if not _ready(folder):
            _start(folder, durable)
        (folder / "users" / str(os.getpid())).touch()
    return f"postgresql://{OWNER}@/postgres?host={folder}&port={PORT}"


def stop_cluster(run: str = "") -> None:
    """Says that this process needs the server no more; it stops after the last one."""
    (_folder(run) / "users" / str(os.getpid())).unlink(missing_ok=True)


def binaries() -> Path:
    """Folder of initdb and postgres, the newest version there is."""
    versions = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if versions:
        return max(versions, key=lambda path: float(path.parent.name))
    found = shutil.which("initdb")
    if found is None:
        raise NoPostgres("PostgreSQL's server is not installed: apt-get install postgresql")
    return Path(found).resolve().parent


def _folder(run: str) -> Path:
    name = run or os.environ.get("PYTEST_XDIST_TESTRUNUID", "")[:12] or str(os.getpid())
    return Path(tempfile.gettempdir()) / f"tenantry-tests-{os.getuid()}" / name


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _ready(folder: Path) -> bool:
    """Whether the server takes connections: it says so in the eighth line of its own file."""
    with suppress(OSError):
        lines = (folder / "data" / "postmaster.pid").read_text().splitlines()
        return len(lines) > 7 and lines[7].strip() == "ready" and _exists(int(lines[0]))
    return False


def _start(folder: Path, durable: bool) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "users").mkdir(parents=True)
    (folder / "users" / str(os.getpid())).touch()
    binaries()
    with (folder / "log").open("wb") as log:
        watcher = subprocess.Popen(
            [sys.executable, __file__, str(folder), "durable" if durable else "careless"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    end = time.monotonic() + START_SECONDS
    while not _ready(folder):
        if watcher.poll() is not None or time.monotonic() > end:
            raise NoPostgres(f"PostgreSQL did not start:\n{(folder / 'log').read_text()[-3000:]}")
        time.sleep(0.02)


def _watch(folder: Path, durable: bool) -> None:
    """Starts the server and stays until nobody uses it."""
    person: dict[str, Any] = {}
    if os.getuid() == 0:  # PostgreSQL refuses to be run by root
        entry = _unprivileged()
        person = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    folder.chmod(0o700)
    programs, data = binaries(), str(folder / "data")
    made = [str(programs / "initdb"), "-D", data, "-U", OWNER, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
    subprocess.run([*made, "--no-sync", "--no-instructions"], check=True, cwd=folder, **person)
    options = OPTIONS | ({} if durable else CARELESS) | {"unix_socket_directories": str(folder), "port": str(PORT)}
    settings = [f"--{name}={value}" for name, value in options.items()]
    server = subprocess.Popen([str(programs / "postgres"), "-D", data, *settings], cwd=folder, **person)

    while server.poll() is None:
        time.sleep(0.2)
        if not _used(folder):
            with _locked(folder):
                if not _used(folder):
                    server.send_signal(signal.SIGINT)
                    with suppress(subprocess.TimeoutExpired):
                        server.wait(20)
                    server.kill()
                    server.wait()
                    shutil.rmtree(folder, ignore_errors=True)


def _used(folder: Path) -> bool:
    return any(_exists(int(user.name)) for user in (folder / "users").iterdir())


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise NoPostgres("PostgreSQL cannot run as root, and there is no user postgres or nobody")


if __name__ == "__main__":
    _watch(Path(sys.argv[1]), sys.argv[2] == "durable")
