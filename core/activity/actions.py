"""Switching readers on and off, what a person may do about a reader that failed, and emptying the log of a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.activity.delivery import LINE, Deliveries, Line, Reader
from core.activity.facts import ParkedEventRetried, ParkedEventSkipped, ReaderResumed
from core.activity.unit import record, unit_of_work, wake_after_commit
from core.database import execute, row, rows, value, values
from core.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from core.scope import Scope

PIECE: Final = 500
"""Events that are looked through at a time."""


async def enable_reader(scope: Scope, reader: str, *, held: bool = False) -> None:
    """From the end of the log on it hears everything, and nothing before. `held`: it begins with `start_reader`.

    In the unit of work that switches the plugin on; a job then reads the present state and starts the reader.
    """
    async with unit_of_work(scope):
        await execute(
            "INSERT INTO delivery (reader, position, held) SELECT :reader, last, :held FROM activity_head WHERE TRUE"
            " ON CONFLICT (reader) DO NOTHING",
            reader=reader,
            held=held,
        )


async def start_reader(scope: Scope, reader: str) -> None:
    """Delivery to a held reader begins, with what has happened since it was switched on."""
    async with unit_of_work(scope):
        await execute("UPDATE delivery SET held = FALSE WHERE reader = :reader", reader=reader)
        wake_after_commit()


async def disable_reader(scope: Scope, reader: str) -> int:
    """Forget its place and what is parked; switched on again it begins anew. Gives how many were parked."""
    async with unit_of_work(scope):
        await value("SELECT reader FROM delivery WHERE reader = :reader FOR UPDATE", reader=reader)
        parked = await execute("DELETE FROM delivery_parked WHERE reader = :reader", reader=reader)
        await execute("DELETE FROM delivery WHERE reader = :reader", reader=reader)
        return parked


async def resume_reader(scope: Scope, reader: str) -> None:
    """Let a paused reader, or one that waits before it tries again, go on at once."""
    async with unit_of_work(scope):
        await _locked(reader)
        await execute(
            "UPDATE delivery SET paused_at = NULL, retry_at = NULL, failures = 0, in_a_row = 0 WHERE reader = :reader",
            reader=reader,
        )
        wake_after_commit()
        record(scope, ReaderResumed(reader=reader))


async def retry_parked(scope: Scope, reader: Reader, position: int) -> str | None:
    """Tell a parked event again, late. Gives the reason when it failed again and stays parked."""
    async with unit_of_work(scope):
        await _locked(reader.name)
        line = await _parked(reader.name, position)
        reason = await Deliveries().tell_late(scope, reader, line)
        if reason is not None:
            await execute(
                "UPDATE delivery_parked SET failures = failures + 1, error = :error, parked_at = :now"
                " WHERE reader = :reader AND position = :position",
                reader=reader.name,
                position=position,
                error=reason,
                now=scope.now(),
            )
            return reason
        await _unpark(reader.name, position)
        record(scope, ParkedEventRetried(reader=reader.name, position=position))
        return None


async def skip_parked(scope: Scope, reader: str, position: int) -> None:
    """Give a parked event up: this reader never hears it."""
    async with unit_of_work(scope):
        await _locked(reader)
        await _parked(reader, position)
        await _unpark(reader, position)
        record(scope, ParkedEventSkipped(reader=reader, position=position))


async def empty_values(scope: Scope, *customer_ids: int) -> int:
    """Empty the old and new values on customers' timelines, for anonymising: their digests stay. Gives how many."""
    async with unit_of_work(scope):
        await execute(
            "UPDATE delivery_parked SET error = '' WHERE error <> ''"
            " AND position IN (SELECT position FROM activity WHERE customer_id IN :ids)",
            ids=customer_ids,
        )
        return await execute(
            "UPDATE activity_value SET old = NULL, new = NULL, salt = NULL WHERE salt IS NOT NULL"
            " AND position IN (SELECT position FROM activity WHERE customer_id IN :ids)",
            ids=customer_ids,
        )


async def empty_values_that(scope: Scope, subjects: Sequence[str], say: Callable[[str], bool]) -> int:
    """Empty the old and new values of the activity of such subjects where they say something, for anonymising. Gives
    how many."""
    async with unit_of_work(scope):
        last, emptied = 0, 0
        while found := await values(
            "SELECT position FROM activity WHERE subject_kind IN :subjects AND position > :last"
            " ORDER BY position LIMIT :most",
            subjects=list(subjects),
            last=last,
            most=PIECE,
        ):
            last = int(found[-1])
            told = await rows(
                _Told,
                "SELECT position, coalesce(old, '') AS old, coalesce(new, '') AS new FROM activity_value"
                " WHERE position IN :positions AND salt IS NOT NULL",
                positions=found,
            )
            if saying := sorted({each.position for each in told if say(each.old) or say(each.new)}):
                emptied += await execute(
                    "UPDATE activity_value SET old = NULL, new = NULL, salt = NULL WHERE salt IS NOT NULL"
                    " AND position IN :positions",
                    positions=saying,
                )
        return emptied


class _Told(Struct, frozen=True):
    position: int
    old: str
    new: str


async def _locked(reader: str) -> None:
    """The reader's row comes first in the order of locks. NotFound for a reader that is not on."""
    if await value("SELECT reader FROM delivery WHERE reader = :reader FOR UPDATE", reader=reader) is None:
        raise NotFound(f"reader {reader}")


async def _parked(reader: str, position: int) -> Line:
    line = await row(
        Line,
        f"SELECT {LINE} FROM activity WHERE position = :position"
        " AND position IN (SELECT position FROM delivery_parked WHERE reader = :reader)",
        position=position,
        reader=reader,
    )
    if line is None:
        raise NotFound(f"event {position} parked by {reader}")
    return line


async def _unpark(reader: str, position: int) -> None:
    await execute(
        "DELETE FROM delivery_parked WHERE reader = :reader AND position = :position", reader=reader, position=position
    )
