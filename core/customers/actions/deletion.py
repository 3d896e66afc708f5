"""Deleting customers, one or many: with all that is theirs, or, where documents or postings must stay, by anonymising.

The guards are those of anonymising (`plan_erasure`): features and plugins refuse there who cannot go yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.activity.unit import record, savepoint, unit_of_work
from core.customers.actions.anonymise import blank_customers, erase, plan_erasure
from core.customers.events import CustomerChanged, CustomerDeleted
from core.customers.tables import Customer
from core.database import BrokenReference, execute, value, values, within
from core.errors import Invalid, NotFound
from core.hooks import Effect
from core.texts import _, ngettext

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.customers.actions.anonymise import ErasurePlan
    from core.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What deleting customers did: who is gone, who was anonymised since something of it must stay, and the rest of
    the plan."""

    gone: tuple[int, ...]
    kept: tuple[int, ...]
    effects: tuple[Effect, ...]


async def delete_customer(scope: Scope, customer_id: int, *, name: str | None = None) -> Deletion:
    """Delete a customer for ever. `name` is what was typed to confirm it, None where nobody is asked.

    Raises NotErasable with the reason while its status does not allow it, or something is open, owed or live; NotFound
    out of reach.
    """
    async with unit_of_work(scope):
        known = await value(
            "SELECT full_name FROM customer WHERE id = :id AND :within",
            id=customer_id,
            within=within(Customer, scope.actor.reach, write=True),
        )
        if known is None:
            raise NotFound(f"customer {customer_id}")
        if name is not None and " ".join(name.split()) != " ".join(str(known).split()):
            raise Invalid(_("Type the name as it stands above: %(name)s.", name=known), field="name")
        return await _delete(scope, await plan_erasure(scope, [customer_id]))


async def delete_customers(scope: Scope, customer_ids: Sequence[int]) -> dict[int, Sequence[Effect] | str]:
    """Delete those that may go; gives for each what was done, or why it stays. For many, in a few statements."""
    async with unit_of_work(scope):
        there = await values(
            "SELECT id FROM customer WHERE id IN :ids AND :within",
            ids=list(customer_ids),
            within=within(Customer, scope.actor.reach, write=True),
        )
        answers: dict[int, Sequence[Effect] | str] = {
            one: _("It is no longer there.") for one in set(customer_ids) - {int(each) for each in there}
        }
        going = [int(one) for one in there]
        plan = await plan_erasure(scope, going) if going else None
        if plan is not None and plan.refused:
            answers |= plan.refused
            going = [one for one in going if one not in plan.refused]
            plan = await plan_erasure(scope, going) if going else None
        if plan is not None:
            done = await _delete(scope, plan)
            answers |= dict.fromkeys(done.gone, (Effect(kind="data", text=_("Deleted, with all that is theirs")),))
            answers |= dict.fromkeys(done.kept, (Effect(kind="document", text=kept_words()),))
        return answers


def kept_words() -> str:
    return _("Anonymised instead: documents, postings or services of theirs must stay")


async def _delete(scope: Scope, plan: ErasurePlan) -> Deletion:
    ids = plan.customer_ids
    await erase(scope, plan)
    left = await _leave_children(scope, ids)
    gone = await _drop(ids)
    kept = [one for one in ids if one not in set(gone)]
    await blank_customers(scope, kept)
    for customer_id in gone:
        record(scope, CustomerDeleted(customer_id=customer_id))
    return Deletion(gone=tuple(gone), kept=tuple(kept), effects=(*plan.effects, *left))


async def _leave_children(scope: Scope, ids: Sequence[int]) -> list[Effect]:
    """Customers under them stand alone from now on."""
    children = await values(
        "UPDATE customer SET parent_id = NULL, version = version + 1 WHERE parent_id IN :ids AND id NOT IN :ids"
        " RETURNING id",
        ids=list(ids),
    )
    for child_id in children:
        record(scope, CustomerChanged(customer_id=int(child_id)))
    if not children:
        return []
    told = ngettext(
        "%(num)s customer under it has no parent then", "%(num)s customers under it have no parent then", len(children)
    )
    return [Effect(kind="warning", text=told)]


async def _drop(ids: Sequence[int]) -> list[int]:
    """The rows themselves; gives whose could go. Whom a document, a posting or a service must name stays."""
    try:
        async with savepoint():
            await _drop_all(ids)
            return list(ids)
    except BrokenReference:
        pass
    if len(ids) == 1:
        return []
    half = len(ids) // 2
    return [*await _drop(ids[:half]), *await _drop(ids[half:])]


async def _drop_all(ids: Sequence[int]) -> None:
    await execute("DELETE FROM import_customer WHERE customer_id IN :ids", ids=list(ids))
    await execute("UPDATE customer SET parent_id = NULL, payer_id = NULL WHERE id IN :ids", ids=list(ids))
    await execute("DELETE FROM customer WHERE id IN :ids", ids=list(ids))
