"""Editing the days of a subscription with what is credited for them, and the billing day of a customer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.activity.unit import unit_of_work
from core.billing.actions.unused import credit_unused
from core.billing.settings import BillingSettings
from core.customers.actions import change_customer
from core.customers.queries import get_customer
from core.customers.schemas import BillingData
from core.errors import Conflict, Invalid
from core.settings.queries import load_settings
from core.subscriptions.actions.making import covering
from core.subscriptions.actions.periods import edit_days, move_to_billing_day, running_period
from core.subscriptions.actions.shared import lock, refuse_part
from core.texts import _

if TYPE_CHECKING:
    from core.scope import Scope
    from core.subscriptions.changes import PeriodEdit


async def edit_period(scope: Scope, subscription_id: int, edit: PeriodEdit) -> list[int]:
    """Other days of the period that runs (P8); gives the credit notes of days cut off."""
    async with unit_of_work(scope):
        found = await lock(scope, subscription_id)
        await refuse_part(found.id)
        period = await running_period(scope, found)
        if edit.start_on is None and edit.end_on is None:
            raise Invalid(_("Say when it begins or when it ends."), field="end_on")
        if (edit.start_on or period.start, edit.end_on or period.end) == (period.start, period.end):
            raise Invalid(_("These are its days already."), field="end_on")
        if any(each.on_draft for each in await covering(found.id, period.start)):
            raise Conflict(_("It stands on a draft. Issue or delete that first."))
        notes: list[int] = []
        end = edit.end_on or period.end
        if period.start < end < period.end and period.charged and not period.free and edit.cut == "credit":
            why = edit.reason.strip() or (lambda: _("Its period was shortened"))
            notes = await credit_unused(scope, found.id, end, why)
        await edit_days(scope, found, period, edit)
        return notes


async def change_billing_day(scope: Scope, customer_id: int, billing_day: int) -> list[int]:
    """The customer is billed on another day, what it has follows; gives the subscriptions that were moved."""
    async with unit_of_work(scope):
        if not 1 <= billing_day <= 31:
            raise Invalid(_("The billing day is a day of the month, 1 to 31."), field="billing_day")
        customer = await get_customer(scope, customer_id)
        if customer.billing_day != billing_day:
            now = {name: getattr(customer, name) for name in BillingData.__struct_fields__}
            section = BillingData(**{**now, "billing_day": billing_day})
            await change_customer(scope, customer_id, section, version=customer.version)
        settings = await load_settings(BillingSettings)
        return await move_to_billing_day(scope, customer_id, billing_day, settings.min_stub_days)
