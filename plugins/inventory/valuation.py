"""What the hardware that the operator owns has cost, by where it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from core.database import rows
from core.texts import N_, _, ngettext
from core.web.reach import check_sees_everyone
from plugins.inventory.schemas import Valuation, ValueRow
from plugins.inventory.status import OWNED, pill_of

if TYPE_CHECKING:
    from core.scope import Scope

_SUMS: Final = """
       count(*) AS items,
       CAST(sum(CASE WHEN coalesce(i.cost_minor, p.cost_minor) IS NULL THEN 1 ELSE 0 END) AS bigint) AS unpriced,
       CAST(coalesce(sum(coalesce(i.cost_minor, p.cost_minor)), 0) AS bigint) AS cost_minor
FROM inventory_item i
JOIN inventory_product p ON p.id = i.product_id
LEFT JOIN inventory_vendor v ON v.id = p.vendor_id
LEFT JOIN inventory_location l ON l.id = i.location_id
WHERE i.status IN :owned
"""
WITH_CUSTOMERS: Final = N_("With customers")
NOWHERE: Final = N_("No location")


async def valuation(scope: Scope) -> Valuation:
    """At each item's own cost price, else its product's. Sold and written off hardware is not the operator's.

    For staff who see everyone: the stock is nobody's in particular.
    """
    check_sees_everyone(scope)
    owned = sorted(OWNED)
    by_location = await rows(
        ValueRow,
        f"SELECT i.location_id AS id, CASE WHEN i.customer_id IS NOT NULL THEN :customers"
        f" ELSE coalesce(l.name, :nowhere) END AS label, {_SUMS}"
        " GROUP BY i.location_id, CASE WHEN i.customer_id IS NOT NULL THEN :customers"
        " ELSE coalesce(l.name, :nowhere) END ORDER BY cost_minor DESC, label",
        owned=owned,
        customers=_(WITH_CUSTOMERS),
        nowhere=_(NOWHERE),
    )
    by_product = await rows(
        ValueRow,
        f"SELECT p.id AS id, trim(coalesce(v.name, '') || ' ' || p.name) AS label, {_SUMS}"
        " GROUP BY p.id, trim(coalesce(v.name, '') || ' ' || p.name) ORDER BY cost_minor DESC, label",
        owned=owned,
    )
    by_state = await rows(
        ValueRow,
        f"SELECT CAST(NULL AS bigint) AS id, i.status AS label, {_SUMS} GROUP BY i.status"
        " ORDER BY cost_minor DESC, label",
        owned=owned,
    )
    return Valuation(
        currency=scope.tenant.currency,
        items=sum(one.items for one in by_product),
        unpriced=sum(one.unpriced for one in by_product),
        cost_minor=sum(one.cost_minor for one in by_product),
        by_location=by_location,
        by_product=by_product,
        by_state=[msgspec.structs.replace(one, label=pill_of(one.label)[0]) for one in by_state],
    )


def first_of(lines: list[ValueRow], most: int) -> tuple[list[ValueRow], ValueRow | None]:
    """The first of them, and all others in one; None where there is no more than one other."""
    rest = lines[most:]
    if len(rest) < 2:
        return lines, None
    return lines[:most], ValueRow(
        id=None,
        label=ngettext("%(num)s other product", "%(num)s other products", len(rest)),
        items=sum(one.items for one in rest),
        unpriced=sum(one.unpriced for one in rest),
        cost_minor=sum(one.cost_minor for one in rest),
    )
