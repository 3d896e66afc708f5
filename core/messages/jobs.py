"""Sending a message: the one place that talks to the tenant's mail server."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.database import execute
from core.documents.files import FileDamaged, read_file
from core.errors import Conflict
from core.jobs.actions import hurry
from core.jobs.kinds import Job, JobKind
from core.jobs.schedules import Every, Schedule
from core.messages.actions import SEND, new_message_id, release_waiting
from core.messages.addresses import on_the_wire
from core.messages.events import MessageSent
from core.messages.kinds import KINDS, kind_of
from core.messages.mail import Attachment, compose
from core.messages.queries import get_message, list_message_files
from core.messages.schemas import SendMessage
from core.messages.settings import MailSettings
from core.messages.smtp import MailRefused, NotTaken, Refusal, connected
from core.messages.status import MessageState
from core.messages.words import Filled, fields_from, fill
from core.outbound import NotReached
from core.settings.queries import load_settings
from core.texts import N_, _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.messages.schemas import MessageFull
    from core.scope import Scope

PATIENCE: Final = 6
"""Attempts after which a message goes to the recipients that are taken, without those that are put off."""
REST: Final = 15.0
"""Seconds in which a server that could not be reached is not asked again by this process."""
_resting: Final[dict[tuple[UUID, str, int], tuple[float, str]]] = {}


class Sent(Struct, frozen=True):
    """How it ended."""

    answer: str
    refused: dict[str, str] = {}


async def send_message(scope: Scope, job: Job[SendMessage]) -> Sent | None:
    """Fill the words, connect, hand over, and write down what the server said.

    Everything up to the text itself happens before the effect: a fault there is tried again, for nothing was sent.
    """
    message = await get_message(scope, job.payload.message_id)
    if message.state == MessageState.SENT:
        return None
    scope.refuse_on_test_clock()
    settings = await load_settings(MailSettings, scope.keys)
    if not settings.is_set_up:
        raise NotReached(_("No mail server is set up."), retry_after=3600)
    filled, mail = await _composed(scope, settings, message)
    unseen = [settings.bcc] if settings.bcc and not kind_of(message.kind).sealed else []
    recipients = [*map(on_the_wire, (*message.recipients, *message.copies, *unseen))]
    rested, reached = _check_rest(scope, settings), False
    try:
        async with connected(settings, scope.tenant.internal_hosts) as server:
            reached = True
            refused = await server.begin(settings.sender_address, recipients)
            _check_refused(refused, recipients, job.attempt)
            async with job.effect():
                answer = await server.hand_over(mail)
    except NotTaken as refusal:
        if refusal.for_good:
            raise MailRefused(
                _("The mail server refuses the message: %(code)s %(text)s", code=refusal.code, text=refusal.text)
            ) from refusal
        raise NotReached(
            _("The mail server does not take it now: %(code)s %(text)s", code=refusal.code, text=refusal.text)
        ) from refusal
    except NotReached as error:
        if not reached:
            _rest(scope, settings, error.message)
        raise
    sent = Sent(answer, {each.address: f"{each.code} {each.text}" for each in refused})
    await _write_down(scope, message, filled, sent)
    if rested:
        _resting.pop(_place(scope, settings), None)
        await hurry(scope, SEND)
    return sent


async def _composed(scope: Scope, settings: MailSettings, message: MessageFull) -> tuple[Filled, bytes]:
    if message.kind not in KINDS:
        raise Conflict(
            _("Nothing knows the kind “%(kind)s” any more: its plugin is switched off or gone.", kind=message.kind)
        )
    kind = kind_of(message.kind)
    filled = await fill(scope, kind, message.language, fields_from(scope, kind, message.fields))
    try:
        attachments = [
            Attachment(file.name, file.media_type, await read_file(scope, file))
            for file in await list_message_files(scope, message.id)
        ]
    except FileDamaged as error:
        raise Conflict(_("A file of this message is damaged: %(error)s.", error=error)) from error
    mail = compose(
        filled,
        settings=settings,
        recipients=[*map(on_the_wire, message.recipients)],
        copies=[*map(on_the_wire, message.copies)],
        message_id=message.message_id,
        at=scope.now(),
        language=message.language,
        tenant_name=scope.tenant.name,
        attachments=attachments,
        by_hand=kind.by_hand,
    )
    return filled, mail.as_bytes()


async def try_connection(scope: Scope, settings: MailSettings, to: str) -> str:
    """Send one mail to this address with these settings, at once and outside the outbox. Gives the server's answer."""
    scope.refuse_on_test_clock()
    mail = compose(
        Filled(_("Test message of %(tenant)s", tenant=scope.tenant.name), _("The mail server takes messages.") + "\n"),
        settings=settings,
        recipients=[on_the_wire(to)],
        copies=[],
        message_id=new_message_id(scope),
        at=scope.now(),
        language="en",
        tenant_name=scope.tenant.name,
    )
    async with connected(settings, scope.tenant.internal_hosts) as server:
        for refusal in await server.begin(settings.sender_address, [on_the_wire(to)]):
            raise MailRefused(
                _(
                    "The mail server refuses %(address)s: %(code)s %(text)s",
                    address=refusal.address,
                    code=refusal.code,
                    text=refusal.text,
                )
            )
        try:
            return await server.hand_over(mail.as_bytes())
        except NotTaken as refusal:
            raise MailRefused(
                _("The mail server refuses the message: %(code)s %(text)s", code=refusal.code, text=refusal.text)
            ) from refusal


def _check_refused(refused: Sequence[Refusal], recipients: Sequence[str], attempt: int) -> None:
    """Go on while somebody gets it; wait for those who are only put off, but not for ever."""
    if not refused:
        return
    said = "; ".join(f"{each.address}: {each.code} {each.text}" for each in refused)
    put_off = [each for each in refused if not each.for_good]
    if put_off and (attempt < PATIENCE or len(refused) == len(recipients)):
        raise NotReached(_("Recipients are put off: %(said)s", said=said), retry_after=60)
    if len(refused) == len(recipients):
        raise MailRefused(_("The mail server refuses every recipient: %(said)s", said=said))


async def _write_down(scope: Scope, message: MessageFull, filled: Filled, sent: Sent) -> None:
    sealed = kind_of(message.kind).sealed
    async with unit_of_work(scope):
        await execute(
            "UPDATE message SET sent_at = :now, sent_by = 'server', answer = :answer, refused = :refused,"
            " subject = :subject, body = :body, fields = :fields WHERE id = :id",
            id=message.id,
            now=scope.now(),
            answer=sent.answer,
            refused=msgspec.json.encode(sent.refused).decode(),
            subject="" if sealed else filled.subject,
            body="" if sealed else filled.text,
            fields="{}" if sealed else message.fields,
        )
        event = MessageSent(message_id=message.id, message_kind=message.kind, customer_id=message.customer_id)
        record(scope, event)


def _check_rest(scope: Scope, settings: MailSettings) -> bool:
    """A server that has just been found dead is left alone for a while, so that a thousand messages do not each wait
    for it. Gives whether it was dead before."""
    until, reason = _resting.get(_place(scope, settings), (0.0, ""))
    if until > monotonic():
        raise NotReached(reason, retry_after=30)
    return until > 0.0


def _rest(scope: Scope, settings: MailSettings, reason: str) -> None:
    _resting[_place(scope, settings)] = (monotonic() + REST, reason)


def _place(scope: Scope, settings: MailSettings) -> tuple[UUID, str, int]:
    return scope.tenant.uuid, settings.host, settings.port


class Nothing(Struct, frozen=True):
    """A job that needs to be told nothing."""


async def release(scope: Scope, job: Job[Nothing]) -> None:
    """Messages that were queued while a mail server was being set up."""
    await release_waiting(scope)


SEND_MESSAGE: Final = JobKind(
    SEND, SendMessage, send_message, policy="once", attempts=200, lease=120, limit=240, label=N_("Send message")
)
RELEASE: Final = JobKind("release_messages", Nothing, release, label=N_("Send messages that waited for a mail server"))

JOBS: Final = (SEND_MESSAGE, RELEASE)
SCHEDULES: Final = (Schedule("release_messages", RELEASE, Every(60), lambda _: Nothing()),)
