"""A real mail server on this machine that can accept, refuse, hang, and cut the line after the text."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from enum import StrEnum
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session


class Conduct(StrEnum):
    """What the server does with one mail."""

    ACCEPT = "accept"
    REFUSE_SENDER = "refuse sender"
    REFUSE_RECIPIENT = "refuse recipient"
    PUT_OFF = "put off"
    """4xx to the recipient: come back later."""
    REFUSE_TEXT = "refuse text"
    PUT_TEXT_OFF = "put text off"
    HANG_AT_RECIPIENT = "hang at recipient"
    HANG_AFTER_TEXT = "hang after text"
    CUT_AT_RECIPIENT = "cut at recipient"
    CUT_AND_KEEP = "cut and keep"
    """The text arrived and is delivered, but the answer never comes."""
    CUT_AND_LOSE = "cut and lose"


@dataclass(frozen=True)
class Received:
    """A mail that the server has taken, with the envelope it came in."""

    sender: str
    recipients: tuple[str, ...]
    data: bytes

    @property
    def mail(self) -> EmailMessage:
        return message_from_bytes(self.data, policy=policy.default)  # type: ignore[return-value]  # by the policy

    @property
    def message_id(self) -> str:
        return str(self.mail["Message-ID"])

    @property
    def text(self) -> str:
        part = self.mail.get_body(("plain",))
        assert part is not None
        return str(part.get_content()).replace("\r\n", "\n")

    @property
    def html(self) -> str:
        part = self.mail.get_body(("html",))
        assert part is not None
        return str(part.get_content()).replace("\r\n", "\n")

    @property
    def attachments(self) -> dict[str, bytes]:
        return {str(part.get_filename()): part.get_content() for part in self.mail.iter_attachments()}


@dataclass
class SmtpSink:
    """The server. `conduct` decides by (number of the mail, from 0; recipient) what happens to it."""

    port: int
    mails: list[Received] = field(default_factory=list)
    refused_addresses: dict[str, str] = field(default_factory=dict)
    """By address: the answer to it, "550 unknown here"."""
    accounts: dict[str, str] = field(default_factory=dict)
    """User names and their passwords; empty: nobody needs to log in."""
    log_ins: list[str] = field(default_factory=list)
    begun: int = 0
    pause: float = 0.0
    """Seconds that it takes to look at a text before it is kept, and again before the answer."""
    tls: ssl.SSLContext | None = None
    """The server's certificate: spoken from the first byte, or after STARTTLS."""
    starttls: bool = False
    _conduct: Callable[[int, str], Conduct] = lambda number, recipient: Conduct.ACCEPT
    _controller: Controller | None = None

    def behave(self, conduct: Conduct | Callable[[int, str], Conduct]) -> None:
        self._conduct = conduct if callable(conduct) and not isinstance(conduct, Conduct) else lambda *_: conduct

    def start(self) -> None:
        sink = self

        class Served(Controller):
            def factory(self) -> SMTP:
                return SMTP(
                    _Handler(sink),
                    authenticator=sink._authenticate,
                    auth_require_tls=False,
                    auth_required=bool(sink.accounts),
                    enable_SMTPUTF8=True,
                    tls_context=sink.tls if sink.starttls else None,
                    require_starttls=sink.starttls,
                    data_size_limit=50 << 20,
                )

        first = self.tls if not self.starttls else None
        self._controller = Served(None, hostname="127.0.0.1", port=self.port, ready_timeout=10, ssl_context=first)
        self._controller.start()

    def stop(self) -> None:
        """Nobody listens any more: connections are refused."""
        if self._controller is not None:
            self._controller.stop(no_assert=True)
            self._controller = None

    def subjects(self) -> list[str]:
        return [str(received.mail["Subject"]) for received in self.mails]

    def message_ids(self) -> list[str]:
        return [received.message_id for received in self.mails]

    def _authenticate(self, server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        user, password = data.login.decode(), data.password.decode()
        self.log_ins.append(user)
        return AuthResult(success=self.accounts.get(user) == password, handled=False)


class _Handler:
    def __init__(self, sink: SmtpSink) -> None:
        self._sink = sink
        self._conducts: dict[Session, Conduct] = {}

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if session not in self._conducts:
            self._conducts[session] = self._sink._conduct(self._sink.begun, address)
            self._sink.begun += 1
        conduct = self._conducts[session]
        if address in self._sink.refused_addresses:
            return self._sink.refused_addresses[address]
        if conduct is Conduct.REFUSE_RECIPIENT:
            return "550 5.1.1 Nobody of that name here"
        if conduct is Conduct.PUT_OFF:
            return "451 4.7.1 Greylisted, come back later"
        if conduct is Conduct.HANG_AT_RECIPIENT:
            await asyncio.sleep(3600)
        if conduct is Conduct.CUT_AT_RECIPIENT:
            _cut(server)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        conduct = self._conducts.pop(session)
        if conduct is Conduct.REFUSE_TEXT:
            return "554 5.7.1 This looks like spam"
        if conduct is Conduct.PUT_TEXT_OFF:
            return "452 4.3.1 Mailbox full, try later"
        if conduct is Conduct.CUT_AND_LOSE:
            _cut(server)
            return "451 lost"
        assert isinstance(envelope.content, bytes)
        await asyncio.sleep(self._sink.pause * random.random())
        self._sink.mails.append(Received(envelope.mail_from or "", tuple(envelope.rcpt_tos), envelope.content))
        await asyncio.sleep(self._sink.pause * random.random())
        if conduct is Conduct.HANG_AFTER_TEXT:
            await asyncio.sleep(3600)
        if conduct is Conduct.CUT_AND_KEEP:
            _cut(server)
        return f"250 2.0.0 Taken as {len(self._sink.mails)}"


def _cut(server: SMTP) -> None:
    transport = server.transport
    assert transport is not None
    transport.abort()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def smtp_sink() -> Iterator[SmtpSink]:
    """A mail server that accepts everything until it is told otherwise."""
    sink = SmtpSink(free_port())
    sink.start()
    yield sink
    sink.stop()
