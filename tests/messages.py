"""Messages in tests: a tenant whose mail goes to the sink, a kind of message, a worker that sends what is due."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import pytest
from msgspec import Struct

from core.jobs.worker import Work, Worker
from core.messages.actions import queue
from core.messages.jobs import JOBS, _resting
from core.messages.kinds import MessageKind, Words
from core.messages.queries import get_message
from core.messages.schemas import MessageFull
from core.messages.settings import MailSettings
from core.messages.status import MessageState
from core.money import Money
from core.scope import Actor, Scope
from core.settings.actions import save_settings
from core.staff.jobs import JOBS as STAFF_JOBS
from core.testing import TestTenant
from tests.core.jobs.registry import Tenants
from tests.smtp import SmtpSink


class Position(Struct, frozen=True):
    text: str
    amount: Money


class Notice(Struct, frozen=True, kw_only=True):
    """Fields of the kind that tests send."""

    name: str
    number: str
    due_on: date
    amount: Money
    overdue: bool = False
    lines: tuple[Position, ...] = ()


SAMPLE: Final = Notice(
    name="Orla Fennimore",
    number="2026-000017",
    due_on=date(2026, 12, 31),
    amount=Money(125_729, "EUR"),
    lines=(Position("Fibre 300", Money(4500, "EUR")), Position("Static IPv4", Money(500, "EUR"))),
)
NOTICE: Final = MessageKind(
    key="test_notice",
    label="Notice",
    fields=Notice,
    sample=SAMPLE,
    words={
        "en": Words("Invoice {{ number }}", "Dear {{ name }},\n\n{{ amount }} is due on {{ due_on }}.\n"),
        "de": Words("Rechnung {{ number }}", "Guten Tag {{ name }},\n\n{{ amount }} ist fällig am {{ due_on }}.\n"),
    },
)


@dataclass
class Mailing:
    """The tenant, its mail server, and its worker."""

    tenant: TestTenant
    sink: SmtpSink

    @property
    def scope(self) -> Scope:
        return self.tenant.scope()

    async def set_up(self, **changes: object) -> None:
        """Settings that lead to the sink."""
        settings = {
            "host": "127.0.0.1",
            "port": self.sink.port,
            "security": "none",
            "sender_name": "Test Net",
            "sender_address": "billing@test.example",
            **changes,
        }
        await save_settings(self.scope, MailSettings(**settings))  # type: ignore[arg-type]  # changes are a test's

    async def queued(self, to: str = "orla@post.example", *, key: str | None = None, **more: object) -> int:
        return await queue(self.scope, NOTICE, to=[to], fields=SAMPLE, dedupe_key=key, **more)  # type: ignore[arg-type]  # a test's

    async def work(self) -> None:
        """Everything that is due now is done."""
        await self.worker().until_idle(self.tenant.tenant.uuid)

    def worker(self) -> Worker:
        scope = self.tenant.scope()

        @asynccontextmanager
        async def opened(_: object) -> AsyncIterator[Callable[[Actor], Scope]]:
            yield scope.as_actor

        return Worker(
            Tenants.of(scope),
            lambda _: Work({kind.name: kind for kind in (*JOBS, *STAFF_JOBS)}),
            clock=self.tenant.clock,
        )

    async def days_pass(self, days: float) -> None:
        """Time goes by, and whatever becomes due meanwhile is done, an hour at a time."""
        _resting.clear()
        for _ in range(round(days * 24)):
            self.tenant.clock.move(timedelta(hours=1))
            await self.work()

    async def moments_pass(self, seconds: float = 5) -> None:
        _resting.clear()
        self.tenant.clock.move(timedelta(seconds=seconds))
        await self.work()

    async def message(self, message_id: int) -> MessageFull:
        return await get_message(self.scope, message_id)

    async def state(self, message_id: int) -> MessageState:
        return (await self.message(message_id)).state


@pytest.fixture
async def mailing(tenant: TestTenant, smtp_sink: SmtpSink) -> Mailing:
    """A tenant whose mail goes to the sink."""
    _resting.clear()
    made = Mailing(tenant, smtp_sink)
    await made.set_up()
    return made
