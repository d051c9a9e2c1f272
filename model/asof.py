"""What was known of a deal at a time: the few primitives that every feature is made of.

A row is visible at `t` if ``known <= t``. Since nothing is known before it happened, a visible row
has also happened. All ages are measured on the clock of the row's own feed, which stands still
once the feed has stopped for everyone.

A deal has few rows. So its part of the columns is taken out as lists once, and plain loops follow
it: for one deal that is far quicker than arrays, for many it is quick enough, and it is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from math import isnan, nan
from typing import Any, Final, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from model.coverage import Coverage
from model.events import DAY_US, KIND_CODES
from model.feeds import Feeds
from model.history import History, Ints
from model.vocabulary import Vocabulary

T = TypeVar("T")

OPENED, WON, LOST, REOPENED = (
    KIND_CODES[kind] for kind in ("deal_opened", "deal_won", "deal_lost", "deal_reopened")
)
_NO_ROWS: Final[list[int]] = []
# What is planned and whether it was reached: no activity, and counted by features of its own.
PLANS: Final = frozenset(
    KIND_CODES[kind]
    for kind in (
        "milestone_set",
        "milestone_moved",
        "milestone_reached",
        "milestone_dropped",
        "must_hit_declared",
        "must_hit_withdrawn",
    )
)


class DealRows:
    """The rows of one deal as lists, in the order of time.

    Parameters
    ----------
    history
        The events.
    codes
        ``vocabulary.codes(history)``.
    deal
        Index into ``history.deal_ids``.

    Attributes
    ----------
    code
        Codes of the vocabulary: `model.events.KIND_CODES`, or an activity's or field's own.
    occurred, known
        Microseconds since 1970 UTC.
    name, text, person, source
        Codes; -1 where missing.
    number, date
        NaN where missing; dates in days since 1970.
    names, texts, sources
        What the codes of names, texts and sources stand for.
    """

    __slots__ = (
        "code",
        "date",
        "known",
        "name",
        "names",
        "number",
        "occurred",
        "person",
        "source",
        "sources",
        "text",
        "texts",
    )

    def __init__(self, history: History, codes: Ints, deal: int) -> None:
        rows = slice(history.start[deal], history.start[deal + 1])
        self.code: list[int] = codes[rows].tolist()
        self.occurred: list[int] = history.occurred[rows].tolist()
        self.known: list[int] = history.known[rows].tolist()
        self.name: list[int] = history.name[rows].tolist()
        self.text: list[int] = history.text[rows].tolist()
        self.person: list[int] = history.person[rows].tolist()
        self.source: list[int] = history.source[rows].tolist()
        self.number: list[float] = history.number[rows].tolist()
        self.date: list[float] = history.date[rows].tolist()
        self.names = history.names
        self.texts = history.texts
        self.sources = history.sources


class Snapshot:
    """One deal as it was known at a time.

    Parameters
    ----------
    deal
        Its rows, visible or not.
    as_of
        Microseconds since 1970 UTC.
    coverage
        What the feeds say; None takes every kind as carried and every feed as running.

    Attributes
    ----------
    rows
        Positions of the visible rows in the lists of `deal`, ascending in time.
    by_code
        The same for each code that occurs.
    age_days
        Days since each row of `deal` happened, on its feed's clock.
    """

    __slots__ = ("_shared", "age_days", "as_of", "by_code", "coverage", "deal", "rows")

    def __init__(self, deal: DealRows, as_of: int, coverage: Coverage | None = None) -> None:
        self.deal = deal
        self.as_of = as_of
        self.coverage = coverage
        self.rows = rows = [i for i, known in enumerate(deal.known) if known <= as_of]
        self.by_code = by_code = dict[int, list[int]]()
        code = deal.code
        for i in rows:
            alike = by_code.get(code[i])
            if alike is None:
                by_code[code[i]] = [i]
            else:
                alike.append(i)
        clocks = None if coverage is None else coverage.clocks(as_of)
        if clocks is None:
            self.age_days = [(as_of - at) / DAY_US for at in deal.occurred]
        else:
            ages = zip(deal.occurred, deal.source, strict=True)
            self.age_days = days = [(clocks[source] - at) / DAY_US for at, source in ages]
            if days and min(days) < 0:
                # A fact that came in while the feed was stopped has no age below zero.
                self.age_days = [max(age, 0.0) for age in days]
        self._shared: dict[Any, Any] = {}

    @classmethod
    def of_nothing(cls) -> Snapshot:
        """A deal never heard of."""
        empty = object.__new__(DealRows)
        for column in ("code", "occurred", "known", "name", "text", "person", "source"):
            setattr(empty, column, [])
        empty.number, empty.date = [], []
        empty.names = empty.texts = empty.sources = ()
        return cls(empty, 0)

    def of(self, kind: str) -> list[int]:
        """Positions of the visible rows of a kind, ascending in time."""
        return self.by_code.get(KIND_CODES[kind], _NO_ROWS)

    def last(self, *kinds: str) -> int:
        """Position of the last visible row of any of these kinds, -1 where none."""
        last = -1
        for kind in kinds:
            rows = self.by_code.get(KIND_CODES[kind])
            if rows and rows[-1] > last:
                last = rows[-1]
        return last

    def since_days(self, codes: Iterable[int]) -> float:
        """Days since the last row of any of these codes, NaN where none."""
        days = nan
        for code in codes:
            rows = self.by_code.get(code)
            if rows and not self.age_days[rows[-1]] > days:
                days = self.age_days[rows[-1]]
        return days

    def since_or_opening_days(self, *kinds: str) -> float:
        """Days since the last row of these kinds, or since the opening if there was none.

        The opening has the clock of the feeds that carry the kinds.
        """
        days = self.since_days([KIND_CODES[kind] for kind in kinds])
        if not isnan(days):
            return days
        opened = self.of("deal_opened")
        if not opened:
            return nan
        passed = self.as_of - self.deal.occurred[opened[-1]]
        if self.coverage is not None:
            passed = max(passed - self.coverage.pause(kinds, self), 0)
        return passed / DAY_US

    def count_after(self, kind: str, *since: str) -> float:
        """Rows of `kind` after the last of any of `since`."""
        rows = self.of(kind)
        if not rows:
            return 0.0
        last = self.last(*since)
        return float(sum([i > last for i in rows]))

    def number(self, kind: str) -> float:
        """The last number of a kind, NaN where none."""
        rows = self.of(kind)
        return self.deal.number[rows[-1]] if rows else nan

    @property
    def activity(self) -> list[int]:
        """Positions of the visible rows of all kinds but `PLANS`, ascending in time.

        A milestone on record is no activity, lest one that is reached hide what the customer did
        before it and so lower the probability.
        """
        return self.once(_activity)

    @property
    def is_open(self) -> bool:
        """Whether the deal was opened and, as known, not closed since.

        Only a reopening opens a closed deal: one opened and closed at the same moment is closed.
        """
        closed = self.last("deal_won", "deal_lost")
        return OPENED in self.by_code and (closed < 0 or self.last("deal_reopened") > closed)

    def once(self, signal: Callable[[Snapshot], T]) -> T:
        """``signal(self)``, computed once for all features that ask for it."""
        if signal not in self._shared:
            self._shared[signal] = signal(self)
        return cast(T, self._shared[signal])


def _activity(snapshot: Snapshot) -> list[int]:
    if PLANS.isdisjoint(snapshot.by_code):
        return snapshot.rows
    code = snapshot.deal.code
    return [i for i in snapshot.rows if code[i] not in PLANS]


class AsOf:
    """Deals as they were known at given times.

    Parameters
    ----------
    history
        The events.
    vocabulary
        The names with codes of their own.
    codes
        ``vocabulary.codes(history)``, made once for all snapshots.
    deal
        Index into ``history.deal_ids`` of each snapshot; side by side, those of one deal are
        quicker. Shape (S,).
    as_of
        Time of each snapshot, microseconds since 1970 UTC. Shape (S,).
    feeds
        What each source carries, or its `Coverage` for the history's sources; None takes every
        kind as carried and running.
    """

    def __init__(
        self,
        history: History,
        vocabulary: Vocabulary,
        codes: Ints,
        deal: Ints,
        as_of: Ints,
        feeds: Feeds | Coverage | None = None,
    ) -> None:
        self.history = history
        self.vocabulary = vocabulary
        self.deal = deal
        self.as_of = as_of
        self.size = len(deal)
        if feeds is None or isinstance(feeds, Coverage):
            coverage = feeds
        else:
            coverage = Coverage(feeds, history.sources)
        self.snapshots: list[Snapshot] = []
        before = -1
        for index, time in zip(deal.tolist(), as_of.tolist(), strict=True):
            if index != before:
                rows, before = DealRows(history, codes, index), index
            self.snapshots.append(Snapshot(rows, time, coverage))

    @cached_property
    def is_open(self) -> NDArray[np.bool_]:
        """Whether each deal was opened and, as known, not closed since. Shape (S,)."""
        return np.array([snapshot.is_open for snapshot in self.snapshots], dtype=bool)
