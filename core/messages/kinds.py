"""Kinds of messages: each names the fields that its words may use, and brings words of its own.

A feature or plugin declares them as `MESSAGE_KINDS: Final = (MessageKind(...), ...)`, a frozen struct of plain values
for the fields of each; a plugin names them in its manifest. Texts, numbers, yes or no, dates, `Money`, lists and
further structs may be fields.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from msgspec import Struct

from core.errors import Invalid
from core.texts import N_, _


class Words(Struct, frozen=True):
    """Subject and text of a message, as templates."""

    subject: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageKind:
    """One kind. Declaring it makes its key known to `queue`.

    `words` by language, "en" at least. `sample` fills the preview where the words are edited. `about` says in a
    sentence when such a message is sent.
    """

    key: str
    label: str
    fields: type[Struct]
    sample: Struct
    words: Mapping[str, Words]
    about: str = ""
    by_hand: bool = False
    """Written by a person, word for word: there is nothing to edit beforehand."""
    sealed: bool = False
    """It holds a way in for its recipient alone: kept sealed until it is sent, shown to nobody, copied to no archive,
    and not kept afterwards."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What fields are, by their paths, for the list beside the editor: {"invoice.number": "Number of the invoice"}."""

    def __post_init__(self) -> None:
        if "en" not in self.words:
            raise TypeError(f"the kind of message “{self.key}” has no English words")
        if not isinstance(self.sample, self.fields):
            raise TypeError(f"the sample of “{self.key}” is no {self.fields.__name__}")
        other = KINDS.get(self.key)
        if other is not None and _origin(other) != _origin(self):
            raise TypeError(f"there are two kinds of messages named “{self.key}”")
        KINDS[self.key] = self

    def words_in(self, language: str) -> Words:
        """The product's own words in a language, “de-AT” as “de”; English where there are none."""
        return self.words.get(language.replace("_", "-").split("-")[0].lower()) or self.words["en"]


KINDS: Final[dict[str, MessageKind]] = {}
"""Every declared kind by its key."""

_PLUGINS: Final[dict[str, str]] = {}
"""The plugin that brings a kind, by the kind's key; none for the core's."""


def brought_by(plugin: str, kinds: Iterable[str]) -> None:
    """These kinds are for tenants that have the plugin switched on."""
    _PLUGINS.update(dict.fromkeys(kinds, plugin))


def kinds_for(plugins: Collection[str]) -> list[MessageKind]:
    """The kinds of a tenant with these plugins."""
    return [kind for kind in KINDS.values() if _PLUGINS.get(kind.key, "") in ("", *plugins)]


def kind_of(key: str) -> MessageKind:
    """The kind of this key. LookupError for one that nobody declares: its plugin is gone."""
    if key not in KINDS:
        raise LookupError(f"there is no kind of message named “{key}”: the module that declares it was not imported")
    return KINDS[key]


def known_kind(key: str) -> MessageKind:
    """As `kind_of`, for what somebody typed: raises Invalid."""
    if key not in KINDS:
        raise Invalid(_("There is no kind of message “%(key)s”.", key=key), field="kind")
    return KINDS[key]


def _origin(kind: MessageKind) -> Any:
    return kind.fields.__module__, kind.fields.__qualname__


class OwnWords(Struct, frozen=True, kw_only=True):
    """A message that somebody wrote."""

    subject: str
    text: str


BY_HAND: Final = MessageKind(
    key="by_hand",
    label=N_("Message"),
    fields=OwnWords,
    sample=OwnWords(subject="Work on the line on Tuesday", text=N_("We replace a cabinet in your street.")),
    words={"en": Words("{{ subject }}", "{{ text }}")},
    about=N_("Written by staff to one customer or many"),
    by_hand=True,
)

MESSAGE_KINDS: Final = (BY_HAND,)
