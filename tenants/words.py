"""How the console writes sizes and ages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

MEGA: Final = 1_000_000
NO_BREAK: Final = "\u00a0"


def megabytes(size: int | None) -> str:
    """For a column of sizes: 0.4, 42, 3,912."""
    if size is None:
        return "–"
    return f"{size / MEGA:,.1f}" if size < 10 * MEGA else f"{size / MEGA:,.0f}"


def sized(size: int | None) -> str:
    """In a text: 412 kB, 3.9 MB, 214 GB."""
    if size is None:
        return "–"
    shown, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if shown < 1000 or unit == "TB":
            break
        shown /= 1000
    return f"{shown:,.1f}{NO_BREAK}{unit}" if shown < 10 and unit != "B" else f"{shown:,.0f}{NO_BREAK}{unit}"


def ago(now: datetime, at: datetime | None) -> str:
    """How long ago: now, 3 min, 26 h, 9 days."""
    if at is None:
        return "–"
    minutes = int((now - at).total_seconds()) // 60
    if minutes < 1:
        return "now"
    if minutes < 60:
        return f"{minutes}{NO_BREAK}min"
    if minutes < 48 * 60:
        return f"{minutes // 60}{NO_BREAK}h"
    return f"{minutes // (24 * 60):,}{NO_BREAK}days"
