"""Calibration on the judging rows: ``eta_b -> a_b + s_b eta_b``, s_b > 0.

Around the mean m_b of an edge's log-odds, ``eta_b -> m_b + shift + slope (eta_b - m_b)``. Shift
and slope are fitted to all edges together, each around its own mean, so that what tells edges from
each other is no slope, and to each edge alone. They are believed only as far as they hold across
time and deals: with V their variance, the larger of that over the judged time (a jackknife that
leaves out one of `BLOCKS` stretches after the other) and that over deals (the sandwich variance
with deals as clusters: a long deal stands in most stretches, and has one outcome), an estimate t is
drawn to its target t0 by the positive-part James-Stein factor

    t0 + (t - t0) max(0, 1 - V / (t - t0)^2).

The target of all edges together is (0, 1), no change; that of an edge alone is what all edges
share. A market that wins a little more this month and less the next is no reason to move every
score. An edge with fewer than `FEW_WINS` winning deals takes the common pair (Platt 1999; Cox
1958; Efron and Morris 1973; Liang and Zeger 1986 for the clusters).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from model.history import Floats, Ints
from model.tables import Calibration
from training.boosting import bag_members, problems
from training.dataset import Dataset

FEW_WINS: Final = 50  # winning deals
BLOCKS: Final = 10  # stretches of the judged time
SMALLEST_SLOPE: Final = 0.05
WEAK_PENALTY: Final = 1e-8  # of a ridge on a mean loss: the shrinkage is above, not here
GRADIENT: Final = 1e-7  # of the mean loss, where the fit ends
NO_CHANGE: Final = np.array([0.0, 1.0])  # shift, slope


@dataclass(frozen=True, kw_only=True, eq=False)
class _Rows:
    """Judged rows of one question, or of all. Each of shape (n,); `center` is their edge's m_b."""

    eta: Floats
    center: Floats
    won: NDArray[np.bool_]
    weight: Floats
    block: Ints
    deal: Ints

    def take(self, rows: NDArray[np.bool_]) -> _Rows:
        return _Rows(
            eta=self.eta[rows],
            center=self.center[rows],
            won=self.won[rows],
            weight=self.weight[rows],
            block=self.block[rows],
            deal=self.deal[rows],
        )

    def of_deals(self, members: NDArray[np.bool_]) -> _Rows:
        return self.take(members[self.deal])


def fit_calibration(data: Dataset, edges: Floats, eta: Floats) -> Calibration:
    """Fit slope and intercept of every edge.

    Parameters
    ----------
    data
        The snapshots.
    edges
        Days. Shape (B + 1,).
    eta
        Log-odds of the judged rows, NaN where not judged. Shape (R, B).

    Returns
    -------
    Calibration
        One pair an edge.
    """
    return fit_calibrations(data, edges, eta, bags=0, seed=0)[0]


def fit_calibrations(
    data: Dataset, edges: Floats, eta: Floats, *, bags: int, seed: int
) -> tuple[Calibration, tuple[Calibration, ...]]:
    """Fit the calibration, and for each bag one to half of the judged deals.

    The bags' spread then tells of the calibration's error as it does of the tables'. A bag
    believes what it finds as far as the whole does.

    Parameters
    ----------
    bags
        How many.
    seed
        Of the deals drawn.

    Returns
    -------
    tuple
        As `fit_calibration`, and as many again as bags.
    """
    parts, wins = _parts(data, edges, eta)
    every = _Rows(
        eta=np.concatenate([part.eta for part in parts]),
        center=np.concatenate([part.center for part in parts]),
        won=np.concatenate([part.won for part in parts]),
        weight=np.concatenate([part.weight for part in parts]),
        block=np.concatenate([part.block for part in parts]),
        deal=np.concatenate([part.deal for part in parts]),
    )
    if len(every.eta) == 0:
        return Calibration.none(len(parts)), ()
    found = _fit(every)
    kept = _kept(every, found, NO_CHANGE)
    common = _drawn(NO_CHANGE, found, kept)
    alone = [
        (b, part, _kept(part, _fit(part), common))
        for b, (part, won) in enumerate(zip(parts, wins, strict=True))
        if won >= FEW_WINS
    ]
    centers = np.array([part.center[0] if len(part.center) else 0.0 for part in parts])

    def calibration(members: NDArray[np.bool_]) -> Calibration:
        shared = _drawn(NO_CHANGE, _fit(every.of_deals(members)), kept)
        lines = np.tile(shared, (len(parts), 1))
        for b, part, believed in alone:
            lines[b] = _drawn(shared, _fit(part.of_deals(members)), believed)
        return _lines(lines, centers)

    every_deal = np.ones(len(data.deal_ids), dtype=bool)
    return calibration(every_deal), tuple(
        calibration(members) for members in bag_members(len(data.deal_ids), bags, seed)
    )


def calibrated_crosswise(
    data: Dataset, eta: Floats, bag_calibrations: Sequence[Calibration], *, seed: int
) -> Floats:
    """Log-odds of judged rows, calibrated by the lines that their own deals had no part in.

    By the line fitted to all of them a loss would be that of a fit, not of a forecast. Lines of
    half the deals do a little worse than that of all, so that the figure promises no more.

    Parameters
    ----------
    data
        The snapshots.
    eta
        Log-odds of the judged rows, NaN where not judged. Shape (R, B).
    bag_calibrations
        What `fit_calibrations` found for its bags.
    seed
        Which it drew them by.

    Returns
    -------
    Floats
        The mean over the bags that the row's deal is not in; NaN where it is in all. Shape (R, B).
    """
    if not bag_calibrations:
        return eta
    members = bag_members(len(data.deal_ids), len(bag_calibrations), seed)
    total, count = np.zeros(eta.shape), np.zeros((len(eta), 1))
    for drawn, line in zip(members, bag_calibrations, strict=True):
        apart = ~drawn[data.deal]
        total[apart] += line.intercepts + line.slopes * eta[apart]
        count[apart] += 1
    return np.asarray(np.divide(total, count, out=np.full(eta.shape, np.nan), where=count > 0))


def _parts(data: Dataset, edges: Floats, eta: Floats) -> tuple[list[_Rows], list[int]]:
    """The judged rows of each edge's question, and how many deals were won in it."""
    block = _blocks(data.as_of, np.asarray(np.isfinite(eta).any(axis=1)))
    parts, wins = [], []
    for b, question in enumerate(problems(data, edges, np.isfinite(eta))):
        rows = question.rows
        own, weight = eta[rows, b], data.weight[rows]
        center = float(np.average(own, weights=weight)) if len(rows) else 0.0
        wins.append(len(np.unique(data.deal[rows[question.won]])))
        parts.append(
            _Rows(
                eta=own,
                center=np.full(len(rows), center),
                won=question.won,
                weight=weight,
                block=block[rows],
                deal=data.deal[rows],
            )
        )
    return parts, wins


def _lines(pairs: Floats, centers: Floats) -> Calibration:
    """Shift and slope around each edge's mean as a line of its log-odds. Pairs (B, 2)."""
    slopes = np.maximum(pairs[:, 1], SMALLEST_SLOPE)
    return Calibration(intercepts=centers + pairs[:, 0] - slopes * centers, slopes=slopes)


def _blocks(as_of: Ints, judged: NDArray[np.bool_]) -> Ints:
    """Which of `BLOCKS` equal stretches of the judged time each row lies in."""
    first, last = as_of[judged].min(initial=as_of.max()), as_of[judged].max(initial=as_of.min())
    share = (as_of - first) / max(int(last - first), 1)
    return np.asarray(np.clip(share * BLOCKS, 0, BLOCKS - 1).astype(np.int64))


def _kept(rows: _Rows, found: Floats, target: Floats) -> Floats:
    """How far shift and slope are believed, 0 to 1, for holding over time and deals. Shape (2,).

    With one stretch of time alone nothing can be said to hold, and nothing is believed.
    """
    blocks = np.unique(rows.block).tolist()
    if len(blocks) < 2:
        return np.zeros(2)
    spread = np.array([_fit(rows.take(rows.block != block)) for block in blocks])
    variance = np.maximum((len(blocks) - 1) * spread.var(axis=0), _variance_of_deals(rows, found))
    away = np.maximum((found - target) ** 2, 1e-12)
    return np.asarray(np.maximum(0.0, 1.0 - variance / away))


def _variance_of_deals(rows: _Rows, found: Floats) -> Floats:
    """The variance of shift and slope over deals, each counted once. Shape (2,)."""
    away = np.stack([np.ones(len(rows.eta)), rows.eta - rows.center])
    told = expit(rows.center + found @ away)
    place = np.unique(rows.deal, return_inverse=True)[1]
    missed = rows.weight * (rows.won - told) * away
    scores = np.stack([np.bincount(place, weights=each) for each in missed])
    bread = np.linalg.pinv((rows.weight * told * (1.0 - told) * away) @ away.T, hermitian=True)
    return np.asarray(np.diag(bread @ (scores @ scores.T) @ bread))


def _drawn(target: Floats, found: Floats, kept: Floats) -> Floats:
    return np.asarray(target + kept * (found - target))


def _fit(rows: _Rows) -> Floats:
    """Shift and slope of the logistic regression of the outcome on the log-odds, around m_b."""
    if len(rows.won) == 0 or rows.won.all() or not rows.won.any():
        return NO_CHANGE
    weight = rows.weight / rows.weight.sum()
    away = np.stack([np.ones(len(rows.eta)), rows.eta - rows.center])

    def loss(pair: Floats) -> tuple[float, Floats]:
        odds = rows.center + pair @ away
        missed = weight * (expit(odds) - rows.won)
        ridge = WEAK_PENALTY * (pair - NO_CHANGE)
        value = weight @ (np.logaddexp(0.0, odds) - rows.won * odds)
        return float(value + ridge @ (pair - NO_CHANGE) / 2), away @ missed + ridge

    found = minimize(loss, NO_CHANGE, jac=True, method="BFGS", options={"gtol": GRADIENT})
    return np.asarray(found.x)
