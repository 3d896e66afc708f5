"""Anonymising: what stands in the way, what goes, what the law keeps, and that nothing is left when that is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest
from msgspec import Struct

from core.activity.queries import log_faults
from core.activity.unit import unit_of_work
from core.billing import actions as billing
from core.billing.jobs import ERASE
from core.billing.mailing import document_file
from core.billing.schemas import NewDraft, NewLine
from core.billing.verify import verify
from core.catalog.actions import create_product
from core.catalog.schemas import NewPrice, NewProduct
from core.customers import actions, queries
from core.customers.actions.anonymise import (
    Finish,
    NotErasable,
    anonymise_customer,
    anonymise_customers,
    plan_erasure,
)
from core.customers.importing.actions import stage_import, take_over
from core.customers.importing.profiles import Mapping
from core.customers.jobs import FINISH_ERASING, FORGET_ANONYMISED
from core.customers.schemas import AddressData, BillingData, ContactFields, HierarchyFields, NewCustomer
from core.database import SqliteDatabase, dialect, execute, rows, value, values
from core.documents.files import read_file, store_file
from core.errors import Conflict
from core.jobs import claims
from core.jobs.actions import enqueue
from core.jobs.attempts import attempt
from core.jobs.kinds import Job, JobKind
from core.jobs.schedules import Scheduled
from core.messages.actions import write_message
from core.payments import actions as payments
from core.payments.schemas import NewPayment
from core.scope import Scope, schedule_actor
from core.subscriptions import actions as subscriptions
from core.subscriptions.schemas import NewCharge, NewFreeSubscription
from core.testing import TestTenant
from plugins.inventory import actions as inventory
from plugins.inventory.schemas import NewItem, Sale
from tests.core.documents.sheets import pages_of

pytestmark = [pytest.mark.anyio, pytest.mark.plugins("inventory")]

NAME = "Zebulon Quartermaine"
EMAIL = "zeb.quarter@posteo.example"
PHONE = "+353861234567"
NEEDLES = ("quartermaine", "zebulon", "zeb.quarter", "1234567", "861234567", "ie6388047v")

PART = {"hx-request-type": "partial"}


class Nothing(Struct, frozen=True):
    """A payload that says nothing."""


async def say_nothing(scope: Scope, job: Job[Nothing]) -> None:
    """Work that is none."""


SOME_WORK = JobKind("anonymising_some_work", Nothing, say_nothing)


async def person(tenant: TestTenant, **more: object) -> int:
    given = {
        "full_name": NAME,
        "emails": [EMAIL],
        "phones": [PHONE],
        "login": "zebulon.q",
        "street": "4 Quartermaine Row",
    }
    return await actions.create_customer(tenant.scope(), NewCustomer(**{**given, **more}))  # type: ignore[arg-type]  # a test's own words


async def force(tenant: TestTenant, customer_id: int, status: str = "inactive") -> None:
    async with unit_of_work(tenant.scope()):
        await execute(
            "UPDATE customer SET status_id = (SELECT id FROM status WHERE key = :key) WHERE id = :id",
            key=status,
            id=customer_id,
        )


async def work_off(tenant: TestTenant, *kinds: JobKind[Any]) -> None:
    """Everything of these kinds that is due."""
    for kind in kinds:
        for job_id in await takes_a_turn(tenant, kind):
            assert await value("SELECT error FROM job WHERE id = :id", id=job_id) is None


async def takes_a_turn(tenant: TestTenant, kind: JobKind[Any]) -> list[int]:
    """An attempt at each that is due; gives which they were."""
    scope = tenant.scope(actor=schedule_actor("test"))
    found = await claims.due_jobs([kind.name], tenant.clock.now())
    for due in found:
        claim = await claims.claim(kind, due.id, tenant.clock.now())
        assert claim is not None
        await attempt(scope, kind, claim)
    return [due.id for due in found]


async def lived(tenant: TestTenant, tmp_path: Path) -> tuple[int, int]:
    """A customer whom everything knows, over now and owing nothing; and its invoice, which names it everywhere."""
    scope = tenant.scope()
    file = tmp_path / "customers.csv"
    file.write_text(f"login,name,email,phone,note\nzebulon.q,{NAME},{EMAIL},{PHONE},{NAME} rang\n,{NAME},{EMAIL},,\n")
    report = await stage_import(scope, file, Mapping())
    await take_over(scope, report.batch, mode="skip-bad")
    customer_id = int(await value("SELECT id FROM customer WHERE login = 'zebulon.q'"))
    now = await queries.get_customer(scope, customer_id)
    await actions.change_customer(
        scope, customer_id, BillingData(vat_id="IE6388047V", send_by="none"), version=now.version
    )
    now = await queries.get_customer(scope, customer_id)
    await actions.change_customer(
        scope, customer_id, AddressData(street="4 Quartermaine Row", city="Dublin", country="IE"), version=now.version
    )
    await actions.add_note(scope, customer_id, f"{NAME} wants to be rung at {PHONE}")
    await actions.add_contact(scope, customer_id, ContactFields(first_name="Zebulon", surname="Quartermaine junior"))
    await actions.add_tag(scope, customer_id, "harbour")
    await force(tenant, customer_id, "active")
    await actions.plan_status(scope, customer_id, "blocked", scope.today() + timedelta(days=3), note=f"{NAME} asked")
    plan_id = await create_product(
        scope,
        NewProduct(code="fibre", name="Fibre", kind="plan", prices=[NewPrice(cycle_unit="month", amount_minor=1)]),
    )
    subscription_id = await subscriptions.activate_free(
        scope, NewFreeSubscription(customer_id=customer_id, product_id=plan_id, label=f"{NAME}'s attic")
    )
    await subscriptions.withdraw(scope, subscription_id)
    await subscriptions.add_charge(
        scope, NewCharge(customer_id=customer_id, description=f"Repair at {NAME}'s", amount_minor=10000)
    )
    item_id = await inventory.add_item(
        scope, NewItem(product="Router", vendor="Kestra", serial="K-1", note=f"for {NAME}", location="Store room")
    )
    await inventory.assign_item(scope, item_id, customer_id)
    await inventory.sell_item(scope, item_id, Sale(amount_minor=0))
    invoice_id = await billing.create_draft(
        scope,
        NewDraft(payer_id=customer_id, open_charges=True, reference=f"{NAME} 7", note=f"Thank you, {NAME}", lines=[]),
    )
    await billing.issue(scope, invoice_id)
    await document_file(scope, invoice_id)
    paid = await payments.receive(
        scope, NewPayment(payer_id=customer_id, amount_minor=5000, reference=f"{NAME} {PHONE}", note=f"from {NAME}")
    )
    assert paid
    await billing.grant_credit(scope, customer_id, 1000, f"{NAME} waited long")
    await billing.write_off(scope, invoice_id, f"{NAME} moved away")
    message_id = await write_message(
        scope, customer_id, subject=f"Dear {NAME}", text=f"We rang {PHONE}, {NAME}", to=[EMAIL]
    )
    assert message_id
    await store_file(scope, NAME.encode(), name=f"{NAME}.txt", media_type="text/plain", customer_id=customer_id)
    await enqueue(scope, SOME_WORK, Nothing(), customer_id=customer_id)
    await work_off(tenant, SOME_WORK)
    await enqueue(scope, SOME_WORK, Nothing())
    await work_off(tenant, SOME_WORK)
    async with unit_of_work(scope):
        await execute("UPDATE job SET result = :text WHERE kind = :kind", text=f'"{NAME}"', kind=SOME_WORK.name)
        await execute(
            "INSERT INTO vat_check (vat_id, checked_at, valid) VALUES ('IE6388047V', :now, TRUE)", now=scope.now()
        )
    api = await tenant.api()
    answer = await api.patch(
        f"/api/v1/customers/{customer_id}",
        json={"main": {"full_name": NAME, "login": "zebulon.q", "emails": [EMAIL], "phones": [PHONE]}},
        headers={"Idempotency-Key": "zeb"},
    )
    assert answer.status_code < 500
    await searched(tenant)
    await force(tenant, customer_id)
    return customer_id, invoice_id


async def searched(tenant: TestTenant) -> None:
    """Staff looked for the customer: a view is saved, a list exported, something was to be done to what was found."""
    page = await tenant.browser()
    kept = await page.post("/lists/customers/views", data={"name": NAME, "address": f"q={quote_plus(NAME)}"})
    taken = await page.get("/lists/customers/export", params={"q": "quartermaine", "format": "csv"})
    assert (kept.status_code, taken.status_code) == (303, 200)
    await execute(
        "INSERT INTO bulk_run (listing, action, state, address, total, made_by, created_at)"
        " VALUES ('inventory', 'x', 'done', :address, 1, 'staff:1', :now)",
        address='{"q":"quartermaine"}',
        now=tenant.clock.now(),
    )
    await execute(
        "INSERT INTO import_taken (step, row_id, batch_id, record, turn, refused)"
        " SELECT 'x', 1, min(id), 1, 1, :told FROM import_batch",
        told=f'[{{"record":1,"message":"There is no {NAME}"}}]',
    )


class Place(Struct, frozen=True):
    """A column of the database."""

    of: str
    name: str


COLUMNS = {
    "sqlite": "SELECT m.name AS of, c.name FROM sqlite_master m, pragma_table_info(m.name) c"
    " WHERE m.type = 'table' AND m.name NOT LIKE 'customer_words%' AND m.name NOT LIKE 'customer_pieces%'",
    "postgresql": "SELECT table_name AS of, column_name AS name FROM information_schema.columns"
    " WHERE table_schema = current_schema()",
}


async def found_in() -> set[str]:
    """The columns of all tables in which one of the words can be read."""
    places: set[str] = set()
    for column in await rows(Place, COLUMNS[dialect()]):
        texts = await values(f'SELECT DISTINCT lower(CAST("{column.name}" AS text)) FROM "{column.of}"')
        if any(needle in str(text) for text in texts for needle in NEEDLES):
            places.add(f"{column.of}.{column.name}")
    return places


def in_the_file(tenant: TestTenant) -> list[str]:
    """The same on the disk, whatever row or free page it is in."""
    if not isinstance(tenant.database, SqliteDatabase):
        return []
    held = b""
    for suffix in ("", "-wal"):
        path = tenant.database.path.with_name(tenant.database.path.name + suffix)
        held += path.read_bytes().lower() if path.exists() else b""
    return [needle for needle in NEEDLES if needle.encode() in held]


@pytest.mark.slow
async def test_C12_the_name_is_found_in_issued_documents_only_and_nowhere_when_their_time_is_over(
    tenant: TestTenant, tmp_path: Path
) -> None:
    customer_id, invoice_id = await lived(tenant, tmp_path)
    assert len(await found_in()) > 20
    assert not isinstance(tenant.database, SqliteDatabase) or in_the_file(tenant) == list(NEEDLES)

    await anonymise_customer(tenant.scope(), customer_id, name=NAME)
    await work_off(tenant, FINISH_ERASING)

    assert await found_in() == {
        "document.note",
        "document.reference",
        "document_line.description",
        "document_party.snapshot",
        "vat_check.vat_id",
    }
    customer = await queries.get_customer(tenant.scope(), customer_id)
    assert customer.full_name == f"Anonymised customer {customer_id}"
    assert customer.anonymised_at == tenant.clock.now()
    pdf = await document_file(tenant.scope(), invoice_id)
    assert NAME in "".join(pages_of(await read_file(tenant.scope(), pdf)))
    assert await values("SELECT id FROM stored_file WHERE customer_id = :id", id=customer_id) == [pdf.id]
    assert await queries.list_customers(tenant.scope())

    tenant.clock.set(datetime(2036, 12, 31, 12, tzinfo=UTC))
    await enqueue(tenant.scope(), ERASE, Scheduled(tenant.scope().today()))
    await work_off(tenant, ERASE)
    assert "document_party.snapshot" in await found_in()

    tenant.clock.set(datetime(2037, 1, 1, 12, tzinfo=UTC))
    await enqueue(tenant.scope(), ERASE, Scheduled(tenant.scope().today()))
    await work_off(tenant, ERASE)
    await enqueue(tenant.scope(), FINISH_ERASING, Finish())
    await work_off(tenant, FINISH_ERASING)

    assert await found_in() == set()
    assert in_the_file(tenant) == []
    assert await values("SELECT id FROM stored_file WHERE customer_id = :id", id=customer_id) == []
    with pytest.raises(Conflict, match="the PDF is gone"):
        await document_file(tenant.scope(), invoice_id)
    assert await verify(tenant.scope(), thorough=True) == []
    assert await log_faults() == []


async def test_C12_what_somebody_still_reads_leaves_the_file_when_that_is_over_however_late(tenant: TestTenant) -> None:
    database = tenant.database
    if not isinstance(database, SqliteDatabase):
        pytest.skip("PostgreSQL's vacuum does it")
    customer_id = await person(tenant)
    await force(tenant, customer_id)
    reader = await database.begin(reading=True)
    try:
        assert await reader.fetch("SELECT count(*) FROM customer", ())
        await anonymise_customer(tenant.scope(), customer_id)
        for _attempt in range(7):
            await takes_a_turn(tenant, FINISH_ERASING)
            assert await values("SELECT state FROM job WHERE kind = :kind", kind=FINISH_ERASING.name) == ["waiting"]
            assert in_the_file(tenant) != []
            tenant.clock.move(timedelta(hours=1))
    finally:
        await reader.finish(keep=False)

    await takes_a_turn(tenant, FINISH_ERASING)

    assert await values("SELECT state FROM job WHERE kind = :kind", kind=FINISH_ERASING.name) == ["done"]
    assert in_the_file(tenant) == []


async def test_C12_refused_with_the_reason_while_something_is_live_open_or_owed(tenant: TestTenant) -> None:
    scope = tenant.scope()

    async def refusal(customer_id: int) -> str:
        await force(tenant, customer_id)
        with pytest.raises(NotErasable) as refused:
            await anonymise_customer(scope, customer_id)
        assert (await queries.get_customer(scope, customer_id)).full_name == NAME
        return refused.value.message

    active = await person(tenant, login="")
    await force(tenant, active, "active")
    with pytest.raises(NotErasable, match=r"It is active\. Only a customer that is inactive can go\."):
        await anonymise_customer(scope, active)

    plan_id = await create_product(scope, NewProduct(code="fibre", name="Fibre", kind="plan", prices=[]))
    subscribed = await person(tenant, login="")
    await subscriptions.activate_free(scope, NewFreeSubscription(customer_id=subscribed, product_id=plan_id))
    assert "live subscription" in await refusal(subscribed)

    charged = await person(tenant, login="")
    await subscriptions.add_charge(
        scope, NewCharge(customer_id=charged, description="Visit", amount_minor=1000, source_key="t:1")
    )
    assert "waits for its invoice" in await refusal(charged)

    drafted = await person(tenant, login="")
    line = NewLine(description="Visit", unit_price_e6=100_000_000)
    draft_id = await billing.create_draft(scope, NewDraft(payer_id=drafted, lines=[line]))
    assert "draft of an invoice" in await refusal(drafted)
    await billing.issue(scope, draft_id)
    assert "It owes €123.00" in await refusal(drafted)

    credited = await person(tenant, login="")
    await payments.receive(scope, NewPayment(payer_id=credited, amount_minor=500))
    assert "a credit of €5.00" in await refusal(credited)

    payer = await person(tenant, login="")
    child = await person(tenant, login="")
    await actions.change_hierarchy(
        scope,
        child,
        HierarchyFields(parent_id=payer, payer_id=payer),
        version=(await queries.get_customer(scope, child)).version,
    )
    assert "pays for other customers" in await refusal(payer)

    lender = await person(tenant, login="")
    item_id = await inventory.add_item(
        scope, NewItem(product="Router", vendor="Kestra", serial="K-1", location="Store")
    )
    await inventory.assign_item(scope, item_id, lender)
    assert "still with this customer" in await refusal(lender)


async def test_C12_many_are_anonymised_together_or_none_of_them(tenant: TestTenant) -> None:
    scope = tenant.scope()
    ids = [await person(tenant, login="") for _ in range(3)]
    for customer_id in ids[:2]:
        await force(tenant, customer_id)

    with pytest.raises(NotErasable) as refused:
        await anonymise_customers(scope, ids)
    assert list(refused.value.reasons) == [ids[2]]
    assert await value("SELECT count(*) FROM customer WHERE full_name = :name", name=NAME) == 3

    await force(tenant, ids[2])
    await anonymise_customers(scope, ids)

    assert await value("SELECT count(*) FROM customer WHERE full_name = :name", name=NAME) == 0
    assert await value("SELECT count(*) FROM activity WHERE kind = 'customer_anonymised'") == 3
    assert (await plan_erasure_of(tenant, ids)) == dict.fromkeys(ids, "It is anonymised already.")


async def plan_erasure_of(tenant: TestTenant, ids: list[int]) -> dict[int, str]:
    async with unit_of_work(tenant.scope()):
        return dict((await plan_erasure(tenant.scope(), ids)).refused)


async def test_C12_the_page_of_who_is_anonymised_offers_no_editing_and_says_why(tenant: TestTenant) -> None:
    customer_id = await person(tenant)
    await force(tenant, customer_id)
    page = await tenant.browser()
    offers = {
        "": ("data-edit", "/sections/edit", "/password/new", 'id="new-note"', 'id="add-tag"', '/status" hx-target'),
        "/contacts": ('id="new-user"', 'id="new-contact"'),
        "/details": ("/hierarchy",),
    }

    async def offered() -> dict[str, list[bool]]:
        shown = {tab: (await page.get(f"/customers/{customer_id}{tab}")).text for tab in offers}
        return {tab: [each in shown[tab] for each in some] for tab, some in offers.items()}

    before = await offered()

    await anonymise_customer(tenant.scope(), customer_id)

    assert before == {tab: [True] * len(some) for tab, some in offers.items()}
    assert await offered() == {tab: [False] * len(some) for tab, some in offers.items()}
    assert (await page.get(f"/customers/{customer_id}")).text.count("It is anonymised already") >= 3


async def test_C12_who_is_anonymised_stays_so_and_is_changed_by_nobody(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await person(tenant)
    await force(tenant, customer_id)
    await anonymise_customer(scope, customer_id)
    now = await queries.get_customer(scope, customer_id)

    with pytest.raises(Conflict, match="anonymised"):
        await actions.change_customer(scope, customer_id, AddressData(city="Cork"), version=now.version)
    with pytest.raises(Conflict, match="anonymised"):
        await actions.change_status(scope, customer_id, "active")
    with pytest.raises(NotErasable, match="anonymised already"):
        await anonymise_customer(scope, customer_id)


async def test_C12_of_who_is_anonymised_nothing_is_written_down_that_nobody_would_erase(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id, parent_id = await person(tenant), await person(tenant, login="", full_name="Ann Other")
    await force(tenant, customer_id)
    await anonymise_customer(scope, customer_id)
    now = await queries.get_customer(scope, customer_id)
    api = await tenant.api()
    at = f"/api/v1/customers/{customer_id}"

    answers = [
        await api.post(f"{at}/notes", json={"text": f"{NAME} rang"}),
        await api.post(f"{at}/contacts", json={"surname": "Quartermaine", "email": EMAIL}),
        await api.post(f"{at}/users", json={"surname": "Quartermaine", "email": EMAIL}),
        await api.post(f"{at}/tags", json={"name": "Quartermaine"}),
        await api.put(f"{at}/password", json={"password": "a long and odd one"}),
        await api.put(f"{at}/hierarchy", json={"parent_id": parent_id, "version": now.version}),
    ]

    assert [one.status_code for one in answers] == [409] * 6
    assert {one.json()["detail"] for one in answers} == {"This customer is anonymised and stays as it is."}
    for table in ("note", "contact", "customer_tag"):
        assert await value(f"SELECT count(*) FROM {table} WHERE customer_id = :id", id=customer_id) == 0


async def test_C12_the_page_shows_what_goes_and_asks_for_the_name(tenant: TestTenant) -> None:
    customer_id = await person(tenant)
    await force(tenant, customer_id)
    page = await tenant.browser()
    path = f"/customers/{customer_id}/anonymisation"

    shown = (await page.get(path, headers=PART)).text
    assert "This cannot be undone" in shown
    assert "Name, address, e-mails, phones" in shown
    seen = shown.split('name="seen" value="')[1].split('"')[0]
    wrong = await page.post(path, data={"name": "Zeb", "seen": seen}, headers=PART)
    assert wrong.status_code == 422
    assert f"Type the name as it stands here: {NAME}." in wrong.text
    assert (await queries.get_customer(tenant.scope(), customer_id)).full_name == NAME
    await actions.add_note(tenant.scope(), customer_id, "A word in between")
    late = await page.post(path, data={"name": NAME, "seen": seen}, headers=PART)
    assert (late.status_code, "Something came between" in late.text) == (409, True)
    seen = late.text.split('name="seen" value="')[1].split('"')[0]
    done = await page.post(path, data={"name": NAME, "seen": seen}, headers=PART)

    assert done.headers["HX-Redirect"] == f"/customers/{customer_id}"
    assert (await queries.get_customer(tenant.scope(), customer_id)).anonymised_at is not None
    assert f"Anonymised customer {customer_id}" in (await page.get(f"/customers/{customer_id}")).text


async def test_C12_the_api_gives_the_plan_and_does_that_one_alone(tenant: TestTenant) -> None:
    customer_id = await person(tenant)
    api = await tenant.api()
    path = f"/api/v1/customers/{customer_id}/anonymisation"
    assert (await api.get(path)).status_code == 409
    await force(tenant, customer_id)

    plan = (await api.get(path)).json()
    assert {key: plan["effects"][0][key] for key in ("kind", "amount_minor", "currency")} == {
        "kind": "data",
        "amount_minor": None,
        "currency": None,
    }
    assert (await api.post(path, json={"name": "Somebody"})).status_code == 422
    assert (await api.post(path, json={"name": NAME, "plan": "another"})).status_code == 409
    assert (await (await tenant.api(["customers.edit"])).post(path, json={"name": NAME})).status_code == 403

    assert (await api.post(path, json={"name": NAME, "plan": plan["plan"]})).status_code == 201
    assert (await queries.get_customer(tenant.scope(), customer_id)).anonymised_at is not None


async def test_C12_jobs_that_were_still_to_do_say_nothing_when_they_are_over(tenant: TestTenant) -> None:
    scope = tenant.scope()
    customer_id = await person(tenant)
    await force(tenant, customer_id)
    job_id = await enqueue(scope, SOME_WORK, Nothing(), customer_id=customer_id)
    await anonymise_customer(scope, customer_id)
    await work_off(tenant, SOME_WORK)
    async with unit_of_work(scope):
        await execute("UPDATE job SET result = :text WHERE id = :id", text=NAME, id=job_id)

    await enqueue(scope, FORGET_ANONYMISED, Scheduled(scope.today()))
    await work_off(tenant, FORGET_ANONYMISED)

    assert await value("SELECT result FROM job WHERE id = :id", id=job_id) is None
