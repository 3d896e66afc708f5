"""The list of payments, as it is declared for its page, its exports and the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from core.customers.picking import END, customer_choice, of_customer_named
from core.ids import sort_key
from core.lists.columns import Condition, ListChoice, ListColumn, Total
from core.lists.drawing import link, pill
from core.lists.listing import Choices, Listing
from core.payments import pages, queries
from core.payments.queries import PAYMENT
from core.payments.schemas import PaymentRow
from core.payments.tables import Payment
from core.texts import N_, _, ngettext

if TYPE_CHECKING:
    from core.lists.drawing import Given
    from core.scope import Scope

PAYER: Final = "LEFT JOIN customer list_payer ON list_payer.id = payment.payer_id"
FREE: Final = (
    "LEFT JOIN credit_entry list_credit ON list_credit.source_kind = 'payment' AND list_credit.source_id = payment.id"
)


async def payment_choices(scope: Scope, address: Mapping[str, str]) -> Choices:
    """What columns of choices can be filtered by, with the payer that this address asks for."""
    choices = {
        "method": [ListChoice(one.code, one.name, one.id) for one in await queries.list_methods(only_active=False)],
        "status": [ListChoice(key, _(shown.label), key) for key, shown in pages.PILLS.items()],
    }
    return choices | await customer_choice(scope, address, "payer_id")


def payment_search(typed: str) -> Condition | None:
    """By the beginning of the reference or of the customer's name."""
    key = sort_key(typed)
    if not key:
        return None
    named = of_customer_named("payment.payer_id", key)
    return Condition(
        f"(payment.reference >= :reference AND payment.reference < :reference_end) OR {named.sql}",
        {"reference": typed, "reference_end": typed + END, **named.values},
    )


def _payer(row: PaymentRow, given: Given) -> Markup:
    if row.payer_id is None:
        return Markup('<span class="t-2">{}</span>').format(_("Nobody found"))
    return link(f"/customers/{row.payer_id}/transactions", row.payer or str(row.payer_id))


def _status(row: PaymentRow, given: Given) -> Markup:
    shown = pages.pill_of(row)
    return pill(shown.label, shown.kind)


PAYMENTS: Final = Listing(
    key="payments",
    href="/payments",
    permission="payments.view",
    title=N_("Payments"),
    noun="payment",
    counted=lambda many: ngettext("%(num)s payment", "%(num)s payments", many),
    placeholder=N_("Customer's name, or reference"),
    none=(
        N_("No payments yet"),
        N_("They are registered on the tab Transactions of a customer, or on an invoice."),
    ),
    no_match=N_("No payment matches"),
    table=Payment,
    into=PaymentRow,
    select=PAYMENT,
    sort="-id",
    search=payment_search,
    choices=payment_choices,
    link=lambda row: f"/payments/{row.id}",
    name_of=lambda row: row.reference or str(row.id),
    currency=lambda row: row.currency,
    total_currency="payment.currency",
    columns=(
        ListColumn(
            key="received",
            label=N_("Received"),
            expr="payment.received_on",
            indexed=True,
            kind="date",
            field="received_on",
        ),
        ListColumn(
            key="customer",
            label=N_("Customer"),
            expr="coalesce(list_payer.name_key, '')",
            keyed=True,
            join=PAYER,
            value=lambda row: row.payer or "",
            role="c-meta",
            cls="t-clip wide",
            cell=_payer,
        ),
        ListColumn(key="method", label=N_("Method"), expr="payment.method_id", kind="choice", field="method_name"),
        ListColumn(key="reference", label=N_("Reference"), expr="payment.reference", cls="t-clip wide"),
        ListColumn(
            key="status",
            label=N_("Status"),
            expr="payment.state",
            kind="choice",
            role="c-status",
            value=lambda row: pages.pill_of(row).label,
            cell=_status,
        ),
        ListColumn(
            key="free",
            label=N_("Free"),
            expr="coalesce(list_credit.left_minor, 0)",
            join=FREE,
            kind="amount",
            field="free_minor",
            total=Total("coalesce(list_credit.left_minor, 0)"),
        ),
        ListColumn(
            key="amount",
            label=N_("Amount"),
            expr="payment.amount_minor",
            kind="amount",
            field="amount_minor",
            role="c-amount",
            total=Total(
                "CASE WHEN payment.state <> 'failed' THEN payment.amount_minor ELSE 0 END",
                lambda row: row.amount_minor if row.state != "failed" else None,
            ),
        ),
        ListColumn(key="id", label=N_("Id"), expr="payment.id", kind="number", shown=False),
        ListColumn(
            key="reversed",
            label=N_("Reversed"),
            expr="payment.reversed_minor",
            kind="amount",
            field="reversed_minor",
            shown=False,
        ),
        ListColumn(key="currency", label=N_("Currency"), expr="payment.currency", shown=False),
        ListColumn(key="note", label=N_("Note"), expr="payment.note", shown=False),
        ListColumn(
            key="payer_id", label=N_("Customer"), expr="payment.payer_id", kind="choice", sorts=False, drawn=False
        ),
    ),
)
