"""What pages show of deposits."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.money import format_amount
from core.payments.pages import UseItem
from core.texts import N_, _

if TYPE_CHECKING:
    from core.payments.deposits import DepositDetail

USES: Final = {"applied": N_("Applied"), "paid_back": N_("Paid back")}


class DepositItem(Struct, frozen=True, kw_only=True):
    """A deposit with what became of it; `held`: some of it still is."""

    id: int
    on: date
    reason: str
    amount: str
    left: str
    currency: str
    held: bool
    uses: tuple[UseItem, ...] = ()


def deposit_item(deposit: DepositDetail) -> DepositItem:
    return DepositItem(
        id=deposit.id,
        on=deposit.received_on,
        reason=", ".join(text for text in (deposit.reason, deposit.reference) if text),
        amount=format_amount(deposit.amount_minor, deposit.currency),
        left=format_amount(deposit.left_minor, deposit.currency),
        currency=deposit.currency,
        held=deposit.left_minor > 0,
        uses=tuple(
            UseItem(
                text=_(USES[each.kind]),
                href="",
                amount=format_amount(each.amount_minor, deposit.currency),
                on=each.used_on,
            )
            for each in deposit.uses
        ),
    )
