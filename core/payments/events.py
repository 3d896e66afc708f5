"""Money that came and went."""

from core.activity.events import Event


class PaymentReceived(Event, subject="payment"):
    """It is the customer's credit now, and settled what it could."""

    payment_id: int
    customer_id: int
    amount_minor: int
    currency: str


class PaymentReversed(Event, subject="payment"):
    """A chargeback or a returned debit took it back, in whole or in part."""

    payment_id: int
    customer_id: int
    amount_minor: int
    currency: str


class UnidentifiedReceived(Event, subject="payment"):
    """Money of somebody unknown: in suspense until it is assigned."""

    payment_id: int
    amount_minor: int
    currency: str


class UnidentifiedSentBack(Event, subject="payment"):
    payment_id: int
    amount_minor: int
    currency: str


class PaymentAssigned(Event, subject="payment"):
    """The customer of an unidentified receipt was found: it is the customer's credit now."""

    payment_id: int
    customer_id: int
    amount_minor: int
    currency: str


class CreditTransferred(Event, subject="customer"):
    """Credit came from another customer, or went to one (below 0)."""

    customer_id: int
    other_customer: int
    amount_minor: int
    currency: str


class CreditRefunded(Event, subject="refund"):
    refund_id: int
    customer_id: int
    amount_minor: int
    currency: str


class DepositReceived(Event, subject="deposit"):
    """It is held beside the customer's balance."""

    deposit_id: int
    customer_id: int
    amount_minor: int
    currency: str


class DepositApplied(Event, subject="deposit"):
    """Some of it is the customer's credit now."""

    deposit_id: int
    customer_id: int
    amount_minor: int
    currency: str


class DepositPaidBack(Event, subject="deposit"):
    deposit_id: int
    customer_id: int
    amount_minor: int
    currency: str


class PaymentMethodChanged(Event, subject="payment_method"):
    payment_method_id: int


class OnlinePaymentBegun(Event, subject="payment"):
    """Somebody was sent to a gateway to pay."""

    payment_id: int
    customer_id: int
    amount_minor: int
    currency: str


class OnlinePaymentFailed(Event, subject="payment"):
    """The payer declined, never came back, or the gateway refused; no money moved."""

    payment_id: int
    customer_id: int
    amount_minor: int
    currency: str


class OnlinePaymentUnclear(Event, subject="payment"):
    """Nobody knows yet what became of it; the gateway is asked."""

    payment_id: int
    customer_id: int


class RefundFailed(Event, subject="refund"):
    """The gateway did not pay it back: it is the customer's credit again."""

    refund_id: int
    customer_id: int
    amount_minor: int
    currency: str


class GatewayPaidOut(Event, subject="gateway_payout"):
    """What a gateway had received for the operator is at its bank."""

    gateway_payout_id: int
    amount_minor: int
    currency: str
