"""The list of messages: found, sorted, filtered, taken away, and what is done to one or many of them from there."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.activity.unit import unit_of_work
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import OneCustomer, Partitions, execute, value
from core.errors import Invalid
from core.lists.counting import counts_of
from core.lists.views import create_first_views
from core.messages.actions import erase_messages, queue, write_message
from core.messages.listing import MESSAGES, message_choices
from core.messages.staff_mail import STAFF_INVITATION
from core.messages.status import MessageState
from core.scope import ALL_PERMISSIONS, Actor, Scope
from core.staff.schemas import LinkMail
from tests.deeds import done_to
from tests.messages import Mailing
from tests.smtp import Conduct

pytestmark = pytest.mark.anyio

HTMX = {"hx-request-type": "partial"}
STATES = (
    MessageState.QUEUED,
    MessageState.HELD,
    MessageState.SENDING,
    MessageState.FAILED,
    MessageState.UNKNOWN,
    MessageState.CANCELLED,
)


async def customer(mailing: Mailing, name: str, partition: int = 1) -> int:
    found = await create_customer(mailing.scope, NewCustomer(full_name=name, emails=["somebody@post.example"]))
    async with unit_of_work(mailing.scope):
        await execute("UPDATE customer SET partition_id = :to WHERE id = :id", id=found, to=partition)
    return found


async def put(mailing: Mailing, message_id: int, state: MessageState) -> None:
    """As if its job had come so far."""
    job = "waiting" if state is MessageState.QUEUED else state.value
    async with unit_of_work(mailing.scope):
        await execute(
            "UPDATE job SET state = :state WHERE id = (SELECT job_id FROM message WHERE id = :id)",
            id=message_id,
            state=job,
        )


async def one_of_each(mailing: Mailing) -> dict[MessageState, int]:
    """A message in each state; the waiting one was queued before there was a mail server."""
    sent = await mailing.queued(to="sent@post.example")
    await mailing.work()
    found = {MessageState.SENT: sent}
    for state in STATES:
        found[state] = await mailing.queued(to=f"{state}@post.example")
        await put(mailing, found[state], state)
    waiting = found[MessageState.WAITING] = await mailing.queued(to="waiting@post.example")
    async with unit_of_work(mailing.scope):
        await execute("UPDATE message SET job_id = NULL WHERE id = :id", id=waiting)
    return found


async def ids(scope: Scope, **address: str) -> list[int]:
    given = {name.replace("__", "."): text for name, text in address.items()}
    found = await MESSAGES.read(scope, given, choices=await message_choices(scope, given))
    return [one.id for one in found.rows]


async def test_L2_messages_are_filtered_by_their_state_and_by_what_a_person_has_to_settle(mailing: Mailing) -> None:
    found = await one_of_each(mailing)
    scope = mailing.scope

    for state, message_id in found.items():
        assert await ids(scope, state=state) == [message_id], state
    assert await ids(scope, state="person") == sorted(
        (found[one] for one in (MessageState.UNKNOWN, MessageState.FAILED, MessageState.HELD)), reverse=True
    )
    assert await ids(scope, state="unsent") == sorted(
        (found[one] for one in (MessageState.WAITING, MessageState.QUEUED, MessageState.SENDING)), reverse=True
    )
    assert await ids(scope, state="sent,failed") == [found[MessageState.FAILED], found[MessageState.SENT]]
    assert len(await ids(scope, sort="state")) == len(MessageState)
    with pytest.raises(Invalid):
        await ids(scope, state="lost")


async def test_L2_a_message_whose_job_is_gone_or_done_without_its_being_sent_is_for_a_person(mailing: Mailing) -> None:
    gone, done = await mailing.queued(), await mailing.queued()
    async with unit_of_work(mailing.scope):
        await execute("UPDATE message SET job_id = 999999 WHERE id = :id", id=gone)
        await execute("UPDATE job SET state = 'done' WHERE id = (SELECT job_id FROM message WHERE id = :id)", id=done)

    assert await ids(mailing.scope, state="unknown") == [done, gone]
    assert await ids(mailing.scope, state="person") == [done, gone]


async def test_L2_messages_are_filtered_by_kind_recipient_customer_and_days(mailing: Mailing) -> None:
    ada, bo = await customer(mailing, "Ada Fen"), await customer(mailing, "Bo Marsh")
    first = await mailing.queued(to="a%da@post.example", customer_id=ada)
    await mailing.work()
    mailing.tenant.clock.move(timedelta(days=3))
    second = await write_message(mailing.scope, bo, subject="Hello", text="x", to=["bo@post.example"])
    await mailing.work()
    scope = mailing.scope
    today, before = scope.today().isoformat(), (scope.today() - timedelta(days=3)).isoformat()

    assert await ids(scope, kind="by_hand") == [second]
    assert await ids(scope, to__has="a%d") == [first]
    assert await ids(scope, to__has="%") == [first]
    assert await ids(scope, subject__has="hello") == [second]
    assert await ids(scope, customer_id=str(bo)) == [second]
    assert await ids(scope, customer__has="FEN") == [first]
    assert await ids(scope, queued=before) == [first]
    assert await ids(scope, sent__from=today) == [second]
    assert await ids(scope, sent__empty="yes") == []
    assert await ids(scope, attempts__from="2") == []
    with pytest.raises(Invalid, match="Give the id of a customer"):
        await ids(scope, customer_id="bo")


async def test_L2_messages_are_sorted_and_go_on_from_their_cursor_both_ways(mailing: Mailing) -> None:
    made = []
    for name in ("Cy", "Ada", "Bo"):
        made.append(await mailing.queued(to=f"{name}@post.example", customer_id=await customer(mailing, name)))
        await mailing.work()
        mailing.tenant.clock.move(timedelta(hours=1))
    cy, ada, bo = made
    unsent = await mailing.queued(to="zoe@post.example")
    scope = mailing.scope
    read, after = [], ""
    while True:
        found = await MESSAGES.read(scope, {"sort": "-sent"}, after=after, limit=1)
        read.append(found.rows[0].id)
        if not (after := found.after):
            break
    back = await MESSAGES.read(scope, {"sort": "-sent"}, before=found.before, limit=2)

    assert await ids(scope) == [unsent, bo, ada, cy]
    assert await ids(scope, sort="customer") == [unsent, ada, bo, cy]
    assert await ids(scope, sort="kind,-customer") == [cy, bo, ada, unsent]
    assert read == [bo, ada, cy, unsent]
    assert [one.id for one in back.rows] == [ada, cy]


async def test_L4_a_message_is_found_by_the_beginning_of_its_address_or_of_its_customer(mailing: Mailing) -> None:
    orla = await customer(mailing, "Örla Fennimore")
    first = await mailing.queued(to="Niamh.Byrne@post.example", customer_id=orla)
    second = await mailing.queued(to="bram@post.example")
    scope = mailing.scope

    assert await ids(scope, q="niamh.b") == [first]
    assert await ids(scope, q="NIAMH") == [first]
    assert await ids(scope, q="orla") == [first]
    assert await ids(scope, q="bram@post.example") == [second]
    assert await ids(scope, q='bram"]') == []
    assert await ids(scope, q="post.example") == []


async def test_L2_nobody_lists_messages_beyond_his_reach(mailing: Mailing) -> None:
    here, there = await customer(mailing, "Ada Fen"), await customer(mailing, "Bo Marsh", partition=2)
    mine, other = await mailing.queued(customer_id=here), await mailing.queued(customer_id=there)
    nobodys = await mailing.queued()
    reseller = mailing.scope.as_actor(Actor("staff", 99, "Eve", Partitions((2,)), ALL_PERMISSIONS))
    portal = mailing.scope.as_actor(Actor("customer", here, "", OneCustomer(here), ALL_PERMISSIONS))

    assert await ids(mailing.scope) == [nobodys, other, mine]
    assert await ids(reseller) == [other]
    assert await ids(reseller, state="queued") == [other]
    assert await ids(reseller, q="orla") == [other]
    assert await ids(reseller, sort="customer", state="unsent") == [other]
    assert await ids(portal) == [mine]
    for scope, count in ((mailing.scope, 3), (reseller, 1)):
        assert await MESSAGES.count(scope, MESSAGES.asked(scope, {}, {})) == count


async def test_L3_the_outbox_is_a_page_with_views_filters_and_exports_and_keeps_secrets(mailing: Mailing) -> None:
    sent = await mailing.queued(to="orla@post.example", customer_id=await customer(mailing, "Ada Fen"))
    secret = LinkMail(name="Niamh", company="Harbour", link="https://harbour.example/welcome/opensesame", minutes=60)
    await queue(mailing.scope, STAFF_INVITATION, to=["niamh@post.example"], fields=secret)
    await queue(mailing.scope, STAFF_INVITATION, to=["later@post.example"], fields=secret)
    await mailing.work()
    browser = await mailing.tenant.browser()

    page = (await browser.get("/messages")).text
    part = (await browser.get("/messages?state=sent&sort=customer", headers=HTMX)).text
    written = (await browser.get("/lists/messages/export?format=csv&columns=subject,to,kind,error,state")).text
    saved = await browser.post("/lists/messages/views", data={"name": "To Orla", "state": "q=orla"})
    opened = (await browser.get(saved.headers["location"])).text

    assert f'id="message-{sent}"' in page
    assert "niamh@post.example" in page
    assert "<html" not in part
    assert "orla@post.example" in part
    lines = written.lstrip("\ufeff").splitlines()
    assert len(lines) >= 4
    assert any("Invoice 2026-000017" in line and "orla@post.example" in line for line in lines)
    assert any("Invitation of a staff user" in line and "niamh@post.example" in line for line in lines)
    for text in (page, part, written):
        assert "opensesame" not in text
        assert "sealed" not in text
    assert "orla@post.example" in opened
    assert "niamh@post.example" not in opened


async def test_L3_a_new_tenant_finds_views_of_messages_and_sees_how_many_are_to_settle(mailing: Mailing) -> None:
    await one_of_each(mailing)
    await create_first_views(mailing.scope, MESSAGES)
    browser = await mailing.tenant.browser()

    counted = {one.key: (one.said, one.tone) for one in await counts_of(mailing.scope, MESSAGES)}
    page = (await browser.get("/messages")).text
    shown = (await browser.get("/messages?state=person")).text

    views = {"For you to settle": ("3", "bad"), "On their way": ("3", ""), "Sent": ("1", "")}
    for name, told in views.items():
        assert counted[str(await value("SELECT id FROM list_view WHERE name = :name", name=name))] == told
        assert name in page
    assert "2 messages failed, or nobody knows whether they were sent." in page
    assert 'href="/messages?state=person"' in page
    assert "failed@post.example" in shown
    assert "sent@post.example" not in shown


async def test_addresses_of_the_outbox_from_before_lead_to_the_same_messages(mailing: Mailing) -> None:
    browser = await mailing.tenant.browser()

    for name in ("person", "unsent", "sent"):
        answer = await browser.get(f"/messages?view={name}")
        assert (answer.status_code, answer.headers["location"]) == (303, f"/messages?state={name}")


async def test_L6_the_menu_of_a_row_offers_what_fits_its_message_and_greys_the_rest(mailing: Mailing) -> None:
    found = await one_of_each(mailing)
    browser = await mailing.tenant.browser()
    fits = {
        MessageState.FAILED: {"repetition", "cancellation"},
        MessageState.HELD: {"repetition", "cancellation"},
        MessageState.UNKNOWN: {"repetition", "settlement", "cancellation"},
        MessageState.QUEUED: {"cancellation"},
        MessageState.WAITING: {"cancellation"},
        MessageState.SENDING: set[str](),
        MessageState.SENT: set[str](),
        MessageState.CANCELLED: set[str](),
    }

    for state, message_id in found.items():
        menu = (await browser.get(f"/messages/{message_id}/row-menu", headers=HTMX)).text
        offered = {one for one in ("repetition", "settlement", "cancellation") if f"{message_id}/{one}" in menu}
        assert offered == fits[state], state
        assert menu.count("aria-disabled") == 3 - len(offered)
    unknown = found[MessageState.UNKNOWN]
    asked = (await browser.get(f"/messages/{unknown}/row-menu", headers=HTMX)).text
    plain = await browser.get(f"/messages/{unknown}/row-menu")
    again = await browser.post(f"/messages/{unknown}/repetition", headers=HTMX)

    assert "The recipients may have it already." in asked
    assert plain.headers["location"] == f"/messages/{unknown}"
    assert again.headers["hx-redirect"] == f"/messages/{unknown}"
    assert await mailing.state(unknown) is MessageState.QUEUED


async def test_L6_who_may_only_look_is_offered_nothing_but_to_open_it(mailing: Mailing) -> None:
    message_id = await mailing.queued()
    browser = await mailing.tenant.browser(staff_id=await mailing.tenant.staff_with({"messages.view"}))

    page = (await browser.get("/messages")).text
    menu = (await browser.get(f"/messages/{message_id}/row-menu", headers=HTMX)).text
    export = await browser.get("/lists/messages/export")
    ordered = await browser.post("/messages/bulk", data={"action": "messages.cancel", "id": [str(message_id)]})

    assert f"/messages/{message_id}/row-menu" in page
    assert "Open" in menu
    assert "hx-post" not in menu
    assert (export.status_code, ordered.status_code) == (403, 403)


async def test_L5_many_messages_are_sent_again_settled_and_cancelled(mailing: Mailing) -> None:
    found = await one_of_each(mailing)
    second = await mailing.queued(to="second@post.example")
    await put(mailing, second, MessageState.UNKNOWN)
    everything = list(found.values())

    settled = await done_to(mailing.tenant, "/messages", "messages.mark_as_sent", [second, found[MessageState.SENT]])
    again = await done_to(mailing.tenant, "/messages", "messages.send_again", everything)
    cancelled = await done_to(mailing.tenant, "/messages", "messages.cancel", everything)

    assert (settled["done"], settled["refused"]) == (1, 1)
    assert await mailing.state(second) is MessageState.SENT
    assert (again["done"], again["refused"]) == (3, 5)
    assert (cancelled["done"], cancelled["nothing"], cancelled["refused"]) == (5, 1, 2)
    kept = {MessageState.SENT, MessageState.SENDING}
    assert {await mailing.state(one) for one in everything} == {*kept, MessageState.CANCELLED}


async def test_L5_what_many_may_have_already_says_so_before_it_is_sent_again(mailing: Mailing) -> None:
    mailing.sink.behave(Conduct.CUT_AND_KEEP)
    unknown = await mailing.queued()
    await mailing.work()
    browser = await mailing.tenant.browser()

    begun = await browser.post("/messages/bulk", data={"action": "messages.send_again", "id": [str(unknown)]})
    plan = (await browser.get(begun.headers["location"])).text

    assert "Goes out again; the recipients may have it already" in plan
    assert await mailing.state(unknown) is MessageState.UNKNOWN


async def test_L2_messages_over_json_are_filtered_as_the_page_is(mailing: Mailing) -> None:
    ada = await customer(mailing, "Ada Fen")
    made = [await mailing.queued(to=f"c{number}@post.example", customer_id=ada) for number in range(3)]
    await mailing.queued(to="other@post.example")
    api = await mailing.tenant.api(["messages.view"])

    first = (await api.get(f"/api/v1/messages?customer_id={ada}&sort=queued&limit=2")).json()
    rest = (await api.get(f"/api/v1/messages?customer_id={ada}&sort=queued&limit=2&cursor={first['next']}")).json()
    found = (await api.get("/api/v1/messages?q=c1@&state=unsent")).json()["items"]

    assert [one["id"] for one in (*first["items"], *rest["items"])] == made
    assert rest["next"] is None
    assert [(one["id"], one["recipients"], one["customer_name"]) for one in found] == [
        (made[1], ["c1@post.example"], "Ada Fen")
    ]


async def test_an_erased_message_stands_in_the_list_and_on_its_customers_tab_without_its_words(
    mailing: Mailing,
) -> None:
    ada = await customer(mailing, "Ada Fen")
    message_id = await mailing.queued(to="ada@post.example", customer_id=ada)
    await mailing.work()
    await erase_messages(mailing.scope, ada)
    browser = await mailing.tenant.browser()

    for path in ("/messages", f"/customers/{ada}/messages"):
        page = (await browser.get(path)).text
        assert f'href="/messages/{message_id}"' in page
        assert "Erased" in page
        assert "ada@post.example" not in page
