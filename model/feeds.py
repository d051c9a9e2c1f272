"""What each source carries, and up to when: missing is told apart from absent.

A source that opens deals (a CRM) speaks for its own deals; one that opens none (a mailbox, a
calendar) speaks for all, from when it was first heard. A kind that no source of a deal carries is
missing, not absent, and so is one that none of them had carried yet. A feed that stopped for
everyone keeps its clock where it stopped: the silence is the feed's, not the customer's.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import numpy as np

from model.errors import HistoryError
from model.events import DAY_US, KINDS, from_microseconds, microseconds
from model.history import History, Ints

HOUR_US: Final = DAY_US // 24
NEVER: Final = np.iinfo(np.int64).max
STOPPED_AFTER_DAYS: Final = 3.0  # no feed silent for less has stopped: people rest
MISSED: Final = 10.0  # nor has one that would have spoken fewer times meanwhile
FEWEST_HEARD: Final = 100  # hours heard before it can be said how often a feed speaks


@dataclass(frozen=True, kw_only=True)
class Feed:
    """One source: the kinds it carries and when it spoke.

    Parameters
    ----------
    kinds
        Keys of `model.events.KINDS`.
    heard
        When it was heard, microseconds since 1970 UTC; the first time of each hour is kept.
        Empty: not said, taken as running all along.
    since
        When each kind was first carried, microseconds since 1970 UTC; one that is not named was
        carried all along.
    """

    kinds: frozenset[str]
    heard: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    since: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = sorted((self.kinds | self.since.keys()) - KINDS.keys())
        if unknown:
            raise HistoryError(
                f"a feed of kind {unknown[0]!r}", "one of " + ", ".join(KINDS), "correct the feed"
            )
        if self.heard.size and (np.diff(self.heard // HOUR_US) <= 0).any():
            hours = _first_of_each_hour(np.zeros(self.heard.size, dtype=np.int64), self.heard)
            object.__setattr__(self, "heard", hours[0])

    def speaks_for_all(self, as_of: int) -> bool:
        """Whether it had opened no deals by a time, and so spoke for those that others open.

        Examples
        --------
        >>> feed = Feed(kinds=frozenset({"deal_opened"}), since={"deal_opened": 5})
        >>> feed.speaks_for_all(4), feed.speaks_for_all(5)
        (True, False)
        """
        return not self.carries("deal_opened", as_of)

    @cached_property
    def begins(self) -> int:
        """When it was first heard, microseconds since 1970 UTC; 0 if it does not say."""
        return int(self.heard[0]) if self.heard.size else 0

    def carries(self, kind: str, as_of: int) -> bool:
        """Whether it had carried a kind by a time.

        Examples
        --------
        >>> feed = Feed(kinds=frozenset({"customer_replied"}), since={"customer_replied": 5})
        >>> feed.carries("customer_replied", 4), feed.carries("customer_replied", 5)
        (False, True)
        """
        return kind in self.kinds and self.since.get(kind, as_of) <= as_of

    def pause(self, as_of: int) -> int:
        """Microseconds that the feed had been stopped at a time; 0 while it runs.

        It has stopped if it is quiet for more than `STOPPED_AFTER_DAYS`, and for so long that
        at the rate it was heard before it would have spoken `MISSED` times. Only what was
        heard by then counts, so later deliveries change nothing.

        Examples
        --------
        >>> feed = Feed(kinds=frozenset({"customer_replied"}), heard=np.arange(200) * HOUR_US)
        >>> [feed.pause(hours * HOUR_US) // HOUR_US for hours in (199, 220, 319)]
        [0, 0, 120]
        """
        last, stopped_from, until = self._stops
        stop = bisect_left(stopped_from, as_of) - 1
        return as_of - last[stop] if stop >= 0 and as_of < until[stop] else 0

    @cached_property
    def _stops(self) -> tuple[list[int], list[int], list[int]]:
        """Each stop: when last heard, after when it counts as one, when heard again."""
        last = self.heard[FEWEST_HEARD - 1 :]
        heard_before = np.arange(FEWEST_HEARD - 1, self.heard.size)
        usual = (last - self.heard[:1]) / heard_before
        patience = np.maximum(STOPPED_AFTER_DAYS * DAY_US, MISSED * usual).astype(np.int64)
        stopped_from = last + patience
        until = np.append(last, np.iinfo(np.int64).max)[1:]
        stops = stopped_from < until
        return last[stops].tolist(), stopped_from[stops].tolist(), until[stops].tolist()


Feeds = Mapping[str, Feed]


def feeds_of(history: History, known_before: int | None = None) -> dict[str, Feed]:
    """The feeds that a history shows: every kind each source carried, and when it spoke.

    Parameters
    ----------
    history
        Of all deals, or of a shard: see `merge_feeds`.
    known_before
        Microseconds since 1970 UTC; events known then or later are not looked at. None looks
        at all.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> from model.events import Event
    >>> opened = Event(deal_id="D-1", kind="deal_opened", source="crm", source_id="1",
    ...                occurred_at=datetime(2026, 1, 5, tzinfo=UTC))
    >>> sorted(feeds_of(History.from_events([opened]))["crm"].kinds)
    ['deal_opened']
    """
    source, kind, known = history.source, history.kind, history.known
    if known_before is not None:
        rows = np.flatnonzero(known < known_before)
        source, kind, known = source[rows], kind[rows], known[rows]
    return feeds_of_columns(source, history.sources, kind, known)


def feeds_of_columns(
    source: Ints, sources: Sequence[str], kind: Ints, known: Ints
) -> dict[str, Feed]:
    """The feeds that columns of events show, in any order.

    Parameters
    ----------
    source, kind, known
        Codes into `sources`, codes of `model.events.KIND_CODES`, microseconds since 1970 UTC;
        each of shape (N,).

    Examples
    --------
    >>> feeds = feeds_of_columns(np.array([0, 0]), ["crm"], np.array([0, 1]), np.array([5, 9]))
    >>> (sorted(feeds["crm"].kinds), feeds["crm"].heard.tolist())
    (['deal_opened', 'deal_won'], [5])
    """
    kinds = list(KINDS)
    heard = _first_of_each_hour(source, known)
    first = np.full((len(sources), len(kinds)), NEVER)
    np.minimum.at(first.ravel(), source.astype(np.int64) * len(kinds) + kind, known)
    feeds = {}
    for code, name in enumerate(sources):
        if code in heard:
            told = np.flatnonzero(first[code] != NEVER).tolist()
            since = {kinds[kind]: int(first[code, kind]) for kind in told}
            feeds[name] = Feed(kinds=frozenset(since), heard=heard[code], since=since)
    return feeds


def _first_of_each_hour(source: Ints, known: Ints) -> dict[int, Ints]:
    """For each source the first time known in each hour, ascending."""
    if known.size == 0:
        return {}
    order = np.lexsort((known, source))
    source, known = source[order], known[order]
    first = np.ones(known.size, dtype=bool)
    first[1:] = (np.diff(known // HOUR_US) > 0) | (source[1:] != source[:-1])
    source, known = source[first], known[first]
    codes, starts = np.unique(source, return_index=True)
    return dict(zip(codes.tolist(), np.split(known, starts[1:]), strict=True))


def merge_feeds(parts: list[dict[str, Feed]]) -> dict[str, Feed]:
    """Feeds seen in several pieces of one history, for example shards.

    Examples
    --------
    >>> mail = Feed(kinds=frozenset({"customer_replied"}), heard=np.array([5]))
    >>> more = Feed(kinds=frozenset({"message_sent"}), heard=np.array([3, HOUR_US]))
    >>> merged = merge_feeds([{"mail": mail}, {"mail": more}])["mail"]
    >>> (sorted(merged.kinds), merged.heard.tolist())
    (['customer_replied', 'message_sent'], [3, 3600000000])
    """
    seen: dict[str, list[Feed]] = {}
    for part in parts:
        for source, feed in part.items():
            seen.setdefault(source, []).append(feed)
    merged = {}
    for source, feeds in seen.items():
        kinds = frozenset[str]().union(*(feed.kinds for feed in feeds))
        since: dict[str, int] = {}
        for kind in sorted(kinds):
            told = [feed.since.get(kind) for feed in feeds if kind in feed.kinds]
            if None not in told:  # else one of them carried it all along
                since[kind] = min(time for time in told if time is not None)
        heard = np.concatenate([feed.heard for feed in feeds])
        merged[source] = Feed(kinds=kinds, heard=heard, since=since)
    return merged


def feeds_to_json(feeds: Feeds) -> dict[str, Any]:
    """The kinds that each source carries, with the time from which on, None for all along.

    When a source spoke belongs to a day, not to a model.

    Examples
    --------
    >>> kinds = frozenset({"message_sent", "customer_replied"})
    >>> feeds_to_json({"mail": Feed(kinds=kinds, since={"message_sent": DAY_US})})
    {'mail': {'customer_replied': None, 'message_sent': '1970-01-02T00:00:00+00:00'}}
    """
    told: dict[str, Any] = {}
    for source, feed in sorted(feeds.items()):
        since = {kind: feed.since.get(kind) for kind in sorted(feed.kinds)}
        told[source] = {
            kind: None if first is None else from_microseconds(first).isoformat()
            for kind, first in since.items()
        }
    return told


def feeds_from_json(value: Mapping[str, Mapping[str, str | None] | list[str]]) -> dict[str, Feed]:
    """The inverse of `feeds_to_json`; a list of kinds says that all were carried all along."""
    feeds = {}
    for source, told in value.items():
        times = told if isinstance(told, Mapping) else dict.fromkeys(told)
        since = {
            kind: microseconds(datetime.fromisoformat(time))
            for kind, time in times.items()
            if time is not None
        }
        feeds[source] = Feed(kinds=frozenset(times), since=since)
    return feeds
