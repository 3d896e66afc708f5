"""The reference of hooks for plugin authors, made from the code: `./run docs` writes it to docs/hooks.md."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import ModuleType
from typing import Any, Final, get_args

import msgspec

from core.hooks import manifest, values
from core.hooks.conformance import type_hints_of
from core.hooks.manifest import HOOK_VERSION, Manifest, Permission, is_fact
from core.hooks.markers import is_spec

_SECTIONS: Final = {
    "": "Asked for each view",
    "validate": "Asked before something changes",
    "plan": "Asked for a plan",
    "choose": "Asked for a choice: the first answer counts",
    "collect": "Asked for a billing run",
    "told": "Told afterwards",
}


def hooks_markdown(specs: ModuleType) -> str:
    """Every hook with its signature, what it is for, when it is not called, and the values that it trades in."""
    hooks = dict(sorted(inspect.getmembers(specs, is_spec), key=lambda named: inspect.getsourcelines(named[1])[1]))
    text = [
        "# Hooks",
        "<!-- Made by ./run docs from core/hookspecs.py and core/hooks/. Change it there. -->",
        f"Hook version {HOOK_VERSION}.",
        inspect.cleandoc(specs.__doc__ or ""),
        "## The manifest",
        *_manifest(),
    ]
    for kind, title in _SECTIONS.items():
        if found := {name: spec for name, spec in hooks.items() if _kind(name, spec) == kind}:
            text.append(f"## {title}")
            for name, spec in found.items():
                text.extend(_hook(name, spec))
    text.append("## Values")
    for value in _values():
        text.extend(_value(value))
    return "\n\n".join(text) + "\n"


def _kind(name: str, spec: Callable[..., object]) -> str:
    word = name.partition("_")[0]
    return "told" if is_fact(spec) else word if word in _SECTIONS else ""


def _manifest() -> Iterator[str]:
    yield "The `MANIFEST` in a plugin's `plugin.py` says what the plugin is. " + _first_paragraph(Manifest)
    notes, lines = _notes(manifest, "Manifest"), []
    for one in _fields(Manifest):
        optional = "" if one.required else ", optional"
        note = f": {notes[one.name]}" if one.name in notes else ""
        lines.append(f"- `{one.name}` (`{one.type}`{optional}){note}")
    yield "\n".join(lines)
    yield from _value(Permission)


def _hook(name: str, spec: Callable[..., object]) -> Iterator[str]:
    yield f"### {name}"
    word = "async def" if inspect.iscoroutinefunction(spec) else "def"
    signature = inspect.signature(spec)
    arguments = ", ".join(f"{one.name}: {one.annotation}" for one in signature.parameters.values())
    yield f"```python\n@hookimpl\n{word} {name}({arguments}) -> {signature.return_annotation}: ...\n```"
    yield inspect.cleandoc(spec.__doc__ or "")
    if is_fact(spec):
        yield from _value(get_args(type_hints_of(spec)["events"])[0], heading=False)


def _values() -> list[type]:
    classes = [
        member for _, member in inspect.getmembers(values, inspect.isclass) if member.__module__ == values.__name__
    ]
    return sorted(classes, key=lambda one: inspect.getsourcelines(one)[1])


def _value(value: type, *, heading: bool = True) -> Iterator[str]:
    if heading:
        yield f"### {value.__name__}"
    given = inspect.signature(value).parameters
    by_name = next((name for name, one in given.items() if one.kind is one.KEYWORD_ONLY), None)
    lines = "".join(
        f"{'    *,' + chr(10) if one.name == by_name else ''}    {one.name}: {one.type}{one.default},\n"
        for one in _fields(value)
    )
    yield f"```python\n{value.__name__}(\n{lines})\n```"
    if heading:
        yield inspect.cleandoc(value.__doc__ or "")


class _Field(msgspec.Struct, frozen=True):
    name: str
    type: str
    default: str

    @property
    def required(self) -> bool:
        return not self.default


def _fields(value: type) -> Iterator[_Field]:
    """Names, types as they are written (short names of literals written out), and defaults."""
    notes = inspect.get_annotations(value)
    if dataclasses.is_dataclass(value):
        for one in dataclasses.fields(value):
            missing = one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
            default = "" if missing else " = {}" if one.default is dataclasses.MISSING else f" = {one.default!r}"
            yield _Field(one.name, _written(one.type), default)
        return
    for name, default in zip(value.__struct_fields__, _defaults(value), strict=True):  # type: ignore[attr-defined]  # a Struct
        yield _Field(name, _written(notes[name]), default)


def _defaults(value: Any) -> list[str]:
    """As they are written behind each field; nothing for one that must be given."""
    given = value.__struct_defaults__
    required = len(value.__struct_fields__) - len(given)
    shown = ["" if one is msgspec.NODEFAULT else f" = {_plain(one)!r}" for one in given]
    return [""] * required + shown


def _plain(default: Any) -> object:
    return default.factory() if hasattr(default, "factory") else default


def _written(annotation: object) -> str:
    """As it stands in the code, but `Tone` as what it may be: the reader has no other place to look it up."""
    kind = annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
    alias = getattr(values, kind, None)
    options = get_args(alias) if alias is not None and not isinstance(alias, type) else ()
    if options and all(isinstance(option, str) for option in options):
        return f"Literal[{', '.join(map(repr, options))}]"
    return kind


def _notes(module: ModuleType, name: str) -> dict[str, str]:
    """The sentences that stand under the fields of a class."""
    found: dict[str, str] = {}
    tree = ast.parse(inspect.getsource(module))
    body = next(one.body for one in tree.body if isinstance(one, ast.ClassDef) and one.name == name)
    for field, note in pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(note, ast.Expr)
            and isinstance(note.value, ast.Constant)
        ):
            found[field.target.id] = inspect.cleandoc(str(note.value.value)).replace("\n", " ")
    return found


def _first_paragraph(value: type) -> str:
    return inspect.cleandoc(value.__doc__ or "").split("\n\n")[0].replace("\n", " ")
