"""Whom a run bills next, and what for: the payers with something due in the order of their ids, their lines staged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from core.billing.plan import (
    Plan,
    from_plugin,
    open_charges,
    recurring,
    split_of,
    stage_due,
    stage_sources,
    trials_over,
)
from core.billing.run_reports import ParkedPayer
from core.database import dialect, value_as, values
from core.errors import Invalid
from core.periods import Cycle, nth
from core.texts import _

if TYPE_CHECKING:
    from core.hooks import ChargeSource
    from core.scope import Scope


FURTHEST_AHEAD: Final = Cycle("month", 36)
EARLIEST: Final = date(2000, 1, 1)
LAST_ID: Final = 2**63 - 1
MOST_DATES: Final = 60
"""Due dates that are looked up one by one; after a longer gap all payers are ordered at once."""


def check_date(scope: Scope, as_of: date) -> None:
    """Raises Invalid for a date that is mistyped rather than meant."""
    if as_of > nth(scope.today(), FURTHEST_AHEAD, 1):
        raise Invalid(_("Billing goes at most 36 months ahead."), field="date")
    if as_of < EARLIEST:
        raise Invalid(_("Billing goes back to the year 2000."), field="date")


@dataclass(slots=True)
class Pace:
    """How many payers a chunk takes: grows and shrinks with how long chunks take.

    On SQLite a chunk keeps all other writers out, so it lasts 40 ms and 20 ms follow for them. On PostgreSQL only the
    series and the log are locked, at its end.
    """

    size: int
    target: float
    pause: float
    least: int = 20
    most: int = 4000
    fixed: int | None = None
    """The size that was asked for: smaller only while a payer that cannot be billed is looked for."""

    def took(self, seconds: float, payers: int) -> None:
        if self.fixed is not None:
            self.size = min(self.fixed, self.size * 2)
            return
        if payers < self.size // 2 or seconds <= 0:
            return
        wanted = self.size * self.target / seconds
        self.size = int(max(self.least, min(self.most, self.size * 1.5, max(self.size * 0.5, wanted))))

    def careful(self) -> None:
        """A chunk failed: smaller ones find the payer that it is about."""
        self.size = max(1, min(self.size, self.most) // 8)


def pace(chunk_size: int | None = None, pause: float | None = None) -> Pace:
    if dialect() == "sqlite":
        found = Pace(size=100, target=0.035, pause=0.02)
    else:
        found = Pace(size=300, target=0.2, pause=0.0, least=150)
    if chunk_size is not None:
        found.size = found.fixed = chunk_size
    if pause is not None:
        found.pause = pause
    return found


@dataclass(slots=True)
class Work:
    """What one worker keeps in mind over the chunks of a run."""

    plan: Plan
    pace: Pace
    due_dates: list[date]
    sources: Sequence[ChargeSource]
    unit_e6: str
    resolves: bool = False
    failures: int = 0
    chunks: int = 0
    longest: float = 0.0
    last_error: str = ""
    parked: list[ParkedPayer] = field(default_factory=list)
    not_renewed: list[ParkedPayer] = field(default_factory=list)
    """Payers whose prepaid subscriptions could not be renewed: noted when the run is over."""

    @property
    def scope(self) -> Scope:
        return self.plan.scope


async def due_dates(as_of: date) -> list[date]:
    """The dates on which something is due by now: usually one. A step along the index for each."""
    found: list[date] = []
    after = date.min
    while len(found) <= MOST_DATES:
        following = await value_as(
            date, "SELECT min(due_on) FROM subscription_schedule WHERE due_on > :after", after=after
        )
        if following is None or following > as_of:
            return found
        found.append(following)
        after = following
    return await values(
        "SELECT DISTINCT due_on FROM subscription_schedule WHERE due_on <= :as_of ORDER BY due_on", as_of=as_of
    )


async def currencies() -> list[str]:
    return [str(each) for each in await values("SELECT DISTINCT currency FROM price")]


async def next_payers(work: Work, after: int) -> list[int]:
    """The next payers that anything is due for, in the order of their ids."""
    plan, most = work.plan, work.pace.size
    sources = [
        "SELECT payer_id FROM (SELECT DISTINCT payer_id FROM charge WHERE state = 'open' AND payer_id > :after"
        " AND (due_on IS NULL OR due_on <= :as_of) ORDER BY payer_id LIMIT :most) o",
        "SELECT payer_id FROM (SELECT DISTINCT coalesce(c.payer_id, c.id) AS payer_id FROM subscription u"
        " JOIN customer c ON c.id = u.customer_id WHERE u.state = 'trial' AND u.at_trial_end = 'invoice_first'"
        " AND u.trial_ends_on <= :until AND u.ends_on IS NULL AND coalesce(c.payer_id, c.id) > :after"
        " AND NOT EXISTS (SELECT 1 FROM charge k WHERE k.subscription_id = u.id AND k.kind = 'recurring'"
        "  AND k.state IN ('open', 'invoiced')) ORDER BY 1 LIMIT :most) t",
    ]
    given: dict[str, Any] = {
        "after": after,
        "most": most,
        "until": min(plan.as_of_on, plan.issued_on),
        "as_of": plan.as_of_on,
    }
    if len(work.due_dates) > MOST_DATES:
        sources.append(
            "SELECT payer_id FROM (SELECT DISTINCT payer_id FROM subscription_schedule"
            " WHERE due_on <= :as_of AND payer_id > :after ORDER BY payer_id LIMIT :most) s"
        )
    for at, due_on in enumerate(work.due_dates[: MOST_DATES if len(work.due_dates) <= MOST_DATES else 0]):
        sources.append(
            f"SELECT payer_id FROM (SELECT DISTINCT payer_id FROM subscription_schedule WHERE due_on = :due_{at}"
            f" AND payer_id > :after ORDER BY payer_id LIMIT :most) d{at}"
        )
        given[f"due_{at}"] = due_on
    found = await values(f"SELECT payer_id FROM ({' UNION '.join(sources)}) p ORDER BY payer_id LIMIT :most", **given)
    return [int(each) for each in found]


async def stage(work: Work, after: int, last: int) -> None:
    """Lines of everything that these payers are to be billed for."""
    plan = work.plan
    span = {"after": after, "last": last}
    waiting = "k.payer_id > :after AND k.payer_id <= :last AND (k.due_on IS NULL OR k.due_on <= :as_of)"
    sources: list[tuple[str, dict[str, Any]]] = [
        (open_charges(waiting, split_of(plan, "k.subscription_id")), {**span, "as_of": plan.as_of_on}),
        (
            trials_over(split_of(plan, "u.id"), work.unit_e6),
            {**span, "trials_until": min(plan.as_of_on, plan.issued_on)},
        ),
    ]
    if plan.preview:
        sources += [
            (
                from_plugin(source, split_of(plan, "q.subscription_id")),
                {**source.values, **span, "as_of_on": plan.as_of_on},
            )
            for source in work.sources
        ]
    if work.due_dates and await stage_due(plan, work.due_dates, after, last):
        sources.insert(0, (recurring(split_of(plan, "d.subscription_id"), work.unit_e6), {}))
    await stage_sources(plan, *sources)
