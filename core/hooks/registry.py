"""A typed face over pluggy: hooks are passed as functions, so mypy checks every call and what comes back.

pluggy finds, names and checks the implementations. The calls are ours, one plugin at a time and in manifest order,
because a page must know which plugin failed, and nothing may run in another task than the transaction's.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final, Generic, NamedTuple, ParamSpec, TypeVar, cast

import pluggy
import structlog

from core.errors import DomainError, TryAgain
from core.hooks.faults import PluginError, PluginFailed
from core.hooks.markers import NAMESPACE, is_implementation, is_spec
from core.ids import new_token

P = ParamSpec("P")
R = TypeVar("R")
Guard = Callable[[], AbstractAsyncContextManager[object]]

SECONDS: Final = 2.0
_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer(Generic[R]):
    """What one plugin said: a value, or else an error, which `error_id` finds in the log. Look at `error` first.

    `late` is who was not done in the time of `ask_soon`, and said nothing yet.
    """

    plugin: str
    value: R | None
    error: Exception | None = None
    error_id: str = ""
    late: bool = False


class _Implementation(NamedTuple):
    plugin: str
    function: Callable[..., object]
    arguments: tuple[str, ...]


class _Hook(NamedTuple):
    arguments: tuple[str, ...]
    implementations: tuple[_Implementation, ...]


class Hooks:
    """The hooks of one set of enabled plugins. Made once a set; knows no tenant and holds no state."""

    def __init__(
        self,
        specs: ModuleType,
        modules: Iterable[tuple[str, ModuleType]],
        *,
        seconds: float = SECONDS,
        guard: Guard = nullcontext,
    ) -> None:
        """`modules` in the order in which they are asked; `guard` is what each `validate_*` runs in."""
        self._seconds = seconds
        self._guard = guard
        self._hooks = _found(specs, tuple(modules))

    def implementers(self, spec: Callable[..., object]) -> tuple[str, ...]:
        """The plugins that answer to this hook, in order."""
        return tuple(implementation.plugin for implementation in self._hooks[spec.__name__].implementations)

    def collect(self, spec: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> dict[str, R]:
        """Every plugin's answer to a plain (not async) hook, in manifest order; the first failure is raised."""
        answers: dict[str, R] = {}
        for implementation, given in self._calls(spec, args, kwargs):
            try:
                answers[implementation.plugin] = cast("R", implementation.function(*given))
            except (DomainError, TryAgain):
                raise
            except Exception as error:
                note_failure(implementation.plugin, spec.__name__)
                raise PluginFailed(implementation.plugin, spec.__name__) from error
        return answers

    async def ask(
        self, spec: Callable[P, Coroutine[Any, Any, R]], *args: P.args, **kwargs: P.kwargs
    ) -> list[Answer[R]]:
        """Every plugin's answer to an async hook, each within the time limit; a failure stands in its place."""
        answers: list[Answer[R]] = []
        for implementation, given in self._calls(spec, args, kwargs):
            try:
                value = cast("R", await self._limited(implementation, given))
            except TryAgain:
                raise
            except Exception as error:
                error_id = note_failure(implementation.plugin, spec.__name__)
                answers.append(Answer(implementation.plugin, None, error, error_id))
            else:
                answers.append(Answer(implementation.plugin, value))
        return answers

    async def ask_soon(
        self, seconds: float, spec: Callable[P, Coroutine[Any, Any, R]], *args: P.args, **kwargs: P.kwargs
    ) -> list[Answer[R]]:
        """The same in so much time altogether: who is not done by then is broken off, and noted as late, not as failed.

        Who is asked when it is over still has a tenth of it, so that one that is slow does not make late those that
        are not. Ask again where there is more time.
        """
        answers: list[Answer[R]] = []
        now = asyncio.get_running_loop().time
        end = now() + seconds
        for implementation, given in self._calls(spec, args, kwargs):
            limit = asyncio.timeout_at(max(end, now() + seconds / 10))
            try:
                async with limit:
                    value = await cast("Coroutine[Any, Any, R]", implementation.function(*given))
            except TryAgain:
                raise
            except Exception as error:
                if limit.expired():
                    answers.append(Answer(implementation.plugin, None, late=True))
                else:
                    error_id = note_failure(implementation.plugin, spec.__name__)
                    answers.append(Answer(implementation.plugin, None, error, error_id))
            else:
                answers.append(Answer(implementation.plugin, value))
        return answers

    async def plan(self, spec: Callable[P, Coroutine[Any, Any, R]], *args: P.args, **kwargs: P.kwargs) -> dict[str, R]:
        """Every plugin's part of a plan (`plan_*`); the first failure is raised, since a plan with a gap is none."""
        answers: dict[str, R] = {}
        for implementation, given in self._calls(spec, args, kwargs):
            answers[implementation.plugin] = cast("R", await self._demanded(spec.__name__, implementation, given))
        return answers

    async def first(
        self, spec: Callable[P, Coroutine[Any, Any, R | None]], *args: P.args, **kwargs: P.kwargs
    ) -> R | None:
        """The first answer that is not None (`choose_*`); a failure is raised."""
        for implementation, given in self._calls(spec, args, kwargs):
            answer = cast("R | None", await self._demanded(spec.__name__, implementation, given))
            if answer is not None:
                return answer
        return None

    async def validate(self, spec: Callable[P, Coroutine[Any, Any, None]], *args: P.args, **kwargs: P.kwargs) -> None:
        """Ask each plugin whether it may be (`validate_*`): the first refusal is raised, and a fault is one."""
        for implementation, given in self._calls(spec, args, kwargs):
            async with self._guard():
                await self._demanded(spec.__name__, implementation, given)

    async def tell(
        self, plugin: str, spec: Callable[P, Coroutine[Any, Any, None]], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Call one plugin's handler of a past-tense hook, as delivery does; whatever it raises is raised as it is."""
        for implementation, given in self._calls(spec, args, kwargs):
            if implementation.plugin == plugin:
                await self._limited(implementation, given)

    def _calls(
        self, spec: Callable[..., object], args: tuple[object, ...], kwargs: Mapping[str, object]
    ) -> Iterable[tuple[_Implementation, list[object]]]:
        """Each implementation with the arguments that it asks for."""
        hook = self._hooks[spec.__name__]
        if not hook.implementations:
            return
        named = {**dict(zip(hook.arguments, args, strict=False)), **kwargs}
        for implementation in hook.implementations:
            yield implementation, [named[name] for name in implementation.arguments]

    async def _limited(self, implementation: _Implementation, given: list[object]) -> object:
        async with asyncio.timeout(self._seconds):  # wait_for would leave the task, and with it the transaction
            return await cast("Coroutine[Any, Any, object]", implementation.function(*given))

    async def _demanded(self, hook: str, implementation: _Implementation, given: list[object]) -> object:
        try:
            return await self._limited(implementation, given)
        except (DomainError, TryAgain):
            raise
        except Exception as error:
            note_failure(implementation.plugin, hook)
            raise PluginFailed(implementation.plugin, hook) from error


def note_failure(plugin: str, what: str) -> str:
    """Put the exception at hand into the log as a plugin's, and give the id that its error card shows."""
    error_id = new_token(6)
    _log.exception("plugin failed", plugin=plugin, what=what, error_id=error_id)
    return error_id


class HookSets:
    """The hooks of each set of enabled plugins, made when a set is first met and kept."""

    def __init__(
        self,
        specs: ModuleType,
        core: Iterable[tuple[str, ModuleType]],
        plugins: Iterable[tuple[str, ModuleType]],
        *,
        guard: Guard = nullcontext,
    ) -> None:
        """Both in the order in which they are asked; `core` are the features' own implementations, always on."""
        self._specs = specs
        self._core = tuple(core)
        self._plugins = tuple(plugins)
        self._guard = guard
        self._made: dict[frozenset[str], Hooks] = {}

    def of(self, enabled: Iterable[str]) -> Hooks:
        """The hooks of a tenant with these plugins. A plugin that is not installed (any more) is left out."""
        names = frozenset(enabled)
        if names not in self._made:
            on = [(name, module) for name, module in self._plugins if name in names]
            self._made[names] = Hooks(self._specs, (*self._core, *on), guard=self._guard)
        return self._made[names]


def _found(specs: ModuleType, modules: tuple[tuple[str, ModuleType], ...]) -> dict[str, _Hook]:
    """The implementations by hook. Raises PluginError for a module that does not fit the hooks."""
    manager = pluggy.PluginManager(NAMESPACE)
    manager.add_hookspecs(specs)
    for name, module in modules:
        _check_marks(name, module, specs)
        try:
            manager.register(module, name)
        except pluggy.PluginValidationError as error:
            raise PluginError(name, str(error)) from error
    try:
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(manager.get_name(error.plugin) or "?", str(error)) from error
    place = {name: i for i, (name, _) in enumerate(modules)}
    hooks: dict[str, _Hook] = {}
    for name, spec in inspect.getmembers(specs, is_spec):
        implementations = getattr(manager.hook, name).get_hookimpls()
        for implementation in implementations:
            _check_kind(spec, implementation)
        hooks[name] = _Hook(
            tuple(inspect.signature(spec).parameters),
            tuple(
                _Implementation(one.plugin_name, one.function, tuple(one.argnames))
                for one in sorted(implementations, key=lambda one: place[one.plugin_name])
            ),
        )
    return hooks


def _check_marks(name: str, module: ModuleType, specs: ModuleType) -> None:
    for member, function in inspect.getmembers(module, inspect.isfunction):
        if is_implementation(function) or not is_spec(getattr(specs, member, None)):
            continue
        if function.__module__ == module.__name__:
            raise PluginError(name, f"{member} has the name of a hook but is not marked with @hookimpl")


def _check_kind(spec: Callable[..., object], implementation: pluggy.HookImpl) -> None:
    if implementation.hookwrapper or implementation.wrapper or implementation.tryfirst or implementation.trylast:
        raise PluginError(
            implementation.plugin_name,
            f"{spec.__name__} is a wrapper or asks to be first or last; the order is the manifest's",
        )
    wanted = inspect.iscoroutinefunction(spec)
    if inspect.iscoroutinefunction(implementation.function) != wanted:
        raise PluginError(
            implementation.plugin_name, f"{spec.__name__} must be written with {'async def' if wanted else 'def'}"
        )
