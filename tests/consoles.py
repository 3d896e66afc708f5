"""The provider's tenant in tests: made, logged in, its work done."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import httpx
import msgspec

from core.activity.unit import unit_of_work
from core.database import execute, value
from core.ids import hash_token, new_token
from core.scope import Scope, command_actor
from core.staff.actions import invite_staff
from core.staff.schemas import Invite
from core.web.csrf import HEADER, csrf_token
from core.web.sessions import begin_session, cookie_name
from tenants.deployment import Deployment
from tenants.provisioning import NewTenant, create_tenant
from tenants.registry import TenantRecord
from tenants.working import make_worker
from tests.hosts import visitor

ME = command_actor("test")
HOST = "host.localhost"


async def provider(deployment: Deployment) -> TenantRecord:
    """The provider's own tenant."""
    made = await create_tenant(
        deployment,
        NewTenant(slug="host", name="Northmoor Host", email="admin@host.example", is_provider=True),
    )
    return made.record


async def person(
    deployment: Deployment, record: TenantRecord, permissions: Iterable[str] = ("*",)
) -> httpx.AsyncClient:
    """A browser at the tenant, logged in as staff who may do this."""
    async with deployment.scope(record, ME) as scope:
        staff_id = await _staff(scope, permissions)
        token = await begin_session(scope, "staff", staff_id, address="127.0.0.1", agent="test")
    client = visitor(deployment, record.host)
    client.cookies.set(cookie_name(secure=False), token, domain=record.host)
    client.headers[HEADER] = csrf_token(token, record.uuid)
    return client


async def _staff(scope: Scope, permissions: Iterable[str]) -> int:
    label = f"Role {new_token(6)}"
    async with unit_of_work(scope):
        await execute(
            "INSERT INTO role (label, permissions, builtin) VALUES (:label, :permissions, FALSE)",
            label=label,
            permissions=msgspec.json.encode(sorted(permissions)).decode(),
        )
    role_id = await value("SELECT id FROM role WHERE label = :label", label=label)
    email = f"{new_token(6).lower().strip('-_')}@host.example"
    return (await invite_staff(scope, Invite(name="Nuala Brannock", email=email, role_id=role_id))).staff_id


async def program(
    deployment: Deployment, record: TenantRecord, permissions: Iterable[str] = ("*",)
) -> httpx.AsyncClient:
    """A program at the tenant, with a bearer token."""
    token = f"tnt_{new_token()}"
    async with deployment.scope(record, ME) as scope, unit_of_work(scope):
        await execute(
            "INSERT INTO api_token (name, token_hash, permissions, created_by, created_at)"
            " VALUES ('test', :hash, :permissions, 'test', :now)",
            hash=hash_token(token),
            permissions=msgspec.json.encode(sorted(permissions)).decode(),
            now=scope.now(),
        )
    client = visitor(deployment, record.host)
    client.headers["authorization"] = f"Bearer {token}"
    return client


async def worked(deployment: Deployment, record: TenantRecord) -> None:
    """All that waits in the tenant is done."""
    await make_worker(deployment).until_idle(record.uuid)


async def happened(deployment: Deployment, record: TenantRecord) -> list[str]:
    """The kinds of the tenant's activity about tenants, in order."""
    async with deployment.scope(record, ME):
        from core.database import values

        return await values("SELECT kind FROM activity WHERE subject_kind IN ('tenant', 'job') ORDER BY position")


def seen_in(answer: httpx.Response) -> str:
    """What the plan of a drawer says, to be sent back."""
    found = re.search(r'name="seen" value="([^"]*)"', answer.text)
    assert found is not None, answer.text
    return found[1]


async def do(client: httpx.AsyncClient, at: str, **typed: str) -> httpx.Response:
    """A drawer: look at its plan, then do that."""
    looked = await client.get(at, params={"way": typed["way"]} if "way" in typed else {})
    assert looked.status_code == 200, looked.text
    return await client.post(at, data={**typed, "seen": seen_in(looked)})


def job_of(answer: httpx.Response) -> int:
    """The id of the work that the answer leads to."""
    assert answer.status_code in (200, 303), answer.text
    to: Any = answer.headers.get("location") or answer.headers.get("hx-redirect")
    return int(str(to).rpartition("/")[2])
