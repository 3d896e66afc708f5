"""Bundles on the customer's tab: those that it has as one box each with their parts, and those it can have."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from core.catalog.bundles import list_bundles
from core.catalog.pages import cycle_adjective, cycle_words
from core.money import format_money
from core.subscriptions import pages
from core.subscriptions.bundles import list_customer_bundles
from core.subscriptions.pages import Box, BoxButton, BoxGroup, BoxPart
from core.texts import _

if TYPE_CHECKING:
    from core.catalog.bundles import BundleDetail, BundlePrice
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope
    from core.subscriptions.bundles import CustomerBundleRow


async def group_of(scope: Scope, customer: CustomerDetail) -> list[BoxGroup]:
    """The group of bundles; none where none is sold and the customer has none."""
    mine = [each for each in await list_customer_bundles(scope, customer.id) if each.is_live]
    offered = [each for each in await list_bundles() if each.is_sold_on(scope.today()) and each.prices]
    if not mine and not offered:
        return []
    may_change = scope.may("subscriptions.change")
    return [
        BoxGroup(
            key="bundle",
            title=_("Bundles"),
            note=_("several products at one price, changed and ended as a whole"),
            boxes=[
                *[_box(each, customer, scope, may_change=may_change) for each in mine],
                *[
                    _offer(each, customer, scope, may_change=may_change)
                    for each in offered
                    if each.id not in {one.bundle_id for one in mine}
                ],
            ],
        )
    ]


def _at(customer_id: int, asked: dict[str, object]) -> str:
    return f"/customers/{customer_id}/bundles/plan?{urlencode(asked)}"


def _box(mine: CustomerBundleRow, customer: CustomerDetail, scope: Scope, *, may_change: bool) -> Box:
    lead = next(part for part in mine.parts if part.state not in ("ended", "withdrawn"))
    pill = pages.pill_of(lead.state, lead.ends_on)
    locale, today = scope.locale, scope.today()
    return Box(
        id=f"bundle-{mine.id}",
        name=mine.name,
        kind=pill.kind,
        pill=pill.label,
        price=format_money(mine.cycle_minor, mine.currency, locale),
        price_more=cycle_words(mine.cycle_unit, mine.cycle_count),
        about="",
        parts=[
            BoxPart(
                name=pages.counted(part.product, part.quantity_e6),
                value=format_money(part.cycle_minor, part.currency, locale),
                href=f"/subscriptions/{part.id}",
            )
            for part in mine.parts
        ],
        state=_("Waits for its invoice to be paid. Active from that day.")
        if lead.state == "pending"
        else f"{pages.next_words(lead, today, locale)}.",
        buttons=[
            BoxButton(label=_(label), at=_at(customer.id, {"do": do, "customer_bundle_id": mine.id}), danger=danger)
            for do, label, danger in _acts(mine)
        ]
        if may_change
        else [],
    )


def _acts(mine: CustomerBundleRow) -> list[tuple[str, str, bool]]:
    lead = mine.lead
    if lead.state == "pending":
        return [("withdraw", _("Withdraw, voids the invoice"), True)]
    acts = [("quantity", _("Quantity…"), False)] if lead.state == "active" and lead.ends_on is None else []
    acts.append(
        ("cancel_at_expiry", _("Cancel at expiry date"), False)
        if lead.ends_on is None
        else ("undo_cancellation", _("Keep it, undo the cancellation"), False)
    )
    if lead.state == "active":
        acts.append(("suspend", _("Suspend"), False))
        paused = lead.pause_from is not None
        acts.append(("undo_pause", _("Undo the pause"), False) if paused else ("pause", _("Pause…"), False))
    if lead.state == "paused":
        acts.append(("end_pause", _("End the pause"), False))
    if lead.state == "suspended":
        acts.append(("resume", _("Resume"), False))
    return [
        *acts,
        ("dissolve", _("Dissolve the bundle…"), False),
        ("terminate", _("Terminate today"), False),
        ("withdraw", _("Withdraw…"), True),
    ]


def _offer(bundle: BundleDetail, customer: CustomerDetail, scope: Scope, *, may_change: bool) -> Box:
    locale = scope.locale
    prices = prices_in(bundle, customer.currency, scope)
    first = prices[0] if prices else None
    rest = [
        pages.price_words(each.amount_minor, each.currency, each.cycle_unit, each.cycle_count, locale)
        for each in prices[1:]
    ]
    invoiced = any(each.activation == "invoice_first" for each in bundle.members)
    ways = ("invoice",) if invoiced else ("subscribe", "invoice")
    return Box(
        id=f"box-bundle-{bundle.id}",
        name=bundle.name,
        price=format_money(first.amount_minor, first.currency, locale) if first is not None else "–",
        price_more=" · ".join([cycle_words(first.cycle_unit, first.cycle_count), *rest])
        if first is not None
        else _("no price in this currency"),
        about=bundle.description,
        parts=[BoxPart(name=pages.counted(each.product, each.quantity_e6)) for each in bundle.members],
        state=_("Not subscribed."),
        buttons=[
            BoxButton(
                label=_("Subscribe on account, %(cycle)s", cycle=_cycle(price))
                if do == "subscribe"
                else _("Make invoice for %(cycle)s cycle", cycle=_cycle(price)),
                value=format_money(
                    price.amount_minor + (price.setup_minor if do == "invoice" else 0), price.currency, locale
                ),
                at=_at(customer.id, {"do": do, "bundle_id": bundle.id, "price_id": price.id}),
            )
            for do in ways
            for price in prices
        ]
        if may_change
        else [],
    )


def _cycle(price: BundlePrice) -> str:
    return cycle_adjective(price.cycle_unit, price.cycle_count)


def prices_in(bundle: BundleDetail, currency: str, scope: Scope) -> list[BundlePrice]:
    """What it costs today in a currency; where it has no price in that, in the tenant's: it is turned when ordered."""
    today = scope.today()
    held = [each for each in bundle.prices if each.holds_on(today)]
    return [each for each in held if each.currency == currency] or [
        each for each in held if each.currency == scope.tenant.currency
    ]
