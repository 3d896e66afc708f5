"""Money that came before the invoice, in a currency that is not the tenant's."""

from __future__ import annotations

from datetime import date, timedelta

from core.billing.actions import create_draft, grant_credit, issue, reverse_grant
from core.billing.run import run_billing
from core.billing.schemas import NewDraft, NewLine
from core.billing.verify import verify
from core.catalog.actions import create_product
from core.catalog.queries import get_product
from core.catalog.schemas import NewPrice, NewProduct
from core.clock import FixedClock
from core.database import execute, value, values
from core.ledger.queries import get_balance
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.scope import Scope
from core.subscriptions.actions import subscribe
from core.subscriptions.schemas import NewSubscription
from tests.books import a_customer


async def test_free_credit_in_another_currency_pays_the_invoice_of_a_run_and_it_is_settled_once(scope: Scope) -> None:
    for day, rate in ((date(2027, 1, 1), 9_000_000_000), (scope.today(), 9_200_000_000)):
        await execute(
            "INSERT INTO fx_rate (from_currency, to_currency, valid_on, rate_e10) VALUES ('USD', 'EUR', :day, :rate)",
            day=day,
            rate=rate,
        )
    customer_id = await a_customer(scope, currency="USD", country="US")
    price = NewPrice(cycle_unit="month", amount_minor=10_000, currency="USD")
    product = await get_product(
        await create_product(scope, NewProduct(code="fibre", name="Fibre", kind="plan", prices=[price]))
    )
    await subscribe(
        scope, NewSubscription(customer_id=customer_id, product_id=product.id, price_id=product.prices[0].id)
    )
    await receive(scope, NewPayment(payer_id=customer_id, amount_minor=12_500, received_on=date(2027, 3, 1)))

    report = await run_billing(scope, scope.today())

    assert (report.invoices, report.parked) == (1, [])
    balance = await get_balance(scope, customer_id)
    assert (balance.receivable_minor, balance.credit_minor) == (0, 2500)
    assert await values(
        "SELECT kind FROM activity WHERE kind IN ('invoice_issued', 'invoice_settled') ORDER BY position"
    ) == ["invoice_issued", "invoice_settled"]
    assert await value("SELECT amount_minor FROM allocation") == 10_000
    assert await verify(scope) == []


async def test_goodwill_in_another_currency_is_taken_back_by_the_rate_of_its_day_and_the_books_are_clean(
    scope: Scope, clock: FixedClock
) -> None:
    for day, rate in ((date(2020, 1, 1), 9_000_000_000), (scope.today() + timedelta(days=1), 9_700_000_000)):
        await execute(
            "INSERT INTO fx_rate (from_currency, to_currency, valid_on, rate_e10) VALUES ('USD', 'EUR', :day, :rate)",
            day=day,
            rate=rate,
        )
    customer_id = await a_customer(scope, currency="USD", country="US")
    first = await grant_credit(scope, customer_id, 3_333, "The line was down")
    clock.move(timedelta(days=2))
    line = NewLine(description="Visit", unit_price_e6=20_010_000)
    invoice_id = await create_draft(scope, NewDraft(payer_id=customer_id, lines=[line]))
    await issue(scope, invoice_id)
    before = await verify(scope)

    taken = await reverse_grant(scope, first, "It was another customer")

    balance = await get_balance(scope, customer_id)
    assert before == []
    assert taken == 3_333
    assert (balance.receivable_minor, balance.credit_minor) == (2_001, 0)
    assert await verify(scope) == []
    assert (
        await values(
            "SELECT currency FROM posting GROUP BY currency, transaction_id HAVING sum(amount_minor) <> 0"
            " OR sum(base_minor) <> 0"
        )
        == []
    )
