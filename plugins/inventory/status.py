"""The states of an item, what can be done with it, and in what shape it is."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from core.texts import N_, _


class ItemStatus(StrEnum):
    IN_STOCK = "in_stock"
    INTERNAL_USE = "internal_use"
    """With the operator's own people or network."""
    ASSIGNED = "assigned"
    """Lent to a customer, at no charge of its own."""
    RENTED = "rented"
    SOLD = "sold"
    TO_RETURN = "to_return"
    """With a customer who has ended: asked back."""
    RETURNED = "returned"
    """Back, and not looked at yet."""
    WRITTEN_OFF = "written_off"


TRANSITIONS: Final[dict[ItemStatus, frozenset[ItemStatus]]] = {
    ItemStatus.IN_STOCK: frozenset(
        {
            ItemStatus.INTERNAL_USE,
            ItemStatus.ASSIGNED,
            ItemStatus.RENTED,
            ItemStatus.SOLD,
            ItemStatus.WRITTEN_OFF,
        }
    ),
    ItemStatus.INTERNAL_USE: frozenset({ItemStatus.IN_STOCK, ItemStatus.WRITTEN_OFF}),
    ItemStatus.ASSIGNED: frozenset(
        {
            ItemStatus.RENTED,
            ItemStatus.SOLD,
            ItemStatus.TO_RETURN,
            ItemStatus.RETURNED,
            ItemStatus.IN_STOCK,
            ItemStatus.WRITTEN_OFF,
        }
    ),
    ItemStatus.RENTED: frozenset(
        {
            ItemStatus.SOLD,
            ItemStatus.TO_RETURN,
            ItemStatus.RETURNED,
            ItemStatus.IN_STOCK,
            ItemStatus.WRITTEN_OFF,
        }
    ),
    ItemStatus.SOLD: frozenset({ItemStatus.RETURNED, ItemStatus.IN_STOCK}),
    ItemStatus.TO_RETURN: frozenset(
        {
            ItemStatus.ASSIGNED,
            ItemStatus.RENTED,
            ItemStatus.SOLD,
            ItemStatus.RETURNED,
            ItemStatus.IN_STOCK,
            ItemStatus.WRITTEN_OFF,
        }
    ),
    ItemStatus.RETURNED: frozenset({ItemStatus.IN_STOCK, ItemStatus.INTERNAL_USE, ItemStatus.WRITTEN_OFF}),
    ItemStatus.WRITTEN_OFF: frozenset({ItemStatus.IN_STOCK}),
}

LABELS: Final = {
    ItemStatus.IN_STOCK: (N_("In stock"), "new"),
    ItemStatus.INTERNAL_USE: (N_("Internal use"), "lead"),
    ItemStatus.ASSIGNED: (N_("Assigned"), "live"),
    ItemStatus.RENTED: (N_("Rented"), "live"),
    ItemStatus.SOLD: (N_("Sold to customer"), "ended"),
    ItemStatus.TO_RETURN: (N_("To be returned"), "warn"),
    ItemStatus.RETURNED: (N_("Returned, to be checked"), "warn"),
    ItemStatus.WRITTEN_OFF: (N_("Written off"), "ended"),
}
"""How a state reads, and its kind of pill."""


def pill_of(status: str) -> tuple[str, str]:
    """How a state reads now, and its kind of pill."""
    label, kind = LABELS[ItemStatus(status)]
    return _(label), kind


WITH_CUSTOMER: Final = frozenset({ItemStatus.ASSIGNED, ItemStatus.RENTED, ItemStatus.SOLD, ItemStatus.TO_RETURN})
AT_PLACE: Final = frozenset({ItemStatus.IN_STOCK, ItemStatus.INTERNAL_USE, ItemStatus.RETURNED})
"""Those in which it can be moved from one location to another."""
LENT: Final = frozenset({ItemStatus.ASSIGNED, ItemStatus.RENTED})
"""Those in which a customer who ends is asked for it."""
ENDED: Final = frozenset({"cancelled", "terminated", "closed"})
"""Keys of the statuses in which a customer is asked for what it still has."""
OWNED: Final = frozenset(ItemStatus) - {ItemStatus.SOLD, ItemStatus.WRITTEN_OFF}
"""Those in which it counts among what the operator owns."""

RENTED_AS: Final = frozenset({"service", "module"})
"""Kinds of products of the catalogue that hardware is rented as: any number of them beside each other."""


class Condition(StrEnum):
    NEW = "new"
    USED = "used"
    BROKEN = "broken"


CONDITIONS: Final = {Condition.NEW: N_("New"), Condition.USED: N_("Used"), Condition.BROKEN: N_("Broken")}


class Deed(StrEnum):
    """What can be done with an item."""

    ASSIGN = "assign"
    SELL = "sell"
    RENT = "rent"
    RETURN = "return"
    KEEP = "keep"
    """It was asked back, and stays with the customer after all."""
    MOVE = "move"
    USE = "use"
    RESTOCK = "restock"
    WRITE_OFF = "write_off"


FROM: Final[dict[Deed, frozenset[ItemStatus]]] = {
    Deed.ASSIGN: frozenset({ItemStatus.IN_STOCK}),
    Deed.SELL: frozenset({ItemStatus.IN_STOCK, ItemStatus.ASSIGNED, ItemStatus.RENTED, ItemStatus.TO_RETURN}),
    Deed.RENT: frozenset({ItemStatus.IN_STOCK, ItemStatus.ASSIGNED}),
    Deed.RETURN: WITH_CUSTOMER,
    Deed.KEEP: frozenset({ItemStatus.TO_RETURN}),
    Deed.MOVE: AT_PLACE,
    Deed.USE: frozenset({ItemStatus.IN_STOCK, ItemStatus.RETURNED}),
    Deed.RESTOCK: frozenset({ItemStatus.INTERNAL_USE, ItemStatus.RETURNED, ItemStatus.WRITTEN_OFF}),
    Deed.WRITE_OFF: frozenset(ItemStatus) - {ItemStatus.SOLD, ItemStatus.WRITTEN_OFF},
}
"""The states in which each deed is offered."""
