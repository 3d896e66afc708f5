"""One of everything in a tenant: what the isolation matrix and other tests of the whole go through."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from core.activity.actions import enable_reader
from core.activity.sealing import seal_all
from core.activity.unit import unit_of_work
from core.customers import actions, queries
from core.customers.importing.actions import stage_import, take_over
from core.customers.importing.profiles import Mapping
from core.customers.importing.steps import begin_step, take_step
from core.customers.listing import CUSTOMERS
from core.customers.schemas import ContactFields, LocationFields, NewCustomer, UserFields
from core.database import execute, value
from core.documents.files import store_file
from core.jobs.actions import enqueue
from core.jobs.kinds import Job, JobKind
from core.lists import views
from core.messages.actions import queue
from core.money import Money
from core.scope import Scope
from core.staff.actions import create_token
from core.staff.schemas import NewToken
from core.testing import TestTenant, all_permissions
from plugins.inventory import actions as inventory
from plugins.inventory.schemas import NewItem
from tests.messages import NOTICE, Notice
from tests.money_world import populate_money

MARKER = "Zyxwvut"
"""Stands in the name of every customer of the world: where it is read, a customer was seen."""
PARTITION = 1
ELSEWHERE = 2


class Nothing(Struct, frozen=True):
    """A payload that says nothing."""


async def do_nothing(scope: Scope, job: Job[Nothing]) -> None:
    """Work that is none."""


NOTHING = JobKind("world_nothing", Nothing, do_nothing)


@dataclass
class World:
    """Ids by the name of the path parameter that takes them."""

    ids: dict[str, object] = field(default_factory=dict)


async def populate(tenant: TestTenant) -> World:
    """One of everything, all of it belonging to one customer in partition 1."""
    world = World()
    scope = tenant.scope()
    customer_id = await actions.create_customer(
        scope,
        NewCustomer(
            full_name=f"{MARKER} Person",
            login="zyx",
            emails=[f"{MARKER.lower()}@example.com"],
            phones=["+353 1 555 0101"],
            street=f"1 {MARKER} Street",
            city="Dublin",
            country="IE",
        ),
    )
    async with unit_of_work(scope):
        await execute(
            "UPDATE customer SET partition_id = :partition WHERE id = :id", partition=PARTITION, id=customer_id
        )
    world.ids["customer_id"] = customer_id
    world.ids["note_id"] = await actions.add_note(scope, customer_id, f"{MARKER} rang")
    await actions.add_tag(scope, customer_id, "harbour")
    world.ids["tag_id"] = await value("SELECT id FROM tag")
    world.ids["list_key"] = "customers"
    world.ids["view_id"] = await views.create_view(
        scope, CUSTOMERS, views.ViewFields(name=f"{MARKER} and others", shared=True), {"q": MARKER}
    )
    await views.open_with(scope, "customers", int(str(world.ids["view_id"])))
    world.ids["location_id"] = await actions.add_location(scope, LocationFields(name="Harbour Row"))
    world.ids["key"] = "main"
    world.ids["contact_id"] = await actions.add_contact(
        scope, customer_id, ContactFields(first_name=MARKER, surname="Contact")
    )
    user_id = await actions.add_user(scope, customer_id, UserFields(surname=MARKER, email="zyx@example.com"))
    moved = UserFields(surname=MARKER, email="zyx@new.example")
    await actions.change_user(scope, customer_id, user_id, moved, version=1)
    await populate_money(tenant, world.ids, MARKER)
    status = (await queries.get_customer(scope, customer_id)).status
    wanted = "blocked" if status == "active" else "active"
    await actions.plan_status(scope, customer_id, wanted, scope.today() + timedelta(days=9))
    world.ids["planned_id"] = await value("SELECT id FROM planned_status")
    world.ids["series_kind"] = "invoice"
    world.ids["colour_sheet"] = "0b6b60.css"
    world.ids["logo_name"] = "logo-000000000000.png"
    world.ids["staff_id"] = await tenant.staff("Read only")
    world.ids["role_id"] = await value("SELECT id FROM role WHERE label = 'Support'")
    made = await create_token(scope, NewToken(name="world", permissions=["customers.view"]), all_permissions())
    world.ids["token_id"] = made.id
    world.ids["token"] = "no-such-link"
    world.ids["gateway"] = "testgateway"
    world.ids["session_id"] = 1
    world.ids["passkey_id"] = 1
    world.ids["item_id"] = await inventory.add_item(
        scope, NewItem(product="Router", vendor="Kestra", serial=f"{MARKER}-1", location="Store room")
    )
    await inventory.assign_item(scope, int(str(world.ids["item_id"])), customer_id)
    world.ids["model_id"] = world.ids["vendor_id"] = world.ids["place_id"] = world.ids["import_id"] = 1
    world.ids["deed"] = "return"
    world.ids["job_id"] = await enqueue(scope, NOTHING, Nothing())
    file = await store_file(
        scope, MARKER.encode(), name=f"{MARKER}.pdf", media_type="application/pdf", customer_id=customer_id
    )
    world.ids["file_id"] = file.id
    sample = Notice(name=f"{MARKER} Person", number="1", due_on=scope.today(), amount=Money(100, "EUR"))
    world.ids["message_id"] = await queue(
        scope, NOTICE, to=[f"{MARKER.lower()}@example.com"], fields=sample, customer_id=customer_id, documents=[file.id]
    )
    world.ids["kind"] = NOTICE.key
    world.ids["language"] = "en"
    await _import(scope, world)
    await _leftovers(tenant, scope, world)
    await seal_all(scope)
    world.ids["plugin_name"] = "inventory"
    world.ids["area"] = "company"
    world.ids["path"] = "none"
    world.ids["chapter_name"] = "operators"
    world.ids["file_path"] = "x/none"
    return world


async def _import(scope: Scope, world: World) -> None:
    """Two imports: one that was taken over, its balance booked, and one that waits."""
    with TemporaryDirectory() as folder:
        batches = []
        for name in ("Taken", "Waiting"):
            file = Path(folder) / f"{name}.csv"
            file.write_text(
                f"Full name,Email,Notes,Balance\n{MARKER} {name},{name.lower()}@import.example,Rang,5.00\n", "utf-8"
            )
            staged = await stage_import(scope, file, Mapping())
            assert staged.batch is not None
            batches.append(staged.batch)
    await take_over(scope, batches[0], mode="skip-bad")
    await begin_step(scope, batches[0], "openings")
    await take_step(scope, batches[0], "openings")
    world.ids["batch_id"] = batches[1]
    async with unit_of_work(scope):
        await execute("UPDATE customer SET partition_id = :partition WHERE partition_id IS NULL", partition=PARTITION)


async def _leftovers(tenant: TestTenant, scope: Scope, world: World) -> None:
    """Rows that only machinery makes: a session, a kept answer, a reader of the log, a schedule."""
    await tenant.browser()
    async with unit_of_work(scope):
        await execute(
            "INSERT INTO idempotency (actor, route, key, body_hash, status, answer, created_at)"
            " VALUES ('token:1', 'POST /x', 'k', '', 201, :answer, :now)",
            answer=f'"{MARKER}"',
            now=scope.now(),
        )
        await enable_reader(scope, "inventory")
        await execute(
            "INSERT INTO delivery_parked (reader, position, error, failures, parked_at)"
            " VALUES ('inventory', 1, 'broken', 3, :now)",
            now=scope.now(),
        )
        await execute(
            "INSERT INTO inventory_import (state, file_name, made_by, created_at)"
            " VALUES ('done', :marker, 'world', :now)",
            marker=f"{MARKER}.csv",
            now=scope.now(),
        )
        await execute(
            "INSERT INTO portal_user (contact_id, customer_id, password_hash, password_set_at)"
            " SELECT id, customer_id, 'hash', :now FROM contact WHERE is_user",
            now=scope.now(),
        )
        await execute(
            "INSERT INTO online_payment (payment_id, gateway, key, documents, begun_by)"
            " VALUES (:id, 'testgateway', 'world', '[]', 'world')",
            id=world.ids["payment_id"],
        )
        await execute(
            "INSERT INTO gateway_event (gateway, event_id, payment_id, kind, state, received_at)"
            " VALUES ('testgateway', 'world', :id, 'payment', 'received', :now)",
            id=world.ids["payment_id"],
            now=scope.now(),
        )
        await execute(
            "INSERT INTO gateway_payout (gateway, event_id, currency, amount_minor, paid_on)"
            " VALUES ('testgateway', 'world', 'EUR', 1, :today)",
            today=scope.today(),
        )
        till_id = await value(
            "INSERT INTO testgateway_payment (token, order_key, amount_minor, currency, text, back, state, created_at)"
            " VALUES ('world', 'world', 1, 'EUR', '', '/', 'open', :now) RETURNING id",
            now=scope.now(),
        )
        await execute(
            "INSERT INTO testgateway_refund (order_key, payment_id, amount_minor) VALUES ('world', :id, 1)", id=till_id
        )
        for insert in (
            "INSERT INTO portal_link (customer_id, token_hash, created_at, expires_at)"
            " VALUES (:customer_id, 'hash', :now, :now)",
            "INSERT INTO portal_visit (customer_id, staff_id, begun_at, ends_at)"
            " VALUES (:customer_id, :staff_id, :now, :now)",
        ):
            await execute(insert, customer_id=world.ids["customer_id"], staff_id=world.ids["staff_id"], now=scope.now())
        await execute(
            "INSERT INTO document_vat_check (document_id, vat_check_id) SELECT :id, max(id) FROM vat_check",
            id=world.ids["invoice_id"],
        )
        await execute("INSERT INTO recovery_code (staff_id, code_hash) VALUES (:id, 'hash')", id=world.ids["staff_id"])
        await execute(
            "INSERT INTO passkey (id, staff_id, name, credential_id, public_key, created_at)"
            " VALUES (1, :id, 'Phone', 'credential', 'key', :now)",
            id=world.ids["staff_id"],
            now=scope.now(),
        )
        await execute(
            "INSERT INTO passkey_challenge (challenge_hash, purpose, expires_at) VALUES ('hash', 'log-in', :now)",
            now=scope.now(),
        )
        await execute("INSERT INTO schedule_due (name, next_at) VALUES ('world', :now)", now=scope.now())
        run_id = await value(
            "INSERT INTO bulk_run (listing, action, state, total, made_by, created_at)"
            " VALUES ('customers', 'customers.enable', 'done', 1, 'staff:1', :now) RETURNING id",
            now=scope.now(),
        )
        await execute("INSERT INTO bulk_row (run_id, row_id, state) VALUES (:run, 1, 'done')", run=run_id)
    world.ids["bulk_id"] = run_id
