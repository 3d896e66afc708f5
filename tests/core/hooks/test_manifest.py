"""What a plugin says it is, is checked before it is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from piccolo.columns import Text
from piccolo.table import Table

from core.hooks import HOOK_VERSION, Manifest, MenuItem, Permission, PluginError
from core.hooks.manifest import check_manifest, is_fact
from tests.core.hooks import modules
from tests.core.hooks.modules import SPECS, answering, module


class MapsPoint(Table, tablename="maps_point"):
    """A table of the plugin's own."""

    label = Text()


class Point(Table, tablename="point"):
    """A table that could be anybody's."""

    label = Text()


@dataclass(frozen=True)
class Page:
    """A route, as far as a manifest looks at it."""

    paths: frozenset[str]
    opt: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Work:
    """A kind of job, as far as a manifest looks at it."""

    name: str


@dataclass(frozen=True)
class Hour:
    """A schedule, as far as a manifest looks at it."""

    name: str
    kind: str | Work


@dataclass(frozen=True)
class Mail:
    """A kind of message, as far as a manifest looks at it."""

    key: str
    label: str = ""


@dataclass(frozen=True)
class Head:
    """A list's column, as far as a manifest looks at it."""

    key: str
    can_sort: bool = True


@dataclass(frozen=True)
class Rows:
    """A list, as far as a manifest looks at it."""

    key: str
    sort: str
    permission: str = "maps.view"
    columns: tuple[Head, ...] = (Head("name"), Head("map", can_sort=False))


@dataclass(frozen=True)
class Way:
    """A door, as far as a manifest looks at it."""

    log_in: str
    home: str


def maps(**fields: Any) -> Manifest:
    """A manifest in which everything is right, but for these fields."""
    right: dict[str, Any] = {
        "name": "maps",
        "label": "Maps",
        "version": "1.2",
        "hook_version": "1.0",
        "tables": (MapsPoint,),
        "migrations": Path(__file__).parent,
        "permissions": (Permission("maps.view", "See maps"), Permission("maps.points.edit", "Set points")),
        "routes": (Page(frozenset({"/maps"})), Page(frozenset({"/maps/points/{point_id:int}", "/api/v1/maps/points"}))),
        "jobs": (Work("maps_locate"),),
        "schedules": (Hour("maps_nightly", Work("maps_locate")),),
        "messages": (Mail("maps_moved"),),
        "lists": (Rows("maps.points", "-name"),),
        "events": ("customer_moved",),
        "menu": (MenuItem(area="network", label="Map", href="/maps", permission="maps.view"),),
        "outbound_hosts": ("nominatim.openstreetmap.org",),
    }
    return Manifest(**{**right, **fields})


def plugin(**members: Any) -> ModuleType:
    return module("maps_plugin", **{"customer_moved": answering(None), **members})


def test_a_manifest_in_which_everything_is_right_is_taken_as_it_is() -> None:
    manifest = maps()

    assert check_manifest(manifest, plugin(), SPECS, name="maps") is manifest


def test_a_manifest_is_data_and_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        maps().name = "other"  # type: ignore[misc]  # frozen


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"name": "map"}, "its entry point is called maps, its manifest says map"),
        ({"name": "Maps"}, "the name Maps is not 2 to 30 small letters and digits"),
        ({"name": "my_maps"}, "the name my_maps is not"),
        ({"name": "m"}, "the name m is not"),
        ({"name": "m" * 31}, "is not 2 to 30"),
        ({"name": "2maps"}, "the name 2maps is not"),
        ({"hook_version": "2.0"}, f"it was written for hooks 2.0, here are {HOOK_VERSION}"),
        ({"hook_version": "1.1"}, "it was written for hooks 1.1"),
        ({"hook_version": "0.9"}, "it was written for hooks 0.9"),
        ({"hook_version": "1"}, "it was written for hooks 1,"),
        ({"hook_version": ""}, "it was written for hooks "),
        ({"tables": (Point,)}, "the table point must be called maps_…"),
        ({"migrations": None}, "it has tables but no folder of migrations"),
        ({"migrations": Path("/nowhere")}, "its folder of migrations is not there (/nowhere)"),
        ({"permissions": (Permission("map.view", ""),)}, "the permission map.view must be called maps.…"),
        ({"permissions": (Permission("mapsx.view", ""),)}, "the permission mapsx.view must be called maps.…"),
        ({"permissions": (Permission("maps", ""),)}, "the permission maps must be called maps.…"),
        ({"permissions": (Permission("maps.View it", ""),)}, "the permission maps.View it must be called maps.…"),
        ({"routes": (Page(frozenset({"/map"})),)}, "the route /map must begin with /maps"),
        ({"routes": (Page(frozenset({"/mapsx"})),)}, "the route /mapsx must begin with /maps"),
        ({"routes": (Page(frozenset({"/customers/maps"})),)}, "the route /customers/maps must begin with /maps"),
        ({"routes": (Page(frozenset({"/api/v1/customers"})),)}, "the route /api/v1/customers must begin with /maps"),
        ({"routes": (Page(frozenset({"/portal/maps"})),)}, "the route /portal/maps must begin with /maps"),
        ({"public": (("GET", "/maps/all"),)}, "the public route /maps/all is none of its routes"),
        (
            {"door": Way(log_in="/maps/in", home="/maps")},
            "its door leads to /maps/in, which is none of its routes",
        ),
        (
            {"routes": (Page(frozenset({"/maps"}), {"permission": "maps.veiw"}),)},
            "the route /maps needs the permission maps.veiw, which it does not declare",
        ),
        ({"lists": (Rows("points", "name"),)}, "the list points must be called maps.…"),
        (
            {"lists": (Rows("maps.points", "-id"),)},
            "the list maps.points begins sorted by id, which is none of its columns that can be sorted",
        ),
        ({"lists": (Rows("maps.points", "name,-map"),)}, "begins sorted by map, which is none of its columns"),
        (
            {"lists": (Rows("maps.points", "name", "maps.list"),)},
            "the list maps.points needs the permission maps.list, which it does not declare",
        ),
        ({"schedules": (Hour("locate", Work("maps_locate")),)}, "the schedule locate must be called maps_…"),
        (
            {"schedules": (Hour("maps_daily", "maps_look"),)},
            "the schedule maps_daily starts maps_look, which is none of its jobs",
        ),
        ({"messages": (Mail("moved"),)}, "the kind of message moved must be called maps_…"),
        ({"messages": (Mail("maps_moved"),) * 2}, "the kind of message maps_moved is declared twice"),
        ({"jobs": (Work("locate"),)}, "the kind of job locate must be called maps_…"),
        ({"events": ("customer_sneezed", "customer_moved")}, "there is no event customer_sneezed to hear"),
        ({"events": ("customer_tabs", "customer_moved")}, "there is no event customer_tabs to hear"),
        ({"events": ("customer_moved", "customer_left")}, "it hears customer_left, but no @hookimpl of that name does"),
        ({"events": ()}, "it implements customer_moved, but the events of its manifest do not name it"),
        (
            {"menu": (MenuItem(area="", label="Map", href="/maps", permission="maps.edit"),)},
            "the menu entry Map needs the permission maps.edit, which it does not declare",
        ),
        (
            {"outbound_hosts": ("https://tiles.example.net",)},
            "the outbound host https://tiles.example.net is no host name",
        ),
        ({"outbound_hosts": ("localhost",)}, "the outbound host localhost is no host name"),
        ({"outbound_hosts": ("*.example.net",)}, "the outbound host *.example.net is no host name"),
        (
            {"routes": (Page(frozenset({"/maps"}), {"uses": ("geolocation",)}),)},
            "the route /maps uses the geolocation, which its manifest does not say",
        ),
        ({"uses": ("smell",)}, "its pages cannot use smell, but camera, "),
        ({"needs": ("maps",)}, "it needs itself"),
        ({"tables": (MapsPoint, MapsPoint)}, "the table maps_point is declared twice"),
        ({"permissions": (Permission("maps.view", ""),) * 2}, "the permission maps.view is declared twice"),
        ({"jobs": (Work("maps_locate"),) * 2}, "the kind of job maps_locate is declared twice"),
        ({"events": ("customer_moved",) * 2}, "the event customer_moved is declared twice"),
    ],
)
def test_what_is_wrong_is_said_with_the_plugin_s_name(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(PluginError) as refused:
        check_manifest(maps(**fields), plugin(), SPECS, name="maps")

    assert reason in refused.value.reason
    assert str(refused.value).startswith("Plugin maps: ")


def test_pages_behind_the_door_of_a_plugin_that_is_needed_stand_under_both_names() -> None:
    behind = maps(needs=("portal",), routes=(Page(frozenset({"/portal/maps/near"})),), menu=())

    assert check_manifest(behind, plugin(), SPECS, name="maps") is behind


def test_a_name_of_the_core_is_refused() -> None:
    with pytest.raises(PluginError, match="the name maps belongs to the core"):
        check_manifest(maps(), plugin(), SPECS, name="maps", taken={"maps", "customers"})


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(PluginError) as refused:
        check_manifest(maps(hook_version="9.0", needs=("maps",)), plugin(), SPECS, name="maps")

    assert refused.value.reason == f"it was written for hooks 9.0, here are {HOOK_VERSION}; it needs itself"


@pytest.mark.parametrize("manifest", [None, {"name": "maps"}, Manifest])
def test_a_plugin_without_a_manifest_is_refused(manifest: object) -> None:
    with pytest.raises(PluginError, match=r"maps_plugin has no MANIFEST"):
        check_manifest(manifest, plugin(), SPECS, name="maps")


def test_a_plugin_needs_nothing_but_its_name_and_versions() -> None:
    least = Manifest(name="maps", label="Maps", version="1", hook_version=HOOK_VERSION)

    assert check_manifest(least, module("maps_plugin"), SPECS, name="maps") == least
    assert msgspec.structs.asdict(least)["order"] == 100


def test_a_menu_entry_may_need_a_permission_of_the_core() -> None:
    item = MenuItem(area="", label="Map", href="/maps", permission="customers.view")

    assert check_manifest(maps(menu=(item,)), plugin(), SPECS, name="maps").menu == (item,)


def test_facts_are_the_hooks_that_hear_a_sequence_of_events() -> None:
    assert is_fact(modules.customer_moved)
    assert not is_fact(modules.customer_tabs)
    assert not is_fact(module)
    assert not is_fact(None)
