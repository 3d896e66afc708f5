"""How statements are written, looked at in the code: what no test of a few rows would notice."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
OPTIONAL = re.compile(r"\bOR (NOT )?:\w+\s*($|\)|\b(AND|ORDER|LIMIT|GROUP)\b)")


def texts() -> Iterator[tuple[str, str]]:
    """Each text in the code, with where it stands; what is worked out between its parts is left out."""
    for folder in ("core", "plugins", "tenants"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield where, node.value
                elif isinstance(node, ast.JoinedStr):
                    yield where, "".join(part.value for part in node.values if isinstance(part, ast.Constant))


def test_a_filter_that_is_not_asked_for_is_left_out() -> None:
    """`payer_id = :payer_id OR :any_payer` makes SQLite look at every row: `all_of` leaves it out."""
    found = list(texts())
    wrong = [f"{where}: {text.strip()[:100]}" for where, text in found if " WHERE " in text and OPTIONAL.search(text)]

    assert len(found) > 10_000
    assert not wrong, "\n".join(wrong)
    assert OPTIONAL.search("SELECT 1 FROM a WHERE (b = :b OR :any_b) AND c")
    assert OPTIONAL.search("SELECT 1 FROM a WHERE b = :b OR :every ORDER BY b")
    assert not OPTIONAL.search("SELECT 1 FROM a WHERE (b = :b OR :b < c)")
