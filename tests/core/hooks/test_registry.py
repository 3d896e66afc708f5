"""Asking and telling: one plugin at a time, in manifest order, and nobody's fault is another's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import ModuleType

import pluggy
import pytest
import structlog

from core.errors import Conflict, Forbidden, NotFound, TryAgain
from core.hooks import Hooks, HookSets, PluginError, PluginFailed, Tab, hookimpl
from core.hooks.markers import NAMESPACE
from tests.core.hooks import modules
from tests.core.hooks.modules import SPECS, answering, failing, module, named


def tab(key: str) -> Tab:
    return Tab(key=key, label=key, href=f"/{key}")


# ------------------------------------------------------------------ ask


async def test_answers_come_in_manifest_order() -> None:
    async def of_customer(customer_id: int) -> list[Tab]:
        return [tab(f"map-{customer_id}")]

    hooks = Hooks(SPECS, named(module("b", customer_tabs=of_customer), module("a", customer_tabs=answering([]))))

    answers = await hooks.ask(modules.customer_tabs, scope="s", customer_id=7)

    assert [(answer.plugin, answer.value, answer.error) for answer in answers] == [
        ("b", [tab("map-7")], None),
        ("a", [], None),
    ]
    assert hooks.implementers(modules.customer_tabs) == ("b", "a")
    assert hooks.implementers(modules.choose_rate) == ()


async def test_a_plugin_that_raises_or_is_slow_stands_as_an_error_in_its_place_and_in_the_log() -> None:
    async def slow() -> list[Tab]:
        await asyncio.sleep(9)
        return []

    hooks = Hooks(
        SPECS,
        named(
            module("a", customer_tabs=answering([tab("a")])),
            module("b", customer_tabs=failing(ZeroDivisionError("secret"))),
            module("c", customer_tabs=slow),
            module("d", customer_tabs=failing(Forbidden("Not you."))),
            module("e", customer_tabs=answering([tab("e")])),
        ),
        seconds=0.05,
    )

    with structlog.testing.capture_logs() as log:
        answers = await hooks.ask(modules.customer_tabs, scope="s", customer_id=7)

    assert [type(answer.error) for answer in answers] == [
        type(None),
        ZeroDivisionError,
        TimeoutError,
        Forbidden,
        type(None),
    ]
    assert [answer.value for answer in answers] == [[tab("a")], None, None, None, [tab("e")]]
    assert [(line["plugin"], line["what"], line["error_id"]) for line in log] == [
        (answer.plugin, "customer_tabs", answer.error_id) for answer in answers[1:4]
    ]
    assert len({answer.error_id for answer in answers[1:4]}) == 3
    assert answers[0].error_id == ""


async def test_who_is_not_done_in_the_time_for_all_is_late_and_no_fault() -> None:
    async def slow() -> list[Tab]:
        await asyncio.sleep(9)
        return []

    async def too_slow_by_itself() -> list[Tab]:
        raise TimeoutError

    hooks = Hooks(
        SPECS,
        named(
            module("a", customer_tabs=too_slow_by_itself),
            module("b", customer_tabs=failing(Forbidden("Not you."))),
            module("c", customer_tabs=slow),
            module("d", customer_tabs=slow),
            module("e", customer_tabs=answering([tab("e")])),
        ),
    )

    with structlog.testing.capture_logs() as log:
        async with asyncio.timeout(2):
            answers = await hooks.ask_soon(0.05, modules.customer_tabs, scope="s", customer_id=7)

    assert [answer.late for answer in answers] == [False, False, True, True, False]
    assert [type(answer.error) for answer in answers[:3]] == [TimeoutError, Forbidden, type(None)]
    assert answers[4].value == [tab("e")]
    assert [line["error_id"] for line in log] == [answers[0].error_id, answers[1].error_id]


async def test_a_database_that_asks_to_try_again_is_heard_and_not_taken_for_the_plugin_s_fault() -> None:
    hooks = Hooks(
        SPECS,
        named(
            module(
                "a", customer_tabs=failing(TryAgain()), choose_rate=failing(TryAgain()), plan_move=failing(TryAgain()),
                validate_move=failing(TryAgain()), customer_moved=failing(TryAgain()),
            )
        ),
    )  # fmt: skip

    with pytest.raises(TryAgain):
        await hooks.ask(modules.customer_tabs, scope="s", customer_id=7)
    with pytest.raises(TryAgain):
        await hooks.first(modules.choose_rate, country="DE")
    with pytest.raises(TryAgain):
        await hooks.plan(modules.plan_move, customer_id=7)
    with pytest.raises(TryAgain):
        await hooks.validate(modules.validate_move, scope="s", customer_id=7)
    with pytest.raises(TryAgain):
        await hooks.tell("a", modules.customer_moved, scope="s", events=[1])


async def test_a_cancelled_page_stops_asking() -> None:
    hooks = Hooks(SPECS, named(module("a", customer_tabs=failing(asyncio.CancelledError()))))

    with pytest.raises(asyncio.CancelledError):
        await hooks.ask(modules.customer_tabs, scope="s", customer_id=7)


async def test_arguments_may_be_given_in_order_and_left_out_by_the_plugin() -> None:
    seen: list[tuple[str, int]] = []

    async def both(customer_id: int, scope: str) -> list[Tab]:
        seen.append((scope, customer_id))
        return []

    hooks = Hooks(SPECS, named(module("a", customer_tabs=both), module("b", customer_tabs=answering([]))))

    await hooks.ask(modules.customer_tabs, "s", 7)
    await hooks.ask(modules.customer_tabs, "s", customer_id=8)

    assert seen == [("s", 7), ("s", 8)]


async def test_everything_runs_in_the_caller_s_task_as_the_transaction_does() -> None:
    tasks: list[object] = []

    async def note() -> None:
        tasks.append(asyncio.current_task())

    hooks = Hooks(
        SPECS,
        named(
            module("a", customer_tabs=note, validate_move=note, customer_moved=note, plan_move=note, choose_rate=note)
        ),
    )

    await hooks.ask(modules.customer_tabs, scope="s", customer_id=1)
    await hooks.validate(modules.validate_move, scope="s", customer_id=1)
    await hooks.tell("a", modules.customer_moved, scope="s", events=[1])
    await hooks.plan(modules.plan_move, customer_id=1)
    await hooks.first(modules.choose_rate, country="DE")

    assert tasks == [asyncio.current_task()] * 5


# ------------------------------------------------------------------ collect, plan, first


def test_plain_hooks_are_collected_by_plugin() -> None:
    def names(ids: Sequence[int]) -> dict[int, str]:
        return dict.fromkeys(ids, "x")

    hooks = Hooks(SPECS, named(module("b", collect_names=names), module("a", collect_names=names)))

    assert hooks.collect(modules.collect_names, [1, 2]) == {"b": {1: "x", 2: "x"}, "a": {1: "x", 2: "x"}}
    assert list(hooks.collect(modules.collect_names, ids=[])) == ["b", "a"]


def test_a_plugin_that_fails_in_a_collection_is_named() -> None:
    def broken() -> dict[int, str]:
        raise KeyError("x")

    with (
        structlog.testing.capture_logs() as log,
        pytest.raises(PluginFailed, match=r"plugin b failed .*\(collect_names\)\. Nothing was changed") as failed,
    ):
        Hooks(SPECS, named(module("b", collect_names=broken))).collect(modules.collect_names, ids=[1])

    assert (failed.value.plugin, failed.value.hook, failed.value.status) == ("b", "collect_names", 409)
    assert isinstance(failed.value.__cause__, KeyError)
    assert [(line["plugin"], line["what"], line["exc_info"]) for line in log] == [("b", "collect_names", True)]


async def test_the_log_says_why_a_plan_cannot_be_made() -> None:
    with structlog.testing.capture_logs() as log, pytest.raises(PluginFailed):
        await Hooks(SPECS, named(module("b", plan_move=failing(KeyError())))).plan(modules.plan_move, customer_id=1)

    assert [(line["plugin"], line["what"], line["exc_info"]) for line in log] == [("b", "plan_move", True)]


def test_a_refusal_in_a_collection_passes_as_it_is() -> None:
    def refusing() -> dict[int, str]:
        raise NotFound("x")

    with pytest.raises(NotFound):
        Hooks(SPECS, named(module("b", collect_names=refusing))).collect(modules.collect_names, ids=[1])


async def test_a_plan_is_gathered_by_plugin_and_one_with_a_gap_is_none() -> None:
    good, bad = module("a", plan_move=answering(["ends"])), module("b", plan_move=failing(KeyError()))

    assert await Hooks(SPECS, named(good)).plan(modules.plan_move, customer_id=1) == {"a": ["ends"]}
    with pytest.raises(PluginFailed, match="plugin b"):
        await Hooks(SPECS, named(good, bad)).plan(modules.plan_move, customer_id=1)


async def test_the_first_answer_counts_and_later_plugins_are_not_asked() -> None:
    hooks = Hooks(
        SPECS,
        named(
            module("a", choose_rate=answering(None)),
            module("b", choose_rate=answering(0)),
            module("c", choose_rate=failing(KeyError())),
        ),
    )

    assert await hooks.first(modules.choose_rate, country="DE") == 0
    assert (
        await Hooks(SPECS, named(module("a", choose_rate=answering(None)))).first(modules.choose_rate, country="DE")
        is None
    )
    with pytest.raises(PluginFailed, match="plugin c"):
        await Hooks(SPECS, named(module("c", choose_rate=failing(KeyError())))).first(modules.choose_rate, country="DE")


# ------------------------------------------------------------------ validate


async def test_a_refusal_reaches_the_person_as_it_is_and_nobody_after_it_is_asked() -> None:
    asked: list[str] = []

    async def notes() -> None:
        asked.append("c")

    hooks = Hooks(
        SPECS,
        named(
            module("a", validate_move=answering(None)),
            module("b", validate_move=failing(Conflict("A device is still there."))),
            module("c", validate_move=notes),
        ),
    )

    with pytest.raises(Conflict, match=r"^A device is still there\.$"):
        await hooks.validate(modules.validate_move, scope="s", customer_id=1)

    assert asked == []


async def test_a_fault_and_a_slow_plugin_refuse_in_the_plugin_s_name() -> None:
    async def slow() -> None:
        await asyncio.sleep(9)

    for broken in (failing(KeyError()), slow):
        hooks = Hooks(SPECS, named(module("b", validate_move=broken)), seconds=0.05)
        with pytest.raises(PluginFailed, match="plugin b failed"):
            await hooks.validate(modules.validate_move, scope="s", customer_id=1)


async def test_each_plugin_is_asked_inside_a_guard_of_its_own() -> None:
    happened: list[str] = []

    @asynccontextmanager
    async def guard() -> AsyncIterator[None]:
        happened.append("open")
        try:
            yield
        except Conflict:
            happened.append("taken back")
            raise
        happened.append("closed")

    async def notes() -> None:
        happened.append("asked")

    hooks = Hooks(
        SPECS, named(module("a", validate_move=notes), module("b", validate_move=failing(KeyError()))), guard=guard
    )

    with pytest.raises(PluginFailed):
        await hooks.validate(modules.validate_move, scope="s", customer_id=1)

    assert happened == ["open", "asked", "closed", "open", "taken back"]


# ------------------------------------------------------------------ tell


async def test_delivery_tells_one_plugin_and_hears_its_fault_as_it_is() -> None:
    heard: list[tuple[str, Sequence[int]]] = []

    def hears(name: str) -> ModuleType:
        async def moved(events: Sequence[int]) -> None:
            heard.append((name, events))

        return module(name, customer_moved=moved)

    hooks = Hooks(SPECS, named(hears("a"), hears("b"), module("c", customer_moved=failing(KeyError("c")))))

    await hooks.tell("b", modules.customer_moved, scope="s", events=[1, 2])
    await hooks.tell("nobody", modules.customer_moved, scope="s", events=[3])
    with pytest.raises(KeyError):
        await hooks.tell("c", modules.customer_moved, scope="s", events=[4])

    assert heard == [("b", [1, 2])]


async def test_a_handler_has_two_seconds() -> None:
    async def slow() -> None:
        await asyncio.sleep(9)

    hooks = Hooks(SPECS, named(module("a", customer_moved=slow)), seconds=0.05)

    with pytest.raises(TimeoutError):
        await hooks.tell("a", modules.customer_moved, scope="s", events=[1])


# ------------------------------------------------------------------ what does not fit


async def typo(customer_idd: int) -> list[Tab]:
    return []


def plain() -> list[Tab]:
    return []


async def asynchronous() -> dict[int, str]:
    return {}


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"customer_tabs": plain}, "customer_tabs must be written with async def"),
        ({"collect_names": asynchronous}, "collect_names must be written with def"),
        ({"customer_tabs": typo}, "customer_idd"),
        ({"customer_tab": answering([])}, "unknown hook"),
    ],
)
def test_a_module_that_does_not_fit_the_hooks_is_refused_by_name(members: dict[str, object], reason: str) -> None:
    with pytest.raises(PluginError, match=f"(?s)^Plugin misfit: .*{reason}") as refused:
        Hooks(SPECS, named(module("good", customer_tabs=answering([])), module("misfit", **members)))

    assert refused.value.plugin == "misfit"


@pytest.mark.parametrize("option", ["tryfirst", "trylast", "hookwrapper", "wrapper"])
def test_wrappers_and_pushing_ahead_are_not_part_of_the_contract(option: str) -> None:
    def collect_names():  # type: ignore[no-untyped-def]  # pluggy wants a generator here
        yield

    made = ModuleType("pushy")
    vars(made)["collect_names"] = pluggy.HookimplMarker(NAMESPACE)(**{option: True})(collect_names)

    with pytest.raises(PluginError, match=r"the order is the manifest's"):
        Hooks(SPECS, named(made))


def test_a_hook_s_name_without_the_mark_is_refused_since_nobody_would_call_it() -> None:
    async def customer_tabs() -> list[Tab]:
        return []

    customer_tabs.__module__ = "forgot"
    made = ModuleType("forgot")
    vars(made)["customer_tabs"] = customer_tabs

    with pytest.raises(PluginError, match="not marked with @hookimpl"):
        Hooks(SPECS, named(made))


def test_a_function_that_is_only_imported_is_no_implementation() -> None:
    made = ModuleType("importer")
    vars(made)["customer_tabs"] = modules.customer_tabs

    assert Hooks(SPECS, named(made)).implementers(modules.customer_tabs) == ()


# ------------------------------------------------------------------ sets


def test_a_set_of_plugins_has_its_hooks_once_whatever_the_order_it_is_named_in() -> None:
    core = named(module("customers", customer_tabs=answering([])))
    plugins = named(module("z", customer_tabs=answering([])), module("a", customer_tabs=answering([])))
    sets = HookSets(SPECS, core, plugins)

    assert sets.of(["a", "z"]) is sets.of(["z", "a"]) is sets.of({"a", "z"})
    assert sets.of(["a"]) is not sets.of(["z"])
    assert sets.of(["a", "z"]).implementers(modules.customer_tabs) == ("customers", "z", "a")
    assert sets.of(["a"]).implementers(modules.customer_tabs) == ("customers", "a")
    assert sets.of([]).implementers(modules.customer_tabs) == ("customers",)


def test_a_plugin_that_is_no_longer_installed_is_left_out() -> None:
    sets = HookSets(SPECS, [], named(module("a", customer_tabs=answering([]))))

    assert sets.of(["a", "gone"]).implementers(modules.customer_tabs) == ("a",)


async def test_the_guard_of_a_set_is_that_of_its_hooks() -> None:
    opened: list[int] = []

    @asynccontextmanager
    async def guard() -> AsyncIterator[None]:
        opened.append(1)
        yield

    sets = HookSets(SPECS, [], named(module("a", validate_move=answering(None))), guard=guard)

    await sets.of(["a"]).validate(modules.validate_move, scope="s", customer_id=1)

    assert opened == [1]


def test_a_mark_leaves_the_function_as_it_was() -> None:
    async def customer_tabs() -> list[Tab]:
        return []

    assert hookimpl(customer_tabs) is customer_tabs
