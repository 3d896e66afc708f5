"""Checks of VAT ids (domain.md, default 8): what VIES said of an id, when, under which number, and what follows.

The latest answer decides: valid, it counts for 90 days; not valid, tax is charged from then on. Where nobody answers
nothing is written, so the last answer goes on to count.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal

from msgspec import Meta, Struct
from stdnum.eu import vat

from core.activity.unit import record, unit_of_work
from core.billing.actions.setup import default_seller, get_seller
from core.billing.events import VatIdFoundInvalid, VatIdFoundValid
from core.billing.plan import VAT_CHECK_COUNTS, VAT_CHECK_LASTS, vat_checks_since
from core.catalog.rates import EU
from core.clock import date_in, instant_of
from core.customers.queries import get_customer
from core.database import rows, value, values
from core.errors import Conflict, FieldError, Invalid
from core.ledger.actions import EARLIEST
from core.texts import N_, _

if TYPE_CHECKING:
    from core.customers.schemas import CustomerDetail
    from core.scope import Scope

MOST_SHOWN: Final = 100

Reason = Literal[
    "no_vat_id",
    "profile",
    "payer",
    "seller_outside",
    "at_home",
    "outside_eu",
    "person",
    "not_of_a_member",
    "of_home",
    "not_checked",
    "not_valid",
    "too_old",
    "valid",
]


TOLD: Final[dict[Reason, str]] = {
    "no_vat_id": N_("The customer has no VAT id."),
    "profile": N_("Tax under Billing settings was chosen by hand: no check decides."),
    "payer": N_("Another customer pays its invoices: the VAT id of that one decides."),
    "seller_outside": N_("Reverse charge between members of the EU is for sellers in the EU."),
    "at_home": N_("The customer is at home: tax is charged whatever its VAT id."),
    "outside_eu": N_("The customer is outside the EU: no tax is charged whatever its VAT id."),
    "person": N_("The customer is a person: reverse charge is for companies."),
    "not_of_a_member": N_("“%(vat_id)s” is no VAT id of a member of the EU."),
    "of_home": N_("“%(vat_id)s” is a VAT id of your own country: reverse charge is for those of other members."),
    "not_checked": N_("The VAT id was never checked: tax is charged as to a consumer."),
    "not_valid": N_("The VAT id was found not valid: tax is charged as to a consumer."),
    "too_old": N_("The VAT id was last found valid more than 90 days ago: tax is charged as to a consumer."),
    "valid": N_("The VAT id was found valid within 90 days: the customer owes the tax itself."),
}


def told(reason: Reason, vat_id: str) -> str:
    """A reason as a sentence."""
    return _(TOLD[reason], vat_id=vat_id)


class NewVatCheck(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An answer that staff got. Without a day: today. With `vat_id` refused where the customer has another one."""

    valid: bool
    checked_on: date | None = None
    consultation: Annotated[str, Meta(max_length=60)] = ""
    vat_id: Annotated[str, Meta(max_length=60)] = ""


class VatCheckRow(Struct, frozen=True):
    """An answer about a VAT id. `source` is empty where staff noted it, else the plugin that asked; `trader_name` and
    `trader_address` are what the service told of who has the id."""

    id: int
    vat_id: str
    checked_at: datetime
    valid: bool
    consultation: str
    source: str
    trader_name: str
    trader_address: str


class VatStanding(Struct, frozen=True, kw_only=True):
    """What a customer's VAT id comes to. `free`: its invoices carry no tax because of it, now; `reason` says why or why
    not; `counts_until`: to when the last answer counts, if it is a valid one."""

    customer_id: int
    vat_id: str
    free: bool
    reason: Reason
    counts_until: datetime | None = None
    checks: list[VatCheckRow] = []
    """The latest first; those of ids that it had before stand behind."""


_ANSWER: Final = "v.id, v.vat_id, v.checked_at, v.valid, v.consultation, v.source, v.trader_name, v.trader_address"


async def standing_of(scope: Scope, customer: CustomerDetail, *, seller_id: int | None = None) -> VatStanding:
    """What the customer's VAT id comes to, with its checks: on documents of this seller, else of the tenant itself."""
    home = (await default_seller(scope) if seller_id is None else await get_seller(seller_id)).country
    checks = await rows(
        VatCheckRow,
        f"SELECT {_ANSWER} FROM customer c JOIN vat_check v ON"
        f" (v.vat_id = :vat_id AND v.vat_id <> '' AND {VAT_CHECK_COUNTS}) OR v.customer_id = c.id"
        " WHERE c.id = :id"
        " ORDER BY CASE WHEN v.vat_id = :vat_id THEN 0 ELSE 1 END, v.checked_at DESC, v.id DESC LIMIT :most",
        vat_id=customer.vat_id,
        id=customer.id,
        most=MOST_SHOWN,
    )
    last = next((each for each in checks if each.vat_id == customer.vat_id), None)
    reason = _refusal(customer, home) or _by(last, vat_checks_since(scope.now(), scope.tenant.time_zone))
    return VatStanding(
        customer_id=customer.id,
        vat_id=customer.vat_id,
        free=reason == "valid",
        reason=reason,
        counts_until=counts_until(last.checked_at, scope.tenant.time_zone) if last is not None and last.valid else None,
        checks=checks,
    )


def _refusal(customer: CustomerDetail, home: str) -> Reason | None:
    """Why no check of its VAT id decides about its tax; None where one does. As `plan.stage_lines` has it."""
    if customer.payer_id is not None and customer.payer_id != customer.id:
        return "payer"
    if customer.tax_profile != "standard":
        return "profile"
    if not customer.vat_id:
        return "no_vat_id"
    if home not in EU:
        return "seller_outside"
    if customer.country in ("", home):
        return "at_home"
    if customer.country not in EU:
        return "outside_eu"
    if customer.kind != "company":
        return "person"
    return _of_another_member(customer.vat_id, home)


def _of_another_member(vat_id: str, home: str) -> Reason | None:
    """None where the id is one of another member than the seller's, which is what VIES can be asked about."""
    country = country_of(vat_id)
    if country not in EU:
        return "not_of_a_member"
    return "of_home" if country == home else None


def country_of(vat_id: str) -> str:
    """The country that an id names, by its ISO code."""
    return "GR" if vat_id.startswith("EL") else vat_id[:2]


def _by(last: VatCheckRow | None, since: datetime) -> Reason:
    if last is None:
        return "not_checked"
    if not last.valid:
        return "not_valid"
    return "valid" if last.checked_at >= since else "too_old"


async def proof_of(document_id: int) -> VatCheckRow | None:
    """The check that took tax off an issued invoice; none where staff had chosen so."""
    (found,) = await rows(
        VatCheckRow,
        f"SELECT {_ANSWER} FROM document_vat_check p JOIN vat_check v ON v.id = p.vat_check_id"
        " WHERE p.document_id = :id",
        id=document_id,
    ) or (None,)
    return found


async def note_check(scope: Scope, customer_id: int, data: NewVatCheck) -> int:
    """Keep an answer that staff got about the customer's VAT id; gives its id. Raises Invalid naming what is wrong.

    A check of an earlier day stands at the first moment of that day.
    """
    today = scope.today()
    on = data.checked_on or today
    async with unit_of_work(scope):
        await value("SELECT id FROM customer WHERE id = :id FOR NO KEY UPDATE", id=customer_id)
        customer = await get_customer(scope, customer_id)
        errors = await _wrong_id(scope, customer)
        if data.vat_id and not errors and data.vat_id != customer.vat_id:
            another = _("The customer's VAT id is %(vat_id)s now: check that one.", vat_id=customer.vat_id)
            errors.append(FieldError("vat_id", another))
        if not EARLIEST <= on <= today:
            errors.append(FieldError("checked_on", _("Choose a day from 2000 on that is not ahead.")))
        if errors:
            raise Invalid(errors=errors)
        at = scope.now() if on == today else instant_of(on, time(), scope.tenant.time_zone)
        return await keep_check(scope, customer, at, valid=data.valid, consultation=" ".join(data.consultation.split()))


async def _wrong_id(scope: Scope, customer: CustomerDetail) -> list[FieldError]:
    """Why the customer's VAT id is none that VIES can be asked about."""
    if customer.anonymised_at is not None:
        raise Conflict(_("This customer is anonymised and stays as it is."))
    homes = await homes_in_eu(scope)
    reason: Reason | None = "no_vat_id" if not customer.vat_id else None if homes else "seller_outside"
    if reason is None:
        found = [_of_another_member(customer.vat_id, home) for home in homes]
        reason = None if None in found else found[0]
    if reason is None and not vat.is_valid(customer.vat_id):
        reason = "not_of_a_member"
    return [FieldError("vat_id", told(reason, vat_id=customer.vat_id))] if reason is not None else []


async def homes_in_eu(scope: Scope) -> list[str]:
    """The members of the EU that sellers of the tenant are in."""
    countries = await values("SELECT DISTINCT country FROM seller ORDER BY country")
    return [each for each in map(str, countries or [(await default_seller(scope)).country]) if each in EU]


async def can_be_checked(scope: Scope, customer: CustomerDetail) -> bool:
    """Whether VIES can be asked about the customer's VAT id."""
    return customer.anonymised_at is None and not await _wrong_id(scope, customer)


async def refuse_wrong_id(scope: Scope, customer: CustomerDetail) -> None:
    """Raises Invalid where VIES cannot be asked about the customer's VAT id."""
    if errors := await _wrong_id(scope, customer):
        raise Invalid(errors=errors)


async def keep_check(
    scope: Scope,
    customer: CustomerDetail,
    at: datetime,
    *,
    valid: bool,
    consultation: str,
    source: str = "",
    trader_name: str = "",
    trader_address: str = "",
) -> int:
    """Inside a unit of work: write an answer about the id that the customer has, whoever got it; gives its id."""
    check_id = int(
        await value(
            "INSERT INTO vat_check (vat_id, checked_at, valid, consultation, customer_id, source, trader_name,"
            " trader_address) VALUES (:vat_id, :at, :valid, :consultation, :customer_id, :source, :name, :address)"
            " RETURNING id",
            vat_id=customer.vat_id,
            at=at,
            valid=valid,
            consultation=consultation,
            customer_id=customer.id,
            source=source,
            name=trader_name,
            address=trader_address,
        )
    )
    found = VatIdFoundValid if valid else VatIdFoundInvalid
    record(
        scope,
        found(customer_id=customer.id),
        changes={
            "vat_id": (None, customer.vat_id),
            "checked_on": (None, date_in(at, scope.tenant.time_zone).isoformat()),
            **({"consultation_number": (None, consultation)} if consultation else {}),
        },
    )
    return check_id


def counts_until(checked_at: datetime, zone: str) -> datetime:
    """The end of the last day on which a valid check of this instant counts."""
    return instant_of(date_in(checked_at, zone) + VAT_CHECK_LASTS, time(), zone)


def last_day(until: datetime, zone: str) -> date:
    """The last day on which a check that counts until then counts."""
    return date_in(until - timedelta(microseconds=1), zone)
