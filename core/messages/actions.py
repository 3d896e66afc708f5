"""Queueing messages, and what a person may do with them: send again, settle as sent, cancel, let go."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.database import execute, execute_many, rows, scoped, value, values
from core.documents.files import list_files
from core.errors import Conflict, Invalid, NotFound
from core.jobs.actions import cancel_job, enqueue, hurry, let_held_go, settle_as_done, start_again
from core.jobs.kinds import crowding
from core.messages.addresses import check_addresses
from core.messages.events import (
    MessageCancelled,
    MessageMarkedAsSent,
    MessageQueued,
    MessageSentAgain,
    MessagesErased,
)
from core.messages.kinds import BY_HAND, MessageKind, OwnWords, kind_of
from core.messages.queries import get_message, mail_is_set_up
from core.messages.schemas import Sealed, SendMessage
from core.messages.status import CANCELLABLE, FOR_A_PERSON, MessageState
from core.messages.tables import Message
from core.texts import _, in_sentence

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.messages.schemas import MessageFull
    from core.scope import Scope

SEND = "send_message"
"""Name of the job kind, declared in `jobs`: whoever queues need not know how mail is sent."""
CHUNK = 500


async def queue(
    scope: Scope,
    kind: MessageKind | str,
    *,
    to: Sequence[str],
    fields: Struct,
    customer_id: int | None = None,
    documents: Sequence[int] = (),
    dedupe_key: str | None = None,
    cc: Sequence[str] = (),
    language: str = "",
) -> int:
    """Leave a message to be sent, in the same commit as its cause. Gives its id.

    `fields` fill the words of its kind when it is sent; `documents` are ids of stored files. `dedupe_key` says what it
    is about ("invoice:17"): where such a message exists, that one is given and nothing is added. Without a mail server
    it waits until one is set up. Raises Invalid where `to` is empty or holds what is no address.
    """
    declared = kind if isinstance(kind, MessageKind) else kind_of(kind)
    if not isinstance(fields, declared.fields):
        raise TypeError(f"the fields of “{declared.key}” are {declared.fields.__name__}")
    recipients = check_addresses(to, "to")
    copies = [address for address in check_addresses(cc, "cc") if address not in recipients]
    if not recipients:
        raise Invalid(_("There is no e-mail address to send it to."), field="to")
    async with unit_of_work(scope):
        message_id = await value(
            "INSERT INTO message (kind, customer_id, language, recipients, copies, fields, message_id, dedupe_key,"
            " actor, created_at) VALUES (:kind, :customer_id, :language, :recipients, :copies, :fields, :message_id,"
            " :dedupe_key, :actor, :now) ON CONFLICT (dedupe_key) DO NOTHING RETURNING id",
            kind=declared.key,
            customer_id=customer_id,
            language=language or scope.tenant.language,
            recipients=_json(recipients),
            copies=_json(copies),
            fields=_sealed(scope, fields) if declared.sealed else _json(fields),
            message_id=new_message_id(scope),
            dedupe_key=dedupe_key,
            actor=scope.actor.key,
            now=scope.now(),
        )
        if message_id is None:
            return int(await value("SELECT id FROM message WHERE dedupe_key = :key", key=dedupe_key))
        await _attach(scope, message_id, documents)
        record(scope, MessageQueued(message_id=message_id, message_kind=declared.key, customer_id=customer_id))
        if await mail_is_set_up():
            await _enqueue(scope, message_id, customer_id)
    return int(message_id)


def _sealed(scope: Scope, fields: Struct) -> str:
    return _json(Sealed(scope.keys.seal(_json(fields))))


class _Kept(Struct, frozen=True):
    id: int
    fields: str


async def reseal_messages(scope: Scope, *, size: int = 500) -> int:
    """Seal again with the newest key what an older one sealed of messages. Gives how many."""
    done, last = 0, 0
    while True:
        async with unit_of_work(scope):
            some = await rows(
                _Kept,
                "SELECT id, fields FROM message WHERE id > :last AND fields LIKE :sealed ORDER BY id LIMIT :size",
                last=last,
                sealed='{"sealed":"%',
                size=size,
            )
            for each in some:
                sealed = msgspec.json.decode(each.fields, type=Sealed).sealed
                fresh = scope.keys.rotate(sealed)
                if fresh != sealed:
                    done += await execute(
                        "UPDATE message SET fields = :fields WHERE id = :id AND fields = :was",
                        fields=_json(Sealed(fresh)),
                        id=each.id,
                        was=each.fields,
                    )
        if len(some) < size:
            return done
        last = some[-1].id


async def write_message(
    scope: Scope, customer_id: int, *, subject: str, text: str, to: Sequence[str], cc: Sequence[str] = ()
) -> int:
    """Send what somebody wrote, word for word."""
    words = OwnWords(subject=subject, text=text)
    return await queue(scope, BY_HAND, to=to, cc=cc, fields=words, customer_id=customer_id)


async def release_waiting(scope: Scope) -> int:
    """A mail server is set up now: whatever has waited for one goes out, after what somebody asks for alone. Gives how
    many."""
    released = 0
    while await mail_is_set_up():
        async with unit_of_work(scope):
            some = await values(
                "SELECT id FROM message WHERE job_id IS NULL AND sent_at IS NULL ORDER BY id LIMIT :n FOR UPDATE",
                n=CHUNK,
            )
            for message_id in some:
                customer_id = await value("SELECT customer_id FROM message WHERE id = :id", id=message_id)
                with crowding():
                    await _enqueue(scope, message_id, customer_id)
        released += len(some)
        if len(some) < CHUNK:
            break
    return released


async def try_now(scope: Scope) -> int:
    """Everything that waits for its next attempt is due at once. Gives how many."""
    await release_waiting(scope)
    return await hurry(scope, SEND)


async def send_again(scope: Scope, message_id: int) -> None:
    """Let a message that failed, is held, or may have been sent already go out (again)."""
    async with unit_of_work(scope):
        message = await _locked(scope, message_id)
        if message.state not in FOR_A_PERSON:
            raise Conflict(
                _(
                    "This message is %(state)s: there is nothing to send again.",
                    state=in_sentence(_(message.state.value.capitalize())),
                )
            )
        assert message.job_id is not None
        await start_again(scope, message.job_id)
        record(
            scope, MessageSentAgain(message_id=message_id, message_kind=message.kind, customer_id=message.customer_id)
        )


async def mark_as_sent(scope: Scope, message_id: int) -> None:
    """A person has found out that a message whose end nobody knew did arrive."""
    async with unit_of_work(scope):
        message = await _locked(scope, message_id)
        if message.state != MessageState.UNKNOWN:
            raise Conflict(
                _(
                    "This message is %(state)s: only one whose end is unknown can be marked as sent.",
                    state=in_sentence(_(message.state.value.capitalize())),
                )
            )
        assert message.job_id is not None
        await settle_as_done(scope, message.job_id)
        await execute(
            "UPDATE message SET sent_at = :now, sent_by = 'hand' WHERE id = :id", id=message_id, now=scope.now()
        )
        event = MessageMarkedAsSent(message_id=message_id, message_kind=message.kind, customer_id=message.customer_id)
        record(scope, event)


async def cancel_message(scope: Scope, message_id: int) -> None:
    """It is not to be sent (any more)."""
    async with unit_of_work(scope):
        message = await _locked(scope, message_id)
        if message.state not in CANCELLABLE:
            raise Conflict(
                _(
                    "This message is %(state)s: it can no longer be cancelled.",
                    state=in_sentence(_(message.state.value.capitalize())),
                )
            )
        if message.job_id is None:
            await _enqueue(scope, message_id, message.customer_id)
            message = await get_message(scope, message_id)
        assert message.job_id is not None
        await cancel_job(scope, message.job_id)
        record(
            scope, MessageCancelled(message_id=message_id, message_kind=message.kind, customer_id=message.customer_id)
        )


async def let_messages_go(scope: Scope) -> int:
    """In a restored or cloned copy: send what is held. Gives how many."""
    return await let_held_go(scope, SEND)


async def erase_messages(scope: Scope, customer_id: int) -> int:
    """Take out of a customer's messages all that names or was written to the person; that they were sent stays known.

    What has not been sent is cancelled. Gives how many there were.
    """
    async with unit_of_work(scope):
        for message_id in await values(
            "SELECT id FROM message WHERE customer_id = :id AND sent_at IS NULL", id=customer_id
        ):
            message = await _locked(scope, message_id)
            if message.state not in {MessageState.SENDING, MessageState.CANCELLED}:
                await cancel_message(scope, message_id)
        count = await execute(
            "UPDATE message SET recipients = '[]', copies = '[]', fields = '{}', subject = '', body = '', answer = '',"
            " refused = '{}' WHERE customer_id = :id",
            id=customer_id,
        )
        await execute(
            "DELETE FROM message_file WHERE message_id IN (SELECT id FROM message WHERE customer_id = :id)",
            id=customer_id,
        )
        if count:
            record(scope, MessagesErased(customer_id=customer_id, count=count))
    return count


async def _attach(scope: Scope, message_id: int, documents: Sequence[int]) -> None:
    if not documents:
        return
    known = {file.id for file in await list_files(scope, documents)}
    missing = [file_id for file_id in documents if file_id not in known]
    if missing:
        raise NotFound(f"files {missing}")
    await execute_many(
        "INSERT INTO message_file (message_id, position, file_id) VALUES (:message_id, :position, :file_id)",
        [
            {"message_id": message_id, "position": position, "file_id": file_id}
            for position, file_id in enumerate(documents)
        ],
    )


async def _enqueue(scope: Scope, message_id: int, customer_id: int | None) -> None:
    job_id = await enqueue(
        scope, SEND, SendMessage(message_id), dedupe_key=f"message:{message_id}", customer_id=customer_id
    )
    await execute("UPDATE message SET job_id = :job_id WHERE id = :id", id=message_id, job_id=job_id)


async def _locked(scope: Scope, message_id: int) -> MessageFull:
    await scoped(Message, scope).get(message_id)
    await value("SELECT id FROM message WHERE id = :id FOR UPDATE", id=message_id)
    return await get_message(scope, message_id)


def new_message_id(scope: Scope) -> str:
    """Of this message for good: a mail server that gets it twice can tell."""
    host = urlsplit(scope.tenant.address).hostname or f"{scope.tenant.slug}.localhost"
    return f"<{secrets.token_urlsafe(18)}@{host}>"


def _json(what: object) -> str:
    return msgspec.json.encode(what).decode()
