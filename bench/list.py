"""The list of customers at a million of them: what a page takes on the server, each way that staff ask for it."""

from __future__ import annotations

import gc
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import asyncpg
from jinja2 import Environment
from litestar import Litestar, Response, get
from msgspec import Struct

from bench.harness import Options, Row, at_least_share, at_most, percentile
from core.app import surrounded
from core.customers.listing import CUSTOMERS, list_choices
from core.database import (
    Partitions,
    PostgresDatabase,
    SqliteDatabase,
    dialect,
    execute,
    row,
    transaction,
    value,
    watched,
)
from core.ids import sort_key
from core.ledger.queries import MAIN_BALANCE
from core.scope import ALL_PERMISSIONS, Actor
from core.testing import MIGRATIONS, application, tenant_on
from core.web.jsonapi import encode_cursor
from core.web.visit import bind_in
from tests.databases import OWNER, define, dsn, fresh
from tests.postgres import ENVIRONMENT, start_cluster

if TYPE_CHECKING:
    import httpx

    from core.scope import Scope
    from core.testing import TestTenant

LIST: Final = CUSTOMERS.having(MAIN_BALANCE)
CUSTOMERS_THERE: Final = 1_000_000
CHUNK: Final = 50_000
PARENTS: Final = 20_000
"""The first customers, below whom others stand."""
LOCATIONS: Final = 60
DEEP: Final = 50_000
"""Rows before the deep page: a thousand pages."""
TIMES: Final = 60
P50, P99 = 15, 60
FIRST: Final = (
    "Anna", "Jörg", "Maria", "Peter", "Siobhán", "Thomas", "Eva", "Michael", "Zoë", "Lukas", "Sofie", "Jan",
    "Petra", "Karl", "Ute", "Łukasz", "Ágnes", "Nils", "Mia", "Otto", "Olga", "Ivan", "Birgit", "Uwe", "Heidi",
    "Kurt", "Ines", "Emil", "Rosa", "Franz", "Lena", "Hugo", "Ida", "Max", "Nora", "Paul", "Vera", "Rolf", "Jana",
    "Ole",
)  # fmt: skip
BEGINNINGS: Final = (
    "Müll", "Schmid", "Kavan", "Nowa", "Fisch", "Web", "Mey", "Wagn", "Beck", "Hoff", "Kow", "Szab", "Tóth",
    "Novák", "Ols", "Jans", "Lind", "Berg", "Roth", "Klein",
)  # fmt: skip
ENDINGS: Final = (
    "er", "t", "agh", "k", "mann", "ler", "ström", "feld", "huber", "bauer", "ski", "ó", "sen", "son", "qvist",
)  # fmt: skip
CITIES: Final = (
    "Wien", "Köln", "Graz", "Linz", "Győr", "Łódź", "Zürich", "Bonn", "Ulm", "Kiel", "Dresden", "Brno", "Cork",
    "Galway", "Malmö", "Oslo", "Turin", "Lyon", "Gent", "Bern",
)  # fmt: skip
SEARCHES: Final = (
    "anna", "mull", "jorg muller", "kavanagh", "u4711", "zoe nowa", "u99", "+43 664 5551", "schmidt wien", "12345",
    "szabo", "u77@mail27", "zurich", "hauptstrasse 17", "ol", "firma 30", "664 5550", "nothinglikeit",
)  # fmt: skip
FILTERS: Final[Mapping[str, Sequence[Mapping[str, str]]]] = {
    "a text anywhere": (
        *({"name.has": text} for text in ("anna", "kavanagh", "qvist", "zoe", "nobody")),
        *({"login.has": text} for text in ("u4711", "999999")),
        *({"email.has": text} for text in ("mail27", "u4711@")),
        *({"phone.has": text} for text in ("5550", "000111")),
        *({"city.has": text} for text in ("wien", "malm", "nowhere")),
        *({"company.has": text} for text in ("firma 30", "gmbh")),
        *({"street.has": text} for text in ("17", "nowhere")),
        {"zip.has": "1234"},
        {"reference.has": "x"},
    ),
    "a choice, empty or not": (
        *({"country.has": text} for text in ("AT", "DE")),
        *({"currency.has": text} for text in ("EUR", "USD")),
        *({"billing_type": text} for text in ("recurring", "prepaid")),
        *(
            {f"{column}.empty": text}
            for column in ("name", "phone", "email", "city", "company", "location", "parent", "tags", "login", "zip")
            for text in ("yes", "no")
        ),
    ),
    "a number, an amount, a day": (
        {"id": "4711"},
        {"id.from": "500000"},
        {"id.to": "50"},
        *({"services": text} for text in ("0", "4")),
        *({"services.from": text} for text in ("3", "9")),
        *({"balance.to": text} for text in ("-150", "-199")),
        {"balance": "0"},
        {"balance.from": "5"},
        {"balance.from": "7", "balance.to": "8"},
        {"joined": "2020-03-05"},
        {"joined.to": "2012-02-01"},
        {"joined.from": "today-30"},
    ),
}
"""Each of them is asked for by itself."""
PAIRS: Final[Mapping[str, Mapping[str, str]]] = {
    "status blocked by joined": {"status": "blocked", "sort": "-joined"},
    "status active by balance": {"status": "active", "sort": "balance"},
    "status blocked by balance": {"status": "blocked", "sort": "balance"},
    "joined in March by balance": {"joined.from": "2020-03-01", "joined.to": "2020-03-31", "sort": "balance"},
    "joined in March, status active": {"joined.from": "2020-03-01", "joined.to": "2020-03-31", "status": "active"},
    "city wien, status active": {"city.has": "wien", "status": "active"},
    "balance to -100, status active": {"balance.to": "-100", "status": "active"},
    "services 0, status active": {"services": "0", "status": "active"},
    "search anna, status active": {"q": "anna", "status": "active"},
    "search wien by joined": {"q": "wien", "sort": "-joined"},
}


async def run(options: Options) -> list[Row]:
    many = options.sizes[0] if options.sizes else CUSTOMERS_THERE
    found: list[Row] = []
    for kind in options.databases:
        if kind == "postgresql":
            os.environ[ENVIRONMENT] = start_cluster("bench", durable=True)
        async with (
            fresh(kind, options.folder, list(MIGRATIONS)) as database,
            tenant_on(database, folder=options.folder) as tenant,
        ):
            began = perf_counter()
            await fill(tenant, many)
            options.say(f"{kind}: {many:,} customers made in {perf_counter() - began:.0f} s")
            found += await _measured(options, tenant, kind, many)
    return found


def _picked(of: Sequence[str], number: str) -> str:
    return f"CASE {number} " + " ".join(f"WHEN {at} THEN '{text}'" for at, text in enumerate(of)) + " END"


def _bare(text: str) -> str:
    """As `sort_key` writes these names."""
    for letter, plain in zip("üöóéáëőłźřßŁÁäę", "uooeaeolzr?laae", strict=True):
        text = f"replace({text}, '{letter}', '{plain}')"
    return f"lower({text})"


async def fill(tenant: TestTenant, many: int) -> None:
    """Names, cities and dates as unevenly spread as they are; a quarter belongs to reseller 1, a twentieth to 2. Two
    thirds are at a location, half of these at the first of them; each eleventh stands below another."""
    days = "date('2012-01-01', '+' || d || ' days')" if dialect() == "sqlite" else "date '2012-01-01' + d::integer"
    draw = f"""
    WITH RECURSIVE n(i) AS (SELECT :start::bigint UNION ALL SELECT i + 1 FROM n WHERE i < :end),
    drawn AS (
        SELECT i, (i * 7919 % 1009) * (i * 7919 % 1009) * {len(FIRST)} / (1009 * 1009) AS f,
               (i * 104729 % 10007) * (i * 104729 % 10007) * {len(BEGINNINGS)} / (10007 * 10007) AS b,
               i * 31337 % 9973 % {len(ENDINGS)} AS e,
               (i * 27644437 % 1013) * (i * 27644437 % 1013) * {len(CITIES)} / (1013 * 1013) AS c,
               (i * 48271 % 5303) AS d, i * 69621 % 2003 % 1000 AS s, i * 16807 % 3001 % 100 AS p FROM n),
    named AS (
        SELECT i, d, s, p, {_picked(CITIES, "c")} AS city,
               {_picked(FIRST, "f")} || ' ' || {_picked(BEGINNINGS, "b")} || {_picked(ENDINGS, "e")} AS name FROM drawn)
    """
    pieces = ""
    if isinstance(tenant.database, SqliteDatabase):  # else the fill is what takes the time, not the list
        async with tenant.database.writer() as writer:
            writer.execute("PRAGMA cache_size = -2000000")
    else:
        pieces = await value("SELECT indexdef FROM pg_indexes WHERE indexname = 'customer_pieces'")
        await define("DROP INDEX customer_search_words, customer_pieces")
    parents = min(PARENTS, many // 10)
    async with transaction():
        for number in range(1, LOCATIONS + 1):
            name = f"{ENDINGS[number % len(ENDINGS)]} {number * 37 % 101}"
            await execute("INSERT INTO location (name, name_key) VALUES (:name, :key)", name=name, key=sort_key(name))
    starts = [1, *range(parents + 1, many + 1, CHUNK)]
    for start, following in zip(starts, [*starts[1:], many + 1], strict=True):
        async with transaction():
            await execute(
                "INSERT INTO customer (full_name, name_key, company, login, login_key, email_key, phone_e164, street,"
                " zip, city, city_key, country, partition_id, status_id, currency, live_subscriptions, joined_on,"
                f" created_at, location_id, parent_id) {draw} SELECT name, {_bare('name')},"
                " CASE WHEN i % 5 = 0 THEN 'Firma ' || (i % 400) || ' GmbH' ELSE '' END,"
                " 'u' || i, 'u' || i, 'u' || i || '@mail' || (i % 50) || '.example',"
                " CASE WHEN i % 10 < 7 THEN '+43664' || (5550000 + i % 99991) ELSE '' END, 'Hauptstraße ' || (i % 200),"
                f" '' || (1000 + i % 8999), city, {_bare('city')}, 'AT',"
                " CASE WHEN p < 25 THEN 1 WHEN p < 30 THEN 2 ELSE NULL END,"
                " CASE WHEN s < 700 THEN 2 WHEN s < 850 THEN 3 WHEN s < 998 THEN 1 ELSE 7 END, 'EUR', s % 5,"
                f" {days}, :now::timestamptz,"
                f" CASE WHEN i % 3 > 0 THEN 1 + (i * 611953 % 1009) * (i * 611953 % 1009) * {LOCATIONS} / (1009 * 1009)"
                " END, CASE WHEN i > :parents AND i % 11 = 0 THEN 1 + i * 7919 % :parents END FROM named",
                start=start,
                end=following - 1,
                parents=parents,
                now=tenant.clock.now(),
            )
    async with transaction():
        await execute(
            "INSERT INTO customer_address (customer_id, kind, position, value, value_key)"
            " SELECT id, 'email', 0, email_key, email_key FROM customer"
        )
        await execute(
            "UPDATE customer_balance SET receivable_minor = customer_id * 7919 % 20011,"
            " credit_minor = customer_id % 977 WHERE customer_id % 3 = 0"
        )
    if dialect() == "postgresql":
        await define("CREATE INDEX customer_search_words ON customer_search USING gin (customer_search_words(text))")
        await define(pieces)
        assert isinstance(tenant.database, PostgresDatabase)
        connection = await asyncpg.connect(dsn(tenant.database.server.name, OWNER))
        try:
            await connection.execute("VACUUM ANALYZE")
        finally:
            await connection.close()
    else:
        assert isinstance(tenant.database, SqliteDatabase)
        await tenant.database.discard_writer()
        await define("ANALYZE")
        await tenant.database.close()  # who opens it again keeps more of so large a file


class _At(Struct, frozen=True):
    at: Any
    id: int


async def _measured(options: Options, tenant: TestTenant, kind: str, many: int) -> list[Row]:
    found: list[Row] = []
    staff = await tenant.browser()
    await staff.get("/customers")  # which builds the application
    gc.freeze()  # all that stays, as where it is served
    deep = min(DEEP, many // 2)

    def told(what: str, took: Sequence[float]) -> None:
        found.append(at_most(f"{what}, p50", kind, percentile(took, 50), "ms", P50))
        found.append(at_most(f"{what}, p99", kind, percentile(took, 99), "ms", P99))
        worst = max(range(len(took)), key=took.__getitem__)
        halves = f"{min(took):.1f} / {percentile(took, 50):.1f} / {percentile(took, 99):.1f} ms"
        options.say(f"  {what}: fastest, p50, p99 {halves}, slowest no. {worst + 1}")

    async def measure(what: str, client: httpx.AsyncClient, addresses: Sequence[Mapping[str, str]]) -> None:
        took = [await _timed(tenant, client, f"/customers?{urlencode(one)}") for one in _over(addresses)]
        told(what, took)

    await measure("first page", staff, [{}])
    for column in [one for one in LIST.columns if one.sorts and (one.is_carried or one.groups)]:
        await measure(f"by {column.key}, first page", staff, [{"sort": f"{sign}{column.key}"} for sign in ("", "-")])
        at = await row(
            _At,
            f"SELECT {column.order} AS at, {column.tie or 'customer.id'} AS id FROM customer {column.join}"
            f" ORDER BY {column.order}, {column.tie or 'customer.id'} LIMIT 1 OFFSET {deep}",
        )
        assert at is not None
        cursor = encode_cursor(column.key, at.at, at.id)
        await measure(
            f"by {column.key}, {deep // 50:,} pages in",
            staff,
            [{"sort": column.key, way: cursor} for way in ("after", "before")],
        )
    await measure("search", staff, [{"q": text} for text in SEARCHES])
    await measure("search, by balance", staff, [{"q": text, "sort": "-balance"} for text in SEARCHES])
    took = [await _timed(tenant, staff, f"/search?{urlencode(one)}") for one in _over([{"q": q} for q in SEARCHES])]
    told("search on top of every page", took)
    for status in ("active", "new", "terminated"):
        await measure(f"status {status}", staff, [{"status": status}])
    months = [f"2020-{month:02}" for month in range(1, 13)]
    spans = [{"joined.from": f"{month}-01", "joined.to": f"{month}-28"} for month in months]
    await measure("joined in a month", staff, spans)
    for what, addresses in FILTERS.items():
        await measure(what, staff, addresses)
    for what, address in PAIRS.items():
        await measure(what, staff, [address])
    for partition, share in ((1, "a quarter"), (2, "a twentieth")):
        scope = tenant.scope(actor=Actor("staff", 1, "Reseller", Partitions((partition,)), ALL_PERMISSIONS))
        for what, asked in (
            ("first page", [{}]),
            ("by joined", [{"sort": "-joined"}]),
            ("by balance", [{"sort": "balance"}, {"sort": "-balance"}]),
            ("status new", [{"status": "new"}]),
            ("search", [{"q": text} for text in SEARCHES]),
            ("a text anywhere", FILTERS["a text anywhere"]),
        ):
            took = [await _read(scope, one) for one in _over(asked)]
            told(f"reach of {share}, {what}, without the page", took)
    customers = [str(1 + number * 7919 % many) for number in range(TIMES)]
    took = [await _timed(tenant, staff, f"/customers/{one}") for one in customers]
    found.append(at_most("customer page, p50", kind, percentile(took, 50), "ms", 25))
    with watched() as statements:
        await _timed(tenant, staff, f"/customers/{customers[0]}")
    found.append(at_most("customer page, queries", kind, len(statements), "queries", 12))
    found.append(await _against_bare(tenant, staff, kind))
    return found


async def _read(scope: Scope, address: Mapping[str, str]) -> float:
    began = perf_counter()
    await LIST.read(scope, address, choices=await list_choices())
    return (perf_counter() - began) * 1000


def _over(addresses: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Each of them, again and again; the first round is not told apart: it is what the first to ask waits."""
    return [addresses[number % len(addresses)] for number in range(TIMES)]


async def _timed(tenant: TestTenant, client: httpx.AsyncClient, address: str) -> float:
    """Milliseconds that the application takes to answer, without a network and without a client."""
    app = surrounded(application())

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        bind_in(scope, tenant.bound)
        await app(scope, receive, send)

    return await _asked(answer, client, address)


async def _asked(app: Callable[[Any, Any, Any], Awaitable[None]], client: httpx.AsyncClient, address: str) -> float:
    request = client.build_request("GET", address)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": request.url.path,
        "raw_path": request.url.raw_path.partition(b"?")[0],
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), text) for name, text in request.headers.raw],
        "client": ("127.0.0.1", 1),
        "server": ("test.localhost", 80),
    }
    status: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    began = perf_counter()
    await app(scope, receive, send)
    took = (perf_counter() - began) * 1000
    assert status == [200], f"{address}: {status}"
    return took


class _Two(Struct, frozen=True):
    id: int
    full_name: str


BARE: Final = Environment(autoescape=True).from_string(
    "<!doctype html><title>{{ title }}</title><table>{% for one in rows %}<tr>{% for cell in one %}<td>{{ cell }}</td>"
    "{% endfor %}</tr>{% endfor %}</table>"
)


async def _against_bare(tenant: TestTenant, client: httpx.AsyncClient, kind: str) -> Row:
    """The whole page, log-in and all, beside as many cells on a page with nothing but two rows read."""
    cells = [[f"cell {line} {column}" for column in range(9)] for line in range(50)]

    @get("/")
    async def bare() -> Response[str]:
        for number in (1, 2):
            await row(_Two, "SELECT id, full_name FROM customer WHERE id = :id", id=number)
        return Response(BARE.render(title="Bare", rows=cells), media_type="text/html")

    app = Litestar([bare], openapi_config=None)
    ours, anchor = [], []
    for _ in range(TIMES * 3):
        anchor.append(await _asked(app, client, "/"))
        ours.append(await _timed(tenant, client, "/customers"))
    rates = [1000 / percentile(one, 50) for one in (ours, anchor)]
    return at_least_share("pages of the list, logged in, and bare pages", kind, rates[0], "pages/s", rates[1], 0.5)
