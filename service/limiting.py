"""How much each caller may ask in a minute, counted in this process.

References
----------
RFC 6585, section 4. RateLimit header fields for HTTP, draft-ietf-httpapi-ratelimit-headers-10.
"""

from __future__ import annotations

import math
import threading
import time
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from service.problems import TOO_MANY, Refused, refused

FAILURES_A_MINUTE: Final = 30  # of keys that are none, from one address
WINDOW_SECONDS: Final = 60
SWEEP_SECONDS: Final = 60.0

Headers = tuple[tuple[str, str], ...]


class Counts(MemoryStorage):
    """Counts in memory, those of the past swept now and then.

    The library starts a thread for it as often as every 10 ms, which under load costs ten times
    the counting.
    """

    swept_at = 0.0

    def _MemoryStorage__schedule_expiry(self) -> None:  # noqa: N802 - as the library calls it
        now = time.monotonic()
        if now >= self.swept_at + SWEEP_SECONDS:
            self.swept_at = now
            self.timer = threading.Timer(0.0, self._MemoryStorage__expire_events)  # type: ignore[attr-defined] # its own
            self.timer.start()


class Limiter:
    """Counts requests by caller, and keys that are none by address.

    Parameters
    ----------
    requests_a_minute
        Of one caller: a key, or an address where no keys are asked for.
    """

    def __init__(self, requests_a_minute: int) -> None:
        self._counts = SlidingWindowCounterRateLimiter(Counts())
        self._requests = RateLimitItemPerMinute(requests_a_minute, namespace="requests")
        self._failures = RateLimitItemPerMinute(FAILURES_A_MINUTE, namespace="failures")

    def count(self, caller: str) -> Headers:
        """Count a request; the headers that say how many more may come, and when it begins anew.

        Raises
        ------
        Refused
            With status 429 if it is one too many.
        """
        if not self._counts.hit(self._requests, caller):
            raise self._too_many(self._requests, caller, "requests")
        headers, _ = self._told(self._requests, caller)
        return headers

    def count_failure(self, address: str) -> None:
        """Count a key that is none."""
        self._counts.hit(self._failures, address)

    def check_failures(self, address: str) -> None:
        """Refuse to say of another key that it is none where too many were none.

        Raises
        ------
        Refused
            With status 429.
        """
        if not self._counts.test(self._failures, address):
            raise self._too_many(self._failures, address, "keys that are none")

    def _too_many(self, limit: RateLimitItemPerMinute, caller: str, what: str) -> Refused:
        told, seconds = self._told(limit, caller)
        return refused(
            TOO_MANY,
            f"more than {limit.amount} {what} in a minute",
            "fewer",
            f"try again in {seconds} s",
            headers=(("Retry-After", str(seconds)), *told),
        )

    def _told(self, limit: RateLimitItemPerMinute, caller: str) -> tuple[Headers, int]:
        """The two headers of a limit, and the seconds until more may come."""
        stats = self._counts.get_window_stats(limit, caller)
        seconds = max(1, math.ceil(stats.reset_time - time.time()))
        name = limit.namespace
        headers = (
            ("RateLimit-Policy", f'"{name}";q={limit.amount};w={WINDOW_SECONDS}'),
            ("RateLimit", f'"{name}";r={stats.remaining};t={seconds}'),
        )
        return headers, seconds
