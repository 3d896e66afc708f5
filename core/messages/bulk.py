"""Writing to many customers at once: one message each, in the outbox."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from core.customers.queries import get_customer
from core.database import value
from core.errors import Conflict
from core.hooks import BulkAction, BulkField, Effect
from core.messages.actions import queue
from core.messages.kinds import BY_HAND, MessageKind, OwnWords, Words
from core.messages.queries import mail_is_set_up
from core.texts import N_, _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope


class ToMany(Struct, frozen=True, kw_only=True):
    """A message to one of many: what staff wrote, and who reads it."""

    subject: str
    text: str
    name: str
    company: str
    customer_id: int


TO_MANY: Final = MessageKind(
    key="to_many",
    label=N_("Message to many"),
    fields=ToMany,
    sample=ToMany(
        subject="Work on the line on Tuesday",
        text=N_("We replace a cabinet in your street."),
        name="Orla Fennimore",
        company="",
        customer_id=10482,
    ),
    words={
        "en": Words("{{ subject }}", "Dear {{ name }},\n\n{{ text }}"),
        "de": Words("{{ subject }}", "Guten Tag {{ name }},\n\n{{ text }}"),
    },
    about=N_("Staff wrote to many customers at once, with the greeting of these words"),
    names={
        "subject": N_("What staff wrote as the subject"),
        "text": N_("What staff wrote"),
        "name": N_("Name of the customer"),
        "company": N_("Company of the customer"),
        "customer_id": N_("Id of the customer"),
    },
)
MESSAGE_KINDS: Final = (TO_MANY,)


class Letter(Struct, frozen=True, forbid_unknown_fields=True):
    """What is sent, with the tenant's greeting or word for word, and to which of a customer's addresses."""

    subject: Annotated[str, Meta(min_length=1, max_length=200)]
    text: Annotated[str, Meta(min_length=1, max_length=20_000)]
    template: Literal["to_many", "by_hand"] = "to_many"
    to: Literal["emails", "billing_emails"] = "emails"


async def _write(scope: Scope, form: Letter, customer_id: int) -> Sequence[Effect]:
    customer = await get_customer(scope, customer_id)
    if not await value(
        "SELECT status.id FROM status JOIN customer ON customer.status_id = status.id"
        " WHERE customer.id = :id AND status.notify",
        id=customer_id,
    ):
        raise Conflict(_("A customer that is %(status)s gets no messages.", status=_(customer.status_label)))
    to = (customer.billing_emails if form.to == "billing_emails" else ()) or customer.emails
    if not to:
        raise Conflict(_("It has no e-mail address."))
    if not await mail_is_set_up():
        raise Conflict(_("No mail server is set up: see Settings, Mail"))
    kind: MessageKind = BY_HAND
    fields: Struct = OwnWords(subject=form.subject, text=form.text)
    if form.template == "to_many":
        kind = TO_MANY
        fields = ToMany(
            subject=form.subject,
            text=form.text,
            name=customer.full_name,
            company=customer.company,
            customer_id=customer_id,
        )
    await queue(scope, kind, to=to, fields=fields, customer_id=customer_id, language=customer.language)
    text = _("“%(subject)s” goes out by e-mail", subject=form.subject)
    return (Effect(kind="message", text=text, inputs=", ".join(to)),)


async def _fields(scope: Scope) -> Sequence[BulkField]:
    return (
        BulkField(name="subject", label=_("Subject"), required=True, max_length=200),
        BulkField(name="text", label=_("Text"), kind="textarea", required=True, max_length=20_000),
        BulkField(
            name="template",
            label=_("Words"),
            kind="select",
            value="to_many",
            choices=(("to_many", _("With the greeting of Settings, Messages")), ("by_hand", _("Word for word"))),
        ),
        BulkField(
            name="to",
            label=_("To"),
            kind="select",
            value="emails",
            choices=(("emails", _("Its e-mails")), ("billing_emails", _("Its billing e-mails, else its e-mails"))),
        ),
    )


ACTIONS: Final[tuple[BulkAction[Any], ...]] = (
    BulkAction(
        key="messages.email",
        label=N_("Write e-mail…"),
        verb=N_("Send"),
        title=N_("Write e-mail"),
        icon="mail",
        permission="messages.send",
        form=Letter,
        fields=_fields,
        do=_write,
        place=20,
    ),
)
