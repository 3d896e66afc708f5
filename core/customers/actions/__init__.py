"""Verbs on customers, their statuses, notes and tags."""

from core.customers.actions.contacts import add_contact, add_user, change_contact, change_user, remove_contact
from core.customers.actions.customers import change_customer, change_sections, create_customer, current_values
from core.customers.actions.hierarchy import change_hierarchy
from core.customers.actions.notes import add_note, delete_note, pin_note
from core.customers.actions.statuses import change_status
from core.customers.actions.tags import add_tag, remove_tag

__all__ = [
    "add_contact",
    "add_note",
    "add_tag",
    "add_user",
    "change_contact",
    "change_customer",
    "change_hierarchy",
    "change_sections",
    "change_status",
    "change_user",
    "create_customer",
    "current_values",
    "delete_note",
    "pin_note",
    "remove_contact",
    "remove_tag",
]
