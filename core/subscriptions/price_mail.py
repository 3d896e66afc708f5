"""What customers are written before the price of what they have changes."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.customers.queries import document_recipients, get_customer
from core.customers.status import Documents
from core.messages.actions import queue
from core.messages.kinds import MessageKind, Words
from core.money import Money
from core.texts import N_

if TYPE_CHECKING:
    from core.scope import Scope


class PriceNotice(Struct, frozen=True, kw_only=True):
    """What the words of the notice may use. Prices are those of a full cycle, for all that the customer has of it."""

    customer: str
    company: str
    product: str
    before: Money
    after: Money
    from_on: date


PRICE_CHANGES: Final = MessageKind(
    key="price_changes",
    label=N_("A price changes"),
    about=N_("Sent to who has a product, when its price is changed for existing subscriptions"),
    fields=PriceNotice,
    sample=PriceNotice(
        customer="Siobhán Kavanagh-Reyes",
        company="Marlbeck Net",
        product="Fibre 300",
        before=Money(4500, "EUR"),
        after=Money(4700, "EUR"),
        from_on=date(2027, 1, 1),
    ),
    words={
        "en": Words(
            subject="{{ company }}: the price of {{ product }} changes",
            body="Dear {{ customer }},\n\nthe price of {{ product }} changes from {{ before }} to {{ after }}. The new"
            " price holds from your first period that begins on or after {{ from_on }}; until then nothing changes.\n\n"
            "Kind regards\n{{ company }}",
        ),
        "de": Words(
            subject="{{ company }}: Der Preis von {{ product }} ändert sich",
            body="Guten Tag {{ customer }},\n\nder Preis von {{ product }} ändert sich von {{ before }} auf"
            " {{ after }}. Der neue Preis gilt ab Ihrem ersten Zeitraum, der am {{ from_on }} oder danach beginnt; bis"
            " dahin bleibt alles, wie es ist.\n\nFreundliche Grüße\n{{ company }}",
        ),
    },
    names={
        "product": N_("The product"),
        "before": N_("The price until then"),
        "after": N_("The new price"),
        "from_on": N_("The first day on which a period may begin at the new price"),
    },
)
MESSAGE_KINDS: Final = (PRICE_CHANGES,)


async def tell_price(
    scope: Scope, customer_id: int, *, product: str, before: Money, after: Money, from_on: date, about: str
) -> bool:
    """Queue the notice for one customer, once for what it is about; gives whether there was an address."""
    customer = await get_customer(scope, customer_id)
    recipients = await document_recipients(scope, customer, Documents.INVOICES)
    if not recipients.to:
        return False
    await queue(
        scope,
        PRICE_CHANGES,
        to=recipients.to,
        cc=recipients.cc,
        fields=PriceNotice(
            customer=customer.full_name,
            company=scope.tenant.name,
            product=product,
            before=before,
            after=after,
            from_on=from_on,
        ),
        customer_id=customer_id,
        dedupe_key=about,
        language=customer.language,
    )
    return True
