"""Rates of VAT that a tenant starts with, in millionths. They are a proposal: the tenant checks and changes them.

Standard and one reduced rate of the EU's members, the United Kingdom, Switzerland, Liechtenstein and Norway as of 2026.
"""

from datetime import date
from typing import Final

EU: Final = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()  # noqa: SIM905 - a list would take a line each
)
"""Members of the European Union, by their ISO codes (Greece is GR here, EL only inside a VAT id)."""

SINCE: Final = date(2020, 1, 1)
"""Proposed rates are taken to hold since then: a tenant that bills older days enters what held."""

PROPOSED: Final[dict[str, tuple[int, int]]] = {
    "AT": (200_000, 100_000),
    "BE": (210_000, 60_000),
    "BG": (200_000, 90_000),
    "CH": (81_000, 26_000),
    "CY": (190_000, 90_000),
    "CZ": (210_000, 120_000),
    "DE": (190_000, 70_000),
    "DK": (250_000, 250_000),
    "EE": (240_000, 90_000),
    "ES": (210_000, 100_000),
    "FI": (255_000, 135_000),
    "FR": (200_000, 55_000),
    "GB": (200_000, 50_000),
    "GR": (240_000, 130_000),
    "HR": (250_000, 130_000),
    "HU": (270_000, 180_000),
    "IE": (230_000, 135_000),
    "IT": (220_000, 100_000),
    "LI": (81_000, 26_000),
    "LT": (210_000, 120_000),
    "LU": (170_000, 80_000),
    "LV": (210_000, 120_000),
    "MT": (180_000, 70_000),
    "NL": (210_000, 90_000),
    "NO": (250_000, 150_000),
    "PL": (230_000, 80_000),
    "PT": (230_000, 130_000),
    "RO": (210_000, 110_000),
    "SE": (250_000, 120_000),
    "SI": (220_000, 95_000),
    "SK": (230_000, 190_000),
}


def proposed(country: str) -> dict[str, int]:
    """Rates by category for a country; 0 where none is known, so that a new tenant can bill at once."""
    standard, reduced = PROPOSED.get(country, (0, 0))
    return {"standard": standard, "reduced": reduced}
