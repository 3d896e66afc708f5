"""Anonymising customers: why some cannot be yet, what goes, and how nothing of it stays behind in the files.

Deleting has the same guards and erases the same: `plan_erasure` serves both, `erase` does it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core import hookspecs
from core.activity.actions import empty_values
from core.activity.unit import record, unit_of_work
from core.customers.events import CustomerAnonymised
from core.customers.importing.actions import erase_traces
from core.customers.plans import carry_out
from core.customers.status import PlannedState
from core.customers.tables import Customer
from core.database import Everything, dialect, execute, row, rows, value, values, within
from core.errors import Conflict, Invalid, NotFound, Unavailable
from core.hooks import Effect, plan_digest
from core.ids import sort_key
from core.jobs.actions import enqueue, erase_jobs, forget_said
from core.lists.bulk import forget_rows
from core.lists.forgetting import forget_searches
from core.texts import _, in_sentence, ngettext, speaking
from core.web.erasing import erase_answers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.scope import Scope

FINISH: Final = "customers.finish_erasing"
"""Name of the job kind, declared in `jobs`."""
PIECE: Final = 500
"""Pages of an index of words that are merged in one transaction."""
MERGED: Final = 2
"""Changes that the index counts where it merged something; fewer say that nothing was left to merge."""
SHORTEST: Final = 5
"""Letters of a text that is looked for in what work on many customers has said: shorter ones stand in anything."""


class NotErasable(Conflict):
    """Some of the customers cannot be anonymised or deleted yet. `reasons` tells why, by customer."""

    def __init__(self, reasons: Mapping[int, str]) -> None:
        first = min(reasons)
        told = reasons[first]
        if len(reasons) > 1:
            told = _(
                "%(count)s customers cannot be erased yet. Customer %(id)s: %(reason)s",
                count=len(reasons),
                id=first,
                reason=told,
            )
        super().__init__(told)
        self.reasons = dict(reasons)

    @property
    def details(self) -> Mapping[str, object]:
        return {"reasons": {str(customer_id): reason for customer_id, reason in self.reasons.items()}}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasurePlan:
    """What would be erased of these customers, or who stands in the way. Nobody may be refused when it is done."""

    customer_ids: tuple[int, ...]
    refused: Mapping[int, str]
    effects: tuple[Effect, ...]
    kept_files: tuple[int, ...]

    @property
    def fingerprint(self) -> str:
        """The same for two plans exactly when they say and rest on the same."""
        return plan_digest(self.effects)[:32]


async def anonymise_customer(
    scope: Scope, customer_id: int, *, name: str | None = None, seen: str | None = None
) -> ErasurePlan:
    """Erase the person behind a customer; what was issued stays until its time is over. It cannot be undone.

    `name` is what was typed to confirm it: Invalid where it is another one; None where nobody is asked for it. `seen`
    is the fingerprint of the plan that was shown: Conflict where another one came out now. Raises NotErasable with the
    reason while something is live, open or owed. Gives the plan that was done.
    """
    async with unit_of_work(scope):
        plan = await plan_erasure(scope, [customer_id])
        if plan.refused:
            raise NotErasable(plan.refused)
        known = await value("SELECT full_name FROM customer WHERE id = :id", id=customer_id)
        if name is not None and " ".join(name.split()) != " ".join(str(known).split()):
            raise Invalid(_("Type the name as it stands here: %(name)s.", name=known), field="name")
        if seen is not None and seen != plan.fingerprint:
            raise Conflict(_("Something has changed since this was worked out. Look at the new plan, then send it."))
        await erase(scope, plan)
        await blank_customers(scope, plan.customer_ids)
        return plan


async def anonymise_customers(scope: Scope, customer_ids: Sequence[int]) -> ErasurePlan:
    """The same for many in one commit, all or none. NotErasable names everyone who stands in the way."""
    async with unit_of_work(scope):
        plan = await plan_erasure(scope, customer_ids)
        await erase(scope, plan)
        await blank_customers(scope, plan.customer_ids)
        return plan


async def plan_erasure(scope: Scope, customer_ids: Sequence[int]) -> ErasurePlan:
    """What anonymising or deleting these customers would erase, and who cannot be yet; locks their rows.

    The first reason found is told: those of the customer itself before those of upper features and plugins. NotFound
    where one of them is out of reach.
    """
    ids = sorted(set(customer_ids))
    found = await values(
        "SELECT id FROM customer WHERE id IN :ids AND :within ORDER BY id FOR UPDATE",
        ids=ids,
        within=within(Customer, scope.actor.reach, write=True),
    )
    if missing := sorted(set(ids) - {int(each) for each in found}):
        raise NotFound(f"customers {missing}")
    refused = await _own_refusals(ids)
    parts = await scope.hooks.plan(hookspecs.plan_customer_erasure, scope=scope, customer_ids=ids)
    effects = await _own_effects(ids)
    kept: list[int] = []
    for part in parts.values():
        refused = {**part.refused, **refused}
        effects += part.effects
        kept += part.kept_files
    files = await _other_files(ids, kept)
    if files:
        told = ngettext("%(num)s file", "%(num)s files", len(files))
        effects.append(Effect(kind="data", text=told, inputs=str(files)))
    return ErasurePlan(
        customer_ids=tuple(ids),
        refused={one: refused[one] for one in ids if one in refused},
        effects=tuple(effects),
        kept_files=tuple(kept),
    )


async def erase(scope: Scope, plan: ErasurePlan) -> None:
    """Everything about these customers that lies outside their own rows. Raises NotErasable where somebody is refused.

    In the unit of work in which the plan was made. The customers' rows are blanked (`blank_customers`) or deleted then.
    """
    if plan.refused:
        raise NotErasable(plan.refused)
    ids = plan.customer_ids
    texts = await _texts_of(ids)
    everywhere = scope.as_actor(replace(scope.actor, reach=Everything()))
    await erase_traces(everywhere, *ids, texts=texts)
    await carry_out(scope, plan.effects)
    files = await _other_files(ids, plan.kept_files)
    if files:
        await execute("DELETE FROM stored_file WHERE id IN :files", files=files)
    await erase_jobs(scope, ids, texts)
    await forget_rows(ids, "customers")
    await forget_searches(scope, texts)
    await erase_answers(scope, texts)
    await empty_values(scope, *ids)
    for table in ("contact", "note", "customer_tag", "customer_address"):
        await execute(f"DELETE FROM {table} WHERE customer_id IN :ids", ids=ids)
    await execute(
        "UPDATE planned_status SET note = '', refusal = '', finished_at = coalesce(finished_at, :now),"
        " state = CASE state WHEN 'planned' THEN :cancelled ELSE state END WHERE customer_id IN :ids",
        ids=ids,
        now=scope.now(),
        cancelled=PlannedState.CANCELLED,
    )
    now = scope.now()
    await enqueue(scope, FINISH, Finish(), dedupe_key=f"{FINISH}:{now:%Y-%m-%dT%H:%M}")


async def blank_customers(scope: Scope, customer_ids: Sequence[int]) -> None:
    """The rows themselves: a number is left, and what says nothing of a person."""
    with speaking(scope.tenant.language):
        label = _("Anonymised customer")
    columns = ", ".join(f"{name} = ''" for name in _BLANKED)
    await execute(
        "UPDATE customer SET full_name = :label || ' ' || CAST(id AS text),"
        f" name_key = :key || ' ' || CAST(id AS text), {columns}, lat = NULL, lon = NULL, tags_key = '',"
        " anonymised_at = :now, version = version + 1"
        " WHERE id IN :ids",
        label=label,
        key=sort_key(label),
        now=scope.now(),
        ids=customer_ids,
    )
    for customer_id in customer_ids:
        record(scope, CustomerAnonymised(customer_id=customer_id))


_BLANKED: Final = (
    "company",
    "login",
    "login_key",
    "email_key",
    "phone_e164",
    "street",
    "zip",
    "city",
    "city_key",
    "vat_id",
    "external_ref",
    "password_hash",
    "password_copy",
    "tax_reason",
)


class Finish(Struct, frozen=True):
    """What is left after the commit needs no telling."""


async def finish_erasing(scope: Scope) -> None:
    """After the commit: out of the indexes of words, where what was removed stays until its pages are merged, and out
    of the write-ahead log. PostgreSQL does both by itself, with its vacuum.

    Raises Unavailable while somebody reads what was there before: the log must be kept for that one.
    """
    if dialect() != "sqlite":
        return
    for index in ("customer_words", "customer_words_sample", "customer_pieces"):
        pages, changed = -PIECE, MERGED
        while changed >= MERGED:
            async with unit_of_work(scope):
                before = int(await value("SELECT total_changes()"))
                await execute(f"INSERT INTO {index} ({index}, rank) VALUES ('merge', :pages)", pages=pages)
                changed = int(await value("SELECT total_changes()")) - before
            pages = PIECE
    if await value("PRAGMA wal_checkpoint(TRUNCATE)"):
        raise Unavailable(_("Somebody still reads what was erased. It is taken out of the file once that is over."))


async def forget_the_anonymised(scope: Scope) -> int:
    """Jobs that were still to do when their customer was anonymised or went with an undone import, and are over now.
    Gives how many."""
    return await forget_said(
        scope,
        "SELECT id FROM customer WHERE anonymised_at IS NOT NULL UNION ALL SELECT j.customer_id FROM job j"
        " WHERE j.customer_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM customer c WHERE c.id = j.customer_id)",
    )


# -- what stands in the way, and what there is -------------------------------------------------------------------------


class _Standing(Struct, frozen=True):
    id: int
    status_label: str
    may_delete: bool
    live: int
    is_anonymised: bool
    pays_for: int
    working: int


async def _own_refusals(ids: Sequence[int]) -> dict[int, str]:
    found = await rows(
        _Standing,
        "SELECT c.id, status.label AS status_label, status.may_delete, c.live_subscriptions AS live,"
        " c.anonymised_at IS NOT NULL AS is_anonymised,"
        " (SELECT count(*) FROM customer p WHERE p.payer_id = c.id AND p.id <> c.id) AS pays_for,"
        " (SELECT count(*) FROM job WHERE job.customer_id = c.id AND job.state IN ('running', 'sending')) AS working"
        " FROM customer c JOIN status ON status.id = c.status_id WHERE c.id IN :ids",
        ids=ids,
    )
    refused: dict[int, str] = {}
    for one in found:
        if one.is_anonymised:
            refused[one.id] = _("It is anonymised already.")
        elif one.live:
            refused[one.id] = ngettext(
                "It has a live subscription. End it first.",
                "It has %(num)s live subscriptions. End them first.",
                one.live,
            )
        elif not one.may_delete:
            refused[one.id] = await _wrong_status(one.status_label)
        elif one.pays_for:
            refused[one.id] = _("It pays for other customers. Change their payer first.")
        elif one.working:
            refused[one.id] = _("Something is being done for it right now. Try again in a moment.")
    return refused


async def _wrong_status(label: str) -> str:
    allowed = await values("SELECT label FROM status WHERE may_delete ORDER BY position, id")
    return _(
        "It is %(status)s. Only a customer that is %(others)s can go.",
        status=in_sentence(_(label)),
        others=", ".join(in_sentence(_(each)) for each in allowed) or _("in a status that allows it"),
    )


class _Held(Struct, frozen=True):
    people: int
    notes: int
    changes: int


async def _own_effects(ids: Sequence[int]) -> list[Effect]:
    held = await row(
        _Held,
        "SELECT (SELECT count(*) FROM contact WHERE customer_id IN :ids) AS people,"
        " (SELECT count(*) FROM note WHERE customer_id IN :ids) AS notes,"
        " (SELECT count(*) FROM activity_value v JOIN activity a ON a.position = v.position"
        " WHERE a.customer_id IN :ids AND v.salt IS NOT NULL) AS changes",
        ids=ids,
    )
    assert held is not None
    told = [_("Name, address, e-mails, phones, login, reference and VAT id")]
    if held.people:
        told.append(ngettext("%(num)s user or contact", "%(num)s users and contacts", held.people))
    if held.notes:
        told.append(ngettext("%(num)s note", "%(num)s notes", held.notes))
    if held.changes:
        told.append(_("Old and new values in the activity"))
    return [Effect(kind="data", text=text) for text in told]


async def _other_files(ids: Sequence[int], kept: Sequence[int]) -> list[int]:
    """Stored files of these customers that nobody must keep."""
    found = await values("SELECT id FROM stored_file WHERE customer_id IN :ids ORDER BY id", ids=ids)
    staying = set(kept)
    return [int(each) for each in found if int(each) not in staying]


async def _texts_of(ids: Sequence[int]) -> set[str]:
    """What these customers are called, written to and rung by."""
    found = await values(
        "SELECT full_name FROM customer WHERE id IN :ids UNION SELECT company FROM customer WHERE id IN :ids"
        " UNION SELECT login FROM customer WHERE id IN :ids UNION SELECT phone_e164 FROM customer WHERE id IN :ids"
        " UNION SELECT value FROM customer_address WHERE customer_id IN :ids"
        " UNION SELECT value_key FROM customer_address WHERE customer_id IN :ids"
        " UNION SELECT first_name || ' ' || surname FROM contact WHERE customer_id IN :ids"
        " UNION SELECT email FROM contact WHERE customer_id IN :ids"
        " UNION SELECT email FROM email_change WHERE customer_id IN :ids",
        ids=ids,
    )
    return {str(each) for each in found if len(str(each)) >= SHORTEST}
