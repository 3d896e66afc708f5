"""Writes catalogues: every text that is marked in a feature or plugin, and its translation where there is one.

python -m core.web.catalogues             all of the product's: what `./run texts` does
python -m core.web.catalogues FOLDER …    of plugins that lie elsewhere
"""

from __future__ import annotations

import ast
import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

import core
from core.activity.events import words_of
from core.texts import CATALOGUE, LANGUAGES, SOURCE, forms_of

ROOT: Final = Path(core.__file__).resolve().parents[1]
KEYWORDS: Final[dict[str, tuple[int | tuple[int, str], ...] | None]] = {
    "_": None,
    "N_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
METHODS: Final = {".py": "python", ".html": "jinja2.ext:babel_extract", ".js": "javascript"}
OPTIONS: Final = {
    ".html": {"trimmed": "true", "newstyle_gettext": "true", "trim_blocks": "true", "lstrip_blocks": "true"}
}
HEADER: Final = """msgid ""
msgstr ""
"Content-Type: text/plain; charset=utf-8\\n"
"Language: {language}\\n"
"Plural-Forms: {plural}\\n"

"""


def packages() -> list[Path]:
    """The features, our plugins and the host: whatever has texts of its own."""
    parts = [folder for parent in ("core", "plugins") for folder in sorted((ROOT / parent).iterdir())]
    return [folder for folder in (*parts, ROOT / "tenants") if (folder / "__init__.py").is_file()]


def sources(package: Path) -> Iterator[Path]:
    """Files of a package that texts may stand in. Modules of the core that belong to no feature count as the web's."""
    own = (file for file in package.rglob("*") if file.suffix in METHODS and "vendor" not in file.parts)
    yield from sorted(own)
    if package == ROOT / "core" / "web":
        yield from sorted((ROOT / "core").glob("*.py"))


def texts_in(package: Path) -> Catalog:
    """Every text that is marked there, in the order of its files."""
    found = Catalog()
    for file in sources(package):
        with file.open("rb") as opened:
            place = file.relative_to(ROOT if package.is_relative_to(ROOT) else package).as_posix()
            for _, message, _, context in extract(
                METHODS[file.suffix], opened, keywords=KEYWORDS, options=OPTIONS.get(file.suffix, {})
            ):
                found.add(message, locations=[(place, 0)], context=context)
        if file.name == "events.py":
            for text in said_by_events(file.read_text(encoding="utf-8")):
                found.add(text, locations=[(place, 0)])
    return found


def said_by_events(source: str) -> Iterator[str]:
    """How each event that is declared there reads in the activity: nobody marks it, since it is the event's name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and any(
            isinstance(base, ast.Name) and base.id == "Event" for base in node.bases
        ):
            said = next((one.value for one in node.keywords if one.arg == "text"), None)
            if said is None:
                yield words_of(node.name)
            elif isinstance(said, ast.Constant):
                yield str(said.value)


def catalogue_at(file: Path, language: str) -> Catalog:
    """What stands in a catalogue; nothing where there is none."""
    if not file.is_file():
        return Catalog(locale=language)
    with file.open("rb") as opened:
        return read_po(opened, locale=language)


def file_of(package: Path, language: str) -> Path:
    return package / "locale" / CATALOGUE.format(language=language)


def written(package: Path, language: str, known: Iterable[Catalog] = ()) -> str:
    """The catalogue of a package as it should stand: each text once, translated where it is, or where another
    catalogue of `known` has it. What is not said any more is left out."""
    standing = [catalogue_at(file_of(package, language), language), *known]
    made = Catalog(locale=language)
    for message in texts_in(package):
        if not message.id:
            continue
        found = (each.get(message.id, message.context) for each in standing)
        said = next((one.string for one in found if one is not None and one.id == message.id and one.string), "")
        made.add(message.id, said, locations=message.locations, context=message.context)
    if not len(made):
        return ""
    out = io.BytesIO()
    write_po(out, made, omit_header=True, include_lineno=False, width=110)
    header = HEADER.format(language=language, plural=made.plural_forms)
    return header + out.getvalue().decode().strip() + "\n"


def main(folders: list[str]) -> None:
    given = [Path(folder).resolve() for folder in folders] or packages()
    for language in LANGUAGES:
        if language == SOURCE:
            continue
        known = [catalogue_at(file_of(package, language), language) for package in packages()]
        for package in given:
            file, text = file_of(package, language), written(package, language, known)
            if text:
                file.parent.mkdir(exist_ok=True)
                file.write_text(text, encoding="utf-8")
                missing = sum(not all(one) for one in _said(catalogue_at(file, language)))
                sys.stdout.write(f"{file}: {missing} without translation\n" if missing else f"{file}\n")
            elif file.is_file():
                file.unlink()


def _said(catalogue: Catalog) -> Iterator[tuple[str, ...]]:
    for message in catalogue:
        if message.id:
            yield forms_of(message.string)


if __name__ == "__main__":
    main(sys.argv[1:])
