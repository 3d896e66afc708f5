"""Documents to print, and what can be read from a PDF."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pypdfium2

from core.documents.model import BankAccount, Buyer, Document, DocumentKind, Line, Seller, TaxLine

IBAN = "IE29AIBK93115212345678"


def line(text: str = "Fibre 300", amount_minor: int = 4500, **more: Any) -> Line:
    values: dict[str, Any] = {
        "text": text,
        "detail": "Line MB-HAR-00417",
        "period": (date(2026, 11, 1), date(2026, 12, 1)),
        "unit": "Month",
        "unit_price": Decimal(amount_minor).scaleb(-2),
        "tax_ppm": 230_000,
        "amount_minor": amount_minor,
    }
    return Line(**{**values, **more})


def document(**changes: Any) -> Document:
    """An invoice over €55.35; by `changes` anything else."""
    values: dict[str, Any] = {
        "kind": DocumentKind.INVOICE,
        "language": "en",
        "currency": "EUR",
        "number": "2026-047411",
        "issued_on": date(2026, 12, 1),
        "due_on": date(2026, 12, 31),
        "seller": Seller(
            name="Marlbeck Net",
            legal_name="Marlbeck Net Ltd",
            address=("2 Chandlers Lane", "V95 A1N0 Marlbeck"),
            legal_line="Registered in Ireland 000000",
            contact="Questions? accounts@marlbeck.example.",
        ),
        "buyer": Buyer(
            name="Tarrow & Pike Architects Ltd",
            address=("4 Harbour Row", "V95 K2R7 Marlbeck", "Ireland"),
            customer_number="10859",
            vat_id="IE6388047V",
        ),
        "lines": (line(),),
        "taxes": (TaxLine(tax_ppm=230_000, net_minor=4500, tax_minor=1035),),
        "net_minor": 4500,
        "tax_minor": 1035,
        "total_minor": 5535,
        "account": BankAccount(holder="Marlbeck Net Ltd", iban=IBAN),
    }
    return Document(**{**values, **changes})


def pages_of(pdf: bytes) -> list[str]:
    """The text of each page, as a reader shows it."""
    opened = pypdfium2.PdfDocument(pdf)
    try:
        return [page.get_textpage().get_text_range().replace("\r\n", "\n") for page in opened]
    finally:
        opened.close()


def places_of(pdf: bytes, page: int, text: str) -> list[tuple[float, float, float, float]]:
    """Where a text stands on a page: left, bottom, right, top of its characters, in points."""
    opened = pypdfium2.PdfDocument(pdf)
    try:
        textpage = opened[page].get_textpage()
        searcher, found = textpage.search(text), []
        while (hit := searcher.get_next()) is not None:
            boxes = [textpage.get_charbox(index) for index in range(hit[0], hit[0] + hit[1])]
            lefts, bottoms, rights, tops = zip(*boxes, strict=True)
            found.append((min(lefts), min(bottoms), max(rights), max(tops)))
        return found
    finally:
        opened.close()
