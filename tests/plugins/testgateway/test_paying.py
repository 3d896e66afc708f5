"""A customer pays in the portal at the test gateway: its page, its signed notifications, its book."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import timedelta
from html import unescape

import httpx
import msgspec
import pytest
from msgspec import Struct
from pypdfium2 import PdfDocument

from core import hookspecs, outbound
from core.activity.queries import timeline
from core.billing import actions as billing
from core.billing import mailing
from core.billing.actions.dunning import run_dunning
from core.billing.dunning import DunningSettings
from core.billing.mailing import send_document
from core.billing.queries import get_document
from core.billing.schemas import NewDraft, NewLine
from core.billing.verify import verify
from core.customers import actions as customers
from core.customers.schemas import NewCustomer
from core.database import rows, value, values
from core.documents.files import read_file
from core.documents.model import Document
from core.errors import Conflict
from core.hooks import GatewayNews, PayBack
from core.ledger.queries import trial_balance
from core.messages.queries import get_message, list_message_files
from core.payments.online import ask_about, send_back
from core.payments.paying_back import PayingBackOnline, pay_back
from core.payments.queries import list_payments
from core.settings.actions import save_settings
from core.testing import TestTenant
from plugins.portal import actions as portal
from plugins.portal import plugin as portal_plugin
from plugins.testgateway import till

pytestmark = pytest.mark.plugins("portal", "testgateway")

NOTIFICATIONS = "/api/v1/gateways/testgateway/notifications"


async def a_customer(tenant: TestTenant, name: str = "Tarrow Pike") -> int:
    scope = tenant.scope()
    customer_id = await customers.create_customer(
        scope, NewCustomer(full_name=name, emails=["tarrow@example.com"], country="IE")
    )
    await customers.set_password(scope, customer_id, "harbour lantern seven oaks")
    return customer_id


async def an_invoice(tenant: TestTenant, customer_id: int) -> int:
    """Issued, 123.00 with its tax."""
    scope = tenant.scope()
    made = await billing.create_draft(
        scope, NewDraft(payer_id=customer_id, lines=[NewLine(description="Visit", unit_price_e6=100_000_000)])
    )
    await billing.issue(scope, made)
    return made


async def in_portal(tenant: TestTenant, customer_id: int) -> httpx.AsyncClient:
    return await tenant.behind("portal", portal.CUSTOMER, customer_id)


async def at_the_till(page: httpx.AsyncClient, *invoices: int) -> str:
    """The address of the gateway's page, where the customer goes on to pay these."""
    sent = await page.post("/portal/pay", data={"invoice": [str(each) for each in invoices], "gateway": till.KEY})
    assert sent.status_code == 303, sent.text
    return sent.headers["location"]


async def open_of(tenant: TestTenant, invoice_id: int) -> int:
    return (await get_document(tenant.scope(), invoice_id)).open_minor


async def notices(tenant: TestTenant) -> list[bytes]:
    """The bodies of notifications that wait to go out."""
    kept = await values("SELECT payload FROM job WHERE kind = 'testgateway_notify' ORDER BY id")
    return [msgspec.json.decode(each, type=till.Notice).body.encode() for each in kept]


async def test_B15_a_customer_pays_at_the_gateway_and_sees_it_paid(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    one, other = await an_invoice(tenant, customer_id), await an_invoice(tenant, customer_id)
    page = await in_portal(tenant, customer_id)

    home = await page.get("/portal")
    choice = await page.get("/portal/pay", params={"invoice": str(one)})
    link = await at_the_till(page, one)
    shown = await tenant.anonymous().get(link)
    paid = await tenant.anonymous().post(link, data={"decision": "pay"})
    back = paid.headers["location"].removeprefix(tenant.tenant.address)
    waits = await page.get(back)
    told = await page.post(f"{back}/look", headers={"hx-request-type": "partial"})

    assert "Pay €246.00" in home.text
    assert "Go on to pay €123.00" in choice.text
    assert "€123.00" in shown.text
    assert f'hx-post="{back}/look"' in waits.text
    assert "Thank you" in told.text
    assert "Your payment is here" in (await page.get(back)).text
    assert (await open_of(tenant, one), await open_of(tenant, other)) == (0, 12300)
    assert "Test payment" in (await page.get("/portal/payments")).text
    received = next(e for e in await timeline(tenant.scope(), customer_id=customer_id) if e.kind == "payment_received")
    assert (received.actor, received.on_behalf_of) == ("plugin:testgateway", f"customer:{customer_id}")
    assert list(await verify(tenant.scope(), thorough=True)) == []


async def test_who_comes_to_pay_what_is_not_open_is_told_and_offered_what_is(tenant: TestTenant) -> None:
    customer_id, stranger = await a_customer(tenant), await a_customer(tenant)
    paid, still = await an_invoice(tenant, customer_id), await an_invoice(tenant, customer_id)
    foreign = await an_invoice(tenant, stranger)
    page = await in_portal(tenant, customer_id)
    await tenant.anonymous().post(await at_the_till(page, paid), data={"decision": "pay"})
    (payment,) = await list_payments(tenant.scope())
    await ask_about(tenant.scope(), payment.id, again=False)

    shown = [await page.get("/portal/pay", params={"invoice": str(each)}) for each in (paid, foreign, 10**17)]
    open_one = await page.get("/portal/pay", params={"invoice": str(still)})
    none_ticked = await page.get("/portal/pay", params={"some": "yes"})

    for answer in shown:
        assert "The invoice you asked for is not open any more." in answer.text
        assert "Go on to pay €123.00" in answer.text
    assert "not open any more" not in open_one.text + none_ticked.text
    assert "Go on to pay €0.00" in none_ticked.text


async def test_signed_notifications_count_once_and_forged_or_old_ones_not_at_all(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    link = await at_the_till(await in_portal(tenant, customer_id), invoice_id)
    await tenant.anonymous().post(link, data={"decision": "decline"})
    await tenant.anonymous().post(link, data={"decision": "pay"})
    declined, paid = await notices(tenant)
    headers = {body: await till.signed(tenant.scope(), body) for body in (declined, paid)}
    client = tenant.anonymous()
    client.headers.clear()

    unsigned = await client.post(NOTIFICATIONS, content=paid)
    forged = await client.post(NOTIFICATIONS, content=paid.replace(b"12300", b"99900"), headers=headers[paid])
    crossed = await client.post(NOTIFICATIONS, content=paid, headers=headers[declined])
    still = await open_of(tenant, invoice_id)
    sent = [
        (await client.post(NOTIFICATIONS, content=body, headers=headers[body])).status_code
        for body in (paid, declined, paid, declined, paid)
    ]
    tenant.clock.move(timedelta(minutes=11))
    old = await client.post(NOTIFICATIONS, content=paid, headers=headers[paid])

    assert [each.status_code for each in (unsigned, forged, crossed, old)] == [403, 403, 403, 403]
    assert still == 12300
    assert sent == [200] * 5
    assert await open_of(tenant, invoice_id) == 0
    (payment,) = await list_payments(tenant.scope())
    assert (payment.state, payment.amount_minor, payment.fee_minor) == ("received", 12300, 185)


async def test_whoever_declines_or_closes_the_window_has_paid_nothing_and_may_try_again(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    page = await in_portal(tenant, customer_id)
    link = await at_the_till(page, invoice_id)

    closed = await tenant.anonymous().post(link, data={"decision": "close"})
    back = closed.headers["location"].removeprefix(tenant.tenant.address)
    waits = await page.post(f"{back}/look", headers={"hx-request-type": "partial"})
    await tenant.anonymous().post(link, data={"decision": "decline"})
    told = await page.post(f"{back}/look", headers={"hx-request-type": "partial"})
    again = await at_the_till(page, invoice_id)
    nonsense = await tenant.anonymous().post(again, data={"decision": "steal"})

    assert "It is not here yet" in waits.text
    assert link in unescape(waits.text), "there is a way back to paying"
    assert "Nothing was paid" in told.text
    assert again != link
    assert nonsense.status_code == 422
    assert await open_of(tenant, invoice_id) == 12300
    assert (await tenant.anonymous().get("/testgateway/pay/link/nonsense")).status_code == 404


async def test_what_nobody_knows_of_leads_back_to_its_own_page(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer_id = await a_customer(tenant)
    one, other = await an_invoice(tenant, customer_id), await an_invoice(tenant, customer_id)
    page = await in_portal(tenant, customer_id)
    link = await at_the_till(page, one)
    (payment,) = await list_payments(tenant.scope())
    monkeypatch.setattr(outbound, "ANSWERS_WITHIN", 0.0)
    assert await ask_about(tenant.scope(), payment.id, again=False) == "unknown"
    monkeypatch.undo()
    back = f"/portal/paid/{payment.id}"

    same = await at_the_till(page, one)
    shown = await page.get(back)
    both = await page.post("/portal/pay", data={"invoice": [str(one), str(other)], "gateway": till.KEY})

    assert same == back
    assert "Nobody knows yet whether it came. We ask again." in shown.text
    assert f'href="{link}"' in unescape(shown.text), "there is a way back to paying: it is the same order"
    assert both.status_code == 409
    assert "Nobody knows yet whether an earlier payment came" in both.text
    assert f'href="{back}"' in both.text
    assert [each.id for each in await list_payments(tenant.scope())] == [payment.id]


async def test_letters_in_a_signature_that_none_has_are_a_wrong_signature(tenant: TestTenant) -> None:
    client = tenant.anonymous()
    client.headers.clear()
    at = int(tenant.scope().now().timestamp())

    refused = await client.post(
        NOTIFICATIONS, content=b"{}", headers=[(till.SIGNATURE.encode(), f"t={at},v1=é".encode())]
    )

    assert refused.status_code == 403


async def test_B15_money_given_back_after_a_payout_is_taken_off_the_next_one(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    page = await in_portal(tenant, customer_id)
    tokens = []
    for _ in range(2):
        link = await at_the_till(page, await an_invoice(tenant, customer_id))
        tokens.append(link.rpartition("/")[2])
    scope = tenant.scope()

    await till.decide(scope, tokens[0], "pay")
    await till.pay_out(scope)
    await till.pay_back(scope, PayBack(key="r1", reference=tokens[0], amount_minor=2300, currency="EUR"))
    with pytest.raises(Conflict, match="nothing to pay out"):
        await till.pay_out(scope)
    await till.decide(scope, tokens[1], "pay")
    await till.pay_out(scope)

    out = [msgspec.json.decode(each, type=GatewayNews) for each in await notices(tenant)]
    assert [each.amount_minor for each in out if each.kind == "payout"] == [12300 - 185, 12300 - 185 - 2300]
    with pytest.raises(Conflict, match="nothing to pay out"):
        await till.pay_out(scope)


async def test_what_is_paid_while_it_pays_out_is_paid_out_the_next_time(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    customer_id = await a_customer(tenant)
    page = await in_portal(tenant, customer_id)
    links = []
    for _ in range(2):
        links.append(await at_the_till(page, await an_invoice(tenant, customer_id)))
    await tenant.anonymous().post(links[0], data={"decision": "pay"})

    async def paid_meanwhile(kind: type[Struct], sql: str, **values: object) -> list[Struct]:
        found = await rows(kind, sql, **values)
        monkeypatch.undo()
        await till.decide(tenant.scope(), links[1].rpartition("/")[2], "pay")
        return found

    monkeypatch.setattr(till, "rows", paid_meanwhile)

    await till.pay_out(tenant.scope())
    await till.pay_out(tenant.scope())

    out = [msgspec.json.decode(each, type=GatewayNews) for each in await notices(tenant)]
    assert [each.amount_minor for each in out if each.kind == "payout"] == [12300 - 185, 12300 - 185]


async def test_what_cannot_be_paid_is_said_and_nothing_is_begun(tenant: TestTenant) -> None:
    customer_id, other_id = await a_customer(tenant), await a_customer(tenant, "Zyx Other")
    await an_invoice(tenant, customer_id)
    theirs = await an_invoice(tenant, other_id)
    page = await in_portal(tenant, customer_id)

    nothing = await page.post("/portal/pay", data={"gateway": till.KEY})
    foreign = await page.post("/portal/pay", data={"invoice": [str(theirs)], "gateway": till.KEY})
    unknown = await page.post("/portal/pay", data={"invoice": ["1"], "gateway": "shells"})
    unticked = await page.get("/portal/pay", params={"some": "yes"})

    assert nothing.status_code == 422
    assert "Choose what to pay" in nothing.text
    assert (foreign.status_code, unknown.status_code) == (404, 404)
    assert "€0.00" in unticked.text
    assert await list_payments(tenant.scope()) == []


async def visiting(tenant: TestTenant, customer_id: int, *permissions: str) -> tuple[httpx.AsyncClient, int]:
    staff_id = await tenant.staff_with(("customers.view", portal.LOG_IN_AS, *permissions))
    client = await tenant.browser(staff_id=staff_id)
    await client.post(f"/portal/staff/customers/{customer_id}/visit")
    return await tenant.behind("portal", portal.VISIT, int(await value("SELECT max(id) FROM portal_visit"))), staff_id


async def test_C14_staff_pay_as_the_customer_only_with_that_permission_and_under_their_own_name(
    tenant: TestTenant,
) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    looking, _ = await visiting(tenant, customer_id)
    paying, staff_id = await visiting(tenant, customer_id, portal.PAY_AS)

    refused = await looking.post("/portal/pay", data={"invoice": [str(invoice_id)], "gateway": till.KEY})
    link = await at_the_till(paying, invoice_id)
    await tenant.anonymous().post(link, data={"decision": "pay"})
    await ask_about(tenant.scope(), (await list_payments(tenant.scope()))[0].id)

    assert refused.status_code == 403
    assert "/portal/pay" not in (await looking.get("/portal")).text
    kinds = {entry.kind: entry for entry in await timeline(tenant.scope(), customer_id=customer_id)}
    begun, came = kinds["online_payment_begun"], kinds["payment_received"]
    assert (begun.actor, begun.on_behalf_of) == (f"staff:{staff_id}", f"customer:{customer_id}")
    assert came.on_behalf_of == f"staff:{staff_id}"
    assert await open_of(tenant, invoice_id) == 0


async def test_the_mail_of_an_invoice_and_its_pdf_say_where_it_is_paid(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)

    message_id = await send_document(tenant.scope(), invoice_id)

    assert message_id is not None
    fields = (await get_message(tenant.scope(), message_id)).fields
    link = await tenant.scope().hooks.first(
        hookspecs.choose_payment_link, scope=tenant.scope(), document_id=invoice_id, currency="EUR"
    )
    assert link == f"{tenant.tenant.address}/portal/pay?invoice={invoice_id}"
    assert link in fields
    file = (await list_message_files(tenant.scope(), message_id))[0]
    with closing(PdfDocument(await read_file(tenant.scope(), file))) as pdf:
        text = "".join(page.get_textpage().get_text_range() for page in pdf)
    assert "Or pay online" in text
    assert link in text.replace("\r\n", "")


async def test_the_gateways_book_pays_out_what_came_less_fees_and_refunds(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    link = await at_the_till(await in_portal(tenant, customer_id), invoice_id)
    await tenant.anonymous().post(link, data={"decision": "pay"})
    (payment,) = await list_payments(tenant.scope())
    await ask_about(tenant.scope(), payment.id)
    given = await pay_back(
        tenant.scope(), payment.id, PayingBackOnline(amount_minor=2300, reason="Outage", reopen=True)
    )
    await send_back(tenant.scope(), given.refund_id)
    staff = await tenant.browser()
    stranger = await tenant.browser(staff_id=await tenant.staff_with(("customers.view",)))

    book = await staff.get("/testgateway")
    refused = await stranger.post("/testgateway/payouts")
    out = await staff.post("/testgateway/payouts")
    for body in (await notices(tenant))[-1:]:
        await till.notify(tenant.scope(), body)
        await till.notify(tenant.scope(), body)
    twice = await staff.post("/testgateway/payouts")

    assert re.search(r"Paid</span>.*€123\.00.*€1\.85", book.text)
    assert (refused.status_code, out.status_code, twice.status_code) == (403, 303, 409)
    sums = {
        code: sum(each.debit_minor - each.credit_minor for each in await trial_balance() if each.code == code)
        for code in ("1210", "1200", "5200")
    }
    assert sums == {"1210": 0, "1200": 12300 - 185 - 2300, "5200": 185}
    assert list(await verify(tenant.scope(), thorough=True)) == []


async def test_B9_a_reminder_says_where_it_is_paid_and_nothing_where_no_gateway_is_set_up(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    scope = tenant.scope()
    await save_settings(scope, DunningSettings(enabled=True, not_at_weekends=False))
    first = await an_invoice(tenant, await a_customer(tenant))

    async def reminded(invoice_id: int) -> str:
        payer_id = int(await value("SELECT payer_id FROM document WHERE id = :id", id=invoice_id))
        await customers.change_status(tenant.scope(), payer_id, "active")
        tenant.clock.move(timedelta(days=20))
        await run_dunning(tenant.scope(), pause=0)
        sql = "SELECT message_id FROM dunning_event WHERE document_id = :id AND message_id IS NOT NULL"
        return (await get_message(tenant.scope(), int(await value(sql, id=invoice_id)))).fields

    told = await reminded(first)
    second = await an_invoice(tenant, await a_customer(tenant, "Zyx Other"))

    async def none_set_up(*_: object) -> list[object]:
        return []

    monkeypatch.setattr(portal_plugin, "list_gateways", none_set_up)

    assert f"{tenant.tenant.address}/portal/pay?invoice={first}" in told
    assert "Pay online" in told
    assert "/portal/pay" not in await reminded(second)


async def test_B2_a_proforma_is_not_printed_with_a_page_where_it_cannot_be_paid(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    links: list[tuple[str, bool]] = []

    async def printed(document: Document, **_: object) -> bytes:
        links.append((document.kind.value, bool(document.pay_link)))
        return b"%PDF"

    monkeypatch.setattr(mailing, "document_pdf", printed)
    scope = tenant.scope()
    customer_id = await a_customer(tenant)
    draft = await billing.create_draft(
        scope, NewDraft(payer_id=customer_id, lines=[NewLine(description="Visit", unit_price_e6=100_000_000)])
    )
    await mailing.document_file(scope, await billing.issue_proforma(scope, draft))
    await billing.issue(scope, draft)
    await mailing.document_file(scope, draft)

    assert links == [("proforma", False), ("invoice", True)]
