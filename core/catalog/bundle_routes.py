"""Pages of bundles: the list, a new one, one with its products and prices."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from litestar import Response
from litestar.params import FromPath
from msgspec import Meta, Struct

from core.activity.queries import timeline
from core.catalog import bundles, pages, queries
from core.catalog.bundles import BundleFields, NewBundle, NewBundlePrice
from core.catalog.listing import BUNDLES
from core.customers.timeline import in_words
from core.errors import Invalid, NotFound, Stale
from core.money import check_currency, format_amount
from core.texts import N_, _
from core.web.amounts import Fields, decimal_text, typed_amount, typed_decimal
from core.web.forms import checked
from core.web.parts import Choice, Field, FieldGroup, MenuEntry, spoken
from core.web.reach import check_sees_everyone
from core.web.routing import delete, get, post
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.catalog.bundles import BundleDetail
    from core.catalog.schemas import ProductRow
    from core.web.view import PageView

ROWS: Final = 8
"""Products that the form has room for; more are set over JSON."""
SHARES: Final = (
    Choice("prices", N_("By the products' own prices")),
    Choice("weights", N_("By weights")),
)
Typed = Annotated[str, Meta(max_length=40)]


class BundleForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A bundle as it is typed, but for its products."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    code: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9._-]{0,59}$")] = "-"
    description: Annotated[str, Meta(max_length=4000)] = ""
    shares: str = "prices"
    available_from: date | None = None
    available_to: date | None = None
    position: Annotated[int, Meta(ge=0, le=100_000)] = 0
    version: int = 0
    amount: Typed = ""
    amount_year: Typed = ""
    setup: Typed = ""
    tax_inclusive: bool = False


_MEMBERS: Final = msgspec.defstruct(
    "BundleMembersForm",
    [
        (f"{name}_{at}", kind, "")
        for at in range(1, ROWS + 1)
        for name, kind in (("product", Typed), ("quantity", Typed), ("weight", Typed))
    ],
    bases=(BundleForm,),
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
)


class BundlePriceForm(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A price of a bundle from a day on."""

    amount: Annotated[str, Meta(min_length=1, max_length=40)]
    cycle_unit: str = "month"
    cycle_count: Annotated[int, Meta(ge=1, le=1096)] = 1
    currency: Annotated[str, Meta(max_length=3)] = ""
    setup: Typed = ""
    termination: Typed = ""
    tax_inclusive: bool = False
    valid_from: date | None = None


class BundlePriceItem(Struct, frozen=True, kw_only=True):
    """A price in the table of a bundle's page."""

    id: int
    cycle: str
    currency: str
    amount: str
    setup: str
    termination: str
    inclusive: bool
    since: date
    until: date | None
    state: str
    """live, new (from a later day) or ended."""


@get("/products/bundles", permission="catalog.view")
async def list_all(view: View) -> Response[str]:
    new = MenuEntry(label=_("New bundle"), icon="plus", href="/products/bundles/new", key="n")
    return await BUNDLES.page(view, "catalog/bundles.html", buttons=[new] if view.scope.may("catalog.edit") else ())


@get("/products/bundles/new", permission="catalog.edit")
async def show_new(view: View) -> Response[str]:
    return await _form_page(view, None, {})


@post("/products/bundles", permission="catalog.edit")
async def create(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    try:
        form: Any = await view.form(_MEMBERS)
        bundle_id = await bundles.create_bundle(view.scope, _new_bundle(view, form))
    except Invalid as error:
        return await _form_page(view, None, _by_row(error), status=422)
    return view.go(f"/products/bundles/{bundle_id}", _("Bundle created."))


@get("/products/bundles/{bundle_id:int}", permission="catalog.view")
async def show(view: View, bundle_id: FromPath[int]) -> Response[str]:
    return await _form_page(view, await bundles.get_bundle(bundle_id), {})


@post("/products/bundles/{bundle_id:int}", permission="catalog.edit")
async def save(view: View, bundle_id: FromPath[int]) -> Response[str]:
    check_sees_everyone(view.scope)
    now = await bundles.get_bundle(bundle_id)
    try:
        form: Any = await view.form(_MEMBERS)
        fields = checked(BundleFields, _fields(form))
        await bundles.change_bundle(view.scope, bundle_id, fields, version=form.version)
    except Invalid as error:
        return await _form_page(view, now, _by_row(error), status=422)
    except Stale:
        told = _("Somebody else has saved this bundle meanwhile. Load the page again.")
        return await _form_page(view, now, {"name": told}, status=409)
    return view.go(f"/products/bundles/{bundle_id}", _("Bundle saved. Customers who have it keep what they agreed."))


@post("/products/bundles/{bundle_id:int}/prices", permission="catalog.edit")
async def add_price(view: View, bundle_id: FromPath[int]) -> Response[str]:
    check_sees_everyone(view.scope)
    now = await bundles.get_bundle(bundle_id)
    try:
        form = await view.form(BundlePriceForm)
        await bundles.set_bundle_price(view.scope, bundle_id, _new_price(view, form))
    except Invalid as error:
        return await _form_page(view, now, {}, price_errors=errors_by_field(error), status=422)
    return view.go(f"/products/bundles/{bundle_id}", _("Price set. Customers who have it keep what they agreed."))


@delete("/products/bundles/{bundle_id:int}/prices/{price_id:int}", permission="catalog.edit")
async def end_price(view: View, bundle_id: FromPath[int], price_id: FromPath[int]) -> Response[str]:
    check_sees_everyone(view.scope)
    if (await bundles.get_bundle_price(price_id)).bundle_id != bundle_id:
        raise NotFound(f"price {price_id} of bundle {bundle_id}")
    await bundles.withdraw_bundle_price(view.scope, price_id)
    return view.go(f"/products/bundles/{bundle_id}", _("Price withdrawn."))


def _by_row(error: Invalid) -> dict[str, str]:
    """What is wrong with the products as a whole stands beside the first."""
    found = errors_by_field(error)
    return {("product_1" if name.startswith("members") else name): text for name, text in found.items()}


def _fields(form: Any) -> dict[str, Any]:
    members: list[dict[str, Any]] = []
    with Fields() as read:
        for at in range(1, ROWS + 1):
            product = getattr(form, f"product_{at}")
            if not product:
                continue
            quantity = read(f"quantity_{at}", typed_decimal, getattr(form, f"quantity_{at}"), 6, default=10**6)
            if quantity < 10**6 or quantity % 10**6:
                read.wrong(f"quantity_{at}", _("A whole number, at least 1."))
            weight = getattr(form, f"weight_{at}") or "0"
            if not weight.isdecimal() or int(weight) > 1_000_000:
                read.wrong(f"weight_{at}", _("A whole number up to 1,000,000."))
                weight = "0"
            members.append({"product_id": int(product), "quantity_e6": quantity, "weight": int(weight)})
        if len(members) < bundles.FEWEST:
            read.wrong(f"product_{len(members) + 1}", _("A bundle has at least two products."))
    names = ("name", "description", "shares", "available_from", "available_to", "position")
    return {**{name: getattr(form, name) for name in names}, "members": members}


def _new_bundle(view: PageView, form: Any) -> NewBundle:
    fields, currency, locale = _fields(form), view.scope.tenant.currency, view.scope.locale
    prices: list[dict[str, Any]] = []
    with Fields() as read:
        setup = read("setup", typed_amount, form.setup, currency, locale, default=0)
        for name, unit in (("amount", "month"), ("amount_year", "year")):
            if text := getattr(form, name):
                amount = read(name, typed_amount, text, currency, locale, default=0)
                prices.append(
                    {
                        "cycle_unit": unit,
                        "amount_minor": amount,
                        "setup_minor": setup,
                        "tax_inclusive": form.tax_inclusive,
                    }
                )
    return checked(NewBundle, {**fields, "code": form.code, "prices": prices})


def _new_price(view: PageView, form: BundlePriceForm) -> NewBundlePrice:
    locale = view.scope.locale
    with Fields() as read:
        currency = read("currency", check_currency, form.currency.upper() or view.scope.tenant.currency, default="EUR")
        amount = read("amount", typed_amount, form.amount, currency, locale, default=0)
        setup = read("setup", typed_amount, form.setup, currency, locale, default=0)
        termination = read("termination", typed_amount, form.termination, currency, locale, default=0)
    return checked(
        NewBundlePrice,
        {
            "cycle_unit": form.cycle_unit,
            "cycle_count": form.cycle_count,
            "amount_minor": amount,
            "setup_minor": setup,
            "termination_minor": termination,
            "currency": currency,
            "tax_inclusive": form.tax_inclusive,
            "valid_from": form.valid_from,
        },
    )


def _groups(bundle: BundleDetail | None, products: list[ProductRow], currency: str) -> list[FieldGroup]:
    what = [
        Field(name="name", label=_("Name"), required=True, max_length=200, help=_("Before each product on invoices")),
        *(
            [Field(name="code", label=_("Code"), required=True, max_length=60, help=_("Small letters, digits, . _ -"))]
            if bundle is None
            else []
        ),
        Field(
            name="shares",
            label=_("Its price is shared"),
            kind="select",
            choices=spoken(SHARES),
            help=_("So that each product is taxed and earned as its own"),
        ),
        Field(name="position", label=_("Place in lists"), kind="number", help=_("Small numbers come first")),
        Field(name="available_from", label=_("Sold from"), kind="date"),
        Field(name="available_to", label=_("No longer from"), kind="date"),
        Field(name="description", label=_("Description"), kind="textarea", max_length=4000),
    ]
    found = [FieldGroup(key="what", title=_("What it is"), fields=what)]
    if bundle is None:
        found.append(
            FieldGroup(
                key="prices",
                title=_("Prices, %(currency)s", currency=currency),
                help=_("Of one bundle; other cycles and currencies are added on its page."),
                fields=[
                    Field(name="amount", label=_("A month"), kind="money"),
                    Field(name="amount_year", label=_("A year"), kind="money"),
                    Field(name="setup", label=_("Set-up"), kind="money", help=_("Charged once at the start")),
                    Field(name="tax_inclusive", label=_("Prices include tax"), kind="check"),
                ],
            )
        )
    return found


def _values(bundle: BundleDetail | None) -> dict[str, str]:
    values = {"shares": "prices", "position": "0"}
    if bundle is None:
        return values
    for name in ("name", "description", "shares", "position", "version", "available_from", "available_to"):
        values[name] = pages.text_of(getattr(bundle, name))
    for at, each in enumerate(bundle.members, start=1):
        values[f"product_{at}"] = str(each.product_id)
        values[f"quantity_{at}"] = decimal_text(each.quantity_e6, 6)
        values[f"weight_{at}"] = str(each.weight) if each.weight else ""
    return values


async def _form_page(
    view: PageView,
    bundle: BundleDetail | None,
    errors: dict[str, str],
    *,
    price_errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response[str]:
    scope = view.scope
    products = [each for each in await queries.list_products() if each.kind != "one_off"]
    prices_typed = price_errors is not None
    entries = (
        await timeline(scope, subject=("bundle", bundle.id), limit=20)
        if bundle is not None and scope.may("activity.view")
        else []
    )
    shown = max(len(bundle.members) + 1 if bundle is not None else 4, 4)
    typed = {} if prices_typed else {name: texts[-1] for name, texts in view.typed.items()}
    labels = {f"product_{at}": _("Product %(number)s", number=at) for at in range(1, ROWS + 1)}
    return view.page(
        "catalog/bundle.html",
        status=status,
        bundle=bundle,
        pill=pages.bundle_pill(bundle, scope.today()) if bundle is not None else None,
        groups=_groups(bundle, products, scope.tenant.currency),
        rows=range(1, ROWS + 1),
        shown=min(
            max(shown, *[int(n.split("_")[1]) for n, t in typed.items() if n.startswith("product_") and t], 0), 8
        ),
        labels={**labels, "name": _("Name"), "code": _("Code")},
        products=[Choice("", "–"), *(Choice(str(each.id), each.name) for each in products)],
        values={**_values(bundle), **typed},
        errors=errors,
        prices=[
            BundlePriceItem(
                id=each.id,
                cycle=pages.cycle_words(each.cycle_unit, each.cycle_count),
                amount=format_amount(each.amount_minor, each.currency),
                currency=each.currency,
                setup=format_amount(each.setup_minor, each.currency) if each.setup_minor else "",
                termination=format_amount(each.termination_minor, each.currency) if each.termination_minor else "",
                inclusive=each.tax_inclusive,
                since=each.valid_from,
                until=each.valid_to,
                state="live" if each.holds_on(scope.today()) else "new" if each.valid_from > scope.today() else "ended",
            )
            for each in (bundle.prices if bundle is not None else [])
        ],
        price_values={name: texts[-1] for name, texts in view.typed.items()}
        if prices_typed
        else {"cycle_unit": "month", "cycle_count": "1", "currency": scope.tenant.currency},
        price_errors=price_errors or {},
        units=spoken(pages.UNITS),
        happenings=await in_words(scope, entries),
        may_edit=scope.may("catalog.edit"),
    )


HANDLERS = (list_all, show_new, create, show, save, add_price, end_price)
