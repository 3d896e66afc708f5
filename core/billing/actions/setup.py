"""Who sells and how documents are numbered: made of the company's settings when billing begins, then edited."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct
from stdnum import bic, iban

from core.activity.unit import record, unit_of_work
from core.billing.events import NumberSeriesChanged, SellerChanged
from core.billing.layout import kept, load_layout
from core.billing.numbering import check_pattern
from core.billing.settings import BillingSettings
from core.catalog.actions import propose_rates
from core.catalog.rates import EU
from core.catalog.tax_names import TaxSettings, named
from core.database import execute, row, value
from core.documents.words import VAT
from core.errors import Conflict, FieldError, Invalid, NotFound, Stale
from core.ledger.accounts import MAIN_BOOK
from core.settings.company import CompanySettings
from core.settings.queries import load_settings, stored_of
from core.texts import _

if TYPE_CHECKING:
    from core.billing.schemas import SellerFields
    from core.scope import Scope


class Seller(Struct, frozen=True):
    """The seller as documents state it, and what decides their tax."""

    id: int
    code: str
    name: str
    street: str
    zip: str
    city: str
    country: str
    vat_id: str
    tax_number: str
    registration: str
    email: str
    phone: str
    website: str
    bank_name: str
    iban: str
    bic: str
    footer: str
    oss: bool
    book_id: int
    version: int


_SELLER = f"SELECT {', '.join(Seller.__struct_fields__)} FROM seller"
_ON_DOCUMENTS = (
    "name",
    "street",
    "zip",
    "city",
    "country",
    "vat_id",
    "tax_number",
    "registration",
    "email",
    "phone",
    "website",
    "bank_name",
    "iban",
    "bic",
    "footer",
)
PATTERNS = {"invoice": "{YYYY}-{seq:06}", "credit_note": "CN-{YYYY}-{seq:06}", "proforma": "PF-{YYYY}-{seq:06}"}


async def default_seller(scope: Scope) -> Seller:
    """The tenant itself.

    The first time it is asked for, it is made: from the company's settings, with number series.
    """
    found = await row(Seller, f"{_SELLER} WHERE is_default")
    if found is not None:
        return found
    async with unit_of_work(scope):
        await execute("SELECT 1 FROM book WHERE id = :id FOR UPDATE", id=MAIN_BOOK)
        found = await row(Seller, f"{_SELLER} WHERE is_default")
        if found is None:
            await _open(scope)
            found = await row(Seller, f"{_SELLER} WHERE is_default")
    assert found is not None
    return found


async def _open(scope: Scope) -> None:
    tenant = scope.tenant
    try:
        company = await load_settings(CompanySettings)
    except msgspec.ValidationError:
        company = CompanySettings(name=tenant.name, country=tenant.country)
    country = tenant.country or company.country
    seller_id = int(
        await value(
            "INSERT INTO seller (code, name, street, zip, city, country, vat_id, email, phone, website, book_id,"
            " is_default)"
            " VALUES ('main', :name, :street, :zip, :city, :country, :vat_id, :email, :phone, :website, :book_id, TRUE)"
            " RETURNING id",
            name=company.name or tenant.name,
            street=company.street,
            zip=company.zip,
            city=company.city,
            country=country,
            vat_id=company.vat_id,
            email=company.email,
            phone=company.phone,
            website=tenant.address,
            book_id=MAIN_BOOK,
        )
    )
    for kind, pattern in PATTERNS.items():
        await execute(
            "INSERT INTO number_series (kind, seller_id, book_id, pattern, reset)"
            " VALUES (:kind, :seller_id, :book_id, :pattern, 'yearly')",
            kind=kind,
            seller_id=seller_id,
            book_id=MAIN_BOOK,
            pattern=pattern,
        )
    await propose_rates(scope, sorted({country} | (EU if country in EU else set())))
    record(scope, SellerChanged(seller_id=seller_id), changes={"name": (None, company.name or tenant.name)})


async def get_seller(seller_id: int) -> Seller:
    found = await row(Seller, f"{_SELLER} WHERE id = :id", id=seller_id)
    if found is None:
        raise NotFound(f"seller {seller_id}")
    return found


async def snapshot_of(seller: Seller) -> int:
    """The row that says how the seller stands on documents now, and how these look; the same one as long as nothing
    changes."""
    said: dict[str, Any] = {name: getattr(seller, name) for name in _ON_DOCUMENTS}
    if (look := kept(await load_layout())) is not None:
        said["layout"] = look
    billing, taxes = await stored_of(BillingSettings, TaxSettings)
    if (rounding := billing.get("tax_rounding", "total")) != "total":
        said["tax_rounding"] = rounding
    if (tax_date := billing.get("tax_date", "end")) != "end":
        said["tax_date"] = tax_date
    if (inclusive := billing.get("inclusive_prices", "gross")) != "gross":
        said["inclusive_prices"] = inclusive
    if (tax := named(seller.country, msgspec.convert(taxes, TaxSettings))) != VAT:
        said["tax"] = msgspec.to_builtins(tax)
    text = msgspec.json.encode(said).decode()
    digest = hashlib.sha256(text.encode()).hexdigest()
    known = await value(
        "SELECT id FROM seller_snapshot WHERE seller_id = :id AND digest = :digest", id=seller.id, digest=digest
    )
    if known is None:
        await execute(
            "INSERT INTO seller_snapshot (seller_id, digest, snapshot) VALUES (:id, :digest, :text)"
            " ON CONFLICT (seller_id, digest) DO NOTHING",
            id=seller.id,
            digest=digest,
            text=text,
        )
        known = await value(
            "SELECT id FROM seller_snapshot WHERE seller_id = :id AND digest = :digest", id=seller.id, digest=digest
        )
    return int(known)


def _fault(name: str, text: str) -> FieldError | None:
    """What is printed on every document is proven where that can be done; what is there already stays."""
    if name == "iban" and text and not iban.is_valid(text):
        return FieldError(name, _("“%(text)s” is no IBAN. Check its letters and digits.", text=text))
    if name == "bic" and text and not bic.is_valid(text):
        return FieldError(name, _("“%(text)s” is no BIC. It has 8 or 11 letters and digits.", text=text))
    if name == "email" and text and not _EMAIL.fullmatch(text):
        return FieldError(name, _("“%(email)s” is no e-mail address.", email=text))
    return None


_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


async def change_seller(scope: Scope, seller_id: int, data: SellerFields, *, version: int) -> int:
    """Save how the seller stands on documents to come; gives the new version. Issued ones keep what they say."""
    async with unit_of_work(scope):
        now = await get_seller(seller_id)
        fields = {name: getattr(data, name) for name in data.__struct_fields__}
        changes = {name: (getattr(now, name), new) for name, new in fields.items() if getattr(now, name) != new}
        if not changes:
            return now.version
        if now.version != version:
            raise Stale(fields=changes)
        if faults := [fault for name in changes if (fault := _fault(name, fields[name])) is not None]:
            raise Invalid(errors=faults)
        await execute(
            f"UPDATE seller SET {', '.join(f'{name} = :{name}' for name in fields)}, version = version + 1"
            " WHERE id = :id",
            id=seller_id,
            **fields,
        )
        if "country" in changes:
            await propose_rates(scope, [data.country])
        record(scope, SellerChanged(seller_id=seller_id), changes=changes)
        return now.version + 1


async def change_series(scope: Scope, kind: str, *, pattern: str, reset: str, seller_id: int | None = None) -> None:
    """How the documents of a kind are numbered from now on. The count goes on; a number is never given twice."""
    async with unit_of_work(scope):
        check_pattern(pattern, reset)
        seller = await default_seller(scope) if seller_id is None else await get_seller(seller_id)
        series_id = await value(
            "SELECT id FROM number_series WHERE kind = :kind AND seller_id = :seller FOR UPDATE",
            kind=kind,
            seller=seller.id,
        )
        if series_id is None:
            raise NotFound(f"number series {kind} of seller {seller.id}")
        old = await value("SELECT pattern FROM number_series WHERE id = :id", id=series_id)
        old_reset = await value("SELECT reset FROM number_series WHERE id = :id", id=series_id)
        both = {"pattern": (old, pattern), "reset": (old_reset, reset)}
        changes = {name: each for name, each in both.items() if each[0] != each[1]}
        if not changes:
            return
        if "reset" in changes and await value(
            "SELECT 1 FROM number_counter WHERE series_id = :id LIMIT 1", id=series_id
        ):
            raise Conflict(_("When the count begins anew cannot be changed once numbers were given."))
        await execute(
            "UPDATE number_series SET pattern = :pattern, reset = :reset WHERE id = :id",
            id=series_id,
            pattern=pattern,
            reset=reset,
        )
        record(scope, NumberSeriesChanged(number_series_id=int(series_id)), changes=changes)
