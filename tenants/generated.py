"""Pages of docs/ that are written by the code, so that they cannot lag behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import core
from core import hookspecs
from core.hooks.reference import hooks_markdown

DOCS: Final = Path(core.__file__).resolve().parents[1] / "docs"


def generated_pages() -> dict[Path, str]:
    """Each page's place and text."""
    return {DOCS / "hooks.md": hooks_markdown(hookspecs)}
