"""The server that the tests on PostgreSQL share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg

from tests.postgres import start_cluster

ROOT = Path(__file__).resolve().parents[2]

USER = """
import sys, time
from tests.postgres import start_cluster
print(start_cluster(sys.argv[1]), flush=True)
time.sleep(600)
"""


def _user(run: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([sys.executable, "-c", USER, run], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def _gone(folder: Path, seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while folder.exists() and time.monotonic() < end:
        time.sleep(0.05)
    return not folder.exists()


async def test_the_server_answers_and_speaks_utf8_and_utc() -> None:
    connection = await asyncpg.connect(start_cluster())
    try:
        assert await connection.fetchval("SHOW server_encoding") == "UTF8"
        assert await connection.fetchval("SHOW timezone") == "UTC"
    finally:
        await connection.close()


def test_two_processes_of_a_run_share_one_server_and_it_ends_after_the_last_also_when_killed() -> None:
    run = f"shared-{os.getpid()}"
    first, address = _user(run)
    second, same = _user(run)
    folder = Path(address.partition("host=")[2].partition("&")[0])

    first.send_signal(signal.SIGKILL)
    first.wait()
    time.sleep(0.6)
    still_there = (folder / "data" / "postmaster.pid").exists()
    second.send_signal(signal.SIGKILL)
    second.wait()

    assert address == same
    assert still_there
    assert _gone(folder)
