"""Plugins of this tenant: what the provider installed, on and off, with what each declares and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from litestar import Response
from litestar.params import FromPath
from msgspec import Struct

from core import hookspecs
from core.activity.delivery import plugin_reader
from core.activity.queries import ReaderState, reader_states
from core.errors import Conflict, Invalid, NotFound
from core.hooks import Fact, Manifest, Plugin
from core.settings.actions import save_form
from core.settings.fields import describe
from core.settings.offers import offered_to
from core.settings.queries import form_values
from core.texts import N_, _, ngettext, number
from core.web.parts import FieldGroup, Pill
from core.web.proof import ask_for_proof
from core.web.routing import get, post, put
from core.web.settings_pages import groups_of, text_of
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.web.view import PageView

MAY_CHANGE: Final = "settings.plugins"
USED: Final = {
    "camera": N_("camera"),
    "microphone": N_("microphone"),
    "geolocation": N_("where the device is"),
    "payment": N_("payment by the browser"),
    "usb": N_("what hangs on USB"),
}
"""What core.hooks.manifest.OF_DEVICES are called."""


class PluginLine(Struct, frozen=True, kw_only=True):
    """A plugin in the list."""

    name: str
    title: str
    version: str
    by: str
    text: str
    on: bool
    pill: Pill | None
    current: bool


class PluginDetail(Struct, frozen=True, kw_only=True):
    """The plugin that is open beside the list."""

    name: str
    title: str
    version: str
    on: bool
    groups: list[FieldGroup]
    declared: list[Fact]
    refused: str = ""
    since: None = None


@get("/settings/plugins", permission="settings.view")
async def list_plugins(view: View) -> Response[str]:
    return await _page(view, "", {})


@get("/settings/plugins/{plugin_name:str}", permission="settings.view")
async def show_plugin(view: View, plugin_name: FromPath[str]) -> Response[str]:
    return await _page(view, plugin_name, {})


@post("/settings/plugins/{plugin_name:str}", permission="settings.edit")
async def save_settings(view: View, plugin_name: FromPath[str]) -> Response[str]:
    struct = _manifest(view, plugin_name).settings
    if struct is None:
        raise NotFound(f"settings of {plugin_name}")
    if any(spec.kind == "secret" for spec in describe(struct)):
        await ask_for_proof(view.request)
    await view.read()
    try:
        await save_form(view.scope, struct, view.typed)
    except Invalid as error:
        return await _page(view, plugin_name, errors_by_field(error), status=422)
    return view.go(f"/settings/plugins/{plugin_name}", _("Saved."))


@put("/settings/plugins/{plugin_name:str}/on", permission=MAY_CHANGE)
async def switch(view: View, plugin_name: FromPath[str]) -> Response[str]:
    """On with on=yes, off without."""
    switches = view.visit.bound.switches
    if switches is None:
        raise Conflict(_("Plugins are switched by the provider here."))
    manifest = _manifest(view, plugin_name)
    await view.read()
    if view.typed.get("on") == ["yes"]:
        await switches.enable(view.scope, plugin_name)
        return view.go(f"/settings/plugins/{plugin_name}", _("%(label)s is on.", label=_(manifest.label)))
    await switches.disable(view.scope, plugin_name)
    return view.go(
        f"/settings/plugins/{plugin_name}", _("%(label)s is off. Its data are kept.", label=_(manifest.label))
    )


def _plugins(view: PageView) -> Mapping[str, Plugin]:
    known: Mapping[str, Plugin] = view.request.app.state.plugins
    return known


def _manifest(view: PageView, name: str) -> Manifest:
    plugin = _plugins(view).get(name)
    if plugin is None or plugin.loaded is None:
        raise NotFound(f"plugin {name}")
    return plugin.manifest


async def _page(view: PageView, name: str, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    if name and name not in _plugins(view):
        raise NotFound(f"plugin {name}")
    on = view.scope.plugins
    states = {state.reader: state for state in await _states(view)}
    lines = [
        PluginLine(
            name=plugin.name,
            title=_(plugin.manifest.label) if plugin.loaded else plugin.name,
            version=plugin.manifest.version if plugin.loaded else "",
            by="",
            text=_(plugin.manifest.description)
            if plugin.loaded
            else _("Cannot be loaded: %(error)s", error=plugin.error),
            on=plugin.name in on,
            pill=_pill(plugin, states.get(plugin.name)),
            current=plugin.name == name,
        )
        for plugin in _plugins(view).values()
    ]
    detail, values = await _detail(view, name, states.get(name)) if name else (None, {})
    return view.page(
        "settings/plugins.html",
        status=status,
        plugins=lines,
        total_on=len(on),
        may_change=view.scope.may(MAY_CHANGE) and view.visit.bound.switches is not None,
        plugin=detail,
        values=view.shown(**values),
        errors=errors,
    )


async def _states(view: PageView) -> list[ReaderState]:
    readers = [
        plugin_reader(plugin.name, plugin.manifest.events, hookspecs)
        for plugin in _plugins(view).values()
        if plugin.loaded and plugin.manifest.events and plugin.name in view.scope.plugins
    ]
    return await reader_states(readers) if readers else []


def _pill(plugin: Plugin, state: ReaderState | None) -> Pill | None:
    if plugin.loaded is None:
        return Pill(_("Broken"), "blocked")
    if state is not None and state.paused_at is not None:
        return Pill(_("Paused"), "blocked")
    if state is not None and state.parked:
        return Pill(ngettext("%(num)s parked", "%(num)s parked", state.parked), "warn")
    return None


async def _detail(view: PageView, name: str, state: ReaderState | None) -> tuple[PluginDetail | None, dict[str, str]]:
    plugin = _plugins(view)[name]
    if plugin.loaded is None:
        return None, {}
    manifest, on = plugin.manifest, name in view.scope.plugins
    stored: dict[str, Any] = await form_values(manifest.settings) if manifest.settings is not None and on else {}
    groups = (
        groups_of(manifest.settings, stored, _(manifest.label), await offered_to(manifest.settings))
        if manifest.settings is not None and on
        else []
    )
    detail = PluginDetail(
        name=name,
        title=_(manifest.label),
        version=manifest.version,
        on=on,
        groups=groups,
        declared=[*declared_by(manifest), *_delivery(state)],
    )
    return detail, {key: text_of(value) for key, value in stored.items()}


def declared_by(manifest: Manifest) -> list[Fact]:
    """What a plugin says that it is, in words."""
    pages = sorted({path for route in manifest.routes for path in route.paths})
    facts = {
        _("Pages"): _("%(names)s and %(count)s more", names=", ".join(pages[:8]), count=len(pages) - 8)
        if len(pages) > 8
        else ", ".join(pages),
        _("Open to anybody"): ", ".join(sorted({path for _method, path in manifest.public})),
        _("Own tables"): ", ".join(table._meta.tablename for table in manifest.tables),
        _("Permissions"): ", ".join(_(permission.label) for permission in manifest.permissions),
        _("Hears of"): ", ".join(event.replace("_", " ") for event in manifest.events),
        _("Work in the background"): ", ".join(kind.name for kind in manifest.jobs),
        _("Messages"): ", ".join(_(message.label) for message in manifest.messages),
        _("Connects to"): ", ".join(manifest.outbound_hosts),
        _("Asks the browser for"): ", ".join(_(USED[one]) for one in manifest.uses),
        _("Needs"): ", ".join(manifest.needs),
    }
    return [Fact(label=label, value=value) for label, value in facts.items()]


def _delivery(state: ReaderState | None) -> list[Fact]:
    if state is None:
        return []
    told = [_("%(count)s waiting", count=number(state.waiting)) if state.waiting else _("up to date")]
    if state.parked:
        told.append(_("%(count)s set aside after errors", count=state.parked))
    if state.paused_at is not None:
        told.append(_("paused: %(error)s", error=state.error))
    return [Fact(label=_("Delivery"), value="; ".join(told))]


HANDLERS = (list_plugins, show_plugin, save_settings, switch)
