"""A small tenant and one morning on which everything that billing knows is due: what a killed run is proven on.

Recurring charges in advance and in arrears, discounts, usage of a plugin, charges by hand, trials at their end, ends,
prepaid periods that are covered and that are not, changes and pauses whose day has come, invoices that were not paid
in time, credit from a deposit, a credit note and money paid ahead, payers of others, who cannot be billed, and dunning.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from core import hookspecs
from core.activity.asking import nothing_kept
from core.activity.unit import again
from core.app import HOOK_MODULES
from core.billing.actions.dunning import run_dunning
from core.billing.actions.pausing import pause
from core.billing.actions.prepaid import start
from core.billing.jobs import BILL, ToBill
from core.billing.recognition import recognise
from core.billing.run import run_billing
from core.catalog.actions import create_tax_category
from core.catalog.schemas import NewTaxCategory
from core.clock import FixedClock
from core.database import bind, claim, execute, value
from core.hooks import Hooks
from core.ids import new_uuid
from core.jobs.actions import enqueue
from core.payments.deposits import Application, NewDeposit, apply_deposit, receive_deposit
from core.subscriptions.actions import cancel_at_expiry
from core.subscriptions.schemas import NewPause, NewSubscription
from tests.books import a_customer, day, scope_of
from tests.core.hooks.modules import module
from tests.stories.metering import collect_charges, metered, with_meter
from tests.stories.story import Story, off, percent

if TYPE_CHECKING:
    from uuid import UUID

    from core.database import Database
    from core.scope import Scope

MORNING: Final = datetime(2027, 6, 1, 1, tzinfo=UTC)
"""Three o'clock in Vienna, a Tuesday."""
CHUNK: Final = 5
"""Payers of a chunk: so few that the run has several."""


def scope_on(database: Database, uuid: UUID) -> Scope:
    """Staff in the tenant, with the plugin, on that morning."""
    database.owner = uuid
    hooks = [*HOOK_MODULES, ("meter", module("meter", collect_charges=collect_charges))]
    return replace(scope_of(database, FixedClock(MORNING)), hooks=Hooks(hookspecs, hooks, guard=nothing_kept))


async def live_the_day(scope: Scope) -> None:
    """What the jobs of a day do: the month's revenue, the billing run, dunning."""
    await again(lambda: recognise(scope))
    job_id = int(await value("SELECT id FROM job WHERE kind = :kind", kind=BILL.name))
    await run_billing(scope, scope.today(), confirmed=True, chunk_size=CHUNK, pause=0, job_id=job_id)
    await run_dunning(scope, pause=0)


async def make_day(database: Database) -> UUID:
    """Fill a migrated database with two months of life; on the first of June all is due."""
    uuid = new_uuid()
    with bind(database):
        await claim(uuid)
        scope = scope_on(database, uuid)
        assert isinstance(scope.clock, FixedClock)
        story = Story(scope, scope.clock)
        story.on("2027-04-01")
        await _sells(story)
        await _in_april(story)
        await _in_may(story)
    return uuid


async def _sells(story: Story) -> None:
    await story.taxes(200_000)
    await story.taxes(100_000, "reduced")
    await create_tax_category(story.scope, NewTaxCategory(code="untold", name="Without a rate"))
    await with_meter(story)
    await story.rate("USD", "0.9", since="2027-01-01")
    await story.sells("small", 3000, rank=0, setup_minor=900)
    await story.sells("middle", 6000, rank=1)
    await story.sells("large", 9000, rank=2, activation="invoice_first")
    await story.sells("later", 2500, timing="arrears", tax_category="reduced")
    await story.sells("converts", 3300, trial_days=14, at_trial_end="convert")
    await story.sells("asks", 3400, trial_days=14, at_trial_end="invoice_first", activation="invoice_first")
    await story.sells("ends", 3500, trial_days=14)
    await story.sells("untold", 1000, tax_category="untold")
    await story.sells("dollars", 3500, currency="USD")
    await story.sells("hosting", 36_000, "year", kind="service", tax_inclusive=True)
    await story.sells("ahead", 2000, "day", 10)


async def _somebody(story: Story, name: str, **columns: Any) -> int:
    """Whom the next steps of the story are about."""
    columns.setdefault("billing_emails", [f"{name.split()[0].lower()}@post.example"])
    story.customer = await a_customer(story.scope, name, **columns)
    return story.customer


async def _in_april(story: Story) -> None:
    """Everybody who was there before: billed for April and for May, and reminded."""
    ada = await _somebody(story, "Ada Adler")
    line = await story.subscribes("small", discounts=[percent(25)], label="Ada's line")
    for month in (4, 5):
        await metered(line, f"2027-{month:02}-01", f"2027-{month + 1:02}-01", 60, 123 * month)
    await _somebody(story, "Ben Berger", payer_id=ada)
    await story.subscribes("later", discounts=[off(300, until="2027-12-31")])
    await story.subscribes("hosting")
    await _somebody(story, "Cid Cerny")
    await story.subscribes("small")
    dora = await _somebody(story, "Dora Dorn", currency="USD")
    await story.subscribes("dollars")
    await _somebody(story, "Emil Ems")
    leaves = await story.subscribes("later")
    fay = await _somebody(story, "Fay Fink")
    shrinks = await story.subscribes("middle")
    gus = await _somebody(story, "Gus Grün")
    grows = await story.subscribes("small")
    hal = await _somebody(story, "Hal Holm")
    rests = await story.subscribes("small")
    await _somebody(story, "Ida Imhof")
    returns = await story.subscribes("small")
    await story.bill()

    story.on("2027-04-30")
    await execute("UPDATE dunning_step SET fee_minor = 500 WHERE message = 'payment_warning'")
    await run_dunning(story.scope, pause=0)
    for payer_id, minor in (
        (ada, 30_000),
        (dora, 8500),
        (fay, 15_000),
        (gus, 9000),
        (hal, 9000),
        (story.customer, 8000),
    ):
        await story.pays(minor, payer_id=payer_id, currency="USD" if payer_id == dora else None)
    story.on("2027-05-01")
    await story.bill()
    await _somebody(story, "Jon Jansen")
    _, document = await story.asks_for("large")
    await story.pays(1000, document)

    story.on("2027-05-17")
    await cancel_at_expiry(story.scope, leaves)
    await story.changes(shrinks, "small")
    await story.changes(grows, "large")
    await pause(story.scope, rests, NewPause(from_on=day("2027-06-01"), to_on=day("2027-06-20"), hold_minor=400))
    await pause(story.scope, returns, NewPause(from_on=day("2027-05-20"), to_on=day("2027-06-01")))


async def _in_may(story: Story) -> None:
    """Those who came last."""
    story.on("2027-05-18")
    for name, code in (("Kim Kurz", "converts"), ("Lea Lang", "asks"), ("Max Moor", "ends")):
        await _somebody(story, name)
        await story.tries(code)
    await _somebody(story, "Ned Nagl")
    await story.subscribes("untold")
    await _somebody(story, "Ola Ott")
    first = await story.is_invoiced(("Cable", 4000), terms_days=7)
    await story.credits(first, 1500)
    await story.is_charged("Router", 7900)
    await _somebody(story, "Pia Pohl")
    deposit = await receive_deposit(story.scope, NewDeposit(customer_id=story.customer, amount_minor=9000))
    await apply_deposit(story.scope, deposit, Application(amount_minor=5000))
    await story.is_charged("Mast", 12_000)

    story.on("2027-05-20")
    await story.bill()
    await run_dunning(story.scope, pause=0)
    story.on("2027-05-22")
    for name, paid in (("Quin Quast", 2400), ("Rex Rabe", 4800)):
        await _somebody(story, name, billing_type="prepaid")
        await story.pays(paid)
        order = NewSubscription(
            customer_id=story.customer, product_id=story.products["ahead"], price_id=story.prices["ahead"]
        )
        await start(story.scope, order)
    await _somebody(story, "Sue Sand")
    await story.subscribes("small", quantity_e6=2_500_000)
    story.clock.set(MORNING)
    await enqueue(story.scope, BILL, ToBill(story.today, True))
