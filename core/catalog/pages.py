"""What the pages of the catalogue show: products in words, their sections as fields, prices as they are typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from core.catalog.schemas import NewPrice, NewProduct, NewTaxRate, PriceRow, ProductDetail, ProductFields, ProductRow
from core.customers.sections import country_choices
from core.customers.timeline import in_words
from core.errors import Invalid
from core.money import check_currency, format_amount
from core.texts import N_, _, ngettext
from core.web.amounts import Fields, percent_text, typed_amount, typed_percent
from core.web.forms import checked
from core.web.parts import Change, Choice, Conflict, Difference, Field, FieldGroup, Pill, Section, spoken
from core.web.templating import written

if TYPE_CHECKING:
    from datetime import datetime

    from core.activity.queries import Change as ValueChange
    from core.activity.queries import Entry
    from core.catalog.bundles import BundleDetail, BundlePrice
    from core.catalog.schemas import GroupRow, TaxCategoryRow, TaxRateRow
    from core.errors import Stale
    from core.scope import Scope
    from core.web.parts import Happening

KINDS: Final = (
    Choice("plan", N_("Plan")),
    Choice("module", N_("Module")),
    Choice("service", N_("Service")),
    Choice("one_off", N_("One-off item")),
)
KIND_NAMES: Final = {choice.value: choice.label for choice in KINDS}
KINDS_MANY: Final = {
    "plan": N_("Plans"),
    "module": N_("Modules"),
    "service": N_("Services"),
    "one_off": N_("One-off items"),
}
TIMINGS: Final = (
    Choice("advance", N_("In advance, when a period begins")),
    Choice("arrears", N_("In arrears, when it is over")),
    Choice("prepaid", N_("Prepaid, from the balance")),
)
ACTIVATIONS: Final = (
    Choice("on_account", N_("On account: live at once, invoiced on terms")),
    Choice("invoice_first", N_("Invoice first: live once its invoice is paid")),
)
AT_TRIAL_END: Final = (
    Choice("end", N_("It ends")),
    Choice("convert", N_("It becomes paid, invoiced on terms")),
    Choice("invoice_first", N_("It waits until its first invoice is paid")),
)
PRORATIONS: Final = (
    Choice("by_day", N_("By day")),
    Choice("full", N_("Full price")),
    Choice("none", N_("Nothing")),
    Choice("merged", N_("Merged with the next full period")),
)
UNITS: Final = (
    Choice("day", N_("Days")),
    Choice("week", N_("Weeks")),
    Choice("month", N_("Months")),
    Choice("year", N_("Years")),
)

LABELS: Final = {
    "name": N_("Name"),
    "code": N_("Code"),
    "kind": N_("Kind"),
    "group_id": N_("Group"),
    "description": N_("Description"),
    "rank": N_("Rank in its group"),
    "position": N_("Place in lists"),
    "tax_category": N_("Tax"),
    "available_from": N_("Sold from"),
    "available_to": N_("No longer from"),
    "activation": N_("How it starts"),
    "trial_days": N_("Test time, days"),
    "at_trial_end": N_("After the test time"),
    "pending_days": N_("Waits for payment, days"),
    "requires_group_id": N_("Needs one of"),
    "timing": N_("Billed"),
    "proration": N_("First part period"),
    "final_proration": N_("Last part period"),
    "min_term_count": N_("Minimum term"),
    "min_term_unit": N_("Its unit"),
    "notice_days": N_("Notice, days"),
    "renew_count": N_("Then renews by"),
    "renew_unit": N_("Unit of the renewal"),
}
PARTS: Final[dict[str, tuple[str, ...]]] = {
    "main": ("name", "tax_category", "description", "rank", "position", "available_from", "available_to"),
    "start": ("activation", "pending_days", "trial_days", "at_trial_end", "requires_group_id"),
    "billing": ("timing", "proration", "final_proration"),
    "contract": ("min_term_count", "min_term_unit", "notice_days", "renew_count", "renew_unit"),
}
TITLES: Final = {
    "main": N_("Main data"),
    "start": N_("Start and test time"),
    "billing": N_("Billing"),
    "contract": N_("Contract"),
}


def _part(key: str) -> type[Struct]:
    """A struct of some of the fields of a product, as they are declared there."""
    declared = {field.name: field for field in msgspec.structs.fields(ProductFields)}
    return msgspec.defstruct(
        f"Product{key.capitalize()}",
        [
            (name, declared[name].type)
            if declared[name].required
            else (name, declared[name].type, declared[name].default)
            for name in PARTS[key]
        ],
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )


STRUCTS: Final[dict[str, type[Struct]]] = {key: _part(key) for key in PARTS}


class PriceItem(Struct, frozen=True, kw_only=True):
    """A price in the table of a product's page."""

    id: int
    cycle: str
    currency: str
    amount: str
    setup: str
    termination: str = ""
    intro: str = ""
    inclusive: bool
    price_list: str
    since: date
    until: date | None
    state: str
    """live, new (from a later day) or ended."""
    may_withdraw: bool
    may_apply: bool
    """To subscriptions that there are."""


def cycle_words(unit: str, count: int) -> str:
    """A month, 3 months, a year, once."""
    if unit == "once":
        return _("once")
    match unit:
        case "day":
            return ngettext("a day", "%(num)s days", count)
        case "week":
            return ngettext("a week", "%(num)s weeks", count)
        case "month":
            return ngettext("a month", "%(num)s months", count)
        case _:
            return ngettext("a year", "%(num)s years", count)


def cycle_adjective(unit: str, count: int) -> str:
    """As it stands before “cycle”: monthly, yearly, 3-month."""
    match unit:
        case "day":
            return ngettext("daily", "%(num)s-day", count)
        case "week":
            return ngettext("weekly", "%(num)s-week", count)
        case "month":
            return ngettext("monthly", "%(num)s-month", count)
        case _:
            return ngettext("yearly", "%(num)s-year", count)


def prices_in_words(prices: Iterable[PriceRow | BundlePrice]) -> str:
    """45.00 a month, 495.00 a year."""
    return ", ".join(
        f"{format_amount(price.amount_minor, price.currency)} {cycle_words(price.cycle_unit, price.cycle_count)}"
        for price in prices
    )


def _sold(product: ProductRow, today: date, locale: str) -> tuple[str, str]:
    if product.available_from is not None and product.available_from > today:
        return "new", _("From %(day)s", day=written(product.available_from, locale))
    if product.available_to is not None and product.available_to <= today:
        return "ended", _("Not sold")
    if product.available_to is not None:
        return "warn", _("Until %(day)s", day=written(product.available_to, locale))
    return "live", _("Sold")


def sold_pill(product: ProductRow, today: date, locale: str) -> tuple[str, str]:
    """(label, kind) for the head of its page."""
    kind, text = _sold(product, today, locale)
    return text, kind


def bundle_pill(bundle: BundleDetail, today: date) -> Pill:
    return Pill(_("Sold"), "live") if bundle.is_sold_on(today) else Pill(_("Not sold"), "ended")


def price_items(prices: Sequence[PriceRow], lists: Mapping[int, str], today: date) -> list[PriceItem]:
    """Those in force first, then those to come, then the old ones."""
    items = [
        PriceItem(
            id=price.id,
            cycle=cycle_words(price.cycle_unit, price.cycle_count),
            currency=price.currency,
            amount=format_amount(price.amount_minor, price.currency),
            setup=format_amount(price.setup_minor, price.currency) if price.setup_minor else "",
            termination=format_amount(price.termination_minor, price.currency) if price.termination_minor else "",
            intro=_(
                "%(amount)s for the first %(cycles)s",
                amount=format_amount(price.intro_minor, price.currency),
                cycles=price.intro_cycles,
            )
            if price.intro_minor is not None
            else "",
            inclusive=price.tax_inclusive,
            price_list=lists.get(price.price_list_id, ""),
            since=price.valid_from,
            until=price.valid_to,
            state=_in_force(price, today),
            may_withdraw=price.valid_to is None,
            may_apply=price.cycle_unit != "once" and _in_force(price, today) != "ended",
        )
        for price in prices
    ]
    return sorted(items, key=lambda item: ("live", "new", "ended").index(item.state))


def _in_force(price: PriceRow, today: date) -> str:
    if price.valid_from > today:
        return "new"
    return "ended" if price.valid_to is not None and price.valid_to <= today else "live"


def section_of(
    product: ProductDetail,
    key: str,
    *,
    categories: Sequence[TaxCategoryRow],
    groups: Sequence[GroupRow],
    locale: str,
    editable: bool,
) -> Section:
    """A part of a product as a section that is read and edited."""
    return Section(
        key=key,
        title=_(TITLES[key]),
        href=f"/products/{product.id}/sections/{key}",
        fields=[_field(product, name, categories, groups, locale) for name in PARTS[key]],
        version=product.version,
        editable=editable,
    )


def _field(
    product: ProductDetail,
    name: str,
    categories: Sequence[TaxCategoryRow],
    groups: Sequence[GroupRow],
    locale: str,
) -> Field:
    value = getattr(product, name)
    return Field(
        name=name,
        label=_(LABELS[name]),
        value=text_of(value),
        shown=_read(name, value, locale),
        kind=_FIELD_KINDS.get(name, "text"),
        choices=choices_of_field(name, categories, groups),
        help=_help(name),
        required=name == "name",
        max_length=200 if name == "name" else 4000 if name == "description" else 0,
    )


def text_of(value: object) -> str:
    return "" if value is None else str(value)


def _read(name: str, value: object, locale: str) -> str:
    if isinstance(value, date):
        return written(value, locale)
    if name in ("trial_days", "notice_days", "min_term_count", "renew_count") and not value:
        return _("None")
    return ""


_FIELD_KINDS: Final = {
    "description": "textarea",
    "tax_category": "select",
    "activation": "select",
    "at_trial_end": "select",
    "requires_group_id": "select",
    "timing": "select",
    "proration": "select",
    "final_proration": "select",
    "min_term_unit": "select",
    "renew_unit": "select",
    "available_from": "date",
    "available_to": "date",
    "rank": "number",
    "position": "number",
    "trial_days": "number",
    "pending_days": "number",
    "min_term_count": "number",
    "renew_count": "number",
    "notice_days": "number",
}
_HELP: Final = {
    "rank": N_("More is an upgrade, less a downgrade"),
    "position": N_("Small numbers come first"),
    "trial_days": N_("0: it cannot be tried"),
    "pending_days": N_("Then the unpaid order lapses"),
    "notice_days": N_("Before the end of a period"),
    "renew_count": N_("Unless notice is given in time; empty: it can end from then on"),
    "proration": N_("What the days before the first full period cost"),
    "final_proration": N_("What the days of a period that ends early cost"),
}


def _help(name: str) -> str:
    return _(_HELP[name]) if name in _HELP else ""


def choices_of_field(name: str, categories: Sequence[TaxCategoryRow], groups: Sequence[GroupRow]) -> tuple[Choice, ...]:
    if name == "tax_category":
        return tuple(Choice(category.code, category.name) for category in categories)
    if name == "requires_group_id":
        return (Choice("", _("Nothing")), *(Choice(str(group.id), group.name) for group in groups))
    if name in ("min_term_unit", "renew_unit"):
        return (Choice("", _("None")), *spoken(UNITS))
    return {
        "activation": spoken(ACTIVATIONS),
        "at_trial_end": spoken(AT_TRIAL_END),
        "timing": spoken(TIMINGS),
        "proration": spoken(PRORATIONS),
        "final_proration": spoken(PRORATIONS[:3]),
    }.get(name, ())


def with_part(product: ProductDetail, part: Struct) -> ProductFields:
    """All fields of a product, those of the part as they were typed."""
    now = {name: getattr(product, name) for name in ProductFields.__struct_fields__}
    return ProductFields(**{**now, **msgspec.structs.asdict(part)})


def version_of(typed: Mapping[str, Sequence[str]]) -> int:
    """The version that a form was read with."""
    try:
        return int(typed.get("version", ["0"])[-1])
    except ValueError:
        raise Invalid(_("Load the page again."), field="version") from None


def conflict_of(error: Stale, section: Section, by: str, at: datetime | None) -> Conflict:
    """What somebody else saved meanwhile, beside what was typed."""
    fields = {field.name: field for field in section.fields}
    return Conflict(
        by=by,
        at=at,
        differences=[
            Difference(
                field=name,
                label=_(LABELS[name]) if name in LABELS else fields[name].label,
                theirs=text_of(theirs),
                yours=text_of(yours),
                theirs_shown=_label(fields[name], text_of(theirs)),
                yours_shown=_label(fields[name], text_of(yours)),
            )
            for name, (theirs, yours) in error.fields.items()
            if name in fields
        ],
    )


def _label(field: Field, text: str) -> str:
    return next((choice.label for choice in field.choices if choice.value == text), text)


async def feed_of(scope: Scope, entries: Sequence[Entry]) -> list[Happening]:
    """What happened to a product, prices written as amounts."""
    return [
        msgspec.structs.replace(happening, changes=[_price_change(change) for change in entry.changes])
        if entry.kind == "price_set"
        else happening
        for entry, happening in zip(entries, await in_words(scope, entries), strict=True)
    ]


def _price_change(change: ValueChange) -> Change:
    *label, currency = change.field.split()
    if label[:1] != ["price"] or not change.new:
        return Change(label=_("No longer from"), old=change.old or "", new=change.new or "")
    cycle = _("once") if label[1:] == ["once"] else cycle_words(label[2], int(label[1]))
    return Change(label=_("Price %(cycle)s", cycle=cycle), new=f"{format_amount(int(change.new), currency)} {currency}")


# -- a new product ----------------------------------------------------------------------------------------------------

TypedAmount = Annotated[str, Meta(max_length=40)]


class ProductForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A new product as it is typed: the usual cycles beside each other, further ones on its page."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    code: Annotated[str, Meta(pattern="^([a-z0-9][a-z0-9._-]{0,59})?$")] = ""
    kind: str
    description: Annotated[str, Meta(max_length=4000)] = ""
    tax_category: Annotated[str, Meta(max_length=60)] = "standard"
    activation: str = "on_account"
    timing: str = "advance"
    trial_days: Annotated[int, Meta(ge=0, le=1096)] = 0
    rank: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    price_once: TypedAmount = ""
    price_month: TypedAmount = ""
    price_quarter: TypedAmount = ""
    price_year: TypedAmount = ""
    setup: TypedAmount = ""
    tax_inclusive: bool = False


_CYCLES: Final = {
    "price_once": ("once", 1),
    "price_month": ("month", 1),
    "price_quarter": ("month", 3),
    "price_year": ("year", 1),
}


def new_product(form: ProductForm, currency: str, locale: str) -> NewProduct:
    """Raises Invalid with every amount that cannot be read."""
    with Fields() as read:
        setup = read("setup", typed_amount, form.setup, currency, locale, default=0)
        prices = []
        for name, (unit, count) in _CYCLES.items():
            text = getattr(form, name)
            if text == "":
                continue
            if (unit == "once") != (form.kind == "one_off"):
                read.wrong(
                    name,
                    _("A one-off item has one price.") if form.kind == "one_off" else _("This is for one-off items."),
                )
                continue
            amount = read(name, typed_amount, text, currency, locale, default=0)
            prices.append(
                {
                    "cycle_unit": unit,
                    "cycle_count": count,
                    "amount_minor": amount,
                    "setup_minor": setup,
                    "tax_inclusive": form.tax_inclusive,
                }
            )
    given: dict[str, Any] = {
        name: getattr(form, name)
        for name in (
            "name",
            "kind",
            "description",
            "tax_category",
            "activation",
            "timing",
            "trial_days",
            "rank",
        )
    }
    return checked(NewProduct, {**given, "code": form.code or None, "prices": prices})


def new_product_groups(categories: Sequence[TaxCategoryRow], currency: str) -> list[FieldGroup]:
    """The form of a new product."""

    def field(name: str, label: str = "", **options: Any) -> Field:
        return Field(name=name, label=label or _(LABELS[name]), **options)

    return [
        FieldGroup(
            key="what",
            title=_("What it is"),
            fields=[
                field("name", required=True, max_length=200, autocomplete="off", help=_("As it stands on invoices")),
                field(
                    "code",
                    max_length=60,
                    autocomplete="off",
                    help=_("Small letters, digits, . _ - ; stays for good. Left empty: made of the name"),
                ),
                field("kind", kind="select", value="plan", choices=spoken(KINDS)),
                field(
                    "tax_category",
                    kind="select",
                    value="standard",
                    choices=choices_of_field("tax_category", categories, ()),
                ),
                field(
                    "description", kind="textarea", max_length=4000, help=_("Shown in its box on the customer's page")
                ),
            ],
        ),
        FieldGroup(
            key="prices",
            title=_("Prices, %(currency)s", currency=currency),
            help=_("Fill in the cycles that you offer; other cycles and currencies are added on its page."),
            fields=[
                field("price_month", _("A month"), kind="money"),
                field("price_quarter", _("3 months"), kind="money"),
                field("price_year", _("A year"), kind="money"),
                field("price_once", _("Once"), kind="money", help=_("For one-off items")),
                field("setup", _("Set-up"), kind="money", help=_("Charged once at the start")),
                field("tax_inclusive", _("Prices include tax"), kind="check"),
            ],
        ),
        FieldGroup(
            key="start",
            title=_("How it is sold"),
            fields=[
                field("activation", kind="select", value="on_account", choices=spoken(ACTIVATIONS)),
                field("timing", kind="select", value="advance", choices=spoken(TIMINGS)),
                field("trial_days", kind="number", value="0", help=_help("trial_days")),
                field("rank", kind="number", value="0", help=_help("rank")),
            ],
        ),
    ]


# -- prices, groups and taxes as they are typed ------------------------------------------------------------------------


class PriceForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A price of a cycle from a day on; a unit of "once" has no number."""

    amount: Annotated[str, Meta(min_length=1, max_length=40)]
    cycle_unit: str = "month"
    cycle_count: Annotated[int, Meta(ge=1, le=1096)] = 1
    currency: Annotated[str, Meta(max_length=3)] = ""
    setup: TypedAmount = ""
    termination: TypedAmount = ""
    intro: TypedAmount = ""
    intro_cycles: Annotated[int, Meta(ge=1, le=120)] | None = None
    tax_inclusive: bool = False
    valid_from: date | None = None


def new_price(form: PriceForm, currency: str, locale: str) -> NewPrice:
    """Raises Invalid for an amount that cannot be read."""
    with Fields() as read:
        currency = read("currency", check_currency, form.currency.upper(), default=currency)
        if form.currency and currency != form.currency.upper():
            amount = setup = termination = 0
            intro = None
        else:
            amount = read("amount", typed_amount, form.amount, currency, locale, default=0)
            setup = read("setup", typed_amount, form.setup, currency, locale, default=0)
            termination = read("termination", typed_amount, form.termination, currency, locale, default=0)
            intro = read("intro", typed_amount, form.intro, currency, locale, default=None)
            if intro is not None and (intro > amount or form.cycle_unit == "once"):
                read.wrong("intro", _("An introductory price is of a cycle, and lower than the price."))
    return checked(
        NewPrice,
        {
            "cycle_unit": form.cycle_unit,
            "cycle_count": form.cycle_count,
            "amount_minor": amount,
            "setup_minor": setup,
            "termination_minor": termination,
            "intro_minor": intro,
            "intro_cycles": form.intro_cycles,
            "currency": currency,
            "tax_inclusive": form.tax_inclusive,
            "valid_from": form.valid_from,
        },
    )


class GroupForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    code: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9._-]{0,59}$")]
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    one_live: bool = False
    position: Annotated[int, Meta(ge=0, le=100_000)] = 0


class RateForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    country: Annotated[str, Meta(min_length=2, max_length=2)]
    category: Annotated[str, Meta(min_length=1, max_length=60)]
    rate: Annotated[str, Meta(min_length=1, max_length=10)]
    valid_from: date


def new_rate(form: RateForm) -> NewTaxRate:
    with Fields() as read:
        ppm = read("rate", typed_percent, form.rate, default=0)
    return checked(
        NewTaxRate,
        {"country": form.country.upper(), "category": form.category, "valid_from": form.valid_from, "rate_ppm": ppm},
    )


class RateItem(Struct, frozen=True, kw_only=True):
    """A rate in the table of the tax settings."""

    country: str
    category: str
    rate: str
    since: date
    state: str
    """live, new (from a later day) or ended (another one holds)."""


def rate_items(
    rates: Sequence[TaxRateRow], categories: Sequence[TaxCategoryRow], today: date, locale: str
) -> list[RateItem]:
    """By country and category, the newest first; which of them holds today is marked."""
    names = {category.code: category.name for category in categories}
    countries = {choice.value: choice.label for choice in country_choices(locale)}
    held: set[tuple[str, str]] = set()
    items = []
    for rate in rates:
        key = (rate.country, rate.category)
        state = "new" if rate.valid_from > today else "ended" if key in held else "live"
        if state == "live":
            held.add(key)
        items.append(
            RateItem(
                country=countries.get(rate.country, rate.country),
                category=names.get(rate.category, rate.category),
                rate=percent_text(rate.rate_ppm),
                since=rate.valid_from,
                state=state,
            )
        )
    return items
