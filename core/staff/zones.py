"""Time zones that a person may live in."""

from __future__ import annotations

from typing import Final
from zoneinfo import available_timezones

_NOT_PLACES: Final = ("Etc/", "SystemV/", "US/", "Brazil/", "Canada/", "Chile/", "Mexico/")

TIME_ZONES: Final = tuple(
    sorted(name for name in available_timezones() if "/" in name and not name.startswith(_NOT_PLACES))
)
"""By their names, the region before the place."""
