"""The token that asks, and the staff user behind it, over JSON."""

from __future__ import annotations

from collections.abc import Iterable

import httpx
import pytest

from core.activity.queries import timeline
from core.database import value
from core.staff import actions
from core.staff.schemas import NewToken
from core.testing import TestTenant, all_permissions
from tests.core.staff.test_log_in import acting, person
from tests.core.staff.test_passkeys import with_passkey

FORBIDDEN = [
    ("PATCH", "/api/v1/me/profile", {"name": "Bob"}),
    ("DELETE", "/api/v1/me/sessions", None),
    ("DELETE", "/api/v1/me/sessions/1", None),
    ("PATCH", "/api/v1/me/passkeys/1", {"name": "x"}),
    ("DELETE", "/api/v1/me/passkeys/1", None),
]


async def token_of(tenant: TestTenant, staff_id: int, permissions: Iterable[str] = ("*",)) -> httpx.AsyncClient:
    """A client with a token that this staff user has made."""
    scope = await acting(tenant, staff_id)
    made = await actions.create_token(
        scope, NewToken(name="Till", permissions=list(permissions), days=30), all_permissions()
    )
    client = tenant.anonymous()
    client.headers["authorization"] = f"Bearer {made.token}"
    return client


async def test_F1_a_token_tells_who_it_is_and_what_it_may(tenant: TestTenant) -> None:
    staff_id = await person(tenant)
    api = await token_of(tenant, staff_id, ["customers.view", "jobs.view"])

    mine = (await api.get("/api/v1/me")).json()
    made_by_command = (await (await tenant.api(())).get("/api/v1/me")).json()

    assert (mine["name"], mine["permissions"]) == ("Till", ["customers.view", "jobs.view"])
    assert (mine["staff_id"], mine["staff"]) == (staff_id, "Ada Byron")
    assert mine["expires_at"].startswith("2026-12-22")
    assert (made_by_command["staff_id"], made_by_command["permissions"]) == (None, [])
    assert (await tenant.anonymous().get("/api/v1/me")).status_code == 401


async def test_F1_the_own_profile_is_changed_over_json_and_the_activity_names_the_token(tenant: TestTenant) -> None:
    staff_id = await person(tenant)
    api = await token_of(tenant, staff_id)

    before = (await api.get("/api/v1/me/profile")).json()
    changed = await api.patch(
        "/api/v1/me/profile",
        json={"name": "Ada King", "time_zone": "Europe/Lisbon", "language": "de", "theme": "dark", "narrow": True},
    )
    back = await api.patch("/api/v1/me/profile", json={"time_zone": "", "language": "browser", "narrow": False})
    wrong = [
        await api.patch("/api/v1/me/profile", json=body)
        for body in ({"name": " "}, {"time_zone": "Mars/Base"}, {"language": "tlh"}, {"theme": "pink"}, {"mail": "x"})
    ]
    last = next(one for one in await timeline(tenant.scope(), limit=9) if one.kind == "staff_changed")

    assert (before["name"], before["language"], before["time_zone"]) == ("Ada Byron", "browser", "")
    assert changed.status_code == 200, changed.text
    assert changed.json() == {
        **before, "name": "Ada King", "time_zone": "Europe/Lisbon", "language": "de", "theme": "dark", "narrow": True,
    }  # fmt: skip
    assert back.json() == {**before, "name": "Ada King", "theme": "dark"}
    assert [one.status_code for one in wrong] == [422] * 5
    assert last.actor.partition(":")[0] == "token"


async def test_F1_own_sessions_are_listed_and_ended_over_json(tenant: TestTenant) -> None:
    staff_id, other = await person(tenant), await person(tenant, email="bob@staff.example")
    api = await token_of(tenant, staff_id)
    for _ in range(3):
        await tenant.browser(staff_id=staff_id)
    await tenant.browser(staff_id=other)
    foreign = await value("SELECT id FROM session WHERE actor_kind = 'staff' AND actor_id = :id", id=other)

    listed = (await api.get("/api/v1/me/sessions")).json()
    one = await api.delete(f"/api/v1/me/sessions/{listed[0]['id']}")
    twice = await api.delete(f"/api/v1/me/sessions/{listed[0]['id']}")
    others = await api.delete(f"/api/v1/me/sessions/{foreign}")
    rest = await api.delete("/api/v1/me/sessions")

    assert [each["address"] for each in listed] == ["127.0.0.1"] * 3
    assert (one.json(), rest.json()) == ({"ended": 1}, {"ended": 2})
    assert (twice.status_code, others.status_code) == (404, 404)
    assert (await api.get("/api/v1/me/sessions")).json() == []
    assert await value("SELECT count(*) FROM session WHERE actor_id = :id", id=other) == 1


async def test_F1_sessions_of_others_are_listed_and_ended_one_by_one_over_json(tenant: TestTenant) -> None:
    staff_id, other = await person(tenant), await person(tenant, email="bob@staff.example")
    api, some = await token_of(tenant, staff_id), await tenant.api(("staff.view",))
    first, second = await tenant.browser(staff_id=other), await tenant.browser(staff_id=other)
    await tenant.browser(staff_id=staff_id)
    own = await value("SELECT id FROM session WHERE actor_kind = 'staff' AND actor_id = :id", id=staff_id)

    listed = (await some.get(f"/api/v1/staff/{other}/sessions")).json()
    ids = sorted(one["id"] for one in listed)
    refused = await some.delete(f"/api/v1/staff/{other}/sessions/{ids[0]}")
    ended = await api.delete(f"/api/v1/staff/{other}/sessions/{ids[0]}")
    twice = await api.delete(f"/api/v1/staff/{other}/sessions/{ids[0]}")
    foreign = await api.delete(f"/api/v1/staff/{other}/sessions/{own}")

    assert [one["address"] for one in listed] == ["127.0.0.1"] * 2
    assert ended.json() == {"ended": 1}, ended.text
    assert [one.status_code for one in (refused, twice, foreign)] == [403, 404, 404]
    assert [(await one.get("/customers")).status_code for one in (first, second)] == [303, 200]
    assert [one["id"] for one in (await some.get(f"/api/v1/staff/{other}/sessions")).json()] == [ids[1]]
    assert (await some.get("/api/v1/staff/999/sessions")).status_code == 404
    last = (await timeline(tenant.scope(), limit=1))[0]
    assert last.kind == "sessions_ended"


async def test_F1_own_passkeys_are_listed_renamed_and_removed_over_json(tenant: TestTenant) -> None:
    await with_passkey(tenant)
    staff_id = await value("SELECT id FROM staff WHERE email = 'ada@staff.example'")
    await with_passkey(tenant, "bob@staff.example")
    foreign = await value("SELECT max(id) FROM passkey")
    other = await acting(tenant, await person(tenant, email="cy@staff.example"))
    api = await token_of(tenant, staff_id)

    (key,) = (await api.get("/api/v1/me/passkeys")).json()
    renamed = await api.patch(f"/api/v1/me/passkeys/{key['id']}", json={"name": "Old laptop"})
    empty = await api.patch(f"/api/v1/me/passkeys/{key['id']}", json={"name": " "})
    others = [
        await api.patch(f"/api/v1/me/passkeys/{foreign}", json={"name": "x"}),
        await api.delete(f"/api/v1/me/passkeys/{foreign}"),
    ]
    line = next(one for one in await timeline(tenant.scope(), limit=9) if one.kind == "passkey_renamed")
    await actions.ask_for_second_factor(other, staff_id, needed=True)
    needed = await api.delete(f"/api/v1/me/passkeys/{key['id']}")
    await actions.ask_for_second_factor(other, staff_id, needed=False)
    gone = await api.delete(f"/api/v1/me/passkeys/{key['id']}")

    assert [one["name"] for one in renamed.json()] == ["Old laptop"]
    assert empty.status_code == 422
    assert [one.status_code for one in others] == [404, 404]
    assert (line.actor.partition(":")[0], line.subject_id) == ("token", staff_id)
    assert needed.status_code == 409
    assert gone.json() == {"id": key["id"]}
    assert (await api.get("/api/v1/me/passkeys")).json() == []


@pytest.mark.parametrize(("method", "path", "body"), FORBIDDEN)
async def test_F1_a_token_that_may_less_than_its_person_does_not_touch_the_persons_account(
    tenant: TestTenant, method: str, path: str, body: dict[str, object] | None
) -> None:
    staff_id = await person(tenant)
    reader = await token_of(tenant, staff_id, ["staff.view"])
    less = await token_of(tenant, staff_id, ["staff.view", "staff.edit"])
    nobody = await tenant.api()

    answers = [await one.request(method, path, json=body) for one in (reader, less, nobody)]

    assert [one.status_code for one in answers] == [403, 403, 404]
    assert (await reader.get("/api/v1/me/profile")).json()["name"] == "Ada Byron"


async def test_F1_a_token_takes_nothing_from_the_person_behind_it(tenant: TestTenant) -> None:
    staff_id = await person(tenant)
    api = await token_of(tenant, staff_id)
    before = (await api.get(f"/api/v1/staff/{staff_id}")).json()
    roles = (await api.get("/api/v1/roles")).json()
    other = next(one["id"] for one in roles if one["id"] != before["role_id"])

    for change in ({"role_id": other}, {"active": False}):
        kept = {field: before[field] for field in ("name", "email", "role_id", "active", "version")}
        refused = await api.put(f"/api/v1/staff/{staff_id}", json={**kept, **change})
        assert refused.status_code == 409, refused.text
        assert "Nobody takes the own role or log-in away" in refused.json()["detail"]
    assert (await api.get(f"/api/v1/staff/{staff_id}")).json() == before
