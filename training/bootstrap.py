"""Intervals by drawing deals anew: rows of one deal stand or fall together.

A deal open for half a year is forecast two dozen times with one outcome. Were rows drawn one by
one, every interval would be far too narrow (Efron and Tibshirani 1993, chapter 8).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from math import exp, factorial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.history import Floats, Ints
from training.metrics import CLIP, calibration_line, equal_bins, losses

ROUNDS: Final = 1000
LEVEL: Final = 0.95
CHANCE_ROUNDS: Final = 100
DEALS_AT_ONCE: Final = 1024  # whose draws are in memory: 8 MB for `ROUNDS` rounds
DRAWS: Final = 1 << 16  # equally likely numbers, shared out to how often a deal is drawn
WILSON: Final = 1.959964  # normal quantile of `LEVEL`


def _times_drawn() -> Floats:
    """What each of `DRAWS` equally likely numbers stands for, as near to Poisson(1) as that goes.

    Returns
    -------
    ndarray
        Rising. Shape (`DRAWS`,).
    """
    up_to = np.cumsum([exp(-1.0) / factorial(times) for times in range(20)])
    return np.searchsorted(up_to, (np.arange(DRAWS) + 0.5) / DRAWS).astype(np.float64)


TIMES_DRAWN: Final = _times_drawn()


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class DealBootstrap:
    """Draws deals anew in many rounds, the same for all figures of the same deals.

    Each deal is drawn a Poisson(1) number of times in each round, apart from all others, so that
    a round has about as many deals as there are and no round need be held whole. Draws are made
    anew for each figure from the seed, a block of deals at a time.

    Parameters
    ----------
    seed
        Of the draws.
    rounds
        How many.

    References
    ----------
    Chamandy, N., Muralidharan, O., Najmi, A. and Naidu, S. (2012), "Estimating uncertainty for
    massive data streams", Google.
    """

    def __init__(self, seed: int = 0, rounds: int = ROUNDS) -> None:
        self.seed = seed
        self.rounds = rounds

    def times(self, deals: int) -> Iterator[Floats]:
        """How often each deal is drawn in each round, by blocks of deals. Each (deals, rounds)."""
        rng = np.random.default_rng(self.seed)
        for first in range(0, deals, DEALS_AT_ONCE):
            size = (min(DEALS_AT_ONCE, deals - first), self.rounds)
            yield TIMES_DRAWN[rng.integers(0, DRAWS, size, dtype=np.uint16)]

    def sums(self, deal: Ints, columns: Iterable[Floats]) -> Floats:
        """The sums over rows in each round. Shape (rounds, K).

        Parameters
        ----------
        deal
            Of each row. Shape (R,).
        columns
            K of them, each of shape (R,), looked at one after another.
        """
        met, place = np.unique(deal, return_inverse=True)
        of_deal = [np.bincount(place, weights=column) for column in columns]
        sums = np.zeros((len(of_deal), self.rounds))
        first = 0
        for times in self.times(len(met)):
            sums += np.stack([each[first : first + len(times)] for each in of_deal]) @ times
            first += len(times)
        return sums.T

    def mean(self, deal: Ints, value: Floats) -> Estimate:
        """The mean over rows, with the quantiles of the means of the rounds.

        Parameters
        ----------
        deal, value
            Of each row. Shape (R,).
        """
        sums, rows = self.sums(deal, (value, np.ones(len(deal)))).T
        return self._interval(float(value.mean()), sums[rows > 0] / rows[rows > 0])

    def log_loss_difference(
        self, deal: Ints, won: NDArray[np.bool_], ours: Floats, theirs: Floats
    ) -> Estimate:
        """Our log-loss minus theirs on the same rows: below zero, ours is better."""
        return self.mean(deal, losses(won, ours) - losses(won, theirs))

    def calibration_error(self, deal: Ints, won: NDArray[np.bool_], p: Floats) -> Estimate:
        """The expected calibration error, with the interval of its reverse percentiles.

        The error of a round adds the chance of drawing anew to that of the record, so its
        quantiles lie too high; with q the quantiles and e the error, ``2 e - q_high`` to
        ``2 e - q_low`` corrects for that, held to zero (Davison and Hinkley 1997, section 5.2).
        Bins stay as the record has them. The chance in the record itself remains: see
        `error_by_chance`.
        """
        bins = equal_bins(p)
        gap, bin_of = p - won, np.empty(len(p), dtype=np.int8)
        for number, part in enumerate(bins):
            bin_of[part] = number
        gaps = (np.where(bin_of == number, gap, 0.0) for number in range(len(bins)))
        error = sum(abs(float(gap[part].sum())) for part in bins) / len(p)
        sums = self.sums(deal, chain([np.ones(len(p))], gaps))
        rows, apart = sums[:, 0], np.abs(sums[:, 1:]).sum(axis=1)
        drawn = self._interval(error, apart[rows > 0] / rows[rows > 0])
        return Estimate(
            value=error,
            low=max(0.0, 2.0 * error - drawn.high),
            high=max(error, 2.0 * error - drawn.low),
        )

    def calibration_slope(self, deal: Ints, won: NDArray[np.bool_], p: Floats) -> Estimate | None:
        """Cox's slope, each round a step of Newton's method from the record's own line.

        With u the score and H the information of each deal at the line b of all rows, a round
        that draws deal d w_d times has ``b + (sum w_d H_d)^-1 sum w_d u_d``: near enough, and a
        thousand rounds cost no more than one fit (Moulton and Zeger 1991). None where there is
        no line, as where outcomes are perfectly apart.
        """
        line = calibration_line(won, p, np.ones(len(p)))
        if line is None:
            return None
        held = np.clip(p, CLIP, 1.0 - CLIP)
        logit = np.log(held) - np.log1p(-held)
        q = 1.0 / (1.0 + np.exp(-(line.intercept + line.slope * logit)))
        spread = q * (1.0 - q)
        terms = (won - q, (won - q) * logit, spread, spread * logit, spread * logit**2)
        u0, u1, h00, h01, h11 = self.sums(deal, terms).T
        determinant = h00 * h11 - h01**2
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = line.slope + (h00 * u1 - h01 * u0) / determinant
        return self._interval(line.slope, slopes[np.isfinite(slopes)])

    def error_by_chance(self, deal: Ints, p: Floats) -> float:
        """The calibration error that these probabilities would show were they exactly right.

        The mean over `CHANCE_ROUNDS` made-up outcomes, in which a deal has one number from 0 to 1
        and is won where it lies below the probability. Rows of one deal then agree more than
        they do in truth, so this is rather too much.
        """
        met, place = np.unique(deal, return_inverse=True)
        rng = np.random.default_rng(len(met))
        bins = equal_bins(p)
        errors = []
        for _ in range(CHANCE_ROUNDS):
            gap = p - (rng.random(len(met))[place] < p)
            errors.append(sum(abs(float(gap[part].sum())) for part in bins) / len(p))
        return float(np.mean(errors))

    @staticmethod
    def _interval(value: float, rounds: Floats) -> Estimate:
        tail = (1.0 - LEVEL) / 2.0
        if rounds.size == 0:
            return Estimate(value=value, low=value, high=value)
        low, high = np.quantile(rounds, (tail, 1.0 - tail))
        return Estimate(value=value, low=float(low), high=float(high))


def share_interval(deal: Ints, won: NDArray[np.bool_]) -> Estimate:
    """The won share of rows with Wilson's interval, as if each deal had but one outcome.

    Counts the rows as ``n = (sum r)^2 / sum r^2`` independent ones, with r the rows of each deal
    (Kish 1965): unlike a bootstrap it has a width even where all rows had one outcome.

    Parameters
    ----------
    deal, won
        Of each row; at least one row. Shape (R,).

    References
    ----------
    Wilson, E. B. (1927), "Probable inference, the law of succession, and statistical inference",
    Journal of the American Statistical Association 22.

    Examples
    --------
    >>> found = share_interval(np.arange(10), np.arange(10) < 5)
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.5, 0.237, 0.763)
    """
    rows = np.unique(deal, return_counts=True)[1].astype(np.float64)
    n = float(rows.sum() ** 2 / (rows**2).sum())
    share = float(won.mean())
    z2 = WILSON**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = WILSON * np.sqrt(share * (1 - share) / n + z2 / (4 * n**2)) / (1 + z2 / n)
    return Estimate(
        value=share,
        low=max(0.0, min(share, float(middle - half))),
        high=min(1.0, max(share, float(middle + half))),
    )
