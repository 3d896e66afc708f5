"""The fixture `deployment` for tests of the host."""

from tests.hosts import deployment

__all__ = ["deployment"]
