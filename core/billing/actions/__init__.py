"""Verbs on documents, credit and sellers."""

from core.billing.actions.allocation import (
    allocate_by_hand,
    allocate_credit,
    free_up,
    grant_credit,
    open_credit,
    reverse_grant,
    unallocate,
    write_off,
)
from core.billing.actions.changing import happen_settled
from core.billing.actions.credit_notes import create_credit_note, void
from core.billing.actions.drafts import let_go
from core.billing.actions.free_notes import create_free_credit_note
from core.billing.actions.invoices import (
    change_draft,
    create_draft,
    delete_draft,
    invoice_charges_of,
    invoice_first,
    invoice_open_charges,
    invoice_trial,
    issue,
)
from core.billing.actions.proformas import draft_of_proforma, issue_proforma
from core.billing.actions.reissuing import reissue
from core.billing.actions.setup import change_seller, change_series, default_seller
from core.billing.actions.unused import (
    cancel_subscription,
    credit_ended,
    credit_unused,
    preview_withdrawal,
    preview_withdrawals,
    withdraw_subscription,
)

__all__ = [
    "allocate_by_hand",
    "allocate_credit",
    "cancel_subscription",
    "change_draft",
    "change_seller",
    "change_series",
    "create_credit_note",
    "create_draft",
    "create_free_credit_note",
    "credit_ended",
    "credit_unused",
    "default_seller",
    "delete_draft",
    "draft_of_proforma",
    "free_up",
    "grant_credit",
    "happen_settled",
    "invoice_charges_of",
    "invoice_first",
    "invoice_open_charges",
    "invoice_trial",
    "issue",
    "issue_proforma",
    "let_go",
    "open_credit",
    "preview_withdrawal",
    "preview_withdrawals",
    "reissue",
    "reverse_grant",
    "unallocate",
    "void",
    "withdraw_subscription",
    "write_off",
]
