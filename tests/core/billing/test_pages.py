"""Pages of invoices: drafts, issuing, credit notes, the settings of seller and numbers; and the same over the API."""

from __future__ import annotations

import json
import re
from datetime import date
from html import unescape
from typing import Literal

import httpx
import pytest

from core.activity.unit import unit_of_work
from core.billing import actions
from core.billing.actions.setup import change_series
from core.billing.queries import get_document, list_documents
from core.billing.schemas import NewDraft, NewLine
from core.billing.vat_checks import NewVatCheck, note_check
from core.catalog.actions import create_product
from core.catalog.schemas import NewPrice, NewProduct
from core.customers.actions import add_contact, create_customer
from core.customers.schemas import ContactFields, NewCustomer
from core.database import execute, value
from core.ledger.actions import set_fx_rate
from core.ledger.queries import get_balance
from core.ledger.schemas import NewFxRate
from core.messages.settings import MailSettings
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.settings.actions import save_settings
from core.subscriptions.actions import add_charge
from core.subscriptions.queries import list_charges
from core.subscriptions.schemas import NewCharge
from core.testing import TestTenant

PART = {"hx-request-type": "partial"}


async def a_customer(tenant: TestTenant, name: str = "Tarrow Pike") -> int:
    return await create_customer(
        tenant.scope(), NewCustomer(full_name=name, country="IE", emails=["bills@example.com"])
    )


async def an_invoice(tenant: TestTenant, customer_id: int, price: int = 100_000_000) -> int:
    """Issued, of one line; net 100.00 unless said otherwise."""
    scope = tenant.scope()
    made = await actions.create_draft(
        scope, NewDraft(payer_id=customer_id, lines=[NewLine(description="Visit", unit_price_e6=price)])
    )
    await actions.issue(scope, made)
    return made


async def sent(page: httpx.AsyncClient, path: str, seen: httpx.Response, **typed: str) -> httpx.Response:
    """The drawer's form as it stands, with what is typed into it."""
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', seen.text))
    return await page.post(
        path, data={**{name: unescape(text) for name, text in hidden.items()}, **typed}, headers=PART
    )


async def test_an_invoice_is_typed_in_issued_and_stands_in_the_list(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    page = await tenant.browser()

    made = await page.post(
        f"/customers/{customer_id}/invoices",
        data={
            "line-0-description": "Technician on site",
            "line-0-quantity": "1.5",
            "line-0-price": "78",
            "line-2-description": "Cable",
            "line-2-price": "20",
            "line-2-period_from": "2026-11-01",
            "line-2-period_to": "2026-11-30",
            "terms_days": "30",
            "reference": "PO 7",
        },
    )
    path = made.headers["location"]
    draft = await page.get(path)
    plan = await page.get(f"{path}/issue", headers=PART)
    issued = await sent(page, f"{path}/issue", plan)

    assert made.status_code == 303, made.text
    assert "168.51" in draft.text
    assert "Issue invoice of €168.51" in plan.text
    assert "bills@example.com" in plan.text
    assert issued.headers.get("hx-redirect") == path, issued.text
    shown = await page.get(path)
    assert "Invoice 2026-000001" in shown.text
    assert "1 Nov to 30 Nov 2026" in shown.text.replace("\N{NO-BREAK SPACE}", " ")
    document = await get_document(tenant.scope(), int(path.rsplit("/", 1)[1]))
    assert (document.total_minor, document.reference, str(document.due_on)) == (16851, "PO 7", "2026-12-22")
    assert "2026-000001" in (await page.get("/invoices?q=2026-00")).text
    assert "No document matches" in (await page.get("/invoices?status=overdue")).text


async def test_a_line_is_filled_in_from_the_catalogue_and_keeps_its_product(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await a_customer(tenant)
    made = NewProduct(
        code="router",
        name='Router "R<5>"',
        kind="service",
        tax_category="reduced",
        prices=[
            NewPrice(cycle_unit="month", amount_minor=390, tax_inclusive=True),
            NewPrice(cycle_unit="year", amount_minor=5900),
        ],
    )
    product_id = await create_product(scope, made)
    await create_product(
        scope, NewProduct(code="gone", name="Router, old", kind="service", available_to=date(2020, 1, 1))
    )
    page = await tenant.browser()
    source, asked = f"/customers/{customer_id}/invoices/products", {"currency": "EUR", "at": "3"}

    form = (await page.get(f"/customers/{customer_id}/invoices/new")).text
    found = (await page.get(source, params={**asked, "line-3-description": "rout"})).text
    nothing = (await page.get(source, params={**asked, "line-3-description": "nothing of this"})).text
    fills = [json.loads(unescape(text)) for text in re.findall(r'data-fill="([^"]*)"', found)]
    assert fills == [
        {
            "line-3-product": str(product_id),
            "line-3-price": price,
            "line-3-tax_category": "reduced",
            "line-3-tax_inclusive": inclusive,
        }
        for price, inclusive in (("3.90", "yes"), ("59.00", ""))
    ]
    assert "data-fill" not in nothing
    assert 'hx-get="/customers/' in form
    answer = await page.post(
        f"/customers/{customer_id}/invoices",
        data={**fills[0], "line-3-description": 'Router "R<5>"', "line-4-description": "Cable", "line-4-price": "20"},
    )
    path = answer.headers["location"]
    again = (await page.get(path)).text
    assert [f'value="{price}"' in again for price in ("3.90", "20.00")] == [True, True]
    typed = dict(re.findall(r'name="(line-\d-product)" value="([^"]*)"', again))
    saved = await page.post(
        path,
        data={
            **{name: text for name, text in typed.items() if text},
            "version": "1",
            "line-0-description": "Router for a month",
            "line-0-price": "3.90",
            "line-0-tax_category": "reduced",
            "line-0-tax_inclusive": "yes",
        },
    )

    assert saved.status_code == 303, saved.text
    (line,) = (await get_document(scope, int(path.rsplit("/", 1)[1]))).lines
    assert (line.product_id, line.description, line.tax_category, line.tax_inclusive) == (
        product_id,
        "Router for a month",
        "reduced",
        True,
    )


async def test_a_product_that_is_none_is_named_at_its_line(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    page, api = await tenant.browser(), await tenant.api()
    typed = {
        "line-0-product": "999",
        "line-0-description": "Router",
        "line-0-price": "5",
        "line-0-tax_category": "standard",
    }

    refused = await page.post(f"/customers/{customer_id}/invoices", data=typed)
    line = {"description": "Router", "unit_price_e6": 5_000_000, "product_id": 999, "tax_category": "standard"}
    posted = await api.post("/api/v1/invoices", json={"payer_id": customer_id, "lines": [line]})

    assert (refused.status_code, posted.status_code) == (422, 422), posted.text
    assert 'id="f-line-0-description-e"' in refused.text
    assert "lines.0.product_id" in posted.text
    assert await list_documents(tenant.scope()) == []


async def test_a_discount_above_what_its_line_comes_to_is_named_there_and_one_that_makes_it_free_is_taken(
    tenant: TestTenant,
) -> None:
    customer_id = await a_customer(tenant)
    page, api = await tenant.browser(), await tenant.api()
    typed = {"line-0-description": "Visit", "line-0-quantity": "2", "line-0-price": "50", "line-0-tax_category": ""}
    line = {"description": "Visit", "quantity_e6": 2_000_000, "unit_price_e6": 50_000_000}

    refused = await page.post(f"/customers/{customer_id}/invoices", data={**typed, "line-0-discount": "100.01"})
    posted = await api.post(
        "/api/v1/invoices", json={"payer_id": customer_id, "lines": [line, {**line, "discount_minor": 10_001}]}
    )
    free = await page.post(f"/customers/{customer_id}/invoices", data={**typed, "line-0-discount": "100"})

    assert (refused.status_code, posted.status_code, free.status_code) == (422, 422, 303)
    assert 'id="f-line-0-discount-e"' in refused.text
    assert "at most 100.00" in refused.text
    assert [error["field"] for error in posted.json()["errors"]] == ["lines.1.discount_minor"]


async def test_B7_an_invoice_in_another_currency_shows_its_tax_in_the_tenants(tenant: TestTenant) -> None:
    today = tenant.scope().today()
    await set_fx_rate(tenant.scope(), NewFxRate(from_currency="USD", valid_on=today, rate_e10=9 * 10**9))
    customer_id = await create_customer(
        tenant.scope(), NewCustomer(full_name="Tarrow Pike", country="IE", currency="USD")
    )
    page = await tenant.browser()

    abroad = (await page.get(f"/invoices/{await an_invoice(tenant, customer_id)}")).text
    at_home = (await page.get(f"/invoices/{await an_invoice(tenant, await a_customer(tenant, 'Ada'))}")).text

    assert re.search(r"VAT in EUR</th><td>20\.70<", abroad)
    assert "VAT in EUR" not in at_home


async def test_every_wrong_field_of_a_line_is_named_where_it_is_and_nothing_is_kept(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    page = await tenant.browser()

    refused = await page.post(
        f"/customers/{customer_id}/invoices",
        data={
            "line-0-description": "Cable",
            "line-0-price": "abc",
            "line-1-price": "5",
            "line-1-quantity": "two",
            "line-2-description": "Line",
            "line-2-price": "1",
            "line-2-period_from": "2026-12-31",
            "line-2-period_to": "2026-12-01",
        },
    )

    assert refused.status_code == 422
    for field in ("line-0-price", "line-1-description", "line-1-quantity"):
        assert f'id="f-{field}-e"' in refused.text, field
    assert "Line 1, price of one" in refused.text
    assert 'value="abc"' in refused.text
    assert await list_documents(tenant.scope()) == []


async def test_a_period_that_ends_before_it_begins_is_named_at_its_line(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    page = await tenant.browser()

    refused = await page.post(
        f"/customers/{customer_id}/invoices",
        data={
            "line-4-description": "Line",
            "line-4-price": "1",
            "line-4-period_from": "2026-12-31",
            "line-4-period_to": "2026-12-01",
        },
    )

    assert refused.status_code == 422
    assert 'id="f-line-4-period_to-e"' in refused.text


async def test_a_draft_takes_up_charges_and_gives_them_back(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    scope = tenant.scope()
    charge_id = await add_charge(scope, NewCharge(customer_id=customer_id, description="Visit", amount_minor=5000))
    page = await tenant.browser()

    shown = await page.get(f"/customers/{customer_id}/invoices/new")
    made = await page.post(f"/customers/{customer_id}/invoices", data={"charge_ids": str(charge_id)})
    path = made.headers["location"]
    taken = (await list_charges(scope, customer_id=customer_id))[0].state
    stale = await page.post(path, data={"version": "7"})
    saved = await page.post(path, data={"version": "1", "line-0-description": "Other", "line-0-price": "1"})
    given_back = (await list_charges(scope, customer_id=customer_id))[0].state
    gone = await sent(page, f"{path}/deletion", await page.get(f"{path}/deletion", headers=PART), charges="bill_again")

    assert f'value="{charge_id}" checked' in shown.text
    assert (made.status_code, taken) == (303, "invoiced")
    assert stale.status_code == 409
    assert "Somebody else saved this draft" in stale.text
    assert (saved.status_code, given_back) == (303, "open")
    assert gone.headers.get("hx-redirect") == f"/customers/{customer_id}/transactions", gone.text
    assert await list_documents(scope) == []


async def test_an_issued_invoice_cannot_be_saved_or_deleted(tenant: TestTenant) -> None:
    invoice_id = await an_invoice(tenant, await a_customer(tenant))
    page = await tenant.browser()

    saved = await page.post(
        f"/invoices/{invoice_id}", data={"version": "2", "line-0-description": "x", "line-0-price": "1"}
    )
    deletion = await page.get(f"/invoices/{invoice_id}/deletion", headers=PART)

    assert saved.status_code == deletion.status_code == 409
    assert "was issued and cannot be changed" in deletion.text
    assert (await get_document(tenant.scope(), invoice_id)).total_minor == 12300


async def test_a_credit_note_for_part_shows_its_tax_and_needs_a_reason(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    line_id = await value("SELECT id FROM document_line WHERE document_id = :id", id=invoice_id)
    page, path = await tenant.browser(), f"/invoices/{invoice_id}/credit-note"
    field = f"line_{line_id}"

    plan = await page.get(path, params={field: "10.00"}, headers=PART)
    too_much = await page.get(path, params={field: "500"}, headers=PART)
    silent = await sent(page, path, plan, **{field: "10.00"})
    done = await sent(page, path, plan, **{field: "10.00", "reason": "Outage"})

    assert "Credit €12.30" in plan.text
    assert too_much.status_code == silent.status_code == 422
    assert f'id="f-plan-{field}-e"' in too_much.text
    assert 'id="f-plan-reason-e"' in silent.text
    assert done.headers.get("hx-redirect") == f"/invoices/{invoice_id}", done.text
    document = await get_document(tenant.scope(), invoice_id)
    assert document.open_minor == 11070
    assert "Credit notes" in (await page.get(f"/invoices/{invoice_id}")).text
    assert "Corrects the invoice" in (await page.get(f"/invoices/{document.credit_note_ids[0]}")).text


async def test_voiding_a_paid_invoice_frees_its_payment(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    await receive(tenant.scope(), NewPayment(payer_id=customer_id, amount_minor=12300))
    page, path = await tenant.browser(), f"/invoices/{invoice_id}/void"

    plan = await page.get(path, headers=PART)
    done = await sent(page, path, plan, reason="Wrong customer", charges="waive")
    again = await page.get(path, headers=PART)

    assert "−€123.00" in plan.text
    assert done.headers.get("hx-redirect"), done.text
    assert (await get_balance(tenant.scope(), customer_id)).credit_minor == 12300
    assert (await get_document(tenant.scope(), invoice_id)).settlement == "credited"
    assert again.status_code == 409


async def test_what_is_open_can_be_written_off_in_part(tenant: TestTenant) -> None:
    invoice_id = await an_invoice(tenant, await a_customer(tenant))
    page, path = await tenant.browser(), f"/invoices/{invoice_id}/write-off"

    plan = await page.get(path, params={"amount": "23"}, headers=PART)
    done = await sent(page, path, plan, amount="23", reason="Settled out of court")

    assert "Write off €23.00" in plan.text
    assert done.headers.get("hx-redirect"), done.text
    assert (await get_document(tenant.scope(), invoice_id)).open_minor == 10000


async def test_looking_at_a_plan_takes_no_number(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    await an_invoice(tenant, customer_id)
    scope = tenant.scope()
    draft = await actions.create_draft(
        scope, NewDraft(payer_id=customer_id, lines=[NewLine(description="x", unit_price_e6=1_000_000)])
    )
    page = await tenant.browser()

    for _ in range(3):
        assert (await page.get(f"/invoices/{draft}/issue", headers=PART)).status_code == 200
    await actions.issue(scope, draft)

    assert (await get_document(scope, draft)).number == "2026-000002"


async def test_who_issues_with_tax_to_a_business_of_another_member_is_told_how_it_is_taken_off(
    tenant: TestTenant,
) -> None:
    scope = tenant.scope()
    page = await tenant.browser()
    plans = []
    asked: list[tuple[str, Literal["person", "company"], tuple[bool, ...]]] = [
        ("standard", "company", ()),
        ("reverse_charge", "company", ()),
        ("standard", "person", ()),
        ("standard", "company", (True,)),
        ("standard", "company", (True, False)),
    ]
    for profile, kind, answers in asked:
        payer_id = await create_customer(scope, NewCustomer(full_name="Brenk GmbH", kind=kind, country="DE"))
        async with unit_of_work(scope):
            await execute(
                "UPDATE customer SET vat_id = 'DE136695976', tax_profile = :profile WHERE id = :id",
                profile=profile,
                id=payer_id,
            )
            await execute("DELETE FROM vat_check")
        for valid in answers:
            await note_check(scope, payer_id, NewVatCheck(valid=valid))
        draft = await actions.create_draft(
            scope, NewDraft(payer_id=payer_id, lines=[NewLine(description="x", unit_price_e6=100_000_000)])
        )
        plans.append((await page.get(f"/invoices/{draft}/issue", headers=PART)).text)

    told = ["VAT id DE136695976" in each and "note the answer" in each for each in plans]
    assert told == [True, False, False, False, True]
    assert ["never checked" in plans[0], "found not valid" in plans[4]] == [True, True]
    assert "€100.00" in plans[3]
    assert "€123.00" in plans[0]
    assert "€100.00" in plans[1]


async def test_the_pdf_is_made_once_and_served_byte_for_byte(tenant: TestTenant) -> None:
    invoice_id = await an_invoice(tenant, await a_customer(tenant))
    page, path = await tenant.browser(), f"/invoices/{invoice_id}/pdf"

    before = await page.get(path)
    made = await page.post(path)
    first, second = await page.get(path), await page.get(path)
    sheet = await page.get(f"/invoices/{invoice_id}/sheet")

    assert made.status_code == 303, made.text
    assert first.content[:5] == b"%PDF-"
    assert before.content == first.content == second.content
    assert first.headers["content-type"] == "application/pdf"
    assert "Invoice 2026-000001" in sheet.text


async def test_an_invoice_is_sent_where_there_is_an_address(tenant: TestTenant) -> None:
    nobody = await create_customer(tenant.scope(), NewCustomer(full_name="No Address", country="IE"))
    with_mail, without = await an_invoice(tenant, await a_customer(tenant)), await an_invoice(tenant, nobody)
    page = await tenant.browser()

    asked = await page.get(f"/invoices/{with_mail}/sending", headers=PART)
    done = await page.post(f"/invoices/{with_mail}/sending", headers=PART)
    refused = await page.post(f"/invoices/{without}/sending", headers=PART)

    assert "bills@example.com" in asked.text
    assert done.headers.get("hx-redirect") == f"/invoices/{with_mail}", done.text
    assert refused.status_code == 409
    assert "has no e-mail address" in refused.text
    assert await value("SELECT count(*) FROM message WHERE kind = 'invoice'") == 1


async def test_M8_without_a_mail_server_sending_an_invoice_is_greyed_and_says_where_to_set_one_up(
    tenant: TestTenant,
) -> None:
    invoice_id = await an_invoice(tenant, await a_customer(tenant))
    page = await tenant.browser()

    without = (await page.get(f"/invoices/{invoice_id}/sending", headers=PART)).text
    await save_settings(tenant.scope(), MailSettings(host="mail.example.com", sender_address="me@example.com"))
    with_one = (await page.get(f"/invoices/{invoice_id}/sending", headers=PART)).text

    assert ('aria-disabled="true"' in without, 'type="submit"' in without.split("</header>")[1]) == (True, False)
    assert 'href="/settings/mail"' in without
    assert ('aria-disabled="true"' in with_one, 'href="/settings/mail"' in with_one) == (False, False)
    assert re.search(r'type="submit"[^>]*>Send e-mail', with_one)


async def test_C6_a_contact_that_gets_invoices_gets_a_copy_of_the_e_mail(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    for address, gets in (("books@example.com", True), ("site@example.com", False)):
        await add_contact(
            tenant.scope(), customer_id, ContactFields(surname="Reyes", email=address, gets_invoices=gets)
        )
    invoice_id = await an_invoice(tenant, customer_id)
    page = await tenant.browser()

    asked = await page.get(f"/invoices/{invoice_id}/sending", headers=PART)
    await page.post(f"/invoices/{invoice_id}/sending", headers=PART)

    assert "books@example.com" in asked.text
    assert await value("SELECT recipients FROM message WHERE kind = 'invoice'") == '["bills@example.com"]'
    assert await value("SELECT copies FROM message WHERE kind = 'invoice'") == '["books@example.com"]'


async def test_the_seller_and_its_numbers_are_set_for_documents_to_come(tenant: TestTenant) -> None:
    page = await tenant.browser()

    empty = await page.get("/settings/seller")
    await page.post("/settings/seller/opening")
    saved = await page.post(
        "/settings/seller",
        data={"version": "1", "name": "Marlbeck Net Ltd", "country": "IE", "iban": "IE29AIBK93115212345678"},
    )
    bad = await page.post("/settings/seller", data={"version": "2", "name": "", "country": "IE"})
    wrong_pattern = await page.post("/settings/numbering/invoice", data={"pattern": "{seq}", "reset": "yearly"})
    pattern = await page.post("/settings/numbering/invoice", data={"pattern": "R{YY}-{seq:05}", "reset": "yearly"})
    unknown = await page.post("/settings/numbering/car", data={"pattern": "{seq}", "reset": "never"})
    invoice_id = await an_invoice(tenant, await a_customer(tenant))

    assert "Nothing was sold yet" in empty.text
    assert saved.status_code == pattern.status_code == 303
    assert bad.status_code == wrong_pattern.status_code == 422
    assert 'id="f-invoice-pattern-e"' in wrong_pattern.text
    assert unknown.status_code == 404
    assert (await get_document(tenant.scope(), invoice_id)).number == "R26-00001"
    assert "R26-00002" in (await page.get("/settings/numbering")).text
    assert "Marlbeck Net Ltd" in (await page.get(f"/invoices/{invoice_id}/sheet")).text


async def test_who_may_not_issue_is_told_so_in_the_buttons_place(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    draft = await actions.create_draft(
        tenant.scope(), NewDraft(payer_id=customer_id, lines=[NewLine(description="x", unit_price_e6=1_000_000)])
    )
    page = await tenant.browser(staff_id=await tenant.staff_with({"documents.view", "documents.edit"}))

    shown = await page.get(f"/invoices/{draft}")
    refused = await page.get(f"/invoices/{draft}/issue", headers=PART)

    assert "Your role may not issue" in shown.text
    assert refused.status_code == 403


async def test_balance_open_invoices_and_the_tab_stand_in_a_customers_head(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    invoice_id = await an_invoice(tenant, customer_id)
    page = await tenant.browser()

    shown = await page.get(f"/customers/{customer_id}")
    start = await page.get("/")
    number = (await get_document(tenant.scope(), invoice_id)).number
    found = await page.get("/search", params={"q": "2026-0"}, headers=PART)

    assert "Owes €123.00" in shown.text
    assert "1 invoice" in shown.text
    assert f"/customers/{customer_id}/transactions" in shown.text
    assert "€123.00" in start.text
    assert str(number) in found.text


@pytest.mark.parametrize("typed", ["INV-2026-0", "inv-2026-0", "Inv-2026"])
async def test_F5_an_invoice_is_found_by_its_number_whatever_its_letters(tenant: TestTenant, typed: str) -> None:
    customer_id = await a_customer(tenant)
    await change_series(tenant.scope(), "invoice", pattern="INV-{YYYY}-{seq:06}", reset="yearly")
    number = (await get_document(tenant.scope(), await an_invoice(tenant, customer_id))).number
    page, api = await tenant.browser(), await tenant.api()

    on_top = (await page.get("/search", params={"q": typed}, headers=PART)).text
    listed = (await api.get("/api/v1/invoices", params={"q": typed})).json()["items"]

    assert str(number) in on_top
    assert [one["number"] for one in listed] == [number]


async def test_invoices_over_the_api(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    api = await tenant.api()
    line = {"description": "Visit", "unit_price_e6": 100_000_000}

    draft = await api.post("/api/v1/invoices", json={"payer_id": customer_id, "lines": [line]})
    path = f"/api/v1/invoices/{draft.json()['id']}"
    changed = await api.patch(path, json={"version": 1, "lines": [line, {**line, "quantity_e6": 2_000_000}]})
    stale = await api.patch(path, json={"version": 1, "lines": []})
    issued = await api.post(f"{path}/issue")
    twice = await api.post(f"{path}/issue")
    left = await api.get(f"{path}/creditable")
    note = await api.post(
        f"{path}/credit-notes",
        json={"reason": "Outage", "lines": [{"line_id": left.json()[0]["id"], "amount_minor": 1000}]},
    )
    granted = await api.post(f"/api/v1/customers/{customer_id}/credit", json={"amount_minor": 500, "reason": "Sorry"})
    voided = await api.post(f"{path}/void", json={"reason": "Wrong"})
    pdf = await api.get(f"{path}/pdf")
    listed = await api.get("/api/v1/invoices", params={"payer_id": customer_id, "limit": 2})
    rest = await api.get("/api/v1/invoices", params={"payer_id": customer_id, "cursor": listed.json()["next"]})
    gone = await api.delete(path)
    bad = await api.post("/api/v1/invoices", json={"payer_id": customer_id, "lines": [{"description": ""}]})

    assert (draft.status_code, draft.json()["total_minor"]) == (201, 12300), draft.text
    assert (changed.json()["total_minor"], stale.status_code) == (36900, 409)
    assert (issued.json()["number"], twice.status_code) == ("2026-000001", 409)
    assert (note.status_code, note.json()["total_minor"]) == (201, 1230)
    assert granted.status_code == 201, granted.text
    assert voided.json()["kind"] == "credit_note"
    assert (pdf.status_code, pdf.content[:5]) == (200, b"%PDF-")
    assert len(listed.json()["items"]) == 2
    assert [each["number"] for each in rest.json()["items"]] == ["2026-000001"]
    assert gone.status_code == 409
    assert bad.status_code == 422


async def test_what_is_no_iban_bic_or_e_mail_is_not_printed_on_documents(tenant: TestTenant) -> None:
    page = await tenant.browser()
    fits = {"version": "1", "name": "Marlbeck Net Ltd", "country": "IE"}
    await page.get("/settings/seller")
    path = "/settings/seller"

    refused = await page.post(path, data={**fits, "iban": "IE29AIBK93115212345679", "bic": "X", "email": "bills"})
    good = {"iban": "IE29 AIBK 9311 5212 3456 78", "bic": "AIBKIE2D", "email": "bills@marlbeck.example"}
    saved = await page.post(path, data={**fits, **good})

    assert refused.status_code == 422, refused.text
    for name in ("iban", "bic", "email"):
        assert f'id="f-{name}-e"' in refused.text
    assert saved.status_code == 303, saved.text
    assert await value("SELECT bic FROM seller") == "AIBKIE2D"


@pytest.mark.parametrize(
    ("currency", "country", "finer", "shown"),
    [
        ("JPY", "JP", 1_234_000_000, ("1,234", "1,234")),
        ("JPY", "JP", 1_500_000, ("1.5", "2")),
        ("KWD", "KW", 1_500_000, ("1.500", "1.500")),
        ("EUR", "IE", 1_500_000, ("1.50", "1.50")),
    ],
)
async def test_B7_prices_of_lines_have_the_decimals_of_their_currency(
    tenant: TestTenant, currency: str, country: str, finer: int, shown: tuple[str, str]
) -> None:
    scope = tenant.scope()
    if currency != "EUR":
        await set_fx_rate(scope, NewFxRate(from_currency=currency, valid_on=scope.today(), rate_e10=61_000_000))
    customer_id = await create_customer(scope, NewCustomer(full_name="Aiko", country=country, currency=currency))
    line = NewLine(description="Visit", unit_price_e6=finer)
    invoice = await actions.create_draft(scope, NewDraft(payer_id=customer_id, lines=[line]))
    await actions.issue(scope, invoice)

    page = await (await tenant.browser()).get(f"/invoices/{invoice}")
    sheet = await (await tenant.browser()).get(f"/invoices/{invoice}/sheet")

    cells = re.findall(r'<td class="t-num">([\d.,]+)</td>', page.text)
    assert cells[0] == shown[0]
    assert f'c-amount">{shown[1]}</td>' in page.text
    assert shown[0] in re.sub(r"<[^>]+>", " ", sheet.text).split()
