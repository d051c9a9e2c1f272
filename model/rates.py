"""Win rates of owners and accounts: the only facts that cross from one deal to another.

In training they are as of each snapshot, in serving as of the artifact's cut-off; a deal's own
closings never count. Rates are smoothed toward the rate of all closings,

    rate = (won + PRIOR * base) / (closed + PRIOR),      base = won of all / closed of all

(James & Stein shrinkage with a fixed prior weight), so an unknown owner has the base rate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from model.asof import LOST, WON
from model.events import KIND_CODES
from model.history import Floats, History, Ints
from model.vocabulary import look_up

PRIOR: Final = 20.0  # closings that the base rate counts for
WHO: Final = ("owner", "account")
KIND_OF: Final = {who: KIND_CODES[f"{who}_changed"] for who in WHO}


class WinRates(Protocol):
    """Counts of closings by owner and by account, as of a time."""

    def counts(
        self, who: str, codes: Ints, names: Sequence[str], as_of: Ints
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """Won and closed of each code's name, and of all. Each of shape (S,)."""
        ...

    def counted(self, known: int, as_of: int) -> bool:
        """Whether a closing known at `known` is in the counts as of `as_of`."""
        ...


def smoothed(won: Floats, closed: Floats, all_won: Floats, all_closed: Floats) -> Floats:
    """The smoothed win rate; NaN where nothing has closed at all.

    Examples
    --------
    >>> smoothed(np.array([3.0]), np.array([4.0]), np.array([30.0]), np.array([100.0])).tolist()
    [0.375]
    """
    base = np.divide(all_won, all_closed, out=np.full(won.shape, np.nan), where=all_closed > 0)
    return np.asarray((won + PRIOR * base) / (closed + PRIOR))


@dataclass(frozen=True, kw_only=True)
class ClosingTable:
    """Closings up to an artifact's cut-off, counted: what serving looks up.

    Parameters
    ----------
    known_before
        The cut-off, microseconds since 1970 UTC.
    table
        For "owner" and "account" the (won, closed) of each name; "" holds those of all.
    """

    known_before: int
    table: Mapping[str, Mapping[str, tuple[int, int]]]

    def counts(
        self, who: str, codes: Ints, names: Sequence[str], as_of: Ints
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """See `WinRates`; `as_of` changes nothing."""
        entries = self.table[who]
        index = {name: i for i, name in enumerate(entries)}
        values = np.array([*entries.values(), (0, 0)], dtype=np.float64)
        found = values[look_up(codes, names, index, -1, -1)]
        won, closed = entries[""]
        return (
            found[:, 0],
            found[:, 1],
            np.full(len(codes), float(won)),
            np.full(len(codes), float(closed)),
        )

    def counted(self, known: int, as_of: int) -> bool:
        """See `WinRates`."""
        return known < self.known_before

    def to_json(self) -> dict[str, Any]:
        """A form that JSON can hold."""
        return {
            "known_before": self.known_before,
            "table": {
                who: {name: list(counts) for name, counts in sorted(entries.items())}
                for who, entries in self.table.items()
            },
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ClosingTable:
        """The inverse of `to_json`."""
        return cls(
            known_before=int(value["known_before"]),
            table={
                who: {name: (int(won), int(closed)) for name, (won, closed) in entries.items()}
                for who, entries in value["table"].items()
            },
        )


class ClosingLog:
    """Every closing of a history in the order they became known: what training looks up.

    Parameters
    ----------
    history
        All deals; closings known later than a snapshot do not count in it.
    """

    def __init__(self, history: History) -> None:
        self.names = history.names
        rows = np.flatnonzero((history.kind == WON) | (history.kind == LOST))
        rows = rows[np.argsort(history.known[rows], kind="stable")]
        self.known = history.known[rows]
        self.won = history.kind[rows] == WON
        self.who = {who: _in_force(history, KIND_OF[who])[rows] for who in WHO}
        self._by_name = {who: self._sorted_by_name(self.who[who]) for who in WHO}
        self._won_before = np.append(0, np.cumsum(self.won)).astype(np.float64)

    def _sorted_by_name(self, name: Ints) -> tuple[Ints, Ints, Floats]:
        order = np.argsort(name, kind="stable")
        return name[order], self.known[order], np.append(0.0, np.cumsum(self.won[order]))

    def counts(
        self, who: str, codes: Ints, names: Sequence[str], as_of: Ints
    ) -> tuple[Floats, Floats, Floats, Floats]:
        """See `WinRates`; `names` must be those of this log's history."""
        name, known, won_before = self._by_name[who]
        first = np.searchsorted(name, codes, side="left")
        # Positions by (name, time): within a name, closings ascend in the time known.
        last = first + _count_until(name, known, codes, as_of)
        has = codes >= 0
        before = np.searchsorted(self.known, as_of, side="right")
        return (
            np.where(has, won_before[last] - won_before[first], 0.0),
            np.where(has, (last - first).astype(np.float64), 0.0),
            self._won_before[before],
            before.astype(np.float64),
        )

    def counted(self, known: int, as_of: int) -> bool:
        """See `WinRates`."""
        return known <= as_of

    def table(self, known_before: int) -> ClosingTable:
        """The counts of everything known before the cut-off, for an artifact."""
        until = self.known < known_before
        tables: dict[str, dict[str, tuple[int, int]]] = {}
        for who in WHO:
            names = self.who[who][until]
            closed = np.bincount(names[names >= 0], minlength=len(self.names))
            won = np.bincount(names[(names >= 0) & self.won[until]], minlength=len(self.names))
            tables[who] = {
                self.names[c]: (int(won[c]), int(closed[c]))
                for c in np.flatnonzero(closed).tolist()
            }
            tables[who][""] = (int(self.won[until].sum()), int(until.sum()))
        return ClosingTable(known_before=known_before, table=tables)


def _count_until(name: Ints, known: Ints, codes: Ints, as_of: Ints) -> Ints:
    """For each (code, as_of) how many closings of that name were known by then."""
    every = np.concatenate([name, codes])
    time = np.concatenate([known, as_of])
    is_query = np.repeat([0, 1], [name.size, codes.size])
    order = np.lexsort((is_query, time, every))
    seen = np.cumsum(is_query[order] == 0)
    count = np.empty(every.size, dtype=np.int64)
    count[order] = seen
    return count[name.size :] - np.searchsorted(name, codes, side="left")


def _in_force(history: History, kind: int) -> Ints:
    """For each row the name in force in its deal by the last row of `kind` until it."""
    rows = np.arange(history.kind.size)
    deal_start = np.repeat(history.start[:-1], np.diff(history.start))
    latest = np.maximum.accumulate(np.where(history.kind == kind, rows, -1))
    return np.where(latest >= deal_start, history.name[latest], -1)


def own_closings(
    history: History, who: str, code: int | None, rows: Ints, counted: Callable[[int], bool]
) -> tuple[float, float]:
    """Won and closed of one reopened deal that the counts of name `code` include.

    Parameters
    ----------
    code
        The name's code; None for the counts of all.
    rows
        The deal's visible history rows in order.
    counted
        Tells of a known time whether the counts include it.
    """
    won = closed = 0.0
    in_force = -1
    for row in rows.tolist():
        kind = history.kind[row]
        if kind == KIND_OF[who]:
            in_force = int(history.name[row])
        elif kind in (WON, LOST) and code in (None, in_force) and counted(int(history.known[row])):
            closed += 1
            won += kind == WON
    return won, closed
