"""The lists of staff users and API tokens: found, sorted, taken away, and what is done to many of them at once."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from functools import partial
from importlib import import_module

import httpx
import pytest

from core.activity.unit import again, unit_of_work
from core.database import Everything, execute, spawn, value
from core.errors import Conflict, Invalid, NotFound
from core.jobs import claims
from core.jobs.attempts import attempt
from core.lists.jobs import JOBS
from core.scope import ALL_PERMISSIONS, Actor, Scope
from core.staff import actions, queries
from core.staff.bulk import STAFF_ACTIONS
from core.staff.listing import STAFF, TOKENS, staff_choices, token_choices
from core.staff.schemas import NewToken, StaffChange, StaffRow
from core.testing import TestTenant
from core.web.sessions import begin_session

token_makers = import_module("core.staff.migrations.2026_11_22_0011_token_makers")
KINDS = {kind.name: kind for kind in JOBS}
OTHER = Actor("staff", 99, "Eve", Everything(), ALL_PERMISSIONS)


async def people(tenant: TestTenant) -> dict[str, int]:
    """Four staff users by their first names: Özge never logged in, Bob has an app, Cem is switched off."""
    found = {"ada": await tenant.staff("Administrator", email="ada@staff.example")}
    for name, role in (("özge", "Support"), ("bob", "Support"), ("cem", "Accounts")):
        found[name] = await tenant.staff(role, email=f"{name.replace('ö', 'o')}@staff.example")
    scope = tenant.scope()
    async with unit_of_work(scope):
        for name, one in found.items():
            await execute(
                "UPDATE staff SET name = :name, name_key = :key, last_seen_at = :seen WHERE id = :id",
                name=f"{name.capitalize()} Acker",
                key=f"{name.replace('ö', 'o')} acker",
                seen=None if name == "özge" else scope.now() - timedelta(days=ord(name[0]) - 96),
                id=one,
            )
        await execute("UPDATE staff SET totp_sealed = 'sealed' WHERE id = :id", id=found["bob"])
        await execute("UPDATE staff SET password_hash = 'set' WHERE id <> :id", id=found["özge"])
        await execute("UPDATE staff SET active = FALSE WHERE id = :id", id=found["cem"])
    return found


async def names(tenant: TestTenant, **address: str) -> list[str]:
    scope, given = tenant.scope(), {name.replace("__", "."): text for name, text in address.items()}
    found = await STAFF.read(scope, {"q": "acker", **given}, choices=await staff_choices(scope, given))
    return [one.name.split()[0] for one in found.rows]


async def token(tenant: TestTenant, name: str, days: int = 30) -> int:
    made = await actions.create_token(tenant.scope(), NewToken(name, ["customers.view"], days), {"customers.view"})
    return made.id


async def person(staff_id: int) -> queries.Known:
    known = await queries.find_known(staff_id)
    assert known is not None
    return known


def bearer(tenant: TestTenant, token: str) -> httpx.AsyncClient:
    client = tenant.anonymous()
    client.headers["authorization"] = f"Bearer {token}"
    return client


async def logged_in(tenant: TestTenant, staff_id: int) -> None:
    async with unit_of_work(tenant.scope()):
        await begin_session(tenant.scope(), actions.FULL, staff_id, address="", agent="")


async def sessions(staff_id: int) -> int:
    return int(await value("SELECT count(*) FROM session WHERE actor_id = :id", id=staff_id))


async def test_L2_staff_is_sorted_by_name_and_by_when_it_was_last_seen(tenant: TestTenant) -> None:
    await people(tenant)

    assert await names(tenant) == ["Ada", "Bob", "Cem", "Özge"]
    assert await names(tenant, sort="-name") == ["Özge", "Cem", "Bob", "Ada"]
    assert await names(tenant, sort="-seen") == ["Ada", "Bob", "Cem", "Özge"]
    assert await names(tenant, sort="role,-name") == ["Ada", "Cem", "Özge", "Bob"]


async def test_L2_an_order_by_instants_goes_on_from_its_cursor_both_ways(tenant: TestTenant) -> None:
    await people(tenant)
    scope, read = tenant.scope(), []
    after = ""
    while True:
        found = await STAFF.read(scope, {"q": "acker", "sort": "seen"}, after=after, limit=1)
        read.append(found.rows[0].name.split()[0])
        if not (after := found.after):
            break

    back = await STAFF.read(scope, {"q": "acker", "sort": "seen"}, before=found.before, limit=2)

    assert read == ["Özge", "Cem", "Bob", "Ada"]
    assert [one.name.split()[0] for one in back.rows] == ["Cem", "Bob"]


async def test_L2_staff_is_filtered_by_role_state_second_factor_and_days(tenant: TestTenant) -> None:
    await people(tenant)
    day = (tenant.scope().today() - timedelta(days=2)).isoformat()

    assert await names(tenant, state="off") == ["Cem"]
    assert await names(tenant, state="invited,off") == ["Cem", "Özge"]
    assert await names(tenant, factor="app") == ["Bob"]
    assert await names(tenant, factor="missing") == []
    assert await names(tenant, role=str(await value("SELECT id FROM role WHERE label = 'Support'"))) == ["Bob", "Özge"]
    assert await names(tenant, seen=day) == ["Bob"]
    assert await names(tenant, seen__from=day) == ["Ada", "Bob"]
    assert await names(tenant, seen__to=day) == ["Bob", "Cem"]
    assert await names(tenant, seen__empty="yes") == ["Özge"]
    assert await names(tenant, q="OZGE@") == ["Özge"]
    with pytest.raises(Invalid, match="Give a day"):
        await names(tenant, seen__to="9999-12-31")


async def test_L2_tokens_are_filtered_by_whether_they_work(tenant: TestTenant) -> None:
    first, second, third = [await token(tenant, f"till {at}", days=at) for at in (1, 2, 3)]
    await actions.revoke_token(tenant.scope(), third)
    tenant.clock.move(timedelta(days=1, hours=1))
    scope = tenant.scope()

    async def ids(**address: str) -> list[int]:
        found = await TOKENS.read(scope, {"q": "till", **address}, choices=await token_choices(scope, address))
        return [one.id for one in found.rows]

    assert await ids(state="over") == [first]
    assert await ids(state="active") == [second]
    assert await ids(state="revoked") == [third]
    assert await ids(q="TILL", sort="made") == [first, second, third]


async def test_L3_the_lists_of_staff_and_tokens_are_pages_with_views_and_exports(tenant: TestTenant) -> None:
    await people(tenant)
    await token(tenant, "Cash desk")
    page = await tenant.browser()

    staff, tokens = await page.get("/settings/staff?state=active"), await page.get("/settings/tokens")
    written = (await page.get("/lists/staff/export?format=csv&q=acker")).text
    saved = await page.post("/lists/staff/views", data={"name": "Off duty", "state": "state=off"})
    opened = await page.get(saved.headers["location"])

    assert "Ada Acker" in staff.text
    assert "Özge Acker" not in staff.text
    assert "Cash desk" in tokens.text
    assert [line.split(",")[0].split(";")[0].strip('"') for line in written.lstrip("\ufeff").splitlines()] == [
        "Name",
        "Ada Acker",
        "Bob Acker",
        "Cem Acker",
        "Özge Acker",
    ]
    assert "Cem Acker" in opened.text
    assert "Ada Acker" not in opened.text


async def test_L5_who_may_not_see_staff_sees_neither_list_nor_export_nor_deeds(tenant: TestTenant) -> None:
    page = await tenant.browser("Support")
    api = await tenant.api(["customers.view", "lists.export"])

    for path in ("/settings/staff", "/settings/tokens", "/settings/tokens/new", "/lists/staff/export"):
        assert (await page.get(path)).status_code == 403
    for path in ("/api/v1/staff", "/api/v1/tokens", "/api/v1/lists/tokens/export"):
        assert (await api.get(path)).status_code == 403
    ordered = await api.post("/api/v1/settings/staff/bulk", json={"action": "staff.switch_off", "ids": [1]})
    assert ordered.status_code == 403


async def deed(tenant: TestTenant, base: str, action: str, ids: list[int]) -> dict[str, object]:
    """The deed over JSON, at once; gives what became of each row."""
    api = await tenant.api()
    begun = await api.post(f"/api/v1{base}/bulk", json={"action": action, "ids": ids, "at_once": True})
    assert begun.status_code < 300, begun.text
    scope = tenant.scope()
    while due := await claims.due_jobs(list(KINDS), scope.now()):
        for one in due:
            claim = await claims.claim(KINDS[one.kind], one.id, scope.now())
            assert claim is not None
            await attempt(scope, KINDS[one.kind], claim)
    told: dict[str, object] = (await api.get(f"/api/v1{base}/bulk/{begun.json()['id']}")).json()
    return told


async def test_L5_many_are_switched_off_but_never_the_last_who_may_do_everything(tenant: TestTenant) -> None:
    found = await people(tenant)
    await logged_in(tenant, found["bob"])
    scope = tenant.scope(actor=OTHER)

    assert await actions.switch_off(scope, found["bob"])
    assert not await actions.switch_off(scope, found["bob"])
    assert await sessions(found["bob"]) == 0
    async with unit_of_work(scope):
        await execute("UPDATE staff SET active = FALSE WHERE id <> :id AND role_id = 1", id=found["ada"])
    with pytest.raises(Conflict, match="Nobody would be left"):
        await actions.switch_off(scope, found["ada"])


async def test_F1_a_second_factor_is_asked_of_one_person_who_is_logged_out_until_it_is_set_up(
    tenant: TestTenant,
) -> None:
    found = await people(tenant)
    await logged_in(tenant, found["ada"])
    await logged_in(tenant, found["bob"])
    scope = tenant.scope(actor=OTHER)

    assert await actions.ask_for_second_factor(scope, found["ada"], needed=True)
    assert await actions.ask_for_second_factor(scope, found["bob"], needed=True)
    assert not await actions.ask_for_second_factor(scope, found["bob"], needed=True)

    known = await queries.find_known(found["ada"])
    assert known is not None
    assert known.needs_second_factor
    assert (await sessions(found["ada"]), await sessions(found["bob"])) == (0, 1)
    assert await names(tenant, factor="missing") == ["Ada"]
    own = tenant.scope(actor=queries.actor_of(known))
    assert await actions.ask_for_second_factor(scope, found["ada"], needed=False)
    with pytest.raises(Conflict, match="your own second factor first"):
        await actions.ask_for_second_factor(own, found["ada"], needed=True)


async def test_F1_nobody_waives_the_second_factor_that_somebody_asked_of_him(tenant: TestTenant) -> None:
    found = await people(tenant)
    await actions.ask_for_second_factor(tenant.scope(actor=OTHER), found["ada"], needed=True)
    known = await queries.find_known(found["ada"])
    assert known is not None

    with pytest.raises(Conflict, match="Ask another person"):
        await actions.ask_for_second_factor(tenant.scope(actor=queries.actor_of(known)), found["ada"], needed=False)

    assert (await queries.get_staff(tenant.scope(), found["ada"])).asked_second_factor


async def test_F1_two_administrators_who_switch_each_other_off_at_once_leave_one(tenant: TestTenant) -> None:
    found = await people(tenant)
    other = await tenant.staff("Administrator", email="eve@staff.example")
    async with unit_of_work(tenant.scope()):
        await execute(
            "UPDATE staff SET active = FALSE WHERE role_id = 1 AND id NOT IN :both", both=[found["ada"], other]
        )
        await execute("UPDATE staff SET password_hash = 'set' WHERE id = :id", id=other)

    async def logged_in(who: int) -> Scope:
        known = await queries.find_known(who)
        assert known is not None
        return tenant.scope(actor=queries.actor_of(known))

    async def switches_off(scope: Scope, whom: int) -> object:
        try:
            return await again(partial(actions.switch_off, scope, whom))
        except Conflict as error:
            return error.message

    ada, eve = await logged_in(found["ada"]), await logged_in(other)
    answers = await asyncio.gather(spawn(switches_off(ada, other)), spawn(switches_off(eve, found["ada"])))

    assert sorted(str(each)[:24] for each in answers) == ["Nobody would be left who", "True"]
    assert await value("SELECT count(*) FROM staff WHERE active AND role_id = 1") == 1


async def test_F1_a_token_that_a_token_makes_works_no_longer_than_that(tenant: TestTenant) -> None:
    first = await token(tenant, "Till", days=2)
    till = tenant.scope(actor=Actor("token", first, "Till", Everything(), frozenset({"staff.edit", "customers.view"})))

    made = await actions.create_token(till, NewToken("Again", ["customers.view"], 365), {"customers.view"})
    short = await actions.create_token(till, NewToken("Short", ["customers.view"], 1), {"customers.view"})

    ends = {one: (await queries.get_token(tenant.scope(), one)).expires_at for one in (first, made.id, short.id)}
    assert ends[made.id] == ends[first]
    assert ends[short.id] == tenant.scope().now() + timedelta(days=1)


async def test_F1_a_token_rests_while_its_maker_is_switched_off_and_those_that_it_made_do_too(
    tenant: TestTenant,
) -> None:
    found = await people(tenant)
    scope, known = tenant.scope(actor=OTHER), {"customers.view", "staff.edit"}
    ada = queries.actor_of(await person(found["ada"]))
    made = await actions.create_token(tenant.scope(actor=ada), NewToken("Till", sorted(known), 30), known)
    till = await queries.find_token_actor(made.token, scope.now())
    assert till is not None
    second = await actions.create_token(tenant.scope(actor=till), NewToken("Sub", ["customers.view"], 30), known)
    await tenant.staff("Administrator", email="eve@staff.example")
    api = {one: bearer(tenant, one.token) for one in (made, second)}

    async def answers() -> list[int]:
        return [(await client.get("/api/v1/customers")).status_code for client in api.values()]

    async def ids(state: str) -> list[int]:
        address = {"state": state}
        listed = await TOKENS.read(scope, address, choices=await token_choices(scope, address))
        return [one.id for one in listed.rows]

    working = await answers()
    async with unit_of_work(scope):
        await execute("UPDATE staff SET password_hash = 'set' WHERE email_key = 'eve@staff.example'")
        await actions.switch_off(scope, found["ada"])
    off = await answers()
    refused = await api[made].get("/api/v1/customers")
    page = await (await tenant.browser()).get(f"/settings/tokens/{made.id}")
    listed = {state: await ids(state) for state in ("active", "off")}
    async with unit_of_work(scope):
        await execute("UPDATE staff SET active = TRUE WHERE id = :id", id=found["ada"])
    on_again = await answers()

    assert (working, off, on_again) == ([200, 200], [401, 401], [200, 200])
    assert refused.json()["code"] == "maker_switched_off"
    assert "works again when that person is switched on" in refused.json()["detail"]
    assert refused.headers["www-authenticate"] == "Bearer"
    assert "Ada Acker is switched off" in page.text
    assert listed == {"active": [], "off": [second.id, made.id]}


async def test_F1_who_switches_somebody_off_is_told_of_the_tokens_that_rest(tenant: TestTenant) -> None:
    found = await people(tenant)
    bob = queries.actor_of(await person(found["bob"]))
    for name in ("Till", "Door"):
        await actions.create_token(tenant.scope(actor=bob), NewToken(name, ["customers.view"], 30), {"customers.view"})
    page = await tenant.browser()

    form = await page.get(f"/settings/staff/{found['bob']}")
    (off,) = [one for one in STAFF_ACTIONS if one.key == "staff.switch_off"]
    effects = await off.do(tenant.scope(actor=OTHER), off.form(), found["bob"])
    after = await page.get(f"/settings/staff/{found['bob']}")

    assert "2 API tokens of this person work now." in form.text
    assert [(one.text, one.inputs) for one in effects] == [
        ("May no longer log in", ""),
        ("API tokens do not work until the person is switched on again", "2"),
    ]
    assert "2 API tokens of this person rest" in after.text


async def made_by_bob(tenant: TestTenant, bob: int, **tokens: set[str]) -> dict[str, actions.CreatedToken]:
    """API tokens of Bob, by their names."""
    scope = tenant.scope(actor=queries.actor_of(await person(bob)))
    known = frozenset({"customers.view", "customers.edit", "customers.create", "subscriptions.change"})
    return {
        name: await actions.create_token(scope, NewToken(name, sorted(permissions), 30), known)
        for name, permissions in tokens.items()
    }


async def test_F1_a_token_does_no_more_than_its_maker_may_now(tenant: TestTenant) -> None:
    found = await people(tenant)
    made = await made_by_bob(tenant, found["bob"], Till={"customers.view", "customers.create", "customers.edit"})
    nobody = await actions.create_token(
        tenant.scope(),
        NewToken("Setup", ["customers.create", "customers.view"], 30),
        {"customers.create", "customers.view"},
    )
    till, setup = bearer(tenant, made["Till"].token), bearer(tenant, nobody.token)

    async def answers(client: httpx.AsyncClient, name: str) -> list[int]:
        created = await client.post("/api/v1/customers", json={"full_name": name})
        return [(await client.get("/api/v1/customers")).status_code, created.status_code]

    async def listed(state: str) -> list[str]:
        address = {"state": state}
        read = await TOKENS.read(tenant.scope(), address, choices=await token_choices(tenant.scope(), address))
        return [one.name for one in read.rows]

    before = await answers(till, "Before"), await listed("active"), await listed("less")
    await as_role(tenant, found["bob"], "Read only")
    demoted = await answers(till, "Demoted"), await listed("active"), await listed("less")
    (told,) = (await (await tenant.api(["staff.view"])).get("/api/v1/tokens?q=till")).json()["items"]
    browser = await tenant.browser()
    page, rows = await browser.get(f"/settings/tokens/{made['Till'].id}"), await browser.get("/settings/tokens")
    await as_role(tenant, found["bob"], "Accounts")
    again = await answers(till, "Again"), await listed("active"), await listed("less")

    assert before == ([200, 201], ["Setup", "Till"], [])
    assert demoted == ([200, 403], ["Setup"], ["Till"])
    assert again == ([200, 201], ["test", "Setup", "Till"], [])
    assert await answers(setup, "Setup") == [200, 201]
    assert told["permissions"] == ["customers.create", "customers.edit", "customers.view"]
    assert told["resting"] == ["customers.create", "customers.edit"]
    why = "2 of its permissions rest because Bob Acker does not have them with the role Read only."
    assert (why in page.text, why in rows.text) == (True, True)
    assert page.text.count('<span class="t-2 t-small">rests</span>') == 2


async def test_F1_a_token_for_everything_does_what_its_maker_may_now_and_gives_no_more(tenant: TestTenant) -> None:
    found = await people(tenant)
    await as_role(tenant, found["bob"], "Administrator")
    made = (await made_by_bob(tenant, found["bob"], Sync={"*"}))["Sync"]
    whole = await queries.find_token_actor(made.token, tenant.scope().now())

    await as_role(tenant, found["bob"], "Support")
    less = await queries.find_token_actor(made.token, tenant.scope().now())
    page = await (await tenant.browser()).get(f"/settings/tokens/{made.id}")

    assert whole is not None
    assert less is not None
    assert (whole.permissions, less.permissions) == (ALL_PERMISSIONS, (await person_of(found["bob"])).permissions)
    assert (await queries.get_token(tenant.scope(), made.id)).permissions == '["*"]'
    assert "does what Bob Acker may now with the role Support." in page.text
    with pytest.raises(Invalid, match="you do not have it yourself"):
        await actions.create_token(tenant.scope(actor=less), NewToken("Sub", ["billing.run"], 1), {"billing.run"})


async def test_F1_a_token_whose_maker_has_nothing_of_it_left_says_that_all_of_it_rests(tenant: TestTenant) -> None:
    found = await people(tenant)
    made = await made_by_bob(tenant, found["bob"], Till={"customers.create"})
    await as_role(tenant, found["bob"], "Read only")

    page = await (await tenant.browser()).get(f"/settings/tokens/{made['Till'].id}")
    answer = await bearer(tenant, made["Till"].token).post("/api/v1/customers", json={"full_name": "Ann"})

    assert "All its permissions rest because Bob Acker does not have them with the role Read only." in page.text
    assert answer.status_code == 403


async def test_F1_the_pages_that_change_a_role_name_the_tokens_that_would_do_less(tenant: TestTenant) -> None:
    found = await people(tenant)
    await made_by_bob(tenant, found["bob"], Till={"customers.view", "customers.create", "subscriptions.change"})
    await made_by_bob(tenant, found["bob"], Door={"customers.view"}, Gate={"customers.edit"})
    browser = await tenant.browser()
    form, token = await browser.get(f"/settings/staff/{found['bob']}"), await version(tenant, found["bob"])
    typed = {"name": "Bob Acker", "email": "bob@staff.example", "active": "yes", "version": str(token)}

    changed = await browser.post(
        f"/settings/staff/{found['bob']}", data={**typed, "role_id": await role_id("Read only")}
    )
    saved = (await browser.get("/settings/staff")).text

    assert re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", form.text.split("takes permissions from")[1])[:1] == [
        ("Read only", "Gate (1 permission), Till (2 permissions)")
    ]
    assert changed.status_code == 303
    assert "API tokens that do less now: Gate (1 permission), Till (2 permissions)." in saved


async def test_F1_a_role_that_gives_less_names_the_tokens_of_those_who_have_it(tenant: TestTenant) -> None:
    bob = await tenant.staff_with({"customers.view", "customers.edit"})
    await made_by_bob(tenant, bob, Till={"customers.view", "customers.edit"}, Door={"customers.view"})
    its_role = (await queries.get_staff(tenant.scope(), bob)).role_id
    browser = await tenant.browser()

    form = await browser.get(f"/settings/roles/{its_role}")
    await browser.post(f"/settings/roles/{its_role}", data={"label": "Desk", "permissions": ["customers.view"]})
    less = (await browser.get("/settings/roles")).text
    both = {"label": "Desk", "permissions": ["customers.view", "customers.edit"]}
    await browser.post(f"/settings/roles/{its_role}", data=both)
    more = (await browser.get("/settings/roles")).text

    assert form.text.count("API tokens that use it: Door, Till") == 1
    assert form.text.count("API tokens that use it: Till<") == 1
    assert "API tokens that do less now: Till (1 permission)." in less
    assert "API tokens that do less now" not in more


async def as_role(tenant: TestTenant, staff_id: int, role: str) -> None:
    """Somebody gives this person another role."""
    one = await queries.get_staff(tenant.scope(), staff_id)
    change = StaffChange(one.name, one.email, await role_id(role), active=True)
    await actions.change_staff(tenant.scope(actor=OTHER), staff_id, change, version=one.version)


async def role_id(label: str) -> int:
    return int(await value("SELECT id FROM role WHERE label = :label", label=label))


async def version(tenant: TestTenant, staff_id: int) -> int:
    return (await queries.get_staff(tenant.scope(), staff_id)).version


async def person_of(staff_id: int) -> Actor:
    return queries.actor_of(await person(staff_id))


async def test_F1_the_upgrade_finds_who_is_behind_the_tokens_there_are(tenant: TestTenant) -> None:
    found = await people(tenant)
    scope = tenant.scope()
    made = {name: await token(tenant, name) for name in ("own", "child", "grandchild", "command", "of nobody")}
    by = {
        "own": f"staff:{found['bob']}",
        "child": f"token:{made['own']}",
        "grandchild": f"token:{made['child']}",
        "command": "command:setup",
        "of nobody": "staff:987654",
    }
    async with unit_of_work(scope):
        for name, key in by.items():
            await execute(
                "UPDATE api_token SET created_by = :by, staff_id = NULL WHERE id = :id", by=key, id=made[name]
            )
        for statement in token_makers.FILL.split(";"):
            await execute(statement)

    behind = {name: await queries.get_token(scope, one) for name, one in made.items()}
    of_bob = [name for name, one in behind.items() if one.staff_id == found["bob"]]
    assert (of_bob, behind["command"].staff_id) == (["own", "child", "grandchild"], None)
    now = scope.now()
    assert [name for name, one in behind.items() if one.expires_at and one.expires_at <= now] == ["of nobody"]


async def test_F1_somebody_else_is_logged_out_everywhere_and_nobody_itself(tenant: TestTenant) -> None:
    found = await people(tenant)
    await logged_in(tenant, found["bob"])
    await logged_in(tenant, found["bob"])
    known = await queries.find_known(found["ada"])
    assert known is not None

    assert await actions.end_sessions_of(tenant.scope(actor=OTHER), found["bob"]) == 2
    assert await actions.end_sessions_of(tenant.scope(actor=OTHER), found["bob"]) == 0
    with pytest.raises(Conflict, match="in your profile"):
        await actions.end_sessions_of(tenant.scope(actor=queries.actor_of(known)), found["ada"])


async def test_L5_deeds_on_ticked_staff_and_tokens_say_what_they_do_and_do_that(tenant: TestTenant) -> None:
    found = await people(tenant)
    await logged_in(tenant, found["bob"])
    kept, gone = await token(tenant, "kept"), await token(tenant, "gone")

    ended = await deed(tenant, "/settings/staff", "staff.end_sessions", [found["bob"], found["özge"]])
    asked = await deed(tenant, "/settings/staff", "staff.ask_second_factor", [found["özge"]])
    off = await deed(tenant, "/settings/staff", "staff.switch_off", [found["bob"], found["cem"]])
    revoked = await deed(tenant, "/settings/tokens", "tokens.revoke", [gone])

    assert (ended["done"], ended["nothing"]) == (1, 1)
    assert asked["done"] == 1
    assert (off["done"], off["nothing"]) == (1, 1)
    assert revoked["done"] == 1
    assert (await queries.get_token(tenant.scope(), gone)).revoked_at is not None
    assert (await queries.get_token(tenant.scope(), kept)).revoked_at is None
    assert await names(tenant, state="off") == ["Bob", "Cem"]


async def test_L2_staff_and_tokens_over_json_are_filtered_and_go_on_from_their_cursor(tenant: TestTenant) -> None:
    await people(tenant)
    api = await tenant.api(["staff.view", "staff.edit", "customers.view"])

    first = (await api.get("/api/v1/staff?q=acker&limit=3")).json()
    rest = (await api.get(f"/api/v1/staff?q=acker&limit=3&cursor={first['next']}")).json()
    off = (await api.get("/api/v1/staff?state=off&q=acker")).json()
    made = await api.post("/api/v1/tokens", json={"name": "Till", "permissions": ["customers.view"], "days": 1})
    more = await api.post("/api/v1/tokens", json={"name": "Till", "permissions": ["billing.run"], "days": 1})
    found = (await api.get("/api/v1/tokens?q=till")).json()["items"]
    token_id = made.json()["api_token"]["id"]
    revoked = await api.delete(f"/api/v1/tokens/{token_id}")

    assert [one["name"].split()[0] for one in (*first["items"], *rest["items"])] == ["Ada", "Bob", "Cem", "Özge"]
    assert rest["next"] is None
    assert [one["name"] for one in off["items"]] == ["Cem Acker"]
    assert made.json()["token"].startswith("tnt_")
    assert more.status_code == 422
    assert [one["permissions"] for one in found] == [["customers.view"]]
    assert "token" not in found[0]
    assert revoked.json()["revoked_at"] is not None


async def test_F1_a_token_is_shown_once_and_its_page_says_what_it_may(tenant: TestTenant) -> None:
    page = await tenant.browser()

    wrong = await page.post("/settings/tokens", data={"name": "Cash desk", "days": "9"})
    made = await page.post(
        "/settings/tokens", data={"name": "Cash desk", "days": "9", "permissions": ["customers.view"]}
    )
    text = re.search(r"tnt_[\w-]+", made.text)
    token_id = int(await value("SELECT max(id) FROM api_token"))
    seen = await page.get(f"/settings/tokens/{token_id}")

    assert wrong.status_code == 422
    assert 'value="Cash desk"' in wrong.text
    assert text is not None
    assert text[0] not in seen.text
    assert "See customers" in seen.text
    assert (await page.get("/settings/tokens/999")).status_code == 404
    with pytest.raises(NotFound):
        await queries.get_token(tenant.scope(), 999)


async def test_a_name_that_is_changed_is_found_and_sorted_by_the_new_one(tenant: TestTenant) -> None:
    found = await people(tenant)
    scope = tenant.scope()
    one: StaffRow = await queries.get_staff(scope, found["bob"])

    await actions.change_staff(scope, one.id, StaffChange("Zoë Acker", one.email, one.role_id, active=True), version=1)

    assert await names(tenant) == ["Ada", "Cem", "Özge", "Zoë"]
    assert await names(tenant, q="ZOE") == ["Zoë"]
