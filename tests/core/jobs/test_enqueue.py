from collections.abc import Sequence

import pytest
from msgspec import Struct

from core.activity.unit import unit_of_work
from core.database import Everything, OneCustomer, Partitions, Reach, execute, value, values
from core.errors import Conflict, NotFound
from core.jobs import queries
from core.jobs.actions import (
    cancel_job,
    enqueue,
    enqueue_set,
    hold_once_jobs,
    keep_actor,
    kept_actor,
    let_held_go,
    settle_as_done,
    start_again,
)
from core.jobs.kinds import Job, JobKind
from core.jobs.status import TRANSITIONS, JobState
from core.scope import Actor, Scope
from tests.core.log import NOON


class Greeting(Struct, frozen=True):
    to: str


async def greet(scope: Scope, job: Job[Greeting]) -> None:
    raise AssertionError("nobody works here")


GREET = JobKind("test_greet", Greeting, run=greet)
GREET_ONCE = JobKind("test_greet_once", Greeting, run=greet, policy="once")


async def test_a_job_waits_from_the_commit_of_its_unit_on(scope: Scope) -> None:
    async with unit_of_work(scope):
        job_id = await enqueue(scope, GREET, Greeting("Ada"), customer_id=5)
    job = await queries.get_job(scope, job_id)

    assert (job.kind, job.policy, job.state, job.due_at) == ("test_greet", "repeatable", JobState.WAITING, NOON)
    assert job.customer_id == 5


async def test_a_job_of_a_unit_that_fails_was_never_there(scope: Scope) -> None:
    async def fail() -> None:
        async with unit_of_work(scope):
            await enqueue(scope, GREET, Greeting("Ada"))
            raise Conflict("no")

    with pytest.raises(Conflict):
        await fail()

    assert await values("SELECT id FROM job") == []


async def test_the_same_key_gives_the_same_job_and_adds_none(scope: Scope) -> None:
    first = await enqueue(scope, "test_greet_once", Greeting("Ada"), dedupe_key="greet:1")
    again = await enqueue(scope, "test_greet_once", Greeting("Ada"), dedupe_key="greet:1")
    other = await enqueue(scope, "test_greet_once", Greeting("Ada"), dedupe_key="greet:2")

    assert first == again != other
    assert await value("SELECT count(*) FROM job") == 2


async def test_a_kind_that_nobody_declares_and_a_payload_of_another_are_refused(scope: Scope) -> None:
    class Other(Struct, frozen=True):
        to: str

    async def another(scope: Scope, job: Job[Greeting]) -> None:
        raise AssertionError("nobody works here")

    with pytest.raises(LookupError, match="test_unheard_of"):
        await enqueue(scope, "test_unheard_of", Greeting("Ada"))
    with pytest.raises(TypeError, match="Greeting"):
        await enqueue(scope, "test_greet", Other("Ada"))
    with pytest.raises(TypeError, match="two kinds"):
        JobKind("test_greet", Greeting, run=another)


async def test_many_jobs_are_made_by_one_statement_and_known_keys_are_left_out(scope: Scope) -> None:
    await execute("INSERT INTO thing (id, name) VALUES (1, 'Ada'), (2, 'Bea'), (3, 'Cis')")
    await enqueue(scope, GREET, Greeting("Bea"), dedupe_key="greet:2")

    made = await enqueue_set(
        scope,
        GREET,
        """SELECT '{"to":"' || name || '"}' AS payload, 'greet:' || id AS dedupe_key, id AS customer_id FROM thing
           WHERE id <= :last""",
        last=3,
    )

    assert made == 2
    assert await values("SELECT payload FROM job WHERE customer_id IS NOT NULL ORDER BY id") == [
        '{"to":"Ada"}',
        '{"to":"Cis"}',
    ]


@pytest.mark.parametrize("reach", [Everything(), Partitions((3, 4)), Partitions(()), OneCustomer(9)])
def test_a_job_keeps_the_reach_of_its_actor(reach: Reach) -> None:
    actor = Actor("token", 8, "a person's name", reach, frozenset({"customers.view"}), "staff:7")

    kept = kept_actor(keep_actor(actor))

    assert (kept.kind, kept.id, kept.reach, kept.permissions) == ("token", 8, reach, frozenset({"customers.view"}))
    assert kept.on_behalf_of == "staff:7"
    assert "person" not in keep_actor(actor)


async def put(scope: Scope, state: JobState) -> int:
    job_id = await enqueue(scope, GREET_ONCE, Greeting("Ada"))
    await execute("UPDATE job SET state = :state, attempts = 5 WHERE id = :id", id=job_id, state=state)
    return job_id


async def state_of(scope: Scope, job_id: int) -> JobState:
    return (await queries.get_job(scope, job_id)).state


@pytest.mark.parametrize("state", list(JobState))
async def test_a_person_may_do_with_a_job_what_its_state_allows(scope: Scope, state: JobState) -> None:
    outcomes: dict[JobState, Sequence[JobState]] = {}

    for act, becomes in (
        (cancel_job, JobState.CANCELLED),
        (start_again, JobState.WAITING),
        (settle_as_done, JobState.DONE),
    ):
        job_id = await put(scope, state)
        try:
            await act(scope, job_id)
        except Conflict:
            assert await state_of(scope, job_id) == state
        else:
            outcomes[becomes] = [await state_of(scope, job_id)]

    if state == JobState.RUNNING:
        assert outcomes == {JobState.CANCELLED: [JobState.RUNNING]}
        assert await value("SELECT count(*) FROM job WHERE cancel_asked") == 1
    else:
        by_hand = {JobState.CANCELLED, JobState.WAITING, JobState.DONE}
        allowed = TRANSITIONS[state] & by_hand if state != JobState.SENDING else frozenset()
        assert outcomes == {becomes: [becomes] for becomes in allowed}


async def test_a_job_out_of_reach_is_not_there(scope: Scope) -> None:
    job_id = await enqueue(scope, GREET, Greeting("Ada"), customer_id=5)
    portal = scope.as_actor(Actor("customer", 6, "", OneCustomer(6), frozenset()))

    with pytest.raises(NotFound):
        await queries.get_job(portal, job_id)
    with pytest.raises(NotFound):
        await cancel_job(portal, job_id)


async def test_in_a_restored_copy_what_would_be_sent_waits_for_a_person(scope: Scope) -> None:
    once = await enqueue(scope, GREET_ONCE, Greeting("Ada"))
    repeatable = await enqueue(scope, GREET, Greeting("Ada"))

    assert await hold_once_jobs(scope) == 1
    assert [await state_of(scope, once), await state_of(scope, repeatable)] == [JobState.HELD, JobState.WAITING]
    assert await let_held_go(scope) == 1
    assert await state_of(scope, once) == JobState.WAITING
