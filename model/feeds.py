"""What each source carries, and up to when: missing is told apart from absent.

A source that opens deals (a CRM) speaks for its own deals; one that opens none (a mailbox, a
calendar) speaks for all. A kind that no source of a deal carries is missing, not absent. A
feed that stopped for everyone keeps its clock where it stopped: the silence is the feed's,
not the customer's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.errors import HistoryError
from model.events import DAY_US, KINDS
from model.history import History, Ints

HOUR_US: Final = DAY_US // 24
STOPPED_AFTER_DAYS: Final = 3.0  # a feed silent for every deal this long has stopped


@dataclass(frozen=True, kw_only=True)
class Feed:
    """One source: the kinds it carries and when it spoke.

    Parameters
    ----------
    kinds
        Keys of `model.events.KINDS`.
    heard
        When it was heard, microseconds since 1970 UTC, ascending; at most one an hour is
        kept. The last entry is its latest `known_at`. Empty: not said, taken as running.
    """

    kinds: frozenset[str]
    heard: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __post_init__(self) -> None:
        unknown = sorted(self.kinds - KINDS.keys())
        if unknown:
            raise HistoryError(
                f"a feed of kind {unknown[0]!r}", "one of " + ", ".join(KINDS), "correct the feed"
            )

    def pause(self, as_of: Ints) -> NDArray[np.int64]:
        """Microseconds that the feed had been stopped at each `as_of`; 0 while it runs.

        Only what was heard by then counts, so later deliveries change nothing.

        Examples
        --------
        >>> feed = Feed(kinds=frozenset({"customer_replied"}), heard=np.array([0, DAY_US]))
        >>> (feed.pause(np.array([2 * DAY_US, 9 * DAY_US])) // DAY_US).tolist()
        [0, 8]
        """
        if self.heard.size == 0:
            return np.zeros(as_of.shape, dtype=np.int64)
        index = np.searchsorted(self.heard, as_of, side="right") - 1
        quiet = as_of - self.heard[np.maximum(index, 0)]
        stopped = (index >= 0) & (quiet > STOPPED_AFTER_DAYS * DAY_US)
        return np.where(stopped, quiet, 0)


Feeds = Mapping[str, Feed]


def feeds_of(history: History) -> dict[str, Feed]:
    """The feeds that a history shows: every kind each source carried, and when it spoke."""
    kinds = list(KINDS)
    feeds = {}
    for code, source in enumerate(history.sources):
        rows = history.source == code
        feeds[source] = Feed(
            kinds=frozenset(kinds[k] for k in np.unique(history.kind[rows])),
            heard=_first_of_each_hour(history.known[rows]),
        )
    return feeds


def _first_of_each_hour(known: Ints) -> Ints:
    ordered = np.sort(known)
    first = np.ones(ordered.size, dtype=bool)
    first[1:] = np.diff(ordered // HOUR_US) > 0
    return ordered[first]


def merge_feeds(parts: list[dict[str, Feed]]) -> dict[str, Feed]:
    """Feeds seen in several pieces of one history, for example shards."""
    merged: dict[str, Feed] = {}
    for part in parts:
        for source, feed in part.items():
            other = merged.get(source)
            if other is None:
                merged[source] = feed
            else:
                merged[source] = Feed(
                    kinds=feed.kinds | other.kinds,
                    heard=_first_of_each_hour(np.concatenate([feed.heard, other.heard])),
                )
    return merged


def feeds_to_json(feeds: Feeds) -> dict[str, Any]:
    """The kinds that each source carries; when it spoke belongs to a day, not to a model."""
    return {source: sorted(feed.kinds) for source, feed in sorted(feeds.items())}


def feeds_from_json(value: Mapping[str, list[str]]) -> dict[str, Feed]:
    """The inverse of `feeds_to_json`."""
    return {source: Feed(kinds=frozenset(kinds)) for source, kinds in value.items()}
