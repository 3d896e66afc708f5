"""How often something may be asked for or tried: counted in this process, by token, account and address. Nobody is
locked out for good, and nothing is asked of a database.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from time import time
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from core.config import Limits
from core.errors import TooMany
from core.ids import sort_key
from core.texts import _, ngettext

_STORAGE: Final = MemoryStorage()
_COUNTER: Final = SlidingWindowCounterRateLimiter(_STORAGE)

ONLY_LOG_IN: Final = Limits(api_token=0, api_address=0)
TRIES_OVER: Final = 5
"""Minutes in which wrong tries to log in are counted."""
FREE: Final = 3
"""Wrong tries of an account from one address that cost no wait; from then on each doubles it."""
LONGEST_WAIT: Final = 120
"""Seconds."""
FORGOTTEN_AFTER: Final = 900
"""Seconds after the last wrong try."""
MOST_KEPT: Final = 10_000
ASKED_OVER: Final = 15
"""Minutes in which requests for a new password are counted."""


def account_of(tenant: object, name: str) -> str:
    """By what the tries of an account are counted, however its name is typed."""
    return f"{tenant}:{sort_key(name.strip())}"


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a program has left. `refused` where it asks for more."""

    name: str
    limit: int
    left: int
    reset: int
    """Seconds until all of it is there again."""
    refused: bool

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """As the draft “RateLimit header fields for HTTP” has them."""
        policy = f'"{self.name}";q={self.limit};w=60'
        return [
            (b"ratelimit-policy", policy.encode()),
            (b"ratelimit", f'"{self.name}";r={self.left};t={self.reset}'.encode()),
        ]

    def error(self) -> TooMany:
        return TooMany(
            ngettext(
                "Too many requests. Come again in %(num)s second.",
                "Too many requests. Come again in %(num)s seconds.",
                self.reset,
            ),
            retry_after=self.reset,
        )


class Limiter:
    """The limits of a deployment; a limit of 0 is none."""

    def __init__(self, limits: Limits) -> None:
        self._token = _a_minute(limits.api_token)
        self._address = _a_minute(limits.api_address)
        self._account = _a_minute(limits.login_account, TRIES_OVER)
        self._log_in = _a_minute(limits.login_address, TRIES_OVER)
        self._asked_for = _a_minute(3 if limits.login_account else 0, ASKED_OVER)
        self._asked_from = _a_minute(limits.login_address, ASKED_OVER)

    def count_address(self, address: str) -> Allowance | None:
        """A request of the API, whoever makes it: before anything is looked up for it."""
        return _counted("address", self._address, address)

    def count_token(self, tenant: object, token_id: object) -> Allowance | None:
        """A request of a program that is known."""
        return _counted("token", self._token, f"{tenant}:{token_id}")

    def check_log_in(self, account: str, address: str) -> None:
        """Raises TooMany when there were too many wrong tries of the account or from the address, or when the next one
        of the account from this address comes too soon; counts nothing. Nobody waits longer than a window, and where it
        was right before, nobody waits for what is tried elsewhere."""
        wait = _wait(account, address) if self._account is not None else 0
        if wait > 0:
            raise TooMany(
                ngettext(
                    "That was wrong several times. Wait %(num)s second and try again.",
                    "That was wrong several times. Wait %(num)s seconds and try again.",
                    wait,
                ),
                retry_after=wait,
            )
        of_account = None if (account, address) in _right else self._account
        for item, key in ((of_account, account), (self._log_in, address)):
            if item is not None and not _COUNTER.test(item, key):
                reset = _COUNTER.get_window_stats(item, key).reset_time
                raise TooMany(
                    _("Too many attempts. Wait a few minutes and try again."), retry_after=max(1, int(reset - time()))
                )

    def count_wrong_log_in(self, account: str, address: str) -> None:
        for item, key in ((self._account, account), (self._log_in, address)):
            if item is not None:
                _COUNTER.hit(item, key)
        if self._account is not None:
            tries, _last = _wrong.pop((account, address), (0, 0.0))
            _wrong[account, address] = tries + 1, time()
            if len(_wrong) > MOST_KEPT:
                del _wrong[next(iter(_wrong))]

    def forgive_log_in(self, account: str, address: str) -> None:
        """It was right: the next wrong try is the first again."""
        _wrong.pop((account, address), None)
        _right.pop((account, address), None)
        _right[account, address] = None
        if len(_right) > MOST_KEPT:
            del _right[next(iter(_right))]

    def count_asked(self, account: str, address: str) -> None:
        """Somebody asks for a link to a new password, or what a passkey is to sign (then for no account). Raises
        TooMany where that is too often, whether anybody has the account or not."""
        asked = (("for", self._asked_for if account else None, account), ("from", self._asked_from, address))
        for name, item, key in asked:
            if item is not None and not _COUNTER.hit(item, "asked", name, key):
                reset = _COUNTER.get_window_stats(item, "asked", name, key).reset_time
                raise TooMany(
                    _("Too many attempts. Wait a few minutes and try again."), retry_after=max(1, int(reset - time()))
                )


_wrong: Final[dict[tuple[str, str], tuple[int, float]]] = {}
"""Wrong tries in a row by account and address, and when the last one was; the oldest first."""
_right: Final[dict[tuple[str, str], None]] = {}
"""Accounts and the addresses from which they were opened; the oldest first."""


def _wait(account: str, address: str) -> int:
    """Seconds until the next try of this account from this address may come."""
    tries, last = _wrong.get((account, address), (0, 0.0))
    if tries < FREE or time() - last > FORGOTTEN_AFTER:
        return 0
    return ceil(last + min(LONGEST_WAIT, 1 << min(tries - FREE, 20)) - time())


def _a_minute(limit: int, minutes: int = 1) -> RateLimitItemPerMinute | None:
    return RateLimitItemPerMinute(limit, minutes) if limit else None


def _counted(name: str, item: RateLimitItemPerMinute | None, key: str) -> Allowance | None:
    if item is None:
        return None
    good = _COUNTER.hit(item, name, key)
    found = _COUNTER.get_window_stats(item, name, key)
    return Allowance(name, item.amount, found.remaining, max(1, ceil(found.reset_time - time())), not good)


def forget_tries() -> None:
    """For tests: begin anew."""
    _STORAGE.reset()
    _wrong.clear()
    _right.clear()
