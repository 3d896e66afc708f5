"""The main job on real input, in two tenants at the same time.

A file is imported, plans are booked, the run bills them, the invoices become PDFs and reach a mailbox, and the books
prove themselves.
"""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import pytest

from core.billing.mailing import document_file
from core.billing.run import run_billing
from core.billing.run_reports import RunReport
from core.billing.verify import verify
from core.catalog.actions import create_product
from core.catalog.queries import get_product
from core.catalog.schemas import NewPrice, NewProduct
from core.customers.importing.actions import stage_import, take_over
from core.customers.importing.profiles import Mapping
from core.database import values
from core.documents.files import read_file
from core.messages.settings import MailSettings
from core.scope import command_actor
from core.settings.actions import save_settings
from core.subscriptions.actions import subscribe
from core.subscriptions.schemas import NewSubscription
from tenants.deployment import Deployment
from tenants.registry import TenantRecord
from tenants.working import make_worker
from tests.hosts import made
from tests.smtp import SmtpSink, smtp_sink

__all__ = ["smtp_sink"]

FILE = '''Kundennr.;Firma;Nachname;Vorname;Straße;PLZ;Ort;E-Mail;Telefon
K-1;Bäckerei Groß & Söhne;Groß;Jörg;Hauptstraße 5a;01067;Dresden;"info@baeckerei.example; rechnung@baeckerei.example";
K-2;;Weiß;Änne;"Am Brühl 1 ""Hof""";04109;Leipzig;aenne@post.example;
K-3;;Ohne;Mail;Rue 1;00000;Straßburg;kein-mail;
'''
BILLED_ON = date(2026, 11, 22)


async def the_job(deployment: Deployment, record: TenantRecord, file: Path, sink: SmtpSink) -> RunReport:
    """All of it, in one tenant."""
    async with deployment.scope(record, command_actor("main job")) as scope:
        await save_settings(
            scope,
            MailSettings(
                host="127.0.0.1",
                port=sink.port,
                security="none",
                sender_name=record.name,
                sender_address=f"billing@{record.slug}.example",
            ),
        )
        staged = await stage_import(scope, file, Mapping())
        assert (staged.records, staged.ok) == (3, 2), staged.errors
        assert staged.batch is not None
        await take_over(scope, staged.batch, mode="skip-bad")
        price = NewPrice(cycle_unit="month", amount_minor=10_000)
        product = await get_product(
            await create_product(scope, NewProduct(code="fibre", name="Fibre 300", kind="plan", prices=[price]))
        )
        for customer_id in await values("SELECT id FROM customer ORDER BY id"):
            await subscribe(
                scope,
                NewSubscription(customer_id=customer_id, product_id=product.id, price_id=product.prices[0].id),
            )
        report = await run_billing(scope, BILLED_ON)
    await make_worker(deployment).until_idle(record.uuid)
    return report


@pytest.mark.timeout(300)
async def test_a_file_becomes_invoices_in_a_mailbox_in_two_tenants_at_once(
    deployment: Deployment, tmp_path: Path, smtp_sink: SmtpSink
) -> None:
    file = tmp_path / "kunden.csv"
    file.write_bytes(FILE.replace("\n", "\r\n").encode("windows-1252"))
    tenants = [(await made(deployment, slug)).record for slug in ("alpha", "beta")]

    reports = await asyncio.gather(*(the_job(deployment, record, file, smtp_sink) for record in tenants))

    assert [(report.invoices, report.totals) for report in reports] == [(2, {"EUR": 2 * 12_300})] * 2
    subjects = sorted(str(mail.mail["Subject"]) for mail in smtp_sink.mails)
    assert subjects == [f"{name}: invoice 2026-00000{n}" for name in ("Alpha", "Beta") for n in (1, 2)]
    assert {mail.sender for mail in smtp_sink.mails} == {"billing@alpha.example", "billing@beta.example"}
    for record in tenants:
        async with deployment.scope(record, command_actor("main job")) as scope:
            assert await verify(scope) == []
            assert await values("SELECT sent_by FROM message ORDER BY id") == ["server", "server"]
            for document_id in await values("SELECT id FROM document"):
                stored = await document_file(scope, document_id)
                data = await read_file(scope, stored)
                assert data.startswith(b"%PDF-")
                attached = [
                    part.get_content()
                    for mail in smtp_sink.mails
                    for part in mail.mail.iter_attachments()
                    if part.get_filename() == stored.name
                ]
                assert data in attached
            again = await run_billing(scope, BILLED_ON)
            assert again.invoices == 0
