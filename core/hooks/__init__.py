"""How plugins and features are asked: marks, manifest, discovery, and the hooks of a set of enabled plugins."""

from core.hooks.discovery import Plugin, find_plugins, usable
from core.hooks.faults import PluginError, PluginFailed
from core.hooks.manifest import HOOK_VERSION, JobKind, Manifest, Permission, Route, is_fact
from core.hooks.markers import hookimpl, hookspec
from core.hooks.registry import Answer, Hooks, HookSets, note_failure
from core.hooks.values import (
    Action,
    Card,
    CellValue,
    ChargeSource,
    Column,
    Effect,
    Fact,
    FirstStep,
    KnownCustomer,
    MenuItem,
    Panel,
    SearchHit,
    Tab,
    plan_digest,
)

__all__ = [
    "HOOK_VERSION",
    "Action",
    "Answer",
    "Card",
    "CellValue",
    "ChargeSource",
    "Column",
    "Effect",
    "Fact",
    "FirstStep",
    "HookSets",
    "Hooks",
    "JobKind",
    "KnownCustomer",
    "Manifest",
    "MenuItem",
    "Panel",
    "Permission",
    "Plugin",
    "PluginError",
    "PluginFailed",
    "Route",
    "SearchHit",
    "Tab",
    "find_plugins",
    "hookimpl",
    "hookspec",
    "is_fact",
    "note_failure",
    "plan_digest",
    "usable",
]
