"""The contract with plugins: every hook is documented, called and tested, and every implementation fits it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

from core import hookspecs
from core.activity.events import EVENTS
from core.app import HOOK_MODULES
from core.hooks import HOOK_VERSION, Hooks, is_fact, usable
from core.hooks.conformance import type_faults, type_hints_of
from core.hooks.markers import is_spec
from core.hooks.reference import hooks_markdown
from core.scope import Scope
from core.testing import installed
from tenants.generated import generated_pages
from tests.core.hooks.modules import module

ROOT = Path(__file__).parents[2]
HOOKS: dict[str, Callable[..., object]] = dict(inspect.getmembers(hookspecs, is_spec))
IMPLEMENTATIONS: list[tuple[str, ModuleType]] = [
    *HOOK_MODULES,
    *((name, plugin.module) for name, plugin in usable(installed()).items()),
]

each_hook = pytest.mark.parametrize("name", HOOKS)


def test_every_installed_plugin_can_be_loaded() -> None:
    assert {name: plugin.error for name, plugin in installed().items() if plugin.error} == {}


def test_every_implementation_has_the_types_of_its_hook() -> None:
    faults = [fault for _, module in IMPLEMENTATIONS for fault in type_faults(hookspecs, module)]

    assert faults == []


def test_a_type_that_its_module_does_not_know_is_named_instead_of_breaking_the_check() -> None:
    def customer_tabs(scope: Scop, customer_id: int) -> None: ...  # type: ignore[name-defined]  # noqa: F821  # the fault

    faults = list(type_faults(hookspecs, module("probe", customer_tabs=customer_tabs)))

    assert len(faults) == 1
    assert faults[0].startswith("probe.customer_tabs: name 'Scop' is not defined: import it")


def test_all_implementations_fit_together() -> None:
    hooks = Hooks(hookspecs, IMPLEMENTATIONS)

    assert {name for spec in HOOKS.values() for name in hooks.implementers(spec)} <= {
        name for name, _ in IMPLEMENTATIONS
    }


def test_the_page_of_hooks_tells_of_every_hook() -> None:
    page = hooks_markdown(hookspecs)

    assert [name for name in HOOKS if name not in page] == []


@pytest.fixture(scope="module")
def page() -> str:
    """docs/hooks.md, as ./run docs writes it."""
    return generated_pages()[ROOT / "docs" / "hooks.md"]


@each_hook
def test_a_hook_stands_in_the_page_of_hooks(name: str, page: str) -> None:
    begin = page.index(f"\n### {name}\n")
    told = page[begin : page.index("\n#", begin + 5)]

    assert f"def {name}{inspect.signature(HOOKS[name])}".replace("'", "") in told
    assert (inspect.getdoc(HOOKS[name]) or "nothing is said") in told


@each_hook
def test_a_hook_says_what_it_is_for_when_it_is_not_called_and_since_when(name: str) -> None:
    text = inspect.getdoc(HOOKS[name]) or ""
    first, *_, last = text.split("\n\n")
    since = re.fullmatch(r"Since (\d+)\.(\d+)\.", last)

    assert re.fullmatch(r"[A-Z].*[^.]\.", first, re.DOTALL), "the first paragraph is one sentence in the domain's words"
    assert re.search(r"\bNot (asked|told|for)\b", text), "when is it not called?"
    assert since is not None, "the last paragraph is “Since x.y.”"
    assert tuple(map(int, since.groups())) <= tuple(map(int, HOOK_VERSION.split(".")))


@each_hook
def test_a_hook_s_name_shows_its_kind(name: str) -> None:
    spec = HOOKS[name]

    assert not re.match(r"(on|handle|before|after|register|pre|post)_", name)
    assert name.startswith("collect_") != inspect.iscoroutinefunction(spec), "only what gives SQL is a plain function"
    if is_fact(spec):
        assert re.search(r"(ed|finished)$", name), "what happened stands in the past tense"
    if name.startswith("validate_") or is_fact(spec):
        assert type_hints_of(spec)["return"] is type(None)


@each_hook
def test_a_hook_is_given_the_scope_first(name: str) -> None:
    first = next(iter(inspect.signature(HOOKS[name]).parameters))

    assert (first, type_hints_of(HOOKS[name])["scope"]) == ("scope", Scope)


@each_hook
def test_a_hook_is_called_by_the_core(name: str) -> None:
    if is_fact(HOOKS[name]):
        event = EVENTS[name]
        recorded = rf"\b{event.__name__}\b"
        elsewhere = [
            text for path, text in code("core") + code("tenants") if path.name not in ("events.py", "hookspecs.py")
        ]
        assert any(re.search(recorded, text) for text in elsewhere)
    else:
        assert any(re.search(rf"\bhookspecs\.{name}\b", text) for _, text in code("core"))


@each_hook
def test_a_hook_has_a_test(name: str) -> None:
    """Tests of the hooks' own machinery do not count: somewhere the hook must be seen at work."""
    apart = (ROOT / "tests" / "core" / "hooks", ROOT / "tests" / "conformance")

    assert [
        path
        for path, text in code("tests")
        if re.search(rf"\b{name}\b", text) and not any(map(path.is_relative_to, apart))
    ] != []


@cache
def code(folder: str) -> tuple[tuple[Path, str], ...]:
    return tuple((path, path.read_text("utf-8")) for path in sorted((ROOT / folder).rglob("*.py")))
