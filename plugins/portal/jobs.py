"""Mail of the portal. The link of a mail is made when the mail is: no job holds one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from core.activity.unit import unit_of_work
from core.jobs.kinds import Job, JobKind
from core.messages.actions import queue
from core.messages.kinds import MessageKind, Words
from core.messages.queries import mail_is_set_up
from core.texts import N_
from plugins.portal import queries
from plugins.portal.actions import LINK_LASTS, MAIL_LINK, make_link
from plugins.portal.schemas import ForgottenBy, PortalLinkMail

if TYPE_CHECKING:
    from core.scope import Scope

LINK_MAIL: Final = MessageKind(
    key="portal_link",
    label=N_("Password of the portal"),
    fields=PortalLinkMail,
    sample=PortalLinkMail(
        name="Siobhán Kavanagh-Reyes",
        company="Marlbeck Net",
        link="https://marlbeck.example/portal/link/a1b2c3",
        minutes=60,
    ),
    about=N_("Sent to a customer or a user of one who asks for a password of the portal"),
    sealed=True,
    words={
        "en": Words(
            subject="{{ company }}: choose your password",
            body=(
                "Dear {{ name }},\n\n"
                "a password for your account at {{ company }} was asked for. Choose it here:\n\n{{ link }}\n\n"
                "The link works once, for {{ minutes }} minutes. If it was not you who asked, leave it: nothing has "
                "changed.\n\n"
                "Kind regards\n{{ company }}"
            ),
        ),
        "de": Words(
            subject="{{ company }}: Wählen Sie Ihr Passwort",
            body=(
                "Guten Tag {{ name }},\n\n"
                "es wurde ein Passwort für Ihr Konto bei {{ company }} angefordert. Wählen Sie es hier:\n\n"
                "{{ link }}\n\n"
                "Der Link gilt einmal, {{ minutes }} Minuten lang. Waren Sie es nicht, brauchen Sie nichts zu tun: "
                "Es hat sich nichts geändert.\n\n"
                "Freundliche Grüße\n{{ company }}"
            ),
        ),
    },
    names={"link": N_("Link to choose a password by"), "minutes": N_("How long it works")},
)


async def mail_link(scope: Scope, job: Job[ForgottenBy]) -> None:
    """Mail a link to everybody that the typed name stands for. Nothing happens where nobody has it, or may not log in,
    nor where no mail can be sent."""
    if not await mail_is_set_up():
        return
    for entrance in await queries.find_entrances(job.payload.login):
        if not entrance.email or not entrance.may_log_in:
            continue
        async with unit_of_work(scope):
            token = await make_link(scope, entrance)
            await queue(
                scope,
                LINK_MAIL,
                to=[entrance.email],
                fields=PortalLinkMail(
                    name=entrance.name,
                    company=scope.tenant.name,
                    link=f"{scope.tenant.address}/portal/link/{token}",
                    minutes=int(LINK_LASTS.total_seconds() // 60),
                ),
                customer_id=entrance.customer_id,
                dedupe_key=f"portal-link:{job.id}:{job.attempt}:{entrance.customer_id}:{entrance.contact_id or 0}",
                language=entrance.language,
            )


JOBS: Final[tuple[JobKind[Any], ...]] = (
    JobKind(MAIL_LINK, ForgottenBy, mail_link, label=N_("Mail a link to a password of the portal")),
)
