"""A story of one's own."""

import pytest

from core.clock import FixedClock
from core.scope import Scope
from tests.books import anyio_backend, clock, scope
from tests.stories.story import Story


@pytest.fixture
def story(scope: Scope, clock: FixedClock) -> Story:
    return Story(scope, clock)


__all__ = ["anyio_backend", "clock", "scope", "story"]
