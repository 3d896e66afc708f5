"""The password of a customer's portal (C5): a hash; a copy that can be shown only where the tenant wants one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.fernet import Fernet

from core.activity.queries import timeline
from core.config import Keys
from core.customers import actions, queries
from core.customers.actions import passwords
from core.customers.schemas import NewCustomer
from core.database import spawn, value
from core.errors import Conflict, Forbidden, Invalid
from core.staff.passwords import PASSWORDS
from core.testing import cheap_passwords
from core.web.sessions import begin_session

if TYPE_CHECKING:
    from core.scope import Scope
    from core.testing import TestTenant

SECRET = "harbour-lantern-steps"


@pytest.fixture(autouse=True)
def quick() -> None:
    cheap_passwords()


async def somebody(scope: Scope) -> int:
    return await actions.create_customer(scope, NewCustomer(full_name="Ann Other", login="ann.other-login"))


async def keep_copies(scope: Scope, *, keep: bool = True) -> None:
    await actions.change_customer_settings(scope, {"keep_passwords": ["yes"]} if keep else {})


async def copy_of(customer_id: int) -> str:
    return str(await value("SELECT password_copy FROM customer WHERE id = :id", id=customer_id))


async def test_C5_a_password_is_kept_as_a_hash_and_nobody_can_show_it(scope: Scope) -> None:
    customer_id = await somebody(scope)

    await actions.set_password(scope, customer_id, SECRET)

    hashed = str(await value("SELECT password_hash FROM customer WHERE id = :id", id=customer_id))
    assert hashed.startswith("$argon2id$")
    assert await PASSWORDS.verify(hashed, SECRET)
    assert await copy_of(customer_id) == ""
    with pytest.raises(Conflict, match="No copy of this password is kept"):
        await actions.reveal_password(scope, customer_id)


async def test_C5_where_the_tenant_keeps_copies_one_is_sealed_and_showing_it_stands_in_the_activity(
    scope: Scope,
) -> None:
    customer_id = await somebody(scope)
    await keep_copies(scope)
    await actions.set_password(scope, customer_id, SECRET)

    shown = await actions.reveal_password(scope, customer_id)

    assert shown == SECRET
    assert SECRET not in await copy_of(customer_id)
    lines = await timeline(scope, customer_id=customer_id, limit=2)
    assert [(line.kind, line.actor) for line in lines] == [
        ("customer_password_shown", "staff:1"), ("customer_password_set", "staff:1"),
    ]  # fmt: skip
    assert all(SECRET not in str((line.facts, line.changes)) for line in lines)


async def test_C5_switched_off_every_copy_goes_and_the_hash_stays(scope: Scope) -> None:
    customer_id, other = await somebody(scope), await actions.create_customer(scope, NewCustomer(full_name="Ben"))
    await keep_copies(scope)
    for each in (customer_id, other):
        await actions.set_password(scope, each, SECRET)

    await keep_copies(scope, keep=False)

    assert [await copy_of(customer_id), await copy_of(other)] == ["", ""]
    assert (await queries.get_customer(scope, customer_id)).has_password
    lines = await timeline(scope, kinds=["password_copies_removed"])
    assert [line.facts["count"] for line in lines] == [2]
    await keep_copies(scope)
    with pytest.raises(Conflict):
        await actions.reveal_password(scope, customer_id)


async def test_C5_showing_needs_its_own_permission(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    await keep_copies(scope)
    await actions.set_password(scope, customer_id, SECRET)
    page = await tenant.browser(staff_id=await tenant.staff_with(("customers.view", "customers.edit")))

    read = await page.get(f"/customers/{customer_id}")
    refused = await page.post(f"/customers/{customer_id}/password/shown")

    assert "this is written to the activity" not in read.text
    assert "••••••••" in read.text
    assert refused.status_code == 403
    with pytest.raises(Forbidden):
        await actions.reveal_password(tenant.scope("customers.edit"), customer_id)
    assert await timeline(scope, kinds=["customer_password_shown"]) == []


async def test_C5_the_page_masks_the_password_shows_it_on_demand_and_hides_it_again(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    await keep_copies(scope)
    page = await tenant.browser()
    at = f"/customers/{customer_id}/password"

    drawer = await page.get(f"{at}/new", headers={"hx-request": "true", "hx-request-type": "partial"})
    made = await page.post(at, data={"password": SECRET})
    read = await page.get(f"/customers/{customer_id}")
    shown = await page.post(f"{at}/shown")
    hidden = await page.get(at)

    assert "A copy is kept, sealed" in drawer.text
    for answer in (made, read, hidden):
        assert answer.status_code == 200, answer.text
        assert SECRET not in answer.text
        assert "••••••••" in answer.text
    assert SECRET in shown.text
    assert shown.headers["cache-control"] == "no-store"


async def test_C5_a_generated_password_is_taken_and_another_one_each_time(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant.scope())
    page = await tenant.browser()
    at = f"/customers/{customer_id}/password"
    part = {"hx-request": "true", "hx-request-type": "partial"}

    drawers = [(await page.get(f"{at}/new?generate=yes", headers=part)).text for _each in range(2)]
    found = [unescape(text).split('name="password" type="text" value="')[1].split('"')[0] for text in drawers]

    assert len(set(found)) == 2
    assert all(len(one) == 19 for one in found)
    assert (await page.post(at, data={"password": found[0]})).status_code == 200


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "at least 12 characters"),
        ("x" * 201, "at most 200"),
        ("ANN OTHER", "at least 12"),
        ("Ann.Other-Login", "other than the login"),
    ],
)
async def test_C5_a_poor_password_is_refused_at_its_field(tenant: TestTenant, password: str, why: str) -> None:
    customer_id = await somebody(tenant.scope())
    page = await tenant.browser()

    refused = await page.post(
        f"/customers/{customer_id}/password",
        data={"password": password},
        headers={"hx-request": "true", "hx-request-type": "partial"},
    )

    assert refused.status_code == 422
    assert why in refused.text
    assert 'id="f-password-e"' in refused.text
    assert not (await queries.get_customer(tenant.scope(), customer_id)).has_password


async def test_C5_a_new_password_and_none_end_the_sessions_of_the_portal(scope: Scope) -> None:
    customer_id = await somebody(scope)
    await actions.set_password(scope, customer_id, SECRET)

    async def sessions() -> int:
        return int(await value("SELECT count(*) FROM session WHERE actor_kind = 'customer'"))

    await begin_session(scope, "customer", customer_id, address="", agent="")
    await actions.set_password(scope, customer_id, f"{SECRET}-2")
    assert await sessions() == 0
    await begin_session(scope, "customer", customer_id, address="", agent="")
    await actions.remove_password(scope, customer_id)
    assert await sessions() == 0
    assert not (await queries.get_customer(scope, customer_id)).has_password
    with pytest.raises(Invalid):
        await actions.set_password(scope, customer_id, "")


async def test_C5_copies_are_sealed_again_with_a_new_key_and_the_old_one_can_go(scope: Scope) -> None:
    first, second = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    before = replace(scope, keys=Keys({"first": first}))
    await keep_copies(before)
    several = [
        await somebody(scope),
        *[await actions.create_customer(scope, NewCustomer(full_name="B")) for _b in "ab"],
    ]
    for each in several:
        await actions.set_password(before, each, SECRET)
    both = replace(scope, keys=Keys({"second": second, "first": first}))

    assert [await actions.reseal_passwords(both, size=2), await actions.reseal_passwords(both)] == [3, 0]

    assert await actions.reveal_password(replace(scope, keys=Keys({"second": second})), several[0]) == SECRET


def meanwhile(monkeypatch: pytest.MonkeyPatch, read: str, other: Callable[[], Coroutine[Any, Any, None]]) -> list[Any]:
    """Somebody else begins when this has been read, and gets as far as the database lets it."""
    real, begun = getattr(passwords, read), list[Any]()

    async def reading(*given: Any, **values: Any) -> Any:
        found = await real(*given, **values)
        if not begun:
            begun.append(spawn(other()))
            await asyncio.wait(begun, timeout=0.3)
        return found

    monkeypatch.setattr(passwords, read, reading)
    return begun


async def test_C5_no_copy_stays_where_the_tenant_stops_keeping_them_while_one_is_made(
    scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer_id = await somebody(scope)
    await keep_copies(scope)
    stopping = meanwhile(monkeypatch, "load_settings", lambda: keep_copies(scope, keep=False))

    await actions.set_password(scope, customer_id, SECRET)
    await asyncio.gather(*stopping)

    assert await copy_of(customer_id) == ""


async def test_C5_a_password_that_is_set_while_copies_are_sealed_again_is_the_one_that_is_shown(
    scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = Fernet.generate_key().decode(), Fernet.generate_key().decode()
    old = replace(scope, keys=Keys({"first": first}))
    both = replace(scope, keys=Keys({"second": second, "first": first}))
    customer_id = await somebody(scope)
    await keep_copies(scope)
    await actions.set_password(old, customer_id, SECRET)
    setting = meanwhile(monkeypatch, "rows", lambda: actions.set_password(both, customer_id, "another-lantern-step"))

    await actions.reseal_passwords(both)
    await asyncio.gather(*setting)

    assert await actions.reveal_password(both, customer_id) == "another-lantern-step"


async def test_C5_over_json_a_password_is_set_shown_and_removed(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    await keep_copies(scope)
    api = await tenant.api()
    at = f"/api/v1/customers/{customer_id}/password"

    made = await api.put(at, json={"password": SECRET})
    shown = await api.post(f"{at}/shown", json={})
    kept = await api.post(f"{at}/shown", json={}, headers={"Idempotency-Key": "k"})
    gone = await api.delete(at)

    assert made.json() == {"has_password": True, "has_password_copy": True}, made.text
    assert shown.json() == {"password": SECRET}
    assert kept.status_code == 422
    assert gone.json() == {"has_password": False, "has_password_copy": False}
    assert (await api.post(f"{at}/shown", json={})).status_code == 409
    assert await value("SELECT count(*) FROM idempotency") == 0
