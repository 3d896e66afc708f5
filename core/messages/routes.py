"""Pages of messages: the outbox, one message, writing one, the tenant's words, the mail server and its test."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from litestar import Response
from litestar.params import FromPath
from msgspec import Struct

from core.customers.head import head_values
from core.customers.queries import get_customer
from core.documents.files import read_file
from core.errors import DomainError, FieldError, Invalid, NotFound, Stale
from core.hooks import Permission
from core.messages import actions, queries, words
from core.messages.addresses import check_addresses, on_the_wire, typed_addresses
from core.messages.jobs import try_connection
from core.messages.kinds import KINDS, MessageKind, kinds_for
from core.messages.listing import MESSAGES, PERSON, UNSENT, pill_of, subject_of
from core.messages.schemas import MessageFull, TypedMessage, TypedWords
from core.messages.settings import MailSettings
from core.messages.status import CANCELLABLE, FOR_A_PERSON, MessageState
from core.messages.words import LANGUAGES, Filled
from core.settings.actions import save_form
from core.settings.queries import load_settings
from core.texts import N_, _, number, pgettext
from core.web.parts import Choice, MenuEntry
from core.web.routing import get, post
from core.web.settings_pages import declare_settings, form_page
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.documents.files import FileRow
    from core.scope import Scope
    from core.web.view import PageView

PERMISSIONS: Final = (
    Permission("messages.view", N_("See messages and the outbox")),
    Permission("messages.send", N_("Write messages; send again, settle or cancel them")),
)
STATES: Final = (PERSON, UNSENT, MessageState.SENT)
"""What the list could show before it could be filtered: under these names addresses of it were kept."""


@get("/messages", permission="messages.view")
async def list_messages(view: View) -> Response[str]:
    if (shown := view.query.get("view", "")) in STATES:
        return view.go(f"/messages?state={shown}")
    if view.is_htmx:
        return await MESSAGES.page(view)
    counts = await queries.count_unsent(view.scope)
    return await MESSAGES.page(
        view,
        "messages/list.html",
        to_settle=counts.get(MessageState.UNKNOWN, 0) + counts.get(MessageState.FAILED, 0),
        held=counts.get(MessageState.HELD, 0),
        queued=counts.get(MessageState.QUEUED, 0),
        waiting=counts.get(MessageState.WAITING, 0),
        set_up=await queries.mail_is_set_up(),
        may_send=view.scope.may("messages.send"),
    )


@post("/messages/attempts", permission="messages.send")
async def try_now(view: View) -> Response[str]:
    hurried = await actions.try_now(view.scope)
    return view.go(
        f"/messages?state={UNSENT}",
        _("%(hurried)s tried again now.", hurried=number(hurried)) if hurried else _("Nothing had to wait."),
    )


@post("/messages/release", permission="messages.send")
async def release_held(view: View) -> Response[str]:
    released = await actions.let_messages_go(view.scope)
    return view.go(f"/messages?state={UNSENT}", _("%(released)s let go.", released=number(released)))


@get("/messages/{message_id:int}", permission="messages.view")
async def show_message(view: View, message_id: FromPath[int]) -> Response[str]:
    message = await queries.get_message(view.scope, message_id)
    filled, fault = await _words_of(view, message)
    return view.page(
        "messages/message.html",
        message=message,
        label=subject_of(message),
        pill=pill_of(message.state),
        filled=filled,
        fault=fault,
        files=await queries.list_message_files(view.scope, message_id),
        may_send=view.scope.may("messages.send"),
    )


@get("/messages/{message_id:int}/row-menu", permission="messages.view")
async def show_row_menu(view: View, message_id: FromPath[int]) -> Response[str]:
    """Into the menu that opens at the end of a row; without scripts the message's page has the same."""
    message = await queries.get_message(view.scope, message_id)
    if not view.is_htmx:
        return view.go(f"/messages/{message_id}")
    groups = [[MenuEntry(label=pgettext("verb", "Open"), icon="eye", href=f"/messages/{message_id}")]]
    if view.scope.may("messages.send"):
        groups.append(_deeds(message))
    return view.page("lists/_row_menu.html", label=subject_of(message), groups=groups)


@get("/messages/{message_id:int}/files/{file_id:int}", permission="messages.view")
async def show_file(view: View, message_id: FromPath[int], file_id: FromPath[int]) -> Response[bytes]:
    file = await message_file(view.scope, message_id, file_id)
    return file_answer(await read_file(view.scope, file), file.name, file.media_type)


async def message_file(scope: Scope, message_id: int, file_id: int) -> FileRow:
    files = await queries.list_message_files(scope, message_id)
    file = next((one for one in files if one.id == file_id), None)
    if file is None:
        raise NotFound(f"file {file_id} of message {message_id}")
    return file


@post("/messages/{message_id:int}/repetition", permission="messages.send")
async def send_again(view: View, message_id: FromPath[int]) -> Response[str]:
    await actions.send_again(view.scope, message_id)
    return view.go(f"/messages/{message_id}", _("It goes out again."))


@post("/messages/{message_id:int}/settlement", permission="messages.send")
async def mark_as_sent(view: View, message_id: FromPath[int]) -> Response[str]:
    await actions.mark_as_sent(view.scope, message_id)
    return view.go(f"/messages/{message_id}", _("Marked as sent."))


@post("/messages/{message_id:int}/cancellation", permission="messages.send")
async def cancel_message(view: View, message_id: FromPath[int]) -> Response[str]:
    await actions.cancel_message(view.scope, message_id)
    return view.go(f"/messages/{message_id}", _("Cancelled."))


@get("/customers/{customer_id:int}/messages", permission="messages.view")
async def list_of_customer(view: View, customer_id: FromPath[int]) -> Response[str]:
    head = await head_values(view, customer_id, _("Messages"))
    path = f"/customers/{customer_id}/messages"
    found, pager = await MESSAGES.embedded(view, {"customer_id": str(customer_id)}, path)
    return view.page(
        "messages/customer.html",
        **head,
        rows=found,
        labels={row.id: subject_of(row) for row in found},
        pills={state: pill_of(state) for state in MessageState},
        pager=pager,
        set_up=await queries.mail_is_set_up(),
    )


@get("/customers/{customer_id:int}/messages/new", permission="messages.send")
async def show_new(view: View, customer_id: FromPath[int]) -> Response[str]:
    return await _new_page(view, customer_id, {})


@post("/customers/{customer_id:int}/messages", permission="messages.send")
async def write_message(view: View, customer_id: FromPath[int]) -> Response[str]:
    await get_customer(view.scope, customer_id)
    try:
        typed = await view.form(TypedMessage)
        message_id = await actions.write_message(
            view.scope,
            customer_id,
            subject=typed.subject,
            text=typed.text,
            to=typed_addresses(typed.to),
            cc=typed_addresses(typed.cc),
        )
    except Invalid as error:
        return await _new_page(view, customer_id, errors_by_field(error), status=422)
    return view.go(f"/messages/{message_id}", _("Queued."))


async def _save_mail(scope: Scope, typed: Mapping[str, str | Sequence[str]]) -> int:
    """Gives how many messages that waited for a mail server go out now."""
    _check_mail(typed)
    await save_form(scope, MailSettings, typed)
    return await actions.try_now(scope)


declare_settings("/settings/mail", MailSettings, save=_save_mail)


@get("/settings/mail", permission="settings.view")
async def show_mail(view: View) -> Response[str]:
    return await _mail_page(view)


@post("/settings/mail", permission="settings.edit", fresh=True)
async def save_mail(view: View) -> Response[str]:
    await view.read()
    try:
        released = await _save_mail(view.scope, view.typed)
    except Invalid as error:
        return await _mail_page(view, errors=errors_by_field(error), status=422)
    return view.go(
        "/settings/mail",
        _("Saved. %(released)s waiting messages go out now.", released=number(released)) if released else _("Saved."),
    )


class Tested(Struct, frozen=True):
    """How a test went, for the page."""

    ok: bool
    at: datetime
    text: str


@post("/settings/mail/test", permission="settings.edit")
async def test_mail(view: View) -> Response[str]:
    settings = await load_settings(MailSettings, view.scope.keys)
    if not settings.is_set_up:
        return await _mail_page(
            view, tested=Tested(False, view.scope.now(), _("Save server and sender’s address first."))
        )
    try:
        said = await try_connection(view.scope, settings, view.visit.email)
        tested = Tested(True, view.scope.now(), _("The server said: %(said)s", said=said))
    except DomainError as error:
        tested = Tested(False, view.scope.now(), error.message)
    return await _mail_page(view, tested=tested)


@get("/settings/messages", permission="settings.view")
async def list_kinds(view: View) -> Response[str]:
    own = {(row.kind, row.language) for row in await queries.list_templates()}
    kinds = sorted((kind for kind in kinds_for(view.scope.plugins) if not kind.by_hand), key=lambda kind: _(kind.label))
    return view.page(
        "messages/kinds.html", kinds=kinds, languages={key: _(label) for key, label in LANGUAGES.items()}, own=own
    )


@get("/settings/messages/{kind:str}/{language:str}", permission="settings.view")
async def show_words(view: View, kind: FromPath[str], language: FromPath[str]) -> Response[str]:
    return await _words_page(view, words_kind(view.scope, kind), words_language(language))


@post("/settings/messages/{kind:str}/{language:str}", permission="settings.edit")
async def save_words(view: View, kind: FromPath[str], language: FromPath[str]) -> Response[str]:
    declared = words_kind(view.scope, kind)
    try:
        await words.save_words(view.scope, declared, words_language(language), await view.form(TypedWords))
    except Invalid as error:
        return await _words_page(view, declared, language, errors=errors_by_field(error), faults=error, status=422)
    except Stale as error:
        return await _words_page(view, declared, language, errors={"": error.message}, status=409)
    return view.go(f"/settings/messages/{kind}/{language}", _("Saved. The next messages say it so."))


@post("/settings/messages/{kind:str}/{language:str}/preview", permission="settings.view")
async def preview_words(view: View, kind: FromPath[str], language: FromPath[str]) -> Response[str]:
    filled = Filled("", "")
    faults: tuple[FieldError, ...] = ()
    try:
        typed = await view.form(TypedWords)
        filled = await words.fill_sample(view.scope, words_kind(view.scope, kind), words_language(language), typed)
    except Invalid as error:
        faults = error.errors
    return view.page("messages/_preview.html", filled=filled, faults=faults)


@post("/settings/messages/{kind:str}/{language:str}/reset", permission="settings.edit")
async def reset_words(view: View, kind: FromPath[str], language: FromPath[str]) -> Response[str]:
    await words.remove_words(view.scope, words_kind(view.scope, kind), words_language(language))
    return view.go(f"/settings/messages/{kind}/{language}", _("Back to the words that came with Tenantry."))


def file_answer(data: bytes, name: str, media_type: str, *, saved: bool = False) -> Response[bytes]:
    """A stored file for the browser: PDFs are shown, everything else (and what is to be `saved`) is saved; never taken
    for something else."""
    inline = media_type == "application/pdf" and not saved
    ascii_name = name.encode("ascii", "replace").decode().replace('"', "'").replace("?", "_")
    return Response(
        data,
        media_type=media_type if inline else "application/octet-stream",
        headers={
            "Content-Disposition": f'{"inline" if inline else "attachment"}; filename="{ascii_name}"',
            "X-Content-Type-Options": "nosniff",
        },
    )


def _deeds(message: MessageFull) -> list[MenuEntry]:
    """What may be done with it, the rest greyed."""
    refused = _("It is: %(state)s", state=pill_of(message.state).label)
    question = {
        MessageState.UNKNOWN: _("The recipients may have it already. Send it again?"),
        MessageState.HELD: _("Send it from this copy? The tenant that this is a copy of may have sent it already."),
    }.get(message.state, "")
    asked = {"hx-confirm": question, "data-do": _("Send message"), "data-keep": _("Leave it")} if question else {}

    def post_to(path: str) -> dict[str, str]:
        return {"hx-post": f"/messages/{message.id}/{path}", "hx-swap": "none"}

    return [
        MenuEntry(
            label=_("Send again…") if asked else _("Send again"),
            icon="send",
            refused="" if message.state in FOR_A_PERSON else refused,
            attrs={**post_to("repetition"), **asked},
        ),
        MenuEntry(
            label=_("Mark as sent"),
            icon="check",
            refused="" if message.state == MessageState.UNKNOWN else refused,
            attrs=post_to("settlement"),
        ),
        MenuEntry(
            label=_("Cancel message"),
            icon="ban",
            danger=True,
            refused="" if message.state in CANCELLABLE else refused,
            attrs=post_to("cancellation"),
        ),
    ]


async def _words_of(view: PageView, message: MessageFull) -> tuple[Filled, str]:
    """The words as they were sent, or as they would be now; and why they cannot be filled."""
    if message.state == MessageState.SENT or message.fields == "{}":
        return Filled(message.subject, message.body), ""
    if message.kind not in KINDS:
        return Filled("", ""), _("Nothing knows this kind of message any more: its plugin is switched off or gone.")
    kind = KINDS[message.kind]
    if kind.sealed:
        return Filled("", ""), _("It holds a link for its recipient alone, so its text is not shown.")
    try:
        fields = words.fields_from(view.scope, kind, message.fields)
        return await words.fill(view.scope, kind, message.language, fields), ""
    except Invalid as error:
        return Filled("", ""), error.message


async def _new_page(view: PageView, customer_id: int, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    head = await head_values(view, customer_id, _("Messages"))
    to = ", ".join(await queries.customer_addresses(view.scope, customer_id))
    return view.page(
        "messages/new.html",
        status=status,
        **head,
        values=view.shown(to=to, cc="", subject="", text=""),
        errors=errors,
        set_up=await queries.mail_is_set_up(),
    )


def _check_mail(typed: Mapping[str, str | Sequence[str]]) -> None:
    def given(name: str) -> list[str]:
        texts = typed.get(name, ())
        return [text for text in ([texts] if isinstance(texts, str) else texts) if text.strip()]

    for name in ("sender_address", "reply_to", "bcc"):
        check_addresses(given(name), name)
        for address in given(name):
            on_the_wire(address)
    host, sender = (given(name) for name in ("host", "sender_address"))
    if host and not sender:
        raise Invalid(_("Without a sender’s address nothing is sent."), field="sender_address")


async def _mail_page(
    view: PageView, *, errors: dict[str, str] | None = None, status: int = 200, tested: Tested | None = None
) -> Response[str]:
    counts = await queries.count_unsent(view.scope)
    return await form_page(
        view,
        MailSettings,
        "/settings/mail",
        title=_("Mail"),
        noun=_("mail server"),
        write="settings.edit",
        errors=errors,
        status=status,
        template="settings/mail.html",
        waiting=counts.get(MessageState.WAITING, 0) + counts.get(MessageState.QUEUED, 0),
        tested=tested,
        test_action="/settings/mail/test",
        my_email=view.visit.email,
    )


async def _words_page(
    view: PageView,
    kind: MessageKind,
    language: str,
    *,
    errors: dict[str, str] | None = None,
    faults: Invalid | None = None,
    status: int = 200,
) -> Response[str]:
    standing, own = await words.words_of(kind, language)
    preview = Filled("", "")
    if not errors:
        typed = TypedWords(subject=standing.subject, body=standing.body)
        preview = await words.fill_sample(view.scope, kind, language, typed)
    return view.page(
        "messages/words.html",
        status=status,
        kind=kind,
        language=language,
        languages=[Choice(key, _(label)) for key, label in LANGUAGES.items()],
        values=view.shown(subject=standing.subject, body=standing.body, version=str(own.version if own else 0)),
        version=own.version if own else 0,
        own=own is not None,
        names=names_of(words.schema_for(kind), kind),
        filled=preview,
        faults=faults.errors if faults else (),
        errors=errors or {},
        may_change=view.scope.may("settings.edit"),
    )


def names_of(schema: dict[str, Any], kind: MessageKind, above: str = "") -> list[tuple[str, str]]:
    """Every field by its path, with what it is: “lines[].text” for what a loop gives."""
    found: list[tuple[str, str]] = []
    for name, shape in schema.items():
        path = f"{above}{name}"
        if isinstance(shape, list):
            found.append((path, _(kind.names.get(path, N_("A list, for a loop")))))
            if isinstance(shape[0], dict):
                found.extend(names_of(shape[0], kind, f"{path}[]."))
        elif isinstance(shape, dict):
            found.extend(names_of(shape, kind, f"{path}."))
        else:
            found.append((path, _(kind.names[path]) if path in kind.names else ""))
    return found


def words_kind(scope: Scope, key: str) -> MessageKind:
    """A kind with words to be edited. Raises NotFound, also where its plugin is off."""
    found = next((kind for kind in kinds_for(scope.plugins) if kind.key == key and not kind.by_hand), None)
    if found is None:
        raise NotFound(f"kind of message {key}")
    return found


def words_language(language: str) -> str:
    if language not in LANGUAGES:
        raise NotFound(f"language {language}")
    return language


HANDLERS: Final = (
    list_messages,
    show_row_menu,
    try_now,
    release_held,
    show_message,
    show_file,
    send_again,
    mark_as_sent,
    cancel_message,
    list_of_customer,
    show_new,
    write_message,
    show_mail,
    save_mail,
    test_mail,
    list_kinds,
    show_words,
    save_words,
    preview_words,
    reset_words,
)
