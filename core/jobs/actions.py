"""Enqueueing work, and what a person may do with it: cancel, let it run again, settle what is unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from core.activity.unit import record, unit_of_work, wake_after_commit
from core.database import Everything, OneCustomer, Partitions, all_of, execute, row, scoped, stream, value
from core.errors import Conflict
from core.ids import says_one_of
from core.jobs.events import JobCancelledByHand, JobSettledByHand, JobsLetGo, JobStartedAgain
from core.jobs.kinds import KINDS, JobKind, P, of_crowd
from core.jobs.status import FOR_A_PERSON, JobState
from core.jobs.tables import Job
from core.scope import Actor, ActorKind
from core.texts import _, in_sentence

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from core.scope import Scope


class _KeptActor(Struct, frozen=True, omit_defaults=True):
    """The actor as it stands in a job: with the reach and the permissions it had, without the name of a person."""

    kind: ActorKind
    id: int | None = None
    name: str = ""
    partitions: list[int] | None = None
    customer: int | None = None
    permissions: list[str] = []
    on_behalf_of: str | None = None


async def enqueue(
    scope: Scope,
    kind: str | JobKind[P],
    payload: P,
    *,
    dedupe_key: str | None = None,
    due_at: datetime | None = None,
    customer_id: int | None = None,
) -> int:
    """Leave work for the worker, in the same commit as everything else of the unit. Gives the job's id.

    It runs as the actor of this scope, with its reach. `dedupe_key` says what it is about ("invoice-mail:17"): where
    such a job exists already, in whatever state, that one is given and nothing is added.
    """
    declared = _declared(kind)
    if not isinstance(payload, declared.payload_type):
        raise TypeError(f"the payload of “{declared.name}” is {declared.payload_type.__name__}")
    async with unit_of_work(scope):
        wake_after_commit()
        made = await value(
            "INSERT INTO job (kind, policy, state, due_at, dedupe_key, payload, actor, customer_id, crowd, created_at)"
            " VALUES (:kind, :policy, 'waiting', :due_at, :dedupe_key, :payload, :actor, :customer_id, :crowd, :now)"
            " ON CONFLICT (dedupe_key) DO NOTHING RETURNING id",
            kind=declared.name,
            policy=declared.policy,
            due_at=due_at or scope.now(),
            dedupe_key=dedupe_key,
            payload=msgspec.json.encode(payload).decode(),
            actor=keep_actor(scope.actor),
            customer_id=customer_id,
            crowd=of_crowd.get(),
            now=scope.now(),
        )
        if made is None:
            made = await value("SELECT id FROM job WHERE dedupe_key = :key", key=dedupe_key)
    return int(made)


async def enqueue_set(
    scope: Scope,
    kind: str | JobKind[Any],
    select: str,
    *,
    due_at: datetime | None = None,
    crowd: bool = True,
    **parameters: object,
) -> int:
    """Leave one job for each row that `select` gives as (payload, dedupe_key, customer_id), payload as JSON text.

    Gives how many were new. What is enqueued alone goes before them, unless they are no `crowd`. Names of
    parameters must not begin with `job_`.
    """
    declared = _declared(kind)
    async with unit_of_work(scope):
        wake_after_commit()
        return await execute(
            "INSERT INTO job (kind, policy, state, due_at, dedupe_key, payload, actor, customer_id, crowd, created_at)"
            " SELECT :job_kind, :job_policy, 'waiting', :job_due_at, dedupe_key, payload, :job_actor, customer_id,"
            f" {'TRUE' if crowd or of_crowd.get() else 'FALSE'}, :job_now FROM ({select}) AS picked WHERE TRUE"
            " ON CONFLICT (dedupe_key) DO NOTHING",
            job_kind=declared.name,
            job_policy=declared.policy,
            job_due_at=due_at or scope.now(),
            job_actor=keep_actor(scope.actor),
            job_now=scope.now(),
            **parameters,
        )


async def cancel_job(scope: Scope, job_id: int) -> None:
    """End a job: at once if it waits, at its next step if it runs. One that is sending cannot be ended."""
    async with unit_of_work(scope):
        job = await _locked(scope, job_id)
        if job.state in {JobState.WAITING, JobState.HELD, JobState.FAILED, JobState.UNKNOWN}:
            await execute(
                "UPDATE job SET state = 'cancelled', cancel_asked = TRUE, finished_at = :now WHERE id = :id",
                id=job_id,
                now=scope.now(),
            )
        elif job.state == JobState.RUNNING:
            await execute("UPDATE job SET cancel_asked = TRUE WHERE id = :id", id=job_id)
        else:
            raise Conflict(_("This job is %(state)s: it can no longer be cancelled.", state=_state_of(job.state)))
        record(scope, JobCancelledByHand(job_id=job_id, customer_id=job.customer_id))


def _state_of(state: JobState) -> str:
    return in_sentence(_(state.value.capitalize()))


async def start_again(scope: Scope, job_id: int) -> None:
    """Let a job that failed, that is held, or whose end nobody knows run (again). May do twice what is unknown."""
    async with unit_of_work(scope):
        job = await _locked(scope, job_id)
        if job.state not in FOR_A_PERSON:
            raise Conflict(_("This job is %(state)s: there is nothing to start again.", state=_state_of(job.state)))
        await execute(
            "UPDATE job SET state = 'waiting', due_at = :now, attempts = 0, cancel_asked = FALSE, finished_at = NULL"
            " WHERE id = :id",
            id=job_id,
            now=scope.now(),
        )
        wake_after_commit()
        record(scope, JobStartedAgain(job_id=job_id, customer_id=job.customer_id))


async def settle_as_done(scope: Scope, job_id: int) -> None:
    """A person has found out that the unknown effect did happen."""
    async with unit_of_work(scope):
        job = await _locked(scope, job_id)
        if job.state != JobState.UNKNOWN:
            raise Conflict(
                _("This job is %(state)s: only one whose end is unknown can be settled.", state=_state_of(job.state))
            )
        await execute("UPDATE job SET state = 'done', finished_at = :now WHERE id = :id", id=job_id, now=scope.now())
        record(scope, JobSettledByHand(job_id=job_id, customer_id=job.customer_id))


async def hold_once_jobs(scope: Scope) -> int:
    """After a restore or a clone: what would be sent waits for a person. Gives how many."""
    async with unit_of_work(scope):
        return await execute("UPDATE job SET state = 'held' WHERE state = 'waiting' AND policy = 'once'")


async def let_held_go(scope: Scope, kind: str | None = None) -> int:
    """Let held jobs run, all or those of one kind. Gives how many."""
    async with unit_of_work(scope):
        count = await execute(
            f"UPDATE job SET state = 'waiting' WHERE state = 'held' AND {all_of(kind is not None and 'kind = :kind')}",
            kind=kind,
        )
        wake_after_commit()
        record(scope, JobsLetGo(count=count))
        return count


async def hurry(scope: Scope, kind: str) -> int:
    """What stood in the way is gone: jobs of this kind that wait for their next attempt are due now. Gives how many."""
    async with unit_of_work(scope):
        wake_after_commit()
        return await execute(
            "UPDATE job SET due_at = :now WHERE state = 'waiting' AND kind = :kind AND due_at > :now",
            kind=kind,
            now=scope.now(),
        )


async def erase_jobs(scope: Scope, customer_ids: Collection[int], texts: Collection[str]) -> None:
    """What jobs that are over hold of customers, for anonymising: all that those of the customers' own said, and of
    the work on many whatever says one of these texts."""
    async with unit_of_work(scope):
        await execute(
            f"UPDATE job SET {_SAYS_NOTHING} WHERE customer_id IN :ids AND state IN ('done', 'failed', 'cancelled')"
            f" AND NOT ({_SAID_NOTHING})",
            ids=customer_ids,
        )
        of_nobody = stream(
            _Said,
            "SELECT id, coalesce(result, '') || coalesce(error, '') || progress_text AS text FROM job"
            " WHERE customer_id IS NULL AND (result IS NOT NULL OR error IS NOT NULL)"
            " AND state IN ('done', 'failed', 'cancelled')",
            size=200,
        )
        names = says_one_of(texts)
        naming = [said.id async for said in of_nobody if names(said.text)]
        if naming:
            await execute("UPDATE job SET result = NULL, error = NULL, progress_text = '' WHERE id IN :ids", ids=naming)


async def forget_said(scope: Scope, customers: str, **parameters: object) -> int:
    """Jobs of customers that have ended since these were anonymised say nothing any more. `customers` selects their
    ids. Gives how many there were."""
    async with unit_of_work(scope):
        return await execute(
            f"UPDATE job SET {_SAYS_NOTHING} WHERE customer_id IN ({customers})"
            f" AND state IN ('done', 'failed', 'cancelled') AND NOT ({_SAID_NOTHING})",
            **parameters,
        )


_SAYS_NOTHING: Final = "payload = '{}', result = NULL, error = NULL, progress_text = ''"
_SAID_NOTHING: Final = "payload = '{}' AND result IS NULL AND error IS NULL AND progress_text = ''"


class _Said(Struct, frozen=True):
    id: int
    text: str


def keep_actor(actor: Actor) -> str:
    """The actor as JSON, for the job that will run as it."""
    reach = actor.reach
    kept = _KeptActor(
        kind=actor.kind,
        id=actor.id,
        name=actor.name if actor.id is None else "",
        partitions=sorted(reach.ids) if isinstance(reach, Partitions) else None,
        customer=reach.id if isinstance(reach, OneCustomer) else None,
        permissions=sorted(actor.permissions),
        on_behalf_of=actor.on_behalf_of,
    )
    return msgspec.json.encode(kept).decode()


def kept_actor(text: str) -> Actor:
    """The actor that a job runs as."""
    kept = msgspec.json.decode(text, type=_KeptActor)
    reach: Everything | Partitions | OneCustomer = Everything()
    if kept.customer is not None:
        reach = OneCustomer(kept.customer)
    elif kept.partitions is not None:
        reach = Partitions(tuple(kept.partitions))
    return Actor(kept.kind, kept.id, kept.name, reach, frozenset(kept.permissions), kept.on_behalf_of)


class _Locked(Struct, frozen=True):
    state: JobState
    customer_id: int | None


async def _locked(scope: Scope, job_id: int) -> _Locked:
    await scoped(Job, scope).get(job_id)
    found = await row(_Locked, "SELECT state, customer_id FROM job WHERE id = :id FOR UPDATE", id=job_id)
    assert found is not None
    return found


def _declared(kind: str | JobKind[Any]) -> JobKind[Any]:
    if isinstance(kind, JobKind):
        return kind
    if kind not in KINDS:
        raise LookupError(f"there is no kind of job named “{kind}”: the module that declares it was not imported")
    return KINDS[kind]
