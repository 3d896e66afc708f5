"""`python -m bench NAME`: runs `bench/NAME.py`, which has `async def run(options: Options) -> list[Row]`."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from bench.harness import DATABASES, Options, show
from core.config import Log
from tenants.logs import set_up_logs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.harness import Row

NOT_BENCHES = ("__init__", "__main__", "harness")


def names() -> list[str]:
    """Measurements there are."""
    return sorted(file.stem for file in Path(__file__).parent.glob("*.py") if file.stem not in NOT_BENCHES)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="./run bench", description="Measures, each figure beside its goal.")
    parser.add_argument("name", choices=names(), metavar="NAME", help=", ".join(names()))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--database", choices=DATABASES, help="one database alone")
    parser.add_argument("--size", type=int, action="append", default=[], help="instead of the usual sizes")
    asked = parser.parse_args(arguments)

    set_up_logs(Log(format="text", level="error"))
    with tempfile.TemporaryDirectory(prefix="tenantry-bench-") as folder:
        databases = (asked.database,) if asked.database else DATABASES
        options = Options(databases=databases, sizes=tuple(asked.size), folder=Path(folder))
        module = importlib.import_module(f"bench.{asked.name}")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            rows: list[Row] = runner.run(module.run(options))
    show(asked.name, rows, json=asked.json)


if __name__ == "__main__":
    main()
