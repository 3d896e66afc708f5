"""The list of invoices and credit notes, as it is declared for its page, its exports and the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from core.billing import pages
from core.billing.queries import DOCUMENT, DOCUMENT_FROM
from core.billing.schemas import DocumentRow
from core.billing.tables import Document
from core.customers.picking import END, customer_choice, of_customer_named
from core.ids import sort_key
from core.lists.columns import Condition, ListChoice, ListColumn, Total
from core.lists.drawing import NOTHING, link, pill
from core.lists.listing import Choices, Listing
from core.texts import N_, _, ngettext, pgettext
from core.web.templating import written

if TYPE_CHECKING:
    from core.lists.drawing import Given
    from core.scope import Scope

STATE: Final = "LEFT JOIN document_state list_state ON list_state.document_id = document.id"
PAYER: Final = "JOIN customer list_payer ON list_payer.id = document.payer_id"
SIGNED: Final = "CASE WHEN document.kind = 'credit_note' THEN -document.total_minor ELSE document.total_minor END"
LATEST: Final = "'9999-12-31'"


def signed(row: DocumentRow) -> int:
    """Its amount, a credit note's below 0."""
    return -row.total_minor if row.kind == "credit_note" else row.total_minor


async def document_choices(scope: Scope, address: Mapping[str, str]) -> Choices:
    """What columns of choices can be filtered by, with the payer that this address asks for."""
    today = {"list_today": scope.today()}
    choices = {
        "kind": [ListChoice(key, _(label), key) for key, label in pages.KINDS.items()],
        "state": [ListChoice("draft", _("Draft"), "draft"), ListChoice("issued", _("Issued"), "issued")],
        "status": [
            ListChoice("draft", _("Draft"), sql="document.state = 'draft'"),
            ListChoice("open", pgettext("invoice", "Open"), sql="list_state.open_minor > 0"),
            ListChoice(
                "overdue",
                _("Overdue"),
                sql="list_state.open_minor > 0 AND list_state.due_on < :list_today",
                values=today,
            ),
            ListChoice(
                "settled",
                _("Settled"),
                sql="document.state = 'issued' AND document.kind <> 'credit_note' AND list_state.open_minor = 0",
            ),
        ],
    }
    return choices | await customer_choice(scope, address, "payer_id")


def document_search(typed: str) -> Condition | None:
    """By the beginning of a number, in capitals or as it is typed, or of the customer's name."""
    key = sort_key(typed)
    if not key:
        return None
    named = of_customer_named("document.payer_id", key)
    sql = f"(document.number >= :number AND document.number < :number_end) OR {named.sql}"
    values = {"number": typed, "number_end": typed + END, **named.values}
    capitals = typed.upper()
    if capitals != typed and any(one.isdecimal() for one in typed):  # inv-2026: a name has no digits
        sql = f"(document.number >= :capitals AND document.number < :capitals_end) OR {sql}"
        values |= {"capitals": capitals, "capitals_end": capitals + END}
    return Condition(sql, values)


def _due(row: DocumentRow, given: Given) -> Markup:
    """On a phone with whose it is."""
    day = written(given.value, given.scope.locale) if given.value else NOTHING
    due = _("due %(day)s", day=day) if given.value else ""
    return Markup('<span class="only-phone">{} {}</span><span class="only-wide">{}</span>').format(row.payer, due, day)


def _status(row: DocumentRow, given: Given) -> Markup:
    shown = pages.pill_of(row, given.scope.today())
    return pill(shown.label, shown.kind)


DOCUMENTS: Final = Listing(
    key="invoices",
    href="/invoices",
    permission="documents.view",
    title=N_("Invoices"),
    noun="document",
    counted=lambda many: ngettext("%(num)s document", "%(num)s documents", many),
    placeholder=N_("Number, or customer's name"),
    none=(
        N_("No invoices yet"),
        N_(
            "The billing run makes them, the Plans tab of a customer, or you by hand: Create, Invoice on a customer's"
            " page."
        ),
    ),
    no_match=N_("No document matches"),
    table=Document,
    into=DocumentRow,
    select=f"{DOCUMENT} {DOCUMENT_FROM}",
    given=lambda scope: {"today": scope.today()},
    sort="-id",
    search=document_search,
    choices=document_choices,
    link=lambda row: f"/invoices/{row.id}",
    name_of=pages.title_of,
    currency=lambda row: row.currency,
    total_currency="document.currency",
    totals_of=N_("issued ones alone"),
    columns=(
        ListColumn(
            key="number",
            label=N_("Number"),
            expr="document.number",
            by="coalesce(document.number, '')",
            cls="t-nowrap",
            value=lambda row: row.number or _("Draft"),
        ),
        ListColumn(
            key="kind",
            label=N_("Kind"),
            expr="document.kind",
            kind="choice",
        ),
        ListColumn(
            key="customer",
            label=N_("Customer"),
            expr="list_payer.name_key",
            keyed=True,
            join=PAYER,
            field="payer",
            cls="t-clip wide",
            cell=lambda row, given: link(f"/customers/{row.payer_id}/transactions", row.payer),
        ),
        ListColumn(
            key="issued",
            label=N_("Issued"),
            expr="document.issued_on",
            by=f"coalesce(document.issued_on, {LATEST})",
            kind="date",
            field="issued_on",
        ),
        ListColumn(
            key="due",
            label=N_("Due"),
            expr="coalesce(list_state.due_on, document.due_on)",
            by=f"coalesce(list_state.due_on, document.due_on, {LATEST})",
            join=STATE,
            kind="date",
            role="c-meta",
            value=lambda row: None if row.kind == "credit_note" else row.due_on,
            cell=_due,
        ),
        ListColumn(
            key="status",
            label=N_("Status"),
            expr="document.state",
            join=STATE,
            kind="choice",
            sorts=False,
            role="c-status",
            value=lambda row: _(pages.PILLS[row.settlement].label),
            cell=_status,
        ),
        ListColumn(
            key="total",
            label=N_("Amount"),
            expr=SIGNED,
            kind="amount",
            value=signed,
            total=Total(
                f"CASE WHEN document.state = 'issued' THEN {SIGNED} ELSE 0 END",
                lambda row: signed(row) if row.state == "issued" else None,
            ),
        ),
        ListColumn(
            key="open",
            label=N_("Open"),
            expr="coalesce(list_state.open_minor, 0)",
            join=STATE,
            kind="amount",
            field="open_minor",
            role="c-amount",
            total=Total(
                "CASE WHEN document.state = 'issued' THEN coalesce(list_state.open_minor, 0) ELSE 0 END",
                lambda row: row.open_minor if row.state == "issued" else None,
            ),
        ),
        ListColumn(key="id", label=N_("Id"), expr="document.id", kind="number", shown=False),
        ListColumn(
            key="net", label=N_("Net"), expr="document.net_minor", kind="amount", field="net_minor", shown=False
        ),
        ListColumn(
            key="tax", label=N_("Tax"), expr="document.tax_minor", kind="amount", field="tax_minor", shown=False
        ),
        ListColumn(
            key="rounding",
            label=N_("Rounding"),
            expr="document.rounding_minor",
            kind="amount",
            field="rounding_minor",
            sorts=False,
            shown=False,
        ),
        ListColumn(key="currency", label=N_("Currency"), expr="document.currency", shown=False),
        ListColumn(
            key="settled",
            label=N_("Settled"),
            expr="list_state.settled_on",
            by=f"coalesce(list_state.settled_on, {LATEST})",
            join=STATE,
            kind="date",
            field="settled_on",
            shown=False,
        ),
        ListColumn(key="sent", label=N_("Sent"), kind="datetime", field="sent_at", shown=False),
        ListColumn(key="run", label=N_("Billing run"), expr="document.run_id", kind="number", sorts=False, drawn=False),
        ListColumn(key="state", label=N_("State"), expr="document.state", kind="choice", sorts=False, drawn=False),
        ListColumn(
            key="payer_id", label=N_("Customer"), expr="document.payer_id", kind="choice", sorts=False, drawn=False
        ),
    ),
)
