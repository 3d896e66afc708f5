"""Deposits: held beside the balance, applied to it, paid back (row 24 of the table of postings)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.billing.actions.prepaid import start
from core.database import Refused, execute, value
from core.errors import Conflict, Invalid
from core.ledger.queries import get_balance
from core.payments.deposits import (
    Application,
    NewDeposit,
    Repayment,
    apply_deposit,
    get_deposit,
    held_deposits,
    pay_deposit_back,
    receive_deposit,
)
from core.payments.statements import statement_of
from core.subscriptions.schemas import NewSubscription
from tests.books import day

if TYPE_CHECKING:
    from tests.stories.story import Story


async def deposits(story: Story, amount_minor: int, **fields: object) -> int:
    data = NewDeposit(customer_id=story.customer, amount_minor=amount_minor, **fields)  # type: ignore[arg-type]  # as told
    return await receive_deposit(story.scope, data)


async def test_B4_a_deposit_is_held_outside_the_balance_until_it_is_applied(story: Story) -> None:
    await story.begins("2027-05-01")
    deposit = await deposits(story, 10000, reason="Router on loan")
    held = await get_balance(story.scope, story.customer)
    before = await story.books("1200", "2000", "2100")

    await apply_deposit(story.scope, deposit, Application())

    after = await get_balance(story.scope, story.customer)
    assert (held.deposit_minor, held.balance_minor, held.credit_minor) == (10000, 0, 0)
    assert before == ["100.00", "0.00", "-100.00"]
    assert (after.deposit_minor, after.balance_minor, after.credit_minor) == (0, 10000, 10000)
    assert await story.books("1200", "2000", "2100") == ["100.00", "-100.00", "0.00"]
    assert (await get_deposit(story.scope, deposit)).state == "applied"
    await story.expects("deposit_applied", on=["2027-05-01"])
    await story.nothing_more_is_due()


async def test_B4_a_part_of_a_deposit_pays_what_is_open_and_the_rest_goes_back(story: Story) -> None:
    await story.begins("2027-05-01")
    await story.taxes(0)
    invoice = await story.is_invoiced(("Work", 6000))
    deposit = await deposits(story, 10000)

    await apply_deposit(story.scope, deposit, Application(amount_minor=6500))
    await pay_deposit_back(story.scope, deposit, Repayment(method="cash", reason="Router came back"))

    assert (await story.document(invoice)).settlement == "paid"
    assert await story.money() == type(await story.money())("0.00", "5.00", "5.00")
    assert await story.books("1200", "2100") == ["65.00", "0.00"]
    found = await get_deposit(story.scope, deposit)
    assert (found.left_minor, found.state) == (0, "paid_back")
    assert [(each.kind, each.amount_minor) for each in found.uses] == [("applied", 6500), ("paid_back", 3500)]
    with pytest.raises(Conflict, match="Nothing of this deposit"):
        await pay_deposit_back(story.scope, deposit, Repayment())
    await story.nothing_more_is_due()


async def test_B4_no_more_of_a_deposit_than_is_held_and_none_of_tomorrow(story: Story) -> None:
    await story.begins("2027-05-01")
    deposit = await deposits(story, 1000)

    with pytest.raises(Invalid, match=r"At most 10\.00"):
        await apply_deposit(story.scope, deposit, Application(amount_minor=1001))
    with pytest.raises(Invalid, match="future"):
        await deposits(story, 1000, received_on=day("2027-05-02"))
    with pytest.raises(Invalid, match="method"):
        await deposits(story, 1000, method="barter")

    assert (await get_deposit(story.scope, deposit)).left_minor == 1000


async def test_B4_what_became_of_a_deposit_stays_as_it_was_written(story: Story) -> None:
    await story.begins("2027-05-01")
    deposit = await deposits(story, 1000)
    await apply_deposit(story.scope, deposit, Application(amount_minor=400))

    for sql in (
        "UPDATE deposit SET amount_minor = 2000",
        "DELETE FROM deposit",
        "UPDATE deposit_use SET amount_minor = 500",
        "DELETE FROM deposit_use",
    ):
        with pytest.raises(Refused):
            await execute(sql)


async def test_B4_a_deposit_in_another_currency_keeps_its_rate(story: Story) -> None:
    await story.begins("2027-05-01", currency="USD")
    await story.rate("USD", "0.9", "2027-01-01")
    deposit = await deposits(story, 10000)
    await story.rate("USD", "0.5", "2027-05-02")
    story.on("2027-05-03")

    await apply_deposit(story.scope, deposit, Application(amount_minor=3333))
    await pay_deposit_back(story.scope, deposit, Repayment())

    assert await story.books("2100", currency="USD") == ["0.00"]
    assert await story.books("2100", "2000") == ["0.00", "-30.00"]
    await story.nothing_more_is_due()


async def test_B4_a_deposit_that_is_applied_starts_what_waits_for_balance(story: Story) -> None:
    await story.begins("2027-03-01", billing_type="prepaid")
    await story.taxes(0)
    await story.sells("plan", 2000, "day", 10)
    deposit = await deposits(story, 2000)
    await story.pays(2000)
    order = NewSubscription(
        customer_id=story.customer, product_id=story.products["plan"], price_id=story.prices["plan"]
    )
    plan = await start(story.scope, order)
    await story.days_pass(12)
    waits = await story.state_of(plan)

    await apply_deposit(story.scope, deposit, Application())

    assert (waits, await story.state_of(plan)) == ("suspended", "active")
    await story.nothing_more_is_due()


async def test_B4_the_statement_says_what_is_held_at_its_end(story: Story) -> None:
    await story.begins("2027-05-01")
    deposit = await deposits(story, 10000)
    story.on("2027-06-10")
    await apply_deposit(story.scope, deposit, Application(amount_minor=4000))

    may = await statement_of(story.scope, story.customer, day("2027-05-01"), day("2027-05-31"))
    june = await statement_of(story.scope, story.customer, day("2027-06-01"), day("2027-06-30"))

    assert [(part.deposit_minor, part.closing_minor) for part in (*may.parts, *june.parts)] == [
        (10000, 0),
        (6000, -4000),
    ]
    assert [entry.text for entry in june.parts[0].entries] == ["Deposit applied"]
    assert [(each.currency, each.minor) for each in await held_deposits(story.scope, story.customer)] == [("EUR", 6000)]
    assert await value("SELECT count(*) FROM deposit_use") == 1
