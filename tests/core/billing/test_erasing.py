"""What issued documents keep of somebody who is anonymised: until their time is over, and nothing after that."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec import Struct

from core.activity.unit import unit_of_work
from core.billing import actions as billing
from core.billing import erasing
from core.billing.erasing import erase_retained
from core.billing.mailing import document_file
from core.billing.queries import get_document
from core.billing.schemas import NewDraft, NewLine
from core.billing.settings import BillingSettings
from core.billing.verify import verify
from core.customers import actions as customers
from core.customers.actions.anonymise import anonymise_customer
from core.customers.schemas import NewCustomer
from core.database import execute, value, values
from core.documents.files import store_file, sweep_files
from core.errors import Conflict
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.settings.actions import save_settings
from core.subscriptions.actions import add_charge
from core.subscriptions.schemas import NewCharge
from core.testing import TestTenant

LAST_DAY, DAY_AFTER = datetime(2036, 12, 31, 12, tzinfo=UTC), datetime(2037, 1, 1, 12, tzinfo=UTC)
"""Of the ten years behind 2026, in which the clock of tests stands."""


async def a_customer(tenant: TestTenant, name: str = "Zeb Quarter") -> int:
    return await customers.create_customer(tenant.scope(), NewCustomer(full_name=name, country="IE"))


async def an_invoice(tenant: TestTenant, payer_id: int, *, charges: bool = False) -> int:
    """123.00 for a visit, paid, with its PDF."""
    scope = tenant.scope()
    made = await billing.create_draft(
        scope,
        NewDraft(
            payer_id=payer_id,
            lines=[NewLine(description="Visit at Zeb's", unit_price_e6=100 * 10**6)],
            open_charges=charges,
            reference="Zeb 7",
            note="Thank you, Zeb",
        ),
    )
    await billing.issue(scope, made)
    await has_a_pdf(tenant, made, payer_id)
    total = (await get_document(scope, made)).total_minor
    await receive(scope, NewPayment(payer_id=payer_id, amount_minor=total, document_id=made))
    return made


async def has_a_pdf(tenant: TestTenant, document_id: int, payer_id: int) -> None:
    """As laying it out would leave it, which takes longer."""
    file = await store_file(
        tenant.scope(), b"%PDF Zeb " + bytes([document_id]), name="a.pdf", media_type="application/pdf",
        customer_id=payer_id,
    )  # fmt: skip
    async with unit_of_work(tenant.scope()):
        await execute(
            "INSERT INTO document_file (document_id, format, sha256, path, created_at)"
            " VALUES (:id, 'pdf', :sha256, :path, :now)",
            id=document_id,
            sha256=file.sha256,
            path=str(file.id),
            now=tenant.scope().now(),
        )


async def is_forgotten(tenant: TestTenant, customer_id: int) -> None:
    async with unit_of_work(tenant.scope()):
        await execute(
            "UPDATE customer SET status_id = (SELECT id FROM status WHERE key = 'inactive') WHERE id = :id",
            id=customer_id,
        )
    await anonymise_customer(tenant.scope(), customer_id)


class Kept(Struct, frozen=True):
    """What can be read of a document."""

    buyer: bool
    note: str
    reference: str
    lines: tuple[str, ...]
    pdf: bool


async def kept_of(tenant: TestTenant, document_id: int) -> Kept:
    found = await get_document(tenant.scope(), document_id)
    path = await value("SELECT path FROM document_file WHERE document_id = :id", id=document_id)
    file = await value("SELECT count(*) FROM stored_file WHERE CAST(id AS text) = :path", path=path)
    assert bool(path) == bool(file)
    return Kept(
        "Zeb" in found.buyer, found.note, found.reference, tuple(line.description for line in found.lines), bool(file)
    )


WHOLE = Kept(True, "Thank you, Zeb", "Zeb 7", ("Visit at Zeb's",), True)
NOTHING = Kept(False, "", "", ("",), False)


async def test_C12_documents_of_who_is_anonymised_are_kept_to_the_last_day_of_their_time(tenant: TestTenant) -> None:
    customer_id = await a_customer(tenant)
    invoice = await an_invoice(tenant, customer_id)
    await is_forgotten(tenant, customer_id)

    at_once = await erase_retained(tenant.scope())
    tenant.clock.set(LAST_DAY)
    on_the_last_day = await erase_retained(tenant.scope())

    assert (at_once, on_the_last_day) == (0, 0)
    assert await kept_of(tenant, invoice) == WHOLE


async def test_C12_when_their_time_is_over_the_buyer_goes_with_all_words_and_the_pdf_and_the_figures_stay(
    tenant: TestTenant,
) -> None:
    customer_id = await a_customer(tenant)
    invoice = await an_invoice(tenant, customer_id)
    await is_forgotten(tenant, customer_id)
    before = await get_document(tenant.scope(), invoice)
    postings = await values("SELECT amount_minor FROM posting ORDER BY transaction_id, line")
    folder = Path(str(tenant.scope().tenant.folder)) / "files"
    tenant.clock.set(DAY_AFTER)

    erased = await erase_retained(tenant.scope())
    again = await erase_retained(tenant.scope())
    await sweep_files(tenant.scope(), older_than=-1)

    page = await (await tenant.browser()).get(f"/invoices/{invoice}")

    assert (erased, again) == (1, 0)
    assert await kept_of(tenant, invoice) == NOTHING
    assert (page.status_code, "the PDF is gone" in page.text) == (200, True)
    assert [path for path in folder.rglob("*") if path.is_file()] == []
    after = await get_document(tenant.scope(), invoice)
    assert (after.number, after.total_minor, after.tax_minor) == (before.number, before.total_minor, before.tax_minor)
    assert await values("SELECT amount_minor FROM posting ORDER BY transaction_id, line") == postings
    assert len(str(await value("SELECT sha256 FROM document_file WHERE document_id = :id", id=invoice))) == 64
    with pytest.raises(Conflict, match="the PDF is gone"):
        await document_file(tenant.scope(), invoice)
    assert await verify(tenant.scope()) == []


async def test_C12_documents_of_a_customer_who_is_not_anonymised_stay_for_ever(tenant: TestTenant) -> None:
    invoice = await an_invoice(tenant, await a_customer(tenant))
    tenant.clock.set(DAY_AFTER)

    assert await erase_retained(tenant.scope()) == 0
    assert await kept_of(tenant, invoice) == WHOLE


async def test_C12_how_long_documents_are_kept_is_what_the_settings_said_when_they_were_issued(
    tenant: TestTenant,
) -> None:
    customer_id = await a_customer(tenant)
    long = await an_invoice(tenant, customer_id)
    await save_settings(tenant.scope(), BillingSettings(retain_years=7))
    short = await an_invoice(tenant, customer_id)
    await is_forgotten(tenant, customer_id)
    tenant.clock.set(datetime(2034, 1, 1, 12, tzinfo=UTC))

    assert await erase_retained(tenant.scope()) == 1
    assert (await kept_of(tenant, long), await kept_of(tenant, short)) == (WHOLE, NOTHING)


async def test_C12_of_whom_another_paid_for_the_words_and_the_pdf_go_and_the_buyer_stays(tenant: TestTenant) -> None:
    payer_id = await a_customer(tenant)
    first, second = [await a_child(tenant, payer_id, name) for name in ("Ann", "Bea")]
    invoice = await an_invoice(tenant, payer_id, charges=True)
    await is_forgotten(tenant, first)
    tenant.clock.set(DAY_AFTER)

    erased = [await erase_retained(tenant.scope()) for _ in range(2)]
    of_first = await kept_of(tenant, invoice)
    await is_forgotten(tenant, second)
    later = [await erase_retained(tenant.scope()) for _ in range(2)]
    of_both = await kept_of(tenant, invoice)

    assert (erased, later) == ([1, 0], [1, 0])
    assert (of_first.buyer, of_first.note, of_first.pdf) == (True, "Thank you, Zeb", False)
    assert sorted(of_first.lines) == ["", "Repair at Bea's", "Visit at Zeb's"]
    assert sorted(of_both.lines) == ["", "", "Visit at Zeb's"]


async def a_child(tenant: TestTenant, payer_id: int, name: str) -> int:
    """Whose repair another pays for."""
    scope = tenant.scope()
    child = await a_customer(tenant, name)
    async with unit_of_work(scope):
        await execute(
            "UPDATE customer SET payer_id = :payer, parent_id = :payer WHERE id = :id", payer=payer_id, id=child
        )
    await add_charge(scope, NewCharge(customer_id=child, description=f"Repair at {name}'s", amount_minor=1000))
    return child


async def test_C12_what_was_asked_about_a_vat_id_goes_with_the_last_who_has_it(tenant: TestTenant) -> None:
    found = []
    for vat_id in ("IE1234567T", "IE7654321T"):
        customer_id = await a_customer(tenant)
        await execute("UPDATE customer SET vat_id = :vat_id WHERE id = :id", vat_id=vat_id, id=customer_id)
        await execute(
            "INSERT INTO vat_check (vat_id, checked_at, valid) VALUES (:vat_id, :now, TRUE)",
            vat_id=vat_id,
            now=tenant.scope().now(),
        )
        await an_invoice(tenant, customer_id)
        await is_forgotten(tenant, customer_id)
        found.append(customer_id)
    another = await a_customer(tenant, "Another")
    await execute("UPDATE customer SET vat_id = 'IE7654321T' WHERE id = :id", id=another)
    tenant.clock.set(DAY_AFTER)

    assert await erase_retained(tenant.scope()) == 2
    assert await values("SELECT vat_id FROM vat_check") == ["IE7654321T"]


async def test_C12_however_many_are_over_all_are_erased_a_piece_a_commit(
    tenant: TestTenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "PIECE", 2)
    customer_id = await a_customer(tenant)
    invoices = [await an_invoice(tenant, customer_id) for _ in range(4)]
    await is_forgotten(tenant, customer_id)
    tenant.clock.set(DAY_AFTER)

    assert await erase_retained(tenant.scope()) == 4
    assert [await kept_of(tenant, invoice) for invoice in invoices] == [NOTHING] * 4
