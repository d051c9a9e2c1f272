"""When a write-back is tried again, and when it is parked."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Final

DELAYS: Final = (  # after each attempt; those that Standard Webhooks recommends, up to three days
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=20),
)
LASTS: Final = timedelta(days=3)  # from the first attempt on
JITTER: Final = 0.1  # of a delay, so that what failed together is not tried together


def next_attempt(
    entry_id: str,
    attempts: int,
    first_at: datetime,
    now: datetime,
    after: timedelta | None = None,
) -> datetime | None:
    """When to try again; None when it is to be parked.

    Parameters
    ----------
    entry_id
        Decides the jitter.
    attempts
        How many there were, at least 1.
    first_at
        When it was tried first, however long it had waited for that.
    now
        The present.
    after
        How long the destination asks to wait; a longer wait than planned is kept to.

    Examples
    --------
    >>> from datetime import UTC
    >>> now = datetime(2026, 3, 2, tzinfo=UTC)
    >>> 4.5 <= (next_attempt("1", 1, now, now) - now).total_seconds() <= 5.5
    True
    >>> next_attempt("1", 10, now, now) is None
    True
    """
    if attempts > len(DELAYS):
        return None
    share = int.from_bytes(hashlib.sha256(f"{entry_id}/{attempts}".encode()).digest()[:4]) / 2**32
    delay = DELAYS[attempts - 1] * (1 + JITTER * (2 * share - 1))
    time = now + max(delay, after or timedelta())
    return time if time <= first_at + LASTS else None
