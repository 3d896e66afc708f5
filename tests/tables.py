"""Every table of the core and of the installed plugins, for tests that go through all of them."""

from __future__ import annotations

import importlib
from pathlib import Path

from piccolo.table import Table

import core
from core.app import FEATURES
from core.hooks import usable
from core.testing import installed


def core_tables() -> list[type[Table]]:
    """The tables of the core's features, in the order of the layers."""
    found: list[type[Table]] = []
    for feature in FEATURES:
        if not (Path(core.__file__).parent / feature / "tables.py").exists():
            continue
        module = importlib.import_module(f"core.{feature}.tables")
        found.extend(
            one
            for one in vars(module).values()
            if isinstance(one, type)
            and issubclass(one, Table)
            and one is not Table
            and one.__module__ == module.__name__
        )
    return found


def all_tables() -> list[type[Table]]:
    return [*core_tables(), *(table for plugin in usable(installed()).values() for table in plugin.manifest.tables)]
