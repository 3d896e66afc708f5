import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from msgspec import Struct

from core.activity.actions import enable_reader
from core.activity.delivery import Line
from core.activity.unit import record, unit_of_work
from core.clock import FixedClock
from core.database import current, execute, value, values
from core.errors import Conflict, TryAgain, Unavailable
from core.jobs import claims, queries
from core.jobs.actions import cancel_job, enqueue, enqueue_set
from core.jobs.kinds import Claim, ClaimLost, EffectNotDone, Job, JobKind
from core.jobs.status import JobState
from core.jobs.worker import Work, Worker
from core.scope import Scope
from tests.core.jobs.registry import Tenants
from tests.core.log import ThingMade


class Errand(Struct, frozen=True):
    number: int = 0


class Errands(Struct, frozen=True):
    numbers: list[int]


Doing = Callable[[Scope, Job[Errand]], Awaitable[Struct | None]]
did: list[int] = []
doing: dict[int, Doing] = {}


async def run(scope: Scope, job: Job[Errand]) -> Struct | None:
    """Does what the test has put down for the number; notes that it was done."""
    did.append(job.payload.number)
    if job.payload.number in doing:
        return await doing[job.payload.number](scope, job)
    return None


RUN = JobKind("test_errand", Errand, run=run, attempts=3, lease=60)
ONCE = JobKind("test_errand_once", Errand, run=run, policy="once", attempts=3, lease=60)
BRIEF = JobKind("test_errand_brief", Errand, run=run, attempts=3, limit=0.1)
KINDS = {kind.name: kind for kind in (RUN, ONCE, BRIEF)}


@pytest.fixture(autouse=True)
def _nothing_done_yet() -> None:
    did.clear()
    doing.clear()


def worker_of(*scopes: Scope, **options: Any) -> Worker:
    return Worker(Tenants.of(*scopes), lambda _: Work(KINDS), clock=scopes[0].clock, **options)


async def work(scope: Scope) -> None:
    await worker_of(scope).until_idle(scope.tenant.uuid)


async def claim_next(scope: Scope) -> Claim | None:
    """As another worker does."""
    for due in await claims.due_jobs(KINDS, scope.now()):
        return await claims.claim(KINDS[due.kind], due.id, scope.now())
    return None


async def state_of(scope: Scope, job_id: int) -> queries.JobRow:
    return await queries.get_job(scope, job_id)


async def test_due_jobs_are_done_in_order_and_those_due_later_wait(scope: Scope, clock: FixedClock) -> None:
    await enqueue(scope, RUN, Errand(1))
    later = await enqueue(scope, RUN, Errand(2), due_at=clock.now() + timedelta(minutes=5))
    await enqueue(scope, RUN, Errand(3))

    await work(scope)
    assert did == [1, 3]
    clock.move(timedelta(minutes=5))
    await work(scope)

    assert did == [1, 3, 2]
    assert (await state_of(scope, later)).state == JobState.DONE


async def test_what_somebody_asks_for_alone_goes_before_a_crowd_and_what_follows_from_it(scope: Scope) -> None:
    async def ask_for_another(scope: Scope, job: Job[Errand]) -> None:
        await enqueue(scope, RUN, Errand(job.payload.number + 100))

    doing[1] = doing[7] = ask_for_another
    of_one = " UNION ALL ".join(
        f"SELECT '{{\"number\": {number}}}' AS payload, '{number}' AS dedupe_key, CAST(NULL AS bigint) AS customer_id"
        for number in (1, 2, 3)
    )
    await enqueue_set(scope, RUN, of_one, due_at=scope.now() - timedelta(hours=1))
    await enqueue(scope, RUN, Errand(7))

    await work(scope)

    assert did == [7, 107, 1, 2, 3, 101]
    assert await values("SELECT crowd FROM job ORDER BY id") == [True] * 3 + [False, False, True]


async def test_a_job_runs_as_the_actor_that_enqueued_it_and_keeps_its_result(scope: Scope) -> None:
    actors: list[str] = []

    async def note(scope: Scope, job: Job[Errand]) -> Errands:
        actors.append(scope.actor.key)
        return Errands([1, 2])

    doing[1] = note
    job_id = await enqueue(scope, RUN, Errand(1))

    await work(scope)

    assert actors == ["staff:7"]
    assert (await state_of(scope, job_id)).result == '{"numbers":[1,2]}'


async def test_a_job_that_fails_is_tried_again_later_and_given_up_after_its_attempts(
    scope: Scope, clock: FixedClock
) -> None:
    async def fail(scope: Scope, job: Job[Errand]) -> None:
        raise OSError("no route")

    doing[1] = fail
    job_id = await enqueue(scope, RUN, Errand(1))
    waits = []

    for _ in range(2):
        await work(scope)
        waiting = await state_of(scope, job_id)
        assert (waiting.state, waiting.error) == (JobState.WAITING, "OSError: no route")
        waits.append((waiting.due_at - clock.now()).total_seconds())
        clock.set(waiting.due_at)
    await work(scope)

    assert waits == [5, 30]
    assert (await state_of(scope, job_id)).state == JobState.FAILED
    assert did == [1, 1, 1]


async def test_what_the_domain_refuses_is_not_tried_again_but_what_is_unavailable_is(scope: Scope) -> None:
    async def refuse(scope: Scope, job: Job[Errand]) -> None:
        raise Conflict("It is closed.")

    async def busy(scope: Scope, job: Job[Errand]) -> None:
        raise Unavailable("Not now.", retry_after=90)

    doing.update({1: refuse, 2: busy})
    refused, put_off = await enqueue(scope, RUN, Errand(1)), await enqueue(scope, RUN, Errand(2))

    await work(scope)

    over = await state_of(scope, refused)
    assert (over.state, over.error) == (JobState.FAILED, "It is closed.")
    waiting = await state_of(scope, put_off)
    assert (waiting.state, waiting.due_at - scope.now()) == (JobState.WAITING, timedelta(seconds=90))


async def test_a_job_that_could_not_be_serialised_runs_once_more_at_once(scope: Scope) -> None:
    async def unlucky(scope: Scope, job: Job[Errand]) -> None:
        if len(did) < 2 and not again:
            again.append(1)
            raise TryAgain

    again: list[int] = []
    doing[1] = unlucky
    job_id = await enqueue(scope, RUN, Errand(1))

    await work(scope)

    done = await state_of(scope, job_id)
    assert (done.state, done.attempts, did) == (JobState.DONE, 1, [1, 1])


async def test_a_job_that_takes_too_long_is_broken_off(scope: Scope) -> None:
    async def dawdle(scope: Scope, job: Job[Errand]) -> None:
        await asyncio.sleep(9)

    doing[1] = dawdle
    job_id = await enqueue(scope, BRIEF, Errand(1))

    await work(scope)

    assert (await state_of(scope, job_id)).error == "It took longer than it may."


async def test_a_lost_attempt_of_a_repeatable_job_runs_again(scope: Scope, clock: FixedClock) -> None:
    job_id = await enqueue(scope, RUN, Errand(1))
    assert await claim_next(scope) is not None

    await work(scope)
    assert did == []
    clock.move(timedelta(seconds=61))
    await work(scope)

    assert did == [1]
    assert (await state_of(scope, job_id)).attempts == 2


async def test_a_job_that_is_lost_every_time_is_given_up(scope: Scope, clock: FixedClock) -> None:
    job_id = await enqueue(scope, RUN, Errand(1))

    for _ in range(3):
        assert await claim_next(scope) is not None
        clock.move(timedelta(seconds=61))
        await claims.recover(KINDS, scope.now())

    assert (await state_of(scope, job_id)).state == JobState.FAILED


async def test_the_effect_of_a_once_job_is_marked_and_committed_before_it_begins(scope: Scope) -> None:
    seen: list[str] = []

    async def send(scope: Scope, job: Job[Errand]) -> None:
        async with job.effect():
            seen.append(await value("SELECT state FROM job"))

    doing[1] = send
    job_id = await enqueue(scope, ONCE, Errand(1))

    await work(scope)

    assert seen == ["sending"]
    assert (await state_of(scope, job_id)).state == JobState.DONE


async def test_a_once_job_lost_while_sending_is_for_a_person_and_never_repeated(
    scope: Scope, clock: FixedClock
) -> None:
    job_id = await enqueue(scope, ONCE, Errand(1))
    claim = await claim_next(scope)
    assert claim is not None
    async with Job(scope, claim, Errand(1)).effect():
        pass

    clock.move(timedelta(seconds=61))
    await work(scope)

    lost = await state_of(scope, job_id)
    assert (lost.state, lost.error, did) == (JobState.UNKNOWN, claims.LOST, [])


async def test_a_once_job_lost_before_sending_runs_again(scope: Scope, clock: FixedClock) -> None:
    await enqueue(scope, ONCE, Errand(1))
    assert await claim_next(scope) is not None

    clock.move(timedelta(seconds=61))
    await work(scope)

    assert did == [1]


@pytest.mark.parametrize(
    ("error", "state"), [(EffectNotDone("refused"), JobState.WAITING), (OSError("cut off"), JobState.UNKNOWN)]
)
async def test_a_failed_effect_is_tried_again_only_if_it_surely_did_not_happen(
    scope: Scope, error: Exception, state: JobState
) -> None:
    async def send(scope: Scope, job: Job[Errand]) -> None:
        async with job.effect():
            raise error

    doing[1] = send
    job_id = await enqueue(scope, ONCE, Errand(1))

    await work(scope)

    assert (await state_of(scope, job_id)).state == state


async def test_an_effect_inside_a_unit_of_work_is_refused(scope: Scope) -> None:
    async def send(scope: Scope, job: Job[Errand]) -> None:
        async with unit_of_work(scope), job.effect():
            raise AssertionError("not reached")

    doing[1] = send
    job_id = await enqueue(scope, ONCE, Errand(1))

    await work(scope)

    error = (await state_of(scope, job_id)).error or ""
    assert error.startswith("InsideUnit: the effect of job 1 cannot be taken back")


async def test_the_commit_of_a_worker_that_has_lost_its_claim_is_refused(scope: Scope, clock: FixedClock) -> None:
    async def stale(scope: Scope, job: Job[Errand]) -> None:
        clock.move(timedelta(seconds=61))
        await claims.recover(KINDS, scope.now())
        assert await claim_next(scope) is not None
        async with unit_of_work(scope):
            await execute("INSERT INTO thing (name) VALUES ('by the stale one')")
            record(scope, ThingMade(1))

    doing[1] = stale
    job_id = await enqueue(scope, RUN, Errand(1))

    await work(scope)

    assert await values("SELECT name FROM thing") == []
    job = await state_of(scope, job_id)
    assert (job.state, job.attempts) == (JobState.RUNNING, 2)


async def test_a_stale_worker_can_say_nothing_any_more(scope: Scope, clock: FixedClock) -> None:
    await enqueue(scope, RUN, Errand(1))
    old = await claim_next(scope)
    assert old is not None
    clock.move(timedelta(seconds=61))
    await claims.recover(KINDS, scope.now())
    new = await claim_next(scope)
    assert new is not None

    with pytest.raises(ClaimLost):
        await Job(scope, old, Errand(1)).progress(1, 1)
    assert not await claims.finish(old, scope.now(), None)
    assert not await claims.put_off(old, scope.now(), "no")
    assert not await claims.prolong(old, scope.now())
    assert await claims.finish(new, scope.now(), None)


async def test_a_job_keeps_its_claim_for_as_long_as_it_runs(scope: Scope, clock: FixedClock) -> None:
    kind = JobKind("test_errand_leased", Errand, run=run, lease=0.3)
    ends: list[Any] = []

    async def last(scope: Scope, job: Job[Errand]) -> None:
        for _ in range(4):
            before = now = await value("SELECT lease_until FROM job")
            clock.move(timedelta(milliseconds=100))
            while now == before:
                await asyncio.sleep(0.02)
                now = await value("SELECT lease_until FROM job")
            ends.append(now)

    doing[1] = last
    job_id = await enqueue(scope, kind, Errand(1))
    worker = Worker(Tenants.of(scope), lambda _: Work({kind.name: kind}))

    await worker.until_idle(scope.tenant.uuid)

    assert (await state_of(scope, job_id)).attempts == 1
    assert sorted(set(ends)) == ends
    assert len(ends) == 4


async def test_a_job_that_another_worker_has_taken_is_broken_off(scope: Scope) -> None:
    kind = JobKind("test_errand_stolen", Errand, run=run, lease=0.1)
    ended: list[str] = []

    async def last(scope: Scope, job: Job[Errand]) -> None:
        await execute("UPDATE job SET fence = fence + 1")
        try:
            await asyncio.sleep(5)
        finally:
            ended.append("broken off")

    doing[1] = last
    await enqueue(scope, kind, Errand(1))
    worker = Worker(Tenants.of(scope), lambda _: Work({kind.name: kind}))

    began = time.monotonic()
    while not ended and time.monotonic() - began < 4:
        await worker.visit(scope.tenant.uuid)
        await asyncio.sleep(0.02)

    assert ended == ["broken off"]
    assert await value("SELECT state FROM job") == "running"


async def test_progress_is_shown_and_a_job_asked_to_end_does_so_at_its_next_step(scope: Scope) -> None:
    shown: list[int] = []

    async def in_steps(scope: Scope, job: Job[Errand]) -> None:
        await job.progress(1, 4, "first")
        shown.append((await state_of(scope, job.id)).percent)
        await cancel_job(scope, job.id)
        await job.progress(4, 4, "last")
        raise AssertionError("not reached")

    doing[1] = in_steps
    job_id = await enqueue(scope, RUN, Errand(1))

    await work(scope)

    job = await state_of(scope, job_id)
    assert (job.state, job.progress_text, shown, job.attempts) == (JobState.CANCELLED, "last", [25], 1)


async def test_a_payload_that_does_not_fit_any_more_fails_at_once(scope: Scope) -> None:
    job_id = await enqueue(scope, RUN, Errand(1))
    await execute('UPDATE job SET payload = \'{"number": "one"}\'')

    await work(scope)

    assert (await state_of(scope, job_id)).state == JobState.FAILED


async def test_a_kind_whose_plugin_is_off_waits(scope: Scope) -> None:
    job_id = await enqueue(scope, RUN, Errand(1))

    await Worker(Tenants.of(scope), lambda _: Work({})).until_idle(scope.tenant.uuid)

    assert (await state_of(scope, job_id)).state == JobState.WAITING


async def test_of_two_workers_at_once_each_job_is_done_once(scope: Scope) -> None:
    for number in range(30):
        await enqueue(scope, RUN, Errand(number))

    await asyncio.gather(*(worker_of(scope).until_idle(scope.tenant.uuid) for _ in range(3)))

    assert sorted(did) == list(range(30))
    assert set(await values("SELECT state FROM job")) == {"done"}


@dataclass
class Ear:
    """Enqueues an errand for each thing that it hears of."""

    name: str = "ear"
    kinds: frozenset[str] = frozenset({"thing_made"})
    heard: list[int] = field(default_factory=list)

    async def hear(self, scope: Scope, lines: Sequence[Line]) -> None:
        for line in lines:
            self.heard.append(line.position)
            await enqueue(scope, RUN, Errand(line.subject_id or 0))


async def test_a_visit_delivers_and_does_what_the_readers_have_enqueued(scope: Scope) -> None:
    ear = Ear()
    await enable_reader(scope, "ear")
    async with unit_of_work(scope):
        record(scope, ThingMade(3))
    worker = Worker(Tenants.of(scope), lambda _: Work(KINDS, readers=[ear]))

    await worker.until_idle(scope.tenant.uuid)

    assert (ear.heard, did) == ([1], [3])


@asynccontextmanager
async def at_work(worker: Worker) -> AsyncIterator[None]:
    """The worker's loop, while the test does something beside it."""
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0.05)
    try:
        yield
    finally:
        await worker.stop(grace=2)
        await running


async def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_commit_wakes_the_worker_at_once(scope: Scope) -> None:
    worker = worker_of(scope, sweep_every=60)

    async with at_work(worker):
        began = time.monotonic()
        await enqueue(scope, RUN, Errand(1))
        await until(lambda: did == [1])
        took = time.monotonic() - began

    assert took < 1


async def test_what_a_hint_names_is_found_by_the_sweep(scope: Scope) -> None:
    worker = worker_of(scope, sweep_every=0.05)
    assert isinstance(worker.registry, Tenants)

    async with at_work(worker):
        await execute(
            "INSERT INTO job (kind, policy, state, due_at, payload, actor, created_at)"
            " VALUES ('test_errand', 'repeatable', 'waiting', :now, '{}', '{\"kind\":\"command\"}', :now)",
            now=scope.now(),
        )
        worker.registry.hints[scope.tenant.uuid] = scope.now()
        await until(lambda: did == [0])


async def test_what_is_due_much_later_is_noted_in_the_registry(scope: Scope) -> None:
    worker = worker_of(scope)
    assert isinstance(worker.registry, Tenants)
    due = scope.now() + timedelta(hours=3)
    await enqueue(scope, RUN, Errand(1), due_at=due)

    await worker.until_idle(scope.tenant.uuid)

    assert worker.registry.hints == {scope.tenant.uuid: due}


async def test_a_suspended_tenant_is_left_alone(scope: Scope) -> None:
    worker = worker_of(scope, sweep_every=0.02)
    assert isinstance(worker.registry, Tenants)
    worker.registry.suspended.add(scope.tenant.uuid)

    async with at_work(worker):
        await enqueue(scope, RUN, Errand(1))
        await asyncio.sleep(0.2)
        assert did == []
        worker.registry.suspended.clear()
        worker.wake(scope.tenant.uuid)
        await until(lambda: did == [1])


async def test_a_slow_job_keeps_neither_its_tenant_nor_others_waiting(scope: Scope) -> None:
    free = asyncio.Event()

    async def slow(scope: Scope, job: Job[Errand]) -> None:
        await free.wait()

    doing.update({1: slow, 2: slow, 3: slow, 4: slow})
    worker = worker_of(scope, budget=0.05, slow_a_tenant=3)

    async with at_work(worker):
        for number in (1, 2, 9, 3, 4, 8):
            await enqueue(scope, RUN, Errand(number))
        await until(lambda: 9 in did and 3 in did)
        await asyncio.sleep(0.2)
        crowded = list(did)
        free.set()
        await until(lambda: 8 in did)

    assert crowded == [1, 2, 9, 3]
    assert did == [1, 2, 9, 3, 4, 8]


async def test_beside_a_tenant_with_much_to_do_another_has_its_turn_soon(scope: Scope) -> None:
    async def a_moment(scope: Scope, job: Job[Errand]) -> None:
        await asyncio.sleep(0.01)

    doing[1] = a_moment
    tenants = Tenants.of(scope)
    other = uuid4()
    tenants.open_ones[other] = tenants.open_ones[scope.tenant.uuid]
    for _ in range(60):
        await enqueue(scope, RUN, Errand(1))
    worker = Worker(tenants, lambda _: Work(KINDS), at_once=1, budget=0.05)

    async with at_work(worker):
        worker.wake(scope.tenant.uuid)
        worker.wake(other)
        await until(lambda: len(did) >= 20)
        visits = tenants.opened[:]

    assert other in visits[:12]


async def test_stopped_in_the_middle_a_job_goes_back_and_one_that_is_sending_is_unknown(scope: Scope) -> None:
    async def long(scope: Scope, job: Job[Errand]) -> None:
        await asyncio.sleep(60)

    async def send(scope: Scope, job: Job[Errand]) -> None:
        async with job.effect():
            await asyncio.sleep(60)

    doing.update({1: long, 2: send})
    back, unknown = await enqueue(scope, RUN, Errand(1)), await enqueue(scope, ONCE, Errand(2))
    worker = worker_of(scope, budget=0.02)
    running = asyncio.create_task(worker.run())
    await until(lambda: did == [1, 2])
    await asyncio.sleep(0.1)

    await worker.stop(grace=0.05)
    await running

    gone_back = await state_of(scope, back)
    assert (gone_back.state, gone_back.attempts) == (JobState.WAITING, 0)
    assert (await state_of(scope, unknown)).state == JobState.UNKNOWN


async def test_jobs_and_visits_inherit_nothing_from_who_woke_the_worker(scope: Scope) -> None:
    bound: list[Any] = []

    async def look(scope: Scope, job: Job[Errand]) -> None:
        bound.append(current())

    doing[1] = look
    worker = worker_of(scope)
    database = current()

    async with at_work(worker):
        async with unit_of_work(scope):
            await enqueue(scope, RUN, Errand(1))
            worker.wake(scope.tenant.uuid)
            await asyncio.sleep(0.05)
            assert did == []
        await until(lambda: did == [1])

    assert bound == [database]


async def test_a_tenant_in_trouble_is_visited_again_and_others_meanwhile(
    scope: Scope, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.jobs.worker.TROUBLE", (0.05,))
    tenants = Tenants.of(scope)
    broken = uuid4()
    tenants.open_ones[broken] = tenants.open_ones[scope.tenant.uuid]
    works = Worker(tenants, lambda _: Work(KINDS), sweep_every=60)
    del tenants.open_ones[broken]

    async with at_work(works):
        works.wake(broken)
        await enqueue(scope, RUN, Errand(1))
        await until(lambda: did == [1])
        failed = tenants.opened.count(broken)
        tenants.open_ones[broken] = tenants.open_ones[scope.tenant.uuid]
        await enqueue(scope, RUN, Errand(2))
        await until(lambda: tenants.opened.count(broken) > failed and did == [1, 2])

    assert did == [1, 2]
