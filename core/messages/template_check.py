"""Tenants' templates are data: read against a list of what is allowed, refused with the line, filled with plain values.

Allowed are text, `{{ names }}` of the kind's fields and what lies under them, the filters of FILTERS, `if` with
comparisons, and `for` over a list of the fields, two deep. Nothing else exists: no calls, no arithmetic, no indexing,
no assignment, no other template. So there is nothing a template could reach or wear out but its own text.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from msgspec import Struct

from core.documents.formats import write_day, write_number
from core.errors import FieldError, Invalid
from core.money import Money, format_money
from core.texts import N_, _, number

LONGEST: Final = 20_000
"""Characters of a template."""
LONGEST_RESULT: Final = 200_000
"""Characters of a message made from it."""
DEEPEST_LOOP: Final = 2
DEEPEST: Final = 40
"""Of anything inside anything: an expression of a thousand brackets is no message."""

FILTERS: Final = {"upper": 0, "lower": 0, "title": 0, "capitalize": 0, "trim": 0, "length": 0, "default": 1, "join": 1}
"""Name → how many constants it takes at most."""

_PLAIN: Final = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Name,
    nodes.Getattr,
    nodes.Filter,
    nodes.If,
    nodes.For,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Const,
    nodes.CondExpr,
)
_CALLED: Final[dict[type[nodes.Node], str]] = {
    nodes.Call: N_("A field cannot be called: write {{ name }}, without brackets."),
    nodes.Getitem: N_("Fields under a field are written with a dot: {{ invoice.number }}."),
    nodes.Include: N_("Another template cannot be included."),
    nodes.Import: N_("Another template cannot be imported."),
    nodes.FromImport: N_("Another template cannot be imported."),
    nodes.Extends: N_("Another template cannot be extended."),
    nodes.Block: N_("Blocks cannot be made here."),
    nodes.Macro: N_("Macros cannot be made here."),
    nodes.Assign: N_("Values cannot be set here."),
    nodes.AssignBlock: N_("Values cannot be set here."),
    nodes.Test: N_("“is” cannot be used here: compare with ==, or write {% if name %}."),
    nodes.Concat: N_("“~” cannot be used here: write both side by side, {{ a }}{{ b }}."),
    nodes.BinExpr: N_("Nothing is reckoned in a template: the fields come ready."),
    nodes.UnaryExpr: N_("Nothing is reckoned in a template: the fields come ready."),
    nodes.List: N_("Lists come from the fields only."),
    nodes.Tuple: N_("Lists come from the fields only."),
    nodes.Dict: N_("Lists come from the fields only."),
}

_RESERVED: Final = frozenset({"self", "super", "caller", "varargs", "kwargs", "loop"})
"""Names that Jinja gives a meaning of its own."""

Schema = Mapping[str, Any]
"""Names of fields: None for a value, a Schema for what has fields of its own, [Schema or None] for a list."""


class _Environment(ImmutableSandboxedEnvironment):
    """Only our filters, no globals, no tests: what is not there cannot be asked for."""

    def __init__(self) -> None:
        super().__init__(autoescape=False, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        self.filters = {**{name: self.filters[name] for name in FILTERS}, "default": _or_else}
        self.globals = {}
        self.tests = {}


def _or_else(value: Any, otherwise: str = "") -> Any:
    """The value, or the text where there is none: a field that is not filled is an empty text."""
    return otherwise if value is None or value == "" else value


_environment: Final = _Environment()


class Found(Struct, frozen=True):
    """What is wrong with a template, and in which line of it."""

    line: int
    message: str


def template_faults(source: str, schema: Schema) -> list[Found]:
    """Everything in a template that is not allowed, in order; nothing if it may be saved."""
    if len(source) > LONGEST:
        return [
            Found(
                1,
                _(
                    "A template has at most %(most)s characters; this one has %(count)s.",
                    most=number(LONGEST),
                    count=number(len(source)),
                ),
            )
        ]
    try:
        tree = _environment.parse(source)
    except TemplateSyntaxError as error:
        return [Found(error.lineno, _syntax(error.message or ""))]
    except RecursionError:
        return [Found(1, _("This is nested too deeply."))]
    found = _nested_faults(tree) or list(_faults(tree, dict(schema), 0))
    return sorted(dict.fromkeys(found), key=lambda fault: fault.line)


def check_template(source: str, schema: Schema, *, field: str) -> None:
    """Raises Invalid naming the field and each line: “Line 3: There is no field “nmae”. Did you mean “name”?”"""
    faults = template_faults(source, schema)
    if faults:
        raise Invalid(
            errors=[
                FieldError(field, _("Line %(line)s: %(reason)s", line=fault.line, reason=fault.message))
                for fault in faults
            ]
        )


def render_template(source: str, values: Mapping[str, Any]) -> str:
    """The text, from plain values only (`plain_values`). Raises Invalid: a value is missing, or it grows too long."""
    pieces: list[str] = []
    length = 0
    try:
        for piece in _compiled(source).generate(values):
            pieces.append(piece)
            length += len(piece)
            if length > LONGEST_RESULT:
                raise Invalid(
                    _(
                        "The message would be longer than %(longest_result)s characters.",
                        longest_result=number(LONGEST_RESULT),
                    )
                )
    except Invalid:
        raise
    except Exception as error:
        raise Invalid(_("The template cannot be filled in: %(error)s", error=error)) from error
    return "".join(pieces)


@lru_cache(maxsize=512)
def _compiled(source: str) -> Any:
    """Parsed again against the list of what is allowed in form: also a template that came into the table by hand."""
    tree = _environment.parse(source)
    for fault in _nested_faults(tree) or _faults(tree, None, 0):
        raise Invalid(_("Line %(line)s: %(reason)s", line=fault.line, reason=fault.message))
    return _environment.from_string(source)


def schema_of(struct: type[Struct]) -> dict[str, Any]:
    """The names that a template of this kind may use."""
    hints = get_type_hints(struct)
    return {name: _shape(hints[name]) for name in struct.__struct_fields__}


def plain_values(fields: Struct, language: str, time_zone: str = "UTC") -> dict[str, Any]:
    """A struct's values as text, numbers, yes or no, lists and dicts of such: amounts and dates as they are written."""
    return {name: _plain(getattr(fields, name), language, time_zone) for name in fields.__struct_fields__}


def _nested_faults(tree: nodes.Node) -> list[Found]:
    """Looked at first, and without calling itself: what follows does."""
    left: list[tuple[nodes.Node, int]] = [(tree, 0)]
    while left:
        node, depth = left.pop()
        if depth > DEEPEST:
            return [Found(node.lineno or 1, _("This is nested too deeply."))]
        left.extend((child, depth + 1) for child in node.iter_child_nodes())
    return []


def _faults(node: nodes.Node, schema: dict[str, Any] | None, loops: int) -> Iterator[Found]:
    line = node.lineno or 1
    if type(node) not in _PLAIN:
        yield Found(line, _CALLED.get(type(node)) or _base_reason(node))
        return
    if isinstance(node, nodes.Filter):
        yield from _filter_faults(node)
    elif isinstance(node, nodes.Const):
        if isinstance(node.value, int) and not isinstance(node.value, bool) and abs(node.value) > 10**9:
            yield Found(line, _("This number is too large."))
    elif isinstance(node, nodes.Name):
        taken = node.name in _RESERVED and not (node.name == "loop" and loops)
        if taken or (schema is not None and node.ctx == "load" and node.name not in schema):
            yield Found(line, _no_field(node.name, schema or {}))
    elif isinstance(node, nodes.Getattr):
        yield from _attribute_faults(node, schema)
    if isinstance(node, nodes.For):
        yield from _loop_faults(node, schema, loops)
        return
    for child in node.iter_child_nodes():
        yield from _faults(child, schema, loops)


def _loop_faults(node: nodes.For, schema: dict[str, Any] | None, loops: int) -> Iterator[Found]:
    if loops == DEEPEST_LOOP:
        yield Found(node.lineno, _("Loops stand inside each other at most %(count)s deep.", count=DEEPEST_LOOP))
        return
    if node.recursive or node.test is not None:
        yield Found(node.lineno, _("A loop is {% for item in list %}, without if or recursive."))
        return
    yield from _faults(node.iter, schema, loops)
    if not isinstance(node.iter, nodes.Name | nodes.Getattr):
        yield Found(node.lineno, _("A loop goes over a list of the fields."))
        return
    if not isinstance(node.target, nodes.Name) or node.target.name in _RESERVED:
        yield Found(node.lineno, _("A loop has one name: {% for item in list %}."))
        return
    inside = schema
    if schema is not None:
        shape = _shape_at(node.iter, schema)
        if not isinstance(shape, list):
            if shape is not _UNKNOWN:
                yield Found(node.lineno, _("“%(path)s” is no list.", path=_path(node.iter)))
            shape = [_UNKNOWN]
        inside = {**schema, node.target.name: shape[0], "loop": _LOOP}
    for child in (*node.body, *node.else_):
        yield from _faults(child, inside, loops + 1)


def _filter_faults(node: nodes.Filter) -> Iterator[Found]:
    if node.name not in FILTERS:
        yield Found(
            node.lineno,
            _("There is no filter “%(name)s”. There are: %(known)s.", name=node.name, known=", ".join(FILTERS)),
        )
    elif node.kwargs or node.dyn_args or node.dyn_kwargs or len(node.args) > FILTERS[node.name]:
        yield Found(node.lineno, _("The filter “%(name)s” is used with too much in its brackets.", name=node.name))
    elif any(not isinstance(argument, nodes.Const) for argument in node.args):
        yield Found(node.lineno, _("In the brackets of “%(name)s” stands a text or a number.", name=node.name))
    elif node.node is None:
        yield Found(node.lineno, _("A filter needs a field before it."))


def _attribute_faults(node: nodes.Getattr, schema: dict[str, Any] | None) -> Iterator[Found]:
    if node.attr.startswith("_"):
        yield Found(node.lineno, _("There is no field “%(name)s”.", name=_path(node)))
        return
    if not isinstance(node.node, nodes.Name | nodes.Getattr):
        yield Found(node.lineno, _("A dot stands after the name of a field."))
        return
    if schema is None:
        return
    above = _shape_at(node.node, schema)
    if above is _UNKNOWN:
        return
    if not isinstance(above, Mapping):
        yield Found(node.lineno, _("“%(path)s” has no fields under it.", path=_path(node.node)))
    elif node.attr not in above:
        yield Found(node.lineno, _no_field(node.attr, above, under=_path(node.node)))


class _Unknown:
    """Of what is named wrongly above, nothing more is said."""


_UNKNOWN: Final = _Unknown()
_LOOP: Final = {"index": None, "first": None, "last": None, "length": None}


def _shape_at(node: nodes.Node, schema: Mapping[str, Any]) -> Any:
    if isinstance(node, nodes.Name):
        return schema.get(node.name, _UNKNOWN)
    if isinstance(node, nodes.Getattr):
        above = _shape_at(node.node, schema)
        return above.get(node.attr, _UNKNOWN) if isinstance(above, Mapping) else _UNKNOWN
    return _UNKNOWN


def _path(node: nodes.Node) -> str:
    if isinstance(node, nodes.Name):
        return node.name
    return f"{_path(node.node)}.{node.attr}" if isinstance(node, nodes.Getattr) else "…"


def _no_field(name: str, known: Mapping[str, Any], under: str = "") -> str:
    close = difflib.get_close_matches(name, [each for each in known if each != "loop"], n=1)
    said = (
        _("There is no field “%(name)s” under “%(under)s”.", name=name, under=under)
        if under
        else _("There is no field “%(name)s”.", name=name)
    )
    if close:
        return said + " " + _("Did you mean “%(name)s”?", name=close[0])
    return said + " " + _("There are: %(known)s.", known=", ".join(known)) if known else said


def _base_reason(node: nodes.Node) -> str:
    for kind, reason in _CALLED.items():
        if isinstance(node, kind):
            return _(reason)
    return _("This tag cannot be used in a template.")


def _syntax(message: str) -> str:
    if not message:
        return _("This cannot be read.")
    return _("This cannot be read: %(reason)s", reason=f"{message[0].lower()}{message[1:]}")


def _shape(hint: Any) -> Any:
    origin = get_origin(hint)
    if origin in {list, tuple}:
        return [_shape(get_args(hint)[0])]
    if origin in {Union, UnionType}:
        (hint,) = [part for part in get_args(hint) if part is not type(None)]
        return _shape(hint)
    if isinstance(hint, type) and issubclass(hint, Struct) and hint is not Money:
        return schema_of(hint)
    if hint in {str, int, bool, Decimal, date, datetime, Money} or (isinstance(hint, type) and issubclass(hint, Enum)):
        return None
    raise TypeError(f"a field of a message cannot be a {hint}")


def _plain(value: Any, language: str, time_zone: str) -> Any:
    if value is None:
        return ""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, str | bool | int):
        return value
    if isinstance(value, Money):
        return format_money(value.minor, value.currency, language)
    if isinstance(value, Decimal):
        return write_number(value, language)
    if isinstance(value, datetime):
        return format_datetime(value, "medium", tzinfo=ZoneInfo(time_zone), locale=language)
    if isinstance(value, date):
        return write_day(value, language)
    if isinstance(value, list | tuple):
        return [_plain(one, language, time_zone) for one in value]
    if isinstance(value, Struct):
        return plain_values(value, language, time_zone)
    raise TypeError(f"a field of a message cannot be a {type(value).__name__}")
