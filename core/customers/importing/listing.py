"""The list of imports, as it is declared for its page, its exports and the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from core.customers.importing import queries
from core.customers.importing.queries import ImportRow
from core.customers.importing.status import BatchState
from core.customers.tables import ImportBatch
from core.database import dialect
from core.lists.columns import Condition, ListChoice, ListColumn
from core.lists.drawing import pill
from core.lists.listing import Choices, Listing
from core.texts import N_, _

if TYPE_CHECKING:
    from markupsafe import Markup

    from core.lists.drawing import Given
    from core.scope import Scope

STATES: Final = {
    BatchState.NEW: (N_("Not checked yet"), "new"),
    BatchState.CHECKED: (N_("Not imported yet"), "new"),
    BatchState.TAKING: (N_("Import begun"), "warn"),
    BatchState.DONE: (N_("Imported"), "live"),
    BatchState.UNDOING: (N_("Undo begun"), "warn"),
    BatchState.UNDONE: (N_("Undone"), "ended"),
}
NEVER: Final = "'1970-01-01 00:00:00.000000+00:00'"
"""Where an import stands in an order that is not over: as an instant is kept."""


async def import_choices(scope: Scope, address: Mapping[str, str]) -> Choices:
    """What columns of choices can be filtered by."""
    return {"state": [ListChoice(key.value, label, key.value) for key, (label, __) in STATES.items()]}


def import_search(typed: str) -> Condition:
    """By any part of the file's name."""
    like = "ILIKE" if dialect() == "postgresql" else "LIKE"
    sought = "".join(f"~{one}" if one in "%_~" else one for one in typed)
    return Condition(f"import_batch.file_name {like} :file_with ESCAPE '~'", {"file_with": f"%{sought}%"})


def _state(row: ImportRow, given: Given) -> Markup:
    label, kind = STATES[row.state]
    return pill(_(label), kind)


IMPORTS: Final = Listing(
    key="imports",
    href="/customers/import",
    permission="customers.create",
    title=N_("Earlier imports"),
    noun="import",
    placeholder=N_("Name of the file"),
    none=(N_("No imports yet"), N_("Each file stands here with what became of it, and can be undone.")),
    no_match=N_("No import matches"),
    table=ImportBatch,
    into=ImportRow,
    select=queries.IMPORTS,
    sort="-id",
    search=import_search,
    choices=import_choices,
    link=lambda row: f"/customers/import/{row.id}",
    name_of=lambda row: row.file_name,
    columns=(
        ListColumn(key="file", label=N_("File"), expr="import_batch.file_name", field="file_name", cls="t-clip wide"),
        ListColumn(
            key="begun",
            label=N_("When"),
            expr="import_batch.created_at",
            kind="datetime",
            field="created_at",
            role="c-meta",
        ),
        ListColumn(key="by", label=N_("By"), expr="import_batch.made_by", field="made_by"),
        ListColumn(
            key="made", label=N_("Customers"), expr="import_batch.made", kind="number", field="made", role="c-amount"
        ),
        ListColumn(
            key="state",
            label=N_("State"),
            expr="import_batch.state",
            kind="choice",
            role="c-status",
            value=lambda row: _(STATES[row.state][0]),
            cell=_state,
        ),
        ListColumn(key="kept", label=N_("Not taken away"), expr="import_batch.kept", kind="number", shown=False),
        ListColumn(
            key="ended",
            label=N_("Ended"),
            expr="import_batch.finished_at",
            by=f"coalesce(import_batch.finished_at, {NEVER})",
            kind="datetime",
            field="finished_at",
            shown=False,
        ),
        ListColumn(key="id", label=N_("Id"), expr="import_batch.id", kind="number", shown=False),
    ),
)
