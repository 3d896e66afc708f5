"""A customer's story: a clock, what happens day by day, what is expected, and at the end that nothing more is due."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from core.billing.actions import (
    create_credit_note,
    create_draft,
    credit_unused,
    invoice_first,
    invoice_trial,
    issue,
    void,
)
from core.billing.actions.changing import Changed, change_subscription
from core.billing.part_periods import is_made
from core.billing.queries import get_document, list_documents
from core.billing.run import run_billing
from core.billing.run_reports import RunReport
from core.billing.schemas import CreditLine, NewCreditNote, NewDraft, NewLine
from core.billing.settings import BillingSettings
from core.billing.status import Charges
from core.billing.verify import verify
from core.catalog.actions import create_product, set_change_policy, set_price, set_tax_rate
from core.catalog.queries import get_product
from core.catalog.schemas import ChangePolicy, NewPrice, NewProduct, NewTaxRate
from core.customers.actions import change_status
from core.database import rows, value, value_as
from core.ledger.actions import set_fx_rate
from core.ledger.queries import get_balance, trial_balance
from core.ledger.schemas import NewFxRate
from core.money import exponent
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.periods import Cycle, nth
from core.settings.actions import save_settings
from core.subscriptions.actions import activate_free, add_charge, start_trial, subscribe, terminate
from core.subscriptions.changes import ChangeOrder
from core.subscriptions.queries import get_subscription
from core.subscriptions.schemas import NewCharge, NewDiscount, NewFreeSubscription, NewSubscription, NewTrial
from tests.books import a_customer, day

if TYPE_CHECKING:
    from core.billing.schemas import DocumentDetail
    from core.clock import FixedClock
    from core.scope import Scope


class Happened(Struct, frozen=True):
    kind: str
    at: datetime
    facts: str


class Money(Struct, frozen=True):
    """In the customer's currency, in whole units as text: "−120.00" is easier to read than −12000."""

    open: str
    credit: str
    balance: str


class Story:
    """One customer in a tenant of its own. The clock stands at nine in the morning of the tenant's zone."""

    def __init__(self, scope: Scope, clock: FixedClock) -> None:
        self.scope = scope
        self.clock = clock
        self.customer = 0
        self.products: dict[str, int] = {}
        self.prices: dict[str, int] = {}
        self.documents: list[int] = []

    @property
    def today(self) -> date:
        return self.scope.today()

    def on(self, when: str | date, at: time = time(9)) -> None:
        """Move the clock to a day, in the tenant's zone."""
        on = date.fromisoformat(when) if isinstance(when, str) else when
        self.clock.set(datetime.combine(on, at, ZoneInfo(self.scope.tenant.time_zone)).astimezone(UTC))

    async def begins(self, when: str, **customer: Any) -> None:
        self.on(when)
        self.customer = await a_customer(self.scope, **customer)

    async def sells(self, code: str, amount_minor: int, per: str = "month", count: int = 1, **fields: Any) -> int:
        """A product at one price; a second call with the same code adds a price. Gives the price's id."""
        price = NewPrice(
            cycle_unit=per,  # type: ignore[arg-type]  # as the test says it
            cycle_count=count,
            amount_minor=amount_minor,
            setup_minor=fields.pop("setup_minor", 0),
            tax_inclusive=fields.pop("tax_inclusive", False),
            currency=fields.pop("currency", None),
            valid_from=date(2000, 1, 1),
        )
        if code not in self.products:
            fields.setdefault("name", code.title())
            fields.setdefault("kind", "plan")
            self.products[code] = await create_product(self.scope, NewProduct(code=code, prices=[price], **fields))
            price_id = await value("SELECT max(id) FROM price WHERE product_id = :id", id=self.products[code])
        else:
            price_id = await set_price(self.scope, self.products[code], price)
        self.prices[f"{code} {count} {per}"] = int(price_id)
        self.prices.setdefault(code, int(price_id))
        return int(price_id)

    def lives_in(self, zone: str, *, country: str | None = None, currency: str | None = None) -> None:
        """The tenant is elsewhere; before anything happens."""
        there = self.scope.tenant
        self.scope = replace(
            self.scope,
            tenant=replace(
                there, time_zone=zone, country=country or there.country, currency=currency or there.currency
            ),
        )

    async def taxes(
        self, ppm: int, category: str = "standard", since: str = "2000-01-01", country: str | None = None
    ) -> None:
        await set_tax_rate(
            self.scope,
            NewTaxRate(
                country=country or self.scope.tenant.country, category=category, valid_from=day(since), rate_ppm=ppm
            ),
        )

    async def rate(self, currency: str, rate: str, since: str) -> None:
        """The official rate from a day on: so much of the tenant's currency for one unit."""
        units, _, parts = rate.partition(".")
        await set_fx_rate(
            self.scope,
            NewFxRate(
                from_currency=currency,
                valid_on=day(since),
                rate_e10=int(units) * 10**10 + int(parts.ljust(10, "0")),
            ),
        )

    async def bills(self, **settings: Any) -> None:
        await save_settings(self.scope, BillingSettings(**settings))

    async def subscribes(self, code: str, starting: str | None = None, **fields: Any) -> int:
        price = fields.pop("price", code)
        return await subscribe(
            self.scope,
            NewSubscription(
                customer_id=fields.pop("customer_id", self.customer),
                product_id=self.products[code],
                price_id=self.prices[price],
                starts_on=day(starting) if starting else None,
                **fields,
            ),
        )

    async def asks_for(self, code: str, **fields: Any) -> tuple[int, int]:
        """Make the invoice for a cycle; gives the subscription and the invoice."""
        made = await invoice_first(
            self.scope,
            NewSubscription(
                customer_id=self.customer,
                product_id=self.products[code],
                price_id=self.prices[fields.pop("price", code)],
                **fields,
            ),
        )
        return made.subscription_id, made.document_id

    async def tries(self, code: str, **fields: Any) -> int:
        """The test time of a product."""
        price = self.prices[fields.pop("price", code)]
        return await start_trial(
            self.scope,
            NewTrial(customer_id=self.customer, product_id=self.products[code], price_id=price, **fields),
        )

    async def gets_free(self, code: str, until: str | None = None, **fields: Any) -> int:
        return await activate_free(
            self.scope,
            NewFreeSubscription(
                customer_id=self.customer,
                product_id=self.products[code],
                until_on=day(until) if until else None,
                **fields,
            ),
        )

    async def asks_for_trial(self, subscription_id: int, price: str | None = None) -> int:
        """Make the invoice of a trial; gives the invoice."""
        made = await invoice_trial(self.scope, subscription_id, self.prices[price] if price else None)
        return made.document_id

    async def changes(self, subscription_id: int, price: str | None = None, **order: Any) -> Changed:
        """Upgrade, downgrade, another cycle or quantity."""
        if "on" in order:
            order["on"] = day(order["on"])
        if price is not None:
            order["price_id"] = self.prices[price]
        return await change_subscription(self.scope, subscription_id, ChangeOrder(**order))

    async def policy(self, code: str, **fields: Any) -> None:
        """How subscriptions of a product are changed."""
        product_id = self.products[code]
        version = (await get_product(product_id)).version
        policy = msgspec.convert(fields, ChangePolicy)
        await set_change_policy(self.scope, product_id, policy, version=version)

    async def terminates_with_credit(self, subscription_id: int, on: str) -> None:
        await terminate(self.scope, subscription_id, day(on))
        await credit_unused(self.scope, subscription_id, day(on), "Ended")

    async def is_charged(self, what: str, amount_minor: int, **fields: Any) -> int:
        """Something to be paid once."""
        fields.setdefault("customer_id", self.customer)
        return await add_charge(self.scope, NewCharge(description=what, amount_minor=amount_minor, **fields))

    async def drafts(self, *lines: tuple[str, int], **fields: Any) -> int:
        """A draft with free lines: what, minor units."""
        return await create_draft(
            self.scope,
            NewDraft(
                payer_id=self.customer,
                lines=[NewLine(description=what, unit_price_e6=minor * 10**4) for what, minor in lines],
                **fields,
            ),
        )

    async def is_invoiced(self, *lines: tuple[str, int], **fields: Any) -> int:
        """An invoice by hand, issued."""
        document_id = await self.drafts(*lines, **fields)
        await issue(self.scope, document_id)
        return document_id

    async def credits(self, document_id: int, *amounts: int, reason: str = "As agreed") -> DocumentDetail:
        """A credit note over so much of the first lines of an invoice; 0 leaves a line out."""
        lines = (await self.document(document_id)).lines
        note_id = await create_credit_note(
            self.scope,
            NewCreditNote(
                document_id=document_id,
                reason=reason,
                lines=[
                    CreditLine(line_id=line.id, amount_minor=minor)
                    for line, minor in zip(lines, amounts, strict=False)
                    if minor
                ],
            ),
        )
        return await self.document(note_id)

    async def voids(self, document_id: int, then: Literal["waive", "bill_again"] = "waive") -> DocumentDetail:
        return await self.document(await void(self.scope, document_id, "A mistake", Charges(then)))

    async def becomes(self, status: str) -> None:
        await change_status(self.scope, self.customer, status)

    async def pays(self, amount_minor: int, document_id: int | None = None, **fields: Any) -> int:
        return await receive(
            self.scope,
            NewPayment(
                payer_id=fields.pop("payer_id", self.customer),
                amount_minor=amount_minor,
                document_id=document_id,
                **fields,
            ),
        )

    async def document(self, document_id: int) -> DocumentDetail:
        return await get_document(self.scope, document_id)

    async def last_document(self) -> DocumentDetail:
        (last,) = await list_documents(self.scope, limit=1)
        return await self.document(last.id)

    async def state_of(self, subscription_id: int) -> str:
        return (await get_subscription(self.scope, subscription_id)).state

    async def money(self, customer_id: int | None = None) -> Money:
        """Open, free credit and balance of the customer, as the table "One life" of the design has them."""
        found = await get_balance(self.scope, customer_id or self.customer)
        parts = (found.receivable_minor, found.credit_minor, found.balance_minor)
        return Money(*(_text(part, found.currency) for part in parts))

    async def books(self, *codes: str, currency: str | None = None) -> list[str]:
        """What stands on these accounts, debit positive: in the tenant's currency, or as booked in another."""
        found = [0] * len(codes)
        for each in await trial_balance():
            if each.code in codes and currency in {None, each.currency}:
                found[codes.index(each.code)] += each.base_minor if currency is None else each.balance_minor
        return [_text(minor, currency or self.scope.tenant.currency) for minor in found]

    async def papers(self, kind: str = "invoice", payer_id: int | None = None) -> list[tuple[str, str, str]]:
        """Every issued document: day, total, and what became of it."""
        found = await list_documents(self.scope, kind=kind, state="issued", payer_id=payer_id, limit=1000)
        return [
            (str(_iso(each.issued_on)), _text(each.total_minor, each.currency), each.settlement)
            for each in reversed(found)
        ]

    async def events(self, kind: str) -> list[date]:
        """On which days of the tenant this happened."""
        found = await rows(
            Happened, "SELECT kind, at, facts FROM activity WHERE kind = :kind ORDER BY position", kind=kind
        )
        zone = ZoneInfo(self.scope.tenant.time_zone)
        return [each.at.astimezone(zone).date() for each in found]

    async def expects(self, kind: str, on: list[str]) -> None:
        assert [each.isoformat() for each in await self.events(kind)] == on

    async def bill(self, on: str | None = None, **options: Any) -> RunReport:
        """The billing run of the day, or for another date."""
        options.setdefault("confirmed", True)  # days on which nothing happens are left out, so gaps look long
        return await run_billing(self.scope, day(on) if on else self.today, pause=0, **options)

    async def days_pass(self, days: int) -> None:
        await self._lives_until(self.today + timedelta(days=days))

    async def months_pass(self, months: int) -> None:
        await self._lives_until(nth(self.today, Cycle("month"), months))

    async def _lives_until(self, last: date) -> None:
        """Every day on which something may happen, today and the last one too, is billed as its schedule would."""
        await self.bill()
        while (following := await self._next_day()) is not None and following <= last:
            self.on(following)
            await self.bill()
        self.on(last)
        await self.bill()

    async def _next_day(self) -> date | None:
        last_day_to_pay = await value_as(
            date,
            "SELECT min(day) FROM (SELECT min(pending_until) AS day FROM subscription WHERE pending_until >= :today"
            " AND state = 'pending' UNION ALL SELECT min(until_on) FROM subscription_change WHERE until_on >= :today"
            " AND state = 'waiting') d",
            today=self.today,
        )
        found = await value_as(
            date,
            "SELECT min(day) FROM (SELECT min(due_on) AS day FROM subscription_schedule WHERE due_on > :today"
            " UNION ALL SELECT min(ends_on) FROM subscription WHERE ends_on > :today AND ended_on IS NULL"
            " UNION ALL SELECT min(due_on) FROM charge WHERE due_on > :today AND state = 'open'"
            " UNION ALL SELECT min(happens_on) FROM subscription_change WHERE happens_on > :today"
            " AND state = 'planned'"
            " UNION ALL SELECT min(from_on) FROM subscription_pause WHERE from_on > :today AND state = 'planned'"
            " UNION ALL SELECT min(to_on) FROM subscription_pause WHERE to_on > :today AND state = 'running'"
            " UNION ALL SELECT min(trial_ends_on) FROM subscription WHERE trial_ends_on > :today"
            " AND state = 'trial') d",
            today=self.today,
        )
        if last_day_to_pay is not None:
            lapses = last_day_to_pay + timedelta(days=1)
            found = lapses if found is None else min(found, lapses)
        return found

    async def nothing_more_is_due(self) -> None:
        """Running again makes nothing, and the books hold."""
        before = await value("SELECT count(*) FROM document")
        again = await self.bill()
        assert (again.invoices, again.charges) == (0, 0)
        assert await value("SELECT count(*) FROM document") == before
        assert await verify(self.scope) == []
        assert await _not_made() == []

    async def lines(self) -> list[tuple[str, str | None, str | None, int]]:
        """Every line of every issued invoice: what, from, to, net."""
        found: list[tuple[str, str | None, str | None, int]] = []
        for each in reversed(await list_documents(self.scope, kind="invoice", state="issued", limit=1000)):
            for line in (await self.document(each.id)).lines:
                found.append((line.description, _iso(line.period_from), _iso(line.period_to), line.net_minor))
        return found

    async def spans(self, subscription_id: int) -> list[tuple[str, str, str]]:
        """The days of a subscription that are never charged, and why."""
        found = await rows(
            _Span,
            "SELECT from_on, to_on, reason FROM unbilled_span WHERE subscription_id = :id ORDER BY from_on",
            id=subscription_id,
        )
        return [(each.from_on.isoformat(), each.to_on.isoformat(), each.reason) for each in found]


class _Span(Struct, frozen=True):
    from_on: date
    to_on: date
    reason: str


class _Priced(Struct, frozen=True):
    document_id: int
    position: int
    description: str
    currency: str
    quantity_e6: int
    unit_price_e6: int
    days: int
    of_days: int
    discount_minor: int
    amount_minor: int


async def _not_made() -> list[_Priced]:
    """Lines of what recurs whose amount is not what is printed on them: quantity × price × days, less the discount."""
    found = await rows(
        _Priced,
        "SELECT l.document_id, l.position, l.description, d.currency, l.quantity_e6, l.unit_price_e6, l.days,"
        " l.of_days, l.discount_minor, l.amount_minor FROM document_line l JOIN document d ON d.id = l.document_id"
        " WHERE d.kind = 'invoice' AND l.kind = 'recurring' ORDER BY l.id",
    )
    return [each for each in found if not is_made(each, each.currency)]


def percent(percent: int, until: str | None = None) -> NewDiscount:
    return NewDiscount(percent_e6=percent * 10**6, until_on=day(until) if until else None)


def off(minor: int, until: str | None = None) -> NewDiscount:
    """An amount a cycle."""
    return NewDiscount(amount_minor=minor, until_on=day(until) if until else None)


def _text(minor: int, currency: str) -> str:
    places = exponent(currency)
    units, parts = divmod(abs(minor), 10**places)
    return f"{'-' if minor < 0 else ''}{units}" + (f".{parts:0{places}}" if places else "")


def _iso(on: date | None) -> str | None:
    return on.isoformat() if on else None


def facts(text: str) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any])
    return found
