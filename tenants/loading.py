"""The way in of the command `tenantry`."""

from __future__ import annotations

import gc
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def loading() -> Iterator[None]:
    """What is loaded meanwhile stays until the process ends: the collector looks through none of it, now or later. That
    is a fifth of a start, and afterwards a tenth of a second for all tenants each time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def main() -> None:
    """The command, loaded and run."""
    try:
        with loading():
            from tenants.cli import main as command
    except ModuleNotFoundError as error:
        sys.exit(f"tenantry: the Python package {error.name} is missing: start ./run, which puts it back.")
    command()
