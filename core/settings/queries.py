"""Reading settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from core.database import rows, value
from core.settings.fields import S, describe, secrets_of, settings_key

if TYPE_CHECKING:
    from core.config import Keys


class SealedSettings(RuntimeError):
    """Settings that hold a secret were read without the keys to open it."""


async def load_settings(struct: type[S], keys: Keys | None = None) -> S:
    """The tenant's settings of this kind; where nothing is stored, the defaults.

    `keys` (scope.keys) open what is sealed: without them, a struct with a stored secret is refused.
    """
    return _opened(struct, await stored(struct), keys)


async def stored(struct: type[Struct]) -> dict[str, Any]:
    """What is stored, secrets sealed as {"sealed": …}. Fields that the struct no longer has are left out."""
    return _known(struct, await value("SELECT value FROM setting WHERE key = :key", key=settings_key(struct)))


async def stored_of(*structs: type[Struct]) -> list[dict[str, Any]]:
    """As `stored`, of several at once, in their order."""
    found = await rows(
        _Kept, "SELECT key, value FROM setting WHERE key IN :keys", keys=[settings_key(each) for each in structs]
    )
    texts = {each.key: each.value for each in found}
    return [_known(struct, texts.get(settings_key(struct))) for struct in structs]


class _Kept(Struct, frozen=True):
    key: str
    value: str


def _known(struct: type[Struct], text: str | None) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(text, type=dict[str, Any]) if text else {}
    known = {spec.name for spec in describe(struct)}
    return {name: each for name, each in found.items() if name in known}


async def form_values(struct: type[Struct]) -> dict[str, Any]:
    """By field, what a form shows: a secret only as True (there is one) or False."""
    kept = await stored(struct)
    secret = secrets_of(struct)
    plain = _opened(struct, {name: each for name, each in kept.items() if name not in secret}, None)
    return {
        spec.name: bool(kept.get(spec.name)) if spec.name in secret else getattr(plain, spec.name)
        for spec in describe(struct)
    }


def _opened(struct: type[S], kept: dict[str, Any], keys: Keys | None) -> S:
    values = dict(kept)
    for name in secrets_of(struct).intersection(values):
        if keys is None:
            raise SealedSettings(f"{struct.__name__}.{name} is sealed: load_settings({struct.__name__}, scope.keys)")
        values[name] = keys.open(values[name]["sealed"])
    return msgspec.convert(values, struct, strict=False)
