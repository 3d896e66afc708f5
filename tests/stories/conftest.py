"""A story of one's own."""

from dataclasses import replace

import pytest

from core import hookspecs
from core.activity.asking import nothing_kept
from core.app import HOOK_MODULES
from core.clock import FixedClock
from core.hooks import Hooks
from core.scope import Scope
from tests.books import anyio_backend, clock, scope
from tests.stories.story import Story


@pytest.fixture
def story(scope: Scope, clock: FixedClock) -> Story:
    """The features have their say in each other's doings, as in a tenant without plugins."""
    return Story(replace(scope, hooks=Hooks(hookspecs, HOOK_MODULES, guard=nothing_kept)), clock)


__all__ = ["anyio_backend", "clock", "scope", "story"]
