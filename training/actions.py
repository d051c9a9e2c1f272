"""What past deals with an action open did, with and without it: counted for the artifact.

The landmark design of `model.actions`: rows are snapshots t of the learning data whose deal is
still open, as known, at t + 14 days. At each edge only those count for which t + 14 days + e_b
lies within what the record can tell, whatever the outcome. The probability that makes the bands
is predicted by the bags that did not draw the deal, so that it does not know the deal's end.

Deals are counted, not snapshots: of a deal's snapshots in one band, one drawn by a hash that
knows nothing of what followed stands for it.

References
----------
Breiman, L. (1996), "Out-of-bag estimation", technical report, University of California, Berkeley.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.actions import BANDS, WINDOW_DAYS, ActionTable, landmark, open_actions
from model.asof import AsOf
from model.events import DAY_US
from model.features import FeatureSet
from model.feeds import Feeds, feeds_of
from model.grid import BinArray
from model.hazard import edge_weights, probability
from model.history import Floats, History, Ints
from model.supposition import carried_kinds
from model.tables import Tables
from training.dataset import Dataset, row_chance

MOST_SNAPSHOTS: Final = 40_000  # looked at: enough for shares to a percent, and cheap
ROWS_AT_ONCE: Final = 2_000


def action_table(
    history: History,
    features: FeatureSet,
    data: Dataset,
    bins: BinArray,
    edges: Floats,
    tables: Tables,
    members: NDArray[np.bool_],
    seed: int,
) -> ActionTable:
    """What deals did with and without the actions open to them, by what was predicted.

    Parameters
    ----------
    history
        What was known before the cut-off.
    features, data, bins, edges
        What was learned from; of very many snapshots some are drawn evenly.
    tables
        What was learned, calibrated.
    members
        Whether each bag drew each deal. Shape (bags, D).
    seed
        Of the choices.
    """
    rows = drawn_rows(data, seed)
    drawn = data.take(rows)
    eta = out_of_bag(tables, bins[rows], members, drawn.deal)
    return learn_actions(history, features, drawn, edges, eta, feeds_of(history), seed)


def drawn_rows(data: Dataset, seed: int) -> Ints:
    """The snapshots to count: all, or of very many some drawn evenly."""
    return np.sort(np.argsort(row_chance(data, seed), kind="stable")[:MOST_SNAPSHOTS])


def out_of_bag(tables: Tables, bins: BinArray, members: NDArray[np.bool_], deal: Ints) -> Floats:
    """Log-odds by the bags that did not draw a row's deal; NaN where every bag did.

    Parameters
    ----------
    tables
        Calibrated.
    bins
        Of the rows. Shape (R, F).
    members
        Whether each bag drew each deal. Shape (bags, D).
    deal
        Of each row. Shape (R,).

    Returns
    -------
    ndarray
        The mean over those bags. Shape (R, B).
    """
    eta = np.full((len(bins), tables.edges), np.nan)
    for first in range(0, len(bins), ROWS_AT_ONCE):
        part = slice(first, first + ROWS_AT_ONCE)
        others = ~members[:, deal[part]].T
        count = others.sum(axis=1)
        each = np.where(others[:, :, None], tables.eta_bags(bins[part]), 0.0).sum(axis=1)
        known = count > 0
        eta[part][known] = each[known] / count[known, None]
    return eta


def learn_actions(
    history: History,
    features: FeatureSet,
    data: Dataset,
    edges: Floats,
    eta: Floats,
    feeds: Feeds,
    seed: int,
) -> ActionTable:
    """Count what deals did from each landmark on.

    Parameters
    ----------
    history
        What was known before the cut-off.
    features
        Those of the model, for their vocabulary.
    data
        The snapshots to count.
    edges
        Days. Shape (B + 1,).
    eta
        Log-odds predicted without the deal; rows of NaN are left out. Shape (R, B).
    feeds
        What each source carries.
    seed
        Of the choice among a deal's snapshots.
    """
    middle = (len(edges) - 2) // 2
    first_end = landmark(0) + int(edges[1] * DAY_US)
    usable = np.isfinite(eta).all(axis=1) & (data.as_of + first_end <= data.countable_until)
    rows = np.flatnonzero(usable)
    predicted = probability(eta[rows], edge_weights(edges, edges[middle + 1]))
    if rows.size == 0:
        return ActionTable(edge=middle, cuts=(0.0,) * (BANDS - 1), counts={})
    cuts = np.quantile(predicted, np.arange(1, BANDS) / BANDS)
    band = np.searchsorted(cuts, predicted, side="right")
    found = _follow(history, features, data.deal[rows], data.as_of[rows], feeds)
    chance = row_chance(data, seed)[rows]
    counts = {}
    for name, (places, took) in found.items():
        at = rows[places]
        days_to_win = data.days_to_win()[at] - WINDOW_DAYS
        order = np.argsort(chance[places], kind="stable")
        counts[name] = _counts(
            band=band[places][order],
            took=took[order],
            deal=data.deal[at][order],
            countable=data.countable(edges + WINDOW_DAYS)[at][order],
            won=(days_to_win[:, None] <= edges[1:])[order],
        )
    return ActionTable(edge=middle, cuts=tuple(cuts.tolist()), counts=counts)


def _follow(
    history: History, features: FeatureSet, deal: Ints, as_of: Ints, feeds: Feeds
) -> dict[str, tuple[Ints, NDArray[np.bool_]]]:
    """For each action the places of rows open for it and open at the landmark; who took it."""
    vocabulary = features.vocabulary
    codes = vocabulary.codes(history)
    found: dict[str, tuple[list[int], list[bool]]] = {}
    for first in range(0, len(deal), ROWS_AT_ONCE):
        part = slice(first, first + ROWS_AT_ONCE)
        # A row and its landmark side by side: those of one deal are quicker so.
        moments = np.stack([as_of[part], landmark(0) + as_of[part]], axis=1).ravel()
        both = AsOf(history, vocabulary, codes, np.repeat(deal[part], 2), moments, feeds).snapshots
        for place, (now, later) in enumerate(zip(both[::2], both[1::2], strict=True), first):
            if not later.is_open:
                continue
            for action in open_actions(now, carried_kinds(now)):
                places, took = found.setdefault(action.name, ([], []))
                places.append(place)
                took.append(action.taken(later, now.as_of))
    return {
        name: (np.array(places, dtype=np.int64), np.array(took, dtype=bool))
        for name, (places, took) in found.items()
    }


def _counts(
    *,
    band: Ints,
    took: NDArray[np.bool_],
    deal: Ints,
    countable: NDArray[np.bool_],
    won: NDArray[np.bool_],
) -> Ints:
    """Deals by band, edge, whether they took it, and whether won: [bands, B, 2, 2].

    Rows stand in random order: the first of a deal in a band that counts at an edge stands for it.
    """
    edges = countable.shape[1]
    counts = np.zeros((BANDS, edges, 2, 2), dtype=np.int64)
    key = deal * BANDS + band
    for b in range(edges):
        counted = np.flatnonzero(countable[:, b])
        _, first = np.unique(key[counted], return_index=True)
        one = counted[first]
        cell = band[one] * 2 + took[one]
        counts[:, b, :, 0] = np.bincount(cell, minlength=BANDS * 2).reshape(BANDS, 2)
        wins = np.bincount(cell[won[one, b]], minlength=BANDS * 2)
        counts[:, b, :, 1] = wins.reshape(BANDS, 2)
    return counts
