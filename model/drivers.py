"""Drivers: what each feature adds to the probability, in points that sum to the whole difference.

From the log-odds of the average evidence, eta0, to the deal's own, eta, the straight path turns
contributions to log-odds into contributions to probability (Aumann-Shapley):

    phi_j = sum_b c_bj * integral_0^1 dP/d eta_b (eta0 + a (eta - eta0)) da
    sum_j phi_j = P - P0,   eta_b - eta0_b = sum_j c_bj

The integrand bends within about 1 / |eta_b - eta0_b| of a, so the nodes of the Gauss-Legendre
rule follow the longest such distance: 32 up to 10, 64 up to 20, and beyond it the path is cut
into stretches of at most 20 with 64 nodes each. Its error falls by rho^(-2 nodes), where the
nearest pole, pi / distance off the path, gives rho = 1.36 or more on every stretch.

References
----------
Aumann, R. J. and Shapley, L. S. (1974), Values of Non-Atomic Games, Princeton.
Sundararajan, M. and Najmi, A. (2020), "The many Shapley values for model explanation", ICML.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from model.errors import ScoreError
from model.hazard import FloatArray, probability

SHORT_PATH: Final = 10.0  # log-odds; 32 nodes suffice up to here
STRETCH: Final = 20.0  # log-odds; 64 nodes suffice up to here
LARGEST_LOG_ODDS: Final = 600.0  # beyond it is no evidence but a fault, and odds overflow
RESIDUAL: Final = 1e-9  # probability
ROWS_AT_ONCE: Final = 128
ENDS: Final = np.array([0.0, 1.0])


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Drivers:
    """The probability by one date, and what each feature adds to it.

    Parameters
    ----------
    probability
        P, of the deal; [...].
    average
        P0, of the average evidence; [...].
    points
        phi_j, probability; they sum to P - P0; [..., F].
    """

    probability: FloatArray
    average: FloatArray
    points: FloatArray


def drivers(intercept: FloatArray, contributions: FloatArray, weights: FloatArray) -> Drivers:
    """Split the difference from the average evidence's probability among the features.

    Parameters
    ----------
    intercept
        Log-odds of the average evidence, `Tables.intercept`; [B].
    contributions
        `Tables.contributions` of one deal, [F, B], or of many, [S, F, B].
    weights
        `edge_weights` of the date, [B], or of each deal's own, [S, B].

    Returns
    -------
    Drivers
        P, P0 and the points of one deal, or of each.

    Raises
    ------
    ScoreError
        If the points do not sum to P - P0 within 1e-9, or log-odds are past all belief or not
        finite. The remainder is never spread over the features.

    Examples
    --------
    >>> split = drivers(np.zeros(1), np.array([[1.0], [-0.5]]), np.ones(1))
    >>> split.points.round(4), split.probability.round(4), split.average
    (array([ 0.2449, -0.1225]), np.float64(0.6225), np.float64(0.5))
    """
    if contributions.ndim == 2:
        moved = np.add.reduce(contributions, axis=0)
        longest = max(np.abs(moved * (weights > 0.0)).tolist())
        rule = _rule(_stretches(max(abs(intercept).tolist()), longest))
        gradient = _integral(intercept, moved, weights, *rule)
        points = contributions @ gradient
    else:
        moved = np.matmul(np.ones(contributions.shape[1]), contributions)
        gradient = _gradients(intercept, moved, np.broadcast_to(weights, moved.shape))
        points = np.matmul(contributions, gradient[..., None])[..., 0]
    average, own = probability(intercept + np.multiply.outer(ENDS, moved), weights)
    residual = np.abs(np.add.reduce(points, axis=-1) - (own - average))
    if not (residual < RESIDUAL).all():
        raise ScoreError(
            f"drivers that miss the probability by {np.max(residual):g}",
            f"a difference below {RESIDUAL:g}",
            "check the artifact: its tables hold values that cannot be",
        )
    return Drivers(probability=own, average=average, points=points)


def drivers_of_one(
    intercept: FloatArray, contributions: FloatArray, weights: FloatArray
) -> Drivers:
    """The drivers of one deal as a batch of one: the same numbers, sooner.

    Parameters
    ----------
    intercept, contributions, weights
        As `drivers` takes them for one deal; [B], [F, B], [B].
    """
    one = drivers(intercept, contributions, weights)
    return Drivers(
        probability=np.array([one.probability]),
        average=np.array([one.average]),
        points=one.points[None],
    )


def _gradients(intercept: FloatArray, moved: FloatArray, weights: FloatArray) -> FloatArray:
    longest = np.where(weights > 0.0, np.abs(moved), 0.0).max(axis=1)
    start = max(abs(intercept).tolist())
    stretches = np.array([_stretches(start, distance) for distance in longest.tolist()])
    gradients = np.zeros(moved.shape)
    edges = int(np.nonzero(weights)[1].max(initial=-1)) + 1  # no date reaches the others
    for count in np.unique(stretches).tolist():
        alike = np.flatnonzero(stretches == count)
        rule = _rule(count)
        step = max(1, ROWS_AT_ONCE * 32 // len(rule[0]))
        for first in range(0, len(alike), step):
            at = alike[first : first + step]
            gradients[at, :edges] = _integral(
                intercept[:edges], moved[at, :edges], weights[at, :edges], *rule
            )
    return gradients


def _stretches(start: float, longest: float) -> int:
    # Into how many stretches a path is cut; 0 stands for a short one.
    if not start + longest <= LARGEST_LOG_ODDS:
        raise ScoreError(
            f"log-odds of {start + longest:g}",
            f"at most {LARGEST_LOG_ODDS:g}",
            "train the artifact again: its tables hold values that cannot be",
        )
    return 0 if longest <= SHORT_PATH else int(np.ceil(longest / STRETCH))


@cache
def _rule(stretches: int) -> tuple[FloatArray, FloatArray]:
    # Nodes and weights on [0, 1].
    nodes, shares = np.polynomial.legendre.leggauss(64 if stretches else 32)
    parts = max(stretches, 1)
    along = (np.arange(parts)[:, None] + (nodes + 1.0) / 2.0) / parts
    return along.reshape(-1), np.tile(shares / 2.0 / parts, parts)


def _integral(
    intercept: FloatArray,
    moved: FloatArray,
    weights: FloatArray,
    nodes: FloatArray,
    shares: FloatArray,
) -> FloatArray:
    # The integral of dP/d eta_b = S w_b h_b along the paths; moved, weights [..., B] -> [..., B].
    # In place, and with one exponential for both h_b and S: most of the drivers' time is here.
    odds = nodes[:, None] * moved[..., None, :]
    odds += intercept
    np.exp(odds, out=odds)
    cost = odds + 1.0
    hazards = np.divide(odds, cost, out=odds)
    np.log(cost, out=cost)
    survival = np.matmul(cost, weights[..., None])[..., 0]
    np.negative(survival, out=survival)
    np.exp(survival, out=survival)
    survival *= shares
    integral: FloatArray = np.matmul(survival[..., None, :], hazards)[..., 0, :] * weights
    return integral
