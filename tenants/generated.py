"""Pages of docs/ that are written by the code, so that they cannot lag behind it."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Final

import core
from core import hookspecs
from core.hooks.reference import hooks_markdown

ROOT: Final = Path(core.__file__).resolve().parents[1]
DOCS: Final = ROOT / "docs"
_ROW: Final = re.compile(r"^\| ([A-Z]\d+) \| (.+) \|$", re.MULTILINE)
_TEST: Final = re.compile(r"^(?:async )?def (test_([A-Z]\d+)_\w+)", re.MULTILINE)


def generated_pages() -> dict[Path, str]:
    """Each page's place and text."""
    return {DOCS / "hooks.md": hooks_markdown(hookspecs), DOCS / "proofs.md": proofs_markdown()}


def promised() -> dict[str, str]:
    """The rows of docs/features.md: what a person can do, by id."""
    return dict(_ROW.findall((DOCS / "features.md").read_text()))


def proofs() -> dict[str, list[tuple[str, str]]]:
    """File and name of the tests that carry a row's id, by id. An installed package has none."""
    found = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, row in _TEST.findall(path.read_text()):
            found[row].append((path.relative_to(ROOT).as_posix(), name))
    return dict(found)


def proofs_markdown() -> str:
    """Each row with its tests."""
    tests = proofs()
    lines = ["# What is proven", "", "Written by `./run docs` from docs/features.md and the names of the tests.", ""]
    for row, promise in promised().items():
        lines += [f"## {row}: {promise}", ""]
        lines += [f"- {_sentence(name)} (`{path}`)" for path, name in tests.get(row, [])] or ["- nothing yet"]
        lines += [""]
    return "\n".join(lines)


def _sentence(name: str) -> str:
    return name.split("_", 2)[2].replace("_", " ")
