"""Saving settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.database import execute, rows
from core.errors import Invalid
from core.settings.events import SettingsChanged
from core.settings.fields import S, check, parse_form, secrets_of, settings_key
from core.settings.offers import not_offered
from core.settings.queries import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from core.errors import FieldError
    from core.scope import Scope


class _Row(Struct, frozen=True):
    key: str
    value: str


async def save_settings(scope: Scope, settings: Struct) -> None:
    """Store the settings, secrets sealed; what changed stands in the activity, secrets only as that they did."""
    struct = type(settings)
    new = _builtins(settings)
    check(struct, new)
    secret = secrets_of(struct)
    async with unit_of_work(scope):
        old = _builtins(await load_settings(struct, scope.keys))
        changes = {name: _shown(old[name], new[name], secret=name in secret) for name in new if old[name] != new[name]}
        if not changes:
            return
        for name in secret:
            if new[name]:
                new[name] = {"sealed": scope.keys.seal(new[name])}
            else:
                del new[name]
        await execute(
            "INSERT INTO setting (key, value, changed_at) VALUES (:key, :value, :now)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value, changed_at = excluded.changed_at",
            key=settings_key(struct),
            value=msgspec.json.encode(new).decode(),
            now=scope.now(),
        )
        record(scope, SettingsChanged(key=settings_key(struct)), changes=changes)


async def save_form(scope: Scope, struct: type[S], typed: Mapping[str, str | Sequence[str]]) -> S:
    """Store what was typed into a form of these settings. Raises Invalid that names every wrong field, also what their
    own `faults()` tells."""
    async with unit_of_work(scope):
        settings = parse_form(struct, typed, kept=await load_settings(struct, scope.keys))
        tells: Callable[[], Sequence[FieldError]] | None = getattr(settings, "faults", None)
        if faults := [*(tells() if tells is not None else ()), *await not_offered(settings)]:
            raise Invalid(errors=faults)
        await save_settings(scope, settings)
    return settings


async def rotate_sealed(scope: Scope) -> int:
    """Seal again with the newest key whatever in the settings an older one sealed. Gives how many structs changed."""
    changed = 0
    async with unit_of_work(scope):
        for row in await rows(_Row, "SELECT key, value FROM setting"):
            kept: dict[str, Any] = msgspec.json.decode(row.value, type=dict[str, Any])
            fresh = {
                name: {"sealed": scope.keys.rotate(each["sealed"])}
                if isinstance(each, dict) and "sealed" in each
                else each
                for name, each in kept.items()
            }
            if fresh != kept:
                value = msgspec.json.encode(fresh).decode()
                await execute("UPDATE setting SET value = :value WHERE key = :key", key=row.key, value=value)
                changed += 1
    return changed


def _builtins(settings: Struct) -> dict[str, Any]:
    """By field, as JSON knows it; also fields that have their default."""
    return {name: msgspec.to_builtins(getattr(settings, name)) for name in settings.__struct_fields__}


def _shown(old: object, new: object, *, secret: bool) -> tuple[object, object]:
    """Old and new value as the activity may show them."""
    if secret:
        return ("•••" if old else None), ("•••" if new else None)
    return _listed(old), _listed(new)


def _listed(value: object) -> object:
    return ", ".join(map(str, value)) if isinstance(value, list) else value
