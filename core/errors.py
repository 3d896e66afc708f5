"""What the domain refuses, each with the status that it is answered with.

The message is a sentence for the person who asked: what is wrong, and where it helps, what to do. One handler turns
these into a page, a fragment or problem+json.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar

from msgspec import Struct

from core.texts import _, listed


class DomainError(Exception):
    """Understood and refused."""

    status: ClassVar[int] = 400
    code: ClassVar[str] = "domain_error"

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.code = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__).lower()

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def details(self) -> Mapping[str, object]:
        """What is there now, for who asked over JSON."""
        return {}


class NotFound(DomainError):
    """It does not exist, or it is out of the actor's reach: nobody can tell which from the answer."""

    status = 404

    def __init__(self, what: str = "") -> None:
        super().__init__(_("This was not found. It may never have existed, or it may have been removed."))
        self.what = what
        """For the log only."""


class Unauthenticated(DomainError):
    """Nobody is logged in."""

    status = 401

    def __init__(self, message: str = "") -> None:
        super().__init__(message or _("Log in first."))


class Forbidden(DomainError):
    """It exists and may be seen, but the permission for this is missing."""

    status = 403


class Conflict(DomainError):
    """The state of the thing does not allow it."""

    status = 409


class Stale(Conflict):
    """Someone else changed it after it was read. `fields` holds, by field, what stands there now and what was to be
    written.
    """

    def __init__(
        self,
        message: str = "",
        *,
        fields: Mapping[str, tuple[object, object]] | None = None,
        version: int | None = None,
        merged: Collection[str] = (),
    ) -> None:
        super().__init__(
            message or _("Someone else changed this while you were editing. Look at both versions and save again.")
        )
        self.fields = dict(fields or {})
        self.version = version
        """The one that stands there now, to send the choice against."""
        self.merged = frozenset(merged)
        """Fields that only the other one touched: theirs stand, with nothing to choose."""

    @property
    def details(self) -> Mapping[str, object]:
        """By field both values, and the version that stands there now."""
        told: dict[str, object] = {"fields": {n: {"theirs": t, "yours": y} for n, (t, y) in self.fields.items()}}
        return told if self.version is None else {**told, "version": self.version}


class FieldError(Struct, frozen=True):
    """What is wrong with one field."""

    field: str
    message: str


class Invalid(DomainError):
    """Bad input: names each field and the reason."""

    status = 422

    def __init__(self, message: str = "", *, field: str | None = None, errors: Iterable[FieldError] = ()) -> None:
        found = tuple(errors)
        if field is not None:
            found = (FieldError(field, message), *found)
        if not message:
            if not found:
                raise ValueError("Invalid needs a message or errors")
            message = (
                found[0].message
                if len(found) == 1
                else _("Please correct %(fields)s.", fields=listed(e.field for e in found))
            )
        super().__init__(message)
        self.errors = found


class TooMany(DomainError):
    """Asked for too often. `retry_after` in seconds."""

    status = 429

    def __init__(self, message: str = "", *, retry_after: int = 60) -> None:
        super().__init__(message or _("Too many attempts. Try again later."))
        self.retry_after = retry_after


class Unavailable(DomainError):
    """Not now: busy, suspended or under repair. `retry_after` in seconds."""

    status = 503

    def __init__(self, message: str = "", *, retry_after: int = 5) -> None:
        super().__init__(message or _("Not available right now. Try again in a moment."))
        self.retry_after = retry_after


class TryAgain(Exception):
    """The database could not serialise this call with another one: run the whole call once more."""
