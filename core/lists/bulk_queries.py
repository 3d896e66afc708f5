"""Reads of what was or will be done to many rows of a list."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from core.database import row, rows, stream, values, within
from core.errors import NotFound
from core.jobs.queries import JobRow
from core.jobs.status import JobState
from core.lists.bulk_status import RowState, RunState
from core.lists.tables import BulkRun

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from core.lists.listing import Listing
    from core.scope import Scope

MOST_LINES: Final = 60
"""Different lines that a plan keeps; what comes besides is added up by its kind."""
AT_WORK: Final = frozenset({JobState.WAITING, JobState.RUNNING})


class PlanSum(Struct, frozen=True):
    """A line of the plan of many rows: how many rows it stands for, and the sum of its amount by currency."""

    kind: str
    text: str
    rows: int = 0
    amounts: dict[str, int] = {}


class PlanSums(Struct, frozen=True):
    """What would be done to many rows, added up line by line. A line without text stands for all others of its kind."""

    lines: list[PlanSum] = []
    language: str = ""
    """In which it was worked out: it is done in the same, since its words are compared."""

    def adding(self, kind: str, text: str, amount: int | None, currency: str | None) -> None:
        """One row more for a line."""
        at = next((at for at, one in enumerate(self.lines) if (one.kind, one.text) == (kind, text)), -1)
        if at < 0 and len(self.lines) >= MOST_LINES:
            text = ""
            at = next((at for at, one in enumerate(self.lines) if (one.kind, one.text) == (kind, "")), -1)
        found = PlanSum(kind, text) if at < 0 else self.lines[at]
        amounts = dict(found.amounts)
        if amount is not None and currency is not None:
            amounts[currency] = amounts.get(currency, 0) + amount
        added = PlanSum(kind, text, found.rows + 1, amounts)
        if at < 0:
            self.lines.append(added)
        else:
            self.lines[at] = added


class RunRow(Struct, frozen=True):
    """A deed on many rows: of which list, what, how far."""

    id: int
    listing: str
    action: str
    state: RunState
    form: str
    address: str | None
    total: int
    plan: str
    turn: int
    at_once: bool
    job_id: int | None
    after_id: int | None
    made_by: str
    created_at: datetime
    finished_at: datetime | None

    @property
    def sums(self) -> PlanSums:
        return msgspec.json.decode(self.plan, type=PlanSums)

    def typed(self) -> dict[str, list[str]]:
        """What was typed for it."""
        return msgspec.json.decode(self.form, type=dict[str, list[str]])

    @property
    def filters(self) -> dict[str, str]:
        return msgspec.json.decode(self.address, type=dict[str, str]) if self.address is not None else {}

    @property
    def fingerprint(self) -> str:
        """Of what was shown: another form, or worked out again, is another."""
        told = f"{self.id} {self.turn} {self.form} {self.plan}"
        return hashlib.sha256(told.encode()).hexdigest()[:32]


RUN: Final = f"SELECT {', '.join(RunRow.__struct_fields__)} FROM bulk_run"


async def get_run(scope: Scope, listing: str, run_id: int, *, lock: bool = False) -> RunRow:
    """A deed on rows of this list: one's own, or anybody's for those who see all rows."""
    found = await row(
        RunRow,
        f"{RUN} WHERE id = :id AND listing = :listing AND (:reach OR made_by = :me){' FOR UPDATE' if lock else ''}",
        id=run_id,
        listing=listing,
        me=scope.actor.key,
        reach=within(BulkRun, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"bulk run {run_id}")
    return found


async def list_runs(scope: Scope, listing: str, *, limit: int = 20) -> list[RunRow]:
    """The latest first."""
    return await rows(
        RunRow,
        f"{RUN} WHERE listing = :listing AND (:reach OR made_by = :me) ORDER BY id DESC LIMIT :limit",
        listing=listing,
        me=scope.actor.key,
        reach=within(BulkRun, scope.actor.reach),
        limit=limit,
    )


async def job_of(run: RunRow) -> JobRow | None:
    """The last work on it. Who may see the run may see how far it is."""
    if run.job_id is None:
        return None
    return await row(
        JobRow,
        "SELECT id, kind, policy, state, due_at, attempts, progress_done, progress_total, progress_text, cancel_asked,"
        " created_at, customer_id, result, error, started_at, finished_at FROM job WHERE id = :id",
        id=run.job_id,
    )


class _Count(Struct, frozen=True):
    state: RowState
    many: int


async def counts_of(run_id: int) -> dict[RowState, int]:
    """How many rows are in which state."""
    found = await rows(
        _Count, "SELECT state, count(*) AS many FROM bulk_row WHERE run_id = :run GROUP BY state", run=run_id
    )
    return dict.fromkeys(RowState, 0) | {one.state: one.many for one in found}


class Reason(Struct, frozen=True):
    """Why rows were left out, and how many."""

    state: RowState
    told: str
    many: int


async def reasons_of(run_id: int, *, limit: int = 20) -> list[Reason]:
    """The most frequent first."""
    return await rows(
        Reason,
        "SELECT state, told, count(*) AS many FROM bulk_row WHERE run_id = :run AND state IN ('refused', 'changed')"
        " GROUP BY state, told ORDER BY count(*) DESC, told LIMIT :limit",
        run=run_id,
        limit=limit,
    )


class RowLine(Struct, frozen=True):
    """What became of a row."""

    row_id: int
    state: RowState
    told: str


async def list_rows(
    run_id: int, *, states: Sequence[RowState] = tuple(RowState), after: int = 0, limit: int = 50
) -> list[RowLine]:
    """In the order of their ids."""
    return await rows(
        RowLine,
        "SELECT row_id, state, told FROM bulk_row WHERE run_id = :run AND state IN :states AND row_id > :after"
        " ORDER BY row_id LIMIT :limit",
        run=run_id,
        states=list(states),
        after=after,
        limit=limit,
    )


async def done_rows(scope: Scope, of: Listing[Any], run: RunRow) -> list[int]:
    """The rows that it was done to and that are still in reach, in the order of their ids."""
    table = of.table._meta.tablename
    return [
        int(one)
        for one in await values(
            f"SELECT row_id FROM bulk_row WHERE run_id = :run AND state = 'done' AND row_id IN"
            f" (SELECT {table}.id FROM {table} WHERE :within) ORDER BY row_id",
            run=run.id,
            within=within(of.table, scope.actor.reach),
        )
    ]


def stream_rows(run_id: int) -> AsyncIterator[RowLine]:
    return stream(RowLine, "SELECT row_id, state, told FROM bulk_row WHERE run_id = :run", key="row_id", run=run_id)


def left_of(counts: Mapping[RowState, int]) -> int:
    """Rows that it has still to come to."""
    return counts[RowState.CHOSEN] + counts[RowState.READY]


def as_json(what: Any) -> str:
    return msgspec.json.encode(what).decode()
