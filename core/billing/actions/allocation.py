"""Credit and what it settles: allocating it, taking it back, granting it, giving up what is open.

Whatever lowers a debt first becomes the customer's credit; allocating moves it to the receivable and never changes the
balance (domain.md, Billing). What is stored of it (left of a credit, open of a document) is moved by the database with
each row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.activity.unit import record, unit_of_work
from core.billing.actions.relief import take_relief_back
from core.billing.events import (
    CreditAllocated,
    CreditGranted,
    CreditTakenBack,
    InvoiceReopened,
    InvoiceSettled,
    InvoiceWrittenOff,
)
from core.billing.lifting import close_pauses, lift
from core.billing.settings import BillingSettings
from core.billing.status import Ending
from core.billing.tables import CreditEntry, DocumentState
from core.customers.tables import Customer
from core.database import all_of, dialect, execute, row, rows, scoped, value, values, within
from core.errors import Conflict, Invalid, NotFound
from core.ledger.accounts import Code
from core.ledger.fx import convert, find_rate, part_of_base
from core.ledger.posting import Entry, credit, debit, post
from core.money import check_currency, format_amount
from core.settings.queries import load_settings
from core.subscriptions.actions import activate
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope


class Open(Struct, frozen=True):
    """What is open on an issued document; locked until the unit ends."""

    document_id: int
    payer_id: int
    currency: str
    open_minor: int
    base_open_minor: int
    due_on: date
    disputed: bool
    book_id: int


class Free(Struct, frozen=True):
    """What is left of a credit; locked until the unit ends."""

    id: int
    customer_id: int
    currency: str
    source_kind: str
    left_minor: int
    base_left_minor: int


_OPEN = (
    "SELECT s.document_id, s.payer_id, s.currency, s.open_minor, s.base_open_minor, s.due_on, s.disputed, d.book_id"
    " FROM document_state s JOIN document d ON d.id = s.document_id"
)
_FREE = "SELECT id, customer_id, currency, source_kind, left_minor, base_left_minor FROM credit_entry"


CreditCame = Callable[["Scope", int, str], Awaitable[None]]
_heard: Final[list[CreditCame]] = []


def when_credit_comes(callback: CreditCame) -> None:
    """Hear of a payer and a currency in which credit came in and settled what it could, in the same unit of work."""
    _heard.append(callback)


Settled = Callable[["Scope", int], Awaitable[object]]
_settled: Final[list[Settled]] = []


def when_change_is_settled(callback: Settled) -> None:
    """Hear of an invoice that a change of a subscription waited for and that is settled, in the same unit of work."""
    _settled.append(callback)


async def allocate_credit(
    scope: Scope, payer_id: int, currency: str, *, named: Sequence[int] = (), entries: Sequence[int] = ()
) -> list[int]:
    """Free credit of a payer settles its open documents; gives those that are settled now.

    Order: the named ones, then by due date, then by number; disputed ones are skipped unless they are named. The oldest
    credit goes first; `entries` are the credits to use, all that are free by default.
    """
    async with unit_of_work(scope):
        settled = await settle_open(scope, payer_id, currency, named, entries)
        await credit_came(scope, payer_id, currency)
        return settled


async def credit_came(scope: Scope, payer_id: int, currency: str) -> None:
    """Credit came in and settled what it is meant for: who waits for money may take what is left."""
    for callback in _heard:
        await callback(scope, payer_id, currency)


async def settle_open(
    scope: Scope, payer_id: int, currency: str, named: Sequence[int], entries: Sequence[int]
) -> list[int]:
    """As `allocate_credit`, but nobody hears of it yet: whoever calls it says `credit_came` once all is in place."""
    async with unit_of_work(scope):
        await lock_balance(payer_id, currency)
        free = [
            each
            for each in await rows(
                Free,
                f"{_FREE} WHERE customer_id = :payer AND currency = :currency AND left_minor > 0 ORDER BY id"
                " FOR UPDATE",
                payer=payer_id,
                currency=currency,
            )
            if not entries or each.id in entries
        ]
        if not free:
            return []
        documents = await rows(
            Open,
            f"{_OPEN} WHERE s.payer_id = :payer AND s.currency = :currency AND s.open_minor > 0"
            " AND (NOT s.disputed OR s.document_id IN :named)"
            " ORDER BY CASE WHEN s.document_id IN :named THEN 0 ELSE 1 END, s.due_on, d.year, d.seq, d.id"
            " FOR UPDATE OF s",
            payer=payer_id,
            currency=currency,
            named=list(named),
        )
        return await _match(scope, free, documents)


async def allocate_one(scope: Scope, document_id: int) -> list[int]:
    """Free credit of its payer settles this document, as far as it goes."""
    async with unit_of_work(scope):
        found = await _open(document_id)
        free = await _free_of(found)
        return await _match(scope, free, [found]) if free and found.open_minor else []


async def allocate_to_new(scope: Scope, document: Open) -> None:
    """Free credit of its payer settles a document that is being issued, as far as it goes; who issues it tells of it.

    Its row need not be there yet: numbers, and with them documents, are written last.
    """
    async with unit_of_work(scope):
        await _use(scope, _left_of(await _free_of(document)), document)


async def _free_of(document: Open) -> list[Free]:
    return await rows(
        Free,
        f"{_FREE} WHERE customer_id = :payer AND currency = :currency AND left_minor > 0 ORDER BY id FOR UPDATE",
        payer=document.payer_id,
        currency=document.currency,
    )


async def _match(scope: Scope, free: list[Free], documents: list[Open]) -> list[int]:
    """The first credit to the first document, until either is used up.

    What follows from a settlement comes last: a change that waited for it issues documents and uses credit itself.
    """
    settled: list[Open] = []
    left = _left_of(free)
    for document in documents:
        still, base_still = await _use(scope, left, document)
        if not still or (still < document.open_minor and await give_up_small(scope, document, still, base_still)):
            settled.append(document)
        if not left:
            break
    for document in settled:
        await settle(scope, document.document_id, document.payer_id)
    return [document.document_id for document in settled]


async def give_up_small(scope: Scope, document: Open, still: int, base_still: int) -> bool:
    """Where something was just allocated and so little stays open that it counts as settled (row 22), it is given up.

    One rule for all that allocates: payments, credit by hand, and runs.
    """
    if still > (await load_settings(BillingSettings)).small_difference_minor:
        return False
    await _give_up(scope, document, still, base_still, "small_difference", "Small difference")
    return True


_Left = list[tuple[Free, int, int]]
"""Credits with what is left of them, in their currency and in the base currency."""


def _left_of(free: Sequence[Free]) -> _Left:
    return [(each, each.left_minor, each.base_left_minor) for each in free]


async def _use(scope: Scope, left: _Left, document: Open) -> tuple[int, int]:
    """Allocate what is left of credits to a document, taking used up ones away; gives what stays open on it."""
    still, base_still = document.open_minor, document.base_open_minor
    while still and left:
        entry, amount, base = left[0]
        part = min(still, amount)
        base_credit, base_document = part_of_base(base, amount, part), part_of_base(base_still, still, part)
        await _allocate(scope, entry.id, document, part, base_credit, base_document)
        still, base_still = still - part, base_still - base_document
        left[0] = (entry, amount - part, base - base_credit)
        if amount == part:
            left.pop(0)
    return still, base_still


async def _allocate(
    scope: Scope, entry_id: int, document: Open, amount: int, base_credit: int, base_document: int
) -> int:
    """Row 9 of the table of postings; a difference between two rates is realised here and nowhere else."""
    today = scope.today()
    allocation_id = int(
        await value(
            "INSERT INTO allocation (credit_entry_id, document_id, amount_minor, base_credit_minor,"
            " base_document_minor,"
            " allocated_on) VALUES (:entry, :document, :amount, :base_credit, :base_document, :today) RETURNING id",
            entry=entry_id,
            document=document.document_id,
            amount=amount,
            base_credit=base_credit,
            base_document=base_document,
            today=today,
        )
    )
    customer_id, currency = document.payer_id, document.currency
    await post(
        [
            debit(Code.CUSTOMER_CREDIT, amount, currency, base_credit, customer_id=customer_id),
            credit(Code.RECEIVABLE, amount, currency, base_document, customer_id=customer_id),
            Entry(
                account=Code.FX_DIFFERENCES, amount_minor=0, base_minor=base_document - base_credit, currency=currency
            ),
        ],
        kind="allocation",
        source_kind="allocation",
        source_id=allocation_id,
        booked_on=today,
        book_id=document.book_id,
    )
    return allocation_id


async def allocate_by_hand(scope: Scope, entry_id: int, document_id: int, amount_minor: int) -> None:
    """Some of a credit to a document of the same customer and currency."""
    async with unit_of_work(scope):
        entry = await _credit(scope, entry_id)
        await lock_balance(entry.customer_id, entry.currency)
        entry = await lock_credit(scope, entry_id)
        document = await _open(document_id, scope)
        if (entry.customer_id, entry.currency) != (document.payer_id, document.currency):
            raise Invalid(_("The credit is another customer's, or in another currency."), field="credit_entry_id")
        if not 0 < amount_minor <= min(entry.left_minor, document.open_minor):
            most = format_amount(min(entry.left_minor, document.open_minor), entry.currency)
            raise Invalid(_("At most %(most)s can be allocated.", most=most), field="amount_minor")
        one = Free(entry.id, entry.customer_id, entry.currency, entry.source_kind, amount_minor, 0)
        base_credit = part_of_base(entry.base_left_minor, entry.left_minor, amount_minor)
        base_document = part_of_base(document.base_open_minor, document.open_minor, amount_minor)
        await _allocate(scope, one.id, document, amount_minor, base_credit, base_document)
        record(
            scope,
            CreditAllocated(
                invoice_id=document_id,
                customer_id=document.payer_id,
                amount_minor=amount_minor,
                currency=document.currency,
            ),
        )
        still, base_still = document.open_minor - amount_minor, document.base_open_minor - base_document
        if not still or await give_up_small(scope, document, still, base_still):
            await settle(scope, document_id, document.payer_id)


class _Made(Struct, frozen=True):
    id: int
    credit_entry_id: int
    document_id: int
    amount_minor: int
    base_credit_minor: int
    base_document_minor: int
    payer_id: int
    currency: str
    book_id: int
    corrects: bool


_MADE = (
    "SELECT a.id, a.credit_entry_id, a.document_id, a.amount_minor, a.base_credit_minor, a.base_document_minor,"
    " d.payer_id, d.currency, d.book_id, n.id IS NOT NULL AS corrects"
    " FROM allocation a JOIN document d ON d.id = a.document_id JOIN credit_entry e ON e.id = a.credit_entry_id"
    " LEFT JOIN document n ON e.source_kind = 'credit_note' AND n.id = e.source_id AND n.corrects_id = d.id"
    " WHERE a.amount_minor > 0 AND NOT EXISTS (SELECT 1 FROM allocation u WHERE u.undoes_id = a.id)"
)


async def unallocate(scope: Scope, allocation_id: int) -> None:
    """Take an allocation back: the document is open again by that much, the credit free. The mirror of row 9."""
    async with unit_of_work(scope):
        found = await row(_Made, f"{_MADE} AND a.id = :id", id=allocation_id)
        if found is None or not await scoped(DocumentState, scope).exists().where(
            DocumentState.document_id == found.document_id
        ):
            raise NotFound(f"allocation {allocation_id}")
        if found.corrects:
            raise Conflict(_("A credit note stays on the invoice that it corrects. Take a payment off it instead."))
        await _open(found.document_id)
        today = scope.today()
        undone = int(
            await value(
                "INSERT INTO allocation (credit_entry_id, document_id, amount_minor, base_credit_minor,"
                " base_document_minor, allocated_on, undoes_id)"
                " VALUES (:entry, :document, :amount, :base_credit, :base_document, :today, :undoes) RETURNING id",
                entry=found.credit_entry_id,
                document=found.document_id,
                amount=-found.amount_minor,
                base_credit=-found.base_credit_minor,
                base_document=-found.base_document_minor,
                today=today,
                undoes=found.id,
            )
        )
        await post(
            [
                debit(
                    Code.RECEIVABLE,
                    found.amount_minor,
                    found.currency,
                    found.base_document_minor,
                    customer_id=found.payer_id,
                ),
                credit(
                    Code.CUSTOMER_CREDIT,
                    found.amount_minor,
                    found.currency,
                    found.base_credit_minor,
                    customer_id=found.payer_id,
                ),
                Entry(
                    account=Code.FX_DIFFERENCES,
                    amount_minor=0,
                    base_minor=found.base_credit_minor - found.base_document_minor,
                    currency=found.currency,
                ),
            ],
            kind="allocation",
            source_kind="allocation",
            source_id=undone,
            booked_on=today,
            book_id=found.book_id,
        )
        after = await _open(found.document_id)
        record(
            scope,
            InvoiceReopened(invoice_id=found.document_id, customer_id=found.payer_id, open_minor=after.open_minor),
        )


async def free_up(
    scope: Scope, *, credit_entry_id: int | None = None, document_id: int | None = None, amount_minor: int | None = None
) -> int:
    """Take allocations back, the newest first, of a credit or a document, until this much is free; gives how much.

    A credit note stays on the invoice that it corrects: what else has settled that is taken off it.
    """
    asked = all_of(
        "n.id IS NULL",
        credit_entry_id is not None and "a.credit_entry_id = :entry",
        document_id is not None and "a.document_id = :document",
    )
    async with unit_of_work(scope):
        made = await rows(
            _Made,
            f"{_MADE} AND {asked} ORDER BY a.id DESC",
            entry=credit_entry_id,
            document=document_id,
        )
        freed = 0
        for each in made:
            if amount_minor is not None and freed >= amount_minor:
                break
            await unallocate(scope, each.id)
            freed += each.amount_minor
        return freed


async def settle(scope: Scope, document_id: int, payer_id: int, ending: Ending | None = None) -> None:
    """Nothing is open on it any more: said, the subscriptions that waited for it are live from today, and a block by
    dunning is lifted where nothing overdue is left.

    An invoice that is credited in full or written off as a bad debt does not activate (domain.md, Invoice first).
    """
    record(scope, InvoiceSettled(invoice_id=document_id, customer_id=payer_id))
    await close_pauses(scope, document_id, ending)
    if ending is Ending.WRITTEN_OFF:
        return
    for subscription_id in await waiting_for(document_id):
        await activate(scope, subscription_id, scope.today())
    if await change_waits(document_id):
        for callback in _settled:
            await callback(scope, document_id)
    await lift(scope, payer_id)


async def waiting_for(document_id: int) -> list[int]:
    """Subscriptions whose first cycle, or whose change, stands on this invoice and has no days yet."""
    return [
        int(each)
        for each in await values(
            "SELECT DISTINCT s.id FROM document_line l JOIN charge k ON k.id = l.charge_id"
            " JOIN subscription s ON s.id = k.subscription_id"
            " WHERE l.document_id = :id AND k.kind = 'recurring' AND k.period_start IS NULL AND k.state = 'invoiced'"
            " AND s.state IN ('pending', 'trial', 'active', 'suspended') ORDER BY s.id",
            id=document_id,
        )
    ]


async def change_waits(document_id: int) -> bool:
    """Whether a change of a subscription is made once this invoice is settled."""
    return bool(
        await value(
            "SELECT 1 FROM subscription_change WHERE document_id = :id AND state = 'waiting' LIMIT 1", id=document_id
        )
    )


async def open_credit(
    scope: Scope,
    customer_id: int,
    *,
    currency: str,
    source_kind: str,
    source_id: int | None,
    amount_minor: int,
    base_minor: int,
    subscription_id: int | None = None,
    reason: str = "",
) -> int:
    """A credit from one source (None: it is its own); whoever makes it has posted it on the customer's account."""
    entry_id = int(await value(_next_credit()))
    await execute(
        "INSERT INTO credit_entry (id, customer_id, currency, source_kind, source_id, subscription_id, reason,"
        " amount_minor, base_minor, left_minor, base_left_minor, created_on)"
        " VALUES (:id, :customer_id, :currency, :source_kind, :source_id, :subscription_id, :reason, :amount, :base,"
        " :amount, :base, :today)",
        id=entry_id,
        customer_id=customer_id,
        currency=currency,
        source_kind=source_kind,
        source_id=entry_id if source_id is None else source_id,
        subscription_id=subscription_id,
        reason=reason,
        amount=amount_minor,
        base=base_minor,
        today=scope.today(),
    )
    return entry_id


def _next_credit() -> str:
    if dialect() == "sqlite":
        return "SELECT coalesce((SELECT seq FROM main.sqlite_sequence WHERE name = 'credit_entry'), 0) + 1"
    return "SELECT nextval('credit_entry_id_seq')"


async def grant_credit(
    scope: Scope,
    customer_id: int,
    amount_minor: int,
    reason: str,
    *,
    document_id: int | None = None,
    subscription_id: int | None = None,
    currency: str | None = None,
) -> int:
    """Goodwill: credit without a document, outside VAT (row 17), in the customer's currency unless another is named.
    Gives the credit's id.

    It settles the invoice that it is meant for, or those of the subscription that it is meant for; then what is open,
    the oldest due first; what is left pays new invoices as they are issued. What is meant for a subscription is
    forfeited with it, as its credit notes are.
    """
    if not reason.strip():
        raise Invalid(_("Say what the credit is for."), field="reason")
    if amount_minor <= 0:
        raise Invalid(_("The amount must be more than 0."), field="amount_minor")
    async with unit_of_work(scope):
        own = await value(
            "SELECT currency FROM customer WHERE id = :id AND :within",
            id=customer_id,
            within=within(Customer, scope.actor.reach),
        )
        if own is None:
            raise NotFound(f"customer {customer_id}")
        currency = check_currency(currency or str(own))
        named = await _meant_for(customer_id, currency, document_id, subscription_id)
        base = await in_base(scope, amount_minor, currency)
        entry_id = await open_credit(
            scope,
            customer_id,
            currency=currency,
            source_kind="goodwill",
            source_id=None,
            amount_minor=amount_minor,
            base_minor=base,
            subscription_id=subscription_id,
            reason=reason.strip(),
        )
        await post(
            [
                debit(Code.GOODWILL, amount_minor, currency, base),
                credit(Code.CUSTOMER_CREDIT, amount_minor, currency, base, customer_id=customer_id),
            ],
            kind="goodwill",
            source_kind="credit_entry",
            source_id=entry_id,
            booked_on=scope.today(),
        )
        record(
            scope,
            CreditGranted(credit_id=entry_id, customer_id=customer_id, amount_minor=amount_minor, currency=currency),
            changes={"reason": (None, reason.strip())},
        )
        if named:
            await allocate_credit(scope, customer_id, currency, named=named, entries=[entry_id])
        await allocate_credit(scope, customer_id, currency)
        return entry_id


async def _meant_for(
    customer_id: int, currency: str, document_id: int | None, subscription_id: int | None
) -> list[int]:
    """The open invoices that a credit is meant for. Raises Invalid where it could never pay one of them."""
    if document_id is not None:
        found = await row(Open, f"{_OPEN} WHERE s.document_id = :id", id=document_id)
        if found is None or found.payer_id != customer_id:
            raise Invalid(_("Choose an invoice of this customer."), field="invoice_id")
        if not found.open_minor or found.currency != currency:
            raise Invalid(_("Choose an invoice that is open, in the currency of the credit."), field="invoice_id")
        return [document_id]
    if subscription_id is None:
        return []
    payer = await value(
        "SELECT coalesce(c.payer_id, c.id) FROM subscription s JOIN customer c ON c.id = s.customer_id"
        " WHERE s.id = :id AND s.state <> 'withdrawn'",
        id=subscription_id,
    )
    if payer != customer_id:
        raise Invalid(_("Choose a subscription that this customer pays for."), field="subscription_id")
    return [
        int(each)
        for each in await values(
            "SELECT DISTINCT l.document_id FROM document_state s JOIN document_line l ON l.document_id = s.document_id"
            " JOIN charge k ON k.id = l.charge_id"
            " WHERE s.payer_id = :payer AND s.open_minor > 0 AND k.subscription_id = :id ORDER BY 1",
            payer=customer_id,
            id=subscription_id,
        )
    ]


async def reverse_grant(scope: Scope, entry_id: int, reason: str) -> int:
    """Take goodwill back that was granted by mistake: the mirror of row 17. Invoices that it paid are open again.

    What was forfeited, refunded or transferred of it stays so. Gives how much was taken back.
    """
    if not reason.strip():
        raise Invalid(_("Say why it is taken back."), field="reason")
    async with unit_of_work(scope):
        entry = await _credit(scope, entry_id)
        if entry.source_kind != "goodwill":
            raise Conflict(_("Only goodwill is taken back here. A payment is reversed, a credit note corrected."))
        await lock_balance(entry.customer_id, entry.currency)
        await free_up(scope, credit_entry_id=entry_id)
        entry = await lock_credit(scope, entry_id)
        if not entry.left_minor:
            raise Conflict(_("Nothing of this credit is left to be taken back."))
        amount, currency, base = entry.left_minor, entry.currency, entry.base_left_minor
        use_id = await use_credit(scope, entry_id, "reversal", entry_id, amount, base)
        await post(
            [
                debit(Code.CUSTOMER_CREDIT, amount, currency, base, customer_id=entry.customer_id),
                credit(Code.GOODWILL, amount, currency, base),
            ],
            kind="goodwill_reversal",
            source_kind="credit_use",
            source_id=use_id,
            booked_on=scope.today(),
        )
        record(
            scope,
            CreditTakenBack(credit_id=entry_id, customer_id=entry.customer_id, amount_minor=amount, currency=currency),
            changes={"reason": (None, reason.strip())},
        )
        await allocate_credit(scope, entry.customer_id, currency)
        return amount


async def in_base(scope: Scope, amount_minor: int, currency: str, on: date | None = None) -> int:
    """An amount in the tenant's currency by the official rate of a day, or Conflict where nobody entered one."""
    rate = await find_rate(currency, scope.tenant.currency, on or scope.today())
    if rate is None:
        raise Conflict(
            _(
                "There is no rate from %(currency)s to %(base)s. Enter it under Settings, Currencies.",
                currency=currency,
                base=scope.tenant.currency,
            )
        )
    return convert(amount_minor, currency, scope.tenant.currency, rate)


async def write_off(scope: Scope, document_id: int, reason: str, amount_minor: int | None = None) -> None:
    """Give up what is open as a bad debt (row 19): the document stays, nothing is activated."""
    async with unit_of_work(scope):
        document = await _open(document_id, scope)
        amount = document.open_minor if amount_minor is None else amount_minor
        if not 0 < amount <= document.open_minor:
            raise Invalid(_("At most what is open can be written off."), field="amount_minor")
        base = part_of_base(document.base_open_minor, document.open_minor, amount)
        await _give_up(scope, document, amount, base, "bad_debt", reason)
        record(
            scope,
            InvoiceWrittenOff(invoice_id=document_id, customer_id=document.payer_id, amount_minor=amount),
            changes={"reason": (None, reason)},
        )
        if amount == document.open_minor:
            await settle(scope, document_id, document.payer_id, Ending.WRITTEN_OFF)


class _Lost(Struct, frozen=True):
    kind: str
    amount_minor: int
    base_minor: int


async def recover_loss(scope: Scope, document_id: int, amount_minor: int) -> int:
    """Money comes for what was written off: so much is open again, to be settled by it (row 21); gives how much."""
    taken = await take_write_offs_back(scope, document_id, amount_minor, "Money came for it", bad_debts_only=True)
    if taken:
        found = await _open(document_id)
        record(
            scope,
            InvoiceReopened(invoice_id=document_id, customer_id=found.payer_id, open_minor=found.open_minor),
        )
    return taken


async def take_write_offs_back(
    scope: Scope,
    document_id: int,
    amount_minor: int,
    reason: str = "Taken back by a credit note",
    *,
    bad_debts_only: bool = False,
) -> int:
    """What was given up of a document is open again, up to an amount: a credit note takes its place, not the loss.

    The mirror of rows 19 and 22, and of row 20 where tax was relieved; gives how much.
    """
    document = await _open(document_id)
    lost = await rows(
        _Lost,
        "SELECT kind, CAST(sum(amount_minor) AS bigint) AS amount_minor, CAST(sum(base_minor) AS bigint) AS base_minor"
        " FROM write_off WHERE document_id = :id GROUP BY kind HAVING sum(amount_minor) > 0 ORDER BY kind",
        id=document_id,
    )
    taken = 0
    for each in lost:
        part = min(each.amount_minor, amount_minor - taken)
        if part > 0 and (each.kind == "bad_debt" or not bad_debts_only):
            base = part_of_base(each.base_minor, each.amount_minor, part)
            if each.kind == "bad_debt":
                await take_relief_back(scope, document_id, part, each.amount_minor)
            await _give_up(scope, document, -part, -base, each.kind, reason)
            taken += part
    return taken


async def _give_up(scope: Scope, document: Open, amount: int, base: int, kind: str, reason: str) -> None:
    """Rows 19 and 22 of the table of postings."""
    today = scope.today()
    write_off_id = int(
        await value(
            "INSERT INTO write_off (document_id, kind, amount_minor, base_minor, reason, written_on)"
            " VALUES (:document, :kind, :amount, :base, :reason, :today) RETURNING id",
            document=document.document_id,
            kind=kind,
            amount=amount,
            base=base,
            reason=reason,
            today=today,
        )
    )
    account = Code.BAD_DEBTS if kind == "bad_debt" else Code.ROUNDING
    await post(
        [
            debit(account, amount, document.currency, base),
            credit(Code.RECEIVABLE, amount, document.currency, base, customer_id=document.payer_id),
        ],
        kind=kind,
        source_kind="write_off",
        source_id=write_off_id,
        booked_on=today,
        book_id=document.book_id,
    )


async def lock_balance(customer_id: int, currency: str) -> None:
    """Money actions of one payer take turns: each locks its balance first."""
    await value(
        "SELECT 1 FROM customer_balance WHERE customer_id = :id AND currency = :currency FOR UPDATE",
        id=customer_id,
        currency=currency,
    )


async def lock_credit(scope: Scope, entry_id: int) -> Free:
    return await _credit(scope, entry_id, " FOR UPDATE")


async def use_credit(scope: Scope, entry_id: int, kind: str, source_id: int, amount_minor: int, base_minor: int) -> int:
    """So much of a credit is gone for other than an invoice; the caller books it. Gives the row's id."""
    return int(
        await value(
            "INSERT INTO credit_use (credit_entry_id, kind, source_id, amount_minor, base_minor, used_on)"
            " VALUES (:entry, :kind, :source, :amount, :base, :today) RETURNING id",
            entry=entry_id,
            kind=kind,
            source=source_id,
            amount=amount_minor,
            base=base_minor,
            today=scope.today(),
        )
    )


async def _credit(scope: Scope, entry_id: int, lock: str = "") -> Free:
    found = await row(
        Free,
        f"{_FREE} WHERE id = :id AND :within{lock}",
        id=entry_id,
        within=within(CreditEntry, scope.actor.reach),
    )
    if found is None:
        raise NotFound(f"credit {entry_id}")
    return found


async def _open(document_id: int, scope: Scope | None = None) -> Open:
    if scope is not None and not await scoped(DocumentState, scope).exists().where(
        DocumentState.document_id == document_id
    ):
        raise NotFound(f"document {document_id}")
    found = await row(Open, f"{_OPEN} WHERE s.document_id = :id FOR UPDATE OF s", id=document_id)
    if found is None:
        raise NotFound(f"document {document_id}")
    return found
