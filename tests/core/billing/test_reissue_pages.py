"""Pages and API: an invoice is edited by crediting and issuing it anew; credit notes that pay back, and free ones."""

from __future__ import annotations

import os
import re
import signal
from datetime import timedelta
from html import unescape

import httpx
import pytest

from core.billing import actions
from core.billing.jobs import DELIVER
from core.billing.queries import get_document, list_documents
from core.billing.schemas import NewDraft, NewLine
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.database import values
from core.documents import pdf
from core.documents.pdf import PdfPool
from core.ledger.queries import get_balance
from core.payments.actions import receive
from core.payments.queries import get_payment, list_payments
from core.payments.schemas import NewPayment
from core.subscriptions.actions import add_charge
from core.subscriptions.schemas import NewCharge
from core.testing import TestTenant
from tests.core.billing.test_bulk import work

pytestmark = pytest.mark.anyio

PART = {"hx-request-type": "partial"}


async def an_invoice(tenant: TestTenant) -> tuple[int, int]:
    """A customer, and an issued invoice of 123.00 with its tax."""
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Tarrow Pike", country="IE"))
    made = await actions.create_draft(
        scope, NewDraft(payer_id=customer_id, lines=[NewLine(description="Visit", unit_price_e6=100_000_000)])
    )
    await actions.issue(scope, made)
    return customer_id, made


def inputs(page: str) -> dict[str, str]:
    """What a form holds as it stands."""
    found = re.findall(r'<input[^>]*?name="([\w-]+)"[^>]*?value="([^"]*)"', page)
    return {name: unescape(text) for name, text in found if name not in ("_csrf", "q")}


async def sent(page: httpx.AsyncClient, path: str, seen: str, **typed: str) -> httpx.Response:
    hidden = dict(re.findall(r'<input type="hidden" name="([\w-]+)" value="([^"]*)">', seen))
    return await page.post(
        path, data={**{name: unescape(text) for name, text in hidden.items()}, **typed}, headers=PART
    )


async def test_B2_an_issued_invoice_is_edited_seen_beforehand_and_issued_anew(tenant: TestTenant) -> None:
    customer_id, invoice = await an_invoice(tenant)
    await receive(tenant.scope(), NewPayment(payer_id=customer_id, amount_minor=5000, document_id=invoice))
    page = await tenant.browser()

    form = await page.get(f"/invoices/{invoice}/edit")
    typed = {**inputs(form.text), "line-0-price": "80", "reason": "Price as offered"}
    silent = await page.post(f"/invoices/{invoice}/edit", data={**typed, "reason": "", "line-0-quantity": "x"})
    plan = await page.post(f"/invoices/{invoice}/edit", data=typed)
    before = await list_documents(tenant.scope())
    done = await sent(page, f"/invoices/{invoice}/reissue", plan.text.split("data-drawer")[1])

    assert "Edit 2026-000001" in form.text
    assert silent.status_code == 422
    assert "Say why" in silent.text
    assert 'value="80"' in silent.text
    assert "Credit 2026-000001 and issue it anew" in plan.text
    assert "Credit and issue €98.40" in plan.text
    assert len(before) == 1
    path = done.headers.get("hx-redirect")
    assert path is not None, done.text
    new = await get_document(tenant.scope(), int(path.rsplit("/", 1)[1]))
    assert (new.number, new.total_minor, new.open_minor, new.corrects_id) == ("2026-000002", 9840, 4840, invoice)
    shown = (await page.get(path)).text
    assert "Takes the place of 2026-000001" in shown
    assert "Takes the place of" not in (await page.get(f"/invoices/{invoice}")).text
    assert (await page.get(f"/invoices/{new.id}/sheet")).text.count("2026-000001") == 1


async def test_B2_a_draft_and_a_credit_note_are_not_edited_so(tenant: TestTenant) -> None:
    customer_id, invoice = await an_invoice(tenant)
    draft = await actions.create_draft(tenant.scope(), NewDraft(payer_id=customer_id))
    note = await actions.void(tenant.scope(), invoice, "A mistake")
    page, api = await tenant.browser(), await tenant.api()

    answers = [(await page.get(f"/invoices/{each}/edit")).status_code for each in (draft, note)]
    over_json = await api.post(f"/api/v1/invoices/{invoice}/reissue", json={"reason": "Again"})

    assert answers == [409, 409]
    assert over_json.status_code == 409


async def test_B2_over_json_with_other_lines(tenant: TestTenant) -> None:
    _customer_id, invoice = await an_invoice(tenant)
    api = await tenant.api()
    line = (await get_document(tenant.scope(), invoice)).lines[0]
    lines = [{"line_id": line.id, "description": "Visit, as agreed", "unit_price_e6": 50_000_000}]

    made = await api.post(f"/api/v1/invoices/{invoice}/reissue", json={"reason": "Less", "lines": lines})

    assert made.status_code == 201, made.text
    assert made.json()["credit_note"]["total_minor"] == 12300
    assert made.json()["invoice"]["total_minor"] == 6150
    assert made.json()["invoice"]["corrects_id"] == invoice


async def test_B3_a_credit_note_pays_a_part_back_and_leaves_the_rest_as_credit(tenant: TestTenant) -> None:
    customer_id, invoice = await an_invoice(tenant)
    await receive(tenant.scope(), NewPayment(payer_id=customer_id, amount_minor=12300))
    page, path = await tenant.browser(), f"/invoices/{invoice}/credit-note"
    line = (await get_document(tenant.scope(), invoice)).lines[0]
    typed = {f"line_{line.id}": "50", "reason": "Half a visit"}

    too_much = await page.get(path, params={**typed, "refund": "61.51"}, headers=PART)
    plan = await page.get(path, params={**typed, "refund": "40"}, headers=PART)
    done = await sent(page, path, plan.text, **typed, refund="40")

    assert too_much.status_code == 422
    assert "At most 61.50 becomes free" in too_much.text
    assert "Paid back by you" in plan.text
    assert done.headers.get("hx-redirect"), done.text
    assert (await get_balance(tenant.scope(), customer_id)).credit_minor == 2150
    assert await values("SELECT amount_minor FROM refund") == [4000]


async def test_B3_a_void_pays_the_payment_back_and_needs_the_permission_to(tenant: TestTenant) -> None:
    customer_id, invoice = await an_invoice(tenant)
    await receive(tenant.scope(), NewPayment(payer_id=customer_id, amount_minor=12300))
    api = await tenant.api()
    body = {"reason": "Cancelled order", "refund": {"method": "transfer"}}

    made = await api.post(f"/api/v1/invoices/{invoice}/void", json=body)

    assert made.status_code == 201, made.text
    balance = await get_balance(tenant.scope(), customer_id)
    assert (balance.credit_minor, balance.receivable_minor) == (0, 0)
    (source,) = await values(
        "SELECT e.source_kind FROM refund r JOIN credit_entry e ON e.id = r.credit_entry_id"
        " WHERE r.amount_minor = 12300"
    )
    assert source == "payment"


async def test_B3_a_free_credit_note_is_capped_by_rate_on_the_page_and_over_json(tenant: TestTenant) -> None:
    customer_id, _invoice = await an_invoice(tenant)
    page, api, base = await tenant.browser(), await tenant.api(), f"/customers/{customer_id}/credit-notes"

    too_much = await page.get(f"{base}/new", params={"amount": "100.01"}, headers=PART)
    plan = await page.get(f"{base}/new", params={"amount": "20"}, headers=PART)
    done = await sent(page, base, plan.text, amount="20", reason="Bonus")
    rates = (await api.get(f"/api/v1/customers/{customer_id}/creditable")).json()
    over = await api.post(
        f"/api/v1/customers/{customer_id}/credit-notes",
        json={"reason": "x", "lines": [{"description": "x", "rate_ppm": 230_000, "net_minor": 8001}]},
    )
    rest = await api.post(
        f"/api/v1/customers/{customer_id}/credit-notes",
        json={"reason": "Rest", "lines": [{"description": "Rest", "rate_ppm": 230_000, "net_minor": 8000}]},
    )

    assert too_much.status_code == 422
    assert "At most 100.00 net" in too_much.text
    assert "Credit €24.60" in plan.text
    assert done.headers.get("hx-redirect"), done.text
    assert [(each["rate_ppm"], each["net_minor"], each["tax_minor"]) for each in rates] == [(230_000, 8000, 1840)]
    assert (over.status_code, rest.status_code) == (422, 201)
    assert rest.json()["total_minor"] == 9840
    assert (await get_balance(tenant.scope(), customer_id)).balance_minor == 0
    assert "corrects no invoice" in (await page.get(f"/invoices/{rest.json()['id']}")).text


async def test_B2_a_proforma_is_issued_of_a_draft_printed_and_turned_into_an_invoice(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Tarrow Pike", country="IE"))
    draft = await actions.create_draft(
        scope, NewDraft(payer_id=customer_id, lines=[NewLine(description="Visit", unit_price_e6=100_000_000)])
    )
    page, api = await tenant.browser(), await tenant.api()

    plan = await page.get(f"/invoices/{draft}/proforma", headers=PART)
    done = await sent(page, f"/invoices/{draft}/proforma", plan.text)
    proforma = max(each.id for each in await list_documents(scope))
    shown, sheet = await page.get(f"/invoices/{proforma}"), await page.get(f"/invoices/{proforma}/sheet")
    asking = await page.get(f"/invoices/{proforma}/invoice")
    turned = await page.post(f"/invoices/{proforma}/invoice")
    over_json = await api.post(f"/api/v1/invoices/{proforma}/invoice")
    second = await api.post(f"/api/v1/invoices/{draft}/proforma")
    listed = await page.get("/invoices", params={"kind": "proforma"})

    assert "Issue proforma of €123.00" in plan.text
    assert done.headers.get("hx-redirect") == f"/invoices/{draft}", done.text
    assert "Proforma PF-2026-000001" in shown.text
    assert "Turn into an invoice" in shown.text
    assert "Proforma invoice PF-2026-000001" in sheet.text
    assert "not a tax invoice" in sheet.text
    assert "Open the draft" in asking.text
    assert turned.headers["location"] == f"/invoices/{draft}"
    assert over_json.json()["id"] == draft
    assert (second.status_code, second.json()["number"]) == (201, "PF-2026-000002")
    assert "PF-2026-000001" in listed.text
    assert (await get_balance(scope, customer_id)).balance_minor == 0


async def a_proforma(tenant: TestTenant) -> tuple[int, int, int]:
    """A customer with an address, a draft of 123.00 with its tax, and its proforma."""
    scope = tenant.scope()
    customer_id = await create_customer(
        scope, NewCustomer(full_name="Tarrow Pike", country="IE", emails=["bills@example.com"])
    )
    draft = await actions.create_draft(
        scope, NewDraft(payer_id=customer_id, lines=[NewLine(description="Visit", unit_price_e6=100_000_000)])
    )
    return customer_id, draft, await actions.issue_proforma(scope, draft)


async def test_B2_the_pdf_of_a_proforma_is_made_by_its_job_and_goes_out_when_staff_say_so(tenant: TestTenant) -> None:
    _, draft, proforma = await a_proforma(tenant)
    page = await tenant.browser()

    asked = await page.get(f"/invoices/{draft}/proforma", headers=PART)
    await work(tenant, DELIVER.name)
    shown = await page.get(f"/invoices/{proforma}")
    sent_by_itself = await values("SELECT id FROM message WHERE kind = 'invoice'")
    await page.post(f"/invoices/{proforma}/sending", headers=PART)

    assert "It goes out when you send it" in asked.text
    assert "proforma-PF-2026-000001.pdf" in shown.text
    assert sent_by_itself == []
    assert len(await values("SELECT id FROM message WHERE kind = 'invoice'")) == 1


async def test_B2_a_document_whose_pdf_a_busy_machine_has_not_made_is_delivered_later(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, invoice = await an_invoice(tenant)
    busy = PdfPool(1, seconds=0.3)
    busy.warm_up()
    worker = busy._idle.get_nowait()
    busy._idle.put(worker)
    os.kill(worker.pid, signal.SIGSTOP)
    with monkeypatch.context() as while_busy:
        while_busy.setattr(pdf, "_pool", busy)
        await work(tenant, DELIVER.name)
    busy.close()
    waits = await values("SELECT state || ': ' || error FROM job WHERE kind = 'deliver_document'")
    tenant.clock.move(timedelta(seconds=31))
    await work(tenant, DELIVER.name)

    assert waits == ["waiting: The machine is too busy to lay the document out now. Try again in a moment."]
    assert await values("SELECT state FROM job WHERE kind = 'deliver_document'") == ["done"]
    assert await values("SELECT document_id FROM document_file") == [invoice]


async def test_B2_the_pdf_of_a_document_is_given_before_its_job_has_come_to_it(tenant: TestTenant) -> None:
    _, draft, proforma = await a_proforma(tenant)
    api, page = await tenant.api(), await tenant.browser()

    given = await api.get(f"/api/v1/invoices/{proforma}/pdf")
    same = await page.get(f"/invoices/{proforma}/pdf")
    none = await api.get(f"/api/v1/invoices/{draft}/pdf")

    assert (given.status_code, given.content[:5]) == (200, b"%PDF-"), given.text
    assert same.content == given.content
    assert (none.status_code, "Issue it first" in none.text) == (409, True)


async def test_B2_a_proforma_says_what_was_paid_for_it_and_what_becomes_of_it(tenant: TestTenant) -> None:
    customer_id, draft, proforma = await a_proforma(tenant)
    page, scope = await tenant.browser(), tenant.scope()
    at = f"/customers/{customer_id}/payments/new?document_id={proforma}"

    unpaid = await page.get(f"/invoices/{proforma}")
    drawer = await page.get(at, headers=PART)
    part = await receive(scope, NewPayment(payer_id=customer_id, amount_minor=2300, document_id=proforma))
    partly = await page.get(f"/invoices/{proforma}")
    rest = await page.get(at, headers=PART)
    typed = {"amount": inputs(rest.text)["amount"], "method": "transfer", "document_id": str(proforma)}
    done = await sent(page, f"/customers/{customer_id}/payments", rest.text, **typed)
    paid = await page.get(f"/invoices/{proforma}")
    blind = await (await tenant.browser(staff_id=await tenant.staff_with({"documents.view", "customers.view"}))).get(
        f"/invoices/{proforma}"
    )
    await actions.issue(scope, draft)
    over = await page.get(f"/invoices/{proforma}")

    assert "no payment names it" in unpaid.text
    assert f"payments/new?document_id={proforma}" in unpaid.text
    assert inputs(drawer.text)["amount"] == "123.00"
    assert ">Proforma PF-2026-000001<" in drawer.text
    assert "the oldest due: the proforma has no invoice yet" in drawer.text
    assert "of it pays other invoices" not in drawer.text  # nothing is open
    assert f'href="/payments/{part}"' in partly.text
    assert "€23.00 of €123.00 is free credit" in partly.text
    assert inputs(rest.text)["amount"] == "100.00"
    assert done.headers.get("hx-redirect"), done.text
    assert "All of it was paid" in paid.text
    assert "100.00 is free credit" in paid.text
    assert "payments/new?document_id" not in paid.text
    assert "What was paid for it" not in blind.text
    assert "100.00 settled 2026-000001" in over.text
    assert "is free credit" not in over.text


async def test_B2_money_that_names_a_proforma_says_what_it_pays_before_and_after(tenant: TestTenant) -> None:
    customer_id, _draft, proforma = await a_proforma(tenant)
    page, scope = await tenant.browser(), tenant.scope()
    line = NewLine(description="Older", unit_price_e6=30 * 10**6)
    older = await actions.create_draft(scope, NewDraft(payer_id=customer_id, lines=[line]))
    await actions.issue(scope, older)
    typed = {"amount": "123.00", "method": "transfer", "document_id": str(proforma)}

    drawer = await page.get(f"/customers/{customer_id}/payments/new", params=typed, headers=PART)
    await sent(page, f"/customers/{customer_id}/payments", drawer.text, **typed)

    assert "36.90 of it pays other invoices: the proforma PF-2026-000001 has none yet." in unescape(drawer.text)
    assert "the oldest due: the proforma has no invoice yet" in drawer.text
    (kept,) = await list_payments(scope)
    payment = await get_payment(scope, kept.id)
    assert [(each.document_id, each.amount_minor) for each in payment.paid] == [(older, 3690)]
    assert payment.free_minor == 8610
    assert payment.note == (
        "It names the proforma PF-2026-000001, of which no invoice was issued: what was open was paid first, the oldest"
        " due, and what is left is credit."
    )


async def test_B2_a_proforma_over_json_has_its_payments_as_its_page_shows_them(tenant: TestTenant) -> None:
    customer_id, draft, proforma = await a_proforma(tenant)
    api, blind, scope = await tenant.api(), await tenant.api(["documents.view"]), tenant.scope()
    at = f"/api/v1/invoices/{proforma}"

    unpaid = (await api.get(at)).json()
    first = await receive(scope, NewPayment(payer_id=customer_id, amount_minor=2300, document_id=proforma))
    partly = (await api.get(at)).json()["received"]
    second = await receive(scope, NewPayment(payer_id=customer_id, amount_minor=10000, document_id=proforma))
    paid = (await api.get(at)).json()["received"]
    hidden = (await blind.get(at)).json()
    await actions.issue(scope, draft)
    over = (await api.get(at)).json()["received"]

    assert (unpaid["received"], hidden["received"]) == (None, None)
    assert (partly["amount_minor"], partly["free_minor"], partly["enough"]) == (2300, 2300, False)
    assert (paid["free_minor"], paid["enough"]) == (12300, True)
    assert [(each["id"], each["method_name"], each["settled"]) for each in paid["payments"]] == [
        (first, "Bank transfer", []),
        (second, "Bank transfer", []),
    ]
    number = (await get_document(scope, draft)).number
    assert [(each["free_minor"], each["settled"]) for each in over["payments"]] == [
        (0, [{"document_id": draft, "number": number, "amount_minor": amount}]) for amount in (2300, 10000)
    ]
    assert (over["amount_minor"], over["free_minor"]) == (12300, 0)


async def test_B2_a_proforma_whose_draft_let_go_of_its_charges_says_why_it_is_no_invoice(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await create_customer(scope, NewCustomer(full_name="Tarrow Pike", country="IE"))
    await add_charge(scope, NewCharge(customer_id=customer_id, description="Visit", amount_minor=10000))
    draft = await actions.create_draft(scope, NewDraft(payer_id=customer_id, open_charges=True))
    proforma = await actions.issue_proforma(scope, draft)
    page = await tenant.browser()

    while_it_stands = await page.get(f"/invoices/{proforma}")
    await actions.delete_draft(scope, draft)
    shown = await page.get(f"/invoices/{proforma}")
    api = await tenant.api()
    over_json = await api.post(f"/api/v1/invoices/{proforma}/invoice")
    its_state = (await api.get(f"/api/v1/invoices/{proforma}")).json()
    why = await page.get(f"/invoices/{proforma}/why", headers=PART)

    way = f'href="/invoices/{proforma}/invoice"'
    assert (way in while_it_stands.text, way in shown.text) == (True, False)
    assert "Make a new invoice of the charges that are open." in shown.text
    assert (over_json.status_code, "let go of its charges" in over_json.text) == (409, True)
    assert (its_state["settlement"], its_state["draft_id"]) == ("expired", None)
    assert "charges that are open" in its_state["way_out"]
    assert "Expired" in shown.text
    assert f'href="/customers/{customer_id}/invoices/new"' in shown.text
    assert "let go of its charges" in why.text


async def test_C18_a_free_credit_note_begins_in_the_customers_menu_for_who_may(tenant: TestTenant) -> None:
    customer_id = await create_customer(tenant.scope(), NewCustomer(full_name="Tarrow Pike", country="IE"))
    link = f'href="/customers/{customer_id}/credit-notes/new"'
    role = await tenant.staff_with({"customers.view", "customers.edit", "documents.edit"})

    menu = (await (await tenant.browser()).get(f"/customers/{customer_id}")).text
    without = (await (await tenant.browser(staff_id=role)).get(f"/customers/{customer_id}")).text

    assert link in menu
    assert link not in without
