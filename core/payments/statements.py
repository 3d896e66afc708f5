"""A customer's statement of account: its ledger for a period, in its language, one part for each currency."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

from babel import Locale
from msgspec import Struct

from core.billing.actions.setup import default_seller
from core.billing.layout import load_layout, look_of
from core.catalog.tax_names import named_tax
from core.customers.queries import get_customer
from core.database import rows, within
from core.documents.model import Buyer, DocumentKind, Seller
from core.documents.statement import Statement, StatementEntry, StatementPart
from core.documents.words import legal_line, words_for
from core.errors import Invalid
from core.ledger.tables import Posting
from core.payments.deposits import held_deposits
from core.payments.pages import WHAT
from core.texts import _, locale_now, speaking

if TYPE_CHECKING:
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope

ON_ACCOUNT: Final = ("1100", "2000")
"""What is owed and what is free: their sum is the customer's balance, its sign turned (ledger.md)."""
MOST_LINES: Final = 5_000
"""A longer statement is laid out for too long: a shorter period is asked for."""


class _Before(Struct, frozen=True):
    currency: str
    minor: int


class _Moved(Struct, frozen=True):
    currency: str
    booked_on: date
    kind: str
    minor: int
    number: str | None = None
    reference: str | None = None


async def statement_of(scope: Scope, customer_id: int, since: date, until: date) -> Statement:
    """What moved the customer's balance from the first to the last day, both included.

    Allocating moves no balance and is no entry. The customer's own currency is always there, another one where it was
    ever used. Raises Invalid for days in the wrong order, and where there is too much for one statement.
    """
    if until < since:
        raise Invalid(_("The last day is before the first."), field="until")
    if until == date.max:
        raise Invalid(_("There is no day after this one. Choose an earlier one."), field="until")
    customer = await get_customer(scope, customer_id)
    reach = within(Posting, scope.actor.reach)
    before = await rows(
        _Before,
        "SELECT posting.currency, CAST(sum(posting.amount_minor) AS bigint) AS minor FROM posting"
        " JOIN account ON account.id = posting.account_id WHERE posting.customer_id = :id"
        " AND account.code IN :codes AND posting.booked_on < :since AND :within GROUP BY posting.currency",
        id=customer_id,
        codes=ON_ACCOUNT,
        since=since,
        within=reach,
    )
    moved = await rows(
        _Moved,
        "SELECT m.currency, m.booked_on, m.kind, m.minor, d.number, p.reference FROM ("
        "SELECT posting.currency, t.booked_on, t.kind, t.source_kind, t.source_id, t.id,"
        " CAST(sum(posting.amount_minor) AS bigint) AS minor FROM posting"
        " JOIN account ON account.id = posting.account_id JOIN ledger_transaction t ON t.id = posting.transaction_id"
        " WHERE posting.customer_id = :id AND account.code IN :codes"
        " AND posting.booked_on BETWEEN :since AND :until AND :within"
        " GROUP BY posting.currency, t.booked_on, t.kind, t.source_kind, t.source_id, t.id"
        " HAVING sum(posting.amount_minor) <> 0) m"
        " LEFT JOIN document d ON m.source_kind = 'document' AND d.id = m.source_id"
        " LEFT JOIN payment p ON m.source_kind = 'payment' AND p.id = m.source_id"
        " ORDER BY m.currency, m.booked_on, m.id LIMIT :limit",
        id=customer_id,
        codes=ON_ACCOUNT,
        since=since,
        until=until,
        limit=MOST_LINES + 1,
        within=reach,
    )
    if len(moved) > MOST_LINES:
        raise Invalid(
            _("There are more than %(most)s entries. Choose a shorter period.", most=MOST_LINES), field="until"
        )
    opening = {each.currency: each.minor for each in before}
    held = {each.currency: each.minor for each in await held_deposits(scope, customer_id, until)}
    currencies = {customer.currency, *opening, *held, *(each.currency for each in moved)}
    language = customer.language or scope.tenant.language
    with speaking(language):
        parts = tuple(
            StatementPart(
                currency=currency,
                opening_minor=opening.get(currency, 0),
                deposit_minor=held.get(currency, 0),
                entries=tuple(_entry(each) for each in moved if each.currency == currency),
            )
            for currency in sorted(currencies, key=lambda each: (each != customer.currency, each))
        )
    layout = await load_layout()
    return Statement(
        language=language,
        seller=await _seller(scope, layout.logo_name, language),
        look=look_of(layout, language),
        buyer=_buyer(customer, scope.tenant.country, language),
        since=since,
        until=until,
        made_on=scope.today(),
        parts=parts,
    )


def _entry(moved: _Moved) -> StatementEntry:
    what = _(WHAT.get(moved.kind) or moved.kind.replace("_", " ").capitalize())
    if moved.kind == DocumentKind.CREDIT_NOTE:
        what = words_for(locale_now()).credit_note  # as it is headed
    return StatementEntry(
        on=moved.booked_on,
        text=f"{what} {moved.number}" if moved.number else what,
        detail=moved.reference or "",
        amount_minor=moved.minor,
    )


async def _seller(scope: Scope, logo: str, language: str) -> Seller:
    """The tenant as it stands now."""
    known = await default_seller(scope)
    contact = (known.phone, known.email, known.website)
    return Seller(
        name=known.name,
        legal_name=known.name,
        address=tuple(text for text in (known.street, f"{known.zip} {known.city}".strip()) if text),
        legal_line=legal_line(
            language,
            registration=known.registration,
            tax_number=known.tax_number,
            vat_id=known.vat_id,
            tax=await named_tax(known.country),
        ),
        contact=" · ".join(text for text in contact if text),
        logo=logo,
    )


def _buyer(customer: CustomerDetail, country: str, language: str) -> Buyer:
    abroad = customer.country and customer.country != country
    lines = (
        customer.full_name if customer.company and customer.company != customer.full_name else "",
        customer.street,
        f"{customer.zip} {customer.city}".strip(),
        str(Locale.parse(language[:2]).territories.get(customer.country, customer.country)) if abroad else "",
    )
    return Buyer(
        name=customer.company or customer.full_name,
        address=tuple(text for text in lines if text),
        customer_number=str(customer.id),
        vat_id=customer.vat_id,
    )
