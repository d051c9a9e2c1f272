"""Win rates of owners and accounts: the only facts that cross from one deal to another.

In training they are as of each snapshot, in serving as of the artifact's cut-off; a deal's own
closing never counts. What counts is how each deal stood as known at the time: one lost, reopened
and won is one deal won, and one reopened, or merged into another deal, has not closed. Rates are
smoothed toward the rate of all closed deals,

    rate = (won + PRIOR * base) / (closed + PRIOR),      base = won of all / closed of all

(James & Stein shrinkage with a fixed prior weight), so an unknown owner has the base rate. A deal
counts for who owned it when it closed, as known when the closing was.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import Any, Final, Protocol

import numpy as np

from model.asof import LOST, REOPENED, WON, Snapshot
from model.events import KIND_CODES, MERGED_INTO
from model.history import NONE, History, Ints

PRIOR: Final = 20.0  # closings that the base rate counts for
WHO: Final = ("owner", "account")
KIND_OF: Final = {who: KIND_CODES[f"{who}_changed"] for who in WHO}

Counts = tuple[float, float]  # won, closed


class WinRates(Protocol):
    """Closed deals of owners and accounts, as of a time in microseconds since 1970 UTC."""

    def counts(self, who: str, name: str, as_of: int) -> tuple[Counts, Counts]:
        """Won and closed of "owner" or "account" `name`, and of all."""
        ...

    def counted(self, known: int, as_of: int) -> bool:
        """Whether what was known at `known` is in the counts as of `as_of`."""
        ...


def smoothed(won: float, closed: float, all_won: float, all_closed: float) -> float:
    """The smoothed win rate; NaN where nothing has closed at all.

    Examples
    --------
    >>> smoothed(3.0, 4.0, 30.0, 100.0)
    0.375
    """
    if all_closed <= 0:
        return nan
    return (won + PRIOR * (all_won / all_closed)) / (closed + PRIOR)


def win_rate(snapshot: Snapshot, rates: WinRates | None, who: str) -> float:
    """Smoothed win rate of the deal's owner or account, without the deal itself.

    Parameters
    ----------
    snapshot
        The deal as it was known.
    rates
        What closed; None leaves the rate missing.
    who
        "owner" or "account".

    Returns
    -------
    float
        NaN where no owner or account is known, or nothing closed.
    """
    rows = snapshot.by_code.get(KIND_OF[who])
    if rates is None or not rows or snapshot.deal.name[rows[-1]] == NONE:
        return nan
    name = snapshot.deal.names[snapshot.deal.name[rows[-1]]]
    (won, closed), (all_won, all_closed) = rates.counts(who, name, snapshot.as_of)
    own = _own_closing(snapshot, rates, who)
    if own is not None:
        own_name, own_won = own
        all_won, all_closed = all_won - own_won, all_closed - 1
        if own_name == name:
            won, closed = won - own_won, closed - 1
    return smoothed(won, closed, all_won, all_closed)


def _own_closing(snapshot: Snapshot, rates: WinRates, who: str) -> tuple[str | None, bool] | None:
    """For whom the deal itself is in the counts, and whether as won; None if it is not."""
    if WON not in snapshot.by_code and LOST not in snapshot.by_code:
        return None
    deal = snapshot.deal
    ends = [i for code in (WON, LOST, REOPENED) for i in snapshot.by_code.get(code, ())]
    last = max([i for i in ends if rates.counted(deal.known[i], snapshot.as_of)], default=NONE)
    if last == NONE or deal.code[last] == REOPENED:
        return None
    if deal.name[last] != NONE and deal.names[deal.name[last]].startswith(MERGED_INTO):
        return None  # gone on as another deal, as `model.history.History.standing` says
    changes = snapshot.by_code.get(KIND_OF[who], ())
    earlier = [i for i in changes if i < last and deal.known[i] <= deal.known[last]]
    name = deal.name[earlier[-1]] if earlier else NONE
    return None if name == NONE else deal.names[name], deal.code[last] == WON


@dataclass(frozen=True, kw_only=True)
class ClosingTable:
    """Closings up to an artifact's cut-off, counted: what serving looks up.

    Before the cut-off, in hindsight, the counts hold what came later, the deal's own end among it,
    and how they were by then they do not say. So nobody has counts of their own then, and all have
    the base rate, which tells no deal from another.

    Parameters
    ----------
    known_before
        The cut-off, microseconds since 1970 UTC.
    table
        For "owner" and "account" the (won, closed) of each name; "" holds those of all.
    """

    known_before: int
    table: Mapping[str, Mapping[str, tuple[int, int]]]

    def counts(self, who: str, name: str, as_of: int) -> tuple[Counts, Counts]:
        """See `WinRates`; from the cut-off on `as_of` changes nothing."""
        counts = self.table[who]
        has_own = name and not self._is_hindsight(as_of)
        return counts.get(name, (0, 0)) if has_own else (0, 0), counts[""]

    def counted(self, known: int, as_of: int) -> bool:
        """See `WinRates`."""
        return known < self.known_before and not self._is_hindsight(as_of)

    def _is_hindsight(self, as_of: int) -> bool:
        return as_of < self.known_before - 1  # what is known at that last moment is all counted

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
        self._names = {who: _sums_by_name(history, KIND_OF[who]) for who in WHO}

    def counts(self, who: str, name: str, as_of: int) -> tuple[Counts, Counts]:
        """See `WinRates`."""
        sums = self._names[who]
        return sums[name].known_at(as_of) if name in sums else (0, 0), sums[None].known_at(as_of)

    def counted(self, known: int, as_of: int) -> bool:
        """See `WinRates`."""
        return known <= as_of

    def table(self, known_before: int) -> ClosingTable:
        """The counts of everything known before the cut-off, for an artifact."""
        tables = {}
        for who, sums in self._names.items():
            counts = {name or "": each.known_at(known_before - 1) for name, each in sums.items()}
            of_all = sums[None].known_at(known_before - 1)
            tables[who] = {name: each for name, each in counts.items() if each[1]} | {"": of_all}
        return ClosingTable(known_before=known_before, table=tables)


class _Sums:
    """How many deals were won and closed after each change became known."""

    def __init__(self, time: Ints, won: Ints, closed: Ints) -> None:
        self._time: list[int] = time.tolist()
        self._won: list[int] = [0, *np.cumsum(won).tolist()]
        self._closed: list[int] = [0, *np.cumsum(closed).tolist()]

    def known_at(self, as_of: int) -> tuple[int, int]:
        until = bisect_right(self._time, as_of)
        return self._won[until], self._closed[until]


def _sums_by_name(history: History, kind: int) -> dict[str | None, _Sums]:
    """The sums of each name in force by the events of a kind; None has those of all deals."""
    is_end = (history.kind == WON) | (history.kind == LOST) | (history.kind == REOPENED)
    ends = np.flatnonzero(is_end)
    deal = np.repeat(np.arange(history.deals), np.diff(history.start))
    name = np.full(history.kind.size, NONE)
    at = _in_force(deal, history.known, np.flatnonzero(history.kind == kind), ends)
    name[ends] = np.where(at >= 0, history.name[at], NONE)

    # As more becomes known of a deal, its latest row says how it stands. Rows of a later deal
    # are higher, so that the running maximum starts anew with every deal.
    ends = ends[np.lexsort((ends, history.known[ends], deal[ends]))]
    now = np.maximum.accumulate(ends)
    before = np.full(ends.size, NONE)
    before[1:] = np.where(deal[now[1:]] == deal[now[:-1]], now[:-1], NONE)
    known, changed = history.known[ends], now != before
    standing = history.standing
    comes = changed & (standing[now] != REOPENED)
    goes = changed & (before >= 0) & (standing[before] != REOPENED)
    row = np.concatenate([now[comes], before[goes]])
    closed = np.repeat([1, -1], [comes.sum(), goes.sum()])
    time = np.concatenate([known[comes], known[goes]])

    order = np.lexsort((time, name[row]))
    row, closed, time = row[order], closed[order], time[order]
    won = np.where(history.kind[row] == WON, closed, 0)
    codes, starts = np.unique(name[row], return_index=True)
    parts = (np.split(column, starts)[1:] for column in (time, won, closed))
    sums: dict[str | None, _Sums] = {
        history.names[code]: _Sums(*each)
        for code, *each in zip(codes.tolist(), *parts, strict=True)
        if code >= 0
    }
    in_time = np.argsort(time, kind="stable")
    sums[None] = _Sums(time[in_time], won[in_time], closed[in_time])
    return sums


def _in_force(group: Ints, known: Ints, changes: Ints, rows: Ints) -> Ints:
    """For each of `rows` the last of `changes` before it in its group, known when it was; or -1.

    Parameters
    ----------
    group, known
        Of every row: its deal, and when it was known.
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
