"""Notes on customers: written, changed, pinned and deleted by who wrote them, or by who may with those of others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.activity.unit import record, unit_of_work
from core.customers.events import NoteAdded, NoteChanged, NoteDeleted, NotePinned, NoteUnpinned
from core.customers.queries import lock_person
from core.customers.tables import Note
from core.database import scoped, value
from core.errors import Forbidden, Invalid, NotFound, Stale
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope

OTHERS: Final = "customers.notes"
"""The permission to change and delete what somebody else wrote."""


async def add_note(scope: Scope, customer_id: int, text: str, *, pinned: bool = False) -> int:
    """Kept as it was typed; gives its id."""
    async with unit_of_work(scope):
        await lock_person(scope, customer_id)
        note = Note(
            customer_id=customer_id,
            text=_kept(text),
            pinned=pinned,
            author=scope.actor.name,
            actor=scope.actor.key,
            created_at=scope.now(),
            updated_at=None,
            version=1,
        )
        await note.save()
        record(scope, NoteAdded(note_id=int(note.id), customer_id=customer_id))
        return int(note.id)


async def change_note(scope: Scope, customer_id: int, note_id: int, text: str, *, version: int) -> int:
    """Other words; gives the new version. Raises Stale where somebody saved it first."""
    async with unit_of_work(scope):
        note = await _own_note(scope, customer_id, note_id)
        if note.text == _kept(text):
            return int(note.version)
        if note.version != version:
            raise Stale(fields={"text": (note.text, text)})
        before, note.text = note.text, text
        note.updated_at = scope.now()
        note.version += 1
        await note.save([Note.text, Note.updated_at, Note.version])
        record(scope, NoteChanged(note_id=note_id, customer_id=customer_id), changes={"text": (before, text)})
        return int(note.version)


async def pin_note(scope: Scope, customer_id: int, note_id: int, *, pinned: bool) -> None:
    """Put a note on top, or back into its place by time."""
    async with unit_of_work(scope):
        note = await _own_note(scope, customer_id, note_id)
        if note.pinned is pinned:
            return
        note.pinned = pinned
        await note.save([Note.pinned])
        event = NotePinned if pinned else NoteUnpinned
        record(scope, event(note_id=note_id, customer_id=customer_id))


async def delete_note(scope: Scope, customer_id: int, note_id: int) -> None:
    """Its words are gone, from the activity too: only that there was one stays."""
    async with unit_of_work(scope):
        note = await _own_note(scope, customer_id, note_id)
        await note.remove()
        record(scope, NoteDeleted(note_id=note_id, customer_id=customer_id))


def may_change(scope: Scope, actor: str) -> bool:
    """Whether the one who acts may change and delete what this actor wrote."""
    return scope.may("customers.edit") and (actor == scope.actor.key or scope.may(OTHERS))


async def _own_note(scope: Scope, customer_id: int, note_id: int) -> Note:
    """Locked until the unit ends. Raises NotFound, and Forbidden for somebody else's without the permission."""
    note = await scoped(Note, scope).get(note_id)
    if note.customer_id != customer_id:
        raise NotFound(f"note {note_id} of customer {customer_id}")
    if not may_change(scope, note.actor):
        raise Forbidden(_("Somebody else wrote this note. Your role may change only your own."))
    await value("SELECT id FROM note WHERE id = :id FOR UPDATE", id=note_id)
    return await scoped(Note, scope).get(note_id)


def _kept(text: str) -> str:
    if not text.strip():
        raise Invalid(_("Fill this in."), field="text")
    return text
