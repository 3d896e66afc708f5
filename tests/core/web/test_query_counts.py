"""What pages may ask of the database: as many queries as query_counts.json says, however many rows they show."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from core.customers import actions
from core.customers.schemas import NewCustomer
from core.database import watched
from core.testing import TestTenant

BUDGETS: Final[dict[str, int]] = msgspec.json.decode(
    (Path(__file__).parents[2] / "query_counts.json").read_bytes(), type=dict[str, int]
)


async def counts(tenant: TestTenant) -> dict[str, int]:
    page = await tenant.browser()
    found: dict[str, int] = {}
    for address in BUDGETS:
        await page.get(address)  # the first one after the log-in may note that somebody was here
        with watched() as statements:
            answer = await page.get(address)
        assert answer.status_code == 200, f"{address}: {answer.text[:500]}"
        found[address] = len(statements)
    return found


async def add_customers(tenant: TestTenant, many: int) -> None:
    for number in range(many):
        customer_id = await actions.create_customer(
            tenant.scope(),
            NewCustomer(full_name=f"Ann {number}", emails=[f"ann{number}@example.com", "home@example.com"]),
        )
        for note in range(number % 5):
            await actions.add_note(tenant.scope(), customer_id, f"note {note}")
        await actions.add_tag(tenant.scope(), 1, f"tag {number}")


async def test_no_page_asks_more_than_its_budget_nor_more_for_more_rows(tenant: TestTenant) -> None:
    await add_customers(tenant, 2)
    with_few = await counts(tenant)
    await add_customers(tenant, 12)
    with_more = await counts(tenant)

    over = {address: count for address, count in with_few.items() if count > BUDGETS[address]}
    assert not over, "More queries than query_counts.json allows. Ask for less, or raise the budget with a reason."
    assert with_more == with_few
