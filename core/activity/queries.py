"""Reading the log: timelines, why something happened, and how far each reader has come."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from core.activity.tables import Activity
from core.activity.unit import row_digest, value_digest
from core.database import row, rows, value, values, within
from core.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.activity.delivery import Reader
    from core.scope import Scope

MANY: Final = 10_000
"""Waiting events are counted up to here: the page says “more than”."""


class Change(Struct, frozen=True):
    """A field before and after; both None and `emptied` when the person was anonymised."""

    field: str
    old: str | None = None
    new: str | None = None
    emptied: bool = False


class Entry(Struct, frozen=True):
    """A line of a timeline."""

    position: int
    at: datetime
    kind: str
    subject_kind: str
    actor: str
    depth: int
    facts: dict[str, Any]
    subject_id: int | None = None
    customer_id: int | None = None
    on_behalf_of: str | None = None
    caused_by: int | None = None
    changes: tuple[Change, ...] = ()


class _Row(Struct, frozen=True):
    position: int
    at: datetime
    kind: str
    subject_kind: str
    actor: str
    depth: int
    facts: str
    subject_id: int | None = None
    customer_id: int | None = None
    on_behalf_of: str | None = None
    caused_by: int | None = None


class _Value(Struct, frozen=True):
    position: int
    field: str
    digest: str
    old: str | None = None
    new: str | None = None
    salt: str | None = None


_COLUMNS: Final = (
    "position, at, kind, subject_kind, subject_id, customer_id, actor, on_behalf_of, caused_by, depth, facts"
)


async def timeline(
    scope: Scope,
    *,
    customer_id: int | None = None,
    subject: tuple[str, int] | None = None,
    kinds: Sequence[str] | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[Entry]:
    """What happened, latest first: to a customer, to one thing, or at all. `before` is where the last page ended."""
    return await _entries(scope, "position < :before", "DESC", before or 2**62, customer_id, subject, kinds, limit)


async def entries_after(
    scope: Scope, position: int, *, customer_id: int | None = None, limit: int = 100
) -> list[Entry]:
    """What has happened since, in order: for live pages."""
    return await _entries(scope, "position > :before", "ASC", position, customer_id, None, None, limit)


async def _entries(
    scope: Scope,
    where: str,
    order: str,
    position: int,
    customer_id: int | None,
    subject: tuple[str, int] | None,
    kinds: Sequence[str] | None,
    limit: int,
) -> list[Entry]:
    conditions, values = [where, ":reach"], dict[str, Any]()
    if customer_id is not None:
        conditions.append("customer_id = :customer_id")
        values["customer_id"] = customer_id
    if subject is not None:
        conditions.append("subject_kind = :subject_kind AND subject_id = :subject_id")
        values["subject_kind"], values["subject_id"] = subject
    if kinds is not None:
        # Of one customer or thing there are few lines, of a kind many: the kind's index is kept out of it.
        conditions.append("kind IN :kinds" if customer_id is None and subject is None else "(kind || '') IN :kinds")
        values["kinds"] = list(kinds)
    found = await rows(
        _Row,
        f"SELECT {_COLUMNS} FROM activity WHERE {' AND '.join(conditions)} ORDER BY position {order} LIMIT :limit",
        before=position,
        limit=limit,
        reach=within(Activity, scope.actor.reach),
        **values,
    )
    return await _with_changes(found)


async def get_entry(scope: Scope, position: int) -> Entry:
    """One line of the log, or NotFound."""
    found = await row(
        _Row,
        f"SELECT {_COLUMNS} FROM activity WHERE position = :position AND :reach",
        position=position,
        reach=within(Activity, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"activity {position}")
    return (await _with_changes([found]))[0]


async def list_entries(scope: Scope, positions: Sequence[int]) -> list[Entry]:
    """These lines of the log, in this order; what is out of reach is left out."""
    found = await rows(
        _Row,
        f"SELECT {_COLUMNS} FROM activity WHERE position IN :positions AND :reach",
        positions=list(positions),
        reach=within(Activity, scope.actor.reach),
    )
    by_position = {one.position: one for one in await _with_changes(found)}
    return [by_position[one] for one in positions if one in by_position]


async def kinds_that_happened() -> list[str]:
    """Each kind that is in the log, from one to the next by its index."""
    return await values(
        "WITH RECURSIVE known (kind) AS (SELECT min(kind) FROM activity UNION ALL"
        " SELECT (SELECT min(activity.kind) FROM activity WHERE activity.kind > known.kind) FROM known"
        " WHERE known.kind IS NOT NULL) SELECT kind FROM known WHERE kind IS NOT NULL"
    )


async def why(scope: Scope, position: int) -> list[Entry]:
    """The line and what caused it, and what caused that: the last is where it began."""
    chain = [await get_entry(scope, position)]
    while (cause := chain[-1].caused_by) is not None:
        try:
            chain.append(await get_entry(scope, cause))
        except NotFound:
            break
    return chain


async def _with_changes(found: Sequence[_Row]) -> list[Entry]:
    if not found:
        return []
    changes: dict[int, list[Change]] = {}
    for each in await rows(
        _Value,
        "SELECT position, field, digest, old, new, salt FROM activity_value WHERE position IN :positions"
        " ORDER BY position, field",
        positions=[line.position for line in found],
    ):
        changes.setdefault(each.position, []).append(Change(each.field, each.old, each.new, each.salt is None))
    return [
        Entry(
            position=line.position,
            at=line.at,
            kind=line.kind,
            subject_kind=line.subject_kind,
            actor=line.actor,
            depth=line.depth,
            facts=msgspec.json.decode(line.facts),
            subject_id=line.subject_id,
            customer_id=line.customer_id,
            on_behalf_of=line.on_behalf_of,
            caused_by=line.caused_by,
            changes=tuple(changes.get(line.position, ())),
        )
        for line in found
    ]


async def head() -> int:
    """The last position of the log."""
    return int(await value("SELECT last FROM activity_head"))


class ReaderState(Struct, frozen=True):
    """How far a reader is, for the page of plugins."""

    reader: str
    position: int
    head: int
    waiting: int
    """Events of its kinds that it has not heard; `MANY` + 1 stands for more than `MANY`."""
    parked: int
    failures: int
    held: bool
    retry_at: datetime | None = None
    paused_at: datetime | None = None
    error: str | None = None


class _State(Struct, frozen=True):
    reader: str
    position: int
    failures: int
    held: bool
    parked: int
    retry_at: datetime | None = None
    paused_at: datetime | None = None
    error: str | None = None


async def reader_states(readers: Sequence[Reader]) -> list[ReaderState]:
    """The readers that are switched on, in the order given."""
    found = {
        state.reader: state
        for state in await rows(
            _State,
            "SELECT reader, position, failures, held, retry_at, paused_at, error,"
            " (SELECT count(*) FROM delivery_parked WHERE delivery_parked.reader = delivery.reader) AS parked"
            " FROM delivery WHERE reader IN :names",
            names=[reader.name for reader in readers],
        )
    }
    last = await head()
    states = []
    for reader in readers:
        if (state := found.get(reader.name)) is None:
            continue
        waiting = await value(
            "SELECT count(*) FROM (SELECT position FROM activity WHERE position > :position AND kind IN :kinds"
            " LIMIT :many) AS ahead",
            position=state.position,
            kinds=sorted(reader.kinds),
            many=MANY + 1,
        )
        states.append(
            ReaderState(
                reader=reader.name,
                position=state.position,
                head=last,
                waiting=int(waiting),
                parked=state.parked,
                failures=state.failures,
                held=state.held,
                retry_at=state.retry_at,
                paused_at=state.paused_at,
                error=state.error,
            )
        )
    return states


class Parked(Struct, frozen=True):
    """An event that a reader could not be told."""

    position: int
    kind: str
    at: datetime
    error: str
    failures: int
    parked_at: datetime
    subject_kind: str
    subject_id: int | None = None
    customer_id: int | None = None


async def list_parked(reader: str, *, after: int = 0, limit: int = 50) -> list[Parked]:
    """The events that this reader could not be told, in order."""
    return await rows(
        Parked,
        "SELECT activity.position, kind, at, subject_kind, subject_id, customer_id, error, failures, parked_at"
        " FROM delivery_parked JOIN activity ON activity.position = delivery_parked.position"
        " WHERE reader = :reader AND delivery_parked.position > :after ORDER BY delivery_parked.position LIMIT :limit",
        reader=reader,
        after=after,
        limit=limit,
    )


class _Digest(Struct, frozen=True):
    position: int
    digest: str | None = None


async def log_faults(*, after: int = 0, limit: int = 2000) -> list[str]:
    """What is wrong with a stretch of the log: a position that is missing, a value that is not what was recorded."""
    lines = await rows(
        _Digest,
        "SELECT position, digest FROM activity WHERE position > :after ORDER BY position LIMIT :limit",
        after=after,
        limit=limit,
    )
    faults = [
        f"position {expected} of the log is missing"
        for expected, line in zip(range(after + 1, after + 1 + len(lines)), lines, strict=True)
        if line.position != expected
    ][:1]
    digests: dict[int, list[str]] = {}
    for each in await rows(
        _Value,
        "SELECT position, field, digest, old, new, salt FROM activity_value WHERE position IN :positions"
        " ORDER BY position, field",
        positions=[line.position for line in lines],
    ):
        digests.setdefault(each.position, []).append(each.digest)
        if each.salt is not None and value_digest(each.salt, each.field, each.old, each.new) != each.digest:
            faults.append(f"the value {each.field} of position {each.position} is not what was recorded")
    faults.extend(
        f"the values of position {line.position} are not those that were recorded"
        for line in lines
        if line.digest != (row_digest(digests[line.position]) if line.position in digests else None)
    )
    return faults
