"""What the feeds show, read again now and then, and when they carry more."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from model.feeds import Feed
from model.scorer import Scorer
from service.storage import feeds

KNOWN_FOR: Final = timedelta(minutes=1)  # in which what the feeds show is not read again


class KnownFeeds:
    """What the feeds show beside what a scorer learned of them.

    Parameters
    ----------
    clock
        Tells the present, UTC.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._heard: dict[str, Feed] = {}
        self._heard_at: datetime | None = None
        self._merged: tuple[Scorer, dict[str, Feed]] | None = None

    def forget(self) -> None:
        """Read them again the next time: of what they showed nothing is kept."""
        self._heard_at = None

    def beside(
        self, connection: Connection, scorer: Scorer | None, *, changed: bool = False
    ) -> dict[str, Feed] | None:
        """What they show, for a scorer; None without one.

        Parameters
        ----------
        connection
            Of the transaction in which is scored.
        scorer
            Of the model in force.
        changed
            Whether a source carries more than before.
        """
        if scorer is None:
            return None
        now = self._clock()
        is_old = self._heard_at is None or not (self._heard_at <= now < self._heard_at + KNOWN_FOR)
        if is_old or changed:
            self._heard, self._heard_at = feeds.heard(connection), now
            self._merged = None
        if self._merged is None or self._merged[0] is not scorer:
            self._merged = scorer, scorer.feeds(self._heard)
        return self._merged[1]
