"""Scenarios of other billing products, to the cent (tests/data/billing.json).

Amounts due and balances are compared, not how documents are cut: others net a credit into the next invoice, here it is
a credit note. The tenant lives in the scenario's zone and sells in its currency.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from core.billing.actions import (
    allocate_credit,
    cancel_subscription,
    change_series,
    create_draft,
    credit_unused,
    free_up,
    grant_credit,
    issue,
)
from core.billing.actions.pausing import pause
from core.billing.actions.periods import change_billing_day
from core.billing.queries import list_credits, list_documents
from core.billing.schemas import NewDraft, NewLine
from core.catalog.actions import set_price
from core.catalog.schemas import NewPrice
from core.database import Refused, execute, value, values
from core.money import format_amount, from_decimal
from core.payments.actions import refund
from core.payments.schemas import NewRefund
from core.subscriptions.actions import terminate
from core.subscriptions.schemas import NewPause
from tests.books import day
from tests.stories.metering import metered, with_meter
from tests.stories.story import percent

if TYPE_CHECKING:
    from tests.stories.story import Story

Told = dict[str, Any]

DATA: Final[Told] = json.loads((Path(__file__).parents[1] / "data" / "billing.json").read_text())


class Player:
    """Does what a scenario tells, by the actions that staff have."""

    def __init__(self, story: Story, told: Told) -> None:
        self.story = story
        self.told = told
        self.subscription = 0
        self.ends_at_last: str | None = None
        self.plans = 0
        self.metering = False

    async def play(self) -> None:
        told = self.told
        self.story.lives_in(told["zone"], country="US", currency=told["currency"])
        first = told["steps"][0]
        await self.story.begins(first.get("on") or first["at"][:10], billing_day=told.get("billing_day"))
        await self.story.taxes(int(told.get("tax", "0")) * 10_000)
        await self.story.taxes(int(told.get("reduced_tax", "0")) * 10_000, "reduced")
        if "plan" in told:
            plan = dict(told["plan"])
            await self.story.sells("plan", self.minor(plan.pop("price")), **plan)
            await self.story.policy("plan", **told.get("policy", {}))
        for step in told["steps"]:
            await self.take(step)

    async def take(self, step: Told) -> None:
        do = step.get("do")
        if do == "live":
            await self.story.days_pass((day(step["on"]) - self.story.today).days)
            return
        if "at" in step:
            self.story.clock.set(datetime.fromisoformat(step["at"]))
        elif "on" in step:
            self.story.on(step["on"])
        if do is not None:
            act: Callable[[Told], Awaitable[None]] = getattr(self, do)
            await act(step)
        for what, expected in step.get("expect", {}).items():
            found: Callable[[], Awaitable[Any]] = getattr(self, f"found_{what}")
            assert await found() == expected, f"{self.told['id']}: {what} on {self.story.today}"

    def minor(self, amount: str) -> int:
        return from_decimal(Decimal(amount), self.told["currency"])

    def text(self, minor: int) -> str:
        return format_amount(minor, self.told["currency"]).replace(",", "")

    # What happens

    async def subscribe(self, step: Told) -> None:
        anchor = {"anchor_on": day(step["anchor"])} if "anchor" in step else {}
        self.subscription = await self.story.subscribes(
            "plan",
            quantity_e6=self.told.get("quantity", 1) * 10**6,
            discounts=[percent(each) for each in self.told.get("discounts", [])],
            **anchor,
        )

    async def trial(self, step: Told) -> None:
        self.subscription = await self.story.tries("plan")

    async def change(self, step: Told) -> None:
        """Another quantity; or a plan of a higher rank, or of a lower one."""
        order: Told = {"when": step.get("when", "policy")}
        if "planned" in step:
            order["on"] = step["planned"]
        if "quantity" in step:
            order["quantity_e6"] = step["quantity"] * 10**6
        if "discounts" in step:
            order["discounts"] = [percent(each) for each in step["discounts"]]
        plan = None
        if "price" in step:
            self.plans += 1
            plan = f"plan-{self.plans}"
            await self.story.sells(
                plan,
                self.minor(step["price"]),
                per=step.get("per", "month"),
                count=step.get("count", 1),
                rank=-self.plans if step.get("lower") else self.plans,
                timing=self.told["plan"].get("timing", "advance"),
            )
        await self.story.changes(self.subscription, plan, **order)

    async def billing_day(self, step: Told) -> None:
        await change_billing_day(self.story.scope, self.story.customer, step["day"])

    async def module(self, step: Told) -> None:
        """Something that needs a plan, cheaper in its first month."""
        plans = await value("SELECT id FROM product_group WHERE code = 'plans'")
        await self.story.sells("module", self.minor(step["price"]), kind="module", requires_group_id=plans)
        self.story.prices["module"] = await set_price(
            self.story.scope,
            self.story.products["module"],
            NewPrice(
                cycle_unit="month",
                amount_minor=self.minor(step["price"]),
                intro_minor=self.minor(step["intro"]),
                intro_cycles=1,
                valid_from=date(2000, 1, 1),
            ),
        )
        await self.story.subscribes("module")

    async def cancel(self, step: Told) -> None:
        await cancel_subscription(self.story.scope, self.subscription)

    async def pause(self, step: Told) -> None:
        await pause(self.story.scope, self.subscription, NewPause(to_on=day(step["until"])))

    async def usage(self, step: Told) -> None:
        """What a plugin metered, and rated."""
        if not self.metering:
            await with_meter(self.story)
            self.metering = True
        await metered(self.subscription, step["first"], step["until"], 5, self.minor(step["amount"]))

    async def renewals(self, step: Told) -> None:
        """Prepaid: each case a customer, with so much left when its month is over; is it renewed, or blocked?"""
        for minimum, left, renewed in step["cases"]:
            await self.story.begins(self.story.today.isoformat(), billing_type="prepaid")
            await self.story.pays(self.minor("100.00"))
            plan = await self.story.subscribes("plan")
            await self.story.bill()
            await execute(
                "UPDATE customer SET minimum_balance_minor = :minimum WHERE id = :id",
                minimum=self.minor(minimum),
                id=self.story.customer,
            )
            await self.story.pays(self.minor(left))
            await self.story.months_pass(1)
            status = await value(
                "SELECT s.key FROM customer c JOIN status s ON s.id = c.status_id WHERE c.id = :id",
                id=self.story.customer,
            )
            case = (minimum, left)
            assert (await self.story.state_of(plan), status) == (
                ("active", "active") if renewed else ("suspended", "blocked")
            ), case
            await terminate(self.story.scope, plan, self.story.today)

    async def run(self, step: Told) -> None:
        await self.story.bill()

    async def terminate(self, step: Told) -> None:
        ends_on = day(step["end"]) if "end" in step else self.story.today
        await terminate(self.story.scope, self.subscription, ends_on)
        if step.get("credit_unused"):
            await credit_unused(self.story.scope, self.subscription, ends_on, "Ended")

    async def invoice(self, step: Told) -> None:
        lines = [
            NewLine(
                description=f"Line {at}",
                unit_price_e6=int(Decimal(line["price"]) * 10**6),
                discount_minor=self.minor(line.get("discount", "0")),
                tax_category=line.get("category"),
                tax_inclusive=line.get("inclusive", False),
            )
            for at, line in enumerate(step["lines"], start=1)
        ]
        await issue(
            self.story.scope,
            await create_draft(self.story.scope, NewDraft(payer_id=self.story.customer, lines=lines)),
        )

    async def pay(self, step: Told) -> None:
        key = {"provider": "peer", "event_id": step["key"]} if "key" in step else {}
        await self.story.pays(self.minor(step["amount"]), **key)

    async def goodwill(self, step: Told) -> None:
        await grant_credit(self.story.scope, self.story.customer, self.minor(step["amount"]), "As told")

    async def refund(self, step: Told) -> None:
        """Allocated money is un-allocated first; what of it is not paid back settles again."""
        amount = self.minor(step["amount"])
        scope, customer = self.story.scope, self.story.customer
        free = sum(each.left_minor for each in await list_credits(scope, customer, only_free=True))
        if free < amount:
            payment = await value("SELECT min(id) FROM credit_entry WHERE source_kind = 'payment'")
            await free_up(scope, credit_entry_id=payment, amount_minor=amount - free)
        await refund(scope, NewRefund(customer_id=customer, amount_minor=amount, reason="As told"))
        await allocate_credit(scope, customer, self.told["currency"])

    async def credit_note(self, step: Told) -> None:
        before = [0] * (step.get("line", 1) - 1)
        await self.story.credits(await self.last_invoice(), *before, self.minor(step["net"]))

    async def void(self, step: Told) -> None:
        await self.story.voids(await self.last_invoice())

    async def number(self, step: Told) -> None:
        await change_series(self.story.scope, step["kind"], pattern=step["pattern"], reset="never")

    async def lose(self, step: Told) -> None:
        """Nobody can delete an issued document, nor give its number to another."""
        for sql in (
            "DELETE FROM document WHERE number = :number",
            "UPDATE document SET number = 'inv_00001' WHERE number = :number",
        ):
            with pytest.raises(Refused):
                await execute(sql, number=step["number"])

    async def last_invoice(self) -> int:
        (last,) = await list_documents(self.story.scope, kind="invoice", state="issued", limit=1)
        return last.id

    # What is then so

    async def found_total(self) -> str:
        """Of all invoices together."""
        return self.text(
            int(await value("SELECT CAST(sum(total_minor) AS bigint) FROM document WHERE kind = 'invoice'"))
        )

    async def found_open(self) -> str:
        return (await self.story.money()).open

    async def found_credit(self) -> str:
        return (await self.story.money()).credit

    async def found_invoices(self) -> list[list[str]]:
        return [[on, total] for on, total, _ in await self.story.papers()]

    async def found_dates(self) -> list[str]:
        return [on for on, _, _ in await self.story.papers()]

    async def found_each(self) -> str:
        (total,) = {total for _, total, _ in await self.story.papers()}
        return total

    async def found_periods(self) -> list[list[str | None]]:
        return [[first, end] for _, first, end, _ in await self.story.lines()]

    async def found_nets(self) -> list[str]:
        return [self.text(net) for *_, net in await self.story.lines()]

    async def found_last(self) -> Told:
        on, total, _ = (await self.story.papers())[-1]
        _, first, end, _ = (await self.story.lines())[-1]
        return {"date": on, "total": total, "period": [first, end]}

    async def found_sums(self) -> list[str]:
        """Net, tax and total of the last invoice."""
        found = await self.story.document(await self.last_invoice())
        return [self.text(each) for each in (found.net_minor, found.tax_minor, found.total_minor)]

    async def found_notes(self) -> list[list[str]]:
        notes = await list_documents(self.story.scope, kind="credit_note", state="issued")
        return [
            [self.text(part) for part in (each.net_minor, each.tax_minor, each.total_minor)] for each in reversed(notes)
        ]

    async def found_numbers(self) -> list[str]:
        return await values("SELECT number FROM document WHERE kind = 'invoice' ORDER BY seq")

    async def found_note_numbers(self) -> list[str]:
        return await values("SELECT number FROM document WHERE kind = 'credit_note' ORDER BY seq")


@pytest.mark.parametrize("told", DATA["played"], ids=lambda told: told["id"])
async def test_it_comes_out_as_with_others(story: Story, told: Told) -> None:
    await Player(story, told).play()

    await story.nothing_more_is_due()


def test_what_cannot_be_played_yet_is_not_forgotten() -> None:
    """When one of these is built, its scenarios are to be told and its line here goes."""
    assert Counter(each["needs"] for each in DATA["not_played"]) == {
        "a change that keeps the day of the month alone, which is another rule": 1,
        "a part by another month's days, which is another rule": 2,
        "a policy: a first part merged with the months behind it": 1,
        "a policy: an end at an hour of the day": 1,
        "a policy: numbers by customer": 1,
        "a policy: weeks that begin on a weekday for all": 1,
        "automatic collection": 1,
        "dunning": 2,
        "capped plans": 1,
        "discounts on usage, which the plugin that rates it gives": 1,
        "parts by 30 days a month, which is another rule": 2,
        "tax rounded once over all rates, which is another rule": 1,
    }
    told = [each["id"] for each in (*DATA["played"], *DATA["not_played"])]
    assert len(told) == len(set(told)) == 72
