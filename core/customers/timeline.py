"""The activity as people read it: what happened, by whom, with old and new values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING, Final

from core.activity.events import text_of
from core.activity.queries import Entry, timeline
from core.customers import contact_pages
from core.customers.sections import BILLING_TYPES, KINDS, LABELS, SEND_BY, TAX
from core.money import format_money
from core.staff.queries import names_of
from core.texts import N_, _
from core.web.parts import Change, Happening
from core.web.templating import written

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
_CHOICES: Final = {"kind": KINDS, "billing_type": BILLING_TYPES, "send_by": SEND_BY, "tax_profile": TAX}
_STATES: Final = (
    N_("active"), N_("ended"), N_("open"), N_("paused"), N_("pending"), N_("suspended"), N_("trial"), N_("waived"),
    N_("withdrawn"),
)  # fmt: skip
"""States of subscriptions and charges: they are recorded as their keys."""
_WORDS: Final = {
    **{(field, choice.value): choice.label for field, choices in _CHOICES.items() for choice in choices},
    **{("state", state): state for state in _STATES},
}


_LABELS: Final = {**contact_pages.LABELS, **LABELS}
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
_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_AMOUNTS: Final = ("amount_minor", "total_minor", "open_minor")
"""Facts that say how much it was about, in the fact `currency`."""


async def happenings(
    scope: Scope, *, customer_id: int | None = None, before: int | None = None, limit: int = 20
) -> list[Happening]:
    """The latest lines, newest first; names of people are looked up in one query."""
    found = await timeline(scope, customer_id=customer_id, before=before, limit=limit)
    return await in_words(found, scope.locale, may=scope.may)


async def in_words(
    entries: Sequence[Entry], locale: str, *, may: Callable[[str], bool] | None = None
) -> list[Happening]:
    """The lines as they are read; with `may`, leading to what they are about where that may be seen."""
    names = await names_of({key for entry in entries for key in (entry.actor, entry.on_behalf_of) if key})
    return [_happening(entry, names, locale, _page_of(entry, may) if may else "") for entry in entries]


def _page_of(entry: Entry, may: Callable[[str], bool]) -> str:
    page, permission = _PAGES.get(entry.subject_kind, ("", ""))
    if not page or entry.subject_id is None or entry.kind in _GONE or not may(permission):
        return ""
    return page.format(entry.subject_id)


def _happening(entry: Entry, names: Mapping[str, str], locale: str, href: str) -> Happening:
    by = names.get(entry.actor, entry.actor)
    if entry.on_behalf_of:
        by = _("%(name)s, on behalf of %(other)s", name=by, other=names.get(entry.on_behalf_of, entry.on_behalf_of))
    facts = {key: str(value) for key, value in entry.facts.items()}
    return Happening(
        position=entry.position,
        at=entry.at,
        text=", ".join(filter(None, (kind_in_words(entry.kind, _Facts(facts)), _amount(entry, locale)))),
        by=by,
        href=href,
        changes=[
            Change(
                label=_(_LABELS.get(change.field, change.field.replace("_", " ").capitalize())),
                old=_shown(change.field, change.old, locale),
                new=_("erased") if change.emptied else _shown(change.field, change.new, locale),
            )
            for change in entry.changes
            if not change.field.endswith(("_key", "_e164"))
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


def _shown(field: str, value: str | None, locale: str) -> str:
    """A value as the page writes it: choices by their labels, days in words."""
    if value and _DAY.fullmatch(value):
        with suppress(ValueError):  # 2026-02-30 was typed by somebody
            return written(date.fromisoformat(value), locale)
    word = _WORDS.get((field, value or ""))
    return _(word) if word else value or ""


class _Facts(dict[str, str]):
    """A text that names a fact which an old row does not have still reads."""

    def __missing__(self, key: str) -> str:
        return "–"
