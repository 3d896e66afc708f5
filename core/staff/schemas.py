"""What staff pages and the API take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta, Struct

from core.texts import LANGUAGES

AS_ASKED: Final = "browser"
"""Instead of a language: the one that the browser asks for."""
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Email = Annotated[str, Meta(min_length=3, max_length=254)]
Password = Annotated[str, Meta(min_length=1, max_length=1000)]


class LogIn(Struct, forbid_unknown_fields=True, frozen=True):
    email: Email
    password: Password
    next: Annotated[str, Meta(max_length=2000)] = ""


class NewPassword(Struct, forbid_unknown_fields=True, frozen=True):
    password: Password
    repeated: Password


class Invite(Struct, forbid_unknown_fields=True, frozen=True):
    name: Name
    email: Email
    role_id: Annotated[int, Meta(ge=1)]


class StaffChange(Struct, forbid_unknown_fields=True, frozen=True):
    name: Name
    role_id: Annotated[int, Meta(ge=1)]
    active: bool = False


class NewRole(Struct, forbid_unknown_fields=True, frozen=True):
    label: Annotated[str, Meta(min_length=1, max_length=80)]
    permissions: list[Annotated[str, Meta(max_length=80)]] = []


class NewToken(Struct, forbid_unknown_fields=True, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=120)]
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


class RoleRow(Struct, frozen=True):
    id: int
    label: str
    permissions: str
    builtin: bool


class TokenRow(Struct, frozen=True):
    id: int
    name: str
    permissions: str
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class SessionRow(Struct, frozen=True):
    id: int
    created_at: datetime
    last_used_at: datetime
    address: str
    agent: str
