"""How often something may be tried: counted in this process, by account and address; nobody is locked out for good."""

from __future__ import annotations

from time import time
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from core.errors import TooMany
from core.texts import _

_STORAGE: Final = MemoryStorage()
_LIMITER: Final = SlidingWindowCounterRateLimiter(_STORAGE)

BY_ACCOUNT: Final = RateLimitItemPerMinute(10, 5)
"""Ten wrong tries of one account in five minutes."""
BY_ADDRESS: Final = RateLimitItemPerMinute(60, 5)


def check_tries(*keys: tuple[RateLimitItemPerMinute, str]) -> None:
    """Raises TooMany when one of the keys has been tried too often; counts nothing."""
    for item, key in keys:
        if not _LIMITER.test(item, key):
            reset = _LIMITER.get_window_stats(item, key).reset_time
            raise TooMany(
                _("Too many attempts. Wait a few minutes and try again."), retry_after=max(1, int(reset - time()))
            )


def count_try(*keys: tuple[RateLimitItemPerMinute, str]) -> None:
    for item, key in keys:
        _LIMITER.hit(item, key)


def forget_tries() -> None:
    """For tests: begin anew."""
    _STORAGE.reset()
