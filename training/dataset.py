"""The learning data: deals at moments while open, with what came of them.

A row is a deal at `t`, open as known at `t`. With knowledge ending at K and L the 99th
percentile of the lag with which closings are logged, the row counts at edge b only if

    t + e_b <= K - L,      whatever the outcome,

so an open deal is neither dropped nor called lost, and nothing is biased toward fast wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.asof import LOST, OPENED, REOPENED, WON, AsOf
from model.events import DAY_US
from model.features import CELLS_AT_ONCE, FeatureSet
from model.feeds import Feeds
from model.history import Floats, History, Ints
from model.rates import ClosingLog

NEVER: Final = np.iinfo(np.int64).max
EVENT_SHARE: Final = 0.2  # of the total weight, for moments just after events
EVENT_SAMPLE: Final = 0.2  # of those moments taken
LAG_QUANTILE: Final = 0.99


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Snapshots with features and outcomes.

    Parameters
    ----------
    deal_ids
        All deals of the history. Shape (D,).
    deal
        Index of each row's deal. Shape (R,), like all that follow.
    as_of
        Microseconds since 1970 UTC.
    weight
        Of the row in learning; moments after events weigh `EVENT_SHARE` in all.
    x
        The features. Shape (R, F).
    win
        When the deal was won, microseconds since 1970 UTC; `NEVER` if it was not.
    countable_until
        K - L: later than this nothing is known to have happened or not.
    """

    deal_ids: list[str]
    deal: Ints
    as_of: Ints
    weight: Floats
    x: Floats
    win: Ints
    countable_until: int

    @property
    def rows(self) -> int:
        """How many snapshots there are."""
        return len(self.deal)

    def days_to_win(self) -> Floats:
        """Days from each snapshot to the win; infinite if not won. Shape (R,)."""
        return np.where(self.win == NEVER, np.inf, (self.win - self.as_of) / DAY_US)

    def countable(self, edges: Floats) -> NDArray[np.bool_]:
        """Whether each row counts at each edge. Shape (R, B)."""
        ends = self.as_of[:, None] + (edges[1:] * DAY_US).astype(np.int64)
        return np.asarray(ends <= self.countable_until)

    def at_risk(self, edges: Floats) -> NDArray[np.bool_]:
        """Whether the deal was not yet won at the start of each edge. Shape (R, B)."""
        starts = edges[:-1].copy()
        starts[0] = -np.inf
        return np.asarray(self.days_to_win()[:, None] > starts)

    def won(self, edges: Floats) -> NDArray[np.bool_]:
        """Whether the win fell within each edge; one not yet known in the first. (R, B)."""
        return self.at_risk(edges) & (self.days_to_win()[:, None] <= edges[1:])

    def take(self, rows: Ints | NDArray[np.bool_]) -> Dataset:
        """Some of the rows."""
        return Dataset(
            deal_ids=self.deal_ids,
            deal=self.deal[rows],
            as_of=self.as_of[rows],
            weight=self.weight[rows],
            x=self.x[rows],
            win=self.win[rows],
            countable_until=self.countable_until,
        )


def win_times(history: History, known_before: int) -> Ints:
    """When each deal's first win that stands happened; `NEVER` if none. Shape (D,).

    A win that a reopening follows does not stand.
    """
    kind = history.kind
    rows = np.flatnonzero(
        ((kind == WON) | (kind == LOST) | (kind == REOPENED)) & (history.known < known_before)
    )
    deal = np.searchsorted(history.start, rows, side="right") - 1
    taken_back = np.zeros(rows.size, dtype=bool)
    taken_back[:-1] = (deal[1:] == deal[:-1]) & (kind[rows[1:]] == REOPENED)
    stands = (kind[rows] == WON) & ~taken_back
    win = np.full(history.deals, NEVER)
    np.minimum.at(win, deal[stands], history.occurred[rows[stands]])
    return win


def closing_lag(history: History, known_before: int) -> int:
    """The 99th percentile of the lag with which closings are logged, microseconds."""
    closings = ((history.kind == WON) | (history.kind == LOST)) & (history.known < known_before)
    lag = (history.known - history.occurred)[closings]
    return int(np.quantile(lag, LAG_QUANTILE)) if lag.size else 0


def open_span(history: History, known_before: int) -> tuple[Ints, Ints]:
    """From when each deal was known as open, to its last known closing or the cut-off."""
    rows = np.arange(history.kind.size)
    deal = np.searchsorted(history.start, rows, side="right") - 1
    seen = history.known < known_before
    opened = np.full(history.deals, NEVER)
    at = seen & (history.kind == OPENED)
    np.minimum.at(opened, deal[at], history.known[at])
    last_closing = np.full(history.deals, -1)
    at = seen & ((history.kind == WON) | (history.kind == LOST) | (history.kind == REOPENED))
    last_closing[deal[at]] = rows[at]
    closed = (last_closing >= 0) & (history.kind[last_closing] != REOPENED)
    until = np.where(closed, history.known[last_closing], known_before)
    return opened, np.maximum(until, 0)


def sample_moments(
    history: History, known_before: int, spacing_days: float, rng: np.random.Generator
) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Moments to learn from: regular ones with a random phase, and some just after events.

    Returns
    -------
    deal, as_of, after_event
        Each of shape (R,), sorted by deal and time.
    """
    opened, until = open_span(history, known_before)
    spacing = int(spacing_days * DAY_US)
    phase = (rng.random(history.deals) * spacing).astype(np.int64)
    has = (opened != NEVER) & (until > opened)
    count = np.where(has, (until - opened - phase) // spacing + 1, 0)
    count = np.maximum(count, 0)
    deal = np.repeat(np.arange(history.deals), count)
    nth = np.arange(deal.size) - np.repeat(np.cumsum(count) - count, count)
    regular = opened[deal] + phase[deal] + nth * spacing
    rows = np.flatnonzero(
        (rng.random(history.kind.size) < EVENT_SAMPLE) & (history.known < known_before)
    )
    event_deal = np.searchsorted(history.start, rows, side="right") - 1
    moment = history.known[rows]
    inside = has[event_deal] & (moment >= opened[event_deal]) & (moment < until[event_deal])
    every_deal = np.concatenate([deal, event_deal[inside]])
    as_of = np.concatenate([regular, moment[inside]])
    after = np.repeat([False, True], [deal.size, int(inside.sum())])
    order = np.lexsort((after, as_of, every_deal))
    return every_deal[order], as_of[order], after[order]


def build_dataset(
    history: History,
    features: FeatureSet,
    known_before: int,
    *,
    spacing_days: float,
    seed: int,
    feeds: Feeds | None = None,
) -> Dataset:
    """Snapshots of every deal while it was open, with features and outcomes.

    Parameters
    ----------
    history
        All deals.
    features
        What to compute.
    known_before
        K, microseconds since 1970 UTC: later knowledge does not exist.
    spacing_days
        Days between the regular snapshots of a deal.
    seed
        Of the phases and of the moments after events.
    feeds
        What each source carries.
    """
    rng = np.random.default_rng(seed)
    deal, as_of, after_event = sample_moments(history, known_before, spacing_days, rng)
    rates = ClosingLog(history)
    codes = features.vocabulary.codes(history)
    x = np.empty((len(deal), len(features.features)))
    is_open = np.zeros(len(deal), dtype=bool)
    step = max(1, CELLS_AT_ONCE // features.vocabulary.size)
    for first in range(0, len(deal), step):
        part = slice(first, first + step)
        asof = AsOf(history, features.vocabulary, codes, deal[part], as_of[part], feeds)
        x[part] = features.of(asof, rates)
        is_open[part] = asof.is_open
    weight = np.ones(len(deal))
    moments = float((after_event & is_open).sum())
    regular = float((~after_event & is_open).sum())
    if moments:
        weight[after_event] = EVENT_SHARE / (1 - EVENT_SHARE) * max(regular, 1.0) / moments
    data = Dataset(
        deal_ids=list(history.deal_ids),
        deal=deal,
        as_of=as_of,
        weight=weight,
        x=x,
        win=win_times(history, known_before)[deal],
        countable_until=known_before - closing_lag(history, known_before),
    )
    return data.take(is_open)
