"""A tenant's scope, for tests of customers that need no page."""

from __future__ import annotations

import pytest

from core.scope import Scope
from core.testing import TestTenant


@pytest.fixture
def scope(tenant: TestTenant) -> Scope:
    return tenant.scope()
