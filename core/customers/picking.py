"""Rows of any list by the customer that they are of: chosen by its id, or searched by its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from core.customers.hierarchy import find_standing
from core.errors import Invalid
from core.lists.columns import Condition, ListChoice
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope

END: Final = "\U0010ffff"
"""Behind whatever begins so."""


async def customer_choice(scope: Scope, address: Mapping[str, str], field: str) -> dict[str, list[ListChoice]]:
    """The customer that an address asks for by its id: there are too many to choose from. Nothing where none is."""
    asked = address.get(field, "")
    if not asked:
        return {}
    if not asked.isdecimal() or len(asked) > 18:
        raise Invalid(_("Give the id of a customer."), field=field)
    found = await find_standing(scope, int(asked))
    return {field: [ListChoice(asked, asked if found is None else found.full_name, int(asked))]}


def of_customer_named(column: str, key: str) -> Condition:
    """Rows whose customer's name begins so; `column` holds its id."""
    return Condition(
        f"{column} IN (SELECT sought.id FROM customer sought"
        " WHERE sought.name_key >= :text AND sought.name_key < :text_end)",
        {"text": key, "text_end": key + END},
    )
