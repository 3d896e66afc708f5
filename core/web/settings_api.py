"""Settings over JSON: those of each page of settings, the core's and the plugins', and which plugins are on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar.params import FromPath, JSONBody
from msgspec import Meta, Struct

from core.database import Everything
from core.errors import Conflict, FieldError, Invalid, NotFound
from core.settings.actions import save_form
from core.settings.fields import FieldSpec, describe
from core.settings.queries import form_values
from core.texts import _
from core.web.jsonapi import Call, api_get, api_patch, api_put
from core.web.plugin_pages import MAY_CHANGE
from core.web.reach import check_sees_everyone
from core.web.settings_pages import declared, text_of

if TYPE_CHECKING:
    from core.hooks import Manifest, Plugin
    from core.web.jsonapi import ApiCall
    from core.web.settings_pages import Declared

Given = (
    Annotated[str, Meta(max_length=20_000)]
    | int
    | float
    | bool
    | Annotated[list[Annotated[str, Meta(max_length=2000)]], Meta(max_length=1000)]
    | None
)
Values = dict[Annotated[str, Meta(max_length=80)], Given]


class Setting(Struct, frozen=True):
    """A setting: what it is called and may hold. `value` of a secret is only whether there is one."""

    name: str
    label: str
    kind: str
    value: Any
    choices: list[str]


class SettingsItem(Struct, frozen=True):
    area: str
    settings: list[Setting]


class SettingsChange(Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out stays. null empties a text and a secret."""

    values: Annotated[Values, Meta(max_length=100)]


class PluginItem(Struct, frozen=True):
    """An installed plugin; `error` says why one cannot be loaded."""

    name: str
    label: str
    version: str
    on: bool
    has_settings: bool
    error: str


class PluginSwitch(Struct, frozen=True, forbid_unknown_fields=True):
    on: bool


@api_get("/settings", permission="settings.view", summary="Areas of settings, as the pages have them")
async def list_areas(call: Call) -> list[str]:
    return sorted(area for area, one in declared().items() if call.scope.may(one.read) and _is_open(call, one))


@api_get("/settings/{area:str}", permission="settings.view", summary="The settings of an area")
async def show_area(call: Call, area: FromPath[str]) -> SettingsItem:
    one = _declared(call, area)
    call.scope.require(one.read)
    return await _item(area, one.struct)


@api_patch(
    "/settings/{area:str}",
    permission="settings.edit",
    summary="Change settings of an area",
    description="What is left out stays; a secret is set, or emptied with null. Those of the log-in need"
    " `staff.edit` too.",
)
async def change_area(call: Call, area: FromPath[str], data: JSONBody[SettingsChange]) -> SettingsItem:
    one = _declared(call, area)
    call.scope.require(one.write)
    await one.save(call.scope, await _as_typed(one.struct, data.values))
    return await _item(area, one.struct)


@api_get("/plugins", permission="settings.view", summary="Installed plugins")
async def list_plugins(call: Call) -> list[PluginItem]:
    return [_plugin(call, one) for one in _plugins(call).values()]


@api_put(
    "/plugins/{plugin_name:str}",
    permission=MAY_CHANGE,
    summary="Switch a plugin on or off",
    description="Its data are kept. 409 where the provider alone switches plugins.",
)
async def switch_plugin(call: Call, plugin_name: FromPath[str], data: JSONBody[PluginSwitch]) -> PluginItem:
    _manifest(call, plugin_name)
    switches = call.visit.bound.switches
    if switches is None:
        raise Conflict(_("Plugins are switched by the provider here."))
    if data.on:
        await switches.enable(call.scope, plugin_name)
    else:
        await switches.disable(call.scope, plugin_name)
    return msgspec.structs.replace(_plugin(call, _plugins(call)[plugin_name]), on=data.on)


@api_get("/plugins/{plugin_name:str}/settings", permission="settings.view", summary="The settings of a plugin")
async def show_plugin_settings(call: Call, plugin_name: FromPath[str]) -> SettingsItem:
    return await _item(plugin_name, _settings_of(call, plugin_name))


@api_patch(
    "/plugins/{plugin_name:str}/settings",
    permission="settings.edit",
    summary="Change settings of a plugin",
    description="What is left out stays; a secret is set, or emptied with null.",
)
async def change_plugin_settings(
    call: Call, plugin_name: FromPath[str], data: JSONBody[SettingsChange]
) -> SettingsItem:
    struct = _settings_of(call, plugin_name)
    await save_form(call.scope, struct, await _as_typed(struct, data.values))
    return await _item(plugin_name, struct)


def _declared(call: ApiCall, area: str) -> Declared:
    one = declared().get(area)
    if one is None:
        raise NotFound(f"settings {area}")
    if one.everyone:
        check_sees_everyone(call.scope)
    return one


def _is_open(call: ApiCall, one: Declared) -> bool:
    return not one.everyone or isinstance(call.scope.actor.reach, Everything)


def _plugins(call: ApiCall) -> Mapping[str, Plugin]:
    known: Mapping[str, Plugin] = call.request.app.state.plugins
    return known


def _manifest(call: ApiCall, name: str) -> Manifest:
    plugin = _plugins(call).get(name)
    if plugin is None or plugin.loaded is None:
        raise NotFound(f"plugin {name}")
    return plugin.manifest


def _settings_of(call: ApiCall, name: str) -> type[Struct]:
    struct = _manifest(call, name).settings
    if struct is None:
        raise NotFound(f"settings of {name}")
    return struct


def _plugin(call: ApiCall, plugin: Plugin) -> PluginItem:
    if plugin.loaded is None:
        return PluginItem(plugin.name, plugin.name, "", plugin.name in call.scope.plugins, False, str(plugin.error))
    known = plugin.manifest
    on = plugin.name in call.scope.plugins
    return PluginItem(plugin.name, _(known.label), known.version, on, known.settings is not None, "")


async def _item(area: str, struct: type[Struct]) -> SettingsItem:
    stored = await form_values(struct)
    return SettingsItem(
        area,
        [
            Setting(
                name=one.name,
                label=_(one.label),
                kind=one.kind,
                value=msgspec.to_builtins(stored[one.name]),
                choices=[value for value, _label in one.choices],
            )
            for one in describe(struct)
        ],
    )


async def _as_typed(struct: type[Struct], values: Mapping[str, Any]) -> dict[str, str | Sequence[str]]:
    """The settings as their form would send them: those that are given over those that are stored."""
    stored = await form_values(struct)
    typed: dict[str, str | Sequence[str]] = {}
    errors = [FieldError(name, _("There is no such setting.")) for name in values if name not in stored]
    for spec in describe(struct):
        if spec.name not in values:
            kept = stored[spec.name]
            if spec.kind != "secret":
                typed[spec.name] = list(map(str, kept)) if isinstance(kept, list | tuple) else text_of(kept)
            continue
        given = values[spec.name]
        if not _fits(spec, given):
            errors.append(FieldError(spec.name, _("A value of another kind is needed: %(kind)s.", kind=spec.kind)))
        elif spec.kind == "secret" and not given:
            typed[f"clear_{spec.name}"] = "yes"
        else:
            typed[spec.name] = given if isinstance(given, list) else text_of(given)
    if errors:
        raise Invalid(errors=errors)
    return typed


def _fits(spec: FieldSpec, given: object) -> bool:
    match spec.kind:
        case "switch":
            return isinstance(given, bool)
        case "list" | "choices":
            return isinstance(given, list)
        case "integer":
            return given is None or (isinstance(given, int) and not isinstance(given, bool))
        case "decimal":
            return given is None or (isinstance(given, int | float | str) and not isinstance(given, bool))
        case _:
            return given is None or isinstance(given, str)


HANDLERS = (
    list_areas,
    show_area,
    change_area,
    list_plugins,
    switch_plugin,
    show_plugin_settings,
    change_plugin_settings,
)
