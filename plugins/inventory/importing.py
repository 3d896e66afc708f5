"""Items from a file: what its columns mean, what is wrong with which row, and taking over what is right."""

from __future__ import annotations

import asyncio
import re
import tempfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.database import execute, row, rows, value
from core.documents.files import get_file, read_file, remove_file, store_file
from core.errors import Conflict, Invalid, NotFound
from core.jobs.actions import enqueue
from core.jobs.kinds import Job, JobKind
from core.lists.reading import Limits, Record, Table, UnreadableFile, header_key, open_table
from core.texts import N_, _
from core.web.amounts import typed_amount
from core.web.reach import check_sees_everyone
from plugins.inventory.actions import add_item
from plugins.inventory.events import InventoryImportTaken
from plugins.inventory.identifiers import check_mac, one_line, serial_key
from plugins.inventory.queries import get_location
from plugins.inventory.schemas import NewItem
from plugins.inventory.status import Condition

if TYPE_CHECKING:
    from core.scope import Scope

MOST_RECORDS: Final = 20_000
SHOWN: Final = 200
"""Faults that a report lists; all are counted."""
CHUNK: Final = 100
"""Items of one unit of work."""
LIMITS: Final = Limits(file_bytes=20 << 20, unpacked_bytes=200 << 20, records=MOST_RECORDS, columns=100)
FIELDS: Final = {
    "product": N_("Product"),
    "vendor": N_("Vendor"),
    "serial": N_("Serial number"),
    "mac": N_("MAC address"),
    "barcode": N_("Barcode"),
    "location": N_("Location"),
    "condition": N_("Condition"),
    "cost": N_("Cost price"),
    "bought_on": N_("Bought on"),
    "note": N_("Note"),
}
_NAMES: Final = {
    "product": (
        "product model name device item producttype productname modelname type hardware"
        " produkt produktname modell modellname gerat geratetyp artikel artikelname bezeichnung typ"
    ),
    "vendor": "vendor manufacturer brand make maker supplier hersteller marke lieferant fabrikat",
    "serial": "serial serialnumber serialno serialnr sn snr seriennummer seriennr geratenummer",
    "mac": "mac macaddress macaddr hwaddress physicaladdress macadresse",
    "barcode": (
        "barcode code assettag asset assetnumber inventorynumber inventoryno tag sku ean strichcode inventarnummer"
        " inventarnr"
    ),
    "location": "location warehouse place store stocklocation storage site depot lager lagerort standort",
    "condition": "condition shape zustand",
    "cost": (
        "cost costprice purchaseprice purchasecost price unitprice buyprice einkaufspreis ek ekpreis preis kaufpreis"
    ),
    "bought_on": (
        "boughton bought purchasedate purchasedon purchased dateofpurchase date gekauftam kaufdatum einkaufsdatum"
        " anschaffungsdatum datum"
    ),
    "note": "note notes comment comments remark remarks description notiz notizen bemerkung bemerkungen kommentar",
}
COLUMNS: Final = {name: field for field, names in _NAMES.items() for name in names.split()}
"""Names of columns, without case, blanks and signs, and the field that each is."""
_CONDITIONS: Final = {"": "new", "neu": "new", "gebraucht": "used", "defekt": "broken", "kaputt": "broken"}
"""What a condition is called beside its own name."""
LENGTHS: Final = {"product": 120, "vendor": 120, "serial": 120, "barcode": 80, "location": 120, "note": 2000}


class Fault(Struct, frozen=True):
    """What is wrong in a row: its line in the file, the column as it is called there, and what stands in it."""

    line: int
    column: str
    value: str
    message: str


class Report(Struct, frozen=True):
    """What would come of a file. `columns` are those of the file with the field each goes to, "" for none."""

    records: int
    good: int
    errors: int
    faults: list[Fault]
    columns: list[tuple[str, str]]


class ImportRow(Struct, frozen=True):
    """A file of items: checked, being taken over, or done."""

    id: int
    state: str
    file_name: str
    file_id: int | None
    location_id: int | None
    report: str
    job_id: int | None
    made: int
    made_by: str
    created_at: datetime

    def told(self) -> Report:
        return msgspec.json.decode(self.report, type=Report) if self.report else Report(0, 0, 0, [], [])


_IMPORT: Final = (
    "SELECT id, state, file_name, file_id, location_id, report, job_id, made, made_by, created_at FROM inventory_import"
)


async def list_imports(scope: Scope, *, before: int | None = None, limit: int = 10) -> list[ImportRow]:
    """The latest first."""
    check_sees_everyone(scope)
    return await rows(
        ImportRow, f"{_IMPORT} WHERE id < :before ORDER BY id DESC LIMIT :limit", before=before or 2**62, limit=limit
    )


async def get_import(scope: Scope, import_id: int) -> ImportRow:
    check_sees_everyone(scope)
    found = await row(ImportRow, f"{_IMPORT} WHERE id = :id", id=import_id)
    if found is None:
        raise NotFound(f"import {import_id}")
    return found


# -- the dry run ------------------------------------------------------------------------------------------------------


async def check_file(scope: Scope, data: bytes, *, name: str, location_id: int | None = None) -> int:
    """Keep a file and say what would come of it; gives the import's id. Nothing becomes an item yet.

    `location_id` is where the items go that name no location. Raises Invalid where it is no table, or has no columns
    for product and serial number.
    """
    check_sees_everyone(scope)
    if location_id is not None:
        try:
            await get_location(location_id)
        except NotFound:
            raise Invalid(_("Choose a location of the list."), field="location_id") from None
    table, records = await _read(data)
    checked = await _check(scope, table, records)
    file = await store_file(scope, data, name=name, media_type="application/octet-stream")
    async with unit_of_work(scope):
        return int(
            await value(
                "INSERT INTO inventory_import (state, file_name, file_id, location_id, report, made_by, created_at)"
                " VALUES ('checked', :name, :file_id, :location_id, :report, :by, :now) RETURNING id",
                name=name[:200],
                file_id=file.id,
                location_id=location_id,
                report=msgspec.json.encode(checked.report).decode(),
                by=scope.actor.name,
                now=scope.now(),
            )
        )


async def _read(data: bytes) -> tuple[Table, list[Record]]:
    """The table and its records, read in a thread."""

    def read() -> tuple[Table, list[Record]]:
        with tempfile.NamedTemporaryFile(prefix="tenantry-items-") as file:
            file.write(data)
            file.flush()
            table = open_table(Path(file.name), header_score=_known_names, limits=LIMITS)
            return table, list(table.records())

    table, records = await asyncio.to_thread(read)
    fields = {field for field in _laid_out(table) if field}
    missing = [_(FIELDS[field]) for field in ("product", "serial") if field not in fields]
    if missing:
        there = ", ".join(table.headers[:12])
        raise UnreadableFile(
            _(
                "There is no column for %(missing)s. The file has: %(there)s.",
                missing=", ".join(missing),
                there=there,
            )
        )
    return table, records


def _known_names(cells: Sequence[str]) -> int:
    return sum(header_key(cell) in COLUMNS for cell in cells)


def _laid_out(table: Table) -> list[str]:
    """The field of each column; the first column of a field has it."""
    taken: set[str] = set()
    fields = []
    for header in table.headers:
        field = COLUMNS.get(header_key(header), "")
        fields.append("" if field in taken else field)
        taken.add(field)
    return fields


class _Checked(Struct, frozen=True):
    report: Report
    items: list[tuple[int, NewItem]]
    """Those that are right, with their lines."""


async def _check(scope: Scope, table: Table, records: Iterable[Record], import_id: int = 0) -> _Checked:
    """Judge each record by itself, against those before it in the file, and against the items that are there."""
    fields = _laid_out(table)
    names = {field: header for field, header in zip(fields, table.headers, strict=True) if field}
    judge = _Judge(scope.tenant.currency, scope.locale, names)
    for one in records:
        judge.take(one, fields)
    await judge.against_items(import_id)
    faults = sorted(judge.faults, key=lambda one: one.line)
    report = Report(
        records=judge.records,
        good=len(judge.items),
        errors=len(faults),
        faults=faults[:SHOWN],
        columns=[(header, FIELDS.get(field, "")) for header, field in zip(table.headers, fields, strict=True)],
    )
    return _Checked(report, sorted(judge.items.items()))


class _Judge:
    """Reads records and remembers what is wrong."""

    def __init__(self, currency: str, locale: str, names: dict[str, str]) -> None:
        self._currency, self._locale, self._names = currency, locale, names
        self.records = 0
        self.faults: list[Fault] = []
        self.items: dict[int, NewItem] = {}
        """By line."""
        self._seen: dict[tuple[str, str], int] = {}

    def take(self, one: Record, fields: Sequence[str]) -> None:
        self.records += 1
        if one.fault:
            self.faults.append(Fault(one.line, "", "", one.fault))
            return
        cells = {field: cell for field, cell in zip(fields, one.cells, strict=True) if field}
        before = len(self.faults)
        item = self._item(one.line, cells)
        if len(self.faults) == before and item is not None:
            self.items[one.line] = item

    def _item(self, line: int, cells: dict[str, str]) -> NewItem | None:
        def wrong(field: str, message: str) -> None:
            self.faults.append(
                Fault(line, self._names.get(field, _(FIELDS[field])), cells.get(field, "")[:100], message)
            )

        for field in ("product", "serial"):
            if not one_line(cells.get(field, "")):
                wrong(field, _("This is missing."))
        for field, longest in LENGTHS.items():
            if len(cells.get(field, "")) > longest:
                wrong(field, _("Use at most %(longest)s characters.", longest=longest))
        mac: str | None = None
        try:
            mac = check_mac(cells.get("mac", ""))
        except Invalid as error:
            wrong("mac", error.message)
        condition = cells.get("condition", "").strip().lower()
        condition = _CONDITIONS.get(condition, condition)
        if condition not in set(Condition):
            wrong("condition", _("It is one of new, used and broken."))
        cost: int | None = None
        if text := cells.get("cost", ""):
            try:
                cost = typed_amount(text, self._currency, self._locale)
            except Invalid as error:
                wrong("cost", error.message)
        bought_on: date | None = None
        if text := cells.get("bought_on", ""):
            bought_on = _day(text)
            if bought_on is None:
                wrong("bought_on", _("Write a day as 2026-11-30."))
        keys = {
            "serial": serial_key(cells.get("serial", "")),
            "mac": mac,
            "barcode": serial_key(cells.get("barcode", "")),
        }
        for field, key in keys.items():
            if key and (first := self._seen.setdefault((field, key), line)) != line:
                wrong(field, _("It is in line %(first)s already.", first=first))
        try:
            return msgspec.convert(
                {
                    **{
                        name: one_line(cells.get(name, ""))
                        for name in ("product", "vendor", "serial", "barcode", "location")
                    },
                    "mac": mac or "",
                    "condition": condition,
                    "cost_minor": cost,
                    "bought_on": bought_on,
                    "note": cells.get("note", ""),
                },
                NewItem,
            )
        except msgspec.ValidationError:
            return None  # what is wrong has been said above, by column

    async def against_items(self, import_id: int) -> None:
        """What other items are known by already."""
        lines = {key: line for key, line in self._seen.items() if line in self.items}
        for field, column in (("serial", "serial_key"), ("mac", "mac"), ("barcode", "barcode_key")):
            keys = [key for kind, key in lines if kind == field]
            for start in range(0, len(keys), 500):
                for there in await rows(
                    _There,
                    f"SELECT {column} AS key, id FROM inventory_item WHERE {column} IN :keys"
                    " AND coalesce(import_id, 0) <> :import_id",
                    keys=keys[start : start + 500],
                    import_id=import_id or -1,
                ):
                    self._is_there(field, lines[field, there.key], there.id)

    def _is_there(self, field: str, line: int, item_id: int) -> None:
        item = self.items.pop(line, None)
        shown = getattr(item, field) if item is not None else ""
        self.faults.append(
            Fault(line, self._names.get(field, _(FIELDS[field])), shown, _("Item %(id)s has it already.", id=item_id))
        )


class _There(Struct, frozen=True):
    key: str
    id: int


_DAYS: Final = (
    (re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ].*)?"), (1, 2, 3)),
    (re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})"), (3, 2, 1)),
)
"""Only forms that can be read in one way: with slashes nobody knows which is the month."""


def _day(text: str) -> date | None:
    for pattern, (year, month, day) in _DAYS:
        if found := pattern.fullmatch(text.strip()):
            try:
                return date(int(found[year]), int(found[month]), int(found[day]))
            except ValueError:
                return None
    return None


# -- taking over ------------------------------------------------------------------------------------------------------


class OfImport(Struct, frozen=True):
    import_id: int


class Imported(Struct, frozen=True):
    items: int


async def start_import(scope: Scope, import_id: int) -> None:
    """Let what is right in a file become items. Conflict where nothing is, or it was started."""
    async with unit_of_work(scope):
        found = await get_import(scope, import_id)
        if found.state != "checked":
            raise Conflict(_("This file has been imported. Choose another one."))
        if not found.told().good:
            raise Conflict(_("No row of this file can become an item. Correct it and bring it again."))
        job_id = await enqueue(scope, TAKE_IMPORT, OfImport(import_id))
        await execute(
            "UPDATE inventory_import SET state = 'taking', job_id = :job_id WHERE id = :id", job_id=job_id, id=import_id
        )


async def discard_import(scope: Scope, import_id: int) -> None:
    """Forget a file of which nothing was taken over."""
    async with unit_of_work(scope):
        found = await get_import(scope, import_id)
        if found.state != "checked":
            raise Conflict(_("This file has been imported: its items are in the stock."))
        await execute("DELETE FROM inventory_import WHERE id = :id", id=import_id)
        if found.file_id is not None:
            await remove_file(scope, found.file_id)


async def take_import(scope: Scope, job: Job[OfImport]) -> Imported:
    """Make the items, some at a time; what an attempt before this one has made is passed over."""
    found = await get_import(scope, job.payload.import_id)
    if found.state == "done" or found.file_id is None:
        return Imported(found.made)
    table, records = await _read(await read_file(scope, await get_file(scope, found.file_id)))
    checked = await _check(scope, table, records, found.id)
    place = (await get_location(found.location_id)).name if found.location_id is not None else ""
    done = 0
    for start in range(0, len(checked.items), CHUNK):
        some = checked.items[start : start + CHUNK]
        async with unit_of_work(scope):
            await job.check_claim()
            there = await _made_before(found.id, [item for __, item in some])
            for __, item in some:
                if serial_key(item.serial) not in there:
                    placed = item if item.location else msgspec.structs.replace(item, location=place)
                    await add_item(scope, placed, import_id=found.id)
        done += len(some)
        await job.progress(done, len(checked.items), _("Making items"))
    async with unit_of_work(scope):
        await job.check_claim()
        made = int(await value("SELECT count(*) FROM inventory_item WHERE import_id = :id", id=found.id))
        await execute(
            "UPDATE inventory_import SET state = 'done', made = :made, file_id = NULL WHERE id = :id",
            made=made,
            id=found.id,
        )
        await remove_file(scope, found.file_id)
        record(scope, InventoryImportTaken(inventory_import_id=found.id, made=made))
    return Imported(made)


async def _made_before(import_id: int, items: Sequence[NewItem]) -> set[str]:
    found = await rows(
        _There,
        "SELECT serial_key AS key, id FROM inventory_item WHERE import_id = :id AND serial_key IN :keys",
        id=import_id,
        keys=[serial_key(item.serial) for item in items],
    )
    return {one.key for one in found}


TAKE_IMPORT: Final = JobKind("inventory_import", OfImport, take_import, limit=None, label=N_("Import of hardware"))
