"""The isolation matrix: every route, asked by all who must not be let in; every table, read by who must not see it.

It is made from the route table and from the tables of the core, so that what is new is in it by itself: a route with a
path parameter that `tests/world.py` does not fill fails, and so does a table without a row there.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from piccolo.table import Table

from core.activity.unit import unit_of_work
from core.app import migrations_of
from core.billing.tables import Document
from core.customers.actions import create_customer
from core.customers.schemas import NewCustomer
from core.customers.tables import Customer
from core.database import (
    SHARED,
    STAFF_ONLY,
    Everything,
    OneCustomer,
    Partitions,
    bind,
    declaration_faults,
    execute,
    scoped,
    value,
)
from core.database import belonging as belonging_module
from core.scope import ALL_PERMISSIONS, Actor
from core.staff import queries as staff_queries
from core.testing import TestTenant, application, installed, tenant_on
from core.web.routing import PUBLIC, SIGNED_IN, http_handlers
from tests.databases import KINDS, fresh
from tests.tables import all_tables
from tests.world import ELSEWHERE, MARKER, PARTITION, World, populate

ROUTES = sorted(
    {
        (method, path, handler.opt.get("permission", PUBLIC), handler.opt.get("plugin"))
        for method, path, handler in http_handlers(application())
    },
    key=str,
)
PLUGINS = ("inventory", "portal", "testgateway")
"""Plugins that are on: the matrix holds their routes and tables too."""
ASKED = [
    (method, path, permission) for method, path, permission, plugin in ROUTES if plugin is None or plugin in PLUGINS
]

BODIES: dict[tuple[str, str], dict[str, object]] = {
    ("PUT", "/customers/{customer_id:int}/sections/{key:str}"): {"version": "1", "full_name": "New name"},
    ("POST", "/customers/{customer_id:int}/status"): {"status": "active"},
    ("POST", "/customers/{customer_id:int}/notes"): {"text": "x"},
    ("POST", "/customers/{customer_id:int}/tags"): {"name": "x"},
    ("PUT", "/api/v1/customers/{customer_id:int}/hierarchy"): {"version": 1},
    ("POST", "/api/v1/customers/{customer_id:int}/tags"): {"name": "x"},
    ("PUT", "/customers/{customer_id:int}/notes/{note_id:int}"): {"version": "1", "text": "x"},
    ("PUT", "/api/v1/customers/{customer_id:int}/notes/{note_id:int}"): {"version": 1, "text": "x"},
    ("PUT", "/api/v1/customers/{customer_id:int}/notes/{note_id:int}/pinned"): {"pinned": True},
    ("POST", "/customers/{customer_id:int}/users"): {"surname": "x", "email": "x@example.com"},
    ("POST", "/customers/{customer_id:int}/contacts"): {"surname": "x"},
    ("POST", "/api/v1/customers/{customer_id:int}/users"): {"surname": "x", "email": "x@example.com"},
    ("PUT", "/api/v1/customers/{customer_id:int}/users/{contact_id:int}"): {"version": 1, "email": "x@example.com"},
    ("POST", "/api/v1/customers/{customer_id:int}/contacts"): {"surname": "x"},
    ("PUT", "/api/v1/customers/{customer_id:int}/contacts/{contact_id:int}"): {"version": 1, "surname": "x"},
    ("PUT", "/api/v1/customers/{customer_id:int}/password"): {"password": "harbour-lantern"},
    ("PATCH", "/api/v1/customers/{customer_id:int}"): {"version": 1, "address": {"street": "x"}},
    ("POST", "/api/v1/customers/{customer_id:int}/anonymisation"): {"name": "Zyxwvut Person"},
    ("POST", "/api/v1/customers/{customer_id:int}/status"): {"status": "active"},
    ("POST", "/api/v1/customers/{customer_id:int}/notes"): {"text": "x"},
    ("PUT", "/api/v1/customer-imports/{batch_id:int}/mapping"): {"status": "new"},
    ("POST", "/api/v1/customer-imports/{batch_id:int}/start"): {"mode": "skip-bad"},
    ("POST", "/api/v1/inventory/items/{item_id:int}/assignment"): {"customer_id": 1},
    ("PUT", "/api/v1/inventory/items/{item_id:int}"): {"version": 1, "serial": "x"},
    ("PATCH", "/api/v1/invoices/{invoice_id:int}"): {"version": 1},
    ("POST", "/api/v1/invoices/{invoice_id:int}/credit-notes"): {"reason": "x"},
    ("POST", "/api/v1/invoices/{invoice_id:int}/void"): {"reason": "x"},
    ("POST", "/api/v1/subscriptions/{subscription_id:int}/pause"): {"to_on": "2030-01-01"},
    ("PUT", "/api/v1/customers/{customer_id:int}/billing-day"): {"billing_day": 15},
    ("POST", "/api/v1/invoices/{invoice_id:int}/reissue"): {"reason": "x"},
    ("POST", "/api/v1/invoices/{invoice_id:int}/tax-relief"): {"reason": "x"},
    ("POST", "/api/v1/payments/{payment_id:int}/assignment"): {"payer_id": 1},
    ("POST", "/api/v1/customers/{customer_id:int}/credit/transfers"): {"to_customer_id": 1, "reason": "x"},
    ("POST", "/api/v1/customers/{customer_id:int}/credit-notes"): {
        "reason": "x",
        "lines": [{"description": "x", "rate_ppm": 0, "net_minor": 1}],
    },
    ("POST", "/api/v1/invoices/{invoice_id:int}/write-off"): {"reason": "x"},
    ("POST", "/api/v1/payments/{payment_id:int}/payback"): {"reason": "x"},
    ("POST", "/api/v1/payments/{payment_id:int}/settlement"): {"reason": "x"},
    ("POST", "/api/v1/payments/{payment_id:int}/giving-up"): {"reason": "x"},
    ("PUT", "/api/v1/invoices/{invoice_id:int}/promise"): {"until_on": "2026-11-30"},
    ("PUT", "/api/v1/invoices/{invoice_id:int}/dispute"): {"reason": "x"},
    ("POST", "/api/v1/invoices/{invoice_id:int}/dispute/closing"): {"answer": "x"},
    ("PUT", "/api/v1/dunning/steps/{step_id:int}"): {"days": 3},
    ("POST", "/api/v1/customers/{customer_id:int}/fx-rates"): {
        "from_currency": "USD",
        "valid_from": "2026-11-22",
        "rate_e10": 1,
    },
    ("POST", "/api/v1/customers/{customer_id:int}/vat-checks"): {"valid": True},
    ("POST", "/api/v1/customers/{customer_id:int}/credit"): {"amount_minor": 1, "reason": "x"},
    ("POST", "/api/v1/customers/{customer_id:int}/credit/{credit_id:int}/reversal"): {"reason": "x"},
}
"""What must be sent for the route to come as far as looking for the row."""

OWNED = frozenset(
    {
        "customer_id",
        "note_id",
        "contact_id",
        "planned_id",
        "item_id",
        "subscription_id",
        "charge_id",
        "invoice_id",
        "draft_id",
        "credit_note_id",
        "payment_id",
        "allocation_id",
    }
)
"""Path parameters that name a row which belongs to a customer."""


@pytest.fixture(scope="module", params=KINDS)
async def matrix(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[TestTenant, World, TestTenant]]:
    """A tenant with one of everything, and another tenant."""
    folder = tmp_path_factory.mktemp("matrix")
    async with (
        fresh(request.param, folder, migrations_of(installed(), PLUGINS)) as one,
        fresh(request.param, folder, migrations_of(installed(), PLUGINS)) as other,
    ):
        async with tenant_on(one, plugins=PLUGINS, folder=folder) as tenant:
            world = await populate(tenant)
            here = tenant
        async with tenant_on(other, plugins=PLUGINS) as elsewhere:
            pass
        yield here, world, elsewhere


def filled(path: str, world: World) -> str:
    """The path with the world's ids. A parameter that the world does not know is a fault of the world."""

    def place(match: re.Match[str]) -> str:
        name = match[1]
        assert name in world.ids, f"{path}: tests/world.py has nothing for the path parameter {name}"
        return str(world.ids[name])

    return re.sub(r"\{(\w+):\w+\}", place, path)


def asked(method: str, path: str, world: World) -> dict[str, object]:
    body = BODIES.get((method, path), {})
    options: dict[str, object] = {"method": method, "url": filled(path, world)}
    if method != "GET":
        options["json" if path.startswith("/api/") else "data"] = body
    return options


def is_refused_as_unknown(path: str, answer: httpx.Response) -> bool:
    if path.startswith("/api/"):
        return answer.status_code == 401
    log_in = "/portal/login" if is_behind_the_door(path) else "/login"
    return answer.status_code == 303 and answer.headers["location"].startswith(log_in)


def is_behind_the_door(path: str) -> bool:
    """Whether it is a page for customers, where the staff's cookie is not looked at."""
    return re.match(r"/portal(/|$)", path) is not None and not path.startswith("/portal/staff/")


@pytest.mark.parametrize(("method", "path", "permission"), ASKED)
async def test_nobody_gets_in_without_a_log_in(
    matrix: tuple[TestTenant, World, TestTenant], method: str, path: str, permission: str
) -> None:
    tenant, world, elsewhere = matrix
    with bind(tenant.database):
        anonymous = await tenant.anonymous().request(**asked(method, path, world))  # type: ignore[arg-type]
    with bind(elsewhere.database):
        foreign = await elsewhere.browser()
        token = await elsewhere.api()
    client = tenant.anonymous()
    client.headers.update(foreign.headers)
    client.cookies.update(foreign.cookies)
    bearer = tenant.anonymous()
    bearer.headers["authorization"] = token.headers["authorization"]
    with bind(tenant.database):
        by_cookie = await client.request(**asked(method, path, world))  # type: ignore[arg-type]
        by_token = await bearer.request(**asked(method, path, world))  # type: ignore[arg-type]

    for answer in (anonymous, by_cookie, by_token):
        assert MARKER not in answer.text
        if permission == PUBLIC:
            assert answer.status_code < 500
        else:
            assert is_refused_as_unknown(path, answer), (answer.status_code, answer.text[:300])


@pytest.mark.parametrize(("method", "path", "permission"), [one for one in ASKED if one[2] not in (PUBLIC, SIGNED_IN)])
async def test_a_role_without_the_permission_is_refused(
    matrix: tuple[TestTenant, World, TestTenant], method: str, path: str, permission: str
) -> None:
    tenant, world, _ = matrix
    with bind(tenant.database):
        client = (
            await tenant.api(())
            if path.startswith("/api/")
            else await tenant.browser(staff_id=await tenant.staff_with(()))
        )
        answer = await client.request(**asked(method, path, world))  # type: ignore[arg-type]

    assert answer.status_code == 403, (answer.status_code, answer.text[:300])
    assert MARKER not in answer.text


@pytest.fixture
def restricted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Staff and tokens with every permission that reach another partition only, as a reseller's people do."""
    reach = Partitions((ELSEWHERE,))

    async def token(text: str, now: object) -> Actor:
        return Actor("token", 1, "Reseller", reach, ALL_PERMISSIONS)

    monkeypatch.setattr(
        staff_queries, "actor_of", lambda known: Actor("staff", known.id, known.name, reach, ALL_PERMISSIONS)
    )
    monkeypatch.setattr(staff_queries, "find_token_actor", token)


async def ask_restricted(tenant: TestTenant, world: World, method: str, path: str) -> httpx.Response:
    with bind(tenant.database):
        client = await tenant.api() if path.startswith("/api/") else await tenant.browser()
        return await client.request(**asked(method, path, world))  # type: ignore[arg-type]


@pytest.mark.parametrize(("method", "path", "permission"), ASKED)
@pytest.mark.usefixtures("restricted")
async def test_another_resellers_people_find_nothing(
    matrix: tuple[TestTenant, World, TestTenant], method: str, path: str, permission: str
) -> None:
    tenant, world, _ = matrix

    answer = await ask_restricted(tenant, world, method, path)

    assert MARKER not in answer.text
    assert answer.status_code < 500, answer.text[:300]
    if is_behind_the_door(path):
        assert permission == PUBLIC or is_refused_as_unknown(path, answer)
    elif set(re.findall(r"\{(\w+):\w+\}", path)) & OWNED:
        assert answer.status_code == 404, (answer.status_code, answer.text[:300])


STRANGER = 4711
"""The id of a customer that has nothing."""
IN_THE_PORTAL = [one for one in ASKED if is_behind_the_door(one[1])]


async def ask_in_the_portal(
    tenant: TestTenant, world: World, customer_id: int, method: str, path: str
) -> httpx.Response:
    """As the customer who logged in, with ids of what belongs to the world's own."""
    with bind(tenant.database):
        async with unit_of_work(tenant.scope()):
            await execute(
                "UPDATE customer SET password_hash = 'set', status_id = (SELECT id FROM status WHERE key = 'active')"
                " WHERE id = :id",
                id=customer_id,
            )
        client = await tenant.behind("portal", "customer", customer_id)
        return await client.request(**asked(method, path, world))  # type: ignore[arg-type]


async def stranger_in(tenant: TestTenant) -> int:
    """A customer in nobody's partition, who has nothing."""
    with bind(tenant.database):
        known = await value("SELECT id FROM customer WHERE login_key = 'stranger'")
        if known is not None:
            return int(known)
        return await create_customer(tenant.scope(), NewCustomer(full_name="Some Stranger", login="stranger"))


@pytest.mark.parametrize(("method", "path", "permission"), IN_THE_PORTAL)
async def test_another_customer_finds_nothing_in_the_portal(
    matrix: tuple[TestTenant, World, TestTenant], method: str, path: str, permission: str
) -> None:
    tenant, world, _ = matrix

    answer = await ask_in_the_portal(tenant, world, await stranger_in(tenant), method, path)

    assert MARKER not in answer.text
    assert answer.status_code < 500, answer.text[:300]
    if set(re.findall(r"\{(\w+):\w+\}", path)) & {*OWNED, "message_id", "file_id"}:
        assert answer.status_code == 404, (answer.status_code, answer.text[:300])


@pytest.mark.parametrize(
    ("method", "path", "permission"), [one for one in ASKED if not is_behind_the_door(one[1]) and one[2] != PUBLIC]
)
async def test_a_customer_in_the_portal_is_nobody_anywhere_else(
    matrix: tuple[TestTenant, World, TestTenant], method: str, path: str, permission: str
) -> None:
    tenant, world, _ = matrix

    answer = await ask_in_the_portal(tenant, world, int(str(world.ids["customer_id"])), method, path)

    assert is_refused_as_unknown(path, answer), (answer.status_code, answer.text[:300])
    assert MARKER not in answer.text


async def test_the_matrix_catches_a_portal_whose_scope_is_switched_off(
    matrix: tuple[TestTenant, World, TestTenant], monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, world, _ = matrix
    stranger = await stranger_in(tenant)
    told_truly = belonging_module.belonging

    monkeypatch.setattr(belonging_module, "belonging", lambda one: SHARED if one is Document else told_truly(one))

    answer = await ask_in_the_portal(tenant, world, stranger, "GET", "/portal/invoices/{invoice_id:int}")

    assert answer.status_code == 200, "with the scope of documents switched off the page should have shown it"


async def test_the_matrix_catches_a_table_whose_scope_is_switched_off(
    matrix: tuple[TestTenant, World, TestTenant], restricted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, world, _ = matrix
    told_truly = belonging_module.belonging
    monkeypatch.setattr(belonging_module, "belonging", lambda table: SHARED if table is Customer else told_truly(table))

    leaks = [
        (method, path)
        for method, path, _ in ASKED
        if method == "GET" and "{customer_id:int}" in path and not path.endswith("/events")
        if (await ask_restricted(tenant, world, method, path)).status_code != 404
    ]

    assert leaks, "with the scope of customers switched off every page should have shown them"


@pytest.mark.parametrize("table", all_tables(), ids=lambda table: table.__name__)
async def test_a_table_shows_a_row_to_its_own_reseller_and_to_no_other(
    matrix: tuple[TestTenant, World, TestTenant], table: type[Table], monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, _, _ = matrix
    told_truly = belonging_module.belonging
    says = told_truly(table)

    def scope_of(reach: object) -> object:
        return replace(tenant.scope(), actor=Actor("staff", 1, "x", reach, ALL_PERMISSIONS))  # type: ignore[arg-type]

    with bind(tenant.database):
        rows = await scoped(table, scope_of(Everything())).count()  # type: ignore[arg-type]
        own = await scoped(table, scope_of(Partitions((PARTITION,)))).count()  # type: ignore[arg-type]
        other = await scoped(table, scope_of(Partitions((ELSEWHERE,)))).count()  # type: ignore[arg-type]
        monkeypatch.setattr(belonging_module, "belonging", lambda one: SHARED)
        switched_off = await scoped(table, scope_of(Partitions((ELSEWHERE,)))).count()  # type: ignore[arg-type]

    if says is SHARED:
        assert own == other == rows
        return
    with bind(tenant.database):
        monkeypatch.setattr(belonging_module, "belonging", lambda one: says if one is table else told_truly(one))
        stranger = await scoped(table, scope_of(OneCustomer(STRANGER))).count()  # type: ignore[arg-type]
    assert stranger == 0, "a customer in the portal sees what is its own"
    assert other == 0
    assert switched_off == rows
    if table.__name__ in WITHOUT_A_ROW:
        return
    assert rows, f"tests/world.py makes no row of {table.__name__}: the matrix proves nothing of it"
    if says is STAFF_ONLY:
        assert own == 0
    else:
        assert 0 < own <= rows, "rows about no customer are seen by unrestricted staff only"


WITHOUT_A_ROW: frozenset[str] = frozenset()
"""Tables of which the world has none. Each is a gap of the matrix."""


def test_every_table_says_how_it_belongs_to_a_customer() -> None:
    assert declaration_faults(all_tables()) == []
