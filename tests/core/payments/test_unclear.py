"""Online payments of which nobody knows: a person sees them and settles them or gives them up; money is booked once."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from msgspec import Struct

from core.database import rows
from core.errors import Conflict, Invalid
from core.ledger.queries import get_balance
from core.payments import online
from core.payments.online import ask_about, take_news
from core.payments.queries import get_payment
from core.payments.unclear import GivingUp, SettlingByHand, give_up, list_unclear, settle_by_hand
from core.testing import TestTenant
from tests.core.payments.test_online import (
    Bank,
    a_customer,
    account,
    an_invoice,
    bank,
    begun,
    clean,
    gateway_scope,
    open_of,
    unclear,
)

__all__ = ["bank"]


async def test_B15_what_is_unknown_for_long_is_listed_the_oldest_first(tenant: TestTenant, bank: Bank) -> None:
    customer_id = await a_customer(tenant)
    first, _ = await unclear(tenant, bank, customer_id, await an_invoice(tenant, customer_id))
    tenant.clock.move(timedelta(days=1))
    second, _ = await unclear(tenant, bank, customer_id, await an_invoice(tenant, customer_id))

    found = await list_unclear(tenant.scope())

    assert [(each.payment_id, each.for_long) for each in found] == [(first, True), (second, False)]
    assert {(each.payer, each.amount_minor) for each in found} == {("Tarrow Pike", 12300)}


async def test_B15_settled_by_hand_it_is_booked_and_what_the_gateway_tells_later_is_not_booked_again(
    tenant: TestTenant, bank: Bank
) -> None:
    customer_id = await a_customer(tenant)
    invoice = await an_invoice(tenant, customer_id)
    payment_id, key = await unclear(tenant, bank, customer_id, invoice)

    await settle_by_hand(tenant.scope(), payment_id, SettlingByHand(fee_minor=210, reason="Seen at the gateway"))
    told = await take_news(gateway_scope(tenant), "bank", bank.news(key, "received"))
    failed = await take_news(gateway_scope(tenant), "bank", bank.news(key, "failed"))

    done = await get_payment(tenant.scope(), payment_id)
    assert (told, failed, done.state, done.note) == (True, True, "received", "Seen at the gateway")
    assert await open_of(tenant, invoice) == 0
    assert (await account("1210"), await account("5200")) == (12090, 210)
    assert await list_unclear(tenant.scope()) == []
    assert await clean(tenant) == []
    with pytest.raises(Conflict, match="Only a payment of which nobody knows"):
        await give_up(tenant.scope(), payment_id, GivingUp(reason="Twice"))


async def test_B15_another_amount_that_the_gateway_tells_of_later_stands_on_the_payment(
    tenant: TestTenant, bank: Bank
) -> None:
    customer_id = await a_customer(tenant)
    payment_id, key = await unclear(tenant, bank, customer_id, await an_invoice(tenant, customer_id))

    with pytest.raises(Invalid, match="less than the payment"):
        await settle_by_hand(tenant.scope(), payment_id, SettlingByHand(fee_minor=12300, reason="Seen"))
    await settle_by_hand(tenant.scope(), payment_id, SettlingByHand(amount_minor=10000, reason="Seen"))
    await take_news(gateway_scope(tenant), "bank", bank.news(key, "received"))

    assert (
        "The gateway tells of 123.00 EUR, of which it keeps 2.10."
        in (await get_payment(tenant.scope(), payment_id)).note
    )
    assert await account("1210") == 10000
    assert await clean(tenant) == []


async def test_B15_given_up_its_invoice_can_be_paid_again_and_money_that_comes_all_the_same_is_booked_once(
    tenant: TestTenant, bank: Bank
) -> None:
    customer_id = await a_customer(tenant)
    invoice = await an_invoice(tenant, customer_id)
    payment_id, key = await unclear(tenant, bank, customer_id, invoice)

    await give_up(tenant.scope(), payment_id, GivingUp(reason="The bank lost it"))
    given_up = await get_payment(tenant.scope(), payment_id)
    asked = await ask_about(tenant.scope(), payment_id)
    again, other = await begun(tenant, bank, customer_id, invoice)
    await take_news(gateway_scope(tenant), "bank", bank.news(other, "received"))
    await take_news(gateway_scope(tenant), "bank", bank.news(key, "received"))
    await take_news(gateway_scope(tenant), "bank", bank.news(key, "received", event="told-again"))

    assert (given_up.state, asked) == ("failed", "failed")
    assert (await online.get_online(tenant.scope(), payment_id)).state == "received"
    assert again != payment_id
    assert (await get_balance(tenant.scope(), customer_id)).balance_minor == 12300
    assert await account("1210") == 2 * 12090
    assert await clean(tenant) == []


async def waits(payment_id: int) -> list[int]:
    """After how many days each question about one that was given up was, or is, to be asked."""
    found = await rows(
        _Due,
        "SELECT due_at, created_at FROM job WHERE kind = 'ask_gateway' AND dedupe_key LIKE :about ORDER BY id",
        about=f"ask-gateway-after:{payment_id}:%",
    )
    return [(each.due_at - each.created_at).days for each in found]


class _Due(Struct, frozen=True):
    due_at: datetime
    created_at: datetime


async def asked_to_the_end(tenant: TestTenant, payment_id: int) -> None:
    for after, days in enumerate((1, 2, 4, 7)):
        tenant.clock.move(timedelta(days=days))
        await ask_about(tenant.scope(), payment_id, after=after)


async def never_came_back(tenant: TestTenant, bank: Bank, customer_id: int, invoice: int) -> tuple[int, str]:
    """Begun, and given up by itself after days: the gateway still waits for the payer."""
    payment_id, key = await begun(tenant, bank, customer_id, invoice)
    tenant.clock.move(timedelta(days=4))
    assert await ask_about(tenant.scope(), payment_id) == "failed"
    return payment_id, key


async def test_B15_one_that_was_given_up_is_asked_about_less_and_less_often_and_money_that_came_counts(
    tenant: TestTenant, bank: Bank
) -> None:
    customer_id = await a_customer(tenant)
    invoice = await an_invoice(tenant, customer_id)
    payment_id, key = await never_came_back(tenant, bank, customer_id, invoice)

    tenant.clock.move(timedelta(days=1))
    first = await ask_about(tenant.scope(), payment_id, after=0)
    of_the_chain_before = await ask_about(tenant.scope(), payment_id)
    bank.states[key] = "received"  # and it tells nobody
    tenant.clock.move(timedelta(days=2))
    second = await ask_about(tenant.scope(), payment_id, after=1)

    assert (first, of_the_chain_before, second) == ("failed", "failed", "received")
    assert await waits(payment_id) == [1, 2]
    assert await open_of(tenant, invoice) == 0
    assert await list_unclear(tenant.scope()) == []
    assert await clean(tenant) == []


async def test_B15_one_that_was_given_up_and_asked_about_in_vain_is_listed_until_a_person_knows(
    tenant: TestTenant, bank: Bank
) -> None:
    customer_id = await a_customer(tenant)
    one, _ = await never_came_back(tenant, bank, customer_id, invoice := await an_invoice(tenant, customer_id))
    other, _ = await unclear(tenant, bank, customer_id, await an_invoice(tenant, customer_id))
    await give_up(tenant.scope(), other, GivingUp(reason="The bank lost it"))
    not_yet = await list_unclear(tenant.scope())
    await asked_to_the_end(tenant, one)
    bank.silent = True
    await asked_to_the_end(tenant, other)

    listed = await list_unclear(tenant.scope())
    paid_again, _ = await begun_again(tenant, bank, customer_id, invoice)
    await settle_by_hand(tenant.scope(), one, SettlingByHand(reason="Seen at the gateway"))
    await give_up(tenant.scope(), other, GivingUp(reason="It has closed the account"))

    assert not_yet == []
    assert await waits(one) == [1, 2, 4, 7]
    assert [(each.payment_id, each.given_up, each.for_long) for each in listed] == [
        (one, True, True),
        (other, True, True),
    ]
    assert paid_again not in (one, other), "its invoice is not held up by it"
    assert (await get_payment(tenant.scope(), one)).state == "received"
    assert (await online.get_online(tenant.scope(), other)).reason == "It has closed the account"
    assert await list_unclear(tenant.scope()) == []
    with pytest.raises(Conflict, match="Only a payment of which nobody knows"):
        await give_up(tenant.scope(), other, GivingUp(reason="Twice"))
    assert await clean(tenant) == []


async def test_B15_the_page_of_one_that_was_given_up_says_what_is_known_and_has_its_deeds(
    tenant: TestTenant, bank: Bank
) -> None:
    customer_id = await a_customer(tenant)
    payment_id, _ = await never_came_back(tenant, bank, customer_id, await an_invoice(tenant, customer_id))

    first = (await (await tenant.browser()).get(f"/payments/{payment_id}")).text
    await asked_to_the_end(tenant, payment_id)
    page, api = await tenant.browser(), await tenant.api()
    then = (await page.get(f"/payments/{payment_id}")).text
    listed = (await page.get("/payments/unclear")).text
    over_json = (await api.get(f"/api/v1/payments/{payment_id}/online")).json()

    assert "no money came so far" in first
    assert f"/payments/{payment_id}/settlement" not in first
    assert "has not said whether the money came" in then
    assert f"/payments/{payment_id}/settlement" in then
    assert "No money came." not in first + then
    assert ">Begun<" in then
    assert "<td>Bank<div" in listed
    assert (over_json["given_up"], over_json["for_a_person"]) == (True, True)


async def begun_again(tenant: TestTenant, bank: Bank, customer_id: int, invoice: int) -> tuple[int, str]:
    bank.silent = False
    return await begun(tenant, bank, customer_id, invoice)


@pytest.mark.parametrize("knows", [True, False])
async def test_B15_a_gateway_that_says_no_to_one_that_was_given_up_is_not_asked_again(
    tenant: TestTenant, bank: Bank, knows: bool
) -> None:
    customer_id = await a_customer(tenant)
    payment_id, key = await never_came_back(tenant, bank, customer_id, await an_invoice(tenant, customer_id))
    bank.states[key], bank.knows = "failed", knows

    tenant.clock.move(timedelta(days=1))
    await ask_about(tenant.scope(), payment_id, after=0)

    assert not (await online.get_online(tenant.scope(), payment_id)).is_asked_after
    assert await waits(payment_id) == [1]
    assert await list_unclear(tenant.scope()) == []


async def test_B15_a_person_finds_it_on_the_page_and_settles_it_or_gives_it_up(tenant: TestTenant, bank: Bank) -> None:
    customer_id = await a_customer(tenant)
    one, _ = await unclear(tenant, bank, customer_id, await an_invoice(tenant, customer_id))
    two, _ = await unclear(tenant, bank, customer_id, await an_invoice(tenant, customer_id))
    tenant.clock.move(timedelta(days=2))
    page, api = await tenant.browser(), await tenant.api()

    payments, listed = await page.get("/payments"), await page.get("/payments/unclear")
    at = "/api/v1/online-payments/unclear"
    first = (await api.get(at, params={"limit": 1})).json()
    over_json = [*first["items"], *(await api.get(at, params={"cursor": first["next"]})).json()["items"]]
    behind = await page.get("/payments/unclear", params={"after": one})
    plan = await page.get(f"/payments/{one}/settlement", headers={"hx-request": "true"})
    seen = re.search(r'name="seen"[^>]*value="([^"]*)"', plan.text)
    assert seen is not None
    without = await page.post(f"/payments/{one}/settlement", data={"seen": seen[1], "reason": ""})
    done = await page.post(f"/payments/{one}/settlement", data={"seen": seen[1], "reason": "Seen"})
    asking = await page.get(f"/payments/{two}/giving-up", headers={"hx-request": "true"})
    given_up = (await api.post(f"/api/v1/payments/{two}/giving-up", json={"reason": "Lost"})).json()
    twice = await api.post(f"/api/v1/payments/{two}/settlement", json={"reason": "Late"})
    empty = await page.get("/payments/unclear")

    assert 'href="/payments/unclear"' in payments.text
    assert (listed.text.count("Settle by hand…"), "Unknown for long" in listed.text) == (2, True)
    assert [each["payment_id"] for each in over_json] == [one, two]
    assert (behind.text.count("Settle by hand…"), ">First<" in behind.text) == (1, True)
    assert "is not booked again" in plan.text
    assert (without.status_code, "Say how you know" in without.text) == (422, True)
    assert done.status_code in {200, 303}
    assert (await get_payment(tenant.scope(), one)).state == "received"
    assert "can be paid again" in asking.text
    assert (given_up["state"], given_up["reason"]) == ("failed", "Lost")
    assert twice.status_code == 409
    assert "No payment is unclear" in empty.text
