"""The learning data: deals at moments while open, with what came of them.

A row is a deal at `t`, open as known at `t`. With knowledge ending at K and L the 99th
percentile of the lag with which closings are logged, the row counts at edge b only if

    t + e_b <= K - L,      whatever the outcome,

so an open deal is neither dropped nor called lost, and nothing is biased toward fast wins.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
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
MOST_SNAPSHOTS: Final = 200_000  # learned from; of more an even part: a deal's own are much alike
LAG_QUANTILE: Final = 0.99
ANOTHER_SEED: Final = 0x5EED  # so that one choice by hash tells nothing of another
RHYTHM_QUANTILE: Final = 0.95


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

    A win that a loss or a reopening follows does not stand.
    """
    kind = history.kind
    seen = history.known < known_before
    deal = deal_of_rows(history)
    last_undone = np.full(history.deals, -1)
    undone = np.flatnonzero(seen & ((kind == LOST) | (kind == REOPENED)))
    last_undone[deal[undone]] = undone  # rows ascend, and the last assignment stands
    won = np.flatnonzero(seen & (kind == WON))
    won = won[won > last_undone[deal[won]]]
    win = np.full(history.deals, NEVER)
    np.minimum.at(win, deal[won], history.occurred[won])
    return win


def closing_lag(history: History, known_before: int) -> int:
    """The 99th percentile of the lag with which closings are logged, microseconds."""
    closings = ((history.kind == WON) | (history.kind == LOST)) & (history.known < known_before)
    lag = (history.known - history.occurred)[closings]
    return int(np.quantile(lag, LAG_QUANTILE)) if lag.size else 0


def usual_rhythm_days(history: History, known_before: int) -> float | None:
    """Within how many days of their last news open deals have news again; None without any.

    The `RHYTHM_QUANTILE` of the gaps between two moments at which something became known of a
    deal while it was open, the last one up to its closing or the cut-off.
    """
    opened, until = open_span(history, known_before)
    deal = deal_of_rows(history)
    inside = (history.known >= opened[deal]) & (history.known < until[deal])
    deal, moment = _distinct(deal[inside], history.known[inside])
    if deal.size == 0:
        return None
    after = np.append(moment[1:], 0)
    last = np.append(deal[1:] != deal[:-1], True)
    after[last] = until[deal[last]]
    return float(np.quantile((after - moment) / DAY_US, RHYTHM_QUANTILE))


def last_closings(history: History, known_before: int) -> Ints:
    """The row of each deal's closing that stands; -1 where none does. Shape (D,).

    None does of a deal that was reopened since, nor of one merged into another.
    """
    standing = history.standing
    ends = (standing == WON) | (standing == LOST) | (standing == REOPENED)
    rows = np.flatnonzero(ends & (history.known < known_before))
    last = np.full(history.deals, -1)
    last[deal_of_rows(history)[rows]] = rows  # rows ascend, and the last assignment stands
    return np.where((last >= 0) & (standing[last] != REOPENED), last, -1)


def open_span(history: History, known_before: int) -> tuple[Ints, Ints]:
    """From when each deal was known as open, to its last known closing or the cut-off.

    A deal that is merged into another by then is left out, as one never opened: how its sale ended
    is told by that one, and a loss it was not.
    """
    kind = history.kind
    seen = history.known < known_before
    deal = deal_of_rows(history)
    opened = np.full(history.deals, NEVER)
    at = np.flatnonzero(seen & (kind == OPENED))
    np.minimum.at(opened, deal[at], history.known[at])
    last_end = np.full(history.deals, -1)
    at = np.flatnonzero(seen & ((kind == WON) | (kind == LOST) | (kind == REOPENED)))
    last_end[deal[at]] = at  # rows ascend, and the last assignment stands
    closed = (last_end >= 0) & (kind[last_end] != REOPENED)
    merged = closed & (history.standing[last_end] == REOPENED)
    opened[merged] = NEVER
    return opened, np.where(closed, history.known[last_end], known_before)


def sample_moments(
    history: History, known_before: int, spacing_days: float, seed: int
) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Moments to learn from: regular ones with a random phase, and some just after events.

    Chance is a hash of the deal, the moment and the seed, so that what becomes known of other
    deals, or later, changes nothing. Of more than `MOST_SNAPSHOTS` about as many are kept, evenly:
    how many there are is all that other deals can change then.

    Returns
    -------
    deal, as_of, after_event
        Each of shape (R,), sorted by deal and time.
    """
    opened, until = open_span(history, known_before)
    deal_key = _deal_keys(history.deal_ids, seed)
    spacing = int(spacing_days * DAY_US)
    first = opened + (_uniform(deal_key) * spacing).astype(np.int64)
    has = (opened != NEVER) & (until > opened)
    count = np.where(has & (first < until), (until - 1 - first) // spacing + 1, 0)
    deal = np.repeat(np.arange(history.deals), count)
    nth = np.arange(deal.size) - np.repeat(np.cumsum(count) - count, count)
    regular = first[deal] + nth * spacing

    event_deal = deal_of_rows(history)
    inside = has[event_deal] & (history.known >= opened[event_deal])
    inside &= history.known < until[event_deal]
    event_deal, moment = _distinct(event_deal[inside], history.known[inside])
    drawn = _chance(deal_key[event_deal], moment) < EVENT_SAMPLE
    event_deal, moment = event_deal[drawn], moment[drawn]

    every_deal = np.concatenate([deal, event_deal])
    as_of = np.concatenate([regular, moment])
    after = np.arange(every_deal.size) >= deal.size
    if every_deal.size > MOST_SNAPSHOTS:
        kept = even_part(deal_key[every_deal], as_of, MOST_SNAPSHOTS)
        every_deal, as_of, after = every_deal[kept], as_of[kept], after[kept]
    order = np.lexsort((after, as_of, every_deal))
    return every_deal[order], as_of[order], after[order]


def even_part(deal_key: NDArray[np.uint64], as_of: Ints, most: int) -> NDArray[np.bool_]:
    """Which of more than so many moments are kept: about as many, by a hash. Shape (R,).

    Parameters
    ----------
    deal_key
        Of the deal of each moment, scattered over all bits. Shape (R,).
    as_of
        Microseconds since 1970 UTC. Shape (R,).
    most
        How many to keep of them.
    """
    # Mixed again: the hash that drew the moments after events is small for all of them.
    chance = _uniform(_mixed(_mixed(deal_key ^ as_of.astype(np.uint64)) ^ np.uint64(ANOTHER_SEED)))
    return np.asarray(chance < most / as_of.size)


def row_chance(data: Dataset, seed: int) -> Floats:
    """A number in [0, 1) for each row from its deal, its moment and the seed. Shape (R,).

    It has nothing to do with which moments were drawn.
    """
    keys = _deal_keys(data.deal_ids, seed + ANOTHER_SEED)[data.deal]
    return _chance(keys, data.as_of)


def deal_of_rows(history: History) -> Ints:
    """Index of each event's deal. Shape (N,)."""
    return np.repeat(np.arange(history.deals), np.diff(history.start))


def _distinct(deal: Ints, moment: Ints) -> tuple[Ints, Ints]:
    order = np.lexsort((moment, deal))
    deal, moment = deal[order], moment[order]
    first = np.ones(deal.size, dtype=bool)
    first[1:] = (deal[1:] != deal[:-1]) | (moment[1:] != moment[:-1])
    return deal[first], moment[first]


def _deal_keys(deal_ids: Sequence[str], seed: int) -> NDArray[np.uint64]:
    codes = np.array([zlib.crc32(deal_id.encode()) for deal_id in deal_ids], dtype=np.uint64)
    return _mixed(codes | np.uint64(seed % 2**32 << 32))


def _mixed(key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scatter keys over all 64 bits (Steele et al. 2014, the finalizer of SplitMix64)."""
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


def _chance(key: NDArray[np.uint64], moment: Ints) -> Floats:
    """A number in [0, 1) for each deal's key and moment. Shape (R,)."""
    return _uniform(_mixed(key ^ moment.astype(np.uint64)))


def _uniform(key: NDArray[np.uint64]) -> Floats:
    """Scattered keys as numbers from 0 to below 1."""
    return (key >> np.uint64(11)).astype(np.float64) * 2.0**-53


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
    deal, as_of, after_event = sample_moments(history, known_before, spacing_days, seed)
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
