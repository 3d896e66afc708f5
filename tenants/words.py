"""How the console writes sizes and ages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from core.texts import _, figures, number

if TYPE_CHECKING:
    from datetime import datetime

MEGA: Final = 1_000_000
NO_BREAK: Final = "\u00a0"


def megabytes(size: int | None) -> str:
    """For a column of sizes: 0.4, 42, 3,912."""
    if size is None:
        return "–"
    return figures(f"{size / MEGA:,.1f}" if size < 10 * MEGA else f"{size / MEGA:,.0f}")


def sized(size: int | None) -> str:
    """In a text: 412 kB, 3.9 MB, 214 GB."""
    if size is None:
        return "–"
    shown, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if shown < 1000 or unit == "TB":
            break
        shown /= 1000
    return figures(f"{shown:,.1f}" if shown < 10 and unit != "B" else f"{shown:,.0f}") + NO_BREAK + unit


def ago(now: datetime, at: datetime | None) -> str:
    """How long ago: just now, 3 min ago, 26 h ago, 9 days ago."""
    if at is None:
        return "–"
    minutes = int((now - at).total_seconds()) // 60
    if minutes < 1:
        return _("just now")
    if minutes < 60:
        return _("%(count)s\u00a0min ago", count=minutes)
    if minutes < 48 * 60:
        return _("%(count)s\u00a0h ago", count=minutes // 60)
    return _("%(count)s\u00a0days ago", count=number(minutes // (24 * 60)))
