"""A database that does not answer now, over HTTP."""

from __future__ import annotations

from service.problems import UNAVAILABLE, Refused, refused
from service.storage.errors import RETRY_SECONDS, StoreUnavailable


def unavailable(error: StoreUnavailable) -> Refused:
    """The refusal of a request that may be sent again unchanged, and when."""
    retry = (("Retry-After", str(RETRY_SECONDS)),)
    return refused(UNAVAILABLE, error.given, error.expected, error.remedy, headers=retry)
