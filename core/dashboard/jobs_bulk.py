"""What can be done to many jobs at once: started again, cancelled, taken away as a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from core.dashboard.jobs_listing import JOBS
from core.hooks import BulkAction, Effect, NothingToAsk, hookimpl
from core.jobs import actions
from core.jobs.queries import get_job
from core.jobs.status import JobState
from core.lists.taking import taking
from core.texts import N_, _
from core.web.jobs_pages import label_of

if TYPE_CHECKING:
    from core.scope import Scope


async def _start_again(scope: Scope, form: NothingToAsk, job_id: int) -> Sequence[Effect]:
    job = await get_job(scope, job_id)
    await actions.start_again(scope, job_id)
    match job.state:
        case JobState.UNKNOWN:
            text = _("%(work)s: is done again, though it may have been done already", work=label_of(job.kind))
        case JobState.HELD:
            text = _("%(work)s: is done, though this is a copy of a tenant", work=label_of(job.kind))
        case _state:
            text = _("%(work)s: is done again", work=label_of(job.kind))
    return (Effect(kind="service", text=text),)


async def _cancel(scope: Scope, form: NothingToAsk, job_id: int) -> Sequence[Effect]:
    job = await get_job(scope, job_id)
    if job.state == JobState.CANCELLED or job.is_ending:
        return ()
    await actions.cancel_job(scope, job_id)
    if job.state == JobState.RUNNING:
        text = _("%(work)s: ends at its next step", work=label_of(job.kind))
    else:
        text = _("%(work)s: is not done", work=label_of(job.kind))
    return (Effect(kind="service", text=text),)


ACTIONS: Final[tuple[BulkAction[Any], ...]] = (
    BulkAction(
        key="jobs.start_again",
        label=N_("Start again"),
        verb=N_("Start again"),
        title=N_("Start work again"),
        icon="refresh",
        permission="jobs.edit",
        form=NothingToAsk,
        do=_start_again,
        place=10,
    ),
    BulkAction(
        key="jobs.cancel",
        label=N_("Cancel"),
        verb=N_("Cancel this work"),
        title=N_("Cancel work"),
        icon="ban",
        permission="jobs.edit",
        form=NothingToAsk,
        do=_cancel,
        danger=True,
        place=70,
    ),
    taking(JOBS),
)


@hookimpl
async def bulk_actions(listing: str) -> Sequence[BulkAction[Any]]:
    """Starting many jobs again, cancelling them, taking them away."""
    return ACTIONS if listing == JOBS.key else ()
