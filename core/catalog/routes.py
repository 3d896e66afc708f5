"""Pages of the catalogue: products with their prices, groups, taxes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from litestar import Response
from litestar.params import FromPath
from msgspec import Struct

from core.activity.queries import timeline
from core.catalog import actions, bundle_routes, pages, policy_routes, queries
from core.catalog.listing import PRODUCTS
from core.catalog.schemas import NewGroup, NewTaxCategory
from core.catalog.tax_names import TaxSettings, name_tax, proposed_names, tax_names_now
from core.customers.sections import country_choices
from core.customers.timeline import in_words
from core.database import rows
from core.errors import Invalid, NotFound, Stale
from core.hooks import Permission
from core.settings.fields import describe, parse_form
from core.texts import N_, _
from core.web.forms import checked, from_form
from core.web.parts import Choice, Field, MenuEntry, Pill, spoken
from core.web.reach import check_sees_everyone
from core.web.routing import delete, get, post, put
from core.web.view import View, errors_by_field

if TYPE_CHECKING:
    from core.catalog.schemas import ProductDetail
    from core.web.view import PageView


class _PriceList(Struct, frozen=True):
    id: int
    name: str


PERMISSIONS: Final = (
    Permission("catalog.view", N_("See products, prices and taxes")),
    Permission("catalog.edit", N_("Change products, prices and taxes")),
)


@get("/products", permission="catalog.view")
async def list_products(view: View) -> Response[str]:
    new = MenuEntry(label=_("New product"), icon="plus", href="/products/new", key="n")
    return await PRODUCTS.page(view, "catalog/list.html", buttons=[new] if view.scope.may("catalog.edit") else ())


@get("/products/new", permission="catalog.edit")
async def show_new(view: View) -> Response[str]:
    return await _new_page(view, {})


@post("/products", permission="catalog.edit")
async def create(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    try:
        form = await view.form(pages.ProductForm)
        data = pages.new_product(form, view.scope.tenant.currency, view.scope.locale)
        product_id = await actions.create_product(view.scope, data)
    except Invalid as error:
        return await _new_page(view, errors_by_field(error), status=422)
    return view.go(f"/products/{product_id}", _("Product created."))


async def _new_page(view: PageView, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    groups = pages.new_product_groups(await queries.list_tax_categories(), view.scope.tenant.currency)
    return view.page("catalog/new.html", status=status, groups=groups, values=view.shown(), errors=errors)


@get("/products/{product_id:int}", permission="catalog.view")
async def show(view: View, product_id: FromPath[int]) -> Response[str]:
    return await _page(view, product_id)


async def _page(
    view: PageView, product_id: int, *, errors: dict[str, str] | None = None, status: int = 200
) -> Response[str]:
    scope = view.scope
    product = await queries.get_product(product_id)
    lists = await _price_lists()
    entries = await timeline(scope, subject=("product", product_id), limit=20) if scope.may("activity.view") else []
    return view.page(
        "catalog/product.html",
        status=status,
        **await _head(view, product),
        sections=[
            *[await _section(view, product, key) for key in pages.PARTS],
            *([await policy_routes.section_of(view.scope, product)] if product.kind != "one_off" else []),
        ],
        prices=pages.price_items(product.prices, lists, scope.today()),
        several_lists=len(lists) > 1,
        units=[Choice("once", _("Once"))] if product.kind == "one_off" else spoken(pages.UNITS),
        values=view.shown(
            amount="",
            cycle_unit="month",
            cycle_count="1",
            currency=scope.tenant.currency,
            setup="",
            termination="",
            intro="",
            intro_cycles="",
            tax_inclusive="",
            valid_from="",
        ),
        errors=errors or {},
        happenings=await pages.feed_of(view.scope, entries),
    )


async def _head(view: PageView, product: ProductDetail) -> dict[str, Any]:
    label, kind = pages.sold_pill(product, view.scope.today(), view.scope.locale)
    return {
        "product": product,
        "pill": Pill(label, kind),
        "kind": _(pages.KIND_NAMES[product.kind]),
        "may_edit": view.scope.may("catalog.edit"),
    }


async def _price_lists() -> dict[int, str]:
    return {found.id: found.name for found in await rows(_PriceList, "SELECT id, name FROM price_list ORDER BY id")}


async def _section(view: PageView, product: ProductDetail, key: str) -> Any:
    return pages.section_of(
        product,
        key,
        categories=await queries.list_tax_categories(),
        groups=await queries.list_groups(),
        locale=view.scope.locale,
        editable=view.scope.may("catalog.edit"),
    )


@get("/products/{product_id:int}/sections/{product_part:str}", permission="catalog.view")
async def show_section(view: View, product_id: FromPath[int], product_part: FromPath[str]) -> Response[str]:
    return await _section_page(view, product_id, product_part)


@get("/products/{product_id:int}/sections/{product_part:str}/edit", permission="catalog.edit")
async def edit_section(view: View, product_id: FromPath[int], product_part: FromPath[str]) -> Response[str]:
    return await _section_page(view, product_id, product_part, editing=True)


@put("/products/{product_id:int}/sections/{product_part:str}", permission="catalog.edit")
async def save_section(view: View, product_id: FromPath[int], product_part: FromPath[str]) -> Response[str]:
    check_sees_everyone(view.scope)
    struct = _struct(product_part)
    await view.read()
    product = await queries.get_product(product_id)
    try:
        version = pages.version_of(view.typed)
        part = from_form(struct, {name: texts for name, texts in view.typed.items() if name not in ("version", "seen")})
        await actions.change_product(view.scope, product_id, pages.with_part(product, part), version=version)
    except Invalid as error:
        return await _section_page(
            view, product_id, product_part, editing=True, status=422, errors=errors_by_field(error)
        )
    except Stale as error:
        return await _section_page(view, product_id, product_part, editing=True, status=409, stale=error)
    saved = await queries.get_product(product_id)
    return view.page(
        "catalog/saved.html", **await _head(view, saved), section=await _section(view, saved, product_part)
    )


async def _section_page(
    view: PageView,
    product_id: int,
    key: str,
    *,
    editing: bool = False,
    status: int = 200,
    errors: dict[str, str] | None = None,
    stale: Stale | None = None,
) -> Response[str]:
    _struct(key)
    product = await queries.get_product(product_id)
    section = await _section(view, product, key)
    conflict = None
    typed = {name: texts[-1] for name, texts in view.typed.items()}
    if stale is not None:
        latest = await in_words(view.scope, await timeline(view.scope, subject=("product", product_id), limit=1))
        by, at = (latest[0].by, latest[0].at) if latest else (_("Somebody else"), None)
        conflict = pages.conflict_of(stale, section, by, at)
        typed = {name: text for name, text in typed.items() if name not in stale.fields}
    return view.page(
        "_partials/section.html",
        status=status,
        section=section,
        editing=editing,
        values=typed,
        errors=errors or {},
        conflict=conflict,
    )


def _struct(key: str) -> Any:
    if key not in pages.STRUCTS:
        raise NotFound(f"section {key}")
    return pages.STRUCTS[key]


@post("/products/{product_id:int}/prices", permission="catalog.edit")
async def add_price(view: View, product_id: FromPath[int]) -> Response[str]:
    check_sees_everyone(view.scope)
    try:
        form = await view.form(pages.PriceForm)
        data = pages.new_price(form, view.scope.tenant.currency, view.scope.locale)
        await actions.set_price(view.scope, product_id, data)
    except Invalid as error:
        return await _page(view, product_id, errors=errors_by_field(error), status=422)
    return view.go(f"/products/{product_id}", _("Price set. Subscriptions keep what they agreed."))


@delete("/products/{product_id:int}/prices/{price_id:int}", permission="catalog.edit")
async def end_price(view: View, product_id: FromPath[int], price_id: FromPath[int]) -> Response[str]:
    check_sees_everyone(view.scope)
    price = await queries.get_price(price_id)
    if price.product_id != product_id:
        raise NotFound(f"price {price_id} of product {product_id}")
    await actions.withdraw_price(view.scope, price_id)
    return view.go(f"/products/{product_id}", _("Price withdrawn."))


# -- groups -----------------------------------------------------------------------------------------------------------


@get("/products/groups", permission="catalog.view")
async def show_groups(view: View) -> Response[str]:
    return await _groups_page(view, {})


@post("/products/groups", permission="catalog.edit")
async def create_group(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    try:
        form = await view.form(pages.GroupForm)
        await actions.create_group(
            view.scope, NewGroup(code=form.code, name=form.name, one_live=form.one_live, position=form.position)
        )
    except Invalid as error:
        return await _groups_page(view, errors_by_field(error), status=422)
    return view.go("/products/groups", _("Group created."))


async def _groups_page(view: PageView, errors: dict[str, str], *, status: int = 200) -> Response[str]:
    products = await queries.list_products()
    return view.page(
        "catalog/groups.html",
        status=status,
        groups=[
            {"group": group, "products": [product.name for product in products if product.group_id == group.id]}
            for group in await queries.list_groups()
        ],
        values=view.shown(code="", name="", one_live="", position="0"),
        errors=errors,
        may_edit=view.scope.may("catalog.edit"),
    )


# -- taxes ------------------------------------------------------------------------------------------------------------


@get("/settings/tax", permission="catalog.view")
async def show_taxes(view: View) -> Response[str]:
    return await _tax_page(view, {})


@post("/settings/tax", permission="catalog.edit")
async def set_rate(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    try:
        form = await view.form(pages.RateForm)
        await actions.set_tax_rate(view.scope, pages.new_rate(form))
    except Invalid as error:
        return await _tax_page(view, errors_by_field(error), status=422)
    return view.go("/settings/tax", _("Rate set. Issued documents keep theirs."))


@post("/settings/tax/name", permission="catalog.edit")
async def save_tax_name(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    await view.read()
    try:
        typed = parse_form(TaxSettings, view.typed, kept=TaxSettings())
        await name_tax(view.scope, typed, view.scope.tenant.country)
    except Invalid as error:
        return await _tax_page(view, {}, status=422, name_errors=errors_by_field(error))
    return view.go("/settings/tax", _("Saved. Issued documents keep what they say."))


@post("/settings/tax/categories", permission="catalog.edit")
async def create_category(view: View) -> Response[str]:
    check_sees_everyone(view.scope)
    await view.read()
    try:
        data = checked(NewTaxCategory, {name: texts[-1].strip() for name, texts in view.typed.items()})
        await actions.create_tax_category(view.scope, data)
    except Invalid as error:
        return await _tax_page(view, errors_by_field(error), status=422, category=True)
    return view.go("/settings/tax", _("Category created."))


async def _tax_page(
    view: PageView,
    errors: dict[str, str],
    *,
    status: int = 200,
    category: bool = False,
    name_errors: dict[str, str] | None = None,
) -> Response[str]:
    scope = view.scope
    proposal = proposed_names(scope.tenant.country)
    names = await tax_names_now(scope.tenant.country)
    categories = await queries.list_tax_categories()
    rates = await queries.list_tax_rates()
    return view.page(
        "catalog/tax.html",
        status=status,
        categories=categories,
        rates=pages.rate_items(rates, categories, scope.today(), scope.locale),
        countries=country_choices(scope.locale),
        category_choices=[Choice(each.code, each.name) for each in categories if each.einvoice_code == "S"],
        values=view.shown(
            country=scope.tenant.country,
            category="standard",
            rate="",
            valid_from=scope.today().isoformat(),
            code="",
            name="",
            einvoice_code="S",
        ),
        errors={} if category else errors,
        category_errors=errors if category else {},
        tax_names=[
            Field(
                name=spec.name,
                label=_(spec.label),
                max_length=spec.max_length or 0,
                help=_("Empty: %(name)s, as it is proposed for your country", name=proposal[spec.name]),
            )
            for spec in describe(TaxSettings)
        ],
        name_values=view.shown(**names) if name_errors else names,
        name_errors=name_errors or {},
        may_edit=scope.may("catalog.edit"),
    )


HANDLERS = (
    list_products,
    show_new,
    create,
    show,
    show_section,
    edit_section,
    save_section,
    add_price,
    end_price,
    show_groups,
    create_group,
    show_taxes,
    set_rate,
    save_tax_name,
    create_category,
    *bundle_routes.HANDLERS,
)
