"""What staff pages and the API take and give."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Meta, Struct

from core.ids import Id
from core.texts import LANGUAGES

if TYPE_CHECKING:
    from core.web.sessions import SessionRow

AS_ASKED: Final = "browser"
"""Instead of a language: the one that the browser asks for."""
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Email = Annotated[str, Meta(min_length=3, max_length=254)]
Password = Annotated[str, Meta(min_length=1, max_length=1000)]


class SessionItem(Struct, frozen=True, kw_only=True):
    """Where the person is logged in."""

    id: int
    device: str
    address: str
    created_at: datetime
    last_used_at: datetime

    @classmethod
    def of(cls, one: SessionRow) -> SessionItem:
        return cls(
            id=one.id,
            device=one.device,
            address=one.address,
            created_at=one.created_at,
            last_used_at=one.last_used_at,
        )


class LogIn(Struct, forbid_unknown_fields=True, frozen=True):
    email: Email
    password: Password
    next: Annotated[str, Meta(max_length=2000)] = ""


class NewPassword(Struct, forbid_unknown_fields=True, frozen=True):
    password: Password
    repeated: Password


class SecondStep(Struct, forbid_unknown_fields=True, frozen=True):
    code: Annotated[str, Meta(min_length=1, max_length=60)]
    next: Annotated[str, Meta(max_length=2000)] = ""


class PasskeyAnswer(Struct, forbid_unknown_fields=True, frozen=True):
    credential: Annotated[str, Meta(min_length=1, max_length=20_000)]
    next: Annotated[str, Meta(max_length=2000)] = ""


class Forgotten(Struct, forbid_unknown_fields=True, frozen=True):
    email: Email


class OwnProfile(Struct, forbid_unknown_fields=True, frozen=True):
    name: Name
    time_zone: Annotated[str, Meta(max_length=60)] = ""


class OwnPassword(Struct, forbid_unknown_fields=True, frozen=True):
    current: Password
    password: Password
    repeated: Password


class AppCode(Struct, forbid_unknown_fields=True, frozen=True):
    """A code of the app that shares the sealed secret."""

    sealed: Annotated[str, Meta(min_length=1, max_length=2000)]
    code: Annotated[str, Meta(min_length=1, max_length=20)]


class NewPasskey(Struct, forbid_unknown_fields=True, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=80)]
    credential: Annotated[str, Meta(min_length=1, max_length=20_000)]


class PasskeyName(Struct, forbid_unknown_fields=True, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=80)]


class Confirmed(Struct, forbid_unknown_fields=True, frozen=True):
    next: Annotated[str, Meta(max_length=2000)] = ""


class PasskeyRow(Struct, frozen=True):
    id: int
    name: str
    created_at: datetime
    last_used_at: datetime | None


class Invite(Struct, forbid_unknown_fields=True, frozen=True):
    name: Name
    email: Email
    role_id: Id


class StaffChange(Struct, forbid_unknown_fields=True, frozen=True):
    name: Name
    email: Email
    role_id: Id
    active: bool = False


class StaffForm(StaffChange, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The same, against the version that was read."""

    version: Annotated[int, Meta(ge=1)]


class StaffPut(StaffChange, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What the API changes, against the version that was read: in `version`, or in `If-Match`."""

    version: Annotated[int, Meta(ge=1)] | None = None


class NewRole(Struct, forbid_unknown_fields=True, frozen=True):
    """With `second_factor` whoever has the role needs one to log in."""

    label: Annotated[str, Meta(min_length=1, max_length=80)]
    permissions: Annotated[list[Annotated[str, Meta(max_length=80)]], Meta(max_length=500)] = []
    second_factor: bool = False


class NewToken(Struct, forbid_unknown_fields=True, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=120, pattern=r"\S")]
    permissions: list[Annotated[str, Meta(max_length=80)]]
    days: Annotated[int, Meta(ge=1, le=3650)] = 365


class Preferences(Struct, forbid_unknown_fields=True, frozen=True):
    """Only what is sent changes."""

    theme: Annotated[str, Meta(pattern="^(auto|light|dark)$")] = ""
    narrow: Annotated[str, Meta(pattern="^(yes|no|)$")] = ""
    language: Annotated[str, Meta(pattern=f"^({'|'.join(LANGUAGES)}|{AS_ASKED}|)$")] = ""


class StaffRow(Struct, frozen=True):
    id: int
    name: str
    email: str
    role_id: int
    role: str
    active: bool
    has_password: bool
    created_at: datetime
    last_seen_at: datetime | None
    permissions: str
    version: int
    asked_second_factor: bool
    role_second_factor: bool
    totp: bool
    passkeys: int
    invited_until: datetime | None
    """Until when its open link works."""

    @property
    def has_second_factor(self) -> bool:
        return self.totp or self.passkeys > 0

    @property
    def needs_second_factor(self) -> bool:
        """Its role asks for one, or somebody asked just this user."""
        return self.asked_second_factor or self.role_second_factor


class RoleRow(Struct, frozen=True):
    id: int
    label: str
    permissions: str
    builtin: bool
    second_factor: bool


class StaffItem(Struct, frozen=True):
    """A staff user as the API gives it."""

    id: int
    name: str
    email: str
    role_id: int
    role: str
    active: bool
    has_password: bool
    second_factor: bool
    asked_second_factor: bool
    """Whether it needs one whatever its role says."""
    created_at: datetime
    last_seen_at: datetime | None
    version: int


class RoleItem(Struct, frozen=True):
    """A role as the API gives it; `permissions` is ["*"] where it may do everything."""

    id: int
    label: str
    permissions: list[str]
    builtin: bool
    second_factor: bool
    people: int


class MailStaff(Struct, frozen=True):
    """A link to be mailed: to this staff user, or to whoever has this address, if anybody."""

    staff_id: int = 0
    email: str = ""


class MailNotice(Struct, frozen=True):
    """What happened to an account, to be told by mail; `to` where the address changed."""

    staff_id: int
    what: str
    to: str = ""


class LinkMail(Struct, frozen=True, kw_only=True):
    """Fields of a mail with a one-time link."""

    name: str
    company: str
    link: str
    minutes: int


class NoticeMail(Struct, frozen=True, kw_only=True):
    """Fields of a mail that tells what happened to an account."""

    name: str
    company: str
    what: str
    at: datetime


class TokenRow(Struct, frozen=True):
    id: int
    name: str
    permissions: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    maker: str | None
    """Name of the staff user behind it."""
    staff_id: int | None
    maker_off: bool
    """Whether that one is switched off: it does not work until the person is switched on."""
    maker_role: str | None
    maker_permissions: str | None
    """What the role of that one gives now, as JSON: it may do no more."""


class TokenItem(Struct, frozen=True):
    """An API token as the API gives it, never the token itself; `permissions` is ["*"] where it may do everything.

    `staff_id` is the person behind it, also where a token of that person made it; while `maker_off`, it does not work.
    `resting` are those of its permissions that the person does not have now: ["*"] where it was made for everything,
    and does what the person may.
    """

    id: int
    name: str
    permissions: list[str]
    made_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None
    staff_id: int | None
    maker_off: bool
    resting: list[str]
