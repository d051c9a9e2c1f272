"""Which kinds of event the sources of a snapshot's deal could have told of, and until when."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

from model.events import KINDS
from model.feeds import Feed, Feeds

if TYPE_CHECKING:
    from model.asof import Snapshot

NOTHING: Final = frozenset[str]()


class Coverage:
    """Feeds, asked at the snapshots of some deals.

    The feeds that speak for a snapshot are those that its deal was heard of from, and those
    that speak for all deals and had begun; each with the kinds that it had carried by then. A
    source that nobody described may carry whatever this company's sources carry.

    Parameters
    ----------
    feeds
        What each source carries.
    sources
        The sources of a history.
    """

    def __init__(self, feeds: Feeds, sources: Sequence[str]) -> None:
        self._feeds = feeds
        self._own = [feeds.get(name) for name in sources]
        self._for_all = [feed for feed in feeds.values() if feed.speaks_for_all(feed.begins)]
        self._at: tuple[int, list[int] | None] = (-1, None)  # the last moment asked for
        # Between two of these moments the same feeds have begun to carry the same kinds.
        begins = {feed.begins for feed in self._for_all}
        self._turns = sorted(begins.union(*(feed.since.values() for feed in feeds.values())))
        self._carried: dict[tuple[frozenset[int], int], frozenset[str]] = {}

    def carried(self, snapshot: Snapshot) -> frozenset[str]:
        """The kinds that a feed of the snapshot carries."""
        return snapshot.once(self._carried_by)

    def _carried_by(self, snapshot: Snapshot) -> frozenset[str]:
        source, as_of = snapshot.deal.source, snapshot.as_of
        own = frozenset([source[i] for i in snapshot.rows])
        era = bisect_right(self._turns, as_of)
        found = self._carried.get((own, era))
        if found is None:
            found = self._carried[own, era] = frozenset(
                kind
                for feed in self._speaking(own, as_of)
                for kind in feed.kinds
                if feed.carries(kind, as_of)
            )
        return found

    def clocks(self, as_of: int) -> list[int] | None:
        """When each source's clock stands still, microseconds; None if no feed had stopped."""
        last = self._at  # read and written whole, so that threads may share it
        if as_of != last[0]:
            stopped = any(feed.pause(as_of) for feed in self._feeds.values())
            own = [as_of if feed is None else as_of - feed.pause(as_of) for feed in self._own]
            self._at = last = (as_of, own if stopped else None)
        return last[1]

    def pause(self, kinds: Sequence[str], snapshot: Snapshot) -> int:
        """Microseconds that nobody could have told of one of these kinds."""
        longest, as_of = 0, snapshot.as_of
        if self.clocks(as_of) is None:
            return longest
        speaking = self._speaking({snapshot.deal.source[i] for i in snapshot.rows}, as_of)
        for kind in kinds:
            pauses = [feed.pause(as_of) for feed in speaking if feed.carries(kind, as_of)]
            longest = max(longest, min(pauses, default=0))
        return longest

    def stopped(self, snapshot: Snapshot) -> int:
        """Microseconds that nobody could have told of anything at all."""
        as_of = snapshot.as_of
        if self.clocks(as_of) is None:
            return 0
        speaking = self._speaking({snapshot.deal.source[i] for i in snapshot.rows}, as_of)
        return min((feed.pause(as_of) for feed in speaking), default=0)

    def describes(self, snapshot: Snapshot) -> bool:
        """Whether any source that told of the snapshot's deal is described."""
        return any(self._own[snapshot.deal.source[i]] is not None for i in snapshot.rows)

    def _speaking(self, own: Iterable[int], as_of: int) -> list[Feed]:
        """The feeds of these sources of a deal, and those that speak for all."""
        feeds = [self._own[source] or self._undescribed for source in own]
        return feeds + [
            feed for feed in self._for_all if feed.begins <= as_of and feed.speaks_for_all(as_of)
        ]

    @cached_property
    def _undescribed(self) -> Feed:
        anywhere = NOTHING.union(*(feed.kinds for feed in self._feeds.values()))
        return Feed(kinds=anywhere or frozenset(KINDS))
