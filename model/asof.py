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
ALL_TIME: Final = len(WINDOWS_DAYS)  # the window after the last
OPENED, WON, LOST, REOPENED = (
    KIND_CODES[kind] for kind in ("deal_opened", "deal_won", "deal_lost", "deal_reopened")
)
_EDGES_US: Final = np.array([w * DAY_US for w in WINDOWS_DAYS], dtype=np.float64)
_NO_ROWS: Final = np.empty(0, dtype=np.int64)


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
        self.row, self.snap = _visible_rows(history, deal, as_of)
        self.code = codes.take(self.row)
        self.coverage: Coverage | None = None
        if feeds is not None:
            source = history.source.take(self.row)
            self.coverage = Coverage(feeds, history.sources, source, self.snap, as_of)
        self._shared: dict[Any, Any] = {}

    @cached_property
    def as_of_days(self) -> Floats:
        """Each snapshot's time in days since 1970. Shape (S,)."""
        return self.as_of / DAY_US

    @cached_property
    def age_us(self) -> Floats:
        """Microseconds since each visible row happened, on its feed's clock. Shape (R + 1,)."""
        age = np.empty(self.row.size + 1)  # whole microseconds of 200 years are exact in float64
        age[:-1] = self.as_of.take(self.snap) - self.history.occurred.take(self.row)
        age[-1] = np.nan
        pause = None if self.coverage is None else self.coverage.row_pause
        if pause is not None:
            # A fact that came in while the feed was stopped has no age below zero.
            age[:-1] = np.maximum(age[:-1] - pause, 0.0)
        return age

    @cached_property
    def last(self) -> Ints:
        """Position of the last visible row of each code. Shape (C, S)."""
        last = np.empty(self.vocabulary.size * self.size, dtype=np.int64)
        last.fill(NONE)
        # Rows ascend in time within a snapshot, and the last assignment of an index stands.
        last[self._cell] = np.arange(self.row.size)
        return last.reshape(-1, self.size)

    @cached_property
    def since_days(self) -> Floats:
        """Days since the last visible row of each code, NaN where none. Shape (C, S)."""
        return (self.age_us / DAY_US).take(self.last)

    @cached_property
    def recent(self) -> Ints:
        """Rows of each code within each of `WINDOWS_DAYS`, then in all. Shape (W + 1, C, S)."""
        bucket = _EDGES_US.searchsorted(self.age_us[:-1], side="right")
        cells = self.vocabulary.size * self.size
        counts = np.bincount(bucket * cells + self._cell, minlength=cells * (ALL_TIME + 1))
        shape = (ALL_TIME + 1, self.vocabulary.size, self.size)
        return counts.reshape(shape).cumsum(axis=0)

    @cached_property
    def _cell(self) -> Ints:
        return self.code * self.size + self.snap

    @cached_property
    def final(self) -> Ints:
        """Position of the last visible row of whatever code. Shape (S,)."""
        return np.asarray(np.maximum.reduce(self.last, axis=0))

    @cached_property
    def occurred_us(self) -> Floats:
        """When the visible rows happened, microseconds since 1970 UTC. Shape (R + 1,)."""
        return self.column(self.history.occurred)

    @cached_property
    def number(self) -> Floats:
        """The visible rows' numbers. Shape (R + 1,)."""
        return self.column(self.history.number)

    @cached_property
    def date(self) -> Floats:
        """The visible rows' dates, days since 1970. Shape (R + 1,)."""
        return self.column(self.history.date)

    @cached_property
    def name(self) -> Ints:
        """The visible rows' codes of names. Shape (R + 1,)."""
        return self.string_column(self.history.name)

    @cached_property
    def text(self) -> Ints:
        """The visible rows' codes of texts. Shape (R + 1,)."""
        return self.string_column(self.history.text)

    def column(self, column: Floats | Ints) -> Floats:
        """A column of the history at the visible rows, and NaN. Shape (R + 1,)."""
        values = np.empty(self.row.size + 1)
        values[:-1] = column.take(self.row)
        values[-1] = np.nan
        return values

    def string_column(self, column: Ints) -> Ints:
        """A column of codes at the visible rows, and `NONE`. Shape (R + 1,)."""
        codes = np.empty(self.row.size + 1, dtype=np.int64)
        codes[:-1] = column.take(self.row)
        codes[-1] = NONE
        return codes

    @cached_property
    def _present(self) -> frozenset[int]:
        return frozenset(np.bincount(self.code).nonzero()[0].tolist())

    def rows(self, *kinds: str) -> Ints:
        """Positions of the visible rows of these kinds, ascending in snapshot and time."""
        codes = [code for kind in kinds if (code := KIND_CODES[kind]) in self._present]
        if not codes:
            return _NO_ROWS
        found = self.code == codes[0]
        for code in codes[1:]:
            found |= self.code == code
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
            occurred_us=self.history.occurred.take(self.row.take(rows)).tolist(),
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
        """Rows of `kind` after the last of any of `since`. Shape (S,)."""
        rows = self.rows(kind)
        if rows.size == 0:
            return np.zeros(self.size)
        snap = self.snap.take(rows)
        after = rows > self.last_of(*since).take(snap)
        return np.bincount(snap[after], minlength=self.size).astype(np.float64)

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
    name
        Codes of names, -1 where missing.
    number, date
        Numbers and days since 1970, NaN where missing.
    occurred_us
        Microseconds since 1970 UTC.
    """

    by_kind: dict[str, list[int]]
    snap: list[int]
    name: list[int]
    number: list[float]
    date: list[float]
    occurred_us: list[int]


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
