"""Everything that people read is marked, and has its German beside it."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from jinja2 import Environment, nodes

from core.texts import LANGUAGES, SOURCE, forms_of, places
from core.web.catalogues import ROOT, catalogue_at, file_of, packages, sources, texts_in, written
from core.web.templating import environment

PACKAGES = packages()
OTHERS = [language for language in LANGUAGES if language != SOURCE]
TEMPLATES = [file for package in PACKAGES for file in sorted(package.rglob("*.html"))]
MODULES = [file for package in PACKAGES for file in sources(package) if file.suffix == ".py"]

TYPED = {"cli.py", "demo.py", "names.py", "new_plugin.py"}
"""Modules of tenants, beside those of its commands, whose refusals are shown at a command line, which is English."""

SAID = {"_", "gettext", "ngettext", "pgettext", "npgettext", "N_"}
READ_ALOUD = {"title", "aria-label", "placeholder", "alt", "label", "hx-confirm", "data-do", "data-keep"}
REFUSALS = {
    "Conflict", "FieldError", "Forbidden", "Invalid", "Stale", "TooMany", "Unauthenticated", "Unavailable",
}  # fmt: skip
READS = re.compile(r"[“(]?[A-Z]-?[a-z]{2,}|[A-Z][a-z]* [a-z]")
"""How a text begins that somebody reads; names of classes, icons and the like are small."""
MARKUP = re.compile(r"</?[a-z][^>]*>")
FACTS = re.compile(r"\{\w*\}")

ENVIRONMENT: Environment = environment({}, {})

each_template = pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.relative_to(ROOT).as_posix())
each_module = pytest.mark.parametrize("file", MODULES, ids=lambda file: file.relative_to(ROOT).as_posix())
each_catalogue = pytest.mark.parametrize(
    ("package", "language"),
    [(package, language) for package in PACKAGES for language in OTHERS],
    ids=lambda value: value if isinstance(value, str) else value.relative_to(ROOT).as_posix(),
)


def messages(package: Path, language: str) -> Iterator[Message]:
    return (message for message in catalogue_at(file_of(package, language), language) if message.id)


@each_catalogue
def test_a_catalogue_holds_what_is_marked_and_nothing_else(package: Path, language: str) -> None:
    file = file_of(package, language)
    standing = file.read_text(encoding="utf-8") if file.is_file() else ""
    assert standing == written(package, language), "./run texts writes it anew"


@each_catalogue
def test_every_text_is_translated_with_the_same_values_and_the_same_markup(package: Path, language: str) -> None:
    for message in messages(package, language):
        meant, said = forms_of(message.id), forms_of(message.string)
        assert all(said), f"{meant[0]!r} has no translation"
        assert not message.fuzzy, f"{meant[0]!r} is marked as not sure"
        known = set[str]().union(*map(places, meant))
        assert all(places(text) <= known for text in said), f"{said} has other values than {meant}"
        assert places(said[-1]) == places(meant[-1]), f"{said} has other values than {meant}"
        for pattern in (MARKUP, FACTS):
            found = {tuple(sorted(pattern.findall(text))) for text in (*meant, *said)}
            assert len(found) == 1, f"{said} holds other markup or facts than {meant}"
        for text in said:
            assert text == text.strip(), f"{text!r} begins or ends with a space"
            assert '"' not in MARKUP.sub("", text), (
                f"{text!r}: use the marks of the language, it may stand in an attribute"
            )
            assert text.endswith(("…", ":")) == meant[-1].endswith(("…", ":")), f"{text!r} ends otherwise than {meant}"


@pytest.mark.parametrize("language", OTHERS)
def test_a_text_reads_the_same_wherever_it_stands(language: str) -> None:
    """All catalogues are one when they are read: a second translation would be shown nowhere."""
    known: dict[object, dict[object, list[str]]] = defaultdict(lambda: defaultdict(list))
    for package in packages():
        for message in messages(package, language):
            said = forms_of(message.string)
            if all(said):
                known[(message.context, forms_of(message.id))][said].append(package.name)
    assert {key: dict(said) for key, said in known.items() if len(said) > 1} == {}


@each_template
def test_a_template_says_nothing_that_is_not_marked(file: Path) -> None:
    source = file.read_text(encoding="utf-8")
    assert [*unmarked_markup(source), *unmarked_values(source)] == []


@each_module
def test_what_is_refused_is_refused_in_the_readers_language(file: Path) -> None:
    if file.parent == ROOT / "tenants" / "commands" or (file.parent == ROOT / "tenants" and file.name in TYPED):
        return
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and called(node) in REFUSALS:
            said = node.args[1:2] if called(node) == "FieldError" else node.args[:1]
            found.extend(f"{text.lineno}: {ast.unparse(text)}" for text in said if is_text(text))
    assert found == []


@each_module
def test_a_marked_text_is_written_out(file: Path) -> None:
    """A text that is put together before it is looked up is in no catalogue."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and called(node) in SAID and node.args:
            first = node.args[0]
            if isinstance(first, ast.JoinedStr | ast.BinOp) or (
                isinstance(first, ast.Call) and called(first) == "format"
            ):
                found.append(f"{node.lineno}: {ast.unparse(node)}")
    assert found == []


@each_module
def test_the_name_of_the_translation_is_not_taken_for_something_else(file: Path) -> None:
    """`for _ in …` in a function that says `_("…")` would hide it."""
    found = []
    for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = list(ast.walk(function))
            says = any(isinstance(node, ast.Call) and called(node) == "_" for node in inside)
            takes = any(
                isinstance(node, ast.Name) and node.id == "_" and isinstance(node.ctx, ast.Store) for node in inside
            )
            if says and takes:
                found.append(function.name)
    assert found == []


def test_a_text_that_is_not_marked_is_found() -> None:
    source = (
        '<p title="A title">{{ _("Said") }} {% trans %}Said too{% endtrans %}\n{{ m.button("Press") }}</p>\n'
        '<b aria-label="{{ x }}">left</b> {{ "t-owes" if x else "Nothing" }} &amp; {{ x ~ " of " ~ y }}'
    )
    assert list(unmarked_markup(source)) == ["1: title=A title", "3: left"]
    assert list(unmarked_values(source)) == ["2: Press", "3: Nothing"]


def called(node: ast.Call) -> str:
    return (
        node.func.id
        if isinstance(node.func, ast.Name)
        else node.func.attr
        if isinstance(node.func, ast.Attribute)
        else ""
    )


def is_text(node: ast.expr) -> bool:
    if isinstance(node, ast.IfExp):
        return is_text(node.body) or is_text(node.orelse)
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(node.value)
    )


class _Markup(HTMLParser):
    """Texts and attributes that are read, with letters in them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.found: list[str] = []
        self.style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.style = tag in {"style", "script"}
        for name, value in attrs:
            if name in READ_ALOUD and value and has_letters(value):
                self.found.append(f"{self.getpos()[0]}: {name}={value.strip()}")

    def handle_endtag(self, tag: str) -> None:
        self.style = False

    def handle_data(self, data: str) -> None:
        if not self.style and has_letters(re.sub(r'[\w:-]+="[^"]*"|\brequired\b', "", data)):
            line = self.getpos()[0] + data[: len(data) - len(data.lstrip())].count("\n")
            self.found.append(f"{line}: {data.strip()}")


def has_letters(text: str) -> bool:
    return re.search(r"[a-z]{2}", text) is not None


def unmarked_markup(source: str) -> Iterator[str]:
    """Text of the markup itself. What Jinja says stands as a dot, {% trans %} is left out."""
    parts: list[str] = []
    marked = False
    words: list[str] = []
    for _, kind, value in ENVIRONMENT.lex(source):
        lines = "\n" * value.count("\n")
        if kind == "data":
            parts.append(lines if marked else value)
            continue
        if kind == "block_begin":
            words = []
        elif kind == "name":
            words.append(value)
        elif kind == "block_end":
            marked = words[:1] == ["trans"] or (marked and words[:1] != ["endtrans"])
        elif kind == "variable_begin":
            parts.append("·")
        parts.append(lines)
    parser = _Markup()
    parser.feed("".join(parts))
    parser.close()
    yield from parser.found


def unmarked_values(source: str) -> Iterator[str]:
    """Texts inside of {{ }} and {% %} that nobody marked."""

    def look(node: nodes.Node) -> Iterator[str]:
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name in SAID:
            for keyword in node.kwargs:
                yield from look(keyword)
            return
        if isinstance(node, nodes.Compare | nodes.Test | nodes.Getitem):
            return
        if isinstance(node, nodes.Const) and isinstance(node.value, str) and READS.match(node.value.strip()):
            yield f"{node.lineno}: {node.value}"
        for child in node.iter_child_nodes():
            yield from look(child)

    yield from look(ENVIRONMENT.parse(source))


def test_every_text_is_in_some_catalogue_of_ours() -> None:
    assert all(len(texts_in(package)) > 0 for package in PACKAGES if (package / "templates").is_dir())
