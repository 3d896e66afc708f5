"""The users and contacts of a customer as sections and forms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from core.customers.schemas import ContactFields, ContactRow, UserFields
from core.texts import N_, _
from core.web.parts import Choice, Conflict, Difference, Field, Removal, Section, spoken

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from core.errors import Stale

LABELS: Final = {
    "salutation": N_("Salutation"),
    "first_name": N_("First name"),
    "surname": N_("Surname"),
    "email": N_("E-mail"),
    "role": N_("Role"),
    "phone": N_("Phone"),
    "gets_invoices": N_("Gets invoices"),
    "gets_reminders": N_("Gets reminders"),
    "gets_statements": N_("Gets statements"),
    "note": N_("Note"),
}
EMAIL_WARNING: Final = N_("Changed at once, it sends no confirmation, and the user may not be able to log in any more.")
CHANGES: Final = (
    Choice("confirmed", N_("Once it is confirmed at the new address")),
    Choice("now", N_("At once, without confirmation")),
)
LEAVES_USER: Final = N_("The user cannot log in to the portal any more.")
LEAVES_CONTACT: Final = N_("No document goes there any more.")


def fields_of(person: ContactRow | None, *, is_user: bool, customer_id: int = 0) -> list[Field]:
    """The fields of a user, or of a contact; empty ones for somebody new."""

    def field(name: str, kind: str = "text", help: str = "", *, required: bool = False, length: int = 100) -> Field:
        now = getattr(person, name) if person is not None else ""
        value = "yes" if now is True else "" if now is False else now
        return Field(
            name=name,
            label=_(LABELS[name]),
            value=value,
            kind=kind,
            help=help,
            required=required,
            max_length=length,
            autocomplete="off",
        )

    names = [field("salutation", length=60), field("first_name"), field("surname")]
    if is_user:
        if person is None:
            about = _("The user logs in to the portal with it")
            return [*names, field("email", "email", about, required=True, length=254)]
        return [
            *names,
            _email_of(person, customer_id),
            Field(
                name="change_email",
                label=_("New e-mail"),
                value="confirmed",
                kind="select",
                choices=spoken(CHANGES),
                help=_(EMAIL_WARNING),
                only_edited=True,
            ),
        ]
    return [
        *names,
        field("role", help=_("What for: accounts, on site, technician")),
        field("email", "email", length=254),
        field("phone", "tel", length=60),
        field("gets_invoices", "check"),
        field("gets_reminders", "check"),
        field("gets_statements", "check"),
        field("note", "textarea", length=2000),
    ]


def _email_of(person: ContactRow, customer_id: int) -> Field:
    """With the new one that is not confirmed yet, and the ways to send the link again and to give it up."""
    href = f"/customers/{customer_id}/contacts/{person.id}/email-change"
    name = "email"
    return Field(
        name=name,
        label=_(LABELS[name]),
        value=person.email,
        kind="email",
        required=True,
        max_length=254,
        autocomplete="off",
        part="customers/_user_email.html" if person.pending_email else "",
        given={
            "pending": person.pending_email,
            "since": person.pending_since,
            "href": href,
            "target": f"#sec-contact-{person.id}",
        },
    )


def section_of(customer_id: int, person: ContactRow, *, editable: bool) -> Section:
    """Somebody, read and edited in one grid."""
    href = f"/customers/{customer_id}/contacts/{person.id}"
    return Section(
        key=f"contact-{person.id}",
        title=person.name,
        noun=person.name,
        href=href,
        fields=fields_of(person, is_user=person.is_user, customer_id=customer_id),
        version=person.version,
        editable=editable,
        removal=Removal(
            label=_("Remove %(name)s", name=person.name),
            href=href,
            target="#people",
            question=_("Remove %(name)s? The user cannot log in to the portal any more.", name=person.name)
            if person.is_user
            else _("Remove %(name)s? No document goes there any more.", name=person.name),
        ),
    )


def conflict_of(error: Stale, by: str, at: datetime | None) -> Conflict:
    """What somebody else saved meanwhile, beside what was typed."""
    return Conflict(
        by=by,
        at=at,
        differences=[
            Difference(
                field=name,
                label=_(LABELS[name]),
                theirs=_sent(theirs),
                yours=_sent(yours),
                theirs_shown=_read(theirs),
                yours_shown=_read(yours),
            )
            for name, (theirs, yours) in error.fields.items()
        ],
    )


def _sent(value: Any) -> str:
    return "yes" if value is True else "" if value is False else str(value)


def _read(value: Any) -> str:
    return _("Yes") if value is True else _("No") if value is False else str(value)


def known(typed: Mapping[str, list[str]], *, is_user: bool) -> dict[str, list[str]]:
    """What was typed into the fields, without the version beside them."""
    names = (UserFields if is_user else ContactFields).__struct_fields__
    return {name: texts for name, texts in typed.items() if name in names}
