"""Verbs on customers, their statuses, notes and tags."""

from core.customers.actions.customers import change_customer, change_sections, create_customer, current_values
from core.customers.actions.notes import add_note, delete_note, pin_note
from core.customers.actions.statuses import change_status
from core.customers.actions.tags import add_tag, remove_tag

__all__ = [
    "add_note",
    "add_tag",
    "change_customer",
    "change_sections",
    "change_status",
    "create_customer",
    "current_values",
    "delete_note",
    "pin_note",
    "remove_tag",
]
