"""Verbs on hardware: what there is, where it is, who has it."""

from plugins.inventory.actions.handing import (
    ask_back,
    assign_item,
    keep_item,
    move_item,
    rent_item,
    restock_item,
    return_item,
    sell_item,
    use_item,
    write_off_item,
)
from plugins.inventory.actions.items import add_item, change_item, remove_item
from plugins.inventory.actions.stock import (
    add_location,
    add_product,
    add_vendor,
    change_location,
    change_product,
    change_vendor,
    remove_location,
    remove_product,
    remove_vendor,
)

__all__ = [
    "add_item",
    "add_location",
    "add_product",
    "add_vendor",
    "ask_back",
    "assign_item",
    "change_item",
    "change_location",
    "change_product",
    "change_vendor",
    "keep_item",
    "move_item",
    "remove_item",
    "remove_location",
    "remove_product",
    "remove_vendor",
    "rent_item",
    "restock_item",
    "return_item",
    "sell_item",
    "use_item",
    "write_off_item",
]
