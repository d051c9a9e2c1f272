"""The record in a file of events: what its sources carry, when they were heard, and its end.

A moment far past the record's end is answered as if nothing had happened since, which nobody
knows: the feeds count as stopped, and every age is counted up to where its feed stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.errors import ScoreError
from model.event_table import column_names, read_columns
from model.events import DAY_US, KIND_CODES, from_microseconds
from model.feeds import Feed, feeds_of_columns, merge_feeds
from model.history import Ints

UNRECORDED_DAYS: Final = 7  # past the record's end, as training allows; further is warned of
MOST_UNRECORDED_DAYS: Final = 90  # further is refused


@dataclass(frozen=True, kw_only=True)
class Record:
    """What a file of events covers.

    Parameters
    ----------
    events
        The file.
    feeds
        What each source carried and when it was heard, as known at the moment asked for.
    end
        When the last event of all became known, microseconds since 1970 UTC; 0 without events.
    lacks_known_at
        Whether the file has no such column.
    """

    events: Path
    feeds: dict[str, Feed]
    end: int
    lacks_known_at: bool = False

    def days_past(self, moment: int) -> float:
        """Days by which a moment lies after the record's end.

        Parameters
        ----------
        moment
            Microseconds since 1970 UTC.

        Examples
        --------
        >>> Record(events=Path("events.csv"), feeds={}, end=DAY_US).days_past(3 * DAY_US)
        2.0
        """
        return (moment - self.end) / DAY_US

    def known_at(self, moment: int) -> Record:
        """The record as `read_record` reads it until an earlier moment; its end stays.

        Parameters
        ----------
        moment
            Microseconds since 1970 UTC.

        Examples
        --------
        >>> mail = Feed(kinds=frozenset({"call_made"}), heard=np.array([5]), since={"call_made": 5})
        >>> record = Record(events=Path("events.csv"), feeds={"mail": mail}, end=5)
        >>> [sorted(record.known_at(moment).feeds) for moment in (4, 5)]
        [[], ['mail']]
        """
        feeds = {}
        for source, feed in self.feeds.items():
            heard = feed.heard[feed.heard <= moment]
            if heard.size:
                since = {kind: first for kind, first in feed.since.items() if first <= moment}
                feeds[source] = Feed(kinds=frozenset(since), heard=heard, since=since)
        return replace(self, feeds=feeds)

    def warnings(self, moment: int) -> list[str]:
        """All to warn of at a moment, microseconds since 1970 UTC.

        Raises
        ------
        ScoreError
            As `check`.
        """
        stale = self.check(moment)
        told = [] if stale is None else [stale]
        if self.lacks_known_at:
            told.append(
                f"{self.events} without the column known_at: every fact is taken as known when it "
                "occurred (occurred_at), also where it was logged later"
            )
        return told

    def check(self, moment: int) -> str | None:
        """What to warn of at a moment, microseconds since 1970 UTC; None within the record.

        Raises
        ------
        ScoreError
            If the moment lies more than `MOST_UNRECORDED_DAYS` after the record's end.
        """
        days = self.days_past(moment)
        if self.end == 0:
            raise ScoreError(f"{self.events}, without an event", "events", "check what wrote it")
        if days <= UNRECORDED_DAYS:
            return None
        last, asked = from_microseconds(self.end).date(), from_microseconds(moment).date()
        given = f"as_of {asked}, {days:.0f} days after the record of {self.events} ends on {last}"
        if days > MOST_UNRECORDED_DAYS:
            raise ScoreError(
                given,
                f"a time at most {MOST_UNRECORDED_DAYS} days after the record's end",
                "bring a later export, or ask for an earlier time",
            )
        return (
            f"{given}: silence and other ages are counted only up to where each feed stopped; "
            "bring a later export"
        )


def read_record(events: Path, until: int) -> Record:
    """What a file covers, without loading more than a few of its columns.

    Parameters
    ----------
    events
        A file of events.
    until
        Microseconds since 1970 UTC; what was known later tells nothing of the feeds.

    Raises
    ------
    RedflareError
        If the events cannot be read.
    """
    end = 0
    parts = []
    for table in read_columns(events, ("source", "kind", "known_at")):
        known = table["known_at"].cast(pa.int64())
        end = max(end, pc.max(known).as_py() or 0)
        parts.append(_feeds(events, table, known.to_numpy(), until))
    lacks = "known_at" not in column_names(events)
    return Record(events=events, feeds=merge_feeds(parts), end=end, lacks_known_at=lacks)


def _feeds(events: Path, table: pa.Table, known: Ints, until: int) -> dict[str, Feed]:
    table, known = table.filter(known <= until), known[known <= until]
    source = table["source"].combine_chunks().dictionary_encode()
    kind = table["kind"].combine_chunks().dictionary_encode()
    unknown = sorted(set(kind.dictionary.to_pylist()) - KIND_CODES.keys())
    if unknown:
        raise ScoreError(
            f"{events}, kind {unknown[0]!r}", "one of " + ", ".join(KIND_CODES), "import them"
        )
    codes = np.array([KIND_CODES[name] for name in kind.dictionary.to_pylist()], dtype=np.int64)
    return feeds_of_columns(
        source.indices.to_numpy(),
        source.dictionary.to_pylist(),
        codes[kind.indices.to_numpy()],
        known,
    )
