"""The activity as people read it: what happened, by whom, with old and new values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

from core.activity.events import text_of
from core.activity.queries import Entry, timeline
from core.customers import contact_pages
from core.customers.sections import BILLING_TYPES, KINDS, LABELS, SEND_BY, TAX
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


async def happenings(
    scope: Scope, *, customer_id: int | None = None, before: int | None = None, limit: int = 20
) -> list[Happening]:
    """The latest lines, newest first; names of people are looked up in one query."""
    return await in_words(await timeline(scope, customer_id=customer_id, before=before, limit=limit), scope.locale)


async def in_words(entries: Sequence[Entry], locale: str) -> list[Happening]:
    names = await names_of({key for entry in entries for key in (entry.actor, entry.on_behalf_of) if key})
    return [happening_of(entry, names, locale) for entry in entries]


def happening_of(entry: Entry, names: Mapping[str, str], locale: str) -> Happening:
    by = names.get(entry.actor, entry.actor)
    if entry.on_behalf_of:
        by = _("%(name)s, on behalf of %(other)s", name=by, other=names.get(entry.on_behalf_of, entry.on_behalf_of))
    facts = {key: str(value) for key, value in entry.facts.items()}
    return Happening(
        position=entry.position,
        at=entry.at,
        text=kind_in_words(entry.kind, _Facts(facts)),
        by=by,
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


def kind_in_words(kind: str, facts: Mapping[str, str]) -> str:
    """What an event of this kind says, with these facts in it."""
    text = _(TEXTS[kind]) if kind in TEXTS else text_of(kind)
    return text.format_map(facts)


def _shown(field: str, value: str | None, locale: str) -> str:
    """A value as the page writes it: choices by their labels, days in words."""
    if value and field in ("joined_on", "happens_on"):
        return written(date.fromisoformat(value), locale)
    word = _WORDS.get((field, value or ""))
    return _(word) if word else value or ""


class _Facts(dict[str, str]):
    """A text that names a fact which an old row does not have still reads."""

    def __missing__(self, key: str) -> str:
        return "–"
