"""Rows of stored files."""

from typing import Any

from piccolo.columns import BigInt, BigSerial, ForeignKey, Text, Timestamptz
from piccolo.columns.reference import LazyTableReference
from piccolo.table import Table

from core.database import via


class StoredFile(Table):
    """A file by the hash of what is in it; the bytes lie in the tenant's folder. Never changed, only removed."""

    belongs = via("customer_id")

    id = BigSerial(primary_key=True)
    sha256 = Text()
    size = BigInt()
    media_type = Text()
    name = Text()
    customer_id: ForeignKey[Any] = ForeignKey(
        LazyTableReference("Customer", module_path="core.customers.tables"), null=True, index=True
    )
    created_at = Timestamptz()
