"""Bundles: products sold together under one name, at a price of their own by cycle and currency (P18)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from core.activity.unit import record, unit_of_work
from core.catalog.events import BundleChanged, BundleCreated, BundlePriceSet
from core.catalog.queries import get_product
from core.catalog.schemas import AmountMinor, Code, Currency, CycleUnit, LongText, Name
from core.database import execute, execute_many, row, rows, value
from core.errors import FieldError, Invalid, NotFound, Stale
from core.ids import Id
from core.money import check_currency
from core.periods import Cycle
from core.texts import N_, _

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core.catalog.schemas import ProductDetail
    from core.scope import Scope

FEWEST = 2
MOST = 20


class NewMember(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A product of a bundle: how many of it are in one bundle, and its weight where shares are by weights."""

    product_id: Id
    quantity_e6: Annotated[int, Meta(ge=1, le=10**9, description=N_("Quantity × 1,000,000"))] = 1_000_000
    weight: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class NewBundlePrice(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What one bundle costs for a cycle from a day on (None: today); the one before ends then. Who has it keeps his."""

    cycle_unit: CycleUnit
    cycle_count: Annotated[int, Meta(ge=1, le=1096)] = 1
    amount_minor: AmountMinor
    setup_minor: AmountMinor = 0
    termination_minor: AmountMinor = 0
    currency: Currency | None = None
    tax_inclusive: bool = False
    valid_from: date | None = None


class BundleFields(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What can be changed about a bundle. Customers who have it keep what they agreed.

    The first product leads: its contract binds the whole. `shares`: the price is shared by the products' own prices, or
    by the weights that are stated.
    """

    name: Name
    description: LongText = ""
    members: Annotated[list[NewMember], Meta(min_length=FEWEST, max_length=MOST)]
    shares: Literal["prices", "weights"] = "prices"
    available_from: date | None = None
    available_to: date | None = None
    position: Annotated[int, Meta(ge=0, le=100_000)] = 0


class NewBundle(BundleFields, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A new bundle with its first prices."""

    code: Code
    prices: Annotated[list[NewBundlePrice], Meta(max_length=50)] = []


class BundleMember(Struct, frozen=True):
    """A product of a bundle."""

    bundle_id: int
    product_id: int
    product: str
    product_code: str
    kind: str
    activation: str
    tax_category: str
    quantity_e6: int
    weight: int


class BundlePrice(Struct, frozen=True):
    """A price of a bundle. `rate_e10`: of the rate by which it was turned into another currency."""

    id: int
    bundle_id: int
    currency: str
    cycle_unit: str
    cycle_count: int
    amount_minor: int
    setup_minor: int
    termination_minor: int
    tax_inclusive: bool
    valid_from: date
    valid_to: date | None
    rate_e10: int | None = None

    def holds_on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or self.valid_to > day)


class BundleDetail(Struct, frozen=True, kw_only=True):
    """A bundle with its products, the leading one first, and all its prices, the newest of each cycle first."""

    id: int
    code: str
    name: str
    description: str
    shares: str
    available_from: date | None
    available_to: date | None
    position: int
    version: int
    members: list[BundleMember] = []
    prices: list[BundlePrice] = []

    def is_sold_on(self, day: date) -> bool:
        return (self.available_from is None or self.available_from <= day) and (
            self.available_to is None or self.available_to > day
        )


BUNDLE = "SELECT id, code, name, description, shares, available_from, available_to, position, version FROM bundle"
_MEMBERS = (
    "SELECT m.bundle_id, m.product_id, p.name AS product, p.code AS product_code, p.kind, p.activation,"
    " p.tax_category, m.quantity_e6, m.weight FROM bundle_member m JOIN product p ON p.id = m.product_id"
)
_PRICES = (
    "SELECT id, bundle_id, currency, cycle_unit, cycle_count, amount_minor, setup_minor, termination_minor,"
    " tax_inclusive, valid_from, valid_to FROM bundle_price"
)
_SHORTEST_FIRST = (
    "CASE cycle_unit WHEN 'day' THEN 1 WHEN 'week' THEN 2 WHEN 'month' THEN 3 ELSE 4 END, cycle_count, valid_from DESC"
)


async def list_bundles() -> list[BundleDetail]:
    """All of them, in their order."""
    return await whole(await rows(BundleDetail, f"{BUNDLE} ORDER BY position, name, id"))


async def get_bundles(bundle_ids: Sequence[int]) -> list[BundleDetail]:
    """Those of these ids that there are, in any order."""
    return await whole(await rows(BundleDetail, f"{BUNDLE} WHERE id IN :ids", ids=list(bundle_ids)))


async def get_bundle(bundle_id: int) -> BundleDetail:
    found = await get_bundles([bundle_id])
    if not found:
        raise NotFound(f"bundle {bundle_id}")
    return found[0]


async def get_bundle_price(price_id: int) -> BundlePrice:
    found = await row(BundlePrice, f"{_PRICES} WHERE id = :id", id=price_id)
    if found is None:
        raise NotFound(f"price {price_id} of a bundle")
    return found


async def whole(found: Sequence[BundleDetail]) -> list[BundleDetail]:
    """With their products and prices."""
    if not found:
        return []
    ids = [each.id for each in found]
    members = await rows(
        BundleMember, f"{_MEMBERS} WHERE m.bundle_id IN :ids ORDER BY m.bundle_id, m.position", ids=ids
    )
    prices = await rows(
        BundlePrice, f"{_PRICES} WHERE bundle_id IN :ids ORDER BY bundle_id, currency, {_SHORTEST_FIRST}", ids=ids
    )
    return [
        msgspec.structs.replace(
            each,
            members=[one for one in members if one.bundle_id == each.id],
            prices=[one for one in prices if one.bundle_id == each.id],
        )
        for each in found
    ]


async def create_bundle(scope: Scope, data: NewBundle) -> int:
    """A bundle with its products and first prices; gives its id."""
    async with unit_of_work(scope):
        await _check(data)
        columns = _columns(data)
        bundle_id = await value(
            f"INSERT INTO bundle (code, {', '.join(columns)}) VALUES (:code,"
            f" {', '.join(':' + name for name in columns)}) ON CONFLICT (code) DO NOTHING RETURNING id",
            code=data.code,
            **columns,
        )
        if bundle_id is None:
            raise Invalid(_("A bundle with this code exists already."), field="code")
        await _write_members(bundle_id, data.members)
        record(
            scope,
            BundleCreated(bundle_id=bundle_id),
            changes={"code": (None, data.code), "name": (None, data.name)},
        )
        for price in data.prices:
            await set_bundle_price(scope, bundle_id, price)
        return int(bundle_id)


async def change_bundle(scope: Scope, bundle_id: int, data: BundleFields, *, version: int) -> int:
    """Save a bundle; gives the new version. Raises Stale when somebody else saved it meanwhile."""
    async with unit_of_work(scope):
        await value("SELECT 1 FROM bundle WHERE id = :id FOR UPDATE", id=bundle_id)
        now = await get_bundle(bundle_id)
        await _check(data)
        wanted = _columns(data)
        changes: dict[str, tuple[Any, Any]] = {
            name: (getattr(now, name), new) for name, new in wanted.items() if getattr(now, name) != new
        }
        before = [
            NewMember(product_id=each.product_id, quantity_e6=each.quantity_e6, weight=each.weight)
            for each in now.members
        ]
        if before != data.members:
            changes["products"] = (_told(before), _told(data.members))
        if now.version != version and changes:
            raise Stale(fields=changes)
        if not changes:
            return now.version
        await execute(
            f"UPDATE bundle SET {', '.join(f'{name} = :{name}' for name in wanted)}, version = version + 1"
            " WHERE id = :id",
            id=bundle_id,
            **wanted,
        )
        if before != data.members:
            await execute("DELETE FROM bundle_member WHERE bundle_id = :id", id=bundle_id)
            await _write_members(bundle_id, data.members)
        record(scope, BundleChanged(bundle_id=bundle_id), changes=changes)
        return now.version + 1


def _columns(data: BundleFields) -> dict[str, Any]:
    names = ("name", "description", "shares", "available_from", "available_to", "position")
    return {name: getattr(data, name) for name in names}


def _told(members: Sequence[NewMember]) -> str:
    return ", ".join(f"{each.quantity_e6 / 10**6:g} × {each.product_id}" for each in members)


async def _write_members(bundle_id: int, members: Sequence[NewMember]) -> None:
    await execute_many(
        "INSERT INTO bundle_member (bundle_id, position, product_id, quantity_e6, weight)"
        " VALUES (:bundle_id, :position, :product_id, :quantity, :weight)",
        [
            {
                "bundle_id": bundle_id,
                "position": position,
                "product_id": each.product_id,
                "quantity": each.quantity_e6,
                "weight": each.weight,
            }
            for position, each in enumerate(members, start=1)
        ],
    )


async def _check(data: BundleFields) -> None:
    errors: list[FieldError] = []
    ids = [each.product_id for each in data.members]
    if len(set(ids)) != len(ids):
        errors.append(FieldError("members", _("Each product stands in a bundle once: its quantity says how many.")))
    if data.shares == "weights" and not all(each.weight for each in data.members):
        errors.append(FieldError("members", _("State a weight for each product.")))
    if data.available_from and data.available_to and data.available_to <= data.available_from:
        errors.append(FieldError("available_to", _("It must lie after the first day.")))
    found = [await _product(each) for each in ids]
    known = [each for each in found if each is not None]
    if len(known) != len(found):
        errors.append(FieldError("members", _("Choose products of the list.")))
    elif (told := why_not_together(known)) and not errors:
        errors.append(FieldError("members", told))
    if errors:
        raise Invalid(errors=errors)


async def _product(product_id: int) -> ProductDetail | None:
    try:
        return await get_product(product_id)
    except NotFound:
        return None


def why_not_together(products: Sequence[ProductDetail]) -> str:
    """Why these products cannot be billed as one; empty where they can. The first leads."""
    lead = products[0]
    taken: dict[int, str] = {}
    for each in products:
        if each.kind == "one_off":
            return _("%(name)s is sold once: a bundle is subscribed.", name=each.name)
        if each.timing == "prepaid":
            return _("%(name)s is paid from the balance, which pays for each by itself.", name=each.name)
        if (each.timing, each.proration, each.final_proration) != (lead.timing, lead.proration, lead.final_proration):
            return _(
                "%(name)s is not billed as %(lead)s is: in advance or in arrears, and part periods alike.",
                name=each.name,
                lead=lead.name,
            )
        if each.one_live and each.group_id is not None:
            if each.group_id in taken:
                return _(
                    "%(name)s and %(other)s: a customer has one of %(group)s at a time.",
                    name=taken[each.group_id],
                    other=each.name,
                    group=each.group_name,
                )
            taken[each.group_id] = each.name
    return ""


async def set_bundle_price(scope: Scope, bundle_id: int, data: NewBundlePrice) -> int:
    """The price of a cycle and currency from a day on; the one before ends then. Customers keep what they agreed."""
    async with unit_of_work(scope):
        if not await value("SELECT 1 FROM bundle WHERE id = :id FOR UPDATE", id=bundle_id):
            raise NotFound(f"bundle {bundle_id}")
        Cycle(data.cycle_unit, data.cycle_count)
        valid_from = data.valid_from or scope.today()
        key = {
            "bundle_id": bundle_id,
            "currency": check_currency(data.currency or scope.tenant.currency),
            "cycle_unit": data.cycle_unit,
            "cycle_count": data.cycle_count,
        }
        same = " AND ".join(f"{name} = :{name}" for name in key)
        following = await value(
            f"SELECT min(valid_from) FROM bundle_price WHERE {same} AND valid_from > :day", day=valid_from, **key
        )
        await execute(
            f"UPDATE bundle_price SET valid_to = :day WHERE {same} AND valid_from < :day"
            " AND (valid_to IS NULL OR valid_to > :day)",
            day=valid_from,
            **key,
        )
        amounts = ("amount_minor", "setup_minor", "termination_minor", "tax_inclusive")
        price_id = int(
            await value(
                f"INSERT INTO bundle_price ({', '.join(key)}, {', '.join(amounts)}, valid_from, valid_to)"
                f" VALUES ({', '.join(f':{name}' for name in (*key, *amounts))}, :day, :until)"
                " ON CONFLICT (bundle_id, currency, cycle_unit, cycle_count, valid_from) DO UPDATE SET"
                f" {', '.join(f'{name} = excluded.{name}' for name in amounts)}, valid_to = excluded.valid_to"
                " RETURNING id",
                day=valid_from,
                until=following,
                **key,
                **{name: getattr(data, name) for name in amounts},
            )
        )
        record(
            scope,
            BundlePriceSet(bundle_id=bundle_id, price_id=price_id),
            changes={f"price {data.cycle_count} {data.cycle_unit} {key['currency']}": (None, data.amount_minor)},
        )
        return price_id


async def withdraw_bundle_price(scope: Scope, price_id: int) -> None:
    """A price is offered no longer, from today on."""
    async with unit_of_work(scope):
        price = await get_bundle_price(price_id)
        until = max(scope.today(), price.valid_from + timedelta(days=1))
        await execute("UPDATE bundle_price SET valid_to = :day WHERE id = :id", day=until, id=price_id)
        record(
            scope,
            BundlePriceSet(bundle_id=price.bundle_id, price_id=price_id),
            changes={"valid_to": (price.valid_to, until)},
        )
