"""What every measurement is made with: rows of figures, the machine they were taken on, and how they are shown."""

from __future__ import annotations

import math
import os
import platform
import resource
import sqlite3
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DATABASES: Final = ("sqlite", "postgresql")


class Row(msgspec.Struct, frozen=True):
    """One figure. `anchor` is what it is compared with, measured in the same run; `holds` is None without a goal."""

    what: str
    database: str
    value: float
    unit: str
    anchor: float | None = None
    goal: str = ""
    holds: bool | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for. A measurement takes its own sizes where none is given."""

    databases: tuple[str, ...] = DATABASES
    sizes: tuple[int, ...] = ()
    folder: Path = field(default_factory=Path.cwd)

    def say(self, text: str) -> None:
        """Progress, beside the result and never in it."""
        print(text, file=sys.stderr, flush=True)


def at_most(what: str, database: str, value: float, unit: str, goal: float) -> Row:
    """A figure that may not be larger than its goal."""
    return Row(what, database, value, unit, goal=f"≤ {goal:g} {unit}", holds=value <= goal)


def at_least(what: str, database: str, value: float, unit: str, goal: float) -> Row:
    """A figure that may not be smaller than its goal."""
    return Row(what, database, value, unit, goal=f"≥ {goal:g} {unit}", holds=value >= goal)


def at_least_share(what: str, database: str, value: float, unit: str, anchor: float, share: float) -> Row:
    """A rate that must reach a share of its anchor's."""
    return Row(what, database, value, unit, anchor, f"≥ {share:g} of the anchor", value >= share * anchor)


def at_most_share(what: str, database: str, value: float, unit: str, anchor: float, share: float) -> Row:
    """A duration that may take a share of its anchor's at most."""
    return Row(what, database, value, unit, anchor, f"≤ {share:g} of the anchor", value <= share * anchor)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


@dataclass(slots=True)
class Timer:
    """Seconds between entering and leaving."""

    seconds: float = 0.0

    @property
    def milliseconds(self) -> float:
        return self.seconds * 1000


@contextmanager
def timed() -> Iterator[Timer]:
    timer = Timer()
    start = time.perf_counter()
    try:
        yield timer
    finally:
        timer.seconds = time.perf_counter() - start


def memory_mib() -> float:
    """What this process holds now, in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def peak_memory_mib() -> float:
    """The most this process has held so far, in MiB. Not `ru_maxrss`: that begins with what its parent held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "tenantry": metadata.version("tenantry"),
    }


def show(bench: str, rows: Sequence[Row], *, json: bool) -> None:
    """The one JSON object, or a table for people."""
    if json:
        print(msgspec.json.encode({"bench": bench, "machine": machine(), "rows": rows}).decode())
        return
    table = Table("what", "database", title=f"{bench}, {_summary()}", title_justify="left")
    for head in ("value", "anchor"):
        table.add_column(head, justify="right")
    table.add_column("goal")
    table.add_column("")
    for row in rows:
        held = {True: "[green]holds[/]", False: "[red]missed[/]", None: ""}[row.holds]
        anchor = "" if row.anchor is None else f"{_figure(row.anchor)} {row.unit}"
        table.add_row(row.what, row.database, f"{_figure(row.value)} {row.unit}", anchor, row.goal, held)
    Console().print(table)


def _figure(value: float) -> str:
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:,.3g}" if abs(value) < 1 else f"{value:,.1f}"


def _summary() -> str:
    facts = machine()
    return f"{facts['cores']} cores, {facts['memory_gib']} GiB, Python {facts['python']}, SQLite {facts['sqlite']}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
