"""The interval of a probability, from how far the bags disagree about it."""

from __future__ import annotations

from typing import Final

import numpy as np

from model.history import Floats

SPREAD: Final = 1.415  # Student's t, 0.9 quantile at 7 degrees of freedom: 80 % of 8 bags
_SMALLEST: Final = 1e-12  # keeps the log-odds finite


def interval(shown: Floats, bags: Floats) -> tuple[Floats, Floats]:
    """The 80 % interval: ``logit p -+ 1.415 sd(logit p_bag)``.

    Shifting all log-odds of a deal's bags so that they agree with the shown probability leaves
    their standard deviation as it is, so no shift is looked for.

    Parameters
    ----------
    shown
        Probabilities by a date. Shape (n,).
    bags
        The same under each of at least two bags. Shape (n, bags).

    Returns
    -------
    tuple
        Low and high, each of shape (n,); NaN where the shown probability is.

    Examples
    --------
    >>> low, high = interval(np.array([0.5]), np.array([[0.4, 0.6]]))
    >>> print(low.round(3), high.round(3))
    [0.308] [0.692]
    """
    half = SPREAD * _logit(bags).std(axis=1, ddof=1)
    middle = _logit(shown)
    low, high = _sigmoid(middle - half), _sigmoid(middle + half)
    return np.minimum(low, shown), np.maximum(high, shown)  # rounding must not cross it


def _logit(p: Floats) -> Floats:
    held = np.clip(p, _SMALLEST, 1 - _SMALLEST)
    return np.asarray(np.log(held) - np.log1p(-held))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)))
