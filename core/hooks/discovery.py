"""Plugins are found by the entry point group `tenantry.plugins` and by nothing else, ours too."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Final

import structlog

from core.hooks.faults import PluginError
from core.hooks.manifest import Manifest, check_manifest
from core.hooks.registry import Hooks
from core.texts import know

GROUP: Final = "tenantry.plugins"
_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed plugin. One that could not be loaded is listed with its error, and has no manifest and no module."""

    name: str
    distribution: str
    """The package that brings it, with its version."""
    error: str = ""
    loaded: tuple[Manifest, ModuleType] | None = None

    @property
    def manifest(self) -> Manifest:
        return self._loaded()[0]

    @property
    def module(self) -> ModuleType:
        return self._loaded()[1]

    @property
    def folder(self) -> Path:
        """Where its templates/ and static/ lie."""
        return Path(str(self.module.__file__)).parent

    def _loaded(self) -> tuple[Manifest, ModuleType]:
        if self.loaded is None:
            raise PluginError(self.name, self.error)
        return self.loaded


def find_plugins(
    specs: ModuleType, *, taken: Collection[str] = (), points: Iterable[EntryPoint] | None = None
) -> dict[str, Plugin]:
    """Every installed plugin by name, in manifest order; what a plugin needs stands before it, broken ones stand last.
    Their texts are known from then on.

    `taken` are words that belong to the core: first parts of its routes, tables and permissions. `points` stands in for
    what is installed.
    """
    points = list(entry_points(group=GROUP) if points is None else points)
    brought = Counter(point.name for point in points)
    found = {point.name: _load(point, specs, taken, brought[point.name]) for point in points}
    good = {name: plugin for name, plugin in found.items() if plugin.loaded}
    while lacking := {name: why for name, plugin in good.items() if (why := _lack(plugin, good, found))}:
        for name, why in lacking.items():
            found[name] = _broken(name, found[name].distribution, why)
            del good[name]
    for name in _in_a_circle(good):
        found[name] = _broken(name, found[name].distribution, "it needs itself, by way of others")
        del good[name]
    broken = {name: plugin for name, plugin in sorted(found.items()) if not plugin.loaded}
    ordered = _in_order(good)
    know(plugin.folder / "locale" for plugin in ordered.values())
    return {**ordered, **broken}


def usable(plugins: Mapping[str, Plugin]) -> dict[str, Plugin]:
    """Those that could be loaded."""
    return {name: plugin for name, plugin in plugins.items() if plugin.loaded}


def _load(point: EntryPoint, specs: ModuleType, taken: Collection[str], brought: int) -> Plugin:
    distribution = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
    if brought > 1:
        return _broken(point.name, distribution, f"{brought} installed packages bring a plugin of this name")
    try:
        module = importlib.import_module(point.value)
        manifest = check_manifest(getattr(module, "MANIFEST", None), module, specs, name=point.name, taken=taken)
        Hooks(specs, [(point.name, module)])
    except PluginError as error:
        return _broken(point.name, distribution, error.reason)
    except (Exception, SystemExit) as error:
        return _broken(point.name, distribution, f"{type(error).__name__}: {error}", trace=True)
    return Plugin(point.name, distribution, loaded=(manifest, module))


def _broken(name: str, distribution: str, reason: str, *, trace: bool = False) -> Plugin:
    _log.error("plugin left out", plugin=name, distribution=distribution, reason=reason, exc_info=trace)
    return Plugin(name, distribution, error=reason)


def _lack(plugin: Plugin, good: Mapping[str, Plugin], found: Mapping[str, Plugin]) -> str:
    for name in plugin.manifest.needs:
        if name not in good:
            return f"it needs the plugin {name}, which {'could not be loaded' if name in found else 'is not installed'}"
    return ""


def _in_a_circle(plugins: Mapping[str, Plugin]) -> set[str]:
    """Those that need each other."""
    left = {name: set(plugin.manifest.needs) for name, plugin in plugins.items()}
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            circle = set(error.args[1])
            left = {name: needs for name, needs in left.items() if name not in circle and not needs & circle}
        else:
            return set(plugins) - set(left)


def _in_order(plugins: Mapping[str, Plugin]) -> dict[str, Plugin]:
    """By `order` and name, each behind those that it needs."""
    waiting = sorted(plugins, key=lambda name: (plugins[name].manifest.order, name))
    placed: dict[str, Plugin] = {}
    while waiting:
        name = next(name for name in waiting if placed.keys() >= set(plugins[name].manifest.needs))
        placed[name] = plugins[name]
        waiting.remove(name)
    return placed
