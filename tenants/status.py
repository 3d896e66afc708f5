"""The states of a tenant."""

from enum import StrEnum
from typing import Final


class TenantStatus(StrEnum):
    CREATING = "creating"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    FAILED = "failed"
    """Its upgrade failed: it answers 503 until mended, nobody else notices."""


TRANSITIONS: Final[dict[TenantStatus, frozenset[TenantStatus]]] = {
    TenantStatus.CREATING: frozenset({TenantStatus.ACTIVE}),
    TenantStatus.ACTIVE: frozenset({TenantStatus.SUSPENDED, TenantStatus.FAILED}),
    TenantStatus.SUSPENDED: frozenset({TenantStatus.ACTIVE}),
    TenantStatus.FAILED: frozenset({TenantStatus.ACTIVE}),
}
