"""What the pages of changes show: buttons in boxes, the fields of their drawers, what is ahead in words."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final, Literal
from urllib.parse import urlencode

from msgspec import Meta, Struct

from core.catalog.pages import cycle_adjective, cycle_words
from core.ids import Id
from core.money import format_money
from core.subscriptions.pages import BoxButton, quantity_text
from core.texts import N_, _
from core.web.parts import Choice, Field
from core.web.templating import written

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.catalog.schemas import PriceRow, ProductRow
    from core.subscriptions.schemas import BoxAction, PlannedChange, SubscriptionRow

KEYS: Final = frozenset({"upgrade", "downgrade", "cycle", "change", "undo_change", "edit_period"})
LABELS: Final = {
    "change": N_("Change quantity, price or plan…"),
    "undo_change": N_("Undo the planned change"),
    "edit_period": N_("Edit period…"),
}


class ChangeForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A change as it is typed."""

    price_id: Id | None = None
    quantity: Annotated[str, Meta(max_length=20)] = ""
    amount: Annotated[str, Meta(max_length=40)] = ""
    when: Literal["policy", "now", "period_end", "on"] = "policy"
    on: date | None = None
    unused: Literal["policy", "credit", "none"] = "policy"
    seen: Annotated[str, Meta(max_length=4000)] = ""


def button_of(action: BoxAction, dues: Mapping[int, int], locale: str, *, cycles: int) -> BoxButton:
    """A change in a box: what is to be paid for it now, or what it costs from a day on. `cycles`: how many its product
    has, so that they are told apart."""
    path = f"/subscriptions/{action.subscription_id}"
    if action.key == "undo_change":
        value = written(action.on, locale, year=False) if action.on is not None else ""
        return BoxButton(label=_(LABELS[action.key]), value=value, at=f"{path}/change/undo/plan")
    if action.key in LABELS:
        at = f"{path}/period/plan" if action.key == "edit_period" else f"{path}/change/plan"
        return BoxButton(label=_(LABELS[action.key]), at=at, refused=action.refused)
    cycle = cycle_adjective(action.cycle_unit or "month", action.cycle_count or 1)
    amount = action.amount_minor or 0
    if action.on is not None:
        day = written(action.on, locale, year=False)
        label = {
            "upgrade": _("Upgrade on %(day)s", day=day),
            "downgrade": _("Downgrade on %(day)s", day=day),
            "cycle": _("To the %(cycle)s cycle on %(day)s", cycle=cycle, day=day),
        }[action.key]
    else:
        label = {
            "upgrade": _("Upgrade now"),
            "downgrade": _("Downgrade now"),
            "cycle": _("To the %(cycle)s cycle now", cycle=cycle),
        }[action.key]
        amount = dues.get(action.price_id or 0, amount)
        if action.invoice_first and action.key == "upgrade":
            label = _("Invoice for the upgrade")
        elif action.price_id in dues and action.key != "cycle":
            label = {"upgrade": _("Upgrade now, prorated"), "downgrade": _("Downgrade now, prorated")}[action.key]
    if cycles > 1 and action.key != "cycle":
        label = _("%(label)s, %(cycle)s", label=label, cycle=cycle)
    return BoxButton(
        label=label,
        value=format_money(amount, action.currency, locale) if action.currency else "",
        at=f"{path}/change/plan?{urlencode({'price_id': action.price_id})}",
        refused=action.refused,
    )


def ahead_words(ahead: PlannedChange, locale: str) -> str:
    """Becomes Fibre L on 1 July."""
    cost = format_money(ahead.amount_minor, ahead.currency, locale)
    told = f"{ahead.product}, {cost} {cycle_words(ahead.cycle_unit, ahead.cycle_count)}"
    if ahead.quantity_e6 is not None:
        told = f"{quantity_text(ahead.quantity_e6)} × {told}"
    if ahead.state == "waiting" and ahead.until_on is not None:
        return _(
            "Becomes %(what)s once the invoice of the change is paid, until %(day)s",
            what=told,
            day=written(ahead.until_on, locale),
        )
    return _("Becomes %(what)s on %(day)s", what=told, day=written(ahead.happens_on, locale))


def fields_of(
    mine: SubscriptionRow, products: Sequence[ProductRow], prices: Sequence[PriceRow], locale: str, chosen: int | None
) -> list[Field]:
    """The drawer of a change: to which price, how many, when, and what becomes of the unused part."""
    names = {product.id: product.name for product in products}
    same = _("As it is: %(name)s, %(cycle)s", name=mine.product, cycle=cycle_words(mine.cycle_unit, mine.cycle_count))
    return [
        Field(
            name="price_id",
            label=_("Product and price"),
            kind="select",
            value=str(chosen or ""),
            choices=(
                Choice("", same),
                *(
                    Choice(
                        str(each.id),
                        f"{names[each.product_id]}, {format_money(each.amount_minor, each.currency, locale)}"
                        f" {cycle_words(each.cycle_unit, each.cycle_count)}",
                    )
                    for each in prices
                ),
            ),
        ),
        Field(
            name="quantity",
            label=_("Quantity"),
            kind="money",
            help=_("Empty: %(count)s as now", count=quantity_text(mine.quantity_e6)),
        ),
        Field(
            name="amount",
            label=_("Price agreed, %(currency)s", currency=mine.currency),
            kind="money",
            help=_("Of one and a cycle. Empty: as in the catalogue"),
        ),
        Field(
            name="when",
            label=_("When"),
            kind="select",
            value="policy",
            choices=(
                Choice("policy", _("As the product says")),
                Choice("now", _("Now")),
                Choice("period_end", _("At the end of the period")),
                Choice("on", _("On a day")),
            ),
        ),
        Field(name="on", label=_("On the day"), kind="date", help=_("The first day of the new terms")),
        Field(
            name="unused",
            label=_("The unused part"),
            kind="select",
            value="policy",
            choices=(
                Choice("policy", _("As the product says")),
                Choice("credit", _("Is credited")),
                Choice("none", _("Is given up")),
            ),
        ),
    ]


class PeriodForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Other days of a period as they are typed; `end_on` is its last day's morrow, as everywhere."""

    start_on: date | None = None
    end_on: date | None = None
    added: Literal["free", "charged"] = "free"
    cut: Literal["credit", "give_up"] = "credit"
    reason: Annotated[str, Meta(max_length=500)] = ""
    seen: Annotated[str, Meta(max_length=4000)] = ""


def period_fields(start: date, end: date, *, charged: bool) -> list[Field]:
    """The drawer of a period: its start while nothing is charged, its end, and what becomes of the days between."""
    return [
        *([] if charged else [Field(name="start_on", label=_("First day"), kind="date", value=start.isoformat())]),
        Field(
            name="end_on",
            label=_("It ends before"),
            kind="date",
            value=end.isoformat(),
            help=_("The first day of the next period, and the anchor from then on"),
        ),
        Field(
            name="added",
            label=_("Days added"),
            kind="select",
            value="free",
            choices=(Choice("free", _("Are free")), Choice("charged", _("Are charged by day"))),
        ),
        Field(
            name="cut",
            label=_("Days cut off"),
            kind="select",
            value="credit",
            choices=(Choice("credit", _("Are credited")), Choice("give_up", _("Are given up"))),
        ),
        Field(name="reason", label=_("Reason"), max_length=500, help=_("Needed where days are given up")),
    ]


class BillingDayForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The day of the month on which a customer is billed, as it is typed."""

    billing_day: Annotated[int, Meta(ge=1, le=31)]
    seen: Annotated[str, Meta(max_length=4000)] = ""
