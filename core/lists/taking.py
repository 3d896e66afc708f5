"""Files of rows that were ticked: what a deed on many rows makes of those that it was done to."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_STORED, ZipFile

from litestar.response import Stream

from core.errors import Conflict, NotFound
from core.hooks import BulkAction, BulkFile, Effect, NothingToAsk
from core.lists.bulk import get_action
from core.lists.bulk_queries import done_rows, get_run
from core.lists.bulk_status import RunState
from core.lists.drawing import drawing_of, export_columns, export_lines
from core.lists.exporting import PIECE, TYPES, bound
from core.lists.showing import EXPORT, pick
from core.lists.views import kept_of
from core.lists.writing import Cell, csv_stream
from core.texts import N_, _
from core.web.forms import from_form

if TYPE_CHECKING:
    from core.lists.listing import Listing
    from core.scope import Scope


async def file_answer(scope: Scope, of: Listing[Any], run_id: int) -> Stream:
    """The answer that is the file of a deed's rows. NotFound where it makes none, Conflict while it is not done."""
    run = await get_run(scope, of.key, run_id)
    action = await get_action(scope, of.key, run.action)
    if action.file is None:
        raise NotFound(f"file of bulk run {run_id}")
    ids = await done_rows(scope, of, run)
    if run.state is not RunState.DONE or not ids:
        raise Conflict(_("There is no file yet: it was not done to any row."))
    made = await action.file(scope, from_form(action.form, run.typed()), ids)
    return Stream(
        bound(made.content),
        media_type=made.media_type,
        headers={
            "content-disposition": f'attachment; filename="{made.name}"',
            "x-content-type-options": "nosniff",
        },
    )


async def export_rows(scope: Scope, of: Listing[Any], ids: Sequence[int]) -> BulkFile:
    """These rows as CSV, with the columns that the actor sees of the list."""
    whole = await of.whole(scope)
    asked = whole.asked(scope, {}, {})
    choices = await whole.choices_for(scope, {})
    columns = pick(whole, await kept_of(scope, of.key), None, asked).columns

    async def one_by_one() -> AsyncIterator[Sequence[Cell]]:
        for at in range(0, len(ids), PIECE):
            found = await whole.rows_of(scope, ids[at : at + PIECE])
            drawing = await drawing_of(scope, columns, [one.id for one in found], choices)
            for cells in export_lines(whole, columns, found, drawing):
                yield cells

    return BulkFile(
        name=f"{of.key.replace('.', '-')}-{scope.today().isoformat()}.csv",
        media_type=TYPES["csv"],
        content=csv_stream(export_columns(whole, columns), one_by_one()),
    )


def taking(of: Listing[Any]) -> BulkAction[NothingToAsk]:
    """The deed that takes the rows which are ticked away as CSV."""

    async def told(scope: Scope, form: NothingToAsk, ids: Sequence[int]) -> Mapping[int, Sequence[Effect] | str]:
        there, gone = {one.id for one in await of.rows_of(scope, ids)}, _("It is no longer there.")
        return {one: (Effect(kind="document", text=_("Stands in the file")),) if one in there else gone for one in ids}

    async def made(scope: Scope, form: NothingToAsk, ids: Sequence[int]) -> BulkFile:
        return await export_rows(scope, of, ids)

    return BulkAction(
        key=f"{of.key}.export",
        label=N_("Export"),
        verb=N_("Put into a file"),
        title=N_("Export rows"),
        icon="download",
        permission=EXPORT,
        form=NothingToAsk,
        do_many=told,
        file=made,
        file_label=N_("Download CSV"),
        place=80,
    )


class _Pieces(io.RawIOBase):
    """Takes what a ZIP writes, until it is fetched: nothing of it is kept."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._written += data
        return len(data)

    def taken(self) -> bytes:
        found, self._written = bytes(self._written), bytearray()
        return found


async def zipped(files: AsyncIterator[tuple[str, bytes]]) -> AsyncIterator[bytes]:
    """A ZIP of these names and contents, piece by piece. They are not packed further: PDFs are already."""
    pieces = _Pieces()
    with ZipFile(pieces, "w", ZIP_STORED) as packed:
        async for name, content in files:
            packed.writestr(name, content)
            yield pieces.taken()
    yield pieces.taken()
