"""A client that was made by a program from the API's document, used against a tenant on a real server.

It is made anew for each run, into a folder of the test: what is documented is what a stranger can use.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.browser.server import serving
from tests.conformance.test_api_at_random import tenantry

NAME = "tenantry_client"


class Made:
    """The client's modules, and a client with a token of the tenant."""

    def __init__(self, address: str, host: str, token: str) -> None:
        self._address, self._host = address, host
        self.client = self.with_token(token)
        self.models: Any = importlib.import_module(f"{NAME}.models")

    def with_token(self, token: str) -> Any:
        module: Any = importlib.import_module(NAME)
        return module.AuthenticatedClient(base_url=self._address, token=token, headers={"Host": self._host})

    def operation(self, area: str, name: str) -> Any:
        return importlib.import_module(f"{NAME}.api.{area}.{area}_{name}")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("client")
    with serving(tmp_path_factory.mktemp("api")) as served:
        told = tenantry(served.environment, "token", "create", "--tenant", "demo", "--name", "a client", "--json")
        host = served.base.removeprefix("http://")
        address = f"http://127.0.0.1:{host.rsplit(':', 1)[1]}"
        document = httpx.get(f"{address}/api/v1/openapi.json", headers={"Host": host}, timeout=60)
        generate(document.text, folder)
        sys.path.insert(0, str(folder))
        try:
            yield Made(address, host, json.loads(told)["token"])
        finally:
            sys.path.remove(str(folder))


def generate(document: str, folder: Path) -> None:
    (folder / "openapi.json").write_text(document, encoding="utf-8")
    (folder / "config.json").write_text(json.dumps({"post_hooks": []}), encoding="utf-8")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"),
            *("--path", str(folder / "openapi.json"), "--config", str(folder / "config.json")),
            *("--output-path", str(folder / NAME)),
        ],
        check=False,
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Unable to" not in done.stdout, done.stdout


@pytest.mark.slow
def test_F2_a_generated_client_creates_a_customer_and_pages_through_the_list(made: Made) -> None:
    create, show = made.operation("customers", "create_customer"), made.operation("customers", "list_customers")
    wanted = {f"Client Customer {number}" for number in range(5)}
    for name in wanted:
        created = create.sync_detailed(client=made.client, body=made.models.NewCustomer(full_name=name))
        assert created.status_code == 201, created.content
        assert created.parsed.full_name == name

    seen: list[str] = []
    cursor = ""
    while True:
        page = show.sync(client=made.client, q="Client Customer", limit=2, cursor=cursor)
        assert len(page.items) <= 2
        seen += [item.full_name for item in page.items]
        if page.next_ is None:
            break
        cursor = page.next_

    assert sorted(seen) == sorted(wanted)


@pytest.mark.slow
def test_F2_what_is_refused_is_a_problem_that_the_client_knows(made: Made) -> None:
    create, one = made.operation("customers", "create_customer"), made.operation("customers", "get_customer")

    refused = create.sync_detailed(client=made.client, body=made.models.NewCustomer(full_name=""))
    unknown = one.sync_detailed(client=made.client, customer_id=999_999_999)
    stranger = one.sync_detailed(client=made.with_token("tnt_nobody"), customer_id=1)

    assert refused.status_code == 422
    assert [error.field for error in refused.parsed.errors] == ["full_name"]
    assert (unknown.status_code, unknown.parsed.status, unknown.parsed.code) == (404, 404, "not_found")
    assert (stranger.status_code, stranger.parsed.code) == (401, "unauthenticated")


@pytest.mark.slow
def test_F2_answers_tell_the_client_what_it_has_left(made: Made) -> None:
    answer = made.operation("customers", "list_customers").sync_detailed(client=made.client, limit=1)

    assert answer.headers["ratelimit-policy"] == '"token";q=600;w=60'
    assert answer.headers["ratelimit"].startswith('"token";r=5')
