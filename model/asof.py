"""What was known of many deals at given times: the few primitives every feature is made of.

A row is visible to a snapshot at `t` if ``known <= t``. Since nothing is known before it
happened, a visible row has also happened. All ages are measured on the clock of the row's
own feed, which stands still once the feed has stopped for everyone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from model.events import DAY_US, KIND_CODES, KINDS
from model.feeds import Feeds
from model.history import NONE, Floats, History, Ints
from model.vocabulary import KIND_OF_ACTIVITY, KIND_OF_FIELD, Vocabulary

T = TypeVar("T")

WINDOWS_DAYS: Final = (7, 14, 30, 60, 90)
OPENED, WON, LOST, REOPENED = (
    KIND_CODES[kind] for kind in ("deal_opened", "deal_won", "deal_lost", "deal_reopened")
)
KIND_NAMES: Final = tuple(KINDS)
_EDGES_US: Final = np.array([w * DAY_US for w in WINDOWS_DAYS], dtype=np.int64)


class AsOf:
    """Deals as they were known at given times.

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
        self.code = codes[self.row]
        self._carries = _carries(history, vocabulary, feeds)
        self._pause = _pauses(history, as_of, feeds)
        age = as_of[self.snap] - history.occurred[self.row]
        if self._pause is not None:
            # A fact that came in while the feed was stopped has no age below zero.
            age = np.maximum(age - self._pause[self.snap, history.source[self.row]], 0)
        self.age = age
        """Microseconds since each visible row happened, on its feed's clock. Shape (R,)."""
        self.cell = self.snap * vocabulary.size + self.code
        self._shared: dict[Any, Any] = {}

    @cached_property
    def last(self) -> Ints:
        """Position of the last visible row of each code, -1 where none. Shape (S, C)."""
        last = np.full(self.size * self.vocabulary.size, NONE, dtype=np.int64)
        # Rows ascend in time within a snapshot, and the last assignment of an index stands.
        last[self.cell] = np.arange(self.cell.size)
        return last.reshape(self.size, -1)

    @cached_property
    def since_days(self) -> Floats:
        """Days since the last visible row of each code, NaN where none. Shape (S, C)."""
        age = np.append(self.age / DAY_US, np.nan)
        return age[self.last]

    @cached_property
    def recent(self) -> Floats:
        """Rows of each code within each of `WINDOWS_DAYS`, then in all. Shape (W + 1, S, C)."""
        bucket = np.searchsorted(_EDGES_US, self.age, side="right")
        cells = self.size * self.vocabulary.size
        counts = np.bincount(
            bucket * cells + self.cell, minlength=cells * (len(WINDOWS_DAYS) + 1)
        ).reshape(len(WINDOWS_DAYS) + 1, self.size, -1)
        return np.cumsum(counts, axis=0, dtype=np.float64)

    @cached_property
    def carried(self) -> NDArray[np.bool_] | None:
        """Whether a source of the deal carries each code; None if all do. Shape (S, C)."""
        if self._carries is None:
            return None
        carries, spans_all = self._carries
        sources = len(self.history.sources)
        seen = np.bincount(
            self.snap * sources + self.history.source[self.row], minlength=self.size * sources
        )
        return ((seen.reshape(self.size, sources) > 0) @ carries) | spans_all

    def rows(self, *kinds: str) -> Ints:
        """Positions of the visible rows of these kinds, ascending in snapshot and time."""
        if len(kinds) == 1:
            return np.flatnonzero(self.code == KIND_CODES[kinds[0]])
        found = self.code == KIND_CODES[kinds[0]]
        for kind in kinds[1:]:
            found |= self.code == KIND_CODES[kind]
        return np.flatnonzero(found)

    def last_of(self, *kinds: str) -> Ints:
        """Position of the last visible row of any of these kinds, -1 where none. Shape (S,)."""
        if len(kinds) == 1:
            return self.last[:, KIND_CODES[kinds[0]]]
        columns = [KIND_CODES[kind] for kind in kinds]
        found: Ints = self.last[:, columns].max(axis=1)
        return found

    def is_carried(self, *kinds: str) -> NDArray[np.bool_]:
        """Whether a source of the deal carries any of these kinds. Shape (S,)."""
        if self.carried is None:
            return np.ones(self.size, dtype=bool)
        columns = [KIND_CODES[kind] for kind in kinds]
        return np.asarray(self.carried[:, columns].any(axis=1))

    def value(self, column: Floats, position: Ints) -> Floats:
        """A history column at visible positions; NaN where the position is -1. Shape (S,)."""
        if self.row.size == 0:
            return np.full(position.shape, np.nan)
        return np.where(position >= 0, column[self.row[position]], np.nan)

    def string_code(self, column: Ints, position: Ints) -> Ints:
        """A history's string code at visible positions; -1 where none. Shape (S,)."""
        if self.row.size == 0:
            return np.full(position.shape, NONE)
        return np.where(position >= 0, column[self.row[position]], NONE)

    def count_after(self, rows: Ints, position: Ints) -> Floats:
        """How many of `rows` stand after each snapshot's `position`. Shape (S,)."""
        if rows.size == 0:
            return np.zeros(self.size)
        snap = self.snap[rows]
        later = rows > position[snap]
        return np.bincount(snap[later], minlength=self.size).astype(np.float64)

    @cached_property
    def is_open(self) -> NDArray[np.bool_]:
        """Whether the deal was opened and, as known, not closed since. Shape (S,)."""
        closed = self.last[:, (WON, LOST)].max(axis=1)
        opened = self.last[:, (OPENED, REOPENED)].max(axis=1)
        found: NDArray[np.bool_] = (self.last[:, OPENED] >= 0) & (opened > closed)
        return found

    def once(self, signal: Callable[[AsOf], T]) -> T:
        """``signal(self)``, computed once for all features that ask for it."""
        if signal not in self._shared:
            self._shared[signal] = signal(self)
        return cast(T, self._shared[signal])

    def pause_days(self, kind: str) -> Floats:
        """Days that every source carrying `kind` had been stopped. Shape (S,)."""
        if self._pause is None:
            return np.zeros(self.size)
        if self._carries is None:
            return np.asarray(self._pause.min(axis=1) / DAY_US)
        carries = self._carries[0][:, KIND_CODES[kind]]
        if not carries.any():
            return np.zeros(self.size)
        return np.asarray(self._pause[:, carries].min(axis=1) / DAY_US)


def _visible_rows(history: History, deal: Ints, as_of: Ints) -> tuple[Ints, Ints]:
    """History rows visible to each snapshot, and whose they are, in order."""
    first = history.start[deal]
    length = history.start[deal + 1] - first
    if len(deal) == 1:
        row = np.arange(first[0], first[0] + length[0])
        row = row[history.known[row] <= as_of[0]]
        return row, np.zeros(row.size, dtype=np.int64)
    snap = np.repeat(np.arange(len(deal)), length)
    row = np.arange(snap.size) + (first - np.cumsum(length) + length)[snap]
    visible = history.known[row] <= as_of[snap]
    return row[visible], snap[visible]


def _carries(
    history: History, vocabulary: Vocabulary, feeds: Feeds | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Per source of the history the codes it carries, and the codes carried for all deals."""
    if feeds is None:
        return None
    everything = frozenset(KIND_NAMES)
    anywhere = frozenset[str]().union(*(feed.kinds for feed in feeds.values()))
    carries = np.array(
        [
            # A source nobody described may carry whatever this company's sources carry.
            _marks(feeds[source].kinds if source in feeds else anywhere or everything, vocabulary)
            for source in history.sources
        ]
    )
    spanning: frozenset[str] = frozenset[str]().union(
        *(feed.kinds for feed in feeds.values() if "deal_opened" not in feed.kinds)
    )
    spans_all = _marks(spanning, vocabulary)
    if carries.all():
        return None
    return carries, spans_all


def _marks(kinds: frozenset[str], vocabulary: Vocabulary) -> NDArray[np.bool_]:
    marks = np.zeros(vocabulary.size, dtype=bool)
    marks[[KIND_CODES[kind] for kind in kinds]] = True
    first = len(KIND_NAMES)
    marks[first : first + len(vocabulary.activities)] = marks[KIND_OF_ACTIVITY]
    marks[first + len(vocabulary.activities) :] = marks[KIND_OF_FIELD]
    return marks


def _pauses(history: History, as_of: Ints, feeds: Feeds | None) -> Ints | None:
    """Microseconds that each source had been stopped; None if none was. Shape (S, sources)."""
    if feeds is None:
        return None
    columns: Sequence[Ints] = [
        feeds[source].pause(as_of) if source in feeds else np.zeros(as_of.shape, dtype=np.int64)
        for source in history.sources
    ]
    pauses = np.stack(columns, axis=1)
    return pauses if pauses.any() else None
