"""Credit that goes from one customer to another, in one currency (row 30)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from core.activity.unit import record, unit_of_work
from core.billing.actions import allocate_credit, open_credit
from core.billing.actions.allocation import lock_balance, lock_credit, use_credit
from core.database import value, values
from core.errors import Conflict, Invalid
from core.ids import Id
from core.ledger.accounts import Code
from core.ledger.fx import part_of_base
from core.ledger.posting import credit, debit, post
from core.money import check_currency, format_amount
from core.payments.actions import require_customer
from core.payments.events import CreditTransferred
from core.payments.schemas import AmountMinor
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope


class NewTransfer(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Free credit to another customer; all that is free when the amount is left out. The currency is the customer's, or
    one in which it has credit."""

    to_customer_id: Id
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    amount_minor: AmountMinor | None = None
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


async def transfer_credit(scope: Scope, from_id: int, data: NewTransfer) -> int:
    """Free credit, the oldest first, becomes another customer's; gives how much. There it settles what is due longest.

    It is the other one's currency, or one in which that has a balance. What of it came from a subscription is not
    forfeited with that any more.
    """
    async with unit_of_work(scope):
        currency = check_currency(data.currency or await require_customer(scope, from_id, "customer_id"))
        await require_customer(scope, from_id, "customer_id")
        if data.to_customer_id == from_id:
            raise Invalid(_("Choose another customer."), field="to_customer_id")
        theirs = await require_customer(scope, data.to_customer_id, "to_customer_id")
        if theirs != currency and not await value(
            "SELECT 1 FROM customer_balance WHERE customer_id = :id AND currency = :currency",
            id=data.to_customer_id,
            currency=currency,
        ):
            raise Invalid(
                _("Choose a customer whose currency is %(currency)s.", currency=currency), field="to_customer_id"
            )
        for each in sorted((from_id, data.to_customer_id)):
            await lock_balance(each, currency)
        entry_ids = await values(
            "SELECT id FROM credit_entry WHERE customer_id = :id AND currency = :currency AND left_minor > 0"
            " ORDER BY id FOR UPDATE",
            id=from_id,
            currency=currency,
        )
        free = [await lock_credit(scope, int(each)) for each in entry_ids]
        total = sum(each.left_minor for each in free)
        wanted = total if data.amount_minor is None else data.amount_minor
        if not total:
            raise Conflict(_("There is no free credit to transfer."))
        if wanted > total:
            most = format_amount(total, currency)
            raise Invalid(_("At most %(most)s is free.", most=most), field="amount_minor")
        left = wanted
        for entry in free:
            amount = min(left, entry.left_minor)
            if not amount:
                break
            left -= amount
            base = part_of_base(entry.base_left_minor, entry.left_minor, amount)
            await _move(scope, entry.id, from_id, data, amount, base, currency)
        for customer_id, other_id, minor in (
            (from_id, data.to_customer_id, -wanted),
            (data.to_customer_id, from_id, wanted),
        ):
            record(
                scope,
                CreditTransferred(
                    customer_id=customer_id, other_customer=other_id, amount_minor=minor, currency=currency
                ),
                changes={"reason": (None, data.reason)},
            )
        await allocate_credit(scope, data.to_customer_id, currency)
        return wanted


async def _move(
    scope: Scope, entry_id: int, from_id: int, data: NewTransfer, amount: int, base: int, currency: str
) -> None:
    use_id = await use_credit(scope, entry_id, "transfer", data.to_customer_id, amount, base)
    await post(
        [
            debit(Code.CUSTOMER_CREDIT, amount, currency, base, customer_id=from_id),
            credit(Code.CUSTOMER_CREDIT, amount, currency, base, customer_id=data.to_customer_id),
        ],
        kind="transfer",
        source_kind="credit_use",
        source_id=use_id,
        booked_on=scope.today(),
    )
    await open_credit(
        scope,
        data.to_customer_id,
        currency=currency,
        source_kind="transfer",
        source_id=use_id,
        amount_minor=amount,
        base_minor=base,
        reason=data.reason,
    )
