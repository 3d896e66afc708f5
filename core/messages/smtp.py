"""The way to a mail server: the address is checked, every step has a limit, and each refusal says what it means.

Until the text is handed over nothing has been sent, so whatever goes wrong before is tried again. An answer to the text
itself is believed. No answer to it means that nobody knows.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import aiosmtplib
from msgspec import Struct

from core.activity.unit import refuse_inside_unit
from core.errors import Conflict
from core.jobs.kinds import EffectNotDone
from core.outbound import NotAllowed, NotReached, public_addresses
from core.texts import _

if TYPE_CHECKING:
    from core.messages.settings import MailSettings

CONNECT_SECONDS: Final = 15.0
STEP_SECONDS: Final = 30.0
"""For each answer of the server."""
TEXT_SECONDS: Final = 90.0
"""For the answer to the text: a server may look at it for viruses first."""
PORTS: Final = frozenset({25, 465, 587, 2525})
"""Where mail servers of the internet listen: another port is only for hosts that the provider has allowed."""


class MailRefused(Conflict):
    """The server has refused this message for good; it says why."""


class NotTaken(EffectNotDone):
    """The server has answered the text with a refusal: it was not sent."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text

    @property
    def for_good(self) -> bool:
        return self.code >= 500


class Doubtful(Conflict):
    """The text was handed over and no answer came: the server may have it or not."""


class Refusal(Struct, frozen=True):
    """What the server said to one recipient."""

    address: str
    code: int
    text: str

    @property
    def for_good(self) -> bool:
        return self.code >= 500


class Server:
    """A connection that is open, logged in, and takes one message."""

    def __init__(self, client: aiosmtplib.SMTP) -> None:
        self._client = client

    async def begin(self, sender: str, recipients: Sequence[str]) -> list[Refusal]:
        """Name sender and recipients. Gives the recipients that were refused. Nothing is sent yet."""
        international = not all(address.isascii() for address in (sender, *recipients))
        options = ["SMTPUTF8"] if international else []
        if international and not self._client.supports_extension("smtputf8"):
            raise MailRefused(_("The mail server does not take addresses with letters beyond ASCII."))
        refused: list[Refusal] = []
        async with _answers():
            await self._client.mail(sender, options=options, encoding="utf-8" if international else "ascii")
            for address in recipients:
                try:
                    await self._client.rcpt(address, encoding="utf-8" if international else "ascii")
                except aiosmtplib.SMTPRecipientRefused as error:
                    refused.append(Refusal(address, error.code, _line(error.message)))
        return refused

    async def hand_over(self, mail: bytes) -> str:
        """The text itself. Gives the server's answer; raises NotTaken, or Doubtful where none came."""
        try:
            answer = await self._client.data(mail, timeout=TEXT_SECONDS)
        except aiosmtplib.SMTPResponseException as error:
            raise NotTaken(error.code, _line(error.message)) from error
        except (aiosmtplib.SMTPException, OSError, EOFError) as error:
            raise Doubtful(
                _("The connection was lost after the message had been handed over: the server may have it or not.")
            ) from error
        return _line(answer.message)

    async def hello(self) -> str:
        """What the server says to a greeting."""
        async with _answers():
            return _line((await self._client.noop()).message)


@asynccontextmanager
async def connected(settings: MailSettings, internal_hosts: frozenset[str]) -> AsyncIterator[Server]:
    """Connects, encrypts and logs in as the settings say. Raises NotReached or NotAllowed; nothing is sent by this."""
    refuse_inside_unit("the connection to a mail server")
    addresses = await checked_addresses(settings.host, settings.port, internal_hosts)
    client = aiosmtplib.SMTP(
        hostname=settings.host,
        sock=await _open(addresses, settings.port),
        use_tls=settings.security == "tls",
        start_tls=settings.security == "starttls",
        username=settings.user or None,
        password=settings.password or None,
        local_hostname=_own_name(settings),
        timeout=STEP_SECONDS,
        tls_context=ssl.create_default_context(),
    )
    async with _answers():
        await client.connect()
        if client.is_ehlo_or_helo_needed:
            await _greet(client)
    try:
        yield Server(client)
    finally:
        await _close(client)


async def checked_addresses(host: str, port: int, internal_hosts: frozenset[str]) -> list[str]:
    """The addresses of a mail server that a tenant may connect to, on a port where one listens; what the provider has
    allowed, on any."""
    if host.strip().strip("[]").lower() not in internal_hosts and port not in PORTS:
        raise NotAllowed(
            _(
                "Mail servers listen on %(ports)s; port %(port)s is not allowed.",
                ports=", ".join(map(str, sorted(PORTS))),
                port=port,
            )
        )
    return await public_addresses(host, port, internal_hosts)


async def _open(addresses: Sequence[str], port: int) -> socket.socket:
    """A connection to the first of them that takes one."""
    reason = OSError("no address")
    for address in addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().sock_connect(sock, (address, port))
        except OSError as error:
            sock.close()
            reason = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    said = os.strerror(reason.errno).lower() if reason.errno else "no answer"
    raise NotReached(_("The mail server cannot be reached: %(said)s.", said=said), retry_after=30) from reason


@asynccontextmanager
async def _answers() -> AsyncIterator[None]:
    """Around all that comes before the text: what is refused for good is refused, everything else is no contact."""
    try:
        yield
    except aiosmtplib.SMTPAuthenticationError as error:
        raise NotReached(
            _("The mail server refuses user name or password: %(error)s", error=_said(error)), retry_after=300
        ) from error
    except aiosmtplib.SMTPSenderRefused as error:
        if error.code >= 500:
            raise MailRefused(_("The mail server refuses the sender: %(error)s", error=_said(error))) from error
        raise NotReached(
            _("The mail server does not take it now: %(error)s", error=_said(error)), retry_after=60
        ) from error
    except aiosmtplib.SMTPResponseException as error:
        raise NotReached(
            _("The mail server does not take it now: %(error)s", error=_said(error)), retry_after=60
        ) from error
    except (aiosmtplib.SMTPTimeoutError, TimeoutError) as error:
        raise NotReached(_("The mail server does not answer."), retry_after=30) from error
    except ssl.SSLError as error:
        raise _not_encrypted(error) from error
    except aiosmtplib.SMTPNotSupported as error:
        raise NotReached(
            _("The mail server does not offer that: %(error)s", error=_line(str(error))), retry_after=300
        ) from error
    except (aiosmtplib.SMTPException, OSError, EOFError) as error:
        if isinstance(error.__cause__, ssl.SSLError):
            raise _not_encrypted(error.__cause__) from error
        raise NotReached(
            _("The mail server has gone away: %(error)s", error=_line(str(error))), retry_after=30
        ) from error


def _not_encrypted(error: ssl.SSLError) -> NotReached:
    if isinstance(error, ssl.SSLCertVerificationError):
        said = _("The mail server’s certificate is not good: %(said)s", said=_line(error.verify_message))
    else:
        said = _("No encrypted connection: %(said)s.", said=_line(error.reason or str(error)))
    return NotReached(said, retry_after=300)


async def _greet(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        await client.helo()


async def _close(client: aiosmtplib.SMTP) -> None:
    """Says goodbye if there is still somebody; what happens then is of no interest."""
    try:
        async with asyncio.timeout(5):
            if client.is_connected:
                await client.quit()
    except (aiosmtplib.SMTPException, OSError, EOFError, TimeoutError):
        pass
    finally:
        client.close()


def _own_name(settings: MailSettings) -> str:
    """How we greet: by the sender's domain."""
    return settings.sender_address.rpartition("@")[2].encode("idna").decode() or "localhost"


def _said(error: aiosmtplib.SMTPResponseException) -> str:
    return f"{error.code} {_line(error.message)}"


def _line(text: str) -> str:
    """An answer in one line, without what a terminal or a page would take for more."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:300]
