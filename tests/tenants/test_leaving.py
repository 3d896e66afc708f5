"""A server that is told to stop, while pages of it are open."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.browser.server import Served, serving

WITHIN: Final = 9.0
"""Seconds for a server to be gone, on a machine that does much besides; it waits ten for answers that it gives."""


@pytest.mark.slow
def test_an_open_feed_keeps_no_server_from_stopping(tmp_path: Path) -> None:
    with serving(tmp_path) as served, _staff(served) as page:
        form = page.get("/customers/new").text
        token = re.findall(r'name="_csrf" value="([^"]+)"', form)[0]
        created = page.post("/customers", data={"_csrf": token, "full_name": "Ada Byrne"})
        address = created.headers["location"]
        with page.stream("GET", f"{address}/events?after=0") as feed:
            lines = feed.iter_lines()
            first = next(lines)

            began = time.monotonic()
            served.process.terminate()
            rest = "".join(lines)
            served.process.wait(timeout=60)
            took = time.monotonic() - began

        assert "Customer created" in first + rest
        assert took < WITHIN
        logged = served.log.read_text(encoding="utf-8").splitlines()
        assert [line for line in logged if json.loads(line)["level"] != "info"] == []


def _staff(served: Served) -> httpx.Client:
    cookies = {one["name"]: one["value"] for one in json.loads(served.state.read_text(encoding="utf-8"))["cookies"]}
    host = served.base.removeprefix("http://")
    headers = {"Host": host, "Origin": served.base, "Sec-Fetch-Site": "same-origin"}
    port = host.rpartition(":")[2]
    return httpx.Client(base_url=f"http://127.0.0.1:{port}", cookies=cookies, headers=headers, timeout=20)
