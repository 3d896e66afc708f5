"""Notes on customers (C7)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from core.activity.actions import empty_values
from core.customers import actions, queries
from core.customers.schemas import NewCustomer
from core.customers.timeline import happenings
from core.errors import Forbidden, Invalid, Stale

if TYPE_CHECKING:
    from core.scope import Scope
    from core.testing import TestTenant


async def somebody(scope: Scope) -> int:
    return await actions.create_customer(scope, NewCustomer(full_name="Ann Other"))


def another(scope: Scope, *permissions: str) -> Scope:
    actor = replace(scope.actor, id=77, name="Nuala", permissions=frozenset({"customers.edit", *permissions}))
    return replace(scope, actor=actor)


async def test_C7_a_note_is_kept_as_it_was_typed_with_its_writer_and_times(scope: Scope) -> None:
    customer_id = await somebody(scope)
    text = "Ring before visiting:\n  the gate bell  is broken.\n\n<b>Dog</b> is friendly."

    note_id = await actions.add_note(scope, customer_id, text)
    assert (await queries.get_note(scope, customer_id, note_id)).updated_at is None
    await actions.change_note(scope, customer_id, note_id, f"{text}\nTwo dogs.", version=1)

    note = await queries.get_note(scope, customer_id, note_id)
    assert (note.text, note.author, note.version) == (f"{text}\nTwo dogs.", scope.actor.name, 2)
    assert note.updated_at == scope.now()
    with pytest.raises(Invalid):
        await actions.change_note(scope, customer_id, note_id, " \n ", version=2)


async def test_C7_somebody_else_s_note_is_changed_pinned_and_deleted_only_with_the_permission(scope: Scope) -> None:
    customer_id = await somebody(scope)
    note_id = await actions.add_note(scope, customer_id, "Mine")
    colleague, chief = another(scope), another(scope, "customers.notes")

    for deed in (
        actions.change_note(colleague, customer_id, note_id, "Theirs", version=1),
        actions.pin_note(colleague, customer_id, note_id, pinned=True),
        actions.delete_note(colleague, customer_id, note_id),
    ):
        with pytest.raises(Forbidden):
            await deed
    assert (await queries.get_note(scope, customer_id, note_id)).text == "Mine"

    await actions.change_note(chief, customer_id, note_id, "Theirs", version=1)
    await actions.pin_note(chief, customer_id, note_id, pinned=True)
    await actions.delete_note(chief, customer_id, note_id)
    assert await queries.list_notes(scope, customer_id) == []


async def test_C7_what_happens_to_a_note_is_written_to_the_activity_and_its_words_can_be_emptied(scope: Scope) -> None:
    customer_id = await somebody(scope)
    note_id = await actions.add_note(scope, customer_id, "Secret one")
    await actions.change_note(scope, customer_id, note_id, "Secret two", version=1)
    await actions.pin_note(scope, customer_id, note_id, pinned=True)
    await actions.pin_note(scope, customer_id, note_id, pinned=True)
    await actions.pin_note(scope, customer_id, note_id, pinned=False)
    await actions.delete_note(scope, customer_id, note_id)

    lines = await happenings(scope, customer_id=customer_id, limit=5)
    assert [line.text for line in lines] == [
        "Note deleted",
        "Note unpinned",
        "Note pinned",
        "Note changed",
        "Note added",
    ]
    assert [(change.old, change.new) for change in lines[3].changes] == [("Secret one", "Secret two")]

    await empty_values(scope, customer_id)

    assert "Secret" not in str(await happenings(scope, customer_id=customer_id, limit=5))


async def test_C7_a_note_that_two_change_keeps_what_was_saved_first_and_what_was_typed(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    page = await tenant.browser()
    await page.post(f"/customers/{customer_id}/notes", data={"text": "First"})
    (note,) = await queries.list_notes(scope, customer_id)
    at = f"/customers/{customer_id}/notes/{note.id}"

    first = await page.put(at, data={"version": "1", "text": "Theirs"})
    second = await page.put(at, data={"version": "1", "text": "Mine"})
    empty = await page.put(at, data={"version": "2", "text": " "})

    assert first.status_code == 200, first.text
    assert second.status_code == 409
    assert "Theirs" in second.text
    assert ">Mine</textarea>" in second.text
    assert empty.status_code == 422
    assert (await queries.get_note(scope, customer_id, note.id)).text == "Theirs"
    with pytest.raises(Stale):
        await actions.change_note(
            replace(scope, actor=replace(scope.actor, permissions=scope.actor.permissions | {"customers.notes"})),
            customer_id,
            note.id,
            "Mine",
            version=1,
        )


async def test_C7_the_tab_has_them_all_page_by_page_and_the_overview_the_pinned_and_the_latest(
    tenant: TestTenant,
) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    for number in range(60):
        await actions.add_note(scope, customer_id, f"note {number}.", pinned=number == 3)
    page = await tenant.browser()

    overview = await page.get(f"/customers/{customer_id}")
    tab = await page.get(f"/customers/{customer_id}/notes")
    older = re.search(r'href="([^"]*before=\d+)"', tab.text)
    assert older is not None
    rest = await page.get(older[1])

    def numbers(text: str) -> list[int]:
        return [int(one) for one in re.findall(r"note (\d+)\.<", text)]

    assert numbers(overview.text) == [3, 59, 58, 57, 56]
    assert numbers(tab.text) + numbers(rest.text) == [3, *(n for n in range(59, -1, -1) if n != 3)]


async def test_C7_who_may_not_change_a_note_is_offered_nothing(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    await actions.add_note(scope, customer_id, "Ours")
    await tenant.browser()  # whoever is first in the tenant is who writes in tests
    page = await tenant.browser(staff_id=await tenant.staff_with(("customers.view", "customers.edit")))

    shown = await page.get(f"/customers/{customer_id}/notes")
    (note,) = await queries.list_notes(scope, customer_id)
    refused = await page.delete(f"/customers/{customer_id}/notes/{note.id}")

    assert "Ours" in shown.text
    assert "Delete…" not in shown.text
    assert refused.status_code == 403


async def test_C7_notes_over_json(tenant: TestTenant) -> None:
    customer_id = await somebody(tenant.scope())
    api = await tenant.api()
    base = f"/api/v1/customers/{customer_id}/notes"

    made = (await api.post(base, json={"text": "Rang\ntwice"})).json()["id"]
    changed = await api.put(f"{base}/{made}", json={"text": "Rang", "version": 1})
    stale = await api.put(f"{base}/{made}", json={"text": "Wrote", "version": 1})
    pinned = await api.put(f"{base}/{made}/pinned", json={"pinned": True})
    gone = await api.delete(f"{base}/{made}")

    assert (changed.json()["text"], changed.json()["version"]) == ("Rang", 2)
    assert stale.status_code == 409
    assert pinned.json()["pinned"] is True
    assert gone.json() == {"id": made}
    assert (await api.get(base)).json() == []


async def test_C7_the_tab_counts_a_note_as_soon_as_it_is_written_and_no_longer_when_it_is_gone(
    tenant: TestTenant,
) -> None:
    scope = tenant.scope()
    customer_id = await somebody(scope)
    page = await tenant.browser()
    counted = 'data-t="Notes" aria-current="page" >Notes<span class="t-count'

    added = await page.post(f"/customers/{customer_id}/notes?all=yes", data={"text": "Dog"})
    beside = await page.post(f"/customers/{customer_id}/notes", data={"text": "Gate"})
    (first, second) = await queries.list_notes(scope, customer_id)
    await page.delete(f"/customers/{customer_id}/notes/{first.id}?all=yes")
    emptied = await page.delete(f"/customers/{customer_id}/notes/{second.id}?all=yes")

    assert counted in added.text, added.text
    assert 'data-t="General" aria-current="page"' in beside.text
    assert 'hx-target="#head"' in emptied.text
    assert counted not in emptied.text
