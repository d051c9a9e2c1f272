"""Hazards on horizon edges, and the probability by date that they make.

Edges ``0 = e_0 < e_1 < ... < e_B`` are days from the moment of scoring. The hazard of edge b is

    h_b = P(won in (t + e_{b-1}, t + e_b] | not won by t + e_{b-1}) = 1 / (1 + exp(-eta_b))
    P(won by t + d) = 1 - prod_b (1 - h_b)^{w_b(d)}

where w_b(d) is 1 for an edge wholly passed by day d, the elapsed fraction inside one, 0 beyond:
log-survival is linear inside an edge, so P is continuous in d and never falls.

References
----------
Singer, J. D. and Willett, J. B. (1993), "It's about time: using discrete-time survival analysis",
Journal of Educational Statistics 18(2).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from model.errors import HorizonError
from model.events import DAY_US, EPOCH

FloatArray = NDArray[np.float64]
LEAST_COST: Final = 1e-300  # of log-survival, so that its logarithm is finite


def check_edges(edges: ArrayLike) -> FloatArray:
    """Horizon edges as an array, refused unless they can be some.

    Parameters
    ----------
    edges
        ``0 = e_0 < e_1 < ... < e_B``, days; [B + 1].

    Returns
    -------
    FloatArray
        The edges, days; [B + 1].

    Raises
    ------
    HorizonError
        If they do not start at 0, do not rise, are fewer than two, or are not finite.

    Examples
    --------
    >>> check_edges([0, 7, 30])
    array([ 0.,  7., 30.])
    >>> check_edges([0, 30, 7])
    Traceback (most recent call last):
    model.errors.HorizonError: edges [0.0, 30.0, 7.0]: expected days that rise from 0. \
Remedy: give them in order, starting with 0.
    """
    days = np.asarray(edges, dtype=np.float64)
    if (
        days.ndim != 1
        or len(days) < 2
        or days[0] != 0.0
        or not np.isfinite(days).all()
        or not (np.diff(days) > 0.0).all()
    ):
        raise HorizonError(
            f"edges {days.tolist()}", "days that rise from 0", "give them in order, starting with 0"
        )
    return days


def edge_weights(
    edges: FloatArray, days: ArrayLike, *, as_of_us: ArrayLike | None = None
) -> FloatArray:
    """How much of each edge has passed after so many days.

    Parameters
    ----------
    edges
        ``e_0 .. e_B``, days; [B + 1].
    days
        Days from the moment of scoring, above 0 and at most ``e_B``; any shape.
    as_of_us
        The moment of scoring, microseconds since 1970 UTC, one or as many as `days`: only so that
        an error can name a date.

    Returns
    -------
    FloatArray
        ``w_b = clip((d - e_{b-1}) / (e_b - e_{b-1}), 0, 1)``; [..., B].

    Raises
    ------
    HorizonError
        If a day is not above 0, is NaN, or lies past the last edge.

    Examples
    --------
    >>> edge_weights(np.array([0.0, 7.0, 30.0]), [7, 18.5])
    array([[1. , 0. ],
           [1. , 0.5]])
    """
    asked = np.asarray(days, dtype=np.float64)
    if not ((asked > 0.0) & (asked <= edges[-1])).all():
        _refuse(edges, asked, as_of_us)
    starts = edges[:-1]
    passed = (asked[..., None] - starts) / (edges[1:] - starts)
    return np.asarray(np.minimum(np.maximum(passed, 0.0), 1.0))


def _refuse(edges: FloatArray, asked: FloatArray, as_of_us: ArrayLike | None) -> None:
    bad = ~((asked > 0.0) & (asked <= edges[-1]))
    spots = np.flatnonzero(bad.ravel())
    worst = int(spots[np.argmax(asked.ravel()[spots])])  # the furthest: what was asked, not a step
    day = float(asked.ravel()[worst])
    furthest = f"{edges[-1]:g} days"
    if as_of_us is not None:
        times = np.broadcast_to(np.asarray(as_of_us, dtype=np.int64), asked.shape)
        last_us = int(times.ravel()[worst]) + int(edges[-1] * DAY_US)
        furthest += f", until {(EPOCH + timedelta(microseconds=last_us)).date()}"
    if as_of_us is None:
        remedy = "ask for days above 0"
        if day > edges[-1]:
            remedy = "ask for fewer days, or train with edges that reach further"
    else:
        remedy = "ask for a later date (days above 0)"
        if day > edges[-1]:
            remedy = "ask for an earlier date, or train with edges that reach further"
    if np.isnan(day):
        remedy = "give a number of days"
    raise HorizonError(f"days ahead {day:g}", f"more than 0 and at most {furthest}", remedy)


def probability(eta: FloatArray, weights: FloatArray) -> FloatArray:
    """Probability of a win by the date that the weights stand for.

    ``P = 1 - prod_b (1 - h_b)^{w_b} = 1 - exp(-sum_b w_b log(1 + exp(eta_b)))``, computed without
    loss for hazards near 0 and near 1.

    Parameters
    ----------
    eta
        Log-odds of the hazards; [..., B].
    weights
        `edge_weights` of the date; [..., B], broadcast against `eta`.

    Returns
    -------
    FloatArray
        Probability, 0 to 1; [...].

    Examples
    --------
    >>> probability(np.array([0.0, 0.0]), np.array([1.0, 0.5])).round(4)
    np.float64(0.6464)
    """
    return np.asarray(-np.expm1(-np.add.reduce(weights * softplus(eta), axis=-1)))[()]


def log_odds(eta: FloatArray, weights: FloatArray) -> FloatArray:
    """Log-odds of a win by the date that the weights stand for: ``logit P``, without loss.

    With ``c = sum_b w_b log(1 + exp(eta_b))``, ``logit P = log(exp(c) - 1)``.

    Parameters
    ----------
    eta
        Log-odds of the hazards; [..., B].
    weights
        `edge_weights` of the date; [..., B], broadcast against `eta`.

    Returns
    -------
    FloatArray
        Log-odds; [...].

    Examples
    --------
    >>> log_odds(np.array([0.0, -800.0]), np.array([1.0, 1.0])).round(6)
    np.float64(0.0)
    """
    return _log_odds((weights * softplus(eta)).sum(axis=-1))[()]


def log_odds_by_date(eta: FloatArray, weights: FloatArray) -> FloatArray:
    """What `log_odds` answers, for each of some dates.

    Parameters
    ----------
    eta
        Log-odds of the hazards; [..., B].
    weights
        `edge_weights` of the dates; [D, B].

    Returns
    -------
    FloatArray
        Log-odds; [..., D].

    Examples
    --------
    >>> log_odds_by_date(np.array([0.0, 0.0]), np.array([[1.0, 0.0], [1.0, 1.0]])).round(4)
    array([0.    , 1.0986])
    """
    return _log_odds(np.matmul(softplus(eta), weights.T))


def _log_odds(cost: FloatArray) -> FloatArray:
    cost = np.maximum(cost, LEAST_COST)
    return np.asarray(cost + np.log(-np.expm1(-cost)))


def probability_gradient(eta: FloatArray, weights: FloatArray) -> FloatArray:
    """How the probability answers to the log-odds of each hazard.

    ``dP / d eta_b = S w_b h_b`` with ``S = 1 - P``.

    Parameters
    ----------
    eta
        Log-odds of the hazards; [..., B].
    weights
        `edge_weights` of the date; [..., B], broadcast against `eta`.

    Returns
    -------
    FloatArray
        Probability for each unit of log-odds; [..., B].

    Examples
    --------
    >>> probability_gradient(np.array([0.0, 0.0]), np.array([1.0, 0.0]))
    array([0.25, 0.  ])
    """
    survival = np.exp(-(weights * softplus(eta)).sum(axis=-1, keepdims=True))
    return np.asarray(survival * weights * hazard(eta))


def hazard(eta: FloatArray) -> FloatArray:
    """The hazard of a log-odds, ``1 / (1 + exp(-eta))``, without overflow.

    Examples
    --------
    >>> hazard(np.array([-800.0, 0.0, 800.0]))
    array([0. , 0.5, 1. ])
    """
    small = np.exp(-np.abs(eta))
    return np.asarray(np.where(eta >= 0.0, 1.0, small) / (1.0 + small))


def softplus(eta: FloatArray) -> FloatArray:
    """``log(1 + exp(eta)) = -log(1 - h)``: the log-survival an edge costs, without overflow.

    Examples
    --------
    >>> softplus(np.array([-800.0, 0.0, 5.0])).round(4)
    array([0.    , 0.6931, 5.0067])
    """
    return np.asarray(np.maximum(eta, 0.0) + np.log1p(np.exp(-np.abs(eta))))
