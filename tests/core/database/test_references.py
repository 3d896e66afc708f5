"""Whoever deletes a row is asked about by every table that refers to it: without an index by reading all of that."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest
from msgspec import Struct

import core
from core.database import dialect, rows
from core.testing import TestTenant, installed

pytestmark = [pytest.mark.anyio, pytest.mark.plugins(*installed())]

SMALL: Final = {
    "passkey_challenge.staff_id": "minutes old at most",
    "portal_visit.staff_id": "staff are deleted one by one, before they ever came",
    "status_transition.to_id": "a few dozen",
    "inventory_import.location_id": "one a delivery, and a location is deleted one by one",
    "inventory_product.photo_file_id": "one a model",
}
"""What may be read whole for each row that is deleted, and why."""


class Reference(Struct, frozen=True):
    """A foreign key. `led`: an index begins with its column and has a row for each that refers."""

    child: str
    column: str
    parent: str
    cascades: bool
    led: bool


REFERENCES: Final = {
    "sqlite": """
        SELECT m.name AS child, f."from" AS column, f."table" AS parent, f.on_delete = 'CASCADE' AS cascades,
               EXISTS (SELECT 1 FROM pragma_table_info(m.name) t WHERE t.name = f."from" AND t.pk = 1)
               OR EXISTS (SELECT 1 FROM pragma_index_list(m.name) i, pragma_index_info(i.name) x
                   LEFT JOIN sqlite_master s ON s.type = 'index' AND s.name = i.name
                   WHERE x.seqno = 0 AND x.name = f."from"
                     AND (i.partial = 0 OR s.sql LIKE '%WHERE ' || f."from" || ' IS NOT NULL')) AS led
        FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' AND f.seq = 0 ORDER BY 1, 2""",
    "postgresql": """
        SELECT CAST(c.relname AS text) AS child, CAST(a.attname AS text) AS column, CAST(p.relname AS text) AS parent,
               f.confdeltype = 'c' AS cascades,
               EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = f.conrelid AND i.indkey[0] = f.conkey[1]
                   AND (i.indpred IS NULL
                     OR pg_get_expr(i.indpred, i.indrelid) = '(' || a.attname || ' IS NOT NULL)')) AS led
        FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class p ON p.oid = f.confrelid
        JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
        WHERE f.contype = 'f' AND f.connamespace = CAST(current_schema() AS regnamespace) ORDER BY 1, 2""",
}


def deleted_by_the_product() -> set[str]:
    """The tables that a statement of the product deletes rows of."""
    root = Path(core.__file__).parents[1]
    found: set[str] = set()
    for folder in ("core", "plugins", "tenants"):
        for path in (root / folder).rglob("*.py"):
            if "migrations" not in path.parts:
                found |= set(re.findall(r"DELETE FROM (\w+)", path.read_text()))
    return found


async def test_what_is_deleted_is_found_by_an_index_in_every_table_that_refers_to_it(tenant: TestTenant) -> None:
    references = await rows(Reference, REFERENCES[dialect()])
    going = deleted_by_the_product()
    while more := {one.child for one in references if one.cascades and one.parent in going} - going:
        going |= more

    read_whole = {f"{one.child}.{one.column}" for one in references if one.parent in going and not one.led}

    assert len(references) > 100
    assert {"customer", "document", "charge"} <= going
    assert read_whole == set(SMALL)
