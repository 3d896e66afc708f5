"""Hooks of the tests' own, and plugins made on the spot."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final

from core.hooks import Tab, hookimpl, hookspec


@hookspec
async def customer_tabs(scope: str, customer_id: int) -> Sequence[Tab]:
    """Tabs of a customer's page."""
    raise NotImplementedError


@hookspec
def collect_names(ids: Sequence[int]) -> dict[int, str]:
    """Names, in bulk."""
    raise NotImplementedError


@hookspec
async def choose_rate(country: str) -> int | None:
    """The first answer counts."""
    raise NotImplementedError


@hookspec
async def plan_move(customer_id: int) -> list[str]:
    """What follows from a move."""
    raise NotImplementedError


@hookspec
async def validate_move(scope: str, customer_id: int) -> None:
    """Raise a DomainError to refuse."""


@hookspec
async def customer_moved(scope: str, events: Sequence[int]) -> None:
    """Customers moved."""


@hookspec
async def customer_left(scope: str, events: Sequence[int]) -> None:
    """Customers left."""


SPECS: Final = sys.modules[__name__]


def module(name: str, /, **members: Any) -> ModuleType:
    """A plugin's module; functions answer to the hook of their name."""
    made = ModuleType(name)
    for key, member in members.items():
        if callable(member) and not isinstance(member, type):
            member.__name__ = key
            member.__module__ = name
            member = hookimpl(member)
        setattr(made, key, member)
    return made


def named(*modules: ModuleType) -> list[tuple[str, ModuleType]]:
    return [(one.__name__, one) for one in modules]


def answering(value: Any) -> Callable[[], Any]:
    async def answer() -> Any:
        return value

    return answer


def failing(error: BaseException) -> Callable[[], Any]:
    async def fail() -> Any:
        raise error

    return fail
