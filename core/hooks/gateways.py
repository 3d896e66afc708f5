"""What the core and a payment gateway say to each other: orders, pages, and what became of the money."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from core.scope import Scope

NewsKind = Literal["payment", "refund", "payout"]
MoneyState = Literal["pending", "received", "failed"]


class PayOrder(Struct, frozen=True, kw_only=True):
    """Money to be asked of a payer. `key` is ours: whoever asks again with the same key means the same payment."""

    key: str
    amount_minor: int
    currency: str
    text: str
    """What it is for, as the payer reads it."""
    back: str
    """Where the payer comes back to, whatever it did."""
    notify: str
    """Where notifications go."""
    language: str = "en"


class PayPage(Struct, frozen=True, kw_only=True):
    """Where the payer is sent to pay, and the gateway's own name for the payment."""

    href: str
    reference: str


class PayBack(Struct, frozen=True, kw_only=True):
    """Money to be paid back; `key` is ours, `reference` names the payment that it was."""

    key: str
    reference: str
    amount_minor: int
    currency: str


class GatewayNews(Struct, frozen=True, kw_only=True):
    """What a gateway says of a payment, a refund or a payout. The same `event_id` is the same news for ever.

    `key` is ours where it gives it back, `reference` its own name. `fee_minor` is what it keeps of a payment. A payout
    has neither key nor payment: it is what arrived at the bank on `on`.
    """

    event_id: str
    state: MoneyState
    amount_minor: int
    currency: str
    kind: NewsKind = "payment"
    key: str = ""
    reference: str = ""
    fee_minor: int = 0
    reason: str = ""
    on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentGateway:
    """A way to pay online. The core calls it between two recorded states, never inside a unit of work, and may call
    again with the same key: nothing may come of that twice.

    `begin` opens a payment and gives the page to pay it on. `look` tells how a payment or refund of ours stands, None
    where the gateway knows of none by this key. `read` takes the headers and body of a notification and raises
    Forbidden where the signature is not right. `pay_back` gives money back. All raise Unavailable where the gateway
    does not answer: then it is asked again, and never charged again.
    """

    key: str
    """Begins with the plugin's name; it is the code of the payment method too."""
    label: str
    """As the payer reads it: "Card", "Direct debit"."""
    begin: Callable[[Scope, PayOrder], Awaitable[PayPage]]
    look: Callable[[Scope, str], Awaitable[GatewayNews | None]]
    read: Callable[[Scope, Mapping[str, str], bytes], Awaitable[Sequence[GatewayNews]]]
    pay_back: Callable[[Scope, PayBack], Awaitable[GatewayNews]] | None = None
    currencies: frozenset[str] = frozenset()
    """Those that it takes; empty: all."""
    hint: str = ""

    def takes(self, currency: str) -> bool:
        return not self.currencies or currency in self.currencies
