"""Changing a subscription with its documents: a credit note for the unused part, an invoice for the new one.

The preview and the act are one: what a change comes to is worked out by the deed, which is taken back.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from core.activity.unit import again, unit_of_work
from core.billing.actions.allocation import change_waits, credit_came, when_change_is_settled
from core.billing.actions.credit_notes import void
from core.billing.actions.invoices import invoice_these
from core.billing.actions.prepaid import pay_or_refuse
from core.billing.actions.unused import credit_unused
from core.billing.unused import unused_lines
from core.catalog.queries import get_product
from core.database import execute, row, value, values
from core.errors import Conflict, DomainError
from core.money import half_up
from core.subscriptions.actions.agreed import discounts_of
from core.subscriptions.actions.changing import drop_change, plan_change, resolve, wait_for_payment
from core.subscriptions.actions.making import (
    Made,
    change_on,
    change_prepaid,
    change_settled,
    change_trial,
    charge_ahead,
    only_more,
    part_of,
)
from core.subscriptions.actions.shared import Locked, lock
from core.subscriptions.changes import AgreedChange, WaitsFor
from core.subscriptions.status import STARTED, SubscriptionState
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope
    from core.subscriptions.changes import ChangeOrder
    from core.subscriptions.schemas import BoxAction, SubscriptionRow

MOST_OF_A_DAY: Final = 500


class Changed(Struct, frozen=True):
    """What a change came to: done (neither a day nor a document to wait for), planned for a day, or waiting for an
    invoice until one. `document_ids`: what was issued for it, and nothing that others issue at the same time."""

    subscription_id: int
    document_ids: list[int]
    happens_on: date | None = None
    waits_until: date | None = None
    credit_minor: int = 0
    """Of one that waits: what is credited once it is paid, without tax."""


async def change_subscription(scope: Scope, subscription_id: int, order: ChangeOrder) -> Changed:
    """Upgrade, downgrade, another cycle or quantity: at once, planned, or once its invoice is settled (P7, P16)."""
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        resolved = await resolve(scope, found, order)
        if resolved.on is not None:
            await plan_change(scope, found, resolved.change, resolved.on)
            return Changed(subscription_id, [], happens_on=resolved.on)
        if found.state is SubscriptionState.TRIAL:
            await change_trial(scope, found, resolved.change)
            return Changed(subscription_id, [])
        if resolved.invoice_first and (waiting := await _ask_first(scope, found, resolved.change)):
            return waiting
        return Changed(subscription_id, await _happen(scope, found, resolved.change, scope.today()))


async def _happen(scope: Scope, found: Locked, change: AgreedChange, day: date) -> list[int]:
    """Credit note, new terms, invoice; gives the documents' ids."""
    if found.timing == "prepaid":
        return await _happen_prepaid(scope, found, change, day)
    notes: list[int] = []
    is_more = change.kind == "upgrade" and not change.replaces_terms  # what was paid of it is never paid twice
    if (change.unused == "credit" or is_more) and not await only_more(scope, found, change, day):
        notes = await credit_unused(scope, found.id, day, partial(_changed_words, day))
    made = await change_on(scope, found, change, day, credited_minor=await _net_of(notes))
    invoice_id = await _invoice(scope, made)
    return notes if invoice_id is None else [*notes, invoice_id]


def _changed_words(day: date) -> str:
    return _("Changed on %(day)s", day=day)


async def _happen_prepaid(scope: Scope, found: Locked, change: AgreedChange, day: date) -> list[int]:
    """The unused part returns to the balance, and a full period of the new terms is paid from it; refused where that
    does not cover it. Where a paid period ends that day, the renewal of the day is the one of the new terms."""
    last = int(await value("SELECT coalesce(max(id), 0) FROM document"))
    ends_now = found.period_start is not None and not await unused_lines(found.id, day)
    notes: list[int] = []
    if change.unused == "credit":
        notes = await credit_unused(scope, found.id, day, partial(_changed_words, day), tell=False)
    also = await change_prepaid(scope, found, change, day, credited_minor=await _net_of(notes))
    if ends_now and not also:
        return notes
    await pay_or_refuse(scope, found.id, also)
    payer_id = int(await value("SELECT coalesce(payer_id, id) FROM customer WHERE id = :id", id=found.customer_id))
    await credit_came(scope, payer_id, change.currency)
    made = await values(
        "SELECT DISTINCT d.id FROM document d JOIN document_line l ON l.document_id = d.id"
        " JOIN charge k ON k.id = l.charge_id WHERE k.subscription_id = :id AND d.id > :last ORDER BY d.id",
        id=found.id,
        last=last,
    )
    return [*notes, *(int(each) for each in made)]


async def _net_of(notes: list[int]) -> int:
    if not notes:
        return 0
    return int(await value("SELECT CAST(sum(net_minor) AS bigint) FROM document WHERE id IN :ids", ids=notes))


async def _invoice(scope: Scope, made: Made) -> int | None:
    """One invoice of the charges of a change; what comes to nothing is no invoice."""
    if not made.charge_ids:
        return None
    total = int(
        await value("SELECT CAST(sum(abs(amount_minor)) AS bigint) FROM charge WHERE id IN :ids", ids=made.charge_ids)
    )
    if total:
        return await invoice_these(scope, made.charge_ids)
    await execute(
        "UPDATE charge SET state = 'waived', closed_on = :today WHERE id IN :ids",
        ids=made.charge_ids,
        today=scope.today(),
    )
    return None


async def dues(scope: Scope, mine: SubscriptionRow, wanted: Sequence[BoxAction]) -> dict[int, int]:
    """What changes to these prices would cost now, without tax, by price: as the change itself works it out, but for
    fees and the like. For the boxes alone: the plan of a change says it to the cent."""
    unused = sum(each.net_minor for each in await unused_lines(mine.id, scope.today()))
    plain = mine.cycle_minor == half_up(mine.amount_minor * mine.quantity_e6, 10**6)
    discounts = [] if plain else await discounts_of(mine.id)
    return {
        action.price_id: part if action.invoice_first and part > unused else part - unused
        for action in wanted
        if action.price_id is not None and (part := part_of(mine, action, scope.today(), discounts)) is not None
    }


# -- invoice first ----------------------------------------------------------------------------------------------------


async def _ask_first(scope: Scope, found: Locked, change: AgreedChange) -> Changed | None:
    """The invoice that the change waits for, its amounts as of today. None where nothing is to be paid for it: less
    than what is credited, in arrears, or a period that is not charged yet."""
    today = scope.today()
    unused = (
        {}
        if change.unused == "none" or await only_more(scope, found, change, today)
        else {each.line_id: each.net_minor for each in await unused_lines(found.id, today)}
    )
    made = await charge_ahead(scope, found, change, credited_minor=sum(unused.values()))
    if made.amount_minor <= sum(unused.values()):
        if made.charge_ids:
            await execute("DELETE FROM charge WHERE id IN :ids AND state = 'open'", ids=made.charge_ids)
        return None
    document_id = await _invoice(scope, made)
    assert document_id is not None
    waits = msgspec.structs.replace(change, waits=WaitsFor(credits=unused, parts=made.parts))
    product = await get_product(change.product_id)
    until = min(today + timedelta(days=product.pending_days), min(made.parts.values()) - timedelta(days=1))
    await wait_for_payment(scope, found, waits, document_id, until)
    notes = await happen_settled(scope, document_id)
    if not await change_waits(document_id):
        return Changed(found.id, [document_id, *notes])
    return Changed(found.id, [document_id], waits_until=until, credit_minor=sum(unused.values()))


async def happen_settled(scope: Scope, document_id: int) -> list[int]:
    """The change that waited for this invoice, if it is settled now: the old terms ran on until today. Gives the
    credit notes."""
    ahead = await row(
        _Ahead,
        "SELECT c.id, c.subscription_id, c.happens_on, c.plan FROM subscription_change c"
        " JOIN document_state s ON s.document_id = c.document_id"
        " WHERE c.document_id = :id AND c.state = 'waiting' AND s.settled_on IS NOT NULL",
        id=document_id,
    )
    if ahead is None:
        return []
    found = await lock(scope, ahead.subscription_id)
    if found.state not in STARTED:
        return []
    change, day = msgspec.json.decode(ahead.plan, type=AgreedChange), scope.today()
    assert change.waits is not None
    notes: list[int] = []
    if change.waits.credits:
        why = partial(_changed_words, day)
        notes = await credit_unused(scope, found.id, day, why, amounts=change.waits.credits)
    await change_settled(scope, found, change, day)
    await _close(ahead.id, "done")
    return notes


when_change_is_settled(happen_settled)


async def undo_change(scope: Scope, subscription_id: int) -> None:
    """What was planned is not made; the invoice that it waited for is void, part payments become credit."""
    async with unit_of_work(scope):
        document_id = await drop_change(scope, subscription_id)
        if document_id is not None:
            await void(scope, document_id, lambda: _("The change was taken back"))


# -- as the days go by ------------------------------------------------------------------------------------------------


class _Ahead(Struct, frozen=True):
    id: int
    subscription_id: int
    happens_on: date
    plan: str


async def changes_due(scope: Scope, day: date) -> None:
    """Changes whose day has come are made, and those whose invoice was not settled in time are void: one by one, each
    in a unit of its own. What cannot be made or voided now stays as it is, and is tried again with the next run."""
    for change_id in await values(
        "SELECT id FROM subscription_change WHERE state = 'planned' AND happens_on <= :day ORDER BY happens_on, id",
        day=day,
    ):
        try:
            await again(partial(make_planned, scope, int(change_id)))
        except DomainError:
            continue
    for change_id in await values(
        "SELECT c.id FROM subscription_change c JOIN subscription u ON u.id = c.subscription_id"
        " WHERE c.state = 'waiting' AND (c.until_on < :day OR u.state IN ('ended', 'withdrawn')) ORDER BY c.id",
        day=day,
    ):
        try:
            await again(partial(_lapse, scope, int(change_id)))
        except DomainError:
            continue


async def make_planned(scope: Scope, change_id: int) -> None:
    """A change whose day has come. Conflict where it cannot be made now."""
    async with unit_of_work(scope):
        ahead = await _lock_ahead(scope, change_id, "planned")
        if ahead is None:
            return
        found = await lock(scope, ahead.subscription_id)
        if found.state not in (SubscriptionState.ACTIVE, SubscriptionState.SUSPENDED, SubscriptionState.TRIAL):
            raise Conflict(_("Only what is live is changed."))
        change = msgspec.json.decode(ahead.plan, type=AgreedChange)
        if found.state is SubscriptionState.TRIAL:
            await change_trial(scope, found, change)
        else:
            await _happen(scope, found, change, ahead.happens_on)
        await _close(change_id, "done")


async def _lapse(scope: Scope, change_id: int) -> None:
    async with unit_of_work(scope):
        ahead = await _lock_ahead(scope, change_id, "waiting")
        if ahead is None:
            return
        document_id = int(await value("SELECT document_id FROM subscription_change WHERE id = :id", id=change_id))
        await _close(change_id, "dropped")
        await void(scope, document_id, lambda: _("Not settled in time"))


async def _lock_ahead(scope: Scope, change_id: int, state: str) -> _Ahead | None:
    """The subscription first, as everybody does; None where another worker was faster."""
    subscription_id = await value("SELECT subscription_id FROM subscription_change WHERE id = :id", id=change_id)
    await lock(scope, int(subscription_id))
    return await row(
        _Ahead,
        "SELECT id, subscription_id, happens_on, plan FROM subscription_change WHERE id = :id AND state = :state",
        id=change_id,
        state=state,
    )


async def _close(change_id: int, state: str) -> None:
    await execute("UPDATE subscription_change SET state = :state WHERE id = :id", id=change_id, state=state)
