"""Who else has an e-mail or a phone: told where one is typed, for a hint. Two may share one, so nothing is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.customers.addresses import check_emails, check_phones, country_code
from core.customers.tables import Customer
from core.database import rows, within
from core.ids import sort_key
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope

TOLD: Final = 5
"""Customers that are named."""


class Sharing(Struct, frozen=True):
    """A customer that has some of the addresses already."""

    id: int
    full_name: str
    values: str
    """Those it has, with commas."""


class _Found(Struct, frozen=True):
    id: int
    full_name: str
    value_key: str


async def list_sharing(
    scope: Scope, emails: Sequence[str], phones: Sequence[str], country: str = "", *, besides: int = 0
) -> list[Sharing]:
    """Other customers that the actor may see and that have one of these, each named once, up to `TOLD` and one more.
    What is no e-mail and no phone number is nobody's. A number without + is of `country`, else of the operator's."""
    asked = {sort_key(address): address for address in check_emails(emails, "emails", [])}
    numbers = check_phones(phones, country_code(country) or scope.tenant.country, "phones", [])
    asked.update({e164: shown for shown, e164 in numbers})
    if not asked or not scope.may("customers.view"):
        return []
    found = await rows(
        _Found,
        "SELECT DISTINCT customer.id, customer.full_name, customer_address.value_key FROM customer_address"
        " JOIN customer ON customer.id = customer_address.customer_id"
        " WHERE customer_address.value_key IN :keys AND customer.id <> :besides AND :within"
        " ORDER BY customer.id LIMIT :limit",
        keys=list(asked),
        besides=besides,
        within=within(Customer, scope.actor.reach),
        limit=(TOLD + 1) * len(asked),
    )
    by_customer: dict[int, list[_Found]] = {}
    for one in found:
        by_customer.setdefault(one.id, []).append(one)
    return [
        Sharing(id, some[0].full_name, ", ".join(asked[one.value_key] for one in some))
        for id, some in list(by_customer.items())[: TOLD + 1]
    ]


def sharing_in_words(found: Sequence[Sharing]) -> str:
    """One sentence, where nothing can be led to; empty where nobody shares it."""
    if not found:
        return ""
    first = found[0]
    told = _("%(value)s is also that of %(name)s (%(id)s).", value=first.values, name=first.full_name, id=first.id)
    more = _("Others have it, too.")
    return f"{told} {more}" if len(found) > 1 else told
