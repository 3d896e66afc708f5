"""The states of an item."""

from enum import StrEnum
from typing import Final


class ItemStatus(StrEnum):
    IN_STOCK = "in_stock"
    ASSIGNED = "assigned"
    TO_RETURN = "to_return"
    """With a customer who has ended: asked back."""
    WRITTEN_OFF = "written_off"


TRANSITIONS: Final[dict[ItemStatus, frozenset[ItemStatus]]] = {
    ItemStatus.IN_STOCK: frozenset({ItemStatus.ASSIGNED, ItemStatus.WRITTEN_OFF}),
    ItemStatus.ASSIGNED: frozenset({ItemStatus.IN_STOCK, ItemStatus.TO_RETURN, ItemStatus.WRITTEN_OFF}),
    ItemStatus.TO_RETURN: frozenset({ItemStatus.IN_STOCK, ItemStatus.ASSIGNED, ItemStatus.WRITTEN_OFF}),
    ItemStatus.WRITTEN_OFF: frozenset(),
}

LABELS: Final = {
    ItemStatus.IN_STOCK: ("In stock", "new"),
    ItemStatus.ASSIGNED: ("Assigned", "live"),
    ItemStatus.TO_RETURN: ("To be returned", "warn"),
    ItemStatus.WRITTEN_OFF: ("Written off", "ended"),
}
"""How a state reads, and its kind of pill."""
