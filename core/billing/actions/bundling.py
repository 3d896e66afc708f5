"""Bundles with their documents: all their parts on one invoice, and every act on the whole (P18)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from core.activity.unit import unit_of_work
from core.billing.actions.invoices import invoice_these
from core.billing.actions.pausing import pause
from core.billing.actions.prepaid import resume
from core.billing.actions.unused import (
    Withdrawal,
    cancelled_words,
    credit_unused,
    withdraw_subscription,
    withdraw_together,
)
from core.database import execute, value
from core.subscriptions.actions import (
    cancel_at_expiry,
    charge_termination,
    suspend,
    terminate,
    undo_cancellation,
)
from core.subscriptions.actions.bundling import change_quantity, lock_parts, request_bundle
from core.subscriptions.actions.pausing import drop_pause, end_pause
from core.texts import _

if TYPE_CHECKING:
    from datetime import date

    from core.scope import Scope
    from core.subscriptions.bundles import NewCustomerBundle
    from core.subscriptions.schemas import NewPause


class InvoicedBundle(Struct, frozen=True):
    """A bundle that waits for an invoice (or that it settled at once: by credit, or of nothing)."""

    customer_bundle_id: int
    document_id: int


async def invoice_bundle_first(scope: Scope, data: NewCustomerBundle) -> InvoicedBundle:
    """All its parts wait for one invoice, which is issued; settled, they are live together."""
    async with unit_of_work(scope):
        asked = await request_bundle(scope, data)
        return InvoicedBundle(asked.customer_bundle_id, await invoice_these(scope, asked.charge_ids))


async def cancel_bundle(scope: Scope, customer_bundle_id: int) -> date:
    """All of it ends with the period that runs, not before minimum term and notice; gives the first day without."""
    async with unit_of_work(scope):
        _mine, parts = await lock_parts(scope, customer_bundle_id)
        ends = [await cancel_at_expiry(scope, part.id, whole=True) for part in parts]
        for part, ends_on in zip(parts, ends, strict=True):
            await credit_unused(scope, part.id, ends_on, partial(cancelled_words, ends_on))
        return ends[0]


async def keep_bundle(scope: Scope, customer_bundle_id: int) -> None:
    """Undo its cancellation."""
    async with unit_of_work(scope):
        _mine, parts = await lock_parts(scope, customer_bundle_id)
        for part in parts:
            await undo_cancellation(scope, part.id, whole=True)


async def suspend_bundle(scope: Scope, customer_bundle_id: int) -> None:
    async with unit_of_work(scope):
        _mine, parts = await lock_parts(scope, customer_bundle_id)
        for part in parts:
            await suspend(scope, part.id, whole=True)


async def resume_bundle(scope: Scope, customer_bundle_id: int) -> None:
    async with unit_of_work(scope):
        _mine, parts = await lock_parts(scope, customer_bundle_id)
        for part in parts:
            await resume(scope, part.id)


async def terminate_bundle(
    scope: Scope, customer_bundle_id: int, on: date, *, credit: bool = False, waive_fee: bool = False
) -> int:
    """All of it ends on a day; gives the fee for leaving early, which the next invoice has."""
    async with unit_of_work(scope):
        mine, parts = await lock_parts(scope, customer_bundle_id)
        fee = 0
        # What needs another part ends before it.
        for part in reversed(parts):
            fee += 0 if waive_fee else await charge_termination(scope, part.id, on)
            await terminate(scope, part.id, on)
        if credit:
            for part in parts:
                await credit_unused(scope, part.id, on, lambda: _("%(name)s ended on %(day)s", name=mine.name, day=on))
        return fee


async def withdraw_bundle(
    scope: Scope, customer_bundle_id: int, *, void_invoices: bool = False, waive_fee: bool = False
) -> Withdrawal:
    """Service of all of it ends now, nothing is reimbursed; see `withdraw_subscription`."""
    async with unit_of_work(scope):
        _mine, parts = await lock_parts(scope, customer_bundle_id)
        ids = [part.id for part in reversed(parts)]
        return await withdraw_together(scope, ids, void_invoices=void_invoices, waive_fee=waive_fee)


async def withdraw_with_bundle(scope: Scope, subscription_id: int) -> None:
    """Withdraw a subscription, and with it the bundle that it is part of."""
    bundle_id = await value("SELECT customer_bundle_id FROM subscription WHERE id = :id", id=subscription_id)
    if bundle_id is None:
        await withdraw_subscription(scope, subscription_id)
    else:
        await withdraw_bundle(scope, int(bundle_id))


async def pause_bundle(scope: Scope, customer_bundle_id: int, data: NewPause) -> None:
    """All of it is paused; a hold fee is charged once."""
    async with unit_of_work(scope):
        _mine, parts = await lock_parts(scope, customer_bundle_id)
        for at, part in enumerate(parts):
            await pause(scope, part.id, data if at == 0 else _without_fee(data), whole=True)


def _without_fee(data: NewPause) -> NewPause:
    return type(data)(from_on=data.from_on, to_on=data.to_on, reason=data.reason)


async def drop_bundle_pause(scope: Scope, customer_bundle_id: int) -> None:
    async with unit_of_work(scope):
        _mine, parts = await lock_parts(scope, customer_bundle_id)
        for part in parts:
            await drop_pause(scope, part.id)


async def end_bundle_pause(scope: Scope, customer_bundle_id: int) -> None:
    async with unit_of_work(scope):
        _mine, parts = await lock_parts(scope, customer_bundle_id)
        for part in parts:
            await end_pause(scope, part.id)


async def change_bundle_quantity(scope: Scope, customer_bundle_id: int, quantity_e6: int) -> int | None:
    """More from today on, with one invoice of the difference: gives it. Less from the next period on."""
    async with unit_of_work(scope):
        charges = await change_quantity(scope, customer_bundle_id, quantity_e6)
        if not charges:
            return None
        if await value("SELECT CAST(sum(abs(amount_minor)) AS bigint) FROM charge WHERE id IN :ids", ids=charges):
            return await invoice_these(scope, charges)
        await execute(
            "UPDATE charge SET state = 'waived', closed_on = :today WHERE id IN :ids", ids=charges, today=scope.today()
        )
        return None
