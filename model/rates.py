"""Win rates of owners and accounts: the only facts that cross from one deal to another.

In training they are as of each snapshot, in serving as of the artifact's cut-off; a deal's own
closing never counts. What counts is how each deal stood as known at the time: one lost, reopened
and won is one deal won, and one reopened has not closed. Rates are smoothed toward the rate of
all closed deals,

    rate = (won + PRIOR * base) / (closed + PRIOR),      base = won of all / closed of all

(James & Stein shrinkage with a fixed prior weight), so an unknown owner has the base rate. A deal
counts for who owned it when it closed, as known when the closing was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from model.asof import LOST, REOPENED, WON, AsOf
from model.events import KIND_CODES
from model.history import NONE, Floats, History, Ints
from model.vocabulary import look_up

PRIOR: Final = 20.0  # closings that the base rate counts for
WHO: Final = ("owner", "account")
KIND_OF: Final = {who: KIND_CODES[f"{who}_changed"] for who in WHO}

Counts = tuple[Floats, Floats, Floats, Floats]


class WinRates(Protocol):
    """Counts of closed deals by owner and by account, as of a time."""

    def counts(self, who: str, codes: Ints, names: Sequence[str], as_of: Ints) -> Counts:
        """Won and closed of each code's name, and of all. Each of shape (S,)."""
        ...

    def counted(self, known: Ints, as_of: Ints) -> NDArray[np.bool_]:
        """Whether what was known at `known` is in the counts as of `as_of`."""
        ...


def smoothed(won: Floats, closed: Floats, all_won: Floats, all_closed: Floats) -> Floats:
    """The smoothed win rate; NaN where nothing has closed at all.

    Examples
    --------
    >>> smoothed(np.array([3.0]), np.array([4.0]), np.array([30.0]), np.array([100.0])).tolist()
    [0.375]
    """
    base = np.full(won.shape, np.nan)
    np.divide(all_won, all_closed, out=base, where=all_closed > 0)
    return (won + PRIOR * base) / (closed + PRIOR)


def win_rate(asof: AsOf, rates: WinRates | None, who: str) -> Floats:
    """Smoothed win rate of the deal's owner or account, without the deal itself.

    Parameters
    ----------
    asof
        The snapshots.
    rates
        What closed; None leaves the rate missing.
    who
        "owner" or "account".

    Returns
    -------
    ndarray
        NaN where no owner or account is known. Shape (S,).
    """
    if rates is None:
        return np.full(asof.size, np.nan)
    codes = asof.name[asof.last[KIND_OF[who]]]
    won, closed, all_won, all_closed = rates.counts(who, codes, asof.history.names, asof.as_of)
    own = _own_closings(asof, rates, who)
    if own is not None:
        snap, name, is_won = own
        all_won[snap] -= is_won
        all_closed[snap] -= 1.0
        same = name == codes[snap]
        won[snap[same]] -= is_won[same]
        closed[snap[same]] -= 1.0
    rate = smoothed(won, closed, all_won, all_closed)
    rate[codes < 0] = np.nan
    return rate


def _own_closings(
    asof: AsOf, rates: WinRates, who: str
) -> tuple[Ints, Ints, NDArray[np.bool_]] | None:
    """Snapshots whose own deal is in the counts: which, for whose name, and whether as won."""
    if asof.rows("deal_won", "deal_lost").size == 0:
        return None
    rows = asof.rows("deal_won", "deal_lost", "deal_reopened")
    snap = asof.snap[rows]
    known = asof.history.known[asof.row]
    counted = rates.counted(known[rows], asof.as_of[snap])
    rows, snap = rows[counted], snap[counted]
    is_last = np.ones(rows.size, dtype=bool)
    is_last[:-1] = snap[1:] != snap[:-1]
    rows = rows[is_last & (asof.history.kind[asof.row[rows]] != REOPENED)]
    changes = asof.rows(f"{who}_changed")
    at = _in_force(asof.snap, known, changes, rows)
    won = asof.history.kind[asof.row[rows]] == WON
    return asof.snap[rows], asof.name[at], won


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

    def counts(self, who: str, codes: Ints, names: Sequence[str], as_of: Ints) -> Counts:
        """See `WinRates`; `as_of` changes nothing."""
        index, values, (won, closed) = self._arrays[who]
        found = values[:, look_up(codes, names, index, -1)]
        return found[0], found[1], np.full(codes.shape, won), np.full(codes.shape, closed)

    @cached_property
    def _arrays(self) -> dict[str, tuple[dict[str, int], Floats, tuple[float, float]]]:
        """By who: where each name's counts stand, the counts and zeros, and those of all."""
        return {
            who: (
                {name: i for i, name in enumerate(entries) if name},
                np.array([*entries.values(), (0, 0)], dtype=np.float64).T.copy(),
                (float(entries[""][0]), float(entries[""][1])),
            )
            for who, entries in self.table.items()
        }

    def counted(self, known: Ints, as_of: Ints) -> NDArray[np.bool_]:
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
        self._names = history.names
        self._log = {who: _Changes(history, KIND_OF[who]) for who in WHO}

    def counts(self, who: str, codes: Ints, names: Sequence[str], as_of: Ints) -> Counts:
        """See `WinRates`; `names` must be those of this log's history."""
        return self._log[who].counts(codes, as_of)

    def counted(self, known: Ints, as_of: Ints) -> NDArray[np.bool_]:
        """See `WinRates`."""
        return known <= as_of

    def table(self, known_before: int) -> ClosingTable:
        """The counts of everything known before the cut-off, for an artifact."""
        return ClosingTable(
            known_before=known_before,
            table={who: log.totals(known_before, self._names) for who, log in self._log.items()},
        )


class _Changes:
    """How the numbers of deals won and closed changed with time, for all and for each name."""

    def __init__(self, history: History, kind: int) -> None:
        is_end = (history.kind == WON) | (history.kind == LOST) | (history.kind == REOPENED)
        ends = np.flatnonzero(is_end)
        deal = np.repeat(np.arange(history.deals), np.diff(history.start))
        name = np.full(history.kind.size, NONE)
        at = _in_force(deal, history.known, np.flatnonzero(history.kind == kind), ends)
        name[ends] = np.where(at >= 0, history.name[at], NONE)

        # As more becomes known of a deal, its latest row says how it stands. Rows of a later
        # deal are higher, so that the running maximum starts anew with every deal.
        ends = ends[np.lexsort((ends, history.known[ends], deal[ends]))]
        now = np.maximum.accumulate(ends)
        before = np.full(ends.size, NONE)
        before[1:] = np.where(deal[now[1:]] == deal[now[:-1]], now[:-1], NONE)
        known, changed = history.known[ends], now != before
        comes = changed & (history.kind[now] != REOPENED)
        goes = changed & (before >= 0) & (history.kind[before] != REOPENED)
        row = np.concatenate([now[comes], before[goes]])
        sign = np.repeat([1.0, -1.0], [comes.sum(), goes.sum()])
        time = np.concatenate([known[comes], known[goes]])

        order = np.argsort(time, kind="stable")
        row, sign = row[order], sign[order]
        self._time = time[order]
        self._name = name[row]
        won = np.where(history.kind[row] == WON, sign, 0.0)
        self._all = _Sums(won, sign)
        # Changes by name, then time: those of a name until a time lie side by side.
        by_name = np.argsort(self._name, kind="stable")
        self._key = self._name[by_name] * (row.size + 1) + by_name
        self._by_name = _Sums(won[by_name], sign[by_name])

    def counts(self, codes: Ints, as_of: Ints) -> Counts:
        """Won and closed of each name, and of all, as of each time. Each of shape (S,)."""
        known = self._time.searchsorted(as_of, side="right")
        base = codes * (self._time.size + 1)
        first, last = self._key.searchsorted(base), self._key.searchsorted(base + known)
        won, closed = self._by_name.between(first, last)
        all_won, all_closed = self._all.between(np.zeros_like(known), known)
        return won, closed, all_won, all_closed

    def totals(self, known_before: int, names: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Won and closed of each name by then; "" holds those of all."""
        until = int(self._time.searchsorted(known_before, side="left"))
        codes = np.unique(self._name[:until])
        codes = codes[codes >= 0]
        won, closed, all_won, all_closed = self.counts(
            np.append(codes, NONE), np.full(codes.size + 1, known_before - 1)
        )
        totals = {
            names[code]: (int(w), int(c))
            for code, w, c in zip(codes.tolist(), won[:-1], closed[:-1], strict=True)
            if c > 0
        }
        return {**totals, "": (int(all_won[-1]), int(all_closed[-1]))}


class _Sums:
    """Running totals of changes of won and closed."""

    def __init__(self, won: Floats, closed: Floats) -> None:
        self._won = np.append(0.0, np.cumsum(won))
        self._closed = np.append(0.0, np.cumsum(closed))

    def between(self, first: Ints, last: Ints) -> tuple[Floats, Floats]:
        return self._won[last] - self._won[first], self._closed[last] - self._closed[first]


def _in_force(group: Ints, known: Ints, changes: Ints, rows: Ints) -> Ints:
    """For each of `rows` the last of `changes` before it in its group, known when it was; or -1.

    Parameters
    ----------
    group, known
        Of every row: its deal or snapshot, and when it was known.
    changes, rows
        Ascending.
    """
    if changes.size == 0:
        return np.full(rows.size, NONE)
    at = changes.searchsorted(rows) - 1
    while True:
        change = changes[at]
        inside = (at >= 0) & (group[change] == group[rows])
        too_late = inside & (known[change] > known[rows])
        if not too_late.any():
            return np.where(inside, change, NONE)
        at = at - too_late
