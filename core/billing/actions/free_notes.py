"""A free credit note: it corrects no invoice, and is capped by what the customer was charged and not credited.

Per tax rate of the customer's documents: net at most what is uncredited, tax half up and at most the tax uncredited;
the one that brings the net to 0 takes all tax left, as a credit note over an invoice does (domain.md, Credit note).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from core.activity.unit import unit_of_work
from core.billing.actions.allocation import allocate_credit, in_base, lock_balance
from core.billing.actions.invoices import plan_for
from core.billing.actions.notes import Corrected, Left, Part, issue_note
from core.customers.tables import Customer
from core.database import row, rows, within
from core.errors import Conflict, Invalid, NotFound
from core.ledger.fx import convert, find_rate
from core.money import allocate, format_amount, half_up
from core.texts import _, speaking

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.billing.schemas import FreeCreditLine, NewFreeCreditNote
    from core.scope import Scope


class Creditable(Struct, frozen=True):
    """What a customer was charged at a rate and not credited."""

    tax_code: str
    rate_ppm: int
    tax_category: str
    tax_rate_id: int | None
    net_minor: int
    tax_minor: int


_CHARGED = """
SELECT l.tax_code, l.rate_ppm, max(l.tax_category) AS tax_category, max(l.tax_rate_id) AS tax_rate_id,
       CAST(sum(CASE WHEN d.kind = 'credit_note' THEN -l.net_minor ELSE l.net_minor END) AS bigint) AS net_minor,
       CAST(sum(CASE WHEN d.kind = 'credit_note' THEN -l.tax_minor ELSE l.tax_minor END) AS bigint) AS tax_minor
FROM document d JOIN document_line l ON l.document_id = d.id
WHERE d.payer_id = :payer AND d.currency = :currency AND d.state = 'issued' AND d.kind IN ('invoice', 'credit_note')
GROUP BY l.tax_code, l.rate_ppm
"""
_CREDITABLE = f"""{_CHARGED}
HAVING sum(CASE WHEN d.kind = 'credit_note' THEN -l.net_minor ELSE l.net_minor END) > 0
ORDER BY l.rate_ppm DESC, l.tax_code
"""


class AtRate(Struct, frozen=True):
    """Net and tax at a rate."""

    tax_code: str
    rate_ppm: int
    net_minor: int
    tax_minor: int


Rate = tuple[str, int]
"""Tax code and rate."""


class _AtRate(Struct, frozen=True):
    tax_code: str
    rate_ppm: int


async def freely_credited(payer_id: int, currency: str) -> dict[Rate, AtRate]:
    """What was charged and not credited at the rates of free credit notes: there they took part of what the invoices
    have left. At another rate an invoice never gives back more than it charged."""
    rates = await rows(
        _AtRate,
        "SELECT DISTINCT l.tax_code, l.rate_ppm FROM document d JOIN document_line l ON l.document_id = d.id"
        " WHERE d.payer_id = :payer AND d.currency = :currency AND d.kind = 'credit_note' AND d.state = 'issued'"
        " AND d.corrects_id IS NULL ORDER BY l.rate_ppm, l.tax_code",
        payer=payer_id,
        currency=currency,
    )
    if not rates:
        return {}
    charged = {
        (each.tax_code, each.rate_ppm): each for each in await rows(AtRate, _CHARGED, payer=payer_id, currency=currency)
    }
    return {(each.tax_code, each.rate_ppm): charged[each.tax_code, each.rate_ppm] for each in rates}


async def refuse_more_than_charged(invoice: Corrected, parts: Sequence[Part]) -> None:
    """What is credited of an invoice and what was credited freely are never more than was charged, at no rate."""
    await lock_balance(invoice.payer_id, invoice.currency)
    charged = await freely_credited(invoice.payer_id, invoice.currency)
    wanted = _net_by_rate(parts)
    for rate, left in charged.items():
        if wanted[rate] > (most := max(left.net_minor, 0)):
            raise Conflict(
                _(
                    "Free credit notes gave back part of it: at most %(most)s net is left of what this customer was"
                    " charged at this rate. Credit lines of it up to that, or charge the free credit note again by an"
                    " invoice first.",
                    most=format_amount(most, invoice.currency),
                )
            )


async def refuse_less_than_given_back(invoice: Corrected, parts: Sequence[Part], anew: Mapping[Rate, AtRate]) -> None:
    """An invoice that is credited in full charges `anew` at least what free credit notes gave back of it."""
    await lock_balance(invoice.payer_id, invoice.currency)
    wanted = _net_by_rate(parts)
    for rate, left in (await freely_credited(invoice.payer_id, invoice.currency)).items():
        least = wanted[rate] - max(left.net_minor, 0)
        if least > (anew[rate].net_minor if rate in anew else 0):
            raise Conflict(
                _(
                    "Free credit notes gave back part of what this customer was charged: leave at least %(least)s net"
                    " at the same rate of tax on the new invoice, or charge the free credit note again by an invoice"
                    " first.",
                    least=format_amount(least, invoice.currency),
                )
            )


def _net_by_rate(parts: Sequence[Part]) -> Counter[Rate]:
    found: Counter[Rate] = Counter()
    for part in parts:
        found[part.line.tax_code, part.line.rate_ppm] += part.net_minor
    return found


async def at_most_charged(invoice: Corrected, parts: Sequence[Part]) -> list[Part]:
    """The parts, in their order, cut down to what free credit notes have left at their rates."""
    await lock_balance(invoice.payer_id, invoice.currency)
    charged = await freely_credited(invoice.payer_id, invoice.currency)
    left = {rate: max(each.net_minor, 0) for rate, each in charged.items()}
    found: list[Part] = []
    for part in parts:
        rate = (part.line.tax_code, part.line.rate_ppm)
        if rate in left:
            part.net_minor = min(part.net_minor, left[rate])
            if part.net_minor <= 0:
                continue
            left[rate] -= part.net_minor
        found.append(part)
    return found


async def with_tax_left(
    scope: Scope, invoice: Corrected, parts: Sequence[Part], anew: Mapping[Rate, AtRate] | None = None
) -> list[Part]:
    """The parts of an invoice, their tax put, with no more tax than free credit notes have left at its rate; where they
    take the last net of a rate, they take all tax left of it. What their lines do not hold of that stands in a line of
    its own: each free credit note rounds its tax by itself. `anew` is charged again at once."""
    charged = await freely_credited(invoice.payer_id, invoice.currency)
    found = list(parts)
    for rate, left in charged.items():
        some = [part for part in parts if (part.line.tax_code, part.line.rate_ppm) == rate]
        again = anew[rate] if anew is not None and rate in anew else AtRate(*rate, 0, 0)
        net, tax = sum(part.net_minor for part in some), sum(part.tax_minor for part in some)
        most = max(left.tax_minor + again.tax_minor, 0)
        wanted = most if net and net == left.net_minor + again.net_minor else min(tax, most)
        rest = _move_tax(some, wanted - tax)
        if rest > 0:
            found.append(_of_tax(scope, invoice, some[0].line, rest))
    return found


def _move_tax(parts: Sequence[Part], by: int) -> int:
    """Give the parts so much more tax, or less, as far as their lines hold it; gives what is left over."""
    for part in parts:
        most = part.line.tax_minor - part.tax_minor if by > 0 else part.tax_minor
        step = max(min(abs(by), most), 0) * (1 if by > 0 else -1)
        part.tax_minor += step
        by -= step
    return by


def _of_tax(scope: Scope, invoice: Corrected, like: Left, tax: int) -> Part:
    """Tax alone, at the rate of a line."""
    base = scope.tenant.currency
    base_tax = tax if invoice.currency == base else convert(tax, invoice.currency, base, invoice.rate_e10)
    with speaking(invoice.language):
        description = _("Tax that free credit notes left")
    line = replace(
        like,
        id=0,
        charge_id=None,
        subscription_id=None,
        product_id=None,
        kind="one_off",
        description=description,
        quantity_e6=10**6,
        unit_price_e6=0,
        days=1,
        of_days=1,
        discount_minor=0,
        tax_inclusive=False,
        period_from=None,
        period_to=None,
        full_amount_minor=0,
        full_net_minor=0,
        net_minor=0,
        tax_minor=tax,
        deferred_minor=0,
        base_net_minor=0,
        base_tax_minor=base_tax,
        base_deferred_minor=0,
    )
    return Part(line, 0, tax)


class _Buyer(Struct, frozen=True):
    currency: str
    language: str


async def list_creditable_rates(payer_id: int, currency: str) -> list[Creditable]:
    """By rate what can be credited freely, the highest first. For a customer that was found in reach."""
    return await rows(Creditable, _CREDITABLE, payer=payer_id, currency=currency)


async def create_free_credit_note(scope: Scope, customer_id: int, data: NewFreeCreditNote) -> int:
    """Credit a customer without an invoice; gives the credit note's id. Its credit settles what is due longest."""
    async with unit_of_work(scope):
        buyer = await row(
            _Buyer,
            "SELECT currency, language FROM customer WHERE id = :id AND :within",
            id=customer_id,
            within=within(Customer, scope.actor.reach),
        )
        if buyer is None:
            raise NotFound(f"customer {customer_id}")
        currency = data.currency or buyer.currency
        await lock_balance(customer_id, currency)
        creditable = await list_creditable_rates(customer_id, currency)
        plan = await plan_for(scope)
        rate = 10**10 if currency == plan.base else await find_rate(currency, plan.base, scope.today())
        parts = await _parts(scope, data.lines, creditable, currency)
        corrected = Corrected(
            id=0,
            kind="",
            number="",
            payer_id=customer_id,
            seller_id=plan.seller.id,
            currency=currency,
            language=buyer.language or scope.tenant.language,
            rate_e10=rate or 10**10,
            open_minor=0,
        )
        note_id = await issue_note(scope, corrected, parts, data.reason)
        await allocate_credit(scope, customer_id, currency)
        return note_id


async def _parts(
    scope: Scope, lines: Sequence[FreeCreditLine], creditable: Sequence[Creditable], currency: str
) -> list[Part]:
    """The lines with their tax, rate by rate; Invalid at the line that is too much."""
    shares: dict[int, int] = {}
    by_line: dict[int, Creditable] = {}
    groups: dict[tuple[str, int], list[int]] = {}
    for at, line in enumerate(lines):
        groups.setdefault((line.tax_code, line.rate_ppm), []).append(at)
    for (code, ppm), places in groups.items():
        found = next((each for each in creditable if (each.tax_code, each.rate_ppm) == (code, ppm)), None)
        nets = [lines[at].net_minor for at in places]
        most = found.net_minor if found is not None else 0
        if found is None or sum(nets) > most:
            text = _(
                "At most %(most)s net is left of what this customer was charged at this rate.",
                most=format_amount(most, currency),
            )
            raise Invalid(text, field=f"lines.{places[-1]}.net_minor")
        tax_left = max(found.tax_minor, 0)
        tax = tax_left if sum(nets) == most else min(half_up(sum(nets) * ppm, 10**6), tax_left)
        for at, share in zip(places, allocate(tax, nets), strict=True):
            shares[at], by_line[at] = share, found
    parts: list[Part] = []
    for at, line in enumerate(lines):
        base_net = await in_base(scope, line.net_minor, currency)
        base_tax = await in_base(scope, shares[at], currency)
        parts.append(Part(_as_left(line, by_line[at], shares[at], base_net, base_tax), line.net_minor, shares[at]))
    return parts


def _as_left(line: FreeCreditLine, rate: Creditable, tax: int, base_net: int, base_tax: int) -> Left:
    return Left(
        id=0,
        position=0,
        charge_id=None,
        subscription_id=None,
        beneficiary_id=None,
        product_id=None,
        kind="one_off",
        description=line.description,
        quantity_e6=10**6,
        unit_price_e6=0,
        days=1,
        of_days=1,
        discount_minor=0,
        tax_category=rate.tax_category,
        tax_inclusive=False,
        tax_rate_id=rate.tax_rate_id,
        tax_code=rate.tax_code,
        rate_ppm=rate.rate_ppm,
        period_from=None,
        period_to=None,
        full_amount_minor=0,
        full_net_minor=0,
        net_minor=line.net_minor,
        tax_minor=tax,
        deferred_minor=0,
        base_net_minor=base_net,
        base_tax_minor=base_tax,
        base_deferred_minor=0,
    )
