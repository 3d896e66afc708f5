"""The unit of work: the only way to write. What it did stands in the log, by the same commit, in commits' order."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from core import database
from core.activity.events import Event, facts_of
from core.database import current, execute, execute_many, in_transaction, transaction, value
from core.errors import TryAgain, Unavailable
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from uuid import UUID

    from core.scope import Scope

T = TypeVar("T")
Changes = Mapping[str, tuple[object, object]]
"""By field: what stood there, what stands there now."""

DEEPEST: Final = 8
"""A fact caused by a fact caused by … this often: plugins are answering each other."""


class WrongTenant(RuntimeError):
    """The scope is of another tenant than the database that is bound."""


class NoUnit(RuntimeError):
    """Something was recorded outside a unit of work."""


class InsideUnit(RuntimeError):
    """An effect outside the database was tried inside a unit of work, where it could not be taken back."""


class TooDeep(RuntimeError):
    """Facts cause facts without end."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A fact that a reader is hearing, and on whose behalf what it does about it is done."""

    position: int
    depth: int
    subject_kind: str
    subject_id: int | None
    customer_id: int | None
    actor: str


@dataclass(slots=True)
class _Line:
    """A row to be."""

    at: datetime
    kind: str
    subject_kind: str
    actor: str
    on_behalf_of: str | None
    caused_by: int | None
    depth: int
    subject_id: int | None = None
    customer_id: int | None = None
    facts: str = "{}"
    values: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    select: str | None = None
    parameters: dict[str, object] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Unit:
    """What is open in this task."""

    owner: UUID | None
    task: asyncio.Task[Any] | None
    lines: list[_Line] = field(default_factory=list)
    causes: tuple[Cause, ...] = ()
    late: bool = False
    wakes: bool = False


_unit: ContextVar[Unit | None] = ContextVar("unit", default=None)
_guard: ContextVar[Callable[[], Awaitable[None]] | None] = ContextVar("guard", default=None)
_listeners: Final[list[Callable[[UUID, int | None], None]]] = []


def open_unit() -> Unit | None:
    """The unit of work of this task. One that another task opened cannot be joined."""
    unit = _unit.get()
    if unit is not None and unit.task is not asyncio.current_task():
        raise RuntimeError("a unit of work belongs to the task that opened it: start other work with spawn()")
    return unit


@asynccontextmanager
async def unit_of_work(scope: Scope) -> AsyncIterator[Unit]:
    """Everything inside is saved together or not at all, with its lines in the log; an inner one joins the outer.

    An exception that leaves an inner unit, or a database error, ends the outer one also where it is caught, unless a
    `savepoint()` between the two took the work back. Raises TryAgain when the database could not serialise it with
    another: the edge runs the whole call once more.
    """
    unit = open_unit()
    if unit is not None:
        _check_tenant(scope, unit.owner)
        async with transaction():
            yield unit
        return
    owner = current().owner
    _check_tenant(scope, owner)
    if in_transaction():
        raise RuntimeError("a unit of work inside a bare transaction could not take the log's head last")
    unit = Unit(owner=owner, task=asyncio.current_task())
    last: int | None = None
    async with transaction():
        token = _unit.set(unit)
        try:
            guard = _guard.get()
            if guard is not None:
                await guard()
            yield unit
            if unit.lines:
                last = await _write(unit.lines)
        finally:
            _unit.reset(token)
    if owner is not None and (last is not None or unit.wakes):
        for listener in tuple(_listeners):
            listener(owner, last)


@asynccontextmanager
async def savepoint() -> AsyncIterator[None]:
    """Inside a unit: what raises here is taken back alone, its lines in the log too, and the exception goes on."""
    unit = _required()
    kept = len(unit.lines)
    try:
        async with database.savepoint():
            yield
    except BaseException:
        del unit.lines[kept:]
        raise


def record(scope: Scope, event: Event, *, changes: Changes | None = None) -> None:
    """Say what happened. Only notes it: the row is written as the last step before the commit.

    `changes` are old and new values by field; they stand beside the row and can be emptied when a person is anonymised.
    """
    unit = _required()
    _check_tenant(scope, unit.owner)
    line = _line(scope, unit, type(event), event.about, event.customer)
    line.facts = facts_of(event)
    if changes:
        line.values = [(name, as_text(old), as_text(new)) for name, (old, new) in changes.items()]
    unit.lines.append(line)


def record_set(scope: Scope, event: type[Event], select: str, **parameters: object) -> None:
    """Say that something happened to many: one row for each that `select` gives as (subject_id, customer_id, facts).

    The select runs as the last step before the commit, so what it reads must still be there; its rows are numbered in
    the order of subject_id. Names of parameters must not begin with `log_`.
    """
    unit = _required()
    _check_tenant(scope, unit.owner)
    line = _line(scope, unit, event, None, None)
    line.select, line.parameters = select, parameters
    unit.lines.append(line)


def wake_after_commit() -> None:
    """Work was left for the worker: it is woken when this unit has been committed."""
    _required().wakes = True


def refuse_inside_unit(what: str = "this") -> None:
    """Called first by every effect outside the database (HTTP, SMTP, PDF): inside a unit of work it raises."""
    if _unit.get() is not None:
        raise InsideUnit(f"{what} cannot be taken back when the unit of work fails: enqueue a job for it")


def causing() -> tuple[Cause, ...]:
    """The facts that are being heard, when a reader's handler is running; else nothing."""
    unit = _unit.get()
    return unit.causes if unit is not None else ()


def heard_late() -> bool:
    """Inside a handler: a person has let a parked fact be told again, so facts after it have been heard already."""
    unit = _unit.get()
    return unit is not None and unit.late


@contextmanager
def caused_by(causes: tuple[Cause, ...], *, late: bool = False) -> Iterator[None]:
    """What is recorded inside was caused by one of these facts."""
    unit = _required()
    before = unit.causes, unit.late
    unit.causes, unit.late = causes, late
    try:
        yield
    finally:
        unit.causes, unit.late = before


@contextmanager
def guarded(check: Callable[[], Awaitable[None]]) -> Iterator[None]:
    """Each unit that begins inside runs this check first, in its transaction: so a stale worker's is refused."""
    token = _guard.set(check)
    try:
        yield
    finally:
        _guard.reset(token)


def listen(listener: Callable[[UUID, int | None], None]) -> Callable[[], None]:
    """Hear of each commit of this process that wrote to a log or left work for the worker.

    Called after the commit with the tenant's uuid and the log's last position (None: only work was left); must neither
    block nor raise. Gives the function that ends it.
    """
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)


async def again(call: Callable[[], Awaitable[T]]) -> T:
    """Run a whole call, once more if the database could not serialise it. For edges: request, job, turn, command."""
    try:
        return await call()
    except TryAgain:
        await asyncio.sleep(0.005 + secrets.randbelow(20) / 1000)
    try:
        return await call()
    except TryAgain as error:
        raise Unavailable(
            _("Others are changing the same things now. Try again in a moment."), retry_after=1
        ) from error


def as_text(value: object) -> str | None:
    """A field's value as it is kept in the log."""
    if value is None:
        return None
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat()) if isoformat is not None else str(value)


def value_digest(salt: str, name: str, old: str | None, new: str | None) -> str:
    """What stays of a changed field when its text has been emptied."""
    parts = (salt, name, *("-" if text is None else f"+{text}" for text in (old, new)))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def row_digest(digests: list[str]) -> str:
    """What a row of the log says of its values: over their digests, in the order of the fields' names."""
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _required() -> Unit:
    unit = open_unit()
    if unit is None:
        raise NoUnit("nothing can be recorded outside a unit of work: async with unit_of_work(scope)")
    return unit


def _check_tenant(scope: Scope, owner: UUID | None) -> None:
    if scope.tenant.uuid != owner:
        raise WrongTenant(f"the scope is of tenant {scope.tenant.uuid}, the database bound is of {owner}")


def _line(scope: Scope, unit: Unit, event: type[Event], subject_id: int | None, customer_id: int | None) -> _Line:
    line = _Line(
        at=scope.now(),
        kind=event.kind,
        subject_kind=event.subject_kind,
        subject_id=subject_id,
        customer_id=customer_id,
        actor=scope.actor.key,
        on_behalf_of=scope.actor.on_behalf_of,
        caused_by=None,
        depth=0,
    )
    if unit.causes:
        cause = _cause_of(unit.causes, event.subject_kind, subject_id, customer_id)
        line.caused_by, line.depth = cause.position, max(each.depth for each in unit.causes) + 1
        line.on_behalf_of = cause.actor
        if line.depth >= DEEPEST:
            raise TooDeep(
                f"{event.kind} would be the {DEEPEST}th fact in a row that another caused: plugins answer each other"
            )
    return line


def _cause_of(causes: tuple[Cause, ...], subject_kind: str, subject_id: int | None, customer_id: int | None) -> Cause:
    """Of many facts heard in one call, the likeliest: about the same thing, else the same customer, else the last."""
    latest_first = causes[::-1]
    for cause in latest_first:
        if subject_id is not None and (cause.subject_kind, cause.subject_id) == (subject_kind, subject_id):
            return cause
    for cause in latest_first:
        if customer_id is not None and cause.customer_id == customer_id:
            return cause
    return latest_first[0]


_COLUMNS: Final = (
    "position, at, kind, subject_kind, subject_id, customer_id, actor, on_behalf_of, caused_by, depth, facts, digest"
)
_INSERT: Final = (
    f"INSERT INTO activity ({_COLUMNS}) VALUES (:log_position, :log_at, :log_kind, :log_subject_kind, :log_subject_id,"
    " :log_customer_id, :log_actor, :log_on_behalf_of, :log_caused_by, :log_depth, :log_facts, :log_digest)"
)
_INSERT_SET: Final = (
    f"INSERT INTO activity ({_COLUMNS})"
    " SELECT :log_before::bigint + row_number() OVER (ORDER BY subject_id), :log_at, :log_kind,"
    " :log_subject_kind, subject_id::bigint, customer_id::bigint, :log_actor, :log_on_behalf_of,"
    " :log_caused_by::bigint, :log_depth::integer, facts, NULL FROM ("
)


async def _write(lines: list[_Line]) -> int:
    """The last step before the commit: lock the head, give out positions, write the rows. Gives the last position.

    Nothing may be locked after the head, so nothing may follow this but the commit.
    """
    singles = sum(line.select is None for line in lines)
    last = int(await value("UPDATE activity_head SET last = last + :n WHERE one = 1 RETURNING last", n=singles))
    position = last - singles
    rows: list[dict[str, object]] = []
    values: list[dict[str, object]] = []
    for line in lines:
        if line.select is None:
            position += 1
            rows.append({**_shared(line), **_single(line, position, values)})
        else:
            sql = f"{_INSERT_SET}{line.select}) AS picked"
            position += await execute(sql, log_before=position, **_shared(line), **line.parameters)
    if len(rows) == 1:
        await execute(_INSERT, **rows[0])
    elif rows:
        await execute_many(_INSERT, rows)
    if values:
        await execute_many(
            "INSERT INTO activity_value (position, field, old, new, salt, digest)"
            " VALUES (:position, :field, :old, :new, :salt, :digest)",
            values,
        )
    if position != last:
        await execute("UPDATE activity_head SET last = :last WHERE one = 1", last=position)
    return position


def _shared(line: _Line) -> dict[str, object]:
    return {
        "log_at": line.at,
        "log_kind": line.kind,
        "log_subject_kind": line.subject_kind,
        "log_actor": line.actor,
        "log_on_behalf_of": line.on_behalf_of,
        "log_caused_by": line.caused_by,
        "log_depth": line.depth,
    }


def _single(line: _Line, position: int, values: list[dict[str, object]]) -> dict[str, object]:
    digests: list[str] = []
    for name, old, new in sorted(line.values):
        salt = secrets.token_hex(16)
        digest = value_digest(salt, name, old, new)
        digests.append(digest)
        values.append({"position": position, "field": name, "old": old, "new": new, "salt": salt, "digest": digest})
    return {
        "log_position": position,
        "log_subject_id": line.subject_id,
        "log_customer_id": line.customer_id,
        "log_facts": line.facts,
        "log_digest": row_digest(digests) if digests else None,
    }
