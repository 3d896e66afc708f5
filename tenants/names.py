"""The product's packages have plain names: nothing else that is installed may bring the same ones."""

from __future__ import annotations

import re
from importlib.metadata import distributions
from typing import Final

from core.errors import Conflict

OURS: Final = "tenantry"
_NAMES: Final = re.compile(r"^(core|plugins|tenants)(?=/|\.py\b|$)", re.MULTILINE)


def check_names() -> None:
    """Raises Conflict where another distribution brings `core`, `plugins` or `tenants`: one would hide the other.

    The lists of files are searched as text: `packages_distributions` parses all of them, which takes half a second.
    """
    for distribution in distributions():
        listed = distribution.read_text("RECORD") or distribution.read_text("top_level.txt") or ""
        taken = sorted(set(_NAMES.findall(listed)))
        if taken and distribution.name != OURS:
            raise Conflict(
                f"The installed package {distribution.name} brings {' and '.join(taken)} too, as {OURS} does."
                f" Uninstall it, or give {OURS} a virtual environment of its own."
            )
