"""What the list of staff is sorted and searched by, and who needs a second factor whatever the role says."""

from msgspec import Struct

from core.database.migrations import rewrite_rows, run_sql
from core.ids import sort_key

ID = "2026-11-22T00:01:10"
VERSION = "3"
DESCRIPTION = "lists of staff"

COLUMNS = """
ALTER TABLE staff ADD COLUMN name_key {key} NOT NULL DEFAULT '';
ALTER TABLE staff ADD COLUMN second_factor boolean NOT NULL DEFAULT FALSE;
CREATE INDEX staff_name ON staff (name_key, id);
"""


class _Named(Struct, frozen=True):
    id: int
    name: str


async def forwards() -> None:
    await run_sql(COLUMNS)
    await rewrite_rows(
        _Named,
        "SELECT id, name FROM staff",
        "UPDATE staff SET name_key = :key WHERE id = :id",
        lambda one: {"id": one.id, "key": sort_key(one.name)},
    )
