"""Messages go out once, in the tenant's name, with their files; what goes wrong is tried again or told."""

from __future__ import annotations

import pytest
from msgspec import Struct

from core.activity.unit import unit_of_work
from core.database import value, values
from core.documents.files import store_file
from core.errors import Conflict, Invalid, NotFound
from core.jobs.actions import hold_once_jobs
from core.messages import actions
from core.messages.actions import SEND, queue, write_message
from core.messages.queries import count_unsent, list_message_files, list_messages
from core.messages.settings import MailSettings
from core.messages.status import MessageState
from core.settings.actions import save_settings
from core.testing import TestTenant
from tests.messages import NOTICE, SAMPLE, Mailing
from tests.smtp import Conduct, SmtpSink

pytestmark = pytest.mark.anyio

ON_SQLITE = pytest.mark.parametrize("tenant", ["sqlite"], indirect=True)
"""For what does not differ by database."""


async def test_a_message_goes_out_in_the_tenants_name(mailing: Mailing) -> None:
    message_id = await mailing.queued()

    await mailing.work()

    (received,) = mailing.sink.mails
    assert received.sender == "billing@test.example"
    assert received.recipients == ("orla@post.example",)
    assert str(received.mail["From"]) == "Test Net <billing@test.example>"
    assert str(received.mail["Subject"]) == "Invoice 2026-000017"
    assert received.text == "Dear Orla Fennimore,\n\n€1,257.29 is due on 31 Dec 2026.\n"
    assert received.mail["Auto-Submitted"] == "auto-generated"
    message = await mailing.message(message_id)
    assert message.state is MessageState.SENT
    assert message.answer == "2.0.0 Taken as 1"
    assert message.subject == "Invoice 2026-000017"
    assert message.message_id == received.message_id


@ON_SQLITE
async def test_a_message_speaks_the_language_it_was_queued_in(mailing: Mailing) -> None:
    await mailing.queued(language="de-DE")

    await mailing.work()

    (received,) = mailing.sink.mails
    assert str(received.mail["Subject"]) == "Rechnung 2026-000017"
    assert "1.257,29 € ist fällig am 31.12.2026." in received.text.replace("\N{NO-BREAK SPACE}", " ")


@ON_SQLITE
async def test_the_html_says_what_the_text_says_and_runs_nothing(mailing: Mailing) -> None:
    await write_message(
        mailing.scope,
        await _customer(mailing),
        subject="Work on <Tuesday>",
        text="Hello <script>alert(1)</script>,\n\nsee https://test.example/a?b=1&c=2.\nBye",
        to=["orla@post.example"],
    )

    await mailing.work()

    (received,) = mailing.sink.mails
    assert "<script" not in received.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in received.html
    assert '<a href="https://test.example/a?b=1&amp;c=2"' in received.html
    assert 'style="' in received.html
    assert "Auto-Submitted" not in received.mail


async def test_files_go_with_the_message_byte_for_byte(mailing: Mailing) -> None:
    data = b"%PDF-1.7 \x00\xff not really"
    file = await store_file(mailing.scope, data, name="2026-000017.pdf", media_type="application/pdf")

    message_id = await mailing.queued(documents=[file.id])
    await mailing.work()

    assert mailing.sink.mails[0].attachments == {"2026-000017.pdf": data}
    assert [one.id for one in await list_message_files(mailing.scope, message_id)] == [file.id]


async def test_a_damaged_file_is_not_sent(mailing: Mailing) -> None:
    file = await store_file(mailing.scope, b"as it was", name="a.pdf", media_type="application/pdf")
    folder = mailing.tenant.tenant.folder
    assert folder is not None
    (folder / "files" / file.sha256[:2] / file.sha256).write_bytes(b"as it is")

    message_id = await mailing.queued(documents=[file.id])
    await mailing.work()

    message = await mailing.message(message_id)
    assert (message.state, mailing.sink.mails) == (MessageState.FAILED, [])
    assert "damaged" in (message.error or "")


async def test_a_file_that_is_not_there_refuses_the_message(mailing: Mailing) -> None:
    with pytest.raises(NotFound):
        await mailing.queued(documents=[4711])

    assert await list_messages(mailing.scope) == []


async def test_M4_a_message_is_queued_with_its_cause_or_not_at_all(mailing: Mailing) -> None:
    async def cause() -> None:
        async with unit_of_work(mailing.scope):
            await mailing.queued()
            raise RuntimeError("the cause fails")

    with pytest.raises(RuntimeError):
        await cause()

    await mailing.work()
    assert mailing.sink.mails == []


async def test_M4_the_same_cause_makes_one_message(mailing: Mailing) -> None:
    first = await mailing.queued(key="invoice:17")
    second = await mailing.queued(to="someone@else.example", key="invoice:17")

    await mailing.work()

    assert first == second
    assert [received.recipients for received in mailing.sink.mails] == [("orla@post.example",)]


@ON_SQLITE
async def test_copies_and_the_archive_get_it_and_only_copies_are_seen(mailing: Mailing) -> None:
    await mailing.set_up(bcc="archive@test.example", reply_to="help@test.example")

    await mailing.queued(cc=["boss@post.example", "orla@post.example"])
    await mailing.work()

    (received,) = mailing.sink.mails
    assert received.recipients == ("orla@post.example", "boss@post.example", "archive@test.example")
    assert str(received.mail["Cc"]) == "boss@post.example"
    assert str(received.mail["Reply-To"]) == "help@test.example"
    assert b"archive@" not in received.data


@ON_SQLITE
async def test_addresses_with_letters_beyond_ascii_are_reached(mailing: Mailing) -> None:
    await mailing.queued(to="jürgen@müller.example", cc=["anna@müller.example"])

    await mailing.work()

    assert mailing.sink.mails[0].recipients == ("jürgen@müller.example", "anna@xn--mller-kva.example")
    assert str(mailing.sink.mails[0].mail["To"]) == "jürgen@müller.example"


@ON_SQLITE
@pytest.mark.parametrize("wrong", ["", "nobody", "a@b@c", "x\r\nBcc: y@z.example", "two words@post.example"])
async def test_what_is_no_address_is_refused_by_name(mailing: Mailing, wrong: str) -> None:
    with pytest.raises(Invalid) as refused:
        await mailing.queued(to=wrong)

    assert refused.value.errors[0].field == "to"


@ON_SQLITE
async def test_a_message_to_nobody_is_refused(mailing: Mailing) -> None:
    with pytest.raises(Invalid, match="no e-mail address"):
        await queue(mailing.scope, NOTICE, to=[], fields=SAMPLE)


@ON_SQLITE
async def test_fields_of_another_kind_are_a_fault(mailing: Mailing) -> None:
    class Other(Struct):
        name: str

    with pytest.raises(TypeError, match="fields of “test_notice” are Notice"):
        await queue(mailing.scope, NOTICE, to=["a@b.example"], fields=Other("x"))


@ON_SQLITE
async def test_a_subject_cannot_bring_headers_of_its_own(mailing: Mailing) -> None:
    customer_id = await _customer(mailing)

    await write_message(
        mailing.scope, customer_id, subject="Hi\r\nBcc: all@evil.example", text="x", to=["orla@post.example"]
    )
    await mailing.work()

    assert mailing.sink.subjects() == ["Hi Bcc: all@evil.example"]
    assert mailing.sink.mails[0].recipients == ("orla@post.example",)
    assert "Bcc" not in mailing.sink.mails[0].mail


async def test_M8_without_a_mail_server_messages_wait_and_go_out_once_there_is_one(
    tenant: TestTenant, smtp_sink: SmtpSink
) -> None:
    mailing = Mailing(tenant, smtp_sink)
    first, second = await mailing.queued(), await mailing.queued(to="b@post.example")
    await mailing.work()
    assert await count_unsent(mailing.scope) == {MessageState.WAITING: 2}

    await mailing.set_up()
    released = await actions.release_waiting(mailing.scope)
    alone = await mailing.queued(to="c@post.example")
    crowds = await values("SELECT crowd FROM job WHERE state = 'waiting' AND kind = :kind ORDER BY id", kind=SEND)
    await mailing.work()

    assert released == 2
    assert [bool(one) for one in crowds] == [True, True, False], "what somebody asks for alone does not wait for them"
    assert await mailing.state(alone) == MessageState.SENT
    assert [await mailing.state(one) for one in (first, second)] == [MessageState.SENT] * 2
    assert len(mailing.sink.mails) == 3


async def test_waiting_messages_go_out_by_themselves_within_the_hour(tenant: TestTenant, smtp_sink: SmtpSink) -> None:
    from core.jobs.actions import enqueue
    from core.messages.jobs import RELEASE, Nothing

    mailing = Mailing(tenant, smtp_sink)
    message_id = await mailing.queued()
    await mailing.set_up()

    await enqueue(mailing.scope, RELEASE, Nothing())
    await mailing.work()

    assert await mailing.state(message_id) is MessageState.SENT


async def test_M4_a_mail_server_taken_away_loses_nothing(mailing: Mailing) -> None:
    message_id = await mailing.queued()
    await save_settings(mailing.scope, MailSettings())
    await mailing.work()
    assert await mailing.state(message_id) is MessageState.QUEUED

    await mailing.set_up()
    await actions.try_now(mailing.scope)
    await mailing.work()

    assert await mailing.state(message_id) is MessageState.SENT


@ON_SQLITE
async def test_the_mail_server_gets_user_name_and_password(mailing: Mailing) -> None:
    mailing.sink.stop()
    mailing.sink.accounts["billing"] = "right"
    mailing.sink.start()
    await mailing.set_up(user="billing", password="right")

    await mailing.queued()
    await mailing.work()

    assert len(mailing.sink.mails) == 1
    stored = await value("SELECT value FROM setting WHERE key = 'mail'")
    assert "right" not in stored


@ON_SQLITE
async def test_a_wrong_password_loses_no_message(mailing: Mailing) -> None:
    mailing.sink.stop()
    mailing.sink.accounts["billing"] = "right"
    mailing.sink.start()
    await mailing.set_up(user="billing", password="wrong")
    message_id = await mailing.queued()
    await mailing.work()
    message = await mailing.message(message_id)
    assert message.state is MessageState.QUEUED
    assert "refuses user name or password" in (message.error or "")

    await mailing.set_up(user="billing", password="right")
    await mailing.days_pass(0.1)

    assert await mailing.state(message_id) is MessageState.SENT


async def test_M4_a_refused_connection_is_tried_again_until_somebody_listens(mailing: Mailing) -> None:
    mailing.sink.stop()
    message_id = await mailing.queued()
    await mailing.work()
    waiting = await mailing.message(message_id)
    assert (waiting.state, waiting.attempts) == (MessageState.QUEUED, 1)
    assert waiting.error == "The mail server cannot be reached: connection refused."
    await mailing.days_pass(1)

    mailing.sink.start()
    await mailing.days_pass(0.1)

    assert await mailing.state(message_id) is MessageState.SENT
    assert len(mailing.sink.mails) == 1


async def test_M4_once_a_dead_server_answers_everything_else_follows_at_once(mailing: Mailing) -> None:
    mailing.sink.stop()
    ids = [await mailing.queued(to=f"c{n}@post.example") for n in range(5)]
    await mailing.days_pass(0.5)
    mailing.sink.start()

    await mailing.moments_pass(3600)

    assert [await mailing.state(one) for one in ids] == [MessageState.SENT] * 5


@ON_SQLITE
async def test_a_dead_server_is_not_asked_for_every_message(mailing: Mailing) -> None:
    mailing.sink.behave(Conduct.CUT_AT_RECIPIENT)
    await mailing.queued()
    await mailing.work()
    assert mailing.sink.begun == 1
    mailing.sink.stop()
    first, second = await mailing.queued(to="a@post.example"), await mailing.queued(to="b@post.example")

    await mailing.work()

    reasons = [(await mailing.message(one)).error for one in (first, second)]
    assert reasons == ["The mail server cannot be reached: connection refused."] * 2


@ON_SQLITE
@pytest.mark.parametrize("conduct", [Conduct.PUT_OFF, Conduct.PUT_TEXT_OFF, Conduct.CUT_AT_RECIPIENT])
async def test_M4_what_is_put_off_is_tried_again(mailing: Mailing, conduct: Conduct) -> None:
    mailing.sink.behave(lambda number, _: conduct if number < 2 else Conduct.ACCEPT)

    message_id = await mailing.queued()
    await mailing.days_pass(0.2)

    assert await mailing.state(message_id) is MessageState.SENT
    assert len(mailing.sink.mails) == 1
    assert (await mailing.message(message_id)).attempts == 3


@ON_SQLITE
@pytest.mark.parametrize("conduct", [Conduct.REFUSE_RECIPIENT, Conduct.REFUSE_TEXT])
async def test_M4_what_is_refused_for_good_failed_with_the_servers_words(mailing: Mailing, conduct: Conduct) -> None:
    mailing.sink.behave(conduct)

    message_id = await mailing.queued()
    await mailing.days_pass(1)

    message = await mailing.message(message_id)
    assert (message.state, message.attempts) == (MessageState.FAILED, 1)
    expected = "Nobody of that name" if conduct is Conduct.REFUSE_RECIPIENT else "looks like spam"
    assert expected in (message.error or "")


@ON_SQLITE
async def test_one_refused_recipient_does_not_keep_it_from_the_others(mailing: Mailing) -> None:
    mailing.sink.refused_addresses["gone@post.example"] = "550 5.1.1 Moved away"

    message_id = await mailing.queued(cc=["gone@post.example"])
    await mailing.work()

    message = await mailing.message(message_id)
    assert message.state is MessageState.SENT
    assert message.refused == {"gone@post.example": "550 5.1.1 Moved away"}
    assert mailing.sink.mails[0].recipients == ("orla@post.example",)


@ON_SQLITE
async def test_a_recipient_put_off_is_waited_for_but_not_for_ever(mailing: Mailing) -> None:
    mailing.sink.refused_addresses["full@post.example"] = "452 4.2.2 Mailbox full"

    message_id = await mailing.queued(cc=["full@post.example"])
    await mailing.work()
    assert mailing.sink.mails == []
    await mailing.days_pass(1)

    message = await mailing.message(message_id)
    assert message.refused == {"full@post.example": "452 4.2.2 Mailbox full"}
    assert [received.recipients for received in mailing.sink.mails] == [("orla@post.example",)]


@pytest.mark.parametrize("conduct", [Conduct.CUT_AND_KEEP, Conduct.CUT_AND_LOSE])
async def test_M4_a_line_cut_after_the_text_leaves_it_to_a_person(mailing: Mailing, conduct: Conduct) -> None:
    mailing.sink.behave(conduct)
    message_id = await mailing.queued()
    await mailing.days_pass(1)

    message = await mailing.message(message_id)
    assert (message.state, message.attempts) == (MessageState.UNKNOWN, 1)
    assert "may have it or not" in (message.error or "")
    assert [one.id for one in await list_messages(mailing.scope, states=[MessageState.UNKNOWN])] == [message_id]


async def test_a_person_marks_a_doubtful_message_as_sent(mailing: Mailing) -> None:
    mailing.sink.behave(Conduct.CUT_AND_KEEP)
    message_id = await mailing.queued()
    await mailing.work()

    await actions.mark_as_sent(mailing.scope, message_id)
    mailing.sink.behave(Conduct.ACCEPT)
    await mailing.days_pass(1)

    message = await mailing.message(message_id)
    assert (message.state, message.sent_by, len(mailing.sink.mails)) == (MessageState.SENT, "hand", 1)


async def test_M4_a_person_sends_a_doubtful_message_again_under_the_same_id(mailing: Mailing) -> None:
    mailing.sink.behave(Conduct.CUT_AND_KEEP)
    message_id = await mailing.queued()
    await mailing.work()
    mailing.sink.behave(Conduct.ACCEPT)

    await actions.send_again(mailing.scope, message_id)
    await mailing.work()

    assert await mailing.state(message_id) is MessageState.SENT
    assert len(set(mailing.sink.message_ids())) == 1


async def test_a_cancelled_message_is_never_sent(mailing: Mailing) -> None:
    message_id = await mailing.queued()

    await actions.cancel_message(mailing.scope, message_id)
    await mailing.days_pass(0.1)

    assert (await mailing.state(message_id), mailing.sink.mails) == (MessageState.CANCELLED, [])


async def test_what_is_sent_cannot_be_sent_marked_or_cancelled(mailing: Mailing) -> None:
    message_id = await mailing.queued()
    await mailing.work()

    for action in (actions.send_again, actions.mark_as_sent, actions.cancel_message):
        with pytest.raises(Conflict, match="sent"):
            await action(mailing.scope, message_id)


async def test_the_outbox_of_a_copy_starts_held(mailing: Mailing) -> None:
    message_id = await mailing.queued()
    await hold_once_jobs(mailing.scope)
    await mailing.days_pass(0.1)
    assert (await mailing.state(message_id), mailing.sink.mails) == (MessageState.HELD, [])

    await actions.let_messages_go(mailing.scope)
    await mailing.work()

    assert await mailing.state(message_id) is MessageState.SENT


async def test_erased_messages_say_nothing_of_the_person(mailing: Mailing) -> None:
    customer_id = await _customer(mailing)
    file = await store_file(mailing.scope, b"x", name="a.pdf", media_type="application/pdf", customer_id=customer_id)
    sent = await mailing.queued(customer_id=customer_id, documents=[file.id])
    await mailing.work()
    mailing.sink.stop()
    unsent = await mailing.queued(customer_id=customer_id)
    await mailing.work()

    count = await actions.erase_messages(mailing.scope, customer_id)
    mailing.sink.start()
    await mailing.days_pass(1)

    assert count == 2
    assert [await mailing.state(one) for one in (sent, unsent)] == [MessageState.SENT, MessageState.CANCELLED]
    for one in (sent, unsent):
        message = await mailing.message(one)
        assert (message.recipients, message.fields, message.subject, message.body) == ([], "{}", "", "")
    assert len(mailing.sink.mails) == 1


@ON_SQLITE
async def test_M4_sending_is_refused_inside_a_unit_of_work(mailing: Mailing) -> None:
    from core.activity.unit import InsideUnit
    from core.messages.smtp import connected

    settings = MailSettings(host="127.0.0.1", port=mailing.sink.port, security="none")

    async def call() -> None:
        async with unit_of_work(mailing.scope), connected(settings, frozenset({"127.0.0.1"})):
            raise AssertionError("connected")

    with pytest.raises(InsideUnit):
        await call()


async def _customer(mailing: Mailing) -> int:
    from core.customers.actions import create_customer
    from core.customers.schemas import NewCustomer

    return await create_customer(mailing.scope, NewCustomer(full_name="Orla Fennimore", emails=["orla@post.example"]))
