"""Goodwill: what it is meant for it pays first, then the oldest due and new invoices; it can be taken back."""

from __future__ import annotations

import pytest

from core.billing import queries
from core.billing.actions import grant_credit, reverse_grant
from core.billing.verify import verify
from core.database import value
from core.errors import Conflict, Invalid
from core.ledger.queries import get_balance
from tests.books import a_customer
from tests.stories.story import Story

pytestmark = pytest.mark.anyio


async def tax_booked() -> int:
    return int(
        await value(
            "SELECT CAST(coalesce(sum(p.amount_minor), 0) AS bigint) FROM posting p"
            " JOIN account a ON a.id = p.account_id WHERE a.code = '2200'"
        )
    )


async def open_of(story: Story, document_id: int) -> int:
    return (await queries.get_document(story.scope, document_id)).open_minor


async def two_invoices(story: Story) -> tuple[int, int]:
    """The first is due first."""
    await story.begins("2027-05-01")
    first = await story.is_invoiced(("Repair", 10000))
    await story.days_pass(1)
    return first, await story.is_invoiced(("Move", 20000))


async def test_C10_what_is_meant_for_an_invoice_pays_that_one_first_then_the_oldest_due(story: Story) -> None:
    first, second = await two_invoices(story)
    before, tax = await get_balance(story.scope, story.customer), await tax_booked()
    total_of_second = await open_of(story, second)

    await grant_credit(story.scope, story.customer, total_of_second + 500, "The line was down", document_id=second)

    assert await open_of(story, second) == 0
    assert await open_of(story, first) == before.receivable_minor - total_of_second - 500
    after = await get_balance(story.scope, story.customer)
    assert after.balance_minor == before.balance_minor + total_of_second + 500
    assert await tax_booked() == tax
    assert await verify(story.scope, thorough=True) == []


async def test_C10_free_credit_pays_the_oldest_due_and_new_invoices_as_they_are_issued(story: Story) -> None:
    first, second = await two_invoices(story)
    owed = await open_of(story, first)

    await grant_credit(story.scope, story.customer, owed + 100, "Sorry")
    assert (await open_of(story, first), await open_of(story, second)) == (0, await total_of(second) - 100)
    await grant_credit(story.scope, story.customer, await open_of(story, second) + 700, "Sorry again")
    third = await story.is_invoiced(("Cable", 1000))

    assert await open_of(story, third) == await total_of(third) - 700
    assert (await get_balance(story.scope, story.customer)).credit_minor == 0


async def total_of(document_id: int) -> int:
    return int(await value("SELECT total_minor FROM document WHERE id = :id", id=document_id))


async def test_C10_goodwill_that_is_taken_back_opens_what_it_paid_and_mirrors_its_posting(story: Story) -> None:
    first, _second = await two_invoices(story)
    before, tax = await get_balance(story.scope, story.customer), await tax_booked()
    credit_id = await grant_credit(story.scope, story.customer, 4000, "By mistake", document_id=first)

    assert await reverse_grant(story.scope, credit_id, "It was another customer") == 4000

    assert await get_balance(story.scope, story.customer) == before
    assert await open_of(story, first) == await total_of(first)
    assert await tax_booked() == tax
    uses = [(use.kind, use.amount_minor) for use in await queries.list_credit_uses(story.scope, [credit_id])]
    assert uses == [("allocation", 4000), ("allocation", -4000), ("reversal", 4000)]
    assert await verify(story.scope, thorough=True) == []
    with pytest.raises(Conflict, match="Nothing of this credit is left"):
        await reverse_grant(story.scope, credit_id, "Again")
    assert await get_balance(story.scope, story.customer) == before


async def test_C10_goodwill_is_granted_for_what_is_this_customers_and_open(story: Story) -> None:
    first, _second = await two_invoices(story)
    other = await a_customer(story.scope, "Bea")

    with pytest.raises(Invalid, match="an invoice of this customer"):
        await grant_credit(story.scope, other, 100, "For a friend", document_id=first)
    await grant_credit(story.scope, story.customer, await open_of(story, first), "All of it", document_id=first)
    with pytest.raises(Invalid, match="that is open"):
        await grant_credit(story.scope, story.customer, 100, "Once more", document_id=first)
    await story.sells("fibre", 3000)
    theirs = await story.subscribes("fibre")
    await grant_credit(story.scope, story.customer, 100, "For the plan", subscription_id=theirs)
    assert await value("SELECT subscription_id FROM credit_entry ORDER BY id DESC LIMIT 1") == theirs
    with pytest.raises(Invalid, match="a subscription that this customer pays for"):
        await grant_credit(story.scope, story.customer, 100, "For none", subscription_id=77)
