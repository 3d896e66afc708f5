"""The ways in: password, reset by mail, second factors, and how often a wrong one may be tried."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pyotp
import pytest
import time_machine

from core.database import value, values
from core.errors import Conflict, Invalid
from core.jobs.kinds import Claim, Job
from core.messages.kinds import kind_of
from core.messages.schemas import TypedWords
from core.messages.words import save_words
from core.scope import Scope
from core.staff import account, actions, queries, second_factors
from core.staff.jobs import mail_staff
from core.staff.schemas import Invite, MailStaff, NewRole, OwnPassword
from core.testing import TestTenant, all_permissions

PASSWORD = "harbour lantern copper"


async def person(tenant: TestTenant, role: str = "Administrator", email: str = "ada@staff.example") -> int:
    """A staff user that has chosen its password."""
    scope = tenant.scope()
    role_id = await value("SELECT id FROM role WHERE label = :label", label=role)
    made = await actions.invite_staff(scope, Invite(name="Ada Byron", email=email, role_id=role_id))
    await actions.set_password(scope, made.token, PASSWORD, PASSWORD)
    return made.staff_id


async def acting(tenant: TestTenant, staff_id: int) -> Scope:
    known = await queries.find_known(staff_id)
    assert known is not None
    return tenant.scope(actor=queries.actor_of(known))


async def with_app(tenant: TestTenant, staff_id: int) -> tuple[str, list[str]]:
    """Set an app up for this user; gives its secret and the recovery codes."""
    scope = await acting(tenant, staff_id)
    offered = await second_factors.offer_secret(scope)
    codes = await second_factors.set_app(scope, offered.sealed, code_of(tenant, offered.secret))
    return offered.secret, codes


def code_of(tenant: TestTenant, secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(tenant.clock.now() + timedelta(seconds=30 * steps))


async def log_in(
    tenant: TestTenant,
    password: str = PASSWORD,
    email: str = "ada@staff.example",
    client: httpx.AsyncClient | None = None,
) -> tuple[httpx.AsyncClient, httpx.Response]:
    client = client or tenant.anonymous()
    return client, await client.post("/login", data={"email": email, "password": password, "next": "/products"})


async def ask_for_link(tenant: TestTenant, email: str) -> httpx.Response:
    return await tenant.anonymous().post("/forgot", data={"email": email})


async def is_in(client: httpx.AsyncClient) -> bool:
    return (await client.get("/products")).status_code == 200


LINK = re.compile(r"http://test\.localhost(/welcome/[\w-]+)")


async def test_F1_a_code_of_the_app_is_asked_for_after_the_password(tenant: TestTenant) -> None:
    secret, _ = await with_app(tenant, await person(tenant))
    tenant.clock.move(timedelta(minutes=1))

    client, first = await log_in(tenant)
    before = await is_in(client)
    wrong = await client.post("/login/second", data={"code": "000000", "next": "/products"})
    right = await client.post("/login/second", data={"code": code_of(tenant, secret), "next": "/products"})

    assert first.headers["location"] == "/login/second?next=/products"
    assert (before, wrong.status_code) == (False, 422)
    assert (right.status_code, right.headers["location"]) == (303, "/products")
    assert await is_in(client)


async def test_F1_a_code_opens_once_and_no_older_one_after_it(tenant: TestTenant) -> None:
    secret, _ = await with_app(tenant, await person(tenant))
    tenant.clock.move(timedelta(minutes=2))
    now, older = code_of(tenant, secret), code_of(tenant, secret, -1)
    first, _ = await log_in(tenant)
    second, _ = await log_in(tenant)

    answers = [
        (await first.post("/login/second", data={"code": now})).status_code,
        (await second.post("/login/second", data={"code": now})).status_code,
        (await second.post("/login/second", data={"code": older})).status_code,
    ]

    assert answers == [303, 422, 422]
    assert not await is_in(second)


@pytest.mark.parametrize(("steps", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_F1_the_clock_of_a_device_may_be_off_by_one_step(tenant: TestTenant, steps: int, taken: bool) -> None:
    staff_id = await person(tenant)
    secret, _ = await with_app(tenant, staff_id)
    tenant.clock.move(timedelta(minutes=5))
    known = await queries.find_known(staff_id)
    assert known is not None

    assert (
        await second_factors.take_code(await acting(tenant, staff_id), known, code_of(tenant, secret, steps)) is taken
    )


async def test_F1_a_recovery_code_opens_once_and_only_its_hash_is_kept(tenant: TestTenant) -> None:
    _, codes = await with_app(tenant, await person(tenant))
    kept = await values("SELECT code_hash FROM recovery_code")
    first, _ = await log_in(tenant)
    second, _ = await log_in(tenant)

    used = await first.post("/login/second", data={"code": f" {codes[3].upper()} "})
    again = await second.post("/login/second", data={"code": codes[3]})
    other = await second.post("/login/second", data={"code": codes[4]})

    assert len(set(codes)) == 10
    assert not set(codes) & set(kept)
    assert (used.status_code, again.status_code, other.status_code) == (303, 422, 303)
    assert await value("SELECT count(*) FROM activity WHERE kind = 'recovery_code_used'") == 2


async def test_F1_new_recovery_codes_make_the_old_ones_worthless(tenant: TestTenant) -> None:
    staff_id = await person(tenant)
    _, old = await with_app(tenant, staff_id)
    page = await tenant.browser(staff_id=staff_id)

    shown = await page.post("/profile/second-factor/codes")
    new = re.findall(r"\b(?:[a-z2-9]{4}-){3}[a-z2-9]{4}\b", shown.text)
    client, _ = await log_in(tenant)

    assert len(new) == 10
    assert (await client.post("/login/second", data={"code": old[0]})).status_code == 422
    assert (await client.post("/login/second", data={"code": new[0]})).status_code == 303
    assert new[1] not in (await page.get("/profile/second-factor")).text


async def test_F1_an_app_is_set_up_by_a_code_that_proves_it(tenant: TestTenant) -> None:
    staff_id = await person(tenant)
    page, elsewhere = await tenant.browser(staff_id=staff_id), await tenant.browser(staff_id=staff_id)
    form = (await page.get("/profile/second-factor")).text
    sealed = re.search(r'name="sealed" value="([^"]+)"', form)
    secret = re.search(r'<code class="t-mono t-secret">([A-Z2-7 ]+)</code>', form)
    assert sealed is not None
    assert secret is not None
    key = secret[1].replace(" ", "")

    wrong = await page.post("/profile/second-factor/app", data={"sealed": sealed[1], "code": "123456"})
    right = await page.post("/profile/second-factor/app", data={"sealed": sealed[1], "code": code_of(tenant, key)})

    assert "<svg" in form
    assert wrong.status_code == 422
    assert key[:4] in wrong.text
    assert right.status_code == 200
    assert right.cookies.get("session")
    assert (await elsewhere.get("/")).headers["location"].startswith("/login")
    kept = await value("SELECT totp_sealed FROM staff WHERE id = :id", id=staff_id)
    assert key not in kept
    assert tenant.keys.open(kept) == key


async def test_F1_nobody_sets_up_an_app_with_a_form_of_somebody_else(tenant: TestTenant) -> None:
    own, other = await person(tenant), await person(tenant, email="eve@staff.example")
    offered = await second_factors.offer_secret(await acting(tenant, other))
    page = await tenant.browser(staff_id=own)

    answer = await page.post(
        "/profile/second-factor/app", data={"sealed": offered.sealed, "code": code_of(tenant, offered.secret)}
    )
    damaged = await page.post("/profile/second-factor/app", data={"sealed": "x:y", "code": "123456"})

    assert (answer.status_code, damaged.status_code) == (422, 422)
    assert await value("SELECT count(*) FROM staff WHERE totp_sealed <> ''") == 0


async def test_F1_a_role_can_ask_for_a_second_factor_which_is_set_up_before_anything_else(tenant: TestTenant) -> None:
    await tenant.staff()
    staff_id = await person(tenant, "Support")
    support = await value("SELECT id FROM role WHERE label = 'Support'")
    inside = await tenant.browser(staff_id=staff_id)

    await actions.change_role(tenant.scope(), support, NewRole("Support", [], second_factor=True), all_permissions())
    ended = await inside.get("/")
    client, answer = await log_in(tenant)
    kept_out = await client.get("/customers")
    page = await client.get("/profile/second-factor")

    assert ended.headers["location"].startswith("/login")
    assert answer.headers["location"] == "/profile/second-factor"
    assert (kept_out.status_code, kept_out.headers["location"]) == (303, "/profile/second-factor")
    assert "before you can go on" in page.text
    client.headers["x-csrftoken"] = str(re.search(r'name="_csrf" value="([^"]+)"', page.text)[1])  # type: ignore[index]  # it is there
    sealed = re.search(r'name="sealed" value="([^"]+)"', page.text)[1]  # type: ignore[index]  # it is there
    secret = re.search(r't-secret">([A-Z2-7 ]+)<', page.text)[1].replace(" ", "")  # type: ignore[index]  # it is there
    await client.post("/profile/second-factor/app", data={"sealed": sealed, "code": code_of(tenant, secret)})
    assert (await client.get("/customers")).status_code == 200


async def test_F1_the_tenant_can_ask_everybody_for_a_second_factor(tenant: TestTenant) -> None:
    staff_id = await person(tenant)
    without = await tenant.browser("Support")
    page = await tenant.browser(staff_id=staff_id)

    refused = await page.post("/settings/security", data={"everybody": "yes"})
    await with_app(tenant, staff_id)
    page = await tenant.browser(staff_id=staff_id)
    saved = await page.post("/settings/security", data={"everybody": "yes"})
    removal = await page.post("/profile/second-factor/app/removal")

    assert refused.status_code == 422
    assert "your own second factor first" in refused.text
    assert saved.status_code == 303
    assert (await without.get("/")).headers["location"].startswith("/login")
    assert removal.status_code == 409


async def test_F1_an_administrator_resets_the_second_factor_of_somebody_who_is_told(
    tenant: TestTenant, mailing: Any
) -> None:
    staff_id = await person(tenant)
    await with_app(tenant, staff_id)
    mailing.sink.mails.clear()
    page = await tenant.browser()

    answer = await page.post(f"/settings/staff/{staff_id}/second-factor/removal")
    _, logged_in = await log_in(tenant)
    await mailing.work()

    assert answer.status_code == 303
    assert logged_in.headers["location"] == "/products"
    assert await value("SELECT count(*) FROM recovery_code") == 0
    assert await value("SELECT actor FROM activity WHERE kind = 'second_factor_reset'") != f"staff:{staff_id}"
    assert any("was reset by somebody" in mail.text for mail in mailing.sink.mails)


async def test_F1_a_forgotten_password_is_replaced_by_a_link_in_the_mail(tenant: TestTenant, mailing: Any) -> None:
    staff_id = await person(tenant)
    inside = await tenant.browser(staff_id=staff_id)
    client = tenant.anonymous()

    answer = await client.post("/forgot", data={"email": " Ada@staff.example "})
    await mailing.work()
    link = LINK.search(mailing.sink.mails[-1].text)
    assert link is not None
    await client.post(link[1], data={"password": "four other words here", "repeated": "four other words here"})

    assert answer.status_code == 200
    assert await is_in(client)
    assert (await inside.get("/")).headers["location"].startswith("/login")
    assert (await log_in(tenant))[1].status_code == 422
    assert (await tenant.anonymous().get(link[1])).status_code == 404
    kept = await values("SELECT body || fields FROM message")
    assert not any(link[1] in text for text in kept)


async def test_F1_asking_for_a_link_tells_nobody_whether_an_address_is_known(tenant: TestTenant, mailing: Any) -> None:
    await person(tenant)

    known = await ask_for_link(tenant, "ada@staff.example")
    unknown = await ask_for_link(tenant, "bob@staff.example")
    jobs = await values("SELECT kind FROM job WHERE kind = 'mail_staff'")
    await mailing.work()

    assert known.text.replace("ada@", "bob@") == unknown.text
    assert jobs == ["mail_staff", "mail_staff"]
    assert [mail.recipients for mail in mailing.sink.mails] == [("ada@staff.example",)]


async def test_F1_a_mailed_link_is_kept_by_nobody_and_works_for_an_hour(tenant: TestTenant, mailing: Any) -> None:
    await tenant.staff()
    page = await tenant.browser()
    role_id = await value("SELECT id FROM role WHERE label = 'Support'")
    mailing.sink.mails.clear()

    invited = await page.post(
        "/settings/staff", data={"name": "Niamh", "email": "niamh@staff.example", "role_id": str(role_id)}
    )
    payloads = await values("SELECT payload FROM job")
    await mailing.work()
    link = LINK.search(mailing.sink.mails[-1].text)
    assert link is not None
    message_id = await value("SELECT max(id) FROM message")
    shown = await page.get(f"/messages/{message_id}")
    tenant.clock.move(timedelta(minutes=61))
    late = await tenant.anonymous().get(link[1])

    assert invited.status_code == 303
    assert not any("welcome" in payload for payload in payloads)
    assert link[1] not in shown.text
    assert late.status_code == 404
    assert 'href="/forgot"' in late.text


async def test_F1_a_new_password_by_link_does_not_get_round_the_second_factor(tenant: TestTenant) -> None:
    staff_id = await person(tenant)
    await with_app(tenant, staff_id)
    made = await actions.make_link(tenant.scope(), staff_id)
    client = tenant.anonymous()

    answer = await client.post(
        f"/welcome/{made.token}", data={"password": "four other words here", "repeated": "four other words here"}
    )

    assert answer.headers["location"].startswith("/login/second")
    assert not await is_in(client)


async def test_F1_the_own_password_is_changed_by_who_knows_it_and_ends_every_other_session(tenant: TestTenant) -> None:
    staff_id = await person(tenant)
    page, elsewhere = await tenant.browser(staff_id=staff_id), await tenant.browser(staff_id=staff_id)
    new = "four other words here"

    wrong = await page.post("/profile/password", data={"current": "x", "password": new, "repeated": new})
    differ = await page.post("/profile/password", data={"current": PASSWORD, "password": new, "repeated": "x"})
    right = await page.post("/profile/password", data={"current": PASSWORD, "password": new, "repeated": new})

    assert (wrong.status_code, differ.status_code, right.status_code) == (422, 422, 303)
    assert "This is not your password" in wrong.text
    assert right.cookies.get("session")
    assert (await elsewhere.get("/")).headers["location"].startswith("/login")
    assert (await log_in(tenant, new))[1].status_code == 303


@pytest.mark.parametrize(
    "password",
    ["short words", "aaaaaaaaaaaaaaa", "123456789012", "qwertyuiopqwerty", "Ada Byron 12", "ada@staff.example1"],
)
async def test_F1_a_weak_password_is_refused(tenant: TestTenant, password: str) -> None:
    scope = await acting(tenant, await person(tenant))

    with pytest.raises(Invalid):
        await account.change_password(scope, OwnPassword(PASSWORD, password, password))


async def test_F1_sessions_are_listed_and_ended_one_by_one_or_all_others(tenant: TestTenant) -> None:
    staff_id = await person(tenant)
    page, one, two = [await tenant.browser(staff_id=staff_id) for _ in range(3)]
    other = await tenant.browser("Support")
    ids = await values("SELECT id FROM session WHERE actor_kind = 'staff' AND actor_id = :id ORDER BY id", id=staff_id)
    foreign = await value("SELECT id FROM session WHERE actor_id <> :id", id=staff_id)

    listed = await page.get("/profile")
    gone = await page.delete(f"/profile/sessions/{ids[1]}")
    refused = await page.delete(f"/profile/sessions/{foreign}")
    after_one = (await one.get("/profile")).status_code, (await two.get("/profile")).status_code
    await page.post("/profile/sessions/ending")
    after_all = (await two.get("/profile")).status_code, (await page.get("/profile")).status_code

    assert listed.text.count("127.0.0.1") >= 3
    assert (gone.status_code, refused.status_code) == (303, 404)
    assert (after_one, after_all) == ((303, 200), (303, 200))
    assert (await other.get("/profile")).status_code == 200


async def test_F1_a_session_that_was_left_is_not_listed(tenant: TestTenant) -> None:
    staff_id = await person(tenant)
    await tenant.browser(staff_id=staff_id)
    tenant.clock.move(timedelta(hours=13))
    page = await tenant.browser(staff_id=staff_id)

    listed = (await page.get("/profile")).text

    assert listed.count("last used") == 1
    assert "End all others" not in listed


async def test_F1_the_own_name_and_time_zone_are_kept(tenant: TestTenant) -> None:
    staff_id = await person(tenant)
    await log_in(tenant)
    page = await tenant.browser(staff_id=staff_id)

    saved = await page.post("/profile", data={"name": "Ada Lovelace", "time_zone": "Pacific/Auckland"})
    wrong = await page.post("/profile", data={"name": "Typed", "time_zone": "Mars/Olympus"})
    shown = await page.get("/settings/staff")

    assert (saved.status_code, wrong.status_code) == (303, 422)
    assert 'value="Typed"' in wrong.text
    assert "Ada Lovelace" in shown.text
    assert "Pacific/Auckland: " in shown.text


@pytest.fixture
def moving() -> AsyncIterator[time_machine.Coordinates]:
    """The clock that counts how long somebody has to wait."""
    with time_machine.travel("2026-11-22T09:00:00Z", tick=False) as clock:
        yield clock  # type: ignore[misc]  # a generator for pytest


async def test_F1_wrong_tries_cost_more_and_more_time_and_a_right_one_makes_up_for_them(
    tenant: TestTenant, moving: time_machine.Coordinates
) -> None:
    await person(tenant)
    wrong = [(await log_in(tenant, "wrong"))[1].status_code for _ in range(3)]
    at_once = (await log_in(tenant))[1]
    moving.shift(1.1)
    fourth = (await log_in(tenant, "wrong"))[1].status_code
    moving.shift(1.1)
    too_soon = (await log_in(tenant))[1].status_code
    moving.shift(1)
    right = (await log_in(tenant))[1].status_code
    after = [(await log_in(tenant, "wrong"))[1].status_code for _ in range(3)]

    assert wrong == [422, 422, 422]
    assert at_once.status_code == 429
    assert "Wait 1 second" in at_once.text
    assert (fourth, too_soon, right) == (422, 429, 303)
    assert after == [422, 422, 422]


async def test_F1_nobody_is_locked_out_for_good(tenant: TestTenant, moving: time_machine.Coordinates) -> None:
    await person(tenant)
    for _ in range(12):
        await log_in(tenant, "wrong")
        moving.shift(120)
    for _ in range(10):
        await log_in(tenant, "wrong")
        moving.shift(121)
    moving.shift(301)

    assert (await log_in(tenant))[1].status_code == 303


async def test_F1_codes_are_counted_as_passwords_are(tenant: TestTenant, moving: time_machine.Coordinates) -> None:
    await with_app(tenant, await person(tenant))
    client, _ = await log_in(tenant)

    answers = [(await client.post("/login/second", data={"code": f"00000{n}"})).status_code for n in range(4)]

    assert answers == [422, 422, 422, 429]


async def test_F1_links_are_asked_for_so_often_and_the_answer_is_the_same_for_nobody(
    tenant: TestTenant, moving: time_machine.Coordinates
) -> None:
    await person(tenant)

    known = [
        (await tenant.anonymous().post("/forgot", data={"email": "ada@staff.example"})).status_code for _ in range(4)
    ]
    nobody = [
        (await tenant.anonymous().post("/forgot", data={"email": "bob@staff.example"})).status_code for _ in range(4)
    ]
    moving.shift(16 * 60)
    later = await tenant.anonymous().post("/forgot", data={"email": "ada@staff.example"})

    assert known == nobody == [200, 200, 200, 429]
    assert later.status_code == 200


async def test_F1_the_last_second_factor_of_who_needs_one_stays(tenant: TestTenant) -> None:
    await tenant.staff()
    staff_id = await person(tenant, "Support")
    await with_app(tenant, staff_id)
    support = await value("SELECT id FROM role WHERE label = 'Support'")
    await actions.change_role(tenant.scope(), support, NewRole("Support", [], second_factor=True), all_permissions())

    with pytest.raises(Conflict, match="You need a second factor"):
        await second_factors.remove_app(await acting(tenant, staff_id))


@pytest.mark.parametrize(
    "after", ["//evil.example", "/\\evil.example", "/\t\\evil.example", "/\n/evil.example", "/a\\b"]
)
async def test_F1_a_log_in_leads_to_a_page_of_this_host_only(tenant: TestTenant, after: str) -> None:
    await person(tenant)

    answer = await tenant.anonymous().post(
        "/login", data={"email": "ada@staff.example", "password": PASSWORD, "next": after}
    )

    assert answer.headers["location"] == "/"


async def test_F1_whoever_knows_an_address_voids_no_link_that_was_handed_over(tenant: TestTenant, mailing: Any) -> None:
    staff_id = await person(tenant)
    handed = await actions.make_link(tenant.scope(), staff_id)

    await ask_for_link(tenant, "ada@staff.example")
    await mailing.work()
    mailed = LINK.search(mailing.sink.mails[-1].text)
    assert mailed is not None
    still = await tenant.anonymous().get(f"/welcome/{handed.token}")
    await actions.set_password(tenant.scope(), handed.token, "four other words here", "four other words here")

    assert still.status_code == 200
    assert (await tenant.anonymous().get(mailed[1])).status_code == 404, "a password that is set voids every link"


async def test_F1_a_forgotten_password_makes_no_link_where_no_mail_can_be_sent(tenant: TestTenant) -> None:
    await person(tenant)
    await ask_for_link(tenant, "ada@staff.example")
    made = await value("SELECT count(*) FROM one_time_link")
    job = await value("SELECT max(id) FROM job WHERE kind = 'mail_staff'")

    claim = Claim(id=job, kind="mail_staff", policy="repeatable", payload="{}", actor="{}", attempts=1, fence=1)
    await mail_staff(tenant.scope(), Job(tenant.scope(), claim, MailStaff(email="ada@staff.example")))

    assert await value("SELECT count(*) FROM one_time_link") == made
    assert await value("SELECT count(*) FROM message WHERE kind = 'staff_reset'") == 0


async def test_F1_who_set_a_factor_up_meanwhile_has_to_show_it(tenant: TestTenant) -> None:
    staff_id = await person(tenant)
    await with_app(tenant, staff_id)
    scope = await acting(tenant, staff_id)
    token = await actions.begin_half_session(scope, actions.NEWCOMER, staff_id, address="", agent="")
    client = tenant.anonymous()
    client.cookies.set("session", token)

    answer = await client.get("/profile/second-factor")

    assert answer.headers["location"].startswith("/login")


async def test_F1_what_a_way_in_was_sent_with_is_not_kept_in_its_subject_either(
    tenant: TestTenant, mailing: Any
) -> None:
    await person(tenant)
    kind = kind_of("staff_reset")
    await save_words(tenant.scope(), kind, "en", TypedWords(subject="{{ company }}: {{ link }}", body="{{ link }}"))

    await ask_for_link(tenant, "ada@staff.example")
    await mailing.work()

    link = LINK.search(mailing.sink.mails[-1].text)
    assert link is not None
    assert not any(link[1] in text for text in await values("SELECT subject || body || fields FROM message"))
