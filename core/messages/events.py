"""What happened to messages."""

from core.activity.events import Event


class MessageQueued(Event, subject="message"):
    message_id: int
    message_kind: str
    customer_id: int | None = None


class MessageSent(Event, subject="message"):
    message_id: int
    message_kind: str
    customer_id: int | None = None


class MessageMarkedAsSent(Event, subject="message"):
    message_id: int
    message_kind: str
    customer_id: int | None = None


class MessageSentAgain(Event, subject="message"):
    message_id: int
    message_kind: str
    customer_id: int | None = None


class MessageCancelled(Event, subject="message"):
    message_id: int
    message_kind: str
    customer_id: int | None = None


class MessagesErased(Event, subject="customer"):
    customer_id: int
    count: int


class MessageTemplateChanged(Event, subject="message_template"):
    message_kind: str
    language: str


class MessageTemplateRemoved(Event, subject="message_template"):
    message_kind: str
    language: str
