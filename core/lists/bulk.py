"""What is done to many rows of a list at once: chosen, worked out, shown, then exactly that is done.

A `Listing` whose rows can be ticked has words for so many of them (`counted`); which deeds there are, the hook
`bulk_actions` says. The rows
that were chosen are written down as they stood, one by one or in one statement by the filter, so that nothing grows
with their number. A deed works itself out by being done to each row in a unit of work that is taken back; what it said
is kept as a digest. Doing it, a row that says something else than it was shown is left alone and told of.

A chunk is one commit, with the states of its rows: broken off at any moment, it goes on where it was, and no row has it
done twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core import hookspecs
from core.activity.asking import rehearsal
from core.activity.unit import again, record, savepoint, unit_of_work
from core.database import dialect, execute, execute_many, row, rows, values, within
from core.errors import Conflict, DomainError, Invalid, NotFound, TryAgain, Unavailable
from core.hooks import BulkAction, Effect, note_failure, plan_digest
from core.ids import LARGEST_ID
from core.jobs.actions import cancel_job, enqueue
from core.jobs.kinds import ClaimLost, JobCancelled
from core.jobs.pace import PAUSE, Pace
from core.lists.bulk_queries import AT_WORK, PlanSums, RunRow, as_json, counts_of, get_run, job_of
from core.lists.bulk_status import RowState, RunState
from core.lists.columns import Condition
from core.lists.events import BulkDone, BulkStarted
from core.lists.views import condition, meant_by
from core.texts import _, locale_now, ngettext, speaking
from core.web.forms import from_form

if TYPE_CHECKING:
    from core.lists.listing import Listing
    from core.scope import Scope

Progress = Callable[[int, int, str], Awaitable[None]]
Typed = Mapping[str, Sequence[str]]

SMALLEST, LARGEST = 5, 500
"""Rows of a chunk."""
AT_ONCE: Final = 100
"""Rows that a page works out itself, while somebody waits."""
MOST_TICKED: Final = 10_000
"""Rows that can be named one by one; more are chosen by their filter."""
WORK_OUT: Final = "lists.work_out"
CARRY_OUT: Final = "lists.carry_out"
KEPT_FOR: Final = timedelta(days=90)


class OfRun(Struct, frozen=True):
    """The deed that a job is about."""

    listing: str
    run_id: int
    language: str = ""


# -- which deeds there are --------------------------------------------------------------------------------------------


async def list_actions(scope: Scope, listing: str) -> list[BulkAction[Any]]:
    """What this actor may do to many rows of a list, in order. What a plugin cannot tell is left out."""
    answers = await scope.hooks.ask(hookspecs.bulk_actions, scope=scope, listing=listing)
    found = [action for answer in answers for action in answer.value or () if scope.may(action.permission)]
    return sorted(found, key=lambda action: action.place)


async def get_action(scope: Scope, listing: str, key: str) -> BulkAction[Any]:
    """The deed of this key. Forbidden without its permission, NotFound where its plugin is off."""
    answers = await scope.hooks.ask(hookspecs.bulk_actions, scope=scope, listing=listing)
    for answer in answers:
        for action in answer.value or ():
            if action.key == key:
                scope.require(action.permission)
                return action
    raise NotFound(f"bulk action {key} of {listing}")


# -- choosing rows ----------------------------------------------------------------------------------------------------


async def choose_rows(
    scope: Scope,
    of: Listing[Any],
    action: BulkAction[Any],
    *,
    ids: Sequence[int] = (),
    address: Mapping[str, str] | None,
) -> int:
    """Write down which rows a deed is for: these, or all that an address asks for. Gives the run's id.

    Ids that are out of reach or gone are left out.
    """
    if address is None and len(ids) > MOST_TICKED:
        raise Invalid(_("Choose so many by a filter."), field="ids")
    async with unit_of_work(scope):
        if address is None:
            table, given = of.table._meta.tablename, [one for one in set(ids) if 0 < one <= LARGEST_ID]
            found = Condition(
                f"SELECT {table}.id FROM {table} WHERE {table}.id IN :ids AND :list_reach",
                {"ids": given or [0], "list_reach": within(of.table, scope.actor.reach)},
            )
        else:
            found, address = await meant_by(scope, of, address)
        run_id = await _open(scope, of.key, action.key, address=None if address is None else as_json(dict(address)))
        await _fill(run_id, found)
    return run_id


AGAIN: Final[Mapping[str, tuple[RowState, ...]]] = {
    "refused": (RowState.REFUSED, RowState.CHANGED),
    "changed": (RowState.CHANGED,),
    "ready": (RowState.READY,),
    "left": (RowState.READY, RowState.CHOSEN),
}
"""Which rows of a run a further one is for."""


async def choose_for_repetition(scope: Scope, of: Listing[Any], run: RunRow, which: str) -> int:
    """The same deed once more: for rows of this run, or (`filter`) for all that its filter finds now; gives the new
    run's id. Raises Invalid where this is not known."""
    action = await get_action(scope, of.key, run.action)
    if which == "filter" and run.address is not None:
        return await choose_rows(scope, of, action, address=run.filters)
    if which not in AGAIN:
        raise Invalid(_("This is not known here. Load the page again."), field="which")
    return await choose_again(scope, run, AGAIN[which])


async def choose_again(scope: Scope, run: RunRow, states: Sequence[RowState]) -> int:
    """The same deed for those rows of a run that are in these states; gives the new run's id. What it takes is kept."""
    async with unit_of_work(scope):
        run_id = await _open(scope, run.listing, run.action, form=run.form, after_id=run.id)
        told = "SELECT row_id AS id FROM bulk_row WHERE run_id = :before AND state IN :states"
        await _fill(run_id, Condition(told, {"before": run.id, "states": list(states)}))
    return run_id


async def _open(
    scope: Scope,
    listing: str,
    action: str,
    *,
    form: str = "{}",
    address: str | None = None,
    after_id: int | None = None,
) -> int:
    found = await values(
        "INSERT INTO bulk_run (listing, action, state, form, address, total, after_id, made_by, created_at)"
        " VALUES (:listing, :action, 'chosen', :form, :address, 0, :after_id, :me, :now) RETURNING id",
        listing=listing,
        action=action,
        form=form,
        address=address,
        after_id=after_id,
        me=scope.actor.key,
        now=scope.now(),
    )
    return int(found[0])


async def _fill(run_id: int, chosen: Condition) -> None:
    total = await execute(
        f"INSERT INTO bulk_row (run_id, row_id) SELECT :bulk_run::bigint, chosen.id FROM ({chosen.sql}) AS chosen",
        bulk_run=run_id,
        **chosen.values,
    )
    if not total:
        raise Conflict(_("Nothing is selected any more. Go back and tick what you mean."))
    await execute("UPDATE bulk_run SET total = :total WHERE id = :id", total=total, id=run_id)


class Drift(Struct, frozen=True):
    """Rows that match a filter now and did not, and that did and do not any more."""

    come: int
    gone: int


async def drift_of(scope: Scope, of: Listing[Any], run: RunRow) -> Drift:
    """How far the rows that were chosen by a filter are from those that it finds now."""
    if run.address is None:
        return Drift(0, 0)
    now = await condition(scope, of, run.filters)
    found = await row(
        Drift,
        f"SELECT (SELECT count(*) FROM ({now.sql}) AS now_found WHERE NOT EXISTS (SELECT 1 FROM bulk_row"
        " WHERE bulk_row.run_id = :bulk_run AND bulk_row.row_id = now_found.id)) AS come,"
        " (SELECT count(*) FROM bulk_row WHERE bulk_row.run_id = :bulk_run"
        f" AND bulk_row.row_id NOT IN ({now.sql})) AS gone",
        bulk_run=run.id,
        **now.values,
    )
    assert found is not None
    return found


# -- working out ------------------------------------------------------------------------------------------------------


async def start_plan(
    scope: Scope, of: Listing[Any], run_id: int, typed: Typed, *, at_once: bool = False, wait: bool = True
) -> None:
    """Work out what a deed would do with what was typed for it. Few rows are done with before it returns, else a job.

    Raises Invalid where something is typed wrongly. `at_once` also does it then, without showing it before.
    """
    async with unit_of_work(scope):
        run = await get_run(scope, of.key, run_id, lock=True)
        await _check_idle(run, RunState.CHOSEN, RunState.PLANNED, RunState.PLANNING)
        action = await get_action(scope, of.key, run.action)
        from_form(action.form, typed)
        await execute("UPDATE bulk_row SET state = 'chosen', digest = '', told = '' WHERE run_id = :run", run=run_id)
        await execute(
            "UPDATE bulk_run SET state = 'planning', form = :form, plan = :plan, turn = turn + 1, at_once = :at_once"
            " WHERE id = :id",
            id=run_id,
            form=as_json(dict(typed)),
            plan=as_json(PlanSums(language=locale_now())),
            at_once=at_once,
        )
        inline = wait and run.total <= AT_ONCE and not at_once
        if not inline:
            await _start(scope, run, WORK_OUT)
    if inline:
        await work_out(scope, of.key, run_id)


async def _start(scope: Scope, run: RunRow, kind: str) -> None:
    job_id = await enqueue(scope, kind, OfRun(run.listing, run.id, locale_now()))
    await execute("UPDATE bulk_run SET job_id = :job WHERE id = :id", job=job_id, id=run.id)


async def _check_idle(run: RunRow, *states: RunState) -> None:
    job = await job_of(run)
    if job is not None and job.state in AT_WORK:
        raise Conflict(_("It is being worked on. Wait until that is done."))
    if run.state not in states:
        raise Conflict(_("This has been done. Look at its report."))


async def work_out(scope: Scope, listing: str, run_id: int, *, progress: Progress | None = None) -> RunRow:
    """What the deed would do to each row that was not looked at yet. May be broken off and called again."""
    run = await get_run(scope, listing, run_id)
    action = await get_action(scope, listing, run.action)
    form = from_form(action.form, run.typed())
    pace = Pace(SMALLEST, LARGEST)
    with speaking(run.sums.language or scope.locale):
        while ids := await _next(run_id, RowState.CHOSEN, pace.size):
            begun = monotonic()
            answers = await again(partial(_rehearsed, scope, action, form, ids))
            await again(partial(_note_plan, scope, listing, run_id, answers))
            pace.learn(monotonic() - begun)
            if progress is not None:
                left = (await counts_of(run_id))[RowState.CHOSEN]
                await progress(run.total - left, run.total, _("Working out what it would do"))
            await asyncio.sleep(PAUSE[dialect()])
    async with unit_of_work(scope):
        await execute("UPDATE bulk_run SET state = 'planned' WHERE id = :id AND state = 'planning'", id=run_id)
    return await get_run(scope, listing, run_id)


async def _next(run_id: int, state: RowState, size: int, after: int = 0) -> list[int]:
    found = await values(
        "SELECT row_id FROM bulk_row WHERE run_id = :run AND state = :state AND row_id > :after ORDER BY row_id"
        " LIMIT :size",
        run=run_id,
        state=state,
        after=after,
        size=size,
    )
    return [int(one) for one in found]


Answer = Sequence[Effect] | str
"""What was done to a row, or why it is refused."""


class _TakenBack(Exception):
    """Ends what was only tried."""


async def _rehearsed(scope: Scope, action: BulkAction[Any], form: Struct, ids: Sequence[int]) -> dict[int, Answer]:
    """What the deed says of each row. Nothing of it stays."""
    answers: dict[int, Answer] = {}
    async with rehearsal(scope):
        if action.do_many is not None:
            answers = dict.fromkeys(ids, ()) | dict(await action.do_many(scope, form, ids))
        else:
            for row_id in ids:
                answers[row_id] = await _tried(scope, action, form, row_id)
    return answers


async def _tried(scope: Scope, action: BulkAction[Any], form: Struct, row_id: int) -> Answer:
    effects: list[Effect] = []
    try:
        async with savepoint():
            effects += await _done(scope, action, form, row_id)
            raise _TakenBack
    except _TakenBack:
        return effects
    except _Refused as refused:
        return str(refused)


class _Refused(Exception):
    """A row is refused, with the reason."""


async def _done(scope: Scope, action: BulkAction[Any], form: Struct, row_id: int) -> Sequence[Effect]:
    """The deed itself, for one row. Whatever a plugin's does, the other rows stand."""
    assert action.do is not None
    try:
        return await action.do(scope, form, row_id)
    except (TryAgain, Unavailable, ClaimLost, JobCancelled):
        raise
    except NotFound as error:
        raise _Refused(_("It is no longer there.")) from error
    except DomainError as error:
        raise _Refused(error.message) from error
    except Exception as error:
        error_id = note_failure(action.key.partition(".")[0], action.key)
        raise _Refused(_("This failed. The log knows it as %(error)s.", error=error_id)) from error


async def _note_plan(scope: Scope, listing: str, run_id: int, answers: Mapping[int, Answer]) -> None:
    async with unit_of_work(scope):
        run = await get_run(scope, listing, run_id, lock=True)
        sums = run.sums
        for answer in answers.values():
            if not isinstance(answer, str):
                for effect in answer:
                    sums.adding(effect.kind, effect.text, effect.amount_minor, effect.currency)
        await _note_rows(run_id, {row_id: _planned(answer) for row_id, answer in answers.items()}, RowState.CHOSEN)
        await execute("UPDATE bulk_run SET plan = :plan WHERE id = :id", plan=as_json(sums), id=run_id)


Noted = tuple[RowState, str, str]
"""A row's state, digest, and what is told of it."""


def _planned(answer: Answer) -> Noted:
    if isinstance(answer, str):
        return RowState.REFUSED, "", answer
    return (RowState.READY, plan_digest(answer), "") if answer else (RowState.NOTHING, "", "")


async def _note_rows(run_id: int, noted: Mapping[int, Noted], before: RowState) -> None:
    await execute_many(
        "UPDATE bulk_row SET state = :state, digest = :digest, told = :told"
        " WHERE run_id = :run AND row_id = :row AND state = :before",
        [
            {"run": run_id, "row": row_id, "state": state, "digest": digest, "told": told, "before": before}
            for row_id, (state, digest, told) in noted.items()
        ],
    )


# -- doing ------------------------------------------------------------------------------------------------------------


async def refusal_of(scope: Scope, run: RunRow) -> str:
    """Why the deed cannot be done as it was worked out; empty where it can."""
    action = await get_action(scope, run.listing, run.action)
    counts = await counts_of(run.id)
    if action.all_or_none and counts[RowState.REFUSED]:
        return ngettext(
            "It is done to all or to none: %(num)s refuses it.",
            "It is done to all or to none: %(num)s refuse it.",
            counts[RowState.REFUSED],
        )
    if not counts[RowState.READY]:
        return _("There is nothing that it could be done to.")
    return ""


async def start_doing(scope: Scope, of: Listing[Any], run_id: int, *, seen: str) -> None:
    """Let the job do what was shown; `seen` is the fingerprint of that. Conflict where it is not the plan any more."""
    async with unit_of_work(scope):
        run = await get_run(scope, of.key, run_id, lock=True)
        await _check_idle(run, RunState.PLANNED)
        if seen != run.fingerprint:
            raise Conflict(_("It was worked out again meanwhile. Look at the new plan, then send it."))
        if why := await refusal_of(scope, run):
            raise Conflict(why)
        await _begin(scope, run)


async def _begin(scope: Scope, run: RunRow) -> None:
    await execute("UPDATE bulk_run SET state = 'doing' WHERE id = :id", id=run.id)
    await _start(scope, run, CARRY_OUT)
    record(scope, BulkStarted(run_id=run.id, listing=run.listing, action=run.action, rows=run.total))


async def begin_at_once(scope: Scope, run: RunRow) -> None:
    """Go on from working it out to doing it, in the same job; where it cannot be done it stays worked out."""
    async with unit_of_work(scope):
        if await refusal_of(scope, run):
            await execute("UPDATE bulk_run SET at_once = FALSE WHERE id = :id", id=run.id)
            return
        await execute("UPDATE bulk_run SET state = 'doing' WHERE id = :id AND state = 'planned'", id=run.id)
        record(scope, BulkStarted(run_id=run.id, listing=run.listing, action=run.action, rows=run.total))


async def go_on(scope: Scope, of: Listing[Any], run_id: int) -> None:
    """Let what was broken off go on where it was."""
    async with unit_of_work(scope):
        run = await get_run(scope, of.key, run_id, lock=True)
        await _check_idle(run, RunState.PLANNING, RunState.DOING)
        await _start(scope, run, WORK_OUT if run.state is RunState.PLANNING else CARRY_OUT)


async def stop(scope: Scope, of: Listing[Any], run_id: int) -> None:
    """Break it off between two chunks. What is done stays done, and the rest can go on."""
    run = await get_run(scope, of.key, run_id)
    job = await job_of(run)
    if job is None or job.state not in AT_WORK:
        raise Conflict(_("Nothing is at work on it."))
    await cancel_job(scope, job.id)


async def carry_out(scope: Scope, listing: str, run_id: int, *, progress: Progress | None = None) -> RunRow:
    """Do it to the rows that are ready. May be broken off at any moment and called again: no row has it done twice."""
    run = await get_run(scope, listing, run_id)
    if run.state is not RunState.DOING:
        return run
    action = await get_action(scope, listing, run.action)
    form = from_form(action.form, run.typed())
    with speaking(run.sums.language or scope.locale):
        if action.all_or_none:
            await again(partial(_do_all, scope, action, form, run))
        else:
            await _do_in_chunks(scope, action, form, run, progress)
    async with unit_of_work(scope):
        ended = await execute(
            "UPDATE bulk_run SET state = 'done', finished_at = :now,"
            " address = CASE WHEN address IS NULL THEN NULL ELSE '{}' END WHERE id = :id AND state = 'doing'",
            id=run_id,
            now=scope.now(),
        )
        if ended:
            counts = await counts_of(run_id)
            done, refused = counts[RowState.DONE], counts[RowState.REFUSED] + counts[RowState.CHANGED]
            record(scope, BulkDone(run_id=run_id, listing=listing, action=run.action, done=done, refused=refused))
    return await get_run(scope, listing, run_id)


async def _do_in_chunks(
    scope: Scope, action: BulkAction[Any], form: Struct, run: RunRow, progress: Progress | None
) -> None:
    pace = Pace(SMALLEST, LARGEST)
    wanted = run.total - (await counts_of(run.id))[RowState.NOTHING]
    while True:
        begun = monotonic()
        if not await again(partial(_do_chunk, scope, action, form, run, pace.size)):
            return
        pace.learn(monotonic() - begun)
        if progress is not None:
            left = (await counts_of(run.id))[RowState.READY]
            await progress(wanted - left, wanted, _(action.label))
        await asyncio.sleep(PAUSE[dialect()])


async def _do_chunk(scope: Scope, action: BulkAction[Any], form: Struct, run: RunRow, size: int) -> int:
    """The next rows, in one commit with their states; gives how many they were."""
    async with unit_of_work(scope):
        await get_run(scope, run.listing, run.id, lock=True)
        ready = await _digests(run.id, size)
        if not ready:
            return 0
        if action.do_many is not None:
            answers = await _many_done(scope, action, form, ready, at_once=run.at_once)
        else:
            answers = {
                row_id: await _one_done(scope, action, form, row_id, "" if run.at_once else digest)
                for row_id, digest in ready.items()
            }
        await _note_rows(run.id, answers, RowState.READY)
        return len(ready)


class _Ready(Struct, frozen=True):
    row_id: int
    digest: str


async def _digests(run_id: int, size: int, after: int = 0) -> dict[int, str]:
    found = await rows(
        _Ready,
        "SELECT row_id, digest FROM bulk_row WHERE run_id = :run AND state = 'ready' AND row_id > :after"
        " ORDER BY row_id LIMIT :size",
        run=run_id,
        after=after,
        size=size,
    )
    return {one.row_id: one.digest for one in found}


class _Otherwise(Exception):
    """It came out otherwise than it was shown."""


def _changed() -> str:
    return _("It changed after this was worked out, so it was left alone.")


async def _one_done(scope: Scope, action: BulkAction[Any], form: Struct, row_id: int, digest: str) -> Noted:
    try:
        async with savepoint():
            effects = await _done(scope, action, form, row_id)
            if digest and plan_digest(effects) != digest:
                raise _Otherwise
    except _Otherwise:
        return RowState.CHANGED, "", _changed()
    except _Refused as refused:
        return RowState.REFUSED, "", str(refused)
    return (RowState.DONE if effects else RowState.NOTHING), digest, ""


async def _many_done(
    scope: Scope, action: BulkAction[Any], form: Struct, ready: Mapping[int, str], *, at_once: bool
) -> dict[int, Noted]:
    """The same by few statements. Rows that come out otherwise are taken back and left out of a second call."""
    assert action.do_many is not None
    noted: dict[int, Noted] = {}
    wrong: dict[int, Noted] = {}
    going = dict(ready)
    while going:
        try:
            async with savepoint():
                answers = await action.do_many(scope, form, list(going))
                wrong = {} if at_once else _deviating(answers, going)
                if wrong:
                    raise _Otherwise
        except _Otherwise:
            noted |= wrong
            going = {row_id: digest for row_id, digest in going.items() if row_id not in wrong}
            continue
        for row_id, digest in going.items():
            answer = answers.get(row_id, ())
            if isinstance(answer, str):
                noted[row_id] = RowState.REFUSED, "", answer
            else:
                noted[row_id] = (RowState.DONE if answer else RowState.NOTHING), digest, ""
        break
    return noted


def _deviating(answers: Mapping[int, Answer], ready: Mapping[int, str]) -> dict[int, Noted]:
    return {
        row_id: (RowState.CHANGED, "", _changed())
        for row_id, digest in ready.items()
        if not isinstance(answer := answers.get(row_id, ()), str) and plan_digest(answer) != digest
    }


async def _do_all(scope: Scope, action: BulkAction[Any], form: Struct, run: RunRow) -> None:
    """All rows or none, in one commit. Where a row stands against it now, that is noted and nothing else is done."""
    against: dict[int, Noted] = {}
    try:
        async with unit_of_work(scope):
            await get_run(scope, run.listing, run.id, lock=True)
            after = 0
            while ready := await _digests(run.id, LARGEST, after):
                after = max(ready)
                if action.do_many is not None:
                    answers: Mapping[int, Answer] = await action.do_many(scope, form, list(ready))
                else:
                    answers = {row_id: await _kept(scope, action, form, row_id) for row_id in ready}
                against |= {
                    row_id: (RowState.REFUSED, "", answer)
                    for row_id, answer in answers.items()
                    if isinstance(answer, str)
                }
                if not run.at_once:
                    against |= _deviating(answers, ready)
                if against:
                    raise _TakenBack
            await execute(
                "UPDATE bulk_row SET state = 'done' WHERE run_id = :run AND state = 'ready'",
                run=run.id,
            )
    except _TakenBack:
        async with unit_of_work(scope):
            await _note_rows(run.id, against, RowState.READY)


async def _kept(scope: Scope, action: BulkAction[Any], form: Struct, row_id: int) -> Answer:
    try:
        async with savepoint():
            return await _done(scope, action, form, row_id)
    except _Refused as refused:
        return str(refused)


# -- forgetting -------------------------------------------------------------------------------------------------------


async def forget_rows(row_ids: Sequence[int], listing: str) -> None:
    """What runs say of these rows is forgotten, and what was typed for them: nobody may know any more who they were.

    A run that was not done yet is closed; one that is at work goes on, and forgets its filter at its end.
    """
    given = {"ids": list(row_ids), "listing": listing}
    ours = "SELECT run_id FROM bulk_row WHERE row_id IN :ids"
    await execute(
        "UPDATE bulk_run SET form = '{}', plan = '{}', state = 'done',"
        " address = CASE WHEN address IS NULL THEN NULL ELSE '{}' END"
        f" WHERE listing = :listing AND state IN ('chosen', 'planned', 'done') AND id IN ({ours})",
        **given,
    )
    await execute(
        "UPDATE bulk_row SET told = '' WHERE row_id IN :ids AND told <> ''"
        " AND run_id IN (SELECT id FROM bulk_run WHERE listing = :listing)",
        **given,
    )


async def forget_old_runs(scope: Scope) -> int:
    """Runs of which nobody asks any more, with their rows; gives how many."""
    gone = 0
    while True:
        async with unit_of_work(scope):
            old = await values(
                "SELECT id FROM bulk_run WHERE created_at < :before ORDER BY created_at LIMIT 1",
                before=scope.now() - KEPT_FOR,
            )
            if not old:
                return gone
            some = await values("SELECT row_id FROM bulk_row WHERE run_id = :run LIMIT 2000", run=old[0])
            if some:
                await execute("DELETE FROM bulk_row WHERE run_id = :run AND row_id IN :ids", run=old[0], ids=some)
            else:
                await execute("DELETE FROM bulk_run WHERE id = :run", run=old[0])
                gone += 1
        await asyncio.sleep(PAUSE[dialect()])
