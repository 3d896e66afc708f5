import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import ModuleType

import pytest
from msgspec import Struct

from core.activity import queries
from core.activity.actions import (
    disable_reader,
    enable_reader,
    resume_reader,
    retry_parked,
    skip_parked,
    start_reader,
)
from core.activity.delivery import Deliveries, Line, Turn, next_retry, plugin_reader
from core.activity.unit import heard_late, record, unit_of_work
from core.clock import FixedClock
from core.database import dialect, execute, rows, spawn, transaction, value, values, watched
from core.errors import NotFound, TryAgain, Unavailable
from core.hooks import Hooks, hookimpl, hookspec
from core.scope import Scope
from tests.core.log import ThingChanged, ThingHeard, ThingMade, as_


@dataclass
class Ear:
    """A reader that notes what it hears in the tenant's database, and fails at the things named."""

    name: str = "ear"
    kinds: frozenset[str] = frozenset({"thing_made"})
    fails_at: set[int] = field(default_factory=set)
    calls: list[list[int]] = field(default_factory=list)
    also: Callable[[Scope, Sequence[Line]], Awaitable[None]] | None = None

    async def hear(self, scope: Scope, lines: Sequence[Line]) -> None:
        self.calls.append([line.position for line in lines])
        for line in lines:
            await execute(
                "INSERT INTO effect (reader, position) VALUES (:reader, :position)",
                reader=self.name,
                position=line.position,
            )
            if line.subject_id in self.fails_at:
                raise ValueError(f"thing {line.subject_id} is too much")
        if self.also is not None:
            await self.also(scope, lines)


class PlanStep(Struct, frozen=True):
    detail: str


async def happen(scope: Scope, *things: int) -> None:
    """Each thing is made, all in one commit."""
    async with unit_of_work(scope):
        for thing in things:
            record(scope, ThingMade(thing))


async def heard(reader: str = "ear") -> list[int]:
    return await values("SELECT position FROM effect WHERE reader = :reader ORDER BY id", reader=reader)


async def state(ear: Ear) -> queries.ReaderState:
    (found,) = await queries.reader_states([ear])
    return found


async def deliver(scope: Scope, ear: Ear, deliveries: Deliveries | None = None) -> None:
    """Turns until nothing more is to be heard now."""
    deliveries = deliveries or Deliveries(budget=5)
    while ear in await deliveries.due(scope, [ear]):
        await deliveries.turn(scope, ear)


async def test_a_reader_hears_every_fact_of_its_kinds_once_and_in_order(scope: Scope) -> None:
    ear = Ear()
    await enable_reader(scope, "ear")
    await happen(scope, 1, 2, 3)
    async with unit_of_work(scope):
        record(scope, ThingChanged(1))
        record(scope, ThingMade(4))

    await deliver(scope, ear)
    await deliver(scope, ear)

    assert await heard() == [1, 2, 3, 5]
    assert (await state(ear)).position == 5
    assert (await state(ear)).waiting == 0


async def test_what_waits_is_read_in_the_order_of_the_log_without_being_sorted(scope: Scope) -> None:
    if dialect() != "sqlite":
        pytest.skip("what SQLite's planner takes")
    ear = Ear(kinds=frozenset({"thing_made", "thing_changed"}))
    await enable_reader(scope, "ear")
    await happen(scope, 1, 2, 3)

    with watched() as seen:
        await deliver(scope, ear)
    read = next(text for text in seen if "ORDER BY position LIMIT" in text)
    plan = [step.detail for step in await rows(PlanStep, f"EXPLAIN QUERY PLAN {read}".replace("?", "2"))]

    assert await heard() == [1, 2, 3]
    assert not [detail for detail in plan if "TEMP B-TREE" in detail], plan


async def test_facts_of_one_kind_come_in_one_call_and_kinds_do_not_change_places(scope: Scope) -> None:
    ear = Ear(kinds=frozenset({"thing_made", "thing_changed"}))
    await enable_reader(scope, "ear")
    async with unit_of_work(scope):
        for event in (ThingMade(1), ThingMade(2), ThingChanged(1), ThingMade(3)):
            record(scope, event)

    await deliver(scope, ear)

    assert ear.calls == [[1, 2], [3], [4]]


async def test_a_reader_hears_nothing_from_before_it_was_switched_on(scope: Scope) -> None:
    ear = Ear()
    await happen(scope, 1, 2)
    await enable_reader(scope, "ear")
    await happen(scope, 3)

    await deliver(scope, ear)

    assert await heard() == [3]


async def test_switched_on_while_others_commit_it_hears_exactly_what_follows_its_place(scope: Scope) -> None:
    async def write() -> None:
        for number in range(15):
            await happen(scope, number)
            await asyncio.sleep(0.002)

    writers = [spawn(write()) for _ in range(4)]
    await asyncio.sleep(0.02)
    await enable_reader(scope, "ear")
    begin = int(await value("SELECT position FROM delivery"))
    await asyncio.gather(*writers)

    await deliver(scope, Ear())

    assert await heard() == list(range(begin + 1, 61))


async def test_a_held_reader_begins_when_it_is_started(scope: Scope) -> None:
    ear = Ear()
    await enable_reader(scope, "ear", held=True)
    await happen(scope, 1)

    await deliver(scope, ear)
    before = await heard()
    await start_reader(scope, "ear")
    await deliver(scope, ear)

    assert (before, await heard()) == ([], [1])


async def test_switched_off_and_on_again_it_is_as_the_first_time(scope: Scope, clock: FixedClock) -> None:
    ear = Ear(fails_at={1})
    await enable_reader(scope, "ear")
    await happen(scope, 1)
    await fail_for_good(scope, clock, ear)

    assert await disable_reader(scope, "ear") == 1
    await happen(scope, 2)
    await enable_reader(scope, "ear")
    await happen(scope, 3)
    await deliver(scope, ear)

    assert await heard() == [3]
    assert await queries.list_parked("ear") == []


async def fail_for_good(scope: Scope, clock: FixedClock, ear: Ear) -> None:
    """Three attempts at the same fact."""
    for pause in (0, 5, 60):
        clock.move(timedelta(seconds=pause))
        await deliver(scope, ear)


async def test_a_plugin_hears_by_its_hook_as_itself_on_behalf_of_who_caused_it(scope: Scope) -> None:
    heard_by_plugin: list[tuple[str, str | None, Sequence[ThingMade]]] = []
    specs, module = ModuleType("specs"), ModuleType("maps")

    @hookspec
    async def thing_made(scope: Scope, events: Sequence[ThingMade]) -> None:
        """Things were made."""

    specs.thing_made = thing_made  # type: ignore[attr-defined]  # a module made here

    @hookimpl
    async def _(scope: Scope, events: Sequence[ThingMade]) -> None:
        heard_by_plugin.append((scope.actor.key, scope.actor.on_behalf_of, events))

    _.__name__ = "thing_made"
    module.thing_made = _  # type: ignore[attr-defined]  # a module made here
    scope = replace(scope, hooks=Hooks(specs, [("maps", module)]))
    reader = plugin_reader("maps", ["thing_made"], specs)
    await enable_reader(scope, "maps")
    await happen(scope, 1)
    await happen(as_(scope, "customer", 3), 2)

    await Deliveries().turn(scope, reader)

    assert heard_by_plugin == [("plugin:maps", None, [ThingMade(1), ThingMade(2)])]
    await happen(as_(scope, "customer", 3), 4)
    await Deliveries().turn(scope, reader)
    assert heard_by_plugin[1:] == [("plugin:maps", "customer:3", [ThingMade(4)])]


async def test_what_a_failing_handler_wrote_and_recorded_is_taken_back_with_its_step(scope: Scope) -> None:
    async def half(scope: Scope, lines: Sequence[Line]) -> None:
        async with unit_of_work(scope):
            record(scope, ThingHeard(1))
            raise ValueError("half done")

    ear = Ear(also=half)
    await enable_reader(scope, "ear")
    await happen(scope, 1)

    await deliver(scope, ear)

    assert await heard() == []
    assert await queries.head() == 1
    assert (await state(ear)).position == 0


async def test_a_fact_that_fails_is_told_again_after_5_and_60_seconds_and_then_parked(
    scope: Scope, clock: FixedClock
) -> None:
    ear = Ear(fails_at={2})
    await enable_reader(scope, "ear")
    await happen(scope, 1, 2, 3)

    await deliver(scope, ear)
    assert await heard() == [1]
    assert (await state(ear)).error == "ValueError: thing 2 is too much"
    clock.move(timedelta(seconds=4))
    assert await Deliveries().due(scope, [ear]) == []
    clock.move(timedelta(seconds=1))
    await deliver(scope, ear)
    clock.move(timedelta(seconds=59))
    await deliver(scope, ear)
    assert await heard() == [1]
    clock.move(timedelta(seconds=1))
    await deliver(scope, ear)

    (parked,) = await queries.list_parked("ear")
    assert await heard() == [1, 3]
    assert (parked.position, parked.kind, parked.failures) == (2, "thing_made", 3)
    assert parked.error == "ValueError: thing 2 is too much"
    assert (await state(ear)).position == 3
    assert [len(call) for call in ear.calls] == [3, 1, 1, 1, 1, 1]


async def test_a_fact_that_succeeds_at_its_second_attempt_is_heard_once(scope: Scope, clock: FixedClock) -> None:
    ear = Ear(fails_at={2})
    await enable_reader(scope, "ear")
    await happen(scope, 1, 2, 3)
    await deliver(scope, ear)

    ear.fails_at.clear()
    clock.move(timedelta(seconds=5))
    await deliver(scope, ear)

    assert await heard() == [1, 2, 3]
    assert (await state(ear)).failures == 0


async def test_while_something_is_unavailable_a_fact_waits_and_is_never_parked(scope: Scope, clock: FixedClock) -> None:
    async def full(scope: Scope, lines: Sequence[Line]) -> None:
        if len(ear.calls) < 6:
            raise Unavailable("The disk is full.")

    ear = Ear(also=full)
    await enable_reader(scope, "ear")
    await happen(scope, 1)

    for _ in range(6):
        await deliver(scope, ear)
        clock.move(timedelta(seconds=60))

    assert await heard() == [1]
    assert await queries.list_parked("ear") == []


async def test_three_parked_in_a_row_pause_the_reader_and_the_rest_waits(scope: Scope, clock: FixedClock) -> None:
    ear = Ear(fails_at=set(range(100)))
    await enable_reader(scope, "ear")
    await happen(scope, *range(50))
    for _ in range(3):
        await fail_for_good(scope, clock, ear)

    paused = await state(ear)
    assert [parked.position for parked in await queries.list_parked("ear")] == [1, 2, 3]
    assert (paused.paused_at, paused.waiting, paused.parked) == (clock.now(), 47, 3)
    assert await heard() == []


async def test_a_paused_reader_is_tried_with_one_fact_after_1_5_15_and_60_minutes(
    scope: Scope, clock: FixedClock
) -> None:
    ear = Ear(fails_at=set(range(100)))
    await enable_reader(scope, "ear")
    await happen(scope, *range(50))
    for _ in range(3):
        await fail_for_good(scope, clock, ear)
    waits = []

    for _ in range(5):
        due = await next_retry([ear])
        assert due is not None
        waits.append((due - clock.now()) // timedelta(minutes=1))
        clock.set(due)
        ear.calls.clear()
        await deliver(scope, ear)
        assert ear.calls == [[4]]
    ear.fails_at.clear()
    clock.move(timedelta(minutes=60))
    await deliver(scope, ear)

    assert waits == [1, 5, 15, 60, 60]
    assert len(await queries.list_parked("ear")) == 3
    assert await heard() == list(range(4, 51))
    assert (await state(ear)).paused_at is None


async def test_a_person_lets_a_paused_reader_go_on_at_once(scope: Scope, clock: FixedClock) -> None:
    ear = Ear(fails_at=set(range(100)))
    await enable_reader(scope, "ear")
    await happen(scope, *range(5))
    for _ in range(3):
        await fail_for_good(scope, clock, ear)
    ear.fails_at.clear()

    await resume_reader(scope, "ear")
    await deliver(scope, ear)

    assert await heard() == [4, 5]


async def test_one_reader_that_fails_keeps_no_other_from_hearing(scope: Scope) -> None:
    broken, well = Ear("broken", fails_at={1}), Ear("well")
    await enable_reader(scope, "broken")
    await enable_reader(scope, "well")
    await happen(scope, 1, 2)

    await deliver(scope, broken)
    await deliver(scope, well)

    assert await heard("broken") == []
    assert await heard("well") == [1, 2]


async def test_a_handler_that_hangs_is_broken_off_and_counts_as_failed(scope: Scope) -> None:
    async def hang(scope: Scope, lines: Sequence[Line]) -> None:
        await asyncio.sleep(9)

    ear = Ear(also=hang)
    await enable_reader(scope, "ear")
    await happen(scope, 1)

    await Deliveries(limit=0.05).turn(scope, ear)

    assert (await state(ear)).error == "It took longer than it may."
    assert await heard() == []


async def test_what_is_recorded_in_a_handler_names_its_cause(scope: Scope) -> None:
    async def answer(scope: Scope, lines: Sequence[Line]) -> None:
        async with unit_of_work(scope):
            record(scope, ThingHeard(lines[0].subject_id or 0))

    ear = Ear(also=answer)
    await enable_reader(scope, "ear")
    await happen(as_(scope, "customer", 3), 1)
    await happen(scope, 2, 3)

    await Deliveries().turn(scope, ear)

    line = await queries.get_entry(scope, 4)
    assert (line.kind, line.caused_by, line.depth, line.on_behalf_of) == ("thing_heard", 1, 1, "customer:3")
    assert [entry.position for entry in await queries.why(scope, 4)] == [4, 1]


async def test_plugins_that_answer_each_other_end_parked_and_not_in_a_loop(scope: Scope, clock: FixedClock) -> None:
    async def answer(scope: Scope, lines: Sequence[Line]) -> None:
        async with unit_of_work(scope):
            for line in lines:
                record(scope, ThingMade(line.subject_id or 0))

    ear = Ear(also=answer)
    await enable_reader(scope, "ear")
    await happen(scope, 1)

    await fail_for_good(scope, clock, ear)

    (parked,) = await queries.list_parked("ear")
    assert await values("SELECT depth FROM activity ORDER BY position") == list(range(8))
    assert parked.position == 8
    assert parked.error.startswith("TooDeep")


async def test_a_turn_that_could_not_be_serialised_does_not_count_as_a_failure(scope: Scope) -> None:
    async def unlucky(scope: Scope, lines: Sequence[Line]) -> None:
        if len(ear.calls) < 2:
            raise TryAgain

    ear = Ear(also=unlucky)
    await enable_reader(scope, "ear")
    await happen(scope, 1)

    with pytest.raises(TryAgain):
        await Deliveries().turn(scope, ear)
    assert (await state(ear)).failures == 0
    await Deliveries().turn(scope, ear)

    assert await heard() == [1]


async def test_a_parked_fact_is_told_again_late_and_flagged(scope: Scope, clock: FixedClock) -> None:
    late: list[bool] = []

    async def note(scope: Scope, lines: Sequence[Line]) -> None:
        late.append(heard_late())

    ear = Ear(fails_at={1}, also=note)
    await enable_reader(scope, "ear")
    await happen(scope, 1, 2)
    await fail_for_good(scope, clock, ear)

    assert await retry_parked(scope, ear, 1) == "ValueError: thing 1 is too much"
    assert [parked.failures for parked in await queries.list_parked("ear")] == [4]
    ear.fails_at.clear()
    assert await retry_parked(scope, ear, 1) is None

    assert await heard() == [2, 1]
    assert await queries.list_parked("ear") == []
    assert late == [False, True]
    with pytest.raises(NotFound):
        await retry_parked(scope, ear, 1)


async def test_a_parked_fact_can_be_given_up(scope: Scope, clock: FixedClock) -> None:
    ear = Ear(fails_at={1})
    await enable_reader(scope, "ear")
    await happen(scope, 1)
    await fail_for_good(scope, clock, ear)

    await skip_parked(scope, "ear", 1)

    assert await queries.list_parked("ear") == []
    assert (await queries.timeline(scope, limit=1))[0].kind == "parked_event_skipped"


async def test_calls_grow_while_they_are_quick_and_shrink_when_they_are_slow(scope: Scope) -> None:
    slow = False

    async def take_time(scope: Scope, lines: Sequence[Line]) -> None:
        if slow:
            await asyncio.sleep(0.002 * len(lines))

    ear, deliveries = Ear(also=take_time), Deliveries(budget=10)
    await enable_reader(scope, "ear")
    await happen(scope, *range(400))
    ear.also = take_time
    slow = True
    await deliver(scope, ear, deliveries)
    largest = max(map(len, ear.calls))
    settled = [len(call) for call in ear.calls[-5:]]

    assert ear.calls[0] == list(range(1, 11))
    assert largest <= 40
    assert max(settled) <= 20
    assert await heard() == list(range(1, 401))


async def test_a_commit_that_concerns_no_reader_costs_no_write(scope: Scope) -> None:
    ear, deliveries = Ear(), Deliveries()
    await enable_reader(scope, "ear")
    async with unit_of_work(scope):
        record(scope, ThingChanged(1))

    with watched() as statements:
        assert await deliveries.due(scope, [ear]) == []
        await happen(scope, 1)
        assert await deliveries.due(scope, [ear]) == [ear]

    assert not [text for text in statements if "delivery" in text and not text.startswith("SELECT")]


async def test_a_reader_far_behind_moves_on_even_if_nothing_concerns_it(scope: Scope) -> None:
    ear, deliveries = Ear(), Deliveries()
    await enable_reader(scope, "ear")
    async with unit_of_work(scope):
        for number in range(600):
            record(scope, ThingChanged(number))

    await deliver(scope, ear, deliveries)

    assert (await state(ear)).position == 600
    assert ear.calls == []


async def test_while_another_process_is_at_a_reader_no_turn_is_taken(scope: Scope) -> None:
    if dialect() == "sqlite":
        return  # its one write lock is the lock; shown with processes in tests/faults
    ear, entered, leave = Ear(), asyncio.Event(), asyncio.Event()
    await enable_reader(scope, "ear")
    await happen(scope, 1)

    async def another() -> None:
        async with transaction():
            await value("SELECT reader FROM delivery WHERE reader = 'ear' FOR UPDATE")
            entered.set()
            await leave.wait()

    other = spawn(another())
    await entered.wait()
    turn = await Deliveries().turn(scope, ear)
    leave.set()
    await other

    assert turn is None
    assert await Deliveries().turn(scope, ear) == Turn(1, more=False)


async def test_a_turn_ends_after_its_time_and_the_next_goes_on(scope: Scope) -> None:
    ear, deliveries = Ear(), Deliveries(budget=0.0)
    await enable_reader(scope, "ear")
    await happen(scope, *range(35))

    first = await deliveries.turn(scope, ear)
    await deliver(scope, ear, deliveries)

    assert first == Turn(10, more=True)
    assert await heard() == list(range(1, 36))


async def test_a_restored_backup_does_not_make_a_reader_miss_facts(scope: Scope) -> None:
    ear, deliveries = Ear(), Deliveries()
    await enable_reader(scope, "ear")
    deliveries._looked[scope.tenant.uuid, "ear"] = 40

    await happen(scope, 1)

    assert await deliveries.due(scope, [ear]) == [ear]


async def test_of_two_workers_at_once_each_fact_is_heard_once(scope: Scope) -> None:
    await enable_reader(scope, "ear")
    await happen(scope, *range(120))
    ears = [Ear(), Ear()]

    async def work(ear: Ear) -> None:
        deliveries = Deliveries(budget=0.001)
        while await value("SELECT position FROM delivery") < 120:
            with suppress(TryAgain):
                await deliveries.turn(scope, ear)
            await asyncio.sleep(0)

    await asyncio.gather(*(spawn(work(ear)) for ear in ears))

    assert await heard() == list(range(1, 121))
