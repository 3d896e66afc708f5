"""The whole of billing as a machine: random deeds of staff, customers and time, on both databases alike.

Each deed is done or refused with a reason, never anything else. Now and then the books are proven; in the end both
hold the same: who owes what, every document, every subscription, and what was refused.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec import Struct

from core import hookspecs
from core.activity.asking import nothing_kept
from core.app import HOOK_MODULES
from core.billing.actions import (
    allocate_by_hand,
    cancel_subscription,
    create_credit_note,
    create_draft,
    delete_draft,
    free_up,
    grant_credit,
    invoice_first,
    invoice_open_charges,
    invoice_trial,
    issue,
    reissue,
    void,
    withdraw_subscription,
    write_off,
)
from core.billing.actions.changing import change_subscription, undo_change
from core.billing.actions.dunning import run_dunning
from core.billing.actions.pausing import pause
from core.billing.actions.periods import change_billing_day, edit_period
from core.billing.run import run_billing
from core.billing.schemas import CreditLine, NewCreditNote, NewDraft, NewLine, Reissue
from core.billing.status import Charges
from core.billing.verify import verify
from core.catalog.actions import create_product, set_tax_rate
from core.catalog.schemas import NewPrice, NewProduct, NewTaxRate
from core.clock import FixedClock
from core.customers.actions import change_status
from core.database import bind, claim, execute, rows, value, values
from core.errors import DomainError
from core.hooks import Hooks
from core.ids import new_uuid
from core.payments.actions import receive, refund, reverse
from core.payments.deposits import Application, NewDeposit, apply_deposit, receive_deposit
from core.payments.schemas import NewPayment, NewRefund, Reversal
from core.payments.transfers import NewTransfer, transfer_credit
from core.scope import Scope
from core.subscriptions.actions import (
    activate_free,
    add_charge,
    resume,
    start_trial,
    subscribe,
    suspend,
    terminate,
    undo_cancellation,
    waive_charge,
)
from core.subscriptions.actions.pausing import drop_pause, end_pause
from core.subscriptions.changes import ChangeOrder, PeriodEdit
from core.subscriptions.schemas import NewCharge, NewDiscount, NewFreeSubscription, NewPause, NewSubscription, NewTrial
from tests.books import APPS, a_customer, scope_of
from tests.databases import KINDS, fresh

PROVEN_EVERY: Final = 40
SEEDS: Final = range(20)
BEGIN: Final = date(2027, 1, 29)


class Paper(Struct, frozen=True):
    kind: str
    number: str
    issued_on: date
    payer_id: int
    total_minor: int
    open_minor: int


class Mine(Struct, frozen=True):
    state: str
    state_reason: str
    started_on: date | None
    ends_on: date | None
    ended_on: date | None
    cycle_minor: int


class Holds(Struct, frozen=True):
    customer_id: int
    receivable_minor: int
    credit_minor: int
    deposit_minor: int


class Machine:
    """A tenant to which things happen. Whatever is picked is picked by its place, for ids differ between databases."""

    def __init__(self, scope: Scope, clock: FixedClock, seed: int) -> None:
        self.scope, self.clock, self.seed, self.random = scope, clock, seed, random.Random(seed)
        self.customers: list[int] = []
        self.plans: list[tuple[int, int]] = []
        self.others: list[tuple[int, int]] = []
        self.told: list[str] = []
        self.deeds: list[tuple[int, Callable[[], Awaitable[object]]]] = [
            (12, self.time_passes),
            (3, self.a_month_passes),
            (8, self.subscribes),
            (4, self.asks_first),
            (3, self.tries),
            (1, self.invoices_the_trial),
            (1, self.gets_free),
            (9, self.pays_an_invoice),
            (6, self.pays_something),
            (3, self.payment_comes_back),
            (3, self.is_refunded),
            (4, self.is_credited),
            (2, self.is_voided),
            (2, self.is_reissued),
            (2, self.is_written_off),
            (2, self.is_given_goodwill),
            (2, self.allocates),
            (2, self.frees),
            (7, self.changes),
            (2, self.undoes_a_change),
            (3, self.edits_the_period),
            (1, self.changes_the_billing_day),
            (3, self.pauses),
            (2, self.ends_the_pause),
            (3, self.cancels),
            (2, self.undoes_cancelling),
            (2, self.terminates),
            (1, self.withdraws),
            (2, self.is_suspended),
            (2, self.is_resumed),
            (3, self.changes_status),
            (3, self.is_charged),
            (1, self.is_waived),
            (2, self.is_drafted),
            (1, self.drops_a_draft),
            (2, self.is_billed_at_once),
            (2, self.deposits),
            (2, self.applies_a_deposit),
            (1, self.transfers),
            (2, self.is_dunned),
        ]

    @property
    def today(self) -> date:
        return self.scope.today()

    def stands_on(self, day: date) -> None:
        self.clock.set(datetime(day.year, day.month, day.day, 10, tzinfo=UTC))

    async def opens(self) -> None:
        self.stands_on(BEGIN)
        await set_tax_rate(
            self.scope, NewTaxRate(country="AT", category="standard", valid_from=date(2000, 1, 1), rate_ppm=200_000)
        )
        for rank, (code, minor, fields) in enumerate(
            (
                ("small", 1990, {"trial_days": 10}),
                ("middle", 4900, {"trial_days": 14, "at_trial_end": "convert"}),
                ("large", 9999, {"activation": "invoice_first"}),
                ("later", 3333, {"timing": "arrears"}),
            )
        ):
            self.plans += await self._sells(code, minor, kind="plan", rank=rank, **fields)
        self.others += await self._sells("phone", 790, kind="module")
        self.others += await self._sells("address", 333, kind="service", timing="arrears", final_proration="full")
        for name in ("Ada Adler", "Ben Berger", "Cid Cerny"):
            self.customers.append(await a_customer(self.scope, name, billing_day=self.random.choice((None, 1, 15, 31))))
        await execute(
            "UPDATE customer SET payer_id = :payer WHERE id = :id", payer=self.customers[0], id=self.customers[2]
        )

    async def _sells(self, code: str, minor: int, **fields: Any) -> list[tuple[int, int]]:
        prices = [
            NewPrice(cycle_unit="month", amount_minor=minor, setup_minor=minor // 3, valid_from=date(2000, 1, 1)),
            NewPrice(cycle_unit="year", amount_minor=minor * 11, valid_from=date(2000, 1, 1)),
        ]
        product_id = await create_product(self.scope, NewProduct(code=code, name=code.title(), prices=prices, **fields))
        return [
            (product_id, price_id)
            for price_id in await values("SELECT id FROM price WHERE product_id = :id ORDER BY id", id=product_id)
        ]

    async def takes(self, steps: int) -> None:
        weights = [weight for weight, _ in self.deeds]
        for number in range(steps):
            (deed,) = self.random.choices([deed for _, deed in self.deeds], weights)
            try:
                done = await deed()
                self.told.append(f"{number} {deed.__name__}: {'nothing to do it to' if done is None else 'done'}")
            except DomainError as refused:
                self.told.append(f"{number} {deed.__name__}: {type(refused).__name__}")
            if number % PROVEN_EVERY == PROVEN_EVERY - 1:
                await self.is_right()
        await self.is_right()

    async def is_right(self) -> None:
        assert await verify(self.scope) == [], "\n".join([f"seed {self.seed}", *self.told[-PROVEN_EVERY:]])

    # What is there to pick from

    def somebody(self) -> int:
        return self.random.choice(self.customers)

    async def some(self, sql: str, **given: object) -> int | None:
        found = await values(sql, **given)
        return self.random.choice(found) if found else None

    async def a_subscription(self, states: str) -> int | None:
        return await self.some(f"SELECT id FROM subscription WHERE state IN ({states}) ORDER BY id")

    async def an_invoice(self, where: str = "TRUE") -> int | None:
        return await self.some(
            "SELECT d.id FROM document d JOIN document_state s ON s.document_id = d.id WHERE d.kind = 'invoice' AND"
            f" d.state = 'issued' AND {where} ORDER BY d.number"
        )

    def some_day(self, most: int = 40) -> date:
        return self.today + timedelta(days=self.random.randint(0, most))

    # What happens

    async def time_passes(self) -> object:
        for _ in range(self.random.randint(1, 4)):
            self.stands_on(self.today + timedelta(days=self.random.randint(1, 6)))
            await run_billing(self.scope, self.today, pause=0, confirmed=True)
        return True

    async def a_month_passes(self) -> object:
        self.stands_on(self.today + timedelta(days=self.random.randint(25, 40)))
        await run_billing(self.scope, self.today, pause=0, confirmed=True)
        return True

    async def subscribes(self) -> object:
        product_id, price_id = self.random.choice([*self.plans, *self.others])
        discount = [NewDiscount(percent_e6=self.random.randint(1, 100) * 10**6)] if self.random.random() < 0.2 else []
        return await subscribe(
            self.scope,
            NewSubscription(
                customer_id=self.somebody(),
                product_id=product_id,
                price_id=price_id,
                quantity_e6=self.random.choice((1, 1, 1, 2, 3)) * 10**6,
                discounts=discount,
            ),
        )

    async def asks_first(self) -> object:
        product_id, price_id = self.random.choice(self.plans)
        return await invoice_first(
            self.scope, NewSubscription(customer_id=self.somebody(), product_id=product_id, price_id=price_id)
        )

    async def tries(self) -> object:
        product_id, price_id = self.random.choice(self.plans[:4])
        return await start_trial(
            self.scope, NewTrial(customer_id=self.somebody(), product_id=product_id, price_id=price_id)
        )

    async def invoices_the_trial(self) -> object:
        found = await self.a_subscription("'trial'")
        return found and await invoice_trial(self.scope, found)

    async def gets_free(self) -> object:
        product_id, _ = self.random.choice(self.others)
        return await activate_free(
            self.scope,
            NewFreeSubscription(customer_id=self.somebody(), product_id=product_id, until_on=self.some_day(90)),
        )

    async def pays_an_invoice(self) -> object:
        found = await self.an_invoice("s.open_minor > 0")
        if found is None:
            return None
        payer = await value("SELECT payer_id FROM document WHERE id = :id", id=found)
        amount = await value("SELECT open_minor FROM document_state WHERE document_id = :id", id=found)
        if self.random.random() < 0.3:
            amount = max(1, amount * self.random.randint(10, 150) // 100)
        return await receive(self.scope, NewPayment(payer_id=payer, amount_minor=amount, document_id=found))

    async def pays_something(self) -> object:
        return await receive(
            self.scope, NewPayment(payer_id=self.somebody(), amount_minor=self.random.randint(1, 20_000))
        )

    async def payment_comes_back(self) -> object:
        found = await self.some("SELECT id FROM payment WHERE reversed_minor < amount_minor ORDER BY id")
        if found is None:
            return None
        part = self.random.choice((None, self.random.randint(1, 5000)))
        await reverse(self.scope, found, Reversal(amount_minor=part, fee_minor=self.random.choice((0, 300))))
        return True

    async def is_refunded(self) -> object:
        return await refund(
            self.scope,
            NewRefund(
                customer_id=self.somebody(),
                amount_minor=self.random.randint(1, 8000),
                reason="Asked for",
                reopen=self.random.random() < 0.3,
            ),
        )

    async def is_credited(self) -> object:
        found = await self.an_invoice()
        if found is None:
            return None
        lines = await values("SELECT id FROM document_line WHERE document_id = :id ORDER BY position", id=found)
        chosen = [CreditLine(line_id=line, amount_minor=self.random.randint(1, 4000)) for line in lines[:2]]
        return await create_credit_note(self.scope, NewCreditNote(document_id=found, reason="As agreed", lines=chosen))

    async def is_voided(self) -> object:
        found = await self.an_invoice()
        return found and await void(self.scope, found, "A mistake", self.random.choice(list(Charges)))

    async def is_reissued(self) -> object:
        found = await self.an_invoice()
        return found and await reissue(self.scope, found, Reissue(reason="Another address", reference="PO 7"))

    async def is_written_off(self) -> object:
        found = await self.an_invoice("s.open_minor > 0")
        if found is None:
            return None
        await write_off(self.scope, found, "Lost", self.random.choice((None, 100)))
        return True

    async def is_given_goodwill(self) -> object:
        return await grant_credit(self.scope, self.somebody(), self.random.randint(1, 3000), "Outage")

    async def allocates(self) -> object:
        entry = await self.some(
            "SELECT id FROM credit_entry WHERE left_minor > 0 ORDER BY customer_id, left_minor, amount_minor, id"
        )
        found = await self.an_invoice("s.open_minor > 0")
        if entry is None or found is None:
            return None
        await allocate_by_hand(self.scope, entry, found, self.random.randint(1, 2000))
        return True

    async def frees(self) -> object:
        found = await self.an_invoice("s.open_minor < d.total_minor")
        if found is None:
            return None
        await free_up(self.scope, document_id=found, amount_minor=self.random.randint(1, 3000))
        return True

    async def changes(self) -> object:
        found = await self.a_subscription("'active', 'trial', 'paused', 'suspended'")
        if found is None:
            return None
        _, price_id = self.random.choice([*self.plans, *self.others])
        order: dict[str, Any] = {"price_id": price_id}
        if self.random.random() < 0.3:
            order = {"quantity_e6": self.random.choice((1, 2, 3, 5)) * 10**6}
        if self.random.random() < 0.5:
            order["when"] = self.random.choice(("now", "period_end"))
        if self.random.random() < 0.3:
            order["unused"] = self.random.choice(("credit", "none"))
        return await change_subscription(self.scope, found, ChangeOrder(**order))

    async def undoes_a_change(self) -> object:
        found = await self.some("SELECT subscription_id FROM subscription_change WHERE state = 'planned' ORDER BY id")
        if found is None:
            return None
        await undo_change(self.scope, found)
        return True

    async def edits_the_period(self) -> object:
        found = await self.a_subscription("'active'")
        if found is None:
            return None
        edit = PeriodEdit(
            end_on=self.some_day(70),
            added=self.random.choice(("free", "charged")),
            cut=self.random.choice(("credit", "give_up")),
            reason="As agreed",
        )
        await edit_period(self.scope, found, edit)
        return True

    async def changes_the_billing_day(self) -> object:
        await change_billing_day(self.scope, self.somebody(), self.random.choice((1, 10, 15, 28, 31)))
        return True

    async def pauses(self) -> object:
        found = await self.a_subscription("'active'")
        if found is None:
            return None
        from_on = self.some_day(20)
        wanted = NewPause(
            from_on=from_on,
            to_on=from_on + timedelta(days=self.random.randint(1, 50)),
            hold_minor=self.random.choice((0, 500)),
        )
        await pause(self.scope, found, wanted)
        return True

    async def ends_the_pause(self) -> object:
        found = await self.some(
            "SELECT subscription_id FROM subscription_pause WHERE state IN ('planned', 'running') ORDER BY id"
        )
        if found is None:
            return None
        running = await value("SELECT 1 FROM subscription WHERE id = :id AND state = 'paused'", id=found)
        await (end_pause if running else drop_pause)(self.scope, found)
        return True

    async def cancels(self) -> object:
        found = await self.a_subscription("'active', 'trial', 'suspended', 'paused'")
        return found and await cancel_subscription(self.scope, found)

    async def undoes_cancelling(self) -> object:
        found = await self.some(
            "SELECT id FROM subscription WHERE ends_on IS NOT NULL AND ended_on IS NULL ORDER BY id"
        )
        if found is None:
            return None
        await undo_cancellation(self.scope, found)
        return True

    async def terminates(self) -> object:
        found = await self.a_subscription("'active', 'trial', 'suspended', 'paused'")
        if found is None:
            return None
        await terminate(self.scope, found, self.random.choice((None, self.some_day())))
        return True

    async def withdraws(self) -> object:
        found = await self.a_subscription("'active', 'trial', 'suspended', 'paused', 'pending'")
        return found and await withdraw_subscription(self.scope, found, void_invoices=self.random.random() < 0.3)

    async def is_suspended(self) -> object:
        found = await self.a_subscription("'active'")
        if found is None:
            return None
        await suspend(self.scope, found)
        return True

    async def is_resumed(self) -> object:
        found = await self.a_subscription("'suspended'")
        if found is None:
            return None
        await resume(self.scope, found)
        return True

    async def changes_status(self) -> object:
        await change_status(
            self.scope, self.somebody(), self.random.choice(("active", "blocked", "inactive", "active"))
        )
        return True

    async def is_charged(self) -> object:
        minor = self.random.choice((self.random.randint(1, 9000), -self.random.randint(1, 500)))
        return await add_charge(
            self.scope, NewCharge(customer_id=self.somebody(), description="A visit", amount_minor=minor)
        )

    async def is_waived(self) -> object:
        found = await self.some(
            "SELECT id FROM charge WHERE state = 'open'"
            " ORDER BY customer_id, coalesce(subscription_id, 0), kind, description,"
            " coalesce(CAST(period_start AS text), ''), amount_minor, id"
        )
        if found is None:
            return None
        await waive_charge(self.scope, found)
        return True

    async def is_drafted(self) -> object:
        line = NewLine(description="By hand", unit_price_e6=self.random.randint(1, 90) * 10**6)
        draft = await create_draft(self.scope, NewDraft(payer_id=self.somebody(), lines=[line]))
        if self.random.random() < 0.7:
            await issue(self.scope, draft)
        return True

    async def drops_a_draft(self) -> object:
        found = await self.some("SELECT id FROM document WHERE state = 'draft' ORDER BY id")
        if found is None:
            return None
        await delete_draft(self.scope, found, self.random.choice(list(Charges)))
        return True

    async def is_billed_at_once(self) -> object:
        return await invoice_open_charges(self.scope, self.somebody())

    async def deposits(self) -> object:
        return await receive_deposit(
            self.scope, NewDeposit(customer_id=self.somebody(), amount_minor=self.random.randint(100, 9000))
        )

    async def applies_a_deposit(self) -> object:
        found = await self.some("SELECT id FROM deposit WHERE left_minor > 0 ORDER BY id")
        return found and await apply_deposit(
            self.scope, found, Application(amount_minor=self.random.choice((None, 100)))
        )

    async def transfers(self) -> object:
        return await transfer_credit(
            self.scope, self.somebody(), NewTransfer(to_customer_id=self.somebody(), reason="Family")
        )

    async def is_dunned(self) -> object:
        await run_dunning(self.scope, pause=0)
        return True

    # What there is in the end

    async def outcome(self) -> dict[str, object]:
        place = {id: at for at, id in enumerate(self.customers)}
        papers = await rows(
            Paper,
            "SELECT d.kind, d.number, d.issued_on, d.payer_id, d.total_minor, COALESCE(s.open_minor, 0) AS open_minor"
            " FROM document d LEFT JOIN document_state s ON s.document_id = d.id WHERE d.state = 'issued'"
            " ORDER BY d.kind, d.number",
        )
        mine = await rows(
            Mine,
            "SELECT s.state, s.state_reason, s.started_on, s.ends_on, s.ended_on, t.cycle_minor FROM subscription s"
            " JOIN subscription_term t ON t.subscription_id = s.id AND t.in_force AND t.valid_to IS NULL ORDER BY s.id",
        )
        held = await rows(
            Holds,
            "SELECT customer_id, receivable_minor, credit_minor, deposit_minor FROM customer_balance"
            " ORDER BY customer_id, currency",
        )
        return {
            "told": self.told,
            "papers": [(p.kind, p.number, p.issued_on, place[p.payer_id], p.total_minor, p.open_minor) for p in papers],
            "subscriptions": mine,
            "balances": [(place[h.customer_id], h.receivable_minor, h.credit_minor, h.deposit_minor) for h in held],
        }


async def lived(kind: str, folder: Path, seed: int, steps: int) -> dict[str, object]:
    """What a tenant on this database comes to."""
    clock = FixedClock(datetime(2027, 1, 1, tzinfo=UTC))
    async with fresh(kind, folder, APPS) as database:
        with bind(database):
            database.owner = new_uuid()
            await claim(database.owner)
            scope = replace(scope_of(database, clock), hooks=Hooks(hookspecs, HOOK_MODULES, guard=nothing_kept))
            machine = Machine(scope, clock, seed)
            await machine.opens()
            await machine.takes(steps)
            return await machine.outcome()


async def both_live(folder: Path, seed: int, steps: int) -> Counter[str]:
    """The same on both; which deeds were done how often."""
    one, other = [await lived(kind, folder, seed, steps) for kind in KINDS]
    for what in one:
        assert one[what] == other[what], f"{what} of seed {seed}"
    told: list[str] = one["told"]  # type: ignore[assignment]  # as outcome() says
    return Counter(line.split(" ", 1)[1] for line in told)


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_B5_whatever_happens_the_books_hold_and_are_the_same_on_both_databases(tmp_path: Path) -> None:
    done = await both_live(tmp_path, seed=7, steps=150)

    assert sum(count for deed, count in done.items() if deed.endswith(": done")) > 60


@pytest.mark.long
@pytest.mark.timeout(3000)
async def test_B5_six_thousand_deeds(tmp_path: Path) -> None:
    done: Counter[str] = Counter()
    for seed in SEEDS:
        done += await both_live(tmp_path, seed, steps=300)

    assert done.total() == 6000
    assert sum(count for deed, count in done.items() if deed.endswith(": done")) > 2500
    print(done.most_common())
