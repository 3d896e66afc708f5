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


class CreditRefunded(Event, subject="refund"):
    refund_id: int
    customer_id: int
    amount_minor: int
    currency: str


class PaymentMethodChanged(Event, subject="payment_method"):
    payment_method_id: int
