"""What plans of change show of documents: their lines, what settles them, a balance before and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.billing import pages
from core.money import format_amount, format_money
from core.texts import _, in_sentence
from core.web.changes import Place, PlanLine, PlanPart
from core.web.parts import Field
from core.web.templating import written

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.billing.actions.late_fees import LateFee
    from core.billing.schemas import DocumentDetail


def document_place(invoice_id: int, title: str, what: str, options: Sequence[Field] = ()) -> Place:
    """Where something is done to a document, with what it asks."""
    path = f"/invoices/{invoice_id}/{what}"
    return Place(title=title, asked=path, sent=path, options=options)


def documents_part(made: Sequence[DocumentDetail], locale: str) -> PlanPart:
    """Documents of a plan, line by line, with their total."""
    document = made[0]
    sign = -1 if document.kind == "credit_note" else 1
    total = format_money(sign * document.total_minor, document.currency, locale)
    note = _("1 %(kind)s", kind=in_sentence(_(pages.KINDS[document.kind])))
    if document.due_on is not None and sign > 0:
        note = _("%(documents)s, due %(day)s", documents=note, day=written(document.due_on, locale))
    return PlanPart(
        title=_("Documents"),
        note=note,
        lines=[
            PlanLine(
                text=item.text,
                detail=item.detail,
                value=format_amount(sign * line.amount_minor, document.currency),
            )
            for item, line in zip(pages.line_items(document, locale), document.lines, strict=True)
        ],
        total=PlanLine(
            text=_("Total, with %(amount)s tax", amount=format_money(document.tax_minor, document.currency, locale)),
            value=total,
        ),
    )


def late_fees_part(before: Sequence[LateFee], after: Sequence[LateFee]) -> list[PlanPart]:
    """What becomes of the late fees of an invoice that is credited in full; nothing where it has none."""
    stay = {fee.charge_id for fee in after}
    lines = []
    for fee in before:
        if not fee.is_issued:
            text, detail = _("Late fee, not invoiced yet"), _("waived")
        else:
            text, detail = _("Late fee on %(number)s", number=fee.number), _("credited")
        if fee.charge_id in stay:
            detail = _("stays")
        lines.append(PlanLine(text=text, detail=detail, value=format_amount(fee.amount_minor, fee.currency)))
    return [PlanPart(title=_("Late fees"), lines=lines)] if lines else []


def settled_lines(document: DocumentDetail) -> list[PlanLine]:
    """Credit that is used by an invoice as it is issued, and what stays open."""
    if document.total_minor == document.open_minor:
        return []
    used = document.total_minor - document.open_minor
    return [
        PlanLine(text=_("Paid from credit"), value=format_amount(used, document.currency)),
        PlanLine(text=_("Stays open"), value=format_amount(document.open_minor, document.currency)),
    ]


def balance_part(before: Any, after: Any, lines: Sequence[PlanLine]) -> PlanPart:
    """Lines of money, and the payer's balance before and after."""
    return PlanPart(
        title=_("Money"),
        lines=[
            *lines,
            PlanLine(
                text=_("Balance, %(currency)s", currency=after.currency),
                before=format_amount(before.balance_minor, before.currency) if before != after else "",
                value=format_amount(after.balance_minor, after.currency),
                tone="owes" if after.balance_minor < 0 else "plus" if after.balance_minor > 0 else "",
            ),
        ],
    )
