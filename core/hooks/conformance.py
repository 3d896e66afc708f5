"""What the loader does not look at, for tests: do the types of an implementation fit those of its hook?"""

from __future__ import annotations

import ast
import importlib
import inspect
import types
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, Union, get_args, get_origin, get_type_hints

from core.hooks.markers import is_implementation, is_spec


def type_faults(specs: ModuleType, module: ModuleType) -> Iterator[str]:
    """Each argument or answer of the module's implementations that does not fit its hook, in words.

    An argument must take what the hook gives; an answer may be narrower than the hook asks for (a list for a Sequence).
    """
    for name, spec in inspect.getmembers(specs, is_spec):
        implementation = getattr(module, name, None)
        if not is_implementation(implementation):
            continue
        where = f"{module.__name__}.{name}"
        try:
            wanted, given = type_hints_of(spec), type_hints_of(implementation)
        except NameError as error:
            yield f"{where}: {error}: import it, under `if TYPE_CHECKING:` where it is a type alone"
            continue
        for argument in inspect.signature(implementation).parameters:
            if argument not in given:
                yield f"{where}: {argument} has no type; it is {_shown(wanted[argument])}"
            elif not _fits(wanted[argument], given[argument]):
                yield f"{where}: {argument} is {_shown(wanted[argument])}, not {_shown(given[argument])}"
        if "return" not in given:
            yield f"{where} does not say what it answers; it is {_shown(wanted['return'])}"
        elif not _fits(given["return"], wanted["return"]):
            yield f"{where} answers {_shown(wanted['return'])}, not {_shown(given['return'])}"


def type_hints_of(function: Callable[..., object]) -> dict[str, Any]:
    """The types of a function, also those that its module imports for type checking only."""
    module = inspect.getmodule(function)
    return get_type_hints(function, localns=_for_type_checking(module) if module else None)


def _for_type_checking(module: ModuleType) -> dict[str, Any]:
    """What stands under `if TYPE_CHECKING:`, imported."""
    try:
        source = inspect.getsource(module)
    except (OSError, TypeError):
        return {}
    names: dict[str, Any] = {}
    for statement in ast.parse(source).body:
        if (
            isinstance(statement, ast.If)
            and isinstance(statement.test, ast.Name)
            and statement.test.id == "TYPE_CHECKING"
        ):
            for one in statement.body:
                if isinstance(one, ast.ImportFrom) and one.module:
                    found = importlib.import_module(one.module)
                    names.update({alias.asname or alias.name: getattr(found, alias.name) for alias in one.names})
    return names


def _fits(given: Any, wanted: Any) -> bool:
    """Can a value of the type `given` stand where `wanted` is asked for?"""
    if wanted in (Any, object) or given == wanted:
        return True
    if _is_union(given):
        return all(_fits(one, wanted) for one in get_args(given))
    if _is_union(wanted):
        return any(_fits(given, one) for one in get_args(wanted))
    given_class, wanted_class = get_origin(given) or given, get_origin(wanted) or wanted
    if not (isinstance(given_class, type) and isinstance(wanted_class, type) and issubclass(given_class, wanted_class)):
        return False
    given_parts = tuple(part for part in get_args(given) if part is not ...)
    wanted_parts = get_args(wanted)
    if not wanted_parts:
        return True
    return len(given_parts) == len(wanted_parts) and all(map(_fits, given_parts, wanted_parts))


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in (Union, types.UnionType)


def _shown(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)
