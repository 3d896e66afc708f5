"""What overdue customers are written: a reminder, a last one, and that service is blocked."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.customers.queries import document_recipients, get_customer
from core.customers.status import Documents
from core.database import value
from core.hooks import MessageLink
from core.messages.actions import queue
from core.messages.kinds import MessageKind, Words
from core.messages.links import links_for
from core.money import Money
from core.texts import N_

if TYPE_CHECKING:
    from core.billing.dunning import NextStep
    from core.scope import Scope


class ReminderFields(Struct, frozen=True, kw_only=True):
    """What the words of a reminder may use. `fee`: none where the step costs nothing."""

    customer: str
    company: str
    number: str
    due_on: date
    days: int
    open: Money
    fee: Money | None
    links: list[MessageLink] = []


SAMPLE: Final = ReminderFields(
    customer="Siobhán Kavanagh-Reyes",
    company="Marlbeck Net",
    number="2026-000042",
    due_on=date(2026, 12, 1),
    days=10,
    open=Money(5350, "EUR"),
    fee=Money(500, "EUR"),
    links=[MessageLink(label="Pay online", href="https://marlbeck.example/portal/pay?invoice=42")],
)
NAMES: Final = {
    "number": N_("Number of the document"),
    "due_on": N_("Due date"),
    "days": N_("Days since it was due"),
    "open": N_("What is still open"),
    "fee": N_("What this reminder costs, on the next invoice"),
    "links": N_("Links of plugins, each with label and href"),
}
_FEE: Final = "{% if fee %} We charge {{ fee }} for this reminder on your next invoice.{% endif %}"
_GEBÜHR: Final = "{% if fee %} Für diese Erinnerung berechnen wir {{ fee }} mit Ihrer nächsten Rechnung.{% endif %}"
_LINKS: Final = "{% for link in links +%}\n\n{{ link.label }}: {{ link.href }}{% endfor +%}"
_PAID: Final = (
    _LINKS + "\n\nIf you have paid in the meantime, please disregard this message.\n\nKind regards\n{{ company }}"
)
_BEZAHLT: Final = (
    _LINKS
    + "\n\nHaben Sie inzwischen gezahlt, so ist diese Nachricht gegenstandslos.\n\nFreundliche Grüße\n{{ company }}"
)

REMINDER: Final = MessageKind(
    key="payment_reminder",
    label=N_("Payment reminder"),
    about=N_("A step of dunning: an invoice is overdue"),
    fields=ReminderFields,
    sample=SAMPLE,
    words={
        "en": Words(
            subject="{{ company }}: invoice {{ number }} is overdue",
            body="Dear {{ customer }},\n\nour invoice {{ number }} was due on {{ due_on }}, and {{ open }} of it is"
            " still open. Please pay it now." + _FEE + _PAID,
        ),
        "de": Words(
            subject="{{ company }}: Rechnung {{ number }} ist überfällig",
            body="Guten Tag {{ customer }},\n\nunsere Rechnung {{ number }} war am {{ due_on }} fällig; davon sind noch"
            " {{ open }} offen. Bitte zahlen Sie jetzt." + _GEBÜHR + _BEZAHLT,
        ),
    },
    names=NAMES,
)
WARNING: Final = MessageKind(
    key="payment_warning",
    label=N_("Last payment reminder"),
    about=N_("A step of dunning: the last reminder before service is blocked"),
    fields=ReminderFields,
    sample=SAMPLE,
    words={
        "en": Words(
            subject="{{ company }}: last reminder of invoice {{ number }}",
            body="Dear {{ customer }},\n\nour invoice {{ number }} has been overdue for {{ days }} days, and {{ open }}"
            " of it is still open. Please pay it now, or we will have to block your service." + _FEE + _PAID,
        ),
        "de": Words(
            subject="{{ company }}: letzte Erinnerung an Rechnung {{ number }}",
            body="Guten Tag {{ customer }},\n\nunsere Rechnung {{ number }} ist seit {{ days }} Tagen überfällig; davon"
            " sind noch {{ open }} offen. Bitte zahlen Sie jetzt, sonst müssen wir Ihren Anschluss sperren."
            + _GEBÜHR
            + _BEZAHLT,
        ),
    },
    names=NAMES,
)
BLOCKED: Final = MessageKind(
    key="service_blocked",
    label=N_("Service is blocked"),
    about=N_("A step of dunning: service was blocked because an invoice is overdue"),
    fields=ReminderFields,
    sample=SAMPLE,
    words={
        "en": Words(
            subject="{{ company }}: your service is blocked",
            body="Dear {{ customer }},\n\nour invoice {{ number }} has been overdue for {{ days }} days, and {{ open }}"
            " of it is still open. Your service is therefore blocked. It is back as soon as what is overdue is paid."
            + _FEE
            + _PAID,
        ),
        "de": Words(
            subject="{{ company }}: Ihr Anschluss ist gesperrt",
            body="Guten Tag {{ customer }},\n\nunsere Rechnung {{ number }} ist seit {{ days }} Tagen überfällig; davon"
            " sind noch {{ open }} offen. Ihr Anschluss ist deshalb gesperrt. Er ist wieder frei, sobald das"
            " Überfällige bezahlt ist." + _GEBÜHR + _BEZAHLT,
        ),
    },
    names=NAMES,
)
MESSAGE_KINDS: Final = (REMINDER, WARNING, BLOCKED)


async def remind(scope: Scope, due: NextStep, kind: str, fee_minor: int) -> int | None:
    """Queue the message of a step, with the invoice's PDF where it is stored; gives its id, None without an address.

    To the billing e-mails, else to the e-mails, with a copy to the contacts that get reminders.
    """
    document = due.document
    customer = await get_customer(scope, document.payer_id)
    recipients = await document_recipients(scope, customer, Documents.REMINDERS)
    if not recipients.to:
        return None
    file = await value(
        "SELECT CAST(path AS bigint) FROM document_file WHERE document_id = :id AND format = 'pdf' AND path <> ''",
        id=document.document_id,
    )
    seller = await value(
        "SELECT seller.name FROM document JOIN seller ON seller.id = document.seller_id WHERE document.id = :id",
        id=document.document_id,
    )
    return await queue(
        scope,
        kind,
        to=recipients.to,
        cc=recipients.cc,
        fields=ReminderFields(
            customer=customer.full_name,
            company=str(seller or scope.tenant.name),
            number=document.number,
            due_on=document.due_on,
            days=(scope.today() - document.due_on).days,
            open=Money(document.open_minor, document.currency),
            fee=Money(fee_minor, document.currency) if fee_minor else None,
            links=await links_for(
                scope, kind, document.payer_id, document_id=document.document_id, language=customer.language
            ),
        ),
        customer_id=document.payer_id,
        documents=[int(file)] if file is not None else [],
        dedupe_key=f"dunning:{document.document_id}:{due.step.id}",
        language=customer.language,
    )
