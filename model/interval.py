"""The interval of a probability: how far the bags disagree, and what all of them miss.

In log-odds, around the shown probability p,

    half = sqrt((SPREAD sd)^2 + (NORMAL m (4 p (1 - p))^-RARER)^2),
    m^2 = MISSED^2 + FEW / won,

where sd is the standard deviation over the bags, each with its own calibration. Each bag saw half
of the deals, so sd stands for the error of learning from these deals and not others. But what no
feature expresses, all bags miss alike, and so they do what too few deals won could teach at all,
and was held back: on simulated companies the bags alone covered 20 to 40 % of the true
probabilities instead of 80 %. The second term stands for that. Its constants were chosen on
companies of both worlds, where the truth is known, of 42 to 530 deals won; the coverage on others
is measured in `tests/benchmarks/test_truth.py` and `test_little_data.py` and stated in the README.
Log-odds of rare wins are missed by more, hence the power.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from model.history import Floats

SPREAD: Final = 1.415  # Student's t, 0.9 quantile at 7 degrees of freedom: 80 % of 8 bags
NORMAL: Final = 1.2816  # the normal distribution's 0.9 quantile
MISSED: Final = 0.57  # log-odds, standard deviation, at a probability of one half, however many won
FEW: Final = 40.0  # log-odds^2 times deals won
RARER: Final = 0.2
RAREST: Final = 0.008  # of 4 p (1 - p): rarer wins are missed by no more
RAREST_LOG_ODDS: Final = 2 * math.acosh(RAREST**-0.5)

LEAST_LOG_ODDS: Final = -700.0  # beyond it odds overflow


def missed_by_all(won: int | None) -> float:
    """What all bags miss, as the standard deviation of log-odds at a probability of one half.

    Parameters
    ----------
    won
        Deals won that were learned from; None where nobody counted them.

    Examples
    --------
    >>> [round(missed_by_all(won), 2) for won in (40, 400, 4000)]
    [1.15, 0.65, 0.58]
    """
    return math.sqrt(MISSED**2 + FEW / max(won, 1)) if won is not None else MISSED


def interval(shown: Floats, bags: Floats, missed: float) -> tuple[Floats, Floats]:
    """The 80 % interval of probabilities given as log-odds.

    Shifting all log-odds of a deal's bags so that they agree with the shown probability leaves
    their standard deviation as it is, so no shift is looked for.

    Parameters
    ----------
    shown
        Log-odds of a win by a date. Any shape.
    bags
        The same under each of at least two bags. Shape (bags, ...).
    missed
        Of `missed_by_all`.

    Returns
    -------
    tuple
        Low and high as probabilities, each of that shape; NaN where the shown one is.

    Examples
    --------
    >>> low, high = interval(np.array([0.0]), np.array([[-0.4], [0.4]]), 0.6)
    >>> print(low.round(2), high.round(2))
    [0.25] [0.75]
    """
    count = len(bags)
    away = bags - np.add.reduce(bags, axis=0) / count
    apart = np.add.reduce(away * away, axis=0)
    # 4 p (1 - p) = 1 / cosh^2(log-odds / 2)
    rare = np.cosh(np.minimum(np.abs(shown), RAREST_LOG_ODDS) / 2)
    half = np.sqrt((SPREAD**2 / (count - 1)) * apart + (NORMAL * missed) ** 2 * rare ** (4 * RARER))
    low, high = probability_of(np.array([shown - half, shown + half]))
    return low, high


def probability_of(log_odds: Floats) -> Floats:
    """The probability of each of some log-odds, without overflow.

    Examples
    --------
    >>> probability_of(np.array([0.0, 2.0])).round(3)
    array([0.5  , 0.881])
    """
    return np.asarray(1 / (1 + np.exp(-np.maximum(log_odds, LEAST_LOG_ODDS))))
