"""The list of jobs as a page, and the menus at the ends of its rows. One job by itself: `core.web.jobs_pages`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from litestar import Response
from litestar.params import FromPath

from core.dashboard.jobs_listing import JOBS, state_words
from core.jobs.queries import get_job
from core.texts import _, pgettext
from core.web.jobs_pages import label_of
from core.web.parts import MenuEntry
from core.web.routing import get
from core.web.view import View

if TYPE_CHECKING:
    from core.jobs.queries import JobRow


@get("/jobs", permission="jobs.view")
async def list_jobs(view: View) -> Response[str]:
    return await JOBS.page(view, "dashboard/jobs.html")


@get("/jobs/{job_id:int}/row-menu", permission="jobs.view")
async def show_row_menu(view: View, job_id: FromPath[int]) -> Response[str]:
    """Into the menu that opens at the end of a row; without scripts the job's page has the same."""
    job = await get_job(view.scope, job_id)
    if not view.is_htmx:
        return view.go(f"/jobs/{job_id}")
    groups = [[MenuEntry(label=pgettext("verb", "Open"), icon="eye", href=f"/jobs/{job_id}")]]
    if view.scope.may("jobs.edit"):
        groups.append(_deeds(job))
    return view.page("lists/_row_menu.html", label=label_of(job.kind), groups=groups)


def _deeds(job: JobRow) -> list[MenuEntry]:
    """What may be done with it, the rest greyed."""
    refused = _("It is: %(state)s", state=state_words(job.state))
    return [
        MenuEntry(
            label=_("Start again"),
            icon="refresh",
            refused="" if job.may_be_repeated else refused,
            attrs={"hx-post": f"/jobs/{job.id}/repetition", "hx-swap": "none"},
        ),
        MenuEntry(
            label=_("Cancel this work"),
            icon="ban",
            danger=True,
            refused="" if job.may_be_cancelled else _("Its end is asked for already") if job.is_ending else refused,
            attrs={"hx-post": f"/jobs/{job.id}/cancellation", "hx-swap": "none"},
        ),
    ]


HANDLERS: Final = (list_jobs, show_row_menu)
