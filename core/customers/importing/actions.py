"""An import: checked without a trace, or staged and taken over.

Taking over goes in chunks of about 40 ms (PostgreSQL: 100), so that nobody else waits long. All or nothing is
decided before the first customer is made: one error, and nothing is. Should a customer with the same login turn up
while it runs, what was made by then is taken away again.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import Struct

from core.activity.unit import record, record_set, savepoint, unit_of_work
from core.customers.events import CustomerCreated
from core.customers.importing.events import CustomersImported, CustomersImportUndone
from core.customers.importing.files import is_kept
from core.customers.importing.pace import PAUSE, Pace, go_by_index, words_sorted_in
from core.customers.importing.profiles import Layout
from core.customers.importing.profiles import Mapping as ColumnMapping
from core.customers.importing.queries import ImportBatchRow, check_reach, find_batch_of, get_batch
from core.customers.importing.records import Finding, Row
from core.customers.importing.report import MOST_FINDINGS, Report
from core.customers.importing.staging import Told, judge_file, write_rows
from core.customers.importing.status import BatchState
from core.customers.importing.steps import KEPT_STEP, check_undo, keep_customer, undo_steps
from core.database import (
    BrokenReference,
    analyze,
    current,
    dialect,
    execute,
    execute_all,
    execute_many,
    rows,
    stream,
    value,
    values,
)
from core.errors import Conflict
from core.ids import says_one_of
from core.lists.reading import Record
from core.texts import N_, _, ngettext, number

if TYPE_CHECKING:
    from core.database.statements import Dialect
    from core.scope import Scope

Mode = Literal["all", "skip-bad"]
Progress = Callable[[int, int, str], Awaitable[None]]
"""Done, of how many, what is being done."""

NOTE_AUTHOR: Final = "Import"
KEPT: Final = timedelta(days=30)
"""So long the records of an import are kept, for looking things up; then its persons are in the customers alone."""
WAITING: Final = timedelta(days=7)
"""So long a file waits for somebody who imports it."""
WORTH_ANALYSING: Final = 1_000
"""Customers from which on the query planner is told."""
SMALLEST, LARGEST = 50, 2_000
"""Records of a chunk."""
STAYS: Final = N_("Something depends on the customer by now, such as a document, a payment or a subscription.")


async def dry_run(
    scope: Scope,
    path: Path,
    mapping: ColumnMapping | None = None,
    *,
    name: str | None = None,
    plans: Mapping[str, str] | None = None,
    told: Told | None = None,
) -> Report:
    """What an import would do. Writes nothing at all."""
    check_reach(scope)
    mapping = mapping or ColumnMapping()
    return await judge_file(scope, path, mapping, name=name or path.name, plans=plans or {}, told=told)


async def stage_import(
    scope: Scope,
    path: Path,
    mapping: ColumnMapping | None = None,
    *,
    name: str | None = None,
    plans: Mapping[str, str] | None = None,
    told: Told | None = None,
) -> Report:
    """Read a file into the staging tables and judge it. The report names the batch.

    A file is known by its content. One that was taken over, or is being, gives what came of it and is not read again;
    one that was only checked is checked anew, since its mapping or the tenant's customers may have changed.
    """
    check_reach(scope)
    mapping = mapping or ColumnMapping()
    batch = await open_batch(scope, path, mapping, name=name)
    if batch.state not in {BatchState.NEW, BatchState.CHECKED}:
        report = batch.told()
        if report is None:
            raise Conflict(_("This file is being taken away again. Wait until that is done."))
        report.already = batch.state == BatchState.DONE
        return report
    await _forget_rows(scope, batch.id)

    async def keep(records: Sequence[Record], judged: Sequence[Row], layout: Layout) -> None:
        async with unit_of_work(scope):
            await write_rows(batch.id, layout, records, judged)

    async with current().writing_much():
        report = await judge_file(scope, path, mapping, name=batch.file_name, plans=plans or {}, keep=keep, told=told)
    report.dry_run, report.batch = False, batch.id
    async with unit_of_work(scope):
        await execute(
            "UPDATE import_batch SET state = 'checked', mapping = :mapping, report = :report WHERE id = :id",
            id=batch.id,
            mapping=as_json(mapping),
            report=as_json(report),
        )
    return report


async def open_batch(
    scope: Scope, path: Path, mapping: ColumnMapping, *, name: str | None = None, file_path: str = ""
) -> ImportBatchRow:
    """The batch of this file: the one that there is for its content, else a new one. What is stored of it already
    stays stored; `file_path` of the batch says which file that is.
    """
    check_reach(scope)
    file_hash = await asyncio.to_thread(_sha256, path)
    async with unit_of_work(scope):
        found = await find_batch_of(scope, file_hash)
        if found is None:
            batch_id = await value(
                "INSERT INTO import_batch (file_name, file_path, file_sha256, mapping, made_by, created_at)"
                " VALUES (:name, :path, :hash, :mapping, :by, :now) RETURNING id",
                name=name or path.name,
                path=file_path,
                hash=file_hash,
                mapping=as_json(mapping),
                by=scope.actor.name,
                now=scope.now(),
            )
            found = await get_batch(scope, int(batch_id))
        elif file_path and found.state in {BatchState.NEW, BatchState.CHECKED}:
            stored = found.file_path if await asyncio.to_thread(is_kept, scope, found) else file_path
            await execute(
                "UPDATE import_batch SET file_path = :path, file_name = :name WHERE id = :id",
                path=stored,
                name=name or path.name,
                id=found.id,
            )
            found = msgspec.structs.replace(found, file_path=stored, file_name=name or path.name)
    return found


async def save_mapping(scope: Scope, batch_id: int, mapping: ColumnMapping) -> None:
    """Keep what somebody decided about the columns of a file that waits; the next check goes by it."""
    async with unit_of_work(scope):
        batch = await _locked(scope, batch_id)
        if batch.state not in {BatchState.NEW, BatchState.CHECKED}:
            raise Conflict(_("This file has been imported. Choose another one."))
        await execute(
            "UPDATE import_batch SET mapping = :mapping WHERE id = :id", id=batch_id, mapping=as_json(mapping)
        )


async def discard_batch(scope: Scope, batch_id: int) -> None:
    """Forget a file that was not taken over."""
    batch = await get_batch(scope, batch_id)
    if batch.state not in {BatchState.NEW, BatchState.CHECKED}:
        raise Conflict(_("This import has made customers. Undo it instead."))
    await _forget_rows(scope, batch_id)
    async with unit_of_work(scope):
        await execute("DELETE FROM import_batch WHERE id = :id", id=batch_id)


async def take_over(
    scope: Scope, batch_id: int, *, mode: Mode = "skip-bad", progress: Progress | None = None
) -> Report:
    """Make the customers of a staged file; gives the report with what came of it.

    `all`: every record is right, or Conflict and nothing is made. `skip-bad`: the others are made. Can be broken off at
    any moment and called again: it goes on where it was. A record becomes a customer once, whoever calls.
    """
    check_reach(scope)
    batch = await get_batch(scope, batch_id)
    report = batch.told()
    if report is None or batch.state in {BatchState.NEW, BatchState.UNDOING, BatchState.UNDONE}:
        raise Conflict(_("The file has to be checked first."))
    if batch.state == BatchState.DONE:
        report.already = True
        return report
    if batch.state == BatchState.TAKING:
        mode = "all" if batch.mode == "all" else "skip-bad"
    elif mode == "all" and report.errors_total:
        raise Conflict(
            ngettext(
                "%(count)s error in the file, so nothing was imported. Correct the file, or skip the bad records.",
                "%(count)s errors in the file, so nothing was imported. Correct the file, or skip the bad records.",
                report.errors_total,
                count=number(report.errors_total),
            )
        )
    await _begin(scope, batch_id, mode)
    try:
        async with current().writing_much(), words_sorted_in():
            await _take_all(scope, batch_id, mode, report.ok, progress)
    except _Meanwhile as others:
        async with unit_of_work(scope):
            await execute("UPDATE import_batch SET state = 'undoing' WHERE id = :id", id=batch_id)
        await _take_back(scope, batch_id, report.ok, progress)
        async with unit_of_work(scope):
            await execute(
                "UPDATE import_batch SET state = 'checked', taken_to = 0, made = 0 WHERE id = :id", id=batch_id
            )
        raise Conflict(
            _(
                "%(finding)s That customer was made meanwhile, so nothing was imported.",
                finding=others.finding.message,
            )
        ) from None
    await _link_parents(scope, batch_id)
    report = await _end(scope, batch_id)
    if report.imported >= WORTH_ANALYSING:
        await analyze()
    return report


async def undo_import(scope: Scope, batch_id: int, *, progress: Progress | None = None) -> int:
    """Take the customers of an import away again; gives how many stay because something depends on them by now.

    Refused while any of them was changed, has a subscription, or is otherwise no longer as it was imported. What was
    booked of it is taken back by counter postings, as far as nobody has used it; customers with postings stay.
    """
    check_reach(scope)
    if (batch := await get_batch(scope, batch_id)).state == BatchState.DONE:
        await check_undo(scope, batch)
    async with unit_of_work(scope):
        batch = await _locked(scope, batch_id)
        if batch.state not in {BatchState.DONE, BatchState.UNDOING}:
            raise Conflict(_("Only an import that is done can be undone."))
        if batch.state == BatchState.DONE:
            changed = await values(
                "SELECT c.id FROM import_customer m JOIN customer c ON c.id = m.customer_id WHERE m.batch_id = :batch"
                " AND (c.version > 1 OR c.live_subscriptions > 0"
                " OR EXISTS (SELECT 1 FROM note n WHERE n.customer_id = c.id AND n.author <> :author))"
                " ORDER BY c.id LIMIT 10",
                author=NOTE_AUTHOR,
                batch=batch_id,
            )
            if changed:
                who = ", ".join(map(str, changed))
                raise Conflict(_("It cannot be undone any more: customers were changed since (%(who)s).", who=who))
            await execute("UPDATE import_batch SET state = 'undoing' WHERE id = :id", id=batch_id)
    await undo_steps(scope, batch, progress=progress)
    kept = await _take_back(scope, batch_id, batch.made, progress)
    async with unit_of_work(scope):
        if (await _locked(scope, batch_id)).state != BatchState.UNDOING:  # somebody else has ended it
            return kept
        await execute(
            "UPDATE import_batch SET state = 'undone', kept = :kept, finished_at = :now WHERE id = :id",
            id=batch_id,
            kept=kept,
            now=scope.now(),
        )
        record(scope, CustomersImportUndone(batch_id=batch_id, customers=batch.made - kept))
    return kept


async def forget_old_imports(scope: Scope) -> list[str]:
    """Empty what was staged of imports done for a month, and forget files that nobody imported for a week; gives
    the names of the stored files that may go."""
    old = await rows(
        _Old,
        "SELECT id, file_path, state IN ('new', 'checked') AS waited FROM import_batch"
        " WHERE (state IN ('done', 'undone') AND report <> '' AND finished_at < :kept)"
        " OR (state IN ('new', 'checked') AND created_at < :waiting) ORDER BY id",
        kept=scope.now() - KEPT,
        waiting=scope.now() - WAITING,
    )
    for batch in old:
        await _forget_rows(scope, batch.id)
        async with unit_of_work(scope):
            if batch.waited:
                await execute("DELETE FROM import_batch WHERE id = :id AND state IN ('new', 'checked')", id=batch.id)
            else:
                await execute("UPDATE import_batch SET report = '', mapping = '{}' WHERE id = :id", id=batch.id)
    return [batch.file_path for batch in old if batch.file_path]


async def erase_traces(scope: Scope, *customer_ids: int, texts: Collection[str] = ()) -> None:
    """Whatever imports still hold of customers, for anonymising: their records, those of imports that are over which
    have the same e-mail, phone, login or reference or were refused and say one of these texts, and all findings of
    these files, which name people."""
    names = says_one_of(texts)
    async with unit_of_work(scope):
        made = await values(
            "SELECT DISTINCT batch_id FROM import_customer WHERE customer_id IN :ids ORDER BY 1", ids=customer_ids
        )
        await execute(
            "DELETE FROM import_row WHERE id IN (SELECT row_id FROM import_customer WHERE customer_id IN :ids)",
            ids=customer_ids,
        )
        alike = await values(
            f"DELETE FROM import_row WHERE batch_id IN (SELECT id FROM import_batch WHERE state IN ('done', 'undone'))"
            f" AND ({_ALIKE}) RETURNING batch_id",
            ids=customer_ids,
        )
        refused = [
            each
            async for each in stream(
                _Refused,
                "SELECT id, batch_id, name || cells || errors || warnings AS text FROM import_row"
                " WHERE (errors <> '' OR warnings <> '') AND batch_id IN"
                " (SELECT id FROM import_batch WHERE state IN ('done', 'undone'))",
            )
            if names(each.text)
        ]
        await execute("DELETE FROM import_row WHERE id IN :ids", ids=[each.id for each in refused])
        await _forget_refusals(names)
        for batch_id in sorted({*map(int, made), *map(int, alike), *(each.batch_id for each in refused)}):
            report = (await get_batch(scope, batch_id)).told()
            if report is not None:
                report.errors, report.warnings, report.preview = [], [], []
                report.columns = [msgspec.structs.replace(column, samples=()) for column in report.columns]
                await execute(
                    "UPDATE import_batch SET report = :report WHERE id = :id", id=batch_id, report=as_json(report)
                )


async def _forget_refusals(names: Callable[[str], bool]) -> None:
    """What steps refused, where it names somebody: that it was refused stays known."""
    for each in await rows(
        _RefusedInStep, "SELECT step, row_id, refused FROM import_taken WHERE refused NOT IN ('', '[]')"
    ):
        if names(each.refused):
            await execute(
                "UPDATE import_taken SET refused = '[]' WHERE step = :step AND row_id = :row_id",
                step=each.step,
                row_id=each.row_id,
            )


class _RefusedInStep(Struct, frozen=True):
    step: str
    row_id: int
    refused: str


_ALIKE: Final = " OR ".join(
    f"({column} <> '' AND {column} IN (SELECT {column} FROM customer WHERE id IN :ids))"
    for column in ("email_key", "phone_e164", "login_key", "external_ref")
)


class _Refused(Struct, frozen=True):
    id: int
    batch_id: int
    text: str


class _Old(Struct, frozen=True):
    id: int
    file_path: str
    waited: bool


class _Made(Struct, frozen=True):
    batch_id: int
    row_id: int
    customer_id: int


async def _locked(scope: Scope, batch_id: int) -> ImportBatchRow:
    """The batch, which nobody else moves until this unit ends."""
    await value("SELECT id FROM import_batch WHERE id = :id FOR UPDATE", id=batch_id)
    return await get_batch(scope, batch_id)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _forget_rows(scope: Scope, batch_id: int) -> None:
    """What was staged of a file, in pieces."""
    last = await value("SELECT max(record) FROM import_row WHERE batch_id = :batch", batch=batch_id)
    for start in range(0, int(last or 0) + 1, LARGEST):
        async with unit_of_work(scope):
            await execute(
                "DELETE FROM import_row WHERE batch_id = :batch AND record BETWEEN :start AND :end",
                batch=batch_id,
                start=start,
                end=start + LARGEST - 1,
            )
        await asyncio.sleep(PAUSE[dialect()])


# Taking over


class _Meanwhile(Exception):
    """A customer turned up that the file would make a second time."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.message)
        self.finding = finding


async def _begin(scope: Scope, batch_id: int, mode: Mode) -> None:
    """Locations and tags first: they are few, and every chunk refers to them."""
    async with unit_of_work(scope):
        await execute(
            "UPDATE import_batch SET state = 'taking', mode = :mode WHERE id = :id AND state = 'checked'",
            id=batch_id,
            mode=mode,
        )
        await execute(
            "INSERT INTO location (name, name_key) SELECT min(location), location_key FROM import_row"
            " WHERE batch_id = :batch AND good AND location_key <> '' GROUP BY location_key"
            " ON CONFLICT (name_key) DO NOTHING",
            batch=batch_id,
        )
        await execute(
            "INSERT INTO tag (name, name_key, colour) SELECT name, name_key, (place + :tags) % 6 + 1 FROM ("
            " SELECT min(v.value->>0) AS name, v.value->>1 AS name_key,"
            " row_number() OVER (ORDER BY v.value->>1) AS place"
            f" FROM import_row r CROSS JOIN {_each('r.tags')}"
            " WHERE r.batch_id = :batch AND r.good AND r.tags <> '[]' GROUP BY v.value->>1) AS found"
            " WHERE TRUE ON CONFLICT (name_key) DO NOTHING",
            batch=batch_id,
            tags=int(await value("SELECT count(*) FROM tag")),
        )


async def _take_all(scope: Scope, batch_id: int, mode: Mode, total: int, progress: Progress | None) -> None:
    pace = Pace(SMALLEST, LARGEST)
    while True:
        begun = monotonic()
        made = await _take_chunk(scope, batch_id, mode, pace.size)
        if made is None:
            return
        pace.learn(monotonic() - begun)
        if progress is not None:
            await progress(min(made, total), total, _("Making customers"))
        await asyncio.sleep(PAUSE[dialect()])


async def _take_chunk(scope: Scope, batch_id: int, mode: Mode, size: int) -> int | None:
    """The next records become customers, in one commit; gives how many there are by now, None when none was left."""
    async with unit_of_work(scope):
        await go_by_index()
        after = await value(
            "SELECT taken_to FROM import_batch WHERE id = :batch AND state = 'taking' FOR UPDATE", batch=batch_id
        )
        if after is None:  # somebody else has ended it
            return None
        until = await value(
            "SELECT max(record) FROM (SELECT record FROM import_row WHERE batch_id = :batch AND record > :after"
            " AND good AND is_customer ORDER BY record LIMIT :size) AS piece",
            batch=batch_id,
            after=after,
            size=size,
        )
        if until is None:
            return None
        piece: dict[str, Any] = {"batch": batch_id, "after": after, "until": until}
        for finding in await _made_meanwhile(piece):
            if mode == "all":
                raise _Meanwhile(finding)
            await execute(
                "UPDATE import_row SET good = FALSE, errors = :errors WHERE batch_id = :batch AND record = :record",
                errors=as_json([finding]),
                batch=batch_id,
                record=finding.record,
            )
        made = await _give_ids(piece)
        given = {"now": scope.now(), **piece}
        await execute_all((statement, given) for statement in (*_TAKE_OVER, _ADDRESSES[dialect()]))
        await _write_tags(piece)
        record_set(scope, CustomerCreated, _CREATED, **piece)
        return int(
            await value(
                "UPDATE import_batch SET taken_to = :until, made = made + :made WHERE id = :batch RETURNING made",
                batch=batch_id,
                until=until,
                made=made,
            )
        )


_OF_PIECE: Final = "r.batch_id = :batch AND r.record > :after AND r.record <= :until"
_RECORDS: Final = "FROM import_row r CROSS JOIN import_customer m"
"""CROSS JOIN, since SQLite then joins in the order that is written: neither knows how large the tables are by now."""
_ARE_MADE: Final = f"{_OF_PIECE} AND m.row_id = r.id"


def _each(listed: str, kind: Dialect | None = None) -> str:
    """The items of a column that holds a list as JSON, as `v.value`."""
    if (kind or dialect()) == "sqlite":
        return f"json_each({listed}) AS v"
    return f"jsonb_array_elements({listed}::jsonb) AS v (value)"


class _Double(Struct, frozen=True):
    record: int
    line: int
    name: str
    key: str
    customer_id: int
    what: str


async def _made_meanwhile(piece: Mapping[str, Any]) -> list[Finding]:
    """Records whose customer was made by somebody else since the file was checked."""
    found = await rows(
        _Double,
        " UNION ALL ".join(
            f"SELECT r.record, r.line, r.name, r.{column} AS key, c.id AS customer_id, '{what}' AS what"
            f" FROM import_row r JOIN customer c ON c.{column} = r.{column} AND c.{column} <> ''"
            " WHERE r.batch_id = :batch AND r.record > :after AND r.record <= :until AND r.good AND r.is_customer"
            f" AND r.{column} <> ''"
            for column, what in (("login_key", "login"), ("external_ref", "number"))
        ),
        **piece,
    )
    told: dict[int, Finding] = {}
    for double in found:
        login = _("Customer %(id)s has the same login.", id=double.customer_id)
        message = login if double.what == "login" else _("Customer %(id)s has the same number.", id=double.customer_id)
        told.setdefault(double.record, Finding(double.record, "", message, double.line, double.name, double.key))
    return list(told.values())


async def _give_ids(piece: Mapping[str, Any]) -> int:
    """Each record of the chunk gets the id that its customer will have."""
    good = f"FROM import_row r WHERE {_OF_PIECE} AND r.good AND r.is_customer"
    if dialect() == "sqlite":  # the transaction holds the one write lock; an id that was used is never used again
        last = await value(
            "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'customer'), 0),"
            " coalesce((SELECT max(id) FROM customer), 0))"
        )
        return await execute(
            "INSERT INTO import_customer (row_id, batch_id, customer_id)"
            f" SELECT r.id, r.batch_id, :last + row_number() OVER (ORDER BY r.record) {good}",
            last=last,
            **piece,
        )
    return await execute(
        "INSERT INTO import_customer (row_id, batch_id, customer_id)"
        " SELECT id, batch_id, nextval('customer_id_seq')"
        f" FROM (SELECT r.id, r.batch_id {good} ORDER BY r.record) AS piece",
        **piece,
    )


_SAME_NAME: Final = (
    "kind", "full_name", "name_key", "company", "login", "login_key", "external_ref", "email_key", "phone_e164",
    "street", "zip", "city", "city_key", "country", "lat", "lon", "currency", "language", "vat_id", "tax_profile",
    "billing_day", "joined_on", "billing_type", "time_zone", "tax_reason", "terms_days", "grace_days",
    "minimum_balance_minor", "never_block", "send_by",
)  # fmt: skip
_TAKE_OVER: Final = (
    f"INSERT INTO customer (id, {', '.join(_SAME_NAME)}, status_id, status_reason, location_id, created_at)"
    f" SELECT m.customer_id, {', '.join(f'r.{name}' for name in _SAME_NAME)}, status.id, 'import', location.id,"
    f" :now::timestamptz {_RECORDS} CROSS JOIN status"
    " LEFT JOIN location ON location.name_key = r.location_key AND r.location_key <> ''"
    f" WHERE {_ARE_MADE} AND status.key = r.status_key ORDER BY r.record",
    "INSERT INTO contact (customer_id, first_name, surname, role, email, email_key)"
    " SELECT m.customer_id, r.contact_first_name, r.contact_surname, r.contact_role, r.contact_email,"
    f" CASE WHEN r.contact_email = '' THEN '' ELSE r.email_key END {_RECORDS}"
    f" WHERE {_ARE_MADE} AND (r.contact_surname <> '' OR r.contact_first_name <> '')",
    "INSERT INTO note (customer_id, text, author, created_at)"
    f" SELECT m.customer_id, r.note, '{NOTE_AUTHOR}', :now::timestamptz {_RECORDS} WHERE {_ARE_MADE} AND r.note <> ''",
)
"""One chunk, statement by statement. What a customer has beside these are the defaults of its table."""
_ADDRESSES: Final = {
    kind: "INSERT INTO customer_address (customer_id, kind, position, value, value_key) SELECT m.customer_id,"
    " v.value->>0, CAST(v.value->>1 AS integer), v.value->>2, v.value->>3"
    f" {_RECORDS} CROSS JOIN {_each('r.addresses', kind)}"
    f" WHERE {_ARE_MADE} AND r.addresses <> '[]'"
    for kind in ("sqlite", "postgresql")
}
_CREATED: Final = (
    "SELECT m.customer_id AS subject_id, m.customer_id AS customer_id,"
    f" '{{\"customer_id\":' || CAST(m.customer_id AS text) || '}}' AS facts {_RECORDS} WHERE {_ARE_MADE}"
)


class _Tagged(Struct, frozen=True):
    customer_id: int
    tag_id: int
    name_key: str


async def _write_tags(piece: Mapping[str, Any]) -> None:
    found = await rows(
        _Tagged,
        f"SELECT m.customer_id, tag.id AS tag_id, tag.name_key {_RECORDS} CROSS JOIN {_each('r.tags')}"
        f" CROSS JOIN tag WHERE {_ARE_MADE} AND r.tags <> '[]' AND tag.name_key = v.value->>1"
        " ORDER BY m.customer_id, tag.name_key",
        **piece,
    )
    if not found:
        return
    keys: dict[int, list[str]] = {}
    for tagged in found:
        keys.setdefault(tagged.customer_id, []).append(tagged.name_key)
    await execute_many(
        "INSERT INTO customer_tag (customer_id, tag_id) VALUES (:customer_id, :tag_id) ON CONFLICT DO NOTHING",
        [{"customer_id": tagged.customer_id, "tag_id": tagged.tag_id} for tagged in found],
    )
    await execute_many(
        "UPDATE customer SET tags_key = :key WHERE id = :id",
        [{"id": customer_id, "key": " ".join(dict.fromkeys(names))} for customer_id, names in keys.items()],
    )


class _Link(Struct, frozen=True):
    child_id: int
    parent_id: int


_PARENTS: Final = "SELECT id AS child_id, parent_id FROM customer WHERE parent_id IS NOT NULL"


async def _link_parents(scope: Scope, batch_id: int) -> None:
    """Sub-accounts get their parent, wherever in the file each stood. A link that closes a circle is left out."""
    links = await rows(
        _Link,
        "SELECT DISTINCT c.id AS child_id, m.customer_id AS parent_id"
        f" {_RECORDS} CROSS JOIN {_each('r.children')} CROSS JOIN customer c"
        " WHERE r.batch_id = :batch AND r.children <> '[]' AND m.row_id = r.id"
        " AND c.external_ref = v.value->>0 AND c.external_ref <> '' AND c.parent_id IS NULL AND c.id <> m.customer_id"
        f" UNION SELECT m.customer_id, p.id {_RECORDS} CROSS JOIN customer p CROSS JOIN customer c"
        " WHERE r.batch_id = :batch AND r.parent_ref <> '' AND m.row_id = r.id"
        " AND p.external_ref = r.parent_ref AND p.external_ref <> '' AND p.id <> m.customer_id"
        " AND c.id = m.customer_id AND c.parent_id IS NULL"
        " ORDER BY 1, 2",
        batch=batch_id,
    )
    if not links:
        return
    above = {link.child_id: link.parent_id for link in await rows(_Link, _PARENTS)}
    wanted = []
    for link in links:
        if link.child_id in above or _is_above(above, link.child_id, link.parent_id):
            continue
        above[link.child_id] = link.parent_id
        wanted.append({"child": link.child_id, "parent": link.parent_id})
    for start in range(0, len(wanted), SMALLEST * 4):
        async with unit_of_work(scope):
            await execute_many(
                "UPDATE customer SET parent_id = :parent WHERE id = :child AND parent_id IS NULL",
                wanted[start : start + SMALLEST * 4],
            )
        await asyncio.sleep(PAUSE[dialect()])


def _is_above(above: Mapping[int, int], child_id: int, parent_id: int) -> bool:
    """Whether the child stands above its parent already."""
    at: int | None = parent_id
    while at is not None:
        if at == child_id:
            return True
        at = above.get(at)
    return False


async def _end(scope: Scope, batch_id: int) -> Report:
    async with unit_of_work(scope):
        batch = await _locked(scope, batch_id)
        report = batch.told()
        assert report is not None
        if batch.state == BatchState.TAKING:
            late = [
                finding
                for errors in await values(
                    "SELECT errors FROM import_row WHERE batch_id = :batch AND is_customer AND NOT good",
                    batch=batch_id,
                )
                for finding in msgspec.json.decode(errors, type=list[Finding])
            ]
            report.errors = sorted([*report.errors, *late], key=lambda found: found.record)[:MOST_FINDINGS]
            report.errors_total += len(late)
            report.refused += len(late)
            report.ok -= len(late)
            await execute(
                "UPDATE import_batch SET state = 'done', report = :report, finished_at = :now WHERE id = :id",
                id=batch_id,
                report=as_json(report),
                now=scope.now(),
            )
            record(scope, CustomersImported(batch_id=batch_id, customers=batch.made))
    return report


# Taking back


async def _take_back(scope: Scope, batch_id: int, total: int, progress: Progress | None) -> int:
    """Delete the customers of a batch, the latest first; gives how many stay. Who has a reason to stay is not tried;
    who cannot be deleted gets one.
    """
    pace, done = Pace(SMALLEST, LARGEST), 0
    before = 2**63 - 1
    async with unit_of_work(scope):
        await execute(
            "UPDATE customer SET parent_id = NULL WHERE parent_id IN"
            " (SELECT customer_id FROM import_customer WHERE batch_id = :batch)",
            batch=batch_id,
        )
    while True:
        begun = monotonic()
        async with unit_of_work(scope):
            going = await rows(
                _Made,
                "SELECT m.batch_id, m.row_id, m.customer_id FROM import_customer m"
                " WHERE m.batch_id = :batch AND m.customer_id < :before AND (SELECT count(*)"
                f" FROM import_taken t WHERE t.step = '{KEPT_STEP}' AND t.row_id = m.row_id) = 0"
                " ORDER BY m.customer_id DESC LIMIT :size",
                batch=batch_id,
                before=before,
                size=pace.size,
            )
            try:
                async with savepoint():
                    await _delete([each.customer_id for each in going])
            except BrokenReference:
                for each in going:
                    try:
                        async with savepoint():
                            await _delete([each.customer_id])
                    except BrokenReference:
                        await keep_customer(batch_id, each.row_id, _(STAYS))
        if not going:
            sql = f"SELECT count(*) FROM import_taken WHERE batch_id = :batch AND step = '{KEPT_STEP}'"
            return int(await value(sql, batch=batch_id))
        before = going[-1].customer_id
        pace.learn(monotonic() - begun)
        done += len(going)
        if progress is not None:
            await progress(min(done, total), total, _("Taking customers away"))
        await asyncio.sleep(PAUSE[dialect()])


async def _delete(customer_ids: Sequence[int]) -> None:
    if customer_ids:
        await execute("DELETE FROM import_customer WHERE customer_id IN :ids", ids=list(customer_ids))
        await execute("DELETE FROM customer WHERE id IN :ids", ids=list(customer_ids))


def as_json(value: object) -> str:
    """As it stands in a column of text."""
    return msgspec.json.encode(value).decode()
