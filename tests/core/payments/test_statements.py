"""The statement of account: what moved the balance in a period, from what it was to what it is, in each currency."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from core.billing import actions as billing
from core.billing.layout import LayoutFields, LayoutTexts, layout_assets, save_layout, set_logo
from core.billing.schemas import CreditLine, NewCreditNote, NewDraft, NewLine
from core.customers import queries
from core.customers.actions import change_customer, create_customer
from core.customers.schemas import MainData, NewCustomer
from core.database import OneCustomer, value
from core.documents.statement import statement_page, statement_pdf
from core.errors import Invalid, NotFound
from core.ledger.queries import get_balance
from core.payments.actions import receive, reverse
from core.payments.schemas import NewPayment, Reversal
from core.payments.statements import statement_of
from core.scope import Actor
from core.testing import TestTenant
from tests.core.billing.test_layout import SVG
from tests.core.documents.sheets import pages_of

pytestmark = pytest.mark.anyio


async def a_customer(tenant: TestTenant, language: str = "") -> int:
    scope = tenant.scope()
    customer_id = await create_customer(
        scope, NewCustomer(full_name="Tarrow Pike", street="4 Row", zip="D01", city="Dublin", country="IE")
    )
    if language:
        now = await queries.get_customer(scope, customer_id)
        await change_customer(
            scope, customer_id, MainData(full_name="Tarrow Pike", language=language), version=now.version
        )
    return customer_id


async def an_invoice(tenant: TestTenant, customer_id: int) -> int:
    """Issued, 123.00 with its tax."""
    scope = tenant.scope()
    line = NewLine(description="Visit", unit_price_e6=100_000_000)
    made = await billing.create_draft(scope, NewDraft(payer_id=customer_id, lines=[line]))
    await billing.issue(scope, made)
    return made


async def a_month(tenant: TestTenant, customer_id: int) -> list[date]:
    """An invoice, then its payment with something over, a credit note, goodwill, and the payment comes back."""
    days = [tenant.scope().today()]
    invoice_id = await an_invoice(tenant, customer_id)
    for step in range(4):
        tenant.clock.move(timedelta(days=2))
        days.append(tenant.scope().today())
        if step == 0:
            payment_id = await receive(
                tenant.scope(), NewPayment(payer_id=customer_id, amount_minor=15000, reference="DD-77")
            )
        elif step == 1:
            line_id = await value("SELECT id FROM document_line WHERE document_id = :id", id=invoice_id)
            line = CreditLine(line_id=line_id, amount_minor=1000)
            await billing.create_credit_note(
                tenant.scope(), NewCreditNote(document_id=invoice_id, reason="Late", lines=[line])
            )
        elif step == 2:
            await billing.grant_credit(tenant.scope(), customer_id, 500, "Sorry")
        else:
            await reverse(tenant.scope(), payment_id, Reversal(reason="Returned"))
    return days


async def test_C17_a_statement_leads_from_the_balance_before_to_the_balance_after(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    days = await a_month(tenant, customer_id)

    whole = await statement_of(tenant.scope(), customer_id, days[0], days[-1])
    part = await statement_of(tenant.scope(), customer_id, days[1], days[2])

    (euro,) = whole.parts
    assert (euro.currency, euro.opening_minor) == ("EUR", 0)
    assert [(each.on, each.amount_minor) for each in euro.entries] == [
        (days[0], 12300),
        (days[1], -15000),
        (days[2], -1230),
        (days[3], -500),
        (days[4], 15000),
    ]
    assert [each.text.split()[0] for each in euro.entries] == ["Invoice", "Payment", "Credit", "Goodwill", "Payment"]
    assert euro.entries[1].detail == "DD-77"
    assert euro.closing_minor == -(await get_balance(tenant.scope(), customer_id)).balance_minor == 10570
    (two_days,) = part.parts
    assert two_days.opening_minor == 12300
    assert [each.amount_minor for each in two_days.entries] == [-15000, -1230]
    assert two_days.closing_minor == -3930


async def test_C17_statements_that_follow_each_other_join_without_a_gap(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    days = await a_month(tenant, customer_id)
    closing = 0

    for day in range((days[-1] - days[0]).days + 1):
        on = days[0] + timedelta(days=day)
        (each,) = (await statement_of(tenant.scope(), customer_id, on, on)).parts
        assert each.opening_minor == closing
        closing = each.closing_minor

    assert closing == 10570


async def test_C17_a_customer_without_entries_has_a_statement_too(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    today = tenant.scope().today()

    (euro,) = (await statement_of(tenant.scope(), customer_id, today, today)).parts

    assert (euro.opening_minor, euro.entries, euro.closing_minor) == (0, (), 0)
    with pytest.raises(Invalid, match="before the first"):
        await statement_of(tenant.scope(), customer_id, today, today - timedelta(days=1))


async def test_C17_nobody_sees_a_statement_out_of_their_reach(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    today = tenant.scope().today()
    other = Actor("customer", 9, "Bea", OneCustomer(customer_id + 1), frozenset({"documents.view"}))

    with pytest.raises(NotFound):
        await statement_of(tenant.scope(actor=other), customer_id, today, today)


@pytest.mark.parametrize("tenant", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ("Statement of account", "Balance brought forward", "Invoice 2026-000001", "Credit note", "To pay")),
        ("de", ("Kontoauszug", "Saldovortrag", "Rechnung 2026-000001", "Gutschrift", "Zu zahlen", "105,70")),
    ],
)
async def test_C17_the_pdf_speaks_the_customers_language(
    tenant: TestTenant, language: str, words: tuple[str, ...]
) -> None:
    customer_id = await a_customer(tenant, language)
    days = await a_month(tenant, customer_id)

    pdf = await statement_pdf(await statement_of(tenant.scope(), customer_id, days[0], days[-1]))

    text = " ".join(" ".join(pages_of(pdf)).split())
    for word in (*words, "Tarrow Pike", "DD-77"):
        assert word in text


async def test_C17_the_page_and_the_api_give_the_same_statement(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    days = await a_month(tenant, customer_id)
    page, api = await tenant.browser(), await tenant.api()
    asked = {"since": days[0].isoformat(), "until": days[-1].isoformat()}

    shown = await page.get(f"/customers/{customer_id}/statement", params=asked)
    sheet = await page.get(f"/customers/{customer_id}/statement/sheet", params=asked)
    wrong = await page.get(f"/customers/{customer_id}/statement", params={**asked, "since": "2099-01-01"})
    nonsense = await page.get(f"/customers/{customer_id}/statement", params={"since": "soon"})
    endless = [
        await page.get(f"/customers/{customer_id}/statement/{what}", params={"until": "9999-12-31"})
        for what in ("sheet", "pdf")
    ]
    answer = await api.get(f"/api/v1/customers/{customer_id}/statement", params=asked)
    unnamed = await api.get(f"/api/v1/customers/{customer_id}/statement")
    pdf = await api.get(f"/api/v1/customers/{customer_id}/statement/pdf", params=asked)

    assert "105.70" in shown.text
    assert "Balance brought forward" in sheet.text
    assert (wrong.status_code, nonsense.status_code) == (422, 422)
    assert [one.status_code for one in endless] == [422, 422]
    assert "before the first" in wrong.text
    assert "This is no day" in nonsense.text
    (part,) = answer.json()["parts"]
    assert part["closing_minor"] == part["entries"][-1]["balance_minor"] == 10570
    assert unnamed.json()["until"] == days[-1].isoformat()
    assert pdf.content[:5] == b"%PDF-"
    assert pdf.headers["content-disposition"].endswith(f'{days[0]}-{days[-1]}.pdf"')


async def test_C17_a_statement_looks_as_documents_do(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await a_customer(tenant, "de")
    day = scope.today()
    plain = statement_page(await statement_of(scope, customer_id, day, day))
    fields = LayoutFields(
        colour="#a01020", show_name=False, texts={"de": LayoutTexts(closing="Danke.", legal="Geschäftsführung: A. B.")}
    )
    version = (await save_layout(scope, fields, version=0)).version
    logo = await set_logo(scope, SVG)

    statement = await statement_of(scope, customer_id, day, day)
    page, screen = statement_page(statement), statement_page(statement, css="/document.css")
    pdf = await statement_pdf(statement, assets=await layout_assets(scope))
    served = await (await tenant.browser()).get(f"/customers/{customer_id}/statement/pdf")

    assert version == 1
    assert ("d-coloured" in plain, "d-logo" in plain) == (False, False)
    assert "--brand: #a01020" in page
    assert f'src="{logo.logo_name}"' in page
    assert f'src="/documents/logos/{logo.logo_name}"' in screen
    assert "/documents/colours/a01020.css" in screen
    assert ("Danke." in page, "Geschäftsführung: A. B." in page, 'class="d-name"' in page) == (True, True, False)
    assert (pdf[:5], served.status_code, served.content[:5]) == (b"%PDF-", 200, b"%PDF-")
