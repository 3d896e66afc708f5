"""Reads of statuses: what each does and who has it, which may follow which, why a customer has one, what is planned."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from msgspec import Struct

from core.activity.queries import Entry, timeline
from core.customers.status import SWITCHES, PlannedState, StatusKey, StatusReason
from core.customers.tables import Customer, PlannedStatus
from core.database import row, rows, value, within
from core.errors import Invalid, NotFound
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope


class StatusFull(Struct, frozen=True):
    """A status with its effects and with how many customers have it, as far as the actor sees them."""

    id: int
    key: str
    label: str
    kind: str
    colour: str
    position: int
    bill: bool
    serve: bool
    log_in: bool
    notify: bool
    dun: bool
    may_order: bool
    may_delete: bool
    customers: int

    @property
    def shipped(self) -> bool:
        """Rules name its key, so it stays."""
        return self.key in set(StatusKey)

    @property
    def switches(self) -> dict[str, bool]:
        return {name: getattr(self, name) for name in SWITCHES}


_FULL = (
    "SELECT status.id, status.key, status.label, status.kind, status.colour, status.position, status.bill,"
    " status.serve, status.log_in, status.notify, status.dun, status.may_order, status.may_delete,"
    " coalesce(n.customers, 0) AS customers"
    " FROM status LEFT JOIN (SELECT status_id, count(*) AS customers FROM customer WHERE :within"
    " GROUP BY status_id) n ON n.status_id = status.id"
)


async def list_full(scope: Scope) -> list[StatusFull]:
    """All statuses in the tenant's order."""
    return await rows(
        StatusFull,
        f"{_FULL} ORDER BY status.position, status.id",
        within=within(Customer, scope.actor.reach),
    )


async def get_status(scope: Scope, key: str) -> StatusFull:
    found = await row(
        StatusFull, f"{_FULL} WHERE status.key = :key", key=key, within=within(Customer, scope.actor.reach)
    )
    if found is None:
        raise NotFound(f"status {key}")
    return found


class Way(Struct, frozen=True):
    """A change that is allowed."""

    from_key: str
    to_key: str


async def list_ways() -> list[Way]:
    return await rows(
        Way,
        "SELECT f.key AS from_key, t.key AS to_key FROM status_transition m JOIN status f ON f.id = m.from_id"
        " JOIN status t ON t.id = m.to_id ORDER BY f.position, f.id, t.position, t.id",
    )


# -- why a customer has its status ------------------------------------------------------------------------------------


class StatusWhy(Struct, frozen=True):
    """Why a customer has its status: the rule or person behind it, since when, and what was said about it."""

    status: str
    label: str
    kind: str
    reason: str
    since: datetime | None
    by: str
    on_behalf_of: str
    note: str
    came_from: str


async def why_status(scope: Scope, customer_id: int) -> StatusWhy:
    """From the activity. A customer that was created or imported with its status has it since then."""
    now = await row(
        _Now,
        "SELECT status.key, status.label, status.kind, customer.status_reason AS reason, customer.created_at"
        " FROM customer JOIN status ON status.id = customer.status_id WHERE customer.id = :id AND :within",
        id=customer_id,
        within=within(Customer, scope.actor.reach),
    )
    if now is None:
        raise NotFound(f"customer {customer_id}")
    last = await _last(scope, customer_id)
    changed = last is not None and last.kind == "customer_status_changed"
    told = {change.field: change.new or "" for change in last.changes} if last is not None and changed else {}
    reason = str(last.facts.get("reason", now.reason)) if last is not None and changed else now.reason
    return StatusWhy(
        status=now.key,
        label=now.label,
        kind=now.kind,
        reason=reason if reason in set(StatusReason) else StatusReason.HAND,
        since=last.at if last is not None else now.created_at,
        by=last.actor if last is not None else "",
        on_behalf_of=(last.on_behalf_of or "") if last is not None else "",
        note=told.get("note") or (reason if reason not in set(StatusReason) else ""),
        came_from=str(last.facts.get("from_key", "")) if last is not None and changed else "",
    )


class _Now(Struct, frozen=True):
    key: str
    label: str
    kind: str
    reason: str
    created_at: datetime


async def _last(scope: Scope, customer_id: int) -> Entry | None:
    found = await timeline(
        scope, customer_id=customer_id, kinds=("customer_status_changed", "customer_created"), limit=1
    )
    return found[0] if found else None


# -- what is planned --------------------------------------------------------------------------------------------------


class PlannedRow(Struct, frozen=True):
    """A change of status that was set for a later day, and what became of it."""

    id: int
    customer_id: int
    customer: str
    from_label: str
    from_colour: str
    status: str
    label: str
    colour: str
    happens_on: date
    state: PlannedState
    note: str
    refusal: str
    planned_by: str
    created_at: datetime


_PLANNED = (
    "SELECT planned_status.id, planned_status.customer_id, customer.full_name AS customer, has.label AS from_label,"
    " has.colour AS from_colour, becomes.key AS status, becomes.label, becomes.colour, planned_status.happens_on,"
    " planned_status.state, planned_status.note, planned_status.refusal, planned_status.planned_by,"
    " planned_status.created_at FROM planned_status JOIN customer ON customer.id = planned_status.customer_id"
    " JOIN status has ON has.id = customer.status_id JOIN status becomes ON becomes.id = planned_status.status_id"
)


async def list_planned(
    scope: Scope, *, state: PlannedState = PlannedState.PLANNED, cursor: str = "", limit: int
) -> tuple[list[PlannedRow], str]:
    """In the order of their days, from behind the cursor on; and the cursor of what follows, empty on the last page."""
    day, number = _place(cursor)
    after = "AND (planned_status.happens_on, planned_status.id) > (:day, :number)" if day is not None else ""
    found = await rows(
        PlannedRow,
        f"{_PLANNED} WHERE planned_status.state = :state AND :within {after}"
        " ORDER BY planned_status.happens_on, planned_status.id LIMIT :limit",
        state=state,
        within=within(PlannedStatus, scope.actor.reach),
        limit=limit + 1,
        **({"day": day, "number": number} if day is not None else {}),
    )
    last = found[limit - 1] if len(found) > limit else None
    return found[:limit], "" if last is None else f"{last.happens_on.isoformat()}.{last.id}"


def _place(cursor: str) -> tuple[date | None, int]:
    if not cursor:
        return None, 0
    day, _dot, number = cursor.partition(".")
    try:
        return date.fromisoformat(day), int(number) if number.isdecimal() and len(number) < 19 else int("")
    except ValueError:
        told = _("This cursor is of another order of this list. Begin again without it.")
        raise Invalid(told, field="cursor") from None


async def count_planned(scope: Scope) -> int:
    """Changes that wait for their day."""
    return int(
        await value(
            "SELECT count(*) FROM planned_status WHERE state = 'planned' AND :within",
            within=within(PlannedStatus, scope.actor.reach),
        )
    )


async def get_planned(scope: Scope, planned_id: int) -> PlannedRow:
    found = await row(
        PlannedRow,
        f"{_PLANNED} WHERE planned_status.id = :id AND :within",
        id=planned_id,
        within=within(PlannedStatus, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"planned status {planned_id}")
    return found


async def count_refused(scope: Scope) -> int:
    """Planned changes that were refused on their day and that nobody has put away."""
    return int(
        await value(
            "SELECT count(*) FROM planned_status WHERE state = 'refused' AND :within",
            within=within(PlannedStatus, scope.actor.reach),
        )
    )
