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
_KINDS: Final = np.array(list(KIND_OF.values()))

Counts = tuple[Floats, Floats, Floats, Floats]


class WinRates(Protocol):
    """Counts of closed deals by owner and by account, as of a time."""

    def counts(self, codes: Ints, names: Sequence[str], as_of: Ints) -> Counts:
        """Won and closed of owner and account, and of all, as of each snapshot.

        Parameters
        ----------
        codes
            Codes into `names`, a row for each of `WHO`; -1 where none. Shape (2, S).
        as_of
            Microseconds since 1970 UTC. Shape (S,).

        Returns
        -------
        won, closed, all_won, all_closed
            The first two NaN where the code is -1. Of shape (2, S), the others of shape (S,).
        """
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
    if not all_closed.all():
        all_won = np.where(all_closed > 0, all_won, np.nan)
        all_closed = np.maximum(all_closed, 1.0)
    return (won + PRIOR * (all_won / all_closed)) / (closed + PRIOR)


def win_rates(asof: AsOf, rates: WinRates | None) -> Floats:
    """Smoothed win rates of the deal's owner and account, without the deal itself.

    Parameters
    ----------
    asof
        The snapshots.
    rates
        What closed; None leaves the rates missing.

    Returns
    -------
    ndarray
        One row for each of `WHO`; NaN where no owner or account is known. Shape (2, S).
    """
    if rates is None:
        return np.full((len(WHO), asof.size), np.nan)
    codes = asof.name.take(asof.last.take(_KINDS, axis=0))
    counts = rates.counts(codes, asof.history.names, asof.as_of)
    if asof.followed.by_kind["deal_won"] or asof.followed.by_kind["deal_lost"]:
        _leave_out_own(counts, codes, asof, rates)
    return smoothed(*counts)


def _leave_out_own(counts: Counts, codes: Ints, asof: AsOf, rates: WinRates) -> None:
    """Take each snapshot's own deal out of the counts, where it had closed."""
    won, closed, all_won, all_closed = counts
    rows = asof.rows("deal_won", "deal_lost", "deal_reopened")
    snap = asof.snap[rows]
    known = asof.history.known[asof.row]
    counted = rates.counted(known[rows], asof.as_of[snap])
    rows, snap = rows[counted], snap[counted]
    is_last = np.ones(rows.size, dtype=bool)
    is_last[:-1] = snap[1:] != snap[:-1]
    rows = rows[is_last & (asof.code[rows] != REOPENED)]
    snap, is_won = asof.snap[rows], asof.code[rows] == WON
    all_won[snap] -= is_won
    all_closed[snap] -= 1.0
    for i, kind in enumerate(KIND_OF):
        at = _in_force(asof.snap, known, asof.rows(f"{kind}_changed"), rows)
        same = asof.name[at] == codes[i, snap]
        won[i, snap[same]] -= is_won[same]
        closed[i, snap[same]] -= 1.0


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

    def counts(self, codes: Ints, names: Sequence[str], as_of: Ints) -> Counts:
        """See `WinRates`; `as_of` changes nothing."""
        index, won, closed = self._arrays
        found = look_up(codes, names, index, -1, -2).astype(np.int64)
        all_won, all_closed = np.empty(as_of.shape), np.empty(as_of.shape)
        all_won.fill(self._all[0])
        all_closed.fill(self._all[1])
        return won.take(found), closed.take(found), all_won, all_closed

    @cached_property
    def _all(self) -> tuple[int, int]:
        return self.table[WHO[0]][""]

    @cached_property
    def _arrays(self) -> tuple[list[dict[str, int]], Floats, Floats]:
        """Where the counts of each owner and account stand; the counts, NaN, zero."""
        index: list[dict[str, int]] = []
        counts: list[tuple[int, int]] = []
        for who in WHO:
            names = [name for name in self.table[who] if name]
            index.append({name: len(counts) + i for i, name in enumerate(names)})
            counts.extend(self.table[who][name] for name in names)
        won, closed = np.array([*counts, (np.nan, np.nan), (0, 0)], dtype=np.float64).T.copy()
        return index, won, closed

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

    def counts(self, codes: Ints, names: Sequence[str], as_of: Ints) -> Counts:
        """See `WinRates`; `names` must be those of this log's history."""
        rows = [
            log.of_names(row, as_of) for row, log in zip(codes, self._log.values(), strict=True)
        ]
        all_won, all_closed = self._log["owner"].of_all(as_of)
        won, closed = np.array(rows).transpose(1, 0, 2)
        return won, closed, all_won, all_closed

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

    def of_names(self, codes: Ints, as_of: Ints) -> tuple[Floats, Floats]:
        """Won and closed of each code's name as of each time; NaN for -1. Each of shape (S,)."""
        known = self._time.searchsorted(as_of, side="right")
        first = codes * (self._time.size + 1)
        won, closed = self._by_name.between(
            self._key.searchsorted(first), self._key.searchsorted(first + known)
        )
        won[codes < 0] = closed[codes < 0] = np.nan
        return won, closed

    def of_all(self, as_of: Ints) -> tuple[Floats, Floats]:
        """Won and closed of all deals as of each time. Each of shape (S,)."""
        known = self._time.searchsorted(as_of, side="right")
        return self._all.between(np.zeros_like(known), known)

    def totals(self, known_before: int, names: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Won and closed of each name by then; "" holds those of all."""
        codes = np.unique(self._name[self._name >= 0])
        as_of = np.array([known_before - 1])
        won, closed = self.of_names(codes, np.repeat(as_of, codes.size))
        all_won, all_closed = self.of_all(as_of)
        totals = {
            names[code]: (int(w), int(c))
            for code, w, c in zip(codes.tolist(), won, closed, strict=True)
            if c > 0
        }
        return {**totals, "": (int(all_won[0]), int(all_closed[0]))}


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
