"""The words of messages: the tenant's own where there are some, else the product's; checked when saved, filled when
sent. Pages and jobs come here, actions never do: what fills templates is no part of the domain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.database import execute, value
from core.errors import Conflict, FieldError, Invalid, Stale
from core.messages.events import MessageTemplateChanged, MessageTemplateRemoved
from core.messages.kinds import MessageKind, Words
from core.messages.queries import find_template
from core.messages.schemas import Sealed
from core.messages.template_check import check_template, plain_values, render_template, schema_of
from core.settings.company import CompanySettings
from core.settings.queries import load_settings
from core.texts import N_, _

if TYPE_CHECKING:
    from core.messages.queries import TemplateRow
    from core.messages.schemas import TypedWords
    from core.scope import Scope

LANGUAGES: Final = {"en": N_("English"), "de": N_("German")}
LONGEST_SUBJECT: Final = 300


class Operator(Struct, frozen=True):
    """What every message may say of the sender."""

    name: str
    address: str
    """Of the pages."""
    email: str
    phone: str


class Filled(Struct, frozen=True):
    """Subject and text, ready to be sent."""

    subject: str
    text: str


def schema_for(kind: MessageKind) -> dict[str, Any]:
    """The names that words of this kind may use."""
    return {**schema_of(kind.fields), "operator": schema_of(Operator)}


async def words_of(kind: MessageKind, language: str) -> tuple[Words, TemplateRow | None]:
    """The words in this language: the tenant's, the tenant's for the language without its country, else ours."""
    short = language.replace("_", "-").split("-")[0].lower()
    own = await find_template(kind.key, short)
    return (Words(own.subject, own.body), own) if own else (kind.words_in(short), None)


async def fill(scope: Scope, kind: MessageKind, language: str, fields: Struct) -> Filled:
    """A message as it will be sent. Raises Invalid where the words cannot be filled."""
    words, _ = await words_of(kind, language)
    return fill_words(words, await _values(scope, fields, language))


async def fill_sample(scope: Scope, kind: MessageKind, language: str, typed: TypedWords) -> Filled:
    """What these words would look like, filled with the kind's sample. Raises Invalid naming each line at fault."""
    check_words(kind, typed)
    return fill_words(Words(typed.subject, typed.body), await _values(scope, kind.sample, language))


def check_words(kind: MessageKind, typed: TypedWords) -> None:
    """Raises Invalid naming each line of subject and text that is not allowed."""
    errors: list[FieldError] = []
    schema = schema_for(kind)
    for name, source in (("subject", typed.subject), ("body", typed.body)):
        if not source.strip():
            errors.append(FieldError(name, _("This cannot be left empty.")))
            continue
        try:
            check_template(source, schema, field=name)
        except Invalid as error:
            errors.extend(error.errors)
    if errors:
        raise Invalid(errors=errors)


async def save_words(scope: Scope, kind: MessageKind, language: str, typed: TypedWords) -> None:
    """Make these words the tenant's own for this kind and language. Refused as a whole if a line is not allowed, or if
    somebody else changed them since `typed.version`."""
    if kind.by_hand:
        raise Conflict(_("This message is written each time: it has no words to be edited beforehand."))
    if language not in LANGUAGES:
        raise Invalid(_("There is no language “%(language)s”.", language=language), field="language")
    await fill_sample(scope, kind, language, typed)
    async with unit_of_work(scope):
        old = await find_template(kind.key, language)
        standing = Words(old.subject, old.body) if old else kind.words_in(language)
        if (old.version if old else 0) != typed.version:
            theirs = {"subject": (standing.subject, typed.subject), "body": (standing.body, typed.body)}
            raise Stale(fields={name: both for name, both in theirs.items() if both[0] != both[1]})
        await execute(
            "INSERT INTO message_template (kind, language, subject, body, changed_at)"
            " VALUES (:kind, :language, :subject, :body, :now)"
            " ON CONFLICT (kind, language) DO UPDATE SET subject = excluded.subject, body = excluded.body,"
            " changed_at = excluded.changed_at, version = message_template.version + 1",
            kind=kind.key,
            language=language,
            subject=typed.subject,
            body=typed.body,
            now=scope.now(),
        )
        changes = {"subject": (standing.subject, typed.subject), "body": (standing.body, typed.body)}
        record(
            scope,
            MessageTemplateChanged(message_kind=kind.key, language=language),
            changes={name: both for name, both in changes.items() if both[0] != both[1]},
        )


async def remove_words(scope: Scope, kind: MessageKind, language: str) -> None:
    """Go back to the product's own words."""
    async with unit_of_work(scope):
        gone = await value(
            "DELETE FROM message_template WHERE kind = :kind AND language = :language RETURNING kind",
            kind=kind.key,
            language=language,
        )
        if gone is not None:
            record(scope, MessageTemplateRemoved(message_kind=kind.key, language=language))


def fill_words(words: Words, values: dict[str, Any]) -> Filled:
    subject = " ".join(render_template(words.subject, values).split())
    if not subject:
        raise Invalid(_("The subject would be empty."), field="subject")
    text = "\n".join(line.rstrip() for line in render_template(words.body, values).splitlines()).strip()
    return Filled(subject[:LONGEST_SUBJECT], text + "\n")


async def _values(scope: Scope, fields: Struct, language: str) -> dict[str, Any]:
    company = await load_settings(CompanySettings)
    operator = Operator(company.name, scope.tenant.address, company.email, company.phone)
    zone = scope.tenant.time_zone
    return {**plain_values(fields, language, zone), "operator": plain_values(operator, language, zone)}


def fields_from(scope: Scope, kind: MessageKind, text: str) -> Struct:
    """The fields as they were queued."""
    if kind.sealed:
        text = scope.keys.open(msgspec.json.decode(text, type=Sealed).sealed)
    return msgspec.json.decode(text, type=kind.fields)
