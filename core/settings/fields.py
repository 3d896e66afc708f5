"""A struct of settings taken apart into fields, so that one form serves all: what each is called, takes and allows."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import lru_cache
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import NODEFAULT, Meta, Struct

from core.activity.events import snake_case
from core.errors import FieldError, Invalid
from core.texts import N_, _

S = TypeVar("S", bound=Struct)

Secret = Annotated[str, Meta(max_length=4000, extra={"secret": True})]
"""A field that is stored sealed and never shown again."""
LongText = Annotated[str, Meta(max_length=20_000, extra={"long": True})]
"""A field of several lines."""

FieldKind = Literal[
    "text", "long", "secret", "integer", "decimal", "switch", "choice", "choices", "date", "time", "list"
]
_KINDS: Final[dict[type, FieldKind]] = {
    str: "text",
    bool: "switch",
    int: "integer",
    float: "decimal",
    Decimal: "decimal",
    date: "date",
    time: "time",
}


class FieldSpec(Struct, frozen=True):
    """One field of a form. `choices` are (value, label); `required` means that it cannot be left empty."""

    name: str
    label: str
    kind: FieldKind
    help: str = ""
    required: bool = False
    default: object = None
    min: float | None = None
    max: float | None = None
    max_length: int | None = None
    pattern: str | None = None
    choices: tuple[tuple[str, str], ...] = ()
    offered: str = ""
    """A text that pages let choose from what there is: country, currency, time_zone, language, tax_category."""


def settings_key(struct: type[Struct]) -> str:
    """Under which name it is stored: CompanySettings → "company", of the plugin maps: MapsSettings → "maps.maps".

    A struct may say it itself: `SETTINGS_KEY: ClassVar[str] = "company"`.
    """
    own = getattr(struct, "SETTINGS_KEY", None)
    if own:
        return str(own)
    name = snake_case(struct.__name__).removesuffix("_settings")
    package, _, rest = struct.__module__.partition(".")
    return name if package in {"core", "tenants"} else f"{rest.partition('.')[0] or package}.{name}"


@lru_cache(maxsize=256)
def describe(struct: type[Struct]) -> tuple[FieldSpec, ...]:
    """The fields of a form for it. Raises TypeError, when its feature or plugin is loaded, for what no form takes."""
    hints = get_type_hints(struct, include_extras=True)
    specs = []
    for field in msgspec.structs.fields(struct):
        default = field.default if field.default_factory is NODEFAULT else field.default_factory()
        if default is NODEFAULT:
            raise TypeError(f"{struct.__name__}.{field.name} needs a default: a new tenant has nothing stored")
        specs.append(_spec(struct, field.name, hints[field.name], default))
    return tuple(specs)


def secrets_of(struct: type[Struct]) -> frozenset[str]:
    """The names of its fields that are stored sealed."""
    return frozenset(spec.name for spec in describe(struct) if spec.kind == "secret")


def parse_form(struct: type[S], typed: Mapping[str, str | Sequence[str]], *, kept: S) -> S:
    """What was typed, as the struct. Raises Invalid that names every wrong field.

    A secret left empty stays as `kept` has it, `clear_<name>` empties it; a switch that is not there is off.
    """
    values: dict[str, Any] = {}
    errors: list[FieldError] = []
    for spec in describe(struct):
        given = typed.get(spec.name)
        several = [given] if isinstance(given, str) else list(given or ())
        try:
            values[spec.name] = _parsed(spec, several, typed, getattr(kept, spec.name))
        except ValueError as error:
            errors.append(FieldError(spec.name, str(error)))
    unknown = set(typed) - {name for spec in describe(struct) for name in (spec.name, f"clear_{spec.name}")}
    errors.extend(FieldError(name, _("There is no such setting.")) for name in sorted(unknown))
    errors.extend(field_errors(struct, values))
    if errors:
        raise Invalid(errors=errors)
    return check(struct, values)


def check(struct: type[S], values: Mapping[str, Any]) -> S:
    """The values as the struct, with its own rules. Raises Invalid."""
    try:
        return msgspec.convert(values, struct, strict=False)
    except msgspec.ValidationError as error:
        raise Invalid(_sentence(error), field=_field_of(error)) from error


def field_errors(struct: type[Struct], values: Mapping[str, Any]) -> Iterable[FieldError]:
    """Every field whose value does not fit its type and bounds."""
    hints = get_type_hints(struct, include_extras=True)
    for name, value in values.items():
        try:
            msgspec.convert(value, hints[name], strict=False)
        except msgspec.ValidationError as error:
            yield FieldError(name, _sentence(error))


def _spec(struct: type[Struct], name: str, hint: Any, default: object) -> FieldSpec:
    bare, metas, optional = _unwrapped(hint)
    extra: dict[str, Any] = {}
    for meta in metas:
        extra.update(meta.extra or {})

    def said(attribute: str) -> Any:
        return next((found for meta in reversed(metas) if (found := getattr(meta, attribute)) is not None), None)

    kind, choices = _kind(struct, name, bare, extra)
    minimum, maximum = said("ge"), said("le")
    if kind == "integer":
        minimum = said("gt") + 1 if minimum is None and said("gt") is not None else minimum
        maximum = said("lt") - 1 if maximum is None and said("lt") is not None else maximum
    return FieldSpec(
        name=name,
        label=said("title") or name.replace("_", " ").capitalize(),
        kind=kind,
        help=said("description") or "",
        required=not optional and (kind in {"integer", "decimal", "date", "time"} or bool(said("min_length"))),
        default=default,
        min=minimum,
        max=maximum,
        max_length=said("max_length"),
        pattern=said("pattern"),
        choices=choices,
        offered=extra.get("offered", ""),
    )


def _unwrapped(hint: Any) -> tuple[Any, list[Meta], bool]:
    """The bare type, what is said about it, and whether it may be None."""
    metas: list[Meta] = []
    optional = False
    while True:
        if get_origin(hint) is Annotated:
            hint, *more = get_args(hint)
            metas = [meta for meta in more if isinstance(meta, Meta)] + metas
        elif get_origin(hint) in {Union, types.UnionType} and type(None) in get_args(hint):
            (hint, *others) = [part for part in get_args(hint) if part is not type(None)]
            optional = True
            if others:
                return None, metas, optional
        else:
            return hint, metas, optional


def _kind(
    struct: type[Struct], name: str, bare: Any, extra: Mapping[str, Any]
) -> tuple[FieldKind, tuple[tuple[str, str], ...]]:
    if extra.get("secret"):
        return "secret", ()
    if extra.get("long"):
        return "long", ()
    if get_origin(bare) in {list, tuple, frozenset}:
        item, *rest = get_args(bare)
        if rest and rest != [...]:
            raise TypeError(f"{struct.__name__}.{name}: a list has one type of items")
        item = _unwrapped(item)[0]
        choices = _choices(item)
        if choices:
            return "choices", choices
        if item is str:
            return "list", ()
    elif choices := _choices(bare, extra.get("labels", {})):
        return "choice", choices
    elif isinstance(bare, type) and bare in _KINDS:
        return _KINDS[bare], ()
    raise TypeError(f"{struct.__name__}.{name}: no form has a field for {bare}")


def _choices(bare: Any, labels: Mapping[str, str] = {}) -> tuple[tuple[str, str], ...]:
    """By their labels where those are given, else by their values in words."""
    values: list[str] = []
    if isinstance(bare, type) and issubclass(bare, Enum):
        values = [str(one.value) for one in bare]
    elif get_origin(bare) is Literal:
        values = [str(one) for one in get_args(bare)]
    return tuple((one, labels.get(one, one.replace("_", " ").capitalize())) for one in values)


def _parsed(spec: FieldSpec, several: list[str], typed: Mapping[str, object], kept: Any) -> Any:
    """One field's value from what was typed, before its own type and bounds are looked at."""
    text = several[-1].strip() if several else ""
    if spec.kind == "switch":
        return text.lower() in {"on", "yes", "true", "1"}
    if spec.kind == "choices":
        return [one for one in several if one]
    if spec.kind == "list":
        return [line.strip() for one in several for line in one.splitlines() if line.strip()]
    if spec.kind == "secret":
        if f"clear_{spec.name}" in typed:
            return ""
        return text or kept
    if spec.kind in {"text", "long"}:
        return several[-1].replace("\r\n", "\n").strip() if several else ""
    if not text:
        if spec.required:
            raise ValueError(_("This cannot be left empty."))
        return None
    if spec.kind == "integer":
        try:
            return int(text)
        except ValueError:
            raise ValueError(_("Use a whole number.")) from None
    if spec.kind == "decimal":
        try:
            Decimal(text)
        except InvalidOperation:
            raise ValueError(_("Use a number.")) from None
    return text


def _field_of(error: msgspec.ValidationError) -> str | None:
    _, at, path = str(error).rpartition(" - at `$")
    return path.rstrip("`").lstrip(".").partition("[")[0].partition(".")[0] or None if at else None


def _sentence(error: msgspec.ValidationError) -> str:
    """msgspec's reason as a sentence for the person who typed."""
    text = str(error).partition(" - at `$")[0]
    for said, sentence in _REASONS.items():
        if said in text:
            bound = text.rpartition(said)[2].strip()
            return _(sentence, bound=bound) if "%(" in sentence else _(sentence)
    return text if text.endswith(".") else f"{text}."


_REASONS: Final = {
    "Expected `int` >= ": N_("Use %(bound)s or more."),
    "Expected `int` <= ": N_("Use %(bound)s or less."),
    "Expected `int` > ": N_("Use more than %(bound)s."),
    "Expected `int` < ": N_("Use less than %(bound)s."),
    "Expected `float` >= ": N_("Use %(bound)s or more."),
    "Expected `float` <= ": N_("Use %(bound)s or less."),
    "Expected `str` of length >= 1": N_("This cannot be left empty."),
    "Expected `str` of length >= ": N_("Use at least %(bound)s characters."),
    "Expected `str` of length <= ": N_("Use at most %(bound)s characters."),
    "Expected `str` matching regex": N_("This does not have the form that is needed."),
    "Expected `int`": N_("Use a whole number."),
    "Expected `float`": N_("Use a number."),
    "Expected `decimal": N_("Use a number."),
    "Invalid enum value": N_("Choose one of the list."),
    "Invalid RFC3339": N_("Use a date such as 2027-01-31."),
}
