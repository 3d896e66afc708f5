"""The console over JSON, at the provider's address."""

from __future__ import annotations

import pytest

from tenants import pausing
from tenants.deployment import Deployment
from tests.consoles import happened, person, program, provider, worked
from tests.hosts import made, visitor


@pytest.fixture(autouse=True)
def settled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other process serves these tenants: nobody needs to be waited for."""
    monkeypatch.setattr(pausing, "SETTLING", 0.0)


NEW = {
    "slug": "alpha",
    "name": "Alpha Net",
    "email": "orla@alpha.example",
    "country": "DE",
    "time_zone": "Europe/Berlin",
}


async def test_H1_a_tenants_life_over_json(deployment: Deployment) -> None:
    host = await provider(deployment)
    api = await program(deployment, host)

    new = (await api.post("/api/v1/tenants", json=NEW)).json()
    at = f"/api/v1/tenants/{new['id']}"
    renamed = (await api.patch(at, json={"name": "Alpha Networks"})).json()
    suspended = (await api.post(f"{at}/suspension", json={"reason": "unpaid"})).json()
    async with visitor(deployment, "alpha.localhost") as outside:
        away = (await outside.get("/login")).status_code
    resumed = (await api.delete(f"{at}/suspension")).json()
    on = (await api.put(f"{at}/plugins/inventory")).json()
    off = (await api.delete(f"{at}/plugins/inventory")).json()
    backup = (await api.post(f"{at}/backups")).json()
    await worked(deployment, host)
    backup = (await api.get(f"/api/v1/tenants/work/{backup['id']}")).json()
    files = (await api.get(f"{at}/backups")).json()["items"]
    copy = await api.post("/api/v1/tenants/backups/copies", json={"file": backup["file"], "slug": "copied"})
    upgrade = await api.post(f"{at}/upgrade")
    await worked(deployment, host)
    listed = (await api.get("/api/v1/tenants", params={"sort": "-name", "limit": 2})).json()
    rest = (await api.get("/api/v1/tenants", params={"sort": "-name", "limit": 2, "cursor": listed["next"]})).json()
    deletion = await api.post(f"{at}/deletion", json={"repeated": "alpha"})
    await worked(deployment, host)
    done = (await api.get(f"/api/v1/tenants/work/{deletion.json()['id']}")).json()
    gone = await api.get(at)
    back = await api.post("/api/v1/tenants/backups/returns", json={"file": done["file"], "repeated": "alpha"})
    await worked(deployment, host)

    assert "/welcome/" in new["link"]
    assert (renamed["name"], renamed["slug"], renamed["health"]) == ("Alpha Networks", "alpha", "ok")
    assert (suspended["status"], suspended["reason"], away, resumed["status"]) == (
        "suspended",
        "unpaid",
        503,
        "active",
    )
    assert (on, off) == ({"plugin": "inventory", "on": True}, {"plugin": "inventory", "on": False})
    assert (backup["state"], [one["file"] for one in files]) == ("done", [backup["file"]])
    assert (copy.status_code, upgrade.status_code, deletion.status_code, back.status_code) == (202, 202, 202, 202)
    assert [one["name"] for one in (*listed["items"], *rest["items"])] == [
        "Northmoor Host",
        "Alpha Networks",
        "Alpha Networks",
    ]
    assert rest["next"] is None
    assert gone.status_code == 404
    assert (await deployment.registry.get_by_slug("alpha")).name == "Alpha Networks"
    assert "tenant_deleted" in await happened(deployment, host)


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_the_same_request_with_its_key_makes_one_tenant(deployment: Deployment) -> None:
    host = await provider(deployment)
    api = await program(deployment, host)

    first, second = [await api.post("/api/v1/tenants", json=NEW, headers={"idempotency-key": "one"}) for _ in range(2)]
    suspended = await api.post(
        f"/api/v1/tenants/{first.json()['id']}/suspension", json={"reason": "x"}, headers={"idempotency-key": "two"}
    )
    backup = await api.post("/api/v1/tenants/backups", headers={"idempotency-key": "three"})

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert second.headers["idempotent-replay"] == "true"
    assert (suspended.status_code, backup.status_code) == (200, 202)
    assert len(await deployment.registry.list_tenants()) == 2


async def test_H1_work_databases_and_moving_over_json(deployment: Deployment) -> None:
    host, tenant = await provider(deployment), (await made(deployment, "alpha")).record
    api, page = await program(deployment, host), await person(deployment, host)
    at = f"/api/v1/tenants/{tenant.id}"
    first = (await api.post(f"{at}/backups")).json()
    await worked(deployment, host)
    second = (await api.post(f"{at}/backups")).json()
    await worked(deployment, host)

    latest = (await api.get("/api/v1/tenants/work", params={"limit": 1})).json()
    rest = (await api.get("/api/v1/tenants/work", params={"limit": 1, "cursor": latest["next"]})).json()
    older = await page.get("/tenants/work", params={"before": second["id"]})
    again = await api.post(f"/api/v1/tenants/work/{first['id']}/repetition")
    places = (await api.get("/api/v1/tenants/databases")).json()
    there = await api.post(f"{at}/move", json={"placement": tenant.placement})
    nowhere = await api.post(f"{at}/move", json={"placement": "mars"})

    assert [one["id"] for one in latest["items"]] == [second["id"]]
    assert [one["id"] for one in rest["items"]] == [first["id"]]
    assert f"/tenants/work/{first['id']}" in older.text
    assert f"/tenants/work/{second['id']}" not in older.text
    assert again.status_code == 409, "what is done is not done again"
    assert {one["name"]: one["tenants"] for one in places}[tenant.placement] == 2
    for answer in (there, nowhere):
        assert [one["field"] for one in answer.json()["errors"]] == ["placement"], answer.text


async def test_H1_backups_are_paged_and_downloaded_over_json(deployment: Deployment) -> None:
    host, tenant = await provider(deployment), (await made(deployment, "alpha")).record
    api, viewer = await program(deployment, host), await program(deployment, host, ["tenants.view", "tenants.manage"])
    for _ in range(3):
        await api.post(f"/api/v1/tenants/{tenant.id}/backups")
        await worked(deployment, host)

    pages = {}
    for path in ("/api/v1/tenants/backups?slug=alpha", f"/api/v1/tenants/{tenant.id}/backups?"):
        first = (await api.get(f"{path}&limit=2")).json()
        rest = (await api.get(f"{path}&limit=2&cursor={first['next']}")).json()
        pages[path] = [len(first["items"]), len(rest["items"]), rest["next"]]
        files = [one["file"] for one in (*first["items"], *rest["items"])]
        assert files == sorted(files, reverse=True)
        assert len(set(files)) == 3
    exact = (await api.get("/api/v1/tenants/backups?slug=alpha&limit=3")).json()
    wrong = await api.get("/api/v1/tenants/backups?cursor=nonsense")
    took = await api.post(f"/api/v1/tenants/backups/{files[0]}/download")
    refused = await viewer.post(f"/api/v1/tenants/backups/{files[0]}/download")
    missing = [
        await api.post(f"/api/v1/tenants/backups/{name}/download")
        for name in ("..%2Fkeys", "keys", "alpha-20261122T000000000000Z.tar", "control.sqlite")
    ]

    assert list(pages.values()) == [[2, 1, None], [2, 1, None]]
    assert exact["next"] is None
    assert wrong.status_code == 422
    assert took.status_code == 200
    assert took.content == (deployment.config.data / "backups" / files[0]).read_bytes()
    assert (took.headers["content-type"], took.headers["cache-control"]) == ("application/x-tar", "no-store")
    assert refused.status_code == 403
    assert {one.status_code for one in missing} == {404}
    assert (await happened(deployment, host)).count("backup_downloaded") == 1


async def test_H4_a_tenant_says_how_many_people_it_has_and_is_looked_at_anew_over_json(deployment: Deployment) -> None:
    host, tenant = await provider(deployment), (await made(deployment, "alpha")).record
    api, viewer = await program(deployment, host), await program(deployment, host, ["tenants.create"])

    before = (await api.get("/api/v1/tenants?q=alpha")).json()["items"][0]
    looked = await api.post("/api/v1/tenants/looks")
    await worked(deployment, host)
    after = (await api.get("/api/v1/tenants?q=alpha")).json()["items"][0]
    one = (await api.get(f"/api/v1/tenants/{tenant.id}")).json()
    refused = await viewer.post("/api/v1/tenants/looks")

    assert (before["users"], before["looked_at"]) == (None, None)
    assert looked.status_code == 202
    assert (after["users"], after["customers"]) == (1, 0)
    assert (one["users"], one["customers"], one["waiting"]) == (1, 0, 0)
    assert refused.status_code == 403


@pytest.mark.parametrize("deployment", ["sqlite"], indirect=True)
async def test_what_cannot_be_names_its_field_and_changes_nothing(deployment: Deployment) -> None:
    host, tenant = await provider(deployment), (await made(deployment, "alpha")).record
    api = await program(deployment, host)
    at = f"/api/v1/tenants/{tenant.id}"

    answers = {
        "time_zone": await api.post("/api/v1/tenants", json={**NEW, "slug": "beta", "time_zone": "Nowhere"}),
        "slug": await api.post("/api/v1/tenants", json=NEW),
        "country": await api.post("/api/v1/tenants", json={**NEW, "slug": "beta", "country": "germany"}),
        "reason": await api.post(f"{at}/suspension", json={"reason": ""}),
        "repeated": await api.post(f"{at}/deletion", json={"repeated": "alfa"}),
        "sort": await api.get("/api/v1/tenants", params={"sort": "colour"}),
    }
    missing = [
        await api.get("/api/v1/tenants/999"),
        await api.post("/api/v1/tenants/backups/copies", json={"file": "../keys", "slug": "beta"}),
        await api.put(f"{at}/plugins/nothing"),
        await api.get("/api/v1/tenants/work/999"),
    ]

    for field, answer in answers.items():
        assert answer.status_code == 422, (field, answer.text)
        assert field in [fault["field"] for fault in answer.json()["errors"]], answer.text
    assert {answer.status_code for answer in missing} == {404}
    assert [record.status for record in await deployment.registry.list_tenants()] == ["active", "active"]
