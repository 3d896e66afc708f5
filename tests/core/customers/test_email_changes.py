"""A new e-mail of a user (C6): confirmed at the new address by a link that works once, the old address is told."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from core.customers import actions, queries
from core.customers.actions import contacts
from core.customers.jobs import MAIL_CHANGE
from core.customers.schemas import MainData, NewCustomer, UserFields
from core.customers.timeline import happenings
from core.database import dialect, spawn, value
from core.errors import Conflict, NotFound
from core.jobs.worker import Work, Worker
from core.messages.jobs import JOBS
from tests.core.jobs.registry import Tenants
from tests.messages import Mailing, mailing
from tests.smtp import smtp_sink

if TYPE_CHECKING:
    from core.scope import Actor, Scope

__all__ = ["mailing", "smtp_sink"]

OLD, NEW = "ana@old.example", "ana@new.example"


async def a_user(scope: Scope, **customer: Any) -> tuple[int, int]:
    customer_id = await actions.create_customer(scope, NewCustomer(full_name="Ann Other", country="IE", **customer))
    return customer_id, await actions.add_user(scope, customer_id, UserFields(surname="Reyes", email=OLD))


async def asks(scope: Scope, customer_id: int, user_id: int, email: str = NEW, **more: Any) -> int:
    version = (await queries.get_contact(scope, customer_id, user_id)).version
    data = UserFields(surname="Reyes", email=email, **more)
    return await actions.change_user(scope, customer_id, user_id, data, version=version)


async def mailed(mailing: Mailing) -> dict[str, str]:
    """What is in the mailbox of each address after everything was sent, the last mail of each."""
    scope = mailing.tenant.scope()

    @asynccontextmanager
    async def opened(_: object) -> AsyncIterator[Callable[[Actor], Scope]]:
        yield scope.as_actor

    kinds = {kind.name: kind for kind in (*JOBS, MAIL_CHANGE)}
    worker = Worker(Tenants.of(scope), lambda _: Work(kinds), clock=mailing.tenant.clock)
    await worker.until_idle(mailing.tenant.tenant.uuid)
    return {one.recipients[0]: one.text for one in mailing.sink.mails}


def token_in(text: str) -> str:
    found = re.search(r"/email/([\w-]+)", text)
    assert found is not None, text
    return found[1]


async def test_C6_a_new_e_mail_counts_once_it_is_confirmed_and_the_old_address_is_told(mailing: Mailing) -> None:
    scope = mailing.scope
    customer_id, user_id = await a_user(scope)

    await asks(scope, customer_id, user_id)

    waiting = await queries.get_contact(scope, customer_id, user_id)
    assert (waiting.email, waiting.pending_email, waiting.version) == (OLD, NEW, 1)
    mails = await mailed(mailing)
    assert set(mails) == {OLD, NEW}
    assert f"is {OLD}. It is to become {NEW}" in mails[OLD]
    assert "/email/" not in mails[OLD]
    visitor = mailing.tenant.anonymous()
    at = f"/email/{token_in(mails[NEW])}"
    looked = await visitor.get(at)
    assert (looked.status_code, NEW in looked.text) == (200, True)
    assert (await queries.get_contact(scope, customer_id, user_id)).email == OLD
    confirmed = await visitor.post(at)
    assert confirmed.status_code == 200, confirmed.text
    now = await queries.get_contact(scope, customer_id, user_id)
    assert (now.email, now.pending_email, now.version) == (NEW, None, 2)
    for again in (await visitor.get(at), await visitor.post(at)):
        assert (again.status_code, "If you have confirmed the address, all is done" in again.text) == (404, True)
        assert 'href="/login' not in again.text
    told = [line.text for line in await happenings(scope, customer_id=customer_id, limit=10)]
    assert told.index("New e-mail of a user confirmed") < told.index("New e-mail of a user waits to be confirmed")


async def test_C6_the_mails_are_written_in_the_customers_language(mailing: Mailing) -> None:
    scope = mailing.scope
    customer_id, user_id = await a_user(scope)
    await actions.change_customer(scope, customer_id, MainData(full_name="Ann Other", language="de"), version=1)
    await asks(scope, customer_id, user_id)

    mails = await mailed(mailing)

    assert "Bestätigen Sie sie hier" in mails[NEW]
    assert f"Sie soll {NEW} werden" in mails[OLD]


async def test_C6_the_link_is_kept_nowhere(mailing: Mailing) -> None:
    scope = mailing.scope
    customer_id, user_id = await a_user(scope)
    await asks(scope, customer_id, user_id)

    token = token_in((await mailed(mailing))[NEW])

    for table, columns in {
        "message": "fields || body || subject",
        "job": "payload || coalesce(result, '')",
        "email_change": "token_hash || email",
    }.items():
        held = await value(f"SELECT count(*) FROM {table} WHERE {columns} LIKE :token", token=f"%{token}%")
        assert held == 0, table


async def test_C6_a_link_works_for_an_hour_and_another_one_replaces_it(mailing: Mailing) -> None:
    scope = mailing.scope
    customer_id, user_id = await a_user(scope)
    await asks(scope, customer_id, user_id)
    first = token_in((await mailed(mailing))[NEW])
    mailing.tenant.clock.move(timedelta(minutes=61))
    with pytest.raises(NotFound):
        await actions.confirm_email(mailing.scope, first)

    await actions.mail_again(mailing.scope, customer_id, user_id)
    mails = await mailed(mailing)

    second = token_in(mails[NEW])
    assert second != first
    assert len([one for one in mailing.sink.mails if one.recipients[0] == OLD]) == 1
    assert (await actions.confirm_email(mailing.scope, second)).email == NEW


async def test_C6_a_change_is_shown_and_can_be_given_up_and_its_link_stops_working(mailing: Mailing) -> None:
    scope = mailing.scope
    customer_id, user_id = await a_user(scope)
    page = await mailing.tenant.browser()
    at = f"/customers/{customer_id}/contacts/{user_id}"
    form = {"version": "1", "surname": "Reyes", "email": NEW, "change_email": "confirmed"}

    saved = await page.put(at, data=form)
    token = token_in((await mailed(mailing))[NEW])
    cancelled = await page.delete(f"{at}/email-change")

    assert saved.status_code == 200, saved.text
    assert f"Becomes <b>{NEW}</b> once it is confirmed there" in saved.text
    assert (cancelled.status_code, NEW in cancelled.text) == (200, False)
    with pytest.raises(NotFound):
        await actions.confirm_email(scope, token)
    assert (await queries.get_contact(scope, customer_id, user_id)).email == OLD
    with pytest.raises(Conflict, match="No new e-mail waits"):
        await actions.mail_again(scope, customer_id, user_id)


async def test_C6_a_change_that_was_given_up_before_it_was_mailed_mails_nobody(mailing: Mailing) -> None:
    scope = mailing.scope
    customer_id, user_id = await a_user(scope)
    await asks(scope, customer_id, user_id)

    await actions.cancel_email_change(scope, customer_id, user_id)

    assert await mailed(mailing) == {}


async def test_C6_changed_at_once_nobody_is_asked_or_told(mailing: Mailing) -> None:
    scope = mailing.scope
    customer_id, user_id = await a_user(scope)
    page = await mailing.tenant.browser()
    await asks(scope, customer_id, user_id, "other@new.example")

    form = {"version": "1", "surname": "Reyes", "email": NEW, "change_email": "now"}
    saved = await page.put(f"/customers/{customer_id}/contacts/{user_id}", data=form)

    assert saved.status_code == 200, saved.text
    now = await queries.get_contact(scope, customer_id, user_id)
    assert (now.email, now.pending_email) == (NEW, None)
    assert await mailed(mailing) == {}


async def test_C6_names_are_saved_while_the_e_mail_waits(mailing: Mailing) -> None:
    scope = mailing.scope
    customer_id, user_id = await a_user(scope)

    version = await asks(scope, customer_id, user_id, salutation="Dr")

    now = await queries.get_contact(scope, customer_id, user_id)
    assert (now.salutation, now.email, now.pending_email, version) == ("Dr", OLD, NEW, 2)


async def test_C6_an_e_mail_that_another_user_took_meanwhile_is_refused_to_who_confirms_it(mailing: Mailing) -> None:
    scope = mailing.scope
    customer_id, user_id = await a_user(scope)
    await asks(scope, customer_id, user_id)
    token = token_in((await mailed(mailing))[NEW])
    await actions.add_user(scope, customer_id, UserFields(surname="Two", email=NEW))

    refused = await mailing.tenant.anonymous().post(f"/email/{token}")

    assert refused.status_code == 409
    assert "Another user of this customer has this e-mail already" in refused.text
    assert (await queries.get_contact(scope, customer_id, user_id)).email == OLD


async def test_C6_over_json_a_new_e_mail_waits_unless_it_is_to_be_changed_now(mailing: Mailing) -> None:
    customer_id, user_id = await a_user(mailing.scope)
    api = await mailing.tenant.api()
    at = f"/api/v1/customers/{customer_id}/users/{user_id}"
    body = {"version": 1, "surname": "Reyes", "email": NEW}

    waits = (await api.put(at, json=body)).json()
    again = await api.post(f"{at}/email-change")
    gone = (await api.delete(f"{at}/email-change")).json()
    now = (await api.put(at, json={**body, "change_email": "now"})).json()

    assert (waits["email"], waits["pending_email"]) == (OLD, NEW)
    assert again.status_code == 200, again.text
    assert (gone["email"], gone["pending_email"]) == (OLD, None)
    assert (now["email"], now["pending_email"]) == (NEW, None)


async def test_C6_a_link_is_void_as_soon_as_another_e_mail_is_asked_for_also_while_it_is_used(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    if dialect() == "sqlite":
        pytest.skip("on SQLite one transaction comes after the other")
    scope = mailing.scope
    customer_id, user_id = await a_user(scope)
    await asks(scope, customer_id, user_id)
    token = token_in((await mailed(mailing))[NEW])
    real = queries.find_email_link

    async def meanwhile(*given: Any) -> Any:
        found = await real(*given)
        await asyncio.wait_for(spawn(asks(scope, customer_id, user_id, "ana@other.example")), 5)
        return found

    monkeypatch.setattr(contacts, "find_email_link", meanwhile)
    with pytest.raises(NotFound):
        await actions.confirm_email(scope, token)

    now = await queries.get_contact(scope, customer_id, user_id)
    assert (now.email, now.pending_email) == (OLD, "ana@other.example")
