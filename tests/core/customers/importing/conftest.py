"""A tenant with the tables of all features."""

from tests.books import anyio_backend, clock, scope

__all__ = ["anyio_backend", "clock", "scope"]
