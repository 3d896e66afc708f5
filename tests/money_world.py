"""Money of the world's one customer: something sold, subscribed, invoiced, paid, credited, refunded, parked."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from core.activity.unit import unit_of_work
from core.billing import actions as billing
from core.billing.actions import dunning
from core.billing.actions.relief import relieve_tax
from core.billing.run import run_billing
from core.billing.schemas import CreditLine, NewCreditNote, NewDraft, NewLine
from core.catalog.actions import create_product
from core.catalog.bundles import NewBundle, NewBundlePrice, NewMember, create_bundle
from core.catalog.queries import get_product
from core.catalog.schemas import NewPrice, NewProduct
from core.database import execute, value
from core.documents.files import store_file
from core.ledger.actions import set_fx_rate
from core.ledger.days import add_up_days
from core.ledger.schemas import NewFxRate
from core.payments import actions as payments
from core.payments import deposits
from core.payments.deposits import Application, NewDeposit
from core.payments.schemas import NewPayment, NewRefund
from core.reports.mrr import step_mrr
from core.subscriptions import actions as subscriptions
from core.subscriptions.actions.bundling import start_bundle
from core.subscriptions.actions.pausing import plan_pause
from core.subscriptions.bundles import NewCustomerBundle
from core.subscriptions.changes import AgreedChange
from core.subscriptions.schemas import NewCharge, NewDiscount, NewPause, NewSubscription, NewTrial

if TYPE_CHECKING:
    from core.testing import TestTenant


async def populate_money(tenant: TestTenant, ids: dict[str, object], marker: str) -> None:
    """A row in every table of the catalogue, the books, subscriptions, billing and payments."""
    scope = tenant.scope()
    customer_id = int(str(ids["customer_id"]))
    plan_id = await _sells(tenant, "world-plan", "plan")
    module_id = await _sells(tenant, "world-module", "module")
    ids["product_id"], ids["product_part"] = plan_id, "main"
    ids["price_id"] = await _price_of(plan_id)
    ids["subscription_id"] = await subscriptions.subscribe(
        scope,
        NewSubscription(
            customer_id=customer_id,
            product_id=plan_id,
            price_id=await _price_of(plan_id),
            discounts=[NewDiscount(percent_e6=10_000_000)],
            label=f"{marker} line",
        ),
    )
    await subscriptions.start_trial(
        scope, NewTrial(customer_id=customer_id, product_id=module_id, price_id=await _price_of(module_id))
    )
    await _bundle(tenant, ids, marker)
    report = await run_billing(scope, scope.today())
    ids["run_id"] = report.run_id
    ids["charge_id"] = await subscriptions.add_charge(
        scope, NewCharge(customer_id=customer_id, description=f"{marker} visit", amount_minor=7800)
    )
    ids["draft_id"] = await billing.create_draft(
        scope, NewDraft(payer_id=customer_id, lines=[NewLine(description=f"{marker} item", unit_price_e6=10_000_000)])
    )
    invoice_id = await billing.create_draft(
        scope, NewDraft(payer_id=customer_id, lines=[NewLine(description=f"{marker} item", unit_price_e6=20_000_000)])
    )
    await billing.issue(scope, invoice_id)
    line_id = await value("SELECT id FROM document_line WHERE document_id = :id", id=invoice_id)
    ids["invoice_id"] = invoice_id
    ids["credit_note_id"] = await billing.create_credit_note(
        scope,
        NewCreditNote(document_id=invoice_id, reason="x", lines=[CreditLine(line_id=line_id, amount_minor=100)]),
    )
    tomorrow = scope.today() + timedelta(days=1)
    await billing.credit_unused(scope, int(str(ids["subscription_id"])), tomorrow, "x")
    await set_fx_rate(scope, NewFxRate(from_currency="USD", valid_on=scope.today(), rate_e10=9_000_000_000))
    ids["payment_id"] = await payments.receive(scope, NewPayment(payer_id=customer_id, amount_minor=50_000))
    await payments.refund(scope, NewRefund(customer_id=customer_id, amount_minor=500, reason="x"))
    ids["deposit_id"] = await deposits.receive_deposit(
        scope, NewDeposit(customer_id=customer_id, amount_minor=900, reason=f"{marker} router")
    )
    await deposits.apply_deposit(
        scope, int(str(ids["deposit_id"])), Application(amount_minor=100, reason=f"{marker} left")
    )
    ids["discount_id"] = await value("SELECT min(id) FROM subscription_discount")
    later = scope.today() + timedelta(days=40)
    await plan_pause(
        scope,
        int(str(ids["subscription_id"])),
        NewPause(from_on=later, to_on=later + timedelta(days=9), reason=f"{marker} travels"),
    )
    ids["code"] = "4000"
    await step_mrr(scope)
    await add_up_days(scope)
    async with unit_of_work(scope):
        await execute("UPDATE ledger_mark SET seen_at = NULL")  # PostgreSQL adds up what it saw an hour ago
    await add_up_days(scope)
    ids["credit_id"] = await billing.grant_credit(scope, customer_id, 300, f"{marker} waited")
    ids["allocation_id"] = await value("SELECT min(id) FROM allocation")
    bad_debt = await billing.create_draft(
        scope, NewDraft(payer_id=customer_id, lines=[NewLine(description="x", unit_price_e6=900_000_000)])
    )
    await billing.issue(scope, bad_debt)
    await billing.write_off(scope, bad_debt, "x", 100)
    await relieve_tax(scope, bad_debt, "x")
    await dunning.promise(scope, bad_debt, dunning.NewPromise(until_on=tomorrow, note=f"{marker} rang"))
    await dunning.open_dispute(scope, bad_debt, dunning.NewDispute(reason=f"{marker} was not there"))
    ids["step_id"] = await value("SELECT min(id) FROM dunning_step")
    await _written_by_nothing_yet(tenant, customer_id, invoice_id)
    ids["parked_id"] = await value("SELECT min(id) FROM billing_parked")
    ids["rate_id"] = await value("SELECT min(id) FROM customer_fx_rate")


async def _written_by_nothing_yet(tenant: TestTenant, customer_id: int, invoice_id: int) -> None:
    """Rows of tables that later features write."""
    scope = tenant.scope()
    file = await store_file(scope, b"%PDF-1.7", name="x.pdf", media_type="application/pdf", customer_id=customer_id)
    today = scope.today()
    change = AgreedChange(
        kind="upgrade",
        product_id=await value("SELECT min(id) FROM product"),
        price_id=None,
        amount_minor=100,
        currency="EUR",
        price_rate_e10=None,
        cycle_unit="month",
        cycle_count=1,
        tax_inclusive=False,
        setup_minor=0,
        fee_minor=0,
        minimum_minor=0,
        unused="none",
        anchor="keep",
    )
    async with unit_of_work(scope):
        await execute(
            "INSERT INTO document_file (document_id, format, sha256, path, created_at)"
            " VALUES (:id, 'pdf', :sha256, :path, :now) ON CONFLICT DO NOTHING",
            id=invoice_id,
            sha256=file.sha256,
            path=str(file.id),
            now=scope.now(),
        )
        await execute(
            "INSERT INTO billing_parked (payer_id, run_id, reason, detail, parked_at)"
            " SELECT :payer, min(id), 'failed', 'x', :now FROM billing_run",
            payer=customer_id,
            now=scope.now(),
        )
        await execute("INSERT INTO billing_run_job (job_id, run_id) SELECT 1000000, min(id) FROM billing_run")
        await execute(
            "INSERT INTO prepaid_renewal (subscription_id, customer_id, payer_id, period_start, currency, total_minor,"
            " missing_minor, short_on) SELECT min(id), :payer, :payer, :day, 'EUR', 100, 100, :day FROM subscription",
            payer=customer_id,
            day=today,
        )
        await execute(
            "INSERT INTO dunning_event (document_id, step_id, payer_id, done_on, counted_on, currency)"
            " SELECT :document, min(id), :payer, :day, :day, 'EUR' FROM dunning_step",
            document=invoice_id,
            payer=customer_id,
            day=today,
        )
        await execute(
            "INSERT INTO customer_fx_rate (customer_id, from_currency, to_currency, valid_from, rate_e10)"
            " VALUES (:id, 'USD', 'EUR', :day, 9000000000)",
            id=customer_id,
            day=today,
        )
        await execute(
            "INSERT INTO recognition (book_id, product_id, month) SELECT min(book.id), min(product.id), :day"
            " FROM book, product",
            day=today.replace(day=1),
        )
        await execute(
            "INSERT INTO subscription_change (subscription_id, kind, happens_on, plan, plan_hash)"
            " SELECT min(id), 'upgrade', :day, :plan, 'x' FROM subscription",
            day=today,
            plan=msgspec.json.encode(change).decode(),
        )
        await execute(
            "INSERT INTO vat_check (vat_id, checked_at, valid) VALUES ('IE6388047V', :now, TRUE)", now=scope.now()
        )


async def _sells(tenant: TestTenant, code: str, kind: str) -> int:
    return await create_product(
        tenant.scope(),
        NewProduct(
            code=code,
            name=code,
            kind=kind,  # type: ignore[arg-type]  # one of the kinds
            trial_days=14 if kind == "module" else 0,
            prices=[NewPrice(cycle_unit="month", amount_minor=3500)],
        ),
    )


async def _bundle(tenant: TestTenant, ids: dict[str, object], marker: str) -> None:
    """Two services as one, which the customer has."""
    scope = tenant.scope()
    members = [NewMember(product_id=await _sells(tenant, f"world-{name}", "service")) for name in ("mail", "phone")]
    prices = [NewBundlePrice(cycle_unit="month", amount_minor=1500)]
    ids["bundle_id"] = await create_bundle(
        scope, NewBundle(code="world-bundle", name="Both", members=members, prices=prices)
    )
    ids["customer_bundle_id"] = await start_bundle(
        scope,
        NewCustomerBundle(
            customer_id=int(str(ids["customer_id"])),
            bundle_id=int(str(ids["bundle_id"])),
            price_id=int(await value("SELECT max(id) FROM bundle_price")),
            label=f"{marker} both",
        ),
    )


async def _price_of(product_id: int) -> int:
    return (await get_product(product_id)).prices[0].id
