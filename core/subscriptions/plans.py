"""Plans of change of a subscription: the deed is done, and what came of it is told, part by part."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct

from core.billing import queries as documents
from core.ledger import queries as ledger
from core.money import format_amount, format_money
from core.subscriptions import pages, queries
from core.subscriptions.bundles import charged_next
from core.texts import _, ngettext, pgettext
from core.web.changes import ChangePlan, PlanLine, PlanPart
from core.web.templating import written

if TYPE_CHECKING:
    from core.billing.queries import DraftTotal
    from core.billing.schemas import DocumentDetail
    from core.ledger.schemas import Balance
    from core.scope import Scope
    from core.subscriptions.schemas import ChargeRow, SubscriptionRow


class Told(Struct, frozen=True, kw_only=True):
    """What a deed wants said besides what it left: the words of its button, further lines of service, warnings."""

    button: str
    lines: Sequence[PlanLine] = ()
    warnings: Sequence[str] = ()
    danger: bool = False


async def carried_out(scope: Scope, subscription_id: int, title: str, act: Callable[[], Awaitable[Told]]) -> ChangePlan:
    """Do it, in the unit of work that is open, and say what came of it: documents, service, money."""
    before = await queries.get_subscription(scope, subscription_id)
    balance = await ledger.get_balance(scope, before.payer_id)
    latest = max(
        (each.id for each in await documents.list_documents(scope, payer_id=before.payer_id, limit=1)), default=0
    )
    told = await act()
    after = await queries.get_subscription(scope, subscription_id)
    made = [
        await documents.get_document(scope, each.id)
        for each in reversed(await documents.list_documents(scope, payer_id=before.payer_id, limit=20))
        if each.id > latest
    ]
    now = await ledger.get_balance(scope, before.payer_id)
    service = service_part(before, after, scope)
    lines = [*told.lines, *service.lines]
    if before.product_id != after.product_id:
        lines.insert(0, PlanLine(text=_("Product"), before=before.product, value=after.product))
    if before.quantity_e6 != after.quantity_e6:
        was, is_now = pages.quantity_text(before.quantity_e6), pages.quantity_text(after.quantity_e6)
        lines.insert(0, PlanLine(text=_("Quantity"), before=was, value=is_now))
    return ChangePlan(
        title=title,
        button=told.button,
        parts=[
            *([documents_part(made, scope.locale)] if made else []),
            msgspec.structs.replace(service, lines=lines),
            money_part(balance, now, await at_its_next_charge(after), scope),
        ],
        warnings=[*told.warnings, *await overdue_warnings(scope, before.payer_id)],
        danger=told.danger,
    )


def documents_part(made: Sequence[DocumentDetail], locale: str) -> PlanPart:
    """What was issued, line by line, and what of it is to be paid."""
    lines = [
        PlanLine(
            text=line.description,
            detail=pages.period_words(line.period_from, line.period_to, locale)
            if line.period_from is not None and line.period_to is not None
            else _("from activation")
            if line.kind == "recurring"
            else "",
            value=format_amount(line.amount_minor * sign, document.currency),
        )
        for document in made
        for sign in [-1 if document.kind == "credit_note" else 1]
        for line in document.lines
    ]
    first = made[-1]
    notes = sum(each.kind == "credit_note" for each in made)
    total = sum(-each.total_minor if each.kind == "credit_note" else each.total_minor for each in made)
    tax = sum(-each.tax_minor if each.kind == "credit_note" else each.tax_minor for each in made)
    if notes == len(made):
        note = ngettext("1 credit note", "%(num)s credit notes", notes)
    elif notes:
        note = _("credit note and invoice")
    elif first.due_on is not None:
        due = written(first.due_on, locale)
        note = ngettext("1 invoice, due %(day)s", "%(num)s invoices, due %(day)s", len(made), day=due)
    else:
        note = ngettext("1 invoice", "%(num)s invoices", len(made))
    taxed = format_money(abs(tax), first.currency, locale)
    return PlanPart(
        title=_("Documents"),
        note=note,
        lines=lines,
        total=PlanLine(
            text=_("To pay, with %(tax)s tax", tax=taxed) if total >= 0 else _("Credited, with %(tax)s tax", tax=taxed),
            value=format_money(total, first.currency, locale),
        ),
    )


def drafts_part(before: Sequence[DraftTotal], after: Sequence[DraftTotal], locale: str) -> PlanPart | None:
    """Drafts that are cut, since charges on them lose days; None where none is."""
    now = {each.id: each for each in after}
    lines = [
        PlanLine(
            text=_("Draft for %(payer)s", payer=each.payer),
            detail=_("Nothing is left on it") if not found.lines else "",
            before=format_amount(each.total_minor, each.currency),
            value=format_amount(found.total_minor, each.currency),
        )
        for each in before
        if (found := now.get(each.id)) is not None and found != each
    ]
    if not lines:
        return None
    note = ngettext("1 draft is cut", "%(num)s drafts are cut", len(lines))
    return PlanPart(title=_("Drafts"), note=note, lines=lines)


def service_part(before: SubscriptionRow | None, after: SubscriptionRow, scope: Scope) -> PlanPart:
    """What the customer has then, and what comes next."""
    locale, today = scope.locale, scope.today()
    was = pages.pill_of(before.state, before.ends_on).label if before is not None else _("Not subscribed")
    now = pages.pill_of(after.state, after.ends_on).label
    lines = [PlanLine(text=after.label or after.product, before=was if was != now else "", value=now)]
    if after.state == "pending":
        value = _("when the invoice is paid in full")
        if after.pending_until:
            until = written(after.pending_until, locale)
            value = _("when the invoice is paid in full, or lapses after %(day)s", day=until)
        lines.append(PlanLine(text=_("Becomes active"), value=value))
    elif after.state in ("ended", "withdrawn") and after.ended_on is not None:
        lines.append(PlanLine(text=_("First day without service"), value=written(after.ended_on, locale)))
    else:
        lines.append(PlanLine(text=_("Then"), value=pages.next_words(after, today, locale)))
    return PlanPart(title=_("Service"), lines=lines)


async def set_ups_after(scope: Scope, customer_id: int, latest: int = 0) -> list[ChargeRow]:
    """Set-up fees that wait for the next invoice, those made after this charge."""
    found = await queries.list_charges(scope, customer_id=customer_id, state="open")
    return [each for each in found if each.kind == "setup" and each.id > latest]


async def at_its_next_charge(mine: SubscriptionRow) -> SubscriptionRow:
    """At the price of the period that is charged next: a discount or another price may begin with it, and it may be a
    part."""
    return msgspec.structs.replace(mine, cycle_minor=await charged_next(mine))


def money_part(
    before: Balance, after: Balance, mine: SubscriptionRow, scope: Scope, set_ups: Sequence[ChargeRow] = ()
) -> PlanPart:
    """The payer's balance, the next charge of `mine`, as it is then, and what the next invoice takes up besides."""
    lines = [
        PlanLine(
            text=_("Balance, %(currency)s", currency=after.currency),
            before=format_amount(before.balance_minor, before.currency) if before != after else "",
            value=format_amount(after.balance_minor, after.currency),
            tone="owes" if after.balance_minor < 0 else "plus" if after.balance_minor > 0 else "",
        )
    ]
    if mine.due_on is not None and mine.next_from is not None and mine.next_to is not None:
        lines.append(
            PlanLine(
                text=_("Next charge, billed on %(day)s", day=written(max(mine.due_on, scope.today()), scope.locale)),
                detail=pages.period_words(mine.next_from, mine.next_to, scope.locale),
                value=format_amount(mine.cycle_minor, mine.currency),
            )
        )
    elif mine.state not in ("pending", "trial"):
        lines.append(PlanLine(text=_("Next charge"), value=pgettext("charge", "None")))
    if mine.state != "pending":
        lines.extend(
            PlanLine(text=_("Set-up, with the next invoice"), value=format_amount(each.amount_minor, each.currency))
            for each in set_ups
        )
    return PlanPart(title=_("Money"), lines=lines)


async def overdue_warnings(scope: Scope, payer_id: int) -> list[str]:
    """What the payer owes already."""
    overdue = [
        each
        for each in await documents.list_documents(scope, payer_id=payer_id, only_open=True)
        if each.settlement == "overdue"
    ]
    if not overdue:
        return []
    total = sum(each.open_minor for each in overdue)
    return [_("%(amount)s is overdue.", amount=format_money(total, overdue[0].currency, scope.locale))]
