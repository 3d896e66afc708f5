"""Drawers of an item: what will happen when it goes to a customer, back, or anywhere else, before it is done."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta, Struct

from core.billing import queries as documents
from core.catalog import queries as catalogue
from core.catalog.pages import cycle_words
from core.customers.queries import find_customer, get_customer
from core.errors import Invalid, NotFound
from core.ids import Id
from core.money import format_money
from core.subscriptions.queries import find_charge, get_subscription
from core.texts import N_, _
from core.web.amounts import amount_text, typed_amount
from core.web.changes import ChangePlan, Place, PlanLine, PlanPart, Typed
from core.web.forms import from_form
from core.web.parts import Choice, Field
from core.web.templating import written
from plugins.inventory import actions, queries
from plugins.inventory.schemas import Move, Rental, Return, Sale, Shape, WriteOff
from plugins.inventory.status import CONDITIONS, FROM, RENTED_AS, Condition, Deed, ItemStatus, pill_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from core.customers.schemas import CustomerDetail
    from core.scope import Scope
    from core.subscriptions.schemas import SubscriptionRow
    from plugins.inventory.schemas import ItemRow

BUTTONS: Final = {
    Deed.ASSIGN: (N_("Assign…"), "user-plus"),
    Deed.SELL: (N_("Sell…"), "cash"),
    Deed.RENT: (N_("Rent out…"), "repeat"),
    Deed.RETURN: (N_("Take back…"), "arrow-back-up"),
    Deed.KEEP: (N_("Leave with the customer…"), "check"),
    Deed.MOVE: (N_("Move…"), "arrows-exchange"),
    Deed.USE: (N_("Use ourselves…"), "server"),
    Deed.RESTOCK: (N_("Put into stock…"), "archive"),
    Deed.WRITE_OFF: (N_("Write off…"), "trash"),
}
"""How each deed reads on an item's page, and its icon."""
TITLES: Final = {
    Deed.ASSIGN: N_("Assign {name}"),
    Deed.SELL: N_("Sell {name}"),
    Deed.RENT: N_("Rent out {name}"),
    Deed.RETURN: N_("Take back {name}"),
    Deed.KEEP: N_("Leave {name} with the customer"),
    Deed.MOVE: N_("Move {name}"),
    Deed.USE: N_("Use {name} ourselves"),
    Deed.RESTOCK: N_("Put {name} into stock"),
    Deed.WRITE_OFF: N_("Write off {name}"),
}
SAID: Final = {
    Deed.ASSIGN: N_("Assigned."),
    Deed.SELL: N_("Sold. The charge is made."),
    Deed.RENT: N_("Rented out. The subscription is live."),
    Deed.RETURN: N_("It is back."),
    Deed.KEEP: N_("It stays with the customer."),
    Deed.MOVE: N_("Moved."),
    Deed.USE: N_("It is in use."),
    Deed.RESTOCK: N_("It is in stock."),
    Deed.WRITE_OFF: N_("Written off."),
}
NEEDS_A_CUSTOMER: Final = frozenset({Deed.ASSIGN, Deed.SELL, Deed.RENT})
MONEY: Final = frozenset({Deed.SELL, Deed.RENT})
"""Those that need the permission to change subscriptions too."""
Reason = Annotated[str, Meta(max_length=500)]


class DeedForm(Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that a drawer may be sent; each deed takes what is its own."""

    customer: Annotated[str, Meta(max_length=200)] = ""
    location_id: Id | None = None
    condition: Shape | None = None
    checked: Literal["yes", "no"] = "yes"
    rent: Literal["today", "expiry", "leave"] = "today"
    amount: Annotated[str, Meta(max_length=40)] = ""
    tax_category: Annotated[str, Meta(max_length=60)] = ""
    invoice: Literal["next", "now"] = "next"
    price_id: Id | None = None
    starts_on: date | None = None
    reason: Reason = ""
    seen: Annotated[str, Meta(max_length=2000)] = ""
    back: Annotated[str, Meta(max_length=200)] = ""


def may_do(scope: Scope, item: ItemRow) -> list[Deed]:
    """What this actor can do with an item as it is."""
    if not scope.may("inventory.edit"):
        return []
    return [
        deed
        for deed, states in FROM.items()
        if ItemStatus(item.status) in states and (deed not in MONEY or scope.may("subscriptions.change"))
    ]


def deed_of(text: str) -> Deed:
    try:
        return Deed(text)
    except ValueError:
        raise NotFound(f"deed {text}") from None


async def place_of(scope: Scope, item: ItemRow, deed: Deed, typed: Typed) -> Place:
    """The drawer of a deed."""
    path = f"/inventory/items/{item.id}/deeds/{deed}"
    return Place(
        title=_(TITLES[deed]).format(name=item.name),
        asked=path,
        sent=path,
        options=await _options(scope, item, deed, typed),
        plan_only_with="customer" if deed in NEEDS_A_CUSTOMER and item.customer_id is None else "",
    )


def filled(place: Place, typed: Typed) -> Typed:
    """What was typed, else what the fields of the drawer begin with: the plan is of what they show."""
    return {**{one.name: [one.value] for one in place.options if one.value}, **typed}


async def _options(scope: Scope, item: ItemRow, deed: Deed, typed: Typed) -> list[Field]:
    fields: list[Field] = []
    customer = await _known_customer(scope, item, typed)
    if deed in NEEDS_A_CUSTOMER and item.customer_id is None:
        fields.append(
            Field(
                name="customer",
                label=_("Customer"),
                help=_("Id, name, e-mail or login"),
                required=True,
                wide=True,
                max_length=200,
                autocomplete="off",
            )
        )
    if deed is Deed.SELL:
        fields += await _sale_options(scope, item, customer)
    if deed is Deed.RENT:
        fields += await _rental_options(scope, item, customer)
    if deed is Deed.RETURN:
        fields += await _return_options(scope, item)
    if deed in (Deed.RETURN, Deed.MOVE, Deed.USE, Deed.RESTOCK):
        fields.append(await _location_option(item, elsewhere=deed is Deed.MOVE))
    if deed is Deed.WRITE_OFF:
        fields.append(Field(name="reason", label=_("Why"), max_length=500, wide=True, help=_("Kept in its history")))
    return fields


async def _sale_options(scope: Scope, item: ItemRow, customer: CustomerDetail | None) -> list[Field]:
    product = await queries.get_product(item.product_id)
    currency = customer.currency if customer is not None else scope.tenant.currency
    usual = amount_text(product.sell_minor, currency) if currency == scope.tenant.currency else ""
    fields = [
        Field(
            name="amount",
            label=_("Price, %(currency)s", currency=currency),
            kind="money",
            value=usual,
            help=_("It includes tax") if product.tax_inclusive else _("Tax is added"),
        ),
        Field(
            name="tax_category",
            label=_("Tax"),
            kind="select",
            value=product.tax_category,
            choices=tuple(Choice(one.code, one.name) for one in await catalogue.list_tax_categories()),
        ),
    ]
    if scope.may("documents.issue"):
        fields.append(
            Field(
                name="invoice",
                label=_("Invoice"),
                kind="select",
                value="next",
                choices=(Choice("next", _("With the next one")), Choice("now", _("Now, with all that is open"))),
            )
        )
    return fields


async def _rental_options(scope: Scope, item: ItemRow, customer: CustomerDetail | None) -> list[Field]:
    product = await queries.get_product(item.product_id)
    currency = customer.currency if customer is not None else scope.tenant.currency
    services = [one for one in await catalogue.list_products(on=scope.today()) if one.kind in RENTED_AS]
    names = {one.id: one.name for one in services}
    prices = await catalogue.list_prices(list(names), currency, scope.today()) if names else []
    prices = sorted(prices, key=lambda one: (one.product_id != product.rent_product_id, one.product_id, one.id))
    choices = tuple(
        Choice(
            str(price.id),
            f"{names[price.product_id]}, {format_money(price.amount_minor, currency, scope.locale)}"
            f" {cycle_words(price.cycle_unit, price.cycle_count)}",
        )
        for price in prices
        if price.cycle_unit != "once"
    )
    known = product.rent_product_id in {price.product_id for price in prices}
    if not known:
        choices = (Choice("", _("Choose a service of the catalogue")), *choices)
    return [
        Field(
            name="price_id",
            label=_("Rented as"),
            kind="select",
            value=choices[0].value,
            choices=choices,
            wide=True,
            help=_("Services and modules of the catalogue with a price"),
        ),
        Field(
            name="amount",
            label=_("Price agreed, %(currency)s", currency=currency),
            kind="money",
            help=_("Empty: as in the catalogue"),
        ),
        Field(
            name="starts_on", label=_("From"), kind="date", value=scope.today().isoformat(), help=_("Today or earlier")
        ),
    ]


async def _return_options(scope: Scope, item: ItemRow) -> list[Field]:
    used = Condition.USED if item.condition == Condition.NEW else Condition(item.condition)
    fields = [
        Field(
            name="condition",
            label=_("Condition"),
            kind="select",
            value=used.value,
            choices=tuple(Choice(key.value, _(label)) for key, label in CONDITIONS.items()),
        ),
        Field(
            name="checked",
            label=_("Then it is"),
            kind="select",
            value="yes",
            choices=(Choice("yes", _("In stock")), Choice("no", _("Returned, to be checked"))),
        ),
    ]
    if item.subscription_id is not None and scope.may("subscriptions.change"):
        fields.append(
            Field(
                name="rent",
                label=_("Its subscription"),
                kind="select",
                value="today",
                choices=(
                    Choice("today", _("Ends today")),
                    Choice("expiry", _("Ends with its period")),
                    Choice("leave", _("Goes on")),
                ),
            )
        )
    return fields


async def _location_option(item: ItemRow, *, elsewhere: bool) -> Field:
    """Where it is, or `elsewhere` the first of the others."""
    here, nowhere = str(item.location_id or ""), Choice("", _("None"))
    places = [Choice(str(one.id), one.name) for one in await queries.list_locations()]
    others = [one for one in (*places, nowhere) if one.value != here]
    choices = others if elsewhere and others else [nowhere, *places]
    value = choices[0].value if elsewhere else here
    return Field(name="location_id", label=_("Location"), kind="select", value=value, choices=tuple(choices))


async def _known_customer(scope: Scope, item: ItemRow, typed: Typed) -> CustomerDetail | None:
    """Who has it, or whom the drawer names so far."""
    try:
        if item.customer_id is not None:
            return await get_customer(scope, item.customer_id)
        text = typed.get("customer", [""])[-1]
        return await find_customer(scope, text) if text else None
    except (Invalid, NotFound):
        return None


def deed_for(scope: Scope, item: ItemRow, deed: Deed, typed: Typed) -> Callable[[], Awaitable[ChangePlan]]:
    """Does it in the unit of work that is open, and says what it did."""

    async def run() -> ChangePlan:
        form = from_form(DeedForm, typed)
        before = await queries.get_item(scope, item.id)
        customer_id = None
        if deed in NEEDS_A_CUSTOMER:
            customer = (
                await get_customer(scope, before.customer_id)
                if before.customer_id is not None
                else await find_customer(scope, form.customer)
            )
            customer_id = customer.id
            amount = _amount(scope, customer, form) if form.amount else None
        else:
            amount = None
        rent_before = await _rent(scope, before)
        latest = await documents.latest_document(scope)
        warnings = await _do(scope, before, deed, form, customer_id, amount)
        after = await queries.item_after(item.id)
        invoiced = await documents.latest_document(scope) > latest
        return ChangePlan(
            title=_(TITLES[deed]).format(name=item.name),
            button=await _button(scope, deed, after),
            parts=[
                part
                for part in (
                    _item_part(before, after),
                    await _money_part(scope, before, after, invoiced=invoiced),
                    await _service_part(scope, rent_before, after),
                )
                if part is not None
            ],
            warnings=warnings,
            danger=deed is Deed.WRITE_OFF,
        )

    return run


def _amount(scope: Scope, customer: CustomerDetail, form: DeedForm) -> int:
    try:
        return typed_amount(form.amount, customer.currency, scope.locale)
    except Invalid as error:
        raise Invalid(error.message, field="amount") from None


async def _do(
    scope: Scope, item: ItemRow, deed: Deed, form: DeedForm, customer_id: int | None, amount: int | None
) -> list[str]:
    """The action behind each deed; gives what must be warned of."""
    match deed:
        case Deed.ASSIGN:
            await actions.assign_item(scope, item.id, customer_id or 0)
        case Deed.SELL:
            await _named(
                actions.sell_item(
                    scope,
                    item.id,
                    Sale(
                        customer_id=customer_id,
                        amount_minor=amount,
                        tax_category=form.tax_category or None,
                        invoice=form.invoice,
                    ),
                )
            )
        case Deed.RENT:
            await _named(
                actions.rent_item(
                    scope,
                    item.id,
                    Rental(
                        customer_id=customer_id,
                        price_id=form.price_id,
                        amount_minor=amount,
                        starts_on=form.starts_on,
                    ),
                )
            )
        case Deed.RETURN:
            told = await actions.return_item(
                scope,
                item.id,
                Return(
                    location_id=form.location_id,
                    condition=form.condition,
                    checked=form.checked == "yes",
                    rent=form.rent,
                ),
            )
            if told.invoiced:
                return [_("It has been invoiced: what is given back stands in a credit note, made on that invoice.")]
        case Deed.KEEP:
            await actions.keep_item(scope, item.id)
        case Deed.MOVE:
            await actions.move_item(scope, item.id, Move(form.location_id))
        case Deed.USE:
            await actions.use_item(scope, item.id, Move(form.location_id))
        case Deed.RESTOCK:
            await actions.restock_item(scope, item.id, Move(form.location_id))
        case Deed.WRITE_OFF:
            await actions.write_off_item(scope, item.id, WriteOff(form.reason))
    return []


async def _named(deed: Awaitable[int]) -> None:
    """With errors under the names that the drawer's fields have."""
    try:
        await deed
    except Invalid as error:
        if [one.field for one in error.errors] == ["amount_minor"]:
            raise Invalid(error.message, field="amount") from None
        raise


async def _button(scope: Scope, deed: Deed, after: ItemRow) -> str:
    if deed is Deed.SELL:
        charge = await _charge(scope, after)
        if charge is not None:
            return _("Sell for %(amount)s", amount=charge)
    return {
        Deed.ASSIGN: _("Assign item"),
        Deed.SELL: _("Sell item"),
        Deed.RENT: _("Rent out"),
        Deed.RETURN: _("Take back"),
        Deed.KEEP: _("Leave it there"),
        Deed.MOVE: _("Move item"),
        Deed.USE: _("Use it"),
        Deed.RESTOCK: _("Put into stock"),
        Deed.WRITE_OFF: _("Write off"),
    }[deed]


def _item_part(before: ItemRow, after: ItemRow) -> PlanPart:
    pairs = (
        (_("Status"), pill_of(before.status)[0], pill_of(after.status)[0]),
        (_("Customer"), before.customer or _("Nobody"), after.customer or _("Nobody")),
        (_("Location"), before.location or _("None"), after.location or _("None")),
        (_("Condition"), _(CONDITIONS[Condition(before.condition)]), _(CONDITIONS[Condition(after.condition)])),
    )
    return PlanPart(
        title=_("Item"),
        lines=[
            PlanLine(text=_("Serial number"), value=before.serial),
            *(PlanLine(text=text, before=old, value=new) for text, old, new in pairs if old != new),
        ],
    )


async def _charge(scope: Scope, item: ItemRow) -> str | None:
    if item.charge_id is None or item.customer_id is None:
        return None
    charge = await find_charge(scope, item.charge_id)
    return format_money(charge.amount_minor, charge.currency, scope.locale) if charge is not None else None


async def _money_part(scope: Scope, before: ItemRow, after: ItemRow, *, invoiced: bool) -> PlanPart | None:
    lines: list[PlanLine] = []
    if after.charge_id is not None and after.charge_id != before.charge_id:
        waits = _("Invoiced at once") if invoiced else _("Waits for the next invoice")
        lines.append(
            PlanLine(
                text=_("Charge for %(name)s", name=after.name), detail=waits, value=await _charge(scope, after) or ""
            )
        )
    if before.charge_id is not None and after.charge_id is None:
        charge = await find_charge(scope, before.charge_id)
        if charge is not None and charge.state == "waived":
            shown = format_money(charge.amount_minor, charge.currency, scope.locale)
            lines.append(PlanLine(text=_("Charge for %(name)s", name=before.name), before=shown, value=_("given up")))
    return PlanPart(title=_("Money"), lines=lines) if lines else None


async def _rent(scope: Scope, item: ItemRow) -> SubscriptionRow | None:
    if item.subscription_id is None:
        return None
    try:
        return await get_subscription(scope, item.subscription_id)
    except NotFound:
        return None


async def _service_part(scope: Scope, before: SubscriptionRow | None, after: ItemRow) -> PlanPart | None:
    lines: list[PlanLine] = []
    now = await _rent(scope, after)
    if now is not None and before is None:
        price = format_money(now.cycle_minor, now.currency, scope.locale)
        lines.append(
            PlanLine(
                text=now.product,
                detail=_("From %(day)s", day=written(now.started_on, scope.locale)) if now.started_on else "",
                value=f"{price} {cycle_words(now.cycle_unit, now.cycle_count)}",
            )
        )
    elif before is not None:
        left = await get_subscription(scope, before.id)
        if (left.state, left.ends_on) != (before.state, before.ends_on):
            over = left.ended_on or left.ends_on
            lines.append(
                PlanLine(
                    text=_("Subscription %(id)s, %(product)s", id=left.id, product=left.product),
                    detail=_("First day without it"),
                    value=written(over, scope.locale) if over else "",
                )
            )
    return PlanPart(title=_("Service"), lines=lines) if lines else None
