"""A mail server that refuses, hangs and cuts the line, and a worker that is killed: no message is lost, none goes out
twice, and whatever is in doubt is listed for a person.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.database import current, values
from core.jobs.kinds import Policy
from core.messages import smtp
from core.messages.queries import count_unsent, list_messages
from core.messages.status import MessageState
from core.testing import TestTenant
from tests.faults.log_process import address_of
from tests.faults.mail_process import mailing_worker
from tests.messages import Mailing, mailing
from tests.smtp import Conduct, SmtpSink, smtp_sink

__all__ = ["mailing", "smtp_sink"]

ROOT = Path(__file__).parents[2]
PUT_OFF = (Conduct.PUT_OFF, Conduct.PUT_TEXT_OFF, Conduct.CUT_AT_RECIPIENT)
REFUSED = (Conduct.REFUSE_RECIPIENT, Conduct.REFUSE_TEXT)
DOUBTFUL = (Conduct.CUT_AND_KEEP, Conduct.CUT_AND_LOSE)

pytestmark = pytest.mark.anyio


async def check(mailing: Mailing, ids: list[int]) -> dict[int, MessageState]:
    """None lost, none twice, what is called sent has arrived, what is called failed has not."""
    states = {row.id: row.state for row in await list_messages(mailing.scope, limit=5000)}
    arrived = Counter(mailing.sink.message_ids())
    for message_id in ids:
        message = await mailing.message(message_id)
        times = arrived[message.message_id]
        assert times <= 1, f"message {message_id} arrived {times} times"
        if message.state is MessageState.SENT:
            assert times == 1, f"message {message_id} is called sent, and never arrived"
        elif message.state is MessageState.FAILED:
            assert times == 0, f"message {message_id} is called failed, and arrived"
            assert message.error
        else:
            assert message.state is MessageState.UNKNOWN, f"message {message_id} is still {message.state}"
    assert sorted(states) == sorted(ids)
    return states


async def storm(mailing: Mailing, count: int) -> None:
    """A third of all attempts is put off, some are refused for good, one in twenty is cut after the text."""
    chance = random.Random(20261122)

    def conduct(number: int, recipient: str) -> Conduct:
        throw = chance.random()
        if throw < 0.27:
            return chance.choice(PUT_OFF)
        if throw < 0.30:
            return chance.choice(REFUSED)
        return chance.choice(DOUBTFUL) if throw < 0.35 else Conduct.ACCEPT

    mailing.sink.behave(conduct)
    ids = [await mailing.queued(to=f"c{number}@post.example", key=f"invoice:{number}") for number in range(count)]

    while (await count_unsent(mailing.scope)).get(MessageState.QUEUED):
        await mailing.moments_pass(3700)

    states = Counter((await check(mailing, ids)).values())
    assert states[MessageState.SENT] >= count * 0.8
    assert states[MessageState.UNKNOWN] >= 1
    assert states[MessageState.FAILED] >= 1
    listed = await list_messages(mailing.scope, states=[MessageState.UNKNOWN], limit=5000)
    assert len(listed) == states[MessageState.UNKNOWN]


@pytest.mark.slow
async def test_a_server_that_refuses_and_cuts_loses_nothing_and_doubles_nothing(mailing: Mailing) -> None:
    await storm(mailing, 80)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_thousand_messages_through_a_server_that_refuses_and_cuts(mailing: Mailing) -> None:
    await storm(mailing, 1000)


@pytest.mark.parametrize(
    ("conduct", "expected"),
    [
        (Conduct.HANG_AT_RECIPIENT, MessageState.QUEUED),
        (Conduct.HANG_AFTER_TEXT, MessageState.UNKNOWN),
    ],
)
async def test_a_server_that_hangs_keeps_nobody_for_ever(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch, conduct: Conduct, expected: MessageState
) -> None:
    monkeypatch.setattr(smtp, "STEP_SECONDS", 2.0)
    monkeypatch.setattr(smtp, "TEXT_SECONDS", 2.0)
    mailing.sink.behave(lambda number, _: conduct if number == 0 else Conduct.ACCEPT)
    first, second = await mailing.queued(), await mailing.queued(to="second@post.example")

    async with asyncio.timeout(25):
        await mailing.work()

    assert await mailing.state(first) is expected
    assert await mailing.state(second) is MessageState.SENT
    await mailing.moments_pass(60)
    arrived = Counter(mailing.sink.message_ids())
    assert arrived[(await mailing.message(first)).message_id] == 1


async def test_a_server_that_never_greets_is_left_after_a_while(
    mailing: Mailing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "STEP_SECONDS", 0.5)
    silent = await asyncio.start_server(lambda reader, writer: asyncio.sleep(3600), "127.0.0.1", 0)
    await mailing.set_up(port=silent.sockets[0].getsockname()[1])
    ids = [await mailing.queued(to=f"c{number}@post.example") for number in range(20)]

    async with asyncio.timeout(15):
        await mailing.work()
    silent.close()

    assert (await mailing.message(ids[0])).error == "The mail server does not answer."
    await mailing.set_up()
    await mailing.days_pass(0.2)
    assert {await mailing.state(one) for one in ids} == {MessageState.SENT}


async def test_a_page_is_no_slower_while_the_mail_server_is_dead(mailing: Mailing) -> None:
    mailing.sink.stop()
    browser = await mailing.tenant.browser()
    working = asyncio.create_task(mailing.work())

    async with asyncio.timeout(10):
        ids = [await mailing.queued(to=f"c{number}@post.example") for number in range(10)]
        page = await browser.get("/messages")
    await working

    assert page.status_code == 200
    assert len(ids) == 10


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_worker_killed_in_the_middle_loses_nothing_and_doubles_nothing(
    tenant: TestTenant, smtp_sink: SmtpSink
) -> None:
    await kills(tenant, smtp_sink, times=5, count=40)


@pytest.mark.long
@pytest.mark.timeout(1800)
async def test_fifty_kills_of_workers_that_send(tenant: TestTenant, smtp_sink: SmtpSink) -> None:
    await kills(tenant, smtp_sink, times=50, count=400)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("tenant", ["sqlite"], indirect=True)
async def test_control_a_job_that_is_simply_repeated_is_found_sent_twice(
    tenant: TestTenant, smtp_sink: SmtpSink
) -> None:
    with pytest.raises(AssertionError, match="arrived 2 times"):
        await kills(tenant, smtp_sink, times=20, count=200, policy="repeatable")


async def kills(tenant: TestTenant, sink: SmtpSink, *, times: int, count: int, policy: Policy = "once") -> None:
    """Two processes send; at random moments one is killed, and another takes its place."""
    tenant.clock = SystemClock()  # type: ignore[assignment]  # other processes live in the machine's time
    mailing = Mailing(tenant, sink)
    await mailing.set_up()
    sink.pause = 0.1
    ids = [await mailing.queued(to=f"c{number}@post.example") for number in range(count)]
    processes = [start(tenant, policy) for _ in range(2)]
    try:
        for _ in range(times):
            before = len(sink.mails)
            async with asyncio.timeout(120):
                while len(sink.mails) < min(before + 2, count):
                    await asyncio.sleep(0.02)
            await asyncio.sleep(random.random() * 0.2)
            place = random.randrange(len(processes))
            os.kill(processes[place].pid, signal.SIGKILL)
            processes[place].wait()
            processes[place] = start(tenant, policy)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    await asyncio.sleep(2.5)
    worker = mailing_worker(current(), tenant.scope(), policy)
    async with asyncio.timeout(120):
        while (await count_unsent(mailing.scope)).keys() & {MessageState.QUEUED, MessageState.SENDING}:
            await worker.until_idle(tenant.tenant.uuid)
            await asyncio.sleep(0.2)

    states = await check(mailing, ids)

    doubtful = [one for one, state in states.items() if state is MessageState.UNKNOWN]
    assert len(doubtful) <= times * 6, "a kill leaves no more in doubt than were being handed over"
    assert MessageState.FAILED not in states.values()
    sending = await values("SELECT id FROM job WHERE state = 'sending' OR state = 'running'")
    assert sending == []


def start(tenant: TestTenant, policy: Policy) -> subprocess.Popen[bytes]:
    arguments = [address_of(current()), str(tenant.tenant.uuid), str(tenant.tenant.folder), policy]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.mail_process", *arguments],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
