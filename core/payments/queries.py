"""Reads of payments. All of them through the actor's reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from core.billing.tables import CreditEntry, DocumentState
from core.database import all_of, row, rows, value, within
from core.errors import NotFound
from core.ledger.queries import list_balances
from core.payments.schemas import MethodRow, NamingRow, PaidRow, PaymentDetail, PaymentRow
from core.payments.tables import Payment
from core.subscriptions.tables import Subscription

if TYPE_CHECKING:
    from core.ledger.schemas import Balance
    from core.scope import Scope

PAYMENT: Final = """
SELECT payment.id, payment.payer_id, customer.full_name AS payer, m.code AS method, m.name AS method_name,
    payment.state,
       payment.currency, payment.amount_minor, payment.reversed_minor, coalesce(e.left_minor, 0) AS free_minor,
       payment.fee_minor, payment.bank_currency, payment.bank_amount_minor, payment.received_on, payment.reference,
       payment.note, payment.names_document_id, payment.provider, payment.created_at
FROM payment
JOIN payment_method m ON m.id = payment.method_id
LEFT JOIN customer ON customer.id = payment.payer_id
LEFT JOIN credit_entry e ON e.source_kind = 'payment' AND e.source_id = payment.id
"""

PAID: Final = (
    "FROM allocation a JOIN credit_entry e ON e.id = a.credit_entry_id WHERE e.customer_id = :customer_id"
    " AND e.currency = :currency AND e.source_kind = 'payment' AND a.amount_minor > 0"
    " AND NOT EXISTS (SELECT 1 FROM allocation u WHERE u.undoes_id = a.id)"
)
"""Payments of a customer that stand on invoices."""


async def paid_on_invoices(scope: Scope, customer_id: int, currency: str) -> int:
    """How much a customer paid that stands on its invoices."""
    return int(
        await value(
            f"SELECT coalesce(CAST(sum(a.amount_minor) AS bigint), 0) {PAID} AND :within",
            customer_id=customer_id,
            currency=currency,
            within=within(CreditEntry, scope.actor.reach, alias="e"),
        )
    )


async def currencies_with_credit(scope: Scope, customer_id: int) -> list[Balance]:
    """Where a customer's credit can go elsewhere: balances with free credit, and that of the customer's currency."""
    return [each for each in await list_balances(scope, customer_id) if each.is_main or each.credit_minor]


async def currencies_paid(scope: Scope, customer_id: int) -> list[Balance]:
    """Balances of which something can be paid back: free credit, or what was paid on invoices."""
    return [
        each
        for each in await list_balances(scope, customer_id)
        if each.is_main or each.credit_minor or await paid_on_invoices(scope, customer_id, each.currency)
    ]


async def currencies_owed(scope: Scope, customer_id: int) -> list[Balance]:
    """Where goodwill can do something: the customer's currency, and those in which it owes or has credit."""
    return [
        each
        for each in await list_balances(scope, customer_id)
        if each.is_main or each.credit_minor or each.receivable_minor
    ]


async def get_payment(scope: Scope, payment_id: int) -> PaymentDetail:
    found = await row(
        PaymentRow,
        f"{PAYMENT} WHERE payment.id = :id AND :within",
        id=payment_id,
        within=within(Payment, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"payment {payment_id}")
    paid = await rows(
        PaidRow,
        "SELECT a.id AS allocation_id, a.document_id, d.number, a.amount_minor, a.allocated_on,"
        " EXISTS (SELECT 1 FROM allocation u WHERE u.undoes_id = a.id) AS undone"
        " FROM allocation a JOIN credit_entry e ON e.id = a.credit_entry_id JOIN document d ON d.id = a.document_id"
        " WHERE e.source_kind = 'payment' AND e.source_id = :id AND a.amount_minor > 0 ORDER BY a.id",
        id=payment_id,
    )
    return PaymentDetail(**msgspec.structs.asdict(found), paid=paid)


async def list_naming(scope: Scope, document_id: int, payer_id: int) -> list[NamingRow]:
    """Money that came and names a document, the oldest first: one row for each document that it settled, or one
    alone."""
    return await rows(
        NamingRow,
        "SELECT payment.id, m.name AS method_name, payment.received_on, payment.currency, payment.amount_minor,"
        " payment.reversed_minor, coalesce(e.left_minor, 0) AS free_minor, d.id AS document_id, d.number,"
        " CAST(coalesce(sum(a.amount_minor), 0) AS bigint) AS settled_minor"
        " FROM payment JOIN payment_method m ON m.id = payment.method_id"
        " LEFT JOIN credit_entry e ON e.source_kind = 'payment' AND e.source_id = payment.id"
        " LEFT JOIN allocation a ON a.credit_entry_id = e.id LEFT JOIN document d ON d.id = a.document_id"
        " WHERE payment.payer_id = :payer_id AND payment.names_document_id = :document_id"
        " AND payment.state IN ('received', 'part_reversed', 'reversed') AND :within"
        " GROUP BY payment.id, m.name, payment.received_on, payment.currency, payment.amount_minor,"
        " payment.reversed_minor, e.left_minor, d.id, d.number ORDER BY payment.id, d.id",
        document_id=document_id,
        payer_id=payer_id,
        within=within(Payment, scope.actor.reach),
    )


async def list_payments(
    scope: Scope, *, payer_id: int | None = None, before: int | None = None, limit: int = 50
) -> list[PaymentRow]:
    """The newest first, from before an id on."""
    asked = all_of(
        payer_id is not None and "payment.payer_id = :payer_id", before is not None and "payment.id < :before"
    )
    return await rows(
        PaymentRow,
        f"{PAYMENT} WHERE {asked} AND :within ORDER BY payment.id DESC LIMIT :limit",
        payer_id=payer_id,
        before=before,
        limit=limit,
        within=within(Payment, scope.actor.reach),
    )


async def list_methods(*, only_active: bool = True) -> list[MethodRow]:
    return await rows(
        MethodRow,
        f"SELECT id, code, name, kind, active FROM payment_method WHERE {all_of(only_active and 'active')}"
        " ORDER BY position, id",
    )


class Purpose(Struct, frozen=True):
    """What a credit can be meant for: an open invoice ("invoice:12"), or a live subscription ("subscription:3")."""

    value: str
    name: str
    open_minor: int | None = None


async def list_purposes(scope: Scope, customer_id: int, currency: str) -> list[Purpose]:
    """Open invoices of a payer, the oldest due first, then the subscriptions that it pays for."""
    return [
        *await rows(
            Purpose,
            "SELECT 'invoice:' || CAST(document_state.document_id AS text) AS value, d.number AS name,"
            " document_state.open_minor FROM document_state JOIN document d ON d.id = document_state.document_id"
            " WHERE document_state.payer_id = :id AND document_state.currency = :currency"
            " AND document_state.open_minor > 0 AND :within"
            " ORDER BY document_state.due_on, document_state.document_id LIMIT 100",
            id=customer_id,
            currency=currency,
            within=within(DocumentState, scope.actor.reach),
        ),
        *await rows(
            Purpose,
            "SELECT 'subscription:' || CAST(subscription.id AS text) AS value,"
            " CASE WHEN subscription.label <> '' THEN p.name || ', ' || subscription.label ELSE p.name END AS name,"
            " NULL AS open_minor FROM subscription JOIN product p ON p.id = subscription.product_id"
            " JOIN customer c ON c.id = subscription.customer_id"
            " WHERE (c.payer_id = :id OR (c.id = :id AND c.payer_id IS NULL)) AND subscription.state IN :live"
            " AND :within ORDER BY p.name, subscription.id LIMIT 100",
            id=customer_id,
            live=("pending", "trial", "active", "suspended", "paused"),
            within=within(Subscription, scope.actor.reach),
        ),
    ]
