"""The states of a tenant."""

from enum import StrEnum
from typing import Final


class TenantStatus(StrEnum):
    CREATING = "creating"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    FAILED = "failed"
    """Its upgrade failed: it answers 503 until mended, nobody else notices."""
    ARCHIVED = "archived"
    """It has no database: a backup of it is kept, and restoring that brings it back."""


TRANSITIONS: Final[dict[TenantStatus, frozenset[TenantStatus]]] = {
    TenantStatus.CREATING: frozenset({TenantStatus.ACTIVE}),
    TenantStatus.ACTIVE: frozenset({TenantStatus.SUSPENDED, TenantStatus.FAILED, TenantStatus.ARCHIVED}),
    TenantStatus.SUSPENDED: frozenset({TenantStatus.ACTIVE, TenantStatus.ARCHIVED}),
    TenantStatus.FAILED: frozenset({TenantStatus.ACTIVE, TenantStatus.ARCHIVED}),
    TenantStatus.ARCHIVED: frozenset({TenantStatus.ACTIVE}),
}

MOVING: Final = "it is being moved: it takes no changes for some seconds"
"""The reason that stands at an active one while it is: it is served, and none of its work begins."""
