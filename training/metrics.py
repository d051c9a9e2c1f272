"""Figures that judge probabilities against what came, one definition for all of training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from model.history import Floats

CLIP: Final = 1e-6
ECE_BINS: Final = 10
SMALLEST_SPREAD: Final = 1e-6  # of log-odds that a line can be laid through


@dataclass(frozen=True, kw_only=True)
class BrierParts:
    """Murphy's parts: the binned Brier score is reliability - resolution + uncertainty."""

    reliability: float
    resolution: float
    uncertainty: float


@dataclass(frozen=True, kw_only=True)
class CalibrationLine:
    """Cox's line: the log-odds of a win are ``intercept + slope * logit(p)``; 0 and 1 are perfect.

    A slope below 1 says that probabilities are too extreme, above 1 too timid; at slope 1, an
    intercept below 0 says that they are too high.
    """

    intercept: float
    slope: float


def losses(won: NDArray[np.bool_], p: Floats) -> Floats:
    """``-log`` of the probability given to what came, in nats, of each row. Shape (R,).

    Examples
    --------
    >>> losses(np.array([True, False]), np.array([0.5, 0.5])).round(4)
    array([0.6931, 0.6931])
    """
    p = np.clip(p, CLIP, 1.0 - CLIP)
    return np.asarray(-np.where(won, np.log(p), np.log1p(-p)))


def log_loss(won: NDArray[np.bool_], p: Floats, weight: Floats) -> float:
    """Mean of ``-log`` of the probability given to what came, in nats.

    Examples
    --------
    >>> round(log_loss(np.array([True, False]), np.array([0.5, 0.5]), np.ones(2)), 4)
    0.6931
    """
    return float(weight @ losses(won, p) / weight.sum())


def brier_score(won: NDArray[np.bool_], p: Floats, weight: Floats) -> float:
    """Mean squared distance from what came (Brier 1950)."""
    return float(weight @ (p - won) ** 2 / weight.sum())


def brier_parts(won: NDArray[np.bool_], p: Floats, weight: Floats) -> BrierParts:
    """Split the Brier score over bins of equal count (Murphy 1973).

    With weight ``w_k``, mean probability ``p_k`` and won share ``o_k`` of bin k, and ``o`` of all:
    reliability ``sum w_k (p_k - o_k)^2``, resolution ``sum w_k (o_k - o)^2``, uncertainty
    ``o (1 - o)``, where the ``w_k`` add up to one. What varies inside a bin is left out.

    Examples
    --------
    >>> parts = brier_parts(np.array([True, False]), np.array([1.0, 0.0]), np.ones(2))
    >>> parts.reliability, parts.resolution, parts.uncertainty
    (0.0, 0.25, 0.25)
    """
    total = weight.sum()
    overall = float(weight @ won / total)
    reliability = resolution = 0.0
    for part in equal_bins(p):
        mass = weight[part].sum()
        if mass > 0.0:
            share = weight[part] @ won[part] / mass
            reliability += float(mass / total * (weight[part] @ p[part] / mass - share) ** 2)
            resolution += float(mass / total * (share - overall) ** 2)
    return BrierParts(
        reliability=reliability, resolution=resolution, uncertainty=overall * (1.0 - overall)
    )


def calibration_error(won: NDArray[np.bool_], p: Floats, weight: Floats) -> float:
    """Expected calibration error over `ECE_BINS` bins of equal count."""
    gaps = [abs(float(weight[part] @ (p[part] - won[part]))) for part in equal_bins(p)]
    return float(sum(gaps) / weight.sum())


def calibration_line(won: NDArray[np.bool_], p: Floats, weight: Floats) -> CalibrationLine | None:
    """Fit Cox's calibration line (Cox 1958); None where no finite line fits.

    That is where one outcome or one probability came, or all rows of one outcome had
    probabilities at or above all of the other: the steeper, the better (Albert and Anderson 1984).

    Examples
    --------
    >>> p = np.repeat([0.2, 0.8], 50)
    >>> won = np.tile(np.arange(10) < 2, 5).tolist() + np.tile(np.arange(10) < 8, 5).tolist()
    >>> line = calibration_line(np.array(won), p, np.ones(100))
    >>> print(f"{line.slope:.3f}")
    1.000
    """
    p = np.clip(p, CLIP, 1.0 - CLIP)
    logit = np.log(p) - np.log1p(-p)
    if len(won) == 0 or won.all() or not won.any() or np.ptp(logit) < SMALLEST_SPREAD:
        return None
    lost = ~won
    if logit[won].min() >= logit[lost].max() or logit[lost].min() >= logit[won].max():
        return None
    center = float(np.average(logit, weights=weight))
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)
    model.fit((logit - center)[:, None], won, sample_weight=weight / weight.mean())
    slope = float(model.coef_[0, 0])
    return CalibrationLine(intercept=float(model.intercept_[0]) - slope * center, slope=slope)


def riskiest_lift(
    won: NDArray[np.bool_], p: Floats, weight: Floats, share: float = 0.1
) -> float | None:
    """How many times more often the riskiest rows are not won than all rows; None if all are won.

    Examples
    --------
    >>> riskiest_lift(np.arange(10) > 4, np.arange(10) / 10, np.ones(10))
    2.0
    """
    riskiest = np.argsort(p, kind="stable")[: max(1, round(share * len(p)))]
    overall = float(weight @ ~won / weight.sum())
    mass = float(weight[riskiest].sum())
    if overall == 0.0 or mass == 0.0:
        return None
    return float(weight[riskiest] @ ~won[riskiest] / mass / overall)


def equal_bins(p: Floats) -> list[NDArray[np.intp]]:
    """The rows of each of at most `ECE_BINS` bins of equal count, from the lowest on."""
    parts = np.array_split(np.argsort(p, kind="stable"), ECE_BINS)
    return [part for part in parts if len(part)]
