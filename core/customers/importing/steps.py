"""What is made of an import's records once its customers are here: opening balances, subscriptions, what plugins add.

Which steps there are, the hook `plan_import` says. Here they are shown, started, carried out in chunks and taken back.
A chunk is one transaction: its records are marked as taken first (their key lets none be taken twice, whoever works on
it), the step makes of them what it makes, and what it refused is noted and may come again when a person tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from core import hookspecs
from core.activity.unit import record, unit_of_work
from core.customers.importing.events import ImportStepTaken
from core.customers.importing.pace import PAUSE, Pace, go_by_index
from core.customers.importing.queries import ImportBatchRow, check_reach, customer_of_record, get_batch
from core.customers.importing.status import BatchState, StepState
from core.database import dialect, execute, execute_many, row, rows, stream, value
from core.errors import Conflict, FieldError, Invalid, NotFound
from core.hooks import ImportedRows, ImportPreview, ImportRefusal, ImportStep
from core.texts import gettext as _

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.scope import Scope

Progress = Callable[[int, int, str], Awaitable[None]]

SMALLEST, LARGEST = 25, 1_000
"""Records of a chunk."""
KEPT_STEP: Final = "undo"
"""Under this key the records stand whose customers stay when an import is undone, with the reason."""


class StepRow(Struct, frozen=True):
    """How far a step of an import has come."""

    batch_id: int
    key: str
    state: StepState = StepState.OPEN
    choices: str = "{}"
    turn: int = 0
    taken_to: int = 0
    total: int = 0
    taken: int = 0
    refused: int = 0
    made_by: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None

    def chosen(self) -> dict[str, str]:
        return msgspec.json.decode(self.choices, type=dict[str, str])


_STEP: Final = f"SELECT {', '.join(StepRow.__struct_fields__)} FROM import_step"
_ROW_COLUMNS: Final = (
    f"r.id AS row_id, r.record, {customer_of_record('r')} AS customer_id, r.currency, r.opening_minor,"
    " r.opening_number, r.services, r.more"
)


async def find_steps(scope: Scope, batch: ImportBatchRow) -> list[ImportStep]:
    """What can be made of an import, in order. Where a plugin cannot say, nothing is done."""
    if batch.state != BatchState.DONE:
        return []
    found = await scope.hooks.plan(hookspecs.plan_import, scope=scope, batch_id=batch.id)
    return sorted((step for steps in found.values() for step in steps), key=lambda step: step.place)


async def get_step(scope: Scope, batch_id: int, key: str) -> tuple[ImportBatchRow, ImportStep, StepRow]:
    """A step of an import whose customers are here."""
    check_reach(scope)
    batch = await get_batch(scope, batch_id)
    if batch.state != BatchState.DONE:
        raise Conflict(_("Its customers are made first."))
    for step in await find_steps(scope, batch):
        if step.key == key:
            return batch, step, await _state_of(batch_id, key)
    raise NotFound(f"step {key} of import {batch_id}")


async def list_steps(scope: Scope, batch: ImportBatchRow) -> list[tuple[ImportStep, StepRow, int]]:
    """The steps that have something to do or have done something, each with how many records are left for it."""
    found = []
    for step in await find_steps(scope, batch):
        state = await _state_of(batch.id, step.key)
        left = await count_left(batch, step)
        if left or state.turn:
            found.append((step, state, left))
    return found


async def _state_of(batch_id: int, key: str) -> StepRow:
    found = await row(StepRow, f"{_STEP} WHERE batch_id = :batch AND key = :key", batch=batch_id, key=key)
    return found or StepRow(batch_id, key)


_LEFT: Final = (
    "FROM import_row r WHERE r.batch_id = :batch AND r.good AND ({where}) AND NOT EXISTS ("
    "SELECT 1 FROM import_taken t WHERE t.step = :step AND t.row_id = r.id AND t.refused = '')"
)


async def count_left(batch: ImportBatchRow, step: ImportStep) -> int:
    sql = f"SELECT count(*) {_LEFT.format(where=step.where)}"
    return int(await value(sql, batch=batch.id, step=step.key))


def _all_left(batch: ImportBatchRow, step: ImportStep) -> ImportedRows:
    select = f"SELECT {_ROW_COLUMNS} {_LEFT.format(where=step.where)}"
    return _rows(batch, select, {"batch": batch.id, "step": step.key})


def _rows(batch: ImportBatchRow, select: str, values: dict[str, int | str]) -> ImportedRows:
    report = batch.told()
    columns = {column.field: column.column for column in report.columns if column.field} if report else {}
    return ImportedRows(batch_id=batch.id, file_name=batch.file_name, select=select, values=values, columns=columns)


async def preview_step(
    scope: Scope, batch_id: int, key: str, choices: Mapping[str, str] | None = None
) -> tuple[ImportBatchRow, ImportStep, StepRow, ImportPreview]:
    """What a step would do, by what is chosen or was chosen before. Writes nothing."""
    batch, step, state = await get_step(scope, batch_id, key)
    preview = await step.preview(scope, _all_left(batch, step), state.chosen() if choices is None else choices)
    return batch, step, state, preview


async def keep_choices(scope: Scope, batch_id: int, key: str, choices: Mapping[str, str]) -> None:
    """Remember what was chosen for a step; it is proposed the next time, also of another file."""
    _unused, _step, state = await get_step(scope, batch_id, key)
    if state.state in {StepState.TAKING, StepState.UNDOING, StepState.UNDONE}:
        raise Conflict(_("Work on this goes on. Wait until it is done."))
    async with unit_of_work(scope):
        await execute(
            "INSERT INTO import_step (batch_id, key, choices) VALUES (:batch, :key, :choices)"
            " ON CONFLICT (batch_id, key) DO UPDATE SET choices = excluded.choices",
            batch=batch_id,
            key=key,
            choices=msgspec.json.encode(dict(choices)).decode(),
        )


async def begin_step(scope: Scope, batch_id: int, key: str, choices: Mapping[str, str] | None = None) -> None:
    """Start a step, or let one that was broken off go on. Raises Invalid where something is chosen wrongly.

    What was refused before is tried again.
    """
    batch, step, state = await get_step(scope, batch_id, key)
    scope.require(step.permission)
    if state.state == StepState.TAKING:
        return
    if state.state not in {StepState.OPEN, StepState.DONE}:
        raise Conflict(_("This import is being undone."))
    chosen = state.chosen() if choices is None else dict(choices)
    preview = await step.preview(scope, _all_left(batch, step), chosen)
    if wrong := [FieldError(field.name, field.error) for field in preview.fields if field.error]:
        raise Invalid(errors=wrong)
    if not preview.ready and not preview.refused:
        raise Conflict(_("There is nothing left to do."))
    await _forget_refused(scope, batch_id, key)
    async with unit_of_work(scope):
        await execute(
            "INSERT INTO import_step (batch_id, key) VALUES (:batch, :key) ON CONFLICT (batch_id, key) DO NOTHING",
            batch=batch_id,
            key=key,
        )
        begun = await execute(
            "UPDATE import_step SET state = 'taking', choices = :choices, turn = turn + 1, taken_to = 0,"
            " total = :total, refused = 0, made_by = :by, started_at = :now, finished_at = NULL"
            " WHERE batch_id = :batch AND key = :key AND state IN ('open', 'done')",
            batch=batch_id,
            key=key,
            choices=msgspec.json.encode(chosen).decode(),
            total=state.taken + await count_left(batch, step),
            by=scope.actor.name,
            now=scope.now(),
        )
        if not begun:
            raise Conflict(_("Somebody else has just started it."))


async def _forget_refused(scope: Scope, batch_id: int, key: str) -> None:
    while True:
        async with unit_of_work(scope):
            gone = await execute(
                "DELETE FROM import_taken WHERE step = :step AND row_id IN (SELECT row_id FROM import_taken"
                " WHERE batch_id = :batch AND step = :step AND refused <> '' ORDER BY record LIMIT :size)",
                batch=batch_id,
                step=key,
                size=LARGEST,
            )
        if gone < LARGEST:
            return
        await asyncio.sleep(PAUSE[dialect()])


async def take_step(scope: Scope, batch_id: int, key: str, *, progress: Progress | None = None) -> StepRow:
    """Carry a started step out, chunk by chunk. May be broken off at any moment, called again, and twice at once."""
    batch, step, state = await get_step(scope, batch_id, key)
    if state.state != StepState.TAKING:
        return state
    pace = Pace(SMALLEST, LARGEST)
    while True:
        begun = monotonic()
        done = await _take_chunk(scope, batch, step, pace.size)
        if done is None:
            break
        pace.learn(monotonic() - begun)
        if progress is not None:
            await progress(min(done.taken + done.refused, done.total), done.total, step.verb)
        await asyncio.sleep(PAUSE[dialect()])
    return await _end(scope, batch, step)


_UNMARKED: Final = "(SELECT count(*) FROM import_taken t WHERE t.step = :step AND t.row_id = r.id) = 0"
"""Counted, since PostgreSQL would join a table that it takes for empty."""
_MARK: Final = (
    "INSERT INTO import_taken (step, row_id, batch_id, record, turn)"
    " SELECT :step, r.id, r.batch_id, r.record, :turn::bigint FROM import_row r"
    " WHERE r.batch_id = :batch AND r.record > :after AND r.record <= :until AND r.good AND ({where})"
    f" AND {_UNMARKED}"
)
_OF_CHUNK: Final = (
    f"SELECT {_ROW_COLUMNS} FROM import_taken k CROSS JOIN import_row r"
    " WHERE k.batch_id = :batch AND k.step = :step AND k.record > :after AND k.record <= :until AND k.turn = :turn"
    " AND r.id = k.row_id"
)


async def _take_chunk(scope: Scope, batch: ImportBatchRow, step: ImportStep, size: int) -> StepRow | None:
    """The next records, in one commit; None when none was left."""
    async with unit_of_work(scope):
        await go_by_index()
        state = await row(
            StepRow,
            f"{_STEP} WHERE batch_id = :batch AND key = :key AND state = 'taking' FOR UPDATE",
            batch=batch.id,
            key=step.key,
        )
        if state is None:  # somebody else has ended it
            return None
        piece: dict[str, Any] = {"batch": batch.id, "step": step.key, "after": state.taken_to}
        until = await value(
            "SELECT max(record) FROM (SELECT r.record FROM import_row r WHERE r.batch_id = :batch AND r.record > :after"
            f" AND r.good AND ({step.where}) AND {_UNMARKED} ORDER BY r.record LIMIT :size) AS piece",
            **piece,
            size=size,
        )
        if until is None:
            return None
        piece |= {"until": until, "turn": state.turn}
        marked = await execute(_MARK.format(where=step.where), **piece)
        refused = await step.take(scope, _rows(batch, _OF_CHUNK, piece), state.chosen())
        refused_records = await _note_refused(piece, refused)
        return await row(
            StepRow,
            "UPDATE import_step SET taken_to = :until, taken = taken + :taken, refused = refused + :refused"
            f" WHERE batch_id = :batch AND key = :key RETURNING {', '.join(StepRow.__struct_fields__)}",
            until=until,
            taken=marked - refused_records,
            refused=refused_records,
            batch=batch.id,
            key=step.key,
        )


async def _note_refused(piece: Mapping[str, Any], refused: Sequence[ImportRefusal]) -> int:
    """Why nothing was made of some records; gives how many they are."""
    by_record: dict[int, list[ImportRefusal]] = {}
    for each in refused:
        by_record.setdefault(each.record, []).append(each)
    await execute_many(
        "UPDATE import_taken SET refused = :refused WHERE batch_id = :batch AND step = :step AND record = :record"
        " AND turn = :turn",
        [
            {
                "refused": msgspec.json.encode(each).decode(),
                "batch": piece["batch"],
                "step": piece["step"],
                "record": number,
                "turn": piece["turn"],
            }
            for number, each in by_record.items()
        ],
    )
    return len(by_record)


async def _end(scope: Scope, batch: ImportBatchRow, step: ImportStep) -> StepRow:
    async with unit_of_work(scope):
        state = await row(
            StepRow,
            f"{_STEP} WHERE batch_id = :batch AND key = :key FOR UPDATE",
            batch=batch.id,
            key=step.key,
        )
        assert state is not None
        if state.state == StepState.TAKING:
            await execute(
                "UPDATE import_step SET state = 'done', finished_at = :now WHERE batch_id = :batch AND key = :key",
                batch=batch.id,
                key=step.key,
                now=scope.now(),
            )
            record(scope, ImportStepTaken(batch_id=batch.id, step=step.key, records=state.taken))
    return await _state_of(batch.id, step.key)


class RefusedByStep(Struct, frozen=True):
    """A record that a step refused, under its customer's name."""

    record: int
    line: int
    name: str
    refused: str

    def findings(self) -> list[ImportRefusal]:
        return msgspec.json.decode(self.refused, type=list[ImportRefusal])


_REFUSED: Final = (
    "SELECT t.record, coalesce(r.line, 0) AS line, coalesce(r.name, '') AS name, t.refused FROM import_taken t"
    " LEFT JOIN import_row r ON r.id = t.row_id WHERE t.batch_id = :batch AND t.step = :step AND t.refused <> ''"
)


async def list_refused(scope: Scope, batch_id: int, key: str, *, limit: int = 50) -> list[RefusedByStep]:
    """The first of them, in the order of the file."""
    await get_batch(scope, batch_id)
    return await rows(
        RefusedByStep, f"{_REFUSED} ORDER BY t.record LIMIT :limit", batch=batch_id, step=key, limit=limit
    )


async def stream_refused(scope: Scope, batch_id: int, key: str) -> AsyncIterator[RefusedByStep]:
    """All of them, in the order of the file."""
    await get_batch(scope, batch_id)
    async for each in stream(RefusedByStep, _REFUSED, key="record", batch=batch_id, step=key):
        yield each


# Taking back


async def check_undo(scope: Scope, batch: ImportBatchRow) -> None:
    """Raises Conflict where something was made of the import that no step takes back."""
    steps = {step.key: step for step in await find_steps(scope, batch)}
    for state in await _taken_steps(batch.id):
        if state.state == StepState.TAKING:
            raise Conflict(_("Work on this import was broken off. Let it end before it is undone."))
        step = steps.get(state.key)
        if state.taken and (step is None or step.undo is None):
            raise Conflict(
                _(
                    "It cannot be undone any more: “%(step)s” has made something of its records that stays.",
                    step=step.label if step else state.key,
                )
            )


async def undo_steps(scope: Scope, batch: ImportBatchRow, *, progress: Progress | None = None) -> None:
    """Take back what the steps made, the last one first. May be broken off and called again."""
    found = await scope.hooks.plan(hookspecs.plan_import, scope=scope, batch_id=batch.id)
    states = {state.key: state for state in await _taken_steps(batch.id)}
    for step in sorted((step for some in found.values() for step in some), key=lambda step: -step.place):
        state = states.get(step.key)
        if state is None or state.state == StepState.UNDONE:
            continue
        async with unit_of_work(scope):
            await execute(
                "UPDATE import_step SET state = 'undoing', taken_to = 0 WHERE batch_id = :batch AND key = :key"
                " AND state IN ('open', 'taking', 'done')",
                batch=batch.id,
                key=state.key,
            )
        pace, done = Pace(SMALLEST, LARGEST), 0
        while (chunk := await _undo_chunk(scope, batch, step, pace)) is not None:
            done += chunk
            if progress is not None:
                await progress(min(done, state.taken), state.taken, step.label)
            await asyncio.sleep(PAUSE[dialect()])
        async with unit_of_work(scope):
            await execute(
                "UPDATE import_step SET state = 'undone' WHERE batch_id = :batch AND key = :key",
                batch=batch.id,
                key=state.key,
            )


async def _taken_steps(batch_id: int) -> list[StepRow]:
    return await rows(StepRow, f"{_STEP} WHERE batch_id = :batch AND turn > 0", batch=batch_id)


_TO_UNDO: Final = (
    "SELECT k.row_id, k.record FROM import_taken k WHERE k.batch_id = :batch AND k.step = :step AND k.record > :after"
    " AND k.record <= :until AND k.refused = ''"
)


async def _undo_chunk(scope: Scope, batch: ImportBatchRow, step: ImportStep, pace: Pace) -> int | None:
    begun = monotonic()
    async with unit_of_work(scope):
        await go_by_index()
        after = await value(
            "SELECT taken_to FROM import_step WHERE batch_id = :batch AND key = :key AND state = 'undoing' FOR UPDATE",
            batch=batch.id,
            key=step.key,
        )
        if after is None:
            return None
        piece: dict[str, Any] = {"batch": batch.id, "step": step.key, "after": after}
        until = await value(
            "SELECT max(record) FROM (SELECT record FROM import_taken WHERE batch_id = :batch AND step = :step"
            " AND record > :after AND refused = '' ORDER BY record LIMIT :size) AS piece",
            **piece,
            size=pace.size,
        )
        if until is None:
            return None
        piece["until"] = until
        count = int(
            await value(
                "SELECT count(*) FROM import_taken WHERE batch_id = :batch AND step = :step AND record > :after"
                " AND record <= :until AND refused = ''",
                **piece,
            )
        )
        if step.undo is not None:
            staying = await step.undo(scope, _rows(batch, _TO_UNDO, piece))
            await _keep_reasons(batch.id, step.key, staying)
        await execute(
            "UPDATE import_step SET taken_to = :until WHERE batch_id = :batch AND key = :key",
            until=until,
            batch=batch.id,
            key=step.key,
        )
    pace.learn(monotonic() - begun)
    return count


_KEEP: Final = (
    "INSERT INTO import_taken (step, row_id, batch_id, record, turn, refused)"
    f" SELECT '{KEPT_STEP}', row_id, batch_id, record, 0, :refused FROM"
)


async def _keep_reasons(batch_id: int, step: str, staying: Sequence[ImportRefusal]) -> None:
    """Customers that stay when their import is undone, by their records, each with the reason."""
    await execute_many(
        f"{_KEEP} import_taken WHERE batch_id = :batch AND step = :step AND record = :record"
        " ON CONFLICT (step, row_id) DO NOTHING",
        [{"batch": batch_id, "step": step, "record": each.record, "refused": _reason(each)} for each in staying],
    )


async def keep_customer(batch_id: int, row_id: int, why: str) -> None:
    """The same of a customer whom the database does not let go."""
    number = int(await value("SELECT record FROM import_row WHERE id = :id", id=row_id) or 0)
    await execute(
        f"{_KEEP} (SELECT :row_id::bigint AS row_id, :batch::bigint AS batch_id, :record::bigint AS record) one"
        " WHERE TRUE ON CONFLICT (step, row_id) DO NOTHING",
        row_id=row_id,
        batch=batch_id,
        record=number,
        refused=_reason(ImportRefusal(record=number, message=why)),
    )


def _reason(refusal: ImportRefusal) -> str:
    return msgspec.json.encode([refusal]).decode()
