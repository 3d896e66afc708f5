"""Reading messages, and the tenant's words for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from core.customers.queries import get_customer
from core.database import row, rows, within
from core.documents.files import FileRow
from core.errors import NotFound
from core.messages.schemas import ListedMessage, MessageFull, MessageRow
from core.messages.settings import MailSettings
from core.messages.status import MessageState
from core.messages.tables import Message
from core.settings.queries import stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope


def state_by(job: str) -> str:
    """The state of a message as SQL; `job` is the name under which its job was joined. One whose job is done or gone
    without its being known as sent is for a person."""
    return f"""CASE
    WHEN message.sent_at IS NOT NULL THEN 'sent'
    WHEN message.job_id IS NULL THEN 'waiting'
    WHEN {job}.state = 'waiting' OR {job}.state = 'running' THEN 'queued'
    WHEN {job}.state IN ('held', 'sending', 'failed', 'cancelled') THEN {job}.state
    ELSE 'unknown' END"""


STATE: Final = state_by("job")
_LIST: Final = f"""SELECT message.id, message.kind, {STATE} AS state, message.recipients, message.subject,
    message.created_at, coalesce(job.attempts, 0) AS attempts, message.customer_id,
    customer.full_name AS customer_name, message.sent_at, job.due_at, job.error"""
_FULL: Final = f"""{_LIST}, message.fields, message.language, message.copies, message.body, message.message_id,
    message.answer, message.refused, message.sent_by, message.job_id, message.dedupe_key"""
_FROM: Final = """FROM message LEFT JOIN job ON job.id = message.job_id
    LEFT JOIN customer ON customer.id = message.customer_id"""
LISTED: Final = f"{_LIST} {_FROM}"
"""What a list shows of messages."""


class _Full(ListedMessage, frozen=True, kw_only=True):
    fields: str
    language: str
    copies: str
    body: str
    message_id: str
    answer: str
    refused: str
    sent_by: str
    job_id: int | None
    dedupe_key: str | None


class _Counted(Struct, frozen=True):
    state: str
    n: int


class TemplateRow(Struct, frozen=True, kw_only=True):
    """The tenant's own words for a kind in a language."""

    kind: str
    language: str
    subject: str
    body: str
    version: int


MAIL_IS_SET_UP: Final = """EXISTS (SELECT 1 FROM setting WHERE key = 'mail'
    AND value LIKE '%"host":"%' AND value NOT LIKE '%"host":""%'
    AND value LIKE '%"sender_address":"%' AND value NOT LIKE '%"sender_address":""%')"""
"""The same as `mail_is_set_up` for who reads other rows at the same time. Settings are JSON without spaces, in which a
quote that was typed has a stroke before it."""


async def mail_is_set_up() -> bool:
    """Whether there is a mail server and a sender, so that messages need not wait."""
    kept = await stored(MailSettings)
    return bool(kept.get("host") and kept.get("sender_address"))


async def get_message(scope: Scope, message_id: int) -> MessageFull:
    """One message in reach, or NotFound."""
    found = await row(
        _Full,
        f"{_FULL} {_FROM} WHERE message.id = :id AND :reach",
        id=message_id,
        reach=within(Message, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"message {message_id}")
    return msgspec.convert(_opened(found), MessageFull)


async def list_messages(
    scope: Scope,
    *,
    states: Sequence[MessageState] = (),
    customer_id: int | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[MessageRow]:
    """The latest first; `before` is the id that the last page ended with."""
    where = ["message.id < :before", ":reach"]
    if states:
        where.append(f"{STATE} IN :states")
    if states and MessageState.SENT not in states:
        where.append("message.sent_at IS NULL")
    if customer_id is not None:
        where.append("message.customer_id = :customer_id")
    found = await rows(
        ListedMessage,
        f"{LISTED} WHERE {' AND '.join(where)} ORDER BY message.id DESC LIMIT :limit",
        states=list(states),
        customer_id=customer_id,
        before=before if before is not None else 2**62,
        limit=limit,
        reach=within(Message, scope.actor.reach),
    )
    return [as_row(each) for each in found]


async def list_message_files(scope: Scope, message_id: int) -> list[FileRow]:
    """The files that go with a message in reach, in their order."""
    return await rows(
        FileRow,
        "SELECT stored_file.id, stored_file.sha256, stored_file.size, stored_file.media_type, stored_file.name,"
        " stored_file.created_at, stored_file.customer_id FROM message_file"
        " JOIN stored_file ON stored_file.id = message_file.file_id"
        " JOIN message ON message.id = message_file.message_id"
        " WHERE message.id = :id AND :reach ORDER BY message_file.position",
        id=message_id,
        reach=within(Message, scope.actor.reach),
    )


async def count_unsent(scope: Scope) -> dict[MessageState, int]:
    """How many messages are in each state but sent."""
    counted = await rows(
        _Counted,
        f"SELECT {STATE} AS state, count(*) AS n {_FROM} WHERE message.sent_at IS NULL AND :reach GROUP BY 1",
        reach=within(Message, scope.actor.reach),
    )
    return {MessageState(each.state): each.n for each in counted}


async def find_template(kind: str, language: str) -> TemplateRow | None:
    """The tenant's own words for a kind, in this very language."""
    return await row(
        TemplateRow,
        "SELECT kind, language, subject, body, version FROM message_template"
        " WHERE kind = :kind AND language = :language",
        kind=kind,
        language=language,
    )


async def list_templates() -> list[TemplateRow]:
    """All words that the tenant has made its own."""
    return await rows(
        TemplateRow, "SELECT kind, language, subject, body, version FROM message_template ORDER BY kind, language"
    )


async def customer_addresses(scope: Scope, customer_id: int, *, billing: bool = False) -> list[str]:
    """Where a customer in reach gets mail: for bills the billing e-mails, the e-mails only where there are none."""
    customer = await get_customer(scope, customer_id)
    return (customer.billing_emails if billing else []) or customer.emails


def as_row(found: ListedMessage) -> MessageRow:
    """As it is given out."""
    return msgspec.convert(_opened(found), MessageRow)


def _opened(found: ListedMessage) -> dict[str, object]:
    """The row with its lists read."""
    values = msgspec.structs.asdict(found)
    for name in ("recipients", "copies", "refused"):
        if name in values:
            values[name] = msgspec.json.decode(values[name])
    return values
