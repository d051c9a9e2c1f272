"""Which kinds of event the sources of each snapshot's deal could have told of, and until when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.events import KIND_CODES, KINDS
from model.feeds import Feed, Feeds
from model.history import Ints

Bools = NDArray[np.bool_]
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

    @cached_property
    def carried(self) -> Bools:
        """Whether a feed of each snapshot carries each kind. Shape (K, S)."""
        carried = np.zeros((len(KINDS), self._as_of.size), dtype=bool)
        for feed, speaks in self._speaking():
            carried |= feed.carries[:, None] & speaks
        return carried

    @cached_property
    def row_pause(self) -> Ints | None:
        """Microseconds that each visible row's source had been stopped; None if none. (R,)."""
        pauses = [feed.pause(self._as_of) if feed else None for feed in self._own]
        if not any(pause is not None and pause.any() for pause in pauses):
            return None
        none = np.zeros(self._as_of.size, dtype=np.int64)
        table = np.stack([none if pause is None else pause for pause in pauses])
        return np.asarray(table[self._source, self._snap])

    def pause(self, kinds: Sequence[str]) -> Ints:
        """Microseconds that nobody could have told of one of these kinds. Shape (S,)."""
        longest = np.zeros(self._as_of.size, dtype=np.int64)
        for kind in kinds:
            shortest = np.full(self._as_of.size, ENDLESS)
            for feed, speaks in self._speaking():
                if feed.carries[KIND_CODES[kind]]:
                    pause = np.where(speaks, feed.pause(self._as_of), ENDLESS)
                    shortest = np.minimum(shortest, pause)
            longest = np.maximum(longest, np.where(shortest == ENDLESS, 0, shortest))
        return longest

    def _speaking(self) -> Iterator[tuple[Feed, Bools]]:
        """Every feed that speaks for a snapshot, and for which. The latter of shape (S,)."""
        seen = np.zeros((len(self._own), self._as_of.size), dtype=bool)
        seen[self._source, self._snap] = True
        for own, speaks in zip(self._own, seen, strict=True):
            yield own or self._undescribed, speaks
        for feed in self._feeds.values():
            if feed.speaks_for_all:
                yield feed, feed.has_begun(self._as_of)

    @cached_property
    def _undescribed(self) -> Feed:
        anywhere = frozenset[str]().union(*(feed.kinds for feed in self._feeds.values()))
        return Feed(kinds=anywhere or frozenset(KINDS))
