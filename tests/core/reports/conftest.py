"""Books of one's own."""

from tests.books import anyio_backend, clock, scope

__all__ = ["anyio_backend", "clock", "scope"]
