"""Which kinds of event the sources of each snapshot's deal could have told of, and until when."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.events import KINDS
from model.feeds import Feed, Feeds
from model.history import Ints

ENDLESS: Final = np.iinfo(np.int64).max


class Coverage:
    """Feeds, asked at the snapshots of some deals.

    The feeds that speak for a snapshot are those that its deal was heard of from, and those
    that speak for all deals and had begun. A source that nobody described may carry whatever
    this company's sources carry.

    Parameters
    ----------
    feeds
        What each source carries.
    sources
        The sources of a history.
    source, snap
        Of each visible row: its source, its snapshot. Shape (R,).
    as_of
        Time of each snapshot, microseconds since 1970 UTC. Shape (S,).
    """

    def __init__(
        self, feeds: Feeds, sources: Sequence[str], source: Ints, snap: Ints, as_of: Ints
    ) -> None:
        self._feeds = feeds
        self._own = [feeds.get(name) for name in sources]
        self._source = source
        self._snap = snap
        self._as_of = as_of
        times = as_of.tolist()
        self._first, self._last = min(times, default=0), max(times, default=0)

    @cached_property
    def speaking(self) -> tuple[list[Feed], NDArray[np.float32]]:
        """Feeds, and for which snapshots they speak: 1 or 0. The latter of shape (feeds, S)."""
        own = [feed or self._undescribed for feed in self._own]
        others = [feed for feed in self._feeds.values() if feed.speaks_for_all]
        speaks = np.zeros((len(own) + len(others), self._as_of.size), dtype=np.float32)
        speaks[self._source, self._snap] = 1.0
        for i, feed in enumerate(others, len(own)):
            speaks[i] = 1.0 if feed.begins <= self._first else self._as_of >= feed.begins
        return own + others, speaks

    def row_pause(self) -> Ints | None:
        """Microseconds that each visible row's source had been stopped; None if none. (R,)."""
        pauses = self._pauses(self._own)
        if all(pause is None for pause in pauses):
            return None
        none = np.zeros(self._as_of.size, dtype=np.int64)
        table = np.array([none if pause is None else pause for pause in pauses])
        return np.asarray(table[self._source, self._snap])

    def pause(self, kinds: Sequence[str]) -> Ints | None:
        """Microseconds that nobody could have told of one of these kinds; None if none. (S,)."""
        feeds, speaks = self.speaking
        pauses = self._pauses(feeds)
        if all(pause is None for pause in pauses):
            return None
        longest = np.zeros(self._as_of.size, dtype=np.int64)
        for kind in kinds:
            shortest = np.full(self._as_of.size, ENDLESS)
            for feed, pause, speaks_for in zip(feeds, pauses, speaks, strict=True):
                if kind in feed.kinds:
                    mine = 0 if pause is None else pause
                    shortest = np.minimum(shortest, np.where(speaks_for > 0, mine, ENDLESS))
            longest = np.maximum(longest, np.where(shortest == ENDLESS, 0, shortest))
        return longest

    def _pauses(self, feeds: Sequence[Feed | None]) -> list[Ints | None]:
        first, last = self._first, self._last
        return [
            None if feed is None or feed.runs_between(first, last) else feed.pause(self._as_of)
            for feed in feeds
        ]

    @cached_property
    def _undescribed(self) -> Feed:
        anywhere = frozenset[str]().union(*(feed.kinds for feed in self._feeds.values()))
        return Feed(kinds=anywhere or frozenset(KINDS))
