"""Notes on customers: written, pinned and deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.activity.unit import record, unit_of_work
from core.customers.events import NoteAdded, NoteDeleted
from core.customers.tables import Customer, Note
from core.database import scoped
from core.errors import NotFound

if TYPE_CHECKING:
    from core.scope import Scope


async def add_note(scope: Scope, customer_id: int, text: str, *, pinned: bool = False) -> int:
    async with unit_of_work(scope):
        await scoped(Customer, scope).get(customer_id)
        note = Note(
            customer_id=customer_id,
            text=text,
            pinned=pinned,
            author=scope.actor.name,
            created_at=scope.now(),
            updated_at=None,
        )
        await note.save()
        record(scope, NoteAdded(note_id=int(note.id), customer_id=customer_id))
        return int(note.id)


async def pin_note(scope: Scope, customer_id: int, note_id: int, *, pinned: bool) -> None:
    """Put a note on top, or back into its place by time; not worth a line in the activity."""
    async with unit_of_work(scope):
        note = await _note(scope, customer_id, note_id)
        note.pinned = pinned
        await note.save([Note.pinned])


async def delete_note(scope: Scope, customer_id: int, note_id: int) -> None:
    async with unit_of_work(scope):
        note = await _note(scope, customer_id, note_id)
        await note.remove()
        record(scope, NoteDeleted(note_id=note_id, customer_id=customer_id))


async def _note(scope: Scope, customer_id: int, note_id: int) -> Note:
    note = await scoped(Note, scope).get(note_id)
    if note.customer_id != customer_id:
        raise NotFound(f"note {note_id} of customer {customer_id}")
    return note
