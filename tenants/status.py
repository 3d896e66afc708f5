"""The states of a tenant."""

from enum import StrEnum
from typing import Final

from core.texts import N_, _


class TenantStatus(StrEnum):
    CREATING = "creating"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    FAILED = "failed"
    """Its upgrade failed: it answers 503 until mended, nobody else notices."""
    ARCHIVED = "archived"
    """It has no database: a backup of it is kept, and restoring that brings it back."""


CALLED: Final = {
    TenantStatus.CREATING: N_("creating"),
    TenantStatus.ACTIVE: N_("active"),
    TenantStatus.SUSPENDED: N_("suspended"),
    TenantStatus.FAILED: N_("failed"),
    TenantStatus.ARCHIVED: N_("archived"),
}
"""How a state is called within a sentence."""


def called(status: str) -> str:
    return _(CALLED[TenantStatus(status)])


TRANSITIONS: Final[dict[TenantStatus, frozenset[TenantStatus]]] = {
    TenantStatus.CREATING: frozenset({TenantStatus.ACTIVE}),
    TenantStatus.ACTIVE: frozenset({TenantStatus.SUSPENDED, TenantStatus.FAILED, TenantStatus.ARCHIVED}),
    TenantStatus.SUSPENDED: frozenset({TenantStatus.ACTIVE, TenantStatus.ARCHIVED}),
    TenantStatus.FAILED: frozenset({TenantStatus.ACTIVE, TenantStatus.ARCHIVED}),
    TenantStatus.ARCHIVED: frozenset({TenantStatus.ACTIVE}),
}

MOVING: Final = N_("it is being moved: it takes no changes for some seconds")
"""The reason that stands at an active one while it is: it is served, and none of its work begins."""
