"""The lists of products and of bundles, as they are declared for their pages, their exports and the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from core.catalog import bundles, pages, queries
from core.catalog.bundles import BUNDLE, BundleDetail
from core.catalog.queries import ITEM, SOLD
from core.catalog.schemas import ProductItem
from core.catalog.tables import Bundle, Product
from core.database import dialect
from core.errors import Invalid
from core.ids import sort_key
from core.lists.columns import Condition, ListChoice, ListColumn, Loaded
from core.lists.drawing import NOTHING, pill
from core.lists.listing import Choices, Listing
from core.money import Money
from core.texts import N_, _, figures, ngettext
from core.web.amounts import decimal_text
from core.web.templating import written

if TYPE_CHECKING:
    from core.catalog.schemas import PriceRow
    from core.lists.drawing import Given
    from core.scope import Scope

WIDE: Final = "t-clip wide"
EARLIEST: Final = "'0001-01-01'"
LATEST: Final = "'9999-12-31'"
GROUP: Final = "LEFT JOIN product_group list_group ON list_group.id = product.group_id"
PLACE: Final = (
    "(CASE product.kind WHEN 'plan' THEN 0 WHEN 'module' THEN 1 WHEN 'service' THEN 2 ELSE 3 END * 10000000000000000"
    " + coalesce(list_group.position, 100001) * 10000000000 + product.position * 10000 + product.rank + 1000)"
)
"""The order of the catalogue as a number: kind, the group's place, the product's place, its rank."""
STATES: Final = {"sold": N_("Sold"), "to_come": N_("To come"), "ended": N_("Not sold")}
BUNDLE_STATES: Final = {
    "sold": (
        N_("Sold"),
        "(bundle.available_from IS NULL OR bundle.available_from <= :list_today)"
        " AND (bundle.available_to IS NULL OR bundle.available_to > :list_today)",
    ),
    "ended": (N_("Not sold"), "bundle.available_from > :list_today OR bundle.available_to <= :list_today"),
}


def _with(text: str) -> str:
    return "%" + "".join(f"~{one}" if one in "%_~" else one for one in text) + "%"


def _no_price(row: object, given: Given) -> Markup | str:
    return str(given.value) if given.value else Markup('<span class="t-2">{}</span>').format(_("No price"))


# -- products ---------------------------------------------------------------------------------------------------------


async def product_choices(scope: Scope, address: Mapping[str, str]) -> Choices:
    """What columns of choices can be filtered by, with the day that this address asks for."""
    today = {"list_today": scope.today()}
    choices: dict[str, list[ListChoice]] = {
        "kind": [ListChoice(one.value, one.label, one.value) for one in pages.KINDS],
        "group": [],
        "tax": [],
        "state": [
            ListChoice(key, label, sql=f"({SOLD.format(day='list_today')}) = '{key}'", values=today)
            for key, label in STATES.items()
        ],
    }
    for one in await queries.list_filter_values():
        choices[one.column].append(ListChoice(one.key, one.label, int(one.key) if one.column == "group" else one.key))
    choices["group"].append(ListChoice("0", N_("No group"), 0))
    if text := address.get("on", ""):
        day = _day(text)
        sold = f"({SOLD.format(day='list_on')}) = 'sold'"
        choices["on"] = [ListChoice(text, written(day, scope.locale), sql=sold, values={"list_on": day})]
    return choices


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid(_("Give a day as 2026-12-31."), field="on") from None


def product_search(typed: str) -> Condition | None:
    """By any part of the name or the code."""
    key = sort_key(typed)
    if not key:
        return None
    return Condition(
        "product.name_key LIKE :product_with ESCAPE '~' OR product.code LIKE :product_with ESCAPE '~'",
        {"product_with": _with(key)},
    )


async def _load_prices(scope: Scope, product_ids: Sequence[int], keys: Sequence[str]) -> Loaded:
    """Those that hold today, in the tenant's currency."""
    currency = scope.tenant.currency
    found: dict[int, list[PriceRow]] = {}
    for price in await queries.list_prices(product_ids, currency, scope.today()):
        found.setdefault(price.product_id, []).append(price)
    setups = {one: max(price.setup_minor for price in prices) for one, prices in found.items()}
    return Loaded(
        {
            "prices": {one: pages.prices_in_words(prices) for one, prices in found.items()},
            "setup": {one: Money(setup, currency) for one, setup in setups.items() if setup},
        }
    )


def _trial(row: ProductItem, given: Given) -> str:
    return ngettext("%(num)s day", "%(num)s days", row.trial_days) if row.trial_days else NOTHING


def _sold(row: ProductItem, given: Given) -> Markup:
    return pill(*pages.sold_pill(row, given.scope.today(), given.scope.locale))


PRODUCTS: Final = Listing(
    key="products",
    href="/products",
    permission="catalog.view",
    title=N_("Products"),
    noun="product",
    placeholder=N_("Name or code"),
    none=(
        N_("No products yet"),
        N_(
            "A plan, module or service has a price for each cycle; customers subscribe to it."
            " One-off items are charged once."
        ),
    ),
    no_match=N_("No product matches"),
    table=Product,
    into=ProductItem,
    select=ITEM,
    given=lambda scope: {"list_today": scope.today()},
    sort="place",
    search=product_search,
    choices=product_choices,
    link=lambda row: f"/products/{row.id}",
    name_of=lambda row: row.name,
    columns=(
        ListColumn(key="name", label=N_("Name"), expr="product.name_key", keyed=True, field="name", cls=WIDE),
        ListColumn(key="code", label=N_("Code"), expr="product.code", cls="t-mono t-nowrap"),
        ListColumn(key="kind", label=N_("Kind"), expr="product.kind", kind="choice", role="c-meta"),
        ListColumn(
            key="group",
            label=N_("Group"),
            expr="coalesce(product.group_id, 0)",
            by="coalesce(list_group.position, 100001) * 10000000000 + coalesce(product.group_id, 0)",
            join=GROUP,
            kind="choice",
            field="group_name",
        ),
        ListColumn(
            key="prices",
            label=N_("Prices"),
            kind="amount",
            load=_load_prices,
            role="c-amount",
            cls="t-num t-nowrap",
            cell=_no_price,
        ),
        ListColumn(key="setup", label=N_("Set-up"), kind="amount", load=_load_prices),
        ListColumn(
            key="trial",
            label=N_("Test time"),
            expr="product.trial_days",
            kind="number",
            field="trial_days",
            cls="t-num t-nowrap",
            cell=_trial,
        ),
        ListColumn(key="tax", label=N_("Tax"), expr="product.tax_category", kind="choice", field="tax_category"),
        ListColumn(
            key="state",
            label=N_("State"),
            expr="product.id",
            kind="choice",
            sorts=False,
            role="c-status",
            value=lambda row: _(STATES[row.state]),
            cell=_sold,
        ),
        ListColumn(
            key="sold_from",
            label=N_("Sold from"),
            expr="product.available_from",
            by=f"coalesce(product.available_from, {EARLIEST})",
            kind="date",
            field="available_from",
            shown=False,
        ),
        ListColumn(
            key="sold_to",
            label=N_("No longer from"),
            expr="product.available_to",
            by=f"coalesce(product.available_to, {LATEST})",
            kind="date",
            field="available_to",
            shown=False,
        ),
        ListColumn(key="rank", label=N_("Rank in its group"), expr="product.rank", kind="number", shown=False),
        ListColumn(
            key="place",
            label=N_("Place in lists"),
            expr="product.position",
            by=PLACE,
            join=GROUP,
            kind="number",
            field="position",
            shown=False,
        ),
        ListColumn(key="id", label=N_("Id"), expr="product.id", kind="number", shown=False),
        ListColumn(key="on", label=N_("Sold on"), expr="product.id", kind="choice", sorts=False, drawn=False),
    ),
)


# -- bundles ----------------------------------------------------------------------------------------------------------


async def bundle_choices(scope: Scope, address: Mapping[str, str]) -> Choices:
    """What columns of choices can be filtered by."""
    today = {"list_today": scope.today()}
    return {"state": [ListChoice(key, label, sql=sql, values=today) for key, (label, sql) in BUNDLE_STATES.items()]}


def bundle_search(typed: str) -> Condition | None:
    """By any part of the name, of the code, or of the name of a product in it."""
    key = sort_key(typed)
    if not key:
        return None
    like = "ILIKE" if dialect() == "postgresql" else "LIKE"
    return Condition(
        f"bundle.name {like} :bundle_typed ESCAPE '~' OR bundle.code LIKE :bundle_with ESCAPE '~'"
        " OR bundle.id IN (SELECT found_member.bundle_id FROM bundle_member found_member"
        " JOIN product found_product ON found_product.id = found_member.product_id"
        " WHERE found_product.name_key LIKE :bundle_with ESCAPE '~')",
        {"bundle_typed": _with(typed), "bundle_with": _with(key)},
    )


async def _load_parts(scope: Scope, bundle_ids: Sequence[int], keys: Sequence[str]) -> Loaded:
    """The products in them, and what they cost today in the tenant's currency."""
    today, currency = scope.today(), scope.tenant.currency
    found = await bundles.get_bundles(bundle_ids)
    return Loaded(
        {
            "products": {
                one.id: ", ".join(_counted(each.product, each.quantity_e6) for each in one.members) for one in found
            },
            "prices": {
                one.id: pages.prices_in_words(
                    each for each in one.prices if each.holds_on(today) and each.currency == currency
                )
                for one in found
            },
            "state": {one.id: pages.bundle_pill(one, today).label for one in found},
        }
    )


def _counted(name: str, quantity_e6: int) -> str:
    return name if quantity_e6 == 10**6 else f"{figures(decimal_text(quantity_e6, 6))} × {name}"


def _bundle_state(row: BundleDetail, given: Given) -> Markup:
    shown = pages.bundle_pill(row, given.scope.today())
    return pill(shown.label, shown.kind)


BUNDLES: Final = Listing(
    key="bundles",
    href="/products/bundles",
    permission="catalog.view",
    title=N_("Bundles"),
    noun="bundle",
    placeholder=N_("Name, code or product"),
    none=(
        N_("No bundles yet"),
        N_(
            "A bundle is several products, sold under one name at a price of its own: a plan with modules and services."
        ),
    ),
    no_match=N_("No bundle matches"),
    table=Bundle,
    into=BundleDetail,
    select=BUNDLE,
    sort="place,name",
    search=bundle_search,
    choices=bundle_choices,
    link=lambda row: f"/products/bundles/{row.id}",
    name_of=lambda row: row.name,
    columns=(
        ListColumn(key="name", label=N_("Name"), expr="bundle.name", cls=WIDE),
        ListColumn(key="code", label=N_("Code"), expr="bundle.code", cls="t-mono t-nowrap"),
        ListColumn(key="products", label=N_("Products"), load=_load_parts, role="c-meta", cls=WIDE),
        ListColumn(
            key="prices",
            label=N_("Prices"),
            kind="amount",
            load=_load_parts,
            role="c-amount",
            cls="t-num t-nowrap",
            cell=_no_price,
        ),
        ListColumn(
            key="state",
            label=N_("State"),
            expr="bundle.id",
            kind="choice",
            sorts=False,
            role="c-status",
            load=_load_parts,
            cell=_bundle_state,
        ),
        ListColumn(
            key="sold_from",
            label=N_("Sold from"),
            expr="bundle.available_from",
            by=f"coalesce(bundle.available_from, {EARLIEST})",
            kind="date",
            field="available_from",
            shown=False,
        ),
        ListColumn(
            key="sold_to",
            label=N_("No longer from"),
            expr="bundle.available_to",
            by=f"coalesce(bundle.available_to, {LATEST})",
            kind="date",
            field="available_to",
            shown=False,
        ),
        ListColumn(
            key="place",
            label=N_("Place in lists"),
            expr="bundle.position",
            kind="number",
            field="position",
            shown=False,
        ),
        ListColumn(key="id", label=N_("Id"), expr="bundle.id", kind="number", shown=False),
    ),
)
