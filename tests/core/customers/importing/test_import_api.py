"""An import over JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from core.customers import jobs
from core.customers.importing.files import folder_of
from core.database import Partitions, value, values
from core.jobs import claims
from core.jobs.attempts import attempt
from core.scope import ALL_PERMISSIONS, Actor
from core.staff import queries as staff_queries
from core.testing import TestTenant

DATA = Path(__file__).parents[3] / "data" / "imports"
KINDS = {kind.name: kind for kind in jobs.JOBS}
IMPORTS = "/api/v1/customer-imports"


async def work(tenant: TestTenant) -> None:
    """What the worker would do: every job that is due."""
    scope = tenant.scope()
    for due in await claims.due_jobs(list(KINDS), scope.now()):
        claim = await claims.claim(KINDS[due.kind], due.id, scope.now())
        assert claim is not None
        await attempt(scope, KINDS[due.kind], claim)


async def upload(api: httpx.AsyncClient, content: bytes, name: str = "a.csv", **fields: str) -> httpx.Response:
    return await api.post(IMPORTS, files={"file": (name, content, "text/csv")}, data=fields)


async def checked(tenant: TestTenant, api: httpx.AsyncClient, content: bytes, **fields: str) -> dict[str, Any]:
    sent = await upload(api, content, **fields)
    assert sent.status_code == 202, sent.text
    await work(tenant)
    found: dict[str, Any] = (await api.get(f"{IMPORTS}/{sent.json()['id']}")).json()
    return found


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    found: dict[str, Any] = answer.json()
    return found


async def test_a_file_is_uploaded_looked_at_imported_and_undone(tenant: TestTenant) -> None:
    api = await tenant.api()

    sent = await upload(api, (DATA / "splynx_customers.csv").read_bytes(), "old.csv")
    assert sent.status_code == 202, sent.text
    told = sent.json()
    assert (told["state"], told["file_name"], told["report"], told["work"]["state"]) == (
        "new",
        "old.csv",
        None,
        "waiting",
    )
    await work(tenant)

    address = f"{IMPORTS}/{told['id']}"
    dry = (await api.get(address)).json()
    assert (dry["state"], dry["report"]["ok"], dry["report"]["errors_total"]) == ("checked", 2, 7)
    assert {found["field"] for found in dry["report"]["errors"]} >= {"Email"}
    assert await value("SELECT count(*) FROM customer") == 0

    started = await api.post(f"{address}/start", json={"mode": "skip-bad"})
    assert started.status_code == 202, started.text
    await work(tenant)
    done = (await api.get(address)).json()
    assert (done["state"], done["made"], done["mode"], done["work"]["state"]) == ("done", 2, "skip-bad", "done")
    assert await values("SELECT login FROM customer ORDER BY id") == ["ilse.g", "harbour"]
    assert list(folder_of(tenant.scope()).iterdir()) == []

    undone = await api.post(f"{address}/undo")
    assert undone.status_code == 202, undone.text
    await work(tenant)
    assert (await api.get(address)).json()["state"] == "undone"
    assert await value("SELECT count(*) FROM customer") == 0


async def test_imports_are_listed_page_by_page(tenant: TestTenant) -> None:
    api = await tenant.api()
    made = [(await upload(api, f"name\nPerson {n}\n".encode(), f"{n}.csv")).json()["id"] for n in range(3)]

    first = (await api.get(IMPORTS, params={"limit": 2})).json()
    second = (await api.get(IMPORTS, params={"limit": 2, "cursor": first["next"]})).json()

    assert [row["id"] for row in first["items"] + second["items"]] == made[::-1]
    assert second["next"] is None
    assert "report" not in first["items"][0]


async def test_columns_are_matched_with_the_upload_or_afterwards(tenant: TestTenant) -> None:
    api = await tenant.api()
    content = b"Wer,Ding\nAda,Rang\n"

    found = await checked(tenant, api, content, mapping='{"columns": {"Wer": "full_name"}}')
    assert [(c["column"], c["field"]) for c in found["report"]["columns"]] == [("Wer", "full_name"), ("Ding", None)]
    again = await api.put(f"{IMPORTS}/{found['id']}/mapping", json={"columns": {"Wer": "full_name", "Ding": "note"}})
    assert again.status_code == 202, again.text
    await work(tenant)

    found = (await api.get(f"{IMPORTS}/{found['id']}")).json()
    assert [c["field"] for c in found["report"]["columns"]] == ["full_name", "note"]


async def test_all_or_nothing_is_refused_where_there_are_errors(tenant: TestTenant) -> None:
    api = await tenant.api()
    found = await checked(tenant, api, b"name,email\nAda,a@mail.example\nBo,nobody\n")

    refused = await api.post(f"{IMPORTS}/{found['id']}/start", json={"mode": "all"})

    assert "all or nothing means nothing" in problem(refused, 409)["detail"]
    assert await value("SELECT count(*) FROM customer") == 0


async def test_the_same_file_gives_the_import_that_there_is(tenant: TestTenant) -> None:
    api = await tenant.api()
    content = b"name\nAda\n"
    first = await checked(tenant, api, content)

    second = await checked(tenant, api, content)
    assert second["id"] == first["id"]
    assert len(list(folder_of(tenant.scope()).iterdir())) == 1
    await api.post(f"{IMPORTS}/{first['id']}/start", json={})
    await work(tenant)
    third = (await upload(api, content)).json()

    assert (third["id"], third["state"], third["report"]["imported"]) == (first["id"], "done", 1)
    assert await value("SELECT count(*) FROM customer") == 1
    assert list(folder_of(tenant.scope()).iterdir()) == []


async def test_the_same_key_uploads_once(tenant: TestTenant) -> None:
    api = await tenant.api()
    headers = {"Idempotency-Key": "once"}

    async def send(content: bytes) -> httpx.Response:
        return await api.post(IMPORTS, files={"file": ("a.csv", content, "text/csv")}, headers=headers)

    first = await send(b"name\nAda\n")
    second = await send(b"name\nAda\n")
    other = await send(b"name\nBo\n")

    assert (first.status_code, second.status_code) == (202, 202)
    assert second.headers["idempotent-replay"] == "true"
    assert first.json() == second.json()
    assert "used for another request" in problem(other, 409)["detail"]
    assert await value("SELECT count(*) FROM job WHERE kind = 'customers.check_import'") == 1
    assert len(list(folder_of(tenant.scope()).iterdir())) == 1


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (b"", {}),
        (b"%PDF-1.7\n\x00\x00\xff binary \x00" * 50, {}),
        (b"name\nAda\n", {"mapping": "not json"}),
        (b"name\nAda\n", {"mapping": '{"columns": {"Nobody": "full_name"}}'}),
        (b"name,Passwort\nAda,x\n", {"mapping": '{"columns": {"Passwort": "note"}}'}),
    ],
)
async def test_what_cannot_be_read_is_refused_at_once_and_not_kept(
    tenant: TestTenant, content: bytes, fields: dict[str, str]
) -> None:
    api = await tenant.api()

    refused = await upload(api, content, **fields)

    problem(refused, 422)
    assert await value("SELECT count(*) FROM import_batch") == 0
    folder = folder_of(tenant.scope())
    assert not folder.exists() or list(folder.iterdir()) == []


async def test_what_is_no_upload_is_a_problem(tenant: TestTenant) -> None:
    api = await tenant.api()

    for answer in (await api.post(IMPORTS, json={}), await api.post(IMPORTS, data={"file": "text"})):
        assert answer.status_code in {400, 415, 422}, answer.text
        assert answer.headers["content-type"].startswith("application/problem+json")


async def test_steps_out_of_turn_are_conflicts(tenant: TestTenant) -> None:
    api = await tenant.api()
    waiting = (await upload(api, b"name\nAda\n")).json()["id"]

    problem(await api.post(f"{IMPORTS}/{waiting}/start", json={}), 409)
    problem(await api.post(f"{IMPORTS}/{waiting}/undo"), 409)
    problem(await api.delete(f"{IMPORTS}/{waiting}"), 409)
    problem(await api.put(f"{IMPORTS}/{waiting}/mapping", json={}), 409)
    await work(tenant)
    assert (await api.delete(f"{IMPORTS}/{waiting}")).json() == {"id": waiting}
    problem(await api.get(f"{IMPORTS}/{waiting}"), 404)
    assert list(folder_of(tenant.scope()).iterdir()) == []


async def test_a_token_without_the_permission_or_of_some_customers_only_imports_nothing(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = await tenant.api(("customers.view",))
    assert (await without.get(IMPORTS)).status_code == 403
    assert (await upload(without, b"name\nAda\n")).status_code == 403

    async def reseller(text: str, now: object) -> Actor:
        return Actor("token", 1, "Reseller", Partitions((7,)), ALL_PERMISSIONS)

    one = (await upload(await tenant.api(), b"name\nAda\n")).json()["id"]
    monkeypatch.setattr(staff_queries, "find_token_actor", reseller)
    some = await tenant.api()
    problem(await upload(some, b"name\nBo\n"), 403)
    problem(await some.get(f"{IMPORTS}/{one}"), 404)
    assert (await some.get(IMPORTS)).json()["items"] == []


async def test_the_routes_stand_in_the_openapi_document(tenant: TestTenant) -> None:
    api = await tenant.api()

    document = (await api.get("/api/v1/openapi.json")).json()

    assert set(document["paths"][IMPORTS]) == {"get", "post"}
    assert list(document["paths"][IMPORTS]["post"]["requestBody"]["content"]) == ["multipart/form-data"]
    assert set(document["paths"][f"{IMPORTS}/{{batch_id}}"]) == {"get", "delete"}
    for step in ("start", "undo"):
        assert "post" in document["paths"][f"{IMPORTS}/{{batch_id}}/{step}"]
