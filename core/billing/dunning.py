"""Dunning: what is overdue, which step of the policy comes next for it, and who is left alone.

Days count from the due date: day 1 is the first overdue one. A customer's grace days are added to the steps that have
an effect. An invoice has the steps in their order, one a day at most, and never two of them closer together than the
policy has them: one that comes late (dunning was just switched on, a promise was broken) begins at the beginning.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

from msgspec import Meta, Struct

from core.billing.tables import Dispute, DocumentState, DunningEvent, Promise
from core.database import all_of, rows, within
from core.ids import Id
from core.settings.queries import load_settings
from core.texts import N_

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from core.scope import Scope

CHUNK: Final = 500
"""Overdue invoices that are looked at together."""
IN_TIME: Final = 4
"""So many days late (a week-end, a holiday) a step still counts as done on its day."""
SATURDAY: Final = 5

MESSAGES: Final = {
    "": N_("No message"),
    "payment_reminder": N_("Reminder"),
    "payment_warning": N_("Last reminder"),
    "service_blocked": N_("Service is blocked"),
}
EFFECTS: Final = {
    "": N_("Stays as it is"),
    "blocked": N_("Blocked"),
    "inactive": N_("Inactive"),
    "terminated": N_("Terminated"),
}


class DunningSettings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether and when overdue invoices are dunned. The steps stand in a table of their own."""

    SETTINGS_KEY: ClassVar[str] = "dunning"

    enabled: Annotated[
        bool,
        Meta(
            title=N_("Dun every day"),
            description=N_("At six in the morning of the tenant. Look below first at what today would bring"),
        ),
    ] = False
    not_at_weekends: Annotated[
        bool,
        Meta(
            title=N_("Not on Saturdays and Sundays"), description=N_("Steps of these days come on the next working day")
        ),
    ] = True
    holidays: Annotated[
        list[Annotated[str, Meta(pattern=r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$")]],
        Meta(max_length=400, title=N_("Holidays"), description=N_("One a line, such as 2027-01-01. No steps on them")),
    ] = []
    block_children: Annotated[
        bool,
        Meta(
            title=N_("Block those it pays for, too"),
            description=N_("Where a payer is blocked, the customers on the overdue invoice are blocked with it"),
        ),
    ] = True

    def rests_on(self, day: date) -> bool:
        return day.isoformat() in self.holidays or (self.not_at_weekends and day.weekday() >= SATURDAY)


class StepFields(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A step: day 1 is the first overdue day. The fee is in minor units of the tenant's currency."""

    days: Annotated[int, Meta(ge=1, le=730)]
    message: Literal["", "payment_reminder", "payment_warning", "service_blocked"] = "payment_reminder"
    effect: Literal["", "blocked", "inactive", "terminated"] = ""
    fee_minor: Annotated[int, Meta(ge=0, le=10**12)] = 0


class Step(Struct, frozen=True):
    """A step of the policy."""

    id: Id
    days: int
    message: str
    effect: str
    fee_minor: int
    in_force: bool

    def comes_after(self, grace_days: int) -> int:
        """Days after the due date for a customer with so many days of grace."""
        return self.days + (grace_days if self.effect else 0)


class Overdue(Struct, frozen=True):
    """An overdue invoice that nothing pauses, with what of its payer decides what becomes of it."""

    document_id: int
    number: str
    payer_id: int
    payer: str
    due_on: date
    currency: str
    open_minor: int
    grace_days: int
    minimum_minor: int
    balance_minor: int
    never_block: bool
    notify: bool


class Had(Struct, frozen=True):
    """A step that an invoice had."""

    document_id: int
    step_id: int
    done_on: date
    counted_on: date


class NextStep(Struct, frozen=True):
    """The step that an invoice has today. The following ones are counted from `counted_on`."""

    document: Overdue
    step: Step
    counted_on: date


def next_step(document: Overdue, steps: Sequence[Step], had: Sequence[Had], today: date) -> NextStep | None:
    """The step whose day has come for an overdue invoice; none where none has."""
    grace = document.grace_days
    done = {one.step_id for one in had}
    last = max(had, key=lambda one: (one.done_on, one.counted_on)) if had else None
    if last is not None and last.done_on >= today:
        return None
    reached = max((step.comes_after(grace) for step in steps if step.id in done), default=0)
    for step in sorted(steps, key=lambda step: step.comes_after(grace)):
        if not step.in_force or step.id in done:
            continue
        if step.effect and (document.never_block or document.balance_minor >= document.minimum_minor):
            continue
        after = step.comes_after(grace)
        if after < reached and not step.effect:
            continue
        planned = document.due_on + timedelta(days=after)
        if last is not None:
            planned = max(planned, last.counted_on + timedelta(days=max(after - reached, 1)))
        if planned > today:
            return None
        in_time = (today - planned).days <= IN_TIME
        return NextStep(document, step, planned if in_time else today)
    return None


async def list_steps(*, in_force: bool = True) -> list[Step]:
    """The steps of the policy by their days; with those that only invoices of the past had, where these are wanted."""
    return await rows(
        Step,
        "SELECT id, days, message, effect, fee_minor, in_force FROM dunning_step"
        f" WHERE {all_of(in_force and 'in_force')} ORDER BY days, id",
    )


_OVERDUE: Final = """
SELECT s.document_id, coalesce(d.number, '') AS number, s.payer_id, c.full_name AS payer, s.due_on, s.currency,
       s.open_minor, coalesce(c.grace_days, 0) AS grace_days,
       CASE WHEN s.currency = c.currency THEN c.minimum_balance_minor ELSE 0 END AS minimum_minor,
       coalesce(b.balance_minor, 0) AS balance_minor, c.never_block, st.notify
FROM document_state s
JOIN document d ON d.id = s.document_id
JOIN customer c ON c.id = s.payer_id
JOIN status st ON st.id = c.status_id
LEFT JOIN customer_balance b ON b.customer_id = s.payer_id AND b.currency = s.currency
WHERE s.open_minor > 0 AND s.due_on <= :latest AND st.dun AND d.kind IN ('invoice', 'opening')
  AND NOT s.disputed AND (s.promise_on IS NULL OR s.promise_on < :today)
  AND NOT EXISTS (
    SELECT 1 FROM document_line l JOIN charge k ON k.id = l.charge_id JOIN subscription u ON u.id = k.subscription_id
    WHERE l.document_id = s.document_id AND k.kind = 'recurring' AND k.period_start IS NULL
      AND u.state IN ('pending', 'trial', 'active', 'suspended'))
"""
"""Invoices that subscriptions wait for are not dunned (domain.md, Invoice first)."""


async def overdue_of(payer_id: int, steps: Sequence[Step], today: date) -> list[NextStep]:
    """What of a payer has a step today."""
    found = await rows(
        Overdue,
        f"{_OVERDUE} AND s.payer_id = :payer ORDER BY s.due_on, s.document_id",
        payer=payer_id,
        today=today,
        latest=_latest(steps, today),
    )
    return await _next_steps(found, steps, today)


async def each_due(
    scope: Scope, steps: Sequence[Step], today: date, *, size: int = CHUNK
) -> AsyncIterator[tuple[int, list[NextStep]]]:
    """Through all that is overdue, the longest first: how many were looked at, and which of them have a step today."""
    if not any(step.in_force for step in steps):
        return
    after, after_id = date.min, 0
    while True:
        found = await rows(
            Overdue,
            f"{_OVERDUE} AND (s.due_on, s.document_id) > (:after, :after_id) AND :within"
            " ORDER BY s.due_on, s.document_id LIMIT :size",
            today=today,
            latest=_latest(steps, today),
            after=after,
            after_id=after_id,
            size=size,
            within=within(DocumentState, scope.actor.reach, alias="s"),
        )
        if not found:
            return
        yield len(found), await _next_steps(found, steps, today)
        if len(found) < size:
            return
        after, after_id = found[-1].due_on, found[-1].document_id


def _latest(steps: Sequence[Step], today: date) -> date:
    """What is due later than this has no step yet."""
    return today - timedelta(days=min((step.days for step in steps if step.in_force), default=1))


async def _next_steps(found: Sequence[Overdue], steps: Sequence[Step], today: date) -> list[NextStep]:
    had: defaultdict[int, list[Had]] = defaultdict(list)
    if found:
        for one in await rows(
            Had,
            "SELECT document_id, step_id, done_on, counted_on FROM dunning_event WHERE document_id IN :ids",
            ids=[each.document_id for each in found],
        ):
            had[one.document_id].append(one)
    steps_of = (next_step(each, steps, had[each.document_id], today) for each in found)
    return [each for each in steps_of if each is not None]


class DunningRow(Struct, frozen=True):
    """A step that an invoice had, as it was then: on which day, what was written, what it set and what it cost."""

    id: Id
    days: int
    done_on: date
    message: str
    message_id: int | None
    effect: str
    refused: str
    fee_minor: int
    currency: str


async def list_dunning(scope: Scope, document_id: int) -> list[DunningRow]:
    """What an invoice had of dunning, in its order."""
    return await rows(
        DunningRow,
        "SELECT id, days, done_on, message, message_id, effect, refused, fee_minor, currency FROM dunning_event"
        " WHERE document_id = :id AND :within ORDER BY id",
        id=document_id,
        within=within(DunningEvent, scope.actor.reach),
    )


class Pause(Struct, frozen=True, kw_only=True):
    """A promise to pay an invoice by a day, or a dispute of it, and how it ended: kept or settled where it was paid.

    `said` is the note of the promise, what is disputed; `answer` what came of a dispute that was closed.
    """

    kind: Literal["promise", "dispute"]
    id: Id
    state: Literal["open", "kept", "broken", "withdrawn", "replaced", "closed", "settled", "credited", "written_off"]
    until_on: date | None
    said: str
    answer: str
    made_by: str
    made_on: date
    closed_on: date | None


async def list_pauses(scope: Scope, document_id: int) -> list[Pause]:
    """What was promised for an invoice and disputed of it, what is open among it, in its order."""
    return await rows(
        Pause,
        "SELECT 'promise' AS kind, id, state, until_on, note AS said, '' AS answer, made_by, made_on, closed_on"
        " FROM promise WHERE document_id = :id AND :promises"
        " UNION ALL SELECT 'dispute', id, state, CAST(NULL AS date), reason, answer, made_by, made_on, closed_on"
        " FROM dispute WHERE document_id = :id AND :disputes ORDER BY made_on, kind, id",
        id=document_id,
        promises=within(Promise, scope.actor.reach),
        disputes=within(Dispute, scope.actor.reach),
    )


def open_of(pauses: Sequence[Pause], kind: str) -> Pause | None:
    """The promise or the dispute that is open now."""
    return next((each for each in pauses if each.kind == kind and each.state == "open"), None)


class Preview(Struct, frozen=True):
    """What today would bring. `more`: there is more than was looked at."""

    due: list[NextStep]
    looked_at: int
    more: bool
    rests: bool


async def preview(scope: Scope, *, most: int = 100, look_at: int = 2_000) -> Preview:
    """Who would have which step today, whether dunning is on or not; on a day of rest, what is left for the next."""
    today = scope.today()
    due: list[NextStep] = []
    seen, more = 0, False
    async for looked, some in each_due(scope, await list_steps(in_force=False), today):
        seen += looked
        due += some
        if len(due) > most or seen >= look_at:
            more = True
            break
    return Preview(due[:most], seen, more, (await load_settings(DunningSettings)).rests_on(today))
