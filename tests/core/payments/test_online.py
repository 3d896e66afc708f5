"""Payments through a gateway: begun once, received once however often it is told, asked about, paid back, paid out."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count, permutations
from typing import Any

import pytest

import core.testing
from core import hookspecs, outbound
from core.activity.asking import nothing_kept
from core.activity.queries import timeline
from core.activity.unit import InsideUnit, open_unit, unit_of_work
from core.app import HOOK_MODULES
from core.billing import actions as billing
from core.billing.queries import get_document
from core.billing.schemas import NewDraft, NewLine
from core.billing.verify import verify
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import sql, value
from core.errors import Conflict, Forbidden, Invalid, NotFound, Unavailable
from core.hooks import GatewayNews, HookSets, MoneyState, PayBack, PaymentGateway, PayOrder, PayPage
from core.ledger.queries import get_balance, trial_balance
from core.payments import online
from core.payments.online import PayOnline, ask_about, begin_payment, send_back, take_news
from core.payments.paying_back import PayingBackOnline, pay_back
from core.payments.queries import get_payment, list_payments
from core.scope import Scope, plugin_actor
from core.testing import TestTenant
from tests.core.hooks.modules import module

BACK = "/back/{payment_id}"


@dataclass
class Bank:
    """A gateway that does what the test says."""

    orders: dict[str, PayOrder] = field(default_factory=dict)
    begun: int = 0
    silent: bool = False
    breaks: Exception | None = None
    slow: bool = False
    knows: bool = True
    states: dict[str, MoneyState] = field(default_factory=dict)
    refunds: list[PayBack] = field(default_factory=list)
    refuses: bool = False
    inside: list[bool] = field(default_factory=list)
    """Of each question whether it was asked inside a unit of work."""

    async def begin(self, scope: Scope, order: PayOrder) -> PayPage:
        self.begun += 1
        self.inside.append(open_unit() is not None)
        self.answers()
        self.orders[order.key] = order
        return PayPage(href=f"https://bank.example/{order.key}", reference=f"ref-{order.key}")

    async def look(self, scope: Scope, key: str) -> GatewayNews | None:
        self.inside.append(open_unit() is not None)
        await asyncio.sleep(0.2 if self.slow else 0)
        self.answers()
        if key not in self.orders or not self.knows:
            return None
        return self.news(key, self.states.get(key, "pending"))

    async def read(self, scope: Scope, headers: Mapping[str, str], body: bytes) -> Sequence[GatewayNews]:
        self.answers()
        if headers.get("x-signed") != "yes":
            raise Forbidden("Not signed.")
        return [self.news(key, "received") for key in body.decode().split()]

    async def pay_back(self, scope: Scope, order: PayBack) -> GatewayNews:
        self.answers()
        if order.key not in {each.key for each in self.refunds}:
            self.refunds.append(order)
        return GatewayNews(
            event_id=f"refund-{order.key}",
            kind="refund",
            key=order.key,
            state="failed" if self.refuses else "received",
            amount_minor=order.amount_minor,
            currency=order.currency,
            reason="The account is closed." if self.refuses else "",
        )

    def answers(self) -> None:
        if self.silent:
            raise Unavailable("The bank is closed.")
        if self.breaks is not None:
            raise self.breaks

    def news(self, key: str, state: MoneyState, *, event: str = "", **changed: object) -> GatewayNews:
        order = self.orders[key]
        known: dict[str, object] = {"amount_minor": order.amount_minor, "fee_minor": 210, **changed}
        if state != "received":
            known["fee_minor"] = 0
        return GatewayNews(
            event_id=event or f"{key}-{state}",
            state=state,
            currency=str(known.pop("currency", order.currency)),
            key=key,
            **known,  # type: ignore[arg-type]  # as the test changes them
        )


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> Bank:
    """Every tenant of this test has a plugin with this gateway."""
    made = Bank()
    gateway = PaymentGateway(
        key="bank",
        label="Bank",
        begin=made.begin,
        look=made.look,
        read=made.read,
        pay_back=made.pay_back,
        currencies=frozenset({"EUR"}),
    )

    async def payment_gateways(scope: Scope) -> Sequence[PaymentGateway]:
        return (gateway,)

    probe = module("bank", payment_gateways=payment_gateways)
    sets = HookSets(hookspecs, (*HOOK_MODULES, ("bank", probe)), [], guard=nothing_kept)
    monkeypatch.setattr(core.testing, "hook_sets", lambda: sets)
    return made


async def a_customer(tenant: TestTenant) -> int:
    return await create_customer(tenant.scope(), NewCustomer(full_name="Tarrow Pike", country="IE"))


async def an_invoice(tenant: TestTenant, customer_id: int) -> int:
    """Issued, 123.00 with its tax."""
    scope = tenant.scope()
    made = await billing.create_draft(
        scope, NewDraft(payer_id=customer_id, lines=[NewLine(description="Visit", unit_price_e6=100_000_000)])
    )
    await billing.issue(scope, made)
    return made


def gateway_scope(tenant: TestTenant) -> Scope:
    return tenant.scope().as_actor(plugin_actor("bank"))


async def begun(tenant: TestTenant, bank: Bank, customer_id: int, *documents: int) -> tuple[int, str]:
    """A payment that waits at the bank: its id, and our key."""
    made = await begin_payment(
        tenant.scope(), PayOnline(payer_id=customer_id, document_ids=list(documents), gateway="bank"), back=BACK
    )
    return made.payment_id, (await online.get_online(tenant.scope(), made.payment_id)).key


async def open_of(tenant: TestTenant, document_id: int) -> int:
    return (await get_document(tenant.scope(), document_id)).open_minor


async def account(code: str) -> int:
    return sum(each.debit_minor - each.credit_minor for each in await trial_balance() if each.code == code)


async def clean(tenant: TestTenant) -> list[object]:
    return list(await verify(tenant.scope(), thorough=True))


async def test_B15_a_payment_begins_as_pending_and_counts_for_nothing(tenant: TestTenant, bank: Bank) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)

    payment_id, key = await begun(tenant, bank, customer_id, invoice_id)

    order = bank.orders[key]
    assert (order.amount_minor, order.currency, order.text) == (12300, "EUR", "Invoice 2026-000001")
    assert order.back == f"{tenant.tenant.address}/back/{payment_id}"
    assert order.notify.endswith("/api/v1/gateways/bank/notifications")
    assert (await get_payment(tenant.scope(), payment_id)).state == "pending"
    assert (await get_balance(tenant.scope(), customer_id)).balance_minor == -12300
    assert await open_of(tenant, invoice_id) == 12300
    assert await clean(tenant) == []


async def test_B15_money_that_came_settles_the_invoices_it_was_for_and_the_fee_is_ours(
    tenant: TestTenant, bank: Bank
) -> None:
    customer_id = await a_customer(tenant)
    older, named = await an_invoice(tenant, customer_id), await an_invoice(tenant, customer_id)
    payment_id, key = await begun(tenant, bank, customer_id, named)

    await take_news(gateway_scope(tenant), "bank", bank.news(key, "received"))

    assert (await open_of(tenant, older), await open_of(tenant, named)) == (12300, 0)
    payment = await get_payment(tenant.scope(), payment_id)
    assert (payment.state, payment.fee_minor, payment.method) == ("received", 210, "bank")
    assert (await account("1210"), await account("5200"), await account("1200")) == (12090, 210, 0)
    received = next(
        each for each in await timeline(tenant.scope(), customer_id=customer_id) if each.kind == "payment_received"
    )
    assert (received.actor, received.on_behalf_of) == ("plugin:bank", "staff:1")
    assert await clean(tenant) == []


@pytest.mark.parametrize("order", sorted(set(permutations(["pending", "failed", "received", "received"]))))
async def test_B15_however_often_and_in_whatever_order_it_is_told_money_comes_once(
    tenant: TestTenant, bank: Bank, order: tuple[MoneyState, ...]
) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    payment_id, key = await begun(tenant, bank, customer_id, invoice_id)

    for state in order:
        await take_news(gateway_scope(tenant), "bank", bank.news(key, state))
        await take_news(gateway_scope(tenant), "bank", bank.news(key, state, event=f"again {state} {order}"))

    assert (await get_payment(tenant.scope(), payment_id)).state == "received"
    assert (await get_balance(tenant.scope(), customer_id)).balance_minor == 0
    assert await account("1210") == 12090
    assert await clean(tenant) == []


async def test_what_was_declined_is_failed_with_its_reason_and_may_be_tried_again(
    tenant: TestTenant, bank: Bank
) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    payment_id, key = await begun(tenant, bank, customer_id, invoice_id)

    await take_news(gateway_scope(tenant), "bank", bank.news(key, "failed", reason="No cover"))
    other_id, other_key = await begun(tenant, bank, customer_id, invoice_id)

    assert (await online.get_online(tenant.scope(), payment_id)).reason == "No cover"
    assert (await get_payment(tenant.scope(), payment_id)).state == "failed"
    assert other_id != payment_id
    assert other_key != key
    assert await open_of(tenant, invoice_id) == 12300


async def test_who_begins_the_same_again_goes_on_where_it_was(tenant: TestTenant, bank: Bank) -> None:
    customer_id = await a_customer(tenant)
    one, other = await an_invoice(tenant, customer_id), await an_invoice(tenant, customer_id)

    first, _ = await begun(tenant, bank, customer_id, one)
    again, _ = await begun(tenant, bank, customer_id, one)
    more, _ = await begun(tenant, bank, customer_id, one, other)
    tenant.clock.move(timedelta(minutes=31))
    later, _ = await begun(tenant, bank, customer_id, one)

    assert first == again
    assert len({first, more, later}) == 3
    assert bank.begun == 3


async def test_a_gateway_that_does_not_answer_charges_nothing_and_the_same_order_is_tried_again(
    tenant: TestTenant, bank: Bank
) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    bank.silent = True

    with pytest.raises(Unavailable):
        await begun(tenant, bank, customer_id, invoice_id)
    bank.silent = False
    payment_id, _ = await begun(tenant, bank, customer_id, invoice_id)

    assert [each.id for each in await list_payments(tenant.scope())] == [payment_id]
    assert len(bank.orders) == 1


async def test_a_payment_that_was_killed_before_it_reached_the_gateway_is_found_and_failed(
    tenant: TestTenant, bank: Bank
) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    bank.silent = True
    with pytest.raises(Unavailable):
        await begun(tenant, bank, customer_id, invoice_id)
    bank.silent = False
    (payment,) = await list_payments(tenant.scope())
    assert await value("SELECT count(*) FROM job WHERE kind = 'ask_gateway'") == 1

    state = await ask_about(tenant.scope(), payment.id)

    assert state == "failed"
    assert "never reached" in (await online.get_online(tenant.scope(), payment.id)).reason


async def test_a_notification_that_never_comes_is_asked_for(tenant: TestTenant, bank: Bank) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    payment_id, key = await begun(tenant, bank, customer_id, invoice_id)

    waits = await ask_about(tenant.scope(), payment_id)
    bank.silent = True
    unclear = await ask_about(tenant.scope(), payment_id)
    bank.silent = False
    bank.states[key] = "received"
    came = await ask_about(tenant.scope(), payment_id)
    late = await take_news(gateway_scope(tenant), "bank", bank.news(key, "received"))

    assert (waits, unclear, came, late) == ("pending", "unknown", "received", False)
    assert await value("SELECT count(*) FROM job WHERE kind = 'ask_gateway'") == 3, "one more after each open answer"
    assert await open_of(tenant, invoice_id) == 0
    assert await account("1210") == 12090


async def unclear(tenant: TestTenant, bank: Bank, customer_id: int, *documents: int) -> tuple[int, str]:
    """A payment of which the bank says nothing."""
    payment_id, key = await begun(tenant, bank, customer_id, *documents)
    bank.silent = True
    assert await ask_about(tenant.scope(), payment_id, again=False) == "unknown"
    bank.silent = False
    return payment_id, key


async def test_what_nobody_knows_of_is_never_charged_again(tenant: TestTenant, bank: Bank) -> None:
    customer_id = await a_customer(tenant)
    one, other = await an_invoice(tenant, customer_id), await an_invoice(tenant, customer_id)
    payment_id, key = await unclear(tenant, bank, customer_id, one)

    again, _ = await begun(tenant, bank, customer_id, one)
    tenant.clock.move(timedelta(days=1))
    later, _ = await begun(tenant, bank, customer_id, one)
    with pytest.raises(online.StillUnclear, match="whether an earlier payment came") as refused:
        await begun(tenant, bank, customer_id, one, other)
    free, _ = await begun(tenant, bank, customer_id, other)
    bank.states[key] = "failed"
    await ask_about(tenant.scope(), payment_id, again=False)
    both, _ = await begun(tenant, bank, customer_id, one, other)

    assert again == later == payment_id == refused.value.payment_id
    assert refused.value.details == {"payment_id": payment_id}
    assert len({payment_id, free, both}) == 3
    assert bank.begun == 3


async def test_a_payment_begun_while_another_waited_is_not_gone_on_with_once_that_is_unclear(
    tenant: TestTenant, bank: Bank
) -> None:
    customer_id = await a_customer(tenant)
    one, other = await an_invoice(tenant, customer_id), await an_invoice(tenant, customer_id)
    first, _ = await begun(tenant, bank, customer_id, one)
    await begun(tenant, bank, customer_id, one, other)
    bank.silent = True
    await ask_about(tenant.scope(), first, again=False)

    with pytest.raises(online.StillUnclear) as refused:
        await begun(tenant, bank, customer_id, one, other)

    assert refused.value.payment_id == first


async def test_no_gateway_is_spoken_to_inside_a_unit_of_work(tenant: TestTenant, bank: Bank) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)

    with pytest.raises(InsideUnit, match="payment gateway"):
        async with unit_of_work(tenant.scope()):
            await begun(tenant, bank, customer_id, invoice_id)

    assert bank.begun == 0


async def test_silence_says_nothing_of_money_and_is_forgotten_once_it_came(
    tenant: TestTenant, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer_id = await a_customer(tenant)
    payment_id, key = await begun(tenant, bank, customer_id, await an_invoice(tenant, customer_id))
    before = await online.get_online(tenant.scope(), payment_id)
    monkeypatch.setattr(outbound, "ANSWERS_WITHIN", 0.05)
    bank.slow = True

    await ask_about(tenant.scope(), payment_id, again=False)
    silence = (await online.get_online(tenant.scope(), payment_id)).reason
    await take_news(gateway_scope(tenant), "bank", bank.news(key, "received"))
    async with unit_of_work(tenant.scope()):
        await online._unclear(tenant.scope(), before, "Too late.")

    assert silence == "Bank does not answer."
    found = await online.get_online(tenant.scope(), payment_id)
    assert (found.state, found.reason) == ("received", "")


async def test_what_had_failed_and_comes_in_another_currency_is_told_and_asked_about(
    tenant: TestTenant, bank: Bank
) -> None:
    customer_id = await a_customer(tenant)
    payment_id, key = await begun(tenant, bank, customer_id, await an_invoice(tenant, customer_id))
    await take_news(gateway_scope(tenant), "bank", bank.news(key, "failed"))

    await take_news(gateway_scope(tenant), "bank", bank.news(key, "received", currency="USD"))

    found = await online.get_online(tenant.scope(), payment_id)
    assert (found.state, "another currency" in found.reason) == ("unknown", True)
    told = [each.kind for each in await timeline(tenant.scope(), customer_id=customer_id)]
    assert told.count("online_payment_unclear") == 1
    assert await value("SELECT count(*) FROM job WHERE kind = 'ask_gateway'") == 2


async def test_a_payer_who_never_comes_back_is_given_up_after_days_and_money_that_comes_then_counts(
    tenant: TestTenant, bank: Bank
) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    payment_id, key = await begun(tenant, bank, customer_id, invoice_id)

    tenant.clock.move(timedelta(days=2))
    assert await ask_about(tenant.scope(), payment_id) == "pending"
    tenant.clock.move(timedelta(days=2))
    assert await ask_about(tenant.scope(), payment_id) == "failed"
    await take_news(gateway_scope(tenant), "bank", bank.news(key, "received"))

    assert (await get_payment(tenant.scope(), payment_id)).state == "received"
    assert await open_of(tenant, invoice_id) == 0


async def test_news_in_another_currency_is_for_a_person(tenant: TestTenant, bank: Bank) -> None:
    customer_id = await a_customer(tenant)
    payment_id, key = await begun(tenant, bank, customer_id, await an_invoice(tenant, customer_id))

    await take_news(gateway_scope(tenant), "bank", bank.news(key, "received", currency="USD"))

    assert (await get_payment(tenant.scope(), payment_id)).state == "unknown"
    assert await account("1210") == 0


async def test_more_or_less_than_was_ordered_is_booked_as_what_came(tenant: TestTenant, bank: Bank) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    _, key = await begun(tenant, bank, customer_id, invoice_id)

    await take_news(gateway_scope(tenant), "bank", bank.news(key, "received", amount_minor=10000))

    assert await open_of(tenant, invoice_id) == 2300
    assert await clean(tenant) == []


async def test_news_of_a_payment_that_nobody_knows_is_not_taken_for_good(tenant: TestTenant, bank: Bank) -> None:
    bank.orders["k"] = PayOrder(key="k", amount_minor=1000, currency="EUR", text="", back="", notify="")

    with pytest.raises(NotFound):
        await take_news(gateway_scope(tenant), "bank", bank.news("k", "received"))

    assert await value("SELECT count(*) FROM gateway_event") == 0


async def test_B15_a_notification_is_heard_only_with_its_signature(tenant: TestTenant, bank: Bank) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    _, key = await begun(tenant, bank, customer_id, invoice_id)
    client, path = tenant.anonymous(), "/api/v1/gateways/bank/notifications"
    client.headers.clear()

    forged = await client.post(path, content=key.encode())
    nobody = await client.post("/api/v1/gateways/shells/notifications", content=b"")
    still = await open_of(tenant, invoice_id)
    told = [await client.post(path, content=key.encode(), headers={"x-signed": "yes"}) for _ in range(3)]

    assert (forged.status_code, nobody.status_code) == (403, 404)
    assert still == 12300
    assert [each.status_code for each in told] == [200, 200, 200]
    assert await open_of(tenant, invoice_id) == 0
    assert await account("1210") == 12090


async def test_only_open_invoices_of_the_payer_in_a_currency_that_the_gateway_takes_are_paid(
    tenant: TestTenant, bank: Bank
) -> None:
    customer_id, other_id = await a_customer(tenant), await a_customer(tenant)
    theirs = await an_invoice(tenant, other_id)
    paid = await an_invoice(tenant, customer_id)
    _, key = await begun(tenant, bank, customer_id, paid)
    await take_news(gateway_scope(tenant), "bank", bank.news(key, "received"))

    for documents, gateway, error in (
        ([theirs], "bank", NotFound),
        ([paid], "bank", Conflict),
        ([999], "bank", NotFound),
        ([paid], "shells", NotFound),
    ):
        with pytest.raises(error):
            await begin_payment(
                tenant.scope(),
                PayOnline(payer_id=customer_id, document_ids=documents, gateway=gateway),
                back=BACK,
            )


async def received(tenant: TestTenant, bank: Bank) -> tuple[int, int, int]:
    """A customer, its paid invoice, and the payment that paid it."""
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    payment_id, key = await begun(tenant, bank, customer_id, invoice_id)
    await take_news(gateway_scope(tenant), "bank", bank.news(key, "received"))
    return customer_id, invoice_id, payment_id


async def test_B15_money_goes_back_the_way_it_came_and_once(tenant: TestTenant, bank: Bank) -> None:
    customer_id, invoice_id, payment_id = await received(tenant, bank)

    with pytest.raises(Conflict, match="opened again"):
        await pay_back(tenant.scope(), payment_id, PayingBackOnline(amount_minor=2300, reason="Outage"))
    given = await pay_back(
        tenant.scope(), payment_id, PayingBackOnline(amount_minor=2300, reason="Outage", reopen=True)
    )
    refund_id = given.refund_id
    waiting = await value("SELECT state FROM refund WHERE id = :id", id=refund_id)
    states = [await send_back(tenant.scope(), refund_id) for _ in range(2)]

    assert (waiting, states) == ("pending", ["done", "done"])
    assert [each.amount_minor for each in bank.refunds] == [2300]
    assert await account("1210") == 12090 - 2300
    assert (await get_balance(tenant.scope(), customer_id)).balance_minor == -2300
    with pytest.raises(Invalid, match="100"):
        await pay_back(tenant.scope(), payment_id, PayingBackOnline(amount_minor=10001, reason="x", reopen=True))
    assert await clean(tenant) == []
    assert invoice_id


async def test_a_refund_that_the_gateway_refuses_is_credit_again_and_one_without_an_answer_is_asked_once_more(
    tenant: TestTenant, bank: Bank
) -> None:
    customer_id, invoice_id, payment_id = await received(tenant, bank)
    given = await pay_back(tenant.scope(), payment_id, PayingBackOnline(reason="Left", reopen=True))
    refund_id = given.refund_id
    bank.silent = True

    with pytest.raises(Unavailable):
        await send_back(tenant.scope(), refund_id)
    unknown = await value("SELECT state FROM refund WHERE id = :id", id=refund_id)
    bank.silent, bank.refuses = False, True
    state = await send_back(tenant.scope(), refund_id)

    assert (unknown, state) == ("unknown", "failed")
    assert await open_of(tenant, invoice_id) == 0, "the credit pays again what it paid"
    assert await account("1210") == 12090
    assert (await get_balance(tenant.scope(), customer_id)).balance_minor == 0
    assert await clean(tenant) == []


@pytest.mark.parametrize("fault", [ConnectionResetError("104"), KeyError("status")], ids=["connection", "plugin"])
async def test_a_gateway_that_breaks_while_it_is_asked_has_not_answered_and_no_money_is_lost(
    tenant: TestTenant, bank: Bank, fault: Exception
) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)

    bank.breaks = fault
    with pytest.raises(Unavailable, match="Nothing was paid"):
        await begun(tenant, bank, customer_id, invoice_id)
    (payment,) = await list_payments(tenant.scope())
    asked = await ask_about(tenant.scope(), payment.id)
    bank.breaks = None
    payment_id, key = await begun(tenant, bank, customer_id, invoice_id)
    bank.breaks = fault
    with pytest.raises(Unavailable, match="does not answer"):
        await online.take_notification(tenant.scope(), "bank", {"x-signed": "yes"}, key.encode())
    bank.breaks = None
    told = await online.take_notification(tenant.scope(), "bank", {"x-signed": "yes"}, key.encode())
    given = await pay_back(tenant.scope(), payment_id, PayingBackOnline(reason="Left", reopen=True))
    bank.breaks = fault
    with pytest.raises(Unavailable, match="does not answer"):
        await send_back(tenant.scope(), given.refund_id)
    unknown = await value("SELECT state FROM refund WHERE id = :id", id=given.refund_id)
    bank.breaks = None
    states = [await send_back(tenant.scope(), given.refund_id) for _ in range(2)]

    assert (payment_id, asked, told, unknown, states) == (payment.id, "unknown", 1, "unknown", ["done", "done"])
    assert (len(bank.orders), len(bank.refunds)) == (1, 1)
    assert await account("1210") == -210, "what the gateway kept"
    assert await clean(tenant) == []


async def test_a_payout_moves_what_was_in_transit_to_the_bank_once(tenant: TestTenant, bank: Bank) -> None:
    await received(tenant, bank)
    news = GatewayNews(event_id="out-1", kind="payout", state="received", amount_minor=12090, currency="EUR")

    told = [await take_news(gateway_scope(tenant), "bank", news) for _ in range(2)]

    assert told == [True, False]
    assert (await account("1210"), await account("1200")) == (0, 12090)
    assert await clean(tenant) == []


def _without_plugins() -> HookSets:
    return HookSets(hookspecs, HOOK_MODULES, [], guard=nothing_kept)


async def test_what_waits_at_a_gateway_that_was_switched_off_is_unclear_and_asked_about_later(
    tenant: TestTenant, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer_id = await a_customer(tenant)
    payment_id, _ = await begun(tenant, bank, customer_id, await an_invoice(tenant, customer_id))
    monkeypatch.setattr(core.testing, "hook_sets", _without_plugins)

    assert await ask_about(tenant.scope(), payment_id) == "unknown"
    assert await value("SELECT count(*) FROM job WHERE kind = 'ask_gateway'") == 2


# ------------------------------------------------------------------ killed between two steps


class Died(Exception):
    """The process is gone, at this statement."""


@pytest.fixture
def dies_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """After so many statements everything ends; None: never."""
    compiled, left = sql.compile_statement, [-1]

    def counted(*given: Any) -> Any:
        if left[0] == 0:
            raise Died
        left[0] -= 1
        return compiled(*given)

    monkeypatch.setattr(sql, "compile_statement", counted)

    def set_to(statements: int | None) -> None:
        left[0] = -1 if statements is None else statements

    return set_to


async def dying_everywhere(dies_at: Callable[[int | None], None], deed: Callable[[], Awaitable[object]]) -> int:
    """Do it again and again, ended one statement later each time, until it comes to its end; gives how many."""
    for statements in count(0):
        dies_at(statements)
        try:
            await deed()
        except Died:
            continue
        finally:
            dies_at(None)
        return statements
    raise AssertionError


async def test_B15_killed_at_any_statement_a_payment_is_ordered_and_received_once(
    tenant: TestTenant, bank: Bank, dies_at: Callable[[int | None], None]
) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    wanted = PayOnline(payer_id=customer_id, document_ids=[invoice_id], gateway="bank")

    begun_at = await dying_everywhere(dies_at, lambda: begin_payment(tenant.scope(), wanted, back=BACK))
    (key,) = bank.orders
    news = bank.news(key, "received")
    received_at = await dying_everywhere(dies_at, lambda: take_news(gateway_scope(tenant), "bank", news))
    (payment,) = await list_payments(tenant.scope())
    order = PayingBackOnline(reason="Left", reopen=True)
    back_at = await dying_everywhere(dies_at, lambda: pay_back(tenant.scope(), payment.id, order))
    refund_id = int(await value("SELECT id FROM refund"))
    await dying_everywhere(dies_at, lambda: send_back(tenant.scope(), refund_id))

    assert min(begun_at, received_at, back_at) > 8, "it ended at many places"
    assert await account("1210") == -210
    assert len(bank.refunds) == 1
    assert await open_of(tenant, invoice_id) == 12300
    assert await value("SELECT state FROM refund") == "done"
    assert await clean(tenant) == []


async def test_where_time_is_only_tried_out_no_gateway_is_spoken_to(tenant: TestTenant, bank: Bank) -> None:
    customer_id, invoice_id, payment_id = await received(tenant, bank)
    other_id, _ = await begun(tenant, bank, customer_id, await an_invoice(tenant, customer_id))
    tenant.tenant = replace(tenant.tenant, test_clock=True)
    bank.silent = True

    assert await ask_about(tenant.scope(), other_id) == "pending"
    for deed in (
        begin_payment(
            tenant.scope(), PayOnline(payer_id=customer_id, document_ids=[invoice_id], gateway="bank"), back=BACK
        ),
        pay_back(tenant.scope(), payment_id, PayingBackOnline(reason="x", reopen=True)),
    ):
        with pytest.raises(Conflict, match="nothing leaves it"):
            await deed


# ------------------------------------------------------------------ pages and JSON

PART = {"hx-request-type": "partial"}


async def test_the_staff_see_how_it_stands_and_ask_the_gateway_by_hand(tenant: TestTenant, bank: Bank) -> None:
    customer_id = await a_customer(tenant)
    payment_id, key = await begun(tenant, bank, customer_id, await an_invoice(tenant, customer_id))
    page, path = await tenant.browser(), f"/payments/{payment_id}"

    waits = await page.get(path)
    nothing = await page.post(f"{path}/asking")
    bank.states[key] = "failed"
    await page.post(f"{path}/asking")
    failed = await page.get(path)
    listed = await page.get("/payments")

    assert "it counts once the gateway says" in waits.text
    assert nothing.headers["location"] == path
    assert "No money came" in failed.text
    assert "Ask the gateway" not in failed.text
    assert "Failed" in listed.text


async def test_paying_back_shows_what_is_open_again_and_does_just_that(tenant: TestTenant, bank: Bank) -> None:
    _, invoice_id, payment_id = await received(tenant, bank)
    page, path = await tenant.browser(), f"/payments/{payment_id}/payback"

    plan = await page.get(path, params={"amount": "23"}, headers=PART)
    before = await open_of(tenant, invoice_id)
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', plan.text))
    silent = await page.post(path, data={**hidden, "amount": "23"}, headers=PART)
    done = await page.post(path, data={**hidden, "amount": "23", "reason": "Outage"}, headers=PART)
    too_much = await page.get(path, params={"amount": "999"}, headers=PART)

    assert "Pay back €23.00" in plan.text
    assert "0.00 →" in plan.text
    assert before == 0
    assert silent.status_code == 422
    assert done.headers.get("hx-redirect") == f"/payments/{payment_id}", done.text
    assert await open_of(tenant, invoice_id) == 2300, "what is not paid back settles it again"
    assert too_much.status_code == 422
    assert await value("SELECT count(*) FROM refund WHERE state = 'pending'") == 1


async def test_a_program_begins_asks_and_pays_back(tenant: TestTenant, bank: Bank) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    api = await tenant.api()

    gateways = await api.get("/api/v1/payment-gateways")
    begun_now = await api.post(
        "/api/v1/online-payments",
        json={"payer_id": customer_id, "document_ids": [invoice_id], "gateway": "bank"},
    )
    path = f"/api/v1/payments/{begun_now.json()['payment_id']}"
    waits = await api.get(f"{path}/online")
    bank.states[next(iter(bank.orders))] = "received"
    came = await api.post(f"{path}/asking")
    refused = await api.post(f"{path}/payback", json={"amount_minor": 100, "reason": "x"})
    given = await api.post(f"{path}/payback", json={"amount_minor": 100, "reason": "x", "reopen": True})

    assert gateways.json() == [{"key": "bank", "label": "Bank", "currencies": ["EUR"], "pays_back": True}]
    assert begun_now.status_code == 201
    assert begun_now.json()["href"].startswith("https://bank.example/")
    assert (waits.json()["state"], waits.json()["document_ids"]) == ("pending", [invoice_id])
    assert came.json()["state"] == "received"
    assert refused.status_code == 409
    assert given.json()["amount_minor"] == 100


async def test_a_program_with_an_idempotency_key_holds_nothing_open_while_the_gateway_answers(
    tenant: TestTenant, bank: Bank
) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    api, key = await tenant.api(), {"Idempotency-Key": "once"}
    wanted = {"payer_id": customer_id, "document_ids": [invoice_id], "gateway": "bank"}

    first = await api.post("/api/v1/online-payments", json=wanted, headers=key)
    again = await api.post("/api/v1/online-payments", json=wanted, headers=key)
    asked = await api.post(f"/api/v1/payments/{first.json()['payment_id']}/asking", headers=key)

    assert (first.status_code, again.status_code, asked.status_code) == (201, 201, 200), first.text
    assert first.json() == again.json()
    assert bank.begun == 1
    assert bank.inside == [False, False]


async def test_a_notification_that_is_too_large_is_not_read(tenant: TestTenant, bank: Bank) -> None:
    client, path = tenant.anonymous(), "/api/v1/gateways/bank/notifications"
    client.headers.clear()

    large = await client.post(path, content=b"x" * 200_001, headers={"x-signed": "yes"})

    assert large.status_code == 413
