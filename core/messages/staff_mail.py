"""Mail to the operator's own staff: a link to a password, and what happened to their account."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from core.messages.kinds import MessageKind, Words
from core.staff.schemas import LinkMail, NoticeMail
from core.texts import N_

_LINK: Final = LinkMail(
    name="Niamh Byrne", company="Harbour Net", link="https://harbour.example/welcome/a1b2c3", minutes=60
)

STAFF_INVITATION: Final = MessageKind(
    key="staff_invitation",
    label=N_("Invitation of a staff user"),
    fields=LinkMail,
    sample=_LINK,
    about=N_("Sent to somebody who was invited to work here"),
    sealed=True,
    words={
        "en": Words(
            subject="Your account at {{ company }}",
            body=(
                "Hello {{ name }},\n\n"
                "an account was made for you at {{ company }}. Choose a password, and you are in:\n\n{{ link }}\n\n"
                "The link works once, for {{ minutes }} minutes. If it is older, the page tells how "
                "to get a new one.\n\n"
                "Kind regards\n{{ company }}"
            ),
        ),
        "de": Words(
            subject="Ihr Zugang bei {{ company }}",
            body=(
                "Guten Tag {{ name }},\n\n"
                "bei {{ company }} wurde ein Zugang für Sie angelegt. Wählen Sie ein Passwort, dann "
                "sind Sie angemeldet:\n\n"
                "{{ link }}\n\n"
                "Der Link gilt einmal, {{ minutes }} Minuten lang. Ist er älter, sagt die Seite, wie "
                "Sie einen neuen bekommen.\n\n"
                "Freundliche Grüße\n{{ company }}"
            ),
        ),
    },
    names={"link": N_("Link to choose a password by"), "minutes": N_("How long it works")},
)

STAFF_RESET: Final = MessageKind(
    key="staff_reset",
    label=N_("New password of a staff user"),
    fields=LinkMail,
    sample=_LINK,
    about=N_("Sent to a staff user who has forgotten the password"),
    sealed=True,
    words={
        "en": Words(
            subject="{{ company }}: choose a new password",
            body=(
                "Hello {{ name }},\n\n"
                "a new password was asked for. Choose it here:\n\n{{ link }}\n\n"
                "The link works once, for {{ minutes }} minutes. If it was not you who asked, leave "
                "it: nothing has changed.\n\n"
                "Kind regards\n{{ company }}"
            ),
        ),
        "de": Words(
            subject="{{ company }}: neues Passwort wählen",
            body=(
                "Guten Tag {{ name }},\n\n"
                "es wurde ein neues Passwort angefordert. Wählen Sie es hier:\n\n{{ link }}\n\n"
                "Der Link gilt einmal, {{ minutes }} Minuten lang. Waren nicht Sie es, lassen Sie "
                "es: nichts hat sich geändert.\n\n"
                "Freundliche Grüße\n{{ company }}"
            ),
        ),
    },
    names={"link": N_("Link to choose a password by"), "minutes": N_("How long it works")},
)

STAFF_NOTICE: Final = MessageKind(
    key="staff_notice",
    label=N_("Change of a staff user’s account"),
    fields=NoticeMail,
    sample=NoticeMail(
        name="Niamh Byrne",
        company="Harbour Net",
        what=N_("Your password was changed."),
        at=datetime(2026, 12, 1, 14, 2, tzinfo=UTC),
    ),
    about=N_("Sent to a staff user when password, address or second factor changed"),
    words={
        "en": Words(
            subject="{{ company }}: your account was changed",
            body=(
                "Hello {{ name }},\n\n{{ what }} ({{ at }})\n\n"
                "If you do not know why, tell whoever manages the staff at {{ company }} at once.\n\n"
                "Kind regards\n{{ company }}"
            ),
        ),
        "de": Words(
            subject="{{ company }}: Ihr Zugang wurde geändert",
            body=(
                "Guten Tag {{ name }},\n\n{{ what }} ({{ at }})\n\n"
                "Wenn Sie nicht wissen, warum, sagen Sie es sofort der Person, die bei {{ company }} "
                "die Mitarbeiter verwaltet.\n\n"
                "Freundliche Grüße\n{{ company }}"
            ),
        ),
    },
    names={"what": N_("What changed"), "at": N_("When")},
)

MESSAGE_KINDS: Final = (STAFF_INVITATION, STAFF_RESET, STAFF_NOTICE)
