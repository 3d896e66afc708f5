"""The JSON API against its own OpenAPI document, with bodies, ids and queries drawn at random, on a real server.

Nothing breaks, what is refused is a problem that says why, answers are as documented, the books are right afterwards.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.browser.server import ROOT, serving

CHECKS: Final = [not_a_server_error, content_type_conformance, status_code_conformance, response_schema_conformance]


@dataclass(frozen=True)
class Api:
    """A tenant with customers, invoices and the shipped plugins on; a token that may do everything."""

    address: str
    headers: dict[str, str]
    schema: Any
    environment: dict[str, str]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    without_limits = {"TENANTRY__LIMITS__API_TOKEN": "0", "TENANTRY__LIMITS__API_ADDRESS": "0"}
    with serving(tmp_path_factory.mktemp("api"), **without_limits) as served:
        tenantry(served.environment, "plugin", "enable", "inventory", "--tenant", "demo")
        tenantry(served.environment, "demo", "--tenant", "demo", "--customers", "12")
        made = tenantry(served.environment, "token", "create", "--tenant", "demo", "--name", "at random", "--json")
        host = served.base.removeprefix("http://")
        address = f"http://127.0.0.1:{host.rsplit(':', 1)[1]}"
        headers = {"Host": host, "Authorization": f"Bearer {json.loads(made)['token']}"}
        schema = schemathesis.openapi.from_url(f"{address}/api/v1/openapi.json", headers=headers)
        yield Api(address, headers, schema, served.environment)


def tenantry(environment: dict[str, str], *arguments: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "tenants.cli", *arguments],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def faults(api: Api, examples: int) -> list[str]:
    """What is wrong with the answers to `examples` requests of each operation."""
    return [fault for found in api.schema.get_all_operations() for fault in _faults_of(api, found.ok(), examples)]


def _faults_of(api: Api, operation: Any, examples: int) -> list[str]:
    wrong: list[str] = []

    @given(case=operation.as_strategy())
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        answer = case.call(base_url=api.address, headers=api.headers)
        asked = f"{case.method} {case.formatted_path} {case.query} {case.body!r}"
        said = f"{answer.status_code} {asked}: {answer.content[:300]!r}"
        try:
            case.validate_response(answer, checks=CHECKS)
        except FailureGroup as group:
            wrong.extend(f"{said}: {each.title}: {each.message}"[:900] for each in group.exceptions)
        if answer.status_code >= 400:
            problem = answer.json()
            if not problem.get("detail") or (answer.status_code == 422 and not problem.get("errors")):
                wrong.append(f"{said}: no reason")

    ask()
    return wrong


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_random_requests_break_nothing_and_are_answered_as_documented(api: Api) -> None:
    assert faults(api, 3) == []
    assert json.loads(tenantry(api.environment, "verify", "--tenant", "demo", "--json")) == []


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_many_random_requests_break_nothing_and_are_answered_as_documented(api: Api) -> None:
    assert faults(api, 100) == []
    assert json.loads(tenantry(api.environment, "verify", "--tenant", "demo", "--json")) == []
