"""Reads of the portal: who may come in, and what a customer sees first."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.billing.queries import list_documents
from core.database import OneCustomer, row, rows
from core.errors import NotFound
from core.ids import hash_token, sort_key
from core.ledger.queries import list_balances
from core.subscriptions.queries import list_subscriptions
from plugins.portal.schemas import Entrance, Visit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.billing.schemas import DocumentRow
    from core.ledger.schemas import Balance
    from core.scope import Scope
    from core.subscriptions.schemas import SubscriptionRow

MOST_NAMESAKES: Final = 5
"""Log-ins that one e-mail address may lead to."""
LIVE: Final = ("pending", "trial", "active", "suspended", "paused")
MOST_OPEN: Final = 100

_CUSTOMER: Final = (
    "SELECT c.id AS customer_id, NULL AS contact_id, c.full_name AS customer, c.full_name AS name, c.login,"
    " coalesce((SELECT a.value FROM customer_address a WHERE a.customer_id = c.id AND a.kind = 'email'"
    " AND a.position = 0), '') AS email, c.language, c.password_hash, s.log_in AS may_log_in"
    " FROM customer c JOIN status s ON s.id = c.status_id"
)
_USER: Final = (
    "SELECT u.customer_id, u.id AS contact_id, c.full_name AS customer, trim(u.first_name || ' ' || u.surname) AS name,"
    " u.email AS login, u.email, c.language, coalesce(p.password_hash, '') AS password_hash, s.log_in AS may_log_in"
    " FROM contact u JOIN customer c ON c.id = u.customer_id JOIN status s ON s.id = c.status_id"
    " LEFT JOIN portal_user p ON p.contact_id = u.id"
)


def customer_of(scope: Scope) -> int:
    """The customer that the portal is open for, whoever looks at it. NotFound for anybody else."""
    reach = scope.actor.reach
    if not isinstance(reach, OneCustomer):
        raise NotFound("There is no customer to show this of.")
    return reach.id


async def find_customer(customer_id: int) -> Entrance | None:
    """The customer of a session that its own password opened."""
    return await row(Entrance, f"{_CUSTOMER} WHERE c.id = :id AND c.anonymised_at IS NULL", id=customer_id)


async def find_user(contact_id: int) -> Entrance | None:
    """The user of a session that a user's password opened."""
    return await row(Entrance, f"{_USER} WHERE u.id = :id AND u.is_user", id=contact_id)


async def find_entrances(login: str) -> list[Entrance]:
    """Whom a log-in or an e-mail address may stand for: customers by both, users by their address."""
    key = sort_key(login.strip())
    if not key:
        return []
    return [
        *await rows(
            Entrance,
            f"{_CUSTOMER} WHERE (c.login_key = :key AND c.login_key <> '' OR c.email_key = :key)"
            " AND c.anonymised_at IS NULL ORDER BY c.id LIMIT :most",
            key=key,
            most=MOST_NAMESAKES,
        ),
        *await rows(
            Entrance,
            f"{_USER} WHERE u.email_key = :key AND u.is_user ORDER BY u.id LIMIT :most",
            key=key,
            most=MOST_NAMESAKES,
        ),
    ]


async def find_by_link(token: str, now: datetime) -> Entrance | None:
    """Whose password a mailed link may set, while it works."""

    class _Link(Struct, frozen=True):
        customer_id: int
        contact_id: int | None

    found = await row(
        _Link,
        "SELECT customer_id, contact_id FROM portal_link WHERE token_hash = :token_hash AND expires_at > :now",
        token_hash=hash_token(token),
        now=now,
    )
    if found is None:
        return None
    return await (find_user(found.contact_id) if found.contact_id is not None else find_customer(found.customer_id))


async def find_visit(visit_id: int) -> Visit | None:
    """A staff user in a customer's place; None once it has left, or the log-in that it was begun in has ended."""
    return await row(
        Visit,
        "SELECT v.id, v.customer_id, c.full_name AS customer, v.staff_id, v.ends_at, c.language, s.log_in AS may_log_in"
        " FROM portal_visit v JOIN customer c ON c.id = v.customer_id JOIN status s ON s.id = c.status_id"
        " WHERE v.id = :id AND v.ended_at IS NULL AND c.anonymised_at IS NULL"
        " AND EXISTS (SELECT 1 FROM session l WHERE l.id = v.session_id AND l.actor_kind = 'staff'"
        " AND l.actor_id = v.staff_id AND l.created_at <= v.begun_at)",
        id=visit_id,
    )


class Debt(Struct, frozen=True):
    """What is open in one currency; `overdue_minor` of it should have come already."""

    currency: str
    open_minor: int
    overdue_minor: int
    overdue_since: date | None
    overdue_ids: list[int]
    documents: list[DocumentRow]


class Account(Struct, frozen=True):
    """What a customer sees first."""

    balances: list[Balance]
    debts: list[Debt]
    services: list[SubscriptionRow]
    next_on: date | None


async def get_account(scope: Scope) -> Account:
    """The balance, what is open, the services and when the next invoice comes."""
    customer_id = customer_of(scope)
    services = await list_subscriptions(scope, customer_id=customer_id, states=LIVE)
    days = [each.due_on for each in services if each.due_on is not None and each.state != "pending"]
    return Account(
        balances=await list_balances(scope, customer_id),
        debts=await list_debts(scope),
        services=services,
        next_on=min(days, default=None),
    )


async def list_debts(scope: Scope) -> list[Debt]:
    """Open invoices by currency, the oldest due first."""
    found = await list_documents(scope, payer_id=customer_of(scope), state="issued", only_open=True, limit=MOST_OPEN)
    return [_debt(currency, found, scope.today()) for currency in dict.fromkeys(each.currency for each in found)]


def _debt(currency: str, found: Iterable[DocumentRow], today: date) -> Debt:
    documents = sorted(
        (each for each in found if each.currency == currency), key=lambda each: (each.due_on or date.max, each.id)
    )
    late = [each for each in documents if each.due_on is not None and each.due_on < today]
    return Debt(
        currency=currency,
        open_minor=sum(each.open_minor for each in documents),
        overdue_minor=sum(each.open_minor for each in late),
        overdue_since=late[0].due_on if late else None,
        overdue_ids=[each.id for each in late],
        documents=documents,
    )
