"""The activity as people read it: what happened, by whom, with old and new values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from core.activity.events import text_of
from core.activity.queries import Entry, timeline
from core.customers.wording import Names, is_told, label_of, names_in
from core.money import format_money
from core.staff.queries import names_of
from core.texts import N_, _
from core.web.parts import Change, Happening

if TYPE_CHECKING:
    from core.scope import Scope

TEXTS: Final[dict[str, str]] = {
    "customer_created": N_("Customer created"),
    "customer_changed": N_("Customer changed"),
    "customer_status_changed": N_("Status changed"),
    "note_added": N_("Note added"),
    "tag_added": N_("Tag {tag} added"),
    "tag_removed": N_("Tag {tag} removed"),
}
_PAGES: Final = {
    "invoice": ("/invoices/{}", "documents.view"),
    "credit_note": ("/invoices/{}", "documents.view"),
    "payment": ("/payments/{}", "payments.view"),
    "subscription": ("/subscriptions/{}", "subscriptions.view"),
    "message": ("/messages/{}", "messages.view"),
}
"""Where a thing that something happened to is shown, by its kind, and the permission to see it there."""
_GONE: Final = frozenset({"draft_deleted"})
"""Kinds after which the thing is shown nowhere."""
_AMOUNTS: Final = ("amount_minor", "total_minor", "open_minor")
"""Facts that say how much it was about, in the fact `currency`."""


async def happenings(
    scope: Scope, *, customer_id: int | None = None, before: int | None = None, limit: int = 20
) -> list[Happening]:
    """The latest lines, newest first; names of people are looked up in one query."""
    found = await timeline(scope, customer_id=customer_id, before=before, limit=limit)
    return await in_words(scope, found, leading=True)


async def in_words(scope: Scope, entries: Sequence[Entry], *, leading: bool = False) -> list[Happening]:
    """The lines as they are read; `leading` to what they are about where that may be seen."""
    people = await names_of({key for entry in entries for key in (entry.actor, entry.on_behalf_of) if key})
    names = await names_in(scope, entries)
    return [
        _happening(entry, people, names, scope.locale, _page_of(entry, scope.may) if leading else "")
        for entry in entries
    ]


def _page_of(entry: Entry, may: Callable[[str], bool]) -> str:
    page, permission = _PAGES.get(entry.subject_kind, ("", ""))
    if not page or entry.subject_id is None or entry.kind in _GONE or not may(permission):
        return ""
    return page.format(entry.subject_id)


def _happening(entry: Entry, people: Mapping[str, str], names: Names, locale: str, href: str) -> Happening:
    by = people.get(entry.actor, entry.actor)
    if entry.on_behalf_of:
        by = _("%(name)s, on behalf of %(other)s", name=by, other=people.get(entry.on_behalf_of, entry.on_behalf_of))
    facts = {key: str(value) for key, value in entry.facts.items()}
    return Happening(
        position=entry.position,
        at=entry.at,
        text=", ".join(filter(None, (kind_in_words(entry.kind, _Facts(facts)), _amount(entry, locale)))),
        by=by,
        href=href,
        changes=[
            Change(
                label=label_of(change.field, entry.kind),
                old=names.shown(entry, change.field, change.old),
                new=_("erased") if change.emptied else names.shown(entry, change.field, change.new),
            )
            for change in entry.changes
            if is_told(change.field)
        ],
    )


def _amount(entry: Entry, locale: str) -> str:
    """How much it was about, with its currency; empty where it says none."""
    minor = next((entry.facts[name] for name in _AMOUNTS if name in entry.facts), None)
    currency = entry.facts.get("currency")
    return format_money(minor, currency, locale) if isinstance(minor, int) and isinstance(currency, str) else ""


def kind_in_words(kind: str, facts: Mapping[str, str]) -> str:
    """What an event of this kind says, with these facts in it."""
    text = _(TEXTS[kind]) if kind in TEXTS else text_of(kind)
    return text.format_map(facts)


class _Facts(dict[str, str]):
    """A text that names a fact which an old row does not have still reads."""

    def __missing__(self, key: str) -> str:
        return "–"
