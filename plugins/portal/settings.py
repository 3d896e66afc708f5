"""What the operator leaves to customers in the portal."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from core.texts import N_


class PortalSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Pauses that customers plan by themselves, of one subscription each."""

    pause: Annotated[
        bool,
        Meta(
            title=N_("Customers may pause"),
            description=N_("No service and no bill from a day up to another, planned by themselves"),
        ),
    ] = False
    pause_days_a_year: Annotated[
        int,
        Meta(
            ge=1,
            le=366,
            title=N_("Days of pause in a calendar year"),
            description=N_("Of each subscription. Pauses that the staff plan do not count"),
        ),
    ] = 60
    pause_least_days: Annotated[int, Meta(ge=1, le=366, title=N_("Shortest pause, days"))] = 7
    pause_most_days: Annotated[
        int,
        Meta(
            ge=1,
            le=366,
            title=N_("Longest pause, days"),
            description=N_("Below the shortest: every pause is as long as the shortest"),
        ),
    ] = 60
    pause_fee_minor: Annotated[
        int,
        Meta(
            ge=0,
            le=10**9,
            title=N_("Hold fee"),
            description=N_(
                "Minor units of your own currency, once for each pause; what is billed in another is not paused here"
            ),
        ),
    ] = 0
