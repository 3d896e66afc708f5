"""The list of billing runs, and two behind it: accounts that could not be billed, and renewals of what is prepaid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from core.billing.queries import PARKED, RENEWAL, RUN, runs_beside
from core.billing.run_pages import MEND, PILLS, Against, against, parked_item, pill_of, totals_in_words
from core.billing.schemas import ParkedRow, RenewalRow, RunRow
from core.billing.tables import BillingParked, BillingRun, PrepaidRenewal
from core.billing.writing import REASONS, parked_reason
from core.customers.picking import customer_choice, of_customer_named
from core.errors import Invalid
from core.ids import sort_key
from core.lists.columns import Condition, ListChoice, ListColumn, Loaded
from core.lists.drawing import NOTHING, link, pill
from core.lists.listing import Choices, Listing
from core.periods import Cycle, nth
from core.staff.queries import names_of
from core.texts import N_, _, ngettext, number
from core.web.templating import written

if TYPE_CHECKING:
    from core.lists.drawing import Given
    from core.scope import Scope

_PAYER: Final = "JOIN customer list_payer ON list_payer.id = billing_parked.payer_id"
_CUSTOMER: Final = "JOIN customer list_customer ON list_customer.id = prepaid_renewal.customer_id"
LATEST: Final = "'9999-12-31'"
NEVER: Final = "'1970-01-01 00:00:00.000000+00:00'"
"""Where a run that is not finished stands in an order: as an instant is kept."""


def _run_of(address: Mapping[str, str]) -> int | None:
    """The run that an address asks for."""
    asked = address.get("run", "")
    if not asked:
        return None
    if not asked.isdecimal() or len(asked) > 18:
        raise Invalid(_("Give the id of a billing run."), field="run")
    return int(asked)


def _run_choice(run_id: int, sql: str, values: Mapping[str, object]) -> list[ListChoice]:
    return [ListChoice(str(run_id), _("Run %(id)s", id=run_id), sql=sql, values=values)]


# -- billing runs -----------------------------------------------------------------------------------------------------


async def _run_choices(scope: Scope, address: Mapping[str, str]) -> Choices:
    return {"state": [ListChoice(key, one.label, key) for key, one in PILLS.items()]}


def _run_search(typed: str) -> Condition | None:
    """By the id, by the day that it billed to, or by its month."""
    if typed.isdecimal() and len(typed) <= 18:
        return Condition("billing_run.id = :run_id", {"run_id": int(typed)})
    try:
        first = date.fromisoformat(f"{typed}-01" if len(typed) == 7 else typed)
        last = nth(first, Cycle("month"), 1) - timedelta(days=1) if len(typed) == 7 else first
    except (ValueError, OverflowError):
        return None
    return Condition(
        "billing_run.as_of_on >= :run_from AND billing_run.as_of_on <= :run_to", {"run_from": first, "run_to": last}
    )


async def _load_beside(scope: Scope, run_ids: Sequence[int], keys: Sequence[str]) -> Loaded:
    """Each run against the one that it is measured by, which may stand on another page; and who began it."""
    found = {one.id: one for one in await runs_beside(scope, run_ids)}
    shown = [found[one] for one in run_ids if one in found]
    names = await names_of({one.actor for one in shown})
    return Loaded(
        {
            "against": {one.id: against(one, found.values()) for one in shown},
            "by": {one.id: names[one.actor] for one in shown},
        }
    )


def _billed_to(row: RunRow, given: Given) -> Markup:
    """On a phone with what came of it."""
    told = ngettext("%(num)s invoice", "%(num)s invoices", row.invoices)
    return Markup('{} <span class="t-id t-2">{}</span><span class="only-phone t-2"> · {}</span>').format(
        link(f"/billing/runs/{row.id}", written(row.as_of_on, given.scope.locale)), row.id, told
    )


def _each_below(texts: Sequence[str]) -> Markup:
    return Markup("<br>").join(texts) if texts else NOTHING


def _against(row: RunRow, given: Given) -> Markup:
    found: Against | None = given.value
    if found is None:
        return NOTHING
    if not found.unusual:
        return _each_below(found.changes)
    return _each_below([Markup('<span class="t-flag">{}</span>').format(one) for one in found.changes])


def _parked(row: RunRow, given: Given) -> Markup:
    """Leads to those of this run."""
    if not row.parked:
        return Markup('<span class="t-2">0</span>')
    return Markup('<a class="t-count warn" href="/billing/parked?run={}">{}</a>').format(row.id, number(row.parked))


RUNS: Final = Listing(
    key="runs",
    href="/billing/runs",
    permission="billing.view",
    title=N_("Billing runs"),
    noun="run",
    placeholder=N_("Id, day or month: 2026-11"),
    none=(
        N_("No billing runs yet"),
        N_("What is due by a date becomes invoices. A run shows first what it would do."),
    ),
    no_match=N_("No billing run matches"),
    table=BillingRun,
    into=RunRow,
    select=RUN,
    sort="-id",
    search=_run_search,
    choices=_run_choices,
    link=lambda row: f"/billing/runs/{row.id}",
    name_of=lambda row: str(row.id),
    heads={"total": "t-num c-amount", "against": "t-num"},
    columns=(
        ListColumn(
            key="date",
            label=N_("Billed up to"),
            expr="billing_run.as_of_on",
            indexed=True,
            kind="date",
            field="as_of_on",
            cls="t-nowrap",
            cell=_billed_to,
        ),
        ListColumn(
            key="state",
            label=N_("State"),
            expr="billing_run.state",
            kind="choice",
            role="c-status",
            cell=lambda row, given: pill(pill_of(row).label, pill_of(row).kind),
        ),
        ListColumn(key="invoices", label=N_("Invoices"), expr="billing_run.invoices", kind="number"),
        ListColumn(
            key="total",
            label=N_("Total"),
            role="c-amount",
            cls="t-num",
            value=totals_in_words,
            cell=lambda row, given: _each_below(given.value),
        ),
        ListColumn(key="against", label=N_("Against last"), load=_load_beside, cls="t-num", cell=_against),
        ListColumn(key="parked", label=N_("Parked"), expr="billing_run.parked", kind="number", cell=_parked),
        ListColumn(key="by", label=N_("By"), load=_load_beside),
        ListColumn(
            key="begun",
            label=N_("Begun"),
            expr="billing_run.started_at",
            kind="datetime",
            field="started_at",
            role="c-meta",
        ),
        ListColumn(
            key="finished",
            label=N_("Finished"),
            expr="billing_run.finished_at",
            by=f"coalesce(billing_run.finished_at, {NEVER})",
            kind="datetime",
            field="finished_at",
            shown=False,
        ),
        ListColumn(
            key="issued",
            label=N_("Issued on"),
            expr="billing_run.issued_on",
            kind="date",
            field="issued_on",
            shown=False,
        ),
        ListColumn(
            key="lines", label=N_("Lines"), expr="billing_run.charges", kind="number", field="charges", shown=False
        ),
        ListColumn(key="renewed", label=N_("Prepaid, renewed"), expr="billing_run.renewed", kind="number", shown=False),
        ListColumn(
            key="not_covered",
            label=N_("Prepaid, not covered"),
            expr="billing_run.not_covered",
            kind="number",
            shown=False,
        ),
        ListColumn(key="id", label=N_("Id"), expr="billing_run.id", kind="number", shown=False),
    ),
)


# -- parked accounts --------------------------------------------------------------------------------------------------


async def _parked_choices(scope: Scope, address: Mapping[str, str]) -> Choices:
    choices = {
        "state": [
            ListChoice("parked", _("Parked"), sql="billing_parked.resolved_at IS NULL", tone="warn"),
            ListChoice("resolved", _("Resolved"), sql="billing_parked.resolved_at IS NOT NULL"),
        ],
        "reason": [ListChoice(key, parked_reason(key), key) for key in REASONS],
    }
    if run_id := _run_of(address):
        choices["run"] = _run_choice(run_id, "billing_parked.run_id = :list_run", {"list_run": run_id})
    return choices | await customer_choice(scope, address, "payer_id")


def _why(row: ParkedRow) -> str:
    return parked_item(row.payer_id, row.payer, row.reason, row.detail).why


def _way_out(row: ParkedRow, given: Given) -> Markup:
    """Where it is mended, and the button that tries it again."""
    if row.resolved_at is not None:
        return NOTHING
    label, href = MEND.get(row.reason, ("", ""))
    mend = link(href, _(label)) if href else link(parked_item(row.payer_id, row.payer, row.reason).href, _("Mend"))
    if not given.scope.may("billing.run"):
        return mend
    return Markup(
        '{} · <a href="/billing/parked/{}/retry" hx-get="/billing/parked/{}/retry" hx-target="#plan"'
        ' hx-swap="innerHTML">{}</a>'
    ).format(mend, row.id, row.id, _("Try again…"))


def _parked_search(typed: str) -> Condition | None:
    key = sort_key(typed)
    return of_customer_named("billing_parked.payer_id", key) if key else None


PARKED_ACCOUNTS: Final = Listing(
    key="parked",
    href="/billing/parked",
    permission="billing.view",
    title=N_("Parked accounts"),
    noun="account",
    counted=lambda many: ngettext("%(num)s account", "%(num)s accounts", many),
    placeholder=N_("Customer's name"),
    none=(N_("No parked accounts"), N_("Whom a billing run cannot bill is set aside here, with the reason.")),
    no_match=N_("No account is parked"),
    table=BillingParked,
    into=ParkedRow,
    select=PARKED,
    sort="-id",
    search=_parked_search,
    choices=_parked_choices,
    link=lambda row: f"/customers/{row.payer_id}",
    name_of=lambda row: row.payer,
    currency=lambda row: row.currency or "",
    columns=(
        ListColumn(
            key="customer",
            label=N_("Customer"),
            expr="list_payer.name_key",
            keyed=True,
            join=_PAYER,
            field="payer",
            cls="t-clip wide",
        ),
        ListColumn(
            key="reason",
            label=N_("Reason"),
            expr="billing_parked.reason",
            kind="choice",
            role="c-meta",
            cls="t-wrap",
            value=_why,
        ),
        ListColumn(key="since", label=N_("Since"), kind="datetime", field="parked_at"),
        ListColumn(
            key="amount",
            label=N_("Not billed, net"),
            expr="coalesce(billing_parked.amount_minor, 0)",
            kind="amount",
            role="c-amount",
            value=lambda row: row.amount_minor,
        ),
        ListColumn(
            key="way_out",
            label=N_("Way out"),
            sorts=False,
            role="c-way",
            value=lambda row: "",
            cell=_way_out,
            cls="t-nowrap",
        ),
        ListColumn(key="tried", label=N_("Tried again"), kind="datetime", field="tried_at", shown=False),
        ListColumn(key="resolved", label=N_("Resolved"), kind="datetime", field="resolved_at", shown=False),
        ListColumn(key="id", label=N_("Id"), expr="billing_parked.id", kind="number", shown=False),
        ListColumn(key="currency", label=N_("Currency"), value=lambda row: row.currency or "", shown=False),
        ListColumn(
            key="state",
            label=N_("State"),
            expr="billing_parked.id",
            kind="choice",
            sorts=False,
            shown=False,
            value=lambda row: _("Resolved") if row.resolved_at else _("Parked"),
        ),
        ListColumn(
            key="run",
            label=N_("Billing run"),
            expr="billing_parked.run_id",
            kind="choice",
            sorts=False,
            drawn=False,
        ),
        ListColumn(
            key="payer_id",
            label=N_("Customer"),
            expr="billing_parked.payer_id",
            kind="choice",
            sorts=False,
            drawn=False,
        ),
    ),
)


# -- prepaid renewals -------------------------------------------------------------------------------------------------

_SHORT_IN: Final = "prepaid_renewal.first_short_run_id <= :list_run AND prepaid_renewal.last_short_run_id >= :list_run"
_RENEWED_IN: Final = "prepaid_renewal.renewed_run_id = :list_run"


async def _renewal_choices(scope: Scope, address: Mapping[str, str]) -> Choices:
    """Of a run: what it renewed, and what it found not covered, whatever came of that later."""
    run_id = _run_of(address)
    given = {"list_run": run_id} if run_id else {}
    renewed = _RENEWED_IN if run_id else "prepaid_renewal.renewed_on IS NOT NULL"
    short = f"({_SHORT_IN})" if run_id else "prepaid_renewal.renewed_on IS NULL"
    choices = {
        "outcome": [
            ListChoice("renewed", _("Renewed"), sql=renewed, values=given),
            ListChoice("not_covered", _("Not covered"), sql=short, values=given, tone="warn"),
        ]
    }
    if run_id:
        choices["run"] = _run_choice(run_id, f"({_RENEWED_IN} OR {_SHORT_IN})", given)
    return choices | await customer_choice(scope, address, "customer_id")


def _renewal_search(typed: str) -> Condition | None:
    key = sort_key(typed)
    return of_customer_named("prepaid_renewal.customer_id", key) if key else None


def _outcome(row: RenewalRow) -> str:
    return _("Renewed") if row.renewed_on else _("Not covered")


PREPAID_RENEWALS: Final = Listing(
    key="renewals",
    href="/billing/renewals",
    permission="billing.view",
    title=N_("Prepaid renewals"),
    noun="renewal",
    placeholder=N_("Customer's name"),
    none=(
        N_("No prepaid renewals yet"),
        N_("Each time that something prepaid is to go on, it stands here whether the balance covered it."),
    ),
    no_match=N_("No renewal matches"),
    table=PrepaidRenewal,
    into=RenewalRow,
    select=RENEWAL,
    sort="-id",
    search=_renewal_search,
    choices=_renewal_choices,
    link=lambda row: f"/subscriptions/{row.subscription_id}",
    name_of=lambda row: row.product,
    currency=lambda row: row.currency,
    columns=(
        ListColumn(
            key="customer",
            label=N_("Customer"),
            expr="list_customer.name_key",
            keyed=True,
            join=_CUSTOMER,
            cls="t-clip wide",
            cell=lambda row, given: link(f"/customers/{row.customer_id}", row.customer),
        ),
        ListColumn(
            key="product",
            label=N_("Subscription"),
            cls="t-clip wide",
            role="c-meta",
            cell=lambda row, given: link(f"/subscriptions/{row.subscription_id}", row.product),
        ),
        ListColumn(
            key="outcome",
            label=N_("Outcome"),
            expr="prepaid_renewal.id",
            kind="choice",
            sorts=False,
            role="c-status",
            value=_outcome,
            cell=lambda row, given: pill(_outcome(row), "live" if row.renewed_on else "warn"),
        ),
        ListColumn(
            key="due",
            label=N_("Due"),
            expr="prepaid_renewal.period_start",
            kind="date",
            field="period_start",
        ),
        ListColumn(
            key="short",
            label=N_("Not covered since"),
            expr="prepaid_renewal.short_on",
            by=f"coalesce(prepaid_renewal.short_on, {LATEST})",
            kind="date",
            field="short_on",
        ),
        ListColumn(
            key="renewed",
            label=N_("Renewed on"),
            expr="prepaid_renewal.renewed_on",
            by=f"coalesce(prepaid_renewal.renewed_on, {LATEST})",
            kind="date",
            field="renewed_on",
        ),
        ListColumn(
            key="missing",
            label=N_("Missing"),
            expr="prepaid_renewal.missing_minor",
            kind="amount",
            value=lambda row: row.missing_minor or None,
        ),
        ListColumn(
            key="total",
            label=N_("Amount"),
            expr="prepaid_renewal.total_minor",
            kind="amount",
            field="total_minor",
            role="c-amount",
        ),
        ListColumn(
            key="invoice",
            label=N_("Invoice"),
            cls="t-nowrap",
            value=lambda row: row.number or "",
            cell=lambda row, given: (
                link(f"/invoices/{row.document_id}", row.number or str(row.document_id)) if row.document_id else NOTHING
            ),
        ),
        ListColumn(key="id", label=N_("Id"), expr="prepaid_renewal.id", kind="number", shown=False),
        ListColumn(key="currency", label=N_("Currency"), expr="prepaid_renewal.currency", shown=False),
        ListColumn(
            key="run",
            label=N_("Billing run"),
            expr="prepaid_renewal.id",
            kind="choice",
            sorts=False,
            drawn=False,
        ),
        ListColumn(
            key="customer_id",
            label=N_("Customer"),
            expr="prepaid_renewal.customer_id",
            kind="choice",
            sorts=False,
            drawn=False,
        ),
    ),
)
