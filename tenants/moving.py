"""Moving a tenant into another database: an SQLite file, or a schema of any PostgreSQL database.

Copied while it is used; then it takes no changes for some seconds, in which what has changed meanwhile is brought over,
every row is compared, and the books of the copy are proven; one row of the registry switches. Until then everything is
as it was. The old database is kept aside for some days. Stored files stay where they are.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final

import asyncpg
import msgspec
import structlog
from msgspec import Struct

from core.app import MIGRATIONS, migrations_of
from core.billing.verify import verify
from core.customers.words import rewrite_words
from core.database import (
    PostgresDatabase,
    SqliteDatabase,
    analyze,
    bind,
    copy_template,
    migrate,
    pending,
    value,
    values,
)
from core.database.copying import (
    Layout,
    Likeness,
    Unlike,
    close_for_writes,
    copy_table,
    count_rows,
    counters,
    level_table,
    open_for_writes,
    picture,
    put_references_on,
    put_triggers_on,
    set_counters,
    shared_layouts,
    take_rules_off,
)
from core.database.postgresql import drop_schema
from core.errors import Conflict, DomainError, Unavailable
from core.hooks import usable
from core.scope import command_actor
from core.texts import _, number
from tenants.backups import has_database, locked, worked_on
from tenants.pausing import SETTLING, closed, release_abandoned
from tenants.placement import SQLITE, owner_dsn, schema_of
from tenants.provisioning import migrated_template
from tenants.sizes import size_of
from tenants.spares import TEMPLATES
from tenants.status import TenantStatus, called
from tenants.watching import LEAST_FREE

if TYPE_CHECKING:
    from uuid import UUID

    from core.billing.verify import Violation
    from core.database import Database, MigrationApp, Transaction
    from tenants.deployment import Deployment
    from tenants.registry import Aside, TenantRecord

LOG: Final = structlog.stdlib.get_logger("tenantry.tenants")
DERIVED: Final = {"customer_search": rewrite_words}
"""Tables that the two kinds of databases fill each in its own way: made anew from the others."""
LONG: Final = 20.0
"""Seconds of copying after which what has changed meanwhile is brought over once more, before changes have to wait."""
UNFINISHED: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""Until when a copy is kept that is not switched to: whatever the clock says, it can go when nobody works on it."""
LOOK_AGAIN: Final = 60.0
"""Seconds between two looks at what moved tenants have left."""
_GONE: Final = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

Told = Callable[[str, int, int], None]
"""Hears what is being done, and how many rows of how many are."""


def nobody(what: str, done: int, total: int) -> None:
    """Hears of progress where nobody asks."""


class Moved(Struct, frozen=True):
    """A tenant in its new place."""

    slug: str
    came_from: str
    went_to: str
    tables: int
    rows: int
    digest: str
    """Of every row of every table, found to be the same on both sides."""
    late: int
    """Rows that changed while it was copied, and were brought over in the pause."""
    seconds: float
    paused: float
    """Seconds that it took no changes."""
    kept: str
    """The old database."""
    keep_until: datetime


async def move_tenant(deployment: Deployment, record: TenantRecord, placement: str, *, told: Told = nobody) -> Moved:
    """The tenant in this placement, whole; or everything as it was. What a move that was killed has left goes first."""
    started = monotonic()
    deployment.placement.check(placement)
    with worked_on(deployment, record):
        record = await deployment.registry.get_by_slug(record.slug)
        _refuse(deployment, record, placement)
        await _room(deployment, record, placement)
        apps = await _migrations(deployment, record)
        left = [each for each in await deployment.registry.list_aside() if each.uuid == record.uuid]
        for each in left:
            if each.remove_at <= deployment.clock.now():
                await _removed(deployment, each)
        generation = max([record.generation, *(each.generation for each in left)]) + 1
        new = msgspec.structs.replace(record, placement=placement, generation=generation)
        await deployment.registry.note_aside(record.uuid, placement, generation, UNFINISHED)
        try:
            return await _move(deployment, record, new, apps, told, started)
        except BaseException:
            await _undone(deployment, new)
            raise


def _refuse(deployment: Deployment, record: TenantRecord, placement: str) -> None:
    if not has_database(record):
        raise Conflict(
            _("%(slug)s is %(status)s: there is nothing to move.", slug=record.slug, status=called(record.status))
        )
    if record.placement == placement:
        raise Conflict(_("%(slug)s is in “%(placement)s” already.", slug=record.slug, placement=placement))
    for place in {placement, record.placement} - {SQLITE}:
        if place not in deployment.placement.servers:
            raise Unavailable(_("The database “%(placement)s” is not in the configuration.", placement=place))
        owner_dsn(deployment.placement.servers[place])


async def _room(deployment: Deployment, record: TenantRecord, placement: str) -> None:
    if placement != SQLITE:
        return
    needed = 2 * ((await size_of(deployment, record)).database_bytes or 0) + LEAST_FREE
    free = shutil.disk_usage(deployment.config.data).free
    if free < needed:
        raise Unavailable(
            _(
                "There is no room for %(slug)s in %(data)s: %(needed)s MiB are needed, %(free)s are "
                "free. Nothing was changed.",
                slug=record.slug,
                data=deployment.config.data,
                needed=number(needed // 2**20),
                free=number(free // 2**20),
            )
        )


async def _migrations(deployment: Deployment, record: TenantRecord) -> list[MigrationApp]:
    """Those that made its tables, also of plugins that are switched off: their tables are still there."""
    with bind(deployment.placement.find(record)):
        made = set(await values("SELECT DISTINCT app FROM migration")) - {app.name for app in MIGRATIONS}
        if missing := sorted(made - usable(deployment.plugins).keys()):
            raise Conflict(
                _(
                    "%(slug)s has tables of %(plugins)s, which is not installed here or cannot be "
                    "loaded: tenantry plugin list says why. Nothing was changed.",
                    slug=record.slug,
                    plugins=", ".join(missing),
                )
            )
        apps = migrations_of(deployment.plugins, made | deployment.enabled(record))
        if await pending(apps):
            raise Conflict(_("%(slug)s needs an upgrade first: tenantry tenant upgrade %(slug)s", slug=record.slug))
    return apps


async def _move(
    deployment: Deployment,
    record: TenantRecord,
    new: TenantRecord,
    apps: list[MigrationApp],
    told: Told,
    started: float,
) -> Moved:
    source = deployment.placement.at(record.uuid, record.placement, record.generation)
    target = await _made(deployment, new, apps)
    try:
        copy = _Copy(source, target, await shared_layouts(source, target, but=DERIVED), told)
        await copy.fill()
        async with closed(deployment, record):
            paused = monotonic()
            if await shared_layouts(source, target, but=DERIVED) != copy.tables:
                raise Unlike(_("Its tables have been changed meanwhile. Nothing was moved; repeat it."))
            found = await copy.settle()
            if record.status == TenantStatus.ACTIVE:
                await close_for_writes(target)  # until nobody looks at the old one any more
            await _proven(deployment, record, new)
            keep_until = deployment.clock.now() + timedelta(days=deployment.config.placement.keep_moved)
            await deployment.registry.move(record, new.placement, new.generation, keep_until)
            if record.status == TenantStatus.ACTIVE:
                await asyncio.sleep(SETTLING)
        ended = monotonic()
    finally:
        await source.close()
        await target.close()
    await deployment.leave(record.uuid)
    return Moved(
        slug=record.slug,
        came_from=record.placement,
        went_to=new.placement,
        tables=len(found),
        rows=sum(each.rows for each in found),
        digest=hashlib.sha256(
            "".join(f"{each.table}:{each.rows}:{each.digest}\n" for each in found).encode()
        ).hexdigest(),
        late=copy.late,
        seconds=round(ended - started, 3),
        paused=round(ended - paused, 3),
        kept=name_of(deployment, record.uuid, record.placement, record.generation),
        keep_until=keep_until,
    )


async def _made(deployment: Deployment, new: TenantRecord, apps: list[MigrationApp]) -> Database:
    """A database of this version that holds nothing of the tenant's; on PostgreSQL as its owner sees it."""
    if new.placement == SQLITE:
        template = await migrated_template(deployment.config.data / TEMPLATES)
        await asyncio.to_thread(copy_template, template, deployment.placement.file(new.uuid, new.generation))
    else:
        async with deployment.placement.in_turn(new.placement):
            place = await deployment.placement.fullness(new.placement)
            if not place.has_room:
                raise Conflict(
                    _("There is no room in %(name)s (%(said)s). Nothing was changed.", name=place.name, said=place.said)
                )
            await deployment.placement.spares(new.placement).take_or_make(schema_of(new.uuid, new.generation))
    made = deployment.placement.at(new.uuid, new.placement, new.generation)
    target = made.owned() if isinstance(made, PostgresDatabase) else made
    with bind(target):
        await migrate(apps)
    return target


class _Copy:
    """The rows on their way."""

    def __init__(self, source: Database, target: Database, tables: list[Layout], told: Told) -> None:
        self._source = source
        self._target = target
        self.tables = tables
        self._told = told
        self.late = 0
        self._total = 0

    async def fill(self) -> None:
        """All rows as they are now, while the tenant is used."""
        self._rules = await take_rules_off(self._target, self.tables)
        began = monotonic()
        async with picture(self._source) as now:
            self._total = total = sum((await count_rows(now, self.tables)).values())
            done = 0
            for layout in self.tables:
                done += await copy_table(now, self._target, layout, self._telling("copying", done, total))
        if monotonic() - began > LONG:
            async with picture(self._source) as now:
                await self._level(now, self.tables, "catching up")
        if isinstance(self._target, SqliteDatabase):  # its index of words is kept by triggers
            await put_triggers_on(self._target, self.tables, self._rules)
        await self._derive()
        with bind(self._target):
            await analyze()
        if isinstance(self._target, SqliteDatabase):
            self._rules = await take_rules_off(self._target, self.tables)

    async def settle(self) -> list[Likeness]:
        """Brings over what has changed since, until every table is the same on both sides."""
        async with picture(self._source) as now:
            found = await self._level(now, self.tables, "comparing")
            different = [layout for layout in self.tables if found[layout.name].differences]
            self.late = sum(each.differences for each in found.values())
            found |= await self._level(now, different, "comparing once more")
            if unlike := [each.table for each in found.values() if each.differences]:
                raise Unlike(
                    _("The rows of %(tables)s cannot be made the same. Nothing was moved.", tables=", ".join(unlike))
                )
        await put_triggers_on(self._target, self.tables, self._rules)
        await self._derive()
        await put_references_on(self._target, self._rules)
        await set_counters(self._target, await counters(self._source))
        if isinstance(self._target, SqliteDatabase):
            with bind(self._target):
                await value("PRAGMA wal_checkpoint(TRUNCATE)")
        return [found[layout.name] for layout in self.tables]

    def _telling(self, what: str, before: int, total: int) -> Callable[[str, int], None]:
        return lambda _, rows: self._told(what, before + rows, total)

    async def _level(self, now: Transaction, tables: list[Layout], what: str) -> dict[str, Likeness]:
        found: dict[str, Likeness] = {}
        done = 0
        for layout in tables:
            found[layout.name] = await level_table(now, self._target, layout)
            done += found[layout.name].rows
            self._told(what, done, self._total)
        return found

    async def _derive(self) -> None:
        with bind(self._target):
            for make in DERIVED.values():
                await make()


async def _proven(deployment: Deployment, record: TenantRecord, new: TenantRecord) -> None:
    """The copy is the tenant's own, of this version, and its books are right: as right as they were."""
    actor = command_actor("tenant move")
    async with deployment.scope(new, actor) as scope:
        found = await verify(scope)
        words = await value("SELECT (SELECT count(*) FROM customer) - (SELECT count(*) FROM customer_search)")
    if words:
        raise Unlike(_("The words that customers are found by are not complete in the copy. Nothing was moved."))
    if not found:
        return
    async with deployment.scope(record, actor) as scope:
        known = {_short(each) for each in await verify(scope)}
    if bad := [each for each in found if _short(each) not in known]:
        raise Conflict(
            _(
                "The copy has a fault that %(slug)s has not: %(rule)s Nothing was moved.",
                slug=record.slug,
                rule=bad[0].rule,
            )
        )


def _short(violation: Violation) -> tuple[str, str, int]:
    return violation.key, violation.rule, violation.count


def name_of(deployment: Deployment, uuid: UUID, placement: str, generation: int) -> str:
    """A database as a person finds it."""
    if placement == SQLITE:
        return str(deployment.placement.file(uuid, generation))
    return f"{placement}, schema {schema_of(uuid, generation)}"


async def _undone(deployment: Deployment, new: TenantRecord) -> None:
    """The copy goes, unless it is the tenant's already and what failed came after."""
    for each in await deployment.registry.list_aside():
        if (each.uuid, each.placement, each.generation) == (new.uuid, new.placement, new.generation):
            try:
                await _removed(deployment, each)
            except (DomainError, *_GONE) as error:
                LOG.warning("the copy is still there", slug=new.slug, reason=str(error))


async def _removed(deployment: Deployment, aside: Aside) -> None:
    """Takes a database away that is not the tenant's (any more). Its tenant is being worked on by the caller alone."""
    record = await deployment.registry.find_by_uuid(aside.uuid)
    if record is not None and (record.placement, record.generation) == (aside.placement, aside.generation):
        await deployment.registry.forget_aside(aside.id)
        return
    await deployment.leave(aside.uuid)
    if aside.placement == SQLITE:
        file = deployment.placement.file(aside.uuid, aside.generation)
        for path in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
            path.unlink(missing_ok=True)
    elif (server := deployment.placement.servers.get(aside.placement)) is not None:
        await drop_schema(owner_dsn(server), schema_of(aside.uuid, aside.generation))
    else:
        raise Unavailable(_("The database “%(placement)s” is not in the configuration.", placement=aside.placement))
    if record is not None and has_database(record) and record.status != TenantStatus.ACTIVE:
        await open_for_writes(deployment.placement.find(record))  # a move that was killed may have closed it
    await deployment.registry.forget_aside(aside.id)


async def remove_aside(deployment: Deployment, uuid: UUID) -> None:
    """All that a tenant has left elsewhere: it is put away or taken away itself. The caller works on it alone."""
    for each in await deployment.registry.list_aside():
        if each.uuid == uuid:
            await _removed(deployment, each)


async def tidy(deployment: Deployment) -> int:
    """Takes away the databases whose days are over, and what moves that were killed have left; gives how many."""
    done = 0
    for each in await deployment.registry.list_aside():
        if each.remove_at > deployment.clock.now():
            continue
        try:
            with locked(deployment, each.uuid, str(each.uuid)):
                await _removed(deployment, each)
                done += 1
        except Conflict:
            continue  # somebody works on the tenant: this may be what is being made
        except (DomainError, *_GONE) as error:
            LOG.warning(
                "an old database is still there",
                database=name_of(deployment, each.uuid, each.placement, each.generation),
                reason=str(error),
            )
    return done


async def keep_tidy(deployment: Deployment) -> None:
    """Until it is cancelled: what killed moves and exchanges have left is put right, what is old is taken away."""
    while True:
        try:
            await release_abandoned(deployment)
            await tidy(deployment)
        except (DomainError, *_GONE) as error:
            LOG.warning("moved tenants are not tidied up after", reason=str(error))
        await asyncio.sleep(LOOK_AGAIN)
