"""What is asked about one customer, subscription or document is found by an index, however many others there are: the
plan of each statement of each such page and of the JSON API, and of the search on top, as SQLite makes it.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from msgspec import Struct

from core.app import migrations_of
from core.database import SHARED, STAFF_ONLY, bind, rows, watched
from core.database.belonging import belonging
from core.testing import TestTenant, installed, tenant_on
from tests.conformance.test_isolation import ASKED, OWNED, PLUGINS, filled, is_behind_the_door
from tests.databases import fresh
from tests.tables import all_tables
from tests.world import World, populate

SETTLED = frozenset({"billing_run", "inventory_model", "inventory_place", "inventory_vendor", "list_view", "staff"})
"""Tables of which each tenant has a few rows, though some belong to a customer."""
OF_ONE = [
    (path, names)
    for method, path, _ in ASKED
    if method == "GET"
    and not path.endswith("/events")
    and (names := set(re.findall(r"\{(\w+):\w+\}", path))) & OWNED
    and not is_behind_the_door(path)
]


class Step(Struct, frozen=True):
    detail: str


@pytest.fixture(scope="module")
async def peopled(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[TestTenant, World]]:
    folder = tmp_path_factory.mktemp("plans")
    async with fresh("sqlite", folder, migrations_of(installed(), PLUGINS)) as database:
        async with tenant_on(database, plugins=PLUGINS, folder=folder) as tenant:
            world = await populate(tenant)
        yield tenant, world


def growing() -> frozenset[str]:
    """Tables that have the more rows the more customers there are."""
    found = {table._meta.tablename for table in all_tables() if belonging(table) not in (SHARED, STAFF_ONLY)}
    return frozenset(found | {"job", "posting", "ledger_transaction", "document_line"}) - SETTLED


async def looks_at_all(text: str, tables: frozenset[str]) -> list[str]:
    """The tables that SQLite would read from end to end for it."""
    if not re.match(r"\s*(SELECT|WITH|UPDATE|DELETE)\b", text) or "stage_" in text:  # what a run works out is its own
        return []
    plan = await rows(Step, f"EXPLAIN QUERY PLAN {text.replace('?', '2')}")
    found = []
    for name in [match[1] for one in plan if (match := re.match(r"SCAN (\w+)$", one.detail))]:
        named = re.search(rf"(?:FROM|JOIN|,)\s+(\w+)\s+(?:AS\s+)?{name}\b", text)
        found.append(named[1] if named and named[1] not in ("SELECT", "AND") else name)
    return [name for name in found if name in tables]


@pytest.mark.parametrize("path", ["/search?q=ann", *(path for path, _ in OF_ONE)])
async def test_what_belongs_to_one_customer_is_found_by_an_index(peopled: tuple[TestTenant, World], path: str) -> None:
    tenant, world = peopled
    tables = growing()
    with bind(tenant.database):
        client = await tenant.api() if path.startswith("/api/") else await tenant.browser()
        with watched() as seen:
            answer = await client.get(filled(path, world))
        wrong = {text: found for text in seen if (found := await looks_at_all(text, tables))}

    assert answer.status_code < 500
    assert not wrong, "\n".join(f"{found}: {' '.join(text.split())[:600]}" for text, found in wrong.items())
