"""Mail to users of customers about their own account: a new e-mail is confirmed where it is, the old one is told."""

from __future__ import annotations

from typing import Final

from core.customers.schemas import EmailConfirmMail, EmailNoticeMail
from core.messages.kinds import MessageKind, Words
from core.texts import N_

USER_EMAIL_CONFIRM: Final = MessageKind(
    key="user_email_confirm",
    label=N_("New e-mail of a user"),
    fields=EmailConfirmMail,
    sample=EmailConfirmMail(
        name="Siobhán Kavanagh-Reyes",
        company="Marlbeck Net",
        email="siobhan@new.example",
        link="https://marlbeck.example/email/a1b2c3",
        minutes=60,
    ),
    about=N_("Sent to the new address of a user, who confirms it by a link"),
    sealed=True,
    words={
        "en": Words(
            subject="{{ company }}: confirm your new e-mail address",
            body=(
                "Dear {{ name }},\n\n"
                "{{ email }} is to be your e-mail address at {{ company }}. Confirm it here:\n\n{{ link }}\n\n"
                "The link works once, for {{ minutes }} minutes. If you do not know of this, leave it: nothing "
                "changes.\n\n"
                "Kind regards\n{{ company }}"
            ),
        ),
        "de": Words(
            subject="{{ company }}: Bestätigen Sie Ihre neue E-Mail-Adresse",
            body=(
                "Guten Tag {{ name }},\n\n"
                "{{ email }} soll Ihre E-Mail-Adresse bei {{ company }} werden. Bestätigen Sie sie hier:\n\n"
                "{{ link }}\n\n"
                "Der Link gilt einmal, {{ minutes }} Minuten lang. Wissen Sie nichts davon, brauchen Sie nichts zu "
                "tun: Es ändert sich nichts.\n\n"
                "Freundliche Grüße\n{{ company }}"
            ),
        ),
    },
    names={"email": N_("The new address"), "link": N_("Link that confirms it"), "minutes": N_("How long it works")},
)

USER_EMAIL_NOTICE: Final = MessageKind(
    key="user_email_notice",
    label=N_("Change of a user’s e-mail"),
    fields=EmailNoticeMail,
    sample=EmailNoticeMail(
        name="Siobhán Kavanagh-Reyes",
        company="Marlbeck Net",
        old="siobhan@old.example",
        new="siobhan@new.example",
    ),
    about=N_("Sent to the address that a user has, when another one was asked for"),
    words={
        "en": Words(
            subject="{{ company }}: another e-mail address was asked for",
            body=(
                "Dear {{ name }},\n\n"
                "your e-mail address at {{ company }} is {{ old }}. It is to become {{ new }}, as soon as that is "
                "confirmed there.\n\n"
                "If you do not want this, tell us at once.\n\n"
                "Kind regards\n{{ company }}"
            ),
        ),
        "de": Words(
            subject="{{ company }}: Eine andere E-Mail-Adresse wurde angefordert",
            body=(
                "Guten Tag {{ name }},\n\n"
                "Ihre E-Mail-Adresse bei {{ company }} ist {{ old }}. Sie soll {{ new }} werden, sobald das dort "
                "bestätigt ist.\n\n"
                "Wenn Sie das nicht möchten, sagen Sie es uns sofort.\n\n"
                "Freundliche Grüße\n{{ company }}"
            ),
        ),
    },
    names={"old": N_("The address so far"), "new": N_("The new address")},
)

MESSAGE_KINDS: Final = (USER_EMAIL_CONFIRM, USER_EMAIL_NOTICE)
