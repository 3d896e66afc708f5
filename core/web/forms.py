"""Typed input from forms and bodies: every wrong field is named at once, with what would be right."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct

from core.errors import FieldError, Invalid
from core.texts import N_, _

S = TypeVar("S", bound=Struct)

_YES: Final = frozenset({"on", "yes", "true", "1"})


def from_form(into: type[S], typed: Mapping[str, Sequence[str]]) -> S:
    """The struct that a form was filled in for.

    Texts are trimmed, an empty field is None where None is allowed, a missing check box is False. Raises Invalid with
    an error for every field that is wrong, unknown or missing.
    """
    values: dict[str, object] = {}
    fields = {field.encode_name: field for field in msgspec.structs.fields(into)}
    errors = [
        FieldError(name, _("This field is not known here. Load the page again."))
        for name in typed
        if name not in fields
    ]
    for name, field in fields.items():
        given = [text.replace("\r\n", "\n").strip() for text in typed.get(name, ())]
        try:
            values[field.name] = _value(field.type, given, required=field.required)
        except LookupError:
            if field.default is NODEFAULT and field.default_factory is NODEFAULT:
                errors.append(FieldError(name, _("Fill this in.")))
        except msgspec.ValidationError as error:
            errors.append(FieldError(name, in_words(str(error))))
    if errors:
        raise Invalid(errors=errors)
    return into(**values)


def _value(kind: Any, given: list[str], *, required: bool) -> object:
    bare, optional = _bare(kind)
    if bare is bool:
        return bool(given) and given[-1].lower() in _YES
    origin = get_origin(bare)
    if origin in (list, tuple, set, frozenset):
        return msgspec.convert([text for text in given if text], kind, strict=False)
    if not given:
        raise LookupError
    text = given[-1]
    if text == "" and optional:
        return None
    if text == "" and required:
        raise LookupError
    if text == "" and bare is not str:
        raise LookupError
    return msgspec.convert(text, kind, strict=False)


def _bare(kind: Any) -> tuple[Any, bool]:
    """The type without Annotated and None, and whether None is allowed."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        rest = [part for part in get_args(kind) if part is not NoneType]
        return _bare(rest[0])[0], len(rest) < len(get_args(kind))
    return kind, False


_WORDS: Final = (
    (r"of length <= (\d+)", N_("Use at most %(given)s characters.")),
    (r"of length >= 1\b", N_("Fill this in.")),
    (r"of length >= (\d+)", N_("Use at least %(given)s characters.")),
    (r"(?:`int`|`float`) <= (-?\d+)", N_("Type %(given)s or less.")),
    (r"(?:`int`|`float`) >= (-?\d+)", N_("Type %(given)s or more.")),
    (r"Expected `int`", N_("Type a whole number.")),
    (r"Expected `float`", N_("Type a number.")),
    (r"Expected `bool`", N_("Choose yes or no.")),
    (r"Expected `date`|RFC3339|ISO8601", N_("Type a date as year, month, day: 2026-11-30.")),
    (r"Expected `array`", N_("Give a list.")),
    (r"Expected `str`, got `null`", N_("Fill this in.")),
    (r"Expected `str`(?! matching)", N_("Give a text.")),
    (r"Invalid enum value '?([^']*)'?", N_("“%(given)s” is none of the choices.")),
    (r"matching regex", N_("This does not have the form that is asked for.")),
    (r"Object contains unknown field `([^`]+)`", N_("This field is not known here.")),
    (r"Object missing required field `([^`]+)`", N_("Fill this in.")),
)


def checked(into: type[S], values: Mapping[str, object]) -> S:
    """The struct of values that were read from a form by hand. Raises Invalid naming the field that does not fit."""
    try:
        return msgspec.convert(values, into)
    except msgspec.ValidationError as error:
        raise Invalid(in_words(str(error)), field=field_of(str(error))) from None


def in_words(error: str) -> str:
    """What a person can do about a message of msgspec."""
    error = error.replace(" | null`", "`")  # what may be left out is said like what may not
    for pattern, words in _WORDS:
        if found := re.search(pattern, error):
            return _(words, given=found[1]) if found.groups() else _(words)
    return f"{error.split(' - at ')[0]}."


def field_of(error: str) -> str:
    """The field that a message of msgspec is about: `$.emails[0]` is "emails.0"; empty for the whole body."""
    if found := re.search(r"(?:unknown|required) field `([^`]+)`", error):
        parent = field_of_path(error)
        return f"{parent}.{found[1]}" if parent else found[1]
    return field_of_path(error)


def field_of_path(error: str) -> str:
    found = re.search(r" - at `\$\.?([^`]*)`", error)
    return re.sub(r"\[(\d+|\.\.\.)\]", r".\1", found[1]).strip(".") if found else ""
