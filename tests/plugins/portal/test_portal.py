"""The customers' portal: who gets in, what is shown there, and whose it is."""

from __future__ import annotations

import re
from datetime import timedelta

import httpx
import msgspec
import pytest

from core.activity.queries import timeline
from core.activity.unit import unit_of_work
from core.billing import actions as billing
from core.billing.schemas import NewDraft, NewLine
from core.catalog.tax_names import TaxSettings, name_tax
from core.customers import actions as customers
from core.customers.queries import get_contact, get_customer
from core.customers.schemas import NewCustomer, UserFields
from core.database import execute, value, values
from core.jobs.kinds import Claim, Job
from core.messages.actions import write_message
from core.messages.settings import MailSettings
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.settings.actions import save_settings
from core.testing import TestTenant
from core.web.throttle import forget_tries
from plugins.portal import actions as portal
from plugins.portal.jobs import mail_link
from plugins.portal.schemas import ForgottenBy

pytestmark = pytest.mark.plugins("portal")

PASSWORD = "harbour lantern seven oaks"


async def a_customer(tenant: TestTenant, name: str = "Tarrow Pike", login: str = "tarrow") -> int:
    scope = tenant.scope()
    customer_id = await customers.create_customer(
        scope,
        NewCustomer(full_name=name, login=login, emails=[f"{login}@example.com"], country="IE", city="Dublin"),
    )
    await customers.set_password(scope, customer_id, PASSWORD)
    return customer_id


async def an_invoice(tenant: TestTenant, customer_id: int, what: str = "Visit of a fitter") -> int:
    """Issued, 123.00 with its tax."""
    scope = tenant.scope()
    made = await billing.create_draft(
        scope, NewDraft(payer_id=customer_id, lines=[NewLine(description=what, unit_price_e6=100_000_000)])
    )
    await billing.issue(scope, made)
    return made


async def as_customer(tenant: TestTenant, customer_id: int) -> httpx.AsyncClient:
    return await tenant.behind("portal", portal.CUSTOMER, customer_id)


async def logged_in(tenant: TestTenant, login: str, password: str) -> httpx.Response:
    return await tenant.anonymous().post("/portal/login", data={"login": login, "password": password})


async def set_status(tenant: TestTenant, customer_id: int, key: str) -> None:
    async with unit_of_work(tenant.scope()):
        await execute(
            "UPDATE customer SET status_id = (SELECT id FROM status WHERE key = :key) WHERE id = :id",
            key=key,
            id=customer_id,
        )


async def test_M7_a_customer_logs_in_by_its_log_in_or_its_e_mail_and_lands_on_its_first_page(
    tenant: TestTenant,
) -> None:
    await a_customer(tenant)
    client = tenant.anonymous()

    wrong = await client.post("/portal/login", data={"login": "tarrow", "password": "nonsense"})
    by_mail = await logged_in(tenant, "TARROW@example.com", PASSWORD)
    right = await client.post(
        "/portal/login", data={"login": "Tarrow", "password": PASSWORD, "next": "/portal/invoices"}
    )
    first = await client.get("/portal")

    assert wrong.status_code == 422
    assert "do not belong together" in wrong.text
    assert 'value="tarrow"' in wrong.text
    assert by_mail.headers["location"] == "/portal"
    assert right.headers["location"] == "/portal/invoices"
    assert "portal-session" in right.headers["set-cookie"]
    assert "HttpOnly" in right.headers["set-cookie"]
    assert first.status_code == 200
    assert "Tarrow Pike" in first.text


async def test_a_stranger_is_sent_to_the_portals_own_log_in_and_back(tenant: TestTenant) -> None:
    asked = await tenant.anonymous().get("/portal/invoices")
    elsewhere = await tenant.anonymous().get("/portal/login", params={"next": "//evil.example"})

    assert asked.headers["location"] == "/portal/login?next=/portal/invoices"
    assert "evil" not in elsewhere.text


async def test_who_tries_passwords_waits(tenant: TestTenant) -> None:
    await a_customer(tenant)

    answers = [(await logged_in(tenant, "tarrow", "nonsense")).status_code for _ in range(5)]

    assert answers[:3] == [422, 422, 422]
    assert answers[-1] == 429
    forget_tries()


async def test_a_customer_whose_status_keeps_it_out_is_told_so_and_a_session_it_had_leads_there(
    tenant: TestTenant,
) -> None:
    customer_id = await a_customer(tenant)
    inside = await as_customer(tenant, customer_id)
    await set_status(tenant, customer_id, "closed")

    refused = await logged_in(tenant, "tarrow", PASSWORD)
    wrong = await logged_in(tenant, "tarrow", "nonsense")
    sent = await inside.get("/portal/invoices")
    told = await inside.get("/portal/closed")

    assert refused.status_code == 403
    assert "Your account is closed" in refused.text
    assert "set-cookie" not in refused.headers
    assert "closed" not in wrong.text, "only whoever has the password learns the status"
    assert sent.headers["location"] == "/portal/closed"
    assert "Your account is closed" in told.text


async def test_neither_cookie_stands_in_for_the_other(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    staff = await tenant.browser()
    token = (await as_customer(tenant, customer_id)).cookies["portal-session"]
    swapped = tenant.anonymous()
    swapped.cookies.set("session", token)

    assert (await staff.get("/portal")).headers["location"] == "/portal/login"
    assert (await swapped.get("/customers")).headers["location"].startswith("/login")
    assert (await (await as_customer(tenant, customer_id)).get("/customers")).headers["location"].startswith("/login")


async def test_an_invoice_calls_the_tax_as_the_document_does(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    await name_tax(tenant.scope(), TaxSettings(en="Irish VAT"), "IE")
    invoice = await an_invoice(tenant, customer_id)
    inside = await as_customer(tenant, customer_id)

    await name_tax(tenant.scope(), TaxSettings(), "IE")

    assert "Irish VAT" in (await inside.get(f"/portal/invoices/{invoice}")).text


async def test_the_first_page_shows_what_is_open_overdue_and_credit(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    await an_invoice(tenant, customer_id)
    page = await as_customer(tenant, customer_id)

    owing = await page.get("/portal")
    tenant.clock.move(timedelta(days=40))
    late = await (await as_customer(tenant, customer_id)).get("/portal")
    page = await as_customer(tenant, customer_id)
    await receive(tenant.scope(), NewPayment(payer_id=customer_id, amount_minor=15000))
    paid = await page.get("/portal")

    assert "€123.00" in owing.text
    assert "was due on" not in owing.text
    assert "€123.00 was due on" in late.text
    assert "Nothing is open" in paid.text
    assert "€27.00" in paid.text


async def test_invoices_are_listed_shown_and_downloaded_and_drafts_are_not(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    draft_id = await billing.create_draft(
        tenant.scope(), NewDraft(payer_id=customer_id, lines=[NewLine(description="Later", unit_price_e6=1_000_000)])
    )
    page = await as_customer(tenant, customer_id)
    number = str(await value("SELECT number FROM document WHERE id = :id", id=invoice_id))

    listed = await page.get("/portal/invoices")
    shown = await page.get(f"/portal/invoices/{invoice_id}")
    early = await page.get(f"/portal/invoices/{invoice_id}/pdf")
    made = await page.post(f"/portal/invoices/{invoice_id}/pdf")
    pdf = await page.get(made.headers["location"])
    draft = await page.get(f"/portal/invoices/{draft_id}")

    assert number in listed.text
    assert "Visit of a fitter" in shown.text
    assert early.status_code == 404
    assert pdf.content.startswith(b"%PDF")
    assert pdf.headers["content-disposition"].startswith("attachment")
    assert draft.status_code == 404


async def test_an_invoice_that_is_open_is_no_order_to_open_it_in_german(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    page = await as_customer(tenant, customer_id)

    shown = [
        (await page.get(path, headers={"accept-language": "de"})).text
        for path in ("/portal", "/portal/invoices", f"/portal/invoices/{invoice_id}")
    ]

    assert all("Offen" in one and "Öffnen" not in one for one in shown)


async def test_what_is_another_customers_does_not_exist(tenant: TestTenant) -> None:
    mine = await a_customer(tenant)
    theirs = await a_customer(tenant, "Zyx Other", "zyx")
    invoice_id = await an_invoice(tenant, theirs)
    await receive(tenant.scope(), NewPayment(payer_id=theirs, amount_minor=100, reference="ZYX-REF"))
    message_id = await write_message(
        tenant.scope(), theirs, subject="For Zyx", text="Only for Zyx", to=["zyx@example.com"]
    )
    await _sent(tenant, message_id)
    page = await as_customer(tenant, mine)

    for path in (f"/portal/invoices/{invoice_id}", f"/portal/messages/{message_id}"):
        assert (await page.get(path)).status_code == 404, path
    for path in ("/portal", "/portal/invoices", "/portal/payments", "/portal/services", "/portal/messages"):
        answer = await page.get(path)
        assert answer.status_code == 200, path
        assert "Zyx" not in answer.text
        assert "ZYX-REF" not in answer.text


async def _sent(tenant: TestTenant, message_id: int) -> None:
    async with unit_of_work(tenant.scope()):
        await execute(
            "UPDATE message SET sent_at = :now, sent_by = 'server', subject = 'For Zyx', body = 'Only for Zyx'"
            " WHERE id = :id",
            now=tenant.clock.now(),
            id=message_id,
        )


async def test_messages_that_were_sent_are_read_and_those_with_a_way_in_are_not(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    message_id = await write_message(
        tenant.scope(), customer_id, subject="For Zyx", text="Only for Zyx", to=["tarrow@example.com"]
    )
    page = await as_customer(tenant, customer_id)

    waiting = await page.get(f"/portal/messages/{message_id}")
    await _sent(tenant, message_id)
    listed = await page.get("/portal/messages")
    read = await page.get(f"/portal/messages/{message_id}")
    async with unit_of_work(tenant.scope()):
        await execute("UPDATE message SET kind = 'portal_link' WHERE id = :id", id=message_id)
    sealed = await page.get(f"/portal/messages/{message_id}")

    assert waiting.status_code == 404
    assert "For Zyx" in listed.text
    assert "Only for Zyx" in read.text
    assert sealed.status_code == 404
    assert "For Zyx" not in (await page.get("/portal/messages")).text


async def test_own_address_and_phones_are_changed_by_the_same_rules_as_by_the_staff(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    page = await as_customer(tenant, customer_id)
    typed = {"street": "7 Quay", "zip": "D02", "city": "Cork", "phones": "+353 1 555 0101"}
    version = str((await get_customer(tenant.scope(), customer_id)).version)

    wrong = await page.post("/portal/me/address", data={**typed, "version": version, "phones": "abc"})
    saved = await page.post("/portal/me/address", data={**typed, "version": version})
    stale = await page.post("/portal/me/address", data={**typed, "version": version, "city": "Limerick"})
    smuggled = await page.post("/portal/me/address", data={**typed, "version": version, "full_name": "Root"})

    assert wrong.status_code == 422
    assert 'id="f-phones-e"' in wrong.text
    assert 'value="7 Quay"' in wrong.text, "nothing that was typed is lost"
    assert saved.headers["location"] == "/portal/me"
    assert stale.status_code == 409
    assert smuggled.status_code == 422
    now = await get_customer(tenant.scope(), customer_id)
    assert (now.street, now.city, now.phones, now.full_name, now.emails) == (
        "7 Quay",
        "Cork",
        ["+353 1 555 0101"],
        "Tarrow Pike",
        ["tarrow@example.com"],
    )
    last = (await timeline(tenant.scope(), customer_id=customer_id))[0]
    assert (last.kind, last.actor, last.on_behalf_of) == ("customer_changed", f"customer:{customer_id}", None)


async def a_user(tenant: TestTenant, customer_id: int) -> int:
    return await customers.add_user(
        tenant.scope(), customer_id, UserFields(first_name="Una", surname="Pike", email="una@example.com")
    )


async def ask_for_link(tenant: TestTenant, login: str) -> list[str]:
    """Tokens of the links that are mailed, oldest first."""
    await save_settings(tenant.scope(), MailSettings(host="127.0.0.1", port=2525, sender_address="noc@test.example"))
    asked = await tenant.anonymous().post("/portal/forgot", data={"login": login})
    assert asked.status_code == 200
    assert "Look into your mail" in asked.text
    forget_tries()
    for payload in await values("SELECT id FROM job WHERE kind = 'portal_mail_link' AND state = 'waiting'"):
        job = Job(
            tenant.scope(), Claim(int(payload), "portal_mail_link", "repeatable", "", "", 1, 1), ForgottenBy(login)
        )
        await mail_link(tenant.scope(), job)
        async with unit_of_work(tenant.scope()):
            await execute("DELETE FROM job WHERE id = :id", id=payload)
    sealed = await values("SELECT fields FROM message WHERE kind = 'portal_link' ORDER BY id")
    texts = [tenant.keys.open(msgspec.json.decode(one)["sealed"]) for one in sealed]
    return [re.search(r"/portal/link/([\w-]+)", text)[1] for text in texts]  # type: ignore[index]  # each mail has one


async def test_a_user_chooses_its_first_password_by_a_mailed_link_that_works_once(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    await a_user(tenant, customer_id)
    (token,) = await ask_for_link(tenant, "una@example.com")
    client = tenant.anonymous()

    shown = await client.get(f"/portal/link/{token}")
    weak = await client.post(f"/portal/link/{token}", data={"password": "short", "repeated": "short"})
    unlike = await client.post(f"/portal/link/{token}", data={"password": PASSWORD, "repeated": PASSWORD + "x"})
    chosen = await client.post(f"/portal/link/{token}", data={"password": PASSWORD, "repeated": PASSWORD})
    again = await tenant.anonymous().post(f"/portal/link/{token}", data={"password": PASSWORD, "repeated": PASSWORD})
    inside = await client.get("/portal/me")

    assert "una@example.com" in shown.text
    assert (weak.status_code, unlike.status_code) == (422, 422)
    assert chosen.headers["location"] == "/portal"
    assert again.status_code == 404
    assert 'value="Una"' in inside.text
    assert (await logged_in(tenant, "una@example.com", PASSWORD)).headers["location"] == "/portal"


async def test_a_link_is_too_old_after_an_hour_and_nobody_else_gets_one(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    await set_status(tenant, await a_customer(tenant, "Closed One", "gone"), "closed")
    (token,) = await ask_for_link(tenant, "tarrow")
    unknown = await ask_for_link(tenant, "nobody@example.com")
    closed = await ask_for_link(tenant, "gone")
    tenant.clock.move(timedelta(minutes=61))
    late = await tenant.anonymous().post(f"/portal/link/{token}", data={"password": PASSWORD, "repeated": PASSWORD})

    assert unknown == closed == [token]
    assert late.status_code == 404
    assert customer_id


async def test_another_password_ends_every_session(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    page, elsewhere = await as_customer(tenant, customer_id), await as_customer(tenant, customer_id)
    new = "quiet meadow under glass"

    wrong = await page.post("/portal/me/password", data={"current": "nonsense", "password": new, "repeated": new})
    changed = await page.post("/portal/me/password", data={"current": PASSWORD, "password": new, "repeated": new})

    assert wrong.status_code == 422
    assert changed.headers["location"] == "/portal/login"
    assert (await elsewhere.get("/portal")).status_code == 303
    assert (await logged_in(tenant, "tarrow", new)).headers["location"] == "/portal"


async def test_a_users_new_e_mail_waits_to_be_confirmed(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    user_id = await a_user(tenant, customer_id)
    async with unit_of_work(tenant.scope()):
        await execute(
            "INSERT INTO portal_user (contact_id, customer_id, password_hash, password_set_at)"
            " VALUES (:user, :customer, 'x', :now)",
            user=user_id,
            customer=customer_id,
            now=tenant.clock.now(),
        )
    page = await tenant.behind("portal", portal.USER, user_id)
    version = str((await get_contact(tenant.scope(), customer_id, user_id)).version)

    saved = await page.post(
        "/portal/me/name",
        data={"version": version, "first_name": "Una", "surname": "Quay", "email": "una@new.example"},
    )

    user = await get_contact(tenant.scope(), customer_id, user_id)
    assert saved.status_code == 303
    assert (user.surname, user.email, user.pending_email) == ("Quay", "una@example.com", "una@new.example")
    assert "una@new.example" in (await page.get("/portal/me")).text
    await customers.remove_contact(tenant.scope(), customer_id, user_id)
    assert (await page.get("/portal")).headers["location"] == "/portal/login"


async def test_a_form_of_another_session_is_refused(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    page = await as_customer(tenant, customer_id)
    page.headers["x-csrftoken"] = "wrong"

    refused = await page.post("/portal/logout")

    assert refused.status_code == 403


async def test_forgotten_customers_leave_no_password_behind(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    await a_user(tenant, customer_id)
    await set_status(tenant, customer_id, "inactive")
    await as_customer(tenant, customer_id)

    await customers.anonymise_customer(tenant.scope(), customer_id)

    assert await value("SELECT count(*) FROM portal_user") == 0
    assert await value("SELECT count(*) FROM session WHERE actor_kind = 'customer'") == 0
    assert (await logged_in(tenant, "tarrow", PASSWORD)).status_code == 422


@pytest.mark.parametrize("slashes", ["//", "///"])
async def test_more_slashes_are_no_way_past_the_door(tenant: TestTenant, slashes: str) -> None:
    """Who somebody is, is looked for at the same address as the page: the router makes one slash of several."""
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    staff = await tenant.browser()
    base = str(staff.base_url).rstrip("/")

    for path in (f"portal/invoices/{invoice_id}", f"portal/invoices/{invoice_id}/pdf", "portal"):
        answer = await staff.get(f"{base}{slashes}{path}")
        assert answer.status_code == 303, path
        assert "/portal/login" in answer.headers["location"]
    over_json = await staff.get(f"{base}{slashes}api/v1/customers")
    written = await staff.post(f"{base}{slashes}api/v1/customers", content=b'{"full_name": "Eve"}')

    assert over_json.status_code == 401
    assert written.status_code == 401
    assert (await (await as_customer(tenant, customer_id)).get(f"{base}{slashes}customers")).status_code == 303
