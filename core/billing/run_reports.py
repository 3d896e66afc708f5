"""What a run, or its preview, says that it did."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from msgspec import Struct


class ParkedPayer(Struct, frozen=True):
    """`amount_minor`: what is not billed, before tax, where that is known."""

    payer_id: int
    reason: str
    detail: str
    amount_minor: int | None = None
    currency: str | None = None


class PayerDifference(Struct, frozen=True):
    """What a payer would be billed and what the run before billed, where it is more than 30 % off."""

    payer_id: int
    payer: str
    currency: str
    before_minor: int
    minor: int


class ProductTotal(Struct, frozen=True):
    """What a preview bills of a product; no product is what was charged by hand."""

    product: str
    currency: str
    lines: int
    net_minor: int


class RunReport(Struct, kw_only=True):
    """What a run did, or what a preview says it would do. Totals are minor units by currency.

    `question`: it waits for a person who says yes (`confirmed`). `renewed`, `not_covered`: prepaid subscriptions that
    balances paid for, or did not. Of a preview alone: `payers`, `net`, `tax`,
    `rounding`, `products`, and how many payers are more than 30 % off the run `compared_with`, with the largest
    `differences`.
    """

    run_id: int | None
    as_of_on: date
    issued_on: date
    preview: bool
    state: str
    question: str = ""
    invoices: int = 0
    charges: int = 0
    totals: dict[str, int] = {}
    parked: list[ParkedPayer] = []
    renewed: int = 0
    not_covered: int = 0
    payers: int = 0
    net: dict[str, int] = {}
    tax: dict[str, int] = {}
    rounding: dict[str, int] = {}
    products: list[ProductTotal] = []
    compared_with: int | None = None
    differing: int = 0
    differences: list[PayerDifference] = []
    chunks: int = 0
    seconds: float = 0.0
    longest_chunk: float = 0.0


Progress = Callable[[int, int, str], Any]
