"""What machines ask of the server itself: is it alive, may it be sent requests, and its figures for Prometheus.

They ask at the machine's own name (127.0.0.1, localhost), never at a tenant's, so no tenant's visitor sees them; where
`metrics.token` is set, /metrics asks for it. Labels are bounded: routes as they are declared, never addresses or
tenants.
"""

from __future__ import annotations

import asyncio
import hmac
import shutil
from time import perf_counter
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from litestar.utils import normalize_path
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from core.config import LOOPBACK
from core.web.public import without_secret
from core.web.visit import STATIC_PREFIX, is_http
from tenants.routing import host_of

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from litestar.types import ASGIApp, Message, Receive, Send
    from litestar.types import Scope as ASGIScope

    from core.database import PostgresServer
    from tenants.deployment import Deployment

LOG: Final = structlog.stdlib.get_logger("tenantry.requests")
PATHS: Final = ("/health", "/ready", "/metrics")
FOUND: Final = ("ok", "warn", "fail")
BUCKETS: Final = (0.005, 0.015, 0.03, 0.06, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
ANSWERS_WITHIN: Final = 2.0
"""Seconds that a database has to answer before the process is not ready."""
LEAST_FREE: Final = 200 * 2**20
"""Bytes of disk below which nothing new should be sent here."""


class Check(Struct, frozen=True, omit_defaults=True):
    ok: bool
    detail: str = ""


class Readiness(Struct, frozen=True):
    ready: bool
    checks: dict[str, Check]


class Watched:
    """The outermost layer: answers for the server itself, counts and logs the tenants' requests."""

    def __init__(self, deployment: Deployment, app: ASGIApp) -> None:
        self._deployment = deployment
        self._app = app
        self._figures = CollectorRegistry()
        self._requests = Counter(
            "tenantry_requests", "Requests answered", ("method", "route", "status"), registry=self._figures
        )
        self._seconds = Histogram(
            "tenantry_request_seconds",
            "Seconds until a request was answered",
            ("method", "route"),
            buckets=BUCKETS,
            registry=self._figures,
        )
        self._under_way = Gauge("tenantry_requests_under_way", "Requests being answered", registry=self._figures)
        self._tenants = Gauge("tenantry_tenants", "Tenants by status", ("status",), registry=self._figures)
        self._found = Gauge(
            "tenantry_tenants_found",
            "Tenants by what was found when they were last looked at, each half hour: ok, warn, fail",
            ("state",),
            registry=self._figures,
        )
        self._for_a_person = Gauge(
            "tenantry_waiting_for_a_person",
            "Jobs and events of all tenants that waited for a person when they were last looked at",
            registry=self._figures,
        )
        self._free = Gauge("tenantry_disk_free_bytes", "Room on the disk of the data", registry=self._figures)
        ProcessCollector(registry=self._figures)

    async def __call__(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        if not is_http(scope):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        scope["path"] = normalize_path(scope["path"])  # as the router reads it
        alone = b"x-forwarded-for" not in headers  # a proxy speaks for somebody else, whatever host that one named
        if alone and scope["path"] in PATHS and host_of(headers.get(b"host", b"").decode("latin-1")) in LOOPBACK:
            await self._of_the_server(scope["path"], headers.get(b"authorization", b"").decode("latin-1"), send)
            return
        started, status = perf_counter(), 500

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        structlog.contextvars.clear_contextvars()
        with self._under_way.track_inprogress():
            try:
                await self._app(scope, receive, seen)
            finally:
                self._note(scope, status, perf_counter() - started)
                structlog.contextvars.clear_contextvars()

    def _note(self, scope: ASGIScope, status: int, seconds: float) -> None:
        method, route = str(scope.get("method", "")), str(scope.get("path_template") or "none")
        if method not in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            method = "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)
        if not scope["path"].startswith(STATIC_PREFIX):
            path = without_secret(scope["path"])
            LOG.info("request", method=method, path=path, status=status, ms=round(seconds * 1000, 1))

    async def _of_the_server(self, path: str, authorization: str, send: Send) -> None:
        if path == "/health":
            await _answer(send, 200, "text/plain", b"ok\n")
        elif path == "/ready":
            found = await readiness(self._deployment)
            await _answer(send, 200 if found.ready else 503, "application/json", msgspec.json.encode(found))
        else:
            token = self._deployment.config.metrics.token
            if token and not hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
                await _answer(send, 401, "text/plain", b"Name the token of metrics.token as a bearer.\n")
                return
            await self._count_tenants()
            await _answer(send, 200, CONTENT_TYPE_PLAIN_0_0_4, generate_latest(self._figures))

    async def _count_tenants(self) -> None:
        for status, count in (await self._deployment.registry.count_by_status()).items():
            self._tenants.labels(status.value).set(count)
        found = await self._deployment.registry.count_by_finding()
        for state in FOUND:
            self._found.labels(state).set(sum(each.tenants for each in found if each.state == state))
        self._for_a_person.set(sum(each.waiting for each in found))
        self._free.set(shutil.disk_usage(self._deployment.config.data).free)


async def readiness(deployment: Deployment) -> Readiness:
    """Whether this process can answer tenants: its registry, its PostgreSQL servers, and room on its disk."""
    checks = {"registry": await answers(deployment.registry.count_by_status())}
    for name, server in deployment.placement.servers.items():
        checks[f"database {name}"] = await answers(_ask_server(server))
    free = shutil.disk_usage(deployment.config.data).free
    checks["disk"] = Check(free >= LEAST_FREE, f"{free // 2**20:,} MiB free")
    return Readiness(all(check.ok for check in checks.values()), checks)


async def answers(asking: Awaitable[object]) -> Check:
    try:
        async with asyncio.timeout(ANSWERS_WITHIN):
            await asking
    except TimeoutError:
        return Check(False, f"no answer within {ANSWERS_WITHIN:g} s")
    except Exception as error:
        LOG.warning("not ready", reason=f"{type(error).__name__}: {error}")
        return Check(False, type(error).__name__)
    return Check(True)


async def _ask_server(server: PostgresServer) -> None:
    pool = await server.pool()
    async with pool.acquire() as connection:
        await connection.fetchval("SELECT 1")


async def _answer(send: Send, status: int, kind: str, body: bytes) -> None:
    headers = [
        (b"content-type", kind.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
