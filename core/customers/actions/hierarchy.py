"""Where a customer stands among the others: its parent, and who pays for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.activity.unit import record, unit_of_work
from core.customers.events import CustomerChanged, CustomerPayerChanged
from core.customers.hierarchy import (
    count_paid_from_above,
    find_standing,
    line_up,
    list_paid_from_above,
    lock_hierarchy,
)
from core.customers.plans import carry_out, plan_payer_change
from core.customers.queries import get_customer, lock_person
from core.database import execute, value
from core.errors import FieldError, Invalid, Stale
from core.texts import _

if TYPE_CHECKING:
    from core.customers.hierarchy import Standing
    from core.customers.schemas import CustomerDetail, HierarchyFields
    from core.scope import Scope


async def change_hierarchy(scope: Scope, customer_id: int, data: HierarchyFields, *, version: int) -> int:
    """Give a customer another parent, another payer, or both; gives the new version.

    The parent must not stand below it; the payer is the customer itself or stands above it, in the same currency and
    with the same reseller. What is not invoiced yet goes with the payer, what is invoiced stays. Raises Invalid naming
    the field, Stale where somebody saved the customer first.
    """
    async with unit_of_work(scope):
        await lock_hierarchy()
        await value("SELECT id FROM customer WHERE id = :id FOR NO KEY UPDATE", id=customer_id)
        now = await get_customer(scope, customer_id)
        await lock_person(scope, customer_id)
        payer_id = None if data.payer_id == customer_id else data.payer_id
        changes = {
            name: (old, new)
            for name, old, new in (("parent_id", now.parent_id, data.parent_id), ("payer_id", now.payer_id, payer_id))
            if old != new
        }
        if not changes:
            return now.version
        if now.version != version:
            raise Stale(fields=changes)
        above = await _above(scope, now, data.parent_id)
        errors = [
            *(await _left_below(scope, now, above) if "parent_id" in changes else ()),
            *(_wrong_payer(now, payer_id, above) if payer_id is not None else ()),
        ]
        if errors:
            raise Invalid(errors=errors)
        effects = await plan_payer_change(scope, customer_id, payer_id or customer_id) if "payer_id" in changes else []
        await execute(
            "UPDATE customer SET parent_id = :parent_id, payer_id = :payer_id, version = version + 1 WHERE id = :id",
            parent_id=data.parent_id,
            payer_id=payer_id,
            id=customer_id,
        )
        if "parent_id" in changes:
            record(scope, CustomerChanged(customer_id=customer_id), changes={"parent": changes["parent_id"]})
        if "payer_id" in changes:
            record(
                scope,
                CustomerPayerChanged(
                    customer_id=customer_id,
                    from_payer_id=now.payer_id or customer_id,
                    to_payer_id=payer_id or customer_id,
                ),
            )
        await carry_out(scope, effects)
        return now.version + 1


async def _above(scope: Scope, now: CustomerDetail, parent_id: int | None) -> list[Standing]:
    """The customer under its new parent, and all above it: the nearest first. Raises Invalid for a circle."""
    own = await find_standing(scope, now.id)
    assert own is not None
    if parent_id is None:
        return [own]
    if parent_id == now.id:
        raise Invalid(_("A customer cannot stand above itself. Choose another one."), field="parent_id")
    if parent_id != now.parent_id and await find_standing(scope, parent_id) is None:
        raise Invalid(_("There is no customer %(id)s.", id=parent_id), field="parent_id")
    above = await line_up(parent_id)
    if any(one.id == now.id for one in above):
        raise Invalid(
            _(
                "%(below)s stands below %(name)s, so it cannot stand above it too.",
                below=above[0].full_name,
                name=now.full_name,
            ),
            field="parent_id",
        )
    return [own, *above]


async def _left_below(scope: Scope, now: CustomerDetail, above: list[Standing]) -> list[FieldError]:
    """Who below this customer would be paid for by somebody no longer above it."""
    stay = {one.id for one in above}
    lost = [one.id for one in await line_up(now.id) if one.id not in stay]
    count = await count_paid_from_above(now.id, lost) if lost else 0
    if not count:
        return []
    named = [one.full_name for one in await list_paid_from_above(scope, now.id, lost)]
    others = count - len(named)
    who = ", ".join(
        [
            *named,
            *(
                [_("%(count)s more", count=others) if named else _("%(count)s customers", count=others)]
                if others
                else []
            ),
        ]
    )
    return [
        FieldError(
            "parent_id",
            _("Below it, %(who)s would be paid for by who no longer stands above. Change their payer first.", who=who),
        )
    ]


def _wrong_payer(now: CustomerDetail, payer_id: int, above: list[Standing]) -> list[FieldError]:
    own, payer = above[0], next((one for one in above[1:] if one.id == payer_id), None)
    if payer is None:
        return [
            FieldError(
                "payer_id",
                _(
                    "Customer %(id)s does not stand above %(name)s: only itself or one above can pay.",
                    id=payer_id,
                    name=now.full_name,
                ),
            )
        ]
    if payer.currency != own.currency:
        return [
            FieldError(
                "payer_id",
                _(
                    "%(payer)s is billed in %(one)s, %(name)s in %(other)s: a payer has the same currency.",
                    payer=payer.full_name,
                    one=payer.currency,
                    name=now.full_name,
                    other=own.currency,
                ),
            )
        ]
    if payer.partition_id != own.partition_id:
        return [
            FieldError(
                "payer_id",
                _("%(payer)s is another reseller's customer and cannot pay for this one.", payer=payer.full_name),
            )
        ]
    return []
