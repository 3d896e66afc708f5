"""Staff users: invited, changed, switched off; nobody gives or takes what it may not."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from importlib import import_module

import httpx
import pytest

from core.activity.unit import unit_of_work
from core.database import Everything, execute, value, value_as, values
from core.errors import Conflict, Forbidden, Invalid
from core.scope import Actor, Scope
from core.staff import actions, queries
from core.staff.schemas import Invite, NewRole, StaffChange
from core.testing import HOST, TestTenant, all_permissions


async def role_id(label: str) -> int:
    return int(await value("SELECT id FROM role WHERE label = :label", label=label))


async def acting(tenant: TestTenant, staff_id: int) -> Scope:
    """The scope of this staff user, as its requests have it."""
    known = await queries.find_known(staff_id)
    assert known is not None
    return tenant.scope(actor=queries.actor_of(known))


async def change(scope: Scope, staff_id: int, **wanted: object) -> None:
    one = await queries.get_staff(scope, staff_id)
    standing = {"name": one.name, "email": one.email, "role_id": one.role_id, "active": one.active}
    data = StaffChange(**{**standing, **wanted})  # type: ignore[arg-type]  # the fields by name
    await actions.change_staff(scope, staff_id, data, version=one.version)


async def kinds() -> list[str]:
    return await values("SELECT kind FROM activity WHERE subject_kind IN ('staff', 'role') ORDER BY position")


async def test_F1_somebody_is_invited_by_a_link_that_is_shown_once_where_no_mail_can_be_sent(
    tenant: TestTenant,
) -> None:
    page = await tenant.browser()
    answer = await page.post(
        "/settings/staff",
        data={"name": "Niamh Byrne", "email": "niamh@staff.example", "role_id": str(await role_id("Support"))},
    )
    link = re.search(r"http://test\.localhost(/welcome/[\w-]+)", answer.text)
    assert link is not None

    new = tenant.anonymous()
    set_up = await new.post(link[1], data={"password": "harbour lantern copper", "repeated": "harbour lantern copper"})
    seen = await new.get("/")

    assert (set_up.status_code, seen.status_code) == (303, 200)
    assert (await new.post(link[1], data={"password": "x" * 12, "repeated": "x" * 12})).status_code == 404
    assert link[1] not in (await page.get("/settings/staff")).text


async def test_F1_an_invitation_is_withdrawn_until_it_is_followed(tenant: TestTenant) -> None:
    scope = tenant.scope()
    made = await actions.invite_staff(scope, Invite("Niamh", "niamh@staff.example", await role_id("Support")))

    await actions.withdraw_invitation(scope, made.staff_id)

    assert await queries.find_link(made.token, scope.now()) is None
    assert await value("SELECT count(*) FROM staff WHERE id = :id", id=made.staff_id) == 0
    assert (await kinds())[-1] == "staff_invitation_withdrawn"
    again = await actions.invite_staff(scope, Invite("Niamh", "niamh@staff.example", await role_id("Support")))
    await actions.set_password(scope, again.token, "harbour lantern copper", "harbour lantern copper")
    with pytest.raises(Conflict, match="followed the invitation"):
        await actions.withdraw_invitation(scope, again.staff_id)


async def test_F1_an_invitation_that_is_made_again_makes_the_first_link_stop(tenant: TestTenant) -> None:
    scope = tenant.scope()
    first = await actions.invite_staff(scope, Invite("Niamh", "niamh@staff.example", await role_id("Support")))

    second = await actions.make_link(scope, first.staff_id)

    assert await queries.find_link(first.token, scope.now()) is None
    assert await queries.find_link(second.token, scope.now()) is not None
    tenant.clock.move(timedelta(days=7, minutes=1))
    assert await queries.find_link(second.token, scope.now()) is None


async def test_F1_nobody_gives_a_role_that_may_do_more(tenant: TestTenant) -> None:
    helper = await tenant.staff_with({"staff.view", "staff.edit", "customers.view"})
    scope = await acting(tenant, helper)
    colleague = await tenant.staff_with({"customers.view"})

    with pytest.raises(Invalid, match="may do more than you"):
        await actions.invite_staff(scope, Invite("Eve", "eve@staff.example", await role_id("Administrator")))
    with pytest.raises(Invalid, match="may do more than you"):
        await change(scope, colleague, role_id=await role_id("Administrator"))
    with pytest.raises(Invalid, match="you do not have it yourself"):
        await actions.create_role(scope, NewRole("Own", ["billing.run"]), all_permissions())
    assert await value("SELECT count(*) FROM staff WHERE email = 'eve@staff.example'") == 0


async def test_F1_nobody_takes_over_the_account_of_somebody_who_may_do_more(tenant: TestTenant) -> None:
    scope = await acting(tenant, await tenant.staff_with({"staff.view", "staff.edit"}))
    administrator = await tenant.staff()

    for attempt in (
        actions.make_link(scope, administrator),
        actions.mail_link(scope, administrator),
        actions.withdraw_invitation(scope, administrator),
        change(scope, administrator, email="mine@staff.example"),
    ):
        with pytest.raises(Forbidden, match="may do more than you"):
            await attempt
    with pytest.raises(Forbidden, match="may do more than you"):
        await actions.change_role(scope, await role_id("Support"), NewRole("Support"), all_permissions())


async def test_F1_nobody_takes_the_own_role_or_log_in_away(tenant: TestTenant) -> None:
    own, other = await tenant.staff(), await tenant.staff()
    scope = await acting(tenant, own)

    for wanted in ({"role_id": await role_id("Support")}, {"active": False}):
        with pytest.raises(Conflict, match="the own role"):
            await change(scope, own, **wanted)
    await change(scope, own, name="Another Name")
    await change(scope, other, active=False)

    assert (await queries.get_staff(scope, own)).name == "Another Name"


async def test_F1_the_last_administrator_stays_one(tenant: TestTenant) -> None:
    last = await tenant.staff()
    command = tenant.scope(actor=Actor("command", None, "x", Everything(), frozenset({"*"})))

    for wanted in ({"role_id": await role_id("Support")}, {"active": False}):
        with pytest.raises(Conflict, match="Nobody would be left"):
            await change(command, last, **wanted)

    assert (await queries.get_staff(command, last)).active


async def test_F1_the_last_administrator_who_can_log_in_stays_one_whoever_is_invited(tenant: TestTenant) -> None:
    last, invited = await tenant.staff(), await tenant.staff()
    command = tenant.scope(actor=Actor("command", None, "x", Everything(), frozenset({"*"})))
    async with unit_of_work(command):
        await execute("UPDATE staff SET password_hash = 'set' WHERE id = :id", id=last)

    for wanted in ({"role_id": await role_id("Support")}, {"active": False}):
        with pytest.raises(Conflict, match="Nobody would be left who may do everything and can log in"):
            await change(command, last, **wanted)
    await change(command, last, name="Renamed Meanwhile")
    await change(command, invited, active=False)

    assert (await queries.get_staff(command, last)).active
    assert not (await queries.get_staff(command, invited)).active


async def test_F1_before_anybody_has_logged_in_the_last_who_is_invited_stays(tenant: TestTenant) -> None:
    first, second = await tenant.staff(), await tenant.staff()
    command = tenant.scope(actor=Actor("command", None, "x", Everything(), frozenset({"*"})))

    await change(command, first, active=False)
    with pytest.raises(Conflict, match="Nobody would be left"):
        await change(command, second, active=False)


async def test_F1_what_a_role_may_do_changes_with_the_next_request_and_stands_in_the_activity(
    tenant: TestTenant,
) -> None:
    scope = tenant.scope()
    made = await actions.create_role(scope, NewRole("Counter", ["customers.view"]), all_permissions())
    staff_id = await tenant.staff("Counter")
    page = await tenant.browser(staff_id=staff_id)
    before = await page.get("/products")

    await actions.change_role(scope, made, NewRole("Counter", ["customers.view", "catalog.view"]), all_permissions())
    after = await page.get("/products")
    await actions.change_role(scope, made, NewRole("Counter", ["customers.view"]), all_permissions())
    again = await page.get("/products")

    assert (before.status_code, after.status_code, again.status_code) == (403, 200, 403)
    position = await value("SELECT max(position) FROM activity WHERE kind = 'role_changed'")
    assert await value("SELECT new FROM activity_value WHERE position = :p", p=position) == '["customers.view"]'


async def test_F1_another_role_and_being_switched_off_end_the_sessions(tenant: TestTenant) -> None:
    await tenant.staff()
    scope, staff_id = tenant.scope(), await tenant.staff("Support")
    page = await tenant.browser(staff_id=staff_id)

    await change(scope, staff_id, role_id=await role_id("Accounts"))
    after_role = await page.get("/")
    page = await tenant.browser(staff_id=staff_id)
    await change(scope, staff_id, active=False)
    after_off = await page.get("/")

    assert after_role.headers["location"].startswith("/login")
    assert after_off.headers["location"].startswith("/login")


async def test_F1_a_role_is_copied_without_what_one_may_not_give_and_removed_when_nobody_has_it(
    tenant: TestTenant,
) -> None:
    page = await tenant.browser()
    support = await role_id("Support")

    form = await page.get(f"/settings/roles/new?from={support}")
    made = await page.post("/settings/roles", data={"label": "Copy of Support", "permissions": ["customers.view"]})
    copy = await role_id("Copy of Support")
    await tenant.staff("Copy of Support")
    refused = await page.post(f"/settings/roles/{copy}/removal")
    await change(tenant.scope(), int(await value("SELECT max(id) FROM staff")), role_id=support)
    removed = await page.post(f"/settings/roles/{copy}/removal")

    assert 'value="Copy of Support"' in form.text
    assert re.search(r'value="customers.view" checked', form.text)
    assert (made.status_code, refused.status_code, removed.status_code) == (303, 409, 303)
    assert "has this role" in refused.text
    assert await value("SELECT count(*) FROM role WHERE id = :id", id=copy) == 0
    assert (await page.post(f"/settings/roles/{support}/removal")).status_code == 409


async def test_F1_permissions_of_plugins_stand_in_the_form_of_a_role(tenant: TestTenant) -> None:
    form = await (await tenant.browser()).get("/settings/roles/new")

    assert 'value="inventory.view"' in form.text
    assert 'value="customers.edit"' in form.text


async def test_F1_of_the_roles_that_come_with_it_accounts_and_read_only_see_the_books(tenant: TestTenant) -> None:
    reports = ("/ledger", "/ledger/receivables", "/ledger/deferred", "/ledger/revenue", "/ledger/tax")
    code = await value("SELECT min(code) FROM account")
    deeds = (f"/ledger/accounts/{code}", "/ledger/closing/new", "/ledger/recognition")
    seen = {}
    for role in ("Accounts", "Read only", "Support"):
        page = await tenant.browser(role)
        read = {(await page.get(path)).status_code for path in reports}
        seen[role] = (
            read,
            [(await page.get(path, headers={"hx-request-type": "partial"})).status_code for path in deeds],
        )

    assert seen == {
        "Accounts": ({200}, [200, 403, 403]),
        "Read only": ({200}, [403, 403, 403]),
        "Support": ({403}, [403, 403, 403]),
    }


async def test_F1_of_a_tenant_that_exists_only_roles_that_are_as_they_came_get_to_see_the_books(
    tenant: TestTenant,
) -> None:
    as_given = await values("SELECT permissions FROM role ORDER BY id")
    without = [each.replace('"ledger.edit",', "").replace('"ledger.view",', "") for each in as_given]
    async with unit_of_work(tenant.scope()):
        for given, old in zip(as_given, without, strict=True):
            await execute("UPDATE role SET permissions = :old WHERE permissions = :given", old=old, given=given)
        await execute("UPDATE role SET label = 'Buchhaltung' WHERE label = 'Accounts'")
        await execute("UPDATE role SET permissions = '[\"documents.view\"]' WHERE label = 'Read only'")
        await execute("INSERT INTO role (label, permissions, builtin) VALUES ('Our own', :old, FALSE)", old=without[1])
    migration = import_module("core.staff.migrations.2026_11_23_0013_books_of_shipped_roles")

    async with unit_of_work(tenant.scope()):
        await migration.forwards()

    assert without[1] != as_given[1]
    assert await values("SELECT permissions FROM role ORDER BY id") == [
        *as_given[:3], '["documents.view"]', without[1],
    ]  # fmt: skip


async def test_F1_what_was_typed_is_not_lost_and_the_fault_stands_beside_the_field(tenant: TestTenant) -> None:
    await tenant.staff(email="taken@staff.example")
    page, staff_id = await tenant.browser(), await tenant.staff("Support")

    answer = await page.post(
        f"/settings/staff/{staff_id}",
        data={
            "name": "Typed Name",
            "email": "taken@staff.example",
            "role_id": str(await role_id("Support")),
            "version": "1",
        },
    )

    assert answer.status_code == 422
    assert 'value="Typed Name"' in answer.text
    assert "exists already" in answer.text
    assert 'id="f-active" name="active" value="yes" checked' not in re.sub(r"\s+", " ", answer.text)


async def test_F1_a_dangerous_act_asks_again_who_one_is_and_loses_nothing(tenant: TestTenant) -> None:
    made = await actions.invite_staff(
        tenant.scope(), Invite("Ada", "ada@staff.example", await role_id("Administrator"))
    )
    await actions.set_password(tenant.scope(), made.token, "harbour lantern copper", "harbour lantern copper")
    page = await tenant.browser(staff_id=made.staff_id)
    typed = {"label": "Counter", "permissions": ["customers.view", "catalog.view"]}
    tenant.clock.move(timedelta(minutes=16))

    asked = await page.post("/settings/roles", data=typed)
    hidden = re.findall(r'<input type="hidden" name="(label|permissions)" value="([^"]+)">', asked.text)
    wrong = await page.post("/settings/roles", data={**typed, "_proof": "something else"})
    right = await page.post("/settings/roles", data={**typed, "_proof": "harbour lantern copper"})
    next_one = await page.post("/settings/roles", data={**typed, "label": "Counter 2"})

    assert (asked.status_code, wrong.status_code, right.status_code, next_one.status_code) == (403, 422, 303, 303)
    assert sorted(hidden) == [("label", "Counter"), ("permissions", "catalog.view"), ("permissions", "customers.view")]
    assert await value("SELECT count(*) FROM role WHERE label LIKE 'Counter%'") == 2


@pytest.mark.parametrize("part", [True, False])
async def test_F1_a_drawer_of_something_final_asks_who_one_is_before_it_opens(tenant: TestTenant, part: bool) -> None:
    customer_id = 7
    page = await tenant.browser()
    here = f"http://{HOST}/customers/{customer_id}?tab=notes"
    headers = {"hx-request-type": "partial", "hx-current-url": here} if part else {}
    tenant.clock.move(timedelta(minutes=16))

    answers = [
        await page.get(f"/customers/{customer_id}/{deed}", headers=headers) for deed in ("deletion", "anonymisation")
    ]

    after = [answer.headers["hx-redirect" if part else "location"] for answer in answers]
    assert after == (
        [f"/confirm?next=/customers/{customer_id}%3Ftab%3Dnotes"] * 2
        if part
        else [f"/confirm?next=/customers/{customer_id}/{deed}" for deed in ("deletion", "anonymisation")]
    )


@pytest.mark.parametrize("path", ["/settings/mail", "/settings/company"])
async def test_F1_where_mail_goes_and_links_lead_is_changed_by_who_proves_it(tenant: TestTenant, path: str) -> None:
    page = await tenant.browser()
    tenant.clock.move(timedelta(minutes=16))

    answer = await page.post(path, data={"name": "Harbour Net"})

    assert answer.status_code == 403
    assert 'name="_proof"' in answer.text
    assert f'action="{path}"' in answer.text


async def test_F1_a_link_that_is_told_once_is_kept_for_a_second_answer_sealed_and_not_for_long(
    tenant: TestTenant,
) -> None:
    api = await tenant.api()
    asked = {"name": "Niamh", "email": "niamh@staff.example", "role_id": await role_id("Support")}
    key = {"Idempotency-Key": "niamh"}

    first = await api.post("/api/v1/staff", json=asked, headers=key)
    again = await api.post("/api/v1/staff", json=asked, headers=key)
    kept = await values("SELECT answer FROM idempotency")
    tenant.clock.move(timedelta(days=8))
    await api.post("/api/v1/roles", json={"label": "Counter", "permissions": []}, headers=key)

    assert first.json()["link"] == again.json()["link"]
    assert again.headers["idempotent-replay"] == "true"
    assert first.json()["link"].rpartition("/")[2] not in kept[0]
    assert await values("SELECT route FROM idempotency") == ["POST /api/v1/roles"]


async def test_F1_when_a_token_was_last_used_is_kept_every_few_minutes(tenant: TestTenant) -> None:
    api = await tenant.api()

    await api.get("/api/v1/roles")
    first = await value_as(datetime, "SELECT last_used_at FROM api_token")
    tenant.clock.move(timedelta(minutes=2))
    await api.get("/api/v1/roles")
    soon = await value_as(datetime, "SELECT last_used_at FROM api_token")
    tenant.clock.move(timedelta(minutes=4))
    await api.get("/api/v1/roles")

    assert first == soon == tenant.clock.now() - timedelta(minutes=6)
    assert await value_as(datetime, "SELECT last_used_at FROM api_token") == tenant.clock.now()


async def test_F1_who_is_locked_out_gets_a_new_link_and_no_second_factor_over_json(tenant: TestTenant) -> None:
    someone = await tenant.staff("Support")
    await execute("UPDATE staff SET totp_sealed = 'sealed', password_hash = 'x' WHERE id = :id", id=someone)
    api = await tenant.api()

    before = (await api.get(f"/api/v1/staff/{someone}")).json()
    reset = await api.delete(f"/api/v1/staff/{someone}/second-factor")
    link = await api.post(f"/api/v1/staff/{someone}/link")
    opened = await tenant.anonymous().get(link.json()["link"])
    await execute("UPDATE staff SET active = FALSE WHERE id = :id", id=someone)
    off = await api.post(f"/api/v1/staff/{someone}/link")
    unknown = await api.post("/api/v1/staff/999999/link")

    assert before["second_factor"] is True
    assert (reset.status_code, reset.json()["second_factor"]) == (200, False)
    assert (link.status_code, opened.status_code) == (201, 200)
    assert (off.status_code, unknown.status_code) == (409, 404)
    assert {"second_factor_reset", "staff_link_made"} <= set(await kinds())


async def test_F1_staff_and_roles_over_json(tenant: TestTenant) -> None:
    await tenant.staff()
    api = await tenant.api()

    role = (await api.post("/api/v1/roles", json={"label": "Counter", "permissions": ["customers.view"]})).json()
    invited = await api.post(
        "/api/v1/staff", json={"name": "Niamh", "email": "niamh@staff.example", "role_id": role["id"]}
    )
    one = invited.json()["staff"]
    changed = await api.put(
        f"/api/v1/staff/{one['id']}",
        json={"name": "Niamh Byrne", "email": one["email"], "role_id": role["id"], "active": False, "version": 1},
    )
    in_use = await api.delete(f"/api/v1/roles/{role['id']}")
    withdrawn = await api.delete(f"/api/v1/staff/{one['id']}/invitation")
    removed = await api.delete(f"/api/v1/roles/{role['id']}")

    assert invited.status_code == 201
    assert invited.json()["link"].startswith("http://test.localhost/welcome/")
    assert (changed.json()["name"], changed.json()["active"]) == ("Niamh Byrne", False)
    assert (in_use.status_code, withdrawn.status_code, removed.status_code) == (409, 200, 200)


async def test_F1_over_json_a_staff_user_is_changed_against_the_version_that_was_read(tenant: TestTenant) -> None:
    staff_id, support = await tenant.staff("Support"), await role_id("Support")
    api = await tenant.api()
    at = f"/api/v1/staff/{staff_id}"
    read = await api.get(at)
    fields = {"email": read.json()["email"], "role_id": support, "active": True}
    await change(tenant.scope(), staff_id, name="Somebody Was Faster")

    stale = await api.put(at, json={"name": "Mine", **fields}, headers={"If-Match": read.headers["etag"]})
    without = await api.put(at, json={"name": "Mine", **fields})
    same = await api.put(at, json={"name": "Somebody Was Faster", **fields, "version": 1})
    version = stale.json()["details"]["version"]
    saved = await api.put(at, json={"name": "Mine", **fields, "version": version})

    assert (stale.status_code, stale.json()["code"]) == (409, "stale")
    assert stale.json()["details"]["fields"] == {"name": {"theirs": "Somebody Was Faster", "yours": "Mine"}}
    assert (without.status_code, without.json()["errors"][0]["field"]) == (422, "version")
    assert same.status_code == 200
    assert (saved.json()["name"], saved.json()["version"]) == ("Mine", version + 1)


async def test_F1_who_saves_a_staff_user_second_sees_both_and_overwrites_nothing(tenant: TestTenant) -> None:
    staff_id, support, accounts = await tenant.staff("Support"), await role_id("Support"), await role_id("Accounts")
    page = await tenant.browser()
    at = f"/settings/staff/{staff_id}"
    email = (await queries.get_staff(tenant.scope(), staff_id)).email
    form = await page.get(at)
    command = tenant.scope(actor=Actor("command", None, "x", Everything(), frozenset({"*"})))
    await change(command, staff_id, role_id=accounts, active=False)
    typed = {"name": "Typed Name", "email": email, "role_id": str(support), "active": "yes"}

    answer = await page.post(at, data={**typed, "version": "1"})
    again = await page.post(at, data={**typed, "version": "2"})

    assert 'name="version" value="1"' in form.text
    assert answer.status_code == 409
    assert "while you were editing" in answer.text
    assert 'name="version" value="2"' in answer.text
    told = re.findall(r'data-choose="f-(\w+)" data-value="([^"]*)"', answer.text)
    assert told == [
        ("name", "Support Person"),
        ("name", "Typed Name"),
        ("role_id", str(accounts)),
        ("role_id", str(support)),
        ("active", ""),
        ("active", "yes"),
    ]
    assert again.status_code == 303
    assert (await queries.get_staff(tenant.scope(), staff_id)).active


async def test_F1_a_token_gives_no_more_than_it_holds(tenant: TestTenant) -> None:
    api: httpx.AsyncClient = await tenant.api({"staff.view", "staff.edit"})

    invited = await api.post(
        "/api/v1/staff",
        json={"name": "Eve", "email": "eve@staff.example", "role_id": await role_id("Administrator")},
    )
    made = await api.post("/api/v1/roles", json={"label": "Own", "permissions": ["billing.run"]})

    assert (invited.status_code, made.status_code) == (422, 422)
    assert await value("SELECT count(*) FROM staff WHERE email = 'eve@staff.example'") == 0
