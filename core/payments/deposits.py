"""Deposits: money held for a customer beside its balance, until it is applied to it or paid back (row 24)."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta, Struct

from core.activity.unit import record, unit_of_work
from core.billing.actions import allocate_credit, open_credit
from core.billing.actions.allocation import in_base, lock_balance
from core.customers.tables import Customer
from core.database import all_of, execute, row, rows, value, within
from core.errors import Conflict, Invalid, NotFound
from core.ids import Id
from core.ledger.accounts import Code
from core.ledger.fx import part_of_base
from core.ledger.posting import credit, debit, post
from core.money import check_currency, format_amount
from core.payments.events import DepositApplied, DepositPaidBack, DepositReceived
from core.payments.schemas import AmountMinor, Reference
from core.payments.tables import Deposit
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope

Reason = Annotated[str, Meta(max_length=500)]
Method = Annotated[str, Meta(max_length=60)]


class NewDeposit(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Money held for a customer: for a router on loan, or as a security. It pays nothing until it is applied."""

    customer_id: Id
    amount_minor: AmountMinor
    method: Method = "transfer"
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    received_on: date | None = None
    reason: Reason = ""
    reference: Reference = ""


class Application(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How much of a deposit becomes the customer's credit; all that is left when left out."""

    amount_minor: AmountMinor | None = None
    reason: Reason = ""


class Repayment(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """How much of a deposit is paid back, and how; all that is left when left out."""

    amount_minor: AmountMinor | None = None
    method: Method = "transfer"
    reason: Reason = ""
    reference: Reference = ""


class DepositRow(Struct, frozen=True):
    """A deposit, and what of it is still held."""

    id: int
    customer_id: int
    method: str
    currency: str
    amount_minor: int
    left_minor: int
    state: str
    reason: str
    reference: str
    received_on: date


class DepositUse(Struct, frozen=True):
    """What became of some of a deposit: `applied` to the balance, or `paid_back`."""

    id: int
    deposit_id: int
    kind: str
    amount_minor: int
    reason: str
    reference: str
    used_on: date


class DepositDetail(DepositRow, frozen=True, kw_only=True):
    """A deposit with what became of it, the first first."""

    uses: list[DepositUse] = []


class Held(Struct, frozen=True):
    """What is held in a currency."""

    currency: str
    minor: int


class _Locked(Struct, frozen=True):
    id: int
    customer_id: int
    currency: str
    amount_minor: int
    left_minor: int
    base_left_minor: int


class _Method(Struct, frozen=True):
    id: int
    account_code: str


async def receive_deposit(scope: Scope, data: NewDeposit) -> int:
    """Money is held for a customer: owed to it, outside its balance. Gives the deposit's id."""
    async with unit_of_work(scope):
        own = await value(
            "SELECT currency FROM customer WHERE id = :id AND :within",
            id=data.customer_id,
            within=within(Customer, scope.actor.reach),
        )
        if own is None:
            raise NotFound(f"customer {data.customer_id}")
        currency = check_currency(data.currency or str(own))
        received_on = data.received_on or scope.today()
        if received_on > scope.today():
            raise Invalid(_("Money cannot be received in the future."), field="received_on")
        method = await _method(data.method)
        base = await in_base(scope, data.amount_minor, currency, received_on)
        deposit_id = int(
            await value(
                "INSERT INTO deposit (customer_id, method_id, currency, amount_minor, left_minor, base_minor,"
                " base_left_minor, state, reason, reference, received_on) VALUES (:customer_id, :method_id, :currency,"
                " :amount, :amount, :base, :base, 'held', :reason, :reference, :received_on) RETURNING id",
                customer_id=data.customer_id,
                method_id=method.id,
                currency=currency,
                amount=data.amount_minor,
                base=base,
                reason=data.reason.strip(),
                reference=data.reference.strip(),
                received_on=received_on,
            )
        )
        await post(
            [
                debit(method.account_code, data.amount_minor, currency, base),
                credit(Code.DEPOSITS, data.amount_minor, currency, base, customer_id=data.customer_id),
            ],
            kind="deposit",
            source_kind="deposit",
            source_id=deposit_id,
            booked_on=scope.today(),
        )
        record(
            scope,
            DepositReceived(
                deposit_id=deposit_id, customer_id=data.customer_id, amount_minor=data.amount_minor, currency=currency
            ),
            changes={"amount_minor": (None, data.amount_minor)},
        )
        return deposit_id


async def apply_deposit(scope: Scope, deposit_id: int, data: Application) -> int:
    """Some of it becomes the customer's credit, which settles what is open, and starts what waits for balance.

    Gives the id of the credit.
    """
    async with unit_of_work(scope):
        found = await _lock(scope, deposit_id)
        await lock_balance(found.customer_id, found.currency)
        amount = _amount(found, data.amount_minor)
        base = part_of_base(found.base_left_minor, found.left_minor, amount)
        use_id = await _use(scope, found, "applied", amount, base, reason=data.reason)
        await post(
            [
                debit(Code.DEPOSITS, amount, found.currency, base, customer_id=found.customer_id),
                credit(Code.CUSTOMER_CREDIT, amount, found.currency, base, customer_id=found.customer_id),
            ],
            kind="deposit_applied",
            source_kind="deposit_use",
            source_id=use_id,
            booked_on=scope.today(),
        )
        entry_id = await open_credit(
            scope,
            found.customer_id,
            currency=found.currency,
            source_kind="deposit",
            source_id=use_id,
            amount_minor=amount,
            base_minor=base,
            reason=data.reason.strip(),
        )
        record(
            scope,
            DepositApplied(
                deposit_id=deposit_id, customer_id=found.customer_id, amount_minor=amount, currency=found.currency
            ),
            changes={"left_minor": (found.left_minor, found.left_minor - amount)},
        )
        await allocate_credit(scope, found.customer_id, found.currency)
        return entry_id


async def pay_deposit_back(scope: Scope, deposit_id: int, data: Repayment) -> int:
    """Some of it goes back to the customer; its balance stays as it is. Gives the id of the repayment."""
    async with unit_of_work(scope):
        found = await _lock(scope, deposit_id)
        method = await _method(data.method)
        amount = _amount(found, data.amount_minor)
        base = part_of_base(found.base_left_minor, found.left_minor, amount)
        use_id = await _use(
            scope, found, "paid_back", amount, base, reason=data.reason, reference=data.reference, method_id=method.id
        )
        await post(
            [
                debit(Code.DEPOSITS, amount, found.currency, base, customer_id=found.customer_id),
                credit(method.account_code, amount, found.currency, base),
            ],
            kind="deposit_paid_back",
            source_kind="deposit_use",
            source_id=use_id,
            booked_on=scope.today(),
        )
        record(
            scope,
            DepositPaidBack(
                deposit_id=deposit_id, customer_id=found.customer_id, amount_minor=amount, currency=found.currency
            ),
            changes={"left_minor": (found.left_minor, found.left_minor - amount)},
        )
        return use_id


async def _lock(scope: Scope, deposit_id: int) -> _Locked:
    found = await row(
        _Locked,
        "SELECT id, customer_id, currency, amount_minor, left_minor, base_left_minor FROM deposit"
        " WHERE id = :id AND :within FOR UPDATE",
        id=deposit_id,
        within=within(Deposit, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"deposit {deposit_id}")
    if not found.left_minor:
        raise Conflict(_("Nothing of this deposit is held any more."))
    return found


async def _method(code: str) -> _Method:
    found = await row(_Method, "SELECT id, account_code FROM payment_method WHERE code = :code AND active", code=code)
    if found is None:
        raise Invalid(_("Choose a method of payment of the list."), field="method")
    return found


def _amount(found: _Locked, wanted: int | None) -> int:
    amount = found.left_minor if wanted is None else wanted
    if amount > found.left_minor:
        most = format_amount(found.left_minor, found.currency)
        raise Invalid(_("At most %(most)s of this deposit is held.", most=most), field="amount_minor")
    return amount


async def _use(
    scope: Scope,
    found: _Locked,
    kind: str,
    amount: int,
    base: int,
    *,
    reason: str,
    reference: str = "",
    method_id: int | None = None,
) -> int:
    use_id = await value(
        "INSERT INTO deposit_use (deposit_id, kind, method_id, amount_minor, base_minor, reason, reference, used_on)"
        " VALUES (:id, :kind, :method_id, :amount, :base, :reason, :reference, :today) RETURNING id",
        id=found.id,
        kind=kind,
        method_id=method_id,
        amount=amount,
        base=base,
        reason=reason.strip(),
        reference=reference.strip(),
        today=scope.today(),
    )
    await execute(
        "UPDATE deposit SET left_minor = left_minor - :amount, base_left_minor = base_left_minor - :base,"
        " state = CASE WHEN left_minor = :amount THEN :kind ELSE state END WHERE id = :id",
        id=found.id,
        amount=amount,
        base=base,
        kind=kind,
    )
    return int(use_id)


# -- reads ------------------------------------------------------------------------------------------------------------

_DEPOSIT: Final = (
    "SELECT deposit.id, deposit.customer_id, coalesce(m.code, '') AS method, deposit.currency, deposit.amount_minor,"
    " deposit.left_minor, deposit.state, deposit.reason, deposit.reference, deposit.received_on"
    " FROM deposit LEFT JOIN payment_method m ON m.id = deposit.method_id"
)


async def list_deposits(scope: Scope, customer_id: int, *, before: int = 0, limit: int = 200) -> list[DepositDetail]:
    """The newest first, from before an id on, each with what became of it."""
    found = await rows(
        DepositRow,
        f"{_DEPOSIT} WHERE deposit.customer_id = :id AND {all_of(bool(before) and 'deposit.id < :before')}"
        " AND :within ORDER BY deposit.id DESC LIMIT :limit",
        id=customer_id,
        before=before,
        limit=limit,
        within=within(Deposit, scope.actor.reach),
    )
    return await _with_uses(found)


async def _with_uses(found: Sequence[DepositRow]) -> list[DepositDetail]:
    uses: dict[int, list[DepositUse]] = {}
    for use in await rows(
        DepositUse,
        "SELECT id, deposit_id, kind, amount_minor, reason, reference, used_on FROM deposit_use"
        " WHERE deposit_id IN :ids ORDER BY id",
        ids=[each.id for each in found],
    ):
        uses.setdefault(use.deposit_id, []).append(use)
    return [DepositDetail(**msgspec.structs.asdict(each), uses=uses.get(each.id, [])) for each in found]


async def get_deposit(scope: Scope, deposit_id: int) -> DepositDetail:
    found = await row(
        DepositRow,
        f"{_DEPOSIT} WHERE deposit.id = :id AND :within",
        id=deposit_id,
        within=within(Deposit, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"deposit {deposit_id}")
    return (await _with_uses([found]))[0]


async def held_deposits(scope: Scope, customer_id: int, until: date | None = None) -> list[Held]:
    """What is held by currency, now or at the end of a day; nothing where nothing is."""
    found = await rows(
        Held,
        "SELECT deposit.currency, CAST(sum(deposit.amount_minor) - coalesce(sum((SELECT sum(u.amount_minor)"
        " FROM deposit_use u WHERE u.deposit_id = deposit.id AND u.used_on <= :until)), 0) AS bigint) AS minor"
        " FROM deposit WHERE deposit.customer_id = :id AND deposit.received_on <= :until AND :within"
        " GROUP BY deposit.currency ORDER BY deposit.currency",
        id=customer_id,
        until=until or scope.today(),
        within=within(Deposit, scope.actor.reach),
    )
    return [each for each in found if each.minor]
