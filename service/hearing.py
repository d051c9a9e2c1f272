"""What the worker goes by of the feeds: read now and then, kept up with what it hears itself."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from sqlalchemy import Connection

from model.feeds import Feed
from model.scorer import Scorer
from service.storage import feeds

KNOWN_FOR: Final = timedelta(minutes=1)  # for which all hours are not read again


class Hearing:
    """The feeds as the database shows them, of which all threads of a worker ask.

    A source that speaks again after days is heard at once, whoever kept what it said: an hour
    that this worker keeps is added here, and one of another worker has all read again.

    Parameters
    ----------
    clock
        Tells the present, UTC.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._heard: dict[str, Feed] = {}
        self._read_at: datetime | None = None
        self._merged: tuple[Scorer, dict[str, Feed]] | None = None

    def add(self, hours: Iterable[feeds.Hour]) -> None:
        """Go by hours that a transaction just kept."""
        times: dict[str, list[int]] = {}
        for source, known in hours:
            times.setdefault(source, []).append(known)
        with self._lock:
            if times.keys() - self._heard.keys():  # a source that was never heard before
                self._read_at = None
                return
            for source, more in times.items():
                feed = self._heard[source]
                together = np.sort(np.concatenate((feed.heard, np.array(more, dtype=np.int64))))
                self._heard[source] = replace(feed, heard=together)
                self._merged = None

    def forget(self) -> None:
        """Go by nothing that was added: its transaction came to nothing."""
        with self._lock:
            self._read_at = None

    def of(self, connection: Connection, scorer: Scorer) -> dict[str, Feed]:
        """The feeds for a scorer, as `Scorer.feeds` gives them.

        Parameters
        ----------
        connection
            Of the transaction that scores.
        """
        with self._lock:
            now = self._clock()
            is_known = self._read_at is not None and (
                self._read_at <= now < self._read_at + KNOWN_FOR
            )
            if not is_known or any(
                feeds.latest(connection, source) > self._latest(source)
                for source in scorer.trained_feeds
            ):
                self._heard, self._read_at = feeds.heard(connection), now
                self._merged = None
            if self._merged is None or self._merged[0] is not scorer:
                self._merged = scorer, scorer.feeds(self._heard)
            return self._merged[1]

    def _latest(self, source: str) -> int:
        """When a source was heard last; 0 where never."""
        feed = self._heard.get(source)
        return int(feed.heard[-1]) if feed is not None and feed.heard.size else 0
