"""What the plugin's pages and API take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

Text = Annotated[str, Meta(max_length=120)]


class NewItem(Struct, frozen=True, forbid_unknown_fields=True):
    """A device; its product is found by vendor and name, or made."""

    product: Annotated[str, Meta(min_length=1, max_length=120)]
    serial: Annotated[str, Meta(min_length=1, max_length=120)]
    vendor: Text = ""
    barcode: Text = ""
    note: Annotated[str, Meta(max_length=2000)] = ""


class Assignment(Struct, frozen=True, forbid_unknown_fields=True):
    customer_id: Annotated[int, Meta(ge=1)]


class ItemRow(Struct, frozen=True):
    id: int
    vendor: str
    product: str
    serial: str
    barcode: str
    status: str
    customer_id: int | None
    customer: str | None
    note: str
    changed_at: datetime
