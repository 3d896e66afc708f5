"""What follows an issued document: its PDF, stored once, and its e-mail, sent once."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import TYPE_CHECKING, Final

from msgspec import Struct
from msgspec.structs import replace

from core import hookspecs
from core.activity.unit import unit_of_work
from core.billing.sheets import assets_of_document, document_of
from core.customers.queries import document_recipients, get_customer
from core.customers.status import Documents
from core.database import execute, row
from core.documents.files import FileRow, get_file, store_file
from core.documents.model import DocumentKind
from core.documents.sheet import document_pdf
from core.errors import Conflict
from core.hooks import MessageLink
from core.messages.actions import queue
from core.messages.kinds import MessageKind, Words
from core.messages.links import links_for
from core.money import Money
from core.texts import N_, _

if TYPE_CHECKING:
    from core.documents.model import Document as Sheet
    from core.scope import Scope

PDF: Final = "pdf"


class InvoiceFields(Struct, frozen=True, kw_only=True):
    """What the words of an invoice's e-mail may use."""

    customer: str
    company: str
    kind: str
    number: str
    issued_on: date
    due_on: date | None
    total: Money
    open: Money
    pay_link: str = ""
    links: list[MessageLink] = []


INVOICE_MAIL: Final = MessageKind(
    key="invoice",
    label=N_("Invoice"),
    about=N_("Sent with the PDF when an invoice or credit note is issued."),
    fields=InvoiceFields,
    sample=InvoiceFields(
        customer="Siobhán Kavanagh-Reyes",
        company="Marlbeck Net",
        kind="invoice",
        number="2026-000042",
        issued_on=date(2026, 12, 1),
        due_on=date(2026, 12, 15),
        total=Money(5350, "EUR"),
        open=Money(5350, "EUR"),
        pay_link="https://marlbeck.example/portal/pay?invoice=42",
    ),
    words={
        "en": Words(
            subject=(
                "{{ company }}: {% if kind == 'credit_note' %}credit note{% elif kind == 'proforma' %}proforma invoice"
                "{% else %}invoice{% endif %} {{ number }}"
            ),
            body=(
                "Dear {{ customer }},\n\n"
                "{% if kind == 'credit_note' %}attached is our credit note {{ number }} over {{ total }}."
                "{% else %}attached is our {% if kind == 'proforma' %}proforma {% endif %}"
                "invoice {{ number }} of {{ issued_on }} over {{ total }}."
                "{% if due_on %} Please pay it by {{ due_on }}.{% endif %}{% endif %}"
                "{% if pay_link +%}\n\nPay it online: {{ pay_link }}{% endif %}"
                "{% for link in links +%}\n\n{{ link.label }}: {{ link.href }}{% endfor +%}\n\n"
                "Kind regards\n{{ company }}"
            ),
        ),
        "de": Words(
            subject=(
                "{{ company }}: {% if kind == 'credit_note' %}Rechnungskorrektur{% elif kind == 'proforma' %}"
                "Proforma-Rechnung{% else %}Rechnung{% endif %} {{ number }}"
            ),
            body=(
                "Guten Tag {{ customer }},\n\n"
                "{% if kind == 'credit_note' %}anbei unsere Rechnungskorrektur {{ number }} über {{ total }}."
                "{% else %}anbei unsere {% if kind == 'proforma' %}Proforma-{% endif %}"
                "Rechnung {{ number }} vom {{ issued_on }} über {{ total }}."
                "{% if due_on %} Bitte zahlen Sie bis {{ due_on }}.{% endif %}{% endif %}"
                "{% if pay_link +%}\n\nOnline zahlen: {{ pay_link }}{% endif %}"
                "{% for link in links +%}\n\n{{ link.label }}: {{ link.href }}{% endfor +%}\n\n"
                "Freundliche Grüße\n{{ company }}"
            ),
        ),
    },
    names={
        "number": N_("Number of the document"),
        "total": N_("Its total"),
        "open": N_("What is still open"),
        "due_on": N_("Due date"),
        "pay_link": N_("Where it is paid online, if it can be"),
        "links": N_("Links of plugins, each with label and href"),
    },
)

MESSAGE_KINDS: Final = (INVOICE_MAIL,)


class _Of(Struct, frozen=True):
    payer_id: int
    kind: str
    state: str


class _Kept(Struct, frozen=True):
    sha256: str
    path: str


async def document_file(scope: Scope, document_id: int) -> FileRow:
    """The document's PDF: made when it is first asked for, stored with its hash, and the same bytes ever after.

    Conflict where there is none: of a draft, and of what was taken over from another system.
    """
    kept = await _kept(document_id)
    if kept is None:
        of = await row(_Of, "SELECT payer_id, kind, state FROM document WHERE id = :id", id=document_id)
        if of is not None and of.state == "draft":
            raise Conflict(_("A draft has no document yet. Issue it first."))
        if of is not None and of.kind == "opening":
            raise Conflict(_("It was taken over from another system: its document is there."))
        document = await document_of(scope, document_id)
        document = replace(document, pay_link=await _pay_link(scope, document_id, document))
        data = await document_pdf(document, assets=await assets_of_document(scope, document_id))
        name = f"{document.kind.value.replace('_', '-')}-{(document.number or str(document_id)).replace('/', '-')}.pdf"
        payer_id = of.payer_id if of is not None else None
        stored = await store_file(scope, data, name=name, media_type="application/pdf", customer_id=payer_id)
        async with unit_of_work(scope):
            await execute(
                "INSERT INTO document_file (document_id, format, sha256, path, created_at)"
                " VALUES (:id, :format, :sha256, :path, :now) ON CONFLICT (document_id, format) DO NOTHING",
                id=document_id,
                format=PDF,
                sha256=hashlib.sha256(data).hexdigest(),
                path=str(stored.id),
                now=scope.now(),
            )
        kept = await _kept(document_id)
        assert kept is not None
    if not kept.path:
        raise Conflict(_("Its customer was anonymised, and the time to keep this document is over: the PDF is gone."))
    return await get_file(scope, int(kept.path))


async def _kept(document_id: int) -> _Kept | None:
    return await row(
        _Kept,
        "SELECT sha256, path FROM document_file WHERE document_id = :id AND format = :format",
        id=document_id,
        format=PDF,
    )


async def send_document(scope: Scope, document_id: int, *, again: bool = False, once: str = "") -> int | None:
    """Queue the document's e-mail with its PDF; gives the message's id.

    To the billing e-mails, else to the e-mails, with a copy to the contacts that get invoices; None where there is no
    address, or the customer gets no mail. Once a document, unless staff send it `again`: then once for each `once`.
    """
    file = await document_file(scope, document_id)
    document = await document_of(scope, document_id)
    customer = await get_customer(scope, int(document.buyer.customer_number))
    recipients = await document_recipients(scope, customer, Documents.INVOICES)
    if not recipients.to or (customer.send_by != "email" and not again):
        return None
    fields = InvoiceFields(
        customer=customer.full_name,
        company=document.seller.name,
        kind=document.kind.value,
        number=document.number or "",
        issued_on=document.issued_on or scope.today(),
        due_on=document.due_on,
        total=Money(document.total_minor, document.currency),
        open=Money(document.open_minor, document.currency),
        pay_link=await _pay_link(scope, document_id, document),
        links=await links_for(
            scope,
            INVOICE_MAIL.key,
            customer.id,
            document_id=document_id,
            language=customer.language or document.language,
        ),
    )
    async with unit_of_work(scope):
        message_id = await queue(
            scope,
            INVOICE_MAIL,
            to=recipients.to,
            cc=recipients.cc,
            fields=fields,
            customer_id=customer.id,
            documents=[file.id],
            dedupe_key=(once or None) if again else f"document:{document_id}",
            language=customer.language or document.language,
        )
        await execute(
            "UPDATE document_state SET sent_at = :now WHERE document_id = :id AND sent_at IS NULL",
            now=scope.now(),
            id=document_id,
        )
    return message_id


async def _pay_link(scope: Scope, document_id: int, document: Sheet) -> str:
    """Where it can be paid online; "" where it cannot, or nothing is open. A proforma is no debt: its payer would find
    others there."""
    if document.open_minor <= 0 or document.kind in (DocumentKind.CREDIT_NOTE, DocumentKind.PROFORMA):
        return ""
    found = await scope.hooks.first(
        hookspecs.choose_payment_link, scope=scope, document_id=document_id, currency=document.currency
    )
    return found or ""
