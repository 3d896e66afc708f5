"""Creating and changing what is sold. Nothing here changes what is already subscribed."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING

import msgspec

from core.activity.unit import record, unit_of_work
from core.catalog import queries
from core.catalog.events import (
    PriceSet,
    ProductChanged,
    ProductCreated,
    ProductGroupCreated,
    TaxCategoryCreated,
    TaxRateSet,
)
from core.catalog.rates import SINCE, proposed
from core.catalog.schemas import Direction, ProductFields
from core.database import execute, execute_many, value
from core.errors import FieldError, Invalid, NotFound, Stale
from core.ids import sort_key
from core.money import check_currency
from core.periods import Cycle
from core.texts import _, pgettext

if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.catalog.schemas import ChangePolicy, NewGroup, NewPrice, NewProduct, NewTaxCategory, NewTaxRate
    from core.scope import Scope

_GROUP_OF_KIND = {"plan": "plans", "module": "modules", "service": "services"}


async def create_group(scope: Scope, data: NewGroup) -> int:
    """A group of products; `one_live` allows a customer one of them at a time."""
    async with unit_of_work(scope):
        group_id = await value(
            "INSERT INTO product_group (code, name, one_live, position) VALUES (:code, :name, :one_live, :position)"
            " ON CONFLICT (code) DO NOTHING RETURNING id",
            code=data.code,
            name=data.name,
            one_live=data.one_live,
            position=data.position,
        )
        if group_id is None:
            raise Invalid(_("A group with this code exists already."), field="code")
        record(scope, ProductGroupCreated(product_group_id=group_id), changes={"name": (None, data.name)})
        return int(group_id)


async def create_product(scope: Scope, data: NewProduct) -> int:
    """A product with its first prices; gives its id."""
    async with unit_of_work(scope):
        if data.code is not None and await queries.find_product_by_code(data.code) is not None:
            raise Invalid(_("A product with this code exists already."), field="code")
        await _check(data)
        group_id = data.group_id
        if group_id is None and data.kind in _GROUP_OF_KIND:
            group_id = await value("SELECT id FROM product_group WHERE code = :code", code=_GROUP_OF_KIND[data.kind])
        elif group_id is not None and not await value("SELECT 1 FROM product_group WHERE id = :id", id=group_id):
            raise Invalid(_("Choose a group of the list."), field="group_id")
        fields = _columns(data)
        names = ("code", "kind", "group_id", *fields)
        code, product_id = "", None
        while product_id is None:  # until nobody else takes the code in the same moment
            code = data.code or await _code_of(data.name)
            product_id = await value(
                f"INSERT INTO product ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})"
                " ON CONFLICT (code) DO NOTHING RETURNING id",
                code=code,
                kind=data.kind,
                group_id=group_id,
                **fields,
            )
            if product_id is None and data.code is not None:
                raise Invalid(_("A product with this code exists already."), field="code")
        record(
            scope,
            ProductCreated(product_id=product_id),
            changes={"code": (None, code), "name": (None, data.name), "kind": (None, data.kind)},
        )
        for price in data.prices:
            await set_price(scope, product_id, price)
        return int(product_id)


async def _code_of(name: str) -> str:
    """The first code like the name that no product has."""
    plain = re.sub("[^a-z0-9]+", "-", sort_key(name)).strip("-")[:50].rstrip("-") or "product"
    for time in count(1):
        code = plain if time == 1 else f"{plain}-{time}"
        if await queries.find_product_by_code(code) is None:
            return code
    raise AssertionError("count() does not end")


async def change_product(scope: Scope, product_id: int, data: ProductFields, *, version: int) -> int:
    """Save a product's fields; gives the new version. Raises Stale when somebody else saved it meanwhile."""
    async with unit_of_work(scope):
        now = await queries.get_product(product_id)
        await _check(data)
        changes = {
            name: (getattr(now, name), getattr(data, name))
            for name in ProductFields.__struct_fields__
            if getattr(now, name) != getattr(data, name)
        }
        if now.version != version and changes:
            raise Stale(fields=changes)
        if not changes:
            return now.version
        fields = _columns(data)
        await execute(
            f"UPDATE product SET {', '.join(f'{name} = :{name}' for name in fields)}, version = version + 1"
            " WHERE id = :id",
            id=product_id,
            **fields,
        )
        record(scope, ProductChanged(product_id=product_id), changes=changes)
        return now.version + 1


async def set_change_policy(scope: Scope, product_id: int, policy: ChangePolicy, *, version: int) -> int:
    """How its subscriptions are changed from now on; gives the new version. What is planned stays as it was agreed."""
    async with unit_of_work(scope):
        now = await queries.get_product(product_id)
        before, after = _flat(await queries.get_change_policy(product_id)), _flat(policy)
        changes = {name: (before[name], after[name]) for name in after if before[name] != after[name]}
        if now.version != version and changes:
            raise Stale(fields=changes)
        if not changes:
            return now.version
        await execute(
            "UPDATE product SET change_policy = :policy, version = version + 1 WHERE id = :id",
            id=product_id,
            policy=msgspec.json.encode(policy).decode(),
        )
        record(scope, ProductChanged(product_id=product_id), changes=changes)
        return now.version + 1


def _flat(policy: ChangePolicy) -> dict[str, object]:
    """By the names of its fields on the page: upgrade_when, downgrade_fee_minor, setup."""
    found: dict[str, object] = {}
    for name, held in msgspec.structs.asdict(policy).items():
        if isinstance(held, Direction):
            found |= {f"{name}_{each}": said for each, said in msgspec.structs.asdict(held).items()}
        else:
            found[name] = held
    return found


def _columns(data: ProductFields) -> dict[str, object]:
    return {name: getattr(data, name) for name in ProductFields.__struct_fields__} | {"name_key": sort_key(data.name)}


async def _check(data: ProductFields) -> None:
    errors: list[FieldError] = []
    if not await value("SELECT 1 FROM tax_category WHERE code = :code", code=data.tax_category):
        errors.append(FieldError("tax_category", _("Choose a tax category of the list.")))
    if (data.min_term_unit is None) != (data.min_term_count is None):
        errors.append(FieldError("min_term_count", _("A minimum term needs a number and a unit.")))
    if (data.renew_unit is None) != (data.renew_count is None):
        errors.append(FieldError("renew_count", _("A renewal needs a number and a unit.")))
    if data.renew_unit is not None and data.min_term_unit is None:
        errors.append(FieldError("renew_count", _("Only a contract with a minimum term renews.")))
    if data.available_from and data.available_to and data.available_to <= data.available_from:
        errors.append(FieldError("available_to", _("It must lie after the first day.")))
    if data.requires_group_id is not None and not await value(
        "SELECT 1 FROM product_group WHERE id = :id", id=data.requires_group_id
    ):
        errors.append(FieldError("requires_group_id", _("Choose a group of the list.")))
    if errors:
        raise Invalid(errors=errors)


async def set_price(scope: Scope, product_id: int, data: NewPrice) -> int:
    """The price of a cycle and currency from a day on; the one before ends then.

    Subscriptions keep what they agreed.
    """
    async with unit_of_work(scope):
        kind = await value("SELECT kind FROM product WHERE id = :id FOR UPDATE", id=product_id)
        if kind is None:
            raise NotFound(f"product {product_id}")
        if (data.cycle_unit == "once") != (kind == "one_off"):
            once = _("This does not fit: a one-off item is priced once.")
            cycle = _("This does not fit: what is subscribed is priced by a cycle.")
            raise Invalid(once if kind == "one_off" else cycle, field="cycle_unit")
        if data.cycle_unit != "once":
            Cycle(data.cycle_unit, data.cycle_count)
        elif data.cycle_count != 1:
            raise Invalid(_("What is sold once has no number of cycles."), field="cycle_count")
        if (data.intro_minor is None) != (data.intro_cycles is None):
            raise Invalid(_("An introductory price holds for a number of cycles."), field="intro_cycles")
        if data.intro_minor is not None and (data.intro_minor > data.amount_minor or data.cycle_unit == "once"):
            raise Invalid(_("An introductory price is of a cycle, and lower than the price."), field="intro_minor")
        currency = check_currency(data.currency or scope.tenant.currency)
        price_list_id = data.price_list_id or await value("SELECT id FROM price_list WHERE is_default")
        if not await value("SELECT 1 FROM price_list WHERE id = :id", id=price_list_id):
            raise Invalid(_("Choose a price list."), field="price_list_id")
        valid_from = data.valid_from or scope.today()
        key = {
            "product_id": product_id,
            "price_list_id": price_list_id,
            "currency": currency,
            "cycle_unit": data.cycle_unit,
            "cycle_count": data.cycle_count,
        }
        same = " AND ".join(f"{name} = :{name}" for name in key)
        following = await value(
            f"SELECT valid_from FROM price WHERE {same} AND valid_from > :day ORDER BY valid_from LIMIT 1",
            day=valid_from,
            **key,
        )
        await execute(
            f"UPDATE price SET valid_to = :day WHERE {same} AND valid_from < :day AND (valid_to IS NULL"
            " OR valid_to > :day)",
            day=valid_from,
            **key,
        )
        price_id = int(
            await value(
                f"INSERT INTO price ({', '.join(key)}, amount_minor, setup_minor, termination_minor, intro_minor,"
                " intro_cycles, tax_inclusive, valid_from, valid_to)"
                f" VALUES ({', '.join(':' + name for name in key)}, :amount, :setup, :termination, :intro,"
                " :intro_cycles, :inclusive, :day, :until)"
                " ON CONFLICT (product_id, price_list_id, currency, cycle_unit, cycle_count, valid_from) DO UPDATE SET"
                " amount_minor = excluded.amount_minor, setup_minor = excluded.setup_minor,"
                " termination_minor = excluded.termination_minor, intro_minor = excluded.intro_minor,"
                " intro_cycles = excluded.intro_cycles,"
                " tax_inclusive = excluded.tax_inclusive, valid_to = excluded.valid_to RETURNING id",
                amount=data.amount_minor,
                setup=data.setup_minor,
                termination=data.termination_minor,
                intro=data.intro_minor,
                intro_cycles=data.intro_cycles,
                inclusive=data.tax_inclusive,
                day=valid_from,
                until=following,
                **key,
            )
        )
        cycle = "once" if data.cycle_unit == "once" else f"{data.cycle_count} {data.cycle_unit}"
        record(
            scope,
            PriceSet(product_id=product_id, price_id=price_id),
            changes={f"price {cycle} {currency}": (None, data.amount_minor)},
        )
        return price_id


async def withdraw_price(scope: Scope, price_id: int) -> None:
    """A price is offered no longer, from today on."""
    async with unit_of_work(scope):
        price = await queries.get_price(price_id)
        until = max(scope.today(), price.valid_from + timedelta(days=1))
        await execute("UPDATE price SET valid_to = :day WHERE id = :id", day=until, id=price_id)
        record(
            scope,
            PriceSet(product_id=price.product_id, price_id=price_id),
            changes={"valid_to": (price.valid_to, until)},
        )


async def set_tax_rate(scope: Scope, data: NewTaxRate) -> int:
    """The rate of a category in a country from a day on. Issued documents keep theirs."""
    async with unit_of_work(scope):
        if not await value("SELECT 1 FROM tax_category WHERE code = :code", code=data.category):
            raise Invalid(_("Choose a tax category of the list."), field="category")
        old = await value(
            "SELECT rate_ppm FROM tax_rate WHERE country = :country AND category = :category AND valid_from = :day",
            country=data.country,
            category=data.category,
            day=data.valid_from,
        )
        rate_id = int(
            await value(
                "INSERT INTO tax_rate (country, category, valid_from, rate_ppm)"
                " VALUES (:country, :category, :day, :ppm)"
                " ON CONFLICT (country, category, valid_from) DO UPDATE SET rate_ppm = excluded.rate_ppm RETURNING id",
                country=data.country,
                category=data.category,
                day=data.valid_from,
                ppm=data.rate_ppm,
            )
        )
        record(
            scope,
            TaxRateSet(tax_rate_id=rate_id),
            changes={f"{data.country} {data.category} from {data.valid_from}": (old, data.rate_ppm)},
        )
        return rate_id


async def create_tax_category(scope: Scope, data: NewTaxCategory) -> int:
    async with unit_of_work(scope):
        category_id = await value(
            "INSERT INTO tax_category (code, name, einvoice_code, position) VALUES (:code, :name, :einvoice_code,"
            " (SELECT coalesce(max(position), 0) + 1 FROM tax_category)) ON CONFLICT (code) DO NOTHING RETURNING id",
            code=data.code,
            name=data.name,
            einvoice_code=data.einvoice_code,
        )
        if category_id is None:
            raise Invalid(_("A tax category with this code exists already."), field="code")
        record(scope, TaxCategoryCreated(tax_category_id=category_id), changes={"code": (None, data.code)})
        return int(category_id)


async def propose_rates(scope: Scope, countries: Iterable[str]) -> None:
    """Enter the proposed rates of countries that have none yet; the tenant looks them over."""
    async with unit_of_work(scope):
        for country in countries:
            for category, ppm in proposed(country).items():
                await execute(
                    "INSERT INTO tax_rate (country, category, valid_from, rate_ppm)"
                    " SELECT :country::text, :category::text, :day::date, :ppm::bigint"
                    " WHERE NOT EXISTS (SELECT 1 FROM tax_rate WHERE country = :country AND category = :category)",
                    country=country,
                    category=category,
                    day=SINCE,
                    ppm=ppm,
                )


async def name_shipped() -> None:
    """Categories of tax and groups of products as they come with the product are called so in the language that is
    spoken: for a tenant that is made."""
    categories = {
        "standard": pgettext("tax category", "Standard rate"),
        "reduced": pgettext("tax category", "Reduced rate"),
        "zero": pgettext("tax category", "Zero rate"),
        "outside": pgettext("tax category", "Outside VAT"),
    }
    groups = {
        "plans": pgettext("group of products", "Plans"),
        "modules": pgettext("group of products", "Modules"),
        "services": pgettext("group of products", "Services"),
    }
    for table, names in (("tax_category", categories), ("product_group", groups)):
        await execute_many(
            f"UPDATE {table} SET name = :said WHERE code = :code",
            [{"code": code, "said": said} for code, said in names.items()],
        )
