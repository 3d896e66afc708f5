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
from core.database import row, rows, value, within
from core.errors import Conflict, Invalid, NotFound
from core.ledger.fx import convert, find_rate
from core.money import allocate, format_amount, half_up
from core.texts import _, speaking

if TYPE_CHECKING:
    from collections.abc import Sequence

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


async def left_at_rates(payer_id: int, currency: str) -> dict[tuple[str, int], int] | None:
    """By tax code and rate the net that was charged and not credited, where a free credit note takes part of what its
    invoices have left. None where there is no such note: then an invoice never gives back more than it charged."""
    if not await _was_credited_freely(payer_id, currency):
        return None
    return {(each.tax_code, each.rate_ppm): each.net_minor for each in await list_creditable_rates(payer_id, currency)}


async def _was_credited_freely(payer_id: int, currency: str) -> bool:
    return bool(
        await value(
            "SELECT 1 FROM document WHERE payer_id = :payer AND currency = :currency AND kind = 'credit_note'"
            " AND state = 'issued' AND corrects_id IS NULL LIMIT 1",
            payer=payer_id,
            currency=currency,
        )
    )


async def refuse_more_than_charged(invoice: Corrected, parts: Sequence[Part]) -> None:
    """What is credited of an invoice and what was credited freely are never more than was charged, at no rate."""
    await lock_balance(invoice.payer_id, invoice.currency)
    left = await left_at_rates(invoice.payer_id, invoice.currency)
    if left is None:
        return
    wanted: Counter[tuple[str, int]] = Counter()
    for part in parts:
        wanted[part.line.tax_code, part.line.rate_ppm] += part.net_minor
    for rate, net in wanted.items():
        if net > (most := left.get(rate, 0)):
            raise Conflict(
                _(
                    "Free credit notes gave back part of it: at most %(most)s net is left of what this customer was"
                    " charged at this rate. Credit lines of it up to that, or charge the free credit note again by an"
                    " invoice first.",
                    most=format_amount(most, invoice.currency),
                )
            )


async def at_most_charged(invoice: Corrected, parts: Sequence[Part]) -> list[Part]:
    """The parts, in their order, cut down to what free credit notes have left at their rates."""
    await lock_balance(invoice.payer_id, invoice.currency)
    left = await left_at_rates(invoice.payer_id, invoice.currency)
    if left is None:
        return list(parts)
    found: list[Part] = []
    for part in parts:
        rate = (part.line.tax_code, part.line.rate_ppm)
        part.net_minor = min(part.net_minor, left.get(rate, 0))
        if part.net_minor > 0:
            left[rate] -= part.net_minor
            found.append(part)
    return found


async def with_tax_left(scope: Scope, invoice: Corrected, parts: Sequence[Part]) -> list[Part]:
    """The parts of an invoice, their tax put, with no more tax than free credit notes have left at its rate; where they
    take the last net of a rate, they take all tax left of it. What their lines do not hold of that stands in a line of
    its own: each free credit note rounds its tax by itself."""
    if not await _was_credited_freely(invoice.payer_id, invoice.currency):
        return list(parts)
    charged = {
        (each.tax_code, each.rate_ppm): each
        for each in await rows(Creditable, _CHARGED, payer=invoice.payer_id, currency=invoice.currency)
    }
    found = list(parts)
    groups: dict[tuple[str, int], list[Part]] = {}
    for part in parts:
        groups.setdefault((part.line.tax_code, part.line.rate_ppm), []).append(part)
    for rate, some in groups.items():
        net, tax = sum(part.net_minor for part in some), sum(part.tax_minor for part in some)
        most = max(charged[rate].tax_minor, 0) if rate in charged else 0
        wanted = most if net and net == charged[rate].net_minor else min(tax, most)
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
        tax_inclusive=False,
        period_from=None,
        period_to=None,
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
        tax_category=rate.tax_category,
        tax_inclusive=False,
        tax_rate_id=rate.tax_rate_id,
        tax_code=rate.tax_code,
        rate_ppm=rate.rate_ppm,
        period_from=None,
        period_to=None,
        full_net_minor=0,
        net_minor=line.net_minor,
        tax_minor=tax,
        deferred_minor=0,
        base_net_minor=base_net,
        base_tax_minor=base_tax,
        base_deferred_minor=0,
    )
