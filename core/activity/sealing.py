"""Seals: what stands in the log is chained row by row, each digest over the one before and the row as it was written.

A seal keeps the digest of its last row, and the beginnings of those of its rows, so that the first one that was changed
can be named. It is made a minute after its rows at the latest, beside the writers and not by them: a billing run writes
its rows by one statement. Old and new values are in it by their salted digests alone, so emptying them breaks nothing.
Whoever notes the last digest elsewhere can prove later that nothing before it was cut off either.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from core.activity.unit import row_digest, unit_of_work, value_digest
from core.database import execute, row, rows, value

if TYPE_CHECKING:
    from core.scope import Scope

AT_ONCE: Final = 1000
"""Rows under one seal."""
LATEST: Final = timedelta(minutes=1)
"""Fewer rows wait for so long for others."""
MARK: Final = 6
"""Bytes that are kept of each row's digest: they only tell which row it was."""
BEGINNING: Final = ""
"""The digest before the first row."""


class SealedRow(Struct, frozen=True, array_like=True):
    """A row as it is sealed. `digest` stands for its old and new values."""

    position: int
    at: datetime
    kind: str
    subject_kind: str
    subject_id: int | None
    customer_id: int | None
    actor: str
    on_behalf_of: str | None
    caused_by: int | None
    depth: int
    facts: str
    digest: str | None


class Seal(Struct, frozen=True):
    """So far the log is sealed."""

    last: int
    digest: str


class _FullSeal(Seal, frozen=True):
    first: int
    marks: str


class _Unsealed(Struct, frozen=True):
    count: int
    since: datetime | None = None


_ROWS: Final = f"SELECT {', '.join(SealedRow.__struct_fields__)} FROM activity"


async def last_seal() -> Seal:
    """Up to where the log is sealed, and by which digest."""
    found = await row(Seal, "SELECT last, digest FROM activity_seal ORDER BY last DESC LIMIT 1")
    return found if found is not None else Seal(0, BEGINNING)


async def seal_due(scope: Scope) -> datetime | None:
    """When there is something to seal: now for a seal's worth of rows, else a minute after the first. None: nothing."""
    waiting = await row(
        _Unsealed,
        "SELECT activity_head.last - sealed.last AS count,"
        " (SELECT at FROM activity WHERE position = sealed.last + 1) AS since"
        " FROM activity_head, (SELECT coalesce(max(last), 0) AS last FROM activity_seal) AS sealed",
    )
    if waiting is None or waiting.since is None:
        return None
    return scope.now() if waiting.count >= AT_ONCE else waiting.since + LATEST


async def seal(scope: Scope) -> int:
    """Seal the rows that are not sealed yet, at most a seal's worth. Gives how many; of two at once, one does it."""
    async with unit_of_work(scope):
        before = await last_seal()
        found = await rows(
            SealedRow,
            f"{_ROWS} WHERE position > :last ORDER BY position LIMIT :limit",
            last=before.last,
            limit=AT_ONCE,
        )
        if not found:
            return 0
        digests = chained(before.digest, found)
        made = await execute(
            "INSERT INTO activity_seal (last, first, digest, marks, sealed_at)"
            " VALUES (:last, :first, :digest, :marks, :now) ON CONFLICT DO NOTHING",
            last=found[-1].position,
            first=before.last + 1,
            digest=digests[-1],
            marks=_marks(digests),
            now=scope.now(),
        )
        return len(found) if made else 0


async def seal_all(scope: Scope) -> int:
    """Seal everything that stands in the log by now. Gives how many rows."""
    sealed = 0
    while some := await seal(scope):
        sealed += some
    return sealed


def chained(before: str, found: Sequence[SealedRow]) -> list[str]:
    """The digest of each row, over that of the row before."""
    digests = []
    encode, sha256 = _ENCODER.encode, hashlib.sha256
    for each in found:
        before = sha256(before.encode() + encode(each)).hexdigest()
        digests.append(before)
    return digests


_ENCODER: Final = msgspec.json.Encoder()


def _marks(digests: Sequence[str]) -> str:
    return base64.b64encode(b"".join(bytes.fromhex(each)[:MARK] for each in digests)).decode()


# -- whether it is all there ------------------------------------------------------------------------------------------


class LogFault(Struct, frozen=True):
    """The first position of the log that is not as it was written, and what is wrong with it."""

    position: int
    what: str


class _Value(Struct, frozen=True):
    position: int
    field: str
    digest: str
    old: str | None = None
    new: str | None = None
    salt: str | None = None


async def first_fault() -> LogFault | None:
    """Go through the whole log: the first position that was changed, removed or put in. None: all is as written."""
    before, done = BEGINNING, 0
    async for kept in _seals():
        found = await rows(
            SealedRow,
            f"{_ROWS} WHERE position BETWEEN :first AND :last ORDER BY position",
            first=done + 1,
            last=max(kept.last, done + 1),
        )
        fault = _sealed_fault(kept, before, done, found) or await _value_fault(found)
        if fault is not None:
            return fault
        before, done = kept.digest, kept.last
    return await _unsealed_fault(done)


async def _seals() -> AsyncIterator[_FullSeal]:
    last = 0
    while some := await rows(
        _FullSeal,
        "SELECT last, first, digest, marks FROM activity_seal WHERE last > :last ORDER BY last LIMIT 50",
        last=last,
    ):
        for each in some:
            yield each
        last = some[-1].last


def _sealed_fault(kept: _FullSeal, before: str, done: int, found: Sequence[SealedRow]) -> LogFault | None:
    if kept.first != done + 1:
        return LogFault(done + 1, f"the seal from position {done + 1} on is missing")
    marks = base64.b64decode(kept.marks)
    digests = chained(before, found)
    for at, position in enumerate(range(kept.first, kept.last + 1)):
        if at >= len(found) or found[at].position != position:
            return LogFault(position, f"position {position} is missing")
        if bytes.fromhex(digests[at])[:MARK] != marks[at * MARK : (at + 1) * MARK]:
            return LogFault(position, f"position {position} is not what was sealed")
    if digests[-1] != kept.digest:
        return LogFault(kept.first, f"the seal of positions {kept.first} to {kept.last} is not the one that was made")
    return None


async def _unsealed_fault(done: int) -> LogFault | None:
    """Behind the last seal: no gap up to the head, nothing behind it, and values that fit their digests."""
    head = int(await value("SELECT last FROM activity_head"))
    if head < done:
        return LogFault(head + 1, f"the log is sealed up to position {done}, but its head stands at {head}")
    while found := await rows(
        SealedRow, f"{_ROWS} WHERE position > :last ORDER BY position LIMIT :limit", last=done, limit=AT_ONCE
    ):
        for expected, each in zip(range(done + 1, done + 1 + len(found)), found, strict=True):
            if each.position > head:
                return LogFault(head + 1, f"position {each.position} stands behind the head")
            if each.position != expected:
                return LogFault(expected, f"position {expected} is missing")
        if (fault := await _value_fault(found)) is not None:
            return fault
        done = found[-1].position
    return LogFault(done + 1, f"position {done + 1} is missing") if done < head else None


async def _value_fault(found: Sequence[SealedRow]) -> LogFault | None:
    """Old and new values that are not those whose digest was sealed with their row."""
    if not found:
        return None
    digests: dict[int, list[str]] = {}
    forged: dict[int, str] = {}
    for each in await rows(
        _Value,
        "SELECT position, field, digest, old, new, salt FROM activity_value WHERE position BETWEEN :first AND :last"
        " ORDER BY position, field",
        first=found[0].position,
        last=found[-1].position,
    ):
        digests.setdefault(each.position, []).append(each.digest)
        if each.salt is not None and value_digest(each.salt, each.field, each.old, each.new) != each.digest:
            forged.setdefault(each.position, f"the value {each.field} of position {each.position} is not as recorded")
    for line in found:
        kept = digests.pop(line.position, None)
        if line.digest != (row_digest(kept) if kept is not None else None):
            forged.setdefault(line.position, f"the values of position {line.position} are not those that were recorded")
    for position in digests:
        forged.setdefault(position, f"position {position} has values that were not recorded")
    return LogFault(min(forged), forged[min(forged)]) if forged else None
