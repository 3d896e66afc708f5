"""A customer's contract is over: what is unused is credited, what is open is invoiced, what was never paid is void."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import TYPE_CHECKING

from msgspec import Struct

from core.activity.asking import nothing_kept
from core.activity.unit import unit_of_work
from core.billing.actions import credit_unused, invoice_charges_of
from core.billing.actions.bundling import withdraw_with_bundle
from core.database import rows, value
from core.errors import Conflict
from core.hooks import Effect
from core.subscriptions.actions import end_contract
from core.subscriptions.queries import pending_ones, started_ones
from core.subscriptions.status import SubscriptionState
from core.texts import _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.scope import Scope
    from core.subscriptions.queries import Touched


class _Made(Struct, frozen=True):
    kind: str
    total_minor: int
    currency: str


async def plan_end(scope: Scope, customer_id: int, on: date) -> list[Effect]:
    """The documents that the end of a contract brings, with their totals: worked out by the deed, which is taken back.

    Credit notes have a minus. For a day to come the totals are what is known today, without what runs invoice until
    then; what would stand in the way today is a warning.
    """
    pending, started = await pending_ones(customer_id), await started_ones(customer_id)
    effects = [await _voided(scope, each) for each in pending]
    ids = [each.id for each in started]
    settle = partial(settle_contract, customer_id=customer_id, subscription_ids=ids, on=on)
    try:
        made = await _rehearsed(scope, customer_id, ids, on)
    except Conflict as error:
        if on <= scope.today():
            raise
        warning = Effect(text=error.message, kind="warning")
        return [*effects, Effect(text=_("Final invoice"), kind="document", apply=settle), warning]
    if not made:
        return [*effects, Effect(text=_("No final invoice: nothing is open"), kind="document", apply=settle)]
    for place, each in enumerate(made):
        name = _("Credit note for days that are not used") if each.kind == "credit_note" else _("Final invoice")
        if on > scope.today():
            name = _("%(document)s, as it stands today", document=name)
        effects.append(
            Effect(
                text=name,
                kind="document",
                amount_minor=-each.total_minor if each.kind == "credit_note" else each.total_minor,
                currency=each.currency,
                apply=settle if place == 0 else None,
            )
        )
    return effects


async def _voided(scope: Scope, pending: Touched) -> Effect:
    number = await value(
        "SELECT d.number FROM charge k JOIN document_line l ON l.charge_id = k.id"
        " JOIN document d ON d.id = l.document_id AND d.state = 'issued'"
        " WHERE k.subscription_id = :id AND k.kind = 'recurring' AND k.period_start IS NULL AND k.state = 'invoiced'"
        " ORDER BY d.id LIMIT 1",
        id=pending.id,
    )
    text = (
        _("%(name)s is withdrawn, its invoice %(number)s is void", name=pending.label, number=number)
        if number
        else _("%(name)s is withdrawn", name=pending.label)
    )

    async def withdraw(acting: Scope) -> None:
        state = await value("SELECT state FROM subscription WHERE id = :id", id=pending.id)
        if state == SubscriptionState.PENDING:  # of a bundle, it is over with the part before it
            await withdraw_with_bundle(acting, pending.id)

    return Effect(text=text, kind="document", inputs=f"{pending.id}:{pending.version}", apply=withdraw)


async def _rehearsed(scope: Scope, customer_id: int, ids: Sequence[int], on: date) -> list[_Made]:
    before = int(await value("SELECT coalesce(max(id), 0) FROM document"))
    made: list[_Made] = []
    async with nothing_kept():
        for subscription_id in ids:
            await end_contract(scope, subscription_id, on)
        await settle_contract(scope, customer_id, ids, on)
        made += await rows(
            _Made, "SELECT kind, total_minor, currency FROM document WHERE id > :before ORDER BY id", before=before
        )
    return made


async def settle_contract(scope: Scope, customer_id: int, subscription_ids: Sequence[int], on: date) -> None:
    """After its subscriptions have ended: credit notes for days charged ahead, then the final invoice of what is open.

    The invoice goes to its payer; what other customers of that payer have open stays for the next run.
    """
    async with unit_of_work(scope):
        for subscription_id in subscription_ids:
            await credit_unused(scope, subscription_id, on, lambda: _("The contract ended on %(day)s", day=on))
        await invoice_charges_of(scope, customer_id)
