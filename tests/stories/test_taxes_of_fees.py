"""Tax of what is charged or kept beside prices: late fees, and credit that is forfeited (ledger.md, rows 18 and 23)."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import msgspec
import pytest

from core.billing.actions import withdraw_subscription
from core.billing.actions.dunning import run_dunning, save_step
from core.billing.actions.late_fees import list_late_fees
from core.billing.dunning import StepFields, list_steps
from core.billing.settings import BillingSettings
from core.billing.verify import verify
from core.catalog.actions import create_tax_category
from core.catalog.schemas import NewTaxCategory
from core.customers.actions import change_customer
from core.customers.queries import get_customer
from core.customers.schemas import BillingData
from core.database import value
from core.errors import Conflict, Invalid
from core.reports.taxes import TaxLine, tax_report
from core.settings.actions import save_form
from tests.books import day

if TYPE_CHECKING:
    from tests.stories.story import Story


async def is_late(story: Story, fee_tax: str) -> int:
    """An invoice of 30.00 that is overdue, and the one that its fee of 5.00 stands on."""
    await story.begins("2027-04-01", billing_emails=["pay@adler.example"])
    await story.taxes(200_000)
    await story.bills(fee_tax=fee_tax)
    await story.becomes("active")
    await story.is_invoiced(("Line", 2500), terms_days=14)
    first = (await list_steps())[0]
    await save_step(story.scope, StepFields(days=first.days, message="payment_reminder", fee_minor=500), first.id)
    story.on("2027-04-19")
    await run_dunning(story.scope, pause=0)
    await story.bill()
    return (await story.last_document()).id


async def test_a_late_fee_is_outside_vat_unless_the_tenant_says_otherwise(story: Story) -> None:
    fee = await story.document(await is_late(story, "outside"))

    assert (fee.net_minor, fee.tax_minor, fee.total_minor) == (500, 0, 500)
    assert [each.category for each in fee.taxes] == ["O"]
    assert await story.books("4100") == ["-5.00"]


async def test_a_late_fee_with_vat_is_what_was_told_in_all_and_goes_back_with_its_tax(story: Story) -> None:
    fee_id = await is_late(story, "standard")
    fee = await story.document(fee_id)

    in_books = await story.books("4100", "2200", "1100")
    report = await tax_report("EUR", day("2027-04-01"), day("2027-04-30"))
    late = int(await value("SELECT document_id FROM dunning_event"))
    whole = await list_late_fees(late)
    await story.credits(fee_id, 240)
    part, left = await story.books("4100", "2200"), await list_late_fees(late)
    await story.voids(fee_id)

    # 5.00 with 20 % in it; 5.00 of tax are of the invoice before
    assert (fee.net_minor, fee.tax_minor, fee.total_minor) == (417, 83, 500)
    assert in_books == ["-4.17", "-5.83", "35.00"]
    assert [(each.part, each.net_minor, each.tax_minor) for each in report.lines] == [("home", 2917, 583)]
    assert report.other_minor == 0
    assert part == ["-2.17", "-5.43"]
    assert [each.amount_minor for each in (*whole, *left)] == [500, 260], "as a plan tells what it takes back"
    assert await story.books("4100", "2200") == ["0.00", "-5.00"]
    assert await verify(story.scope) == []


async def test_what_is_nothing_but_a_fee_with_vat_has_no_fee_of_its_own_also_where_it_is_rounded_up(
    story: Story,
) -> None:
    await story.begins("2027-04-01", billing_emails=["pay@adler.example"])
    await story.taxes(200_000)
    await story.bills(fee_tax="standard", cash_rounding=("EUR 0.05",))
    await story.becomes("active")
    first = (await list_steps())[0]
    await save_step(story.scope, StepFields(days=first.days, message="payment_reminder", fee_minor=500), first.id)
    for amount in (503, 502):
        await story.is_charged("Late fee", amount, kind="fee", tax_category="standard", tax_inclusive=True)
        await story.bill()
    issued = [await story.document(each) for each in (1, 2)]

    story.on("2027-04-20")
    report = await run_dunning(story.scope, pause=0)

    assert [(each.rounding_minor, each.open_minor) for each in issued] == [(2, 505), (-2, 500)]
    assert (report.steps, report.fees) == (2, 0)


async def forfeits(story: Story, forfeit_tax: str, *, paid: int = 3600) -> None:
    """A subscription of 30.00 with credit of 25.00 of its own."""
    await story.begins("2027-05-01")
    await story.taxes(200_000)
    await story.bills(forfeit_tax=forfeit_tax)
    await story.sells("fibre", 3000)
    await story.subscribes("fibre")
    await story.bill()
    await story.pays(paid)
    await story.credits(1, 2083)
    story.on("2027-05-10")


async def test_P10_forfeited_credit_carries_no_tax_unless_the_tenant_says_so(story: Story) -> None:
    await forfeits(story, "outside")

    given_up = await withdraw_subscription(story.scope, 1)

    assert (given_up.forfeited_minor, given_up.forfeited_tax_minor) == (2500, 0)
    assert await story.books("4200", "2200") == ["-25.00", "-1.83"]
    assert [each.part for each in (await tax_report("EUR", date(2027, 5, 1), date(2027, 5, 31))).lines] == ["home"]


async def test_P10_forfeited_credit_carries_the_tenants_tax_where_it_says_so(story: Story) -> None:
    await forfeits(story, "standard")

    given_up = await withdraw_subscription(story.scope, 1)

    # 25.00 with 20 % in it, beside 6.00 - 4.17 of the invoice
    assert (given_up.forfeited_minor, given_up.forfeited_tax_minor) == (2500, 417)
    assert await story.books("4200", "2200", "2000") == ["-20.83", "-6.00", "0.00"]
    report = await tax_report("EUR", date(2027, 5, 1), date(2027, 5, 31))
    assert report.lines[-1] == TaxLine("forfeited", "AT", "S", 200_000, 1, 2083, 417)
    assert (report.tax_minor, report.booked_minor, report.other_minor) == (600, 600, 0)
    assert await verify(story.scope) == []


async def test_P10_who_is_charged_no_tax_forfeits_none(story: Story) -> None:
    await forfeits(story, "standard")
    before = await get_customer(story.scope, story.customer)
    await change_customer(
        story.scope, story.customer, BillingData(tax_profile="exempt", tax_reason="A school"), version=before.version
    )

    given_up = await withdraw_subscription(story.scope, 1)

    assert (given_up.forfeited_minor, given_up.forfeited_tax_minor) == (2500, 0)


async def test_P10_without_a_rate_nothing_is_forfeited_and_it_says_what_is_missing(story: Story) -> None:
    await create_tax_category(story.scope, NewTaxCategory(code="special", name="Special"))
    await forfeits(story, "special")

    with pytest.raises(Conflict, match="no tax rate"):
        await withdraw_subscription(story.scope, 1)

    assert await story.state_of(1) == "active"


@pytest.mark.parametrize("field", ["fee_tax", "forfeit_tax"])
async def test_a_tax_category_that_is_none_is_told_where_it_is_typed(story: Story, field: str) -> None:
    typed = {name: str(value) for name, value in msgspec.to_builtins(BillingSettings()).items()}

    with pytest.raises(Invalid) as told:
        await save_form(story.scope, BillingSettings, {**typed, "cash_rounding": "", field: "nowhere"})

    assert [each.field for each in told.value.errors] == [field]
