"""The tenant's words of messages over JSON, a test of the mail server, and the outbox as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from litestar import Response
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from core.errors import Conflict
from core.messages import actions, queries, words
from core.messages.addresses import check_addresses
from core.messages.jobs import try_connection
from core.messages.kinds import kinds_for
from core.messages.routes import names_of, words_kind, words_language
from core.messages.schemas import TypedWords
from core.messages.settings import MailSettings
from core.messages.words import LANGUAGES
from core.settings.queries import load_settings
from core.staff.account import get_own
from core.texts import _
from core.web.jsonapi import Call, api_delete, api_get, api_post, api_put, version_read

if TYPE_CHECKING:
    from core.messages.kinds import MessageKind

Subject = Annotated[str, Meta(max_length=500)]
Body = Annotated[str, Meta(max_length=20_000)]


class MessageKindItem(Struct, frozen=True, kw_only=True):
    """A kind of message; `own` are the languages in which the tenant has words of its own."""

    kind: str
    label: str
    about: str
    languages: list[str]
    own: list[str]


class TemplateField(Struct, frozen=True):
    """A field that the words may use, by its path: `lines[].text` for what a loop gives."""

    path: str
    about: str


class MessageTemplateItem(Struct, frozen=True, kw_only=True):
    """The words of a kind in a language. `version` is 0 where they are the product's."""

    kind: str
    language: str
    subject: str
    body: str
    own: bool
    version: int
    fields: list[TemplateField]


class TemplatePut(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Subject and text, against the version that was read: in `version`, or in `If-Match`. 0 for the product's."""

    subject: Subject
    body: Body
    version: Annotated[int, Meta(ge=0)] | None = None


class WordsTried(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    subject: Subject
    body: Body


class WordsFilled(Struct, frozen=True):
    """A message as it would be sent."""

    subject: str
    text: str


class MailTest(Struct, frozen=True, forbid_unknown_fields=True):
    """Without `to` it goes to the staff user behind the token."""

    to: Annotated[str, Meta(max_length=254)] = ""


class MailAnswer(Struct, frozen=True):
    """What the mail server said."""

    answer: str


class Hurried(Struct, frozen=True):
    """How many messages."""

    messages: int


@api_get(
    "/message-templates",
    permission="settings.view",
    summary="Kinds of messages, and whose words they have",
)
async def list_templates(call: Call) -> list[MessageKindItem]:
    own: dict[str, list[str]] = {}
    for one in await queries.list_templates():
        own.setdefault(one.kind, []).append(one.language)
    return [
        MessageKindItem(
            kind=kind.key,
            label=_(kind.label),
            about=_(kind.about) if kind.about else "",
            languages=list(LANGUAGES),
            own=own.get(kind.key, []),
        )
        for kind in kinds_for(call.scope.plugins)
        if not kind.by_hand
    ]


@api_get(
    "/message-templates/{kind:str}/{language:str}",
    permission="settings.view",
    summary="The words of a kind of message in a language",
    description="With the fields that they may use. `ETag` is their version, for `If-Match` of a change.",
)
async def show_template(call: Call, kind: FromPath[str], language: FromPath[str]) -> Response[MessageTemplateItem]:
    found = await _template(words_kind(call.scope, kind), words_language(language))
    return Response(found, headers={"ETag": f'"{found.version}"'})


@api_put(
    "/message-templates/{kind:str}/{language:str}",
    permission="settings.edit",
    summary="Give a kind of message words of its own",
    description="The next messages say it so. 422 names each line that is not allowed; where somebody saved the words"
    " since they were read, nothing is saved: `details.fields` of the 409 holds both.",
)
async def change_template(
    call: Call, kind: FromPath[str], language: FromPath[str], data: JSONBody[TemplatePut]
) -> MessageTemplateItem:
    declared, spoken = words_kind(call.scope, kind), words_language(language)
    typed = TypedWords(subject=data.subject, body=data.body, version=version_read(call, data.version))
    await words.save_words(call.scope, declared, spoken, typed)
    return await _template(declared, spoken)


@api_delete(
    "/message-templates/{kind:str}/{language:str}",
    permission="settings.edit",
    summary="Go back to the product's words",
)
async def reset_template(call: Call, kind: FromPath[str], language: FromPath[str]) -> MessageTemplateItem:
    declared, spoken = words_kind(call.scope, kind), words_language(language)
    await words.remove_words(call.scope, declared, spoken)
    return await _template(declared, spoken)


@api_post(
    "/message-templates/{kind:str}/{language:str}/preview",
    permission="settings.view",
    summary="What words would look like",
    description="Filled with an example. Nothing is saved or sent.",
    status_code=200,
)
async def preview_template(
    call: Call, kind: FromPath[str], language: FromPath[str], data: JSONBody[WordsTried]
) -> WordsFilled:
    typed = TypedWords(subject=data.subject, body=data.body)
    filled = await words.fill_sample(call.scope, words_kind(call.scope, kind), words_language(language), typed)
    return WordsFilled(filled.subject, filled.text)


async def _template(kind: MessageKind, language: str) -> MessageTemplateItem:
    standing, own = await words.words_of(kind, language)
    return MessageTemplateItem(
        kind=kind.key,
        language=language,
        subject=standing.subject,
        body=standing.body,
        own=own is not None,
        version=own.version if own is not None else 0,
        fields=[TemplateField(path, about) for path, about in names_of(words.schema_for(kind), kind)],
    )


@api_post(
    "/mail/test",
    permission="settings.edit",
    summary="Send a test message through the mail server",
    description="At once and outside the outbox. What the server refuses is told with 409, one that is not reached with"
    " 503.",
    status_code=200,
    kept=False,
)
async def test_mail(call: Call, data: JSONBody[MailTest]) -> MailAnswer:
    settings = await load_settings(MailSettings, call.scope.keys)
    if not settings.is_set_up:
        raise Conflict(_("Save server and sender’s address first."))
    (to,) = check_addresses([data.to or (await get_own(call.scope)).email], "to")
    return MailAnswer(await try_connection(call.scope, settings, to))


@api_post(
    "/messages/attempts",
    permission="messages.send",
    summary="Try everything that waits again now",
    status_code=200,
)
async def try_now(call: Call) -> Hurried:
    return Hurried(await actions.try_now(call.scope))


@api_post(
    "/messages/release",
    permission="messages.send",
    summary="Let go what a restored copy holds back",
    description="The tenant that this is a copy of may have sent it already.",
    status_code=200,
)
async def release_held(call: Call) -> Hurried:
    return Hurried(await actions.let_messages_go(call.scope))


HANDLERS: Final = (
    list_templates,
    show_template,
    change_template,
    reset_template,
    preview_template,
    test_mail,
    try_now,
    release_held,
)
