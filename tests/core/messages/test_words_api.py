"""The words of messages over JSON, the test of the mail server, the outbox as a whole."""

from __future__ import annotations

import pytest

from core.activity.queries import timeline
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import execute
from core.documents.files import store_file
from core.messages import actions
from core.messages.kinds import BY_HAND, OwnWords
from core.messages.settings import MailSettings
from core.messages.status import MessageState
from core.settings.actions import save_settings
from core.testing import TestTenant
from tests.messages import Mailing

AT = "/api/v1/message-templates/payment_reminder/en"


async def test_M3_words_are_read_changed_and_reset_against_their_version(tenant: TestTenant) -> None:
    api = await tenant.api({"settings.view", "settings.edit"})

    first = await api.get(AT)
    ours = first.json()
    mine = {"subject": "Please pay", "body": ours["body"]}
    made = await api.put(AT, json=mine, headers={"If-Match": first.headers["etag"]})
    stale = await api.put(AT, json={"subject": "Pay", "body": ours["body"], "version": 0})
    unsaid = await api.put(AT, json=mine)
    kinds = {one["kind"]: one for one in (await api.get("/api/v1/message-templates")).json()}
    reset = await api.delete(AT)

    assert (ours["own"], ours["version"]) == (False, 0)
    assert "number" in {one["path"] for one in ours["fields"]}, ours["fields"]
    assert made.status_code == 200, made.text
    assert (made.json()["subject"], made.json()["own"], made.json()["version"]) == ("Please pay", True, 1)
    assert stale.status_code == 409
    assert stale.json()["details"]["fields"]["subject"] == {"theirs": "Please pay", "yours": "Pay"}
    assert unsaid.status_code == 422
    assert (kinds["payment_reminder"]["own"], kinds["payment_warning"]["own"]) == (["en"], [])
    assert reset.json() == ours
    assert [one.kind for one in await timeline(tenant.scope(), limit=2)] == [
        "message_template_removed",
        "message_template_changed",
    ]


@pytest.mark.parametrize("on", [False, pytest.param(True, marks=pytest.mark.plugins("portal"))])
async def test_M3_words_of_a_plugin_are_there_where_it_is_on_and_nowhere_else(tenant: TestTenant, on: bool) -> None:
    api, browser = await tenant.api(), await tenant.browser()

    kinds = [one["kind"] for one in (await api.get("/api/v1/message-templates")).json()]
    listed = await browser.get("/settings/messages")
    opened = [
        await browser.get("/settings/messages/portal_link/en"),
        await api.get("/api/v1/message-templates/portal_link/en"),
    ]
    sent = await api.get("/api/v1/messages?kind=portal_link")

    assert ("portal_link" in kinds) is on
    assert "payment_reminder" in kinds
    assert ("Password of the portal" in listed.text) is on
    assert sent.status_code == (200 if on else 422)
    assert [answer.status_code for answer in opened] == ([200, 200] if on else [404, 404])


async def test_M3_a_line_that_is_not_allowed_is_named_and_a_preview_saves_nothing(tenant: TestTenant) -> None:
    api, reader = await tenant.api({"settings.edit"}), await tenant.api({"settings.view"})

    broken = await api.put(AT, json={"subject": "x", "body": "Dear\n{{ secrets }}", "version": 0})
    empty = await api.put(AT, json={"subject": " ", "body": "x", "version": 0})
    shown = await reader.post(f"{AT}/preview", json={"subject": "{{ number }}", "body": "Dear"})
    wrong = await reader.post(f"{AT}/preview", json={"subject": "{{ nothing }}", "body": "Dear"})
    refused = [await reader.put(AT, json={"subject": "x", "body": "x", "version": 0}), await reader.delete(AT)]
    unknown = [
        await reader.get("/api/v1/message-templates/nonsense/en"),
        await reader.get("/api/v1/message-templates/payment_reminder/tlh"),
    ]

    assert broken.status_code == wrong.status_code == empty.status_code == 422
    assert broken.json()["errors"][0]["field"] == "body"
    assert "2" in broken.json()["errors"][0]["message"]
    assert shown.status_code == 200
    assert shown.json()["text"] == "Dear\n"
    assert shown.json()["subject"]
    assert [one.status_code for one in refused] == [403, 403]
    assert [one.status_code for one in unknown] == [404, 404]
    assert (await reader.get(AT)).json()["own"] is False


async def test_M8_the_mail_server_is_tried_over_json(mailing: Mailing) -> None:
    api = await mailing.tenant.api({"settings.edit"})

    sent = await api.post("/api/v1/mail/test", json={"to": "ada@example.com"})
    wrong = await api.post("/api/v1/mail/test", json={"to": "nowhere"})
    nobody = await api.post("/api/v1/mail/test", json={})
    reader = await (await mailing.tenant.api({"settings.view"})).post("/api/v1/mail/test", json={"to": "a@example.com"})
    await save_settings(mailing.scope, MailSettings())
    none = await api.post("/api/v1/mail/test", json={"to": "ada@example.com"})

    assert sent.status_code == 200, sent.text
    assert sent.json()["answer"]
    assert [one.recipients for one in mailing.sink.mails] == [("ada@example.com",)]
    assert [one.status_code for one in (wrong, nobody, reader, none)] == [422, 404, 403, 409]


async def test_M4_what_waits_is_tried_again_and_what_a_copy_holds_back_let_go_over_json(mailing: Mailing) -> None:
    tenant = mailing.tenant
    api = await tenant.api({"messages.send", "messages.view"})
    customer_id = await create_customer(tenant.scope(), NewCustomer(full_name="Ada Fen", emails=["ada@example.com"]))
    made = await api.post("/api/v1/messages", json={"customer_id": customer_id, "subject": "Hello", "text": "There"})
    message_id = made.json()["id"]
    await execute("UPDATE job SET state = 'held' WHERE kind = 'send_message'")

    released = await api.post("/api/v1/messages/release")
    again = await api.post("/api/v1/messages/release")
    refused = await (await tenant.api({"messages.view"})).post("/api/v1/messages/attempts")
    tried = await api.post("/api/v1/messages/attempts")
    await mailing.work()

    assert (released.json(), again.json()) == ({"messages": 1}, {"messages": 0})
    assert tried.status_code == 200, tried.text
    assert refused.status_code == 403
    assert await mailing.state(message_id) is MessageState.SENT


async def test_files_of_a_message_are_read_over_json(mailing: Mailing) -> None:
    tenant = mailing.tenant
    api, other = await tenant.api({"messages.view"}), await tenant.api({"customers.view"})
    file = await store_file(tenant.scope(), b"%PDF-1.7 x", name="Rechnung.pdf", media_type="application/pdf")
    message_id = await actions.queue(
        tenant.scope(), BY_HAND, to=["a@example.com"], fields=OwnWords(subject="x", text="x"), documents=[file.id]
    )
    at = f"/api/v1/messages/{message_id}/files"

    listed = (await api.get(at)).json()
    read = await api.get(f"{at}/{file.id}")
    missing = [await api.get(f"{at}/{file.id + 1}"), await api.get("/api/v1/messages/999/files")]

    assert listed == [{"id": file.id, "name": "Rechnung.pdf", "media_type": "application/pdf", "size": 10}]
    assert (read.content, read.headers["x-content-type-options"]) == (b"%PDF-1.7 x", "nosniff")
    assert (read.headers["content-type"], read.headers["content-disposition"]) == (
        "application/octet-stream",
        'attachment; filename="Rechnung.pdf"',
    )
    assert [one.status_code for one in missing] == [404, 404]
    assert (await other.get(at)).status_code == 403
