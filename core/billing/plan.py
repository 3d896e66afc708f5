"""Working out documents: what is due, rated, taxed and grouped, in the staging tables. Writes nothing else.

Each line is rated and taxed by itself; the tax of a rate is rounded on its total, and what that differs from the sum of
its lines goes to the lines with the largest remainders (domain.md, defaults 4 and 5). All of it is SQL on both
databases; a test works out the same bill in plain Python and compares line by line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from core.billing.staging import (
    day_before,
    days_after,
    days_between,
    larger,
    next_id,
    smaller,
    staged,
    staged_all,
)
from core.catalog.rates import EU
from core.clock import date_in, instant_of
from core.database import execute, execute_many, row, rows
from core.ledger.fx import convert_parts, find_rate
from core.money import allocate, exponent, half_up_sql
from core.subscriptions.schedule import Rhythm, periods_due

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from core.billing.actions.setup import Seller
    from core.billing.settings import BillingSettings, InclusivePrices, TaxDate
    from core.hooks import ChargeSource
    from core.scope import Scope

MOST_PERIODS: Final = 15
"""Charges of one subscription in one run: more waits for a person (security.md 10)."""
VAT_CHECK_LASTS: Final = timedelta(days=90)
"""Days of the tenant's zone, the one of the check among them."""
VAT_CHECK_COUNTS: Final = """(v.source <> '' OR v.customer_id IS NULL OR EXISTS (SELECT 1 FROM customer k
    WHERE k.id = v.customer_id AND coalesce(k.partition_id, 0) = coalesce(c.partition_id, 0)))"""
"""Whether a check `v` of the VAT id of a customer `c` is one for it: what a service said of an id it said for all, what
staff noted is for customers of the same partition alone."""
NEVER: Final = date(9999, 12, 31)
_MANY_RHYTHMS: Final = 20_000


def vat_checks_since(at: datetime, zone: str) -> datetime:
    """The first moment of the days whose checks of VAT ids count at an instant."""
    return instant_of(date_in(at, zone) - VAT_CHECK_LASTS + timedelta(days=1), time(), zone)


class _Foreign(Struct, frozen=True):
    """A currency that is not the tenant's, and the day of the rate that a document in it goes by."""

    currency: str
    rated_on: date


@dataclass(slots=True)
class Plan:
    """What a plan is made for, and the words that its statements share."""

    scope: Scope
    seller: Seller
    settings: BillingSettings
    as_of_on: date
    issued_on: date
    preview: bool = False
    run_id: int | None = None
    rhythms: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)
    """Periods worked out before, by rhythm: kept over the chunks of a run."""
    rates: dict[_Foreign, int | None] = field(default_factory=dict)
    """Official rates by currency and day, looked up once."""
    snapshot_id: int | None = None
    """The seller as it stands on these documents: looked up once."""

    @property
    def base(self) -> str:
        return self.scope.tenant.currency

    @property
    def values(self) -> dict[str, Any]:
        """What the statements ask for by name."""
        return {
            "as_of": self.as_of_on,
            "issued_on": self.issued_on,
            "tomorrow": self.issued_on + timedelta(days=1),
            "home": self.seller.country,
            "home_is_eu": self.seller.country in EU,
            "oss": self.seller.oss,
            "eu": sorted(EU),
            "home_in_ids": "EL" if self.seller.country == "GR" else self.seller.country,
            "vat_since": vat_checks_since(self.scope.now(), self.scope.tenant.time_zone),
        }


class Counts(Struct, frozen=True):
    """How much a plan holds."""

    due: int
    resting: int
    lines: int
    new: int
    taken: int
    problems: int
    abroad: int
    activating: int


_SOURCE: Final = (
    "id, is_new, subscription_id, term_id, customer_id, payer_id, product_id, kind, component, description,"
    " period_start,"
    " period_end, days, of_days, quantity_e6, unit_price_e6, discount_minor, amount_minor, currency, tax_category,"
    " tax_inclusive, source_key, place, split_id, activates, corrects_line_id, problem"
)
"""What every source of lines gives; `stage_lines` adds tax and deferral."""

DUE: Final = """
INSERT INTO stage_due (subscription_id, customer_id, payer_id, product_id, label, period_start, rhythm, cycle, bills)
SELECT s.subscription_id, u.customer_id, s.payer_id, u.product_id, u.label, s.period_start,
       :as_of_text || '|' || CAST(u.anchor_on AS text) || '|' || t.cycle_unit || '|' || CAST(t.cycle_count AS text)
       || '|' || u.timing || '|' || t.proration || '|' || t.final_proration || '|'
       || CAST(s.period_start AS text) || '|' || coalesce(CAST(u.ends_on AS text), ''),
       t.cycle_unit || CAST(t.cycle_count AS text), status.bill
FROM subscription_schedule s
THEN JOIN subscription u ON u.id = s.subscription_id
THEN JOIN subscription_term t ON t.subscription_id = s.subscription_id AND t.in_force
    AND t.valid_from <= s.period_start AND (t.valid_to IS NULL OR t.valid_to > s.period_start)
THEN JOIN customer c ON c.id = u.customer_id
THEN JOIN status ON status.id = c.status_id
WHERE s.due_on IN :due_dates AND s.payer_id > :after AND s.payer_id <= :last AND u.timing <> 'prepaid'
"""


def recurring(split: str, unit_e6: str) -> str:
    """The periods of what is due, at the terms in force on their first days."""
    return f"""
SELECT {{line_id}} AS id, TRUE AS is_new, d.subscription_id, t.id AS term_id, d.customer_id, d.payer_id, t.product_id,
       'recurring' AS kind, '' AS component,
       CASE WHEN d.label <> '' THEN d.label ELSE product.name END AS description,
       p.start_on AS period_start, p.end_on AS period_end, p.days, p.of_days, t.quantity_e6,
       t.amount_minor * {unit_e6} AS unit_price_e6,
       {half_up_sql("t.gross_minor", "p.days", "p.of_days")} - {half_up_sql("t.cycle_minor", "p.days", "p.of_days")}
           AS discount_minor,
       {half_up_sql("t.cycle_minor", "p.days", "p.of_days")} AS amount_minor,
       t.currency, t.tax_category, t.tax_inclusive, NULL AS source_key, 0 AS place, {split} AS split_id,
       FALSE AS activates, NULL::bigint AS corrects_line_id,
       CASE WHEN n.parts > {MOST_PERIODS} THEN 'too_many_periods'
            WHEN t.cycle_unit || CAST(t.cycle_count AS text) <> d.cycle THEN 'cycle_changes' END AS problem
FROM stage_due d
THEN JOIN stage_next n ON n.rhythm = d.rhythm
THEN JOIN stage_period p ON p.rhythm = d.rhythm
THEN JOIN subscription_term t ON t.subscription_id = d.subscription_id AND t.in_force
    AND t.valid_from <= p.start_on AND (t.valid_to IS NULL OR t.valid_to > p.start_on)
THEN JOIN product ON product.id = t.product_id
WHERE d.bills
"""


def open_charges(where: str, split: str, activates: str = "FALSE") -> str:
    """Charges that were written before and wait for an invoice."""
    return f"""
SELECT k.id, FALSE AS is_new, k.subscription_id, k.term_id, k.customer_id, k.payer_id, k.product_id, k.kind,
    k.component,
       k.description, k.period_start, k.period_end, k.days, k.of_days, k.quantity_e6, k.unit_price_e6, k.discount_minor,
       k.amount_minor, k.currency, k.tax_category, k.tax_inclusive, k.source_key, 0 AS place, {split} AS split_id,
       {activates} AS activates, NULL::bigint AS corrects_line_id, NULL AS problem
FROM charge k
WHERE k.state = 'open' AND {where}
"""


def trials_over(split: str, unit_e6: str) -> str:
    """Trials at their end that are invoiced first: a full cycle whose days are known when it is settled."""
    return f"""
SELECT {{line_id}} AS id, TRUE AS is_new, u.id AS subscription_id, t.id AS term_id, u.customer_id,
       coalesce(c.payer_id, c.id) AS payer_id, u.product_id, 'recurring' AS kind, '' AS component,
       CASE WHEN u.label <> '' THEN u.label ELSE product.name END AS description,
       NULL::date AS period_start, NULL::date AS period_end, 1 AS days, 1 AS of_days, t.quantity_e6,
       t.amount_minor * {unit_e6} AS unit_price_e6, t.gross_minor - t.cycle_minor AS discount_minor,
       t.cycle_minor AS amount_minor, t.currency, t.tax_category, t.tax_inclusive, NULL AS source_key, 0 AS place,
       {split} AS split_id, TRUE AS activates, NULL::bigint AS corrects_line_id, NULL AS problem
FROM subscription u
THEN JOIN customer c ON c.id = u.customer_id
THEN JOIN product ON product.id = u.product_id
THEN JOIN subscription_term t ON t.subscription_id = u.id AND t.in_force AND t.valid_from <= u.trial_ends_on
    AND (t.valid_to IS NULL OR t.valid_to > u.trial_ends_on)
WHERE u.state = 'trial' AND u.at_trial_end = 'invoice_first' AND u.trial_ends_on <= :trials_until AND u.ends_on IS NULL
  AND coalesce(c.payer_id, c.id) > :after AND coalesce(c.payer_id, c.id) <= :last
  AND NOT EXISTS (SELECT 1 FROM charge k WHERE k.subscription_id = u.id AND k.kind = 'recurring'
                  AND k.state IN ('open', 'invoiced'))
"""


def from_plugin(source: ChargeSource, split: str) -> str:
    """A plugin's charges that were not charged under their key yet, as lines of a preview."""
    return f"""
SELECT {{line_id}} AS id, TRUE AS is_new, q.subscription_id, NULL::bigint AS term_id, u.customer_id,
       coalesce(c.payer_id, c.id) AS payer_id, u.product_id, q.kind, q.component, q.description, q.period_start,
       q.period_end, 1 AS days, 1 AS of_days, q.quantity_e6, 0 AS unit_price_e6, 0 AS discount_minor, q.amount_minor,
       t.currency, q.tax_category, FALSE AS tax_inclusive, q.source_key, 0 AS place, {split} AS split_id,
       FALSE AS activates, NULL::bigint AS corrects_line_id, NULL AS problem
FROM ({source.select}) q
THEN JOIN subscription u ON u.id = q.subscription_id
THEN JOIN customer c ON c.id = u.customer_id
THEN JOIN subscription_term t ON t.subscription_id = u.id AND t.in_force
    AND t.valid_from = (SELECT max(o.valid_from) FROM subscription_term o WHERE o.subscription_id = u.id AND o.in_force)
WHERE coalesce(c.payer_id, c.id) > :after AND coalesce(c.payer_id, c.id) <= :last
  AND q.kind <> 'recurring' AND q.source_key IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM charge k WHERE k.source_key = q.source_key)
"""


def draft_lines() -> str:
    """The lines of a draft: charges that it took up, and free ones, which get negative ids here."""
    return """
SELECT coalesce(l.charge_id, -l.id) AS id, FALSE AS is_new, k.subscription_id, k.term_id,
       coalesce(l.beneficiary_id, doc.payer_id) AS customer_id, doc.payer_id, l.product_id, l.kind, '' AS component,
       l.description, l.period_from AS period_start, l.period_to AS period_end, l.days, l.of_days, l.quantity_e6,
       l.unit_price_e6, l.discount_minor, l.amount_minor, doc.currency, l.tax_category, l.tax_inclusive,
       NULL AS source_key, l.position AS place, 0 AS split_id,
       coalesce(k.kind = 'recurring' AND k.period_start IS NULL, FALSE) AS activates, NULL::bigint AS corrects_line_id,
       NULL AS problem
FROM document_line l
THEN JOIN document doc ON doc.id = l.document_id
LEFT JOIN charge k ON k.id = l.charge_id
WHERE l.document_id = :document_id
"""


def _tax_until(tax_date: TaxDate) -> str:
    """The day after the tax date of a line `x`, as SQL."""
    if tax_date == "issue":
        return ":tomorrow::date"
    if tax_date == "start":
        return f"coalesce({days_after('x.period_start', '1')}, :tomorrow::date)"
    return "coalesce(x.period_end, :tomorrow::date)"


def stage_lines(source: str, tax_date: TaxDate = "end", inclusive: InclusivePrices = "gross") -> str:
    """Each line of a source with its tax and with how much of its net is not earned yet on the day of issue.

    Tax by the buyer's country and standing (domain.md, default 8): codes are those of EN 16931. What is exempt by
    itself has no tax that a recipient could owe, so it is no reverse charge. Revenue of days that are over is earned; a
    cycle whose days are not known yet is deferred; what is sold once is earned. The rate is that of the line's tax
    date, as the tenant says; what has no period has the day of issue.
    """
    until = _tax_until(tax_date)
    net_of_gross = half_up_sql("x.amount_minor", "100000", "100000 + x.ppm / 10")
    if inclusive == "net":
        first = f"CASE WHEN x.tax_inclusive THEN {net_of_gross} ELSE x.amount_minor END AS net_minor"
        parted = f"{half_up_sql('x.net_minor', 'x.ppm', '1000000')} AS tax_minor"
    else:
        on_top = half_up_sql("x.amount_minor", "x.ppm", "1000000")
        first = f"CASE WHEN x.tax_inclusive THEN x.amount_minor - {net_of_gross} ELSE {on_top} END AS tax_minor"
        parted = "CASE WHEN x.tax_inclusive THEN x.amount_minor - x.tax_minor ELSE x.amount_minor END AS net_minor"
    length = days_between("x.period_start", "x.period_end")
    over = smaller(larger(days_between("x.period_start", ":issued_on::date"), "0"), length)
    return f"""
INSERT INTO stage_line ({_SOURCE}, tax_until, over_days, all_days, tax_rate_id, tax_code, rate_ppm, net_minor,
    tax_minor, deferred_minor)
WITH rate AS MATERIALIZED (
    SELECT id, country, category, rate_ppm, valid_from,
           coalesce(lead(valid_from) OVER (PARTITION BY country, category ORDER BY valid_from), '9999-12-31'::date)
               AS valid_until
    FROM tax_rate
), priced AS MATERIALIZED (
    SELECT s.*, k.einvoice_code, c.tax_profile,
           CASE WHEN c.country IN ('', :home) THEN 'home'
                WHEN :home_is_eu AND c.country IN :eu THEN
                    CASE WHEN c.kind = 'company' AND c.vat_id <> '' AND substr(c.vat_id, 1, 2) <> :home_in_ids
                        AND coalesce((SELECT v.valid AND v.checked_at >= :vat_since FROM vat_check v
                            WHERE v.vat_id = c.vat_id AND {VAT_CHECK_COUNTS}
                            ORDER BY v.checked_at DESC, v.id DESC LIMIT 1), FALSE)
                    THEN 'business' ELSE 'consumer' END
                ELSE 'abroad' END AS place_of_buyer,
           c.country AS buyer_country
    FROM ({source}) s
    THEN JOIN customer c ON c.id = s.payer_id
    THEN JOIN tax_category k ON k.code = s.tax_category
), coded AS MATERIALIZED (
    SELECT priced.*,
           CASE WHEN einvoice_code = 'O' OR tax_profile = 'outside' THEN 'O'
                WHEN tax_profile = 'exempt' THEN 'E'
                WHEN einvoice_code = 'E' AND place_of_buyer <> 'abroad' THEN 'E'
                WHEN tax_profile = 'reverse_charge' AND einvoice_code <> 'E' OR place_of_buyer = 'business' THEN 'AE'
                WHEN place_of_buyer = 'abroad' THEN 'O'
                ELSE einvoice_code END AS tax_code,
           CASE WHEN place_of_buyer = 'consumer' AND :oss THEN buyer_country ELSE :home END AS rate_country
    FROM priced
), rated AS MATERIALIZED (
    SELECT x.*, CASE WHEN x.tax_code = 'S' THEN rate.id END AS tax_rate_id,
           CASE WHEN x.tax_code = 'S' THEN coalesce(rate.rate_ppm, 0) ELSE 0 END AS ppm,
           CASE WHEN x.tax_code = 'S' AND rate.id IS NULL THEN 'no_tax_rate' END AS rate_problem,
           CASE WHEN x.period_start IS NOT NULL THEN {length} ELSE 1 END AS all_days,
           CASE WHEN x.period_start IS NOT NULL THEN {over} WHEN x.kind = 'recurring' THEN 0 ELSE 1 END AS over_days
    FROM coded x
    LEFT JOIN rate ON rate.country = x.rate_country AND rate.category = x.tax_category
        AND rate.valid_from < {until} AND rate.valid_until >= {until}
), taxed AS MATERIALIZED (
    SELECT x.*, {first} FROM rated x
), split AS MATERIALIZED (
    SELECT x.*, {parted} FROM taxed x
)
SELECT {", ".join("x." + name.strip() for name in _SOURCE.split(",")[:-1])},
       coalesce(x.problem, x.rate_problem, CASE WHEN x.tax_minor IS NULL THEN 'amount_too_large' END),
       {until}, x.over_days, x.all_days, x.tax_rate_id, x.tax_code, x.ppm, x.net_minor, x.tax_minor,
       x.net_minor - {half_up_sql("x.net_minor", "x.over_days", "x.all_days")}
FROM split x
"""


COUNTS: Final = """
SELECT (SELECT count(*) FROM stage_due WHERE bills) AS due,
       (SELECT count(*) FROM stage_due WHERE NOT bills) AS resting,
       count(*) AS lines,
       count(*) FILTER (WHERE is_new) AS new,
       count(*) FILTER (WHERE NOT is_new AND id > 0) AS taken,
       count(problem) AS problems,
       count(*) FILTER (WHERE currency <> :base) AS abroad,
       count(*) FILTER (WHERE activates) AS activating
FROM stage_line
"""
PARK_PROBLEMS: Final = """
INSERT INTO stage_parked (payer_id, reason)
SELECT payer_id, min(problem) FROM stage_line WHERE problem IS NOT NULL GROUP BY payer_id
"""
PARK_NEGATIVE: Final = """
INSERT INTO stage_parked (payer_id, reason)
SELECT DISTINCT payer_id, 'negative_total' FROM (
    SELECT payer_id FROM stage_tax GROUP BY payer_id, currency, split_id HAVING sum(net_minor + tax_minor) < 0) g
"""
PARKED_AMOUNTS: Final = """
UPDATE stage_parked SET amount_minor = left_out.amount_minor, currency = left_out.currency
FROM (SELECT payer_id, min(currency) AS currency, CAST(sum(net_minor) AS bigint) AS amount_minor FROM stage_line
      GROUP BY payer_id HAVING count(DISTINCT currency) = 1) left_out
WHERE left_out.payer_id = stage_parked.payer_id
  AND stage_parked.reason IN ('no_tax_rate', 'no_fx_rate', 'negative_total')
"""
"""Of lines that are whole: with other reasons not all of them are there."""
_PARKED: Final = "payer_id IN (SELECT payer_id FROM stage_parked)"

# sum() of a bigint is numeric on PostgreSQL and would divide with decimals: cast it back.
TAXES: Final = f"""
INSERT INTO stage_tax (payer_id, currency, split_id, tax_code, rate_ppm, tax_inclusive, net_minor, tax_minor,
    rest_minor, tax_until)
SELECT payer_id, currency, split_id, tax_code, rate_ppm, tax_inclusive,
       CASE WHEN tax_inclusive THEN amount_minor - tax_minor
           ELSE amount_minor END, tax_minor, tax_minor - of_lines_minor, tax_until
FROM (
    SELECT x.*, CASE WHEN tax_inclusive
        THEN amount_minor - {half_up_sql("x.amount_minor", "100000", "100000 + x.rate_ppm / 10")}
        ELSE {half_up_sql("x.amount_minor", "x.rate_ppm", "1000000")} END AS tax_minor
    FROM (
        SELECT payer_id, currency, split_id, tax_code, rate_ppm, tax_inclusive,
               CAST(sum(amount_minor) AS bigint) AS amount_minor, CAST(sum(tax_minor) AS bigint) AS of_lines_minor,
               max(tax_until) AS tax_until
        FROM stage_line
        GROUP BY payer_id, currency, split_id, tax_code, rate_ppm, tax_inclusive
    ) x
) g
"""

BY_LINE: Final = """
INSERT INTO stage_tax (payer_id, currency, split_id, tax_code, rate_ppm, tax_inclusive, net_minor, tax_minor,
    rest_minor, tax_until)
SELECT payer_id, currency, split_id, tax_code, rate_ppm, tax_inclusive,
       CAST(sum(CASE WHEN tax_inclusive THEN amount_minor - tax_minor ELSE amount_minor END) AS bigint),
       CAST(sum(tax_minor) AS bigint), 0, max(tax_until)
FROM stage_line
GROUP BY payer_id, currency, split_id, tax_code, rate_ppm, tax_inclusive
"""
"""Where the tenant rounds the tax of each line (default 5): nothing is left to be shared."""

# The tax of a line cut off to a whole unit, and the units left over to the lines with the largest cut-off parts.
SHARES: Final = f"""
UPDATE stage_line SET tax_minor = r.tax_minor,
    net_minor = CASE WHEN stage_line.tax_inclusive THEN stage_line.amount_minor - r.tax_minor
    ELSE stage_line.amount_minor END,
    deferred_minor = r.net_minor - {half_up_sql("r.net_minor", "r.over_days", "r.all_days")}
FROM (
    SELECT ranked.id, over_days, all_days, whole_minor + CASE WHEN rank_of_rest <= units THEN 1 ELSE 0 END AS tax_minor,
           CASE WHEN tax_inclusive THEN amount_minor - whole_minor - CASE WHEN rank_of_rest <= units THEN 1 ELSE 0 END
                ELSE amount_minor END AS net_minor
    FROM (
        SELECT cut.*, total_minor - CAST(sum(whole_minor)
            OVER (PARTITION BY payer_id, currency, split_id, tax_code, rate_ppm,
                   tax_inclusive) AS bigint) AS units,
               row_number() OVER (PARTITION BY payer_id, currency, split_id, tax_code, rate_ppm, tax_inclusive
                   ORDER BY rest DESC, place, customer_id, coalesce(subscription_id, 0),
                   coalesce(period_start, '0001-01-01'::date), kind, id) AS rank_of_rest
        FROM (
            SELECT parts.*, ((product % divisor) + divisor) % divisor AS rest,
                   (product - ((product % divisor) + divisor) % divisor) / divisor AS whole_minor
            FROM (
                SELECT l.id, l.payer_id, l.currency, l.split_id, l.tax_code, l.rate_ppm, l.tax_inclusive, l.place,
                       l.customer_id, l.subscription_id, l.period_start, l.kind, l.amount_minor, l.over_days,
                       l.all_days,
                       t.tax_minor AS total_minor,
                       l.amount_minor * CASE WHEN l.tax_inclusive THEN l.rate_ppm / 10 ELSE l.rate_ppm END AS product,
                       CASE WHEN l.tax_inclusive THEN 100000 + l.rate_ppm / 10 ELSE 1000000 END AS divisor
                FROM stage_tax t
                THEN JOIN stage_line l ON l.payer_id = t.payer_id AND l.currency = t.currency
                    AND l.split_id = t.split_id
                    AND l.tax_code = t.tax_code AND l.rate_ppm = t.rate_ppm AND l.tax_inclusive = t.tax_inclusive
                WHERE t.rest_minor <> 0
            ) parts
        ) cut
    ) ranked
) r
WHERE stage_line.id = r.id
"""


# Net first: the net of each line is its own, be its price with tax or without; tax is worked out on the net alone.
NET_FIRST_TAXES: Final = f"""
INSERT INTO stage_tax (payer_id, currency, split_id, tax_code, rate_ppm, tax_inclusive, net_minor, tax_minor,
    rest_minor, tax_until)
SELECT payer_id, currency, split_id, tax_code, rate_ppm, tax_inclusive, net_minor,
       {half_up_sql("x.net_minor", "x.rate_ppm", "1000000")},
       {half_up_sql("x.net_minor", "x.rate_ppm", "1000000")} - of_lines_minor, tax_until
FROM (
    SELECT payer_id, currency, split_id, tax_code, rate_ppm, FALSE AS tax_inclusive,
           CAST(sum(net_minor) AS bigint) AS net_minor, CAST(sum(tax_minor) AS bigint) AS of_lines_minor,
           max(tax_until) AS tax_until
    FROM stage_line
    GROUP BY payer_id, currency, split_id, tax_code, rate_ppm
) x
"""
NET_FIRST_BY_LINE: Final = """
INSERT INTO stage_tax (payer_id, currency, split_id, tax_code, rate_ppm, tax_inclusive, net_minor, tax_minor,
    rest_minor, tax_until)
SELECT payer_id, currency, split_id, tax_code, rate_ppm, FALSE, CAST(sum(net_minor) AS bigint),
       CAST(sum(tax_minor) AS bigint), 0, max(tax_until)
FROM stage_line
GROUP BY payer_id, currency, split_id, tax_code, rate_ppm
"""
NET_FIRST_SHARES: Final = """
UPDATE stage_line SET tax_minor = r.tax_minor
FROM (
    SELECT id, whole_minor + CASE WHEN rank_of_rest <= units THEN 1 ELSE 0 END AS tax_minor
    FROM (
        SELECT cut.*, total_minor - CAST(sum(whole_minor)
            OVER (PARTITION BY payer_id, currency, split_id, tax_code, rate_ppm) AS bigint) AS units,
               row_number() OVER (PARTITION BY payer_id, currency, split_id, tax_code, rate_ppm
                   ORDER BY rest DESC, place, customer_id, coalesce(subscription_id, 0),
                   coalesce(period_start, '0001-01-01'::date), kind, id) AS rank_of_rest
        FROM (
            SELECT parts.*, ((product % 1000000) + 1000000) % 1000000 AS rest,
                   (product - ((product % 1000000) + 1000000) % 1000000) / 1000000 AS whole_minor
            FROM (
                SELECT l.id, l.payer_id, l.currency, l.split_id, l.tax_code, l.rate_ppm, l.place, l.customer_id,
                       l.subscription_id, l.period_start, l.kind, t.tax_minor AS total_minor,
                       l.net_minor * l.rate_ppm AS product
                FROM stage_tax t
                THEN JOIN stage_line l ON l.payer_id = t.payer_id AND l.currency = t.currency
                    AND l.split_id = t.split_id AND l.tax_code = t.tax_code AND l.rate_ppm = t.rate_ppm
                WHERE t.rest_minor <> 0
            ) parts
        ) cut
    ) ranked
) r
WHERE stage_line.id = r.id
"""


def documents(document_id: str, cash_steps: Mapping[str, int] = {}) -> str:
    """One for each payer, currency and part by which it is split, rounded to what can be paid in cash where the tenant
    says so. Its tax date is the last one of its lines."""
    rounding = _rounding(cash_steps, "g.currency", "(g.net_minor + g.tax_minor)")
    total = f"g.net_minor + g.tax_minor + {rounding}" if cash_steps else "g.net_minor + g.tax_minor"
    return f"""
INSERT INTO stage_document (id, kind, payer_id, currency, split_id, net_minor, tax_minor, rounding_minor, total_minor,
    base_minor, base_rounding_minor, rate_e10, due_on, tax_on, language)
SELECT {document_id}, 'invoice', g.payer_id, g.currency, g.split_id, g.net_minor, g.tax_minor, {rounding},
       {total}, {total}, {rounding}, 10000000000,
       {days_after(":issued_on::date", "coalesce(c.terms_days, :terms_days)")}, {day_before("g.tax_until")},
       CASE WHEN c.language <> '' THEN c.language ELSE :language END
FROM (
    SELECT payer_id, currency, split_id, CAST(sum(net_minor) AS bigint) AS net_minor,
           CAST(sum(tax_minor) AS bigint) AS tax_minor, max(tax_until) AS tax_until
    FROM stage_tax
    GROUP BY payer_id, currency, split_id
) g
THEN JOIN customer c ON c.id = g.payer_id
WHERE :keep_empty OR g.net_minor + g.tax_minor <> 0 OR EXISTS (
    SELECT 1 FROM stage_line l WHERE l.payer_id = g.payer_id AND l.currency = g.currency AND l.split_id = g.split_id
    AND l.activates)
"""


def _rounding(steps: Mapping[str, int], currency: str, total: str) -> str:
    """What is added to a total so that it is a multiple of its currency's step, half up, as SQL."""
    if not steps:
        return "0"
    rounded = " ".join(
        f"WHEN '{code}' THEN ({half_up_sql(total, '1', str(step))}) * {step} - {total}"
        for code, step in sorted(steps.items())
    )
    return f"coalesce(CASE {currency} {rounded} END, 0)"


class _Rhythm(Struct, frozen=True):
    rhythm: str


class _ForeignLine(Struct, frozen=True):
    id: int
    document_id: int
    net_minor: int
    tax_minor: int
    rounding_minor: int
    deferred_minor: int


async def stage_due(plan: Plan, due_dates: Sequence[date], after: int, last: int) -> int:
    """What is due of these payers; the rows of the schedule are locked, unless it is a preview."""
    lock = "" if plan.preview else " FOR UPDATE OF s"
    count = await staged(
        DUE + lock, due_dates=list(due_dates), after=after, last=last, as_of_text=plan.as_of_on.isoformat()
    )
    if count:
        await _learn_periods(plan)
    return count


async def _learn_periods(plan: Plan) -> None:
    """Work out the periods of the rhythms that are new: few, since most subscriptions share theirs with many others."""
    missing = await rows(
        _Rhythm,
        "SELECT DISTINCT d.rhythm FROM stage_due d"
        " WHERE NOT EXISTS (SELECT 1 FROM stage_next n WHERE n.rhythm = d.rhythm)",
    )
    if not missing:
        return
    if len(plan.rhythms) > _MANY_RHYTHMS:
        plan.rhythms.clear()
        await execute("DELETE FROM stage_period WHERE rhythm NOT IN (SELECT rhythm FROM stage_due)")
        await execute("DELETE FROM stage_next WHERE rhythm NOT IN (SELECT rhythm FROM stage_due)")
    parts: list[dict[str, Any]] = []
    following: list[dict[str, Any]] = []
    for each in missing:
        if each.rhythm not in plan.rhythms:
            plan.rhythms[each.rhythm] = _work_out(each.rhythm)
        some, after = plan.rhythms[each.rhythm]
        parts.extend(some)
        following.append(after)
    await execute_many(
        "INSERT INTO stage_period (rhythm, part, start_on, end_on, days, of_days)"
        " VALUES (:rhythm, :part, :start_on, :end_on, :days, :of_days)",
        parts,
    )
    await execute_many(
        "INSERT INTO stage_next (rhythm, parts, cycle_no, start_on, end_on, due_on)"
        " VALUES (:rhythm, :parts, :cycle_no, :start_on, :end_on, :due_on)",
        following,
    )


def _work_out(text: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    as_of, anchor, unit, count, timing, proration, final, start, ends = text.split("|")
    rhythm = Rhythm(
        date.fromisoformat(anchor),
        unit,
        int(count),
        timing,
        proration,
        final,
        date.fromisoformat(ends) if ends else None,
    )
    due, after = periods_due(rhythm, date.fromisoformat(start), date.fromisoformat(as_of), MOST_PERIODS)
    key = {"rhythm": text}
    some = due[:1] if len(due) > MOST_PERIODS else due
    return [
        {**key, "part": n, "start_on": p.start, "end_on": p.end, "days": p.days, "of_days": p.of_days}
        for n, p in enumerate(some)
    ], {
        **key,
        "parts": len(due),
        "cycle_no": after.cycle_no if after else None,
        "start_on": after.start if after else None,
        "end_on": after.end if after else None,
        "due_on": after.due_on if after else None,
    }


async def stage_source(plan: Plan, source: str, **values: Any) -> int:
    """Lines of one source into the staging table; gives how many."""
    (count,) = await stage_sources(plan, (source, values))
    return count


async def stage_sources(plan: Plan, *sources: tuple[str, dict[str, Any]]) -> list[int]:
    """Lines of several sources; gives how many of each."""
    line_id, shared = next_id("stage_line", preview=plan.preview), plan.values
    return await staged_all(
        *(
            (
                stage_lines(
                    source.replace("{line_id}", line_id), plan.settings.tax_date, plan.settings.inclusive_prices
                ),
                {**shared, **values},
            )
            for source, values in sources
        )
    )


def split_of(plan: Plan, column: str) -> str:
    """What parts the documents of one payer and currency: nothing, or the subscription; a bundle stays together."""
    if plan.settings.invoice_per == "payer":
        return "0"
    first = (
        "SELECT min(o.id) FROM subscription s THEN JOIN subscription o ON o.customer_bundle_id = s.customer_bundle_id"
        f" WHERE s.id = {column}"
    )
    return f"coalesce(({first}), {column}, 0)"


def unit_e6(currencies: Sequence[str], column: str) -> str:
    """By what a price in minor units is multiplied to be in whole units × 10⁶, as SQL: EUR 10,000, JPY 1,000,000."""
    odd = {currency: 10 ** (6 - exponent(currency)) for currency in currencies if exponent(currency) != 2}
    if not odd:
        return "10000"
    return f"CASE {column} " + " ".join(f"WHEN '{c}' THEN {n}" for c, n in sorted(odd.items())) + " ELSE 10000 END"


async def work_out(plan: Plan, *, keep_empty: bool = False) -> Counts:
    """Taxes and documents of the lines that are staged; payers that cannot be billed are parked with the reason.

    A document of nothing that activates nothing is left out, its charges are waived; by hand (`keep_empty`) it is made.
    """
    counts = await _counts(plan)
    if counts.problems:
        await execute(PARK_PROBLEMS)
        await _drop_parked()
        counts = await _counts(plan)
    if not counts.lines:
        return counts
    foreign = await _foreign(plan) if counts.abroad else []
    if foreign and await _park_without_rate(plan, foreign):
        counts = await _counts(plan)
    net_first = plan.settings.inclusive_prices == "net"
    if plan.settings.tax_rounding == "line":
        _, negative = await staged_all((NET_FIRST_BY_LINE if net_first else BY_LINE, {}), (PARK_NEGATIVE, {}))
    else:
        taxes, shares = (NET_FIRST_TAXES, NET_FIRST_SHARES) if net_first else (TAXES, SHARES)
        _, negative, _ = await staged_all((taxes, {}), (PARK_NEGATIVE, {}), (shares, {}))
    if negative:
        await _drop_parked()
        await execute(f"DELETE FROM stage_tax WHERE {_PARKED}")
        counts = await _counts(plan)
    await staged(
        documents(next_id("stage_document", preview=plan.preview), plan.settings.cash_steps),
        issued_on=plan.issued_on,
        terms_days=plan.settings.terms_days,
        language=plan.scope.tenant.language,
        keep_empty=keep_empty,
    )
    for each in foreign:
        if plan.rates[each] is not None:
            await convert_documents(plan.base, each.currency, plan.rates[each], each.rated_on, plan.issued_on)
    return counts


async def _counts(plan: Plan) -> Counts:
    found = await row(Counts, COUNTS, base=plan.base)
    assert found is not None
    return found


async def _drop_parked() -> None:
    await execute(PARKED_AMOUNTS)
    await execute(f"DELETE FROM stage_line WHERE {_PARKED}")
    await execute(f"DELETE FROM stage_due WHERE {_PARKED}")


async def _foreign(plan: Plan) -> list[_Foreign]:
    """Currencies of documents that are not the tenant's, and their tax dates, at the latest the day of issue; the rates
    of these days are looked up once a run."""
    found = [
        _Foreign(each.currency, each.rated_on - timedelta(days=1))
        for each in await rows(
            _Foreign,
            f"SELECT DISTINCT currency, {_RATED_UNTIL} AS rated_on FROM stage_line WHERE currency <> :base"
            " GROUP BY payer_id, currency, split_id ORDER BY currency, rated_on",
            base=plan.base,
            tomorrow=plan.values["tomorrow"],
        )
    ]
    for each in found:
        if each not in plan.rates:
            plan.rates[each] = await find_rate(each.currency, plan.base, each.rated_on)
    return found


_RATED_UNTIL: Final = (
    "CASE WHEN max(coalesce(tax_until, :tomorrow::date)) < :tomorrow::date"
    " THEN max(coalesce(tax_until, :tomorrow::date)) ELSE :tomorrow::date END"
)


async def _park_without_rate(plan: Plan, foreign: Sequence[_Foreign]) -> int:
    """Payers in a currency whose rate nobody entered."""
    parked = 0
    for each in foreign:
        if plan.rates[each] is None:
            parked += await execute(
                "INSERT INTO stage_parked (payer_id, reason) SELECT DISTINCT payer_id, 'no_fx_rate' FROM ("
                "SELECT payer_id FROM stage_line WHERE currency = :currency GROUP BY payer_id, split_id"
                f" HAVING {_RATED_UNTIL} = :until::date) d"
                " WHERE payer_id NOT IN (SELECT payer_id FROM stage_parked)",
                currency=each.currency,
                until=each.rated_on + timedelta(days=1),
                tomorrow=plan.values["tomorrow"],
            )
    if parked:
        await _drop_parked()
    return parked


async def convert_documents(
    base: str, currency: str, rate_e10: int | None, rated_on: date | None = None, issued_on: date | None = None
) -> None:
    """The amounts of staged documents in the tenant's currency, by the official rate: exact, so not in SQL.

    `rated_on`: only those of this tax date, or of a later one where it is the day of issue.

    A total is converted once and its parts come to it, so that each transaction sums to zero in both.
    """
    assert rate_e10 is not None
    days: dict[str, Any] = {}
    which = "TRUE"
    if rated_on is not None:
        days["rated_on"] = rated_on
        which = "d.tax_on = :rated_on" if rated_on != issued_on else "d.tax_on >= :rated_on"
    lines = await rows(
        _ForeignLine,
        "SELECT l.id, d.id AS document_id, l.net_minor, l.tax_minor, d.rounding_minor, l.deferred_minor"
        " FROM stage_line l"
        " JOIN stage_document d ON d.payer_id = l.payer_id AND d.currency = l.currency AND d.split_id = l.split_id"
        f" WHERE d.currency = :currency AND {which} ORDER BY d.id, l.id",
        currency=currency,
        **days,
    )
    by_document: dict[int, list[_ForeignLine]] = {}
    for line in lines:
        by_document.setdefault(line.document_id, []).append(line)
    converted: list[dict[str, Any]] = []
    totals: list[dict[str, Any]] = []
    for document_id, some in by_document.items():
        amounts = [part for line in some for part in (line.net_minor, line.tax_minor)]
        amounts.append(some[0].rounding_minor)
        total, shares = convert_parts(amounts, currency, base, rate_e10)
        parts = iter(shares)
        for line in some:
            net, tax = next(parts), next(parts)
            earned = line.net_minor - line.deferred_minor
            deferred, _ = allocate(net, [line.deferred_minor, earned])
            converted.append({"id": line.id, "net": net, "tax": tax, "deferred": deferred})
        totals.append({"id": document_id, "base": total, "rounding": shares[-1], "rate": rate_e10})
    await execute_many(
        "UPDATE stage_line SET base_net_minor = :net, base_tax_minor = :tax, base_deferred_minor = :deferred"
        " WHERE id = :id",
        converted,
    )
    await execute_many(
        "UPDATE stage_document SET base_minor = :base, base_rounding_minor = :rounding, rate_e10 = :rate"
        " WHERE id = :id",
        totals,
    )
