"""What was known of many deals at given times: the few primitives every feature is made of.

A row is visible to a snapshot at `t` if ``known <= t``. Since nothing is known before it
happened, a visible row has also happened. All ages are measured on the clock of the row's
own feed, which stands still once the feed has stopped for everyone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from model.coverage import Coverage
from model.events import DAY_US, KIND_CODES
from model.feeds import Feeds
from model.history import NONE, Floats, History, Ints
from model.vocabulary import FOLLOWED, KIND_NAMES, Vocabulary

T = TypeVar("T")

WINDOWS_DAYS: Final = (7, 14, 30, 60, 90)
AGES: Final = len(WINDOWS_DAYS) + 1  # what is older than all windows is an age, too
OPENED, WON, LOST, REOPENED = (
    KIND_CODES[kind] for kind in ("deal_opened", "deal_won", "deal_lost", "deal_reopened")
)
_EDGES_US: Final = np.array([w * DAY_US for w in WINDOWS_DAYS], dtype=np.float64)


class AsOf:
    """Deals as they were known at given times.

    A *position* points at a visible row; -1 says that there is none. The columns of visible
    rows end with one entry more, the missing value, so that the position -1 reads it.

    Parameters
    ----------
    history
        The events.
    vocabulary
        The names with codes of their own; C is its `size`.
    codes
        ``vocabulary.codes(history)``, made once for all snapshots.
    deal
        Index into ``history.deal_ids`` of each snapshot. Shape (S,).
    as_of
        Time of each snapshot, microseconds since 1970 UTC. Shape (S,).
    feeds
        What each source carries; None takes every kind as carried and running.

    Attributes
    ----------
    row, snap, code
        Of each visible row: where it stands in the history, its snapshot, its code. They ascend
        in snapshot, then in time. Shape (R,).
    number, date, occurred_us, age_us
        Of each visible row, then NaN: its number, its date in days since 1970, when it happened
        in microseconds since 1970, and how long ago on its feed's clock. Shape (R + 1,).
    name, text
        Codes of each visible row, then -1. Shape (R + 1,).
    last
        Position of the last visible row of each code. Shape (C, S).
    since_days
        Days since the last visible row of each code, NaN where none. Shape (C, S).
    coverage
        What the feeds say; None without feeds.
    """

    def __init__(
        self,
        history: History,
        vocabulary: Vocabulary,
        codes: Ints,
        deal: Ints,
        as_of: Ints,
        feeds: Feeds | None = None,
    ) -> None:
        self.history = history
        self.vocabulary = vocabulary
        self.deal = deal
        self.as_of = as_of
        self.size = len(deal)
        self._shared: dict[Any, Any] = {}

        self.row, self.snap = _visible_rows(history, deal, as_of)
        self.code = codes.take(self.row)
        rows = self.row.size
        strings = np.empty((2, rows + 1), dtype=np.int64)
        strings[:, -1] = NONE
        self.name, self.text = strings
        self.name[:-1] = history.name.take(self.row)
        self.text[:-1] = history.text.take(self.row)
        floats = np.empty((4, rows + 1))  # whole microseconds of 200 years are exact in float64
        floats[:, -1] = np.nan
        self.number, self.date, self.occurred_us, self.age_us = floats
        self.number[:-1] = history.number.take(self.row)
        self.date[:-1] = history.date.take(self.row)
        self.occurred_us[:-1] = history.occurred.take(self.row)
        np.subtract(as_of.take(self.snap), self.occurred_us[:-1], out=self.age_us[:-1])

        self.coverage: Coverage | None = None
        if feeds is not None:
            source = history.source.take(self.row)
            self.coverage = Coverage(feeds, history.sources, source, self.snap, as_of)
            pause = self.coverage.row_pause()
            if pause is not None:
                # A fact that came in while the feed was stopped has no age below zero.
                self.age_us[:-1] = np.maximum(self.age_us[:-1] - pause, 0.0)

        self._cell = self.code * self.size + self.snap
        last = np.empty(vocabulary.size * self.size, dtype=np.int64)
        last.fill(NONE)
        # Rows ascend in time within a snapshot, and the last assignment of an index stands.
        last[self._cell] = np.arange(rows)
        self.last = last.reshape(vocabulary.size, self.size)
        self.since_days = (self.age_us / DAY_US).take(self.last)

    @cached_property
    def as_of_days(self) -> Floats:
        """Each snapshot's time in days since 1970. Shape (S,)."""
        return self.as_of / DAY_US

    @cached_property
    def aged(self) -> Ints:
        """Rows of each code by age: up to each of `WINDOWS_DAYS`, older. Shape (W + 1, C, S)."""
        bucket = _EDGES_US.searchsorted(self.age_us[:-1], side="right")
        cells = self.vocabulary.size * self.size
        counts = np.bincount(bucket * cells + self._cell, minlength=cells * AGES)
        return counts.reshape(AGES, self.vocabulary.size, self.size)

    @cached_property
    def final(self) -> Ints:
        """Position of the last visible row of whatever code. Shape (S,)."""
        return np.asarray(np.maximum.reduce(self.last, axis=0))

    def rows(self, *kinds: str) -> Ints:
        """Positions of the visible rows of these kinds, ascending in snapshot and time."""
        found = np.isin(self.code, [KIND_CODES[kind] for kind in kinds])
        return np.asarray(found.nonzero()[0])

    @cached_property
    def followed(self) -> Followed:
        """The visible rows of the kinds that features follow from one event to the next."""
        rows = self.vocabulary.is_followed.take(self.code).nonzero()[0]
        by_kind: dict[str, list[int]] = {kind: [] for kind in FOLLOWED}
        names = KIND_NAMES
        for i, code in enumerate(self.code.take(rows).tolist()):
            by_kind[names[code]].append(i)
        return Followed(
            by_kind=by_kind,
            snap=self.snap.take(rows).tolist(),
            name=self.name.take(rows).tolist(),
            number=self.number.take(rows).tolist(),
            date=self.date.take(rows).tolist(),
            person=self.history.person.take(self.row.take(rows)).tolist(),
            occurred_us=self.occurred_us.take(rows).tolist(),
            age_us=self.age_us.take(rows).tolist(),
        )

    def last_of(self, *kinds: str) -> Ints:
        """Position of the last visible row of any of these kinds. Shape (S,)."""
        found: Ints = self.last[KIND_CODES[kinds[0]]]
        for kind in kinds[1:]:
            found = np.maximum(found, self.last[KIND_CODES[kind]])
        return found

    def tally(self, snaps: Iterable[int]) -> Floats:
        """How often each snapshot is named. Shape (S,)."""
        count = np.zeros(self.size)
        for snap in snaps:
            count[snap] += 1.0
        return count

    def count_after(self, kind: str, *since: str) -> Floats:
        """Rows of `kind` after the last of any of `since`, all of `FOLLOWED`. Shape (S,)."""
        by_kind, snap = self.followed.by_kind, self.followed.snap
        rows = by_kind[kind]
        if not rows:
            return np.zeros(self.size)
        last: dict[int, int] = {}
        for each in since:
            for i in by_kind[each]:
                if i > last.get(snap[i], NONE):
                    last[snap[i]] = i
        return self.tally(snap[i] for i in rows if i > last.get(snap[i], NONE))

    def since_or_opening_days(self, kinds: tuple[str, ...]) -> Floats:
        """Days since the last row of these kinds, or since the opening if there was none.

        The opening has the clock of the feeds that carry the kinds. Shape (S,).
        """
        days: Floats = self.since_days[KIND_CODES[kinds[0]]]
        for kind in kinds[1:]:
            days = np.fmin(days, self.since_days[KIND_CODES[kind]])
        never = np.isnan(days)
        if never.any():
            passed = self.as_of - self.occurred_us.take(self.last[OPENED])
            pause = None if self.coverage is None else self.coverage.pause(kinds)
            if pause is not None:
                passed = np.maximum(passed - pause, 0.0)
            days = np.where(never, passed / DAY_US, days)
        return days

    @cached_property
    def is_open(self) -> NDArray[np.bool_]:
        """Whether the deal was opened and, as known, not closed since. Shape (S,).

        Only a reopening opens a closed deal: one opened and closed at the same moment is closed.
        """
        closed = np.maximum(self.last[WON], self.last[LOST])
        found: NDArray[np.bool_] = (self.last[OPENED] >= 0) & (
            (closed < 0) | (self.last[REOPENED] > closed)
        )
        return found

    def once(self, signal: Callable[[AsOf], T]) -> T:
        """``signal(self)``, computed once for all features that ask for it."""
        if signal not in self._shared:
            self._shared[signal] = signal(self)
        return cast(T, self._shared[signal])


@dataclass(frozen=True, kw_only=True, slots=True)
class Followed:
    """Rows as lists, for loops: few as they are, that is quicker than arrays, and plainer.

    Parameters
    ----------
    by_kind
        For each of `FOLLOWED` the indices of its rows in the lists, ascending in time.
    snap
        The snapshot that each row is visible to, ascending.
    name, person
        Codes, -1 where missing.
    number, date
        Numbers and days since 1970, NaN where missing.
    occurred_us, age_us
        Microseconds since 1970 UTC, and until the snapshot on the row's feed's clock.
    """

    by_kind: dict[str, list[int]]
    snap: list[int]
    name: list[int]
    number: list[float]
    date: list[float]
    person: list[int]
    occurred_us: list[float]
    age_us: list[float]


def _visible_rows(history: History, deal: Ints, as_of: Ints) -> tuple[Ints, Ints]:
    """History rows visible to each snapshot, and whose they are, in order."""
    if len(deal) == 1:
        first, end = history.start[deal[0]], history.start[deal[0] + 1]
        row = (history.known[first:end] <= as_of[0]).nonzero()[0] + first
        return row, np.zeros(row.size, dtype=np.int64)
    first = history.start[deal]
    length = history.start[deal + 1] - first
    snap = np.repeat(np.arange(len(deal)), length)
    row = np.arange(snap.size) + (first - np.cumsum(length) + length)[snap]
    visible = history.known[row] <= as_of[snap]
    return row[visible], snap[visible]
