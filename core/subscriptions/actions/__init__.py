"""Verbs on subscriptions: starting, ending, and what lies between."""

from core.subscriptions.actions.charging import add_charge, waive_charge
from core.subscriptions.actions.ending import (
    cancel_at_expiry,
    charge_arrears,
    convert_due,
    end,
    end_due,
    expiry_of,
    lapse,
    resume,
    running_arrears,
    suspend,
    terminate,
    undo_cancellation,
    wake,
    withdraw,
)
from core.subscriptions.actions.starting import (
    activate,
    activate_free,
    ask_for_invoice,
    request,
    start_trial,
    subscribe,
)

__all__ = [
    "activate",
    "activate_free",
    "add_charge",
    "ask_for_invoice",
    "cancel_at_expiry",
    "charge_arrears",
    "convert_due",
    "end",
    "end_due",
    "expiry_of",
    "lapse",
    "request",
    "resume",
    "running_arrears",
    "start_trial",
    "subscribe",
    "suspend",
    "terminate",
    "undo_cancellation",
    "waive_charge",
    "wake",
    "withdraw",
]
