"""What customers are written whose balance does not cover a renewal: as it happens, and some days before."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.billing.settings import BillingSettings
from core.customers.queries import document_recipients, get_customer
from core.customers.status import Documents
from core.database import row, rows, value
from core.hooks import MessageLink
from core.messages.actions import queue
from core.messages.kinds import MessageKind, Words
from core.messages.links import links_for
from core.money import Money
from core.settings.queries import load_settings
from core.texts import N_

if TYPE_CHECKING:
    from core.scope import Scope


class PrepaidNotice(Struct, frozen=True, kw_only=True):
    """What the words of these notices may use. `total` is what the renewal costs with tax."""

    customer: str
    company: str
    product: str
    on: date
    total: Money
    missing: Money
    links: list[MessageLink] = []


SAMPLE: Final = PrepaidNotice(
    customer="Siobhán Kavanagh-Reyes",
    company="Marlbeck Net",
    product="Fibre 300",
    on=date(2026, 12, 1),
    total=Money(2400, "EUR"),
    missing=Money(1900, "EUR"),
    links=[MessageLink(label="Your account", href="https://marlbeck.example/portal")],
)
NAMES: Final = {
    "product": N_("What is to be renewed"),
    "on": N_("The day on which it is to be renewed"),
    "total": N_("What that costs, with tax"),
    "missing": N_("By how much the balance is short of it"),
    "links": N_("Links of plugins, each with label and href"),
}
_END: Final = (
    "{% for link in links +%}\n\n{{ link.label }}: {{ link.href }}{% endfor +%}\n\nKind regards\n{{ company }}"
)
_ENDE: Final = (
    "{% for link in links +%}\n\n{{ link.label }}: {{ link.href }}{% endfor +%}\n\nFreundliche Grüße\n{{ company }}"
)

NOT_COVERED: Final = MessageKind(
    key="prepaid_not_covered",
    label=N_("The balance does not cover a renewal"),
    about=N_("Sent once for each renewal of something prepaid that the balance does not cover"),
    fields=PrepaidNotice,
    sample=SAMPLE,
    words={
        "en": Words(
            subject="{{ company }}: {{ product }} is not renewed",
            body="Dear {{ customer }},\n\n{{ product }} was to be renewed on {{ on }} for {{ total }}, but your balance"
            " is {{ missing }} short of that. It goes on as soon as you have paid {{ missing }}." + _END,
        ),
        "de": Words(
            subject="{{ company }}: {{ product }} wird nicht verlängert",
            body="Guten Tag {{ customer }},\n\n{{ product }} sollte am {{ on }} für {{ total }} verlängert werden, aber"
            " Ihrem Guthaben fehlen dafür {{ missing }}. Es geht weiter, sobald Sie {{ missing }} gezahlt haben."
            + _ENDE,
        ),
    },
    names=NAMES,
)
COMING: Final = MessageKind(
    key="prepaid_coming",
    label=N_("The balance will not cover a renewal"),
    about=N_("Sent once for each renewal, so many days before it as the billing settings say"),
    fields=PrepaidNotice,
    sample=SAMPLE,
    words={
        "en": Words(
            subject="{{ company }}: {{ product }} is renewed on {{ on }}",
            body="Dear {{ customer }},\n\n{{ product }} is to be renewed on {{ on }} for {{ total }}, and your balance"
            " is {{ missing }} short of that. Please pay {{ missing }} before, so that it goes on." + _END,
        ),
        "de": Words(
            subject="{{ company }}: {{ product }} wird am {{ on }} verlängert",
            body="Guten Tag {{ customer }},\n\n{{ product }} soll am {{ on }} für {{ total }} verlängert werden, und"
            " Ihrem Guthaben fehlen dafür {{ missing }}. Bitte zahlen Sie {{ missing }} vorher, damit es weitergeht."
            + _ENDE,
        ),
    },
    names=NAMES,
)
MESSAGE_KINDS: Final = (NOT_COVERED, COMING)


class Short(Struct, frozen=True):
    """A renewal that is not covered."""

    subscription_id: int
    period_start: date
    currency: str
    total_minor: int
    missing_minor: int


class _Written(Struct, frozen=True):
    """Whom it is written to, and whether that is written to at all."""

    payer_id: int
    name: str
    notify: bool


async def tell_short(scope: Scope, payer_id: int, short: Short, kind: MessageKind = NOT_COVERED) -> int | None:
    """Queue the notice to who pays; once for each kind and renewal, ever. None without an address, or for whom the
    status says that nothing is written."""
    key = f"{kind.key}:{short.subscription_id}:{short.period_start}"
    if (told := await value("SELECT id FROM message WHERE dedupe_key = :key", key=key)) is not None:
        return int(told)
    about = await row(
        _Written,
        "SELECT payer.id AS payer_id, CASE WHEN u.label <> '' THEN u.label ELSE p.name END AS name, st.notify"
        " FROM subscription u JOIN product p ON p.id = u.product_id JOIN customer payer ON payer.id = :payer"
        " JOIN status st ON st.id = payer.status_id WHERE u.id = :id",
        id=short.subscription_id,
        payer=payer_id,
    )
    if about is None or not about.notify:
        return None
    customer = await get_customer(scope, payer_id)
    recipients = await document_recipients(scope, customer, Documents.REMINDERS)
    if not recipients.to:
        return None
    return await queue(
        scope,
        kind,
        to=recipients.to,
        cc=recipients.cc,
        fields=PrepaidNotice(
            customer=customer.full_name,
            company=scope.tenant.name,
            product=about.name,
            on=short.period_start,
            total=Money(short.total_minor, short.currency),
            missing=Money(short.missing_minor, short.currency),
            links=await links_for(scope, kind.key, payer_id, language=customer.language),
        ),
        customer_id=payer_id,
        dedupe_key=key,
        language=customer.language,
    )


class _Coming(Struct, frozen=True):
    payer_id: int
    subscription_id: int
    period_start: date
    rank: int


async def coming_by_payer(scope: Scope, day: date) -> dict[int, list[_Coming]]:
    """What is renewed within the days of the settings and was not told of yet, by payer; nothing where they are 0."""
    days = (await load_settings(BillingSettings)).prepaid_notice_days
    if not days:
        return {}
    found: dict[int, list[_Coming]] = {}
    for each in await rows(
        _Coming,
        "WITH prepaid AS MATERIALIZED (SELECT id, product_id FROM subscription WHERE timing = 'prepaid'"
        "  AND state = 'active')"
        " SELECT s.payer_id, u.id AS subscription_id, s.period_start,"
        " CASE p.kind WHEN 'plan' THEN 1 WHEN 'module' THEN 2 ELSE 3 END AS rank"
        " FROM prepaid u JOIN subscription_schedule s ON s.subscription_id = u.id JOIN product p ON p.id = u.product_id"
        " WHERE s.due_on > :day AND s.due_on <= :last AND NOT EXISTS (SELECT 1 FROM message m WHERE m.dedupe_key ="
        " :kind || ':' || CAST(u.id AS text) || ':' || CAST(s.period_start AS text))"
        " ORDER BY s.payer_id, s.due_on, 4, u.id",
        day=day,
        last=day + timedelta(days=days),
        kind=COMING.key,
    ):
        found.setdefault(each.payer_id, []).append(each)
    return found
