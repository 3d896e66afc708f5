"""The outbox, one message, writing one, the tenant's words and the mail server, as pages and over JSON."""

from __future__ import annotations

import re
from html import unescape

import pytest

from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import value
from core.documents.files import store_file
from core.jobs.actions import hold_once_jobs
from core.messages import words
from core.messages.kinds import BY_HAND
from core.messages.queries import customer_addresses, find_template
from core.messages.schemas import TypedWords
from core.messages.settings import MailSettings
from core.messages.status import MessageState
from core.settings.queries import load_settings
from core.testing import TestTenant
from tests.messages import NOTICE, Mailing
from tests.smtp import Conduct, SmtpSink

pytestmark = pytest.mark.anyio

ON_SQLITE = pytest.mark.parametrize("tenant", ["sqlite"], indirect=True)
"""For what does not differ by database."""


async def customer(mailing: Mailing, **more: object) -> int:
    new = NewCustomer(full_name="Orla Fennimore", emails=["orla@post.example"], **more)  # type: ignore[arg-type]
    return await create_customer(mailing.scope, new)


async def test_M4_the_outbox_shows_every_message_with_its_state(mailing: Mailing) -> None:
    sent = await mailing.queued(customer_id=await customer(mailing))
    await mailing.work()
    mailing.sink.behave(Conduct.REFUSE_RECIPIENT)
    await mailing.queued(to="nobody@post.example")
    await mailing.work()
    browser = await mailing.tenant.browser()

    everything = (await browser.get("/messages")).text
    to_settle = (await browser.get("/messages?state=person")).text

    assert "orla@post.example" in everything
    assert "Orla Fennimore" in everything
    assert "nobody@post.example" in everything
    assert "orla@post.example" not in to_settle
    assert "nobody@post.example" in to_settle
    assert f'href="/messages/{sent}"' in everything


async def test_a_long_outbox_is_read_page_by_page(mailing: Mailing) -> None:
    for number in range(55):
        await mailing.queued(to=f"c{number}@post.example")
    browser = await mailing.tenant.browser()

    first = (await browser.get("/messages?state=unsent")).text
    further = re.search(r'href="(/messages\?[^"]*after=[^"]*)"', first)
    assert further is not None
    second = (await browser.get(unescape(further[1]))).text

    assert "c54@post.example" in first
    assert "c4@post.example" not in first
    assert "c4@post.example" in second
    assert "c5@post.example" not in second


async def test_a_message_shows_its_text_its_files_and_what_the_server_said(mailing: Mailing) -> None:
    file = await store_file(mailing.scope, b"%PDF-1.7", name="2026-000017.pdf", media_type="application/pdf")
    message_id = await mailing.queued(documents=[file.id])
    browser = await mailing.tenant.browser()

    before = (await browser.get(f"/messages/{message_id}")).text
    await mailing.work()
    after = (await browser.get(f"/messages/{message_id}")).text
    download = await browser.get(f"/messages/{message_id}/files/{file.id}")

    assert "as it would go out now" in before
    assert "Dear Orla Fennimore" in before
    assert "Taken as 1" in after
    assert "2026-000017.pdf" in after
    assert (download.content, download.headers["content-type"]) == (b"%PDF-1.7", "application/pdf")
    assert download.headers["x-content-type-options"] == "nosniff"
    assert 'filename="2026-000017.pdf"' in download.headers["content-disposition"]


@ON_SQLITE
async def test_a_file_of_another_message_is_not_given_out(mailing: Mailing) -> None:
    file = await store_file(mailing.scope, b"secret", name="a.pdf", media_type="application/pdf")
    await mailing.queued(documents=[file.id])
    other = await mailing.queued()
    browser = await mailing.tenant.browser()

    answer = await browser.get(f"/messages/{other}/files/{file.id}")

    assert answer.status_code == 404


@ON_SQLITE
async def test_a_file_that_is_no_pdf_is_saved_and_never_shown(mailing: Mailing) -> None:
    file = await store_file(mailing.scope, b"<script>alert(1)</script>", name='x"\r\n.html', media_type="text/html")
    message_id = await mailing.queued(documents=[file.id])
    browser = await mailing.tenant.browser()

    answer = await browser.get(f"/messages/{message_id}/files/{file.id}")

    assert answer.headers["content-type"].startswith("application/octet-stream")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "\n" not in answer.headers["content-disposition"]


async def test_M4_a_doubtful_message_is_settled_on_its_page(mailing: Mailing) -> None:
    mailing.sink.behave(Conduct.CUT_AND_KEEP)
    first, second = await mailing.queued(), await mailing.queued()
    await mailing.work()
    mailing.sink.behave(Conduct.ACCEPT)
    browser = await mailing.tenant.browser()
    assert "Nobody knows whether this was sent" in (await browser.get(f"/messages/{first}")).text

    settled = await browser.post(f"/messages/{first}/settlement")
    repeated = await browser.post(f"/messages/{second}/repetition")
    await mailing.work()

    assert (settled.status_code, repeated.status_code) == (303, 303)
    assert [await mailing.state(one) for one in (first, second)] == [MessageState.SENT] * 2
    assert (await browser.post(f"/messages/{first}/settlement")).status_code == 409


async def test_what_is_held_in_a_copy_is_let_go_by_a_person(mailing: Mailing) -> None:
    message_id = await mailing.queued()
    await hold_once_jobs(mailing.scope)
    browser = await mailing.tenant.browser()
    assert "This is a copy of a tenant" in (await browser.get("/messages")).text

    await browser.post("/messages/release")
    await mailing.work()

    assert await mailing.state(message_id) is MessageState.SENT


async def test_staff_write_to_a_customer(mailing: Mailing) -> None:
    customer_id = await customer(mailing)
    browser = await mailing.tenant.browser()
    form = (await browser.get(f"/customers/{customer_id}/messages/new")).text
    assert 'value="orla@post.example"' in form

    answer = await browser.post(
        f"/customers/{customer_id}/messages",
        data={"to": "orla@post.example; me@test.example", "cc": "", "subject": "Hello", "text": "Line {{ one }}\nTwo"},
    )
    await mailing.work()

    assert answer.status_code == 303
    assert mailing.sink.mails[0].recipients == ("orla@post.example", "me@test.example")
    assert mailing.sink.mails[0].text == "Line {{ one }}\nTwo\n"
    assert "Hello" in (await browser.get(f"/customers/{customer_id}/messages")).text


@ON_SQLITE
async def test_a_wrong_address_is_named_and_the_text_kept(mailing: Mailing) -> None:
    customer_id = await customer(mailing)
    browser = await mailing.tenant.browser()

    answer = await browser.post(
        f"/customers/{customer_id}/messages", data={"to": "orla", "cc": "", "subject": "Hello", "text": "Kept text"}
    )

    assert answer.status_code == 422
    assert "“orla” is no e-mail address." in answer.text
    assert "Kept text" in answer.text


async def test_M8_without_a_mail_server_the_action_says_where_to_set_one_up(
    tenant: TestTenant, smtp_sink: SmtpSink
) -> None:
    mailing = Mailing(tenant, smtp_sink)
    customer_id = await customer(mailing)
    await mailing.queued()
    browser = await tenant.browser()

    page = (await browser.get(f"/customers/{customer_id}")).text
    outbox = (await browser.get("/messages")).text

    assert "No mail server is set up: see Settings, Mail" in page
    assert "one message waits" in outbox
    assert 'href="/settings/mail"' in outbox


async def test_M8_without_a_mail_server_what_would_write_is_greyed_where_it_is_written(
    tenant: TestTenant, smtp_sink: SmtpSink
) -> None:
    mailing = Mailing(tenant, smtp_sink)
    customer_id = await customer(mailing)
    browser = await tenant.browser()

    before = (await browser.get(f"/customers/{customer_id}/messages/new")).text
    await mailing.set_up()
    after = (await browser.get(f"/customers/{customer_id}/messages/new")).text

    assert re.search(r'aria-disabled="true">Send message</button> <span[^>]*>No mail server is set up', before)
    assert 'href="/settings/mail"' in before
    assert 'aria-disabled="true"' not in after.split('id="h-write"')[1]
    assert re.search(r'<button[^>]*type="submit"[^>]*>Send message', after)


async def test_M8_a_mail_server_is_set_up_and_what_waited_goes_out(tenant: TestTenant, smtp_sink: SmtpSink) -> None:
    mailing = Mailing(tenant, smtp_sink)
    message_id = await mailing.queued()
    browser = await tenant.browser()

    saved = await browser.post("/settings/mail", data=mail_form(smtp_sink, password="geheim"))
    await mailing.work()

    assert saved.status_code == 303
    assert await mailing.state(message_id) is MessageState.SENT
    page = (await browser.get("/settings/mail")).text
    assert "geheim" not in page
    assert "geheim" not in await value("SELECT value FROM setting WHERE key = 'mail'")
    assert (await load_settings(MailSettings, tenant.keys)).password == "geheim"


@ON_SQLITE
@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("sender_address", "me"),
        ("sender_address", ""),
        ("reply_to", "a@"),
        ("bcc", "x, y@z.example"),
        ("port", "99999"),
    ],
)
async def test_M8_wrong_settings_are_named(mailing: Mailing, field: str, wrong: str) -> None:
    browser = await mailing.tenant.browser()

    answer = await browser.post("/settings/mail", data={**mail_form(mailing.sink), field: wrong})

    assert answer.status_code == 422
    assert f'id="f-{field}-e"' in answer.text
    assert "Nothing was saved." in answer.text


@ON_SQLITE
async def test_M8_a_test_message_goes_to_who_asked_and_shows_the_answer(mailing: Mailing) -> None:
    staff = await mailing.tenant.staff(email="admin@test.example")
    browser = await mailing.tenant.browser(staff_id=staff)

    answer = await browser.post("/settings/mail/test")

    assert "The server said: 2.0.0 Taken as 1" in answer.text
    assert mailing.sink.mails[0].recipients == ("admin@test.example",)


@ON_SQLITE
@pytest.mark.parametrize(
    ("conduct", "said"),
    [(Conduct.REFUSE_RECIPIENT, "550 5.1.1 Nobody of that name here"), (Conduct.REFUSE_TEXT, "looks like spam")],
)
async def test_M8_a_test_message_that_is_refused_shows_why(mailing: Mailing, conduct: Conduct, said: str) -> None:
    mailing.sink.behave(conduct)
    browser = await mailing.tenant.browser()

    answer = await browser.post("/settings/mail/test")

    assert said in answer.text


@ON_SQLITE
async def test_M3_the_words_of_a_message_are_made_ones_own(mailing: Mailing) -> None:
    browser = await mailing.tenant.browser()
    path = f"/settings/messages/{NOTICE.key}/en"
    page = (await browser.get(path)).text
    assert "Dear {{ name }}" in page
    assert "Dear Orla Fennimore" in page

    saved = await browser.post(path, data={"subject": "Bill {{ number }}", "body": "Hi {{ name }}.", "version": "0"})
    await mailing.queued()
    await mailing.work()

    assert saved.status_code == 303
    assert (mailing.sink.subjects(), mailing.sink.mails[0].text) == (["Bill 2026-000017"], "Hi Orla Fennimore.\n")


async def test_M3_a_broken_template_is_refused_with_the_line_and_nothing_is_saved(mailing: Mailing) -> None:
    browser = await mailing.tenant.browser()

    answer = await browser.post(
        f"/settings/messages/{NOTICE.key}/en",
        data={"subject": "{{ number", "body": "Dear {{ name }}\n\n{{ ''.__class__.__mro__ }}", "version": "0"},
    )

    assert answer.status_code == 422
    assert "Line 1: This cannot be read" in answer.text
    assert "Line 3: There is no field" in answer.text
    assert await find_template(NOTICE.key, "en") is None


@ON_SQLITE
async def test_M3_a_preview_shows_the_words_filled_or_the_faults(mailing: Mailing) -> None:
    browser = await mailing.tenant.browser()
    path = f"/settings/messages/{NOTICE.key}/de/preview"

    good = await browser.post(path, data={"subject": "X {{ number }}", "body": "{{ amount }}", "version": "0"})
    bad = await browser.post(path, data={"subject": "X", "body": "a\n{{ amuont }}", "version": "0"})

    assert "1.257,29" in good.text
    assert "Line 2: There is no field “amuont”. Did you mean “amount”?" in bad.text


@ON_SQLITE
async def test_M3_the_fields_that_words_may_use_are_listed_beside_them(mailing: Mailing) -> None:
    browser = await mailing.tenant.browser()

    page = (await browser.get(f"/settings/messages/{NOTICE.key}/en")).text
    listed = re.findall(r'<dt class="t-mono">([^<]+)</dt>', page)
    used = " ".join(f"{{{{ {path} }}}}" for path in listed if "lines" not in path)
    looped = "".join(
        f"{{% for one in lines %}}{{{{ one.{path[8:]} }}}}{{% endfor %}}" for path in listed if "[]" in path
    )
    saved = await browser.post(
        f"/settings/messages/{NOTICE.key}/en", data={"subject": used, "body": looped, "version": "0"}
    )

    assert listed[:5] == ["name", "number", "due_on", "amount", "overdue"]
    assert {"lines", "lines[].text", "lines[].amount"} < set(listed)
    assert saved.status_code == 303


async def test_M3_two_people_change_the_words_and_the_second_is_told(mailing: Mailing) -> None:
    browser = await mailing.tenant.browser()
    path = f"/settings/messages/{NOTICE.key}/en"
    await browser.post(path, data={"subject": "First", "body": "First", "version": "0"})

    second = await browser.post(path, data={"subject": "Second", "body": "Second", "version": "0"})

    assert second.status_code == 409
    assert "Someone else changed this" in second.text
    kept = await find_template(NOTICE.key, "en")
    assert kept is not None
    assert (kept.subject, kept.version) == ("First", 1)


async def test_M3_the_original_words_come_back(mailing: Mailing) -> None:
    browser = await mailing.tenant.browser()
    typed = TypedWords(subject="Mine", body="Mine", version=0)
    await words.save_words(mailing.scope, NOTICE, "en", typed)

    await browser.post(f"/settings/messages/{NOTICE.key}/en/reset")

    assert await find_template(NOTICE.key, "en") is None


@ON_SQLITE
async def test_a_message_that_staff_write_has_no_words_to_edit(mailing: Mailing) -> None:
    browser = await mailing.tenant.browser()

    assert (await browser.get(f"/settings/messages/{BY_HAND.key}/en")).status_code == 404
    assert (await browser.get("/settings/messages/nothing/en")).status_code == 404
    assert (await browser.get(f"/settings/messages/{NOTICE.key}/xx")).status_code == 404
    assert NOTICE.label in (await browser.get("/settings/messages")).text


@ON_SQLITE
async def test_who_may_only_look_changes_nothing(mailing: Mailing) -> None:
    message_id = await mailing.queued()
    looking = await mailing.tenant.staff_with({"messages.view", "settings.view", "customers.view"})
    browser = await mailing.tenant.browser(staff_id=looking)

    answers = [
        await browser.post(f"/messages/{message_id}/{what}") for what in ("repetition", "settlement", "cancellation")
    ]
    answers += [await browser.post(path) for path in ("/messages/attempts", "/settings/mail", "/settings/mail/test")]

    assert {answer.status_code for answer in answers} == {403}
    assert (await browser.get(f"/messages/{message_id}")).status_code == 200


async def test_messages_are_written_and_followed_over_json(mailing: Mailing) -> None:
    customer_id = await customer(mailing)
    api = await mailing.tenant.api()

    made = await api.post(
        "/api/v1/messages",
        json={"customer_id": customer_id, "subject": "Hi", "text": "There"},
        headers={"Idempotency-Key": "a"},
    )
    again = await api.post(
        "/api/v1/messages",
        json={"customer_id": customer_id, "subject": "Hi", "text": "There"},
        headers={"Idempotency-Key": "a"},
    )
    await mailing.work()

    assert (made.status_code, made.json()["state"]) == (201, "queued")
    assert again.json()["id"] == made.json()["id"]
    followed = (await api.get(f"/api/v1/messages/{made.json()['id']}")).json()
    assert (followed["state"], followed["recipients"]) == ("sent", ["orla@post.example"])
    assert len(mailing.sink.mails) == 1


async def test_messages_are_listed_over_json_page_by_page(mailing: Mailing) -> None:
    ids = [await mailing.queued(to=f"c{number}@post.example") for number in range(5)]
    api = await mailing.tenant.api()

    first = (await api.get("/api/v1/messages?limit=3&state=queued")).json()
    second = (await api.get(f"/api/v1/messages?limit=3&state=queued&cursor={first['next']}")).json()

    assert [one["id"] for one in first["items"] + second["items"]] == ids[::-1]
    assert second["next"] is None
    assert (await api.get("/api/v1/messages?state=sent")).json() == {"items": [], "next": None}
    assert (await api.get("/api/v1/messages?state=lost")).status_code in {400, 422}


@ON_SQLITE
async def test_bills_go_to_the_billing_addresses_where_there_are_some(mailing: Mailing) -> None:
    with_billing = await customer(mailing, billing_emails=["bills@post.example"])
    without = await create_customer(mailing.scope, NewCustomer(full_name="Bram", emails=["bram@post.example"]))

    assert await customer_addresses(mailing.scope, with_billing, billing=True) == ["bills@post.example"]
    assert await customer_addresses(mailing.scope, with_billing) == ["orla@post.example"]
    assert await customer_addresses(mailing.scope, without, billing=True) == ["bram@post.example"]


def mail_form(sink: SmtpSink, **more: str) -> dict[str, str]:
    return {
        "host": "127.0.0.1",
        "port": str(sink.port),
        "security": "none",
        "user": "",
        "password": "",
        "sender_name": "Test Net",
        "sender_address": "billing@test.example",
        "reply_to": "",
        "bcc": "",
        **more,
    }
