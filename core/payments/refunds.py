"""Credit that is paid back, at once or by a gateway: the one place that takes it and books it (row 14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from core.activity.unit import record
from core.billing.actions.allocation import use_credit
from core.database import value
from core.ids import new_token
from core.ledger.accounts import Code
from core.ledger.fx import part_of_base
from core.ledger.posting import credit, debit, post
from core.payments.events import CreditRefunded

if TYPE_CHECKING:
    from core.billing.actions.allocation import Free
    from core.scope import Scope


class Method(Struct, frozen=True):
    """How money comes and goes, and the account that it is booked on."""

    id: int
    account_code: str


async def book_refund(
    scope: Scope, entry: Free, amount_minor: int, method: Method, reason: str, *, reference: str = "", gateway: str = ""
) -> int:
    """So much of a locked credit is paid back; gives the refund's id. `gateway`: which one is to be told, under a key
    of ours; until it has answered the refund is pending.
    """
    base = part_of_base(entry.base_left_minor, entry.left_minor, amount_minor)
    refund_id = int(
        await value(
            "INSERT INTO refund (credit_entry_id, customer_id, method_id, state, currency, amount_minor, reason,"
            " reference, refunded_on, provider, provider_key, created_at) VALUES (:entry, :customer_id, :method_id,"
            " :state, :currency, :amount, :reason, :reference, :today, :provider, :key, :now) RETURNING id",
            entry=entry.id,
            customer_id=entry.customer_id,
            method_id=method.id,
            state="pending" if gateway else "done",
            currency=entry.currency,
            amount=amount_minor,
            reason=reason,
            reference=reference,
            today=scope.today(),
            provider=gateway or None,
            key=new_token() if gateway else None,
            now=scope.now(),
        )
    )
    await use_credit(scope, entry.id, "refund", refund_id, amount_minor, base)
    await post(
        [
            debit(Code.CUSTOMER_CREDIT, amount_minor, entry.currency, base, customer_id=entry.customer_id),
            credit(method.account_code, amount_minor, entry.currency, base),
        ],
        kind="refund",
        source_kind="refund",
        source_id=refund_id,
        booked_on=scope.today(),
    )
    record(
        scope,
        CreditRefunded(
            refund_id=refund_id, customer_id=entry.customer_id, amount_minor=amount_minor, currency=entry.currency
        ),
        changes={"reason": (None, reason)},
    )
    return refund_id
