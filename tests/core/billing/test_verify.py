"""`verify` says nothing of sound books, and names what was broken behind the product's back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from core.activity.unit import unit_of_work
from core.billing.jobs import VERIFY_DAILY, Verified, verify_daily
from core.billing.run import run_billing
from core.billing.verify import verify
from core.catalog.actions import create_product
from core.catalog.queries import get_product
from core.catalog.schemas import NewPrice, NewProduct
from core.clock import FixedClock
from core.database import PostgresDatabase, bind, current, dialect, execute, run_sql, value
from core.documents.files import store_file
from core.errors import Conflict
from core.ids import new_uuid
from core.jobs import claims
from core.jobs.actions import enqueue
from core.jobs.kinds import Job
from core.jobs.schedules import Scheduled
from core.payments.actions import receive
from core.payments.schemas import NewPayment
from core.scope import Scope
from core.subscriptions.actions import subscribe
from core.subscriptions.schemas import NewSubscription
from tests.books import a_customer


@pytest.fixture
async def books(scope: Scope, clock: FixedClock, tmp_path: Path) -> Scope:
    """Two payers, three months of invoices, a payment, a PDF."""
    scope = replace(scope, tenant=replace(scope.tenant, folder=tmp_path))
    price = NewPrice(cycle_unit="month", amount_minor=10_000)
    product = await get_product(
        await create_product(scope, NewProduct(code="fibre", name="Fibre", kind="plan", prices=[price]))
    )
    for name in ("Ada Adler", "Bo Berg"):
        customer_id = await a_customer(scope, name=name)
        await subscribe(
            scope, NewSubscription(customer_id=customer_id, product_id=product.id, price_id=product.prices[0].id)
        )
    for _ in range(3):
        await run_billing(scope, scope.today(), confirmed=True)
        clock.move(timedelta(days=31))
    await receive(scope, NewPayment(payer_id=1, amount_minor=15_000))
    file = await store_file(scope, b"%PDF-1.7", name="x.pdf", media_type="application/pdf", customer_id=1)
    await execute(
        "INSERT INTO document_file (document_id, format, sha256, path, created_at)"
        " VALUES (1, 'pdf', :sha256, :path, :now)",
        sha256=file.sha256,
        path=str(file.id),
        now=scope.now(),
    )
    return scope


@asynccontextmanager
async def behind_its_back() -> AsyncIterator[None]:
    """Triggers and references are not asked: as by a hand in the database, or a damaged disk."""
    made = current()
    if isinstance(made, PostgresDatabase):
        with bind(made.owned()):
            for switch in ("DISABLE", "ENABLE"):
                for table in TABLES:
                    await run_sql(f"ALTER TABLE {table} {switch} TRIGGER USER")
                if switch == "DISABLE":
                    yield
    else:
        triggers = await value("SELECT group_concat(sql, ';;') FROM sqlite_schema WHERE type = 'trigger'")
        names = await value("SELECT group_concat(name) FROM sqlite_schema WHERE type = 'trigger'")
        for name in names.split(","):
            await execute(f"DROP TRIGGER {name}")
        yield
        for sql in triggers.split(";;"):
            await execute(sql)


TABLES: Final = (
    "allocation", "charge", "credit_entry", "document", "document_line", "document_party", "document_tax",
    "ledger_transaction", "number_counter", "posting", "subscription", "customer",
)  # fmt: skip

BROKEN: Final = (
    ("V1", "UPDATE charge SET period_end = period_end - 1 WHERE id = 1"),
    ("V1", "UPDATE subscription_schedule SET period_start = period_start + 1, period_end = period_end + 1"),
    ("V2", "UPDATE number_counter SET next = next + 1"),
    ("V2", "UPDATE document SET issued_on = issued_on + 400 WHERE seq = 1"),
    ("V3", "UPDATE posting SET amount_minor = amount_minor + 1 WHERE transaction_id = 1 AND line = 0"),
    ("V3", "UPDATE posting SET base_minor = base_minor + 1 WHERE transaction_id = 1 AND line = 0"),
    ("V4", "UPDATE customer_balance SET receivable_minor = receivable_minor + 1 WHERE customer_id = 2"),
    ("V4", "UPDATE document_state SET open_minor = open_minor + 1 WHERE document_id = 2"),
    ("V4", "UPDATE credit_entry SET left_minor = left_minor + 1"),
    ("V4", "UPDATE customer SET live_subscriptions = 7 WHERE id = 2"),
    ("V4", "UPDATE customer SET parent_key = 'somebody' WHERE id = 2"),
    ("V5", "UPDATE document_line SET net_minor = net_minor + 1 WHERE id = 1"),
    ("V5", "UPDATE document_tax SET tax_minor = tax_minor + 1 WHERE document_id = 1"),
    ("V5", "DELETE FROM document_party WHERE document_id = 1"),
    ("V5", "UPDATE charge SET amount_minor = amount_minor + 1 WHERE id = 1"),
    ("V5", "DELETE FROM job WHERE dedupe_key = 'document:2'"),
    ("V5", "UPDATE document_file SET sha256 = 'x'"),
    (
        "V6",
        "INSERT INTO job (kind, policy, state, due_at, payload, actor, created_at)"
        " SELECT 'send_message', 'once', 'done', due_at, '{\"message_id\":1}', actor, created_at FROM job"
        " WHERE dedupe_key IN ('document:1', 'document:2')",
    ),
    ("V8", "UPDATE subscription_schedule SET period_start = (SELECT min(period_start) FROM charge)"),
)


async def test_sound_books_are_verified(books: Scope) -> None:
    assert await verify(books, thorough=True) == []


@pytest.mark.parametrize(("key", "sql"), BROKEN, ids=[f"{key} {sql[:40]}" for key, sql in BROKEN])
async def test_what_is_broken_is_named(books: Scope, key: str, sql: str) -> None:
    if dialect() == "sqlite":
        for column in ("period_end", "period_start", "issued_on"):
            for days in ("- 1", "+ 1", "+ 400"):
                sql = sql.replace(f"= {column} {days}", f"= date({column}, '{days.replace(' ', '')} days')")
    async with behind_its_back():
        assert await execute(sql) > 0

    assert key in {each.key for each in await verify(books)}


async def test_rounding_that_was_not_booked_is_named(books: Scope) -> None:
    async with behind_its_back():
        await execute("UPDATE document SET rounding_minor = 5, tax_minor = tax_minor - 5 WHERE id = 1")

    rules = {each.rule: each.example for each in await verify(books)}

    assert rules["What a document is rounded by is what was booked as its rounding."] == "document 1"


async def test_a_day_that_the_last_run_would_charge_again_is_named(books: Scope) -> None:
    await execute(
        "UPDATE subscription_schedule SET period_start = :day, due_on = :day WHERE subscription_id = 2",
        day=books.today() - timedelta(days=40),
    )

    found = await verify(books, thorough=True)

    assert [(each.count, each.example) for each in found if each.rule.startswith("The last run")] == [
        (1, "subscription 2")
    ]


async def test_another_tenants_database_is_named(books: Scope) -> None:
    stranger = replace(books, tenant=replace(books.tenant, uuid=new_uuid()))

    assert [(each.key, each.rule) for each in await verify(stranger)] == [("V7", "The database is the tenant's own.")]


async def test_a_file_whose_bytes_are_others_is_named(books: Scope, tmp_path: Path) -> None:
    (stored,) = (path for path in (tmp_path / "files").rglob("*") if path.is_file())
    stored.chmod(0o600)
    stored.write_bytes(b"%PDF-1.8")

    assert [each.key for each in await verify(books, thorough=True)] == ["V7"]


async def on_sqlite_a_row_without_the_one_it_refers_to() -> None:
    await execute("PRAGMA foreign_keys = OFF")
    await execute("INSERT INTO note (customer_id, text, author, created_at) VALUES (99, 'x', 'x', '2027-01-01')")
    await execute("PRAGMA foreign_keys = ON")


async def on_postgresql_a_row_without_the_one_it_refers_to() -> None:
    made = current()
    assert isinstance(made, PostgresDatabase)
    with bind(made.owned()):
        await run_sql("ALTER TABLE note DROP CONSTRAINT note_customer_id_fkey")
        await execute("INSERT INTO note (customer_id, text, author, created_at) VALUES (99, 'x', 'x', now())")
        await run_sql("ALTER TABLE note ADD FOREIGN KEY (customer_id) REFERENCES customer (id) NOT VALID")


MISSING: Final[dict[str, Callable[[], Awaitable[None]]]] = {
    "sqlite": on_sqlite_a_row_without_the_one_it_refers_to,
    "postgresql": on_postgresql_a_row_without_the_one_it_refers_to,
}


async def test_a_row_that_refers_to_one_that_is_gone_is_named(books: Scope) -> None:
    await MISSING[dialect()]()

    assert "Every row refers to one that is there." in {each.rule for each in await verify(books, thorough=True)}


async def test_on_postgresql_a_trigger_that_is_switched_off_is_named(books: Scope) -> None:
    made = current()
    if not isinstance(made, PostgresDatabase):
        return
    with bind(made.owned()):
        await run_sql("ALTER TABLE posting DISABLE TRIGGER posting_stays")

    assert [(each.key, each.example) for each in await verify(books)] == [("V7", "trigger posting_stays of posting")]


async def test_each_night_asks_everything_and_books_that_are_wrong_are_a_job_that_failed(books: Scope) -> None:
    night = await claimed(books)

    assert await verify_daily(books, night) == Verified(books.today())

    async with behind_its_back():
        await execute("UPDATE document_file SET sha256 = 'x'")
    with pytest.raises(Conflict, match="The books are not right: V5"):
        await verify_daily(books, night)


async def claimed(scope: Scope) -> Job[Scheduled]:
    """The night's job, as a worker holds it."""
    async with unit_of_work(scope):
        job_id = await enqueue(scope, VERIFY_DAILY, Scheduled(scope.today()))
    claim = await claims.claim(VERIFY_DAILY, job_id, scope.now())
    assert claim is not None
    return Job(scope, claim, Scheduled(scope.today()))
