"""What settings choose from among what the tenant has: asked for when their form is shown, and when they are saved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from msgspec import Struct

from core.errors import FieldError
from core.settings.fields import describe
from core.texts import _

Offer = Callable[[], Awaitable[Sequence[tuple[str, str]]]]
_offers: Final[dict[str, Offer]] = {}


def offer(what: str, found: Offer) -> None:
    """Let fields that say `offered: what` choose from these (value, label) pairs."""
    _offers[what] = found


async def offered_to(struct: type[Struct]) -> dict[str, Sequence[tuple[str, str]]]:
    """By their names, what fields of these settings choose from now."""
    return {spec.name: await _offers[spec.offered]() for spec in describe(struct) if spec.offered in _offers}


async def not_offered(settings: Struct) -> list[FieldError]:
    """Fields that hold what there is not."""
    return [
        FieldError(name, _("Choose one of the list."))
        for name, found in (await offered_to(type(settings))).items()
        if getattr(settings, name) not in {value for value, _label in found}
    ]
