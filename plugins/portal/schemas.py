"""What pages of the portal take and give, and what its mail says."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from msgspec import Meta, Struct

from core.ids import Id

Text = Annotated[str, Meta(max_length=200)]


class LogIn(Struct, forbid_unknown_fields=True, frozen=True):
    login: Annotated[str, Meta(max_length=254)] = ""
    password: Annotated[str, Meta(max_length=200)] = ""
    next: Annotated[str, Meta(max_length=1000)] = ""


class Forgotten(Struct, forbid_unknown_fields=True, frozen=True):
    login: Annotated[str, Meta(max_length=254)] = ""


class NewPassword(Struct, forbid_unknown_fields=True, frozen=True):
    password: Annotated[str, Meta(max_length=200)] = ""
    repeated: Annotated[str, Meta(max_length=200)] = ""


class OwnPassword(NewPassword, forbid_unknown_fields=True, frozen=True, kw_only=True):
    current: Annotated[str, Meta(max_length=200)] = ""


class OwnAddress(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a customer changes of its own data."""

    version: Id
    phones: Annotated[str, Meta(max_length=500)] = ""
    street: Text = ""
    zip: Annotated[str, Meta(max_length=60)] = ""
    city: Text = ""


class OwnName(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a user changes of itself. Another e-mail holds once it is confirmed there."""

    version: Id
    first_name: Annotated[str, Meta(max_length=100)] = ""
    surname: Annotated[str, Meta(max_length=100)] = ""
    email: Annotated[str, Meta(min_length=1, max_length=254)]


class ToPay(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Invoices to be paid, and how; no invoice is all that are open."""

    invoice: list[Id] = []
    some: str = ""
    """Sent where somebody chose: nothing ticked is nothing then, not all."""
    gateway: Annotated[str, Meta(max_length=60)] = ""


class Seen(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What the plan said that is carried out."""

    seen: Annotated[str, Meta(max_length=20_000)] = ""


class OwnPause(Seen, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Days without service and without a bill, from today where it says no day, up to the one on which it goes on."""

    from_on: date | None = None
    to_on: date | None = None


class ForgottenBy(Struct, frozen=True):
    """What was typed by whoever asks for a link."""

    login: str


class PortalLinkMail(Struct, frozen=True, kw_only=True):
    """The words' fields of a link to a new password."""

    name: str
    company: str
    link: str
    minutes: int


class Entrance(Struct, frozen=True, kw_only=True):
    """Somebody who may be who wants in: a customer itself, or (`contact_id`) a user of it. `email` is where its links
    go."""

    customer_id: int
    contact_id: int | None
    customer: str
    name: str
    login: str
    email: str
    language: str
    password_hash: str
    may_log_in: bool


class Visit(Struct, frozen=True, kw_only=True):
    """A staff user in a customer's place."""

    id: int
    customer_id: int
    customer: str
    staff_id: int
    ends_at: datetime
    language: str
    may_log_in: bool
