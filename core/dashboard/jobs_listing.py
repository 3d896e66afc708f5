"""The list of jobs, as it is declared for its page and its exports: above all features, whose work it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from markupsafe import Markup

from core.customers.picking import customer_choice
from core.ids import sort_key
from core.jobs.kinds import KINDS
from core.jobs.queries import COLUMNS, JobRow
from core.jobs.status import FOR_A_PERSON, JobState
from core.jobs.tables import Job
from core.lists.columns import Condition, ListChoice, ListColumn
from core.lists.drawing import NOTHING, link, pill
from core.lists.listing import Choices, Listing
from core.lists.row_ends import RowEnds
from core.texts import N_, _, ngettext
from core.web.jobs_pages import label_of, running_job

if TYPE_CHECKING:
    from core.lists.drawing import Given
    from core.scope import Scope

PERSON: Final = "person"
"""What a person has to settle, as the list's address says it."""
LOOKS: Final = {
    JobState.DONE: "live",
    JobState.FAILED: "blocked",
    JobState.UNKNOWN: "warn",
    JobState.HELD: "warn",
    JobState.CANCELLED: "ended",
}
NEW: Final = "new"
CUSTOMER: Final = "LEFT JOIN customer list_customer ON list_customer.id = job.customer_id"
NEVER: Final = "'1970-01-01 00:00:00.000000+00:00'"
"""Where a job stands in an order that has not ended: as an instant is kept."""


class JobItem(JobRow, frozen=True):
    """A job in the list."""

    customer: str | None = None


def _among(states: Sequence[JobState]) -> str:
    """As the indexes of jobs say it, so that they are looked at."""
    named = ", ".join(f"'{state}'" for state in states)
    return f"job.state IN ({named})"


AT_WORK: Final = (JobState.RUNNING, JobState.SENDING)
FEW: Final = {state: f"{_among(some)} AND job.state = '{state}'" for some in (FOR_A_PERSON, AT_WORK) for state in some}
"""States of which there are few jobs, which stand in an index together."""


def state_words(state: JobState) -> str:
    return _(state.value.capitalize())


async def job_choices(scope: Scope, address: Mapping[str, str]) -> Choices:
    """What columns of choices can be filtered by, with the customer that this address asks for."""
    kinds = sorted((label_of(kind), kind) for kind in KINDS)
    return {
        "state": [
            ListChoice(PERSON, _("For you to settle"), sql=_among(FOR_A_PERSON), tone="bad"),
            ListChoice("work", _("At work"), sql=_among(AT_WORK)),
            *(
                ListChoice(state.value, state_words(state), state.value, sql=FEW.get(state, f"job.state = '{state}'"))
                for state in JobState
            ),
        ],
        "kind": [ListChoice(kind, label, kind) for label, kind in kinds],
        **await customer_choice(scope, address, "customer_id"),
    }


def job_search(typed: str) -> Condition | None:
    """By what kind of work it is."""
    key = sort_key(typed)
    found = [kind for kind in KINDS if key and key in sort_key(label_of(kind))]
    return Condition("job.kind IN :sought_kinds", {"sought_kinds": found}) if found else None


def _what(row: JobItem, given: Given) -> Markup:
    return Markup('{} <span class="t-id t-2">{}</span>').format(link(f"/jobs/{row.id}", label_of(row.kind)), row.id)


def _how_far(row: JobItem) -> str:
    shown = running_job(row)
    return f"{shown.detail} {shown.text}".strip()


def _customer(row: JobItem, given: Given) -> Markup:
    if row.customer_id is None:
        return NOTHING
    return link(f"/customers/{row.customer_id}", row.customer or str(row.customer_id))


async def ends_of(scope: Scope, rows: Sequence[JobItem]) -> RowEnds:
    """The menu of what may be done with it."""
    return RowEnds(
        {"": ()},
        kind_of=lambda row: "",
        name_of=lambda row: f"{label_of(row.kind)} {row.id}",
        menu="/jobs/{id}/row-menu",
        page="/jobs/{id}",
    )


JOBS: Final = Listing(
    key="jobs",
    href="/jobs",
    permission="jobs.view",
    title=N_("Work in progress"),
    noun="job",
    counted=lambda many: ngettext("%(num)s piece of work", "%(num)s pieces of work", many),
    placeholder=N_("What kind of work"),
    none=(
        N_("Nothing is at work"),
        N_("What takes a while is shown here while it runs, and for some time after."),
    ),
    no_match=N_("No work matches"),
    table=Job,
    into=JobItem,
    select=f"SELECT {COLUMNS}, customer.full_name AS customer FROM job"
    " LEFT JOIN customer ON customer.id = job.customer_id",
    sort="-id",
    search=job_search,
    choices=job_choices,
    link=lambda row: f"/jobs/{row.id}",
    name_of=lambda row: f"{label_of(row.kind)} {row.id}",
    ends=ends_of,
    first_views={N_("At work"): {"state": "work"}, N_("For you to settle"): {"state": PERSON}},
    columns=(
        ListColumn(
            key="kind",
            label=N_("What"),
            expr="job.kind",
            kind="choice",
            value=lambda row: label_of(row.kind),
            cell=_what,
            cls="t-clip wide",
        ),
        ListColumn(
            key="state",
            label=N_("State"),
            expr="job.state",
            kind="choice",
            role="c-status",
            value=lambda row: state_words(row.state),
            cell=lambda row, given: pill(given.value, LOOKS.get(row.state, NEW)),
        ),
        ListColumn(key="progress", label=N_("How far"), role="c-meta", cls="t-clip", value=_how_far),
        ListColumn(
            key="customer",
            label=N_("Customer"),
            expr="coalesce(list_customer.name_key, '')",
            keyed=True,
            join=CUSTOMER,
            shown=False,
            value=lambda row: row.customer or "",
            cell=_customer,
        ),
        ListColumn(
            key="begun",
            label=N_("Begun"),
            expr="coalesce(job.started_at, job.created_at)",
            kind="datetime",
            value=lambda row: row.started_at or row.created_at,
        ),
        ListColumn(
            key="ended",
            label=N_("Ended"),
            expr="job.finished_at",
            by=f"coalesce(job.finished_at, {NEVER})",
            kind="datetime",
            field="finished_at",
            shown=False,
        ),
        ListColumn(
            key="due", label=N_("Due"), expr="job.due_at", kind="datetime", field="due_at", sorts=False, shown=False
        ),
        ListColumn(key="attempts", label=N_("Attempts"), expr="job.attempts", kind="number", shown=False),
        ListColumn(
            key="error",
            label=N_("Why it stopped"),
            expr="coalesce(job.error, '')",
            sorts=False,
            shown=False,
            value=lambda row: row.error or "",
            cls="t-clip wide",
        ),
        ListColumn(key="id", label=N_("Id"), expr="job.id", kind="number", shown=False),
        ListColumn(
            key="customer_id", label=N_("Customer"), expr="job.customer_id", kind="choice", sorts=False, drawn=False
        ),
    ),
)
