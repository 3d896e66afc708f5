"""Passwords: argon2 in a thread, a few at once, the same work for a name that does not exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import anyio
import anyio.to_thread
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from core.errors import Invalid
from core.texts import _

SHORTEST: Final = 12
LONGEST: Final = 200
FEWEST_LETTERS: Final = 5
"""Different characters."""

_AT_ONCE: Final = 2
_ROWS: Final = (
    "1234567890",
    "qwertyuiop",
    "qwertzuiop",
    "asdfghjkl",
    "zxcvbnm",
    "yxcvbnm",
    "abcdefghijklmnopqrstuvwxyz",
)
R = TypeVar("R")


class Passwords:
    """Hashing with one set of parameters. The deployment has one; tests make a cheap one."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._limiter: anyio.CapacityLimiter | None = None
        self._dummy = ""

    def use(self, hasher: PasswordHasher) -> None:
        """Other parameters from now on."""
        self._hasher, self._dummy = hasher, ""

    async def hash(self, password: str) -> str:
        return await self._in_thread(self._hasher.hash, password)

    async def verify(self, password_hash: str, password: str) -> bool:
        """Whether it is the password. An empty hash (no such user, or none set) costs the same and is never right."""
        if not self._dummy:
            self._dummy = await self.hash("nobody's password")
        return await self._in_thread(self._matches, password_hash or self._dummy, password) and bool(password_hash)

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, function: Callable[..., R], *args: str) -> R:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_AT_ONCE)
        return await anyio.to_thread.run_sync(function, *args, limiter=self._limiter)


PASSWORDS: Final = Passwords()


def check_password(password: str, *, name: str, email: str) -> None:
    """Raises Invalid when it is too short, too long, one character over and over, a row of the keyboard, or made of the
    user's own name or address."""
    if len(password) < SHORTEST:
        raise Invalid(_("Use at least %(shortest)s characters.", shortest=SHORTEST), field="password")
    if len(password) > LONGEST:
        raise Invalid(_("Use at most %(longest)s characters.", longest=LONGEST), field="password")
    plain = password.casefold()
    if len(set(plain)) < FEWEST_LETTERS or any(plain in row * 3 or plain in row[::-1] * 3 for row in _ROWS):
        raise Invalid(_("This is guessed at once. Use words that do not belong together."), field="password")
    for own in (name, email, email.partition("@")[0]):
        rest = plain.replace(own.casefold(), "") if own else plain
        if len(rest) < SHORTEST // 2:
            raise Invalid(_("Use something other than the name or the e-mail address."), field="password")
