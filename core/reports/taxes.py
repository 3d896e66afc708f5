"""The tax report: what was charged in a period by country, category and rate, in the tenant's currency."""

from __future__ import annotations

from datetime import date
from typing import Final

from msgspec import Struct, structs

from core.database import dialect, row, rows, value
from core.ledger.accounts import MAIN_BOOK, Code
from core.ledger.queries import booked
from core.texts import N_

PARTS: Final = {
    "home": N_("At home"),
    "oss": N_("One Stop Shop"),
    "reverse_charge": N_("Reverse charge"),
    "exempt": N_("Exempt"),
    "zero": N_("Zero rate"),
    "outside": N_("Outside the scope"),
    "forfeited": N_("Forfeited credit"),
}


class TaxLine(Struct, frozen=True):
    """Net and tax of a part, country, category (code of EN 16931) and rate; credit notes are taken off.

    Of forfeited credit that carries tax `documents` counts how often it was forfeited: no document says it."""

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


class TaxedDocument(Struct, frozen=True):
    """A document that a line of the report is made of, with its net and tax there; a credit note's are below 0."""

    id: int
    kind: str
    number: str
    issued_on: date
    customer_id: int
    name: str
    vat_id: str
    net_minor: int
    tax_minor: int


class TaxFilter(Struct, frozen=True, kw_only=True):
    """Which lines of the report: each part of it that is given. A country or VAT id of "" is none at all."""

    part: str | None = None
    country: str | None = None
    code: str | None = None
    rate_ppm: int | None = None
    customer_id: int | None = None
    vat_id: str | None = None


class TaxSum(Struct, frozen=True):
    documents: int
    net_minor: int
    tax_minor: int


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
LEFT JOIN tax_rate r ON r.id = l.tax_rate_id
"""
_BUYER: Final = "JOIN document_party b ON b.document_id = d.id AND b.role = 'buyer'"
_ISSUED: Final = """
WHERE d.state = 'issued' AND d.kind IN ('invoice', 'credit_note') AND d.issued_on BETWEEN :since AND :until
  AND d.book_id = :book
"""


_SIGN: Final = "CASE WHEN d.kind = 'credit_note' THEN -1 ELSE 1 END"


def _with_home() -> str:
    return f"WITH home AS MATERIALIZED (SELECT id, {_said('snapshot', 'country')} AS country FROM seller_snapshot)"


def _charged(buyer: str = _BUYER) -> str:
    """Every line of those documents with the part of the report that it belongs to, as SQL to select from."""
    country = f"coalesce(r.country, {_of_buyer('country')})"
    return f"""(
    SELECT d.id, d.kind, d.number, d.issued_on, d.payer_id, l.tax_code AS code, l.rate_ppm, {country} AS country,
           {_of_buyer("name")} AS name, {_of_buyer("vat_id")} AS vat_id,
           CASE l.tax_code WHEN 'AE' THEN 'reverse_charge' WHEN 'E' THEN 'exempt' WHEN 'O' THEN 'outside'
               WHEN 'Z' THEN 'zero' ELSE CASE WHEN {country} = {_HOME} THEN 'home' ELSE 'oss' END END AS part,
           {_SIGN} * l.base_net_minor AS net, {_SIGN} * l.base_tax_minor AS tax
    {_LINES} {buyer} JOIN home s ON s.id = d.seller_snapshot_id {_ISSUED}
) x"""


async def tax_report(currency: str, since: date, until: date) -> TaxReport:
    """Of the documents issued in these days, both included. `currency`: the tenant's, in which it is reported."""
    values = {"since": since, "until": until, "book": MAIN_BOOK}
    lines = await rows(
        TaxLine,
        f"""
        {_with_home()}
        SELECT x.part, x.country, x.code, x.rate_ppm, count(DISTINCT x.id) AS documents,
               CAST(sum(x.net) AS bigint) AS net_minor, CAST(sum(x.tax) AS bigint) AS tax_minor
        FROM {_charged(f"LEFT {_BUYER} AND l.tax_rate_id IS NULL")}
        GROUP BY x.rate_ppm, x.code, x.country, x.part
        ORDER BY x.part <> 'home', x.part <> 'oss', x.code, x.country, x.rate_ppm DESC
        """,
        **values,
    )
    lines += await rows(
        TaxLine, _FORFEITED, account_code=str(Code.FORFEITED_CREDIT), code=str(Code.TAX_PAYABLE), **values
    )
    charged = await _reverse_charged(since, until) if any(each.code == "AE" for each in lines) else []
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


_FORFEITED: Final = """
SELECT 'forfeited' AS part, r.country, 'S' AS code, r.rate_ppm, count(*) AS documents,
       CAST(-sum(p.base_minor) AS bigint) AS net_minor, CAST(-sum(x.base_minor) AS bigint) AS tax_minor
FROM posting p
JOIN ledger_transaction t ON t.id = p.transaction_id AND t.kind = 'forfeit'
JOIN posting x ON x.transaction_id = p.transaction_id
    AND x.account_id = (SELECT id FROM account WHERE book_id = :book AND code = :code)
JOIN tax_rate r ON r.id = x.tax_rate_id
WHERE p.account_id = (SELECT id FROM account WHERE book_id = :book AND code = :account_code)
  AND p.booked_on BETWEEN :since AND :until
GROUP BY r.country, r.rate_ppm
ORDER BY r.country, r.rate_ppm DESC
"""
"""What was forfeited with tax in it; what carries none is no supply and stands in no report of taxes."""


async def _reverse_charged(since: date, until: date) -> list[ReverseCharged]:
    return await rows(
        ReverseCharged,
        f"""
        SELECT d.payer_id AS customer_id, max({_of_buyer("name")}) AS name, {_of_buyer("vat_id")} AS vat_id,
               {_of_buyer("country")} AS country, count(DISTINCT d.id) AS documents,
               CAST(sum({_SIGN} * l.base_net_minor) AS bigint) AS net_minor
        {_LINES} {_BUYER} {_ISSUED} AND l.tax_code = 'AE'
        GROUP BY d.payer_id, {_of_buyer("vat_id")}, {_of_buyer("country")} ORDER BY vat_id, d.payer_id
        """,
        since=since,
        until=until,
        book=MAIN_BOOK,
    )


async def list_taxed(
    wanted: TaxFilter, since: date, until: date, *, after: tuple[date, int] | None = None, limit: int
) -> list[TaxedDocument]:
    """The documents that lines of the report are made of, the earliest first."""
    issued_on, last = after or (date.min, 0)
    tests, values = _tests(wanted)
    return await rows(
        TaxedDocument,
        f"""
        {_with_home()}
        SELECT x.id, x.kind, x.number, x.issued_on, x.payer_id AS customer_id, max(x.name) AS name,
               max(x.vat_id) AS vat_id, CAST(sum(x.net) AS bigint) AS net_minor, CAST(sum(x.tax) AS bigint) AS tax_minor
        FROM {_charged()}
        WHERE (x.issued_on > :issued_on OR (x.issued_on = :issued_on AND x.id > :last)) {tests}
        GROUP BY x.id, x.kind, x.number, x.issued_on, x.payer_id ORDER BY x.issued_on, x.id LIMIT :limit
        """,
        since=since,
        until=until,
        book=MAIN_BOOK,
        issued_on=issued_on,
        last=last,
        limit=limit,
        **values,
    )


async def sum_taxed(wanted: TaxFilter, since: date, until: date) -> TaxSum:
    """What those documents come to: the line of the report."""
    tests, values = _tests(wanted)
    found = await row(
        TaxSum,
        f"{_with_home()} SELECT count(DISTINCT x.id) AS documents,"
        " CAST(coalesce(sum(x.net), 0) AS bigint) AS net_minor, CAST(coalesce(sum(x.tax), 0) AS bigint) AS tax_minor"
        f" FROM {_charged()} WHERE 1 = 1 {tests}",
        since=since,
        until=until,
        book=MAIN_BOOK,
        **values,
    )
    assert found is not None, "sums are one row"
    return found


def _tests(wanted: TaxFilter) -> tuple[str, dict[str, object]]:
    columns = {"customer_id": "payer_id"}
    values = {name: each for name, each in structs.asdict(wanted).items() if each is not None}
    return "".join(f" AND x.{columns.get(name, name)} = :{name}" for name in values), values
