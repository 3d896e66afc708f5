"""What goes in and out of messages."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from core.ids import Id
from core.messages.status import MessageState


class SendMessage(Struct, frozen=True):
    """What the job that sends one is about."""

    message_id: int


class Sealed(Struct, frozen=True):
    """Fields of a message that hold a way in, as they are kept until it is sent."""

    sealed: str


class MessageRow(Struct, frozen=True, kw_only=True):
    """A message as lists show it."""

    id: int
    kind: str
    state: MessageState
    recipients: list[str]
    subject: str
    created_at: datetime
    attempts: int
    customer_id: int | None = None
    customer_name: str | None = None
    sent_at: datetime | None = None
    due_at: datetime | None = None
    error: str | None = None


class ListedMessage(Struct, frozen=True, kw_only=True):
    """A message as its table has it: its recipients as JSON."""

    id: int
    kind: str
    state: MessageState
    recipients: str
    subject: str
    created_at: datetime
    attempts: int
    customer_id: int | None
    customer_name: str | None
    sent_at: datetime | None
    due_at: datetime | None
    error: str | None

    @property
    def to(self) -> list[str]:
        """Whom it is for; nobody where that was erased."""
        return msgspec.json.decode(self.recipients, type=list[str])

    @property
    def is_tried_again(self) -> bool:
        """Whether an attempt failed that is repeated by itself, at `due_at`."""
        return self.state == MessageState.QUEUED and self.attempts > 0


class MessageFull(MessageRow, frozen=True, kw_only=True):
    """A message with its words and files."""

    language: str
    copies: list[str]
    body: str
    message_id: str
    answer: str
    refused: dict[str, str]
    sent_by: str
    fields: str
    job_id: int | None = None
    dedupe_key: str | None = None


class NewMessage(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A message that somebody writes to a customer. Without `to` it goes to the customer's own addresses."""

    customer_id: Id
    subject: Annotated[str, Meta(min_length=1, max_length=200)]
    text: Annotated[str, Meta(min_length=1, max_length=20_000)]
    to: Annotated[list[Annotated[str, Meta(max_length=254)]], Meta(max_length=20)] = []
    cc: Annotated[list[Annotated[str, Meta(max_length=254)]], Meta(max_length=20)] = []


class TypedMessage(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The same from a form: addresses parted by commas."""

    subject: Annotated[str, Meta(min_length=1, max_length=200)]
    text: Annotated[str, Meta(min_length=1, max_length=20_000)]
    to: Annotated[str, Meta(min_length=1, max_length=2000)]
    cc: Annotated[str, Meta(max_length=2000)] = ""


class TypedWords(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Subject and text of a template, as typed; `version` is that of the words which were shown, 0 for ours."""

    subject: Annotated[str, Meta(max_length=500)]
    body: Annotated[str, Meta(max_length=20_000)]
    version: int = 0
