"""A database that does not answer now, over HTTP."""

from __future__ import annotations

import logging
from typing import Final

from service.problems import UNAVAILABLE, Refused, refused
from service.storage.errors import RETRY_SECONDS, StoreUnavailable

LOG: Final = logging.getLogger("redflare.unavailable")


def unavailable(error: StoreUnavailable) -> Refused:
    """The refusal of a request that may be sent again unchanged, and when.

    What the database or its driver said may name hosts and users: it is for the log alone.
    """
    LOG.error("the database does not answer: %s", error.reason)
    retry = (("Retry-After", str(RETRY_SECONDS)),)
    return refused(UNAVAILABLE, "the database", error.expected, error.remedy, headers=retry)
