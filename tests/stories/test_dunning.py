"""Reminders, blocks and fees of what is overdue, day by day."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from importlib import import_module

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.activity.unit import unit_of_work
from core.billing.actions import create_credit_note, create_draft, dunning, reissue, write_off
from core.billing.actions.dunning import (
    Closed,
    DunningReport,
    NewDispute,
    NewPromise,
    close_dispute,
    open_dispute,
    promise,
    remove_step,
    run_dunning,
    save_step,
    withdraw_promise,
)
from core.billing.dunning import (
    DunningSettings,
    Had,
    NextStep,
    Overdue,
    Step,
    StepFields,
    list_dunning,
    list_pauses,
    list_steps,
    next_step,
    preview,
)
from core.billing.dunning_mail import remind
from core.billing.jobs import dun_daily
from core.billing.queries import list_documents
from core.billing.schemas import NewCreditNote, NewDraft, NewLine, Reissue
from core.billing.verify import verify
from core.customers.actions import anonymise_customer, change_status
from core.customers.queries import get_customer
from core.database import execute, spawn, value, values, watched
from core.errors import Conflict, Invalid, NotFound
from core.jobs.kinds import Claim, Job
from core.jobs.schedules import Scheduled
from core.scope import Scope
from core.settings.actions import save_settings
from tests.books import a_customer, day
from tests.stories.story import Story


async def owes(story: Story, amount_minor: int = 2500, **customer: object) -> int:
    """An active customer with an invoice of Thursday 1 April 2027, due on the 15th: 30.00 with VAT."""
    customer.setdefault("billing_emails", ["pay@adler.example"])
    await story.begins("2027-04-01", **customer)
    await story.becomes("active")
    return await story.is_invoiced(("Line", amount_minor), terms_days=14)


async def dun(story: Story) -> DunningReport:
    return await run_dunning(story.scope, pause=0)


async def days_pass(story: Story, until: str) -> None:
    """Each day is dunned, today and the last one too."""
    while story.today < day(until):
        await dun(story)
        story.on(story.today + timedelta(days=1))
    await dun(story)


async def had(story: Story, document_id: int) -> list[tuple[str, int, str]]:
    """On which day which step, and what it set."""
    return [(str(each.done_on), each.days, each.effect) for each in await list_dunning(story.scope, document_id)]


async def status(story: Story, customer_id: int = 0) -> str:
    return (await get_customer(story.scope, customer_id or story.customer)).status


async def every_day(story: Story, **more: bool) -> None:
    await save_settings(story.scope, DunningSettings(enabled=True, **{"not_at_weekends": False, **more}))  # type: ignore[arg-type]  # switches


async def child_of(story: Story, payer: int, **columns: object) -> int:
    child = await a_customer(story.scope, "Ben Berger", **columns)
    async with unit_of_work(story.scope):
        await execute("UPDATE customer SET payer_id = :payer, parent_id = :payer WHERE id = :id", payer=payer, id=child)
    await change_status(story.scope, child, "active")
    return child


# -- the steps --------------------------------------------------------------------------------------------------------


async def test_B9_an_overdue_invoice_has_each_step_on_its_day_and_never_again(story: Story) -> None:
    invoice = await owes(story)
    await every_day(story)

    await days_pass(story, "2027-06-30")

    assert await had(story, invoice) == [
        ("2027-04-18", 3, ""),
        ("2027-04-25", 10, ""),
        ("2027-04-29", 14, "blocked"),
    ]
    assert await status(story) == "blocked"
    found = await values("SELECT kind FROM message WHERE recipients LIKE '%pay@adler.example%' ORDER BY id")
    assert found == ["payment_reminder", "payment_warning", "service_blocked"]
    await story.expects("dunning_step_done", ["2027-04-18", "2027-04-25", "2027-04-29"])


async def test_day_one_is_the_first_overdue_day(story: Story) -> None:
    invoice = await owes(story)
    await every_day(story)
    await save_step(story.scope, StepFields(days=1))

    story.on("2027-04-15")
    assert (await dun(story)).steps == 0
    story.on("2027-04-16")
    assert (await dun(story)).steps == 1

    assert await had(story, invoice) == [("2027-04-16", 1, "")]


async def test_nobody_is_dunned_before_it_is_switched_on(story: Story) -> None:
    await owes(story)
    story.on("2027-05-30")

    claim = Claim(id=1, kind="dunning_daily", policy="repeatable", payload="{}", actor="{}", attempts=1, fence=1)
    assert await dun_daily(story.scope, Job(story.scope, claim, Scheduled(story.today))) is None

    assert await value("SELECT count(*) FROM dunning_event") == 0
    assert await status(story) == "active"


async def test_what_has_long_been_overdue_when_dunning_begins_has_the_steps_in_their_order_and_apart(
    story: Story,
) -> None:
    invoice = await owes(story)
    await every_day(story)
    story.on("2027-07-01")

    await days_pass(story, "2027-07-31")

    assert await had(story, invoice) == [
        ("2027-07-01", 3, ""),
        ("2027-07-08", 10, ""),
        ("2027-07-12", 14, "blocked"),
    ]


async def test_steps_of_a_week_end_come_on_monday_and_the_next_ones_on_their_own_day(story: Story) -> None:
    invoice = await owes(story)
    await every_day(story, not_at_weekends=True)

    await days_pass(story, "2027-05-10")

    assert await had(story, invoice) == [
        ("2027-04-19", 3, ""),
        ("2027-04-26", 10, ""),
        ("2027-04-29", 14, "blocked"),
    ]


async def test_nothing_is_done_on_a_holiday(story: Story) -> None:
    await owes(story)
    await save_settings(story.scope, DunningSettings(enabled=True, holidays=["2027-04-19"]))
    story.on("2027-04-19")
    assert (await dun(story)).rested
    story.on("2027-04-20")
    assert (await dun(story)).steps == 1


async def test_grace_days_move_what_blocks_and_not_what_reminds(story: Story) -> None:
    invoice = await owes(story, grace_days=10)
    await every_day(story)

    await days_pass(story, "2027-06-01")

    assert await had(story, invoice) == [
        ("2027-04-18", 3, ""),
        ("2027-04-25", 10, ""),
        ("2027-05-09", 14, "blocked"),
    ]


async def test_U5_who_is_above_the_minimum_balance_is_reminded_and_not_blocked(story: Story) -> None:
    invoice = await owes(story, minimum_balance_minor=-5000)
    await every_day(story)
    await days_pass(story, "2027-05-10")
    assert [days for _, days, _ in await had(story, invoice)] == [3, 10]

    await story.is_invoiced(("More", 3000), terms_days=60)
    await days_pass(story, "2027-05-12")

    assert (await had(story, invoice))[-1] == ("2027-05-10", 14, "blocked")
    assert await status(story) == "blocked"


async def test_U5_who_is_never_blocked_is_reminded_alone(story: Story) -> None:
    invoice = await owes(story, never_block=True)
    await every_day(story)

    await days_pass(story, "2027-06-01")

    assert [days for _, days, _ in await had(story, invoice)] == [3, 10]
    assert await status(story) == "active"


async def test_a_status_that_is_not_dunned_gets_no_step(story: Story) -> None:
    await owes(story)
    await every_day(story)
    await story.becomes("inactive")
    await days_pass(story, "2027-05-10")
    assert await value("SELECT count(*) FROM dunning_event") == 0


async def test_an_invoice_that_a_subscription_waits_for_is_not_dunned(story: Story) -> None:
    await story.begins("2027-04-01", billing_emails=["pay@adler.example"])
    await story.becomes("active")
    await story.sells("fibre", 3000)
    _, invoice = await story.asks_for("fibre")
    await every_day(story)
    await days_pass(story, "2027-04-29")
    assert await had(story, invoice) == []


async def test_a_credit_note_is_never_dunned_and_a_credited_invoice_no_more(story: Story) -> None:
    invoice = await owes(story)
    await every_day(story)
    await days_pass(story, "2027-04-20")
    await story.voids(invoice)

    await days_pass(story, "2027-06-01")

    assert [days for _, days, _ in await had(story, invoice)] == [3]
    assert await value("SELECT count(*) FROM dunning_event") == 1


async def test_without_an_address_the_steps_go_on(story: Story) -> None:
    invoice = await owes(story, billing_emails=[])
    await every_day(story)
    await days_pass(story, "2027-05-01")
    assert [days for _, days, _ in await had(story, invoice)] == [3, 10, 14]
    assert await value("SELECT count(*) FROM message") == 0


async def test_a_step_may_end_the_contract(story: Story) -> None:
    await story.begins("2027-04-01", billing_day=1)
    await story.sells("fibre", 3000, timing="arrears")
    fibre = await story.subscribes("fibre", starting="2027-04-01")
    invoice = await story.is_invoiced(("Modem", 9000), terms_days=14)
    await every_day(story)
    await save_step(story.scope, StepFields(days=20, message="", effect="terminated"))

    await days_pass(story, "2027-05-05")

    assert [effect for _, _, effect in await had(story, invoice)] == ["", "", "blocked", "terminated"]
    assert await status(story) == "terminated"
    assert await story.state_of(fibre) == "ended"


# -- lifting ----------------------------------------------------------------------------------------------------------


async def test_U5_payment_of_what_is_overdue_lifts_the_block_at_once(story: Story) -> None:
    invoice = await owes(story)
    await every_day(story)
    await days_pass(story, "2027-05-01")
    assert await status(story) == "blocked"

    await story.pays(2999, invoice)
    assert await status(story) == "blocked"
    await story.pays(1)

    assert await status(story) == "active"
    await story.nothing_more_is_due()


async def test_U5_a_block_by_hand_stays_whatever_is_paid(story: Story) -> None:
    invoice = await owes(story)
    await every_day(story)
    await story.becomes("blocked")
    await days_pass(story, "2027-05-01")
    last = (await list_dunning(story.scope, invoice))[-1]
    assert (last.days, last.effect, last.refused) == (14, "", "It has this status already.")
    kinds = await values("SELECT kind FROM message ORDER BY id")
    assert kinds == ["payment_reminder", "payment_warning", "payment_reminder"], "what was not done is not told"

    await story.pays(3000)

    assert await status(story) == "blocked"


async def test_what_is_overdue_elsewhere_keeps_the_block(story: Story) -> None:
    first = await owes(story)
    second = await story.is_invoiced(("Visit", 2000), terms_days=20)
    await every_day(story)
    await days_pass(story, "2027-05-01")
    assert await status(story) == "blocked"

    await story.pays(3000, first)
    assert await status(story) == "blocked"
    await story.pays(2400, second)

    assert await status(story) == "active"


async def test_what_is_disputed_or_promised_does_not_keep_the_block(story: Story) -> None:
    first = await owes(story)
    disputed = await story.is_invoiced(("Visit", 2000), terms_days=14)
    promised = await story.is_invoiced(("Cable", 1000), terms_days=14)
    await every_day(story)
    await days_pass(story, "2027-05-01")
    await open_dispute(story.scope, disputed, NewDispute(reason="Nobody came"))
    await promise(story.scope, promised, NewPromise(until_on=day("2027-05-20")))
    assert await status(story) == "blocked"

    await story.pays(3000, first)

    assert await status(story) == "active"


async def test_inactive_by_dunning_is_lifted_too(story: Story) -> None:
    invoice = await owes(story)
    await every_day(story)
    (last,) = [step for step in await list_steps() if step.effect]
    await save_step(story.scope, StepFields(days=14, effect="inactive"), last.id)
    await days_pass(story, "2027-05-01")
    assert await status(story) == "inactive"

    await story.pays(3000, invoice)

    assert await status(story) == "active"


async def test_a_written_off_debt_frees_nobody(story: Story) -> None:
    invoice = await owes(story)
    await every_day(story)
    await days_pass(story, "2027-05-01")

    await write_off(story.scope, invoice, "Gone")

    assert await status(story) == "blocked"


async def test_a_payer_is_blocked_with_the_children_on_its_invoice_and_freed_with_them(story: Story) -> None:
    await story.begins("2027-04-01", billing_emails=["pay@adler.example"])
    payer = story.customer
    await story.becomes("active")
    child = await child_of(story, payer)
    spared = await child_of(story, payer, never_block=True)
    other = await child_of(story, payer)
    for one in (child, spared):
        await story.is_charged("Visit", 2000, customer_id=one)
    await story.bill()
    (invoice,) = await list_documents(story.scope, kind="invoice", payer_id=payer)
    await every_day(story)

    await days_pass(story, "2027-05-10")

    assert [await status(story, each) for each in (payer, child, spared, other)] == [
        "blocked", "blocked", "active", "active",
    ]  # fmt: skip
    await story.pays(invoice.total_minor, payer_id=payer)
    assert [await status(story, each) for each in (payer, child)] == ["active", "active"]


async def test_children_are_left_alone_where_it_is_so_set(story: Story) -> None:
    await story.begins("2027-04-01")
    payer = story.customer
    await story.becomes("active")
    child = await child_of(story, payer)
    await story.is_charged("Visit", 2000, customer_id=child)
    await story.bill()
    await every_day(story, block_children=False)
    await days_pass(story, "2027-05-10")
    assert [await status(story, each) for each in (payer, child)] == ["blocked", "active"]


# -- promises and disputes --------------------------------------------------------------------------------------------


async def test_B9_a_promise_to_pay_pauses_that_invoice_and_a_broken_one_goes_on(story: Story) -> None:
    promised = await owes(story)
    other = await story.is_invoiced(("Visit", 2000), terms_days=14)
    await every_day(story)
    await days_pass(story, "2027-04-20")
    await promise(story.scope, promised, NewPromise(until_on=day("2027-05-03"), note="After payday"))

    await days_pass(story, "2027-06-01")

    assert await had(story, promised) == [("2027-04-18", 3, ""), ("2027-05-04", 10, ""), ("2027-05-08", 14, "blocked")]
    assert [on for on, _, _ in await had(story, other)] == ["2027-04-18", "2027-04-25", "2027-04-29"]
    await story.expects("promise_broken", ["2027-05-04"])
    assert await values("SELECT state FROM promise") == ["broken"]


async def test_a_promise_that_is_paid_is_kept_and_one_taken_back_is_dunned_on(story: Story) -> None:
    kept = await owes(story)
    back = await story.is_invoiced(("Visit", 2000), terms_days=14)
    for each in (kept, back):
        await promise(story.scope, each, NewPromise(until_on=day("2027-06-01")))
    await every_day(story)
    await story.pays(3000, kept)
    story.on("2027-04-18")
    assert (await dun(story)).steps == 0

    await withdraw_promise(story.scope, back)

    assert (await dun(story)).steps == 1
    assert await values("SELECT state FROM promise ORDER BY id") == ["kept", "withdrawn"]
    with pytest.raises(Conflict, match="Nothing is promised"):
        await withdraw_promise(story.scope, back)


async def pauses(story: Story, document_id: int) -> list[tuple[str, str, str]]:
    """Promises and disputes of an invoice: how each ended, and when."""
    return [(each.kind, each.state, str(each.closed_on)) for each in await list_pauses(story.scope, document_id)]


async def paused(story: Story, document_id: int) -> None:
    await promise(story.scope, document_id, NewPromise(until_on=day("2027-06-01")))
    await open_dispute(story.scope, document_id, NewDispute(reason="Nobody came"))


async def test_B9_a_promise_is_kept_and_a_dispute_settled_only_where_it_is_paid(story: Story) -> None:
    given_up = await owes(story)
    paid, void, rest_credited, part_credited, again = [
        await story.is_invoiced(("Line", 2500), terms_days=14) for _ in range(5)
    ]
    for each in (given_up, paid, void, rest_credited, part_credited, again):
        await paused(story, each)
    story.on("2027-04-10")

    await write_off(story.scope, given_up, "Gone")
    await story.pays(3000, paid)
    await story.voids(void)
    await story.pays(1800, rest_credited)
    await story.credits(rest_credited, 1000)
    await story.credits(part_credited, 1000)
    await story.pays(1800, part_credited)
    await promise(story.scope, again, NewPromise(until_on=day("2027-06-10")))

    on = "2027-04-10"
    assert await pauses(story, given_up) == [("dispute", "written_off", on), ("promise", "written_off", on)]
    assert await pauses(story, paid) == [("dispute", "settled", on), ("promise", "kept", on)]
    assert await pauses(story, void) == [("dispute", "credited", on), ("promise", "credited", on)]
    assert await pauses(story, rest_credited) == [("dispute", "credited", on), ("promise", "credited", on)]
    assert await pauses(story, part_credited) == [("dispute", "settled", on), ("promise", "kept", on)]
    assert await pauses(story, again) == [
        ("dispute", "open", "None"),
        ("promise", "replaced", on),
        ("promise", "open", "None"),
    ]


async def test_a_void_of_a_paid_invoice_ends_what_paused_it_as_credited(story: Story) -> None:
    invoice = await owes(story)
    await story.pays(1000, invoice)
    await paused(story, invoice)

    await story.voids(invoice)

    assert {state for _, state, _ in await pauses(story, invoice)} == {"credited"}


async def test_what_an_invoice_had_stays_as_it_was_when_the_policy_changes(story: Story) -> None:
    invoice = await owes(story)
    await every_day(story)
    first, *_ = await list_steps()
    await days_pass(story, "2027-04-18")

    await save_step(story.scope, StepFields(days=20, message="payment_warning"), first.id)

    (had_then,) = await list_dunning(story.scope, invoice)
    assert (had_then.days, had_then.message) == (3, "payment_reminder")


async def test_a_step_that_wrote_to_nobody_or_something_else_says_so(story: Story) -> None:
    silent = await owes(story, billing_emails=[])
    await every_day(story)
    await days_pass(story, "2027-04-18")
    assert [each.message for each in await list_dunning(story.scope, silent)] == [""]

    invoice = await owes(story)
    await story.becomes("blocked")
    await days_pass(story, "2027-05-01")

    last = (await list_dunning(story.scope, invoice))[-1]
    assert (last.days, last.message) == (14, "payment_reminder")


async def test_an_upgrade_tells_what_was_sent_and_how_promises_of_before_ended(story: Story) -> None:
    given_up = await owes(story)
    paid, void = [await story.is_invoiced(("Line", 2500), terms_days=14) for _ in range(2)]
    await every_day(story)
    await days_pass(story, "2027-04-18")
    for each in (given_up, paid, void):
        await paused(story, each)
    await write_off(story.scope, given_up, "Gone")
    await story.pays(3000, paid)
    await story.voids(void)
    async with unit_of_work(story.scope):
        await execute("UPDATE dunning_event SET days = 0, message = ''")
        await execute("UPDATE promise SET state = 'kept'")
        await execute("UPDATE dispute SET state = 'settled'")

        await import_module("core.billing.migrations.2026_11_23_0050_dunning_as_it_was").tell_of_before()

    assert [(each.days, each.message) for each in await list_dunning(story.scope, paid)] == [(3, "payment_reminder")]
    for document_id, ended in ((given_up, "written_off"), (void, "credited")):
        assert {state for _, state, _ in await pauses(story, document_id)} == {ended}
    assert {state for _, state, _ in await pauses(story, paid)} == {"kept", "settled"}


async def test_B9_a_dispute_pauses_that_invoice_until_it_is_closed(story: Story) -> None:
    invoice = await owes(story)
    await every_day(story)
    await open_dispute(story.scope, invoice, NewDispute(reason="Nobody came"))
    await days_pass(story, "2027-06-01")
    assert await had(story, invoice) == []
    with pytest.raises(Conflict, match="disputed already"):
        await open_dispute(story.scope, invoice, NewDispute(reason="Again"))

    await close_dispute(story.scope, invoice, Closed(answer="They came"))
    await days_pass(story, "2027-06-05")

    assert await had(story, invoice) == [("2027-06-01", 3, "")]
    with pytest.raises(Conflict, match="not disputed"):
        await close_dispute(story.scope, invoice, Closed(answer="Again"))


async def test_what_cannot_be_promised_is_said(story: Story) -> None:
    invoice = await owes(story)
    with pytest.raises(Invalid, match="within a year"):
        await promise(story.scope, invoice, NewPromise(until_on=day("2027-03-31")))
    with pytest.raises(NotFound):
        await promise(story.scope, 999, NewPromise(until_on=day("2027-05-01")))
    await story.pays(3000)
    with pytest.raises(Conflict, match="Nothing is open"):
        await promise(story.scope, invoice, NewPromise(until_on=day("2027-05-01")))
    with pytest.raises(Conflict, match="Nothing is open"):
        await open_dispute(story.scope, invoice, NewDispute(reason="No"))


async def test_what_was_said_of_an_invoice_goes_with_the_customer_who_is_forgotten(story: Story) -> None:
    invoice = await owes(story)
    await promise(story.scope, invoice, NewPromise(until_on=day("2027-05-20"), note="Ada is in hospital"))
    await open_dispute(story.scope, invoice, NewDispute(reason="Ada was not at home"))
    await close_dispute(story.scope, invoice, Closed(answer="Ada was told"))
    await story.pays(3000, invoice)
    await story.becomes("inactive")

    await anonymise_customer(story.scope, story.customer)

    words = "SELECT note FROM promise UNION SELECT reason FROM dispute UNION SELECT answer FROM dispute"
    assert await values(words) == [""]
    said = "SELECT count(*) FROM activity_value WHERE old LIKE '%Ada%' OR new LIKE '%Ada%'"
    assert await value(said) == 0


# -- fees -------------------------------------------------------------------------------------------------------------


async def with_a_fee(story: Story) -> None:
    first, *_ = await list_steps()
    await save_step(story.scope, StepFields(days=first.days, message="payment_reminder", fee_minor=500), first.id)


async def test_B9_a_late_fee_stands_on_the_next_invoice_outside_vat_and_has_no_fee_of_its_own(story: Story) -> None:
    await story.begins("2027-04-01")
    await story.taxes(200_000)
    await story.becomes("active")
    invoice = await story.is_invoiced(("Line", 3000), terms_days=14)
    await every_day(story)
    await with_a_fee(story)
    await days_pass(story, "2027-04-20")
    await story.pays(3600, invoice)

    await story.bill()
    fee = await story.last_document()

    assert (fee.net_minor, fee.tax_minor, fee.total_minor) == (500, 0, 500)
    assert fee.lines[0].description == f"Late fee for invoice {(await story.document(invoice)).number}"
    assert await story.books("4100") == ["-5.00"]
    await days_pass(story, "2027-06-30")
    assert [days for _, days, _ in await had(story, fee.id)] == [3, 10, 14]
    assert await value("SELECT count(*) FROM charge WHERE kind = 'fee'") == 1
    await story.nothing_more_is_due()


async def test_B9_a_fee_is_turned_into_the_customers_currency_by_the_official_rate(story: Story) -> None:
    await story.begins("2027-04-01", currency="USD")
    await story.becomes("active")
    await story.rate("USD", "0.5", "2027-01-01")
    invoice = await story.is_invoiced(("Line", 3000), terms_days=14)
    await every_day(story)
    await with_a_fee(story)
    await days_pass(story, "2027-04-20")
    (first,) = await list_dunning(story.scope, invoice)
    assert (first.fee_minor, first.currency) == (1000, "USD"), "5.00 EUR at 0.50 EUR a USD"
    await story.bill()
    fee = await story.last_document()
    assert (fee.currency, fee.total_minor, fee.lines[0].kind) == ("USD", 1000, "fee")


async def test_B9_free_credit_that_a_dispute_kept_away_pays_the_invoice_once_it_is_closed(story: Story) -> None:
    invoice = await owes(story)
    await open_dispute(story.scope, invoice, NewDispute(reason="Half of it was down"))
    await story.pays(1000)
    before = await story.document(invoice)
    assert before.open_minor == before.total_minor

    await close_dispute(story.scope, invoice, Closed(answer="It is due"))

    assert (await story.document(invoice)).open_minor == before.total_minor - 1000
    assert (await story.money()).credit == "0.00"
    assert await verify(story.scope) == []


async def test_B9_where_credit_pays_nothing_by_itself_a_closed_dispute_changes_nothing_of_it(story: Story) -> None:
    invoice = await owes(story)
    await open_dispute(story.scope, invoice, NewDispute(reason="Half of it was down"))
    await story.pays(1000)
    await story.bills(use_credit=False)

    await close_dispute(story.scope, invoice, Closed(answer="It is due"))

    assert (await story.money()).credit == "10.00"


# -- the policy -------------------------------------------------------------------------------------------------------


async def test_a_removed_step_is_done_no_more_and_stays_in_the_history(story: Story) -> None:
    invoice = await owes(story)
    await every_day(story)
    await days_pass(story, "2027-04-18")
    first, second, _ = await list_steps()
    await remove_step(story.scope, first.id)
    await remove_step(story.scope, second.id)

    await days_pass(story, "2027-05-10")

    assert await had(story, invoice) == [("2027-04-18", 3, ""), ("2027-04-29", 14, "blocked")]
    with pytest.raises(NotFound):
        await remove_step(story.scope, first.id)


async def test_two_steps_on_one_day_and_one_that_does_nothing_are_refused(story: Story) -> None:
    with pytest.raises(Invalid, match="on this day already"):
        await save_step(story.scope, StepFields(days=3))
    with pytest.raises(Invalid, match="sends a message"):
        await save_step(story.scope, StepFields(days=5, message=""))


async def test_the_preview_says_who_gets_what_today_and_does_nothing(story: Story) -> None:
    invoice = await owes(story)
    story.on("2027-04-19")

    found = await preview(story.scope)

    assert [(each.document.document_id, each.step.days) for each in found.due] == [(invoice, 3)]
    assert (found.more, found.rests) == (False, False)
    assert await value("SELECT count(*) FROM dunning_event") == 0


# -- once, ever -------------------------------------------------------------------------------------------------------


async def test_two_runs_at_once_and_a_third_do_each_step_once(story: Story) -> None:
    await owes(story)
    for _ in range(5):
        await story.is_invoiced(("Visit", 1000), terms_days=14)
    await every_day(story)
    story.on("2027-04-19")

    await asyncio.gather(*(spawn(run_dunning(story.scope, pause=0)) for _ in range(3)))
    await dun(story)

    assert await value("SELECT count(*) FROM dunning_event") == 6
    assert await value("SELECT count(*) FROM message") == 6


STEPS = st.lists(
    st.tuples(st.integers(1, 40), st.sampled_from(["", "blocked", "inactive"])), min_size=1, max_size=6,
    unique_by=lambda one: one[0],
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS, st.integers(0, 20), st.lists(st.integers(0, 9), min_size=1, max_size=80), st.booleans())
def test_no_step_comes_twice_or_early_or_two_on_a_day_however_the_days_are_run(
    policy: list[tuple[int, str]], grace: int, gaps: list[int], never_block: bool
) -> None:
    due_on, today = date(2027, 1, 31), date(2027, 1, 31)
    steps = [Step(n, days, "payment_reminder", effect, 0, True) for n, (days, effect) in enumerate(policy)]
    document = Overdue(1, "1", 1, "Ada", due_on, "EUR", 100, grace, 0, -100, never_block, True)
    done: list[Had] = []
    for gap in gaps:
        today += timedelta(days=gap)
        found = next_step(document, steps, done, today)
        if found is None:
            continue
        assert found.step.id not in {each.step_id for each in done}
        assert today >= due_on + timedelta(days=found.step.comes_after(grace))
        assert all(each.done_on < today for each in done)
        assert not (never_block and found.step.effect)
        assert found.counted_on <= today
        done.append(Had(1, found.step.id, today, found.counted_on))
    order = [next(step for step in steps if step.id == each.step_id).comes_after(grace) for each in done]
    assert order == sorted(order)


async def test_a_payer_that_fails_keeps_nobody_waiting_and_has_its_step_with_the_next_run(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await owes(story)
    broken = story.customer
    story.customer = await a_customer(story.scope, "Ben Berger", billing_emails=["ben@berger.example"])
    await story.becomes("active")
    second = await story.is_invoiced(("Visit", 1000), terms_days=14)
    await every_day(story)
    story.on("2027-04-18")

    async def remind_or_fail(scope: Scope, due: NextStep, kind: str, fee_minor: int) -> int | None:
        message_id = await remind(scope, due, kind, fee_minor)
        if due.document.payer_id == broken:
            raise Conflict("The disk is full.")
        return message_id

    with monkeypatch.context() as patched:
        patched.setattr(dunning, "remind", remind_or_fail)
        report = await dun(story)

    assert (report.steps, report.failed) == (1, 1)
    assert (await had(story, first), len(await had(story, second))) == ([], 1)
    assert await value("SELECT count(*) FROM message") == 1, "what was begun is taken back, its message too"
    assert (await dun(story)).steps == 1
    assert await value("SELECT count(*) FROM message") == 2


class Killed(BaseException):
    """As a signal does, nobody catches it."""


async def test_a_run_that_is_killed_goes_on_where_it_was(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    await owes(story)
    for name in ("Ben Berger", "Cleo Cord"):
        story.customer = await a_customer(story.scope, name, billing_emails=["pay@cord.example"])
        await story.becomes("active")
        await story.is_invoiced(("Visit", 1000), terms_days=14)
    await every_day(story)
    story.on("2027-04-18")
    reminded = 0

    async def remind_and_die(scope: Scope, due: NextStep, kind: str, fee_minor: int) -> int | None:
        nonlocal reminded
        reminded += 1
        if reminded == 2:
            raise Killed
        return await remind(scope, due, kind, fee_minor)

    with monkeypatch.context() as patched:
        patched.setattr(dunning, "remind", remind_and_die)
        with pytest.raises(Killed):
            await dun(story)
    assert await value("SELECT count(*) FROM dunning_event") == 1

    assert (await dun(story)).steps == 2

    assert await value("SELECT count(*) FROM message") == 3


async def test_what_has_no_step_today_costs_no_query_of_its_own(story: Story) -> None:
    await owes(story)
    await every_day(story)
    story.on("2027-04-18")
    await dun(story)
    counts = []
    for _ in range(2):
        with watched() as statements:
            report = await dun(story)
        counts.append((report.looked_at, len(statements)))
        story.on("2027-04-01")
        for _ in range(7):
            await story.is_invoiced(("Visit", 1000), terms_days=14)
        story.on("2027-04-18")
        await dun(story)
        story.on("2027-04-19")

    (few, some), (many, as_many) = counts
    assert (few, many) == (1, 8)
    assert some == as_many


async def charged_late(story: Story) -> int:
    """An invoice of 30.00 with a fee of 5.00 that waits for the next one."""
    invoice = await owes(story)
    await every_day(story)
    await with_a_fee(story)
    await days_pass(story, "2027-04-18")
    return invoice


async def fees(story: Story) -> list[str]:
    return [str(each) for each in await values("SELECT state FROM charge WHERE kind = 'fee' ORDER BY id")]


@pytest.mark.parametrize("then", ["waive", "bill_again"])
async def test_a_late_fee_that_is_not_invoiced_goes_with_the_invoice_that_is_voided(story: Story, then: str) -> None:
    invoice = await charged_late(story)

    await story.voids(invoice, then=then)  # type: ignore[arg-type]  # as parametrised

    assert await fees(story) == ["waived"]
    story.on("2027-05-01")
    await story.bill()
    assert await value("SELECT count(*) FROM document_line WHERE kind = 'fee'") == 0


async def test_a_late_fee_on_a_draft_leaves_it_with_the_invoice_that_is_voided(story: Story) -> None:
    invoice = await charged_late(story)
    fee = int(await value("SELECT id FROM charge WHERE kind = 'fee'"))
    draft = await create_draft(
        story.scope,
        NewDraft(
            payer_id=story.customer,
            charge_ids=[fee],
            lines=[NewLine(description="Cable", unit_price_e6=10_000_000)],
        ),
    )
    before = await story.document(draft)

    await story.voids(invoice)

    after = await story.document(draft)
    assert [line.kind for line in before.lines].count("fee") == 1
    assert ([line.kind for line in after.lines].count("fee"), after.total_minor) == (0, before.total_minor - 500)
    assert after.version > before.version
    assert await fees(story) == ["waived"]


@pytest.mark.parametrize("beside", [0, 1000], ids=["alone", "beside a visit"])
async def test_a_late_fee_that_was_invoiced_stays_or_is_credited_as_chosen(story: Story, beside: int) -> None:
    invoices = [await charged_late(story)]
    later = []
    for _ in range(2):
        if beside:
            await story.is_charged("Visit", beside)
        await story.bill()
        later.append(await story.last_document())
        if len(invoices) == 1:
            invoices.append(await story.is_invoiced(("Line", 2500), terms_days=0))
            await days_pass(story, str(story.today + timedelta(days=3)))

    await story.voids(invoices[0])
    kept = await fees(story)
    await create_credit_note(
        story.scope, NewCreditNote(document_id=invoices[1], reason="Never ordered", late_fees="credit")
    )

    assert kept == ["invoiced", "invoiced"]
    assert await fees(story) == ["invoiced", "waived"]
    assert [(await story.document(each.id)).open_minor for each in later] == [
        later[0].total_minor,
        later[1].total_minor - 500,
    ]
    notes = "SELECT corrects_id FROM document WHERE kind = 'credit_note' ORDER BY id"
    assert await values(notes) == [*invoices, later[1].id]
    assert await verify(story.scope) == []


async def test_a_late_fee_goes_on_as_its_next_revision_when_its_invoice_is_issued_anew_or_billed_again(
    story: Story,
) -> None:
    invoice = await charged_late(story)
    await story.bill()
    first = await story.last_document()
    again = await reissue(story.scope, first.id, Reissue(reason="Address"))
    await story.voids(again.invoice_id, then="bill_again")
    assert await fees(story) == ["reversed", "reversed", "open"]

    await story.voids(invoice)

    assert await fees(story) == ["reversed", "reversed", "waived"]


async def test_a_late_fee_stays_when_its_invoice_is_issued_anew(story: Story) -> None:
    invoice = await charged_late(story)
    await reissue(story.scope, invoice, Reissue(reason="Address"))
    assert await fees(story) == ["open"]
