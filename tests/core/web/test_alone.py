"""Pages where no tenant is served stand alone: nothing to load, no script, only their own style."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256

import pytest

from core.web.alone import page_alone

ALONE = {"unknown_host": {}, "suspended": {"name": "Fern & <Sons>"}, "maintained": {"name": "Fern & <Sons>"}}


@pytest.mark.parametrize("name", ALONE)
def test_a_page_alone_loads_nothing_and_is_always_the_same(name: str) -> None:
    page, headers = page_alone(name, **ALONE[name])

    style = page.split(b"<style>")[1].split(b"</style>")[0]
    assert f"'sha256-{b64encode(sha256(style).digest()).decode()}'" in headers["Content-Security-Policy"]
    assert b"src=" not in page
    assert b"href=" not in page
    assert b"<script" not in page
    assert page_alone(name, **ALONE[name]) == (page, headers)


@pytest.mark.parametrize("name", ["suspended", "maintained"])
def test_it_names_the_operator_as_text(name: str) -> None:
    page, _ = page_alone(name, name="Fern & <Sons>")

    assert b"Fern &amp; &lt;Sons&gt; is" in page
    assert b"<Sons>" not in page
