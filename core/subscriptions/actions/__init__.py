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
    rest,
    resume,
    suspend,
    terminate,
    uncharged_days,
    undo_cancellation,
    wake,
    withdraw,
)
from core.subscriptions.actions.paying import charged_of, move_to_payer, open_charges_of
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
    "charged_of",
    "convert_due",
    "end",
    "end_due",
    "expiry_of",
    "lapse",
    "move_to_payer",
    "open_charges_of",
    "request",
    "rest",
    "resume",
    "start_trial",
    "subscribe",
    "suspend",
    "terminate",
    "uncharged_days",
    "undo_cancellation",
    "waive_charge",
    "wake",
    "withdraw",
]
