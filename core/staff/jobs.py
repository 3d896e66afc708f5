"""Mail to staff. The link of a mail is made when the mail is: no job holds one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from core.activity.unit import unit_of_work
from core.jobs.kinds import Job, JobKind
from core.messages.actions import queue
from core.messages.queries import mail_is_set_up
from core.staff import queries
from core.staff.actions import MAIL, MAILED_LASTS, make_mailed_link
from core.staff.schemas import LinkMail, MailNotice, MailStaff, NoticeMail
from core.texts import N_, _, speaking

if TYPE_CHECKING:
    from core.scope import Scope


async def mail_staff(scope: Scope, job: Job[MailStaff]) -> None:
    """Mail a link to a password; a second attempt mails a new one. Where nobody has the address, nothing happens, nor
    where no mail can be sent and nobody of the staff asked for it."""
    told = job.payload
    known = await (queries.find_known(told.staff_id) if told.staff_id else queries.find_by_email(told.email))
    anybody = not told.staff_id
    if known is None or (anybody and not await mail_is_set_up()):
        return
    async with unit_of_work(scope):
        made = await make_mailed_link(scope, known.id, beside=anybody)
        await queue(
            scope,
            "staff_reset" if known.password_hash else "staff_invitation",
            to=[known.email],
            fields=LinkMail(
                name=known.name,
                company=scope.tenant.name,
                link=f"{scope.tenant.address}/welcome/{made.token}",
                minutes=int(MAILED_LASTS.total_seconds() // 60),
            ),
            dedupe_key=f"staff-link:{job.id}:{job.attempt}",
            language=known.language,
        )


async def notify_staff(scope: Scope, job: Job[MailNotice]) -> None:
    """Tell a staff user what happened to its account, in its language."""
    known = await queries.find_anybody(job.payload.staff_id)
    if known is None:
        return
    with speaking(known.language or scope.tenant.language):
        what = _(job.payload.what)
    await queue(
        scope,
        "staff_notice",
        to=[job.payload.to or known.email],
        fields=NoticeMail(
            name=known.name,
            company=scope.tenant.name,
            what=what,
            at=scope.now(),
        ),
        dedupe_key=f"staff-notice:{job.id}",
        language=known.language,
    )


JOBS: Final[tuple[JobKind[Any], ...]] = (
    JobKind(MAIL, MailStaff, mail_staff, label=N_("Mail a link to a staff user")),
    JobKind("notify_staff", MailNotice, notify_staff, label=N_("Tell a staff user of a change")),
)
