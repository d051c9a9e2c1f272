"""How likely a total of deals drawn anew is at least zero: to any depth, with no round drawn.

Each deal d, with the total u_d of its rows, is drawn a Poisson(1) number of times as in
`training.bootstrap`. The total over all has the cumulant generating function and the tail

    K(s) = sum_d (exp(s u_d) - 1),      K'(s*) = 0,
    P(total >= 0) = 1 - Phi(w + log(v / w) / w),      w = sign(s*) sqrt(-2 K(s*)),
                                                      v = s* sqrt(K''(s*))

A share of rounds says nothing below one in so many; this is near the true one at any depth. Where
one deal outweighs all others it may be far off: below the mean exp(K(s*)) bounds it (Chernoff).

References
----------
Davison, A. C. and Hinkley, D. V. (1988), "Saddlepoint approximations in resampling methods",
Biometrika 75. Barndorff-Nielsen, O. E. (1991), "Modified signed log likelihood ratio", Biometrika
78.
"""

from __future__ import annotations

from math import exp, log, sqrt
from typing import Final

import numpy as np

from model.history import Floats, Ints

CENTRE: Final = 1e-3  # of w: nearer to the mean than this, its limit stands for the correction


def tail_of_zero(deal: Ints, value: Floats) -> float:
    """P(the total over rows >= 0), with the deals drawn anew.

    Parameters
    ----------
    deal, value
        Of each row. Shape (R,).

    Examples
    --------
    >>> round(tail_of_zero(np.arange(400), np.repeat([1.0, -1.0], 200)), 2)
    0.5
    >>> tail_of_zero(np.arange(300), np.repeat([1.0, -1.0], [100, 200])) < 1e-6
    True
    """
    _, place = np.unique(deal, return_inverse=True)
    return _tail(np.bincount(place, weights=value).astype(np.float64))


def _tail(total: Floats) -> float:
    from scipy.optimize import brentq
    from scipy.stats import norm

    above, below = total[total > 0.0], total[total < 0.0]
    if below.size == 0:
        return 1.0
    if above.size == 0:
        return exp(-below.size)  # none of them is drawn
    if total.sum() > 0.0:
        return 1.0 - _tail(-total)
    u = total / above.max()  # so that no exponent below passes log D

    def slope(s: float) -> float:
        return float((u * np.exp(s * u)).sum())

    s = brentq(slope, 0.0, 1.0 + log(len(u))) if slope(0.0) < 0.0 else 0.0
    w = sqrt(max(-2.0 * float(np.expm1(s * u).sum()), 0.0))
    if w < CENTRE:
        skewness = float((u**3).sum()) / float((u**2).sum()) ** 1.5
        return float(norm.sf(w + skewness / 6.0))
    v = s * sqrt(float((u**2 * np.exp(s * u)).sum()))
    return min(float(norm.sf(w + log(v / w) / w)), exp(-w * w / 2.0))
