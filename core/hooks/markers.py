"""The two marks: what may be asked, and who answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeGuard, TypeVar

import pluggy

NAMESPACE: Final = "tenantry"
Marked = TypeVar("Marked", bound=Callable[..., object])

_spec_marker = pluggy.HookspecMarker(NAMESPACE)
_impl_marker = pluggy.HookimplMarker(NAMESPACE)


def hookspec(function: Marked) -> Marked:
    """Mark a function of core/hookspecs.py as a hook."""
    return _spec_marker(function)


def hookimpl(function: Marked) -> Marked:
    """Mark a function as the answer to the hook of the same name. It may leave out arguments that it does not need."""
    return _impl_marker(function)


def is_spec(member: object) -> TypeGuard[Callable[..., object]]:
    """Was it marked as a hook?"""
    return hasattr(member, f"{NAMESPACE}_spec")


def is_implementation(member: object) -> TypeGuard[Callable[..., object]]:
    """Was it marked as an answer to a hook?"""
    return hasattr(member, f"{NAMESPACE}_impl")
