"""The tax report: what was charged in a period by country, category and rate, in the tenant's currency."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from core.database import dialect, rows, value
from core.ledger.accounts import MAIN_BOOK, Code
from core.ledger.queries import booked
from core.texts import N_

if TYPE_CHECKING:
    from datetime import date

PARTS: Final = {
    "home": N_("At home"),
    "oss": N_("One Stop Shop"),
    "reverse_charge": N_("Reverse charge"),
    "exempt": N_("Exempt"),
    "zero": N_("Zero rate"),
    "outside": N_("Outside the scope"),
}


class TaxLine(Struct, frozen=True):
    """Net and tax of a part, country, category (code of EN 16931) and rate; credit notes are taken off."""

    part: str
    country: str
    code: str
    rate_ppm: int
    documents: int
    net_minor: int
    tax_minor: int


class ReverseCharged(Struct, frozen=True):
    """Net that a business abroad owes the tax of, by its VAT id: for the recapitulative statement."""

    customer_id: int
    name: str
    vat_id: str
    country: str
    documents: int
    net_minor: int


class TaxReport(Struct, frozen=True):
    """`booked_minor` is what was booked on 2200 in the period, `other_minor` what of it is not from documents."""

    currency: str
    lines: list[TaxLine]
    reverse_charged: list[ReverseCharged]
    net_minor: int
    tax_minor: int
    booked_minor: int

    @property
    def other_minor(self) -> int:
        return self.booked_minor - self.tax_minor


def _of_buyer(name: str) -> str:
    """SQL of what a document keeps of its buyer: nothing, where the buyer is erased."""
    return _said("b.snapshot", name)


def _said(snapshot: str, name: str) -> str:
    if dialect() == "sqlite":
        return f"coalesce(json_extract(nullif({snapshot}, ''), '$.{name}'), '')"
    return f"coalesce(CAST(nullif({snapshot}, '') AS json) ->> '{name}', '')"


_HOME: Final = """
CASE WHEN d.kind = 'credit_note' THEN coalesce((
    SELECT h.country FROM document i JOIN home h ON h.id = i.seller_snapshot_id
    WHERE i.id = coalesce(d.corrects_id, (
        SELECT max(o.id) FROM document o JOIN document_line c ON c.document_id = o.id
        WHERE o.payer_id = d.payer_id AND o.kind = 'invoice' AND o.state = 'issued' AND o.id < d.id
          AND c.tax_rate_id = l.tax_rate_id))), s.country) ELSE s.country END
"""
"""Where the seller was at home when it was charged: documents keep that. What is credited was charged before: by the
invoice that is corrected, else by the last one at the rate."""

_LINES: Final = """
FROM document d
JOIN document_line l ON l.document_id = d.id
JOIN document_party b ON b.document_id = d.id AND b.role = 'buyer'
LEFT JOIN tax_rate r ON r.id = l.tax_rate_id
"""
_ISSUED: Final = """
WHERE d.state = 'issued' AND d.kind IN ('invoice', 'credit_note') AND d.issued_on BETWEEN :since AND :until
  AND d.book_id = :book
"""


async def tax_report(currency: str, since: date, until: date) -> TaxReport:
    """Of the documents issued in these days, both included. `currency`: the tenant's, in which it is reported."""
    sign = "CASE WHEN d.kind = 'credit_note' THEN -1 ELSE 1 END"
    country = f"coalesce(r.country, {_of_buyer('country')})"
    values = {"since": since, "until": until, "book": MAIN_BOOK}
    lines = await rows(
        TaxLine,
        f"""
        WITH home AS MATERIALIZED (SELECT id, {_said("snapshot", "country")} AS country FROM seller_snapshot)
        SELECT x.part, x.country, x.code, x.rate_ppm, count(DISTINCT x.id) AS documents,
               CAST(sum(x.net) AS bigint) AS net_minor, CAST(sum(x.tax) AS bigint) AS tax_minor
        FROM (
            SELECT d.id, l.tax_code AS code, l.rate_ppm, {country} AS country,
                   CASE l.tax_code WHEN 'AE' THEN 'reverse_charge' WHEN 'E' THEN 'exempt' WHEN 'O' THEN 'outside'
                       WHEN 'Z' THEN 'zero' ELSE CASE WHEN {country} = {_HOME} THEN 'home' ELSE 'oss' END END AS part,
                   {sign} * l.base_net_minor AS net, {sign} * l.base_tax_minor AS tax
            {_LINES} JOIN home s ON s.id = d.seller_snapshot_id {_ISSUED}
        ) x
        GROUP BY x.part, x.country, x.code, x.rate_ppm
        ORDER BY x.part <> 'home', x.part <> 'oss', x.code, x.country, x.rate_ppm DESC
        """,
        **values,
    )
    charged = await rows(
        ReverseCharged,
        f"""
        SELECT d.payer_id AS customer_id, max({_of_buyer("name")}) AS name, {_of_buyer("vat_id")} AS vat_id,
               {_of_buyer("country")} AS country, count(DISTINCT d.id) AS documents,
               CAST(sum({sign} * l.base_net_minor) AS bigint) AS net_minor
        {_LINES} {_ISSUED} AND l.tax_code = 'AE'
        GROUP BY d.payer_id, {_of_buyer("vat_id")}, {_of_buyer("country")} ORDER BY vat_id, d.payer_id
        """,
        **values,
    )
    account = "(SELECT id FROM account WHERE book_id = :book AND code = :code)"
    in_books = await value(
        "SELECT CAST(coalesce(sum(-base_minor), 0) AS bigint)"
        f" FROM {booked(f'account_id = {account} AND booked_on BETWEEN :since AND :until')}",
        code=str(Code.TAX_PAYABLE),
        **values,
    )
    return TaxReport(
        currency=currency,
        lines=lines,
        reverse_charged=charged,
        net_minor=sum(each.net_minor for each in lines),
        tax_minor=sum(each.tax_minor for each in lines),
        booked_minor=int(in_books),
    )
