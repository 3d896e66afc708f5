"""Tenants' words are data: what is not on the list is refused with its line; what is allowed gets plain values."""

from __future__ import annotations

import gc
import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from core.errors import Invalid
from core.messages.kinds import KINDS
from core.messages.template_check import (
    LONGEST,
    check_template,
    plain_values,
    render_template,
    schema_of,
    template_faults,
)
from core.messages.words import LANGUAGES, Words, fill_words, schema_for
from core.money import Money


class Item(Struct, frozen=True):
    text: str
    amount: Money


class Fields(Struct, frozen=True, kw_only=True):
    name: str
    overdue: bool = False
    days: int = 0
    due_on: date | None = None
    at: datetime | None = None
    amount: Money = Money(0, "EUR")
    rate: Decimal = Decimal(0)
    tags: list[str] = []
    lines: list[Item] = []
    first: Item | None = None


SCHEMA = schema_of(Fields)
VALUES = plain_values(
    Fields(
        name="Orla <b>",
        overdue=True,
        days=3,
        due_on=date(2026, 12, 1),
        at=datetime(2026, 12, 1, 23, 30, tzinfo=UTC),
        amount=Money(125_729, "EUR"),
        rate=Decimal("1257.5"),
        tags=["a", "b"],
        lines=[Item("Fibre", Money(4500, "EUR")), Item("IPv4", Money(500, "EUR"))],
        first=Item("Fibre", Money(4500, "EUR")),
    ),
    "en",
    "Europe/Dublin",
)

ALLOWED = {
    "Dear {{ name }}": "Dear Orla <b>",
    "{{ name|upper }} {{ name|lower|title }}": "ORLA <B> Orla <B>",
    "{{ amount }} is due on {{ due_on }}": "€1,257.29 is due on 1 Dec 2026",
    "{{ rate }}": "1,257.5",
    "{% for line in lines %}{{ line.text }} {{ line.amount }}\n{% endfor %}": "Fibre €45.00\nIPv4 €5.00\n",
    "{% for line in lines %}{{ loop.index }}{% if not loop.last %}, {% endif %}{% endfor %}": "1, 2",
    "{% if overdue and days >= 3 %}late{% else %}in time{% endif %}": "late",
    "{% if days == 1 %}one day{% elif days > 1 %}{{ days }} days{% endif %}": "3 days",
    "{{ 'late' if overdue else 'in time' }}": "late",
    "{{ tags|join(', ') }} {{ tags|length }}": "a, b 2",
    "{{ first.text }}": "Fibre",
    "{% for tag in tags %}{% for line in lines %}{{ tag }}{{ line.text }} {% endfor %}{% endfor %}": (
        "aFibre aIPv4 bFibre bIPv4 "
    ),
    "{# a remark #}x{% raw %}{{ name }}{% endraw %}": "x{{ name }}",
    "{{ name|default('you') }}": "Orla <b>",
}


@pytest.mark.parametrize("source", ALLOWED)
def test_what_is_on_the_list_is_filled(source: str) -> None:
    assert template_faults(source, SCHEMA) == []
    assert render_template(source, VALUES).replace("\N{NO-BREAK SPACE}", " ") == ALLOWED[source]


REFUSED = {
    "a\nb {{ nmae }}": (2, "There is no field “nmae”. Did you mean “name”?"),
    "\n\n{{ lines.text }}": (3, "“lines” has no fields under it."),
    "{{ first.txt }}": (1, "There is no field “txt” under “first”. Did you mean “text”?"),
    "{% for line in lines %}\n{{ line.amuont }}\n{% endfor %}": (2, "Did you mean “amount”?"),
    "{% for x in name %}{% endfor %}": (1, "“name” is no list."),
    "{{ name": (1, "This cannot be read"),
    "x\n{% if name %}": (2, "This cannot be read"),
    "{{ name() }}": (1, "A field cannot be called"),
    "{{ name.upper() }}": (1, "A field cannot be called"),
    "{{ ''.__class__ }}": (1, "There is no field"),
    "{{ name.__class__ }}": (1, "There is no field “name.__class__”"),
    "{{ first._x }}": (1, "There is no field “first._x”"),
    "{{ name['__class__'] }}": (1, "with a dot"),
    "{{ lines[0] }}": (1, "with a dot"),
    "{% trans %}Hello{% endtrans %}": (1, "This cannot be read"),
    "{{ _('Hello') }}": (1, "A field cannot be called"),
    "{{ gettext }}": (1, "There is no field “gettext”"),
    "{{ name|attr('__class__') }}": (1, "There is no filter “attr”"),
    "{{ name|format }}": (1, "There is no filter “format”"),
    "{{ tags|map('upper')|list }}": (1, "There is no filter"),
    "{{ tags|join(name) }}": (1, "stands a text or a number"),
    "{{ tags|join(d=', ') }}": (1, "too much in its brackets"),
    "{{ name|upper('x') }}": (1, "too much in its brackets"),
    "{{ 'a' * 1000000000 }}": (1, "Nothing is reckoned"),
    "{{ '%1000000000d' % 1 }}": (1, "Nothing is reckoned"),
    "{{ 10 ** 10 }}": (1, "Nothing is reckoned"),
    "{{ -days }}": (1, "Nothing is reckoned"),
    "{{ name ~ name }}": (1, "side by side"),
    "{{ [1, 2] }}": (1, "Lists come from the fields only."),
    "{{ {'a': 1} }}": (1, "Lists come from the fields only."),
    "{{ name is defined }}": (1, "“is” cannot be used"),
    "{{ range(9) }}": (1, "A field cannot be called"),
    "{{ lipsum }}": (1, "There is no field “lipsum”"),
    "{{ cycler }}": (1, "There is no field “cycler”"),
    "{{ self }}": (1, "There is no field “self”"),
    "{{ self.body }}": (1, "There is no field “self”"),
    "{{ loop.index }}": (1, "There is no field “loop”"),
    "{% for line in lines %}{{ loop.cycle('a') }}{% endfor %}": (1, "A field cannot be called"),
    "{% for loop in tags %}{% endfor %}": (1, "one name"),
    "{% for a, b in tags %}{% endfor %}": (1, "one name"),
    "{% for x in [1] %}{% endfor %}": (1, "Lists come from the fields only."),
    "{% for x in tags if x %}{% endfor %}": (1, "without if or recursive"),
    "{% for x in tags recursive %}{% endfor %}": (1, "without if or recursive"),
    "{% for a in tags %}{% for b in tags %}{% for c in tags %}{% endfor %}{% endfor %}{% endfor %}": (1, "2 deep"),
    "{% set x = 1 %}": (1, "cannot be set"),
    "{% set x %}y{% endset %}": (1, "cannot be set"),
    "{% include 'x' %}": (1, "cannot be included"),
    "{% import 'x' as y %}": (1, "cannot be imported"),
    "{% from 'x' import y %}": (1, "cannot be imported"),
    "{% extends 'base.html' %}": (1, "cannot be extended"),
    "{% block a %}{% endblock %}": (1, "Blocks cannot be made"),
    "{% macro a() %}{% endmacro %}": (1, "Macros cannot be made"),
    "{% call name() %}{% endcall %}": (1, "cannot be used"),
    "{% filter upper %}x{% endfilter %}": (1, "cannot be used"),
    "{% with x = 1 %}{% endwith %}": (1, "cannot be used"),
    "{% autoescape false %}{% endautoescape %}": (1, "cannot be used"),
    "{{ 9999999999999 }}": (1, "too large"),
    "{{ not " + "not " * 60 + "name }}": (1, "nested too deeply"),
    "x" * (LONGEST + 1): (1, "at most 20,000 characters"),
}


@pytest.mark.parametrize("source", REFUSED, ids=lambda source: source[:40])
def test_M3_what_is_not_on_the_list_is_refused_with_its_line(source: str) -> None:
    line, reason = REFUSED[source]

    faults = template_faults(source, SCHEMA)

    assert any(fault.line == line and reason in fault.message for fault in faults), faults


@pytest.mark.parametrize("source", [source for source in REFUSED if len(source) < 300 and "x in name" not in source])
def test_what_came_into_the_table_by_another_way_is_not_filled_either(source: str) -> None:
    with pytest.raises(Invalid):
        render_template(source, VALUES)


@pytest.mark.parametrize("brackets", ["(" * 5000 + "name" + ")" * 5000, "not " * 4500 + "name", "name." * 3900 + "x"])
def test_deep_nesting_is_refused_and_not_felt(brackets: str) -> None:
    faults = template_faults("{{ " + brackets + " }}", SCHEMA)

    assert faults
    assert all(fault.line == 1 for fault in faults)


def test_M3_every_fault_is_told_at_once() -> None:
    with pytest.raises(Invalid) as refused:
        check_template("{{ a }}\n{{ name }}\n{{ b }}", SCHEMA, field="body")

    assert [(error.field, error.message.split(".")[0]) for error in refused.value.errors] == [
        ("body", "Line 1: There is no field “a”"),
        ("body", "Line 3: There is no field “b”"),
    ]


def test_a_result_that_grows_without_end_is_stopped() -> None:
    values = {"tags": ["x" * 1000] * 1000, "name": "y"}

    with pytest.raises(Invalid, match="longer than 200,000 characters"):
        render_template("{% for a in tags %}{% for b in tags %}{{ a }}{% endfor %}{% endfor %}", values)


def test_values_are_plain_before_they_reach_a_template() -> None:
    def walk(value: object) -> None:
        assert type(value) in {str, int, bool, list, dict}
        if isinstance(value, dict):
            for one in value.values():
                walk(one)
        if isinstance(value, list):
            for one in value:
                walk(one)

    walk(VALUES)
    assert plain_values(Fields(name="x"), "en")["due_on"] == ""


def test_times_are_those_of_the_tenants_zone() -> None:
    values = plain_values(Fields(name="x", at=datetime(2026, 7, 1, 23, 30, tzinfo=UTC)), "de", "Europe/Dublin")

    assert "02.07.2026" in values["at"]
    assert "00:30" in values["at"]


def test_a_field_of_an_unfit_type_is_a_fault_of_the_program() -> None:
    class Wrong(Struct):
        anything: object

    with pytest.raises(TypeError, match="cannot be a"):
        schema_of(Wrong)


def test_a_subject_is_one_line() -> None:
    filled = fill_words(Words("Hi {{ name }}\nBcc: x@y.example", "text"), {"name": "a\r\nTo: all"})

    assert filled.subject == "Hi a To: all Bcc: x@y.example"


@given(st.text(alphabet="{}%#|.()[]'\"abcxyz_0 \n-+*~=<>", max_size=200))
def test_no_text_breaks_the_check_and_whatever_passes_can_be_filled(source: str) -> None:
    if template_faults(source, SCHEMA):
        return
    try:
        result = render_template(source, VALUES)
    except Invalid:
        return
    assert isinstance(result, str)


def test_the_words_of_every_kind_can_be_filled_in_every_language() -> None:
    import core.app  # noqa: F401  (brings every kind)

    gc.collect()
    for kind in KINDS.values():
        for language in LANGUAGES:
            words = kind.words_in(language)
            for source in (words.subject, words.body):
                assert template_faults(source, schema_for(kind)) == [], (kind.key, language)
            operator = {"name": "Marlbeck", "address": "https://x.example", "email": "a@x.example", "phone": "1"}
            filled = fill_words(words, {**plain_values(kind.sample, language), "operator": operator})
            assert filled.subject
            assert filled.text.strip()
            lines = filled.text.splitlines()
            for at, line in enumerate(lines):
                if line in {"Kind regards", "Freundliche Grüße"} or re.fullmatch(r"[\w -]+: http\S+", line):
                    assert lines[at - 1] == "", (kind.key, language, line)
