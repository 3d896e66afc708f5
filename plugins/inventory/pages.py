"""Hardware as pages show it: tabs, sections, forms, and its history in words."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from msgspec import Meta, Struct

from core.catalog.queries import list_products, list_tax_categories
from core.catalog.schemas import ProductRow as CatalogueProduct
from core.database import Everything
from core.ids import Id
from core.money import format_amount
from core.texts import N_, _, ngettext
from core.web.amounts import Fields, amount_text, typed_amount
from core.web.forms import checked
from core.web.links import address
from core.web.parts import Choice, Conflict, Difference, Field, Section, TabItem, spoken
from core.web.templating import written
from plugins.inventory.schemas import ItemFields, NewItem, Note, ProductFields, Shape, Text
from plugins.inventory.status import CONDITIONS, RENTED_AS, Condition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from core.errors import Stale
    from core.scope import Scope
    from plugins.inventory.schemas import ItemRow, LocationRow, ProductRow, VendorRow

SHAPES: Final = tuple(Choice(key.value, label) for key, label in CONDITIONS.items())
Amount = Annotated[str, Meta(max_length=40)]


def tabs(scope: Scope) -> list[TabItem]:
    """The pages of the inventory."""
    sees_everyone = isinstance(scope.actor.reach, Everything)
    return [
        TabItem(label=_("Items"), href="/inventory/items"),
        TabItem(label=_("Products"), href="/inventory/products"),
        TabItem(label=_("Locations"), href="/inventory/locations"),
        TabItem(label=_("Vendors"), href="/inventory/vendors"),
        *([TabItem(label=_("Valuation"), href="/inventory/valuation")] if sees_everyone else []),
    ]


def items_at(**asked: str) -> str:
    """The address of the list of items that are asked for."""
    return address("/inventory/items", asked)


def warranty_text(months: int) -> str:
    if not months:
        return ""
    if months % 12 == 0:
        return ngettext("%(num)s year", "%(num)s years", months // 12)
    return ngettext("%(num)s month", "%(num)s months", months)


# -- an item ----------------------------------------------------------------------------------------------------------


class ItemForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An item's section as it is typed."""

    product_id: Id | None = None
    serial: Annotated[str, Meta(min_length=1, max_length=120)]
    mac: Annotated[str, Meta(max_length=40)] = ""
    barcode: Annotated[str, Meta(max_length=80)] = ""
    condition: Shape = "new"
    cost: Amount = ""
    bought_on: date | None = None
    note: Note = ""


class NewItemForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new item as it is typed."""

    product: Annotated[str, Meta(min_length=1, max_length=120)]
    vendor: Text = ""
    location: Text = ""
    serial: Annotated[str, Meta(min_length=1, max_length=120)]
    mac: Annotated[str, Meta(max_length=40)] = ""
    barcode: Annotated[str, Meta(max_length=80)] = ""
    condition: Shape = "new"
    cost: Amount = ""
    bought_on: date | None = None
    note: Note = ""


ITEM_LABELS: Final = {
    "product_id": N_("Product"),
    "product": N_("Model"),
    "vendor": N_("Vendor"),
    "location": N_("Location"),
    "serial": N_("Serial number"),
    "mac": N_("MAC address"),
    "barcode": N_("Barcode"),
    "condition": N_("Condition"),
    "cost": N_("Cost price"),
    "cost_minor": N_("Cost price"),
    "bought_on": N_("Bought on"),
    "note": N_("Note"),
}


def item_of(form: ItemForm, currency: str, locale: str) -> ItemFields:
    return checked(ItemFields, {**_item_values(form, currency, locale), "product_id": form.product_id})


def new_item_of(form: NewItemForm, currency: str, locale: str) -> NewItem:
    return checked(
        NewItem,
        {
            **_item_values(form, currency, locale),
            "product": form.product,
            "vendor": form.vendor,
            "location": form.location,
        },
    )


def _item_values(form: ItemForm | NewItemForm, currency: str, locale: str) -> dict[str, object]:
    with Fields() as read:
        cost = read("cost", typed_amount, form.cost, currency, locale, default=None)
    return {
        "serial": form.serial,
        "mac": form.mac,
        "barcode": form.barcode,
        "condition": form.condition,
        "cost_minor": cost,
        "bought_on": form.bought_on,
        "note": form.note,
    }


def item_section(item: ItemRow, product: ProductRow, scope: Scope, products: Sequence[ProductRow] = ()) -> Section:
    """`products` are those that it can be corrected to, where it is edited."""
    known = {item.product_id: item.name, **{one.id: one.full_name for one in products}}
    currency = scope.tenant.currency
    if item.cost_minor is not None:
        cost = f"{format_amount(item.cost_minor, currency)} {currency}"
    elif product.cost_minor is not None:
        amount = f"{format_amount(product.cost_minor, currency)} {currency}"
        cost = _("%(amount)s, as of the product", amount=amount)
    else:
        cost = ""
    return Section(
        key="item",
        title=_("Details"),
        href=f"/inventory/items/{item.id}/section",
        version=item.version,
        editable=scope.may("inventory.edit"),
        fields=[
            _field(
                "product_id",
                str(item.product_id),
                kind="select",
                choices=tuple(Choice(str(key), name) for key, name in known.items()),
                wide=True,
            ),
            _field("serial", item.serial, required=True, max_length=120),
            _field("mac", item.mac_text, max_length=40),
            _field("barcode", item.barcode, max_length=80),
            _field("condition", item.condition, kind="select", choices=spoken(SHAPES)),
            _field(
                "cost",
                amount_text(item.cost_minor, currency),
                kind="money",
                shown=cost,
                help=_("Empty: as of the product"),
            ),
            _field(
                "bought_on",
                item.bought_on.isoformat() if item.bought_on else "",
                kind="date",
                shown=written(item.bought_on, scope.locale) if item.bought_on else "",
            ),
            _field("note", item.note, kind="textarea", max_length=2000),
        ],
    )


def new_item_fields(products: Sequence[ProductRow], locations: Sequence[LocationRow], currency: str) -> list[Field]:
    return [
        _field("product", required=True, max_length=120, help=_("A new one is made"), autocomplete="off"),
        _field("vendor", max_length=120, autocomplete="off"),
        _field("serial", required=True, max_length=120, autocomplete="off"),
        _field("mac", max_length=40, autocomplete="off"),
        _field("barcode", max_length=80, autocomplete="off", help=_("Of a label of your own")),
        _field("location", max_length=120, autocomplete="off", help=_("A new one is made")),
        _field("condition", "new", kind="select", choices=spoken(SHAPES)),
        Field(
            name="cost",
            label=_("Cost price, %(currency)s", currency=currency),
            kind="money",
            help=_("Empty: as of the product"),
        ),
        _field("bought_on", kind="date"),
        _field("note", kind="textarea", max_length=2000),
    ]


def _field(name: str, value: str = "", **more: object) -> Field:
    return msgspec.convert({"name": name, "label": _(ITEM_LABELS[name]), "value": value, **more}, Field)


def warranty_until(item: ItemRow, months: int) -> date | None:
    """The last day of the warranty, of what is known to have been bought on a day."""
    if item.bought_on is None or not months:
        return None
    at = item.bought_on.year * 12 + item.bought_on.month - 1 + months
    year, month = divmod(at, 12)
    for day in range(item.bought_on.day, 27, -1):
        try:
            return date(year, month + 1, day)
        except ValueError:
            continue
    return date(year, month + 1, min(item.bought_on.day, 28))


# -- a product --------------------------------------------------------------------------------------------------------


class ProductForm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A product as it is typed."""

    name: Annotated[str, Meta(min_length=1, max_length=120)]
    vendor: Text = ""
    category: Text = ""
    cost: Amount = ""
    sell: Amount = ""
    tax_category: Annotated[str, Meta(max_length=60)] = "standard"
    tax_inclusive: bool = False
    rent_product_id: Id | None = None
    warranty_months: Annotated[int, Meta(ge=0, le=600)] = 0
    note: Note = ""


PRODUCT_LABELS: Final = {
    "name": N_("Model"),
    "vendor": N_("Vendor"),
    "category": N_("Category"),
    "cost": N_("Cost price"),
    "cost_minor": N_("Cost price"),
    "sell": N_("Price"),
    "sell_minor": N_("Price"),
    "tax_category": N_("Tax"),
    "tax_inclusive": N_("Includes tax"),
    "rent_product_id": N_("Rented as"),
    "warranty_months": N_("Warranty, months"),
    "note": N_("Note"),
}


def product_of(form: ProductForm, currency: str, locale: str) -> ProductFields:
    with Fields() as read:
        cost = read("cost", typed_amount, form.cost, currency, locale, default=None)
        sell = read("sell", typed_amount, form.sell, currency, locale, default=None)
    given = {name: getattr(form, name) for name in form.__struct_fields__ if name not in {"cost", "sell"}}
    return checked(ProductFields, {**given, "cost_minor": cost, "sell_minor": sell})


async def product_fields(scope: Scope, found: ProductRow | None = None) -> list[Field]:
    """The fields of a product, filled in where it is there."""
    currency = scope.tenant.currency
    services = [one for one in await list_products() if one.kind in RENTED_AS]

    def field(name: str, value: str = "", **more: object) -> Field:
        return msgspec.convert({"name": name, "label": _(PRODUCT_LABELS[name]), "value": value, **more}, Field)

    return [
        field("name", found.name if found else "", required=True, max_length=120, autocomplete="off"),
        field("vendor", found.vendor if found else "", max_length=120, autocomplete="off", help=_("A new one is made")),
        field("category", found.category if found else "", max_length=120, help=_("Router, antenna, cable")),
        field("warranty_months", str(found.warranty_months) if found else "0", kind="number"),
        _money("cost", found.cost_minor if found else None, currency, _("What one costs you")),
        _money("sell", found.sell_minor if found else None, currency, _("What one is sold for")),
        field(
            "tax_category",
            found.tax_category if found else "standard",
            kind="select",
            choices=tuple(Choice(one.code, one.name) for one in await list_tax_categories()),
        ),
        field("tax_inclusive", "yes" if found and found.tax_inclusive else "", kind="check"),
        field(
            "rent_product_id",
            str(found.rent_product_id or "") if found else "",
            kind="select",
            choices=_rented_as(services, found),
            help=_("A service or module of the catalogue: it has the price"),
        ),
        field("note", found.note if found else "", kind="textarea", max_length=2000),
    ]


def _rented_as(services: Sequence[CatalogueProduct], found: ProductRow | None) -> tuple[Choice, ...]:
    known = {one.id: one.name for one in services}
    if found is not None and found.rent_product_id is not None:
        known.setdefault(found.rent_product_id, found.rent_product or "")
    return (Choice("", _("Not rented")), *(Choice(str(key), name) for key, name in known.items()))


def _money(name: str, minor: int | None, currency: str, help: str) -> Field:
    return Field(
        name=name,
        label=f"{_(PRODUCT_LABELS[name])}, {currency}",
        value=amount_text(minor, currency),
        shown=format_amount(minor, currency) if minor is not None else "",
        kind="money",
        help=help,
    )


async def product_section(found: ProductRow, scope: Scope) -> Section:
    return Section(
        key="product",
        title=_("Product"),
        href=f"/inventory/products/{found.id}/section",
        version=found.version,
        editable=scope.may("inventory.edit"),
        fields=await product_fields(scope, found),
    )


def conflict_of(error: Stale, section: Section, by: str, at: datetime | None, currency: str) -> Conflict:
    """What somebody else saved meanwhile, beside what was typed."""
    fields = {field.name: field for field in section.fields}
    differences = []
    for column, (theirs, yours) in error.fields.items():
        name = column.removesuffix("_minor")
        if name in fields:
            texts = [_text(one, currency, money=column.endswith("_minor")) for one in (theirs, yours)]
            names = {choice.value: choice.label for choice in fields[name].choices}
            differences.append(
                Difference(
                    field=name,
                    label=fields[name].label,
                    theirs=texts[0],
                    yours=texts[1],
                    theirs_shown=names.get(texts[0], ""),
                    yours_shown=names.get(texts[1], ""),
                )
            )
    return Conflict(by=by, at=at, differences=differences)


def _text(value: object, currency: str, *, money: bool) -> str:
    if money:
        return amount_text(value if isinstance(value, int) else None, currency)
    if isinstance(value, bool):
        return "yes" if value else ""
    return "" if value is None else str(value)


def saved_meanwhile(error: Stale) -> dict[str, str]:
    """Errors of a form that somebody else saved first: what stands there now, and that saving again keeps one's own."""
    theirs = {
        name: _("It says now: %(theirs)s", theirs=there or _("None")) for name, (there, _yours) in error.fields.items()
    }
    return {"": _("Somebody else saved this meanwhile. Nothing was saved; save again to keep yours."), **theirs}


# -- vendors and locations --------------------------------------------------------------------------------------------


def place_fields(found: LocationRow | None = None) -> list[Field]:
    return [
        Field(
            name="name",
            label=_("Name"),
            value=found.name if found else "",
            required=True,
            max_length=120,
            wide=True,
            help=_("A store room, a van, a site"),
        ),
        Field(name="note", label=_("Note"), value=found.note if found else "", kind="textarea", max_length=500),
    ]


def vendor_fields(found: VendorRow | None = None) -> list[Field]:
    return [
        Field(
            name="name", label=_("Name"), value=found.name if found else "", required=True, max_length=120, wide=True
        ),
        Field(
            name="contact",
            label=_("Contact"),
            value=found.contact if found else "",
            kind="textarea",
            max_length=500,
            help=_("Who to call, and your number there"),
        ),
    ]


def typed_values(shown: Mapping[str, object], fields: Sequence[Field]) -> dict[str, object]:
    """What was typed, else what the fields hold."""
    return {**{field.name: field.value for field in fields}, **shown}


def shape(condition: str) -> str:
    return _(CONDITIONS[Condition(condition)])
