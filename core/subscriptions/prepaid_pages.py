"""Until when a balance lasts, in words: on the tab of a prepaid customer and on its subscriptions."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from msgspec import Struct

from core.money import format_money
from core.texts import _
from core.web.templating import written

if TYPE_CHECKING:
    from core.billing.actions.prepaid import PrepaidOutlook


class PrepaidNote(Struct, frozen=True):
    """A line above what is prepaid; `kind` is the banner's."""

    text: str
    kind: str


def note_of(outlook: PrepaidOutlook | None, locale: str) -> PrepaidNote | None:
    """What waits for balance comes first; else until when it lasts."""
    if outlook is None:
        return None
    available = format_money(outlook.available_minor, outlook.currency, locale)
    waiting = [each for each in outlook.items if each.waits]
    if waiting:
        first = waiting[0]
        return PrepaidNote(
            _(
                "Prepaid, %(available)s to spend: %(name)s waits for its next period of %(total)s. It goes on as soon"
                " as money comes in.",
                available=available,
                name=first.name,
                total=format_money(first.total_minor, first.currency, locale),
            ),
            "blocked",
        )
    if outlook.lasts_until is None:
        return PrepaidNote(_("Prepaid: %(available)s to spend, enough for a year.", available=available), "new")
    return PrepaidNote(
        _(
            "Prepaid: %(available)s to spend, the balance lasts until %(day)s. Then %(name)s is not covered.",
            available=available,
            day=written(outlook.lasts_until - timedelta(days=1), locale),
            name=outlook.short,
        ),
        "new",
    )
