"""What a plugin is, as data: declaration, registration, and what an administrator is shown before switching it on."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Struct

from core.hooks.faults import PluginError
from core.hooks.markers import is_implementation, is_spec
from core.hooks.values import MenuItem

if TYPE_CHECKING:
    from piccolo.table import Table

    from core.lists.listing import Listing

HOOK_VERSION: Final = "1.0"
"""Rises behind the point with every new hook; before the point when a hook changes or goes."""

OF_DEVICES: Final = ("camera", "microphone", "geolocation", "payment", "usb")
"""What a browser gives to a page that asks the person for it."""

NAME: Final = re.compile(r"[a-z][a-z0-9]{1,29}")


class Permission(Struct, frozen=True):
    """What a role may be given: Permission("inventory.assign", "Assign items")."""

    key: str
    label: str
    description: str = ""


class Route(Protocol):
    """A page or an API route, as made by core.web.routing and core.web.jsonapi."""

    @property
    def paths(self) -> Collection[str]: ...

    @property
    def opt(self) -> Mapping[str, Any]: ...


class JobKind(Protocol):
    """A kind of job, as declared with core.jobs.JobKind."""

    @property
    def name(self) -> str: ...


class Schedule(Protocol):
    """A job that comes again and again, as core.jobs.schedules.Schedule says it."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str | JobKind: ...


class MessageKind(Protocol):
    """A kind of message, as declared with core.messages.kinds.MessageKind."""

    @property
    def key(self) -> str: ...

    @property
    def label(self) -> str: ...


class Door(Protocol):
    """How people of the plugin's own kind come in, as core.web.doors.Door says it."""

    @property
    def log_in(self) -> str: ...

    @property
    def home(self) -> str: ...


class Manifest(Struct, frozen=True, kw_only=True):
    """All that a plugin brings. Everything in it carries the plugin's name, so two plugins never collide."""

    name: str
    """Short, of small letters and digits: it begins its tables, permissions, routes, jobs and templates."""
    label: str
    """What people read."""
    version: str
    """Its own."""
    hook_version: str
    """The hooks it was written for: "1.0"."""
    description: str = ""
    order: int = 100
    """Where it stands among the plugins on pages and when asked; equals go by name."""
    needs: tuple[str, ...] = ()
    """Plugins that must be on as well."""
    routes: tuple[Route, ...] = ()
    """Pages under /NAME and API routes under /api/v1/NAME, each with its permission; pages behind the door of a plugin
    that it needs stand under /THAT/NAME."""
    public: tuple[tuple[str, str], ...] = ()
    """Those of its routes that anybody may call, as (method, path). A token in the path stands behind /link/."""
    door: Door | None = None
    """Where it lets people in of its own kind (customers, not staff)."""
    permissions: tuple[Permission, ...] = ()
    """Called NAME.something."""
    tables: tuple[type[Table], ...] = ()
    """Called NAME_something; each says how it belongs to a customer."""
    migrations: Path | None = None
    """The folder of its migrations, which run when it is switched on."""
    settings: type[Struct] | None = None
    """A form for the tenant is made from it; what is marked as secret is stored encrypted."""
    jobs: tuple[JobKind, ...] = ()
    """Called NAME_something."""
    schedules: tuple[Schedule, ...] = ()
    """Which of its jobs the clock starts, and when; each is called NAME_something."""
    messages: tuple[MessageKind, ...] = ()
    """Kinds of messages that it sends, whose words the tenant can edit; each is called NAME_something."""
    events: tuple[str, ...] = ()
    """The past-tense hooks that it implements: what it hears about."""
    menu: tuple[MenuItem, ...] = ()
    """Entries of the side bar that are always there."""
    deeds: tuple[MenuItem, ...] = ()
    """What the search on top of every page offers to begin: a label that is a verb with its object, and its page."""
    lists: tuple[Listing[Any], ...] = ()
    """Its lists with saved views, columns of one's own and exports; each is called NAME.something."""
    icons: tuple[str, ...] = ()
    """Names of Tabler icons beyond the core's."""
    outbound_hosts: tuple[str, ...] = ()
    """The only hosts that it calls."""
    uses: tuple[str, ...] = ()
    """What of a device its pages may ask the browser for, "camera" for one; each page that does says so itself."""


def check_manifest(
    manifest: object, module: ModuleType, specs: ModuleType, *, name: str, taken: Collection[str] = ()
) -> Manifest:
    """The manifest, or PluginError with every reason why it cannot be loaded. `taken` are words of the core."""
    if not isinstance(manifest, Manifest):
        raise PluginError(name, f"{module.__name__} has no MANIFEST = Manifest(…)")
    if faults := list(_faults(manifest, module, specs, name, taken)):
        raise PluginError(name, "; ".join(faults))
    return manifest


def is_fact(spec: object) -> bool:
    """A past-tense hook: it hears a sequence of facts after their commit."""
    return inspect.isfunction(spec) and is_spec(spec) and "events" in inspect.signature(spec).parameters


def _faults(
    manifest: Manifest, module: ModuleType, specs: ModuleType, name: str, taken: Collection[str]
) -> Iterable[str]:
    if manifest.name != name:
        yield f"its entry point is called {name}, its manifest says {manifest.name}"
    if not NAME.fullmatch(manifest.name):
        yield f"the name {manifest.name} is not 2 to 30 small letters and digits"
    if manifest.name in taken:
        yield f"the name {manifest.name} belongs to the core"
    if not _fits(manifest.hook_version):
        yield f"it was written for hooks {manifest.hook_version}, here are {HOOK_VERSION}"
    for table in manifest.tables:
        if not table._meta.tablename.startswith(f"{manifest.name}_"):
            yield f"the table {table._meta.tablename} must be called {manifest.name}_…"
    if manifest.tables and manifest.migrations is None:
        yield "it has tables but no folder of migrations"
    if manifest.migrations is not None and not manifest.migrations.is_dir():
        yield f"its folder of migrations is not there ({manifest.migrations})"
    for permission in manifest.permissions:
        if not re.fullmatch(rf"{re.escape(manifest.name)}(\.[a-z][a-z0-9_]*)+", permission.key):
            yield f"the permission {permission.key} must be called {manifest.name}.…"
    for route in manifest.routes:
        for path in sorted(route.paths):
            before = "|".join(["/api/v[0-9]+", *(f"/{re.escape(need)}" for need in manifest.needs)])
            if not re.match(rf"({before})?/{re.escape(manifest.name)}(/|$)", path):
                yield f"the route {path} must begin with /{manifest.name}"
            for used in sorted(set(route.opt.get("uses", ())).difference(manifest.uses)):
                yield f"the route {path} uses the {used}, which its manifest does not say"
    paths = {path for route in manifest.routes for path in route.paths}
    for _, path in manifest.public:
        if path not in paths:
            yield f"the public route {path} is none of its routes"
    if manifest.door is not None:
        for path in (manifest.door.log_in, manifest.door.home):
            if path not in paths:
                yield f"its door leads to {path}, which is none of its routes"
    for kind in manifest.jobs:
        if not kind.name.startswith((f"{manifest.name}.", f"{manifest.name}_")):
            yield f"the kind of job {kind.name} must be called {manifest.name}_…"
    for schedule in manifest.schedules:
        if not schedule.name.startswith((f"{manifest.name}.", f"{manifest.name}_")):
            yield f"the schedule {schedule.name} must be called {manifest.name}_…"
        started = schedule.kind if isinstance(schedule.kind, str) else schedule.kind.name
        if started not in {kind.name for kind in manifest.jobs}:
            yield f"the schedule {schedule.name} starts {started}, which is none of its jobs"
    for message in manifest.messages:
        if not message.key.startswith((f"{manifest.name}.", f"{manifest.name}_")):
            yield f"the kind of message {message.key} must be called {manifest.name}_…"
    for one in manifest.lists:
        if not one.key.startswith(f"{manifest.name}."):
            yield f"the list {one.key} must be called {manifest.name}.…"
        sortable = {column.key for column in one.columns if column.can_sort}
        for key in (part.removeprefix("-") for part in one.sort.split(",")):
            if key not in sortable:
                yield f"the list {one.key} begins sorted by {key}, which is none of its columns that can be sorted"
    yield from _event_faults(manifest, module, specs)
    known = {permission.key for permission in manifest.permissions}
    needed = [
        *((f"menu entry {item.label}", item.permission) for item in (*manifest.menu, *manifest.deeds)),
        *((f"list {one.key}", one.permission) for one in manifest.lists),
        *((f"route {path}", route.opt.get("permission", "")) for route in manifest.routes for path in route.paths),
    ]
    for what, permission in needed:
        if str(permission).startswith(f"{manifest.name}.") and permission not in known:
            yield f"the {what} needs the permission {permission}, which it does not declare"
    for host in manifest.outbound_hosts:
        if not re.fullmatch(r"(?=.{1,253}$)[a-z0-9-]+(\.[a-z0-9-]+)+", host):
            yield f"the outbound host {host} is no host name"
    for used in sorted(set(manifest.uses).difference(OF_DEVICES)):
        yield f"its pages cannot use {used}, but {', '.join(OF_DEVICES)}"
    if manifest.name in manifest.needs:
        yield "it needs itself"
    for what, things in _lists(manifest).items():
        for double in sorted({thing for thing in things if things.count(thing) > 1}):
            yield f"the {what} {double} is declared twice"


def _event_faults(manifest: Manifest, module: ModuleType, specs: ModuleType) -> Iterable[str]:
    """What it says to hear and what it has handlers for must be the same: delivery reads the manifest."""
    handlers = {
        name
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if is_implementation(function) and is_fact(getattr(specs, name, None))
    }
    for event in manifest.events:
        if not is_fact(getattr(specs, event, None)):
            yield f"there is no event {event} to hear"
        elif event not in handlers:
            yield f"its manifest says that it hears {event}, but no @hookimpl of that name does"
    for handler in sorted(handlers.difference(manifest.events)):
        yield f"it implements {handler}, but the events of its manifest do not name it"


def _fits(version: str) -> bool:
    """Written for this major version, and for no hook that is newer."""
    if not re.fullmatch(r"\d+\.\d+", version):
        return False
    (major, minor), (our_major, our_minor) = (map(int, one.split(".")) for one in (version, HOOK_VERSION))
    return major == our_major and minor <= our_minor


def _lists(manifest: Manifest) -> dict[str, list[str]]:
    return {
        "table": [table._meta.tablename for table in manifest.tables],
        "permission": [permission.key for permission in manifest.permissions],
        "kind of job": [kind.name for kind in manifest.jobs],
        "schedule": [schedule.name for schedule in manifest.schedules],
        "kind of message": [message.key for message in manifest.messages],
        "event": list(manifest.events),
    }
