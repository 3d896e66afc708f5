"""The notes of a customer: in a tab of their own, and the latest beside its data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Response
from litestar.params import FromPath

from core.customers import actions, queries
from core.customers.actions.notes import may_change
from core.customers.head import head_values
from core.customers.schemas import NewNote, NoteChange
from core.errors import Invalid, Stale
from core.texts import _
from core.web.routing import delete, get, post, put
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.customers.schemas import NoteRow
    from core.scope import Scope
    from core.web.view import PageView

LATEST: Final = 5
"""Notes that stand beside the customer's data; pinned ones are the first of them."""
PAGE: Final = 50


async def note_values(scope: Scope, customer_id: int, *, everything: bool = False, before: str = "") -> dict[str, Any]:
    """What customers/_notes.html takes, for the tab or, without `everything`, for the overview."""
    start = int(before) if before.isdecimal() and len(before) < 19 else None
    limit = PAGE if everything else LATEST
    found = await queries.list_notes(scope, customer_id, before=start, limit=limit + 1)
    base = f"/customers/{customer_id}/notes"
    older = f"{base}?before={found[limit - 1].id}" if len(found) > limit else ""
    return {
        "notes": [_shown(scope, note) for note in found[:limit]],
        "everything": everything,
        "older": older if everything else "",
        "newest": base if everything and start is not None else "",
        "all_href": "" if everything else base,
    }


def _shown(scope: Scope, note: NoteRow) -> dict[str, Any]:
    return {"note": note, "may_change": may_change(scope, note.actor)}


@get("/customers/{customer_id:int}/notes", permission="customers.view")
async def show_notes(view: View, customer_id: FromPath[int]) -> Response[str]:
    head = await head_values(view, customer_id, _("Notes"))
    values = await note_values(view.scope, customer_id, everything=True, before=view.query.get("before", ""))
    return view.page("customers/notes.html", **head, **values)


@post("/customers/{customer_id:int}/notes", permission="customers.edit")
async def add_note(view: View, customer_id: FromPath[int]) -> Response[str]:
    try:
        data = await view.form(NewNote)
        await actions.add_note(view.scope, customer_id, data.text, pinned=data.pinned)
    except Invalid as error:
        typed = view.typed.get("text", [""])[-1]
        return await _notes(view, customer_id, status=422, errors=errors_by_field(error), typed=typed)
    return await _changed(view, customer_id)


@put("/customers/{customer_id:int}/notes/{note_id:int}/pinned", permission="customers.edit")
async def pin_note(view: View, customer_id: FromPath[int], note_id: FromPath[int]) -> Response[str]:
    await view.read()
    await actions.pin_note(view.scope, customer_id, note_id, pinned=view.typed.get("pinned") == ["yes"])
    return await _notes(view, customer_id)


@delete("/customers/{customer_id:int}/notes/{note_id:int}", permission="customers.edit")
async def delete_note(view: View, customer_id: FromPath[int], note_id: FromPath[int]) -> Response[str]:
    await actions.delete_note(view.scope, customer_id, note_id)
    return await _changed(view, customer_id)


async def _changed(view: PageView, customer_id: int) -> Response[str]:
    """There is one more or less, which the tab counts."""
    everything = view.query.get("all") == "yes"
    head = await head_values(view, customer_id, _("Notes") if everything else _("General"))
    values = await note_values(view.scope, customer_id, everything=everything)
    return view.page("customers/renewed.html", inside="customers/_notes.html", **head, **values)


async def _notes(
    view: PageView, customer_id: int, *, status: int = 200, errors: dict[str, str] | None = None, typed: str = ""
) -> Response[str]:
    return view.page(
        "customers/_notes.html",
        status=status,
        customer=await queries.get_customer(view.scope, customer_id),
        may_edit=True,
        errors=errors or {},
        typed=typed,
        **await note_values(view.scope, customer_id, everything=view.query.get("all") == "yes"),
    )


@get("/customers/{customer_id:int}/notes/{note_id:int}", permission="customers.view")
async def show_note(view: View, customer_id: FromPath[int], note_id: FromPath[int]) -> Response[str]:
    return await _note(view, customer_id, note_id)


@get("/customers/{customer_id:int}/notes/{note_id:int}/edit", permission="customers.edit")
async def edit_note(view: View, customer_id: FromPath[int], note_id: FromPath[int]) -> Response[str]:
    return await _note(view, customer_id, note_id, editing=True)


@put("/customers/{customer_id:int}/notes/{note_id:int}", permission="customers.edit")
async def save_note(view: View, customer_id: FromPath[int], note_id: FromPath[int]) -> Response[str]:
    try:
        data = await view.form(NoteChange)
        await actions.change_note(view.scope, customer_id, note_id, data.text, version=data.version)
    except Invalid as error:
        return await _note(view, customer_id, note_id, editing=True, status=422, errors=errors_by_field(error))
    except Stale:
        return await _note(view, customer_id, note_id, editing=True, status=409, stale=True)
    return await _note(view, customer_id, note_id)


async def _note(
    view: PageView,
    customer_id: int,
    note_id: int,
    *,
    editing: bool = False,
    status: int = 200,
    errors: dict[str, str] | None = None,
    stale: bool = False,
) -> Response[str]:
    note = await queries.get_note(view.scope, customer_id, note_id)
    return view.page(
        "customers/_note_edit.html" if editing else "customers/_note.html",
        status=status,
        customer=await queries.get_customer(view.scope, customer_id),
        n=_shown(view.scope, note),
        everything=view.query.get("all") == "yes",
        typed=view.typed.get("text", [note.text])[-1],
        version=view.typed.get("version", [""])[-1] if errors else note.version,
        errors=errors or {},
        stale=stale,
    )


HANDLERS = (
    show_notes,
    add_note,
    pin_note,
    delete_note,
    show_note,
    edit_note,
    save_note,
)
