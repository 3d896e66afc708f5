"""Verbs on customers, their statuses, notes and tags."""

from core.customers.actions.anonymise import anonymise_customer, anonymise_customers
from core.customers.actions.contacts import (
    LINK_LASTS,
    MAIL_EMAIL_CHANGE,
    add_contact,
    add_user,
    cancel_email_change,
    change_contact,
    change_user,
    confirm_email,
    mail_again,
    make_email_link,
    remove_contact,
)
from core.customers.actions.customers import (
    change_customer,
    change_sections,
    create_customer,
    currency_refusal,
)
from core.customers.actions.hierarchy import change_hierarchy
from core.customers.actions.locations import add_location, merge_location, remove_location, rename_location
from core.customers.actions.notes import add_note, change_note, delete_note, pin_note
from core.customers.actions.passwords import (
    REVEAL,
    change_customer_settings,
    generate_password,
    remove_password,
    reseal_passwords,
    reveal_password,
    set_password,
)
from core.customers.actions.statuses import (
    cancel_planned_status,
    carry_out_planned,
    change_status,
    due_planned_statuses,
    lift_status,
    plan_status,
)
from core.customers.actions.tags import add_tag, change_tag, create_tag, delete_tag, merge_tag, remove_tag

__all__ = [
    "LINK_LASTS",
    "MAIL_EMAIL_CHANGE",
    "REVEAL",
    "add_contact",
    "add_location",
    "add_note",
    "add_tag",
    "add_user",
    "anonymise_customer",
    "anonymise_customers",
    "cancel_email_change",
    "cancel_planned_status",
    "carry_out_planned",
    "change_contact",
    "change_customer",
    "change_customer_settings",
    "change_hierarchy",
    "change_note",
    "change_sections",
    "change_status",
    "change_tag",
    "change_user",
    "confirm_email",
    "create_customer",
    "create_tag",
    "currency_refusal",
    "delete_note",
    "delete_tag",
    "due_planned_statuses",
    "generate_password",
    "lift_status",
    "mail_again",
    "make_email_link",
    "merge_location",
    "merge_tag",
    "pin_note",
    "plan_status",
    "remove_contact",
    "remove_location",
    "remove_password",
    "remove_tag",
    "rename_location",
    "reseal_passwords",
    "reveal_password",
    "set_password",
]
